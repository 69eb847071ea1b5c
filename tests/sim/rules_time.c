/**
 * @file rules_time.c  What must never happen: in time, and at the end
 *
 * The rules of time are checked before each event, on what the world was until
 * then; those of one event after it.
 */
#include <convod/mem.h>
#include "sim.h"

enum {
	/* The longest pause of the bot's: without words, and after a word */
	HOLD_MAX_MS = 5000,
	HOLD_WORDS_MS = 3000,
	BREATH_MAX_MS = 5000, /* of a caller who goes on */

	MARK_LATE_MAX_MS = 4000, /* carrier.c */
	SLACK_MS = 100,
	SHORT_MAX_MS = 5000, /* of memory, every time a word to wait is due */
};

/* --------------------------------------------------------------- waiting */

static bool is_blocked(const struct sim *s)
{
	const struct carrier *c = &s->carrier;

	return c->dead || s->now_ms < c->deaf_until_ms + 2000;
}

/* How late the conversation may learn what time it is */
static uint64_t late(const struct sim *s)
{
	return SLACK_MS + (s->plan.stalls ? SIM_STALL_MAX_MS : 0);
}

/* How far the world may be behind the conversation's idea of it */
static uint64_t slack(const struct sim *s)
{
	const struct carrier_kind *k = &s->plan.carrier;
	uint64_t ms = 2 * k->delay_ms + k->jitter_ms + 2 * late(s);

	if (k->mark_trouble || k->no_marks || k->eagain)
		ms += PLAYOUT_MARK_GRACE_MS + MARK_LATE_MAX_MS;
	if (s->plan.starves)
		ms += SHORT_MAX_MS;

	return ms;
}

static bool has_live(const struct watch *w)
{
	for (uint32_t i = w->last; i; i--) {
		if (rules_is_live(&w->utterancev[i]))
			return true;
	}

	return false;
}

/* Is there something that the caller has yet to hear? */
static bool has_unheard(const struct sim *s)
{
	const struct watch *w = &s->watch;

	for (uint32_t i = w->last; i; i--) {
		if (rules_is_live(&w->utterancev[i]) && !rules_is_played(s, i))
			return true;
	}

	return false;
}

/* An utterance that has begun and runs dry can't be helped by anybody but the
 * one who fills it, or gives it up */
static bool is_dry(const struct sim *s)
{
	const struct watch *w = &s->watch;

	for (uint32_t i = 1; i <= w->last; i++) {
		const struct clip *c = speech_clip(s, i);

		if (w->utterancev[i].state == UTT_STARTED && c &&
		    !clip_is_ended(c))
			return true;
	}

	return false;
}

static void check_silence(struct sim *s)
{
	struct watch *w = &s->watch;
	uint64_t since = MAX(w->pending_ms, s->carrier.sound_ms);
	uint64_t limit = s->plan.prm.silence_limit_ms + slack(s);

	if (!w->pending || w->held)
		return;
	if (is_dry(s)) {
		w->released_ms = s->now_ms;
		return;
	}
	if (is_blocked(s))
		return;

	since = MAX(since, w->released_ms);
	if (s->now_ms > since + limit)
		rule_violated(s, RULE_SILENCE, "nothing heard for %u ms",
			      (unsigned)(s->now_ms - since));
}

static void check_hold(struct sim *s)
{
	const struct watch *w = &s->watch;
	uint32_t most = MIN((uint32_t)HOLD_MAX_MS,
			    s->plan.prm.silence_limit_ms);
	uint64_t until = w->held_ms + MAX(most, (uint32_t)HOLD_WORDS_MS);

	if (w->interim_ms)
		until = MAX(until, w->interim_ms + HOLD_WORDS_MS);
	if (w->held && s->now_ms > until + late(s))
		rule_violated(s, RULE_HOLD, "for %u ms",
			      (unsigned)(s->now_ms - w->held_ms));
}

/* Whatever is asked for comes, or is given up */
static void check_unfinished(struct sim *s)
{
	const struct watch *w = &s->watch;
	const struct voice_kind *k = &s->plan.voice;
	uint64_t limit = k->first_ms + k->timeout_ms + 10000 + slack(s);

	if (!has_live(w) || w->held || is_blocked(s))
		return;

	for (uint32_t i = w->last; i; i--) {
		const struct utterance_note *u = &w->utterancev[i];

		if (rules_is_live(u) && rules_is_played(s, i) &&
		    s->now_ms > MAX(w->released_ms,
				    MAX(u->played_ms, u->ended_ms)) +
					PLAYOUT_MARK_GRACE_MS + slack(s))
			rule_violated(s, RULE_UNFINISHED,
				      "utterance %u has been played", i);
	}
	if (s->now_ms > w->progress_ms + limit)
		rule_violated(s, RULE_UNFINISHED, "nothing for %u ms",
			      (unsigned)(s->now_ms - w->progress_ms));
}

/* Was one pressed, or may a number still be complete? */
static bool has_keys(const struct sim *s)
{
	const struct watch *w = &s->watch;

	return w->by_key ||
	       (w->key_ms && s->now_ms < w->key_ms + 6000 + late(s));
}

/* For the bot to be done, or for the caller, who may go on */
static void check_late(struct sim *s)
{
	struct watch *w = &s->watch;
	uint64_t most = s->plan.prm.join_ms + BREATH_MAX_MS + late(s);

	/* interims taken for finals may join: when is hard to tell */
	if (!w->said_ms || w->closing_ms ||
	    (s->plan.prm.endpoint_ms && s->plan.prm.join_ms))
		return;
	if (!w->opened || w->in_flight || w->held || has_live(w) ||
	    has_keys(s))
		w->said_ms = s->now_ms;
	if (s->now_ms > w->said_ms + most)
		rule_violated(s, RULE_LATE, "for %u ms",
			      (unsigned)(s->now_ms - w->said_ms));
}

static void check_endless(struct sim *s)
{
	uint64_t ms = s->now_ms - SIM_START_MS;

	if (ms > s->plan.prm.max_ms + CALL_ENDING_MAX_MS + late(s))
		rule_violated(s, RULE_ENDLESS, "%u ms, the most was %u",
			      (unsigned)ms, s->plan.prm.max_ms);
}

void rules_before(struct sim *s)
{
	carrier_advance(s, s->now_ms);
	if (s->phase != PHASE_UP)
		return;

	check_silence(s);
	check_hold(s);
	check_unfinished(s);
	check_late(s);
	check_endless(s);
}

/* ------------------------------------------------------------ one event */

static bool has_words(const struct sim *s)
{
	const struct watch *w = &s->watch;

	/* which interim is taken for the final, and when, is hard to tell */
	if (s->plan.prm.endpoint_ms)
		return w->most_words >= s->plan.prm.barge_words;

	return w->by_result && w->words >= s->plan.prm.barge_words;
}

static void check_barge_in(struct sim *s)
{
	const struct watch *w = &s->watch;
	bool fine = true;

	if (!w->cut || w->closing_ms || w->hung_up)
		return;

	if (w->cut_protected)
		rule_violated(s, RULE_PROTECTED, "utterance %u is cut",
			      w->cut_protected);
	switch (s->plan.prm.barge_in) {
	case CALL_BARGE_OFF:
		fine = false;
		break;
	case CALL_BARGE_DTMF:
		fine = has_keys(s);
		break;
	case CALL_BARGE_WORDS:
		fine = w->was_held || has_words(s) || has_keys(s);
		break;
	case CALL_BARGE_VAD:
		break;
	}
	if (!fine)
		rule_violated(s, RULE_BARGE_MODE, "utterance %u is cut",
			      w->cut);
}

static void note_protected(struct sim *s)
{
	const struct watch *w = &s->watch;

	if (!w->by_result || !w->words || w->cut)
		return;
	for (uint32_t i = w->last; i; i--) {
		const struct utterance_note *u = &w->utterancev[i];

		if (u->state == UTT_STARTED && u->protect) {
			sim_count(s, COUNT_PROTECTED);
			return;
		}
	}
}

static void note_pending(struct sim *s)
{
	struct watch *w = &s->watch;
	bool pending = !w->opened || w->in_flight || has_unheard(s);

	if (pending && !w->pending)
		w->pending_ms = s->now_ms;
	w->pending = pending;
}

void rules_after(struct sim *s)
{
	struct watch *w = &s->watch;

	check_barge_in(s);
	if (w->echoed)
		rule_violated(s, RULE_ECHO, "a word of its own is taken");
	secrecy_check(s);
	note_protected(s);
	note_pending(s);
	w->cut = w->cut_protected = 0;
	w->by_key = w->by_result = w->was_held = w->echoed = false;
}

/* --------------------------------------------------------------- the end */

void rules_hang_up(struct sim *s, enum call_end end)
{
	struct watch *w = &s->watch;

	if (w->hung_up)
		rule_violated(s, RULE_ONE_END, "a second hang-up");
	rules_op(s, "hang_up");
	trace(s, "call", "hang up: %s", call_end_name(end));
	w->hung_up = true;
	w->end = end;

	if (has_live(w) &&
	    (!w->closing_ms || s->now_ms < w->closing_ms + CALL_ENDING_MAX_MS))
		rule_violated(s, RULE_GOODBYE,
			      "hung up while something is being said");
}

/* Was it dropped by something later, or never in a position to be said? What
 * is lost for want of memory is apologised for, unless the call ends with it.
 */
static bool is_excused(const struct sim *s, const struct act_note *a)
{
	const struct watch *w = &s->watch;

	if (s->plan.starves &&
	    (w->sorry_ms >= a->at_ms ||
	     (w->closing_ms && w->closing_ms < a->at_ms + SHORT_MAX_MS)))
		return true;

	return w->dropped_ms >= a->at_ms || w->actc > CALL_UTTERANCES_MAX;
}

static void check_said(struct sim *s)
{
	const struct watch *w = &s->watch;

	if (!w->hung_up || !s->plan.prm.has_voice ||
	    (w->closing_ms && s->now_ms >= w->closing_ms + CALL_ENDING_MAX_MS))
		return;

	for (uint32_t i = 0; i < w->actc; i++) {
		const struct act_note *a = &w->actv[i];

		if (!a->accepted || is_excused(s, a))
			continue;
		for (uint32_t n = 0; n < a->wordc; n++) {
			if (!w->askedv[a->first_word + n])
				rule_violated(s, RULE_ACTS_SAID,
					      "word %u of turn %u",
					      a->first_word + n, a->turn);
		}
	}
}

void rules_at_end(struct sim *s)
{
	const struct watch *w = &s->watch;

	check_said(s);
	rules_lost(s);
	if (call_ended(s->call) != w->end)
		rule_violated(s, RULE_ONE_END, "%s and %s",
			      call_end_name(w->end),
			      call_end_name(call_ended(s->call)));
}

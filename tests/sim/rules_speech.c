/**
 * @file rules_speech.c  What must never happen: to what the bot says
 */
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/str.h>
#include "sim.h"

enum {
	TOLERANCE_MS = 100, /* of what was heard */
	NOBODYS_MAX = 2,    /* frames of a fade, or of a clip's odd end */
	WORD_BYTES = 6,     /* at most, with what is around it */
	TAIL_MS = 6,        /* of a clip, all fade: says nothing */
};

struct utterance_note *rules_note(struct sim *s, uint32_t utterance)
{
	struct watch *w = &s->watch;

	if (!utterance || utterance >= SIM_UTTERANCES_MAX) {
		rule_violated(s, RULE_NUMBERS, "utterance %u", utterance);
		utterance = 0;
	}

	return &w->utterancev[utterance];
}

bool rules_is_live(const struct utterance_note *u)
{
	return (u->state == UTT_ASKED || u->state == UTT_STARTED) &&
	       !u->failed;
}

bool rules_is_played(const struct sim *s, uint32_t utterance)
{
	const struct utterance_note *u = &s->watch.utterancev[utterance];
	const struct clip *c = speech_clip(s, utterance);

	return c && clip_is_ended(c) && u->heard_ms &&
	       u->heard_ms + 2 * FRAME_MS >= clip_len(c) / AUDIO_PER_MS;
}

static void over(struct sim *s, struct utterance_note *u,
		 enum utterance_state state)
{
	u->state = state;
	u->over_ms = s->now_ms;
	s->watch.progress_ms = s->now_ms;
}

/* --------------------------------------------------------------- asking */

/* The act that it is of, by its first word */
static void link_act(struct sim *s, struct utterance_note *u, const char *text)
{
	struct watch *w = &s->watch;
	const struct act_note *a;
	bool again = false;
	uint32_t n;

	u->act = 0;
	while (words_next(&text, 'b', &n)) {
		if (!u->act) {
			u->act = w->act_of_wordv[n];
			u->word = n;
			again = w->askedv[n];
		}
		w->askedv[n] = true;
	}
	if (!u->act) {
		u->wordless = true;
		w->wordless = w->turns;
		return;
	}

	a = &w->actv[u->act - 1];
	u->turn = a->turn;
	if (w->dropped_ms && w->dropped_ms >= a->at_ms)
		again = true; /* it was dropped, and is repeated */
	if (again) {
		/* nobody says how much of which time is told */
		w->wordless = w->turns;
		w->cut_known = false;
	}
	u->protect = a->protect;
}

void rules_utterance(struct sim *s, uint32_t utterance,
		     enum utterance_kind kind, const char *text,
		     const char *url)
{
	static const char *const namev[] = {"say", "play", "prompt", "pause"};
	struct utterance_note *u = rules_note(s, utterance);
	struct watch *w = &s->watch;

	rules_op(s, namev[kind]);
	trace(s, "call", "%s %u: %.60s %s", namev[kind], utterance, text, url);
	if (u->state != UTT_NONE && !u->failed)
		rule_violated(s, RULE_NUMBERS, "utterance %u comes again",
			      utterance);
	if (u->failed && kind == KIND_SAY)
		sim_count(s, COUNT_FALLBACK);
	if (kind == KIND_PAUSE)
		sim_count(s, COUNT_PAUSE);

	w->last = MAX(w->last, utterance);
	w->progress_ms = s->now_ms;
	if (u->state == UTT_NONE && kind != KIND_PROMPT &&
	    kind != KIND_PAUSE) {
		link_act(s, u, text);
		if (str_starts(text, "greeting")) {
			u->protect = s->plan.prm.greeting_protect;
		}
	}
	u->state = UTT_ASKED;
	u->kind = kind;
	u->failed = false;
}

int rules_asked(struct sim *s, uint32_t utterance, int err)
{
	if (err) {
		trace(s, "voice", "utterance %u: %s", utterance,
		      strerror(err));
		rules_note(s, utterance)->failed = true;
	}

	return err;
}

void rules_prompt(struct sim *s, uint32_t utterance, enum call_prompt prompt)
{
	struct watch *w = &s->watch;

	trace(s, "call", "which is prompt %d", (int)prompt);
	sim_count(s, (enum sim_count)(COUNT_PROMPT_APOLOGY + (int)prompt));
	rules_note(s, utterance)->sorry = prompt == CALL_PROMPT_APOLOGY;
	if (prompt == CALL_PROMPT_APOLOGY)
		w->sorry_ms = s->now_ms;
	if (prompt == CALL_PROMPT_CLOSING && !w->closing_ms)
		w->closing_ms = s->now_ms;
	if (prompt == CALL_PROMPT_GREETING && s->plan.prm.greeting_protect)
		rules_note(s, utterance)->protect = true;
}

/* We end it ourselves */
void rules_close(struct sim *s)
{
	if (!s->watch.closing_ms)
		s->watch.closing_ms = s->now_ms;
}

void rules_started(struct sim *s, uint32_t utterance)
{
	struct utterance_note *u = rules_note(s, utterance);

	++s->watch.ops;
	s->watch.progress_ms = s->now_ms;
	if (u->state == UTT_ASKED)
		u->state = UTT_STARTED;
	secrecy_started(s, u);
}

/* ---------------------------------------------------------------- frames */

/* A clip that is said again belongs to two: the first goes first */
static uint32_t find_live(const struct sim *s, uint32_t token, uint32_t pos_ms)
{
	const struct watch *w = &s->watch;
	uint32_t found = 0;

	for (uint32_t i = 1; i <= w->last; i++) {
		const struct utterance_note *u = &w->utterancev[i];
		const struct clip *c;

		if (u->token != token || !rules_is_live(u))
			continue;
		found = i;
		if (pos_ms && u->next_ms == pos_ms)
			break;
		c = speech_clip(s, i);
		if (c && (!clip_is_ended(c) ||
			  u->next_ms + TAIL_MS < clip_len(c) / AUDIO_PER_MS))
			break;
	}

	return found;
}

static uint32_t find_dropped(const struct watch *w, uint32_t token)
{
	uint32_t i = w->last;

	while (i && w->utterancev[i].token != token)
		--i;

	return i;
}

static void check_filler(struct sim *s)
{
	if (!s->watch.filler)
		rule_violated(s, RULE_FILLER, "sent while it is off");
}

static void check_nobodys(struct sim *s)
{
	if (++s->watch.nobodys > NOBODYS_MAX)
		rule_violated(s, RULE_STALE_AUDIO,
			      "%u frames in a row are nobody's",
			      s->watch.nobodys);
}

void rules_frame(struct sim *s, struct frame *f)
{
	const struct carrier_kind *k = &s->plan.carrier;
	struct watch *w = &s->watch;
	uint64_t most = s->now_ms + k->delay_ms + k->jitter_ms +
			s->plan.lead_ms + 2 * FRAME_MS;

	++w->ops;
	w->progress_ms = s->now_ms;
	if (f->starts_ms > most)
		rule_violated(s, RULE_LEAD, "%u ms too much",
			      (unsigned)(f->starts_ms - most));
	if (w->held)
		rule_violated(s, RULE_STALE_AUDIO, "sent while held");

	if (f->token == TOKEN_FILLER) {
		w->nobodys = 0;
		check_filler(s);
		return;
	}
	if (!f->token) {
		check_nobodys(s);
		return;
	}

	w->nobodys = 0;
	f->utterance = find_live(s, f->token, f->pos_ms);
	if (!f->utterance) {
		rule_violated(s, RULE_STALE_AUDIO, "of utterance %u",
			      find_dropped(w, f->token));
		return;
	}
	w->utterancev[f->utterance].sent_ms += FRAME_MS;
	w->utterancev[f->utterance].next_ms = f->pos_ms + FRAME_MS;
}

/* The speaker has begun to play it */
void rules_played(struct sim *s, const struct frame *f)
{
	const struct carrier_kind *k = &s->plan.carrier;
	struct watch *w = &s->watch;
	struct utterance_note *u = &w->utterancev[f->utterance];
	uint64_t late = k->delay_ms + k->jitter_ms + FRAME_MS;

	u->heard_ms = MAX(u->heard_ms, f->pos_ms + FRAME_MS);
	u->played_ms = f->starts_ms + FRAME_MS;
	if (k->eagain || s->carrier.dead || !f->utterance)
		return;
	if (u->state == UTT_ABANDONED && f->starts_ms > u->over_ms + late)
		rule_violated(s, RULE_STALE_LINE,
			      "utterance %u, %u ms after it was dropped",
			      f->utterance,
			      (unsigned)(f->starts_ms - u->over_ms));
	if (w->held && f->starts_ms > w->held_ms + late)
		rule_violated(s, RULE_STALE_LINE,
			      "utterance %u, %u ms into a hold", f->utterance,
			      (unsigned)(f->starts_ms - w->held_ms));
}

/* ------------------------------------------------------------------ heard */

static uint32_t tolerance(const struct sim *s)
{
	return TOLERANCE_MS + s->plan.carrier.jitter_ms;
}

/* Three utterances of one clip that runs dry: whose its frames are nobody can
 * tell */
static bool is_said_again(const struct watch *w, uint32_t utterance)
{
	uint32_t same = 0;

	for (uint32_t i = 1; i <= w->last; i++)
		same += w->utterancev[i].token ==
			w->utterancev[utterance].token;

	return same > 1;
}

/* Is something of it still to be played, for longer than a message takes? */
static bool is_at_carrier(struct sim *s, uint32_t utterance)
{
	const struct carrier *c = &s->carrier;
	uint64_t soon = s->now_ms + s->plan.carrier.delay_ms + tolerance(s);

	for (size_t i = c->framec; i-- > 0;) {
		const struct frame *f =
			&c->framev[(c->first + i) % CARRIER_FRAMES_MAX];

		if (f->starts_ms <= soon)
			return false;
		if (f->utterance == utterance)
			return true;
	}

	return false;
}

void rules_finished(struct sim *s, uint32_t utterance, bool heard)
{
	struct utterance_note *u = rules_note(s, utterance);
	const struct clip *c = speech_clip(s, utterance);
	uint32_t ms = carrier_heard_ms(s, utterance);

	++s->watch.ops;
	if (u->sorry)
		s->watch.sorry_ms = s->now_ms;
	if (c && clip_is_ended(c))
		u->total_ms = (uint32_t)(clip_len(c) / AUDIO_PER_MS);
	if (u->state == UTT_FINISHED)
		rule_violated(s, RULE_HEARD, "utterance %u twice", utterance);
	/* one of a few milliseconds is nothing but fades */
	if (heard && !is_said_again(&s->watch, utterance) &&
	    ((!u->sent_ms && u->total_ms >= FRAME_MS) ||
	     ms + tolerance(s) < u->total_ms || is_at_carrier(s, utterance)))
		rule_violated(s, RULE_HEARD, "utterance %u: %u of %u ms",
			      utterance, ms, u->total_ms);
	if (!heard && u->sent_ms && rules_is_live(u))
		rule_violated(s, RULE_HEARD, "utterance %u was heard",
			      utterance);
	if (!heard && rules_is_live(u))
		rule_violated(s, RULE_SOUNDLESS, "utterance %u", utterance);
	if (rules_is_live(u))
		over(s, u, UTT_FINISHED);
}

/* Our voices speak each letter of a text for as long */
static void check_text(struct sim *s, uint32_t utterance,
		       const struct call_heard *h, uint32_t ms)
{
	const struct utterance_note *u = rules_note(s, utterance);
	uint32_t most, least;

	if (!h->timed || !u->speech_ms)
		return;

	/* the last word that began may have been cut, and counts as unheard */
	most = u->text * (ms + TOLERANCE_MS) / u->speech_ms;
	least = u->text * (ms - MIN(ms, (uint32_t)TOLERANCE_MS)) /
		u->speech_ms;
	if (h->text > most || h->text + 2 * WORD_BYTES < least)
		rule_violated(s, RULE_HEARD_MS, "utterance %u: %u bytes of it",
			      utterance, h->text);
}

void rules_heard(struct sim *s, uint32_t utterance, const struct call_heard *h)
{
	uint32_t ms = carrier_heard_ms(s, utterance);

	++s->watch.ops;
	trace(s, "call", "heard of %u: %u of %u ms (%u), %u bytes", utterance,
	      h->ms, h->total_ms, ms, h->text);
	if (!carrier_behaves(s) || is_said_again(&s->watch, utterance))
		return;
	check_text(s, utterance, h, ms);
	if (h->ms > ms + TOLERANCE_MS || h->ms + TOLERANCE_MS < ms)
		rule_violated(s, RULE_HEARD_MS, "utterance %u: %u ms, was %u",
			      utterance, h->ms, ms);
}

/* --------------------------------------------------------------- the floor */

/* How much the caller has heard of the answer that is cut here */
static void measure_cut(struct sim *s, uint32_t cut)
{
	struct watch *w = &s->watch;
	uint32_t turn = w->utterancev[cut].turn;

	w->cut_ms = 0;
	w->cut_tolerance_ms = TOLERANCE_MS;
	w->cut_known = turn > w->wordless && carrier_behaves(s) &&
		       s->plan.prm.has_voice && !s->plan.manager.dull;
	for (uint32_t i = 1; i <= w->last; i++) {
		const struct utterance_note *u = &w->utterancev[i];

		if (u->state == UTT_STARTED && u->turn != turn)
			w->cut_known = false;
		if (u->turn != turn || u->kind == KIND_PROMPT)
			continue;
		if (is_said_again(w, i))
			w->cut_known = false;
		w->cut_ms += carrier_heard_ms(s, i);
		w->cut_tolerance_ms += FRAME_MS; /* its last one */
	}
}

/* What sounds now would be cut by a stop or a hold */
static void note_cut(struct sim *s)
{
	struct watch *w = &s->watch;

	for (uint32_t i = 1; i <= w->last; i++) {
		const struct utterance_note *u = &w->utterancev[i];

		if (u->state != UTT_STARTED)
			continue;
		if (!w->cut)
			w->cut = i;
		if (u->protect)
			w->cut_protected = i;
	}
	w->was_held |= w->held;
}

void rules_stop_speaking(struct sim *s)
{
	struct watch *w = &s->watch;

	rules_op(s, "stop_speaking");
	trace(s, "call", "stop speaking");
	note_cut(s);
	if (w->cut) {
		++w->cuts;
		w->released_ms = s->now_ms;
		measure_cut(s, w->cut);
		if (!w->closing_ms)
			sim_count(s, COUNT_BARGE_IN);
	}
	if (w->held) {
		sim_count(s, COUNT_HOLD_DROPPED);
		w->released_ms = s->now_ms;
	}
	w->held = false;
	w->dropped_ms = s->now_ms;
	w->overtaken = w->in_flight;
	for (uint32_t i = 1; i <= w->last; i++) {
		if (rules_is_live(&w->utterancev[i]))
			over(s, &w->utterancev[i], UTT_ABANDONED);
	}
}

void rules_hold(struct sim *s)
{
	struct watch *w = &s->watch;

	rules_op(s, "hold");
	trace(s, "call", "hold");
	sim_count(s, COUNT_HOLD);
	if (w->held)
		rule_violated(s, RULE_HOLD, "held already");
	note_cut(s);
	/* from where it goes on nobody knows but playout */
	for (uint32_t i = 1; i <= w->last; i++)
		w->utterancev[i].next_ms = 0;
	w->held = true;
	w->held_ms = s->now_ms;
	w->words_in_hold = false;
}

/* Is what comes next, and was not asked for yet? */
static bool is_next_protected(const struct watch *w)
{
	if (w->protected_ms >= w->dropped_ms && w->protected_ms)
		return true;

	for (uint32_t i = 0; i < w->actc; i++) {
		const struct act_note *a = &w->actv[i];

		if (a->accepted && a->protect && a->at_ms >= w->dropped_ms &&
		    !w->askedv[a->first_word])
			return true;
	}

	return false;
}

/* What must be heard is heard, words or not. Of audio without a text we can't
 * tell. */
bool rules_is_protected(const struct watch *w)
{
	if (is_next_protected(w))
		return true;

	for (uint32_t i = 1; i <= w->last; i++) {
		const struct utterance_note *u = &w->utterancev[i];

		if (rules_is_live(u) && (u->protect || u->wordless))
			return true;
	}

	return false;
}

void rules_resume(struct sim *s)
{
	struct watch *w = &s->watch;

	rules_op(s, "resume");
	trace(s, "call", "resume");
	sim_count(s, COUNT_RESUME);
	if (!w->held)
		rule_violated(s, RULE_HOLD, "resumed without a hold");
	/* without a voice, an apology stands for what we don't recognise */
	if (w->words_in_hold && s->plan.prm.has_voice)
		rule_violated(s, RULE_FALSE_START, "a final has words");
	w->held = false;
	w->nobodys = 0;
	w->released_ms = w->progress_ms = s->now_ms;
}

void rules_filler(struct sim *s, bool on)
{
	rules_op(s, "filler");
	trace(s, "call", "filler %s", on ? "on" : "off");
	if (on)
		sim_count(s, COUNT_FILLER);
	s->watch.filler = on;
}

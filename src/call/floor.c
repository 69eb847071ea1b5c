/**
 * @file floor.c  Who may speak: the caller interrupts the bot
 *
 * In mode `vad` the bot falls silent as soon as the caller makes a sound, but
 * keeps what it had to say: only words make it an interruption. If there are
 * none within `barge_in.resume_ms` it was a cough, and the bot goes on. A
 * recogniser without interims says so by the end of the utterance only; until
 * then the bot waits. After two such in an answer it takes words to make the
 * bot pause: there is a television. In mode `words` it always does. Either way
 * the answer is void only with the final: interims come and go.
 */
#include <convod/metrics.h>
#include "call_priv.h"

enum {
	/* after words: for the final, or for more words. Recognisers report
	 * every 100 to 500 ms, and a final within 2 s of the last word. */
	WORDS_WAIT_MS = 3000,
	/* for the end of an utterance without words: hold music has none */
	HOLD_MAX_MS = 5000,
	/* in an answer; then it takes words: a television is no caller */
	FALSE_STARTS_MAX = 2,
};

/* What is being heard counts, or will be first. The end of one utterance may
 * not have been reported yet when the next one begins. */
static bool is_protected(const struct call *c)
{
	struct le *le;

	LIST_FOREACH(&c->utterancel, le)
	{
		const struct utterance *u = list_ledata(le);

		if (u->protect && (u->started || le == c->utterancel.head))
			return true;
	}

	return false;
}

static bool may_interrupt(const struct call *c, bool keys)
{
	if (c->ending || is_protected(c))
		return false;

	switch (c->prm.barge_in) {
	case CALL_BARGE_OFF:
		return false;
	case CALL_BARGE_DTMF:
		return keys;
	default:
		return true;
	}
}

/* Does a sound make the bot pause? Not where there were too many already */
static bool may_hold_for_sound(const struct call *c)
{
	return c->prm.barge_in == CALL_BARGE_VAD &&
	       c->false_starts < FALSE_STARTS_MAX && may_interrupt(c, false);
}

/* ----------------------------------------------------------------- hold */

/* Without words the caller is as silent as the bot, which must not last */
static uint64_t bounded(const struct call *c, uint64_t at)
{
	uint32_t most = MIN((uint32_t)HOLD_MAX_MS, c->prm.silence_limit_ms);

	return MIN(at, c->held_ms + most);
}

static uint64_t onset_resume_ms(const struct call *c, uint64_t now_ms)
{
	return bounded(c, c->interims ? now_ms + c->prm.resume_ms : NEVER);
}

static void hold(struct call *c, uint64_t now_ms)
{
	c->held = true;
	c->held_ms = c->quiet_ms = now_ms;
	wait_filler(c, false);
	c->in_op = true;
	c->ops->hold(c->arg);
	c->in_op = false;
	metrics_inc(M_HOLDS);
}

static void resume(struct call *c, uint64_t now_ms)
{
	c->held = false;
	c->resume_ms = NEVER;
	c->words = 0;
	c->fresh = false;
	c->quiet_ms = now_ms;
	++c->false_starts;
	metrics_inc(M_FALSE_STARTS);
	c->ops->resume(c->arg);
	wait_touch(c, now_ms);
	reply_ask(c, now_ms);
	turn_decide(c, now_ms);
	call_check_end(c);
}

/* What was heard was nothing */
void floor_false_start(struct call *c, uint64_t now_ms)
{
	if (c->held)
		resume(c, now_ms);
}

/* ----------------------------------------------------------------- take */

/**
 * The caller has said so many words, or pressed a key
 *
 * @return false: it has to wait until the bot has finished
 */
bool floor_take(struct call *c, bool keys, unsigned words, uint64_t now_ms)
{
	if (!c->held && !reply_is_sounding(c)) {
		if (c->prm.replace && c->prm.forgets && c->utterancec &&
		    !c->ending && !is_protected(c))
			reply_interrupt(c, now_ms);
		return true;
	}
	if (!may_interrupt(c, keys))
		return false;
	if (!keys && !c->held && c->prm.barge_in == CALL_BARGE_WORDS &&
	    words < c->prm.barge_words)
		return false;

	reply_interrupt(c, now_ms);

	return true;
}

void floor_interim(struct call *c, unsigned words, uint64_t now_ms)
{
	unsigned enough = 1;

	c->words = words;
	if (!c->held) {
		if (c->prm.barge_in == CALL_BARGE_WORDS)
			enough = c->prm.barge_words;
		else if (!c->speaking && !c->fresh)
			return; /* late: of what a final has ended */
		if (words < enough || !reply_is_sounding(c) ||
		    !may_interrupt(c, false))
			return;
		hold(c, now_ms);
	}

	c->resume_ms = now_ms + WORDS_WAIT_MS;
}

static void onset(struct call *c, uint64_t now_ms)
{
	c->fresh = true;
	if (c->held) {
		if (!c->words)
			c->resume_ms = onset_resume_ms(c, now_ms);
	} else if (c->utterancec && may_hold_for_sound(c)) {
		hold(c, now_ms);
		c->resume_ms = onset_resume_ms(c, now_ms);
	}
}

void call_speech(struct call *c, bool speaking, uint64_t now_ms)
{
	if (c->ended || speaking == c->speaking)
		return;

	hear_speech(c, speaking, now_ms);
	secret_speech(c, now_ms);
	turn_speech(c, speaking, now_ms);
	wait_touch(c, now_ms);
	if (speaking)
		onset(c, now_ms);
	else if (c->held && !c->words)
		c->resume_ms = bounded(c, now_ms + c->prm.resume_ms);
}

/* The caller is speaking already when the answer comes: let them finish. Not
 * for what goes on for long without words, a noise. */
void floor_before_sound(struct call *c, uint64_t now_ms)
{
	bool talks = c->words ||
		     (c->fresh && now_ms < c->speech_ms + c->prm.resume_ms);

	if (c->held || !c->speaking || !talks || !may_hold_for_sound(c))
		return;

	hold(c, now_ms);
	c->resume_ms = c->words ? now_ms + WORDS_WAIT_MS
				: onset_resume_ms(c, now_ms);
}

uint64_t floor_next_ms(const struct call *c)
{
	return c->held ? c->resume_ms : NEVER;
}

void floor_tick(struct call *c, uint64_t now_ms)
{
	if (c->held && now_ms >= c->resume_ms)
		resume(c, now_ms);
}

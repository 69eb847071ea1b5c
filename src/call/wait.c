/**
 * @file wait.c  Silence: the caller's, and the bot's while an answer is made
 *
 * While something is pending the caller hears a filler after a while, and a
 * word at the latest after `silence.limit_ms`. While nothing is, it is the
 * caller's turn: after `silence.ms` they are asked again, a few times.
 */
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "call_priv.h"

/* Anything was heard or said: the caller's silence begins anew */
void wait_touch(struct call *c, uint64_t now_ms)
{
	c->touch_ms = now_ms;
}

/* The caller said or keyed in something */
void wait_answered(struct call *c, uint64_t now_ms)
{
	c->said_ms = c->touch_ms = now_ms;
	c->tries = 0;
	c->ask_ms = 0;
}

void wait_filler(struct call *c, bool on)
{
	if (c->filler == on)
		return;

	c->filler = on;
	c->ops->filler(on, c->arg);
}

/* ------------------------------------------- an answer is being made */

static bool is_pending(const struct call *c)
{
	return !c->ready || c->thinking || c->utterancec;
}

/* Something is asked for: silence counts from now on, unless the caller was
 * waiting until this very moment */
void wait_begins(struct call *c, uint64_t now_ms)
{
	if (!is_pending(c) && now_ms > c->pending_ms)
		c->quiet_ms = now_ms;
}

/* Something that was asked for is over */
void wait_ends(struct call *c, uint64_t now_ms)
{
	c->pending_ms = now_ms;
}

/* The caller hears nothing although something is pending. While the bot has
 * paused it is the caller who speaks: floor.c sees to the end of that. */
static bool is_waiting(const struct call *c)
{
	if (c->ending && !c->utterancec)
		return false;

	return !c->held && is_pending(c) && !reply_is_sounding(c);
}

static uint64_t limit_next_ms(const struct call *c)
{
	return is_waiting(c) ? c->quiet_ms + c->prm.silence_limit_ms : NEVER;
}

static void limit_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= limit_next_ms(c))
		reply_wait(c, now_ms);
}

static uint64_t filler_next_ms(const struct call *c)
{
	if (!c->prm.filler_ms || c->filler || !c->thinking || c->ending ||
	    !is_waiting(c))
		return NEVER;

	return MAX(c->asked_ms, c->quiet_ms) + c->prm.filler_ms;
}

static void filler_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= filler_next_ms(c))
		wait_filler(c, true);
}

/* -------------------------------------------------- nobody says anything */

static bool is_idle(const struct call *c)
{
	return c->ready && !c->thinking && !c->ending && !c->held &&
	       !c->utterancec && !turn_has_pending(c) && !c->digitc &&
	       c->greeted;
}

static uint64_t nobody_next_ms(const struct call *c)
{
	uint32_t ms = c->ask_ms ? c->ask_ms : c->prm.silence_ms;

	if (!ms || !is_idle(c))
		return NEVER;

	/* whoever makes sounds may be about to say something; a radio isn't */
	return c->touch_ms + (c->speaking ? 2 * (uint64_t)ms : ms);
}

static void say_hello(struct call *c, uint64_t now_ms)
{
	const struct call_sound s = {.text = c->prm.silence_text};

	if (c->prm.silence == CALL_SILENCE_ASK && c->prm.knows_nobody)
		turn_send(c, DIALOG_NOBODY, now_ms);
	else if (c->prm.silence == CALL_SILENCE_SAY && c->prm.has_voice)
		answer_say(c, &s, false, now_ms);
	else if (!answer_repeat(c, now_ms))
		reply_prompt(c, CALL_PROMPT_HELLO, now_ms);
}

static void nobody_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms < nobody_next_ms(c))
		return;

	wait_touch(c, now_ms);
	metrics_inc(M_REPROMPTS);
	if (c->ask_ms) {
		/* the dialog manager counts by itself how often it asks */
		turn_send(c, DIALOG_NOBODY, now_ms);
	} else if (c->tries++ < c->prm.silence_tries) {
		say_hello(c, now_ms);
	} else {
		call_close(c, CALL_END_SILENCE, now_ms);
	}
}

static uint64_t idle_next_ms(const struct call *c)
{
	return c->prm.idle_ms && !c->ending ? c->said_ms + c->prm.idle_ms
					    : NEVER;
}

static void idle_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= idle_next_ms(c))
		call_close(c, CALL_END_IDLE, now_ms);
}

/* ------------------------------------------------------------- greeting */

static void greeting_tick(struct call *c, uint64_t now_ms)
{
	if (c->greeted)
		return;

	c->greeted = true;
	c->protect = c->prm.greeting_protect;
	if (c->prm.greeting == CALL_GREETING_SOUND)
		answer_say(c, &c->prm.greeting_sound, true, now_ms);
	else if (c->prm.greeting == CALL_GREETING_PROMPT)
		reply_prompt(c, CALL_PROMPT_GREETING, now_ms);
	c->protect = false;
}

/* ---------------------------------------------------------------- time */

uint64_t wait_next_ms(const struct call *c)
{
	uint64_t next = c->greeted ? NEVER : c->start_ms;

	next = MIN(next, limit_next_ms(c));
	next = MIN(next, filler_next_ms(c));
	next = MIN(next, nobody_next_ms(c));

	return MIN(next, idle_next_ms(c));
}

void wait_tick(struct call *c, uint64_t now_ms)
{
	greeting_tick(c, now_ms);
	limit_tick(c, now_ms);
	filler_tick(c, now_ms);
	nobody_tick(c, now_ms);
	if (!c->ended)
		idle_tick(c, now_ms);
}

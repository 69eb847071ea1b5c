/**
 * @file call.c  A conversation's life, from `start` to its reason to end
 *
 *  call_alloc()
 *      │
 *  ┌───▼─────┐  call_dialog_open()   ┌───────────┐
 *  │ opening │──────────────────────▶│ listening │◀─────┐ call_done(); or
 *  └─────────┘                       └─────┬─────┘      │ interrupted, where
 *           the bot speaks first, a final, │ turn()     │ the turn can be
 *           keys, nobody says anything     │            │ forgotten
 *                                    ┌─────▼────┐       │
 *      what is said while it thinks  │ thinking │───────┘
 *      goes into the next turn, or   └──────────┘
 *      replaces the one in flight
 *
 *  from any of these: the dialog manager hangs up or transfers, a key does,
 *      │ silence, idle, repeated, too long, call_drain()
 *  ┌───▼────┐  all that is to be said was heard,    ┌───────┐  call_stop(),
 *  │ ending │──────────────────────────────────────▶│ ended │◀─────────────
 *  └────────┘  or CALL_ENDING_MAX_MS have passed    └───────┘  from anywhere
 *
 * Beside that, who has the floor (floor.c, reply.c):
 *
 *   ┌───────┐─────── 1 ──────▶┌──────────┐─────── 3 ──────▶┌──────┐
 *   │ quiet │                 │ speaking │                 │ held │
 *   └───────┘◀────── 2 ───────└──────────┘◀────── 4 ───────└──────┘
 *      │ ▲                                                   ▲ │
 *      │ └─────────────────────────  5 ──────────────────────┼─┘
 *      └───────────────────────────  6 ──────────────────────┘
 *
 *	1 audio leaves
 *	2 all was heard; or a final or a key: stop_speaking()
 *	3 the caller makes a sound, or says enough words: hold()
 *	4 there were no words: resume()
 *	5 a final or a key: stop_speaking(); or resume(), and nothing is left
 *	6 the caller speaks when the answer comes: hold()
 *
 * From what is protected, and from a goodbye, nobody takes the floor.
 *
 * The two are independent: the bot may speak while it listens and while it
 * thinks (an answer that comes in pieces).
 *
 *	echo.c tells hear.c what the bot itself has said, secret.c whether what
 *	the caller gives is for nobody's eyes
 *	hear.c, keys.c ──▶ turn.c ──▶ (dialog manager) ──▶ answer.c ──▶ reply.c
 *	       └────▶ floor.c ◀───────────────────────────────────────────┘
 *	wait.c watches the silence
 *
 * Owner graph: whoever made the call owns it; it owns texts, its utterances,
 * and references to the clips in them.
 */
#include <errno.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "call_priv.h"

static void destructor(void *arg)
{
	struct call *c = arg;

	reply_flush(c);
	answer_forget(c);
	hear_discard(c);
	turn_forget(c);
	mem_deref(c->first);
	mem_deref(c->heard);
	mem_deref(c->language);
	mem_deref(c->id);
}

int call_alloc(struct call **cp, const struct call_param *prm,
	       const struct call_ops *ops, void *arg, uint64_t now_ms)
{
	struct call *c = mem_zalloc(sizeof(*c), destructor);
	int err;

	if (!c)
		return ENOMEM;

	c->prm = *prm;
	c->ops = ops;
	c->arg = arg;
	c->start_ms = c->quiet_ms = c->touch_ms = c->said_ms = now_ms;
	c->decide_ms = c->take_ms = c->digits_ms = c->deaf_ms = NEVER;
	c->resume_ms = c->sorry_ms = NEVER;
	c->next_id = c->answer = 1;
	keys_reset(c);

	err = str_dup(&c->id, prm->id);
	if (!err)
		err = str_dup(&c->language, prm->language);
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

const char *call_end_name(enum call_end end)
{
	static const char *const namev[CALL_ENDS] = {
		[CALL_UP] = "up",
		[CALL_END_CALLER] = "caller",
		[CALL_END_BOT] = "bot",
		[CALL_END_TRANSFER] = "transfer",
		[CALL_END_SILENCE] = "silence",
		[CALL_END_IDLE] = "idle",
		[CALL_END_REPEATED] = "repeated",
		[CALL_END_TOO_LONG] = "too_long",
		[CALL_END_SHUTDOWN] = "shutdown",
		[CALL_END_PROTOCOL] = "protocol",
		[CALL_END_STUCK] = "stuck",
		[CALL_END_ERROR] = "error",
	};

	return namev[end];
}

const char *call_unsent_name(enum call_unsent why)
{
	static const char *const namev[CALL_UNSENTS] = {
		[CALL_UNSENT_ENDED] = "call ending",
		[CALL_UNSENT_TOO_LONG] = "too long",
		[CALL_UNSENT_MEMORY] = "no memory",
		[CALL_UNSENT_COLLECTING] = "keys are collected",
		[CALL_UNSENT_KNOWN] = "taken already",
		[CALL_UNSENT_ACTION] = "key with an action",
		[CALL_UNSENT_FAILED] = "turn not taken",
		[CALL_UNSENT_ECHO] = "the bot's own words",
	};

	return namev[why];
}

void call_unsent(struct call *c, const char *text, bool sensitive,
		 enum call_unsent why)
{
	c->ops->unsent(sensitive ? "***" : text, why, c->arg);
}

/* ------------------------------------------------------------- the end */

static void end_now(struct call *c, enum call_end end)
{
	c->ended = end;
	c->ops->hang_up(end, c->arg);
}

static void begin_end(struct call *c, enum call_end end, uint64_t now_ms)
{
	c->ending = end;
	c->ending_ms = now_ms;
	turn_discard(c);
}

/* Hang up once everything has been said. The first reason stands. */
void call_end_when_said(struct call *c, enum call_end end, uint64_t now_ms)
{
	if (!c->ending)
		begin_end(c, end, now_ms);
	call_check_end(c);
}

void call_check_end(struct call *c)
{
	if (c->ending && !c->ended && !c->utterancec)
		end_now(c, c->ending);
}

/* Whatever was going on is over */
void call_cut(struct call *c, uint64_t now_ms)
{
	if (c->thinking)
		c->ops->cancel_turn(c->arg);
	c->thinking = false;
	reply_silence(c, now_ms);
}

/* End it ourselves: one sentence, good-bye */
void call_close(struct call *c, enum call_end end, uint64_t now_ms)
{
	if (c->ending || c->ended)
		return;

	call_cut(c, now_ms);
	/* first: the caller can't make the goodbye wait any more */
	begin_end(c, end, now_ms);
	reply_prompt(c, CALL_PROMPT_CLOSING, now_ms);
	call_check_end(c);
}

void call_drain(struct call *c, uint64_t now_ms)
{
	call_close(c, CALL_END_SHUTDOWN, now_ms);
}

void call_stop(struct call *c, enum call_end end)
{
	if (!c->ended)
		c->ended = end;
	c->thinking = false;
	turn_discard(c);
	reply_flush(c);
	answer_forget(c);
}

enum call_end call_ended(const struct call *c)
{
	return c->ended;
}

/* ---------------------------------------------------------------- time */

/* When something must have ended that does not end by itself: a goodbye whose
 * audio never comes, or one that has no end */
static uint64_t ending_next_ms(const struct call *c)
{
	uint64_t at = c->start_ms + c->prm.max_ms;

	if (!c->ending)
		return at;

	at = MAX(at, c->ending_ms) + CALL_ENDING_MAX_MS;
	if (!reply_is_sounding(c))
		at = MIN(at,
			 MAX(c->ending_ms, c->spoke_ms) + CALL_ENDING_MAX_MS);

	return at;
}

static void ending_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms < ending_next_ms(c))
		return;

	if (!c->ending) {
		call_close(c, CALL_END_TOO_LONG, now_ms);
	} else {
		reply_silence(c, now_ms);
		end_now(c, c->ending);
	}
}

static uint64_t warning_next_ms(const struct call *c)
{
	if (!c->prm.warn_ms || c->warned || c->ending ||
	    c->prm.warn_ms >= c->prm.max_ms)
		return NEVER;

	return c->start_ms + c->prm.max_ms - c->prm.warn_ms;
}

uint64_t call_next_ms(const struct call *c)
{
	uint64_t next;

	if (c->ended)
		return NEVER;

	next = MIN(ending_next_ms(c), warning_next_ms(c));
	next = MIN(next, turn_next_ms(c));
	next = MIN(next, hear_next_ms(c));
	next = MIN(next, keys_next_ms(c));
	next = MIN(next, secret_next_ms(c));
	next = MIN(next, floor_next_ms(c));
	next = MIN(next, reply_next_ms(c));

	return MIN(next, wait_next_ms(c));
}

void call_tick(struct call *c, uint64_t now_ms)
{
	static void (*const tickv[])(struct call *, uint64_t) = {
		ending_tick, hear_tick,  keys_tick, secret_tick,
		floor_tick,  reply_tick, wait_tick, turn_decide,
	};

	for (size_t i = 0; i < ARRAY_SIZE(tickv) && !c->ended; i++)
		tickv[i](c, now_ms);

	if (!c->ended && now_ms >= warning_next_ms(c)) {
		c->warned = true;
		reply_prompt(c, CALL_PROMPT_WARNING, now_ms);
	}
}

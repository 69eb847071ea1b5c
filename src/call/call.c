/**
 * @file call.c  A conversation's life, from `start` to its reason to end
 *
 *              call_alloc
 *                   │
 *            ┌──────▼──────┐ call_dialog_open  ┌─────────────┐
 *            │   opening   │──────────────────▶│  listening  │◀───┐
 *            └──────┬──────┘ (an opening turn  └──────┬──────┘    │
 *                   │      if the bot speaks first)   │ final,    │ done,
 *                   │                                 │ digits    │ nothing
 *                   │ hang-up, transfer,       ┌──────▼──────┐    │ pending
 *                   │ too long,                │  thinking   │────┘
 *                   │ shutting down            └──────┬──────┘
 *            ┌──────▼──────┐                          │ finals meanwhile go
 *            │   ending    │◀─────────────────────────┘ into the next turn
 *            └──────┬──────┘
 *                   │ all that is to be said was heard
 *            ┌──────▼──────┐
 *            │    ended    │◀── call_stop() from anywhere
 *            └─────────────┘
 *
 * Speaking is not a state of its own: the bot may speak while it listens
 * (a final then interrupts it) and while it thinks (an answer that comes in
 * pieces). `utterancev` holds what is to be said or being heard.
 *
 * Owner graph: whoever made the call owns it; it owns only text.
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
	mem_deref(c->pending);
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
	c->start_ms = c->quiet_ms = now_ms;
	c->decide_ms = c->digits_ms = c->deaf_ms = NEVER;
	c->next_id = 1;

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
	static const char *const namev[] = {
		[CALL_UP] = "up",
		[CALL_END_CALLER] = "caller",
		[CALL_END_BOT] = "bot",
		[CALL_END_TRANSFER] = "transfer",
		[CALL_END_TOO_LONG] = "too_long",
		[CALL_END_SHUTDOWN] = "shutdown",
		[CALL_END_PROTOCOL] = "protocol",
		[CALL_END_STUCK] = "stuck",
		[CALL_END_ERROR] = "error",
	};

	return namev[end];
}

/* ------------------------------------------------------------- the end */

/* Hang up once everything has been said. The first reason stands. */
void call_end_when_said(struct call *c, enum call_end end)
{
	if (!c->ending)
		c->ending = end;
	call_check_end(c);
}

void call_check_end(struct call *c)
{
	if (!c->ending || c->ended || c->utterancec)
		return;

	c->ended = c->ending;
	c->ops->hang_up(c->ended, c->arg);
}

/* End it ourselves: whatever was going on is over, one sentence, good-bye */
static void close_call(struct call *c, enum call_end end, uint64_t now_ms)
{
	if (c->ending || c->ended)
		return;

	if (c->thinking)
		c->ops->cancel_turn(c->arg);
	c->thinking = false;
	c->ops->stop_speaking(c->arg);
	reply_flush(c);
	reply_prompt(c, CALL_PROMPT_CLOSING, false, now_ms);
	call_end_when_said(c, end);
}

void call_drain(struct call *c, uint64_t now_ms)
{
	close_call(c, CALL_END_SHUTDOWN, now_ms);
}

void call_stop(struct call *c, enum call_end end)
{
	if (!c->ended)
		c->ended = end;
	c->thinking = false;
	if (c->pendingc)
		log_info(c->id, "said, not sent", "why=\"call ended\"");
	c->pendingc = 0;
}

enum call_end call_ended(const struct call *c)
{
	return c->ended;
}

/* ---------------------------------------------------------------- time */

uint64_t call_next_ms(const struct call *c)
{
	uint64_t next;

	if (c->ended)
		return NEVER;

	next = MIN(turn_next_ms(c), reply_next_ms(c));
	if (!c->ending)
		next = MIN(next, c->start_ms + c->prm.max_ms);

	return next;
}

void call_tick(struct call *c, uint64_t now_ms)
{
	if (c->ended)
		return;

	if (now_ms >= c->start_ms + c->prm.max_ms)
		close_call(c, CALL_END_TOO_LONG, now_ms);

	turn_tick(c, now_ms);
	reply_tick(c, now_ms);
}

/**
 * @file reply.c  From the dialog manager's acts to what the caller hears
 *
 * An utterance lives from its act until call_finished(). When its audio fails
 * before anything was heard, the voice speaks its text instead, and if that
 * fails too the caller hears the apology: every failure has a voice.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "call_priv.h"

static struct utterance *find(struct call *c, uint32_t id)
{
	for (size_t i = 0; i < c->utterancec; i++) {
		if (c->utterancev[i].id == id)
			return &c->utterancev[i];
	}

	return NULL;
}

static void forget(struct call *c, struct utterance *u)
{
	size_t i = (size_t)(u - c->utterancev);

	mem_deref(u->text);
	--c->utterancec;
	memmove(u, u + 1, (c->utterancec - i) * sizeof(*u));
}

void reply_flush(struct call *c)
{
	while (c->utterancec)
		forget(c, &c->utterancev[c->utterancec - 1]);
}

static struct utterance *add(struct call *c, enum utterance_kind kind,
			     const char *text, uint64_t now_ms)
{
	struct utterance *u;

	if (c->utterancec == CALL_UTTERANCES_MAX) {
		log_warn(c->id, "utterance dropped", "why=\"too many\"");
		return NULL;
	}

	/* the silence that counts begins when something is pending */
	if (!c->utterancec && !c->thinking)
		c->quiet_ms = now_ms;

	u = &c->utterancev[c->utterancec++];
	*u = (struct utterance){.id = c->next_id++, .kind = kind};
	/* without memory there is no text to fall back on, that is all */
	if (str_isset(text) && str_dup(&u->text, text))
		u->text = NULL;

	return u;
}

/* The audio of an utterance can't be had: next best */
static void fall_back(struct call *c, struct utterance *u)
{
	uint32_t id = u->id;

	if (u->kind == U_PLAY && u->text && c->prm.has_voice) {
		u->kind = U_SAY;
		if (!c->ops->say(id, u->text, c->arg))
			return;
	}

	if (u->kind != U_PROMPT) {
		u->kind = U_PROMPT;
		metrics_inc(M_APOLOGIES);
		if (!c->ops->prompt(id, CALL_PROMPT_APOLOGY, false, c->arg))
			return;
	}

	forget(c, u);
}

/* ---------------------------------------------------------------- acts */

static void say(struct call *c, const char *text, uint64_t now_ms)
{
	struct utterance *u = str_isset(text) ? add(c, U_SAY, text, now_ms)
					      : NULL;

	if (!u)
		return;

	if (!c->prm.has_voice || c->ops->say(u->id, text, c->arg))
		fall_back(c, u);
}

static void play(struct call *c, const struct dialog_act *act, uint64_t now_ms)
{
	struct utterance *u = add(c, U_PLAY, act->text, now_ms);

	if (!u)
		return;

	if (c->ops->play(u->id, act->url, act->origin, c->arg))
		fall_back(c, u);
}

void call_act(struct call *c, const struct dialog_act *act, uint64_t now_ms)
{
	/* after a hang-up act there is nothing left to say */
	if (c->ended || c->ending || !c->thinking)
		return;

	switch (act->type) {
	case DIALOG_SAY:
		say(c, act->text, now_ms);
		break;
	case DIALOG_PLAY:
		play(c, act, now_ms);
		break;
	case DIALOG_HANGUP:
		call_end_when_said(c, CALL_END_BOT);
		break;
	case DIALOG_TRANSFER:
		log_info(c->id, "transfer asked for", NULL);
		call_end_when_said(c, CALL_END_TRANSFER);
		break;
	default:
		break;
	}
}

void reply_prompt(struct call *c, enum call_prompt prompt, bool first,
		  uint64_t now_ms)
{
	struct utterance *u = add(c, U_PROMPT, NULL, now_ms);

	if (u && c->ops->prompt(u->id, prompt, first, c->arg))
		forget(c, u);
}

void reply_apologise(struct call *c, uint64_t now_ms)
{
	if (c->ending)
		return;

	metrics_inc(M_APOLOGIES);
	reply_prompt(c, CALL_PROMPT_APOLOGY, false, now_ms);
}

/* ------------------------------------------------------------ hearing it */

bool reply_is_sounding(const struct call *c)
{
	for (size_t i = 0; i < c->utterancec; i++) {
		if (c->utterancev[i].started)
			return true;
	}

	return false;
}

static uint32_t heard_ms(const struct call *c)
{
	uint32_t ms = 0;

	for (size_t i = 0; i < c->utterancec; i++) {
		if (c->utterancev[i].started)
			ms += c->ops->heard_ms(c->utterancev[i].id, c->arg);
	}

	return ms;
}

/* The caller takes the floor: what is left of the answer is void */
void reply_interrupt(struct call *c, uint64_t now_ms)
{
	(void)now_ms;

	if (!c->utterancec)
		return;

	if (reply_is_sounding(c)) {
		c->interrupted = true;
		c->heard_ms = heard_ms(c);
		metrics_inc(M_BARGE_INS);
	}
	c->ops->stop_speaking(c->arg);
	reply_flush(c);
}

void call_audio_failed(struct call *c, uint32_t utterance, int err,
		       uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	(void)now_ms;
	if (c->ended || !u || u->started)
		return;

	log_warn(c->id, "reply audio failed", "utterance=%u err=\"%s\"",
		 utterance, strerror(err));
	fall_back(c, u);
	call_check_end(c);
}

void call_started(struct call *c, uint32_t utterance, uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	(void)now_ms;
	if (u)
		u->started = true;
}

void call_finished(struct call *c, uint32_t utterance, bool heard,
		   uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	(void)heard;
	if (c->ended || !u)
		return;

	forget(c, u);
	c->quiet_ms = now_ms;
	call_check_end(c);
}

/* ---------------------------------------------------------------- time */

/* The caller hears nothing although an answer is pending */
static bool is_waiting(const struct call *c)
{
	return !c->ending && (!c->ready || c->thinking || c->utterancec) &&
	       !reply_is_sounding(c);
}

uint64_t reply_next_ms(const struct call *c)
{
	return is_waiting(c) ? c->quiet_ms + c->prm.silence_limit_ms : NEVER;
}

void reply_tick(struct call *c, uint64_t now_ms)
{
	if (c->ended || now_ms < reply_next_ms(c))
		return;

	c->quiet_ms = now_ms;
	reply_prompt(c, CALL_PROMPT_WAIT, true, now_ms);
}

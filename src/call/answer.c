/**
 * @file answer.c  From the dialog manager's acts to utterances
 *
 * A text becomes one utterance a sentence. The last answer is remembered, to
 * say it again, and so is how much of it the caller has heard.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/sentence.h>
#include <convod/str.h>
#include "call_priv.h"

enum { LAST_MAX = 64 /* utterances of an answer that can be said again */ };

static void sound_destructor(void *arg)
{
	struct sound *s = arg;

	mem_deref(s->text);
	mem_deref(s->voice);
	mem_deref(s->language);
	mem_deref(s->url);
	mem_deref(s->origin);
	mem_deref(s->clip);
}

static int copy(char **dst, const char *src, size_t n)
{
	return str_isset(src) && n ? str_ndup(dst, src, n) : 0;
}

static int copy_all(char **dst, const char *src)
{
	return copy(dst, src, src ? strlen(src) : 0);
}

static struct sound *sound_make(const struct call_sound *from, size_t textc,
				bool protect)
{
	struct sound *s = mem_zalloc(sizeof(*s), sound_destructor);
	int err;

	if (!s)
		return NULL;

	s->clip = mem_ref(from->clip);
	s->protect = protect;
	err = copy(&s->text, from->text, textc);
	if (!err)
		err = copy_all(&s->voice, from->voice);
	if (!err)
		err = copy_all(&s->language, from->language);
	if (!err)
		err = copy_all(&s->url, from->url);
	if (!err)
		err = copy_all(&s->origin, from->origin);

	return err ? mem_deref(s) : s;
}

/* ---------------------------------------------------- the last answer */

void answer_forget(struct call *c)
{
	for (size_t i = 0; i < c->lastc; i++)
		mem_deref(c->lastv[i]);
	c->lastc = 0;
	c->lastv = mem_deref(c->lastv);
}

static void remember(struct call *c, struct sound *s)
{
	if (!c->lastv)
		c->lastv = mem_zalloc(LAST_MAX * sizeof(struct sound *), NULL);
	if (c->lastv && c->lastc < LAST_MAX)
		c->lastv[c->lastc++] = mem_ref(s);
}

static bool is_audio(const struct sound *s)
{
	return s->clip || s->url;
}

/* Another answer begins */
static void begin(struct call *c)
{
	++c->answer;
	c->false_starts = 0;
}

/** @return false if there is nothing to say again */
bool answer_repeat(struct call *c, uint64_t now_ms)
{
	if (!c->lastc && c->prm.greeting != CALL_GREETING_PROMPT)
		return false;

	begin(c);
	c->interrupted = false; /* what was missed is heard now */
	if (!c->lastc)
		reply_prompt(c, CALL_PROMPT_GREETING, now_ms);
	for (size_t i = 0; i < c->lastc; i++)
		(void)reply_add(c, is_audio(c->lastv[i]) ? U_PLAY : U_SAY,
				c->lastv[i], now_ms);
	reply_ask(c, now_ms);

	return true;
}

void answer_unheard(struct call *c)
{
	c->heard = mem_deref(c->heard);
	c->heard_ms = 0;
}

/* So much of it was heard, and at most n bytes of its text */
void answer_heard(struct call *c, const struct utterance *u, uint32_t ms,
		  size_t n)
{
	const char *before = c->heard ? c->heard : "";
	char *sum;

	if (!u->answer)
		return;

	if (u->answer != c->heard_answer) {
		c->heard_answer = u->answer;
		answer_unheard(c);
		before = "";
	}
	/* the apology instead of it */
	if (u->kind == U_PROMPT)
		return;

	c->heard_ms += ms;
	n = u->sound->text ? MIN(n, strlen(u->sound->text)) : 0;
	if (!n || strlen(before) + n + 1 > DIALOG_TEXT_MAX)
		return;

	/* without memory the dialog manager is told of less, that is all */
	if (str_printf(&sum, "%s%s%.*s", before, *before ? " " : "", (int)n,
		       u->sound->text))
		return;

	mem_deref(c->heard);
	c->heard = sum;
}

/* --------------------------------------------------------------- speech */

static void say_piece(struct call *c, enum utterance_kind kind,
		      const struct call_sound *from, size_t textc, bool keep,
		      uint64_t now_ms)
{
	struct sound *s = sound_make(from, textc, c->protect);
	struct utterance *u = NULL;

	if (!s)
		reply_lost(c, now_ms);
	else
		u = reply_add(c, kind, s, now_ms);

	if (u && keep)
		remember(c, s);
	else if (u)
		u->answer = 0;
	mem_deref(s);
}

/** @param keep It belongs to the answer that can be said again */
void answer_say(struct call *c, const struct call_sound *from, bool keep,
		uint64_t now_ms)
{
	struct call_sound piece = *from;
	const char *text = from->text;
	char *cleaned;
	size_t left = from->text ? strlen(from->text) : 0;

	if (from->clip || str_isset(from->url)) {
		say_piece(c, U_PLAY, from, left, keep, now_ms);
		left = 0;
	}

	/* cleaned here, so that what was heard can be told by the byte */
	cleaned = left ? mem_zalloc(left + 1, NULL) : NULL;
	if (left && !cleaned)
		reply_lost(c, now_ms);
	while (left && cleaned) {
		size_t n = sentence_cut(text, left, true);

		piece.text = cleaned;
		if (sentence_clean(cleaned, text, n))
			say_piece(c, U_SAY, &piece, strlen(cleaned), keep,
				  now_ms);
		text += n;
		left -= n;
	}
	mem_deref(cleaned);

	reply_ask(c, now_ms);
}

/* ----------------------------------------------------------------- acts */

void answer_begin(struct call *c, enum dialog_turn_kind kind)
{
	c->answering = false;
	c->protect = kind == DIALOG_OPENING && c->prm.greeting_protect;
	c->ask_ms = 0;
}

/* A dialog that says the same again and again leads nowhere */
static void guard_repeats(struct call *c, const char *text)
{
	if (!str_isset(text) || !c->prm.repeat_max ||
	    c->asked == DIALOG_NOBODY)
		return;

	if (c->first && !strcmp(c->first, text)) {
		c->repeated = ++c->repeats > c->prm.repeat_max;
		return;
	}

	c->repeats = 0;
	c->first = mem_deref(c->first);
	if (str_dup(&c->first, text))
		c->first = NULL; /* without memory nothing is a repeat */
}

static void speak(struct call *c, const struct dialog_act *act,
		  uint64_t now_ms)
{
	const struct call_sound s = {
		.text = act->text,
		.voice = act->voice,
		.language = act->language,
		.url = act->type == DIALOG_PLAY ? act->url : NULL,
		.origin = act->origin,
		.clip = act->type == DIALOG_PLAY ? act->clip : NULL,
	};
	bool protect = c->protect;

	if (!c->answering) {
		c->answering = true;
		begin(c);
		guard_repeats(c, act->text);
		answer_forget(c);
	}

	c->protect |= act->uninterruptible;
	answer_say(c, &s, true, now_ms);
	c->protect = protect;
}

static void pause_for(struct call *c, uint32_t ms, uint64_t now_ms)
{
	struct utterance *u = ms ? reply_add(c, U_PAUSE, NULL, now_ms) : NULL;

	if (!u)
		return;

	u->ms = MIN(ms, (uint32_t)DIALOG_PAUSE_MAX_MS);
	reply_ask(c, now_ms);
}

/* What is said and heard; nobody cares once the answer was overtaken */
static void converse(struct call *c, const struct dialog_act *act,
		     uint64_t now_ms)
{
	if (c->overtaken)
		return;

	switch (act->type) {
	case DIALOG_SAY:
	case DIALOG_PLAY:
		speak(c, act, now_ms);
		break;
	case DIALOG_PAUSE:
		pause_for(c, act->ms, now_ms);
		break;
	case DIALOG_COLLECT:
		keys_collect(c, act);
		break;
	case DIALOG_SILENCE:
		c->ask_ms = c->prm.knows_nobody ? act->ms : 0;
		break;
	default:
		break;
	}
}

void call_act(struct call *c, const struct dialog_act *act, uint64_t now_ms)
{
	/* after a hang-up act there is nothing left to say */
	if (c->ended || c->ending || !c->thinking)
		return;

	switch (act->type) {
	case DIALOG_RECORD:
	case DIALOG_SET:
	case DIALOG_NOTE:
		c->ops->act(act, c->arg);
		break;
	case DIALOG_HANGUP:
		call_end_when_said(c, CALL_END_BOT, now_ms);
		break;
	case DIALOG_TRANSFER:
		c->ops->act(act, c->arg);
		call_end_when_said(c, CALL_END_TRANSFER, now_ms);
		break;
	default:
		converse(c, act, now_ms);
		break;
	}
}

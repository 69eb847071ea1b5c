/**
 * @file reply.c  What the bot says, one utterance after the other
 *
 * An utterance lives from its act until call_finished(). Its audio is asked
 * for when few are before it, so that the next is made while one plays, and
 * not all of a long answer that the caller may interrupt. When its audio
 * fails before anything was heard, the voice speaks its text instead, and if
 * that fails too the caller hears the apology: every failure has a voice.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/voice.h>
#include "call_priv.h"

static struct utterance *find(const struct call *c, uint32_t id)
{
	struct le *le;

	LIST_FOREACH(&c->utterancel, le)
	{
		struct utterance *u = list_ledata(le);

		if (u->id == id)
			return u;
	}

	return NULL;
}

static void utterance_destructor(void *arg)
{
	struct utterance *u = arg;

	list_unlink(&u->le);
	mem_deref(u->sound);
}

static void forget(struct call *c, struct utterance *u)
{
	--c->utterancec;
	mem_deref(u);
}

void reply_flush(struct call *c)
{
	list_flush(&c->utterancel);
	c->utterancec = 0;
}

/** @param sound A reference is taken; NULL for prompts and pauses */
struct utterance *reply_add(struct call *c, enum utterance_kind kind,
			    struct sound *sound, uint64_t now_ms)
{
	/* however much there is to say, a word to wait has room */
	size_t spare = kind == U_PROMPT ? CALL_PROMPTS : 0;
	struct utterance *u = NULL;

	if (c->utterancec < CALL_UTTERANCES_MAX + spare)
		u = mem_zalloc(sizeof(*u), utterance_destructor);
	if (!u) {
		metrics_inc(M_UTTERANCES_DROPPED);
		log_debug(c->id, "utterance dropped", "queued=%zu",
			  c->utterancec);
		return NULL;
	}

	wait_begins(c, now_ms);
	u->id = c->next_id++;
	u->answer = c->answer;
	u->kind = kind;
	u->sound = mem_ref(sound);
	u->protect = c->protect;
	list_append(&c->utterancel, &u->le, u);
	++c->utterancec;

	return u;
}

/* ---------------------------------------------------------------- audio */

static struct call_sound sound_of(const struct utterance *u)
{
	const struct sound *s = u->sound;

	return (struct call_sound){
		.text = s->text ? s->text : "",
		.voice = s->voice ? s->voice : "",
		.language = s->language ? s->language : "",
		.url = s->url ? s->url : "",
		.origin = s->origin,
		.clip = s->clip,
	};
}

static int ask(struct call *c, struct utterance *u)
{
	struct call_sound s;

	switch (u->kind) {
	case U_SAY:
		s = sound_of(u);
		return c->prm.has_voice ? c->ops->say(u->id, &s, c->arg)
					: ENOTSUP;
	case U_PLAY:
		s = sound_of(u);
		return c->ops->play(u->id, &s, c->arg);
	case U_PAUSE:
		return c->ops->pause(u->id, u->ms, c->arg);
	default:
		return c->ops->prompt(u->id, u->prompt, false, c->arg);
	}
}

/* The audio of an utterance can't be had: next best */
static void fall_back(struct call *c, struct utterance *u)
{
	if (u->kind == U_PLAY && u->sound->text && c->prm.has_voice) {
		u->kind = U_SAY;
		if (!ask(c, u))
			return;
	}

	if (u->kind == U_PLAY || u->kind == U_SAY) {
		u->kind = U_PROMPT;
		u->prompt = CALL_PROMPT_APOLOGY;
		metrics_inc(M_APOLOGIES);
		if (!ask(c, u))
			return;
	}

	forget(c, u);
}

/* Ask for the audio of what comes next */
void reply_ask(struct call *c, uint64_t now_ms)
{
	unsigned asked = 0;
	struct le *le;

	if (c->utterancec && !reply_is_sounding(c))
		floor_before_sound(c, now_ms);

	le = c->utterancel.head;
	while (le && asked <= CALL_AHEAD) {
		struct utterance *u = list_ledata(le);

		le = le->next;
		if (!u->asked) {
			u->asked = true;
			if (ask(c, u))
				fall_back(c, u);
		}
		++asked;
	}
}

void reply_prompt(struct call *c, enum call_prompt prompt, bool first,
		  uint64_t now_ms)
{
	struct utterance *u = reply_add(c, U_PROMPT, NULL, now_ms);

	if (!u)
		return;

	u->prompt = prompt;
	if (!first) {
		reply_ask(c, now_ms);
		return;
	}

	u->asked = true;
	if (c->ops->prompt(u->id, prompt, true, c->arg))
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
	struct le *le;

	if (c->held)
		return false;

	LIST_FOREACH(&c->utterancel, le)
	{
		const struct utterance *u = list_ledata(le);

		if (u->started)
			return true;
	}

	return false;
}

/* How much of a text was heard, cut at a word; bytes */
static size_t heard_text(const struct utterance *u, const struct call_heard *h)
{
	const char *text = u->sound ? u->sound->text : NULL;
	size_t len = text ? strlen(text) : 0, n = 0;

	if (h->timed && text && u->kind == U_SAY)
		n = voice_text_pos(text, h->text);
	else if (h->timed)
		n = MIN(h->text, len);
	else if (h->total_ms)
		n = MIN((size_t)((uint64_t)len * h->ms / h->total_ms), len);
	while (n && n < len && text[n] != ' ')
		--n;

	return n;
}

/* Whatever is said or queued is void */
void reply_silence(struct call *c, uint64_t now_ms)
{
	if (c->held || reply_is_sounding(c))
		c->quiet_ms = now_ms;
	if (c->utterancec)
		wait_ends(c, now_ms);
	reply_flush(c);
	c->held = false;
	c->resume_ms = NEVER;
	wait_filler(c, false);
	c->in_op = true;
	c->ops->stop_speaking(c->arg);
	c->in_op = false;
}

/* The caller takes the floor: what is left of the answer is void */
void reply_interrupt(struct call *c, uint64_t now_ms)
{
	struct le *le;

	/* held in its last moment, it may be over */
	if (!c->utterancec && !c->held)
		return;

	LIST_FOREACH(&c->utterancel, le)
	{
		struct utterance *u = list_ledata(le);
		struct call_heard h = {0};

		c->interrupted |= u->sound != NULL;
		if (!u->started)
			continue;
		c->ops->heard(u->id, &h, c->arg);
		answer_heard(c, u, h.ms, heard_text(u, &h));
	}

	metrics_inc(M_BARGE_INS);
	reply_silence(c, now_ms);
	turn_overtake(c, now_ms);
}

void call_audio_failed(struct call *c, uint32_t utterance, int err,
		       uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	if (c->ended || !u || u->started)
		return;

	log_warn(c->id, "reply audio failed", "utterance=%u err=\"%s\"",
		 utterance, strerror(err));
	wait_ends(c, now_ms);
	fall_back(c, u);
	reply_ask(c, now_ms);
	turn_decide(c, now_ms);
	call_check_end(c);
}

void call_started(struct call *c, uint32_t utterance, uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	if (c->ended || !u)
		return;

	u->started = true;
	wait_filler(c, false);
	floor_before_sound(c, now_ms);
}

void call_finished(struct call *c, uint32_t utterance, bool heard,
		   uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);
	struct call_heard h = {0};

	if (c->ended || !u)
		return;

	if (heard) {
		c->ops->heard(u->id, &h, c->arg);
		answer_heard(c, u, h.ms, h.ms ? SIZE_MAX : 0);
	}
	if (u->started)
		c->quiet_ms = now_ms;
	if (u->kind != U_PROMPT || u->prompt != CALL_PROMPT_WAIT)
		c->spoke_ms = now_ms;
	forget(c, u);
	wait_ends(c, now_ms);
	wait_touch(c, now_ms);
	if (c->in_op)
		return;

	reply_ask(c, now_ms);
	turn_decide(c, now_ms);
	call_check_end(c);
}

/**
 * @file reply.c  What the bot says, one utterance after the other
 *
 * An utterance lives from its act until call_finished(). Its audio is asked
 * for when few are before it, so that the next is made while one plays, and
 * not all of a long answer that the caller may interrupt. When its audio
 * fails before anything was heard, the voice speaks its text instead, and if
 * that fails too the caller hears the apology: every failure has a voice. One
 * is enough for all that fails in an answer, or until it was heard; where not
 * even that can be said, it is tried again until it can.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/voice.h>
#include "call_priv.h"

enum {
	AGAIN_MS = 500 /* until a sentence that found no room is tried again */
};

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

/** Something that was to be said is lost: the caller is to know */
void reply_lost(struct call *c, uint64_t now_ms)
{
	metrics_inc(M_UTTERANCES_DROPPED);
	log_debug(c->id, "utterance dropped", "queued=%zu", c->utterancec);
	c->sorry_ms = MIN(c->sorry_ms, now_ms);
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
		if (sound)
			reply_lost(c, now_ms);
		else
			metrics_inc(M_UTTERANCES_DROPPED);
		return NULL;
	}

	wait_begins(c, now_ms);
	u->id = c->next_id++;
	u->answer = sound ? c->answer : 0;
	u->kind = kind;
	u->sound = mem_ref(sound);
	u->protect = sound ? sound->protect : c->protect;
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

static bool is_apology(const struct utterance *u)
{
	return u->kind == U_PROMPT && u->prompt == CALL_PROMPT_APOLOGY;
}

static int ask_prompt(struct call *c, const struct utterance *u, bool first)
{
	int err = c->ops->prompt(u->id, u->prompt, first, c->arg);

	if (!err && is_apology(u))
		metrics_inc(M_APOLOGIES);

	return err;
}

static int ask(struct call *c, const struct utterance *u)
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
		return ask_prompt(c, u, false);
	}
}

/* Does the caller hear an apology, or will? */
static bool is_apologising(const struct call *c)
{
	struct le *le;

	LIST_FOREACH(&c->utterancel, le)
	{
		if (is_apology(list_ledata(le)))
			return true;
	}

	return false;
}

/* Say the apology in place of an utterance, the first that fails */
static bool apologise_instead(struct call *c, struct utterance *u)
{
	if (is_apologising(c) || (u->answer && u->answer == c->sorry_answer))
		return false;

	c->sorry_answer = u->answer;
	u->kind = U_PROMPT;
	u->prompt = CALL_PROMPT_APOLOGY;

	return !ask(c, u);
}

/* The audio of an utterance can't be had: next best
 *
 * @return false if there is none; the utterance is gone then */
static bool fall_back(struct call *c, struct utterance *u, int err,
		      uint64_t now_ms)
{
	log_warn(c->id, "reply audio failed", "utterance=%u err=\"%s\"", u->id,
		 strerror(err));

	if (u->kind == U_PLAY && u->sound->text && c->prm.has_voice) {
		u->kind = U_SAY;
		if (!ask(c, u))
			return true;
	}

	if ((u->kind == U_PLAY || u->kind == U_SAY) && apologise_instead(c, u))
		return true;

	if (is_apology(u))
		c->sorry_ms = now_ms + AGAIN_MS;
	forget(c, u);

	return false;
}

static bool ask_first(struct call *c, struct utterance *u, uint64_t now_ms)
{
	int err;

	u->asked = true;
	err = ask(c, u);

	return !err || fall_back(c, u, err, now_ms);
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
		asked += u->asked || ask_first(c, u, now_ms);
	}
}

static struct utterance *add_prompt(struct call *c, enum call_prompt prompt,
				    uint64_t now_ms)
{
	struct utterance *u = reply_add(c, U_PROMPT, NULL, now_ms);

	if (!u)
		return NULL;

	u->prompt = prompt;
	/* what we say while a greeting is awaited is none */
	u->protect = prompt == CALL_PROMPT_GREETING && c->prm.greeting_protect;

	return u;
}

void reply_prompt(struct call *c, enum call_prompt prompt, uint64_t now_ms)
{
	if (add_prompt(c, prompt, now_ms))
		reply_ask(c, now_ms);
}

/* A word to wait, before whatever has not begun; again soon if it fails */
void reply_wait(struct call *c, uint64_t now_ms)
{
	struct utterance *u = add_prompt(c, CALL_PROMPT_WAIT, now_ms);

	c->quiet_ms = now_ms;
	if (u)
		u->asked = true;
	if (u && !ask_prompt(c, u, true))
		return;

	c->quiet_ms = now_ms + AGAIN_MS - c->prm.silence_limit_ms;
	if (u)
		forget(c, u);
}

void reply_apologise(struct call *c, uint64_t now_ms)
{
	c->sorry_ms = NEVER;
	if (c->ending || is_apologising(c))
		return;

	if (add_prompt(c, CALL_PROMPT_APOLOGY, now_ms))
		reply_ask(c, now_ms);
	else
		c->sorry_ms = now_ms + AGAIN_MS;
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

		c->interrupted |= u->answer != 0;
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

	wait_ends(c, now_ms);
	(void)fall_back(c, u, err, now_ms);
	reply_ask(c, now_ms);
	turn_decide(c, now_ms);
	call_check_end(c);
}

/* The dialog manager's reply to the last turn, and not what we say instead */
static bool is_answer(const struct call *c, const struct utterance *u)
{
	return c->answering && u->answer == c->answer && u->kind != U_PROMPT;
}

void call_started(struct call *c, uint32_t utterance, uint64_t now_ms)
{
	struct utterance *u = find(c, utterance);

	if (c->ended || !u)
		return;

	u->started = true;
	if (is_answer(c, u))
		secret_answered(c, now_ms);
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

/* ---------------------------------------------------------------- time */

uint64_t reply_next_ms(const struct call *c)
{
	return c->ending ? NEVER : c->sorry_ms;
}

void reply_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= reply_next_ms(c))
		reply_apologise(c, now_ms);
}

/**
 * @file speech.c  The audio of what the bot says, as the server provides it
 *
 * Stands where src/server/speech.c stands: a speech is an utterance's clip and
 * what fills it, until playout has finished with it or another speech takes
 * its place.
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "sim.h"

enum {
	WORD_MS = 250,
	CLOSING_MS = 1600,
	PROMPT_MS = 900,
};

struct speech {
	struct le le;
	struct sim *sim; /* weak */
	uint32_t utterance;
	struct clip *clip;
	struct clip_watch watch;
	void *request;
};

static void destructor(void *arg)
{
	struct speech *sp = arg;

	list_unlink(&sp->le);
	list_unlink(&sp->watch.le);
	mem_deref(sp->request);
	mem_deref(sp->clip);
}

static struct speech *find(const struct sim *s, uint32_t utterance)
{
	struct le *le;

	LIST_FOREACH(&s->speechl, le)
	{
		struct speech *sp = list_ledata(le);

		if (sp->utterance == utterance)
			return sp;
	}

	return NULL;
}

void speech_forget(struct sim *s, uint32_t utterance)
{
	mem_deref(find(s, utterance));
}

struct clip *speech_clip(const struct sim *s, uint32_t utterance)
{
	const struct speech *sp = find(s, utterance);

	return sp ? sp->clip : NULL;
}

static int failure_of(const struct clip *c)
{
	if (!clip_is_ended(c) || clip_len(c))
		return 0;

	return clip_error(c) ? clip_error(c) : ENODATA;
}

static void clip_handler(struct clip *c, void *arg)
{
	struct speech *sp = arg;
	struct sim *s = sp->sim;
	uint32_t utterance = sp->utterance;

	world_touch(s);
	if (!clip_is_ended(c))
		return;
	rules_note(s, utterance)->ended_ms = s->now_ms;
	if (clip_len(c)) {
		if (clip_error(c))
			sim_count(s, COUNT_AUDIO_CUT);
		return;
	}

	trace(s, "voice", "utterance %u has no audio", utterance);
	sim_count(s, COUNT_AUDIO_FAILED);
	rules_note(s, utterance)->failed = true;
	call_audio_failed(s->call, utterance, failure_of(c), s->now_ms);
}

static int place(struct sim *s, uint32_t utterance, struct clip *clip,
		 bool first)
{
	int err = playout_replace(s->playout, clip, utterance);

	if (err != ENOENT)
		return err;

	return first ? playout_queue_first(s->playout, clip, utterance)
		     : playout_queue(s->playout, clip, utterance);
}

/* From now on this clip is what will be heard */
static int commit(struct sim *s, uint32_t utterance, uint32_t token,
		  struct clip *clip, void *request, bool first)
{
	struct speech *sp = mem_zalloc(sizeof(*sp), destructor);
	int err = sp ? failure_of(clip) : ENOMEM;

	if (!err)
		err = place(s, utterance, clip, first);
	if (err) {
		mem_deref(sp);
		mem_deref(request);
		return err;
	}

	sp->sim = s;
	sp->utterance = utterance;
	sp->clip = mem_ref(clip);
	sp->request = request;
	sp->watch.h = clip_handler;
	sp->watch.arg = sp;

	speech_forget(s, utterance);
	list_append(&s->speechl, &sp->le, sp);
	clip_watch(clip, &sp->watch);
	rules_note(s, utterance)->token = token;
	world_touch(s);

	return 0;
}

/* A clip that somebody fills */
static int order(struct sim *s, uint32_t utterance, uint32_t ms,
		 const char *text)
{
	struct utterance_note *u = rules_note(s, utterance);
	uint32_t token = clip_token(s);
	struct clip *clip;
	void *request;
	int err;

	u->text = text ? (uint32_t)strlen(text) : 0;
	u->speech_ms = ms;

	/* the voice refuses at once */
	if (chance(s, s->plan.voice.trouble / 4))
		return ECONNREFUSED;

	err = clip_order(s, &clip, &request, token, ms, text);
	if (err)
		return err;

	err = commit(s, utterance, token, clip, request, false);
	mem_deref(clip);

	return err;
}

static int whole(struct sim *s, uint32_t utterance, uint32_t ms, bool first)
{
	uint32_t token = clip_token(s);
	struct clip *clip;
	int err = clip_whole(&clip, token, ms);

	if (err)
		return err;

	err = commit(s, utterance, token, clip, NULL, first);
	mem_deref(clip);

	return err;
}

static uint32_t duration_ms(const char *text)
{
	uint32_t words = 1;

	for (; *text; ++text)
		words += *text == ' ';

	return words * WORD_MS;
}

int speech_say_op(uint32_t utterance, const struct call_sound *snd, void *arg)
{
	return order(arg, utterance, duration_ms(snd->text), snd->text);
}

/* The token of a clip that the dialog manager brings stands in its URL */
static uint32_t token_of(const struct call_sound *snd)
{
	const char *sharp = snd->url ? strchr(snd->url, '#') : NULL;
	uint32_t token = 0;

	for (sharp = sharp ? sharp + 1 : ""; *sharp; ++sharp)
		token = token * 10 + (uint32_t)(*sharp - '0');

	return token;
}

int speech_play_op(uint32_t utterance, const struct call_sound *snd, void *arg)
{
	if (snd->clip)
		return commit(arg, utterance, token_of(snd), snd->clip, NULL,
			      false);
	if (!snd->url || !*snd->url)
		return EINVAL;

	return order(arg, utterance, chance_between(arg, 200, 4000), NULL);
}

int speech_prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg)
{
	uint32_t ms = prompt == CALL_PROMPT_CLOSING ? CLOSING_MS : PROMPT_MS;

	return whole(arg, utterance, ms, first);
}

int speech_pause_op(uint32_t utterance, uint32_t ms, void *arg)
{
	return whole(arg, utterance, ms, false);
}

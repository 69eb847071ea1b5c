/**
 * @file speech.c  The audio of what the bot says
 *
 * A speech is one utterance's clip and whatever fills it: a fetch, the voice,
 * or nothing for an embedded sentence. It lives until playout has finished
 * with the utterance or another speech takes its place.
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "convo.h"

struct speech {
	struct le le;
	struct convo *convo; /* weak: it owns the speech */
	uint32_t utterance;
	struct clip *clip;
	struct clip_watch watch;
	void *request;     /* what fills the clip; dropping it cancels */
	uint64_t asked_us; /* of a cached text with nothing before it, or 0 */
};

static void destructor(void *arg)
{
	struct speech *sp = arg;

	list_unlink(&sp->le);
	list_unlink(&sp->watch.le);
	mem_deref(sp->request);
	mem_deref(sp->clip);
}

static struct speech *find(struct convo *cv, uint32_t utterance)
{
	struct le *le;

	LIST_FOREACH(&cv->speechl, le)
	{
		struct speech *sp = list_ledata(le);

		if (sp->utterance == utterance)
			return sp;
	}

	return NULL;
}

void speech_forget(struct convo *cv, uint32_t utterance)
{
	mem_deref(find(cv, utterance));
}

/* Why nothing at all came of a clip; 0 if something did, or may yet */
static int failure_of(const struct clip *c)
{
	if (!clip_is_ended(c) || clip_len(c))
		return 0;

	return clip_error(c) ? clip_error(c) : ENODATA;
}

/* Nothing came of it: the conversation has something else to say, which takes
 * this speech's place */
static void clip_handler(struct clip *c, void *arg)
{
	struct speech *sp = arg;
	struct convo *cv = sp->convo;
	int err = failure_of(c);

	if (err)
		call_audio_failed(cv->call, sp->utterance, err,
				  convo_now_ms(cv));
	convo_touch(cv);
}

/* Put a clip where the utterance belongs */
static int place(struct convo *cv, uint32_t utterance, struct clip *clip,
		 bool first)
{
	int err = playout_replace(cv->playout, clip, utterance);

	if (err != ENOENT)
		return err;

	return first ? playout_queue_first(cv->playout, clip, utterance)
		     : playout_queue(cv->playout, clip, utterance);
}

static int speech_alloc(struct speech **spp, struct convo *cv,
			uint32_t utterance)
{
	struct speech *sp = mem_zalloc(sizeof(*sp), destructor);

	if (!sp)
		return ENOMEM;

	sp->convo = cv;
	sp->utterance = utterance;
	sp->watch.h = clip_handler;
	sp->watch.arg = sp;
	*spp = sp;

	return 0;
}

/* The request runs, or is over: from now on its clip is what will be heard */
static int speech_commit(struct speech *sp)
{
	struct convo *cv = sp->convo;
	int err = failure_of(sp->clip);

	if (!err)
		err = place(cv, sp->utterance, sp->clip, false);
	if (err) {
		mem_deref(sp);
		return err;
	}

	speech_forget(cv, sp->utterance);
	list_append(&cv->speechl, &sp->le, sp);
	clip_watch(sp->clip, &sp->watch);
	convo_touch(cv);

	return 0;
}

/* The first frame of an utterance is out */
void speech_started(struct convo *cv, uint32_t utterance)
{
	const struct speech *sp = find(cv, utterance);

	if (sp && sp->asked_us)
		metrics_latency(M_TTS_CACHED, clk_now_us() - sp->asked_us);
}

int speech_say_op(uint32_t utterance, const struct call_sound *s, void *arg)
{
	struct convo *cv = arg;
	const uint64_t now_us = clk_now_us();
	struct voice_req *request = NULL;
	struct speech *sp = NULL;
	int err = speech_alloc(&sp, cv, utterance);

	if (err)
		return err;

	err = voice_speak(&request, &sp->clip, cv->worker->voice,
			  &(struct tts_text){
				  .text = s->text,
				  .voice = s->voice,
				  .language = s->language,
			  },
			  cv->call_id);
	if (err) {
		mem_deref(sp);
		return err;
	}
	sp->request = request;
	if (!request && !playout_is_busy(cv->playout, convo_now_ms(cv)))
		sp->asked_us = now_us;

	return speech_commit(sp);
}

static int fetch(struct convo *cv, uint32_t utterance,
		 const struct call_sound *s)
{
	const struct conf *conf = cv->worker->shared->conf;
	const struct fetch_param prm = {
		.url = s->url,
		.origin = s->origin,
		.hosts = conf->audio_hosts,
		.timeout_ms = conf->audio_timeout_ms,
		.max_ms = conf->audio_max_seconds * 1000,
		.call_id = cv->call_id,
	};
	struct speech *sp = NULL;
	int err = speech_alloc(&sp, cv, utterance);

	if (err)
		return err;

	err = clip_alloc(&sp->clip,
			 (size_t)conf->audio_max_seconds * AUDIO_RATE);
	if (!err)
		err = fetch_audio(&sp->request, &cv->worker->net, &prm,
				  sp->clip);
	if (err) {
		mem_deref(sp);
		return err;
	}

	return speech_commit(sp);
}

/* Put a clip that needs nothing to fill it */
static int play_clip(struct convo *cv, uint32_t utterance, struct clip *clip,
		     bool first)
{
	int err = place(cv, utterance, clip, first);

	if (!err) {
		speech_forget(cv, utterance);
		convo_touch(cv);
	}

	return err;
}

/* A clip of the dialog manager's, which fills it as its audio arrives */
static int watch_clip(struct convo *cv, uint32_t utterance, struct clip *clip)
{
	struct speech *sp = NULL;
	int err = speech_alloc(&sp, cv, utterance);

	if (err)
		return err;

	sp->clip = mem_ref(clip);

	return speech_commit(sp);
}

int speech_play_op(uint32_t utterance, const struct call_sound *s, void *arg)
{
	return s->clip ? watch_clip(arg, utterance, s->clip)
		       : fetch(arg, utterance, s);
}

int speech_pause_op(uint32_t utterance, uint32_t ms, void *arg)
{
	uint8_t frame[FRAME_SAMPLES];
	size_t n = (size_t)ms * AUDIO_PER_MS;
	struct clip *clip;
	int err = clip_alloc(&clip, n);

	if (err)
		return err;

	memset(frame, ULAW_SILENCE, sizeof(frame));
	for (size_t i = 0; i < n && !err; i += FRAME_SAMPLES)
		err = clip_append(clip, frame, MIN(n - i, sizeof(frame)));
	clip_end(clip, err);
	if (!err)
		err = play_clip(arg, utterance, clip, false);
	mem_deref(clip);

	return err;
}

int speech_prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg)
{
	struct convo *cv = arg;

	return play_clip(cv, utterance,
			 cv->worker->shared->prompts->clipv[prompt], first);
}

/**
 * @file work_source.c  What fills a text's clip
 *
 * One after the other, until there are samples:
 *
 *	              ┌ not the leader ──▶ pieces of another worker ┐
 *	flight of the │                                             │ fails
 *	      key ────┤ leader ─▶ file ─▶ first voice ──────────────┤ before a
 *	              └         damaged  └ open circuit ────────────┤ sample
 *	                                                            ▼
 *	                       the same text by the fallback: a work of its own
 */
#include <errno.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "voice_priv.h"

void source_drop(struct work *w)
{
	tmr_cancel(w->tmr);
	list_unlink(&w->watch.le);
	w->request = mem_deref(w->request);
	w->from = mem_deref(w->from);
	w->read = mem_deref(w->read);
	w->speaking = false;
	w->taken = w->words_taken = w->silent = 0;
}

/* --------------------------------------------------------------- a voice */

static void timeout_handler(void *arg)
{
	struct work *w = arg;

	metrics_inc(M_TTS_FAILED);
	work_failed(w, ETIMEDOUT);
}

static int start_timer(struct work *w)
{
	int err = w->tmr ? 0
			 : tmr_alloc(&w->tmr, w->v->net->loop, timeout_handler,
				     w);

	if (!err)
		tmr_start(w->tmr, w->v->timeout_ms);

	return err;
}

static int start_voice(struct work *w)
{
	const struct engine *e = &w->v->enginev[w->spec.engine];
	const struct tts_text t = {
		.text = w->spec.text,
		.voice = w->spec.voice,
		.language = w->spec.language,
	};
	struct clip *from = NULL;
	int err = clip_alloc(&from, w->v->clip_max);

	if (err)
		return err;

	w->speaking = true;
	work_set_source(w, from);
	mem_deref(from);
	metrics_inc(M_TTS_REQUESTS);
	err = e->tts->be->speak(&w->request, e->tts, &t, from);
	if (err)
		metrics_inc(M_TTS_FAILED);
	if (err == ENODATA)
		w->speaking = false; /* the text's fault, not the voice's */

	return err;
}

static void synthesise(struct work *w)
{
	const bool second = voice_has_fallback(w->v, &w->spec);
	int err = second && breaker_is_open(w->v->breaker) ? EHOSTDOWN : 0;

	if (!err)
		err = start_voice(w);
	if (!err && (second || w->spec.probe))
		err = start_timer(w);
	if (err)
		work_failed(w, err);
	else
		metrics_inc(M_TTS_CACHE_MISSES);
}

int source_fall_back(struct work *w)
{
	const struct spec spec = {
		.engine = FALLBACK,
		.text = w->spec.text,
		.call_id = w->spec.call_id,
	};
	struct voice_req *r = NULL;
	struct clip *clip = NULL;
	int err = voice_speak_spec(&r, &clip, w->v, &spec);

	if (err)
		return err;

	metrics_inc(M_TTS_FALLBACKS);
	w->request = r;
	work_set_source(w, clip);
	mem_deref(clip);

	return 0;
}

/* --------------------------------------------- another worker, and a file */

/* Other workers' pieces; from is the piece at hand */
static void flight_handler(void *arg)
{
	struct work *w = mem_ref(arg);
	struct clip *piece;
	int err = 0;

	while (w->v && !err && (piece = flight_pull(w->seat))) {
		w->from = piece;
		w->taken = w->words_taken = 0;
		err = work_take(w);
		if (w->from == piece)
			w->from = mem_deref(piece);
	}

	if (w->v && err && err != EOVERFLOW)
		work_failed(w, err);
	else if (w->v && flight_has_landed(w->seat, &err)) {
		if (err)
			work_failed(w, err);
		else
			work_complete(w);
	}
	mem_deref(w);
}

static void read_handler(int err, struct clip *clip, void *arg)
{
	struct work *w = mem_ref(arg);

	w->read = mem_deref(w->read);
	if (err) {
		synthesise(w);
	} else {
		metrics_inc(M_TTS_CACHE_DISK_HITS);
		work_set_source(w, clip);
	}
	mem_deref(w);
}

void source_begin(struct work *w)
{
	struct voice *v = w->v;
	struct clip *clip = NULL;
	int err = flight_join(&w->seat, voice_cache_flights(v->cache), &w->key,
			      v->net->loop, flight_handler, w);

	if (err) {
		work_failed(w, err);
		return;
	}
	if (!flight_leads(w->seat)) {
		metrics_inc(M_TTS_CACHE_SHARED);
		flight_handler(w);
		return;
	}

	/* it may have landed since the cache was asked */
	switch (voice_cache_find(v->cache, &clip, &w->key)) {
	case VOICE_IN_MEMORY:
		metrics_inc(M_TTS_CACHE_HITS);
		work_set_source(w, clip);
		mem_deref(clip);
		break;
	case VOICE_ON_DISK:
		if (cache_read_alloc(&w->read, v->cache, v->net->loop, &w->key,
				     read_handler, w))
			synthesise(w);
		break;
	default:
		synthesise(w);
		break;
	}
}

/**
 * @file work.c  A text on its way: its clip, who wants it, its end
 *
 * Each source (work_source.c) has a clip of its own (`from`), from which
 * samples go to the callers' clip: a voice that fails ends its clip, and the
 * callers' must stay open for the fallback. It is `from` that the cache keeps.
 *
 * A voice has begun when there is a sound: the silence before it is held back
 * until then, so that one that sends nothing else has failed like any other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "voice_priv.h"

/* Speech has 14 to 17 letters a second */
enum { SAMPLES_PER_BYTE = AUDIO_RATE / 15 };

/* Of a sample, -50 dBFS: more than dither, less than any phoneme */
enum { SILENCE_MAX = 100 };

/* ------------------------------------------------------------- samples */

/* What other workers get of it: the same, as a clip of its own */
static int make_piece(struct clip **cp, const struct work *w,
		      const struct clip_word *wordv, size_t words)
{
	size_t n = clip_len(w->from) - w->taken;
	struct clip *c = NULL;
	int err = clip_alloc(&c, n);

	for (size_t i = w->words_taken; i < words && !err; i++)
		err = clip_add_word(c, wordv[i].pos, wordv[i].text);
	if (!err)
		err = clip_append(c, clip_data(w->from) + w->taken, n);
	if (err) {
		mem_deref(c);
		return err;
	}

	clip_end(c, 0);
	*cp = c;

	return 0;
}

static int push_piece(struct work *w, const struct clip_word *wordv,
		      size_t words)
{
	struct clip *piece;
	int err = make_piece(&piece, w, wordv, words);

	if (!err) {
		err = flight_push(w->seat, piece);
		mem_deref(piece);
	}

	return err;
}

static bool leads(const struct work *w)
{
	return w->seat && flight_leads(w->seat);
}

int work_take(struct work *w)
{
	const struct clip_word *wordv;
	size_t words = clip_words(w->from, &wordv), n = clip_len(w->from);
	size_t taken = w->taken;
	int err = 0;

	if (n == taken)
		return 0;

	if (leads(w))
		err = push_piece(w, wordv, words);
	for (; w->words_taken < words && !err; w->words_taken++)
		err = clip_add_word(w->clip, wordv[w->words_taken].pos,
				    wordv[w->words_taken].text);
	if (err)
		return err;

	w->taken = n;

	return clip_append(w->clip, clip_data(w->from) + taken, n - taken);
}

/* Is the first voice well? */
static void report(struct work *w, int err)
{
	if (w->speaking && w->spec.engine == FIRST)
		breaker_report(w->v->breaker, err,
			       loop_now_ms(w->v->net->loop));
}

static bool has_begun(struct work *w)
{
	size_t n = clip_len(w->from);

	if (!w->speaking || w->taken)
		return n > 0;

	while (w->silent < n &&
	       abs(g711_ulaw_decode(clip_data(w->from)[w->silent])) <=
		       SILENCE_MAX)
		++w->silent;

	return w->silent < n;
}

static void ended(struct work *w)
{
	int err = clip_error(w->from);

	if (!err && w->taken) {
		work_complete(w);
		return;
	}
	if (!err && clip_len(w->from)) {
		metrics_inc(M_TTS_FAILED);
		log_warn(w->spec.call_id, "voice sent nothing but silence",
			 "ms=%zu", clip_len(w->from) / AUDIO_PER_MS);
	}
	work_failed(w, err ? err : ENODATA);
}

static void from_handler(struct clip *from, void *arg)
{
	struct work *w = mem_ref(arg);
	const bool begun = has_begun(w);
	int err = 0;

	mem_ref(from);
	if (begun && !w->taken) {
		tmr_cancel(w->tmr);
		report(w, 0);
	}
	if (begun)
		err = work_take(w);
	if (!w->v || w->from != from)
		goto out; /* nobody wants it any more */

	if (err && err != EOVERFLOW)
		work_failed(w, err);
	else if (clip_is_ended(from))
		ended(w);

out:
	mem_deref(from);
	mem_deref(w);
}

void work_set_source(struct work *w, struct clip *from)
{
	w->from = mem_ref(from);
	w->watch = (struct clip_watch){.h = from_handler, .arg = w};
	clip_watch(from, &w->watch);
	if (clip_len(from)) /* what is there already */
		from_handler(from, w);
}

/* -------------------------------------------------------------- the end */

void work_close(struct work *w)
{
	if (!w->v)
		return;

	source_drop(w);
	w->seat = flight_leave(w->seat);
	if (w->unwanted)
		--w->v->unwanted;
	w->v = NULL;
	list_unlink(&w->le);
	mem_deref(w); /* the voice's reference */
}

static void end(struct work *w, int err)
{
	struct clip *clip = mem_ref(w->clip);

	work_close(w);
	clip_end(clip, err);
	mem_deref(clip);
}

void work_complete(struct work *w)
{
	struct voice *v = w->v;

	/* first to the cache, then out of the flight: who comes in between
	 * finds it in one of them */
	if (w->speaking)
		voice_cache_keep(v->cache, v->net->loop, &w->key, w->from);
	if (leads(w))
		flight_land(w->seat, 0);
	end(w, 0);
}

void work_failed(struct work *w, int err)
{
	const bool next = !w->fell_back && !clip_len(w->clip) &&
			  voice_has_fallback(w->v, &w->spec);

	if (!w->taken && err != ENOMEM)
		report(w, err);
	source_drop(w);
	if (leads(w))
		flight_land(w->seat, err);
	w->seat = flight_leave(w->seat);

	if (next) {
		w->fell_back = true;
		log_warn(w->spec.call_id, "fallback voice speaks",
			 "why=\"%s\"", strerror(err));
		if (!source_fall_back(w))
			return;
	}
	end(w, err);
}

/* ------------------------------------------------------------ who wants it */

/* The text is short, or half of it is there: the rest is cheap */
static bool is_worth_finishing(const struct work *w)
{
	size_t text = strlen(w->spec.text), n = clip_len(w->clip);

	return w->speaking && n && w->v->unwanted < VOICE_FINISH_MAX &&
	       voice_cache_is_on(w->v->cache) &&
	       (text <= VOICE_FINISH_BYTES ||
		n >= text * SAMPLES_PER_BYTE / 2);
}

void work_unwant(struct work *w)
{
	if (--w->wanted || !w->v)
		return;

	if (is_worth_finishing(w) || (leads(w) && !flight_give_up(w->seat))) {
		w->unwanted = true;
		++w->v->unwanted;
		return;
	}
	work_close(w);
}

void work_want(struct work *w)
{
	++w->wanted;
	if (w->unwanted) {
		w->unwanted = false;
		--w->v->unwanted;
	}
}

/* ------------------------------------------------------------ beginning */

static void destructor(void *arg)
{
	struct work *w = arg;

	mem_deref(w->tmr);
	mem_deref(w->clip);
	for (size_t i = 0; i < ARRAY_SIZE(w->textv); i++)
		mem_deref(w->textv[i]);
}

static int copy_text(struct work *w, size_t i, const char **sp)
{
	int err = *sp ? str_dup(&w->textv[i], *sp) : 0;

	*sp = w->textv[i];

	return err;
}

static int work_alloc(struct work **wp, struct voice *v,
		      const struct spec *spec, const struct voice_key *key)
{
	struct work *w = mem_zalloc(sizeof(*w), destructor);
	int err;

	if (!w)
		return ENOMEM;

	w->key = *key;
	w->spec = *spec;
	err = copy_text(w, 0, &w->spec.text);
	if (!err)
		err = copy_text(w, 1, &w->spec.voice);
	if (!err)
		err = copy_text(w, 2, &w->spec.language);
	if (!err)
		err = copy_text(w, 3, &w->spec.call_id);
	if (!err)
		err = clip_alloc(&w->clip, v->clip_max);
	if (err) {
		mem_deref(w);
		return err;
	}

	w->v = v;
	list_append(&v->workl, &w->le, mem_ref(w));
	*wp = w;

	return 0;
}

int work_start(struct work **wp, struct voice *v, const struct spec *spec,
	       const struct voice_key *key)
{
	struct work *w;
	int err = work_alloc(&w, v, spec, key);

	if (err)
		return err;

	source_begin(w);
	*wp = w;

	return 0;
}

struct work *work_find(const struct voice *v, const struct voice_key *key)
{
	struct le *le;

	LIST_FOREACH(&v->workl, le)
	{
		struct work *w = list_ledata(le);

		if (!memcmp(&w->key, key, sizeof(*key)))
			return w;
	}

	return NULL;
}

/**
 * @file voice.c  A text becomes a clip: from the cache, or by a voice
 *
 * What is asked for is in memory, or on its way already, or a new work
 * (work.c). Before that stands whose it is to speak: while the first voice is
 * out (breaker.h), the fallback.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "voice_priv.h"

struct voice_req {
	struct work *work;
};

/* ------------------------------------------------------------- requests */

static void req_destructor(void *arg)
{
	struct voice_req *r = arg;

	work_unwant(r->work);
	mem_deref(r->work);
}

static int req_alloc(struct voice_req **rp, struct work *w)
{
	struct voice_req *r = mem_zalloc(sizeof(*r), req_destructor);

	if (!r)
		return ENOMEM;

	r->work = mem_ref(w);
	work_want(w);
	*rp = r;

	return 0;
}

/* A request on a work that has just begun; it may have ended as well */
static int answer(struct voice_req **rp, struct clip **clipp, struct work *w)
{
	int err = 0;

	if (clip_is_ended(w->clip) && !clip_len(w->clip))
		err = clip_error(w->clip);
	else if (!clip_is_ended(w->clip))
		err = req_alloc(rp, w);
	if (!err)
		*clipp = mem_ref(w->clip);

	return err;
}

static int speak_anew(struct voice_req **rp, struct clip **clipp,
		      struct voice *v, const struct spec *spec,
		      const struct voice_key *key)
{
	struct work *w;
	int err = work_start(&w, v, spec, key);

	if (err)
		return err;

	err = answer(rp, clipp, w);
	if (err)
		work_close(w);
	mem_deref(w);

	return err;
}

static int key_of(struct voice_key *key, const struct voice *v,
		  const struct spec *spec)
{
	return voice_key(key, &v->enginev[spec->engine].key, spec->voice,
			 spec->language, spec->text);
}

int voice_speak_spec(struct voice_req **rp, struct clip **clipp,
		     struct voice *v, const struct spec *spec)
{
	struct voice_key key;
	struct work *w;
	int err = key_of(&key, v, spec);

	if (err)
		return err;

	if (voice_cache_find(v->cache, clipp, &key) == VOICE_IN_MEMORY) {
		metrics_inc(M_TTS_CACHE_HITS);
		return 0;
	}

	w = work_find(v, &key);
	if (!w)
		return speak_anew(rp, clipp, v, spec, &key);

	metrics_inc(M_TTS_CACHE_SHARED);

	return answer(rp, clipp, w);
}

/* -------------------------------------------------- first, or fallback */

static bool same_tongue(const char *a, const char *b)
{
	size_t n = strcspn(a, "-_");

	return n == strcspn(b, "-_") && !strncasecmp(a, b, n);
}

/* The fallback speaks one language; another one's words would be gibberish */
bool voice_has_fallback(const struct voice *v, const struct spec *spec)
{
	const struct engine *e = &v->enginev[FALLBACK];

	return spec->engine == FIRST && !spec->probe && e->tts &&
	       (!str_isset(spec->language) ||
		same_tongue(spec->language, e->language));
}

/* The first has failed again and again, and does not have the text in the
 * cache */
static bool is_out(struct voice *v, const struct spec *spec)
{
	struct clip *clip = NULL;
	struct voice_key key;
	enum voice_found found;

	if (!voice_has_fallback(v, spec) || !breaker_is_open(v->breaker) ||
	    key_of(&key, v, spec))
		return false;

	found = voice_cache_find(v->cache, &clip, &key);
	mem_deref(clip);

	return found == VOICE_ABSENT;
}

/* Is it back? The answer comes by breaker_report(), and what it says is
 * cached. */
static void probe(struct voice *v, const struct spec *spec)
{
	struct spec p = *spec;
	struct clip *clip = NULL;

	if (!breaker_take_probe(v->breaker, loop_now_ms(v->net->loop)))
		return;

	metrics_inc(M_TTS_PROBES);
	p.probe = true;
	v->probe = mem_deref(v->probe);
	if (!voice_speak_spec(&v->probe, &clip, v, &p))
		mem_deref(clip);
}

static int speak_clean(struct voice_req **rp, struct clip **clipp,
		       struct voice *v, struct spec *spec)
{
	if (!is_out(v, spec))
		return voice_speak_spec(rp, clipp, v, spec);

	probe(v, spec);
	metrics_inc(M_TTS_FALLBACKS);
	spec->engine = FALLBACK;
	spec->voice = spec->language = NULL;

	return voice_speak_spec(rp, clipp, v, spec);
}

int voice_speak(struct voice_req **rp, struct clip **clipp, struct voice *v,
		const struct tts_text *t, const char *call_id)
{
	struct spec spec = {.call_id = call_id};
	char *text;
	int err;

	if (!rp || !clipp || !v || !t || !t->text)
		return EINVAL;

	text = mem_zalloc(strlen(t->text) + 1, NULL);
	if (!text)
		return ENOMEM;

	*rp = NULL;
	spec.text = text;
	spec.voice = str_isset(t->voice) ? t->voice : NULL;
	spec.language = str_isset(t->language) ? t->language : NULL;
	err = voice_clean(text, t->text) ? speak_clean(rp, clipp, v, &spec)
					 : ENODATA;
	mem_deref(text);

	return err;
}

/* ---------------------------------------------------------------- voice */

static void destructor(void *arg)
{
	struct voice *v = arg;

	v->probe = mem_deref(v->probe);
	while (v->workl.head)
		work_close(list_ledata(v->workl.head));
	for (size_t i = 0; i < ENGINES; i++) {
		mem_deref(v->enginev[i].tts);
		mem_deref(v->enginev[i].language);
	}
	mem_deref(v->breaker);
	mem_deref(v->cache);
}

static int set_engine(struct engine *e, const struct voice_engine *ve)
{
	int err;

	if (!ve->tts)
		return 0;

	err = voice_engine_key(&e->key, ve->prm);
	if (!err)
		err = str_dup(&e->language,
			      ve->prm->language ? ve->prm->language : "");
	if (!err)
		e->tts = mem_ref(ve->tts);

	return err;
}

struct loop *voice_loop(const struct voice *v)
{
	return v->net->loop;
}

int voice_alloc(struct voice **vp, const struct voice_param *prm,
		const struct net *net)
{
	struct voice *v;
	int err;

	if (!vp || !prm || !prm->first.tts || !prm->cache || !net)
		return EINVAL;

	v = mem_zalloc(sizeof(*v), destructor);
	if (!v)
		return ENOMEM;

	v->net = net;
	v->cache = mem_ref(prm->cache);
	v->timeout_ms = prm->timeout_ms;
	v->clip_max = (size_t)prm->max_ms * AUDIO_PER_MS;
	err = set_engine(&v->enginev[FIRST], &prm->first);
	if (!err)
		err = set_engine(&v->enginev[FALLBACK], &prm->fallback);
	/* the same voice again would wait for itself */
	if (!err && !memcmp(&v->enginev[FIRST].key, &v->enginev[FALLBACK].key,
			    sizeof(struct voice_key)))
		v->enginev[FALLBACK].tts = mem_deref(v->enginev[FALLBACK].tts);
	if (!err)
		err = breakers_get(&v->breaker, voice_cache_breakers(v->cache),
				   &v->enginev[FIRST].key);
	if (err)
		mem_deref(v);
	else
		*vp = v;

	return err;
}

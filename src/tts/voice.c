/**
 * @file voice.c  A text becomes a clip: from the cache, or by a voice
 *
 * A text that is not in memory becomes a work: the clip that its callers play
 * and whatever fills it, one after the other until there are samples:
 *
 *	              ┌ not the leader ──▶ pieces of another worker ┐
 *	flight of the │                                             │ fails
 *	      key ────┤ leader ─▶ file ─▶ first voice ──────────────┤ before a
 *	              └         damaged  └ open circuit ────────────┤ sample
 *	                                                            ▼
 *	                       the same text by the fallback: a work of its own
 *
 * Each voice speaks into a clip of the work's own (`from`), from which samples
 * go to the callers' clip: a voice that fails ends its clip, and the callers'
 * must stay open for the fallback. It is `from` that the cache keeps.
 *
 * Owner graph: requests own their work; the voice owns a work while it
 * arrives; a work owns its source (request, file job, seat, or a request on
 * the fallback's work), and points weakly to the voice.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/voice.h>
#include "cache_priv.h"

enum { FIRST, FALLBACK, ENGINES };

/* Speech has 14 to 17 letters a second */
enum { SAMPLES_PER_BYTE = AUDIO_RATE / 15 };

struct engine {
	struct tts *tts; /* NULL: there is none */
	struct voice_key key;
	char *language;
};

struct voice {
	const struct net *net;
	struct voice_cache *cache;
	struct engine enginev[ENGINES];
	struct breaker *breaker; /* of the first */
	uint32_t timeout_ms;
	size_t clip_max;
	struct list workl; /* arriving */
	unsigned unwanted; /* of them: finished for the cache */
	struct voice_req *probe;
};

/** What is to be spoken, by whom */
struct spec {
	unsigned engine;
	const char *text; /* clean */
	const char *voice;
	const char *language;
	const char *call_id;
	bool probe; /* tries the first though its circuit is open */
};

struct work {
	struct le le;
	struct voice *v; /* weak; NULL: ended */
	struct voice_key key;
	struct spec spec;
	char *textv[4]; /* what spec points to */
	struct clip *clip;
	unsigned wanted; /* requests */
	bool unwanted;   /* yet it goes on */

	/* what fills the clip */
	struct flight_seat *seat;
	struct load *load;
	struct clip *from;
	struct clip_watch watch;
	size_t taken, words_taken; /* of from */
	bool speaking;             /* from is a voice's */
	bool fell_back;
	void *request;
	struct tmr *tmr; /* until the fallback takes over */
};

/** A file job; work is weak */
struct load {
	struct work *work;
	struct voice_cache *cache;
	struct voice_key key;
	struct clip *clip;
	int err;
};

struct voice_req {
	struct work *work;
};

static void synthesise(struct work *w);
static void failed(struct work *w, int err);
static int speak(struct voice_req **rp, struct clip **clipp, struct voice *v,
		 const struct spec *spec);

/* -------------------------------------------------------------- the end */

static void drop_source(struct work *w)
{
	tmr_cancel(w->tmr);
	list_unlink(&w->watch.le);
	w->request = mem_deref(w->request);
	w->from = mem_deref(w->from);
	w->speaking = false;
	w->taken = w->words_taken = 0;
	if (w->load)
		w->load->work = NULL;
	w->load = mem_deref(w->load);
}

/* Take it out of everything; its clip is left as it is */
static void close_work(struct work *w)
{
	if (!w->v)
		return;

	drop_source(w);
	w->seat = flight_leave(w->seat);
	if (w->unwanted)
		--w->v->unwanted;
	w->v = NULL;
	list_unlink(&w->le);
	mem_deref(w); /* the voice's reference */
}

static void end_work(struct work *w, int err)
{
	struct clip *clip = mem_ref(w->clip);

	close_work(w);
	clip_end(clip, err);
	mem_deref(clip);
}

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

/* Hand what is new to the callers, who may drop the work */
static int take_samples(struct work *w)
{
	const struct clip_word *wordv;
	size_t words = clip_words(w->from, &wordv), n = clip_len(w->from);
	size_t taken = w->taken;
	int err = 0;

	if (n == taken)
		return 0;

	if (w->seat && flight_leads(w->seat))
		err = push_piece(w, wordv, words);
	for (; w->words_taken < words && !err; w->words_taken++)
		err = clip_add_word(w->clip, wordv[w->words_taken].pos,
				    wordv[w->words_taken].text);
	if (err)
		return err;

	w->taken = n;

	return clip_append(w->clip, clip_data(w->from) + taken, n - taken);
}

static void report(struct work *w, int err)
{
	if (w->speaking && w->spec.engine == FIRST)
		breaker_report(w->v->breaker, err,
			       loop_now_ms(w->v->net->loop));
}

/* All is there */
static void complete(struct work *w)
{
	struct voice *v = w->v;

	/* first to the cache, then out of the flight: who comes in between
	 * finds it in one of them */
	if (w->speaking)
		voice_cache_keep(v->cache, v->net->loop, &w->key, w->from);
	if (w->seat && flight_leads(w->seat))
		flight_land(w->seat, 0);
	end_work(w, 0);
}

static void from_handler(struct clip *from, void *arg)
{
	struct work *w = mem_ref(arg);
	bool first = !w->taken && clip_len(from);
	int err;

	mem_ref(from);
	if (first) {
		tmr_cancel(w->tmr);
		report(w, 0);
	}
	err = take_samples(w);
	if (!w->v || w->from != from)
		goto out; /* nobody wants it any more */

	if (err && err != EOVERFLOW)
		failed(w, err);
	else if (clip_is_ended(from) && !clip_error(from) && clip_len(from))
		complete(w);
	else if (clip_is_ended(from))
		failed(w, clip_error(from) ? clip_error(from) : ENODATA);

out:
	mem_deref(from);
	mem_deref(w);
}

/* From now on the work's samples come from there */
static void set_source(struct work *w, struct clip *from)
{
	w->from = mem_ref(from);
	w->watch = (struct clip_watch){.h = from_handler, .arg = w};
	clip_watch(from, &w->watch);
}

/* -------------------------------------------------------------- fallback */

static bool same_tongue(const char *a, const char *b)
{
	size_t n = strcspn(a, "-_");

	return n == strcspn(b, "-_") && !strncasecmp(a, b, n);
}

/* The fallback speaks one language; another one's words would be gibberish */
static bool has_fallback(const struct voice *v, const struct spec *spec)
{
	const struct engine *e = &v->enginev[FALLBACK];

	return spec->engine == FIRST && !spec->probe && e->tts &&
	       (!str_isset(spec->language) ||
		same_tongue(spec->language, e->language));
}

static int fall_back(struct work *w)
{
	struct spec spec = {
		.engine = FALLBACK,
		.text = w->spec.text,
		.call_id = w->spec.call_id,
	};
	struct voice_req *r = NULL;
	struct clip *clip = NULL;
	int err = speak(&r, &clip, w->v, &spec);

	if (err)
		return err;

	metrics_inc(M_TTS_FALLBACKS);
	w->request = r;
	set_source(w, clip);
	from_handler(clip, w); /* what is there already */
	mem_deref(clip);

	return 0;
}

/* The source has failed: the next one, if nothing was heard yet */
static void failed(struct work *w, int err)
{
	const bool next = !w->fell_back && !clip_len(w->clip) &&
			  has_fallback(w->v, &w->spec);

	if (!w->taken && err != ENOMEM)
		report(w, err);
	drop_source(w);
	if (w->seat && flight_leads(w->seat))
		flight_land(w->seat, err);
	w->seat = flight_leave(w->seat);

	if (next) {
		w->fell_back = true;
		log_warn(w->spec.call_id, "fallback voice speaks",
			 "why=\"%s\"", strerror(err));
		if (!fall_back(w))
			return;
	}
	end_work(w, err);
}

/* --------------------------------------------------------------- sources */

static void timeout_handler(void *arg)
{
	struct work *w = arg;

	metrics_inc(M_TTS_FAILED);
	failed(w, ETIMEDOUT);
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
	set_source(w, from);
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
	const bool second = has_fallback(w->v, &w->spec);
	int err = second && breaker_is_open(w->v->breaker) ? EHOSTDOWN : 0;

	if (!err)
		err = start_voice(w);
	if (!err && (second || w->spec.probe))
		err = start_timer(w);
	if (err)
		failed(w, err);
	else
		metrics_inc(M_TTS_CACHE_MISSES);
}

/* Other workers' pieces; from is the piece at hand */
static void flight_handler(void *arg)
{
	struct work *w = mem_ref(arg);
	struct clip *piece;
	int err = 0;

	while (w->v && !err && (piece = flight_pull(w->seat))) {
		w->from = piece;
		w->taken = w->words_taken = 0;
		err = take_samples(w);
		if (w->from == piece)
			w->from = mem_deref(piece);
	}

	if (w->v && err && err != EOVERFLOW)
		failed(w, err);
	else if (w->v && flight_has_landed(w->seat, &err)) {
		if (err)
			failed(w, err);
		else
			complete(w);
	}
	mem_deref(w);
}

static void load_destructor(void *arg)
{
	struct load *ld = arg;

	mem_deref(ld->cache);
	mem_deref(ld->clip);
}

static void load_work_handler(void *arg)
{
	struct load *ld = arg;

	ld->err = voice_cache_load(&ld->clip, ld->cache, &ld->key);
}

static void loaded_handler(int err, void *arg)
{
	struct load *ld = arg;
	struct work *w = mem_ref(ld->work);

	if (!w)
		goto out;

	w->load = mem_deref(w->load);
	if (err || ld->err) {
		synthesise(w);
		goto out;
	}

	metrics_inc(M_TTS_CACHE_DISK_HITS);
	set_source(w, ld->clip);
	from_handler(ld->clip, w);

out:
	mem_deref(w);
	mem_deref(ld); /* the job's reference */
}

static int start_load(struct work *w)
{
	struct load *ld = mem_zalloc(sizeof(*ld), load_destructor);
	int err;

	if (!ld)
		return ENOMEM;

	ld->work = w;
	ld->cache = mem_ref(w->v->cache);
	ld->key = w->key;
	mem_ref(ld);
	err = loop_job(w->v->net->loop, load_work_handler, loaded_handler, ld);
	if (err) {
		mem_deref(ld);
		mem_deref(ld);
		return err;
	}
	w->load = ld;

	return 0;
}

/* The first source. Nobody watches the clip yet: what fails here ends it. */
static void begin(struct work *w)
{
	struct voice *v = w->v;
	struct clip *clip = NULL;
	int err = flight_join(&w->seat, voice_cache_flights(v->cache), &w->key,
			      v->net->loop, flight_handler, w);

	if (err) {
		end_work(w, err);
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
		set_source(w, clip);
		from_handler(clip, w);
		mem_deref(clip);
		break;
	case VOICE_ON_DISK:
		if (start_load(w))
			synthesise(w);
		break;
	default:
		synthesise(w);
		break;
	}
}

/* ---------------------------------------------------------------- works */

static void work_destructor(void *arg)
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
	struct work *w = mem_zalloc(sizeof(*w), work_destructor);
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

static struct work *find_work(const struct voice *v,
			      const struct voice_key *key)
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

/* The text is short, or half of it is there: the rest is cheap */
static bool is_worth_finishing(const struct work *w)
{
	size_t text = strlen(w->spec.text), n = clip_len(w->clip);

	return w->speaking && n && w->v->unwanted < VOICE_FINISH_MAX &&
	       voice_cache_is_on(w->v->cache) &&
	       (text <= VOICE_FINISH_BYTES ||
		n >= text * SAMPLES_PER_BYTE / 2);
}

static void unwant(struct work *w)
{
	if (--w->wanted || !w->v)
		return;

	if (is_worth_finishing(w) ||
	    (w->seat && flight_leads(w->seat) && !flight_give_up(w->seat))) {
		w->unwanted = true;
		++w->v->unwanted;
		return;
	}
	close_work(w);
}

static void want(struct work *w)
{
	++w->wanted;
	if (w->unwanted) {
		w->unwanted = false;
		--w->v->unwanted;
	}
}

/* ------------------------------------------------------------- requests */

static void req_destructor(void *arg)
{
	struct voice_req *r = arg;

	unwant(r->work);
	mem_deref(r->work);
}

static int req_alloc(struct voice_req **rp, struct work *w)
{
	struct voice_req *r = mem_zalloc(sizeof(*r), req_destructor);

	if (!r)
		return ENOMEM;

	r->work = mem_ref(w);
	want(w);
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
	int err = work_alloc(&w, v, spec, key);

	if (err)
		return err;

	begin(w);
	err = answer(rp, clipp, w);
	if (err)
		close_work(w);
	mem_deref(w);

	return err;
}

static int key_of(struct voice_key *key, const struct voice *v,
		  const struct spec *spec)
{
	return voice_key(key, &v->enginev[spec->engine].key, spec->voice,
			 spec->language, spec->text);
}

static int speak(struct voice_req **rp, struct clip **clipp, struct voice *v,
		 const struct spec *spec)
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

	w = find_work(v, &key);
	if (!w)
		return speak_anew(rp, clipp, v, spec, &key);

	metrics_inc(M_TTS_CACHE_SHARED);

	return answer(rp, clipp, w);
}

/* The first has failed again and again, and does not have the text in the
 * cache */
static bool is_out(struct voice *v, const struct spec *spec)
{
	struct clip *clip = NULL;
	struct voice_key key;
	enum voice_found found;

	if (!has_fallback(v, spec) || !breaker_is_open(v->breaker) ||
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
	if (!speak(&v->probe, &clip, v, &p))
		mem_deref(clip);
}

static int speak_clean(struct voice_req **rp, struct clip **clipp,
		       struct voice *v, struct spec *spec)
{
	if (!is_out(v, spec))
		return speak(rp, clipp, v, spec);

	probe(v, spec);
	metrics_inc(M_TTS_FALLBACKS);
	spec->engine = FALLBACK;
	spec->voice = spec->language = NULL;

	return speak(rp, clipp, v, spec);
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
		close_work(list_ledata(v->workl.head));
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
		err = voice_cache_breaker(&v->breaker, v->cache,
					  &v->enginev[FIRST].key);
	if (err)
		mem_deref(v);
	else
		*vp = v;

	return err;
}

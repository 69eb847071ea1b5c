/**
 * @file flite.c  The embedded voice: `flite:[voice]`
 *
 * A text is spoken sentence by sentence on engine threads: the first can be
 * heard while the next is made. One sentence of a request is under way at a
 * time, so they come in order.
 *
 * Owner graph: backend → engine user; request → backend, clip, job; the job
 * points weakly to its request.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <flite/flite.h>
#include <convod/audio.h>
#include <convod/engine.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/sentence.h>
#include <convod/str.h>
#include <convod/tts.h>

/* The voices' libraries have no headers */
cst_voice *register_cmu_us_slt(const char *voxdir);
cst_voice *register_cmu_us_rms(const char *voxdir);
cst_voice *register_cmu_us_awb(const char *voxdir);
cst_voice *register_cmu_us_kal(const char *voxdir);

enum {
	QUEUE_MAX = 64,     /* sentences waiting in the process */
	TEXT_MAX = 8192,    /* bytes of a text; the rest is not spoken */
	PUSH_MAX = 4096,    /* samples resampled at once */
	LEAD_IN_MS = 20,    /* silence left before a sentence */
	LEAD_OUT_MS = 160,  /* and after it: the pause between two */
	SILENCE_PEAK = 160, /* of 16 bits */
	LEVEL_PEAK = 16384, /* -6 dBFS */
	GAIN_MAX = 4,
	PAUSE_MS = 30, /* between words, worth a note */
};

/* Of an utterance's tokens [s] */
#define SYLLABLES "R:SylStructure."
#define TOKEN_BEGINS \
	"R:Token.daughter1." SYLLABLES "daughter1.daughter1.R:Segment.p.end"
#define TOKEN_ENDS \
	"R:Token.daughtern." SYLLABLES "daughtern.daughtern.R:Segment.end"

struct voice {
	const char *name;
	cst_voice *(*make)(const char *voxdir);
	cst_voice *voice;
};

/* The first is the default */
static struct voice voicev[] = {
	{"slt", register_cmu_us_slt, NULL},
	{"rms", register_cmu_us_rms, NULL},
	{"awb", register_cmu_us_awb, NULL},
	{"kal", register_cmu_us_kal, NULL},
};

static pthread_once_t voices_once = PTHREAD_ONCE_INIT;

struct backend {
	struct tts tts; /* first */
	struct engine_user *user;
	cst_voice *voice;
};

struct job {
	struct engine_job job; /* first */
	struct request *r;
	cst_voice *voice;
	char *text;

	/* the answer: a sentence, 8 kHz */
	int16_t *pcmv;
	size_t n, size;
	uint8_t *ulawv;
	struct clip_word *wordv; /* in text and samples of this sentence */
	size_t wordc;
	int err;
};

struct request {
	struct backend *b;
	struct clip *clip;
	struct job *job; /* under way */
	char *text;
	size_t from; /* of the sentence that is under way */
	size_t pos;  /* of what is not spoken yet */
	size_t len;
};

/* ------------------------------------------------- on an engine thread */

static int engine_init(void **statep, void *arg)
{
	*statep = NULL; /* threads may share a voice */
	return 0;
}

static const struct engine_ops engine_ops = {
	.name = "flite",
	.init = engine_init,
};

static void job_destructor(void *arg)
{
	struct job *j = arg;

	mem_deref(j->text);
	mem_raw_free(j->pcmv);
	mem_raw_free(j->ulawv);
	mem_raw_free(j->wordv);
}

static void resample_handler(const int16_t *pcmv, size_t n, void *arg)
{
	struct job *j = arg;

	n = MIN(n, j->size - j->n);
	memcpy(j->pcmv + j->n, pcmv, n * sizeof(*pcmv));
	j->n += n;
}

static int resample(struct job *j, const cst_wave *w)
{
	size_t total = (size_t)w->num_samples;
	struct resampler *r;
	float fv[PUSH_MAX];
	int err;

	j->size = total * AUDIO_RATE / (size_t)w->sample_rate + AUDIO_RATE;
	j->pcmv = mem_raw_malloc(j->size * sizeof(*j->pcmv));
	if (!j->pcmv)
		return ENOMEM;

	err = resampler_alloc(&r, (uint32_t)w->sample_rate, 1);
	if (err)
		return err;

	for (size_t i = 0; i < total && !err; i += PUSH_MAX) {
		size_t n = MIN(total - i, PUSH_MAX);

		for (size_t k = 0; k < n; k++)
			fv[k] = (float)w->samples[i + k] / 32768.0F;
		err = resampler_push(r, fv, n, i + n == total,
				     resample_handler, j);
	}
	mem_deref(r);

	return err;
}

/* Trim the silence at both ends, bring to the level, encode */
static int finish(struct job *j)
{
	size_t start = 0, end = j->n, n;
	int peak = 1;
	double gain;

	while (start < end && abs(j->pcmv[start]) < SILENCE_PEAK)
		++start;
	while (end > start && abs(j->pcmv[end - 1]) < SILENCE_PEAK)
		--end;
	start -= MIN(start, LEAD_IN_MS * AUDIO_PER_MS);
	end += MIN(j->n - end, LEAD_OUT_MS * AUDIO_PER_MS);
	n = end - start;

	for (size_t i = start; i < end; i++)
		peak = MAX(peak, abs(j->pcmv[i]));
	gain = fmin((double)LEVEL_PEAK / peak, GAIN_MAX);

	j->ulawv = mem_raw_malloc(n);
	if (!j->ulawv)
		return ENOMEM;
	for (size_t i = 0; i < n; i++)
		j->ulawv[i] = g711_ulaw_encode(
			(int16_t)lrint(j->pcmv[start + i] * gain));
	j->n = n;

	for (size_t i = 0; i < j->wordc; i++) {
		struct clip_word *w = &j->wordv[i];

		w->pos = (uint32_t)MIN(w->pos - MIN(w->pos, start), n);
	}

	return 0;
}

static uint32_t samples(const cst_item *token, const char *feature)
{
	float s = flite_ffeature_float(token, feature);

	return s > 0 ? (uint32_t)(s * AUDIO_RATE) : 0;
}

/* Where a word ends, if a pause follows; it may be said twice */
static void note_end(struct job *j, uint32_t end, uint32_t next, size_t text)
{
	if (end && next > end + PAUSE_MS * AUDIO_PER_MS)
		j->wordv[j->wordc++] = (struct clip_word){end, (uint32_t)text};
}

/*
 * The tokens are the words of the text; what is spoken of one may be several
 * ("$25.50"), or nothing. Between them flite keeps every byte.
 */
static int find_words(struct job *j, cst_utterance *u)
{
	const size_t len = strlen(j->text);
	size_t text = 0, before = 0;
	uint32_t end = 0;
	cst_item *t;

	/* a token is a byte at least, and has two entries at most */
	j->wordv = mem_raw_malloc((2 * len + 1) * sizeof(*j->wordv));
	if (!j->wordv)
		return ENOMEM;

	for (t = relation_head(utt_relation(u, "Token")); t;
	     t = item_next(t)) {
		const char *name = item_feat_string(t, "name");
		uint32_t begin = samples(t, TOKEN_BEGINS);

		text += strlen(flite_ffeature_string(t, "whitespace"));
		if (text >= len)
			break;
		if (samples(t, TOKEN_ENDS)) {
			note_end(j, end, begin, before);
			j->wordv[j->wordc++] = (struct clip_word){
				begin, (uint32_t)text};
			end = samples(t, TOKEN_ENDS);
		}
		text += strlen(flite_ffeature_string(t, "prepunctuation"));
		text += strlen(name) +
			strlen(flite_ffeature_string(t, "punc"));
		before = text;
	}
	note_end(j, end, UINT32_MAX, len);

	return 0;
}

static void work_handler(struct engine_job *ej, void *state)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);
	cst_utterance *u = flite_synth_text(j->text, j->voice);
	const cst_wave *w = u ? utt_wave(u) : NULL;

	if (!w || w->num_samples <= 0 || w->sample_rate <= 0)
		j->err = ENODATA;
	else
		j->err = resample(j, w);
	if (!j->err)
		j->err = find_words(j, u);
	if (!j->err)
		j->err = finish(j);
	if (u)
		delete_utterance(u);
}

/* ------------------------------------------------------------ requests */

static int next_sentence(struct request *r);

static void end(struct request *r, int err)
{
	if (err) {
		metrics_inc(M_TTS_FAILED);
		log_warn(NULL, "voice failed", "err=\"%s\"", strerror(err));
	}
	clip_end(r->clip, err);
}

/* The words of a sentence that will be appended to the clip */
static int add_words(const struct request *r, const struct job *j)
{
	const char *s = r->text + r->from;
	uint32_t base = (uint32_t)clip_len(r->clip);
	int err = 0;

	for (size_t i = 0; i < j->wordc && err != ENOMEM; i++) {
		const struct clip_word *w = &j->wordv[i];
		size_t at = sentence_origin(s, r->pos - r->from, w->text);

		err = clip_add_word(r->clip, base + w->pos,
				    (uint32_t)(r->from + at));
	}

	return err == ENOMEM ? err : 0;
}

static void done_handler(struct engine_job *ej)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);
	struct request *r = mem_ref(j->r);
	int err = j->err;

	if (!err)
		err = add_words(r, j);
	if (!err)
		err = clip_append(r->clip, j->ulawv, j->n);
	r->job = mem_deref(r->job);

	/* cancelled by a watcher: only our reference is left */
	if (mem_nrefs(r) > 1) {
		if (!err)
			err = next_sentence(r);
		if (err || !r->job)
			end(r, err);
	}
	mem_deref(r);
}

static int submit(struct request *r, char *text)
{
	struct job *j = mem_zalloc(sizeof(*j), job_destructor);
	int err;

	if (!j) {
		mem_deref(text);
		return ENOMEM;
	}

	j->job.workh = work_handler;
	j->job.doneh = done_handler;
	j->r = r;
	j->voice = r->b->voice;
	j->text = text;
	err = engine_submit(r->b->user, &j->job);
	if (err)
		mem_deref(j);
	else
		r->job = j;

	return err;
}

/* Submit the next sentence that has anything to say; without one r->job stays
 * NULL */
static int next_sentence(struct request *r)
{
	while (r->pos < r->len) {
		const char *s = r->text + r->pos;
		size_t n = sentence_cut(s, r->len - r->pos, true);
		char *text = mem_zalloc(n + 1, NULL);

		if (!text)
			return ENOMEM;
		r->from = r->pos;
		r->pos += n;
		if (sentence_clean(text, s, n))
			return submit(r, text);
		mem_deref(text);
	}

	return 0;
}

static void request_destructor(void *arg)
{
	struct request *r = arg;

	if (r->job)
		engine_cancel(&r->job->job);
	mem_deref(r->job);
	mem_deref(r->text);
	mem_deref(r->clip);
	mem_deref(r->b);
}

static int flite_speak(void **rp, struct tts *t, const struct tts_text *text,
		       struct clip *clip)
{
	struct request *r = mem_zalloc(sizeof(*r), request_destructor);
	int err;

	if (!r)
		return ENOMEM;

	r->b = mem_ref(CONTAINER_OF(t, struct backend, tts));
	r->clip = mem_ref(clip);
	r->len = MIN(strlen(text->text), TEXT_MAX);
	err = str_ndup(&r->text, text->text, r->len);
	if (!err)
		err = next_sentence(r);
	if (!err && !r->job)
		err = ENODATA; /* nothing that can be spoken */
	if (err)
		mem_deref(r);
	else
		*rp = r;

	return err;
}

/* ------------------------------------------------------------- backend */

static void make_voices(void)
{
	(void)flite_init();
	for (size_t i = 0; i < ARRAY_SIZE(voicev); i++)
		voicev[i].voice = voicev[i].make(NULL);
}

static cst_voice *find_voice(const char *name)
{
	if (!str_isset(name))
		return voicev[0].voice;

	for (size_t i = 0; i < ARRAY_SIZE(voicev); i++) {
		if (!strcmp(voicev[i].name, name))
			return voicev[i].voice;
	}
	log_error(NULL, "no such voice",
		  "voice=\"%s\" known=\"slt rms awb kal\"", LOG_STR(name));

	return NULL;
}

static void backend_destructor(void *arg)
{
	struct backend *b = arg;

	mem_deref(b->user);
}

static int flite_alloc(struct tts **tp, const struct tts_param *prm,
		       const struct net *net)
{
	struct backend *b = mem_zalloc(sizeof(*b), backend_destructor);
	const char *name = strchr(prm->url, ':');
	int err;

	if (!b)
		return ENOMEM;

	pthread_once(&voices_once, make_voices);
	b->tts.be = &tts_flite;
	name = name && name[1] ? name + 1 : prm->voice;
	b->voice = find_voice(name);
	err = b->voice ? engine_user_alloc(
				 &b->user, net->loop,
				 &(struct engine_param){
					 .ops = &engine_ops,
					 .key = "",
					 .threads = net->engine_threads,
					 .queue = QUEUE_MAX,
				 })
		       : EINVAL;
	if (err)
		mem_deref(b);
	else
		*tp = &b->tts;

	return err;
}

const struct tts_backend tts_flite = {
	.name = "flite",
	.schemev = {"flite"},
	.alloc = flite_alloc,
	.speak = flite_speak,
};

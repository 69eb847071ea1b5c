/**
 * @file pocketsphinx.c  The embedded recogniser
 *
 * `pocketsphinx:` hears what the demo bot understands, `pocketsphinx:FILE` the
 * phrases of another bot's file, or a JSGF grammar (`*.jsgf`, `*.gram`).
 *
 * The loop's part is cheap: voice activity and cutting into utterances. Each
 * utterance then goes as an immutable job to an engine thread, which decodes
 * it in one call. Nothing comes before its end: there are no interim results.
 *
 * A short pause may be the end. What was said so far is decoded at once, as a
 * *guess*: if the caller goes on it is dropped, and the whole is decoded
 * later. If not, the result is there when the end is certain; and it is
 * certain early if the guess is a phrase that cannot go on:
 *
 *	speech ──140 ms──▶ guess ──300 ms, complete──▶ result
 *	  ▲                  │   ──740 ms────────────▶ result
 *	  └──── speech ──────┘
 *
 * Owner graph: backend → engine user, bot; stream → backend, endpointer, and
 * the jobs under way, at most STREAM_JOBS_MAX; a job points weakly to its
 * stream. A guess is the last of the jobs.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <convod/asr.h>
#include <convod/bot.h>
#include <convod/clk.h>
#include <convod/engine.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "endpoint.h"
#include "pocketsphinx.h"
#include "sphinx.h"

enum {
	SCHEME_LEN = 13, /* "pocketsphinx:" */

	/* A thread decodes eleven times faster than people talk, half of what
	 * they say twice (see docs/embedded.md), and a caller talks a quarter
	 * of the time: it works 80 % of it */
	CALLS_PER_THREAD = 24,
	QUEUE_MAX = 64,      /* utterances waiting in the process */
	STREAM_JOBS_MAX = 4, /* of one call */
	GRAMMAR_MAX = 256 << 10,
};

struct backend {
	struct asr asr; /* first */
	struct engine_user *user;
	struct bot *bot; /* NULL: the grammar is not a bot's */
	struct loop *loop;
};

struct stream {
	struct asr_stream s; /* first */
	struct vad *vad;
	struct endpoint *endpoint;
	struct list jobl;
	struct job *guess;       /* nothing was said since; NULL: none */
	struct loop_flush flush; /* submits, or closes */
	struct loop *loop;
	char *call_id;
	int16_t frame[FRAME_SAMPLES];
	size_t framec;
	bool finishing;
	bool counted;
};

enum job_state { JOB_WAITS, JOB_WORKS, JOB_DONE };

struct job {
	struct engine_job job; /* first */
	struct le le;          /* among the stream's */
	struct stream *s;
	struct utterance *u; /* maybe still growing behind these: */
	size_t n, speech;
	const struct bot *bot;
	uint64_t begun_us;
	enum job_state state; /* the loop's, as are */
	bool ended;           /* the utterance has: deliver         */
	bool complete;        /* the result is there and is a whole */
	atomic_bool stale;    /* the caller went on: not worth work */

	/* the answer */
	struct sphinx_result res;
	bool sure;
	int err;
};

/* Streams open in the process */
static atomic_uint streams;

/* -------------------------------------------------------------- engine */

static int engine_init(void **statep, void *arg)
{
	return sphinx_alloc((struct sphinx **)statep, arg);
}

static const struct engine_ops engine_ops = {
	.name = "pocketsphinx",
	.init = engine_init,
};

static void job_destructor(void *arg)
{
	struct job *j = arg;

	list_unlink(&j->le);
	mem_deref(j->u);
}

static void work_handler(struct engine_job *ej, void *state)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);

	/* relaxed: to see it late costs only time */
	if (atomic_load_explicit(&j->stale, memory_order_relaxed))
		return;

	j->err = state ? sphinx_decode(state, j->u->pcmv, j->n, j->speech,
				       &j->res)
		       : ENODEV;
	j->sure = !j->err && j->res.verdict == SPHINX_ACCEPTED && j->bot &&
		  bot_is_complete(j->bot, j->res.text);
}

static const char *extension(const char *path)
{
	const char *dot = strrchr(path, '.');

	return dot ? dot : "";
}

static int read_file(char **textp, const char *path)
{
	FILE *f = fopen(path, "re");
	char *s;
	size_t n;
	int err = 0;

	if (!f)
		return errno;

	s = mem_zalloc(GRAMMAR_MAX + 1, NULL);
	if (!s) {
		fclose(f);
		return ENOMEM;
	}
	n = fread(s, 1, GRAMMAR_MAX + 1, f);
	if (ferror(f))
		err = EIO;
	else if (n > GRAMMAR_MAX)
		err = EOVERFLOW;
	fclose(f);

	if (err)
		mem_deref(s);
	else
		*textp = s;

	return err;
}

static int load_grammar(char **jsgfp, struct bot **botp, const char *path)
{
	char why[BOT_WHY_MAX] = "";
	int err;

	if (str_caseeq(extension(path), ".jsgf") ||
	    str_caseeq(extension(path), ".gram")) {
		err = read_file(jsgfp, path);
		if (err)
			str_copy(why, sizeof(why), strerror(err));
	} else {
		err = bot_load(botp, path, why);
		if (!err)
			err = bot_grammar(*botp, jsgfp);
	}
	if (err)
		log_error(NULL, "grammar cannot be used",
			  "file=\"%s\" why=\"%s\"", LOG_STR(path),
			  LOG_STR(why));

	return err;
}

/* ------------------------------------------------------------- backend */

static void backend_destructor(void *arg)
{
	struct backend *b = arg;

	mem_deref(b->user); /* first: waits for jobs, which read the bot */
	mem_deref(b->bot);
}

/* The threads share one model; it is read by whoever comes first */
static int backend_start(struct backend *b, const struct net *net,
			 const char *path)
{
	struct sphinx_model *m = NULL;
	char *jsgf = NULL;
	int err = load_grammar(&jsgf, &b->bot, path);

	if (!err)
		err = sphinx_model_alloc(&m, jsgf);
	if (!err)
		err = engine_user_alloc(&b->user, net->loop,
					&(struct engine_param){
						.ops = &engine_ops,
						.key = path,
						.arg = m,
						.threads = net->engine_threads,
						.queue = QUEUE_MAX,
					});
	mem_deref(m);
	mem_deref(jsgf);

	return err;
}

static int pocketsphinx_alloc(struct asr **ap, const struct asr_param *prm,
			      const struct net *net)
{
	struct backend *b = mem_zalloc(sizeof(*b), backend_destructor);
	int err;

	if (!b)
		return ENOMEM;

	b->asr.be = &asr_pocketsphinx;
	b->asr.srate = AUDIO_RATE;
	b->asr.block_ms = FRAME_MS;
	b->loop = net->loop;
	err = backend_start(b, net, prm->url + SCHEME_LEN);
	if (err)
		mem_deref(b);
	else
		*ap = &b->asr;

	return err;
}

/* ------------------------------------------------------------- results */

/* Why it was decided so. What was said is told to nobody but the
 * conversation, which knows whether that is a secret */
static void log_result(const struct stream *s, const struct job *j)
{
	const struct sphinx_result *r = &j->res;

	log_debug(s->call_id, "utterance decoded",
		  "verdict=%d audio_ms=%.0f speech_ms=%.0f words_ms=%.0f "
		  "score=%.1f "
		  "weakest=%.1f silence=%.1f took_ms=%u",
		  r->verdict, r->audio_ms, r->speech_ms, r->words_ms, r->score,
		  r->weakest, r->silence,
		  (unsigned)((clk_now_us() - j->begun_us) / 1000));
}

/* Words are counted from the utterance's start; make it the stream's */
static void shift_words(struct sphinx_result *r, uint64_t start)
{
	for (size_t i = 0; i < r->wordc; i++) {
		r->wordv[i].start_ms += (uint32_t)(start / AUDIO_PER_MS);
		r->wordv[i].end_ms += (uint32_t)(start / AUDIO_PER_MS);
	}
}

static void deliver(struct stream *s, struct job *j)
{
	struct asr_result res = {.final = true, .text = ""};

	log_result(s, j);
	if (j->err) {
		log_error(s->call_id, "utterance could not be decoded",
			  "err=\"%s\"", strerror(j->err));
		res.rejected = true;
	} else if (j->res.verdict == SPHINX_NOT_SPEECH) {
		return;
	} else if (j->res.verdict == SPHINX_REJECTED) {
		res.rejected = true;
	} else {
		shift_words(&j->res, j->u->start);
		res.text = j->res.text;
		res.wordv = j->res.wordv;
		res.wordc = j->res.wordc;
	}

	if (res.rejected)
		metrics_inc(M_ASR_REJECTED);
	if (s->s.resulth)
		s->s.resulth(&res, s->s.arg);
}

/* The owner let go inside a handler; only our caller's reference is left */
static bool is_abandoned(const struct stream *s)
{
	return mem_nrefs(s) == 1;
}

/* The caller goes on: what was made of the beginning is of no use */
static void drop_guess(struct stream *s)
{
	struct job *j = s->guess;

	if (!j)
		return;

	s->guess = NULL;
	atomic_store_explicit(&j->stale, true, memory_order_relaxed);
	if (j->state == JOB_WORKS)
		return; /* done_handler() takes it away */

	list_unlink(&j->le);
	mem_deref(j);
}

/* A guess that nobody works on for want of room is no loss: the utterance is
 * decoded at its end. At its end, the caller has to say it again. */
static void submit(struct stream *s, struct job *j)
{
	struct backend *b = CONTAINER_OF(s->s.asr, struct backend, asr);
	int err = engine_submit(b->user, &j->job);

	if (!err) {
		j->state = JOB_WORKS;
	} else if (j == s->guess) {
		drop_guess(s);
	} else {
		j->err = err;
		j->state = JOB_DONE;
	}
}

/*
 * Deliver what is done and submit the next: one at a time, so that results
 * keep their order on several threads, and no call has more than one thread.
 * The caller holds a reference to the stream.
 */
static void advance(struct stream *s)
{
	asr_close_h *closeh = s->s.closeh;
	struct job *j;

	while ((j = list_ledata(s->jobl.head))) {
		if (j->state == JOB_WAITS) {
			submit(s, j);
			continue;
		}
		if (j->state == JOB_WORKS || !j->ended)
			return;

		list_unlink(&j->le);
		deliver(s, j);
		mem_deref(j);
		if (is_abandoned(s))
			return;
	}

	if (s->finishing && closeh) {
		s->s.closeh = NULL;
		closeh(ASR_END_OK, "finished", s->s.arg);
	}
}

/* At the end of the turn, as no handler may be called from write() */
static void flush_handler(void *arg)
{
	struct stream *s = mem_ref(arg);

	advance(s);
	mem_deref(s);
}

/* -------------------------------------------------------------- guesses */

/* The utterance ended where it was guessed to */
static void settle(struct stream *s)
{
	s->guess->ended = true;
	s->guess = NULL;
	loop_flush_later(s->loop, &s->flush);
}

/* What was said is complete: nobody need wait for more silence */
static void settle_early(struct stream *s)
{
	if (!s->guess || !s->guess->complete ||
	    endpoint_silence_ms(s->endpoint) < ENDPOINT_EARLY_MS)
		return;

	mem_deref(endpoint_finish(s->endpoint));
	settle(s);
	metrics_inc(M_ASR_EARLY);
}

static void done_handler(struct engine_job *ej)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);
	struct stream *s = mem_ref(j->s);

	j->state = JOB_DONE;
	/* relaxed: we have written it ourselves */
	if (atomic_load_explicit(&j->stale, memory_order_relaxed)) {
		list_unlink(&j->le);
		mem_deref(j);
	} else {
		j->complete = j->sure;
	}
	settle_early(s);
	advance(s);
	mem_deref(s);
}

static int enqueue(struct stream *s, struct utterance *u, struct job **jp)
{
	struct backend *b = CONTAINER_OF(s->s.asr, struct backend, asr);
	struct job *j = mem_zalloc(sizeof(*j), job_destructor);

	if (!j)
		return ENOMEM;

	j->job.workh = work_handler;
	j->job.doneh = done_handler;
	j->s = s;
	j->u = mem_ref(u);
	j->n = u->n;
	j->speech = u->speech;
	j->bot = b->bot;
	j->begun_us = clk_now_us();
	atomic_init(&j->stale, false);
	list_append(&s->jobl, &j->le, j);
	loop_flush_later(s->loop, &s->flush);
	*jp = j;

	return 0;
}

/* Takes the reference to the utterance */
static int utterance_end(struct stream *s, struct utterance *u)
{
	struct job *j;
	int err = 0;

	if (s->guess) {
		settle(s);
	} else {
		err = enqueue(s, u, &j);
		if (!err)
			j->ended = true;
	}
	mem_deref(u);

	return err;
}

/* ------------------------------------------------------------- streams */

static void stream_destructor(void *arg)
{
	struct stream *s = arg;

	while (s->jobl.head) {
		struct job *j = list_ledata(s->jobl.head);

		atomic_store_explicit(&j->stale, true, memory_order_relaxed);
		engine_cancel(&j->job);
		list_unlink(&j->le);
		mem_deref(j);
	}
	list_unlink(&s->flush.le);
	if (s->counted)
		atomic_fetch_sub_explicit(&streams, 1, memory_order_relaxed);
	mem_deref(s->endpoint);
	mem_deref(s->vad);
	mem_deref(s->call_id);
	mem_deref(s->s.asr);
}

static int count_stream(struct stream *s, const struct backend *b)
{
	unsigned max = CALLS_PER_THREAD * engine_threads(b->user);

	/* relaxed: a counter that guards nothing but itself */
	if (atomic_fetch_add_explicit(&streams, 1, memory_order_relaxed) <
	    max) {
		s->counted = true;
		return 0;
	}

	atomic_fetch_sub_explicit(&streams, 1, memory_order_relaxed);
	metrics_inc(M_JOBS_REFUSED);

	return ENOBUFS;
}

static int pocketsphinx_open(struct asr_stream **sp, struct asr *a,
			     const struct asr_stream_param *prm,
			     asr_result_h *resulth, asr_close_h *closeh,
			     void *arg)
{
	struct backend *b = CONTAINER_OF(a, struct backend, asr);
	struct stream *s = mem_zalloc(sizeof(*s), stream_destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->s.asr = mem_ref(a);
	s->s.resulth = resulth;
	s->s.closeh = closeh;
	s->s.arg = arg;
	s->loop = b->loop;
	s->flush.h = flush_handler;
	s->flush.arg = s;

	err = count_stream(s, b);
	if (!err)
		err = str_dup(&s->call_id, prm->call_id ? prm->call_id : "");
	if (!err)
		err = vad_alloc(&s->vad);
	if (!err)
		err = endpoint_alloc(&s->endpoint);
	if (err)
		mem_deref(s);
	else
		*sp = &s->s;

	return err;
}

static int take_frame(struct stream *s)
{
	bool speech = vad_frame(s->vad, s->frame, 0);
	struct utterance *u;
	int err = endpoint_frame(s->endpoint, s->frame, speech, &u);

	if (speech)
		drop_guess(s);
	if (u)
		return utterance_end(s, u);

	/* without one the utterance is decoded at its end */
	if (endpoint_silence_ms(s->endpoint) == ENDPOINT_PAUSE_MS)
		(void)enqueue(s, endpoint_utterance(s->endpoint), &s->guess);
	settle_early(s);

	return err;
}

static int pocketsphinx_write(struct asr_stream *as, const int16_t *pcmv,
			      size_t n)
{
	struct stream *s = CONTAINER_OF(as, struct stream, s);
	int err = 0;

	if (s->finishing)
		return EPIPE;
	if (list_count(&s->jobl) >= STREAM_JOBS_MAX)
		return ENOBUFS;

	while (n) {
		size_t k = MIN(n, FRAME_SAMPLES - s->framec);

		memcpy(s->frame + s->framec, pcmv, k * sizeof(*pcmv));
		s->framec += k;
		pcmv += k;
		n -= k;
		if (s->framec < FRAME_SAMPLES)
			break;

		s->framec = 0;
		/* what cannot be heard now is lost, but the call goes on */
		err = take_frame(s);
	}

	return err;
}

static void pocketsphinx_finish(struct asr_stream *as)
{
	struct stream *s = CONTAINER_OF(as, struct stream, s);
	struct utterance *u;

	if (s->finishing)
		return;

	s->finishing = true;
	u = endpoint_finish(s->endpoint);
	if (u)
		(void)utterance_end(s, u);
	loop_flush_later(s->loop, &s->flush);
}

bool pocketsphinx_is_working(const struct asr_stream *as)
{
	const struct stream *s = CONTAINER_OF(as, struct stream, s);
	const struct job *j = list_ledata(s->jobl.head);

	return j && (j->state != JOB_DONE || j->ended);
}

const struct asr_backend asr_pocketsphinx = {
	.name = "pocketsphinx",
	.schemev = {"pocketsphinx"},
	.form = "pocketsphinx: or pocketsphinx:FILE",
	.alloc = pocketsphinx_alloc,
	.open = pocketsphinx_open,
	.write = pocketsphinx_write,
	.finish = pocketsphinx_finish,
};

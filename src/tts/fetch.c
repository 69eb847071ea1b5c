/**
 * @file fetch.c  Audio by its URL: fetched, decoded off the loop, into a clip
 *
 * Bytes arrive on the loop and are queued; a job on the thread pool decodes
 * what is queued by then; back on the loop the samples go to the clip. There
 * is one job at a time, so that the order holds and the decoder is used by
 * one thread. When the queue is full the peer has to wait.
 *
 *	http ──▶ queue ──▶ job (decoder) ──▶ clip
 *
 * Owner graph: the user owns the fetch; the fetch owns the request and a
 * reference to the work; a running job owns another one. So a fetch can be
 * dropped at any time, and the job, which never sees it, ends in peace.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/decode.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/tts.h>

enum {
	ORIGIN_MAX = 320,
	/* Then the peer waits for the end of a job. Small, so that no job, the
	 * first least of all, keeps the samples back for long. */
	QUEUE_MAX_BYTES = 1 << 16,
	BODY_MAX_BYTES = 64 << 20, /* whatever max_ms says */
	STATUS_OK = 200,
};

/** Bytes that grow */
struct buf {
	uint8_t *p;
	size_t n, size;
};

/** What the job works on. Loop and job take turns, by f->busy. */
struct work {
	struct fetch *fetch; /* weak, for the loop only; NULL: dropped */
	struct decoder *decoder;
	struct buf in, out;
	bool last;
	int err;
};

struct fetch {
	const struct net *net;
	struct http_req *req;
	struct clip *clip;
	struct work *work;
	struct buf queue; /* arrived while the job was busy */
	bool busy;
	bool complete; /* all has arrived */
	int err;       /* why not; what came before is still decoded */
	bool ended;

	char origin[ORIGIN_MAX];
	char *hosts;
	char *call_id;
	uint64_t start_us;
	uint32_t timeout_ms;
	struct tmr *tmr; /* until the first sample */
};

static void run_job(struct fetch *f);

/* -------------------------------------------------------------- buffers */

static int buf_append(struct buf *b, const uint8_t *p, size_t n)
{
	if (b->n + n > b->size) {
		size_t size = MAX(2 * b->size, b->n + n);
		uint8_t *v = mem_raw_realloc(b->p, size);

		if (!v)
			return ENOMEM;
		b->p = v;
		b->size = size;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;

	return 0;
}

static void buf_swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;

	*a = *b;
	*b = t;
}

/* ------------------------------------------------------------------ end */

static void end(struct fetch *f, int err)
{
	struct clip *clip;

	if (f->ended)
		return;

	f->ended = true;
	f->req = mem_deref(f->req);
	tmr_cancel(f->tmr);
	metrics_inc(!err            ? M_AUDIO_FETCHED
		    : err == EACCES ? M_AUDIO_REFUSED
				    : M_AUDIO_FAILED);
	if (err)
		log_warn(f->call_id, "reply audio failed", "err=\"%s\"",
			 strerror(err));

	clip = mem_ref(f->clip); /* a watcher may drop the fetch */
	clip_end(clip, err);
	mem_deref(clip);
}

/* ------------------------------------------------------------------ job */

static void samples_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct work *w = arg;

	if (!w->err)
		w->err = buf_append(&w->out, ulawv, n);
}

static void job_handler(void *arg)
{
	struct work *w = arg;
	int err = decoder_push(w->decoder, w->in.p, w->in.n, w->last,
			       samples_handler, w);

	if (!w->err)
		w->err = err;
}

/** Hand what the job has made to the clip; false: the fetch may be gone */
static bool take_samples(struct fetch *f, struct work *w)
{
	int err;

	if (!w->out.n)
		return true;

	if (!clip_len(f->clip)) {
		metrics_latency(M_AUDIO_FIRST, clk_now_us() - f->start_us);
		tmr_cancel(f->tmr);
	}
	err = clip_append(f->clip, w->out.p, w->out.n);
	w->out.n = 0;
	if (!w->fetch)
		return false; /* a watcher has dropped it */
	if (err) {
		end(f, err);
		return false;
	}

	return true;
}

static void job_done_handler(int err, void *arg)
{
	struct work *w = arg;
	struct fetch *f = w->fetch;

	if (!f)
		goto out;

	f->busy = false;
	w->in.n = 0;
	if (f->ended || !take_samples(f, w))
		goto out;

	if (!err)
		err = w->err;
	if (err || w->last) {
		end(f, err);
		goto out;
	}
	run_job(f);
	if (w->fetch && !f->busy && f->err)
		end(f, f->err);

out:
	mem_deref(w); /* the job's reference */
}

static void run_job(struct fetch *f)
{
	struct work *w = f->work;
	int err;

	if (f->busy || f->ended || (!f->queue.n && !f->complete))
		return;

	buf_swap(&w->in, &f->queue);
	w->last = f->complete;
	f->busy = true;
	mem_ref(w);
	err = loop_job(f->net->loop, job_handler, job_done_handler, w);
	if (err) {
		mem_deref(w);
		f->busy = false;
		end(f, err);
		return;
	}
	http_pause(f->req, false);
}

/* ----------------------------------------------------------------- http */

static void body_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	struct fetch *f = arg;
	int err;

	if (status != STATUS_OK || f->ended)
		return; /* the done handler will say so */

	err = buf_append(&f->queue, p, n);
	if (err) {
		end(f, err);
		return;
	}
	if (f->queue.n >= QUEUE_MAX_BYTES)
		http_pause(f->req, true);
	run_job(f);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct fetch *f = arg;

	if (!err && resp->status != STATUS_OK) {
		log_warn(f->call_id, "reply audio refused by its server",
			 "status=%d", resp->status);
		err = EREMOTEIO;
	}
	f->err = err;
	if (err) {
		if (!f->busy)
			end(f, err);
		return;
	}

	f->complete = true;
	run_job(f);
}

/* --------------------------------------------------------------- policy */

/** Is the host of an origin ("scheme://host:port") in a list? */
static bool host_is_listed(const char *origin, const char *hosts)
{
	const char *host = strstr(origin, "://") + 3;
	size_t full = strlen(host);
	size_t bare = (size_t)(strrchr(host, ':') - host);

	while (hosts && *hosts) {
		size_t n;

		hosts += strspn(hosts, " \t,");
		n = strcspn(hosts, " \t,");
		if ((n == bare || n == full) && n &&
		    !strncasecmp(hosts, host, n))
			return true;
		hosts += n;
	}

	return false;
}

static bool allow_handler(const char *url, void *arg)
{
	struct fetch *f = arg;
	char origin[ORIGIN_MAX];
	struct log_buf b;

	if (url_origin(origin, sizeof(origin), url))
		return false;
	if (str_eq(origin, f->origin) || host_is_listed(origin, f->hosts))
		return true;

	log_warn(f->call_id, "origin of reply audio not allowed",
		 "origin=\"%s\"", log_escape(&b, origin));

	return false;
}

/* ---------------------------------------------------------------- fetch */

static void timeout_handler(void *arg)
{
	end(arg, ETIMEDOUT);
}

static void work_destructor(void *arg)
{
	struct work *w = arg;

	mem_deref(w->decoder);
	mem_raw_free(w->in.p);
	mem_raw_free(w->out.p);
}

static void destructor(void *arg)
{
	struct fetch *f = arg;

	mem_deref(f->req);
	mem_deref(f->tmr);
	if (f->work)
		f->work->fetch = NULL;
	mem_deref(f->work);
	mem_deref(f->clip);
	mem_raw_free(f->queue.p);
	mem_deref(f->hosts);
	mem_deref(f->call_id);
}

static int set_up(struct fetch *f, const struct fetch_param *prm)
{
	int err;

	f->work = mem_zalloc(sizeof(*f->work), work_destructor);
	if (!f->work)
		return ENOMEM;

	f->work->fetch = f;
	err = decoder_alloc(&f->work->decoder, DECODE_SNIFF, 0, prm->max_ms);
	if (!err && prm->origin)
		err = url_origin(f->origin, sizeof(f->origin), prm->origin);
	if (!err && prm->hosts)
		err = str_dup(&f->hosts, prm->hosts);
	if (!err && prm->call_id)
		err = str_dup(&f->call_id, prm->call_id);
	if (!err)
		err = tmr_alloc(&f->tmr, f->net->loop, timeout_handler, f);

	return err;
}

static int request(struct fetch *f, const struct fetch_param *prm)
{
	static const char *const headerv[] = {"Accept: audio/*, */*;q=0.5",
					      NULL};
	const struct http_param http = {
		.url = prm->url,
		.headerv = headerv,
		/* nobody waits longer for audio than it can last: a peer
		 * that drips it would keep the caller on the line */
		.timeout_ms = prm->timeout_ms ? prm->timeout_ms + prm->max_ms
					      : 0,
		.idle_ms = prm->timeout_ms,
		.body_max = BODY_MAX_BYTES,
		.redirects = true,
		.allowh = allow_handler,
	};

	return http_request(&f->req, f->net->http, &http, body_handler,
			    done_handler, f);
}

int fetch_audio(void **rp, const struct net *net,
		const struct fetch_param *prm, struct clip *clip)
{
	struct fetch *f;
	int err;

	if (!rp || !net || !prm || !prm->url || !clip)
		return EINVAL;

	f = mem_zalloc(sizeof(*f), destructor);
	if (!f)
		return ENOMEM;

	f->net = net;
	f->clip = mem_ref(clip);
	f->start_us = clk_now_us();
	err = set_up(f, prm);
	if (!err)
		err = request(f, prm);
	if (err) {
		mem_deref(f);
		return err;
	}

	if (prm->timeout_ms)
		tmr_start(f->tmr, prm->timeout_ms);
	*rp = f;

	return 0;
}

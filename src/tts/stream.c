/**
 * @file stream.c  The body of an HTTP answer into a clip, as it arrives
 *
 * Bytes arrive on the loop. As soon as the first ones tell the format there is
 * a decoder. Where that only changes the coding (μ-law, 16 bits at 8 kHz) it
 * works right there, so that the first sample is heard at once. Otherwise the
 * bytes are queued; a job on the thread pool decodes what is queued by then;
 * back on the loop the samples go to the clip. There is one job at a time, so
 * that the order holds and the decoder is used by one thread. When the queue
 * is full the peer has to wait.
 *
 *	http ──▶ queue ──▶ decoder, or a job with it ──▶ clip
 *
 * Owner graph: the user owns the stream; the stream owns the request and a
 * reference to what the job works on, the running job another one. So a stream
 * can be dropped at any time, and the job, which never sees it, ends in peace.
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/buf.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "stream.h"

enum {
	/* Then the peer waits for the end of a job. Small, so that no job, the
	 * first least of all, keeps the samples back for long. */
	QUEUE_MAX_BYTES = 1 << 16,
	TYPE_MAX = 64, /* of the Content-Type that is looked at */
	STATUS_OK = 200,
};

/** What the job works on. Loop and job take turns, by s->busy. */
struct job {
	struct stream *stream;   /* weak, for the loop only; NULL: dropped */
	struct decoder *decoder; /* NULL until the format is known */
	struct buf in, out;
	bool last;
	int err;
};

struct stream {
	struct loop *loop;
	struct http_req *req;
	struct clip *clip;
	struct job *job;
	struct buf queue; /* arrived while the job was busy */
	enum decode_format format;
	uint32_t rate, max_ms;
	bool direct; /* decoded on the loop */
	bool busy;
	bool complete; /* all has arrived */
	int err;       /* why not; what came before is still decoded */
	bool ended;

	struct tmr *tmr;
	uint32_t timeout_ms;
	uint64_t start_ms; /* then, of the first sample */

	struct stream_result res;
	struct buf text; /* of an answer that is no audio */
	char type[TYPE_MAX];
	http_allow_h *allowh;
	http_addr_h *addrh;
	stream_first_h *firsth;
	stream_done_h *doneh;
	void *arg;
};

/* -------------------------------------------------------------- buffers */

static void buf_swap(struct buf *a, struct buf *b)
{
	struct buf t = *a;

	*a = *b;
	*b = t;
}

/* ------------------------------------------------------------------ end */

static void end(struct stream *s, int err)
{
	if (s->ended)
		return;

	s->ended = true;
	s->req = mem_deref(s->req);
	tmr_cancel(s->tmr);
	s->res.text = buf_str(&s->text);
	s->res.textc = s->text.n;
	s->doneh(err, &s->res, s->arg);
}

/** Keep what the peer says instead of audio */
static void keep_text(struct stream *s, const uint8_t *p, size_t n)
{
	n = MIN(n, STREAM_ERROR_MAX_BYTES - s->text.n);
	if (buf_add(&s->text, p, n, STREAM_ERROR_MAX_BYTES))
		buf_reset(&s->text); /* less to say in the log */
}

/* -------------------------------------------------------------- samples */

/** A peer has until then to bring more */
static uint64_t deadline(const struct stream *s)
{
	return s->start_ms + s->res.samples / AUDIO_PER_MS + s->timeout_ms;
}

static void timeout_handler(void *arg)
{
	struct stream *s = arg;

	if (loop_now_ms(s->loop) < deadline(s))
		tmr_start_at(s->tmr, deadline(s));
	else if (s->res.status && s->res.status != STATUS_OK)
		end(s, EREMOTEIO);
	else
		end(s, ETIMEDOUT);
}

/** Samples for the clip; may drop the stream */
static int give(struct stream *s, const uint8_t *ulawv, size_t n)
{
	if (!n)
		return 0;

	if (!s->res.samples) {
		s->start_ms = loop_now_ms(s->loop);
		if (s->firsth)
			s->firsth(s->arg);
	}
	s->res.samples += n;

	return clip_append(s->clip, ulawv, n);
}

static void samples_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct job *j = arg;

	if (!j->err)
		j->err = buf_add(&j->out, ulawv, n, SIZE_MAX);
}

static void decode(struct job *j)
{
	int err = decoder_push(j->decoder, buf_bytes(&j->in), j->in.n, j->last,
			       samples_handler, j);

	if (!j->err)
		j->err = err;
	j->in.n = 0;
}

/** What was decoded goes to the clip, and the end is told; true: go on. The
 * stream may be gone when it returns false. */
static bool deliver(struct stream *s, struct job *j)
{
	int err = give(s, buf_bytes(&j->out), j->out.n);

	j->out.n = 0;
	if (!j->stream || s->ended)
		return false; /* a watcher has dropped it */
	if (!err)
		err = j->err;
	if (!err && !j->last)
		return true;

	end(s, err);

	return false;
}

/* ------------------------------------------------------------------ job */

static void run(struct stream *s);

static void job_handler(void *arg)
{
	decode(arg);
}

static void job_done_handler(int err, void *arg)
{
	struct job *j = arg;
	struct stream *s = j->stream;

	if (s)
		s->busy = false;
	if (s && !s->ended) {
		if (!j->err)
			j->err = err;
		if (deliver(s, j))
			run(s);
	}
	mem_deref(j); /* the job's reference */
}

static void run_job(struct stream *s)
{
	int err;

	s->busy = true;
	mem_ref(s->job);
	err = loop_job(s->loop, job_handler, job_done_handler, s->job);
	if (err) {
		mem_deref(s->job);
		s->busy = false;
		end(s, err);
	}
}

/** Look at the first bytes; EAGAIN: wait for more */
static int find_format(struct stream *s)
{
	bool last = s->complete || s->err;
	int err = decode_confirm(&s->format, s->type, buf_bytes(&s->queue),
				 s->queue.n, last);

	if (err == EBADMSG)
		keep_text(s, buf_bytes(&s->queue), s->queue.n);
	if (err)
		return err;

	s->direct = s->format == DECODE_ULAW_8000 ||
		    (s->format == DECODE_PCM_S16LE && s->rate == AUDIO_RATE);

	return decoder_alloc(&s->job->decoder, s->format, s->rate, s->max_ms);
}

/** Decode what is there, and end when there is no more */
static void run(struct stream *s)
{
	struct job *j = s->job;
	int err = 0;

	if (s->busy || s->ended)
		return;
	if (!s->queue.n && !s->complete) {
		if (s->err)
			end(s, s->err);
		return;
	}

	if (!j->decoder)
		err = find_format(s);
	if (err == EAGAIN)
		return;
	if (err) {
		end(s, s->err ? s->err : err);
		return;
	}

	buf_swap(&j->in, &s->queue);
	http_pause(s->req, false);
	j->last = s->complete;
	if (!s->direct) {
		run_job(s);
		return;
	}

	mem_ref(j);
	decode(j);
	if (deliver(s, j) && s->err)
		end(s, s->err);
	mem_deref(j);
}

/* ----------------------------------------------------------------- http */

static enum http_verdict allow_handler(const char *url, void *arg)
{
	struct stream *s = arg;

	return s->allowh(url, s->arg);
}

static bool addr_handler(const struct sockaddr *sa, void *arg)
{
	struct stream *s = arg;

	return s->addrh(sa, s->arg);
}

static void body_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	struct stream *s = arg;
	int err;

	if (s->ended)
		return;

	if (!s->res.status)
		str_copy(s->type, sizeof(s->type), http_content_type(s->req));
	s->res.status = status;
	if (status != STATUS_OK) {
		keep_text(s, p, n);
		return; /* the done handler will say so */
	}

	err = buf_add(&s->queue, p, n, SIZE_MAX);
	if (err) {
		end(s, err);
		return;
	}
	if (s->queue.n >= QUEUE_MAX_BYTES)
		http_pause(s->req, true);
	run(s);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct stream *s = arg;

	s->res.status = resp->status;
	if (!err && resp->status != STATUS_OK)
		err = EREMOTEIO;
	s->err = err;
	s->complete = !err;
	run(s);
}

/* --------------------------------------------------------------- stream */

static void job_destructor(void *arg)
{
	struct job *j = arg;

	mem_deref(j->decoder);
	buf_reset(&j->in);
	buf_reset(&j->out);
}

static void destructor(void *arg)
{
	struct stream *s = arg;

	mem_deref(s->req);
	mem_deref(s->tmr);
	if (s->job)
		s->job->stream = NULL;
	mem_deref(s->job);
	mem_deref(s->clip);
	buf_reset(&s->queue);
	buf_reset(&s->text);
}

static int request(struct stream *s, const struct net *net,
		   const struct http_param *prm)
{
	struct http_param http = *prm;

	http.timeout_ms = http.idle_ms = 0; /* deadline() knows better */
	http.body_max = STREAM_BODY_MAX_BYTES;
	http.allowh = s->allowh ? allow_handler : NULL;
	http.addrh = s->addrh ? addr_handler : NULL;

	return http_request(&s->req, net->http, &http, body_handler,
			    done_handler, s);
}

int stream_alloc(struct stream **sp, const struct net *net,
		 const struct stream_param *prm, struct clip *clip,
		 stream_first_h *firsth, stream_done_h *doneh, void *arg)
{
	struct stream *s;
	int err;

	if (!sp || !net || !prm || !clip || !doneh)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), destructor);
	if (!s)
		return ENOMEM;

	s->loop = net->loop;
	s->clip = mem_ref(clip);
	s->format = prm->format;
	s->rate = prm->rate;
	s->max_ms = prm->max_ms;
	s->timeout_ms = prm->timeout_ms;
	s->start_ms = loop_now_ms(net->loop);
	s->allowh = prm->http.allowh;
	s->addrh = prm->http.addrh;
	s->firsth = firsth;
	s->doneh = doneh;
	s->arg = arg;

	err = tmr_alloc(&s->tmr, net->loop, timeout_handler, s);
	s->job = mem_zalloc(sizeof(*s->job), job_destructor);
	if (!s->job)
		err = ENOMEM;
	else
		s->job->stream = s;
	if (!err)
		err = request(s, net, &prm->http);
	if (err) {
		mem_deref(s);
		return err;
	}

	if (s->timeout_ms)
		tmr_start(s->tmr, s->timeout_ms);
	*sp = s;

	return 0;
}

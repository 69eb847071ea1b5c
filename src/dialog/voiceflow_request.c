/**
 * @file voiceflow_request.c  One request to Voiceflow and its answer
 *
 * It is sent again once if that can't do a turn twice: when nothing of an
 * answer has come, and the status does not say that the turn may still be
 * running there (dialog.md 9.3).
 *
 * The answer is JSON that comes whole, or events. Whatever was asked for, the
 * first byte of the body tells: errors after status 200 are JSON in a stream,
 * too.
 *
 *	request ──▶ http_req, parser of events, body gathered, timer
 */
#include <errno.h>
#include <string.h>
#include <convod/buf.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/sse.h>
#include <convod/str.h>
#include "session.h"
#include "voiceflow.h"

enum {
	STATUS_OK = 200,
	STATUS_TIMEOUT = 408,
	STATUS_TOO_MANY = 429,
	STATUS_ERROR = 500,
	STATUS_GATEWAY_TIMEOUT = 504,

	AGAIN_MS = 300,
	TOO_MANY_MS = 1000, /* if Retry-After does not say */
	ERROR_MAX_BYTES = 4096,
	EVENT_MAX_BYTES = 1 << 20,   /* 90 s of μ-law in base64 */
	STREAM_MAX_BYTES = 64 << 20, /* the events of an answer */
};

struct voiceflow_request {
	struct voiceflow_request_param prm;
	voiceflow_request_h *doneh;
	void *arg;

	struct http_req *http;
	struct sse *sse;
	struct buf body; /* what is not events */
	struct tmr *tmr;
	bool again;  /* this is the second time */
	bool plain;  /* not events, though asked for */
	bool begun;  /* the first byte of the body was seen */
	bool over;   /* doneh was called */
	bool let_go; /* nobody wants the answer: not for long */
};

static int start(struct voiceflow_request *r);

static void destructor(void *arg)
{
	struct voiceflow_request *r = arg;

	mem_deref(r->http);
	mem_deref(r->sse);
	mem_deref(r->tmr);
	buf_reset(&r->body);
	mem_deref(r->prm.call_id);
	mem_deref(r->prm.url);
	mem_deref(r->prm.body);
	mem_deref(r->prm.reply);
}

static void finish(struct voiceflow_request *r, int err)
{
	if (r->over)
		return;

	r->over = true;
	tmr_cancel(r->tmr);
	r->doneh(err, r->arg);
}

/* --------------------------------------------------------------- errors */

static void log_refusal(const struct voiceflow_request *r, int status,
			const char *body, size_t n)
{
	char why[VOICEFLOW_WHY_SIZE];

	voiceflow_why(why, body, n);
	if (r->prm.secret || str_quotes(why, r->prm.key))
		str_copy(why, sizeof(why), "***");
	log_warn(r->prm.call_id, "voiceflow refused", "status=%d why=\"%s\"",
		 status, LOG_STR(why));
}

/*
 * At 408 and 504 the gateway has given up, and the turn may go on behind it:
 * only what does no harm twice is sent again.
 */
static bool is_worth_it(const struct voiceflow_request *r, int err, int status)
{
	if (err != EREMOTEIO)
		return session_may_pass(err);
	if (status == STATUS_TIMEOUT || status == STATUS_GATEWAY_TIMEOUT)
		return r->prm.twice;

	return status == STATUS_TOO_MANY || status >= STATUS_ERROR;
}

/** @return true if it is sent once more, later */
static bool try_again(struct voiceflow_request *r, int err,
		      const struct http_resp *resp)
{
	uint64_t now = loop_now_ms(r->prm.net->loop);
	uint64_t wait = AGAIN_MS;

	if (r->again || (resp->status == STATUS_OK && resp->first_byte_us) ||
	    !is_worth_it(r, err, resp->status))
		return false;

	if (resp->retry_after_s)
		wait = (uint64_t)resp->retry_after_s * 1000;
	else if (resp->status == STATUS_TOO_MANY)
		wait = TOO_MANY_MS;
	if (now + wait >= r->prm.end_ms)
		return false;

	r->again = true;
	metrics_inc(M_DIALOG_AGAIN);
	log_info(r->prm.call_id, "asked once more", "after_ms=%u err=\"%s\"",
		 (unsigned)wait, strerror(err));
	tmr_start(r->tmr, wait);

	return true;
}

/* The owner may drop itself, or us, or both, inside any handler */
static struct voiceflow_request *hold(void *arg, void **ownerp)
{
	struct voiceflow_request *r = mem_ref(arg);

	*ownerp = mem_ref(r->arg);

	return r;
}

static void release(struct voiceflow_request *r, void *owner)
{
	mem_deref(r);
	mem_deref(owner);
}

static void timer_handler(void *arg)
{
	void *owner;
	struct voiceflow_request *r = hold(arg, &owner);
	int err;

	r->http = mem_deref(r->http);
	err = r->let_go ? ETIMEDOUT : start(r);
	if (err)
		finish(r, err);
	release(r, owner);
}

bool voiceflow_request_let_go(struct voiceflow_request *r)
{
	bool waiting = tmr_is_running(r->tmr);

	/* for the next turn too: the timer that runs is of the first time */
	if (r->let_go)
		return false;

	r->again = r->let_go = true;
	r->over = r->over || waiting;
	if (r->over)
		tmr_cancel(r->tmr);
	else
		/* comments could keep a stream alive for long */
		tmr_start(r->tmr, r->prm.timeout_ms);

	return waiting;
}

/* ---------------------------------------------------------------- events */

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct voiceflow_request *r = arg;
	const struct voiceflow_trace nonsense = {.text = "", .url = ""};

	if (r->over)
		return;

	if (!strcmp(event, "end"))
		finish(r, 0);
	else if (!strcmp(event, "state"))
		return;
	else if (strcmp(event, "trace") != 0 ||
		 voiceflow_event_parse(data, n, voiceflow_reply_trace,
				       r->prm.reply))
		voiceflow_reply_trace(&nonsense, r->prm.reply);
}

/** JSON or a page where events should be? */
static bool is_plain(const uint8_t *p, size_t n)
{
	while (n && strchr(" \t\r\n", *p)) {
		++p;
		--n;
	}

	return n && strchr("[{<", *p);
}

static void body_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	void *owner;
	struct voiceflow_request *r = hold(arg, &owner);
	int err = 0;

	if (!n || r->over)
		goto out;

	if (status != STATUS_OK) {
		(void)!buf_add(&r->body, p, n, ERROR_MAX_BYTES);
		goto out;
	}

	if (!r->begun)
		r->plain = is_plain(p, n);
	r->begun = true;
	err = r->plain ? buf_add(&r->body, p, n, VOICEFLOW_REPLY_MAX_BYTES)
		       : sse_push(r->sse, p, n);
	if (err && !r->over) {
		r->http = mem_deref(r->http);
		finish(r, err);
	}

out:
	release(r, owner);
}

/* ---------------------------------------------------------------- answer */

static int take_json(struct voiceflow_request *r, const char *p, size_t n)
{
	int err = voiceflow_reply_parse(p, n, voiceflow_reply_trace,
					r->prm.reply);

	if (err == EPROTO) /* to parse a long one again takes long */
		log_refusal(r, STATUS_OK, p, MIN(n, ERROR_MAX_BYTES));

	return err;
}

/** The connection has ended well; has the answer, too? */
static int take_end(struct voiceflow_request *r)
{
	int err;

	if (r->plain)
		return take_json(r, buf_str(&r->body), r->body.n);

	err = sse_end(r->sse);
	if (!err && !r->over) {
		log_warn(r->prm.call_id, "stream was cut", NULL);
		err = ECONNRESET;
	}

	return err;
}

static bool is_good(const struct voiceflow_request *r, int status)
{
	return status == STATUS_OK || (r->prm.nothing && status / 100 == 2);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	void *owner;
	struct voiceflow_request *r = hold(arg, &owner);

	r->http = mem_deref(r->http);
	if (r->over)
		goto out;

	if (!err && !is_good(r, resp->status)) {
		log_refusal(r, resp->status,
			    r->body.n ? r->body.p : resp->body,
			    r->body.n ? r->body.n : resp->bodyc);
		err = EREMOTEIO;
	} else if (!err && !r->prm.nothing) {
		err = r->prm.stream ? take_end(r)
				    : take_json(r, resp->body, resp->bodyc);
	}
	if (r->over)
		goto out; /* inside take_end() */

	if (!err || !try_again(r, err, resp))
		finish(r, err);

out:
	release(r, owner);
}

/* ----------------------------------------------------------------- start */

static int start(struct voiceflow_request *r)
{
	const struct voiceflow_request_param *prm = &r->prm;
	const struct http_param http = {
		.method = prm->method,
		.url = prm->url,
		.headerv = prm->headerv,
		.body = prm->body,
		.bodyc = strlen(prm->body),
		/* a stream may be long, but not silent */
		.timeout_ms = prm->stream ? VOICEFLOW_STREAM_MAX_MS
					  : prm->timeout_ms,
		.idle_ms = prm->stream ? prm->timeout_ms : 0,
		.body_max = prm->stream ? STREAM_MAX_BYTES
					: VOICEFLOW_REPLY_MAX_BYTES,
	};
	int err = 0;

	buf_reset(&r->body);
	r->begun = r->plain = false;
	r->sse = mem_deref(r->sse);
	if (prm->stream)
		err = sse_alloc(&r->sse, EVENT_MAX_BYTES, false, event_handler,
				r);
	sse_take_bare(r->sse);
	if (!err)
		err = http_request(&r->http, prm->net->http, &http,
				   prm->stream ? body_handler : NULL,
				   done_handler, r);

	return err;
}

int voiceflow_request_alloc(struct voiceflow_request **rp,
			    const struct voiceflow_request_param *prm,
			    voiceflow_request_h *doneh, void *arg)
{
	struct voiceflow_request *r = mem_zalloc(sizeof(*r), destructor);
	int err;

	if (!r)
		return ENOMEM;

	r->prm = *prm;
	mem_ref(prm->call_id);
	mem_ref(prm->url);
	mem_ref(prm->body);
	mem_ref(prm->reply);
	r->doneh = doneh;
	r->arg = arg;
	err = tmr_alloc(&r->tmr, prm->net->loop, timer_handler, r);
	if (!err)
		err = start(r);
	if (err)
		mem_deref(r);
	else
		*rp = r;

	return err;
}

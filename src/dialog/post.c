/**
 * @file post.c  Sessions whose turn is one POST, answered with JSON
 *
 * A turn is not repeated: whoever answers may have done what was asked.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/utf8.h>
#include "post.h"

static bool is_ok(int status)
{
	return status >= 200 && status < 300;
}

static void stop(struct post *p)
{
	p->req = mem_deref(p->req);
	values_reset(&p->values);
}

static void finish(struct post *p, int err)
{
	stop(p);
	session_done(&p->s, err);
}

static int value_handler(const json_t *value, void *arg)
{
	struct post *p = arg;

	return p->valueh(p, value);
}

static void gather_error(struct post *p, const uint8_t *b, size_t n)
{
	size_t len = strlen(p->error);

	(void)utf8_clean(p->error + len, sizeof(p->error) - len,
			 (const char *)b, n);
}

static void body_handler(int status, const uint8_t *b, size_t n, void *arg)
{
	struct post *p = mem_ref(arg);
	unsigned turn = p->s.turn;
	int err = 0;

	if (is_ok(status))
		err = values_push(&p->values, b, n, POST_ANSWER_MAX_BYTES,
				  value_handler, p);
	else
		gather_error(p, b, n);

	if (err && session_is_on(&p->s, turn))
		finish(p, err);
	mem_deref(p);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct post *p = mem_ref(arg);
	unsigned turn = p->s.turn;

	p->req = mem_deref(p->req);
	if (!err && !is_ok(resp->status)) {
		log_warn(p->s.call_id, "dialog manager refused",
			 "status=%d body=\"%s\"", resp->status,
			 LOG_STR(p->error));
		err = EREMOTEIO;
	}
	if (!err)
		err = values_end(&p->values, value_handler, p);

	if (session_is_on(&p->s, turn))
		finish(p, err);
	mem_deref(p);
}

int post_turn(struct post *p, const struct post_param *prm)
{
	const char *const headerv[] = {
		"Content-Type: application/json",
		"Accept: application/json, application/x-ndjson", prm->auth,
		NULL};
	uint32_t ms = prm->timeout_ms ? prm->timeout_ms : POST_TIMEOUT_MS;
	struct http_param http = {
		.method = "POST",
		.url = prm->url,
		.headerv = headerv,
		.timeout_ms = 2 * ms,
		.idle_ms = ms,
		.body_max = POST_ANSWER_MAX_BYTES,
	};
	char *body;
	int err;

	if (p->s.asking)
		return EBUSY;
	err = jsn_print(&body, prm->body);
	if (err)
		return err;

	p->error[0] = '\0';
	http.body = body;
	http.bodyc = strlen(body);
	err = http_request(&p->req, prm->net->http, &http, body_handler,
			   done_handler, p);
	mem_deref(body);

	return err ? err : session_begin(&p->s);
}

void post_cancel(struct post *p)
{
	stop(p);
	session_cancel(&p->s);
}

void post_close(struct post *p)
{
	stop(p);
	session_close(&p->s);
}

void post_ignore(struct post *p, const char *what)
{
	metrics_inc(M_DIALOG_IGNORED);
	log_warn(p->s.call_id, "part of an answer ignored", "what=\"%s\"",
		 LOG_STR(what));
}

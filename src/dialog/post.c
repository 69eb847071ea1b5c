/**
 * @file post.c  Dialog managers whose turn is one POST, answered with JSON
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

/* ------------------------------------------------------------- the turn */

static const struct post_server *server_of(const struct post *p)
{
	return CONTAINER_OF(p->s.ds.dialog, struct post_server, d);
}

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
			 LOG_STR(session_quote(&p->s, p->error,
					       server_of(p)->auth)));
		err = EREMOTEIO;
	}
	if (!err)
		err = values_end(&p->values, value_handler, p);

	if (session_is_on(&p->s, turn))
		finish(p, err);
	mem_deref(p);
}

int post_turn(struct post *p, const struct dialog_turn *t, const json_t *body)
{
	const struct post_server *ps = server_of(p);
	const char *const headerv[] = {
		"Content-Type: application/json",
		"Accept: application/json, application/x-ndjson", ps->auth,
		NULL};
	struct http_param http = {
		.method = "POST",
		.url = ps->url,
		.headerv = headerv,
		.timeout_ms = 2 * ps->timeout_ms,
		.idle_ms = ps->timeout_ms,
		.body_max = POST_ANSWER_MAX_BYTES,
	};
	char *text;
	int err;

	if (p->s.asking)
		return EBUSY;
	err = jsn_print(&text, body);
	if (err)
		return err;

	p->error[0] = '\0';
	p->actc = 0;
	http.body = text;
	http.bodyc = strlen(text);
	err = http_request(&p->req, ps->net->http, &http, body_handler,
			   done_handler, p);
	mem_deref(text);

	return err ? err : session_begin(&p->s, t);
}

void post_cancel(struct dialog_session *ds)
{
	struct post *p = CONTAINER_OF(ds, struct post, s.ds);

	stop(p);
	session_cancel(&p->s);
}

/* ----------------------------------------------------------------- acts */

static bool act_handler(const struct dialog_act *act, const char *odd,
			void *arg)
{
	struct post *p = arg;

	/* a megabyte of them would keep the loop for a second */
	if (++p->actc > POST_ACTS_MAX) {
		metrics_inc(M_DIALOG_CUT);
		log_warn(p->s.call_id, "answer is cut", "acts=%u",
			 (unsigned)POST_ACTS_MAX);
		finish(p, 0);
		return false;
	}

	if (act)
		return session_act(&p->s, act);

	metrics_inc(M_DIALOG_IGNORED);
	log_warn(p->s.call_id, "part of an answer ignored", "what=\"%s\"",
		 LOG_STR(odd));

	return true;
}

struct acts_param post_acts(struct post *p)
{
	const struct post_server *ps = server_of(p);

	return (struct acts_param){
		.base = ps->base,
		.origin = ps->origin,
		.h = act_handler,
		.arg = p,
	};
}

/* --------------------------------------------------------------- set-up */

int post_open(struct post *p, struct dialog *d, const struct dialog_call *call,
	      const struct dialog_handlers *h, void *arg)
{
	const struct post_server *ps = CONTAINER_OF(d, struct post_server, d);
	int err = session_open(&p->s, d, ps->net, call, h, arg);

	return err ? err : session_about(&p->about, call);
}

void post_close(struct post *p)
{
	stop(p);
	json_decref(p->about);
	session_close(&p->s);
}

/* The URL that the server's own document shows has the path already */
static size_t without(const char *url, size_t n, const char *path)
{
	size_t m = strlen(path);

	return n > m && url[n - m - 1] == '/' && !memcmp(url + n - m, path, m)
		       ? n - m - 1
		       : n;
}

/* …/base?token=x is …/base/PATH?token=x */
static int read_url(struct post_server *ps, const char *url, const char *path)
{
	size_t n = strcspn(url, "?");
	const char *query = url + n;
	int err;

	if (strchr(url, '#'))
		return EINVAL;
	if (!path) {
		err = str_dup(&ps->url, url);
		ps->base = mem_ref(ps->url);
	} else {
		while (n && url[n - 1] == '/')
			--n;
		n = without(url, n, path);
		err = str_printf(&ps->base, "%.*s/", (int)n, url);
		if (!err)
			err = str_printf(&ps->url, "%s%s%s", ps->base, path,
					 query);
	}
	if (!err)
		err = url_origin(ps->origin, sizeof(ps->origin), ps->base);

	return !err || err == ENOMEM ? err : EINVAL;
}

int post_server_init(struct post_server *ps, const struct dialog_backend *be,
		     const struct dialog_param *prm, const struct net *net,
		     const char *path)
{
	const char *url = strchr(prm->url, '+');
	int err;

	if (!url || (prm->key && strpbrk(prm->key, "\r\n")))
		return EINVAL;

	ps->d.be = be;
	ps->net = net;
	ps->timeout_ms = prm->timeout_ms ? prm->timeout_ms : POST_TIMEOUT_MS;
	err = read_url(ps, url + 1, path);
	if (!err && str_isset(prm->key))
		err = str_printf(&ps->auth, "Authorization: Bearer %s",
				 prm->key);

	return err;
}

void post_server_close(struct post_server *ps)
{
	ps->url = str_wipe(ps->url);
	ps->base = str_wipe(ps->base);
	ps->auth = str_wipe(ps->auth);
}

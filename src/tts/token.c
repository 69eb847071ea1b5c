/**
 * @file token.c  A bearer token, fetched when it is needed
 *
 * Spec: Grammatek's authentication, tts.md 11.2
 */
#include <errno.h>
#include <string.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum {
	ANSWER_MAX_BYTES = 65536,
	EXPIRES_MAX_S = 30 * 86400,
	EXPIRES_DEFAULT_S = 300,
	EARLY_S = 10, /* not used in its last seconds */
	VALUE_MAX = 8192,
	STATUS_OK = 200,
};

struct token {
	const struct net *net;
	char *url;
	char *body; /* secret */
	char *secret;
	char *value;
	uint64_t until_ms;
	uint32_t timeout_ms;
	struct http_req *req;
	struct list waitl; /* weak */
};

int token_parse(char **valuep, uint32_t *expires_s, const char *body, size_t n)
{
	const char *s;
	json_t *root;
	int err = jsn_parse(&root, body, n);

	if (err)
		return err == ENOMEM ? err : EBADMSG;

	/* it becomes part of a header */
	s = jsn_str(root, "access_token");
	err = EBADMSG;
	if (s && strlen(s) <= VALUE_MAX && !strpbrk(s, "\r\n"))
		err = str_dup(valuep, s);
	if (!err)
		*expires_s = jsn_u32(root, "expires_in", 1, EXPIRES_MAX_S,
				     EXPIRES_DEFAULT_S);
	json_decref(root);

	return err;
}

static void tell(struct token *t, int err)
{
	struct list todol = {0};

	mem_ref(t);
	while (t->waitl.head)
		list_append(&todol, t->waitl.head, t->waitl.head->data);
	while (todol.head) {
		struct token_wait *w = list_ledata(todol.head);

		list_unlink(&w->le);
		w->h(err, w->arg);
	}
	mem_deref(t);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct token *t = arg;
	char says[VENDOR_ERROR_MAX];
	uint32_t s = 0;

	t->value = str_wipe(t->value);
	if (!err && resp->status != STATUS_OK) {
		vendor_error(says, resp->body, resp->bodyc);
		log_warn(NULL, "no token for the voice",
			 "status=%d says=\"%s\"", resp->status,
			 str_quotes(says, t->secret) ? "***" : LOG_STR(says));
		err = EREMOTEIO;
	}
	if (!err)
		err = token_parse(&t->value, &s, resp->body, resp->bodyc);
	if (!err)
		t->until_ms = loop_now_ms(t->net->loop) +
			      (s - MIN(EARLY_S, s / 2)) * 1000ull;
	t->req = mem_deref(t->req);

	tell(t, err);
}

const char *token_value(const struct token *t)
{
	return loop_now_ms(t->net->loop) < t->until_ms ? t->value : NULL;
}

int token_wait(struct token *t, struct token_wait *w)
{
	static const char *const headerv[] = {"Content-Type: application/json",
					      "Accept: application/json",
					      NULL};
	const struct http_param prm = {
		.method = "POST",
		.url = t->url,
		.headerv = headerv,
		.body = t->body,
		.bodyc = strlen(t->body),
		.timeout_ms = t->timeout_ms,
		.body_max = ANSWER_MAX_BYTES,
	};
	int err = 0;

	if (!t->req)
		err = http_request(&t->req, t->net->http, &prm, NULL,
				   done_handler, t);
	if (!err)
		list_append(&t->waitl, &w->le, w);

	return err;
}

void token_refused(struct token *t, const char *value)
{
	if (str_eq(t->value, value))
		t->value = str_wipe(t->value);
}

static void destructor(void *arg)
{
	struct token *t = arg;

	mem_deref(t->req);
	while (t->waitl.head)
		list_unlink(t->waitl.head);
	mem_deref(t->url);
	(void)str_wipe(t->body);
	(void)str_wipe(t->secret);
	(void)str_wipe(t->value);
}

int token_alloc(struct token **tp, const struct net *net, const char *url,
		const char *id, const char *secret, uint32_t timeout_ms)
{
	struct token *t = mem_zalloc(sizeof(*t), destructor);
	json_t *body = NULL;
	int err;

	if (!t)
		return ENOMEM;

	t->net = net;
	t->timeout_ms = timeout_ms;
	err = str_dup(&t->url, url);
	if (!err)
		err = str_dup(&t->secret, secret);
	if (!err) {
		body = json_pack("{s:s, s:s}", "client_id", id,
				 "client_secret", secret);
		err = body ? jsn_print(&t->body, body) : ENOMEM;
	}
	json_decref(body);
	if (err)
		mem_deref(t);
	else
		*tp = t;

	return err;
}

/**
 * @file lws_head.c  A request head printed again from libwebsockets' tokens
 *
 * Where TLS ends here nobody could peek at the head. libwebsockets has decoded
 * the target by then, so an escape cannot be told from the letter it stands
 * for; what must be escaped is escaped again, and target_exact says when that
 * may differ from what was sent.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "httpd_priv.h"

/* libwebsockets finds headers it does not know only by name */
static const char *const customv[] = {
	"x-twilio-signature:",
	"telnyx-signature-ed25519:",
	"telnyx-timestamp:",
};

struct out {
	char *p;
	size_t n;
	bool over;
	bool escaped;
};

CV_PRINTF(2, 3) static void print(struct out *o, const char *fmt, ...)
{
	size_t room = HTTP_HEAD_MAX - o->n;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(o->p + o->n, room, fmt, ap);
	va_end(ap);

	if (n < 0 || (size_t)n >= room)
		o->over = true;
	else
		o->n += n;
}

static void print_escaped(struct out *o, const char *s, const char *reserved)
{
	for (; *s && !o->over; s++) {
		unsigned char c = *s;

		if (c > ' ' && c < 127 && !strchr("%?#+", c) &&
		    !strchr(reserved, c)) {
			print(o, "%c", c);
		} else {
			print(o, "%%%02X", c);
			o->escaped = true;
		}
	}
}

static void print_target(struct out *o, struct lws *wsi, char *buf)
{
	char *uri = NULL;
	int len = 0, i;

	if (lws_http_get_uri_and_method(wsi, &uri, &len) < 0)
		return;
	print_escaped(o, uri, "");

	for (i = 0; lws_hdr_copy_fragment(wsi, buf, HTTP_HEAD_MAX,
					  WSI_TOKEN_HTTP_URI_ARGS, i) >= 0;
	     i++) {
		print(o, i ? "&" : "?");
		print_escaped(o, buf, "&");
		o->escaped = true;
	}
}

static void print_headers(struct out *o, struct lws *wsi, char *buf)
{
	const char *name;
	size_t i;
	int n;

	for (n = 0; (name = (const char *)lws_token_to_string(n)); n++) {
		size_t len = strlen(name);

		/* the others are methods, the version and pseudo headers */
		if (len < 2 || name[0] == ':' || name[len - 1] != ':' ||
		    lws_hdr_total_length(wsi, n) <= 0)
			continue;
		if (lws_hdr_copy(wsi, buf, HTTP_HEAD_MAX, n) < 0)
			o->over = true;
		print(o, "%s %s\r\n", name, buf);
	}

	for (i = 0; i < ARRAY_SIZE(customv); i++) {
		int len = (int)strlen(customv[i]);

		if (lws_hdr_custom_length(wsi, customv[i], len) <= 0 ||
		    lws_hdr_custom_copy(wsi, buf, HTTP_HEAD_MAX, customv[i],
					len) < 0)
			continue;
		print(o, "%s %s\r\n", customv[i], buf);
	}
	print(o, "\r\n");
}

static const char *method_of(struct lws *wsi)
{
	static const struct {
		enum lws_token_indexes token;
		const char *name;
	} methodv[] = {
		{WSI_TOKEN_GET_URI, "GET"},       {WSI_TOKEN_POST_URI, "POST"},
		{WSI_TOKEN_HEAD_URI, "HEAD"},     {WSI_TOKEN_PUT_URI, "PUT"},
		{WSI_TOKEN_DELETE_URI, "DELETE"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(methodv); i++) {
		if (lws_hdr_total_length(wsi, methodv[i].token) > 0)
			return methodv[i].name;
	}

	return "OTHER"; /* answered 501 */
}

int http_head_from_lws(struct http_head **hp, struct lws *wsi,
		       const struct http_head *from)
{
	struct out o = {0};
	char version[16] = "HTTP/1.1";
	char *buf = NULL;
	int err = ENOMEM;

	o.p = mem_zalloc(HTTP_HEAD_MAX, NULL);
	buf = mem_zalloc(HTTP_HEAD_MAX, NULL);
	if (!o.p || !buf)
		goto out;

	(void)lws_hdr_copy(wsi, version, sizeof(version), WSI_TOKEN_HTTP);
	print(&o, "%s ", method_of(wsi));
	print_target(&o, wsi, buf);
	print(&o, " %s\r\n", version);
	print_headers(&o, wsi, buf);

	err = o.over ? EOVERFLOW : http_head_decode(hp, o.p, o.n);
	if (err)
		goto out;

	(*hp)->tls = true;
	(*hp)->port = from->port;
	(*hp)->target_exact = !o.escaped;
	str_copy((*hp)->peer, sizeof((*hp)->peer), from->peer);

out:
	mem_deref(o.p);
	mem_deref(buf);

	return err;
}

/**
 * @file head.c  HTTP/1.x request heads: the strict parser
 *
 * Strict, because the same bytes are parsed a second time by libwebsockets:
 * whatever two parsers could see differently (bare line feeds, folded lines,
 * blanks before the colon, two lengths) is refused here.
 * Spec: RFC 9112 sections 2 to 6.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/httpd.h>
#include <convod/mem.h>
#include <convod/str.h>

/* libwebsockets drops a head with more fragments than it has tokens (~100) */
enum { HEADERS_MAX = 80 };

/** A mem object: the public struct, then two strings */
struct head {
	struct http_head pub;
	bool http10;
	unsigned hosts, lengths, headers;
	bool short_name;
	char s[];
};

struct span {
	const char *p;
	size_t n;
};

static const struct head *head_of(const struct http_head *head)
{
	return CONTAINER_OF(head, struct head, pub);
}

static bool is_token(struct span s)
{
	static const char other[] = "!#$%&'*+-.^_`|~";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (!c || c > 126 || !(isalnum(c) || strchr(other, c)))
			return false;
	}

	return s.n > 0;
}

static bool is_value(struct span s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if ((c < ' ' && c != '\t') || c == 127)
			return false;
	}

	return true;
}

static bool is_target(struct span s)
{
	/* Only origin-form: we are no proxy. A fragment is never sent. */
	if (!s.n || s.p[0] != '/')
		return false;

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = s.p[i];

		if (c <= ' ' || c > 126 || c == '#')
			return false;
	}

	return true;
}

static struct span trim(struct span s)
{
	while (s.n && (s.p[0] == ' ' || s.p[0] == '\t')) {
		++s.p;
		--s.n;
	}
	while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		--s.n;

	return s;
}

/** Cut the next line off; false if there is no CRLF */
static bool next_line(struct span *line, struct span *rest)
{
	const char *end = memmem(rest->p, rest->n, "\r\n", 2);

	if (!end)
		return false;

	line->p = rest->p;
	line->n = end - rest->p;
	rest->n -= line->n + 2;
	rest->p = end + 2;

	return true;
}

/** Cut off what stands before a character; false if it is not there */
static bool cut(struct span *before, struct span *rest, char c)
{
	const char *at = memchr(rest->p, c, rest->n);

	if (!at)
		return false;

	before->p = rest->p;
	before->n = at - rest->p;
	rest->n -= before->n + 1;
	rest->p = at + 1;

	return true;
}

static bool span_is(struct span s, const char *str)
{
	return s.n == strlen(str) && !strncasecmp(s.p, str, s.n);
}

/** Is a word one of a comma-separated list? */
static bool list_has(const char *list, const char *word)
{
	struct span rest = {list, strlen(list)}, item;

	while (cut(&item, &rest, ',')) {
		if (span_is(trim(item), word))
			return true;
	}

	return span_is(trim(rest), word);
}

static int decode_request_line(struct head *h, struct span line, char *target)
{
	struct span method, uri;

	if (!cut(&method, &line, ' ') || !cut(&uri, &line, ' '))
		return EBADMSG;
	if (!is_token(method) || method.n >= sizeof(h->pub.method) ||
	    !is_target(uri))
		return EBADMSG;

	h->http10 = span_is(line, "HTTP/1.0");
	if (!h->http10 && !span_is(line, "HTTP/1.1"))
		return EBADMSG;

	memcpy(h->pub.method, method.p, method.n);
	memcpy(target, uri.p, uri.n);
	h->pub.target = target;
	h->pub.target_exact = true;

	return 0;
}

static int decode_length(struct head *h, struct span value)
{
	int64_t n = 0;

	if (!value.n || value.n > 18 || h->lengths++)
		return EBADMSG;

	for (size_t i = 0; i < value.n; i++) {
		if (!isdigit((unsigned char)value.p[i]))
			return EBADMSG;
		n = n * 10 + (value.p[i] - '0');
	}
	h->pub.content_length = n;

	return 0;
}

static int decode_header(struct head *h, struct span line)
{
	struct span name;

	if (!cut(&name, &line, ':') || !is_token(name) || !is_value(line))
		return EBADMSG;

	++h->headers;
	h->short_name |= name.n < 2;
	line = trim(line);

	if (span_is(name, "content-length"))
		return decode_length(h, line);
	if (span_is(name, "transfer-encoding"))
		h->pub.chunked = true;
	else if (span_is(name, "upgrade") && span_is(line, "websocket"))
		h->pub.upgrade = true;
	else if (span_is(name, "host") && h->hosts++)
		return EBADMSG;

	return 0;
}

static int decode(struct head *h, char *target)
{
	struct span rest = {h->pub.raw, h->pub.len}, line;
	int err;

	if (!next_line(&line, &rest))
		return EBADMSG;

	err = decode_request_line(h, line, target);
	while (!err) {
		if (!next_line(&line, &rest))
			return EBADMSG;
		if (!line.n)
			return rest.n ? EBADMSG : 0;
		err = decode_header(h, line);
	}

	return err;
}

int http_head_decode(struct http_head **hp, const char *raw, size_t len)
{
	struct head *h;
	int err;

	if (!hp || !raw)
		return EINVAL;

	/* the raw head, then the target, which is shorter than it */
	h = mem_zalloc(sizeof(*h) + 2 * (len + 1), NULL);
	if (!h)
		return ENOMEM;

	memcpy(h->s, raw, len);
	h->pub.raw = h->s;
	h->pub.len = len;
	h->pub.content_length = -1;

	err = decode(h, h->s + len + 1);
	if (err)
		mem_deref(h);
	else
		*hp = &h->pub;

	return err;
}

const char *http_head_get(const struct http_head *head, const char *name,
			  char *dst, size_t size)
{
	struct span rest = {head->raw, head->len}, line, key;

	if (!next_line(&line, &rest))
		return NULL;

	while (next_line(&line, &rest) && line.n) {
		if (!cut(&key, &line, ':') || !span_is(key, name))
			continue;

		line = trim(line);
		line.n = MIN(line.n, size - 1);
		memcpy(dst, line.p, line.n);
		dst[line.n] = '\0';
		return dst;
	}

	return NULL;
}

const char *http_head_path(const struct http_head *head, char *dst,
			   size_t size)
{
	size_t n = strcspn(head->target, "?");

	n = MIN(n, size - 1);
	memcpy(dst, head->target, n);
	dst[n] = '\0';

	return dst;
}

static int refuse_upgrade(const struct http_head *head)
{
	char v[256];

	if (strcmp(head->method, "GET") || head_of(head)->http10 ||
	    head->chunked || head->content_length > 0)
		return 400;
	if (!http_head_get(head, "Connection", v, sizeof(v)) ||
	    !list_has(v, "upgrade"))
		return 400;
	/* 16 bytes in base64 */
	if (!http_head_get(head, "Sec-WebSocket-Key", v, sizeof(v)) ||
	    strlen(v) != 24)
		return 400;
	if (!http_head_get(head, "Sec-WebSocket-Version", v, sizeof(v)) ||
	    strcmp(v, "13"))
		return 426;
	/* We have no subprotocol; libwebsockets would hang up on this one
	 * without an answer. Carriers offer none. */
	if (http_head_get(head, "Sec-WebSocket-Protocol", v, sizeof(v)))
		return 400;

	return 0;
}

int http_head_refuse(const struct http_head *head)
{
	static const char *const known[] = {"GET", "HEAD", "POST", "PUT",
					    "DELETE"};
	const struct head *h = head_of(head);
	bool has_body = !strcmp(head->method, "POST") ||
			!strcmp(head->method, "PUT");
	char v[64];
	size_t i;

	if (h->headers > HEADERS_MAX)
		return 431;
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		if (!strcmp(head->method, known[i]))
			break;
	}
	if (i == ARRAY_SIZE(known))
		return 501;
	if (!h->hosts && !h->http10)
		return 400;
	/* libwebsockets 4.1 never sees the end of a head with one */
	if (h->short_name)
		return 400;
	if (head->upgrade)
		return refuse_upgrade(head);
	if (head->chunked)
		return 411;
	if (head->content_length > HTTP_BODY_MAX)
		return 413;
	/* libwebsockets would wait for 100 MB */
	if (has_body && head->content_length < 0)
		return 411;
	if (!has_body && head->content_length > 0)
		return 400;
	/* h2c is offered by some clients with every request; libwebsockets
	 * lets us answer it as HTTP/1.1 only where there is no body */
	if (http_head_get(head, "Upgrade", v, sizeof(v)) &&
	    (has_body || strcasecmp(v, "h2c")))
		return 400;

	return 0;
}

const char *http_reason(int status)
{
	static const struct {
		int status;
		const char *reason;
	} reasonv[] = {
		{200, "OK"},
		{201, "Created"},
		{202, "Accepted"},
		{204, "No Content"},
		{302, "Found"},
		{303, "See Other"},
		{304, "Not Modified"},
		{400, "Bad Request"},
		{401, "Unauthorized"},
		{403, "Forbidden"},
		{404, "Not Found"},
		{405, "Method Not Allowed"},
		{409, "Conflict"},
		{411, "Length Required"},
		{413, "Content Too Large"},
		{415, "Unsupported Media Type"},
		{422, "Unprocessable Content"},
		{426, "Upgrade Required"},
		{429, "Too Many Requests"},
		{431, "Request Header Fields Too Large"},
		{500, "Internal Server Error"},
		{501, "Not Implemented"},
		{503, "Service Unavailable"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(reasonv); i++) {
		if (reasonv[i].status == status)
			return reasonv[i].reason;
	}

	return "Status";
}

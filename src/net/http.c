/**
 * @file http.c  HTTP requests of one worker, as libcurl's transfers
 *
 * Owner graph: the user owns the http_req, which owns the transfer (struct
 * xfer, with libcurl's easy handle), which keeps the client alive
 * (http_client.c).
 *
 * Redirects are followed here, not by libcurl, because each must be allowed,
 * and because whatever identifies us stays with the first origin.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <openssl/ssl.h>
#include <convod/addr.h>
#include <convod/clk.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "http_priv.h"

enum {
	SKIP_MAX_BYTES = 65536,    /* body of a redirect, thrown away */
	SHARE_MAX_BYTES = 1 << 17, /* at once: 10 ms if it is all events */
	RETRY_AFTER_MAX_S = 86400,
};

struct http_req {
	struct xfer *x; /* NULL once it is over */
};

/* ------------------------------------------------------------ transfers */

static int curl_to_errno(CURL *easy, CURLcode code)
{
	long os = 0;

	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OUT_OF_MEMORY:
		return ENOMEM;
	case CURLE_COULDNT_RESOLVE_HOST:
		return EHOSTUNREACH;
	case CURLE_COULDNT_CONNECT:
		(void)curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
		if (os == EHOSTUNREACH || os == ENETUNREACH)
			return EHOSTUNREACH;
		return ECONNREFUSED;
	case CURLE_OPERATION_TIMEDOUT:
		return ETIMEDOUT;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
		return ECONNRESET;
	default:
		return EPROTO;
	}
}

static void remove_from_multi(struct xfer *x)
{
	if (x->added)
		(void)curl_multi_remove_handle(x->client->multi, x->easy);
	x->added = false;
}

static bool is_redirect(struct xfer *x, long status)
{
	struct curl_header *h;

	if (!x->redirects_on)
		return false;
	if (status != 301 && status != 302 && status != 303 && status != 307 &&
	    status != 308)
		return false;

	return !curl_easy_header(x->easy, "location", 0, CURLH_HEADER, -1, &h);
}

static size_t write_callback(char *p, size_t one, size_t n, void *arg)
{
	struct xfer *x = arg;
	long status = 0;

	(void)one;
	if (!x->req)
		return 0; /* dropped: end it */
	/* As long as a fast peer has more libcurl does not come back from
	 * reading (7.88): neither to the flush, which would pause it, nor to
	 * all other calls. It keeps this piece. */
	if (x->paused || x->share >= SHARE_MAX_BYTES) {
		x->held = true;
		tmr_start(x->client->tmr_share, 0);
		return CURL_WRITEFUNC_PAUSE;
	}

	x->last_ms = loop_now_ms(x->client->loop);
	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	x->skip = is_redirect(x, status);
	x->seen += n;
	x->share += n;
	if (x->seen > (x->skip ? SKIP_MAX_BYTES : x->body_max))
		x->fail = EOVERFLOW;
	else if (x->skip)
		return n;
	if (x->fail)
		return 0;

	if (!x->first_us)
		x->first_us = clk_now_us();
	if (x->bodyh)
		x->bodyh((int)status, (const uint8_t *)p, n, x->arg);
	else
		x->fail = buf_add(&x->body, p, n, SIZE_MAX);

	return x->req && !x->fail ? n : 0;
}

/* Anything that comes, headers too, shows that the peer is alive */
static size_t header_callback(char *p, size_t one, size_t n, void *arg)
{
	struct xfer *x = arg;

	(void)p;
	(void)one;
	x->last_ms = loop_now_ms(x->client->loop);

	return x->req ? n : 0;
}

/* ------------------------------------------------------------- addresses */

static bool is_fine(struct xfer *x, const struct sockaddr *sa)
{
	if (!x->judged)
		return true;
	if (!x->req)
		return false; /* dropped: nobody to ask */

	return x->addrh ? x->addrh(sa, x->arg) : net_addr_is_public(sa);
}

/* A name may have several addresses: another one can do. */
static curl_socket_t open_callback(void *arg, curlsocktype purpose,
				   struct curl_sockaddr *sa)
{
	struct xfer *x = arg;

	(void)purpose;
	if (!is_fine(x, &sa->addr)) {
		x->refused = true;
		return CURL_SOCKET_BAD;
	}

	return http_client_open(x->client, sa);
}

/** Has HTTP/2 been agreed on? */
static bool is_h2(const SSL *ssl)
{
	const unsigned char *name;
	unsigned int n;

	SSL_get0_alpn_selected(ssl, &name, &n);

	return n == 2 && !memcmp(name, "h2", 2);
}

/*
 * A server that has sent more than it was asked for: the next request on that
 * connection, maybe of another call, would take it for its answer. libcurl
 * (7.88; 8.0 does) does not look. HTTP/2 says which answer is whose. TLS's own
 * messages can't be told from an answer; but tickets come before the first
 * one, and what is left is an alert: the connection ends.
 */
static bool has_excess(const struct xfer *x, int local_port,
		       const struct sockaddr *to)
{
	struct pollfd p = {.events = POLLIN | POLLRDHUP};
	struct curl_tlssessioninfo *tls = NULL;
	const SSL *ssl = NULL;
	long opened = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_NUM_CONNECTS, &opened);
	(void)curl_easy_getinfo(x->easy, CURLINFO_TLS_SSL_PTR, &tls);
	if (tls && tls->backend == CURLSSLBACKEND_OPENSSL)
		ssl = tls->internals;
	if (opened ||
	    (ssl ? is_h2(ssl) : strncasecmp(x->url, "http:", 5) != 0))
		return false;

	p.fd = http_client_socket(x->client, local_port, to);
	if (!(ssl && SSL_has_pending(ssl)) && poll(&p, 1, 0) <= 0)
		return false;

	/* a peer that closes says so to TLS first */
	if (!(p.revents & POLLRDHUP))
		metrics_inc(M_HTTP_EXCESS);

	return true;
}

/* A connection that is used again was opened by another request, which may
 * have been trusted */
static int prereq_callback(void *arg, char *ip, char *local_ip, int port,
			   int local_port)
{
	struct sockaddr_storage sa;
	struct xfer *x = arg;
	bool known = !net_addr_parse(&sa, ip, (uint16_t)port);

	(void)local_ip;
	if (known && has_excess(x, local_port, (struct sockaddr *)&sa)) {
		x->stale = true;
		return CURL_PREREQFUNC_ABORT;
	}
	if (!x->judged)
		return CURL_PREREQFUNC_OK;
	if (known && is_fine(x, (struct sockaddr *)&sa))
		return CURL_PREREQFUNC_OK;

	x->fail = EACCES;

	return CURL_PREREQFUNC_ABORT;
}

static uint32_t retry_after(CURL *easy)
{
	struct curl_header *h;
	unsigned long s;
	char *end;

	if (curl_easy_header(easy, "retry-after", 0, CURLH_HEADER, -1, &h))
		return 0;

	s = strtoul(h->value, &end, 10);
	if (*end || h->value[0] == '-')
		return 0; /* a date */

	return (uint32_t)MIN(s, RETRY_AFTER_MAX_S);
}

static const char *content_type(const struct xfer *x)
{
	const char *type = NULL;

	(void)curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);

	return type ? type : "";
}

static void get_resp(struct xfer *x, struct http_resp *resp)
{
	uint64_t now = clk_now_us();
	long status = 0;

	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	resp->status = (int)status;
	resp->content_type = content_type(x);
	resp->retry_after_s = retry_after(x->easy);
	resp->body = buf_str(&x->body);
	resp->bodyc = x->body.n;
	resp->first_byte_us = x->first_us ? x->first_us - x->start_us : 0;
	resp->total_us = now - x->start_us;
}

void xfer_finish(struct xfer *x, int err)
{
	struct http_resp resp;
	struct http_req *r = x->req;

	tmr_cancel(x->tmr);
	get_resp(x, &resp);
	remove_from_multi(x);
	list_unlink(&x->le);
	x->req = NULL;
	if (!r)
		return;

	r->x = NULL; /* its reference is ours now */
	if (x->doneh)
		x->doneh(err, &resp, x->arg);
	mem_deref(x);
}

static void deadline_handler(void *arg)
{
	struct xfer *x = arg;
	uint64_t now = loop_now_ms(x->client->loop);
	uint64_t at = x->end_ms;

	if (x->held || x->paused)
		x->last_ms = now;
	if (x->idle_ms)
		at = MIN(at, x->last_ms + x->idle_ms);

	if (now >= at)
		xfer_finish(x, ETIMEDOUT);
	else if (at != UINT64_MAX)
		tmr_start_at(x->tmr, at);
}

static enum http_verdict verdict(const struct xfer *x, bool home)
{
	if (x->allowh)
		return x->allowh(x->url, x->arg);

	return home ? HTTP_TRUST : HTTP_JUDGE;
}

/** Set what changes from hop to hop, and hand the transfer to libcurl */
static int begin_hop(struct xfer *x)
{
	char origin[HTTP_ORIGIN_MAX];
	enum http_verdict v;
	bool home;
	CURLcode code;
	int err;

	err = url_origin(origin, sizeof(origin), x->url);
	if (err)
		return err == ENOMEM ? ENOMEM : EPROTO;
	home = str_eq(origin, x->origin);
	v = verdict(x, home);
	if (v != HTTP_JUDGE && v != HTTP_TRUST)
		return EACCES;

	x->judged = v == HTTP_JUDGE;
	x->skip = x->held = x->refused = false;
	x->seen = x->share = 0;
	if (x->paused)
		loop_flush_later(x->client->loop, &x->client->flush);
	code = curl_easy_setopt(x->easy, CURLOPT_URL, x->url);
	if (!code)
		code = curl_easy_setopt(x->easy, CURLOPT_USERPWD,
					home ? x->user : NULL);
	if (!code)
		code = curl_easy_setopt(x->easy, CURLOPT_HTTPHEADER,
					home ? x->headers : x->bare_headers);
	if (!code) /* NULL: whatever the environment says */
		code = curl_easy_setopt(
			x->easy, CURLOPT_PROXY,
			x->judged || !x->client->use_proxy ? "" : NULL);
	if (code)
		return ENOMEM;

	if (curl_multi_add_handle(x->client->multi, x->easy))
		return ENOMEM;
	x->added = true;

	return 0;
}

/** The connection was no good, and is closed: once more on a new one */
static int connect_anew(struct xfer *x)
{
	x->stale = false;
	remove_from_multi(x);
	if (curl_easy_setopt(x->easy, CURLOPT_FRESH_CONNECT, 1L))
		return ENOMEM;

	return begin_hop(x);
}

/** Take the answer that has just ended as a redirect; EAGAIN: it is none */
static int follow(struct xfer *x)
{
	struct curl_header *location;
	char *url;
	int err;

	if (!x->skip)
		return EAGAIN;
	if (curl_easy_header(x->easy, "location", 0, CURLH_HEADER, -1,
			     &location))
		return EPROTO;
	if (++x->redirects > HTTP_REDIRECTS_MAX)
		return EPROTO;

	err = url_resolve(&url, x->url, location->value);
	if (err)
		return err == ENOMEM ? ENOMEM : EPROTO;

	mem_deref(x->url);
	x->url = url;

	return begin_hop(x);
}

void xfer_ended(struct xfer *x, CURLcode code)
{
	long status = 0;
	int err;

	if (x->stale && !x->fail && x->req) {
		err = connect_anew(x);
		if (err)
			xfer_finish(x, err);
		return;
	}

	(void)curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &status);
	err = x->fail ? x->fail : curl_to_errno(x->easy, code);
	if (x->refused && code == CURLE_COULDNT_CONNECT)
		err = EACCES;
	if (!err) {
		x->skip = is_redirect(x, status); /* it may have no body */
		remove_from_multi(x);
		err = follow(x);
		if (!err)
			return;
		if (err == EAGAIN)
			err = 0;
	}
	xfer_finish(x, err);
}

int xfer_start_or_pause(struct xfer *x)
{
	CURLcode code;

	if (x->start) {
		x->start = false;
		return begin_hop(x);
	}
	if (!x->added || x->held == x->paused)
		return 0;

	x->held = x->paused;
	x->share = 0;
	x->last_ms = loop_now_ms(x->client->loop);
	code = curl_easy_pause(x->easy,
			       x->held ? CURLPAUSE_RECV : CURLPAUSE_CONT);
	if (!code)
		return 0;

	return x->fail ? x->fail : curl_to_errno(x->easy, code);
}

static void xfer_destructor(void *arg)
{
	struct xfer *x = arg;

	list_unlink(&x->le);
	mem_deref(x->tmr);
	remove_from_multi(x);
	if (x->easy)
		curl_easy_cleanup(x->easy);
	curl_slist_free_all(x->headers);
	curl_slist_free_all(x->bare_headers);
	(void)str_wipe(x->user);
	mem_deref(x->url);
	buf_reset(&x->body);
	mem_deref(x->client);
}

static void req_destructor(void *arg)
{
	struct http_req *r = arg;
	struct xfer *x = r->x;

	if (!x)
		return;

	x->req = NULL;
	x->bodyh = NULL;
	x->doneh = NULL;
	if (x->client->inside) {
		tmr_cancel(x->tmr);
		list_append(&x->client->deadl, &x->le, x);
	} else {
		mem_deref(x);
	}
}

/* -------------------------------------------------------------- request */

/** Neither logs nor redirects shall see user and password */
static int split_user(struct xfer *x, const char *url)
{
	char *user, *pass;
	int err = url_split_user(&x->url, &user, &pass, url);

	if (err)
		return err;

	if (user)
		err = str_printf(&x->user, "%s:%s", user, pass ? pass : "");
	(void)str_wipe(user);
	(void)str_wipe(pass);

	return err;
}

static int add_header(struct curl_slist **list, const char *h)
{
	struct curl_slist *l = curl_slist_append(*list, h);

	if (!l)
		return ENOMEM;
	*list = l;

	return 0;
}

static int copy_headers(struct xfer *x, const char *const *headerv)
{
	int err = 0;

	for (; headerv && *headerv && !err; headerv++) {
		if (strpbrk(*headerv, "\r\n"))
			return EINVAL;

		err = add_header(&x->headers, *headerv);
		if (!err && !strncasecmp(*headerv, "accept:", 7))
			err = add_header(&x->bare_headers, *headerv);
	}

	return err;
}

/* curl_easy_setopt() is a macro that checks the type of its value */
#define SET(option, value)                                               \
	do {                                                             \
		if (!code)                                               \
			code = curl_easy_setopt(x->easy, option, value); \
	} while (0)

static CURLcode set_body(struct xfer *x, const struct http_param *prm)
{
	const char *method = prm->method ? prm->method : "GET";
	CURLcode code = CURLE_OK;

	if (prm->body || str_eq(method, "POST")) {
		/* the size first: it says how much to copy */
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)prm->bodyc);
		SET(CURLOPT_COPYPOSTFIELDS, prm->body ? prm->body : "");
	}
	if (!str_eq(method, "GET") && !str_eq(method, "POST"))
		SET(CURLOPT_CUSTOMREQUEST, method);

	return code;
}

static int set_options(struct xfer *x)
{
	CURLcode code = CURLE_OK;

	SET(CURLOPT_PRIVATE, x);
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	SET(CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)HTTP_CONNECT_MS);
	/* Else giving up a request waits for the thread that looks its name
	 * up, and all calls of this loop with it (asyn-thread.c, 7.88) */
	SET(CURLOPT_QUICK_EXIT, 1L);
	SET(CURLOPT_USERAGENT, "convod/" CONVOD_VERSION);
	SET(CURLOPT_WRITEFUNCTION, write_callback);
	SET(CURLOPT_WRITEDATA, x);
	SET(CURLOPT_HEADERFUNCTION, header_callback);
	SET(CURLOPT_HEADERDATA, x);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_callback);
	SET(CURLOPT_OPENSOCKETDATA, x);
	SET(CURLOPT_PREREQFUNCTION, prereq_callback);
	SET(CURLOPT_PREREQDATA, x);

	return code ? ENOMEM : 0;
}

static int xfer_init(struct xfer *x, const struct http_param *prm)
{
	int err = split_user(x, prm->url);

	if (!err)
		err = url_origin(x->origin, sizeof(x->origin), x->url);
	if (err)
		return err == ENOMEM ? ENOMEM : EINVAL;

	err = copy_headers(x, prm->headerv);
	if (err)
		return err;

	x->easy = curl_easy_init();
	if (!x->easy)
		return ENOMEM;

	err = set_options(x);
	if (!err && set_body(x, prm))
		err = ENOMEM;
	if (!err)
		err = tmr_alloc(&x->tmr, x->client->loop, deadline_handler, x);

	return err;
}

static void set_limits(struct xfer *x, const struct http_param *prm)
{
	x->body_max = prm->body_max;
	x->idle_ms = prm->idle_ms;
	x->redirects_on = prm->redirects &&
			  (!prm->method || str_eq(prm->method, "GET"));
	x->allowh = prm->allowh;
	x->addrh = prm->addrh;
	x->start_us = clk_now_us();
	x->last_ms = loop_now_ms(x->client->loop);
	x->end_ms = prm->timeout_ms ? x->last_ms + prm->timeout_ms
				    : UINT64_MAX;
}

int http_request(struct http_req **rp, struct http_client *c,
		 const struct http_param *prm, http_body_h *bodyh,
		 http_done_h *doneh, void *arg)
{
	struct http_req *r;
	struct xfer *x;
	int err;

	if (!rp || !c || !prm || !prm->url || (prm->bodyc && !prm->body))
		return EINVAL;

	r = mem_zalloc(sizeof(*r), req_destructor);
	if (!r)
		return ENOMEM;
	x = mem_zalloc(sizeof(*x), xfer_destructor);
	if (!x) {
		mem_deref(r);
		return ENOMEM;
	}

	r->x = x;
	x->req = r;
	x->client = mem_ref(c);
	err = xfer_init(x, prm);
	if (err) {
		mem_deref(r);
		return err;
	}

	set_limits(x, prm);
	x->bodyh = bodyh;
	x->doneh = doneh;
	x->arg = arg;
	x->start = true;
	list_append(&c->xferl, &x->le, x);
	loop_flush_later(c->loop, &c->flush);
	tmr_start(x->tmr, 0); /* sets itself to the first deadline */
	*rp = r;

	return 0;
}

void http_pause(struct http_req *r, bool pause)
{
	struct xfer *x = r ? r->x : NULL;

	if (!x || x->paused == pause)
		return;

	x->paused = pause;
	loop_flush_later(x->client->loop, &x->client->flush);
}

const char *http_content_type(const struct http_req *r)
{
	return r && r->x ? content_type(r->x) : "";
}

/**
 * @file wsclient.c  Websocket client on libwebsockets and the loop
 *
 *	LOOKUP ──▶ CONNECTING ──▶ OPEN ──▶ CLOSING ──▶ ENDED
 *	   └───────────┴────────────┴────────────────────▲
 *
 * Owner graph: the user owns a wsc, a wsc refers to its wsclient. The lookup
 * and the lws wsi refer weakly to the wsc: whichever outlives it finds NULL.
 *
 * libwebsockets resolves names on the loop's thread, so the lookup is ours and
 * it only ever sees numeric addresses. Timers of its own that are set outside
 * of its callbacks are armed too late with libuv (4.1), so the time-outs are
 * ours too, and a connection is killed by returning -1 from its callback or,
 * outside of one, synchronously.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "wsc_priv.h"

/* sizes lws's table; else it takes RLIMIT_NOFILE */
enum { FDS_MAX = 4096 };

/* Outlives its wsc if that is dropped while the lookup runs */
struct lookup {
	uv_getaddrinfo_t req;
	struct wsc *w; /* NULL when dropped */
};

static int callback(struct lws *wsi, enum lws_callback_reasons reason,
		    void *user, void *in, size_t len);

static const struct lws_protocols protocolv[] = {
	{.name = "convod-client",
	 .callback = callback,
	 .rx_buffer_size = 4096,
	 .tx_packet_size = 65536},
	{.name = NULL},
};

/* ------------------------------------------------------------- client */

static void client_destructor(void *arg)
{
	struct wsclient *c = arg;

	lws_loop_destroy(&c->lws);
	mem_deref(c->ca_file);
}

static struct lws_vhost *vhost_create(struct wsclient *c, bool tls)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocolv,
		.vhost_name = tls ? "client-tls" : "client",
		.timeout_secs = 60, /* ours come first */
	};

	if (tls) {
		info.options = LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.client_ssl_ca_filepath = c->ca_file;
		info.alpn = "http/1.1";
	}

	return lws_create_vhost(c->lws.context, &info);
}

int wsclient_alloc(struct wsclient **cp, struct loop *l, const char *ca_file)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.protocols = protocolv,
		.options = LWS_SERVER_OPTION_LIBUV |
			   LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_VALIDATE_UTF8,
		.fd_limit_per_thread = FDS_MAX,
		.gid = (gid_t)-1,
		.uid = (uid_t)-1,
	};
	struct wsclient *c;
	int err = 0;

	if (!cp || !l)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), client_destructor);
	if (!c)
		return ENOMEM;

	lws_set_log_level(0, NULL); /* errors are told by their handlers */
	c->loop = l;
	if (ca_file)
		err = str_dup(&c->ca_file, ca_file);
	if (err)
		goto out;

	err = lws_loop_create(&c->lws, l, &info);
	if (err)
		goto out;
	c->plain = vhost_create(c, false);
	if (!c->plain)
		err = ENOMEM;

out:
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

/* --------------------------------------------------- end of a connection */

void wsc_finish(struct wsc *w, int err, const char *why)
{
	if (w->state == ENDED)
		return;

	w->end.opened = w->state == OPEN || w->state == CLOSING;
	w->state = ENDED;
	tmr_cancel(w->tmr);
	w->end.err = err;
	if (!w->end.code)
		w->end.code = WSC_CODE_ABNORMAL;
	if (!w->why[0] && why)
		str_copy(w->why, sizeof(w->why), why);
	w->end.reason = w->why;
	w->h->closeh(&w->end, w->arg);
}

/* Forget the wsi, and kill it unless its callback is going to return -1 */
static void detach(struct wsc *w)
{
	struct lws *wsi = w->wsi;

	if (!wsi)
		return;

	w->wsi = NULL;
	lws_set_opaque_user_data(wsi, NULL);
	if (!w->depth)
		lws_set_timeout(wsi, PENDING_TIMEOUT_USER_OK,
				LWS_TO_KILL_SYNC);
}

static void timeout_handler(void *arg)
{
	struct wsc *w = arg;
	/* our close frame is out: the peer just did not answer it */
	bool closing = w->state == CLOSING;

	mem_ref(w);
	detach(w);
	wsc_finish(w, ETIMEDOUT,
		   closing ? "no answer to the close frame"
			   : "no answer in time");
	mem_deref(w);
}

static void destructor(void *arg)
{
	struct wsc *w = arg;

	w->state = ENDED;
	mem_deref(w->tmr);
	if (w->lookup) {
		w->lookup->w = NULL;
		(void)uv_cancel((uv_req_t *)&w->lookup->req);
	}
	detach(w);
	if (w->addrs)
		uv_freeaddrinfo(w->addrs);

	list_flush(&w->pendingl);
	mem_raw_free(w->txv);
	buf_reset(&w->rx);
	mem_deref(w->target);
	mem_deref(w->headers);
	mem_deref(w->protocol);
	mem_deref(w->client);
}

/* ----------------------------------------------------------- connecting */

static int connect_address(struct wsc *w, const struct addrinfo *ai)
{
	struct lws_client_connect_info info = {
		.context = w->client->lws.context,
		.port = w->url.port,
		.path = w->target,
		.host = w->url.authority,
		.protocol = w->protocol,
		.local_protocol_name = protocolv[0].name,
		.ssl_connection = LCCSCF_HTTP_NO_FOLLOW_REDIRECT,
		.opaque_user_data = w,
		.pwsi = &w->wsi,
		.ietf_version_or_minus_one = -1,
	};
	char address[64];

	if (getnameinfo(ai->ai_addr, ai->ai_addrlen, address, sizeof(address),
			NULL, 0, NI_NUMERICHOST))
		return EHOSTUNREACH;

	info.address = address;
	info.vhost = w->client->plain;
	if (w->url.tls) {
		if (!w->client->tls)
			w->client->tls = vhost_create(w->client, true);
		if (!w->client->tls)
			return ENOMEM;
		info.vhost = w->client->tls;
		info.ssl_connection |= LCCSCF_USE_SSL;
		info.alpn = "http/1.1";
	}
	if (w->insecure)
		info.ssl_connection |= LCCSCF_ALLOW_SELFSIGNED |
				       LCCSCF_ALLOW_EXPIRED |
				       LCCSCF_ALLOW_INSECURE |
				       LCCSCF_SKIP_SERVER_CERT_HOSTNAME_CHECK;

	if (!lws_client_connect_via_info(&info)) {
		w->wsi = NULL;
		return ECONNREFUSED;
	}

	return 0;
}

static void connect_next(struct wsc *w)
{
	int err = EHOSTUNREACH;

	while (w->next && w->state == CONNECTING) {
		const struct addrinfo *ai = w->next;

		w->next = ai->ai_next;
		++w->depth; /* it calls back before it returns */
		err = connect_address(w, ai);
		--w->depth;
		if (!err)
			return;
	}

	wsc_finish(w, err, "cannot connect");
}

static void lookup_handler(uv_getaddrinfo_t *req, int status,
			   struct addrinfo *res)
{
	struct lookup *lookup = CONTAINER_OF(req, struct lookup, req);
	struct wsc *w = mem_ref(lookup->w);

	mem_deref(lookup);
	if (!w) {
		uv_freeaddrinfo(res);
		return;
	}

	w->lookup = NULL;
	w->addrs = res;
	if (w->state != LOOKUP) {
		; /* timed out meanwhile */
	} else if (status) {
		wsc_finish(w, EHOSTUNREACH, uv_strerror(status));
	} else {
		w->state = CONNECTING;
		w->next = res;
		connect_next(w);
	}
	mem_deref(w);
}

static int start_lookup(struct wsc *w)
{
	const struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG,
	};
	struct lookup *lookup = mem_zalloc(sizeof(*lookup), NULL);
	int err;

	if (!lookup)
		return ENOMEM;

	err = uv_getaddrinfo(loop_uv(w->client->loop), &lookup->req,
			     lookup_handler, w->url.host, NULL, &hints);
	if (err) {
		mem_deref(lookup);
		return -err;
	}

	lookup->w = w;
	w->lookup = lookup;
	return 0;
}

static int join_headers(char **dst, const char *const *headerv)
{
	char buf[WSC_HEADERS_MAX];
	size_t n = 0;

	for (; headerv && *headerv; headerv++) {
		size_t len = strlen(*headerv);

		if (!strchr(*headerv, ':') || strpbrk(*headerv, "\r\n") ||
		    len + 2 > sizeof(buf) - n)
			return EINVAL;
		memcpy(buf + n, *headerv, len);
		memcpy(buf + n + len, "\r\n", 2);
		n += len + 2;
	}

	return str_ndup(dst, buf, n);
}

int wsc_open(struct wsc **wp, struct wsclient *c, const struct wsc_param *prm,
	     const struct wsc_handlers *h, void *arg)
{
	struct wsc *w;
	int err;

	if (!wp || !c || !prm || !h)
		return EINVAL;

	w = mem_zalloc(sizeof(*w), destructor);
	if (!w)
		return ENOMEM;

	w->client = mem_ref(c);
	w->h = h;
	w->arg = arg;
	w->insecure = prm->insecure;
	err = wsc_url_parse(&w->url, prm->url);
	if (err)
		goto out;

	/* "?a=b" right after the host needs a slash on the wire */
	err = str_printf(&w->target, "%s%.*s",
			 w->url.target[0] == '/' ? "" : "/",
			 (int)w->url.targetc, w->url.target);
	w->url.target = NULL; /* the URL is the caller's */
	if (!err)
		err = join_headers(&w->headers, prm->headerv);
	if (!err && prm->protocol)
		err = str_dup(&w->protocol, prm->protocol);
	if (!err)
		err = tmr_alloc(&w->tmr, c->loop, timeout_handler, w);
	if (!err)
		err = start_lookup(w);
	if (!err)
		tmr_start(w->tmr,
			  prm->connect_ms ? prm->connect_ms : WSC_CONNECT_MS);

out:
	if (err)
		mem_deref(w);
	else
		*wp = w;

	return err;
}

/* --------------------------------------------------------------- events */

static void peer_close(struct wsc *w, const uint8_t *p, size_t n)
{
	w->peer_closed = true;
	w->end.code = n >= 2 ? p[0] << 8 | p[1] : WSC_CODE_NONE;
	if (n > 2)
		(void)snprintf(w->why, sizeof(w->why), "%.*s", (int)(n - 2),
			       (const char *)p + 2);
}

static int append_headers(struct wsc *w, char **p, size_t room)
{
	size_t n = strlen(w->headers);

	w->upgrading = true;
	if (n >= room)
		return -1;

	memcpy(*p, w->headers, n);
	*p += n;
	return 0;
}

static int open_event(struct wsc *w)
{
	if (w->state != CONNECTING)
		return -1;

	w->state = OPEN;
	tmr_cancel(w->tmr);
	if (w->h->openh)
		w->h->openh(w->arg);

	return 0;
}

/* The wsi ends by itself; it calls back once more when it is freed */
static void gone(struct wsc *w)
{
	lws_set_opaque_user_data(w->wsi, NULL);
	w->wsi = NULL;
}

/* Not connected: another address may answer, unless one did already */
static void failed_event(struct wsc *w, const char *why, size_t n)
{
	int status = lws_http_client_http_response(w->wsi);

	gone(w);
	if (w->state != CONNECTING)
		return;

	if (!w->upgrading && w->next) {
		connect_next(w);
		return;
	}

	w->end.status = status == 101 ? 0 : status;
	(void)snprintf(w->why, sizeof(w->why), "%.*s", (int)n, why ? why : "");
	/* "ssl" or "tls" something: it answered, but not as it should */
	wsc_finish(w,
		   w->upgrading || strstr(w->why, "tls") ||
				   strstr(w->why, "SSL") ||
				   strstr(w->why, "CA ") ||
				   strstr(w->why, "cert")
			   ? EPROTO
			   : ECONNREFUSED,
		   NULL);
}

/* lws keeps the peer's answer to our close frame to itself, and ends at once
 * when it comes: as good as seen */
static void closed_event(struct wsc *w)
{
	bool clean = w->peer_closed || w->close_sent;

	if (w->close_sent && !w->peer_closed)
		w->end.code = w->close_code;
	gone(w);
	wsc_finish(w, clean ? 0 : ECONNRESET,
		   clean ? NULL : "connection lost");
}

static int event(struct wsc *w, enum lws_callback_reasons reason, void *in,
		 size_t len)
{
	switch ((int)reason) {
	case LWS_CALLBACK_CLIENT_APPEND_HANDSHAKE_HEADER:
		return append_headers(w, in, len);
	case LWS_CALLBACK_CLIENT_ESTABLISHED:
		return open_event(w);
	case LWS_CALLBACK_CLIENT_RECEIVE:
		return wsc_receive(w, in, len);
	case LWS_CALLBACK_CLIENT_WRITEABLE:
		return wsc_drain(w);
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		peer_close(w, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CONNECTION_ERROR:
		failed_event(w, in, len);
		return 0;
	case LWS_CALLBACK_CLIENT_CLOSED:
		closed_event(w);
		return 0;
	default:
		return 0;
	}
}

static int callback(struct lws *wsi, enum lws_callback_reasons reason,
		    void *user, void *in, size_t len)
{
	struct wsc *w = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	int res;

	(void)user;
	if (!w)
		return reason == LWS_CALLBACK_CLIENT_RECEIVE ||
				       reason == LWS_CALLBACK_CLIENT_WRITEABLE
			       ? -1
			       : 0;

	mem_ref(w);
	++w->depth;
	w->wsi = wsi;
	res = event(w, reason, in, len);

	/* The handler dropped the last reference, or the connection ended
	 * by our own judgement: lws closes what it is told to */
	if (w->wsi && (mem_nrefs(w) == 1 || w->state == ENDED)) {
		detach(w);
		res = -1;
	}
	--w->depth;
	mem_deref(w);

	return res;
}

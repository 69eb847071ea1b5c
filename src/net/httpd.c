/**
 * @file httpd.c  One worker's HTTP and websocket server, on libwebsockets
 *
 * Connections come from the acceptor with their heads. A request is answered
 * and its connection closed: a second one on it would have no peeked head.
 *
 *	adopted ──head──▶ gathering the body ──▶ answered ──▶ destroyed
 *	          └─upgrade accepted──▶ websocket (ws.c) ────────▲
 *
 * Owner graph: httpd owns its connections (list), each of which owns its head
 * and its ws; libwebsockets' wsi points to the connection weakly. A connection
 * lives until its wsi is destroyed.
 *
 * Time limits are kept by one timer that walks the connections, because
 * libwebsockets' own only move when its sockets do, and have whole seconds.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "httpd_priv.h"

enum {
	TICK_MAX_MS = 500,
	HEAD_DATA_MAX = 32768, /* twice HTTP_HEAD_MAX: it adds to each unknown
				* header, and drops what is too long */
	TIMEOUT_S = 30,        /* libwebsockets' own; ours come before */
	RX_BYTES = 1024, /* each websocket has such a buffer; what is longer,
			  * as no media message is, comes in pieces */
};

/** A connection on its way from the acceptor's thread */
struct handover {
	struct loop_post post;
	struct httpd *httpd;
	struct http_head *head;
	int fd; /* -1 once it is given away */
};

static int lws_handler(struct lws *wsi, enum lws_callback_reasons reason,
		       void *user, void *in, size_t len);

/* The first of a vhost serves who offers no subprotocol, as carriers do. The
 * user space only makes libwebsockets tell when it begins to close. */
static const struct lws_protocols protocolv[] = {
	{.name = "convod",
	 .callback = lws_handler,
	 .per_session_data_size = 1,
	 .rx_buffer_size = RX_BYTES,
	 .tx_packet_size = WS_MESSAGE_MAX + WS_PRE_BYTES},
	{0},
};

/* ------------------------------------------------------------ connections */

static void conn_destructor(void *arg)
{
	struct conn *c = arg;

	list_unlink(&c->le);
	mem_deref(c->head);
	mem_deref(c->body);
	mem_deref(c->ws);
}

/** The wsi is destroyed, or about to be without telling us */
static void conn_gone(struct conn *c, int code)
{
	if (!c->le.list)
		return;

	if (c->ws)
		ws_gone(c->ws, code);
	else
		--c->httpd->waiting;
	c->wsi = NULL;
	list_unlink(&c->le);
	mem_deref(c);
}

static void conn_hang_up(struct conn *c)
{
	(void)shutdown(lws_get_socket_fd(c->wsi), SHUT_RDWR);
}

/** Too many have not sent their request: the oldest had the most time */
static void drop_oldest(struct httpd *h)
{
	struct le *le;

	LIST_FOREACH(&h->connl, le)
	{
		struct conn *c = list_ledata(le);

		if (c->ws)
			continue;
		metrics_inc(M_HTTP_REFUSED);
		conn_hang_up(c);
		lws_set_opaque_user_data(c->wsi, NULL);
		conn_gone(c, WS_ABNORMAL);
		return;
	}
}

static void tick_handler(void *arg)
{
	struct httpd *h = arg;
	uint64_t now_ms = loop_now_ms(h->loop);
	struct le *le = h->connl.head;

	while (le) {
		struct conn *c = list_ledata(le);

		/* ws_tick() calls handlers, but nothing frees a connection
		 * except libwebsockets in its own callbacks */
		le = le->next;
		if (c->ws) {
			ws_tick(c->ws, now_ms);
		} else if (now_ms >= c->due_ms) {
			if (!c->answered)
				metrics_inc(M_HTTP_REFUSED);
			c->answered = true; /* or never */
			conn_hang_up(c);
		}
	}

	if (h->connl.head)
		tmr_start(h->tmr, h->tick_ms);
}

static int conn_alloc(struct httpd *h, int fd, struct http_head *head)
{
	struct lws_vhost *vh = head->tls ? h->tls : h->plain;
	struct conn *c = mem_zalloc(sizeof(*c), conn_destructor);

	if (!c || !vh) {
		mem_deref(c);
		close(fd);
		return c ? EINVAL : ENOMEM;
	}

	c->httpd = h;
	c->head = mem_ref(head);
	c->due_ms = loop_now_ms(h->loop) + h->head_ms;

	/* closes the descriptor when it fails */
	c->wsi = lws_adopt_socket_vhost(vh, fd);
	if (!c->wsi) {
		mem_deref(c);
		return EPROTO;
	}
	lws_set_opaque_user_data(c->wsi, c);
	list_append(&h->connl, &c->le, c);
	if (++h->waiting > HTTP_WAITING_MAX)
		drop_oldest(h);
	if (!tmr_is_running(h->tmr))
		tmr_start(h->tmr, h->tick_ms);

	return 0;
}

static void handover_destructor(void *arg)
{
	struct handover *o = arg;

	if (o->fd >= 0)
		close(o->fd);
	mem_deref(o->head);
	mem_deref(o->httpd);
}

static void handover_handler(struct loop_post *p)
{
	struct handover *o = CONTAINER_OF(p, struct handover, post);
	struct httpd *h = o->httpd;

	if (!h->closed) {
		int err = conn_alloc(h, o->fd, o->head);

		o->fd = -1;
		if (err) { /* no TLS, mostly */
			metrics_inc(M_HTTP_REFUSED);
			log_debug(NULL, "connection not adopted", "err=%d",
				  err);
		}
	}
	mem_deref(o);
}

int httpd_adopt(struct httpd *h, int fd, struct http_head *head)
{
	struct handover *o;
	int err;

	if (!h || fd < 0 || !head)
		return EINVAL;

	o = mem_zalloc(sizeof(*o), handover_destructor);
	if (!o) {
		close(fd);
		return ENOMEM;
	}

	o->fd = fd;
	o->httpd = mem_ref(h);
	o->head = mem_ref(head);
	o->post.h = handover_handler;
	err = loop_post(h->loop, &o->post);
	if (err)
		mem_deref(o);

	return err;
}

/* --------------------------------------------------------------- requests */

char *http_answer_print(size_t pre, size_t *lenp, const char *method,
			const struct http_answer *answer)
{
	const char *body = answer->body ? answer->body : "";
	const char *type = answer->content_type ? answer->content_type
						: "text/plain; charset=utf-8";
	size_t bodyc = strlen(body);
	bool head_only = method && !strcmp(method, "HEAD");
	char head[256];
	char *p;
	int n;

	n = snprintf(head, sizeof(head),
		     "HTTP/1.1 %d %s\r\nContent-Type: %.80s\r\n"
		     "Content-Length: %zu\r\n%sConnection: close\r\n\r\n",
		     answer->status, http_reason(answer->status), type, bodyc,
		     answer->status == 426 ? "Sec-WebSocket-Version: 13\r\n"
					   : "");
	p = mem_zalloc(pre + n + bodyc, NULL);
	if (!p)
		return NULL;

	memcpy(p + pre, head, n);
	*lenp = n;
	if (!head_only) {
		memcpy(p + pre + n, body, bodyc);
		*lenp += bodyc;
	}

	return p;
}

static void conn_send(struct conn *c, const struct http_answer *answer)
{
	size_t len;
	char *p = http_answer_print(LWS_PRE, &len, c->head->method, answer);

	if (p)
		(void)lws_write(c->wsi, (unsigned char *)p + LWS_PRE, len,
				LWS_WRITE_HTTP);
	mem_deref(p);
	c->answered = true;
}

/** Answer with a status alone; -1, which makes libwebsockets close */
static int conn_refuse(struct conn *c, int status)
{
	struct http_answer answer = {.status = status};

	metrics_inc(M_HTTP_REFUSED);
	if (str_printf(&answer.body, "%d %s\n", status, http_reason(status)))
		answer.body = NULL; /* the status says it as well */
	conn_send(c, &answer);
	mem_deref(answer.body);

	return -1;
}

/** Ask the request handler; -1, which makes libwebsockets flush and close */
static int conn_serve(struct conn *c)
{
	struct http_answer answer = {0};

	c->httpd->requesth(c->head, c->body ? c->body : "", c->bodyc, &answer,
			   c->httpd->arg);
	if (!answer.status)
		answer.status = 500;
	conn_send(c, &answer);
	mem_deref(answer.body);

	return -1;
}

/**
 * Without TLS the acceptor has checked the head. With it the head is known
 * only now, and to whom it refuses a body the peer needs time to read why.
 */
static int conn_check(struct conn *c)
{
	struct http_head *head;
	int err, status;

	if (!c->head->tls)
		return 0;

	err = http_head_from_lws(&head, c->wsi, c->head);
	if (err)
		return conn_refuse(c, err == EBADMSG     ? 400
				      : err == EOVERFLOW ? 431
							 : 503);
	mem_deref(c->head);
	c->head = head;

	status = http_head_refuse(head);
	if (!status)
		return 0;
	(void)conn_refuse(c, status);
	if (head->upgrade || (!head->chunked && head->content_length <= 0))
		return -1;

	c->due_ms = loop_now_ms(c->httpd->loop) + c->httpd->linger_ms;
	return 0;
}

static int conn_request(struct conn *c)
{
	uint64_t now_ms = loop_now_ms(c->httpd->loop);
	char v[32];

	c->due_ms = now_ms + c->httpd->head_ms;
	if (conn_check(c))
		return -1;
	if (c->answered)
		return 0;
	if (c->head->content_length <= 0)
		return conn_serve(c);

	c->body = mem_zalloc(c->head->content_length + 1, NULL);
	if (!c->body)
		return conn_refuse(c, 503);

	if (http_head_get(c->head, "Expect", v, sizeof(v))) {
		char buf[LWS_PRE + 32] = {0};
		int n = snprintf(buf + LWS_PRE, 32,
				 "HTTP/1.1 100 Continue\r\n\r\n");

		if (lws_write(c->wsi, (unsigned char *)buf + LWS_PRE, n,
			      LWS_WRITE_HTTP) < 0)
			return -1;
	}

	return 0;
}

static int conn_body(struct conn *c, const char *p, size_t n)
{
	size_t room;

	if (c->answered || !c->body)
		return 0; /* read only so that the answer arrives */

	room = c->head->content_length - c->bodyc;
	n = MIN(n, room);
	memcpy(c->body + c->bodyc, p, n);
	c->bodyc += n;

	return 0;
}

/** 0: go on with the upgrade */
static int conn_upgrade(struct conn *c)
{
	struct httpd *h = c->httpd;
	struct ws *ws;
	int status;

	if (conn_check(c))
		return -1;
	if (c->answered)
		return -1;
	if (!c->head->upgrade) /* h2c: no thanks, and it is a request */
		return conn_serve(c);

	if (ws_alloc(&ws, h, c->wsi))
		return conn_refuse(c, 503);

	status = h->upgradeh(ws, c->head, h->arg);
	if (status != 101) {
		mem_deref(ws);
		return conn_refuse(c, status);
	}
	if (!ws_is_accepted(ws)) {
		mem_deref(ws);
		return conn_refuse(c, 500);
	}
	c->ws = ws;
	c->head = mem_deref(c->head);
	--h->waiting;

	return 0;
}

/** The code of the close frame that libwebsockets itself sends */
static int lws_own_code(struct lws *wsi)
{
	const unsigned char *p = lws_get_close_payload(wsi);

	return lws_get_close_length(wsi) >= 2 ? p[0] << 8 | p[1] : WS_ABNORMAL;
}

static int ws_event(struct conn *c, enum lws_callback_reasons reason, void *in,
		    size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_ESTABLISHED:
		ws_opened(c->ws);
		return 0;

	case LWS_CALLBACK_RECEIVE:
		ws_received(c->ws, in, len);
		return 0;

	case LWS_CALLBACK_SERVER_WRITEABLE:
		ws_writable(c->ws);
		return 0;

	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		return ws_peer_closes(c->ws, in, len);

	case LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL:
		ws_gone(c->ws, lws_own_code(c->wsi));
		return 0;

	case LWS_CALLBACK_CLOSED:
		ws_gone(c->ws, WS_ABNORMAL);
		return 0;

	default:
		return 0;
	}
}

static int conn_event(struct conn *c, enum lws_callback_reasons reason,
		      void *in, size_t len)
{
	switch (reason) {
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return conn_upgrade(c);

	case LWS_CALLBACK_HTTP:
		return conn_request(c);

	case LWS_CALLBACK_HTTP_BODY:
		return conn_body(c, in, len);

	case LWS_CALLBACK_HTTP_BODY_COMPLETION:
		return c->answered ? -1 : conn_serve(c);

	case LWS_CALLBACK_WSI_DESTROY:
		conn_gone(c, WS_ABNORMAL);
		return 0;

	default:
		return c->ws ? ws_event(c, reason, in, len) : 0;
	}
}

static int lws_handler(struct lws *wsi, enum lws_callback_reasons reason,
		       void *user, void *in, size_t len)
{
	struct conn *c = wsi ? lws_get_opaque_user_data(wsi) : NULL;
	bool request = reason == LWS_CALLBACK_HTTP ||
		       reason == LWS_CALLBACK_HTTP_CONFIRM_UPGRADE;
	int ret;

	(void)user;
	if (!c) /* not a connection of ours, or given up already */
		return request ? -1 : 0;

	mem_ref(c);
	ret = conn_event(c, reason, in, len);
	mem_deref(c);

	return ret;
}

/* ---------------------------------------------------------------- context */

static void lws_log_handler(int level, const char *line)
{
	char s[256];

	str_copy(s, sizeof(s), line);
	s[strcspn(s, "\r\n")] = '\0';
	if (level == LLL_ERR)
		log_warn(NULL, "libwebsockets", "text=\"%s\"", LOG_STR(s));
	else
		log_debug(NULL, "libwebsockets", "text=\"%s\"", LOG_STR(s));
}

/* libwebsockets sets OpenSSL and the C library's time zone up with each
 * context, and neither is safe in two threads at once (4.1.6: TSan sees it in
 * tzset(), and a context's certificates leak) */
static pthread_mutex_t context_lock = PTHREAD_MUTEX_INITIALIZER;

static int context_create(struct httpd *h, const struct httpd_param *prm)
{
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN,
		.vhost_name = "plain",
		.protocols = protocolv,
		.options = LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
			   LWS_SERVER_OPTION_LIBUV |
			   LWS_SERVER_OPTION_VALIDATE_UTF8 |
			   (prm->tls_cert
				    ? LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT
				    : 0),
		.max_http_header_data = HEAD_DATA_MAX,
		.max_http_header_pool = HTTP_WAITING_MAX,
		.timeout_secs = TIMEOUT_S,
		.gid = -1,
		.uid = -1,
	};
	int err;

	if (prm->tls_cert) {
		/* We are no client. Left to itself libwebsockets makes each
		 * vhost one that knows all certificates of the system, and
		 * of several contexts it never frees all (4.1) */
		h->client_ctx = SSL_CTX_new(TLS_client_method());
		if (!h->client_ctx)
			return ENOMEM;
		info.provided_client_ssl_ctx = h->client_ctx;
	}

	err = lws_loop_create(&h->lws, h->loop, &info);
	if (err)
		return err;

	h->plain = lws_create_vhost(h->lws.context, &info);
	if (!h->plain)
		return EIO;
	if (!prm->tls_cert)
		return 0;

	/* another "port", or the Host header could move a connection from
	 * one to the other */
	info.port = CONTEXT_PORT_NO_LISTEN_SERVER;
	info.vhost_name = "tls";
	info.ssl_cert_filepath = prm->tls_cert;
	info.ssl_private_key_filepath = prm->tls_key;
	/* over HTTP/2 the carriers' signature headers cannot be read */
	info.alpn = "http/1.1";
	h->tls = lws_create_vhost(h->lws.context, &info);

	return h->tls ? 0 : EINVAL;
}

int httpd_alloc(struct httpd **hp, struct loop *l,
		const struct httpd_param *prm)
{
	struct httpd *h;
	uint32_t least;
	int err;

	if (!hp || !l || !prm || !prm->requesth || !prm->upgradeh)
		return EINVAL;

	h = mem_zalloc(sizeof(*h), NULL);
	if (!h)
		return ENOMEM;

	h->loop = l;
	h->requesth = prm->requesth;
	h->upgradeh = prm->upgradeh;
	h->arg = prm->arg;
	h->head_ms = prm->head_ms ? prm->head_ms : HTTP_HEAD_MS;
	h->linger_ms = prm->linger_ms ? prm->linger_ms : HTTP_LINGER_MS;
	h->stuck_ms = prm->ws_stuck_ms ? prm->ws_stuck_ms : WS_STUCK_MS;
	h->ping_ms = prm->ws_ping_ms ? prm->ws_ping_ms : WS_PING_MS;
	h->close_ms = prm->ws_close_ms ? prm->ws_close_ms : WS_CLOSE_MS;
	least = MIN(MIN(h->head_ms, h->linger_ms), h->stuck_ms);
	least = MIN(MIN(h->ping_ms, h->close_ms), least);
	h->tick_ms = MAX(1, MIN(least / 4, (uint32_t)TICK_MAX_MS));

	err = tmr_alloc(&h->tmr, l, tick_handler, h);
	if (!err) {
		(void)pthread_mutex_lock(&context_lock);
		/* Why it cannot start is worth a line. Afterwards it is
		 * silent: it prints into one buffer for all threads, and
		 * peers could make it print. */
		lws_set_log_level(LLL_ERR | LLL_WARN, lws_log_handler);
		err = context_create(h, prm);
		lws_set_log_level(0, lws_log_handler);
		(void)pthread_mutex_unlock(&context_lock);
	}
	if (err) {
		httpd_close(h);
		mem_deref(h);
		return err;
	}
	*hp = h;

	return 0;
}

void httpd_close(struct httpd *h)
{
	if (!h)
		return;

	h->closed = true;
	h->tmr = mem_deref(h->tmr);
	while (h->connl.head) {
		struct conn *c = list_ledata(h->connl.head);

		lws_set_opaque_user_data(c->wsi, NULL);
		conn_gone(c, WS_GOING_AWAY);
	}

	lws_loop_destroy(&h->lws);
	SSL_CTX_free(h->client_ctx);
	h->client_ctx = NULL;
}

/**
 * @file httpd.h  One worker's HTTP and websocket server (libwebsockets)
 *
 * The acceptor owns the listening sockets. It peeks at each connection until
 * the request head is complete, keeps the head as it came (libwebsockets
 * decodes the target, a signature needs it raw), and hands the descriptor to
 * the worker that the caller of acceptor_alloc() picks. The worker's httpd
 * adopts it.
 *
 * Thread: each httpd and its connections belong to the loop it was made with;
 * httpd_adopt() may be called from any thread.
 */
#ifndef CONVOD_HTTPD_H
#define CONVOD_HTTPD_H

#include <convod/loop.h>

CV_BEGIN_DECLS

enum {
	HTTP_HEAD_MAX = 16384,  /* bytes; more is answered 431           */
	HTTP_HEAD_MS = 5000,    /* to send it; then closed               */
	HTTP_BODY_MAX = 65536,  /* more is answered 413, chunked 411     */
	WS_MESSAGE_MAX = 65536, /* more is closed 1009                   */
	WS_FRAGMENTS_MAX = 64,  /* of one message; likewise              */
	WS_QUEUE_MAX = 65536,   /* bytes not taken by a carrier that does
				    * not read: ws_send_text() says EAGAIN  */
	WS_STUCK_MS = 10000,    /* so long unread, then closed           */
	WS_PING_MS = 25000,     /* keeps idle proxies from cutting; an
				    * unanswered one never ends a call      */
	WS_PRE_BYTES = 16,      /* head room that ws_send_text() needs   */
};

/** Websocket close codes, RFC 6455 section 7.4.1 */
enum ws_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_NOT_UTF8 = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
};

struct httpd;
struct ws;

/** A request head as it came */
struct http_head {
	char method[16];
	const char *target; /* raw: nothing decoded */
	bool upgrade;       /* asks for a websocket */
	const char *raw;    /* whole head, ends with a zero */
	size_t len;
	bool tls;      /* came over TLS that ends here */
	char peer[64]; /* address of the peer, for logs */
};

/**
 * Value of a header
 *
 * @param name Without colon, any case
 *
 * @return dst, cut at size - 1 and trimmed; NULL if there is none
 */
const char *http_head_get(const struct http_head *head, const char *name,
			  char *dst, size_t size);

/** Target up to '?', still encoded, in dst */
const char *http_head_path(const struct http_head *head, char *dst,
			   size_t size);

/** Answer of a request handler */
struct http_answer {
	int status;
	const char *content_type; /* constant */
	char *body;               /* released with mem_deref(), or NULL */
};

/** A complete request that is not an upgrade */
typedef void(httpd_request_h)(const struct http_head *head, const char *body,
			      size_t bodyc, struct http_answer *answer,
			      void *arg);

/**
 * An upgrade: refuse it or take it
 *
 * @return 101 to accept; the handler then has ws_accept()ed handlers for ws
 *         (only stored: nothing may be sent before the open handler);
 *         or the HTTP status to refuse with
 */
typedef int(httpd_upgrade_h)(struct ws *ws, const struct http_head *head,
			     void *arg);

struct ws_handlers {
	void (*openh)(void *arg);
	/** A whole text message, valid UTF-8; may close the websocket */
	void (*texth)(const char *msg, size_t len, void *arg);
	/** A binary frame or message arrived and was dropped */
	void (*binaryh)(size_t len, void *arg);
	/** Everything queued has left after ws_send_text() said EAGAIN */
	void (*drainh)(void *arg);
	/** Gone; exactly once after openh; ws is invalid afterwards */
	void (*closeh)(int code, void *arg);
};

/** Where connections come from: public or administrative port */
enum httpd_port { HTTPD_PUBLIC, HTTPD_ADMIN };

struct httpd_param {
	httpd_request_h *requesth;
	httpd_upgrade_h *upgradeh;
	void *arg;
	const char *tls_cert; /* PEM files; NULL: plain */
	const char *tls_key;
};

CV_NODISCARD int httpd_alloc(struct httpd **hp, struct loop *l,
			     const struct httpd_param *prm);

/** Destroy the context; open websockets get their close handlers */
void httpd_close(struct httpd *h);

/** Install handlers, from inside the upgrade handler */
void ws_accept(struct ws *ws, const struct ws_handlers *h, void *arg);

/**
 * Send a text message now
 *
 * @param buf The message; WS_PRE_BYTES in front of it are overwritten
 *
 * @return 0; EAGAIN: WS_QUEUE_MAX bytes wait, nothing was taken; ENOTCONN
 */
CV_NODISCARD int ws_send_text(struct ws *ws, char *buf, size_t len);

/** Send a close frame and end; closeh comes later. A second one is ignored. */
void ws_close(struct ws *ws, int code, const char *reason);

/* ------------------------------------------------------------ acceptor */

struct acceptor;

/** Which worker shall serve this connection? NULL: none, answer 503 */
typedef struct httpd *(acceptor_pick_h)(const struct http_head *head,
					enum httpd_port port, void *arg);

struct acceptor_param {
	const char *host;
	uint16_t port; /* 0: any free one, see acceptor_port() */
	const char *admin_host;
	uint16_t admin_port; /* 0: any free one */
	bool admin;          /* have an administrative port at all */
	bool tls;            /* PORT speaks TLS: no head to peek at */
	acceptor_pick_h *pickh;
	void *arg;
};

/**
 * Listen. Fails when a port is taken or listening did not really succeed.
 */
CV_NODISCARD int acceptor_alloc(struct acceptor **ap, struct loop *l,
				const struct acceptor_param *prm);

uint16_t acceptor_port(const struct acceptor *a, enum httpd_port port);

/** Stop listening on the public port; the administrative one stays */
void acceptor_stop(struct acceptor *a);

CV_END_DECLS

#endif

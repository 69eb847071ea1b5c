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
	HTTP_HEAD_MAX = 16384,   /* bytes; more is answered 431           */
	HTTP_HEAD_MS = 5000,     /* to send it; then closed               */
	HTTP_BODY_MAX = 65536,   /* more is answered 413, chunked 411     */
	WS_MESSAGE_MAX = 65536,  /* more is closed 1009                   */
	WS_FRAGMENTS_MAX = 64,   /* of one message; likewise              */
	WS_QUEUE_MAX = 65536,    /* bytes not taken by a carrier that does
				    * not read: ws_send_text() says EAGAIN  */
	WS_STUCK_MS = 10000,     /* so long unread, then closed           */
	WS_PING_MS = 25000,      /* keeps idle proxies from cutting; an
				    * unanswered one never ends a call      */
	WS_CLOSE_MS = 2000,      /* for the peer to answer a close frame  */
	WS_PRE_BYTES = 16,       /* head room that ws_send_text() needs   */
	HTTP_LINGER_MS = 2000,   /* to read an answer that refuses        */
	HTTP_WAITING_MAX = 1024, /* connections without a complete request,
				    * of an acceptor and of a worker; beyond
				    * it the oldest is dropped              */
};

/** Websocket close codes, RFC 6455 section 7.4.1 */
enum ws_code {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_NO_STATUS = 1005, /* the peer gave none; never sent          */
	WS_ABNORMAL = 1006,  /* no close frame came or went; never sent */
	WS_NOT_UTF8 = 1007,
	WS_POLICY = 1008,
	WS_TOO_BIG = 1009,
	WS_INTERNAL = 1011,
};

struct httpd;
struct ws;

/** Where connections come from: public or administrative port */
enum httpd_port { HTTPD_PUBLIC, HTTPD_ADMIN };

/**
 * A request head as it came, a mem object. Over TLS that ends here it is
 * printed again from what libwebsockets parsed: escapes decoded and encoded
 * anew, only well-known headers and those of the carriers' signatures.
 */
struct http_head {
	char method[16];
	const char *target;     /* raw: nothing decoded */
	bool target_exact;      /* byte for byte as sent. Over TLS false if
				 * there is a query or anything escaped; an
				 * escaped letter goes unnoticed there */
	bool upgrade;           /* asks for a websocket */
	bool chunked;           /* has a Transfer-Encoding */
	int64_t content_length; /* -1 if there is none */
	const char *raw;        /* whole head, ends with a zero */
	size_t len;
	enum httpd_port port;
	bool tls;      /* came over TLS that ends here */
	char peer[64]; /* address of the peer, for logs */
};

/**
 * Parse a request head
 *
 * @param hp  Set to a new object; release with mem_deref()
 * @param raw From the request line to the empty line that ends it
 *
 * @return 0; EBADMSG: not HTTP/1.0 or 1.1 as RFC 9112 has it; ENOMEM
 */
CV_NODISCARD int http_head_decode(struct http_head **hp, const char *raw,
				  size_t len);

/**
 * Status to refuse a well-formed request with, before anybody looks at what
 * it wants: 400, 411, 413, 426, 431, 501, 505; or 0
 */
int http_head_refuse(const struct http_head *head);

/** "Not Found" for 404 */
const char *http_reason(int status);

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
 *         or the HTTP status to refuse with. Should the peer vanish before
 *         the websocket is open, closeh comes without openh.
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
	/**
	 * Gone; exactly once after an upgrade handler said 101. ws is invalid
	 * afterwards.
	 *
	 * @param code What the peer sent, or ws_close() was given, or
	 *             WS_ABNORMAL; WS_GOING_AWAY from httpd_close()
	 */
	void (*closeh)(int code, void *arg);
	/**
	 * The peer is being closed for what it did, or did not: closeh
	 * follows, after WS_CLOSE_MS at the latest. NULL: not wanted
	 *
	 * @param code WS_TOO_BIG; WS_INTERNAL: no memory for its message;
	 *             WS_ABNORMAL: it reads nothing any more
	 */
	void (*faulth)(int code, void *arg);
};

struct httpd_param {
	httpd_request_h *requesth;
	httpd_upgrade_h *upgradeh;
	void *arg;
	const char *tls_cert; /* PEM files; NULL: plain */
	const char *tls_key;

	/* 0: the constants above */
	uint32_t head_ms; /* TLS handshake, head and body: each this long */
	uint32_t linger_ms;
	uint32_t ws_stuck_ms;
	uint32_t ws_ping_ms;
	uint32_t ws_close_ms;
};

/**
 * Raise RLIMIT_NOFILE before: libwebsockets sizes its tables by it.
 *
 * @return 0; EINVAL: certificate or key cannot be used; ENOMEM; EIO:
 *         libwebsockets could not start, see the log
 */
CV_NODISCARD int httpd_alloc(struct httpd **hp, struct loop *l,
			     const struct httpd_param *prm);

/**
 * Open websockets get their close handlers (1001), all connections end, the
 * context is destroyed. Call it on the loop's thread when the loop is not
 * running (it serves some turns itself), then mem_deref() the httpd before
 * the loop.
 */
void httpd_close(struct httpd *h);

/**
 * Take over a connection whose head has been peeked at. Thread: any
 *
 * @param fd   Closed on error as well
 * @param head A reference is kept
 */
CV_NODISCARD int httpd_adopt(struct httpd *h, int fd, struct http_head *head);

/** Install handlers, from inside the upgrade handler */
void ws_accept(struct ws *ws, const struct ws_handlers *h, void *arg);

/**
 * Send a text message now
 *
 * @param buf The message; WS_PRE_BYTES in front of it are overwritten
 *
 * @return 0; EAGAIN: WS_QUEUE_MAX bytes wait, or there is no memory for what
 *         must wait: nothing was taken, the drain handler tells when to go
 *         on; ENOTCONN: closing or not open; EMSGSIZE: more than
 *         WS_MESSAGE_MAX
 */
CV_NODISCARD int ws_send_text(struct ws *ws, char *buf, size_t len);

/**
 * Send a close frame behind what is queued, and end. closeh comes later: when
 * the peer has answered, at the latest after WS_CLOSE_MS. What still arrives
 * is dropped. A second one is ignored.
 *
 * @param reason At most 123 bytes of UTF-8, or NULL
 */
void ws_close(struct ws *ws, int code, const char *reason);

/* ------------------------------------------------------------ acceptor */

struct acceptor;

/**
 * Which worker shall serve this connection? NULL: none, answer 503. Over TLS
 * the head has no more than the peer's address yet (its target is "").
 */
typedef struct httpd *(acceptor_pick_h)(const struct http_head *head,
					void *arg);

struct acceptor_param {
	const char *host;
	uint16_t port; /* 0: any free one, see acceptor_port() */
	const char *admin_host;
	uint16_t admin_port; /* 0: any free one */
	bool admin;          /* have an administrative port at all */
	bool tls;            /* PORT speaks TLS: no head to peek at */
	acceptor_pick_h *pickh;
	void *arg;

	uint32_t head_ms; /* 0: HTTP_HEAD_MS */
	uint32_t linger_ms;
};

/**
 * Listen. Fails when a port is taken or listening did not really succeed.
 *
 * @param failed Set to the port that it failed with, if with one; or NULL
 */
CV_NODISCARD int acceptor_alloc(struct acceptor **ap, struct loop *l,
				const struct acceptor_param *prm,
				enum httpd_port *failed);

uint16_t acceptor_port(const struct acceptor *a, enum httpd_port port);

/** Stop listening on the public port; the administrative one stays */
void acceptor_stop(struct acceptor *a);

CV_END_DECLS

#endif

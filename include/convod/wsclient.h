/**
 * @file wsclient.h  Websocket client of one worker (libwebsockets on the loop)
 *
 * ws:// and wss://, text and binary, request headers of one's own, an optional
 * subprotocol, never an extension. Names are resolved off the loop and each
 * address is tried in turn. Certificates and host names are verified unless
 * told otherwise; over wss:// the host must be a name.
 *
 * Thread: loop.
 * Spec: RFC 6455.
 */
#ifndef CONVOD_WSCLIENT_H
#define CONVOD_WSCLIENT_H

#include <convod/loop.h>

CV_BEGIN_DECLS

enum {
	WSC_CONNECT_MS = 10000,    /* lookup, TCP, TLS and upgrade together */
	WSC_CLOSE_MS = 2000,       /* for the peer to answer a close frame */
	WSC_MESSAGE_MAX = 1 << 20, /* bytes received in a message */
	WSC_BACKLOG_MAX = 256 << 10, /* bytes the peer does not read: full is
				      * EAGAIN, nothing taken, drainh later */
	WSC_HEADERS_MAX = 2048,      /* bytes of one's own request headers */
	WSC_HOST_MAX = 256,
	WSC_CODE_NONE = 1005,     /* close frame without a code */
	WSC_CODE_ABNORMAL = 1006, /* no close frame at all */
};

/** A ws:// or wss:// URL taken apart */
struct wsc_url {
	bool tls;
	uint16_t port;
	char host[WSC_HOST_MAX];          /* without brackets              */
	char authority[WSC_HOST_MAX + 8]; /* as the Host header has it     */
	const char *target;               /* points into the URL, maybe "" */
	size_t targetc;                   /* without the fragment          */
};

/** EBADMSG: not a websocket URL; ENAMETOOLONG; user:password is EBADMSG */
CV_NODISCARD int wsc_url_parse(struct wsc_url *u, const char *url);

struct wsclient; /* shared by the connections of a loop */
struct wsc;      /* one connection */

/**
 * @param ca_file Further trusted certificates (PEM), or NULL
 *
 * Drop it after its connections, and not from inside a handler of the loop:
 * libwebsockets needs turns of the loop to end.
 */
CV_NODISCARD int wsclient_alloc(struct wsclient **cp, struct loop *l,
				const char *ca_file);

/** How a connection ended */
struct wsc_end {
	int err;  /* 0: both sides sent a close frame; ECONNREFUSED,
		   * EHOSTUNREACH (name or route), ETIMEDOUT, EPROTO (TLS, or
		   * the upgrade was refused: see status), ECONNRESET (lost),
		   * EOVERFLOW (message too long), ENOMEM */
	int code; /* of the peer's close frame, or WSC_CODE_…        */
	const char *reason; /* of the close frame, or what went wrong; "" */
	int status;         /* HTTP status of a refused upgrade, else 0   */
	bool opened;        /* openh had been called                      */
};

struct wsc_handlers {
	void (*openh)(void *arg);
	/** A whole message; text is valid UTF-8 */
	void (*messageh)(bool binary, const char *msg, size_t len, void *arg);
	/** There is room again after EAGAIN; may be NULL */
	void (*drainh)(void *arg);
	/** The end, exactly once unless dropped before; then mem_deref() it */
	void (*closeh)(const struct wsc_end *end, void *arg);
};

struct wsc_param {
	const char *url;
	const char *const *headerv; /* "Name: value", NULL-ended, or NULL  */
	const char *protocol;       /* subprotocol to ask for, or NULL     */
	bool insecure;              /* accept any certificate; for tests   */
	uint32_t connect_ms;        /* 0: WSC_CONNECT_MS                   */
};

/**
 * Connect. Calls no handler from inside. mem_deref() abandons the connection
 * without a close frame; no handler is called after.
 *
 * @return 0; EBADMSG: not a websocket URL; EINVAL: a header that is none, or
 *         too long; ENOMEM
 */
CV_NODISCARD int wsc_open(struct wsc **wp, struct wsclient *c,
			  const struct wsc_param *prm,
			  const struct wsc_handlers *h, void *arg);

/** Send a message; copied. EAGAIN: WSC_BACKLOG_MAX; ENOTCONN: not open */
CV_NODISCARD int wsc_send(struct wsc *w, bool binary, const void *msg,
			  size_t len);

/** Send what is queued, then a close frame; closeh follows */
void wsc_close(struct wsc *w, int code, const char *reason);

CV_END_DECLS

#endif

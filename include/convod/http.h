/**
 * @file http.h  HTTP client of one worker (libcurl multi on the loop)
 *
 * HTTP/1.1 with keep-alive, or HTTP/2 by ALPN over TLS; never clear-text
 * HTTP/2. Certificates are verified. Only http and https.
 *
 * A URL that somebody else has chosen can lead anywhere: its name may belong
 * to him and lead to our own network, or another address the next time, and
 * there are many ways to write an address. So such a request is judged by the
 * address that is connected to, before anything is sent to it, and again when
 * a connection that is already there is used.
 *
 * Thread: loop.
 */
#ifndef CONVOD_HTTP_H
#define CONVOD_HTTP_H

#include <sys/socket.h>
#include <convod/loop.h>

CV_BEGIN_DECLS

struct http_client;
struct http_req;

enum {
	HTTP_CONNECT_MS = 5000,
	HTTP_URL_MAX = 4096,
	HTTP_ORIGIN_MAX = 320, /* bytes that any origin fits in */
	HTTP_REDIRECTS_MAX = 3,
};

/** Requests keep their client alive; the loop must outlive both */
CV_NODISCARD int http_client_alloc(struct http_client **cp, struct loop *l);

/**
 * Take the proxy variables of the environment (http_proxy, https_proxy,
 * all_proxy, no_proxy) for trusted requests. Where a proxy connects to cannot
 * be judged, so the others never use one. From the start none is used.
 */
void http_client_use_proxy(struct http_client *c, bool use);

enum http_verdict {
	HTTP_REFUSE, /* the request ends with EACCES               */
	HTTP_JUDGE,  /* wherever the address connected to is fine  */
	HTTP_TRUST,  /* wherever its name leads, also by a proxy   */
};

/**
 * May this URL be fetched? Asked for the first URL and for every redirect,
 * before anything is sent. It only answers: it must not drop the request.
 */
typedef enum http_verdict(http_allow_h)(const char *url, void *arg);

/**
 * May this address be used for a URL of HTTP_JUDGE? Asked once or more for
 * each connection. It only answers: it must not drop the request.
 */
typedef bool(http_addr_h)(const struct sockaddr *sa, void *arg);

struct http_param {
	const char *method;         /* "GET", "POST", "PUT"; NULL: GET   */
	const char *url;            /* copied */
	const char *const *headerv; /* "Name: value", NULL-ended, copied */
	const void *body;           /* copied, NULL: none */
	size_t bodyc;
	uint32_t timeout_ms; /* for the whole, 0: no limit */
	uint32_t idle_ms;    /* without a byte while not paused, 0: no limit */
	size_t body_max;     /* bytes of the answer's body; more is
				     * EOVERFLOW */
	bool redirects;      /* follow those of a GET, HTTP_REDIRECTS_MAX at
				     * most. Credentials and all headers but
				     * Accept stay with the first origin */
	http_allow_h *allowh; /* NULL: the first URL's origin is trusted,
			       * others are judged */
	http_addr_h *addrh;   /* NULL: net_addr_is_public() */
};

struct http_resp {
	int status;               /* of the final answer */
	const char *content_type; /* "" if none */
	uint32_t retry_after_s;   /* 0 if none */
	const char *body;         /* whole body with a zero behind, if no
				     * body handler was given */
	size_t bodyc;
	uint64_t first_byte_us; /* from request to first byte of body */
	uint64_t total_us;
};

/** A piece of the body, final answer's only, with its status */
typedef void(http_body_h)(int status, const uint8_t *p, size_t n, void *arg);

/**
 * The end, exactly once unless the request is dropped before
 *
 * @param err 0 whatever the status was; else ECONNREFUSED, ETIMEDOUT,
 *            ECONNRESET, EHOSTUNREACH (name or route), EPROTO (TLS, HTTP),
 *            EOVERFLOW, EACCES (allowh or addrh said no), ENOMEM
 */
typedef void(http_done_h)(int err, const struct http_resp *resp, void *arg);

/**
 * Start a request. No handler is called from inside. mem_deref() of the
 * request cancels it, also from inside a handler; no handler is called after.
 * user:password in the URL becomes basic authorisation.
 *
 * @return 0; EINVAL: not a URL, or a header with a line break; ENOMEM
 *
 * @param bodyh Gets the body in pieces; NULL: it is gathered in resp->body
 */
CV_NODISCARD int http_request(struct http_req **rp, struct http_client *c,
			      const struct http_param *prm, http_body_h *bodyh,
			      http_done_h *doneh, void *arg);

/**
 * Stop or go on reading the answer, so that its sender waits. No handler is
 * called from inside. A pause counts to timeout_ms, but not to idle_ms.
 */
void http_pause(struct http_req *r, bool pause);

/** Content-Type of the answer, "" if there is none; for the body handler.
 * Valid until it returns. */
const char *http_content_type(const struct http_req *r);

/** Origin (scheme://host:port, lower case, port always there) of a URL */
CV_NODISCARD int url_origin(char *dst, size_t size, const char *url);

/** Resolve a reference against a base as RFC 3986 section 5. What a URL may
 * hold is kept verbatim, nothing decoded or encoded; in a relative reference
 * blanks and bytes over 127 are. A user and password of the base stay with
 * relative references. EBADMSG: not http(s) or not a URL; EOVERFLOW: beyond
 * HTTP_URL_MAX */
CV_NODISCARD int url_resolve(char **dst, const char *base, const char *ref);

/**
 * Take user and password out of a URL
 *
 * @param barep The URL without them, a new object
 * @param userp Decoded, a new object; NULL if there is none; passp as well
 *
 * @return 0; EBADMSG: not a URL; EOVERFLOW: beyond HTTP_URL_MAX; ENOMEM
 */
CV_NODISCARD int url_split_user(char **barep, char **userp, char **passp,
				const char *url);

/** Percent-encode all but letters, digits and `-._~`, for a part of a path or
 * a value of a query */
CV_NODISCARD int url_escape(char **dst, const char *s);

CV_END_DECLS

#endif

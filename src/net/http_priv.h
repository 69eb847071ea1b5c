/**
 * @file http_priv.h  What http.c and http_client.c share
 */
#ifndef CONVOD_HTTP_PRIV_H
#define CONVOD_HTTP_PRIV_H

#include <curl/curl.h>
#include <convod/buf.h>
#include <convod/http.h>

/** libcurl's multi handle and what it needs of a loop */
struct http_client {
	struct loop *loop;
	CURLM *multi;
	bool use_proxy;
	struct tmr *tmr;         /* libcurl's */
	struct loop_flush flush; /* starts and resumes */
	struct tmr *tmr_share;   /* resumes who had its share of a turn */
	struct list xferl;       /* alive */
	struct list deadl;       /* dropped while inside libcurl, owned */
	int *portv; /* local port of the socket with this number */
	size_t portc;
	unsigned inside; /* depth of calls into libcurl */
	bool failed;     /* some xfer has its fail set */
};

/** One request through all its redirects, with libcurl's easy handle */
struct xfer {
	struct le le;
	struct http_client *client; /* reference */
	struct http_req *req;       /* weak; NULL once over or dropped */
	CURL *easy;
	bool added; /* to the multi handle */
	bool stale; /* its connection had bytes nobody asked for */
	struct tmr *tmr;

	http_body_h *bodyh;
	http_done_h *doneh;
	void *arg;

	char *url;  /* of this hop, without user and password */
	char *user; /* "user:password" of the first URL, or NULL */
	char origin[HTTP_ORIGIN_MAX]; /* of the first URL */
	unsigned redirects;
	struct curl_slist *headers;      /* for the first origin */
	struct curl_slist *bare_headers; /* for any other */
	bool redirects_on;
	bool skip; /* this body belongs to a redirect */
	http_allow_h *allowh;
	http_addr_h *addrh;
	bool judged;  /* this hop's address must please addrh */
	bool refused; /* one did not */

	bool start;   /* waits for the flush */
	bool paused;  /* as the user wants it */
	bool held;    /* as libcurl has it */
	int fail;     /* why it must end, found while inside libcurl */
	size_t share; /* bytes that came since it was held last */

	struct buf body;
	size_t body_max, seen;
	uint32_t idle_ms;
	uint64_t end_ms;  /* UINT64_MAX: never */
	uint64_t last_ms; /* of the last byte */
	uint64_t start_us, first_us;
};

/* --------------------------------------------------------------- http.c */

/** Do what http_request() and http_pause() have asked for */
CV_NODISCARD int xfer_start_or_pause(struct xfer *x);

/** libcurl is done with it: follow a redirect, or finish */
void xfer_ended(struct xfer *x, CURLcode code);

/** The end, told to the user. Never from inside libcurl. */
void xfer_finish(struct xfer *x, int err);

/* -------------------------------------------------------- http_client.c */

/** Open a socket for libcurl; CURL_SOCKET_BAD if that fails */
curl_socket_t http_client_open(struct http_client *c,
			       const struct curl_sockaddr *sa);

/** The one between these two, -1: none. libcurl (7.88) tells which socket a
 * request goes to only after it was sent. */
int http_client_socket(struct http_client *c, int local_port,
		       const struct sockaddr *to);

#endif

/**
 * @file httpd_priv.h  What httpd.c, ws.c and acceptor.c share
 */
#ifndef CONVOD_HTTPD_PRIV_H
#define CONVOD_HTTPD_PRIV_H

#include <convod/httpd.h>
#include <convod/list.h>
#include "lws_loop.h"

/**
 * One adopted connection. httpd's list holds a reference until libwebsockets
 * has destroyed its wsi, which points to it weakly (opaque user data).
 */
struct conn {
	struct le le;
	struct httpd *httpd;
	struct lws *wsi;
	struct http_head *head; /* NULL once it is a websocket */
	uint64_t due_ms;        /* for TLS, head, body, reading the answer */
	char *body;
	size_t bodyc;
	bool answered;
	struct ws *ws; /* NULL until the upgrade has been accepted */
};

struct httpd {
	struct loop *loop;
	struct lws_loop lws;
	struct lws_vhost *plain, *tls;
	SSL_CTX *client_ctx; /* owned; NULL without TLS */
	bool closed;         /* takes no more connections */
	struct tmr *tmr;
	struct list connl;
	size_t waiting; /* of these, no websocket yet */
	uint32_t tick_ms;
	httpd_request_h *requesth;
	httpd_upgrade_h *upgradeh;
	void *arg;
	uint32_t head_ms, linger_ms, stuck_ms, ping_ms, close_ms;
};

/* ------------------------------------------------------------------ ws.c */

CV_NODISCARD int ws_alloc(struct ws **wsp, struct httpd *h, struct lws *wsi);
bool ws_is_accepted(const struct ws *ws);

/** libwebsockets' events; the results are its: non-zero ends the wsi */
void ws_opened(struct ws *ws);
void ws_received(struct ws *ws, const char *p, size_t n);
void ws_writable(struct ws *ws);
int ws_peer_closes(struct ws *ws, const uint8_t *p, size_t n);

/** The wsi is going or gone: tell closeh unless it knows */
void ws_gone(struct ws *ws, int code);

/** Pings and deadlines; called every tick_ms */
void ws_tick(struct ws *ws, uint64_t now_ms);

/* ------------------------------------------------------------- answering */

/**
 * Print a complete answer that ends the connection
 *
 * @param pre   Bytes left free in front
 * @param lenp  Length without them
 *
 * @return mem object, or NULL when memory is short
 */
char *http_answer_print(size_t pre, size_t *lenp, const char *method,
			const struct http_answer *answer);

/**
 * Rebuild a head from what libwebsockets parsed (lws_head.c)
 *
 * @param from Peer and port are copied from it
 *
 * @return 0; EOVERFLOW: more than HTTP_HEAD_MAX; EBADMSG; ENOMEM
 */
CV_NODISCARD int http_head_from_lws(struct http_head **hp, struct lws *wsi,
				    const struct http_head *from);

#endif

/**
 * @file wsc_priv.h  What wsclient.c and wsc_msg.c share
 */
#ifndef CONVOD_WSC_PRIV_H
#define CONVOD_WSC_PRIV_H

#include <netdb.h>
#include <convod/buf.h>
#include <convod/list.h>
#include <convod/wsclient.h>
#include "lws_loop.h"

/* RFC 6455 5.5: 125 less the code, and a zero */
enum { WSC_REASON_MAX = 124 };

struct wsclient {
	struct loop *loop; /* weak: lives longer */
	struct lws_loop lws;
	struct lws_vhost *plain;
	struct lws_vhost *tls; /* made when first needed */
	char *ca_file;
};

enum wsc_state { LOOKUP, CONNECTING, OPEN, CLOSING, ENDED };

struct lookup;

struct wsc {
	struct wsclient *client; /* reference */
	const struct wsc_handlers *h;
	void *arg;
	enum wsc_state state;
	struct wsc_url url;
	char *target;
	char *headers; /* "Name: value\r\n"… */
	char *protocol;
	bool insecure;

	struct lookup *lookup;
	struct addrinfo *addrs;
	const struct addrinfo *next; /* address to try after this one */
	struct lws *wsi;
	struct tmr *tmr; /* of connecting, then of closing */
	int depth;       /* inside a callback of lws */
	bool upgrading;  /* connected, our request head was written */

	struct list pendingl;
	size_t pendingc; /* bytes in it */
	bool starved;    /* somebody was told EAGAIN */
	uint8_t *txv;    /* LWS_PRE and one message; lws masks in place */
	size_t txc;
	struct buf rx; /* of a message that comes in pieces */

	int close_code;
	char close_reason[WSC_REASON_MAX];
	bool close_sent;
	bool peer_closed;
	struct wsc_end end;
	char why[256];
};

/** Tell the end, once; why is left out where the peer has said more */
void wsc_finish(struct wsc *w, int err, const char *why);

/* ------------------------------------------------------------- wsc_msg.c */

/** A piece of a message has come; -1 makes libwebsockets close */
int wsc_receive(struct wsc *w, const char *p, size_t n);

/** The socket takes more: what waits, then the close frame; -1 likewise */
int wsc_drain(struct wsc *w);

#endif

/**
 * @file grpc_conn.h  One HTTP/2 connection of a channel, and its streams
 *
 * A channel owns its connections. A connection and a stream know each other
 * weakly: each takes itself out of the other when it goes. A stream holds its
 * channel.
 */
#ifndef GRPC_CONN_H
#define GRPC_CONN_H

#include <nghttp2/nghttp2.h>
#include <convod/grpc.h>
#include "grpc_frame.h"
#include "sock.h"

enum {
	GRPC_OUT_SIZE = 64 << 10, /* bytes gathered for one send()         */
	GRPC_IDLE_MS = 10000,     /* a connection without a stream         */
	GRPC_CONNS_MAX = 256,     /* of a channel; then streams wait       */
	GRPC_TEXT_MAX = 512,      /* bytes of a decoded grpc-message       */
	GRPC_METADATA_MAX = 16,
};

struct grpc_channel {
	struct loop *loop;
	char *host;
	char *authority;
	uint16_t port;
	SSL_CTX *tls;
	struct list connl; /* struct grpc_conn, owned */
	struct list waitl; /* struct grpc_stream, first come first served */
	struct tmr *tmr_wait;
	struct loop_flush assign;
	uint32_t stream_max; /* of a connection, as the peer last said */
};

struct grpc_conn {
	struct le le;
	struct grpc_channel *ch; /* NULL once it is closed */
	struct sock *sock;
	nghttp2_session *h2;
	struct tmr *tmr; /* connecting, later idle */
	struct loop_flush flush;
	struct list streaml;
	uint32_t streamc;
	uint32_t stream_max;
	bool sock_up;
	bool up;       /* the peer's SETTINGS are in */
	bool draining; /* GOAWAY: no new streams     */
	bool broken;   /* nghttp2 said so: closed by the next flush */
	bool blocked;  /* the socket takes nothing   */
	size_t outc;   /* bytes in outv */
	size_t outpos; /* of them sent  */
	uint8_t outv[GRPC_OUT_SIZE];
};

struct grpc_stream {
	struct le le; /* of conn's streams or of the waiting ones */
	struct grpc_channel *ch;
	struct grpc_conn *conn;
	int32_t id; /* 0 while waiting */
	uint64_t deadline_ms;
	char *path;
	char *metadatav[GRPC_METADATA_MAX]; /* "name\0value" */
	size_t metadatac;
	grpc_message_h *msgh;
	grpc_close_h *closeh;
	void *arg;

	uint8_t *buf; /* messages to be sent: head..tail */
	size_t size, head, tail;
	bool finished;   /* half-closed by us                      */
	bool deferred;   /* nghttp2 was told that there is nothing */
	bool peer_ended; /* END_STREAM has come */
	bool sent;       /* the request is on its way              */
	bool ended;      /* closeh has been called                 */

	struct grpc_frame frame;
	int http;   /* :status, 0: none yet           */
	int status; /* grpc-status, -1: none in block */
	bool is_grpc;
	char *message;
};

/** Connect; the channel's reference is the one made */
CV_NODISCARD int grpc_conn_alloc(struct grpc_channel *ch);

/** Can it take one more stream now? */
CV_NONNULL(1) bool grpc_conn_has_room(const struct grpc_conn *c);

/** Send the request of a stream */
CV_NODISCARD int grpc_conn_submit(struct grpc_conn *c, struct grpc_stream *s);

/** There is something to send for this stream */
void grpc_conn_resume(struct grpc_stream *s);

/** Take a stream out of its connection, with RST_STREAM if it is open */
void grpc_conn_detach(struct grpc_stream *s, uint32_t code);

/** Take it out of its channel and drop it */
void grpc_conn_close(struct grpc_conn *c);

/* ------------------------------------------------------- grpc_session.c */

/** Make the nghttp2 session and begin it with our SETTINGS */
CV_NODISCARD int grpc_session_start(struct grpc_conn *c);

/** Open a stream for a request */
CV_NODISCARD int grpc_session_request(struct grpc_conn *c,
				      struct grpc_stream *s);

/** Give the socket what is gathered; 0, EAGAIN or the connection's end */
CV_NODISCARD int grpc_session_push(struct grpc_conn *c);

/* --------------------------------------------------------------- grpc.c */

/* What the connection tells the channel; these call handlers */

/** The connection is up, has room again, or is no more */
void grpc_channel_wake(struct grpc_channel *ch);

/** A connection could not be made */
void grpc_channel_failed(struct grpc_channel *ch, const char *why);

/** End a stream, once; it is detached before */
void grpc_stream_end(struct grpc_stream *s, int status, const char *message);

#endif

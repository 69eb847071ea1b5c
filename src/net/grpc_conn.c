/**
 * @file grpc_conn.c  One HTTP/2 connection of a gRPC channel
 *
 * Connects, holds the nghttp2 session (grpc_session.c), and sends what a loop
 * turn wrote in one go at the end of the turn. Streams are given to it only
 * once the peer's SETTINGS are in, so that its limit is never overrun.
 *
 * nghttp2's send and receive functions are never called from its callbacks;
 * submitting is allowed there. A handler may drop any stream, and with the
 * last one the channel and this connection: the receiving function holds a
 * reference and looks at c->ch.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "grpc_conn.h"

enum {
	RECV_SIZE = 32 << 10,
	RECV_ROUNDS = 4, /* then the other sockets' turn */
};

/* ----------------------------------------------------------- the socket */

static void conn_fail(struct grpc_conn *c, const char *why)
{
	struct grpc_channel *ch = mem_ref(c->ch);
	bool was_up = c->up;

	if (!ch)
		return;

	mem_ref(c);
	log_info(NULL, "grpc connection ended", "host=%s port=%u why=\"%s\"",
		 ch->host, ch->port, LOG_STR(why));
	grpc_conn_close(c);
	while (c->streaml.head) {
		struct grpc_stream *s = list_ledata(c->streaml.head);

		s->id = 0; /* nobody to tell */
		grpc_stream_end(s, GRPC_UNAVAILABLE, why);
	}
	if (was_up)
		grpc_channel_wake(ch);
	else
		grpc_channel_failed(ch, why);
	mem_deref(c);
	mem_deref(ch);
}

/* nghttp2 wants nothing any more: after GOAWAY and the last stream's end, or
 * after an error of the peer that it has told it */
static bool is_over(const struct grpc_conn *c)
{
	return !nghttp2_session_want_read(c->h2) &&
	       !nghttp2_session_want_write(c->h2);
}

static void flush_handler(void *arg)
{
	struct grpc_conn *c = arg;
	int err = 0, rv = 0;

	if (!c->ch || (!c->sock_up && !c->broken))
		return;

	if (!c->broken && !c->blocked) {
		rv = nghttp2_session_send(c->h2);
		err = c->blocked ? 0 : grpc_session_push(c);
	}

	if (c->broken)
		conn_fail(c, "out of memory");
	else if (rv)
		conn_fail(c, nghttp2_strerror(rv));
	else if (err && err != EAGAIN)
		conn_fail(c, strerror(err));
	else if (is_over(c))
		conn_fail(c,
			  c->draining ? "peer is going away" : "HTTP/2 error");
}

static void flush_later(struct grpc_conn *c)
{
	if (c->ch)
		loop_flush_later(c->ch->loop, &c->flush);
}

static void sendable_handler(void *arg)
{
	struct grpc_conn *c = arg;

	c->blocked = false;
	flush_handler(c);
}

static void readable_handler(void *arg)
{
	struct grpc_conn *c = mem_ref(arg);
	uint8_t buf[RECV_SIZE];
	const char *why = NULL;

	for (int i = 0; i < RECV_ROUNDS && c->ch && !why; i++) {
		size_t n = 0;
		int err = sock_recv(c->sock, buf, sizeof(buf), &n);
		ssize_t rv;

		if (err == EAGAIN)
			break;
		if (err) {
			why = strerror(err);
			break;
		}
		rv = nghttp2_session_mem_recv(c->h2, buf, n);
		if (rv < 0)
			why = nghttp2_strerror((int)rv);
	}

	if (why && c->ch)
		conn_fail(c, why);
	else
		flush_later(c);
	mem_deref(c);
}

/* ------------------------------------------------------------ life of it */

static void up_handler(void *arg)
{
	struct grpc_conn *c = arg;

	c->sock_up = true;
	flush_later(c);
}

static void failed_handler(const char *why, void *arg)
{
	conn_fail(arg, why);
}

static void timer_handler(void *arg)
{
	struct grpc_conn *c = arg;

	if (!c->up) {
		conn_fail(c, "no HTTP/2 answer");
	} else if (!c->streamc) {
		(void)nghttp2_session_terminate_session(c->h2,
							NGHTTP2_NO_ERROR);
		c->draining = true;
		flush_later(c);
	}
}

static void destructor(void *arg)
{
	struct grpc_conn *c = arg;

	grpc_conn_close(c);
	mem_deref(c->tmr);
	mem_deref(c->sock);
	nghttp2_session_del(c->h2);
}

int grpc_conn_alloc(struct grpc_channel *ch)
{
	static const struct sock_handlers handlers = {
		.uph = up_handler,
		.readh = readable_handler,
		.sendh = sendable_handler,
		.failh = failed_handler,
	};
	struct grpc_conn *c = mem_zalloc(sizeof(*c), destructor);
	int err;

	if (!c)
		return ENOMEM;

	c->flush.h = flush_handler;
	c->flush.arg = c;
	err = grpc_session_start(c);
	if (!err)
		err = tmr_alloc(&c->tmr, ch->loop, timer_handler, c);
	if (!err)
		err = sock_connect(&c->sock, ch->loop, ch->host, ch->port,
				   ch->tls, GRPC_CONNECT_MS, &handlers, c);
	if (err) {
		mem_deref(c);
		return err;
	}

	c->ch = ch;
	list_append(&ch->connl, &c->le, c);
	tmr_start(c->tmr, GRPC_CONNECT_MS);

	return 0;
}

void grpc_conn_close(struct grpc_conn *c)
{
	if (!c->ch)
		return;

	if (c->up)
		metrics_gauge(M_ASR_CONNECTIONS, -1);
	c->ch = NULL;
	c->up = false;
	tmr_cancel(c->tmr);
	list_unlink(&c->flush.le);
	c->sock = mem_deref(c->sock);
	if (c->le.list) {
		list_unlink(&c->le);
		mem_deref(c); /* the channel's */
	}
}

/* ------------------------------------------------------------- streams */

bool grpc_conn_has_room(const struct grpc_conn *c)
{
	return c->up && !c->draining && c->streamc < c->stream_max;
}

int grpc_conn_submit(struct grpc_conn *c, struct grpc_stream *s)
{
	int err = grpc_session_request(c, s);

	if (err)
		return err;

	s->conn = c;
	list_append(&c->streaml, &s->le, s);
	++c->streamc;
	tmr_cancel(c->tmr);
	flush_later(c);

	return 0;
}

void grpc_conn_resume(struct grpc_stream *s)
{
	struct grpc_conn *c = s->conn;

	if (!c || !s->id)
		return;

	if (s->deferred) {
		s->deferred = false;
		if (nghttp2_session_resume_data(c->h2, s->id) ==
		    NGHTTP2_ERR_NOMEM)
			c->broken = true;
	}
	flush_later(c);
}

/* Ended by both sides: no reset, or the peer counts it against us */
static bool is_closed(const struct grpc_stream *s)
{
	return s->peer_ended &&
	       nghttp2_session_get_stream_local_close(s->conn->h2, s->id) == 1;
}

void grpc_conn_detach(struct grpc_stream *s, uint32_t code)
{
	struct grpc_conn *c = s->conn;

	list_unlink(&s->le);
	if (!c)
		return;

	if (s->id) {
		(void)nghttp2_session_set_stream_user_data(c->h2, s->id, NULL);
		if (!is_closed(s) &&
		    nghttp2_submit_rst_stream(c->h2, NGHTTP2_FLAG_NONE, s->id,
					      code))
			c->broken = true;
		flush_later(c);
	}
	s->id = 0;
	s->conn = NULL;
	--c->streamc;
	if (!c->ch)
		return;

	if (!c->streamc)
		tmr_start(c->tmr, GRPC_IDLE_MS);
	if (c->ch->waitl.head)
		loop_flush_later(c->ch->loop, &c->ch->assign);
}

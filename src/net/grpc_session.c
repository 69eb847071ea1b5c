/**
 * @file grpc_session.c  What nghttp2 asks and is told, for one connection
 *
 * nghttp2 asks for what to send, which is gathered in the connection's buffer,
 * and tells what the peer has sent: all its callbacks are here. Whatever
 * becomes of the connection by that is for grpc_conn.c to do.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "grpc_conn.h"

enum {
	/* Wide open: what arrives is delivered at once, so a window costs
	 * nothing, and a stalled one can abort Axy (asr.md 1.5) */
	STREAM_WINDOW = 1 << 20,
	CONN_WINDOW = 16 << 20,
	DATA_FRAME = 9, /* head */
	HEADER_LIST = 16 << 10,
};

/* ------------------------------------------------------------- output */

int grpc_session_push(struct grpc_conn *c)
{
	int err = 0;

	while (c->outpos < c->outc && !err) {
		size_t n = 0;

		err = sock_send(c->sock, c->outv + c->outpos,
				c->outc - c->outpos, &n);
		if (!err)
			c->outpos += n;
	}

	memmove(c->outv, c->outv + c->outpos, c->outc - c->outpos);
	c->outc -= c->outpos;
	c->outpos = 0;
	c->blocked = err == EAGAIN;

	return err;
}

/* Make room for n bytes */
static int out_room(struct grpc_conn *c, size_t n)
{
	if (sizeof(c->outv) - c->outc >= n)
		return 0;
	if (!c->blocked) {
		int err = grpc_session_push(c);

		if (err && err != EAGAIN)
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}

	return sizeof(c->outv) - c->outc >= n ? 0 : NGHTTP2_ERR_WOULDBLOCK;
}

static ssize_t send_handler(nghttp2_session *h2, const uint8_t *p, size_t n,
			    int flags, void *arg)
{
	struct grpc_conn *c = arg;
	int rv;

	(void)h2;
	(void)flags;
	n = MIN(n, sizeof(c->outv));
	rv = out_room(c, n);
	if (rv)
		return rv;

	memcpy(c->outv + c->outc, p, n);
	c->outc += n;

	return (ssize_t)n;
}

static struct grpc_stream *stream_of(nghttp2_session *h2, int32_t id)
{
	return nghttp2_session_get_stream_user_data(h2, id);
}

/* How much of a stream goes into the next DATA frame; it is copied straight
 * from the stream's buffer by send_data_handler() */
static ssize_t data_handler(nghttp2_session *h2, int32_t id, uint8_t *buf,
			    size_t max, uint32_t *flags,
			    nghttp2_data_source *source, void *arg)
{
	struct grpc_stream *s = stream_of(h2, id);
	size_t n;

	(void)buf;
	(void)source;
	(void)arg;
	if (!s) /* dropped; its RST_STREAM is on the way */
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;

	n = MIN(max, s->tail - s->head);
	if (!n && !s->finished) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}

	*flags |= NGHTTP2_DATA_FLAG_NO_COPY;
	if (s->finished && n == s->tail - s->head)
		*flags |= NGHTTP2_DATA_FLAG_EOF;

	return (ssize_t)n;
}

static int send_data_handler(nghttp2_session *h2, nghttp2_frame *frame,
			     const uint8_t *head, size_t n,
			     nghttp2_data_source *source, void *arg)
{
	struct grpc_stream *s = stream_of(h2, frame->hd.stream_id);
	struct grpc_conn *c = arg;
	int rv;

	(void)source;
	if (!s)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;

	rv = out_room(c, DATA_FRAME + n);
	if (rv)
		return rv;

	memcpy(c->outv + c->outc, head, DATA_FRAME);
	memcpy(c->outv + c->outc + DATA_FRAME, s->buf + s->head, n);
	c->outc += DATA_FRAME + n;
	s->head += n;

	return 0;
}

/* -------------------------------------------------------------- input */

static int begin_headers_handler(nghttp2_session *h2,
				 const nghttp2_frame *frame, void *arg)
{
	struct grpc_stream *s = stream_of(h2, frame->hd.stream_id);

	(void)arg;
	if (s)
		s->status = -1;

	return 0;
}

static bool is_header(const uint8_t *name, size_t n, const char *want)
{
	return n == strlen(want) && !memcmp(name, want, n);
}

static int header_handler(nghttp2_session *h2, const nghttp2_frame *frame,
			  const uint8_t *name, size_t namec,
			  const uint8_t *value, size_t valuec, uint8_t flags,
			  void *arg)
{
	struct grpc_stream *s = stream_of(h2, frame->hd.stream_id);
	const char *v = (const char *)value;
	char text[GRPC_TEXT_MAX];

	(void)flags;
	(void)arg;
	if (!s)
		return 0;

	if (is_header(name, namec, ":status")) {
		/* nghttp2 has checked that it is three digits */
		s->http = (v[0] - '0') * 100 + (v[1] - '0') * 10 + v[2] - '0';
	} else if (is_header(name, namec, "content-type")) {
		s->is_grpc = str_starts(v, "application/grpc");
	} else if (is_header(name, namec, "grpc-status")) {
		s->status = grpc_status_parse(v, valuec);
	} else if (is_header(name, namec, "grpc-message")) {
		(void)grpc_message_decode(text, sizeof(text), v, valuec);
		s->message = mem_deref(s->message);
		if (str_dup(&s->message, text))
			s->message = NULL; /* the status is enough */
	}

	return 0;
}

/* The peer has ended the stream: trailers, trailers only, or just the end */
static void end_of_stream(struct grpc_stream *s)
{
	char text[64] = "";
	int status = s->status;

	s->peer_ended = true;
	if (status < 0) {
		status = grpc_status_of_http(s->http);
		(void)snprintf(text, sizeof(text),
			       "no grpc-status, HTTP status %d", s->http);
	} else if (status == GRPC_OK && grpc_frame_is_partial(&s->frame)) {
		status = GRPC_INTERNAL;
		str_copy(text, sizeof(text), "message cut short");
	} else if (s->message) {
		grpc_stream_end(s, status, s->message);
		return;
	}

	grpc_stream_end(s, status, text);
}

/* First header block of a stream that goes on: is it gRPC at all? */
static void check_response(struct grpc_stream *s)
{
	char text[64];

	if (s->http / 100 == 1)
		return;

	if (s->http != 200) {
		(void)snprintf(text, sizeof(text), "HTTP status %d", s->http);
		grpc_stream_end(s, grpc_status_of_http(s->http), text);
	} else if (!s->is_grpc) {
		grpc_stream_end(s, GRPC_UNKNOWN,
				"answer is not gRPC (content-type)");
	}
}

static void settings_received(struct grpc_conn *c)
{
	c->stream_max = nghttp2_session_get_remote_settings(
		c->h2, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
	c->stream_max = MIN(c->stream_max, GRPC_STREAMS_MAX);
	c->ch->stream_max = c->stream_max;
	if (!c->up) {
		c->up = true;
		metrics_gauge(M_ASR_CONNECTIONS, 1);
		tmr_start(c->tmr, GRPC_IDLE_MS);
		log_debug(NULL, "grpc connection up",
			  "host=%s port=%u streams=%u", c->ch->host,
			  c->ch->port, c->stream_max);
	}
	loop_flush_later(c->ch->loop, &c->ch->assign);
}

static int frame_handler(nghttp2_session *h2, const nghttp2_frame *frame,
			 void *arg)
{
	struct grpc_stream *s = stream_of(h2, frame->hd.stream_id);
	bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
	struct grpc_conn *c = arg;

	if (!c->ch)
		return 0;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		if (!(frame->hd.flags & NGHTTP2_FLAG_ACK))
			settings_received(c);
		break;
	case NGHTTP2_GOAWAY:
		c->draining = true;
		loop_flush_later(c->ch->loop, &c->ch->assign);
		break;
	case NGHTTP2_HEADERS:
		if (s && end)
			end_of_stream(s);
		else if (s)
			check_response(s);
		break;
	case NGHTTP2_DATA:
		if (s && end)
			end_of_stream(s);
		break;
	default:
		break;
	}

	return 0;
}

/* A stream that was dropped in its own handler is held by data_chunk_handler()
 * alone */
static bool message_handler(const uint8_t *p, size_t n, void *arg)
{
	struct grpc_stream *s = arg;

	s->msgh(p, n, s->arg);

	return mem_nrefs(s) > 1 && !s->ended;
}

static int data_chunk_handler(nghttp2_session *h2, uint8_t flags, int32_t id,
			      const uint8_t *p, size_t n, void *arg)
{
	struct grpc_stream *s = mem_ref(stream_of(h2, id));
	int err;

	(void)flags;
	(void)arg;
	if (!s)
		return 0;

	err = grpc_frame_feed(&s->frame, p, n, message_handler, s);
	if (mem_nrefs(s) > 1 && err == EPROTO)
		grpc_stream_end(s, GRPC_INTERNAL, "compressed message");
	else if (mem_nrefs(s) > 1 && err == EOVERFLOW)
		grpc_stream_end(s, GRPC_RESOURCE_EXHAUSTED,
				"message too long");
	else if (mem_nrefs(s) > 1 && err == ENOMEM)
		grpc_stream_end(s, GRPC_RESOURCE_EXHAUSTED, "out of memory");
	mem_deref(s);

	return 0;
}

static int frame_sent_handler(nghttp2_session *h2, const nghttp2_frame *frame,
			      void *arg)
{
	struct grpc_stream *s = stream_of(h2, frame->hd.stream_id);

	(void)arg;
	if (s && frame->hd.type == NGHTTP2_HEADERS)
		s->sent = true;

	return 0;
}

/* Closed without an end from the peer: reset, refused, or never sent because
 * of a GOAWAY. nghttp2 closes streams above GOAWAY's last id as refused. */
static int stream_close_handler(nghttp2_session *h2, int32_t id, uint32_t code,
				void *arg)
{
	struct grpc_stream *s = stream_of(h2, id);
	char text[64];

	(void)arg;
	if (!s)
		return 0;

	(void)snprintf(text, sizeof(text), "stream reset: %s",
		       nghttp2_http2_strerror(code));
	s->id = 0; /* closed already */
	grpc_stream_end(
		s, s->sent ? grpc_status_of_h2(code) : GRPC_UNAVAILABLE, text);

	return 0;
}

/* ------------------------------------------------------------- session */

static void *h2_malloc(size_t n, void *arg)
{
	(void)arg;
	return mem_raw_malloc(n);
}

static void h2_free(void *p, void *arg)
{
	(void)arg;
	mem_raw_free(p);
}

static void *h2_calloc(size_t n, size_t size, void *arg)
{
	(void)arg;
	return mem_raw_calloc(n, size);
}

static void *h2_realloc(void *p, size_t size, void *arg)
{
	(void)arg;
	return mem_raw_realloc(p, size);
}

static int session_alloc(struct grpc_conn *c)
{
	nghttp2_mem mem = {NULL, h2_malloc, h2_free, h2_calloc, h2_realloc};
	nghttp2_session_callbacks *cb = NULL;
	nghttp2_option *opt = NULL;
	int rv = NGHTTP2_ERR_NOMEM;

	if (nghttp2_session_callbacks_new(&cb) || nghttp2_option_new(&opt))
		goto out;

	nghttp2_session_callbacks_set_send_callback(cb, send_handler);
	nghttp2_session_callbacks_set_send_data_callback(cb,
							 send_data_handler);
	nghttp2_session_callbacks_set_on_begin_headers_callback(
		cb, begin_headers_handler);
	nghttp2_session_callbacks_set_on_header_callback(cb, header_handler);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb,
							     frame_handler);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
		cb, data_chunk_handler);
	nghttp2_session_callbacks_set_on_frame_send_callback(
		cb, frame_sent_handler);
	nghttp2_session_callbacks_set_on_stream_close_callback(
		cb, stream_close_handler);
	/* closed streams are kept for a priority tree nobody uses */
	nghttp2_option_set_no_closed_streams(opt, 1);
	rv = nghttp2_session_client_new3(&c->h2, cb, c, opt, &mem);

out:
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(opt);

	return rv ? ENOMEM : 0;
}

int grpc_session_start(struct grpc_conn *c)
{
	const nghttp2_settings_entry iv[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HEADER_LIST},
	};
	int err = session_alloc(c);

	if (err)
		return err;

	if (nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, iv,
				    ARRAY_SIZE(iv)) ||
	    nghttp2_session_set_local_window_size(c->h2, NGHTTP2_FLAG_NONE, 0,
						  CONN_WINDOW))
		err = ENOMEM;

	return err;
}

/* ------------------------------------------------------------ requests */

static nghttp2_nv nv(const char *name, const char *value)
{
	return (nghttp2_nv){
		.name = (uint8_t *)(uintptr_t)name,
		.value = (uint8_t *)(uintptr_t)value,
		.namelen = strlen(name),
		.valuelen = strlen(value),
	};
}

int grpc_session_request(struct grpc_conn *c, struct grpc_stream *s)
{
	const nghttp2_data_provider data = {.read_callback = data_handler};
	nghttp2_nv nvv[7 + GRPC_METADATA_MAX];
	size_t nvc = 0;

	nvv[nvc++] = nv(":method", "POST");
	nvv[nvc++] = nv(":scheme", c->ch->tls ? "https" : "http");
	nvv[nvc++] = nv(":path", s->path);
	nvv[nvc++] = nv(":authority", c->ch->authority);
	nvv[nvc++] = nv("te", "trailers");
	nvv[nvc++] = nv("content-type", "application/grpc");
	nvv[nvc++] = nv("user-agent", "grpc-c-convod/" CONVOD_VERSION);
	for (size_t i = 0; i < s->metadatac; i++)
		nvv[nvc++] = nv(s->metadatav[i],
				s->metadatav[i] + strlen(s->metadatav[i]) + 1);

	s->id = nghttp2_submit_request(c->h2, NULL, nvv, nvc, &data, s);
	if (s->id < 0) {
		c->draining = s->id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE;
		s->id = 0;
		return ENOMEM;
	}

	return 0;
}

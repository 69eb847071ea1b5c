/**
 * @file h2peer.h  An HTTP/2 server in the test's own thread, for the faults
 * that a real gRPC server cannot be made to show
 */
#ifndef CONVOD_TEST_H2PEER_H
#define CONVOD_TEST_H2PEER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <nghttp2/nghttp2.h>
#include "test.h"

enum { H2_CONNS = 128, H2_STREAMS = 256, H2_BUF = 1 << 17 };

struct h2stream {
	int conn;
	int32_t id;
	char path[64], te[16], type[32], meta[32];
	size_t bytes;
	bool ended; /* by the client */
	bool reset;
	uint32_t code;
};

struct h2conn {
	int fd;
	nghttp2_session *h2;
	struct h2peer *peer;
	bool over;
};

struct h2peer {
	int fd;
	uint16_t port;
	uint32_t max_streams; /* 0: none told */
	bool silent;          /* accepts and says nothing       */
	bool trickle;         /* sends byte by byte             */
	bool stalled;         /* never opens its window         */
	const char *greeting; /* instead of HTTP/2              */
	struct h2conn connv[H2_CONNS];
	int connc;
	struct h2stream streamv[H2_STREAMS];
	int streamc;
	uint8_t data[H2_BUF]; /* of the DATA frame being sent */
	size_t datac;
};

static inline struct h2stream *h2_find(struct h2conn *c, int32_t id)
{
	struct h2peer *p = c->peer;

	for (int i = 0; i < p->streamc; i++) {
		if (&p->connv[p->streamv[i].conn] == c &&
		    p->streamv[i].id == id)
			return &p->streamv[i];
	}

	return NULL;
}

static inline int h2_begin(nghttp2_session *h2, const nghttp2_frame *f,
			   void *arg)
{
	struct h2conn *c = arg;
	struct h2peer *p = c->peer;

	(void)h2;
	if (f->hd.type == NGHTTP2_HEADERS && p->streamc < H2_STREAMS)
		p->streamv[p->streamc++] = (struct h2stream){
			.conn = (int)(c - p->connv), .id = f->hd.stream_id};

	return 0;
}

static inline int h2_header(nghttp2_session *h2, const nghttp2_frame *f,
			    const uint8_t *name, size_t namec,
			    const uint8_t *value, size_t valuec, uint8_t flags,
			    void *arg)
{
	struct h2stream *s = h2_find(arg, f->hd.stream_id);
	const char *n = (const char *)name, *v = (const char *)value;

	(void)h2;
	(void)namec;
	(void)valuec;
	(void)flags;
	if (!strcmp(n, ":path"))
		(void)snprintf(s->path, sizeof(s->path), "%s", v);
	else if (!strcmp(n, "te"))
		(void)snprintf(s->te, sizeof(s->te), "%s", v);
	else if (!strcmp(n, "content-type"))
		(void)snprintf(s->type, sizeof(s->type), "%s", v);
	else if (!strcmp(n, "x-meta"))
		(void)snprintf(s->meta, sizeof(s->meta), "%s", v);

	return 0;
}

static inline int h2_frame(nghttp2_session *h2, const nghttp2_frame *f,
			   void *arg)
{
	struct h2stream *s = h2_find(arg, f->hd.stream_id);

	(void)h2;
	if (!s)
		return 0;
	if (f->hd.type == NGHTTP2_RST_STREAM) {
		s->reset = true;
		s->code = f->rst_stream.error_code;
	} else if (f->hd.type == NGHTTP2_DATA &&
		   f->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		s->ended = true;
	}

	return 0;
}

static inline int h2_chunk(nghttp2_session *h2, uint8_t flags, int32_t id,
			   const uint8_t *p, size_t n, void *arg)
{
	struct h2stream *s = h2_find(arg, id);

	(void)h2;
	(void)flags;
	(void)p;
	if (s)
		s->bytes += n;

	return 0;
}

static inline void h2_start(struct h2peer *p)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);

	p->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_true(p->fd >= 0);
	assert_int_equal(bind(p->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(p->fd, 128), 0);
	assert_int_equal(getsockname(p->fd, (struct sockaddr *)&sa, &len), 0);
	p->port = ntohs(sa.sin_port);
}

static inline void h2_conn_close(struct h2conn *c)
{
	if (c->fd < 0)
		return;
	nghttp2_session_del(c->h2);
	c->h2 = NULL;
	close(c->fd);
	c->fd = -1;
}

static inline void h2_stop(struct h2peer *p)
{
	for (int i = 0; i < p->connc; i++)
		h2_conn_close(&p->connv[i]);
	close(p->fd);
}

static inline void h2_session(struct h2conn *c)
{
	nghttp2_settings_entry iv = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS,
				     c->peer->max_streams};
	nghttp2_session_callbacks *cb;
	nghttp2_option *opt;

	assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
	assert_int_equal(nghttp2_option_new(&opt), 0);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb, h2_begin);
	nghttp2_session_callbacks_set_on_header_callback(cb, h2_header);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb, h2_frame);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb,
								  h2_chunk);
	nghttp2_option_set_no_auto_window_update(opt, c->peer->stalled);
	assert_int_equal(nghttp2_session_server_new2(&c->h2, cb, c, opt), 0);
	nghttp2_session_callbacks_del(cb);
	nghttp2_option_del(opt);
	nghttp2_submit_settings(c->h2, 0, &iv, c->peer->max_streams ? 1 : 0);
}

static inline void h2_accept(struct h2peer *p)
{
	int fd = accept4(p->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct h2conn *c = &p->connv[p->connc];

	if (fd < 0)
		return;

	assert_true(p->connc < H2_CONNS);
	++p->connc;
	*c = (struct h2conn){.fd = fd, .peer = p};
	if (p->greeting)
		assert_true(write(fd, p->greeting, strlen(p->greeting)) > 0);
	else if (!p->silent)
		h2_session(c);
}

static inline void h2_serve_conn(struct h2conn *c)
{
	struct h2peer *p = c->peer;
	static uint8_t buf[H2_BUF];
	const uint8_t *out;
	ssize_t n;

	n = recv(c->fd, buf, sizeof(buf), 0);
	if (!n || (n < 0 && errno != EAGAIN)) {
		h2_conn_close(c);
		return;
	}
	if (!c->h2)
		return;
	if (n > 0 && nghttp2_session_mem_recv(c->h2, buf, (size_t)n) < 0) {
		h2_conn_close(c);
		return;
	}
	while ((n = nghttp2_session_mem_send(c->h2, &out)) > 0) {
		for (ssize_t i = 0; i < n;) {
			ssize_t rc = send(c->fd, out + i,
					  (size_t)(p->trickle ? 1 : n - i),
					  MSG_NOSIGNAL);

			if (rc < 0)
				break;
			i += rc;
		}
	}
}

/** Accept, receive and send what is there */
static inline void h2_serve(struct h2peer *p)
{
	h2_accept(p);
	for (int i = 0; i < p->connc; i++) {
		if (p->connv[i].fd >= 0)
			h2_serve_conn(&p->connv[i]);
	}
}

static inline nghttp2_session *h2_of(struct h2peer *p, int i)
{
	return p->connv[p->streamv[i].conn].h2;
}

static inline nghttp2_nv h2_nv(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name,
			    (uint8_t *)(uintptr_t)value, strlen(name),
			    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

/** Response or trailers; any of the values may be NULL */
static inline void h2_headers(struct h2peer *p, int i, const char *status,
			      const char *type, const char *grpc_status,
			      const char *grpc_message, bool end)
{
	nghttp2_nv nvv[4];
	size_t n = 0;

	if (status)
		nvv[n++] = h2_nv(":status", status);
	if (type)
		nvv[n++] = h2_nv("content-type", type);
	if (grpc_status)
		nvv[n++] = h2_nv("grpc-status", grpc_status);
	if (grpc_message)
		nvv[n++] = h2_nv("grpc-message", grpc_message);
	assert_true(nghttp2_submit_headers(
			    h2_of(p, i), end ? NGHTTP2_FLAG_END_STREAM : 0,
			    p->streamv[i].id, NULL, nvv, n, NULL) >= 0);
	h2_serve(p);
}

static inline void h2_ok(struct h2peer *p, int i)
{
	h2_headers(p, i, "200", "application/grpc", NULL, NULL, false);
}

static inline ssize_t h2_read(nghttp2_session *h2, int32_t id, uint8_t *buf,
			      size_t max, uint32_t *flags,
			      nghttp2_data_source *source, void *arg)
{
	struct h2peer *p = source->ptr;
	size_t n = MIN(max, p->datac);

	(void)h2;
	(void)id;
	(void)arg;
	memcpy(buf, p->data, n);
	memmove(p->data, p->data + n, p->datac - n);
	p->datac -= n;
	if (!p->datac)
		*flags |= NGHTTP2_DATA_FLAG_EOF;

	return (ssize_t)n;
}

/** Raw bytes in DATA frames of their own */
static inline void h2_data(struct h2peer *p, int i, const void *v, size_t n,
			   bool end)
{
	nghttp2_data_provider prd = {{.ptr = p}, h2_read};

	assert_true(n <= sizeof(p->data));
	memcpy(p->data, v, n);
	p->datac = n;
	assert_int_equal(nghttp2_submit_data(h2_of(p, i),
					     end ? NGHTTP2_FLAG_END_STREAM : 0,
					     p->streamv[i].id, &prd),
			 0);
	h2_serve(p);
}

static inline void h2_rst(struct h2peer *p, int i, uint32_t code)
{
	assert_int_equal(nghttp2_submit_rst_stream(h2_of(p, i), 0,
						   p->streamv[i].id, code),
			 0);
	h2_serve(p);
}

#endif

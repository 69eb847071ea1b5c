/**
 * @file httpd_fixture.h  A server, and a raw client that can send odd bytes
 *
 * Both in one loop, over real sockets on free ports.
 */
#ifndef CONVOD_HTTPD_FIXTURE_H
#define CONVOD_HTTPD_FIXTURE_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <convod/clk.h>
#include <convod/httpd.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "test.h"

enum { WAIT_MS = 60000, BIG = 200000 };

#define UPGRADE_TO(target)                                 \
	"GET " target " HTTP/1.1\r\nHost: bot.example\r\n" \
	"Connection: Upgrade\r\nUpgrade: websocket\r\n"    \
	"Sec-WebSocket-Version: 13\r\n"                    \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"  \
	"X-Twilio-Signature: sig+/=\r\n\r\n"

struct fixture {
	struct loop *loop;
	struct httpd *httpd;
	struct acceptor *acceptor;
	struct tmr *tmr; /* keeps the turns short */

	/* what the handlers shall do */
	int status; /* of upgrades; 0: 101 */
	bool no_worker;
	bool echo;
	int close_on_text; /* code */

	/* what they saw */
	struct ws *ws;
	int picks, requests, upgrades, opens, texts, binaries, drains, closes;
	int code, fault;
	enum httpd_port port;
	bool tls, exact;
	char target[256], signature[64], body[128];
	char text[256];
	size_t textc, bodyc, binaryc;
};

/* --------------------------------------------------------------- server */

static inline void open_handler(void *arg)
{
	struct fixture *f = arg;

	++f->opens;
}

static inline void text_handler(const char *msg, size_t len, void *arg)
{
	struct fixture *f = arg;
	static char buf[WS_PRE_BYTES + WS_MESSAGE_MAX];

	++f->texts;
	f->textc = len;
	memcpy(f->text, msg, MIN(len, sizeof(f->text)));
	if (f->echo) {
		memcpy(buf + WS_PRE_BYTES, msg, len);
		assert_int_equal(ws_send_text(f->ws, buf + WS_PRE_BYTES, len),
				 0);
	}
	if (f->close_on_text)
		ws_close(f->ws, f->close_on_text, "enough");
}

static inline void binary_handler(size_t len, void *arg)
{
	struct fixture *f = arg;

	++f->binaries;
	f->binaryc = len;
}

static inline void drain_handler(void *arg)
{
	struct fixture *f = arg;

	++f->drains;
}

static inline void close_handler(int code, void *arg)
{
	struct fixture *f = arg;

	++f->closes;
	f->code = code;
	f->ws = NULL;
}

static inline void fault_handler(int code, void *arg)
{
	struct fixture *f = arg;

	assert_non_null(f->ws);
	f->fault = code;
}

static inline int upgrade_handler(struct ws *ws, const struct http_head *head,
				  void *arg)
{
	static const struct ws_handlers handlers = {
		open_handler,  text_handler,  binary_handler,
		drain_handler, close_handler, fault_handler};
	struct fixture *f = arg;

	++f->upgrades;
	f->tls = head->tls;
	f->exact = head->target_exact;
	f->port = head->port;
	str_copy(f->target, sizeof(f->target), head->target);
	(void)http_head_get(head, "x-twilio-signature", f->signature,
			    sizeof(f->signature));
	if (f->status)
		return f->status;

	f->ws = ws;
	ws_accept(ws, &handlers, f);
	return 101;
}

static inline void request_handler(const struct http_head *head,
				   const char *body, size_t bodyc,
				   struct http_answer *answer, void *arg)
{
	struct fixture *f = arg;

	++f->requests;
	f->port = head->port;
	f->tls = head->tls;
	f->exact = head->target_exact;
	f->bodyc = bodyc;
	str_copy(f->target, sizeof(f->target), head->target);
	str_copy(f->body, sizeof(f->body), body);
	if (!strcmp(head->target, "/big")) {
		answer->status = 200;
		answer->body = mem_zalloc(BIG + 1, NULL);
		memset(answer->body, 'z', BIG);
		return;
	}
	answer->status = 200;
	answer->content_type = "text/plain";
	if (str_dup(&answer->body, "hello"))
		answer->body = NULL;
}

static inline struct httpd *pick_handler(const struct http_head *head,
					 void *arg)
{
	struct fixture *f = arg;

	(void)head;
	++f->picks;
	return f->no_worker ? NULL : f->httpd;
}

static inline void tmr_handler(void *arg)
{
	struct fixture *f = arg;

	tmr_start(f->tmr, 2);
}

static inline void or_long(uint32_t *ms)
{
	if (!*ms)
		*ms = WAIT_MS;
}

/** @param hp Certificate, and the time limits that a test waits for: all
 *            others are longer than it waits */
static inline struct fixture *setup_with(struct httpd_param hp)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct acceptor_param ap = {.host = "127.0.0.1",
				    .admin_host = "127.0.0.1",
				    .admin = true,
				    .tls = hp.tls_cert != NULL,
				    .pickh = pick_handler,
				    .arg = f};

	hp.requesth = request_handler;
	hp.upgradeh = upgrade_handler;
	hp.arg = f;
	or_long(&hp.head_ms);
	or_long(&hp.linger_ms);
	or_long(&hp.ws_stuck_ms);
	or_long(&hp.ws_ping_ms);
	or_long(&hp.ws_close_ms);
	ap.head_ms = hp.head_ms;
	ap.linger_ms = hp.linger_ms;
	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(tmr_alloc(&f->tmr, f->loop, tmr_handler, f), 0);
	assert_int_equal(httpd_alloc(&f->httpd, f->loop, &hp), 0);
	assert_int_equal(acceptor_alloc(&f->acceptor, f->loop, &ap, NULL), 0);
	tmr_start(f->tmr, 0);

	return f;
}

static inline struct fixture *setup(void)
{
	return setup_with((struct httpd_param){0});
}

static inline void teardown(struct fixture *f)
{
	mem_deref(f->acceptor);
	httpd_close(f->httpd);
	assert_int_equal(f->closes, f->upgrades - (f->status ? 1 : 0));
	mem_deref(f->httpd);
	mem_deref(f->tmr);
	mem_deref(f->loop);
	free(f);
}

static inline void turn(struct fixture *f)
{
	loop_turn(f->loop, true);
}

#define WAIT_FOR(f, cond)                                           \
	do {                                                        \
		uint64_t end_ = clk_now_ms() + WAIT_MS;             \
		while (!(cond)) {                                   \
			if (clk_now_ms() > end_)                    \
				fail_msg("waited in vain: " #cond); \
			turn(f);                                    \
		}                                                   \
	} while (0)

/* --------------------------------------------------------------- client */

struct client {
	struct fixture *f;
	int fd;
	bool eof;
	int err;
	bool one_by_one; /* sends one byte a segment */
	size_t n;
	char buf[256 * 1024];
};

static inline struct client *client_to(struct fixture *f, enum httpd_port port)
{
	struct sockaddr_in sin = {
		.sin_family = AF_INET,
		.sin_port = htons(acceptor_port(f->acceptor, port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct client *c = calloc(1, sizeof(*c));
	int on = 1;

	c->f = f;
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(c->fd >= 0);
	assert_int_equal(connect(c->fd, (struct sockaddr *)&sin, sizeof(sin)),
			 0);
	assert_int_equal(fcntl(c->fd, F_SETFL, O_NONBLOCK), 0);
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));

	return c;
}

static inline struct client *client(struct fixture *f)
{
	return client_to(f, HTTPD_PUBLIC);
}

static inline void client_free(struct client *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c);
}

static inline void put(struct client *c, const void *p, size_t n)
{
	const char *s = p;
	uint64_t end = clk_now_ms() + WAIT_MS;

	while (n) {
		ssize_t k = send(c->fd, s, c->one_by_one ? 1 : n,
				 MSG_NOSIGNAL);

		if (k < 0 && errno != EAGAIN)
			return; /* the test looks at what came back */
		assert_true(clk_now_ms() < end);
		if (k < 0) {
			turn(c->f);
			continue;
		}
		s += k;
		n -= k;
		if (c->one_by_one && n % 8 == 0)
			turn(c->f);
	}
}

static inline void puts_(struct client *c, const char *s)
{
	put(c, s, strlen(s));
}

static inline void pump(struct client *c)
{
	turn(c->f);
	while (c->n < sizeof(c->buf) - 1) {
		ssize_t n = recv(c->fd, c->buf + c->n,
				 sizeof(c->buf) - 1 - c->n, 0);

		if (n > 0) {
			c->n += n;
			continue;
		}
		if (!n)
			c->eof = true;
		else if (errno != EAGAIN)
			c->err = errno;
		break;
	}
	c->buf[c->n] = '\0';
}

#define PUMP_UNTIL(c, cond)                                       \
	do {                                                      \
		uint64_t end_ = clk_now_ms() + WAIT_MS;           \
		while (!(cond)) {                                 \
			if (clk_now_ms() > end_)                  \
				fail_msg("waited in vain: " #cond \
					 ", got %zu: %.80s",      \
					 (c)->n, (c)->buf);       \
			pump(c);                                  \
		}                                                 \
	} while (0)

/** Wait for a status line and the end of the stream, not for a reset */
static inline void expect_status(struct client *c, int status)
{
	char want[32];

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(c->err, 0);
	if (!str_starts(c->buf, want))
		fail_msg("%d wanted, got %.80s", status, c->buf);
}

/** Masked frame; the mask is not zero, so that unmasking shows */
static inline void put_frame(struct client *c, int first, const void *p,
			     size_t n)
{
	static const uint8_t mask[4] = {0x11, 0x22, 0x83, 0xf4};
	const uint8_t *src = p;
	uint8_t *b = malloc(n + 14);
	size_t k = 0;

	b[k++] = first;
	if (n < 126) {
		b[k++] = 0x80 | n;
	} else if (n < 65536) {
		b[k++] = 0x80 | 126;
		b[k++] = n >> 8;
		b[k++] = n & 0xff;
	} else {
		b[k++] = 0x80 | 127;
		for (int i = 7; i >= 0; i--)
			b[k++] = (uint64_t)n >> (8 * i);
	}
	memcpy(b + k, mask, 4);
	k += 4;
	for (size_t i = 0; i < n; i++)
		b[k++] = src[i] ^ mask[i & 3];
	put(c, b, k);
	free(b);
}

enum {
	FIN = 0x80,
	CONT = 0,
	TEXT = 1,
	BIN = 2,
	CLOSE = 8,
	PING = 9,
	PONG = 10
};

static inline void put_text(struct client *c, const char *s)
{
	put_frame(c, FIN | TEXT, s, strlen(s));
}

/** A frame of the server at the front of the buffer; 0 if none is whole */
static inline size_t frame_at(const char *buf, size_t n, int *first,
			      const char **p, size_t *len)
{
	const uint8_t *b = (const uint8_t *)buf;
	size_t head = 2;

	if (n < 2)
		return 0;
	assert_false(b[1] & 0x80); /* servers do not mask */
	*len = b[1];
	if (*len == 126) {
		if (n < 4)
			return 0;
		*len = b[2] << 8 | b[3];
		head = 4;
	} else if (*len == 127) {
		if (n < 10)
			return 0;
		*len = (size_t)b[6] << 24 | b[7] << 16 | b[8] << 8 | b[9];
		head = 10;
	}
	if (n < head + *len)
		return 0;
	*first = b[0];
	*p = buf + head;

	return head + *len;
}

static inline void take(struct client *c, size_t n)
{
	memmove(c->buf, c->buf + n, c->n - n);
	c->n -= n;
	c->buf[c->n] = '\0';
}

/** Wait for a frame, leaving out pings if another is wanted */
static inline void expect_frame(struct client *c, int want, const void *p,
				size_t n)
{
	int first = 0;
	const char *q = NULL;
	size_t len = 0, size;

	for (;;) {
		PUMP_UNTIL(c,
			   (size = frame_at(c->buf, c->n, &first, &q, &len)) ||
				   c->eof || c->err);
		if (!size)
			fail_msg("end of stream instead of a frame");
		if (first != (FIN | PING) || want == (FIN | PING))
			break;
		take(c, size);
	}
	assert_int_equal(first, want);
	if (p) {
		assert_int_equal(len, n);
		assert_memory_equal(q, p, n);
	}
	take(c, size);
}

static inline void expect_close(struct client *c, int code)
{
	uint8_t want[2] = {code >> 8, code & 0xff};
	int first = 0;
	const char *q = NULL;
	size_t len = 0, size;

	for (;;) {
		PUMP_UNTIL(c,
			   (size = frame_at(c->buf, c->n, &first, &q, &len)) ||
				   c->eof || c->err);
		assert_true(size > 0);
		if (first == (FIN | CLOSE))
			break;
		take(c, size);
	}
	assert_true(len >= 2);
	assert_memory_equal(q, want, 2);
	take(c, size);
}

static inline struct client *ws_client(struct fixture *f)
{
	struct client *c = client(f);
	char *end;

	puts_(c, UPGRADE_TO("/convo"));
	PUMP_UNTIL(c, (end = strstr(c->buf, "\r\n\r\n")));
	assert_true(str_starts(c->buf, "HTTP/1.1 101 "));
	assert_non_null(strstr(c->buf, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
	assert_null(strstr(c->buf, "Sec-WebSocket-Extensions"));
	take(c, end + 4 - c->buf);

	return c;
}

#endif

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <convod/loop.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "test.h"

/* ------------------------------------- a raw server, one script a thread */

struct server;
typedef void(script_h)(struct server *s);

struct server {
	int lfd, fd;
	uint16_t port;
	pthread_t thread;
	script_h *script;
	SSL_CTX *ctx;
	SSL *ssl;
	char head[4096];
};

static ssize_t peer_read(struct server *s, void *p, size_t n)
{
	return s->ssl ? SSL_read(s->ssl, p, (int)n) : recv(s->fd, p, n, 0);
}

static void peer_write(struct server *s, const void *p, size_t n)
{
	if (s->ssl)
		(void)SSL_write(s->ssl, p, (int)n);
	else
		(void)!send(s->fd, p, n, MSG_NOSIGNAL);
}

static bool read_exactly(struct server *s, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t r = peer_read(s, p, n);

		if (r <= 0)
			return false;
		p += r;
		n -= (size_t)r;
	}
	return true;
}

static void read_head(struct server *s)
{
	size_t n = 0;

	while (n + 1 < sizeof(s->head) && !strstr(s->head, "\r\n\r\n") &&
	       read_exactly(s, (uint8_t *)s->head + n, 1))
		s->head[++n] = '\0';
}

static void upgrade(struct server *s, const char *more)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	char key[128] = "", accept[64], resp[512];
	uint8_t md[SHA_DIGEST_LENGTH];
	const char *p;
	int n;

	read_head(s);
	p = strstr(s->head, "Sec-WebSocket-Key: ");
	if (!p)
		return;
	n = snprintf(key, sizeof(key), "%.24s%s", p + 19, guid);
	SHA1((uint8_t *)key, (size_t)n, md);
	accept[base64_encode(accept, md, sizeof(md))] = '\0';
	n = snprintf(resp, sizeof(resp),
		     "HTTP/1.1 101 Switching Protocols\r\n"
		     "Upgrade: websocket\r\nConnection: Upgrade\r\n%s"
		     "Sec-WebSocket-Accept: %s\r\n\r\n",
		     more, accept);
	peer_write(s, resp, (size_t)n);
}

/* A whole frame of the client, unmasked; opcode, or -1 */
static int read_frame(struct server *s, uint8_t *buf, size_t *lenp)
{
	uint8_t head[2], ext[8], mask[4];
	uint64_t len;

	if (!read_exactly(s, head, 2) || !(head[1] & 0x80))
		return -1;

	len = head[1] & 0x7f;
	if (len >= 126) {
		size_t n = len == 126 ? 2 : 8;

		if (!read_exactly(s, ext, n))
			return -1;
		len = 0;
		for (size_t i = 0; i < n; i++)
			len = len << 8 | ext[i];
	}
	if (len > 1 << 20 || !read_exactly(s, mask, 4) ||
	    !read_exactly(s, buf, len))
		return -1;
	for (size_t i = 0; i < len; i++)
		buf[i] ^= mask[i & 3];
	*lenp = len;

	return head[0] & 0x0f;
}

static void *server_thread(void *arg)
{
	struct server *s = arg;

	s->fd = accept(s->lfd, NULL, NULL);
	if (s->fd < 0)
		return NULL;
	if (s->ctx) {
		s->ssl = SSL_new(s->ctx);
		SSL_set_fd(s->ssl, s->fd);
		if (SSL_accept(s->ssl) == 1)
			s->script(s);
		SSL_free(s->ssl);
	} else {
		s->script(s);
	}
	close(s->fd);
	return NULL;
}

static void server_start(struct server *s, script_h *script, bool tls)
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t n = sizeof(sa);

	memset(s, 0, sizeof(*s));
	s->script = script;
	if (tls) {
		s->ctx = SSL_CTX_new(TLS_server_method());
		assert_int_equal(
			SSL_CTX_use_certificate_chain_file(
				s->ctx, DATA_DIR "/tls/localhost.crt"),
			1);
		assert_int_equal(SSL_CTX_use_PrivateKey_file(
					 s->ctx, DATA_DIR "/tls/localhost.key",
					 SSL_FILETYPE_PEM),
				 1);
	}
	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	s->lfd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->lfd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(s->lfd, 1), 0);
	assert_int_equal(getsockname(s->lfd, (struct sockaddr *)&sa, &n), 0);
	s->port = ntohs(sa.sin_port);
	assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s),
			 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->lfd, SHUT_RDWR); /* wakes an accept nobody came to */
	pthread_join(s->thread, NULL);
	close(s->lfd);
	SSL_CTX_free(s->ctx);
}

/* ------------------------------------------------------- the name server */

/* "2-3-1.test" is 127.0.0.2, 127.0.0.3 and 127.0.0.1. libuv calls it. */
int getaddrinfo(const char *host, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);
	const char *end = host ? strstr(host, ".test") : NULL;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!end)
		return real(host, service, hints, res);

	for (; host < end; host += 2) {
		char address[] = "127.0.0.x";
		int err;

		address[8] = *host;
		err = real(address, service, hints, res);
		if (err)
			return err;
		res = &(*res)->ai_next;
	}
	return 0;
}

/* ------------------------------------------------------------ the client */

enum { LIMIT_MS = 60000 };

struct fixture {
	struct loop *loop;
	struct wsclient *client;
	struct tmr *limit;
	struct wsc *w;
	struct server server;
	int opened, messages, drained, closed;
	bool binary, drop, close_on_message;
	char last[512];
	size_t len;
	struct wsc_end end;
	char reason[256];
	bool late;
};

static void open_handler(void *arg)
{
	struct fixture *f = arg;

	++f->opened;
	loop_stop(f->loop);
}

static void message_handler(bool binary, const char *msg, size_t len,
			    void *arg)
{
	struct fixture *f = arg;

	++f->messages;
	f->binary = binary;
	f->len = len;
	(void)snprintf(f->last, sizeof(f->last), "%.*s", (int)len, msg);
	if (f->drop)
		f->w = mem_deref(f->w);
	if (f->close_on_message)
		wsc_close(f->w, 1000, "done");
	loop_stop(f->loop);
}

static void drain_handler(void *arg)
{
	struct fixture *f = arg;

	++f->drained;
	loop_stop(f->loop);
}

static void close_handler(const struct wsc_end *end, void *arg)
{
	struct fixture *f = arg;

	++f->closed;
	f->end = *end;
	str_copy(f->reason, sizeof(f->reason), end->reason);
	f->w = mem_deref(f->w);
	loop_stop(f->loop);
}

static const struct wsc_handlers handlers = {
	.openh = open_handler,
	.messageh = message_handler,
	.drainh = drain_handler,
	.closeh = close_handler,
};

static void limit_handler(void *arg)
{
	struct fixture *f = arg;

	f->late = true;
	loop_stop(f->loop);
}

static void setup_ca(struct fixture *f, const char *ca_file)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(wsclient_alloc(&f->client, f->loop, ca_file), 0);
	assert_int_equal(tmr_alloc(&f->limit, f->loop, limit_handler, f), 0);
	tmr_start(f->limit, LIMIT_MS);
}

static void setup(struct fixture *f, script_h *script)
{
	setup_ca(f, NULL);
	server_start(&f->server, script, false);
}

static void teardown(struct fixture *f)
{
	f->w = mem_deref(f->w);
	/* libuv closes the socket in a turn of its own; the server waits */
	for (int i = 0; i < 4; i++)
		loop_turn(f->loop, false);
	server_stop(&f->server);
	mem_deref(f->limit);
	mem_deref(f->client);
	mem_deref(f->loop);
	assert_false(f->late);
}

static void dial(struct fixture *f, struct wsc_param prm, const char *fmt)
{
	char url[128];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	(void)snprintf(url, sizeof(url), fmt, f->server.port);
#pragma GCC diagnostic pop
	prm.url = url;
	if (!prm.connect_ms)
		prm.connect_ms = LIMIT_MS / 2;
	assert_int_equal(wsc_open(&f->w, f->client, &prm, &handlers, f), 0);
}

#define run_until(f, cond)            \
	while (!(cond) && !(f)->late) \
	loop_run((f)->loop)

/* --------------------------------------------------------------- scripts */

static void echo_script(struct server *s)
{
	static uint8_t buf[1 << 20];
	size_t len = 0;
	int op;

	upgrade(s, "");
	while ((op = read_frame(s, buf, &len)) >= 0) {
		uint8_t head[4] = {(uint8_t)(0x80 | op)};
		size_t n = 2;

		if (len < 126) {
			head[1] = (uint8_t)len;
		} else {
			head[1] = 126;
			head[2] = (uint8_t)(len >> 8);
			head[3] = (uint8_t)len;
			n = 4;
		}
		peer_write(s, head, n);
		peer_write(s, buf, len);
		if (op == 8)
			break;
	}
	memcpy(s->head, buf, 64); /* the close frame, for the test */
}

static void silent_script(struct server *s)
{
	char c;

	while (peer_read(s, &c, 1) > 0)
		;
}

static void send_and_wait(struct server *s, const char *p, size_t n)
{
	char buf[256];

	upgrade(s, "");
	peer_write(s, p, n);
	(void)peer_read(s, buf, sizeof(buf)); /* an answer, or the end */
}

#define SENDER(name, bytes)                                   \
	static void name(struct server *s)                    \
	{                                                     \
		send_and_wait(s, (bytes), sizeof(bytes) - 1); \
	}

SENDER(fragments_script, "\x01\x02he\x80\x03llo")
SENDER(ping_script, "\x89\x01x\x81\x02ok")
SENDER(close_code_script, "\x88\x05\x03\xe9"
			  "bye")
SENDER(close_bare_script, "\x88\x00")
SENDER(bad_utf8_script, "\x81\x02\xc3\x28")

static void vanish_script(struct server *s)
{
	upgrade(s, "");
}

static void forbidden_script(struct server *s)
{
	static const char resp[] = "HTTP/1.1 403 Forbidden\r\n"
				   "Content-Length: 0\r\n\r\n";

	read_head(s);
	peer_write(s, resp, sizeof(resp) - 1);
	silent_script(s);
}

static void protocol_script(struct server *s)
{
	upgrade(s, "Sec-WebSocket-Protocol: token\r\n");
	silent_script(s);
}

/* Reads nothing until it is told to by a byte from the test's pipe */
static int gate[2];

static void slow_script(struct server *s)
{
	static uint8_t buf[65536];
	char c;

	upgrade(s, "");
	(void)!read(gate[0], &c, 1);
	while (peer_read(s, buf, sizeof(buf)) > 0)
		;
}

/* ----------------------------------------------------------------- tests */

static void test_urls(void **state)
{
	static const struct {
		const char *url;
		int err;
		bool tls;
		uint16_t port;
		const char *host, *target;
	} rowv[] = {
		{"ws://h", 0, false, 80, "h", ""},
		{"WSS://h/", 0, true, 443, "h", "/"},
		{"ws://127.0.0.1:9001/convo", 0, false, 9001, "127.0.0.1",
		 "/convo"},
		{"ws://[::1]:8/x?y=1#z", 0, false, 8, "::1", "/x?y=1"},
		{"ws://[::1]", 0, false, 80, "::1", ""},
		{"ws://h?q", 0, false, 80, "h", "?q"},
		{"http://h", EBADMSG, false, 0, NULL, NULL},
		{"ws://", EBADMSG, false, 0, NULL, NULL},
		{"ws://:80", EBADMSG, false, 0, NULL, NULL},
		{"ws://h:", EBADMSG, false, 0, NULL, NULL},
		{"ws://h:0", EBADMSG, false, 0, NULL, NULL},
		{"ws://h:65536", EBADMSG, false, 0, NULL, NULL},
		{"ws://h:8a", EBADMSG, false, 0, NULL, NULL},
		{"ws://u:p@h", EBADMSG, false, 0, NULL, NULL},
		{"ws://[::1", EBADMSG, false, 0, NULL, NULL},
		{"ws://[::1]x", EBADMSG, false, 0, NULL, NULL},
		{"ws://h/a b", EBADMSG, false, 0, NULL, NULL},
		{"ws://h/a\r\nX: y", EBADMSG, false, 0, NULL, NULL},
		{"", EBADMSG, false, 0, NULL, NULL},
	};
	struct wsc_url u;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		assert_int_equal(wsc_url_parse(&u, rowv[i].url), rowv[i].err);
		if (rowv[i].err)
			continue;
		assert_int_equal(u.tls, rowv[i].tls);
		assert_int_equal(u.port, rowv[i].port);
		assert_string_equal(u.host, rowv[i].host);
		assert_int_equal(u.targetc, strlen(rowv[i].target));
		assert_memory_equal(u.target, rowv[i].target, u.targetc);
	}
}

static void test_echo_headers_and_close(void **state)
{
	static const char *const headerv[] = {"User-Agent: Twilio.TmeWs/1.0",
					      "X-Extra: a b", NULL};
	struct fixture f;
	char big[40000];

	(void)state;
	setup(&f, echo_script);
	dial(&f, (struct wsc_param){.headerv = headerv},
	     "ws://localhost:%u/convo?a=b");
	assert_int_equal(wsc_send(f.w, false, "early", 5), ENOTCONN);
	run_until(&f, f.opened);

	assert_true(str_starts(f.server.head, "GET /convo?a=b HTTP/1.1\r\n"));
	assert_non_null(strstr(f.server.head, "User-Agent: Twilio.TmeWs/1.0"));
	assert_non_null(strstr(f.server.head, "X-Extra: a b\r\n"));
	assert_null(strstr(f.server.head, "Origin"));
	assert_null(strstr(f.server.head, "Sec-WebSocket-Protocol"));
	assert_null(strstr(f.server.head, "Sec-WebSocket-Extensions"));

	assert_int_equal(wsc_send(f.w, false, "hello", 5), 0);
	run_until(&f, f.messages == 1);
	assert_string_equal(f.last, "hello");
	assert_false(f.binary);

	memset(big, 'x', sizeof(big));
	assert_int_equal(wsc_send(f.w, true, big, sizeof(big)), 0);
	run_until(&f, f.messages == 2);
	assert_true(f.binary);
	assert_int_equal(f.len, sizeof(big));

	wsc_close(f.w, 1000, "bye");
	run_until(&f, f.closed);
	assert_int_equal(f.end.err, 0);
	assert_true(f.end.opened);
	teardown(&f);
	assert_memory_equal(f.server.head,
			    "\x03\xe8"
			    "bye",
			    5);
}

static void test_received(void **state)
{
	static const struct {
		script_h *script;
		const char *text;
	} rowv[] = {
		{fragments_script, "hello"},
		{ping_script, "ok"},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		setup(&f, rowv[i].script);
		dial(&f, (struct wsc_param){0}, "ws://127.0.0.1:%u/");
		run_until(&f, f.messages);
		assert_string_equal(f.last, rowv[i].text);
		teardown(&f);
	}
}

static void test_ends(void **state)
{
	static const struct {
		script_h *script;
		int err, code, status;
		bool opened;
		const char *reason;
	} rowv[] = {
		{close_code_script, 0, 1001, 0, true, "bye"},
		{close_bare_script, 0, 1005, 0, true, ""},
		{vanish_script, ECONNRESET, 1006, 0, true, NULL},
		{bad_utf8_script, ECONNRESET, 1006, 0, true, NULL},
		{forbidden_script, EPROTO, 1006, 403, false, NULL},
		{silent_script, ETIMEDOUT, 1006, 0, false, NULL},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		uint32_t ms = rowv[i].err == ETIMEDOUT ? 100 : 0;

		setup(&f, rowv[i].script);
		dial(&f, (struct wsc_param){.connect_ms = ms},
		     "ws://127.0.0.1:%u/");
		run_until(&f, f.closed);
		assert_int_equal(f.end.err, rowv[i].err);
		assert_int_equal(f.end.code, rowv[i].code);
		assert_int_equal(f.end.status, rowv[i].status);
		assert_int_equal(f.end.opened, rowv[i].opened);
		if (rowv[i].reason)
			assert_string_equal(f.reason, rowv[i].reason);
		assert_int_equal(f.closed, 1);
		teardown(&f);
	}
}

static void test_nobody_there(void **state)
{
	struct fixture f;

	(void)state;
	setup_ca(&f, NULL);
	f.server.port = 1;
	dial(&f, (struct wsc_param){0}, "ws://127.0.0.1:%u/");
	run_until(&f, f.closed);
	assert_int_equal(f.end.err, ECONNREFUSED);
	assert_false(f.end.opened);

	dial(&f, (struct wsc_param){0}, "ws://no..where:%u/");
	run_until(&f, f.closed == 2);
	assert_int_equal(f.end.err, EHOSTUNREACH);

	mem_deref(f.limit);
	mem_deref(f.client);
	mem_deref(f.loop);
}

/* Each address is tried until one answers, and the first that does is it */
static void test_several_addresses(void **state)
{
	static const char *const hostv[] = {"2-1.test", "2-3-1.test",
					    "1-2.test", "2-3-4-1-5.test"};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(hostv); i++) {
		char url[64];

		setup(&f, echo_script);
		(void)snprintf(url, sizeof(url), "ws://%s:%%u/", hostv[i]);
		dial(&f, (struct wsc_param){0}, url);
		run_until(&f, f.opened || f.closed);
		assert_int_equal(f.opened, 1);
		assert_int_equal(wsc_send(f.w, false, "hello", 5), 0);
		run_until(&f, f.messages || f.closed);
		assert_string_equal(f.last, "hello");
		teardown(&f);
	}
}

static void test_subprotocol(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, protocol_script);
	dial(&f, (struct wsc_param){.protocol = "token"},
	     "ws://127.0.0.1:%u/");
	run_until(&f, f.opened || f.closed);
	assert_int_equal(f.opened, 1);
	assert_non_null(
		strstr(f.server.head, "Sec-WebSocket-Protocol: token\r\n"));
	teardown(&f);
}

static void test_backlog_is_bounded_and_drains(void **state)
{
	static char msg[10000];
	struct fixture f;
	int err = 0, n = 0;

	(void)state;
	assert_int_equal(pipe(gate), 0);
	setup(&f, slow_script);
	dial(&f, (struct wsc_param){0}, "ws://127.0.0.1:%u/");
	run_until(&f, f.opened);

	memset(msg, 'x', sizeof(msg));
	while (!err && n < 10000) {
		err = wsc_send(f.w, false, msg, sizeof(msg));
		++n;
	}
	assert_int_equal(err, EAGAIN);
	assert_int_equal(f.drained, 0);

	assert_int_equal(write(gate[1], "g", 1), 1);
	run_until(&f, f.drained || f.closed);
	assert_int_equal(f.drained, 1);
	assert_int_equal(wsc_send(f.w, false, msg, sizeof(msg)), 0);
	teardown(&f);
	close(gate[0]);
	close(gate[1]);
}

static void test_tls_is_verified(void **state)
{
	static const struct {
		const char *ca, *url;
		bool insecure;
		int err;
	} rowv[] = {
		{DATA_DIR "/tls/localhost.crt", "wss://localhost:%u/", false,
		 0},
		{NULL, "wss://localhost:%u/", false, EPROTO},
		{NULL, "wss://localhost:%u/", true, 0},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		setup_ca(&f, rowv[i].ca);
		server_start(&f.server, echo_script, true);
		dial(&f, (struct wsc_param){.insecure = rowv[i].insecure},
		     rowv[i].url);
		run_until(&f, f.opened || f.closed);
		assert_int_equal(f.opened, !rowv[i].err);
		if (rowv[i].err) {
			assert_int_equal(f.end.err, rowv[i].err);
		} else {
			assert_int_equal(wsc_send(f.w, false, "tls", 3), 0);
			run_until(&f, f.messages || f.closed);
			assert_string_equal(f.last, "tls");
		}
		teardown(&f);
	}
}

static void test_drop_and_close_from_the_handler(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, ping_script);
	f.drop = true;
	dial(&f, (struct wsc_param){0}, "ws://127.0.0.1:%u/");
	run_until(&f, f.messages);
	assert_null(f.w);
	teardown(&f);
	assert_int_equal(f.closed, 0);

	setup(&f, ping_script);
	f.close_on_message = true;
	dial(&f, (struct wsc_param){0}, "ws://127.0.0.1:%u/");
	run_until(&f, f.closed);
	assert_int_equal(f.messages, 1);
	teardown(&f);
}

static void test_drop_while_looking_up(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, silent_script);
	dial(&f, (struct wsc_param){0}, "ws://localhost:%u/");
	f.w = mem_deref(f.w);
	teardown(&f);
	assert_int_equal(f.closed, 0);
}

static void test_bad_headers(void **state)
{
	static const char *const rowv[][2] = {
		{"no colon", NULL},
		{"X: a\r\nY: b", NULL},
	};
	struct fixture f;

	(void)state;
	setup(&f, silent_script);
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		struct wsc_param prm = {.url = "ws://h/", .headerv = rowv[i]};

		assert_int_equal(wsc_open(&f.w, f.client, &prm, &handlers, &f),
				 EINVAL);
	}
	teardown(&f);
}

static int open_body(void *arg)
{
	static const char *const headerv[] = {"X: y", NULL};
	struct fixture *f = arg;
	struct wsc_param prm = {.url = "ws://127.0.0.1:1/x",
				.headerv = headerv,
				.protocol = "p"};
	int err = wsc_open(&f->w, f->client, &prm, &handlers, f);

	f->w = mem_deref(f->w);
	/* the cancelled lookup and the timer end in the loop */
	for (int i = 0; i < 1000 && !err; i++)
		loop_turn(f->loop, false);
	for (int i = 0; i < 10; i++)
		loop_turn(f->loop, false);

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture f;

	(void)state;
	setup_ca(&f, NULL);
	for (long n = 0;; n++) {
		int err;

		mem_fail_after(n);
		err = open_body(&f);
		mem_fail_after(-1);
		if (!err)
			break;
		assert_int_equal(err, ENOMEM);
	}
	mem_deref(f.limit);
	mem_deref(f.client);
	mem_deref(f.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_echo_headers_and_close),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_several_addresses),
		cmocka_unit_test(test_subprotocol),
		cmocka_unit_test(test_backlog_is_bounded_and_drains),
		cmocka_unit_test(test_tls_is_verified),
		cmocka_unit_test(test_drop_and_close_from_the_handler),
		cmocka_unit_test(test_drop_while_looking_up),
		cmocka_unit_test(test_bad_headers),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

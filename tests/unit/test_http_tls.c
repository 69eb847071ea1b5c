/**
 * @file test_http_tls.c  What a server over TLS sends without being asked
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <openssl/ssl.h>
#include <convod/defs.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "net_fixture.h"

#define CERT DATA_DIR "/tls/localhost.crt"
#define KEY  DATA_DIR "/tls/localhost.key"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: "

enum { LONG_BYTES = 300000 /* read by libcurl in many pieces */ };

/* Our own authority, for every request of this program */
CURL *curl_easy_init(void)
{
	CURL *(*real)(void);
	CURL *easy;

	*(void **)&real = dlsym(RTLD_NEXT, "curl_easy_init");
	easy = real();
	if (easy)
		(void)curl_easy_setopt(easy, CURLOPT_CAINFO, CERT);

	return easy;
}

/** After an answer */
enum more {
	NOTHING,
	SECOND,   /* another one, when the first was taken         */
	TOGETHER, /* in the same record as the end of the first    */
	TICKET,   /* for the session, when the first was taken     */
	CLOSE,    /* of the connection, when the first was taken   */
};

struct server {
	SSL_CTX *ctx;
	enum more more;
	int fd, up; /* up: the connection served, -1: none */
	char url[64];
	pthread_t thread;
	pthread_mutex_t lock;
	atomic_int conns;
	sem_t taken, sent;
};

static void send_text(SSL *ssl, const char *s)
{
	(void)SSL_write(ssl, s, (int)strlen(s));
}

/** A long answer, and what follows in its last record */
static void send_long(SSL *ssl, const char *behind)
{
	static char v[LONG_BYTES + 100];
	int n = LONG_BYTES;
	char head[64];

	memset(v, 'x', LONG_BYTES);
	str_copy(v + LONG_BYTES, 100, behind);
	(void)snprintf(head, sizeof(head), HEAD "%d\r\n\r\n", n);
	send_text(ssl, head);
	(void)SSL_write(ssl, v, n - 1000);
	(void)SSL_write(ssl, v + n - 1000, 1000 + (int)strlen(behind));
}

static void answer(struct server *s, SSL *ssl, bool first)
{
	enum more more = first ? s->more : NOTHING;

	if (more == TOGETHER) {
		send_long(ssl, HEAD "3\r\n\r\ntwo");
		return;
	}
	send_text(ssl, HEAD "3\r\n\r\none");
	if (more == NOTHING)
		return;

	sem_wait(&s->taken);
	if (more == SECOND)
		send_text(ssl, HEAD "3\r\n\r\ntwo");
	if (more == TICKET) {
		(void)SSL_new_session_ticket(ssl);
		(void)SSL_do_handshake(ssl);
	}
	if (more == CLOSE) {
		(void)SSL_shutdown(ssl);
		(void)shutdown(SSL_get_fd(ssl), SHUT_WR);
	}
	sem_post(&s->sent);
}

static void serve(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	char buf[4096];

	/* what was sent has arrived */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		bool first = atomic_fetch_add(&s->conns, 1) == 0;

		for (; SSL_read(ssl, buf, sizeof(buf)) > 0; first = false)
			answer(s, ssl, first);
	}
	SSL_free(ssl);
}

/* One connection after the other: the client has one at a time */
static void *server_thread(void *arg)
{
	struct server *s = arg;
	int fd;

	while ((fd = accept(s->fd, NULL, NULL)) >= 0) {
		pthread_mutex_lock(&s->lock);
		s->up = fd;
		pthread_mutex_unlock(&s->lock);
		serve(s, fd);
		pthread_mutex_lock(&s->lock);
		s->up = -1;
		close(fd);
		pthread_mutex_unlock(&s->lock);
	}
	return NULL;
}

static void server_start(struct server *s, int version, enum more more)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);

	memset(s, 0, sizeof(*s));
	s->more = more;
	s->up = -1;
	s->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_set_min_proto_version(s->ctx, version);
	SSL_CTX_set_max_proto_version(s->ctx, version);
	assert_int_equal(SSL_CTX_use_certificate_chain_file(s->ctx, CERT), 1);
	assert_int_equal(
		SSL_CTX_use_PrivateKey_file(s->ctx, KEY, SSL_FILETYPE_PEM), 1);
	pthread_mutex_init(&s->lock, NULL);
	sem_init(&s->taken, 0, 0);
	sem_init(&s->sent, 0, 0);
	s->fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&sa, n), 0);
	assert_int_equal(listen(s->fd, 4), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&sa, &n), 0);
	(void)snprintf(s->url, sizeof(s->url), "https://localhost:%u/",
		       ntohs(sa.sin_port));
	assert_int_equal(pthread_create(&s->thread, NULL, server_thread, s),
			 0);
}

static void server_stop(struct server *s)
{
	shutdown(s->fd, SHUT_RDWR);
	pthread_mutex_lock(&s->lock);
	if (s->up >= 0)
		shutdown(s->up, SHUT_RDWR);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	close(s->fd);
	SSL_CTX_free(s->ctx);
}

struct result {
	bool done;
	int err;
	size_t bodyc;
	char body[8];
};

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct result *r = arg;

	r->done = true;
	r->err = err;
	r->bodyc = resp->bodyc;
	str_copy(r->body, sizeof(r->body), resp->body);
}

static void post(const struct net *net, const char *url, struct result *r)
{
	const struct http_param prm = {.method = "POST",
				       .url = url,
				       .body = "x",
				       .bodyc = 1,
				       .body_max = LONG_BYTES};
	struct http_req *req;

	memset(r, 0, sizeof(*r));
	assert_int_equal(
		http_request(&req, net->http, &prm, NULL, done_handler, r), 0);
	while (!r->done)
		loop_turn(net->loop, true);
	mem_deref(req);
	assert_int_equal(r->err, 0);
}

/* What nobody asked for is no answer to what is asked next, and what TLS says
 * for itself does not cost a connection for every request */
static void test_second_answer_is_nobodys(void **state)
{
	static const struct {
		int version;
		enum more more;
		int conns, excess;
	} rowv[] = {
		{TLS1_3_VERSION, NOTHING, 1, 0},
		{TLS1_3_VERSION, SECOND, 2, 1},
		{TLS1_3_VERSION, TOGETHER, 2, 1},
		{TLS1_3_VERSION, TICKET, 2, 1},
		{TLS1_3_VERSION, CLOSE, 2, 0},
		{TLS1_2_VERSION, NOTHING, 1, 0},
		{TLS1_2_VERSION, SECOND, 2, 1},
		{TLS1_2_VERSION, TOGETHER, 2, 1},
		{TLS1_2_VERSION, CLOSE, 2, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		uint64_t excess = metrics_counter(M_HTTP_EXCESS);
		bool together = rowv[i].more == TOGETHER;
		struct net net = {0};
		struct server s;
		struct result r;
		struct tmr *t;

		assert_int_equal(net_open(&net, &t), 0);
		server_start(&s, rowv[i].version, rowv[i].more);
		post(&net, s.url, &r);
		assert_int_equal(r.bodyc, together ? LONG_BYTES : 3);
		if (rowv[i].more != NOTHING && !together) {
			sem_post(&s.taken);
			sem_wait(&s.sent);
		}
		for (int n = 0; n < 4; n++) {
			post(&net, s.url, &r);
			assert_string_equal(r.body, "one");
		}
		assert_int_equal(atomic_load(&s.conns), rowv[i].conns);
		assert_int_equal(metrics_counter(M_HTTP_EXCESS) - excess,
				 rowv[i].excess);
		net_close(&net, &t);
		server_stop(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_answer_is_nobodys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

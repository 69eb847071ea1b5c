/**
 * @file test_httpd_tls.c  TLS that ends here; and workers on threads
 */
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdatomic.h>
#include "httpd_fixture.h"

static char cert_path[64], key_path[64];
static const struct httpd_param tls = {.tls_cert = cert_path,
				       .tls_key = key_path};

/** A self-signed certificate for localhost, in two temporary files */
static int make_certificate(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	X509_NAME *name = X509_get_subject_name(x);
	FILE *file;

	(void)state;
	snprintf(cert_path, sizeof(cert_path), "/tmp/convod-cert-XXXXXX");
	snprintf(key_path, sizeof(key_path), "/tmp/convod-key-XXXXXX");
	close(mkstemp(cert_path));
	close(mkstemp(key_path));

	X509_set_version(x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 3600);
	X509_set_pubkey(x, key);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
				   (const unsigned char *)"localhost", -1, -1,
				   0);
	X509_set_issuer_name(x, name);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);

	file = fopen(cert_path, "w");
	PEM_write_X509(file, x);
	fclose(file);
	file = fopen(key_path, "w");
	PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
	fclose(file);
	X509_free(x);
	EVP_PKEY_free(key);

	return 0;
}

static int remove_certificate(void **state)
{
	(void)state;
	unlink(cert_path);
	unlink(key_path);

	return 0;
}

struct tls {
	struct client *c;
	SSL_CTX *ctx;
	SSL *ssl;
};

static bool wants_more(struct tls *t, int ret)
{
	int err = SSL_get_error(t->ssl, ret);

	return err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE;
}

static void tls_open(struct tls *t, struct fixture *f, const char *raw)
{
	static const unsigned char alpn[] = "\x02h2\x08http/1.1";
	uint64_t end = clk_now_ms() + WAIT_MS;
	int ret;

	t->c = client(f);
	t->ctx = SSL_CTX_new(TLS_client_method());
	t->ssl = SSL_new(t->ctx);
	SSL_set_alpn_protos(t->ssl, alpn, sizeof(alpn) - 1);
	SSL_set_fd(t->ssl, t->c->fd);
	while ((ret = SSL_connect(t->ssl)) != 1) {
		assert_true(wants_more(t, ret));
		assert_true(clk_now_ms() < end);
		turn(f);
	}
	assert_int_equal(SSL_write(t->ssl, raw, strlen(raw)), strlen(raw));
}

static void tls_close(struct tls *t)
{
	SSL_free(t->ssl);
	SSL_CTX_free(t->ctx);
	client_free(t->c);
}

static void tls_pump(struct tls *t)
{
	struct client *c = t->c;
	int n;

	turn(c->f);
	n = SSL_read(t->ssl, c->buf + c->n, sizeof(c->buf) - 1 - c->n);
	if (n > 0)
		c->n += n;
	else if (!wants_more(t, n))
		c->eof = true;
	c->buf[c->n] = '\0';
}

#define TLS_UNTIL(t, cond)                                        \
	do {                                                      \
		uint64_t end_ = clk_now_ms() + WAIT_MS;           \
		while (!(cond)) {                                 \
			if (clk_now_ms() > end_)                  \
				fail_msg("waited in vain: " #cond \
					 ", got %.80s",           \
					 (t)->c->buf);            \
			tls_pump(t);                              \
		}                                                 \
	} while (0)

static void test_upgrade(void **state)
{
	static const char frame[] = "\x81\x82\x00\x00\x00\x00hi";
	struct fixture *f = setup_with(tls);
	struct tls t;
	const unsigned char *alpn;
	unsigned alpnc;
	char *end;

	(void)state;
	f->echo = true;
	tls_open(&t, f, UPGRADE_TO("/convo"));
	SSL_get0_alpn_selected(t.ssl, &alpn, &alpnc);
	assert_int_equal(alpnc, 8);
	assert_memory_equal(alpn, "http/1.1", 8);
	TLS_UNTIL(&t, (end = strstr(t.c->buf, "\r\n\r\n")));
	assert_true(str_starts(t.c->buf, "HTTP/1.1 101 "));
	take(t.c, end + 4 - t.c->buf);
	assert_string_equal(f->target, "/convo");
	assert_string_equal(f->signature, "sig+/=");
	assert_true(f->tls);
	assert_true(f->exact);

	assert_int_equal(SSL_write(t.ssl, frame, 8), 8);
	TLS_UNTIL(&t, t.c->n >= 4);
	assert_memory_equal(t.c->buf, "\x81\x02hi", 4);
	tls_close(&t);
	WAIT_FOR(f, f->closes == 1);
	teardown(f);
}

static void expect_tls(const char *raw, int status, const char *target,
		       bool exact)
{
	struct fixture *f = setup_with(tls);
	char want[32];
	struct tls t;

	snprintf(want, sizeof(want), "HTTP/1.1 %d ", status);
	tls_open(&t, f, raw);
	TLS_UNTIL(&t, t.c->eof || strstr(t.c->buf, "\r\n\r\n"));
	if (!str_starts(t.c->buf, want))
		fail_msg("%s: %s, got %.40s", want, raw, t.c->buf);
	assert_true(f->tls || !target);
	if (target) {
		assert_string_equal(f->target, target);
		assert_int_equal(f->exact, exact);
	}
	tls_close(&t);
	teardown(f);
}

static void test_requests(void **state)
{
	(void)state;
	expect_tls("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/healthz",
		   true);
	expect_tls("GET /a%20b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "/a%20b",
		   false);
	expect_tls("GET /a?b=c+d&e=%26f HTTP/1.1\r\nHost: a\r\n\r\n", 200,
		   "/a?b=c%20d&e=%26f", false);
	expect_tls("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
		   "hello",
		   200, "/p", true);
	expect_tls("POST /p HTTP/1.1\r\nHost: a\r\n"
		   "Content-Length: 65537\r\n\r\nhello",
		   413, NULL, true);
	expect_tls("POST /p HTTP/1.1\r\nHost: a\r\n"
		   "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		   411, NULL, true);
	expect_tls("GET /healthz HTTP/1.1\r\n\r\n", 400, NULL, true);
}

static void test_plain_on_the_tls_port(void **state)
{
	struct fixture *f = setup_with(tls);
	struct client *c = client(f), *admin = client_to(f, HTTPD_ADMIN);

	(void)state;
	puts_(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(f->requests, 0);

	/* the administrative port stays plain */
	puts_(admin, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(admin, 200);
	assert_false(f->tls);
	client_free(c);
	client_free(admin);
	teardown(f);
}

static void test_no_handshake(void **state)
{
	struct fixture *f = setup_with((struct httpd_param){
		.tls_cert = cert_path, .tls_key = key_path, .head_ms = 300});
	struct client *c = client(f);

	(void)state;
	put(c, "\x16", 1);
	PUMP_UNTIL(c, c->eof || c->err);
	client_free(c);
	teardown(f);
}

static void test_bad_certificate(void **state)
{
	struct httpd_param hp = {.requesth = request_handler,
				 .upgradeh = upgrade_handler,
				 .tls_cert = "/nonexistent",
				 .tls_key = key_path};
	struct loop *l;
	struct httpd *h = NULL;

	(void)state;
	assert_int_equal(loop_alloc(&l), 0);
	assert_int_equal(httpd_alloc(&h, l, &hp), EINVAL);
	assert_null(h);
	mem_deref(l);
}

/* -------------------------------------------------------------- threads */

enum { WORKERS = 2, CLIENTS = 20, ROUNDS = 5 };

struct worker {
	pthread_t thread;
	struct loop *loop;
	struct httpd *httpd;
	atomic_int opens, closes;
};

struct session {
	struct worker *w;
	struct ws *ws;
};

static void session_open(void *arg)
{
	struct session *s = arg;

	atomic_fetch_add(&s->w->opens, 1);
}

static void session_text(const char *msg, size_t len, void *arg)
{
	struct session *s = arg;
	char buf[WS_PRE_BYTES + 64];

	memcpy(buf + WS_PRE_BYTES, msg, MIN(len, 64));
	assert_int_equal(ws_send_text(s->ws, buf + WS_PRE_BYTES, len), 0);
}

static void session_close(int code, void *arg)
{
	struct session *s = arg;

	(void)code;
	atomic_fetch_add(&s->w->closes, 1);
	free(s);
}

static int session_upgrade(struct ws *ws, const struct http_head *head,
			   void *arg)
{
	static const struct ws_handlers handlers = {.openh = session_open,
						    .texth = session_text,
						    .closeh = session_close};
	struct session *s = calloc(1, sizeof(*s));

	(void)head;
	s->w = arg;
	s->ws = ws;
	ws_accept(ws, &handlers, s);
	return 101;
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	httpd_close(w->httpd);
	return NULL;
}

static struct httpd *pick_next(const struct http_head *head, void *arg)
{
	static unsigned n;
	struct worker *w = arg;

	(void)head;
	return w[n++ % WORKERS].httpd;
}

static void test_two_workers(void **state)
{
	struct worker w[WORKERS] = {0};
	struct fixture f = {0};
	struct acceptor_param ap = {
		.host = "127.0.0.1", .pickh = pick_next, .arg = w};
	struct client *cv[CLIENTS];

	(void)state;
	for (int i = 0; i < WORKERS; i++) {
		struct httpd_param hp = {.requesth = request_handler,
					 .upgradeh = session_upgrade,
					 .arg = &w[i]};

		assert_int_equal(loop_alloc(&w[i].loop), 0);
		assert_int_equal(httpd_alloc(&w[i].httpd, w[i].loop, &hp), 0);
		assert_int_equal(
			pthread_create(&w[i].thread, NULL, worker_main, &w[i]),
			0);
	}
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(tmr_alloc(&f.tmr, f.loop, tmr_handler, &f), 0);
	assert_int_equal(acceptor_alloc(&f.acceptor, f.loop, &ap, NULL), 0);
	tmr_start(f.tmr, 0);

	for (int i = 0; i < CLIENTS; i++)
		cv[i] = ws_client(&f);
	for (int k = 0; k < ROUNDS; k++) {
		for (int i = 0; i < CLIENTS; i++)
			put_text(cv[i], "round and round");
		for (int i = 0; i < CLIENTS; i++)
			expect_frame(cv[i], FIN | TEXT, "round and round", 15);
	}
	for (int i = 0; i < WORKERS; i++)
		assert_int_equal(atomic_load(&w[i].opens), CLIENTS / WORKERS);

	/* some leave, the others are up when the workers stop */
	for (int i = 0; i < CLIENTS / 2; i++)
		client_free(cv[i]);
	for (int i = 0; i < WORKERS; i++) {
		loop_stop(w[i].loop);
		pthread_join(w[i].thread, NULL);
		assert_int_equal(atomic_load(&w[i].closes), CLIENTS / WORKERS);
	}
	for (int i = CLIENTS / 2; i < CLIENTS; i++)
		client_free(cv[i]);
	mem_deref(f.acceptor);
	mem_deref(f.tmr);
	mem_deref(f.loop);
	for (int i = 0; i < WORKERS; i++) {
		mem_deref(w[i].httpd);
		mem_deref(w[i].loop);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_plain_on_the_tls_port),
		cmocka_unit_test(test_no_handshake),
		cmocka_unit_test(test_bad_certificate),
		cmocka_unit_test(test_two_workers),
	};

	return cmocka_run_group_tests(tests, make_certificate,
				      remove_certificate);
}

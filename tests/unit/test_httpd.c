/**
 * @file test_httpd.c  Acceptor and HTTP server, with a raw client
 */
#include <fcntl.h>
#include "httpd_fixture.h"

#define GET "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"

static void test_get(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, GET);
	expect_status(c, 200);
	assert_non_null(strstr(c->buf, "Content-Length: 5\r\n"));
	assert_non_null(strstr(c->buf, "Connection: close\r\n"));
	assert_non_null(strstr(c->buf, "\r\n\r\nhello"));
	assert_int_equal(f->port, HTTPD_PUBLIC);
	assert_string_equal(f->target, "/healthz");
	client_free(c);
	teardown(f);
}

static void test_head(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(c, 200);
	assert_non_null(strstr(c->buf, "Content-Length: 5\r\n"));
	assert_null(strstr(c->buf, "hello"));
	client_free(c);
	teardown(f);
}

static void test_large_answer(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);
	int small = 4096;

	(void)state;
	(void)setsockopt(c->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	puts_(c, "GET /big HTTP/1.1\r\nHost: a\r\n\r\n");
	WAIT_FOR(f, f->requests);
	expect_status(c, 200);
	assert_true(c->n > BIG);
	assert_int_equal(strspn(c->buf + c->n - BIG, "z"), BIG);
	client_free(c);
	teardown(f);
}

static void test_admin_port(void **state)
{
	struct fixture *f = setup();
	struct client *c = client_to(f, HTTPD_ADMIN);

	(void)state;
	assert_int_not_equal(acceptor_port(f->acceptor, HTTPD_ADMIN),
			     acceptor_port(f->acceptor, HTTPD_PUBLIC));
	puts_(c, GET);
	expect_status(c, 200);
	assert_int_equal(f->port, HTTPD_ADMIN);
	client_free(c);

	/* stopping leaves the administrative port */
	acceptor_stop(f->acceptor);
	assert_int_equal(acceptor_port(f->acceptor, HTTPD_PUBLIC), 0);
	c = client_to(f, HTTPD_ADMIN);
	puts_(c, GET);
	expect_status(c, 200);
	client_free(c);
	teardown(f);
}

static void test_only_the_first_request_is_served(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, GET GET);
	expect_status(c, 200);
	assert_int_equal(f->requests, 1);
	client_free(c);
	teardown(f);
}

static void test_post(void **state)
{
	static const char head[] = "POST /voice HTTP/1.1\r\nHost: a\r\n"
				   "Content-Length: 11\r\n\r\n";

	(void)state;
	/* at once, in two pieces, byte by byte */
	for (int i = 0; i < 3; i++) {
		struct fixture *f = setup();
		struct client *c = client(f);

		c->one_by_one = i == 2;
		puts_(c, head);
		if (i == 1)
			WAIT_FOR(f, f->picks);
		puts_(c, "a=1&b=%41+c");
		expect_status(c, 200);
		assert_string_equal(f->body, "a=1&b=%41+c");
		assert_int_equal(f->bodyc, 11);
		assert_string_equal(f->target, "/voice");
		client_free(c);
		teardown(f);
	}
}

static void test_empty_post(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
	expect_status(c, 200);
	assert_int_equal(f->bodyc, 0);
	client_free(c);
	teardown(f);
}

static void test_largest_body(void **state)
{
	static char body[HTTP_BODY_MAX];
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	memset(body, 'b', sizeof(body));
	puts_(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n"
		 "Expect: 100-continue\r\n\r\n");
	PUMP_UNTIL(c, strstr(c->buf, "100 Continue\r\n\r\n"));
	take(c, c->n);
	put(c, body, sizeof(body));
	expect_status(c, 200);
	assert_int_equal(f->bodyc, sizeof(body));
	client_free(c);
	teardown(f);
}

/** The answer must arrive although the peer goes on sending */
static void refused(const char *head, size_t more, int status)
{
	struct fixture *f = setup();
	struct client *c = client(f);
	uint64_t before = metrics_counter(M_HTTP_REFUSED);
	char *junk = calloc(1, more + 1);

	memset(junk, 'x', more);
	puts_(c, head);
	put(c, junk, more);
	expect_status(c, status);
	assert_int_equal(f->requests, 0);
	assert_int_equal(metrics_counter(M_HTTP_REFUSED), before + 1);
	free(junk);
	client_free(c);
	teardown(f);
}

static void test_refusals(void **state)
{
	(void)state;
	refused("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: "
		"1000000\r\n\r\n",
		1000000, 413);
	refused("POST / HTTP/1.1\r\nHost: a\r\n"
		"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		100000, 411);
	refused("GET / HTTP/1.1\r\nHost: a\r\nX: ", 100000, 431);
	refused("GET / HTTP/1.1\r\nbad\r\n\r\n", 0, 400);
	refused("OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 501);
}

static void test_head_of_exactly_16k(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);
	static char raw[HTTP_HEAD_MAX + 1];
	int n = snprintf(raw, sizeof(raw),
			 "GET / HTTP/1.1\r\nHost: a\r\n"
			 "X-Long: ");

	(void)state;
	memset(raw + n, 'x', HTTP_HEAD_MAX - 4 - n);
	memcpy(raw + HTTP_HEAD_MAX - 4, "\r\n\r\n", 5);
	puts_(c, raw);
	expect_status(c, 200);
	client_free(c);
	teardown(f);
}

static void test_raw_target_is_kept(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	c->one_by_one = true; /* and the head comes in pieces */
	puts_(c, UPGRADE_TO("/convo//x/%41?a=%41%2Bz+q&b=%C3%B0"));
	PUMP_UNTIL(c, strstr(c->buf, "\r\n\r\n"));
	assert_true(str_starts(c->buf, "HTTP/1.1 101 "));
	assert_string_equal(f->target, "/convo//x/%41?a=%41%2Bz+q&b=%C3%B0");
	assert_string_equal(f->signature, "sig+/=");
	assert_true(f->exact);
	client_free(c);
	teardown(f);
}

static void test_refused_upgrades(void **state)
{
	static const int statusv[] = {403, 404, 503};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(statusv); i++) {
		struct fixture *f = setup();
		struct client *c = client(f);

		f->status = statusv[i];
		puts_(c, UPGRADE_TO("/convo"));
		expect_status(c, statusv[i]);
		assert_null(strstr(c->buf, "101"));
		assert_non_null(strstr(c->buf, http_reason(statusv[i])));
		assert_int_equal(f->opens, 0);
		client_free(c);
		teardown(f);
	}
}

static void test_h2c_is_declined(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, "GET / HTTP/1.1\r\nHost: a\r\n"
		 "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
		 "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n");
	expect_status(c, 200);
	client_free(c);
	teardown(f);
}

static void test_no_worker(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	f->no_worker = true;
	puts_(c, UPGRADE_TO("/convo"));
	expect_status(c, 503);
	assert_non_null(strstr(c->buf, "Service Unavailable"));
	client_free(c);
	teardown(f);
}

static void test_slow_ones_are_closed(void **state)
{
	struct fixture *f = setup_with((struct httpd_param){.head_ms = 300});
	struct client *idle = client(f), *slow = client(f), *body = client(f);

	(void)state;
	puts_(slow, "GET / HTTP/1.1\r\nHo");
	puts_(body, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"
		    "abc");
	PUMP_UNTIL(idle, idle->eof || idle->err);
	PUMP_UNTIL(slow, slow->eof || slow->err);
	PUMP_UNTIL(body, body->eof || body->err);
	assert_int_equal(f->requests, 0);
	client_free(idle);
	client_free(slow);
	client_free(body);
	teardown(f);
}

static void test_gone_before_the_head_is_complete(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	puts_(c, "GET / HTTP/1.1\r\nHo");
	turn(f);
	client_free(c);
	c = client(f);
	puts_(c, GET);
	expect_status(c, 200);
	client_free(c);
	teardown(f);
}

static void test_port_taken(void **state)
{
	struct fixture *f = setup();
	struct acceptor_param ap = {
		.host = "127.0.0.1",
		.port = acceptor_port(f->acceptor, HTTPD_PUBLIC),
		.admin = true,
		.admin_host = "no such host",
		.pickh = pick_handler};
	enum httpd_port failed = HTTPD_ADMIN;
	struct acceptor *a = NULL;

	(void)state;
	assert_int_equal(acceptor_alloc(&a, f->loop, &ap, &failed),
			 EADDRINUSE);
	assert_null(a);
	assert_int_equal(failed, HTTPD_PUBLIC);
	ap.port = 0;
	assert_int_equal(acceptor_alloc(&a, f->loop, &ap, &failed),
			 EADDRNOTAVAIL);
	assert_int_equal(failed, HTTPD_ADMIN);
	ap.host = "192.0.2.1"; /* not of this machine */
	assert_int_equal(acceptor_alloc(&a, f->loop, &ap, &failed),
			 EADDRNOTAVAIL);
	assert_int_equal(failed, HTTPD_PUBLIC);
	teardown(f);
}

static void test_no_descriptors_left(void **state)
{
	const char *preload = getenv("LD_PRELOAD");
	struct fixture *f;
	struct client *c, *later;
	uint64_t before = metrics_counter(M_ACCEPTS_REFUSED);
	uint64_t refused_accepts = before;
	struct rlimit old, tight;
	int fd;

	(void)state;
	/* valgrind accepts, then closes what is over the limit */
	if (preload && strstr(preload, "vgpreload"))
		skip();
	f = setup();
	c = client(f);
	/* no descriptor above what is open now: accept() fails */
	fd = dup(0);
	close(fd);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
	tight = old;
	tight.rlim_cur = fd;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
	for (int i = 0; i < 1000 && refused_accepts == before; i++) {
		turn(f);
		refused_accepts = metrics_counter(M_ACCEPTS_REFUSED);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	assert_int_equal(refused_accepts, before + 1);
	expect_status(c, 503);

	later = client(f);
	puts_(later, GET);
	expect_status(later, 200);
	client_free(later);
	client_free(c);
	teardown(f);
}

static void test_shutdown_with_requests_under_way(void **state)
{
	struct fixture *f = setup();
	struct client *c1 = client(f), *c2 = client(f), *c3 = client(f);

	(void)state;
	puts_(c1, "GET / HT");
	puts_(c2, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n");
	puts_(c3, GET);
	WAIT_FOR(f, f->picks == 2);
	teardown(f);
	client_free(c1);
	client_free(c2);
	client_free(c3);
}

struct opener {
	struct loop_post post;
	int fd;
};

static void open_post_handler(struct loop_post *p)
{
	struct opener *o = CONTAINER_OF(p, struct opener, post);

	o->fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* libwebsockets closes a descriptor of its own twice, and there are turns of
 * the loop in between */
static void test_what_is_opened_while_it_ends_stays_open(void **state)
{
	struct fixture *f = setup();
	struct opener o = {.post.h = open_post_handler, .fd = -1};
	int before = dup(0), after;

	(void)state;
	close(before);
	assert_int_equal(loop_post(f->loop, &o.post), 0);
	teardown(f);
	assert_true(o.fd >= 0);
	assert_true(fcntl(o.fd, F_GETFD) >= 0);
	close(o.fd);

	/* and nothing that kept it open is left over */
	f = setup();
	teardown(f);
	after = dup(0);
	close(after);
	assert_true(after <= before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_large_answer),
		cmocka_unit_test(test_admin_port),
		cmocka_unit_test(test_only_the_first_request_is_served),
		cmocka_unit_test(test_post),
		cmocka_unit_test(test_empty_post),
		cmocka_unit_test(test_largest_body),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_head_of_exactly_16k),
		cmocka_unit_test(test_raw_target_is_kept),
		cmocka_unit_test(test_refused_upgrades),
		cmocka_unit_test(test_h2c_is_declined),
		cmocka_unit_test(test_no_worker),
		cmocka_unit_test(test_slow_ones_are_closed),
		cmocka_unit_test(test_gone_before_the_head_is_complete),
		cmocka_unit_test(test_port_taken),
		cmocka_unit_test(test_no_descriptors_left),
		cmocka_unit_test(test_shutdown_with_requests_under_way),
		cmocka_unit_test(test_what_is_opened_while_it_ends_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

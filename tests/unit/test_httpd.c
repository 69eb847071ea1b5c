/**
 * @file test_httpd.c  Acceptor and HTTP server, with a raw client
 */
#include "httpd_fixture.h"

static void test_get(void **state)
{
	struct fixture *f = setup(NULL, NULL);
	struct client *c = client(f);

	(void)state;
	puts_(c, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(c, 200);
	assert_non_null(strstr(c->buf, "Content-Length: 5\r\n"));
	assert_non_null(strstr(c->buf, "\r\n\r\nhello"));
	assert_int_equal(f->port, HTTPD_PUBLIC);
	assert_string_equal(f->target, "/healthz");
	client_free(c);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/**
 * @file test_http_head.c  The request head parser
 */
#include <stdio.h>
#include <convod/httpd.h>
#include <convod/str.h>
#include "test.h"

#define GET(target, headers) \
	"GET " target " HTTP/1.1\r\nHost: a\r\n" headers "\r\n"
#define WS(headers)                                         \
	GET("/convo", "Connection: keep-alive, Upgrade\r\n" \
		      "Upgrade: WebSocket\r\n" headers)
#define KEY "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define V13 "Sec-WebSocket-Version: 13\r\n"

static const struct {
	const char *raw;
	int err;
	int refuse;
	const char *target; /* where it matters */
} casev[] = {
	{GET("/", ""), 0, 0, "/"},
	{GET("/convo/x%2Fy?a=%41%2Bz+q&b", ""), 0, 0,
	 "/convo/x%2Fy?a=%41%2Bz+q&b"},
	{GET("//x/../y", ""), 0, 0, "//x/../y"},
	{"HEAD / HTTP/1.0\r\n\r\n", 0, 0, "/"},
	{"GET / HTTP/1.0\r\nHost: a\r\n\r\n", 0, 0, "/"},
	{GET("/", "X-Empty:\r\nX-Tab:\tv\t\r\nX-High: \xc3\xb0\r\n"), 0, 0,
	 "/"},

	/* request lines */
	{"", EBADMSG, 0, NULL},
	{"\r\n\r\n", EBADMSG, 0, NULL},
	{"GET\r\n\r\n", EBADMSG, 0, NULL},
	{"GET /\r\n\r\n", EBADMSG, 0, NULL},
	{"GET / HTTP/2.0\r\n\r\n", EBADMSG, 0, NULL},
	{"GET / HTTP/1.1 \r\n\r\n", EBADMSG, 0, NULL},
	{"GET  / HTTP/1.1\r\n\r\n", EBADMSG, 0, NULL},
	{" GET / HTTP/1.1\r\n\r\n", EBADMSG, 0, NULL},
	{"GET /a b HTTP/1.1\r\n\r\n", EBADMSG, 0, NULL},
	{"GET a HTTP/1.1\r\n\r\n", EBADMSG, 0, NULL},
	{"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"GET /\xc3\xb0 HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"GET /\t HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"GETGETGETGETGETGET / HTTP/1.1\r\nHost: a\r\n\r\n", EBADMSG, 0, NULL},
	{"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", EBADMSG, 0, NULL},
	{"\x16\x03\x01\x02", EBADMSG, 0, NULL}, /* TLS on a plain port */
	{"GET / HTTP/1.1\nHost: a\n\n", EBADMSG, 0, NULL},

	/* headers */
	{GET("/", "X: a\r\n folded\r\n"), EBADMSG, 0, NULL},
	{GET("/", "X : a\r\n"), EBADMSG, 0, NULL},
	{GET("/", ": a\r\n"), EBADMSG, 0, NULL},
	{GET("/", "nocolon\r\n"), EBADMSG, 0, NULL},
	{GET("/", "X: a\x01\r\n"), EBADMSG, 0, NULL},
	{GET("/", "X: a\rb\r\n"), EBADMSG, 0, NULL},
	{GET("/", "X: a\nY: b\r\n"), EBADMSG, 0, NULL},
	{GET("/", "Host: b\r\n"), EBADMSG, 0, NULL},
	{GET("/", "") "x", EBADMSG, 0, NULL},
	{"GET / HTTP/1.1\r\nHost: a\r\n", EBADMSG, 0, NULL},
	{"GET / HTTP/1.1\r\n\r\n", 0, 400, NULL},
	{GET("/", "X: a\r\n"), 0, 400, NULL},

	/* bodies */
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", 0, 0,
	 NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 0, 0,
	 NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65536\r\n\r\n", 0, 0,
	 NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\n", 0, 413,
	 NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 411, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 0,
	 411, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	 "Transfer-Encoding: chunked\r\n\r\n",
	 0, 411, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", EBADMSG,
	 0, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", EBADMSG,
	 0, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", EBADMSG,
	 0, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", EBADMSG, 0,
	 NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	 "Content-Length: 5\r\n\r\n",
	 EBADMSG, 0, NULL},
	{"POST / HTTP/1.1\r\nHost: a\r\n"
	 "Content-Length: 9999999999999999999\r\n\r\n",
	 EBADMSG, 0, NULL},
	{GET("/", "Content-Length: 5\r\n"), 0, 400, NULL},
	{GET("/", "Transfer-Encoding: chunked\r\n"), 0, 411, NULL},

	/* methods */
	{"CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 501, NULL},
	{"get / HTTP/1.1\r\nHost: a\r\n\r\n", 0, 501, NULL},

	/* upgrades */
	{WS(KEY V13), 0, 0, "/convo"},
	{WS(KEY), 0, 426, NULL},
	{WS(KEY "Sec-WebSocket-Version: 8\r\n"), 0, 426, NULL},
	{WS(V13), 0, 400, NULL},
	{WS("Sec-WebSocket-Key: short\r\n" V13), 0, 400, NULL},
	{WS(KEY V13 "Sec-WebSocket-Protocol: chat\r\n"), 0, 400, NULL},
	{WS(KEY V13 "Content-Length: 5\r\n"), 0, 400, NULL},
	{GET("/convo", "Upgrade: websocket\r\n" KEY V13), 0, 400, NULL},
	{"GET / HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\n"
	 "Upgrade: websocket\r\n" KEY V13 "\r\n",
	 0, 400, NULL},
	{GET("/", "Upgrade: h2c\r\n"), 0, 0, NULL},
	{GET("/", "Upgrade: tls/1.3\r\n"), 0, 400, NULL},
};

static void test_table(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(casev); i++) {
		const char *raw = casev[i].raw;
		struct http_head *head = NULL;
		int err = http_head_decode(&head, raw, strlen(raw));

		if (err != casev[i].err)
			fail_msg("%zu: %d for %.60s", i, err, raw);
		if (err) {
			assert_null(head);
			continue;
		}
		if (http_head_refuse(head) != casev[i].refuse)
			fail_msg("%zu: refused %d: %.60s", i,
				 http_head_refuse(head), raw);
		if (casev[i].target)
			assert_string_equal(head->target, casev[i].target);
		assert_true(head->target_exact);
		assert_string_equal(head->raw, raw);
		assert_int_equal(head->len, strlen(raw));
		mem_deref(head);
	}
}

static void test_zero_bytes(void **state)
{
	static const char in_target[] = "GET /a\0b HTTP/1.1\r\n\r\n";
	static const char in_value[] = "GET / HTTP/1.1\r\nX: a\0b\r\n\r\n";
	static const char in_name[] = "GET / HTTP/1.1\r\nX\0: a\r\n\r\n";
	struct http_head *head = NULL;

	(void)state;
	assert_int_equal(
		http_head_decode(&head, in_target, sizeof(in_target) - 1),
		EBADMSG);
	assert_int_equal(
		http_head_decode(&head, in_value, sizeof(in_value) - 1),
		EBADMSG);
	assert_int_equal(http_head_decode(&head, in_name, sizeof(in_name) - 1),
			 EBADMSG);
}

static void test_getters(void **state)
{
	static const char raw[] = GET(
		"/a%20b?c", "X-Twilio-Signature:  sig \r\nX-Empty:\r\n");
	struct http_head *head;
	char v[64];

	(void)state;
	assert_int_equal(http_head_decode(&head, raw, strlen(raw)), 0);
	assert_string_equal(head->method, "GET");
	assert_int_equal(head->content_length, -1);
	assert_false(head->upgrade);
	assert_string_equal(
		http_head_get(head, "x-twilio-signature", v, sizeof(v)),
		"sig");
	assert_string_equal(http_head_get(head, "x-twilio-signature", v, 3),
			    "si");
	assert_string_equal(http_head_get(head, "X-Empty", v, sizeof(v)), "");
	assert_null(http_head_get(head, "X-Twilio", v, sizeof(v)));
	assert_null(
		http_head_get(head, "GET /a%20b?c HTTP/1.1", v, sizeof(v)));
	assert_string_equal(http_head_path(head, v, sizeof(v)), "/a%20b");
	assert_string_equal(http_head_path(head, v, 3), "/a");
	mem_deref(head);
}

static void test_too_many_headers(void **state)
{
	char raw[4096];
	struct http_head *head;
	int n = snprintf(raw, sizeof(raw), "GET / HTTP/1.1\r\nHost: a\r\n");

	(void)state;
	for (int i = 0; i < 100; i++)
		n += snprintf(raw + n, sizeof(raw) - n, "Aa: b\r\n");
	n += snprintf(raw + n, sizeof(raw) - n, "\r\n");
	assert_int_equal(http_head_decode(&head, raw, n), 0);
	assert_int_equal(http_head_refuse(head), 431);
	mem_deref(head);
}

static int alloc_body(void *arg)
{
	struct http_head *head = NULL;
	int err = http_head_decode(&head, arg, strlen(arg));

	mem_deref(head);
	return err;
}

static void test_out_of_memory(void **state)
{
	char raw[] = GET("/", "");

	(void)state;
	oom_loop(alloc_body, raw);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_zero_bytes),
		cmocka_unit_test(test_getters),
		cmocka_unit_test(test_too_many_headers),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

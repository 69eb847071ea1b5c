#include <convod/log.h>
#include <convod/str.h>
#include "test.h"

static void test_url_mask_hides_secrets(void **state)
{
	static const struct {
		const char *url, *want;
	} rowv[] = {
		{"grpc://host:50051", "grpc://host:50051"},
		{"http://u:p@host/x", "http://***@host/x"},
		{"http://u:p@w@host/x", "http://***@host/x"},
		{"http://host/a@b", "http://host/a@b"},
		{"http://host:80/a@b", "http://host:80/a@b"},
		{"http://[::1]:80/a@b", "http://[::1]:80/a@b"},
		{"http://u:p/w@host/x", "http://***@host/x"},
		{"http://u:p#w?@host", "http://***@host"},
		{"http://h/x?token=abc&rate=8000",
		 "http://h/x?token=***&rate=8000"},
		{"http://h/x?API_KEY=abc", "http://h/x?API_KEY=***"},
		{"http://h/x?key", "http://h/x?key"},
		/* Azure's functions and storage */
		{"http://h/x?code=abc", "http://h/x?code=***"},
		{"http://h/x?sv=1&sig=abc", "http://h/x?sv=1&sig=***"},
		{"http://h/x?auth=a&pass=b&pwd=c",
		 "http://h/x?auth=***&pass=***&pwd=***"},
		{"http://h/x?languageCode=is", "http://h/x?languageCode=is"},
		{"http://h/x#token=abc", "http://h/x#***"},
		{"http://h/x?a=b#abc", "http://h/x?a=b#***"},
		{"", ""},
	};
	char buf[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++)
		assert_string_equal(url_mask(buf, sizeof(buf), rowv[i].url),
				    rowv[i].want);
}

static void test_ends(void **state)
{
	(void)state;
	assert_true(str_ends("base/v1", "/v1"));
	assert_true(str_ends("/v1", "/v1"));
	assert_true(str_ends("", ""));
	assert_false(str_ends("base/v1/", "/v1"));
	assert_false(str_ends("v1", "/v1"));
}

static void test_url_is_http(void **state)
{
	(void)state;
	assert_true(url_is_http("http://host"));
	assert_true(url_is_http("https://host/x"));
	assert_false(url_is_http(""));
	assert_false(url_is_http("http:host"));
	assert_false(url_is_http("openai+https://host"));
	assert_false(url_is_http("wss://host"));
}

static void test_utf8(void **state)
{
	static const struct {
		const char *s;
		bool valid;
	} rowv[] = {
		{"", true},
		{"abc", true},
		{"\xc3\xa1", true},
		{"\xe2\x82\xac", true},
		{"\xf0\x9f\x98\x80", true},
		{"\xf4\x8f\xbf\xbf", true},
		{"\xc0\xaf", false}, /* overlong */
		{"\xe0\x80\xaf", false},
		{"\xf0\x80\x80\xaf", false},
		{"\xed\xa0\x80", false},     /* surrogate */
		{"\xf4\x90\x80\x80", false}, /* above U+10FFFF */
		{"\x80", false},
		{"\xc3", false},
		{"\xe2\x82", false},
		{"\xff", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++)
		assert_int_equal(utf8_is_valid(rowv[i].s, strlen(rowv[i].s)),
				 rowv[i].valid);
}

static void test_log_escape(void **state)
{
	struct log_buf b;
	char longer[1200];

	(void)state;
	assert_string_equal(log_escape(&b, "a\"b\\c\n"), "a\\\"b\\\\c\\u000a");

	/* cut at 505 bytes, in the middle of a two-byte character */
	for (size_t i = 0; i + 2 < sizeof(longer); i += 2)
		memcpy(longer + i, "\xc3\xa1", 3);
	log_escape(&b, longer);
	assert_true(utf8_is_valid(b.s, strlen(b.s)));
	assert_in_range(strlen(b.s), 500, 511);
}

static void test_printf_dup(void **state)
{
	char *s = NULL;

	(void)state;
	assert_int_equal(str_printf(&s, "%d-%s", 7, "x"), 0);
	assert_string_equal(s, "7-x");
	mem_deref(s);
	assert_int_equal(str_ndup(&s, "abcdef", 3), 0);
	assert_string_equal(s, "abc");
	mem_deref(s);
	assert_true(str_eq_secret("abc", "abc"));
	assert_false(str_eq_secret("abc", "abd"));
	assert_false(str_eq_secret("abc", "abcd"));
}

static void test_quotes(void **state)
{
	static const struct {
		const char *text, *secret;
		bool quotes;
	} tests[] = {
		{"no such key: abcdefgh!", "abcdefgh", true},
		{"abcdefgh", "abcdefgh", true},
		{"a key abcd", "abcdefgh", true}, /* and here it was cut */
		{"abcdefg", "abcdefgh", true},
		{"a key abc", "abcdefgh", false}, /* may be anything */
		{"a key abcd?", "abcdefgh", false},
		{"abc", "abcdefgh", false},
		{"", "abcdefgh", false},
		{"a key", "", false},
		{"a key", NULL, false},
		{"", "", false},
		{"x", "x", true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		assert_int_equal(str_quotes(tests[i].text, tests[i].secret),
				 tests[i].quotes);
}

static void test_wipe(void **state)
{
	char *s = NULL, *seen;

	(void)state;
	assert_null(str_wipe(NULL));
	assert_int_equal(str_dup(&s, "secret"), 0);
	seen = mem_ref(s);
	assert_null(str_wipe(s));
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(seen[i], 0);
	mem_deref(seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quotes),
		cmocka_unit_test(test_wipe),
		cmocka_unit_test(test_url_mask_hides_secrets),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_url_is_http),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_log_escape),
		cmocka_unit_test(test_printf_dup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

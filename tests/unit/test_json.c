#include <convod/json.h>
#include <convod/str.h>
#include "test.h"

static void test_parse(void **state)
{
	static const struct {
		const char *s;
		int err;
	} tests[] = {
		{"{\"a\":1}", 0},
		{"[]", 0},
		{" 3 ", 0},
		{"\"x\"", 0},
		{"null", 0},
		{"{\"a\":1,\"a\":2}", 0},
		{"", EPROTO},
		{" ", EPROTO},
		{"{", EPROTO},
		{"{} {}", EPROTO},
		{"\"\\u0000\"", EPROTO},
		{"\"\xff\"", EPROTO},
		{"\"\\ud83d\\u\"", EPROTO},
		{"\"\\ud83d", EPROTO},
		{"\"\\ud83d\\", EPROTO},
		{"\\ud83d", EPROTO},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		json_t *j = NULL;

		assert_int_equal(jsn_parse(&j, tests[i].s, strlen(tests[i].s)),
				 tests[i].err);
		json_decref(j);
	}
}

/* As servers send them that cut a text by UTF-16 units */
static void test_halves_of_characters(void **state)
{
	static const struct {
		const char *s, *text;
	} tests[] = {
		{"\"a\\ud83d\"", "a\xef\xbf\xbd"},
		{"\"\\uDE00 b\"", "\xef\xbf\xbd b"},
		{"\"\\ud83d\\ud83d\\ude00\"", "\xef\xbf\xbd\xf0\x9f\x98\x80"},
		{"\"\\\\ud83d \\ud83d\"", "\\ud83d \xef\xbf\xbd"},
		{"\"\\ud83d\\u0041\"", "\xef\xbf\xbd"
				       "A"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		json_t *j;

		assert_int_equal(jsn_parse(&j, tests[i].s, strlen(tests[i].s)),
				 0);
		assert_string_equal(json_string_value(j), tests[i].text);
		json_decref(j);
	}
}

static void test_deep_nesting_is_refused(void **state)
{
	static char s[100000];
	json_t *j = NULL;

	memset(s, '[', sizeof(s));
	assert_int_equal(jsn_parse(&j, s, sizeof(s)), EPROTO);
	assert_null(j);
}

static void test_members(void **state)
{
	json_t *j = json_pack("{s:s, s:s, s:i, s:f, s:i, s:I, s:n}", "s", "á",
			      "empty", "", "n", 7, "f", 7.9, "neg", -1, "big",
			      (json_int_t)1 << 40, "null");

	assert_string_equal(jsn_str(j, "s"), "á");
	assert_null(jsn_str(j, "empty"));
	assert_null(jsn_str(j, "n"));
	assert_null(jsn_str(j, "none"));
	assert_null(jsn_str(NULL, "s"));

	assert_int_equal(jsn_u32(j, "n", 0, 100, 5), 7);
	assert_int_equal(jsn_u32(j, "f", 0, 100, 5), 7);
	assert_int_equal(jsn_u32(j, "neg", 1, 100, 5), 1);
	assert_int_equal(jsn_u32(j, "big", 1, 100, 5), 100);
	assert_int_equal(jsn_u32(j, "null", 1, 100, 5), 5);
	assert_int_equal(jsn_u32(NULL, "n", 1, 100, 5), 5);
	json_decref(j);
}

static int body(void *arg)
{
	json_t *j = NULL;
	char *s = NULL;
	int err = jsn_parse(&j, arg, strlen(arg));

	if (!err)
		err = jsn_print(&s, j);
	if (!err)
		assert_string_equal(s, "{\"a\":[1,\"x\"]}");
	json_decref(j);
	mem_deref(s);

	/* jansson reports some failed allocations as bad JSON */
	return err == EPROTO ? ENOMEM : err;
}

static void test_out_of_memory(void **state)
{
	char s[] = "{ \"a\": [ 1, \"x\" ] }";

	oom_loop(body, s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_halves_of_characters),
		cmocka_unit_test(test_deep_nesting_is_refused),
		cmocka_unit_test(test_members),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdlib.h>
#include <string.h>
#include <convod/str.h>
#include <convod/words.h>
#include "test.h"

static void test_fold(void **state)
{
	static const struct {
		const char *text, *folded;
	} tests[] = {
		{"", ""},
		{" ", ""},
		{"?!", ""},
		{"Yes.", "yes"},
		{"  Yes,\tplease!  ", "yes please"},
		{"Don't", "dont"},
		{"don\xe2\x80\x99t", "dont"},
		{"o'clock's", "oclocks"},
		{"10:30 a.m.", "10 30 a m"},
		{"\xc3\x89g heiti \xc3\x9e\xc3\xb3ra",
		 "\xc3\xa9g heiti \xc3\xbe\xc3\xb3ra"},
		{"\xd0\x9c\xd0\xb8\xd1\x80", "\xd0\xbc\xd0\xb8\xd1\x80"},
		{"\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82",
		 "\xe4\xbd\xa0\xe5\xa5\xbd"},
		{"a\xf0\x9f\x98\x80"
		 "b",
		 "a b"},
		{"<speak>One</speak>", "speak one speak"},
	};
	char dst[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		words_fold(dst, sizeof(dst), tests[i].text);
		assert_string_equal(dst, tests[i].folded);
	}
}

/* Never beyond its room, and never within a character */
static void test_what_does_not_fit(void **state)
{
	static const char *const textv[] = {
		"abcdefghijklmnopqrstuvwxyz",
		"a b c d e f g h i j k l m",
		"\xc3\x9e\xc3\x9e\xc3\x9e\xc3\x9e\xc3\x9e\xc3\x9e\xc3\x9e",
		"𝒜𝒜𝒜𝒜",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++) {
		for (size_t size = 8; size < 40; size++) {
			char *dst = malloc(size), all[64];

			words_fold(all, sizeof(all), textv[i]);
			words_fold(dst, size, textv[i]);
			assert_memory_equal(dst, all, strlen(dst));
			assert_true(utf8_is_valid(dst, strlen(dst)));
			assert_true(strlen(dst) + 6 >= MIN(size, strlen(all)));
			free(dst);
		}
	}
}

static void test_words(void **state)
{
	const char *pos = "one two  three";
	size_t n;

	(void)state;
	assert_memory_equal(words_take(&pos, &n), "one", 3);
	assert_int_equal(n, 3);
	assert_memory_equal(words_take(&pos, &n), "two", 3);
	assert_memory_equal(words_take(&pos, &n), "three", 5);
	assert_int_equal(n, 5);
	assert_null(words_take(&pos, &n));
	assert_null(words_take(&pos, &n));

	assert_true(words_has("one two three", "two", 3));
	assert_true(words_has("one two three", "three and", 5));
	assert_false(words_has("one two three", "tw", 2));
	assert_false(words_has("one two three", "threes", 6));
	assert_false(words_has("", "a", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fold),
		cmocka_unit_test(test_what_does_not_fit),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include <convod/str.h>
#include "test.h"

static void test_known_texts(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *want;
	} rowv[] = {
		/* RFC 4648 section 10, with and without padding */
		{"", 0, ""},
		{"Zg==", 0, "f"},
		{"Zm8=", 0, "fo"},
		{"Zm9v", 0, "foo"},
		{"Zm9vYg==", 0, "foob"},
		{"Zm9vYmE=", 0, "fooba"},
		{"Zm9vYmFy", 0, "foobar"},
		{"Zg", 0, "f"},
		{"Zm8", 0, "fo"},
		{"Zm9vYg", 0, "foob"},
		{"//8=", 0, "\xff\xff"},
		{"+/+/", 0, "\xfb\xff\xbf"},
		{"A", EBADMSG, ""},
		{"AAAAA", EBADMSG, ""},
		{"=", EBADMSG, ""},
		{"==", EBADMSG, ""},
		{"====", EBADMSG, ""},
		{"A===", EBADMSG, ""},
		{"Zg=", EBADMSG, ""},
		{"Zg==Zg==", EBADMSG, ""},
		{"Zm8=Zm8=", EBADMSG, ""},
		{"Z=g=", EBADMSG, ""},
		{"=Zg=", EBADMSG, ""},
		{"Zm9v=", EBADMSG, ""},
		{"Zm9v==", EBADMSG, ""},
		{"Zm9v====", EBADMSG, ""},
		{"Zm9v\n", EBADMSG, ""},
		{" Zm9v", EBADMSG, ""},
		{"Zm 9", EBADMSG, ""},
		{"@@@@", EBADMSG, ""},
		{"-_-_", EBADMSG, ""}, /* the URL alphabet */
		{"\xc3\xa1\xc3\xa1", EBADMSG, ""},
		{"Zh==", EBADMSG, ""}, /* bits left over */
		{"Zm9=", EBADMSG, ""},
		{"Zh", EBADMSG, ""},
	};
	uint8_t buf[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		size_t n = 0, len = strlen(rowv[i].text);

		if (base64_decode(buf, &n, rowv[i].text, len) != rowv[i].err)
			fail_msg("row %zu \"%s\"", i, rowv[i].text);
		assert_int_equal(n, strlen(rowv[i].want));
		assert_memory_equal(buf, rowv[i].want, n);
	}
}

static void test_each_character_at_each_place(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789+/";

	(void)state;
	for (unsigned at = 0; at < 4; at++) {
		for (int c = 0; c < 256; c++) {
			const char *p = c ? strchr(alphabet, c) : NULL;
			char text[4] = {'A', 'A', 'A', 'A'};
			uint8_t buf[8];
			size_t n;
			uint32_t w;

			/* "AAA=" is good, and tested above */
			if (c == '=' && at == 3)
				continue;
			text[at] = (char)c;
			assert_int_equal(base64_decode(buf, &n, text, 4),
					 p ? 0 : EBADMSG);
			if (!p)
				continue;
			assert_int_equal(n, 3);
			w = (uint32_t)(p - alphabet) << (18 - 6 * at);
			assert_int_equal(buf[0] << 16 | buf[1] << 8 | buf[2],
					 w);
		}
	}
}

static void test_round_trip_of_every_length(void **state)
{
	uint8_t *src, *back;
	uint32_t seed = 1;

	(void)state;
	for (size_t n = 0; n < 400; n++) {
		size_t len, got = 0;
		char *text = malloc(BASE64_LEN(n) + 1);

		/* exact sizes, so that a sanitizer sees one byte too many */
		src = malloc(n + 1);
		back = malloc(BASE64_DECODED_MAX(BASE64_LEN(n)));
		for (size_t i = 0; i < n; i++) {
			seed = seed * 1664525 + 1013904223;
			src[i] = (uint8_t)(seed >> 24);
		}
		len = base64_encode(text, src, n);
		assert_int_equal(len, BASE64_LEN(n));
		assert_int_equal(base64_decode(back, &got, text, len), 0);
		assert_int_equal(got, n);
		assert_memory_equal(back, src, n);

		/* and again without padding */
		while (len && text[len - 1] == '=')
			--len;
		free(back);
		back = malloc(BASE64_DECODED_MAX(len));
		assert_int_equal(base64_decode(back, &got, text, len), 0);
		assert_int_equal(got, n);
		assert_memory_equal(back, src, n);
		free(src);
		free(back);
		free(text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_texts),
		cmocka_unit_test(test_each_character_at_each_place),
		cmocka_unit_test(test_round_trip_of_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

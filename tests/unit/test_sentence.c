#include <convod/defs.h>
#include <convod/sentence.h>
#include "test.h"

static void test_cut(void **state)
{
	static const struct {
		const char *s;
		bool last;
		const char *first; /* NULL: its end has not come yet */
	} tests[] = {
		{"One. Two.", true, "One."},
		{"One.", true, "One."},
		{"One.", false, NULL},
		{"One. ", false, "One."},
		{"On the 3. ", false, NULL}, /* "maí" may follow */
		{"On the 3. ", true, "On the 3."},
		{"One", false, NULL},
		{"One", true, "One"},
		{"", true, ""},
		{"Really?! Yes.", true, "Really?!"},
		{"He said \"no.\" Then", true, "He said \"no.\""},
		{"It is 3.14 now. So", true, "It is 3.14 now."},
		{"At 12:30 we close. So", true, "At 12:30 we close."},
		{"Mr. Smith is in. So", true, "Mr. Smith is in."},
		{"E.g. this one. So", true, "E.g. this one."},
		{"J. Smith is in. So", true, "J. Smith is in."},
		{"Hann kemur 3. ma\xc3\xad. Svo", true,
		 "Hann kemur 3. ma\xc3\xad."},
		{"Come on the 3. We open", true, "Come on the 3."},
		{"See https://a.example/b.c?d now. So", true,
		 "See https://a.example/b.c?d now."},
		{"First line\nsecond", true, "First line\n"},
		{"Wait… what", true, "Wait…"},
		{"List: one", true, "List:"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const char *s = tests[i].s;
		size_t n = sentence_cut(s, strlen(s), tests[i].last);

		if (!tests[i].first) {
			assert_int_equal(n, 0);
			continue;
		}
		if (n != strlen(tests[i].first))
			fail_msg("'%s': %.*s", s, (int)n, s);
	}
}

static void test_clause(void **state)
{
	static const struct {
		const char *s;
		bool last;
		size_t n;
	} tests[] = {
		{"Yes. We do.", false, 4},
		{"Yes, we do", false, 0},
		{"Yes, we do", true, 10},
		{"We open at half past six, and", false, 25},
		{"We open at half past six,", false, 0}, /* 6,5? */
		{"We open at half past six, as ever. And", false, 34},
		{"It costs about a thousand 1,50 or", false, 0},
		{"We open at half past six on weekdays; at weekends we open "
		 "at eight. And",
		 false, 37},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		assert_int_equal(sentence_clause(tests[i].s,
						 strlen(tests[i].s),
						 tests[i].last),
				 tests[i].n);
}

static void test_is_end(void **state)
{
	static const struct {
		const char *s;
		bool end;
	} tests[] = {
		{"Yes.", true}, {"Yes. ", true}, {"Yes.\" ", true},
		{"Yes", false}, {"Wait…", true}, {"Yes,", false},
		{"", false},    {" ", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		assert_int_equal(
			sentence_is_end(tests[i].s, strlen(tests[i].s)),
			tests[i].end);
}

static void test_many_marks_are_bounded(void **state)
{
	char s[1000];

	memset(s, '!', sizeof(s));
	s[0] = 'a';
	s[sizeof(s) - 1] = ' ';
	assert_in_range(sentence_cut(s, sizeof(s), true), 1, SENTENCE_MAX);
}

static void test_long_text_is_cut_at_a_blank(void **state)
{
	char s[1000];
	size_t n;

	for (size_t i = 0; i < sizeof(s); i++)
		s[i] = i % 7 == 6 ? ' ' : 'a';
	n = sentence_cut(s, sizeof(s), false);
	assert_in_range(n, SENTENCE_MAX / 2, SENTENCE_MAX);
	assert_int_equal(s[n], ' ');

	memset(s, 'a', sizeof(s));
	assert_int_equal(sentence_cut(s, sizeof(s), false), SENTENCE_MAX);
	for (size_t i = 0; i < sizeof(s); i += 2)
		memcpy(s + i, "\xc3\xa9", 2);
	assert_int_equal(sentence_cut(s + 1, sizeof(s) - 1, true) % 2, 1);
}

static void test_clean(void **state)
{
	static const struct {
		const char *s, *clean;
		bool any;
	} tests[] = {
		{"Hello there.", "Hello there.", true},
		{"  a \n\t b  ", "a b", true},
		{"<speak>Hi <break time='1s'/>you</speak>", "Hi you", true},
		{"2 < 3", "2 3", true},
		{"**bold** and `code`", "bold and code", true},
		{"see https://a.example/x?y=1 now", "see now", true},
		{"fine \xf0\x9f\x98\x80 day", "fine day", true},
		/* a woman at a computer, a keycap, a flag of tags */
		{"\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x92\xbb", "", false},
		{"1\xef\xb8\x8f\xe2\x83\xa3 one", "1 one", true},
		{"\xf0\x9f\x8f\xb4\xf3\xa0\x81\xa7\xf3\xa0\x81\xbf", "",
		 false},
		{"\xef\xbb\xbfHi \xef\xbf\xbd\xe2\x80\x8byou", "Hi you", true},
		/* what joins letters stays */
		{"\xe0\xb4\xa8\xe2\x80\x8d", "\xe0\xb4\xa8\xe2\x80\x8d", true},
		{"ma\xc3\xad", "ma\xc3\xad", true},
		{"- milk\n - eggs\n+ ham", "milk eggs ham", true},
		{"half-baked - no", "half-baked - no", true},
		{"\xe2\x80\xa2 milk", "milk", true},
		{"see [our page](https://a.example/x) now", "see our page now",
		 true},
		{"[a](/b) (c) [d] (e f)", "a (c) d (e f)", true},
		{"...", "...", false},
		{"", "", false},
		{"\x01\x02", "", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char dst[256];
		bool any = sentence_clean(dst, tests[i].s, strlen(tests[i].s));

		assert_int_equal(any, tests[i].any);
		if (any)
			assert_string_equal(dst, tests[i].clean);
	}
}

/* Each byte of the copy is where it came from */
static void test_origin(void **state)
{
	static const char *const textv[] = {
		"Hello there.",
		"  a \n\t b  ",
		"<speak>Hi <break time='1s'/>you</speak> ",
		"**bold** and `code`",
		"see https://a.example/x?y=1 now",
		"fine \xf0\x9f\x98\x80 day",
		"2 < 3",
		"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++) {
		const char *s = textv[i];
		size_t len = strlen(s), last = 0, at;
		char dst[256];
		bool any = sentence_clean(dst, s, len);

		for (size_t k = 0; dst[k]; k++) {
			at = sentence_origin(s, len, k);
			assert_true(k == 0 || at > last);
			assert_true(at < len);
			if (dst[k] != ' ')
				assert_int_equal(s[at], dst[k]);
			last = at;
		}
		at = sentence_origin(s, len, strlen(dst));
		if (any)
			assert_int_equal(at, last + 1);
		assert_int_equal(sentence_origin(s, len, 1000), len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_clause),
		cmocka_unit_test(test_is_end),
		cmocka_unit_test(test_many_marks_are_bounded),
		cmocka_unit_test(test_long_text_is_cut_at_a_blank),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_origin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

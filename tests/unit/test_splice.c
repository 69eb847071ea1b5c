#include "../../src/audio/splice.h"
#include "test.h"

enum {
	LOUD = 0x10,  /* -16764 */
	HISS = 0xe2,  /* 340: more than -40 dBFS */
	FAINT = 0xe4, /* 308: less */
};

static int level(uint8_t code)
{
	return g711_ulaw_decode(code);
}

static void test_in_from_silence(void **state)
{
	uint8_t ulawv[100];

	(void)state;
	memset(ulawv, LOUD, sizeof(ulawv));
	splice_in(ulawv, sizeof(ulawv), ULAW_SILENCE);
	assert_int_equal(ulawv[0], ULAW_SILENCE);
	for (size_t i = 1; i < SPLICE_SAMPLES; i++)
		assert_true(level(ulawv[i]) <= level(ulawv[i - 1]));
	assert_in_range(-level(ulawv[SPLICE_SAMPLES / 2]), 7900, 8800);
	for (size_t i = SPLICE_SAMPLES; i < sizeof(ulawv); i++)
		assert_int_equal(ulawv[i], LOUD);
}

static void test_in_from_sound(void **state)
{
	uint8_t ulawv[100];

	(void)state;
	memset(ulawv, ULAW_SILENCE, sizeof(ulawv));
	splice_in(ulawv, sizeof(ulawv), LOUD);
	assert_int_equal(ulawv[0], LOUD);
	for (size_t i = 1; i < SPLICE_SAMPLES; i++)
		assert_true(level(ulawv[i]) >= level(ulawv[i - 1]));
	assert_in_range(-level(ulawv[SPLICE_SAMPLES - 1]), 300, 500);
	assert_int_equal(ulawv[SPLICE_SAMPLES], ULAW_SILENCE);

	/* nothing to join: the same on both sides */
	memset(ulawv, LOUD, sizeof(ulawv));
	splice_in(ulawv, sizeof(ulawv), LOUD);
	for (size_t i = 0; i < sizeof(ulawv); i++)
		assert_in_range(-level(ulawv[i]), 15740, 16764);
}

static void test_out(void **state)
{
	uint8_t ulawv[100];

	(void)state;
	memset(ulawv, LOUD, sizeof(ulawv));
	splice_out(ulawv, sizeof(ulawv));
	assert_int_equal(ulawv[99 - SPLICE_SAMPLES], LOUD);
	for (size_t i = 100 - SPLICE_SAMPLES; i < 100; i++)
		assert_true(level(ulawv[i]) >= level(ulawv[i - 1]));
	assert_int_equal(ulawv[99], ULAW_SILENCE);
	assert_true(splice_is_quiet(ulawv[99]));
	assert_false(splice_is_quiet(LOUD));
}

static void test_short_ones(void **state)
{
	uint8_t ulawv[3] = {LOUD, LOUD, LOUD};

	(void)state;
	splice_in(ulawv, 0, LOUD);
	splice_out(ulawv, 0);
	splice_in(ulawv, 3, ULAW_SILENCE);
	assert_int_equal(ulawv[0], ULAW_SILENCE);
	splice_out(ulawv, 3);
	assert_int_equal(ulawv[2], ULAW_SILENCE);
	splice_out(ulawv + 1, 1);
	assert_int_equal(ulawv[1], ULAW_SILENCE);
}

static void test_loop(void **state)
{
	static const struct {
		uint8_t first, middle, last;
		bool loop;
	} tests[] = {
		{LOUD, LOUD, LOUD, true},
		{ULAW_SILENCE, LOUD, ULAW_SILENCE, true},
		{ULAW_SILENCE, LOUD, LOUD, true}, /* it has such steps */
		{FAINT, ULAW_SILENCE, LOUD, false},
	};
	uint8_t ulawv[AUDIO_RATE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		memset(ulawv, tests[i].middle, sizeof(ulawv));
		ulawv[0] = tests[i].first;
		ulawv[sizeof(ulawv) - 1] = tests[i].last;
		assert_int_equal(splice_is_loop(ulawv, sizeof(ulawv)),
				 tests[i].loop);
	}

	/* smooth at both ends, but loud at one only */
	memset(ulawv, LOUD, sizeof(ulawv));
	memset(ulawv, ULAW_SILENCE, sizeof(ulawv) / 2);
	assert_false(splice_is_loop(ulawv, sizeof(ulawv)));
	assert_true(splice_is_loop(ulawv, 1));
	assert_true(splice_is_loop(ulawv, 0));
}

/* Speech as runs of blocks of 5 ms: L loud, h hiss, . faint, _ silence */
static size_t draw(uint8_t *ulawv, const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n * 40; i++) {
		char c = s[i / 40];

		ulawv[i] = c == 'L'   ? LOUD
			   : c == 'h' ? HISS
			   : c == '.' ? FAINT
				      : ULAW_SILENCE;
	}

	return n * 40;
}

static void test_pause(void **state)
{
	static const struct {
		const char *s;
		int pos, want; /* blocks */
	} tests[] = {
		/* none */
		{"", 0, 0},
		{"LLLLLLLLLLLLLLLLLLLL", 20, 0},
		{"LLLLLLLLLLLLLLLLLLLL", 0, 0},
		{"LL___________LLLLLLL", 18, 0}, /* 55 ms */
		{"LLhhhhhhhhhhhhLLLLLL", 18, 0}, /* not quiet enough */
		{"LL______L______LLLLL", 18, 0}, /* two short ones */

		/* 60 ms: from 40 ms before its end */
		{"LL____________LLLLLL", 18, 6},
		{"LL............LLLLLL", 18, 6},
		{"LL____________LLLLLL", 14, 6},
		{"____________LLLLLLLL", 18, 4},
		{"____________LLLLLLLL", 12, 4},

		/* a long one, begun or going on at the position */
		{"LL________________LLLLLL", 22, 10},
		{"LL________________LLLLLL", 16, 10},
		{"LL________________LLLLLL", 3, 3},
		{"LL________________", 18, 10},
		{"LL________________", 8, 8},

		/* it begins at the position: not before it */
		{"LL____________LLLLLL", 2, 0},
		{"____________LLLLLLLL", 0, 0},

		/* the last one counts */
		{"____________LL____________LL", 27, 18},
		{"____________LL___________LLL", 27, 4},

		/* a position beyond the end */
		{"LL____________LL", 1000, 6},
	};
	uint8_t ulawv[2000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		size_t n = draw(ulawv, tests[i].s);
		size_t pos = splice_pause(ulawv, n, (size_t)tests[i].pos * 40);

		if (pos != (size_t)tests[i].want * 40)
			fail_msg("'%s' at %d: %.2f blocks, not %d", tests[i].s,
				 tests[i].pos, (double)pos / 40,
				 tests[i].want);
	}
}

/* Nothing is read outside, and the answer is not behind the position */
static void test_pause_anywhere(void **state)
{
	uint8_t *ulawv = malloc(1000);

	(void)state;
	assert_non_null(ulawv);
	for (size_t seed = 0; seed < 200; seed++) {
		for (size_t i = 0; i < 1000; i++)
			ulawv[i] = i / (seed + 1) % 3 ? ULAW_SILENCE : LOUD;
		for (size_t pos = 0; pos <= 1000; pos += 7)
			assert_true(splice_pause(ulawv, 1000, pos) <= pos);
	}
	free(ulawv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_from_silence),
		cmocka_unit_test(test_in_from_sound),
		cmocka_unit_test(test_out),
		cmocka_unit_test(test_short_ones),
		cmocka_unit_test(test_loop),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_pause_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

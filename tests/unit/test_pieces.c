#include <stdio.h>
#include "../../src/dialog/pieces.h"
#include "test.h"

/* Pieces of a text that comes step bytes at a time: "one|two|" */
static void cut(char *out, size_t size, const char *text, size_t step)
{
	struct pieces p = {0};
	char piece[PIECE_SIZE];
	size_t n = strlen(text);

	out[0] = '\0';
	for (size_t i = 0; i <= n; i += step) {
		bool end = i + step > n;

		pieces_add(&p, text + i, MIN(step, n - i));
		while (pieces_take(&p, piece, PIECES_MORE) ||
		       (end && pieces_take(&p, piece, PIECES_END))) {
			size_t len = strlen(out);

			(void)snprintf(out + len, size - len, "%s|", piece);
		}
	}
}

static const struct {
	const char *text, *pieces;
} cuts[] = {
	{"", ""},
	{"Hello", "Hello|"},
	{"Góðan dag. Við opnum kl 6:30 og verðið er 1.250 kr. Er eitthvað "
	 "fleira?",
	 "Góðan dag.|Við opnum kl 6:30 og verðið er 1.250 kr.|Er eitthvað "
	 "fleira?|"},
	/* the first may be a clause */
	{"At the weekend we open at nine, and we close at six as always. Bye.",
	 "At the weekend we open at nine,|and we close at six as always.|"
	 "Bye.|"},
	/* what is short waits for more, when there is time */
	{"One and two and three and four and five and six. Yes. No. Maybe so.",
	 "One and two and three and four and five and six.|"
	 "Yes. No. Maybe so.|"},
	{"<think>The caller, hm. Wants</think>Yes. No.", "Yes.|No.|"},
	{"<think>\nHm. Well.\n</think>\n\nYes.", "Yes.|"},
	{"Yes.<thinking>no</thinking>So it is.", "Yes.|So it is.|"},
	{"<think>a</think>A <reasoning>b</reasoning>b.", "A b.|"},
	{"<think>never ends. At all.", ""},
	{"no thinking yet</think>Yes.", "Yes.|"},
	{"Is 1 <th 2? No.", "Is 1 th 2?|No.|"},
	{"Look:\n```c\nint main(void);\n```\nThat is all.",
	 "Look:|That is all.|"},
	{"**Já** \xf0\x9f\x98\x80 takk.", "Já takk.|"},
	{"... !!! \xf0\x9f\x98\x80", ""},
	{"See [us](https://a.example/b). Now.", "See us .|Now.|"},
};

/* Wherever the text is cut on its way */
static void test_cuts(void **state)
{
	char out[8192];

	for (size_t i = 0; i < ARRAY_SIZE(cuts); i++) {
		for (size_t step = 1; step < 80; step++) {
			cut(out, sizeof(out), cuts[i].text, step);
			if (strcmp(out, cuts[i].pieces) != 0)
				fail_msg("by %zu: '%s': '%s'", step,
					 cuts[i].text, out);
		}
	}
}

static void add(struct pieces *p, const char *s)
{
	pieces_add(p, s, strlen(s));
}

/* A dot is an end when nothing comes, words alone are none */
static void test_pause(void **state)
{
	struct pieces p = {0};
	char piece[PIECE_SIZE];

	add(&p, "Yes.");
	assert_true(pieces_wait(&p));
	assert_false(pieces_take(&p, piece, PIECES_MORE));
	assert_true(pieces_take(&p, piece, PIECES_PAUSE));
	assert_string_equal(piece, "Yes.");
	assert_false(pieces_wait(&p));

	add(&p, " We open");
	assert_false(pieces_take(&p, piece, PIECES_PAUSE));
	assert_true(pieces_wait(&p));
	add(&p, ". And cl");
	assert_true(pieces_take(&p, piece, PIECES_PAUSE));
	assert_string_equal(piece, "We open.");
	assert_false(pieces_take(&p, piece, PIECES_PAUSE));
	assert_true(pieces_take(&p, piece, PIECES_END));
	assert_string_equal(piece, "And cl");

	add(&p, "No.<thi");
	assert_false(pieces_take(&p, piece, PIECES_PAUSE));
}

static void test_long_texts_are_cut_off(void **state)
{
	static char text[3 * PIECES_MAX];
	struct pieces p = {0};
	char piece[PIECE_SIZE];
	size_t n = 0, count = 0;

	for (size_t i = 0; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, i % 64 == 62 ? ". " : "é", 2);
	text[sizeof(text) - 1] = '\0';
	pieces_add(&p, text, sizeof(text) - 1);
	assert_true(p.full);
	while (pieces_take(&p, piece, PIECES_END)) {
		n += strlen(piece);
		++count;
	}
	assert_in_range(n, PIECES_MAX * 9 / 10, PIECES_MAX);
	assert_in_range(count, 1, 30);

	/* and little by little */
	memset(&p, 0, sizeof(p));
	n = 0;
	for (size_t i = 0; i + 64 < sizeof(text); i += 64) {
		pieces_add(&p, text + i, 64);
		while (pieces_take(&p, piece, PIECES_MORE))
			n += strlen(piece);
	}
	assert_true(p.full);
	assert_in_range(n, PIECES_MAX - PIECES_LONG,
			PIECES_MAX + SENTENCE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_pause),
		cmocka_unit_test(test_long_texts_are_cut_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

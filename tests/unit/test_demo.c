/*
 * Whole conversations with the demo bot, and its file's phrases.
 */
#include <stdio.h>
#include <convod/str.h>
#include "../../src/dialog/demo.h"
#include "test.h"

struct turn {
	const char *said;   /* NULL ends; "?" was rejected, "…" is silence */
	const char *answer; /* a part of it */
	char end;           /* 'h' hang up, 't' transfer, else 0 */
};

static struct bot *load(void)
{
	char why[BOT_WHY_MAX];
	struct bot *b = NULL;
	int err = bot_load(&b, NULL, why);

	if (err)
		fprintf(stderr, "%s\n", why);
	assert_int_equal(err, 0);

	return b;
}

static enum dialog_turn_kind kind_of(const char *said)
{
	return !said[0]            ? DIALOG_OPENING
	       : str_eq(said, "?") ? DIALOG_NOISE
	       : str_eq(said, "…") ? DIALOG_NOBODY
				   : DIALOG_SPEECH;
}

static void talk(const struct turn *t)
{
	struct bot *b = load();
	struct demo_state s = {0};
	struct demo_answer a;

	for (; t->said; t++) {
		enum dialog_turn_kind kind = kind_of(t->said);

		demo_turn(b, &s, &a, kind,
			  kind == DIALOG_SPEECH ? t->said : "");
		if (!strstr(a.text, t->answer) || strchr(a.text, '{'))
			fail_msg("'%s': '%s' is not in '%s'", t->said,
				 t->answer, a.text);
		assert_int_equal(a.hangup, t->end == 'h');
		assert_int_equal(a.transfer, t->end == 't');
	}
	mem_deref(b);
}

static void test_books_with_everything_in_one_sentence(void **state)
{
	talk((const struct turn[]){
		{"", "How can I help", 0},
		{"i would like to make an appointment next friday at ten "
		 "o'clock",
		 "for next friday at ten o'clock. Shall I", 0},
		{"yes please", "You have an appointment for next friday", 0},
		{"no", "Goodbye", 'h'},
		{NULL, NULL, 0},
	});
}

static void test_asks_again_when_nobody_answers(void **state)
{
	talk((const struct turn[]){
		{"", "How can I help", 0},
		{"…", "How can I help", 0},
		{"i want an appointment", "day", 0},
		{"?", "", 0},
		{"…", "day", 0}, /* not the "sorry" between */
		{NULL, NULL, 0},
	});
}

static void test_asks_for_what_is_missing(void **state)
{
	talk((const struct turn[]){
		{"", "Hello", 0},
		{"i would like to make an appointment", "Which day", 0},
		{"?", "Sorry", 0},
		{"on tuesday", "At what time", 0},
		{"repeat that please", "At what time", 0},
		{"at ten", "for tuesday at ten. Shall", 0},
		{"half past nine", "for tuesday at half past nine. Shall", 0},
		{"tomorrow", "for tomorrow at half past nine. Shall", 0},
		{"no", "not booked anything. Is there anything else", 0},
		{"yes", "What can I do", 0},
		{NULL, NULL, 0},
	});
}

static void test_keeps_day_and_hour_that_came_together(void **state)
{
	talk((const struct turn[]){
		{"make an appointment on tuesday", "At what time", 0},
		{"tomorrow at three o'clock", "tomorrow at three", 0},
		{"yes", "Done", 0},
		{"i want to cancel the appointment on monday",
		 "cancel the appointment for monday. Is", 0},
		{"yes", "for monday is cancelled", 0},
		{"goodbye", "Goodbye", 'h'},
		{NULL, NULL, 0},
	});
}

static void test_answers_questions(void **state)
{
	talk((const struct turn[]){
		{"what are your opening hours", "We are open", 0},
		{"when are you open on saturday", "We are open", 0},
		{"What is my account balance?", "forty two euros", 0},
		{"help", "I can tell you", 0},
		{"repeat that please", "I can tell you", 0},
		{"operator", "putting you through", 't'},
		{"i want to talk to a person", "putting", 't'},
		{NULL, NULL, 0},
	});
}

/* How people say it: of the sentences that were tried on the recogniser */
static void test_other_words_for_it(void **state)
{
	talk((const struct turn[]){
		{"when do you close", "We are open", 0},
		{"what are your hours", "We are open", 0},
		{"what do i owe", "forty two euros", 0},
		{"book me in for thursday at four",
		 "for thursday at four. Shall", 0},
		{"sure", "Done", 0},
		{"i'd like an appointment on wednesday at two",
		 "for wednesday at two. Shall", 0},
		{"nope", "not booked", 0},
		{"i want to cancel", "Which day", 0},
		{"friday", "cancel the appointment for friday", 0},
		{"that's correct", "is cancelled", 0},
		{"can you repeat that", "is cancelled", 0},
		{"no that's all", "Goodbye", 'h'},
		{NULL, NULL, 0},
	});
	talk((const struct turn[]){
		{"let me talk to a human please", "putting you", 't'},
		{NULL, NULL, 0},
	});
	talk((const struct turn[]){
		{"thanks bye", "Goodbye", 'h'},
		{NULL, NULL, 0},
	});
}

static void test_three_times_unclear_offers_a_person(void **state)
{
	talk((const struct turn[]){
		{"?", "say it again", 0},
		{"the weather is going to be cold and windy tomorrow",
		 "You can ask for", 0},
		{"?", "talk to a person", 0},
		{"yes", "putting you through", 't'},
		{NULL, NULL, 0},
	});
	talk((const struct turn[]){
		{"?", "say it again", 0},
		{"help", "I can tell", 0},
		{"?", "say it again", 0},
		{"?", "You can ask for", 0},
		{"?", "talk to a person", 0},
		{"no thank you", "anything else", 0},
		{NULL, NULL, 0},
	});
}

static void test_yes_and_no_out_of_place(void **state)
{
	talk((const struct turn[]){
		{"", "Hello", 0},
		{"yes", "Sorry", 0},
		{"no", "Sorry", 0},
		{NULL, NULL, 0},
	});
}

static void test_grammar_has_every_intent(void **state)
{
	struct bot *b = load();
	char *jsgf;

	assert_int_equal(bot_grammar(b, &jsgf), 0);
	assert_true(str_starts(jsgf, "#JSGF V1.0;\n"));
	assert_non_null(strstr(jsgf, "public <turn> ="));
	assert_non_null(strstr(jsgf, "<weekday> = "));
	assert_non_null(strstr(jsgf, "opening) (hours)") ||
					strstr(jsgf, "opening hours")
				? jsgf
				: NULL);
	mem_deref(jsgf);
	mem_deref(b);
}

/* Nothing that may follow would change the answer: who says this is done */
static void test_what_is_complete(void **state)
{
	static const struct {
		const char *text;
		bool complete;
	} tests[] = {
		{"", false},
		{"yes", true}, /* "please" changes nothing */
		{"yes please", true},
		{"no", true},
		{"no thank you", true},
		{"goodbye", true},
		{"operator", true},
		{"what are your opening hours", true},
		{"when are you open", true},
		{"i want to talk to a person", true},
		{"what is my account balance", true},
		{"repeat that", true},
		{"could you say that", true},
		/* a day and an hour may follow */
		{"i would like to make an appointment", false},
		{"make an appointment on tuesday", false},
		{"make an appointment on tuesday at ten", true},
		{"make an appointment at ten", false},
		{"cancel my appointment", false},
		{"cancel my appointment on friday", true},
		{"tomorrow", false},
		{"tomorrow at three o'clock", true},
		{"at three", false},
		/* not a phrase, or only the beginning of one */
		{"i would like to", false},
		{"what", false},
		{"please", false},
		{"yes no", false},
		{"yes that is", false},
		{"the weather is going to be cold", false},
	};
	struct bot *b = load();

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		if (bot_is_complete(b, tests[i].text) != tests[i].complete)
			fail_msg("'%s'", tests[i].text);
	}
	mem_deref(b);
}

/* As many words as there are positions, and more */
static void test_long_text_is_not_complete(void **state)
{
	struct bot *b = load();
	char text[1024] = "yes";

	for (int i = 0; i < 100; i++) {
		str_copy(text + strlen(text), sizeof(text) - strlen(text),
			 " yes");
		assert_false(bot_is_complete(b, text));
	}
	mem_deref(b);
}

/* What is wrong in a file is refused and named */
static void test_bad_files(void **state)
{
#define HEAD "greeting: hi\nunclear: [sorry]\n"
	static const struct {
		const char *yaml, *why;
	} tests[] = {
		{"", "not a bot"},
		{"[", "line"},
		{"greeting: hi\n", "unclear"},
		{HEAD, "no intents"},
		{HEAD "greting: x\n", "line 3: unknown field 'greting'"},
		{HEAD "intents: [{name: a, say: b}]\n", "no phrases"},
		{HEAD "intents: [{name: a, phrases: [b]}]\n", "says nothing"},
		{HEAD "intents: [{name: a, say: b, phrases: ['(c']}]\n",
		 "cannot read the phrase"},
		{HEAD "intents: [{name: a, say: b, phrases: ['<c>']}]\n",
		 "cannot read the phrase at 'c>'"},
		{HEAD "intents: [{name: a, say: b, phrases: ['c |']}]\n",
		 "cannot read the phrase"},
		{HEAD "intents: [{name: a, does: b, phrases: [c]}]\n",
		 "unknown value of does"},
		{HEAD "intents: [{name: a, say: b, phrases: [c], "
		      "needs: {d: e}}]\n",
		 "a need is"},
		{HEAD "parts: {a: b, c: '<a> <c>'}\n", "cannot read"},
		{HEAD "intents: [{name: a, say: b, phrases: "
		      "['((((((((((((((((((a))))))))))))))))))']}]\n",
		 "too many or too deep"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char why[BOT_WHY_MAX];
		struct bot *b;
		int err = bot_parse(&b, tests[i].yaml, strlen(tests[i].yaml),
				    why);

		assert_int_equal(err, EINVAL);
		if (!strstr(why, tests[i].why))
			fail_msg("%zu: '%s' is not in '%s'", i, tests[i].why,
				 why);
	}
}

/* Parts that stand for more than anybody can decode */
static void test_parts_that_explode(void **state)
{
	char yaml[4096] = HEAD "parts:\n  p0: a b\n", why[BOT_WHY_MAX];
	struct bot *b;

	for (int i = 1; i < 30; i++) {
		size_t n = strlen(yaml);

		(void)snprintf(yaml + n, sizeof(yaml) - n,
			       "  p%d: <p%d> <p%d>\n", i, i - 1, i - 1);
	}
	assert_int_equal(bot_parse(&b, yaml, strlen(yaml), why), EINVAL);
	assert_non_null(strstr(why, "too many"));
}

static int load_body(void *arg)
{
	char why[BOT_WHY_MAX];
	struct bot *b = NULL;
	char *jsgf = NULL;
	int err = bot_load(&b, NULL, why);

	if (!err)
		err = bot_grammar(b, &jsgf);
	mem_deref(jsgf);
	mem_deref(b);

	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(load_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_books_with_everything_in_one_sentence),
		cmocka_unit_test(test_asks_again_when_nobody_answers),
		cmocka_unit_test(test_asks_for_what_is_missing),
		cmocka_unit_test(test_keeps_day_and_hour_that_came_together),
		cmocka_unit_test(test_answers_questions),
		cmocka_unit_test(test_other_words_for_it),
		cmocka_unit_test(test_three_times_unclear_offers_a_person),
		cmocka_unit_test(test_yes_and_no_out_of_place),
		cmocka_unit_test(test_grammar_has_every_intent),
		cmocka_unit_test(test_what_is_complete),
		cmocka_unit_test(test_long_text_is_not_complete),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_parts_that_explode),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

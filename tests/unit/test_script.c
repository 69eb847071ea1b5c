#include <stdio.h>
#include "script.h"
#include "test.h"

static void test_steps(void **state)
{
	static const char text[] = "# a caller\n"
				   "say yes.wav   # at once\n"
				   "\n"
				   "\tinterrupt \"my file.wav\" after 300\r\n"
				   "press 12*#AD\n"
				   "wait 0\n"
				   "wait-bot\n"
				   "wait-bot 500\n"
				   "expect-audio 2000\n"
				   "expect-silence 100\n"
				   "expect-clear 300\n"
				   "expect-close 100\n"
				   "expect-close 100 1008\n"
				   "hangup";
	static const struct {
		enum step_type type;
		const char *arg;
		uint32_t ms;
		unsigned line;
		uint16_t code;
	} rowv[] = {
		{STEP_SAY, "yes.wav", 0, 2, 0},
		{STEP_INTERRUPT, "my file.wav", 300, 4, 0},
		{STEP_PRESS, "12*#AD", 0, 5, 0},
		{STEP_WAIT, NULL, 0, 6, 0},
		{STEP_WAIT_BOT, NULL, SCRIPT_ANSWER_MS, 7, 0},
		{STEP_WAIT_BOT, NULL, 500, 8, 0},
		{STEP_EXPECT_AUDIO, NULL, 2000, 9, 0},
		{STEP_EXPECT_SILENCE, NULL, 100, 10, 0},
		{STEP_EXPECT_CLEAR, NULL, 300, 11, 0},
		{STEP_EXPECT_CLOSE, NULL, 100, 12, 0},
		{STEP_EXPECT_CLOSE, NULL, 100, 13, 1008},
		{STEP_HANGUP, NULL, 0, 14, 0},
	};
	struct list stepl = {0};
	const char *why;
	unsigned line;
	struct le *le;
	size_t i = 0;

	(void)state;
	assert_int_equal(
		script_parse(&stepl, text, sizeof(text) - 1, &line, &why), 0);
	assert_int_equal(list_count(&stepl), ARRAY_SIZE(rowv));
	LIST_FOREACH(&stepl, le)
	{
		const struct step *s = le->data;

		assert_int_equal(s->type, rowv[i].type);
		assert_int_equal(s->ms, rowv[i].ms);
		assert_int_equal(s->line, rowv[i].line);
		assert_int_equal(s->code, rowv[i].code);
		if (rowv[i].arg)
			assert_string_equal(s->arg, rowv[i].arg);
		else
			assert_null(s->arg);
		++i;
	}
	list_flush(&stepl);
}

static void test_errors_name_their_line(void **state)
{
	static const char *const rowv[] = {
		"sing x",
		"say",
		"say a b",
		"say \"a",
		"say \"\"",
		"interrupt x 300",
		"interrupt x until 300",
		"interrupt x after",
		"press",
		"press 12e",
		"wait",
		"wait -1",
		"wait 1x",
		"wait 3600001",
		"wait 9999999999",
		"wait-bot x",
		"expect-close 10 12",
		"expect-close 10 5000",
		"hangup now",
		"a b c d e f",
	};
	struct list stepl = {0};
	char text[64];
	const char *why;
	unsigned line;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		(void)snprintf(text, sizeof(text), "hangup\n%s\nhangup",
			       rowv[i]);
		assert_int_equal(
			script_parse(&stepl, text, strlen(text), &line, &why),
			EBADMSG);
		assert_int_equal(line, 2);
		assert_non_null(why);
		assert_int_equal(list_count(&stepl), 1);
		list_flush(&stepl);
	}
}

static int body(void *arg)
{
	static const char text[] = "say x\npress 1\nwait-bot\n";
	struct list stepl = {0};
	const char *why;
	unsigned line;
	int err;

	(void)arg;
	err = script_parse(&stepl, text, sizeof(text) - 1, &line, &why);
	list_flush(&stepl);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_errors_name_their_line),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include "caller.h"
#include "test.h"

/* A bot of frames: heard while `speak` is not 0; its clock is the caller's */
struct fixture {
	struct list stepl;
	struct caller *caller;
	struct caller_stats stats;
	char log[4096];
	int frames;
	int speak; /* frames the bot still speaks */
};

static void handler(const struct caller_event *ev, void *arg)
{
	static const char *const wordv[] = {
		[CALLER_SAYS] = "say",
		[CALLER_SAID] = "said",
		[CALLER_PRESSES] = "press",
		[CALLER_BOT_SPEAKS] = "bot",
		[CALLER_BOT_QUIET] = "quiet",
		[CALLER_UNANSWERED] = "unanswered",
		[CALLER_EXPECTED] = "expect",
		[CALLER_LEFT_OUT] = "left-out",
		[CALLER_HANGS_UP] = "hangup",
	};
	struct fixture *f = arg;
	size_t n = strlen(f->log);

	if (ev->type == CALLER_EXPECTED)
		n += (size_t)snprintf(f->log + n, sizeof(f->log) - n,
				      "%s:", ev->ok ? "ok" : "fail");
	if (ev->type == CALLER_BOT_SPEAKS && ev->answer)
		n += (size_t)snprintf(f->log + n, sizeof(f->log) - n,
				      "%u:", ev->ms);
	(void)snprintf(f->log + n, sizeof(f->log) - n, "%s@%u ",
		       wordv[ev->type], (unsigned)ev->at_ms);
}

static void setup_with(struct fixture *f, const char *script,
		       const struct caller_param *prm)
{
	const char *why;
	unsigned line;
	struct le *le;

	memset(f, 0, sizeof(*f));
	assert_int_equal(
		script_parse(&f->stepl, script, strlen(script), &line, &why),
		0);
	/* every file is 200 ms of sound and 100 ms of silence */
	LIST_FOREACH(&f->stepl, le)
	{
		struct step *s = le->data;

		if (s->type != STEP_SAY && s->type != STEP_INTERRUPT)
			continue;
		s->pcmc = 2400;
		s->pcmv = mem_zalloc(s->pcmc * sizeof(*s->pcmv), NULL);
		for (int i = 0; i < 1600; i++)
			s->pcmv[i] = i & 8 ? 5000 : -5000;
	}
	assert_int_equal(caller_alloc(&f->caller, &f->stepl, prm, handler, f),
			 0);
}

static void setup(struct fixture *f, const char *script)
{
	const struct caller_param prm = {
		.gap_ms = 600, .answer_ms = 2000, .greeting_ms = 1000};

	setup_with(f, script, &prm);
}

static void run(struct fixture *f, int frames)
{
	int16_t pcmv[FRAME_SAMPLES];

	for (; frames && !caller_is_done(f->caller); frames--) {
		caller_speak(f->caller, pcmv);
		for (int i = 0; i < FRAME_SAMPLES; i++)
			pcmv[i] = !f->speak ? 0 : i & 8 ? 3000 : -3000;
		f->speak -= f->speak > 0;
		caller_hear(f->caller, pcmv, f->speak > 0);
		++f->frames;
	}
}

static void teardown(struct fixture *f, const char *want)
{
	caller_stats(f->caller, &f->stats);
	assert_string_equal(f->log, want);
	mem_deref(f->caller);
	list_flush(&f->stepl);
}

static void test_waits_for_greeting_and_answer(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "say x");
	run(&f, 10);
	f.speak = 20; /* 200..600 ms */
	run(&f, 60);  /* the caller begins 600 ms later, says 200 of 300 */
	run(&f, 15);
	f.speak = 5;
	run(&f, 200);
	assert_true(caller_is_done(f.caller));
	teardown(&f, "bot@220 quiet@800 say@1200 said@1500 "
		     "300:bot@1720 quiet@2000 hangup@2400 ");
	assert_int_equal(f.stats.answers, 1);
	assert_int_equal(f.stats.wait_p50_ms, 300);
	assert_int_equal(f.stats.wait_max_ms, 300);
	assert_int_equal(f.stats.bot_ms, 500);
	assert_int_equal(f.stats.unanswered, 0);
}

static void test_nobody_greets_nobody_answers(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "say x");
	run(&f, 1000);
	teardown(&f, "say@1000 said@1300 unanswered@3200 hangup@3200 ");
	assert_int_equal(f.stats.unanswered, 1);
}

static void test_interrupt_and_press(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "interrupt x after 300\npress 12\nhangup\n");
	f.speak = 500;
	run(&f, 100);
	teardown(&f, "bot@20 say@300 said@600 press@600 press@800 "
		     "hangup@800 ");
}

static void test_clear_ends_the_bots_speech(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, "interrupt x after 300\n");
	f.speak = 500;
	run(&f, 20);
	f.speak = 0;
	caller_cleared(f.caller);
	run(&f, 11);
	f.speak = 10;
	run(&f, 100);
	teardown(&f, "bot@20 say@300 quiet@400 said@600 120:bot@640 "
		     "quiet@1020 hangup@1420 ");
}

static void test_expectations(void **state)
{
	static const struct {
		const char *script;
		int speak_at, close_code;
		const char *want;
		unsigned failed;
	} rowv[] = {
		{"expect-audio 500\nhangup", 10, 0,
		 "bot@220 ok:expect@220 hangup@220 ", 0},
		{"expect-audio 100\nhangup", 10, 0,
		 "fail:expect@100 hangup@100 ", 1},
		{"expect-silence 100\nhangup", 10, 0,
		 "ok:expect@100 hangup@100 ", 0},
		{"expect-silence 500\nhangup", 10, 0,
		 "bot@220 fail:expect@220 hangup@220 ", 1},
		{"wait-bot 100\nhangup", 10, 0, "fail:expect@100 hangup@100 ",
		 1},
		{"wait-bot\nhangup", 10, 0, "bot@220 quiet@1400 hangup@1400 ",
		 0},
		{"expect-close 100\nhangup", 99, 0,
		 "fail:expect@100 hangup@100 ", 1},
		{"expect-close 5000", 99, 1000, "ok:expect@2000 ", 0},
		{"expect-close 5000 1008", 99, 1000, "fail:expect@2000 ", 1},
		{"wait 5000\nhangup", 99, 1000, "fail:expect@2000 ", 1},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		setup(&f, rowv[i].script);
		run(&f, rowv[i].speak_at);
		f.speak = 50;
		if (rowv[i].speak_at == 99)
			f.speak = 0;
		run(&f, 100 - rowv[i].speak_at);
		if (rowv[i].close_code) {
			caller_bot_hung_up(f.caller,
					   (uint16_t)rowv[i].close_code);
		}
		teardown(&f, rowv[i].want);
		assert_int_equal(f.stats.failed, rowv[i].failed);
	}
}

static void test_bot_may_hang_up_early(void **state)
{
	static const struct {
		bool may;
		const char *script, *want;
		unsigned failed;
	} rowv[] = {
		{true, "wait 5000\nsay x\npress 1\nhangup",
		 "left-out@100 left-out@100 left-out@100 ", 0},
		{false, "wait 5000\nsay x\npress 1\nhangup",
		 "fail:expect@100 fail:expect@100 fail:expect@100 ", 3},
		{true, "wait 5000\nexpect-audio 100",
		 "left-out@100 fail:expect@100 ", 1},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		const struct caller_param prm = {.gap_ms = 600,
						 .may_hang_up = rowv[i].may};

		setup_with(&f, rowv[i].script, &prm);
		run(&f, 5);
		caller_bot_hung_up(f.caller, 1000);
		teardown(&f, rowv[i].want);
		assert_int_equal(f.stats.failed, rowv[i].failed);
	}
}

static void test_levels(void **state)
{
	int16_t v[160];

	(void)state;
	memset(v, 0, sizeof(v));
	assert_int_equal(pcm_level(v, 160), -100);
	for (int i = 0; i < 160; i++)
		v[i] = i & 1 ? -32768 : 32767;
	assert_int_equal(pcm_level(v, 160), 0);
	for (int i = 0; i < 160; i++)
		v[i] = i & 1 ? -328 : 328;
	assert_int_equal(pcm_level(v, 160), -40);
}

static int body(void *arg)
{
	const struct caller_param prm = {.mic = true};
	struct list stepl = {0};
	struct caller *c = NULL;
	int err = caller_alloc(&c, &stepl, &prm, handler, arg);

	mem_deref(c);
	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture f = {0};

	(void)state;
	oom_loop(body, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_greeting_and_answer),
		cmocka_unit_test(test_nobody_greets_nobody_answers),
		cmocka_unit_test(test_interrupt_and_press),
		cmocka_unit_test(test_clear_ends_the_bots_speech),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_bot_may_hang_up_early),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

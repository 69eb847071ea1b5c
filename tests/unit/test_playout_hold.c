/*
 * Playout that is held and resumed, and what it says was heard.
 */
#include "fake_carrier.h"

static void test_hold_and_resume(void **state)
{
	struct fake *f = *state;
	struct playout_heard h;

	queue(f, clip_of(60, 0), 1);
	queue(f, clip_with_pauses(2000), 2);
	playout_tick(f->p, 0);
	for (uint64_t now = 0; now < 1100; now += 10)
		playout_tick(f->p, now);
	forget(f);

	playout_hold(f->p, 1100);
	assert_string_equal(f->text, "C F1 ");
	playout_hold(f->p, 1200);
	playout_heard(f->p, 2, &h, 5000);
	assert_int_equal(h.ms, 1040);
	assert_int_equal(h.total_ms, 2000);
	assert_false(h.timed);

	queue(f, clip_of(60, 0), 3);
	playout_mark(f->p, "u2g0", 1300);
	assert_int_equal(playout_tick(f->p, 3000), UINT64_MAX);
	assert_true(playout_is_busy(f->p, 3000));
	assert_string_equal(f->text, "C F1 ");

	/* in the pause before 1000 */
	forget(f);
	playout_resume(f->p, 3000);
	playout_resume(f->p, 3000);
	for (uint64_t now = 3000; now < 5000; now += 10)
		playout_tick(f->p, now);
	assert_string_equal(f->text, "M60 M120 M120 M120 M120 M120 M120 M120 "
				     "M120 M20 Ku2g1 M60 S3 Ku3g1 ");
	playout_mark(f->p, "u3g1", 5000);
	assert_false(playout_is_busy(f->p, 5000));
}

static void test_clear_while_held(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(1000, 0), 1);
	queue(f, clip_of(1000, 0), 2);
	playout_tick(f->p, 0);
	playout_hold(f->p, 100);
	forget(f);
	playout_clear(f->p, 200);
	assert_string_equal(f->text, "X1 X2 ");
	playout_resume(f->p, 200);
	assert_int_equal(playout_tick(f->p, 200), UINT64_MAX);
}

/* The lead may span several short utterances */
static void test_hold_takes_back_all_that_was_not_heard(void **state)
{
	struct fake *f = *state;

	for (uint32_t i = 1; i <= 5; i++)
		queue(f, clip_of(60, 0), i);
	playout_tick(f->p, 0);
	assert_string_equal(f->text, "M60 S1 Ku1g0 M60 S2 Ku2g0 M60 S3 Ku3g0 "
				     "M60 S4 Ku4g0 M60 S5 Ku5g0 ");
	forget(f);
	playout_hold(f->p, 130);
	assert_string_equal(f->text, "C F1 F2 ");
	forget(f);
	playout_resume(f->p, 500);
	playout_tick(f->p, 500);
	assert_string_equal(f->text, "M60 Ku3g1 M60 Ku4g1 M60 Ku5g1 ");
	forget(f);
	playout_mark(f->p, "u5g1", 700);
	assert_string_equal(f->text, "F3 F4 F5 ");
	assert_false(playout_is_busy(f->p, 700));
}

/* Where does speech go on that was heard up to a moment? */
static void test_resume_position(void **state)
{
	static const struct {
		uint32_t heard_ms, word_msv[4];
		uint32_t want_ms; /* behind the ramp of 5 ms */
	} tests[] = {
		{500, {100, 300, 450, 600}, 450},
		{500, {100, 300, 480, 600}, 480},
		{500, {100, 300, 490, 600}, 300}, /* hardly begun */
		{500, {100, 300, 500, 600}, 300},
		{100, {100, 300, 450, 600}, 0},
		{900, {100, 300, 450, 600}, 600},
		{20, {0, 300, 450, 600}, 0},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t base = 100000 * i;
		struct clip *c = clip_of_places(1000);
		struct playout_heard h;

		for (size_t k = 0; k < 4; k++)
			assert_int_equal(clip_add_word(c,
						       tests[i].word_msv[k] *
							       AUDIO_PER_MS,
						       10 * (uint32_t)k),
					 0);
		clip_end(c, 0);
		queue(f, c, (uint32_t)i);
		run(f, base, base + tests[i].heard_ms);
		playout_hold(f->p, base + tests[i].heard_ms);
		playout_heard(f->p, (uint32_t)i, &h, base + 5000);
		assert_int_equal(h.ms, tests[i].heard_ms);

		forget(f);
		playout_resume(f->p, base + 6000);
		playout_tick(f->p, base + 6000);
		assert_in_range((f->probe - 0x81) * 10, tests[i].want_ms,
				tests[i].want_ms + 10);
		playout_clear(f->p, base + 7000);
	}
}

static void test_resume_in_a_pause(void **state)
{
	static const struct {
		uint32_t heard_ms, want_ms;
	} tests[] = {
		{40, 0},
		{440, 430},  /* in the pause: it goes on */
		{560, 460},  /* 40 ms before the sound */
		{1380, 960}, /* not in the middle of the sound */
	};
	struct fake *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t base = 100000 * i;
		size_t left;

		queue(f, clip_with_pauses(2000), (uint32_t)i);
		run(f, base, base + tests[i].heard_ms);
		playout_hold(f->p, base + tests[i].heard_ms);
		f->samples = 0;
		playout_resume(f->p, base + 6000);
		run(f, base + 6000, base + 9000);
		left = (2000 - tests[i].want_ms) * AUDIO_PER_MS;
		assert_in_range(f->samples, left,
				left + 10 * AUDIO_PER_MS + FRAME_SAMPLES);
		playout_clear(f->p, base + 9900);
	}
}

/* A second false start, before anything new was heard, goes to the same place
 * again; and what has been heard stays heard */
static void test_held_again_at_once(void **state)
{
	struct fake *f = *state;
	struct playout_heard h;

	queue(f, clip_with_pauses(2000), 1);
	run(f, 0, 1300);
	for (uint64_t now = 1300; now < 9000; now += 1000) {
		playout_hold(f->p, now);
		playout_heard(f->p, 1, &h, now);
		assert_int_equal(h.ms, 1300);
		playout_resume(f->p, now + 900);
		run(f, now + 900, now + 1000);
	}
	run(f, 9310, 9600);
	playout_heard(f->p, 1, &h, 9600);
	assert_int_equal(h.ms, 1360); /* from 960, for 400 ms */
}

static void test_hold_of_nothing(void **state)
{
	struct fake *f = *state;

	playout_resume(f->p, 0);
	playout_hold(f->p, 10);
	assert_int_equal(playout_tick(f->p, 20), UINT64_MAX);
	playout_resume(f->p, 30);
	queue(f, clip_of(60, 0), 1);
	playout_tick(f->p, 40);
	assert_string_equal(f->text, "M60 S1 Ku1g1 ");

	/* all of it was heard, though the mark is on its way */
	forget(f);
	playout_hold(f->p, 150);
	assert_string_equal(f->text, "C F1 ");
}

static void test_hold_of_a_clip_that_arrives(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of_places(500);
	struct playout_heard h;

	assert_int_equal(playout_queue(f->p, c, 1), 0);
	run(f, 0, 600); /* dry since 500 */
	playout_hold(f->p, 600);
	playout_heard(f->p, 1, &h, 600);
	assert_int_equal(h.ms, 500);
	assert_int_equal(h.total_ms, 0);

	/* no pause anywhere: from the beginning, all of it */
	append(c, 500);
	clip_end(c, 0);
	forget(f);
	f->samples = 0;
	playout_resume(f->p, 700);
	run(f, 700, 1000);
	assert_int_equal(f->probe, 0x82);
	run(f, 1010, 2000);
	assert_int_equal(f->samples, 1000 * AUDIO_PER_MS);
	mem_deref(c);
}

/* It had been heard to its end before it was known that it ended */
static void test_hold_of_a_clip_that_ends_meanwhile(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of_places(500);

	assert_int_equal(playout_queue(f->p, c, 1), 0);
	run(f, 0, 600);
	playout_hold(f->p, 600);
	clip_end(c, 0);
	mem_deref(c);
	forget(f);
	playout_resume(f->p, 700);
	run(f, 700, 800);
	assert_string_equal(f->text, "Ku1g1 ");
	playout_mark(f->p, "u1g1", 800);
	assert_string_equal(f->text, "Ku1g1 F1 ");
}

static void test_queue_while_held(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(60, 0);

	queue(f, clip_of(100, 0), 1);
	queue(f, clip_of(60, 0), 2);
	playout_tick(f->p, 0);
	queue(f, clip_of(60, 0), 3);
	playout_hold(f->p, 50);
	assert_int_equal(playout_replace(f->p, c, 2), EBUSY);
	assert_int_equal(playout_replace(f->p, c, 3), 0);
	assert_int_equal(playout_queue_first(f->p, c, 4), 0);
	assert_int_equal(playout_queue(f->p, c, 5), 0);
	forget(f);
	playout_resume(f->p, 200);
	run(f, 200, 600);
	assert_string_equal(f->text,
			    "M100 Ku1g1 M60 Ku2g1 M60 S4 Ku4g1 M60 S3 Ku3g1 "
			    "M60 S5 Ku5g1 ");
	mem_deref(c);
}

/* Silence is owed to the caller before anything else */
static void test_hold_waits_for_the_carrier(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(1000, 0), 1);
	playout_tick(f->p, 0);
	forget(f);
	f->err = EAGAIN;
	playout_hold(f->p, 100);
	assert_int_equal(playout_tick(f->p, 110), 130);
	playout_resume(f->p, 120);
	assert_int_equal(playout_tick(f->p, 130), 150);
	assert_string_equal(f->text, "");
	f->err = 0;
	playout_tick(f->p, 150);
	assert_string_equal(f->text, "C M60 M120 M120 ");
}

static void test_heard_text(void **state)
{
	static const struct {
		uint32_t ms, text;
	} tests[] = {
		{0, 0},    {90, 0},   {110, 0},  {310, 4},   {590, 4},
		{610, 10}, {850, 10}, {910, 15}, {1000, 15}, {5000, 15},
	};
	struct fake *f = *state;
	struct clip *c = clip_of_places(1000);
	struct playout_heard h;

	/* "One three sixth", and where the last word ends */
	assert_int_equal(clip_add_word(c, 100 * AUDIO_PER_MS, 0), 0);
	assert_int_equal(clip_add_word(c, 300 * AUDIO_PER_MS, 4), 0);
	assert_int_equal(clip_add_word(c, 600 * AUDIO_PER_MS, 10), 0);
	assert_int_equal(clip_add_word(c, 900 * AUDIO_PER_MS, 15), 0);
	clip_end(c, 0);
	queue(f, c, 1);

	playout_heard(f->p, 1, &h, 0);
	assert_int_equal(h.ms, 0);
	assert_int_equal(h.total_ms, 1000);
	assert_true(h.timed);
	run(f, 0, 1000);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		playout_heard(f->p, 1, &h, tests[i].ms);
		assert_int_equal(h.ms, MIN(tests[i].ms, 1000));
		assert_int_equal(h.text, tests[i].text);
	}

	playout_heard(f->p, 2, &h, 1000);
	assert_int_equal(h.ms + h.total_ms + h.text + h.timed, 0);
}

/* Marks tell that the carrier plays later than it was sent to */
static void test_heard_by_late_marks(void **state)
{
	/* how late the marks of two utterances are, and what is believed */
	static const struct {
		uint32_t late_msv[2], want_ms;
	} tests[] = {
		{{0, 0}, 0},       {{100, 100}, 0},      {{200, 150}, 50},
		{{400, 400}, 300}, {{5000, 0}, 0},       {{0, 5000}, 0},
		{{300, 400}, 200}, {{3000, 1900}, 1000},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fake *f = mem_zalloc(sizeof(*f), NULL);

		assert_non_null(f);
		assert_int_equal(playout_alloc(&f->p, &ops, 300, f), 0);
		queue(f, clip_of(60, 0), 1);
		queue(f, clip_of(60, 0), 2);
		queue(f, clip_of(9000, 0), 3);
		playout_tick(f->p, 0);
		playout_mark(f->p, "u1g0", 60 + tests[i].late_msv[0]);
		playout_mark(f->p, "u2g0", 120 + tests[i].late_msv[1]);
		run(f, 0, 8000);
		assert_int_equal(heard_ms(f, 3, 8000),
				 8000 - 120 - tests[i].want_ms);
		mem_deref(f->p);
		mem_deref(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hold_and_resume),
		TEST(test_clear_while_held),
		TEST(test_hold_takes_back_all_that_was_not_heard),
		TEST(test_resume_position),
		TEST(test_resume_in_a_pause),
		TEST(test_held_again_at_once),
		TEST(test_hold_of_nothing),
		TEST(test_hold_of_a_clip_that_arrives),
		TEST(test_hold_of_a_clip_that_ends_meanwhile),
		TEST(test_queue_while_held),
		TEST(test_hold_waits_for_the_carrier),
		TEST(test_heard_text),
		TEST(test_heard_by_late_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

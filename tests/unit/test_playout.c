#include <convod/metrics.h>
#include "fake_carrier.h"

static void test_never_more_than_the_lead(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(1000, 0), 1);
	assert_int_equal(playout_tick(f->p, 5000), 5120);
	assert_string_equal(f->text, "M60 S1 M120 M120 ");
	forget(f);

	/* too early: nothing leaves */
	assert_int_equal(playout_tick(f->p, 5119), 5120);
	assert_string_equal(f->text, "");
	assert_int_equal(playout_tick(f->p, 5120), 5240);
	assert_string_equal(f->text, "M120 ");
	assert_true(playout_is_busy(f->p, 5120));
}

static void test_deadlines_are_absolute(void **state)
{
	struct fake *f = *state;
	uint64_t now = 1000, next;

	/* every tick comes 7 ms late; the end is still where it belongs */
	queue(f, clip_of(9000, 0), 1);
	while (f->samples < 9000 * AUDIO_PER_MS) {
		next = playout_tick(f->p, now);
		if (next != UINT64_MAX)
			now = next + 7;
	}
	assert_int_equal(heard_ms(f, 1, 1000 + 8800), 8800);
	assert_int_equal(heard_ms(f, 1, 1000 + 9000), 9000);
}

static void test_mark_behind_the_last_audio(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(50, 0), 7); /* 2.5 frames */
	assert_int_equal(playout_tick(f->p, 0), 60 + PLAYOUT_MARK_GRACE_MS);
	assert_string_equal(f->text, "M60 S7 Ku7g0 ");
	assert_int_equal(f->last, ULAW_SILENCE);
	forget(f);

	playout_mark(f->p, "u7g0", 61);
	assert_string_equal(f->text, "F7 ");
	assert_false(playout_is_busy(f->p, 61));

	/* whoever is told that it is over may ask how long it was */
	assert_int_equal(heard_ms(f, 7, 61), 50);
	assert_int_equal(heard_ms(f, 8, 61), 0);
}

static void test_mark_that_never_comes(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(60, 0), 7);
	playout_tick(f->p, 0);
	forget(f);
	playout_tick(f->p, 60 + PLAYOUT_MARK_GRACE_MS - 1);
	assert_string_equal(f->text, "");
	assert_int_equal(playout_tick(f->p, 60 + PLAYOUT_MARK_GRACE_MS),
			 UINT64_MAX);
	assert_string_equal(f->text, "F7 ");
}

static void test_foreign_and_odd_marks(void **state)
{
	static const char *const namev[] = {
		"",      "u7", "u7g1",  "u8g0",
		"u7g0x", "x",  "u-7g0", "u99999999999999999999g0"};
	struct fake *f = *state;

	queue(f, clip_of(60, 0), 7);
	playout_tick(f->p, 0);
	forget(f);
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++)
		playout_mark(f->p, namev[i], 10);
	assert_string_equal(f->text, "");
}

static void test_lost_mark_before_one_that_came(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(60, 0), 1);
	queue(f, clip_of(60, 0), 2);
	playout_tick(f->p, 0);
	forget(f);
	playout_mark(f->p, "u2g0", 100);
	assert_string_equal(f->text, "F1 F2 ");
}

static void test_clear_voids_marks(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(60, 0), 1);
	queue(f, clip_of(1000, 0), 2);
	queue(f, clip_of(1000, 0), 3);
	playout_tick(f->p, 0);
	forget(f);

	assert_int_equal(heard_ms(f, 2, 160), 100);
	playout_clear(f->p, 160);
	/* the first was over by the clock */
	assert_string_equal(f->text, "C F1 X2 X3 ");
	assert_false(playout_is_busy(f->p, 160));
	forget(f);

	/* the flushed marks come back, they look played */
	playout_mark(f->p, "u1g0", 170);
	playout_mark(f->p, "u2g0", 170);
	assert_string_equal(f->text, "");

	/* new speech starts afresh in a new generation */
	queue(f, clip_of(60, 0), 4);
	playout_tick(f->p, 180);
	assert_string_equal(f->text, "M60 S4 Ku4g1 ");
}

static void test_clear_without_anything_sends_nothing(void **state)
{
	struct fake *f = *state;

	playout_clear(f->p, 1000);
	queue(f, clip_of(60, 0), 1);
	playout_clear(f->p, 1000);
	assert_string_equal(f->text, "X1 ");
}

static void test_arriving_clip(void **state)
{
	struct fake *f = *state;
	uint64_t before = metrics_counter(M_UNDERRUNS);
	struct clip *c = NULL;

	assert_int_equal(clip_alloc(&c, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, c, 1), 0);
	assert_int_equal(playout_tick(f->p, 0), UINT64_MAX);

	append(c, 30); /* one frame is enough to start */
	assert_int_equal(playout_tick(f->p, 0), 20);
	assert_string_equal(f->text, "M20 S1 ");
	append(c, 390);
	assert_int_equal(playout_tick(f->p, 0), 80);
	assert_string_equal(f->text, "M20 S1 M120 M120 ");

	/* too late for the carrier, but what is there goes out; then it dries
	 * up again and waits */
	forget(f);
	assert_int_equal(playout_tick(f->p, 300), 460);
	assert_string_equal(f->text, "M120 M40 ");
	assert_int_equal(metrics_counter(M_UNDERRUNS), before + 1);
	forget(f);
	assert_int_equal(playout_tick(f->p, 460), UINT64_MAX);
	assert_int_equal(metrics_counter(M_UNDERRUNS), before + 2);
	assert_int_equal(playout_tick(f->p, 480), UINT64_MAX);
	assert_int_equal(metrics_counter(M_UNDERRUNS), before + 2);
	append(c, 120);
	playout_tick(f->p, 500);
	clip_end(c, 0);
	playout_tick(f->p, 600);
	/* the end came behind the last samples: they die away */
	assert_string_equal(f->text, "M120 M20 Ku1g0 ");
	mem_deref(c);
}

/* A few frames are there and no more will come for long: they are not kept
 * back until the caller hears a gap */
static void test_little_goes_before_the_gap(void **state)
{
	struct fake *f = *state;
	uint64_t before = metrics_counter(M_UNDERRUNS);
	struct clip *c = NULL;

	assert_int_equal(clip_alloc(&c, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, c, 1), 0);
	append(c, 240);
	assert_int_equal(playout_tick(f->p, 0), 30);
	append(c, 15);
	assert_int_equal(playout_tick(f->p, 10), 30);
	assert_string_equal(f->text, "M60 S1 M120 ");
	assert_int_equal(playout_tick(f->p, 30), 60);
	append(c, 30);
	assert_int_equal(playout_tick(f->p, 60), 90);
	assert_string_equal(f->text, "M60 S1 M120 M60 ");
	forget(f);
	playout_tick(f->p, 90);
	assert_string_equal(f->text, "M40 ");
	append(c, 120);
	playout_tick(f->p, 280); /* to the millisecond */
	assert_int_equal(metrics_counter(M_UNDERRUNS), before);
	mem_deref(c);
}

/* The loop was busy: a gap, counted once, and on from there */
static void test_late_tick(void **state)
{
	struct fake *f = *state;
	uint64_t before = metrics_counter(M_UNDERRUNS);

	queue(f, clip_of(2000, 0), 1);
	assert_int_equal(playout_tick(f->p, 0), 120);
	forget(f);
	assert_int_equal(playout_tick(f->p, 620), 680);
	assert_string_equal(f->text, "M120 M120 ");
	assert_int_equal(f->first, ULAW_SILENCE);
	assert_int_equal(metrics_counter(M_UNDERRUNS), before + 1);
	assert_int_equal(heard_ms(f, 1, 620), 300);
	assert_int_equal(heard_ms(f, 1, 720), 400);
	forget(f);
	playout_tick(f->p, 679);
	assert_string_equal(f->text, "");
	playout_tick(f->p, 680);
	assert_int_equal(f->first, 0x55);
	assert_int_equal(metrics_counter(M_UNDERRUNS), before + 1);
}

/* Messages are small enough that a timer may be half a lead late */
static void test_small_leads(void **state)
{
	static const struct {
		uint32_t lead_ms;
		const char *text;
		uint64_t next_ms;
	} tests[] = {
		{0, "M20 S1 M20 M20 ", 20},
		{60, "M20 S1 M20 M20 ", 20},
		{100, "M40 S1 M40 ", 20},
		{120, "M60 S1 M60 ", 60},
		{230, "M60 S1 M60 M60 ", 10},
		{240, "M60 S1 M120 ", 60},
		{300, "M60 S1 M120 M120 ", 120},
		{600, "M60 S1 M120 M120 M120 M120 ", 60},
	};
	struct fake *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		mem_deref(f->p);
		assert_int_equal(
			playout_alloc(&f->p, &ops, tests[i].lead_ms, f), 0);
		forget(f);
		queue(f, clip_of(2000, 0), 1);
		assert_int_equal(playout_tick(f->p, 0), tests[i].next_ms);
		assert_string_equal(f->text, tests[i].text);
	}
}

/* What begins or ends with sound gets a ramp; the clip does not change */
static void test_ramps(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(100, 0);

	assert_int_equal(playout_queue(f->p, c, 1), 0);
	playout_tick(f->p, 0);
	assert_int_equal(f->first, ULAW_SILENCE);
	assert_int_equal(f->probe, 0x55);
	assert_int_equal(f->last, ULAW_SILENCE);
	for (size_t i = 0; i < clip_len(c); i++)
		assert_int_equal(clip_data(c)[i], 0x55);

	/* the ramp of a last sample is in the padding */
	forget(f);
	queue(f, clip_of(180, 1), 2);
	playout_tick(f->p, 200);
	assert_string_equal(f->text, "M60 S2 M120 M20 Ku2g0 ");
	assert_int_equal(f->last_first, 0x55);
	assert_int_equal(f->last, ULAW_SILENCE);
	mem_deref(c);
}

/* Nothing begins while the ledger is full, the filler does not wait */
static void test_full_ledger(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(20, 0);
	uint64_t now = 0;

	playout_filler(f->p, c);
	for (uint32_t i = 0; i < PLAYOUT_MARKS_MAX + 1; i++)
		assert_int_equal(playout_queue(f->p, c, i), 0);
	for (; now <= 1000; now += 20)
		playout_tick(f->p, now);
	assert_non_null(strstr(f->text, "Ku31g0 M60 M60 "));
	assert_null(strstr(f->text, "S32"));
	playout_tick(f->p, 20 + PLAYOUT_MARK_GRACE_MS);
	assert_non_null(strstr(f->text, "F0 M20 S32 Ku32g0 "));
	mem_deref(c);
}

static void test_empty_clip_is_not_heard(void **state)
{
	struct fake *f = *state;
	struct clip *c = NULL;

	assert_int_equal(clip_alloc(&c, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, c, 1), 0);
	clip_end(c, EBADMSG);
	mem_deref(c);
	queue(f, clip_of(60, 0), 2);
	playout_tick(f->p, 0);
	assert_string_equal(f->text, "X1 M60 S2 Ku2g0 ");
}

static void test_replace_before_it_began(void **state)
{
	struct fake *f = *state;
	struct clip *c = NULL, *other = clip_of(60, 0);

	assert_int_equal(clip_alloc(&c, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, c, 1), 0);
	mem_deref(c);
	assert_int_equal(playout_replace(f->p, other, 2), ENOENT);
	assert_int_equal(playout_replace(f->p, other, 1), 0);
	playout_tick(f->p, 0);
	assert_string_equal(f->text, "M60 S1 Ku1g0 ");

	queue(f, clip_of(1000, 0), 3);
	playout_tick(f->p, 0);
	assert_int_equal(playout_replace(f->p, other, 3), EBUSY);
	mem_deref(other);
}

static void test_queue_first(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(60, 0), *arriving = NULL;

	/* before one that has not begun … */
	assert_int_equal(clip_alloc(&arriving, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, arriving, 1), 0);
	playout_tick(f->p, 0);
	assert_int_equal(playout_queue_first(f->p, c, 2), 0);
	playout_tick(f->p, 0);
	assert_string_equal(f->text, "M60 S2 Ku2g0 ");
	forget(f);

	/* … and behind one that has */
	append(arriving, 20);
	playout_tick(f->p, 100);
	assert_int_equal(playout_queue_first(f->p, c, 3), 0);
	clip_end(arriving, 0);
	playout_tick(f->p, 100);
	assert_string_equal(f->text, "M20 S1 M20 Ku1g0 M60 S3 Ku3g0 ");
	mem_deref(arriving);
	mem_deref(c);
}

static void test_carrier_that_does_not_read(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(100, 0), 1);
	f->err = EAGAIN;
	assert_int_equal(playout_tick(f->p, 1000), 1020);
	f->err = 0;
	playout_tick(f->p, 1020);
	assert_string_equal(f->text, "M100 S1 Ku1g0 ");
}

/* It has not read for a while, and the caller interrupts: the bot must not be
 * mute for the rest of the call */
static void test_clear_waits_for_the_carrier(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(1000, 0), 1);
	playout_tick(f->p, 0);
	f->err = EAGAIN;
	playout_clear(f->p, 100);
	forget(f);
	queue(f, clip_of(60, 0), 2);
	assert_int_equal(playout_tick(f->p, 110), 130);
	playout_clear(f->p, 120);
	queue(f, clip_of(60, 0), 3);
	assert_int_equal(playout_tick(f->p, 130), 150);
	assert_string_equal(f->text, "X2 ");
	f->err = 0;
	playout_tick(f->p, 150);
	assert_string_equal(f->text, "X2 C M60 S3 Ku3g2 ");
}

static void test_dead_carrier_stops_it(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(100, 0), 1);
	f->err = ENOTCONN;
	assert_int_equal(playout_tick(f->p, 0), UINT64_MAX);
	f->err = 0;
	playout_clear(f->p, 0);
	assert_string_equal(f->text, "X1 ");
}

static void test_queue_from_inside_finished(void **state)
{
	struct fake *f = *state;

	queue(f, clip_of(60, 0), 1);
	playout_tick(f->p, 0);
	f->next = clip_of(60, 0);
	playout_mark(f->p, "u1g0", 60);
	forget(f);
	playout_tick(f->p, 60);
	assert_string_equal(f->text, "M60 S99 Ku99g0 ");
}

static void test_bounds(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(20, 0);
	unsigned refused = 0;
	uint64_t now = 0;

	for (uint32_t i = 0; i < PLAYOUT_QUEUE_MAX; i++)
		assert_int_equal(playout_queue(f->p, c, i), 0);
	assert_int_equal(playout_queue(f->p, c, 1000), ENOBUFS);

	/* far more short utterances than marks can be outstanding */
	for (uint32_t i = 0; i < 500; i++) {
		now = MIN(playout_tick(f->p, now), now + 1000);
		if (playout_queue(f->p, c, 1000 + i))
			++refused;
	}
	assert_true(refused < 500);
	assert_true(f->samples > (size_t)PLAYOUT_QUEUE_MAX * FRAME_SAMPLES);
	mem_deref(c);
}

static void test_filler_goes_behind_all_else(void **state)
{
	struct fake *f = *state;
	struct clip *c = clip_of(100, 0), *arriving = NULL;

	queue(f, clip_of(200, 0), 1);
	playout_filler(f->p, c);
	assert_int_equal(playout_tick(f->p, 0), 160);
	assert_string_equal(f->text, "M60 S1 M120 M20 Ku1g0 ");
	forget(f);
	assert_int_equal(playout_tick(f->p, 160), 220);
	assert_int_equal(playout_tick(f->p, 220), 280);
	assert_int_equal(clip_alloc(&arriving, AUDIO_RATE), 0);
	assert_int_equal(playout_queue(f->p, arriving, 2), 0);
	assert_int_equal(playout_tick(f->p, 280), 340);
	assert_string_equal(f->text, "M60 M60 M60 ");
	forget(f);
	append(arriving, 20);
	playout_tick(f->p, 290);
	assert_string_equal(f->text, "M20 S2 ");

	/* no filler in its gap, but behind it */
	forget(f);
	playout_tick(f->p, 1000);
	assert_string_equal(f->text, "");
	clip_end(arriving, 0);
	playout_tick(f->p, 1000);
	playout_tick(f->p, 1060);
	playout_hold(f->p, 1070);
	playout_tick(f->p, 1080);
	assert_string_equal(f->text, "Ku2g0 M60 M60 C F1 F2 ");

	/* switched off it dies away */
	forget(f);
	playout_resume(f->p, 2000);
	playout_tick(f->p, 2000);
	playout_filler(f->p, NULL);
	playout_tick(f->p, 2010);
	playout_tick(f->p, 2020);
	assert_string_equal(f->text, "M60 M20 ");
	assert_int_equal(f->last, ULAW_SILENCE);
	mem_deref(arriving);
	mem_deref(c);
}

static int alloc_body(void *arg)
{
	struct playout *p = NULL;
	int err = playout_alloc(&p, &ops, 300, arg);

	mem_deref(p);
	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(alloc_body, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_never_more_than_the_lead),
		TEST(test_deadlines_are_absolute),
		TEST(test_mark_behind_the_last_audio),
		TEST(test_mark_that_never_comes),
		TEST(test_foreign_and_odd_marks),
		TEST(test_lost_mark_before_one_that_came),
		TEST(test_clear_voids_marks),
		TEST(test_clear_without_anything_sends_nothing),
		TEST(test_arriving_clip),
		TEST(test_little_goes_before_the_gap),
		TEST(test_late_tick),
		TEST(test_small_leads),
		TEST(test_ramps),
		TEST(test_full_ledger),
		TEST(test_empty_clip_is_not_heard),
		TEST(test_replace_before_it_began),
		TEST(test_queue_first),
		TEST(test_carrier_that_does_not_read),
		TEST(test_clear_waits_for_the_carrier),
		TEST(test_dead_carrier_stops_it),
		TEST(test_queue_from_inside_finished),
		TEST(test_bounds),
		TEST(test_filler_goes_behind_all_else),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

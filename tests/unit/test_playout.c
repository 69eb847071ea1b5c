#include <stdio.h>
#include <convod/audio.h>
#include <convod/metrics.h>
#include <convod/playout.h>
#include "test.h"

/* A carrier that notes what it gets: "M60" media of 60 ms, "Kname" mark,
 * "C" clear, "S1" started, "F1" heard, "X1" not heard */
struct fake {
	char text[4096];
	size_t samples;
	uint8_t last; /* last byte of audio */
	int err;      /* of media and clear */
	struct playout *p;
	struct clip *next; /* queued from inside finished() */
};

static void note(struct fake *f, char what, unsigned v, const char *s)
{
	char number[16];
	size_t n = strlen(f->text);

	(void)snprintf(number, sizeof(number), "%u", v);
	(void)snprintf(f->text + n, sizeof(f->text) - n, "%c%s ", what,
		       s ? s : number);
}

static int media_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct fake *f = arg;

	if (f->err)
		return f->err;

	assert_int_equal(n % FRAME_SAMPLES, 0);
	f->samples += n;
	f->last = ulawv[n - 1];
	note(f, 'M', (unsigned)n / AUDIO_PER_MS, NULL);

	return 0;
}

static int mark_handler(const char *name, void *arg)
{
	note(arg, 'K', 0, name);
	return 0;
}

static int clear_handler(void *arg)
{
	const struct fake *f = arg;

	if (f->err)
		return f->err;

	note(arg, 'C', 0, "");
	return 0;
}

static void started_handler(uint32_t utterance, uint64_t now_ms, void *arg)
{
	(void)now_ms;
	note(arg, 'S', utterance, NULL);
}

static void finished_handler(uint32_t utterance, bool heard, void *arg)
{
	struct fake *f = arg;

	note(f, heard ? 'F' : 'X', utterance, NULL);
	if (f->next) {
		assert_int_equal(playout_queue(f->p, f->next, 99), 0);
		f->next = mem_deref(f->next);
	}
}

static const struct playout_ops ops = {
	.media = media_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.started = started_handler,
	.finished = finished_handler,
};

static struct clip *clip_of(uint32_t ms, uint32_t extra)
{
	static uint8_t ulawv[10 * AUDIO_RATE];
	struct clip *c = NULL;

	memset(ulawv, 0x55, sizeof(ulawv));
	assert_int_equal(
		clip_from(&c, ulawv, (size_t)ms * AUDIO_PER_MS + extra), 0);
	return c;
}

static void queue(struct fake *f, struct clip *c, uint32_t utterance)
{
	assert_int_equal(playout_queue(f->p, c, utterance), 0);
	mem_deref(c);
}

static void forget(struct fake *f)
{
	f->text[0] = '\0';
}

static int setup(void **state)
{
	struct fake *f = mem_zalloc(sizeof(*f), NULL);

	assert_non_null(f);
	assert_int_equal(playout_alloc(&f->p, &ops, 300, f), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	mem_deref(f->p);
	mem_deref(f);

	return mem_blocks() ? -1 : 0;
}

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
	assert_int_equal(playout_heard_ms(f->p, 1, 1000 + 8800), 8800);
	assert_int_equal(playout_heard_ms(f->p, 1, 1000 + 9000), 9000);
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

	assert_int_equal(playout_heard_ms(f->p, 2, 160), 100);
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

static void append(struct clip *c, uint32_t ms)
{
	uint8_t ulawv[AUDIO_RATE];

	memset(ulawv, 0x55, sizeof(ulawv));
	assert_int_equal(clip_append(c, ulawv, (size_t)ms * AUDIO_PER_MS), 0);
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

/* 400 ms of speech, 100 ms of pause, and so on */
static struct clip *clip_with_pauses(uint32_t ms)
{
	static uint8_t ulawv[10 * AUDIO_RATE];
	struct clip *c = NULL;

	for (uint32_t i = 0; i < ms * AUDIO_PER_MS; i++)
		ulawv[i] = i / AUDIO_PER_MS % 500 < 400 ? 0x55 : ULAW_SILENCE;
	assert_int_equal(clip_from(&c, ulawv, (size_t)ms * AUDIO_PER_MS), 0);

	return c;
}

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

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

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
		TEST(test_empty_clip_is_not_heard),
		TEST(test_replace_before_it_began),
		TEST(test_queue_first),
		TEST(test_carrier_that_does_not_read),
		TEST(test_clear_waits_for_the_carrier),
		TEST(test_dead_carrier_stops_it),
		TEST(test_queue_from_inside_finished),
		TEST(test_bounds),
		TEST(test_hold_and_resume),
		TEST(test_clear_while_held),
		TEST(test_filler_goes_behind_all_else),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Cutting audio into utterances: what voice activity says is a string, a
 * letter a frame ('S' speech, '.' none).
 */
#include "../../src/asr/endpoint.h"
#include "test.h"

enum {
	PREROLL = ENDPOINT_PREROLL_MS / FRAME_MS,
	TRAIL = ENDPOINT_TRAIL_MS / FRAME_MS,
	FRAMES_MAX = ENDPOINT_MAX_MS / FRAME_MS,
};

struct fixture {
	struct endpoint *e;
	int16_t frames; /* fed; the next frame's samples have this value */
	size_t cuts;
	struct utterance *last;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(endpoint_alloc(&f->e), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_deref(f->last);
	mem_deref(f->e);
	free(f);

	return 0;
}

static void feed(struct fixture *f, bool speech, size_t n)
{
	while (n--) {
		int16_t frame[FRAME_SAMPLES];
		struct utterance *u;

		for (size_t i = 0; i < FRAME_SAMPLES; i++)
			frame[i] = f->frames;
		++f->frames;
		assert_int_equal(endpoint_frame(f->e, frame, speech, &u), 0);
		if (!u)
			continue;
		mem_deref(f->last);
		f->last = u;
		++f->cuts;
	}
}

/* All frames from `first` on, none missing and none twice */
static void assert_holds(const struct utterance *u, size_t first, size_t n)
{
	assert_int_equal(u->start, first * FRAME_SAMPLES);
	assert_int_equal(u->n, n * FRAME_SAMPLES);
	for (size_t i = 0; i < u->n; i++)
		assert_int_equal(u->pcmv[i], first + i / FRAME_SAMPLES);
}

static void test_cuts(void **state)
{
	static const struct {
		size_t before, speech, gap, again;
		size_t cuts, start, n; /* of the last, in frames */
	} tests[] = {
		/* the beginning that the detector had not heard comes along */
		{100, 10, TRAIL, 0, 1, 100 - PREROLL, PREROLL + 10 + TRAIL},
		{PREROLL, 10, TRAIL, 0, 1, 0, PREROLL + 10 + TRAIL},
		/* or as much of it as there is */
		{3, 10, TRAIL, 0, 1, 0, 3 + 10 + TRAIL},
		{0, 10, TRAIL, 0, 1, 0, 10 + TRAIL},
		{0, 1, TRAIL, 0, 1, 0, 1 + TRAIL},
		/* a pause is inside, an end is not */
		{0, 10, TRAIL - 1, 10, 0, 0, 0},
		{0, 10, TRAIL - 1, 0, 0, 0, 0},
		{0, 10, TRAIL, 10, 1, 0, 10 + TRAIL},
		/* nothing but silence */
		{500, 0, 500, 0, 0, 0, 0},
		/* who never stops is cut, without losing a frame */
		{0, FRAMES_MAX, 0, 0, 1, 0, FRAMES_MAX},
		{0, 2 * FRAMES_MAX, 0, 0, 2, FRAMES_MAX, FRAMES_MAX},
		{100, FRAMES_MAX, 0, 0, 1, 100 - PREROLL, FRAMES_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fixture *f = *state;

		feed(f, false, tests[i].before);
		feed(f, true, tests[i].speech);
		feed(f, false, tests[i].gap);
		feed(f, true, tests[i].again);
		assert_int_equal(f->cuts, tests[i].cuts);
		if (f->cuts)
			assert_holds(f->last, tests[i].start, tests[i].n);

		teardown(state);
		setup(state);
	}
}

static void test_speech_is_counted(void **state)
{
	struct fixture *f = *state;

	feed(f, true, 10);
	feed(f, false, 20);
	feed(f, true, 5);
	feed(f, false, TRAIL);
	assert_int_equal(f->cuts, 1);
	assert_int_equal(f->last->speech, 15 * FRAME_SAMPLES);
}

/* The preroll of the next starts behind the end of this */
static void test_nothing_comes_twice(void **state)
{
	struct fixture *f = *state;

	feed(f, true, 10);
	feed(f, false, TRAIL + 4);
	feed(f, true, 10);
	feed(f, false, TRAIL);
	assert_int_equal(f->cuts, 2);
	assert_holds(f->last, 10 + TRAIL, 4 + 10 + TRAIL);
}

static void test_silence_is_measured(void **state)
{
	struct fixture *f = *state;

	feed(f, false, 50);
	assert_int_equal(endpoint_silence_ms(f->e), 0);
	assert_null(endpoint_utterance(f->e));
	feed(f, true, 1);
	assert_int_equal(endpoint_silence_ms(f->e), 0);
	feed(f, false, 7);
	assert_int_equal(endpoint_silence_ms(f->e), 7 * FRAME_MS);
	feed(f, true, 1);
	assert_int_equal(endpoint_silence_ms(f->e), 0);
	feed(f, false, TRAIL);
	assert_int_equal(endpoint_silence_ms(f->e), 0);
}

/* A guess reads the beginning on another thread while more is appended */
static void test_what_was_said_does_not_change(void **state)
{
	struct fixture *f = *state;
	struct utterance *u;
	size_t n;

	feed(f, true, 10);
	u = mem_ref(endpoint_utterance(f->e));
	n = u->n;
	feed(f, true, 10);
	assert_ptr_equal(endpoint_utterance(f->e), u);
	assert_int_equal(u->n, 2 * n);
	assert_int_equal(u->pcmv[0], 0);
	assert_int_equal(u->pcmv[n], 10);

	/* cut early: the rest of the silence is not an utterance */
	mem_deref(endpoint_finish(f->e));
	assert_null(endpoint_utterance(f->e));
	feed(f, false, 2 * TRAIL);
	assert_int_equal(f->cuts, 0);
	assert_holds(u, 0, 20);
	mem_deref(u);
}

static void test_finish(void **state)
{
	struct fixture *f = *state;

	assert_null(endpoint_finish(f->e));
	feed(f, true, 3);
	f->last = endpoint_finish(f->e);
	assert_holds(f->last, 0, 3);
	assert_null(endpoint_finish(f->e));
}

static int body(void *arg)
{
	static const int16_t frame[FRAME_SAMPLES];
	struct endpoint *e = NULL;
	struct utterance *u = NULL;
	int err = endpoint_alloc(&e);

	if (!err)
		err = endpoint_frame(e, frame, true, &u);
	mem_deref(e);

	return err;
}

/* One utterance is lost, the next is heard */
static void test_out_of_memory(void **state)
{
	static const int16_t frame[FRAME_SAMPLES];
	struct fixture *f = *state;
	struct utterance *u;

	oom_loop(body, NULL);

	mem_fail_after(0);
	assert_int_equal(endpoint_frame(f->e, frame, true, &u), ENOMEM);
	mem_fail_after(-1);
	assert_null(u);
	assert_int_equal(endpoint_frame(f->e, frame, true, &u), 0);
	assert_non_null(endpoint_utterance(f->e));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_cuts),
		TEST(test_speech_is_counted),
		TEST(test_nothing_comes_twice),
		TEST(test_silence_is_measured),
		TEST(test_what_was_said_does_not_change),
		TEST(test_finish),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

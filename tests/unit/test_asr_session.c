#include <stdio.h>
#include <convod/asr.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/metrics.h>
#include "test.h"

enum {
	RING = 65536,
	BLOCK_MS = 100,
	BLOCK = BLOCK_MS * AUDIO_PER_MS,
	LIMIT_MS = 60000,
	CAPTURE = 65536,
};

/* A recogniser under the test's control: 8 kHz, so that what it is given are
 * the ring's samples */
struct fake {
	struct asr asr;
	struct asr_stream *up; /* the stream that is open */
	unsigned opens, finishes;
	bool full;
	int open_err;
	int16_t got[CAPTURE]; /* by the stream that is or was open */
	size_t gotc, lastc, writes;
	uint64_t first_us, last_us;
};

struct fixture {
	struct loop *loop;
	struct tmr *tick;
	struct ring *ring;
	struct fake *fake;
	struct asr_session *s;
	enum asr_state state;
	unsigned states[ASR_ENDED + 1];
	unsigned results;
	char text[256];
	uint64_t end_pos;
	uint64_t pos; /* of the next sample to be written */
	bool drop;
};

static void stream_destructor(void *arg)
{
	struct asr_stream *st = arg;
	struct fake *k = (struct fake *)st->asr;

	if (k->up == st)
		k->up = NULL;
	mem_deref(st->asr);
}

static int fake_open(struct asr_stream **sp, struct asr *a,
		     const struct asr_stream_param *prm, asr_result_h *resulth,
		     asr_close_h *closeh, void *arg)
{
	struct fake *k = (struct fake *)a;
	struct asr_stream *st;

	assert_string_equal(prm->conversation, "c1");
	if (k->open_err)
		return k->open_err;

	st = mem_zalloc(sizeof(*st), stream_destructor);
	if (!st)
		return ENOMEM;
	*st = (struct asr_stream){mem_ref(a), resulth, closeh, arg};
	*sp = k->up = st;
	k->gotc = k->writes = 0;
	++k->opens;

	return 0;
}

static int fake_write(struct asr_stream *st, const int16_t *pcmv, size_t n)
{
	struct fake *k = (struct fake *)st->asr;

	assert_ptr_equal(k->up, st);
	assert_true(n > 0 && k->gotc + n <= CAPTURE);
	if (k->full)
		return ENOBUFS;

	memcpy(k->got + k->gotc, pcmv, n * sizeof(*pcmv));
	k->gotc += n;
	k->lastc = n;
	k->last_us = clk_now_us();
	if (!k->writes++)
		k->first_us = k->last_us;

	return 0;
}

static void fake_finish(struct asr_stream *st)
{
	++((struct fake *)st->asr)->finishes;
}

static const struct asr_backend fake_backend = {
	.name = "fake",
	.open = fake_open,
	.write = fake_write,
	.finish = fake_finish,
};

static void fake_close(struct fixture *f, enum asr_end end)
{
	struct asr_stream *st = mem_ref(f->fake->up);

	assert_non_null(st);
	st->closeh(end, "told to", st->arg);
	mem_deref(st);
}

static void fake_result(struct fixture *f, bool final, const char *text,
			const struct asr_word *wordv, size_t wordc)
{
	const struct asr_result res = {
		.final = final, .text = text, .wordv = wordv, .wordc = wordc};
	struct asr_stream *st = mem_ref(f->fake->up);

	assert_non_null(st);
	st->resulth(&res, st->arg);
	mem_deref(st);
}

/* ------------------------------------------------------------- fixture */

static void tick_handler(void *arg)
{
	struct fixture *f = arg;

	tmr_start(f->tick, 1);
}

static void result_handler(const struct asr_result *res, void *arg)
{
	struct fixture *f = arg;

	++f->results;
	(void)snprintf(f->text, sizeof(f->text), "%s", res->text);
	f->end_pos = res->end_pos;
	if (f->drop)
		f->s = mem_deref(f->s);
}

static void state_handler(enum asr_state state, const char *why, void *arg)
{
	struct fixture *f = arg;

	assert_non_null(why);
	f->state = state;
	++f->states[state];
	if (f->drop)
		f->s = mem_deref(f->s);
}

static int session_start(struct fixture *f, uint32_t tries)
{
	const struct asr_session_param prm = {"c1", "CA1", 4000, tries};

	return asr_session_alloc(&f->s, &f->fake->asr, f->ring, &prm,
				 result_handler, state_handler, f);
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){0};
	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(tmr_alloc(&f->tick, f->loop, tick_handler, f), 0);
	assert_int_equal(ring_alloc(&f->ring, RING), 0);
	f->fake = mem_zalloc(sizeof(*f->fake), NULL);
	assert_non_null(f->fake);
	f->fake->asr = (struct asr){&fake_backend, f->loop, AUDIO_RATE,
				    BLOCK_MS};
	tick_handler(f);
	assert_int_equal(session_start(f, 3), 0);
}

static void teardown(struct fixture *f)
{
	mem_deref(f->s);
	assert_null(f->fake->up);
	assert_int_equal(mem_nrefs(f->fake), 1);
	mem_deref(f->fake);
	mem_deref(f->ring);
	mem_deref(f->tick);
	mem_deref(f->loop);
}

#define RUN_UNTIL(f, cond)                                    \
	do {                                                  \
		uint64_t limit_ms = clk_now_ms() + LIMIT_MS;  \
		while (!(cond)) {                             \
			assert_true(clk_now_ms() < limit_ms); \
			loop_turn((f)->loop, true);           \
		}                                             \
	} while (0)

/* What the caller says is a function of the position */
static uint8_t sample_at(uint64_t pos)
{
	return (uint8_t)(pos % 251);
}

static void feed(struct fixture *f, unsigned ms)
{
	uint8_t v[FRAME_SAMPLES];

	for (; ms >= FRAME_MS; ms -= FRAME_MS) {
		for (size_t i = 0; i < sizeof(v); i++)
			v[i] = sample_at(f->pos + i);
		assert_int_equal(ring_write(f->ring, v, sizeof(v)), sizeof(v));
		f->pos += sizeof(v);
		asr_session_audio(f->s, clk_now_us());
	}
}

/* The open stream has got all samples from a position on, none missing */
static void assert_got(const struct fixture *f, uint64_t from, size_t n)
{
	assert_int_equal(f->fake->gotc, n);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(f->fake->got[i],
				 g711_ulaw_decode(sample_at(from + i)));
}

/* --------------------------------------------------------------- tests */

static void test_whole_blocks_and_no_allocation(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, BLOCK_MS - FRAME_MS);
	assert_int_equal(f.fake->gotc, 0);
	mem_fail_after(0);
	feed(&f, 1000);
	mem_fail_after(-1);
	assert_got(&f, 0, 10 * BLOCK);
	assert_int_equal(f.fake->lastc, BLOCK);
	assert_int_equal(f.fake->writes, 10);
	assert_int_equal(f.state, ASR_CONNECTING);
	teardown(&f);
}

static void test_up_with_the_first_result(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 200);
	fake_result(&f, false, "hal", NULL, 0);
	assert_int_equal(f.state, ASR_UP);
	assert_int_equal(f.results, 1);
	fake_result(&f, true, "", NULL, 0); /* says nothing */
	assert_int_equal(f.results, 1);
	teardown(&f);
}

static void test_new_stream_starts_behind_the_last_final(void **state)
{
	static const struct asr_word wordv[] = {{"one", 100, 300},
						{"two", 310, 400}};
	uint64_t replayed = metrics_counter(M_ASR_REPLAYED);
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 1000);
	fake_result(&f, true, "one two", wordv, 2);
	assert_string_equal(f.text, "one two");
	assert_int_equal(f.end_pos, 400 * AUDIO_PER_MS);
	assert_int_equal(ring_kept(f.ring), 400 * AUDIO_PER_MS);

	fake_close(&f, ASR_END_RETRY);
	assert_int_equal(f.state, ASR_BROKEN);
	feed(&f, 200); /* what comes meanwhile is not lost */
	RUN_UNTIL(&f, f.fake->opens == 2);
	RUN_UNTIL(&f, f.fake->gotc == 8 * BLOCK);
	assert_got(&f, 400 * AUDIO_PER_MS, 8 * BLOCK);
	assert_int_equal(metrics_counter(M_ASR_REPLAYED) - replayed,
			 600 * AUDIO_PER_MS);

	/* a position of the new stream is one of the call */
	fake_result(&f, true, "two", &(struct asr_word){"two", 0, 500}, 1);
	assert_int_equal(f.end_pos, 900 * AUDIO_PER_MS);
	teardown(&f);
}

static void test_words_that_come_twice(void **state)
{
	static const struct asr_word first[] = {{"one", 0, 200},
						{"two", 200, 400}};
	static const struct asr_word again[] = {
		{"two", 210, 400}, {"three", 420, 500}, {"four", 500, 600}};
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 1000);
	fake_result(&f, true, "One, two.", first, 2);
	assert_string_equal(f.text, "One, two.");
	fake_result(&f, true, "two three four", again, 3);
	assert_string_equal(f.text, "three four");
	assert_int_equal(f.results, 2);
	fake_result(&f, true, "two", again, 1); /* nothing is left */
	assert_int_equal(f.results, 2);
	fake_result(&f, true, "two", NULL, 0); /* no offsets: as it is */
	assert_string_equal(f.text, "two");
	assert_int_equal(f.end_pos, 0);
	teardown(&f);
}

/* Offsets from outside are not believed beyond what was sent */
static void test_word_in_the_future(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 500);
	fake_result(&f, true, "x", &(struct asr_word){"x", 0, UINT32_MAX}, 1);
	assert_int_equal(f.end_pos, 500 * AUDIO_PER_MS);
	assert_int_equal(ring_kept(f.ring), 500 * AUDIO_PER_MS);
	teardown(&f);
}

static void test_without_words_speech_says_what_is_done(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 700);
	asr_session_speech(f.s, 460 * AUDIO_PER_MS);
	fake_result(&f, true, "one", NULL, 0);
	assert_int_equal(ring_kept(f.ring), 460 * AUDIO_PER_MS);
	fake_result(&f, true, "two", NULL, 0); /* no new speech */
	assert_int_equal(ring_kept(f.ring), 460 * AUDIO_PER_MS);
	teardown(&f);
}

static void test_catching_up_is_paced(void **state)
{
	struct fixture f;
	uint64_t us;

	(void)state;
	setup(&f);
	feed(&f, 1600);
	fake_close(&f, ASR_END_RETRY);
	RUN_UNTIL(&f, f.fake->opens == 2 && f.fake->gotc == 16 * BLOCK);
	us = f.fake->last_us - f.fake->first_us;
	/* 15 periods, less the rounding of a millisecond clock */
	assert_true(us >= 15 * (BLOCK_MS / ASR_REPLAY_SPEED - 1) * 1000);
	assert_got(&f, 0, 16 * BLOCK);
	feed(&f, 100); /* live again: at once */
	RUN_UNTIL(&f, f.fake->gotc == 17 * BLOCK);
	teardown(&f);
}

static void test_what_is_too_old_is_counted(void **state)
{
	uint64_t lost = metrics_counter(M_ASR_LOST);
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 1000);
	asr_session_speech(f.s, 900 * AUDIO_PER_MS);
	fake_close(&f, ASR_END_RETRY);
	feed(&f, 5500); /* 1.0..2.5 s is never sent */
	assert_int_equal(ring_kept(f.ring), 2500 * AUDIO_PER_MS);
	assert_int_equal(metrics_counter(M_ASR_LOST) - lost,
			 1500 * AUDIO_PER_MS);
	RUN_UNTIL(&f, f.fake->opens == 2 && f.fake->gotc == 40 * BLOCK);
	assert_got(&f, 2500 * AUDIO_PER_MS, 40 * BLOCK);
	/* and 0..0.9 s was spoken, sent, and never came back */
	assert_int_equal(metrics_counter(M_ASR_LOST) - lost,
			 2400 * AUDIO_PER_MS);
	teardown(&f);
}

static void test_full_backend_keeps_audio_in_the_ring(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 300);
	f.fake->full = true;
	feed(&f, 500);
	assert_got(&f, 0, 3 * BLOCK);
	assert_int_equal(ring_pending(f.ring), 5 * BLOCK);
	f.fake->full = false;
	RUN_UNTIL(&f, f.fake->gotc == 8 * BLOCK);
	assert_got(&f, 0, 8 * BLOCK);
	assert_int_equal(f.fake->opens, 1);
	teardown(&f);
}

static void test_stalled_stream_is_broken(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.fake->full = true;
	feed(&f, 100);
	RUN_UNTIL(&f, f.fake->opens == 2);
	assert_int_equal(f.states[ASR_BROKEN], 1);
	f.fake->full = false;
	RUN_UNTIL(&f, f.fake->gotc == BLOCK);
	teardown(&f);
}

static void test_gives_up(void **state)
{
	uint64_t failed = metrics_counter(M_ASR_FAILED);
	struct fixture f;

	(void)state;
	setup(&f);
	for (unsigned i = 1; i < 3; i++) {
		fake_close(&f, ASR_END_RETRY);
		assert_int_equal(f.state, ASR_BROKEN);
		f.fake->open_err = i == 1 ? 0 : ENOMEM;
		if (i == 1)
			RUN_UNTIL(&f, f.fake->opens == 2);
	}
	RUN_UNTIL(&f, f.state == ASR_DOWN); /* the third could not open */
	assert_int_equal(metrics_counter(M_ASR_FAILED), failed + 1);
	feed(&f, 2000);
	assert_int_equal(ring_pending(f.ring), 0);
	assert_int_equal(ring_dropped(f.ring), 0);
	asr_session_finish(f.s);
	assert_int_equal(f.state, ASR_DOWN); /* not from inside */
	RUN_UNTIL(&f, f.state == ASR_ENDED);
	teardown(&f);
}

/* A recogniser with no room for one more has some later */
static void test_first_stream_is_tried_again(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.s = mem_deref(f.s);
	f.fake->open_err = ENOBUFS;
	assert_int_equal(session_start(&f, UINT32_MAX), 0);
	assert_int_equal(f.states[ASR_BROKEN], 0); /* not from inside */
	feed(&f, 100);
	RUN_UNTIL(&f, f.state == ASR_BROKEN);
	f.fake->open_err = 0;
	RUN_UNTIL(&f, f.fake->gotc == BLOCK);
	assert_got(&f, 0, BLOCK);
	teardown(&f);
}

static void test_result_pardons(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (unsigned i = 1; i < 6; i++) {
		feed(&f, 100);
		fake_result(&f, false, "a", NULL, 0);
		fake_close(&f, ASR_END_RETRY);
		RUN_UNTIL(&f, f.fake->opens == i + 1);
	}
	assert_int_equal(f.states[ASR_DOWN], 0);
	teardown(&f);
}

static void test_fatal_is_final(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	fake_close(&f, ASR_END_FATAL);
	assert_int_equal(f.state, ASR_DOWN);
	assert_int_equal(f.states[ASR_BROKEN], 0);
	teardown(&f);
}

static void test_routine_end_is_no_failure(void **state)
{
	uint64_t broken = metrics_counter(M_ASR_BROKEN);
	uint64_t begun_ms = clk_now_ms();
	struct fixture f;

	(void)state;
	setup(&f);
	for (unsigned i = 1; i < 6; i++) {
		enum asr_end end = i % 2 ? ASR_END_REOPEN : ASR_END_OK;

		feed(&f, 100);
		fake_result(&f, false, "a", NULL, 0);
		fake_close(&f, end);
		RUN_UNTIL(&f, f.fake->opens == i + 1);
	}
	assert_int_equal(metrics_counter(M_ASR_BROKEN), broken);
	assert_int_equal(f.states[ASR_BROKEN], 0);
	/* one that ends every stream so soon does not make us spin */
	assert_true(clk_now_ms() - begun_ms >= 4 * ASR_BACKOFF_MIN_MS);

	/* a server that says OK at once, every time, is broken all the same */
	fake_close(&f, ASR_END_OK);
	assert_int_equal(f.state, ASR_BROKEN);
	teardown(&f);
}

static void test_finish_sends_the_rest(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 260);
	asr_session_finish(f.s);
	assert_int_equal(f.fake->finishes, 1);
	assert_got(&f, 0, 260 * AUDIO_PER_MS);
	fake_result(&f, true, "bye", NULL, 0);
	assert_string_equal(f.text, "bye");
	fake_close(&f, ASR_END_OK);
	assert_int_equal(f.state, ASR_ENDED);
	assert_int_equal(f.fake->opens, 1);
	teardown(&f);
}

static void test_finish_while_broken(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	feed(&f, 260);
	fake_close(&f, ASR_END_RETRY);
	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.fake->finishes == 1);
	assert_got(&f, 0, 260 * AUDIO_PER_MS);
	fake_close(&f, ASR_END_OK);
	assert_int_equal(f.state, ASR_ENDED);
	teardown(&f);
}

static void test_finish_is_bounded(void **state)
{
	struct fixture f;
	uint64_t start;

	(void)state;
	setup(&f);
	start = clk_now_ms();
	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.state == ASR_ENDED);
	assert_true(clk_now_ms() - start >= ASR_FINISH_MS - 100);
	teardown(&f);
}

static void test_dropped_in_a_handler(void **state)
{
	struct fixture f;

	(void)state;
	for (int i = 0; i < 3; i++) {
		setup(&f);
		feed(&f, 200);
		if (i == 1)
			fake_result(&f, false, "a", NULL, 0); /* up */
		f.drop = true;
		if (i < 2)
			fake_result(&f, true, "b", NULL, 0);
		else
			fake_close(&f, ASR_END_RETRY);
		assert_null(f.s);
		assert_int_equal(f.results, i == 1 ? 2 : 0);
		teardown(&f);
	}
}

static int alloc_body(void *arg)
{
	struct fixture *f = arg;
	struct asr_session *keep = f->s;
	int err = session_start(f, 0);

	if (!err)
		mem_deref(f->s);
	f->s = keep;

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	/* timers are freed by the loop's next turn */
	for (long n = 0;; n++) {
		size_t before = mem_blocks();
		int err;

		mem_fail_after(n);
		err = alloc_body(&f);
		mem_fail_after(-1);
		loop_turn(f.loop, true);
		loop_turn(f.loop, true);
		assert_int_equal(before, mem_blocks());
		if (!err)
			break;
		assert_int_equal(err, ENOMEM);
	}
	f.s = mem_deref(f.s);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_blocks_and_no_allocation),
		cmocka_unit_test(test_up_with_the_first_result),
		cmocka_unit_test(test_new_stream_starts_behind_the_last_final),
		cmocka_unit_test(test_words_that_come_twice),
		cmocka_unit_test(test_word_in_the_future),
		cmocka_unit_test(test_without_words_speech_says_what_is_done),
		cmocka_unit_test(test_catching_up_is_paced),
		cmocka_unit_test(test_what_is_too_old_is_counted),
		cmocka_unit_test(test_full_backend_keeps_audio_in_the_ring),
		cmocka_unit_test(test_stalled_stream_is_broken),
		cmocka_unit_test(test_gives_up),
		cmocka_unit_test(test_first_stream_is_tried_again),
		cmocka_unit_test(test_result_pardons),
		cmocka_unit_test(test_fatal_is_final),
		cmocka_unit_test(test_routine_end_is_no_failure),
		cmocka_unit_test(test_finish_sends_the_rest),
		cmocka_unit_test(test_finish_while_broken),
		cmocka_unit_test(test_finish_is_bounded),
		cmocka_unit_test(test_dropped_in_a_handler),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

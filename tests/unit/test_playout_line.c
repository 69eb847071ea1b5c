/*
 * Playout against a simulated carrier: what the caller hears, sample by
 * sample, under a simulated clock and random operations.
 */
#include <stdio.h>
#include <convod/audio.h>
#include <convod/metrics.h>
#include <convod/playout.h>
#include "test.h"

enum {
	LINE_MS = 40000,
	MARKS = 256,
	UTTERANCES = 2048,
	CODES = 100, /* of utterances: 0x01 .. 0x64, all loud */
	FILLER_CODE = 0x66,
	RAMP = 40,       /* samples at either end that tell nothing */
	STEP_MAX = 1810, /* of a ramp: 777, and of the code: 1024 */
	SEEDS = 100,
};

enum state { UNKNOWN, QUEUED, STARTED, FINISHED };

struct line {
	struct playout *p;
	uint32_t random;
	uint64_t now_ms;
	uint64_t next_ms; /* by playout_tick() */
	uint32_t lead_ms;

	/* the carrier */
	uint32_t way_ms;   /* there, and back */
	uint32_t delay_ms; /* before it plays what comes after silence */
	uint64_t ends_ms;
	uint8_t *heardv; /* what it plays, from time 0 */
	bool *cutv;      /* it may be abrupt here */
	struct {
		char name[PLAYOUT_MARK_MAX];
		uint64_t plays_ms, back_ms;
	} markv[MARKS];
	size_t markc;
	int err;

	/* what is expected */
	uint64_t model_ms; /* when what was sent is over */
	uint8_t last;
	bool held;
	enum state statev[UTTERANCES];
	uint32_t utterancec;
	size_t sent;
	size_t clears;
};

static uint32_t rnd(struct line *l, uint32_t n)
{
	/* Marsaglia's xorshift: the same on every machine */
	l->random ^= l->random << 13;
	l->random ^= l->random >> 17;
	l->random ^= l->random << 5;

	return l->random % n;
}

static bool is_silence(uint8_t code)
{
	return g711_ulaw_decode(code) == 0;
}

/* Every byte but those of ramps tells whose it is */
static void check_owner(const struct line *l, const uint8_t *ulawv, size_t n)
{
	bool knownv[256] = {[FILLER_CODE] = true};

	/* some codes have been used before */
	for (uint32_t u = 0; u < l->utterancec; u++)
		knownv[1 + u % CODES] = l->statev[u] == QUEUED ||
					l->statev[u] == STARTED;

	while (n && is_silence(ulawv[n - 1]))
		--n;
	for (size_t i = RAMP; i + RAMP < n; i++)
		assert_true(knownv[ulawv[i]]);
}

static int line_media(const uint8_t *ulawv, size_t n, void *arg)
{
	struct line *l = arg;
	uint64_t arrives_ms = l->now_ms + l->way_ms;

	if (l->err)
		return l->err;

	assert_false(l->held);
	assert_true(n && n % FRAME_SAMPLES == 0);
	check_owner(l, ulawv, n);
	l->sent += n;
	l->last = ulawv[n - 1];
	if (l->cutv && (l->model_ms < l->now_ms || l->ends_ms < arrives_ms))
		l->cutv[l->ends_ms * AUDIO_PER_MS] = true; /* a gap */
	l->model_ms = MAX(l->model_ms, l->now_ms) + n / AUDIO_PER_MS;
	assert_true(l->model_ms - l->now_ms <= MAX(l->lead_ms + 20, 220));

	if (l->ends_ms < arrives_ms)
		l->ends_ms = arrives_ms + l->delay_ms;
	if (l->heardv) {
		assert_true(l->ends_ms + n / AUDIO_PER_MS < LINE_MS);
		memcpy(l->heardv + l->ends_ms * AUDIO_PER_MS, ulawv, n);
	}
	l->ends_ms += n / AUDIO_PER_MS;

	return 0;
}

static int line_mark(const char *name, void *arg)
{
	struct line *l = arg;

	if (l->err)
		return l->err;

	/* nothing ends with a click, unless the carrier ran dry before */
	if (l->model_ms >= l->now_ms)
		assert_in_range(abs(g711_ulaw_decode(l->last)), 0, 132);

	assert_false(l->held);
	assert_true(l->markc < MARKS);
	(void)snprintf(l->markv[l->markc].name, PLAYOUT_MARK_MAX, "%s", name);
	l->markv[l->markc].plays_ms = MAX(l->ends_ms, l->now_ms + l->way_ms);
	l->markv[l->markc].back_ms = l->markv[l->markc].plays_ms + l->way_ms;
	++l->markc;

	return 0;
}

/* What is not played is forgotten, and its marks come back at once */
static int line_clear(void *arg)
{
	struct line *l = arg;
	uint64_t arrives_ms = l->now_ms + l->way_ms;

	if (l->err)
		return l->err;

	++l->clears;
	if (l->heardv && l->ends_ms > arrives_ms) {
		memset(l->heardv + arrives_ms * AUDIO_PER_MS, ULAW_SILENCE,
		       (l->ends_ms - arrives_ms) * AUDIO_PER_MS);
		l->cutv[arrives_ms * AUDIO_PER_MS] = true;
	}
	l->ends_ms = MIN(l->ends_ms, arrives_ms);
	l->model_ms = l->now_ms;
	for (size_t i = 0; i < l->markc; i++) {
		if (l->markv[i].plays_ms > arrives_ms)
			l->markv[i].back_ms = arrives_ms + l->way_ms;
	}

	return 0;
}

static void line_started(uint32_t utterance, uint64_t now_ms, void *arg)
{
	struct line *l = arg;

	assert_int_equal(now_ms, l->now_ms);
	assert_int_equal(l->statev[utterance], QUEUED);
	l->statev[utterance] = STARTED;
}

static void line_finished(uint32_t utterance, bool heard, void *arg)
{
	struct line *l = arg;

	assert_in_range(l->statev[utterance], heard ? STARTED : QUEUED,
			STARTED);
	l->statev[utterance] = FINISHED;
}

static const struct playout_ops line_ops = {
	.media = line_media,
	.mark = line_mark,
	.clear = line_clear,
	.started = line_started,
	.finished = line_finished,
};

static struct line *line_alloc(uint32_t seed, uint32_t lead_ms)
{
	struct line *l = calloc(1, sizeof(*l));

	assert_non_null(l);
	l->random = seed * 2654435761U + 1;
	l->lead_ms = lead_ms;
	l->last = ULAW_SILENCE;
	l->now_ms = 1;
	assert_int_equal(playout_alloc(&l->p, &line_ops, lead_ms, l), 0);

	return l;
}

static void line_record(struct line *l)
{
	l->heardv = malloc(LINE_MS * AUDIO_PER_MS);
	l->cutv = calloc(LINE_MS * AUDIO_PER_MS, sizeof(*l->cutv));
	assert_non_null(l->heardv);
	assert_non_null(l->cutv);
	memset(l->heardv, ULAW_SILENCE, LINE_MS * AUDIO_PER_MS);
}

static void line_free(struct line *l)
{
	mem_deref(l->p);
	free(l->heardv);
	free(l->cutv);
	free(l);
}

static void tick(struct line *l)
{
	l->next_ms = playout_tick(l->p, l->now_ms);
}

static void marks(struct line *l)
{
	while (l->markc && l->markv[0].back_ms <= l->now_ms) {
		char name[PLAYOUT_MARK_MAX];

		memcpy(name, l->markv[0].name, sizeof(name));
		--l->markc;
		memmove(l->markv, l->markv + 1, l->markc * sizeof(*l->markv));
		playout_mark(l->p, name, l->now_ms);
		tick(l);
	}
}

/* Let time pass; timers are up to late_ms late */
static void pass(struct line *l, uint64_t ms, uint32_t late_ms)
{
	uint64_t until_ms = l->now_ms + ms;

	for (;;) {
		uint64_t at = MIN(until_ms,
				  l->next_ms == UINT64_MAX
					  ? UINT64_MAX
					  : l->next_ms + rnd(l, late_ms + 1));

		if (l->markc)
			at = MIN(at, l->markv[0].back_ms);
		l->now_ms = MAX(l->now_ms, at);
		marks(l);
		if (l->next_ms <= l->now_ms)
			tick(l);
		if (l->now_ms >= until_ms)
			return;
	}
}

static struct clip *constant(uint8_t code, size_t n)
{
	static uint8_t ulawv[60 * AUDIO_RATE];
	struct clip *c = NULL;

	assert_true(n <= sizeof(ulawv));
	memset(ulawv, code, n);
	assert_int_equal(clip_from(&c, ulawv, n), 0);

	return c;
}

static uint8_t next_code(const struct line *l)
{
	return (uint8_t)(1 + l->utterancec % CODES);
}

/* ------------------------------------------------- random operations */

enum { ARRIVING = 8 };

static void random_queue(struct line *l, struct clip **arriving)
{
	size_t n = rnd(l, 4) ? rnd(l, 20000) : rnd(l, 400);
	uint32_t u = l->utterancec;
	struct clip *c = NULL;
	size_t slot = rnd(l, ARRIVING);
	uint8_t ulawv[FRAME_SAMPLES];
	int err;

	if (u + 1 >= UTTERANCES)
		return;

	if (rnd(l, 3) || arriving[slot]) {
		c = constant(next_code(l), n);
	} else {
		assert_int_equal(clip_alloc(&c, AUDIO_RATE * 10), 0);
		arriving[slot] = mem_ref(c);
		for (uint32_t k = rnd(l, 20); k > 0; k--)
			assert_int_equal(
				clip_add_word(c, (21 - k) * 900, 21 - k), 0);
		/* its code is found again by what it begins with */
		memset(ulawv, next_code(l), sizeof(ulawv));
		assert_int_equal(clip_append(c, ulawv, sizeof(ulawv)), 0);
	}

	l->statev[u] = QUEUED;
	++l->utterancec;
	err = rnd(l, 8) ? playout_queue(l->p, c, u)
			: playout_queue_first(l->p, c, u);
	if (err) {
		assert_int_equal(err, ENOBUFS);
		l->statev[u] = FINISHED;
	}
	mem_deref(c);
}

static void random_growth(struct line *l, struct clip **cp)
{
	uint8_t ulawv[4000];
	size_t n = rnd(l, 2) ? rnd(l, sizeof(ulawv))
			     : rnd(l, 25) * FRAME_SAMPLES;

	if (!*cp)
		return;

	memset(ulawv, clip_data(*cp)[0], n);
	(void)!clip_append(*cp, ulawv, n);
	if (!rnd(l, 6)) {
		clip_end(*cp, rnd(l, 4) ? 0 : ETIMEDOUT);
		*cp = mem_deref(*cp);
	}
}

static void check_held(struct line *l)
{
	struct playout_heard now, later;

	for (uint32_t u = 0; u < l->utterancec; u++) {
		if (l->statev[u] == FINISHED)
			continue;
		playout_heard(l->p, u, &now, l->now_ms);
		playout_heard(l->p, u, &later, l->now_ms + 100000);
		assert_int_equal(now.ms, later.ms);
		assert_int_equal(now.text, later.text);
		if (now.total_ms)
			assert_true(now.ms <= now.total_ms);
	}
}

static void random_step(struct line *l, struct clip **arriving,
			struct clip *filler)
{
	switch (rnd(l, 20)) {
	case 0:
		playout_clear(l->p, l->now_ms);
		l->held = false;
		for (uint32_t u = 0; u < l->utterancec; u++)
			assert_int_equal(l->statev[u], FINISHED);
		assert_false(playout_is_busy(l->p, l->now_ms));
		break;
	case 1:
	case 2:
		playout_hold(l->p, l->now_ms);
		l->held = true;
		check_held(l);
		break;
	case 3:
	case 4:
	case 5:
		l->held = false;
		playout_resume(l->p, l->now_ms);
		break;
	case 6:
		playout_filler(l->p, rnd(l, 2) ? filler : NULL);
		break;
	case 7:
		l->err = rnd(l, 3) ? 0 : EAGAIN;
		break;
	case 8:
		playout_mark(l->p, rnd(l, 2) ? "u1g0" : "u3g1", l->now_ms);
		break;
	case 9:
	case 10:
	case 11:
		random_queue(l, arriving);
		break;
	default:
		random_growth(l, &arriving[rnd(l, ARRIVING)]);
		break;
	}
}

static void random_call(uint32_t seed)
{
	static const uint32_t leadv[] = {60, 80, 120, 300, 1000};
	struct line *l = line_alloc(seed, leadv[seed % ARRAY_SIZE(leadv)]);
	struct clip *arriving[ARRIVING] = {NULL};
	struct clip *filler = constant(FILLER_CODE, 100 + seed % 1000);

	line_record(l);
	l->way_ms = rnd(l, 100);
	l->delay_ms = rnd(l, 3) ? 0 : rnd(l, 300);
	while (l->now_ms < LINE_MS - 5000) {
		random_step(l, arriving, filler);
		tick(l);
		pass(l, rnd(l, 10) ? rnd(l, 60) : rnd(l, 1000),
		     rnd(l, 20) ? 5 : 500);
	}

	l->err = 0;
	playout_clear(l->p, l->now_ms);
	for (uint32_t u = 0; u < l->utterancec; u++)
		assert_int_equal(l->statev[u], FINISHED);
	l->cutv[l->ends_ms * AUDIO_PER_MS] = true;
	for (size_t i = 1; i < LINE_MS * AUDIO_PER_MS; i++) {
		int step = abs(g711_ulaw_decode(l->heardv[i]) -
			       g711_ulaw_decode(l->heardv[i - 1]));

		if (step > STEP_MAX && !l->cutv[i])
			fail_msg("seed %u: a click of %d at %zu", seed, step,
				 i);
	}
	for (size_t i = 0; i < ARRIVING; i++)
		mem_deref(arriving[i]);
	mem_deref(filler);
	line_free(l);
}

/* Nothing of what was given up is sent, nothing clicks, and every utterance
 * is reported once */
static void test_random_operations(void **state)
{
	size_t before = mem_blocks();

	(void)state;
	for (uint32_t seed = 0; seed < SEEDS; seed++)
		random_call(seed);
	assert_int_equal(mem_blocks(), before);
}

/* --------------------------------------------------------- deadlines */

static void test_an_hour_on_time(void **state)
{
	static const struct {
		uint32_t lead_ms, late_ms;
	} tests[] = {{300, 100}, {60, 30}, {100, 50}, {1000, 500}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct line *l = line_alloc((uint32_t)i, tests[i].lead_ms);
		uint64_t before = metrics_counter(M_UNDERRUNS);
		struct clip *c = constant(FILLER_CODE, 60 * AUDIO_RATE);

		for (uint32_t minute = 0; minute < 60; minute++) {
			l->statev[minute] = QUEUED;
			assert_int_equal(playout_queue(l->p, c, minute), 0);
		}
		mem_deref(c);
		tick(l);
		pass(l, 3600100, tests[i].late_ms);
		assert_int_equal(metrics_counter(M_UNDERRUNS), before);
		assert_in_range(l->ends_ms, 1 + 3600000, 1 + 3600020);
		assert_int_equal(l->sent, 3600 * (size_t)AUDIO_RATE);
		line_free(l);
	}
}

/* ------------------------------------------------------------- heard */

/* Of how much does playout say that it was heard, and of how much was it? */
static void check_heard(uint32_t way_ms, uint32_t delay_ms, uint32_t at_ms)
{
	struct line *l = line_alloc(at_ms, 300);
	static uint8_t placev[10 * AUDIO_RATE];
	struct playout_heard h;
	struct clip *c = NULL;
	uint64_t cleared_ms;
	uint32_t place_ms;
	int off_ms;

	/* two for the marks, and one of which each 10 ms say where they are */
	line_record(l);
	l->way_ms = way_ms;
	l->delay_ms = delay_ms;
	for (uint32_t u = 0; u < 2; u++) {
		c = constant(FILLER_CODE, 100 * AUDIO_PER_MS);
		l->statev[u] = QUEUED;
		assert_int_equal(playout_queue(l->p, c, u), 0);
		mem_deref(c);
	}
	tick(l);
	pass(l, 2000, 5);
	assert_int_equal(l->statev[1], FINISHED);

	for (size_t i = 0; i < sizeof(placev); i++)
		placev[i] = (uint8_t)(1 + i / 80 % CODES);
	for (uint32_t u = 2; u < 2 + CODES; u++)
		l->statev[u] = QUEUED; /* any place is allowed */
	l->utterancec = 2 + CODES;
	assert_int_equal(clip_from(&c, placev, sizeof(placev)), 0);
	assert_int_equal(playout_queue(l->p, c, 2), 0);
	mem_deref(c);
	tick(l);
	pass(l, at_ms, 5);
	cleared_ms = l->now_ms + way_ms;
	playout_heard(l->p, 2, &h, l->now_ms);
	playout_hold(l->p, l->now_ms);

	if (is_silence(l->heardv[cleared_ms * AUDIO_PER_MS - 1])) {
		assert_true(h.ms <= 100); /* it had not yet begun */
	} else {
		place_ms =
			(uint32_t)(l->heardv[cleared_ms * AUDIO_PER_MS - 1] -
				   1) *
			10;
		off_ms = (int)(h.ms % 1000) - (int)place_ms;
		if (off_ms > 500)
			off_ms -= 1000;
		else if (off_ms < -500)
			off_ms += 1000;
		if (abs(off_ms) > 110)
			fail_msg("way %u delay %u at %u: %d ms", way_ms,
				 delay_ms, at_ms, off_ms);
	}
	line_free(l);
}

static void test_heard_is_exact_to_100_ms(void **state)
{
	static const uint32_t wayv[] = {0, 20, 50, 99};
	static const uint32_t delayv[] = {0, 50, 120, 300, 700};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wayv); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(delayv); k++) {
			for (uint32_t at = 10; at < 9000; at += 731)
				check_heard(wayv[i], delayv[k], at);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_operations),
		cmocka_unit_test(test_an_hour_on_time),
		cmocka_unit_test(test_heard_is_exact_to_100_ms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

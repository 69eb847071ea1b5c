#include <math.h>
#include <convod/audio.h>
#include "test.h"

enum { OUT_MAX = 4 * AUDIO_RATE };

struct sink {
	int16_t v[OUT_MAX];
	size_t n;
	struct resampler *drop; /* dropped by the handler */
};

static void sink_handler(const int16_t *pcmv, size_t n, void *arg)
{
	struct sink *s = arg;

	assert_true(n > 0 && s->n + n <= OUT_MAX);
	memcpy(s->v + s->n, pcmv, n * sizeof(*pcmv));
	s->n += n;
	s->drop = mem_deref(s->drop);
}

/* Push all of it in pieces of so many frames, the end on its own if end0 */
static int push_all(struct sink *s, uint32_t rate, uint32_t channels,
		    const float *v, size_t frames, size_t piece, bool end0)
{
	struct resampler *r = NULL;
	int err = resampler_alloc(&r, rate, channels);

	s->n = 0;
	for (size_t at = 0, n; at < frames && !err; at += n) {
		n = MIN(piece, frames - at);
		err = resampler_push(r, v + at * channels, n,
				     !end0 && at + n == frames, sink_handler,
				     s);
	}
	if (end0 && !err)
		err = resampler_push(r, NULL, 0, true, sink_handler, s);
	mem_deref(r);

	return err;
}

static float *sine(double hz, double level, uint32_t rate, uint32_t channels,
		   size_t frames)
{
	const double w = 2 * acos(-1) * hz / rate;
	float *v = malloc(frames * channels * sizeof(*v));

	for (size_t i = 0; i < frames * channels; i++)
		v[i] = (float)(level * sin(w * (double)(i / channels)));

	return v;
}

/* dB to full scale, of the middle half */
static double level_db(const struct sink *s)
{
	double sum = 1e-9;

	for (size_t i = s->n / 4; i < s->n * 3 / 4; i++)
		sum += (double)s->v[i] * s->v[i];

	return 10 * log10(sum / (double)(s->n / 2) / (32768.0 * 32768.0));
}

static const uint32_t ratev[] = {8000,  11025, 12000, 16000, 22050,
				 24000, 32000, 44100, 48000, 96000};

static void test_voice_band_passes(void **state)
{
	static const double hzv[] = {300, 1000, 3300};
	static struct sink s;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ratev); i++) {
		for (size_t k = 0; k < ARRAY_SIZE(hzv); k++) {
			uint32_t rate = ratev[i];
			float *v = sine(hzv[k], 0.5, rate, 1, rate);
			double level;

			assert_int_equal(
				push_all(&s, rate, 1, v, rate, 160, false), 0);
			/* one second stays one second */
			assert_in_range(s.n, AUDIO_RATE - 2, AUDIO_RATE + 2);
			level = level_db(&s) - 20 * log10(0.5 / sqrt(2));
			if (fabs(level) > 0.1)
				fail_msg("%u Hz, %.0f Hz: %.2f dB", rate,
					 hzv[k], level);
			free(v);
		}
	}
}

static void test_nothing_folds_back(void **state)
{
	static struct sink s;

	(void)state;
	for (size_t i = 3; i < ARRAY_SIZE(ratev); i++) {
		uint32_t rate = ratev[i];
		float *v = sine(5000, 0.5, rate, 1, rate);

		assert_int_equal(push_all(&s, rate, 1, v, rate, rate, false),
				 0);
		if (level_db(&s) > -70)
			fail_msg("%u Hz: %.1f dB", rate, level_db(&s));
		free(v);
	}
}

static void test_same_however_it_is_cut(void **state)
{
	static const size_t piecev[] = {1, 7, 160, 1023, 1024, 1025, 5000};
	static struct sink whole, s;
	float *v = sine(440, 0.9, 22050, 2, 22050);

	(void)state;
	assert_int_equal(push_all(&whole, 22050, 2, v, 22050, 22050, false),
			 0);
	for (size_t i = 0; i < ARRAY_SIZE(piecev); i++) {
		bool end0 = i % 2;

		assert_int_equal(
			push_all(&s, 22050, 2, v, 22050, piecev[i], end0), 0);
		assert_in_range(s.n, whole.n - 1, whole.n + 1);
		/* libsamplerate's phase differs in the last bits */
		for (size_t k = 0; k < MIN(s.n, whole.n); k++)
			assert_in_range(s.v[k] - whole.v[k] + 2, 0, 4);
	}
	free(v);
}

static void test_channels_are_mixed(void **state)
{
	static const float v[] = {0.5f, -0.5f, 0.5f, 0.25f, 1, 1};
	static struct sink s;

	(void)state;
	assert_int_equal(push_all(&s, 8000, 2, v, 3, 2, true), 0);
	assert_int_equal(s.n, 3);
	assert_int_equal(s.v[0], 0);
	assert_in_range(s.v[1], 12287, 12289);
	assert_int_equal(s.v[2], 32767);
}

static void test_floats_of_any_kind(void **state)
{
	static const float oddv[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f};
	static struct sink s;
	float v[1600] = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(oddv); i++)
		v[i * 10] = oddv[i];
	assert_int_equal(push_all(&s, 16000, 1, v, 1600, 160, false), 0);
	assert_in_range(s.n, 799, 801);
	for (size_t i = 200; i < s.n; i++)
		assert_int_equal(s.v[i], 0); /* gone for good */
}

static void test_arguments(void **state)
{
	static struct sink s;
	struct resampler *r = NULL;
	float v[8] = {0};

	(void)state;
	assert_int_equal(resampler_alloc(&r, 999, 1), EINVAL);
	assert_int_equal(resampler_alloc(&r, 192001, 1), EINVAL);
	assert_int_equal(resampler_alloc(&r, 8000, 0), EINVAL);
	assert_int_equal(resampler_alloc(&r, 8000, 9), EINVAL);
	assert_null(r);
	assert_int_equal(resampler_alloc(&r, 192000, 8), 0);
	assert_int_equal(resampler_push(r, NULL, 1, false, sink_handler, &s),
			 EINVAL);
	assert_int_equal(resampler_push(r, v, 1, true, sink_handler, &s), 0);
	assert_int_equal(resampler_push(r, v, 1, false, sink_handler, &s),
			 EPROTO);
	mem_deref(r);
}

static void test_handler_may_drop_it(void **state)
{
	static struct sink s;
	float v[4096] = {0};

	(void)state;
	s.n = 0;
	assert_int_equal(resampler_alloc(&s.drop, 16000, 1), 0);
	assert_int_equal(
		resampler_push(s.drop, v, 4096, true, sink_handler, &s), 0);
	assert_null(s.drop);
}

static int oom_body(void *arg)
{
	struct resampler *r = NULL;
	int err = resampler_alloc(&r, 16000, 1);

	(void)arg;
	mem_deref(r);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(oom_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_voice_band_passes),
		cmocka_unit_test(test_nothing_folds_back),
		cmocka_unit_test(test_same_however_it_is_cut),
		cmocka_unit_test(test_channels_are_mixed),
		cmocka_unit_test(test_floats_of_any_kind),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_handler_may_drop_it),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

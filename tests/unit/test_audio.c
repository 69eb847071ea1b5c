#include <math.h>
#include <sndfile.h>
#include <convod/audio.h>
#include "test.h"

/* ---------------------------------------------------------------- G.711 */

struct memory_file {
	uint8_t v[1 << 17];
	sf_count_t n, pos;
};

static sf_count_t mf_length(void *arg)
{
	return ((struct memory_file *)arg)->n;
}

static sf_count_t mf_seek(sf_count_t offset, int whence, void *arg)
{
	struct memory_file *f = arg;

	f->pos = offset + (whence == SEEK_SET   ? 0
			   : whence == SEEK_CUR ? f->pos
						: f->n);
	return f->pos;
}

static sf_count_t mf_read(void *p, sf_count_t n, void *arg)
{
	struct memory_file *f = arg;

	n = MIN(n, f->n - f->pos);
	memcpy(p, f->v + f->pos, (size_t)n);
	f->pos += n;
	return n;
}

static sf_count_t mf_write(const void *p, sf_count_t n, void *arg)
{
	struct memory_file *f = arg;

	assert_true(f->pos + n <= (sf_count_t)sizeof(f->v));
	memcpy(f->v + f->pos, p, (size_t)n);
	f->pos += n;
	f->n = MAX(f->n, f->pos);
	return n;
}

static sf_count_t mf_tell(void *arg)
{
	return ((struct memory_file *)arg)->pos;
}

static SF_VIRTUAL_IO mf_io = {mf_length, mf_seek, mf_read, mf_write, mf_tell};

static void test_encode_is_libsndfiles(void **state)
{
	static struct memory_file f;
	static int16_t pcmv[65536];
	static uint8_t ulawv[65536];
	SF_INFO info = {.samplerate = 8000,
			.channels = 1,
			.format = SF_FORMAT_RAW | SF_FORMAT_ULAW};
	SNDFILE *sf = sf_open_virtual(&mf_io, SFM_WRITE, &info, &f);

	(void)state;
	for (int i = 0; i < 65536; i++)
		pcmv[i] = (int16_t)(i - 32768);
	assert_non_null(sf);
	assert_int_equal(sf_write_short(sf, pcmv, 65536), 65536);
	sf_close(sf);
	assert_int_equal(f.n, 65536);

	g711_ulaw_encode_n(ulawv, pcmv, 65536);
	for (int i = 0; i < 65536; i++) {
		if (ulawv[i] != f.v[i] || g711_ulaw_encode(pcmv[i]) != f.v[i])
			fail_msg("sample %d: %02x, not %02x", pcmv[i],
				 ulawv[i], f.v[i]);
	}
}

/* G.711 (1988) table 2, from the definition of segments and steps */
static int ulaw_by_definition(int code)
{
	int c = ~code & 0xff;
	int mag = ((2 * (c & 15) + 33) << (c >> 4 & 7)) - 33;

	return 4 * (c & 0x80 ? -mag : mag);
}

static void test_decode_every_code(void **state)
{
	uint8_t codev[256];
	int16_t pcmv[256];

	(void)state;
	for (int c = 0; c < 256; c++)
		codev[c] = (uint8_t)c;
	g711_ulaw_decode_n(pcmv, codev, 256);

	for (int c = 0; c < 256; c++) {
		assert_int_equal(pcmv[c], ulaw_by_definition(c));
		assert_int_equal(g711_ulaw_decode(codev[c]), pcmv[c]);
		/* 0x7f is the other zero */
		assert_int_equal(g711_ulaw_encode(pcmv[c]),
				 c == 0x7f ? 0xff : c);
	}
	assert_int_equal(g711_ulaw_decode(ULAW_SILENCE), 0);
	assert_int_equal(g711_ulaw_decode(0x00), -32124);
}

/* ------------------------------------------------------------ half-band */

enum { BRANCH = HALFBAND_TAPS / 2, UNIT = 1 << 14 };

/* Taps of the interpolating branch, as an impulse shows them */
static void measure_taps(int16_t *tapv)
{
	struct halfband hb = {0};
	int16_t inv[2 * BRANCH] = {UNIT}, outv[4 * BRANCH];

	halfband_up2(&hb, outv, inv, 2 * BRANCH);
	for (int i = 0; i < 2 * BRANCH; i++) {
		/* the other output is the input, 15 samples later */
		assert_int_equal(outv[2 * i + 1],
				 i == BRANCH / 2 - 1 ? UNIT : 0);
		if (i < BRANCH)
			tapv[i] = outv[2 * i];
		else
			assert_int_equal(outv[2 * i], 0);
	}
}

static double bessel_i0(double x)
{
	double sum = 1, term = 1;

	for (int k = 1; k < 60; k++) {
		term *= x / (2 * k) * (x / (2 * k));
		sum += term;
	}

	return sum;
}

static void test_taps_are_the_design(void **state)
{
	const double pi = acos(-1), beta = 7.0;
	double h[BRANCH], sum = 0;
	int16_t tapv[BRANCH];
	int total = 0;

	(void)state;
	measure_taps(tapv);
	for (int k = 0; k < BRANCH; k++) {
		double x = k - (BRANCH - 1) / 2.0;

		h[k] = sin(pi * x) / (pi * x) *
		       bessel_i0(beta * sqrt(1 - x * x / 256));
		sum += h[k];
	}
	for (int k = 0; k < BRANCH; k++) {
		assert_int_equal(tapv[k], lround(h[k] / sum * UNIT));
		assert_int_equal(tapv[k], tapv[BRANCH - 1 - k]);
		total += tapv[k];
	}
	assert_int_equal(total, UNIT); /* exact at 0 Hz */
}

/* Part of v that is a sine of this frequency: its power */
static double power_at(const int16_t *v, int n, double hz)
{
	double re = 0, im = 0, w = 2 * acos(-1) * hz / 16000;

	for (int i = 0; i < n; i++) {
		re += v[i] * cos(w * i);
		im += v[i] * sin(w * i);
	}

	return 2 * (re * re + im * im) / n / n;
}

/* Sines through the filter, 100 ms each: whole periods of every multiple of
 * 10 Hz, so that nothing leaks */
static void test_images_and_ripple(void **state)
{
	enum { N = 800 };
	const double pi = acos(-1);
	double worst_image = -999, worst_ripple = 0;
	int16_t inv[2 * N], outv[4 * N];

	(void)state;
	for (int hz = 300; hz <= 3400; hz += 10) {
		struct halfband hb = {0};
		double want, got, image;

		for (int i = 0; i < 2 * N; i++)
			inv[i] = (int16_t)lround(20000 *
						 sin(2 * pi * hz * i / 8000));
		halfband_up2(&hb, outv, inv, 2 * N);

		/* the second half: the filter has settled */
		want = 20000.0 * 20000.0 / 2;
		got = power_at(outv + 2 * N, 2 * N, hz);
		image = power_at(outv + 2 * N, 2 * N, 8000 - hz);
		worst_image = fmax(worst_image, 10 * log10(image / got));
		worst_ripple = fmax(worst_ripple,
				    fabs(10 * log10(got / want)));
	}
	print_message("images %.1f dB, ripple %.4f dB\n", worst_image,
		      worst_ripple);
	assert_true(worst_image <= -60);
	assert_true(worst_ripple <= 0.1);
}

static uint32_t fnv1a(uint32_t h, const int16_t *v, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		h = (h ^ (uint8_t)v[i]) * 16777619;
		h = (h ^ (uint8_t)((uint16_t)v[i] >> 8)) * 16777619;
	}

	return h;
}

/* Noise of all sizes, full scale included, always the same */
static void noise(int16_t *v, size_t n)
{
	uint32_t seed = 12345;

	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		v[i] = (int16_t)(seed >> 16);
		if (i / 500 % 2)
			v[i] = v[i] < 0 ? INT16_MIN : INT16_MAX;
	}
}

static void test_same_bits_however_it_is_cut(void **state)
{
	enum { N = 8000 };
	static int16_t inv[N], outv[2 * N], wholev[2 * N];
	static const size_t cutv[] = {1,   2,   3,   15,  16,  31,
				      32,  33,  63,  159, 160, 161,
				      319, 320, 321, 640, 1000};
	struct halfband hb = {0};

	(void)state;
	noise(inv, N);
	halfband_up2(&hb, wholev, inv, N);
	/* the same on every machine, compiler and block length */
	assert_int_equal(fnv1a(2166136261u, wholev, 2 * N), 0x247d435d);

	for (size_t i = 0; i < ARRAY_SIZE(cutv); i++) {
		memset(&hb, 0, sizeof(hb));
		for (size_t at = 0, n; at < N; at += n) {
			n = MIN(cutv[i], N - at);
			halfband_up2(&hb, outv + 2 * at, inv + at, n);
		}
		assert_memory_equal(outv, wholev, sizeof(outv));
	}
}

/* The worst input there is, the signs of the taps at full scale, is cut to
 * 16 bits and does not overflow on the way */
static void test_saturates(void **state)
{
	int16_t tapv[BRANCH], inv[BRANCH], outv[2 * BRANCH];
	struct halfband hb = {0};

	(void)state;
	measure_taps(tapv);
	for (int k = 0; k < BRANCH; k++)
		inv[BRANCH - 1 - k] = tapv[k] < 0 ? INT16_MIN : INT16_MAX;
	halfband_up2(&hb, outv, inv, BRANCH);
	assert_int_equal(outv[2 * BRANCH - 2], INT16_MAX);

	memset(&hb, 0, sizeof(hb));
	for (int k = 0; k < BRANCH; k++)
		inv[BRANCH - 1 - k] = tapv[k] < 0 ? INT16_MAX : INT16_MIN;
	halfband_up2(&hb, outv, inv, BRANCH);
	assert_int_equal(outv[2 * BRANCH - 2], INT16_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encode_is_libsndfiles),
		cmocka_unit_test(test_decode_every_code),
		cmocka_unit_test(test_taps_are_the_design),
		cmocka_unit_test(test_images_and_ripple),
		cmocka_unit_test(test_same_bits_however_it_is_cut),
		cmocka_unit_test(test_saturates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/**
 * @file halfband.c  8 → 16 kHz
 *
 * A half-band filter has every second tap zero, so that of two outputs one is
 * an input sample as it is and only the other, half a sample earlier, costs
 * work: 32 products.
 *
 * Design: h(x) = sinc(x) · Kaiser(x / 16, β = 7.0) at x = ±0.5, ±1.5 … ±15.5,
 * scaled to a sum of 1 and rounded to 14 bits. At β = 7.0 the rounded taps add
 * up to exactly 2^14. Computed from the rounded taps: images -70.2 dB, ripple
 * 0.003 dB over 300–3400 Hz. tests/unit/test_audio.c computes the table again
 * and measures both.
 */
#include <string.h>
#include <convod/audio.h>

enum {
	TAPS = HALFBAND_TAPS / 2, /* of the branch that is not a delay */
	SHIFT = 14,
	BLOCK = 2 * FRAME_SAMPLES, /* inputs at once, bounds the stack */
};

/* The magnitudes add up to 39824: with full-scale input the sum stays below
 * 2^31 */
static const int16_t tapv[TAPS] = {
	-4,  10,    -21,  39,    -65,   103,   -157,  230,  -328,  460, -640,
	893, -1274, 1927, -3379, 10398, 10398, -3379, 1927, -1274, 893, -640,
	460, -328,  230,  -157,  103,   -65,   39,    -21,  10,    -4,
};

static inline int16_t saturate(int32_t v)
{
	return (int16_t)(v > INT16_MAX   ? INT16_MAX
			 : v < INT16_MIN ? INT16_MIN
					 : v);
}

/* The value half a sample before v[TAPS / 2]. A loop of fixed length over
 * 16-bit products is what compilers turn into multiply-add instructions. */
static inline int16_t between(const int16_t *v)
{
	int32_t sum = 1 << (SHIFT - 1);

	for (size_t k = 0; k < TAPS; k++)
		sum += v[k] * tapv[k];

	return saturate(sum >> SHIFT);
}

static void up2_block(struct halfband *hb, int16_t *outv, const int16_t *inv,
		      size_t n)
{
	int16_t v[HALFBAND_HISTORY + BLOCK];

	memcpy(v, hb->history, sizeof(hb->history));
	memcpy(v + HALFBAND_HISTORY, inv, n * sizeof(*inv));

	for (size_t i = 0; i < n; i++) {
		outv[2 * i] = between(v + i);
		outv[2 * i + 1] = v[i + TAPS / 2];
	}

	memcpy(hb->history, v + n, sizeof(hb->history));
}

void halfband_up2(struct halfband *hb, int16_t *outv, const int16_t *inv,
		  size_t n)
{
	while (n) {
		size_t m = MIN(n, (size_t)BLOCK);

		up2_block(hb, outv, inv, m);
		outv += 2 * m;
		inv += m;
		n -= m;
	}
}

/**
 * @file g711.c  μ-law of ITU-T G.711
 *
 * Decoding agrees everywhere. Encoding does not: libsndfile and spandsp cut
 * the magnitude to 14 bits, others shift the negative number and differ in
 * some hundred of the 65536 samples. Ours is libsndfile's.
 */
#include <convod/audio.h>

enum {
	BIAS = 33,      /* of 14-bit magnitudes, G.711 table 2          */
	CLIP = 8191,    /* largest biased magnitude                     */
	SEGMENT_0 = 132 /* biased exponent of a float in [32, 64)       */
};

/* clang-format off */
static const int16_t ulaw_pcmv[256] = {
	-32124, -31100, -30076, -29052, -28028, -27004, -25980, -24956,
	-23932, -22908, -21884, -20860, -19836, -18812, -17788, -16764,
	-15996, -15484, -14972, -14460, -13948, -13436, -12924, -12412,
	-11900, -11388, -10876, -10364, -9852, -9340, -8828, -8316,
	-7932, -7676, -7420, -7164, -6908, -6652, -6396, -6140,
	-5884, -5628, -5372, -5116, -4860, -4604, -4348, -4092,
	-3900, -3772, -3644, -3516, -3388, -3260, -3132, -3004,
	-2876, -2748, -2620, -2492, -2364, -2236, -2108, -1980,
	-1884, -1820, -1756, -1692, -1628, -1564, -1500, -1436,
	-1372, -1308, -1244, -1180, -1116, -1052, -988, -924,
	-876, -844, -812, -780, -748, -716, -684, -652,
	-620, -588, -556, -524, -492, -460, -428, -396,
	-372, -356, -340, -324, -308, -292, -276, -260,
	-244, -228, -212, -196, -180, -164, -148, -132,
	-120, -112, -104, -96, -88, -80, -72, -64,
	-56, -48, -40, -32, -24, -16, -8, 0,
	32124, 31100, 30076, 29052, 28028, 27004, 25980, 24956,
	23932, 22908, 21884, 20860, 19836, 18812, 17788, 16764,
	15996, 15484, 14972, 14460, 13948, 13436, 12924, 12412,
	11900, 11388, 10876, 10364, 9852, 9340, 8828, 8316,
	7932, 7676, 7420, 7164, 6908, 6652, 6396, 6140,
	5884, 5628, 5372, 5116, 4860, 4604, 4348, 4092,
	3900, 3772, 3644, 3516, 3388, 3260, 3132, 3004,
	2876, 2748, 2620, 2492, 2364, 2236, 2108, 1980,
	1884, 1820, 1756, 1692, 1628, 1564, 1500, 1436,
	1372, 1308, 1244, 1180, 1116, 1052, 988, 924,
	876, 844, 812, 780, 748, 716, 684, 652,
	620, 588, 556, 524, 492, 460, 428, 396,
	372, 356, 340, 324, 308, 292, 276, 260,
	244, 228, 212, 196, 180, 164, 148, 132,
	120, 112, 104, 96, 88, 80, 72, 64,
	56, 48, 40, 32, 24, 16, 8, 0,
};
/* clang-format on */

int16_t g711_ulaw_decode(uint8_t code)
{
	return ulaw_pcmv[code];
}

union float_bits {
	float f;
	uint32_t bits;
};

/*
 * The segment of a magnitude is its exponent, and the four bits after the
 * leading one are the rest of the code: exactly what the top of a float's
 * bits holds. Written so, the loop has no table and no branch, and compilers
 * vectorise it (gcc 12 through a union, but not through memcpy; and only what
 * it may inline, which in position independent code no public function is).
 */
static inline uint8_t encode(int16_t sample)
{
	int32_t v = sample, sign = v >> 8 & 0x80;
	int32_t mag = ((v < 0 ? -v : v) >> 2) + BIAS;
	union float_bits x;

	/* a statement of its own, or gcc makes it a branch */
	mag = mag < CLIP ? mag : CLIP;
	x.f = (float)mag;

	return (uint8_t) ~((uint32_t)sign |
			   ((x.bits >> 19) - (SEGMENT_0 << 4)));
}

uint8_t g711_ulaw_encode(int16_t sample)
{
	return encode(sample);
}

void g711_ulaw_decode_n(int16_t *pcmv, const uint8_t *ulawv, size_t n)
{
	for (size_t i = 0; i < n; i++)
		pcmv[i] = ulaw_pcmv[ulawv[i]];
}

void g711_ulaw_encode_n(uint8_t *ulawv, const int16_t *pcmv, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ulawv[i] = encode(pcmv[i]);
}

/**
 * @file steady.c  Tells steady tones from speech
 *
 * The sum of two sinusoids, of whatever frequencies, can be foretold from four
 * of its values at equal distances, all but the noise of the line. Of linear
 * prediction, whose distance is one sample, a vowel leaves no more than a
 * ringing tone does. With a distance of 2 or 4 ms a voice has changed in the
 * time that is looked back, in pitch if in nothing else.
 */
#include <string.h>
#include "steady.h"

enum {
	ORDER = STEADY_TAPS + 1,
	LANES = STEADY_STEP_MULTIPLE,
};

/* Relative; added to the diagonal lest it be divided by rounding errors: one
 * tone leaves two of the taps with nothing to tell */
#define RIDGE 1e-4f

typedef float lanes_v __attribute__((vector_size(LANES * sizeof(float))));

static inline float dot(const float *a, const float *b, size_t n)
{
	lanes_v sum = {0}, av, bv;

	for (size_t i = 0; i < n; i += LANES) {
		memcpy(&av, a + i, sizeof(av));
		memcpy(&bv, b + i, sizeof(bv));
		sum += av * bv;
	}

	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Inner products of what is foretold, shifted back by i and by k steps. Steps
 * are whole blocks, so all are sums of the same few products of blocks. */
static void correlate(float cov[ORDER][ORDER], const float *v, size_t blocks,
		      size_t step)
{
	float dotv[STEADY_BLOCKS_MAX][ORDER];

	for (size_t b = 0; b < blocks; b++) {
		const float *block = v + b * step;

		for (size_t lag = 0; lag <= MIN(b, STEADY_TAPS); lag++)
			dotv[b][lag] = dot(block, block - lag * step, step);
	}

	for (size_t i = 0; i < ORDER; i++) {
		for (size_t k = i; k < ORDER; k++) {
			float sum = 0;

			for (size_t b = STEADY_TAPS; b < blocks; b++)
				sum += dotv[b - i][k - i];
			cov[i][k] = cov[k][i] = sum;
		}
	}
}

/* Eliminate what is looked back at, the oldest first. What is left of the
 * energy is the error of the best prediction. */
static float eliminate(float cov[ORDER][ORDER])
{
	for (size_t p = STEADY_TAPS; p > 0; p--) {
		for (size_t i = 0; i < p; i++) {
			float f = cov[i][p] / cov[p][p];

			for (size_t k = 0; k < p; k++)
				cov[i][k] -= f * cov[p][k];
		}
	}

	return cov[0][0];
}

float steady_residue(const float *v, size_t n, size_t step)
{
	float cov[ORDER][ORDER], energy;

	correlate(cov, v, n / step, step);
	energy = cov[0][0];
	if (energy <= 0)
		return 1;

	for (size_t i = 1; i < ORDER; i++)
		cov[i][i] += RIDGE * (energy + cov[i][i]);

	return eliminate(cov) / energy;
}

/**
 * @file tone.c  Tells keys, dial tones and beeps from speech
 *
 * Steady sinusoids can be predicted from the last four samples, all but the
 * noise of the line; of speech a hundredth or more of the energy remains. Keys
 * are too short for that (a frame holds one of their edges), but nearly all
 * the energy of a frame is at one row and one column frequency.
 */
#include <math.h>
#include <convod/audio.h>
#include "tone.h"

enum { ORDER = 4 };

static const double tone_residue = 0.004; /* of the energy, -24 dB */
static const double key_energy = 0.6;
static const double loud = 0.05; /* of the loudest frame  */

static void autocorrelate(double *rv, const int16_t *pcmv)
{
	double v[FRAME_SAMPLES];

	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		v[i] = pcmv[i] *
		       (0.5 - 0.5 * cos(2 * M_PI * (double)i / FRAME_SAMPLES));

	for (size_t k = 0; k <= ORDER; k++) {
		rv[k] = 0;
		for (size_t i = k; i < FRAME_SAMPLES; i++)
			rv[k] += v[i] * v[i - k];
	}
}

/* What linear prediction leaves of the energy (Levinson-Durbin) */
static double residue(const double *rv)
{
	double a[ORDER + 1] = {1}, err = rv[0];

	for (size_t k = 1; k <= ORDER && err > 0; k++) {
		double acc = 0, b[ORDER + 1];

		for (size_t i = 0; i < k; i++)
			acc += a[i] * rv[k - i];
		acc = -acc / err;
		for (size_t i = 0; i <= k; i++)
			b[i] = (i < k ? a[i] : 0) + acc * (i ? a[k - i] : 0);
		for (size_t i = 0; i <= k; i++)
			a[i] = b[i];
		err *= 1 - acc * acc;
	}

	return rv[0] > 0 ? err / rv[0] : 1;
}

/* Share of the energy at a frequency (Goertzel) */
static double share_at(const int16_t *pcmv, double hz)
{
	double c = 2 * cos(2 * M_PI * hz / AUDIO_RATE), s1 = 0, s2 = 0;
	double energy = 1;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		double s0 = pcmv[i] + c * s1 - s2;

		s2 = s1;
		s1 = s0;
		energy += (double)pcmv[i] * pcmv[i];
	}

	return (s1 * s1 + s2 * s2 - c * s1 * s2) * 2 /
	       (FRAME_SAMPLES * energy);
}

static double best_share(const int16_t *pcmv, const double *hzv)
{
	double best = 0;

	for (size_t i = 0; i < 4; i++)
		best = fmax(best, share_at(pcmv, hzv[i]));

	return best;
}

static bool is_key(const int16_t *pcmv)
{
	static const double rowv[] = {697, 770, 852, 941};
	static const double colv[] = {1209, 1336, 1477, 1633};
	double row = best_share(pcmv, rowv), col = best_share(pcmv, colv);

	return row > 0.1 && col > 0.1 && row + col > key_energy;
}

double tone_share(const int16_t *pcmv, size_t n)
{
	double max = 0, rv[ORDER + 1];
	size_t loudc = 0, tonec = 0;

	for (size_t i = 0; i + FRAME_SAMPLES <= n; i += FRAME_SAMPLES) {
		autocorrelate(rv, pcmv + i);
		max = fmax(max, rv[0]);
	}

	for (size_t i = 0; i + FRAME_SAMPLES <= n; i += FRAME_SAMPLES) {
		autocorrelate(rv, pcmv + i);
		if (rv[0] <= 0 || rv[0] < loud * max)
			continue;
		++loudc;
		tonec += residue(rv) < tone_residue || is_key(pcmv + i);
	}

	return loudc ? (double)tonec / (double)loudc : 0;
}

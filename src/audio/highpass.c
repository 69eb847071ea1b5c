/**
 * @file highpass.c  200 Hz: keeps mains hum from counting as speech
 */
#include <math.h>
#include <string.h>
#include "highpass.h"

enum { STEP = 4 /* samples filtered at once */ };

/* Butterworth of second order at 200 Hz: 50 Hz -24 dB, 60 Hz -21, 300 Hz -0.7.
 * With w = 2 pi 200 / 8000 and a = sin(w) / sqrt(2):
 * b = (1 + cos w) / 2 / (1 + a), a1 = -2 cos w / (1 + a),
 * a2 = (1 - a) / (1 + a) */
#define HP_B  0.8948586f
#define HP_A1 (-1.7786318f)
#define HP_A2 0.8008026f

/* Response of the recursive half, 1 / (1 + a1 z^-1 + a2 z^-2), to an impulse.
 * With it STEP outputs hang on the two before them only and not on each
 * other, which is what a processor must wait for. */
#define HP_H1 (-HP_A1)
#define HP_H2 (-HP_A1 * HP_H1 - HP_A2)
#define HP_H3 (-HP_A1 * HP_H2 - HP_A2 * HP_H1)
#define HP_H4 (-HP_A1 * HP_H3 - HP_A2 * HP_H2)

typedef float step_v __attribute__((vector_size(STEP * sizeof(float))));

/* w is what the other half makes of the input */
static inline step_v recurse(step_v w, float y1, float y2)
{
	static const step_v y1v = {HP_H1, HP_H2, HP_H3, HP_H4};
	static const step_v y2v = {-HP_A2, -HP_A2 * HP_H1, -HP_A2 * HP_H2,
				   -HP_A2 * HP_H3};
	static const step_v w0v = {1, HP_H1, HP_H2, HP_H3};
	static const step_v w1v = {0, 1, HP_H1, HP_H2};
	static const step_v w2v = {0, 0, 1, HP_H1};
	static const step_v w3v = {0, 0, 0, 1};

	return (w[0] * w0v + w[1] * w1v + w[2] * w2v + w[3] * w3v) +
	       (y1 * y1v + y2 * y2v);
}

void highpass_frame(struct highpass *hp, float *outv, const int16_t *inv)
{
	float xv[2 + FRAME_SAMPLES];
	step_v w, y = {0, 0, hp->y2, hp->y1};

	xv[0] = hp->x2;
	xv[1] = hp->x1;
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		xv[2 + i] = inv[i];
	hp->x1 = xv[FRAME_SAMPLES + 1];
	hp->x2 = xv[FRAME_SAMPLES];

	/* in place: what the loop reads lies before what it writes */
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		xv[i] = HP_B * (xv[i] - 2 * xv[i + 1] + xv[i + 2]);

	for (size_t i = 0; i < FRAME_SAMPLES; i += STEP) {
		memcpy(&w, xv + i, sizeof(w));
		y = recurse(w, y[3], y[2]);
		memcpy(outv + i, &y, sizeof(y));
	}

	/* Behind a constant the tail would fade into denormal numbers, which
	 * cost ten times as much as others. From here it takes more than a
	 * frame to get there. */
	if (fabsf(y[3]) < 1e-6f && fabsf(y[2]) < 1e-6f)
		y[3] = y[2] = 0;
	hp->y1 = y[3];
	hp->y2 = y[2];
}

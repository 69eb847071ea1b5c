/**
 * @file splice.c  Joining pieces of speech so that nothing clicks
 */
#include <stdlib.h>
#include <convod/playout.h>
#include "splice.h"

enum {
	BLOCK_SAMPLES = 5 * AUDIO_PER_MS,
	PAUSE_BLOCKS = PLAYOUT_PAUSE_MS / 5,
	RUN_UP_BLOCKS = 40 / 5, /* of the pause before the next word */

	/* (32768 * 10 ^ (PLAYOUT_PAUSE_DB / 20)) ^ 2 */
	PAUSE_POWER = 107374,

	QUIET_PEAK = 132, /* -48 dBFS: a step that nobody hears */
};

/* Step k of the ramp, of a sample */
static int32_t part(uint8_t code, size_t k)
{
	return g711_ulaw_decode(code) * (int32_t)k / SPLICE_SAMPLES;
}

void splice_in(uint8_t *ulawv, size_t n, uint8_t last)
{
	for (size_t i = 0; i < MIN(n, SPLICE_SAMPLES); i++)
		ulawv[i] = g711_ulaw_encode(
			(int16_t)(part(ulawv[i], i) +
				  part(last, SPLICE_SAMPLES - i)));
}

void splice_out(uint8_t *ulawv, size_t n)
{
	for (size_t i = 0; i < MIN(n, SPLICE_SAMPLES); i++) {
		uint8_t *p = &ulawv[n - 1 - i];

		*p = g711_ulaw_encode((int16_t)part(*p, i));
	}
}

bool splice_is_quiet(uint8_t last)
{
	return abs(g711_ulaw_decode(last)) <= QUIET_PEAK;
}

static int step(uint8_t a, uint8_t b)
{
	return abs(g711_ulaw_decode(a) - g711_ulaw_decode(b));
}

bool splice_is_loop(const uint8_t *ulawv, size_t n)
{
	const size_t m = MIN(n, SPLICE_SAMPLES);
	int most = QUIET_PEAK;

	for (size_t i = 1; i < m; i++) {
		most = MAX(most, step(ulawv[i - 1], ulawv[i]));
		most = MAX(most, step(ulawv[n - i - 1], ulawv[n - i]));
	}

	return !n || step(ulawv[n - 1], ulawv[0]) <= most;
}

static bool is_pause(const uint8_t *blockv)
{
	uint32_t sum = 0;

	/* most blocks are speech, known as such after a few samples */
	for (size_t i = 0; i < BLOCK_SAMPLES; i++) {
		int32_t v = g711_ulaw_decode(blockv[i]);

		sum += (uint32_t)(v * v) / BLOCK_SAMPLES;
		if (sum >= PAUSE_POWER)
			return false;
	}

	return true;
}

size_t splice_pause(const uint8_t *ulawv, size_t n, size_t pos)
{
	size_t from = MIN(pos, n), to = from, run = 0;

	/* the one that the position lies in may go on behind it */
	while (n - to >= BLOCK_SAMPLES && run < PAUSE_BLOCKS &&
	       is_pause(ulawv + to)) {
		to += BLOCK_SAMPLES;
		++run;
	}
	if (from >= BLOCK_SAMPLES && !is_pause(ulawv + from - BLOCK_SAMPLES))
		run = 0;

	while (from >= BLOCK_SAMPLES && run < PAUSE_BLOCKS) {
		from -= BLOCK_SAMPLES;
		if (is_pause(ulawv + from)) {
			++run;
		} else {
			run = 0;
			to = from;
		}
	}
	if (run < PAUSE_BLOCKS)
		return 0;

	return MIN(to - RUN_UP_BLOCKS * BLOCK_SAMPLES, pos);
}

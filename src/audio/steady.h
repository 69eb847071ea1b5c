/**
 * @file steady.h  Tells steady tones from speech. Pure.
 */
#ifndef CONVOD_STEADY_H
#define CONVOD_STEADY_H

#include <convod/defs.h>

enum {
	STEADY_TAPS = 4, /* two tones: each takes two of them */
	STEADY_BLOCKS_MAX = 10,
	STEADY_STEP_MULTIPLE = 4,
};

/**
 * How well samples can be foretold from earlier ones at equal distances
 *
 * @param v    n samples of any scale; the first STEADY_TAPS * step of them are
 *             what the rest is foretold from
 * @param n    A multiple of step, more than STEADY_TAPS and at most
 *             STEADY_BLOCKS_MAX times as much
 * @param step Distance in samples, a multiple of STEADY_STEP_MULTIPLE
 *
 * @return Share of the energy that cannot be foretold, 0..1; 1 for silence
 */
float steady_residue(const float *v, size_t n, size_t step);

#endif

/**
 * @file tone.h  Tells keys, dial tones and beeps from speech. Pure.
 */
#ifndef CONVOD_TONE_H
#define CONVOD_TONE_H

#include <convod/defs.h>

/** Share of the loud frames that are one or two steady tones, 0..1 */
double tone_share(const int16_t *pcmv, size_t n);

#endif

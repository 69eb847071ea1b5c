/**
 * @file splice.h  Joining pieces of speech so that nothing clicks
 *
 * All on μ-law bytes, 8 kHz; pure.
 */
#ifndef SPLICE_H
#define SPLICE_H

#include <convod/audio.h>

enum { SPLICE_SAMPLES = 40 }; /* 5 ms: too short to be heard as a fade */

/**
 * Let sound grow out of what was heard before it: the first SPLICE_SAMPLES
 * rise from nothing, while the last sample before them dies away
 *
 * @param last The code before the first one; ULAW_SILENCE: plain fade-in
 */
void splice_in(uint8_t *ulawv, size_t n, uint8_t last);

/** Let the last SPLICE_SAMPLES die away to silence; of fewer only the end is
 * smooth */
void splice_out(uint8_t *ulawv, size_t n);

/** Does sound of this last code end without a click? */
bool splice_is_quiet(uint8_t last);

/** May the beginning follow the end as it is, for it is no larger a step than
 * the ones around it? */
bool splice_is_loop(const uint8_t *ulawv, size_t n);

/**
 * Find the last pause that began before a position: at least PLAYOUT_PAUSE_MS
 * in blocks of 5 ms, the power of each below PLAYOUT_PAUSE_DB
 *
 * @param pos Samples; the pause may reach beyond it
 *
 * @return where to begin so that the sound after the pause comes whole: in the
 *         pause, up to 40 ms before its end; 0 if there is none
 */
size_t splice_pause(const uint8_t *ulawv, size_t n, size_t pos);

#endif

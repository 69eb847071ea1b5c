/**
 * @file endpoint.h  Cuts a caller's audio into utterances
 *
 * Pure. For recognisers that want a whole utterance at once.
 */
#ifndef CONVOD_ENDPOINT_H
#define CONVOD_ENDPOINT_H

#include <convod/audio.h>

enum {
	ENDPOINT_PREROLL_MS = 300, /* before voice activity is sure of it */
	ENDPOINT_TRAIL_MS = 740,   /* after the detector's own 100; a
				    * pause of 500 ms between words, 740
				    * with their fading, is not an end   */
	ENDPOINT_PAUSE_MS = 140,   /* longer than a stop inside a word: the
				    * caller may be done                 */
	ENDPOINT_EARLY_MS = 300,   /* and is, if what was said is complete */
	ENDPOINT_MAX_MS = 15000,   /* then it is cut, speech or not        */

	ENDPOINT_MAX_SAMPLES = ENDPOINT_MAX_MS * AUDIO_PER_MS,
};

/** What was said, 8 kHz; a mem object */
struct utterance {
	uint64_t start; /* sample position of the first sample */
	size_t speech;  /* samples the detector called speech  */
	size_t n;
	int16_t pcmv[];
};

struct endpoint;

int endpoint_alloc(struct endpoint **ep);

/**
 * Feed one frame
 *
 * @param pcmv   FRAME_SAMPLES samples
 * @param speech Voice activity of this frame
 * @param up     Set to an utterance that has ended, else to NULL
 *
 * @return 0; ENOMEM: an utterance began and is lost
 */
int endpoint_frame(struct endpoint *e, const int16_t *pcmv, bool speech,
		   struct utterance **up);

/** The utterance that is being said, or NULL. More is appended to it, but what
 * is there never changes: another thread may read it. */
struct utterance *endpoint_utterance(const struct endpoint *e);

/** Time since voice activity ended in it [ms] */
uint32_t endpoint_silence_ms(const struct endpoint *e);

/** Nothing more comes: the utterance that has begun, or NULL */
struct utterance *endpoint_finish(struct endpoint *e);

#endif

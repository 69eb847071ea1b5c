/**
 * @file load_pattern.h  What a caller of convo-load says, over and over
 */
#ifndef CONVO_LOAD_PATTERN_H
#define CONVO_LOAD_PATTERN_H

#include <convod/audio.h>
#include <convod/str.h>

struct load_pattern {
	char (*payloadv)[BASE64_LEN(FRAME_SAMPLES)]; /* of each frame */
	size_t payloadc;
	size_t speechc; /* frames of it that are speech, the first ones */
	size_t onset;   /* the frame in which speech begins: the first of three
			 * above -40 dBFS; SIZE_MAX if there is none */
};

/**
 * Speech, or what passes for it, then silence
 *
 * @param file      Any sound file, or NULL: speech_ms of tone bursts
 * @param silence_ms Behind it
 *
 * @return 0; or as record_read(). payloadv is released with mem_deref().
 */
CV_NODISCARD int load_pattern_make(struct load_pattern *p, const char *file,
				   uint32_t speech_ms, uint32_t silence_ms);

#endif

/**
 * @file highpass.h  200 Hz: keeps mains hum from counting as speech
 */
#ifndef CONVOD_HIGHPASS_H
#define CONVOD_HIGHPASS_H

#include <convod/audio.h>

/** Zero it to start from silence */
struct highpass {
	float x1, x2, y1, y2;
};

/** Both FRAME_SAMPLES long */
void highpass_frame(struct highpass *hp, float *outv, const int16_t *inv);

#endif

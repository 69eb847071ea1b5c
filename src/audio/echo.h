/**
 * @file echo.h  How loud the bot's own voice may be in what is heard. Pure.
 */
#ifndef CONVOD_AUDIO_ECHO_H
#define CONVOD_AUDIO_ECHO_H

#include "highpass.h"

enum {
	ECHO_SLOT_MS = 10,
	ECHO_DELAYS = 64, /* slots: 0 to 630 ms from there to here */
	/* what has been sent may be heard for the longest lead there is, 5 s,
	 * and that of the longest delay comes back; a power of two */
	ECHO_SLOTS = 1024,
};

/** All times are of one clock, and do not go back */
struct echo {
	struct highpass hp;
	uint64_t ends_ms;           /* of what has been sent; 0: nothing yet */
	uint64_t end;               /* slot after the last one               */
	float energy;               /* of the last one                       */
	int8_t playedv[ECHO_SLOTS]; /* dBFS of 20 ms from the slot on    */
	float returnv[ECHO_DELAYS]; /* dB of it that come back, at most */

	uint64_t heard_ms; /* end of the last frame    */
	uint64_t late_ms;  /* least of some frames that came later than that */
	unsigned frames;   /* that many                */
	uint64_t early_ms; /* the last one came so long before its time */
};

void echo_init(struct echo *e);

/** See vad_played() */
void echo_played(struct echo *e, const uint8_t *ulawv, size_t n,
		 uint64_t now_ms);

/** See vad_cleared() */
void echo_cleared(struct echo *e, uint64_t now_ms);

/**
 * To be called for each frame heard, and learns from it
 *
 * @param db Level of the frame, above 200 Hz, dBFS
 *
 * @return what is not louder than this may be echo, dBFS
 */
float echo_bound(struct echo *e, float db, uint64_t now_ms);

#endif

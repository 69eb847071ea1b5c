/**
 * @file playout_priv.h  What sending and hearing share of playout
 *
 * All utterances stand in one array, in the order in which they are heard:
 *
 *     sent, awaiting their marks | sending | waiting
 *     0 ...                        sentc     ...        itemc
 *
 * They keep their clips to the end, since a hold takes all that was not heard
 * back to the waiting ones. A finished one is reported once and forgotten.
 */
#ifndef PLAYOUT_PRIV_H
#define PLAYOUT_PRIV_H

#include <convod/playout.h>

enum { PLAYOUT_LATE_MAX_MS = 1000 }; /* that a carrier is believed to be */

struct playout_item {
	struct clip *clip;
	uint64_t ends_ms; /* when the carrier has played what was sent of it */
	uint32_t utterance;
	uint32_t from; /* sample at which sending began: 0, or resumed here */
	uint32_t pos;  /* sample up to which it was sent, with padding */
	bool begun;    /* started() was called */
};

/** What finished() is told of */
struct playout_over {
	uint32_t utterance;
	uint32_t ms; /* of its clip */
};

struct playout {
	const struct playout_ops *ops;
	void *arg;
	uint32_t lead_ms;
	uint32_t message; /* samples */
	uint32_t generation;
	uint32_t late_ms; /* the carrier plays later than the model says */
	uint32_t mark_late_ms; /* by the last mark */
	uint64_t ends_ms;
	uint8_t last; /* code sent last: what follows must not click */
	bool ran_dry; /* this gap in an utterance has been counted */
	bool held;
	bool closed;
	bool clear_owed; /* the carrier did not read when it was due */

	bool filling; /* what was sent last is of a filler */
	struct clip *filler;
	size_t filler_pos; /* the next sample */
	bool filler_new;   /* nothing of it has been sent */

	/* What an utterance that was held had been heard of */
	uint32_t again_utterance;
	uint32_t again_heard; /* samples; 0: no such utterance */

	struct playout_over over; /* what was heard to its end last */

	size_t sentc;
	size_t itemc;
	struct playout_item itemv[PLAYOUT_MARKS_MAX + PLAYOUT_QUEUE_MAX];
};

/** Take the first one out, wherever it stands */
struct playout_over playout_take_first(struct playout *p);

/** The handler may ask what was heard, and call back into playout */
void playout_tell_over(struct playout *p, struct playout_over over,
		       bool heard);

/** The first one is over */
void playout_finish_first(struct playout *p, bool heard);

/** What a carrier has yet to forget comes before anything new */
int playout_send_clear(struct playout *p);

#endif

/**
 * @file playout.h  Sends clips on time, and knows what was heard
 *
 * Pure: the time is an argument, messages go out through a vtable. Audio is
 * sent on absolute deadlines, at most lead_ms ahead of real time, in whole
 * 20 ms frames, several to a message. After each utterance a mark is sent; a
 * ledger of the marks and of what was sent when tells what the caller has
 * heard.
 *
 * Utterances are played in the order queued. A clip may still be arriving;
 * where it runs dry playout waits (an under-run, counted) and goes on with a
 * clean start. What would begin or end with a click gets a ramp of 5 ms.
 *
 * Mark names are "u<utterance>g<generation>"; the generation grows with each
 * playout_clear() and playout_hold(), so that marks which a clear sent back
 * never count as heard.
 *
 * Whatever gives playout something to do (queue, resume, filler, a clip that
 * grows) wants a playout_tick() soon. Thread: loop. 3.2 kB each.
 */
#ifndef CONVOD_PLAYOUT_H
#define CONVOD_PLAYOUT_H

#include <convod/clip.h>

CV_BEGIN_DECLS

enum {
	PLAYOUT_LEAD_MS = 300,
	PLAYOUT_MESSAGE_MS = 120, /* audio in one message, 60 at the start */
	PLAYOUT_QUEUE_MAX = 64,   /* utterances waiting                    */
	PLAYOUT_MARK_MAX = 32,    /* bytes of a mark's name                */
	PLAYOUT_MARKS_MAX = 32,   /* outstanding; the oldest is given up   */
};

/** How playout talks to the carrier; all called from playout_tick/_clear */
struct playout_ops {
	/** Send audio, n a multiple of FRAME_SAMPLES.
	 * @return 0; EAGAIN if the carrier does not read: nothing was sent,
	 *         playout pauses and tries again; else playout stops */
	int (*media)(const uint8_t *ulawv, size_t n, void *arg);
	int (*mark)(const char *name, void *arg); /* likewise */
	int (*clear)(void *arg);                  /* likewise */

	/** The first audio of an utterance was sent */
	void (*started)(uint32_t utterance, uint64_t now_ms, void *arg);
	/** All of it has been heard (its mark came back, or its time is over
	 * by PLAYOUT_MARK_GRACE_MS and no mark came); or not: it was cleared,
	 * or had no audio. May call back into playout, but not drop it. */
	void (*finished)(uint32_t utterance, bool heard, void *arg);
};

enum { PLAYOUT_MARK_GRACE_MS = 2000 };

struct playout;

CV_NODISCARD int playout_alloc(struct playout **pp,
			       const struct playout_ops *ops, uint32_t lead_ms,
			       void *arg);

/**
 * Queue a clip; a reference is kept until it is played
 *
 * @param utterance Number that the caller of this function chose; grows
 *
 * @return 0; ENOBUFS beyond PLAYOUT_QUEUE_MAX
 */
CV_NODISCARD int playout_queue(struct playout *p, struct clip *c,
			       uint32_t utterance);

/** Queue before whatever has not begun to be sent */
CV_NODISCARD int playout_queue_first(struct playout *p, struct clip *c,
				     uint32_t utterance);

/**
 * Give an utterance another clip, while nothing of it has been sent: the voice
 * speaks what could not be fetched
 *
 * @return 0; ENOENT if the utterance is not queued; EBUSY if it has begun
 */
CV_NODISCARD int playout_replace(struct playout *p, struct clip *c,
				 uint32_t utterance);

/**
 * Send what is due
 *
 * @return time of the next call [ms], UINT64_MAX when there is nothing to do
 *         until something is queued, a clip grows or a mark comes
 */
uint64_t playout_tick(struct playout *p, uint64_t now_ms);

/**
 * Stop at once: the queue and the filler are dropped, `clear` is sent if
 * anything may still be in the carrier's buffer, outstanding marks are void,
 * finished() is called with heard = false for every utterance not fully heard
 * (by the clock, for a mark may be on its way). It also ends a hold.
 */
void playout_clear(struct playout *p, uint64_t now_ms);

/** A mark came back from the carrier */
void playout_mark(struct playout *p, const char *name, uint64_t now_ms);

/**
 * Be silent, but keep what is left: `clear` is sent as by playout_clear(), the
 * outstanding marks are void. Utterances that were heard to their end are
 * finished; nothing more is sent until playout_resume() or playout_clear().
 * What is queued meanwhile waits. Again while held: nothing.
 */
void playout_hold(struct playout *p, uint64_t now_ms);

/**
 * Go on where playout_hold() stopped: at the last word that began before the
 * last frame heard if the clip knows its words, else in the last pause (at
 * least PLAYOUT_PAUSE_MS below PLAYOUT_PAUSE_DB) that began before it, else
 * from the beginning of the clip. started() is not called again for what had
 * begun. While not held: nothing.
 */
void playout_resume(struct playout *p, uint64_t now_ms);

enum { PLAYOUT_PAUSE_MS = 60, PLAYOUT_PAUSE_DB = -40 /* dBFS */ };

/** What the caller has heard of an utterance */
struct playout_heard {
	uint32_t ms;       /* from its beginning; what is played again after a
			    * hold does not count twice */
	uint32_t total_ms; /* of the whole utterance; 0: not known yet */
	bool timed;        /* the clip knows its words: text is right  */
	uint32_t text;     /* bytes of the text before the last word whose
			    * beginning was heard, for that one may have been
			    * cut; 0 if none was */
};

/**
 * What was heard of an utterance that is not finished, by the clock and by how
 * late the last mark came back; all of the one that finished() said last to be
 * heard; all 0 for any other. Exact to 100 ms if the way to the carrier and
 * back takes less than 200 ms; while held, as of the moment of playout_hold().
 */
void playout_heard(const struct playout *p, uint32_t utterance,
		   struct playout_heard *h, uint64_t now_ms);

/**
 * Play a clip over and over, from its beginning, while nothing else has
 * anything to send; what is queued goes before it at once, with a fade. At
 * most PLAYOUT_FILLER_LEAD_MS of it are sent ahead. It has no mark and is no
 * utterance; it does not sound in the gaps of an utterance that has begun, nor
 * while held. playout_clear() ends it.
 *
 * @param c An ended clip, a reference is kept; NULL: no longer
 */
void playout_filler(struct playout *p, struct clip *c);

enum { PLAYOUT_FILLER_LEAD_MS = 100 };

/** Is anything but the filler queued, held, being sent or still in the
 * carrier's buffer? */
bool playout_is_busy(const struct playout *p, uint64_t now_ms);

CV_END_DECLS

#endif

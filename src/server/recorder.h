/**
 * @file recorder.h  Writes a call to a sound file while it goes on
 *
 * Stereo: the caller left, as received; the bot right, as heard. The disk is
 * written a second at a time by jobs, never on the loop. A disk that falls
 * behind by RECORDER_BEHIND_MAX_S loses what comes next (counted).
 *
 * Keys that are secret are silence in it, for RECORDER_HIDE_MS before a key is
 * told and after: a carrier tells of it when its tone may long have begun, and
 * a tone may last.
 *
 * Thread: loop.
 */
#ifndef CONVOD_RECORDER_H
#define CONVOD_RECORDER_H

#include <convod/loop.h>

CV_BEGIN_DECLS

enum {
	RECORDER_BATCH_S = 1,
	RECORDER_BEHIND_MAX_S = 4,
	RECORDER_HIDE_MS = 1000,
};

struct recorder;

/**
 * Begin a file, dir/recordings/<call id>.wav; a number is added to the name if
 * there is one. The file is made by the first job: what is wrong with it is
 * logged then.
 */
CV_NODISCARD int recorder_alloc(struct recorder **rp, struct loop *l,
				const char *dir, const char *call_id);

/**
 * 20 ms pass
 *
 * @param ulawv  FRAME_SAMPLES of the caller; NULL: not for any recording
 * @param secret Keys are: a tone in it is hidden as by recorder_hide()
 */
void recorder_frame(struct recorder *r, const uint8_t *ulawv, bool secret);

/** A secret key was pressed: what it sounds like is on nobody's disk */
void recorder_hide(struct recorder *r);

/** Audio for the bot's side, to be heard after what came before */
void recorder_bot(struct recorder *r, const uint8_t *ulawv, size_t n);

/** The carrier forgets what it has not played yet */
void recorder_clear(struct recorder *r);

/** Write the rest and let go; for NULL too. Returns NULL. */
struct recorder *recorder_close(struct recorder *r);

CV_END_DECLS

#endif

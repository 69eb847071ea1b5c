/**
 * @file record.h  Sound files of calls: what was said, and what the line bore
 *
 * Thread: the caller's own; these functions touch the disk and so never run
 * on the daemon's loop.
 */
#ifndef CONVOD_RECORD_H
#define CONVOD_RECORD_H

#include <convod/defs.h>

CV_BEGIN_DECLS

struct record;

/**
 * Create a stereo WAV file, 8000 Hz, 16 bit: caller left, bot right
 *
 * The header is right at any moment, so a file that was cut off can be played.
 *
 * @return 0; EINVAL; ENOMEM; or why the file cannot be made
 */
CV_NODISCARD int record_alloc(struct record **rp, const char *path);

/**
 * Append n samples of both sides, of the same time
 *
 * @return 0; EIO if the disk is full or gone, nothing is written any more
 */
CV_NODISCARD int record_write(struct record *r, const int16_t *callerv,
			      const int16_t *botv, size_t n);

/** Samples of each side so far */
uint64_t record_len(const struct record *r);

enum { RECORD_READ_MAX_S = 600 };

/**
 * Read a sound file of any format of libsndfile as 8000 Hz mono
 *
 * @param pcmv Set to the samples; release with mem_deref()
 *
 * @return 0; ENOENT and others if it cannot be opened; EBADMSG: not audio;
 *         ENODATA: empty; EOVERFLOW: longer than RECORD_READ_MAX_S; ENOMEM
 */
CV_NODISCARD int record_read(int16_t **pcmv, size_t *n, const char *path);

CV_END_DECLS

#endif

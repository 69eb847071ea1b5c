/**
 * @file ring.h  Lock-free ring of μ-law samples with absolute positions
 *
 * One producer (the carrier), one consumer (the recogniser), which may be
 * different threads. Positions count samples since the start of the call and
 * never wrap (64 bits at 8 kHz). The consumer has two cursors: *sent*, what it
 * has read, and *kept*, the oldest sample it may want to read again when a
 * recogniser's stream breaks.
 *
 *	kept <= sent <= head, and all of kept..head can be read
 *
 * Full, more than size samples since kept, means that the consumer has
 * stopped: the producer never waits. What does not fit is dropped (the newest)
 * and counted, here and as M_SAMPLES_DROPPED; head goes on over it as if it
 * were silence, so that positions stay true to the clock however long the
 * consumer sleeps. A consumer that comes back reads what was stored, then
 * μ-law silence for what was dropped.
 */
#ifndef CONVOD_RING_H
#define CONVOD_RING_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum { RING_SILENCE = 0xff }; /* μ-law */

struct ring;

/**
 * @param rp   Where the ring goes
 * @param size Samples, a power of two
 *
 * @return 0; EINVAL if size is not a power of two; ENOMEM
 */
CV_NODISCARD int ring_alloc(struct ring **rp, size_t size);

/**
 * Append samples
 *
 * Thread: producer
 *
 * @return samples stored; what is missing to n was dropped and counted
 */
size_t ring_write(struct ring *r, const uint8_t *ulawv, size_t n);

/** Position after the newest sample. Thread: any */
uint64_t ring_head(const struct ring *r);

/** Samples that were dropped so far. Thread: any */
uint64_t ring_dropped(const struct ring *r);

/** Next position to be read. Thread: consumer */
uint64_t ring_sent(const struct ring *r);

/** Oldest position that can still be read. Thread: consumer */
uint64_t ring_kept(const struct ring *r);

/** Samples that ring_read() would give now. Thread: consumer */
size_t ring_pending(const struct ring *r);

/**
 * Copy the next samples out and advance *sent*
 *
 * Thread: consumer
 *
 * @return samples copied, at most n
 */
size_t ring_read(struct ring *r, uint8_t *ulawv, size_t n);

/** Go back (or on) to a position, clamped to kept..head. Thread: consumer */
void ring_seek(struct ring *r, uint64_t pos);

/**
 * Give up all samples before a position, clamped to kept..sent
 *
 * Thread: consumer
 */
void ring_release(struct ring *r, uint64_t pos);

CV_END_DECLS

#endif

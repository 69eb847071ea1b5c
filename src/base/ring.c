/**
 * @file ring.c  Lock-free ring of μ-law samples with absolute positions
 *
 * The producer writes head and filled, the consumer kept and sent. Sample p
 * lives in slot p & (size - 1). What lies where:
 *
 *	kept        sent            filled              head
 *	 |  again    |   to be read   |  gap, no slots   |
 *
 * Usually filled == head. While the ring is full head goes on with the clock
 * and filled stays: between them is a *gap*, which has no slots and reads as
 * silence. As soon as the consumer has released so much that the newest sample
 * fits in again, the whole gap lies within kept + size, so the producer writes
 * silence into those of its slots that can still be read, and goes on.
 */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/ring.h>

enum { CACHE_LINE = 64 };

struct ring {
	size_t size;
	_Atomic uint64_t head;
	_Atomic uint64_t filled;
	_Atomic uint64_t dropped;
	char pad[CACHE_LINE]; /* else the threads fight for one line */
	_Atomic uint64_t kept;
	uint64_t sent; /* the consumer's own */
	uint8_t slotv[];
};

int ring_alloc(struct ring **rp, size_t size)
{
	struct ring *r;

	if (!rp || !size || size & (size - 1) || size > SIZE_MAX / 2)
		return EINVAL;

	r = mem_zalloc(sizeof(*r) + size, NULL);
	if (!r)
		return ENOMEM;

	r->size = size;
	*rp = r;

	return 0;
}

/* Slots of [pos, pos + n) are at most two pieces; the first one's length */
static size_t first_piece(const struct ring *r, uint64_t pos, size_t n)
{
	return MIN(n, r->size - (size_t)(pos & (r->size - 1)));
}

static void slots_set(struct ring *r, uint64_t pos, const uint8_t *v, size_t n)
{
	size_t m = first_piece(r, pos, n);

	memcpy(r->slotv + (pos & (r->size - 1)), v, m);
	memcpy(r->slotv, v + m, n - m);
}

static void slots_silence(struct ring *r, uint64_t pos, size_t n)
{
	size_t m = first_piece(r, pos, n);

	memset(r->slotv + (pos & (r->size - 1)), RING_SILENCE, m);
	memset(r->slotv, RING_SILENCE, n - m);
}

static void count_dropped(struct ring *r, size_t n)
{
	/* relaxed: a number to look at, nothing hangs on its order; only we
	 * write it, so it needs no locked addition */
	uint64_t d = atomic_load_explicit(&r->dropped, memory_order_relaxed);

	atomic_store_explicit(&r->dropped, d + n, memory_order_relaxed);
	metrics_add(M_SAMPLES_DROPPED, n);
}

size_t ring_write(struct ring *r, const uint8_t *ulawv, size_t n)
{
	/* relaxed: only we write head and filled. acquire: the consumer is
	 * done with the slots before kept, we may overwrite them */
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint64_t filled = atomic_load_explicit(&r->filled,
					       memory_order_relaxed);
	uint64_t kept = atomic_load_explicit(&r->kept, memory_order_acquire);
	uint64_t end = kept + r->size;
	size_t stored = head < end ? (size_t)MIN(n, end - head) : 0;

	if (stored) {
		uint64_t from = MAX(filled, kept);

		if (from < head)
			slots_silence(r, from, (size_t)(head - from));
		slots_set(r, head, ulawv, stored);

		/* release: the slots first, then the word that they are good.
		 * filled before head: a consumer that sees the new head sees
		 * at least this filled, so it never takes these samples for a
		 * gap */
		atomic_store_explicit(&r->filled, head + stored,
				      memory_order_release);
	}
	if (stored < n)
		count_dropped(r, n - stored);

	atomic_store_explicit(&r->head, head + n, memory_order_release);

	return stored;
}

uint64_t ring_head(const struct ring *r)
{
	/* acquire: whoever knows a position may read up to it */
	return atomic_load_explicit(&r->head, memory_order_acquire);
}

uint64_t ring_dropped(const struct ring *r)
{
	/* relaxed: as in count_dropped() */
	return atomic_load_explicit(&r->dropped, memory_order_relaxed);
}

uint64_t ring_sent(const struct ring *r)
{
	return r->sent;
}

uint64_t ring_kept(const struct ring *r)
{
	/* relaxed: the consumer's own */
	return atomic_load_explicit(&r->kept, memory_order_relaxed);
}

size_t ring_pending(const struct ring *r)
{
	return (size_t)(ring_head(r) - r->sent);
}

size_t ring_read(struct ring *r, uint8_t *ulawv, size_t n)
{
	/* acquire, head first: see ring_write() */
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t filled = atomic_load_explicit(&r->filled,
					       memory_order_acquire);
	size_t got = (size_t)MIN(n, head - r->sent);
	size_t have = filled > r->sent ? (size_t)MIN(got, filled - r->sent)
				       : 0;
	size_t m = first_piece(r, r->sent, have);

	memcpy(ulawv, r->slotv + (r->sent & (r->size - 1)), m);
	memcpy(ulawv + m, r->slotv, have - m);
	memset(ulawv + have, RING_SILENCE, got - have);
	r->sent += got;

	return got;
}

void ring_seek(struct ring *r, uint64_t pos)
{
	r->sent = MIN(MAX(pos, ring_kept(r)), ring_head(r));
}

void ring_release(struct ring *r, uint64_t pos)
{
	uint64_t kept = MIN(MAX(pos, ring_kept(r)), r->sent);

	/* release: we have read the slots before it for the last time */
	atomic_store_explicit(&r->kept, kept, memory_order_release);
}

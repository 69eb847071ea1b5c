/**
 * @file hist.c  Histogram with a bounded relative error
 *
 * Values below 2^SUB_BITS have a bucket each; above, every power of two is cut
 * into 2^SUB_BITS buckets.
 */
#include <convod/hist.h>

static unsigned bucket_of(uint64_t v)
{
	unsigned log2;

	if (v > HIST_MAX)
		v = HIST_MAX;
	if (v < 1u << HIST_SUB_BITS)
		return (unsigned)v;

	log2 = 63 - (unsigned)__builtin_clzll(v);

	return ((log2 - HIST_SUB_BITS + 1) << HIST_SUB_BITS) +
	       (unsigned)((v >> (log2 - HIST_SUB_BITS)) &
			  ((1u << HIST_SUB_BITS) - 1));
}

/* Largest value that falls into a bucket */
static uint64_t bucket_max(unsigned b)
{
	unsigned shift, sub;

	if (b < 1u << HIST_SUB_BITS)
		return b;

	shift = (b >> HIST_SUB_BITS) - 1;
	sub = b & ((1u << HIST_SUB_BITS) - 1);

	return ((((uint64_t)1 << HIST_SUB_BITS) + sub + 1) << shift) - 1;
}

/* One writer: a plain load and store is enough, and cheaper than a locked add
 */
static void bump(_Atomic uint64_t *p, uint64_t n)
{
	atomic_store_explicit(
		p, atomic_load_explicit(p, memory_order_relaxed) + n,
		memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_relaxed);
}

void hist_add(struct hist *h, uint64_t value)
{
	bump(&h->countv[bucket_of(value)], 1);
	bump(&h->count, 1);
	bump(&h->sum, value);
	if (value > get(&h->max))
		atomic_store_explicit(&h->max, value, memory_order_relaxed);
}

void hist_merge(struct hist *dst, const struct hist *src)
{
	for (unsigned b = 0; b < HIST_BUCKETS; b++)
		bump(&dst->countv[b], get(&src->countv[b]));

	bump(&dst->count, get(&src->count));
	bump(&dst->sum, get(&src->sum));
	if (get(&src->max) > get(&dst->max))
		atomic_store_explicit(&dst->max, get(&src->max),
				      memory_order_relaxed);
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t total = get(&h->count);
	uint64_t want = (uint64_t)(q * (double)total + 0.5);
	uint64_t seen = 0;

	if (!total)
		return 0;
	if (want < 1)
		want = 1;

	for (unsigned b = 0; b < HIST_BUCKETS; b++) {
		seen += get(&h->countv[b]);
		if (seen >= want)
			return MIN(bucket_max(b), get(&h->max));
	}

	return get(&h->max);
}

uint64_t hist_count_le(const struct hist *h, uint64_t bound)
{
	uint64_t n = 0;

	for (unsigned b = 0; b < HIST_BUCKETS && bucket_max(b) <= bound; b++)
		n += get(&h->countv[b]);

	return n;
}

/**
 * @file hist.h  Histogram with a relative error of at most 1/16
 *
 * Fixed size, no allocation. Values are microseconds by convention; larger
 * ones than HIST_MAX count as HIST_MAX. One writer; a reader on another thread
 * sees each bucket whole but not all of one instant.
 */
#ifndef CONVOD_HIST_H
#define CONVOD_HIST_H

#include <stdatomic.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

enum { HIST_SUB_BITS = 4, HIST_BUCKETS = 29 << HIST_SUB_BITS };
#define HIST_MAX UINT32_MAX

struct hist {
	_Atomic(uint64_t) countv[HIST_BUCKETS];
	_Atomic(uint64_t) sum;
	_Atomic(uint64_t) count;
	_Atomic(uint64_t) max;
};

void hist_add(struct hist *h, uint64_t value);
void hist_merge(struct hist *dst, const struct hist *src);

/** Upper bound of the bucket where the quantile q (0..1) lies, 0 if empty */
uint64_t hist_quantile(const struct hist *h, double q);

/** Number of values at or below a bound */
uint64_t hist_count_le(const struct hist *h, uint64_t bound);

CV_END_DECLS

#endif

/**
 * @file breaker.h  Leaves a voice alone that fails again and again
 *
 *            BREAKER_FAILURES in a row
 *   closed ─────────────────────────────▶ open ──┐ a probe each period, which
 *     ▲                                     │ ▲──┘ doubles up to the longest
 *     └─────────── any success ─────────────┘
 *
 * Pure; the time is an argument. Thread: any, it locks itself.
 */
#ifndef CONVOD_BREAKER_H
#define CONVOD_BREAKER_H

#include <convod/cache.h>

enum {
	BREAKER_FAILURES = 3,
	BREAKER_MS = 5000, /* until the first probe */
	BREAKER_LONGEST_MS = 60000,
};

struct breaker;

CV_NODISCARD int breaker_alloc(struct breaker **bp);

bool breaker_is_open(struct breaker *b);

/** Is it time to try? True once a period: who is told so has to */
bool breaker_take_probe(struct breaker *b, uint64_t now_ms);

/** How an attempt went; err is 0 once it has begun well */
void breaker_report(struct breaker *b, int err, uint64_t now_ms);

/** Those of all voices, for all workers */
struct breakers;

CV_NODISCARD int breakers_alloc(struct breakers **bp);

/** The breaker of a voice, a new reference; made when first asked for */
CV_NODISCARD int breakers_get(struct breaker **bp, struct breakers *bs,
			      const struct voice_key *voice);

#endif

/**
 * @file cache_priv.h  What the voices of all workers share besides the clips
 */
#ifndef CONVOD_CACHE_PRIV_H
#define CONVOD_CACHE_PRIV_H

#include <convod/cache.h>
#include "breaker.h"
#include "flight.h"

struct flights *voice_cache_flights(struct voice_cache *vc);

/** The breaker of a voice, a new reference; made when first asked for */
CV_NODISCARD int voice_cache_breaker(struct breaker **bp,
				     struct voice_cache *vc,
				     const struct voice_key *engine);

#endif

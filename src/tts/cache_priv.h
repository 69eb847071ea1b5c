/**
 * @file cache_priv.h  What voices share besides the clips that are in memory
 */
#ifndef CONVOD_CACHE_PRIV_H
#define CONVOD_CACHE_PRIV_H

#include <convod/cache.h>
#include "breaker.h"
#include "flight.h"

struct flights *voice_cache_flights(struct voice_cache *vc);

struct breakers *voice_cache_breakers(struct voice_cache *vc);

/* A file that is read by a job; mem_deref(): nobody waits for it any more */
struct cache_read;

/** @param err 0, or as of voice_cache_load(); clip is NULL then */
typedef void(cache_read_h)(int err, struct clip *clip, void *arg);

/** @param l Loop that the handler runs on */
CV_NODISCARD int cache_read_alloc(struct cache_read **rp,
				  struct voice_cache *vc, struct loop *l,
				  const struct voice_key *key, cache_read_h *h,
				  void *arg);

#endif

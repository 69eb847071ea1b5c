/**
 * @file cache.h  Speech that was made before, for all workers of the process
 *
 * Ended clips by a key, the hash of what was spoken and how. Those used last
 * are in memory; below lies a folder of files that survives a restart. Both
 * are bounded in bytes, and what was used least recently goes first. A file is
 * written under a temporary name and renamed, and has a checksum: one that is
 * cut or damaged is deleted and counted, and its text is spoken again. Nothing
 * is synced to the disk: what a loss of power leaves behind is found out the
 * same way.
 *
 * Thread: any. One lock, for as long as a look-up takes; never held while the
 * disk works.
 */
#ifndef CONVOD_CACHE_H
#define CONVOD_CACHE_H

#include <convod/clip.h>
#include <convod/loop.h>

CV_BEGIN_DECLS

struct voice_cache;

/** SHA-256 over what is spoken, by whom and how; see voice_key() */
struct voice_key {
	uint8_t v[32];
};

struct voice_cache_param {
	uint64_t memory_max; /* bytes; 0: none in memory */
	uint64_t disk_max;   /* bytes; 0: none on disk   */
	const char *dir;     /* files go to its folder "voice", both are made
			      * when missing; NULL or "": none on disk      */
	size_t clip_max;     /* samples; files of longer ones are refused */
};

/**
 * Create; reads the names of the files there are and removes what a crash
 * left behind. Blocks.
 *
 * @return 0; ENOMEM; or why the folder cannot be used
 */
CV_NODISCARD int voice_cache_alloc(struct voice_cache **cp,
				   const struct voice_cache_param *prm);

/** Does it keep anything at all? */
bool voice_cache_is_on(const struct voice_cache *vc);

enum voice_found { VOICE_ABSENT, VOICE_ON_DISK, VOICE_IN_MEMORY };

/**
 * Look up, and count as used
 *
 * @param clipp Set to a new reference if it is in memory
 */
enum voice_found voice_cache_find(struct voice_cache *vc, struct clip **clipp,
				  const struct voice_key *key);

/**
 * Keep an ended clip: in memory at once, on disk by a job. One with an error
 * or without a sample is refused. While VOICE_STORES_MAX wait for the disk
 * further ones are not written (counted as failed).
 *
 * @param l Loop of the calling thread
 */
void voice_cache_keep(struct voice_cache *vc, struct loop *l,
		      const struct voice_key *key, struct clip *clip);

enum { VOICE_STORES_MAX = 64 };

/**
 * Read a file, and keep the clip in memory. Blocks: for a job.
 *
 * @return 0; ENOENT; EBADMSG: damaged, deleted and counted; ENOMEM; or what
 *         the disk said
 */
CV_NODISCARD int voice_cache_load(struct clip **clipp, struct voice_cache *vc,
				  const struct voice_key *key);

/** Write a file, then remove what is too much. Blocks: for a job. */
CV_NODISCARD int voice_cache_store(struct voice_cache *vc,
				   const struct voice_key *key,
				   const struct clip *clip);

CV_END_DECLS

#endif

/**
 * @file cache_folder.h  The folder of the voice cache's files
 *
 * All of these block.
 */
#ifndef CONVOD_CACHE_FOLDER_H
#define CONVOD_CACHE_FOLDER_H

#include <convod/cache.h>

/**
 * Open the folder "voice" in another one, both are made when missing
 *
 * @param fdp Set to a descriptor even with an error, or left alone
 *
 * @return 0; ENOMEM; or why it cannot be used
 */
CV_NODISCARD int cache_folder_open(int *fdp, const char *dir);

typedef int(cache_folder_h)(const struct voice_key *key, uint64_t size,
			    void *arg);

/**
 * Tell of every file there is, least recently used first; remove what a crash
 * left behind. What is not ours is left alone.
 *
 * @return 0; ENOMEM; what the disk said; or what the handler returned
 */
CV_NODISCARD int cache_folder_scan(int dir, cache_folder_h *h, void *arg);

/** Delete a file that is damaged, count it and say so */
void cache_folder_damaged(int dir, const char *name);

#endif

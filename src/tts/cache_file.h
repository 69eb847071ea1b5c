/**
 * @file cache_file.h  A clip in a file of the voice cache
 *
 *	byte 0   "CVVC", version (all numbers are little endian, 4 bytes)
 *	     8   key, 32 bytes: a file under another one's name is damaged too
 *	    40   number of samples
 *	    44   number of words
 *	    48   words: sample, byte of the text; both grow
 *	     .   samples, 8 kHz μ-law
 *	     .   SHA-256 of all before it
 *
 * Making and parsing are pure; reading and writing block.
 */
#ifndef CONVOD_CACHE_FILE_H
#define CONVOD_CACHE_FILE_H

#include <convod/cache.h>

enum {
	CACHE_FILE_VERSION = 1,
	CACHE_FILE_HEAD = 48,
	CACHE_FILE_SUM = 32,
	CACHE_FILE_MIN = CACHE_FILE_HEAD + 1 + CACHE_FILE_SUM,
	CACHE_FILE_NAME = 65, /* the key in hexadecimal digits, and a zero */
};

size_t cache_file_size(const struct clip *clip);

/** @param p cache_file_size() bytes */
void cache_file_make(uint8_t *p, const struct voice_key *key,
		     const struct clip *clip);

/**
 * @param max Samples; more is damage
 *
 * @return 0; EBADMSG; ENOMEM
 */
CV_NODISCARD int cache_file_parse(struct clip **clipp, const uint8_t *p,
				  size_t n, const struct voice_key *key,
				  size_t max);

void cache_file_name(char name[CACHE_FILE_NAME], const struct voice_key *key);

/** Is this such a name? */
bool cache_file_name_key(struct voice_key *key, const char *name);

/** Is this the name of one being written? */
bool cache_file_is_temporary(const char *name);

/**
 * @param dir Descriptor of the folder
 *
 * @return 0; ENOENT; EBADMSG; ENOMEM; or what the disk said
 */
CV_NODISCARD int cache_file_read(struct clip **clipp, int dir,
				 const struct voice_key *key, size_t max);

/** Write under a temporary name, then rename; nothing is left on an error */
CV_NODISCARD int cache_file_write(int dir, const struct voice_key *key,
				  const struct clip *clip);

#endif

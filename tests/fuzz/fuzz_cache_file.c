/* A file of the voice cache: as it is, and with its key and sum set right, or
 * no input would come further than to them */
#include <stdlib.h>
#include <string.h>
#include <openssl/sha.h>
#include <convod/mem.h>
#include "../../src/tts/cache_file.h"

enum { KEY_AT = 8, SAMPLES_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What can be read is written the same way */
static void check(const struct clip *c, const uint8_t *p, size_t n,
		  const struct voice_key *key)
{
	uint8_t *q = malloc(n);

	if (!q || !clip_is_ended(c) || clip_error(c) || !clip_len(c) ||
	    clip_len(c) > SAMPLES_MAX || cache_file_size(c) != n)
		abort();
	cache_file_make(q, key, c);
	if (memcmp(p, q, n))
		abort();
	free(q);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	const struct voice_key key = {{1, 2, 3}};
	struct clip *c = NULL;
	uint8_t *q;

	if (!cache_file_parse(&c, p, n, &key, SAMPLES_MAX))
		check(c, p, n, &key);
	c = mem_deref(c);
	if (n < CACHE_FILE_MIN)
		return 0;

	q = malloc(n);
	if (!q)
		return 0;
	memcpy(q, p, n);
	memcpy(q + KEY_AT, key.v, sizeof(key.v));
	(void)SHA256(q, n - CACHE_FILE_SUM, q + n - CACHE_FILE_SUM);
	if (!cache_file_parse(&c, q, n, &key, SAMPLES_MAX))
		check(c, q, n, &key);
	mem_deref(c);
	free(q);

	return 0;
}

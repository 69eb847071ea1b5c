/**
 * @file cache_file.c  A clip in a file of the voice cache
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <openssl/sha.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "cache_file.h"

enum {
	KEY_AT = 8,
	SAMPLES_AT = 40,
	WORDS_AT = 44,
	WORD_BYTES = 8,
};

_Static_assert(CACHE_FILE_SUM == SHA256_DIGEST_LENGTH, "the sum is SHA-256");

static const uint8_t magic[4] = {'C', 'V', 'V', 'C'};
static const char temporary[] = "new-";

/* ----------------------------------------------------------------- form */

static void put_u32(uint8_t *p, size_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
	       (uint32_t)p[3] << 24;
}

static size_t size_of(size_t words, size_t samples)
{
	return CACHE_FILE_HEAD + words * WORD_BYTES + samples + CACHE_FILE_SUM;
}

size_t cache_file_size(const struct clip *clip)
{
	const struct clip_word *wordv;

	return size_of(clip_words(clip, &wordv), clip_len(clip));
}

void cache_file_make(uint8_t *p, const struct voice_key *key,
		     const struct clip *clip)
{
	const struct clip_word *wordv;
	size_t words = clip_words(clip, &wordv), n = clip_len(clip);
	uint8_t *q = p + CACHE_FILE_HEAD;

	memcpy(p, magic, sizeof(magic));
	put_u32(p + sizeof(magic), CACHE_FILE_VERSION);
	memcpy(p + KEY_AT, key->v, sizeof(key->v));
	put_u32(p + SAMPLES_AT, n);
	put_u32(p + WORDS_AT, words);

	for (size_t i = 0; i < words; i++, q += WORD_BYTES) {
		put_u32(q, wordv[i].pos);
		put_u32(q + 4, wordv[i].text);
	}
	memcpy(q, clip_data(clip), n);
	q += n;
	(void)SHA256(p, (size_t)(q - p), q);
}

/* Do the head and the sum stand for these bytes? */
static bool is_whole(const uint8_t *p, size_t n, const struct voice_key *key,
		     size_t max)
{
	uint8_t sum[CACHE_FILE_SUM];
	size_t samples, words;

	if (n < CACHE_FILE_MIN || memcmp(p, magic, sizeof(magic)) ||
	    get_u32(p + sizeof(magic)) != CACHE_FILE_VERSION ||
	    memcmp(p + KEY_AT, key->v, sizeof(key->v)))
		return false;

	samples = get_u32(p + SAMPLES_AT);
	words = get_u32(p + WORDS_AT);
	if (!samples || samples > max || words > CLIP_WORDS_MAX ||
	    n != size_of(words, samples))
		return false;

	(void)SHA256(p, n - sizeof(sum), sum);

	return !memcmp(sum, p + n - sizeof(sum), sizeof(sum));
}

static int add_words(struct clip *c, const uint8_t *p, size_t words)
{
	int err = 0;

	for (size_t i = 0; i < words && !err; i++, p += WORD_BYTES)
		err = clip_add_word(c, get_u32(p), get_u32(p + 4));

	return err == EINVAL ? EBADMSG : err; /* they don't grow */
}

int cache_file_parse(struct clip **clipp, const uint8_t *p, size_t n,
		     const struct voice_key *key, size_t max)
{
	const uint8_t *wordv = p + CACHE_FILE_HEAD;
	struct clip *c = NULL;
	size_t samples, words;
	int err;

	if (!is_whole(p, n, key, max))
		return EBADMSG;

	samples = get_u32(p + SAMPLES_AT);
	words = get_u32(p + WORDS_AT);
	err = clip_alloc(&c, samples);
	if (!err)
		err = add_words(c, wordv, words);
	if (!err)
		err = clip_append(c, wordv + words * WORD_BYTES, samples);
	if (err) {
		mem_deref(c);
		return err;
	}

	clip_end(c, 0);
	*clipp = c;

	return 0;
}

/* ---------------------------------------------------------------- names */

void cache_file_name(char name[CACHE_FILE_NAME], const struct voice_key *key)
{
	for (size_t i = 0; i < sizeof(key->v); i++)
		(void)snprintf(name + 2 * i, 3, "%02x", key->v[i]);
}

static int hex_digit(char ch)
{
	return ch >= '0' && ch <= '9'   ? ch - '0'
	       : ch >= 'a' && ch <= 'f' ? ch - 'a' + 10
					: -1;
}

bool cache_file_name_key(struct voice_key *key, const char *name)
{
	if (strlen(name) != 2 * sizeof(key->v))
		return false;

	for (size_t i = 0; i < sizeof(key->v); i++) {
		int high = hex_digit(name[2 * i]);
		int low = hex_digit(name[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		key->v[i] = (uint8_t)(high << 4 | low);
	}

	return true;
}

bool cache_file_is_temporary(const char *name)
{
	return str_starts(name, temporary);
}

/* ----------------------------------------------------------------- disk */

static int read_all(int fd, uint8_t *p, size_t n)
{
	while (n) {
		ssize_t got = read(fd, p, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno;
		if (!got)
			return EBADMSG; /* it was cut since fstat() */
		p += got;
		n -= (size_t)got;
	}

	return 0;
}

static int read_file(struct clip **clipp, int fd, const struct voice_key *key,
		     size_t max)
{
	uint8_t *p;
	struct stat st;
	size_t n;
	int err;

	if (fstat(fd, &st))
		return errno;
	if (!S_ISREG(st.st_mode) || st.st_size < CACHE_FILE_MIN ||
	    (size_t)st.st_size > size_of(CLIP_WORDS_MAX, max))
		return EBADMSG;

	n = (size_t)st.st_size;
	p = mem_raw_malloc(n);
	if (!p)
		return ENOMEM;

	err = read_all(fd, p, n);
	if (!err)
		err = cache_file_parse(clipp, p, n, key, max);
	mem_raw_free(p);

	return err;
}

int cache_file_read(struct clip **clipp, int dir, const struct voice_key *key,
		    size_t max)
{
	char name[CACHE_FILE_NAME];
	int fd, err;

	cache_file_name(name, key);
	/* not blocking: it might be a pipe that somebody put there */
	fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ELOOP ? EBADMSG : errno;

	err = read_file(clipp, fd, key, max);
	/* the time of its last use, for the order after a restart */
	if (!err)
		(void)futimens(fd, NULL);
	(void)close(fd);

	return err;
}

static int write_all(int fd, const uint8_t *p, size_t n)
{
	while (n) {
		ssize_t put = write(fd, p, n);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return errno;
		p += put;
		n -= (size_t)put;
	}

	return 0;
}

static int write_file(int dir, const char *name, const uint8_t *p, size_t n)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
			0600);
	int err;

	if (fd < 0)
		return errno;

	err = write_all(fd, p, n);
	if (close(fd) && !err)
		err = errno; /* some filesystems tell only now */
	if (err)
		(void)unlinkat(dir, name, 0);

	return err;
}

/* Random: in containers that share a folder all processes may have the same
 * number */
static int temporary_name(char *name, size_t size)
{
	uint64_t v;

	if (getrandom(&v, sizeof(v), 0) != (ssize_t)sizeof(v))
		return errno;

	(void)snprintf(name, size, "%s%016" PRIx64, temporary, v);

	return 0;
}

int cache_file_write(int dir, const struct voice_key *key,
		     const struct clip *clip)
{
	char name[CACHE_FILE_NAME], tmp[64];
	size_t n = cache_file_size(clip);
	uint8_t *p = mem_raw_malloc(n);
	int err;

	if (!p)
		return ENOMEM;

	cache_file_make(p, key, clip);
	cache_file_name(name, key);
	err = temporary_name(tmp, sizeof(tmp));
	if (!err)
		err = write_file(dir, tmp, p, n);
	if (!err && renameat(dir, tmp, dir, name)) {
		err = errno;
		(void)unlinkat(dir, tmp, 0);
	}
	mem_raw_free(p);

	return err;
}

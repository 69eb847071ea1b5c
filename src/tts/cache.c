/**
 * @file cache.c  Speech that was made before, for all workers of the process
 *
 * An entry is a key with a clip in memory, a file, or both; it is in one list
 * for each, ordered by use. The table has chains of fixed number: with the
 * files of a gigabyte each is a handful long.
 *
 * The lock is never held while the disk works, so a file can be gone when it
 * is read (another process shares the folder, or it was just removed): that
 * is a miss.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "cache_file.h"
#include "cache_priv.h"

enum {
	CHAINS = 1 << 14,
	ENTRY_BYTES = 256, /* what a clip costs besides its samples */
	FILE_BLOCK = 4096, /* what a file takes at least */
	STALE_S = 60,      /* no write takes so long: a crash left it */
};

struct entry {
	struct entry *next; /* of its chain */
	struct le memory_le;
	struct le disk_le;
	struct voice_key key;
	struct clip *clip; /* NULL: not in memory */
	uint64_t bytes;
	uint64_t file_bytes; /* 0: no file */
};

struct health {
	struct le le;
	struct voice_key engine;
	struct breaker *breaker;
};

struct voice_cache {
	struct voice_cache_param prm; /* without dir */
	int dir;                      /* descriptor of the folder, or -1 */
	struct flights *flights;
	atomic_bool failing; /* the disk, when it was last written to */
	atomic_uint stores;  /* waiting for it */

	pthread_mutex_t lock; /* of all below */
	struct list healthl;
	struct entry **chainv;
	struct list memoryl; /* least recently used first, as the other */
	struct list diskl;
	uint64_t memory_bytes;
	uint64_t disk_bytes;
};

/* ---------------------------------------------------------------- table */

static struct entry **chain_of(struct voice_cache *vc,
			       const struct voice_key *key)
{
	size_t i = key->v[0] | (size_t)key->v[1] << 8;

	return &vc->chainv[i % CHAINS];
}

static struct entry *find(struct voice_cache *vc, const struct voice_key *key)
{
	struct entry *e = *chain_of(vc, key);

	while (e && memcmp(&e->key, key, sizeof(*key)))
		e = e->next;

	return e;
}

static struct entry *find_or_add(struct voice_cache *vc,
				 const struct voice_key *key)
{
	struct entry *e = find(vc, key), **chain = chain_of(vc, key);

	if (e)
		return e;

	e = mem_zalloc(sizeof(*e), NULL);
	if (!e)
		return NULL;

	e->key = *key;
	e->next = *chain;
	*chain = e;

	return e;
}

/* Forget an entry that has neither clip nor file left */
static void drop_if_empty(struct voice_cache *vc, struct entry *e)
{
	struct entry **p = chain_of(vc, &e->key);

	if (e->clip || e->file_bytes)
		return;

	while (*p != e)
		p = &(*p)->next;
	*p = e->next;
	mem_deref(e);
}

static void forget_clip(struct voice_cache *vc, struct entry *e)
{
	list_unlink(&e->memory_le);
	vc->memory_bytes -= e->bytes;
	metrics_gauge(M_TTS_CACHE_BYTES, -(int64_t)e->bytes);
	e->clip = mem_deref(e->clip);
}

static void forget_file(struct voice_cache *vc, struct entry *e)
{
	list_unlink(&e->disk_le);
	vc->disk_bytes -= e->file_bytes;
	metrics_gauge(M_TTS_CACHE_DISK_BYTES, -(int64_t)e->file_bytes);
	e->file_bytes = 0;
}

static void use(struct list *l, struct le *le)
{
	void *e = le->data;

	if (!le->list)
		return;
	list_unlink(le);
	list_append(l, le, e);
}

/* --------------------------------------------------------------- memory */

static void make_room(struct voice_cache *vc)
{
	while (vc->memory_bytes > vc->prm.memory_max) {
		struct entry *e = list_ledata(vc->memoryl.head);

		forget_clip(vc, e);
		metrics_inc(M_TTS_CACHE_EVICTED);
		drop_if_empty(vc, e);
	}
}

static uint64_t clip_bytes(const struct clip *clip)
{
	const struct clip_word *wordv;

	return clip_len(clip) + ENTRY_BYTES +
	       clip_words(clip, &wordv) * sizeof(*wordv);
}

static void keep_in_memory(struct voice_cache *vc, const struct voice_key *key,
			   struct clip *clip)
{
	uint64_t bytes = clip_bytes(clip);
	struct entry *e;

	if (bytes > vc->prm.memory_max)
		return;

	pthread_mutex_lock(&vc->lock);
	e = find_or_add(vc, key);
	if (e && !e->clip) {
		e->clip = mem_ref(clip);
		e->bytes = bytes;
		list_append(&vc->memoryl, &e->memory_le, e);
		vc->memory_bytes += bytes;
		metrics_gauge(M_TTS_CACHE_BYTES, (int64_t)bytes);
		make_room(vc);
	}
	pthread_mutex_unlock(&vc->lock);
}

enum voice_found voice_cache_find(struct voice_cache *vc, struct clip **clipp,
				  const struct voice_key *key)
{
	enum voice_found found = VOICE_ABSENT;
	struct entry *e;

	pthread_mutex_lock(&vc->lock);
	e = find(vc, key);
	if (e) {
		use(&vc->memoryl, &e->memory_le);
		use(&vc->diskl, &e->disk_le);
		found = e->clip ? VOICE_IN_MEMORY : VOICE_ON_DISK;
		if (e->clip)
			*clipp = mem_ref(e->clip);
	}
	pthread_mutex_unlock(&vc->lock);

	return found;
}

/* ----------------------------------------------------------------- disk */

static uint64_t file_bytes(uint64_t size)
{
	return (size + FILE_BLOCK - 1) / FILE_BLOCK * FILE_BLOCK;
}

/* Under the lock, as the next */
static int note_file(struct voice_cache *vc, const struct voice_key *key,
		     uint64_t bytes)
{
	struct entry *e = find_or_add(vc, key);

	if (!e)
		return ENOMEM;

	if (e->file_bytes)
		forget_file(vc, e);
	e->file_bytes = bytes;
	list_append(&vc->diskl, &e->disk_le, e);
	vc->disk_bytes += bytes;
	metrics_gauge(M_TTS_CACHE_DISK_BYTES, (int64_t)bytes);

	return 0;
}

/* The next file that is too much; false: there is none */
static bool take_excess(struct voice_cache *vc, struct voice_key *key)
{
	struct entry *e = list_ledata(vc->diskl.head);

	if (vc->disk_bytes <= vc->prm.disk_max || !e)
		return false;

	*key = e->key;
	forget_file(vc, e);
	drop_if_empty(vc, e);

	return true;
}

static void remove_file(struct voice_cache *vc, const struct voice_key *key)
{
	char name[CACHE_FILE_NAME];

	cache_file_name(name, key);
	(void)unlinkat(vc->dir, name, 0);
}

static void remove_excess(struct voice_cache *vc)
{
	for (;;) {
		struct voice_key key;
		bool more;

		pthread_mutex_lock(&vc->lock);
		more = take_excess(vc, &key);
		pthread_mutex_unlock(&vc->lock);
		if (!more)
			return;

		remove_file(vc, &key);
		metrics_inc(M_TTS_CACHE_FILES_EVICTED);
	}
}

static void damaged(struct voice_cache *vc, const char *name)
{
	(void)unlinkat(vc->dir, name, 0);
	metrics_inc(M_TTS_CACHE_CORRUPT);
	log_warn(NULL, "damaged file of the voice cache deleted",
		 "file=\"%s\"", LOG_STR(name));
}

int voice_cache_load(struct clip **clipp, struct voice_cache *vc,
		     const struct voice_key *key)
{
	struct clip *clip = NULL;
	struct entry *e;
	int err;

	if (vc->dir < 0)
		return ENOENT;

	err = cache_file_read(&clip, vc->dir, key, vc->prm.clip_max);
	if (!err) {
		keep_in_memory(vc, key, clip);
		*clipp = clip;
		return 0;
	}

	if (err == EBADMSG) {
		char name[CACHE_FILE_NAME];

		cache_file_name(name, key);
		damaged(vc, name);
	}
	pthread_mutex_lock(&vc->lock);
	e = err == EBADMSG || err == ENOENT ? find(vc, key) : NULL;
	if (e && e->file_bytes) {
		forget_file(vc, e);
		drop_if_empty(vc, e);
	}
	pthread_mutex_unlock(&vc->lock);

	return err;
}

int voice_cache_store(struct voice_cache *vc, const struct voice_key *key,
		      const struct clip *clip)
{
	uint64_t bytes = file_bytes(cache_file_size(clip));
	int err;

	if (vc->dir < 0 || bytes > vc->prm.disk_max)
		return 0;

	err = cache_file_write(vc->dir, key, clip);
	if (!err) {
		pthread_mutex_lock(&vc->lock);
		err = note_file(vc, key, bytes);
		pthread_mutex_unlock(&vc->lock);
	}
	remove_excess(vc);

	return err;
}

/* ----------------------------------------------------------------- jobs */

struct store {
	struct voice_cache *vc;
	struct voice_key key;
	struct clip *clip;
};

static void store_destructor(void *arg)
{
	struct store *s = arg;

	if (s->vc)
		atomic_fetch_sub(&s->vc->stores, 1);
	mem_deref(s->vc);
	mem_deref(s->clip);
}

/* A full disk is worth a line when it begins and when it ends */
static void store_handler(void *arg)
{
	struct store *s = arg;
	int err = voice_cache_store(s->vc, &s->key, s->clip);

	if (err)
		metrics_inc(M_TTS_CACHE_UNWRITTEN);
	if (atomic_exchange(&s->vc->failing, err != 0) == (err != 0))
		return;

	if (err)
		log_warn(NULL, "voice cache cannot be written", "err=\"%s\"",
			 strerror(err));
	else
		log_info(NULL, "voice cache can be written again", NULL);
}

static void stored_handler(int err, void *arg)
{
	(void)err;
	mem_deref(arg);
}

static int store_later(struct voice_cache *vc, struct loop *l,
		       const struct voice_key *key, struct clip *clip)
{
	struct store *s = mem_zalloc(sizeof(*s), store_destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->vc = mem_ref(vc);
	s->key = *key;
	s->clip = mem_ref(clip);
	err = atomic_fetch_add(&vc->stores, 1) < VOICE_STORES_MAX
		      ? loop_job(l, store_handler, stored_handler, s)
		      : ENOBUFS;
	if (err)
		mem_deref(s);

	return err;
}

void voice_cache_keep(struct voice_cache *vc, struct loop *l,
		      const struct voice_key *key, struct clip *clip)
{
	if (!clip_is_ended(clip) || clip_error(clip) || !clip_len(clip))
		return;

	keep_in_memory(vc, key, clip);
	if (vc->dir >= 0 && store_later(vc, l, key, clip))
		metrics_inc(M_TTS_CACHE_UNWRITTEN);
}

/* --------------------------------------------------------------- set-up */

static void destructor(void *arg)
{
	struct voice_cache *vc = arg;

	for (size_t i = 0; vc->chainv && i < CHAINS; i++) {
		while (vc->chainv[i]) {
			struct entry *e = vc->chainv[i];

			if (e->clip)
				forget_clip(vc, e);
			if (e->file_bytes)
				forget_file(vc, e);
			drop_if_empty(vc, e);
		}
	}
	mem_deref(vc->chainv);
	list_flush(&vc->healthl);
	mem_deref(vc->flights);
	if (vc->dir >= 0)
		(void)close(vc->dir);
	pthread_mutex_destroy(&vc->lock);
}

/** A file that was there at the start */
struct found {
	struct voice_key key;
	uint64_t bytes;
	struct timespec used;
};

struct scan {
	struct found *v;
	size_t n, size;
};

static int by_use(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->used.tv_sec != y->used.tv_sec)
		return x->used.tv_sec < y->used.tv_sec ? -1 : 1;

	return x->used.tv_nsec < y->used.tv_nsec   ? -1
	       : x->used.tv_nsec > y->used.tv_nsec ? 1
						   : 0;
}

static int scan_add(struct scan *s, const struct found *f)
{
	if (s->n == s->size) {
		size_t size = MAX(2 * s->size, (size_t)256);
		struct found *v = mem_raw_realloc(s->v, size * sizeof(*v));

		if (!v)
			return ENOMEM;
		s->v = v;
		s->size = size;
	}
	s->v[s->n++] = *f;

	return 0;
}

/* What is not ours is left alone */
static int scan_name(struct voice_cache *vc, struct scan *s, const char *name)
{
	bool temp = cache_file_is_temporary(name);
	struct found f = {.bytes = 0};
	struct stat st;

	if (!temp && !cache_file_name_key(&f.key, name))
		return 0;
	if (fstatat(vc->dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;

	if (temp) {
		/* another process may be writing it this moment */
		if (st.st_mtim.tv_sec + STALE_S < time(NULL))
			(void)unlinkat(vc->dir, name, 0);
		return 0;
	}
	if (st.st_size < CACHE_FILE_MIN) {
		damaged(vc, name);
		return 0;
	}

	f.bytes = file_bytes((uint64_t)st.st_size);
	f.used = st.st_mtim;

	return scan_add(s, &f);
}

static int scan_all(struct voice_cache *vc, struct scan *s, DIR *d)
{
	int err = 0;

	while (!err) {
		const struct dirent *entry = readdir(d);

		if (!entry)
			break;
		err = scan_name(vc, s, entry->d_name);
	}
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_use);
	for (size_t i = 0; i < s->n && !err; i++)
		err = note_file(vc, &s->v[i].key, s->v[i].bytes);

	return err;
}

static int scan_folder(struct voice_cache *vc)
{
	struct scan s = {0};
	int fd = openat(vc->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int err;

	if (!d) {
		err = errno;
		if (fd >= 0)
			(void)close(fd);
		return err;
	}

	err = scan_all(vc, &s, d);
	(void)closedir(d);
	mem_raw_free(s.v);
	if (!err)
		remove_excess(vc);

	return err;
}

static int open_folder(struct voice_cache *vc, const char *dir)
{
	char *path = NULL;
	int err = str_printf(&path, "%s/voice", dir);

	if (err)
		return err;

	if ((mkdir(dir, 0700) && errno != EEXIST) ||
	    (mkdir(path, 0700) && errno != EEXIST)) {
		err = errno;
		goto out;
	}
	vc->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (vc->dir < 0 || faccessat(vc->dir, ".", R_OK | W_OK | X_OK, 0))
		err = errno;

out:
	mem_deref(path);
	return err;
}

int voice_cache_alloc(struct voice_cache **cp,
		      const struct voice_cache_param *prm)
{
	struct voice_cache *vc = mem_zalloc(sizeof(*vc), destructor);
	int err;

	if (!vc)
		return ENOMEM;

	vc->prm = *prm;
	vc->prm.dir = NULL;
	vc->dir = -1;
	pthread_mutex_init(&vc->lock, NULL);
	vc->chainv = mem_zalloc(CHAINS * sizeof(struct entry *), NULL);
	err = vc->chainv ? flights_alloc(&vc->flights) : ENOMEM;
	if (!err && str_isset(prm->dir) && prm->disk_max) {
		err = open_folder(vc, prm->dir);
		if (!err)
			err = scan_folder(vc);
	}

	if (err)
		mem_deref(vc);
	else
		*cp = vc;

	return err;
}

bool voice_cache_is_on(const struct voice_cache *vc)
{
	return vc->prm.memory_max || vc->dir >= 0;
}

/* --------------------------------------- what else the voices share */

struct flights *voice_cache_flights(struct voice_cache *vc)
{
	return vc->flights;
}

static void health_destructor(void *arg)
{
	struct health *h = arg;

	mem_deref(h->breaker);
}

/* Under the lock */
static int find_breaker(struct breaker **bp, struct voice_cache *vc,
			const struct voice_key *engine)
{
	struct health *h;
	struct le *le;
	int err;

	LIST_FOREACH(&vc->healthl, le)
	{
		h = list_ledata(le);
		if (!memcmp(&h->engine, engine, sizeof(*engine))) {
			*bp = mem_ref(h->breaker);
			return 0;
		}
	}

	h = mem_zalloc(sizeof(*h), health_destructor);
	if (!h)
		return ENOMEM;

	h->engine = *engine;
	err = breaker_alloc(&h->breaker);
	if (err) {
		mem_deref(h);
		return err;
	}
	list_append(&vc->healthl, &h->le, h);
	*bp = mem_ref(h->breaker);

	return 0;
}

int voice_cache_breaker(struct breaker **bp, struct voice_cache *vc,
			const struct voice_key *engine)
{
	int err;

	pthread_mutex_lock(&vc->lock);
	err = find_breaker(bp, vc, engine);
	pthread_mutex_unlock(&vc->lock);

	return err;
}

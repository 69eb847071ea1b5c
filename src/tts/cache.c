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
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "cache_file.h"
#include "cache_folder.h"
#include "cache_priv.h"

enum {
	CHAINS = 1 << 14,
	ENTRY_BYTES = 256, /* what a clip costs besides its samples */
	FILE_BLOCK = 4096, /* what a file takes at least */
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

struct voice_cache {
	struct voice_cache_param prm; /* without dir */
	int dir;                      /* descriptor of the folder, or -1 */
	struct flights *flights;
	struct breakers *breakers;
	atomic_bool failing; /* the disk, when it was last written to */
	atomic_uint stores;  /* waiting for it */

	pthread_mutex_t lock; /* of all below */
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
		cache_folder_damaged(vc->dir, name);
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

/** What the job works on */
struct read_job {
	struct cache_read *read; /* weak; NULL: nobody waits any more */
	struct voice_cache *vc;
	struct voice_key key;
	struct clip *clip;
	int err;
};

struct cache_read {
	struct read_job *job; /* weak; NULL: it is over */
	cache_read_h *h;
	void *arg;
};

static void read_job_destructor(void *arg)
{
	struct read_job *j = arg;

	mem_deref(j->vc);
	mem_deref(j->clip);
}

static void read_job_handler(void *arg)
{
	struct read_job *j = arg;

	j->err = voice_cache_load(&j->clip, j->vc, &j->key);
}

static void read_done_handler(int err, void *arg)
{
	struct read_job *j = arg;
	struct cache_read *r = j->read;

	if (r) {
		r->job = NULL;
		r->h(err ? err : j->err, j->clip, r->arg);
	}
	mem_deref(j);
}

static void read_destructor(void *arg)
{
	struct cache_read *r = arg;

	if (r->job)
		r->job->read = NULL;
}

int cache_read_alloc(struct cache_read **rp, struct voice_cache *vc,
		     struct loop *l, const struct voice_key *key,
		     cache_read_h *h, void *arg)
{
	struct cache_read *r = mem_zalloc(sizeof(*r), read_destructor);
	struct read_job *j = mem_zalloc(sizeof(*j), read_job_destructor);
	int err = ENOMEM;

	if (!r || !j)
		goto out;

	*r = (struct cache_read){.h = h, .arg = arg};
	j->vc = mem_ref(vc);
	j->key = *key;
	err = loop_job(l, read_job_handler, read_done_handler, j);
	if (err)
		goto out;

	j->read = r;
	r->job = j;
	*rp = r;

out:
	if (err) {
		mem_deref(j);
		mem_deref(r);
	}
	return err;
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
	mem_deref(vc->flights);
	mem_deref(vc->breakers);
	if (vc->dir >= 0)
		(void)close(vc->dir);
	pthread_mutex_destroy(&vc->lock);
}

/* A file that was there at the start */
static int found_handler(const struct voice_key *key, uint64_t size, void *arg)
{
	return note_file(arg, key, file_bytes(size));
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
	if (!err)
		err = breakers_alloc(&vc->breakers);
	if (!err && str_isset(prm->dir) && prm->disk_max) {
		err = cache_folder_open(&vc->dir, prm->dir);
		if (!err)
			err = cache_folder_scan(vc->dir, found_handler, vc);
		if (!err)
			remove_excess(vc);
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

struct breakers *voice_cache_breakers(struct voice_cache *vc)
{
	return vc->breakers;
}

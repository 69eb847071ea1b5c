/**
 * @file cache_folder.c  The folder of the voice cache's files
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "cache_file.h"
#include "cache_folder.h"

enum { STALE_S = 60 /* no write takes so long: a crash left it */ };

int cache_folder_open(int *fdp, const char *dir)
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
	*fdp = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (*fdp < 0 || faccessat(*fdp, ".", R_OK | W_OK | X_OK, 0))
		err = errno;

out:
	mem_deref(path);
	return err;
}

void cache_folder_damaged(int dir, const char *name)
{
	(void)unlinkat(dir, name, 0);
	metrics_inc(M_TTS_CACHE_CORRUPT);
	log_warn(NULL, "damaged file of the voice cache deleted",
		 "file=\"%s\"", LOG_STR(name));
}

/* ----------------------------------------------------------------- scan */

/** A file */
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
static int scan_name(int dir, struct scan *s, const char *name)
{
	bool temp = cache_file_is_temporary(name);
	struct found f = {.bytes = 0};
	struct stat st;

	if (!temp && !cache_file_name_key(&f.key, name))
		return 0;
	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return 0;

	if (temp) {
		/* another process may be writing it this moment */
		if (st.st_mtim.tv_sec + STALE_S < time(NULL))
			(void)unlinkat(dir, name, 0);
		return 0;
	}
	if (st.st_size < CACHE_FILE_MIN) {
		cache_folder_damaged(dir, name);
		return 0;
	}

	f.bytes = (uint64_t)st.st_size;
	f.used = st.st_mtim;

	return scan_add(s, &f);
}

static int scan_all(struct scan *s, int dir, DIR *d)
{
	const struct dirent *entry;
	int err = 0;

	while (!err && (entry = readdir(d)))
		err = scan_name(dir, s, entry->d_name);
	if (s->n)
		qsort(s->v, s->n, sizeof(*s->v), by_use);

	return err;
}

int cache_folder_scan(int dir, cache_folder_h *h, void *arg)
{
	struct scan s = {0};
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	int err;

	if (!d) {
		err = errno;
		if (fd >= 0)
			(void)close(fd);
		return err;
	}

	err = scan_all(&s, dir, d);
	(void)closedir(d);
	for (size_t i = 0; i < s.n && !err; i++)
		err = h(&s.v[i].key, s.v[i].bytes, arg);
	mem_raw_free(s.v);

	return err;
}

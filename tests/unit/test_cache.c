/*
 * Speech that was made before: keys, memory, files, and what may be wrong with
 * them.
 */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/sha.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/voice.h>
#include "../../src/tts/cache_file.h"
#include "folder.h"

enum { CLIP_MAX = 80000, BLOCK = 4096, MB = 1 << 20 };

struct fixture {
	char dir[FOLDER_MAX]; /* DATA_DIR */
	char files[80];       /* DATA_DIR/voice */
	struct loop *loop;
	struct voice_cache *cache;
};

/* -------------------------------------------------------------- helpers */

static struct voice_key key_of(unsigned i)
{
	struct voice_key key = {{0}};

	memcpy(key.v, &i, sizeof(i));

	return key;
}

static int make_clip(struct clip **cp, size_t n, unsigned seed)
{
	struct clip *c = NULL;
	int err = clip_alloc(&c, CLIP_MAX);

	for (unsigned i = 0; i < 3 && !err; i++)
		err = clip_add_word(c, i * 10, i * 5);
	for (size_t i = 0; i < n && !err; i++)
		err = clip_append(c, &(uint8_t){(uint8_t)(i * 7 + seed)}, 1);
	if (err) {
		mem_deref(c);
		return err;
	}

	clip_end(c, 0);
	*cp = c;

	return 0;
}

static struct clip *some_clip(size_t n, unsigned seed)
{
	struct clip *c;

	assert_int_equal(make_clip(&c, n, seed), 0);

	return c;
}

static void assert_same(const struct clip *a, const struct clip *b)
{
	const struct clip_word *av, *bv;
	size_t n = clip_words(a, &av);

	assert_int_equal(clip_len(a), clip_len(b));
	assert_memory_equal(clip_data(a), clip_data(b), clip_len(a));
	assert_int_equal(n, clip_words(b, &bv));
	assert_memory_equal(av, bv, n * sizeof(*av));
	assert_true(clip_is_ended(b));
	assert_int_equal(clip_error(b), 0);
}

static int open_cache(struct fixture *f, uint64_t memory, uint64_t disk)
{
	f->cache = mem_deref(f->cache);

	return voice_cache_alloc(&f->cache, &(struct voice_cache_param){
						    .memory_max = memory,
						    .disk_max = disk,
						    .dir = f->dir,
						    .clip_max = CLIP_MAX,
					    });
}

static void path_of(char path[256], const struct fixture *f, unsigned i)
{
	char name[CACHE_FILE_NAME];
	struct voice_key key = key_of(i);

	cache_file_name(name, &key);
	(void)snprintf(path, 256, "%s/%s", f->files, name);
}

static bool has_file(const struct fixture *f, unsigned i)
{
	char path[256];

	path_of(path, f, i);

	return !access(path, F_OK);
}

static unsigned count_files(const struct fixture *f)
{
	DIR *d = opendir(f->files);
	unsigned n = 0;
	struct dirent *e;

	while (d && (e = readdir(d)))
		n += e->d_name[0] != '.';
	if (d)
		closedir(d);

	return n;
}

static enum voice_found find(struct fixture *f, unsigned i)
{
	struct voice_key key = key_of(i);
	struct clip *c = NULL;
	enum voice_found found = voice_cache_find(f->cache, &c, &key);

	assert_int_equal(c != NULL, found == VOICE_IN_MEMORY);
	mem_deref(c);

	return found;
}

static int load(struct fixture *f, unsigned i, struct clip **cp)
{
	struct voice_key key = key_of(i);

	*cp = NULL;

	return voice_cache_load(cp, f->cache, &key);
}

static int store(struct fixture *f, unsigned i, size_t n)
{
	struct voice_key key = key_of(i);
	struct clip *c = some_clip(n, i);
	int err = voice_cache_store(f->cache, &key, c);

	mem_deref(c);

	return err;
}

static void keep(struct fixture *f, unsigned i, struct clip *c)
{
	struct voice_key key = key_of(i);

	voice_cache_keep(f->cache, f->loop, &key, c);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	folder_make(f->dir);
	(void)snprintf(f->files, sizeof(f->files), "%s/voice", f->dir);
	assert_int_equal(loop_alloc(&f->loop), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_deref(f->cache);
	mem_deref(f->loop);
	assert_int_equal(metrics_gauge_value(M_TTS_CACHE_BYTES), 0);
	assert_int_equal(metrics_gauge_value(M_TTS_CACHE_DISK_BYTES), 0);
	free(f);

	return 0;
}

/* ----------------------------------------------------------------- keys */

static void test_clean_text(void **state)
{
	static const struct {
		const char *text, *clean;
	} tests[] = {
		{"", ""},
		{" \t\n", ""},
		{"one", "one"},
		{"  one  two\t three ", "one two three"},
		{"one\r\n two", "one\ntwo"},
		{"\n\none\n\n\n", "one"},
		{"a \n b", "a\nb"},
		{"\xc3\xbe\xc3\xba  og \xc3\xa9g",
		 "\xc3\xbe\xc3\xba og \xc3\xa9g"},
	};
	char dst[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		size_t n = voice_clean(dst, tests[i].text);

		assert_string_equal(dst, tests[i].clean);
		assert_int_equal(n, strlen(tests[i].clean));
		/* each byte that is no blank is found again */
		for (size_t k = 0; k < n; k++) {
			size_t at = voice_text_pos(tests[i].text, k);

			if (dst[k] != ' ' && dst[k] != '\n')
				assert_int_equal(tests[i].text[at], dst[k]);
		}
	}
	assert_int_equal(voice_text_pos("  one   two", 4), 8);
	assert_int_equal(voice_text_pos("one", 99), 3);
}

#define PRM(u, v, l)                                      \
	{                                                 \
		.url = (u), .voice = (v), .language = (l) \
	}

static void test_keys_differ_by_all_that_is_heard(void **state)
{
	static const struct tts_param prmv[] = {
		PRM("openai+http://h/v1?speed=1", "a", "en"),
		PRM("openai+http://h/v1?speed=2", "a", "en"),
		PRM("openai+http://g/v1?speed=1", "a", "en"),
		PRM("openai+http://h/v1?speed=1", "b", "en"),
		PRM("openai+http://h/v1?speed=1", "a", "is"),
		PRM("openai+http://h/v1?speed=1", "ae", "n"),
		{.url = "openai+http://h/v1?speed=1",
		 .voice = "a",
		 .language = "en",
		 .model = "m"},
	};
	static const struct tts_param secret[] = {
		PRM("convert+http://u:one@h/?token=1", "", "en"),
		PRM("convert+http://u:two@h/?token=2", "", "en"),
	};
	static const char *const textv[][3] = {
		{NULL, NULL, "one"},   {"v", NULL, "one"},
		{NULL, "v", "one"},    {NULL, "is", "one"},
		{NULL, NULL, "two"},   {NULL, NULL, "One"},
		{NULL, "on", "e one"},
	};
	struct voice_key ev[ARRAY_SIZE(prmv)], tv[ARRAY_SIZE(textv)], a, b;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(prmv); i++) {
		assert_int_equal(voice_engine_key(&ev[i], &prmv[i]), 0);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&ev[i], &ev[k], sizeof(a));
	}
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++) {
		assert_int_equal(voice_key(&tv[i], &ev[0], textv[i][0],
					   textv[i][1], textv[i][2]),
				 0);
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(&tv[i], &tv[k], sizeof(a));
	}
	assert_int_equal(voice_key(&a, &ev[1], NULL, NULL, "one"), 0);
	assert_memory_not_equal(&a, &tv[0], sizeof(a));

	assert_int_equal(voice_engine_key(&a, &secret[0]), 0);
	assert_int_equal(voice_engine_key(&b, &secret[1]), 0);
	assert_memory_equal(&a, &b, sizeof(a));
}

/* --------------------------------------------------------------- memory */

static void test_least_recently_used_goes_first(void **state)
{
	enum { N = 4, CLIP = 8000 };
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_EVICTED);

	f->dir[0] = '\0';
	assert_int_equal(open_cache(f, N * (CLIP + 1000), MB), 0);
	for (unsigned i = 0; i < N; i++) {
		struct clip *c = some_clip(CLIP, i);

		keep(f, i, c);
		keep(f, i, c); /* a second time changes nothing */
		mem_deref(c);
	}
	assert_int_equal(find(f, 0), VOICE_IN_MEMORY); /* used */
	for (unsigned i = N; i < 2 * N - 1; i++) {
		struct clip *c = some_clip(CLIP, i);

		keep(f, i, c);
		mem_deref(c);
		assert_in_range(metrics_gauge_value(M_TTS_CACHE_BYTES),
				N * CLIP, N * (CLIP + 1000));
	}
	assert_int_equal(find(f, 0), VOICE_IN_MEMORY);
	assert_int_equal(find(f, 1), VOICE_ABSENT);
	assert_int_equal(find(f, N - 1), VOICE_ABSENT);
	assert_int_equal(find(f, N), VOICE_IN_MEMORY);
	assert_int_equal(metrics_counter(M_TTS_CACHE_EVICTED), before + N - 1);
}

static void test_a_hit_is_no_copy(void **state)
{
	struct fixture *f = *state;
	struct clip *c = some_clip(8000, 1), *found = NULL;
	struct voice_key key = key_of(1);

	assert_int_equal(open_cache(f, MB, 0), 0);
	keep(f, 1, c);
	assert_int_equal(voice_cache_find(f->cache, &found, &key),
			 VOICE_IN_MEMORY);
	assert_ptr_equal(found, c);
	mem_deref(found);

	/* and outlives the cache */
	f->cache = mem_deref(f->cache);
	assert_int_equal(clip_len(c), 8000);
	mem_deref(c);
}

static void test_what_is_never_kept(void **state)
{
	struct fixture *f = *state;
	struct clip *arriving, *broken, *empty, *big;
	const uint8_t sample = 1;

	assert_int_equal(clip_alloc(&arriving, 10), 0);
	assert_int_equal(clip_append(arriving, &sample, 1), 0);
	assert_int_equal(clip_alloc(&broken, 10), 0);
	assert_int_equal(clip_append(broken, &sample, 1), 0);
	clip_end(broken, ECONNRESET);
	assert_int_equal(clip_alloc(&empty, 10), 0);
	clip_end(empty, 0);
	big = some_clip(20000, 0);

	assert_int_equal(open_cache(f, 10000, 10000), 0);
	keep(f, 1, arriving);
	keep(f, 2, broken);
	keep(f, 3, empty);
	keep(f, 4, big);
	f->cache = mem_deref(f->cache);
	f->loop = mem_deref(f->loop); /* waits for the jobs */
	assert_int_equal(count_files(f), 0);

	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(open_cache(f, 10000, 10000), 0);
	for (unsigned i = 1; i <= 4; i++)
		assert_int_equal(find(f, i), VOICE_ABSENT);

	assert_int_equal(open_cache(f, 0, 0), 0);
	assert_false(voice_cache_is_on(f->cache));
	keep(f, 5, big);
	assert_int_equal(find(f, 5), VOICE_ABSENT);

	mem_deref(arriving);
	mem_deref(broken);
	mem_deref(empty);
	mem_deref(big);
}

/* ----------------------------------------------------------------- disk */

static void test_a_file_survives_a_restart(void **state)
{
	struct fixture *f = *state;
	struct clip *c = some_clip(12345, 9), *got;

	assert_int_equal(open_cache(f, MB, MB), 0);
	assert_true(voice_cache_is_on(f->cache));
	keep(f, 9, c);
	while (!has_file(f, 9))
		loop_turn(f->loop, true);

	f->cache = mem_deref(f->cache);
	f->loop = mem_deref(f->loop);
	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(open_cache(f, MB, MB), 0);
	assert_int_equal(metrics_gauge_value(M_TTS_CACHE_DISK_BYTES),
			 4 * BLOCK);
	assert_int_equal(find(f, 9), VOICE_ON_DISK);
	assert_int_equal(load(f, 9, &got), 0);
	assert_same(c, got);
	assert_int_equal(find(f, 9), VOICE_IN_MEMORY);
	mem_deref(got);
	mem_deref(c);

	assert_int_equal(find(f, 8), VOICE_ABSENT);
	assert_int_equal(load(f, 8, &got), ENOENT);
}

static void test_damaged_files(void **state)
{
	static const struct {
		const char *what;
		long cut;  /* bytes from the end, negative: appended */
		long flip; /* offset, from the end if negative; 0: none */
	} tests[] = {
		{"cut by a byte", 1, 0},
		{"cut in half", 2000, 0},
		{"cut to its head", 4000, 0},
		{"longer", -1, 0},
		{"no magic", 0, 1},
		{"other version", 0, 4},
		{"other key", 0, 10},
		{"more samples", 0, 40},
		{"far more samples", 0, 43},
		{"more words", 0, 44},
		{"far more words", 0, 47},
		{"a word", 0, 49},
		{"a sample", 0, 1000},
		{"last sample", 0, -33},
		{"sum", 0, -1},
	};
	struct fixture *f = *state;
	struct clip *got;
	char path[256];

	assert_int_equal(open_cache(f, 0, MB), 0);
	path_of(path, f, 1);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t before = metrics_counter(M_TTS_CACHE_CORRUPT);
		struct stat st;
		uint8_t byte = 0;
		int fd;

		assert_int_equal(store(f, 1, 3992), 0);
		fd = open(path, O_RDWR);
		assert_int_equal(fstat(fd, &st), 0);
		if (tests[i].cut)
			assert_int_equal(
				ftruncate(fd, st.st_size - tests[i].cut), 0);
		if (tests[i].flip) {
			off_t at = tests[i].flip +
				   (tests[i].flip < 0 ? st.st_size : 0);

			assert_int_equal(pread(fd, &byte, 1, at), 1);
			byte ^= 0x21;
			assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		}
		close(fd);

		assert_int_equal(find(f, 1), VOICE_ON_DISK);
		if (load(f, 1, &got) != EBADMSG)
			fail_msg("%s", tests[i].what);
		assert_false(has_file(f, 1));
		assert_int_equal(find(f, 1), VOICE_ABSENT);
		assert_int_equal(metrics_counter(M_TTS_CACHE_CORRUPT),
				 before + 1);
	}
}

static void test_file_of_another_key(void **state)
{
	struct fixture *f = *state;
	char one[256], two[256];
	struct clip *got;

	assert_int_equal(open_cache(f, 0, MB), 0);
	assert_int_equal(store(f, 1, 100), 0);
	assert_int_equal(store(f, 2, 100), 0);
	path_of(one, f, 1);
	path_of(two, f, 2);
	assert_int_equal(rename(one, two), 0);
	assert_int_equal(load(f, 2, &got), EBADMSG);

	/* gone behind our back: no damage, another process may have done it */
	assert_int_equal(load(f, 1, &got), ENOENT);
	assert_int_equal(find(f, 1), VOICE_ABSENT);
}

/* Words that don't grow, though the sum is right */
static void test_words_are_checked(void **state)
{
	enum { SAMPLES = 100, WORDS_AT = 48 };
	static const struct {
		uint8_t at, value;
	} tests[] = {
		{0, 11}, /* words are at 0, 10, 20; of bytes 0, 5, 10 */
		{4, 6},
	};
	const struct voice_key key = key_of(1);
	struct clip *c = some_clip(SAMPLES, 1), *got;
	uint8_t p[512];
	size_t n = cache_file_size(c);

	(void)state;
	assert_true(n <= sizeof(p));
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		cache_file_make(p, &key, c);
		p[WORDS_AT + tests[i].at] = tests[i].value;
		(void)SHA256(p, n - CACHE_FILE_SUM, p + n - CACHE_FILE_SUM);
		assert_int_equal(cache_file_parse(&got, p, n, &key, SAMPLES),
				 EBADMSG);
	}
	cache_file_make(p, &key, c);
	assert_int_equal(cache_file_parse(&got, p, n, &key, SAMPLES - 1),
			 EBADMSG);
	assert_int_equal(cache_file_parse(&got, p, n, &key, SAMPLES), 0);
	assert_same(c, got);
	mem_deref(got);
	mem_deref(c);
}

static void put_file(const struct fixture *f, const char *name, long age_s)
{
	const struct timespec tv[2] = {{.tv_sec = time(NULL) - age_s},
				       {.tv_sec = time(NULL) - age_s}};
	char path[256];
	FILE *file;

	(void)snprintf(path, sizeof(path), "%s/%s", f->files, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fclose(file);
	assert_int_equal(utimensat(AT_FDCWD, path, tv, 0), 0);
}

static void test_what_a_crash_leaves(void **state)
{
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_CORRUPT);
	char empty[256];

	assert_int_equal(open_cache(f, 0, MB), 0);
	put_file(f, "new-1-1", 3600);
	put_file(f, "new-2-1", 0); /* another process's, at this moment */
	put_file(f, "readme", 3600);
	path_of(empty, f, 7);
	put_file(f, strrchr(empty, '/') + 1, 3600); /* loss of power */
	assert_int_equal(count_files(f), 4);

	assert_int_equal(open_cache(f, 0, MB), 0);
	assert_int_equal(count_files(f), 2);
	assert_int_equal(metrics_counter(M_TTS_CACHE_CORRUPT), before + 1);
	assert_int_equal(find(f, 7), VOICE_ABSENT);
}

/* In a container each has the number 1 */
static void test_another_process_of_the_same_number(void **state)
{
	enum { N = 8 };
	struct fixture *f = *state;
	char name[64];

	assert_int_equal(open_cache(f, 0, MB), 0);
	for (unsigned i = 0; i < N; i++) {
		(void)snprintf(name, sizeof(name), "new-%ld-%u",
			       (long)getpid(), i);
		put_file(f, name, 0);
	}
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(store(f, i, 100), 0);
	assert_int_equal(count_files(f), 2 * N);
}

static void store_for_ever(struct fixture *f, unsigned keys)
{
	for (unsigned i = 0;; i++) {
		if (store(f, i % keys, CLIP_MAX - i % keys))
			_exit(1);
	}
}

/* Whatever a kill in the midst of writing leaves, no file is half there */
static void test_killed_while_it_writes(void **state)
{
	enum { ROUNDS = 5, KEYS = 16, FILES = 6 };
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_CORRUPT);

	assert_int_equal(open_cache(f, 0, 10 * MB), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		pid_t pid = fork();
		int status;

		assert_int_not_equal(pid, -1);
		if (!pid)
			store_for_ever(f, KEYS);
		while (count_files(f) < FILES || !has_file(f, round))
			usleep(1000);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));

		assert_int_equal(open_cache(f, 0, 10 * MB), 0);
		for (unsigned i = 0; i < KEYS; i++) {
			struct clip *c = NULL;

			if (!has_file(f, i))
				continue;
			assert_int_equal(load(f, i, &c), 0);
			assert_int_equal(clip_len(c), CLIP_MAX - i);
			mem_deref(c);
		}
	}
	assert_int_equal(metrics_counter(M_TTS_CACHE_CORRUPT), before);
}

static void set_age(const struct fixture *f, unsigned i, long age_s)
{
	const struct timespec tv[2] = {{.tv_sec = time(NULL) - age_s},
				       {.tv_sec = time(NULL) - age_s}};
	char path[256];

	path_of(path, f, i);
	assert_int_equal(utimensat(AT_FDCWD, path, tv, 0), 0);
}

static void test_disk_is_bounded(void **state)
{
	enum { N = 4 };
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_FILES_EVICTED);
	struct clip *got;

	assert_int_equal(open_cache(f, 0, N * BLOCK), 0);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(store(f, i, 1000), 0);
	assert_int_equal(store(f, 3, 1000), 0); /* the same once more */
	assert_int_equal(count_files(f), N);
	assert_int_equal(find(f, 0), VOICE_ON_DISK); /* used */
	assert_int_equal(store(f, N, 1000), 0);
	assert_int_equal(count_files(f), N);
	assert_true(has_file(f, 0));
	assert_false(has_file(f, 1));
	assert_int_equal(find(f, 1), VOICE_ABSENT);

	/* after a restart it goes by the time of the last use */
	set_age(f, 0, 100);
	set_age(f, 2, 400);
	set_age(f, 3, 300);
	set_age(f, N, 200);
	assert_int_equal(open_cache(f, 0, N * BLOCK), 0);
	assert_int_equal(load(f, 2, &got), 0);
	mem_deref(got);
	assert_int_equal(open_cache(f, 0, 2 * BLOCK), 0);
	assert_true(has_file(f, 0));
	assert_true(has_file(f, 2));
	assert_int_equal(count_files(f), 2);
	assert_int_equal(metrics_counter(M_TTS_CACHE_FILES_EVICTED),
			 before + 3);

	/* what is larger than all of it is not even written */
	assert_int_equal(store(f, 9, 3 * BLOCK), 0);
	assert_false(has_file(f, 9));
	assert_int_equal(count_files(f), 2);
}

/* The limit on a file's size stands for a disk that is full */
static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_UNWRITTEN);
	struct clip *c = some_clip(20000, 1);
	struct rlimit old, small;

	assert_int_equal(open_cache(f, MB, MB), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small = (struct rlimit){.rlim_cur = 8192, .rlim_max = old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(store(f, 1, 20000), EFBIG);
	keep(f, 1, c);
	while (metrics_counter(M_TTS_CACHE_UNWRITTEN) == before)
		loop_turn(f->loop, false);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);

	assert_int_equal(count_files(f), 0); /* nothing half written */
	assert_int_equal(find(f, 1), VOICE_IN_MEMORY);
	assert_int_equal(store(f, 1, 20000), 0);
	mem_deref(c);
}

static void test_folder_goes_away(void **state)
{
	struct fixture *f = *state;
	struct clip *got;

	assert_int_equal(open_cache(f, 0, MB), 0);
	assert_int_equal(store(f, 1, 100), 0);
	folder_remove(f->files);
	assert_int_equal(store(f, 2, 100), ENOENT);
	assert_int_equal(load(f, 1, &got), ENOENT);
}

/* In /proc nobody can write; only root is not told so at the start */
static void test_folder_to_read_only(void **state)
{
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_UNWRITTEN);
	struct clip *c = some_clip(100, 1);
	int err;

	assert_int_equal(symlink("/proc/self/fdinfo", f->files), 0);
	err = open_cache(f, MB, MB);
	if (geteuid())
		assert_int_equal(err, EACCES);
	else
		assert_int_equal(err, 0);
	if (!err) {
		keep(f, 1, c);
		while (metrics_counter(M_TTS_CACHE_UNWRITTEN) == before)
			loop_turn(f->loop, false);
		assert_int_equal(find(f, 1), VOICE_IN_MEMORY);
	}
	f->cache = mem_deref(f->cache);
	assert_int_equal(unlink(f->files), 0);
	mem_deref(c);
}

static void test_folder_that_cannot_be(void **state)
{
	struct fixture *f = *state;

	(void)snprintf(f->dir, sizeof(f->dir), "/dev/null");
	assert_int_equal(open_cache(f, MB, MB), ENOTDIR);
	(void)snprintf(f->dir, sizeof(f->dir), "/nonexistent/folder");
	assert_int_equal(open_cache(f, MB, MB), ENOENT);
}

static void test_more_than_the_disk_takes(void **state)
{
	enum { EXTRA = 10 };
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_CACHE_UNWRITTEN);

	/* the jobs end on the loop, which does not turn */
	assert_int_equal(open_cache(f, 0, 100 * MB), 0);
	for (unsigned i = 0; i < VOICE_STORES_MAX + EXTRA; i++) {
		struct clip *c = some_clip(10, i);

		keep(f, i, c);
		mem_deref(c);
	}
	assert_int_equal(metrics_counter(M_TTS_CACHE_UNWRITTEN) - before,
			 EXTRA);
	f->loop = mem_deref(f->loop); /* waits for them */
	assert_int_equal(count_files(f), VOICE_STORES_MAX);
}

/* -------------------------------------------------------------- threads */

struct hammer {
	struct voice_cache *cache;
	struct loop *loop;
	pthread_t thread;
};

static void *hammer(void *arg)
{
	enum { KEYS = 20, TURNS = 1500 };
	struct hammer *h = arg;

	for (unsigned i = 0; i < TURNS; i++) {
		struct voice_key key = key_of(i * 7 % KEYS);
		struct clip *c = NULL;

		if (i % 50 == 0)
			loop_turn(h->loop, false);
		switch (voice_cache_find(h->cache, &c, &key)) {
		case VOICE_ON_DISK:
			if (voice_cache_load(&c, h->cache, &key))
				c = NULL; /* just removed */
			break;
		case VOICE_ABSENT:
			if (!make_clip(&c, 1000, 0))
				voice_cache_keep(h->cache, h->loop, &key, c);
			break;
		default:
			break;
		}
		mem_deref(c);
	}

	return NULL;
}

/* The loops end when no file is open any more: libuv closes their descriptors
 * behind the back of the thread sanitizer, to which the next to get their
 * numbers then seems to race with libuv */
static void hammer_both(struct fixture *a, struct fixture *b)
{
	struct hammer v[] = {{.cache = a->cache}, {.cache = b->cache}};
	uint64_t before = metrics_counter(M_TTS_CACHE_CORRUPT);

	for (size_t i = 0; i < ARRAY_SIZE(v); i++) {
		assert_int_equal(loop_alloc(&v[i].loop), 0);
		assert_int_equal(
			pthread_create(&v[i].thread, NULL, hammer, &v[i]), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(v); i++)
		pthread_join(v[i].thread, NULL);
	while (mem_nrefs(a->cache) > 1 || mem_nrefs(b->cache) > 1) {
		loop_turn(v[0].loop, false);
		loop_turn(v[1].loop, false);
	}
	mem_deref(v[0].loop);
	mem_deref(v[1].loop);
	assert_int_equal(metrics_counter(M_TTS_CACHE_CORRUPT), before);
}

/* Each bounds what it knows of, and misses what the other has removed */
static void test_two_daemons_on_one_folder(void **state)
{
	struct fixture *f = *state, other = *f;

	assert_int_equal(open_cache(f, 5000, 10 * BLOCK), 0);
	assert_int_equal(open_cache(&other, 5000, 5 * BLOCK), 0);
	hammer_both(f, &other);
	assert_in_range(count_files(f), 1, 15);
	mem_deref(other.cache);
}

static void test_threads(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(open_cache(f, 5000, 10 * BLOCK), 0);
	hammer_both(f, f);
	assert_in_range(metrics_gauge_value(M_TTS_CACHE_DISK_BYTES), BLOCK,
			10 * BLOCK);
}

/* --------------------------------------------------------------- memory */

static int memory_body(void *arg)
{
	struct fixture *f = arg;
	struct voice_key key = key_of(1);
	struct clip *c = NULL, *got = NULL;
	int err = open_cache(f, MB, MB);

	if (!err)
		err = voice_engine_key(&(struct voice_key){{0}},
				       &(struct tts_param){.url = "flite:"});
	if (!err)
		err = voice_key(&(struct voice_key){{0}}, &key, "", "", "x");
	if (!err)
		err = make_clip(&c, 1000, 1);
	if (!err)
		err = voice_cache_store(f->cache, &key, c);
	if (!err)
		err = voice_cache_load(&got, f->cache, &key);
	got = mem_deref(got);
	if (!err && voice_cache_find(f->cache, &got, &key) != VOICE_IN_MEMORY)
		err = ENOMEM;
	mem_deref(c);
	mem_deref(got);
	f->cache = mem_deref(f->cache);

	return err;
}

static int keep_body(void *arg)
{
	struct fixture *f = arg;
	struct voice_key key = key_of(2);
	uint64_t before = metrics_counter(M_TTS_CACHE_UNWRITTEN);
	struct clip *c = NULL, *got = NULL;
	int err = loop_alloc(&f->loop);

	if (!err)
		err = open_cache(f, MB, MB);
	if (!err)
		err = make_clip(&c, 1000, 1);
	if (!err) {
		voice_cache_keep(f->cache, f->loop, &key, c);
		if (voice_cache_find(f->cache, &got, &key) !=
			    VOICE_IN_MEMORY ||
		    metrics_counter(M_TTS_CACHE_UNWRITTEN) != before)
			err = ENOMEM;
	}
	mem_deref(c);
	mem_deref(got);
	f->loop = mem_deref(f->loop);
	f->cache = mem_deref(f->cache);
	folder_remove(f->files);

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	oom_loop(memory_body, f);
	f->loop = mem_deref(f->loop);
	oom_loop(keep_body, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_clean_text),
		TEST(test_keys_differ_by_all_that_is_heard),
		TEST(test_least_recently_used_goes_first),
		TEST(test_a_hit_is_no_copy),
		TEST(test_what_is_never_kept),
		TEST(test_a_file_survives_a_restart),
		TEST(test_damaged_files),
		TEST(test_file_of_another_key),
		TEST(test_words_are_checked),
		TEST(test_what_a_crash_leaves),
		TEST(test_another_process_of_the_same_number),
		TEST(test_killed_while_it_writes),
		TEST(test_disk_is_bounded),
		TEST(test_full_disk),
		TEST(test_folder_goes_away),
		TEST(test_folder_to_read_only),
		TEST(test_folder_that_cannot_be),
		TEST(test_more_than_the_disk_takes),
		TEST(test_threads),
		TEST(test_two_daemons_on_one_folder),
		TEST(test_out_of_memory),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

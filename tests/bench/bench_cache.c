/**
 * @file bench_cache.c  What a sentence from the voice cache costs
 *
 * A cache of 1000 clips of 3 s in memory, and the same as files. Times are of
 * this thread's CPU where nothing waits, of the clock where the disk is read
 * (from the kernel's memory, mostly). Fails if a hit copies audio.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <convod/mem.h>
#include <convod/voice.h>

enum {
	CLIPS = 1000,
	SAMPLES = 3 * 8000,
	HITS = 200000,
	MB = 1 << 20,
};

static double seconds(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);

	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void show(const char *what, double begun, clockid_t id, unsigned n)
{
	printf("%-40s %8.2f us\n", what,
	       (seconds(id) - begun) * 1e6 / (double)n);
}

/* A voice says three seconds when finish() is called */
static struct clip *speaking;

static int speak(void **rp, struct tts *t, const struct tts_text *text,
		 struct clip *clip)
{
	(void)t;
	(void)text;
	*rp = NULL;
	speaking = clip;

	return 0;
}

static int finish(void)
{
	static const uint8_t v[SAMPLES];
	struct clip *clip = mem_ref(speaking);
	int err = clip_append(clip, v, sizeof(v));

	clip_end(clip, err);
	mem_deref(clip);

	return err;
}

static const struct tts_backend backend = {.speak = speak};

static int set_up(struct voice **vp, struct voice_cache **cp, struct net *net,
		  const char *dir)
{
	static const struct tts_param tp = {.url = "bench:"};
	struct tts *tts = mem_zalloc(sizeof(*tts), NULL);
	int err = tts ? loop_alloc(&net->loop) : ENOMEM;

	if (err)
		return err;

	tts->be = &backend;
	err = voice_cache_alloc(cp, &(struct voice_cache_param){
					    .memory_max = 64 * MB,
					    .disk_max = 256 * MB,
					    .dir = dir,
					    .clip_max = SAMPLES,
				    });
	if (!err)
		err = voice_alloc(vp,
				  &(struct voice_param){
					  .first = {tts, &tp},
					  .timeout_ms = 1000,
					  .max_ms = SAMPLES / 8,
					  .cache = *cp,
				  },
				  net);
	mem_deref(tts);

	return err;
}

static int say(struct voice_req **rp, struct clip **cp, struct voice *v,
	       unsigned i)
{
	char text[128];

	(void)snprintf(text, sizeof(text),
		       "We have a table for %u on Friday evening at eight, "
		       "shall I book it for you?",
		       i % CLIPS);

	return voice_speak(rp, cp, v, &(struct tts_text){.text = text}, NULL);
}

static int bench_memory(struct voice *v)
{
	struct clip *first = NULL, *clip = NULL;
	struct voice_req *req = NULL;
	double begun;
	size_t blocks;
	int err = 0;

	begun = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < CLIPS && !err; i++) {
		err = say(&req, &clip, v, i);
		if (!err)
			err = finish();
		req = mem_deref(req);
		clip = mem_deref(clip);
	}
	show("miss: to the voice and into memory", begun,
	     CLOCK_THREAD_CPUTIME_ID, CLIPS);

	if (!err)
		err = say(&req, &first, v, 0);
	blocks = mem_blocks();
	begun = seconds(CLOCK_THREAD_CPUTIME_ID);
	for (unsigned i = 0; i < HITS && !err; i++) {
		err = say(&req, &clip, v, i);
		if (!err && (req || (i % CLIPS == 0 && clip != first)))
			err = EINVAL; /* a request, or a copy */
		clip = mem_deref(clip);
	}
	show("hit in memory: text to clip", begun, CLOCK_THREAD_CPUTIME_ID,
	     HITS);
	if (mem_blocks() != blocks)
		err = EINVAL;
	mem_deref(first);

	return err;
}

static int bench_disk(struct voice_cache *vc)
{
	struct voice_key engine, key;
	struct clip *clip = NULL;
	uint8_t *v = calloc(1, SAMPLES);
	double begun;
	int err = v ? clip_from(&clip, v, SAMPLES) : ENOMEM;

	free(v);
	if (!err)
		err = voice_engine_key(&engine,
				       &(struct tts_param){.url = "disk:"});
	for (int load = 0; load < 2 && !err; load++) {
		begun = seconds(CLOCK_MONOTONIC);
		for (unsigned i = 0; i < CLIPS && !err; i++) {
			char text[16];
			struct clip *got = NULL;

			(void)snprintf(text, sizeof(text), "%u", i);
			err = voice_key(&key, &engine, NULL, NULL, text);
			if (!err && load)
				err = voice_cache_load(&got, vc, &key);
			else if (!err)
				err = voice_cache_store(vc, &key, clip);
			mem_deref(got);
		}
		show(load ? "file: read, checked, into memory"
			  : "file: written and renamed",
		     begun, CLOCK_MONOTONIC, CLIPS);
	}
	mem_deref(clip);

	return err;
}

static void clean_up(const char *dir)
{
	char command[256];

	(void)snprintf(command, sizeof(command), "rm -r %s", dir);
	if (system(command))
		fputs("bench_cache: files are left\n", stderr);
}

int main(void)
{
	char dir[] = "/tmp/bench-cache-XXXXXX";
	struct voice_cache *vc = NULL;
	struct voice *v = NULL;
	struct net net = {0};
	double begun;
	int err = mkdtemp(dir) ? set_up(&v, &vc, &net, dir) : errno;

	if (!err)
		err = bench_memory(v);
	if (!err)
		err = bench_disk(vc);
	v = mem_deref(v);
	vc = mem_deref(vc);
	mem_deref(net.loop);

	begun = seconds(CLOCK_MONOTONIC);
	if (!err)
		err = voice_cache_alloc(&vc, &(struct voice_cache_param){
						     .memory_max = MB,
						     .disk_max = 256 * MB,
						     .dir = dir,
						     .clip_max = SAMPLES,
					     });
	show("start with files, each", begun, CLOCK_MONOTONIC, CLIPS);
	mem_deref(vc);
	clean_up(dir);
	if (err)
		fprintf(stderr, "bench_cache: %s\n", strerror(err));

	return err ? EXIT_FAILURE : EXIT_SUCCESS;
}

/**
 * @file bench_embed.c  What the embedded engines cost
 *
 * The recogniser's decoder over the phrases of tests/data/audio, on 1, 2, …
 * threads as the daemon's engine has them, and the voice's first sentence.
 * Processor time of the threads, so that other work on the machine counts
 * little; medians of several rounds.
 *
 * usage: bench_embed [THREADS]
 */
#include <pthread.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <convod/audio.h>
#include <convod/bot.h>
#include <convod/clk.h>
#include <convod/mem.h>
#include <convod/tts.h>
#include "../../src/asr/sphinx.h"

enum {
	ROUNDS = 3,
	FILES_MAX = 64,
	THREADS_MAX = 16,
	SAMPLES_MAX = 10 * AUDIO_RATE,

	/* Of the estimate */
	TALK_PERCENT = 10,     /* of a call the caller is talking         */
	DECODES_PERCENT = 150, /* of the speech is decoded: half of it
			       * twice, after a pause inside            */
	BUSY_PERCENT = 60,     /* a thread should not work more of the time */
};

struct sound {
	int16_t *pcmv;
	size_t n;
};

struct work {
	pthread_t thread;
	const struct sphinx_model *model;
	double cpu_ms, longest_ms;
	bool ok;
};

static struct sound soundv[FILES_MAX];
static size_t soundc;

static double cpu_ms(int who)
{
	struct rusage u;

	getrusage(who, &u);

	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 +
	       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3;
}

static int number_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), number_cmp);

	return v[n / 2];
}

/* ---------------------------------------------------------- recogniser */

static bool read_sound(const char *file)
{
	struct sound *s = &soundv[soundc];
	char path[512];
	SF_INFO info = {0};
	SNDFILE *sf;

	(void)snprintf(path, sizeof(path), "%s/audio/%s", DATA_DIR, file);
	sf = sf_open(path, SFM_READ, &info);
	if (!sf || info.frames > SAMPLES_MAX)
		return false;

	s->pcmv = calloc((size_t)info.frames, sizeof(*s->pcmv));
	if (s->pcmv) {
		s->n = (size_t)sf_read_short(sf, s->pcmv, info.frames);
		++soundc;
	}
	sf_close(sf);

	return s->pcmv;
}

static bool read_sounds(void)
{
	FILE *tsv = fopen(DATA_DIR "/audio/transcripts.tsv", "r");
	char line[512];

	while (tsv && fgets(line, sizeof(line), tsv) && soundc < FILES_MAX) {
		char *kind = line, *file = strsep(&kind, "\t");

		if (!strncmp(kind, "speech", 6) && !read_sound(file))
			fprintf(stderr, "%s: cannot be read\n", file);
	}
	if (tsv)
		fclose(tsv);

	return soundc > 0;
}

static void *decode_thread(void *arg)
{
	struct work *w = arg;
	double begun = cpu_ms(RUSAGE_THREAD);
	struct sphinx_result res;
	struct sphinx *s;

	if (sphinx_alloc(&s, w->model))
		return NULL;

	w->ok = true;
	for (size_t i = 0; i < soundc; i++) {
		double at = cpu_ms(RUSAGE_THREAD);

		if (i == 0)
			begun = at; /* without the set-up */
		if (sphinx_decode(s, soundv[i].pcmv, soundv[i].n, soundv[i].n,
				  &res))
			w->ok = false;
		at = cpu_ms(RUSAGE_THREAD) - at;
		w->longest_ms = at > w->longest_ms ? at : w->longest_ms;
	}
	w->cpu_ms = cpu_ms(RUSAGE_THREAD) - begun;
	mem_deref(s);

	return NULL;
}

/* @return CPU time of a thread for all sounds [ms], negative: it failed */
static double decode_all(const struct sphinx_model *m, unsigned threads,
			 double *wall_ms)
{
	struct work workv[THREADS_MAX] = {0};
	uint64_t begun = clk_now_us();
	double sum = 0;

	for (unsigned i = 0; i < threads; i++) {
		workv[i].model = m;
		if (pthread_create(&workv[i].thread, NULL, decode_thread,
				   &workv[i]))
			return -1;
	}
	for (unsigned i = 0; i < threads; i++) {
		pthread_join(workv[i].thread, NULL);
		if (!workv[i].ok)
			return -1;
		sum += workv[i].cpu_ms;
	}
	*wall_ms = (double)(clk_now_us() - begun) / 1e3;

	return sum / threads;
}

static bool bench_recogniser(const struct sphinx_model *m, unsigned threads)
{
	double cpuv[ROUNDS], wallv[ROUNDS], cpu, audio_ms = 0, share, calls;

	for (size_t i = 0; i < soundc; i++)
		audio_ms += (double)soundv[i].n / AUDIO_PER_MS;
	for (size_t i = 0; i < ROUNDS; i++) {
		cpuv[i] = decode_all(m, threads, &wallv[i]);
		if (cpuv[i] < 0)
			return false;
	}

	cpu = median(cpuv, ROUNDS);
	share = cpu / audio_ms;
	calls = BUSY_PERCENT * 1e4 / (TALK_PERCENT * DECODES_PERCENT) / share /
		1e2;
	printf("recogniser, %u thread%s: %.1f utterances (of %.1f s) a second "
	       "of CPU and thread; %.1f %% of the audio's length; wall %.1f\n"
	       "  a thread that works %d %% of the time serves %.0f calls "
	       "whose callers talk %d %% of it\n",
	       threads, threads > 1 ? "s" : "", (double)soundc * 1e3 / cpu,
	       audio_ms / 1e3 / (double)soundc, share * 100,
	       (double)soundc * 1e3 / median(wallv, ROUNDS), BUSY_PERCENT,
	       calls, TALK_PERCENT);

	return true;
}

/* --------------------------------------------------------------- voice */

struct hearing {
	struct loop *loop;
	uint64_t begun_us;
	double first_ms;
};

static void watch_handler(struct clip *c, void *arg)
{
	struct hearing *h = arg;

	if (h->first_ms < 0)
		h->first_ms = (double)(clk_now_us() - h->begun_us) / 1e3;
	if (clip_is_ended(c))
		loop_stop(h->loop);
}

static bool speak(struct net *net, struct tts *t, const char *text,
		  double *first_ms, double *share)
{
	struct hearing h = {net->loop, clk_now_us(), -1};
	struct clip_watch w = {.h = watch_handler, .arg = &h};
	double cpu = cpu_ms(RUSAGE_SELF);
	struct clip *c;
	size_t samples;
	void *request;

	if (clip_alloc(&c, (size_t)SAMPLES_MAX * 6))
		return false;

	clip_watch(c, &w);
	if (t->be->speak(&request, t, &(struct tts_text){.text = text}, c)) {
		mem_deref(c);
		return false;
	}
	loop_run(net->loop);
	*first_ms = h.first_ms;
	samples = clip_len(c);
	*share = (cpu_ms(RUSAGE_SELF) - cpu) * AUDIO_PER_MS / (double)samples;
	list_unlink(&w.le);
	mem_deref(request);
	mem_deref(c);

	return true;
}

static bool bench_voice(struct net *net, const char *url)
{
	static const char text[] = "An appointment for next friday at ten "
				   "o'clock. Shall I book it?";
	struct tts *t;
	double firstv[ROUNDS], sharev[ROUNDS];
	bool ok = true;

	if (tts_alloc(&t, &(struct tts_param){.url = url}, net))
		return false;

	for (size_t i = 0; i < ROUNDS && ok; i++)
		ok = speak(net, t, text, &firstv[i], &sharev[i]);
	if (ok)
		printf("voice %s: first audio after %.0f ms, %.1f %% of the "
		       "audio's length\n",
		       url, median(firstv, ROUNDS),
		       median(sharev, ROUNDS) * 100);
	mem_deref(t);

	return ok;
}

int main(int argc, char **argv)
{
	unsigned long threads = argc > 1 ? strtoul(argv[1], NULL, 10) : 2;
	char why[BOT_WHY_MAX], *jsgf = NULL;
	struct sphinx_model *m = NULL;
	struct bot *b = NULL;
	struct net net = {0};
	bool ok = read_sounds() && !bot_load(&b, NULL, why) &&
		  !bot_grammar(b, &jsgf) && !sphinx_model_alloc(&m, jsgf) &&
		  !loop_alloc(&net.loop);

	for (unsigned n = 1; n <= MIN(threads, THREADS_MAX) && ok; n *= 2)
		ok = bench_recogniser(m, n);
	ok = ok && bench_voice(&net, "flite:slt") &&
	     bench_voice(&net, "flite:kal");

	mem_deref(net.loop);
	mem_deref(m);
	mem_deref(jsgf);
	mem_deref(b);
	for (size_t i = 0; i < soundc; i++)
		free(soundv[i].pcmv);
	if (!ok)
		fprintf(stderr, "bench_embed failed\n");

	return ok ? 0 : 1;
}

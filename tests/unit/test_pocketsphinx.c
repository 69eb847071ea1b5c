/*
 * The embedded recogniser over its whole path: 8 kHz μ-law in, text out, with
 * every file of tests/data/audio. CONVOD_VERBOSE=1 prints what the verdicts
 * were made of.
 */
#include <sndfile.h>
#include <stdio.h>
#include <unistd.h>
#include <convod/asr.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "../../src/asr/pocketsphinx.h"
#include "test.h"

enum {
	FILES_MAX = 128,
	FILE_SAMPLES_MAX = 20 * AUDIO_RATE,
	SILENCE_AFTER = AUDIO_RATE, /* a caller's line goes on */
	WAIT_MAX_MS = 60000,
	THREADS = 3,
	STREAMS_MAX = 24 * THREADS, /* as in pocketsphinx.c, */
	QUEUE_MAX = 64,             /* this also             */
};

struct fixture {
	struct loop *loop;
	struct net net;
	struct asr *asr;
	struct asr_stream *stream;
	char text[1024];
	unsigned finals, rejected, closed;
	bool words_ok;
	size_t written;   /* samples */
	unsigned wait_ms; /* from the last word to the result */
	bool drop;        /* the stream, in the handler of a result */
};

static void result_handler(const struct asr_result *res, void *arg)
{
	struct fixture *f = arg;
	size_t n = strlen(f->text);

	if (res->rejected) {
		assert_string_equal(res->text, "");
		++f->rejected;
		return;
	}

	assert_true(res->final);
	++f->finals;
	(void)snprintf(f->text + n, sizeof(f->text) - n, "%s%s", n ? " " : "",
		       res->text);
	for (size_t i = 0; i < res->wordc; i++) {
		const struct asr_word *w = &res->wordv[i];

		if (w->end_ms <= w->start_ms ||
		    (i && w->start_ms < w[-1].end_ms) ||
		    !strstr(res->text, w->text))
			f->words_ok = false;
	}
	if (f->drop)
		f->stream = mem_deref(f->stream);
	if (!res->wordc)
		f->words_ok = false;
	else
		f->wait_ms = (unsigned)(f->written / AUDIO_PER_MS) -
			     res->wordv[res->wordc - 1].end_ms;
}

static void close_handler(enum asr_end end, const char *why, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(end, ASR_END_OK);
	++f->closed;
	loop_stop(f->loop);
}

static int asr_start(struct asr **ap, const struct net *net)
{
	return asr_pocketsphinx.alloc(ap,
				      &(struct asr_param){
					      .url = "pocketsphinx:",
					      .language = "en-US",
				      },
				      net);
}

static int setup_threads(void **state, unsigned threads)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(loop_alloc(&f->loop), 0);
	f->net.loop = f->loop;
	f->net.engine_threads = threads;
	assert_int_equal(asr_start(&f->asr, &f->net), 0);
	assert_int_equal(f->asr->srate, 8000);
	assert_int_equal(f->asr->block_ms, 20);
	*state = f;

	return 0;
}

static int setup(void **state)
{
	return setup_threads(state, THREADS);
}

static int setup_one_thread(void **state)
{
	return setup_threads(state, 1);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_deref(f->stream);
	mem_deref(f->asr);
	mem_deref(f->loop);
	free(f);

	return 0;
}

static size_t read_audio(int16_t *pcmv, const char *file)
{
	char path[512];
	SF_INFO info = {0};
	SNDFILE *sf;
	size_t n;

	(void)snprintf(path, sizeof(path), "%s/audio/%s", DATA_DIR, file);
	sf = sf_open(path, SFM_READ, &info);
	assert_non_null(sf);
	assert_int_equal(info.samplerate, AUDIO_RATE);
	n = (size_t)sf_read_short(sf, pcmv, FILE_SAMPLES_MAX);
	sf_close(sf);
	memset(pcmv + n, 0, SILENCE_AFTER * sizeof(*pcmv));

	return n + SILENCE_AFTER;
}

static int stream_open(struct asr_stream **sp, struct fixture *f)
{
	return asr_pocketsphinx.open(sp, f->asr,
				     &(struct asr_stream_param){
					     .conversation = "c",
					     .call_id = "CAtest",
				     },
				     result_handler, close_handler, f);
}

static void open_stream(struct fixture *f)
{
	f->finals = f->rejected = f->closed = f->wait_ms = 0;
	f->written = 0;
	f->text[0] = '\0';
	f->words_ok = true;
	assert_int_equal(stream_open(&f->stream, f), 0);
}

/* Audio comes faster than from a line: wait as long as a caller would, so that
 * what depends on the pace is the same at each run. (Decoding takes no time
 * then, for the worst of guesses.) */
static void write_ulaw(struct fixture *f, const int16_t *pcmv, size_t n)
{
	for (size_t i = 0; i < n; i += FRAME_SAMPLES) {
		size_t k = MIN(n - i, FRAME_SAMPLES);
		uint8_t ulawv[FRAME_SAMPLES];
		int16_t lin[FRAME_SAMPLES];
		int err;

		g711_ulaw_encode_n(ulawv, pcmv + i, k);
		g711_ulaw_decode_n(lin, ulawv, k);
		while ((err = asr_pocketsphinx.write(f->stream, lin, k)) ==
		       ENOBUFS)
			loop_turn(f->loop, true);
		assert_int_equal(err, 0);
		f->written += k;
		do {
			loop_turn(f->loop, false);
		} while (pocketsphinx_is_working(f->stream) &&
			 usleep(500) == 0);
	}
}

static void timeout_handler(void *arg)
{
	struct fixture *f = arg;

	loop_stop(f->loop);
}

static void wait_closed(struct fixture *f)
{
	struct tmr *guard;

	assert_int_equal(tmr_alloc(&guard, f->loop, timeout_handler, f), 0);
	tmr_start(guard, WAIT_MAX_MS);
	if (!f->closed)
		loop_run(f->loop);
	mem_deref(guard);
	assert_int_equal(f->closed, 1);
}

/* One call: the file, then silence, then hang up */
static void hear(struct fixture *f, const char *file)
{
	static int16_t pcmv[FILE_SAMPLES_MAX + SILENCE_AFTER];
	size_t n = read_audio(pcmv, file);

	open_stream(f);
	write_ulaw(f, pcmv, n);
	asr_pocketsphinx.finish(f->stream);
	wait_closed(f);
	f->stream = mem_deref(f->stream);
}

struct row {
	char file[64], kind[64], voice[64], text[256];
};

static size_t read_rows(struct row *rowv)
{
	char line[512];
	size_t n = 0;
	FILE *tsv = fopen(DATA_DIR "/audio/transcripts.tsv", "r");

	assert_non_null(tsv);
	while (fgets(line, sizeof(line), tsv) && n < FILES_MAX) {
		struct row *r = &rowv[n];
		char *fieldv[4] = {r->file, r->kind, r->voice, r->text};
		char *p = line, *s;

		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < 4 && (s = strsep(&p, "\t")); i++)
			str_copy(fieldv[i], 64 + (i == 3) * 192, s);
		if (strcmp(r->file, "file"))
			++n;
	}
	fclose(tsv);

	return n;
}

static bool is_in_grammar(const struct row *r)
{
	return str_starts(r->kind, "speech") &&
	       !str_starts(r->file, "digits_") && !str_starts(r->file, "oog_");
}

static void test_all_files(void **state)
{
	struct fixture *f = *state;
	static struct row rowv[FILES_MAX];
	size_t rowc = read_rows(rowv);
	unsigned in = 0, exact = 0, wrong = 0, oog = 0, other = 0, taken = 0;
	unsigned wait = 0;

	printf("%-28s %-6s %5s %s\n", "file", "", "ms", "heard");
	for (size_t i = 0; i < rowc; i++) {
		const struct row *r = &rowv[i];
		bool ok;

		hear(f, r->file);
		if (f->finals)
			assert_true(f->words_ok);
		if (str_eq(r->file, "pause_500ms.wav"))
			assert_int_equal(f->finals, 1);
		if (str_starts(r->file, "dtmf_"))
			assert_int_equal(f->rejected, 0);
		if (is_in_grammar(r)) {
			ok = !strcmp(f->text, r->text);
			++in;
			exact += ok;
			wait += f->wait_ms;
			wrong += !ok && f->text[0];
		} else {
			ok = !f->text[0];
			if (str_starts(r->file, "oog_"))
				oog += !ok;
			else {
				++other;
				taken += !ok;
			}
		}
		printf("%-28s %-6s %5u '%s' rejected %u\n", r->file,
		       ok ? "" : "WRONG", f->wait_ms, f->text, f->rejected);
	}
	printf("in grammar: %u of %u exact, %u taken for something else; "
	       "%u ms after the last word\n",
	       exact, in, wrong, wait / in);
	printf("out of grammar taken for a command: %u; others %u of %u\n",
	       oog, taken, other);

	assert_int_equal(in, 22);
	assert_true(exact >= 18);
	assert_true(wrong <= 1);
	assert_int_equal(oog, 0);
	assert_true(taken <= 1);
}

/* ------------------------------------------------------------- the rest */

static int16_t voicev[FILE_SAMPLES_MAX + SILENCE_AFTER];

/* A whole utterance at once, without turning the loop */
static int write_all(struct asr_stream *s, const int16_t *pcmv, size_t n)
{
	int err = 0;

	for (size_t i = 0; i + FRAME_SAMPLES <= n && !err; i += FRAME_SAMPLES)
		err = asr_pocketsphinx.write(s, pcmv + i, FRAME_SAMPLES);

	return err;
}

static void test_threads_as_asked_for(void **state)
{
	struct fixture *f = *state;
	struct asr_stream *sv[STREAMS_MAX], *more = NULL;
	uint64_t before = metrics_counter(M_JOBS_REFUSED);

	for (size_t i = 0; i < STREAMS_MAX; i++)
		assert_int_equal(stream_open(&sv[i], f), 0);
	assert_int_equal(stream_open(&more, f), ENOBUFS);
	assert_null(more);
	assert_int_equal(metrics_counter(M_JOBS_REFUSED) - before, 1);

	sv[0] = mem_deref(sv[0]);
	assert_int_equal(stream_open(&sv[0], f), 0);
	for (size_t i = 0; i < STREAMS_MAX; i++)
		mem_deref(sv[i]);
}

/* All callers end a phrase at once. Those whose phrase is refused are told so:
 * it is "rejected", and the bot says "could you say it again?" */
static void test_full_queue_is_no_silence(void **state)
{
	struct fixture *f = *state;
	struct asr_stream *sv[STREAMS_MAX];
	uint64_t before = metrics_counter(M_JOBS_REFUSED);
	size_t n = read_audio(voicev, "yes.wav");

	for (size_t i = 0; i < STREAMS_MAX; i++) {
		assert_int_equal(stream_open(&sv[i], f), 0);
		assert_int_equal(write_all(sv[i], voicev, n), 0);
	}
	loop_turn(f->loop, false);
	assert_in_range(f->rejected, 1, STREAMS_MAX - QUEUE_MAX);
	assert_int_equal(metrics_counter(M_JOBS_REFUSED) - before,
			 f->rejected);
	for (size_t i = 0; i < STREAMS_MAX; i++)
		mem_deref(sv[i]);
}

static void test_dropped_while_its_job_runs(void **state)
{
	struct fixture *f = *state;
	size_t n = read_audio(voicev, "yes.wav");

	for (int i = 0; i < 3; i++) {
		open_stream(f);
		assert_int_equal(write_all(f->stream, voicev, n), 0);
		loop_turn(f->loop, false);
		assert_true(pocketsphinx_is_working(f->stream));
		f->stream = mem_deref(f->stream);
	}
	hear(f, "no.wav");
	assert_string_equal(f->text, "no");
	assert_int_equal(f->finals, 1);
}

static void test_dropped_by_the_handler(void **state)
{
	struct fixture *f = *state;
	size_t n = read_audio(voicev, "yes.wav");

	open_stream(f);
	f->drop = true;
	assert_int_equal(write_all(f->stream, voicev, n), 0);
	while (!f->finals)
		loop_turn(f->loop, true);
	assert_null(f->stream);
	loop_turn(f->loop, false);
	assert_int_equal(f->closed, 0);
}

/* Hang up in the middle of a word, and in the pause after it */
static void test_finish_hears_what_was_said(void **state)
{
	struct fixture *f = *state;
	size_t n = read_audio(voicev, "opening_hours.wav");
	size_t inv[] = {n - SILENCE_AFTER, n - SILENCE_AFTER / 2};

	for (size_t i = 0; i < ARRAY_SIZE(inv); i++) {
		open_stream(f);
		assert_int_equal(write_all(f->stream, voicev, inv[i]), 0);
		asr_pocketsphinx.finish(f->stream);
		asr_pocketsphinx.finish(f->stream);
		assert_int_equal(write_all(f->stream, voicev, n), EPIPE);
		wait_closed(f);
		assert_string_equal(f->text, "what are your opening hours");
		f->stream = mem_deref(f->stream);
	}
}

/* The second half of a sentence comes while the first is being decoded */
static void test_guess_is_dropped_when_speech_goes_on(void **state)
{
	struct fixture *f = *state;
	size_t n = read_audio(voicev, "pause_500ms.wav");

	open_stream(f);
	for (size_t i = 0; i < n; i += FRAME_SAMPLES) {
		assert_int_equal(asr_pocketsphinx.write(f->stream, voicev + i,
							FRAME_SAMPLES),
				 0);
		loop_turn(f->loop, false);
	}
	asr_pocketsphinx.finish(f->stream);
	wait_closed(f);
	assert_int_equal(f->finals, 1);
	assert_string_equal(f->text, "i would like to make an appointment "
				     "tomorrow at three o'clock");
}

static int start_body(void *arg)
{
	struct fixture *f = arg;
	struct asr *a = NULL;
	int err = asr_start(&a, &f->net);

	mem_deref(a);

	return err;
}

static int utterance_body(void *arg)
{
	struct fixture *f = arg;
	size_t before = mem_blocks();
	int err = stream_open(&f->stream, f);

	f->finals = f->closed = 0;
	if (!err)
		err = write_all(f->stream, voicev, SILENCE_AFTER * 2);
	if (!err) {
		asr_pocketsphinx.finish(f->stream);
		while (!f->closed)
			loop_turn(f->loop, true);
	}
	f->stream = mem_deref(f->stream);

	/* what is being decoded comes back later, for nobody */
	for (int ms = 0; mem_blocks() > before && ms < WAIT_MAX_MS; ms++) {
		loop_turn(f->loop, false);
		usleep(1000);
	}
	if (!err && !f->finals)
		err = ENOMEM;

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	/* so that the thread has its decoder, and makes no blocks besides */
	hear(f, "yes.wav");
	loop_turn(f->loop, false); /* the timer's handle is gone with it */
	(void)read_audio(voicev, "yes.wav");
	oom_loop(start_body, f);
	oom_loop(utterance_body, f);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_files),
		TEST(test_threads_as_asked_for),
		TEST(test_full_queue_is_no_silence),
		TEST(test_dropped_while_its_job_runs),
		TEST(test_dropped_by_the_handler),
		TEST(test_finish_hears_what_was_said),
		TEST(test_guess_is_dropped_when_speech_goes_on),
		cmocka_unit_test_setup_teardown(test_out_of_memory,
						setup_one_thread, teardown),
	};

	if (getenv("CONVOD_VERBOSE")) {
		log_set_level(LOG_LVL_DEBUG);
		log_set_transcripts(true);
	}

	return cmocka_run_group_tests(tests, NULL, NULL);
}

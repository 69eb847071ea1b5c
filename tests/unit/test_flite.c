/*
 * The embedded voice: text in, a clip of μ-law out.
 */
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/metrics.h>
#include <convod/tts.h>
#include <stdio.h>
#include "test.h"

enum { CLIP_MAX = 60 * AUDIO_RATE };

struct fixture {
	struct loop *loop;
	struct net net;
	struct tts *tts;
	struct clip *clip;
	struct clip_watch watch;
	void *request;
	unsigned told;
	uint64_t begun_us, first_us;
	bool cancel;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(loop_alloc(&f->loop), 0);
	f->net.loop = f->loop;
	assert_int_equal(tts_alloc(&f->tts,
				   &(struct tts_param){
					   .url = "flite:",
					   .voice = "",
					   .language = "en-US",
				   },
				   &f->net),
			 0);
	assert_int_equal(clip_alloc(&f->clip, CLIP_MAX), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	list_unlink(&f->watch.le);
	mem_deref(f->request);
	mem_deref(f->clip);
	mem_deref(f->tts);
	mem_deref(f->loop);
	free(f);

	return 0;
}

static void watch_handler(struct clip *c, void *arg)
{
	struct fixture *f = arg;

	++f->told;
	if (!f->first_us)
		f->first_us = clk_now_us();
	if (f->cancel)
		f->request = mem_deref(f->request);
	if (clip_is_ended(c) || f->cancel)
		loop_stop(f->loop);
}

static int speak(struct fixture *f, const char *text)
{
	int err;

	f->begun_us = clk_now_us();
	f->watch.h = watch_handler;
	f->watch.arg = f;
	clip_watch(f->clip, &f->watch);
	err = f->tts->be->speak(&f->request, f->tts,
				&(struct tts_text){.text = text}, f->clip);
	if (!err)
		loop_run(f->loop);

	return err;
}

static void test_sentence_by_sentence(void **state)
{
	struct fixture *f = *state;
	int peak = 0;

	assert_int_equal(speak(f, "Hello, this is the practice. <b>How</b> "
				  "can I help you?"),
			 0);
	assert_true(clip_is_ended(f->clip));
	assert_int_equal(clip_error(f->clip), 0);
	assert_int_equal(f->told, 3); /* two sentences and the end */
	assert_in_range(clip_len(f->clip), 2 * AUDIO_RATE, 6 * AUDIO_RATE);

	for (size_t i = 0; i < clip_len(f->clip); i++)
		peak = MAX(peak, abs(g711_ulaw_decode(clip_data(f->clip)[i])));
	assert_in_range(peak, 14000, 18000);
	printf("first audio after %u ms\n",
	       (unsigned)((f->first_us - f->begun_us) / 1000));
}

static int peak(const struct clip *c, size_t from, size_t to)
{
	int most = 0;

	for (size_t i = from; i < to; i++)
		most = MAX(most, abs(g711_ulaw_decode(clip_data(c)[i])));

	return most;
}

/* Each word is where its audio begins, in the text as it was given */
static void test_words(void **state)
{
	static const char text[] = "Hello, this is (the) ... practice. "
				   "<b>How</b> can I  help you 555-1234? ";
	static const char *const wordv[] = {
		"Hello,", "!",         "this", "is",        "(the)",
		"!",      "practice.", "!",    "How",       "can",
		"I",      "help",      "you",  "555-1234?", "!"};
	struct fixture *f = *state;
	const struct clip_word *v;
	size_t n, at = 0;

	assert_int_equal(speak(f, text), 0);
	n = clip_words(f->clip, &v);
	for (size_t i = 0; i < n; i++)
		printf("%5u ms: '%s'\n", v[i].pos / AUDIO_PER_MS,
		       text + v[i].text);
	assert_int_equal(n, ARRAY_SIZE(wordv));
	for (size_t i = 0; i < n; i++) {
		size_t next = i + 1 < n ? v[i + 1].pos : clip_len(f->clip);

		assert_in_range(v[i].pos, at, clip_len(f->clip));
		at = v[i].pos;
		if (wordv[i][0] == '!') { /* the end of one, and a pause */
			assert_true(v[i].text > v[i - 1].text);
			assert_true(peak(f->clip, at, next) <
				    peak(f->clip, v[i - 1].pos, at));
		} else {
			assert_memory_equal(text + v[i].text, wordv[i],
					    strlen(wordv[i]));
			assert_true(peak(f->clip, at, next) > 1000);
		}
	}
	assert_string_equal(text + v[n - 1].text, " ");
}

static void test_nothing_to_say(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(speak(f, " <br/> ... "), ENODATA);
	assert_int_equal(speak(f, ""), ENODATA);
}

static void test_cancel_from_the_handler(void **state)
{
	struct fixture *f = *state;

	f->cancel = true;
	assert_int_equal(speak(f, "One sentence. Another sentence."), 0);
	assert_false(clip_is_ended(f->clip));
	assert_int_equal(f->told, 1);
}

static void test_cancel_while_at_work(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		f->tts->be->speak(&f->request, f->tts,
				  &(struct tts_text){
					  .text = "A sentence of some length.",
				  },
				  f->clip),
		0);
	f->request = mem_deref(f->request);
	loop_turn(f->loop, false);
	assert_false(clip_is_ended(f->clip));
}

/* Sixty-five callers are answered at once: who finds no room learns it */
static void test_full_queue_refuses(void **state)
{
	enum { REQUESTS = 80, QUEUE_MAX = 64 };
	struct fixture *f = *state;
	void *requestv[REQUESTS] = {NULL};
	uint64_t before = metrics_counter(M_JOBS_REFUSED);
	unsigned refused = 0;

	for (size_t i = 0; i < REQUESTS; i++) {
		struct tts_text text = {.text = "A sentence of some length."};
		int err = f->tts->be->speak(&requestv[i], f->tts, &text,
					    f->clip);

		assert_true(err == 0 || err == ENOBUFS);
		assert_int_equal(err != 0, requestv[i] == NULL);
		refused += err != 0;
	}
	assert_in_range(refused, 1, REQUESTS - QUEUE_MAX);
	assert_int_equal(metrics_counter(M_JOBS_REFUSED) - before, refused);
	for (size_t i = 0; i < REQUESTS; i++)
		mem_deref(requestv[i]);
}

static int alloc_body(void *arg)
{
	struct fixture *f = arg;
	struct tts *t = NULL;
	int err = tts_alloc(&t, &(struct tts_param){.url = "flite:"}, &f->net);

	mem_deref(t);

	return err;
}

static int speak_body(void *arg)
{
	struct fixture *f = arg;
	struct clip *c = NULL;
	void *r = NULL;
	int err = clip_alloc(&c, CLIP_MAX);

	if (!err)
		err = f->tts->be->speak(
			&r, f->tts, &(struct tts_text){.text = "Yes. No."}, c);
	while (!err && !clip_is_ended(c))
		loop_turn(f->loop, true);
	if (!err)
		err = clip_error(c);
	mem_deref(r);
	mem_deref(c);

	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(alloc_body, *state);
	oom_loop(speak_body, *state);
}

static void test_unknown_voice_and_scheme(void **state)
{
	struct fixture *f = *state;
	struct tts *t = NULL;
	struct tts_param prm = {.url = "flite:nobody", .voice = ""};

	assert_int_equal(tts_alloc(&t, &prm, &f->net), EINVAL);
	prm.url = "unknown:";
	assert_int_equal(tts_alloc(&t, &prm, &f->net), ENOTSUP);
	prm.url = "flite";
	assert_int_equal(tts_alloc(&t, &prm, &f->net), EINVAL);
	assert_non_null(strstr(tts_schemes(), " flite"));
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sentence_by_sentence),
		TEST(test_words),
		TEST(test_nothing_to_say),
		TEST(test_cancel_from_the_handler),
		TEST(test_cancel_while_at_work),
		TEST(test_full_queue_refuses),
		TEST(test_unknown_voice_and_scheme),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

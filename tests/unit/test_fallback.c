/*
 * The fallback voice, and the circuit that opens when the first fails again
 * and again.
 */
#include "../../src/tts/breaker.h"
#include "../../src/tts/cache_priv.h"
#include "fake_voice.h"

/* -------------------------------------------------------------- fallback */

static void test_first_fails(void **state)
{
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_FALLBACKS);
	struct caller a, b;

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(ask(f, &b, sentence), 0);
	finish(f->first, EREMOTEIO);
	assert_false(clip_is_ended(a.clip));
	assert_string_equal(f->second->text, sentence);
	say(f->second, 300);
	finish(f->second, 0);
	assert_heard(&a, 300);
	assert_heard(&b, 300);
	assert_int_equal(f->second->asked, 1);
	assert_int_equal(metrics_counter(M_TTS_FALLBACKS), before + 1);
	drop(&a);
	drop(&b);

	/* cached as what the fallback said: the first is asked again, and
	 * when it fails again the fallback needn't speak */
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 2);
	finish(f->first, 0); /* not a sample */
	assert_heard(&a, 300);
	assert_int_equal(f->second->asked, 1);
	drop(&a);
}

static void test_first_refuses(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	f->first->err = ENOBUFS;
	assert_int_equal(ask(f, &a, sentence), 0);
	say(f->second, 100);
	finish(f->second, 0);
	assert_heard(&a, 100);
	drop(&a);

	f->second->err = ENOBUFS;
	assert_int_equal(ask(f, &a, "Another one."), ENOBUFS);
	assert_null(a.req);
	assert_null(a.clip);
}

static void test_both_fail(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	assert_int_equal(ask(f, &a, sentence), 0);
	finish(f->first, EREMOTEIO);
	finish(f->second, ETIMEDOUT);
	assert_true(clip_is_ended(a.clip));
	assert_int_equal(clip_error(a.clip), ETIMEDOUT);
	assert_int_equal(f->first->asked + f->second->asked, 2);
	drop(&a);
}

static void test_cut_is_played_as_far_as_it_goes(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	assert_int_equal(ask(f, &a, sentence), 0);
	say(f->first, 100);
	finish(f->first, ECONNRESET);
	assert_int_equal(clip_len(a.clip), 100);
	assert_int_equal(clip_error(a.clip), ECONNRESET);
	assert_int_equal(f->second->asked, 0);
	drop(&a);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 2); /* not cached */
	drop(&a);
}

static void test_first_is_late(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	assert_int_equal(make_voice(f, true, 10), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	while (!f->second->asked)
		loop_turn(f->net.loop, false);
	assert_int_equal(busy(f->first), 0);
	say(f->second, 100);
	finish(f->second, 0);
	assert_heard(&a, 100);
	drop(&a);
}

static void send_silence(struct fake *f, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(clip_append(oldest(f)->clip,
					     &(uint8_t){i & 1 ? 0xff : 0x7e},
					     1),
				 0);
}

/* A voice that sends nothing else has failed, and is not cached */
static void test_silence_is_no_speech(void **state)
{
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_TTS_FAILED);
	struct caller a;

	assert_int_equal(ask(f, &a, sentence), 0);
	send_silence(f->first, 800);
	assert_int_equal(clip_len(a.clip), 0);
	finish(f->first, 0);
	assert_int_equal(metrics_counter(M_TTS_FAILED), before + 1);
	say(f->second, 100);
	finish(f->second, 0);
	assert_heard(&a, 100);
	drop(&a);

	assert_int_equal(make_voice(f, false, NEVER_MS), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 2);
	send_silence(f->first, 800);
	finish(f->first, 0);
	assert_int_equal(clip_len(a.clip), 0);
	assert_int_equal(clip_error(a.clip), ENODATA);
	drop(&a);

	/* nor does it keep the caller waiting */
	assert_int_equal(make_voice(f, true, 10), 0);
	assert_int_equal(ask(f, &a, "Another one."), 0);
	send_silence(f->first, 800);
	while (f->second->asked < 2)
		loop_turn(f->net.loop, false);
	drop(&a);
}

/* Before speech it belongs to it */
static void test_silence_and_then_speech(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	assert_int_equal(ask(f, &a, sentence), 0);
	send_silence(f->first, 800);
	say(f->first, 100);
	send_silence(f->first, 50);
	assert_int_equal(clip_len(a.clip), 950);
	finish(f->first, 0);
	assert_int_equal(clip_error(a.clip), 0);
	assert_int_equal(clip_data(a.clip)[799], 0xff);
	assert_int_equal(clip_data(a.clip)[801], (uint8_t)(801 * 3));
	drop(&a);
}

static void test_begun_in_time_is_not_late(void **state)
{
	struct fixture *f = *state;
	struct caller a;
	uint64_t until;

	assert_int_equal(make_voice(f, true, 10), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	say(f->first, 1);
	until = loop_now_ms(f->net.loop) + 30;
	while (loop_now_ms(f->net.loop) < until)
		loop_turn(f->net.loop, false);
	assert_int_equal(f->second->asked, 0);
	finish(f->first, 0);
	assert_heard(&a, 1);
	drop(&a);
}

static void test_no_fallback(void **state)
{
	struct fixture *f = *state;
	struct caller a;
	uint64_t until;

	assert_int_equal(make_voice(f, false, 10), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	until = loop_now_ms(f->net.loop) + 30;
	while (loop_now_ms(f->net.loop) < until)
		loop_turn(f->net.loop, false);
	assert_int_equal(busy(f->first), 1); /* better late than never */
	finish(f->first, EREMOTEIO);
	assert_int_equal(clip_error(a.clip), EREMOTEIO);
	drop(&a);
}

static void test_the_same_again_is_no_fallback(void **state)
{
	struct fixture *f = *state;
	struct voice_param prm = {
		.first = {&f->first->tts, &first_param},
		.fallback = {&f->second->tts, &first_param},
		.timeout_ms = NEVER_MS,
		.max_ms = MAX_MS,
		.cache = f->cache,
	};
	struct caller a;

	f->voice = mem_deref(f->voice);
	assert_int_equal(voice_alloc(&f->voice, &prm, &f->net), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	finish(f->first, EREMOTEIO);
	assert_int_equal(clip_error(a.clip), EREMOTEIO);
	assert_int_equal(f->second->asked, 0);
	drop(&a);
}

/* Silence again and again is a failure; a text without words is not */
static void test_what_opens_the_circuit(void **state)
{
	struct fixture *f = *state;
	char text[32];

	f->first->err = ENODATA;
	for (unsigned i = 0; i < 2 * BREAKER_FAILURES; i++) {
		struct caller c;

		(void)snprintf(text, sizeof(text), "... %u", i);
		assert_int_equal(ask(f, &c, text), 0);
		drop(&c);
	}
	assert_int_equal(metrics_gauge_value(M_TTS_CIRCUITS_OPEN), 0);

	f->first->err = 0;
	for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
		struct caller c;

		(void)snprintf(text, sizeof(text), "Word %u", i);
		assert_int_equal(ask(f, &c, text), 0);
		finish(f->first, 0);
		drop(&c);
	}
	assert_int_equal(metrics_gauge_value(M_TTS_CIRCUITS_OPEN), 1);
}

static void test_fallback_speaks_one_language(void **state)
{
	static const struct {
		const char *language;
		bool speaks;
	} tests[] = {
		{"is-IS", false}, {"en-GB", true}, {"EN", true},
		{"", true},       {"eng", false},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct tts_text t = {.text = sentence,
				     .language = tests[i].language};
		struct voice_req *req = NULL;
		struct clip *clip = NULL;

		/* so that the circuit does not open */
		assert_int_equal(make_cache(f, MB), 0);
		assert_int_equal(make_voice(f, true, NEVER_MS), 0);
		assert_int_equal(voice_speak(&req, &clip, f->voice, &t, NULL),
				 0);
		finish(f->first, EREMOTEIO);
		assert_int_equal(busy(f->second), tests[i].speaks);
		assert_int_equal(clip_is_ended(clip), !tests[i].speaks);
		mem_deref(req);
		mem_deref(clip);
	}
}

/* --------------------------------------------------------------- breaker */

static void test_breaker(void **state)
{
	enum { T = 1000 };
	uint64_t opened = metrics_counter(M_TTS_CIRCUIT_OPENED);
	struct breaker *b;

	(void)state;
	assert_int_equal(breaker_alloc(&b), 0);
	for (unsigned i = 1; i < BREAKER_FAILURES; i++)
		breaker_report(b, EIO, T);
	breaker_report(b, 0, T); /* in a row, that is */
	for (unsigned i = 1; i < BREAKER_FAILURES; i++)
		breaker_report(b, EIO, T);
	assert_false(breaker_is_open(b));
	breaker_report(b, EIO, T);
	assert_true(breaker_is_open(b));
	assert_int_equal(metrics_gauge_value(M_TTS_CIRCUITS_OPEN), 1);

	assert_false(breaker_take_probe(b, T + BREAKER_MS - 1));
	assert_true(breaker_take_probe(b, T + BREAKER_MS));
	assert_false(breaker_take_probe(b, T + BREAKER_MS));
	breaker_report(b, EIO, T + BREAKER_MS);
	assert_false(breaker_take_probe(b, T + 3 * BREAKER_MS - 1));
	assert_true(breaker_take_probe(b, T + 3 * BREAKER_MS));

	/* the period has a bound */
	for (uint64_t i = 0; i < 10; i++)
		(void)breaker_take_probe(b, T + i * 1000000);
	assert_true(breaker_take_probe(b, T + 9000000 + BREAKER_LONGEST_MS));

	breaker_report(b, 0, T);
	assert_false(breaker_is_open(b));
	assert_false(breaker_take_probe(b, UINT64_MAX));
	assert_int_equal(metrics_counter(M_TTS_CIRCUIT_OPENED), opened + 1);
	mem_deref(b);
}

static void test_nobody_waits_for_a_dead_voice(void **state)
{
	struct fixture *f = *state;
	struct caller v[BREAKER_FAILURES], c;
	char text[32];

	for (unsigned i = 0; i < BREAKER_FAILURES; i++) {
		(void)snprintf(text, sizeof(text), "Number %u.", i);
		assert_int_equal(ask(f, &v[i], text), 0);
		finish(f->first, ETIMEDOUT);
	}
	assert_int_equal(f->second->asked, BREAKER_FAILURES);
	assert_int_equal(ask(f, &c, sentence), 0);
	assert_int_equal(f->first->asked, BREAKER_FAILURES);
	assert_int_equal(f->second->asked, BREAKER_FAILURES + 1);
	drop(&c);
	for (unsigned i = 0; i < BREAKER_FAILURES; i++)
		drop(&v[i]);
}

/* Open the first voice's circuit so long ago that a probe is due */
static void open_circuit(struct fixture *f)
{
	struct voice_key key;
	struct breaker *b;

	assert_int_equal(voice_engine_key(&key, &first_param), 0);
	assert_int_equal(
		breakers_get(&b, voice_cache_breakers(f->cache), &key), 0);
	for (unsigned i = 0; i < BREAKER_FAILURES; i++)
		breaker_report(b, EIO, 0);
	assert_true(breaker_is_open(b));
	mem_deref(b);
}

static void test_a_probe_finds_it_back(void **state)
{
	struct fixture *f = *state;
	uint64_t probes = metrics_counter(M_TTS_PROBES);
	struct caller a, b;

	speak_whole(f, "Cached.", 50);
	open_circuit(f);

	/* what it said before is there all the same */
	assert_int_equal(ask(f, &a, "Cached."), 0);
	assert_heard(&a, 50);
	drop(&a);

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(busy(f->first), 1); /* the probe's */
	say(f->second, 100);
	finish(f->second, 0);
	assert_heard(&a, 100); /* who asked did not wait */
	drop(&a);
	assert_int_equal(ask(f, &a, "Another one."), 0);
	assert_int_equal(busy(f->first), 1); /* one probe at a time */
	assert_int_equal(busy(f->second), 1);
	drop(&a);
	assert_int_equal(metrics_counter(M_TTS_PROBES), probes + 1);

	say(f->first, 200);
	finish(f->first, 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_heard(&a, 200); /* what the probe said is kept */
	assert_int_equal(ask(f, &b, "Another one."), 0);
	assert_int_equal(busy(f->first), 1);
	drop(&a);
	drop(&b);
}

static void test_a_probe_fails(void **state)
{
	struct fixture *f = *state;
	struct caller a;

	open_circuit(f);
	f->first->err = ENOBUFS;
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 1);
	assert_int_equal(f->second->asked, 1);
	drop(&a);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 1); /* not due again */
	drop(&a);
}

/* --------------------------------------------------------------- memory */

static int fallback_body(void *arg)
{
	struct fixture f = {.voice = NULL};
	struct caller a = {0};
	int err = set_up(&f);

	(void)arg;
	if (!err)
		err = ask(&f, &a, sentence);
	if (!err && busy(f.first))
		finish(f.first, EREMOTEIO);
	if (!err && busy(f.second)) {
		say(f.second, 1000);
		if (busy(f.second))
			finish(f.second, 0);
	}
	if (!err && (!clip_is_ended(a.clip) || clip_len(a.clip) != 1000))
		err = ENOMEM;
	if (!err)
		err = clip_error(a.clip);
	drop(&a);
	tear_down(&f);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(fallback_body, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_fails),
		TEST(test_first_refuses),
		TEST(test_both_fail),
		TEST(test_cut_is_played_as_far_as_it_goes),
		TEST(test_first_is_late),
		TEST(test_silence_is_no_speech),
		TEST(test_silence_and_then_speech),
		TEST(test_begun_in_time_is_not_late),
		TEST(test_no_fallback),
		TEST(test_the_same_again_is_no_fallback),
		TEST(test_what_opens_the_circuit),
		TEST(test_fallback_speaks_one_language),
		TEST(test_breaker),
		TEST(test_nobody_waits_for_a_dead_voice),
		TEST(test_a_probe_finds_it_back),
		TEST(test_a_probe_fails),
		TEST(test_out_of_memory),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

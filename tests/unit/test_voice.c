/*
 * A text becomes a clip: shared, cached, cancelled, spoken by the fallback. The
 * voices are made up; they say what the test tells them to.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/voice.h>
#include "../../src/tts/breaker.h"
#include "../../src/tts/cache_file.h"
#include "../../src/tts/cache_priv.h"
#include "test.h"

enum { MAX_MS = 60000, CLIP_MAX = MAX_MS * 8, MB = 1 << 20, NEVER_MS = 60000 };

/** A voice that speaks when the test says so */
struct fake {
	struct tts tts; /* first */
	struct list reql;
	unsigned asked;
	int err; /* of speak() */
	char text[256];
	char voice[32];
};

struct fake_req {
	struct le le;
	struct clip *clip;
};

struct fixture {
	struct net net;
	struct voice_cache *cache;
	struct fake *first, *second;
	struct voice *voice;
	char dir[64];
};

/* ------------------------------------------------------------ the voices */

static void fake_req_destructor(void *arg)
{
	struct fake_req *r = arg;

	list_unlink(&r->le);
	mem_deref(r->clip);
}

static int fake_speak(void **rp, struct tts *t, const struct tts_text *text,
		      struct clip *clip)
{
	struct fake *f = CONTAINER_OF(t, struct fake, tts);
	struct fake_req *r;

	++f->asked;
	str_copy(f->text, sizeof(f->text), text->text);
	str_copy(f->voice, sizeof(f->voice), text->voice ? text->voice : "-");
	if (f->err)
		return f->err;

	r = mem_zalloc(sizeof(*r), fake_req_destructor);
	if (!r)
		return ENOMEM;

	r->clip = mem_ref(clip);
	list_append(&f->reql, &r->le, r);
	*rp = r;

	return 0;
}

static const struct tts_backend fake_backend = {
	.name = "fake",
	.speak = fake_speak,
};

static unsigned busy(const struct fake *f)
{
	return (unsigned)list_count(&f->reql);
}

static struct fake_req *oldest(struct fake *f)
{
	assert_non_null(f->reql.head);

	return list_ledata(f->reql.head);
}

/* Samples from the request that has waited longest */
static void say(struct fake *f, size_t n)
{
	static uint8_t v[CLIP_MAX];
	struct clip *c = oldest(f)->clip;
	int err;

	for (size_t i = 0; i < n; i++)
		v[i] = (uint8_t)((clip_len(c) + i) * 3);
	if (n) {
		err = clip_add_word(c, (uint32_t)clip_len(c),
				    (uint32_t)clip_len(c) / 100);
		assert_true(!err || err == ENOMEM);
	}
	err = clip_append(c, v, n);
	assert_true(!err || err == ENOMEM || err == EOVERFLOW);
}

static void finish(struct fake *f, int err)
{
	struct fake_req *r = mem_ref(oldest(f));

	list_unlink(&r->le);
	clip_end(r->clip, err);
	mem_deref(r);
}

/* --------------------------------------------------------------- fixture */

static int fake_alloc(struct fake **fp)
{
	*fp = mem_zalloc(sizeof(**fp), NULL);
	if (!*fp)
		return ENOMEM;
	(*fp)->tts.be = &fake_backend;

	return 0;
}

static const struct tts_param first_param = {
	.url = "first:",
	.voice = "",
	.language = "en-US",
};
static const struct tts_param second_param = {
	.url = "second:",
	.voice = "",
	.language = "en-US",
};

static int make_voice(struct fixture *f, bool fallback, uint32_t timeout_ms)
{
	struct voice_param prm = {
		.first = {&f->first->tts, &first_param},
		.timeout_ms = timeout_ms,
		.max_ms = MAX_MS,
		.cache = f->cache,
	};

	if (fallback)
		prm.fallback = (struct voice_engine){&f->second->tts,
						     &second_param};
	f->voice = mem_deref(f->voice);

	return voice_alloc(&f->voice, &prm, &f->net);
}

static int make_cache(struct fixture *f, uint64_t memory)
{
	f->cache = mem_deref(f->cache);

	return voice_cache_alloc(&f->cache, &(struct voice_cache_param){
						    .memory_max = memory,
						    .disk_max = MB,
						    .dir = f->dir,
						    .clip_max = CLIP_MAX,
					    });
}

static int set_up(struct fixture *f)
{
	int err = loop_alloc(&f->net.loop);

	if (!err)
		err = make_cache(f, MB);
	if (!err)
		err = fake_alloc(&f->first);
	if (!err)
		err = fake_alloc(&f->second);
	if (!err)
		err = make_voice(f, true, NEVER_MS);

	return err;
}

static void remove_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;

	while (d && (e = readdir(d)))
		(void)unlinkat(dirfd(d), e->d_name, 0);
	if (d)
		closedir(d);
	(void)rmdir(path);
}

static void tear_down(struct fixture *f)
{
	mem_deref(f->voice);
	if (f->first)
		assert_int_equal(busy(f->first), 0);
	if (f->second)
		assert_int_equal(busy(f->second), 0);
	mem_deref(f->first);
	mem_deref(f->second);
	mem_deref(f->net.loop);
	mem_deref(f->cache);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(set_up(f), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char files[80];

	tear_down(f);
	(void)snprintf(files, sizeof(files), "%s/voice", f->dir);
	if (*f->dir) {
		remove_folder(files);
		remove_folder(f->dir);
	}
	assert_int_equal(metrics_gauge_value(M_TTS_CIRCUITS_OPEN), 0);
	free(f);

	return 0;
}

/** A caller */
struct caller {
	struct voice_req *req;
	struct clip *clip;
	struct clip_watch watch;
	unsigned told;
	bool drop; /* the request, when told */
};

static int ask(struct fixture *f, struct caller *c, const char *text)
{
	*c = (struct caller){0};

	return voice_speak(&c->req, &c->clip, f->voice,
			   &(struct tts_text){.text = text}, "CA1");
}

static void drop(struct caller *c)
{
	list_unlink(&c->watch.le);
	c->req = mem_deref(c->req);
	c->clip = mem_deref(c->clip);
}

/* Has the caller got n samples of say(), whole? */
static void assert_heard(const struct caller *c, size_t n)
{
	assert_int_equal(clip_len(c->clip), n);
	assert_true(clip_is_ended(c->clip));
	assert_int_equal(clip_error(c->clip), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(clip_data(c->clip)[i], (uint8_t)(i * 3));
}

/* A text is spoken and cached */
static void speak_whole(struct fixture *f, const char *text, size_t n)
{
	struct caller c;

	assert_int_equal(ask(f, &c, text), 0);
	say(f->first, n);
	finish(f->first, 0);
	assert_heard(&c, n);
	drop(&c);
}

static const char sentence[] = "A short sentence.";

/* ----------------------------------------------------- cache and sharing */

static void test_spoken_once_then_cached(void **state)
{
	struct fixture *f = *state;
	uint64_t hits = metrics_counter(M_TTS_CACHE_HITS);
	const struct clip_word *wordv;
	struct caller a, b, c;

	assert_int_equal(ask(f, &a, " A  short\tsentence. "), 0);
	assert_non_null(a.req);
	assert_string_equal(f->first->text, sentence);
	assert_false(clip_is_ended(a.clip));
	say(f->first, 1000);
	assert_int_equal(clip_len(a.clip), 1000); /* it plays already */
	say(f->first, 1000);
	finish(f->first, 0);
	assert_heard(&a, 2000);

	assert_int_equal(ask(f, &b, sentence), 0);
	assert_int_equal(ask(f, &c, sentence), 0);
	assert_null(b.req); /* nothing to wait for */
	assert_heard(&b, 2000);
	assert_ptr_equal(b.clip, c.clip); /* no copy */
	assert_int_equal(clip_words(c.clip, &wordv), 2);
	assert_int_equal(wordv[1].pos, 1000);
	assert_int_equal(wordv[1].text, 10);
	assert_int_equal(f->first->asked, 1);
	assert_int_equal(metrics_counter(M_TTS_CACHE_HITS), hits + 2);

	drop(&a);
	drop(&b);
	drop(&c);
}

static void test_other_voice_is_another_text(void **state)
{
	struct fixture *f = *state;
	struct voice_req *req;
	struct clip *clip;

	speak_whole(f, sentence, 100);
	assert_int_equal(voice_speak(&req, &clip, f->voice,
				     &(struct tts_text){.text = sentence,
							.voice = "bob"},
				     NULL),
			 0);
	assert_int_equal(f->first->asked, 2);
	assert_string_equal(f->first->voice, "bob");
	mem_deref(req);
	mem_deref(clip);
}

static void test_a_hundred_share_one_request(void **state)
{
	enum { N = 100 };
	struct fixture *f = *state;
	static struct caller v[N];

	for (size_t i = 0; i < N; i++) {
		assert_int_equal(ask(f, &v[i], sentence), 0);
		assert_ptr_equal(v[i].clip, v[0].clip);
	}
	say(f->first, 500);
	for (size_t i = 1; i < N; i++)
		drop(&v[i]); /* most hang up */
	say(f->first, 500);
	finish(f->first, 0);
	assert_heard(&v[0], 1000);
	drop(&v[0]);
	assert_int_equal(f->first->asked, 1);
}

static void test_nobody_wants_it_any_more(void **state)
{
	struct fixture *f = *state;
	struct caller a, b;

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(ask(f, &b, sentence), 0);
	drop(&a);
	assert_int_equal(busy(f->first), 1);
	drop(&b);
	assert_int_equal(busy(f->first), 0); /* cancelled */

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 2); /* and not cached */
	drop(&a);
}

static void test_good_as_made_is_finished(void **state)
{
	static char text[1500];
	struct fixture *f = *state;
	struct caller c;

	/* short, and begun */
	assert_int_equal(ask(f, &c, sentence), 0);
	say(f->first, 10);
	drop(&c);
	assert_int_equal(busy(f->first), 1);
	finish(f->first, 0);
	assert_int_equal(ask(f, &c, sentence), 0);
	assert_heard(&c, 10);
	drop(&c);

	/* long: 100 s of speech */
	memset(text, 'a', sizeof(text) - 1);
	assert_int_equal(ask(f, &c, text), 0);
	say(f->first, 10);
	drop(&c);
	assert_int_equal(busy(f->first), 0);

	/* of which half is there */
	assert_int_equal(ask(f, &c, text), 0);
	say(f->first, 51 * 8000);
	drop(&c);
	assert_int_equal(busy(f->first), 1);
	/* somebody wants it again, and not */
	assert_int_equal(ask(f, &c, text), 0);
	assert_int_equal(clip_len(c.clip), 51 * 8000);
	drop(&c);
	assert_int_equal(busy(f->first), 1);
	finish(f->first, ECONNRESET); /* cut: not cached */
	assert_int_equal(ask(f, &c, text), 0);
	assert_int_equal(clip_len(c.clip), 0);
	drop(&c);
}

static void test_not_all_that_are_left_are_finished(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < VOICE_FINISH_MAX + 3; i++) {
		char text[32];
		struct caller c;
		struct le *le;

		(void)snprintf(text, sizeof(text), "Sentence %u.", i);
		assert_int_equal(ask(f, &c, text), 0);
		le = f->first->reql.tail;
		assert_int_equal(
			clip_append(((struct fake_req *)le->data)->clip,
				    (const uint8_t *)"x", 1),
			0);
		drop(&c);
	}
	assert_int_equal(busy(f->first), VOICE_FINISH_MAX);
	while (busy(f->first))
		finish(f->first, 0);
}

static void test_without_a_cache(void **state)
{
	struct fixture *f = *state;
	struct caller a, b;

	f->voice = mem_deref(f->voice);
	assert_int_equal(make_cache(f, 0), 0);
	assert_int_equal(make_voice(f, true, NEVER_MS), 0);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(ask(f, &b, sentence), 0);
	assert_int_equal(f->first->asked, 1); /* shared all the same */
	say(f->first, 10);
	drop(&a);
	drop(&b);
	assert_int_equal(busy(f->first), 0); /* no reason to finish */
	speak_whole(f, sentence, 10);
	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(f->first->asked, 3);
	drop(&a);
}

static void test_nothing_to_say(void **state)
{
	struct fixture *f = *state;
	struct caller c;

	assert_int_equal(ask(f, &c, " \n "), ENODATA);
	assert_null(c.req);
	assert_null(c.clip);
	assert_int_equal(f->first->asked, 0);
}

static void test_as_long_as_may_be(void **state)
{
	struct fixture *f = *state;
	struct caller c;

	assert_int_equal(ask(f, &c, sentence), 0);
	say(f->first, CLIP_MAX);
	assert_false(clip_is_ended(c.clip));
	say(f->first, 1);
	assert_int_equal(clip_len(c.clip), CLIP_MAX);
	assert_int_equal(clip_error(c.clip), EOVERFLOW);
	assert_int_equal(busy(f->first), 0);
	drop(&c);
	assert_int_equal(ask(f, &c, sentence), 0);
	assert_int_equal(f->first->asked, 2); /* cut, so not cached */
	drop(&c);
}

/* ----------------------------------------------------------- the handler */

static void dropping_handler(struct clip *clip, void *arg)
{
	struct caller *c = arg;

	(void)clip;
	++c->told;
	drop(c);
}

static void test_dropped_from_the_handler(void **state)
{
	struct fixture *f = *state;
	struct caller a, b;

	for (int ended = 0; ended < 2; ended++) {
		assert_int_equal(ask(f, &a, sentence), 0);
		a.watch.h = dropping_handler;
		a.watch.arg = &a;
		clip_watch(a.clip, &a.watch);
		assert_int_equal(ask(f, &b, sentence), 0);
		b.watch.h = dropping_handler;
		b.watch.arg = &b;
		clip_watch(b.clip, &b.watch);
		if (!ended)
			say(f->first, 10);
		else
			finish(f->first, EIO);
		if (ended) {
			/* empty: the fallback's turn */
			say(f->second, 10);
			assert_int_equal(f->second->asked, 1);
		}
		assert_int_equal(a.told, 1);
		assert_int_equal(b.told, 1);
		while (busy(f->first))
			finish(f->first, EIO);
		while (busy(f->second))
			finish(f->second, EIO);
	}
}

static struct fixture *asking;

static void asking_handler(struct clip *clip, void *arg)
{
	struct caller *c = arg, other;

	(void)clip;
	drop(c);
	assert_int_equal(ask(asking, &other, "Another sentence."), 0);
	drop(&other);
}

static void test_asks_from_the_handler(void **state)
{
	struct fixture *f = *state;
	struct caller c;

	asking = f;
	assert_int_equal(ask(f, &c, sentence), 0);
	c.watch.h = asking_handler;
	c.watch.arg = &c;
	clip_watch(c.clip, &c.watch);
	say(f->first, 10);
	finish(f->first, 0);
	assert_int_equal(busy(f->first), 0);
}

static void test_requests_outlive_the_voice(void **state)
{
	struct fixture *f = *state;
	struct caller a, b;

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(ask(f, &b, "Another one."), 0);
	say(f->first, 10);
	f->voice = mem_deref(f->voice);
	assert_int_equal(busy(f->first), 0);
	drop(&a);
	drop(&b);
}

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
		loop_turn(f->net.loop, true);
	assert_int_equal(busy(f->first), 0);
	say(f->second, 100);
	finish(f->second, 0);
	assert_heard(&a, 100);
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
	assert_int_equal(voice_cache_breaker(&b, f->cache, &key), 0);
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

/* ------------------------------------------------------------------ disk */

static void restart(struct fixture *f)
{
	f->voice = mem_deref(f->voice);
	assert_int_equal(make_cache(f, MB), 0);
	assert_int_equal(make_voice(f, true, NEVER_MS), 0);
}

static void use_folder(struct fixture *f)
{
	(void)snprintf(f->dir, sizeof(f->dir), "/tmp/convod-voice-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	restart(f);
}

static bool file_of(struct fixture *f, char path[256], const char *text)
{
	struct voice_key engine, key;
	char name[CACHE_FILE_NAME];

	assert_int_equal(voice_engine_key(&engine, &first_param), 0);
	assert_int_equal(voice_key(&key, &engine, NULL, NULL, text), 0);
	cache_file_name(name, &key);
	(void)snprintf(path, 256, "%s/voice/%s", f->dir, name);

	return !access(path, F_OK);
}

static void wait_ended(struct fixture *f, const struct caller *c)
{
	while (!clip_is_ended(c->clip))
		loop_turn(f->net.loop, true);
}

static void test_from_disk_after_a_restart(void **state)
{
	struct fixture *f = *state;
	uint64_t hits = metrics_counter(M_TTS_CACHE_DISK_HITS);
	struct caller a, b, c;
	const struct clip_word *wordv;
	char path[256];

	use_folder(f);
	speak_whole(f, sentence, 5000);
	while (!file_of(f, path, sentence))
		loop_turn(f->net.loop, true);
	restart(f);

	assert_int_equal(ask(f, &a, sentence), 0);
	assert_int_equal(ask(f, &b, sentence), 0);
	wait_ended(f, &a);
	assert_heard(&a, 5000);
	assert_heard(&b, 5000);
	assert_int_equal(clip_words(a.clip, &wordv), 1);
	assert_int_equal(ask(f, &c, sentence), 0);
	assert_null(c.req); /* it is in memory now */
	assert_heard(&c, 5000);
	assert_int_equal(f->first->asked, 1);
	assert_int_equal(metrics_counter(M_TTS_CACHE_DISK_HITS), hits + 1);
	drop(&a);
	drop(&b);
	drop(&c);
}

static void test_damaged_file_is_spoken_again(void **state)
{
	struct fixture *f = *state;
	struct caller a;
	char path[256];

	use_folder(f);
	speak_whole(f, sentence, 5000);
	while (!file_of(f, path, sentence))
		loop_turn(f->net.loop, true);
	assert_int_equal(truncate(path, 3000), 0);
	restart(f);

	assert_int_equal(ask(f, &a, sentence), 0);
	while (!busy(f->first))
		loop_turn(f->net.loop, true);
	assert_false(file_of(f, path, sentence));
	say(f->first, 400);
	finish(f->first, 0);
	assert_heard(&a, 400);
	drop(&a);
	while (!file_of(f, path, sentence))
		loop_turn(f->net.loop, true);
}

static void test_dropped_while_the_disk_works(void **state)
{
	struct fixture *f = *state;
	struct caller a;
	char path[256];

	use_folder(f);
	speak_whole(f, sentence, 5000);
	while (!file_of(f, path, sentence))
		loop_turn(f->net.loop, true);
	restart(f);
	assert_int_equal(ask(f, &a, sentence), 0);
	drop(&a);
	assert_int_equal(ask(f, &a, sentence), 0);
	f->voice = mem_deref(f->voice);
	drop(&a);
	/* and the loop ends with the job, in teardown */
}

/* --------------------------------------------------------------- prewarm */

static void write_file(char *path, const char *text, size_t n)
{
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), (ssize_t)n);
	close(fd);
}

static void test_prewarm(void **state)
{
	static const char text[] = "# greetings\r\n\nOne.\r\n  Two.  \nOne.\n"
				   "Three.\n \t\n#Four.\nFive.\nSix.\nSeven.";
	enum { TEXTS = 6 };
	struct fixture *f = *state;
	char path[] = "/tmp/convod-prewarm-XXXXXX";
	struct prewarm *p;
	unsigned line, spoken = 0;
	struct caller c;

	write_file(path, text, strlen(text));
	assert_int_equal(prewarm_alloc(&p, f->voice, path, &line), 0);
	assert_int_equal(f->first->asked, 0); /* the loop has not turned */
	while (spoken < TEXTS) {
		loop_turn(f->net.loop, false);
		assert_true(busy(f->first) <= PREWARM_AT_ONCE);
		while (busy(f->first)) {
			say(f->first, 10);
			finish(f->first, 0);
			++spoken;
		}
	}
	for (int i = 0; i < 5; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(f->first->asked, TEXTS);
	assert_int_equal(ask(f, &c, "Two."), 0);
	assert_heard(&c, 10);
	drop(&c);
	mem_deref(p);

	/* all are in the cache: it comes to an end without a voice */
	assert_int_equal(prewarm_alloc(&p, f->voice, path, &line), 0);
	for (int i = 0; i < 20; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(f->first->asked, TEXTS);
	mem_deref(p);
	unlink(path);
}

static void test_prewarm_meets_failures(void **state)
{
	static const char text[] = "1\n2\n3\n4\n5\n6\n7\n8\n";
	struct fixture *f = *state;
	char path[] = "/tmp/convod-prewarm-XXXXXX";
	struct prewarm *p;
	unsigned line;

	write_file(path, text, strlen(text));
	f->second->err = ENOBUFS;
	assert_int_equal(prewarm_alloc(&p, f->voice, path, &line), 0);
	while (f->second->asked < 8) {
		loop_turn(f->net.loop, false);
		while (busy(f->first))
			finish(f->first, EREMOTEIO);
	}
	assert_int_equal(f->second->asked, 8); /* each tried once */
	mem_deref(p);

	/* stopped in the middle */
	f->first->asked = 0;
	f->second->asked = 0;
	assert_int_equal(make_voice(f, false, NEVER_MS), 0);
	assert_int_equal(prewarm_alloc(&p, f->voice, path, &line), 0);
	while (busy(f->first) < PREWARM_AT_ONCE)
		loop_turn(f->net.loop, false);
	mem_deref(p);
	assert_int_equal(busy(f->first), 0);
	unlink(path);
}

static void test_prewarm_files_that_are_wrong(void **state)
{
	static const struct {
		const char *text;
		size_t n;
		int err;
		unsigned line;
	} tests[] = {
		{"one\ntw\xff\n", 8, EBADMSG, 2},
		{"one\ntwo\nth\0ee", 13, EBADMSG, 3},
		{NULL, PREWARM_LINES_MAX + 1, EOVERFLOW,
		 PREWARM_LINES_MAX + 1},
		{NULL, PREWARM_FILE_MAX + 1, EOVERFLOW, 0},
	};
	struct fixture *f = *state;
	struct prewarm *p;
	unsigned line;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char path[] = "/tmp/convod-prewarm-XXXXXX";
		char *lines = malloc(tests[i].n);

		assert_non_null(lines);
		memset(lines, '\n', tests[i].n);
		write_file(path, tests[i].text ? tests[i].text : lines,
			   tests[i].n);
		free(lines);
		assert_int_equal(prewarm_alloc(&p, f->voice, path, &line),
				 tests[i].err);
		assert_int_equal(line, tests[i].line);
		unlink(path);
	}
	assert_int_equal(prewarm_alloc(&p, f->voice, "/nonexistent", &line),
			 ENOENT);
}

/* --------------------------------------------------------------- threads */

enum {
	ROUNDS = 30,
	CALLERS = 50, /* of each thread */
	THREADS = 2,
	PIECES = 5,
	PIECE = 400,
};

/** A voice that speaks by itself, on its loop */
struct auto_voice {
	struct tts tts; /* first */
	struct loop *loop;
	atomic_uint *asked; /* of all threads */
	int err;
};

struct auto_req {
	struct tmr *tmr;
	struct clip *clip;
	int err;
};

struct crowd {
	struct voice_cache *cache;
	pthread_barrier_t barrier;
	atomic_uint first_asked, second_asked;
	int first_err;
	atomic_uint wrong;
	bool leave; /* those of one thread don't wait for the end */
};

struct member {
	struct crowd *crowd;
	unsigned index;
};

static void auto_handler(void *arg)
{
	struct auto_req *r = arg;
	struct clip *clip = mem_ref(r->clip);
	uint8_t v[PIECE];
	bool last = r->err || clip_len(clip) >= PIECE * (PIECES - 1);

	for (size_t i = 0; i < PIECE; i++)
		v[i] = (uint8_t)((clip_len(clip) + i) * 3);
	tmr_start(r->tmr, 1);
	if (last)
		tmr_cancel(r->tmr);
	if (!r->err && clip_append(clip, v, PIECE))
		clip_end(clip, ENOMEM);
	if (last)
		clip_end(clip, r->err); /* r may be gone */
	mem_deref(clip);
}

static void auto_destructor(void *arg)
{
	struct auto_req *r = arg;

	mem_deref(r->tmr);
	mem_deref(r->clip);
}

static int auto_speak(void **rp, struct tts *t, const struct tts_text *text,
		      struct clip *clip)
{
	struct auto_voice *a = CONTAINER_OF(t, struct auto_voice, tts);
	struct auto_req *r = mem_zalloc(sizeof(*r), auto_destructor);

	(void)text;
	if (!r || tmr_alloc(&r->tmr, a->loop, auto_handler, r)) {
		mem_deref(r);
		return ENOMEM;
	}

	atomic_fetch_add(a->asked, 1);
	r->clip = mem_ref(clip);
	r->err = a->err;
	tmr_start(r->tmr, 1);
	*rp = r;

	return 0;
}

static const struct tts_backend auto_backend = {
	.name = "auto",
	.speak = auto_speak,
};

static int auto_alloc(struct auto_voice **ap, struct loop *l,
		      atomic_uint *asked, int err)
{
	*ap = mem_zalloc(sizeof(**ap), NULL);
	if (!*ap)
		return ENOMEM;

	(*ap)->tts.be = &auto_backend;
	(*ap)->loop = l;
	(*ap)->asked = asked;
	(*ap)->err = err;

	return 0;
}

static bool is_right(const struct clip *c)
{
	if (clip_error(c) || clip_len(c) != PIECE * PIECES)
		return false;
	for (size_t i = 0; i < clip_len(c); i++) {
		if (clip_data(c)[i] != (uint8_t)(i * 3))
			return false;
	}

	return true;
}

static int member_set_up(struct fixture *f, struct crowd *crowd)
{
	struct auto_voice *first = NULL, *second = NULL;
	struct voice_param prm = {
		.timeout_ms = NEVER_MS,
		.max_ms = MAX_MS,
		.cache = crowd->cache,
	};
	int err = loop_alloc(&f->net.loop);

	if (!err)
		err = auto_alloc(&first, f->net.loop, &crowd->first_asked,
				 crowd->first_err);
	if (!err)
		err = auto_alloc(&second, f->net.loop, &crowd->second_asked,
				 0);
	if (!err) {
		prm.first = (struct voice_engine){&first->tts, &first_param};
		prm.fallback = (struct voice_engine){&second->tts,
						     &second_param};
		err = voice_alloc(&f->voice, &prm, &f->net);
	}
	mem_deref(first);
	mem_deref(second);

	return err;
}

static void round_of(struct fixture *f, const struct member *m, unsigned n)
{
	static _Thread_local struct caller v[CALLERS];
	struct crowd *crowd = m->crowd;
	char text[32];

	(void)snprintf(text, sizeof(text), "Round %u.", n);
	for (size_t i = 0; i < CALLERS; i++) {
		if (ask(f, &v[i], text))
			atomic_fetch_add(&crowd->wrong, 1);
	}
	/* the leaders' callers leave, now and then: the others still hear */
	if (crowd->leave && m->index == n % THREADS) {
		for (unsigned i = 0; i < n % 8; i++)
			loop_turn(f->net.loop, false);
		for (size_t i = 0; i < CALLERS; i++)
			drop(&v[i]);
		return;
	}
	for (size_t i = 0; i < CALLERS; i++) {
		while (v[i].clip && !clip_is_ended(v[i].clip))
			loop_turn(f->net.loop, true);
		if (!v[i].clip || !is_right(v[i].clip))
			atomic_fetch_add(&crowd->wrong, 1);
		drop(&v[i]);
	}
}

/* The loops must turn until all have heard */
static void turn_for_others(struct fixture *f)
{
	for (int i = 0; i < 200; i++) {
		loop_turn(f->net.loop, false);
		usleep(100);
	}
}

static void *member_thread(void *arg)
{
	const struct member *m = arg;
	struct fixture f = {.voice = NULL};
	int err = member_set_up(&f, m->crowd);

	if (err)
		atomic_fetch_add(&m->crowd->wrong, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m->crowd->barrier);
		if (!err)
			round_of(&f, m, i);
		if (!err && m->crowd->leave)
			turn_for_others(&f);
	}
	pthread_barrier_wait(&m->crowd->barrier);
	mem_deref(f.voice);
	mem_deref(f.net.loop);

	return NULL;
}

static void run_crowd(struct crowd *crowd)
{
	struct member memberv[THREADS];
	pthread_t threadv[THREADS];

	assert_int_equal(voice_cache_alloc(&crowd->cache,
					   &(struct voice_cache_param){
						   .memory_max = MB,
						   .clip_max = CLIP_MAX,
					   }),
			 0);
	pthread_barrier_init(&crowd->barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		memberv[i] = (struct member){crowd, i};
		assert_int_equal(pthread_create(&threadv[i], NULL,
						member_thread, &memberv[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threadv[i], NULL);
	pthread_barrier_destroy(&crowd->barrier);
	crowd->cache = mem_deref(crowd->cache);
	assert_int_equal(atomic_load(&crowd->wrong), 0);
}

static void test_one_request_for_all_threads(void **state)
{
	struct crowd crowd = {.first_err = 0};

	(void)state;
	run_crowd(&crowd);
	assert_int_equal(atomic_load(&crowd.first_asked), ROUNDS);
	assert_int_equal(atomic_load(&crowd.second_asked), 0);
}

/* The others that waited don't all try again */
static void test_one_failure_for_all_threads(void **state)
{
	struct crowd crowd = {.first_err = EREMOTEIO};

	(void)state;
	run_crowd(&crowd);
	/* the circuit opens; who was told late may be one more */
	assert_in_range(atomic_load(&crowd.first_asked), BREAKER_FAILURES,
			2 * BREAKER_FAILURES);
	assert_int_equal(atomic_load(&crowd.second_asked), ROUNDS);
}

static void test_the_leaders_callers_leave(void **state)
{
	struct crowd crowd = {.leave = true};

	(void)state;
	run_crowd(&crowd);
	assert_in_range(atomic_load(&crowd.first_asked), ROUNDS, 2 * ROUNDS);
}

/* --------------------------------------------------------------- memory */

static int voice_body(void *arg)
{
	struct fixture f = {.voice = NULL};
	struct caller a = {0}, b = {0};
	int err = set_up(&f);

	(void)arg;
	if (!err)
		err = ask(&f, &a, sentence);
	if (!err)
		err = ask(&f, &b, sentence);
	if (!err && busy(f.first)) {
		say(f.first, 1000);
		if (busy(f.first))
			finish(f.first, 0);
	}
	/* without memory the fallback may have been asked */
	if (!err && busy(f.second))
		finish(f.second, ENOMEM);
	if (!err && (!clip_is_ended(a.clip) || clip_len(a.clip) != 1000))
		err = ENOMEM;
	if (!err)
		err = clip_error(a.clip);
	drop(&a);
	drop(&b);
	tear_down(&f);

	return err;
}

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

static int prewarm_body(void *arg)
{
	struct fixture f = {.voice = NULL};
	struct prewarm *p = NULL;
	unsigned line;
	int err = set_up(&f);

	if (!err)
		err = prewarm_alloc(&p, f.voice, arg, &line);
	mem_deref(p);
	tear_down(&f);

	return err;
}

static void test_out_of_memory(void **state)
{
	char path[] = "/tmp/convod-prewarm-XXXXXX";

	(void)state;
	oom_loop(voice_body, NULL);
	oom_loop(fallback_body, NULL);
	write_file(path, "one\n", 4);
	oom_loop(prewarm_body, path);
	unlink(path);
}

/* A file, with the voice as what comes after */
static int disk_body(void *arg)
{
	struct fixture *f = arg;
	struct caller a = {0};
	int err = loop_alloc(&f->net.loop);

	if (!err)
		err = make_cache(f, MB);
	if (!err)
		err = make_voice(f, true, NEVER_MS);
	if (!err)
		err = ask(f, &a, sentence);
	while (!err && !clip_is_ended(a.clip)) {
		if (busy(f->first))
			finish(f->first, ENOMEM);
		else if (busy(f->second))
			finish(f->second, ENOMEM);
		else
			loop_turn(f->net.loop, true);
	}
	if (!err)
		err = clip_error(a.clip);
	drop(&a);
	f->voice = mem_deref(f->voice);
	f->net.loop = mem_deref(f->net.loop); /* waits for jobs */
	f->cache = mem_deref(f->cache);

	return err ? ENOMEM : 0;
}

static void test_out_of_memory_with_files(void **state)
{
	struct fixture *f = *state;
	char path[256];

	use_folder(f);
	speak_whole(f, sentence, 5000);
	while (!file_of(f, path, sentence))
		loop_turn(f->net.loop, true);
	f->voice = mem_deref(f->voice);
	f->net.loop = mem_deref(f->net.loop);
	f->cache = mem_deref(f->cache);
	oom_loop(disk_body, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_spoken_once_then_cached),
		TEST(test_other_voice_is_another_text),
		TEST(test_a_hundred_share_one_request),
		TEST(test_nobody_wants_it_any_more),
		TEST(test_good_as_made_is_finished),
		TEST(test_not_all_that_are_left_are_finished),
		TEST(test_without_a_cache),
		TEST(test_nothing_to_say),
		TEST(test_as_long_as_may_be),
		TEST(test_dropped_from_the_handler),
		TEST(test_asks_from_the_handler),
		TEST(test_requests_outlive_the_voice),
		TEST(test_first_fails),
		TEST(test_first_refuses),
		TEST(test_both_fail),
		TEST(test_cut_is_played_as_far_as_it_goes),
		TEST(test_first_is_late),
		TEST(test_begun_in_time_is_not_late),
		TEST(test_no_fallback),
		TEST(test_fallback_speaks_one_language),
		TEST(test_breaker),
		TEST(test_nobody_waits_for_a_dead_voice),
		TEST(test_a_probe_finds_it_back),
		TEST(test_a_probe_fails),
		TEST(test_from_disk_after_a_restart),
		TEST(test_damaged_file_is_spoken_again),
		TEST(test_dropped_while_the_disk_works),
		TEST(test_prewarm),
		TEST(test_prewarm_meets_failures),
		TEST(test_prewarm_files_that_are_wrong),
		TEST(test_one_request_for_all_threads),
		TEST(test_one_failure_for_all_threads),
		TEST(test_the_leaders_callers_leave),
		TEST(test_out_of_memory),
		TEST(test_out_of_memory_with_files),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

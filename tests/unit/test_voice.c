/*
 * A text becomes a clip: shared, cached, cancelled, read from disk.
 */
#include "../../src/tts/cache_file.h"
#include "fake_voice.h"

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
	for (size_t i = 0; i < N - 1; i++)
		drop(&v[i]); /* most hang up, the first one first */
	say(f->first, 500);
	finish(f->first, 0);
	assert_heard(&v[N - 1], 1000);
	drop(&v[N - 1]);
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
				    (const uint8_t *)"", 1),
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

/* ------------------------------------------------------------------ disk */

static void restart(struct fixture *f)
{
	f->voice = mem_deref(f->voice);
	assert_int_equal(make_cache(f, MB), 0);
	assert_int_equal(make_voice(f, true, NEVER_MS), 0);
}

static void use_folder(struct fixture *f)
{
	folder_make(f->dir);
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

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(voice_body, NULL);
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
		TEST(test_from_disk_after_a_restart),
		TEST(test_damaged_file_is_spoken_again),
		TEST(test_dropped_while_the_disk_works),
		TEST(test_out_of_memory),
		TEST(test_out_of_memory_with_files),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

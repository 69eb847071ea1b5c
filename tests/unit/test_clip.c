#include <convod/clip.h>
#include "test.h"

struct watcher {
	struct clip_watch w;
	struct clip *clip;
	struct watcher *other; /* unlinked from inside the handler */
	size_t told;
	size_t len;
	bool ended;
	bool drop;  /* give up the reference to the clip when told */
	bool again; /* append once more from inside */
};

static void watch_handler(struct clip *c, void *arg)
{
	struct watcher *w = arg;

	++w->told;
	w->len = clip_len(c);
	w->ended = clip_is_ended(c);
	if (w->other)
		list_unlink(&w->other->w.le);
	if (w->again) {
		w->again = false;
		assert_int_equal(clip_append(c, (const uint8_t *)"more", 4),
				 0);
	}
	if (w->drop)
		w->clip = mem_deref(w->clip);
}

static void watch(struct watcher *w, struct clip *c)
{
	w->w.h = watch_handler;
	w->w.arg = w;
	clip_watch(c, &w->w);
}

static void test_grows_and_ends(void **state)
{
	struct watcher w = {0};
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 100000), 0);
	watch(&w, c);
	for (size_t i = 0; i < 50000; i++) {
		uint8_t b = (uint8_t)(i * 7);

		assert_int_equal(clip_append(c, &b, 1), 0);
	}
	assert_int_equal(w.told, 50000);
	assert_int_equal(w.len, 50000);
	assert_false(clip_is_ended(c));
	for (size_t i = 0; i < 50000; i++)
		assert_int_equal(clip_data(c)[i], (uint8_t)(i * 7));

	clip_end(c, ETIMEDOUT);
	clip_end(c, 0);
	assert_true(w.ended);
	assert_int_equal(w.told, 50001);
	assert_int_equal(clip_error(c), ETIMEDOUT);
	assert_null(w.w.le.list);
	assert_int_equal(clip_append(c, (const uint8_t *)"x", 1), ESHUTDOWN);
	watch(&w, c);
	assert_null(w.w.le.list);
	mem_deref(c);
}

static void test_bound_ends_it(void **state)
{
	struct watcher w = {0};
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 10), 0);
	watch(&w, c);
	assert_int_equal(clip_append(c, (const uint8_t *)"12345678", 8), 0);
	assert_int_equal(clip_append(c, (const uint8_t *)"90abcd", 6),
			 EOVERFLOW);
	assert_int_equal(clip_len(c), 10);
	assert_memory_equal(clip_data(c), "1234567890", 10);
	assert_int_equal(clip_error(c), EOVERFLOW);
	assert_true(w.ended);
	assert_int_equal(w.len, 10);
	mem_deref(c);
}

static void test_watch_unlinks_another(void **state)
{
	struct watcher a = {0}, b = {0};
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 100), 0);
	watch(&a, c);
	watch(&b, c);
	a.other = &b;
	b.other = &a;
	assert_int_equal(clip_append(c, (const uint8_t *)"x", 1), 0);
	assert_int_equal(a.told + b.told, 1);
	mem_deref(c);
}

static void test_append_from_inside_reaches_all(void **state)
{
	struct watcher a = {.again = true}, b = {0};
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 100), 0);
	watch(&a, c);
	watch(&b, c);
	assert_int_equal(clip_append(c, (const uint8_t *)"x", 1), 0);
	assert_int_equal(clip_len(c), 5);
	assert_int_equal(a.len, 5);
	assert_int_equal(b.len, 5);
	mem_deref(c);
}

static void test_last_reference_dropped_from_inside(void **state)
{
	struct watcher a = {.drop = true}, b = {0};
	size_t before = mem_blocks();

	(void)state;
	assert_int_equal(clip_alloc(&a.clip, 100), 0);
	watch(&a, a.clip);
	watch(&b, a.clip);
	clip_end(a.clip, 0);
	assert_null(a.clip);
	assert_int_equal(b.told, 1);
	assert_int_equal(mem_blocks(), before);
}

static void test_destroyed_with_watch(void **state)
{
	struct watcher a = {0};
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 100), 0);
	watch(&a, c);
	mem_deref(c);
	assert_null(a.w.le.list);
	assert_int_equal(a.told, 0);
}

static void test_words(void **state)
{
	const struct clip_word *wordv;
	struct clip *c;

	(void)state;
	assert_int_equal(clip_alloc(&c, 100), 0);
	assert_int_equal(clip_words(c, &wordv), 0);
	for (uint32_t i = 0; i < CLIP_WORDS_MAX + 10; i++)
		assert_int_equal(clip_add_word(c, 3 * i, i), 0);
	assert_int_equal(clip_words(c, &wordv), CLIP_WORDS_MAX);
	for (uint32_t i = 0; i < CLIP_WORDS_MAX; i++) {
		assert_int_equal(wordv[i].pos, 3 * i);
		assert_int_equal(wordv[i].text, i);
	}
	clip_end(c, 0);
	assert_int_equal(clip_add_word(c, 100000, 10000), ESHUTDOWN);
	mem_deref(c);
}

static void test_words_only_go_forward(void **state)
{
	const struct clip_word *wordv;
	struct clip *c;

	(void)state;
	assert_int_equal(clip_add_word(NULL, 0, 0), EINVAL);
	assert_int_equal(clip_alloc(&c, 100), 0);
	assert_int_equal(clip_add_word(c, 10, 5), 0);
	assert_int_equal(clip_add_word(c, 9, 6), EINVAL);
	assert_int_equal(clip_add_word(c, 11, 4), EINVAL);
	assert_int_equal(clip_add_word(c, 10, 5), 0);
	clip_end(c, 0);
	assert_int_equal(clip_words(c, &wordv), 2);
	assert_int_equal(wordv[1].pos, 10);
	mem_deref(c);
}

static int memory_body(void *arg)
{
	uint8_t v[20000] = {0};
	struct clip *c = NULL, *d = NULL;
	int err = clip_alloc(&c, 100000);

	(void)arg;
	if (!err)
		err = clip_append(c, v, sizeof(v));
	if (!err)
		err = clip_append(c, v, sizeof(v));
	for (uint32_t i = 0; i < 100 && !err; i++)
		err = clip_add_word(c, i, i);
	if (!err)
		err = clip_from(&d, v, sizeof(v));
	if (!err)
		assert_int_equal(clip_len(d), sizeof(v));
	clip_end(c, 0); /* giving back memory may fail, silently */
	mem_deref(c);
	mem_deref(d);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(memory_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_ends),
		cmocka_unit_test(test_bound_ends_it),
		cmocka_unit_test(test_watch_unlinks_another),
		cmocka_unit_test(test_append_from_inside_reaches_all),
		cmocka_unit_test(test_last_reference_dropped_from_inside),
		cmocka_unit_test(test_destroyed_with_watch),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_only_go_forward),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

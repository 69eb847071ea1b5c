#include <stdio.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/dialog/history.h"
#include "test.h"

static void add(struct history *h, enum history_who who, const char *text)
{
	assert_int_equal(history_add(h, who, text), 0);
}

/* "u:text|a:text|", without the system's message */
static void print(const struct history *h, char *out, size_t size)
{
	json_t *j, *m;
	size_t i, n = 0;

	assert_int_equal(history_json(&j, h, "be kind"), 0);
	out[0] = '\0';
	json_array_foreach(j, i, m)
	{
		if (!i) {
			assert_string_equal(jsn_str(m, "role"), "system");
			assert_string_equal(jsn_str(m, "content"), "be kind");
			continue;
		}
		n += (size_t)snprintf(out + n, size - n, "%c:%s|",
				      jsn_str(m, "role")[0],
				      jsn_str(m, "content"));
		assert_true(n < size);
	}
	json_decref(j);
}

#define ASSERT_HISTORY(h, text)                  \
	do {                                     \
		char out_[4096];                 \
		print(h, out_, sizeof(out_));    \
		assert_string_equal(out_, text); \
	} while (0)

static void test_sides_alternate(void **state)
{
	struct history h = {0};

	ASSERT_HISTORY(&h, "");
	add(&h, HISTORY_USER, "hello");
	add(&h, HISTORY_USER, "anybody?");
	add(&h, HISTORY_BOT, "Yes.");
	add(&h, HISTORY_BOT, "How are you?");
	add(&h, HISTORY_USER, "fine");
	ASSERT_HISTORY(&h, "u:hello\nanybody?|a:Yes. How are you?|u:fine|");
	history_flush(&h);
	ASSERT_HISTORY(&h, "");
	assert_int_equal(h.bytes, 0);
	assert_int_equal(h.linec, 0);
}

static void test_what_was_heard(void **state)
{
	struct history h = {0};

	assert_int_equal(history_heard(&h, "nothing was said"), 0);
	ASSERT_HISTORY(&h, "");
	add(&h, HISTORY_USER, "hello");
	add(&h, HISTORY_BOT, "We open at nine.");
	add(&h, HISTORY_BOT, "And close at six.");
	assert_int_equal(history_heard(&h, "We open"), 0);
	ASSERT_HISTORY(&h, "u:hello|a:We open|");
	assert_int_equal(history_heard(&h, ""), 0);
	ASSERT_HISTORY(&h, "u:hello|");
	assert_int_equal(history_heard(&h, "x"), 0);
	ASSERT_HISTORY(&h, "u:hello|");

	history_take_back(&h, "something else");
	ASSERT_HISTORY(&h, "u:hello|");
	history_take_back(&h, "hello again");
	ASSERT_HISTORY(&h, "");
	history_take_back(&h, "hello again");
	add(&h, HISTORY_BOT, "Hi");
	history_take_back(&h, "Hi there");
	ASSERT_HISTORY(&h, "a:Hi|");
	history_flush(&h);
}

static void test_bounds(void **state)
{
	static char big[HISTORY_MAX_BYTES / 3];
	struct history h = {0};
	json_t *j;

	memset(big, 'x', sizeof(big) - 1);
	add(&h, HISTORY_USER, "first");
	add(&h, HISTORY_BOT, "one");
	add(&h, HISTORY_BOT, "two");
	for (int i = 0; i < 3; i++)
		add(&h, HISTORY_USER, big);
	assert_true(h.bytes <= HISTORY_MAX_BYTES);
	assert_int_equal(h.linec, 3); /* the bot's words went with "first" */

	/* a line that is too long by itself stays: it is what was said */
	history_flush(&h);
	for (int i = 0; i < 2; i++)
		add(&h, HISTORY_USER, big);
	for (int i = 0; i < 2 * HISTORY_LINES_MAX; i++)
		add(&h, i % 2 ? HISTORY_BOT : HISTORY_USER, "x");
	assert_true(h.linec <= HISTORY_LINES_MAX);
	assert_int_equal(history_json(&j, &h, ""), 0);
	assert_string_equal(jsn_str(json_array_get(j, 1), "role"), "user");
	json_decref(j);

	while (history_halve(&h))
		;
	assert_int_equal(h.linec, 1);
	ASSERT_HISTORY(&h, "a:x|");
	history_flush(&h);
	assert_false(history_halve(&h));
}

static int body(void *arg)
{
	struct history h = {0};
	json_t *j = NULL;
	int err = history_add(&h, HISTORY_USER, "one");

	(void)arg;
	if (!err)
		err = history_add(&h, HISTORY_USER, "two");
	if (!err)
		err = history_add(&h, HISTORY_BOT, "three four");
	if (!err)
		err = history_heard(&h, "three");
	if (!err)
		err = history_json(&j, &h, "system");
	json_decref(j);
	history_flush(&h);

	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sides_alternate),
		cmocka_unit_test(test_what_was_heard),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

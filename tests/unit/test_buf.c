#include <convod/buf.h>
#include "test.h"

static void test_in_and_out(void **state)
{
	struct buf b = {0};

	assert_string_equal(buf_str(&b), "");
	buf_drop(&b, 0);
	assert_int_equal(buf_add(&b, NULL, 0, 0), 0);
	assert_int_equal(buf_add(&b, "hello ", 6, 11), 0);
	assert_int_equal(buf_add(&b, "world", 5, 11), 0);
	assert_int_equal(buf_add(&b, "!", 1, 11), EOVERFLOW);
	assert_int_equal(buf_add(&b, "!", 1, 5), EOVERFLOW);
	assert_int_equal(buf_add(&b, "!", SIZE_MAX, SIZE_MAX), EOVERFLOW);
	assert_string_equal(buf_str(&b), "hello world");
	buf_drop(&b, 6);
	assert_string_equal(buf_str(&b), "world");
	assert_int_equal(b.n, 5);
	buf_drop(&b, 5);
	assert_string_equal(buf_str(&b), "");
	buf_reset(&b);
	assert_null(b.p);
	buf_reset(&b);
}

static int body(void *arg)
{
	struct buf b = {0};
	int err = 0;

	(void)arg;
	for (size_t i = 0; i < 5000 && !err; i++) {
		err = buf_add(&b, "x", 1, SIZE_MAX);
		assert_int_equal(b.n, i + !err);
	}
	buf_reset(&b);

	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_and_out),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

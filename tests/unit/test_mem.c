#include "test.h"

static int destroyed;

static void count_destructor(void *arg)
{
	(void)arg;
	++destroyed;
}

static void test_last_deref_destroys_once(void **state)
{
	int *p = mem_zalloc(sizeof(*p), count_destructor);

	(void)state;
	destroyed = 0;
	assert_non_null(p);
	assert_int_equal(*p, 0);
	assert_ptr_equal(mem_ref(p), p);
	assert_int_equal(mem_nrefs(p), 2);
	assert_null(mem_deref(p));
	assert_int_equal(destroyed, 0);
	assert_null(mem_deref(p));
	assert_int_equal(destroyed, 1);
}

static void test_null_is_harmless(void **state)
{
	(void)state;
	assert_null(mem_ref(NULL));
	assert_null(mem_deref(NULL));
	assert_int_equal(mem_nrefs(NULL), 0);
	mem_raw_free(NULL);
}

static void test_allocation_fails_when_told(void **state)
{
	void *a, *b, *c;

	(void)state;
	mem_fail_after(1);
	a = mem_zalloc(8, NULL);
	b = mem_zalloc(8, NULL);
	c = mem_raw_malloc(8);
	mem_fail_after(-1);

	assert_non_null(a);
	assert_null(b);
	assert_null(c);
	mem_deref(a);
}

static void test_blocks_are_counted(void **state)
{
	size_t before = mem_blocks();
	void *a = mem_zalloc(0, NULL);
	char *s = mem_raw_strdup("x");

	(void)state;
	assert_int_equal(mem_blocks(), before + 2);
	s = mem_raw_realloc(s, 100);
	assert_string_equal(s, "x");
	mem_raw_free(s);
	mem_deref(a);
	assert_int_equal(mem_blocks(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_deref_destroys_once),
		cmocka_unit_test(test_null_is_harmless),
		cmocka_unit_test(test_allocation_fails_when_told),
		cmocka_unit_test(test_blocks_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <pthread.h>
#include <convod/hist.h>
#include <convod/metrics.h>
#include "test.h"

static void test_quantiles_within_a_sixteenth(void **state)
{
	struct hist *h = mem_zalloc(sizeof(*h), NULL);

	(void)state;
	assert_int_equal(hist_quantile(h, 0.5), 0);
	for (uint64_t v = 1; v <= 100000; v++)
		hist_add(h, v);

	assert_in_range(hist_quantile(h, 0.5), 50000, 50000 * 17 / 16);
	assert_in_range(hist_quantile(h, 0.99), 99000, 100000);
	assert_int_equal(hist_quantile(h, 1.0), 100000);
	assert_int_equal(hist_quantile(h, 0.0), 1);
	mem_deref(h);
}

static void test_every_value_has_a_bucket(void **state)
{
	struct hist *h = mem_zalloc(sizeof(*h), NULL);
	uint64_t n = 0;

	(void)state;
	for (unsigned shift = 0; shift < 64; shift++) {
		hist_add(h, (uint64_t)1 << shift);
		hist_add(h, ((uint64_t)1 << shift) - 1);
		n += 2;
	}
	assert_int_equal(hist_count_le(h, UINT64_MAX), n);
	assert_int_equal(hist_count_le(h, 0), 1);
	assert_int_equal(hist_count_le(h, 15), 9);
	mem_deref(h);
}

static void *count_thread(void *arg)
{
	if (arg)
		assert_int_equal(metrics_thread_init(), 0);

	for (int i = 0; i < 10000; i++) {
		metrics_inc(M_CALLS);
		metrics_gauge(M_CALLS_UP, i % 2 ? 1 : -1);
		metrics_latency(M_ANSWER, 1000);
	}

	return NULL;
}

static void test_threads_sum_up(void **state)
{
	uint64_t before = metrics_counter(M_CALLS);
	pthread_t threadv[4];
	char *text = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(threadv); i++)
		assert_int_equal(pthread_create(&threadv[i], NULL,
						count_thread,
						i % 2 ? threadv : NULL),
				 0);
	for (size_t i = 0; i < ARRAY_SIZE(threadv); i++)
		pthread_join(threadv[i], NULL);

	assert_int_equal(metrics_counter(M_CALLS) - before, 40000);
	assert_int_equal(metrics_gauge_value(M_CALLS_UP), 0);
	assert_in_range(metrics_quantile_us(M_ANSWER, 0.5), 1000, 1063);

	assert_int_equal(metrics_print(&text), 0);
	assert_non_null(strstr(text, "\nconvod_calls_total 40000\n"));
	assert_non_null(strstr(text, "convod_answer_seconds_bucket{"
				     "le=\"+Inf\"} 40000\n"));
	assert_non_null(strstr(text, "convod_answer_seconds_bucket{"
				     "le=\"0.0005\"} 0\n"));
	mem_deref(text);
}

static int print_body(void *arg)
{
	char *text = NULL;
	int err = metrics_print(&text);

	(void)arg;
	mem_deref(text);
	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(print_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles_within_a_sixteenth),
		cmocka_unit_test(test_every_value_has_a_bucket),
		cmocka_unit_test(test_threads_sum_up),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

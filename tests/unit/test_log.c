#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#include <jansson.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include "test.h"

/* What stderr gets while it is a file of ours */
struct capture {
	char path[64];
	int saved;
	char text[1 << 20];
};

static struct capture cap;

static void capture_begin(void)
{
	int fd;

	(void)snprintf(cap.path, sizeof(cap.path), "%s",
		       "/tmp/convod-log-XXXXXX");
	fd = mkstemp(cap.path);
	assert_true(fd >= 0);
	cap.saved = dup(STDERR_FILENO);
	assert_true(dup2(fd, STDERR_FILENO) >= 0);
	close(fd);
}

static const char *capture_end(void)
{
	ssize_t n;
	int fd;

	assert_true(dup2(cap.saved, STDERR_FILENO) >= 0);
	close(cap.saved);
	fd = open(cap.path, O_RDONLY);
	assert_true(fd >= 0);
	n = read(fd, cap.text, sizeof(cap.text) - 1);
	assert_true(n >= 0);
	cap.text[n] = '\0';
	close(fd);
	unlink(cap.path);

	return cap.text;
}

static void test_text_line(void **state)
{
	const char *s;

	(void)state;
	capture_begin();
	assert_int_equal(log_init(LOG_LVL_INFO, LOG_TEXT), 0);
	log_info("CA1", "it happened", "ms=%u text=\"%s\"", 12u,
		 LOG_STR("a\"b\n"));
	log_debug("CA1", "not shown", NULL);
	log_close();
	s = capture_end();
	assert_non_null(strstr(s, "Z info call=CA1 event=\"it happened\" "
				  "ms=12 text=\"a\\\"b\\u000a\"\n"));
	assert_null(strstr(s, "not shown"));
}

static void test_json_line_parses(void **state)
{
	json_t *o;

	(void)state;
	capture_begin();
	assert_int_equal(log_init(LOG_LVL_INFO, LOG_JSON), 0);
	log_warn("CA\"1", "odd",
		 "ms=12 part=0.5 neg=-1 zero=007 host=127.0.0.1 text=\"%s\" "
		 "last=x",
		 LOG_STR("é \"q\" \\ \t\x01"));
	log_close();

	o = json_loads(capture_end(), 0, NULL);
	assert_non_null(o);
	assert_string_equal(json_string_value(json_object_get(o, "call")),
			    "CA\"1");
	assert_int_equal(json_integer_value(json_object_get(o, "ms")), 12);
	assert_true(json_is_string(json_object_get(o, "zero")));
	assert_string_equal(json_string_value(json_object_get(o, "host")),
			    "127.0.0.1");
	assert_string_equal(json_string_value(json_object_get(o, "text")),
			    "é \"q\" \\ \t\x01");
	assert_string_equal(json_string_value(json_object_get(o, "last")),
			    "x");
	json_decref(o);
}

/* A pair that was cut, or has no room, is left out: the line still parses */
static void test_cut_pairs_are_left_out(void **state)
{
	char pairs[4000];
	json_t *o;

	(void)state;
	for (int n = 200; n < 3900; n += 100) {
		size_t len = 0;

		/* many short ones grow by their quotes, then one is cut */
		while (len < (size_t)n)
			len += (size_t)snprintf(pairs + len, 8, "k=%s ",
						len % 3 ? "v" : "w");
		(void)snprintf(pairs + len, sizeof(pairs) - len, "z=\"%s\"",
			       LOG_STR("a long \"one\" with é and \\"));
		capture_begin();
		assert_int_equal(log_init(LOG_LVL_INFO, LOG_JSON), 0);
		log_info("CA1", "long", "%s", pairs);
		log_close();
		o = json_loads(capture_end(), 0, NULL);
		assert_non_null(o);
		json_decref(o);
	}
}

static void test_long_line_stays_json(void **state)
{
	char value[5000];
	json_t *o;

	(void)state;
	memset(value, '"', sizeof(value));
	value[sizeof(value) - 1] = '\0';
	capture_begin();
	assert_int_equal(log_init(LOG_LVL_INFO, LOG_JSON), 0);
	log_info(NULL, "long", "a=\"%s\" b=\"%s\"", LOG_STR(value),
		 LOG_STR(value));
	log_close();
	o = json_loads(capture_end(), 0, NULL);
	assert_non_null(o);
	json_decref(o);
}

static void *log_thread(void *arg)
{
	for (int i = 0; i < 5000; i++)
		log_info("CA1", "line", "i=%d", i);

	return arg;
}

static void test_every_line_is_written_or_counted(void **state)
{
	uint64_t dropped = metrics_counter(M_LOG_DROPPED);
	pthread_t threadv[4];
	size_t lines = 0;

	(void)state;
	capture_begin();
	assert_int_equal(log_init(LOG_LVL_INFO, LOG_TEXT), 0);
	for (size_t i = 0; i < ARRAY_SIZE(threadv); i++)
		assert_int_equal(
			pthread_create(&threadv[i], NULL, log_thread, NULL),
			0);
	for (size_t i = 0; i < ARRAY_SIZE(threadv); i++)
		pthread_join(threadv[i], NULL);
	log_close();
	for (const char *s = capture_end(); *s; s++)
		lines += *s == '\n';

	dropped = metrics_counter(M_LOG_DROPPED) - dropped;
	assert_int_equal(lines + dropped, 4 * 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_line),
		cmocka_unit_test(test_json_line_parses),
		cmocka_unit_test(test_cut_pairs_are_left_out),
		cmocka_unit_test(test_long_line_stays_json),
		cmocka_unit_test(test_every_line_is_written_or_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

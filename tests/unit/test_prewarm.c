/*
 * Texts that are spoken before anybody needs them.
 */
#include "fake_voice.h"

/* --------------------------------------------------------------- prewarm */

enum { PATH = FOLDER_MAX + 8 };

static void write_file(char path[PATH], const char *text, size_t n)
{
	char dir[FOLDER_MAX];
	FILE *file;

	folder_make(dir);
	(void)snprintf(path, PATH, "%s/texts", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, n, file), n);
	fclose(file);
}

static void test_prewarm(void **state)
{
	static const char text[] = "# greetings\r\n\nOne.\r\n  Two.  \nOne.\n"
				   "Three.\n \t\n#Four.\nFive.\nSix.\nSeven.";
	enum { TEXTS = 6 };
	struct fixture *f = *state;
	char path[PATH];
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
}

static void test_prewarm_meets_failures(void **state)
{
	static const char text[] = "1\n2\n3\n4\n5\n6\n7\n8\n";
	struct fixture *f = *state;
	char path[PATH];
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
		char path[PATH];
		char *lines = malloc(tests[i].n);

		assert_non_null(lines);
		memset(lines, '\n', tests[i].n);
		write_file(path, tests[i].text ? tests[i].text : lines,
			   tests[i].n);
		free(lines);
		assert_int_equal(prewarm_alloc(&p, f->voice, path, &line),
				 tests[i].err);
		assert_int_equal(line, tests[i].line);
	}
	assert_int_equal(prewarm_alloc(&p, f->voice, "/nonexistent", &line),
			 ENOENT);
}

/* --------------------------------------------------------------- memory */

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
	char path[PATH];

	(void)state;
	write_file(path, "one\n", 4);
	oom_loop(prewarm_body, path);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_prewarm),
		TEST(test_prewarm_meets_failures),
		TEST(test_prewarm_files_that_are_wrong),
		TEST(test_out_of_memory),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

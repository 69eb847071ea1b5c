/*
 * Language models that refuse, break off, fall silent or never end
 */
#include <convod/metrics.h>
#include "openai_fixture.h"

/* ---------------------------------------------------------------- faults */

static void test_tries_again_once(void **state)
{
	static const struct {
		struct step first;
		int requests, err;
	} tests[] = {
		{{503, NULL, "{\"error\":\"loading\"}", false}, 2, 0},
		{{529, NULL, "", false}, 2, 0},
		{{0, NULL, NULL, false}, 2, 0},
		{{429, "Retry-After: 1\r\n", "", false}, 2, 0},
		{{429, "Retry-After: 600\r\n", "", false}, 1, EREMOTEIO},
		{{429, NULL, "{\"error\":{\"code\":\"insufficient_quota\"}}",
		  false},
		 1,
		 EREMOTEIO},
		{{401, NULL, "{\"error\":{\"message\":\"key\"}}", false},
		 1,
		 EREMOTEIO},
		{{404, NULL, "<html>", false}, 1, EREMOTEIO},
		{{302, "Location: http://192.0.2.1/\r\n", "", false},
		 1,
		 EREMOTEIO},
	};

	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t retries = metrics_counter(M_DIALOG_AGAIN);

		world.requests = 0;
		world.stepv[0] = tests[i].first;
		world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE,
					       false};
		converse(f, "halló", tests[i].err);
		assert_string_equal(f->said, tests[i].err ? "" : "Yes.|");
		assert_int_equal(world.requests, tests[i].requests);
		assert_int_equal(metrics_counter(M_DIALOG_AGAIN) - retries,
				 tests[i].requests - 1);
	}

	/* not twice */
	world.requests = 0;
	world.stepv[0] = world.stepv[1] = (struct step){503, NULL, "", false};
	converse(f, "halló", EREMOTEIO);
	assert_int_equal(world.requests, 2);

	/* not after something of an answer */
	world.requests = 0;
	world.stepv[0] = (struct step){200, "Content-Length: 1000\r\n",
				       SAYS("One. "), false};
	converse(f, "halló", ECONNRESET);
	assert_string_equal(f->said, "One.|");
	assert_int_equal(world.requests, 1);
}

static void test_servers_without_tools(void **state)
{
	static const char no[] = "{\"error\":{\"message\":\"unknown field\"}}";
	struct fixture *f = *state;

	world.stepv[0] = (struct step){400, NULL, no, false};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	world.stepv[2] = (struct step){200, NULL, SAYS("No.") DONE, false};
	begin(f);
	converse(f, "halló", 0);
	assert_string_equal(f->said, "Yes.|");
	assert_non_null(member(0, "tools"));
	assert_null(member(1, "tools"));
	assert_null(strstr(world.bodyv[1], "hang_up"));

	/* and it is remembered */
	converse(f, "halló", 0);
	assert_int_equal(world.requests, 3);
	assert_null(member(2, "tools"));
	(void)member(-1, NULL);
}

/* A refusal that had another reason is no reason to forget the tools */
static void test_tools_are_kept_after_other_refusals(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = world.stepv[1] = (struct step){
		400, NULL, "{\"error\":\"no\"}", false};
	world.stepv[2] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	converse(f, "halló", EREMOTEIO);
	assert_int_equal(world.requests, 2);
	converse(f, "halló", 0);
	assert_non_null(member(2, "tools"));
	(void)member(-1, NULL);
}

static void test_too_long_a_history_is_halved(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	world.stepv[1] = (struct step){
		400, NULL,
		"{\"error\":{\"code\":\"context_length_exceeded\"}}", false};
	world.stepv[2] = (struct step){200, NULL, SAYS("No.") DONE, false};
	begin(f);
	converse(f, "a long story of many words", 0);
	converse(f, "end", 0);
	assert_string_equal(f->said, "No.|");
	assert_string_equal(messages(2), "s|u:end|");
}

static void test_silence_ends_the_turn(void **state)
{
	static const char *const bodyv[] = {"", ": ping\n\n"};
	struct fixture *f = *state;

	assert_int_equal(set_up(f, f->url, 300), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bodyv); i++) {
		world.stepv[i] = (struct step){200, NULL, bodyv[i], true};
		converse(f, "halló", ETIMEDOUT);
		await(f, &world.closed, (int)i + 1);
	}
}

/* All of it may take twice as long as nothing; but so long that the server is
 * heard at all, on any machine */
static void test_answer_that_stops_ends_the_turn(void **state)
{
	struct fixture *f = *state;
	uint32_t ms = 150;

	do {
		struct fixture g = {0};

		ms *= 2;
		world.requests = 0;
		world.stepv[0] = (struct step){200, NULL, SAYS("Yes. "), true};
		assert_int_equal(set_up(&g, f->url, ms), 0);
		converse(&g, "halló", ETIMEDOUT);
		str_copy(f->said, sizeof(f->said), g.said);
		tear_down(&g);
		fake_http_idle(&f->server);
	} while (!*f->said);
	assert_string_equal(f->said, "Yes.|");
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_up(f, "openai+http://127.0.0.1:1", TIMEOUT_MS),
			 0);
	converse(f, "halló", ECONNREFUSED);
}

/* A model that never stops is cut, and the call goes on */
static void test_endless_answer(void **state)
{
	static char body[400000];
	struct fixture *f = *state;
	size_t n = 0;

	while (n + 200 < sizeof(body))
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      SAYS("So it goes on and on. "));
	world.stepv[0] = (struct step){200, NULL, body, true};
	begin(f);
	converse(f, "halló", 0);
	assert_in_range(strlen(f->said), 3000, 5000);
	assert_in_range(f->acts, 5, 40);
	await(f, &world.closed, 1);
}

static void answer_with(struct fixture *f, const char *body, int err)
{
	world.stepv[world.requests] = (struct step){200, NULL, body, false};
	converse(f, "halló", err);
	fake_http_idle(&f->server); /* it may still be sending the body */
}

/* What is too much is not asked for twice */
static void test_hostile_sizes(void **state)
{
	enum { SIZE = 17 << 20, EVENT = 300000 };
	struct fixture *f = *state;
	char *body = malloc(SIZE + 1);

	assert_non_null(body);
	begin(f);
	memset(body, ' ', SIZE);
	body[SIZE] = '\0';
	answer_with(f, body, EOVERFLOW);

	/* one event, brackets inside of brackets */
	memset(body, '[', EVENT);
	memcpy(body, "data: ", 6);
	memcpy(body + EVENT / 3, "\n\n", 3);
	answer_with(f, body, EPROTO);
	memset(body + EVENT / 3, '[', 3);
	body[EVENT] = '\0';
	answer_with(f, body, EOVERFLOW);
	assert_int_equal(world.requests, 3);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_tries_again_once),
		TEST(test_servers_without_tools),
		TEST(test_tools_are_kept_after_other_refusals),
		TEST(test_too_long_a_history_is_halved),
		TEST(test_silence_ends_the_turn),
		TEST(test_answer_that_stops_ends_the_turn),
		TEST(test_nobody_there),
		TEST(test_endless_answer),
		TEST(test_hostile_sizes),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

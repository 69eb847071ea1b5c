/* Voiceflow's sessions over real sockets, with answers that come whole: what
 * is sent, when, and what comes of the answers and the failures */
#include "json_file.h"
#include "voiceflow_peer.h"

/* ------------------------------------------------------------- the turns */

static void test_a_call(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.body = TEXT("Welcome.")});
	will((struct answer){.body = TEXT("Noted.")});
	begin(f, (struct how_to){0});
	check_log(PATCH LAUNCH);
	check_notes(f, "[say Welcome.]");

	assert_int_equal(converse(f, DIALOG_SPEECH, "a \"table\", takk ö"), 0);
	check_log(SAID("a \\\"table\\\", takk ö"));
	check_notes(f, "[say Noted.]");
	assert_non_null(strstr(world.head, "\r\nAuthorization: " KEY "\r\n"));
	assert_null(strcasestr(world.head, "bearer"));
	assert_non_null(strstr(world.head, "\r\nversionID: production\r\n"));
	assert_non_null(
		strstr(world.head, "\r\nContent-Type: application/json\r\n"));
	assert_non_null(
		strstr(world.head, "\r\nAccept: application/json\r\n"));
	assert_int_equal(f->server.conns, 1);
}

static void test_kinds_of_turns(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct how_to){.opening = "launch"});
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_NOBODY, ""), 0);
	check_log(INTERACT("{\"type\":\"no-reply\"}"));
	/* what was not understood is no silence, and an empty text no text */
	assert_int_equal(converse(f, DIALOG_NOISE, ""), 0);
	assert_int_equal(converse(f, DIALOG_SPEECH, ""), 0);
	check_log("");
	assert_int_equal(converse(f, DIALOG_KEYS, "12#"), 0);
	assert_int_equal(converse(f, DIALOG_KEYS, "1"), 0);
	check_log(SAID("12#") SAID("1"));
	assert_int_equal(turn(f, DIALOG_SPEECH, "\xff"), EINVAL);
	check_notes(f, "");

	/* cancelled before it is done, and done no more */
	assert_int_equal(turn(f, DIALOG_NOISE, ""), 0);
	vf->cancel(f->session);
	vf->cancel(f->session);
	assert_int_equal(converse(f, DIALOG_NOISE, ""), 0);
}

static void test_keys_as_events(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct how_to){.query = "?dtmf=event"});
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_KEYS, "1"), 0);
	assert_int_equal(converse(f, DIALOG_KEYS, "12"), 0);
	assert_int_equal(converse(f, DIALOG_SPEECH, "1"), 0);
	check_log(INTERACT("{\"type\":\"DTMF 1\"}") SAID("12") SAID("1"));
}

static void test_keys_that_an_action_waits_for(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.body = "[{\"type\":\"DTMF\",\"paths\":["
				     "{\"event\":{\"type\":\"DTMF 1\"}}]}]"});
	begin(f, (struct how_to){.query = "?dtmf=text"});
	check_notes(f, "[collect ]");
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_KEYS, "2"), 0);
	assert_int_equal(converse(f, DIALOG_KEYS, "1"), 0);
	check_log(SAID("2") INTERACT("{\"type\":\"DTMF 1\"}"));
}

static void test_opens_with_a_text(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct how_to){.opening = "text:Hello"});
	check_log(PATCH SAID("Hello"));
}

/* Who speaks first hears the greeting, too; nothing is lost */
static void test_speech_before_the_opening(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.body = TEXT("Welcome.")});
	will((struct answer){.body = TEXT("Noted.")});
	start(f, (struct how_to){0});
	assert_int_equal(converse(f, DIALOG_SPEECH, "hello"), 0);
	check_log(PATCH LAUNCH SAID("hello"));
	check_notes(f, "[say Welcome.][say Noted.]");
}

static void test_opening_failed(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.status = 400, .body = "{}"});
	will((struct answer){.status = 400, .body = "{}"});
	start(f, (struct how_to){0});
	assert_int_equal(converse(f, DIALOG_OPENING, ""), EREMOTEIO);
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_SPEECH, "x"), EREMOTEIO);
	check_log(LAUNCH);
	/* silence is answered by what should have been said first */
	assert_int_equal(converse(f, DIALOG_NOBODY, ""), 0);
	check_log(LAUNCH);
	assert_int_equal(converse(f, DIALOG_SPEECH, "y"), 0);
	check_log(SAID("y"));
}

static void test_variables_are_not_worth_a_call(void **state)
{
	struct fixture *f = *state;

	world.variables_status = 404;
	will((struct answer){.body = TEXT("Welcome.")});
	begin(f, (struct how_to){0});
	check_log(PATCH LAUNCH);
	check_notes(f, "[say Welcome.]");
}

static void test_the_end(void **state)
{
	struct fixture *f = *state;

	/* a bot that ends at once is not asked any more */
	will((struct answer){.body = "[{\"type\":\"end\"}]"});
	start(f, (struct how_to){0});
	assert_int_equal(converse(f, DIALOG_SPEECH, "hello"), 0);
	check_log(PATCH LAUNCH);
	check_notes(f, "[hangup ]");
}

static void test_buttons_return_unchanged(void **state)
{
#define BOOKING                                            \
	INTERACT("{\"type\":\"path-9z8y7x\",\"payload\":{" \
		 "\"label\":\"Booking\"}}")
#define HOURS                                                         \
	INTERACT("{\"type\":\"intent\",\"payload\":{\"query\":"       \
		 "\"Opening hours\",\"intent\":{\"name\":\"hours\"}," \
		 "\"entities\":[]}}")
	struct fixture *f = *state;
	char *choice = fixture_text("traces-choice.json");

	for (int i = 0; i < 5; i++)
		will((struct answer){.body = choice});
	will((struct answer){.body = TEXT("No buttons now.")});
	begin(f, (struct how_to){0});
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_KEYS, "1"), 0);
	assert_int_equal(converse(f, DIALOG_SPEECH, "opening hours!"), 0);
	assert_int_equal(converse(f, DIALOG_KEYS, "2"), 0);
	check_log(BOOKING HOURS HOURS);
	assert_int_equal(converse(f, DIALOG_KEYS, "3"), 0);
	assert_int_equal(converse(f, DIALOG_SPEECH, "booking please"), 0);
	assert_int_equal(converse(f, DIALOG_KEYS, "1"), 0);
	check_log(SAID("3") SAID("booking please") SAID("1"));
}

/* The action that was sent last, and with what */
static json_t *sent_last(void)
{
	const char *body = "";
	json_t *j;

	for (const char *s = world.log; *s; s = strchr(s, '\n') + 1)
		body = strchr(s, '{');
	j = json_loads(body, 0, NULL);
	assert_non_null(j);

	return j;
}

/* An answer whose one button, "button", is this request */
static char *button_of(const json_t *request)
{
	json_t *j = json_pack("[{s:s, s:{s:[{s:s, s:O}]}}]", "type", "choice",
			      "payload", "buttons", "name", "button",
			      "request", request);
	char *s = json_dumps(j, 0);

	assert_non_null(s);
	json_decref(j);

	return s;
}

/* What we send is what their documentation says, button by button */
static void test_requests_of_the_fixtures(void **state)
{
	static const struct {
		const char *name;
		enum dialog_turn_kind kind;
		const char *text;
	} tests[] = {
		{"launch", DIALOG_OPENING, ""},
		{"text", DIALOG_SPEECH, "I would like to book a table"},
		{"legacy-request", DIALOG_SPEECH, "Hello"},
		{"no-reply", DIALOG_NOBODY, ""},
		{"dtmf", DIALOG_KEYS, "1"},
		{"intent", DIALOG_SPEECH, "button"},
	};
	struct fixture *f = *state;

	start(f, (struct how_to){.query = "?dtmf=event"});
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		json_t *want, *sent, *action;
		char path[512], *choice;

		(void)snprintf(path, sizeof(path),
			       DIR "voiceflow-interact-%s.json",
			       tests[i].name);
		want = json_file(path);
		action = json_object_get(want, "action");
		/* "request" is its older name */
		if (!action)
			action = json_object_get(want, "request");
		json_object_set(want, "action", action);
		json_object_del(want, "request");
		choice = button_of(action);
		if (!strcmp(tests[i].text, "button")) {
			will((struct answer){.body = choice});
			assert_int_equal(converse(f, DIALOG_SPEECH, "x"), 0);
		}
		assert_int_equal(converse(f, tests[i].kind, tests[i].text), 0);
		sent = sent_last();
		json_check_has(sent, want);
		assert_null(json_object_get(sent, "request"));
		json_decref(sent);
		json_decref(want);
		mem_raw_free(choice);
	}
}

/* ---------------------------------------------------------------- errors */

static void test_errors(void **state)
{
	static char deep[100001];
	const struct {
		struct answer answer;
		int err, asked;
	} tests[] = {
		{{WHOLE, 400, fixture_text("error-400.json"), NULL},
		 EREMOTEIO,
		 1},
		{{WHOLE, 401, "{\"data\":\"" KEY "\"}", NULL}, EREMOTEIO, 1},
		{{WHOLE, 404, "{}", NULL}, EREMOTEIO, 1},
		{{WHOLE, 302, "", "Location: http://127.0.0.1:1/\r\n"},
		 EREMOTEIO,
		 1},
		/* the turn may go on behind the gateway */
		{{WHOLE, 408, "response timeout", NULL}, EREMOTEIO, 1},
		{{WHOLE, 504, "", NULL}, EREMOTEIO, 1},
		{{WHOLE, 500, "<html>", NULL}, 0, 2},
		{{WHOLE, 502, "", NULL}, 0, 2},
		{{WHOLE, 503, "", "Retry-After: 1\r\n"}, 0, 2},
		{{WHOLE, 429, "{}", "Retry-After: 3600\r\n"}, EREMOTEIO, 1},
		{{WHOLE, 200, "<html>a page</html>", NULL}, EPROTO, 1},
		{{WHOLE, 200, "{\"code\":401,\"data\":\"x\"}", NULL},
		 EPROTO,
		 1},
		{{WHOLE, 200, "", NULL}, EPROTO, 1},
		{{WHOLE, 200, deep, NULL}, EPROTO, 1},
		{{BIG, 0, NULL, NULL}, EOVERFLOW, 1},
		{{DROP, 0, NULL, NULL}, 0, 2},
		{{CUT, 0, "[", NULL}, ECONNRESET, 1},
		{{WHOLE, 0, TEXT("The call goes on."), NULL}, 0, 1},
	};
	struct fixture *f = *state;

	memset(deep, '[', sizeof(deep) - 1);
	begin(f, (struct how_to){0});
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t again = metrics_counter(M_DIALOG_AGAIN);
		int err;

		world.interacts = 0;
		world.answerc = world.next = 0;
		will(tests[i].answer);
		err = converse(f, DIALOG_SPEECH, "x");
		if (err != tests[i].err || world.interacts != tests[i].asked)
			fail_msg("%zu: %d, asked %d times", i, err,
				 world.interacts);
		assert_int_equal(metrics_counter(M_DIALOG_AGAIN) - again,
				 tests[i].asked - 1);
	}
	check_notes(f, "[say The call goes on.]");
}

/* Once, not more often; what does no harm twice also after a time-out */
static void test_once_more(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.status = 408, .body = ""});
	begin(f, (struct how_to){0});
	check_log(PATCH LAUNCH LAUNCH);

	will((struct answer){.status = 500, .body = ""});
	will((struct answer){.status = 500, .body = ""});
	assert_int_equal(converse(f, DIALOG_SPEECH, "x"), EREMOTEIO);
	check_log(SAID("x") SAID("x"));

	/* given up before the second time comes: it never does */
	will((struct answer){.status = 429, .body = ""});
	assert_int_equal(turn(f, DIALOG_SPEECH, "y"), 0);
	run_until_asked(f, 5);
	while (metrics_counter(M_DIALOG_AGAIN) < 1)
		loop_turn(f->net.loop, true);
	for (int i = 0; i < 100; i++)
		loop_turn(f->net.loop, false);
	vf->cancel(f->session);
	assert_int_equal(converse(f, DIALOG_SPEECH, "z"), 0);
	check_log(SAID("y") SAID("z"));
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;
	const struct dialog_param prm = {.url = "voiceflow+http://127.0.0.1:1",
					 .key = KEY};

	assert_int_equal(set_up_net(f, &(struct how_to){0}), 0);
	mem_deref(f->dialog);
	assert_int_equal(dialog_alloc(&f->dialog, &prm, &f->net), 0);
	assert_int_equal(open_session(f), 0);
	assert_int_equal(converse(f, DIALOG_OPENING, ""), ECONNREFUSED);
	assert_int_equal(f->opened, 1);
}

/* ---------------------------------------------- never two at once, a call */

static void test_cancelled_turn_is_waited_for(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct how_to){0});
	check_log(PATCH LAUNCH);
	will((struct answer){
		.how = HANG,
		.body = "[{\"type\":\"text\",\"payload\":{\"message\":\"no\"}}"
			","
			"{\"type\":\"choice\",\"payload\":{\"buttons\":["
			"{\"name\":\"b\",\"request\":{\"type\":\"B\"}}]}},"
			"{\"type\":\"end\"}]"});
	will((struct answer){.body = TEXT("Two.")});
	assert_int_equal(turn(f, DIALOG_SPEECH, "one"), 0);
	run_until_asked(f, 2);
	vf->cancel(f->session);
	assert_int_equal(turn(f, DIALOG_SPEECH, "two"), 0);
	for (int i = 0; i < 100; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(world.interacts, 2);
	go();
	run_until(f, &f->done, 2);
	assert_int_equal(f->done_err, 0);
	check_log(SAID("one") SAID("two"));
	check_notes(f, "[say Two.]");
}

static void test_cancelled_while_opening(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.how = HANG, .body = TEXT("Welcome.")});
	start(f, (struct how_to){0});
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until_asked(f, 1);
	vf->cancel(f->session);
	go();
	assert_int_equal(converse(f, DIALOG_SPEECH, "two"), 0);
	/* it was launched, though nobody heard it */
	check_log(PATCH LAUNCH SAID("two"));
	check_notes(f, "");
}

static void test_late_turn_is_waited_for(void **state)
{
	struct fixture *f = *state;

	begin(f, (struct how_to){.timeout_ms = SHORT_MS});
	will((struct answer){.how = HANG, .body = TEXT("Too late.")});
	will((struct answer){.body = TEXT("Two.")});
	check_log(PATCH LAUNCH);
	assert_int_equal(converse(f, DIALOG_SPEECH, "one"), ETIMEDOUT);
	/* the wait counts to the next one's time */
	assert_int_equal(converse(f, DIALOG_SPEECH, "lost"), ETIMEDOUT);
	assert_int_equal(turn(f, DIALOG_SPEECH, "two"), 0);
	for (int i = 0; i < 100; i++) {
		loop_turn(f->net.loop, false);
		usleep(1000);
	}
	assert_int_equal(world.interacts, 2);
	go();
	run_until(f, &f->done, 4);
	assert_int_equal(f->done_err, 0);
	check_log(SAID("one") SAID("two"));
	check_notes(f, "[say Two.]");
}

/* ----------------------------------------------------- inside of handlers */

static void test_dropped_from_inside(void **state)
{
	static const char two[] =
		"[{\"type\":\"text\",\"payload\":{\"message\":\"1\"}},"
		"{\"type\":\"text\",\"payload\":{\"message\":\"2\"}},"
		"{\"type\":\"end\"}]";
	struct fixture *f = *state;

	for (int i = 0; i < 4; i++)
		will((struct answer){.body = two});
	start(f, (struct how_to){0});
	f->drop_in_act = true;
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until(f, &f->acts, 1);
	loop_turn(f->net.loop, false);
	assert_null(f->session);
	assert_int_equal(f->done, 0);
	check_notes(f, "[say 1]");

	f->drop_in_act = false;
	f->drop_in_done = true;
	assert_int_equal(open_session(f), 0);
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until(f, &f->done, 1);
	assert_null(f->session);
	check_notes(f, "[say 1][say 2][hangup ]");

	f->drop_in_done = false;
	f->cancel_in_act = true;
	assert_int_equal(open_session(f), 0);
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until(f, &f->acts, 5);
	loop_turn(f->net.loop, false);
	check_notes(f, "[say 1]");

	f->cancel_in_act = false;
	f->say_in_act = "again";
	assert_int_equal(turn(f, DIALOG_SPEECH, "x"), 0);
	run_until(f, &f->done, 2);
	check_notes(f, "[say 1]");
	assert_non_null(strstr(world.log, SAID("x") SAID("again")));
	assert_int_equal(world.overlaps, 0);
}

static void test_dropped_at_any_time(void **state)
{
	struct fixture *f = *state;

	start(f, (struct how_to){0});
	f->session = mem_deref(f->session); /* variables on their way */
	assert_int_equal(open_session(f), 0);
	f->session = mem_deref(f->session); /* before openh */
	loop_turn(f->net.loop, false);
	assert_int_equal(f->opened, 1);
	will((struct answer){.how = HANG, .body = "[]"});
	assert_int_equal(open_session(f), 0);
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until_asked(f, 1);
	f->session = mem_deref(f->session);
	go();
	loop_turn(f->net.loop, false);
	assert_int_equal(f->done, 0);
}

/* ----------------------------------------------------------------- set-up */

static void test_settings(void **state)
{
	static const struct {
		const char *url, *key, *version, *opening;
		int err;
	} tests[] = {
		{"voiceflow+http://h:8080/", "k", NULL, NULL, 0},
		{"VOICEFLOW+HTTPS://h/x", "k", "", "", 0},
		{"voiceflow+https://h?stream=a-B_9", "k", "development",
		 "launch", 0},
		{"voiceflow+https://h/?stream=P&audio=true&dtmf=event", "k",
		 "x", "text:Hello", 0},
		{"voiceflow+https://h?audio=false&dtmf=text", "k", "", "", 0},
		{"voiceflow+https://h?", "k", "", "", 0},
		{"voiceflow+ftp://h", "k", "", "", ENOTSUP},
		{"voiceflow+https://", "k", "", "", EINVAL},
		{"voiceflow+https://h#x", "k", "", "", EINVAL},
		{"voiceflow+https://h?audio=true", "k", "", "", EINVAL},
		{"voiceflow+https://h?audio=1", "k", "", "", EINVAL},
		{"voiceflow+https://h?dtmf=tone", "k", "", "", EINVAL},
		{"voiceflow+https://h?stream=", "k", "", "", EINVAL},
		{"voiceflow+https://h?stream=a/b", "k", "", "", EINVAL},
		{"voiceflow+https://h?stream=a&stream=b", "k", "", "", EINVAL},
		{"voiceflow+https://h?x", "k", "", "", EINVAL},
		{"voiceflow+https://h", NULL, "", "", EINVAL},
		{"voiceflow+https://h", "", "", "", EINVAL},
		{"voiceflow+https://h", "k\r\nX: y", "", "", EINVAL},
		{"voiceflow+https://h", "k", "a b", "", EINVAL},
		{"voiceflow+https://h", "k", "", "hello", EINVAL},
		{"voiceflow+https://h", "k", "", "text:", EINVAL},
	};
	struct net net = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct dialog_param prm = {.url = tests[i].url,
						 .key = tests[i].key,
						 .version = tests[i].version,
						 .opening = tests[i].opening};
		struct dialog *d = NULL;
		int err = dialog_alloc(&d, &prm, &net);

		if (err != tests[i].err)
			fail_msg("%zu: %d", i, err);
		mem_deref(d);
	}
	assert_non_null(strstr(dialog_schemes(), "voiceflow+https"));
}

static void test_out_of_memory(void **state)
{
	oom_loop(memory_body, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_call),
		TEST(test_kinds_of_turns),
		TEST(test_keys_as_events),
		TEST(test_keys_that_an_action_waits_for),
		TEST(test_opens_with_a_text),
		TEST(test_speech_before_the_opening),
		TEST(test_opening_failed),
		TEST(test_variables_are_not_worth_a_call),
		TEST(test_the_end),
		TEST(test_requests_of_the_fixtures),
		TEST(test_buttons_return_unchanged),
		TEST(test_errors),
		TEST(test_once_more),
		TEST(test_nobody_there),
		TEST(test_cancelled_turn_is_waited_for),
		TEST(test_cancelled_while_opening),
		TEST(test_late_turn_is_waited_for),
		TEST(test_dropped_from_inside),
		TEST(test_dropped_at_any_time),
		TEST(test_settings),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

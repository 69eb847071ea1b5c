/*
 * Turns with a language model, and what becomes of interrupted ones
 */
#include "openai_fixture.h"

/* ------------------------------------------------------------- a turn */

static void test_a_turn(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200,
				       "Content-Type: text/event-stream\r\n",
				       load("openai-chat-stream.txt"), false};
	begin(f);
	converse(f, "hvenær er opið", 0);
	assert_string_equal(f->said,
			    "Góðan dag.|Við opnum kl 6:30 og verðið er 1.250 "
			    "kr.|Er eitthvað fleira?|");
	assert_true(str_starts(world.headv[0],
			       "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_non_null(strstr(world.headv[0],
			       "\r\nAuthorization: Bearer sk-test\r\n"));
	assert_non_null(strstr(world.headv[0],
			       "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(messages(0), "s|u:hvenær er opið|");
	assert_string_equal(json_string_value(member(0, "model")), "m1");
	assert_true(json_is_true(member(0, "stream")));
	assert_int_equal(json_array_size(member(0, "tools")), 2);
	assert_non_null(strstr(world.bodyv[0], "is-IS"));
	(void)member(-1, NULL);

	/* the second one has the first with it */
	world.stepv[1] = (struct step){200, NULL, SAYS("Já.") DONE, false};
	converse(f, "takk", 0);
	assert_string_equal(f->said, "Já.|");
	assert_string_equal(
		messages(1),
		"s|u:hvenær er opið|a:Góðan dag. Við opnum kl 6:30 og verðið "
		"er 1.250 kr. Er eitthvað fleira?|u:takk|");
}

static const struct {
	const char *name; /* file, or the stream itself */
	int err;
	const char *said;
} streams[] = {
	{"openai-chat-stream-odd.txt", 0, "Já takk.|"},
	{"openai-chat-stream-error.txt", EREMOTEIO, ""},
	{"openai-chat-stream-tool.txt", 0,
	 "Ég gef þér samband.|transfer +15550100123|"},
	{SAYS("No end mark"), 0, "No end mark|"},
	{SAYS("<think>a. b. ") SAYS("</thi") SAYS("nk>Yes."), 0, "Yes.|"},
	{DONE, EPROTO, ""},
	{": ping\n\n", EPROTO, ""},
	{SAYS("...") DONE, EPROTO, ""},
	{"", EPROTO, ""},
	{"<html>\n<p>Login</p>\n", EPROTO, ""},
	{"data: {\"choices\n\n", EPROTO, ""},
	{SAYS("Cut. ") "data: {\"choices\":[{\"ind", EPROTO, "Cut.|"},
	{SAYS("Cut. ") "data: {\"choices\":[{\"delta\":{\"content\":\"\xc3",
	 EPROTO, "Cut.|"},
	{"\n {\"choices\":[{\"message\":{\"content\":\"Whole. Yes.\"}}]} ", 0,
	 "Whole.|Yes.|"},
	{"{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{"
	 "\"function\":{\"name\":\"hang_up\",\"arguments\":{}}}]}}]}",
	 0, "hangup|"},
	{"{\"error\":{\"message\":\"no\"}}", EREMOTEIO, ""},
	{"{\"choices\":[", EPROTO, ""},
	{"{}", EPROTO, ""},
	{"event: error\ndata: {\"error\":\"no\"}\n\n", EREMOTEIO, ""},
	{SAYS("Done.") DONE SAYS("Not this.") "data: x\n\n", 0, "Done.|"},
	{"data: {\"choices\":[{\"delta\":{\"content\":\"Bye.\",\"tool_calls\":"
	 "[{\"index\":0,\"function\":{\"name\":\"order\"}},{\"index\":1,"
	 "\"function\":{\"name\":\"hang_up\"}}]}}]}\r\n\r\n",
	 0, "Bye.|hangup|"},
};

static void test_streams(void **state)
{
	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		const char *s = streams[i].name;

		world.requests = 0;
		fake_http_idle(&f->server);
		world.stepv[0] = (struct step){
			200, NULL, str_starts(s, "openai-chat") ? load(s) : s,
			false};
		f->said[0] = '\0';
		assert_int_equal(say(f, "halló"), 0);
		run_until(f, &f->done, (int)i + 1);
		if (f->done_err != streams[i].err ||
		    strcmp(f->said, streams[i].said) != 0)
			fail_msg("%s: %d %s", s, f->done_err, f->said);
		assert_int_equal(world.requests, 1);
	}
}

/* The rest of the stream may wait: the first sentence does not */
static void test_speaks_while_the_rest_is_written(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL,
				       SAYS("First. ") SAYS("Second."), true};
	begin(f);
	assert_int_equal(say(f, "halló"), 0);
	run_until(f, &f->acts, 2); /* the second by the pause after it */
	assert_string_equal(f->said, "First.|Second.|");
	assert_int_equal(f->done, 0);
}

/* [DONE] is the end, even if the connection stays */
static void test_end_is_not_the_connections_end(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Yes.") DONE, true};
	begin(f);
	converse(f, "halló", 0);
	assert_string_equal(f->said, "Yes.|");
	await(f, &world.closed, 1);
}

static void test_kinds_of_turns(void **state)
{
	static const struct {
		enum dialog_turn_kind kind;
		const char *text, *asked, *answer;
		int err;
	} tests[] = {
		{DIALOG_OPENING, "", "Greet", SAYS("Hi."), 0},
		{DIALOG_KEYS, "12#", "pressed 1 2 # on", SAYS("Hi."), 0},
		{DIALOG_NOISE, "", "not be understood", DONE, 0},
		{DIALOG_NOBODY, "", "nothing for a while", DONE, 0},
		{DIALOG_SPEECH, "hi", "\nhi|", DONE, EPROTO},
	};

	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		world.stepv[i] = (struct step){200, NULL, tests[i].answer,
					       false};
		assert_int_equal(turn_of(f, tests[i].kind, tests[i].text), 0);
		finish_turn(f, tests[i].err);
		if (!strstr(messages((int)i), tests[i].asked))
			fail_msg("%s", messages((int)i));
	}
}

/* --------------------------------------------------------- interruptions */

static void test_history_has_what_was_heard(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){
		200, NULL, SAYS("We open at nine. And close at six. ") DONE,
		false};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	converse(f, "when", 0);
	assert_int_equal(f->dialog->be->turn(f->session,
					     &(struct dialog_turn){
						     .kind = DIALOG_SPEECH,
						     .text = "thanks",
						     .interrupted = true,
						     .heard_ms = 900,
						     .heard = "We open at",
					     }),
			 0);
	finish_turn(f, 0);
	assert_string_equal(messages(1),
			    "s|u:when|a:We open at|u:[The caller interrupted "
			    "you here and heard no more]\nthanks|");
}

static void test_cancel_closes_the_connection(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Hm. Well"), true};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	assert_int_equal(say(f, "when do you"), 0);
	run_until(f, &f->acts, 1);
	dialog_openai.cancel(f->session);
	await(f, &world.closed, 1);
	assert_int_equal(f->done, 0);

	/* nothing of it was heard: it is asked anew, with more */
	converse(f, "when do you open", 0);
	assert_string_equal(f->said, "Yes.|");
	assert_string_equal(messages(1), "s|u:when do you open|");
	assert_int_equal(f->done, 1);
	dialog_openai.cancel(f->session); /* no turn: nothing happens */

	/* or the caller says something else: both are asked */
	world.stepv[2] = (struct step){200, NULL, ": wait\n\n", true};
	world.stepv[3] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	assert_int_equal(say(f, "and today"), 0);
	await(f, &world.requests, 3);
	dialog_openai.cancel(f->session);
	converse(f, "no, tomorrow", 0);
	assert_string_equal(
		messages(3),
		"s|u:when do you open|a:Yes.|u:and today\nno, tomorrow|");
}

static void test_mischief_in_the_handler(void **state)
{
	static const struct {
		int mischief, acts, done, requests;
	} tests[] = {
		{DROPS, 1, 0, 1}, {CANCELS, 1, 0, 1}, {RESTARTS, 2, 1, 2}};

	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		world.requests = 0;
		world.stepv[0] = (struct step){
			200, NULL, SAYS("One. ") SAYS("Two. ") DONE, false};
		world.stepv[1] = (struct step){200, NULL, SAYS("New.") DONE,
					       false};
		f->acts = f->done = f->opened = 0;
		begin(f);
		f->mischief = tests[i].mischief;
		assert_int_equal(say(f, "halló"), 0);
		run_until(f, &f->acts, tests[i].acts);
		run_until(f, &f->done, tests[i].done);
		for (int k = 0; k < 5; k++)
			loop_turn(f->net.loop, false);
		assert_int_equal(f->acts, tests[i].acts);
		assert_int_equal(f->done, tests[i].done);
		assert_int_equal(world.requests, tests[i].requests);
		tear_down(f);
	}
}

/* --------------------------------------------------------------- memory */

/* A lack of memory inside libcurl ends by the time limit, see test_http.c */
static int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	int err;

	world.requests = 0;
	err = set_up(&f, fx->url, 200);
	if (!err)
		err = say(&f, "já");
	if (!err) {
		run_until(&f, &f.done, 1);
		err = f.done_err;
	}
	if (!err)
		assert_string_equal(f.said, "Yes.|hangup|");
	tear_down(&f);

	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	for (int i = 0; i < REQUESTS_MAX; i++)
		world.stepv[i] = (struct step){
			200, NULL,
			SAYS("Yes.") "data: {\"choices\":[{\"delta\":{"
				     "\"tool_calls\":[{\"index\":0,"
				     "\"function\":{\"name\":\"hang_up\"}}]}}"
				     "]}\n\n" DONE,
			false};
	oom_loop(memory_body, *state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_turn),
		TEST(test_streams),
		TEST(test_speaks_while_the_rest_is_written),
		TEST(test_end_is_not_the_connections_end),
		TEST(test_kinds_of_turns),
		TEST(test_history_has_what_was_heard),
		TEST(test_cancel_closes_the_connection),
		TEST(test_mischief_in_the_handler),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

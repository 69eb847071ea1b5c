/*
 * Where a language model is asked, with what, and what it knows of a call
 */
#include "openai_fixture.h"

/* ------------------------------------------------------------- settings */

static void test_urls(void **state)
{
	static const struct {
		const char *suffix;
		int err;
		const char *path, *body;
	} tests[] = {
		{"", 0, "/v1/chat/completions ", "\"stream\":true"},
		{"/", 0, "/v1/chat/completions ", "\"tools\""},
		{"/api/v1", 0, "/api/v1/chat/completions ", ""},
		{"/api/v1/", 0, "/api/v1/chat/completions ", ""},
		{"/x/chat/completions", 0, "/x/chat/completions ", ""},
		{"?max_tokens=80&temperature=0.5", 0, "/v1/chat/completions ",
		 "\"max_tokens\":80,\"temperature\":0.5"},
		{"/v1?seed=-1", 0, "/v1/chat/completions ", "\"seed\":-1"},
		{"?tools=0", 0, "/v1/chat/completions ", "\"stream\":true}"},
		{"?tools=1&reasoning_effort=low&verbosity=low", 0, "",
		 "\"reasoning_effort\":\"low\",\"verbosity\":\"low\""},
		{"?thinking=0", 0, "",
		 "\"chat_template_kwargs\":{\"enable_thinking\":false}"},
		{"?service_tier=priority", 0, "",
		 "\"service_tier\":\"priority\""},
		{"?thinking=no", EINVAL, NULL, NULL},
		{"?tools=2", EINVAL, NULL, NULL},
		{"?reasoning_effort=1", EINVAL, NULL, NULL},
		{"?verbosity=a%20b", EINVAL, NULL, NULL},
		{"?max_tokens=many", EINVAL, NULL, NULL},
		{"?max_tokens", EINVAL, NULL, NULL},
		{"?max_tokens=", EINVAL, NULL, NULL},
		{"?temperature=nan", EINVAL, NULL, NULL},
		{"?seed=1e300", EINVAL, NULL, NULL},
		{"?foo=1", EINVAL, NULL, NULL},
		{"/#x", EINVAL, NULL, NULL},
	};

	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fixture g = {0};
		char url[256];
		int err;

		(void)snprintf(url, sizeof(url), "%s%s", f->url,
			       tests[i].suffix);
		world.requests = 0;
		world.stepv[0] = (struct step){200, NULL, SAYS("Yes.") DONE,
					       false};
		err = set_up(&g, url, TIMEOUT_MS);
		if (err != tests[i].err)
			fail_msg("%s: %d", url, err);
		if (!err) {
			converse(&g, "halló", 0);
			assert_non_null(strstr(world.headv[0], tests[i].path));
			assert_non_null(strstr(world.bodyv[0], tests[i].body));
		}
		tear_down(&g);
	}
}

static void test_settings(void **state)
{
	struct fixture *f = *state;
	struct dialog_param prm = {.url = f->url,
				   .prompt = "You are a pirate.",
				   .opening = "ahoy"};

	assert_int_equal(net_open(&f->net, &f->watchdog), 0);
	prm.key = "a\r\nb";
	assert_int_equal(dialog_alloc(&f->dialog, &prm, &f->net), EINVAL);
	prm.key = "";
	prm.url = "openai+http://";
	assert_int_equal(dialog_alloc(&f->dialog, &prm, &f->net), EINVAL);
	prm.url = f->url;
	assert_int_equal(dialog_alloc(&f->dialog, &prm, &f->net), 0);
	assert_int_equal(
		dialog_openai.open(&f->session, f->dialog,
				   &(struct dialog_call){.call_id = "CA1"},
				   &handlers, f),
		0);
	world.stepv[0] = (struct step){200, NULL, SAYS("Arr.") DONE, false};
	assert_int_equal(turn_of(f, DIALOG_OPENING, ""), 0);
	finish_turn(f, 0);
	assert_string_equal(messages(0), "s|u:ahoy|");
	assert_non_null(strstr(world.bodyv[0], "You are a pirate."));
	assert_null(member(0, "model"));
	(void)member(-1, NULL);
	assert_null(strstr(world.headv[0], "Authorization"));
}

static void test_prompts(void **state)
{
	/* a Saturday; tests run in any time zone */
	enum { NOW = 1763733600 };
	static const struct {
		const char *prompt, *text;
	} tests[] = {
		{"You are {{name}}.", "You are Vigdís."},
		{"{{ caller }} calls {{called}}", "+354555 calls "},
		{"{{call_id}}{{language}}", "CA1is-IS"},
		{"{{unknown}}{{}}{{number}}.", "."},
		{"{{{name}}}", "}"}, /* its name is "{name" */
		{"{\"a\":{\"b\":1}} {{", "{\"a\":{\"b\":1}} {{"},
		{"}} {{name", "}} {{name"},
		{"{{a name that is longer than any that could be meant by "
		 "somebody}}.",
		 "."},
	};
	struct openai o = {.language = (char *)(uintptr_t) "is-IS"};
	json_t *params = json_pack("{s:s, s:i}", "name", "Vigdís", "number",
				   7);
	const struct dialog_call call = {
		.call_id = "CA1", .caller = "+354555", .params = params};
	char *text;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		o.prompt = (char *)(uintptr_t)tests[i].prompt;
		assert_int_equal(openai_prompt_print(&text, &o, &call, NOW),
				 0);
		assert_string_equal(text, tests[i].text);
		mem_deref(text);
	}

	/* the built-in one */
	o.prompt = NULL;
	assert_int_equal(openai_prompt_print(&text, &o, &call, NOW), 0);
	assert_non_null(strstr(text, "the tag is-IS."));
	assert_non_null(strstr(text, "day 2025-11-2"));
	assert_null(strstr(text, "{{"));
	mem_deref(text);
	json_decref(params);
}

/* While others greet, the connection is made that the question goes to */
static void test_connects_before_the_question(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Já.") DONE, false};
	begin(f);
	await(f, &world.warm, 1);
	for (int i = 0; i < 10; i++)
		loop_turn(f->net.loop,
			  false); /* its answer is there to be read */
	converse(f, "halló", 0);
	assert_int_equal(f->server.conns, 1);
	assert_int_equal(world.requests, 1);

	/* not when there is something to ask at once */
	tear_down(f);
	world.requests = world.warm = 0;
	assert_int_equal(set_up(f, f->url, TIMEOUT_MS), 0);
	converse(f, "halló", 0);
	assert_int_equal(world.warm, 0);

	/* dropped meanwhile */
	tear_down(f);
	f->opened = 0;
	begin(f);
}

/* What convod greets with is no news to the model */
static void test_greeting_is_known(void **state)
{
	struct fixture *f = *state;

	begin(f);
	mem_deref(f->session);
	assert_int_equal(dialog_openai.open(&f->session, f->dialog,
					    &(struct dialog_call){
						    .call_id = "CA1",
						    .greeting = "Góðan dag.",
					    },
					    &handlers, f),
			 0);
	world.stepv[0] = (struct step){200, NULL, SAYS("Já.") DONE, false};
	converse(f, "halló", 0);
	assert_string_equal(messages(0),
			    "s|u:[The caller has been greeted: \"Góðan dag.\""
			    "]\nhalló|");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_urls),
		TEST(test_settings),
		TEST(test_prompts),
		TEST(test_connects_before_the_question),
		TEST(test_greeting_is_known),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include <convod/str.h>
#include "../../src/dialog/rasa.h"
#include "json_file.h"
#include "post_fixture.h"

#define DIR DATA_DIR "/rasa/"

static const struct {
	const char *name; /* file, or the answer itself */
	int err;
	const char *acts;
} answers[] = {
	{"rasa-reply-two-texts.json", 0,
	 "say Það er opið til klukkan átta.|say Eitthvað fleira?|"},
	{"rasa-reply-empty.json", 0, ""},
	{"rasa-reply-buttons.json", 0, "say Viltu halda áfram?|"},
	{"rasa-reply-custom.json", 0,
	 "say Ég gef þér samband.|transfer +15550100123|hangup|"},
	{"rasa-reply-image-attachment.json", 0, "say Myndin sýnir leiðina.|"},
	{"rasa-stream.jsonl", 0, "say Fyrsta setning.|say Önnur setning.|"},
	{"rasa-error-409.json", 0, ""}, /* with status 200: no message */
	{"rasa-error-401.json", 0, ""},
	{"[{\"custom\":\"{\\\"action\\\":\\\"hangup\\\"}\"}]", 0, "hangup|"},
	{"[{\"attachment\":{\"type\":\"audio\",\"payload\":{\"src\":\"a.mp3\"}"
	 "}}]",
	 0, "play BASE/pre/a.mp3|"},
	{"[7,null,\"x\",{\"text\":\"Gilt.\"}]", 0, "say Gilt.|"},
	{"<html>", EPROTO, ""},
	{"[{\"text\":\"cut", EPROTO, ""},
};

static void test_answers(void **state)
{
	struct fixture *f = *state;

	begin(f, &dialog_rasa, "/pre", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		const char *s = answers[i].name;

		fake_http_idle(&f->server);
		world.requests = 0;
		world.body = str_starts(s, "rasa-") ? load(DIR, s) : s;
		converse(f, DIALOG_SPEECH, "halló", answers[i].err);
		if (strcmp(f->acts, answers[i].acts) != 0)
			fail_msg("%s: %s", s, f->acts);
		assert_int_equal(world.requests, 1);
	}
}

static void test_requests(void **state)
{
	struct fixture *f = *state;

	begin(f, &dialog_rasa, "?token=t0p", "key");
	world.body = "[]";
	converse(f, DIALOG_OPENING, "", 0);
	assert_true(str_starts(world.head,
			       "POST /webhooks/rest/webhook?token=t0p HTTP"));
	assert_non_null(strstr(world.head, "\r\nAuthorization: Bearer key\r"));
	assert_string_equal(world.seen,
			    "{\"sender\":\"CA1\",\"message\":\"/session_start"
			    "\",\"metadata\":{\"caller\":\"+354555\",\"params"
			    "\":{\"a\":\"b\"},\"language\":\"is-IS\",\"asr_"
			    "generated\":false}}");

	/* what was said is no command */
	converse(f, DIALOG_SPEECH, "/hvenær er opið", 0);
	assert_non_null(strstr(world.seen, "\"message\":\"hvenær er opið\""));
	assert_non_null(strstr(world.seen, "\"asr_generated\":true"));
	assert_null(strstr(world.seen, "heard"));
	f->turn = (struct dialog_turn){
		.interrupted = true, .heard_ms = 700, .heard = "Það er"};
	converse(f, DIALOG_KEYS, "12", 0);
	assert_non_null(strstr(world.seen, "\"message\":\"12\""));
	assert_non_null(strstr(world.seen,
			       "\"asr_generated\":false,\"interrupted\":true,"
			       "\"heard_ms\":700,\"heard\":\"Það er\""));

	/* Rasa knows no such turns */
	world.requests = 0;
	f->turn = (struct dialog_turn){.kind = DIALOG_NOISE};
	converse(f, DIALOG_NOISE, "", 0);
	converse(f, DIALOG_NOBODY, "", 0);
	converse(f, DIALOG_SPEECH, " / ", 0);
	assert_int_equal(world.requests, 0);
}

/* As Rasa's own document prints it */
static void test_whole_address(void **state)
{
	struct fixture *f = *state;

	begin(f, &dialog_rasa, "/pre/webhooks/rest/webhook/?stream=true",
	      NULL);
	world.body = "[]";
	converse(f, DIALOG_SPEECH, "a", 0);
	assert_true(str_starts(world.head,
			       "POST /pre/webhooks/rest/webhook?stream=true "
			       "HTTP"));
}

/* The same members as Rasa's own clients send */
static void test_request_of_the_fixture(void **state)
{
	json_t *want = json_file(DIR "rasa-request.json");
	struct fixture *f = *state;
	json_t *sent;

	begin(f, &dialog_rasa, "", NULL);
	world.body = "[]";
	converse(f, DIALOG_SPEECH,
		 json_string_value(json_object_get(want, "message")), 0);
	sent = json_loads(world.seen, 0, NULL);
	json_object_set_new(want, "sender", json_string("CA1"));
	json_check_has(sent, want);
	json_decref(sent);
	json_decref(want);
}

static void test_buttons(void **state)
{
	static const struct {
		enum dialog_turn_kind kind;
		const char *text, *message;
	} tests[] = {
		{DIALOG_SPEECH, "JÁ!", "\"/affirm\""},
		{DIALOG_SPEECH, "nei", "\"/deny{\\\"why\\\":\\\"x\\\"}\""},
		{DIALOG_KEYS, "2", "\"/deny{\\\"why\\\":\\\"x\\\"}\""},
		{DIALOG_SPEECH, "kannski", "\"kannski\""},
		{DIALOG_KEYS, "3", "\"3\""},
	};

	struct fixture *f = *state;

	begin(f, &dialog_rasa, "", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		fake_http_idle(&f->server);
		world.body = load(DIR, "rasa-reply-buttons.json");
		converse(f, DIALOG_SPEECH, "halló", 0);
		world.body = "[]";
		converse(f, tests[i].kind, tests[i].text, 0);
		if (!strstr(world.seen, tests[i].message))
			fail_msg("%s: %s", tests[i].text, world.seen);
		/* and once only */
		converse(f, DIALOG_SPEECH, "já", 0);
		assert_non_null(strstr(world.seen, "\"já\""));
	}
}

static void test_faults(void **state)
{
	post_test_faults(*state, &dialog_rasa);
}

static void test_mischief(void **state)
{
	post_test_mischief(*state, &dialog_rasa,
			   "[{\"text\":\"a\"},{\"text\":\"b\"}]");
}

static void test_urls(void **state)
{
	static const char *const badv[] = {"rasa+http://", "rasa+http://h/#x",
					   "rasa+ftp://h"};
	struct dialog *d = NULL;
	struct net net = {0};

	for (size_t i = 0; i < ARRAY_SIZE(badv); i++)
		assert_true(dialog_alloc(
				    &d, &(struct dialog_param){.url = badv[i]},
				    &net) != 0);
	assert_int_equal(
		dialog_alloc(&d,
			     &(struct dialog_param){.url = "rasa+http://h",
						    .key = "a\nb"},
			     &net),
		EINVAL);
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	f->be = &dialog_rasa;
	fake_http_idle(&f->server);
	world.body = load(DIR, "rasa-reply-custom.json");
	oom_loop(post_memory_body, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_answers),       TEST(test_requests),
		TEST(test_whole_address), TEST(test_request_of_the_fixture),
		TEST(test_buttons),       TEST(test_faults),
		TEST(test_mischief),      TEST(test_urls),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

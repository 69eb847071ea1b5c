/* What the server decides without a socket: the door, the registry */
#include <stdio.h>
#include "../../src/server/server_priv.h"
#include "test.h"

static int knock(const char *token, const char *public_url, const char *target,
		 const char *headers)
{
	struct conf conf = {.twilio_auth_token = (char *)(uintptr_t)token,
			    .public_url = (char *)(uintptr_t)public_url};
	struct http_head *head = NULL;
	char raw[1024];
	int status;

	(void)snprintf(raw, sizeof(raw), "GET %s HTTP/1.1\r\n%s\r\n", target,
		       headers);
	assert_int_equal(http_head_decode(&head, raw, strlen(raw)), 0);
	status = door_check(&conf, head);
	mem_deref(head);

	return status;
}

#define TOKEN  "0123456789abcdef0123456789abcdef"
#define PUBLIC "https://convod.example.com"
#define HOST   "Host: convod.example.com\r\n"
#define SIGNED "X-Twilio-Signature: kA5qlL2yE+luUovQAayX46qMTvM=\r\n"

static void test_door(void **state)
{
	static const struct {
		const char *token, *public_url, *target, *headers;
		int status;
	} rowv[] = {
		{"", "", "/convo", HOST, 101},
		{"", "", "/convo/", HOST, 101},
		{"", "", "/convo?x=1", HOST, 101},
		{"", "", "/", HOST, 404},
		{"", "", "/convoy", HOST, 404},
		{"", "", "/metrics", HOST, 404},
		{TOKEN, PUBLIC, "/convo", HOST, 403},
		{TOKEN, PUBLIC, "/convo", HOST SIGNED, 101},
		{TOKEN, "", "/convo", HOST SIGNED, 101},
		{TOKEN, "", "/convo", "Host: evil.example\r\n" SIGNED, 403},
		/* behind a tunnel the Host is not the carrier's */
		{TOKEN, PUBLIC, "/convo", "Host: 127.0.0.1:9001\r\n" SIGNED,
		 101},
		{TOKEN, PUBLIC, "/convo",
		 HOST "X-Twilio-Signature: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n",
		 403},
		{TOKEN, PUBLIC, "/convo", HOST "X-Twilio-Signature:\r\n", 403},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++)
		assert_int_equal(knock(rowv[i].token, rowv[i].public_url,
				       rowv[i].target, rowv[i].headers),
				 rowv[i].status);
}

static void test_registry_bounds_and_ends(void **state)
{
	struct registry *r = NULL;
	char *text = NULL;

	(void)state;
	assert_int_equal(registry_alloc(&r, 2), 0);
	assert_int_equal(registry_enter(r), 0);
	assert_int_equal(registry_enter(r), 0);
	assert_int_equal(registry_enter(r), EAGAIN);
	assert_int_equal(registry_count(r), 2);

	registry_end(r, CALL_END_BOT);
	registry_end(r, CALL_END_CALLER);
	registry_leave(r);
	registry_leave(r);
	assert_int_equal(registry_count(r), 0);

	assert_int_equal(registry_print(r, &text), 0);
	assert_non_null(strstr(text, "{reason=\"bot\"} 1\n"));
	assert_non_null(strstr(text, "{reason=\"caller\"} 1\n"));
	assert_non_null(strstr(text, "{reason=\"error\"} 0\n"));
	mem_deref(text);
	mem_deref(r);
}

static int prompts_body(void *arg)
{
	struct prompts *p = NULL;
	char empty[] = "", greeting[] = "none";
	const struct conf conf = {
		.language = arg,
		.apology_file = empty,
		.greeting = greeting,
		.filler_file = empty,
		.audio_max_seconds = 60,
	};
	char errbuf[CONF_ERR_MAX];
	int err = prompts_alloc(&p, &conf, errbuf);

	if (!err) {
		for (size_t i = 0; i < CALL_PROMPT_GREETING; i++)
			assert_in_range(clip_len(p->clipv[i]), 8000, 80000);
	}
	mem_deref(p);

	return err;
}

static void test_prompts(void **state)
{
	char en[] = "en-US", is[] = "is-IS", other[] = "de-DE";

	(void)state;
	assert_int_equal(prompts_body(en), 0);
	assert_int_equal(prompts_body(is), 0);
	assert_int_equal(prompts_body(other), 0);
	oom_loop(prompts_body, is);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_door),
		cmocka_unit_test(test_registry_bounds_and_ends),
		cmocka_unit_test(test_prompts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "json_file.h"
#include "peer.h"
#include "post_fixture.h"
#include "schema.h"

static void test_a_conversation(void **state)
{
	struct fixture *f = *state;
	json_t *vars = json_pack("{s:s}", "name", "Anna");

	begin(f, &dialog_webhook, "/my/bot?x=1", "k");
	world.body = "{\"say\":\"Welcome.\",\"play\":\"../a.mp3\"}";
	converse(f, DIALOG_OPENING, "", 0);
	assert_string_equal(f->acts, "say Welcome.|play BASE/a.mp3|");
	assert_true(str_starts(world.head, "POST /my/bot?x=1 HTTP/1.1\r\n"));
	assert_non_null(strstr(world.head, "\r\nAuthorization: Bearer k\r\n"));
	assert_string_equal(
		world.seen,
		"{\"caller\":\"+354555\",\"params\":{\"a\":\"b\"},\"call_id\":"
		"\"CA1\",\"called\":\"\",\"turn\":{\"number\":1,\"kind\":"
		"\"opening\",\"text\":\"\",\"language\":\"\",\"interrupted\":"
		"false},\"vars\":{}}");

	f->turn = (struct dialog_turn){.language = "is-IS",
				       .interrupted = true,
				       .heard_ms = 40,
				       .heard = "Wel",
				       .vars = vars};
	world.body = "{\"say\":\"One.\"}\n{\"say\":\"Two.\"}\n";
	converse(f, DIALOG_KEYS, "12#", 0);
	assert_string_equal(f->acts, "say One.|say Two.|");
	assert_non_null(strstr(
		world.seen,
		"{\"number\":2,\"kind\":\"keys\",\"text\":\"12#\",\"language\""
		":\"is-IS\",\"interrupted\":true,\"heard_ms\":40,\"heard\":"
		"\"Wel\"},\"vars\":{\"name\":\"Anna\"}"));
	json_decref(vars);
}

/* What a bot is sent is what the schema says, whatever the turn */
static void test_requests_keep_to_the_schema(void **state)
{
	static const char *const textv[] = {
		[DIALOG_OPENING] = "", [DIALOG_SPEECH] = "já \"takk\"",
		[DIALOG_KEYS] = "1",   [DIALOG_NOISE] = "",
		[DIALOG_NOBODY] = "",
	};
	json_t *root = json_file(DATA_DIR "/../../docs/webhook.schema.json");
	const struct schema s = {.root = root};
	const json_t *rule = json_object_get(json_object_get(root, "$defs"),
					     "request");
	struct fixture *f = *state;

	begin(f, &dialog_webhook, "", NULL);
	world.body = "";
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++) {
		json_t *sent;

		f->turn.interrupted = i % 2;
		converse(f, (enum dialog_turn_kind)i, textv[i], 0);
		sent = json_loads(world.seen, 0, NULL);
		if (!schema_takes(&s, rule, sent))
			fail_msg("%s", world.seen);
		json_decref(sent);
	}
	json_decref(root);
}

/* What has come is said while the rest is awaited */
static void test_lines_as_they_come(void **state)
{
	struct fixture *f = *state;

	begin(f, &dialog_webhook, "", NULL);
	world.body = "{\"say\":\"One.\"}\n{\"sa";
	world.holds = true;
	assert_int_equal(ask(f, DIALOG_SPEECH, "hi"), 0);
	await(f, &f->actc, 1);
	assert_int_equal(f->done, 0);
}

/* The rest is left out, and the turn ends well */
static void test_more_than_anybody_can_say(void **state)
{
	static const struct {
		const char *begin, *again, *end;
		int acts;
	} rowv[] = {
		{"[", "\"a\",", "\"a\"]", 256},
		{"", "{\"say\":\"a\"}\n", "", 256},
		{"", "{\"odd\":\"a\"}\n", "", 0},
	};
	struct fixture *f = *state;

	begin(f, &dialog_webhook, "", NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		uint64_t cut = metrics_counter(M_DIALOG_CUT);
		char body[8192], *p = stpcpy(body, rowv[i].begin);

		for (int n = 0; n < 300; n++)
			p = stpcpy(p, rowv[i].again);
		(void)stpcpy(p, rowv[i].end);
		world.body = body;
		f->actc = 0;
		converse(f, DIALOG_SPEECH, "hi", 0);
		assert_int_equal(f->actc, rowv[i].acts);
		assert_int_equal(metrics_counter(M_DIALOG_CUT) - cut, 1);
	}
}

static void test_faults(void **state)
{
	post_test_faults(*state, &dialog_webhook);
}

static void test_mischief(void **state)
{
	post_test_mischief(*state, &dialog_webhook, "[\"a\",\"b\"]");
}

/* The example of the manual holds a conversation */
static void test_example(void **state)
{
	struct fixture *f = *state;
	uint16_t port = f->server.port;
	struct peer peer;

	peer_start(&peer, "../../examples/webhook.py",
		   (const char *const[]){"0", NULL});
	f->be = &dialog_webhook;
	(void)snprintf(f->server.url, sizeof(f->server.url),
		       "http://127.0.0.1:%u", peer.port);
	begin(f, &dialog_webhook, "", NULL);
	converse(f, DIALOG_OPENING, "", 0);
	assert_string_equal(f->acts, "say Hello! What is your name?|");
	converse(f, DIALOG_SPEECH, "anna", 0);
	assert_string_equal(f->acts, "say Goodbye, anna.|hangup|");
	peer_stop(&peer);
	f->server.port = port;
}

static void test_urls(void **state)
{
	static const char *const badv[] = {
		"webhook+http://", "webhook+http://h/#x", "webhook+ftp://h"};
	struct dialog *d = NULL;
	struct net net = {0};

	for (size_t i = 0; i < ARRAY_SIZE(badv); i++)
		assert_true(dialog_alloc(
				    &d, &(struct dialog_param){.url = badv[i]},
				    &net) != 0);
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	f->be = &dialog_webhook;
	world.body = "{\"say\":[\"a\",\"b\"],\"set\":{\"x\":1}}\n\"c\"";
	oom_loop(post_memory_body, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_conversation),
		TEST(test_requests_keep_to_the_schema),
		TEST(test_lines_as_they_come),
		TEST(test_more_than_anybody_can_say),
		TEST(test_faults),
		TEST(test_mischief),
		TEST(test_example),
		TEST(test_urls),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

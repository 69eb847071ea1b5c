#include <stdio.h>
#include <convod/json.h>
#include <convod/sse.h>
#include <convod/str.h>
#include "../../src/dialog/openai_chunk.h"
#include "test.h"

#define DIR DATA_DIR "/openai/"

enum { FILE_MAX = 65536 };

static size_t load(char *buf, const char *name)
{
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), DIR "%s", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s", path);
	n = fread(buf, 1, FILE_MAX - 1, f);
	buf[n] = '\0';
	fclose(f);

	return n;
}

/* -------------------------------------------------------------- streams */

struct answer {
	char text[2048];
	char error[256];
	struct openai_calls calls;
	bool done;
};

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct answer *a = arg;
	struct openai_chunk *c;
	size_t len = strlen(a->text);

	(void)event;
	assert_int_equal(openai_chunk_parse(&c, data, n), 0);
	if (c->text.n)
		(void)snprintf(a->text + len, sizeof(a->text) - len, "%s",
			       c->text.p);
	if (c->error)
		str_copy(a->error, sizeof(a->error), c->error);
	openai_calls_add(&a->calls, c->calls);
	a->done |= c->done;
	mem_deref(c);
}

static void read_stream(struct answer *a, const char *p, size_t n, size_t step)
{
	struct sse *s;

	memset(a, 0, sizeof(*a));
	assert_int_equal(sse_alloc(&s, 0, false, event_handler, a), 0);
	for (size_t i = 0; i < n; i += step)
		assert_int_equal(sse_push(s, p + i, MIN(step, n - i)), 0);
	assert_int_equal(sse_end(s), 0);
	mem_deref(s);
}

static const struct {
	const char *name, *text, *error;
	bool done;
	size_t calls;
} streams[] = {
	{"openai-chat-stream.txt",
	 "Góðan dag. Við opnum kl 6:30 og verðið er 1.250 kr. Er eitthvað "
	 "fleira?",
	 "", true, 0},
	{"openai-chat-stream-odd.txt", "Já \xf0\x9f\x98\x80 takk.", "", false,
	 0},
	{"openai-chat-stream-error.txt", "Augnablik, ", "upstream overloaded",
	 false, 0},
	{"openai-chat-stream-tool.txt", "Ég gef þér samband.", "", true, 1},
};

static void test_streams(void **state)
{
	static char buf[FILE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		size_t n = load(buf, streams[i].name);

		/* cut anywhere */
		for (size_t step = 1; step < 40; step++) {
			struct answer a;

			read_stream(&a, buf, n, step);
			assert_string_equal(a.text, streams[i].text);
			assert_string_equal(a.error, streams[i].error);
			assert_int_equal(a.done, streams[i].done);
			assert_int_equal(a.calls.callc, streams[i].calls);
		}
	}
}

/* --------------------------------------------------------------- chunks */

#define DELTA(s) "{\"choices\":[{\"index\":0,\"delta\":{" s "}}]}"

static const struct {
	const char *json;
	int err;
	const char *text;  /* NULL: none */
	const char *error; /* NULL: none */
	bool alive, done;
} chunks[] = {
	{"[DONE]", 0, NULL, NULL, false, true},
	{"[DONE] ", 0, NULL, NULL, false, true},
	{"[]", EPROTO, NULL, NULL, false, false},
	{"[DON", EPROTO, NULL, NULL, false, false},
	{"", EPROTO, NULL, NULL, false, false},
	{"null", EPROTO, NULL, NULL, false, false},
	{"<html>", EPROTO, NULL, NULL, false, false},
	{"{}", 0, NULL, NULL, false, false},
	{"{\"choices\":null}", 0, NULL, NULL, false, false},
	{"{\"choices\":[]}", 0, NULL, NULL, false, false},
	{"{\"choices\":[null]}", 0, NULL, NULL, false, false},
	{"{\"choices\":[{\"delta\":null}]}", 0, NULL, NULL, false, false},
	{DELTA(""), 0, NULL, NULL, false, false},
	{DELTA("\"content\":null"), 0, NULL, NULL, false, false},
	{DELTA("\"content\":\"\""), 0, NULL, NULL, false, false},
	{DELTA("\"content\":7"), 0, NULL, NULL, false, false},
	{DELTA("\"content\":\" a\""), 0, " a", NULL, true, false},
	{DELTA("\"content\":\"\\ud83d\\ude00\""), 0, "\xf0\x9f\x98\x80", NULL,
	 true, false},
	/* an emoji cut in two by a server that counts in UTF-16 */
	{DELTA("\"content\":\"a\\ud83d\""), 0, "a\xef\xbf\xbd", NULL, true,
	 false},
	{DELTA("\"content\":\"\\ud8\""), EPROTO, NULL, NULL, false, false},
	{DELTA("\"refusal\":\"I can't.\""), 0, "I can't.", NULL, true, false},
	{DELTA("\"reasoning_content\":\"hm\""), 0, NULL, NULL, true, false},
	{DELTA("\"reasoning\":\"hm\""), 0, NULL, NULL, true, false},
	{DELTA("\"reasoning\":\"\",\"content\":\"a\""), 0, "a", NULL, true,
	 false},
	{DELTA("\"content\":[{\"type\":\"thinking\",\"thinking\":[]},"
	       "{\"type\":\"text\",\"text\":\"a\"},7,"
	       "{\"type\":\"text\",\"text\":\"b\"}]"),
	 0, "ab", NULL, true, false},
	{"{\"choices\":[{\"index\":1,\"delta\":{\"content\":\"b\"}},"
	 "{\"index\":0,\"delta\":{\"content\":\"a\"}}]}",
	 0, "a", NULL, true, false},
	{"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":"
	 "\"whole\"},\"finish_reason\":\"stop\"}],\"error\":null}",
	 0, "whole", NULL, true, false},
	{"{\"error\":{\"message\":\"m\",\"code\":503}}", 0, NULL, "m", false,
	 false},
	{"{\"error\":{\"code\":\"overloaded\"}}", 0, NULL, "overloaded", false,
	 false},
	{"{\"error\":\"text\"}", 0, NULL, "text", false, false},
	{"{\"error\":{}}", 0, NULL, "unknown error", false, false},
	{"{\"error\":true}", 0, NULL, "unknown error", false, false},
	{"{\"error\":false}", 0, NULL, NULL, false, false},
	{"{\"object\":\"error\",\"message\":\"m\"}", 0, NULL, "m", false,
	 false},
};

static void assert_text(const char *is, const char *wanted, const char *json)
{
	if (is != wanted && (!is || !wanted || strcmp(is, wanted) != 0))
		fail_msg("%s: %s", json, is ? is : "none");
}

static void test_chunks(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		const char *s = chunks[i].json;
		struct openai_chunk *c;
		int err = openai_chunk_parse(&c, s, strlen(s));

		if (err != chunks[i].err)
			fail_msg("%s: %d", s, err);
		if (err)
			continue;
		assert_text(c->text.p, chunks[i].text, s);
		assert_text(c->error, chunks[i].error, s);
		assert_int_equal(c->alive, chunks[i].alive);
		assert_int_equal(c->done, chunks[i].done);
		assert_null(c->calls);
		mem_deref(c);
	}
}

/* ---------------------------------------------------------------- tools */

#define FN(name, args) \
	"\"function\":{\"name\":\"" name "\",\"arguments\":" args "}"

static const struct {
	const char *json[4]; /* fragments, each an array */
	size_t calls;
	int type; /* of the first; -1: unknown */
	const char *text;
} tools[] = {
	{{"[{\"index\":0,\"id\":\"a\"," FN("transfer_call", "\"\"") "}]",
	  "[{\"index\":0,\"function\":{\"arguments\":\"{\\\"to\\\":\"}}]",
	  "[{\"index\":0,\"function\":{\"arguments\":\"\\\"+1\\\"}\"}}]"},
	 1,
	 DIALOG_TRANSFER,
	 "+1"},
	{{"[{\"index\":0," FN("transfer_call", "{\"number\":\"+2\"}") "}]"},
	 1,
	 DIALOG_TRANSFER,
	 "+2"},
	{{"[{" FN("transfer_call", "\"\"") "}]",
	  "[{\"function\":{\"arguments\":\"{}\"}}]"},
	 1,
	 DIALOG_TRANSFER,
	 ""},
	{{"[{\"index\":0," FN("transfer_call", "\"{\\\"to\\\":\"") "}]"},
	 1,
	 DIALOG_TRANSFER,
	 ""}, /* cut: the configured number */
	{{"[{\"index\":0," FN("hang_up", "null") "}]"},
	 1,
	 DIALOG_HANGUP,
	 NULL},
	/* whole calls that all have the index 0, or none */
	{{"[{\"index\":0,\"id\":\"a\"," FN(
		 "hang_up", "\"{}\"") "},"
				      "{\"index\":0,\"id\":\"b\"," FN(
					      "transfer_call", "\"{}\"") "}]"},
	 2,
	 DIALOG_HANGUP,
	 NULL},
	{{"[{" FN("hang_up", "\"{}\"") "},{" FN("hang_up", "\"{}\"") "}]"},
	 2,
	 DIALOG_HANGUP,
	 NULL},
	/* the name again and again */
	{{"[{\"index\":0,\"id\":\"a\"," FN("hang_up", "\"{\"") "}]",
	  "[{\"index\":0,\"id\":\"a\"," FN("hang_up", "\"}\"") "}]"},
	 1,
	 DIALOG_HANGUP,
	 NULL},
	{{"[{\"index\":1," FN("hang_up", "\"{}\"") "}]",
	  "[{\"index\":0," FN("order_pizza", "\"{}\"") "}]"},
	 2,
	 DIALOG_HANGUP,
	 NULL},
	{{"[{\"index\":0," FN("order_pizza", "\"{}\"") "}]"}, 1, -1, NULL},
	{{"[null,7,{},{\"function\":null}]"}, 1, -1, NULL},
	{{"{}"}, 0, -1, NULL},
};

static void test_tools(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
		struct openai_calls calls = {0};
		char number[DIALOG_ID_MAX];
		struct dialog_act act;

		for (size_t k = 0; tools[i].json[k]; k++) {
			const char *s = tools[i].json[k];
			json_t *j = NULL;

			assert_int_equal(jsn_parse(&j, s, strlen(s)), 0);
			openai_calls_add(&calls, j);
			json_decref(j);
		}
		if (calls.callc != tools[i].calls)
			fail_msg("%s: %zu", tools[i].json[0], calls.callc);
		if (!calls.callc)
			continue;
		assert_int_equal(
			openai_call_act(&calls.callv[0], &act, number),
			tools[i].type >= 0);
		if (tools[i].type < 0)
			continue;
		assert_int_equal(act.type, tools[i].type);
		assert_text(act.text, tools[i].text, tools[i].json[0]);
	}
}

static void test_many_and_long_calls_are_bounded(void **state)
{
	struct openai_calls calls = {0};
	char number[DIALOG_ID_MAX];
	struct dialog_act act;

	for (int i = 0; i < 100; i++) {
		json_t *j = json_pack("[{s:i, s:{s:s, s:s}}]", "index", i % 10,
				      "function", "name", "transfer_call",
				      "arguments",
				      "\"0123456789012345678901234567890"
				      "1234567890123456789\"");

		for (int k = 0; k < 10; k++)
			openai_calls_add(&calls, j);
		json_decref(j);
	}
	assert_int_equal(calls.callc, OPENAI_CALLS_MAX);
	assert_true(calls.callv[0].cut);
	assert_true(openai_call_act(&calls.callv[0], &act, number));
	assert_string_equal(act.text, "");

	/* an object that does not fit */
	memset(&calls, 0, sizeof(calls));
	json_t *args = json_object();
	for (int i = 0; i < 500; i++) {
		char key[16];

		(void)snprintf(key, sizeof(key), "key%d", i);
		json_object_set_new(args, key, json_integer(i));
	}
	json_t *j = json_pack("[{s:{s:s, s:o}}]", "function", "name", "x",
			      "arguments", args);
	openai_calls_add(&calls, j);
	assert_true(calls.callv[0].cut);
	json_decref(j);

	j = openai_tools();
	assert_int_equal(json_array_size(j), 2);
	json_decref(j);
}

/* --------------------------------------------------------------- errors */

static const struct {
	int status;
	const char *body; /* or the name of a file */
	const char *what;
	bool transient, tools, too_long;
} errors[] = {
	{401, "openai-error-401.json", "Incorrect API key provided.", false,
	 false, false},
	{429, "openai-error-429.json", "Rate limit reached.", true, false,
	 false},
	{503, "openai-error-odd.json", "model is loading", true, false, false},
	{429,
	 "{\"error\":{\"message\":\"pay\",\"code\":\"insufficient_quota\"}}",
	 "pay", false, false, false},
	{429,
	 "{\"error\":{\"message\":\"pay\",\"type\":\"insufficient_quota\"}}",
	 "pay", false, false, false},
	{529, "", "", true, false, false},
	{502, "<html>Bad gateway</html>", "", true, false, false},
	{404, "{\"error\":{\"message\":\"no model x\"}}", "no model x", false,
	 false, false},
	{404,
	 "{\"error\":{\"message\":\"No endpoints that support tool use\"}}",
	 "No endpoints that support tool use", false, true, false},
	{500,
	 "{\"error\":{\"code\":500,\"message\":\"tools param requires --jinja "
	 "flag\"}}",
	 "tools param requires --jinja flag", true, true, false},
	{422, "{\"detail\":\"extra fields\"}", "extra fields", false, true,
	 false},
	{400, "{\"object\":\"error\",\"message\":\"bad\"}", "bad", false, true,
	 false},
	{400,
	 "{\"error\":{\"message\":\"too long\",\"code\":"
	 "\"context_length_exceeded\"}}",
	 "too long", false, false, true},
	{400, "{\"error\":\"exceeds the available context size\"}",
	 "exceeds the available context size", false, false, true},
	{500, "[1]", "", true, false, false},
	{500, "{\"error\":[]}", "unknown error", true, false, false},
};

static void test_errors(void **state)
{
	static char buf[FILE_MAX];

	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		const char *s = errors[i].body;
		struct openai_error e;

		if (str_starts(s, "openai-")) {
			(void)load(buf, s);
			s = buf;
		}
		openai_error_parse(&e, errors[i].status, s, strlen(s));
		assert_string_equal(e.what, errors[i].what);
		if (e.transient != errors[i].transient ||
		    e.tools != errors[i].tools ||
		    e.too_long != errors[i].too_long)
			fail_msg("%d %s", errors[i].status, errors[i].body);
	}
}

/* --------------------------------------------------------------- memory */

static int body(void *arg)
{
	struct openai_chunk *c;
	int err = openai_chunk_parse(&c, arg, strlen(arg));

	if (!err)
		mem_deref(c);

	/* jansson reports some failed allocations as bad JSON */
	return err == EPROTO ? ENOMEM : err;
}

static void test_out_of_memory(void **state)
{
	static const char *const jsonv[] = {
		DELTA("\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
		      "{\"type\":\"text\",\"text\":\"b\"}],\"refusal\":\"c\""),
		DELTA("\"function_call\":{\"name\":\"hang_up\"}"),
		"{\"error\":\"text\"}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(jsonv); i++)
		oom_loop(body, (void *)(uintptr_t)jsonv[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_tools),
		cmocka_unit_test(test_many_and_long_calls_are_bounded),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

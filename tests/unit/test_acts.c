#include <stdio.h>
#include <convod/str.h>
#include "../../src/dialog/acts.h"
#include "../../src/dialog/values.h"
#include "json_file.h"
#include "schema.h"

#define DOCS DATA_DIR "/../../docs/"

enum { MANUAL_MAX = 32768 };

struct fixture {
	char out[2048];
	unsigned acts, max;
};

static void print(struct fixture *f, const char *fmt, ...)
{
	size_t n = strlen(f->out);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->out + n, sizeof(f->out) - n, fmt, ap);
	va_end(ap);
}

static const char *or_dash(const char *s)
{
	return s ? s : "-";
}

static bool act_handler(const struct dialog_act *a, const char *odd, void *arg)
{
	static const char *const namev[] = {
		"say",    "play",   "pause",   "collect", "transfer",
		"hangup", "record", "silence", "set",     "note"};
	struct fixture *f = arg;

	if (!a) {
		print(f, "?%s|", odd);
		return true;
	}

	print(f, "%s", namev[a->type]);
	switch (a->type) {
	case DIALOG_SAY:
		print(f, " %s%s", a->text, a->uninterruptible ? "!" : "");
		if (a->voice || a->language)
			print(f, " %s %s", or_dash(a->voice),
			      or_dash(a->language));
		break;
	case DIALOG_PLAY:
		print(f, " %s %s %s", a->url, or_dash(a->text), a->origin);
		break;
	case DIALOG_COLLECT:
		print(f, " %u %u %s%s", a->digits, a->ms, or_dash(a->finish),
		      a->sensitive ? " sensitive" : "");
		break;
	case DIALOG_TRANSFER:
		print(f, " %s %s", a->text, or_dash(a->name));
		break;
	case DIALOG_SET:
		print(f, " %s=%s", a->name, a->text);
		break;
	case DIALOG_RECORD:
		print(f, " %d", a->on);
		break;
	case DIALOG_NOTE:
		print(f, " %s", a->text);
		break;
	case DIALOG_PAUSE:
	case DIALOG_SILENCE:
		print(f, " %u", a->ms);
		break;
	default:
		break;
	}
	print(f, "|");

	return ++f->acts != f->max;
}

static int value_handler(const json_t *value, void *arg)
{
	const struct acts_param prm = {
		.base = "http://bot.example/a/b",
		.origin = "http://bot.example:80",
		.h = act_handler,
		.arg = arg,
	};

	return acts_parse(value, &prm);
}

static int read_answer(struct fixture *f, const char *s, size_t n, size_t step)
{
	struct values v = {0};
	int err = 0;

	f->out[0] = '\0';
	f->acts = 0;
	for (size_t i = 0; i < n && !err; i += step)
		err = values_push(&v, s + i, MIN(step, n - i), 4096,
				  value_handler, f);
	if (!err)
		err = values_end(&v, value_handler, f);
	values_reset(&v);

	return err;
}

struct row {
	const char *json, *acts;
	int err;
};

static const struct row strictv[] = {
	{"", "", 0},
	{"  \n\n ", "", 0},
	{"null", "", 0},
	{"\"\"", "", 0},
	{"\"Hello.\"", "say Hello.|", 0},
	{"{}", "", 0},
	{"[]", "", 0},
	{"7", "?no object|", 0},
	{"true", "?no object|", 0},
	{"{\"say\":\"Hello.\"}", "say Hello.|", 0},
	{"{\"say\":[\"One.\",{\"text\":\"Two.\"},[3]]}",
	 "say One.|say Two.|?say|", 0},
	{"{\"say\":\"Bye.\",\"hangup\":true}", "say Bye.|hangup|", 0},
	{"{\"hangup\":false,\"say\":null,\"transfer\":true}", "transfer  -|",
	 0},
	{"{\"transfer\":\"+1\"}", "transfer +1 -|", 0},
	{"{\"say\":7}", "?say|", 0},
	{"{\"sya\":\"Hello.\"}", "?sya|", 0},
	{"{\"set\":{\"a\":\"b\",\"n\":7,\"f\":1.5,\"t\":true,\"z\":null,"
	 "\"l\":[]}}",
	 "set a=b|set n=7|set f=1.5|set t=true|set z=|?set|", 0},
	{"{\"record\":false,\"pause\":500,\"silence\":8000,\"note\":\"x\"}",
	 "record 0|pause 500|silence 8000|note x|", 0},
	{"{\"record\":true,\"collect\":4}", "record 1|collect 4 0 -|", 0},
	{"{\"type\":\"say\",\"text\":\"Já.\",\"voice\":\"v\",\"language\":"
	 "\"is-IS\",\"interruptible\":false}",
	 "say Já.! v is-IS|", 0},
	{"{\"type\":\"dance\"}", "?dance|", 0},
	{"{\"type\":\"say\"}", "?say|", 0},
	{"{\"type\":\"set\",\"value\":\"x\"}", "?set|", 0},
	{"{\"type\":\"pause\",\"ms\":0}", "?pause|", 0},
	{"{\"type\":\"collect\",\"digits\":4,\"finish\":\"*\",\"ms\":900,"
	 "\"sensitive\":true}",
	 "collect 4 900 * sensitive|", 0},
	{"{\"type\":\"play\",\"url\":\"c.mp3\",\"text\":\"Hi\"}",
	 "play http://bot.example/a/c.mp3 Hi http://bot.example:80|", 0},
	{"{\"play\":\"https://x.example/y\"}",
	 "play https://x.example/y - http://bot.example:80|", 0},
	{"{\"play\":\"file:///etc/passwd\"}", "?play|", 0},
	{"{\"acts\":[{\"type\":\"say\",\"text\":\"a\"},\"b\",7,{\"say\":\"c\"}"
	 "]}",
	 "say a|say b|?no object|say c|", 0},
	{"{\"acts\":[\"a\"],\"hangup\":true}", "say a|?beside acts|", 0},
	{"{\"say\":\"\"}", "?say|", 0},
	{"{\"say\":{\"txt\":\"a\"}}", "?say|", 0},
	{"{\"play\":[\"a.mp3\",{\"url\":\"b.mp3\",\"text\":\"B\"}]}",
	 "play http://bot.example/a/a.mp3 - http://bot.example:80|"
	 "play http://bot.example/a/b.mp3 B http://bot.example:80|",
	 0},
	{"{\"play\":\"\"}", "?play|", 0},
	{"{\"play\":\"/x/y=a:b\"}",
	 "play http://bot.example/x/y=a:b - http://bot.example:80|", 0},
	{"{\"pause\":0}", "?pause|", 0},
	{"{\"silence\":true}", "?silence|", 0},
	{"{\"set\":{\"\":1}}", "?set|", 0},
	{"{\"note\":7}", "?note|", 0},
	{"{\"collect\":true,\"transfer\":{\"to\":\"+3\",\"mode\":\"warm\"}}",
	 "collect 0 0 -|transfer +3 warm|", 0},
	{"{\"type\":\"set\",\"name\":\"n\",\"value\":2.5}", "set n=2.5|", 0},
	{"[[[[[\"deep\"]]]]]", "?too deep|", 0},
	/* lines, as they come; pretty ones too */
	{"{\"say\":\"One.\"}\n{\"say\":\"Two.\"}\r\n\n{\"hangup\":true}",
	 "say One.|say Two.|hangup|", 0},
	{"{\n  \"say\": \"One }\\\" \"\n}\n[\n\"Two.\"\n]\n",
	 "say One }\" |say Two.|", 0},
	{"{\"say\":\"One.\"}\n{\"say\":\"Tw", "say One.|", EPROTO},
	{"{\"say\":\"One.\"}{\"say\":\"Two.\"}", "", EPROTO},
	{"<html>", "", EPROTO},
	{"Hello.\n", "", EPROTO},
	{"]\n", "", EPROTO},
};

/* Understood, though the schema does not allow it */
static const struct row laxv[] = {
	{"{\"pause\":99999999,\"collect\":{\"digits\":1000,\"ms\":1e9}}",
	 "pause 10000|collect 64 60000 -|", 0},
	{"{\"action\":\"HangUp\"}", "hangup|", 0},
	{"{\"type\":\"transfer\",\"number\":\"+2\",\"mode\":\"warm\"}",
	 "transfer +2 warm|", 0},
	{"{\"acts\":null}", "", 0},
	{"[[\"a\"]]", "say a|", 0},
	{"{\"say\":false,\"pause\":[1,2],\"note\":{\"text\":\"x\"}}",
	 "pause 1|pause 2|note x|", 0},
	{"{\"type\":\"say\",\"text\":\"a\",\"mood\":\"gay\"}", "say a|", 0},
};

static void check_row(const struct row *row)
{
	for (size_t step = 1; step < 20; step++) {
		struct fixture f = {0};
		int err = read_answer(&f, row->json, strlen(row->json), step);

		if (err != row->err || strcmp(f.out, row->acts) != 0)
			fail_msg("%s: %d %s", row->json, err, f.out);
	}
}

static void test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(strictv); i++)
		check_row(&strictv[i]);
	for (size_t i = 0; i < ARRAY_SIZE(laxv); i++)
		check_row(&laxv[i]);
}

/* ----------------------------------------------------------- the manual */

static json_t *load_schema(struct schema *s)
{
	json_t *root = json_file(DOCS "webhook.schema.json");

	s->root = root;

	return root;
}

static bool is_allowed(const struct schema *s, const struct row *row)
{
	json_t *j = json_loads(row->json, JSON_DECODE_ANY, NULL);
	bool allowed = schema_takes(s, s->root, j);

	json_decref(j);

	return allowed;
}

/* What the schema allows is understood, and what is not understood it does
 * not allow */
static void test_schema(void **state)
{
	struct schema s;
	json_t *root = load_schema(&s);

	for (size_t i = 0; i < ARRAY_SIZE(strictv); i++) {
		json_t *j = json_loads(strictv[i].json, JSON_DECODE_ANY, NULL);

		/* several values, or none, are not the schema's affair */
		if (j && is_allowed(&s, &strictv[i]) ==
				 !!strstr(strictv[i].acts, "?"))
			fail_msg("%s", strictv[i].json);
		json_decref(j);
	}
	for (size_t i = 0; i < ARRAY_SIZE(laxv); i++)
		if (is_allowed(&s, &laxv[i]))
			fail_msg("%s", laxv[i].json);
	json_decref(root);
}

static char *load_manual(void)
{
	static char buf[MANUAL_MAX];
	FILE *f = fopen(DOCS "webhook.md", "rb");
	size_t n;

	assert_non_null(f);
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);

	return buf;
}

/* Each JSON in the manual; the first is what a bot is sent */
static unsigned check_manual(const struct schema *s, char *text,
			     const char *begin, const char *end)
{
	const json_t *request = json_object_get(
		json_object_get(s->root, "$defs"), "request");
	unsigned n = 0;

	while ((text = strstr(text, begin))) {
		struct fixture f = {0};
		char *stop;
		json_t *j;

		text += strlen(begin);
		stop = strstr(text - 1, end);
		assert_non_null(stop);
		*stop = '\0';
		j = json_loads(text - (begin[0] == '`' && begin[1] == '{'),
			       JSON_DECODE_ANY, NULL);
		if (!j ||
		    !schema_takes(s,
				  json_object_get(j, "call_id") ? request
								: s->root,
				  j))
			fail_msg("%s", text);
		if (!json_object_get(j, "call_id")) {
			assert_int_equal(value_handler(j, &f), 0);
			assert_null(strchr(f.out, '?'));
		}
		json_decref(j);
		text = stop + 1;
		++n;
	}

	return n;
}

static void test_manual(void **state)
{
	struct schema s;
	json_t *root = load_schema(&s);

	assert_int_equal(check_manual(&s, load_manual(), "```json", "```"), 2);
	assert_in_range(check_manual(&s, load_manual(), "`{", "`"), 12, 99);
	json_decref(root);
}

/* --------------------------------------------------------------- bounds */

static void test_no_more_is_wanted(void **state)
{
	static const char *const jsonv[] = {
		"[\"a\",\"b\"]",
		"{\"say\":[\"a\",\"b\"]}",
		"{\"say\":\"a\",\"hangup\":true}",
		"{\"set\":{\"a\":1,\"b\":2}}",
		"\"a\"\n\"b\"\n",
		"{\"acts\":[[\"a\"],\"b\"]}",
	};

	for (size_t i = 0; i < ARRAY_SIZE(jsonv); i++) {
		struct fixture f = {.max = 1};

		assert_int_equal(
			read_answer(&f, jsonv[i], strlen(jsonv[i]), 100),
			ECANCELED);
		assert_int_equal(f.acts, 1);
	}
}

static void test_sizes(void **state)
{
	static char s[3 * DIALOG_TEXT_MAX];
	struct fixture f = {0};
	struct values v = {0};
	json_t *j;
	const struct acts_param prm = {.h = act_handler, .arg = &f};

	memset(s, 'x', sizeof(s) - 1);
	j = json_string(s);
	assert_int_equal(acts_parse(j, &prm), 0);
	assert_string_equal(f.out, "?say|");
	json_decref(j);

	assert_int_equal(
		values_push(&v, s, sizeof(s), 4096, value_handler, &f),
		EOVERFLOW);
	values_reset(&v);
}

static int body(void *arg)
{
	struct fixture f = {0};
	int err = read_answer(&f, arg, strlen(arg), 7);

	/* jansson reports some failed allocations as bad JSON */
	return err == EPROTO ? ENOMEM : err;
}

static void test_out_of_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(strictv); i++)
		if (!strictv[i].err)
			oom_loop(body, (void *)(uintptr_t)strictv[i].json);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_schema),
		cmocka_unit_test(test_manual),
		cmocka_unit_test(test_no_more_is_wanted),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(all, NULL, NULL);
}

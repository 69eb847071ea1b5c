#include <stdio.h>
#include <convod/str.h>
#include "../../src/dialog/acts.h"
#include "../../src/dialog/values.h"
#include "test.h"

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

static const struct {
	const char *json, *acts;
	int err;
} tests[] = {
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
	{"{\"pause\":99999999,\"collect\":{\"digits\":1000,\"ms\":1e9}}",
	 "pause 10000|collect 64 60000 -|", 0},
	{"{\"type\":\"say\",\"text\":\"Já.\",\"voice\":\"v\",\"language\":"
	 "\"is-IS\",\"interruptible\":false}",
	 "say Já.! v is-IS|", 0},
	{"{\"action\":\"HangUp\"}", "hangup|", 0},
	{"{\"type\":\"dance\"}", "?dance|", 0},
	{"{\"type\":\"say\"}", "?say|", 0},
	{"{\"type\":\"set\",\"value\":\"x\"}", "?set|", 0},
	{"{\"type\":\"pause\",\"ms\":0}", "?pause|", 0},
	{"{\"type\":\"collect\",\"digits\":4,\"finish\":\"*\",\"ms\":900,"
	 "\"sensitive\":true}",
	 "collect 4 900 * sensitive|", 0},
	{"{\"type\":\"transfer\",\"number\":\"+2\",\"mode\":\"warm\"}",
	 "transfer +2 warm|", 0},
	{"{\"type\":\"play\",\"url\":\"c.mp3\",\"text\":\"Hi\"}",
	 "play http://bot.example/a/c.mp3 Hi http://bot.example:80|", 0},
	{"{\"play\":\"https://x.example/y\"}",
	 "play https://x.example/y - http://bot.example:80|", 0},
	{"{\"play\":\"file:///etc/passwd\"}", "?play|", 0},
	{"{\"acts\":[{\"type\":\"say\",\"text\":\"a\"},\"b\",7,{\"say\":\"c\"}"
	 "]}",
	 "say a|say b|?no object|say c|", 0},
	{"{\"acts\":null}", "", 0},
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

static void test_answers(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		for (size_t step = 1; step < 20; step++) {
			struct fixture f = {0};
			int err = read_answer(&f, tests[i].json,
					      strlen(tests[i].json), step);

			if (err != tests[i].err ||
			    strcmp(f.out, tests[i].acts) != 0)
				fail_msg("%s: %d %s", tests[i].json, err,
					 f.out);
		}
	}
}

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
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		if (!tests[i].err)
			oom_loop(body, (void *)(uintptr_t)tests[i].json);
}

int main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_no_more_is_wanted),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(all, NULL, NULL);
}

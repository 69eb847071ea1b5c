#include <stdio.h>
#include <convod/sse.h>
#include <convod/str.h>
#include "test.h"

enum { TEXT_MAX = 1 << 16, SMALL_MAX = 16 };

/* What came, as text: "[name|data]" for each event */
struct log {
	char s[TEXT_MAX];
	size_t n;
	unsigned events;
	struct sse **drop; /* the parser, at the first event */
};

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct log *l = arg;
	int len;

	assert_int_equal(data[n], '\0');
	assert_int_equal(strlen(data), n);
	assert_true(utf8_is_valid(data, n));
	len = snprintf(l->s + l->n, sizeof(l->s) - l->n, "[%s|%s]", event,
		       data);
	assert_in_range(len, 1, sizeof(l->s) - l->n - 1);
	l->n += (size_t)len;
	++l->events;
	if (l->drop)
		*l->drop = mem_deref(*l->drop);
}

static void log_reset(struct log *l)
{
	l->s[0] = '\0';
	l->n = 0;
	l->events = 0;
	l->drop = NULL;
}

/* In memory of exactly its size, so that a byte read too far shows */
static int push_exact(struct sse *s, const char *p, size_t n)
{
	char *exact = malloc(n ? n : 1);
	int err;

	assert_non_null(exact);
	memcpy(exact, p, n);
	err = sse_push(s, exact, n);
	free(exact);

	return err;
}

/* Push n bytes of which the first `first` come alone, the rest in pieces */
static int feed(struct log *l, const char *p, size_t n, size_t first,
		size_t piece, size_t max, bool lines)
{
	struct sse *s;
	int err;

	log_reset(l);
	assert_int_equal(sse_alloc(&s, max, lines, event_handler, l), 0);
	err = push_exact(s, p, first);
	for (size_t i = first; i < n && !err; i += piece)
		err = push_exact(s, p + i, MIN(piece, n - i));
	if (!err)
		err = sse_end(s);
	else
		assert_int_equal(sse_end(s), err);
	mem_deref(s);

	return err;
}

/* Whole, byte by byte, and in two at each place: always the same */
static void check(const char *p, size_t n, size_t max, bool lines,
		  const char *events, int err)
{
	static struct log l;

	assert_int_equal(feed(&l, p, n, n, 1, max, lines), err);
	assert_string_equal(l.s, events);
	assert_int_equal(feed(&l, p, n, 0, 1, max, lines), err);
	assert_string_equal(l.s, events);
	for (size_t i = 1; i < n; i++) {
		assert_int_equal(feed(&l, p, n, i, n, max, lines), err);
		assert_string_equal(l.s, events);
	}
}

#define S(s) s, sizeof(s) - 1
#define BOM  "\xef\xbb\xbf"
#define BAD  "\xef\xbf\xbd"
#define NAME_63 \
	"0123456789012345678901234567890123456789012345678901234567890ab"
#define EVENT(name, data) "[" name "|" data "]"
#define MESSAGE(data)     EVENT("message", data)

static void test_events(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		const char *events;
	} tests[] = {
		{S(""), ""},
		{S("\n\n\r\r\n"), ""},
		{S("data: a\n\n"), MESSAGE("a")},
		{S("data:a\n\n"), MESSAGE("a")},
		{S("data:  a \n\n"), MESSAGE(" a ")},
		{S("data:\ta\n\n"), MESSAGE("\ta")},
		{S("data: a: b\n\n"), MESSAGE("a: b")},
		/* the ends of lines */
		{S("data: a\r\ndata: b\r\n\r\n"), MESSAGE("a\nb")},
		{S("data: a\rdata: b\r\r"), MESSAGE("a\nb")},
		{S("data: a\ndata: b\r\n\r"), MESSAGE("a\nb")},
		{S("data: a\r\n\ndata: b\n\r"), MESSAGE("a") MESSAGE("b")},
		{S("data: a\r\n\r\n\r\ndata: b\n\n"),
		 MESSAGE("a") MESSAGE("b")},
		/* empty data is data, none is not */
		{S("data\n\n"), MESSAGE("")},
		{S("data:\n\n"), MESSAGE("")},
		{S("data: \n\n"), MESSAGE("")},
		{S("data\ndata\n\n"), MESSAGE("\n")},
		{S("data:\ndata: b\ndata:\n\n"), MESSAGE("\nb\n")},
		{S("event: a\n\n"), ""},
		{S("event: a\n\ndata: b\n\n"), MESSAGE("b")},
		/* names */
		{S("event: trace\ndata: a\n\ndata: b\n\n"),
		 EVENT("trace", "a") MESSAGE("b")},
		{S("data: a\nevent:x\nevent:y\n\n"), EVENT("y", "a")},
		{S("event: x\nevent\ndata: a\n\n"), MESSAGE("a")},
		{S("event: " NAME_63 "c\ndata:\n\n"), EVENT(NAME_63, "")},
		{S("event: a\xff\ndata:\n\n"), EVENT("a" BAD, "")},
		/* what is passed over */
		{S(": ping\n\n:\n\n"), ""},
		{S("data: a\n: ping\ndata: b\n\n"), MESSAGE("a\nb")},
		{S("id: 1\nretry: 5\nid\nfoo: bar\nfoo\ndata: a\n\n"),
		 MESSAGE("a")},
		{S("Data: a\ndata : a\n data: a\ndatab: a\ndat: a\n\n"), ""},
		{S("{\"data\": 1}\n\n"), ""},
		{S("<html>\n<body>: no</body>\n</html>\n\n"), ""},
		/* a byte order mark, only at the start */
		{S(BOM "data: a\n\n"), MESSAGE("a")},
		{S(BOM), ""},
		{S(BOM "\ndata: a\n\n"), MESSAGE("a")},
		{S("\n" BOM "data: a\n\n"), ""},
		{S(BOM BOM "data: a\n\n"), ""},
		{S("data: " BOM "a\n\n"), MESSAGE(BOM "a")},
		{S("\xef\xbb:\ndata: a\n\n"), MESSAGE("a")},
		/* characters, whole and not */
		{S("data: \xc3\x9e\xc3\xba \xf0\x9f\x98\x80\n\n"),
		 MESSAGE("\xc3\x9e\xc3\xba \xf0\x9f\x98\x80")},
		{S("data: a\xc3\n\n"), MESSAGE("a" BAD)},
		{S("data: \xed\xa0\x80|\xc0\x80\n\n"),
		 MESSAGE(BAD BAD BAD "|" BAD BAD)},
		{S("data: a\0b\n\n"), MESSAGE("a" BAD "b")},
		{S("data: \0\n\n"), MESSAGE(BAD)},
		{S("\0data: a\n\n"), ""},
		/* the last blank line missing, or more */
		{S("data: a\n\ndata: b\n"), MESSAGE("a") MESSAGE("b")},
		{S("data: a\n\ndata: b"), MESSAGE("a") MESSAGE("b")},
		{S("data: a\r"), MESSAGE("a")},
		{S("event: x\ndata: a\ndata"), EVENT("x", "a\n")},
		{S("data: a\n\ndat"), MESSAGE("a")},
		{S("data: a\xe2\x82"), MESSAGE("a" BAD BAD)},
		{S("event: x"), ""},
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		check(tests[i].s, tests[i].n, 0, false, tests[i].events, 0);
}

static void test_json_lines(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		const char *events;
	} tests[] = {
		{S("{\"a\": 1}\n{\"b\": 2}\n"),
		 MESSAGE("{\"a\": 1}") MESSAGE("{\"b\": 2}")},
		{S("{\"a\": 1}\r\n\r\n{\"b\": 2}\r\n"),
		 MESSAGE("{\"a\": 1}") MESSAGE("{\"b\": 2}")},
		{S(BOM "{\"a\": 1}"), MESSAGE("{\"a\": 1}")},
		{S("{\"a\0\"}\n"), MESSAGE("{\"a" BAD "\"}")},
		{S("data: a\n{\"b\": 2}\ndata: c\n\n"),
		 MESSAGE("{\"b\": 2}") MESSAGE("a\nc")},
		{S("data: {\"a\": 1}\n\n"), MESSAGE("{\"a\": 1}")},
		{S("[]\n\"a\"\n"), ""},
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		check(tests[i].s, tests[i].n, 0, true, tests[i].events, 0);
}

static void test_named_events_without_data(void **state)
{
	static const char text[] = "event: end\nid: 2\n\nid: 3\n\n"
				   "event: trace\ndata: 1\n\nevent: end";
	struct log l;
	struct sse *s;

	(void)state;
	log_reset(&l);
	assert_int_equal(sse_alloc(&s, 0, false, event_handler, &l), 0);
	sse_take_bare(s);
	assert_int_equal(sse_push(s, text, strlen(text)), 0);
	assert_int_equal(sse_end(s), 0);
	assert_string_equal(l.s, "[end|][trace|1][end|]");
	mem_deref(s);
	sse_take_bare(NULL);
}

static void test_limit(void **state)
{
	static const struct {
		const char *s;
		size_t n;
		const char *events;
		int err;
	} tests[] = {
		{S("data: 0123456789\n\n"), MESSAGE("0123456789"), 0},
		{S("data: 0123456789a\n\n"), "", EOVERFLOW},
		{S("data: 0123456789a"), "", EOVERFLOW},
		{S("data: a\n\ndata: 0123456789a\n\ndata: b\n\n"),
		 MESSAGE("a"), EOVERFLOW},
		{S("data:0\ndata:1\ndata:2\ndata:3\ndata:4\ndata:5\n\n"),
		 MESSAGE("0\n1\n2\n3\n4\n5"), 0},
		{S("data:0123\ndata:4567\ndata:8\n\n"),
		 MESSAGE("0123\n4567\n8"), 0},
		{S("data:0123\ndata:4567\ndata:89\n\n"), "", EOVERFLOW},
		{S(": 0123456789abc\n: 0123456789abc\ndata:\n\n"), MESSAGE(""),
		 0},
		{S(": 0123456789abcde\n"), "", EOVERFLOW},
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		check(tests[i].s, tests[i].n, SMALL_MAX, false,
		      tests[i].events, tests[i].err);
}

static void test_default_limit(void **state)
{
	static char p[SSE_EVENT_MAX_BYTES + 1];
	static struct log l;

	(void)state;

	memset(p, ':', sizeof(p));
	assert_int_equal(feed(&l, p, sizeof(p) - 1, 0, 1000, 0, false), 0);
	assert_int_equal(feed(&l, p, sizeof(p), 0, 1000, 0, false), EOVERFLOW);
	assert_int_equal(feed(&l, p, sizeof(p), 0, 1000, sizeof(p), false), 0);
}

static void test_dropped_from_inside(void **state)
{
	static const char s[] = "data: a\n\n{\"b\": 2}\ndata: c\n\ndata: d";
	static struct log l;

	(void)state;

	for (size_t cut = 0; cut < sizeof(s); cut++) {
		struct sse *sse;

		log_reset(&l);
		l.drop = &sse;
		assert_int_equal(sse_alloc(&sse, 0, true, event_handler, &l),
				 0);
		assert_int_equal(push_exact(sse, s, cut), 0);
		if (sse)
			assert_int_equal(
				push_exact(sse, s + cut, sizeof(s) - 1 - cut),
				0);
		assert_null(sse);
		assert_string_equal(l.s, MESSAGE("a"));
	}

	log_reset(&l);
	assert_int_equal(feed(&l, S("data: d"), 7, 1, 0, false), 0);
}

static void test_dropped_at_the_end(void **state)
{
	static struct log l;
	struct sse *sse;

	(void)state;

	log_reset(&l);
	l.drop = &sse;
	assert_int_equal(sse_alloc(&sse, 0, true, event_handler, &l), 0);
	assert_int_equal(sse_push(sse, S("data: d\n{}")), 0);
	assert_int_equal(sse_end(sse), 0);
	assert_null(sse);
	assert_string_equal(l.s, MESSAGE("{}"));
}

static void test_fixtures(void **state)
{
	static const struct {
		const char *file;
		unsigned events;
	} tests[] = {
		{"openai/openai-chat-stream.txt", 20},
		{"openai/openai-chat-stream-error.txt", 2},
		{"openai/openai-chat-stream-odd.txt", 5},
		{"openai/openai-chat-stream-tool.txt", 6},
		{"voiceflow/voiceflow-stream-audio.txt", 4},
		{"voiceflow/voiceflow-stream-completion.txt", 11},
		{"voiceflow/voiceflow-stream-crlf-odd.txt", 4},
		{"voiceflow/voiceflow-stream-cut.txt", 2},
		{"voiceflow/voiceflow-stream-text.txt", 4},
		{"rasa/rasa-stream.jsonl", 2},
	};
	static struct log whole, cut;
	static char p[TEXT_MAX];

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char path[512];
		FILE *f;
		size_t n;

		(void)snprintf(path, sizeof(path), DATA_DIR "/%s",
			       tests[i].file);
		f = fopen(path, "rb");
		assert_non_null(f);
		n = fread(p, 1, sizeof(p), f);
		(void)fclose(f);

		assert_int_equal(feed(&whole, p, n, n, 1, 0, true), 0);
		if (whole.events != tests[i].events)
			fail_msg("%s: %u", tests[i].file, whole.events);
		for (size_t piece = 1; piece < 8; piece++) {
			assert_int_equal(feed(&cut, p, n, 0, piece, 0, true),
					 0);
			assert_string_equal(cut.s, whole.s);
		}
	}
}

static int memory_body(void *arg)
{
	static const char s[] = "event: x\ndata: a\xff\n\ndata: b\n\ndata: c";
	struct log *l = arg;
	struct sse *sse;
	int err;

	log_reset(l);
	err = sse_alloc(&sse, 0, false, event_handler, l);
	if (err)
		return err;

	err = sse_push(sse, s, sizeof(s) - 1);
	if (!err)
		err = sse_end(sse);
	else
		assert_int_equal(sse_push(sse, "\n", 1), err);
	mem_deref(sse);

	return err;
}

static void test_out_of_memory(void **state)
{
	static struct log l;

	(void)state;

	oom_loop(memory_body, &l);
	assert_string_equal(l.s,
			    EVENT("x", "a" BAD) MESSAGE("b") MESSAGE("c"));
}

static void test_arguments(void **state)
{
	struct sse *s;

	(void)state;

	assert_int_equal(sse_alloc(NULL, 0, false, event_handler, NULL),
			 EINVAL);
	assert_int_equal(sse_alloc(&s, 0, false, NULL, NULL), EINVAL);
	assert_int_equal(sse_push(NULL, "", 0), EINVAL);
	assert_int_equal(sse_end(NULL), EINVAL);
	assert_int_equal(sse_alloc(&s, 0, false, event_handler, NULL), 0);
	assert_int_equal(sse_push(s, NULL, 0), 0);
	assert_int_equal(sse_push(s, NULL, 1), EINVAL);
	assert_int_equal(sse_end(s), 0);
	mem_deref(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_json_lines),
		cmocka_unit_test(test_named_events_without_data),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_default_limit),
		cmocka_unit_test(test_dropped_from_inside),
		cmocka_unit_test(test_dropped_at_the_end),
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

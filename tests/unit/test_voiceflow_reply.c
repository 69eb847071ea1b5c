/* What Voiceflow's answers become: traces, buttons, acts. No network. */
#include <stdio.h>
#include <jansson.h>
#include <convod/clip.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "../../src/dialog/data_uri.h"
#include "../../src/dialog/voiceflow.h"
#include "test.h"

#define DIR DATA_DIR "/voiceflow/"

enum { FILE_MAX = 65536, NOTE_MAX = 4096, CLIPS_MAX = 8 };

struct fixture {
	struct loop *loop;
	struct net net;
	struct voiceflow_reply *reply;
	char notes[NOTE_MAX]; /* "[what …]" for each act */
	struct clip *clipv[CLIPS_MAX];
	size_t clipc;
	bool uninterruptible; /* the last act */
	bool ran_out;
};

static size_t load(char *buf, size_t size, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		fail_msg("%s", path);
	n = fread(buf, 1, size - 1, f);
	buf[n] = '\0';
	fclose(f);

	return n;
}

static CV_PRINTF(2, 3) void note(struct fixture *f, const char *fmt, ...)
{
	size_t n = strlen(f->notes);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(f->notes + n, sizeof(f->notes) - n, fmt, ap);
	va_end(ap);
}

static void act_handler(const struct dialog_act *a, void *arg)
{
	struct fixture *f = arg;

	assert_string_equal(a->origin, "https://vf:443");
	f->uninterruptible = a->uninterruptible;
	switch (a->type) {
	case DIALOG_SAY:
		note(f, "[say %s]", a->text);
		break;
	case DIALOG_PLAY:
		note(f, "[play %s %s]", a->clip ? "clip" : a->url, a->text);
		if (a->clip) {
			assert_true(f->clipc < CLIPS_MAX);
			f->clipv[f->clipc++] = mem_ref(a->clip);
		}
		break;
	case DIALOG_COLLECT:
		note(f, "[collect %u]", a->digits);
		break;
	case DIALOG_TRANSFER:
		note(f, "[transfer %s]", a->text);
		break;
	case DIALOG_HANGUP:
		note(f, "[hangup]");
		break;
	case DIALOG_SILENCE:
		note(f, "[silence %u]", a->ms);
		break;
	default:
		note(f, "[?]");
		break;
	}
}

static int set_up(struct fixture *f, bool audio)
{
	struct voiceflow_reply_param prm = {
		.net = &f->net,
		.origin = "https://vf:443",
		.audio = audio,
		.acth = act_handler,
		.arg = f,
	};
	int err = loop_alloc(&f->loop);

	f->net.loop = f->loop;
	if (!err)
		err = voiceflow_reply_alloc(&f->reply, &prm);
	if (!err)
		voiceflow_reply_begin(f->reply);

	return err;
}

static void forget(struct fixture *f)
{
	f->notes[0] = '\0';
	while (f->clipc)
		mem_deref(f->clipv[--f->clipc]);
}

static void tear_down(struct fixture *f)
{
	forget(f);
	mem_deref(f->reply);
	mem_deref(f->loop);
}

static int parse(struct fixture *f, const char *text)
{
	int err = voiceflow_reply_parse(text, strlen(text),
					voiceflow_reply_trace, f->reply);

	return err;
}

/** Take a whole answer; true: the dialog is over */
static bool take(struct fixture *f, const char *text)
{
	voiceflow_reply_begin(f->reply);
	assert_int_equal(parse(f, text), 0);

	return voiceflow_reply_end(f->reply, 0);
}

/* ------------------------------------------------------------- fixtures */

static const struct {
	const char *name;
	int err;
	bool over;
	unsigned ignored;
	const char *acts;
	const char *why; /* of an error's body */
} fixtures[] = {
	{"greeting.json", 0, false, 0,
	 "[say Welcome to Harbour Grill. How can I help?][silence 10000]", ""},
	{"speak-tts-datauri.json", 0, false, 0, "[play clip One moment.]", ""},
	/* an <audio> tag is never read aloud */
	{"speak-audio.json", 0, false, 0,
	 "[play https://cdn.example.com/jingle.mp3 ]", ""},
	{"text.json", 0, false, 0,
	 "[say Hello there!\nWhat can I do for you?]", ""},
	{"choice.json", 0, false, 0, "[say Booking or opening hours?]", ""},
	{"end.json", 0, true, 0, "[say Thank you, goodbye.][hangup]", ""},
	{"end-object.json", 0, true, 0, "[hangup]", ""},
	/* never spoken, and it wins over the end */
	{"transfer.json", 0, true, 0,
	 "[say Please hold while I connect you.][transfer ]", ""},
	{"custom-action.json", 0, true, 0, "[transfer +15550100123]", ""},
	{"unknown.json", 0, false, 15,
	 "[silence 10000][silence 10000][silence 10000][say Still here.]", ""},
	{"empty.json", 0, false, 0, "", ""},
	/* of what is not for callers nothing is heard, "debug" least of all */
	{"multi.json", 0, false, 1, "[say Today we have soup.]", ""},
	{"../voiceflow-verbose-response.json", 0, false, 0,
	 "[say Verbose hello.]", ""},
	{"../voiceflow-v4-response.json", 0, false, 0,
	 "[say Hello from version four.][silence 8000]", ""},
	{"../voiceflow-v4-session.json", EPROTO, false, 0, "", ""},
	{"../voiceflow-error-400.json", EPROTO, false, 0, "",
	 "Voiceflow project was not published to production"},
	{"../voiceflow-error-401.json", EPROTO, false, 0, "",
	 "Auth Key Required"},
	{"../voiceflow-error-404.json", EPROTO, false, 0, "",
	 "Model not found. Ensure project is properly rendered."},
	{"../voiceflow-error-408.txt", EPROTO, false, 0, "",
	 "response timeout"},
	{"../voiceflow-error-429.json", EPROTO, false, 0, "",
	 "rate limit exceeded"},
};

static void fixture_path(char *path, size_t size, const char *name)
{
	if (str_starts(name, "../"))
		(void)snprintf(path, size, DIR "%s", name + 3);
	else
		(void)snprintf(path, size, DIR "voiceflow-traces-%s", name);
}

static void test_fixtures(void **state)
{
	static char buf[FILE_MAX];
	char path[512], why[VOICEFLOW_WHY_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		uint64_t ignored = metrics_counter(M_DIALOG_IGNORED);
		struct fixture f = {0};
		size_t n;
		int err;

		fixture_path(path, sizeof(path), fixtures[i].name);
		n = load(buf, sizeof(buf), path);
		assert_int_equal(set_up(&f, false), 0);
		err = voiceflow_reply_parse(buf, n, voiceflow_reply_trace,
					    f.reply);
		if (err != fixtures[i].err)
			fail_msg("%s: %d", path, err);
		assert_int_equal(voiceflow_reply_end(f.reply, err),
				 fixtures[i].over);
		if (strcmp(f.notes, fixtures[i].acts) != 0)
			fail_msg("%s: %s", path, f.notes);
		if (metrics_counter(M_DIALOG_IGNORED) - ignored !=
		    fixtures[i].ignored)
			fail_msg("%s: ignored %u", path,
				 (unsigned)(metrics_counter(M_DIALOG_IGNORED) -
					    ignored));
		if (err) {
			voiceflow_why(why, buf, n);
			assert_string_equal(why, fixtures[i].why);
		}
		tear_down(&f);
	}
}

/* ---------------------------------------------------- traces one by one */

static const struct {
	const char *trace;
	const char *acts;
} traces[] = {
	{"{\"type\":\"text\",\"payload\":{\"message\":\" \\n\"}}", ""},
	{"{\"type\":\"text\",\"payload\":{\"message\":\"transfer-now\"}}",
	 "[transfer ]"},
	{"{\"type\":\"text\",\"payload\":{\"message\":\"Transfer-now\"}}",
	 "[say Transfer-now]"},
	{"{\"type\":\"text\",\"payload\":{\"message\":\"transfer-now \"}}",
	 "[say transfer-now ]"},
	{"{\"type\":\"speak\",\"payload\":{\"message\":\"Hi\","
	 "\"src\":\"https://h/a.mp3\"}}",
	 "[play https://h/a.mp3 Hi]"},
	{"{\"type\":\"speak\",\"payload\":{\"message\":\"transfer-now\","
	 "\"src\":\"https://h/a.mp3\"}}",
	 "[transfer ]"},
	{"{\"type\":\"speak\",\"payload\":{\"message\":\"Hi\","
	 "\"src\":null}}",
	 "[say Hi]"},
	{"{\"type\":\"speak\",\"payload\":{\"src\":\"https://h/a.mp3\"}}",
	 "[play https://h/a.mp3 ]"},
	/* no base64, no comma: the words are spoken instead */
	{"{\"type\":\"speak\",\"payload\":{\"message\":\"Hi\","
	 "\"src\":\"data:audio/mp3,SUQz\"}}",
	 "[say Hi]"},
	{"{\"type\":\"speak\",\"payload\":{\"message\":\"Hi\","
	 "\"src\":\"data:audio/mp3;base64\"}}",
	 "[say Hi]"},
	{"{\"type\":\"no-reply\",\"payload\":{\"timeout\":2.5}}",
	 "[silence 2500]"},
	{"{\"type\":\"no-reply\",\"payload\":{\"timeout\":0}}",
	 "[silence 10000]"},
	{"{\"type\":\"no-reply\",\"payload\":{\"timeout\":1e-9}}",
	 "[silence 1]"},
	{"{\"type\":\"no-reply\",\"payload\":{\"timeout\":1e300}}",
	 "[silence 600000]"},
	{"{\"type\":\"forward-call\",\"payload\":{\"number\":\"+1\"}}",
	 "[transfer +1]"},
	{"{\"type\":\"forward-call\",\"payload\":\"not JSON\"}",
	 "[transfer ]"},
	{"{\"type\":\"forward-call\"}", "[transfer ]"},
	{"{\"type\":\"channel-action\",\"payload\":{\"name\":\"forward-call\","
	 "\"payload\":\"{\\\"number\\\":\\\"+2\\\"}\"}}",
	 "[transfer +2]"},
	{"{\"type\":\"channel-action\",\"payload\":{\"name\":7}}", ""},
	{"{\"type\":\"DTMF\",\"paths\":[{\"event\":{\"type\":\"DTMF 1\"}}]}",
	 "[collect 1]"},
	{"{\"type\":\"DTMF\",\"paths\":3}", ""},
	{"{\"type\":\"trace\",\"trace\":{\"type\":\"text\",\"payload\":"
	 "{\"message\":\"Wrapped.\"}}}",
	 "[say Wrapped.]"},
	{"{\"type\":\"trace\"}", ""},
	{"{\"type\":\"completion\",\"payload\":{\"state\":\"content\"}}", ""},
	{"{\"type\":\"completion\",\"payload\":{\"state\":\"middle\"}}", ""},
	{"{\"type\":\"audio\",\"payload\":{\"state\":\"content\","
	 "\"content\":\"/w==\"}}",
	 ""}, /* not asked for */
	{"{\"type\":\"interruption\",\"payload\":{\"allowInterrupts\":1}}",
	 ""},
	{"{}", ""},
};

static void test_traces(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(traces); i++) {
		const char *s = traces[i].trace;

		voiceflow_reply_begin(f.reply);
		assert_int_equal(voiceflow_event_parse(s, strlen(s),
						       voiceflow_reply_trace,
						       f.reply),
				 0);
		(void)voiceflow_reply_end(f.reply, 0);
		if (strcmp(f.notes, traces[i].acts) != 0)
			fail_msg("%s: %s", s, f.notes);
		forget(&f);
	}
	tear_down(&f);
}

static void test_nonsense(void **state)
{
	static const char *const bad[] = {"",
					  " ",
					  "null",
					  "3",
					  "\"x\"",
					  "[",
					  "[}",
					  "[1] 2",
					  "{}",
					  "{\"trace\":3}",
					  "{\"trace\":null,\"traces\":{}}",
					  "<html>no</html>",
					  "[\"\\u0000\"]"};
	struct fixture f = {0};
	static char deep[100000];

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (parse(&f, bad[i]) != EPROTO)
			fail_msg("%s", bad[i]);
	memset(deep, '[', sizeof(deep) - 1);
	assert_int_equal(parse(&f, deep), EPROTO);
	assert_int_equal(
		voiceflow_event_parse("[]", 2, voiceflow_reply_trace, f.reply),
		EPROTO);
	assert_string_equal(f.notes, "");
	tear_down(&f);
}

static void test_why(void **state)
{
	static const struct {
		const char *body, *why;
	} tests[] = {
		{"", ""},
		{" \r\n<html>secret page", ""},
		{"{\"error\":\"it broke\"}", "it broke"},
		{"{\"message\":{},\"data\":\"x\"}", "x"},
		{"{\"message\":7}", ""},
		{"\xff oops", "\xef\xbf\xbd oops"},
	};
	char why[VOICEFLOW_WHY_SIZE], longer[1000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		voiceflow_why(why, tests[i].body, strlen(tests[i].body));
		assert_string_equal(why, tests[i].why);
	}
	memset(longer, 'x', sizeof(longer));
	voiceflow_why(why, longer, sizeof(longer));
	assert_int_equal(strlen(why), VOICEFLOW_WHY_SIZE - 1);
}

/* -------------------------------------------------------------- buttons */

static const char *type_of(const json_t *request)
{
	const char *s = json_string_value(json_object_get(request, "type"));

	return s ? s : "-";
}

static void test_buttons(void **state)
{
	static const char buttons[] =
		"[{\"name\":null,\"request\":{\"type\":\"no name\"}},"
		"{\"name\":\"no request\"},7,"
		"{\"name\":\"Booking\",\"request\":{\"type\":\"a\"}},"
		"{\"name\":\"I don't know…\",\"request\":{\"type\":\"b\"}},"
		"{\"name\":\"\\u00deJ\\u00d3NUSTA, takk!\","
		"\"request\":{\"type\":\"c\"}},"
		"{\"name\":\"Press 9 for \\u201csales\\u201d\","
		"\"request\":{\"type\":\"d\"}},"
		"{\"name\":\"Table for 2\",\"request\":{\"type\":\"e\"}},"
		"{\"name\":\"!?\",\"request\":{\"type\":\"f\"}},"
		"{\"name\":\"\\u0414\\u0410 \\ud83d\\ude00\","
		"\"request\":{\"type\":\"g\"}}]";
	static const struct {
		const char *text, *type;
	} tests[] = {
		{"booking", "a"},
		{" BOOKING. ", "a"},
		{"1", "a"},
		{"bookings", "-"},
		{"i dont know", "b"},
		{"I don\xe2\x80\x99t know", "b"},
		{"þjónusta takk", "c"},
		{"3", "c"},
		{"9", "d"},
		{"press 9 for sales", "d"},
		{"4", "-"}, /* that one answers to 9 */
		{"2", "e"}, /* what it says, not where it is */
		{"5", "-"},
		{"6", "f"},
		{"да", "g"},
		{"7", "g"},
		{"8", "-"},
		{"01", "a"},
		{"001", "-"},
		{"18446744073709551617", "-"},
		{"", "-"},
		{"!", "-"},
		{"#", "-"},
		{"no name", "-"},
	};
	json_t *list = json_loads(buttons, 0, NULL), *many = json_array();
	char longer[2000];

	(void)state;
	assert_non_null(list);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const char *type = type_of(
			voiceflow_button(list, tests[i].text));

		if (strcmp(type, tests[i].type) != 0)
			fail_msg("%s: %s", tests[i].text, type);
	}
	assert_null(voiceflow_button(NULL, "booking"));
	assert_null(voiceflow_button(json_object_get(NULL, ""), "1"));

	/* what does not fit is cut, between two characters */
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_null(voiceflow_button(list, longer));
	for (size_t i = 0; i < sizeof(longer) - 2; i += 2)
		memcpy(longer + i, "þ", 2);
	assert_null(voiceflow_button(list, longer));

	for (int i = 0; i < 100; i++)
		json_array_append_new(many,
				      json_pack("{s:s, s:{s:s}}", "name", "x",
						"request", "type", "x"));
	assert_non_null(voiceflow_button(many, "32"));
	assert_null(voiceflow_button(many, "33"));
	json_decref(many);
	json_decref(list);
}

static void test_keys(void **state)
{
	json_t *paths = json_loads("[3,{\"event\":{\"type\":\"DTMF 1\"}},"
				   "{\"event\":{\"type\":\"DTMF #\"}},"
				   "{\"event\":{\"type\":\"else\"}}]",
				   0, NULL);

	(void)state;
	assert_true(voiceflow_has_key(paths, "1"));
	assert_true(voiceflow_has_key(paths, "#"));
	assert_false(voiceflow_has_key(paths, "2"));
	assert_false(voiceflow_has_key(paths, "else"));
	assert_false(voiceflow_has_key(NULL, "1"));
	json_decref(paths);
}

/* The newest answer's buttons; an answer that brings nothing keeps them */
static void test_what_is_remembered(void **state)
{
	static const char text[] =
		"[{\"type\":\"text\",\"payload\":{\"message\":\"x\"}}]";
	static const char choice[] =
		"[{\"type\":\"choice\",\"payload\":{\"buttons\":[]}}]";
	static const char keys[] = "[{\"type\":\"DTMF\",\"paths\":[]}]";
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	assert_null(voiceflow_reply_buttons(f.reply));
	(void)take(&f, choice);
	assert_non_null(voiceflow_reply_buttons(f.reply));
	(void)take(&f, "[]");
	assert_non_null(voiceflow_reply_buttons(f.reply));
	(void)take(&f, keys);
	assert_null(voiceflow_reply_buttons(f.reply));
	assert_non_null(voiceflow_reply_paths(f.reply));
	(void)take(&f, text);
	assert_null(voiceflow_reply_paths(f.reply));

	/* of an answer that nobody wants, too: the dialog is there now */
	forget(&f);
	voiceflow_reply_begin(f.reply);
	voiceflow_reply_mute(f.reply);
	assert_int_equal(parse(&f, choice), 0);
	assert_int_equal(parse(&f, text), 0);
	(void)voiceflow_reply_end(f.reply, 0);
	assert_non_null(voiceflow_reply_buttons(f.reply));
	assert_string_equal(f.notes, "");
	tear_down(&f);
}

static void test_interruption_lasts(void **state)
{
	static const char text[] =
		"[{\"type\":\"text\",\"payload\":{\"message\":\"x\"}}]";
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	(void)take(&f, text);
	assert_false(f.uninterruptible);
	(void)take(&f, "[{\"type\":\"interruption\",\"payload\":"
		       "{\"allowInterrupts\":false}}]");
	(void)take(&f, text);
	assert_true(f.uninterruptible);
	(void)take(&f, "[{\"type\":\"interruption\",\"payload\":"
		       "\"{\\\"allowInterrupts\\\":true}\"},"
		       "{\"type\":\"text\",\"payload\":{\"message\":\"x\"}}]");
	assert_false(f.uninterruptible);
	tear_down(&f);
}

static void test_transfer_comes_last_and_the_first_counts(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	assert_true(take(
		&f,
		"[{\"type\":\"end\"},"
		"{\"type\":\"forward-call\",\"payload\":{\"number\":\"+1\"}},"
		"{\"type\":\"text\",\"payload\":{\"message\":"
		"\"transfer-now\"}},"
		"{\"type\":\"text\",\"payload\":{\"message\":\"Bye.\"}}]"));
	assert_string_equal(f.notes, "[say Bye.][transfer +1]");
	tear_down(&f);
}

/* ------------------------------------------------------- being written */

static void push(struct fixture *f, const char *type, const char *state,
		 const char *content)
{
	json_t *j = json_pack("{s:s, s:{s:s, s:s*}}", "type", type, "payload",
			      "state", state, "content", content);
	char *s = json_dumps(j, 0);

	assert_non_null(s);
	assert_int_equal(voiceflow_event_parse(s, strlen(s),
					       voiceflow_reply_trace,
					       f->reply),
			 0);
	mem_raw_free(s);
	json_decref(j);
}

static void test_sentences_as_they_come(void **state)
{
	static const struct {
		const char *state, *content, *acts;
	} steps[] = {
		{"start", NULL, ""},
		{"content", "We", ""},
		{"content", "lcome!", ""},
		{"content", " The price is 3", "[say Welcome!]"},
		{"content", ".", ""},
		{"content", "5 euros. On the 3. ",
		 "[say The price is 3.5 euros.]"},
		{"content", "ma\xc3\xad. So", "[say On the 3. ma\xc3\xad.]"},
		{"end", NULL, "[say So]"},
		{"end", NULL, ""},
		/* one that lacks its end does not swallow the next */
		{"start", NULL, ""},
		{"content", "Cut", ""},
		{"start", NULL, "[say Cut]"},
		{"content", " \n", ""},
		{"end", NULL, ""},
		{"start", NULL, ""},
		{"content", "transfer-now", ""},
		{"end", NULL, ""},
	};
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		push(&f, "completion", steps[i].state, steps[i].content);
		if (strcmp(f.notes, steps[i].acts) != 0)
			fail_msg("%zu: %s", i, f.notes);
		forget(&f);
	}
	assert_true(voiceflow_reply_end(f.reply, 0));
	assert_string_equal(f.notes, "[transfer ]");
	tear_down(&f);
}

static void test_older_spelling(void **state)
{
	static const char *const pieces[] = {
		"{\"type\":\"trace\",\"trace\":{\"type\":\"completion-start\","
		"\"payload\":{\"completion\":\"Welcome. How\"}}}",
		"{\"type\":\"trace\",\"trace\":{\"type\":"
		"\"completion-continue\","
		"\"payload\":{\"completion\":\" are you?\"}}}",
		"{\"type\":\"trace\",\"trace\":{\"type\":\"completion-end\","
		"\"payload\":{}}}",
	};
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++)
		assert_int_equal(
			voiceflow_event_parse(pieces[i], strlen(pieces[i]),
					      voiceflow_reply_trace, f.reply),
			0);
	assert_string_equal(f.notes, "[say Welcome.][say How are you?]");
	tear_down(&f);
}

/* A megabyte in one piece would keep the loop for seconds */
static void test_too_much_at_once(void **state)
{
	uint64_t ignored = metrics_counter(M_DIALOG_IGNORED);
	struct fixture f = {0};
	char *flood;

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	flood = calloc(1, DIALOG_TEXT_MAX + 2);
	memset(flood, 'a', DIALOG_TEXT_MAX + 1);
	push(&f, "completion", "content", "Before. ");
	push(&f, "completion", "content", flood);
	push(&f, "completion", "content", "After.");
	assert_false(voiceflow_reply_end(f.reply, 0));
	assert_string_equal(f.notes, "[say Before.][say After.]");
	assert_int_equal(metrics_counter(M_DIALOG_IGNORED) - ignored, 1);
	free(flood);
	tear_down(&f);
}

/* A whole text in between, and an answer that is cut: nothing is lost */
static void test_order_is_kept(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, false), 0);
	push(&f, "completion", "content", "Half");
	assert_int_equal(
		parse(&f,
		      "[{\"type\":\"text\",\"payload\":{\"message\":\"B\"}},"
		      "{\"type\":\"completion\",\"payload\":{\"state\":"
		      "\"content\",\"content\":\"C\"}},"
		      "{\"type\":\"speak\",\"payload\":{\"type\":\"audio\","
		      "\"src\":\"https://h/d\"}},"
		      "{\"type\":\"completion\",\"payload\":{\"state\":"
		      "\"content\",\"content\":\"E\"}}]"),
		0);
	assert_false(voiceflow_reply_end(f.reply, ECONNRESET));
	assert_string_equal(
		f.notes, "[say Half][say B][say C][play https://h/d ][say E]");
	tear_down(&f);
}

/* ---------------------------------------------------------------- audio */

static void push_audio(struct fixture *f, size_t n)
{
	uint8_t ulaw[480];
	char base64[BASE64_LEN(sizeof(ulaw)) + 1];

	memset(ulaw, 0x55, sizeof(ulaw));
	base64[base64_encode(base64, ulaw, n)] = '\0';
	push(f, "audio", "content", base64);
}

static void push_text(struct fixture *f, const char *text)
{
	json_t *j = json_pack("[{s:s, s:{s:s}}]", "type", "text", "payload",
			      "message", text);
	char *s = json_dumps(j, 0);

	assert_int_equal(parse(f, s), 0);
	mem_raw_free(s);
	json_decref(j);
}

static void test_clip_grows(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, true), 0);
	push_text(&f, "One.");
	push(&f, "audio", "start", NULL);
	assert_string_equal(f.notes, "");
	push_audio(&f, 160);
	assert_string_equal(f.notes, "[play clip One.]");
	assert_int_equal(clip_len(f.clipv[0]), 160);
	push_audio(&f, 161);
	push(&f, "audio", "content", "no base64");
	push(&f, "audio", "content", "");
	assert_int_equal(clip_len(f.clipv[0]), 321);
	assert_false(clip_is_ended(f.clipv[0]));
	push(&f, "audio", "end", NULL);
	assert_true(clip_is_ended(f.clipv[0]));
	assert_int_equal(clip_error(f.clipv[0]), 0);

	/* the words may come behind their audio; without it, we speak them */
	push(&f, "audio", "start", NULL);
	push_audio(&f, 160);
	push_text(&f, "Two.");
	push_text(&f, "Three.");
	push_text(&f, "Four.");
	assert_string_equal(f.notes, "[play clip One.][play clip ]");
	assert_false(voiceflow_reply_end(f.reply, ECONNRESET));
	assert_string_equal(f.notes, "[play clip One.][play clip ]"
				     "[say Three.][say Four.]");
	assert_int_equal(clip_error(f.clipv[1]), ECONNRESET);
	tear_down(&f);
}

/* Their voice has spoken the command, too */
static void test_transfer_is_not_heard(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, true), 0);
	push_text(&f, "One.");
	push_text(&f, "transfer-now");
	push(&f, "audio", "start", NULL);
	push_audio(&f, 160);
	push(&f, "audio", "end", NULL);
	push(&f, "audio", "start", NULL);
	push_audio(&f, 160);
	push(&f, "audio", "end", NULL);
	push_text(&f, "Three.");
	push_audio(&f, 160); /* without a start */
	push(&f, "audio", "end", NULL);
	assert_true(voiceflow_reply_end(f.reply, 0));
	assert_string_equal(f.notes, "[play clip One.][play clip Three.]"
				     "[transfer ]");
	tear_down(&f);
}

static void test_audio_that_nobody_wants(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(set_up(&f, true), 0);
	push_audio(&f, 160);
	voiceflow_reply_mute(f.reply);
	push_audio(&f, 160);
	assert_int_equal(clip_len(f.clipv[0]), 160);
	voiceflow_reply_begin(f.reply);
	assert_int_equal(clip_error(f.clipv[0]), ECANCELED);

	/* another encoding than was asked for */
	forget(&f);
	assert_int_equal(parse(&f,
			       "[{\"type\":\"audio\",\"payload\":{\"state\":"
			       "\"content\",\"content\":\"/w==\","
			       "\"encoding\":\"audio/mp3\"}}]"),
			 0);
	assert_string_equal(f.notes, "");

	/* dropped while one arrives */
	push_audio(&f, 160);
	f.reply = mem_deref(f.reply);
	assert_true(clip_is_ended(f.clipv[0]));
	tear_down(&f);
}

static void test_endless_audio(void **state)
{
	enum { PIECE = 400000 };
	static char base64[PIECE + 1];
	struct fixture f = {0};

	(void)state;
	memset(base64, '/', PIECE);
	assert_int_equal(set_up(&f, true), 0);
	for (int i = 0; i < 20; i++)
		push(&f, "audio", "content", base64);
	assert_int_equal(clip_len(f.clipv[0]), VOICEFLOW_AUDIO_MAX_S * 8000);
	assert_int_equal(clip_error(f.clipv[0]), EOVERFLOW);
	assert_int_equal(f.clipc, 1);
	tear_down(&f);
}

/* --------------------------------------------------------------- data: */

/** A data: URI of a file */
static char *data_uri(const char *type, const char *path)
{
	static char file[1 << 20];
	size_t n = load(file, sizeof(file), path);
	size_t size = BASE64_LEN(n) + 64;
	char *uri = malloc(size);
	int len;

	assert_non_null(uri);
	len = snprintf(uri, size, "data:%s;base64,", type);
	uri[(size_t)len + base64_encode(uri + len, (uint8_t *)file, n)] = '\0';

	return uri;
}

static void wait_for(struct fixture *f, const struct clip *clip)
{
	while (!clip_is_ended(clip))
		loop_turn(f->loop, true);
}

static void test_data_uris(void **state)
{
	struct fixture f = {0};
	struct clip *clip = NULL;
	char *wav = data_uri("audio/wav;rate=8000", DATA_DIR "/audio/yes.wav");
	char *mp3 = data_uri("audio/mp3", DATA_DIR "/masdif/answer.mp3");
	char *html = data_uri("audio/mp3", DATA_DIR
			      "/masdif/masdif-error-generic-500.html");
	char *cut = strdup(wav);
	const struct {
		const char *uri;
		size_t max;
		int err;      /* at once */
		int clip_err; /* in the end */
		size_t least;
	} tests[] = {
		{wav, 1 << 20, 0, 0, 2000},
		{mp3, 1 << 20, 0, 0, 2000},
		{html, 1 << 20, 0, EBADMSG, 0},
		{cut, 1 << 20, 0, EBADMSG, 1000}, /* heard as far as it goes */
		{"DATA:;BASE64,", 100, 0, ENODATA, 0},
		{"data:audio/mp3;base64,SUQzBAAAAAAAAA==", 100, 0, EBADMSG, 0},
		{"data:audio/mp3;base64,%%%%", 100, 0, EBADMSG, 0},
		{"data:audio/mp3;base64,AAA", 24, EOVERFLOW, 0, 0},
		{"data:audio/mp3,AAAA", 100, EBADMSG, 0, 0},
		{"data:", 100, EBADMSG, 0, 0},
		{"data:,", 100, EBADMSG, 0, 0},
		{wav, 1000, EOVERFLOW, 0, 0},
	};

	(void)state;
	assert_non_null(cut);
	cut[strcspn(cut, ",") + 1 + strlen(cut) / 8 * 4] = '\0';
	assert_int_equal(set_up(&f, false), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		int err = data_uri_decode(&clip, &f.net, tests[i].uri,
					  tests[i].max, 60000);

		if (err != tests[i].err)
			fail_msg("%zu: %d", i, err);
		if (err)
			continue;
		wait_for(&f, clip);
		if (clip_error(clip) != tests[i].clip_err ||
		    clip_len(clip) < tests[i].least)
			fail_msg("%zu: %d, %zu samples", i, clip_error(clip),
				 clip_len(clip));
		mem_deref(clip);
	}

	/* longer than allowed: what fits is heard */
	assert_int_equal(data_uri_decode(&clip, &f.net, wav, 1 << 20, 100), 0);
	wait_for(&f, clip);
	assert_int_equal(clip_error(clip), EOVERFLOW);
	assert_int_equal(clip_len(clip), 800);
	mem_deref(clip);

	/* dropped while it is decoded, and the loop with it */
	assert_int_equal(data_uri_decode(&clip, &f.net, mp3, 1 << 20, 60000),
			 0);
	mem_deref(clip);
	tear_down(&f);
	free(cut);
	free(wav);
	free(mp3);
	free(html);
}

static void test_absurd_data_uri_is_spoken(void **state)
{
	static const char head[] =
		"[{\"type\":\"speak\",\"payload\":{\"message\":\"Hi.\","
		"\"src\":\"data:audio/mp3;base64,";
	static const char tail[] = "\"}}]";
	static char s[VOICEFLOW_AUDIO_MAX_BYTES + 1000];
	uint64_t failed = metrics_counter(M_AUDIO_FAILED);
	struct fixture f = {0};

	(void)state;
	memset(s, 'A', sizeof(s));
	memcpy(s, head, strlen(head));
	memcpy(s + sizeof(s) - sizeof(tail), tail, sizeof(tail));
	assert_int_equal(set_up(&f, false), 0);
	assert_int_equal(parse(&f, s), 0);
	assert_string_equal(f.notes, "[say Hi.]");
	assert_int_equal(metrics_counter(M_AUDIO_FAILED), failed + 1);
	tear_down(&f);
}

/* ----------------------------------------------------------- no memory */

/* What could not be kept or made for want of memory is left out, and the
 * answer goes on; only an answer that could not be read is an error */
static int memory_body(void *arg)
{
	static const char more[] =
		"[{\"type\":\"completion\",\"payload\":{\"state\":"
		"\"content\",\"content\":\"One. Two\"}},"
		"{\"type\":\"speak\",\"payload\":{\"message\":\"x\",\"src\":"
		"\"data:audio/mp3;base64,SUQzBAAAAAAAAA==\"}},"
		"{\"type\":\"forward-call\",\"payload\":"
		"\"{\\\"number\\\":\\\"+1\\\"}\"},"
		"{\"type\":\"audio\",\"payload\":{\"state\":\"content\","
		"\"content\":\"////\"}}]";
	struct fixture f = {0};
	int err = set_up(&f, *(bool *)arg);

	if (!err)
		err = parse(&f, more);
	if (!err)
		(void)voiceflow_reply_end(f.reply, 0);
	if (!err &&
	    (strstr(f.notes, "[say x]") || !strstr(f.notes, "[transfer +1]") ||
	     !strstr(f.notes, "Two]")))
		err = ENOMEM;
	for (size_t i = 0; i < f.clipc; i++) {
		wait_for(&f, f.clipv[i]);
		if (clip_error(f.clipv[i]) == ENOMEM)
			err = ENOMEM;
	}
	tear_down(&f);

	/* jansson reports some failed allocations as bad JSON */
	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	bool audio = false;

	(void)state;
	oom_loop(memory_body, &audio);
	audio = true;
	oom_loop(memory_body, &audio);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_traces),
		cmocka_unit_test(test_nonsense),
		cmocka_unit_test(test_why),
		cmocka_unit_test(test_buttons),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_what_is_remembered),
		cmocka_unit_test(test_interruption_lasts),
		cmocka_unit_test(
			test_transfer_comes_last_and_the_first_counts),
		cmocka_unit_test(test_sentences_as_they_come),
		cmocka_unit_test(test_too_much_at_once),
		cmocka_unit_test(test_older_spelling),
		cmocka_unit_test(test_order_is_kept),
		cmocka_unit_test(test_clip_grows),
		cmocka_unit_test(test_transfer_is_not_heard),
		cmocka_unit_test(test_audio_that_nobody_wants),
		cmocka_unit_test(test_endless_audio),
		cmocka_unit_test(test_data_uris),
		cmocka_unit_test(test_absurd_data_uri_is_spoken),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

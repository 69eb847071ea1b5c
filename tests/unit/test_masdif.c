#include <jansson.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/str.h>
#include "../../src/dialog/masdif.h"
#include "fake_http.h"
#include "json_file.h"
#include "net_fixture.h"
#include "peer.h"

#define DIR DATA_DIR "/masdif/"
#define ID  "6fb1c35e-2d0a-4f4b-9a6e-52b8d1f4e7a9"
#define SRC                                                                   \
	"/rails/active_storage/blobs/redirect/"                               \
	"eyJfcmFpbHMiOnsibWVzc2FnZSI6IkJBaHBBZz09IiwiZXhwIjpudWxsLCJwdXIiOiJ" \
	"ibG9iX2lkIn19--3f2a9c0d41e6b7785a10c3d2e4f5968710abcdef/"
#define CLIP  SRC "9b1f6a0c2d3e4f5061728394a5b6c7d8e9f00112.mp3"
#define CLIP2 SRC "21100f9e8d7c6b5a4938271605f4e3d2c0a6f1b9.mp3"

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

/* --------------------------------------------------------------- parser */

static const struct {
	const char *name;
	int err;
	const char *text;
	size_t textc;
	const char *srcv[3];
} replies[] = {
	{"masdif-reply-audio.json",
	 0,
	 "Sundlaugin opnar klukkan hálf sjö. "
	 "Get ég aðstoðað þig með eitthvað fleira?",
	 2,
	 {CLIP}},
	{"masdif-reply-absolute.json",
	 0,
	 "Góðan dag!",
	 1,
	 {"http://masdif.example:8080" CLIP}},
	{"masdif-reply-foreign-host.json",
	 0,
	 "Góðan dag!",
	 1,
	 {"http://192.0.2.77/clip.mp3"}},
	{"masdif-reply-empty.json", 0, "", 0, {NULL}},
	{"masdif-reply-empty-list.json", 0, "", 0, {NULL}},
	{"masdif-reply-null-attachment.json", 0, "Augnablik.", 1, {NULL}},
	{"masdif-reply-null-data.json", 0, "Augnablik.", 1, {NULL}},
	{"masdif-reply-multi-attachment.json",
	 0,
	 "Hér er kort af svæðinu.",
	 1,
	 {CLIP, CLIP2}},
	{"masdif-reply-buttons.json",
	 0,
	 "Viltu fá samband við þjónustuver?",
	 1,
	 {NULL}},
	{"masdif-reply-tts-off.json",
	 0,
	 "Fyrra svar. Seinna svar.",
	 2,
	 {NULL}},
	{"masdif-reply-text-null.json", 0, "", 0, {CLIP}},
	{"masdif-reply-unknown-keys.json", 0, "Sjáðu þetta.", 1, {CLIP}},
	{"masdif-reply-html-escapes.json",
	 0,
	 "Verð < 500 kr. & frítt fyrir börn > 0 ára\u2028",
	 1,
	 {CLIP "?a=1&b=2"}},
	{"masdif-reply-payload-oddities.json", 0, "Skrítið.", 1, {CLIP}},
	{"masdif-reply-root-object.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-reply-elements-not-objects.json",
	 0,
	 "Þessi gildir.",
	 1,
	 {CLIP}},
	{"masdif-error-generic-500.html", EPROTO, NULL, 0, {NULL}},
	{"masdif-error-dialog-system.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-error-generic-500.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-error-message-id.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-create-rasa-error.json", EPROTO, NULL, 0, {NULL}},
	/* what a proxy that mixes up its answers would give */
	{"masdif-health-ok.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-health-down.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-info.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-info-motd-odd.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-info-motd-true.json", EPROTO, NULL, 0, {NULL}},
	{"masdif-info-unsupported-language.json", EPROTO, NULL, 0, {NULL}},
};

static void test_replies(void **state)
{
	char buf[FILE_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(replies); i++) {
		struct masdif_reply *r;
		size_t n = load(buf, replies[i].name), srcc = 0;
		int err = masdif_reply_parse(&r, buf, n);

		if (err != replies[i].err)
			fail_msg("%s: %d", replies[i].name, err);
		if (err)
			continue;

		assert_string_equal(r->text, replies[i].text);
		assert_int_equal(r->textc, replies[i].textc);
		for (; replies[i].srcv[srcc]; srcc++) {
			assert_true(srcc < r->srcc);
			assert_string_equal(r->srcv[srcc],
					    replies[i].srcv[srcc]);
		}
		assert_int_equal(r->srcc, srcc);
		mem_deref(r);
	}
}

static void test_nonsense_and_many(void **state)
{
	static const char *const bad[] = {"",   " ", "null",  "[",
					  "[}", "3", "\"x\"", "[1] 2"};
	struct masdif_reply *r = NULL;
	json_t *attachments = json_array();
	json_t *root;
	char *text;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(
			masdif_reply_parse(&r, bad[i], strlen(bad[i])),
			EPROTO);
	assert_null(r);

	for (int i = 0; i < 100; i++)
		json_array_append_new(attachments,
				      json_pack("{s:s, s:{s:s}}", "type",
						"audio", "payload", "src",
						"x"));
	root = json_pack("[{s:s, s:{s:o}}]", "text", "  ", "data",
			 "attachment", attachments);
	text = json_dumps(root, 0);
	json_decref(root);
	assert_int_equal(masdif_reply_parse(&r, text, strlen(text)), 0);
	assert_int_equal(r->srcc, MASDIF_AUDIO_MAX);
	mem_raw_free(text);
	assert_int_equal(r->textc, 0);
	mem_deref(r);
}

static void test_ids(void **state)
{
	static const struct {
		const char *body;
		int err;
	} tests[] = {
		{"{\"conversation_id\":\"" ID "\"}", 0},
		{"{\"conversation_id\":\"\"}", EPROTO},
		{"{\"conversation_id\":\"../../x\"}", EPROTO},
		{"{\"conversation_id\":\"a?b\"}", EPROTO},
		{"{\"conversation_id\":null}", EPROTO},
		{"{\"conversation_id\":7}", EPROTO},
		{"{\"error\":\"Rasa server error\"}", EPROTO},
		{"[]", EPROTO},
		{"<html>", EPROTO},
		{"", EPROTO},
	};
	char id[DIALOG_ID_MAX], longer[512];
	int n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		assert_int_equal(masdif_id_parse(id, tests[i].body,
						 strlen(tests[i].body)),
				 tests[i].err);
	assert_int_equal(
		masdif_id_parse(id, tests[0].body, strlen(tests[0].body)), 0);
	assert_string_equal(id, ID);
	n = snprintf(longer, sizeof(longer),
		     "{\"conversation_id\":\"%0200d\"}", 1);
	assert_int_equal(masdif_id_parse(id, longer, (size_t)n), EPROTO);
}

static void test_requests(void **state)
{
	static const struct {
		struct dialog_turn turn;
		int err;
		const char *body;
	} tests[] = {
		{{.text = "já \"takk\"",
		  .language = "is-IS",
		  .kind = DIALOG_SPEECH},
		 0,
		 "{\"text\":\"já \\\"takk\\\"\",\"metadata\":"
		 "{\"asr_generated\":true,\"language\":\"is-IS\"}}"},
		{{.text = " / /restart",
		  .language = "",
		  .kind = DIALOG_SPEECH},
		 0,
		 "{\"text\":\"restart\",\"metadata\":"
		 "{\"asr_generated\":true}}"},
		{{.text = "/dtmf{\"d\":1}", .language = "en-US"},
		 0,
		 "{\"text\":\"/dtmf{\\\"d\\\":1}\",\"metadata\":"
		 "{\"asr_generated\":false,\"language\":\"en-US\"}}"},
		{{.text = "nei",
		  .kind = DIALOG_SPEECH,
		  .interrupted = true,
		  .heard_ms = 700,
		  .heard = "Viltu"},
		 0,
		 "{\"text\":\"nei\",\"metadata\":"
		 "{\"asr_generated\":true,\"interrupted\":true,"
		 "\"heard_ms\":700,\"heard\":\"Viltu\"}}"},
		{{.text = "//  /", .kind = DIALOG_SPEECH}, ENODATA, NULL},
		{{.text = ""}, ENODATA, NULL},
		{{.text = "\xff", .kind = DIALOG_SPEECH}, EINVAL, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char *body = NULL;

		assert_int_equal(masdif_request_print(&body, &tests[i].turn),
				 tests[i].err);
		if (tests[i].body)
			assert_string_equal(body, tests[i].body);
		mem_deref(body);
	}
}

/* The same members as Masdif's manual has, but for `tts`: absent is on */
static void test_request_of_the_fixture(void **state)
{
	json_t *want = json_file(DIR "masdif-message-request.json"), *sent;
	const struct dialog_turn turn = {
		.text = json_string_value(json_object_get(want, "text")),
		.language = "is-IS",
		.kind = DIALOG_SPEECH,
	};
	char *body;

	(void)state;
	assert_int_equal(masdif_request_print(&body, &turn), 0);
	sent = json_loads(body, 0, NULL);
	json_object_del(json_object_get(want, "metadata"), "tts");
	assert_true(json_equal(sent, want));
	json_decref(sent);
	json_decref(want);
	mem_deref(body);
}

/* Where audio is sent on to holds what looks like an escape and is none */
static void test_redirect_of_the_fixture(void **state)
{
	char buf[FILE_MAX], *location, *url;

	(void)state;
	(void)load(buf, "masdif-audio-redirect.http");
	location = strstr(buf, "Location: ");
	assert_non_null(location);
	location += strlen("Location: ");
	location[strcspn(location, "\r\n")] = '\0';
	assert_int_equal(
		url_resolve(&url, "http://masdif.example:8080/x", location),
		0);
	assert_string_equal(url, location);
	mem_deref(url);
}

/* jansson reports some failed allocations as bad JSON */
static int parse_body(void *arg)
{
	struct dialog_turn turn = {.text = "já", .language = "is-IS"};
	struct masdif_reply *r = NULL;
	char *body = NULL;
	int err = masdif_reply_parse(&r, arg, strlen(arg));

	if (!err)
		err = masdif_request_print(&body, &turn);
	mem_deref(r);
	mem_deref(body);

	return err ? ENOMEM : 0;
}

static void test_parser_out_of_memory(void **state)
{
	char buf[FILE_MAX];

	(void)state;
	(void)load(buf, "masdif-reply-multi-attachment.json");
	oom_loop(parse_body, buf);
}

/* -------------------------------------------------------------- session */

struct fixture {
	struct net net;
	struct tmr *watchdog;
	struct dialog *dialog;
	struct dialog_session *session;
	struct fake_http server;
	struct peer peer;

	int opened, done, acts;
	int open_err, done_err;
	bool drop_in_act, cancel_in_act, drop_in_open, mumble_in_open;
	char id[DIALOG_ID_MAX];
	char said[2048];   /* "[text]" of each */
	char played[2048]; /* "[url|text|origin]" of each */
};

/* What the faulty server shall do, and what it saw */
static struct {
	pthread_mutex_t lock;
	const char *reply; /* file of tests/data/masdif */
	int create_errors, gone, status;
	atomic_bool hang;
	int creations;
	atomic_int turns;
	char head[4096], body[4096];
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	static char buf[FILE_MAX];
	bool create = !strcmp(path, "/pre/conversations");
	size_t n;

	(void)f;
	pthread_mutex_lock(&world.lock);
	str_copy(world.head, sizeof(world.head), head);
	str_copy(world.body, sizeof(world.body), body);
	if (create && ++world.creations <= world.create_errors)
		fake_answer(fd, 500, "", "{\"error\":\"Rasa\"}", 16);
	else if (create) {
		n = load(buf, "masdif-create-response.json");
		fake_answer(fd, 200, "", buf, n);
	} else if (++world.turns <= world.gone) {
		n = load(buf, "masdif-error-conversation-not-found.json");
		fake_answer(fd, 404, "", buf, n);
	} else if (!world.hang) {
		n = load(buf, world.reply);
		fake_answer(fd, world.status, "", buf, n);
	}
	pthread_mutex_unlock(&world.lock);

	return true;
}

static int say(struct fixture *f, const char *text)
{
	const struct dialog_turn turn = {
		.text = text, .language = "is-IS", .kind = DIALOG_SPEECH};

	return dialog_masdif.turn(f->session, &turn);
}

static void open_handler(int err, const char *conversation, void *arg)
{
	struct fixture *f = arg;

	++f->opened;
	f->open_err = err;
	str_copy(f->id, sizeof(f->id), conversation);
	if (f->drop_in_open)
		f->session = mem_deref(f->session);
	if (f->mumble_in_open)
		assert_int_equal(say(f, " // "), 0);
}

static void add(char *dst, size_t size, const char *a, const char *b,
		const char *c)
{
	size_t n = strlen(dst);

	(void)snprintf(dst + n, size - n, "[%s|%s|%s]", a, b, c);
}

static void act_handler(const struct dialog_act *act, void *arg)
{
	struct fixture *f = arg;

	++f->acts;
	if (act->type == DIALOG_SAY)
		add(f->said, sizeof(f->said), act->text, "", "");
	else
		add(f->played, sizeof(f->played), act->url, act->text,
		    act->origin);
	if (f->drop_in_act)
		f->session = mem_deref(f->session);
	if (f->cancel_in_act)
		dialog_masdif.cancel(f->session);
}

static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	++f->done;
	f->done_err = err;
}

static const struct dialog_handlers handlers = {
	.openh = open_handler,
	.acth = act_handler,
	.doneh = done_handler,
};

static int set_up_net(struct fixture *f, const char *url, uint32_t timeout_ms)
{
	struct dialog_param prm = {
		.url = url,
		.language = "is-IS",
		.timeout_ms = timeout_ms,
	};
	int err = net_open(&f->net, &f->watchdog);

	if (!err)
		err = dialog_alloc(&f->dialog, &prm, &f->net);

	return err;
}

static void tear_down_net(struct fixture *f)
{
	mem_deref(f->session);
	mem_deref(f->dialog);
	net_close(&f->net, &f->watchdog);
}

static void start(struct fixture *f, uint32_t timeout_ms)
{
	char url[128];

	(void)snprintf(url, sizeof(url), "masdif+%s/pre/", f->server.url);
	assert_int_equal(set_up_net(f, url, timeout_ms), 0);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	world.reply = "masdif-reply-audio.json";
	world.create_errors = world.gone = world.creations = 0;
	world.turns = 0;
	world.status = 200;
	world.hang = false;
	fake_http_open(&f.server, serve, NULL);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tear_down_net(f);
	fake_http_close(&f->server);

	return 0;
}

static void run_until(struct fixture *f, const int *n, int want)
{
	while (*n < want)
		loop_turn(f->net.loop, true);
}

static int open_session(struct fixture *f)
{
	const struct dialog_call call = {.call_id = "CA1"};

	return dialog_masdif.open(&f->session, f->dialog, &call, &handlers, f);
}

static void converse(struct fixture *f, const char *text)
{
	int n = f->done;

	assert_int_equal(say(f, text), 0);
	assert_int_equal(say(f, text), EBUSY);
	assert_int_equal(f->done, n);
	run_until(f, &f->done, n + 1);
}

static void begin(struct fixture *f, uint32_t timeout_ms)
{
	start(f, timeout_ms);
	assert_int_equal(open_session(f), 0);
	assert_int_equal(f->opened, 0);
	run_until(f, &f->opened, 1);
}

static void test_a_turn(void **state)
{
	struct fixture *f = *state;
	char expected[2048];

	begin(f, TIMEOUT_MS);
	assert_int_equal(f->open_err, 0);
	assert_string_equal(f->id, ID);
	assert_true(str_starts(world.head, "POST /pre/conversations HTTP"));
	assert_string_equal(world.body, "{}");

	converse(f, "/hvenær opnar sundlaugin");
	assert_int_equal(f->done_err, 0);
	assert_true(str_starts(world.head, "PUT /pre/conversations/" ID " "));
	assert_non_null(
		strstr(world.head, "\r\nAccept: application/json\r\n"));
	assert_non_null(
		strstr(world.head, "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(world.body,
			    "{\"text\":\"hvenær opnar sundlaugin\",\"metadata"
			    "\":{\"asr_generated\":true,\"language\":\"is-IS\""
			    "}}");
	(void)snprintf(expected, sizeof(expected), "[%s%s|%s|%s]",
		       f->server.url, CLIP,
		       "Sundlaugin opnar klukkan hálf sjö. Get ég aðstoðað "
		       "þig með eitthvað fleira?",
		       f->server.url);
	assert_string_equal(f->played, expected);
	assert_string_equal(f->said, "");
}

static void test_texts_without_audio_and_several_audios(void **state)
{
	struct fixture *f = *state;
	char expected[2048];

	world.reply = "masdif-reply-tts-off.json";
	begin(f, TIMEOUT_MS);
	converse(f, "já");
	assert_string_equal(f->said, "[Fyrra svar.||][Seinna svar.||]");
	assert_string_equal(f->played, "");

	f->said[0] = '\0';
	world.reply = "masdif-reply-multi-attachment.json";
	converse(f, "já");
	(void)snprintf(expected, sizeof(expected),
		       "[%s%s|Hér er kort af svæðinu.|%s][%s%s||%s]",
		       f->server.url, CLIP, f->server.url, f->server.url,
		       CLIP2, f->server.url);
	assert_string_equal(f->played, expected);
	assert_string_equal(f->said, "");

	world.reply = "masdif-reply-empty.json";
	f->acts = 0;
	converse(f, "já");
	assert_int_equal(f->done_err, 0);
	assert_int_equal(f->acts, 0);
}

static void test_foreign_host_keeps_its_text(void **state)
{
	struct fixture *f = *state;
	char expected[512];

	world.reply = "masdif-reply-foreign-host.json";
	begin(f, TIMEOUT_MS);
	converse(f, "já");
	(void)snprintf(expected, sizeof(expected),
		       "[http://192.0.2.77/clip.mp3|Góðan dag!|%s]",
		       f->server.url);
	assert_string_equal(f->played, expected);
}

static void test_nothing_to_say(void **state)
{
	struct fixture *f = *state;

	begin(f, TIMEOUT_MS);
	assert_int_equal(say(f, " // "), 0);
	assert_int_equal(f->done, 0);
	loop_turn(f->net.loop, false);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->done_err, 0);
	assert_int_equal(world.turns, 0);
	/* dropped before it has ended */
	assert_int_equal(say(f, "/"), 0);
	f->session = mem_deref(f->session);
	loop_turn(f->net.loop, false);
	assert_int_equal(f->done, 1);
}

/* In the turn of the loop in which the conversation is created */
static void test_nothing_to_say_while_opening(void **state)
{
	struct fixture *f = *state;

	f->mumble_in_open = true;
	begin(f, 5000);
	loop_turn(f->net.loop, false);
	assert_int_equal(f->done, 1);
	assert_int_equal(f->done_err, 0);
	assert_int_equal(world.turns, 0);
	converse(f, "já");
	assert_int_equal(f->acts, 1);
}

static void test_conversation_is_gone(void **state)
{
	struct fixture *f = *state;

	world.gone = 1;
	begin(f, TIMEOUT_MS);
	converse(f, "já");
	assert_int_equal(f->done_err, 0);
	assert_int_equal(world.creations, 2);
	assert_int_equal(world.turns, 2);
	assert_int_equal(f->acts, 1);
	assert_int_equal(f->opened, 1);

	world.gone = 100; /* only once in a turn */
	converse(f, "já");
	assert_int_equal(f->done_err, EREMOTEIO);
	assert_int_equal(world.creations, 3);
	assert_int_equal(world.turns, 4);
}

static void test_errors(void **state)
{
	static const struct {
		const char *reply;
		int status, err;
	} tests[] = {
		{"masdif-error-generic-500.html", 500, EREMOTEIO},
		{"masdif-error-dialog-system.json", 500, EREMOTEIO},
		{"masdif-error-bad-json-400.json", 400, EREMOTEIO},
		{"masdif-reply-root-object.json", 200, EPROTO},
		{"masdif-error-generic-500.html", 200, EPROTO},
		{"masdif-reply-audio.json", 200, 0}, /* the call goes on */
	};
	struct fixture *f = *state;

	begin(f, TIMEOUT_MS);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		world.reply = tests[i].reply;
		world.status = tests[i].status;
		converse(f, "já");
		assert_int_equal(f->done_err, tests[i].err);
	}
	assert_int_equal(world.creations, 1);
}

static void test_turn_times_out(void **state)
{
	struct fixture *f = *state;

	begin(f, 300);
	world.hang = true;
	converse(f, "já");
	assert_int_equal(f->done_err, ETIMEDOUT);
}

static void test_opening_is_tried_twice(void **state)
{
	struct fixture *f = *state;

	world.create_errors = 1;
	begin(f, TIMEOUT_MS);
	assert_int_equal(f->open_err, 0);
	assert_int_equal(world.creations, 2);
}

static void test_turn_opens_again(void **state)
{
	struct fixture *f = *state;

	world.create_errors = 3;
	begin(f, TIMEOUT_MS);
	assert_int_equal(f->open_err, EREMOTEIO);
	assert_string_equal(f->id, "");
	converse(f, "já");
	assert_int_equal(f->done_err, EREMOTEIO);
	converse(f, "já");
	assert_int_equal(f->done_err, 0);
	assert_int_equal(world.creations, 4);
	assert_int_equal(f->opened, 1);
}

static void test_turn_while_opening(void **state)
{
	struct fixture *f = *state;

	start(f, TIMEOUT_MS);
	assert_int_equal(open_session(f), 0);
	converse(f, "já");
	assert_int_equal(f->opened, 1);
	assert_int_equal(f->done_err, 0);
	assert_int_equal(world.creations, 1);
	assert_int_equal(f->acts, 1);
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
		set_up_net(f, "masdif+http://127.0.0.1:1", TIMEOUT_MS), 0);
	assert_int_equal(open_session(f), 0);
	run_until(f, &f->opened, 1);
	assert_int_equal(f->open_err, ECONNREFUSED);
	converse(f, "já");
	assert_int_equal(f->done_err, ECONNREFUSED);
}

static void test_cancel(void **state)
{
	struct fixture *f = *state;

	begin(f, TIMEOUT_MS);
	world.hang = true;
	assert_int_equal(say(f, "eitt"), 0);
	for (int n = 0; !n; n = world.turns)
		loop_turn(f->net.loop, false);
	dialog_masdif.cancel(f->session);
	world.hang = false;
	converse(f, "tvö");
	assert_int_equal(f->done, 1);
	assert_int_equal(f->done_err, 0);
	assert_int_equal(f->acts, 1);
}

static void test_cancel_while_opening(void **state)
{
	struct fixture *f = *state;

	start(f, TIMEOUT_MS);
	assert_int_equal(open_session(f), 0);
	assert_int_equal(say(f, "eitt"), 0);
	dialog_masdif.cancel(f->session);
	run_until(f, &f->opened, 1);
	converse(f, "tvö");
	assert_int_equal(world.turns, 1);
	assert_int_equal(f->done, 1);
}

static void test_dropped_from_inside(void **state)
{
	struct fixture *f = *state;

	world.reply = "masdif-reply-multi-attachment.json";
	begin(f, TIMEOUT_MS);
	f->drop_in_act = true;
	assert_int_equal(say(f, "já"), 0);
	run_until(f, &f->acts, 1);
	loop_turn(f->net.loop, false);
	assert_null(f->session);
	assert_int_equal(f->acts, 1);
	assert_int_equal(f->done, 0);

	f->drop_in_open = true;
	assert_int_equal(open_session(f), 0);
	assert_int_equal(say(f, "já"), 0);
	run_until(f, &f->opened, 2);
	loop_turn(f->net.loop, false);
	assert_null(f->session);
	assert_int_equal(f->done, 0);
}

static void test_cancelled_from_inside(void **state)
{
	struct fixture *f = *state;

	world.reply = "masdif-reply-multi-attachment.json";
	begin(f, TIMEOUT_MS);
	f->cancel_in_act = true;
	assert_int_equal(say(f, "já"), 0);
	run_until(f, &f->acts, 1);
	loop_turn(f->net.loop, false);
	assert_int_equal(f->acts, 1);
	assert_int_equal(f->done, 0);
}

static void test_urls(void **state)
{
	static const struct {
		const char *url;
		int err;
	} tests[] = {
		{"masdif+http://h:8080/", 0},   {"MASDIF+HTTPS://u:p@h/x", 0},
		{"masdif+ftp://h", ENOTSUP},    {"masdif:", ENOTSUP},
		{"http://h", ENOTSUP},          {"masdif+http://", EINVAL},
		{"masdif+http://h/?q", EINVAL}, {"nothing", EINVAL},
	};
	struct fixture *f = *state;
	struct net net = {0};

	(void)f;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct dialog_param prm = {.url = tests[i].url};
		struct dialog *d = NULL;
		int err = dialog_alloc(&d, &prm, &net);

		if (err != tests[i].err)
			fail_msg("%s: %d", tests[i].url, err);
		mem_deref(d);
	}
	assert_non_null(strstr(dialog_schemes(), "masdif+https"));
}

/* Against the peer that answers as Masdif's Rails code does */
static void test_python_peer(void **state)
{
	static const char *const argv[] = {"--forget-after", "2", NULL};
	struct fixture *f = *state;
	char url[64];

	peer_start(&f->peer, "masdif_server.py", argv);
	(void)snprintf(url, sizeof(url), "masdif+http://127.0.0.1:%u",
		       f->peer.port);
	assert_int_equal(set_up_net(f, url, TIMEOUT_MS), 0);
	assert_int_equal(open_session(f), 0);
	run_until(f, &f->opened, 1);
	assert_int_equal(f->open_err, 0);
	for (int i = 1; i <= 3; i++) {
		converse(f, "hello");
		assert_int_equal(f->done_err, 0);
		assert_int_equal(f->acts, i);
	}
	assert_non_null(strstr(f->played, "==--"));
	assert_non_null(strstr(f->played, "|You said hello.|"));
	peer_stop(&f->peer);
}

/* The loop's own silence about a lack of memory inside libcurl ends by the
 * time limit, see test_http.c */
static int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	char url[128];
	int err;

	(void)snprintf(url, sizeof(url), "masdif+%s/pre", fx->server.url);
	err = set_up_net(&f, url, 200);
	if (!err)
		err = open_session(&f);
	if (!err) {
		run_until(&f, &f.opened, 1);
		err = f.open_err;
	}
	if (!err)
		err = say(&f, "já");
	if (!err) {
		run_until(&f, &f.done, 1);
		err = f.done_err;
	}
	/* a link that could not be resolved for lack of memory counts as none:
	 * the two texts are spoken instead */
	if (!err)
		assert_in_range(f.acts, 1, 2);
	tear_down_net(&f);

	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	oom_loop(memory_body, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replies),
		cmocka_unit_test(test_nonsense_and_many),
		cmocka_unit_test(test_ids),
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_request_of_the_fixture),
		cmocka_unit_test(test_redirect_of_the_fixture),
		cmocka_unit_test(test_parser_out_of_memory),
		TEST(test_a_turn),
		TEST(test_texts_without_audio_and_several_audios),
		TEST(test_foreign_host_keeps_its_text),
		TEST(test_nothing_to_say),
		TEST(test_nothing_to_say_while_opening),
		TEST(test_conversation_is_gone),
		TEST(test_errors),
		TEST(test_turn_times_out),
		TEST(test_opening_is_tried_twice),
		TEST(test_turn_opens_again),
		TEST(test_turn_while_opening),
		TEST(test_nobody_there),
		TEST(test_cancel),
		TEST(test_cancel_while_opening),
		TEST(test_dropped_from_inside),
		TEST(test_cancelled_from_inside),
		TEST(test_urls),
		TEST(test_python_peer),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

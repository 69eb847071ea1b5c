#include <stdio.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "../../src/dialog/openai.h"
#include "fake_http.h"
#include "peer.h"

#define DIR DATA_DIR "/openai/"

enum { GIVE_UP_MS = 20000, REQUESTS_MAX = 8, FILE_MAX = 65536 };

/* An event of the stream */
#define SAYS(s)                                                        \
	"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"" s \
	"\"}}]}\n\n"
#define DONE "data: [DONE]\n\n"

/* What the server does with a request, one after the other */
struct step {
	int status; /* 0: hang up without an answer */
	const char *headers;
	const char *body;
	bool holds; /* the connection stays, nothing more comes */
};

static struct world {
	pthread_mutex_t lock;
	struct step stepv[REQUESTS_MAX];
	atomic_int requests;
	atomic_int closed; /* held connections that the client closed */
	atomic_int warm;   /* connections made before there was a question */
	char headv[REQUESTS_MAX][2048];
	char bodyv[REQUESTS_MAX][16384];
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	struct step step;
	char line[128], byte;
	int n;

	if (str_starts(head, "OPTIONS ")) {
		fake_answer(fd, 405, "", "", 0);
		atomic_fetch_add(&world.warm, 1);
		return true;
	}

	pthread_mutex_lock(&world.lock);
	n = atomic_load(&world.requests);
	step = world.stepv[n % REQUESTS_MAX];
	str_copy(world.headv[n % REQUESTS_MAX], sizeof(world.headv[0]), head);
	str_copy(world.bodyv[n % REQUESTS_MAX], sizeof(world.bodyv[0]), body);
	atomic_store(&world.requests, n + 1);
	pthread_mutex_unlock(&world.lock);

	if (!step.status)
		return false;
	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d X\r\n", step.status);
	fake_write(fd, line);
	fake_write(fd, step.headers ? step.headers : "");
	fake_write(fd, "\r\n");
	fake_write(fd, step.body);
	if (step.holds) {
		if (recv(fd, &byte, 1, 0) <= 0)
			atomic_fetch_add(&world.closed, 1);
	}

	return false;
}

/* -------------------------------------------------------------- fixture */

struct fixture {
	struct loop *loop;
	struct tmr *tmr;
	struct net net;
	struct dialog *dialog;
	struct dialog_session *session;
	struct fake_http server;
	struct peer peer;
	char url[256];

	int opened, done, acts;
	int done_err;
	char said[4096]; /* "text|hangup|transfer +1|" */
	enum { NONE, DROPS, CANCELS, RESTARTS } mischief;
};

static int turn_of(struct fixture *f, enum dialog_turn_kind kind,
		   const char *text)
{
	return f->dialog->be->turn(f->session, &(struct dialog_turn){
						       .kind = kind,
						       .text = text,
						       .language = "is-IS",
					       });
}

static int say(struct fixture *f, const char *text)
{
	return turn_of(f, DIALOG_SPEECH, text);
}

static void open_handler(int err, const char *conversation, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(err, 0);
	assert_string_equal(conversation, "CA1");
	++f->opened;
}

static void act_handler(const struct dialog_act *act, void *arg)
{
	struct fixture *f = arg;
	size_t n = strlen(f->said);

	++f->acts;
	(void)snprintf(f->said + n, sizeof(f->said) - n, "%s%s|",
		       act->type == DIALOG_HANGUP     ? "hangup"
		       : act->type == DIALOG_TRANSFER ? "transfer "
						      : "",
		       act->text ? act->text : "");
	if (f->mischief == DROPS)
		f->session = mem_deref(f->session);
	if (f->mischief == CANCELS || f->mischief == RESTARTS)
		dialog_openai.cancel(f->session);
	if (f->mischief == RESTARTS) {
		f->mischief = NONE;
		assert_int_equal(say(f, "again"), 0);
	}
}

static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	++f->done;
	f->done_err = err;
}

static void give_up_handler(void *arg)
{
	fail_msg("nothing happened for %d ms", GIVE_UP_MS);
}

static const struct dialog_handlers handlers = {
	.openh = open_handler,
	.acth = act_handler,
	.doneh = done_handler,
};

static int set_up(struct fixture *f, const char *url, uint32_t timeout_ms)
{
	const struct dialog_param prm = {
		.url = url,
		.language = "is-IS",
		.timeout_ms = timeout_ms,
		.key = "sk-test",
		.model = "m1",
	};
	int err = loop_alloc(&f->loop);

	f->net.loop = f->loop;
	if (!err)
		err = tmr_alloc(&f->tmr, f->loop, give_up_handler, NULL);
	if (!err)
		err = http_client_alloc(&f->net.http, f->loop);
	if (!err)
		err = dialog_alloc(&f->dialog, &prm, &f->net);
	if (!err)
		err = f->dialog->be->open(
			&f->session, f->dialog,
			&(struct dialog_call){.call_id = "CA1"}, &handlers, f);
	if (!err)
		tmr_start(f->tmr, GIVE_UP_MS);

	return err;
}

static void tear_down(struct fixture *f)
{
	mem_deref(f->session);
	mem_deref(f->dialog);
	mem_deref(f->net.http);
	mem_deref(f->tmr);
	mem_deref(f->loop);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	memset(world.stepv, 0, sizeof(world.stepv));
	world.requests = world.closed = world.warm = 0;
	fake_http_open(&f.server, serve, NULL);
	(void)snprintf(f.url, sizeof(f.url), "openai+%s", f.server.url);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	tear_down(f);
	fake_http_close(&f->server);

	return 0;
}

static void run_until(struct fixture *f, const int *n, int want)
{
	while (*n < want)
		loop_turn(f->loop, true);
}

/* For what the server sees: it runs on threads of its own */
static void await(struct fixture *f, const atomic_int *n, int want)
{
	while (atomic_load(n) < want) {
		loop_turn(f->loop, false);
		usleep(1000);
	}
}

static void begin(struct fixture *f)
{
	assert_int_equal(set_up(f, f->url, 5000), 0);
	assert_int_equal(f->opened, 0);
	while (!f->opened)
		loop_turn(f->loop, false);
}

static void finish_turn(struct fixture *f, int err)
{
	int n = f->done;

	run_until(f, &f->done, n + 1);
	assert_int_equal(f->done_err, err);
}

static void converse(struct fixture *f, const char *text, int err)
{
	f->said[0] = '\0';
	assert_int_equal(say(f, text), 0);
	assert_int_equal(say(f, text), EBUSY);
	finish_turn(f, err);
}

/* The messages of a request, as "s|u:text|a:text|" */
static const char *messages(int request)
{
	static char out[16384];
	const char *body = world.bodyv[request];
	json_t *root = NULL, *m;
	size_t i, n = 0;

	assert_int_equal(jsn_parse(&root, body, strlen(body)), 0);
	out[0] = '\0';
	json_array_foreach(json_object_get(root, "messages"), i, m)
	{
		const char *role = jsn_str(m, "role");

		n += (size_t)snprintf(out + n, sizeof(out) - n, "%c%s%s|",
				      role[0], role[0] == 's' ? "" : ":",
				      role[0] == 's' ? ""
						     : jsn_str(m, "content"));
	}
	json_decref(root);

	return out;
}

static json_t *member(int request, const char *name)
{
	static json_t *root;

	json_decref(root);
	root = NULL;
	if (request < 0)
		return NULL;
	assert_int_equal(jsn_parse(&root, world.bodyv[request],
				   strlen(world.bodyv[request])),
			 0);

	return json_object_get(root, name);
}

static const char *load(const char *name)
{
	static char buf[FILE_MAX];
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), DIR "%s", name);
	f = fopen(path, "rb");
	assert_non_null(f);
	n = fread(buf, 1, FILE_MAX - 1, f);
	buf[n] = '\0';
	fclose(f);

	return buf;
}

/* ------------------------------------------------------------- a turn */

static void test_a_turn(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200,
				       "Content-Type: text/event-stream\r\n",
				       load("openai-chat-stream.txt"), false};
	begin(f);
	converse(f, "hvenær er opið", 0);
	assert_string_equal(f->said,
			    "Góðan dag.|Við opnum kl 6:30 og verðið er 1.250 "
			    "kr.|Er eitthvað fleira?|");
	assert_true(str_starts(world.headv[0],
			       "POST /v1/chat/completions HTTP/1.1\r\n"));
	assert_non_null(strstr(world.headv[0],
			       "\r\nAuthorization: Bearer sk-test\r\n"));
	assert_non_null(strstr(world.headv[0],
			       "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(messages(0), "s|u:hvenær er opið|");
	assert_string_equal(json_string_value(member(0, "model")), "m1");
	assert_true(json_is_true(member(0, "stream")));
	assert_int_equal(json_array_size(member(0, "tools")), 2);
	assert_non_null(strstr(world.bodyv[0], "is-IS"));
	(void)member(-1, NULL);

	/* the second one has the first with it */
	world.stepv[1] = (struct step){200, NULL, SAYS("Já.") DONE, false};
	converse(f, "takk", 0);
	assert_string_equal(f->said, "Já.|");
	assert_string_equal(
		messages(1),
		"s|u:hvenær er opið|a:Góðan dag. Við opnum kl 6:30 og verðið "
		"er 1.250 kr. Er eitthvað fleira?|u:takk|");
}

static const struct {
	const char *name; /* file, or the stream itself */
	int err;
	const char *said;
} streams[] = {
	{"openai-chat-stream-odd.txt", 0, "Já takk.|"},
	{"openai-chat-stream-error.txt", EREMOTEIO, ""},
	{"openai-chat-stream-tool.txt", 0,
	 "Ég gef þér samband.|transfer +15550100123|"},
	{SAYS("No end mark"), 0, "No end mark|"},
	{SAYS("<think>a. b. ") SAYS("</thi") SAYS("nk>Yes."), 0, "Yes.|"},
	{DONE, EPROTO, ""},
	{": ping\n\n", EPROTO, ""},
	{SAYS("...") DONE, EPROTO, ""},
	{"", EPROTO, ""},
	{"<html>\n<p>Login</p>\n", EPROTO, ""},
	{"data: {\"choices\n\n", EPROTO, ""},
	{SAYS("Cut. ") "data: {\"choices\":[{\"ind", EPROTO, "Cut.|"},
	{SAYS("Cut. ") "data: {\"choices\":[{\"delta\":{\"content\":\"\xc3",
	 EPROTO, "Cut.|"},
	{"\n {\"choices\":[{\"message\":{\"content\":\"Whole. Yes.\"}}]} ", 0,
	 "Whole.|Yes.|"},
	{"{\"choices\":[{\"message\":{\"content\":null,\"tool_calls\":[{"
	 "\"function\":{\"name\":\"hang_up\",\"arguments\":{}}}]}}]}",
	 0, "hangup|"},
	{"{\"error\":{\"message\":\"no\"}}", EREMOTEIO, ""},
	{"{\"choices\":[", EPROTO, ""},
	{"{}", EPROTO, ""},
	{"event: error\ndata: {\"error\":\"no\"}\n\n", EREMOTEIO, ""},
	{SAYS("Done.") DONE SAYS("Not this.") "data: x\n\n", 0, "Done.|"},
	{"data: {\"choices\":[{\"delta\":{\"content\":\"Bye.\",\"tool_calls\":"
	 "[{\"index\":0,\"function\":{\"name\":\"order\"}},{\"index\":1,"
	 "\"function\":{\"name\":\"hang_up\"}}]}}]}\r\n\r\n",
	 0, "Bye.|hangup|"},
};

static void test_streams(void **state)
{
	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(streams); i++) {
		const char *s = streams[i].name;

		world.requests = 0;
		fake_http_idle(&f->server);
		world.stepv[0] = (struct step){
			200, NULL, str_starts(s, "openai-chat") ? load(s) : s,
			false};
		f->said[0] = '\0';
		assert_int_equal(say(f, "halló"), 0);
		run_until(f, &f->done, (int)i + 1);
		if (f->done_err != streams[i].err ||
		    strcmp(f->said, streams[i].said) != 0)
			fail_msg("%s: %d %s", s, f->done_err, f->said);
		assert_int_equal(world.requests, 1);
	}
}

/* The rest of the stream may wait: the first sentence does not */
static void test_speaks_while_the_rest_is_written(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL,
				       SAYS("First. ") SAYS("Second."), true};
	begin(f);
	assert_int_equal(say(f, "halló"), 0);
	run_until(f, &f->acts, 2); /* the second by the pause after it */
	assert_string_equal(f->said, "First.|Second.|");
	assert_int_equal(f->done, 0);
}

/* [DONE] is the end, even if the connection stays */
static void test_end_is_not_the_connections_end(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Yes.") DONE, true};
	begin(f);
	converse(f, "halló", 0);
	assert_string_equal(f->said, "Yes.|");
	await(f, &world.closed, 1);
}

static void test_kinds_of_turns(void **state)
{
	static const struct {
		enum dialog_turn_kind kind;
		const char *text, *asked, *answer;
		int err;
	} tests[] = {
		{DIALOG_OPENING, "", "Greet", SAYS("Hi."), 0},
		{DIALOG_KEYS, "12#", "pressed 1 2 # on", SAYS("Hi."), 0},
		{DIALOG_NOISE, "", "not be understood", DONE, 0},
		{DIALOG_NOBODY, "", "nothing for a while", DONE, 0},
		{DIALOG_SPEECH, "hi", "\nhi|", DONE, EPROTO},
	};

	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		world.stepv[i] = (struct step){200, NULL, tests[i].answer,
					       false};
		assert_int_equal(turn_of(f, tests[i].kind, tests[i].text), 0);
		finish_turn(f, tests[i].err);
		if (!strstr(messages((int)i), tests[i].asked))
			fail_msg("%s", messages((int)i));
	}
}

/* --------------------------------------------------------- interruptions */

static void test_history_has_what_was_heard(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){
		200, NULL, SAYS("We open at nine. And close at six. ") DONE,
		false};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	converse(f, "when", 0);
	assert_int_equal(f->dialog->be->turn(f->session,
					     &(struct dialog_turn){
						     .kind = DIALOG_SPEECH,
						     .text = "thanks",
						     .interrupted = true,
						     .heard_ms = 900,
						     .heard = "We open at",
					     }),
			 0);
	finish_turn(f, 0);
	assert_string_equal(messages(1),
			    "s|u:when|a:We open at|u:[The caller interrupted "
			    "you here and heard no more]\nthanks|");
}

static void test_cancel_closes_the_connection(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Hm. Well"), true};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	assert_int_equal(say(f, "when do you"), 0);
	run_until(f, &f->acts, 1);
	dialog_openai.cancel(f->session);
	await(f, &world.closed, 1);
	assert_int_equal(f->done, 0);

	/* nothing of it was heard: it is asked anew, with more */
	converse(f, "when do you open", 0);
	assert_string_equal(f->said, "Yes.|");
	assert_string_equal(messages(1), "s|u:when do you open|");
	assert_int_equal(f->done, 1);
	dialog_openai.cancel(f->session); /* no turn: nothing happens */

	/* or the caller says something else: both are asked */
	world.stepv[2] = (struct step){200, NULL, ": wait\n\n", true};
	world.stepv[3] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	assert_int_equal(say(f, "and today"), 0);
	await(f, &world.requests, 3);
	dialog_openai.cancel(f->session);
	converse(f, "no, tomorrow", 0);
	assert_string_equal(
		messages(3),
		"s|u:when do you open|a:Yes.|u:and today\nno, tomorrow|");
}

static void test_mischief_in_the_handler(void **state)
{
	static const struct {
		int mischief, acts, done, requests;
	} tests[] = {
		{DROPS, 1, 0, 1}, {CANCELS, 1, 0, 1}, {RESTARTS, 2, 1, 2}};

	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		world.requests = 0;
		world.stepv[0] = (struct step){
			200, NULL, SAYS("One. ") SAYS("Two. ") DONE, false};
		world.stepv[1] = (struct step){200, NULL, SAYS("New.") DONE,
					       false};
		f->acts = f->done = f->opened = 0;
		begin(f);
		f->mischief = tests[i].mischief;
		assert_int_equal(say(f, "halló"), 0);
		run_until(f, &f->acts, tests[i].acts);
		run_until(f, &f->done, tests[i].done);
		for (int k = 0; k < 5; k++)
			loop_turn(f->loop, false);
		assert_int_equal(f->acts, tests[i].acts);
		assert_int_equal(f->done, tests[i].done);
		assert_int_equal(world.requests, tests[i].requests);
		tear_down(f);
		f->session = NULL;
		f->dialog = NULL;
		f->net.http = NULL;
		f->tmr = NULL;
		f->loop = NULL;
	}
}

/* ---------------------------------------------------------------- faults */

static void test_tries_again_once(void **state)
{
	static const struct {
		struct step first;
		int requests, err;
	} tests[] = {
		{{503, NULL, "{\"error\":\"loading\"}", false}, 2, 0},
		{{529, NULL, "", false}, 2, 0},
		{{0, NULL, NULL, false}, 2, 0},
		{{429, "Retry-After: 1\r\n", "", false}, 2, 0},
		{{429, "Retry-After: 60\r\n", "", false}, 1, EREMOTEIO},
		{{429, NULL, "{\"error\":{\"code\":\"insufficient_quota\"}}",
		  false},
		 1,
		 EREMOTEIO},
		{{401, NULL, "{\"error\":{\"message\":\"key\"}}", false},
		 1,
		 EREMOTEIO},
		{{404, NULL, "<html>", false}, 1, EREMOTEIO},
		{{302, "Location: http://192.0.2.1/\r\n", "", false},
		 1,
		 EREMOTEIO},
	};

	struct fixture *f = *state;

	begin(f);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t retries = metrics_counter(M_DIALOG_AGAIN);

		world.requests = 0;
		world.stepv[0] = tests[i].first;
		world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE,
					       false};
		converse(f, "halló", tests[i].err);
		assert_string_equal(f->said, tests[i].err ? "" : "Yes.|");
		assert_int_equal(world.requests, tests[i].requests);
		assert_int_equal(metrics_counter(M_DIALOG_AGAIN) - retries,
				 tests[i].requests - 1);
	}

	/* not twice */
	world.requests = 0;
	world.stepv[0] = world.stepv[1] = (struct step){503, NULL, "", false};
	converse(f, "halló", EREMOTEIO);
	assert_int_equal(world.requests, 2);

	/* not after something of an answer */
	world.requests = 0;
	world.stepv[0] = (struct step){200, "Content-Length: 1000\r\n",
				       SAYS("One. "), false};
	converse(f, "halló", ECONNRESET);
	assert_string_equal(f->said, "One.|");
	assert_int_equal(world.requests, 1);
}

static void test_servers_without_tools(void **state)
{
	static const char no[] = "{\"error\":{\"message\":\"unknown field\"}}";
	struct fixture *f = *state;

	world.stepv[0] = (struct step){400, NULL, no, false};
	world.stepv[1] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	world.stepv[2] = (struct step){200, NULL, SAYS("No.") DONE, false};
	begin(f);
	converse(f, "halló", 0);
	assert_string_equal(f->said, "Yes.|");
	assert_non_null(member(0, "tools"));
	assert_null(member(1, "tools"));
	assert_null(strstr(world.bodyv[1], "hang_up"));

	/* and it is remembered */
	converse(f, "halló", 0);
	assert_int_equal(world.requests, 3);
	assert_null(member(2, "tools"));
	(void)member(-1, NULL);
}

/* A refusal that had another reason is no reason to forget the tools */
static void test_tools_are_kept_after_other_refusals(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = world.stepv[1] = (struct step){
		400, NULL, "{\"error\":\"no\"}", false};
	world.stepv[2] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	begin(f);
	converse(f, "halló", EREMOTEIO);
	assert_int_equal(world.requests, 2);
	converse(f, "halló", 0);
	assert_non_null(member(2, "tools"));
	(void)member(-1, NULL);
}

static void test_too_long_a_history_is_halved(void **state)
{
	struct fixture *f = *state;

	world.stepv[0] = (struct step){200, NULL, SAYS("Yes.") DONE, false};
	world.stepv[1] = (struct step){
		400, NULL,
		"{\"error\":{\"code\":\"context_length_exceeded\"}}", false};
	world.stepv[2] = (struct step){200, NULL, SAYS("No.") DONE, false};
	begin(f);
	converse(f, "a long story of many words", 0);
	converse(f, "end", 0);
	assert_string_equal(f->said, "No.|");
	assert_string_equal(messages(2), "s|u:end|");
}

static void test_silence_ends_the_turn(void **state)
{
	static const char *const bodyv[] = {"", ": ping\n\n"};
	struct fixture *f = *state;

	assert_int_equal(set_up(f, f->url, 300), 0);
	for (size_t i = 0; i < ARRAY_SIZE(bodyv); i++) {
		world.stepv[i] = (struct step){200, NULL, bodyv[i], true};
		converse(f, "halló", ETIMEDOUT);
		await(f, &world.closed, (int)i + 1);
	}

	/* all of it may take twice that */
	world.stepv[2] = (struct step){200, NULL, SAYS("Yes. "), true};
	converse(f, "halló", ETIMEDOUT);
	assert_string_equal(f->said, "Yes.|");
}

static void test_nobody_there(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(set_up(f, "openai+http://127.0.0.1:1", 3000), 0);
	converse(f, "halló", ECONNREFUSED);
}

/* A model that never stops is cut, and the call goes on */
static void test_endless_answer(void **state)
{
	static char body[400000];
	struct fixture *f = *state;
	size_t n = 0;

	while (n + 200 < sizeof(body))
		n += (size_t)snprintf(body + n, sizeof(body) - n,
				      SAYS("So it goes on and on. "));
	world.stepv[0] = (struct step){200, NULL, body, true};
	begin(f);
	converse(f, "halló", 0);
	assert_in_range(strlen(f->said), 3000, 5000);
	assert_in_range(f->acts, 5, 40);
	await(f, &world.closed, 1);
}

static void answer_with(struct fixture *f, const char *body, int err)
{
	world.stepv[world.requests] = (struct step){200, NULL, body, false};
	converse(f, "halló", err);
	fake_http_idle(&f->server); /* it may still be sending the body */
}

/* What is too much is not asked for twice */
static void test_hostile_sizes(void **state)
{
	enum { SIZE = 17 << 20, EVENT = 300000 };
	struct fixture *f = *state;
	char *body = malloc(SIZE + 1);

	assert_non_null(body);
	begin(f);
	memset(body, ' ', SIZE);
	body[SIZE] = '\0';
	answer_with(f, body, EOVERFLOW);

	/* one event, brackets inside of brackets */
	memset(body, '[', EVENT);
	memcpy(body, "data: ", 6);
	memcpy(body + EVENT / 3, "\n\n", 3);
	answer_with(f, body, EPROTO);
	memset(body + EVENT / 3, '[', 3);
	body[EVENT] = '\0';
	answer_with(f, body, EOVERFLOW);
	assert_int_equal(world.requests, 3);
	free(body);
}

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
		err = set_up(&g, url, 5000);
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

	assert_int_equal(loop_alloc(&f->loop), 0);
	f->net.loop = f->loop;
	assert_int_equal(http_client_alloc(&f->net.http, f->loop), 0);
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
		loop_turn(f->loop, false); /* its answer is there to be read */
	converse(f, "halló", 0);
	assert_int_equal(f->server.conns, 1);
	assert_int_equal(world.requests, 1);

	/* not when there is something to ask at once */
	tear_down(f);
	memset(f, 0, offsetof(struct fixture, server));
	world.requests = world.warm = 0;
	assert_int_equal(set_up(f, f->url, 5000), 0);
	converse(f, "halló", 0);
	assert_int_equal(world.warm, 0);

	/* dropped meanwhile */
	tear_down(f);
	memset(f, 0, offsetof(struct fixture, server));
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

/* --------------------------------------------------------------- memory */

/* A lack of memory inside libcurl ends by the time limit, see test_http.c */
static int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	int err;

	world.requests = 0;
	err = set_up(&f, fx->url, 200);
	if (!err)
		err = say(&f, "já");
	if (!err) {
		run_until(&f, &f.done, 1);
		err = f.done_err;
	}
	if (!err)
		assert_string_equal(f.said, "Yes.|hangup|");
	tear_down(&f);

	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	for (int i = 0; i < REQUESTS_MAX; i++)
		world.stepv[i] = (struct step){
			200, NULL,
			SAYS("Yes.") "data: {\"choices\":[{\"delta\":{"
				     "\"tool_calls\":[{\"index\":0,"
				     "\"function\":{\"name\":\"hang_up\"}}]}}"
				     "]}\n\n" DONE,
			false};
	oom_loop(memory_body, *state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_turn),
		TEST(test_streams),
		TEST(test_speaks_while_the_rest_is_written),
		TEST(test_end_is_not_the_connections_end),
		TEST(test_kinds_of_turns),
		TEST(test_history_has_what_was_heard),
		TEST(test_cancel_closes_the_connection),
		TEST(test_mischief_in_the_handler),
		TEST(test_tries_again_once),
		TEST(test_servers_without_tools),
		TEST(test_tools_are_kept_after_other_refusals),
		TEST(test_too_long_a_history_is_halved),
		TEST(test_silence_ends_the_turn),
		TEST(test_nobody_there),
		TEST(test_endless_answer),
		TEST(test_hostile_sizes),
		TEST(test_urls),
		TEST(test_settings),
		TEST(test_prompts),
		TEST(test_connects_before_the_question),
		TEST(test_greeting_is_known),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/**
 * @file post_fixture.h  A session and the server that its turns are posted to
 */
#ifndef CONVOD_POST_FIXTURE_H
#define CONVOD_POST_FIXTURE_H

#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/str.h>
#include "fake_http.h"
#include "net_fixture.h"
#include "test.h"

enum { FILE_MAX = 65536, POST_BIG = 2 << 20 };

enum mischief { NONE, DROPS, CANCELS };

/* What the server does, and what it saw last */
static struct world {
	const char *body;
	const char *headers;
	int status; /* 0: hangs up */
	bool holds; /* nothing comes after the body, the connection stays */
	atomic_int requests, closed;
	char head[4096], seen[16384];
} world;

struct fixture {
	struct net net;
	struct tmr *watchdog;
	const struct dialog_backend *be;
	struct dialog *dialog;
	struct dialog_session *session;
	struct fake_http server;
	struct dialog_turn turn; /* besides kind and text */

	int opened, done, done_err, actc;
	char acts[4096]; /* "say text|hangup|"; the server's URL is BASE */
	enum mischief mischief;
};

static inline bool serve(struct fake_http *s, int fd, const char *path,
			 const char *head, const char *body)
{
	char line[128], byte;

	str_copy(world.head, sizeof(world.head), head);
	str_copy(world.seen, sizeof(world.seen), body);
	atomic_fetch_add(&world.requests, 1);
	if (!world.status)
		return false;

	(void)snprintf(line, sizeof(line), "HTTP/1.1 %d X\r\n%s\r\n",
		       world.status, world.headers ? world.headers : "");
	fake_write(fd, line);
	fake_write(fd, world.body);
	if (world.holds && recv(fd, &byte, 1, 0) <= 0)
		atomic_fetch_add(&world.closed, 1);

	return false;
}

static inline void open_handler(int err, const char *conversation, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(err, 0);
	assert_string_equal(conversation, "CA1");
	++f->opened;
}

static inline void act_handler(const struct dialog_act *act, void *arg)
{
	static const char *const namev[] = {
		"say ",   "play ",  "pause",   "collect", "transfer ",
		"hangup", "record", "silence", "set ",    "note "};
	struct fixture *f = arg;
	size_t n = strlen(f->acts);
	const char *text = act->text ? act->text : "";

	++f->actc;
	if (act->type == DIALOG_PLAY) {
		assert_true(str_starts(act->url, f->server.url));
		assert_string_equal(act->origin, f->server.url);
		(void)snprintf(f->acts + n, sizeof(f->acts) - n,
			       "play BASE%s|",
			       act->url + strlen(f->server.url));
	} else {
		(void)snprintf(f->acts + n, sizeof(f->acts) - n, "%s%s|",
			       namev[act->type], text);
	}
	if (f->mischief == DROPS)
		f->session = mem_deref(f->session);
	if (f->mischief == CANCELS)
		f->be->cancel(f->session);
}

static inline void done_handler(int err, void *arg)
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

static inline int set_up(struct fixture *f, const char *suffix,
			 const char *key, uint32_t timeout_ms)
{
	json_t *params = json_pack("{s:s}", "a", "b");
	char url[256];
	const struct dialog_param prm = {
		.url = url,
		.language = "is-IS",
		.timeout_ms = timeout_ms,
		.key = key,
	};
	const struct dialog_call call = {
		.call_id = "CA1", .caller = "+354555", .params = params};
	int err = params ? net_open(&f->net, &f->watchdog) : ENOMEM;

	(void)snprintf(url, sizeof(url), "%s+%s%s", f->be->name, f->server.url,
		       suffix);
	if (!err)
		err = dialog_alloc(&f->dialog, &prm, &f->net);
	if (!err)
		err = f->be->open(&f->session, f->dialog, &call, &handlers, f);
	json_decref(params);

	return err;
}

static inline void tear_down(struct fixture *f)
{
	f->session = mem_deref(f->session);
	f->dialog = mem_deref(f->dialog);
	net_close(&f->net, &f->watchdog);
}

static inline int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	memset(&world, 0, sizeof(world));
	world.status = 200;
	fake_http_open(&f.server, serve, NULL);
	*state = &f;

	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	tear_down(f);
	fake_http_close(&f->server);

	return 0;
}

static inline void begin(struct fixture *f, const struct dialog_backend *be,
			 const char *suffix, const char *key)
{
	f->be = be;
	f->opened = f->done = f->actc = 0;
	assert_int_equal(set_up(f, suffix, key, TIMEOUT_MS), 0);
	assert_int_equal(f->opened, 0);
	while (!f->opened)
		loop_turn(f->net.loop, false);
}

static inline int ask(struct fixture *f, enum dialog_turn_kind kind,
		      const char *text)
{
	f->turn.kind = kind;
	f->turn.text = text;
	f->acts[0] = '\0';

	return f->be->turn(f->session, &f->turn);
}

/* The server's threads, and what ends at the end of a turn, wake no loop */
static inline void await(struct fixture *f, const int *n, int want)
{
	while (*n < want) {
		loop_turn(f->net.loop, false);
		usleep(500);
	}
}

static inline void converse(struct fixture *f, enum dialog_turn_kind kind,
			    const char *text, int err)
{
	int n = f->done;

	assert_int_equal(ask(f, kind, text), 0);
	assert_int_equal(f->be->turn(f->session, &f->turn), EBUSY);
	assert_int_equal(f->done, n);
	await(f, &f->done, n + 1);
	assert_int_equal(f->done_err, err);
}

static inline const char *load(const char *dir, const char *name)
{
	static char buf[FILE_MAX];
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s%s", dir, name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("%s", path);
	n = fread(buf, 1, FILE_MAX - 1, f);
	buf[n] = '\0';
	fclose(f);

	return buf;
}

/* ------------------------------------------------ the same for all of them */

static inline void post_test_faults(struct fixture *f,
				    const struct dialog_backend *be)
{
	static char deep[100001], big[POST_BIG + 1];
	const struct {
		int status;
		const char *headers, *body;
		bool holds;
		int err;
	} tests[] = {
		{500, NULL, "<html>", false, EREMOTEIO},
		{401, NULL, "{\"reason\":\"NotAuthenticated\"}", false,
		 EREMOTEIO},
		{302, "Location: http://192.0.2.1/\r\n", "", false, EREMOTEIO},
		{0, NULL, NULL, false, ECONNRESET},
		{200, "Content-Length: 100\r\n", "[", false, ECONNRESET},
		{200, NULL, "[", true, ETIMEDOUT},
		{200, NULL, "", false, 0},
		{204, NULL, "", false, 0},
		{200, NULL, deep, false, EPROTO},
		{200, NULL, big, false, EOVERFLOW},
		{500, NULL, big, false, EOVERFLOW},
		/* ends inside a character, and is cut, or seems whole */
		{200, "Content-Length: 100\r\n", "[\"\xc3", false, ECONNRESET},
		{200, NULL, "[\"\xc3", false, EPROTO},
		{200, NULL, "\"\xff\xfe\"", false, EPROTO},
		{200, "Content-Encoding: gzip\r\n", "\x1f\x8b", false, EPROTO},
		{200, "Content-Type: image/png\r\n", "[]", false, 0},
	};

	memset(deep, '[', sizeof(deep) - 1);
	memset(big, ' ', sizeof(big) - 1);
	f->be = be;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		bool waits = tests[i].err == ETIMEDOUT;

		assert_int_equal(set_up(f, "", NULL, waits ? 500 : TIMEOUT_MS),
				 0);
		fake_http_idle(&f->server);
		world.status = tests[i].status;
		world.headers = tests[i].headers;
		world.body = tests[i].body;
		world.holds = tests[i].holds;
		world.requests = 0;
		converse(f, DIALOG_SPEECH, "hi", tests[i].err);
		assert_string_equal(f->acts, "");
		assert_int_equal(world.requests, 1); /* never twice */
		tear_down(f);
	}
}

static inline void post_test_mischief(struct fixture *f,
				      const struct dialog_backend *be,
				      const char *two_acts)
{
	world.body = two_acts;
	for (enum mischief m = DROPS; m <= CANCELS; m++) {
		begin(f, be, "", NULL);
		f->mischief = m;
		assert_int_equal(ask(f, DIALOG_SPEECH, "hi"), 0);
		await(f, &f->actc, 1);
		for (int i = 0; i < 5; i++)
			loop_turn(f->net.loop, false);
		assert_int_equal(f->actc, 1);
		assert_int_equal(f->done, 0);
		if (m == CANCELS) {
			f->mischief = NONE;
			converse(f, DIALOG_SPEECH, "hi", 0);
			assert_int_equal(f->actc, 3);
		}
		f->mischief = NONE;
		tear_down(f);
	}

	/* cancelled while it waits: the connection goes */
	fake_http_idle(&f->server);
	world.body = "";
	world.holds = true;
	world.requests = 0;
	begin(f, be, "", NULL);
	assert_int_equal(ask(f, DIALOG_SPEECH, "hi"), 0);
	while (!world.requests)
		loop_turn(f->net.loop, false);
	be->cancel(f->session);
	while (!world.closed)
		loop_turn(f->net.loop, false);
	assert_int_equal(f->done, 0);
}

/* A lack of memory inside libcurl ends by the time limit, see test_http.c. In
 * an act it costs no more than that act */
static inline int post_memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {.be = fx->be};
	int err;

	fake_http_idle(&fx->server);
	/* of a server that goes on: its address is all that is wanted */
	str_copy(f.server.url, sizeof(f.server.url), fx->server.url);
	err = set_up(&f, "", NULL, 200);

	if (!err)
		err = ask(&f, DIALOG_SPEECH, "hi");
	if (!err) {
		while (!f.done)
			loop_turn(f.net.loop, true);
		err = f.done_err;
	}
	tear_down(&f);

	return err ? ENOMEM : 0;
}

#endif

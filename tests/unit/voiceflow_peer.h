/**
 * @file voiceflow_peer.h  A Voiceflow that does as a test says, and a session
 * with it
 */
#ifndef CONVOD_VOICEFLOW_PEER_H
#define CONVOD_VOICEFLOW_PEER_H

#include <jansson.h>
#include <convod/clip.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "fake_http.h"
#include "net_fixture.h"

#define DIR DATA_DIR "/voiceflow/"
#define KEY "VF.DM.0123456789abcdef.secret"

#define TEXT(s) "[{\"type\":\"text\",\"payload\":{\"message\":\"" s "\"}}]"
#define EVENT(s)               \
	"event: trace\ndata: " \
	"{\"type\":\"text\",\"payload\":{\"message\":\"" s "\"}}\n\n"

enum {
	SHORT_MS = 2000, /* of tests that wait for it, and must be answered */
	ANSWERS_MAX = 8,
	LOG_MAX = 16384,
	BIG_BYTES = 50 << 20,
};

/* -------------------------------------------------------------- the server */

enum how {
	WHOLE,  /* answered */
	HANG,   /* answered when the test says so */
	DROP,   /* the connection is closed without an answer */
	CUT,    /* closed in the middle of the body */
	BIG,    /* 50 MB */
	STREAM, /* chunked; at '|' it waits until the test says so */
	BROKEN, /* the same, without the last chunk */
};

struct answer {
	enum how how;
	int status; /* 0: 200 */
	const char *body;
	const char *headers;
};

/* Requests to /variables are answered 200 at once, all others in this order,
 * and when there is nothing left, with [] */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct answer answerv[ANSWERS_MAX];
	size_t answerc, next;
	int go;                  /* how often the test has said so */
	int serving;             /* threads that write, or will */
	int under_way, overlaps; /* requests without an answer so far */
	int variables_status;
	atomic_int interacts;
	char log[LOG_MAX]; /* "METHOD path body\n" of each request */
	char head[4096];   /* of the last */
} world = {.lock = PTHREAD_MUTEX_INITIALIZER,
	   .cond = PTHREAD_COND_INITIALIZER};

static inline void world_reset(void)
{
	world.answerc = world.next = 0;
	world.go = world.serving = world.under_way = world.overlaps = 0;
	world.variables_status = 200;
	world.interacts = 0;
	world.log[0] = '\0';
}

static inline void will(struct answer a)
{
	pthread_mutex_lock(&world.lock);
	assert_true(world.answerc < ANSWERS_MAX);
	world.answerv[world.answerc++] = a;
	pthread_mutex_unlock(&world.lock);
}

static inline void go(void)
{
	pthread_mutex_lock(&world.lock);
	++world.go;
	pthread_cond_broadcast(&world.cond);
	pthread_mutex_unlock(&world.lock);
}

/** Wait for the test; false: it has ended */
static inline bool wait_go(struct fake_http *f)
{
	bool went = false;

	pthread_mutex_lock(&world.lock);
	while (!world.go && !f->closing)
		pthread_cond_wait(&world.cond, &world.lock);
	if (world.go) {
		--world.go;
		went = true;
	}
	pthread_mutex_unlock(&world.lock);

	return went;
}

/** To be said before the last bytes go: another request may follow at once */
static inline void is_answered(void)
{
	pthread_mutex_lock(&world.lock);
	--world.under_way;
	pthread_mutex_unlock(&world.lock);
}

static inline void answer_whole(int fd, const struct answer *a)
{
	const char *headers = a->headers ? a->headers : "";

	is_answered();
	fake_answer(fd, a->status ? a->status : 200, headers, a->body,
		    strlen(a->body));
}

static inline void answer_big(int fd)
{
	static char blanks[65536];
	char head[128];

	memset(blanks, ' ', sizeof(blanks));
	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n",
		       BIG_BYTES);
	fake_write(fd, head);
	for (size_t i = 0; i < BIG_BYTES; i += sizeof(blanks))
		if (!fake_write_n(fd, blanks, sizeof(blanks)))
			break;
}

static inline void write_chunk(int fd, const char *p, size_t n)
{
	char size[32];

	if (!n)
		return;
	(void)snprintf(size, sizeof(size), "%zx\r\n", n);
	fake_write(fd, size);
	(void)fake_write_n(fd, p, n);
	fake_write(fd, "\r\n");
}

static inline bool answer_stream(struct fake_http *f, int fd,
				 const struct answer *a)
{
	const char *s = a->body;

	fake_write(fd, "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n"
		       "Transfer-Encoding: chunked\r\n\r\n");
	for (;;) {
		size_t n = strcspn(s, "|");

		if (!s[n])
			is_answered();
		write_chunk(fd, s, n);
		s += n;
		if (!*s)
			break;
		++s;
		if (!wait_go(f))
			return false;
	}
	if (a->how == STREAM)
		fake_write(fd, "0\r\n\r\n");

	return a->how == STREAM;
}

static inline bool answer(struct fake_http *f, int fd, const struct answer *a)
{
	switch (a->how) {
	case HANG:
		if (!wait_go(f))
			return false;
		answer_whole(fd, a);
		return true;
	case DROP:
		is_answered();
		return false;
	case CUT:
		is_answered();
		fake_write(fd,
			   "HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n");
		fake_write(fd, a->body);
		return false;
	case BIG:
		is_answered();
		answer_big(fd);
		return false;
	case STREAM:
	case BROKEN:
		return answer_stream(f, fd, a);
	default:
		answer_whole(fd, a);
		return true;
	}
}

static inline bool serve(struct fake_http *f, int fd, const char *path,
			 const char *head, const char *body)
{
	struct answer a = {WHOLE, 0, "[]", NULL};
	size_t n = strlen(path), used;
	bool variables = n > 10 && !strcmp(path + n - 10, "/variables");
	bool keep;

	pthread_mutex_lock(&world.lock);
	used = strlen(world.log);
	(void)snprintf(world.log + used, sizeof(world.log) - used,
		       "%.*s %s %s\n", (int)strcspn(head, " "), head, path,
		       body);
	str_copy(world.head, sizeof(world.head), head);
	++world.serving;
	world.overlaps += world.under_way++ > 0;
	if (variables) {
		a.status = world.variables_status;
		a.body = "{}";
	} else {
		++world.interacts;
		if (world.next < world.answerc)
			a = world.answerv[world.next++];
	}
	pthread_mutex_unlock(&world.lock);

	keep = answer(f, fd, &a);

	pthread_mutex_lock(&world.lock);
	--world.serving;
	pthread_mutex_unlock(&world.lock);

	return keep;
}

/* ------------------------------------------------------------ the fixture */

struct fixture {
	struct net net;
	struct tmr *watchdog;
	struct dialog *dialog;
	struct dialog_session *session;
	struct fake_http server;

	int opened, done, acts;
	int open_err, done_err;
	bool stream; /* for memory_body() */
	bool drop_in_act, cancel_in_act, drop_in_done;
	const char *say_in_act; /* cancel, and begin another turn */
	char id[DIALOG_ID_MAX];
	char notes[4096];
	struct clip *clip; /* of the last PLAY that had one */
};

static const struct dialog_backend *const vf = &dialog_voiceflow;

static inline void open_handler(int err, const char *conversation, void *arg)
{
	struct fixture *f = arg;

	++f->opened;
	f->open_err = err;
	str_copy(f->id, sizeof(f->id), conversation);
}

static inline int turn(struct fixture *f, enum dialog_turn_kind kind,
		       const char *text)
{
	const struct dialog_turn t = {
		.kind = kind, .text = text, .language = "en-US"};

	return vf->turn(f->session, &t);
}

static inline void act_handler(const struct dialog_act *a, void *arg)
{
	static const char *const namev[] = {
		[DIALOG_SAY] = "say",         [DIALOG_PLAY] = "play",
		[DIALOG_COLLECT] = "collect", [DIALOG_TRANSFER] = "transfer",
		[DIALOG_HANGUP] = "hangup",   [DIALOG_SILENCE] = "silence",
	};
	struct fixture *f = arg;
	size_t n = strlen(f->notes);
	const char *say = f->say_in_act;

	(void)snprintf(f->notes + n, sizeof(f->notes) - n, "[%s %s]",
		       namev[a->type], a->text ? a->text : "");
	if (a->clip) {
		mem_deref(f->clip);
		f->clip = mem_ref(a->clip);
	}
	if (f->drop_in_act)
		f->session = mem_deref(f->session);
	if (f->cancel_in_act || say)
		vf->cancel(f->session);
	f->say_in_act = NULL;
	if (say)
		assert_int_equal(turn(f, DIALOG_SPEECH, say), 0);
	++f->acts;
}

static inline void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	++f->done;
	f->done_err = err;
	if (f->drop_in_done)
		f->session = mem_deref(f->session);
}

static const struct dialog_handlers handlers = {
	.openh = open_handler,
	.acth = act_handler,
	.doneh = done_handler,
};

/* What may be set in a test; the rest is as usual */
struct how_to {
	const char *query;
	const char *opening;
	uint32_t timeout_ms;
};

static inline int set_up_net(struct fixture *f, const struct how_to *how)
{
	char url[256];
	const struct dialog_param prm = {
		.url = url,
		.language = "en-US",
		.timeout_ms = how->timeout_ms ? how->timeout_ms : TIMEOUT_MS,
		.key = KEY,
		.opening = how->opening,
	};
	int err = net_open(&f->net, &f->watchdog);

	(void)snprintf(url, sizeof(url), "voiceflow+%s/pre/%s", f->server.url,
		       how->query ? how->query : "");
	if (!err)
		err = dialog_alloc(&f->dialog, &prm, &f->net);

	return err;
}

static inline void tear_down_net(struct fixture *f)
{
	mem_deref(f->session);
	mem_deref(f->clip);
	mem_deref(f->dialog);
	net_close(&f->net, &f->watchdog);
}

static inline int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	world_reset();
	fake_http_open(&f.server, serve, NULL);
	*state = &f;

	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	tear_down_net(f);
	atomic_store(&f->server.closing, true);
	pthread_mutex_lock(&world.lock);
	pthread_cond_broadcast(&world.cond);
	pthread_mutex_unlock(&world.lock);
	fake_http_close(&f->server);

	return 0;
}

static inline int open_session(struct fixture *f)
{
	const struct dialog_call call = {
		.call_id = "CA 1/ö",
		.caller = "+15550001",
		.called = "+15550002",
	};

	return vf->open(&f->session, f->dialog, &call, &handlers, f);
}

static inline void run_until(struct fixture *f, const int *n, int want)
{
	loop_turn(f->net.loop, false); /* what waits for the end of a turn */
	while (*n < want)
		loop_turn(f->net.loop, true);
}

static inline void run_until_asked(struct fixture *f, int interacts)
{
	while (world.interacts < interacts)
		loop_turn(f->net.loop, false);
}

/** The answer is written to its last byte, and read */
static inline void settle(struct fixture *f)
{
	bool busy;

	do {
		pthread_mutex_lock(&world.lock);
		busy = world.serving > 0;
		pthread_mutex_unlock(&world.lock);
		loop_turn(f->net.loop, false);
	} while (busy);
	for (int i = 0; i < 10; i++)
		loop_turn(f->net.loop, false);
}

static inline void start(struct fixture *f, struct how_to how)
{
	assert_int_equal(set_up_net(f, &how), 0);
	assert_int_equal(open_session(f), 0);
	assert_int_equal(f->opened, 0);
	run_until(f, &f->opened, 1);
	assert_int_equal(f->open_err, 0);
	assert_string_equal(f->id, "CA 1/ö");
}

/** A turn to its end; its error */
static inline int converse(struct fixture *f, enum dialog_turn_kind kind,
			   const char *text)
{
	int n = f->done;

	assert_int_equal(turn(f, kind, text), 0);
	assert_int_equal(turn(f, kind, text), EBUSY);
	assert_int_equal(f->done, n);
	run_until(f, &f->done, n + 1);

	return f->done_err;
}

static inline void begin(struct fixture *f, struct how_to how)
{
	start(f, how);
	assert_int_equal(converse(f, DIALOG_OPENING, ""), 0);
}

static inline void check_log(const char *want)
{
	if (strcmp(world.log, want) != 0)
		fail_msg("\n%s\ninstead of\n%s", world.log, want);
	if (world.overlaps)
		fail_msg("two at once in\n%s", world.log);
	world.log[0] = '\0';
}

static inline void check_notes(struct fixture *f, const char *want)
{
	assert_string_equal(f->notes, want);
	f->notes[0] = '\0';
}

#define USER    "/pre/state/user/CA%201%2F%C3%B6/"
#define STREAM_ "POST /pre/v2/project/P1/user/CA%201%2F%C3%B6/interact/stream"
#define CONFIG                                                       \
	",\"config\":{\"tts\":false,\"stripSSML\":true,\"stopAll\":" \
	"false,\"excludeTypes\":[\"block\",\"debug\",\"flow\","      \
	"\"path\"]}}\n"
#define VARS                                                  \
	"{\"caller\":\"+15550001\",\"called\":\"+15550002\"," \
	"\"call_id\":\"CA 1/ö\"}"
#define PATCH         "PATCH " USER "variables " VARS "\n"
#define INTERACT(act) "POST " USER "interact {\"action\":" act CONFIG
#define LAUNCH        INTERACT("{\"type\":\"launch\"}")
#define SAID(s)       INTERACT("{\"type\":\"text\",\"payload\":\"" s "\"}")

static inline char *fixture_text(const char *name)
{
	static char buf[16384];
	char path[512];
	size_t n;
	FILE *file;

	(void)snprintf(path, sizeof(path), DIR "voiceflow-%s", name);
	file = fopen(path, "rb");
	assert_non_null(file);
	n = fread(buf, 1, sizeof(buf) - 1, file);
	buf[n] = '\0';
	fclose(file);

	return buf;
}

/* A lack of memory inside libcurl ends by the time limit, see test_http.c; and
 * what an act could not be made of is left out */
static inline int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	struct how_to how = {.query = fx->stream ? "?stream=P1" : "",
			     .timeout_ms = 200};
	int err;

	fake_http_idle(&fx->server);
	/* of a server that goes on: its address is all that is wanted */
	str_copy(f.server.url, sizeof(f.server.url), fx->server.url);
	world_reset();
	world.answerv[0] = (struct answer){
		fx->stream ? STREAM : WHOLE, 0,
		fx->stream ? EVENT("Hi.") "event: end\n\n" : TEXT("Hi."),
		NULL};
	world.answerc = 1;
	err = set_up_net(&f, &how);
	if (!err)
		err = open_session(&f);
	if (!err) {
		run_until(&f, &f.opened, 1);
		err = turn(&f, DIALOG_OPENING, "");
	}
	if (!err) {
		run_until(&f, &f.done, 1);
		err = f.done_err;
	}
	if (!err && strcmp(f.notes, "[say Hi.]") != 0)
		err = ENOMEM;
	/* the variables may have been lost for want of memory */
	if (!err && !strstr(world.log, VARS))
		err = ENOMEM;
	tear_down_net(&f);

	return err ? ENOMEM : 0;
}

#endif

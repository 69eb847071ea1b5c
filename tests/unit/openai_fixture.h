/**
 * @file openai_fixture.h  A session with a language model, and its server
 */
#ifndef CONVOD_OPENAI_FIXTURE_H
#define CONVOD_OPENAI_FIXTURE_H

#include <stdio.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/str.h>
#include "../../src/dialog/openai.h"
#include "fake_http.h"
#include "net_fixture.h"
#include "peer.h"

#define DIR DATA_DIR "/openai/"

enum { REQUESTS_MAX = 8, FILE_MAX = 65536 };

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

static inline bool serve(struct fake_http *f, int fd, const char *path,
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
	struct net net;
	struct tmr *watchdog;
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

static inline int turn_of(struct fixture *f, enum dialog_turn_kind kind,
			  const char *text)
{
	return f->dialog->be->turn(f->session, &(struct dialog_turn){
						       .kind = kind,
						       .text = text,
						       .language = "is-IS",
					       });
}

static inline int say(struct fixture *f, const char *text)
{
	return turn_of(f, DIALOG_SPEECH, text);
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

static inline int set_up(struct fixture *f, const char *url,
			 uint32_t timeout_ms)
{
	const struct dialog_param prm = {
		.url = url,
		.language = "is-IS",
		.timeout_ms = timeout_ms,
		.key = "sk-test",
		.model = "m1",
	};
	int err = net_open(&f->net, &f->watchdog);

	if (!err)
		err = dialog_alloc(&f->dialog, &prm, &f->net);
	if (!err)
		err = f->dialog->be->open(
			&f->session, f->dialog,
			&(struct dialog_call){.call_id = "CA1"}, &handlers, f);

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
	memset(world.stepv, 0, sizeof(world.stepv));
	world.requests = world.closed = world.warm = 0;
	fake_http_open(&f.server, serve, NULL);
	(void)snprintf(f.url, sizeof(f.url), "openai+%s", f.server.url);
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

static inline void run_until(struct fixture *f, const int *n, int want)
{
	while (*n < want)
		loop_turn(f->net.loop, true);
}

/* For what the server sees: it runs on threads of its own */
static inline void await(struct fixture *f, const atomic_int *n, int want)
{
	while (atomic_load(n) < want) {
		loop_turn(f->net.loop, false);
		usleep(1000);
	}
}

static inline void begin(struct fixture *f)
{
	assert_int_equal(set_up(f, f->url, TIMEOUT_MS), 0);
	assert_int_equal(f->opened, 0);
	while (!f->opened)
		loop_turn(f->net.loop, false);
}

static inline void finish_turn(struct fixture *f, int err)
{
	int n = f->done;

	run_until(f, &f->done, n + 1);
	assert_int_equal(f->done_err, err);
}

static inline void converse(struct fixture *f, const char *text, int err)
{
	f->said[0] = '\0';
	assert_int_equal(say(f, text), 0);
	assert_int_equal(say(f, text), EBUSY);
	finish_turn(f, err);
}

/* The messages of a request, as "s|u:text|a:text|" */
static inline const char *messages(int request)
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

static inline json_t *member(int request, const char *name)
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

static inline const char *load(const char *name)
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <convod/http.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "fake_http.h"
#include "net_fixture.h"

enum { FLOOD_BYTES = 8 << 20 };

struct fixture {
	struct fake_http server;
	struct fake_http other; /* another origin */
	struct net net;
	struct tmr *watchdog;
};

struct result {
	struct fixture *f;
	struct http_req *req;
	bool done, deny, drop, again, pause;
	int err, status;
	uint32_t retry_after_s;
	char type[64];
	char body[65536];
	size_t n, pieces;
	int allowed;
};

/* What the last request looked like, written by the server's threads */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static char seen_head[8192], seen_body[8192];

/* A name server that does not answer until it may, or for LOOKUP_MAX_S */
static const char stuck_host[] = "stuck.invalid";
static sem_t lookup_go, lookup_over;

enum { LOOKUP_MAX_S = 60 };

/* libcurl's calls come here first */
int getaddrinfo(const char *host, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);
	struct timespec ts;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (!host || strcmp(host, stuck_host) != 0)
		return real(host, service, hints, res);

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += LOOKUP_MAX_S;
	(void)sem_timedwait(&lookup_go, &ts);
	sem_post(&lookup_over);

	return EAI_AGAIN;
}

static void remember(const char *head, const char *body)
{
	pthread_mutex_lock(&seen_lock);
	str_copy(seen_head, sizeof(seen_head), head);
	str_copy(seen_body, sizeof(seen_body), body);
	pthread_mutex_unlock(&seen_lock);
}

/* Slower than anybody reads, also under valgrind on one core: as long as there
 * is more libcurl does not return, and nothing else gets a turn */
static void endless(int fd)
{
	char v[4096];

	memset(v, 'x', sizeof(v));
	fake_write(fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (fake_write_n(fd, v, sizeof(v)))
		usleep(2000);
}

static void flood(int fd)
{
	static char v[FLOOD_BYTES];

	fake_answer(fd, 200, "", v, sizeof(v));
}

static void reset(int fd)
{
	struct linger l = {.l_onoff = 1};

	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &l, sizeof(l));
}

static void redirect(struct fake_http *f, int fd, const char *path)
{
	char h[4200];
	const struct fixture *fx = f->arg;

	if (!strncmp(path, "/to-other/", 10))
		(void)snprintf(h, sizeof(h), "Location: %s/%s\r\n",
			       fx->other.url, path + 10);
	else
		(void)snprintf(h, sizeof(h), "Location: %s\r\n", path + 3);
	fake_answer(fd, 302, h, "<html>moved</html>", 18);
}

/* One answer, and another one when the first was taken */
static atomic_bool first_taken, second_sent;

static void answer_twice(const struct fake_http *f, int fd)
{
	fake_answer(fd, 200, "", "one", 3);
	while (!atomic_load(&first_taken) && !atomic_load(&f->closing))
		usleep(500);
	fake_answer(fd, 200, "", "two", 3);
	atomic_store(&second_sent, true);
}

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	remember(head, body);
	if (!strcmp(path, "/hello"))
		fake_answer(fd, 200, "Content-Type: text/plain\r\n", "hello",
			    5);
	else if (!strcmp(path, "/busy"))
		fake_answer(fd, 429, "Retry-After: 7\r\n", "{}", 2);
	else if (!strcmp(path, "/busy-date"))
		fake_answer(fd, 503,
			    "Retry-After: Fri, 31 Dec 2027 23:59:59 GMT\r\n",
			    "", 0);
	else if (!strcmp(path, "/twice"))
		answer_twice(f, fd);
	else if (!strcmp(path, "/endless"))
		endless(fd);
	else if (!strcmp(path, "/flood"))
		flood(fd);
	else if (!strcmp(path, "/hang"))
		return true;
	else if (!strcmp(path, "/slow"))
		fake_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
			       "abc");
	else if (!strcmp(path, "/cut")) {
		fake_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
			       "abc");
		return false;
	} else if (!strcmp(path, "/reset")) {
		reset(fd);
		return false;
	} else if (!strcmp(path, "/nonsense")) {
		fake_write(fd, "SSH-2.0-OpenSSH_9.2p1\r\n\r\n");
		return false;
	} else if (!strncmp(path, "/to/", 4) || !strncmp(path, "/to-", 4))
		redirect(f, fd, path);
	else if (!strcmp(path, "/loop"))
		fake_answer(fd, 302, "Location: /loop\r\n", "", 0);
	else if (!strcmp(path, "/to_ftp"))
		fake_answer(fd, 302, "Location: ftp://127.0.0.1/x\r\n", "", 0);
	else
		fake_answer(fd, 404, "", "no", 2);
	return true;
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	fake_http_open(&f.server, serve, &f);
	fake_http_open(&f.other, serve, &f);
	assert_int_equal(net_open(&f.net, &f.watchdog), 0);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	net_close(&f->net, &f->watchdog);
	fake_http_close(&f->server);
	fake_http_close(&f->other);

	return 0;
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct result *r = arg;

	assert_false(r->done);
	r->done = true;
	r->err = err;
	r->status = resp->status;
	r->retry_after_s = resp->retry_after_s;
	str_copy(r->type, sizeof(r->type), resp->content_type);
	if (!r->n) {
		r->n = MIN(resp->bodyc, sizeof(r->body) - 1);
		memcpy(r->body, resp->body, r->n);
		assert_int_equal(resp->body[resp->bodyc], '\0');
	}
	if (r->drop)
		r->req = mem_deref(r->req);
}

static void body_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	struct result *r = arg;
	size_t fit = MIN(n, sizeof(r->body) - 1 - r->n);

	r->status = status;
	memcpy(r->body + r->n, p, fit);
	r->n += fit;
	++r->pieces;
	if (r->drop)
		r->req = mem_deref(r->req);
	if (r->pause)
		http_pause(r->req, true);
}

static enum http_verdict allow_handler(const char *url, void *arg)
{
	struct result *r = arg;

	(void)url;
	++r->allowed;

	return r->deny && r->allowed > 1 ? HTTP_REFUSE : HTTP_TRUST;
}

static void run(struct fixture *f, const bool *done)
{
	while (!*done)
		loop_turn(f->net.loop, true);
}

static int start(struct fixture *f, struct result *r, const char *path,
		 struct http_param *prm, bool pieces)
{
	char url[512];

	(void)snprintf(url, sizeof(url), "%s%s", f->server.url, path);
	prm->url = url;
	if (!prm->body_max)
		prm->body_max = 100000;
	r->f = f;

	return http_request(&r->req, f->net.http, prm,
			    pieces ? body_handler : NULL, done_handler, r);
}

static void get(struct fixture *f, struct result *r, const char *path,
		struct http_param *prm)
{
	assert_int_equal(start(f, r, path, prm, false), 0);
	assert_false(r->done);
	run(f, &r->done);
	r->req = mem_deref(r->req);
}

static void test_get_keeps_the_connection(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 5; i++) {
		struct http_param prm = {0};
		struct result r = {0};

		get(f, &r, "/hello", &prm);
		assert_int_equal(r.err, 0);
		assert_int_equal(r.status, 200);
		assert_string_equal(r.type, "text/plain");
		assert_string_equal(r.body, "hello");
	}
	assert_int_equal(atomic_load(&f->server.conns), 1);
	assert_null(strcasestr(seen_head, "upgrade"));
}

/* What nobody asked for is no answer to what is asked next */
static void test_second_answer_is_nobodys(void **state)
{
	struct fixture *f = *state;
	struct http_param prm = {.method = "POST", .body = "x", .bodyc = 1};
	uint64_t excess = metrics_counter(M_HTTP_EXCESS);
	struct result r = {0}, next = {0};

	atomic_store(&first_taken, false);
	atomic_store(&second_sent, false);
	get(f, &r, "/twice", &prm);
	assert_string_equal(r.body, "one");
	atomic_store(&first_taken, true);
	while (!atomic_load(&second_sent))
		usleep(500);
	get(f, &next, "/hello", &prm);
	assert_int_equal(next.err, 0);
	assert_string_equal(next.body, "hello");
	assert_int_equal(atomic_load(&f->server.conns), 2);
	assert_int_equal(metrics_counter(M_HTTP_EXCESS) - excess, 1);
}

static void test_put_sends_body_and_headers(void **state)
{
	const char *const headers[] = {"Accept: application/json",
				       "Content-Type: application/json", NULL};
	struct http_param prm = {.method = "PUT",
				 .headerv = headers,
				 .body = "{\"a\":1}",
				 .bodyc = 7};
	struct fixture *f = *state;
	struct result r = {0};

	get(f, &r, "/x", &prm);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.status, 404);
	assert_true(str_starts(seen_head, "PUT /x HTTP/1.1\r\n"));
	assert_non_null(strstr(seen_head, "\r\nAccept: application/json\r\n"));
	assert_non_null(
		strstr(seen_head, "\r\nContent-Type: application/json\r\n"));
	assert_null(strcasestr(seen_head, "expect:"));
	assert_string_equal(seen_body, "{\"a\":1}");
}

static void test_errors(void **state)
{
	static const struct {
		const char *path;
		int err, status;
		uint32_t retry;
	} tests[] = {
		{"/busy", 0, 429, 7},
		{"/busy-date", 0, 503, 0},
		{"/endless", EOVERFLOW, 200, 0},
		{"/hang", ETIMEDOUT, 0, 0},
		{"/slow", ETIMEDOUT, 200, 0},
		{"/cut", ECONNRESET, 200, 0},
		{"/reset", ECONNRESET, 0, 0},
		{"/nonsense", EPROTO, 0, 0},
		{"/loop", EPROTO, 302, 0},
		{"/to_ftp", EPROTO, 302, 0},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct http_param prm = {.redirects = true};
		struct result r = {0};

		if (tests[i].err == ETIMEDOUT)
			prm.idle_ms = 300;
		get(f, &r, tests[i].path, &prm);
		assert_int_equal(r.err, tests[i].err);
		assert_int_equal(r.status, tests[i].status);
		assert_int_equal(r.retry_after_s, tests[i].retry);
	}
}

static void test_whole_timeout(void **state)
{
	struct http_param prm = {.timeout_ms = 200, .body_max = SIZE_MAX};
	struct fixture *f = *state;
	struct result r = {0};

	/* as long as it takes the server, on any machine, to be heard */
	for (; r.pieces < 2; prm.timeout_ms *= 2) {
		r = (struct result){0};
		assert_int_equal(start(f, &r, "/endless", &prm, true), 0);
		run(f, &r.done);
		assert_int_equal(r.err, ETIMEDOUT);
		mem_deref(r.req);
	}
}

static void test_refused_and_unknown(void **state)
{
	struct http_param prm = {.body_max = 100};
	struct fixture *f = *state;
	struct result r = {0}, s = {0};

	prm.url = "http://127.0.0.1:1/";
	assert_int_equal(http_request(&r.req, f->net.http, &prm, NULL,
				      done_handler, &r),
			 0);
	run(f, &r.done);
	assert_int_equal(r.err, ECONNREFUSED);

	prm.url = "http://no..where/"; /* no name server is asked */
	assert_int_equal(http_request(&s.req, f->net.http, &prm, NULL,
				      done_handler, &s),
			 0);
	run(f, &s.done);
	assert_int_equal(s.err, EHOSTUNREACH);
	mem_deref(r.req);
	mem_deref(s.req);
}

static void test_bad_requests(void **state)
{
	const char *const split[] = {"X: a\r\nY: b", NULL};
	struct fixture *f = *state;
	struct http_param prm = {.url = "ftp://127.0.0.1/", .body_max = 1};
	struct http_req *req = NULL;

	assert_int_equal(
		http_request(&req, f->net.http, &prm, NULL, NULL, NULL),
		EINVAL);
	prm.url = "no url";
	assert_int_equal(
		http_request(&req, f->net.http, &prm, NULL, NULL, NULL),
		EINVAL);
	prm.url = "http://127.0.0.1/";
	prm.headerv = split;
	assert_int_equal(
		http_request(&req, f->net.http, &prm, NULL, NULL, NULL),
		EINVAL);
	assert_null(req);
}

static void test_redirect_keeps_bytes(void **state)
{
	struct http_param prm = {.redirects = true, .allowh = allow_handler};
	struct fixture *f = *state;
	struct result r = {0};

	get(f, &r, "/to/to/x==--a%3D%2f.mp3?a=1&b=%20", &prm);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.status, 404);
	assert_string_equal(r.body, "no");
	assert_int_equal(r.allowed, 3);
	assert_true(str_starts(seen_head, "GET /x==--a%3D%2f.mp3?a=1&b=%20 "));
}

static void test_redirect_not_followed(void **state)
{
	struct http_param prm = {0};
	struct fixture *f = *state;
	struct result r = {0};

	get(f, &r, "/to/hello", &prm);
	assert_int_equal(r.err, 0);
	assert_int_equal(r.status, 302);
	assert_string_equal(r.body, "<html>moved</html>");
}

static void test_redirect_denied(void **state)
{
	struct http_param prm = {.redirects = true, .allowh = allow_handler};
	struct fixture *f = *state;
	struct result r = {.deny = true};
	int before = atomic_load(&f->other.conns);

	get(f, &r, "/to-other/hello", &prm);
	assert_int_equal(r.err, EACCES);
	assert_int_equal(r.n, 0);
	assert_int_equal(atomic_load(&f->other.conns), before);
}

static void fetch_with_secrets(struct fixture *f, struct result *r,
			       const char *path)
{
	const char *const headers[] = {"X-Key: hidden", "Accept: audio/mpeg",
				       NULL};
	struct http_param prm = {.redirects = true,
				 .allowh = allow_handler,
				 .headerv = headers};
	char url[512];

	(void)snprintf(url, sizeof(url), "http://me:se%%40cret@127.0.0.1:%u%s",
		       f->server.port, path);
	prm.url = url;
	prm.body_max = 1000;
	assert_int_equal(http_request(&r->req, f->net.http, &prm, NULL,
				      done_handler, r),
			 0);
	run(f, &r->done);
	r->req = mem_deref(r->req);
	assert_int_equal(r->err, 0);
	assert_string_equal(r->body, "hello");
}

static void test_secrets_stay_at_home(void **state)
{
	/* base64 of me:se@cret */
	const char *auth = "\r\nAuthorization: Basic bWU6c2VAY3JldA==\r\n";
	struct fixture *f = *state;
	struct result a = {0}, b = {0};

	fetch_with_secrets(f, &a, "/to/hello");
	assert_non_null(strstr(seen_head, auth));
	assert_non_null(strstr(seen_head, "X-Key: hidden"));

	fetch_with_secrets(f, &b, "/to-other/hello");
	assert_null(strstr(seen_head, "Authorization"));
	assert_null(strstr(seen_head, "hidden"));
	assert_non_null(strstr(seen_head, "Accept: audio/mpeg"));
}

static void test_dropped_from_inside(void **state)
{
	struct fixture *f = *state;
	struct http_param prm = {.body_max = SIZE_MAX};
	struct http_param small = {0};
	struct result r = {.drop = true}, s = {.drop = true}, t = {0};

	/* in the body handler */
	assert_int_equal(start(f, &r, "/endless", &prm, true), 0);
	run(f, &r.drop);
	while (r.req)
		loop_turn(f->net.loop, true);
	/* in the done handler */
	assert_int_equal(start(f, &s, "/hello", &small, false), 0);
	run(f, &s.done);
	assert_null(s.req);
	/* before anything has happened, and on the way */
	assert_int_equal(start(f, &t, "/hang", &small, false), 0);
	t.req = mem_deref(t.req);
	assert_int_equal(start(f, &t, "/hang", &small, false), 0);
	for (int n = atomic_load(&f->server.requests);
	     n == atomic_load(&f->server.requests);)
		loop_turn(f->net.loop, false);
	t.req = mem_deref(t.req);

	assert_int_equal(r.pieces, 1);
	assert_false(r.done);
	assert_false(t.done);
}

static void request_again_handler(int err, const struct http_resp *resp,
				  void *arg)
{
	struct result *r = arg;
	struct http_param prm = {0};
	struct fixture *f = r->f;

	assert_int_equal(err, 0);
	assert_int_equal(resp->status, 200);
	r->req = mem_deref(r->req);
	assert_int_equal(start(f, r, "/hello", &prm, false), 0);
}

static void test_request_from_inside(void **state)
{
	struct fixture *f = *state;
	struct result r = {.f = f};
	struct http_param prm = {.body_max = 10};
	char url[128];

	(void)snprintf(url, sizeof(url), "%s/hello", f->server.url);
	prm.url = url;
	assert_int_equal(http_request(&r.req, f->net.http, &prm, NULL,
				      request_again_handler, &r),
			 0);
	run(f, &r.done);
	assert_string_equal(r.body, "hello");
	mem_deref(r.req);
}

static void flag_handler(void *arg)
{
	*(bool *)arg = true;
}

static void test_pause_stops_and_goes_on(void **state)
{
	struct fixture *f = *state;
	struct http_param prm = {.body_max = SIZE_MAX, .idle_ms = 100};
	struct result r = {.pause = true};
	bool waited = false;
	struct tmr *t;
	size_t pieces;

	assert_int_equal(tmr_alloc(&t, f->net.loop, flag_handler, &waited), 0);
	assert_int_equal(start(f, &r, "/endless", &prm, true), 0);
	while (!r.pieces)
		loop_turn(f->net.loop, true);
	pieces = r.pieces;
	assert_int_equal(pieces, 1); /* at once, however much there is */
	tmr_start(t, 300);
	run(f, &waited);
	assert_int_equal(r.pieces, pieces);
	assert_false(r.done); /* a pause is not idleness */

	r.pause = false;
	http_pause(r.req, false);
	while (r.pieces < pieces + 10 && !r.done)
		loop_turn(f->net.loop, true);
	assert_false(r.done);
	mem_deref(r.req);
	mem_deref(t);
}

struct flood {
	size_t all, at_once;
	bool done;
};

static void flood_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	struct flood *fl = arg;

	(void)status;
	(void)p;
	fl->all += n;
	fl->at_once += n;
}

static void flooded_handler(int err, const struct http_resp *resp, void *arg)
{
	struct flood *fl = arg;

	(void)resp;
	assert_int_equal(err, 0);
	fl->done = true;
}

/* A peer that sends as fast as it can gets its share of the loop's turns */
static void test_flood_leaves_turns_to_others(void **state)
{
	struct http_param prm = {.body_max = SIZE_MAX};
	struct fixture *f = *state;
	struct flood fl = {0};
	struct http_req *req;
	char url[128];

	(void)snprintf(url, sizeof(url), "%s/flood", f->server.url);
	prm.url = url;
	assert_int_equal(http_request(&req, f->net.http, &prm, flood_handler,
				      flooded_handler, &fl),
			 0);
	while (!fl.done) {
		fl.at_once = 0;
		loop_turn(f->net.loop, true);
		assert_true(fl.at_once <= FLOOD_BYTES / 8);
	}
	assert_int_equal(fl.all, FLOOD_BYTES);
	mem_deref(req);
}

static void test_many_at_once(void **state)
{
	enum { N = 20 };
	struct fixture *f = *state;
	struct result *rv = calloc(N, sizeof(*rv));

	for (int i = 0; i < N; i++) {
		struct http_param prm = {0};

		assert_int_equal(start(f, &rv[i], "/hello", &prm, false), 0);
	}
	for (int i = 0; i < N; i++) {
		run(f, &rv[i].done);
		assert_int_equal(rv[i].err, 0);
		mem_deref(rv[i].req);
	}
	free(rv);
}

static void test_proxy_of_the_environment_is_ignored(void **state)
{
	struct fixture *f = *state;
	struct http_param prm = {0};
	struct result r = {0};

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	get(f, &r, "/hello", &prm);
	unsetenv("http_proxy");
	assert_int_equal(r.err, 0);
}

/* A lookup that hangs runs on a thread of libcurl's: neither its time-out nor
 * giving the request up may wait for it */
static void test_stuck_lookup_does_not_block(void **state)
{
	struct http_param prm = {.timeout_ms = 100, .body_max = 1000};
	struct fixture *f = *state;
	struct result r = {0}, dropped = {0};
	char url[64];
	int over;

	assert_int_equal(sem_init(&lookup_go, 0, 0), 0);
	assert_int_equal(sem_init(&lookup_over, 0, 0), 0);
	(void)snprintf(url, sizeof(url), "http://%s/", stuck_host);
	prm.url = url;
	assert_int_equal(http_request(&dropped.req, f->net.http, &prm, NULL,
				      done_handler, &dropped),
			 0);
	assert_int_equal(http_request(&r.req, f->net.http, &prm, NULL,
				      done_handler, &r),
			 0);
	loop_turn(f->net.loop, false);
	dropped.req = mem_deref(dropped.req);
	run(f, &r.done);
	r.req = mem_deref(r.req);

	assert_int_equal(r.err, ETIMEDOUT);
	assert_false(dropped.done);
	assert_int_equal(sem_getvalue(&lookup_over, &over), 0);
	assert_int_equal(over, 0);

	/* the threads see to themselves */
	for (int i = 0; i < 2; i++)
		sem_post(&lookup_go);
	for (int i = 0; i < 2; i++)
		sem_wait(&lookup_over);
}

/* libcurl tells of a lack of memory in several ways, and at times by silence;
 * what counts is that it ends with an error and leaves nothing behind */
static int memory_err;
static uint32_t memory_timeout_ms;

static int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	struct http_param prm = {.redirects = true,
				 .timeout_ms = memory_timeout_ms};
	struct result r = {0};
	int err = net_open(&f.net, &f.watchdog);

	memcpy(f.server.url, fx->server.url, sizeof(f.server.url));
	if (!err)
		err = start(&f, &r, "/to/hello", &prm, false);
	if (!err) {
		run(&f, &r.done);
		memory_err = r.err;
		err = r.err ? ENOMEM : 0;
		assert_true(err || !strcmp(r.body, "hello"));
	}
	mem_deref(r.req);
	net_close(&f.net, &f.watchdog);

	return err;
}

static void test_out_of_memory(void **state)
{
	/* longer than libcurl waits before it tries something else */
	memory_timeout_ms = 500;
	oom_loop(memory_body, *state);
}

/* Memory that is back at once is worse: libcurl goes on with what it has made
 * only by half. That a transfer hangs shows that it does. */
static void test_one_allocation_fails(void **state)
{
	size_t failed = 1;

	memory_timeout_ms = GIVE_UP_MS;
	for (long n = 0; failed; n++) {
		size_t before = mem_blocks();
		int err;

		mem_fail_all(n, 1);
		err = memory_body(*state);
		failed = mem_fail_all(-1, 0);
		assert_true(!err || err == ENOMEM);
		assert_int_not_equal(memory_err, ETIMEDOUT);
		assert_int_equal(before, mem_blocks());
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_get_keeps_the_connection),
		TEST(test_second_answer_is_nobodys),
		TEST(test_put_sends_body_and_headers),
		TEST(test_errors),
		TEST(test_whole_timeout),
		TEST(test_refused_and_unknown),
		TEST(test_bad_requests),
		TEST(test_redirect_keeps_bytes),
		TEST(test_redirect_not_followed),
		TEST(test_redirect_denied),
		TEST(test_secrets_stay_at_home),
		TEST(test_dropped_from_inside),
		TEST(test_request_from_inside),
		TEST(test_pause_stops_and_goes_on),
		TEST(test_flood_leaves_turns_to_others),
		TEST(test_many_at_once),
		TEST(test_proxy_of_the_environment_is_ignored),
		TEST(test_out_of_memory),
		TEST(test_one_allocation_fails),
		/* last: its threads let go of their memory when they like */
		TEST(test_stuck_lookup_does_not_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

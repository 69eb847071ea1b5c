/* Whom the HTTP client connects to: by address, redirect, proxy, and by
 * connections that are there already */
#include <dlfcn.h>
#include <netdb.h>
#include <convod/addr.h>
#include <convod/http.h>
#include <convod/str.h>
#include "fake_http.h"
#include "net_fixture.h"

enum { HOPS = HTTP_REDIRECTS_MAX };

struct fixture {
	struct fake_http server; /* the backend */
	struct fake_http other;  /* in our network, not for others to reach */
	struct net net;
	struct tmr *watchdog;

	/* what /to redirects to, and what may be connected to */
	char location[256];
	enum http_verdict verdict;
	const char *fine;
	unsigned asked;

	bool done;
	int err, status;
	char body[64];
	struct http_req *req;
};

/* Names of the test's own: one leads to loopback, as after DNS rebinding; one
 * has two addresses, of which nobody listens on the first. libcurl's calls
 * come here first. */
int getaddrinfo(const char *host, const char *service,
		const struct addrinfo *hints, struct addrinfo **res)
{
	int (*real)(const char *, const char *, const struct addrinfo *,
		    struct addrinfo **);
	bool two = host && !strcmp(host, "two.test");
	int err;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (two || (host && !strcmp(host, "name.test")))
		host = "127.0.0.1";
	err = real(host, service, hints, res);
	if (!err && two) {
		struct addrinfo *rest = *res;

		err = real("127.0.0.2", service, hints, res);
		assert_int_equal(err, 0);
		(*res)->ai_next = rest;
	}

	return err;
}

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	const struct fixture *fx = f->arg;
	char h[512];
	int hops;

	(void)head;
	(void)body;
	if (!strcmp(path, "/to")) {
		(void)snprintf(h, sizeof(h), "Location: %s\r\n", fx->location);
		fake_answer(fd, 302, h, "", 0);
	} else if (str_starts(path, "/to/")) {
		(void)snprintf(h, sizeof(h), "Location: /to%s\r\n",
			       str_eq(path, "/to/1") ? "" : "/1");
		fake_answer(fd, 307, h, "", 0);
	} else if (sscanf(path, "/hops/%d", &hops) == 1 && hops > 0) {
		(void)snprintf(h, sizeof(h), "Location: /hops/%d\r\n",
			       hops - 1);
		fake_answer(fd, 307, h, "", 0);
	} else {
		fake_answer(fd, 200, "", path, strlen(path));
	}

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

	mem_deref(f->req);
	net_close(&f->net, &f->watchdog);
	fake_http_close(&f->server);
	fake_http_close(&f->other);

	return 0;
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct fixture *f = arg;

	f->done = true;
	f->err = err;
	f->status = resp->status;
	str_copy(f->body, sizeof(f->body), resp->body);
}

/* The backend is trusted, the rest is as the test says */
static enum http_verdict allow_handler(const char *url, void *arg)
{
	struct fixture *f = arg;

	return str_starts(url, f->server.url) ? HTTP_TRUST : f->verdict;
}

static enum http_verdict judge_handler(const char *url, void *arg)
{
	(void)url;
	(void)arg;

	return HTTP_JUDGE;
}

static bool addr_handler(const struct sockaddr *sa, void *arg)
{
	struct fixture *f = arg;

	++f->asked;

	return net_hosts_has_addr(f->fine, sa);
}

static int get(struct fixture *f, const char *url, http_allow_h *allowh,
	       http_addr_h *addrh)
{
	const struct http_param prm = {
		.url = url,
		.redirects = true,
		.body_max = 1000,
		.allowh = allowh,
		.addrh = addrh,
	};

	f->done = false;
	f->asked = 0;
	f->req = mem_deref(f->req);
	assert_int_equal(http_request(&f->req, f->net.http, &prm, NULL,
				      done_handler, f),
			 0);
	while (!f->done)
		loop_turn(f->net.loop, true);

	return f->err;
}

/* Ways to write "your own machine" */
static const char *const loopbackv[] = {
	"127.0.0.1",
	"127.0.0.2",
	"127.1",
	"2130706433",
	"017700000001",
	"0x7f000001",
	"0x7f.0.0.1",
	"0.0.0.0",
	"0",
	"localhost",
	"name.test",
	"two.test",
	"[::1]",
	"[::]",
	"[::ffff:127.0.0.1]",
	"[::ffff:7f00:1]",
	"[0:0:0:0:0:ffff:127.0.0.1]",
	"[::127.0.0.1]",
	"[64:ff9b::127.0.0.1]",
	"[2002:7f00:1::]",
};

/* Where there is no IPv6 at all libcurl knows no such addresses */
static void assert_refused(const char *host, int err)
{
	if (err != EACCES && !(*host == '[' && err == EHOSTUNREACH))
		fail_msg("%s: %d", host, err);
}

static void test_judged_by_the_address(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(loopbackv); i++) {
		char url[128];

		(void)snprintf(url, sizeof(url), "http://%s:%u/x",
			       loopbackv[i], f->other.port);
		assert_refused(loopbackv[i], get(f, url, judge_handler, NULL));
	}
	assert_int_equal(atomic_load(&f->other.conns), 0);
}

static void test_redirects_are_judged(void **state)
{
	/* by the first redirect, the second, the third */
	static const char *const hopv[] = {"/to", "/to/1", "/to/2"};
	struct fixture *f = *state;
	char url[128];

	f->verdict = HTTP_JUDGE;
	for (size_t i = 0; i < ARRAY_SIZE(loopbackv); i++) {
		(void)snprintf(f->location, sizeof(f->location),
			       "http://%s:%u/x", loopbackv[i], f->other.port);
		for (size_t k = 0; k < ARRAY_SIZE(hopv); k++) {
			(void)snprintf(url, sizeof(url), "%s%s", f->server.url,
				       hopv[k]);
			assert_refused(loopbackv[i],
				       get(f, url, allow_handler, NULL));
			/* no handler: the same */
			assert_refused(loopbackv[i], get(f, url, NULL, NULL));
		}
	}
	assert_int_equal(atomic_load(&f->other.conns), 0);

	/* home is home */
	(void)snprintf(url, sizeof(url), "%s/to", f->server.url);
	str_copy(f->location, sizeof(f->location), "/x");
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_string_equal(f->body, "/x");
}

static void test_three_redirects(void **state)
{
	struct fixture *f = *state;
	char url[128];

	(void)snprintf(url, sizeof(url), "%s/hops/%d", f->server.url, HOPS);
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_string_equal(f->body, "/hops/0");
	(void)snprintf(url, sizeof(url), "%s/hops/%d", f->server.url,
		       HOPS + 1);
	assert_int_equal(get(f, url, NULL, NULL), EPROTO);
	assert_int_equal(f->status, 307);
}

static void test_redirects_to_other_schemes(void **state)
{
	static const char *const locationv[] = {
		"file:///etc/passwd",         "FILE:/etc/passwd",
		"ftp://127.0.0.1/x",          "gopher://127.0.0.1:70/x",
		"dict://127.0.0.1/x",         "smb://127.0.0.1/x",
		"tftp://127.0.0.1/x",         "ws://127.0.0.1/x",
		"data:audio/wav;base64,AAAA", "javascript:alert(1)",
	};
	struct fixture *f = *state;
	char url[128];

	f->verdict = HTTP_TRUST;
	(void)snprintf(url, sizeof(url), "%s/to", f->server.url);
	for (size_t i = 0; i < ARRAY_SIZE(locationv); i++) {
		str_copy(f->location, sizeof(f->location), locationv[i]);
		assert_int_equal(get(f, url, allow_handler, NULL), EPROTO);
		assert_string_equal(f->body, "");
	}
}

/* A connection that a trusted request has left behind is no way in */
static void test_connections_in_use_are_judged(void **state)
{
	struct fixture *f = *state;
	char url[128];

	(void)snprintf(url, sizeof(url), "http://name.test:%u/x",
		       f->other.port);
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_int_equal(atomic_load(&f->other.requests), 1);

	assert_int_equal(get(f, url, judge_handler, NULL), EACCES);
	f->fine = "127.0.0.1:1";
	assert_int_equal(get(f, url, judge_handler, addr_handler), EACCES);
	assert_int_equal(atomic_load(&f->other.requests), 1);

	assert_int_equal(get(f, url, NULL, NULL), 0);
	f->fine = "127.0.0.1";
	assert_int_equal(get(f, url, judge_handler, addr_handler), 0);
	assert_true(f->asked > 0);
	assert_int_equal(get(f, url, judge_handler, addr_handler), 0);
	assert_true(f->asked > 0);
	assert_int_equal(atomic_load(&f->other.requests), 4);
}

static void test_another_address_of_the_name(void **state)
{
	struct fixture *f = *state;
	char url[128];

	(void)snprintf(url, sizeof(url), "http://two.test:%u/x",
		       f->other.port);
	f->fine = "127.0.0.1";
	assert_int_equal(get(f, url, judge_handler, addr_handler), 0);
	/* nobody listens on the one that would be fine */
	mem_deref(f->net.http);
	assert_int_equal(http_client_alloc(&f->net.http, f->net.loop), 0);
	f->fine = "127.0.0.2";
	assert_int_equal(get(f, url, judge_handler, addr_handler), EACCES);
	assert_int_equal(atomic_load(&f->other.requests), 1);
}

static void test_proxy_only_for_the_trusted(void **state)
{
	struct fixture *f = *state;
	char url[128];

	setenv("http_proxy", f->other.url, 1);
	setenv("all_proxy", f->other.url, 1);
	(void)snprintf(url, sizeof(url), "%s/x", f->server.url);
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_int_equal(atomic_load(&f->other.requests), 0);

	http_client_use_proxy(f->net.http, true);
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_int_equal(atomic_load(&f->other.requests), 1);
	assert_string_equal(f->body, url); /* as proxies are asked */

	f->fine = "127.0.0.1";
	assert_int_equal(get(f, url, judge_handler, addr_handler), 0);
	assert_string_equal(f->body, "/x");
	assert_int_equal(get(f, url, judge_handler, NULL), EACCES);
	assert_int_equal(atomic_load(&f->other.requests), 1);

	setenv("no_proxy", "127.0.0.1", 1);
	assert_int_equal(get(f, url, NULL, NULL), 0);
	assert_string_equal(f->body, "/x");
	assert_int_equal(atomic_load(&f->other.requests), 1);

	unsetenv("http_proxy");
	unsetenv("all_proxy");
	unsetenv("no_proxy");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_judged_by_the_address),
		TEST(test_redirects_are_judged),
		TEST(test_three_redirects),
		TEST(test_redirects_to_other_schemes),
		TEST(test_connections_in_use_are_judged),
		TEST(test_another_address_of_the_name),
		TEST(test_proxy_only_for_the_trusted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

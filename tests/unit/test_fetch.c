#include <convod/clip.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/tts.h>
#include "fake_http.h"
#include "net_fixture.h"

#define DIR DATA_DIR "/audio-formats/"

enum { CLIP_MAX = 1000000 };

struct fixture {
	struct net net;
	struct tmr *watchdog;
	struct fake_http server, other;
	struct clip *clip;
	struct clip_watch watch;
	void *req;
	bool drop; /* the fetch, when samples come */
};

/* What /slow has been allowed to send: the test says go on */
static atomic_bool go_on;

static size_t load(uint8_t *buf, size_t size, const char *name)
{
	char path[512];
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s%s", DIR, name);
	f = fopen(path, "rb");
	if (!f)
		return 0;
	n = fread(buf, 1, size, f);
	fclose(f);

	return n;
}

/* Half of the file, then nothing until the test has seen samples */
static void slowly(int fd, const uint8_t *p, size_t n)
{
	char head[128];

	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", n);
	fake_write(fd, head);
	(void)fake_write_n(fd, p, n / 2);
	while (!atomic_load(&go_on))
		usleep(1000);
	(void)fake_write_n(fd, p + n / 2, n - n / 2);
}

static void endless(int fd)
{
	uint8_t v[8192];
	size_t n = load(v, 44, "s16_44100_stereo.wav");

	memset(v + 40, 0xff, sizeof(v) - 40); /* no length, no silence */
	fake_write(fd, "HTTP/1.1 200 OK\r\n\r\n");
	(void)fake_write_n(fd, v, n);
	while (fake_write_n(fd, v + n, sizeof(v) - 44))
		;
}

/* Never long without a byte, and long without a sample */
static void drip(int fd)
{
	uint8_t v[8192];
	size_t n = load(v, sizeof(v), "ulaw_8000.wav");

	fake_write(fd, "HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n");
	for (size_t i = 0; i < n && fake_write_n(fd, v + i, 1); i++) {
		if (atomic_load(&go_on))
			break;
		usleep(20000);
	}
}

/* Of a kind that can be decoded only when it is complete */
static void huge(int fd)
{
	enum { HUGE = 50 << 20 };
	static const uint8_t zero[1 << 16];
	uint8_t v[8192];
	size_t n = load(v, sizeof(v), "vorbis_16000.ogg");

	fake_write(fd, "HTTP/1.1 200 OK\r\n\r\n");
	(void)fake_write_n(fd, v, n);
	for (; n < HUGE; n += sizeof(zero))
		if (!fake_write_n(fd, zero, sizeof(zero)))
			break;
}

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	static _Thread_local uint8_t p[1 << 17];
	struct fixture *fx = f->arg;
	char location[128];
	size_t n;

	(void)head;
	(void)body;
	if (!strcmp(path, "/html"))
		fake_answer(fd, 200, "Content-Type: audio/mpeg\r\n",
			    "<html><body>not audio</body></html>", 35);
	else if (!strcmp(path, "/empty"))
		fake_answer(fd, 200, "", "", 0);
	else if (!strcmp(path, "/hang"))
		return true;
	else if (!strcmp(path, "/endless"))
		endless(fd);
	else if (!strcmp(path, "/moved")) {
		(void)snprintf(location, sizeof(location),
			       "Location: %s/mp3_16000.mp3\r\n",
			       fx->other.url);
		fake_answer(fd, 302, location, "", 0);
	} else if (!strcmp(path, "/inward")) {
		(void)snprintf(location, sizeof(location),
			       "Location: http://localhost:%u/ulaw_8000.wav"
			       "\r\n",
			       fx->other.port);
		fake_answer(fd, 302, location, "", 0);
	} else if (!strcmp(path, "/drip")) {
		drip(fd);
	} else if (!strcmp(path, "/huge")) {
		huge(fd);
	} else if (!strncmp(path, "/slow/", 6)) {
		n = load(p, sizeof(p), path + 6);
		slowly(fd, p, n);
	} else if (!strncmp(path, "/cut/", 5)) {
		n = load(p, sizeof(p), path + 5);
		fake_write(fd, "HTTP/1.1 200 OK\r\n"
			       "Content-Length: 1000000\r\n\r\n");
		(void)fake_write_n(fd, p, n);
		return false;
	} else {
		n = load(p, sizeof(p), path + 1);
		fake_answer(fd, n ? 200 : 404, "", p, n);
	}
	return true;
}

static int set_up_net(struct fixture *f)
{
	int err = net_open(&f->net, &f->watchdog);

	return err;
}

static void tear_down_net(struct fixture *f)
{
	mem_deref(f->req);
	mem_deref(f->clip);
	net_close(&f->net, &f->watchdog);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	atomic_store(&go_on, false);
	fake_http_open(&f.server, serve, &f);
	fake_http_open(&f.other, serve, &f);
	assert_int_equal(set_up_net(&f), 0);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	atomic_store(&go_on, true);
	tear_down_net(f);
	fake_http_close(&f->server);
	fake_http_close(&f->other);

	return 0;
}

static void watch_handler(struct clip *c, void *arg)
{
	struct fixture *f = arg;

	(void)c;
	if (f->drop)
		f->req = mem_deref(f->req);
}

static int start(struct fixture *f, const char *path, const char *hosts,
		 uint32_t timeout_ms, uint32_t max_ms)
{
	char url[256];
	struct fetch_param prm = {
		.url = url,
		.origin = f->server.url,
		.hosts = hosts,
		.timeout_ms = timeout_ms,
		.max_ms = max_ms,
		.call_id = "CA1",
	};
	int err;

	(void)snprintf(url, sizeof(url), "%s%s",
		       *path == '/' ? f->server.url : "", path);
	f->req = mem_deref(f->req);
	f->clip = mem_deref(f->clip);
	err = clip_alloc(&f->clip, CLIP_MAX);
	if (err)
		return err;

	f->watch = (struct clip_watch){.h = watch_handler, .arg = f};
	clip_watch(f->clip, &f->watch);

	return fetch_audio(&f->req, &f->net, &prm, f->clip);
}

static int fetch(struct fixture *f, const char *path, const char *hosts)
{
	bool hangs = !strcmp(path, "/hang") || !strcmp(path, "/drip");

	assert_int_equal(
		start(f, path, hosts, hangs ? 300 : TIMEOUT_MS, 20000), 0);
	assert_false(clip_is_ended(f->clip));
	while (!clip_is_ended(f->clip))
		loop_turn(f->net.loop, true);

	return clip_error(f->clip);
}

static void test_formats(void **state)
{
	static const char *const pathv[] = {
		"/mp3_16000.mp3",        "/mp3_44100_stereo_id3.mp3",
		"/s16_44100_stereo.wav", "/flac_24000_stereo.flac",
		"/vorbis_16000.ogg",     "/ulaw_8000.wav",
	};
	struct fixture *f = *state;
	uint64_t before = metrics_counter(M_AUDIO_FETCHED);

	for (size_t i = 0; i < ARRAY_SIZE(pathv); i++) {
		assert_int_equal(fetch(f, pathv[i], NULL), 0);
		assert_in_range(clip_len(f->clip), 3000, 4200); /* 0.4 s */
	}
	assert_int_equal(metrics_counter(M_AUDIO_FETCHED),
			 before + ARRAY_SIZE(pathv));
}

static void test_plays_while_it_arrives(void **state)
{
	static const char *const pathv[] = {"/slow/s16_44100_stereo.wav",
					    "/slow/mp3_44100_stereo_id3.mp3"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(pathv); i++) {
		size_t n;

		atomic_store(&go_on, false);
		assert_int_equal(start(f, pathv[i], NULL, TIMEOUT_MS, 20000),
				 0);
		while (!clip_len(f->clip))
			loop_turn(f->net.loop, true);
		assert_false(clip_is_ended(f->clip));
		n = clip_len(f->clip);
		atomic_store(&go_on, true);
		while (!clip_is_ended(f->clip))
			loop_turn(f->net.loop, true);
		assert_int_equal(clip_error(f->clip), 0);
		assert_true(clip_len(f->clip) > n);
	}
}

static void test_failures(void **state)
{
	static const struct {
		const char *path;
		int err;
	} tests[] = {
		{"/nothing", EREMOTEIO},
		{"/html", EBADMSG},
		{"/empty", ENODATA},
		{"/hang", ETIMEDOUT},
		{"/drip", ETIMEDOUT},
		{"/huge", EOVERFLOW},
		{"http://127.0.0.1:1/x", EACCES},
		{"/cut/flac_24000_stereo.flac", ECONNRESET},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t before = metrics_counter(M_AUDIO_FAILED) +
				  metrics_counter(M_AUDIO_REFUSED);
		int err = fetch(f, tests[i].path, NULL);

		if (err != tests[i].err)
			fail_msg("%s: %d", tests[i].path, err);
		assert_int_equal(clip_len(f->clip), 0);
		assert_int_equal(metrics_counter(M_AUDIO_FAILED) +
					 metrics_counter(M_AUDIO_REFUSED),
				 before + 1);
	}
}

static void test_cut_keeps_what_came(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fetch(f, "/cut/ulaw_8000.wav", NULL), ECONNRESET);
	assert_in_range(clip_len(f->clip), 3000, 3200);
}

static void test_other_origins(void **state)
{
	struct fixture *f = *state;
	char url[128], wrong[64], right[64];

	(void)snprintf(url, sizeof(url), "%s/ulaw_8000.wav", f->other.url);
	(void)snprintf(wrong, sizeof(wrong), "127.0.0.1:1, example.org");
	(void)snprintf(right, sizeof(right), "example.org,127.0.0.1:%u",
		       f->other.port);

	assert_int_equal(fetch(f, url, NULL), EACCES);
	assert_int_equal(fetch(f, url, wrong), EACCES);
	assert_int_equal(fetch(f, "/moved", wrong), EACCES);
	assert_int_equal(atomic_load(&f->other.conns), 0);
	assert_int_equal(fetch(f, url, right), 0);
	assert_int_equal(fetch(f, "/moved", right), 0);
	assert_int_equal(fetch(f, "/moved", "127.0.0.1"), 0);
}

/* A listed name is not a way into our own network */
static void test_listed_names_that_lead_inward(void **state)
{
	struct fixture *f = *state;
	char url[128], numbers[128], both[128];
	const struct {
		const char *url, *hosts;
		int err;
	} tests[] = {
		{url, "localhost", EACCES},
		{"/inward", "localhost", EACCES},
		{numbers, "example.org", EACCES},
		{url, "localhost 10.0.0.0/8 127.0.0.1:1", EACCES},
		{url, both, 0},
		{url, "localhost,127.0.0.0/8", 0},
		{"/inward", "localhost 127.0.0.1", 0},
		{numbers, "127.0.0.0/8", 0},
	};

	(void)snprintf(url, sizeof(url), "http://localhost:%u/ulaw_8000.wav",
		       f->other.port);
	(void)snprintf(numbers, sizeof(numbers),
		       "http://2130706433:%u/ulaw_8000.wav", f->other.port);
	(void)snprintf(both, sizeof(both), "localhost 127.0.0.1:%u",
		       f->other.port);

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		uint64_t before = metrics_counter(M_AUDIO_REFUSED);
		int conns = atomic_load(&f->other.conns);
		bool refused = tests[i].err == EACCES;

		assert_int_equal(fetch(f, tests[i].url, tests[i].hosts),
				 tests[i].err);
		assert_int_equal(metrics_counter(M_AUDIO_REFUSED) - before,
				 refused);
		if (refused)
			assert_int_equal(atomic_load(&f->other.conns), conns);
	}
}

static void test_endless_is_cut(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(start(f, "/endless", NULL, TIMEOUT_MS, 5000), 0);
	while (!clip_is_ended(f->clip))
		loop_turn(f->net.loop, true);
	assert_int_equal(clip_error(f->clip), EOVERFLOW);
	assert_int_equal(clip_len(f->clip), 5000 * 8);
}

static void test_dropped_at_any_time(void **state)
{
	struct fixture *f = *state;

	/* after every number of turns, so with and without a running job */
	for (int turns = 0; turns < 40; turns++) {
		assert_int_equal(start(f, "/s16_44100_stereo.wav", NULL,
				       TIMEOUT_MS, 20000),
				 0);
		for (int i = 0; i < turns; i++)
			loop_turn(f->net.loop, false);
		f->req = mem_deref(f->req);
	}
	assert_int_equal(start(f, "/slow/s16_44100_stereo.wav", NULL,
			       TIMEOUT_MS, 20000),
			 0);
	f->drop = true;
	while (f->req)
		loop_turn(f->net.loop, true);
	assert_false(clip_is_ended(f->clip));
}

/* libcurl's silence about a lack of memory ends by the time limit */
static int memory_body(void *arg)
{
	struct fixture *fx = arg;
	struct fixture f = {0};
	int err = set_up_net(&f);

	str_copy(f.server.url, sizeof(f.server.url), fx->server.url);
	if (!err)
		err = start(&f, "/mp3_16000.mp3", NULL, 200, 20000);
	if (!err) {
		while (!clip_is_ended(f.clip))
			loop_turn(f.net.loop, true);
		err = clip_error(f.clip);
	}
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
		TEST(test_formats),
		TEST(test_plays_while_it_arrives),
		TEST(test_failures),
		TEST(test_cut_keeps_what_came),
		TEST(test_other_origins),
		TEST(test_listed_names_that_lead_inward),
		TEST(test_endless_is_cut),
		TEST(test_dropped_at_any_time),
		TEST(test_out_of_memory),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

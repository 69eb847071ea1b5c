/* A whole call inside one process, with the n-th allocation failing
 *
 * Worker, websocket, recogniser's stream (nghttp2), dialog manager (libcurl,
 * jansson), fetch and decoding are the daemon's own; the carrier is a socket
 * of this test. Either the caller hears something, maybe after speaking once
 * more, or the call ends; nothing leaks and nothing crashes. */
#include <arpa/inet.h>
#include <math.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "../../src/server/manners.h"
#include "../../src/server/server_priv.h"
#include "fake_http.h"
#include "peer.h"

enum {
	TONE_HZ = 400, /* "one", to tests/peers/axy_server.py */
	TONE_FRAMES = 5,
	SPEECH_FRAMES = 30, /* tone, and silence that ends the utterance */
	HEAR_MS = 15000,
	FAILING_MS = 150,  /* then memory is back, and it is said again */
	TIMEOUT_MS = 3000, /* of what libcurl is silent about */
	GONE_MS = 15000,
	STEP = 17,                  /* of n, unless CONVOD_LONG is set */
	CALL_ALLOCATIONS_MIN = 200, /* or this test missed the call */
};

#define HEAD                                            \
	"GET /convo HTTP/1.1\r\nHost: bot.example\r\n"  \
	"Connection: Upgrade\r\nUpgrade: websocket\r\n" \
	"Sec-WebSocket-Version: 13\r\n"                 \
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

struct fixture {
	struct peer axy;
	struct fake_http masdif;
	struct conf *conf;
	struct shared shared;
	struct worker *worker;

	/* the carrier's side */
	int fd;
	uint8_t in[65536];
	size_t inc;
	bool upgraded, closed;
	bool streaming;
	unsigned media;
};

/* --------------------------------------------------------------- peers */

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	static const char created[] = "{\"conversation_id\":\"c-1\"}";
	static const char answer[] =
		"[{\"recipient_id\":\"c-1\",\"text\":\"one\",\"data\":{"
		"\"attachment\":[{\"type\":\"audio\",\"payload\":{\"src\":"
		"\"/a.mp3\"}}]}}]";
	static _Thread_local uint8_t mp3[1 << 16];
	size_t n;
	FILE *file;

	(void)f;
	(void)body;
	if (!strncmp(head, "POST", 4)) {
		fake_answer(fd, 200, "", created, strlen(created));
	} else if (!strncmp(head, "PUT", 3)) {
		fake_answer(fd, 200, "", answer, strlen(answer));
	} else {
		file = fopen(DATA_DIR "/masdif/answer.mp3", "rb");
		n = file ? fread(mp3, 1, sizeof(mp3), file) : 0;
		if (file)
			fclose(file);
		fake_answer(fd, *path == '/' && n ? 200 : 404, "", mp3, n);
	}

	return true;
}

static const char *setting(const char *name, void *arg)
{
	static char asr[64];
	struct fixture *f = arg;

	if (!strcmp(name, "ASR_SERVER_URL")) {
		(void)snprintf(asr, sizeof(asr), "grpc://127.0.0.1:%u",
			       f->axy.port);
		return asr;
	}
	if (!strcmp(name, "MASDIF_SERVER_URL"))
		return f->masdif.url;

	return NULL;
}

/* ------------------------------------------------------------- carrier */

static int make_pair(int *ours)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), fd;

	assert_int_equal(bind(l, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(l, 1), 0);
	assert_int_equal(getsockname(l, (struct sockaddr *)&sa, &len), 0);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	*ours = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	assert_true(*ours >= 0);
	close(l);

	return fd;
}

/* A frame whose mask is zero */
static void send_frame(struct fixture *f, uint8_t opcode, const char *s,
		       size_t n)
{
	uint8_t head[8] = {0x80 | opcode, 0x80 | 126, (uint8_t)(n >> 8),
			   (uint8_t)n};

	(void)send(f->fd, head, sizeof(head), MSG_NOSIGNAL);
	(void)send(f->fd, s, n, MSG_NOSIGNAL);
}

static void send_text(struct fixture *f, const char *s)
{
	send_frame(f, 1, s, strlen(s));
}

static void begin_stream(struct fixture *f)
{
	f->streaming = true;
	send_text(f, "{\"event\":\"connected\",\"protocol\":\"Call\"}");
	send_text(f,
		  "{\"event\":\"start\",\"streamSid\":\"MZ1\",\"start\":{"
		  "\"streamSid\":\"MZ1\",\"callSid\":\"CA1\",\"accountSid\":"
		  "\"AC1\",\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\","
		  "\"sampleRate\":8000,\"channels\":1}}}");
}

static void send_media(struct fixture *f, const uint8_t *ulaw)
{
	char text[512], b64[256];
	size_t n = base64_encode(b64, ulaw, FRAME_SAMPLES);

	(void)snprintf(text, sizeof(text),
		       "{\"event\":\"media\",\"streamSid\":\"MZ1\","
		       "\"media\":{\"track\":\"inbound\",\"payload\":"
		       "\"%.*s\"}}",
		       (int)n, b64);
	send_text(f, text);
}

static void say_one(struct fixture *f)
{
	for (int i = 0; i < SPEECH_FRAMES; i++) {
		uint8_t ulaw[FRAME_SAMPLES];

		for (int k = 0; k < FRAME_SAMPLES; k++) {
			int at = i * FRAME_SAMPLES + k;
			/* each half wave has a strength of its own: a steady
			 * tone is no speech */
			int half = 2 * TONE_HZ * at / AUDIO_RATE;
			double s = pow(half * half * half % 101 / 100.0, 2);
			double v = (0.1 + 0.9 * s) *
				   sin(6.283185307 * TONE_HZ * at / 8000);

			ulaw[k] = g711_ulaw_encode(
				i < TONE_FRAMES ? (int16_t)(16000 * v) : 0);
		}
		send_media(f, ulaw);
	}
}

/* One frame of the daemon's, 0: not whole */
static size_t take_frame(struct fixture *f, const uint8_t *p, size_t n)
{
	size_t at = 2, len = n < 2 ? 0 : p[1];

	if (n < 2)
		return 0;
	if (len == 126) {
		if (n < 4)
			return 0;
		len = (size_t)(p[2] << 8 | p[3]);
		at = 4;
	}
	if (n < at + len)
		return 0;

	if ((p[0] & 0x0f) == 8)
		f->closed = true;
	else if (memmem(p + at, len, "\"media\"", 7))
		++f->media;

	return at + len;
}

static void listen_to(struct fixture *f)
{
	ssize_t n = recv(f->fd, f->in + f->inc, sizeof(f->in) - f->inc,
			 MSG_DONTWAIT);
	size_t used = 0, k;

	if (!n || (n < 0 && errno != EAGAIN))
		f->closed = true;
	if (n <= 0)
		return;

	f->inc += (size_t)n;
	if (!f->upgraded) {
		const uint8_t *end = memmem(f->in, f->inc, "\r\n\r\n", 4);

		if (!end)
			return;
		f->upgraded = true;
		f->closed = !memmem(f->in, f->inc, " 101 ", 5);
		used = (size_t)(end + 4 - f->in);
	}
	while ((k = take_frame(f, f->in + used, f->inc - used)))
		used += k;
	memmove(f->in, f->in + used, f->inc - used);
	f->inc -= used;
}

/* ---------------------------------------------------------------- call */

static bool is_heard_or_closed(struct fixture *f)
{
	listen_to(f);

	return f->media || f->closed;
}

static bool is_heard_or_failing(struct fixture *f)
{
	return is_heard_or_closed(f) || mem_failed();
}

static bool is_answered(struct fixture *f)
{
	listen_to(f);

	return f->upgraded || f->closed;
}

static bool is_gone(struct fixture *f)
{
	return !registry_count(f->shared.registry);
}

static bool turn_until(struct fixture *f, bool (*cond)(struct fixture *f),
		       unsigned ms)
{
	static uint8_t silence[FRAME_SAMPLES];

	memset(silence, 0xff, sizeof(silence));
	for (unsigned i = 0; !cond(f); i++) {
		if (i > ms)
			return false;
		/* a carrier never pauses */
		if (f->streaming && i % FRAME_MS == 0)
			send_media(f, silence);
		loop_turn(f->worker->net.loop, false);
		usleep(1000);
	}

	return true;
}

/* The acceptor's part; without memory for it the carrier is turned away */
static void dial(struct fixture *f)
{
	struct http_head *head = NULL;
	int fd;

	f->inc = f->media = 0;
	f->upgraded = f->closed = false;
	f->fd = make_pair(&fd);
	(void)send(f->fd, HEAD, strlen(HEAD), MSG_NOSIGNAL);
	if (http_head_decode(&head, HEAD, strlen(HEAD)))
		close(fd);
	else
		(void)!httpd_adopt(f->worker->httpd, fd, head);
	mem_deref(head);
}

static void hang_up(struct fixture *f)
{
	send_text(f, "{\"event\":\"stop\",\"streamSid\":\"MZ1\",\"stop\":{"
		     "\"callSid\":\"CA1\"}}");
	close(f->fd);
	f->streaming = false;
	assert_true(turn_until(f, is_gone, GONE_MS));
}

/* What it prints must not fill its pipe */
static void drain_peer(struct fixture *f)
{
	char buf[4096];

	while (read(f->axy.out, buf, sizeof(buf)) > 0)
		;
}

/* @return Allocations that failed */
static size_t whole_call(struct fixture *f, long n, long count)
{
	char errbuf[CONF_ERR_MAX];
	size_t before = mem_blocks(), failed;
	int err;

	mem_fail_all(n, count);
	err = worker_alloc(&f->worker, 0, &f->shared, errbuf);
	if (err) {
		failed = mem_fail_all(-1, 0);
		assert_int_equal(err, ENOMEM);
		assert_int_equal(mem_blocks(), before);
		return failed;
	}

	dial(f);
	(void)turn_until(f, is_answered, HEAR_MS);
	begin_stream(f);
	say_one(f);
	(void)turn_until(f, is_heard_or_failing, HEAR_MS);
	(void)turn_until(f, is_heard_or_closed, FAILING_MS);
	failed = mem_fail_all(-1, 0);
	if (!is_heard_or_closed(f)) {
		say_one(f);
		if (!turn_until(f, is_heard_or_closed, HEAR_MS))
			fail_msg("left in silence: n=%ld count=%ld", n, count);
	}

	hang_up(f);
	f->worker = mem_deref(f->worker);
	assert_int_equal(metrics_gauge_value(M_CALLS_UP), 0);
	assert_int_equal(metrics_gauge_value(M_SOCKETS_UP), 0);
	if (mem_blocks() != before)
		fail_msg("n=%ld count=%ld leaks %ld blocks", n, count,
			 (long)(mem_blocks() - before));
	drain_peer(f);

	return failed;
}

/* ---------------------------------------------------------------- tests */

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char errbuf[CONF_ERR_MAX];

	assert_non_null(f);
	peer_start(&f->axy, "axy_server.py", NULL);
	(void)fcntl(f->axy.out, F_SETFL, O_NONBLOCK);
	fake_http_open(&f->masdif, serve, f);
	assert_int_equal(conf_load(&f->conf, NULL, setting, f, errbuf), 0);
	f->shared.conf = f->conf;
	assert_int_equal(registry_alloc(&f->shared.registry, 10), 0);
	assert_int_equal(voice_cache_alloc(&f->shared.voice_cache,
					   &(struct voice_cache_param){0}),
			 0);
	assert_int_equal(manners_alloc(&f->shared.manners, f->conf, errbuf),
			 0);
	assert_int_equal(prompts_alloc(&f->shared.prompts, f->conf, errbuf),
			 0);
	atomic_store(&f->shared.ready, true);
	*state = f;

	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	mem_deref(f->shared.voice_cache);
	mem_deref(f->shared.prompts);
	mem_deref(f->shared.manners);
	mem_deref(f->shared.registry);
	mem_deref(f->conf);
	fake_http_close(&f->masdif);
	peer_stop(&f->axy);
	free(f);

	return 0;
}

static void test_with_all_the_memory(void **state)
{
	struct fixture *f = *state;

	/* libraries keep what they make at first use */
	assert_int_equal(whole_call(f, -1, 0), 0);
	assert_true(f->media > 0);
	assert_int_equal(whole_call(f, -1, 0), 0);
	assert_true(f->media > 0);
	assert_int_equal(metrics_counter(M_APOLOGIES), 0);
	assert_int_equal(metrics_counter(M_AUDIO_FAILED), 0);
}

static void loop_over(struct fixture *f, long count, long begin)
{
	long step = getenv("CONVOD_LONG") ? 1 : STEP, n = begin;

	f->conf->dialog_timeout_ms = TIMEOUT_MS;
	f->conf->audio_timeout_ms = TIMEOUT_MS;
	while (whole_call(f, n, count))
		n += step;
	assert_in_range(n, CALL_ALLOCATIONS_MIN, 100000);
}

static void test_one_allocation_fails(void **state)
{
	loop_over(*state, 1, 0);
}

static void test_all_fail_from_one_on(void **state)
{
	loop_over(*state, LONG_MAX, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_with_all_the_memory),
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_all_fail_from_one_on),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

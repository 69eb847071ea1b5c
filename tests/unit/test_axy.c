#include <fcntl.h>
#include <math.h>
#include <convod/asr.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "../../src/asr/axy_wire.h"
#include "peer.h"

/* ----------------------------------------------------------------- wire */

static size_t from_hex(uint8_t *p, const char *hex)
{
	size_t n = strlen(hex) / 2;

	for (size_t i = 0; i < n; i++) {
		unsigned v;

		assert_int_equal(sscanf(hex + 2 * i, "%2x", &v), 1);
		p[i] = (uint8_t)v;
	}

	return n;
}

/* The bytes of a vector, by name */
static size_t vector(uint8_t *p, const char *name)
{
	FILE *f = fopen(DATA_DIR "/asr-wire-vectors.jsonl", "r");
	char line[2048];
	size_t n = SIZE_MAX;

	assert_non_null(f);
	while (n == SIZE_MAX && fgets(line, sizeof(line), f)) {
		json_t *j = json_loads(line, 0, NULL);

		assert_non_null(j);
		if (str_eq(json_string_value(json_object_get(j, "name")),
			   name))
			n = from_hex(p, json_string_value(
						json_object_get(j, "hex")));
		json_decref(j);
	}
	fclose(f);
	assert_true(n != SIZE_MAX);

	return n;
}

static const struct {
	const char *name;
	int err;
	const char *final, *interim;
	size_t wordc; /* of the final */
	int code;
	bool utterance_end;
} wirev[] = {
	{"interim", 0, NULL, "hall", 0, 0, false},
	{"final_words", 0, "halló heimur", NULL, 1, 0, false},
	{"final_two_alternatives", 0, "já", NULL, 0, 0, false},
	{"end_of_single_utterance", 0, NULL, NULL, 0, 0, true},
	{"start_of_speech", 0, NULL, NULL, 0, 0, false},
	{"end_of_speech", 0, NULL, NULL, 0, 0, false},
	{"empty_response", 0, NULL, NULL, 0, 0, false},
	{"error_out_of_range", 0, NULL, NULL, 0, 11, false},
	{"final_without_alternatives", 0, NULL, NULL, 0, 0, false},
	{"interim_with_unknown_fields", 0, NULL, "hall", 0, 0, false},
	{"truncated_length", EBADMSG, NULL, NULL, 0, 0, false},
	{"varint_too_long", EBADMSG, NULL, NULL, 0, 0, false},
	{"field_zero", EBADMSG, NULL, NULL, 0, 0, false},
	{"group_wire_type", EBADMSG, NULL, NULL, 0, 0, false},
	{"length_overflow", EBADMSG, NULL, NULL, 0, 0, false},
};

static void check_text(const struct axy_result *r, const char *want)
{
	assert_int_equal(r->is_set, want != NULL);
	if (want)
		assert_string_equal(r->text, want);
}

static void test_decode_vectors(void **state)
{
	struct axy_response *r = mem_zalloc(sizeof(*r), NULL);
	uint8_t buf[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wirev); i++) {
		size_t n = vector(buf, wirev[i].name);
		int err = axy_decode(r, buf, n);

		assert_int_equal(err, wirev[i].err);
		if (err)
			continue;
		check_text(&r->final, wirev[i].final);
		check_text(&r->interim, wirev[i].interim);
		assert_int_equal(r->final.wordc, wirev[i].wordc);
		assert_int_equal(r->code, wirev[i].code);
		assert_int_equal(r->utterance_end, wirev[i].utterance_end);
	}

	assert_int_equal(axy_decode(r, buf, vector(buf, "final_words")), 0);
	assert_string_equal(r->final.wordv[0].text, "halló");
	assert_int_equal(r->final.wordv[0].start_ms, 320);
	assert_int_equal(r->final.wordv[0].end_ms, 1020);
	mem_deref(r);
}

static const struct {
	const char *hex;
	int err;
	const char *final, *interim;
} oddv[] = {
	/* two finals: "a", "b" */
	{"12070a030a01611001"
	 "12070a030a01621001",
	 0, "a b", NULL},
	/* a final, then an interim result that brings its blank */
	{"12070a030a01611001"
	 "12050a030a0162"
	 "12060a040a022063",
	 0, "a", "b c"},
	/* a final with an empty transcript */
	{"12040a001001", 0, NULL, NULL},
	/* invalid UTF-8: ff 61; an overlong form: c0 80 */
	{"12060a040a02ff61", 0, NULL,
	 "\xef\xbf\xbd"
	 "a"},
	{"12060a040a02c080", 0, NULL, "\xef\xbf\xbd\xef\xbf\xbd"},
	/* a zero byte shortens the text */
	{"12070a050a03610062", 0, NULL, "a"},
	/* error code 0 is none */
	{"0a020800", 0, NULL, NULL},
};

static void test_decode_odd_responses(void **state)
{
	struct axy_response *r = mem_zalloc(sizeof(*r), NULL);
	uint8_t buf[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(oddv); i++) {
		size_t n = from_hex(buf, oddv[i].hex);

		assert_int_equal(axy_decode(r, buf, n), oddv[i].err);
		check_text(&r->final, oddv[i].final);
		check_text(&r->interim, oddv[i].interim);
		assert_int_equal(r->code, 0);
	}
	mem_deref(r);
}

/* 128 kB of empty results would take megabytes: refused, not allocated */
static void test_decode_bounds_memory(void **state)
{
	struct axy_response *r = mem_zalloc(sizeof(*r), NULL);
	size_t n = AXY_MESSAGE_MAX;
	uint8_t *p = mem_zalloc(n + 1, NULL);

	(void)state;
	for (size_t i = 0; i < n; i += 2)
		p[i] = 0x12;
	assert_int_equal(axy_decode(r, p, n), EBADMSG);
	assert_int_equal(axy_decode(r, p, n + 1), EOVERFLOW);
	assert_int_equal(axy_decode(r, p, 64), 0);
	mem_deref(p);
	mem_deref(r);
}

static void test_encode(void **state)
{
	static const int16_t pcmv[] = {0, 32767, -32768};
	const struct axy_config cfg = {"c1", "is-IS", 8000};
	uint8_t want[512], got[1024];
	int16_t block[400] = {0};
	size_t n = vector(want, "audio_3_samples");

	(void)state;
	assert_int_equal(axy_audio_size(3), n);
	axy_audio_pack(got, pcmv, 3);
	assert_memory_equal(got, want, n);

	assert_int_equal(axy_audio_size(320), 643);
	axy_audio_pack(got, block, 320);
	assert_memory_equal(got, "\x12\x80\x05", 3);

	/* LINEAR16, 8000, is-IS, offsets; interim, c1 */
	n = from_hex(want, "0a16"
			   "0a0e"
			   "0801"
			   "10c03e"
			   "1a0569732d4953"
			   "4001"
			   "1801"
			   "22026331");
	assert_int_equal(axy_config_size(&cfg), n);
	axy_config_pack(got, &cfg);
	assert_memory_equal(got, want, n);
}

static int decode_body(void *arg)
{
	struct axy_response *r = mem_zalloc(sizeof(*r), NULL);
	uint8_t buf[512];
	size_t n = *(size_t *)arg;
	int err;

	memcpy(buf, (size_t *)arg + 1, n);
	if (!r)
		return ENOMEM;
	err = axy_decode(r, buf, n);
	mem_deref(r);

	return err;
}

static void test_decode_out_of_memory(void **state)
{
	struct {
		size_t n;
		uint8_t buf[512];
	} v;

	(void)state;
	v.n = vector(v.buf, "final_words");
	oom_loop(decode_body, &v);
}

/* ----------------------------------------------------------------- URLs */

static const struct {
	const char *url;
	int err;
	uint32_t srate, block_ms;
} urlv[] = {
	{"grpc://localhost", 0, 16000, 100},
	{"GRPC://localhost:1", 0, 16000, 100},
	{"grpc://[::1]:50051", 0, 16000, 100},
	{"grpc://[::1]", 0, 16000, 100},
	{"grpc://u:p@127.0.0.1:65535/", 0, 16000, 100},
	{"grpcs://axy.example?rate=8000", 0, 8000, 100},
	{"grpc://h/?rate=16000&block=60", 0, 16000, 60},
	{"grpc://", EINVAL, 0, 0},
	{"grpc:", EINVAL, 0, 0},
	{"grpc://:50051", EINVAL, 0, 0},
	{"grpc://[::1", EINVAL, 0, 0},
	{"grpc://[::1]x", EINVAL, 0, 0},
	{"grpc://h:0", EINVAL, 0, 0},
	{"grpc://h:65536", EINVAL, 0, 0},
	{"grpc://h:", EINVAL, 0, 0},
	{"grpc://h:5x", EINVAL, 0, 0},
	{"grpc://h/path", EINVAL, 0, 0},
	{"grpc://h?rate=44100", EINVAL, 0, 0},
	{"grpc://h?rate=", EINVAL, 0, 0},
	{"grpc://h?block=59", EINVAL, 0, 0},
	{"grpc://h?block=101", EINVAL, 0, 0},
	{"grpc://h?blocks=100", EINVAL, 0, 0},
	{"carrier-pigeon://h", ENOTSUP, 0, 0},
	{"", ENOTSUP, 0, 0},
};

static void test_urls(void **state)
{
	struct net net = {0};

	(void)state;
	assert_int_equal(loop_alloc(&net.loop), 0);
	for (size_t i = 0; i < ARRAY_SIZE(urlv); i++) {
		const struct asr_param prm = {urlv[i].url, "en-US", NULL};
		struct asr *a = NULL;
		int err = asr_alloc(&a, &prm, &net);

		assert_int_equal(err, urlv[i].err);
		if (!err) {
			assert_int_equal(a->srate, urlv[i].srate);
			assert_int_equal(a->block_ms, urlv[i].block_ms);
		}
		mem_deref(a);
	}
	mem_deref(net.loop);
}

/* ---------------------------------------------------------- a real peer */

enum {
	RING = 65536,
	WORD_MS = 120,
	GAP_MS = 100,
	PAUSE_MS = 600, /* ends an utterance */
	LIMIT_MS = 60000,
	TEXT = 4096,
};

struct fixture {
	struct peer peer;
	struct net net;
	struct tmr *tick;
	struct ring *ring;
	struct asr *asr;
	struct asr_session *s;
	enum asr_state state;
	unsigned finals, interims, breaks;
	char heard[TEXT];
	bool drop; /* the session, at the first result */
};

static void tick_handler(void *arg)
{
	struct fixture *f = arg;

	tmr_start(f->tick, 2);
}

static void result_handler(const struct asr_result *res, void *arg)
{
	struct fixture *f = arg;
	size_t n = strlen(f->heard);

	if (f->drop) {
		f->s = mem_deref(f->s);
		f->drop = false;
	}
	if (!res->final) {
		++f->interims;
		return;
	}
	++f->finals;
	(void)snprintf(f->heard + n, sizeof(f->heard) - n, "%s%s",
		       n ? " " : "", res->text);
}

static void state_handler(enum asr_state state, const char *why, void *arg)
{
	struct fixture *f = arg;

	assert_non_null(why);
	f->breaks += state == ASR_BROKEN;
	f->state = state;
}

static void session_start(struct fixture *f, const char *query)
{
	const struct asr_session_param prm = {"c1", "CA1", 0, 0};
	struct asr_param aprm = {.language = "is-IS"};
	char *url;

	assert_int_equal(
		str_printf(&url, "grpc://localhost:%u%s", f->peer.port, query),
		0);
	aprm.url = url;
	assert_int_equal(asr_alloc(&f->asr, &aprm, &f->net), 0);
	mem_deref(url);
	assert_int_equal(asr_session_alloc(&f->s, f->asr, f->ring, &prm,
					   result_handler, state_handler, f),
			 0);
}

static void setup(struct fixture *f, const char *const *argv,
		  const char *query)
{
	*f = (struct fixture){0};
	peer_start(&f->peer, "axy_server.py", argv);
	assert_int_equal(loop_alloc(&f->net.loop), 0);
	assert_int_equal(tmr_alloc(&f->tick, f->net.loop, tick_handler, f), 0);
	assert_int_equal(ring_alloc(&f->ring, RING), 0);
	tick_handler(f);
	session_start(f, query);
}

static void teardown(struct fixture *f)
{
	mem_deref(f->s);
	mem_deref(f->asr);
	mem_deref(f->ring);
	mem_deref(f->tick);
	mem_deref(f->net.loop);
	peer_stop(&f->peer);
}

/* Waits for a condition, with a bound */
#define RUN_UNTIL(f, cond)                                    \
	do {                                                  \
		uint64_t limit_ms = clk_now_ms() + LIMIT_MS;  \
		while (!(cond)) {                             \
			assert_true(clk_now_ms() < limit_ms); \
			loop_turn((f)->net.loop, true);       \
		}                                             \
	} while (0)

/* One frame, ten times faster than real time; waits while more than the
 * session keeps has not come back */
static void feed(struct fixture *f, const uint8_t *ulawv)
{
	uint64_t now = loop_now_ms(f->net.loop);

	RUN_UNTIL(f, ring_head(f->ring) - ring_kept(f->ring) <
			     3500 * AUDIO_PER_MS);
	assert_int_equal(ring_write(f->ring, ulawv, FRAME_SAMPLES),
			 FRAME_SAMPLES);
	asr_session_audio(f->s, clk_now_us());
	RUN_UNTIL(f, loop_now_ms(f->net.loop) >= now + 2);
}

static void feed_silence(struct fixture *f, unsigned ms)
{
	uint8_t v[FRAME_SAMPLES];

	memset(v, ULAW_SILENCE, sizeof(v));
	for (; ms >= FRAME_MS; ms -= FRAME_MS)
		feed(f, v);
}

/* The n-th word is a tone of 400 + 100 n Hz */
static void feed_word(struct fixture *f, unsigned n)
{
	double w = 2 * 3.14159265358979 * (400 + 100 * n) / AUDIO_RATE;
	uint8_t v[FRAME_SAMPLES];

	for (unsigned i = 0; i < WORD_MS * AUDIO_PER_MS; i++) {
		double sample = 8000 * sin(w * i);

		v[i % FRAME_SAMPLES] = g711_ulaw_encode((int16_t)sample);
		if (i % FRAME_SAMPLES == FRAME_SAMPLES - 1)
			feed(f, v);
	}
	feed_silence(f, GAP_MS);
	asr_session_speech(f->s, ring_head(f->ring));
}

static void feed_utterance(struct fixture *f, unsigned first)
{
	for (unsigned i = 0; i < 3; i++)
		feed_word(f, first + i);
	feed_silence(f, PAUSE_MS);
}

static void test_three_finals(void **state)
{
	struct fixture f;
	json_t *j;

	(void)state;
	setup(&f, NULL, "");
	for (unsigned i = 0; i < 3; i++)
		feed_utterance(&f, 3 * i);
	RUN_UNTIL(&f, f.finals == 3);
	assert_string_equal(f.heard,
			    "one two three four five six seven eight nine");
	assert_true(f.interims >= 3);
	assert_int_equal(f.state, ASR_UP);

	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.state == ASR_ENDED);

	j = peer_wait(&f.peer, "stream");
	assert_string_equal(
		json_string_value(json_object_get(j, "conversation")), "c1");
	assert_string_equal(json_string_value(json_object_get(j, "language")),
			    "is-IS");
	assert_int_equal(json_integer_value(json_object_get(j, "rate")),
			 16000);
	json_decref(j);

	/* all of the audio, in full blocks but for the last one */
	j = peer_wait(&f.peer, "end");
	assert_int_equal(json_integer_value(json_object_get(j, "samples")),
			 2 * ring_head(f.ring));
	assert_int_equal(json_integer_value(json_object_get(j, "max")), 1600);
	assert_int_equal(json_integer_value(json_object_get(j, "empty")), 0);
	json_decref(j);
	teardown(&f);
}

static void test_eight_kilohertz(void **state)
{
	struct fixture f;
	json_t *j;

	(void)state;
	setup(&f, NULL, "?rate=8000&block=60");
	feed_utterance(&f, 4);
	RUN_UNTIL(&f, f.finals == 1);
	assert_string_equal(f.heard, "five six seven");
	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.state == ASR_ENDED);
	j = peer_wait(&f.peer, "end");
	assert_int_equal(json_integer_value(json_object_get(j, "max")), 480);
	json_decref(j);
	teardown(&f);
}

/* The end of the call ends the last utterance: what was said just before
 * still comes */
static void test_finish_brings_the_last_final(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, NULL, "");
	feed_word(&f, 6);
	assert_int_equal(f.finals, 0);
	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.state == ASR_ENDED);
	assert_string_equal(f.heard, "seven");
	teardown(&f);
}

static void test_killed_and_restarted_no_word_lost(void **state)
{
	struct fixture f;
	char port[8];
	const char *const argv[] = {"--port", port, NULL};
	int held;

	(void)state;
	setup(&f, NULL, "");
	held = peer_hold(f.peer.port);
	feed_utterance(&f, 0);
	RUN_UNTIL(&f, f.finals == 1);
	feed_word(&f, 3);
	feed_word(&f, 4);

	(void)snprintf(port, sizeof(port), "%u", f.peer.port);
	peer_stop(&f.peer);
	feed_word(&f, 5); /* while nobody listens */
	RUN_UNTIL(&f, f.breaks > 0);
	peer_start(&f.peer, "axy_server.py", argv);
	close(held);
	feed_word(&f, 6);
	feed_silence(&f, PAUSE_MS);
	feed_utterance(&f, 7);
	RUN_UNTIL(&f, f.finals == 3);
	assert_string_equal(
		f.heard, "one two three four five six seven eight nine ten");
	assert_int_equal(f.state, ASR_UP);
	teardown(&f);
}

static const struct {
	const char *fault;
	unsigned breaks;
} faultv[] = {
	{"refuse:300", 1}, {"exhausted:300", 1}, {"range:300", 1},
	{"error:300", 1},  {"eof:300", 1},       {"goaway:300", 0},
	{"empty:300", 0},  {"garbage:300", 1},
};

/* Each fault happens once, in the middle of the first utterance */
static void test_faults_lose_no_word(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(faultv); i++) {
		const char *const argv[] = {"--once", "--fault",
					    faultv[i].fault, NULL};
		struct fixture f;

		setup(&f, argv, "");
		feed_utterance(&f, 1);
		feed_utterance(&f, 4);
		RUN_UNTIL(&f, f.finals == 2);
		assert_string_equal(f.heard, "two three four five six seven");
		assert_int_equal(f.state, ASR_UP);
		teardown(&f);
	}
}

static void test_refused_for_good(void **state)
{
	static const char *const argv[] = {"--fault", "invalid", NULL};
	uint64_t failed = metrics_counter(M_ASR_FAILED);
	struct fixture f;

	(void)state;
	setup(&f, argv, "");
	feed_silence(&f, 200);
	RUN_UNTIL(&f, f.state == ASR_DOWN);
	assert_int_equal(f.breaks, 0);
	assert_int_equal(metrics_counter(M_ASR_FAILED), failed + 1);
	feed_silence(&f, 200); /* nothing happens any more */
	asr_session_finish(f.s);
	RUN_UNTIL(&f, f.state == ASR_ENDED);
	teardown(&f);
}

static void test_dropped_in_its_own_handler(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f, NULL, "");
	f.drop = true;
	for (unsigned i = 0; i < 3 && f.s; i++)
		feed_word(&f, i);
	RUN_UNTIL(&f, !f.s);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decode_vectors),
		cmocka_unit_test(test_decode_odd_responses),
		cmocka_unit_test(test_decode_bounds_memory),
		cmocka_unit_test(test_decode_out_of_memory),
		cmocka_unit_test(test_encode),
		cmocka_unit_test(test_urls),
		cmocka_unit_test(test_three_finals),
		cmocka_unit_test(test_eight_kilohertz),
		cmocka_unit_test(test_finish_brings_the_last_final),
		cmocka_unit_test(test_killed_and_restarted_no_word_lost),
		cmocka_unit_test(test_faults_lose_no_word),
		cmocka_unit_test(test_refused_for_good),
		cmocka_unit_test(test_dropped_in_its_own_handler),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

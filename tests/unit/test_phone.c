#include <stdio.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "phone.h"
#include "test.h"

#define SID "MZ00000000000000000000000000000001"

struct fixture {
	struct phone *phone;
	char log[8192]; /* what the daemon got, a word a message */
	char last[1024];
	int cleared;
	int fault; /* last rule broken, -1: none */
	int faults;
};

static void add(struct fixture *f, const char *s)
{
	size_t n = strlen(f->log);

	(void)snprintf(f->log + n, sizeof(f->log) - n, "%s ", s);
}

static void send_handler(const char *msg, size_t len, void *arg)
{
	struct fixture *f = arg;
	json_t *json = json_loadb(msg, len, JSON_REJECT_DUPLICATES, NULL);
	const char *event;

	assert_non_null(json);
	event = json_string_value(json_object_get(json, "event"));
	(void)snprintf(f->last, sizeof(f->last), "%.*s", (int)len, msg);
	if (strcmp(event, "media") && strcmp(event, "mark"))
		add(f, event);
	json_decref(json);
}

static void mark_handler(const char *name, bool played, void *arg)
{
	char word[64];

	(void)snprintf(word, sizeof(word), "%s%s", name, played ? "+" : "-");
	add(arg, word);
}

static void clear_handler(uint32_t dropped_ms, void *arg)
{
	struct fixture *f = arg;

	f->cleared = (int)dropped_ms;
}

static void fault_handler(enum phone_rule rule, const char *detail, void *arg)
{
	struct fixture *f = arg;

	assert_non_null(detail);
	f->fault = (int)rule;
	++f->faults;
}

static const struct phone_ops ops = {
	.send = send_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.fault = fault_handler,
};

static int setup(struct fixture *f)
{
	const struct phone_param prm = {
		.stream_sid = SID,
		.call_sid = "CA00000000000000000000000000000001",
		.account_sid = "AC00000000000000000000000000000001",
		.first_ms = 140,
	};

	memset(f, 0, sizeof(*f));
	f->fault = -1;

	return phone_alloc(&f->phone, &prm, &ops, f);
}

static void start(struct fixture *f)
{
	assert_int_equal(setup(f), 0);
	phone_connected(f->phone);
	phone_start(f->phone);
}

static void receive(struct fixture *f, const char *msg)
{
	phone_receive(f->phone, false, msg, strlen(msg));
}

static void receive_media(struct fixture *f, const uint8_t *ulawv, size_t n)
{
	static char msg[200000];
	size_t len = (size_t)snprintf(msg, sizeof(msg),
				      "{\"event\":\"media\",\"streamSid\":"
				      "\"" SID "\",\"media\":{\"payload\":\"");

	len += base64_encode(msg + len, ulawv, n);
	memcpy(msg + len, "\"}}", 3);
	phone_receive(f->phone, false, msg, len + 3);
}

static void receive_mark(struct fixture *f, const char *name)
{
	char msg[256];

	(void)snprintf(msg, sizeof(msg),
		       "{\"event\":\"mark\",\"streamSid\":\"" SID
		       "\",\"mark\":{\"name\":\"%s\"}}",
		       name);
	receive(f, msg);
}

static void tick(struct fixture *f, int n)
{
	uint8_t callerv[FRAME_SAMPLES], botv[FRAME_SAMPLES];
	uint64_t ms = phone_stats(f->phone)->frames * FRAME_MS;

	memset(callerv, ULAW_SILENCE, sizeof(callerv));
	for (; n; n--, ms += FRAME_MS)
		phone_tick(f->phone, 1000 + ms, callerv, botv);
}

/* ------------------------------------------------- what Twilio would say */

static void test_messages_have_twilios_shape(void **state)
{
	static const char want_start[] =
		"{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{"
		"\"accountSid\":\"AC00000000000000000000000000000001\","
		"\"streamSid\":\"" SID
		"\",\"callSid\":\"CA00000000000000000000000000000001\","
		"\"tracks\":[\"inbound\"],\"mediaFormat\":{\"encoding\":"
		"\"audio/x-mulaw\",\"sampleRate\":8000,\"channels\":1},"
		"\"customParameters\":{}},\"streamSid\":\"" SID "\"}";
	struct fixture f;
	json_t *json;

	(void)state;
	assert_int_equal(setup(&f), 0);
	phone_connected(f.phone);
	assert_string_equal(f.last,
			    "{\"event\":\"connected\",\"protocol\":\"Call\","
			    "\"version\":\"1.0.0\"}");
	phone_start(f.phone);
	assert_string_equal(f.last, want_start);

	tick(&f, 2);
	json = json_loads(f.last, 0, NULL);
	assert_string_equal(
		json_string_value(json_object_get(json, "sequenceNumber")),
		"3");
	assert_string_equal(json_string_value(json_object_get(
				    json_object_get(json, "media"), "chunk")),
			    "2");
	assert_string_equal(
		json_string_value(json_object_get(
			json_object_get(json, "media"), "timestamp")),
		"160");
	json_decref(json);

	phone_press(f.phone, '5');
	assert_string_equal(f.last,
			    "{\"event\":\"dtmf\",\"streamSid\":\"" SID
			    "\",\"sequenceNumber\":\"4\",\"dtmf\":{\"track\":"
			    "\"inbound_track\",\"digit\":\"5\"}}");
	phone_stop(f.phone);
	assert_string_equal(
		f.last, "{\"event\":\"stop\",\"sequenceNumber\":\"5\","
			"\"streamSid\":\"" SID "\",\"stop\":{\"accountSid\":"
			"\"AC00000000000000000000000000000001\",\"callSid\":"
			"\"CA00000000000000000000000000000001\"}}");
	phone_press(f.phone, '5');
	assert_string_equal(f.log, "connected start dtmf stop ");
	mem_deref(f.phone);
}

static void test_custom_parameters(void **state)
{
	json_t *params = json_pack("{s:s}", "lang", "is");
	struct phone_param prm = {.stream_sid = SID, .params = params};
	struct fixture f = {0};

	(void)state;
	assert_int_equal(phone_alloc(&f.phone, &prm, &ops, &f), 0);
	json_decref(params);
	phone_connected(f.phone);
	phone_start(f.phone);
	assert_non_null(
		strstr(f.last, "\"customParameters\":{\"lang\":\"is\"}"));
	mem_deref(f.phone);
}

/* --------------------------------------------------------- marks, clear */

static void test_mark_returns_when_its_audio_is_over(void **state)
{
	uint8_t audio[FRAME_SAMPLES + 40], botv[FRAME_SAMPLES];
	struct fixture f;

	(void)state;
	start(&f);
	f.log[0] = '\0';
	receive_mark(&f, "at-once");
	assert_string_equal(f.log, "at-once+ ");

	memset(audio, 0x2a, sizeof(audio));
	receive_media(&f, audio, sizeof(audio));
	receive_mark(&f, "end");
	assert_int_equal(phone_buffered_ms(f.phone), 25);
	assert_true(phone_is_busy(f.phone));

	/* 25 ms take two frames, and the second has to be over */
	phone_tick(f.phone, 0, audio, botv);
	assert_memory_equal(botv, audio, FRAME_SAMPLES);
	phone_tick(f.phone, 20, audio, botv);
	assert_memory_equal(botv, audio, 40);
	assert_int_equal(botv[40], ULAW_SILENCE);
	assert_string_equal(f.log, "at-once+ ");
	phone_tick(f.phone, 40, audio, botv);
	assert_string_equal(f.log, "at-once+ end+ ");
	assert_false(phone_is_busy(f.phone));
	mem_deref(f.phone);
}

static void test_clear_returns_all_marks_at_once(void **state)
{
	uint8_t audio[8 * FRAME_SAMPLES], botv[FRAME_SAMPLES];
	struct fixture f;

	(void)state;
	start(&f);
	f.log[0] = '\0';
	memset(audio, 0x2a, sizeof(audio));
	receive_media(&f, audio, 2 * FRAME_SAMPLES);
	receive_mark(&f, "a");
	receive_media(&f, audio, sizeof(audio));
	receive_mark(&f, "b");
	receive_mark(&f, "b");
	tick(&f, 4);
	receive(&f, "{\"event\":\"clear\",\"streamSid\":\"" SID "\"}");
	receive_mark(&f, "fence");
	assert_string_equal(f.log, "a+ b- b- fence+ ");
	assert_int_equal(f.cleared, 140); /* the frame that sounds as well */
	phone_tick(f.phone, 0, audio, botv);
	assert_int_equal(botv[0], ULAW_SILENCE);
	assert_int_equal(f.faults, 0);
	mem_deref(f.phone);
}

/* The recorded barge-in: what the daemon sent, and what came back */
static void test_recorded_barge_in(void **state)
{
	FILE *file = fopen(DATA_DIR "/twilio/twilio-bargein-to-carrier.jsonl",
			   "re");
	static char line[16384];
	struct fixture f;

	(void)state;
	assert_non_null(file);
	start(&f);
	f.log[0] = '\0';
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, "\"clear\"")) {
			assert_string_equal(f.log, "g1+ ");
			tick(&f, 2);
		}
		receive(&f, line);
		/* the first utterance is heard out, the others are not */
		if (strstr(line, "\"g1\"") || strstr(line, "\"g5\""))
			tick(&f, 100);
	}
	fclose(file);
	assert_string_equal(f.log, "g1+ g2- g3- g4- g5+ ");
	assert_int_equal(f.faults, 0);
	assert_int_equal(phone_stats(f.phone)->clears, 1);
	mem_deref(f.phone);
}

/* Every message of ours has the members that the recorded one has */
static void check_members(const json_t *ours, json_t *theirs)
{
	const char *key;
	json_t *value;

	assert_int_equal(json_object_size(ours), json_object_size(theirs));
	json_object_foreach(theirs, key, value)
	{
		const json_t *v = json_object_get(ours, key);

		assert_non_null(v);
		assert_int_equal(json_typeof(v), json_typeof(value));
		if (json_is_object(value))
			check_members(v, value);
	}
}

static void test_shapes_as_recorded(void **state)
{
	FILE *file = fopen(
		DATA_DIR "/twilio/twilio-bargein-from-carrier.jsonl", "re");
	static char line[16384];
	struct fixture f;
	int seen = 0;

	(void)state;
	assert_non_null(file);
	assert_int_equal(setup(&f), 0);
	while (fgets(line, sizeof(line), file)) {
		json_t *theirs = json_loads(line, 0, NULL), *ours;
		const char *event = json_string_value(
			json_object_get(theirs, "event"));

		if (!strcmp(event, "connected"))
			phone_connected(f.phone);
		else if (!strcmp(event, "start"))
			phone_start(f.phone);
		else if (!strcmp(event, "media"))
			tick(&f, 1);
		else if (!strcmp(event, "mark"))
			receive_mark(&f, "x");
		else
			phone_stop(f.phone);

		ours = json_loads(f.last, 0, NULL);
		check_members(ours, theirs);
		if (strcmp(event, "connected"))
			assert_string_equal(
				json_string_value(json_object_get(
					ours, "sequenceNumber")),
				json_string_value(json_object_get(
					theirs, "sequenceNumber")));
		json_decref(ours);
		json_decref(theirs);
		++seen;
	}
	fclose(file);
	assert_int_equal(seen, 48);
	mem_deref(f.phone);
}

/* --------------------------------------------------------------- rules */

static void test_rules(void **state)
{
#define S "\"streamSid\":\"" SID "\""
	static const struct {
		const char *msg;
		int rule; /* -1: fine */
	} rowv[] = {
		{"{\"event\":\"media\"," S ",\"media\":{\"payload\":"
		 "\"/////w==\"}}",
		 -1},
		{"{\"media\":{\"payload\":\"\"}," S ",\"event\":\"media\"}",
		 -1},
		{"{\"event\":\"mark\"," S ",\"mark\":{\"name\":\"\"}}", -1},
		{"{\"event\":\"clear\"," S "}", -1},
		{"", PHONE_JSON},
		{"{", PHONE_JSON},
		{"[]", PHONE_JSON},
		{"\"x\"", PHONE_JSON},
		{"{\"event\":\"clear\"," S "}x", PHONE_JSON},
		{"{\"event\":\"clear\",\"event\":\"clear\"," S "}",
		 PHONE_JSON},
		{"{" S "}", PHONE_MISSING},
		{"{\"event\":7," S "}", PHONE_TYPE},
		{"{\"event\":\"stop\"," S "}", PHONE_EVENT},
		{"{\"event\":\"dtmf\"," S ",\"dtmf\":{\"digit\":\"1\"}}",
		 PHONE_EVENT},
		{"{\"event\":\"clear\"}", PHONE_MISSING},
		{"{\"event\":\"clear\",\"streamSid\":null}", PHONE_TYPE},
		{"{\"event\":\"clear\",\"streamSid\":\"MZ0\"}", PHONE_STREAM},
		{"{\"event\":\"clear\"," S ",\"sequenceNumber\":\"1\"}",
		 PHONE_EXTRA},
		{"{\"event\":\"clear\"," S ",\"mark\":{\"name\":\"x\"}}",
		 PHONE_EXTRA},
		{"{\"event\":\"mark\"," S "}", PHONE_MISSING},
		{"{\"event\":\"mark\"," S ",\"mark\":\"x\"}", PHONE_TYPE},
		{"{\"event\":\"mark\"," S ",\"mark\":{}}", PHONE_MISSING},
		{"{\"event\":\"mark\"," S ",\"mark\":{\"name\":1}}",
		 PHONE_TYPE},
		{"{\"event\":\"media\"," S ",\"media\":{\"payload\":\"\","
		 "\"track\":\"outbound\"}}",
		 PHONE_EXTRA},
		{"{\"event\":\"media\"," S ",\"media\":{\"payload\":\"*\"}}",
		 PHONE_BASE64},
		{"{\"event\":\"media\"," S ",\"media\":{\"payload\":\"/w\"}}",
		 PHONE_BASE64},
	};
	struct fixture f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		start(&f);
		receive(&f, rowv[i].msg);
		assert_int_equal(f.fault, rowv[i].rule);
		assert_int_equal(f.faults, rowv[i].rule >= 0);
		assert_int_equal(phone_faults(f.phone), f.faults);
		mem_deref(f.phone);
	}
}

static void test_rules_beyond_the_text(void **state)
{
	static uint8_t audio[100000];
	struct fixture f;

	(void)state;
	assert_int_equal(setup(&f), 0);
	phone_connected(f.phone);
	receive(&f, "{\"event\":\"clear\"," S "}");
	assert_int_equal(f.fault, PHONE_EARLY);
	phone_start(f.phone);
	phone_receive(f.phone, true, "x", 1);
	assert_int_equal(f.fault, PHONE_BINARY);

	/* 4 800 000 samples are ten minutes */
	for (int i = 0; i < 48; i++)
		receive_media(&f, audio, sizeof(audio));
	assert_int_equal(f.fault, PHONE_BINARY);
	receive_media(&f, audio, 3);
	assert_int_equal(f.fault, PHONE_FULL);
	assert_int_equal(phone_buffered_ms(f.phone), 600000);

	phone_stop(f.phone);
	receive(&f, "late");
	assert_int_equal(f.faults, 3);
	phone_closed(f.phone, 1000);
	assert_int_equal(f.faults, 3);
	phone_closed(f.phone, WSC_CODE_NONE);
	phone_closed(f.phone, WSC_CODE_ABNORMAL);
	assert_int_equal(f.faults, 5);
	assert_int_equal(f.fault, PHONE_CLOSE);
	mem_deref(f.phone);
}

static void test_signature(void **state)
{
	static const struct {
		const char *url, *signature;
	} rowv[] = {
		{"wss://convod.example.com/convo",
		 "kA5qlL2yE+luUovQAayX46qMTvM="},
		{"wss://convod.example.com/convo/",
		 "jE5k9D73K3Vmnlpp2+nfric3jUg="},
		{"wss://convod.example.com:443/convo",
		 "tOdattD9dAcwu/VY5Y+vJ4jaYKA="},
	};
	char sig[PHONE_SIGNATURE_SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		phone_sign(sig, "0123456789abcdef0123456789abcdef",
			   rowv[i].url);
		assert_string_equal(sig, rowv[i].signature);
	}
}

static int call_body(void *arg)
{
	uint8_t audio[FRAME_SAMPLES] = {0};
	struct fixture *f = arg;
	int err = setup(f);

	if (err)
		return err;
	phone_connected(f->phone);
	phone_start(f->phone);
	receive_media(f, audio, sizeof(audio));
	receive_mark(f, "m");
	tick(f, 3);
	/* what did not fit in memory was reported as dropped */
	err = f->faults ? ENOMEM : 0;
	mem_deref(f->phone);

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture f;

	(void)state;
	oom_loop(call_body, &f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_have_twilios_shape),
		cmocka_unit_test(test_custom_parameters),
		cmocka_unit_test(test_mark_returns_when_its_audio_is_over),
		cmocka_unit_test(test_clear_returns_all_marks_at_once),
		cmocka_unit_test(test_recorded_barge_in),
		cmocka_unit_test(test_shapes_as_recorded),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_rules_beyond_the_text),
		cmocka_unit_test(test_signature),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

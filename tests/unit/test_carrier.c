#include <stdio.h>
#include <convod/carrier.h>
#include <convod/str.h>
#include "../../src/carrier/core.h"
#include "test.h"

enum { LINE_MAX_BYTES = 100000 };

#define SID "MZ00000000000000000000000000000001"

static uint8_t bufv[CARRIER_MESSAGE_MAX], buf2v[CARRIER_MESSAGE_MAX];

/* ---------------------------------------------- the fixtures, line by line */

static uint32_t crc32_of(const uint8_t *v, size_t n)
{
	uint32_t crc = ~0u;

	for (size_t i = 0; i < n; i++) {
		crc ^= v[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}

	return ~crc;
}

static void print_start(char *s, size_t size, const struct carrier_event *ev)
{
	char *params = json_dumps(ev->u.start.params,
				  JSON_COMPACT | JSON_SORT_KEYS);

	snprintf(s, size, " call=%s account=%s params=%s", ev->u.start.call_id,
		 ev->u.start.account_id, params);
	mem_raw_free(params);
}

/* An event as the .events files have it */
static void print_event(char *s, size_t size, int err,
			const struct carrier_event *ev)
{
	static const char *const namev[] = {
		[CARRIER_IGNORED] = "ignored",
		[CARRIER_CONNECTED] = "connected",
		[CARRIER_START] = "start",
		[CARRIER_MEDIA] = "media",
		[CARRIER_DTMF] = "dtmf",
		[CARRIER_MARK] = "mark",
		[CARRIER_STOP] = "stop",
	};
	size_t n;

	if (err) {
		/* on Linux ENOTSUP has two names */
		snprintf(s, size, "%s",
			 err == ENOTSUP ? "ENOTSUP" : strerrorname_np(err));
		return;
	}

	n = (size_t)snprintf(s, size, "%s seq=%llu stream=%s", namev[ev->type],
			     (unsigned long long)ev->seq, ev->stream_id);
	s += n;
	size -= n;
	switch (ev->type) {
	case CARRIER_START:
		print_start(s, size, ev);
		break;
	case CARRIER_MEDIA:
		snprintf(s, size, " chunk=%llu ts=%llu n=%zu crc=%08x",
			 (unsigned long long)ev->u.media.chunk,
			 (unsigned long long)ev->u.media.timestamp_ms,
			 ev->u.media.n, crc32_of(bufv, ev->u.media.n));
		break;
	case CARRIER_DTMF:
		snprintf(s, size, " digit=%c", ev->u.dtmf.digit);
		break;
	case CARRIER_MARK:
		snprintf(s, size, " name=%s", ev->u.mark.name);
		break;
	default:
		break;
	}
}

static FILE *open_data(const char *name, const char *ext)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), DATA_DIR "/twilio/twilio-%s.%s", name,
		 ext);
	f = fopen(path, "r");
	if (!f)
		fail_msg("cannot open %s", path);

	return f;
}

/* Read a line without its end; false after the last one */
static bool read_line(FILE *f, char *s, size_t *len)
{
	if (!fgets(s, LINE_MAX_BYTES, f))
		return false;

	*len = strcspn(s, "\n");
	s[*len] = '\0';

	return true;
}

static const char *const fixturev[] = {
	"call-basic", "legacy-0.2.0", "both-tracks", "bargein-from-carrier",
	"marks",      "odd",          "malformed",
};

static char linev[LINE_MAX_BYTES];

static void test_fixtures(void **state)
{
	static char wantv[LINE_MAX_BYTES], gotv[2048];
	size_t linec = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixturev); i++) {
		FILE *f = open_data(fixturev[i], "jsonl");
		FILE *want = open_data(fixturev[i], "events");
		size_t len, n;

		for (int line = 1; read_line(f, linev, &len); line++) {
			struct carrier_event ev;
			int err = carrier_twilio.parse(&ev, linev, len, bufv,
						       sizeof(bufv));

			print_event(gotv, sizeof(gotv), err, &ev);
			carrier_event_reset(&ev);
			assert_true(read_line(want, wantv, &n));
			if (strcmp(gotv, wantv))
				fail_msg("%s line %d:\n%s, not\n%s",
					 fixturev[i], line, gotv, wantv);
			++linec;
		}
		assert_false(read_line(want, wantv, &n));
		fclose(f);
		fclose(want);
	}
	assert_int_equal(linec, 227);
}

/* ------------------------------------------------------ fields, in a table */

static char *repeat(const char *before, char c, size_t n, const char *after)
{
	size_t b = strlen(before), a = strlen(after);
	char *s = malloc(b + n + a + 1);

	memcpy(s, before, b);
	memset(s + b, c, n);
	memcpy(s + b + n, after, a + 1);

	return s;
}

static const struct {
	const char *msg, *want;
} tablev[] = {
	/* media that the scanner takes */
	{"{\"event\":\"media\",\"media\":{\"payload\":\"\"}}",
	 "media seq=0 stream= chunk=0 ts=0 n=0 crc=00000000"},
	{" {\"media\" : {\"payload\" : \"/w==\"}\t,\r\n "
	 "\"event\":\"media\"} ",
	 "media seq=0 stream= chunk=0 ts=0 n=1 crc=ff000000"},
	/* and that it leaves to jansson */
	{"{\"event\":\"media\",\"new\":[{}],\"media\":"
	 "{\"payload\":\"/w==\",\"new\":1e3}}",
	 "media seq=0 stream= chunk=0 ts=0 n=1 crc=ff000000"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"@@@@\","
	 "\"payload\":\"/w==\"}}",
	 "media seq=0 stream= chunk=0 ts=0 n=1 crc=ff000000"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\","
	 "\"payload\":\"@@@@\"}}",
	 "EBADMSG"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\","
	 "\"track\":7}}",
	 "EBADMSG"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\","
	 "\"track\":\"\"}}",
	 "media seq=0 stream= chunk=0 ts=0 n=1 crc=ff000000"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\"}}x", "EBADMSG"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\"},}", "EBADMSG"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==\"}", "EBADMSG"},
	{"{\"event\":\"media\",\"media\":{\"payload\":\"/w==", "EBADMSG"},
	{"{\"event\":\"media\",\"media\":[\"payload\"]}", "EBADMSG"},
	/* counters: what is no number is as if it were missing */
	{"{\"event\":\"stop\",\"sequenceNumber\":"
	 "\"18446744073709551615\"}",
	 "stop seq=18446744073709551615 stream="},
	{"{\"event\":\"stop\",\"sequenceNumber\":"
	 "\"18446744073709551616\"}",
	 "stop seq=0 stream="},
	{"{\"event\":\"stop\",\"sequenceNumber\":\"0007\"}",
	 "stop seq=7 stream="},
	{"{\"event\":\"stop\",\"sequenceNumber\":\"7x\"}",
	 "stop seq=0 stream="},
	{"{\"event\":\"stop\",\"sequenceNumber\":-1}", "stop seq=0 stream="},
	{"{\"event\":\"stop\",\"sequenceNumber\":[]}", "stop seq=0 stream="},
	{"{\"event\":\"media\",\"sequenceNumber\":007,"
	 "\"media\":{\"payload\":\"\"}}",
	 "EBADMSG"},
	{"{\"event\":\"media\",\"sequenceNumber\":\"007\","
	 "\"media\":{\"payload\":\"\"}}",
	 "media seq=7 stream= chunk=0 ts=0 n=0 crc=00000000"},
	{"{\"event\":\"media\",\"sequenceNumber\":1.5,"
	 "\"media\":{\"payload\":\"\"}}",
	 "media seq=0 stream= chunk=0 ts=0 n=0 crc=00000000"},
	{"{\"event\":\"media\",\"sequenceNumber\":\"-3\","
	 "\"media\":{\"payload\":\"\"}}",
	 "media seq=0 stream= chunk=0 ts=0 n=0 crc=00000000"},
	/* ids: printed back as they are, so nothing that needs care */
	{"{\"event\":\"stop\",\"streamSid\":null}", "stop seq=0 stream="},
	{"{\"event\":\"stop\",\"streamSid\":7}", "EBADMSG"},
	{"{\"event\":\"stop\",\"streamSid\":\"a\\\"b\"}", "EBADMSG"},
	{"{\"event\":\"stop\",\"streamSid\":\"a\\\\b\"}", "EBADMSG"},
	{"{\"event\":\"stop\",\"streamSid\":\"a b\"}", "EBADMSG"},
	{"{\"event\":\"stop\",\"streamSid\":\"a\\n\"}", "EBADMSG"},
	{"{\"event\":\"stop\",\"streamSid\":\"\xc3\xa1\"}", "EBADMSG"},
	{"{\"event\":\"media\",\"streamSid\":\"a b\","
	 "\"media\":{\"payload\":\"\"}}",
	 "EBADMSG"},
	/* start */
	{"{\"event\":\"start\",\"start\":{\"streamSid\":\"MZ1\"}}",
	 "start seq=0 stream=MZ1 call= account= params={}"},
	{"{\"event\":\"start\",\"start\":{\"customParameters\":[]}}",
	 "EBADMSG"},
	{"{\"event\":\"start\",\"start\":{\"customParameters\":null}}",
	 "start seq=0 stream= call= account= params={}"},
	{"{\"event\":\"start\",\"start\":{\"mediaFormat\":"
	 "{\"channels\":2}}}",
	 "ENOTSUP"},
	{"{\"event\":\"start\",\"start\":{\"mediaFormat\":"
	 "{\"sampleRate\":16000}}}",
	 "ENOTSUP"},
	{"{\"event\":\"start\",\"start\":{\"mediaFormat\":"
	 "{\"sampleRate\":\"8k\"}}}",
	 "ENOTSUP"},
	{"{\"event\":\"start\",\"start\":{\"mediaFormat\":"
	 "{\"encoding\":8}}}",
	 "EBADMSG"},
	{"{\"event\":\"start\",\"start\":{\"mediaFormat\":"
	 "{\"encoding\":\"audio/x-mulaw;rate=8000;and;so;on;\"}}}",
	 "ENOTSUP"},
	/* DTMF */
	{"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"#\"}}",
	 "dtmf seq=0 stream= digit=#"},
	{"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"E\"}}", "EBADMSG"},
	{"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":10}}", "EBADMSG"},
	{"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":-1}}", "EBADMSG"},
	{"{\"event\":\"dtmf\",\"dtmf\":{\"digit\":\"1\","
	 "\"track\":\"outbound_track\"}}",
	 "ignored seq=0 stream="},
	{"{\"event\":\"dtmf\"}", "EBADMSG"},
	/* whole messages */
	{"{\"event\":\"\"}", "ignored seq=0 stream="},
	{"{}", "EBADMSG"},
	{"{\"event\":\"stop\",\"a\":\"\xff\"}", "EBADMSG"},
};

static void test_table(void **state)
{
	char gotv[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tablev); i++) {
		/* an exact copy, so that a sanitizer sees one byte too many */
		size_t len = strlen(tablev[i].msg);
		char *msg = malloc(len);
		struct carrier_event ev;
		int err;

		memcpy(msg, tablev[i].msg, len);
		err = carrier_twilio.parse(&ev, msg, len, bufv, sizeof(bufv));
		print_event(gotv, sizeof(gotv), err, &ev);
		carrier_event_reset(&ev);
		free(msg);
		if (strcmp(gotv, tablev[i].want))
			fail_msg("%s:\n%s, not\n%s", tablev[i].msg, gotv,
				 tablev[i].want);
	}
}

/* Each limit: the largest that is taken and the smallest that is not */
static void test_limits(void **state)
{
	static const struct {
		const char *before;
		char c;
		size_t good;
		const char *after;
		int err; /* with one more */
	} rowv[] = {
		{"{\"event\":\"stop\",\"streamSid\":\"", 'x',
		 CARRIER_ID_MAX - 1, "\"}", EOVERFLOW},
		{"{\"event\":\"media\",\"media\":{\"payload\":\"\"},"
		 "\"streamSid\":\"",
		 'x', CARRIER_ID_MAX - 1, "\"}", EOVERFLOW},
		{"{\"event\":\"start\",\"start\":{\"callSid\":\"", 'x',
		 CARRIER_ID_MAX - 1, "\"}}", EOVERFLOW},
		{"{\"event\":\"mark\",\"mark\":{\"name\":\"", 'x',
		 CARRIER_MARK_NAME_MAX - 1, "\"}}", EOVERFLOW},
		{"{\"event\":\"stop\"}", ' ', CARRIER_MESSAGE_MAX - 16, "",
		 EOVERFLOW},
	};
	struct carrier_event ev;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		for (size_t more = 0; more < 2; more++) {
			char *s = repeat(rowv[i].before, rowv[i].c,
					 rowv[i].good + more, rowv[i].after);
			int err = carrier_twilio.parse(&ev, s, strlen(s), bufv,
						       sizeof(bufv));

			if (err != (more ? rowv[i].err : 0))
				fail_msg("row %zu: %d", i, err);
			carrier_event_reset(&ev);
			free(s);
		}
	}
}

static void test_depth(void **state)
{
	char s[256];

	(void)state;
	for (size_t depth = 2; depth < 100; depth++) {
		struct carrier_event ev;
		size_t n = (size_t)snprintf(
			s, sizeof(s), "{\"event\":\"stop\",\"[[[\\\"[[[\":");

		memset(s + n, '[', depth - 1);
		memset(s + n + depth - 1, ']', depth - 1);
		n += 2 * (depth - 1);
		s[n++] = '}';
		assert_int_equal(
			carrier_twilio.parse(&ev, s, n, bufv, sizeof(bufv)),
			depth <= CARRIER_DEPTH_MAX ? 0 : EBADMSG);
	}
}

static void test_payload_must_fit(void **state)
{
	static const char msg[] =
		"{\"event\":\"media\",\"media\":{\"payload\":\"AAAAAAAA\"}}";
	struct carrier_event ev;
	uint8_t v[BASE64_DECODED_MAX(8)];

	(void)state;
	assert_int_equal(carrier_twilio.parse(&ev, msg, sizeof(msg) - 1, v,
					      sizeof(v) - 1),
			 EOVERFLOW);
	assert_int_equal(
		carrier_twilio.parse(&ev, msg, sizeof(msg) - 1, v, sizeof(v)),
		0);
	assert_int_equal(ev.u.media.n, 6);
}

/* --------------------------------------------- the scanner against jansson */

/* Whatever the message, both ways must end alike; returns whether the scanner
 * took it */
static bool compare(const char *msg, size_t len)
{
	static char wantv[2048], gotv[2048];
	struct carrier_event ev, want;
	struct media_scan m;
	size_t n;
	int err, want_err;
	bool fast;

	memset(&ev, 0xa5, sizeof(ev));
	want_err = twilio_parse_json(&want, msg, len, bufv, sizeof(bufv));
	print_event(wantv, sizeof(wantv), want_err, &want);
	n = !want_err && want.type == CARRIER_MEDIA ? want.u.media.n : 0;
	memcpy(buf2v, bufv, n);
	carrier_event_reset(&want);

	err = carrier_twilio.parse(&ev, msg, len, bufv, sizeof(bufv));
	print_event(gotv, sizeof(gotv), err, &ev);
	fast = !err && ev.type == CARRIER_MEDIA && !ev.u.media.slow;
	carrier_event_reset(&ev);

	if (strcmp(gotv, wantv))
		fail_msg("%.*s:\n%s, not\n%s", (int)len, msg, gotv, wantv);
	assert_memory_equal(bufv, buf2v, n);
	if (fast)
		assert_true(media_scan(&m, msg, len));

	return fast;
}

static uint32_t seed = 2026;

static size_t random_below(size_t n)
{
	seed = seed * 1664525 + 1013904223;

	return (size_t)((uint64_t)seed * n >> 32);
}

static size_t mutate(char *s, size_t len, size_t size)
{
	static const char charv[] = "{}[]\",:\\ \n\tu0017-+.eE/=_nullAxyz"
				    "\x80\xff\xc3\xa1\x7f";
	size_t at = random_below(len + 1), n = 1 + random_below(8), from;

	switch (random_below(6)) {
	case 0: /* another character */
		s[MIN(at, len - 1)] = charv[random_below(sizeof(charv))];
		break;
	case 1: /* one bit */
		s[MIN(at, len - 1)] ^= (char)(1 << random_below(8));
		break;
	case 2: /* one character more */
		if (len < size) {
			memmove(s + at + 1, s + at, len++ - at);
			s[at] = charv[random_below(sizeof(charv))];
		}
		break;
	case 3: /* some less */
		n = MIN(n, len - at);
		memmove(s + at, s + at + n, len - at - n);
		len -= n;
		break;
	case 4: /* a part once more */
		from = random_below(len);
		n = MIN(1 + random_below(60), len - from);
		if (len + n <= size) {
			char part[64];

			memcpy(part, s + from, n);
			memmove(s + at + n, s + at, len - at);
			memcpy(s + at, part, n);
			len += n;
		}
		break;
	default: /* the end is missing */
		if (random_below(4) == 0)
			len = at;
		break;
	}

	return len ? len : 1;
}

static void test_scanner_and_jansson_agree(void **state)
{
	enum { MUTATIONS = 20000, CHANGED_MAX = 2048 };
	static char *sv[400];
	static size_t lenv[400];
	size_t n = 0, fast = 0, still_fast = 0, len;
	char msg[CHANGED_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixturev); i++) {
		FILE *f = open_data(fixturev[i], "jsonl");

		while (read_line(f, linev, &len)) {
			fast += compare(linev, len);
			if (!len || len > CHANGED_MAX)
				continue;
			sv[n] = strdup(linev);
			lenv[n++] = len;
		}
		fclose(f);
	}
	/* all media goes the short way but that with escapes in it */
	assert_int_equal(fast, 142);

	for (size_t i = 0; i < MUTATIONS; i++) {
		size_t which = random_below(n);

		len = lenv[which];
		memcpy(msg, sv[which], len);
		for (size_t times = 1 + random_below(3); times; times--)
			len = mutate(msg, len, sizeof(msg));
		still_fast += compare(msg, len);
	}
	print_message("%zu of %d changed messages taken by the scanner\n",
		      still_fast, MUTATIONS);
	assert_in_range(still_fast, MUTATIONS / 50, MUTATIONS * 9 / 10);
	while (n)
		free(sv[--n]);
}

static void test_media_allocates_nothing(void **state)
{
	FILE *f = open_data("call-basic", "jsonl");
	char out[CARRIER_MEDIA_SIZE(160)];
	size_t len, media = 0;

	(void)state;
	while (read_line(f, linev, &len)) {
		struct carrier_event ev;
		int err;

		mem_fail_after(0);
		err = carrier_twilio.parse(&ev, linev, len, bufv,
					   sizeof(bufv));
		if (!err && ev.type == CARRIER_MEDIA) {
			carrier_twilio.print_media(out, ev.stream_id, bufv,
						   ev.u.media.n);
			++media;
		}
		mem_fail_after(-1);
		assert_true(err == 0 || err == ENOMEM);
	}
	assert_int_equal(media, 60);
	fclose(f);
}

/* A start with parameters, one without, a name that is not ASCII */
static int oom_body(void *arg)
{
	static const char params[] = "{\"event\":\"start\",\"start\":"
				     "{\"customParameters\":{\"a\":\"b\"}}}";
	static const char start[] = "{\"event\":\"start\",\"start\":{}}";
	static const char mark[] =
		"{\"event\":\"mark\",\"mark\":{\"name\":\"\\u00e1\"}}";
	static const char *const msgv[] = {params, start, mark};
	struct carrier_event ev;
	int err = 0;

	(void)arg;
	for (size_t i = 0; i < ARRAY_SIZE(msgv) && !err; i++) {
		err = carrier_twilio.parse(&ev, msgv[i], strlen(msgv[i]), bufv,
					   sizeof(bufv));
		carrier_event_reset(&ev);
	}

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(oom_body, NULL);
}

/* ---------------------------------------------------------------- outbound */

/* What the fixture says a server sends is what we print, byte for byte */
static void test_prints_the_fixture(void **state)
{
	FILE *f = open_data("bargein-to-carrier", "jsonl");
	static char out[CARRIER_MEDIA_SIZE(CARRIER_MESSAGE_MAX)];
	size_t len, n, linec = 0;

	(void)state;
	for (; read_line(f, linev, &len); linec++) {
		json_t *j = json_loads(linev, 0, NULL);
		const char *event, *id, *payload = NULL, *name = NULL;

		assert_int_equal(json_unpack(j, "{s:s, s:s, s?{s:s}, s?{s:s}}",
					     "event", &event, "streamSid", &id,
					     "media", "payload", &payload,
					     "mark", "name", &name),
				 0);
		if (payload) {
			assert_int_equal(base64_decode(bufv, &n, payload,
						       strlen(payload)),
					 0);
			n = carrier_twilio.print_media(out, id, bufv, n);
		} else if (name) {
			n = carrier_twilio.print_mark(out, id, name);
		} else {
			n = carrier_twilio.print_clear(out, id);
		}
		assert_int_equal(n, len);
		assert_memory_equal(out, linev, n);
		json_decref(j);
	}
	assert_int_equal(linec, 12);
	fclose(f);
}

static void test_media_comes_back_whole(void **state)
{
	static const size_t nv[] = {0, 1, 2, 3, 159, 160, 480, 960, 8000};
	char id[CARRIER_ID_MAX];

	(void)state;
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(nv); i++) {
		char *out = malloc(CARRIER_MEDIA_SIZE(nv[i]));
		struct carrier_event ev;
		size_t n;

		for (size_t k = 0; k < nv[i]; k++)
			buf2v[k] = (uint8_t)(k * k);
		n = carrier_twilio.print_media(out, id, buf2v, nv[i]);
		assert_true(n <= CARRIER_MEDIA_SIZE(nv[i]));
		assert_int_equal(
			carrier_twilio.parse(&ev, out, n, bufv, sizeof(bufv)),
			0);
		assert_int_equal(ev.u.media.n, nv[i]);
		assert_memory_equal(bufv, buf2v, nv[i]);
		assert_string_equal(ev.stream_id, id);
		free(out);
	}
}

static void test_mark_names_are_escaped(void **state)
{
	static const char *const namev[] = {
		"u1g1", "", "a\"b\\c/d", "\x01\n\t\x1f", "kve\xc3\xb0ja",
	};
	char id[CARRIER_ID_MAX], name[CARRIER_MARK_NAME_MAX + 10];
	char *out = malloc(CARRIER_CONTROL_SIZE);
	struct carrier_event ev;
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		n = carrier_twilio.print_mark(out, SID, namev[i]);
		assert_int_equal(
			carrier_twilio.parse(&ev, out, n, bufv, sizeof(bufv)),
			0);
		assert_int_equal(ev.type, CARRIER_MARK);
		assert_string_equal(ev.u.mark.name, namev[i]);
		assert_string_equal(ev.stream_id, SID);
	}

	/* the longest, all escapes, longer still, fits */
	memset(id, 'x', sizeof(id) - 1);
	id[sizeof(id) - 1] = '\0';
	memset(name, 1, sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	n = carrier_twilio.print_mark(out, id, name);
	assert_true(n <= CARRIER_CONTROL_SIZE);
	assert_int_equal(carrier_twilio.parse(&ev, out, n, bufv, sizeof(bufv)),
			 0);
	assert_int_equal(strlen(ev.u.mark.name), CARRIER_MARK_NAME_MAX - 1);
	free(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_payload_must_fit),
		cmocka_unit_test(test_scanner_and_jansson_agree),
		cmocka_unit_test(test_media_allocates_nothing),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_prints_the_fixture),
		cmocka_unit_test(test_media_comes_back_whole),
		cmocka_unit_test(test_mark_names_are_escaped),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

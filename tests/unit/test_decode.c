#include <math.h>
#include <stdio.h>
#include <convod/audio.h>
#include <convod/decode.h>
#include <convod/str.h>
#include "test.h"

#define DIR DATA_DIR "/audio-formats/"

enum { OUT_MAX = 200000, LAG_MAX = 1200, MAX_MS = 20000 };

struct out {
	uint8_t v[OUT_MAX];
	size_t n;
};

struct file {
	uint8_t *p;
	size_t n;
};

static struct file load(const char *name)
{
	char path[512];
	struct file f = {0};
	FILE *fp;

	(void)snprintf(path, sizeof(path), DIR "%s", name);
	fp = fopen(path, "rb");
	if (!fp)
		fail_msg("%s", path);
	f.p = malloc(1 << 20);
	f.n = fread(f.p, 1, 1 << 20, fp);
	fclose(fp);
	assert_true(f.n > 100);

	return f;
}

static void out_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct out *o = arg;

	assert_true(n <= OUT_MAX - o->n);
	memcpy(o->v + o->n, ulawv, n);
	o->n += n;
}

/** Decode in pieces of some bytes, 0: all at once */
static int decode_as(enum decode_format format, uint32_t rate, struct out *o,
		     const uint8_t *p, size_t n, size_t piece, uint32_t max_ms)
{
	struct decoder *d = NULL;
	int err = decoder_alloc(&d, format, rate, max_ms);

	o->n = 0;
	while (!err && n && piece) {
		size_t k = MIN(piece, n);

		err = decoder_push(d, p, k, false, out_handler, o);
		p += k;
		n -= k;
	}
	if (!err)
		err = decoder_push(d, n ? p : NULL, n, true, out_handler, o);
	mem_deref(d);

	return err;
}

static int decode(struct out *o, const uint8_t *p, size_t n, size_t piece)
{
	return decode_as(DECODE_SNIFF, 0, o, p, n, piece, MAX_MS);
}

/** Best correlation of two signals over all lags, and their level ratio */
static double similarity(const struct out *a, const struct out *b,
			 double *level)
{
	double best = 0.0, ea = 0.0, eb = 0.0;

	for (size_t i = 0; i < a->n; i++)
		ea += pow(g711_ulaw_decode(a->v[i]), 2);
	for (size_t i = 0; i < b->n; i++)
		eb += pow(g711_ulaw_decode(b->v[i]), 2);
	for (int lag = -LAG_MAX; lag <= LAG_MAX; lag++) {
		double sum = 0.0;

		for (size_t i = 0; i < a->n; i++) {
			long j = (long)i + lag;

			if (j >= 0 && j < (long)b->n)
				sum += g711_ulaw_decode(a->v[i]) * 1.0 *
				       g711_ulaw_decode(b->v[j]);
		}
		best = MAX(best, sum);
	}
	*level = sqrt(eb / ea);

	return best / sqrt(ea * eb);
}

static const struct {
	const char *name;
	double like; /* correlation at least */
} formatv[] = {
	{"u8_11025.wav", 0.97},
	{"s16_44100_stereo.wav", 0.99},
	{"s24_22050.wav", 0.99},
	{"s32_16000.wav", 0.99},
	{"f32_24000.wav", 0.99},
	{"f64_12000.wav", 0.99},
	{"ulaw_8000.wav", 0.9999},
	{"alaw_8000.wav", 0.99},
	{"ulaw_16000.wav", 0.99},
	{"vorbis_16000.ogg", 0.9},
	{"flac_24000_stereo.flac", 0.99},
	{"s16_8000.au", 0.9999},
	{"s16_16000.aiff", 0.99},
	{"mp3_16000.mp3", 0.9},
	{"mp3_44100_stereo_id3.mp3", 0.9},
	{"mp3_8000.mp3", 0.85},
};

static struct out source, got, again;

static void load_source(void)
{
	struct file f = load("source.wav");

	assert_int_equal(decode(&source, f.p, f.n, 0), 0);
	assert_int_equal(source.n, (f.n - 44) / 2);
	for (size_t i = 0; i < source.n; i++) {
		int16_t x;

		memcpy(&x, f.p + 44 + 2 * i, 2);
		assert_int_equal(source.v[i], g711_ulaw_encode(x));
	}
	free(f.p);
}

static void test_every_format_sounds_like_the_source(void **state)
{
	(void)state;
	load_source();
	for (size_t i = 0; i < ARRAY_SIZE(formatv); i++) {
		struct file f = load(formatv[i].name);
		double like, level;
		int err = decode(&got, f.p, f.n, 0);

		if (err)
			fail_msg("%s: %d", formatv[i].name, err);
		like = similarity(&source, &got, &level);
		if (like < formatv[i].like || level < 0.85 || level > 1.15)
			fail_msg("%s: like %.4f level %.3f", formatv[i].name,
				 like, level);
		free(f.p);
	}
}

static void test_pieces_give_the_same(void **state)
{
	static const size_t piecev[] = {1, 2, 3, 7, 1000};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formatv); i++) {
		struct file f = load(formatv[i].name);

		assert_int_equal(decode(&got, f.p, f.n, 0), 0);
		for (size_t k = 0; k < ARRAY_SIZE(piecev); k++) {
			int err = decode(&again, f.p, f.n, piecev[k]);

			if (err || again.n != got.n ||
			    memcmp(got.v, again.v, got.n))
				fail_msg("%s in pieces of %zu: %d, %zu of %zu",
					 formatv[i].name, piecev[k], err,
					 again.n, got.n);
		}
		free(f.p);
	}
}

/* Cut anywhere: a known error or a part of the whole, never anything else */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formatv); i++) {
		struct file f = load(formatv[i].name);
		/* every byte of the head, then so that it does not last */
		size_t step = 1;

		assert_int_equal(decode(&got, f.p, f.n, 0), 0);
		for (size_t n = 0; n < f.n; n += step) {
			int err = decode(&again, f.p, n, 0);

			if (err && err != EBADMSG && err != ENODATA)
				fail_msg("%s at %zu: %d", formatv[i].name, n,
					 err);
			assert_true(again.n <= got.n + AUDIO_RATE / 10);
			assert_true(!err || err == EBADMSG || !again.n);
			if (n > 200)
				step = f.n / 40 + 1;
		}
		free(f.p);
	}
}

static void test_not_audio(void **state)
{
	static const struct {
		const char *s;
		int err;
	} tests[] = {
		{"", ENODATA},
		{"R", EBADMSG},
		{"<!DOCTYPE html><html><body>404</body></html>", EBADMSG},
		{"{\"error\":\"no voice\"}", EBADMSG},
		{"RIFF\x10\0\0\0AVI LIST", EBADMSG},
		{"\xff\xfb", EBADMSG},
		{"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", EBADMSG},
		{"\xff\xf1\x50\x80 this is ADTS AAC", EBADMSG},
		{"ID3\x04", EBADMSG},
		{"plain text, quite long, of a gateway", EBADMSG},
		{"fLaC but then nothing of the kind", EBADMSG},
		{"OggS but then nothing of the kind", EBADMSG},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const uint8_t *p = (const uint8_t *)tests[i].s;
		size_t n = strlen(tests[i].s);

		for (size_t piece = 0; piece < 3; piece++) {
			int err = decode(&got, p, n, piece);

			if (err != tests[i].err)
				fail_msg("%s: %d", tests[i].s, err);
			assert_int_equal(got.n, 0);
		}
	}
}

/* An ID3 tag that is followed by anything but a frame is no MP3 */
static void test_id3_and_garbage(void **state)
{
	uint8_t v[4000];

	(void)state;
	for (size_t i = 0; i < sizeof(v); i++)
		v[i] = (uint8_t)(i * 37 + i / 256 * 11);
	memcpy(v, "ID3\x04\0\0\0\0\x02\x00", 10);
	v[266] = 'x';
	assert_int_equal(decode(&got, v, sizeof(v), 0), EBADMSG);
	assert_int_equal(got.n, 0);
}

/* One valid header and noise behind: no noise on the line */
static void test_frame_header_and_garbage(void **state)
{
	uint8_t v[20000];
	uint32_t x = 1;

	(void)state;
	for (size_t i = 0; i < sizeof(v); i++) {
		x = x * 1664525 + 1013904223;
		v[i] = (uint8_t)(x >> 24);
	}
	memcpy(v, "\xff\xfb\x90\x00", 4);
	assert_int_not_equal(decode(&got, v, sizeof(v), 0), 0);
	assert_true(got.n < AUDIO_RATE / 10);
}

/* ---------------------------------------------------------------- WAV */

static size_t put(uint8_t *dst, size_t at, const char *id, uint32_t size,
		  const void *p, size_t n)
{
	memcpy(dst + at, id, 4);
	memcpy(dst + at + 4, &size, 4);
	memcpy(dst + at + 8, p, n);

	return at + 8 + n;
}

struct fmt {
	uint16_t tag, channels;
	uint32_t rate, bytes;
	uint16_t align, bits;
};

/** A WAV of 100 16-bit samples whose data chunk declares some length */
static size_t make_wav(uint8_t *dst, uint32_t declared, const char *before,
		       size_t before_n, const char *behind)
{
	const struct fmt fmt = {1, 1, 8000, 16000, 2, 16};
	int16_t v[100];
	size_t n;

	for (int i = 0; i < 100; i++)
		v[i] = (int16_t)(i * 300 - 15000);
	n = put(dst, 0, "RIFF", declared, "WAVE", 4);
	if (before)
		n = put(dst, n, "LIST", (uint32_t)before_n, before,
			before_n + (before_n & 1));
	n = put(dst, n, "fmt ", 16, &fmt, 16);
	n = put(dst, n, "data", declared, v, sizeof(v));
	memcpy(dst + n, behind, strlen(behind));

	return n + strlen(behind);
}

static void test_wav_lengths_and_chunks(void **state)
{
	static const struct {
		uint32_t declared;
		const char *before;
		size_t before_n;
		const char *behind;
		size_t samples;
		int err;
	} tests[] = {
		{200, NULL, 0, "", 100, 0},
		{200, "INFO", 4, "LIST\x08\0\0\0garbage!", 100, 0},
		{200, "odd", 3, "", 100, 0},
		{0, NULL, 0, "", 100, 0},
		{0xffffffff, "INFOx", 5, "", 100, 0},
		{0x7fffffff, NULL, 0, "", 100, 0},
		{0x7ffff024, NULL, 0, "", 100, 0},
		{0x7fff0000, NULL, 0, "", 100, 0},
		{1000000, NULL, 0, "", 100, EBADMSG}, /* cut */
		{201, NULL, 0, "", 100, EBADMSG},
		{100, NULL, 0, "", 50, 0},
		{0, NULL, 0, "x", 100, 0}, /* half a sample */
		{3, NULL, 0, "", 1, 0},
	};
	uint8_t v[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		size_t n = make_wav(v, tests[i].declared, tests[i].before,
				    tests[i].before_n, tests[i].behind);

		for (size_t piece = 0; piece < 12; piece++) {
			int err = decode(&got, v, n, piece);

			if (err != tests[i].err || got.n != tests[i].samples)
				fail_msg("%zu: %d, %zu samples", i, err,
					 got.n);
		}
	}
}

static void test_wav_refused(void **state)
{
	static const struct fmt tests[] = {
		{2, 1, 8000, 8000, 1, 4},   /* ADPCM */
		{1, 0, 8000, 16000, 2, 16}, /* no channel */
		{1, 9, 8000, 16000, 2, 16}, /* too many */
		{1, 1, 0, 16000, 2, 16},    /* no rate */
		{1, 1, 0xffffffff, 16000, 2, 16}, {1, 1, 8000, 16000, 2, 12},
		{0xfffe, 1, 8000, 16000, 2, 16}, /* extensible, too short */
	};
	uint8_t v[1024];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		size_t n = make_wav(v, 0, NULL, 0, "");

		memcpy(v + 20, &tests[i], 16);
		assert_int_equal(decode(&got, v, n, 0), EBADMSG);
		assert_int_equal(got.n, 0);
	}
	/* data before fmt */
	memcpy(v, "RIFF\0\0\0\0WAVEdata\0\0\0\0abcdefgh", 28);
	assert_int_equal(decode(&got, v, 28, 0), EBADMSG);
}

static void test_nan_and_loud_are_silence_or_clipped(void **state)
{
	const struct fmt fmt = {3, 1, 16000, 64000, 4, 32};
	float f[2000];
	uint8_t v[9000];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(f); i++)
		f[i] = i < 100 ? (i & 1 ? NAN : INFINITY) : 0.0f;
	n = put(v, 0, "RIFF", 0, "WAVE", 4);
	n = put(v, n, "fmt ", 16, &fmt, 16);
	n = put(v, n, "data", 0, f, sizeof(f));
	assert_int_equal(decode(&got, v, n, 0), 0);
	for (size_t i = 0; i < got.n; i++)
		assert_in_range(abs(g711_ulaw_decode(got.v[i])), 0, 8);

	for (size_t i = 0; i < ARRAY_SIZE(f); i++)
		f[i] = i & 1 ? 1e30f : 2.0f;
	memcpy(v + 24, &(uint32_t){8000}, 4);
	n = put(v, 36, "data", 0, f, sizeof(f));
	assert_int_equal(decode(&got, v, n, 0), 0);
	assert_int_equal(g711_ulaw_decode(got.v[10]), 32124);
}

/* ------------------------------------------------------- raw, and bounds */

static void test_raw(void **state)
{
	uint8_t v[256];

	(void)state;
	for (size_t i = 0; i < sizeof(v); i++)
		v[i] = (uint8_t)i;
	assert_int_equal(
		decode_as(DECODE_ULAW_8000, 0, &got, v, sizeof(v), 3, MAX_MS),
		0);
	assert_int_equal(got.n, sizeof(v));
	assert_memory_equal(got.v, v, sizeof(v));

	for (size_t piece = 0; piece < 5; piece++) {
		assert_int_equal(decode_as(DECODE_PCM_S16LE, 8000, &got, v,
					   sizeof(v), piece, MAX_MS),
				 0);
		assert_int_equal(got.n, sizeof(v) / 2);
		for (size_t i = 0; i < got.n; i++)
			assert_int_equal(got.v[i],
					 g711_ulaw_encode((
						 int16_t)(v[2 * i] |
							  v[2 * i + 1] << 8)));
	}
	assert_int_equal(decode_as(DECODE_PCM_S16LE, 24000, &got, v, sizeof(v),
				   1, MAX_MS),
			 0);
	assert_in_range(got.n, 41, 44);
	assert_int_equal(
		decode_as(DECODE_PCM_S16LE, 24000, &got, v, 0, 1, MAX_MS),
		ENODATA);
	assert_int_equal(decode_as(DECODE_PCM_S16LE, 1, &got, v, 2, 1, MAX_MS),
			 EINVAL);
}

static void test_longest(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formatv); i++) {
		struct file f = load(formatv[i].name);

		assert_int_equal(
			decode_as(DECODE_SNIFF, 0, &got, f.p, f.n, 1000, 100),
			EOVERFLOW);
		assert_int_equal(got.n, 100 * AUDIO_PER_MS);
		free(f.p);
	}
}

static void test_nothing_after_an_error(void **state)
{
	struct decoder *d;

	(void)state;
	got.n = 0;
	assert_int_equal(decoder_alloc(&d, DECODE_SNIFF, 0, MAX_MS), 0);
	assert_int_equal(decoder_push(d, (const uint8_t *)"<html><body>", 12,
				      false, out_handler, &got),
			 EBADMSG);
	assert_int_equal(decoder_push(d, (const uint8_t *)"RIFF", 4, true,
				      out_handler, &got),
			 EBADMSG);
	mem_deref(d);
}

static void test_too_big_to_gather(void **state)
{
	static uint8_t v[1 << 20];
	struct decoder *d;
	int err = 0;

	(void)state;
	memcpy(v, "fLaC", 4);
	assert_int_equal(decoder_alloc(&d, DECODE_SNIFF, 0, MAX_MS), 0);
	for (int i = 0; i < 17 && !err; i++)
		err = decoder_push(d, v, sizeof(v), false, out_handler, &got);
	assert_int_equal(err, EOVERFLOW);
	mem_deref(d);
}

static int memory_body(void *arg)
{
	const struct file *f = arg;

	return decode(&got, f->p, f->n, 1000);
}

static void test_out_of_memory(void **state)
{
	static const char *const namev[] = {"s16_44100_stereo.wav",
					    "mp3_16000.mp3",
					    "flac_24000_stereo.flac"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		struct file f = load(namev[i]);

		oom_loop(memory_body, &f);
		free(f.p);
	}
}

/* Eight samples of μ-law in a WAV whose head has 46 bytes, not 44 */
static void test_wav_of_a_longer_head(void **state)
{
	char text[4096], *at;
	uint8_t v[BASE64_DECODED_MAX(sizeof(text))];
	FILE *f = fopen(DATA_DIR "/tts/tts-google-response.json", "rb");
	size_t n;

	(void)state;
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	at = strstr(text, ": \"");
	assert_non_null(at);
	at += 3;
	assert_int_equal(base64_decode(v, &n, at, strcspn(at, "\"")), 0);
	for (size_t piece = 0; piece < 3; piece++) {
		assert_int_equal(decode(&got, v, n, piece), 0);
		assert_int_equal(got.n, 8);
		for (size_t i = 0; i < got.n; i++)
			assert_int_equal(got.v[i], 0xff);
	}
}

/* ------------------------------------------------------- confirmation */

struct confirm {
	const char *name;
	const char *p;
	size_t n;
	const char *type;
	enum decode_format asked;
	int first; /* with so many bytes, and more to come */
	int last;  /* at the end */
	bool sniff;
};

#define BYTES(s) (s), sizeof(s) - 1
#define QUIET    "\xff\xfe\x7e\x7d\xfe\xff\x7b\xfd\x7e\xfe\xff\x7f"
#define PAGE \
	"<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head>"
#define JSON                                      \
	"{\"message\":\"Malformed body or query " \
	"parameters.\",\"code\":400,\"x\":1}"

static const struct confirm confirmv[] = {
	{"nothing", BYTES(""), "", DECODE_ULAW_8000, EAGAIN, 0, false},
	{"short", BYTES("\xff\xfe"), "", DECODE_ULAW_8000, EAGAIN, 0, false},
	{"quiet", BYTES(QUIET), "", DECODE_ULAW_8000, 0, 0, false},
	{"quiet PCM", BYTES("\0\0\1\0\xff\xff\0\0\2\0\0\0"), "audio/x-wav",
	 DECODE_PCM_S16LE, 0, 0, false},
	{"WAV", BYTES("RIFF\xff\xff\xff\xffWAVEfmt "), "", DECODE_ULAW_8000, 0,
	 0, true},
	{"WAV for PCM", BYTES("RIFF\0\0\0\0WAVEfmt "), "audio/pcm",
	 DECODE_PCM_S16LE, 0, 0, true},
	{"RIFF of another kind", BYTES("RIFF\0\0\0\0AVI LIST"), "",
	 DECODE_ULAW_8000, 0, 0, false},
	{"ID3", BYTES("ID3\4\0\0\0\0\0\0\0\0"), "", DECODE_ULAW_8000, 0, 0,
	 true},
	{"Ogg", BYTES("OggS\0\2\0\0\0\0\0\0"), "audio/pcm", DECODE_PCM_S16LE,
	 0, 0, true},
	{"FLAC", BYTES("fLaC\0\0\0\x22\x10\0\x10\0"), "", DECODE_ULAW_8000, 0,
	 0, true},
	/* a frame's header by chance, in quiet μ-law */
	{"like MP3",
	 BYTES("\xff\xfb\x7b\x7d\xff\xfe\x7e\xff\x7c\xfd\xff"
	       "\x7e"),
	 "audio/basic", DECODE_ULAW_8000, EAGAIN, 0, false},
	{"MP3 by its type", BYTES("\xff\xfb\x90\x44\0\0\0\0\0\0\0\0"),
	 "audio/mpeg", DECODE_ULAW_8000, 0, 0, true},
	{"AAC by its type", BYTES("\xff\xf1\x50\x80\x08\x1f\xfc\0\0\0\0\0"),
	 "audio/aac", DECODE_ULAW_8000, EBADMSG, EBADMSG, false},
	/* 8 bytes, and the next one */
	{"AAC",
	 BYTES("\xff\xf1\x50\x80\x01\x1f\xfc\xde\xff\xf1\x50\x80\x01\x1f"
	       "\xfc"),
	 "audio/basic", DECODE_ULAW_8000, EBADMSG, EBADMSG, false},
	{"like AAC",
	 BYTES("\xff\xf1\x50\x80\x01\x1f\xfc\xde\xfe\xf1\x50\x80\x01\x1f"
	       "\xfc"),
	 "audio/basic", DECODE_ULAW_8000, 0, 0, false},
	{"MP4",
	 BYTES("\0\0\0\x20"
	       "ftypM4A "),
	 "audio/mpeg", DECODE_PCM_S16LE, EBADMSG, EBADMSG, false},
	{"WebM", BYTES("\x1a\x45\xdf\xa3\x9f\x42\x86\x81\1\x42\xf7\x81"), "",
	 DECODE_ULAW_8000, EBADMSG, EBADMSG, false},
	{"JSON", BYTES(JSON), "application/json", DECODE_ULAW_8000, EBADMSG,
	 EBADMSG, false},
	{"JSON as audio", BYTES(JSON), "audio/basic", DECODE_PCM_S16LE,
	 EBADMSG, EBADMSG, false},
	{"a little JSON", BYTES("{ \"detail\": \"no\"}"), "audio/mulaw",
	 DECODE_ULAW_8000, EAGAIN, EBADMSG, false},
	{"a list", BYTES("[{\"loc\":[\"body\"]}]"), "", DECODE_ULAW_8000,
	 EAGAIN, EBADMSG, false},
	{"very little JSON", BYTES("{}"), "", DECODE_PCM_S16LE, EAGAIN,
	 EBADMSG, false},
	{"BOM", BYTES("\xef\xbb\xbf\r\n{\"error\":\"\xc3\xa1\"}"), "",
	 DECODE_ULAW_8000, EAGAIN, EBADMSG, false},
	{"HTML", BYTES(PAGE), "text/html", DECODE_PCM_S16LE, EBADMSG, EBADMSG,
	 false},
	{"HTML as audio", BYTES(PAGE), "audio/mulaw", DECODE_ULAW_8000,
	 EBADMSG, EBADMSG, false},
	{"XML", BYTES("<?xml version='1.0'?>"), "", DECODE_ULAW_8000, EAGAIN,
	 EBADMSG, false},
	{"words", BYTES("Internal Server Error"), "text/plain; charset=utf-8",
	 DECODE_ULAW_8000, EAGAIN, EBADMSG, false},
	/* the type of a framework's default, and audio all the same */
	{"audio as a page", BYTES(QUIET), "text/html; charset=utf-8",
	 DECODE_ULAW_8000, 0, 0, false},
	{"audio that begins as JSON", BYTES("{\xfb\x7c\xfd" QUIET), "",
	 DECODE_ULAW_8000, 0, 0, false},
	{"JSON instead of a file", BYTES("{\"error\":{\"code\":1}}"), "",
	 DECODE_SNIFF, EBADMSG, EBADMSG, false},
	{"a file", BYTES("RIFF\xff\xff\xff\xffWAVEfmt "), "text/html",
	 DECODE_SNIFF, 0, 0, false},
};

static void test_confirm(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(confirmv); i++) {
		const struct confirm *c = &confirmv[i];
		const uint8_t *p = (const uint8_t *)c->p;
		enum decode_format format = c->asked;
		int err = decode_confirm(&format, c->type, p, c->n, false);

		if (err != c->first)
			fail_msg("%s: %d at first", c->name, err);
		format = c->asked;
		err = decode_confirm(&format, c->type, p, c->n, true);
		if (err != c->last ||
		    format != (c->sniff ? DECODE_SNIFF : c->asked))
			fail_msg("%s: %d, format %d", c->name, err, format);
	}
}

/* Real MP3s are known by their second frame, whatever their type says; until
 * then more bytes are asked for, and never more than promised */
static void test_confirm_mp3(void **state)
{
	static const char *const namev[] = {"mp3_8000.mp3", "mp3_16000.mp3",
					    "mp3_44100_stereo_id3.mp3"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		struct file f = load(namev[i]);
		enum decode_format format = DECODE_PCM_S16LE;
		size_t n = 0;

		while (decode_confirm(&format, "audio/pcm", f.p, n, false) ==
		       EAGAIN)
			++n;
		assert_int_equal(format, DECODE_SNIFF);
		assert_in_range(n, 12, DECODE_CONFIRM_MAX_BYTES);
		free(f.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_wav_of_a_longer_head),
		cmocka_unit_test(test_confirm),
		cmocka_unit_test(test_confirm_mp3),
		cmocka_unit_test(test_every_format_sounds_like_the_source),
		cmocka_unit_test(test_pieces_give_the_same),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_not_audio),
		cmocka_unit_test(test_id3_and_garbage),
		cmocka_unit_test(test_frame_header_and_garbage),
		cmocka_unit_test(test_wav_lengths_and_chunks),
		cmocka_unit_test(test_wav_refused),
		cmocka_unit_test(test_nan_and_loud_are_silence_or_clipped),
		cmocka_unit_test(test_raw),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_nothing_after_an_error),
		cmocka_unit_test(test_too_big_to_gather),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

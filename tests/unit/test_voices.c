#include <math.h>
#include <stdio.h>
#include <convod/audio.h>
#include <convod/clip.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/tts.h>
#include "../../src/tts/vendor.h"
#include "fake_http.h"
#include "net_fixture.h"

#define DIR DATA_DIR "/tts/"

enum {
	CLIP_MAX = 8000 * 30,
	TONE_HZ = 1000,
	TONE_MS = 400,
	FILE_MAX = 65536,
};

/* How the server answers */
enum mode {
	S_TONE,
	S_SPLIT, /* byte by byte at first, then in odd pieces */
	S_WAV,   /* a file instead of what was asked for, no length in it */
	S_MP3,
	S_401,
	S_422,
	S_500,
	S_HTML,  /* with 200, as audio */
	S_JSON,  /* with 200 */
	S_EMPTY, /* with 200 */
	S_CUT,   /* half of it, then the connection breaks */
	S_HANG,
	S_DRIP, /* a byte now and then */
	S_ENDLESS,
	S_REDIRECT,
	S_TOKEN_401, /* the first token is no longer good */
	S_TOKEN_REFUSED,
	S_TOKEN_NEVER,
};

struct request_seen {
	char path[512];
	char head[2048];
	char body[FAKE_HTTP_REQUEST_MAX];
};

struct fixture {
	struct net net;
	struct tmr *watchdog;
	struct fake_http server;
	struct tts *tts;
	struct clip *clip;
	struct clip_watch watch;
	void *req;
	bool drop;          /* the request, when samples come */
	const char *scheme; /* for memory_body() */

	_Atomic int mode;
	atomic_bool over; /* the test: let go of everything */
	atomic_int tokens;
	pthread_mutex_t lock;
	struct request_seen seen; /* the newest one */
	char texts
		[FAKE_HTTP_REQUEST_MAX]; /* of all bodies, one after another */
};

static size_t load(char *buf, const char *path)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		fail_msg("%s", path);
	n = fread(buf, 1, FILE_MAX - 1, f);
	buf[n] = '\0';
	fclose(f);

	return n;
}

/* --------------------------------------------------------------- server */

/** A tone as s16le, or μ-law with rate 0 */
static size_t tone(uint8_t *p, uint32_t rate, uint32_t ms)
{
	uint32_t hz = rate ? rate : AUDIO_RATE;
	size_t n = 0;

	for (uint32_t i = 0; i < hz / 1000 * ms; i++) {
		int16_t x = (int16_t)(8000.0 *
				      sin(2 * M_PI * TONE_HZ * i / hz));

		if (rate) {
			p[n++] = (uint8_t)(x & 0xff);
			p[n++] = (uint8_t)((uint16_t)x >> 8);
		} else {
			p[n++] = g711_ulaw_encode(x);
		}
	}

	return n;
}

static size_t wav_head(uint8_t *p, uint32_t rate)
{
	static const uint8_t head[44] = {
		'R', 'I', 'F', 'F', 0xff, 0xff, 0xff, 0xff, 'W',  'A',  'V',
		'E', 'f', 'm', 't', ' ',  16,   0,    0,    0,    1,    0,
		1,   0,   0,   0,   0,    0,    0,    0,    0,    0,    2,
		0,   16,  0,   'd', 'a',  't',  'a',  0xff, 0xff, 0xff, 0x7f};

	memcpy(p, head, sizeof(head));
	memcpy(p + 24, &rate, 4);
	rate *= 2;
	memcpy(p + 28, &rate, 4);

	return sizeof(head);
}

/** What the vendor sends that owns such a path */
static uint32_t rate_of(const char *path)
{
	if (strstr(path, "/v1/audio/speech"))
		return 24000;
	if (strstr(path, "/speech"))
		return 8000;

	return 0; /* μ-law */
}

static void chunk(int fd, const void *p, size_t n)
{
	char head[32];

	(void)snprintf(head, sizeof(head), "%zx\r\n", n);
	fake_write(fd, head);
	(void)fake_write_n(fd, p, n);
	fake_write(fd, "\r\n");
}

static void begin(int fd, const char *type)
{
	fake_write(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"
		       "Content-Type: ");
	fake_write(fd, type);
	fake_write(fd, "\r\n\r\n");
}

static void split(int fd, const uint8_t *p, size_t n)
{
	begin(fd, "audio/x-wav");
	for (size_t i = 0; i < n;) {
		size_t k = MIN(i < 20 ? 1 : 333, n - i);

		chunk(fd, p + i, k);
		i += k;
	}
	fake_write(fd, "0\r\n\r\n");
}

static void endless(int fd, const uint8_t *p, size_t n)
{
	fake_write(fd, "HTTP/1.1 200 OK\r\n\r\n");
	while (fake_write_n(fd, p, n))
		;
}

static void drip(struct fixture *fx, int fd, const uint8_t *p, size_t n)
{
	begin(fd, "audio/basic");
	chunk(fd, p, MIN(n, 800));
	while (!atomic_load(&fx->over)) {
		chunk(fd, p, 2);
		usleep(20000);
	}
}

static bool answer_audio(struct fixture *fx, int fd, const char *path,
			 enum mode mode)
{
	static _Thread_local uint8_t p[1 << 17];
	uint32_t rate = rate_of(path);
	size_t n;

	if (strstr(path, "/convert") || mode == S_WAV) {
		n = wav_head(p, 22050);
		n += tone(p + n, 22050, TONE_MS);
	} else if (mode == S_MP3) {
		n = load((char *)p, DATA_DIR "/audio-formats/mp3_16000.mp3");
	} else {
		n = tone(p, rate, TONE_MS);
	}

	if (mode == S_SPLIT) {
		split(fd, p, n);
	} else if (mode == S_CUT) {
		begin(fd, "audio/basic");
		chunk(fd, p, n / 2);
		return false;
	} else if (mode == S_ENDLESS) {
		endless(fd, p, n);
		return false;
	} else if (mode == S_DRIP) {
		drip(fx, fd, p, n);
		return false;
	} else {
		fake_answer(fd, 200, "Content-Type: audio/mulaw\r\n", p, n);
	}

	return true;
}

static void answer_file(int fd, int status, const char *headers,
			const char *name)
{
	char buf[FILE_MAX];
	size_t n = load(buf, name);

	fake_answer(fd, status, headers, buf, n);
}

static void answer_token(struct fixture *fx, int fd, enum mode mode)
{
	char body[128];

	if (mode == S_TOKEN_NEVER) {
		fake_answer(fd, 401, "", "{\"message\":\"who?\"}", 18);
		return;
	}
	(void)snprintf(body, sizeof(body),
		       "{\"access_token\":\"T%d\",\"expires_in\":3600}",
		       atomic_fetch_add(&fx->tokens, 1) + 1);
	fake_answer(fd, 200, "", body, strlen(body));
}

static void remember(struct fixture *fx, const char *path, const char *head,
		     const char *body)
{
	size_t n;

	pthread_mutex_lock(&fx->lock);
	str_copy(fx->seen.path, sizeof(fx->seen.path), path);
	str_copy(fx->seen.head, sizeof(fx->seen.head), head);
	str_copy(fx->seen.body, sizeof(fx->seen.body), body);
	n = strlen(fx->texts);
	(void)snprintf(fx->texts + n, sizeof(fx->texts) - n, "%s\n", body);
	pthread_mutex_unlock(&fx->lock);
}

static bool refuses(const char *head, enum mode mode)
{
	return mode == S_TOKEN_REFUSED ||
	       (mode == S_TOKEN_401 && strstr(head, "Bearer T1\r"));
}

static bool serve(struct fake_http *f, int fd, const char *path,
		  const char *head, const char *body)
{
	struct fixture *fx = f->arg;
	enum mode mode = (enum mode)atomic_load(&fx->mode);

	if (!strcmp(path, "/auth/v1")) {
		answer_token(fx, fd, mode);
		return true;
	}
	remember(fx, path, head, body);
	if (refuses(head, mode)) {
		fake_answer(fd, 401, "", "{}", 2);
		return true;
	}

	switch (mode) {
	case S_401:
		answer_file(fd, 401, "", DIR "tts-elevenlabs-error-401.json");
		break;
	case S_422:
		answer_file(fd, 422, "", DIR "tts-elevenlabs-error-422.json");
		break;
	case S_500:
		answer_file(fd, 500, "", DIR "tts-tiro-error-500.json");
		break;
	case S_HTML:
		fake_answer(fd, 200, "Content-Type: audio/basic\r\n",
			    "<!DOCTYPE html><html><body>It works!</body>", 43);
		break;
	case S_JSON:
		answer_file(fd, 200, "Content-Type: application/json\r\n",
			    DIR "tts-tiro-error-500.json");
		break;
	case S_EMPTY:
		fake_answer(fd, 200, "Content-Type: audio/mulaw\r\n", "", 0);
		break;
	case S_REDIRECT:
		fake_answer(fd, 307, "Location: /elsewhere\r\n", "", 0);
		break;
	case S_HANG:
		break;
	default:
		return answer_audio(fx, fd, path, mode);
	}

	return true;
}

/* -------------------------------------------------------------- fixture */

static int set_up_net(struct fixture *f)
{
	int err = net_open(&f->net, &f->watchdog);

	return err;
}

static void tear_down_net(struct fixture *f)
{
	mem_deref(f->req);
	mem_deref(f->clip);
	mem_deref(f->tts);
	net_close(&f->net, &f->watchdog);
}

static int setup(void **state)
{
	static struct fixture f;

	memset(&f, 0, sizeof(f));
	pthread_mutex_init(&f.lock, NULL);
	fake_http_open(&f.server, serve, &f);
	assert_int_equal(set_up_net(&f), 0);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	atomic_store(&f->over, true);
	tear_down_net(f);
	fake_http_close(&f->server);
	pthread_mutex_destroy(&f->lock);

	return 0;
}

static void watch_handler(struct clip *c, void *arg)
{
	struct fixture *f = arg;

	(void)c;
	if (f->drop)
		f->req = mem_deref(f->req);
}

/** Set a voice up: scheme and options around the server's address */
static int voice(struct fixture *f, const char *scheme, const char *rest,
		 const struct tts_param *more, const char *server)
{
	struct tts_param prm = more ? *more : (struct tts_param){0};
	char url[512];

	(void)snprintf(url, sizeof(url), "%s+%s%s", scheme, server, rest);
	prm.url = url;
	if (!prm.voice)
		prm.voice = "V";
	if (!prm.language)
		prm.language = "is-IS";
	if (!prm.timeout_ms)
		prm.timeout_ms = TIMEOUT_MS;
	f->tts = mem_deref(f->tts);

	return tts_alloc(&f->tts, &prm, &f->net);
}

static int say(struct fixture *f, const struct tts_text *t)
{
	int err;

	f->req = mem_deref(f->req);
	f->clip = mem_deref(f->clip);
	err = clip_alloc(&f->clip, CLIP_MAX);
	if (err)
		return err;

	f->watch = (struct clip_watch){.h = watch_handler, .arg = f};
	clip_watch(f->clip, &f->watch);

	return f->tts->be->speak(&f->req, f->tts, t, f->clip);
}

/** Speak, wait for the end, give its error */
static int speak(struct fixture *f, const char *text)
{
	int err = say(f, &(struct tts_text){.text = text});

	if (err)
		return err;
	while (!clip_is_ended(f->clip))
		loop_turn(f->net.loop, true);

	return clip_error(f->clip);
}

/** Sign changes from minus to plus in the middle of the clip, a second */
static double pitch(const struct clip *c)
{
	size_t from = clip_len(c) / 4, to = clip_len(c) * 3 / 4, n = 0;

	for (size_t i = from; i < to; i++)
		n += g711_ulaw_decode(clip_data(c)[i]) < 0 &&
		     g711_ulaw_decode(clip_data(c)[i + 1]) >= 0;

	return (double)n * AUDIO_RATE / (double)(to - from);
}

static void assert_tone(const struct clip *c, const char *name)
{
	double hz = clip_len(c) ? pitch(c) : 0;

	if (hz < TONE_HZ - 20 || hz > TONE_HZ + 20 ||
	    clip_len(c) < (TONE_MS - 20) * AUDIO_PER_MS ||
	    clip_len(c) > (TONE_MS + 20) * AUDIO_PER_MS)
		fail_msg("%s: %zu samples of %.0f Hz", name, clip_len(c), hz);
}

/* ------------------------------------------------------------- requests */

#define TEXT "Sundlaugin opnar klukkan hálf sjö."

/* What each vendor is asked, by the fact sheet */
static const struct {
	const char *scheme, *rest;
	struct tts_param prm;
	const char *text;
	const char *path;
	const char *headerv[3];
	const char *body;
} askv[] = {
	{"tiro",
	 "",
	 {.voice = "Alfur"},
	 TEXT,
	 "/v0/speech",
	 {NULL},
	 "file:tts-tiro-request.json"},
	{"tiro",
	 "/tts/v0/",
	 {.voice = "Alfur", .key = "bare"},
	 TEXT,
	 "/tts/v0/speech",
	 {"Authorization: bare"},
	 "file:tts-tiro-request.json"},
	{"tiro",
	 "",
	 {.voice = "Dora", .language = "is"},
	 "Já.",
	 "/v0/speech",
	 {NULL},
	 "{\"Engine\":\"standard\",\"OutputFormat\":\"pcm\",\"SampleRate\":"
	 "\"8000\",\"Text\":\"Já.\",\"TextType\":\"text\",\"VoiceId\":"
	 "\"Dora\"}"},
	{"openai",
	 "?speed=1.0",
	 {.voice = "alloy", .key = "sk-1"},
	 "Good morning.",
	 "/v1/audio/speech",
	 {"Authorization: Bearer sk-1", "Content-Type: application/json"},
	 "file:tts-openai-request.json"},
	{"openai",
	 "/api/v1?format=wav",
	 {.model = "kokoro"},
	 "Hi.",
	 "/api/v1/audio/speech",
	 {NULL},
	 "{\"model\":\"kokoro\",\"voice\":\"V\",\"input\":\"Hi.\","
	 "\"response_format\":\"wav\"}"},
	{"elevenlabs",
	 "",
	 {.voice = "a b/c", .key = "xi"},
	 "Hi \"you\".",
	 "/v1/text-to-speech/a%20b%2Fc/stream?output_format=ulaw_8000",
	 {"xi-api-key: xi"},
	 "{\"text\":\"Hi \\\"you\\\".\"}"},
	{"elevenlabs",
	 "?speed=1.1&stability=0.5&language=is",
	 {.voice = "v", .model = "eleven_flash_v2_5"},
	 "Hi.",
	 "/v1/text-to-speech/v/stream?output_format=ulaw_8000",
	 {NULL},
	 "{\"text\":\"Hi.\",\"model_id\":\"eleven_flash_v2_5\","
	 "\"language_code\":\"is\",\"voice_settings\":{\"stability\":0.5,"
	 "\"speed\":1.1}}"},
	{"deepgram",
	 "",
	 {.voice = "aura-2-thalia-en", .key = "k"},
	 "Hi.",
	 "/v1/speak?model=aura-2-thalia-en&encoding=mulaw&sample_rate=8000"
	 "&container=none",
	 {"Authorization: Token k"},
	 "{\"text\":\"Hi.\"}"},
	{"azure",
	 "?speed=1.2",
	 {.voice = "en-US-'J'", .language = "en-US", .key = "k"},
	 "Tom & \"Jerry\" <b>go</b>.",
	 "/cognitiveservices/v1",
	 {"Ocp-Apim-Subscription-Key: k",
	  "X-Microsoft-OutputFormat: raw-8khz-8bit-mono-mulaw",
	  "Content-Type: application/ssml+xml"},
	 "text:<speak version='1.0' xmlns='http://www.w3.org/2001/10/"
	 "synthesis' xml:lang='en-US'><voice name='en-US-&apos;J&apos;'>"
	 "<prosody rate='1.2'>Tom &amp; &quot;Jerry&quot; go .</prosody>"
	 "</voice></speak>"},
	{"convert",
	 "",
	 {0},
	 "Good morning.",
	 "/convert",
	 {NULL},
	 "file:tts-puretalk-request.json"},
	{"convert",
	 "/a/b?region=westeurope",
	 {.key = "k"},
	 "Hi.",
	 "/a/b",
	 {"Authorization: Bearer k"},
	 "{\"region\":\"westeurope\",\"text\":\"Hi.\"}"},
};

static json_t *json_of(const char *s)
{
	json_t *j = json_loads(s, 0, NULL);

	if (!j)
		fail_msg("not JSON: %s", s);

	return j;
}

static void assert_body(const char *want, const char *got)
{
	char buf[FILE_MAX], path[512];
	json_t *a, *b;

	if (!strncmp(want, "text:", 5)) {
		assert_string_equal(got, want + 5);
		return;
	}
	if (!strncmp(want, "file:", 5)) {
		(void)snprintf(path, sizeof(path), DIR "%s", want + 5);
		(void)load(buf, path);
		want = buf;
	}
	a = json_of(want);
	b = json_of(got);
	if (!json_equal(a, b))
		fail_msg("%s instead of %s", got, want);
	json_decref(a);
	json_decref(b);
}

static void test_requests(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(askv); i++) {
		const char *const *h = askv[i].headerv;

		assert_int_equal(voice(f, askv[i].scheme, askv[i].rest,
				       &askv[i].prm, f->server.url),
				 0);
		/* what serve() cannot know by the path */
		atomic_store(&f->mode,
			     !strcmp(askv[i].path, "/a/b") ||
					     strstr(askv[i].rest, "wav")
				     ? S_WAV
				     : S_TONE);
		assert_int_equal(speak(f, askv[i].text), 0);
		assert_tone(f->clip, askv[i].scheme);
		assert_string_equal(f->seen.path, askv[i].path);
		assert_int_equal(strncmp(f->seen.head, "POST ", 5), 0);
		assert_non_null(strstr(f->seen.head, "User-Agent: convod/"));
		for (size_t k = 0; k < 3 && h[k]; k++)
			if (!strstr(f->seen.head, h[k]))
				fail_msg("%s: no %s in %s", askv[i].scheme,
					 h[k], f->seen.head);
		assert_body(askv[i].body, f->seen.body);
	}
}

/* What an act brings goes before what was configured */
static void test_voice_and_language_of_the_text(void **state)
{
	struct fixture *f = *state;
	const struct tts_text t = {
		.text = "Hi.", .voice = "Other", .language = "en-GB"};

	assert_int_equal(voice(f, "tiro", "", NULL, f->server.url), 0);
	assert_int_equal(say(f, &t), 0);
	while (!clip_is_ended(f->clip))
		loop_turn(f->net.loop, true);
	assert_non_null(strstr(f->seen.body, "\"VoiceId\":\"Other\""));
	assert_non_null(strstr(f->seen.body, "\"LanguageCode\":\"en-GB\""));
}

/* ------------------------------------------------------------- what comes */

static const char *const schemev[] = {"tiro",     "openai", "elevenlabs",
				      "deepgram", "azure",  "convert"};

/* Whatever is sent: what is heard is a tone of the right pitch and length,
 * and everything else is a failure that is counted once */
static void test_answers(void **state)
{
	static const struct {
		enum mode mode;
		int err;
		size_t least, most; /* samples; both 0: none */
	} tests[] = {
		{S_SPLIT, 0, 3040, 3360},        {S_WAV, 0, 3040, 3360},
		{S_MP3, 0, 3000, 4200},          {S_401, EREMOTEIO, 0, 0},
		{S_422, EREMOTEIO, 0, 0},        {S_500, EREMOTEIO, 0, 0},
		{S_HTML, EBADMSG, 0, 0},         {S_JSON, EBADMSG, 0, 0},
		{S_EMPTY, ENODATA, 0, 0},        {S_REDIRECT, EREMOTEIO, 0, 0},
		{S_CUT, ECONNRESET, 1300, 1600},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(schemev); i++) {
		assert_int_equal(voice(f, schemev[i], "", NULL, f->server.url),
				 0);
		for (size_t k = 0; k < ARRAY_SIZE(tests); k++) {
			uint64_t before = metrics_counter(M_TTS_FAILED);
			int err;

			atomic_store(&f->mode, tests[k].mode);
			err = speak(f, "Hello.");
			if (err != tests[k].err ||
			    clip_len(f->clip) < tests[k].least ||
			    clip_len(f->clip) > tests[k].most)
				fail_msg("%s, mode %d: %s, %zu samples",
					 schemev[i], tests[k].mode,
					 strerror(err), clip_len(f->clip));
			if (tests[k].least && tests[k].mode != S_MP3)
				assert_in_range(pitch(f->clip), TONE_HZ - 20,
						TONE_HZ + 20);
			assert_int_equal(metrics_counter(M_TTS_FAILED),
					 before + (err ? 1 : 0));
		}
	}
}

static void test_nothing_comes(void **state)
{
	struct fixture *f = *state;
	const struct tts_param prm = {.timeout_ms = 300};

	for (size_t i = 0; i < ARRAY_SIZE(schemev); i++) {
		assert_int_equal(voice(f, schemev[i], "", &prm, f->server.url),
				 0);
		atomic_store(&f->mode, S_HANG);
		assert_int_equal(speak(f, "Hello."), ETIMEDOUT);
		assert_int_equal(clip_len(f->clip), 0);
	}
	assert_int_equal(voice(f, "tiro", "", NULL, "http://127.0.0.1:1"), 0);
	assert_int_equal(speak(f, "Hello."), ECONNREFUSED);
}

/* It never pauses, and keeps the caller waiting all the same */
static void test_drip(void **state)
{
	struct fixture *f = *state;
	struct tts_param prm = {.timeout_ms = 400};

	atomic_store(&f->mode, S_DRIP);
	/* as long as it takes the server, on any machine, to be heard */
	do {
		assert_int_equal(voice(f, "deepgram", "", &prm, f->server.url),
				 0);
		assert_int_equal(speak(f, "Hello."), ETIMEDOUT);
		prm.timeout_ms *= 2;
	} while (clip_len(f->clip) < 800);
}

static void test_endless_is_cut(void **state)
{
	static const char *const schemes[] = {"deepgram", "tiro", "openai"};
	struct fixture *f = *state;
	struct tts_param prm = {.max_ms = 3000};

	atomic_store(&f->mode, S_ENDLESS);
	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		assert_int_equal(voice(f, schemes[i], "", &prm, f->server.url),
				 0);
		assert_int_equal(speak(f, "Hello."), EOVERFLOW);
		assert_int_equal(clip_len(f->clip), 3000 * AUDIO_PER_MS);
	}

	/* the clip may end it earlier */
	prm.max_ms = 0;
	assert_int_equal(voice(f, "deepgram", "", &prm, f->server.url), 0);
	assert_int_equal(speak(f, "Hello."), EOVERFLOW);
	assert_int_equal(clip_len(f->clip), CLIP_MAX);
}

/* -------------------------------------------------------------- long text */

static void test_long_text(void **state)
{
	struct fixture *f = *state;
	char text[5000] = "", want[5000] = "", *p = want;

	for (int i = 0; i < 90; i++) {
		size_t n = strlen(text);

		(void)snprintf(text + n, sizeof(text) - n,
			       "This is *sentence* number %d of many, well. ",
			       i);
		n = strlen(want);
		(void)snprintf(want + n, sizeof(want) - n,
			       "%sThis is sentence number %d of many, well.",
			       i ? " " : "", i);
	}
	assert_int_equal(voice(f, "deepgram", "", NULL, f->server.url), 0);
	assert_int_equal(speak(f, text), 0);
	assert_int_equal(atomic_load(&f->server.requests), 3 - 1);
	assert_int_equal(clip_len(f->clip), 2 * TONE_MS * AUDIO_PER_MS);

	/* put together again they are the text */
	for (char *line = f->texts; *line; line += strlen(line) + 1) {
		json_t *j;
		const char *s;

		*strchr(line, '\n') = '\0';
		j = json_of(line);
		s = jsn_str(j, "text");
		assert_true(strlen(s) <= 2000);
		assert_int_equal(strncmp(p, s, strlen(s)), 0);
		p += strlen(s);
		assert_true(!*p || *p == ' ');
		p += *p == ' ';
		json_decref(j);
	}
}

/* Beyond the bound nothing is spoken, and no character is cut in two */
static void test_endless_text(void **state)
{
	struct fixture *f = *state;
	char *text = mem_zalloc(2 * VENDOR_TEXT_MAX + 2, NULL);

	assert_non_null(text);
	text[0] = 'a';
	for (size_t i = 0; i < VENDOR_TEXT_MAX; i++)
		memcpy(text + 1 + 2 * i, "ð", 2);
	assert_int_equal(voice(f, "openai", "", NULL, f->server.url), 0);
	assert_int_equal(speak(f, text), 0);
	assert_in_range(atomic_load(&f->server.requests),
			VENDOR_TEXT_MAX / 4096, VENDOR_TEXT_MAX / 4096 + 2);
	mem_deref(text);
}

static void test_nothing_to_say(void **state)
{
	static const char *const textv[] = {"", "  \n", "...", "<break/>",
					    "<speak> </speak>"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(schemev); i++) {
		assert_int_equal(voice(f, schemev[i], "", NULL, f->server.url),
				 0);
		for (size_t k = 0; k < ARRAY_SIZE(textv); k++)
			assert_int_equal(speak(f, textv[k]), ENODATA);
		assert_int_equal(speak(f, "\xff\xfe"), EINVAL);
	}
	assert_int_equal(atomic_load(&f->server.requests), 0);
}

/* ----------------------------------------------------------------- tokens */

static void test_token(void **state)
{
	struct fixture *f = *state;
	struct tts_param prm = {.key = "id:secret"};
	char server[128];

	assert_int_equal(voice(f, "tiro", "/tts/v1", &prm, f->server.url), 0);
	assert_int_equal(speak(f, "Hello."), 0);
	assert_tone(f->clip, "token");
	assert_string_equal(f->seen.path, "/tts/v1/speech");
	assert_non_null(strstr(f->seen.head, "Authorization: Bearer T1\r"));
	assert_int_equal(speak(f, "Hello."), 0);
	assert_int_equal(atomic_load(&f->tokens), 1);

	/* no longer good: one new token, and the text again */
	atomic_store(&f->mode, S_TOKEN_401);
	assert_int_equal(speak(f, "Hello."), 0);
	assert_tone(f->clip, "new token");
	assert_non_null(strstr(f->seen.head, "Authorization: Bearer T2\r"));
	assert_int_equal(atomic_load(&f->tokens), 2);

	/* but not for ever */
	atomic_store(&f->mode, S_TOKEN_REFUSED);
	assert_int_equal(speak(f, "Hello."), EREMOTEIO);
	assert_int_equal(atomic_load(&f->tokens), 3);

	/* from the URL */
	(void)snprintf(server, sizeof(server),
		       "http://me:p%%40ss@127.0.0.1:%u", f->server.port);
	atomic_store(&f->mode, S_TONE);
	assert_int_equal(voice(f, "tiro", "/tts/v1", NULL, server), 0);
	assert_int_equal(speak(f, "Hello."), 0);
	assert_null(strstr(f->seen.head, "Basic"));

	atomic_store(&f->mode, S_TOKEN_NEVER);
	assert_int_equal(voice(f, "tiro", "/tts/v1", &prm, f->server.url), 0);
	assert_int_equal(speak(f, "Hello."), EREMOTEIO);
}

/* Many at once want the same one */
static void test_token_is_shared(void **state)
{
	struct fixture *f = *state;
	const struct tts_param prm = {.key = "id:secret"};
	void *reqv[5];
	struct clip *clipv[5];

	assert_int_equal(voice(f, "tiro", "/v1", &prm, f->server.url), 0);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(clip_alloc(&clipv[i], CLIP_MAX), 0);
		assert_int_equal(
			f->tts->be->speak(&reqv[i], f->tts,
					  &(struct tts_text){.text = "Hi."},
					  clipv[i]),
			0);
	}
	reqv[2] = mem_deref(reqv[2]); /* while it waits for the token */
	for (size_t i = 0; i < 5; i++) {
		while (i != 2 && !clip_is_ended(clipv[i]))
			loop_turn(f->net.loop, true);
		if (i != 2)
			assert_tone(clipv[i], "shared");
		assert_true(i != 2 || !clip_is_ended(clipv[i]));
		mem_deref(reqv[i]);
		mem_deref(clipv[i]);
	}
	assert_int_equal(atomic_load(&f->tokens), 1);
}

/* ------------------------------------------------------------ cancelling */

static void test_dropped_at_any_time(void **state)
{
	static const char *const schemes[] = {"deepgram", "openai"};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		assert_int_equal(voice(f, schemes[i], "", NULL, f->server.url),
				 0);
		for (int turns = 0; turns < 30; turns++) {
			assert_int_equal(
				say(f, &(struct tts_text){.text = "Hi."}), 0);
			for (int k = 0; k < turns; k++)
				loop_turn(f->net.loop, false);
			f->req = mem_deref(f->req);
		}
		f->drop = true;
		assert_int_equal(say(f, &(struct tts_text){.text = "Hi."}), 0);
		while (f->req)
			loop_turn(f->net.loop, true);
		assert_false(clip_is_ended(f->clip));
		assert_true(clip_len(f->clip) > 0);
		f->drop = false;
	}
}

/* Its connection is closed, which is what stops the vendor */
static void test_drop_closes_the_connection(void **state)
{
	struct fixture *f = *state;
	uint32_t up = 1;

	assert_int_equal(voice(f, "deepgram", "", NULL, f->server.url), 0);
	atomic_store(&f->mode, S_ENDLESS);
	assert_int_equal(say(f, &(struct tts_text){.text = "Hi."}), 0);
	while (!clip_len(f->clip))
		loop_turn(f->net.loop, true);
	f->req = mem_deref(f->req);
	while (up) {
		loop_turn(f->net.loop, false);
		pthread_mutex_lock(&f->server.lock);
		up = (uint32_t)f->server.upc;
		pthread_mutex_unlock(&f->server.lock);
	}
}

/* ----------------------------------------------------------------- memory */

/* libcurl's silence about a lack of memory ends by the time limit */
static int memory_body(void *arg)
{
	struct fixture *fx = arg, *f = mem_zalloc(sizeof(*f), NULL);
	const struct tts_param prm = {
		.voice = "v", .key = "a:b", .timeout_ms = 200};
	int err = f ? set_up_net(f) : ENOMEM;

	if (!err)
		err = voice(f, fx->scheme, fx->scheme[0] == 't' ? "/v1" : "",
			    &prm, fx->server.url);
	if (!err)
		err = speak(f, "Hello.");
	if (f)
		tear_down_net(f);
	mem_deref(f);

	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(schemev); i++) {
		f->scheme = schemev[i];
		oom_loop(memory_body, f);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests),
		TEST(test_voice_and_language_of_the_text),
		TEST(test_answers),
		TEST(test_nothing_comes),
		TEST(test_drip),
		TEST(test_endless_is_cut),
		TEST(test_long_text),
		TEST(test_endless_text),
		TEST(test_nothing_to_say),
		TEST(test_token),
		TEST(test_token_is_shared),
		TEST(test_dropped_at_any_time),
		TEST(test_drop_closes_the_connection),
		TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

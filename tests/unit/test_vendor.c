#include <stdio.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/tts.h>
#include "../../src/tts/vendor.h"
#include "test.h"

#define DIR DATA_DIR "/tts/"

enum { FILE_MAX = 65536 };

struct fixture {
	struct net net;
	struct tts *tts;
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

static int setup(void **state)
{
	static struct fixture f;

	f.tts = NULL;
	assert_int_equal(loop_alloc(&f.net.loop), 0);
	assert_int_equal(http_client_alloc(&f.net.http, f.net.loop), 0);
	*state = &f;

	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	mem_deref(f->tts);
	mem_deref(f->net.http);
	mem_deref(f->net.loop);

	return 0;
}

/* ----------------------------------------------------------------- set-up */

static void test_set_up(void **state)
{
	static const struct {
		const char *url, *voice, *key;
		int err;
	} tests[] = {
		{"openai:", "", "k", 0},
		{"openai:", "", "", EINVAL},
		{"openai:x", "", "k", EINVAL},
		{"openai+https://h", "", "", 0},
		{"openai+http://h:8880/v1?format=mp3&rate=22050&speed=2", "",
		 "", 0},
		{"openai+http://h?format=flac", "", "", EINVAL},
		{"openai+http://h?rate=7999", "", "", EINVAL},
		{"openai+http://h?rate=1e4", "", "", EINVAL},
		{"openai+http://h?rate=", "", "", EINVAL},
		{"openai+http://h?speed=-1", "", "", EINVAL},
		{"openai+http://h?volume=11", "", "", EINVAL},
		{"openai+http://h?format", "", "", EINVAL},
		{"openai+http://h#x", "", "", EINVAL},
		{"openai+http://", "", "", EINVAL},
		{"openai+http://h:99999", "", "", EINVAL},
		{"openai+ftp://h", "", "", ENOTSUP},
		{"elevenlabs:", "v", "k", 0},
		{"elevenlabs:", "", "k", EINVAL},
		{"elevenlabs:", "v", "", EINVAL},
		{"elevenlabs:", "v", "k\r\nX: y", EINVAL},
		{"elevenlabs:?stability=2", "v", "k", EINVAL},
		{"elevenlabs:?language=is", "v", "k", 0},
		{"elevenlabs:?language=i%0as", "v", "k", EINVAL},
		{"elevenlabs:?language=is%2", "v", "k", EINVAL},
		{"deepgram:", "", "k", 0},
		{"deepgram:?x=y", "", "k", EINVAL},
		{"azure:westeurope", "v", "k", 0},
		{"azure:westeurope?speed=1.5", "v", "k", 0},
		{"azure:", "v", "k", EINVAL},
		{"azure:evil.example/x", "v", "k", EINVAL},
		{"azure:westeurope", "", "k", EINVAL},
		{"tiro+https://tts.example", "", "", 0},
		{"tiro+https://tts.example/tts/v1", "", "a:b", 0},
		{"tiro:", "", "", ENOTSUP},
		{"convert+http://h/x?region=eastus", "", "", 0},
		{"convert+http://h/x?region=east%20us", "", "", EINVAL},
	};
	struct fixture *f = *state;

	log_set_level(LOG_LVL_ERROR + 1);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct tts_param prm = {.url = tests[i].url,
					      .voice = tests[i].voice,
					      .language = "en-US",
					      .key = tests[i].key};
		int err;

		f->tts = mem_deref(f->tts);
		err = tts_alloc(&f->tts, &prm, &f->net);
		if (err != tests[i].err)
			fail_msg("%s: %d", tests[i].url, err);
	}
	log_set_level(LOG_LVL_ERROR);
}

static void test_default_addresses(void **state)
{
	static const struct {
		const char *url, *base;
	} tests[] = {
		{"openai:", "https://api.openai.com"},
		{"elevenlabs:", "https://api.elevenlabs.io"},
		{"deepgram:", "https://api.deepgram.com"},
		{"azure:westeurope",
		 "https://westeurope.tts.speech.microsoft.com"},
		{"tiro+https://h:1/", "https://h:1/v0"},
		{"convert+http://h", "http://h/convert"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const struct tts_param prm = {
			.url = tests[i].url, .voice = "v", .key = "k"};

		f->tts = mem_deref(f->tts);
		assert_int_equal(tts_alloc(&f->tts, &prm, &f->net), 0);
		assert_string_equal(
			CONTAINER_OF(f->tts, struct vendor, tts)->base,
			tests[i].base);
	}
}

/* Every voice that the service tells of, in the language that it must be asked
 * with */
static void test_voices_of_tiro(void **state)
{
	struct fixture *f = *state;
	char buf[FILE_MAX];
	json_t *voices, *one;
	size_t i, n = load(buf, DIR "tts-tiro-voices.json");

	assert_int_equal(jsn_parse(&voices, buf, n), 0);
	assert_true(json_array_size(voices) > 1);
	json_array_foreach(voices, i, one)
	{
		const struct tts_text t = {
			.text = "Já.",
			.voice = jsn_str(one, "VoiceId"),
			.language = jsn_str(one, "LanguageCode"),
		};
		const struct tts_param prm = {.url = "tiro+https://h"};
		struct vendor_ask a = {.format = DECODE_SNIFF};
		const struct vendor *v;
		json_t *body;

		f->tts = mem_deref(f->tts);
		assert_int_equal(tts_alloc(&f->tts, &prm, &f->net), 0);
		v = CONTAINER_OF(f->tts, struct vendor, tts);
		assert_int_equal(v->ops->ask(&a, v, &t), 0);
		assert_int_equal(jsn_parse(&body, a.body, strlen(a.body)), 0);
		assert_string_equal(jsn_str(body, "VoiceId"), t.voice);
		assert_string_equal(jsn_str(body, "LanguageCode"), t.language);
		json_decref(body);
		mem_deref(a.body);
		mem_deref(a.url);
		for (size_t k = 0; k < VENDOR_HEADERS_MAX; k++)
			mem_deref(a.headerv[k]);
	}
	json_decref(voices);
}

/* ------------------------------------------------------------- pure parts */

static void test_errors(void **state)
{
	static const struct {
		const char *body; /* or a file */
		const char *says;
	} tests[] = {
		{"tts-tiro-error-400.json",
		 "Validation failure for the following fields: SampleRate: "
		 "['Not a valid string.']"},
		{"tts-tiro-error-500.json",
		 "An unknown conditon has caused a service failure."},
		{"tts-elevenlabs-error-401.json", "not enough credits"},
		{"tts-elevenlabs-error-422.json", "field required"},
		{"{\"err_code\":\"X\",\"err_msg\":\"Bad key\"}", "Bad key"},
		{"{\"error\":{\"message\":\"no\",\"type\":\"t\"}}", "no"},
		{"{\"error\":\"quite wrong\"}", "quite wrong"},
		{"{\"detail\":\"Not Found\"}", "Not Found"},
		{"{\"detail\":[]}", ""},
		{"tts-elevenlabs-error-422.json", "field required"},
		{"openai-error-401.json", "Incorrect API key provided."},
		{"openai-error-429.json", "Rate limit reached."},
		{"openai-error-odd.json", "model is loading"},
		{"{\"error\":null,\"message\":7}", ""},
		{"{\"error\":{\"error\":{\"error\":{\"error\":\"deep\"}}}}",
		 ""},
		{"[]", ""},
		{"\"word\"", "word"},
		{"no healthy upstream", "no healthy upstream"},
		{"<html>no</html>", ""},
		{"{\"message\":", ""},
		{"", ""},
		{"\xff\xfe", "\xef\xbf\xbd\xef\xbf\xbd"},
	};
	char buf[FILE_MAX], says[VENDOR_ERROR_MAX], path[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const char *body = tests[i].body;

		if (strstr(body, ".json")) {
			(void)snprintf(path, sizeof(path), DIR "%s", body);
			(void)load(buf, path);
			body = buf;
		}
		vendor_error(says, body, strlen(body));
		assert_string_equal(says, tests[i].says);
	}

	memset(buf, 'a', 5000);
	vendor_error(says, buf, 5000);
	assert_int_equal(strlen(says), VENDOR_ERROR_MAX - 1);
}

static void test_pieces(void **state)
{
	static const struct {
		const char *text;
		size_t max;
		const char *piecev[5];
	} tests[] = {
		{"One. Two. Three.", 100, {"One. Two. Three."}},
		{"One. Two. Three.", 10, {"One. Two.", "Three."}},
		{"One.\nTwo.", 100, {"One.\nTwo."}},
		{"One. ... Two.", 100, {"One. Two."}},
		{"**One.** See https://x.example/y now.",
		 100,
		 {"One. See now."}},
		{"abcdefghij", 4, {"abcd", "efgh", "ij"}},
		{"ððððð", 5, {"ðð", "ðð", "ð"}},
		{"! ? .", 100, {""}},
	};
	char dst[101];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		const char *s = tests[i].text;

		for (size_t k = 0; tests[i].piecev[k]; k++) {
			s += vendor_piece(dst, tests[i].max, s, strlen(s));
			assert_string_equal(dst, tests[i].piecev[k]);
		}
		assert_string_equal(s, "");
	}
}

static void test_ssml_and_xml(void **state)
{
	static const struct {
		const char *ssml, *plain;
	} tests[] = {
		{"Tom &amp; Jerry", "Tom &amp; Jerry"}, /* is none */
		{" <speak>Tom &amp; <b>J</b>&apos;s</speak>",
		 "  Tom &  J 's "},
		{"<speak version='1.0'>a < b", " a < b"},
		{"<SPEAK>&bogus; &lt;</SPEAK>", " &bogus; < "},
	};
	char *s = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		assert_int_equal(
			vendor_plain(&s, tests[i].ssml, strlen(tests[i].ssml)),
			0);
		assert_string_equal(s, tests[i].plain);
		mem_deref(s);
	}

	assert_int_equal(vendor_xml(&s, "<a b='\"&\x01ö>"), 0);
	assert_string_equal(s, "&lt;a b=&apos;&quot;&amp; ö&gt;");
	mem_deref(s);
}

static void test_token_answers(void **state)
{
	static const struct {
		const char *body;
		int err;
		const char *value;
		uint32_t s;
	} tests[] = {
		{"{\"access_token\":\"a\",\"expires_in\":60}", 0, "a", 60},
		{"{\"access_token\":\"a\"}", 0, "a", 300},
		{"{\"access_token\":\"a\",\"expires_in\":-5}", 0, "a", 1},
		{"{\"access_token\":\"a\\r\\nX: y\"}", EBADMSG, NULL, 0},
		{"{\"access_token\":7}", EBADMSG, NULL, 0},
		{"{\"access_token\":\"\"}", EBADMSG, NULL, 0},
		{"[]", EBADMSG, NULL, 0},
		{"<html>", EBADMSG, NULL, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		char *value = NULL;
		uint32_t s = 0;
		int err = token_parse(&value, &s, tests[i].body,
				      strlen(tests[i].body));

		assert_int_equal(err, tests[i].err);
		if (err)
			continue;
		assert_string_equal(value, tests[i].value);
		assert_int_equal(s, tests[i].s);
		mem_deref(value);
	}
}

static int pure_body(void *arg)
{
	char *s = NULL;
	uint32_t expires;
	int err = vendor_plain(&s, "<speak>a &amp; b</speak>", 24);

	(void)arg;
	mem_deref(s);
	s = NULL;
	if (!err)
		err = vendor_xml(&s, "a & b");
	mem_deref(s);
	s = NULL;
	if (!err)
		err = token_parse(&s, &expires, "{\"access_token\":\"a\"}",
				  20);
	mem_deref(s);

	/* jansson calls some lacks of memory bad text */
	return err ? ENOMEM : 0;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(pure_body, NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_set_up),
		TEST(test_default_addresses),
		TEST(test_voices_of_tiro),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_ssml_and_xml),
		cmocka_unit_test(test_token_answers),
		cmocka_unit_test(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <stdio.h>
#include <unistd.h>
#include <sys/stat.h>
#include <convod/conf.h>
#include "folder.h"

static const char *table_getenv(const char *name, void *arg)
{
	const char *const *kv = arg;

	for (; kv && kv[0]; kv += 2) {
		if (!strcmp(kv[0], name))
			return kv[1];
	}

	return NULL;
}

static int load(struct conf **cp, const char *const *kv, char *errbuf)
{
	return conf_load(cp, NULL, table_getenv, (void *)(uintptr_t)kv,
			 errbuf);
}

static void test_defaults(void **state)
{
	char errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(load(&c, NULL, errbuf), 0);
	assert_int_equal(c->port, 9001);
	assert_string_equal(c->host, "127.0.0.1");
	assert_string_equal(c->asr_url, "pocketsphinx:");
	assert_string_equal(c->dialog_url, "demo:");
	assert_string_equal(c->tts_url, "flite:");
	assert_string_equal(c->language, "en-US");
	mem_deref(c);
}

static void test_three_variables(void **state)
{
	static const char *const kv[] = {"PORT",
					 "5000",
					 "ASR_SERVER_URL",
					 "grpc://axy:50051",
					 "MASDIF_SERVER_URL",
					 "http://masdif:8080",
					 NULL};
	char errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(load(&c, kv, errbuf), 0);
	assert_int_equal(c->port, 5000);
	assert_string_equal(c->asr_url, "grpc://axy:50051");
	assert_string_equal(c->dialog_url, "masdif+http://masdif:8080");
	assert_string_equal(c->language, "is-IS");
	assert_string_equal(c->tts_url, "");
	mem_deref(c);
}

static void test_voiceflow_by_its_key(void **state)
{
	static const struct {
		const char *kv[7];
		const char *dialog_url;
	} rowv[] = {
		{{"VOICEFLOW_API_KEY", "VF.DM.x"},
		 "voiceflow+https://general-runtime.voiceflow.com"},
		{{"VOICEFLOW_API_KEY", "VF.DM.x", "VOICEFLOW_URL",
		  "http://vf:4000/?stream=P"},
		 "voiceflow+http://vf:4000/?stream=P"},
		{{"VOICEFLOW_API_KEY", "VF.DM.x", "MASDIF_SERVER_URL",
		  "http://masdif"},
		 "masdif+http://masdif"},
		{{"VOICEFLOW_API_KEY", "VF.DM.x", "DIALOG_URL", "echo:"},
		 "echo:"},
		{{"VOICEFLOW_URL", "http://vf"}, "demo:"},
	};
	char errbuf[CONF_ERR_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		struct conf *c = NULL;

		assert_int_equal(load(&c, rowv[i].kv, errbuf), 0);
		assert_string_equal(c->dialog_url, rowv[i].dialog_url);
		assert_string_equal(c->voiceflow_version, "production");
		assert_string_equal(c->voiceflow_opening, "launch");
		mem_deref(c);
	}
}

static void test_language(void **state)
{
	static const struct {
		const char *value, *want;
	} rowv[] = {
		{"de-DE", "de-DE"},           {"is_IS", "is-IS"},
		{"en_US:en", "en-US"}, /* gettext's, so the default */
		{"de_DE.UTF-8", "en-US"},     {"C", "en-US"},
		{"POSIX", "en-US"},           {"deu", "deu"},
		{"zh-Hans-CN", "zh-Hans-CN"},
	};
	char errbuf[CONF_ERR_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		const char *const kv[] = {"LANGUAGE", rowv[i].value, NULL};
		struct conf *c = NULL;

		assert_int_equal(load(&c, kv, errbuf), 0);
		assert_string_equal(c->language, rowv[i].want);
		mem_deref(c);
	}
}

static void test_alias_and_empty(void **state)
{
	static const char *const kv[] = {"AUTH_TOKEN", "s3cret", "PORT", "",
					 NULL};
	char errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(load(&c, kv, errbuf), 0);
	assert_string_equal(c->twilio_auth_token, "s3cret");
	assert_int_equal(c->port, 9001);
	mem_deref(c);
}

static void test_wrong_values_are_named(void **state)
{
	static const struct {
		const char *kv[5];
		const char *names;
	} rowv[] = {
		{{"PORT", "70000"}, "PORT"},
		{{"LANGUAGE", "en US"}, "LANGUAGE"},
		{{"LANGUAGE", "icelandic"}, "LANGUAGE"},
		{{"LANGUAGE", "e"}, "LANGUAGE"},
		{{"LANGUAGE", "en-U$"}, "LANGUAGE"},
		{{"PORT", "9001x"}, "PORT"},
		{{"PORT", "-1"}, "PORT"},
		{{"PORT", " 1"}, "PORT"},
		{{"PLAYOUT_LEAD_MS", "10"}, "PLAYOUT_LEAD_MS"},
		{{"LOG_FORMAT", "xml"}, "text json"},
		{{"LOG_TRANSCRIPTS", "maybe"}, "true or false"},
		{{"ASR_SERVER_URL", "localhost"}, "ASR_SERVER_URL"},
		{{"ASR_SERVER_URL", "grpc://a b"}, "ASR_SERVER_URL"},
		{{"MASDIF_SERVER_URL", "ftp://x"}, "MASDIF_SERVER_URL"},
		{{"VOICEFLOW_URL", "ftp://x"}, "VOICEFLOW_URL"},
		{{"DIALOG_URL", "voiceflow+https://h"}, "VOICEFLOW_API_KEY"},
		{{"DIALOG_URL", "openai+https://api.openai.com"},
		 "OPENAI_API_KEY"},
		{{"DIALOG_URL", "openai+https://api.openai.com", "DIALOG_KEY",
		  "k"},
		 "DIALOG_MODEL"},
		{{"TLS_CERT", "/x"}, "TLS_KEY"},
		{{"PUBLIC_URL", "httpd://h"}, "PUBLIC_URL is https://"},
		{{"PUBLIC_URL", "https://h/convo"}, "before /convo"},
		{{"PUBLIC_URL", "wss://h/a/convo/"}, "before /convo"},
		{{"TWILIO_ACCOUNT_SID", "SK0"}, "begins with AC"},
		{{"MASDIF_SERVER_URL", "\"http://h\""},
		 "MASDIF_SERVER_URL stands in quotes"},
		{{"TTS_KEY", "'k'"}, "TTS_KEY stands in quotes"},
		{{"TTS_VOICE", "\xff"}, "UTF-8"},
		{{"AUDIO_HOSTS", "a.example, https://b.example"},
		 "AUDIO_HOSTS is a list of hosts, addresses and blocks, not "
		 "\"https://b.example\""},
		{{"CALL_MAX_SECONDS", "99999999999999999999"},
		 "CALL_MAX_SECONDS"},
	};
	char errbuf[CONF_ERR_MAX];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		struct conf *c = NULL;

		assert_int_equal(load(&c, rowv[i].kv, errbuf), EINVAL);
		assert_null(c);
		assert_non_null(strstr(errbuf, rowv[i].names));
	}
}

static void test_secret_value_is_not_in_the_error(void **state)
{
	static const char *const kv[] = {"ASR_SERVER_URL", "u:pass word@h",
					 NULL};
	char errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(load(&c, kv, errbuf), EINVAL);
	assert_null(strstr(errbuf, "pass"));
}

static void advice_handler(const char *what, const char *hint, void *arg)
{
	char *all = arg;
	size_t n = strlen(all);

	assert_true(*hint);
	(void)snprintf(all + n, 512 - n, "%s|", what);
}

static void test_settings_that_disappoint(void **state)
{
	static const struct {
		const char *kv[9];
		const char *want; /* of all that is told */
	} rowv[] = {
		{{NULL}, ""},
		{{"DIALOG_URL", "demo:my.bot", "ASR_SERVER_URL",
		  "pocketsphinx:my.bot"},
		 ""},
		{{"ASR_SERVER_URL", "grpc://a", "MASDIF_SERVER_URL",
		  "http://m"},
		 ""},
		{{"ASR_SERVER_URL", "grpc://a", "LANGUAGE", "is-IS",
		  "VOICEFLOW_API_KEY", "k", "VOICEFLOW_URL",
		  "https://v?stream=P&audio=true"},
		 ""},
		{{"DIALOG_URL", "webhook+http://w"},
		 "the recogniser hears the demo bot's sentences only|"},
		{{"DIALOG_URL", "demo:my.bot"},
		 "the recogniser hears the built-in bot's sentences only|"},
		{{"LANGUAGE", "is-IS"},
		 "the embedded recogniser understands English only|"
		 "nobody speaks the bot's texts|"},
		{{"LANGUAGE", "de", "ASR_SERVER_URL", "grpc://a", "TTS_URL",
		  "flite:"},
		 "the embedded voice speaks English only|"
		 "apologies are in English|"},
		{{"TTS_KEY", "k"}, "TTS_KEY is not used|"},
		{{"OPENAI_API_KEY", "k"}, "OPENAI_API_KEY is not used|"},
		{{"ASR_SERVER_URL", "grpc://a", "MASDIF_SERVER_URL",
		  "http://m", "DIALOG_URL", "echo:", "TTS_URL",
		  "tiro+http://t"},
		 "MASDIF_SERVER_URL is not used|"},
		{{"ASR_SERVER_URL", "grpc://a", "MASDIF_SERVER_URL",
		  "http://m", "VOICEFLOW_API_KEY", "k"},
		 "VOICEFLOW_API_KEY is not used|"},
	};
	static const char open[] = "anybody can connect|";
	char errbuf[CONF_ERR_MAX], all[512], want[512];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		struct conf *c = NULL;

		all[0] = '\0';
		assert_int_equal(load(&c, rowv[i].kv, errbuf), 0);
		conf_advise(c, advice_handler, all);
		(void)snprintf(want, sizeof(want), "%s%s", rowv[i].want, open);
		assert_string_equal(all, want);
		mem_deref(c);
	}
}

static void test_a_token_closes_the_door(void **state)
{
	static const char *const kv[] = {"TWILIO_AUTH_TOKEN", "t", NULL};
	char errbuf[CONF_ERR_MAX], all[512] = "";
	struct conf *c = NULL;

	(void)state;
	assert_int_equal(load(&c, kv, errbuf), 0);
	conf_advise(c, advice_handler, all);
	assert_string_equal(all, "");
	mem_deref(c);
}

/* ------------------------------------------------------------ env files */

struct vars {
	char text[1024];
};

static int var_handler(const char *name, const char *value, unsigned line,
		       void *arg)
{
	struct vars *v = arg;
	size_t n = strlen(v->text);

	(void)snprintf(v->text + n, sizeof(v->text) - n, "%u:%s=%s|", line,
		       name, value);
	return 0;
}

static void test_env_syntax(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *want;
	} rowv[] = {
		{"A=1\nB=2", 0, "1:A=1|2:B=2|"},
		{"  A = 1  # c\n", 0, "1:A=1|"},
		{"export A=1\r\nB=x y \r\n", 0, "1:A=1|2:B=x y|"},
		{"# c\n\n A=\n", 0, "3:A=|"},
		{"A='x # y'  # z", 0, "1:A=x # y|"},
		{"A=\"a\\n\\\"b\\\\\"", 0, "1:A=a\n\"b\\|"},
		{"A='1\n2'\nB=3", 0, "1:A=1\n2|3:B=3|"},
		{"A=x#y", 0, "1:A=x#y|"},
		{"A=$(rm -rf /)`id`$HOME", 0, "1:A=$(rm -rf /)`id`$HOME|"},
		{"\xef\xbb\xbf"
		 "A=1",
		 0, "1:A=1|"},
		{"exportA=1", 0, "1:exportA=1|"},
		{"A", EBADMSG, ""},
		{"1A=2", EBADMSG, ""},
		{"A-B=2", EBADMSG, ""},
		{"A='x", EBADMSG, ""},
		{"A='x' y", EBADMSG, ""},
		{"=x", EBADMSG, ""},
		{"", 0, ""},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		struct vars v = {{0}};
		unsigned bad = 0;

		assert_int_equal(conf_parse_env(rowv[i].text,
						strlen(rowv[i].text),
						var_handler, &v, &bad),
				 rowv[i].err);
		assert_string_equal(v.text, rowv[i].want);
	}
}

static void write_file(const char *dir, const char *name, const char *text)
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_local_over_env_and_process_over_both(void **state)
{
	static const char *const kv[] = {"HOST", "0.0.0.0", NULL};
	char dir[FOLDER_MAX], errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;

	(void)state;
	folder_make(dir);
	write_file(dir, ".env", "PORT=1\nHOST=a\nADMIN_PORT=7\nOTHER=x\n");
	write_file(dir, ".env.local", "PORT=2\nHOST=b\n");
	assert_int_equal(conf_load(&c, dir, table_getenv,
				   (void *)(uintptr_t)kv, errbuf),
			 0);
	assert_int_equal(c->port, 2);
	assert_int_equal(c->admin_port, 7);
	assert_string_equal(c->host, "0.0.0.0");
	c = mem_deref(c);

	write_file(dir, ".env.local", "\nPORT=x\n");
	assert_int_equal(conf_load(&c, dir, table_getenv, NULL, errbuf),
			 EINVAL);
	assert_non_null(strstr(errbuf, ".env.local:2: PORT"));
}

static int load_body(void *arg)
{
	char errbuf[CONF_ERR_MAX];
	struct conf *c = NULL;
	int err = load(&c, arg, errbuf);

	mem_deref(c);
	return err;
}

static void test_out_of_memory(void **state)
{
	static const char *const kv[] = {"MASDIF_SERVER_URL", "http://m",
					 NULL};

	(void)state;
	oom_loop(load_body, (void *)(uintptr_t)kv);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_three_variables),
		cmocka_unit_test(test_voiceflow_by_its_key),
		cmocka_unit_test(test_language),
		cmocka_unit_test(test_alias_and_empty),
		cmocka_unit_test(test_wrong_values_are_named),
		cmocka_unit_test(test_secret_value_is_not_in_the_error),
		cmocka_unit_test(test_settings_that_disappoint),
		cmocka_unit_test(test_a_token_closes_the_door),
		cmocka_unit_test(test_env_syntax),
		cmocka_unit_test(test_local_over_env_and_process_over_both),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

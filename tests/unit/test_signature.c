#include <stdio.h>
#include <convod/carrier.h>
#include <convod/str.h>
#include "test.h"

static const char token[] = "0123456789abcdef0123456789abcdef";

static const char *get(const json_t *j, const char *key)
{
	return json_string_value(json_object_get(j, key));
}

/* ------------------------------------------------------ websocket upgrades */

/* From OpenSSL, checked against Twilio's own library */
#define SIG_PLAIN "kA5qlL2yE+luUovQAayX46qMTvM=" /* wss://…/convo     */
#define SIG_SLASH "jE5k9D73K3Vmnlpp2+nfric3jUg=" /* wss://…/convo/    */
#define SIG_443   "tOdattD9dAcwu/VY5Y+vJ4jaYKA=" /* wss://…:443/convo */
#define SIG_HTTPS "zcGcSkHJjxf4QQWPn/RV5K9YBog=" /* https://…/convo   */
#define SIG_ROOT  "LF8LoVs/+Mm2OJvFRHt3FoVWcko=" /* wss://…/          */
#define HOST      "convod.example.com"

static void test_upgrades(void **state)
{
	static const struct {
		const char *base, *target, *signature;
		bool ok;
	} rowv[] = {
		{"wss://" HOST, "/convo", SIG_PLAIN, true},
		{"https://" HOST, "/convo", SIG_PLAIN, true},
		{"wss://" HOST "/", "/convo", SIG_PLAIN, true},
		{"wss://user:pass@" HOST, "/convo", SIG_PLAIN, true},
		{"wss://" HOST ":443", "/convo", SIG_PLAIN, true},
		{"wss://" HOST ":8443", "/convo", SIG_PLAIN, true},
		{"wss://" HOST "/con", "vo", SIG_PLAIN, true},
		/* trailing slash */
		{"wss://" HOST, "/convo/", SIG_PLAIN, true},
		{"wss://" HOST, "/convo", SIG_SLASH, true},
		{"wss://" HOST, "/convo/", SIG_SLASH, true},
		{"wss://" HOST, "/", SIG_ROOT, true},
		{"wss://" HOST, "", SIG_ROOT, true},
		/* port */
		{"wss://" HOST, "/convo", SIG_443, true},
		{"wss://" HOST ":8443", "/convo", SIG_443, true},
		/* not the same thing */
		{"wss://" HOST, "/convo", SIG_HTTPS, false},
		{"https://" HOST, "/convo", SIG_HTTPS, false},
		{"wss://" HOST, "/convo", SIG_ROOT, false},
		{"wss://" HOST, "/convo//", SIG_PLAIN, false},
		{"wss://" HOST, "/Convo", SIG_PLAIN, false},
		{"wss://other.example.com", "/convo", SIG_PLAIN, false},
		{"wss://" HOST, "/convo?a=b", SIG_PLAIN, false},
		{"wss://" HOST, "/convo?", SIG_PLAIN, true}, /* no pairs */
		{"wss://" HOST, "/convo", NULL, false},
		{"wss://" HOST, "/convo", "", false},
		{"wss://" HOST, "/convo", "kA5qlL2yE+luUovQAayX46qMTvM",
		 false},
		{"wss://" HOST, "/convo", SIG_PLAIN " ", false},
		{HOST, "/convo", SIG_PLAIN, false},
		{"wss://", "/convo", SIG_PLAIN, false},
		{"", "/convo", SIG_PLAIN, false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		if (twilio_signature_ok(token, rowv[i].base, rowv[i].target,
					rowv[i].signature) != rowv[i].ok)
			fail_msg("row %zu", i);
	}
	assert_false(
		twilio_signature_ok("", "wss://" HOST, "/convo", SIG_PLAIN));
	assert_false(
		twilio_signature_ok(NULL, "wss://" HOST, "/convo", SIG_PLAIN));
	assert_false(twilio_signature_ok("0123456789abcdef0123456789abcdee",
					 "wss://" HOST, "/convo", SIG_PLAIN));
}

/* Computed with: printf %s TEXT | openssl dgst -sha1 -hmac TOKEN -binary |
 * openssl base64 */
static void test_upgrades_with_port_and_query(void **state)
{
	static const struct {
		const char *base, *target, *signature;
	} rowv[] = {
		/* wss://convod.example.com:8443/convo */
		{"wss://" HOST ":8443", "/convo",
		 "ktIhFrf1GXi9EThMtM1cMbVY4CI="},
		/* wss://convod.example.com/convo?b=2&a=1+x */
		{"wss://" HOST, "/convo?b=2&a=1+x",
		 "oeHZTYiyu6pjNvJQe43U+PMt1cQ="},
		/* wss://convod.example.com/convoa1 xb2 */
		{"wss://" HOST, "/convo?b=2&a=1+x",
		 "oEJt4VrlOlF1+g31JBCL8JTh9m8="},
		/* wss://convod.example.com/convo/a1 xb2 */
		{"wss://" HOST, "/convo?b=2&a=1%20x",
		 "MhfXuP51i7ensk4iScJUdPcYlP8="},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		if (!twilio_signature_ok(token, rowv[i].base, rowv[i].target,
					 rowv[i].signature))
			fail_msg("row %zu", i);
	}
	/* what the vendor's library adds to other schemes than https:
	 * wss://convod.example.com:80/convo */
	assert_false(twilio_signature_ok(token, "wss://" HOST, "/convo",
					 "seKBkVtxoxTeDdmFtptHsB/epT0="));
	/* a port that is not base's */
	assert_false(twilio_signature_ok(token, "wss://" HOST, "/convo",
					 "ktIhFrf1GXi9EThMtM1cMbVY4CI="));
}

/* ------------------------------------------------------------ the vectors */

static json_t *load_lines(const char *name)
{
	json_t *all = json_array();
	char path[512];
	json_t *j;
	FILE *f;

	snprintf(path, sizeof(path), DATA_DIR "/twilio/%s", name);
	f = fopen(path, "r");
	assert_non_null(f);
	while ((j = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL)))
		json_array_append_new(all, j);
	fclose(f);

	return all;
}

/* The URL split where httpd splits it: what is configured, what arrives */
static bool check_upgrade(const json_t *j)
{
	const char *url = get(j, "received_url");
	const char *slash = strchr(strstr(url, "://") + 3, '/');
	char base[256];

	if (!slash)
		slash = url + strlen(url);
	snprintf(base, sizeof(base), "%.*s", (int)(slash - url), url);

	return twilio_signature_ok(get(j, "auth_token"), base, slash,
				   get(j, "signature"));
}

static bool check_webhook(const json_t *j)
{
	const char *json = get(j, "json_body"), *form = get(j, "form");

	if (json)
		return twilio_json_signature_ok(
			get(j, "auth_token"), get(j, "received_url"), json,
			strlen(json), get(j, "signature"));

	return twilio_form_signature_ok(get(j, "auth_token"),
					get(j, "received_url"), form,
					strlen(form), get(j, "signature"));
}

static void test_vectors(void **state)
{
	json_t *all = load_lines("twilio-signature-vectors.jsonl"), *j;
	size_t i, upgrades = 0;

	(void)state;
	assert_int_equal(json_array_size(all), 25);
	json_array_foreach(all, i, j)
	{
		bool want = json_is_true(json_object_get(j, "valid"));
		const char *name = get(j, "name");
		bool upgrade = str_starts(name, "websocket");

		/* The vectors are of the plain algorithm. We try the slash,
		 * and an upgrade is wss whatever scheme the base has. */
		if (strstr(name, "signed with slash, path without") ||
		    strstr(name, "rebuilt as https"))
			want = true;

		upgrades += upgrade;
		if ((upgrade ? check_upgrade(j) : check_webhook(j)) != want)
			fail_msg("%s", name);
	}
	assert_int_equal(upgrades, 5);
	json_decref(all);
}

static void test_webhooks(void **state)
{
	json_t *all = load_lines("twilio-webhooks.jsonl"), *j;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(all), 28);
	json_array_foreach(all, i, j)
	{
		const char *form = get(j, "form"), *url = get(j, "url");
		const char *sig = get(j, "x_twilio_signature");
		size_t n = strlen(form);

		if (!twilio_form_signature_ok(token, url, form, n, sig))
			fail_msg("%s", get(j, "name"));
		assert_false(twilio_form_signature_ok(token, url, form, n - 1,
						      sig));
		assert_false(twilio_form_signature_ok("x", url, form, n, sig));
	}
	json_decref(all);
}

/* Nothing of this is signed; nothing may be read beyond its end */
static void test_odd_forms(void **state)
{
	static const char *const formv[] = {
		"",    "&",    "&&&",     "=",    "==",  "a",      "a&",
		"a=%", "a=%4", "a=%4x&b", "%=%&", "+=+", "a=%00b",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formv); i++) {
		size_t n = strlen(formv[i]);
		char *form = malloc(n + 1);

		memcpy(form, formv[i], n);
		assert_false(twilio_form_signature_ok(token, "https://h/",
						      form, n, SIG_PLAIN));
		free(form);
	}
	assert_false(twilio_form_signature_ok(token, "h", "", 0, SIG_PLAIN));
	assert_false(
		twilio_form_signature_ok(token, "https://h/", "", 0, NULL));
	assert_false(twilio_json_signature_ok(
		token, "https://h/?bodySHA256=00", "", 0, SIG_PLAIN));
}

/* Without memory nobody gets in, and nothing leaks */
static int oom_body(void *arg)
{
	static const char form[] = "b=2&B=1&a=3&A_=4&AA=5&A=6";
	bool ok;

	(void)arg;
	ok = twilio_signature_ok(token, "wss://" HOST, "/convo", SIG_PLAIN) &&
	     twilio_form_signature_ok(token, "https://" HOST "/twilio/x", form,
				      sizeof(form) - 1,
				      "6qkHwfbFXUERbueKH0gXjY7YZ0A=");

	return ok ? 0 : ENOMEM;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(oom_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_upgrades),
		cmocka_unit_test(test_upgrades_with_port_and_query),
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_webhooks),
		cmocka_unit_test(test_odd_forms),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

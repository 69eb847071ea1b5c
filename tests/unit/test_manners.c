/* Keys, silence, waiting, endpoints, repeats, the greeting; and the settings
 * that all of it comes from */
#include "../../src/server/manners.h"
#include "call_fixture.h"

/* ---------------------------------------------------------------- keys */

static void test_keys(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	press(f, "4729#");
	expect(f, "T4729|k|");
	done(f, 0);
	press(f, "1");
	pass(f, param.digits_ms - 1);
	expect(f, "");
	pass(f, 1);
	expect(f, "T1|k|");
	done(f, 0);
	press(f, "#");
	expect(f, "T#|k|");
	done(f, 0);
	for (int i = 0; i < DIALOG_DIGITS_MAX; i++)
		press(f, "5");
	assert_int_equal(strlen(f->text), DIALOG_DIGITS_MAX + 4);
	drop(f);
}

static void test_collecting(void **state)
{
	struct dialog_act pin = {
		.type = DIALOG_COLLECT,
		.digits = 4,
		.finish = "*",
		.ms = 500,
		.sensitive = true,
	};
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keys_only = true;
	f = make_open(&prm);
	final(f, "pin");
	call_act(f->call, &pin, f->now_ms);
	done(f, 0);
	f->text[0] = '\0';
	assert_true(call_is_sensitive(f->call));
	final(f, "it is");
	expect(f, "Ukeys are collected:***|");
	press(f, "12#4");
	expect(f, "T12#4|ks|");
	assert_true(call_is_sensitive(f->call)); /* test_secret.c */
	call_act(f->call, &pin, f->now_ms);
	done(f, 0);
	press(f, "12*");
	expect(f, "T12|ks|");
	call_act(f->call, &pin, f->now_ms);
	done(f, 0);
	press(f, "1");
	pass(f, 500);
	expect(f, "T1|ks|");
	call_act(f->call, &pin, f->now_ms);
	done(f, 0);
	press(f, "12");
	call_stop(f->call, CALL_END_CALLER);
	expect(f, "Ucall ending:***|");
	drop(f);
}

static void test_keys_with_an_action(void **state)
{
	static const struct call_key keyv[] = {
		{'0', CALL_KEY_TRANSFER, "+15550100"},
		{'*', CALL_KEY_REPEAT, ""},
		{'2', CALL_KEY_SEND, "opening hours"},
		{'9', CALL_KEY_HANGUP, ""},
	};
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keyv = keyv;
	prm.keyc = ARRAY_SIZE(keyv);
	f = make_speaking(&prm);
	press(f, "*");
	expect(f, "!|Ukey with an action:*|S2:a long answer|");
	press(f, "2");
	/* it was interrupted, but is said again */
	expect(f, "Topening hours|");
	done(f, 0);
	press(f, "10*#"); /* a number is a number */
	expect(f, "T10*|k|");
	press(f, "0");
	expect(f, "Ukey with an action:0|X4:+15550100|c|!|Htransfer|");
	drop(f);

	prm.greeting = CALL_GREETING_PROMPT;
	f = make_open(&prm);
	started(f, 1);
	press(f, "*");
	expect(f, "G1|!|Ukey with an action:*|G2|");
	drop(f);

	prm.greeting = CALL_GREETING_NONE;
	f = make_open(&prm);
	press(f, "*9");
	expect(f, "Ukey with an action:*|Ukey with an action:9|!|Hbot|");
	press(f, "1");
	expect(f, "Ucall ending:1|");
	drop(f);
}

/* ------------------------------------------------------------- silence */

static void test_silence(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.silence_ms = 5000;
	prm.silence_tries = 2;
	f = make_open(&prm);
	pass(f, 5000);
	expect(f, "H1|"); /* nothing to repeat yet */
	started(f, 1);
	finished(f, 1);
	final(f, "x");
	act(f, DIALOG_SAY, "yes", NULL);
	done(f, 0);
	started(f, 2);
	finished(f, 2);
	expect(f, "Tx|S2:yes|");
	for (uint32_t id = 3; id < 5; id++) {
		char want[16];

		pass(f, 4999);
		expect(f, "");
		pass(f, 1);
		(void)snprintf(want, sizeof(want), "S%u:yes|", id);
		expect(f, want);
		started(f, id);
		pass(f, 1000);
		finished(f, id);
	}
	pass(f, 5000);
	expect(f, "!|C5|");
	finished(f, 5);
	expect(f, "Hsilence|");
	drop(f);
}

static void test_silence_asks_or_says(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.silence_ms = 5000;
	prm.silence_tries = 1;
	prm.silence = CALL_SILENCE_ASK;
	prm.knows_nobody = true;
	f = make_open(&prm);
	pass(f, 5000);
	expect(f, "T|n|");
	act(f, DIALOG_SAY, "hello", NULL);
	done(f, 0);
	expect(f, "S1:hello|");
	drop(f);

	prm.silence = CALL_SILENCE_SAY;
	prm.silence_text = "Still there?";
	f = make_open(&prm);
	pass(f, 3000);
	speech(f, true); /* someone is about to speak */
	pass(f, 9999);
	expect(f, "");
	pass(f, 1);
	expect(f, "S1:Still there?|");
	drop(f);
}

/* The dialog manager names the time itself, and counts itself */
static void test_dialog_sets_the_silence(void **state)
{
	struct dialog_act wait = {.type = DIALOG_SILENCE, .ms = 3000};
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.knows_nobody = true;
	f = make_open(&prm);
	final(f, "x");
	act(f, DIALOG_SAY, "well", NULL);
	call_act(f->call, &wait, f->now_ms);
	done(f, 0);
	started(f, 1);
	pass(f, 2500);
	finished(f, 1);
	f->text[0] = '\0';
	pass(f, 2999);
	expect(f, "");
	pass(f, 1);
	expect(f, "T|n|");
	done(f, 0);
	pass(f, 60000);
	expect(f, "");
	drop(f);
}

static void test_idle_and_warning(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.idle_ms = 20000;
	prm.max_ms = 60000;
	prm.warn_ms = 10000;
	f = make_open(&prm);
	pass(f, 19999);
	expect(f, "");
	pass(f, 1);
	expect(f, "!|C1|");
	finished(f, 1);
	expect(f, "Hidle|");
	drop(f);

	f = make_open(&prm);
	for (int i = 0; i < 3; i++) {
		pass(f, 15000);
		press(f, "1#");
		done(f, 0);
	}
	f->text[0] = '\0';
	pass(f, 5000);
	expect(f, "N1|");
	finished(f, 1);
	pass(f, 10000);
	expect(f, "!|C2|");
	drop(f);
}

static void test_goodbye_without_end(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.max_ms = 10000;
	f = make_open(&prm);
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	started(f, 1);
	f->text[0] = '\0';
	pass(f, 10000 + CALL_ENDING_MAX_MS - 1);
	expect(f, "");
	pass(f, 1);
	expect(f, "!|Hbot|");
	drop(f);

	f = make_open(&prm); /* its audio never begins */
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	f->text[0] = '\0';
	pass(f, CALL_ENDING_MAX_MS);
	expect(f, "W2|W3|W4|W5|!|Hbot|");
	drop(f);
}

static void test_filler(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.filler_ms = 1500;
	f = make_open(&prm);
	final(f, "x");
	pass(f, 1499);
	expect(f, "Tx|");
	pass(f, 1);
	expect(f, "F1|");
	act(f, DIALOG_SAY, "well", NULL);
	expect(f, "S1:well|"); /* until it is heard */
	started(f, 1);
	expect(f, "F0|");
	finished(f, 1);
	pass(f, 1500); /* more is to come */
	expect(f, "F1|");
	done(f, 0);
	expect(f, "F0|");
	drop(f);
}

static void test_repeats(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.repeat_max = 2;
	f = make_open(&prm);
	for (uint32_t id = 1; id < 8; id += 2) {
		assert_int_equal(call_ended(f->call), CALL_UP);
		final(f, "what");
		act(f, DIALOG_SAY, id == 2 ? "other" : "Pardon?", NULL);
		act(f, DIALOG_SAY, "and so on", NULL);
		done(f, 0);
		started(f, id);
		finished(f, id);
		started(f, id + 1);
		f->text[0] = '\0';
		finished(f, id + 1);
	}
	expect(f, "Hrepeated|");
	drop(f);
}

/* ------------------------------------------------------------ endpoints */

static void test_interim_stands_for_the_final(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.endpoint_ms = 700;
	f = make_open(&prm);
	speech(f, true);
	result(f, false, "good");
	result(f, false, "good morning");
	pass(f, 5000);
	speech(f, false);
	pass(f, 699);
	expect(f, "");
	pass(f, 1);
	expect(f, "Tgood morning|");
	final(f, "good morning"); /* known */
	expect(f, "Utaken already:good morning|");
	done(f, 0);

	speech(f, true);
	result(f, false, "one");
	speech(f, false);
	pass(f, 700);
	expect(f, "Tone|");
	done(f, 0);
	final(f, "one two");
	expect(f, "Ttwo|");
	done(f, 0);

	/* no finals at all: the next one is another sentence */
	result(f, false, "alpha");
	pass(f, 700);
	expect(f, "Talpha|");
	done(f, 0);
	result(f, false, "beta");
	pass(f, 700);
	expect(f, "Tbeta|");
	drop(f);
}

/* ------------------------------------------------------------ sentences */

static void test_sentences_are_asked_for_ahead(void **state)
{
	struct dialog_act pause = {.type = DIALOG_PAUSE, .ms = 50000};
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "x");
	act(f, DIALOG_SAY, "One.  ** Two! Three?", NULL);
	call_act(f->call, &pause, f->now_ms);
	act(f, DIALOG_SAY, "Four.", NULL);
	done(f, 0);
	expect(f, "Tx|S1:One.|S2:Two!|S3:Three?|");
	started(f, 1);
	finished(f, 1);
	expect(f, "Z4:10000|");
	finished(f, 2);
	expect(f, "S5:Four.|");
	drop(f);
}

/* ------------------------------------------------------------- settings */

/* Each a value of its own */
static const struct {
	const char *name, *value;
} otherv[] = {
	{"TURN_JOIN_MS", "101"},
	{"TURN_ENDPOINT_MS", "102"},
	{"TURN_WHILE_THINKING", "replace"},
	{"BARGE_IN_MODE", "words"},
	{"BARGE_IN_WORDS", "3"},
	{"BARGE_IN_RESUME_MS", "104"},
	{"GREETING_PROTECT", "true"},
	{"DTMF_TIMEOUT_MS", "205"},
	{"DTMF_DIGITS", "6"},
	{"DTMF_FINISH_KEY", "*"},
	{"DTMF_IGNORE_SPEECH", "true"},
	{"DTMF_SENSITIVE", "true"},
	{"SILENCE_MS", "107"},
	{"SILENCE_TRIES", "8"},
	{"SILENCE_LIMIT_MS", "1009"},
	{"FILLER_AFTER_MS", "110"},
	{"REPEAT_MAX", "11"},
	{"CALL_MAX_SECONDS", "12"},
	{"CALL_WARN_SECONDS", "13"},
	{"CALL_IDLE_SECONDS", "14"},
};

static bool others;
static const char *map, *greeting, *silence;

static const char *setting(const char *name, void *arg)
{
	(void)arg;
	if (!strcmp(name, "DTMF_MAP"))
		return map;
	if (!strcmp(name, "GREETING"))
		return greeting;
	if (!strcmp(name, "SILENCE_PROMPT"))
		return silence;
	for (size_t i = 0; i < ARRAY_SIZE(otherv) && others; i++) {
		if (!strcmp(name, otherv[i].name))
			return otherv[i].value;
	}

	return NULL;
}

static int load(struct manners **mp, struct conf **cp)
{
	char errbuf[CONF_ERR_MAX];
	int err = conf_load(cp, NULL, setting, NULL, errbuf);

	if (err)
		return err;

	err = manners_alloc(mp, *cp, errbuf);
	if (err == EINVAL)
		assert_non_null(strstr(errbuf, "DTMF_MAP"));

	return err;
}

static void test_dtmf_map(void **state)
{
	static const struct {
		const char *map;
		size_t n; /* 0: refused */
		enum call_key_action action;
		const char *text;
	} tests[] = {
		{"1=transfer:+15550100, 0=operator", 2, CALL_KEY_TRANSFER,
		 "+15550100"},
		{"*=repeat", 1, CALL_KEY_REPEAT, ""},
		{"#=hangup,2=send:a b: c", 2, CALL_KEY_HANGUP, ""},
		{"D=send:x", 1, CALL_KEY_SEND, "x"},
		{"1", 0, 0, NULL},
		{"1=", 0, 0, NULL},
		{"1=send", 0, 0, NULL},
		{"x=repeat", 0, 0, NULL},
		{"1=fly", 0, 0, NULL},
		{"12=repeat", 0, 0, NULL},
		{"1=repeat,2=repeat,3=repeat,4=repeat,5=repeat,6=repeat,"
		 "7=repeat,8=repeat,9=repeat,0=repeat,*=repeat,#=repeat,"
		 "A=repeat,B=repeat,C=repeat,D=repeat,1=repeat",
		 0, 0, NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct manners *m = NULL;
		struct conf *c = NULL;
		int err;

		map = tests[i].map;
		err = load(&m, &c);
		assert_int_equal(err, tests[i].n ? 0 : EINVAL);
		if (!err) {
			assert_int_equal(m->prm.keyc, tests[i].n);
			assert_int_equal(m->prm.keyv[0].action,
					 tests[i].action);
			assert_string_equal(m->prm.keyv[0].text,
					    tests[i].text);
		}
		mem_deref(m);
		mem_deref(c);
	}
	map = NULL;
}

static void test_greeting_and_silence_settings(void **state)
{
	static const struct {
		const char *greeting;
		enum call_greeting kind;
		const char *silence;
		enum call_silence silence_kind;
	} tests[] = {
		{NULL, CALL_GREETING_DIALOG, NULL, CALL_SILENCE_REPEAT},
		{"none", CALL_GREETING_NONE, "ask", CALL_SILENCE_ASK},
		{"file:x.wav", CALL_GREETING_PROMPT, "Hello?",
		 CALL_SILENCE_SAY},
		{"https://a/b.mp3", CALL_GREETING_SOUND, "repeat",
		 CALL_SILENCE_REPEAT},
		{"Hello, this is", CALL_GREETING_SOUND, "repeat ",
		 CALL_SILENCE_SAY},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct manners *m = NULL;
		struct conf *c = NULL;

		greeting = tests[i].greeting;
		silence = tests[i].silence;
		assert_int_equal(load(&m, &c), 0);
		assert_int_equal(m->prm.greeting, tests[i].kind);
		assert_int_equal(m->prm.silence, tests[i].silence_kind);
		mem_deref(m);
		mem_deref(c);
	}
	greeting = silence = NULL;
}

static void test_every_setting_arrives(void **state)
{
	struct manners *m = NULL;
	struct conf *c = NULL;
	const struct call_param *p;

	(void)state;
	others = true;
	assert_int_equal(load(&m, &c), 0);
	others = false;
	p = &m->prm;
	assert_int_equal(p->join_ms, 101);
	assert_int_equal(p->endpoint_ms, 102);
	assert_true(p->replace);
	assert_int_equal(p->barge_in, CALL_BARGE_WORDS);
	assert_int_equal(p->barge_words, 3);
	assert_int_equal(p->resume_ms, 104);
	assert_true(p->greeting_protect);
	assert_int_equal(p->digits_ms, 205);
	assert_int_equal(p->digits_max, 6);
	assert_string_equal(p->finish, "*");
	assert_true(p->keys_only);
	assert_true(p->keys_sensitive);
	assert_int_equal(p->silence_ms, 107);
	assert_int_equal(p->silence_tries, 8);
	assert_int_equal(p->silence_limit_ms, 1009);
	assert_int_equal(p->filler_ms, 110);
	assert_int_equal(p->repeat_max, 11);
	assert_int_equal(p->max_ms, 12000);
	assert_int_equal(p->warn_ms, 13000);
	assert_int_equal(p->idle_ms, 14000);
	mem_deref(m);
	mem_deref(c);

	/* what is not asked for is not so */
	assert_int_equal(load(&m, &c), 0);
	p = &m->prm;
	assert_int_equal(p->barge_in, CALL_BARGE_VAD);
	assert_false(p->replace || p->greeting_protect || p->keys_only ||
		     p->keys_sensitive);
	assert_int_equal(p->join_ms + p->endpoint_ms + p->filler_ms, 0);
	mem_deref(m);
	mem_deref(c);
}

static int load_body(void *arg)
{
	struct manners *m = NULL;
	struct conf *c = NULL;
	int err;

	(void)arg;
	map = "1=operator";
	err = load(&m, &c);
	map = NULL;
	mem_deref(m);
	mem_deref(c);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(load_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_collecting),
		cmocka_unit_test(test_keys_with_an_action),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_silence_asks_or_says),
		cmocka_unit_test(test_dialog_sets_the_silence),
		cmocka_unit_test(test_idle_and_warning),
		cmocka_unit_test(test_goodbye_without_end),
		cmocka_unit_test(test_filler),
		cmocka_unit_test(test_repeats),
		cmocka_unit_test(test_interim_stands_for_the_final),
		cmocka_unit_test(test_sentences_are_asked_for_ahead),
		cmocka_unit_test(test_dtmf_map),
		cmocka_unit_test(test_greeting_and_silence_settings),
		cmocka_unit_test(test_every_setting_arrives),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

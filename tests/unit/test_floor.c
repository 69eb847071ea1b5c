/* Who may speak: barge-in, false starts, what was heard */
#include "call_fixture.h"

static const struct call_param *with(enum call_barge_in mode)
{
	static struct call_param prm;

	prm = param;
	prm.barge_in = mode;

	return &prm;
}

/* ----------------------------------------------------------------- vad */

static void test_speech_holds_and_words_interrupt(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	speech(f, true);
	expect(f, "(|");
	pass(f, 300);
	result(f, false, "wait");
	pass(f, 500);
	speech(f, false);
	expect(f, "");
	final(f, "wait a moment");
	expect(f, "!|Twait a moment|h100|");
	drop(f);
}

static void test_cough_resumes(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	result(f, false, "late"); /* of what a final has ended: no barge-in */
	expect(f, "");
	speech(f, true);
	pass(f, 200);
	speech(f, false);
	pass(f, 799);
	expect(f, "(|");
	pass(f, 1);
	expect(f, ")|");
	finished(f, 1);
	pass(f, 60000);
	expect(f, "");
	drop(f);
}

/* Without interims the end of the utterance decides */
static void test_without_interims(void **state)
{
	struct asr_result noise = {
		.final = true, .rejected = true, .text = ""};
	struct fake *f = make_speaking(&param);

	(void)state;
	speech(f, true);
	pass(f, 3000);
	expect(f, "(|");
	speech(f, false);
	pass(f, 999);
	expect(f, "");
	pass(f, 1);
	expect(f, ")|");

	/* the recogniser may know it sooner */
	speech(f, true);
	call_result(f->call, &noise, f->now_ms);
	expect(f, "(|)|");
	drop(f);
}

/* Music has no end: the bot does not wait for it, and not again */
static void test_noise_without_end_resumes_once(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	speech(f, true);
	pass(f, 4999);
	expect(f, "(|");
	pass(f, 1);
	expect(f, ")|");
	pass(f, 2000);
	finished(f, 1);
	final(f, "two");
	act(f, DIALOG_SAY, "more", NULL);
	started(f, 2);
	expect(f, "Ttwo|S2:more|");
	drop(f);
}

/* A television: twice, then it takes words, and with the next answer anew */
static void test_noise_again_and_again(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	for (int i = 0; i < 2; i++) {
		speech(f, true);
		speech(f, false);
		pass(f, 1000);
		expect(f, "(|)|");
	}
	speech(f, true);
	pass(f, 500);
	expect(f, "");
	result(f, false, "wait");
	expect(f, "(|");
	final(f, "wait");
	speech(f, false);
	expect(f, "!|Twait|h100|");
	act(f, DIALOG_SAY, "yes", NULL);
	done(f, 0);
	started(f, 2);
	speech(f, true);
	expect(f, "S2:yes|(|");
	drop(f);
}

/* An interim that the recogniser takes back was no word */
static void test_interim_taken_back(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	speech(f, true);
	result(f, false, "mm");
	speech(f, false);
	final(f, "");
	expect(f, "(|)|");

	/* and one that is never followed by a final */
	speech(f, true);
	result(f, false, "mm");
	speech(f, false);
	pass(f, 2999);
	expect(f, "(|");
	pass(f, 1);
	expect(f, ")|");
	drop(f);
}

static void test_quiet_caller_whom_only_the_recogniser_hears(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	final(f, "stop");
	expect(f, "!|Tstop|h100|");
	drop(f);
}

static void test_caller_goes_on_before_the_answer(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	speech(f, true);
	final(f, "i want");
	speech(f, false);
	pass(f, 100);
	speech(f, true);
	expect(f, "Ti want|");
	act(f, DIALOG_SAY, "what", NULL);
	done(f, 0);
	expect(f, "(|S1:what|"); /* nothing of it is sent yet */
	pass(f, 400);
	f->heard.ms = 0;
	final(f, "an appointment");
	expect(f, "!|Tan appointment|h0|");
	drop(f);
}

static void test_old_noise_does_not_hold_the_answer(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	speech(f, true); /* and no end of it */
	final(f, "hello");
	pass(f, 100);
	act(f, DIALOG_SAY, "what", NULL);
	expect(f, "Thello|S1:what|");
	drop(f);
}

static void test_answer_in_pieces_is_overtaken(void **state)
{
	struct call_param prm = param;
	struct fake *f = make_open(&prm);

	(void)state;
	final(f, "one");
	act(f, DIALOG_SAY, "first", NULL);
	started(f, 1);
	f->text[0] = '\0';
	final(f, "two");
	expect(f, "!|"); /* the dialog manager is still at it */
	act(f, DIALOG_SAY, "second", NULL);
	act(f, DIALOG_NOTE, "n", NULL);
	done(f, 0);
	expect(f, "X9:n|Ttwo|h100|");
	drop(f);

	prm.forgets = true;
	f = make_open(&prm);
	final(f, "one");
	act(f, DIALOG_SAY, "first", NULL);
	started(f, 1);
	f->text[0] = '\0';
	final(f, "two");
	expect(f, "!|c|Ttwo|h100|");
	drop(f);
}

/* ------------------------------------------------------- the other modes */

static void test_off_waits_for_the_end(void **state)
{
	struct fake *f = make_speaking(with(CALL_BARGE_OFF));

	(void)state;
	speech(f, true);
	result(f, false, "stop this now");
	final(f, "stop this now");
	press(f, "1#");
	expect(f, "");
	finished(f, 1);
	expect(f, "Tstop this now 1|");
	drop(f);
}

static void test_words(void **state)
{
	struct fake *f = make_speaking(with(CALL_BARGE_WORDS));

	(void)state;
	speech(f, true);
	result(f, false, "well");
	final(f, "mhm"); /* too few: waits */
	expect(f, "");
	result(f, false, "well no");
	expect(f, "(|");
	final(f, "well no");
	expect(f, "!|Tmhm well no|h100|");
	drop(f);

	f = make_speaking(with(CALL_BARGE_WORDS));
	final(f, "yes please");
	expect(f, "!|Tyes please|h100|");
	drop(f);
}

static void test_only_keys(void **state)
{
	struct fake *f = make_speaking(with(CALL_BARGE_DTMF));

	(void)state;
	speech(f, true);
	final(f, "hello there");
	expect(f, "");
	press(f, "5");
	expect(f, "!|Thello there|h100|");
	pass(f, 2000);
	expect(f, "");
	done(f, 0);
	expect(f, "T5|k|");
	drop(f);
}

static void test_key_stops_the_bot_at_once(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	press(f, "4");
	expect(f, "!|");
	press(f, "2#");
	expect(f, "T42|h100|k|");
	drop(f);
}

/* ------------------------------------------------------------ protection */

static void test_protected_answer(void **state)
{
	struct dialog_act a = {
		.type = DIALOG_SAY, .text = "terms", .uninterruptible = true};
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	call_act(f->call, &a, f->now_ms);
	act(f, DIALOG_SAY, "question", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	speech(f, true);
	press(f, "1#");
	final(f, "yes");
	expect(f, "");
	finished(f, 1);
	speech(f, false);
	started(f, 2);
	speech(f, true);
	expect(f, "(|");
	final(f, "no");
	expect(f, "!|T1 yes no|h200:terms|");
	drop(f);
}

static void test_protected_answer_is_so_again(void **state)
{
	static const struct call_key keyv[] = {{'*', CALL_KEY_REPEAT, ""}};
	struct dialog_act a = {
		.type = DIALOG_SAY, .text = "terms", .uninterruptible = true};
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keyv = keyv;
	prm.keyc = ARRAY_SIZE(keyv);
	f = make_open(&prm);
	final(f, "one");
	call_act(f->call, &a, f->now_ms);
	done(f, 0);
	started(f, 1);
	finished(f, 1);
	press(f, "*");
	expect(f, "Tone|S1:terms|Ukey with an action:*|S2:terms|");
	started(f, 2);
	speech(f, true);
	final(f, "yes");
	expect(f, "");
	finished(f, 2);
	expect(f, "Tyes|");
	drop(f);
}

static void test_protected_greeting(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.greeting = CALL_GREETING_SOUND;
	prm.greeting_sound.text = "Welcome.";
	prm.greeting_protect = true;
	prm.opens = true; /* but it is not asked to */
	f = make_open(&prm);
	expect(f, "S1:Welcome.|");
	started(f, 1);
	speech(f, true);
	final(f, "hello");
	expect(f, "");
	finished(f, 1);
	expect(f, "Thello|");
	act(f, DIALOG_SAY, "yes", NULL);
	started(f, 2);
	done(f, 0);
	speech(f, false);
	speech(f, true);
	expect(f, "S2:yes|(|");
	drop(f);
}

static void test_goodbye_is_not_interrupted(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	speech(f, true);
	result(f, false, "one more thing");
	expect(f, "");
	finished(f, 1);
	expect(f, "Hbot|");
	drop(f);
}

/* ------------------------------------------------------- what was heard */

static void test_heard_text(void **state)
{
	static const struct {
		struct call_heard heard;
		const char *text;
	} tests[] = {
		{{.ms = 900, .total_ms = 1800}, "Thm|h1000:First. one two|"},
		{{.ms = 1800, .total_ms = 1800},
		 "Thm|h1900:First. one two three four|"},
		{{.ms = 1000, .timed = true, .text = 8}, /* amid a word */
		 "Thm|h1100:First. one two|"},
		{{.ms = 500}, "Thm|h600:First.|"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fake *f = make_open(&param);

		final(f, "x");
		act(f, DIALOG_SAY, "First. one two three four", NULL);
		done(f, 0);
		started(f, 1);
		finished(f, 1);
		started(f, 2);
		f->text[0] = '\0';
		f->heard = tests[i].heard;
		final(f, "hm");
		assert_string_equal(f->text + 2, tests[i].text);
		drop(f);
	}
}

/* The caller heard the apology instead */
static void test_what_could_not_be_spoken_was_not_heard(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	f->say_err = ENOTSUP;
	final(f, "x");
	act(f, DIALOG_SAY, "First. And more.", NULL);
	done(f, 0);
	expect(f, "Tx|S1:First.|A1|S2:And more.|");
	started(f, 1);
	final(f, "hm");
	expect(f, "!|Thm|h0|");
	drop(f);
}

/* What we say by ourselves is no answer of the dialog manager's */
static void test_heard_is_not_of_what_we_ask(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.silence_ms = 5000;
	prm.silence_tries = 9;
	prm.silence = CALL_SILENCE_SAY;
	prm.silence_text = "Hello?";
	f = make_speaking(&prm);
	mem_fail_after(0);
	final(f, "lost");
	mem_fail_after(-1);
	expect(f, "Uno memory:lost|!|");
	pass(f, 500);
	expect(f, "A2|");
	started(f, 2);
	finished(f, 2);
	pass(f, 5000);
	started(f, 3);
	finished(f, 3);
	final(f, "again");
	expect(f, "S3:Hello?|Tagain|h100|");
	act(f, DIALOG_SAY, "yes", NULL);
	done(f, 0);
	started(f, 4);
	finished(f, 4);
	pass(f, 5000);
	started(f, 5);
	final(f, "hi");
	expect(f, "S4:yes|S5:Hello?|!|Thi|");
	drop(f);
}

/* Of an answer that was over before nothing is told */
static void test_heard_is_of_the_last_answer(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	finished(f, 1);
	final(f, "two");
	done(f, EREMOTEIO);
	started(f, 2);
	f->text[0] = '\0';
	final(f, "three");
	act(f, DIALOG_SAY, "another answer", NULL);
	done(f, 0);
	finished(f, 2);
	started(f, 3);
	f->text[0] = '\0';
	f->heard = (struct call_heard){.ms = 500, .total_ms = 1000};
	final(f, "stop");
	expect(f, "!|Tstop|h500:another|");
	drop(f);
}

/* The bot pauses when nothing is left but a mark: no words are held */
static void test_final_after_a_hold_in_the_last_moment(void **state)
{
	struct fake *f = make_speaking(&param);

	(void)state;
	speech(f, true);
	finished(f, 1);
	speech(f, false);
	final(f, "two");
	expect(f, "(|!|Ttwo|");
	act(f, DIALOG_SAY, "answer", NULL);
	started(f, 2);
	pass(f, 60000);
	expect(f, "S2:answer|");
	drop(f);
}

/* The mark of the first is not back yet when the second begins */
static void test_protected_answer_behind_another(void **state)
{
	struct dialog_act a = {
		.type = DIALOG_SAY, .text = "terms", .uninterruptible = true};
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	act(f, DIALOG_SAY, "first", NULL);
	call_act(f->call, &a, f->now_ms);
	done(f, 0);
	started(f, 1);
	started(f, 2);
	f->text[0] = '\0';
	speech(f, true);
	final(f, "yes");
	expect(f, "");
	drop(f);
}

static void test_nobody_makes_the_goodbye_wait(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	speech(f, true);
	result(f, false, "well");
	call_drain(f->call, f->now_ms);
	expect(f, "!|C1|");
	started(f, 1);
	expect(f, "");
	drop(f);
}

/* ------------------------------------------------- while the bot thinks */

static void test_append_or_replace(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.replace = true;
	prm.forgets = true;
	f = make_open(&prm);
	final(f, "i want");
	final(f, "a table");
	expect(f, "Ti want|c|!|Ti want a table|");
	act(f, DIALOG_SAY, "when", NULL);
	done(f, 0);
	/* not heard yet: overtaken as well */
	final(f, "for two");
	expect(f, "S1:when|!|Tfor two|h0|");
	drop(f);

	/* a sentence of the answer was heard, and another may come */
	f = make_open(&prm);
	f->heard = (struct call_heard){.ms = 400, .total_ms = 400};
	final(f, "i want");
	act(f, DIALOG_SAY, "let me see", NULL);
	started(f, 1);
	finished(f, 1);
	final(f, "a table");
	expect(f, "Ti want|S1:let me see|");
	done(f, 0);
	expect(f, "Ta table|");
	drop(f);

	/* who cannot forget gets it with the next turn */
	prm.forgets = false;
	f = make_open(&prm);
	final(f, "i want");
	final(f, "a table");
	act(f, DIALOG_SAY, "when", NULL);
	done(f, 0);
	expect(f, "Ti want|S1:when|Ta table|");
	drop(f);
}

/* ---------------------------------------------------------------- echo */

static const char of_days[] = "We are open on Monday, Tuesday and Friday. "
			      "Which day?";

static struct fake *make_offering(const struct call_param *prm)
{
	struct fake *f = make_open(prm);

	final(f, "one");
	act(f, DIALOG_SAY, of_days, NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';

	return f;
}

#define ECHO(text) "Uthe bot's own words:" text "|"

static void test_own_words(void **state)
{
	static const struct {
		const char *text;
		bool own;
	} tests[] = {
		{"we are open on monday", true},
		{"OPEN ON MONDAY TUESDAY AND FRIDAY", true},
		{"which day", true}, /* of a sentence that is yet to come */
		{"we are open on sunday", true},
		{"Friday!", true},
		{"monday please", false},
		{"on sunday please", false},
		{"no", false},
		{"mon", false},
		{"?!", false},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fake *f = make_offering(&param);
		char want[128];

		(void)snprintf(want, sizeof(want),
			       tests[i].own ? ECHO("%s") : "!|T%s|h100|",
			       tests[i].text);
		call_echo(f->call, f->now_ms);
		pass(f, 1000);
		final(f, tests[i].text);
		expect(f, want);
		drop(f);
	}
}

/* Whoever is heard may say what the bot says; and so may a quiet caller where
 * nothing comes back */
static void test_callers_repeat_what_they_are_offered(void **state)
{
	struct fake *f = make_offering(&param);

	(void)state;
	final(f, "monday");
	expect(f, "!|Tmonday|h100|");
	drop(f);

	f = make_offering(&param);
	call_echo(f->call, f->now_ms);
	speech(f, true);
	expect(f, "(|");
	pass(f, 300);
	speech(f, false);
	final(f, "monday");
	expect(f, "!|Tmonday|h100|");
	drop(f);

	f = make_offering(&param);
	call_echo(f->call, f->now_ms);
	pass(f, 3000);
	final(f, "monday");
	expect(f, "!|Tmonday|h100|");
	drop(f);
}

static void test_own_words_after_the_end(void **state)
{
	struct fake *f = make_offering(&param);

	(void)state;
	call_echo(f->call, f->now_ms);
	finished(f, 1);
	finished(f, 2);
	pass(f, 500);
	f->text[0] = '\0';
	final(f, "tuesday and friday which day");
	expect(f, ECHO("tuesday and friday which day"));
	final(f, "friday please");
	expect(f, "Tfriday please|");
	drop(f);
}

/* In a mode that waits for words, or takes interims for finals */
static void test_own_words_as_interims(void **state)
{
	struct call_param prm = *with(CALL_BARGE_WORDS);
	struct fake *f = make_offering(&prm);

	(void)state;
	call_echo(f->call, f->now_ms);
	result(f, false, "we are open on");
	expect(f, "");
	speech(f, true); /* now it is the caller */
	result(f, false, "on friday");
	expect(f, "(|");
	drop(f);

	prm = param;
	prm.endpoint_ms = 500;
	f = make_offering(&prm);
	call_echo(f->call, f->now_ms);
	result(f, false, "we are open");
	pass(f, 2000);
	expect(f, "");
	final(f, "we are open");
	expect(f, ECHO("we are open"));
	drop(f);
}

static void test_own_words_wait_for_no_turn(void **state)
{
	struct fake *f = make_offering(with(CALL_BARGE_OFF));

	(void)state;
	call_echo(f->call, f->now_ms);
	final(f, "which day");
	expect(f, ECHO("which day"));
	finished(f, 1);
	finished(f, 2);
	pass(f, 2000);
	assert_null(strchr(f->text, 'T'));
	drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_speech_holds_and_words_interrupt),
		cmocka_unit_test(test_cough_resumes),
		cmocka_unit_test(test_without_interims),
		cmocka_unit_test(test_noise_without_end_resumes_once),
		cmocka_unit_test(test_noise_again_and_again),
		cmocka_unit_test(test_interim_taken_back),
		cmocka_unit_test(
			test_quiet_caller_whom_only_the_recogniser_hears),
		cmocka_unit_test(test_caller_goes_on_before_the_answer),
		cmocka_unit_test(test_old_noise_does_not_hold_the_answer),
		cmocka_unit_test(test_answer_in_pieces_is_overtaken),
		cmocka_unit_test(test_off_waits_for_the_end),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_only_keys),
		cmocka_unit_test(test_key_stops_the_bot_at_once),
		cmocka_unit_test(test_protected_answer),
		cmocka_unit_test(test_protected_answer_is_so_again),
		cmocka_unit_test(test_protected_greeting),
		cmocka_unit_test(test_goodbye_is_not_interrupted),
		cmocka_unit_test(test_heard_text),
		cmocka_unit_test(test_what_could_not_be_spoken_was_not_heard),
		cmocka_unit_test(test_heard_is_not_of_what_we_ask),
		cmocka_unit_test(test_heard_is_of_the_last_answer),
		cmocka_unit_test(test_final_after_a_hold_in_the_last_moment),
		cmocka_unit_test(test_protected_answer_behind_another),
		cmocka_unit_test(test_nobody_makes_the_goodbye_wait),
		cmocka_unit_test(test_append_or_replace),
		cmocka_unit_test(test_own_words),
		cmocka_unit_test(test_callers_repeat_what_they_are_offered),
		cmocka_unit_test(test_own_words_after_the_end),
		cmocka_unit_test(test_own_words_as_interims),
		cmocka_unit_test(test_own_words_wait_for_no_turn),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

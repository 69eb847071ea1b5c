/* What is secret, from when and until when: a number said or keyed in pieces,
 * and what else a caller gives meanwhile */
#include "call_fixture.h"

static void ask(struct fake *f, bool secret)
{
	struct dialog_act a = {.type = DIALOG_COLLECT, .sensitive = secret};

	call_act(f->call, &a, f->now_ms);
}

/* The bot has asked for a number: with utterance 1, which is over */
static struct fake *make_asking(const struct call_param *prm)
{
	struct fake *f = make_open(prm);

	final(f, "pay");
	assert_false(call_is_sensitive(f->call));
	act(f, DIALOG_SAY, "your card number", NULL);
	ask(f, true);
	done(f, 0);
	started(f, 1);
	finished(f, 1);
	f->text[0] = '\0';
	assert_true(call_is_sensitive(f->call));

	return f;
}

/* Utterance `id` answers, and begins to be heard */
static void answer(struct fake *f, uint32_t id)
{
	act(f, DIALOG_SAY, "thank you", NULL);
	done(f, 0);
	started(f, id);
	f->text[0] = '\0';
}

static void expect_secret_for(struct fake *f, uint64_t ms)
{
	pass(f, ms - 1);
	assert_true(call_is_sensitive(f->call));
	pass(f, 1);
	assert_false(call_is_sensitive(f->call));
	assert_false(call_hides_keys(f->call));
	assert_false(call_hides_words(f->call));
}

static void test_until_the_answer_is_heard(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	expect(f, "Tfour one|s|");
	pass(f, 3000);
	assert_true(call_is_sensitive(f->call));
	act(f, DIALOG_SAY, "thank you", NULL);
	done(f, 0);
	pass(f, 5000); /* it is made, and nobody has heard it */
	assert_true(call_is_sensitive(f->call));
	started(f, 2);
	expect_secret_for(f, 1000);
	f->text[0] = '\0';
	final(f, "hello");
	expect(f, "!|Thello|h100|");
	drop(f);
}

static void test_number_in_two_finals(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	final(f, "nine nine");
	expect(f, "Tfour one|s|");
	act(f, DIALOG_SAY, "go on", NULL);
	started(f, 2); /* in answer to the first half alone */
	pass(f, 5000);
	assert_true(call_is_sensitive(f->call));
	done(f, 0);
	expect(f, "S2:go on|Tnine nine|s|");
	finished(f, 2);
	pass(f, 1000);
	assert_true(call_is_sensitive(f->call));
	answer(f, 3);
	expect_secret_for(f, 1000);
	drop(f);
}

static void test_replaced_turn_stays_secret(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.replace = prm.forgets = true;
	f = make_asking(&prm);
	final(f, "four one");
	final(f, "nine nine");
	expect(f, "Tfour one|s|c|!|Tfour one nine nine|s|");
	answer(f, 2);
	expect_secret_for(f, 1000);
	drop(f);
}

/* Words beside keys, and keys beside words */
static void test_keys_and_words(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	press(f, "12");
	final(f, "and");
	expect(f, "Tand|s|");
	assert_true(call_hides_keys(f->call));
	press(f, "34#");
	answer(f, 2);
	expect(f, "");
	assert_true(call_is_sensitive(f->call));
	drop(f);

	f = make_asking(&param);
	press(f, "12#");
	final(f, "three four");
	press(f, "5#");
	expect(f, "T12|ks|");
	done(f, 0);
	expect(f, "Tthree four 5|s|");
	answer(f, 2);
	expect_secret_for(f, 1000);
	drop(f);
}

static void test_all_keys_are_secret(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keys_sensitive = true;
	f = make_open(&prm);
	assert_true(call_hides_keys(f->call));
	assert_false(call_is_sensitive(f->call));
	press(f, "1");
	assert_true(call_is_sensitive(f->call));
	press(f, "2#");
	final(f, "three");
	expect(f, "T12|ks|");
	assert_true(call_is_sensitive(f->call));
	done(f, 0);
	expect(f, "Tthree|s|");
	answer(f, 1);
	pass(f, 1000);
	assert_false(call_is_sensitive(f->call));
	assert_true(call_hides_keys(f->call));
	drop(f);
}

/* Who was asked and has not answered may yet do so */
static void test_question_stands(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.silence_ms = 2000;
	prm.silence_tries = 1;
	prm.silence = CALL_SILENCE_ASK;
	prm.knows_nobody = true;
	f = make_asking(&prm);
	pass(f, 2000);
	expect(f, "T|n|");
	assert_true(call_is_sensitive(f->call));
	final(f, "four one");
	done(f, ETIMEDOUT); /* the apology is no answer */
	started(f, 2);
	expect(f, "A2|Tfour one|s|");
	pass(f, 3000);
	assert_true(call_is_sensitive(f->call));
	finished(f, 2);
	f->text[0] = '\0';
	act(f, DIALOG_PAUSE, NULL, NULL); /* nor is that */
	done(f, 0);
	pass(f, 1000);
	assert_true(call_is_sensitive(f->call));
	drop(f);
}

static void test_question_again(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	act(f, DIALOG_SAY, "all of it, please", NULL);
	ask(f, true);
	done(f, 0);
	started(f, 2);
	pass(f, 60000);
	assert_true(call_is_sensitive(f->call));
	drop(f);
}

/* The question is said again, or what is said instead: no answer to it */
static void test_repeat_is_no_answer(void **state)
{
	static const struct call_key again = {'*', CALL_KEY_REPEAT, ""};
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keyv = &again;
	prm.keyc = 1;
	f = make_asking(&prm);
	final(f, "four one");
	press(f, "*");
	expect(f, "Tfour one|s|Ukey with an action:***|"
		  "S2:your card number|");
	started(f, 2);
	pass(f, 3000);
	assert_true(call_is_sensitive(f->call));
	drop(f);
}

static void test_audio_of_the_answer_fails(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	act(f, DIALOG_SAY, "thank you", NULL);
	done(f, 0);
	call_audio_failed(f->call, 2, EPROTO, f->now_ms);
	started(f, 2);
	expect(f, "Tfour one|s|S2:thank you|A2|");
	pass(f, 3000);
	assert_true(call_is_sensitive(f->call));
	drop(f);
}

/* ------------------------------------------- in the middle of a sentence */

static void test_sentence_goes_on_over_the_answer(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.barge_in = CALL_BARGE_OFF;
	f = make_asking(&prm);
	final(f, "four one");
	speech(f, true);
	answer(f, 2);
	pass(f, 8000);
	assert_true(call_is_sensitive(f->call));
	speech(f, false);
	pass(f, 2900);
	assert_true(call_is_sensitive(f->call));
	final(f, "nine nine");
	finished(f, 2);
	expect(f, "Tnine nine|s|");
	answer(f, 3);
	expect_secret_for(f, 1000);
	drop(f);
}

static void test_caller_goes_on_at_once(void **state)
{
	static const bool quietv[] = {false, true};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(quietv); i++) {
		struct fake *f = make_asking(&param);

		final(f, "four one");
		answer(f, 2);
		pass(f, 900);
		if (!quietv[i])
			speech(f, true);
		result(f, false, "nine");
		pass(f, 500);
		result(f, false, "nine nine");
		if (!quietv[i])
			speech(f, false);
		pass(f, 2900);
		assert_true(call_hides_words(f->call));
		f->text[0] = '\0';
		final(f, "nine nine");
		expect(f, "!|Tnine nine|h100|s|");
		drop(f);
	}
}

static void test_noise_is_no_sentence(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	answer(f, 2);
	speech(f, true);
	pass(f, 300);
	speech(f, false);
	expect_secret_for(f, 3000);
	drop(f);

	f = make_asking(&param);
	final(f, "four one");
	answer(f, 2);
	speech(f, true);
	pass(f, 1300);
	speech(f, false);
	pass(f, 500);
	assert_true(call_is_sensitive(f->call));
	final(f, ""); /* there were no words */
	pass(f, 0);
	assert_false(call_is_sensitive(f->call));
	drop(f);
}

static void test_music_has_no_end(void **state)
{
	struct fake *f = make_asking(&param);

	(void)state;
	final(f, "four one");
	speech(f, true);
	answer(f, 2);
	expect_secret_for(f, 20000);
	speech(f, false); /* and does not begin anew */
	assert_false(call_is_sensitive(f->call));
	drop(f);
}

/* ------------------------------------------------------ interims taken */

static void test_final_of_what_was_taken(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.endpoint_ms = 500;
	f = make_asking(&prm);
	result(f, false, "four one");
	pass(f, 500);
	expect(f, "Tfour one|s|");
	answer(f, 2);
	pass(f, 60000);
	assert_false(call_is_sensitive(f->call));
	assert_true(call_hides_words(f->call));
	f->text[0] = '\0';
	final(f, "four one");
	expect(f, "Utaken already:***|");
	assert_false(call_hides_words(f->call));
	drop(f);
}

static void test_late_final_after_the_end(void **state)
{
	struct call_param prm = param;
	struct fake *f = make_asking(&prm);

	(void)state;
	call_stop(f->call, CALL_END_CALLER);
	final(f, "four one");
	expect(f, "Ucall ending:***|");
	drop(f);

	prm.keys_sensitive = true;
	f = make_open(&prm);
	press(f, "12");
	call_drain(f->call, f->now_ms);
	final(f, "three four");
	expect(f, "!|Ucall ending:***|C1|Ucall ending:***|");
	drop(f);
}

/* What is lost for want of memory was none the less given */
static void test_number_without_memory(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.keys_sensitive = true;
	f = make_open(&prm);
	press(f, "12");
	mem_fail_after(0);
	press(f, "#");
	mem_fail_after(-1);
	expect(f, "Uno memory:***|");
	final(f, "twelve");
	expect(f, "Ttwelve|s|");
	drop(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_the_answer_is_heard),
		cmocka_unit_test(test_number_in_two_finals),
		cmocka_unit_test(test_replaced_turn_stays_secret),
		cmocka_unit_test(test_keys_and_words),
		cmocka_unit_test(test_all_keys_are_secret),
		cmocka_unit_test(test_question_stands),
		cmocka_unit_test(test_question_again),
		cmocka_unit_test(test_repeat_is_no_answer),
		cmocka_unit_test(test_audio_of_the_answer_fails),
		cmocka_unit_test(test_sentence_goes_on_over_the_answer),
		cmocka_unit_test(test_caller_goes_on_at_once),
		cmocka_unit_test(test_noise_is_no_sentence),
		cmocka_unit_test(test_music_has_no_end),
		cmocka_unit_test(test_final_of_what_was_taken),
		cmocka_unit_test(test_late_final_after_the_end),
		cmocka_unit_test(test_number_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

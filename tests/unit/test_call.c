/* The conversation, event by event: turns, answers, failures, the end */
#include <convod/metrics.h>
#include "call_fixture.h"

static void test_turn_and_answer(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	expect(f, "");
	final(f, " hello there\n");
	expect(f, "Thello there|");
	act(f, DIALOG_PLAY, "hi", "http://dm/x.mp3");
	act(f, DIALOG_SAY, "bye", NULL);
	done(f, 0);
	expect(f, "P1:http://dm/x.mp3|S2:bye|");
	started(f, 1);
	finished(f, 1);
	finished(f, 2);
	pass(f, 60000);
	expect(f, "");
	drop(f);
}

/* A question is answered, or somebody sees that it was not */
static void test_nothing_to_be_heard_is_counted(void **state)
{
	uint64_t before = metrics_counter(M_TURNS_SILENT);
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "hello");
	act(f, DIALOG_SET, "x", NULL);
	done(f, 0);
	assert_int_equal(metrics_counter(M_TURNS_SILENT) - before, 1);
	final(f, "hello");
	act(f, DIALOG_SAY, "hi", NULL);
	done(f, 0);
	finished(f, 1);
	final(f, "hello");
	done(f, EPROTO);
	final(f, "bye");
	act(f, DIALOG_HANGUP, NULL, NULL);
	done(f, 0);
	assert_int_equal(metrics_counter(M_TURNS_SILENT) - before, 1);
	drop(f);
}

static void test_opening_turn_speaks_first(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.opens = true;
	f = make(&prm);
	call_dialog_open(f->call, 0, f->now_ms);
	expect(f, "T|");
	/* what is said over the greeting's making waits */
	final(f, "hello");
	expect(f, "");
	act(f, DIALOG_SAY, "welcome", NULL);
	done(f, 0);
	expect(f, "S1:welcome|Thello|");
	drop(f);
}

static void test_finals_while_thinking_go_together(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	final(f, "two");
	final(f, "");
	final(f, "three");
	expect(f, "Tone|");
	done(f, 0);
	expect(f, "Ttwo three|");
	drop(f);
}

static void test_before_the_dialog_is_open(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	final(f, "early");
	expect(f, "");
	call_dialog_open(f->call, 0, f->now_ms);
	expect(f, "Tearly|");
	drop(f);
}

static void test_join(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.join_ms = 500;
	f = make(&prm);
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "make an appointment");
	pass(f, 400);
	final(f, "on tuesday");
	pass(f, 499);
	expect(f, "");
	pass(f, 1);
	expect(f, "Tmake an appointment on tuesday|");
	drop(f);
}

/* It is the breath that is short, not what comes after it */
static void test_join_waits_for_who_goes_on(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.join_ms = 500;
	f = make_open(&prm);
	final(f, "make an appointment");
	pass(f, 499);
	speech(f, true);
	pass(f, 3000);
	speech(f, false);
	pass(f, prm.resume_ms - 1);
	expect(f, "");
	final(f, "on tuesday");
	pass(f, 499);
	expect(f, "");
	pass(f, 1);
	expect(f, "Tmake an appointment on tuesday|");
	done(f, 0);

	/* the final is slower than the breath */
	speech(f, true);
	pass(f, 1000);
	speech(f, false);
	pass(f, 400);
	speech(f, true);
	final(f, "make an appointment");
	pass(f, 2000);
	speech(f, false);
	expect(f, "");
	final(f, "on tuesday");
	pass(f, 500);
	expect(f, "Tmake an appointment on tuesday|");
	done(f, 0);

	/* a cough, or music */
	final(f, "hello");
	speech(f, true);
	pass(f, 300);
	speech(f, false);
	pass(f, prm.resume_ms - 1);
	expect(f, "");
	pass(f, 1);
	expect(f, "Thello|");
	done(f, 0);
	final(f, "hello");
	for (int i = 0; i < 5; i++) {
		speech(f, true);
		pass(f, 600);
		speech(f, false);
		pass(f, 400);
	}
	speech(f, true);
	pass(f, 499);
	expect(f, "");
	pass(f, 1);
	expect(f, "Thello|");
	drop(f);

	/* without it the final decides */
	f = make_open(&param);
	speech(f, true);
	final(f, "hello");
	speech(f, false);
	speech(f, true);
	expect(f, "Thello|");
	drop(f);
}

static void test_final_interrupts_the_answer(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	act(f, DIALOG_SAY, "long answer", NULL);
	act(f, DIALOG_SAY, "and more", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	final(f, "stop");
	expect(f, "!|Tstop|h100|");
	/* late reports of what is void do nothing */
	started(f, 2);
	finished(f, 2);
	call_audio_failed(f->call, 2, EIO, f->now_ms);
	expect(f, "");
	drop(f);
}

static void test_failed_audio_is_spoken_then_apologised(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	act(f, DIALOG_PLAY, "the text", "http://dm/x");
	done(f, 0);
	f->text[0] = '\0';
	call_audio_failed(f->call, 1, ECONNREFUSED, f->now_ms);
	expect(f, "S1:the text|");
	call_audio_failed(f->call, 1, EIO, f->now_ms);
	expect(f, "A1|");
	/* nothing is left to be said, and is tried again */
	f->prompt_err = ENOBUFS;
	call_audio_failed(f->call, 1, EIO, f->now_ms);
	expect(f, "");
	pass(f, 999);
	expect(f, "A2|");
	f->prompt_err = 0;
	pass(f, 1);
	expect(f, "A3|");
	started(f, 3);
	finished(f, 3);
	pass(f, 60000);
	expect(f, "");
	drop(f);
}

/* One is enough for whatever else fails in the answer */
static void test_one_apology_for_an_answer(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	for (int i = 0; i < 5; i++)
		act(f, DIALOG_PLAY, NULL, "http://dm/x");
	f->text[0] = '\0';
	call_audio_failed(f->call, 2, EIO, f->now_ms);
	call_audio_failed(f->call, 1, EIO, f->now_ms);
	expect(f, "A2|P4:http://dm/x|");
	started(f, 2);
	/* a turn that fails meanwhile needs no other either */
	done(f, ETIMEDOUT);
	finished(f, 2);
	expect(f, "P5:http://dm/x|");
	started(f, 3);
	finished(f, 3);
	call_audio_failed(f->call, 4, EIO, f->now_ms);
	call_audio_failed(f->call, 5, EIO, f->now_ms);
	expect(f, "");
	final(f, "two");
	act(f, DIALOG_PLAY, NULL, "http://dm/y");
	call_audio_failed(f->call, 6, EIO, f->now_ms);
	expect(f, "Ttwo|P6:http://dm/y|A6|");
	drop(f);

	/* more that fail at once than are asked for at once: what follows */
	f = make_open(&param);
	final(f, "one");
	for (int i = 0; i < 8; i++)
		act(f, DIALOG_SAY, "lost", NULL);
	act(f, DIALOG_PLAY, NULL, "http://dm/z");
	f->say_err = f->prompt_err = ECONNREFUSED;
	f->text[0] = '\0';
	call_audio_failed(f->call, 2, EIO, f->now_ms);
	assert_non_null(strstr(f->text, "P9:http://dm/z|"));
	drop(f);
}

/* Without memory for any of it: the caller is owed an apology */
static void test_what_is_lost_for_want_of_memory(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	mem_fail_after(0);
	call_asr_state(f->call, ASR_DOWN, f->now_ms);
	pass(f, 2000);
	expect(f, "");
	mem_fail_after(-1);
	pass(f, 499);
	expect(f, "");
	pass(f, 1);
	expect(f, "A1|");
	finished(f, 1);

	mem_fail_after(0);
	final(f, "one");
	expect(f, "Uno memory:one|");
	mem_fail_after(-1);
	pass(f, 500);
	expect(f, "A2|");
	finished(f, 2);

	final(f, "two");
	mem_fail_after(0);
	act(f, DIALOG_SAY, "lost", NULL);
	done(f, 0);
	mem_fail_after(-1);
	pass(f, 0);
	expect(f, "Ttwo|A3|");
	finished(f, 3);
	pass(f, 60000);
	expect(f, "");

	final(f, "three");
	mem_fail_after(0);
	pass(f, 6000);
	expect(f, "Tthree|");
	mem_fail_after(-1);
	pass(f, 500);
	expect(f, "W4|");
	drop(f);
}

/* What is lost may interrupt the bot: not the apology for it */
static void test_lost_words_that_interrupt(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "hello");
	act(f, DIALOG_SAY, "One.", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	mem_fail_all(0, 1);
	final(f, "stop");
	mem_fail_all(-1, 0);
	pass(f, 0);
	expect(f, "Uno memory:stop|!|A2|");
	drop(f);
}

static void test_without_a_voice_a_text_is_apologised(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.has_voice = false;
	f = make(&prm);
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "one");
	act(f, DIALOG_SAY, "text", NULL);
	done(f, 0);
	expect(f, "Tone|A1|");
	drop(f);
}

static void test_failed_turn_apologises_and_goes_on(void **state)
{
	static const int errv[] = {EPROTO, ETIMEDOUT, ECONNREFUSED, EREMOTEIO};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(errv); i++) {
		struct fake *f = make(&param);

		call_dialog_open(f->call, 0, f->now_ms);
		final(f, "one");
		done(f, errv[i]);
		expect(f, "Tone|A1|");
		finished(f, 1);
		final(f, "two");
		expect(f, "Ttwo|");
		drop(f);
	}
}

static void test_turn_that_cannot_be_sent(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	f->turn_err = ENOMEM;
	final(f, "one");
	expect(f, "Tone|Uturn not taken:one|A1|");
	assert_int_equal(call_ended(f->call), CALL_UP);
	drop(f);
}

static void test_dialog_that_does_not_open(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.opens = true;
	f = make(&prm);
	call_dialog_open(f->call, ECONNREFUSED, f->now_ms);
	expect(f, "A1|");
	finished(f, 1);
	final(f, "anybody there");
	expect(f, "Tanybody there|");
	drop(f);
}

static void test_never_silent_while_waiting(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	f->text[0] = '\0';
	pass(f, 5999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W1|");
	started(f, 1);
	pass(f, 1500);
	finished(f, 1);
	pass(f, 5999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W2|");
	drop(f);
}

/* One wait follows the other: it is one silence to the caller */
static void test_never_silent_while_one_answer_follows_another(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.opens = true;
	f = make(&prm);
	pass(f, 3000);
	call_dialog_open(f->call, 0, f->now_ms);
	expect(f, "T|");
	pass(f, 1000);
	final(f, "hello");
	done(f, 0);
	expect(f, "Thello|");
	act(f, DIALOG_SAY, "a", NULL);
	expect(f, "S1:a|");
	pass(f, 1999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W2|");
	drop(f);
}

/* An interim that comes late is not said again */
static void test_late_interims_are_known(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.endpoint_ms = 500;
	f = make_open(&prm);
	speech(f, true);
	result(f, false, "one two");
	speech(f, false);
	pass(f, 500);
	expect(f, "Tone two|");
	done(f, 0);
	result(f, false, "one");
	pass(f, 5000);
	expect(f, "");
	final(f, "one two");
	expect(f, "Utaken already:one two|");
	result(f, false, "one");
	pass(f, 5000);
	expect(f, "");
	/* the same word again is another one */
	for (unsigned i = 0; i < 2; i++) {
		speech(f, true);
		result(f, false, "one");
		speech(f, false);
		pass(f, 500);
		expect(f, "Tone|");
		done(f, 0);
		result(f, false, "one");
		pass(f, 4000);
		expect(f, "");
	}
	/* it goes on after a pause */
	result(f, false, "one by");
	pass(f, 500);
	expect(f, "Tby|");
	drop(f);
}

/* Nor before a goodbye whose audio takes long, nor for ever */
static void test_never_silent_before_the_goodbye(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	done(f, 0);
	pass(f, 5999);
	expect(f, "Tbye|S1:goodbye|");
	for (uint32_t i = 2; i < 5; i++) {
		pass(f, 1);
		assert_int_equal(f->text[0], 'W');
		started(f, i);
		pass(f, 1000);
		finished(f, i);
		f->text[0] = '\0';
		pass(f, 5999);
		expect(f, "");
	}
	pass(f, 60000);
	assert_int_equal(call_ended(f->call), CALL_END_BOT);
	drop(f);
}

/* What an interim brings while the call ends is in its final, if at all */
static void test_interims_are_not_taken_at_the_end(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.endpoint_ms = 500;
	f = make_open(&prm);
	speech(f, true);
	result(f, false, "one two");
	speech(f, false);
	call_drain(f->call, f->now_ms);
	expect(f, "!|C1|");
	pass(f, 1000);
	final(f, "one two");
	expect(f, "Ucall ending:one two|");
	drop(f);
}

/* Keys that were secret stay so, whatever is asked for meanwhile */
static void test_secret_keys_stay_secret(void **state)
{
	struct dialog_act a = {.type = DIALOG_COLLECT, .sensitive = true};
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	call_act(f->call, &a, f->now_ms);
	done(f, 0);
	press(f, "12");
	final(f, "two");
	expect(f, "Tone|Ttwo|s|");
	assert_true(call_is_sensitive(f->call));
	call_drain(f->call, f->now_ms);
	expect(f, "c|!|Ucall ending:***|C1|");
	final(f, "three");
	expect(f, "Ucall ending:***|");
	drop(f);
}

static void test_unsent_without_memory(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	call_stop(f->call, CALL_END_CALLER);
	mem_fail_after(0);
	final(f, " wait");
	mem_fail_after(-1);
	expect(f, "Ucall ending:wait|");
	drop(f);
}

static void test_interim_without_memory(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.endpoint_ms = 500;
	f = make_open(&prm);
	result(f, false, "one");
	mem_fail_after(0);
	result(f, false, "one two");
	mem_fail_after(-1);
	pass(f, 5000);
	expect(f, "");
	final(f, "one two");
	expect(f, "Tone two|");
	drop(f);
}

static void test_nothing_comes_after_the_end(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.repeat_max = 1;
	prm.filler_ms = 1000;
	f = make_open(&prm);
	for (uint32_t i = 1; i < 3; i++) {
		final(f, "x");
		act(f, DIALOG_SAY, "again", NULL);
		if (i < 2)
			done(f, 0);
		started(f, i);
		finished(f, i);
	}
	final(f, "x");
	f->text[0] = '\0';
	done(f, 0);
	expect(f, "Tx|");
	act(f, DIALOG_SAY, "again", NULL);
	started(f, 3);
	finished(f, 3);
	pass(f, 1000);
	expect(f, "S3:again|F1|");
	done(f, 0);
	expect(f, "F0|Hrepeated|");
	drop(f);
}

static void test_never_silent_while_the_dialog_opens(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	pass(f, 5999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W1|");
	finished(f, 1);
	call_dialog_open(f->call, 0, f->now_ms);
	pass(f, 60000);
	expect(f, "");
	drop(f);
}

static void test_hang_up_when_the_goodbye_fails(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	done(f, 0);
	f->prompt_err = ENOMEM;
	call_audio_failed(f->call, 1, ETIMEDOUT, f->now_ms);
	expect(f, "Tbye|S1:goodbye|A1|Hbot|");
	drop(f);
}

static void test_hang_up_after_the_goodbye_is_heard(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	act(f, DIALOG_SAY, "never said", NULL);
	done(f, 0);
	expect(f, "Tbye|S1:goodbye|");
	final(f, "wait"); /* too late: recorded, not sent */
	expect(f, "Ucall ending:wait|");
	finished(f, 1);
	expect(f, "Hbot|");
	final(f, "hello?");
	pass(f, 100000);
	call_drain(f->call, f->now_ms);
	expect(f, "Ucall ending:hello?|");
	drop(f);
}

static void test_hang_up_without_words(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_TRANSFER, "+15005550009", NULL);
	expect(f, "Tbye|X4:+15005550009|Htransfer|");
	assert_int_equal(call_ended(f->call), CALL_END_TRANSFER);
	drop(f);
}

/* The goodbye's audio fails, and so does the apology that would stand in */
static void test_hang_up_without_a_voice(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "bye");
	act(f, DIALOG_PLAY, NULL, "http://dm/bye.mp3");
	act(f, DIALOG_HANGUP, NULL, NULL);
	done(f, 0);
	expect(f, "Tbye|P1:http://dm/bye.mp3|");
	f->prompt_err = ENOBUFS;
	call_audio_failed(f->call, 1, EREMOTEIO, f->now_ms);
	expect(f, "A1|Hbot|");
	drop(f);
}

static void test_too_long(void **state)
{
	struct call_param prm = param;
	struct fake *f;

	(void)state;
	prm.max_ms = 30000;
	f = make(&prm);
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "one");
	act(f, DIALOG_SAY, "a", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	pass(f, 30000);
	expect(f, "!|C2|");
	finished(f, 2);
	expect(f, "Htoo_long|");
	drop(f);
}

static void test_drain_cancels_and_says_so(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "one");
	f->text[0] = '\0';
	call_drain(f->call, f->now_ms);
	expect(f, "c|!|C1|");
	done(f, 0); /* cannot come, but must not matter */
	finished(f, 1);
	expect(f, "Hshutdown|");
	drop(f);
}

static void test_drain_without_memory_for_a_sentence(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	f->prompt_err = ENOMEM;
	call_drain(f->call, f->now_ms);
	expect(f, "!|C1|Hshutdown|");
	drop(f);
}

static void test_deaf_recogniser_is_told_once(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	call_asr_state(f->call, ASR_BROKEN, f->now_ms);
	pass(f, CALL_DEAF_AFTER_MS - 1);
	expect(f, "");
	pass(f, 1);
	expect(f, "A1|");
	finished(f, 1);
	call_asr_state(f->call, ASR_BROKEN, f->now_ms);
	pass(f, 60000);
	expect(f, "");
	call_asr_state(f->call, ASR_UP, f->now_ms);
	call_asr_state(f->call, ASR_BROKEN, f->now_ms);
	call_asr_state(f->call, ASR_UP, f->now_ms); /* back in time */
	pass(f, 60000);
	expect(f, "");
	call_asr_state(f->call, ASR_DOWN, f->now_ms);
	expect(f, "A2|");
	drop(f);
}

static void test_hanging_recogniser(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;

	/* a cough and nothing else is no fault */
	call_speech(f->call, true, f->now_ms);
	pass(f, 300);
	call_speech(f->call, false, f->now_ms);
	pass(f, 20000);
	expect(f, "");

	call_speech(f->call, true, f->now_ms);
	pass(f, 4000);
	call_speech(f->call, false, f->now_ms);
	pass(f, 4000);
	expect(f, "A1|");
	drop(f);
}

static void test_rejected_speech(void **state)
{
	struct asr_result res = {.final = true, .rejected = true, .text = ""};
	struct fake *f = make_open(&param);

	(void)state;
	call_result(f->call, &res, f->now_ms);
	expect(f, "T|r|");
	act(f, DIALOG_SAY, "pardon", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';
	call_result(f->call, &res, f->now_ms); /* noise over the bot */
	expect(f, "");
	drop(f);
}

static void test_pending_is_bounded(void **state)
{
	struct fake *f = make(&param);
	char word[1000];

	(void)state;
	memset(word, 'a', sizeof(word));
	word[sizeof(word) - 1] = '\0';
	for (int i = 0; i < 100; i++)
		final(f, word);
	assert_non_null(strstr(f->text, "Utoo long:aaa"));
	call_stop(f->call, CALL_END_CALLER);
	assert_int_equal(call_ended(f->call), CALL_END_CALLER);
	drop(f);
}

static void test_many_acts_are_bounded(void **state)
{
	struct fake *f = make_open(&param);

	(void)state;
	final(f, "x");
	for (int i = 0; i < 2 * CALL_UTTERANCES_MAX; i++)
		act(f, DIALOG_SAY, "y", NULL);
	done(f, 0);
	/* asked for as they are needed, each once */
	assert_int_equal(f->n, 1 + CALL_AHEAD);
	for (uint32_t id = 1; id <= CALL_UTTERANCES_MAX; id++) {
		started(f, id);
		finished(f, id);
		f->text[0] = '\0';
	}
	assert_int_equal(f->n, 0);
	started(f, CALL_UTTERANCES_MAX + 1);
	drop(f);
}

static int whole_call(void *arg)
{
	struct asr_result res = {.final = true, .text = "hello"};
	struct dialog_act a = {.type = DIALOG_PLAY,
			       .text = "t",
			       .url = "u",
			       .origin = "http://dm:80"};
	struct fake f = {.now_ms = 1};
	int err = call_alloc(&f.call, arg, &ops, &f, 1);

	if (err)
		return err;

	call_dialog_open(f.call, 0, 1);
	call_result(f.call, &res, 1);
	call_act(f.call, &a, 1);
	call_done(f.call, 0, 1);
	call_stop(f.call, CALL_END_CALLER);
	/* without memory for the words there was no turn */
	err = strstr(f.text, "Thello") && strstr(f.text, "P1") ? 0 : ENOMEM;
	mem_deref(f.call);

	return err;
}

static void test_out_of_memory(void **state)
{
	struct call_param prm = param;

	(void)state;
	oom_loop(whole_call, &prm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_turn_and_answer),
		cmocka_unit_test(test_nothing_to_be_heard_is_counted),
		cmocka_unit_test(test_opening_turn_speaks_first),
		cmocka_unit_test(test_finals_while_thinking_go_together),
		cmocka_unit_test(test_before_the_dialog_is_open),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_join_waits_for_who_goes_on),
		cmocka_unit_test(test_final_interrupts_the_answer),
		cmocka_unit_test(test_failed_audio_is_spoken_then_apologised),
		cmocka_unit_test(test_one_apology_for_an_answer),
		cmocka_unit_test(test_what_is_lost_for_want_of_memory),
		cmocka_unit_test(test_lost_words_that_interrupt),
		cmocka_unit_test(test_without_a_voice_a_text_is_apologised),
		cmocka_unit_test(test_failed_turn_apologises_and_goes_on),
		cmocka_unit_test(test_turn_that_cannot_be_sent),
		cmocka_unit_test(test_dialog_that_does_not_open),
		cmocka_unit_test(test_never_silent_while_waiting),
		cmocka_unit_test(test_hang_up_after_the_goodbye_is_heard),
		cmocka_unit_test(test_hang_up_without_words),
		cmocka_unit_test(test_hang_up_without_a_voice),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_drain_cancels_and_says_so),
		cmocka_unit_test(test_drain_without_memory_for_a_sentence),
		cmocka_unit_test(test_deaf_recogniser_is_told_once),
		cmocka_unit_test(test_hanging_recogniser),
		cmocka_unit_test(test_never_silent_while_the_dialog_opens),
		cmocka_unit_test(
			test_never_silent_while_one_answer_follows_another),
		cmocka_unit_test(test_late_interims_are_known),
		cmocka_unit_test(test_never_silent_before_the_goodbye),
		cmocka_unit_test(test_interims_are_not_taken_at_the_end),
		cmocka_unit_test(test_secret_keys_stay_secret),
		cmocka_unit_test(test_unsent_without_memory),
		cmocka_unit_test(test_interim_without_memory),
		cmocka_unit_test(test_nothing_comes_after_the_end),
		cmocka_unit_test(test_hang_up_when_the_goodbye_fails),
		cmocka_unit_test(test_rejected_speech),
		cmocka_unit_test(test_pending_is_bounded),
		cmocka_unit_test(test_many_acts_are_bounded),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

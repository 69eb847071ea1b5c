/* The conversation, event by event. The fake below notes every operation:
 * "T<text>" turn, "c" cancel, "S<n>:<text>" say, "P<n>:<url>" play,
 * "A<n>" "W<n>" "C<n>" prompt, "!" stop speaking, "H<end>" */
#include <stdio.h>
#include <convod/call.h>
#include "test.h"

struct fake {
	char text[2048];
	struct call *call;
	uint64_t now_ms;
	uint32_t playing[64]; /* utterances not finished */
	size_t n;
	int turn_err, say_err, play_err, prompt_err;
};

static void note(struct fake *f, char what, uint32_t id, const char *s)
{
	size_t n = strlen(f->text);

	if (id)
		n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%c%u",
				      what, id);
	else
		n += (size_t)snprintf(f->text + n, sizeof(f->text) - n, "%c",
				      what);
	(void)snprintf(f->text + n, sizeof(f->text) - n, "%s%s|",
		       id && s ? ":" : "", s ? s : "");
}

static int turn_op(const struct dialog_turn *t, void *arg)
{
	struct fake *f = arg;

	note(f, 'T', 0, t->text);
	if (t->interrupted)
		note(f, 'h', t->heard_ms, NULL);
	if (t->kind == DIALOG_NOISE)
		note(f, 'r', 0, NULL);
	if (t->kind == DIALOG_KEYS)
		note(f, 'k', 0, NULL);

	return f->turn_err;
}

static void cancel_op(void *arg)
{
	note(arg, 'c', 0, NULL);
}

static void put(struct fake *f, uint32_t id)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->playing[i] == id)
			return;
	}
	f->playing[f->n++] = id;
}

static int say_op(uint32_t id, const char *text, void *arg)
{
	struct fake *f = arg;

	note(f, 'S', id, text);
	if (!f->say_err)
		put(f, id);

	return f->say_err;
}

static int play_op(uint32_t id, const char *url, const char *origin, void *arg)
{
	struct fake *f = arg;

	assert_string_equal(origin, "http://dm:80");
	note(f, 'P', id, url);
	if (!f->play_err)
		put(f, id);

	return f->play_err;
}

static int prompt_op(uint32_t id, enum call_prompt prompt, bool first,
		     void *arg)
{
	struct fake *f = arg;

	assert_int_equal(first, prompt == CALL_PROMPT_WAIT);
	note(f, "AWC"[prompt], id, NULL);
	if (!f->prompt_err)
		put(f, id);

	return f->prompt_err;
}

static void stop_op(void *arg)
{
	struct fake *f = arg;
	size_t n = f->n;

	note(f, '!', 0, NULL);
	f->n = 0;
	for (size_t i = 0; i < n; i++)
		call_finished(f->call, f->playing[i], false, f->now_ms);
}

static uint32_t heard_op(uint32_t id, void *arg)
{
	(void)arg;
	return id * 100;
}

static void hang_up_op(enum call_end end, void *arg)
{
	note(arg, 'H', 0, call_end_name(end));
}

static const struct call_ops ops = {
	.turn = turn_op,
	.cancel_turn = cancel_op,
	.say = say_op,
	.play = play_op,
	.prompt = prompt_op,
	.stop_speaking = stop_op,
	.heard_ms = heard_op,
	.hang_up = hang_up_op,
};

static const struct call_param param = {
	.id = "CA1",
	.language = "en-US",
	.silence_limit_ms = 6000,
	.max_ms = 3600000,
	.has_voice = true,
};

static struct fake *make(const struct call_param *prm)
{
	struct fake *f = mem_zalloc(sizeof(*f), NULL);

	assert_non_null(f);
	f->now_ms = 1000;
	assert_int_equal(call_alloc(&f->call, prm, &ops, f, f->now_ms), 0);

	return f;
}

static void drop(struct fake *f)
{
	mem_deref(f->call);
	mem_deref(f);
	assert_int_equal(mem_blocks(), 0);
}

/* Let time pass, ticking when the call asks for it */
static void pass(struct fake *f, uint64_t ms)
{
	uint64_t end = f->now_ms + ms;

	while (call_next_ms(f->call) <= end) {
		f->now_ms = MAX(f->now_ms, call_next_ms(f->call));
		call_tick(f->call, f->now_ms);
	}
	f->now_ms = end;
}

static void expect(struct fake *f, const char *want)
{
	assert_string_equal(f->text, want);
	f->text[0] = '\0';
}

static void final(struct fake *f, const char *text)
{
	struct asr_result res = {.final = true, .text = text};

	call_result(f->call, &res, f->now_ms);
}

static void act(struct fake *f, enum dialog_act_type type, const char *text,
		const char *url)
{
	struct dialog_act a = {.type = type,
			       .text = text,
			       .url = url,
			       .origin = "http://dm:80"};

	call_act(f->call, &a, f->now_ms);
}

static void done(struct fake *f, int err)
{
	call_done(f->call, err, f->now_ms);
}

static void finished(struct fake *f, uint32_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->playing[i] != id)
			f->playing[n++] = f->playing[i];
	}
	f->n = n;
	call_finished(f->call, id, true, f->now_ms);
}

static void test_turn_and_answer(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	expect(f, "");
	final(f, " hello there\n");
	expect(f, "Thello there|");
	act(f, DIALOG_PLAY, "hi", "http://dm/x.mp3");
	act(f, DIALOG_SAY, "bye", NULL);
	done(f, 0);
	expect(f, "P1:http://dm/x.mp3|S2:bye|");
	call_started(f->call, 1, f->now_ms);
	finished(f, 1);
	finished(f, 2);
	pass(f, 60000);
	expect(f, "");
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
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

static void test_final_interrupts_the_answer(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "one");
	act(f, DIALOG_SAY, "long answer", NULL);
	act(f, DIALOG_SAY, "and more", NULL);
	done(f, 0);
	call_started(f->call, 1, f->now_ms);
	f->text[0] = '\0';
	final(f, "stop");
	expect(f, "!|Tstop|h100|");
	/* late reports of what is void do nothing */
	call_started(f->call, 2, f->now_ms);
	finished(f, 2);
	call_audio_failed(f->call, 2, EIO, f->now_ms);
	expect(f, "");
	drop(f);
}

static void test_failed_audio_is_spoken_then_apologised(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "one");
	act(f, DIALOG_PLAY, "the text", "http://dm/x");
	done(f, 0);
	f->text[0] = '\0';
	call_audio_failed(f->call, 1, ECONNREFUSED, f->now_ms);
	expect(f, "S1:the text|");
	call_audio_failed(f->call, 1, EIO, f->now_ms);
	expect(f, "A1|");
	call_audio_failed(f->call, 1, EIO, f->now_ms);
	expect(f, "");
	pass(f, 60000);
	expect(f, "");
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	f->turn_err = ENOMEM;
	final(f, "one");
	expect(f, "Tone|A1|");
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "one");
	f->text[0] = '\0';
	pass(f, 5999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W1|");
	call_started(f->call, 1, f->now_ms);
	pass(f, 1500);
	finished(f, 1);
	pass(f, 5999);
	expect(f, "");
	pass(f, 1);
	expect(f, "W2|");
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "bye");
	act(f, DIALOG_SAY, "goodbye", NULL);
	act(f, DIALOG_HANGUP, NULL, NULL);
	act(f, DIALOG_SAY, "never said", NULL);
	done(f, 0);
	expect(f, "Tbye|S1:goodbye|");
	final(f, "wait"); /* too late: recorded, not sent */
	expect(f, "");
	finished(f, 1);
	expect(f, "Hbot|");
	final(f, "hello?");
	pass(f, 100000);
	call_drain(f->call, f->now_ms);
	expect(f, "");
	drop(f);
}

static void test_hang_up_without_words(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "bye");
	act(f, DIALOG_TRANSFER, "+15005550009", NULL);
	expect(f, "Tbye|Htransfer|");
	assert_int_equal(call_ended(f->call), CALL_END_TRANSFER);
	drop(f);
}

/* The goodbye's audio fails, and so does the apology that would stand in */
static void test_hang_up_without_a_voice(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
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
	call_started(f->call, 1, f->now_ms);
	f->text[0] = '\0';
	pass(f, 30000);
	expect(f, "!|C2|");
	finished(f, 2);
	expect(f, "Htoo_long|");
	drop(f);
}

static void test_drain_cancels_and_says_so(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
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

static void test_keys(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	for (const char *s = "4729#"; *s; s++)
		call_dtmf(f->call, *s, f->now_ms);
	expect(f, "T4729|k|");
	done(f, 0);
	call_dtmf(f->call, '1', f->now_ms);
	pass(f, CALL_DTMF_PAUSE_MS - 1);
	expect(f, "");
	pass(f, 1);
	expect(f, "T1|k|");
	done(f, 0);
	call_dtmf(f->call, '#', f->now_ms);
	expect(f, "T#|k|");
	done(f, 0);
	for (int i = 0; i < 200; i++)
		call_dtmf(f->call, '5', f->now_ms);
	assert_true(strlen(f->text) > CALL_DTMF_MAX);
	drop(f);
}

static void test_deaf_recogniser_is_told_once(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);

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
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	call_result(f->call, &res, f->now_ms);
	expect(f, "T|r|");
	act(f, DIALOG_SAY, "pardon", NULL);
	done(f, 0);
	call_started(f->call, 1, f->now_ms);
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
	call_stop(f->call, CALL_END_CALLER);
	assert_int_equal(call_ended(f->call), CALL_END_CALLER);
	drop(f);
}

static void test_many_acts_are_bounded(void **state)
{
	struct fake *f = make(&param);

	(void)state;
	call_dialog_open(f->call, 0, f->now_ms);
	final(f, "x");
	for (int i = 0; i < 100; i++)
		act(f, DIALOG_SAY, "y", NULL);
	assert_int_equal(f->n, CALL_UTTERANCES_MAX);
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
		cmocka_unit_test(test_opening_turn_speaks_first),
		cmocka_unit_test(test_finals_while_thinking_go_together),
		cmocka_unit_test(test_before_the_dialog_is_open),
		cmocka_unit_test(test_join),
		cmocka_unit_test(test_final_interrupts_the_answer),
		cmocka_unit_test(test_failed_audio_is_spoken_then_apologised),
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
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_deaf_recogniser_is_told_once),
		cmocka_unit_test(test_hanging_recogniser),
		cmocka_unit_test(test_never_silent_while_the_dialog_opens),
		cmocka_unit_test(test_hang_up_when_the_goodbye_fails),
		cmocka_unit_test(test_rejected_speech),
		cmocka_unit_test(test_pending_is_bounded),
		cmocka_unit_test(test_many_acts_are_bounded),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

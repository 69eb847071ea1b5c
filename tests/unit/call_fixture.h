/**
 * @file call_fixture.h  A conversation and a world that notes what it asks for
 *
 * "T<text>" turn (with "h<ms>:<heard>" if interrupted, "r" noise, "k" keys,
 * "n" nobody, "s" or "ks" sensitive), "c" cancel, "S<n>:<text>" say, "P<n>:<url>" play, "A<n>" "W<n>"
 * "C<n>" "N<n>" "H<n>" "G<n>" prompt (apology, wait, closing, warning, hello,
 * greeting), "Z<n>:<ms>" pause, "F1" "F0" filler, "!" stop speaking, "(" hold,
 * ")" resume, "U<why>:<text>" unsent, "X<type>:<text>" act, "H<end>" hang up
 */
#ifndef CONVOD_CALL_FIXTURE_H
#define CONVOD_CALL_FIXTURE_H

#include <stdio.h>
#include <convod/call.h>
#include "test.h"

struct fake {
	char text[4096];
	struct call *call;
	uint64_t now_ms;
	uint32_t playing[CALL_UTTERANCES_MAX]; /* not finished */
	size_t n;
	struct call_heard heard; /* of any utterance */
	int turn_err, say_err, play_err, prompt_err;
};

static inline void note(struct fake *f, const char *what, const char *s)
{
	size_t n = strlen(f->text);

	(void)snprintf(f->text + n, sizeof(f->text) - n, "%s%s|", what, s);
}

static inline void note_id(struct fake *f, char what, uint32_t id,
			   const char *s)
{
	char buf[32];

	(void)snprintf(buf, sizeof(buf), "%c%u%s", what, id, s ? ":" : "");
	note(f, buf, s ? s : "");
}

static int turn_op(const struct dialog_turn *t, void *arg)
{
	struct fake *f = arg;

	note(f, "T", t->text);
	if (t->interrupted)
		note_id(f, 'h', t->heard_ms, *t->heard ? t->heard : NULL);
	if (t->kind == DIALOG_NOISE)
		note(f, "r", "");
	if (t->kind == DIALOG_KEYS)
		note(f, t->sensitive ? "ks" : "k", "");
	else if (t->sensitive)
		note(f, "s", "");
	if (t->kind == DIALOG_NOBODY)
		note(f, "n", "");

	return f->turn_err;
}

static void cancel_op(void *arg)
{
	note(arg, "c", "");
}

static inline void put(struct fake *f, uint32_t id)
{
	for (size_t i = 0; i < f->n; i++) {
		if (f->playing[i] == id)
			return;
	}
	assert_true(f->n < ARRAY_SIZE(f->playing));
	f->playing[f->n++] = id;
}

static int say_op(uint32_t id, const struct call_sound *s, void *arg)
{
	struct fake *f = arg;

	note_id(f, 'S', id, s->text);
	if (!f->say_err)
		put(f, id);

	return f->say_err;
}

static int play_op(uint32_t id, const struct call_sound *s, void *arg)
{
	struct fake *f = arg;

	assert_string_equal(s->origin, "http://dm:80");
	note_id(f, 'P', id, s->url);
	if (!f->play_err)
		put(f, id);

	return f->play_err;
}

static int prompt_op(uint32_t id, enum call_prompt prompt, bool first,
		     void *arg)
{
	struct fake *f = arg;

	assert_int_equal(first, prompt == CALL_PROMPT_WAIT);
	note_id(f, "AWCNHG"[prompt], id, NULL);
	if (!f->prompt_err)
		put(f, id);

	return f->prompt_err;
}

static int pause_op(uint32_t id, uint32_t ms, void *arg)
{
	char buf[16];

	(void)snprintf(buf, sizeof(buf), "%u", ms);
	note_id(arg, 'Z', id, buf);
	put(arg, id);

	return 0;
}

static void filler_op(bool on, void *arg)
{
	note(arg, on ? "F1" : "F0", "");
}

static void stop_op(void *arg)
{
	struct fake *f = arg;
	size_t n = f->n;

	note(f, "!", "");
	f->n = 0;
	for (size_t i = 0; i < n; i++)
		call_finished(f->call, f->playing[i], false, f->now_ms);
}

static void hold_op(void *arg)
{
	note(arg, "(", "");
}

static void resume_op(void *arg)
{
	note(arg, ")", "");
}

static void heard_op(uint32_t id, struct call_heard *h, void *arg)
{
	const struct fake *f = arg;

	(void)id;
	*h = f->heard;
}

static void unsent_op(const char *text, enum call_unsent why, void *arg)
{
	char buf[40];

	(void)snprintf(buf, sizeof(buf), "U%s:", call_unsent_name(why));
	note(arg, buf, text);
}

static void act_op(const struct dialog_act *act, void *arg)
{
	note_id(arg, 'X', act->type, act->text);
}

static void hang_up_op(enum call_end end, void *arg)
{
	note(arg, "H", call_end_name(end));
}

static const struct call_ops ops = {
	.turn = turn_op,
	.cancel_turn = cancel_op,
	.say = say_op,
	.play = play_op,
	.prompt = prompt_op,
	.pause = pause_op,
	.filler = filler_op,
	.stop_speaking = stop_op,
	.hold = hold_op,
	.resume = resume_op,
	.heard = heard_op,
	.unsent = unsent_op,
	.act = act_op,
	.hang_up = hang_up_op,
};

static const struct call_param param = {
	.id = "CA1",
	.language = "en-US",
	.barge_in = CALL_BARGE_VAD,
	.barge_words = 2,
	.resume_ms = 1000,
	.digits_ms = 2000,
	.finish = "#",
	.silence_limit_ms = 6000,
	.max_ms = 3600000,
	.has_voice = true,
};

static inline struct fake *make(const struct call_param *prm)
{
	struct fake *f = mem_zalloc(sizeof(*f), NULL);

	assert_non_null(f);
	f->now_ms = 1000;
	f->heard.ms = 100;
	assert_int_equal(call_alloc(&f->call, prm, &ops, f, f->now_ms), 0);
	call_tick(f->call, f->now_ms);

	return f;
}

/* A call whose dialog manager is at hand */
static inline struct fake *make_open(const struct call_param *prm)
{
	struct fake *f = make(prm);

	call_dialog_open(f->call, 0, f->now_ms);

	return f;
}

static inline void drop(struct fake *f)
{
	mem_deref(f->call);
	mem_deref(f);
	assert_int_equal(mem_blocks(), 0);
}

/* Let time pass, ticking when the call asks for it */
static inline void pass(struct fake *f, uint64_t ms)
{
	uint64_t end = f->now_ms + ms;

	while (call_next_ms(f->call) <= end) {
		f->now_ms = MAX(f->now_ms, call_next_ms(f->call));
		call_tick(f->call, f->now_ms);
	}
	f->now_ms = end;
}

static inline void expect(struct fake *f, const char *want)
{
	assert_string_equal(f->text, want);
	f->text[0] = '\0';
}

static inline void result(struct fake *f, bool final, const char *text)
{
	struct asr_result res = {.final = final, .text = text};

	call_result(f->call, &res, f->now_ms);
}

static inline void final(struct fake *f, const char *text)
{
	result(f, true, text);
}

static inline void act(struct fake *f, enum dialog_act_type type,
		       const char *text, const char *url)
{
	struct dialog_act a = {.type = type,
			       .text = text,
			       .url = url,
			       .origin = "http://dm:80"};

	call_act(f->call, &a, f->now_ms);
}

static inline void done(struct fake *f, int err)
{
	call_done(f->call, err, f->now_ms);
}

static inline void speech(struct fake *f, bool speaking)
{
	call_speech(f->call, speaking, f->now_ms);
}

static inline void press(struct fake *f, const char *keys)
{
	while (*keys)
		call_dtmf(f->call, *keys++, f->now_ms);
}

static inline void started(struct fake *f, uint32_t id)
{
	call_started(f->call, id, f->now_ms);
}

static inline void finished(struct fake *f, uint32_t id)
{
	size_t n = 0;

	for (size_t i = 0; i < f->n; i++) {
		if (f->playing[i] != id)
			f->playing[n++] = f->playing[i];
	}
	f->n = n;
	call_finished(f->call, id, true, f->now_ms);
}

/* The bot is in the middle of an answer: of "one", utterance 1 */
static inline struct fake *make_speaking(const struct call_param *prm)
{
	struct fake *f = make_open(prm);

	final(f, "one");
	act(f, DIALOG_SAY, "a long answer", NULL);
	done(f, 0);
	started(f, 1);
	f->text[0] = '\0';

	return f;
}

#endif

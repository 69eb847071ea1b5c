/**
 * @file call_priv.h  The conversation inside; see the diagram in call.c
 */
#ifndef CONVOD_CALL_PRIV_H
#define CONVOD_CALL_PRIV_H

#include <convod/call.h>

#define NEVER UINT64_MAX

/** What the bot says once and maybe again; reference counted */
struct sound {
	char *text; /* what is spoken, or what the audio says; or NULL */
	char *voice;
	char *language;
	char *url;
	char *origin;
	struct clip *clip;
	bool protect; /* the caller hears all of it */
};

enum utterance_kind { U_SAY, U_PLAY, U_PROMPT, U_PAUSE };

/** Something the bot says, from the act to its end */
struct utterance {
	struct le le;
	uint32_t id;
	uint32_t answer; /* that it is part of, 0: none */
	enum utterance_kind kind;
	enum call_prompt prompt;
	uint32_t ms;         /* of a pause */
	struct sound *sound; /* SAY and PLAY */
	bool asked;          /* its audio is on the way */
	bool started;        /* some of it has left */
	bool protect;        /* nobody interrupts it */
};

/** What the caller said or keyed in */
struct said {
	char *text;
	bool spoken;
	bool noise; /* the recogniser rejected what it heard */
	bool sensitive;
};

struct call {
	struct call_param prm;
	char *id;
	char *language;
	const struct call_ops *ops;
	void *arg;
	uint64_t start_ms;
	bool in_op; /* inside an operation that may report call_finished() */

	/* turn.c: from what was said to a turn */
	bool ready;     /* the dialog manager's session is settled */
	bool thinking;  /* a turn is in flight */
	bool overtaken; /* nobody wants to hear its answer any more */
	bool waits;     /* pending, until the bot has finished */
	enum dialog_turn_kind asked; /* the turn in flight, or the last */
	struct said pending;         /* said and not yet sent */
	struct said sent;            /* in the turn in flight, to replace it */
	uint64_t decide_ms;          /* when pending becomes a turn */
	bool goes_on;                /* the caller speaks again before that */
	uint64_t breath_ms;          /* how long it can wait for them */
	uint64_t asked_ms;

	/* hear.c: from the recogniser */
	char *interim; /* only with turn.endpoint_ms */
	char *taken;   /* an interim that was taken for a final */
	bool taken_secret;
	char *past;       /* the last sentence, taken or final */
	uint64_t take_ms; /* when the interim is */
	uint64_t deaf_ms; /* when to apologise for the recogniser */
	bool deaf_told;
	uint64_t unheard_since_ms; /* first speech without a result, 0: none */
	uint64_t unheard_sum_ms;

	/* keys.c */
	char digitv[DIALOG_DIGITS_MAX + 1];
	size_t digitc;
	bool digits_sensitive; /* one of them is */
	uint64_t digits_ms;    /* when they are complete */
	struct collect {
		bool on; /* the dialog manager asked for them */
		bool sensitive;
		uint32_t ms;
		uint32_t max;
		char finish[17];
	} collect;

	/* secret.c */
	bool secret;              /* until an answer is heard */
	uint64_t secret_heard_ms; /* when that began, */
	uint64_t secret_ms;       /* and when it is over; NEVER: not yet */

	/* floor.c: who may speak */
	bool speaking;          /* the caller, by voice activity */
	uint64_t speech_ms;     /* when that began */
	bool fresh;             /* no final since then */
	uint64_t echo_until_ms; /* what is recognised may be the bot's */
	bool interims;          /* the recogniser gives some */
	unsigned false_starts;  /* in this answer */
	unsigned words;         /* in the interim of what is being said */
	bool held;              /* the bot has paused for the caller */
	uint64_t held_ms;       /* since */
	uint64_t resume_ms;     /* when it was nothing */
	bool interrupted;       /* an answer was, since the last turn */
	uint32_t heard_ms;      /* of it */
	uint32_t heard_answer;
	char *heard; /* text of the answer that was heard */

	/* reply.c: what the bot says */
	struct list utterancel; /* in order */
	size_t utterancec;
	uint32_t next_id;
	uint64_t spoke_ms;   /* when anything but a word to wait was over */
	uint64_t quiet_ms;   /* since when the caller hears nothing */
	uint64_t pending_ms; /* when something that was pending ended last */
	uint64_t sorry_ms;   /* when an apology that is owed is tried again */
	uint32_t sorry_answer; /* the last one in which something failed */

	/* answer.c: from acts to utterances */
	bool answering;       /* the reply has begun */
	uint32_t answer;      /* number of the last one */
	bool protect;         /* what comes from here on */
	struct sound **lastv; /* the last answer, to say it again */
	size_t lastc;
	char *first;      /* first text of the last reply */
	unsigned repeats; /* how often it came again */
	bool repeated;    /* once too often */

	/* wait.c: silence */
	bool greeted;
	uint64_t touch_ms; /* when anything happened last */
	uint64_t said_ms;  /* when the caller said or keyed in something */
	uint32_t ask_ms;   /* DIALOG_SILENCE, 0: not asked for */
	unsigned tries;
	bool filler;

	/* call.c: the end */
	bool warned;
	enum call_end ending; /* when all is said, hang up */
	uint64_t ending_ms;
	enum call_end ended;
};

/* turn.c */
bool turn_has_pending(const struct call *c);
void turn_accept(struct call *c, const char *text, size_t n, bool spoken,
		 bool sensitive, uint64_t now_ms);
void turn_send(struct call *c, enum dialog_turn_kind kind, uint64_t now_ms);
void turn_speech(struct call *c, bool speaking, uint64_t now_ms);
void turn_overtake(struct call *c, uint64_t now_ms);
void turn_decide(struct call *c, uint64_t now_ms);
void turn_discard(struct call *c);
void turn_forget(struct call *c);
uint64_t turn_next_ms(const struct call *c);

/* hear.c */
void hear_speech(struct call *c, bool speaking, uint64_t now_ms);
void hear_discard(struct call *c);
uint64_t hear_next_ms(const struct call *c);
void hear_tick(struct call *c, uint64_t now_ms);

/* keys.c */
bool keys_are_collected(const struct call *c);
void keys_collect(struct call *c, const struct dialog_act *act);
void keys_reset(struct call *c);
void keys_discard(struct call *c);
uint64_t keys_next_ms(const struct call *c);
void keys_tick(struct call *c, uint64_t now_ms);

/* secret.c */
void secret_keep(struct call *c);
void secret_answered(struct call *c, uint64_t now_ms);
void secret_speech(struct call *c, uint64_t now_ms);
void secret_final(struct call *c, uint64_t now_ms);
uint64_t secret_next_ms(const struct call *c);
void secret_tick(struct call *c, uint64_t now_ms);

/* floor.c */
bool floor_take(struct call *c, bool keys, unsigned words, uint64_t now_ms);
void floor_interim(struct call *c, unsigned words, uint64_t now_ms);
void floor_before_sound(struct call *c, uint64_t now_ms);
void floor_false_start(struct call *c, uint64_t now_ms);
uint64_t floor_next_ms(const struct call *c);
void floor_tick(struct call *c, uint64_t now_ms);

/* echo.c */
bool echo_is_own(const struct call *c, const char *text, uint64_t now_ms);

/* reply.c */
struct utterance *reply_add(struct call *c, enum utterance_kind kind,
			    struct sound *sound, uint64_t now_ms);
void reply_ask(struct call *c, uint64_t now_ms);
void reply_prompt(struct call *c, enum call_prompt prompt, uint64_t now_ms);
void reply_wait(struct call *c, uint64_t now_ms);
void reply_lost(struct call *c, uint64_t now_ms);
void reply_apologise(struct call *c, uint64_t now_ms);
void reply_interrupt(struct call *c, uint64_t now_ms);
void reply_silence(struct call *c, uint64_t now_ms);
bool reply_is_sounding(const struct call *c);
void reply_flush(struct call *c);
uint64_t reply_next_ms(const struct call *c);
void reply_tick(struct call *c, uint64_t now_ms);

/* answer.c */
void answer_begin(struct call *c, enum dialog_turn_kind kind);
void answer_say(struct call *c, const struct call_sound *s, bool keep,
		uint64_t now_ms);
bool answer_repeat(struct call *c, uint64_t now_ms);
void answer_unheard(struct call *c);
void answer_heard(struct call *c, const struct utterance *u, uint32_t ms,
		  size_t n);
void answer_forget(struct call *c);

/* wait.c */
void wait_begins(struct call *c, uint64_t now_ms);
void wait_ends(struct call *c, uint64_t now_ms);
void wait_touch(struct call *c, uint64_t now_ms);
void wait_answered(struct call *c, uint64_t now_ms);
void wait_filler(struct call *c, bool on);
uint64_t wait_next_ms(const struct call *c);
void wait_tick(struct call *c, uint64_t now_ms);

/* call.c */
void call_unsent(struct call *c, const char *text, bool sensitive,
		 enum call_unsent why);
void call_end_when_said(struct call *c, enum call_end end, uint64_t now_ms);
void call_cut(struct call *c, uint64_t now_ms);
void call_close(struct call *c, enum call_end end, uint64_t now_ms);
void call_check_end(struct call *c);

#endif

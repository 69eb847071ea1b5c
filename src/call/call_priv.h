/**
 * @file call_priv.h  The conversation inside; see the diagram in call.c
 */
#ifndef CONVOD_CALL_PRIV_H
#define CONVOD_CALL_PRIV_H

#include <convod/call.h>

#define NEVER UINT64_MAX

enum utterance_kind { U_SAY, U_PLAY, U_PROMPT };

/** Something the bot says, from the act to its end */
struct utterance {
	uint32_t id;
	enum utterance_kind kind;
	bool started; /* some of it has left */
	char *text;   /* what to speak if the audio fails, or NULL */
};

struct call {
	struct call_param prm;
	char *id;
	char *language;
	const struct call_ops *ops;
	void *arg;
	uint64_t start_ms;

	/* turn.c: from what is heard to a turn */
	bool ready;    /* the dialog manager's session is settled */
	bool thinking; /* a turn is in flight */
	char *pending; /* said and not yet sent, DIALOG_TEXT_MAX */
	size_t pendingc;
	bool pending_spoken;
	bool pending_noise; /* the recogniser rejected what it heard */
	uint64_t decide_ms; /* when pending becomes a turn */
	char digitv[CALL_DTMF_MAX + 1];
	size_t digitc;
	uint64_t digits_ms; /* when digits become pending */
	bool interrupted;   /* an answer was, since the last turn */
	uint32_t heard_ms;  /* of it */

	/* the recogniser's health */
	uint64_t deaf_ms; /* when to apologise for it */
	bool deaf_told;
	bool speaking;             /* the caller, by voice activity */
	uint64_t speech_ms;        /* when that began */
	uint64_t unheard_since_ms; /* first speech without a result, 0: none */
	uint64_t unheard_sum_ms;

	/* reply.c: from acts to utterances */
	struct utterance utterancev[CALL_UTTERANCES_MAX]; /* in order */
	size_t utterancec;
	uint32_t next_id;
	uint64_t quiet_ms; /* since when the caller hears nothing */

	/* call.c: the end */
	enum call_end ending; /* when all is said, hang up */
	enum call_end ended;
};

/* turn.c */
void turn_decide(struct call *c, uint64_t now_ms);
uint64_t turn_next_ms(const struct call *c);
void turn_tick(struct call *c, uint64_t now_ms);

/* reply.c */
void reply_prompt(struct call *c, enum call_prompt prompt, bool first,
		  uint64_t now_ms);
void reply_apologise(struct call *c, uint64_t now_ms);
void reply_interrupt(struct call *c, uint64_t now_ms);
bool reply_is_sounding(const struct call *c);
uint64_t reply_next_ms(const struct call *c);
void reply_tick(struct call *c, uint64_t now_ms);
void reply_flush(struct call *c);

/* call.c */
void call_end_when_said(struct call *c, enum call_end end);
void call_check_end(struct call *c);

#endif

/**
 * @file call.h  The conversation: a state machine that does no I/O
 *
 * Events go in with the time as an argument, operations come out through one
 * vtable. It never reads a clock, opens a socket or waits, so a test plays
 * thousands of calls with every kind of failure in a second.
 *
 * Utterances: whatever the bot says gets a number from the conversation,
 * growing from 1. The operations say(), play() and prompt() provide the audio
 * of an utterance: the first one for a number puts it at the end of what is
 * to be played (prompt() can put it first), a further one for the same number
 * replaces audio that failed before any of it was heard.
 *
 * No operation may call back into the conversation before it returns, except
 * stop_speaking() and hang_up(), which may report call_finished().
 *
 * Thread: loop. A call lives on one.
 */
#ifndef CONVOD_CALL_H
#define CONVOD_CALL_H

#include <convod/asr.h>
#include <convod/dialog.h>

CV_BEGIN_DECLS

enum {
	CALL_DTMF_PAUSE_MS = 2000, /* ends a number keyed in; so does '#' */
	CALL_DTMF_MAX = 64,
	CALL_DEAF_AFTER_MS = 3000,    /* recogniser away: say so             */
	CALL_UNHEARD_MS = 3000,       /* of speech without any result, and   */
	CALL_UNHEARD_AFTER_MS = 8000, /* so long after it began: it hangs    */
	CALL_UTTERANCES_MAX = 32,     /* said and not finished; more are
				       * dropped and logged                  */
};

/** Why a call ended; recorded once */
enum call_end {
	CALL_UP,         /* it has not */
	CALL_END_CALLER, /* `stop`, or the carrier's socket closed */
	CALL_END_BOT,
	CALL_END_TRANSFER,
	CALL_END_TOO_LONG,
	CALL_END_SHUTDOWN,
	CALL_END_PROTOCOL, /* the carrier broke the rules */
	CALL_END_STUCK,    /* the carrier stopped reading */
	CALL_END_ERROR,    /* ours: no memory and the like */
};

/** "caller", "bot" … for logs */
const char *call_end_name(enum call_end end);

/** Embedded sentences */
enum call_prompt {
	CALL_PROMPT_APOLOGY, /* something behind the call failed */
	CALL_PROMPT_WAIT,    /* an answer takes long */
	CALL_PROMPT_CLOSING, /* the call is ended by us */
	CALL_PROMPTS,
};

struct call_ops {
	/** Send a turn to the dialog manager; at most one is in flight */
	int (*turn)(const struct dialog_turn *t, void *arg);
	/** Forget the turn in flight */
	void (*cancel_turn)(void *arg);

	/** Speak a text */
	int (*say)(uint32_t utterance, const char *text, void *arg);
	/** Fetch and play audio */
	int (*play)(uint32_t utterance, const char *url, const char *origin,
		    void *arg);
	/** Play an embedded sentence; first: before what has not begun yet */
	int (*prompt)(uint32_t utterance, enum call_prompt prompt, bool first,
		      void *arg);
	/** Silence at once: drop the queue, clear the carrier's buffer */
	void (*stop_speaking)(void *arg);
	/** Milliseconds of an utterance that were heard by now */
	uint32_t (*heard_ms)(uint32_t utterance, void *arg);

	/** End the call; comes once, nothing after it */
	void (*hang_up)(enum call_end end, void *arg);
};

struct call_param {
	const char *id;       /* for logs; copied */
	const char *language; /* BCP-47; copied */
	uint32_t join_ms;     /* turn.join_ms */
	uint32_t silence_limit_ms;
	uint32_t max_ms; /* of the call */
	bool opens;      /* the dialog manager speaks first */
	bool has_voice;  /* say() works */
};

struct call;

/** @param now_ms Time of the carrier's `start` */
CV_NODISCARD int call_alloc(struct call **cp, const struct call_param *prm,
			    const struct call_ops *ops, void *arg,
			    uint64_t now_ms);

/* -------------------------------------------------------------- events */

/** The dialog manager's session is open, or is not */
void call_dialog_open(struct call *c, int err, uint64_t now_ms);

/** The recogniser heard something */
void call_result(struct call *c, const struct asr_result *res,
		 uint64_t now_ms);
void call_asr_state(struct call *c, enum asr_state state, uint64_t now_ms);

/** The caller started or stopped to speak (voice activity) */
void call_speech(struct call *c, bool speaking, uint64_t now_ms);

/** The caller pressed a key: 0-9 * # A-D */
void call_dtmf(struct call *c, char digit, uint64_t now_ms);

/** The dialog manager answers */
void call_act(struct call *c, const struct dialog_act *act, uint64_t now_ms);
void call_done(struct call *c, int err, uint64_t now_ms);

/** The audio of an utterance failed before a single sample came */
void call_audio_failed(struct call *c, uint32_t utterance, int err,
		       uint64_t now_ms);

/** The first audio of an utterance left for the carrier */
void call_started(struct call *c, uint32_t utterance, uint64_t now_ms);

/** An utterance is over */
void call_finished(struct call *c, uint32_t utterance, bool heard,
		   uint64_t now_ms);

/** We shut down: say so, then hang up */
void call_drain(struct call *c, uint64_t now_ms);

/** The call ended from outside: no operation comes any more */
void call_stop(struct call *c, enum call_end end);

/** Time has passed */
void call_tick(struct call *c, uint64_t now_ms);

/** When call_tick() is wanted [ms]; UINT64_MAX: not */
uint64_t call_next_ms(const struct call *c);

enum call_end call_ended(const struct call *c);

CV_END_DECLS

#endif

/**
 * @file call.h  The conversation: a state machine that does no I/O
 *
 * Events go in with the time as an argument, operations come out through one
 * vtable. It never reads a clock, opens a socket or waits, so a test plays
 * thousands of calls with every kind of failure in a second.
 *
 * Utterances: whatever the bot says gets a number from the conversation,
 * growing from 1; a text of several sentences is one utterance a sentence.
 * The operations say(), play(), prompt() and pause() provide the audio of an
 * utterance: the first one for a number puts it at the end of what is to be
 * played (prompt() can put it first), a further one for the same number
 * replaces audio that failed before any of it was heard.
 *
 * Time: now_ms is monotonic, and never less than it was in the event before.
 * Whoever reports an event asks call_next_ms() again afterwards.
 *
 * Secrecy: it begins when the dialog manager asks for a secret number, or with
 * the first key where all keys are secret (call_param.keys_sensitive). From
 * then on all that the caller says and keys in is secret, until the dialog
 * manager's answer begins to be heard: the second half of a number that is
 * said while the first is on its way belongs to it. What the caller began to
 * say before they could react to that answer is still secret, and so is its
 * turn, which waits for its own answer. An apology answers nothing. Secrets
 * appear in a turn, marked sensitive, and nowhere else.
 *
 * What an event or an operation is given is valid until it returns: what is
 * needed longer is copied, of a clip a reference is taken. Errors are positive
 * errno. Thread: loop. A call lives on one.
 */
#ifndef CONVOD_CALL_H
#define CONVOD_CALL_H

#include <convod/asr.h>
#include <convod/dialog.h>

CV_BEGIN_DECLS

enum {
	CALL_DEAF_AFTER_MS = 3000,    /* recogniser away: say so             */
	CALL_UNHEARD_MS = 3000,       /* of speech without any result, and   */
	CALL_UNHEARD_AFTER_MS = 8000, /* so long after it began: it hangs    */
	CALL_ENDING_MAX_MS = 30000,   /* for what is said before a hang-up   */
	CALL_UTTERANCES_MAX = 128,    /* said and not finished; more are
				       * dropped and counted. The embedded
				       * sentences have a few places more    */
	CALL_AHEAD = 2, /* utterances asked for while one is being heard, so
			 * that the next is made while this one plays */
	CALL_DTMF_MAP_MAX = 16,
};

/** Why a call ended; recorded once */
enum call_end {
	CALL_UP,         /* it has not */
	CALL_END_CALLER, /* `stop`, or the carrier's socket closed */
	CALL_END_BOT,
	CALL_END_TRANSFER,
	CALL_END_SILENCE,  /* the caller did not answer silence.tries times */
	CALL_END_IDLE,     /* nothing was said or keyed in for call_idle_s  */
	CALL_END_REPEATED, /* the bot said the same again and again         */
	CALL_END_TOO_LONG,
	CALL_END_SHUTDOWN,
	CALL_END_PROTOCOL, /* the carrier broke the rules */
	CALL_END_STUCK,    /* the carrier stopped reading */
	CALL_END_ERROR,    /* ours: no memory and the like */
	CALL_ENDS,
};

/** "caller", "bot" … for logs */
const char *call_end_name(enum call_end end);

/** Why something that was said or keyed in never went to the dialog manager */
enum call_unsent {
	CALL_UNSENT_ENDED,      /* the call had ended, or was ending       */
	CALL_UNSENT_TOO_LONG,   /* more than DIALOG_TEXT_MAX in one turn   */
	CALL_UNSENT_MEMORY,     /* none was left                           */
	CALL_UNSENT_COLLECTING, /* keys were being collected               */
	CALL_UNSENT_KNOWN,      /* its interim was taken for it already    */
	CALL_UNSENT_ACTION,     /* a key with an action of its own         */
	CALL_UNSENT_FAILED,     /* the dialog manager took no turn         */
	CALL_UNSENT_ECHO,       /* the bot's own words, come back          */
	CALL_UNSENTS,
};

const char *call_unsent_name(enum call_unsent why);

/** Embedded sentences */
enum call_prompt {
	CALL_PROMPT_APOLOGY,  /* something behind the call failed        */
	CALL_PROMPT_WAIT,     /* an answer takes long                    */
	CALL_PROMPT_CLOSING,  /* the call is ended by us                 */
	CALL_PROMPT_WARNING,  /* it will be soon                         */
	CALL_PROMPT_HELLO,    /* is anybody there?                       */
	CALL_PROMPT_GREETING, /* a clip of the operator's                */
	CALL_PROMPTS,
};

/** How an utterance sounds: a text to be spoken, or audio to be played. The
 * text of audio is what is spoken if the audio can't be had. */
struct call_sound {
	const char *text;
	const char *voice; /* "" is the configured one */
	const char *language;
	const char *url; /* or "" */
	const char *origin;
	struct clip *clip; /* or NULL */
};

/** What the caller has heard of an utterance; see playout_heard() */
struct call_heard {
	uint32_t ms;
	uint32_t total_ms; /* 0: not known yet */
	bool timed;        /* text is exact */
	uint32_t text;     /* bytes of its text */
};

/**
 * What the conversation wants done; each member is set
 *
 * They are called from inside events and call_tick(), and may not call back
 * into the conversation before they return, except stop_speaking(), hold() and
 * hang_up(), which may report call_finished().
 */
struct call_ops {
	/** Send a turn to the dialog manager; at most one is in flight. Acts
	 * follow, in order, then call_done(), once.
	 * @return 0; else it was not sent, and nothing follows */
	int (*turn)(const struct dialog_turn *t, void *arg);
	/** Forget the turn in flight: no act and no call_done() of it */
	void (*cancel_turn)(void *arg);

	/* The audio of an utterance. Of each, call_audio_failed() follows, or
	 * call_started() and call_finished(); with other results than 0
	 * neither, and the next best is asked for. */

	/** Speak a text */
	int (*say)(uint32_t utterance, const struct call_sound *s, void *arg);
	/** Play audio: a clip, else fetch it */
	int (*play)(uint32_t utterance, const struct call_sound *s, void *arg);
	/** Play an embedded sentence; first: before what has not begun yet */
	int (*prompt)(uint32_t utterance, enum call_prompt prompt, bool first,
		      void *arg);
	/** Silence for so long, DIALOG_PAUSE_MAX_MS at most */
	int (*pause)(uint32_t utterance, uint32_t ms, void *arg);

	/** Something to listen to while an answer is made, in no utterance's
	 * way; or no longer */
	void (*filler)(bool on, void *arg);

	/** Silence at once: drop the queue, clear the carrier's buffer */
	void (*stop_speaking)(void *arg);
	/** Silence at once, but keep what was not heard */
	void (*hold)(void *arg);
	/** It was nothing: go on where hold() stopped */
	void (*resume)(void *arg);
	/** What was heard of an utterance by now: one that has started and is
	 * not finished, or from inside call_finished() */
	void (*heard)(uint32_t utterance, struct call_heard *h, void *arg);

	/** An accepted final or keys will not be sent; the text is "***" if it
	 * is sensitive */
	void (*unsent)(const char *text, enum call_unsent why, void *arg);
	/** An act that concerns the call and not what is said in it: RECORD,
	 * SET, NOTE, and TRANSFER before the hang-up that follows it */
	void (*act)(const struct dialog_act *act, void *arg);

	/** End the call; comes once, and nothing after it but unsent() */
	void (*hang_up)(enum call_end end, void *arg);
};

/* ------------------------------------------------------------- settings */

/** What the caller must do to interrupt the bot; barge_in.mode */
enum call_barge_in {
	CALL_BARGE_OFF,   /* nothing does: it waits for the end            */
	CALL_BARGE_VAD,   /* make a sound; go on if there were no words    */
	CALL_BARGE_WORDS, /* say barge_in.words words                      */
	CALL_BARGE_DTMF,  /* press a key                                   */
};

/** What a key does outside of a number; dtmf.map */
enum call_key_action {
	CALL_KEY_NONE,
	CALL_KEY_TRANSFER, /* text is the number, for the log */
	CALL_KEY_REPEAT,   /* say the last answer again */
	CALL_KEY_HANGUP,
	CALL_KEY_SEND, /* `text` is a turn, as if it was spoken */
};

struct call_key {
	char key;
	enum call_key_action action;
	const char *text;
};

/** What is done when nobody says anything; silence.prompt */
enum call_silence {
	CALL_SILENCE_REPEAT, /* the last answer again */
	CALL_SILENCE_ASK,    /* the dialog manager, if it knows_nobody */
	CALL_SILENCE_SAY,    /* silence_text */
};

/** What is said before the caller speaks; greeting */
enum call_greeting {
	CALL_GREETING_DIALOG, /* the dialog manager's opening turn */
	CALL_GREETING_SOUND,
	CALL_GREETING_PROMPT, /* CALL_PROMPT_GREETING */
	CALL_GREETING_NONE,
};

/** Strings and arrays outlive the call, except id and language */
struct call_param {
	const char *id;       /* for logs; copied */
	const char *language; /* BCP-47; copied */

	uint32_t join_ms;     /* turn.join_ms */
	uint32_t endpoint_ms; /* turn.endpoint_ms, 0: finals decide */
	bool replace;         /* turn.while_thinking, else append */

	enum call_barge_in barge_in;
	uint32_t barge_words; /* barge_in.words */
	uint32_t resume_ms;   /* barge_in.resume_ms */

	enum call_greeting greeting;
	struct call_sound greeting_sound;
	bool greeting_protect;

	const struct call_key *keyv; /* dtmf.map */
	size_t keyc;
	uint32_t digits_ms;  /* dtmf.timeout_ms */
	uint32_t digits_max; /* dtmf.digits, 0: any number */
	const char *finish;  /* dtmf.finish_key */
	bool keys_only;      /* dtmf.ignore_speech */
	bool keys_sensitive; /* dtmf.sensitive */

	uint32_t silence_ms; /* silence.ms, 0: never */
	uint32_t silence_tries;
	enum call_silence silence;
	const char *silence_text;
	uint32_t silence_limit_ms;
	uint32_t filler_ms;  /* filler.after_ms, 0: never */
	uint32_t repeat_max; /* repeat.max, 0: any number */

	uint32_t max_ms;  /* of the call */
	uint32_t warn_ms; /* before that, 0: never */
	uint32_t idle_ms; /* nothing said or keyed in, 0: any time */

	/* the dialog manager and the voice at hand */
	bool opens;        /* dialog_backend.opens */
	bool forgets;      /* dialog_backend.forgets */
	bool knows_nobody; /* dialog_backend.knows_nobody */
	bool has_voice;    /* say() works */
};

/* --------------------------------------------------------------- events */

struct call;

/**
 * Begin a conversation; mem_deref() ends it without a word
 *
 * @param prm    Copied; see there for what it points to
 * @param ops    Outlive the call, like arg; none is called from here
 * @param now_ms Time of the carrier's `start`: the call's first tick is due
 *
 * @return 0 or ENOMEM
 */
CV_NODISCARD int call_alloc(struct call **cp, const struct call_param *prm,
			    const struct call_ops *ops, void *arg,
			    uint64_t now_ms);

/** The dialog manager's session is open, or is not: err. What is said before
 * waits for it. Once; a second time is ignored. */
void call_dialog_open(struct call *c, int err, uint64_t now_ms);

/** The recogniser heard something. After the end finals are still told to be
 * unsent. */
void call_result(struct call *c, const struct asr_result *res,
		 uint64_t now_ms);
/** The recogniser comes or goes: the caller hears of it when it is away for
 * CALL_DEAF_AFTER_MS, or down for good */
void call_asr_state(struct call *c, enum asr_state state, uint64_t now_ms);

/** The caller started or stopped to speak (voice activity); to be told the
 * same again changes nothing */
void call_speech(struct call *c, bool speaking, uint64_t now_ms);

/** What came from the caller was, by its level, the bot's own voice; again and
 * again while that lasts (see vad_hears_echo()). What is recognised without
 * any call_speech(), and says mostly what the bot says, is then nobody's. */
void call_echo(struct call *c, uint64_t now_ms);

/** The caller pressed a key: 0-9 * # A-D */
void call_dtmf(struct call *c, char digit, uint64_t now_ms);

/** The dialog manager answers; without a turn in flight it is ignored */
void call_act(struct call *c, const struct dialog_act *act, uint64_t now_ms);
/** The turn is over; err as of dialog_done_h */
void call_done(struct call *c, int err, uint64_t now_ms);

/** The audio of an utterance failed before a single sample came. One that is
 * not known, in these three: it is void since, and ignored. */
void call_audio_failed(struct call *c, uint32_t utterance, int err,
		       uint64_t now_ms);

/** The first audio of an utterance left for the carrier; once, whatever is
 * held and resumed */
void call_started(struct call *c, uint32_t utterance, uint64_t now_ms);

/** An utterance is over: heard to its end, or void */
void call_finished(struct call *c, uint32_t utterance, bool heard,
		   uint64_t now_ms);

/** We shut down: say so, then hang up */
void call_drain(struct call *c, uint64_t now_ms);

/** The call ended from outside; the first end stands. No operation comes any
 * more, except unsent() from inside for what was said and not sent. */
void call_stop(struct call *c, enum call_end end);

/** Time has passed: do what is due */
void call_tick(struct call *c, uint64_t now_ms);

/** When call_tick() is wanted [ms]; if that is past: now. UINT64_MAX: not. */
uint64_t call_next_ms(const struct call *c);

/** CALL_UP until it has ended */
enum call_end call_ended(const struct call *c);

/** Is the caller not to be overheard? What they give now is a secret, or part
 * of one: nothing of it belongs in a log or a recording. */
bool call_is_sensitive(const struct call *c);

/** Is a key secret that is pressed now? Maybe the first, which begins it. */
bool call_hides_keys(const struct call *c);

/** Is a result secret that comes now? Maybe one of words that were taken, as
 * a secret, from an interim before. */
bool call_hides_words(const struct call *c);

CV_END_DECLS

#endif

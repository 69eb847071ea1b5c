/**
 * @file rules.h  What must never happen, and what has to be remembered for it
 *
 * rules.c looks at requests and at what the caller said, rules_speech.c at
 * what the bot says, rules_time.c at time and at the end.
 */
#ifndef SIM_RULES_H
#define SIM_RULES_H

#include <convod/call.h>
#include <convod/playout.h>

struct sim;
struct frame;

/* ----------------------------------------------------- rules and counts */

/* clang-format off */
/* id, name, what must never happen */
#define SIM_RULES(X)                                                          \
	X(ONE_REQUEST, "one-request",                                         \
	  "two dialog requests in flight, or one while the call ends")        \
	X(STALE_AUDIO, "stale-audio",                                         \
	  "audio sent of what is abandoned, held or of nobody")               \
	X(STALE_LINE, "stale-line",                                           \
	  "the caller hears what was abandoned after the carrier could know") \
	X(FILLER, "filler", "the filler goes on after it was switched off")   \
	X(LEAD, "lead", "more audio at the carrier than playout's lead")      \
	X(HEARD, "heard", "an utterance counts as heard that was not")        \
	X(HEARD_MS, "heard-ms",                                               \
	  "the dialog manager is told of another prefix than was heard")      \
	X(ACCOUNTED, "accounted",                                             \
	  "what the caller said is lost, or sent twice")                      \
	X(LATE, "late", "what the caller said waits for nothing")             \
	X(SENSITIVE, "sensitive", "a secret appears outside of a turn")       \
	X(SECRECY, "secrecy", "the caller is overheard, or never again")      \
	X(SILENCE, "silence", "the caller waits in silence for too long")     \
	X(ACTS_SAID, "acts-said", "an answer is not spoken, for no reason")   \
	X(UNFINISHED, "unfinished", "an utterance never comes to its end")    \
	X(SOUNDLESS, "soundless",                                             \
	  "an utterance ends without a sound, and nothing instead")           \
	X(NUMBERS, "numbers", "utterances are misnumbered, or placed twice")  \
	X(PROTECTED, "protected", "the caller cuts a protected reply")        \
	X(BARGE_MODE, "barge-mode",                                           \
	  "the caller cuts the bot by what the mode does not allow")          \
	X(HOLD, "hold", "the bot pauses for ever, or without need")           \
	X(FALSE_START, "false-start", "the bot goes on over words")           \
	X(ECHO, "echo", "the bot listens to itself")                          \
	X(AFTER_END, "after-end", "an operation after the end")               \
	X(ONE_END, "one-end", "two ends, or two reasons")                     \
	X(GOODBYE, "goodbye", "the goodbye is cut off")                       \
	X(ENDLESS, "endless", "a call does not end")                          \
	X(BUSY, "busy", "a tick is asked for that does nothing")              \
	X(MEMORY, "memory", "a call leaves memory behind")

/* clang-format on */

#define SIM_ENUM(id, name, what) RULE_##id,
enum rule { RULE_NONE, SIM_RULES(SIM_ENUM) RULES };
#undef SIM_ENUM

const char *rule_name(enum rule rule);
const char *rule_what(enum rule rule);
enum rule rule_find(const char *name); /* RULE_NONE: there is no such */

/* clang-format off */
/* What must have happened in many calls, or the simulation proves little */
#define SIM_COUNTS(X)                                             \
	X(EVENTS, "events")                                       \
	X(FRAMES, "frames of 20 ms sent")                         \
	X(TURN_OPENING, "turns: opening")                         \
	X(TURN_SPEECH, "turns: speech")                           \
	X(TURN_KEYS, "turns: keys")                               \
	X(TURN_NOISE, "turns: noise")                             \
	X(TURN_NOBODY, "turns: nobody")                           \
	X(TURN_REFUSED, "turns: not taken")                       \
	X(TURN_FAILED, "turns: failed")                           \
	X(TURN_CANCELLED, "turns: cancelled")                     \
	X(TURN_REPLACED, "turns: what was said is asked anew")    \
	X(TURN_INTERRUPTED, "turns: after an interruption")       \
	X(TURN_HEARD_TEXT, "turns: with the text that was heard") \
	X(TURN_JOINED, "turns: of several finals")                \
	X(TURN_SENSITIVE, "turns: sensitive")                     \
	X(SECRET_REST, "secrets: more, while the first is answered") \
	X(TURN_MIXED, "turns: of words and keys")                 \
	X(BARGE_IN, "answers cut by the caller")                  \
	X(HOLD, "holds")                                          \
	X(RESUME, "holds: false start, resumed")                  \
	X(HOLD_DROPPED, "holds: words, answer dropped")           \
	X(PROTECTED, "speech over a protected reply")             \
	X(PROMPT_APOLOGY, "prompts: apology")                     \
	X(PROMPT_WAIT, "prompts: wait")                           \
	X(PROMPT_CLOSING, "prompts: closing")                     \
	X(PROMPT_WARNING, "prompts: warning")                     \
	X(PROMPT_HELLO, "prompts: hello")                         \
	X(PROMPT_GREETING, "prompts: greeting")                   \
	X(FALLBACK, "audio failed: spoken instead")               \
	X(AUDIO_FAILED, "audio failed before a sample")           \
	X(AUDIO_CUT, "audio failed later")                        \
	X(PAUSE, "pauses")                                        \
	X(FILLER, "fillers")                                      \
	X(COLLECT, "numbers asked for")                           \
	X(KEY, "keys")                                            \
	X(UNSENT_ENDED, "not sent: call ending")                  \
	X(UNSENT_TOO_LONG, "not sent: too long")                  \
	X(UNSENT_MEMORY, "not sent: no memory")                   \
	X(UNSENT_COLLECTING, "not sent: keys are collected")      \
	X(UNSENT_KNOWN, "not sent: taken already")                \
	X(UNSENT_ACTION, "not sent: key with an action")          \
	X(UNSENT_FAILED, "not sent: turn not taken")              \
	X(UNSENT_ECHO, "not sent: the bot's own words")           \
	X(ECHO, "a word of the bot's, come back")                 \
	X(WORD, "words heard")                                    \
	X(ACT_WRONG, "acts or dones out of place")                \
	X(ASR_BROKEN, "recogniser broken")                        \
	X(ASR_DOWN, "recogniser down")                            \
	X(ASR_DEAF, "recogniser deaf")                            \
	X(MARK_LOST, "marks: lost")                               \
	X(MARK_TWICE, "marks: twice")                             \
	X(MARK_LATE, "marks: late")                               \
	X(MARK_FOREIGN, "marks: foreign")                         \
	X(MARK_CLEARED, "marks: returned by clear")               \
	X(CLEAR, "clears")                                        \
	X(EAGAIN, "times the carrier did not read")               \
	X(SOCKET_DEAD, "sockets that died")                       \
	X(STALL, "times the loop was blocked")                    \
	X(LEFT_OPENING, "left: before the dialog was open")       \
	X(LEFT_LISTENING, "left: while the bot listened")         \
	X(LEFT_THINKING, "left: while it thought")                \
	X(LEFT_SPEAKING, "left: while it spoke")                  \
	X(LEFT_HELD, "left: while it had paused")                 \
	X(LEFT_KEYING, "left: within a number")                   \
	X(LEFT_ENDING, "left: during the goodbye")                \
	X(END_CALLER, "ends: caller")                             \
	X(END_BOT, "ends: bot")                                   \
	X(END_TRANSFER, "ends: transfer")                         \
	X(END_SILENCE, "ends: silence")                           \
	X(END_IDLE, "ends: idle")                                 \
	X(END_REPEATED, "ends: repeated")                         \
	X(END_TOO_LONG, "ends: too long")                         \
	X(END_SHUTDOWN, "ends: shutdown")                         \
	X(END_PROTOCOL, "ends: protocol")                         \
	X(END_STUCK, "ends: stuck")                               \
	X(END_ERROR, "ends: error")

/* clang-format on */

#define SIM_ENUM(id, name) COUNT_##id,
enum sim_count { SIM_COUNTS(SIM_ENUM) COUNTS };
#undef SIM_ENUM

const char *sim_count_name(enum sim_count count);

/* ------------------------------------------------------- the memory of it */

enum {
	SIM_UTTERANCES_MAX = 2048,
	SIM_WORDS_MAX = 8192, /* of the caller, and of the bot */
	SIM_ACTS_MAX = 2048,
};

enum utterance_state {
	UTT_NONE,
	UTT_ASKED,
	UTT_STARTED,
	UTT_FINISHED,
	UTT_ABANDONED,
};

enum utterance_kind {
	KIND_SAY,
	KIND_PLAY,
	KIND_PROMPT,
	KIND_PAUSE,
};

/** What the simulation knows of an utterance */
struct utterance_note {
	enum utterance_state state;
	enum utterance_kind kind;
	uint32_t act;   /* index + 1 of the act that it is of; 0: none */
	uint32_t turn;  /* of that act */
	uint32_t word;  /* the first one */
	uint32_t token; /* of its clip */
	uint32_t sent_ms;
	uint32_t next_ms;   /* where in the clip the next frame comes from */
	uint32_t total_ms;  /* 0: not known yet */
	uint32_t heard_ms;  /* as far as the speaker came */
	uint64_t played_ms; /* when it had */
	uint64_t ended_ms;  /* when its clip was complete */
	uint32_t text;      /* bytes that its voice speaks in speech_ms */
	uint32_t speech_ms;
	bool failed; /* its audio did: something may replace it */
	bool sorry;  /* the apology */
	bool protect;
	bool wordless;    /* audio of which we don't know more */
	uint64_t over_ms; /* abandoned or finished */
};

struct act_note {
	uint32_t turn;
	uint32_t first_word, wordc;
	bool accepted;
	bool protect;
	uint64_t at_ms;
};

/** How often something of the caller's came and went */
struct given_note {
	uint16_t given, hinted, sent, unsent, cancelled;
	bool masked; /* it may have been among what was reported masked */
	bool secret; /* it was given where all is */
};

/** What is known of secrets; rules_secret.c */
struct secret_note {
	bool ever;           /* there was one, or there may be */
	bool asked;          /* since the last turn */
	bool pressed;        /* a secret key, in this event */
	bool open;           /* one was sent, or keyed in, and not answered */
	bool given, keyed;   /* anything, and not sent */
	char key;            /* the last one */
	uint32_t turn;       /* the last one */
	uint64_t heard_ms;   /* since when its answer is, 0: it isn't */
	uint64_t touched_ms; /* the caller's last event */
};

struct watch {
	uint64_t ops; /* operations so far */

	/* requests */
	bool in_flight;
	enum dialog_turn_kind kind;
	uint32_t turns; /* the last one's number */
	bool overtaken; /* speech was stopped since it was sent */
	char sent[DIALOG_TEXT_MAX];

	/* what the bot says */
	struct utterance_note utterancev[SIM_UTTERANCES_MAX];
	uint32_t last;
	struct act_note actv[SIM_ACTS_MAX];
	uint32_t actc;
	uint16_t act_of_wordv[SIM_WORDS_MAX]; /* index + 1 */
	bool askedv[SIM_WORDS_MAX];
	uint64_t dropped_ms;   /* speech was stopped last */
	uint64_t protected_ms; /* of audio without words: we can't tell which
				* utterance it becomes */
	uint64_t sorry_ms;     /* the last apology was asked for, or heard */
	unsigned nobodys;      /* frames in a row that say nothing */
	bool filler;
	uint64_t progress_ms;

	/* what the caller says */
	struct given_note wordv[SIM_WORDS_MAX];
	struct given_note keyv[128];
	uint64_t said_ms; /* the last final that is not sent, 0: none */
	struct secret_note secret;
	unsigned words;      /* in the last result */
	unsigned most_words; /* in any */
	uint64_t interim_ms; /* the last one with words */
	uint64_t key_ms;

	/* what the bot says, come back */
	bool speaking, fresh; /* the caller: is, or was since the last final */
	uint64_t echo_ms;
	bool echoed; /* a word of it, in this event */

	/* the floor */
	bool held;
	uint64_t held_ms, released_ms;
	bool words_in_hold;
	uint32_t cut; /* what was cut in this event */
	uint32_t cut_protected;
	bool by_key, by_result, was_held;
	unsigned cuts; /* since the last turn */
	uint32_t cut_tolerance_ms;
	uint32_t cut_ms; /* how much of that answer was heard */
	bool cut_known;
	uint32_t wordless; /* last turn of whose answer not all is known */

	/* waiting */
	bool opened;
	uint64_t pending_ms; /* since then, if it is */
	bool pending;

	/* the end */
	uint64_t closing_ms; /* since the call is to end, 0: it is not */
	bool hung_up, stopped;
	enum call_end end;

	/* ticks */
	unsigned idle_ticks;
	uint64_t tick_ms;
};

/* ---------------------------------------------------------------- rules */

CV_PRINTF(3, 4)
void rule_violated(struct sim *s, enum rule rule, const char *fmt, ...);

void rules_before(struct sim *s); /* at the time of the next event */
void rules_after(struct sim *s);  /* after it */
void rules_at_end(struct sim *s);
void rules_lost(struct sim *s);

/* operations, before they are carried out */
void rules_op(struct sim *s, const char *name);
void rules_turn(struct sim *s, const struct dialog_turn *t);
void rules_turn_taken(struct sim *s, const struct dialog_turn *t, int err);
void rules_cancel(struct sim *s);
void rules_utterance(struct sim *s, uint32_t utterance,
		     enum utterance_kind kind, const char *text,
		     const char *url);
int rules_asked(struct sim *s, uint32_t utterance, int err);
void rules_prompt(struct sim *s, uint32_t utterance, enum call_prompt prompt);
void rules_stop_speaking(struct sim *s);
void rules_hold(struct sim *s);
void rules_resume(struct sim *s);
void rules_heard(struct sim *s, uint32_t utterance,
		 const struct call_heard *h);
void rules_filler(struct sim *s, bool on);
void rules_unsent(struct sim *s, const char *text, enum call_unsent why);
void rules_act(struct sim *s, const struct dialog_act *act);
void rules_hang_up(struct sim *s, enum call_end end);

/* rules_secret.c: what is secret */
bool secrecy_is_in(const struct sim *s, const char *text);
bool secrecy_is_on(const struct sim *s);
void secrecy_collect(struct sim *s, const struct dialog_act *act);
void secrecy_result(struct sim *s, const struct asr_result *res);
void secrecy_key(struct sim *s, char key);
void secrecy_speech(struct sim *s);
void secrecy_unsent(struct sim *s);
void secrecy_turn(struct sim *s, const struct dialog_turn *t);
void secrecy_started(struct sim *s, const struct utterance_note *u);
void secrecy_check(struct sim *s);

/* playout */
void rules_frame(struct sim *s, struct frame *f); /* sets its utterance */
void rules_played(struct sim *s, const struct frame *f);
void rules_finished(struct sim *s, uint32_t utterance, bool heard);

/* events, before the conversation is told */
void rules_given(struct sim *s, const struct asr_result *res);
void rules_key(struct sim *s, char key);
void rules_speech(struct sim *s, bool speaking);
void rules_echo(struct sim *s);
void rules_acted(struct sim *s, const struct dialog_act *act, uint32_t note);
void rules_done(struct sim *s, int err);
void rules_close(struct sim *s); /* we end the call ourselves */

/** Is a word of it that is heard now plainly the bot's? */
bool rules_is_echo(const struct sim *s, uint32_t utterance);

struct utterance_note *rules_note(struct sim *s, uint32_t utterance);
void rules_started(struct sim *s, uint32_t utterance);
bool rules_is_live(const struct utterance_note *u);
/** Must what comes next, or sounds, be heard whoever speaks? */
bool rules_is_protected(const struct watch *w);
/** Its audio is there and has been played: only its end is to be reported */
bool rules_is_played(const struct sim *s, uint32_t utterance);

#endif

/**
 * @file peers.h  The world around a call, and what it is like
 */
#ifndef SIM_PEERS_H
#define SIM_PEERS_H

#include <convod/asr.h>
#include <convod/call.h>
#include <convod/playout.h>

struct sim;

/* ---------------------------------------------- what a call is like */

struct caller_kind {
	bool mute;      /* says nothing */
	bool quiet;     /* too quiet for the voice activity */
	bool rude;      /* interrupts whenever it can */
	bool chatty;    /* whole books */
	uint32_t noise; /* permille of what is heard is none of a voice */
	uint32_t keys;  /* permille */
	uint32_t idle_ms;
	uint64_t leaves_ms;
	enum call_end how; /* STUCK, PROTOCOL, ERROR: the server gives up */
};

struct recogniser_kind {
	bool interims;
	uint32_t interim_ms;
	uint32_t final_ms; /* after the end of speech */
	uint32_t trouble;  /* permille of results that go wrong */
	bool no_finals;
	bool breaks;
	uint32_t echo; /* permille of utterances of which it hears a word */
};

struct manager_kind {
	uint32_t open_ms;
	int open_err;
	uint32_t think_ms; /* at most */
	uint32_t timeout_ms;
	uint32_t trouble; /* permille of turns that fail or are silent */
	uint32_t refuses; /* permille of turns */
	bool wrong;       /* breaks the contract */
	bool pieces;      /* streams */
	bool dull;        /* always the same answer */
	bool hangs_up;
	uint32_t odd; /* permille of acts that are malformed */
};

struct voice_kind {
	uint32_t cached; /* permille of clips that are there at once */
	uint32_t first_ms;
	uint32_t trouble; /* permille of clips that fail somehow */
	uint32_t timeout_ms;
	bool slow;  /* slower than speech */
	bool timed; /* knows its words */
};

struct carrier_kind {
	uint32_t delay_ms; /* each way */
	uint32_t jitter_ms;
	uint32_t mark_trouble; /* permille of marks lost, late, doubled */
	bool no_marks;         /* none ever returns */
	uint32_t foreign;      /* permille of messages followed by one */
	uint32_t eagain;       /* permille of messages refused */
	bool keeps_marks;      /* clear does not return them */
	uint64_t dies_ms;
};

struct plan {
	struct call_param prm;
	struct call_key keyv[4];
	uint32_t lead_ms;
	uint64_t drain_ms;
	uint32_t starves; /* permille of events that memory is short in */
	uint32_t stalls;  /* permille of events that come late, with all that
			   * comes meanwhile: the loop was blocked */
	struct caller_kind caller;
	struct recogniser_kind recogniser;
	struct manager_kind manager;
	struct voice_kind voice;
	struct carrier_kind carrier;
};

void plan_make(struct sim *s);

/* ------------------------------------------------------------- the peers */

struct frame {
	uint64_t starts_ms; /* when the speaker begins with it */
	uint32_t token;
	uint32_t utterance;
	uint32_t pos_ms; /* in its clip */
};

struct out_mark {
	char name[PLAYOUT_MARK_MAX];
	uint64_t due_ms; /* when the audio before it has been played */
	uint64_t serial;
};

enum { CARRIER_FRAMES_MAX = 4096, CARRIER_MARKS_MAX = 256 };

struct carrier {
	struct frame framev[CARRIER_FRAMES_MAX]; /* ring */
	size_t first, framec;
	uint64_t last_arrival_ms;
	uint64_t ends_ms; /* of what it has to play */
	uint64_t serial;
	struct out_mark markv[CARRIER_MARKS_MAX];
	size_t markc;
	uint64_t deaf_until_ms; /* EAGAIN until then */
	bool dead;
	uint32_t last_token;
	uint64_t sound_ms; /* last time it was heard to play something */
};

struct recogniser {
	enum asr_state state;
	uint64_t deaf_until_ms;
	uint64_t final_ms; /* when the last final comes */
};

struct manager {
	uint32_t turn; /* in flight, or the last */
	bool busy;
	uint32_t words; /* of the bot, made so far */
	char dull[256];
	uint32_t dull_word, dull_wordc;
};

struct caller {
	uint32_t words;    /* said so far */
	unsigned speaking; /* sounds at once */
	uint64_t busy_ms;  /* one has but one mouth */
};

/* --------------------------------------------------------------- voices */

enum { CLIP_BLOCK = 16 /* samples that say whose they are: 2 ms */ };

uint32_t clip_token(struct sim *s);
/** What a block says; false if it says nothing */
bool clip_read(const uint8_t *blockv, uint32_t *token, uint32_t *ms);
/** A clip that is there. @param ms 0: an empty one */
int clip_whole(struct clip **cp, uint32_t token, uint32_t ms);
/** A clip that arrives as the plan says
 *
 * @param reqp Set to what has to be dropped to cancel it, or to NULL if it is
 *             there; NULL: it can't be cancelled */
int clip_order(struct sim *s, struct clip **cp, void **reqp, uint32_t token,
	       uint32_t ms, const char *text);

int speech_say_op(uint32_t utterance, const struct call_sound *snd, void *arg);
int speech_play_op(uint32_t utterance, const struct call_sound *snd,
		   void *arg);
int speech_prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg);
int speech_pause_op(uint32_t utterance, uint32_t ms, void *arg);
void speech_forget(struct sim *s, uint32_t utterance);
struct clip *speech_clip(const struct sim *s, uint32_t utterance);

/* ---------------------------------------------------------------- world */

extern const struct call_ops world_call_ops;
extern const struct playout_ops world_playout_ops;

int world_start(struct sim *s);
void world_flush(struct sim *s);
void world_touch(struct sim *s);
void world_close(struct sim *s);
/** The server gives up, or the carrier says stop */
void world_stop(struct sim *s, enum call_end end);

/* Events for the conversation; each may be the last */
void world_result(struct sim *s, const struct asr_result *res);
void world_asr_state(struct sim *s, enum asr_state state);
void world_speech(struct sim *s, bool speaking);
void world_echo(struct sim *s);
void world_key(struct sim *s, char key);
void world_open(struct sim *s, int err);
void world_act(struct sim *s, const struct dialog_act *act, uint32_t note);
void world_done(struct sim *s, int err);
void world_mark(struct sim *s, const char *name);

/* ---------------------------------------------------------------- peers */

void caller_start(struct sim *s);
/** The caller hears the bot begin */
void caller_hears(struct sim *s);

void recogniser_start(struct sim *s);
/** The caller says words first, first + 1 … within the next so many ms;
 * count 0: a sound without words */
void recogniser_hear(struct sim *s, uint32_t first, uint32_t count,
		     uint32_t ms);

/** The bot says this, and the line may bring it back */
void recogniser_hear_bot(struct sim *s, uint32_t utterance);

void manager_start(struct sim *s);
int manager_turn(struct sim *s, const struct dialog_turn *t);
void manager_cancel(struct sim *s);

void carrier_start(struct sim *s);
int carrier_media(struct sim *s, const uint8_t *ulawv, size_t n);
int carrier_mark(struct sim *s, const char *name);
int carrier_clear(struct sim *s);
/** Let the speaker play what it has played by now */
void carrier_advance(struct sim *s, uint64_t until_ms);
/** What the caller has heard of an utterance once a message sent now arrives;
 * exact if the carrier behaves */
uint32_t carrier_heard_ms(struct sim *s, uint32_t utterance);
bool carrier_behaves(const struct sim *s);
bool carrier_is_sounding(const struct sim *s);

#endif

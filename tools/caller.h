/**
 * @file caller.h  The person at the phone: follows a script, notes it all
 *
 * Pure: fed with one frame of the bot every 20 ms, it says what the caller
 * sends in the next, and tells what happened through one handler. The bot is
 * *heard* in a frame of at least CALLER_AUDIBLE_DB; it *speaks* from its first
 * audible frame until it has been silent for CALLER_PAUSE_MS with nothing left
 * to play. What the caller waits is the time from the end of the caller's
 * speech to the bot's first audible frame.
 */
#ifndef CONVO_CALLER_H
#define CONVO_CALLER_H

#include <convod/audio.h>
#include <convod/hist.h>
#include "script.h"

enum {
	CALLER_AUDIBLE_DB = -50,   /* dBFS, of a frame */
	CALLER_SPEECH_DB = -42,    /* the same, of the caller's voice */
	CALLER_PAUSE_MS = 200,     /* with nothing left to play */
	CALLER_SILENCE_MS = 1500,  /* or so long, whatever is left */
	CALLER_KEY_MS = 200,       /* between keys */
	CALLER_GAP_MS = 600,       /* between the bot's end and the caller */
	CALLER_GREETING_MS = 3000, /* for the bot to begin the call */
	CALLER_ANSWERS_MAX = 1000, /* remembered for the median */
};

enum caller_event_type {
	CALLER_SAYS, /* text, name, ms: its length */
	CALLER_SAID,
	CALLER_PRESSES,    /* digit */
	CALLER_BOT_SPEAKS, /* ms: waited; answer: it answers something */
	CALLER_BOT_QUIET,  /* ms: how long it spoke */
	CALLER_UNANSWERED, /* name */
	CALLER_EXPECTED,   /* ok, name, text: why not */
	CALLER_LEFT_OUT,   /* name: a step, for the bot has hung up */
	CALLER_HANGS_UP,
};

struct caller_event {
	enum caller_event_type type;
	uint64_t at_ms; /* since the call began */
	uint32_t ms;
	const char *name;
	const char *text;
	unsigned line;
	char digit;
	bool answer;
	bool ok;
};

typedef void(caller_h)(const struct caller_event *ev, void *arg);

struct caller_param {
	uint32_t gap_ms;
	uint32_t answer_ms;
	uint32_t greeting_ms;
	bool mic;         /* no script: the frames come from outside */
	bool may_hang_up; /* the bot, before the caller has said all */
};

struct caller;

/** @param stepl Steps with their sound loaded; borrowed, must outlive it */
CV_NODISCARD int caller_alloc(struct caller **cp, struct list *stepl,
			      const struct caller_param *prm, caller_h *h,
			      void *arg);

/** What the caller sends in the next frame: FRAME_SAMPLES, maybe silence */
void caller_speak(struct caller *c, int16_t *pcmv);

/** A frame from outside (microphone) was sent in its place */
void caller_spoke(struct caller *c, const int16_t *pcmv);

/**
 * What was heard meanwhile; 20 ms have passed
 *
 * @param busy Is more of the bot's audio or a mark still waiting?
 */
void caller_hear(struct caller *c, const int16_t *pcmv, bool busy);

/** The daemon threw away what was not yet heard: what follows is new speech */
void caller_cleared(struct caller *c);

/** The bot hung up; expectations that were left have failed, and other steps
 * unless it may hang up early */
void caller_bot_hung_up(struct caller *c, uint16_t code);

/** Has the caller hung up, or is done after the bot did? */
bool caller_is_done(const struct caller *c);

struct caller_stats {
	unsigned said, answers, unanswered;
	unsigned expected, failed;
	uint32_t wait_p50_ms, wait_max_ms;
	uint32_t caller_ms, bot_ms; /* of speech */
};

void caller_stats(const struct caller *c, struct caller_stats *st);

/** Level of the last frame [dBFS], −100 for silence */
int caller_level(const struct caller *c);
int caller_bot_level(const struct caller *c);

/** Level of a frame [dBFS], at least −100 */
int pcm_level(const int16_t *pcmv, size_t n);

#endif

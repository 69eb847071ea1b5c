/**
 * @file demo.h  The demo bot's conversation, without I/O
 */
#ifndef CONVOD_DEMO_H
#define CONVOD_DEMO_H

#include <convod/bot.h>
#include <convod/dialog.h>

enum { DEMO_TEXT_MAX = 1024 };

enum demo_wait {
	DEMO_WAITS,         /* for anything                       */
	DEMO_WAITS_PART,    /* for the answer to a need           */
	DEMO_WAITS_CONFIRM, /* for yes or no to an intent         */
	DEMO_WAITS_PERSON,  /* for yes or no to "talk to a person" */
	DEMO_WAITS_MORE,    /* for "anything else?"               */
};

struct demo_state {
	enum demo_wait wait;
	const struct bot_intent *intent; /* being done, or NULL */
	char slotv[BOT_PARTS_MAX][BOT_SLOT_MAX];
	unsigned unclear;         /* turns in a row             */
	char said[DEMO_TEXT_MAX]; /* for "repeat that"          */
};

/** What to do: say a text (never ""), then maybe an end */
struct demo_answer {
	char text[DEMO_TEXT_MAX];
	bool hangup;
	bool transfer;
	const char *number; /* of the transfer */
};

/**
 * Answer a turn
 *
 * @param text What was said or keyed in; "" with the other kinds
 */
void demo_turn(const struct bot *b, struct demo_state *s,
	       struct demo_answer *a, enum dialog_turn_kind kind,
	       const char *text);

#endif

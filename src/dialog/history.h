/**
 * @file history.h  What was said so far, for servers that keep nothing
 *
 * Only what the caller has said and heard is in it. When it grows too long
 * the oldest of it goes; the system's message is not part of it. Pure;
 * private to src/dialog.
 */
#ifndef CONVOD_HISTORY_H
#define CONVOD_HISTORY_H

#include <convod/json.h>
#include <convod/list.h>

enum {
	HISTORY_MAX_BYTES = 24 << 10, /* some 6000 tokens */
	HISTORY_LINES_MAX = 400,
};

enum history_who { HISTORY_USER, HISTORY_BOT };

struct history {
	struct list linel;
	size_t bytes;
	size_t linec;
};

/** Forget all */
void history_flush(struct history *h);

/** Add a line. Lines of one side that follow each other are one message. */
CV_NODISCARD int history_add(struct history *h, enum history_who who,
			     const char *text);

/**
 * The last answer was not heard to its end
 *
 * @param heard What was heard of it; "": nothing
 */
CV_NODISCARD int history_heard(struct history *h, const char *heard);

/** Take the last line back if it is the caller's and text begins with it: it
 * comes again with more behind it */
void history_take_back(struct history *h, const char *text);

/** Forget the older half; false if there is nothing to forget */
bool history_halve(struct history *h);

/**
 * The messages as chat completions want them: the system's, then the user's
 * and the assistant's in turn
 *
 * @param jp Set to a new array; release with json_decref()
 */
CV_NODISCARD int history_json(json_t **jp, const struct history *h,
			      const char *system);

#endif

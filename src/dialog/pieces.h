/**
 * @file pieces.h  A text that arrives in pieces, cut into pieces to be spoken
 *
 * What a language model writes comes a few characters at a time and is heard
 * while the rest is still being written: the first clause or sentence goes
 * out as soon as it is certain. Each further piece may be as long as what was
 * said before gives time for, since longer ones sound better.
 *
 * Thinking in <think> and the like, and code in fences, is left out, wherever
 * the text was cut. Pure; private to src/dialog.
 */
#ifndef CONVOD_PIECES_H
#define CONVOD_PIECES_H

#include <convod/sentence.h>

enum {
	PIECES_MAX = 4096, /* bytes of an answer that are spoken, that is
				 * about five minutes; what comes later is left
				 * out */
	PIECES_LONG = 200, /* bytes that are enough for any piece */
	PIECE_SIZE = SENTENCE_MAX + 1,
};

/** Zeroed for each answer */
struct pieces {
	char buf[PIECES_MAX];
	size_t bufc;
	size_t visible;     /* of it: known to be no thinking */
	const char *hidden; /* what ends the thinking, or NULL */
	size_t said;        /* bytes that were taken */
	bool full;          /* something was left out, more will be */
};

enum pieces_when {
	PIECES_MORE,  /* text is coming in               */
	PIECES_PAUSE, /* none came for a while           */
	PIECES_END,   /* no more will come               */
};

/** Text has come, any part of it */
void pieces_add(struct pieces *p, const char *s, size_t n);

/**
 * Take the next piece to be spoken, cleaned for speech
 *
 * A pause makes an end mark certain, but cuts no sentence: a slow model's
 * words would be spoken one by one.
 *
 * @param dst PIECE_SIZE bytes
 *
 * @return false if there is none, or not yet
 */
bool pieces_take(struct pieces *p, char *dst, enum pieces_when when);

/** Is anything waiting for its end? */
bool pieces_wait(const struct pieces *p);

#endif

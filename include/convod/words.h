/**
 * @file words.h  Words as a caller and a bot say them: whatever their case and
 *                punctuation
 */
#ifndef CONVOD_WORDS_H
#define CONVOD_WORDS_H

#include <convod/defs.h>

CV_BEGIN_DECLS

/**
 * Fold a text: its words in lower case, a blank between two
 *
 * A word is letters and digits of any script; an apostrophe is left out
 * ("don't" becomes "dont"), everything else separates.
 *
 * @param size Room at dst, at least 8; what does not fit is cut
 * @param s    Valid UTF-8
 *
 * Thread: any
 */
void words_fold(char *dst, size_t size, const char *s);

/**
 * The next word of a folded text
 *
 * @param pos Where to look, moved behind it
 * @param n   Bytes of it
 *
 * @return the word, or NULL at the end
 */
const char *words_take(const char **pos, size_t *n);

/** Is this one of the words of a folded text? */
bool words_has(const char *folded, const char *word, size_t n);

CV_END_DECLS

#endif

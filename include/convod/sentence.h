/**
 * @file sentence.h  Cuts text into sentences, and cleans it for speech. Pure.
 */
#ifndef CONVOD_SENTENCE_H
#define CONVOD_SENTENCE_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum {
	SENTENCE_MAX = 240, /* bytes; then it is cut at a blank */
	SENTENCE_CLAUSE_MIN = 20,
	SENTENCE_CLAUSE_LONG = 60, /* a sentence below that stays whole */
};

/**
 * Find the end of the first sentence
 *
 * Ends are `. ! ? : …` and newlines where a blank follows; not after an
 * abbreviation or an initial, and not inside 3.14, 12:30 or a URL.
 *
 * @param s    UTF-8, need not end with a zero
 * @param last Nothing more will come after s: its end is an end
 *
 * @return bytes of it with its end mark, 0 if its end has not come yet
 */
size_t sentence_cut(const char *s, size_t len, bool last);

/**
 * Find the end of the first sentence, or of its first clause if it is long:
 * what is spoken first, so that the caller hears something soon
 */
size_t sentence_clause(const char *s, size_t len, bool last);

/** Does the text end with the mark of a sentence's end? Certain only when
 * nothing comes after it. */
bool sentence_is_end(const char *s, size_t len);

/**
 * Copy without what cannot be spoken: markup in angle brackets, marks of
 * markdown, bullets, links, control characters, emoji; runs of blanks become
 * one
 *
 * @param dst At least len + 1 bytes
 *
 * @return true if there is anything to say: a letter or a digit
 */
bool sentence_clean(char *dst, const char *s, size_t len);

/**
 * Where in s is what sentence_clean() made byte `at` of its copy? Its end is
 * behind the last that was copied.
 */
size_t sentence_origin(const char *s, size_t len, size_t at);

CV_END_DECLS

#endif

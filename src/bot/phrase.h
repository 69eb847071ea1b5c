/**
 * @file phrase.h  Patterns of words: parse, print as JSGF, match
 *
 * The notation is the body of a JSGF rule without weights, tags and repeats:
 * words, `a | b`, `[a]`, `(a)`, `<part>`. A part must have been defined before
 * it is used, so patterns cannot recurse.
 */
#ifndef CONVOD_PHRASE_H
#define CONVOD_PHRASE_H

#include <stdio.h>
#include <convod/defs.h>

enum {
	PHRASE_NODES_MAX = 8192,
	PHRASE_WEIGHT_MAX = 65536, /* nodes with parts written out */
	PHRASE_DEPTH_MAX = 16,
	PHRASE_WORDS_MAX = 63, /* positions are bits of a uint64_t */
	PHRASE_NONE = 0xffff,
};

struct phrases;

int phrases_alloc(struct phrases **pp);

/**
 * Parse a pattern
 *
 * @param partv Names of the parts that may be used
 * @param nodev Their nodes
 *
 * @return 0; EINVAL with *errp at what is wrong; EOVERFLOW; ENOMEM
 */
int phrase_parse(struct phrases *p, uint16_t *nodep, const char *s,
		 const char *const *partv, const uint16_t *nodev, size_t partc,
		 const char **errp);

/** Make one pattern of two alternatives; PHRASE_NONE is nothing */
int phrase_or(struct phrases *p, uint16_t *nodep, uint16_t a, uint16_t b);

/** Print as the body of a JSGF rule */
void phrase_print(const struct phrases *p, uint16_t node, FILE *f);

/** A text cut into lower-case words */
struct phrase_text {
	char buf[1024];
	const char *wordv[PHRASE_WORDS_MAX];
	size_t wordc;
};

void phrase_text_init(struct phrase_text *t, const char *text);

/** A stretch of words, from start to before end */
struct phrase_span {
	size_t start;
	size_t end;
};

/** Find the longest stretch that the pattern matches; the first of several
 * @return its length, 0: none */
size_t phrase_find(const struct phrases *p, uint16_t node,
		   const struct phrase_text *t, struct phrase_span *span);

/** Does the pattern match all words?
 * @param more Set if something that the pattern matches begins with them and
 *             goes on */
bool phrase_is_whole(const struct phrases *p, uint16_t node,
		     const struct phrase_text *t, bool *more);

#endif

/**
 * @file bot.h  A bot's file: what callers can say, and what it answers
 *
 * One YAML file (share/demo.bot explains it) read into an immutable object.
 * The embedded recogniser's grammar is made of its phrases, and the demo bot
 * looks up what it hears in the same phrases.
 *
 * Thread: any; the object is immutable.
 */
#ifndef CONVOD_BOT_H
#define CONVOD_BOT_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum {
	BOT_FILE_MAX = 256 << 10, /* bytes */
	BOT_PARTS_MAX = 32,
	BOT_INTENTS_MAX = 64,
	BOT_NEEDS_MAX = 4,
	BOT_UNCLEAR_MAX = 8,
	BOT_WORDS_MAX = 63, /* of a turn that are looked at */
	BOT_SLOT_MAX = 64,  /* bytes of what a part was heard as */
	BOT_WHY_MAX = 160,
};

/** What an intent does beside saying something */
enum bot_does {
	BOT_TALKS,
	BOT_FILLS, /* nothing by itself: brings parts that were asked for */
	BOT_SAYS_YES,
	BOT_SAYS_NO,
	BOT_REPEATS,
	BOT_HANGS_UP,
	BOT_TRANSFERS,
};

/** A part that must be known before an intent can be carried out */
struct bot_need {
	size_t part; /* index */
	const char *ask;
};

struct bot_intent {
	const char *name;
	enum bot_does does;
	const char *say;
	const char *confirm;   /* question before it is done, or NULL */
	const char *otherwise; /* said when the answer was no         */
	const char *number;    /* of BOT_TRANSFERS, maybe ""          */
	struct bot_need needv[BOT_NEEDS_MAX];
	size_t needc;
	uint16_t phrases; /* node of all its phrases */
};

struct bot {
	const char *greeting;
	const char *more;  /* asked after something was done           */
	const char *again; /* asked when the caller wants more         */
	const char *unclearv[BOT_UNCLEAR_MAX];
	size_t unclearc;
	const struct bot_intent *person; /* what the last unclear offers */

	const char *partv[BOT_PARTS_MAX]; /* names */
	uint16_t part_nodev[BOT_PARTS_MAX];
	size_t partc;
	struct bot_intent intentv[BOT_INTENTS_MAX];
	size_t intentc;

	struct phrases *phrases; /* nodes of all patterns */
	void *doc;               /* owns the strings      */
};

/**
 * Read a bot from the text of its file
 *
 * @param why BOT_WHY_MAX bytes; says what is wrong and where
 *
 * @return 0; EINVAL: something is wrong; EOVERFLOW: too big; ENOMEM
 */
CV_NODISCARD int bot_parse(struct bot **bp, const char *yaml, size_t len,
			   char *why);

/**
 * Read a bot from a file
 *
 * @param path NULL or "": the demo bot that is built in
 */
CV_NODISCARD int bot_load(struct bot **bp, const char *path, char *why);

/**
 * Print the grammar of everything callers can say, as JSGF 1.0
 *
 * @param jsgfp New string; release with mem_deref()
 */
CV_NODISCARD int bot_grammar(const struct bot *b, char **jsgfp);

/** What was made of a turn */
struct bot_heard {
	const struct bot_intent *intent;         /* NULL: nothing fits */
	char slotv[BOT_PARTS_MAX][BOT_SLOT_MAX]; /* "" where not heard */
};

/**
 * Look up what the caller said: the longest phrase of any intent that occurs
 * in it, and the parts. What covers less than half the words is nothing.
 *
 * @param text UTF-8, any case and punctuation
 */
void bot_hear(const struct bot *b, struct bot_heard *h, const char *text);

/**
 * Is this all that the caller is going to say? It is if the text is a phrase
 * of an intent, and no words that may follow would make it another intent or
 * bring a part that the intent needs.
 */
bool bot_is_complete(const struct bot *b, const char *text);

CV_END_DECLS

#endif

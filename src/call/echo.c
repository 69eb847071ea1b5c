/**
 * @file echo.c  The bot's own words, which a recogniser hears as well
 *
 * A loudspeaker brings them back, a recogniser takes them for the caller's,
 * and the bot interrupts and answers itself. What voice activity heard
 * meanwhile was no louder than an echo may be (audio/echo.c), but that alone
 * is no reason: a caller may be as quiet. Nor are the words alone: callers
 * repeat what they are offered. Both together are.
 */
#include <string.h>
#include <convod/words.h>
#include "call_priv.h"

enum {
	/* a final comes within 2 s of the last word */
	LATE_MS = 3000,
	/* of a folded text; no sentence is longer */
	FOLDED_SIZE = 1024,
	WORDS_MAX = 64, /* looked at, a bit each */
};

void call_echo(struct call *c, uint64_t now_ms)
{
	c->echo_until_ms = now_ms + LATE_MS;
}

/* Which words of a text are the bot's, too: a bit each */
static uint64_t own_words(const char *folded, const struct sound *s)
{
	char textv[FOLDED_SIZE];
	uint64_t own = 0, bit = 1;
	const char *word;
	size_t n;

	if (!s || !s->text)
		return 0;

	words_fold(textv, sizeof(textv), s->text);
	for (; bit && (word = words_take(&folded, &n)); bit <<= 1) {
		if (words_has(textv, word, n))
			own |= bit;
	}

	return own;
}

static unsigned count_words(const char *folded)
{
	unsigned words = 0;
	size_t n;

	while (words < WORDS_MAX && words_take(&folded, &n))
		++words;

	return words;
}

/* A recogniser gets some of them wrong */
static bool is_mostly_own(const struct call *c, const char *text)
{
	char folded[FOLDED_SIZE];
	uint64_t own = 0;
	struct le *le;

	words_fold(folded, sizeof(folded), text);
	for (size_t i = 0; i < c->lastc; i++)
		own |= own_words(folded, c->lastv[i]);
	LIST_FOREACH(&c->utterancel, le)
	{
		const struct utterance *u = list_ledata(le);

		own |= own_words(folded, u->sound);
	}

	return 2 * (unsigned)__builtin_popcountll(own) > count_words(folded);
}

/** Is what the recogniser heard the bot itself? */
bool echo_is_own(const struct call *c, const char *text, uint64_t now_ms)
{
	return !c->speaking && !c->fresh && now_ms < c->echo_until_ms &&
	       is_mostly_own(c, text);
}

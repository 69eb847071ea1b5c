/**
 * @file fuzz_bot.c  A bot's file, and what callers say to it
 */
#include <stdlib.h>
#include <string.h>
#include <convod/bot.h>
#include <convod/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[BOT_WHY_MAX], *jsgf;
	struct bot_heard h;
	struct bot *b;

	if (bot_parse(&b, (const char *)data, size, why)) {
		if (!memchr(why, '\0', sizeof(why)))
			abort();
		return 0;
	}

	if (!b->intentc || !b->unclearc || bot_grammar(b, &jsgf))
		abort();
	bot_hear(b, &h, jsgf); /* has every word of the file */
	bot_hear(b, &h, b->greeting);
	mem_deref(jsgf);
	mem_deref(b);

	return 0;
}

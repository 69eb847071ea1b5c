/**
 * @file script.h  What a caller does, step by step
 *
 * One step a line; blank lines and what follows a `#` are ignored, a file name
 * with blanks stands in double quotes. Durations are milliseconds.
 *
 *	say FILE                 when the bot has finished, say it
 *	interrupt FILE after MS  when the bot has spoken for MS, say it over it
 *	press DIGITS             at once: 0-9 * # A-D
 *	wait MS
 *	wait-bot [MS]            for the bot to speak (10000) and to finish
 *	expect-audio MS          the bot is heard within MS
 *	expect-silence MS        the bot is not heard for MS
 *	expect-clear MS          the bot falls silent within MS of when the
 *	                         caller began to speak, or pressed a key, last
 *	expect-close MS [CODE]   the bot hangs up within MS, with that code
 *	hangup
 *
 * After the last step the caller waits for the answer and hangs up.
 */
#ifndef CONVO_SCRIPT_H
#define CONVO_SCRIPT_H

#include <convod/list.h>

enum {
	SCRIPT_STEPS_MAX = 10000,
	SCRIPT_MS_MAX = 3600000,
	SCRIPT_ANSWER_MS = 10000,
};

enum step_type {
	STEP_SAY,
	STEP_INTERRUPT,
	STEP_PRESS,
	STEP_WAIT,
	STEP_WAIT_BOT,
	STEP_EXPECT_AUDIO,
	STEP_EXPECT_SILENCE,
	STEP_EXPECT_CLEAR,
	STEP_EXPECT_CLOSE,
	STEP_HANGUP,
};

struct step {
	struct le le;
	enum step_type type;
	unsigned line; /* of the script, 0: from the command line */
	char *arg;     /* file or digits, as written; or NULL */
	uint32_t ms;
	bool polite;   /* press: wait for the bot to finish */
	uint16_t code; /* of a close frame, 0: any */
	int16_t *pcmv; /* what the file holds; the loader's to fill in */
	size_t pcmc;   /* samples */
	char *text;    /* what is said, if known; the loader's */
};

const char *step_name(enum step_type type);

/** Append a step, copying arg */
int script_add(struct list *stepl, enum step_type type, const char *arg,
	       uint32_t ms);

/**
 * Parse a script, appending to a list of struct step; list_flush() it
 *
 * @param line Set to the line of an error
 * @param why  Set to a constant that says what is wrong there
 *
 * @return 0; EBADMSG; ENOMEM
 */
int script_parse(struct list *stepl, const char *text, size_t len,
		 unsigned *line, const char **why);

#endif

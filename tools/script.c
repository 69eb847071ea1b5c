/**
 * @file script.c  What a caller does, step by step: the parser
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "script.h"

/* The words of a line, in a copy of it */
enum { WORDS_MAX = 5, LINE_MAX_BYTES = 4096 };

/* What follows the name: f file, d digits, m milliseconds, c close code,
 * a the word "after"; what is optional stands after a '?' */
static const struct grammar {
	const char *name;
	const char *args;
	uint32_t ms; /* where none is given */
} grammarv[] = {
	[STEP_SAY] = {"say", "f", 0},
	[STEP_INTERRUPT] = {"interrupt", "fam", 0},
	[STEP_PRESS] = {"press", "d", 0},
	[STEP_WAIT] = {"wait", "m", 0},
	[STEP_WAIT_BOT] = {"wait-bot", "?m", SCRIPT_ANSWER_MS},
	[STEP_EXPECT_AUDIO] = {"expect-audio", "m", 0},
	[STEP_EXPECT_SILENCE] = {"expect-silence", "m", 0},
	[STEP_EXPECT_CLEAR] = {"expect-clear", "m", 0},
	[STEP_EXPECT_CLOSE] = {"expect-close", "m?c", 0},
	[STEP_HANGUP] = {"hangup", "", 0},
};

const char *step_name(enum step_type type)
{
	return grammarv[type].name;
}

static void step_destructor(void *arg)
{
	struct step *s = arg;

	list_unlink(&s->le);
	mem_deref(s->arg);
	mem_deref(s->pcmv);
	mem_deref(s->text);
}

static int add(struct step **sp, struct list *stepl, enum step_type type,
	       const char *arg, uint32_t ms)
{
	struct step *s;

	if (list_count(stepl) >= SCRIPT_STEPS_MAX)
		return EOVERFLOW;

	s = mem_zalloc(sizeof(*s), step_destructor);
	if (!s)
		return ENOMEM;

	s->type = type;
	s->ms = ms;
	if (arg && str_dup(&s->arg, arg)) {
		mem_deref(s);
		return ENOMEM;
	}
	list_append(stepl, &s->le, s);
	if (sp)
		*sp = s;

	return 0;
}

int script_add(struct list *stepl, enum step_type type, const char *arg,
	       uint32_t ms)
{
	return add(NULL, stepl, type, arg, ms);
}

/* Split in place; -1: a quote without its end, or too many words */
static int split(char *line, char *wordv[WORDS_MAX])
{
	int n = 0;

	for (;;) {
		line += strspn(line, " \t\r");
		if (!*line || *line == '#')
			return n;
		if (n == WORDS_MAX)
			return -1;
		if (*line == '"') {
			wordv[n++] = ++line;
			line = strchr(line, '"');
			if (!line)
				return -1;
		} else {
			wordv[n++] = line;
			line += strcspn(line, " \t\r");
		}
		if (*line)
			*line++ = '\0';
	}
}

static bool number(uint32_t *v, const char *s, uint32_t max)
{
	uint32_t n = 0;

	if (!*s || strlen(s) > 9)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		n = n * 10 + (uint32_t)(*s - '0');
	}
	*v = n;

	return n <= max;
}

/* One argument; NULL when it is right, else what it should have been */
static const char *argument(char kind, const char *word, const char **arg,
			    uint32_t *ms, uint32_t *code)
{
	switch (kind) {
	case 'f':
		*arg = word;
		return *word ? NULL : "a file name is expected";
	case 'd':
		*arg = word;
		return *word && !word[strspn(word, "0123456789*#ABCD")]
			       ? NULL
			       : "digits are 0-9 * # A-D";
	case 'a':
		return str_eq(word, "after") ? NULL
					     : "the word after is expected";
	case 'm':
		return number(ms, word, SCRIPT_MS_MAX)
			       ? NULL
			       : "milliseconds are expected";
	default:
		return number(code, word, 4999) && *code >= 1000
			       ? NULL
			       : "a close code is expected";
	}
}

static int parse_line(struct list *stepl, char *line, unsigned lineno,
		      const char **why)
{
	uint32_t ms, code = 0;
	const char *arg = NULL, *p;
	char *wordv[WORDS_MAX];
	int n = split(line, wordv), i = 1, err;
	bool optional = false;
	struct step *s;
	size_t type;

	if (!n)
		return 0;
	*why = "a quote is not closed, or too many words";
	if (n < 0)
		return EBADMSG;

	*why = "unknown step";
	for (type = 0; type < ARRAY_SIZE(grammarv); type++)
		if (str_eq(wordv[0], grammarv[type].name))
			break;
	if (type == ARRAY_SIZE(grammarv))
		return EBADMSG;

	ms = grammarv[type].ms;
	for (p = grammarv[type].args; *p; p++) {
		if (*p == '?') {
			optional = true;
			continue;
		}
		if (i == n && optional)
			break;
		*why = i == n ? "an argument is missing"
			      : argument(*p, wordv[i], &arg, &ms, &code);
		if (*why)
			return EBADMSG;
		++i;
	}
	*why = "too many arguments";
	if (i < n)
		return EBADMSG;

	*why = "too many steps";
	err = add(&s, stepl, (enum step_type)type, arg, ms);
	if (err)
		return err == EOVERFLOW ? EBADMSG : err;

	s->line = lineno;
	s->code = (uint16_t)code;

	return 0;
}

int script_parse(struct list *stepl, const char *text, size_t len,
		 unsigned *line, const char **why)
{
	char buf[LINE_MAX_BYTES];

	for (*line = 1; len; ++*line) {
		const char *nl = memchr(text, '\n', len);
		size_t n = nl ? (size_t)(nl - text) : len;
		int err;

		*why = "line too long, or not text";
		if (n >= sizeof(buf) || memchr(text, '\0', n))
			return EBADMSG;
		memcpy(buf, text, n);
		buf[n] = '\0';

		err = parse_line(stepl, buf, *line, why);
		if (err)
			return err;

		n += nl ? 1 : 0;
		text += n;
		len -= n;
	}
	*why = NULL;

	return 0;
}

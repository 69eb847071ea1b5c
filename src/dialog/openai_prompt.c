/**
 * @file openai_prompt.c  Chat completions: what the model is told to be
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "openai.h"

enum { NAME_SIZE = 64, NOW_SIZE = 64 };

static const char builtin[] =
	"You answer a telephone call. What you write is spoken to the caller "
	"by a synthetic voice, so write only what a friendly person would "
	"say: one or two short sentences at a time, no lists, no markup, no "
	"emoji, no links. Write numbers, times and abbreviations as they are "
	"read aloud. Speak the language with the tag {{language}}. What the "
	"caller says comes from a speech recogniser and may be misheard: ask "
	"when it makes no sense. Text in [brackets] is from the telephone "
	"system, the caller does not know of it. It is {{now}}.";

const char openai_prompt_tools[] =
	" When the conversation is over, say goodbye and call hang_up. When "
	"the caller needs a person, say that you connect them and call "
	"transfer_call.";

/** What {{name}} stands for */
struct facts {
	const struct dialog_call *call;
	const char *language;
	char now[NOW_SIZE];
};

static const char *look_up(const struct facts *f, const char *name)
{
	const struct {
		const char *name, *value;
	} factv[] = {
		{"caller", f->call->caller},
		{"called", f->call->called},
		{"call_id", f->call->call_id},
		{"language", f->language},
		{"now", f->now},
	};
	const char *s;

	for (size_t i = 0; i < ARRAY_SIZE(factv); i++) {
		if (str_eq(factv[i].name, name))
			return factv[i].value ? factv[i].value : "";
	}
	s = jsn_str(f->call->params, name);

	return s ? s : "";
}

/* The name is between braces, maybe with blanks around it */
static const char *value_of(const struct facts *f, const char *s, size_t n)
{
	char name[NAME_SIZE];

	for (; n && *s == ' '; --n)
		++s;
	while (n && s[n - 1] == ' ')
		--n;
	if (n >= sizeof(name))
		return "";
	memcpy(name, s, n);
	name[n] = '\0';

	return look_up(f, name);
}

static int append(char **sum, const char *s, size_t n, const char *value)
{
	char *more;
	int err = str_printf(&more, "%s%.*s%s", *sum ? *sum : "", (int)n, s,
			     value);

	if (err)
		return err;

	mem_deref(*sum);
	*sum = more;

	return 0;
}

static int fill_in(char **sp, const char *s, const struct facts *f)
{
	char *sum = NULL;
	int err;

	do {
		const char *open = strstr(s, "{{");
		const char *close = open ? strstr(open, "}}") : NULL;

		if (!close) {
			err = append(&sum, s, strlen(s), "");
			break;
		}
		err = append(
			&sum, s, (size_t)(open - s),
			value_of(f, open + 2, (size_t)(close - open - 2)));
		s = close + 2;
	} while (!err);

	if (err)
		mem_deref(sum);
	else
		*sp = sum;

	return err;
}

int openai_prompt_print(char **sp, const struct openai *o,
			const struct dialog_call *call, time_t now)
{
	struct facts f = {
		.call = call,
		.language = str_isset(o->language) ? o->language : "en-US",
	};
	struct tm tm;

	if (localtime_r(&now, &tm))
		(void)strftime(f.now, sizeof(f.now), "%A %Y-%m-%d %H:%M", &tm);

	return fill_in(sp, o->prompt ? o->prompt : builtin, &f);
}

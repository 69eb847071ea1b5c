/**
 * @file openai_request.c  Chat completions: set-up, and what is asked
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "openai.h"
#include "openai_chunk.h"

enum {
	TIMEOUT_DEFAULT_MS = 15000,
	FIRST_TOKEN_MS = 8000, /* dialog.md 10.3 advises 5 to 8 s */
	OPTION_MAX = 64,
	OPTION_LIMIT = 1 << 30, /* not infinite, and fits an integer */
};

static const char path[] = "/chat/completions";

/* -------------------------------------------------------------- prompts */

static const char prompt_start[] =
	"You answer a telephone call. What you write is spoken to the caller "
	"by a synthetic voice, so write only what a friendly person would "
	"say: one or two short sentences at a time, no lists, no markup, no "
	"emoji, no links. Write numbers, times and abbreviations as they are "
	"read aloud. Speak the language with the tag ";

static const char prompt_rest[] =
	". What the caller says comes from a speech recogniser and may be "
	"misheard: ask when it makes no sense. Text in [brackets] is from "
	"the telephone system, the caller does not know of it.";

static const char prompt_tools[] =
	" When the conversation is over, say goodbye and call hang_up. When "
	"the caller needs a person, say that you connect them and call "
	"transfer_call.";

static int print_prompt(char **sp, const struct openai *o,
			const char *language, bool tools)
{
	if (o->prompt)
		return str_dup(sp, o->prompt);

	return str_printf(sp, "%s%s%s%s", prompt_start,
			  str_isset(language)      ? language
			  : str_isset(o->language) ? o->language
						   : "en-US",
			  prompt_rest, tools ? prompt_tools : "");
}

/* "123#" is "1 2 3 #", so that it is not taken for a number */
static int print_keys(char **sp, const char *keys)
{
	char spaced[2 * DIALOG_DIGITS_MAX + 1];
	size_t n = 0;

	for (; *keys && n + 2 < sizeof(spaced); keys++) {
		spaced[n++] = ' ';
		spaced[n++] = *keys;
	}
	spaced[n] = '\0';

	return str_printf(sp, "[The caller pressed%s on the telephone's keys]",
			  spaced);
}

int openai_turn_print(char **textp, const struct openai *o,
		      const struct dialog_turn *t)
{
	const char *text = t->text;

	switch (t->kind) {
	case DIALOG_OPENING:
		text = str_isset(o->opening)
			       ? o->opening
			       : "[The caller has just been connected. Greet "
				 "them in one short sentence.]";
		break;
	case DIALOG_KEYS:
		return print_keys(textp, t->text);
	case DIALOG_NOISE:
		text = "[The caller said something that could not be "
		       "understood]";
		break;
	case DIALOG_NOBODY:
		text = "[The caller has said nothing for a while. Ask in a "
		       "few words whether they are still there.]";
		break;
	default:
		break;
	}

	return str_dup(textp, text);
}

/* ----------------------------------------------------------------- body */

int openai_request_print(char **bodyp, const struct openai *o,
			 const struct history *h, const char *language,
			 bool tools)
{
	char *prompt = NULL;
	json_t *messages = NULL, *root = NULL;
	int err = print_prompt(&prompt, o, language, tools);

	if (!err)
		err = history_json(&messages, h, prompt);
	if (!err)
		root = json_pack("{s:s*, s:o, s:b, s:O*}", "model", o->model,
				 "messages", messages, "stream", 1, "tools",
				 tools ? o->tools : NULL);
	/* what is packed with "o" is gone if that fails */
	if (!err && (!root || json_object_update(root, o->options)))
		err = ENOMEM;
	if (!err)
		err = jsn_print(bodyp, root);
	json_decref(root);
	mem_deref(prompt);

	return err;
}

/* --------------------------------------------------------------- set-up */

/* "temperature=0.4": a number, passed on as it is. "tools=0" is ours. */
static int add_option(struct openai *o, const char *s, size_t n)
{
	static const char *const namev[] = {
		"max_tokens", "max_completion_tokens", "temperature",
		"top_p",      "presence_penalty",      "frequency_penalty",
		"seed"};
	char option[OPTION_MAX], *value, *end;
	double number;

	if (n >= sizeof(option))
		return EINVAL;
	memcpy(option, s, n);
	option[n] = '\0';
	value = strchr(option, '=');
	if (!value)
		return EINVAL;
	*value++ = '\0';
	number = strtod(value, &end);
	if (end == value || *end || !(fabs(number) < OPTION_LIMIT))
		return EINVAL;

	if (str_eq(option, "tools")) {
		o->no_tools = number == 0;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		json_int_t whole = (json_int_t)number;

		if (str_eq(option, namev[i]))
			return json_object_set_new(
				       o->options, option,
				       (double)whole == number
					       ? json_integer(whole)
					       : json_real(number))
				       ? ENOMEM
				       : 0;
	}

	return EINVAL;
}

static int read_options(struct openai *o, const char *query)
{
	int err = 0;

	while (*query && !err) {
		size_t n = strcspn(query, "&");

		err = add_option(o, query, n);
		query += n + (query[n] == '&');
	}

	return err;
}

/* Without a path it is the vendor's own; a base is used as it is */
static int make_url(struct openai *o, const char *url, size_t n)
{
	const char *host = strstr(url, "://");
	const char *end = url + n;

	if (!host || host + 3 >= end)
		return EINVAL;
	host += 3;
	while (end > host && end[-1] == '/')
		--end;
	n = (size_t)(end - url);
	if (end == host)
		return EINVAL;

	if (n >= sizeof(path) &&
	    !memcmp(end - (sizeof(path) - 1), path, sizeof(path) - 1))
		return str_ndup(&o->url, url, n);

	return str_printf(&o->url, "%.*s%s%s", (int)n, url,
			  memchr(host, '/', (size_t)(end - host)) ? "" : "/v1",
			  path);
}

static int read_url(struct openai *o, const char *url)
{
	char origin[HTTP_URL_MAX];
	size_t n = strcspn(url, "?");
	int err;

	if (strchr(url, '#') || strlen(url) >= HTTP_URL_MAX / 2)
		return EINVAL;

	err = make_url(o, url, n);
	if (!err)
		err = url_origin(origin, sizeof(origin), o->url);
	if (err)
		return err == ENOMEM ? ENOMEM : EINVAL;

	return read_options(o, url[n] ? url + n + 1 : "");
}

static int dup_set(char **dst, const char *s)
{
	return str_isset(s) ? str_dup(dst, s) : 0;
}

static int copy_texts(struct openai *o, const struct dialog_param *prm)
{
	int err = dup_set(&o->model, prm->model);

	if (!err)
		err = dup_set(&o->prompt, prm->prompt);
	if (!err)
		err = dup_set(&o->opening, prm->opening);
	if (!err)
		err = dup_set(&o->language, prm->language);
	if (!err && str_isset(prm->key))
		err = str_printf(&o->auth, "Authorization: Bearer %s",
				 prm->key);

	return err;
}

static void destructor(void *arg)
{
	struct openai *o = arg;

	o->url = str_wipe(o->url); /* may hold a password */
	o->auth = str_wipe(o->auth);
	mem_deref(o->model);
	mem_deref(o->prompt);
	mem_deref(o->opening);
	mem_deref(o->language);
	json_decref(o->options);
	json_decref(o->tools);
}

int openai_alloc(struct dialog **dp, const struct dialog_param *prm,
		 const struct net *net)
{
	const char *url = strchr(prm->url, '+');
	uint32_t ms = prm->timeout_ms ? prm->timeout_ms : TIMEOUT_DEFAULT_MS;
	struct openai *o;
	int err;

	if (!url || (prm->key && strpbrk(prm->key, "\r\n")))
		return EINVAL;

	o = mem_zalloc(sizeof(*o), destructor);
	if (!o)
		return ENOMEM;

	o->d.be = &dialog_openai;
	o->net = net;
	o->first_ms = MIN(ms, FIRST_TOKEN_MS);
	o->timeout_ms = 2 * ms;
	o->options = json_object();
	o->tools = openai_tools();
	err = o->options && o->tools ? read_url(o, url + 1) : ENOMEM;
	if (!err)
		err = copy_texts(o, prm);

	if (err)
		mem_deref(o);
	else
		*dp = &o->d;

	return err;
}

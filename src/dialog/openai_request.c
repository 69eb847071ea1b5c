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

/* ---------------------------------------------------------------- turns */

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
			 const struct history *h, const char *prompt,
			 bool tools)
{
	json_t *messages = NULL, *root = NULL;
	char *system;
	int err = str_printf(&system, "%s%s", prompt,
			     tools && !o->prompt ? openai_prompt_tools : "");

	if (err)
		return err;

	err = history_json(&messages, h, system);
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
	mem_deref(system);

	return err;
}

/* --------------------------------------------------------------- set-up */

/* A member of each request: a number, or a word as it is */
static json_t *option_value(const char *value)
{
	char *end;
	double number = strtod(value, &end);
	json_int_t whole;

	if (*end || !(fabs(number) < OPTION_LIMIT))
		return value[strspn(value, "abcdefghijklmnopqrstuvwxyz_")]
			       ? NULL
			       : json_string(value);

	whole = (json_int_t)number;

	return (double)whole == number ? json_integer(whole)
				       : json_real(number);
}

/* Those that are ours: no tools, and a model that does not think first (that
 * is how vLLM, SGLang and llama.cpp are told so) */
static bool own_option(struct openai *o, const char *name, const char *value,
		       int *err)
{
	bool on = str_eq(value, "1");
	json_t *j;

	if (!str_eq(name, "tools") && !str_eq(name, "thinking"))
		return false;

	*err = on || str_eq(value, "0") ? 0 : EINVAL;
	if (str_eq(name, "tools")) {
		o->no_tools = !on;
	} else if (!*err) {
		j = json_pack("{s:b}", "enable_thinking", on);
		if (json_object_set_new(o->options, "chat_template_kwargs", j))
			*err = ENOMEM;
	}

	return true;
}

static int add_option(struct openai *o, const char *s, size_t n)
{
	static const struct {
		const char *name;
		bool word;
	} knownv[] = {
		{"max_tokens", false},
		{"max_completion_tokens", false},
		{"temperature", false},
		{"top_p", false},
		{"presence_penalty", false},
		{"frequency_penalty", false},
		{"seed", false},
		{"reasoning_effort", true},
		{"verbosity", true},
		{"service_tier", true},
	};
	char name[OPTION_MAX], *value;
	json_t *j;
	int err;

	if (n >= sizeof(name))
		return EINVAL;
	memcpy(name, s, n);
	name[n] = '\0';
	value = strchr(name, '=');
	if (!value || !value[1])
		return EINVAL;
	*value++ = '\0';

	if (own_option(o, name, value, &err))
		return err;
	for (size_t i = 0; i < ARRAY_SIZE(knownv); i++) {
		if (!str_eq(name, knownv[i].name))
			continue;
		j = option_value(value);
		if (!j || json_is_string(j) != knownv[i].word) {
			json_decref(j);
			return EINVAL;
		}
		return json_object_set_new(o->options, name, j) ? ENOMEM : 0;
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

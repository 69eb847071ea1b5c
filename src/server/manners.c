/**
 * @file manners.c  How the bot behaves in a conversation: from the settings
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "manners.h"

enum { PROMPT_MAX_BYTES = 64 << 10 };

static const char file_scheme[] = "file:";

static void destructor(void *arg)
{
	struct manners *m = arg;

	mem_deref(m->map);
	mem_deref(m->prompt);
}

/* The place of a value among others; the settings allow these only */
static int choice(const char *value, const char *const *valuev)
{
	int i = 0;

	while (valuev[i] && strcmp(valuev[i], value) != 0)
		++i;

	return i;
}

/* ------------------------------------------------------------- dtmf.map */

static enum call_key_action action_of(const char *name)
{
	static const struct {
		const char *name;
		enum call_key_action action;
	} actionv[] = {
		{"transfer", CALL_KEY_TRANSFER},
		{"operator", CALL_KEY_TRANSFER},
		{"repeat", CALL_KEY_REPEAT},
		{"hangup", CALL_KEY_HANGUP},
		{"send", CALL_KEY_SEND},
	};

	for (size_t i = 0; i < ARRAY_SIZE(actionv); i++) {
		if (str_eq(actionv[i].name, name))
			return actionv[i].action;
	}

	return CALL_KEY_NONE;
}

/* "K=action" or "K=action:text", in place */
static bool parse_key(struct call_key *k, char *s)
{
	char *text;

	s += strspn(s, " ");
	if (!*s || !strchr("0123456789*#ABCD", *s) || s[1] != '=')
		return false;

	k->key = *s;
	s += 2;
	text = strchr(s, ':');
	if (text)
		*text++ = '\0';
	k->text = text ? text : "";
	k->action = action_of(s);

	return k->action != CALL_KEY_NONE &&
	       (k->action != CALL_KEY_SEND || *k->text);
}

static int parse_map(struct manners *m, const char *map, char *errbuf)
{
	char *save = NULL;
	int err = str_dup(&m->map, map);

	if (err)
		return err;

	for (char *s = strtok_r(m->map, ",", &save); s;
	     s = strtok_r(NULL, ",", &save)) {
		if (m->prm.keyc == CALL_DTMF_MAP_MAX ||
		    !parse_key(&m->keyv[m->prm.keyc], s)) {
			(void)snprintf(errbuf, CONF_ERR_MAX,
				       "DTMF_MAP is KEY=ACTION[:TEXT],… with "
				       "transfer, operator, repeat, hangup, "
				       "send:TEXT, not \"%.100s\"",
				       s);
			return EINVAL;
		}
		++m->prm.keyc;
	}
	m->prm.keyv = m->keyv;

	return 0;
}

/* -------------------------------------------------------- dialog.prompt */

/* What a language model is told to be; *textp stays NULL if nothing */
static int read_prompt(char **textp, const char *path, char *errbuf)
{
	FILE *f = *path ? fopen(path, "re") : NULL;
	int err = *path && !f ? errno : 0;
	char *text = NULL;
	size_t n = 0;

	if (f) {
		text = mem_zalloc(PROMPT_MAX_BYTES + 1, NULL);
		n = text ? fread(text, 1, PROMPT_MAX_BYTES + 1, f) : 0;
		err = !text                  ? ENOMEM
		      : ferror(f)            ? EIO
		      : n > PROMPT_MAX_BYTES ? EFBIG
					     : 0;
		(void)fclose(f);
	}
	if (!err &&
	    (memchr(text ? text : "", 0, n) || !utf8_is_valid(text, n)))
		err = EILSEQ;

	if (!err) {
		*textp = text;
		return 0;
	}

	(void)snprintf(errbuf, CONF_ERR_MAX, "DIALOG_PROMPT: %.200s: %s", path,
		       strerror(err));
	mem_deref(text);

	return err;
}

/* ------------------------------------------------------------- greeting */

const char *manners_greeting_file(const struct conf *conf)
{
	return str_starts(conf->greeting, file_scheme)
		       ? conf->greeting + sizeof(file_scheme) - 1
		       : "";
}

static void set_greeting(struct call_param *prm, const struct conf *conf)
{
	const char *s = conf->greeting;

	prm->greeting_protect = conf->greeting_protect;
	if (str_eq(s, "dialog")) {
		prm->greeting = CALL_GREETING_DIALOG;
	} else if (str_eq(s, "none")) {
		prm->greeting = CALL_GREETING_NONE;
	} else if (*manners_greeting_file(conf)) {
		prm->greeting = CALL_GREETING_PROMPT;
	} else if (url_is_http(s)) {
		prm->greeting = CALL_GREETING_SOUND;
		prm->greeting_sound.url = prm->greeting_sound.origin = s;
	} else {
		prm->greeting = CALL_GREETING_SOUND;
		prm->greeting_sound.text = s;
	}
}

static void set_silence(struct call_param *prm, const struct conf *conf)
{
	const char *s = conf->silence_prompt;

	prm->silence = str_eq(s, "repeat") ? CALL_SILENCE_REPEAT
		       : str_eq(s, "ask")  ? CALL_SILENCE_ASK
					   : CALL_SILENCE_SAY;
	prm->silence_text = s;
	prm->silence_ms = conf->silence_ms;
	prm->silence_tries = conf->silence_tries;
	prm->silence_limit_ms = conf->silence_limit_ms;
}

static void set_param(struct call_param *prm, const struct conf *conf)
{
	static const char *const modev[] = {
		[CALL_BARGE_OFF] = "off",
		[CALL_BARGE_VAD] = "vad",
		[CALL_BARGE_WORDS] = "words",
		[CALL_BARGE_DTMF] = "dtmf",
		NULL,
	};
	int mode = choice(conf->barge_in_mode, modev);

	*prm = (struct call_param){
		.language = conf->language,
		.join_ms = conf->turn_join_ms,
		.endpoint_ms = conf->turn_endpoint_ms,
		.replace = str_eq(conf->turn_while_thinking, "replace"),
		.barge_in = (enum call_barge_in)mode,
		.barge_words = conf->barge_in_words,
		.resume_ms = conf->barge_in_resume_ms,
		.digits_ms = conf->dtmf_timeout_ms,
		.digits_max = conf->dtmf_digits,
		.finish = conf->dtmf_finish_key,
		.keys_only = conf->dtmf_ignore_speech,
		.keys_sensitive = conf->dtmf_sensitive,
		.filler_ms = conf->filler_after_ms,
		.repeat_max = conf->repeat_max,
		.max_ms = conf->call_max_seconds * 1000,
		.warn_ms = conf->call_warn_seconds * 1000,
		.idle_ms = conf->call_idle_seconds * 1000,
	};
	set_greeting(prm, conf);
	set_silence(prm, conf);
}

int manners_alloc(struct manners **mp, const struct conf *conf, char *errbuf)
{
	struct manners *m = mem_zalloc(sizeof(*m), destructor);
	int err;

	if (!m)
		return ENOMEM;

	set_param(&m->prm, conf);
	err = parse_map(m, conf->dtmf_map, errbuf);
	if (!err)
		err = read_prompt(&m->prompt, conf->dialog_prompt, errbuf);
	if (err)
		mem_deref(m);
	else
		*mp = m;

	return err;
}

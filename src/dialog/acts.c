/**
 * @file acts.c  The vocabulary of acts, as JSON
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "acts.h"

enum { NUMBER_SIZE = 32 };

/* What an act's strings may point to besides its JSON */
struct scratch {
	const struct acts_param *prm;
	char *url;
	char number[NUMBER_SIZE];
};

/* --------------------------------------------------- members of one act */

static int fill_say(struct dialog_act *a, const json_t *j, struct scratch *s)
{
	(void)s;
	a->text = jsn_str(j, "text");
	a->voice = jsn_str(j, "voice");
	a->language = jsn_str(j, "language");
	a->uninterruptible = json_is_false(
		json_object_get(j, "interruptible"));

	return a->text && strlen(a->text) < DIALOG_TEXT_MAX ? 0 : EBADMSG;
}

static int fill_play(struct dialog_act *a, const json_t *j, struct scratch *s)
{
	const char *url = jsn_str(j, "url");
	int err = url ? url_resolve(&s->url, s->prm->base, url) : EBADMSG;

	a->text = jsn_str(j, "text");
	a->url = s->url;
	a->origin = s->prm->origin;
	a->uninterruptible = json_is_false(
		json_object_get(j, "interruptible"));

	return err;
}

static int fill_pause(struct dialog_act *a, const json_t *j, struct scratch *s)
{
	(void)s;
	a->ms = jsn_u32(j, "ms", 0, DIALOG_PAUSE_MAX_MS, 0);

	return a->ms ? 0 : EBADMSG;
}

static int fill_collect(struct dialog_act *a, const json_t *j,
			struct scratch *s)
{
	(void)s;
	a->digits = jsn_u32(j, "digits", 0, DIALOG_DIGITS_MAX, 0);
	a->ms = jsn_u32(j, "ms", 0, ACTS_COLLECT_MAX_MS, 0);
	a->finish = jsn_str(j, "finish");
	a->sensitive = json_is_true(json_object_get(j, "sensitive"));

	return 0;
}

static int fill_transfer(struct dialog_act *a, const json_t *j,
			 struct scratch *s)
{
	const char *to = jsn_str(j, "to");

	(void)s;
	if (!to)
		to = jsn_str(j, "number");
	a->text = to ? to : "";
	a->name = jsn_str(j, "mode");

	return 0;
}

static int fill_hangup(struct dialog_act *a, const json_t *j,
		       struct scratch *s)
{
	(void)a;
	(void)j;
	(void)s;

	return 0;
}

static int fill_record(struct dialog_act *a, const json_t *j,
		       struct scratch *s)
{
	(void)s;
	a->on = !json_is_false(json_object_get(j, "on"));

	return 0;
}

static int fill_silence(struct dialog_act *a, const json_t *j,
			struct scratch *s)
{
	(void)s;
	a->ms = jsn_u32(j, "ms", 0, ACTS_SILENCE_MAX_MS, 0);

	return a->ms ? 0 : EBADMSG;
}

static int fill_set(struct dialog_act *a, const json_t *j, struct scratch *s)
{
	const json_t *value = json_object_get(j, "value");

	a->name = jsn_str(j, "name");
	a->text = s->number;
	if (json_is_string(value))
		a->text = json_string_value(value);
	else if (json_is_integer(value))
		(void)snprintf(s->number, sizeof(s->number),
			       "%" JSON_INTEGER_FORMAT,
			       json_integer_value(value));
	else if (json_is_real(value))
		(void)snprintf(s->number, sizeof(s->number), "%.10g",
			       json_real_value(value));
	else if (json_is_boolean(value))
		str_copy(s->number, sizeof(s->number),
			 json_is_true(value) ? "true" : "false");
	else if (value && !json_is_null(value))
		return EBADMSG;

	return a->name ? 0 : EBADMSG;
}

static int fill_note(struct dialog_act *a, const json_t *j, struct scratch *s)
{
	(void)s;
	a->text = jsn_str(j, "text");

	return a->text ? 0 : EBADMSG;
}

/* ---------------------------------------------------------------- kinds */

static const struct kind {
	const char *name;
	enum dialog_act_type type;
	const char *member; /* what a value by itself stands for */
	int (*fill)(struct dialog_act *a, const json_t *j, struct scratch *s);
} kindv[] = {
	{"say", DIALOG_SAY, "text", fill_say},
	{"play", DIALOG_PLAY, "url", fill_play},
	{"pause", DIALOG_PAUSE, "ms", fill_pause},
	{"collect", DIALOG_COLLECT, "digits", fill_collect},
	{"transfer", DIALOG_TRANSFER, "to", fill_transfer},
	{"hangup", DIALOG_HANGUP, "on", fill_hangup},
	{"record", DIALOG_RECORD, "on", fill_record},
	{"silence", DIALOG_SILENCE, "ms", fill_silence},
	{"set", DIALOG_SET, "value", fill_set},
	{"note", DIALOG_NOTE, "text", fill_note},
};

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(kindv); i++) {
		if (str_caseeq(kindv[i].name, name))
			return &kindv[i];
	}

	return NULL;
}

static int odd(const struct acts_param *prm, const char *what)
{
	return prm->h(NULL, what, prm->arg) ? 0 : ECANCELED;
}

static int one(const struct acts_param *prm, const struct kind *k,
	       const json_t *j)
{
	struct dialog_act act = {.type = k->type};
	struct scratch s = {.prm = prm};
	int err = k->fill(&act, j, &s);

	if (!err)
		err = prm->h(&act, NULL, prm->arg) ? 0 : ECANCELED;
	else if (err != ENOMEM)
		err = odd(prm, k->name);
	mem_deref(s.url);

	return err;
}

/* ------------------------------------------------------------ shorthand */

/* {"set": {"name": "value", …}} */
static int set_all(const struct acts_param *prm, const struct kind *k,
		   const json_t *vars)
{
	const char *name;
	json_t *value;
	int err = 0;

	json_object_foreach((json_t *)(uintptr_t)vars, name, value)
	{
		json_t *j = json_pack("{s:s, s:O}", "name", name, "value",
				      value);

		err = j ? one(prm, k, j) : ENOMEM;
		json_decref(j);
		if (err)
			break;
	}

	return err;
}

/* {"say": "text"}, {"say": {"text": …}}, {"say": ["one", "two"]} */
static int short_act(const struct acts_param *prm, const struct kind *k,
		     const json_t *value)
{
	const json_t *each;
	size_t i;
	json_t *j;
	int err = 0;

	if (json_is_null(value) ||
	    (json_is_false(value) && k->type != DIALOG_RECORD))
		return 0;
	if (json_is_object(value))
		return k->type == DIALOG_SET ? set_all(prm, k, value)
					     : one(prm, k, value);

	if (json_is_array(value)) {
		json_array_foreach(value, i, each)
		{
			if (json_is_array(each))
				err = odd(prm, k->name);
			else
				err = short_act(prm, k, each);
			if (err)
				break;
		}
		return err;
	}

	j = json_pack("{s:O}", k->member, value);
	err = j ? one(prm, k, j) : ENOMEM;
	json_decref(j);

	return err;
}

static int short_acts(const struct acts_param *prm, const json_t *j)
{
	const char *name;
	json_t *value;
	int err = 0;

	json_object_foreach((json_t *)(uintptr_t)j, name, value)
	{
		const struct kind *k = find_kind(name);

		err = k ? short_act(prm, k, value) : odd(prm, name);
		if (err)
			break;
	}

	return err;
}

/* ---------------------------------------------------------------- reply */

static int parse(const json_t *j, const struct acts_param *prm, unsigned depth)
{
	const json_t *list = json_object_get(j, "acts"), *each;
	const char *type = jsn_str(j, "type");
	size_t i;
	int err = 0;

	if (!j || json_is_null(j))
		return 0;
	if (depth == ACTS_DEPTH_MAX)
		return odd(prm, "too deep");

	if (json_is_string(j))
		return str_isset(json_string_value(j))
			       ? short_act(prm, &kindv[0], j)
			       : 0;

	if (json_is_array(j))
		list = j;
	json_array_foreach(list, i, each)
	{
		err = parse(each, prm, depth + 1);
		if (err)
			return err;
	}
	if (list)
		return json_object_size(j) > 1 ? odd(prm, "beside acts") : 0;

	if (!json_is_object(j))
		return odd(prm, "no object");
	if (!type)
		type = jsn_str(j, "action");
	if (!type)
		return short_acts(prm, j);

	return find_kind(type) ? one(prm, find_kind(type), j) : odd(prm, type);
}

int acts_parse(const json_t *reply, const struct acts_param *prm)
{
	return parse(reply, prm, 0);
}

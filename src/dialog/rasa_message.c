/**
 * @file rasa_message.c  Rasa's REST channel: its messages, without I/O
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "choice.h"
#include "rasa.h"
#include "session.h"

/* ---------------------------------------------------------------- reply */

static int say(const char *text, const struct acts_param *prm)
{
	json_t *j = text ? json_string(text) : NULL;
	int err = !text ? 0 : !j ? ENOMEM : acts_parse(j, prm);

	json_decref(j);

	return err;
}

/* {"type": "audio", "payload": {"src": URL}}, as Masdif has it; others are
 * for eyes */
static int play(const json_t *attachment, const struct acts_param *prm)
{
	json_t *src = json_object_get(json_object_get(attachment, "payload"),
				      "src");
	json_t *j;
	int err;

	if (!str_eq(jsn_str(attachment, "type"), "audio") || !src)
		return 0;

	j = json_pack("{s:s, s:O}", "type", "play", "url", src);
	err = j ? acts_parse(j, prm) : ENOMEM;
	json_decref(j);

	return err;
}

/* An object; or a string that holds one, which is what Masdif can pass on */
static int perform(const json_t *custom, const struct acts_param *prm)
{
	const char *s = json_string_value(custom);
	json_t *j = NULL;
	int err;

	if (!s)
		return acts_parse(custom, prm);

	err = jsn_parse(&j, s, strlen(s));
	if (err == ENOMEM)
		return err;
	if (json_is_object(j))
		err = acts_parse(j, prm);
	else
		err = prm->h(NULL, "custom", prm->arg) ? 0 : ECANCELED;
	json_decref(j);

	return err;
}

int rasa_message_parse(const json_t *message, json_t **buttonsp,
		       const struct acts_param *prm)
{
	json_t *buttons = json_object_get(message, "buttons");
	int err;

	if (!json_is_object(message))
		return prm->h(NULL, "message", prm->arg) ? 0 : ECANCELED;

	if (json_array_size(buttons)) {
		json_decref(*buttonsp);
		*buttonsp = json_incref(buttons);
	}

	err = say(jsn_str(message, "text"), prm);
	if (!err)
		err = play(json_object_get(message, "attachment"), prm);
	if (!err)
		err = perform(json_object_get(message, "custom"), prm);

	return err;
}

/* -------------------------------------------------------------- request */

/* A spoken text must not begin with '/', which is a command */
static const char *message_of(const struct dialog_turn *t,
			      const struct rasa_talk *talk)
{
	const json_t *payload;

	switch (t->kind) {
	case DIALOG_OPENING:
		return talk->opening;
	case DIALOG_SPEECH:
	case DIALOG_KEYS:
		payload = choice_find(talk->buttons, "title", "payload",
				      JSON_STRING, t->text);
		if (payload)
			return json_string_value(payload);
		return t->text + strspn(t->text, "/ \t\r\n");
	default:
		return "";
	}
}

static int add_turn(json_t *metadata, const struct dialog_turn *t,
		    const char *language)
{
	const char *tag = str_isset(t->language) ? t->language : language;
	bool spoken = t->kind == DIALOG_SPEECH;

	if (str_isset(tag) &&
	    json_object_set_new(metadata, "language", json_string(tag)))
		return ENOMEM;
	if (json_object_set_new(metadata, "asr_generated",
				json_boolean(spoken)))
		return ENOMEM;

	return session_add_heard(metadata, t);
}

int rasa_request(json_t **jp, const struct rasa_talk *talk,
		 const struct dialog_turn *t)
{
	const char *text = message_of(t, talk);
	json_t *metadata, *root;
	int err;

	if (!str_isset(text))
		return ENODATA;

	metadata = json_copy((json_t *)(uintptr_t)talk->about);
	if (!metadata)
		return ENOMEM;

	err = add_turn(metadata, t, talk->language);
	if (err) {
		json_decref(metadata);
		return err;
	}

	root = json_pack("{s:s, s:s, s:o}", "sender", talk->id, "message",
			 text, "metadata", metadata);
	if (!root)
		return ENOMEM;
	*jp = root;

	return 0;
}

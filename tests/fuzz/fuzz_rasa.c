/**
 * @file fuzz_rasa.c  Rasa's messages, and which of their buttons is meant
 */
#include <stdlib.h>
#include <string.h>
#include <convod/str.h>
#include "../../src/dialog/rasa.h"
#include "../../src/dialog/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool act_handler(const struct dialog_act *act, const char *odd,
			void *arg)
{
	(void)arg;
	if (act && act->text && !utf8_is_valid(act->text, strlen(act->text)))
		abort();

	return odd || act;
}

static int value_handler(const json_t *value, void *arg)
{
	json_t **buttons = arg;
	const struct acts_param prm = {
		.base = "http://rasa.example/",
		.origin = "http://rasa.example:80",
		.h = act_handler,
	};
	const json_t *message;
	size_t i;
	int err = 0;

	if (!json_is_array(value))
		return rasa_message_parse(value, buttons, &prm);

	json_array_foreach(value, i, message)
	{
		if (!err)
			err = rasa_message_parse(message, buttons, &prm);
	}

	return err;
}

static void turn(const json_t *buttons, const char *text)
{
	json_t *about = json_object(), *body = NULL;
	const struct rasa_talk talk = {
		.id = "CA1",
		.about = about,
		.language = "is-IS",
		.opening = "/session_start",
		.buttons = buttons,
	};

	if (about &&
	    !rasa_request(&body, &talk,
			  &(struct dialog_turn){.kind = DIALOG_SPEECH,
						.text = text}) &&
	    !json_is_string(json_object_get(body, "message")))
		abort();
	json_decref(body);
	json_decref(about);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const textv[] = {"já", "1", "Halda áfram!"};
	json_t *buttons = NULL;
	struct values v = {0};

	if (!values_push(&v, data, size, 65536, value_handler, &buttons))
		(void)!values_end(&v, value_handler, &buttons);
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++)
		turn(buttons, textv[i]);
	json_decref(buttons);
	values_reset(&v);

	return 0;
}

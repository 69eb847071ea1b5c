/**
 * @file voiceflow_button.c  Which button does the caller mean? Pure
 *
 * Spec: dialog.md 9.2, choice
 */
#include <string.h>
#include <convod/json.h>
#include <convod/str.h>
#include "choice.h"
#include "voiceflow.h"

json_t *voiceflow_button(const json_t *buttons, const char *text)
{
	return choice_find(buttons, "name", "request", JSON_OBJECT, text);
}

bool voiceflow_has_key(const json_t *paths, const char *keys)
{
	json_t *path;
	size_t i;

	json_array_foreach(paths, i, path)
	{
		const char *type = jsn_str(json_object_get(path, "event"),
					   "type");

		if (type && str_starts(type, "DTMF ") &&
		    !strcmp(type + strlen("DTMF "), keys))
			return true;
	}

	return false;
}

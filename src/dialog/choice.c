/**
 * @file choice.c  Which of the choices does the caller mean?
 */
#include <stdlib.h>
#include <string.h>
#include <convod/json.h>
#include <convod/words.h>
#include "choice.h"

/* No choice that can be said is longer */
enum { FOLDED_SIZE = 512 };

/** Does the name have a word that is a number? */
static bool has_any_number(const char *name)
{
	const char *word;
	size_t n;

	while ((word = words_take(&name, &n))) {
		if (strspn(word, "0123456789") == n)
			return true;
	}

	return false;
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

static bool is_place(const char *text, size_t place)
{
	return strlen(text) <= 2 && strtoul(text, NULL, 10) == place;
}

json_t *choice_find(const json_t *choices, const char *name_key,
		    const char *value_key, json_type type, const char *text)
{
	char want[FOLDED_SIZE], name[FOLDED_SIZE];
	json_t *numbered = NULL, *placed = NULL, *c;
	size_t i, place = 0;

	words_fold(want, sizeof(want), text);
	if (!*want)
		return NULL;

	json_array_foreach(choices, i, c)
	{
		json_t *value = json_object_get(c, value_key);
		const char *s = jsn_str(c, name_key);

		if (i == CHOICES_MAX)
			break;
		if (!s || !value || json_typeof(value) != type)
			continue;

		++place;
		words_fold(name, sizeof(name), s);
		if (!strcmp(name, want))
			return value;
		if (!is_number(want))
			continue;
		if (!numbered && words_has(name, want, strlen(want)))
			numbered = value;
		if (is_place(want, place) && !has_any_number(name))
			placed = value;
	}

	return numbered ? numbered : placed;
}

/**
 * @file choice.h  Which of the choices does the caller mean? Pure
 *
 * Private to src/dialog.
 */
#ifndef CONVOD_CHOICE_H
#define CONVOD_CHOICE_H

#include <convod/json.h>

enum { CHOICES_MAX = 32 }; /* more are not looked at */

/**
 * Find the choice that a caller means
 *
 * A choice answers to its name, whatever its case and punctuation; to a number
 * that its name has as a word ("2: Opening hours"); and, if it has none, to
 * its place, counted from 1 over the choices that can be made at all.
 *
 * @param choices Array of objects, or NULL
 * @param name    Member that names one
 * @param value   Member that is what choosing it means
 * @param type    Of that: others can't be chosen
 * @param text    UTF-8, spoken or keyed in
 *
 * @return the value, or NULL; borrowed
 */
json_t *choice_find(const json_t *choices, const char *name, const char *value,
		    json_type type, const char *text);

#endif

/**
 * @file json_file.h  JSON of tests/data, and what of it must be in another
 */
#ifndef CONVOD_TEST_JSON_FILE_H
#define CONVOD_TEST_JSON_FILE_H

#include <jansson.h>
#include "test.h"

/** A file's value; release with json_decref() */
static inline json_t *json_file(const char *path)
{
	json_error_t error;
	json_t *j = json_load_file(path, JSON_DECODE_ANY, &error);

	if (!j)
		fail_msg("%s: %s", path, error.text);

	return j;
}

/** Fail if a member of want is missing or other in have; objects inside are
 * looked at in the same way */
static inline void json_check_has(const json_t *have, const json_t *want)
{
	const char *key;
	json_t *value;

	if (!json_is_object(want)) {
		if (!json_equal((json_t *)(uintptr_t)have,
				(json_t *)(uintptr_t)want))
			fail_msg("%s instead of %s",
				 json_dumps(have, JSON_ENCODE_ANY),
				 json_dumps(want, JSON_ENCODE_ANY));
		return;
	}

	json_object_foreach((json_t *)(uintptr_t)want, key, value)
	{
		const json_t *mine = json_object_get(have, key);

		if (!mine)
			fail_msg("no %s in %s", key, json_dumps(have, 0));
		json_check_has(mine, value);
	}
}

#endif

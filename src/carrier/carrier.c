/**
 * @file carrier.c  What the carriers' dialects share
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "core.h"

void carrier_event_reset(struct carrier_event *ev)
{
	if (ev->type == CARRIER_START)
		json_decref(ev->u.start.params);

	ev->type = CARRIER_IGNORED;
}

/* How deep brackets nest outside of strings, in text that need not be JSON */
static size_t json_depth(const char *s, size_t len)
{
	size_t depth = 0, deepest = 0;
	bool quoted = false;

	for (size_t i = 0; i < len; i++) {
		if (quoted) {
			if (s[i] == '\\')
				++i;
			else if (s[i] == '"')
				quoted = false;
			continue;
		}
		if (s[i] == '"')
			quoted = true;
		else if ((s[i] == '{' || s[i] == '[') && ++depth > deepest)
			deepest = depth;
		else if ((s[i] == '}' || s[i] == ']') && depth)
			--depth;
	}

	return deepest;
}

/* jansson (2.14) reports some failed allocations as bad syntax, or not at all:
 * when memory is short now, it was so a moment ago */
static int json_errno(const json_error_t *je)
{
	enum json_error_code code = json_error_code(je);
	void *probe;

	if (code == json_error_out_of_memory || code == json_error_unknown)
		return ENOMEM;

	probe = mem_raw_malloc(64);
	if (!probe)
		return ENOMEM;

	mem_raw_free(probe);

	return EBADMSG;
}

int carrier_json_load(json_t **jp, const char *msg, size_t len)
{
	json_error_t je = {0};
	json_t *j;

	if (len > CARRIER_MESSAGE_MAX)
		return EOVERFLOW;
	if (!len || json_depth(msg, len) > CARRIER_DEPTH_MAX)
		return EBADMSG;

	j = json_loadb(msg, len, 0, &je);
	if (!j)
		return json_errno(&je);
	if (!json_is_object(j)) {
		json_decref(j);
		return EBADMSG;
	}

	*jp = j;

	return 0;
}

static uint64_t u64_of_digits(const char *s)
{
	uint64_t v = 0;

	if (!*s)
		return 0;
	for (; *s; s++) {
		unsigned digit = (unsigned)(uint8_t)*s - '0';

		if (digit > 9 || __builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, digit, &v))
			return 0;
	}

	return v;
}

uint64_t carrier_json_u64(const json_t *j)
{
	if (json_is_integer(j)) {
		json_int_t v = json_integer_value(j);

		return v > 0 ? (uint64_t)v : 0;
	}

	return json_is_string(j) ? u64_of_digits(json_string_value(j)) : 0;
}

int carrier_json_id(char *dst, size_t size, const json_t *j)
{
	const char *s = "";
	size_t n;

	if (json_is_string(j))
		s = json_string_value(j);
	else if (j && !json_is_null(j))
		return EBADMSG;

	n = strlen(s);
	if (n >= size)
		return EOVERFLOW;
	for (size_t i = 0; i < n; i++) {
		if (s[i] <= ' ' || s[i] > '~' || s[i] == '"' || s[i] == '\\')
			return EBADMSG;
	}
	memcpy(dst, s, n + 1);

	return 0;
}

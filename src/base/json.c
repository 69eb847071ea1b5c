/**
 * @file json.c  JSON of peers: jansson with our errors and our strings
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>

/* ------------------------------------------------------ half characters */

/* The code of \uXXXX at s, -1 if there is none */
static long escaped(const char *s, const char *end)
{
	char hex[5];

	if (end - s < 6 || s[0] != '\\' || s[1] != 'u')
		return -1;

	memcpy(hex, s + 2, 4);
	hex[4] = '\0';

	return hex[strspn(hex, "0123456789abcdefABCDEF")]
		       ? -1
		       : strtol(hex, NULL, 16);
}

/* Servers that cut texts by UTF-16 units send the halves of an emoji one by
 * one, which is no JSON: each becomes "not a character", in place */
static void mend_halves(char *s, size_t n)
{
	const char *end = s + n;

	while (s < end) {
		long first = escaped(s, end);
		long next = first < 0 ? -1 : escaped(s + 6, end);
		bool high = first >= 0xd800 && first < 0xdc00;

		if (*s != '\\') {
			++s;
		} else if (first < 0) {
			s += 2;
		} else if (high && next >= 0xdc00 && next < 0xe000) {
			s += 12;
		} else {
			if (first >= 0xd800 && first < 0xe000)
				memcpy(s + 2, "fffd", 4);
			s += 6;
		}
	}
}

static int parse(json_t **jp, const char *p, size_t n)
{
	json_error_t error = {0}; /* jansson does not set it without memory */
	json_t *j = json_loadb(p, n, JSON_DECODE_ANY, &error);

	if (!j)
		return !error.text[0] || json_error_code(&error) ==
						 json_error_out_of_memory
			       ? ENOMEM
			       : EPROTO;
	*jp = j;

	return 0;
}

int jsn_parse(json_t **jp, const char *p, size_t n)
{
	char *copy;
	int err;

	if (!jp || (n && !p))
		return EINVAL;

	err = parse(jp, n ? p : "", n);
	if (err != EPROTO || !n || !memmem(p, n, "\\u", 2))
		return err;

	err = str_ndup(&copy, p, n);
	if (err)
		return err;
	mend_halves(copy, n);
	err = parse(jp, copy, n);
	mem_deref(copy);

	return err;
}

/* ---------------------------------------------------------------- members */

int jsn_print(char **sp, const json_t *j)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY;
	size_t n = json_dumpb(j, NULL, 0, flags);
	char *s = n ? mem_zalloc(n + 1, NULL) : NULL;

	if (!s)
		return ENOMEM;
	if (json_dumpb(j, s, n, flags) != n) {
		mem_deref(s);
		return ENOMEM;
	}
	*sp = s;

	return 0;
}

const char *jsn_str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return str_isset(s) ? s : NULL;
}

uint32_t jsn_u32(const json_t *o, const char *key, uint32_t lo, uint32_t hi,
		 uint32_t def)
{
	const json_t *j = json_object_get(o, key);
	double v = json_number_value(j);

	if (!json_is_number(j))
		return def;

	return v <= lo ? lo : v >= hi ? hi : (uint32_t)v;
}

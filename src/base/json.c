/**
 * @file json.c  JSON of peers: jansson with our errors and our strings
 */
#include <errno.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>

int jsn_parse(json_t **jp, const char *p, size_t n)
{
	json_error_t error = {0}; /* jansson does not set it without memory */
	json_t *j;

	if (!jp || (n && !p))
		return EINVAL;

	j = json_loadb(n ? p : "", n, JSON_DECODE_ANY, &error);
	if (!j)
		return !error.text[0] || json_error_code(&error) ==
						 json_error_out_of_memory
			       ? ENOMEM
			       : EPROTO;
	*jp = j;

	return 0;
}

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

/**
 * @file json.h  JSON of peers: jansson with our errors and our strings
 *
 * Thread: any.
 */
#ifndef CONVOD_JSON_H
#define CONVOD_JSON_H

#include <jansson.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

/**
 * Parse a text that is one JSON value
 *
 * A string with a zero byte inside is refused, so a C string is all of it.
 * An escaped surrogate that stands alone, half of a character, is U+FFFD.
 *
 * @param jp Set to a new value; release with json_decref()
 *
 * @return 0; EPROTO: not JSON, or nested deeper than 2048; ENOMEM
 */
CV_NODISCARD int jsn_parse(json_t **jp, const char *p, size_t n);

/**
 * Print without needless blanks
 *
 * @param sp Set to a new string; release with mem_deref()
 */
CV_NODISCARD int jsn_print(char **sp, const json_t *j);

/** String of a member; NULL: no object, no such member, no string, or "" */
const char *jsn_str(const json_t *o, const char *key);

/** Number of a member, cut to lo..hi; def if it is none */
uint32_t jsn_u32(const json_t *o, const char *key, uint32_t lo, uint32_t hi,
		 uint32_t def);

CV_END_DECLS

#endif

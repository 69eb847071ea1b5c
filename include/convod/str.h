/**
 * @file str.h  Strings, UTF-8, base64, URLs
 */
#ifndef CONVOD_STR_H
#define CONVOD_STR_H

#include <stdarg.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

/** Copy a string into a new object; release it with mem_deref() */
CV_NODISCARD int str_dup(char **dst, const char *src);

/** Copy len bytes and end them with a zero */
CV_NODISCARD int str_ndup(char **dst, const char *src, size_t len);

/** Print into a new object; release it with mem_deref() */
CV_NODISCARD CV_PRINTF(2, 3) int str_printf(char **dst, const char *fmt, ...);

/** Copy, cutting at size - 1 bytes; the result always ends with a zero */
void str_copy(char *dst, size_t size, const char *src);

static inline bool str_isset(const char *s)
{
	return s && s[0] != '\0';
}

/** Equal, with NULL equal to nothing */
bool str_eq(const char *a, const char *b);
bool str_caseeq(const char *a, const char *b);
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/** Compare secrets in a time that does not depend on where they differ */
bool str_eq_secret(const char *a, const char *b);

/** Does a text quote a secret, or begin to where the text was cut? Never so if
 * there is none: "" or NULL. */
bool str_quotes(const char *text, const char *secret);

/** Overwrite a secret in a way the compiler may not leave out */
void mem_wipe(void *p, size_t n);

/** Overwrite a string and drop it; always NULL. Takes NULL as well */
char *str_wipe(char *s);

/**
 * Is this UTF-8 as RFC 3629 has it (no overlong forms, no surrogates,
 * nothing above U+10FFFF)? A zero byte counts as valid here.
 */
bool utf8_is_valid(const char *s, size_t len);

/** Bytes that base64 of n bytes takes, without a zero at the end */
#define BASE64_LEN(n) (((n) + 2) / 3 * 4)

/**
 * Encode base64 (RFC 4648 section 4, with padding), no zero at the end
 *
 * @param dst At least BASE64_LEN(n) bytes
 *
 * @return bytes written
 */
size_t base64_encode(char *dst, const uint8_t *src, size_t n);

/** Room that decoding len characters takes */
#define BASE64_DECODED_MAX(len) ((len) / 4 * 3 + 3)

/**
 * Decode base64; missing padding is accepted, nothing else: no white space,
 * no half padding, no bits left over after the last byte
 *
 * @param dst  At least BASE64_DECODED_MAX(len) bytes, all of which may be
 *             written to
 * @param dstc Set to the number of bytes that count
 *
 * @return 0; EBADMSG for anything that is not base64
 */
CV_NODISCARD int base64_decode(uint8_t *dst, size_t *dstc, const char *src,
			       size_t len);

/**
 * Copy a URL for a log: user and password, a fragment, and the values of query
 * parameters that look secret (token, key, secret, password …) become "***"
 *
 * @return dst
 */
char *url_mask(char *dst, size_t size, const char *url);

/** Is it written with http:// or https:// in front? */
bool url_is_http(const char *url);

CV_END_DECLS

#endif

/**
 * @file utf8.h  Text from outside made safe to store, log and send on
 */
#ifndef CONVOD_UTF8_H
#define CONVOD_UTF8_H

#include <convod/defs.h>

CV_BEGIN_DECLS

/**
 * Copy text as valid UTF-8 without zero bytes
 *
 * Each byte that is not part of a valid character becomes U+FFFD; what does
 * not fit is cut between two characters. The result ends with a zero.
 *
 * @param size Room at dst, at least 1
 *
 * @return bytes written, without the zero
 */
size_t utf8_clean(char *dst, size_t size, const char *src, size_t len);

CV_END_DECLS

#endif

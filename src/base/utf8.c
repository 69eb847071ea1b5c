/**
 * @file utf8.c  Text from outside made safe
 */
#include <string.h>
#include <convod/str.h>
#include <convod/utf8.h>

/* Length of the character at s, 0 if there is none */
static size_t char_len(const char *s, size_t len)
{
	uint8_t c = (uint8_t)s[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	return c && n <= len && utf8_is_valid(s, n) ? n : 0;
}

size_t utf8_clean(char *dst, size_t size, const char *src, size_t len)
{
	static const char bad[] = "\xef\xbf\xbd"; /* U+FFFD */
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		size_t n = char_len(src + i, len - i);
		const char *c = n ? src + i : bad;
		size_t m = n ? n : sizeof(bad) - 1;

		if (out + m >= size)
			break;
		memcpy(dst + out, c, m);
		out += m;
		i += n ? n : 1;
	}
	dst[out] = '\0';

	return out;
}

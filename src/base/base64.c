/**
 * @file base64.c  Base64 of RFC 4648 section 4
 *
 * On the way of every frame, so table driven: four characters are decoded by
 * four lookups and one store, and errors are collected in a bit that is looked
 * at once, at the end. The tables are written by macros, not by hand.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <convod/str.h>

/* A code that is no character of the alphabet sets this bit */
#define BAD 0x01000000u

#define DIGIT(c)                                     \
	((c) >= 'A' && (c) <= 'Z'   ? (c) - 'A'      \
	 : (c) >= 'a' && (c) <= 'z' ? (c) - 'a' + 26 \
	 : (c) >= '0' && (c) <= '9' ? (c) - '0' + 52 \
	 : (c) == '+'               ? 62             \
	 : (c) == '/'               ? 63             \
				    : -1)

#define ENTRY(c, s) (DIGIT(c) < 0 ? BAD : (uint32_t)(DIGIT(c) & 63) << (s))
#define ENTRY4(c, s) \
	ENTRY(c, s), ENTRY((c) + 1, s), ENTRY((c) + 2, s), ENTRY((c) + 3, s)
#define ENTRY16(c, s)                                         \
	ENTRY4(c, s), ENTRY4((c) + 4, s), ENTRY4((c) + 8, s), \
		ENTRY4((c) + 12, s)
#define ENTRY64(c, s)                                              \
	ENTRY16(c, s), ENTRY16((c) + 16, s), ENTRY16((c) + 32, s), \
		ENTRY16((c) + 48, s)
#define TABLE(s)                                                \
	{                                                       \
		ENTRY64(0, s), ENTRY64(64, s), ENTRY64(128, s), \
			ENTRY64(192, s)                         \
	}

/* [place in the group][character]: its six bits where they belong in 24 */
static const uint32_t digitv[4][256] = {TABLE(18), TABLE(12), TABLE(6),
					TABLE(0)};

static const char alphabet[65] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t base64_encode(char *dst, const uint8_t *src, size_t n)
{
	char *p = dst;
	uint32_t w;

	for (; n >= 3; n -= 3, src += 3, p += 4) {
		w = (uint32_t)src[0] << 16 | (uint32_t)src[1] << 8 | src[2];
		p[0] = alphabet[w >> 18];
		p[1] = alphabet[w >> 12 & 63];
		p[2] = alphabet[w >> 6 & 63];
		p[3] = alphabet[w & 63];
	}
	if (!n)
		return (size_t)(p - dst);

	w = (uint32_t)src[0] << 16 | (n > 1 ? (uint32_t)src[1] << 8 : 0);
	p[0] = alphabet[w >> 18];
	p[1] = alphabet[w >> 12 & 63];
	p[2] = n > 1 ? alphabet[w >> 6 & 63] : '=';
	p[3] = '=';

	return (size_t)(p + 4 - dst);
}

/* The 2 or 3 characters of a last group that is not whole */
static uint32_t decode_tail(uint8_t *dst, const uint8_t *s, size_t n)
{
	uint32_t w = digitv[0][s[0]] | digitv[1][s[1]];

	if (n == 3)
		w |= digitv[2][s[2]];

	dst[0] = (uint8_t)(w >> 16);
	if (n == 3)
		dst[1] = (uint8_t)(w >> 8);

	/* No encoder leaves bits over: such a text was cut or made up */
	return (w & (n == 3 ? 0xff : 0xffff)) ? BAD : w;
}

int base64_decode(uint8_t *dst, size_t *dstc, const char *src, size_t len)
{
	const uint8_t *s = (const uint8_t *)src;
	uint8_t *p = dst;
	uint32_t all = 0;
	size_t tail;

	if (len && len % 4 == 0 && s[len - 1] == '=')
		len -= s[len - 2] == '=' ? 2 : 1;
	tail = len % 4;
	if (tail == 1)
		return EBADMSG;

	for (size_t i = len / 4; i; i--, s += 4, p += 3) {
		uint32_t w = digitv[0][s[0]] | digitv[1][s[1]] |
			     digitv[2][s[2]] | digitv[3][s[3]];
		uint32_t be = htobe32(w << 8);

		/* one store of four; the next group overwrites the last */
		memcpy(p, &be, sizeof(be));
		all |= w;
	}
	if (tail) {
		all |= decode_tail(p, s, tail);
		p += tail - 1;
	}
	if (all & BAD)
		return EBADMSG;

	*dstc = (size_t)(p - dst);

	return 0;
}

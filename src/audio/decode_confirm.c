/**
 * @file decode_confirm.c  Is the answer what was asked for?
 *
 * Raw audio has nothing that says so, and any bytes can be played: an error
 * page is a second of noise, a WAV header a click, an MP3 a roar. So its first
 * bytes are held against all that a server may send instead. Bytes of audio
 * may look like that by chance: quiet μ-law begins with the bytes of an MP3
 * header quite often. So text must be text for a while, and a frame must be
 * followed by another.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include "decode_priv.h"

enum {
	HEAD_BYTES = 12, /* as decode.c needs to know what it has */
	TEXT_BYTES = 64, /* 8 ms of μ-law */
};

/** Can this byte stand in a text whose head is ASCII, or UTF-8? */
static bool is_text_byte(uint8_t c)
{
	return (c >= ' ' && c != 0x7f && c < 0xf5) || c == '\t' || c == '\n' ||
	       c == '\r';
}

static bool is_text(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!is_text_byte(p[i]))
			return false;

	return true;
}

static size_t skip_blank(const uint8_t *p, size_t n)
{
	size_t i = n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3) ? 3 : 0;

	while (i < n && memchr(" \t\r\n", p[i], 4))
		++i;

	return i;
}

/** How JSON, HTML and XML begin */
static bool is_markup(const uint8_t *p, size_t n)
{
	size_t i = skip_blank(p, n), k;

	if (i == n)
		return false;

	k = i + 1 + skip_blank(p + i + 1, n - i - 1);
	switch (p[i]) {
	case '{':
		return k == n || p[k] == '"' || p[k] == '}';
	case '[':
		return k == n || memchr("{[]\"", p[k], 4);
	case '<':
		return k == n || memchr("!?/", p[k], 3) || isalpha(p[k]);
	default:
		return false;
	}
}

static bool is_text_type(const char *type)
{
	static const char *const wordv[] = {"json", "xml", "html"};

	if (!strncasecmp(type, "text/", 5))
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(wordv); i++)
		if (strcasestr(type, wordv[i]))
			return true;

	return false;
}

/** 0 if it is not text */
static int check_text(enum decode_format format, const char *type,
		      const uint8_t *p, size_t n, bool last)
{
	size_t head = MIN(n, TEXT_BYTES);

	if (!is_text(p, head) || (!is_markup(p, head) && !is_text_type(type)))
		return 0;
	if (last || n >= TEXT_BYTES)
		return EBADMSG;

	/* a header that is known begins with nothing of the kind */
	return format == DECODE_SNIFF && n >= HEAD_BYTES ? EBADMSG : EAGAIN;
}

static bool has_header(const uint8_t *p)
{
	static const char *const magicv[] = {"OggS", "fLaC", ".snd", "RF64",
					     "RIFX"};

	for (size_t i = 0; i < ARRAY_SIZE(magicv); i++)
		if (!memcmp(p, magicv[i], 4))
			return true;
	if (!memcmp(p, "RIFF", 4))
		return !memcmp(p + 8, "WAVE", 4);
	if (!memcmp(p, "FORM", 4))
		return !memcmp(p + 8, "AIF", 3);

	return !memcmp(p, "ID3", 3) && p[3] != 0xff && p[4] != 0xff &&
	       !((p[6] | p[7] | p[8] | p[9]) & 0x80);
}

/** 0: no MP3; EALREADY: one; EAGAIN */
static int check_mp3(const char *type, const uint8_t *p, size_t n, bool last)
{
	size_t frame = decode_mp3_frame_bytes(p);

	if (!frame)
		return 0;
	if (strcasestr(type, "mpeg") || strcasestr(type, "mp3"))
		return EALREADY;
	if (n < frame + 4)
		return last ? 0 : EAGAIN;

	/* version, layer and rate stay what they are */
	return decode_mp3_frame_bytes(p + frame) &&
			       !((p[1] ^ p[frame + 1]) & 0xfe) &&
			       !((p[2] ^ p[frame + 2]) & 0x0c)
		       ? EALREADY
		       : 0;
}

int decode_confirm(enum decode_format *format, const char *type,
		   const uint8_t *p, size_t n, bool last)
{
	int err;

	if (!format || !type || (n && !p))
		return EINVAL;
	if (n < HEAD_BYTES && !last)
		return EAGAIN;
	if (!n)
		return 0; /* the decoder will say so */

	err = check_text(*format, type, p, n, last);
	if (err || *format == DECODE_SNIFF || n < HEAD_BYTES)
		return err;

	err = has_header(p) ? EALREADY : check_mp3(type, p, n, last);
	if (err == EALREADY) {
		*format = DECODE_SNIFF;
		err = 0;
	}

	return err;
}

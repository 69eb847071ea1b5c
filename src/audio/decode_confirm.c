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
	TEXT_BYTES = 64, /* 8 ms of μ-law */
	ADTS_HEAD = 7,
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
	return format == DECODE_SNIFF && n >= DECODE_HEAD_BYTES ? EBADMSG
								: EAGAIN;
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

/** MP4 and WebM: nobody asks for them, and there is no decoder */
static bool is_foreign(const uint8_t *p)
{
	return !memcmp(p + 4, "ftyp", 4) || !memcmp(p, "\x1a\x45\xdf\xa3", 4);
}

/** Bytes of the AAC frame that an ADTS header begins, 0: none that matters.
 * ISO 13818-7, 6.2 */
static size_t adts_frame_bytes(const uint8_t *p)
{
	size_t n = (size_t)(p[3] & 3) << 11 | (size_t)p[4] << 3 | p[5] >> 5;
	bool adts = p[0] == 0xff && (p[1] & 0xf6) == 0xf0 &&
		    (p[2] >> 2 & 15) < 13;

	return adts && n > ADTS_HEAD &&
			       n <= DECODE_CONFIRM_MAX_BYTES - ADTS_HEAD
		       ? n
		       : 0;
}

/** 0: no AAC; EBADMSG: some, which there is no decoder for; EAGAIN */
static int check_aac(const char *type, const uint8_t *p, size_t n, bool last)
{
	size_t frame = adts_frame_bytes(p);

	if (!frame)
		return 0;
	if (strcasestr(type, "aac"))
		return EBADMSG;
	if (n < frame + ADTS_HEAD)
		return last ? 0 : EAGAIN;

	return adts_frame_bytes(p + frame) && !memcmp(p, p + frame, 2)
		       ? EBADMSG
		       : 0;
}

int decode_confirm(enum decode_format *format, const char *type,
		   const uint8_t *p, size_t n, bool last)
{
	int err;

	if (!format || !type || (n && !p))
		return EINVAL;
	if (n < DECODE_HEAD_BYTES && !last)
		return EAGAIN;
	if (!n)
		return 0; /* the decoder will say so */

	err = check_text(*format, type, p, n, last);
	if (err || *format == DECODE_SNIFF || n < DECODE_HEAD_BYTES)
		return err;

	if (is_foreign(p))
		return EBADMSG;

	err = check_aac(type, p, n, last);
	if (!err)
		err = decode_codec_of(p) || decode_id3_bytes(p)
			      ? EALREADY
			      : check_mp3(type, p, n, last);
	if (err == EALREADY) {
		*format = DECODE_SNIFF;
		err = 0;
	}

	return err;
}

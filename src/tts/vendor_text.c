/**
 * @file vendor_text.c  Text as a voice behind HTTP takes it
 *
 * Spec: tts.md 11.8
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/mem.h>
#include <convod/sentence.h>
#include <convod/str.h>
#include "vendor.h"

/* ----------------------------------------------------------------- SSML */

static const struct {
	const char *name;
	char c;
} entityv[] = {
	{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
	{"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''},
};

static size_t entity(char *c, const char *s, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(entityv); i++) {
		size_t n = strlen(entityv[i].name);

		if (len >= n && !memcmp(s, entityv[i].name, n)) {
			*c = entityv[i].c;
			return n;
		}
	}
	*c = *s;

	return 1;
}

int vendor_plain(char **dst, const char *s, size_t len)
{
	size_t skip = strspn(s, " \t\r\n"), n = 0;
	bool tags = true; /* false: none ends any more */
	char *text;
	int err;

	if (strncasecmp(s + skip, "<speak", 6) != 0)
		return str_ndup(dst, s, len);

	err = str_ndup(&text, s, len);
	if (err)
		return err;

	for (size_t i = 0; i < len;) {
		const char *end = NULL;

		if (s[i] == '<' && tags)
			end = memchr(s + i, '>', len - i);
		tags = tags && (end || s[i] != '<');
		if (end) {
			i = (size_t)(end - s) + 1;
			text[n++] = ' ';
		} else {
			i += entity(&text[n], s + i, len - i);
			++n;
		}
	}
	text[n] = '\0';
	*dst = text;

	return 0;
}

/* --------------------------------------------------------------- pieces */

/** No more than max bytes, not inside a character */
static size_t fit(const char *s, size_t n, size_t max)
{
	if (n <= max)
		return n;
	while (max > 1 && ((unsigned char)s[max] & 0xc0) == 0x80)
		--max;

	return max;
}

/** Does a line end at the blanks that s begins with? */
static bool is_line_end(const char *s, size_t len)
{
	for (size_t i = 0; i < len && strchr(" \t\r\n", s[i]); i++)
		if (s[i] == '\n')
			return true;

	return false;
}

size_t vendor_piece(char *dst, size_t max, const char *s, size_t len)
{
	size_t used = 0, n = 0;

	*dst = '\0';
	while (used < len) {
		size_t k = sentence_cut(s + used, len - used, true);
		size_t gap = n ? 1 : 0;

		if (n && n + gap + k > max)
			break;
		k = fit(s + used, k, max);
		if (sentence_clean(dst + n + gap, s + used, k)) {
			/* the end of a line is a pause */
			if (gap)
				dst[n] = is_line_end(s + used, k) ? '\n' : ' ';
			n += gap + strlen(dst + n + gap);
		}
		dst[n] = '\0';
		used += k;
	}

	return used;
}

/* ------------------------------------------------------------------ XML */

static const char *xml_entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&apos;";
	default:
		return NULL;
	}
}

int vendor_xml(char **dst, const char *s)
{
	size_t n = 1;
	char *p;

	for (size_t i = 0; s[i]; i++)
		n += xml_entity(s[i]) ? strlen(xml_entity(s[i])) : 1;

	p = mem_zalloc(n, NULL);
	if (!p)
		return ENOMEM;

	*dst = p;
	for (; *s; s++) {
		if (xml_entity(*s))
			p = stpcpy(p, xml_entity(*s));
		else
			*p++ = (unsigned char)*s < ' ' ? ' ' : *s;
	}

	return 0;
}

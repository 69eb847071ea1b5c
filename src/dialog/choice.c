/**
 * @file choice.c  Which of the choices does the caller mean?
 */
#include <ctype.h>
#include <string.h>
#include <wctype.h>
#include <convod/json.h>
#include <convod/str.h>
#include "choice.h"

enum {
	/* of a folded text; no choice that can be said is longer */
	FOLDED_SIZE = 512,
	UTF8_MAX = 4,
};

/** Decode a character of valid UTF-8 */
static size_t decode(wint_t *wc, const char *s)
{
	const uint8_t *p = (const uint8_t *)s;
	size_t n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

	*wc = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		*wc = *wc << 6 | (p[i] & 0x3fu);

	return n;
}

static size_t encode(char *dst, wint_t wc)
{
	size_t n = wc < 0x80 ? 1 : wc < 0x800 ? 2 : wc < 0x10000 ? 3 : 4;

	if (n == 1) {
		*dst = (char)wc;
		return 1;
	}
	for (size_t i = n - 1; i; i--, wc >>= 6)
		dst[i] = (char)(0x80 | (wc & 0x3f));
	*dst = (char)((0xf00u >> n & 0xf0u) | wc);

	return n;
}

/** Words in lower case with a blank between them; what does not fit is cut */
static void fold(char *dst, const char *s, locale_t locale)
{
	const char *end = &dst[FOLDED_SIZE - UTF8_MAX - 2];
	bool blank = false, any = false;
	wint_t wc;

	while (*s && dst < end) {
		s += decode(&wc, s);
		if (wc == '\'' || wc == 0x2019)
			continue; /* don't, dont */
		if (!iswalnum_l(wc, locale)) {
			blank = any;
			continue;
		}
		if (blank)
			*dst++ = ' ';
		dst += encode(dst, towlower_l(wc, locale));
		blank = false;
		any = true;
	}
	*dst = '\0';
}

/** The next word that is a number; NULL if there is none */
static const char *next_number(const char *s, size_t *n)
{
	for (s += strspn(s, " "); *s; s += strspn(s, " ")) {
		*n = strcspn(s, " ");
		if (strspn(s, "0123456789") == *n)
			return s;
		s += *n;
	}

	return NULL;
}

static bool has_number(const char *name, const char *number)
{
	size_t n, want = strlen(number);

	while ((name = next_number(name, &n))) {
		if (n == want && !memcmp(name, number, n))
			return true;
		name += n;
	}

	return false;
}

static bool is_number(const char *s)
{
	return *s && !s[strspn(s, "0123456789")];
}

static bool is_place(const char *text, size_t place)
{
	return strlen(text) <= 2 && strtoul(text, NULL, 10) == place;
}

locale_t choice_locale(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);

	/* not everywhere; then only ASCII has cases */
	return locale ? locale : newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
}

json_t *choice_find(const json_t *choices, const char *name_key,
		    const char *value_key, json_type type, const char *text,
		    locale_t locale)
{
	char want[FOLDED_SIZE], name[FOLDED_SIZE];
	json_t *numbered = NULL, *placed = NULL, *c;
	size_t i, n, place = 0;

	fold(want, text, locale);
	if (!*want)
		return NULL;

	json_array_foreach(choices, i, c)
	{
		json_t *value = json_object_get(c, value_key);
		const char *s = jsn_str(c, name_key);

		if (i == CHOICES_MAX)
			break;
		if (!s || !value || json_typeof(value) != type)
			continue;

		++place;
		fold(name, s, locale);
		if (!strcmp(name, want))
			return value;
		if (!is_number(want))
			continue;
		if (!numbered && has_number(name, want))
			numbered = value;
		if (is_place(want, place) && !next_number(name, &n))
			placed = value;
	}

	return numbered ? numbered : placed;
}

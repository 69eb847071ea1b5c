/**
 * @file sentence.c  Cuts text into sentences, and cleans it for speech
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <convod/sentence.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_letter(char c)
{
	return isalpha((unsigned char)c) || (unsigned char)c >= 0x80;
}

/* Is the word that ends before the dot one that does not end a sentence? */
static bool is_abbreviation(const char *word, size_t n)
{
	static const char *const abbrv[] = {
		"mr",  "mrs", "ms", "dr",  "prof",   "st", "vs",
		"e.g", "i.e", "nr", "tel", "approx", "jr", "sr",
		"t.d", "kl",  "hr", "sbr", "bls"};

	if (n == 1 && isupper((unsigned char)word[0]))
		return true; /* an initial */

	for (size_t i = 0; i < ARRAY_SIZE(abbrv); i++) {
		if (strlen(abbrv[i]) == n && !strncasecmp(word, abbrv[i], n))
			return true;
	}

	return false;
}

/* Start of the word that ends before s + end */
static size_t word_start(const char *s, size_t end)
{
	while (end && !is_blank(s[end - 1]) && !strchr("(\"'", s[end - 1]))
		--end;

	return end;
}

/*
 * An ordinal as in "3. maí": a lower-case word follows. With a capital after
 * it, it is the end of "…on the 3. We…"
 */
static bool is_ordinal(const char *s, size_t dot, size_t len, bool last)
{
	size_t i = dot + 1;

	if (!dot || !isdigit((unsigned char)s[dot - 1]))
		return false;
	while (i < len && is_blank(s[i]))
		++i;
	if (i == len)
		return !last; /* it may still become one */

	return is_letter(s[i]) && !isupper((unsigned char)s[i]);
}

static bool is_end_mark(const char *s, size_t i, size_t len, size_t *bytes)
{
	*bytes = 1;
	if (s[i] && strchr(".!?:\n", s[i]))
		return true;
	if (len - i >= 3 && !memcmp(s + i, "…", 3)) {
		*bytes = 3;
		return true;
	}

	return false;
}

/* Does a sentence end with the mark at i? */
static bool ends_here(const char *s, size_t i, size_t len, bool last)
{
	size_t start;

	if (s[i] != '.')
		return true;
	start = word_start(s, i);
	if (is_abbreviation(s + start, i - start))
		return false;

	return !is_ordinal(s, i, len, last);
}

/* Too long without an end: the last blank that fits, better a comma */
static size_t forced_cut(const char *s)
{
	size_t blank = 0;

	for (size_t i = SENTENCE_MAX / 2; i < SENTENCE_MAX; i++) {
		if (!is_blank(s[i]))
			continue;
		blank = i;
		if (i > SENTENCE_MAX * 3 / 4 && s[i - 1] == ',')
			return i;
	}
	if (blank)
		return blank;

	/* one endless word: not inside a character of UTF-8 */
	blank = SENTENCE_MAX;
	while (blank > 1 && ((unsigned char)s[blank] & 0xc0) == 0x80)
		--blank;

	return blank;
}

size_t sentence_cut(const char *s, size_t len, bool last)
{
	size_t bytes, begin = 0;

	while (begin < len && is_blank(s[begin]))
		++begin;

	for (size_t i = begin; i < len; i += bytes) {
		size_t next;

		if (i >= SENTENCE_MAX)
			return forced_cut(s);
		if (!is_end_mark(s, i, len, &bytes))
			continue;
		if (i + bytes > SENTENCE_MAX)
			return forced_cut(s);

		/* marks and closing quotes that belong to it: "…really?!" */
		next = i + bytes;
		while (next < len && next < SENTENCE_MAX &&
		       strchr(".!?\"')", s[next]) && s[next])
			++next;
		if (next == len)
			break; /* certain only with the next character */
		if ((s[i] == '\n' || is_blank(s[next])) &&
		    ends_here(s, i, len, last))
			return next;
	}

	if (!last)
		return 0;

	return len > SENTENCE_MAX ? forced_cut(s) : len;
}

size_t sentence_clause(const char *s, size_t len, bool last)
{
	size_t n = sentence_cut(s, len, last);

	if (n && n < SENTENCE_CLAUSE_LONG)
		return n;

	for (size_t i = SENTENCE_CLAUSE_MIN; i + 1 < (n ? n : len); i++) {
		if ((s[i] == ',' || s[i] == ';') && is_blank(s[i + 1]))
			return i + 1;
	}

	return n;
}

bool sentence_is_end(const char *s, size_t len)
{
	while (len && (is_blank(s[len - 1]) || strchr("\"')", s[len - 1])))
		--len;

	return len && (strchr(".!?:", s[len - 1]) ||
		       (len >= 3 && !memcmp(s + len - 3, "…", 3)));
}

/* Bytes of markdown's link target "(…)" at s, which follows a "]" */
static size_t target(const char *s, size_t len)
{
	size_t n = 1;

	while (n < len && s[n] != ')' && !is_blank(s[n]))
		++n;

	return n < len && s[n] == ')' ? n + 1 : 0;
}

/* Bytes of a list's bullet at s, which begins a line */
static size_t bullet(const char *s, size_t len)
{
	if (len > 1 && strchr("-+", s[0]) && s[0] && is_blank(s[1]))
		return 2;

	return len > 2 && !memcmp(s, "\xe2\x80\xa2", 3) ? 3 : 0;
}

/* Bytes of a tag or link at s, 0 if there is none */
static size_t unspeakable(const char *s, size_t len)
{
	size_t n = 0;

	if (s[0] == '<' && len > 1 &&
	    (isalpha((unsigned char)s[1]) || strchr("/!?", s[1]))) {
		const char *end = memchr(s, '>', len);

		return end ? (size_t)(end - s) + 1 : 0;
	}

	if ((len > 8 && !strncasecmp(s, "https://", 8)) ||
	    (len > 7 && !strncasecmp(s, "http://", 7))) {
		while (n < len && !is_blank(s[n]) && !strchr(")]>\"", s[n]))
			++n;
	}

	return n;
}

static bool starts_with(const unsigned char *s, size_t len, const char *what)
{
	size_t n = strlen(what);

	return len >= n && !memcmp(s, what, n);
}

/* Bytes of a symbol outside the letters of living scripts: emoji, arrows,
 * boxes (U+2190..U+2BFF, above U+1F000, the tags of flags), and what goes with
 * them or has no sound: variation, keycap, blank without width, byte order,
 * "not a character" */
static size_t symbol(const unsigned char *s, size_t len)
{
	static const char *const markv[] = {
		"\xef\xb8\x8f", "\xe2\x83\xa3", "\xe2\x80\x8b",
		"\xef\xbb\xbf", "\xef\xbf\xbd",
	};

	if (len >= 4 &&
	    ((s[0] == 0xf0 && s[1] == 0x9f) || (s[0] == 0xf3 && s[1] == 0xa0)))
		return 4;
	if (len >= 3 && s[0] == 0xe2 && s[1] >= 0x86 && s[1] <= 0xaf)
		return 3;
	for (size_t i = 0; i < ARRAY_SIZE(markv); i++) {
		if (starts_with(s, len, markv[i]))
			return 3;
	}

	return 0;
}

/* The same, with what joins it to the next: in words that is a letter's */
static size_t emoji(const unsigned char *s, size_t len)
{
	size_t n = symbol(s, len);

	return n && starts_with(s + n, len - n, "\xe2\x80\x8d") ? n + 3 : n;
}

/* Does a line begin at i, but for blanks? */
static bool begins_line(const char *s, size_t i)
{
	while (i && is_blank(s[i - 1]) && s[i - 1] != '\n')
		--i;

	return !i || s[i - 1] == '\n';
}

/* Bytes at i that cannot be spoken, 0 if what is there can */
static size_t unwanted(const char *s, size_t i, size_t len)
{
	const char *p = s + i;
	size_t n = unspeakable(p, len - i);

	if (!n && i && p[-1] == ']' && p[0] == '(')
		n = target(p, len - i);
	if (!n)
		n = emoji((const unsigned char *)p, len - i);
	if (!n && ((unsigned char)p[0] <= ' ' || p[0] == 0x7f ||
		   strchr("*_`#~|<>[]{}\\", p[0])))
		n = 1;
	if (!n && bullet(p, len - i) && begins_line(s, i))
		n = bullet(p, len - i);

	return n;
}

bool sentence_clean(char *dst, const char *s, size_t len)
{
	bool any = false, blank = true;

	for (size_t i = 0; i < len;) {
		size_t skip = unwanted(s, i, len);

		if (skip) {
			i += skip;
			if (!blank)
				*dst++ = ' ';
			blank = true;
			continue;
		}

		any = any || is_letter(s[i]) || isdigit((unsigned char)s[i]);
		*dst++ = s[i++];
		blank = false;
	}
	if (blank && any)
		--dst;
	*dst = '\0';

	return any;
}

size_t sentence_origin(const char *s, size_t len, size_t at)
{
	bool blank = true;
	size_t n = 0;

	for (size_t i = 0; i < len;) {
		size_t skip = unwanted(s, i, len);

		/* of a run of them one blank was made, of the first none */
		if ((!skip || !blank) && n++ == at)
			return i;
		blank = skip != 0;
		i += MAX(skip, 1U);
	}

	return len;
}

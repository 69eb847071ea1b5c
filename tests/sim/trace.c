/**
 * @file trace.c  Words that can be told apart, and lines that can be read
 */
#include <stdarg.h>
#include <stdio.h>
#include "sim.h"

void trace_line(const struct sim *s, const char *who, const char *fmt, ...)
{
	va_list ap;

	printf("%6llu.%03llu  %-10s ", (unsigned long long)(s->now_ms / 1000),
	       (unsigned long long)(s->now_ms % 1000), who);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

/* A number as letters: no digit of it is ever taken for a key */
static size_t word_print(char *dst, char prefix, uint32_t n)
{
	size_t len = 0;

	dst[len++] = prefix;
	for (unsigned i = 0; i < 3; i++) {
		dst[len++] = (char)('a' + n % 26);
		n /= 26;
	}

	return len;
}

size_t words_print(char *dst, size_t size, char prefix, uint32_t n,
		   uint32_t count)
{
	size_t len = 0;

	for (uint32_t i = 0; i < count && len + 6 < size; i++) {
		if (i)
			dst[len++] = ' ';
		len += word_print(dst + len, prefix, n + i);
	}
	dst[len] = '\0';

	return len;
}

static bool is_letter(char ch)
{
	return ch >= 'a' && ch <= 'z';
}

static bool word_parse(const char *s, char prefix, uint32_t *n)
{
	if (s[0] != prefix || !is_letter(s[1]) || !is_letter(s[2]) ||
	    !is_letter(s[3]) || is_letter(s[4]))
		return false;

	*n = (uint32_t)((s[1] - 'a') +
			26 * ((s[2] - 'a') + 26 * (s[3] - 'a')));

	return *n < SIM_WORDS_MAX;
}

bool words_next(const char **sp, char prefix, uint32_t *n)
{
	const char *s = *sp;

	while (*s) {
		if (word_parse(s, prefix, n)) {
			*sp = s + 4;
			return true;
		}
		while (is_letter(*s))
			++s;
		while (*s && !is_letter(*s))
			++s;
	}

	return false;
}

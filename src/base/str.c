/**
 * @file str.c  Strings, UTF-8, URLs for logs
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <openssl/crypto.h>
#include <convod/mem.h>
#include <convod/str.h>

int str_ndup(char **dst, const char *src, size_t len)
{
	char *s = mem_zalloc(len + 1, NULL);

	if (!s)
		return ENOMEM;

	memcpy(s, src, len);
	*dst = s;

	return 0;
}

int str_dup(char **dst, const char *src)
{
	return str_ndup(dst, src, strlen(src));
}

int str_printf(char **dst, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return EINVAL;

	s = mem_zalloc((size_t)n + 1, NULL);
	if (!s)
		return ENOMEM;

	va_start(ap, fmt);
	(void)vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	*dst = s;

	return 0;
}

void str_copy(char *dst, size_t size, const char *src)
{
	(void)snprintf(dst, size, "%s", src);
}

bool str_eq(const char *a, const char *b)
{
	return a && b && !strcmp(a, b);
}

bool str_caseeq(const char *a, const char *b)
{
	return a && b && !strcasecmp(a, b);
}

bool str_starts(const char *s, const char *prefix)
{
	return !strncmp(s, prefix, strlen(prefix));
}

bool str_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n >= m && !strcmp(s + n - m, suffix);
}

bool str_eq_secret(const char *a, const char *b)
{
	size_t n = strlen(a);

	return n == strlen(b) && !CRYPTO_memcmp(a, b, n);
}

bool str_quotes(const char *text, const char *secret)
{
	enum { TELLING = 4 }; /* bytes of it at the text's end */
	size_t n = secret ? strlen(secret) : 0;
	size_t len = strlen(text);

	if (!n)
		return false;
	if (strstr(text, secret))
		return true;
	for (size_t i = MIN(n, len); i >= TELLING; i--) {
		if (!memcmp(text + len - i, secret, i))
			return true;
	}

	return false;
}

void mem_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

char *str_wipe(char *s)
{
	if (s)
		mem_wipe(s, strlen(s));

	return mem_deref(s);
}

/* Length of the UTF-8 sequence at s, 0 if it is none (RFC 3629 section 4) */
static size_t utf8_seq(const uint8_t *s, size_t len)
{
	uint8_t lo = 0x80, hi = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;

	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		n = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		n = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		n = 4;
	else
		return 0;

	if (len < n)
		return 0;

	switch (s[0]) {
	case 0xe0:
		lo = 0xa0;
		break;
	case 0xed:
		hi = 0x9f;
		break;
	case 0xf0:
		lo = 0x90;
		break;
	case 0xf4:
		hi = 0x8f;
		break;
	default:
		break;
	}

	if (s[1] < lo || s[1] > hi)
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}

	return n;
}

bool utf8_is_valid(const char *s, size_t len)
{
	const uint8_t *p = (const uint8_t *)s;

	for (size_t i = 0, n; i < len; i += n) {
		n = utf8_seq(p + i, len - i);
		if (!n)
			return false;
	}

	return true;
}

/* `code` is how Azure's functions know their callers; a languageCode isn't */
static bool is_secret_name(const char *s, size_t n)
{
	static const char *const endv[] = {"token", "key", "secret",
					   "password", "signature"};
	static const char *const namev[] = {"pass", "pwd", "auth", "code",
					    "sig"};

	for (size_t i = 0; i < ARRAY_SIZE(endv); i++) {
		size_t m = strlen(endv[i]);

		if (n >= m && !strncasecmp(s + n - m, endv[i], m))
			return true;
	}
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		if (n == strlen(namev[i]) && !strncasecmp(s, namev[i], n))
			return true;
	}

	return false;
}

/* The query, with secret values as stars; a fragment is never sent, so nobody
 * misses it */
static void mask_query(FILE *f, const char *q)
{
	while (*q && *q != '#') {
		size_t n = strcspn(q, "&#");
		size_t name = strcspn(q, "=&#");

		if (name < n && is_secret_name(q, name))
			fprintf(f, "%.*s=***", (int)name, q);
		else
			fprintf(f, "%.*s", (int)n, q);

		q += n;
		if (*q == '&')
			fputc(*q++, f);
	}
	if (*q)
		fputs("#***", f);
}

/* What follows a host's colon. A password with a slash ends the authority too
 * early: no URL, but what some write, and then see in an error. */
static bool is_port(const char *authority, size_t n)
{
	const char *colon = memchr(authority, ':', n);
	size_t digits;

	if (!colon || *authority == '[')
		return true;

	digits = strspn(colon + 1, "0123456789");

	return colon + 1 + digits == authority + n;
}

bool url_is_http(const char *url)
{
	return str_starts(url, "http://") || str_starts(url, "https://");
}

char *url_mask(char *dst, size_t size, const char *url)
{
	const char *rest = strstr(url, "://");
	const char *at, *query;
	size_t authority;
	FILE *f;

	dst[0] = '\0';
	f = fmemopen(dst, size, "w");
	if (!f)
		return dst;

	rest = rest ? rest + 3 : url;
	authority = strcspn(rest, "/?#");
	at = memrchr(rest, '@', authority);
	if (!at && !is_port(rest, authority))
		at = strrchr(rest, '@');
	fwrite(url, 1, (size_t)(rest - url), f);
	if (at) {
		fputs("***", f);
		rest = at;
	}

	query = rest + strcspn(rest, "?#");
	fwrite(rest, 1, (size_t)(query - rest), f);
	if (*query == '?')
		fputc(*query++, f);
	mask_query(f, query);

	fclose(f);
	dst[size - 1] = '\0';

	return dst;
}

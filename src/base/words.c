/**
 * @file words.c  Words as a caller and a bot say them
 */
#include <locale.h>
#include <pthread.h>
#include <string.h>
#include <wctype.h>
#include <convod/words.h>

enum { UTF8_MAX = 4 };

static locale_t letters;

static void know_letters(void)
{
	letters = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
	/* not everywhere; then only ASCII has cases. That one is static. */
	if (!letters)
		letters = newlocale(LC_CTYPE_MASK, "C", (locale_t)0);
}

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

void words_fold(char *dst, size_t size, const char *s)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	const char *end = dst + size - UTF8_MAX - 2;
	bool blank = false, any = false;
	wint_t wc;

	pthread_once(&once, know_letters);
	while (*s && dst < end) {
		s += decode(&wc, s);
		if (wc == '\'' || wc == 0x2019)
			continue; /* don't, dont */
		if (!iswalnum_l(wc, letters)) {
			blank = any;
			continue;
		}
		if (blank)
			*dst++ = ' ';
		dst += encode(dst, towlower_l(wc, letters));
		blank = false;
		any = true;
	}
	*dst = '\0';
}

const char *words_take(const char **pos, size_t *n)
{
	const char *word = *pos + strspn(*pos, " ");

	*n = strcspn(word, " ");
	*pos = word + *n;

	return *n ? word : NULL;
}

bool words_has(const char *folded, const char *word, size_t n)
{
	const char *w;
	size_t len;

	while ((w = words_take(&folded, &len))) {
		if (len == n && !memcmp(w, word, n))
			return true;
	}

	return false;
}

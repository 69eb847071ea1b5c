/**
 * @file key.c  What a spoken text is looked up by
 */
#include <errno.h>
#include <string.h>
#include <openssl/sha.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/voice.h>

/* Of what is cached: another one when audio is made differently */
#define FORMAT "convod voice 1, 8 kHz mu-law"

static bool is_blank(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/*
 * One run of blanks, or one other byte
 *
 * @param ch Set to what it becomes
 *
 * @return its length
 */
static size_t next_part(const char *s, char *ch)
{
	size_t n = 0;
	bool newline = false;

	while (is_blank(s[n]))
		newline |= s[n++] == '\n';

	*ch = !n ? *s : newline ? '\n' : ' ';

	return n ? n : 1;
}

static const char *skip_blanks(const char *s)
{
	while (is_blank(*s))
		++s;

	return s;
}

size_t voice_clean(char *dst, const char *text)
{
	const char *s = skip_blanks(text);
	size_t n = 0;

	while (*s)
		s += next_part(s, &dst[n++]);
	if (n && is_blank(dst[n - 1]))
		--n;
	dst[n] = '\0';

	return n;
}

size_t voice_text_pos(const char *text, size_t clean_pos)
{
	const char *s = skip_blanks(text);
	char ch;

	while (clean_pos-- && *s)
		s += next_part(s, &ch);

	return (size_t)(s - text);
}

/* ----------------------------------------------------------------- hash */

enum { PARTS_MAX = 8 };

/* Each part with its zero, so that none runs into the next */
static int hash(struct voice_key *key, const char *const *partv, size_t n)
{
	size_t lenv[PARTS_MAX], size = 0;
	uint8_t *buf, *p;

	for (size_t i = 0; i < n; i++) {
		lenv[i] = strlen(partv[i]) + 1;
		size += lenv[i];
	}

	buf = p = mem_raw_malloc(size);
	if (!buf)
		return ENOMEM;

	for (size_t i = 0; i < n; i++) {
		memcpy(p, partv[i], lenv[i]);
		p += lenv[i];
	}
	(void)SHA256(buf, size, key->v);
	mem_raw_free(buf);

	return 0;
}

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

int voice_engine_key(struct voice_key *key, const struct tts_param *prm)
{
	size_t size = 4 * strlen(prm->url) + 64; /* masks are short */
	char *url = mem_zalloc(size, NULL);
	int err;

	if (!url)
		return ENOMEM;

	/* speed and the like are in the URL */
	err = hash(key,
		   (const char *[]){FORMAT, url_mask(url, size, prm->url),
				    or_empty(prm->voice), or_empty(prm->model),
				    or_empty(prm->language)},
		   5);
	mem_deref(url);

	return err;
}

int voice_key(struct voice_key *key, const struct voice_key *engine,
	      const char *voice, const char *language, const char *clean)
{
	char hex[2 * sizeof(engine->v) + 1];

	for (size_t i = 0; i < sizeof(engine->v); i++) {
		hex[2 * i] = (char)('a' + (engine->v[i] >> 4));
		hex[2 * i + 1] = (char)('a' + (engine->v[i] & 15));
	}
	hex[sizeof(hex) - 1] = '\0';

	return hash(key,
		    (const char *[]){hex, or_empty(voice), or_empty(language),
				     clean},
		    4);
}

/**
 * @file prompts.c  The embedded sentences
 *
 * Raw 8 kHz μ-law, compiled in, so that a caller hears something even when
 * nothing else works. How they were made: share/prompts/make.
 */
#include <errno.h>
#include <stdio.h>
#include <convod/decode.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "server_priv.h"
#include "convod_features.h"

#define EMBED(symbol, file)                              \
	__asm__(".section .rodata\n"                     \
		".global prompt_" #symbol "\n"           \
		"prompt_" #symbol ":\n"                  \
		".incbin \"" PROMPTS_DIR "/" file "\"\n" \
		".global prompt_" #symbol "_end\n"       \
		"prompt_" #symbol "_end:\n"              \
		".previous\n");                          \
	extern const uint8_t prompt_##symbol[], prompt_##symbol##_end[]

EMBED(en_apology, "en-apology.ul");
EMBED(en_wait, "en-wait.ul");
EMBED(en_closing, "en-closing.ul");
EMBED(is_apology, "is-apology.ul");
EMBED(is_wait, "is-wait.ul");
EMBED(is_closing, "is-closing.ul");

struct sentence {
	const uint8_t *begin;
	const uint8_t *end;
};

static const struct tongue {
	const char *language; /* what the tag begins with */
	struct sentence sentencev[CALL_PROMPTS];
} tonguev[] = {
	/* the first one is for all others */
	{"en",
	 {{prompt_en_apology, prompt_en_apology_end},
	  {prompt_en_wait, prompt_en_wait_end},
	  {prompt_en_closing, prompt_en_closing_end}}},
	{"is",
	 {{prompt_is_apology, prompt_is_apology_end},
	  {prompt_is_wait, prompt_is_wait_end},
	  {prompt_is_closing, prompt_is_closing_end}}},
};

static void destructor(void *arg)
{
	struct prompts *p = arg;

	for (size_t i = 0; i < CALL_PROMPTS; i++)
		mem_deref(p->clipv[i]);
}

static const struct tongue *find_tongue(const char *language)
{
	for (size_t i = 0; i < ARRAY_SIZE(tonguev); i++) {
		if (str_starts(language, tonguev[i].language))
			return &tonguev[i];
	}

	return &tonguev[0];
}

static void append_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct clip *clip = arg;

	if (clip_append(clip, ulawv, n))
		clip_end(clip, EOVERFLOW);
}

static int decode_file(FILE *f, struct clip *clip, uint32_t max_ms)
{
	struct decoder *d = NULL;
	uint8_t buf[4096];
	int err = decoder_alloc(&d, DECODE_SNIFF, 0, max_ms);

	while (!err) {
		size_t n = fread(buf, 1, sizeof(buf), f);

		err = decoder_push(d, buf, n, n < sizeof(buf), append_handler,
				   clip);
		if (n < sizeof(buf))
			break;
	}

	mem_deref(d);
	return err;
}

static int load_file(struct clip **cp, const char *path, uint32_t max_ms)
{
	struct clip *clip = NULL;
	FILE *f = fopen(path, "rbe");
	int err;

	if (!f)
		return errno;

	err = clip_alloc(&clip, (size_t)max_ms * 8);
	if (!err)
		err = decode_file(f, clip, max_ms);
	fclose(f);

	if (err) {
		mem_deref(clip);
		return err;
	}

	clip_end(clip, 0);
	mem_deref(*cp);
	*cp = clip;

	return 0;
}

int prompts_alloc(struct prompts **pp, const char *language,
		  const char *apology_file, uint32_t max_ms)
{
	const struct tongue *t = find_tongue(language);
	struct prompts *p = mem_zalloc(sizeof(*p), destructor);
	int err = p ? 0 : ENOMEM;

	for (size_t i = 0; i < CALL_PROMPTS && !err; i++) {
		const struct sentence *s = &t->sentencev[i];

		err = clip_from(&p->clipv[i], s->begin,
				(size_t)(s->end - s->begin));
	}
	if (!err && *apology_file)
		err = load_file(&p->clipv[CALL_PROMPT_APOLOGY], apology_file,
				max_ms);

	if (err)
		mem_deref(p);
	else
		*pp = p;

	return err;
}

/**
 * @file prompts.c  The embedded sentences
 *
 * Raw 8 kHz μ-law, compiled in, so that a caller hears something even when
 * nothing else works. How they were made: share/prompts/make.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/decode.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "manners.h"
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
EMBED(en_warning, "en-warning.ul");
EMBED(en_hello, "en-hello.ul");
EMBED(is_apology, "is-apology.ul");
EMBED(is_wait, "is-wait.ul");
EMBED(is_closing, "is-closing.ul");
EMBED(is_warning, "is-warning.ul");
EMBED(is_hello, "is-hello.ul");

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
	  {prompt_en_closing, prompt_en_closing_end},
	  {prompt_en_warning, prompt_en_warning_end},
	  {prompt_en_hello, prompt_en_hello_end}}},
	{"is",
	 {{prompt_is_apology, prompt_is_apology_end},
	  {prompt_is_wait, prompt_is_wait_end},
	  {prompt_is_closing, prompt_is_closing_end},
	  {prompt_is_warning, prompt_is_warning_end},
	  {prompt_is_hello, prompt_is_hello_end}}},
};

static void destructor(void *arg)
{
	struct prompts *p = arg;

	for (size_t i = 0; i < CALL_PROMPTS; i++)
		mem_deref(p->clipv[i]);
	mem_deref(p->filler);
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
	if (err == EBADMSG && clip_len(clip)) {
		log_warn(NULL, "audio file is cut", "path=\"%s\"",
			 LOG_STR(path));
		err = 0;
	}

	if (err) {
		mem_deref(clip);
		return err;
	}

	clip_end(clip, 0);
	mem_deref(*cp);
	*cp = clip;

	return 0;
}

/* Two soft beats of a low tone, and a pause: somebody is busy */
static int make_filler(struct clip **cp)
{
	enum {
		BEAT = 120,
		GAP = 180,
		ALL = 2000,
		TONE_HZ = 392,
		LEVEL = 1600
	};
	uint8_t ulawv[ALL * AUDIO_PER_MS];

	memset(ulawv, ULAW_SILENCE, sizeof(ulawv));
	for (unsigned beat = 0; beat < 2; beat++) {
		uint8_t *p = ulawv + beat * (BEAT + GAP) * AUDIO_PER_MS;
		double n = BEAT * AUDIO_PER_MS;

		for (size_t i = 0; i < BEAT * AUDIO_PER_MS; i++)
			p[i] = g711_ulaw_encode(
				(int16_t)(LEVEL * sin(M_PI * (double)i / n) *
					  sin(2 * M_PI * TONE_HZ * (double)i /
					      AUDIO_RATE)));
	}

	return clip_from(cp, ulawv, sizeof(ulawv));
}

/** A file of the operator's, if there is one; errbuf says what is wrong */
static int load_setting(struct clip **cp, const char *name, const char *path,
			uint32_t max_ms, char *errbuf)
{
	int err = *path ? load_file(cp, path, max_ms) : 0;

	if (err)
		(void)snprintf(
			errbuf, CONF_ERR_MAX, "%s: %.300s: %s", name, path,
			err == EBADMSG || err == ENODATA ? "is no audio"
							 : strerror(err));

	return err;
}

int prompts_alloc(struct prompts **pp, const struct conf *conf, char *errbuf)
{
	const struct tongue *t = find_tongue(conf->language);
	struct prompts *p = mem_zalloc(sizeof(*p), destructor);
	uint32_t max_ms = conf->audio_max_seconds * 1000;
	int err = p ? make_filler(&p->filler) : ENOMEM;

	for (size_t i = 0; i < CALL_PROMPT_GREETING && !err; i++) {
		const struct sentence *s = &t->sentencev[i];

		err = clip_from(&p->clipv[i], s->begin,
				(size_t)(s->end - s->begin));
	}
	if (!err)
		err = load_setting(&p->clipv[CALL_PROMPT_APOLOGY],
				   "APOLOGY_FILE", conf->apology_file, max_ms,
				   errbuf);
	if (!err)
		err = load_setting(&p->clipv[CALL_PROMPT_GREETING], "GREETING",
				   manners_greeting_file(conf), max_ms,
				   errbuf);
	if (!err)
		err = load_setting(&p->filler, "FILLER_FILE",
				   conf->filler_file, max_ms, errbuf);

	if (err)
		mem_deref(p);
	else
		*pp = p;

	return err;
}

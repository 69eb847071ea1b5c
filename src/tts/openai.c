/**
 * @file openai.c  The voices of OpenAI, and of all that speak its interface
 *
 * `pcm` is 24 kHz there, and without a header. Other servers have other rates
 * (?rate=), know only files (?format=), or ignore what they are asked for:
 * then the first bytes tell.
 *
 * Spec: tts.md 11.4
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 4096 /* characters, to be exact */ };
enum { OPT_FORMAT, OPT_RATE, OPT_SPEED };

static const struct vendor_ops openai_ops;

static bool ends_with_version(const char *base)
{
	size_t n = strlen(base);

	return n > 3 && !strcmp(base + n - 3, "/v1");
}

static int openai_ask(struct vendor_ask *a, const struct vendor *v,
		      const struct tts_text *t)
{
	const char *speed = v->optionv[OPT_SPEED];
	int err;

	if (vendor_option_is(v, OPT_FORMAT, "pcm")) {
		a->format = DECODE_PCM_S16LE;
		a->rate = (uint32_t)strtoul(v->optionv[OPT_RATE], NULL, 10);
	}
	err = str_printf(&a->url, "%s%s/audio/speech", v->base,
			 ends_with_version(v->base) ? "" : "/v1");
	if (!err && *v->key)
		err = ask_header(a, "Authorization: Bearer %s", v->key);
	if (!err)
		err = ask_json(a,
			       json_pack("{s:s, s:s, s:s, s:s, s:o*}", "model",
					 *v->model ? v->model : "tts-1",
					 "voice", t->voice, "input", t->text,
					 "response_format",
					 v->optionv[OPT_FORMAT], "speed",
					 speed ? json_real(strtod(speed, NULL))
					       : NULL));

	return err;
}

static int openai_alloc(struct tts **tp, const struct tts_param *prm,
			const struct net *net)
{
	return vendor_alloc(tp, &openai_ops, prm, net);
}

const struct tts_backend tts_openai = {
	.name = "openai",
	.schemev = {"openai", "openai+https", "openai+http"},
	.alloc = openai_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops openai_ops = {
	.be = &tts_openai,
	.base = "https://api.openai.com",
	.voice = "alloy",
	.key = true,
	.text_max = TEXT_MAX_BYTES,
	.optionv =
		{
			[OPT_FORMAT] = {"format", "pcm", "pcm wav mp3", 0, 0},
			[OPT_RATE] = {"rate", "24000", NULL, 8000, 48000},
			[OPT_SPEED] = {"speed", NULL, NULL, 0.25, 4},
		},
	.ask = openai_ask,
};

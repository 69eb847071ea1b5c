/**
 * @file elevenlabs.c  The voices of ElevenLabs
 *
 * Sends μ-law, raw, while it synthesises. The output format is a parameter of
 * the query: in the body it is ignored, and MP3 comes. 401 is also what a used
 * up quota is answered with.
 *
 * Spec: tts.md 11.5
 */
#include <errno.h>
#include <stdlib.h>
#include <convod/http.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 5000 /* 10 000 to 40 000 characters by model */ };
enum { OPT_LANGUAGE, OPT_SIMILARITY, OPT_SPEED, OPT_STABILITY };

static const struct vendor_ops elevenlabs_ops;

static json_t *number(const struct vendor *v, size_t option)
{
	const char *s = v->optionv[option];

	return s ? json_real(strtod(s, NULL)) : NULL;
}

static json_t *voice_settings(const struct vendor *v)
{
	if (!v->optionv[OPT_SIMILARITY] && !v->optionv[OPT_SPEED] &&
	    !v->optionv[OPT_STABILITY])
		return NULL;

	return json_pack("{s:o*, s:o*, s:o*}", "stability",
			 number(v, OPT_STABILITY), "similarity_boost",
			 number(v, OPT_SIMILARITY), "speed",
			 number(v, OPT_SPEED));
}

static int elevenlabs_ask(struct vendor_ask *a, const struct vendor *v,
			  const struct tts_text *t)
{
	char *voice;
	int err = url_escape(&voice, t->voice);

	if (err)
		return err;

	a->format = DECODE_ULAW_8000;
	err = str_printf(&a->url,
			 "%s/v1/text-to-speech/%s/stream"
			 "?output_format=ulaw_8000",
			 v->base, voice);
	if (!err && *v->key)
		err = ask_header(a, "xi-api-key: %s", v->key);
	if (!err)
		err = ask_json(
			a,
			json_pack("{s:s, s:s*, s:s*, s:o*}", "text", t->text,
				  "model_id", *v->model ? v->model : NULL,
				  "language_code", v->optionv[OPT_LANGUAGE],
				  "voice_settings", voice_settings(v)));
	mem_deref(voice);

	return err;
}

static int elevenlabs_alloc(struct tts **tp, const struct tts_param *prm,
			    const struct net *net)
{
	return vendor_alloc(tp, &elevenlabs_ops, prm, net);
}

const struct tts_backend tts_elevenlabs = {
	.name = "elevenlabs",
	.schemev = {"elevenlabs", "elevenlabs+https", "elevenlabs+http"},
	.alloc = elevenlabs_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops elevenlabs_ops = {
	.be = &tts_elevenlabs,
	.base = "https://api.elevenlabs.io",
	.key = true,
	.text_max = TEXT_MAX_BYTES,
	.optionv =
		{
			[OPT_LANGUAGE] = {"language", NULL, NULL, 0, 0},
			[OPT_SIMILARITY] = {"similarity", NULL, NULL, 0, 1},
			[OPT_SPEED] = {"speed", NULL, NULL, 0.7, 1.2},
			[OPT_STABILITY] = {"stability", NULL, NULL, 0, 1},
		},
	.ask = elevenlabs_ask,
};

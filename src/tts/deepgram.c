/**
 * @file deepgram.c  The voices of Deepgram
 *
 * Sends μ-law while it synthesises, without a header only when told so: its
 * documentation says both. A voice is called a model there.
 *
 * Spec: tts.md 11.6
 */
#include <errno.h>
#include <convod/http.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 2000 };

static const struct vendor_ops deepgram_ops;

static int deepgram_ask(struct vendor_ask *a, const struct vendor *v,
			const struct tts_text *t)
{
	char *model;
	int err = url_escape(&model, t->voice);

	if (err)
		return err;

	a->format = DECODE_ULAW_8000;
	err = str_printf(&a->url,
			 "%s/v1/speak?model=%s&encoding=mulaw"
			 "&sample_rate=8000&container=none",
			 v->base, model);
	if (!err && *v->key)
		err = ask_header(a, "Authorization: Token %s", v->key);
	if (!err)
		err = ask_json(a, json_pack("{s:s}", "text", t->text));
	mem_deref(model);

	return err;
}

static int deepgram_alloc(struct tts **tp, const struct tts_param *prm,
			  const struct net *net)
{
	struct tts_param p = *prm;

	if (!str_isset(p.voice))
		p.voice = p.model;

	return vendor_alloc(tp, &deepgram_ops, &p, net);
}

const struct tts_backend tts_deepgram = {
	.name = "deepgram",
	.schemev = {"deepgram", "deepgram+https", "deepgram+http"},
	.alloc = deepgram_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops deepgram_ops = {
	.be = &tts_deepgram,
	.base = "https://api.deepgram.com",
	.voice = "aura-2-thalia-en",
	.key = true,
	.text_max = TEXT_MAX_BYTES,
	.ask = deepgram_ask,
};

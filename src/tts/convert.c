/**
 * @file convert.c  The plain /convert of an older bot's voice
 *
 * {"region", "text"} in, a WAV of some rate out; that is all that is known of
 * it, so whatever is audio is taken.
 *
 * Spec: tts.md 11.3
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 3000 /* not known; as the others have it */ };
enum { OPT_REGION };

static const struct vendor_ops convert_ops;

static int convert_ask(struct vendor_ask *a, const struct vendor *v,
		       const struct tts_text *t)
{
	int err = str_dup(&a->url, v->base);

	if (!err && *v->key)
		err = ask_header(a, "Authorization: Bearer %s", v->key);
	if (!err)
		err = ask_json(a, json_pack("{s:s, s:s}", "region",
					    v->optionv[OPT_REGION], "text",
					    t->text));

	return err;
}

/** Without a path it is /convert */
static int convert_setup(struct vendor *v)
{
	char *base;
	int err;

	if (strchr(strstr(v->base, "://") + 3, '/'))
		return 0;

	err = str_printf(&base, "%s/convert", v->base);
	if (err)
		return err;
	(void)str_wipe(v->base);
	v->base = base;

	return 0;
}

static int convert_alloc(struct tts **tp, const struct tts_param *prm,
			 const struct net *net)
{
	return vendor_alloc(tp, &convert_ops, prm, net);
}

const struct tts_backend tts_convert = {
	.name = "convert",
	.schemev = {"convert+https", "convert+http"},
	.alloc = convert_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops convert_ops = {
	.be = &tts_convert,
	.voice = "",
	.text_max = TEXT_MAX_BYTES,
	.optionv = {[OPT_REGION] = {"region", "eastus", NULL, 0, 0}},
	.setup = convert_setup,
	.ask = convert_ask,
};

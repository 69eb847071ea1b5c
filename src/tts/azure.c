/**
 * @file azure.c  The voices of Azure
 *
 * Takes SSML only, so the text is escaped. The `riff-` formats have a header,
 * the `raw-` ones have none. User-Agent is required, and net/ sends one.
 *
 * Spec: tts.md 11.7
 */
#include <errno.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 4000 /* it stops after ten minutes of audio */ };
enum { OPT_SPEED };

static const struct vendor_ops azure_ops;

static int print_ssml(char **dst, const struct vendor *v,
		      const struct tts_text *t)
{
	const char *speed = v->optionv[OPT_SPEED];
	char *text = NULL, *voice = NULL, *language = NULL;
	int err = vendor_xml(&text, t->text);

	if (!err)
		err = vendor_xml(&voice, t->voice);
	if (!err)
		err = vendor_xml(&language,
				 *t->language ? t->language : "en-US");
	if (!err)
		err = str_printf(dst,
				 "<speak version='1.0' xmlns='http://www.w3."
				 "org/2001/10/synthesis' xml:lang='%s'>"
				 "<voice name='%s'><prosody rate='%s'>%s"
				 "</prosody></voice></speak>",
				 language, voice, speed ? speed : "1", text);
	mem_deref(text);
	mem_deref(voice);
	mem_deref(language);

	return err;
}

static int azure_ask(struct vendor_ask *a, const struct vendor *v,
		     const struct tts_text *t)
{
	int err = str_printf(&a->url, "%s/cognitiveservices/v1", v->base);

	a->format = DECODE_ULAW_8000;
	if (!err && *v->key)
		err = ask_header(a, "Ocp-Apim-Subscription-Key: %s", v->key);
	if (!err)
		err = ask_header(a, "X-Microsoft-OutputFormat: "
				    "raw-8khz-8bit-mono-mulaw");
	if (!err)
		err = ask_header(a, "Content-Type: application/ssml+xml");
	if (!err)
		err = print_ssml(&a->body, v, t);

	return err;
}

static int azure_alloc(struct tts **tp, const struct tts_param *prm,
		       const struct net *net)
{
	return vendor_alloc(tp, &azure_ops, prm, net);
}

const struct tts_backend tts_azure = {
	.name = "azure",
	.schemev = {"azure", "azure+https", "azure+http"},
	.alloc = azure_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops azure_ops = {
	.be = &tts_azure,
	.base = "https://*.tts.speech.microsoft.com",
	.key = true,
	.text_max = TEXT_MAX_BYTES,
	.optionv = {[OPT_SPEED] = {"speed", NULL, NULL, 0.5, 2}},
	.ask = azure_ask,
};

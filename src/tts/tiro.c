/**
 * @file tiro.c  Voices of Tiro and Grammatek
 *
 * One interface under several paths, and three ways to be let in:
 *
 *	tiro+https://host           POST /v0/speech, the key bare
 *	tiro+https://host/tts/v0    POST /tts/v0/speech
 *	tiro+https://host/tts/v1    POST /tts/v1/speech with a token, which
 *	                            POST /auth/v1 gives for an id and a secret
 *
 * Errors that happen after the head show as a body cut short. An unknown voice
 * and a refused key are both 500.
 *
 * Spec: tts.md 11.1, 11.2
 */
#include <errno.h>
#include <string.h>
#include <convod/http.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

enum { TEXT_MAX_BYTES = 3000 /* characters, to be exact */ };

static const struct vendor_ops tiro_ops;

/** Its voices have one language each, and refuse any other spelling of it */
static const char *language_code(const struct tts_text *t)
{
	return strchr(t->language, '-') ? t->language : NULL;
}

static int tiro_ask(struct vendor_ask *a, const struct vendor *v,
		    const struct tts_text *t)
{
	int err;

	a->format = DECODE_PCM_S16LE;
	a->rate = 8000;
	err = str_printf(&a->url, "%s/speech", v->base);
	if (!err && *v->key && !v->token)
		err = ask_header(a, "Authorization: %s", v->key);
	if (!err)
		err = ask_json(
			a, json_pack("{s:s, s:s*, s:s, s:s, s:s, s:s, "
				     "s:s}",
				     "Engine", "standard", "LanguageCode",
				     language_code(t), "OutputFormat", "pcm",
				     /* a number is refused */
				     "SampleRate", "8000", "Text", t->text,
				     "TextType", "text", "VoiceId", t->voice));

	return err;
}

static int make_token(struct vendor *v, const char *id, const char *secret)
{
	size_t n = strlen(v->base) - strlen("/v1");
	char *url = NULL;
	int err;

	if (n >= 4 && !memcmp(v->base + n - 4, "/tts", 4))
		n -= 4;
	err = str_printf(&url, "%.*s/auth/v1", (int)n, v->base);
	if (!err)
		err = token_alloc(&v->token, v->net, url, id, secret,
				  v->timeout_ms);
	mem_deref(url);

	return err;
}

/** Id and secret from the URL, else from the key */
static int setup_token(struct vendor *v)
{
	char *bare, *user, *pass, *colon;
	int err = url_split_user(&bare, &user, &pass, v->base);

	if (err)
		return err;

	(void)str_wipe(v->base);
	v->base = bare;
	if (user) {
		err = make_token(v, user, pass ? pass : "");
	} else if ((colon = strchr(v->key, ':'))) {
		*colon = '\0';
		err = make_token(v, v->key, colon + 1);
		*colon = ':';
	}
	(void)str_wipe(user);
	(void)str_wipe(pass);

	return err;
}

static int tiro_setup(struct vendor *v)
{
	char *base;
	int err;

	if (str_ends(v->base, "/v1"))
		return setup_token(v);
	if (str_ends(v->base, "/v0"))
		return 0;

	err = str_printf(&base, "%s/v0", v->base);
	if (err)
		return err;
	(void)str_wipe(v->base);
	v->base = base;

	return 0;
}

static int tiro_alloc(struct tts **tp, const struct tts_param *prm,
		      const struct net *net)
{
	return vendor_alloc(tp, &tiro_ops, prm, net);
}

const struct tts_backend tts_tiro = {
	.name = "tiro",
	.schemev = {"tiro+https", "tiro+http"},
	.alloc = tiro_alloc,
	.speak = vendor_speak,
};

static const struct vendor_ops tiro_ops = {
	.be = &tts_tiro,
	.voice = "Alfur",
	.text_max = TEXT_MAX_BYTES,
	.setup = tiro_setup,
	.ask = tiro_ask,
};

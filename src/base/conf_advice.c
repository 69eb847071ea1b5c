/**
 * @file conf_advice.c  Settings that are allowed, and disappoint
 *
 * Each rule is one that somebody new ran into. What can't work at all is
 * refused by conf_derive.c instead.
 */
#include <string.h>
#include <convod/str.h>
#include "conf_priv.h"

static bool is_english(const struct conf *c)
{
	return str_starts(c->language, "en");
}

static bool asks_demo(const struct conf *c)
{
	return str_starts(c->dialog_url, "demo:");
}

static bool hears_demo_only(const struct conf *c)
{
	return !strcmp(c->asr_url, "pocketsphinx:");
}

static bool is_deaf(const struct conf *c)
{
	return hears_demo_only(c) && !asks_demo(c);
}

static bool hears_another_bot(const struct conf *c)
{
	return hears_demo_only(c) && asks_demo(c) &&
	       strcmp(c->dialog_url, "demo:") != 0;
}

static bool hears_foreign(const struct conf *c)
{
	return str_starts(c->asr_url, "pocketsphinx:") && !is_english(c);
}

/* Some dialog managers send audio */
static bool is_mute(const struct conf *c)
{
	return !*c->tts_url && !str_starts(c->dialog_url, "masdif+") &&
	       !strstr(c->dialog_url, "audio=true");
}

static bool speaks_foreign(const struct conf *c)
{
	return str_starts(c->tts_url, "flite:") && !is_english(c);
}

static bool apologises_foreign(const struct conf *c)
{
	return !is_english(c) && !str_starts(c->language, "is");
}

static bool has_voice_key(const struct conf *c)
{
	return str_starts(c->tts_url, "flite:") && *c->tts_key;
}

static bool has_masdif_too(const struct conf *c)
{
	return *c->masdif_url && !str_starts(c->dialog_url, "masdif+");
}

static bool has_voiceflow_too(const struct conf *c)
{
	return *c->voiceflow_api_key &&
	       !str_starts(c->dialog_url, "voiceflow+");
}

static bool has_model_key(const struct conf *c)
{
	return asks_demo(c) && *c->openai_api_key;
}

static bool is_open(const struct conf *c)
{
	return !*c->twilio_auth_token;
}

static const struct rule {
	bool (*appliesh)(const struct conf *c);
	const char *what;
	const char *hint;
} rulev[] = {
	{is_deaf, "the recogniser hears the demo bot's sentences only",
	 "for free speech set ASR_SERVER_URL=grpc://host:port"},
	{hears_another_bot,
	 "the recogniser hears the built-in bot's "
	 "sentences only",
	 "set ASR_SERVER_URL=pocketsphinx:FILE to the file of DIALOG_URL"},
	{hears_foreign, "the embedded recogniser understands English only",
	 "set ASR_SERVER_URL=grpc://host:port"},
	{is_mute, "nobody speaks the bot's texts",
	 "the embedded voice is English and LANGUAGE is not: set TTS_URL"},
	{speaks_foreign, "the embedded voice speaks English only",
	 "set TTS_URL to one that speaks LANGUAGE"},
	{apologises_foreign, "apologies are in English",
	 "set APOLOGY_FILE to a recording in LANGUAGE"},
	{has_voice_key, "TTS_KEY is not used",
	 "set TTS_URL to whose it is, elevenlabs: for example"},
	{has_masdif_too, "MASDIF_SERVER_URL is not used",
	 "unset DIALOG_URL, which comes first"},
	{has_voiceflow_too, "VOICEFLOW_API_KEY is not used",
	 "unset DIALOG_URL and MASDIF_SERVER_URL, which come first"},
	{has_model_key, "OPENAI_API_KEY is not used",
	 "set DIALOG_URL=openai+https://api.openai.com and DIALOG_MODEL"},
	{is_open, "anybody can connect",
	 "set TWILIO_AUTH_TOKEN to check signatures"},
};

void conf_advise(const struct conf *c, conf_advice_h *h, void *arg)
{
	for (size_t i = 0; i < ARRAY_SIZE(rulev); i++) {
		if (rulev[i].appliesh(c))
			h(rulev[i].what, rulev[i].hint, arg);
	}
}

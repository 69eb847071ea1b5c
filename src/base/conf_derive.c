/**
 * @file conf_derive.c  What settings say about one another
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/addr.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "conf_priv.h"
#include "convod_features.h"

#ifdef HAVE_FLITE
static const bool has_flite = true;
#else
static const bool has_flite = false;
#endif

static const char tag_chars[] = "abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-";

static int replace(char **sp, const char *value)
{
	char *copy;

	if (str_dup(&copy, value))
		return ENOMEM;
	mem_deref(*sp);
	*sp = copy;

	return 0;
}

/* A BCP-47 tag; "is_IS" is taken for one, "icelandic" is not */
static int check_language(struct conf *c, char *errbuf)
{
	char *s = c->language;
	size_t n = 0;

	for (char *p = s; *p; p++) {
		if (*p == '_')
			*p = '-';
	}
	while (isalpha((unsigned char)s[n]))
		++n;
	if (!*s || ((n == 2 || n == 3) && (!s[n] || s[n] == '-') &&
		    !s[strspn(s, tag_chars)]))
		return 0;

	(void)snprintf(errbuf, CONF_ERR_MAX,
		       "LANGUAGE is a BCP-47 tag such as en-US, not \"%.40s\"",
		       s);

	return EINVAL;
}

static int check_audio_hosts(const struct conf *c, char *errbuf)
{
	const char *wrong = net_hosts_find_wrong(c->audio_hosts);

	if (!wrong)
		return 0;

	(void)snprintf(errbuf, CONF_ERR_MAX,
		       "AUDIO_HOSTS is a list of hosts, addresses and blocks, "
		       "not \"%.80s\"",
		       wrong);

	return EINVAL;
}

static const char *find_wrong_carrier(const struct conf *c)
{
	const char *url = c->public_url;

	if (*url && !url_is_http(url) && !str_starts(url, "wss://") &&
	    !str_starts(url, "ws://"))
		return "PUBLIC_URL is https:// or wss://";
	if (str_ends(url, "/convo") || str_ends(url, "/convo/"))
		return "PUBLIC_URL is what stands before /convo";
	if (*c->twilio_account_sid && !str_starts(c->twilio_account_sid, "AC"))
		return "TWILIO_ACCOUNT_SID begins with AC";
	if (!*c->tls_cert != !*c->tls_key)
		return "TLS_CERT and TLS_KEY go together";

	return NULL;
}

static const char *find_wrong_dialog(const struct conf *c)
{
	bool vendor = str_starts(c->dialog_url,
				 "openai+https://api.openai.com");

	if (*c->masdif_url && !url_is_http(c->masdif_url))
		return "MASDIF_SERVER_URL is http:// or https://";
	if (*c->voiceflow_url && !url_is_http(c->voiceflow_url))
		return "VOICEFLOW_URL is http:// or https://";
	if (str_starts(c->dialog_url, "voiceflow+") && !*c->voiceflow_api_key)
		return "VOICEFLOW_API_KEY is not set, and DIALOG_URL needs it";
	if (vendor && !*c->openai_api_key && !*c->dialog_key)
		return "OPENAI_API_KEY is not set, and api.openai.com needs "
		       "it";
	if (vendor && !*c->dialog_model)
		return "DIALOG_MODEL is not set, and api.openai.com needs it";

	return NULL;
}

/* What is wrong with settings that are right one by one, or NULL */
static const char *find_wrong(const struct conf *c)
{
	const char *wrong = find_wrong_carrier(c);

	return wrong ? wrong : find_wrong_dialog(c);
}

static int derive_dialog(struct conf *c)
{
	char *url = NULL;
	int err;

	if (*c->dialog_url)
		return 0;
	if (*c->masdif_url)
		err = str_printf(&url, "masdif+%s", c->masdif_url);
	else if (*c->voiceflow_api_key)
		err = str_printf(&url, "voiceflow+%s", c->voiceflow_url);
	else
		err = str_dup(&url, "demo:");
	if (!err)
		err = replace(&c->dialog_url, url);
	mem_deref(url);

	return err;
}

int conf_derive(struct conf *c, char *errbuf)
{
	bool masdif = *c->masdif_url != '\0';
	const char *wrong;
	int err = check_language(c, errbuf);

	if (!err)
		err = check_audio_hosts(c, errbuf);
	if (err)
		return err;
	wrong = find_wrong(c);
	if (wrong) {
		str_copy(errbuf, CONF_ERR_MAX, wrong);
		return EINVAL;
	}

	err = derive_dialog(c);
	if (!err && !*c->asr_url)
		err = replace(&c->asr_url, "pocketsphinx:");
	if (!err && !*c->language)
		err = replace(&c->language, masdif ? "is-IS" : "en-US");
	if (!err && !*c->tts_url && str_starts(c->language, "en"))
		err = replace(&c->tts_url, "flite:");
	if (!err && has_flite && !*c->tts_fallback_url && *c->tts_url &&
	    str_starts(c->language, "en") && !str_starts(c->tts_url, "flite:"))
		err = replace(&c->tts_fallback_url, "flite:");

	return err;
}

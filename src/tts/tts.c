/**
 * @file tts.c  The table of voices
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/tts.h>
#include "convod_features.h"

/* One line each */
static const struct tts_backend *const backendv[] = {
#ifdef HAVE_FLITE
	&tts_flite,
#endif
	&tts_tiro,    &tts_openai, &tts_elevenlabs, &tts_deepgram, &tts_azure,
	&tts_convert, NULL,
};

static bool has_scheme(const struct tts_backend *be, const char *url, size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(be->schemev) && be->schemev[i];
	     i++) {
		if (strlen(be->schemev[i]) == n &&
		    !strncasecmp(be->schemev[i], url, n))
			return true;
	}

	return false;
}

int tts_alloc(struct tts **tp, const struct tts_param *prm,
	      const struct net *net)
{
	size_t n;

	if (!tp || !prm || !prm->url || !net)
		return EINVAL;

	n = strcspn(prm->url, ":");
	if (prm->url[n] != ':')
		return EINVAL;

	for (size_t i = 0; backendv[i]; i++) {
		if (has_scheme(backendv[i], prm->url, n))
			return backendv[i]->alloc(tp, prm, net);
	}

	return ENOTSUP;
}

const char *tts_schemes(void)
{
	return "tiro+http(s) openai(+http(s)) elevenlabs(+https) "
	       "deepgram(+https) azure(+https) convert+http(s)"
#ifdef HAVE_FLITE
	       " flite"
#endif
		;
}

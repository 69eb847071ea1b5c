/**
 * @file asr.c  Recognisers: the table of backends
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/asr.h>
#include "convod_features.h"

/* One line each */
static const struct asr_backend *const backendv[] = {
	&asr_axy,
#ifdef HAVE_POCKETSPHINX
	&asr_pocketsphinx,
#endif
};

static const struct asr_backend *find(const char *url)
{
	size_t n = strcspn(url, ":");

	for (size_t i = 0; i < ARRAY_SIZE(backendv); i++) {
		const char *const *s = backendv[i]->schemev;

		for (; *s; s++) {
			if (strlen(*s) == n && !strncasecmp(*s, url, n))
				return backendv[i];
		}
	}

	return NULL;
}

int asr_alloc(struct asr **ap, const struct asr_param *prm,
	      const struct net *net)
{
	const struct asr_backend *be;
	int err;

	if (!ap || !prm || !prm->url || !prm->language || !net || !net->loop)
		return EINVAL;

	be = find(prm->url);
	if (!be)
		return ENOTSUP;

	err = be->alloc(ap, prm, net);
	if (err)
		return err;

	(*ap)->be = be;
	(*ap)->loop = net->loop;

	return 0;
}

const char *asr_form(const char *url)
{
	const struct asr_backend *be = find(url);

	return be ? be->form : "";
}

const char *asr_schemes(void)
{
	return "grpc grpcs"
#ifdef HAVE_POCKETSPHINX
	       " pocketsphinx"
#endif
		;
}

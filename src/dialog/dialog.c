/**
 * @file dialog.c  The table of dialog managers
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/dialog.h>

static const struct dialog_backend *const backendv[] = {
	&dialog_masdif,  &dialog_voiceflow, &dialog_openai, &dialog_rasa,
	&dialog_webhook, &dialog_demo,      &dialog_echo,
};

static bool has_scheme(const struct dialog_backend *be, const char *url,
		       size_t n)
{
	for (size_t i = 0; i < ARRAY_SIZE(be->schemev) && be->schemev[i]; i++)
		if (strlen(be->schemev[i]) == n &&
		    !strncasecmp(be->schemev[i], url, n))
			return true;

	return false;
}

static const struct dialog_backend *find(const char *url)
{
	size_t n = strcspn(url, ":");

	for (size_t i = 0; i < ARRAY_SIZE(backendv); i++)
		if (has_scheme(backendv[i], url, n))
			return backendv[i];

	return NULL;
}

int dialog_alloc(struct dialog **dp, const struct dialog_param *prm,
		 const struct net *net)
{
	const struct dialog_backend *be;

	if (!dp || !prm || !prm->url || !net || !strchr(prm->url, ':'))
		return EINVAL;

	be = find(prm->url);

	return be ? be->alloc(dp, prm, net) : ENOTSUP;
}

const char *dialog_form(const char *url)
{
	const struct dialog_backend *be = find(url);

	return be ? be->form : "";
}

const char *dialog_schemes(void)
{
	/* a list of constants, and so one itself */
	return "masdif+http masdif+https voiceflow+http voiceflow+https "
	       "openai+http openai+https rasa+http rasa+https "
	       "webhook+http webhook+https demo echo";
}

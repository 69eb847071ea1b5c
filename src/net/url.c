/**
 * @file url.c  URLs: origin and resolution, with libcurl's parser
 *
 * The same parser reads the URL when it is fetched, so what was checked is
 * what is contacted.
 */
#include <ctype.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <curl/curl.h>
#include <convod/http.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "curl_init.h"

int curl_init(void)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static bool done;
	CURLcode code = CURLE_OK;

	pthread_mutex_lock(&lock);
	if (!done) {
		code = curl_global_init_mem(
			CURL_GLOBAL_DEFAULT, mem_raw_malloc, mem_raw_free,
			mem_raw_realloc, mem_raw_strdup, mem_raw_calloc);
		done = code == CURLE_OK;
	}
	pthread_mutex_unlock(&lock);

	return code ? ENOMEM : 0;
}

static int to_errno(CURLUcode code)
{
	switch (code) {
	case CURLUE_OK:
		return 0;
	case CURLUE_OUT_OF_MEMORY:
		return ENOMEM;
	default:
		return EBADMSG;
	}
}

static int set_url(CURLU *u, const char *url)
{
	if (strlen(url) >= HTTP_URL_MAX)
		return EOVERFLOW;

	return to_errno(curl_url_set(u, CURLUPART_URL, url, 0));
}

/** Is it http or https? libcurl knows many more */
static int check_scheme(CURLU *u)
{
	char *scheme;
	CURLUcode code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	bool ok;

	if (code)
		return to_errno(code);

	ok = str_caseeq(scheme, "http") || str_caseeq(scheme, "https");
	curl_free(scheme);

	return ok ? 0 : EBADMSG;
}

static int print_origin(char *dst, size_t size, CURLU *u)
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLUcode code = curl_url_get(u, CURLUPART_SCHEME, &scheme, 0);
	int n, err = 0;

	if (!code)
		code = curl_url_get(u, CURLUPART_HOST, &host, 0);
	if (!code)
		code = curl_url_get(u, CURLUPART_PORT, &port,
				    CURLU_DEFAULT_PORT);
	if (code) {
		err = to_errno(code);
		goto out;
	}

	n = snprintf(dst, size, "%s://%s:%s", scheme, host, port);
	if (n < 0 || (size_t)n >= size) {
		err = EOVERFLOW;
		goto out;
	}
	for (char *p = dst; *p; p++)
		*p = (char)tolower((unsigned char)*p);

out:
	curl_free(scheme);
	curl_free(host);
	curl_free(port);

	return err;
}

static int handle_alloc(CURLU **up)
{
	int err = curl_init();

	if (err)
		return err;

	*up = curl_url();

	return *up ? 0 : ENOMEM;
}

int url_origin(char *dst, size_t size, const char *url)
{
	CURLU *u;
	int err;

	if (!dst || !size || !url)
		return EINVAL;

	err = handle_alloc(&u);
	if (err)
		return err;

	err = set_url(u, url);
	if (!err)
		err = check_scheme(u);
	if (!err)
		err = print_origin(dst, size, u);
	curl_url_cleanup(u);

	return err;
}

int url_resolve(char **dst, const char *base, const char *ref)
{
	char *url;
	CURLU *u;
	int err;

	if (!dst || !base || !ref)
		return EINVAL;

	err = handle_alloc(&u);
	if (err)
		return err;

	err = set_url(u, base);
	/* setting a URL again resolves it against the one before */
	if (!err && *ref)
		err = set_url(u, ref);
	if (!err)
		err = check_scheme(u);
	if (!err)
		err = to_errno(curl_url_get(u, CURLUPART_URL, &url, 0));
	curl_url_cleanup(u);
	if (err)
		return err;

	err = str_dup(dst, url);
	curl_free(url);

	return err;
}

/** A part of the URL as an object; NULL if it has none */
static int get_part(char **dst, CURLU *u, CURLUPart part, unsigned flags)
{
	char *s;
	CURLUcode code = curl_url_get(u, part, &s, flags);
	int err;

	*dst = NULL;
	if (code == CURLUE_NO_USER || code == CURLUE_NO_PASSWORD)
		return 0;
	if (code)
		return to_errno(code);

	err = str_dup(dst, s);
	curl_free(s);

	return err;
}

int url_split_user(char **barep, char **userp, char **passp, const char *url)
{
	char *bare = NULL, *user = NULL, *pass = NULL;
	CURLU *u;
	int err;

	if (!barep || !userp || !passp || !url)
		return EINVAL;

	err = handle_alloc(&u);
	if (err)
		return err;

	err = set_url(u, url);
	if (!err)
		err = get_part(&user, u, CURLUPART_USER, CURLU_URLDECODE);
	if (!err)
		err = get_part(&pass, u, CURLUPART_PASSWORD, CURLU_URLDECODE);
	if (!err)
		err = to_errno(curl_url_set(u, CURLUPART_USER, NULL, 0));
	if (!err)
		err = to_errno(curl_url_set(u, CURLUPART_PASSWORD, NULL, 0));
	if (!err)
		err = get_part(&bare, u, CURLUPART_URL, 0);
	curl_url_cleanup(u);

	if (err) {
		(void)str_wipe(user);
		(void)str_wipe(pass);
		mem_deref(bare);
	} else {
		*barep = bare;
		*userp = user;
		*passp = pass;
	}

	return err;
}

int url_escape(char **dst, const char *s)
{
	static const char hex[] = "0123456789ABCDEF";
	char *p = mem_zalloc(3 * strlen(s) + 1, NULL);

	if (!p)
		return ENOMEM;

	*dst = p;
	for (; *s; s++) {
		unsigned char c = (unsigned char)*s;

		if (isalnum(c) || strchr("-._~", c)) {
			*p++ = *s;
		} else {
			*p++ = '%';
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
		}
	}

	return 0;
}

/**
 * @file vendor_url.c  The URL of a voice: base and options
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "vendor.h"

static bool is_word(const char *s)
{
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr("-_.", *s))
			return false;

	return true;
}

/** Percent-encoding undone; false: damaged, or a control character */
static bool decode(char *dst, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		char hex[3] = {0};

		if (s[i] == '%') {
			if (n - i < 3 || !isxdigit((unsigned char)s[i + 1]) ||
			    !isxdigit((unsigned char)s[i + 2]))
				return false;
			memcpy(hex, s + i + 1, 2);
			*dst = (char)strtoul(hex, NULL, 16);
			i += 2;
		} else {
			*dst = s[i];
		}
		if ((unsigned char)*dst < ' ' || *dst == 0x7f)
			return false;
		++dst;
	}
	*dst = '\0';

	return true;
}

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	while (*choices) {
		size_t k = strcspn(choices, " ");

		if (k == n && !memcmp(choices, value, n))
			return true;
		choices += k + strspn(choices + k, " ");
	}

	return false;
}

/** Digits with at most one dot: strtod() would take much more */
static bool is_number(const char *s, double min, double max)
{
	size_t n = strspn(s, "0123456789");
	double v = strtod(s, NULL);

	if (s[n] == '.')
		n += 1 + strspn(s + n + 1, "0123456789");

	return isdigit((unsigned char)*s) && !s[n] && v >= min && v <= max;
}

static bool is_valid(const struct vendor_option *o, const char *value,
		     char *why)
{
	if (o->choices) {
		if (is_choice(o->choices, value))
			return true;
		(void)snprintf(why, VENDOR_ERROR_MAX, "?%s= is one of: %s",
			       o->name, o->choices);
	} else if (o->max > 0) {
		if (is_number(value, o->min, o->max))
			return true;
		(void)snprintf(why, VENDOR_ERROR_MAX,
			       "?%s= is a number from %g to %g", o->name,
			       o->min, o->max);
	} else {
		if (is_word(value) && *value)
			return true;
		(void)snprintf(why, VENDOR_ERROR_MAX, "?%s= is a word",
			       o->name);
	}

	return false;
}

static int find_option(const struct vendor_ops *ops, const char *s, size_t n)
{
	for (int i = 0; i < VENDOR_OPTIONS_MAX && ops->optionv[i].name; i++) {
		if (strlen(ops->optionv[i].name) == n &&
		    !memcmp(ops->optionv[i].name, s, n))
			return i;
	}

	return -1;
}

static int list_options(const struct vendor_ops *ops, char *why)
{
	size_t n = (size_t)snprintf(why, VENDOR_ERROR_MAX,
				    "no such option; there is:");

	for (int i = 0; i < VENDOR_OPTIONS_MAX && ops->optionv[i].name; i++)
		n += (size_t)snprintf(why + n, VENDOR_ERROR_MAX - n, " %s",
				      ops->optionv[i].name);
	if (!ops->optionv[0].name)
		str_copy(why, VENDOR_ERROR_MAX, "there are no options");

	return EINVAL;
}

/** One "name=value" */
static int parse_option(char *optionv[], const struct vendor_ops *ops,
			const char *s, size_t n, char *why)
{
	size_t name = (size_t)((char *)memchr(s, '=', n) - s);
	int i = memchr(s, '=', n) ? find_option(ops, s, name) : -1;
	char *value;

	if (i < 0)
		return list_options(ops, why);

	value = mem_zalloc(n - name, NULL);
	if (!value)
		return ENOMEM;
	mem_deref(optionv[i]); /* the last one counts */
	optionv[i] = value;
	if (!decode(value, s + name + 1, n - name - 1)) {
		str_copy(why, VENDOR_ERROR_MAX, "its query is damaged");
		return EINVAL;
	}

	return is_valid(&ops->optionv[i], value, why) ? 0 : EINVAL;
}

static int parse_query(char *optionv[], const struct vendor_ops *ops,
		       const char *q, char *why)
{
	int err = 0;

	while (*q && !err) {
		size_t n = strcspn(q, "&");

		if (n)
			err = parse_option(optionv, ops, q, n, why);
		q += n + (q[n] == '&');
	}
	for (size_t i = 0; i < VENDOR_OPTIONS_MAX && !err; i++)
		if (!optionv[i] && ops->optionv[i].def)
			err = str_dup(&optionv[i], ops->optionv[i].def);

	return err;
}

/** What stands behind `name:`, put into the vendor's own address */
static int own_base(char **basep, const struct vendor_ops *ops, const char *s,
		    size_t n, char *why)
{
	const char *star = ops->base ? strchr(ops->base, '*') : NULL;
	char word[64];

	str_copy(why, VENDOR_ERROR_MAX, "an address must be given: +https://");
	if (!ops->base)
		return EINVAL;
	if (star) {
		str_copy(why, VENDOR_ERROR_MAX,
			 "a region is given behind the colon");
		(void)snprintf(word, sizeof(word), "%.*s", (int)n, s);
		if (!n || n >= sizeof(word) || !is_word(word))
			return EINVAL;
		return str_printf(basep, "%.*s%s%s", (int)(star - ops->base),
				  ops->base, word, star + 1);
	}
	str_copy(why, VENDOR_ERROR_MAX, "nothing stands behind the colon");

	return n ? EINVAL : str_dup(basep, ops->base);
}

static int parse_base(char **basep, const struct vendor_ops *ops,
		      const char *url, char *why)
{
	size_t scheme = strcspn(url, ":"), n;
	const char *plus = memchr(url, '+', scheme);

	n = strcspn(url, "?#");
	if (!plus)
		return own_base(basep, ops, url + scheme + 1, n - scheme - 1,
				why);

	str_copy(why, VENDOR_ERROR_MAX, "no host in its address");
	++plus;
	n -= (size_t)(plus - url);
	while (n && plus[n - 1] == '/')
		--n;
	if (n <= strcspn(plus, ":") + 3)
		return EINVAL;

	return str_ndup(basep, plus, n);
}

int vendor_url_parse(char **basep, char *optionv[VENDOR_OPTIONS_MAX],
		     const struct vendor_ops *ops, const char *url, char *why)
{
	char *v[VENDOR_OPTIONS_MAX] = {NULL};
	const char *q = strchr(url, '?');
	char *base = NULL;
	int err;

	why[0] = '\0';
	if (strchr(url, '#')) {
		str_copy(why, VENDOR_ERROR_MAX, "a fragment means nothing");
		return EINVAL;
	}

	err = parse_base(&base, ops, url, why);
	if (!err)
		err = parse_query(v, ops, q ? q + 1 : "", why);
	for (size_t i = 0; i < VENDOR_OPTIONS_MAX; i++) {
		if (err)
			mem_deref(v[i]);
		else
			optionv[i] = v[i];
	}
	if (err)
		mem_deref(base);
	else
		*basep = base;

	return err;
}

/**
 * @file conf.c  Settings are read, and refused
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "conf_priv.h"

enum { ENV_FILE_MAX = 1 << 20 };

static bool is_string(const struct conf_item *it)
{
	return it->type == CONF_STR || it->type == CONF_SECRET ||
	       it->type == CONF_URL;
}

static void destructor(void *arg)
{
	struct conf *c = arg;

	for (size_t i = 0; i < conf_itemc; i++) {
		char **sp;

		if (!is_string(&conf_itemv[i]))
			continue;

		sp = conf_string(c, &conf_itemv[i]);
		*sp = str_wipe(*sp);
	}
}

static const struct conf_item *find(const char *envname)
{
	char name[CONF_NAME_MAX];

	for (size_t i = 0; i < conf_itemc; i++) {
		conf_env_name(name, &conf_itemv[i]);
		if (!strcmp(name, envname) ||
		    str_eq(conf_itemv[i].alias, envname))
			return &conf_itemv[i];
	}

	return NULL;
}

/* ------------------------------------------------------- one value */

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *p = choices; *p;) {
		size_t m = strcspn(p, " ");

		if (m == n && !memcmp(p, value, n))
			return true;
		p += m;
		p += strspn(p, " ");
	}

	return false;
}

static bool is_url(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return !*s || (n && s[n] == ':' && !strpbrk(s, " \t\r\n\"<>"));
}

/* As from `docker run --env-file`, which does not take them away */
static bool is_quoted(const char *s)
{
	size_t n = strlen(s);

	return n > 1 && (s[0] == '"' || s[0] == '\'') && s[n - 1] == s[0];
}

static int set_string(struct conf *c, const struct conf_item *it,
		      const char *value, char *why)
{
	char **sp = conf_string(c, it);
	char *copy;

	if (is_quoted(value)) {
		str_copy(why, CONF_WHY_MAX,
			 "stands in quotes, and here they are part of it");
		return EINVAL;
	}
	if (it->choices && !is_choice(it->choices, value)) {
		(void)snprintf(why, CONF_WHY_MAX, "is one of: %s",
			       it->choices);
		return EINVAL;
	}
	if (it->type == CONF_URL && !is_url(value)) {
		str_copy(why, CONF_WHY_MAX, "is a URL, scheme://host…");
		return EINVAL;
	}
	if (!utf8_is_valid(value, strlen(value))) {
		str_copy(why, CONF_WHY_MAX, "is not UTF-8");
		return EINVAL;
	}

	if (str_dup(&copy, value))
		return ENOMEM;

	(void)str_wipe(*sp);
	*sp = copy;

	return 0;
}

static int set_u32(struct conf *c, const struct conf_item *it,
		   const char *value, char *why)
{
	uint32_t *u = conf_field(c, it);
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || errno ||
	    v < it->min || v > it->max) {
		(void)snprintf(why, CONF_WHY_MAX,
			       "is a whole number from %u to %u%s%s", it->min,
			       it->max, it->unit ? " " : "",
			       it->unit ? it->unit : "");
		return EINVAL;
	}

	*u = (uint32_t)v;
	return 0;
}

static int set_bool(struct conf *c, const struct conf_item *it,
		    const char *value, char *why)
{
	bool *b = conf_field(c, it);

	if (is_choice("true yes on 1", value)) {
		*b = true;
	} else if (is_choice("false no off 0", value)) {
		*b = false;
	} else {
		str_copy(why, CONF_WHY_MAX, "is true or false");
		return EINVAL;
	}

	return 0;
}

static int set_item(struct conf *c, const struct conf_item *it,
		    const char *value, char *why)
{
	switch (it->type) {
	case CONF_U32:
		return set_u32(c, it, value, why);
	case CONF_BOOL:
		return set_bool(c, it, value, why);
	default:
		return set_string(c, it, value, why);
	}
}

/* --------------------------------------------------------- loading */

struct load {
	struct conf *conf;
	const char *file;
	char *errbuf;
};

static int set_named(struct load *ld, const struct conf_item *it,
		     const char *value, const char *where)
{
	char why[CONF_WHY_MAX], name[CONF_NAME_MAX];
	bool secret = it->type == CONF_SECRET || it->type == CONF_URL;
	int err = set_item(ld->conf, it, value, why);

	if (err == EINVAL) {
		conf_env_name(name, it);
		(void)snprintf(ld->errbuf, CONF_ERR_MAX,
			       "%.120s: %s %s%s%.80s%s", where, name, why,
			       secret ? "" : ", not \"", secret ? "" : value,
			       secret ? "" : "\"");
	}

	return err;
}

/* Variables that are not ours belong to somebody else: skipped */
static int file_var_handler(const char *name, const char *value, unsigned line,
			    void *arg)
{
	struct load *ld = arg;
	const struct conf_item *it = find(name);
	char where[300];

	(void)snprintf(where, sizeof(where), "%s:%u", ld->file, line);

	return it && *value ? set_named(ld, it, value, where) : 0;
}

static int read_file(char **textp, size_t *lenp, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	ssize_t n = 0;
	int err = 0;

	if (fd < 0)
		return errno;

	text = mem_zalloc(ENV_FILE_MAX, NULL);
	if (!text) {
		err = ENOMEM;
		goto out;
	}

	n = read(fd, text, ENV_FILE_MAX);
	if (n < 0)
		err = errno;
	else if (n == ENV_FILE_MAX)
		err = EFBIG;

out:
	close(fd);
	if (err) {
		mem_deref(text);
	} else {
		*textp = text;
		*lenp = (size_t)n;
	}

	return err;
}

static int load_file(struct load *ld, const char *dir, const char *name)
{
	char path[256];
	char *text = NULL;
	unsigned badline = 0;
	size_t len = 0;
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = read_file(&text, &len, path);
	if (err == ENOENT)
		return 0;
	if (err) {
		(void)snprintf(ld->errbuf, CONF_ERR_MAX, "%s: %s", path,
			       strerror(err));
		return err == ENOMEM ? err : EINVAL;
	}

	ld->file = path;
	err = conf_parse_env(text, len, file_var_handler, ld, &badline);
	if (err == EBADMSG) {
		(void)snprintf(ld->errbuf, CONF_ERR_MAX,
			       "%s:%u: this is not NAME=value", path, badline);
		err = EINVAL;
	}

	mem_wipe(text, len);
	mem_deref(text);

	return err;
}

static const char *process_getenv(const char *name, void *arg)
{
	(void)arg;
	return getenv(name);
}

/* gettext uses the same variable for a list of locales ("en_US:en", "C"),
 * which desktops set for every program: not meant for us */
static bool is_gettext(const char *name, const char *value)
{
	return !strcmp(name, "LANGUAGE") &&
	       (strpbrk(value, ":.") || !strcmp(value, "C") ||
		!strcmp(value, "POSIX"));
}

static int load_environment(struct load *ld, conf_getenv_h *getenvh, void *arg)
{
	int err = 0;

	for (size_t i = 0; i < conf_itemc && !err; i++) {
		char name[CONF_NAME_MAX];
		const char *value;

		conf_env_name(name, &conf_itemv[i]);
		value = getenvh(name, arg);
		if (!str_isset(value) && conf_itemv[i].alias)
			value = getenvh(conf_itemv[i].alias, arg);
		/* set but empty is as good as unset: compose files do that */
		if (str_isset(value) && !is_gettext(name, value))
			err = set_named(ld, &conf_itemv[i], value,
					"environment");
	}

	return err;
}

static int load_defaults(struct conf *c)
{
	char why[CONF_WHY_MAX];
	int err = 0;

	for (size_t i = 0; i < conf_itemc && !err; i++)
		err = set_item(c, &conf_itemv[i], conf_itemv[i].def, why);

	return err;
}

int conf_load(struct conf **cp, const char *dir, conf_getenv_h *getenvh,
	      void *arg, char *errbuf)
{
	struct conf *c = mem_zalloc(sizeof(*c), destructor);
	struct load ld = {.conf = c, .errbuf = errbuf};
	int err;

	str_copy(errbuf, CONF_ERR_MAX, strerror(ENOMEM));
	if (!c)
		return ENOMEM;

	err = load_defaults(c);
	if (!err && dir)
		err = load_file(&ld, dir, ".env");
	if (!err && dir)
		err = load_file(&ld, dir, ".env.local");
	if (!err)
		err = load_environment(&ld, getenvh ? getenvh : process_getenv,
				       arg);
	if (!err)
		err = conf_derive(c, errbuf);

	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

/**
 * @file conf_env.c  The text of `.env` files
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <convod/conf.h>
#include <convod/mem.h>
#include <convod/str.h>

struct cursor {
	const char *p;
	const char *end;
};

static bool at_end(const struct cursor *c)
{
	return c->p == c->end || *c->p == '\n';
}

static void skip_blanks(struct cursor *c)
{
	while (!at_end(c) && isspace((unsigned char)*c->p))
		++c->p;
}

static size_t name_len(const struct cursor *c)
{
	size_t n = 0, max = (size_t)(c->end - c->p);

	while (n < max && (isalnum((unsigned char)c->p[n]) || c->p[n] == '_'))
		++n;

	return n && !isdigit((unsigned char)c->p[0]) ? n : 0;
}

static char unescape(char c)
{
	switch (c) {
	case 'n':
		return '\n';
	case 't':
		return '\t';
	case 'r':
		return '\r';
	default:
		return c;
	}
}

/* A quoted value may span lines, as in the shell */
static int quoted_value(struct cursor *c, char *dst, unsigned *line)
{
	char quote = *c->p++;

	for (; c->p < c->end && *c->p != quote; c->p++) {
		if (!*c->p)
			return EBADMSG;
		if (*c->p == '\n')
			++*line;

		if (*c->p == '\\' && quote == '"' && c->p + 1 < c->end)
			*dst++ = unescape(*++c->p);
		else
			*dst++ = *c->p;
	}

	if (c->p == c->end)
		return EBADMSG;

	++c->p;
	*dst = '\0';
	skip_blanks(c);

	return at_end(c) || *c->p == '#' ? 0 : EBADMSG;
}

/* A bare value ends at " #" or the end of the line */
static int bare_value(struct cursor *c, char *dst)
{
	char *start = dst;

	while (!at_end(c)) {
		if (*c->p == '#' &&
		    (dst == start || isspace((unsigned char)dst[-1])))
			break;
		if (!*c->p)
			return EBADMSG;
		*dst++ = *c->p++;
	}

	while (dst > start && isspace((unsigned char)dst[-1]))
		--dst;
	*dst = '\0';

	return 0;
}

static int parse_line(struct cursor *c, unsigned *line, conf_var_h *h,
		      void *arg)
{
	unsigned first = *line;
	char *name = NULL, *value = NULL;
	size_t n;
	int err;

	skip_blanks(c);
	if (at_end(c) || *c->p == '#')
		return 0;

	if (c->end - c->p > 7 && !memcmp(c->p, "export", 6) &&
	    isblank((unsigned char)c->p[6])) {
		c->p += 7;
		skip_blanks(c);
	}

	n = name_len(c);
	if (!n)
		return EBADMSG;

	err = str_ndup(&name, c->p, n);
	c->p += n;
	skip_blanks(c);
	if (!err && (at_end(c) || *c->p++ != '='))
		err = EBADMSG;
	if (err)
		goto out;

	skip_blanks(c);
	value = mem_zalloc((size_t)(c->end - c->p) + 1, NULL);
	if (!value)
		err = ENOMEM;
	else if (c->p < c->end && (*c->p == '"' || *c->p == '\''))
		err = quoted_value(c, value, line);
	else
		err = bare_value(c, value);

	if (!err)
		err = h(name, value, first, arg);

out:
	mem_deref(name);
	(void)str_wipe(value);

	return err;
}

int conf_parse_env(const char *text, size_t len, conf_var_h *h, void *arg,
		   unsigned *badline)
{
	struct cursor c = {.p = text, .end = text + len};
	unsigned line = 1;
	int err = 0;

	if (len >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
		c.p += 3;

	for (; c.p < c.end && !err; line++) {
		*badline = line;
		err = parse_line(&c, &line, h, arg);
		while (!at_end(&c))
			++c.p;
		if (c.p < c.end)
			++c.p;
	}

	return err;
}

/**
 * @file conf_print.c  Settings are shown: log, --help, manuals
 */
#include <string.h>
#include <convod/log.h>
#include <convod/str.h>
#include "conf_priv.h"

enum {
	HELP_COLUMNS = 79,
	HELP_INDENT = 26, /* longest name and what stands around it */
	HELP_TEXT_MAX = 512,
};

static void print_value(char *dst, size_t size, const struct conf *c,
			const struct conf_item *it)
{
	switch (it->type) {
	case CONF_U32:
		(void)snprintf(dst, size, "%u",
			       *(uint32_t *)conf_field(c, it));
		break;
	case CONF_BOOL:
		str_copy(dst, size,
			 *(bool *)conf_field(c, it) ? "true" : "false");
		break;
	case CONF_SECRET:
		str_copy(dst, size, **conf_string(c, it) ? "***" : "");
		break;
	case CONF_URL:
		(void)url_mask(dst, size, *conf_string(c, it));
		break;
	default:
		str_copy(dst, size, *conf_string(c, it));
		break;
	}
}

void conf_log(const struct conf *c)
{
	char line[LOG_LINE_MAX] = "";
	size_t n = 0;

	for (size_t i = 0; i < conf_itemc; i++) {
		char value[256], name[CONF_NAME_MAX];
		int m;

		print_value(value, sizeof(value), c, &conf_itemv[i]);
		if (!strcmp(value, conf_itemv[i].def))
			continue;

		conf_env_name(name, &conf_itemv[i]);
		m = snprintf(line + n, sizeof(line) - n, " %s=\"%s\"", name,
			     LOG_STR(value));
		n += MIN((size_t)m, sizeof(line) - 1 - n);
	}

	log_info(NULL, "settings", "defaults=\"%s\"%s", n ? "but for" : "all",
		 line);
}

/* A blank and the unit, or nothing */
static const char *unit_sep(const struct conf_item *it)
{
	return it->unit && *it->def ? " " : "";
}

static const char *unit(const struct conf_item *it)
{
	return it->unit && *it->def ? it->unit : "";
}

static const char *default_of(const struct conf_item *it)
{
	return *it->def ? it->def : "unset";
}

/* What it means, and what it may be */
static void help_of(char *dst, const struct conf_item *it)
{
	(void)snprintf(dst, HELP_TEXT_MAX, "%s%s%s%s", it->help,
		       it->choices ? " (" : "", it->choices ? it->choices : "",
		       it->choices ? ")" : "");
}

/* The heading of a group, before its first setting */
static void print_heading(FILE *f, const struct conf_item *it, const char *fmt)
{
	if (it == conf_itemv || strcmp(it[-1].group, it->group))
		fprintf(f, fmt, it->group);
}

/* Words, in lines that are folded and indented */
static void print_folded(FILE *f, const char *s, int indent)
{
	int column = indent;

	while (*s) {
		int n = (int)strcspn(s, " ");

		if (column > indent && column + 1 + n >= HELP_COLUMNS) {
			fprintf(f, "\n%*s", indent, "");
			column = indent;
		}
		column += fprintf(f, "%s%.*s", column > indent ? " " : "", n,
				  s);
		s += n;
		s += strspn(s, " ");
	}
	fputc('\n', f);
}

void conf_print_help(FILE *f)
{
	char name[CONF_NAME_MAX], help[HELP_TEXT_MAX];
	char text[HELP_TEXT_MAX + 128];

	for (size_t i = 0; i < conf_itemc; i++) {
		const struct conf_item *it = &conf_itemv[i];

		print_heading(f, it, "\n%s\n");
		conf_env_name(name, it);
		help_of(help, it);
		(void)snprintf(text, sizeof(text), "%s [%s%s%s]", help,
			       default_of(it), unit_sep(it), unit(it));
		fprintf(f, "  %-*s ", HELP_INDENT - 3, name);
		print_folded(f, text, HELP_INDENT);
	}
}

void conf_print_sample(FILE *f)
{
	char name[CONF_NAME_MAX], help[HELP_TEXT_MAX];

	for (size_t i = 0; i < conf_itemc; i++) {
		const struct conf_item *it = &conf_itemv[i];

		print_heading(f, it, "\n### %s\n\n");
		conf_env_name(name, it);
		help_of(help, it);
		fprintf(f, "# %s\n#%s=%s\n", help, name, it->def);
	}
}

void conf_print_markdown(FILE *f)
{
	char name[CONF_NAME_MAX], help[HELP_TEXT_MAX];

	for (size_t i = 0; i < conf_itemc; i++) {
		const struct conf_item *it = &conf_itemv[i];

		print_heading(f, it,
			      "\n### %s\n\n"
			      "| variable | default | meaning |\n"
			      "|---|---|---|\n");
		conf_env_name(name, it);
		fprintf(f, "| `%s`", name);
		if (it->alias)
			fprintf(f, ", `%s`", it->alias);
		help_of(help, it);
		fprintf(f, " | %s%s%s | %s |\n", it->def, unit_sep(it),
			unit(it), help);
	}
}

void conf_print_man(FILE *f)
{
	char name[CONF_NAME_MAX], help[HELP_TEXT_MAX];

	for (size_t i = 0; i < conf_itemc; i++) {
		const struct conf_item *it = &conf_itemv[i];

		print_heading(f, it, ".SS %s\n");
		conf_env_name(name, it);
		help_of(help, it);
		fprintf(f, ".TP\n.B %s%s%s\n%s. Default: %s%s%s.\n", name,
			it->alias ? ", " : "", it->alias ? it->alias : "",
			help, default_of(it), unit_sep(it), unit(it));
	}
}

/**
 * @file conf_priv.h  The table of settings, between the files about it
 */
#ifndef CONVOD_CONF_PRIV_H
#define CONVOD_CONF_PRIV_H

#include <stddef.h>
#include <convod/conf.h>

enum { CONF_NAME_MAX = 64, CONF_WHY_MAX = 160 };

enum conf_type { CONF_STR, CONF_SECRET, CONF_URL, CONF_U32, CONF_BOOL };

/** One setting */
struct conf_item {
	const char *group; /* heading it is shown under */
	const char *name;  /* dotted, lower case */
	const char *alias; /* older name in the environment, or NULL */
	enum conf_type type;
	size_t offset; /* in struct conf */
	const char *def;
	uint32_t min, max;   /* CONF_U32 */
	const char *choices; /* CONF_STR: blank separated, or NULL */
	const char *unit;
	const char *help;
};

extern const struct conf_item conf_itemv[];
extern const size_t conf_itemc;

/** turn.join_ms is TURN_JOIN_MS; dst has CONF_NAME_MAX bytes */
void conf_env_name(char *dst, const struct conf_item *it);

/** The value of a setting: a char *, uint32_t or bool, as its type says */
void *conf_field(const struct conf *c, const struct conf_item *it);

/** The same, of CONF_STR, CONF_SECRET and CONF_URL */
char **conf_string(const struct conf *c, const struct conf_item *it);

/**
 * Check settings that are right one by one against one another, and set those
 * that follow from others
 *
 * @param errbuf CONF_ERR_MAX bytes; says what is wrong
 *
 * @return 0; EINVAL; ENOMEM
 */
CV_NODISCARD int conf_derive(struct conf *c, char *errbuf);

#endif

/**
 * @file manners.h  How the bot behaves in a conversation: from the settings
 */
#ifndef CONVOD_MANNERS_H
#define CONVOD_MANNERS_H

#include <convod/call.h>
#include <convod/conf.h>

CV_BEGIN_DECLS

/** What is the same for all calls; read-only, shared by all workers */
struct manners {
	struct call_param prm; /* id, language, … are the call's own */
	struct call_key keyv[CALL_DTMF_MAP_MAX];
	char *map;    /* what the keys' texts point into */
	char *prompt; /* what a language model is told to be, or NULL */
};

/**
 * @param conf   Outlives it
 * @param errbuf CONF_ERR_MAX bytes; on any error but ENOMEM says what is
 *               wrong
 */
CV_NODISCARD int manners_alloc(struct manners **mp, const struct conf *conf,
			       char *errbuf);

/** The file of `greeting=file:NAME`, or "" */
const char *manners_greeting_file(const struct conf *conf);

CV_END_DECLS

#endif

/**
 * @file openai.h  Chat completions: what is the same for all sessions
 *
 * Private to src/dialog.
 */
#ifndef CONVOD_OPENAI_H
#define CONVOD_OPENAI_H

#include <time.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include "history.h"

struct openai {
	struct dialog d; /* first */
	const struct net *net;
	char *url;  /* of chat completions */
	char *auth; /* the header, secret; NULL: none */
	char *model;
	char *prompt; /* NULL: the built-in one */
	char *opening;
	char *language;
	json_t *options; /* further members of each request */
	json_t *tools;
	bool no_tools;       /* the server knows none */
	uint32_t first_ms;   /* limit for the first token */
	uint32_t timeout_ms; /* for the whole answer */
};

/**
 * Set up from `openai+http(s)://host[/base][?option=number…]`
 *
 * @return 0; EINVAL; ENOMEM
 */
CV_NODISCARD int openai_alloc(struct dialog **dp,
			      const struct dialog_param *prm,
			      const struct net *net);

/**
 * Print the system's message for a call
 *
 * {{caller}}, {{called}}, {{call_id}}, {{language}}, {{now}} and the carrier's
 * parameters by their names are filled in; another name leaves nothing. It
 * stays the same through the call: a server need not read it anew each turn.
 *
 * @param sp  Set to a new string; release with mem_deref()
 * @param now Wall clock; {{now}} is the local time
 */
CV_NODISCARD int openai_prompt_print(char **sp, const struct openai *o,
				     const struct dialog_call *call,
				     time_t now);

/** What the built-in one has behind it where tools are offered */
extern const char openai_prompt_tools[];

/**
 * Print the body of a request
 *
 * @param bodyp Set to a new string; release with mem_deref()
 */
CV_NODISCARD int openai_request_print(char **bodyp, const struct openai *o,
				      const struct history *h,
				      const char *prompt, bool tools);

/**
 * What the model is told of a turn, as the caller's words
 *
 * @param textp Set to a new string; release with mem_deref()
 */
CV_NODISCARD int openai_turn_print(char **textp, const struct openai *o,
				   const struct dialog_turn *t);

#endif

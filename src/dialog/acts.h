/**
 * @file acts.h  The vocabulary of acts, as JSON
 *
 * What a webhook answers, and what Rasa's custom actions hold:
 *
 *	"text"                          say it
 *	{"say": "text", "hangup": true} acts by their names, in this order
 *	{"type": "say", "text": "…", "voice": "…"}
 *	{"acts": [act, act, …]}, [act, act, …]
 *
 * docs/webhook.md has all of it. Pure; private to src/dialog.
 */
#ifndef CONVOD_ACTS_H
#define CONVOD_ACTS_H

#include <convod/dialog.h>

enum {
	ACTS_DEPTH_MAX = 4,
	ACTS_COLLECT_MAX_MS = 60000,
	ACTS_SILENCE_MAX_MS = 600000,
};

/**
 * An act, or what could not be taken for one
 *
 * @param act NULL: odd says what is wrong
 *
 * @return false: no more is wanted, nothing is touched after that
 */
typedef bool(acts_h)(const struct dialog_act *act, const char *odd, void *arg);

struct acts_param {
	const char *base;   /* URLs of PLAY are relative to it */
	const char *origin; /* of PLAY */
	acts_h *h;
	void *arg;
};

/**
 * Hand over the acts of a reply
 *
 * @return 0; ECANCELED: the handler wanted no more; ENOMEM
 */
CV_NODISCARD int acts_parse(const json_t *reply, const struct acts_param *prm);

#endif

/**
 * @file post.h  Dialog managers whose turn is one POST, answered with JSON
 *
 * The answer is one JSON value, or several that come one by one; each is
 * handed over as soon as it is there. Private to src/dialog.
 */
#ifndef CONVOD_POST_H
#define CONVOD_POST_H

#include <convod/http.h>
#include "acts.h"
#include "session.h"
#include "values.h"

enum {
	POST_ANSWER_MAX_BYTES = 1 << 20,
	POST_ACTS_MAX = 256, /* twice as many as can wait to be said */
	POST_ERROR_SIZE = 512,
	POST_TIMEOUT_MS = 15000, /* if none is set */
};

/** Whom turns are posted to; first member of a backend's own struct */
struct post_server {
	struct dialog d; /* first */
	const struct net *net;
	char *url;  /* of turns, may hold secrets */
	char *base; /* of links in answers, likewise */
	char origin[HTTP_ORIGIN_MAX];
	char *auth;          /* header, secret; NULL: none */
	uint32_t timeout_ms; /* without a byte; twice that for the whole */
};

/** A call's conversation; first member of a backend's own struct */
struct post {
	struct session s; /* first */
	struct http_req *req;
	struct values values;
	char error[POST_ERROR_SIZE]; /* how the body of an error begins */
	json_t *about;               /* the call, see session_about() */
	unsigned actc;               /* of this answer, odd ones too */
	/** A value of the answer; ECANCELED: no more is wanted, other errors
	 * end the turn */
	int (*valueh)(struct post *p, const json_t *value);
};

/**
 * Set up from `name+http(s)://host[/path][?query]`; ps is zeroed. Its owner's
 * destructor calls post_server_close(), whether this worked or not.
 *
 * @param path Put between path and query for turns; NULL: they go to the URL
 *
 * @return 0; EINVAL; ENOMEM
 */
CV_NODISCARD int post_server_init(struct post_server *ps,
				  const struct dialog_backend *be,
				  const struct dialog_param *prm,
				  const struct net *net, const char *path);
void post_server_close(struct post_server *ps);

/** The rest of open(), with valueh set; p is zeroed. Its owner's destructor
 * calls post_close(), whether this worked or not. */
CV_NODISCARD int post_open(struct post *p, struct dialog *d,
			   const struct dialog_call *call,
			   const struct dialog_handlers *h, void *arg);
void post_close(struct post *p);

/** Begin a turn, whose body this is; EBUSY while one is in flight */
CV_NODISCARD int post_turn(struct post *p, const struct dialog_turn *t,
			   const json_t *body);

/** Forget the turn in flight, and its connection; for the backend's cancel */
void post_cancel(struct dialog_session *ds);

/** How the acts of an answer are parsed: given to the user, those that mean
 * nothing counted and logged */
struct acts_param post_acts(struct post *p);

#endif

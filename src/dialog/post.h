/**
 * @file post.h  Sessions whose turn is one POST, answered with JSON
 *
 * The answer is one JSON value, or several that come one by one; each is
 * handed over as soon as it is there. Private to src/dialog.
 */
#ifndef CONVOD_POST_H
#define CONVOD_POST_H

#include <convod/http.h>
#include "session.h"
#include "values.h"

enum {
	POST_ANSWER_MAX_BYTES = 1 << 20,
	POST_ERROR_SIZE = 512,
	POST_TIMEOUT_MS = 15000, /* if none is set */
};

struct post {
	struct session s; /* first */
	struct http_req *req;
	struct values values;
	char error[POST_ERROR_SIZE]; /* how the body of an error begins */
	/** A value of the answer; ECANCELED: no more is wanted, other errors
	 * end the turn */
	int (*valueh)(struct post *p, const json_t *value);
};

/** What is asked of whom */
struct post_param {
	const struct net *net;
	const char *url;
	const char *auth; /* header, or NULL */
	const json_t *body;
	uint32_t timeout_ms; /* without a byte; twice that for the whole */
};

/** Begin a turn; EBUSY while one is in flight */
CV_NODISCARD int post_turn(struct post *p, const struct post_param *prm);

/** Forget the turn in flight, and its connection */
void post_cancel(struct post *p);

/** For the destructor of the owner */
void post_close(struct post *p);

/** Count and log a part of the answer that means nothing to us */
void post_ignore(struct post *p, const char *what);

#endif

/**
 * @file lws_loop.h  A libwebsockets context on a loop of ours
 *
 * Thread: the loop's, or any other while the loop does not run.
 */
#ifndef CONVOD_LWS_LOOP_H
#define CONVOD_LWS_LOOP_H

#include <libwebsockets.h>
#include <convod/loop.h>

struct lws_loop {
	struct lws_context *context; /* NULL: none, or destroyed */
	struct loop *loop;
	int pipe_fd; /* of the context, -1: not known */
};

/**
 * Create a context
 *
 * @param info Options need LWS_SERVER_OPTION_LIBUV; foreign_loops and pcontext
 *             are set here
 *
 * @return 0; EIO: libwebsockets says no more
 */
CV_NODISCARD int lws_loop_create(struct lws_loop *ll, struct loop *l,
				 struct lws_context_creation_info *info);

/** Destroy the context; the loop turns meanwhile */
void lws_loop_destroy(struct lws_loop *ll);

#endif

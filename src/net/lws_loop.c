/**
 * @file lws_loop.c  A libwebsockets context on a loop of ours
 *
 * A context has a pipe that wakes its loop. When the context ends,
 * libwebsockets closes the pipe's descriptor at once, and closes the same
 * number again a turn later, when libuv has let go of the handle (seen in
 * 4.1.6, and read in 4.3). Whatever has been opened in between is closed
 * under its owner, and libuv ends the process when it cannot watch it. So the
 * number is kept taken until then. What is left are the moments before we
 * take it, in which another thread may open something; see worker.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>
#include "lws_loop.h"

/* Handles are closed in two or three turns; this also ends if one is not */
enum { CLOSE_TURNS = 100 };

struct polls {
	unsigned n;
	uv_os_fd_t last_fd;
};

/* libuv walks in the order of creation */
static void poll_walker(uv_handle_t *handle, void *arg)
{
	struct polls *p = arg;

	if (uv_handle_get_type(handle) != UV_POLL || uv_is_closing(handle))
		return;
	if (!uv_fileno(handle, &p->last_fd))
		++p->n;
}

static struct polls count_polls(struct loop *l)
{
	struct polls p = {0, -1};

	uv_walk(loop_uv(l), poll_walker, &p);

	return p;
}

int lws_loop_create(struct lws_loop *ll, struct loop *l,
		    struct lws_context_creation_info *info)
{
	void *loopv[] = {loop_uv(l)};
	struct polls before = count_polls(l), after;

	ll->loop = l;
	info->foreign_loops = loopv;
	/* cleared when the context is really gone */
	info->pcontext = &ll->context;
	ll->context = lws_create_context(info);
	info->foreign_loops = NULL;
	info->pcontext = NULL;
	if (!ll->context)
		return EIO;

	after = count_polls(l);
	ll->pipe_fd = after.n == before.n + 1 ? after.last_fd : -1;

	return 0;
}

/** Take the number of a closed descriptor; -1: somebody has it */
static int take_number(int fd)
{
	int held, copy;

	if (fd < 0 || fcntl(fd, F_GETFD) >= 0)
		return -1;

	held = memfd_create("taken", MFD_CLOEXEC);
	if (held == fd)
		return fcntl(fd, F_DUPFD_CLOEXEC, 0);
	/* not dup3(): another thread may have got the number meanwhile */
	copy = held < 0 ? -1 : fcntl(held, F_DUPFD_CLOEXEC, fd);
	if (copy >= 0 && copy != fd)
		(void)close(copy);

	return held;
}

/** Give the number back, unless libwebsockets did so, as it should not */
static void give_back(int fd, int held)
{
	struct stat a, b;

	if (held < 0)
		return;
	if (!fstat(fd, &a) && !fstat(held, &b) && a.st_dev == b.st_dev &&
	    a.st_ino == b.st_ino)
		(void)close(fd);
	(void)close(held);
}

void lws_loop_destroy(struct lws_loop *ll)
{
	int held;

	if (!ll->context)
		return;

	/* With a loop of ours it goes in steps: the sockets' handles close in
	 * the loop's turns, then the context's own, then the second call
	 * frees it. */
	lws_context_destroy(ll->context);
	held = take_number(ll->pipe_fd);
	for (int i = 0; i < CLOSE_TURNS && ll->context; i++)
		loop_turn(ll->loop, false);
	if (ll->context)
		lws_context_destroy(ll->context);
	give_back(ll->pipe_fd, held);
}

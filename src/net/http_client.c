/**
 * @file http_client.c  libcurl's multi interface on libuv
 *
 * Sockets, the timer and the end-of-turn flush of a worker's HTTP client; what
 * becomes of each transfer is in http.c.
 *
 * libcurl may not be entered again from inside its callbacks. So nothing of
 * ours that a handler may call does so: new requests and the end of a pause
 * wait for the end-of-turn flush, and a transfer that is dropped from inside
 * is put on a list of dead ones until libcurl has returned.
 *
 * Owner graph: the client owns libcurl's multi handle, and refers weakly to
 * its transfers, which keep it alive.
 */
#include <errno.h>
#include <netinet/in.h>
#include <uv.h>
#include <convod/addr.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "curl_init.h"
#include "http_priv.h"

/* ---------------------------------------------------- sockets, by port */

enum { PORT_NONE = -1, PORT_UNKNOWN = 0 };

/* Without memory for that it is not found, that is all */
static void remember(struct http_client *c, int fd)
{
	int *v = c->portv;

	if ((size_t)fd >= c->portc) {
		size_t n = MAX((size_t)fd + 1, 2 * c->portc);

		v = mem_raw_realloc(v, n * sizeof(*v));
		if (!v)
			return;
		for (size_t i = c->portc; i < n; i++)
			v[i] = PORT_NONE;
		c->portv = v;
		c->portc = n;
	}
	v[fd] = PORT_UNKNOWN;
}

curl_socket_t http_client_open(struct http_client *c,
			       const struct curl_sockaddr *sa)
{
	int fd = socket(sa->family, sa->socktype | SOCK_CLOEXEC, sa->protocol);

	if (fd < 0)
		return CURL_SOCKET_BAD;
	remember(c, fd);

	return fd;
}

static int port_of(int fd)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u = {0};
	socklen_t n = sizeof(u);

	if (getsockname(fd, &u.sa, &n))
		return PORT_NONE;

	return ntohs(u.sa.sa_family == AF_INET6 ? u.v6.sin6_port
						: u.v4.sin_port);
}

/* One port of ours may belong to sockets that lead to different places */
static bool leads_to(int fd, const struct sockaddr *to)
{
	char peer[NET_ADDR_STR_MAX], want[NET_ADDR_STR_MAX];
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof(ss);

	if (getpeername(fd, (struct sockaddr *)&ss, &n))
		return false;

	return str_eq(
		net_addr_print(peer, sizeof(peer), (struct sockaddr *)&ss),
		net_addr_print(want, sizeof(want), to));
}

int http_client_socket(struct http_client *c, int local_port,
		       const struct sockaddr *to)
{
	for (size_t fd = 0; fd < c->portc; fd++) {
		int *port = &c->portv[fd];

		if (*port != PORT_UNKNOWN && *port != local_port)
			continue;
		/* libcurl may have closed it, and somebody opened another */
		*port = port_of((int)fd);
		if (*port == local_port && leads_to((int)fd, to))
			return (int)fd;
	}

	return -1;
}

/* ------------------------------------------------------------- sockets */

static void enter(struct http_client *c)
{
	mem_ref(c);
	++c->inside;
}

static struct xfer *find_failed(const struct http_client *c)
{
	struct le *le;

	LIST_FOREACH(&c->xferl, le)
	{
		struct xfer *x = list_ledata(le);

		if (x->fail)
			return x;
	}
	return NULL;
}

/** Back from libcurl: see what has ended, then bury the dead */
static void leave(struct http_client *c)
{
	struct xfer *x = NULL;
	CURLMsg *msg;
	int n;

	if (--c->inside == 0) {
		list_flush(&c->deadl);
		while ((msg = curl_multi_info_read(c->multi, &n))) {
			(void)curl_easy_getinfo(msg->easy_handle,
						CURLINFO_PRIVATE, (char **)&x);
			xfer_ended(x, msg->data.result);
		}
		while (c->failed) {
			x = find_failed(c);
			if (x)
				xfer_finish(x, x->fail);
			else
				c->failed = false;
		}
	}
	mem_deref(c);
}

/* When libcurl lacks memory for a socket it leaves a table of no slots behind,
 * and divides by their number at the socket's next event (7.88). It does not
 * say whose: none of the transfers may go on. */
static void fail_all(struct http_client *c)
{
	struct le *le;

	LIST_FOREACH(&c->xferl, le)
	{
		struct xfer *x = list_ledata(le);

		if (x->added)
			x->fail = ENOMEM;
		c->failed |= x->added;
	}
}

static void socket_action(struct http_client *c, curl_socket_t fd, int events)
{
	int running;

	enter(c);
	if (curl_multi_socket_action(c->multi, fd, events, &running) ==
	    CURLM_OUT_OF_MEMORY)
		fail_all(c);
	leave(c);
}

static void poll_handler(uv_poll_t *poll, int status, int events)
{
	struct http_client *c = poll->data;
	uv_os_fd_t fd;
	int bits = 0;

	if (uv_fileno((uv_handle_t *)poll, &fd))
		return;
	if (status < 0)
		bits = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		bits |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		bits |= CURL_CSELECT_OUT;

	socket_action(c, fd, bits);
}

static void poll_closed_handler(uv_handle_t *handle)
{
	mem_raw_free(handle);
}

/** Watch a descriptor for the first time */
static uv_poll_t *poll_alloc(struct http_client *c, curl_socket_t fd)
{
	uv_poll_t *poll = mem_raw_malloc(sizeof(*poll));

	if (!poll)
		return NULL;

	if (uv_poll_init(loop_uv(c->loop), poll, fd)) {
		mem_raw_free(poll);
		return NULL;
	}
	poll->data = c;
	(void)curl_multi_assign(c->multi, fd, poll);

	return poll;
}

/* An error from here would make libcurl give up the whole multi handle, so
 * only the transfer that wants the socket fails. */
static int socket_callback(CURL *easy, curl_socket_t fd, int what, void *arg,
			   void *sockp)
{
	struct http_client *c = arg;
	uv_poll_t *poll = sockp;
	struct xfer *x = NULL;
	int events = 0;

	if (what == CURL_POLL_REMOVE) {
		(void)curl_multi_assign(c->multi, fd, NULL);
		if (poll)
			uv_close((uv_handle_t *)poll, poll_closed_handler);
		return 0;
	}

	if (!poll)
		poll = poll_alloc(c, fd);
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	if (poll && !uv_poll_start(poll, events, poll_handler))
		return 0;

	(void)curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&x);
	if (x) {
		x->fail = ENOMEM;
		c->failed = true;
	}
	return 0;
}

static int timer_callback(CURLM *multi, long ms, void *arg)
{
	struct http_client *c = arg;

	(void)multi;
	if (ms < 0)
		tmr_cancel(c->tmr);
	else
		tmr_start(c->tmr, (uint64_t)ms);

	return 0;
}

static void timer_handler(void *arg)
{
	socket_action(arg, CURL_SOCKET_TIMEOUT, 0);
}

/* -------------------------------------------------------------- client */

static void flush_handler(void *arg)
{
	struct http_client *c = mem_ref(arg);
	struct list todol = {0};

	enter(c);
	/* handlers may drop any transfer, from whatever list it is in */
	while (c->xferl.head)
		list_append(&todol, c->xferl.head, c->xferl.head->data);
	while (todol.head) {
		struct xfer *x = list_ledata(todol.head);
		int err;

		list_append(&c->xferl, &x->le, x);
		err = xfer_start_or_pause(x);
		if (err) {
			x->fail = err;
			c->failed = true;
		}
	}
	leave(c);

	/* now, not when libcurl's timer of 0 ms would fire */
	socket_action(c, CURL_SOCKET_TIMEOUT, 0);
	mem_deref(c);
}

/* The others had their turn meanwhile */
static void share_handler(void *arg)
{
	struct http_client *c = arg;

	loop_flush_later(c->loop, &c->flush);
}

static void client_destructor(void *arg)
{
	struct http_client *c = arg;

	list_unlink(&c->flush.le);
	if (c->multi)
		(void)curl_multi_cleanup(c->multi);
	mem_deref(c->tmr);
	mem_deref(c->tmr_share);
	mem_raw_free(c->portv);
}

int http_client_alloc(struct http_client **cp, struct loop *l)
{
	struct http_client *c;
	CURLMcode code;
	int err;

	if (!cp || !l)
		return EINVAL;

	err = curl_init();
	if (err)
		return err;

	c = mem_zalloc(sizeof(*c), client_destructor);
	if (!c)
		return ENOMEM;

	c->loop = l;
	c->flush.h = flush_handler;
	c->flush.arg = c;
	err = tmr_alloc(&c->tmr, l, timer_handler, c);
	if (!err)
		err = tmr_alloc(&c->tmr_share, l, share_handler, c);
	if (err)
		goto out;

	c->multi = curl_multi_init();
	if (!c->multi) {
		err = ENOMEM;
		goto out;
	}
	code = curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION,
				 socket_callback);
	if (!code)
		code = curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	if (!code)
		code = curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION,
					 timer_callback);
	if (!code)
		code = curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	err = code ? ENOMEM : 0;

out:
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

void http_client_use_proxy(struct http_client *c, bool use)
{
	c->use_proxy = use;
}

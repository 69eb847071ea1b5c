/**
 * @file acceptor.c  Listens, peeks at request heads, hands connections over
 *
 *	accepted ──whole head──▶ handed to a worker (the descriptor leaves)
 *	   │ └─refused──▶ answered ──end of stream, or linger_ms──▶ closed
 *	   └─head_ms──▶ closed
 *
 * The head stays in the socket: libwebsockets reads it again. A socket with
 * half a head is always readable (SO_RCVLOWAT does not help), so it is looked
 * at again on a timer instead.
 *
 * An answer that refuses is followed by the end of our stream, and what the
 * peer still sends is read and dropped for a while: closing at once would
 * reset the connection and the peer might never see the answer.
 *
 * Owner graph: the acceptor owns its listeners and visitors (lists); both are
 * freed by libuv's close callback, as their poll handles are in them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "httpd_priv.h"

enum {
	BACKLOG = 1024,
	ACCEPT_BATCH = 64, /* in one turn, then others have theirs */
	LOOK_MS = 10,      /* at an incomplete head again */
	PAUSE_MS = 100,    /* of accepting, without a single descriptor */
};

struct listener {
	uv_poll_t poll; /* first: freed with its close callback */
	struct acceptor *acceptor;
	int fd;
	enum httpd_port port;
	uint16_t number;
	bool tls;
};

enum visitor_state { WAITING, INCOMPLETE, REFUSED };

struct visitor {
	uv_poll_t poll; /* first */
	struct le le;
	struct acceptor *acceptor;
	int fd;
	enum visitor_state state;
	enum httpd_port port;
	bool tls;
	int seen; /* bytes of the head at the last look */
	uint64_t due_ms;
	char peer[64];
};

struct acceptor {
	struct loop *loop;
	struct listener *listenerv[2]; /* by enum httpd_port */
	struct list visitorl;
	size_t visitors;
	struct tmr *tmr;    /* looks at visitors again, ends their time */
	struct tmr *resume; /* accept again after a pause */
	int spare;          /* a descriptor to turn somebody away with */
	acceptor_pick_h *pickh;
	void *arg;
	uint32_t head_ms, linger_ms;
	char buf[HTTP_HEAD_MAX + 1];
};

/* --------------------------------------------------------------- visitors */

static void closed_handler(uv_handle_t *handle)
{
	mem_deref(handle);
}

/** Forget a visitor; the descriptor stays open if somebody else has it now */
static void visitor_leave(struct visitor *v, bool close_fd)
{
	list_unlink(&v->le);
	--v->acceptor->visitors;
	/* takes the descriptor out of our epoll set at once */
	uv_close((uv_handle_t *)&v->poll, closed_handler);
	if (close_fd)
		(void)close(v->fd);
}

static void send_answer(int fd, int status, const char *method)
{
	struct http_answer answer = {.status = status};
	size_t len;
	char *p;

	if (str_printf(&answer.body, "%d %s\n", status, http_reason(status)))
		answer.body = NULL;
	p = http_answer_print(0, &len, method, &answer);
	/* a new socket takes that little at once */
	if (p)
		(void)send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)shutdown(fd, SHUT_WR);
	mem_deref(p);
	mem_deref(answer.body);
}

static void readable_handler(uv_poll_t *poll, int status, int events);

static void schedule(struct acceptor *a, uint32_t ms)
{
	if (a->tmr && !tmr_is_running(a->tmr))
		tmr_start(a->tmr, ms);
}

static void visitor_refuse(struct visitor *v, int status, const char *method)
{
	struct acceptor *a = v->acceptor;

	metrics_inc(M_HTTP_REFUSED);
	if (v->tls) { /* it would not understand */
		visitor_leave(v, true);
		return;
	}

	send_answer(v->fd, status, method);
	v->state = REFUSED;
	v->due_ms = loop_now_ms(a->loop) + a->linger_ms;
	(void)uv_poll_start(&v->poll, UV_READABLE, readable_handler);
}

static void visitor_hand_over(struct visitor *v, struct http_head *head)
{
	struct acceptor *a = v->acceptor;
	struct httpd *h;
	int fd = v->fd;

	head->port = v->port;
	head->tls = v->tls;
	str_copy(head->peer, sizeof(head->peer), v->peer);

	h = a->pickh(head, a->arg);
	if (!h) {
		visitor_refuse(v, 503, head->method);
		return;
	}

	/* it must be out of our epoll set before it is in the worker's */
	visitor_leave(v, false);
	if (httpd_adopt(h, fd, head))
		metrics_inc(M_HTTP_REFUSED);
}

/** Over TLS there is nothing to see */
static void visitor_blind(struct visitor *v)
{
	static const char raw[] = "GET / HTTP/1.1\r\n\r\n";
	struct http_head *head;

	if (http_head_decode(&head, raw, strlen(raw))) {
		visitor_leave(v, true);
		return;
	}
	head->target = "";
	head->target_exact = false;
	visitor_hand_over(v, head);
	mem_deref(head);
}

static void visitor_head(struct visitor *v, size_t len)
{
	struct http_head *head;
	int err = http_head_decode(&head, v->acceptor->buf, len);
	int status;

	if (err) {
		visitor_refuse(v, err == ENOMEM ? 503 : 400, NULL);
		return;
	}

	status = http_head_refuse(head);
	if (status)
		visitor_refuse(v, status, head->method);
	else
		visitor_hand_over(v, head);
	mem_deref(head);
}

/** Is the head there? */
static void visitor_look(struct visitor *v)
{
	struct acceptor *a = v->acceptor;
	ssize_t n = recv(v->fd, a->buf, sizeof(a->buf), MSG_PEEK);
	const char *end;

	if (n <= 0) {
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return;
		visitor_leave(v, true);
		return;
	}
	if (v->tls) {
		visitor_blind(v);
		return;
	}

	end = memmem(a->buf, n, "\r\n\r\n", 4);
	if (end && end + 4 - a->buf <= HTTP_HEAD_MAX) {
		visitor_head(v, end + 4 - a->buf);
	} else if (n > HTTP_HEAD_MAX) {
		visitor_refuse(v, 431, NULL);
	} else {
		v->seen = (int)n;
		if (v->state == WAITING) {
			v->state = INCOMPLETE;
			(void)uv_poll_stop(&v->poll);
			tmr_cancel(a->tmr);
		}
		schedule(a, LOOK_MS);
	}
}

static void visitor_discard(struct visitor *v)
{
	struct acceptor *a = v->acceptor;
	ssize_t n = recv(v->fd, a->buf, sizeof(a->buf), 0);

	if (!n || (n < 0 && errno != EAGAIN && errno != EINTR))
		visitor_leave(v, true);
}

static void readable_handler(uv_poll_t *poll, int status, int events)
{
	struct visitor *v = poll->data;

	(void)events;
	if (status)
		visitor_leave(v, true);
	else if (v->state == REFUSED)
		visitor_discard(v);
	else
		visitor_look(v);
}

/** Look only where something came: the peek would be the same */
static bool has_more(const struct visitor *v)
{
	int n = 0;
	char c;

	if (!ioctl(v->fd, FIONREAD, &n) && n > v->seen)
		return true;

	/* nothing new: is the peer gone? A peek at the first byte does not
	 * tell, so half a head and then a close waits for its time to end */
	return recv(v->fd, &c, 1, MSG_PEEK) < 0 && errno != EAGAIN;
}

static void tmr_handler(void *arg)
{
	struct acceptor *a = arg;
	uint64_t now_ms = loop_now_ms(a->loop);
	uint32_t next = MAX(LOOK_MS, MIN(a->head_ms, a->linger_ms) / 10);
	struct le *le = a->visitorl.head;

	while (le) {
		struct visitor *v = list_ledata(le);

		le = le->next;
		if (now_ms >= v->due_ms) {
			if (v->state != REFUSED)
				metrics_inc(M_HTTP_REFUSED);
			visitor_leave(v, true);
		} else if (v->state == INCOMPLETE) {
			next = LOOK_MS;
			if (has_more(v))
				visitor_look(v);
		}
	}

	if (a->visitorl.head)
		schedule(a, next);
}

/* -------------------------------------------------------------- accepting */

static void visitor_drop_oldest(struct acceptor *a)
{
	metrics_inc(M_HTTP_REFUSED);
	visitor_leave(list_ledata(a->visitorl.head), true);
}

static void print_peer(struct visitor *v, const struct sockaddr_storage *sa,
		       socklen_t len)
{
	if (getnameinfo((const struct sockaddr *)sa, len, v->peer,
			sizeof(v->peer), NULL, 0, NI_NUMERICHOST))
		str_copy(v->peer, sizeof(v->peer), "unknown");
}

static void visitor_arrives(struct listener *li, int fd,
			    const struct sockaddr_storage *sa, socklen_t len)
{
	struct acceptor *a = li->acceptor;
	struct visitor *v = mem_zalloc(sizeof(*v), NULL);
	int on = 1;

	if (!v || uv_poll_init_socket(loop_uv(a->loop), &v->poll, fd)) {
		mem_deref(v);
		metrics_inc(M_HTTP_REFUSED);
		send_answer(fd, 503, NULL);
		(void)close(fd);
		return;
	}

	/* frames are small and must not wait for each other's answers */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	v->poll.data = v;
	v->acceptor = a;
	v->fd = fd;
	v->port = li->port;
	v->tls = li->tls;
	v->due_ms = loop_now_ms(a->loop) + a->head_ms;
	print_peer(v, sa, len);
	list_append(&a->visitorl, &v->le, v);
	if (++a->visitors > HTTP_WAITING_MAX)
		visitor_drop_oldest(a);
	(void)uv_poll_start(&v->poll, UV_READABLE, readable_handler);
	schedule(a, MAX(LOOK_MS, MIN(a->head_ms, a->linger_ms) / 10));
}

static int accept_one(struct listener *li)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(li->fd, (struct sockaddr *)&sa, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return errno;
	visitor_arrives(li, fd, &sa, len);

	return 0;
}

static void listen_handler(uv_poll_t *poll, int status, int events);

static void pause_accepting(struct acceptor *a)
{
	for (size_t i = 0; i < ARRAY_SIZE(a->listenerv); i++) {
		if (a->listenerv[i])
			(void)uv_poll_stop(&a->listenerv[i]->poll);
	}
	tmr_start(a->resume, PAUSE_MS);
}

static void resume_handler(void *arg)
{
	struct acceptor *a = arg;

	if (a->spare < 0)
		a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(a->listenerv); i++) {
		if (a->listenerv[i])
			(void)uv_poll_start(&a->listenerv[i]->poll,
					    UV_READABLE, listen_handler);
	}
}

/** No descriptor left: with the spare one say so, or the queue of the kernel
 * would stay full and its readiness would keep the loop spinning */
static void turn_away(struct listener *li)
{
	struct acceptor *a = li->acceptor;
	int fd;

	metrics_inc(M_ACCEPTS_REFUSED);
	if (a->spare >= 0) {
		(void)close(a->spare);
		fd = accept4(li->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			if (!li->tls)
				send_answer(fd, 503, NULL);
			(void)recv(fd, a->buf, sizeof(a->buf), 0);
			(void)close(fd);
		}
		a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	}
	if (a->spare < 0)
		pause_accepting(a);
}

static void listen_handler(uv_poll_t *poll, int status, int events)
{
	struct listener *li = poll->data;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		switch (accept_one(li)) {
		case 0:
		case ECONNABORTED:
		case EINTR:
		case EPROTO:
			break;

		case EMFILE:
		case ENFILE:
			turn_away(li);
			return;

		case EAGAIN:
			return;

		default: /* ENOBUFS, ENOMEM: better in a while */
			metrics_inc(M_ACCEPTS_REFUSED);
			pause_accepting(li->acceptor);
			return;
		}
	}
}

/* -------------------------------------------------------------- listening */

static int bind_and_listen(int fd, const struct addrinfo *ai)
{
	int on = 1, off = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		return errno;
	if (ai->ai_family == AF_INET6)
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off,
				 sizeof(off));
	if (bind(fd, ai->ai_addr, ai->ai_addrlen) || listen(fd, BACKLOG))
		return errno;

	return 0;
}

/** What the kernel says, not what we asked for */
static int verify(int fd, uint16_t *number)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} sa = {0};
	socklen_t len = sizeof(sa), onlen;
	int on = 0;

	onlen = sizeof(on);
	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &onlen) ||
	    getsockname(fd, &sa.any, &len))
		return errno;
	if (!on)
		return EADDRNOTAVAIL;

	if (sa.any.sa_family == AF_INET6)
		*number = ntohs(sa.v6.sin6_port);
	else
		*number = ntohs(sa.v4.sin_port);

	return *number ? 0 : EADDRNOTAVAIL;
}

static int open_socket(int *fdp, uint16_t *number, const char *host,
		       uint16_t port)
{
	struct addrinfo hints = {.ai_family = AF_UNSPEC,
				 .ai_socktype = SOCK_STREAM,
				 .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
	struct addrinfo *ai = NULL;
	char service[8];
	int fd, err;

	snprintf(service, sizeof(service), "%u", port);
	if (getaddrinfo(str_isset(host) ? host : NULL, service, &hints, &ai))
		return EADDRNOTAVAIL;

	fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC,
		    0);
	err = fd < 0 ? errno : bind_and_listen(fd, ai);
	freeaddrinfo(ai);
	if (!err)
		err = verify(fd, number);
	if (err && fd >= 0)
		(void)close(fd);
	*fdp = fd;

	return err;
}

static int listener_alloc(struct acceptor *a, enum httpd_port port,
			  const char *host, uint16_t number, bool tls)
{
	struct listener *li = mem_zalloc(sizeof(*li), NULL);
	int err;

	if (!li)
		return ENOMEM;

	err = open_socket(&li->fd, &li->number, host, number);
	if (err) {
		mem_deref(li);
		return err;
	}

	err = -uv_poll_init_socket(loop_uv(a->loop), &li->poll, li->fd);
	if (err) {
		(void)close(li->fd);
		mem_deref(li);
		return err;
	}

	li->poll.data = li;
	li->acceptor = a;
	li->port = port;
	li->tls = tls;
	a->listenerv[port] = li;

	return -uv_poll_start(&li->poll, UV_READABLE, listen_handler);
}

static void listener_close(struct acceptor *a, enum httpd_port port)
{
	struct listener *li = a->listenerv[port];

	if (!li)
		return;

	a->listenerv[port] = NULL;
	uv_close((uv_handle_t *)&li->poll, closed_handler);
	(void)close(li->fd);
}

static void destructor(void *arg)
{
	struct acceptor *a = arg;

	listener_close(a, HTTPD_PUBLIC);
	listener_close(a, HTTPD_ADMIN);
	while (a->visitorl.head)
		visitor_leave(list_ledata(a->visitorl.head), true);
	mem_deref(a->tmr);
	mem_deref(a->resume);
	if (a->spare >= 0)
		(void)close(a->spare);
}

int acceptor_alloc(struct acceptor **ap, struct loop *l,
		   const struct acceptor_param *prm, enum httpd_port *failed)
{
	enum httpd_port port = HTTPD_PUBLIC;
	struct acceptor *a;
	int err;

	if (!ap || !l || !prm || !prm->pickh)
		return EINVAL;

	a = mem_zalloc(sizeof(*a), destructor);
	if (!a)
		return ENOMEM;

	a->loop = l;
	a->pickh = prm->pickh;
	a->arg = prm->arg;
	a->head_ms = prm->head_ms ? prm->head_ms : HTTP_HEAD_MS;
	a->linger_ms = prm->linger_ms ? prm->linger_ms : HTTP_LINGER_MS;
	a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);

	err = a->spare < 0 ? errno : tmr_alloc(&a->tmr, l, tmr_handler, a);
	if (!err)
		err = tmr_alloc(&a->resume, l, resume_handler, a);
	if (!err)
		err = listener_alloc(a, HTTPD_PUBLIC, prm->host, prm->port,
				     prm->tls);
	if (!err && prm->admin) {
		port = HTTPD_ADMIN;
		err = listener_alloc(a, HTTPD_ADMIN, prm->admin_host,
				     prm->admin_port, false);
	}
	if (err && failed)
		*failed = port;

	if (err)
		mem_deref(a);
	else
		*ap = a;

	return err;
}

uint16_t acceptor_port(const struct acceptor *a, enum httpd_port port)
{
	return a && a->listenerv[port] ? a->listenerv[port]->number : 0;
}

void acceptor_stop(struct acceptor *a)
{
	if (a)
		listener_close(a, HTTPD_PUBLIC);
}

/**
 * @file fake_http.h  In-process HTTP server for faults no real peer can show
 *
 * A thread for each connection reads whole requests and calls the test's
 * handler, which writes whatever it likes to the socket.
 */
#ifndef CONVOD_FAKE_HTTP_H
#define CONVOD_FAKE_HTTP_H

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "test.h"

enum { FAKE_HTTP_CONNS_MAX = 64, FAKE_HTTP_REQUEST_MAX = 65536 };

struct fake_http;

/** Answer a request; false closes the connection */
typedef bool(fake_http_h)(struct fake_http *f, int fd, const char *path,
			  const char *head, const char *body);

struct fake_http {
	int fd;
	uint16_t port;
	fake_http_h *h;
	void *arg;
	pthread_t thread;
	atomic_bool closing;
	atomic_int requests;
	atomic_int conns;
	char url[64]; /* "http://127.0.0.1:port" */

	pthread_mutex_t lock;
	pthread_cond_t changed;
	int upv[FAKE_HTTP_CONNS_MAX]; /* descriptor + 1, 0: free */
	int upc;
};

struct fake_conn {
	struct fake_http *f;
	int fd;
	int *slot;
};

static inline void fake_write(int fd, const char *s)
{
	(void)!send(fd, s, strlen(s), MSG_NOSIGNAL);
}

static inline bool fake_write_n(int fd, const void *p, size_t n)
{
	return send(fd, p, n, MSG_NOSIGNAL) == (ssize_t)n;
}

/** A whole answer with a length */
static inline void fake_answer(int fd, int status, const char *headers,
			       const void *body, size_t n)
{
	char head[128];

	(void)snprintf(head, sizeof(head),
		       "HTTP/1.1 %d X\r\nContent-Length: %zu\r\n", status, n);
	fake_write(fd, head);
	fake_write(fd, headers);
	fake_write(fd, "\r\n");
	(void)fake_write_n(fd, body, n);
}

/** Read one request; false at the end */
static inline bool fake_read(int fd, char *buf, char **body)
{
	size_t n = 0, want = 0;

	*body = NULL;
	while (n < FAKE_HTTP_REQUEST_MAX - 1) {
		ssize_t r = recv(fd, buf + n, FAKE_HTTP_REQUEST_MAX - 1 - n,
				 0);
		const char *cl;

		if (r <= 0)
			return false;
		n += (size_t)r;
		buf[n] = '\0';
		if (!*body) {
			char *end = strstr(buf, "\r\n\r\n");

			if (!end)
				continue;
			cl = strcasestr(buf, "content-length:");
			want = cl && cl < end ? strtoul(cl + 15, NULL, 10) : 0;
			end[2] = '\0';
			*body = end + 4;
		}
		if (n >= (size_t)(*body - buf) + want)
			return true;
	}
	return false;
}

static inline void *fake_conn_thread(void *arg)
{
	struct fake_conn *c = arg;
	char *buf = malloc(FAKE_HTTP_REQUEST_MAX);
	char path[4096], *body;

	while (buf && fake_read(c->fd, buf, &body)) {
		if (sscanf(buf, "%*s %4095s", path) != 1)
			break;
		atomic_fetch_add(&c->f->requests, 1);
		if (!c->f->h(c->f, c->fd, path, buf, body))
			break;
	}
	free(buf);
	pthread_mutex_lock(&c->f->lock);
	close(c->fd);
	*c->slot = 0;
	--c->f->upc;
	pthread_cond_signal(&c->f->changed);
	pthread_mutex_unlock(&c->f->lock);
	free(c);

	return NULL;
}

static inline bool fake_http_has_caller(const struct fake_http *f)
{
	struct pollfd pfd = {.fd = f->fd, .events = POLLIN};

	return poll(&pfd, 1, 0) > 0;
}

/** End all connections, also those that nobody has accepted so far; from then
 *  on the handler's data is the test's alone */
static inline void fake_http_idle(struct fake_http *f)
{
	pthread_mutex_lock(&f->lock);
	while (f->upc || (!f->closing && fake_http_has_caller(f))) {
		for (size_t i = 0; i < FAKE_HTTP_CONNS_MAX; i++) {
			if (f->upv[i])
				(void)shutdown(f->upv[i] - 1, SHUT_RDWR);
		}
		pthread_cond_wait(&f->changed, &f->lock);
	}
	pthread_mutex_unlock(&f->lock);
}

/* With the lock, so that a connection is always either waiting or served */
static inline void fake_serve(struct fake_http *f)
{
	struct fake_conn *c = malloc(sizeof(*c));
	int fd = accept(f->fd, NULL, NULL);
	pthread_t thread;

	if (!c || fd < 0)
		abort();
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	c->f = f;
	c->fd = fd;
	for (c->slot = f->upv; *c->slot; c->slot++)
		;
	*c->slot = fd + 1;
	++f->upc;
	atomic_fetch_add(&f->conns, 1);
	if (pthread_create(&thread, NULL, fake_conn_thread, c))
		abort();
	pthread_detach(thread);
	pthread_cond_signal(&f->changed);
}

static inline void *fake_http_thread(void *arg)
{
	struct fake_http *f = arg;
	struct pollfd pfd = {.fd = f->fd, .events = POLLIN};

	while (poll(&pfd, 1, -1) > 0 && !atomic_load(&f->closing)) {
		pthread_mutex_lock(&f->lock);
		fake_serve(f);
		pthread_mutex_unlock(&f->lock);
	}
	return NULL;
}

static inline void fake_http_open(struct fake_http *f, fake_http_h *h,
				  void *arg)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);

	memset(f, 0, sizeof(*f));
	f->h = h;
	f->arg = arg;
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->changed, NULL);
	f->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(f->fd >= 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&sa, len), 0);
	assert_int_equal(listen(f->fd, 64), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&sa, &len), 0);
	f->port = ntohs(sa.sin_port);
	(void)snprintf(f->url, sizeof(f->url), "http://127.0.0.1:%u", f->port);
	assert_int_equal(pthread_create(&f->thread, NULL, fake_http_thread, f),
			 0);
}

static inline void fake_http_close(struct fake_http *f)
{
	atomic_store(&f->closing, true);
	(void)shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	fake_http_idle(f);
	close(f->fd);
	pthread_mutex_destroy(&f->lock);
	pthread_cond_destroy(&f->changed);
}

#endif

/**
 * @file peer.h  A peer program of tests/peers, started and stopped by a test
 *
 * A peer prints one JSON object a line, the first with its port, and ends with
 * its standard input.
 */
#ifndef CONVOD_TEST_PEER_H
#define CONVOD_TEST_PEER_H

#include <fcntl.h>
#include <poll.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <jansson.h>
#include "test.h"

enum { PEER_ARGS_MAX = 16, PEER_TIMEOUT_MS = 60000 };

struct peer {
	pid_t pid;
	int in, out;
	uint16_t port;
	size_t len;
	char buf[8192];
};

/* Next line as JSON; NULL if none comes within the time */
static inline json_t *peer_event(struct peer *p, int timeout_ms)
{
	for (;;) {
		char *nl = memchr(p->buf, '\n', p->len);
		struct pollfd pfd = {.fd = p->out, .events = POLLIN};
		ssize_t n;

		if (nl) {
			size_t used = (size_t)(nl + 1 - p->buf);
			json_t *j = json_loadb(p->buf, used, 0, NULL);

			memmove(p->buf, nl + 1, p->len - used);
			p->len -= used;
			return j;
		}
		if (poll(&pfd, 1, timeout_ms) <= 0)
			return NULL;
		n = read(p->out, p->buf + p->len, sizeof(p->buf) - p->len);
		if (n <= 0)
			return NULL;
		p->len += (size_t)n;
	}
}

/* Wait for an event of a kind, skipping others */
static inline json_t *peer_wait(struct peer *p, const char *event)
{
	for (;;) {
		json_t *j = peer_event(p, PEER_TIMEOUT_MS);

		if (!j)
			return NULL;
		if (!strcmp(json_string_value(json_object_get(j, "event")),
			    event))
			return j;
		json_decref(j);
	}
}

static inline void peer_exec(const char *script, const char *const *argv)
{
	char path[512];
	const char *v[PEER_ARGS_MAX + 3] = {PYTHON, path};

	(void)snprintf(path, sizeof(path), "%s/%s", PEERS_DIR, script);
	for (size_t i = 0; i < PEER_ARGS_MAX && argv && argv[i]; i++)
		v[i + 2] = argv[i];
	execv(PYTHON, (char **)(uintptr_t)v);
	_exit(127);
}

/* Keep a port from others while nobody listens on it: a bound socket. The
 * peers say SO_REUSEPORT, too. */
static inline int peer_hold(uint16_t port)
{
	const struct sockaddr_in sa = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &(int){1},
				    sizeof(int)),
			 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&sa, sizeof(sa)),
			 0);

	return fd;
}

/** @param argv Arguments, NULL-ended, or NULL */
static inline void peer_start(struct peer *p, const char *script,
			      const char *const *argv)
{
	int in[2], out[2];
	json_t *j;

	*p = (struct peer){0};
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	p->pid = fork();
	assert_true(p->pid >= 0);
	if (!p->pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		peer_exec(script, argv);
	}
	close(in[0]);
	close(out[1]);
	p->in = in[1];
	p->out = out[0];

	j = peer_wait(p, "listening");
	assert_non_null(j);
	p->port = (uint16_t)json_integer_value(json_object_get(j, "port"));
	json_decref(j);
	assert_true(p->port > 0);
}

/** kill -9 */
static inline void peer_stop(struct peer *p)
{
	int status;

	if (!p->pid)
		return;

	kill(p->pid, SIGKILL);
	waitpid(p->pid, &status, 0);
	close(p->in);
	close(p->out);
	p->pid = 0;
}

#endif

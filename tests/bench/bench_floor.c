/**
 * @file bench_floor.c  The least that receiving media can cost: bare epoll
 *
 * Accepts websockets, answers the upgrade, reads whatever comes into one
 * buffer and counts the frames by their heads; nothing is unmasked, parsed or
 * sent.
 * What convod's frame path costs is judged by its ratio to this. Prints its
 * port; on the end of standard input prints the number of frames and exits.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/sha.h>
#include <convod/str.h>

enum { EVENTS = 256, HEAD_MAX = 4096 };

struct conn {
	int fd;
	bool up;
	size_t skip;      /* bytes of a frame that are still to come */
	uint8_t part[14]; /* of a frame's head that is cut in two */
	size_t partc;
};

static uint8_t buf[65536];
static uint64_t framec;

static void upgrade(struct conn *c, const char *head)
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
	const char *key = strcasestr(head, "Sec-WebSocket-Key: ");
	char text[64 + sizeof(guid)], accept[32], resp[256];
	uint8_t md[SHA_DIGEST_LENGTH];
	int n;

	if (!key)
		return;
	n = snprintf(text, sizeof(text), "%.24s%s", key + 19, guid);
	SHA1((uint8_t *)text, (size_t)n, md);
	accept[base64_encode(accept, md, sizeof(md))] = '\0';
	n = snprintf(resp, sizeof(resp),
		     "HTTP/1.1 101 Switching Protocols\r\n"
		     "Upgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Accept: %s\r\n\r\n",
		     accept);
	c->up = send(c->fd, resp, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Length of a head, 0: more bytes are needed to know */
static size_t head_length(const uint8_t *p, size_t n)
{
	size_t len;

	if (n < 2)
		return 0;
	len = (p[1] & 0x7f) == 126 ? 8 : (p[1] & 0x7f) == 127 ? 14 : 6;

	return n < len ? 0 : len;
}

static size_t payload_length(const uint8_t *p)
{
	uint64_t n = p[1] & 0x7f;

	if (n == 126)
		return (size_t)p[2] << 8 | p[3];
	if (n < 126)
		return (size_t)n;
	n = 0;
	for (int i = 2; i < 10; i++)
		n = n << 8 | p[i];

	return (size_t)n;
}

/* @return false: a close frame */
static bool count(struct conn *c, const uint8_t *p, size_t n)
{
	while (n) {
		size_t k = MIN(c->skip, n), head;

		p += k;
		n -= k;
		c->skip -= k;
		if (!n)
			break;

		k = MIN(sizeof(c->part) - c->partc, n);
		memcpy(c->part + c->partc, p, k);
		head = head_length(c->part, c->partc + k);
		if (!head) {
			c->partc += k;
			break;
		}
		if ((c->part[0] & 15) == 8)
			return false;
		++framec;
		p += head - c->partc;
		n -= head - c->partc;
		c->skip = payload_length(c->part);
		c->partc = 0;
	}

	return true;
}

static void receive(struct conn *c)
{
	ssize_t n = recv(c->fd, buf, sizeof(buf) - 1, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n > 0 && c->up && count(c, buf, (size_t)n))
		return;
	if (n > 0 && !c->up) {
		buf[n] = '\0'; /* on loopback a head comes whole */
		upgrade(c, (char *)buf);
		if (c->up)
			return;
	}
	if (n > 0 && c->up)
		(void)!send(c->fd, "\x88\x02\x03\xe8", 4, MSG_NOSIGNAL);
	close(c->fd);
	free(c);
}

static void accept_all(int ep, int lfd)
{
	for (;;) {
		int fd = accept4(lfd, NULL, NULL, SOCK_NONBLOCK);
		struct conn *c = fd >= 0 ? calloc(1, sizeof(*c)) : NULL;
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};

		if (!c)
			return;
		c->fd = fd;
		(void)epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
	}
}

static int listen_on_loopback(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof(sa);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, n) ||
	    listen(fd, 1024) || getsockname(fd, (struct sockaddr *)&sa, &n)) {
		perror("bench_floor");
		exit(1);
	}
	printf("%u\n", ntohs(sa.sin_port));
	fflush(stdout);

	return fd;
}

int main(void)
{
	struct rlimit rl;
	int ep = epoll_create1(0), lfd;
	struct epoll_event evv[EVENTS], ev = {.events = EPOLLIN};

	if (!getrlimit(RLIMIT_NOFILE, &rl)) {
		rl.rlim_cur = rl.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &rl);
	}
	lfd = listen_on_loopback();
	ev.data.ptr = &lfd;
	(void)epoll_ctl(ep, EPOLL_CTL_ADD, lfd, &ev);
	ev.data.ptr = NULL;
	(void)epoll_ctl(ep, EPOLL_CTL_ADD, STDIN_FILENO, &ev);

	for (;;) {
		int n = epoll_wait(ep, evv, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			if (!evv[i].data.ptr) {
				printf("%" PRIu64 "\n", framec);
				return 0;
			}
			if (evv[i].data.ptr == &lfd)
				accept_all(ep, lfd);
			else
				receive(evv[i].data.ptr);
		}
	}
}

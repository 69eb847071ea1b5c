/**
 * @file load_call.c  One of many calls: the carrier's side of the socket
 *
 *	CONNECTING ──▶ UPGRADING ──▶ UP ──▶ ENDING ──▶ GONE
 *	     └──────────────┴─────────┴─────────────────▲
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <convod/mem.h>
#include "load_call.h"
#include "load_ws.h"

enum {
	FRAME_US = FRAME_MS * 1000,
	LATE_US = 5000,  /* a frame sent later than that is late */
	HEAD_MAX = 8192, /* bytes of the answer to the upgrade */
	MARKS_MAX = 32,  /* of a call, waiting; more are not answered */
	NAME_MAX_BYTES = 128,
	SEND_MAX = 1024, /* bytes of a message of ours with its head */
	RX_MAX = LOAD_FRAME_MAX + LOAD_FRAME_HEAD_MAX,
};

struct load_mark {
	uint64_t due_us;
	uint16_t n;
	char name[NAME_MAX_BYTES];
};

/* -------------------------------------------------------------- a socket */

static void watch(struct load_line *l, struct load_call *c, uint32_t events,
		  int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	(void)epoll_ctl(l->ep, op, c->fd, &ev);
}

void load_call_drop(struct load_line *l, struct load_call *c)
{
	if (c->state == LOAD_GONE)
		return;

	l->up -= c->state == LOAD_UP;
	if (c->state == LOAD_UP && !l->ending)
		++l->n.dropped;
	if (c->state == LOAD_CONNECTING || c->state == LOAD_UPGRADING)
		++l->n.refused;
	c->state = LOAD_GONE;
	++l->gone;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	mem_raw_free(c->rxv);
	mem_raw_free(c->txv);
	mem_raw_free(c->markv);
	c->rxv = c->txv = NULL;
	c->markv = NULL;
	c->markc = 0;
}

/* EAGAIN: nothing was taken. Half a message is kept until it fits. */
static int send_bytes(struct load_line *l, struct load_call *c, const void *p,
		      size_t n)
{
	ssize_t r;

	if (c->txv)
		return EAGAIN;

	r = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r < 0 && errno == EAGAIN)
		return EAGAIN;
	if (r < 0) {
		load_call_drop(l, c);
		return ECONNRESET;
	}
	if ((size_t)r == n)
		return 0;

	c->txc = n - (size_t)r;
	c->txv = mem_raw_malloc(c->txc);
	if (!c->txv) {
		load_call_drop(l, c);
		return ENOMEM;
	}
	memcpy(c->txv, (const uint8_t *)p + r, c->txc);
	watch(l, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);

	return 0;
}

static void flush_rest(struct load_line *l, struct load_call *c)
{
	ssize_t r = send(c->fd, c->txv, c->txc, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (r < 0 && errno != EAGAIN) {
		load_call_drop(l, c);
		return;
	}
	if (r > 0) {
		memmove(c->txv, c->txv + r, c->txc - (size_t)r);
		c->txc -= (size_t)r;
	}
	if (c->txc)
		return;

	mem_raw_free(c->txv);
	c->txv = NULL;
	watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
}

/* A message in buf from LOAD_FRAME_HEAD_MAX on; masked in place */
static int send_message(struct load_line *l, struct load_call *c,
			uint8_t opcode, uint8_t *buf, size_t n)
{
	uint8_t head[LOAD_FRAME_HEAD_MAX];
	size_t headc = load_frame_head(head, opcode, n, c->mask);
	uint8_t *p = buf + LOAD_FRAME_HEAD_MAX;

	load_mask(p, n, c->mask);
	memcpy(p - headc, head, headc);

	return send_bytes(l, c, p - headc, headc + n);
}

CV_PRINTF(3, 4)
static void send_printf(struct load_line *l, struct load_call *c,
			const char *fmt, ...)
{
	uint8_t buf[SEND_MAX];
	char *text = (char *)buf + LOAD_FRAME_HEAD_MAX;
	size_t size = sizeof(buf) - LOAD_FRAME_HEAD_MAX;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, size, fmt, ap);
	va_end(ap);
	if (n > 0 && (size_t)n < size)
		(void)send_message(l, c, 1, buf, (size_t)n);
}

/* ------------------------------------------------------ Twilio's messages */

static char *put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);
	return p + n;
}

#define PUT(p, s) put(p, s, sizeof(s) - 1)

static char *put_number(char *p, uint64_t v)
{
	char buf[20];
	size_t n = 0;

	do
		buf[sizeof(buf) - ++n] = (char)('0' + v % 10);
	while (v /= 10);

	return put(p, buf + sizeof(buf) - n, n);
}

static void send_start(struct load_line *l, struct load_call *c)
{
	send_printf(l, c,
		    "{\"event\":\"connected\",\"protocol\":\"Call\","
		    "\"version\":\"1.0.0\"}");
	send_printf(l, c,
		    "{\"event\":\"start\",\"sequenceNumber\":\"1\",\"start\":{"
		    "\"accountSid\":\"AC%032x\",\"streamSid\":\"%s\","
		    "\"callSid\":\"CA%032x\",\"tracks\":[\"inbound\"],"
		    "\"mediaFormat\":{\"encoding\":\"audio/x-mulaw\","
		    "\"sampleRate\":8000,\"channels\":1},"
		    "\"customParameters\":{}},\"streamSid\":\"%s\"}",
		    1u, c->sid, c->index + 1, c->sid);
	c->seq = 1;
}

static void send_media(struct load_line *l, struct load_call *c)
{
	uint8_t buf[SEND_MAX];
	char *text = (char *)buf + LOAD_FRAME_HEAD_MAX, *p = text;

	p = PUT(p, "{\"event\":\"media\",\"sequenceNumber\":\"");
	p = put_number(p, c->seq + 1);
	p = PUT(p, "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"");
	p = put_number(p, c->chunk + 1);
	p = PUT(p, "\",\"timestamp\":\"");
	p = put_number(p, 155 + (l->now_us - c->up_us) / 1000);
	p = PUT(p, "\",\"payload\":\"");
	p = put(p, c->pattern->payloadv[c->pos],
		sizeof(c->pattern->payloadv[0]));
	p = PUT(p, "\"},\"streamSid\":\"");
	p = put(p, c->sid, 34);
	p = PUT(p, "\"}");

	if (send_message(l, c, 1, buf, (size_t)(p - text))) {
		++l->n.lost;
	} else {
		++c->seq;
		++c->chunk;
		++l->n.sent;
	}
}

static void send_mark(struct load_line *l, struct load_call *c,
		      const char *name, size_t n)
{
	send_printf(l, c,
		    "{\"event\":\"mark\",\"sequenceNumber\":\"%" PRIu64
		    "\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%.*s\"}}",
		    ++c->seq, c->sid, (int)n, name);
	++l->n.marks;
}

static void return_marks(struct load_line *l, struct load_call *c, bool all)
{
	while (c->markc && c->state == LOAD_UP) {
		struct load_mark *m = &c->markv[c->mark_first];

		if (!all && m->due_us > l->now_us)
			return;
		c->mark_first = (c->mark_first + 1) % MARKS_MAX;
		--c->markc;
		send_mark(l, c, m->name, m->n);
	}
}

static void queue_mark(struct load_line *l, struct load_call *c,
		       const char *name, size_t n)
{
	struct load_mark *m;

	if (n > NAME_MAX_BYTES || c->markc == MARKS_MAX) {
		++l->n.marks_lost;
		return;
	}
	if (!c->markc && c->play_end_us <= l->now_us) {
		send_mark(l, c, name, n);
		return;
	}
	if (!c->markv)
		c->markv = mem_raw_calloc(MARKS_MAX, sizeof(*c->markv));
	if (!c->markv) {
		++l->n.marks_lost;
		return;
	}

	m = &c->markv[(c->mark_first + c->markc++) % MARKS_MAX];
	m->due_us = c->play_end_us;
	m->n = (uint16_t)n;
	memcpy(m->name, name, n);
}

/* The caller begins to speak; over the bot, which has to stop. A frame is sent
 * when it has been spoken. */
static void onset(struct load_line *l, struct load_call *c)
{
	l->n.talked_over += c->onset_us != 0;
	c->onset_us = c->play_end_us > l->now_us ? l->now_us - FRAME_US : 0;
}

/* The caller's next 20 ms */
void load_call_send_frame(struct load_line *l, struct load_call *c,
			  uint64_t due_us)
{
	return_marks(l, c, false);
	if (c->state != LOAD_UP)
		return;

	l->n.late += l->now_us - due_us > LATE_US;
	hist_add(&l->lateness, l->now_us - due_us);
	send_media(l, c);
	if (c->pos == c->pattern->onset)
		onset(l, c);
	if (++c->pos == c->pattern->speechc)
		/* an answer that is still being played would look instant */
		c->asked_us = c->play_end_us <= l->now_us ? l->now_us : 0;
	if (c->pos == c->pattern->payloadc)
		c->pos = 0;
}

/* ------------------------------------------------------------ receiving */

static void message(struct load_line *l, struct load_call *c, const char *s,
		    size_t n)
{
	struct load_msg m;

	load_msg_scan(&m, s, n);
	switch (m.event) {
	case LOAD_MEDIA:
		if (c->asked_us)
			hist_add(&l->answer, l->now_us - c->asked_us);
		c->asked_us = 0;
		c->play_end_us = MAX(c->play_end_us, l->now_us) +
				 m.samples * 1000 / AUDIO_PER_MS;
		l->n.media_ms += m.samples / AUDIO_PER_MS;
		break;
	case LOAD_MARK:
		queue_mark(l, c, m.name, m.namec);
		break;
	case LOAD_CLEAR:
		++l->n.clears;
		if (c->onset_us)
			hist_add(&l->barge_in, l->now_us - c->onset_us);
		c->onset_us = 0;
		c->play_end_us = l->now_us;
		return_marks(l, c, true);
		break;
	default:
		break;
	}
}

static void control(struct load_line *l, struct load_call *c,
		    const struct load_frame *f)
{
	uint8_t buf[LOAD_FRAME_HEAD_MAX + 125];
	size_t n = MIN(f->n, 125u);

	memcpy(buf + LOAD_FRAME_HEAD_MAX, f->p, n);
	if (f->opcode == 9)
		(void)send_message(l, c, 10, buf, n);
	if (f->opcode == 8) {
		if (c->state == LOAD_UP)
			(void)send_message(l, c, 8, buf, n);
		load_call_drop(l, c);
	}
}

/* What is left of a buffer waits for what comes next */
static int keep_rest(struct load_call *c, const uint8_t *p, size_t n)
{
	uint8_t *rest = NULL;

	if (n) {
		rest = mem_raw_malloc(n);
		if (!rest)
			return ENOMEM;
		memcpy(rest, p, n);
	}
	mem_raw_free(c->rxv);
	c->rxv = rest;
	c->rxc = n;

	return 0;
}

/* Whole frames of a buffer; what is left over is kept */
static void frames(struct load_line *l, struct load_call *c, const uint8_t *p,
		   size_t n)
{
	struct load_frame f;
	int err = 0;

	while (c->state != LOAD_GONE && !(err = load_frame_parse(&f, p, n))) {
		if (f.opcode == 1 && c->state == LOAD_UP)
			message(l, c, (const char *)f.p, f.n);
		else if (f.opcode >= 8)
			control(l, c, &f);
		p += f.size;
		n -= f.size;
	}
	if (c->state != LOAD_GONE && (err != EAGAIN || keep_rest(c, p, n)))
		load_call_drop(l, c);
}

static void head(struct load_line *l, struct load_call *c, const uint8_t *p,
		 size_t n)
{
	static const char ok[] = "HTTP/1.1 101 ";
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	if (memcmp(p, ok, MIN(n, sizeof(ok) - 1)) ||
	    (!end && (n > HEAD_MAX || keep_rest(c, p, n)))) {
		load_call_drop(l, c);
		return;
	}
	if (!end)
		return;

	c->state = LOAD_UP;
	c->up_us = l->now_us;
	++l->up;
	send_start(l, c);
	if (c->state == LOAD_UP)
		frames(l, c, end + 4, n - (size_t)(end + 4 - p));
}

static void receive(struct load_line *l, struct load_call *c)
{
	static uint8_t buf[65536 + RX_MAX];
	size_t have = c->rxc;
	ssize_t n;

	if (have)
		memcpy(buf, c->rxv, have);
	n = recv(c->fd, buf + have, sizeof(buf) - have, MSG_DONTWAIT);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0) {
		load_call_drop(l, c);
		return;
	}
	if (c->state == LOAD_UPGRADING)
		head(l, c, buf, have + (size_t)n);
	else
		frames(l, c, buf, have + (size_t)n);
}

/* ----------------------------------------------------------- connecting */

void load_call_connect(struct load_line *l, struct load_call *c)
{
	const int one = 1;

	c->fd = socket(l->addr->ai_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->state = LOAD_CONNECTING;
	if (c->fd < 0) {
		load_call_drop(l, c);
		return;
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, l->addr->ai_addr, l->addr->ai_addrlen) &&
	    errno != EINPROGRESS) {
		load_call_drop(l, c);
		return;
	}
	watch(l, c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void connected(struct load_line *l, struct load_call *c)
{
	int err = 0;
	socklen_t n = sizeof(err);

	(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n);
	if (err) {
		load_call_drop(l, c);
		return;
	}
	c->state = LOAD_UPGRADING;
	watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
	(void)send_bytes(l, c, l->request, strlen(l->request));
}

void load_call_ready(struct load_line *l, struct load_call *c, uint32_t events)
{
	if (c->state == LOAD_CONNECTING) {
		connected(l, c);
		return;
	}
	if (events & EPOLLOUT && c->txv)
		flush_rest(l, c);
	if (c->state != LOAD_GONE && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(l, c);
}

void load_call_hang_up(struct load_line *l, struct load_call *c)
{
	uint8_t code[LOAD_FRAME_HEAD_MAX + 2];

	if (c->state != LOAD_UP)
		return;
	send_printf(l, c,
		    "{\"event\":\"stop\",\"sequenceNumber\":\"%" PRIu64
		    "\",\"streamSid\":\"%s\",\"stop\":{\"accountSid\":"
		    "\"AC%032x\",\"callSid\":\"CA%032x\"}}",
		    ++c->seq, c->sid, 1u, c->index + 1);
	memcpy(code + LOAD_FRAME_HEAD_MAX, "\x03\xe8", 2);
	if (c->state == LOAD_UP)
		(void)send_message(l, c, 8, code, 2);
	if (c->state == LOAD_UP) {
		c->state = LOAD_ENDING;
		--l->up;
	}
}

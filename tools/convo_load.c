/**
 * @file convo_load.c  convo-load: many paced calls at once, cheaply
 *
 * One thread on bare epoll. Calls are spread over the 20 slots of a frame, one
 * a millisecond; a timer that fires every millisecond sends the frames of the
 * slots that are due. A frame costs a copy, a mask and one send(): this must
 * cost less than the daemon that receives it.
 *
 *	CONNECTING ──▶ UPGRADING ──▶ UP ──▶ ENDING ──▶ GONE
 *	     └──────────────┴─────────┴─────────────────▲
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/hist.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "load_pattern.h"
#include "load_report.h"
#include "load_ws.h"

enum {
	SLOTS = FRAME_MS,
	SLOT_US = 1000,
	FRAME_US = FRAME_MS * 1000,
	LATE_US = 5000,  /* a frame sent later than that is late */
	HEAD_MAX = 8192, /* bytes of the answer to the upgrade */
	MARKS_MAX = 32,  /* of a call, waiting; more are not answered */
	NAME_MAX_BYTES = 128,
	SEND_MAX = 1024, /* bytes of a message of ours with its head */
	RX_MAX = LOAD_FRAME_MAX + LOAD_FRAME_HEAD_MAX,
	SETTLE_US = 1000000, /* after the last call is up */
	END_US = 2000000,    /* for the daemon to close */
	EVENTS = 256,
	PATTERNS_MAX = 64,
	CALLS_MAX = 60000,
};

enum state { IDLE, CONNECTING, UPGRADING, UP, ENDING, GONE };

struct mark {
	uint64_t due_us;
	uint16_t n;
	char name[NAME_MAX_BYTES];
};

struct call {
	int fd;
	enum state state;
	uint32_t index;
	uint64_t seq, chunk;
	uint64_t up_us;
	const struct load_pattern *pattern;
	size_t pos;        /* frame of it */
	uint64_t asked_us; /* end of speech an answer is awaited to, or 0 */
	uint64_t onset_us; /* of speech over the bot, until it stops, or 0 */
	uint64_t play_end_us; /* when all the bot sent will have been heard */
	char sid[40];
	uint8_t mask[4];

	struct mark *markv; /* ring, made when first needed */
	unsigned mark_first, markc;
	uint8_t *rxv; /* an incomplete frame, NULL: none */
	size_t rxc;
	uint8_t *txv; /* what the socket did not take, NULL: nothing */
	size_t txc;
};

struct counters {
	uint64_t sent, late, lost; /* frames */
	uint64_t media_ms, marks, clears;
	uint64_t talked_over;      /* the caller spoke, and the bot went on */
	uint64_t marks_lost;       /* too long, or too many: not answered */
	uint64_t refused, dropped; /* calls */
};

struct load {
	/* options */
	const char *url;
	uint32_t calls, rate, seconds;
	uint32_t speech_ms, silence_ms;
	const char *sayv[PATTERNS_MAX];
	uint32_t sayc;
	int pid;
	bool json;

	struct wsc_url to;
	struct addrinfo *addr;
	char *request;
	int ep, timer;
	struct call *callv;
	uint32_t started, up, gone;
	struct load_pattern patternv[PATTERNS_MAX];
	uint32_t patternc;

	uint64_t now_us, next_slot_us, begin_us;
	uint64_t slot;
	struct counters n;
	struct hist answer, barge_in, lateness;

	/* the steady window */
	uint64_t window_us, window_end_us;
	struct counters at_window;
	struct proc_cpu idle, daemon_from, daemon_to, own_from, own_to;
	bool ending;
};

static volatile sig_atomic_t interrupted;

static void signal_handler(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* -------------------------------------------------------------- a socket */

static void watch(struct load *l, struct call *c, uint32_t events, int op)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	(void)epoll_ctl(l->ep, op, c->fd, &ev);
}

static void drop(struct load *l, struct call *c)
{
	if (c->state == GONE)
		return;

	l->up -= c->state == UP;
	if (c->state == UP && !l->ending)
		++l->n.dropped;
	if (c->state == CONNECTING || c->state == UPGRADING)
		++l->n.refused;
	c->state = GONE;
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
static int send_bytes(struct load *l, struct call *c, const void *p, size_t n)
{
	ssize_t r;

	if (c->txv)
		return EAGAIN;

	r = send(c->fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (r < 0 && errno == EAGAIN)
		return EAGAIN;
	if (r < 0) {
		drop(l, c);
		return ECONNRESET;
	}
	if ((size_t)r == n)
		return 0;

	c->txc = n - (size_t)r;
	c->txv = mem_raw_malloc(c->txc);
	if (!c->txv) {
		drop(l, c);
		return ENOMEM;
	}
	memcpy(c->txv, (const uint8_t *)p + r, c->txc);
	watch(l, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);

	return 0;
}

static void flush_rest(struct load *l, struct call *c)
{
	ssize_t r = send(c->fd, c->txv, c->txc, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (r < 0 && errno != EAGAIN) {
		drop(l, c);
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
static int send_message(struct load *l, struct call *c, uint8_t opcode,
			uint8_t *buf, size_t n)
{
	uint8_t head[LOAD_FRAME_HEAD_MAX];
	size_t headc = load_frame_head(head, opcode, n, c->mask);
	uint8_t *p = buf + LOAD_FRAME_HEAD_MAX;

	load_mask(p, n, c->mask);
	memcpy(p - headc, head, headc);

	return send_bytes(l, c, p - headc, headc + n);
}

CV_PRINTF(3, 4)
static void send_printf(struct load *l, struct call *c, const char *fmt, ...)
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

static void send_start(struct load *l, struct call *c)
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

static void send_media(struct load *l, struct call *c)
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

static void send_mark(struct load *l, struct call *c, const char *name,
		      size_t n)
{
	send_printf(l, c,
		    "{\"event\":\"mark\",\"sequenceNumber\":\"%" PRIu64
		    "\",\"streamSid\":\"%s\",\"mark\":{\"name\":\"%.*s\"}}",
		    ++c->seq, c->sid, (int)n, name);
	++l->n.marks;
}

static void return_marks(struct load *l, struct call *c, bool all)
{
	while (c->markc && c->state == UP) {
		struct mark *m = &c->markv[c->mark_first];

		if (!all && m->due_us > l->now_us)
			return;
		c->mark_first = (c->mark_first + 1) % MARKS_MAX;
		--c->markc;
		send_mark(l, c, m->name, m->n);
	}
}

static void queue_mark(struct load *l, struct call *c, const char *name,
		       size_t n)
{
	struct mark *m;

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
static void onset(struct load *l, struct call *c)
{
	l->n.talked_over += c->onset_us != 0;
	c->onset_us = c->play_end_us > l->now_us ? l->now_us - FRAME_US : 0;
}

/* The caller's next 20 ms */
static void send_frame(struct load *l, struct call *c, uint64_t due_us)
{
	return_marks(l, c, false);
	if (c->state != UP)
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

static void message(struct load *l, struct call *c, const char *s, size_t n)
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

static void control(struct load *l, struct call *c, const struct load_frame *f)
{
	uint8_t buf[LOAD_FRAME_HEAD_MAX + 125];
	size_t n = MIN(f->n, 125u);

	memcpy(buf + LOAD_FRAME_HEAD_MAX, f->p, n);
	if (f->opcode == 9)
		(void)send_message(l, c, 10, buf, n);
	if (f->opcode == 8) {
		if (c->state == UP)
			(void)send_message(l, c, 8, buf, n);
		drop(l, c);
	}
}

/* What is left of a buffer waits for what comes next */
static int keep_rest(struct call *c, const uint8_t *p, size_t n)
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
static void frames(struct load *l, struct call *c, const uint8_t *p, size_t n)
{
	struct load_frame f;
	int err = 0;

	while (c->state != GONE && !(err = load_frame_parse(&f, p, n))) {
		if (f.opcode == 1 && c->state == UP)
			message(l, c, (const char *)f.p, f.n);
		else if (f.opcode >= 8)
			control(l, c, &f);
		p += f.size;
		n -= f.size;
	}
	if (c->state != GONE && (err != EAGAIN || keep_rest(c, p, n)))
		drop(l, c);
}

static void head(struct load *l, struct call *c, const uint8_t *p, size_t n)
{
	static const char ok[] = "HTTP/1.1 101 ";
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);

	if (memcmp(p, ok, MIN(n, sizeof(ok) - 1)) ||
	    (!end && (n > HEAD_MAX || keep_rest(c, p, n)))) {
		drop(l, c);
		return;
	}
	if (!end)
		return;

	c->state = UP;
	c->up_us = l->now_us;
	++l->up;
	send_start(l, c);
	if (c->state == UP)
		frames(l, c, end + 4, n - (size_t)(end + 4 - p));
}

static void receive(struct load *l, struct call *c)
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
		drop(l, c);
		return;
	}
	if (c->state == UPGRADING)
		head(l, c, buf, have + (size_t)n);
	else
		frames(l, c, buf, have + (size_t)n);
}

/* ----------------------------------------------------------- connecting */

static void connect_call(struct load *l, struct call *c)
{
	const int one = 1;

	c->fd = socket(l->addr->ai_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	c->state = CONNECTING;
	if (c->fd < 0) {
		drop(l, c);
		return;
	}
	(void)setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (connect(c->fd, l->addr->ai_addr, l->addr->ai_addrlen) &&
	    errno != EINPROGRESS) {
		drop(l, c);
		return;
	}
	watch(l, c, EPOLLOUT, EPOLL_CTL_ADD);
}

static void connected(struct load *l, struct call *c)
{
	int err = 0;
	socklen_t n = sizeof(err);

	(void)getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &n);
	if (err) {
		drop(l, c);
		return;
	}
	c->state = UPGRADING;
	watch(l, c, EPOLLIN, EPOLL_CTL_MOD);
	(void)send_bytes(l, c, l->request, strlen(l->request));
}

static void ready(struct load *l, struct call *c, uint32_t events)
{
	if (c->state == CONNECTING) {
		connected(l, c);
		return;
	}
	if (events & EPOLLOUT && c->txv)
		flush_rest(l, c);
	if (c->state != GONE && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		receive(l, c);
}

/* ------------------------------------------------------ CPU and memory */

static void begin_window(struct load *l)
{
	l->window_us = l->now_us;
	l->at_window = l->n;
	memset(&l->answer, 0, sizeof(l->answer));
	memset(&l->barge_in, 0, sizeof(l->barge_in));
	memset(&l->lateness, 0, sizeof(l->lateness));
	if (l->pid)
		proc_cpu_read(&l->daemon_from, l->pid);
	proc_cpu_read(&l->own_from, getpid());
}

static void end_window(struct load *l)
{
	uint8_t code[LOAD_FRAME_HEAD_MAX + 2];

	l->window_end_us = l->now_us;
	if (l->pid)
		proc_cpu_read(&l->daemon_to, l->pid);
	proc_cpu_read(&l->own_to, getpid());

	l->ending = true;
	for (uint32_t i = 0; i < l->started; i++) {
		struct call *c = &l->callv[i];

		if (c->state != UP)
			continue;
		send_printf(l, c,
			    "{\"event\":\"stop\",\"sequenceNumber\":\"%" PRIu64
			    "\",\"streamSid\":\"%s\",\"stop\":{\"accountSid\":"
			    "\"AC%032x\",\"callSid\":\"CA%032x\"}}",
			    ++c->seq, c->sid, 1u, c->index + 1);
		memcpy(code + LOAD_FRAME_HEAD_MAX, "\x03\xe8", 2);
		if (c->state == UP)
			(void)send_message(l, c, 8, code, 2);
		if (c->state == UP) {
			c->state = ENDING;
			--l->up;
		}
	}
}

/* ----------------------------------------------------------------- time */

static void start_calls(struct load *l)
{
	uint64_t due = (l->now_us - l->begin_us) * l->rate / 1000000 + 1;

	while (l->started < l->calls && l->started < due)
		connect_call(l, &l->callv[l->started++]);
}

static void run_slots(struct load *l)
{
	while (l->next_slot_us <= l->now_us) {
		uint32_t first = (uint32_t)(l->slot++ % SLOTS);

		for (uint32_t i = first; i < l->started; i += SLOTS)
			if (l->callv[i].state == UP)
				send_frame(l, &l->callv[i], l->next_slot_us);
		l->next_slot_us += SLOT_US;
	}
}

/* @return false when all is over */
static bool advance(struct load *l)
{
	uint64_t all_us = l->begin_us + l->calls * 1000000ull / l->rate +
			  SETTLE_US;

	if (l->ending)
		return l->gone < l->started &&
		       l->now_us < l->window_end_us + END_US;

	start_calls(l);
	run_slots(l);
	if (!l->window_us && l->now_us >= all_us)
		begin_window(l);
	if (interrupted ||
	    (l->window_us &&
	     l->now_us >= l->window_us + l->seconds * 1000000ull) ||
	    (l->started == l->calls && l->gone == l->calls)) {
		if (!l->window_us)
			begin_window(l);
		end_window(l);
	}

	return true;
}

static int serve(struct load *l)
{
	const struct itimerspec every = {.it_interval.tv_nsec = SLOT_US * 1000,
					 .it_value.tv_nsec = SLOT_US * 1000};
	struct epoll_event evv[EVENTS], ev = {.events = EPOLLIN};
	uint64_t expired;

	l->ep = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->ep < 0 || l->timer < 0 ||
	    timerfd_settime(l->timer, 0, &every, NULL) ||
	    epoll_ctl(l->ep, EPOLL_CTL_ADD, l->timer, &ev))
		return errno;

	l->now_us = l->begin_us = l->next_slot_us = clk_now_us();
	do {
		int n = epoll_wait(l->ep, evv, EVENTS, -1);

		l->now_us = clk_now_us();
		for (int i = 0; i < n; i++)
			if (!evv[i].data.ptr) /* re-arms it */
				(void)!read(l->timer, &expired,
					    sizeof(expired));
			else
				ready(l, evv[i].data.ptr, evv[i].events);
	} while (advance(l));

	return 0;
}

/* -------------------------------------------------------------- summary */

static void measure(const struct load *l, struct load_report *r)
{
	*r = (struct load_report){
		.calls = l->calls,
		.held = l->calls - (uint32_t)(l->n.refused + l->n.dropped),
		.refused = l->n.refused,
		.dropped = l->n.dropped,
		.seconds = (double)(l->window_end_us - l->window_us) / 1e6,
		.frames_all = l->n.sent,
		.frames = l->n.sent - l->at_window.sent,
		.late = l->n.late - l->at_window.late,
		.lost = l->n.lost,
		.media_ms = l->n.media_ms,
		.marks = l->n.marks,
		.marks_lost = l->n.marks_lost,
		.clears = l->n.clears,
		.answer = &l->answer,
		.barge_in = &l->barge_in,
		.talked_over = l->n.talked_over - l->at_window.talked_over,
		.lateness = &l->lateness,
		.pid = l->pid,
		.daemon = proc_cpu_since(&l->daemon_from, &l->daemon_to),
		.own = proc_cpu_since(&l->own_from, &l->own_to),
		.rss_idle = l->idle.rss,
	};
}

/* --------------------------------------------------------------- set-up */

/* What callers say: one file a call in turn, or what passes for speech */
static int make_patterns(struct load *l)
{
	uint32_t n = MAX(l->sayc, 1u);
	int err = 0;

	for (uint32_t i = 0; i < n && !err; i++) {
		err = load_pattern_make(&l->patternv[i], l->sayv[i],
					l->speech_ms, l->silence_ms);
		if (err)
			fprintf(stderr, "convo-load: %s\n",
				l->sayv[i] ? l->sayv[i] : "tone bursts");
	}
	l->patternc = n;

	return err;
}

static int make_calls(struct load *l)
{
	struct call *callv = mem_zalloc(l->calls * sizeof(*callv), NULL);

	if (!callv)
		return ENOMEM;

	l->callv = callv;
	for (uint32_t i = 0; i < l->calls; i++) {
		struct call *c = &callv[i];
		/* any mask but zero, which servers take a short cut for */
		uint32_t mask = 0x9e3779b9u * (i + 1) | 0x01010101;

		c->fd = -1;
		c->index = i;
		/* not all speak at once */
		c->pattern = &l->patternv[i % l->patternc];
		c->pos = i * 7919 % c->pattern->payloadc;
		memcpy(c->mask, &mask, sizeof(c->mask));
		(void)snprintf(c->sid, sizeof(c->sid), "MZ%032x", i + 1);
	}

	return 0;
}

static int resolve(struct load *l)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char port[8];
	int err = wsc_url_parse(&l->to, l->url);

	if (err || l->to.tls) {
		fprintf(stderr, "convo-load: a ws:// URL is wanted\n");
		return EINVAL;
	}
	(void)snprintf(port, sizeof(port), "%u", l->to.port);
	err = getaddrinfo(l->to.host, port, &hints, &l->addr);
	if (err) {
		fprintf(stderr, "convo-load: %s: %s\n", l->to.host,
			gai_strerror(err));
		return EHOSTUNREACH;
	}

	return str_printf(&l->request,
			  "GET %s%.*s HTTP/1.1\r\nHost: %s\r\n"
			  "User-Agent: Twilio.TmeWs/1.0\r\n"
			  "Connection: Upgrade\r\nUpgrade: websocket\r\n"
			  "Sec-WebSocket-Version: 13\r\n"
			  "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
			  "\r\n",
			  l->to.target[0] == '/' ? "" : "/",
			  (int)l->to.targetc, l->to.target, l->to.authority);
}

static void raise_limit(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
}

static int run(struct load *l)
{
	struct load_report r;
	int err = resolve(l);

	if (!err)
		err = make_patterns(l);
	if (!err)
		err = make_calls(l);
	if (err) {
		fprintf(stderr, "convo-load: %s\n", strerror(err));
		return 1;
	}

	raise_limit();
	if (l->pid)
		proc_cpu_read(&l->idle, l->pid);
	err = serve(l);
	if (err) {
		fprintf(stderr, "convo-load: %s\n", strerror(err));
		return 1;
	}

	measure(l, &r);
	if (l->json)
		load_report_json(&r);
	else
		load_report_text(&r);

	return r.held < l->calls ? 2 : l->n.lost ? 3 : 0;
}

static void tear_down(struct load *l)
{
	for (uint32_t i = 0; l->callv && i < l->calls; i++)
		drop(l, &l->callv[i]);
	mem_deref(l->callv);
	for (uint32_t i = 0; i < l->patternc; i++)
		mem_deref(l->patternv[i].payloadv);
	mem_deref(l->request);
	if (l->addr)
		freeaddrinfo(l->addr);
	if (l->ep > 0)
		close(l->ep);
	if (l->timer > 0)
		close(l->timer);
}

/* ------------------------------------------------------------ command line */

static const char help[] =
	"Usage: convo-load [options] ws://HOST[:PORT]/PATH\n"
	"\n"
	"Holds many calls at once, each with 50 frames a second.\n"
	"\n"
	"  --calls N       calls (100)\n"
	"  --rate N        new calls a second (100)\n"
	"  --seconds N     time to measure, with all calls up (10)\n"
	"  --say FILE      what callers say, may be given again; without it\n"
	"                  bursts of a tone\n"
	"  --speech MS     length of the tone bursts together (2000)\n"
	"  --silence MS    silence after speech (4000)\n"
	"  --pid PID       measure CPU and memory of this process\n"
	"  --json          one JSON object\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 all calls held, no frame lost; 1 usage; 2 calls were\n"
	"refused or dropped; 3 frames were lost.\n";

static const struct option optionv[] = {
	{"calls", required_argument, NULL, 'c'},
	{"rate", required_argument, NULL, 'r'},
	{"seconds", required_argument, NULL, 's'},
	{"say", required_argument, NULL, 'f'},
	{"speech", required_argument, NULL, 'p'},
	{"silence", required_argument, NULL, 'q'},
	{"pid", required_argument, NULL, 'i'},
	{"json", no_argument, NULL, 'j'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'v'},
	{NULL, 0, NULL, 0},
};

static bool number(uint32_t *v, const char *s, uint32_t min, uint32_t max)
{
	char *end;
	unsigned long n = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || n < min || n > max) {
		fprintf(stderr, "convo-load: %s is not %u..%u\n", s, min, max);
		return false;
	}
	*v = (uint32_t)n;

	return true;
}

static bool set_option(struct load *l, int o, const char *arg)
{
	uint32_t pid = 0;

	switch (o) {
	case 'c':
		return number(&l->calls, arg, 1, CALLS_MAX);
	case 'r':
		return number(&l->rate, arg, 1, 100000);
	case 's':
		return number(&l->seconds, arg, 1, 86400);
	case 'p':
		return number(&l->speech_ms, arg, FRAME_MS, 600000);
	case 'q':
		return number(&l->silence_ms, arg, 0, 600000);
	case 'i':
		if (!number(&pid, arg, 1, INT32_MAX))
			return false;
		l->pid = (int)pid;
		return true;
	case 'f':
		if (l->sayc == PATTERNS_MAX)
			return false;
		l->sayv[l->sayc++] = arg;
		return true;
	case 'j':
		l->json = true;
		return true;
	case 'h':
		fputs(help, stdout);
		exit(0);
	case 'v':
		fputs("convo-load " CONVOD_VERSION "\n", stdout);
		exit(0);
	default:
		return false;
	}
}

int main(int argc, char **argv)
{
	static struct load l = {.calls = 100,
				.rate = 100,
				.seconds = 10,
				.speech_ms = 2000,
				.silence_ms = 4000};
	int o, res;

	while ((o = getopt_long(argc, argv, "", optionv, NULL)) != -1)
		if (!set_option(&l, o, optarg))
			return 1;
	if (optind + 1 != argc) {
		fprintf(stderr, "convo-load: one URL is wanted; see "
				"convo-load --help\n");
		return 1;
	}

	(void)signal(SIGINT, signal_handler);
	(void)signal(SIGTERM, signal_handler);
	l.url = argv[optind];
	res = run(&l);
	tear_down(&l);

	return res;
}

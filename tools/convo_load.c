/**
 * @file convo_load.c  convo-load: many paced calls at once, cheaply
 *
 * One thread on bare epoll. Calls are spread over the 20 slots of a frame, one
 * a millisecond; a timer that fires every millisecond sends the frames of the
 * slots that are due. This must cost less than the daemon that receives it.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <convod/clk.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "load_call.h"
#include "load_report.h"

enum {
	SLOTS = FRAME_MS,
	SLOT_US = 1000,
	SETTLE_US = 1000000, /* after the last call is up */
	END_US = 2000000,    /* for the daemon to close */
	EVENTS = 256,
	PATTERNS_MAX = 64,
	CALLS_MAX = 60000,
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
	int timer;
	struct load_line line;
	struct load_call *callv;
	uint32_t started;
	struct load_pattern patternv[PATTERNS_MAX];
	uint32_t patternc;

	uint64_t next_slot_us, begin_us;
	uint64_t slot;

	/* the steady window */
	uint64_t window_us, window_end_us;
	struct load_counters at_window;
	struct proc_cpu idle, daemon_from, daemon_to, own_from, own_to;
};

static volatile sig_atomic_t interrupted;

static void signal_handler(int sig)
{
	(void)sig;
	interrupted = 1;
}

/* ------------------------------------------------------ CPU and memory */

static void begin_window(struct load *l)
{
	l->window_us = l->line.now_us;
	l->at_window = l->line.n;
	memset(&l->line.answer, 0, sizeof(l->line.answer));
	memset(&l->line.barge_in, 0, sizeof(l->line.barge_in));
	memset(&l->line.lateness, 0, sizeof(l->line.lateness));
	if (l->pid)
		proc_cpu_read(&l->daemon_from, l->pid);
	proc_cpu_read(&l->own_from, getpid());
}

static void end_window(struct load *l)
{
	l->window_end_us = l->line.now_us;
	if (l->pid)
		proc_cpu_read(&l->daemon_to, l->pid);
	proc_cpu_read(&l->own_to, getpid());

	l->line.ending = true;
	for (uint32_t i = 0; i < l->started; i++)
		load_call_hang_up(&l->line, &l->callv[i]);
}

/* ----------------------------------------------------------------- time */

static void start_calls(struct load *l)
{
	uint64_t due = (l->line.now_us - l->begin_us) * l->rate / 1000000 + 1;

	while (l->started < l->calls && l->started < due)
		load_call_connect(&l->line, &l->callv[l->started++]);
}

static void run_slots(struct load *l)
{
	while (l->next_slot_us <= l->line.now_us) {
		uint32_t first = (uint32_t)(l->slot++ % SLOTS);

		for (uint32_t i = first; i < l->started; i += SLOTS)
			if (l->callv[i].state == LOAD_UP)
				load_call_send_frame(&l->line, &l->callv[i],
						     l->next_slot_us);
		l->next_slot_us += SLOT_US;
	}
}

/* @return false when all is over */
static bool advance(struct load *l)
{
	uint64_t all_us = l->begin_us + l->calls * 1000000ull / l->rate +
			  SETTLE_US;

	if (l->line.ending)
		return l->line.gone < l->started &&
		       l->line.now_us < l->window_end_us + END_US;

	start_calls(l);
	run_slots(l);
	if (!l->window_us && l->line.now_us >= all_us)
		begin_window(l);
	if (interrupted ||
	    (l->window_us &&
	     l->line.now_us >= l->window_us + l->seconds * 1000000ull) ||
	    (l->started == l->calls && l->line.gone == l->calls)) {
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

	l->line.ep = epoll_create1(EPOLL_CLOEXEC);
	l->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (l->line.ep < 0 || l->timer < 0 ||
	    timerfd_settime(l->timer, 0, &every, NULL) ||
	    epoll_ctl(l->line.ep, EPOLL_CTL_ADD, l->timer, &ev))
		return errno;

	l->line.now_us = l->begin_us = l->next_slot_us = clk_now_us();
	do {
		int n = epoll_wait(l->line.ep, evv, EVENTS, -1);

		l->line.now_us = clk_now_us();
		for (int i = 0; i < n; i++)
			if (!evv[i].data.ptr) /* re-arms it */
				(void)!read(l->timer, &expired,
					    sizeof(expired));
			else
				load_call_ready(&l->line, evv[i].data.ptr,
						evv[i].events);
	} while (advance(l));

	return 0;
}

/* -------------------------------------------------------------- summary */

static void measure(const struct load *l, struct load_report *r)
{
	*r = (struct load_report){
		.calls = l->calls,
		.held = l->calls -
			(uint32_t)(l->line.n.refused + l->line.n.dropped),
		.refused = l->line.n.refused,
		.dropped = l->line.n.dropped,
		.seconds = (double)(l->window_end_us - l->window_us) / 1e6,
		.frames_all = l->line.n.sent,
		.frames = l->line.n.sent - l->at_window.sent,
		.late = l->line.n.late - l->at_window.late,
		.lost = l->line.n.lost,
		.media_ms = l->line.n.media_ms,
		.marks = l->line.n.marks,
		.marks_lost = l->line.n.marks_lost,
		.clears = l->line.n.clears,
		.answer = &l->line.answer,
		.barge_in = &l->line.barge_in,
		.talked_over = l->line.n.talked_over -
			       l->at_window.talked_over,
		.lateness = &l->line.lateness,
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
	struct load_call *callv = mem_zalloc(l->calls * sizeof(*callv), NULL);
	uint32_t patternc = l->patternc;

	if (!callv)
		return ENOMEM;

	l->callv = callv;
	for (uint32_t i = 0; i < l->calls; i++) {
		struct load_call *c = &callv[i];
		/* any mask but zero, which servers take a short cut for */
		uint32_t mask = 0x9e3779b9u * (i + 1) | 0x01010101;

		c->fd = -1;
		c->index = i;
		/* not all speak at once */
		c->pattern = &l->patternv[i % patternc];
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
	err = getaddrinfo(l->to.host, port, &hints, &l->line.addr);
	if (err) {
		fprintf(stderr, "convo-load: %s: %s\n", l->to.host,
			gai_strerror(err));
		return EHOSTUNREACH;
	}

	return str_printf(&l->line.request,
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

	return r.held < l->calls ? 2 : l->line.n.lost ? 3 : 0;
}

static void tear_down(struct load *l)
{
	for (uint32_t i = 0; l->callv && i < l->calls; i++)
		load_call_drop(&l->line, &l->callv[i]);
	mem_deref(l->callv);
	for (uint32_t i = 0; i < l->patternc; i++)
		mem_deref(l->patternv[i].payloadv);
	mem_deref(l->line.request);
	if (l->line.addr)
		freeaddrinfo(l->line.addr);
	if (l->line.ep > 0)
		close(l->line.ep);
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

/**
 * @file grpc_sink.c  A recogniser that hears everything and thinks nothing
 *
 * The server side of Axy's protocol for load tests: accepts any number of
 * connections and streams, counts what comes in, and says something now and
 * then. One thread, epoll and nghttp2, so that it costs little beside what is
 * measured.
 *
 *	grpc_sink [--port N] [--interim-every MS] [--final-every MS]
 *	          [--text WORDS] [--report MS] [--max-streams N]
 *
 *   --port N           default 0: a free one, printed
 *   --interim-every MS an interim result in each stream; 0 (default): never
 *   --final-every MS   a final; 0 (default): never
 *   --text WORDS       what was heard, default "one two three"
 *   --report MS        counts every so often, default 0: only at the end
 *   --max-streams N    SETTINGS_MAX_CONCURRENT_STREAMS, default none
 *
 * Prints JSON, one object a line: {"event": "listening", "port": …} first;
 * {"event": "counts", "connections": …, "streams": …, "streams_total": …,
 * "messages": …, "bytes": …, "audio_bytes": …, "results": …, "cpu_ms": …} as
 * asked, and at the end, which is SIGTERM, SIGINT or the end of standard
 * input. Times are counted from each stream's first message, rounded up to
 * 20 ms.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <nghttp2/nghttp2.h>
#include <convod/list.h>
#include <convod/mem.h>

enum {
	EVENTS = 64,
	IN_SIZE = 64 << 10,
	OUT_SIZE = 64 << 10,
	HEAD = 5,
	RESULT_MAX = 512,
	TICK_MS = 20,
	WINDOW = 4 << 20,
};

struct conn {
	struct le le;
	int fd;
	nghttp2_session *h2;
	struct list streaml;
	bool blocked;
	size_t outc;
	uint8_t outv[OUT_SIZE];
};

struct stream {
	struct le le;
	struct conn *conn;
	int32_t id;
	uint8_t head[HEAD]; /* of the message that comes in */
	size_t headc;
	size_t left;                   /* bytes of it still to come */
	bool counted;                  /* its audio is */
	uint64_t interim_ms, final_ms; /* next ones */
	bool interim_due, final_due, ended, deferred;
};

struct result {
	uint8_t v[RESULT_MAX];
	size_t n;
};

static struct {
	int epoll, listener, signals;
	struct list connl;
	uint32_t interim_every, final_every, report_every, max_streams;
	uint16_t port;
	const char *text;
	struct result interim, final;
	uint64_t now, streams_total, messages, bytes, audio, results;
	uint8_t in[IN_SIZE];
} sink = {.text = "one two three"};

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

/* StreamingRecognizeResponse{results{alternatives{transcript}, is_final}} */
static void make_result(struct result *r, const char *text, bool final)
{
	size_t n = strnlen(text, 100); /* all lengths stay one byte */
	uint8_t *p = r->v;

	r->n = HEAD + 6 + n + (final ? 2 : 0);
	memset(p, 0, HEAD);
	p[4] = (uint8_t)(r->n - HEAD);
	p += HEAD;
	*p++ = 0x12;
	*p++ = (uint8_t)(4 + n + (final ? 2 : 0));
	*p++ = 0x0a;
	*p++ = (uint8_t)(2 + n);
	*p++ = 0x0a;
	*p++ = (uint8_t)n;
	memcpy(p, text, n);
	if (final)
		memcpy(p + n, "\x10\x01", 2);
}

static void report(void)
{
	size_t conns = 0, streams = 0;
	struct rusage ru;
	const struct le *le;
	long ms;

	LIST_FOREACH(&sink.connl, le)
	{
		const struct conn *c = le->data;

		++conns;
		streams += list_count(&c->streaml);
	}
	getrusage(RUSAGE_SELF, &ru);
	ms = (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) * 1000 +
	     (ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1000;
	printf("{\"event\": \"counts\", \"connections\": %zu, "
	       "\"streams\": %zu, \"streams_total\": %llu, "
	       "\"messages\": %llu, \"bytes\": %llu, "
	       "\"audio_bytes\": %llu, \"results\": %llu, "
	       "\"cpu_ms\": %ld}\n",
	       conns, streams, (unsigned long long)sink.streams_total,
	       (unsigned long long)sink.messages,
	       (unsigned long long)sink.bytes, (unsigned long long)sink.audio,
	       (unsigned long long)sink.results, ms);
	fflush(stdout);
}

/* ------------------------------------------------------------- streams */

static void stream_destructor(void *arg)
{
	struct stream *s = arg;

	list_unlink(&s->le);
}

/* Bytes of audio_content in a message of n bytes that begins with this tag:
 * what is neither the tag nor the length */
static size_t audio_of(uint8_t tag, size_t n)
{
	size_t head = 2;

	if (tag != 0x12 || n < head)
		return 0;
	while (head < 6 && n > head && (n - head) >> 7 * (head - 1))
		++head;

	return n - head;
}

/* Count whole messages, and the audio in them */
static void count_messages(struct stream *s, const uint8_t *p, size_t n)
{
	sink.bytes += n;
	while (n) {
		size_t take;

		if (s->headc < HEAD) {
			s->head[s->headc++] = *p++;
			--n;
			if (s->headc < HEAD)
				continue;
			s->left = (size_t)s->head[1] << 24 |
				  (size_t)s->head[2] << 16 |
				  (size_t)s->head[3] << 8 | s->head[4];
			s->counted = false;
		}
		if (n && s->left && !s->counted) {
			sink.audio += audio_of(*p, s->left);
			s->counted = true;
		}
		take = n < s->left ? n : s->left;
		p += take;
		n -= take;
		s->left -= take;
		if (!s->left) {
			s->headc = 0;
			++sink.messages;
		}
	}
}

static size_t put(uint8_t *buf, size_t room, const struct result *r)
{
	if (room < r->n)
		return 0;

	memcpy(buf, r->v, r->n);
	++sink.results;

	return r->n;
}

static ssize_t data_handler(nghttp2_session *h2, int32_t id, uint8_t *buf,
			    size_t max, uint32_t *flags,
			    nghttp2_data_source *source, void *arg)
{
	static const nghttp2_nv trailer = {
		(uint8_t *)(uintptr_t) "grpc-status",
		(uint8_t *)(uintptr_t) "0", 11, 1, NGHTTP2_NV_FLAG_NONE};
	struct stream *s = nghttp2_session_get_stream_user_data(h2, id);
	size_t n = 0;

	(void)source;
	(void)arg;
	if (s->interim_due)
		n += put(buf, max, &sink.interim);
	if (s->final_due)
		n += put(buf + n, max - n, &sink.final);
	s->interim_due = s->final_due = false;
	if (s->ended) {
		*flags |= NGHTTP2_DATA_FLAG_EOF |
			  NGHTTP2_DATA_FLAG_NO_END_STREAM;
		(void)nghttp2_submit_trailer(h2, id, &trailer, 1);
	} else if (!n) {
		s->deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}

	return (ssize_t)n;
}

static void respond(struct stream *s)
{
	static const nghttp2_nv nvv[] = {
		{(uint8_t *)(uintptr_t) ":status",
		 (uint8_t *)(uintptr_t) "200", 7, 3, NGHTTP2_NV_FLAG_NONE},
		{(uint8_t *)(uintptr_t) "content-type",
		 (uint8_t *)(uintptr_t) "application/grpc", 12, 16,
		 NGHTTP2_NV_FLAG_NONE},
	};
	const nghttp2_data_provider data = {.read_callback = data_handler};

	(void)nghttp2_submit_response(s->conn->h2, s->id, nvv, 2, &data);
}

static void resume(struct stream *s)
{
	if (!s->deferred)
		return;

	s->deferred = false;
	(void)nghttp2_session_resume_data(s->conn->h2, s->id);
}

static int begin_handler(nghttp2_session *h2, const nghttp2_frame *frame,
			 void *arg)
{
	struct conn *c = arg;
	struct stream *s;

	if (frame->hd.type != NGHTTP2_HEADERS ||
	    frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;

	s = mem_zalloc(sizeof(*s), stream_destructor);
	if (!s)
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	s->conn = c;
	s->id = frame->hd.stream_id;
	s->interim_ms = sink.now + sink.interim_every;
	s->final_ms = sink.now + sink.final_every;
	list_append(&c->streaml, &s->le, s);
	++sink.streams_total;

	return nghttp2_session_set_stream_user_data(h2, s->id, s);
}

static int frame_handler(nghttp2_session *h2, const nghttp2_frame *frame,
			 void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(
		h2, frame->hd.stream_id);

	(void)arg;
	if (!s)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS)
		respond(s);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
	    (frame->hd.type == NGHTTP2_HEADERS ||
	     frame->hd.type == NGHTTP2_DATA)) {
		s->ended = true;
		resume(s);
	}

	return 0;
}

static int chunk_handler(nghttp2_session *h2, uint8_t flags, int32_t id,
			 const uint8_t *p, size_t n, void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)flags;
	(void)arg;
	if (s)
		count_messages(s, p, n);

	return 0;
}

static int close_handler(nghttp2_session *h2, int32_t id, uint32_t code,
			 void *arg)
{
	struct stream *s = nghttp2_session_get_stream_user_data(h2, id);

	(void)code;
	(void)arg;
	mem_deref(s);

	return 0;
}

/* --------------------------------------------------------- connections */

static void conn_destructor(void *arg)
{
	struct conn *c = arg;

	list_flush(&c->streaml);
	nghttp2_session_del(c->h2);
	list_unlink(&c->le);
	close(c->fd);
}

static void wait_for(struct conn *c, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.ptr = c};

	(void)epoll_ctl(sink.epoll, EPOLL_CTL_MOD, c->fd, &ev);
}

static bool push_out(struct conn *c)
{
	ssize_t n = send(c->fd, c->outv, c->outc, MSG_NOSIGNAL);

	if (n < 0 && errno != EAGAIN)
		return false;
	if (n > 0) {
		memmove(c->outv, c->outv + n, c->outc - (size_t)n);
		c->outc -= (size_t)n;
	}
	if (c->blocked != (c->outc > 0)) {
		c->blocked = c->outc > 0;
		wait_for(c, EPOLLIN | (c->blocked ? EPOLLOUT : 0));
	}

	return true;
}

static ssize_t send_handler(nghttp2_session *h2, const uint8_t *p, size_t n,
			    int flags, void *arg)
{
	struct conn *c = arg;

	(void)h2;
	(void)flags;
	if (c->outc + n > sizeof(c->outv))
		return NGHTTP2_ERR_WOULDBLOCK;

	memcpy(c->outv + c->outc, p, n);
	c->outc += n;

	return (ssize_t)n;
}

static void conn_flush(struct conn *c)
{
	do {
		if (c->blocked || nghttp2_session_send(c->h2) || !c->outc ||
		    !push_out(c))
			break;
	} while (nghttp2_session_want_write(c->h2));

	if (!nghttp2_session_want_read(c->h2) &&
	    !nghttp2_session_want_write(c->h2))
		shutdown(c->fd, SHUT_RDWR);
}

static void conn_event(struct conn *c, uint32_t events)
{
	ssize_t n;

	if (events & EPOLLOUT && c->outc && !push_out(c)) {
		mem_deref(c);
		return;
	}
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) {
		n = recv(c->fd, sink.in, sizeof(sink.in), 0);
		if ((n <= 0 && !(n < 0 && errno == EAGAIN)) ||
		    (n > 0 && nghttp2_session_mem_recv(c->h2, sink.in,
						       (size_t)n) < 0)) {
			mem_deref(c);
			return;
		}
	}
	conn_flush(c);
}

static int session_alloc(struct conn *c)
{
	const nghttp2_settings_entry iv[] = {
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
		{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, sink.max_streams},
	};
	nghttp2_session_callbacks *cb;
	int rv;

	if (nghttp2_session_callbacks_new(&cb))
		return ENOMEM;

	nghttp2_session_callbacks_set_send_callback(cb, send_handler);
	nghttp2_session_callbacks_set_on_begin_headers_callback(cb,
								begin_handler);
	nghttp2_session_callbacks_set_on_frame_recv_callback(cb,
							     frame_handler);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
		cb, chunk_handler);
	nghttp2_session_callbacks_set_on_stream_close_callback(cb,
							       close_handler);
	rv = nghttp2_session_server_new(&c->h2, cb, c);
	nghttp2_session_callbacks_del(cb);
	if (!rv)
		rv = nghttp2_submit_settings(c->h2, NGHTTP2_FLAG_NONE, iv,
					     sink.max_streams ? 2 : 1);
	if (!rv)
		rv = nghttp2_session_set_local_window_size(
			c->h2, NGHTTP2_FLAG_NONE, 0, 16 * WINDOW);

	return rv ? ENOMEM : 0;
}

static void accept_one(void)
{
	int fd = accept4(sink.listener, NULL, NULL,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);
	const int on = 1;
	struct epoll_event ev = {.events = EPOLLIN};
	struct conn *c;

	if (fd < 0)
		return;

	c = mem_zalloc(sizeof(*c), conn_destructor);
	if (!c) {
		close(fd);
		return;
	}
	c->fd = fd;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	ev.data.ptr = c;
	if (session_alloc(c) ||
	    epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd, &ev)) {
		mem_deref(c);
		return;
	}
	list_append(&sink.connl, &c->le, c);
	conn_flush(c);
}

/* ------------------------------------------------------------- the run */

static bool is_due(uint64_t *at, uint32_t every)
{
	if (!every || sink.now < *at)
		return false;

	*at += every;

	return true;
}

static void say_something(void)
{
	struct le *ce, *se;

	LIST_FOREACH(&sink.connl, ce)
	{
		struct conn *c = ce->data;
		bool any = false;

		LIST_FOREACH(&c->streaml, se)
		{
			struct stream *s = se->data;

			s->interim_due |= is_due(&s->interim_ms,
						 sink.interim_every);
			s->final_due |= is_due(&s->final_ms, sink.final_every);
			if (s->interim_due || s->final_due) {
				resume(s);
				any = true;
			}
		}
		if (any)
			conn_flush(c);
	}
}

static int watch(int fd, void *ptr)
{
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = ptr};

	return epoll_ctl(sink.epoll, EPOLL_CTL_ADD, fd, &ev);
}

static int setup(void)
{
	struct sockaddr_in sa = {.sin_family = AF_INET,
				 .sin_port = htons(sink.port),
				 .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t len = sizeof(sa);
	const int on = 1;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sink.signals = signalfd(-1, &set, SFD_CLOEXEC);
	sink.epoll = epoll_create1(EPOLL_CLOEXEC);
	sink.listener = socket(AF_INET,
			       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sink.signals < 0 || sink.epoll < 0 || sink.listener < 0)
		return errno;

	(void)setsockopt(sink.listener, SOL_SOCKET, SO_REUSEADDR, &on,
			 sizeof(on));
	if (bind(sink.listener, (struct sockaddr *)&sa, len) ||
	    listen(sink.listener, 1024) ||
	    getsockname(sink.listener, (struct sockaddr *)&sa, &len) ||
	    watch(sink.listener, &sink.listener) ||
	    watch(sink.signals, &sink.signals))
		return errno;

	(void)watch(0, &sink); /* a file or /dev/null has no end to wait for */
	printf("{\"event\": \"listening\", \"port\": %u}\n",
	       ntohs(sa.sin_port));
	fflush(stdout);

	return 0;
}

/* Standard input has something: its end is ours */
static bool is_input_over(void)
{
	char buf[256];

	return read(0, buf, sizeof(buf)) <= 0;
}

static void run(void)
{
	uint64_t tick = now_ms() + TICK_MS, next = 0;
	bool over = false;

	while (!over) {
		struct epoll_event ev[EVENTS];
		int n = epoll_wait(sink.epoll, ev, EVENTS, TICK_MS);

		sink.now = now_ms();
		for (int i = 0; i < n; i++) {
			void *p = ev[i].data.ptr;

			if (p == &sink.listener)
				accept_one();
			else if (p == &sink.signals)
				over = true;
			else if (p == &sink)
				over |= is_input_over();
			else
				conn_event(p, ev[i].events);
		}
		if (sink.now >= tick) {
			say_something();
			tick = sink.now + TICK_MS;
		}
		if (sink.report_every && sink.now >= next) {
			report();
			next = sink.now + sink.report_every;
		}
	}
	report();
	list_flush(&sink.connl);
}

int main(int argc, char **argv)
{
	int err;

	for (int i = 1; i + 1 < argc; i += 2) {
		uint32_t v = (uint32_t)strtoul(argv[i + 1], NULL, 10);

		if (!strcmp(argv[i], "--port"))
			sink.port = (uint16_t)v;
		else if (!strcmp(argv[i], "--interim-every"))
			sink.interim_every = v;
		else if (!strcmp(argv[i], "--final-every"))
			sink.final_every = v;
		else if (!strcmp(argv[i], "--report"))
			sink.report_every = v;
		else if (!strcmp(argv[i], "--max-streams"))
			sink.max_streams = v;
		else if (!strcmp(argv[i], "--text"))
			sink.text = argv[i + 1];
		else
			return 2;
	}
	make_result(&sink.interim, sink.text, false);
	make_result(&sink.final, sink.text, true);

	err = setup();
	if (err) {
		fprintf(stderr, "grpc_sink: %s\n", strerror(err));
		return 1;
	}
	run();

	return 0;
}

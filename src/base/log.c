/**
 * @file log.c  One line an event, written by a thread of its own
 *
 * The queue is a ring of fixed lines under a lock: a log line is rare (never
 * one a frame), so a lock held for one memcpy is cheaper than it is clever.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>

struct line {
	uint16_t n;
	char s[LOG_LINE_MAX];
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t cond;
	pthread_t thread;
	struct line *linev;
	size_t head;  /* next to write out  */
	size_t count; /* waiting            */
	bool running;
	bool stop;
} q = {.lock = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static const char *const levelv[] = {"debug", "info", "warn", "error"};
static _Atomic int min_level = LOG_LVL_INFO;
static _Atomic int log_fmt = LOG_TEXT;
static atomic_bool transcripts;

static void write_all(const char *s, size_t n)
{
	while (n) {
		ssize_t w = write(STDERR_FILENO, s, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return; /* nobody to tell */
		s += w;
		n -= (size_t)w;
	}
}

static void *writer_thread(void *arg)
{
	struct line line;

	(void)arg;
	pthread_mutex_lock(&q.lock);
	for (;;) {
		while (!q.count && !q.stop)
			pthread_cond_wait(&q.cond, &q.lock);
		if (!q.count)
			break;

		memcpy(&line, &q.linev[q.head], sizeof(line));
		q.head = (q.head + 1) % LOG_QUEUE_MAX;
		--q.count;

		pthread_mutex_unlock(&q.lock);
		write_all(line.s, line.n);
		pthread_mutex_lock(&q.lock);
	}
	pthread_mutex_unlock(&q.lock);

	return NULL;
}

int log_init(enum log_level min, enum log_format format)
{
	int err;

	log_set_level(min);
	atomic_store(&log_fmt, format);
	if (q.running)
		return EALREADY;

	q.linev = mem_zalloc(LOG_QUEUE_MAX * sizeof(*q.linev), NULL);
	if (!q.linev)
		return ENOMEM;

	q.stop = false;
	err = pthread_create(&q.thread, NULL, writer_thread, NULL);
	if (err) {
		q.linev = mem_deref(q.linev);
		return err;
	}

	pthread_mutex_lock(&q.lock);
	q.running = true;
	pthread_mutex_unlock(&q.lock);

	return 0;
}

/* A pipe that nobody reads would hold up the end of the process for ever */
static bool writer_ends(void)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LOG_CLOSE_S;

	return !pthread_timedjoin_np(q.thread, NULL, &until);
}

void log_close(void)
{
	bool running;

	pthread_mutex_lock(&q.lock);
	running = q.running;
	q.running = false;
	q.stop = true;
	pthread_cond_signal(&q.cond);
	pthread_mutex_unlock(&q.lock);

	if (!running)
		return;

	if (!writer_ends()) {
		(void)pthread_detach(q.thread); /* with its lines */
		return;
	}
	q.linev = mem_deref(q.linev);
	q.head = q.count = 0;
}

void log_set_level(enum log_level min)
{
	atomic_store(&min_level, min);
}

enum log_level log_level_of(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(levelv); i++) {
		if (str_eq(levelv[i], name))
			return (enum log_level)i;
	}

	return LOG_LVL_INFO;
}

bool log_is_on(enum log_level level)
{
	return (int)level >=
	       atomic_load_explicit(&min_level, memory_order_relaxed);
}

void log_set_transcripts(bool on)
{
	atomic_store(&transcripts, on);
}

bool log_transcripts(void)
{
	return atomic_load(&transcripts);
}

/* ------------------------------------------------------------ the line */

struct out {
	char *s;
	size_t n;
	size_t size;
};

static void put(struct out *o, const char *s, size_t n)
{
	n = MIN(n, o->size - o->n);
	memcpy(o->s + o->n, s, n);
	o->n += n;
}

static void puts_out(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static void put_time(struct out *o)
{
	struct timespec ts;
	struct tm tm;
	char buf[40];
	size_t n;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	n = strftime(buf, sizeof(buf), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(buf + n, sizeof(buf) - n, ".%03ldZ",
		       ts.tv_nsec / 1000000);
	puts_out(o, buf);
}

/* The value of a pair ends at a blank, or at its closing quote; 0: that one
 * was cut off */
static size_t value_len(const char *s)
{
	size_t n = 1;

	if (s[0] != '"')
		return strcspn(s, " ");

	while (s[n] && s[n] != '"')
		n += s[n] == '\\' && s[n + 1] ? 2 : 1;

	return s[n] ? n + 1 : 0;
}

static bool is_number(const char *s, size_t n)
{
	return n && n < 16 && strspn(s, "0123456789.") >= n && s[0] != '.' &&
	       s[n - 1] != '.' && (s[0] != '0' || n == 1 || s[1] == '.') &&
	       (!memchr(s, '.', n) || memchr(s, '.', n) == memrchr(s, '.', n));
}

/* `a=1 b="x y"` to `,"a":1,"b":"x y"`; the text escapes are JSON's too. A pair
 * that is not whole, or has no room, is left out with those behind it. */
static void put_pairs_json(struct out *o, const char *s)
{
	enum { AROUND = 6 /* comma, colon, quotes */ };

	while (*s) {
		size_t key, val;

		s += strspn(s, " ");
		key = strcspn(s, "= ");
		if (!key || s[key] != '=')
			return;
		val = value_len(s + key + 1);
		if (!val && s[key + 1] == '"')
			return;
		if (key + val + AROUND > o->size - o->n)
			return;

		puts_out(o, ",\"");
		put(o, s, key);
		puts_out(o, "\":");
		s += key + 1;
		if (s[0] == '"' || is_number(s, val)) {
			put(o, s, val);
		} else {
			puts_out(o, "\"");
			put(o, s, val);
			puts_out(o, "\"");
		}
		s += val;
	}
}

static void put_line(struct out *o, const char *level, const char *call,
		     const char *event, const char *pairs)
{
	bool json = atomic_load_explicit(&log_fmt, memory_order_relaxed) ==
		    LOG_JSON;

	if (json)
		puts_out(o, "{\"time\":\"");
	put_time(o);
	puts_out(o, json ? "\",\"level\":\"" : " ");
	puts_out(o, level);
	if (json)
		puts_out(o, "\"");
	if (call) {
		puts_out(o, json ? ",\"call\":\"" : " call=");
		puts_out(o, LOG_STR(call));
		if (json)
			puts_out(o, "\"");
	}
	puts_out(o, json ? ",\"event\":\"" : " event=\"");
	puts_out(o, event);
	puts_out(o, "\"");

	if (json) {
		put_pairs_json(o, pairs);
		o->size++; /* the byte that was kept for it */
		puts_out(o, "}");
	} else if (*pairs) {
		puts_out(o, " ");
		puts_out(o, pairs);
	}
}

static void enqueue(const struct out *o)
{
	bool queued = true;

	pthread_mutex_lock(&q.lock);
	if (!q.running) {
		queued = false;
	} else if (q.count == LOG_QUEUE_MAX) {
		metrics_inc(M_LOG_DROPPED);
	} else {
		struct line *l =
			&q.linev[(q.head + q.count++) % LOG_QUEUE_MAX];

		l->n = (uint16_t)o->n;
		memcpy(l->s, o->s, o->n);
		pthread_cond_signal(&q.cond);
	}
	pthread_mutex_unlock(&q.lock);

	if (!queued)
		write_all(o->s, o->n);
}

void log_event(enum log_level level, const char *call, const char *event,
	       const char *fmt, ...)
{
	char line[LOG_LINE_MAX], pairs[LOG_LINE_MAX - 256];
	/* one byte is kept for the end of the line, one for JSON's brace */
	struct out o = {.s = line, .size = sizeof(line) - 2};
	va_list ap;

	if (!log_is_on(level))
		return;

	pairs[0] = '\0';
	if (fmt) {
		va_start(ap, fmt);
		(void)vsnprintf(pairs, sizeof(pairs), fmt, ap);
		va_end(ap);
	}

	put_line(&o, levelv[level], call, event, pairs);
	line[o.n++] = '\n';
	enqueue(&o);
}

const char *log_escape(struct log_buf *b, const char *s)
{
	size_t n = 0;

	for (; *s && n < sizeof(b->s) - 7; s++) {
		uint8_t c = (uint8_t)*s;

		if (c == '"' || c == '\\') {
			b->s[n++] = '\\';
			b->s[n++] = (char)c;
		} else if (c < 0x20 || c == 0x7f) {
			n += (size_t)snprintf(b->s + n, 7, "\\u%04x", c);
		} else {
			b->s[n++] = (char)c;
		}
	}

	/* not half a character at the cut */
	if (*s) {
		while (n && ((uint8_t)b->s[n - 1] & 0xc0) == 0x80)
			--n;
		if (n && (uint8_t)b->s[n - 1] >= 0xc0)
			--n;
	}
	b->s[n] = '\0';

	return b->s;
}

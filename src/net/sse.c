/**
 * @file sse.c  Server-sent events, parsed as they arrive
 *
 * One buffer holds the data of the event so far, a line feed behind each of
 * its lines, and behind that the line that is arriving:
 *
 *	 first data line \n second one \n data: the third o
 *	 ◀────────── data_n ──────────▶
 *	 ◀──────────────────── buf.n ─────────────────────▶
 *
 * Only whole lines are looked at, so it does not matter where a character,
 * a field's name or a CRLF was cut in two.
 */
#include <errno.h>
#include <string.h>
#include <convod/buf.h>
#include <convod/mem.h>
#include <convod/sse.h>
#include <convod/str.h>
#include <convod/utf8.h>

struct sse {
	struct buf buf; /* has room for a zero or a line feed behind */
	size_t data_n;
	size_t max;
	char event[SSE_NAME_SIZE];
	bool started; /* the first line, which may have a BOM, is over */
	bool cr;      /* a line feed that comes now belongs to it */
	bool lines;
	bool bare;
	int err;
	sse_h *eventh;
	void *arg;
};

/* The caller of the parser, who holds the other reference, wants more */
static bool is_wanted(const struct sse *s)
{
	return mem_nrefs(s) > 1 && !s->err;
}

/* ------------------------------------------------------------- delivery */

/** Hand over text that is not UTF-8, or has zeros, with those replaced */
static int deliver_cleaned(struct sse *s, const char *p, size_t n)
{
	size_t size = 3 * n + 1; /* U+FFFD takes three bytes */
	char *clean = mem_raw_malloc(size);

	if (!clean)
		return ENOMEM;

	n = utf8_clean(clean, size, p, n);
	s->eventh(s->event[0] ? s->event : "message", clean, n, s->arg);
	mem_raw_free(clean);

	return 0;
}

/** Hand over n bytes of the buffer; the byte behind them is free */
static void deliver(struct sse *s, char *p, size_t n)
{
	p[n] = '\0';
	if (utf8_is_valid(p, n) && !memchr(p, '\0', n))
		s->eventh(s->event[0] ? s->event : "message", p, n, s->arg);
	else
		s->err = deliver_cleaned(s, p, n);
}

/** A blank line: the event is whole. Without a data line it is none. */
static void dispatch(struct sse *s)
{
	size_t n = s->data_n;

	if (n)
		deliver(s, s->buf.p, n - 1);
	else if (s->bare && s->event[0])
		s->eventh(s->event, "", 0, s->arg);
	s->buf.n = s->data_n = 0;
	s->event[0] = '\0';
}

/* ---------------------------------------------------------------- lines */

static bool field_is(const char *name, size_t n, const char *field)
{
	return n == strlen(field) && !memcmp(name, field, n);
}

/** A line other than a blank one, in the buffer behind the data */
static void take_field(struct sse *s, char *line, size_t n)
{
	const char *colon = memchr(line, ':', n);
	size_t name_n = colon ? (size_t)(colon - line) : n;
	const char *value = line + name_n + (colon ? 1 : 0);
	size_t value_n = (size_t)(line + n - value);

	if (value_n && *value == ' ') {
		++value;
		--value_n;
	}

	if (field_is(line, name_n, "data")) {
		/* buf_add() left room for the line feed */
		memmove(line, value, value_n);
		line[value_n] = '\n';
		s->data_n += value_n + 1;
	} else if (field_is(line, name_n, "event")) {
		(void)utf8_clean(s->event, sizeof(s->event), value, value_n);
	}
}

static void take_line(struct sse *s)
{
	static const char bom[] = "\xef\xbb\xbf";
	char *line = s->buf.p + s->data_n;
	size_t n = s->buf.n - s->data_n;

	if (!s->started && n >= 3 && !memcmp(line, bom, 3)) {
		line = memmove(line, line + 3, n - 3);
		n -= 3;
	}
	s->started = true;

	if (!n)
		dispatch(s);
	else if (s->lines && *line == '{')
		deliver(s, line, n);
	else
		take_field(s, line, n);
	s->buf.n = s->data_n;
}

static size_t line_len(const char *p, size_t n)
{
	size_t i = 0;

	while (i < n && p[i] != '\r' && p[i] != '\n')
		++i;

	return i;
}

/** Take bytes up to and with the next line's end; returns how many */
static size_t push_line(struct sse *s, const char *p, size_t n)
{
	size_t len;

	if (s->cr && *p == '\n') {
		s->cr = false;
		return 1;
	}
	s->cr = false;

	len = line_len(p, n);
	s->err = buf_add(&s->buf, p, len, s->max);
	if (s->err || len == n)
		return len;

	s->cr = p[len] == '\r';
	take_line(s);

	return len + 1;
}

/* --------------------------------------------------------------- stream */

static void destructor(void *arg)
{
	struct sse *s = arg;

	buf_reset(&s->buf);
}

int sse_alloc(struct sse **sp, size_t max, bool lines, sse_h *eventh,
	      void *arg)
{
	struct sse *s;

	if (!sp || !eventh)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), destructor);
	if (!s)
		return ENOMEM;

	s->max = max ? max : SSE_EVENT_MAX_BYTES;
	s->lines = lines;
	s->eventh = eventh;
	s->arg = arg;
	*sp = s;

	return 0;
}

void sse_take_bare(struct sse *s)
{
	if (s)
		s->bare = true;
}

int sse_push(struct sse *s, const void *p, size_t n)
{
	const char *bytes = p;
	int err;

	if (!s || (n && !p))
		return EINVAL;

	mem_ref(s);
	while (n && is_wanted(s)) {
		size_t len = push_line(s, bytes, n);

		bytes += len;
		n -= len;
	}
	err = s->err;
	mem_deref(s);

	return err;
}

int sse_end(struct sse *s)
{
	int err;

	if (!s)
		return EINVAL;

	mem_ref(s);
	if (is_wanted(s) && s->buf.n > s->data_n)
		take_line(s);
	if (is_wanted(s))
		dispatch(s);
	err = s->err;
	mem_deref(s);

	return err;
}

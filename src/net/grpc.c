/**
 * @file grpc.c  gRPC client: channels and streams
 *
 * A stream waits in its channel until a connection has room for it, at most
 * GRPC_CONNECT_MS; connections are opened as the number of waiting streams
 * needs them. What happens on the wire is in grpc_conn.c.
 *
 *	waiting ──▶ on a connection ──▶ ended
 *	   └──────────────────────────────▲
 *
 * Owners: a stream holds its channel, a channel its connections.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "grpc_conn.h"

enum {
	BUF_MIN = 4 << 10,   /* one block of 100 ms at 16 kHz */
	BUF_KEEP = 32 << 10, /* a larger buffer is given back when empty */
};

/* ------------------------------------------------------------ channels */

/* Fail what has waited too long; all have the same time, the first is due
 * first. An object cannot go away under us: the handlers' streams hold ch. */
static void wait_handler(void *arg)
{
	struct grpc_channel *ch = mem_ref(arg);
	uint64_t now = loop_now_ms(ch->loop);

	while (ch->waitl.head) {
		struct grpc_stream *s = list_ledata(ch->waitl.head);

		if (s->deadline_ms > now) {
			tmr_start_at(ch->tmr_wait, s->deadline_ms);
			break;
		}
		grpc_stream_end(s, GRPC_UNAVAILABLE,
				"no connection had room in time");
	}
	mem_deref(ch);
}

static struct grpc_conn *conn_with_room(const struct grpc_channel *ch)
{
	const struct le *le;

	LIST_FOREACH(&ch->connl, le)
	{
		struct grpc_conn *c = le->data;

		if (grpc_conn_has_room(c))
			return c;
	}

	return NULL;
}

static size_t connecting(const struct grpc_channel *ch)
{
	const struct le *le;
	size_t n = 0;

	LIST_FOREACH(&ch->connl, le)
	{
		const struct grpc_conn *c = le->data;

		n += !c->up;
	}

	return n;
}

/* Open as many connections as the waiting streams will need */
static void connect_more(struct grpc_channel *ch)
{
	size_t per = MAX(ch->stream_max, 1u);
	size_t need = (list_count(&ch->waitl) + per - 1) / per;
	size_t have = connecting(ch), all = list_count(&ch->connl);
	int err = 0;

	for (; have < need && all < GRPC_CONNS_MAX && !err; have++, all++)
		err = grpc_conn_alloc(ch);

	if (err && !connecting(ch))
		grpc_channel_failed(ch, strerror(err));
}

static void assign_handler(void *arg)
{
	struct grpc_channel *ch = mem_ref(arg);

	while (ch->waitl.head) {
		struct grpc_stream *s = list_ledata(ch->waitl.head);
		struct grpc_conn *c = conn_with_room(ch);

		if (!c)
			break;
		list_unlink(&s->le);
		if (grpc_conn_submit(c, s))
			grpc_stream_end(s, GRPC_UNAVAILABLE, "out of memory");
	}

	if (ch->waitl.head)
		connect_more(ch);
	mem_deref(ch);
}

void grpc_channel_wake(struct grpc_channel *ch)
{
	loop_flush_later(ch->loop, &ch->assign);
}

void grpc_channel_failed(struct grpc_channel *ch, const char *why)
{
	mem_ref(ch);
	if (!connecting(ch)) {
		/* those that handlers add while this runs come later */
		size_t n = list_count(&ch->waitl);

		while (n-- && ch->waitl.head)
			grpc_stream_end(list_ledata(ch->waitl.head),
					GRPC_UNAVAILABLE, why);
	}
	if (ch->waitl.head)
		loop_flush_later(ch->loop, &ch->assign);
	mem_deref(ch);
}

static void channel_destructor(void *arg)
{
	struct grpc_channel *ch = arg;

	list_unlink(&ch->assign.le);
	while (ch->connl.head)
		grpc_conn_close(list_ledata(ch->connl.head));
	mem_deref(ch->tmr_wait);
	mem_deref(ch->host);
	mem_deref(ch->authority);
	SSL_CTX_free(ch->tls);
}

int grpc_channel_alloc(struct grpc_channel **cp, struct loop *l,
		       const char *host, uint16_t port, bool tls,
		       const char *ca_file)
{
	struct grpc_channel *ch;
	int err;

	if (!cp || !l || !str_isset(host) || !port)
		return EINVAL;

	ch = mem_zalloc(sizeof(*ch), channel_destructor);
	if (!ch)
		return ENOMEM;

	ch->loop = l;
	ch->port = port;
	ch->stream_max = GRPC_STREAMS_MAX;
	ch->assign.h = assign_handler;
	ch->assign.arg = ch;
	err = str_dup(&ch->host, host);
	if (!err)
		err = str_printf(&ch->authority,
				 strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
				 port);
	if (!err)
		err = tmr_alloc(&ch->tmr_wait, l, wait_handler, ch);
	if (!err && tls)
		err = sock_tls_alloc(&ch->tls, ca_file);
	if (err)
		mem_deref(ch);
	else
		*cp = ch;

	return err;
}

/* ------------------------------------------------------------- streams */

void grpc_stream_end(struct grpc_stream *s, int status, const char *message)
{
	grpc_conn_detach(s, status == GRPC_OK ? NGHTTP2_NO_ERROR
					      : NGHTTP2_CANCEL);
	if (s->ended)
		return;

	s->ended = true;
	mem_ref(s);
	s->closeh(status, message, s->arg);
	mem_deref(s);
}

static void stream_destructor(void *arg)
{
	struct grpc_stream *s = arg;

	grpc_conn_detach(s, NGHTTP2_CANCEL);
	grpc_frame_reset(&s->frame);
	mem_raw_free(s->buf);
	for (size_t i = 0; i < s->metadatac; i++)
		mem_deref(s->metadatav[i]);
	mem_deref(s->path);
	mem_deref(s->message);
	mem_deref(s->ch);
}

/* "Name: value" → "name\0value" */
static int add_metadata(struct grpc_stream *s, const char *line)
{
	const char *colon = strchr(line, ':');
	size_t name = colon ? (size_t)(colon - line) : 0;
	const char *value;
	char *dst = NULL;
	int err;

	if (!name || s->metadatac == ARRAY_SIZE(s->metadatav))
		return EINVAL;

	value = colon + 1 + strspn(colon + 1, " ");
	err = str_printf(&dst, "%.*s:%s", (int)name, line, value);
	if (err)
		return err;

	dst[name] = '\0';
	for (size_t i = 0; i < name; i++)
		dst[i] = (char)tolower((unsigned char)dst[i]);
	s->metadatav[s->metadatac++] = dst;

	return 0;
}

int grpc_stream_open(struct grpc_stream **sp, struct grpc_channel *c,
		     const char *path, const char *const *metadata,
		     grpc_message_h *msgh, grpc_close_h *closeh, void *arg)
{
	struct grpc_stream *s;
	int err;

	if (!sp || !c || !path || !msgh || !closeh)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), stream_destructor);
	if (!s)
		return ENOMEM;

	s->ch = mem_ref(c);
	s->msgh = msgh;
	s->closeh = closeh;
	s->arg = arg;
	s->status = -1;
	s->deadline_ms = loop_now_ms(c->loop) + GRPC_CONNECT_MS;
	err = str_dup(&s->path, path);
	for (; metadata && *metadata && !err; metadata++)
		err = add_metadata(s, *metadata);
	if (err) {
		mem_deref(s);
		return err;
	}

	/* Opened at the end of the turn, when all that want one are known */
	list_append(&c->waitl, &s->le, s);
	if (!tmr_is_running(c->tmr_wait))
		tmr_start_at(c->tmr_wait, s->deadline_ms);
	loop_flush_later(c->loop, &c->assign);
	*sp = s;

	return 0;
}

/* Make room for n bytes behind tail */
static int buf_reserve(struct grpc_stream *s, size_t n)
{
	size_t used = s->tail - s->head, size;
	uint8_t *buf;

	if (!used) {
		s->head = s->tail = 0;
		if (s->size > BUF_KEEP) {
			mem_raw_free(s->buf);
			s->buf = NULL;
			s->size = 0;
		}
	}
	if (used + n > GRPC_BACKLOG_MAX)
		return ENOBUFS;
	if (s->tail + n <= s->size)
		return 0;

	if (s->head) {
		memmove(s->buf, s->buf + s->head, used);
		s->head = 0;
		s->tail = used;
	}
	if (used + n <= s->size)
		return 0;

	size = MAX(s->size, (size_t)BUF_MIN);
	while (size < used + n)
		size *= 2;
	buf = mem_raw_realloc(s->buf, size);
	if (!buf)
		return ENOMEM;
	s->buf = buf;
	s->size = size;

	return 0;
}

uint8_t *grpc_stream_message(struct grpc_stream *s, size_t n)
{
	uint8_t *p;

	if (s->ended || s->finished || n > GRPC_BACKLOG_MAX ||
	    buf_reserve(s, GRPC_HEAD + n))
		return NULL;

	p = s->buf + s->tail;
	grpc_frame_put_head(p, n);
	s->tail += GRPC_HEAD + n;
	grpc_conn_resume(s);

	return p + GRPC_HEAD;
}

void grpc_stream_finish(struct grpc_stream *s)
{
	s->finished = true;
	grpc_conn_resume(s);
}

size_t grpc_stream_backlog(const struct grpc_stream *s)
{
	return s->tail - s->head;
}

/**
 * @file ws.c  Server websockets on libwebsockets
 *
 * Messages go out in the caller's turn when nothing is buffered: a writable
 * callback costs four epoll_ctl a frame. libwebsockets takes what the socket
 * did not and asks to write again by itself; meanwhile what we send waits in
 * a queue here, because 4.1 loses the framing of a message written on top of
 * a buffered one.
 *
 * We write our close frame ourselves: libwebsockets can do it only from its
 * own callbacks, and does not read (so that the close may be answered by a
 * reset) nor write it behind buffered data.
 *
 *	open ──ws_close()──▶ closing ──close frame, or deadline──▶ gone
 *	 └────────close frame or end of the connection─────────────▲
 *
 * Owner graph: the connection owns the ws; wsi is weak and NULL once gone.
 */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <convod/buf.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "httpd_priv.h"

enum {
	GATHER_KEEP = 1024, /* of the gather buffer kept between messages */
	REASON_MAX = 123,   /* RFC 6455 section 5.5 */
	/* lws_write() takes it, but the public header of 4.1 leaves it out */
	WRITE_CLOSE = 4,
	QUEUE_HEAD = LWS_PRE, /* in front of each queued message; its length
			       * stands there until it is sent */
};

_Static_assert(LWS_PRE == WS_PRE_BYTES, "head room of libwebsockets");

struct ws {
	struct httpd *httpd;
	struct lws *wsi;
	struct ws_handlers h;
	void *arg;
	bool accepted, open;

	/* the message that is arriving */
	struct buf msg; /* gathered so far */
	size_t msgc;    /* of a binary one only its length matters */
	unsigned fragments;

	/* what did not go out at once */
	char *queue; /* QUEUE_HEAD and payload of each message, or NULL */
	size_t queue_at, queuec;
	size_t partial;       /* of a message libwebsockets buffers, or 0 */
	bool told_again;      /* EAGAIN was said */
	uint64_t progress_ms; /* something left, while partial is set */

	bool closing, close_sent;
	int code;
	uint8_t reason[LWS_PRE + 2 + REASON_MAX];
	size_t reasonc;
	uint64_t close_due_ms;
	uint64_t ping_ms;
};

static void destructor(void *arg)
{
	struct ws *ws = arg;

	buf_reset(&ws->msg);
	mem_raw_free(ws->queue);
}

int ws_alloc(struct ws **wsp, struct httpd *h, struct lws *wsi)
{
	struct ws *ws = mem_zalloc(sizeof(*ws), destructor);

	if (!ws)
		return ENOMEM;

	ws->httpd = h;
	ws->wsi = wsi;
	ws->code = WS_ABNORMAL;
	*wsp = ws;

	return 0;
}

void ws_accept(struct ws *ws, const struct ws_handlers *h, void *arg)
{
	ws->h = *h;
	ws->arg = arg;
	ws->accepted = true;
}

bool ws_is_accepted(const struct ws *ws)
{
	return ws->accepted;
}

void ws_opened(struct ws *ws)
{
	if (!ws->wsi)
		return;

	ws->open = true;
	ws->ping_ms = loop_now_ms(ws->httpd->loop) + ws->httpd->ping_ms;
	metrics_gauge(M_SOCKETS_UP, 1);
	if (ws->h.openh)
		ws->h.openh(ws->arg);
}

void ws_gone(struct ws *ws, int code)
{
	if (!ws->wsi)
		return;

	if (ws->open)
		metrics_gauge(M_SOCKETS_UP, -1);
	ws->wsi = NULL;
	ws->open = false;
	if (ws->h.closeh)
		ws->h.closeh(ws->closing ? ws->code : code, ws->arg);
}

/** End the connection; libwebsockets sees its end in the next turn */
static void hang_up(struct ws *ws, bool reset)
{
	static const struct linger now = {.l_onoff = 1};
	int fd = lws_get_socket_fd(ws->wsi);

	/* else the kernel would keep what a stuck peer does not take */
	if (reset)
		(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	(void)shutdown(fd, SHUT_RDWR);
}

/* ---------------------------------------------------------------- sending */

static void send_close(struct ws *ws)
{
	ws->close_sent = true;
	if (lws_write(ws->wsi, ws->reason + LWS_PRE, ws->reasonc,
		      (enum lws_write_protocol)WRITE_CLOSE) < 0)
		hang_up(ws, false);
}

static int send_now(struct ws *ws, char *buf, size_t len)
{
	if (lws_write(ws->wsi, (unsigned char *)buf, len, LWS_WRITE_TEXT) <
	    0) {
		hang_up(ws, false);
		return ENOTCONN;
	}

	metrics_inc(M_MESSAGES_OUT);
	if (lws_partial_buffered(ws->wsi)) {
		ws->partial = QUEUE_HEAD + len;
		ws->progress_ms = loop_now_ms(ws->httpd->loop);
	}

	return 0;
}

static int queue_message(struct ws *ws, const char *buf, size_t len)
{
	size_t end = ws->queue_at + ws->queuec;

	if (ws->partial + ws->queuec + QUEUE_HEAD + len > WS_QUEUE_MAX) {
		ws->told_again = true;
		return EAGAIN;
	}

	/* without memory it is as full as it can be: try again */
	if (!ws->queue) {
		ws->queue = mem_raw_malloc(WS_QUEUE_MAX);
		if (!ws->queue) {
			ws->told_again = true;
			return EAGAIN;
		}
	}
	if (end + QUEUE_HEAD + len > WS_QUEUE_MAX) {
		memmove(ws->queue, ws->queue + ws->queue_at, ws->queuec);
		ws->queue_at = 0;
		end = ws->queuec;
	}

	memcpy(ws->queue + end, &len, sizeof(len));
	memcpy(ws->queue + end + QUEUE_HEAD, buf, len);
	ws->queuec += QUEUE_HEAD + len;

	return 0;
}

int ws_send_text(struct ws *ws, char *buf, size_t len)
{
	if (!ws || !buf)
		return EINVAL;
	if (!ws->open || ws->closing)
		return ENOTCONN;
	if (len > WS_MESSAGE_MAX)
		return EMSGSIZE;

	return ws->partial ? queue_message(ws, buf, len)
			   : send_now(ws, buf, len);
}

/** libwebsockets' buffer is empty again: go on with ours */
void ws_writable(struct ws *ws)
{
	if (!ws->open || !ws->partial || lws_partial_buffered(ws->wsi))
		return;

	ws->partial = 0;
	while (ws->queuec && !ws->partial) {
		char *m = ws->queue + ws->queue_at;
		size_t len;

		memcpy(&len, m, sizeof(len));
		ws->queue_at += QUEUE_HEAD + len;
		ws->queuec -= QUEUE_HEAD + len;
		if (send_now(ws, m + QUEUE_HEAD, len))
			return;
	}
	if (ws->partial)
		return;

	mem_raw_free(ws->queue);
	ws->queue = NULL;
	ws->queue_at = 0;
	if (ws->closing) {
		send_close(ws);
	} else if (ws->told_again) {
		ws->told_again = false;
		if (ws->h.drainh)
			ws->h.drainh(ws->arg);
	}
}

void ws_close(struct ws *ws, int code, const char *reason)
{
	uint8_t *p;

	if (!ws || !ws->open || ws->closing)
		return;

	p = ws->reason + LWS_PRE;
	ws->closing = true;
	ws->code = code;
	ws->close_due_ms = loop_now_ms(ws->httpd->loop) + ws->httpd->close_ms;
	p[0] = code >> 8;
	p[1] = code & 0xff;
	ws->reasonc = 2;
	if (reason) {
		size_t n = MIN(strlen(reason), REASON_MAX);

		memcpy(p + 2, reason, n);
		ws->reasonc += n;
	}
	if (!ws->partial)
		send_close(ws);
}

/* -------------------------------------------------------------- receiving */

static void message_done(struct ws *ws, const char *p, size_t n)
{
	bool binary = lws_frame_is_binary(ws->wsi);

	ws->fragments = 0;
	ws->msgc = ws->msg.n = 0;
	if (binary) {
		if (ws->h.binaryh)
			ws->h.binaryh(n, ws->arg);
	} else if (ws->h.texth) {
		ws->h.texth(p, n, ws->arg);
	}

	if (ws->msg.size > GATHER_KEEP)
		buf_reset(&ws->msg);
}

static int gather(struct ws *ws, const char *p, size_t n)
{
	ws->msgc += n;

	return lws_frame_is_binary(ws->wsi)
		       ? 0
		       : buf_add(&ws->msg, p, n, WS_MESSAGE_MAX);
}

/** Close the websocket for what its peer did */
static void close_for(struct ws *ws, int code, const char *reason)
{
	if (ws->h.faulth)
		ws->h.faulth(code, ws->arg);
	ws_close(ws, code, reason);
}

/** A piece of a frame, or a whole one; n is 0 for an empty one */
void ws_received(struct ws *ws, const char *p, size_t n)
{
	bool frame_ends, ends;

	/* what was on its way when we hung up comes even without wsi */
	if (!ws->open || ws->closing)
		return;

	frame_ends = !lws_remaining_packet_payload(ws->wsi);
	ends = frame_ends && lws_is_final_fragment(ws->wsi);
	if (ws->msgc + n > WS_MESSAGE_MAX) {
		close_for(ws, WS_TOO_BIG, "message too long");
		return;
	}
	ws->fragments += frame_ends;
	if (ws->fragments > WS_FRAGMENTS_MAX) {
		close_for(ws, WS_TOO_BIG, "too many fragments");
		return;
	}

	if (ends && !ws->msgc) {
		message_done(ws, n ? p : "", n);
		return;
	}
	if (gather(ws, p, n)) {
		close_for(ws, WS_INTERNAL, "out of memory");
		return;
	}
	if (ends)
		message_done(ws, ws->msg.p, ws->msgc);
}

int ws_peer_closes(struct ws *ws, const uint8_t *p, size_t n)
{
	bool ours = ws->close_sent;

	ws_gone(ws, n >= 2 ? p[0] << 8 | p[1] : WS_NO_STATUS);

	/* the answer to our close frame must not be answered again */
	return ours ? -1 : 0;
}

/* ------------------------------------------------------------------ clock */

void ws_tick(struct ws *ws, uint64_t now_ms)
{
	if (!ws->open)
		return;

	if (ws->closing && now_ms >= ws->close_due_ms) {
		hang_up(ws, ws->partial);
		ws_gone(ws, ws->code);
		return;
	}
	if (ws->partial && now_ms >= ws->progress_ms + ws->httpd->stuck_ms) {
		metrics_inc(M_CLOSED_STUCK);
		if (ws->h.faulth)
			ws->h.faulth(WS_ABNORMAL, ws->arg);
		hang_up(ws, true);
		ws_gone(ws, WS_ABNORMAL);
		return;
	}
	if (now_ms < ws->ping_ms)
		return;

	ws->ping_ms += ws->httpd->ping_ms;
	if (!ws->partial && !ws->closing) {
		uint8_t buf[LWS_PRE];

		if (lws_write(ws->wsi, buf + LWS_PRE, 0, LWS_WRITE_PING) < 0)
			hang_up(ws, false);
	}
}

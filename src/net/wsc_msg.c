/**
 * @file wsc_msg.c  Websocket client: messages, and saying goodbye
 *
 * A message goes out at once where nothing waits; else it waits with others,
 * WSC_BACKLOG_MAX bytes at most, until the socket takes it. One that comes in
 * pieces is put together, WSC_MESSAGE_MAX bytes at most.
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "wsc_priv.h"

/* A message that waits until the socket takes it */
struct pending {
	struct le le;
	enum lws_write_protocol op;
	size_t len;
	uint8_t buf[]; /* LWS_PRE bytes, then the message */
};

/* -------------------------------------------------------------- sending */

static int write_now(struct wsc *w, enum lws_write_protocol op, uint8_t *msg,
		     size_t len)
{
	return lws_write(w->wsi, msg, len, op) < (int)len ? ECONNRESET : 0;
}

static int queue(struct wsc *w, enum lws_write_protocol op, const void *msg,
		 size_t len)
{
	struct pending *p;

	if (w->pendingc + len > WSC_BACKLOG_MAX) {
		w->starved = true;
		return EAGAIN;
	}

	p = mem_zalloc(sizeof(*p) + LWS_PRE + len, NULL);
	if (!p)
		return ENOMEM;

	p->op = op;
	p->len = len;
	if (len)
		memcpy(p->buf + LWS_PRE, msg, len);
	list_append(&w->pendingl, &p->le, p);
	w->pendingc += len;
	lws_callback_on_writable(w->wsi);

	return 0;
}

/* Room for a message, and for what is written in front of it */
static int tx_reserve(struct wsc *w, size_t len)
{
	size_t size = MAX(2 * w->txc, LWS_PRE + len);
	uint8_t *p;

	if (LWS_PRE + len <= w->txc)
		return 0;

	p = mem_raw_realloc(w->txv, size);
	if (!p)
		return ENOMEM;
	w->txv = p;
	w->txc = size;

	return 0;
}

int wsc_send(struct wsc *w, bool binary, const void *msg, size_t len)
{
	enum lws_write_protocol op = binary ? LWS_WRITE_BINARY
					    : LWS_WRITE_TEXT;

	if (!w || (!msg && len))
		return EINVAL;
	if (w->state != OPEN || !w->wsi)
		return ENOTCONN;
	if (w->pendingl.head || lws_partial_buffered(w->wsi))
		return queue(w, op, msg, len);
	if (tx_reserve(w, len))
		return ENOMEM;

	if (len)
		memcpy(w->txv + LWS_PRE, msg, len);

	/* a broken socket tells its own end, from the loop */
	(void)write_now(w, op, w->txv + LWS_PRE, len);

	return 0;
}

/* Not by returning -1: Debian's build closes such a connection twice with
 * libuv (service.c, "uv repeat test", a check of debug builds), and the second
 * time cuts the close frame off. With a reason set this one only begins it. */
static void send_close(struct wsc *w)
{
	if (w->close_sent)
		return;

	w->close_sent = true;
	lws_close_reason(w->wsi, (enum lws_close_status)w->close_code,
			 (uint8_t *)w->close_reason, strlen(w->close_reason));
	lws_set_timeout(w->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

int wsc_drain(struct wsc *w)
{
	while (w->pendingl.head && !lws_partial_buffered(w->wsi)) {
		struct pending *p = list_ledata(w->pendingl.head);
		int err = write_now(w, p->op, p->buf + LWS_PRE, p->len);

		list_unlink(&p->le);
		w->pendingc -= p->len;
		mem_deref(p);
		if (err)
			return -1;
	}

	if (w->pendingl.head || lws_partial_buffered(w->wsi)) {
		lws_callback_on_writable(w->wsi);
		return 0;
	}

	if (w->state == CLOSING) {
		send_close(w);
		return 0;
	}

	if (w->starved) {
		w->starved = false;
		if (w->h->drainh)
			w->h->drainh(w->arg);
	}

	return 0;
}

void wsc_close(struct wsc *w, int code, const char *reason)
{
	if (!w || w->state == CLOSING || w->state == ENDED)
		return;

	if (w->state != OPEN) {
		/* nothing to say goodbye to; told from the loop, not here */
		tmr_start(w->tmr, 0);
		return;
	}

	w->state = CLOSING;
	w->close_code = code;
	str_copy(w->close_reason, sizeof(w->close_reason),
		 reason ? reason : "");
	tmr_start(w->tmr, WSC_CLOSE_MS);
	lws_callback_on_writable(w->wsi);
}

/* ------------------------------------------------------------ receiving */

int wsc_receive(struct wsc *w, const char *p, size_t n)
{
	bool final = lws_is_final_fragment(w->wsi);
	bool binary = lws_frame_is_binary(w->wsi);
	size_t len;
	int err;

	if (w->state != OPEN && w->state != CLOSING)
		return -1;

	if (lws_is_first_fragment(w->wsi))
		w->rx.n = 0;
	if (!w->rx.n && final) {
		w->h->messageh(binary, p, n, w->arg);
		return 0;
	}

	err = buf_add(&w->rx, p, n, WSC_MESSAGE_MAX);
	if (err) {
		wsc_finish(w, err,
			   err == ENOMEM ? "out of memory"
					 : "message too long");
		return -1;
	}
	if (!final)
		return 0;

	len = w->rx.n;
	w->rx.n = 0;
	w->h->messageh(binary, w->rx.p, len, w->arg);

	return 0;
}

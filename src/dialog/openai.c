/**
 * @file openai.c  Language models: OpenAI-compatible chat completions
 *
 * Each turn sends the whole conversation so far and reads an event stream,
 * whose text is cut into sentences and spoken while the rest is written.
 *
 *	turn()            first token        end of stream
 *	 ──▶ WAITS_FIRST ──────────▶ WAITS_NEXT ─────────▶ done
 *	       │     ▲                  │ "[DONE]"        ▲
 *	       ▼     │ once             ▼                 │
 *	    WAITS_RETRY             WAITS_CLOSE ──────────┘
 *
 * A request is repeated only before anything of an answer came: once for a
 * fault that may pass, once without tools, once with half the history.
 * Cancelling closes the connection, which is the only way to stop a model.
 *
 * Spec: dialog.md section 10
 */
#include <errno.h>
#include <string.h>
#include <convod/buf.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/sse.h>
#include <convod/str.h>
#include "openai.h"
#include "openai_chunk.h"
#include "pieces.h"
#include "session.h"

enum {
	NEXT_TOKEN_MS = 10000, /* dialog.md 10.3 */
	PAUSE_MS = 400,        /* without a token: an end mark is one */
	CLOSE_MS = 300,        /* for the connection's end after [DONE] */
	RETRY_MS = 300,        /* if the server does not say */
	RETRY_MAX_S = 2,       /* longer no caller shall wait */
	WHOLE_MAX_BYTES = 256 << 10, /* an answer that is no stream */
	ANSWER_MAX_BYTES = 16 << 20, /* all of a stream, thinking too */
	STATUS_OK = 200,
};

enum waits { WAITS_FIRST, WAITS_NEXT, WAITS_RETRY, WAITS_CLOSE };

struct chat {
	struct session s; /* first */
	struct openai *o; /* the same as s.ds.dialog */
	struct history history;
	char *prompt;          /* of this call */
	bool may_be_silent;    /* nobody has asked anything */
	struct http_req *warm; /* see warm_up() */

	/* the turn in flight */
	struct http_req *req;
	struct sse *sse;
	struct tmr *tmr_wait, *tmr_pause;
	enum waits waits;
	uint64_t end_ms;
	bool tools;      /* this request offers some */
	bool retried;    /* after a fault that may pass */
	bool halved;     /* the history */
	bool answered;   /* something of an answer came */
	bool spoken;     /* or done */
	bool whole;      /* it is no stream */
	struct buf body; /* of an error, or the whole answer */
	struct pieces pieces;
	struct openai_calls calls;
};

static int ask(struct chat *c);

/* -------------------------------------------------------------- the end */

static void stop(struct chat *c)
{
	tmr_cancel(c->tmr_wait);
	tmr_cancel(c->tmr_pause);
	c->req = mem_deref(c->req);
	c->sse = mem_deref(c->sse);
	buf_reset(&c->body);
}

static void finish(struct chat *c, int err)
{
	stop(c);
	session_done(&c->s, err);
}

static uint32_t left_ms(const struct chat *c)
{
	uint64_t now = loop_now_ms(c->s.loop);

	return now < c->end_ms ? (uint32_t)(c->end_ms - now) : 0;
}

static void wait_for(struct chat *c, enum waits waits, uint32_t ms)
{
	c->waits = waits;
	tmr_start(c->tmr_wait, MIN(ms, left_ms(c)));
}

/* ----------------------------------------------------------- the answer */

/* Give what is certain to the user; false: no more is wanted */
static bool speak(struct chat *c, enum pieces_when when)
{
	char text[PIECE_SIZE];

	while (pieces_take(&c->pieces, text, when)) {
		/* at once, since the user may interrupt from inside */
		if (history_add(&c->history, HISTORY_BOT, text)) {
			finish(c, ENOMEM);
			return false;
		}
		c->spoken = true;
		if (!session_act(&c->s,
				 &(struct dialog_act){.type = DIALOG_SAY,
						      .text = text}))
			return false;
	}

	if (pieces_wait(&c->pieces) && when == PIECES_MORE)
		tmr_start(c->tmr_pause, PAUSE_MS);

	return true;
}

static bool use_tools(struct chat *c)
{
	for (size_t i = 0; i < c->calls.callc; i++) {
		const struct openai_call *call = &c->calls.callv[i];
		char number[DIALOG_ID_MAX];
		struct dialog_act act;

		if (!openai_call_act(call, &act, number)) {
			metrics_inc(M_DIALOG_IGNORED);
			log_warn(c->s.call_id, "model calls unknown tool",
				 "name=\"%s\"", LOG_STR(call->name));
			continue;
		}
		c->spoken = true;
		if (!session_act(&c->s, &act))
			return false;
	}
	c->calls.callc = 0;

	return true;
}

/* The model is done; false: nothing more is wanted, or there was nothing */
static bool conclude(struct chat *c)
{
	if (!speak(c, PIECES_END) || !use_tools(c))
		return false;

	if (c->spoken || c->may_be_silent)
		return true;

	log_warn(c->s.call_id, "model said nothing", NULL);
	finish(c, EPROTO);

	return false;
}

static void take_chunk(struct chat *c, const struct openai_chunk *chunk)
{
	if (chunk->error) {
		log_warn(c->s.call_id, "model broke off", "why=\"%s\"",
			 LOG_STR(session_quote(&c->s, chunk->error,
					       c->o->auth)));
		finish(c, EREMOTEIO);
		return;
	}

	if (chunk->alive)
		wait_for(c, WAITS_NEXT, NEXT_TOKEN_MS);
	openai_calls_add(&c->calls, chunk->calls);
	if (chunk->text.n) {
		pieces_add(&c->pieces, chunk->text.p, chunk->text.n);
		if (!speak(c, PIECES_MORE))
			return;
	}

	if (c->pieces.full) {
		metrics_inc(M_DIALOG_CUT);
		log_warn(c->s.call_id, "answer is cut", "bytes=%u",
			 (unsigned)PIECES_MAX);
		finish(c, 0);
	} else if (chunk->done && conclude(c)) {
		wait_for(c, WAITS_CLOSE, CLOSE_MS);
	}
}

static int parse(struct chat *c, const char *p, size_t n)
{
	struct openai_chunk *chunk;
	int err = openai_chunk_parse(&chunk, p, n);

	if (!err) {
		take_chunk(c, chunk);
		mem_deref(chunk);
	}

	return err;
}

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct chat *c = arg;
	int err;

	(void)event;
	/* after the end, to nobody, and without data */
	if (c->waits == WAITS_CLOSE || !session_is_on(&c->s, c->s.turn) || !n)
		return;

	err = parse(c, data, n);
	if (err) {
		log_warn(c->s.call_id, "model's event is nonsense", NULL);
		finish(c, err);
	}
}

/* Some answer with one JSON object although a stream was asked for */
static int take_whole(struct chat *c)
{
	unsigned turn = c->s.turn;
	int err = parse(c, buf_str(&c->body), c->body.n);

	if (!err && session_is_on(&c->s, turn) && conclude(c))
		finish(c, 0);

	return err;
}

static int take_rest(struct chat *c)
{
	unsigned turn = c->s.turn;
	int err = c->sse ? sse_end(c->sse) : EPROTO;

	if (session_is_on(&c->s, turn) && !err &&
	    (c->waits == WAITS_CLOSE || conclude(c)))
		finish(c, 0);

	return err;
}

/* -------------------------------------------------------------- requests */

static int take_bytes(struct chat *c, const uint8_t *p, size_t n)
{
	int err = 0;

	if (!c->answered) {
		while (n && (*p == ' ' || (*p >= '\t' && *p <= '\r'))) {
			++p;
			--n;
		}
		if (!n)
			return 0;
		c->answered = true;
		c->whole = *p == '{';
		if (!c->whole)
			err = sse_alloc(&c->sse, 0, false, event_handler, c);
		/* now it is certain what the refusal was about */
		if (!c->tools && !c->o->no_tools) {
			c->o->no_tools = true;
			log_warn(c->s.call_id, "model takes no tools",
				 "hint=\"it cannot end or transfer calls\"");
		}
	}

	if (c->whole)
		return buf_add(&c->body, p, n, WHOLE_MAX_BYTES);

	return err ? err : sse_push(c->sse, p, n);
}

static void body_handler(int status, const uint8_t *p, size_t n, void *arg)
{
	struct chat *c = mem_ref(arg);
	unsigned turn = c->s.turn;
	int err = 0;

	if (status == STATUS_OK)
		err = take_bytes(c, p, n);
	else
		(void)!buf_add(&c->body, p, n, WHOLE_MAX_BYTES);

	if (err && session_is_on(&c->s, turn))
		finish(c, err);
	mem_deref(c);
}

/* Once more, later; false if there is no time for it or it was tried */
static bool try_again(struct chat *c, uint32_t ms)
{
	if (c->retried || c->answered || ms >= left_ms(c))
		return false;

	metrics_inc(M_DIALOG_AGAIN);
	c->retried = true;
	wait_for(c, WAITS_RETRY, ms);

	return true;
}

/* Once more at once, with less; false if that makes no difference */
static bool try_less(struct chat *c, const struct openai_error *e)
{
	if (e->tools && c->tools)
		c->tools = false;
	else if (e->too_long && !c->halved && history_halve(&c->history))
		c->halved = true;
	else
		return false;

	metrics_inc(M_DIALOG_AGAIN);

	return !ask(c);
}

static void refused(struct chat *c, const struct http_resp *resp)
{
	struct openai_error e;
	uint32_t ms = resp->retry_after_s ? resp->retry_after_s * 1000
					  : RETRY_MS;

	openai_error_parse(&e, resp->status, buf_str(&c->body), c->body.n);
	log_warn(c->s.call_id, "model refused", "status=%d why=\"%s\"",
		 resp->status,
		 LOG_STR(session_quote(&c->s, e.what, c->o->auth)));
	buf_reset(&c->body);

	if (try_less(c, &e))
		return;
	if (e.transient && ms <= RETRY_MAX_S * 1000 && try_again(c, ms))
		return;

	finish(c, EREMOTEIO);
}

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct chat *c = mem_ref(arg);
	unsigned turn = c->s.turn;

	c->req = mem_deref(c->req);
	tmr_cancel(c->tmr_wait);
	if (err && c->waits == WAITS_CLOSE)
		err = 0; /* all there is has come */

	if (!err && resp->status != STATUS_OK)
		refused(c, resp);
	else if (!err)
		err = c->whole ? take_whole(c) : take_rest(c);
	else if (session_may_pass(err) && try_again(c, 0))
		err = 0;

	if (err && session_is_on(&c->s, turn))
		finish(c, err);
	mem_deref(c);
}

static int ask(struct chat *c)
{
	const char *headerv[] = {"Content-Type: application/json",
				 "Accept: text/event-stream, application/json",
				 c->o->auth, NULL};
	struct http_param prm = {
		.method = "POST",
		.url = c->o->url,
		.headerv = headerv,
		.timeout_ms = MAX(left_ms(c), 1),
		.body_max = ANSWER_MAX_BYTES,
	};
	char *body;
	int err = openai_request_print(&body, c->o, &c->history, c->prompt,
				       c->tools);

	if (err)
		return err;

	prm.body = body;
	prm.bodyc = strlen(body);
	c->req = mem_deref(c->req);
	err = http_request(&c->req, c->o->net->http, &prm, body_handler,
			   done_handler, c);
	mem_deref(body);
	if (!err)
		wait_for(c, WAITS_FIRST, c->o->first_ms);

	return err;
}

static void wait_handler(void *arg)
{
	struct chat *c = mem_ref(arg);
	int err = 0;

	switch (c->waits) {
	case WAITS_RETRY:
		err = ask(c);
		if (err)
			finish(c, err);
		break;
	case WAITS_CLOSE:
		finish(c, 0);
		break;
	default:
		log_warn(c->s.call_id, "model is silent", "waits_for=%s",
			 c->waits == WAITS_FIRST ? "first" : "next");
		finish(c, ETIMEDOUT);
		break;
	}
	mem_deref(c);
}

static void pause_handler(void *arg)
{
	struct chat *c = mem_ref(arg);

	(void)speak(c, PIECES_PAUSE);
	mem_deref(c);
}

/* -------------------------------------------------------------- session */

/* What the caller did not hear was not said; what was not answered and comes
 * again was not asked */
static int revise(struct chat *c, const struct dialog_turn *t)
{
	const char *heard = t->heard ? t->heard : "";
	int err = history_heard(&c->history, heard);

	if (!heard[0]) {
		history_take_back(&c->history, t->text);
		return err;
	}

	if (!err)
		err = history_add(&c->history, HISTORY_USER,
				  "[The caller interrupted you here and heard "
				  "no more]");

	return err;
}

static int remember(struct chat *c, const struct dialog_turn *t)
{
	char *text = NULL;
	int err = 0;

	if (t->interrupted || c->s.cancelled)
		err = revise(c, t);
	if (!err)
		err = openai_turn_print(&text, c->o, t);
	if (!err)
		err = history_add(&c->history, HISTORY_USER, text);
	mem_deref(text);

	return err;
}

static int chat_turn(struct dialog_session *ds, const struct dialog_turn *t)
{
	struct chat *c = CONTAINER_OF(ds, struct chat, s.ds);
	int err;

	if (c->s.asking)
		return EBUSY;

	err = remember(c, t);
	if (err)
		return err;

	c->may_be_silent = t->kind == DIALOG_NOBODY || t->kind == DIALOG_NOISE;
	c->end_ms = loop_now_ms(c->s.loop) + c->o->timeout_ms;
	c->tools = !c->o->no_tools;
	c->retried = c->halved = c->answered = c->spoken = c->whole = false;
	memset(&c->pieces, 0, sizeof(c->pieces));
	memset(&c->calls, 0, sizeof(c->calls));
	err = ask(c);
	if (!err)
		err = session_begin(&c->s, t);

	return err;
}

static void chat_cancel(struct dialog_session *ds)
{
	struct chat *c = CONTAINER_OF(ds, struct chat, s.ds);

	stop(c);
	session_cancel(&c->s);
}

static void chat_destructor(void *arg)
{
	struct chat *c = arg;

	stop(c);
	mem_deref(c->warm);
	mem_deref(c->tmr_wait);
	mem_deref(c->tmr_pause);
	mem_deref(c->prompt);
	history_flush(&c->history);
	session_close(&c->s);
}

static void warm_handler(int err, const struct http_resp *resp, void *arg)
{
	struct chat *c = arg;

	(void)err;
	(void)resp;
	c->warm = mem_deref(c->warm);
}

/*
 * The caller is being greeted by others: time to look the name up and to
 * connect, so that the first question finds a connection. Whatever is answered
 * will do.
 */
static void warm_up(struct session *s)
{
	struct chat *c = CONTAINER_OF(s, struct chat, s);
	const char *const headerv[] = {c->o->auth, NULL};
	const struct http_param prm = {
		.method = "OPTIONS",
		.url = c->o->url,
		.headerv = headerv,
		.timeout_ms = c->o->first_ms,
		.body_max = WHOLE_MAX_BYTES,
	};

	(void)!http_request(&c->warm, c->o->net->http, &prm, NULL,
			    warm_handler, c);
}

/* The model has not said it, and need not say it again */
static int add_greeting(struct chat *c, const char *greeting)
{
	char *text = NULL;
	int err;

	if (!str_isset(greeting))
		return 0;

	err = str_printf(&text, "[The caller has been greeted: \"%s\"]",
			 greeting);
	if (!err)
		err = history_add(&c->history, HISTORY_USER, text);
	mem_deref(text);

	return err;
}

static int chat_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct chat *c = mem_zalloc(sizeof(*c), chat_destructor);
	int err;

	if (!c)
		return ENOMEM;

	c->o = CONTAINER_OF(d, struct openai, d);
	c->s.idleh = warm_up;
	err = session_open(&c->s, d, c->o->net, call, h, arg);
	if (!err)
		err = openai_prompt_print(&c->prompt, c->o, call, time(NULL));
	if (!err)
		err = add_greeting(c, call->greeting);
	if (!err)
		err = tmr_alloc(&c->tmr_wait, c->s.loop, wait_handler, c);
	if (!err)
		err = tmr_alloc(&c->tmr_pause, c->s.loop, pause_handler, c);
	if (err)
		mem_deref(c);
	else
		*sp = &c->s.ds;

	return err;
}

const struct dialog_backend dialog_openai = {
	.name = "openai",
	.schemev = {"openai+http", "openai+https"},
	.form = "openai+http(s)://host[:port][/"
		"base][?temperature=0.4&max_tokens=200…]",
	.alloc = openai_alloc,
	.open = chat_open,
	.turn = chat_turn,
	.cancel = chat_cancel,
	.opens = true,
	.forgets = true,
	.knows_nobody = true,
};

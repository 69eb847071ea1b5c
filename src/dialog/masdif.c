/**
 * @file masdif.c  Dialog manager Masdif
 *
 * A conversation is created by POST /conversations; each turn is one PUT to
 * it, whose answer brings the texts and one audio for all of them.
 *
 *	          created              turn()
 *	OPENING ──────────▶ IDLE ◀──────────────▶ ASKING
 *	   │ failed          ▲                      │ 404, once in a turn
 *	   ▼     turn()      │ created              ▼
 *	NO ID ─────────────▶ CREATING ◀─────────────┘
 *
 * A turn that comes while OPENING waits for its end. Masdif has no way to
 * close a conversation: it is left alone.
 *
 * Spec: Masdif 0.4.3, dialog.md section 7
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/clk.h>
#include <convod/http.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "masdif.h"

enum {
	TIMEOUT_DEFAULT_MS = 15000, /* as dialog.md 7.4 advises */
	STATUS_OK = 200,
	STATUS_CREATED = 201, /* what the README says and the code does not */
	STATUS_NOT_FOUND = 404,
};

struct masdif {
	struct dialog dialog; /* first */
	const struct net *net;
	char *base; /* without a slash at the end */
	char origin[HTTP_ORIGIN_MAX];
	char *language;
	uint32_t timeout_ms;
};

struct talk {
	struct dialog_session ds; /* first */
	struct masdif *masdif;    /* the same as ds.dialog */
	char *call_id;
	char id[DIALOG_ID_MAX]; /* "" while there is none */
	struct http_req *req;

	bool opening; /* openh is still owed */
	bool reopened;
	bool asking;    /* a turn is in flight */
	bool recreated; /* for this turn, after a 404 */
	unsigned turn;  /* grows with each turn and cancel */
	char *body;     /* of the turn, NULL: nothing to say */
	uint64_t start_us;
	struct loop_flush flush; /* ends a turn that has nothing to say */
};

static int create(struct talk *s);
static int ask(struct talk *s);

/* The one reference besides ours is the user's */
static bool is_dropped(const struct talk *s)
{
	return mem_nrefs(s) == 1;
}

/* ----------------------------------------------------------------- turn */

static void done(struct talk *s, int err)
{
	s->asking = false;
	s->req = mem_deref(s->req);
	s->body = mem_deref(s->body);
	if (err)
		log_warn(s->call_id, "turn failed", "err=\"%s\"",
			 strerror(err));

	s->ds.h.doneh(err, s->ds.arg);
}

static void act(struct talk *s, enum dialog_act_type type, const char *text,
		const char *url)
{
	const struct dialog_act a = {
		.type = type,
		.text = text,
		.url = url,
		.origin = s->masdif->origin,
	};

	s->ds.h.acth(&a, s->ds.arg);
}

/** Is the turn whose reply is being given still wanted? */
static bool is_wanted(const struct talk *s, unsigned turn)
{
	return !is_dropped(s) && s->asking && s->turn == turn;
}

/*
 * The audio speaks all the texts at once (dialog.md 7.5, point 1), so the
 * first attachment stands for them: what can't be fetched is spoken instead.
 */
static int play(struct talk *s, const struct masdif_reply *r, unsigned *played)
{
	unsigned turn = s->turn;

	for (size_t i = 0; i < r->srcc && is_wanted(s, turn); i++) {
		char *url;
		int err = url_resolve(&url, s->masdif->base, r->srcv[i]);

		if (err == ENOMEM)
			return err;
		if (err) {
			log_warn(s->call_id, "audio link is no URL", NULL);
			continue;
		}
		act(s, DIALOG_PLAY, *played ? "" : r->text, url);
		++*played;
		mem_deref(url);
	}

	return 0;
}

static void reply(struct talk *s, const struct http_resp *resp)
{
	struct masdif_reply *r;
	unsigned turn = s->turn, played = 0;
	int err = masdif_reply_parse(&r, resp->body, resp->bodyc);

	if (err) {
		done(s, err);
		return;
	}

	err = play(s, r, &played);
	for (size_t i = 0; !err && !played && i < r->textc; i++)
		if (is_wanted(s, turn))
			act(s, DIALOG_SAY, r->textv[i], "");
	mem_deref(r);

	if (is_wanted(s, turn))
		done(s, err);
}

static void turn_handler(int err, const struct http_resp *resp, void *arg)
{
	struct talk *s = mem_ref(arg);

	s->req = mem_deref(s->req);
	if (!err && resp->status == STATUS_NOT_FOUND && !s->recreated) {
		/* the database was reset: once more, from the start */
		log_warn(s->call_id, "conversation is gone", "id=%s", s->id);
		s->recreated = true;
		s->id[0] = '\0';
		err = create(s);
		if (err)
			done(s, err);
		goto out;
	}
	if (!err && resp->status != STATUS_OK) {
		log_warn(s->call_id, "dialog manager refused", "status=%d",
			 resp->status);
		err = EREMOTEIO;
	}
	if (err)
		done(s, err);
	else
		reply(s, resp);

out:
	mem_deref(s);
}

/* ---------------------------------------------------------------- create */

/** @return true if it goes on with another try */
static bool try_again(struct talk *s, int err)
{
	if (!s->opening || s->reopened || err == ETIMEDOUT || err == ENOMEM)
		return false;

	s->reopened = true;

	return !create(s);
}

static void opened(struct talk *s, int err)
{
	s->opening = false;
	s->ds.h.openh(err, err ? "" : s->id, s->ds.arg);
}

static void create_handler(int err, const struct http_resp *resp, void *arg)
{
	struct talk *s = mem_ref(arg);

	s->req = mem_deref(s->req);
	if (!err && resp->status != STATUS_OK &&
	    resp->status != STATUS_CREATED) {
		log_warn(s->call_id, "no conversation", "status=%d",
			 resp->status);
		err = EREMOTEIO;
	}
	if (!err)
		err = masdif_id_parse(s->id, resp->body, resp->bodyc);
	if (err && try_again(s, err))
		goto out;

	if (s->opening)
		opened(s, err);
	/* without a body the turn has nothing to say, and ends by itself */
	if (!is_dropped(s) && s->asking && s->body && !s->req) {
		if (!err)
			err = ask(s);
		if (err)
			done(s, err);
	}

out:
	mem_deref(s);
}

/* ------------------------------------------------------------- requests */

/** What is left of the time that a turn, or opening, may take */
static uint32_t time_left_ms(const struct talk *s)
{
	uint64_t ms = (clk_now_us() - s->start_us) / 1000;
	uint32_t limit = s->masdif->timeout_ms;

	return ms + 1 < limit ? limit - (uint32_t)ms : 1;
}

static int request(struct talk *s, const char *method, const char *id,
		   const char *body, http_done_h *doneh)
{
	/* without Accept errors come as HTML pages */
	static const char *const headerv[] = {"Content-Type: application/json",
					      "Accept: application/json",
					      NULL};
	char url[HTTP_URL_MAX];
	struct http_param prm = {
		.method = method,
		.url = url,
		.headerv = headerv,
		.body = body,
		.bodyc = strlen(body),
		.timeout_ms = time_left_ms(s),
		.body_max = MASDIF_REPLY_MAX_BYTES,
	};
	int n = snprintf(url, sizeof(url), "%s/conversations%s%s",
			 s->masdif->base, *id ? "/" : "", id);

	if (n < 0 || (size_t)n >= sizeof(url))
		return EOVERFLOW;

	return http_request(&s->req, s->masdif->net->http, &prm, NULL, doneh,
			    s);
}

static int create(struct talk *s)
{
	return request(s, "POST", "", "{}", create_handler);
}

static int ask(struct talk *s)
{
	return request(s, "PUT", s->id, s->body, turn_handler);
}

/* -------------------------------------------------------------- session */

static void talk_destructor(void *arg)
{
	struct talk *s = arg;

	list_unlink(&s->flush.le);
	mem_deref(s->req);
	mem_deref(s->body);
	mem_deref(s->call_id);
	mem_deref(s->masdif);
}

static void flush_handler(void *arg)
{
	struct talk *s = arg;

	if (s->asking)
		done(s, 0);
}

static int masdif_open(struct dialog_session **sp, struct dialog *d,
		       const struct dialog_call *call,
		       const struct dialog_handlers *h, void *arg)
{
	struct talk *s;
	int err;

	if (!sp || !d || !h || !h->openh || !h->acth || !h->doneh)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), talk_destructor);
	if (!s)
		return ENOMEM;

	s->masdif = mem_ref(d);
	s->ds.dialog = d;
	s->ds.h = *h;
	s->ds.arg = arg;
	s->flush.h = flush_handler;
	s->flush.arg = s;
	s->opening = true;
	s->start_us = clk_now_us();
	err = str_dup(&s->call_id, call && call->call_id ? call->call_id : "");
	if (!err)
		err = create(s);

	if (err)
		mem_deref(s);
	else
		*sp = &s->ds;

	return err;
}

static int print_turn(struct talk *s, const struct dialog_turn *t)
{
	struct dialog_turn turn = *t;

	if (!str_isset(turn.language))
		turn.language = s->masdif->language;

	return masdif_request_print(&s->body, &turn);
}

static int masdif_turn(struct dialog_session *ds, const struct dialog_turn *t)
{
	struct talk *s = CONTAINER_OF(ds, struct talk, ds);
	int err;

	if (!t || !t->text)
		return EINVAL;
	if (s->asking)
		return EBUSY;

	err = print_turn(s, t);
	if (err && err != ENODATA)
		return err;

	if (err) {
		/* nothing to say, nothing to answer */
		loop_flush_later(s->masdif->net->loop, &s->flush);
		err = 0;
	} else if (!s->opening) {
		s->start_us = clk_now_us();
		err = s->id[0] ? ask(s) : create(s);
	}
	if (err) {
		s->body = mem_deref(s->body);
		return err;
	}

	s->asking = true;
	s->recreated = false;
	++s->turn;

	return 0;
}

static void masdif_cancel(struct dialog_session *ds)
{
	struct talk *s = CONTAINER_OF(ds, struct talk, ds);

	if (!s->asking)
		return;

	++s->turn;
	s->asking = false;
	list_unlink(&s->flush.le);
	s->body = mem_deref(s->body);
	if (!s->opening)
		s->req = mem_deref(s->req);
}

/* --------------------------------------------------------------- backend */

static void destructor(void *arg)
{
	struct masdif *m = arg;

	(void)str_wipe(m->base);
	mem_deref(m->language);
}

static int masdif_alloc(struct dialog **dp, const struct dialog_param *prm,
			const struct net *net)
{
	const char *url = strchr(prm->url, '+');
	struct masdif *m;
	int err;

	if (!url || strpbrk(url, "?#"))
		return EINVAL;

	m = mem_zalloc(sizeof(*m), destructor);
	if (!m)
		return ENOMEM;

	m->dialog.be = &dialog_masdif;
	m->net = net;
	m->timeout_ms = prm->timeout_ms ? prm->timeout_ms : TIMEOUT_DEFAULT_MS;
	err = url_origin(m->origin, sizeof(m->origin), ++url);
	if (err && err != ENOMEM)
		err = EINVAL;
	if (!err)
		err = str_dup(&m->base, url);
	if (!err)
		err = str_dup(&m->language,
			      prm->language ? prm->language : "");
	if (err) {
		mem_deref(m);
		return err;
	}

	for (size_t n = strlen(m->base); n && m->base[n - 1] == '/'; n--)
		m->base[n - 1] = '\0';
	*dp = &m->dialog;

	return 0;
}

const struct dialog_backend dialog_masdif = {
	.name = "masdif",
	.schemev = {"masdif+http", "masdif+https"},
	.form = "masdif+http(s)://host[:port]",
	.alloc = masdif_alloc,
	.open = masdif_open,
	.turn = masdif_turn,
	.cancel = masdif_cancel,
};

/**
 * @file vendor.c  What voices behind HTTP have in common
 *
 * A text is cut into pieces that the vendor takes; they are requested one
 * after the other, into the same clip.
 *
 *	       speak()              no token
 *	TEXT ──────────▶ next piece ────────▶ WAITING
 *	                  ▲  │  ▲               │ token
 *	   piece is there │  │  │ 401, once     │
 *	                  │  ▼  │               ▼
 *	                 STREAMING ◀────────────┘
 *
 * Owner graph: the user owns the request, which owns its stream and keeps the
 * vendor alive.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "stream.h"
#include "vendor.h"

enum { STATUS_UNAUTHORIZED = 401, MAX_DEFAULT_MS = 3600 * 1000 };

struct request {
	struct vendor *v;
	struct clip *clip;
	struct stream *stream; /* of the piece */
	struct token_wait wait;
	char *token;  /* that was used, secret */
	bool renewed; /* the token, for this piece */

	char *text;
	size_t pos, len; /* of what has not become a piece yet */
	char *piece;     /* "": nothing left */
	char *voice;
	char *language;

	uint64_t start_us;
	uint64_t first_ms; /* 0: no sample yet */
};

/* ------------------------------------------------------------------ ask */

static void ask_reset(struct vendor_ask *a)
{
	mem_deref(a->url);
	for (size_t i = 0; i < VENDOR_HEADERS_MAX; i++)
		(void)str_wipe(a->headerv[i]);
	mem_deref(a->body);
}

int ask_header(struct vendor_ask *a, const char *fmt, ...)
{
	char *s = NULL;
	va_list ap;
	size_t i = 0;
	int n;

	while (i < VENDOR_HEADERS_MAX && a->headerv[i])
		++i;
	if (i == VENDOR_HEADERS_MAX)
		return EOVERFLOW;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = n < 0 ? NULL : mem_zalloc((size_t)n + 1, NULL);
	if (!s)
		return ENOMEM;

	va_start(ap, fmt);
	(void)vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	a->headerv[i] = s;

	return 0;
}

int ask_json(struct vendor_ask *a, json_t *body)
{
	int err = body ? jsn_print(&a->body, body) : ENOMEM;

	json_decref(body);

	return err ? err : ask_header(a, "Content-Type: application/json");
}

/* ------------------------------------------------------------------ end */

static void end(struct request *r, int err)
{
	struct clip *clip = mem_ref(r->clip);

	if (err)
		metrics_inc(M_TTS_FAILED);
	clip_end(clip, err); /* a watcher may drop the request */
	mem_deref(clip);
}

/* Some say which key they did not like */
static void log_failure(const struct request *r, int err,
			const struct stream_result *res)
{
	const struct vendor *v = r->v;
	char says[VENDOR_ERROR_MAX] = "";

	if (res->textc)
		vendor_error(says, res->text, res->textc);
	if (str_quotes(says, v->key) || str_quotes(says, r->token))
		str_copy(says, sizeof(says), "***");
	log_warn(NULL, "voice failed",
		 "voice=%s status=%d says=\"%s\" err=\"%s\"", v->ops->be->name,
		 res->status, LOG_STR(says), strerror(err));
}

/* -------------------------------------------------------------- request */

static int start(struct request *r);

/** The next piece that has something to say; "" if there is none */
static void next_piece(struct request *r)
{
	*r->piece = '\0';
	r->renewed = false;
	while (!*r->piece && r->pos < r->len)
		r->pos += vendor_piece(r->piece, r->v->ops->text_max,
				       r->text + r->pos, r->len - r->pos);
}

static void first_handler(void *arg)
{
	struct request *r = arg;

	if (r->first_ms)
		return; /* of a later piece */
	r->first_ms = loop_now_ms(r->v->net->loop);
	metrics_latency(M_TTS_FIRST, clk_now_us() - r->start_us);
}

static void done_handler(int err, const struct stream_result *res, void *arg)
{
	struct request *r = arg;
	bool again = err == EREMOTEIO && res->status == STATUS_UNAUTHORIZED &&
		     r->v->token && !r->renewed;

	if (err && !again)
		log_failure(r, err, res);
	r->stream = mem_deref(r->stream);

	if (again) {
		token_refused(r->v->token, r->token);
		r->renewed = true;
		err = start(r);
	} else if (!err) {
		next_piece(r);
		if (*r->piece)
			err = start(r);
		else
			end(r, 0);
	}
	if (err)
		end(r, err);
}

/** Audio that the caller has not heard yet gives a later piece time */
static uint32_t credit_ms(const struct request *r)
{
	uint64_t heard = loop_now_ms(r->v->net->loop) - r->first_ms;
	uint64_t have = clip_len(r->clip) / AUDIO_PER_MS;

	return r->first_ms && have > heard ? (uint32_t)(have - heard) : 0;
}

static int open_stream(struct request *r, const struct vendor_ask *a)
{
	const struct vendor *v = r->v;
	const struct stream_param prm = {
		.http =
			{
				.method = "POST",
				.url = a->url,
				.headerv = (const char *const *)a->headerv,
				.body = a->body,
				.bodyc = strlen(a->body),
			},
		.format = a->format,
		.rate = a->rate,
		.timeout_ms = v->timeout_ms ? v->timeout_ms + credit_ms(r) : 0,
		.max_ms = v->max_ms,
	};

	return stream_alloc(&r->stream, v->net, &prm, r->clip, first_handler,
			    done_handler, r);
}

/** Request the piece */
static int request_piece(struct request *r)
{
	const struct tts_text t = {
		.text = r->piece,
		.voice = r->voice,
		.language = r->language,
	};
	struct vendor_ask a = {.format = DECODE_SNIFF};
	int err = r->v->ops->ask(&a, r->v, &t);

	if (!err && r->token)
		err = ask_header(&a, "Authorization: Bearer %s", r->token);
	if (!err)
		err = open_stream(r, &a);
	ask_reset(&a);

	return err;
}

static void token_handler(int err, void *arg)
{
	struct request *r = arg;

	if (!err)
		err = start(r);
	if (err) {
		log_failure(r, err, &(struct stream_result){.text = ""});
		end(r, err);
	}
}

/** Request the piece, after its token if one is needed */
static int start(struct request *r)
{
	struct token *t = r->v->token;
	int err;

	if (!t)
		return request_piece(r);
	if (!token_value(t))
		return token_wait(t, &r->wait);

	r->token = str_wipe(r->token);
	err = str_dup(&r->token, token_value(t));

	return err ? err : request_piece(r);
}

static void request_destructor(void *arg)
{
	struct request *r = arg;

	list_unlink(&r->wait.le);
	mem_deref(r->stream);
	(void)str_wipe(r->token);
	mem_deref(r->text);
	mem_deref(r->piece);
	mem_deref(r->voice);
	mem_deref(r->language);
	mem_deref(r->clip);
	mem_deref(r->v);
}

static int request_init(struct request *r, const struct tts_text *t)
{
	const struct vendor *v = r->v;
	size_t len = strlen(t->text);
	int err;

	r->start_us = clk_now_us();
	r->wait.h = token_handler;
	r->wait.arg = r;
	if (!utf8_is_valid(t->text, len))
		return EINVAL;

	if (len > VENDOR_TEXT_MAX) /* not inside a character */
		for (len = VENDOR_TEXT_MAX; (t->text[len] & 0xc0) == 0x80;)
			--len;
	err = vendor_plain(&r->text, t->text, len);
	if (!err)
		err = str_dup(&r->voice,
			      str_isset(t->voice) ? t->voice : v->voice);
	if (!err)
		err = str_dup(&r->language, str_isset(t->language)
						    ? t->language
						    : v->language);
	if (err)
		return err;

	r->len = strlen(r->text);
	r->piece = mem_zalloc(v->ops->text_max + 1, NULL);

	return r->piece ? 0 : ENOMEM;
}

int vendor_speak(void **rp, struct tts *t, const struct tts_text *text,
		 struct clip *clip)
{
	struct request *r;
	int err;

	if (!rp || !t || !text || !text->text || !clip)
		return EINVAL;

	r = mem_zalloc(sizeof(*r), request_destructor);
	if (!r)
		return ENOMEM;

	r->v = mem_ref(CONTAINER_OF(t, struct vendor, tts));
	r->clip = mem_ref(clip);
	err = request_init(r, text);
	if (!err) {
		next_piece(r);
		err = *r->piece ? start(r) : ENODATA;
	}
	if (err)
		mem_deref(r);
	else
		*rp = r;

	return err;
}

/* --------------------------------------------------------------- set-up */

int vendor_refuse(const struct vendor_ops *ops, const char *fmt, ...)
{
	char why[VENDOR_ERROR_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	log_error(NULL, "voice cannot be used", "voice=%s why=\"%s\"",
		  ops->be->name, LOG_STR(why));

	return EINVAL;
}

bool vendor_option_is(const struct vendor *v, size_t option, const char *word)
{
	return str_eq(v->optionv[option], word);
}

static void vendor_destructor(void *arg)
{
	struct vendor *v = arg;

	mem_deref(v->token);
	for (size_t i = 0; i < VENDOR_OPTIONS_MAX; i++)
		mem_deref(v->optionv[i]);
	(void)str_wipe(v->base);
	(void)str_wipe(v->key);
	mem_deref(v->voice);
	mem_deref(v->model);
	mem_deref(v->language);
}

static int copy(char **dst, const char *s)
{
	return str_dup(dst, s ? s : "");
}

static int copy_param(struct vendor *v, const struct tts_param *prm)
{
	const char *voice = str_isset(prm->voice) ? prm->voice : v->ops->voice;
	int err = copy(&v->key, prm->key);

	if (!err)
		err = copy(&v->voice, voice);
	if (!err)
		err = copy(&v->model, prm->model);
	if (!err)
		err = copy(&v->language, prm->language);
	v->timeout_ms = prm->timeout_ms;
	v->max_ms = prm->max_ms ? prm->max_ms : MAX_DEFAULT_MS;

	return err;
}

static int check(const struct vendor *v, const struct tts_param *prm)
{
	const struct vendor_ops *ops = v->ops;
	const char *name = prm->setting ? prm->setting : "TTS";
	size_t scheme = strcspn(prm->url, ":");

	if (!v->voice[0] && !ops->voice)
		return vendor_refuse(ops, "%s_VOICE is not set", name);
	if (!v->key[0] && ops->key && !memchr(prm->url, '+', scheme))
		return vendor_refuse(ops, "%s_KEY is not set", name);
	for (const char *s = v->key; *s; s++) /* it goes into a header */
		if ((unsigned char)*s <= ' ' || *s == 0x7f)
			return vendor_refuse(ops, "%s_KEY has blanks in it",
					     name);

	return 0;
}

int vendor_alloc(struct tts **tp, const struct vendor_ops *ops,
		 const struct tts_param *prm, const struct net *net)
{
	struct vendor *v = mem_zalloc(sizeof(*v), vendor_destructor);
	char why[VENDOR_ERROR_MAX], origin[512];
	int err;

	if (!v)
		return ENOMEM;

	v->tts.be = ops->be;
	v->ops = ops;
	v->net = net;
	err = vendor_url_parse(&v->base, v->optionv, ops, prm->url, why);
	if (!err) {
		str_copy(why, sizeof(why), "its address is not a URL");
		err = url_origin(origin, sizeof(origin), v->base);
		if (err && err != ENOMEM)
			err = EINVAL;
	}
	if (err == EINVAL)
		(void)vendor_refuse(ops, "%s", why);
	if (!err)
		err = copy_param(v, prm);
	if (!err)
		err = check(v, prm);
	if (!err && ops->setup)
		err = ops->setup(v);
	if (err)
		mem_deref(v);
	else
		*tp = &v->tts;

	return err;
}

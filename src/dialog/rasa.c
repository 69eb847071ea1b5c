/**
 * @file rasa.c  Dialog manager Rasa, by its REST channel
 *
 * Spec: dialog.md section 8
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "post.h"
#include "rasa.h"

enum { ORIGIN_MAX = 320 };

struct rasa {
	struct dialog d; /* first */
	const struct net *net;
	char *url;  /* of the REST channel, with a token maybe */
	char *base; /* for links in answers */
	char origin[ORIGIN_MAX];
	char *auth; /* header, secret; NULL: none */
	char *language;
	char *opening;
	locale_t locale;
	uint32_t timeout_ms;
};

struct talk {
	struct post p; /* first */
	struct rasa *rasa;
	json_t *about;   /* the call, for the metadata */
	json_t *buttons; /* of the last answer, NULL: it had none */
};

/* ------------------------------------------------------------- the turn */

static bool act_handler(const struct dialog_act *act, const char *odd,
			void *arg)
{
	struct talk *t = arg;

	if (act)
		return session_act(&t->p.s, act);
	post_ignore(&t->p, odd);

	return true;
}

/* The answer is an array of messages, or they come one by one */
static int value_handler(struct post *p, const json_t *value)
{
	struct talk *t = CONTAINER_OF(p, struct talk, p);
	const struct acts_param prm = {
		.base = t->rasa->base,
		.origin = t->rasa->origin,
		.h = act_handler,
		.arg = t,
	};
	const json_t *message;
	size_t i;
	int err = 0;

	if (!json_is_array(value))
		return rasa_message_parse(value, &t->buttons, &prm);

	/* it is the same when an action of the bot's has failed */
	if (!json_array_size(value))
		log_debug(p->s.call_id, "rasa says nothing", NULL);
	json_array_foreach(value, i, message)
	{
		err = rasa_message_parse(message, &t->buttons, &prm);
		if (err)
			break;
	}

	return err;
}

/* Rasa has nothing to say to that */
static void nothing_handler(struct session *s)
{
	session_done(s, 0);
}

static int talk_turn(struct dialog_session *ds, const struct dialog_turn *turn)
{
	struct talk *t = CONTAINER_OF(ds, struct talk, p.s.ds);
	const struct rasa *r = t->rasa;
	struct post_param prm = {
		.net = r->net,
		.url = r->url,
		.auth = r->auth,
		.timeout_ms = r->timeout_ms,
	};
	json_t *body = NULL;
	int err;

	if (t->p.s.asking)
		return EBUSY;

	err = rasa_request(&body,
			   &(struct rasa_talk){
				   .id = t->p.s.call_id,
				   .about = t->about,
				   .language = r->language,
				   .opening = r->opening,
				   .buttons = t->buttons,
				   .locale = r->locale,
			   },
			   turn);
	if (err == ENODATA) {
		err = session_begin(&t->p.s);
		if (!err)
			session_later(&t->p.s, nothing_handler);
		return err;
	}
	if (err)
		return err;

	json_decref(t->buttons);
	t->buttons = NULL;
	prm.body = body;
	err = post_turn(&t->p, &prm);
	json_decref(body);

	return err;
}

static void talk_cancel(struct dialog_session *ds)
{
	post_cancel(CONTAINER_OF(ds, struct post, s.ds));
}

/* -------------------------------------------------------------- session */

static void talk_destructor(void *arg)
{
	struct talk *t = arg;

	json_decref(t->about);
	json_decref(t->buttons);
	post_close(&t->p);
}

static int talk_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct talk *t = mem_zalloc(sizeof(*t), talk_destructor);
	int err;

	if (!t)
		return ENOMEM;

	t->rasa = CONTAINER_OF(d, struct rasa, d);
	t->p.valueh = value_handler;
	err = session_open(&t->p.s, d, t->rasa->net, call, h, arg);
	if (!err)
		err = session_about(&t->about, call);
	if (err)
		mem_deref(t);
	else
		*sp = &t->p.s.ds;

	return err;
}

/* --------------------------------------------------------------- set-up */

/* …/base?token=x is …/base/webhooks/rest/webhook?token=x: Rasa reads its token
 * and `stream` there */
static int read_url(struct rasa *r, const char *url)
{
	size_t n = strcspn(url, "?");
	const char *query = url + n;
	int err;

	if (strchr(url, '#'))
		return EINVAL;
	while (n && url[n - 1] == '/')
		--n;

	err = str_printf(&r->base, "%.*s/", (int)n, url);
	if (!err)
		err = url_origin(r->origin, sizeof(r->origin), r->base);
	if (!err)
		err = str_printf(&r->url, "%.*s/webhooks/rest/webhook%s",
				 (int)n, url, query);

	return !err || err == ENOMEM ? err : EINVAL;
}

static void destructor(void *arg)
{
	struct rasa *r = arg;

	r->url = str_wipe(r->url);
	r->base = str_wipe(r->base);
	r->auth = str_wipe(r->auth);
	mem_deref(r->language);
	mem_deref(r->opening);
	if (r->locale)
		freelocale(r->locale);
}

static int rasa_alloc(struct dialog **dp, const struct dialog_param *prm,
		      const struct net *net)
{
	const char *url = strchr(prm->url, '+');
	struct rasa *r;
	int err;

	if (!url || (prm->key && strpbrk(prm->key, "\r\n")))
		return EINVAL;

	r = mem_zalloc(sizeof(*r), destructor);
	if (!r)
		return ENOMEM;

	r->d.be = &dialog_rasa;
	r->net = net;
	r->timeout_ms = prm->timeout_ms;
	r->locale = choice_locale();
	err = r->locale ? read_url(r, url + 1) : ENOMEM;
	if (!err && str_isset(prm->key))
		err = str_printf(&r->auth, "Authorization: Bearer %s",
				 prm->key);
	if (!err)
		err = str_dup(&r->language,
			      prm->language ? prm->language : "");
	if (!err)
		err = str_dup(&r->opening, str_isset(prm->opening)
						   ? prm->opening
						   : "/session_start");
	if (err)
		mem_deref(r);
	else
		*dp = &r->d;

	return err;
}

const struct dialog_backend dialog_rasa = {
	.name = "rasa",
	.schemev = {"rasa+http", "rasa+https"},
	.alloc = rasa_alloc,
	.open = talk_open,
	.turn = talk_turn,
	.cancel = talk_cancel,
	.opens = true,
};

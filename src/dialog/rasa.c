/**
 * @file rasa.c  Dialog manager Rasa, by its REST channel
 *
 * Spec: dialog.md section 8
 */
#include <errno.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "post.h"
#include "rasa.h"

struct rasa {
	struct post_server server; /* first */
	char *language;
	char *opening;
};

struct talk {
	struct post p; /* first */
	const struct rasa *rasa;
	json_t *buttons; /* of the last answer, NULL: it had none */
};

/* ------------------------------------------------------------- the turn */

/* The answer is an array of messages, or they come one by one */
static int value_handler(struct post *p, const json_t *value)
{
	struct talk *t = CONTAINER_OF(p, struct talk, p);
	const struct acts_param prm = post_acts(p);
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
	const struct rasa_talk talk = {
		.id = t->p.s.call_id,
		.about = t->p.about,
		.language = t->rasa->language,
		.opening = t->rasa->opening,
		.buttons = t->buttons,
	};
	json_t *body = NULL;
	int err;

	if (t->p.s.asking)
		return EBUSY;

	err = rasa_request(&body, &talk, turn);
	if (err == ENODATA) {
		err = session_begin(&t->p.s, turn);
		if (!err)
			session_later(&t->p.s, nothing_handler);
		return err;
	}
	if (err)
		return err;

	json_decref(t->buttons);
	t->buttons = NULL;
	err = post_turn(&t->p, turn, body);
	json_decref(body);

	return err;
}

/* -------------------------------------------------------------- session */

static void talk_destructor(void *arg)
{
	struct talk *t = arg;

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

	t->rasa = CONTAINER_OF(d, struct rasa, server.d);
	t->p.valueh = value_handler;
	err = post_open(&t->p, d, call, h, arg);
	if (err)
		mem_deref(t);
	else
		*sp = &t->p.s.ds;

	return err;
}

/* --------------------------------------------------------------- set-up */

static void destructor(void *arg)
{
	struct rasa *r = arg;

	post_server_close(&r->server);
	mem_deref(r->language);
	mem_deref(r->opening);
}

static int rasa_alloc(struct dialog **dp, const struct dialog_param *prm,
		      const struct net *net)
{
	const char *opening = str_isset(prm->opening) ? prm->opening
						      : "/session_start";
	struct rasa *r = mem_zalloc(sizeof(*r), destructor);
	int err;

	if (!r)
		return ENOMEM;

	/* Rasa reads its token and `stream` in the query */
	err = post_server_init(&r->server, &dialog_rasa, prm, net,
			       "webhooks/rest/webhook");
	if (!err)
		err = str_dup(&r->language,
			      prm->language ? prm->language : "");
	if (!err)
		err = str_dup(&r->opening, opening);
	if (err)
		mem_deref(r);
	else
		*dp = &r->server.d;

	return err;
}

const struct dialog_backend dialog_rasa = {
	.name = "rasa",
	.schemev = {"rasa+http", "rasa+https"},
	.form = "rasa+http(s)://host[:port][/base][?token=…][&stream=true]",
	.alloc = rasa_alloc,
	.open = talk_open,
	.turn = talk_turn,
	.cancel = post_cancel,
	.opens = true,
};

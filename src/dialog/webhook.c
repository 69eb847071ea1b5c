/**
 * @file webhook.c  Anybody's own bot: JSON in, the vocabulary of acts out
 *
 * Each turn is one POST with what was said and all that is known of the call;
 * the answer is acts, at once or one by one. docs/webhook.md describes it.
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "acts.h"
#include "post.h"

enum { ORIGIN_MAX = 320 };

struct webhook {
	struct dialog d; /* first */
	const struct net *net;
	char *url;
	char origin[ORIGIN_MAX];
	char *auth; /* header, secret; NULL: none */
	uint32_t timeout_ms;
};

struct talk {
	struct post p; /* first */
	struct webhook *hook;
	json_t *about; /* the call */
	unsigned turns;
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

static int value_handler(struct post *p, const json_t *value)
{
	struct talk *t = CONTAINER_OF(p, struct talk, p);
	const struct acts_param prm = {
		.base = t->hook->url,
		.origin = t->hook->origin,
		.h = act_handler,
		.arg = t,
	};

	return acts_parse(value, &prm);
}

static int print_turn(json_t **jp, struct talk *t,
		      const struct dialog_turn *turn)
{
	static const char *const kindv[] = {
		[DIALOG_OPENING] = "opening", [DIALOG_SPEECH] = "speech",
		[DIALOG_KEYS] = "keys",       [DIALOG_NOISE] = "noise",
		[DIALOG_NOBODY] = "nobody",
	};
	json_t *j = json_pack("{s:i, s:s, s:s, s:s, s:b}", "number",
			      (int)t->turns + 1, "kind", kindv[turn->kind],
			      "text", turn->text, "language",
			      turn->language ? turn->language : "",
			      "interrupted", turn->interrupted);
	int err = j ? session_add_heard(j, turn) : ENOMEM;

	if (err)
		json_decref(j);
	else
		*jp = j;

	return err;
}

static int print_body(json_t **jp, struct talk *t,
		      const struct dialog_turn *turn)
{
	json_t *j = json_copy(t->about), *inner = NULL;
	json_t *vars = (json_t *)(uintptr_t)turn->vars;
	int err = j ? print_turn(&inner, t, turn) : ENOMEM;

	if (!err && json_object_set_new(j, "turn", inner))
		err = ENOMEM;
	if (!err &&
	    json_object_set_new(j, "vars",
				vars ? json_incref(vars) : json_object()))
		err = ENOMEM;

	if (err)
		json_decref(j);
	else
		*jp = j;

	return err;
}

static int talk_turn(struct dialog_session *ds, const struct dialog_turn *turn)
{
	struct talk *t = CONTAINER_OF(ds, struct talk, p.s.ds);
	struct post_param prm = {
		.net = t->hook->net,
		.url = t->hook->url,
		.auth = t->hook->auth,
		.timeout_ms = t->hook->timeout_ms,
	};
	json_t *body = NULL;
	int err = t->p.s.asking ? EBUSY : print_body(&body, t, turn);

	if (err)
		return err;

	prm.body = body;
	err = post_turn(&t->p, &prm);
	json_decref(body);
	if (!err)
		++t->turns;

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
	post_close(&t->p);
}

/* Every member is there, so that a bot need not look */
static int complete(json_t *about, const char *call_id)
{
	json_t *defaults = json_pack("{s:s, s:s, s:s, s:{}}", "call_id",
				     call_id, "caller", "", "called", "",
				     "params");
	int err = !defaults || json_object_update_missing(about, defaults)
			  ? ENOMEM
			  : 0;

	json_decref(defaults);

	return err;
}

static int talk_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct talk *t = mem_zalloc(sizeof(*t), talk_destructor);
	int err;

	if (!t)
		return ENOMEM;

	t->hook = CONTAINER_OF(d, struct webhook, d);
	t->p.valueh = value_handler;
	err = session_open(&t->p.s, d, t->hook->net, call, h, arg);
	if (!err)
		err = session_about(&t->about, call);
	if (!err)
		err = complete(t->about, t->p.s.call_id);
	if (err)
		mem_deref(t);
	else
		*sp = &t->p.s.ds;

	return err;
}

/* --------------------------------------------------------------- set-up */

static void destructor(void *arg)
{
	struct webhook *w = arg;

	w->url = str_wipe(w->url);
	w->auth = str_wipe(w->auth);
}

static int webhook_alloc(struct dialog **dp, const struct dialog_param *prm,
			 const struct net *net)
{
	const char *url = strchr(prm->url, '+');
	struct webhook *w;
	int err;

	if (!url || strchr(url, '#') ||
	    (prm->key && strpbrk(prm->key, "\r\n")))
		return EINVAL;

	w = mem_zalloc(sizeof(*w), destructor);
	if (!w)
		return ENOMEM;

	w->d.be = &dialog_webhook;
	w->net = net;
	w->timeout_ms = prm->timeout_ms;
	err = url_origin(w->origin, sizeof(w->origin), url + 1);
	if (err && err != ENOMEM)
		err = EINVAL;
	if (!err)
		err = str_dup(&w->url, url + 1);
	if (!err && str_isset(prm->key))
		err = str_printf(&w->auth, "Authorization: Bearer %s",
				 prm->key);
	if (err)
		mem_deref(w);
	else
		*dp = &w->d;

	return err;
}

const struct dialog_backend dialog_webhook = {
	.name = "webhook",
	.schemev = {"webhook+http", "webhook+https"},
	.alloc = webhook_alloc,
	.open = talk_open,
	.turn = talk_turn,
	.cancel = talk_cancel,
	.opens = true,
	.knows_nobody = true,
};

/**
 * @file webhook.c  Anybody's own bot: JSON in, the vocabulary of acts out
 *
 * Each turn is one POST with what was said and all that is known of the call;
 * the answer is acts, at once or one by one. docs/webhook.md describes it.
 */
#include <errno.h>
#include <convod/mem.h>
#include "post.h"

struct talk {
	struct post p; /* first */
	unsigned turns;
};

/* ------------------------------------------------------------- the turn */

static int value_handler(struct post *p, const json_t *value)
{
	const struct acts_param prm = post_acts(p);

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
	json_t *j = json_copy(t->p.about), *inner = NULL;
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
	json_t *body = NULL;
	int err = t->p.s.asking ? EBUSY : print_body(&body, t, turn);

	if (err)
		return err;

	err = post_turn(&t->p, turn, body);
	json_decref(body);
	if (!err)
		++t->turns;

	return err;
}

/* -------------------------------------------------------------- session */

static void talk_destructor(void *arg)
{
	struct talk *t = arg;

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

	t->p.valueh = value_handler;
	err = post_open(&t->p, d, call, h, arg);
	if (!err)
		err = complete(t->p.about, t->p.s.call_id);
	if (err)
		mem_deref(t);
	else
		*sp = &t->p.s.ds;

	return err;
}

/* --------------------------------------------------------------- set-up */

static void destructor(void *arg)
{
	struct post_server *ps = arg;

	post_server_close(ps);
}

static int webhook_alloc(struct dialog **dp, const struct dialog_param *prm,
			 const struct net *net)
{
	struct post_server *ps = mem_zalloc(sizeof(*ps), destructor);
	int err;

	if (!ps)
		return ENOMEM;

	err = post_server_init(ps, &dialog_webhook, prm, net, NULL);
	if (err)
		mem_deref(ps);
	else
		*dp = &ps->d;

	return err;
}

const struct dialog_backend dialog_webhook = {
	.name = "webhook",
	.schemev = {"webhook+http", "webhook+https"},
	.form = "webhook+http(s)://host[:port][/path]",
	.alloc = webhook_alloc,
	.open = talk_open,
	.turn = talk_turn,
	.cancel = post_cancel,
	.opens = true,
	.knows_nobody = true,
};

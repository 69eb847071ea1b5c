/**
 * @file echo.c  `echo:` says back what was heard, to try recogniser and voice
 */
#include <errno.h>
#include <convod/dialog.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "session.h"

struct echo {
	struct dialog d; /* first */
	const struct net *net;
};

struct parrot {
	struct session s; /* first */
	char *text;       /* to be said */
};

static int echo_alloc(struct dialog **dp, const struct dialog_param *prm,
		      const struct net *net)
{
	struct echo *e = mem_zalloc(sizeof(*e), NULL);

	(void)prm;
	if (!e)
		return ENOMEM;

	e->d.be = &dialog_echo;
	e->net = net;
	*dp = &e->d;

	return 0;
}

static void parrot_destructor(void *arg)
{
	struct parrot *p = arg;

	mem_deref(p->text);
	session_close(&p->s);
}

static int echo_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct echo *e = CONTAINER_OF(d, struct echo, d);
	struct parrot *p = mem_zalloc(sizeof(*p), parrot_destructor);
	int err;

	if (!p)
		return ENOMEM;

	err = session_open(&p->s, d, e->net, call, h, arg);
	if (err)
		mem_deref(p);
	else
		*sp = &p->s.ds;

	return err;
}

static void answer_handler(struct session *s)
{
	struct parrot *p = CONTAINER_OF(s, struct parrot, s);
	char *text = mem_ref(p->text);

	if (session_act(
		    s, &(struct dialog_act){.type = DIALOG_SAY, .text = text}))
		session_done(s, 0);
	mem_deref(text);
}

static int echo_turn(struct dialog_session *ds, const struct dialog_turn *t)
{
	struct parrot *p = CONTAINER_OF(ds, struct parrot, s.ds);
	const char *text = t->text;
	char *copy;
	int err;

	if (p->s.asking)
		return EBUSY;
	if (t->kind == DIALOG_NOISE)
		text = "I heard you, but I did not get the words.";
	else if (t->kind == DIALOG_NOBODY)
		text = "Are you still there?";
	else if (!text[0])
		text = "Say something, and I say it back.";

	err = str_dup(&copy, text);
	if (err)
		return err;

	mem_deref(p->text);
	p->text = copy;
	err = session_begin(&p->s, t);
	if (!err)
		session_later(&p->s, answer_handler);

	return err;
}

static void echo_cancel(struct dialog_session *ds)
{
	session_cancel(CONTAINER_OF(ds, struct session, ds));
}

const struct dialog_backend dialog_echo = {
	.name = "echo",
	.schemev = {"echo"},
	.form = "echo:",
	.alloc = echo_alloc,
	.open = echo_open,
	.turn = echo_turn,
	.cancel = echo_cancel,
	.forgets = true,
	.knows_nobody = true,
};

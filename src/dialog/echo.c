/**
 * @file echo.c  `echo:` says back what was heard, to try recogniser and voice
 */
#include <errno.h>
#include <stdio.h>
#include <convod/dialog.h>
#include <convod/mem.h>
#include <convod/str.h>

struct echo {
	struct dialog d; /* first */
	struct loop *loop;
};

struct session {
	struct dialog_session s; /* first */
	struct loop_flush flush;
	char *text; /* to be said, NULL while no turn is in flight */
	bool opening;
	char id[DIALOG_ID_MAX];
};

static int echo_alloc(struct dialog **dp, const struct dialog_param *prm,
		      const struct net *net)
{
	struct echo *e = mem_zalloc(sizeof(*e), NULL);

	if (!e)
		return ENOMEM;

	e->d.be = &dialog_echo;
	e->loop = net->loop;
	*dp = &e->d;

	return 0;
}

static void session_destructor(void *arg)
{
	struct session *s = arg;

	list_unlink(&s->flush.le);
	mem_deref(s->text);
	mem_deref(s->s.dialog);
}

/* The owner let go inside a handler; only our own reference is left */
static bool is_abandoned(const struct session *s)
{
	return mem_nrefs(s) == 1;
}

static void deliver(struct session *s)
{
	char *text = mem_ref(s->text);

	s->s.h.acth(&(struct dialog_act){.type = DIALOG_SAY,
					 .text = text,
					 .url = "",
					 .origin = ""},
		    s->s.arg);
	/* cancelled by the handler, maybe for another turn */
	if (s->text == text && !is_abandoned(s)) {
		s->text = mem_deref(s->text);
		s->s.h.doneh(0, s->s.arg);
	}
	mem_deref(text);
}

/* At the end of the turn of the loop, as handlers come later */
static void flush_handler(void *arg)
{
	struct session *s = mem_ref(arg);

	if (s->opening) {
		s->opening = false;
		s->s.h.openh(0, s->id, s->s.arg);
	}
	if (s->text && !is_abandoned(s))
		deliver(s);
	mem_deref(s);
}

static int echo_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct echo *e = CONTAINER_OF(d, struct echo, d);
	struct session *s = mem_zalloc(sizeof(*s), session_destructor);

	if (!s)
		return ENOMEM;

	s->s.dialog = mem_ref(d);
	s->s.h = *h;
	s->s.arg = arg;
	s->flush.h = flush_handler;
	s->flush.arg = s;
	s->opening = true;
	(void)snprintf(s->id, sizeof(s->id), "echo-%s", call->call_id);
	loop_flush_later(e->loop, &s->flush);
	*sp = &s->s;

	return 0;
}

static int echo_turn(struct dialog_session *ds, const struct dialog_turn *t)
{
	struct session *s = CONTAINER_OF(ds, struct session, s);
	struct echo *e = CONTAINER_OF(ds->dialog, struct echo, d);
	const char *text = t->text;
	int err;

	if (s->text)
		return EBUSY;
	if (t->kind == DIALOG_NOISE)
		text = "I heard you, but I did not get the words.";
	else if (!text[0])
		text = "Say something, and I say it back.";

	err = str_dup(&s->text, text);
	if (!err)
		loop_flush_later(e->loop, &s->flush);

	return err;
}

static void echo_cancel(struct dialog_session *ds)
{
	struct session *s = CONTAINER_OF(ds, struct session, s);

	s->text = mem_deref(s->text);
}

const struct dialog_backend dialog_echo = {
	.name = "echo",
	.schemev = {"echo"},
	.alloc = echo_alloc,
	.open = echo_open,
	.turn = echo_turn,
	.cancel = echo_cancel,
};

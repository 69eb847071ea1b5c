/**
 * @file session.c  What sessions of dialog managers have in common
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "session.h"

/* At the end of the turn of the loop, as handlers come later */
static void flush_handler(void *arg)
{
	struct session *s = mem_ref(arg);
	void (*answerh)(struct session *) = s->answerh;

	if (s->opening) {
		s->opening = false;
		s->ds.h.openh(0, s->call_id, s->ds.arg);
		if (s->idleh && !s->asking && mem_nrefs(s) > 1)
			s->idleh(s);
	}
	/* what openh began waits for the next turn of the loop */
	if (answerh && answerh == s->answerh && session_is_on(s, s->turn)) {
		s->answerh = NULL;
		answerh(s);
	}
	mem_deref(s);
}

int session_open(struct session *s, struct dialog *d, const struct net *net,
		 const struct dialog_call *call,
		 const struct dialog_handlers *h, void *arg)
{
	if (!call || !h || !h->openh || !h->acth || !h->doneh)
		return EINVAL;

	s->ds.dialog = mem_ref(d);
	s->ds.h = *h;
	s->ds.arg = arg;
	s->loop = net->loop;
	s->flush.h = flush_handler;
	s->flush.arg = s;
	s->opening = true;
	loop_flush_later(s->loop, &s->flush);

	return str_dup(&s->call_id, call->call_id ? call->call_id : "");
}

void session_close(struct session *s)
{
	list_unlink(&s->flush.le);
	mem_deref(s->call_id);
	mem_deref(s->ds.dialog);
}

int session_begin(struct session *s, const struct dialog_turn *t)
{
	if (s->asking)
		return EBUSY;

	s->asking = true;
	s->secret |= t->sensitive;
	s->cancelled = false;
	++s->turn;

	return 0;
}

const char *session_quote(const struct session *s, const char *text,
			  const char *key)
{
	const char *blank = key ? strrchr(key, ' ') : NULL;

	if (s->secret || str_quotes(text, blank ? blank + 1 : key))
		return "***";

	return text;
}

void session_cancel(struct session *s)
{
	if (!s->asking)
		return;

	s->asking = false;
	s->cancelled = true;
	s->answerh = NULL;
	++s->turn;
}

void session_later(struct session *s, void (*h)(struct session *s))
{
	s->answerh = h;
	loop_flush_later(s->loop, &s->flush);
}

/* The one reference besides ours is the user's */
bool session_is_on(const struct session *s, unsigned turn)
{
	return s->asking && s->turn == turn && mem_nrefs(s) > 1;
}

bool session_act(struct session *s, const struct dialog_act *act)
{
	unsigned turn = s->turn;

	s->ds.h.acth(act, s->ds.arg);

	return session_is_on(s, turn);
}

void session_done(struct session *s, int err)
{
	s->asking = false;
	s->ds.h.doneh(err, s->ds.arg);
}

bool session_may_pass(int err)
{
	return err == ECONNREFUSED || err == ECONNRESET || err == EHOSTUNREACH;
}

static const char *set_or_null(const char *s)
{
	return str_isset(s) ? s : NULL;
}

int session_about(json_t **jp, const struct dialog_call *call)
{
	json_t *params = json_object_size(call->params)
				 ? json_deep_copy(call->params)
				 : NULL;
	json_t *j = json_pack("{s:s*, s:s*, s:o*}", "caller",
			      set_or_null(call->caller), "called",
			      set_or_null(call->called), "params", params);

	if (!j || (json_object_size(call->params) && !params)) {
		json_decref(j);
		return ENOMEM;
	}
	*jp = j;

	return 0;
}

int session_add_heard(json_t *o, const struct dialog_turn *t)
{
	if (!t->interrupted)
		return 0;

	return json_object_set_new(o, "interrupted", json_true()) ||
			       json_object_set_new(
				       o, "heard_ms",
				       json_integer(t->heard_ms)) ||
			       json_object_set_new(
				       o, "heard",
				       json_string(t->heard ? t->heard : ""))
		       ? ENOMEM
		       : 0;
}

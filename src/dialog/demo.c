/**
 * @file demo.c  The demo bot: `demo:` or `demo:FILE`
 *
 * A small form-filling conversation that knows nothing of practices and
 * appointments: intents, what they need and all sentences are in the file
 * (share/demo.bot). demo_turn() is pure; the rest is the backend around it.
 *
 *	waits ──intent──▶ needs? ──ask──▶ part ──heard──▶ needs? …
 *	                    │ nothing more
 *	                    ▼
 *	                 confirm ──yes──▶ say, "anything else?" ──▶ more
 *	                    │ no ──▶ otherwise ──────────────────▶ more
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "demo.h"

/* ---------------------------------------------------------- what to say */

static const char *slot_of(const struct bot *b, const struct demo_state *s,
			   const char *name, size_t n)
{
	for (size_t i = 0; i < b->partc; i++) {
		if (strlen(b->partv[i]) == n && !strncmp(b->partv[i], name, n))
			return s->slotv[i];
	}

	return NULL;
}

/* Append a sentence, with {part} replaced by what was heard */
static void say(const struct bot *b, const struct demo_state *s,
		struct demo_answer *a, const char *text)
{
	size_t n = strlen(a->text);

	if (!str_isset(text))
		return;
	if (n && n + 1 < sizeof(a->text))
		a->text[n++] = ' ';

	while (*text && n + 1 < sizeof(a->text)) {
		size_t len = strcspn(text, "}");
		const char *slot = *text == '{' && text[len]
					   ? slot_of(b, s, text + 1, len - 1)
					   : NULL;

		if (slot) {
			str_copy(a->text + n, sizeof(a->text) - n, slot);
			n = strlen(a->text);
			text += len + 1;
		} else {
			a->text[n++] = *text++;
		}
	}
	a->text[n] = '\0';
}

static void more(const struct bot *b, struct demo_state *s,
		 struct demo_answer *a)
{
	s->wait = b->more ? DEMO_WAITS_MORE : DEMO_WAITS;
	s->intent = NULL;
	memset(s->slotv, 0, sizeof(s->slotv));
	say(b, s, a, b->more);
}

/* Say and do what the intent is for */
static void perform(const struct bot *b, struct demo_state *s,
		    struct demo_answer *a, const struct bot_intent *in)
{
	say(b, s, a, in->say);
	s->wait = DEMO_WAITS;
	s->intent = NULL;

	switch (in->does) {
	case BOT_HANGS_UP:
		a->hangup = true;
		break;
	case BOT_TRANSFERS:
		a->transfer = true;
		a->number = in->number;
		break;
	default:
		more(b, s, a);
		break;
	}
}

/* Ask for what is missing; when nothing is, confirm or do it */
static void go_on(const struct bot *b, struct demo_state *s,
		  struct demo_answer *a)
{
	const struct bot_intent *in = s->intent;

	for (size_t i = 0; i < in->needc; i++) {
		if (s->slotv[in->needv[i].part][0])
			continue;
		s->wait = DEMO_WAITS_PART;
		say(b, s, a, in->needv[i].ask);
		return;
	}

	if (in->confirm) {
		s->wait = DEMO_WAITS_CONFIRM;
		say(b, s, a, in->confirm);
	} else {
		perform(b, s, a, in);
	}
}

/* ------------------------------------------------------ what was heard */

static void unclear(const struct bot *b, struct demo_state *s,
		    struct demo_answer *a)
{
	size_t i = MIN(s->unclear, b->unclearc - 1);
	bool last = i == b->unclearc - 1 && b->unclearc > 1;

	++s->unclear;
	say(b, s, a, b->unclearv[i]);
	if (last && b->person) {
		s->wait = DEMO_WAITS_PERSON;
		s->unclear = 0;
	}
}

static const struct bot_intent *intent_that(const struct bot *b,
					    enum bot_does does)
{
	for (size_t i = 0; i < b->intentc; i++) {
		if (b->intentv[i].does == does)
			return &b->intentv[i];
	}

	return NULL;
}

static void said_yes(const struct bot *b, struct demo_state *s,
		     struct demo_answer *a)
{
	switch (s->wait) {
	case DEMO_WAITS_CONFIRM:
		perform(b, s, a, s->intent);
		break;
	case DEMO_WAITS_PERSON:
		perform(b, s, a, b->person);
		break;
	case DEMO_WAITS_MORE:
		s->wait = DEMO_WAITS;
		say(b, s, a, b->again ? b->again : b->greeting);
		break;
	default:
		unclear(b, s, a);
		break;
	}
}

static void said_no(const struct bot *b, struct demo_state *s,
		    struct demo_answer *a)
{
	const struct bot_intent *bye = intent_that(b, BOT_HANGS_UP);

	switch (s->wait) {
	case DEMO_WAITS_CONFIRM:
	case DEMO_WAITS_PART:
		say(b, s, a, s->intent->otherwise);
		more(b, s, a);
		break;
	case DEMO_WAITS_PERSON:
		more(b, s, a);
		break;
	case DEMO_WAITS_MORE:
		if (bye) {
			perform(b, s, a, bye);
			break;
		}
		/* fall through */
	default:
		unclear(b, s, a);
		break;
	}
}

/* Take over parts that were heard and that the intent needs */
static bool fill(const struct bot_intent *in, struct demo_state *s,
		 const struct bot_heard *h)
{
	bool any = false;

	for (size_t i = 0; i < in->needc; i++) {
		size_t part = in->needv[i].part;

		if (!h->slotv[part][0])
			continue;
		str_copy(s->slotv[part], BOT_SLOT_MAX, h->slotv[part]);
		any = true;
	}

	return any;
}

static void heard_parts(const struct bot *b, struct demo_state *s,
			struct demo_answer *a, const struct bot_heard *h)
{
	bool open = s->wait == DEMO_WAITS_PART ||
		    s->wait == DEMO_WAITS_CONFIRM;

	if (open && fill(s->intent, s, h))
		go_on(b, s, a);
	else
		unclear(b, s, a);
}

static void heard(const struct bot *b, struct demo_state *s,
		  struct demo_answer *a, const struct bot_heard *h)
{
	switch (h->intent->does) {
	case BOT_SAYS_YES:
		said_yes(b, s, a);
		break;
	case BOT_SAYS_NO:
		said_no(b, s, a);
		break;
	case BOT_FILLS:
		heard_parts(b, s, a, h);
		break;
	case BOT_REPEATS:
		say(b, s, a, s->said);
		break;
	default:
		memset(s->slotv, 0, sizeof(s->slotv));
		s->intent = h->intent;
		(void)fill(s->intent, s, h);
		go_on(b, s, a);
		break;
	}
}

void demo_turn(const struct bot *b, struct demo_state *s,
	       struct demo_answer *a, const char *text, bool rejected)
{
	struct bot_heard h;
	unsigned before = s->unclear;

	memset(a, 0, sizeof(*a));
	if (!text[0] && !rejected) {
		memset(s, 0, sizeof(*s));
		say(b, s, a, b->greeting);
	} else {
		bot_hear(b, &h, text);
		if (h.intent)
			heard(b, s, a, &h);
		else
			heard_parts(b, s, a, &h);
		if (s->unclear == before)
			s->unclear = 0;
	}

	/* "repeat that" is about the question, not about "sorry" */
	if (!s->unclear && a->text[0])
		str_copy(s->said, sizeof(s->said), a->text);
}

/* ------------------------------------------------------------- backend */

struct demo {
	struct dialog d; /* first */
	struct loop *loop;
	struct bot *bot;
};

struct session {
	struct dialog_session s; /* first */
	struct demo *demo;       /* the same as s.dialog */
	struct demo_state state;
	struct demo_answer answer;
	struct loop_flush flush;
	bool opening;
	bool thinking;
	unsigned turns;
	char id[DIALOG_ID_MAX];
};

static void demo_destructor(void *arg)
{
	struct demo *d = arg;

	mem_deref(d->bot);
}

static int demo_alloc(struct dialog **dp, const struct dialog_param *prm,
		      const struct net *net)
{
	struct demo *d = mem_zalloc(sizeof(*d), demo_destructor);
	char why[BOT_WHY_MAX] = "";
	const char *path = strchr(prm->url, ':');
	int err;

	if (!d)
		return ENOMEM;

	d->d.be = &dialog_demo;
	d->loop = net->loop;
	err = bot_load(&d->bot, path ? path + 1 : "", why);
	if (err) {
		log_error(NULL, "bot file cannot be used",
			  "file=\"%s\" why=\"%s\"",
			  LOG_STR(path ? path + 1 : ""),
			  LOG_STR(why[0] ? why : strerror(err)));
		mem_deref(d);
	} else {
		*dp = &d->d;
	}

	return err;
}

static void session_destructor(void *arg)
{
	struct session *s = arg;

	list_unlink(&s->flush.le);
	mem_deref(s->s.dialog);
}

/* The owner let go inside a handler; only our own reference is left */
static bool is_abandoned(const struct session *s)
{
	return mem_nrefs(s) == 1;
}

/* Not cancelled by a handler, maybe for another turn, nor gone */
static bool is_wanted(const struct session *s, unsigned turn)
{
	return s->thinking && s->turns == turn && !is_abandoned(s);
}

static void act(struct session *s, unsigned turn, enum dialog_act_type type,
		const char *text)
{
	if (is_wanted(s, turn))
		s->s.h.acth(&(struct dialog_act){.type = type,
						 .text = text,
						 .url = "",
						 .origin = ""},
			    s->s.arg);
}

static void deliver(struct session *s)
{
	struct demo_answer a = s->answer;
	unsigned turn = s->turns;

	act(s, turn, DIALOG_SAY, a.text);
	if (a.transfer)
		act(s, turn, DIALOG_TRANSFER, a.number);
	if (a.hangup)
		act(s, turn, DIALOG_HANGUP, "");

	if (!is_wanted(s, turn))
		return;
	s->thinking = false;
	s->s.h.doneh(0, s->s.arg);
}

/* At the end of the turn of the loop, as handlers come later */
static void flush_handler(void *arg)
{
	struct session *s = mem_ref(arg);

	if (s->opening) {
		s->opening = false;
		s->s.h.openh(0, s->id, s->s.arg);
	}
	if (s->thinking && !is_abandoned(s))
		deliver(s);
	mem_deref(s);
}

static int demo_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct session *s = mem_zalloc(sizeof(*s), session_destructor);

	if (!s)
		return ENOMEM;

	s->s.dialog = mem_ref(d);
	s->s.h = *h;
	s->s.arg = arg;
	s->demo = CONTAINER_OF(d, struct demo, d);
	s->flush.h = flush_handler;
	s->flush.arg = s;
	s->opening = true;
	(void)snprintf(s->id, sizeof(s->id), "demo-%s", call->call_id);
	loop_flush_later(s->demo->loop, &s->flush);
	*sp = &s->s;

	return 0;
}

static int demo_start_turn(struct dialog_session *ds,
			   const struct dialog_turn *t)
{
	struct session *s = CONTAINER_OF(ds, struct session, s);

	if (s->thinking)
		return EBUSY;

	demo_turn(s->demo->bot, &s->state, &s->answer, t->text,
		  t->kind == DIALOG_NOISE);
	s->thinking = true;
	++s->turns;
	loop_flush_later(s->demo->loop, &s->flush);

	return 0;
}

static void demo_cancel(struct dialog_session *ds)
{
	struct session *s = CONTAINER_OF(ds, struct session, s);

	s->thinking = false;
}

const struct dialog_backend dialog_demo = {
	.name = "demo",
	.schemev = {"demo"},
	.alloc = demo_alloc,
	.open = demo_open,
	.turn = demo_start_turn,
	.cancel = demo_cancel,
	.opens = true,
};

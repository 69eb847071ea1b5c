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
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "demo.h"
#include "session.h"

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

/* Whoever is there may have missed the question */
static void ask_again(const struct bot *b, struct demo_state *s,
		      struct demo_answer *a)
{
	say(b, s, a, s->said[0] ? s->said : b->greeting);
}

void demo_turn(const struct bot *b, struct demo_state *s,
	       struct demo_answer *a, enum dialog_turn_kind kind,
	       const char *text)
{
	struct bot_heard h;
	unsigned before = s->unclear;

	memset(a, 0, sizeof(*a));
	if (kind == DIALOG_OPENING) {
		memset(s, 0, sizeof(*s));
		say(b, s, a, b->greeting);
	} else if (kind == DIALOG_NOBODY) {
		ask_again(b, s, a);
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
	const struct net *net;
	struct bot *bot;
};

struct talk {
	struct session s;  /* first */
	struct demo *demo; /* the same as s.ds.dialog */
	struct demo_state state;
	struct demo_answer answer;
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
	d->net = net;
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

static void talk_destructor(void *arg)
{
	struct talk *t = arg;

	session_close(&t->s);
}

static int demo_open(struct dialog_session **sp, struct dialog *d,
		     const struct dialog_call *call,
		     const struct dialog_handlers *h, void *arg)
{
	struct talk *t = mem_zalloc(sizeof(*t), talk_destructor);
	int err;

	if (!t)
		return ENOMEM;

	t->demo = CONTAINER_OF(d, struct demo, d);
	err = session_open(&t->s, d, t->demo->net, call, h, arg);
	if (err)
		mem_deref(t);
	else
		*sp = &t->s.ds;

	return err;
}

static void answer_handler(struct session *s)
{
	struct demo_answer a = CONTAINER_OF(s, struct talk, s)->answer;
	const struct {
		bool on;
		struct dialog_act act;
	} stepv[] = {
		{a.text[0], {.type = DIALOG_SAY, .text = a.text}},
		{a.transfer, {.type = DIALOG_TRANSFER, .text = a.number}},
		{a.hangup, {.type = DIALOG_HANGUP}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(stepv); i++) {
		if (stepv[i].on && !session_act(s, &stepv[i].act))
			return;
	}

	session_done(s, 0);
}

static int demo_start_turn(struct dialog_session *ds,
			   const struct dialog_turn *turn)
{
	struct talk *t = CONTAINER_OF(ds, struct talk, s.ds);
	int err = session_begin(&t->s, turn);

	if (err)
		return err;

	demo_turn(t->demo->bot, &t->state, &t->answer, turn->kind, turn->text);
	session_later(&t->s, answer_handler);

	return 0;
}

static void demo_cancel(struct dialog_session *ds)
{
	session_cancel(CONTAINER_OF(ds, struct session, ds));
}

const struct dialog_backend dialog_demo = {
	.name = "demo",
	.schemev = {"demo"},
	.form = "demo: or demo:FILE",
	.alloc = demo_alloc,
	.open = demo_open,
	.turn = demo_start_turn,
	.cancel = demo_cancel,
	.opens = true,
	.knows_nobody = true,
};

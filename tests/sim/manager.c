/**
 * @file manager.c  The dialog manager: acts of every kind, in pieces, late, or
 *                  none
 *
 * It keeps to its contract (no act and no done after done or cancel) unless it
 * is one of the wrong ones, which don't care.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "sim.h"

enum { SAY_WORDS_MAX = 24 };

/* One act on its way; owns what it points to */
struct act {
	struct dialog_act act;
	uint32_t note; /* index + 1 in the watch */
	uint32_t turn;
	char text[SAY_WORDS_MAX * 6 + 16];
	char url[64];
};

static void act_destructor(void *arg)
{
	struct act *a = arg;

	mem_deref(a->act.clip);
}

static bool is_stale(struct sim *s, uint32_t turn)
{
	const struct manager *m = &s->manager;
	bool stale = !m->busy || m->turn != turn;

	if (stale && s->plan.manager.wrong)
		sim_count(s, COUNT_ACT_WRONG);

	return stale && !s->plan.manager.wrong;
}

static void act_event(struct sim *s, uint64_t n, void *data)
{
	struct act *a = data;

	(void)n;
	if (!is_stale(s, a->turn))
		world_act(s, &a->act, a->note);
}

static void done_event(struct sim *s, uint64_t turn, void *data)
{
	(void)data;
	if (is_stale(s, (uint32_t)turn))
		return;

	s->manager.busy = false;
	world_done(s, 0);
}

static void failed_event(struct sim *s, uint64_t turn, void *data)
{
	static const int errv[] = {ETIMEDOUT, EPROTO, EREMOTEIO, ECONNREFUSED};

	(void)data;
	if (is_stale(s, (uint32_t)turn))
		return;

	s->manager.busy = false;
	world_done(s, errv[turn % ARRAY_SIZE(errv)]);
}

/* ------------------------------------------------------------------ acts */

static uint32_t note_act(struct sim *s, uint32_t turn, uint32_t first,
			 uint32_t wordc, bool protect)
{
	struct watch *w = &s->watch;

	if (w->actc == SIM_ACTS_MAX)
		return 0;

	w->actv[w->actc] = (struct act_note){.turn = turn,
					     .first_word = first,
					     .wordc = wordc,
					     .protect = protect};

	return ++w->actc;
}

/* Words of one or more sentences; none of them twice in a call */
static void make_text(struct sim *s, struct act *a, uint32_t *first,
		      uint32_t *count)
{
	struct manager *m = &s->manager;
	uint32_t sentences = chance_between(s, 1, 3);
	size_t len = 0;

	*first = m->words;
	*count = 0;
	while (sentences-- && m->words + 8 < SIM_WORDS_MAX) {
		uint32_t n = chance_between(s, 1, SAY_WORDS_MAX / 3);

		len += words_print(a->text + len, sizeof(a->text) - len - 2,
				   'b', m->words, n);
		len += (size_t)snprintf(a->text + len, sizeof(a->text) - len,
					". ");
		m->words += n;
		*count += n;
	}
	a->act.text = a->text;
}

static void make_say(struct sim *s, struct act *a)
{
	struct manager *m = &s->manager;
	uint32_t first, count;

	if (s->plan.manager.dull && *m->dull) {
		str_copy(a->text, sizeof(a->text), m->dull);
		a->act.text = a->text;
		first = m->dull_word;
		count = m->dull_wordc;
	} else {
		make_text(s, a, &first, &count);
		str_copy(m->dull, sizeof(m->dull), a->text);
		m->dull_word = first;
		m->dull_wordc = count;
	}

	a->act.type = DIALOG_SAY;
	/* of one text, we could not tell which time is protected */
	a->act.uninterruptible = chance(s, 60) && !s->plan.manager.dull;
	if (chance(s, s->plan.manager.odd)) {
		a->act.text = chance(s, 500) ? NULL : "  <br/> ** ";
		return;
	}
	a->note = note_act(s, a->turn, first, count, a->act.uninterruptible);
}

/* Audio of the dialog manager's own: it fills the clip itself */
static void make_clip(struct sim *s, struct act *a)
{
	uint32_t token = clip_token(s);

	if (clip_order(s, &a->act.clip, NULL, token,
		       chance_between(s, 100, 4000), NULL))
		return;

	snprintf(a->url, sizeof(a->url), "http://dm/clip#%u", token);
	a->act.url = a->url;
}

static void make_play(struct sim *s, struct act *a)
{
	uint32_t first = 0, count = 0;

	a->act.type = DIALOG_PLAY;
	a->act.origin = "http://dm";
	a->act.uninterruptible = chance(s, 60);
	if (chance(s, 600))
		make_text(s, a, &first, &count);
	if (chance(s, s->plan.manager.odd)) {
		a->act.text = NULL;
		return; /* nothing to play */
	}

	if (chance(s, 300)) {
		make_clip(s, a);
	} else {
		snprintf(a->url, sizeof(a->url), "http://dm/%u.wav", a->turn);
		a->act.url = a->url;
	}
	if (count)
		a->note = note_act(s, a->turn, first, count,
				   a->act.uninterruptible);
}

static void make_other(struct sim *s, struct act *a)
{
	struct dialog_act *act = &a->act;
	bool odd = chance(s, s->plan.manager.odd);

	switch (chance_below(s, 6)) {
	case 0:
		act->type = DIALOG_PAUSE;
		act->ms = odd ? UINT32_MAX : chance_below(s, 3000);
		break;
	case 1:
		act->type = DIALOG_COLLECT;
		act->ms = odd ? 0 : chance_between(s, 500, 5000);
		act->digits = odd ? 1000 : chance_below(s, 7);
		act->finish = chance(s, 300)   ? "*#"
			      : chance(s, 300) ? ""
					       : NULL;
		act->sensitive = chance(s, 300);
		break;
	case 2:
		act->type = DIALOG_SILENCE;
		act->ms = odd ? 1 : chance_between(s, 500, 8000);
		break;
	case 3:
		act->type = DIALOG_RECORD;
		act->on = chance(s, 500);
		break;
	case 4:
		act->type = DIALOG_SET;
		act->name = odd ? NULL : "name";
		act->text = odd ? NULL : "value";
		break;
	default:
		act->type = DIALOG_NOTE;
		act->text = odd ? NULL : "a note";
		break;
	}
}

static void make_act(struct sim *s, struct act *a, bool last)
{
	if (last && s->plan.manager.hangs_up && chance(s, 200)) {
		a->act.type = chance(s, 500) ? DIALOG_HANGUP : DIALOG_TRANSFER;
		a->act.text = chance(s, 500) ? "+15005550006" : NULL;
		return;
	}

	if (chance(s, 550))
		make_say(s, a);
	else if (chance(s, 550))
		make_play(s, a);
	else
		make_other(s, a);
}

/* ----------------------------------------------------------------- turns */

/** @return when the last act comes */
static uint32_t answer(struct sim *s, uint32_t in_ms)
{
	bool pieces = s->plan.manager.pieces;
	uint32_t n = chance(s, 50) ? 0 : chance_between(s, 1, 5);

	/* so many that not all can be said */
	if (chance(s, 5))
		n = 150;
	for (uint32_t i = 0; i < n; i++) {
		struct act *a = mem_zalloc(sizeof(*a), act_destructor);

		if (!a)
			return in_ms;
		a->turn = s->manager.turn;
		make_act(s, a, i + 1 == n);
		queue_push(s, in_ms, act_event, 0, a);
		mem_deref(a);
		if (pieces && n < 10)
			in_ms += chance_below(s, 1500);
	}

	return in_ms;
}

int manager_turn(struct sim *s, const struct dialog_turn *t)
{
	const struct manager_kind *k = &s->plan.manager;
	uint32_t wait = chance_below(s, k->think_ms + 1);

	(void)t;
	if (chance(s, k->refuses))
		return chance(s, 500) ? ENOTCONN : EBUSY;

	s->manager.turn++;
	s->manager.busy = true;
	if (chance(s, k->trouble)) {
		if (chance(s, 500))
			wait = answer(s, wait);
		if (chance(s, 500))
			wait = k->timeout_ms;
		queue_push(s, wait, failed_event, s->manager.turn, NULL);
		return 0;
	}

	wait = answer(s, wait);
	wait = MIN(wait, k->timeout_ms);
	queue_push(s, wait + chance_below(s, 400), done_event, s->manager.turn,
		   NULL);
	if (k->wrong && chance(s, 300))
		queue_push(s, wait + chance_below(s, 3000), done_event,
			   s->manager.turn, NULL);
	if (k->wrong && chance(s, 300))
		(void)answer(s, wait + chance_below(s, 3000));

	return 0;
}

void manager_cancel(struct sim *s)
{
	s->manager.busy = false;
}

static void open_event(struct sim *s, uint64_t n, void *data)
{
	(void)n;
	(void)data;
	world_open(s, s->plan.manager.open_err);
}

void manager_start(struct sim *s)
{
	queue_push(s, s->plan.manager.open_ms, open_event, 0, NULL);
}

/**
 * @file turn.c  From what the caller said or keyed in to a turn
 *
 * What is said gathers in `pending` and goes out as one turn when the
 * recogniser's final (or `turn.join_ms` after it) says that the caller is done
 * and no other turn is in flight. Who goes on within that time is waited for.
 * Nothing accepted is lost: what is not sent is reported by unsent() with the
 * reason.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "call_priv.h"

/* A sentence that goes on after a breath; music has no end. What it adds
 * later is the next turn. */
enum { BREATH_MAX_MS = 5000 };

static void drop_text(struct said *s)
{
	if (s->text && s->sensitive)
		mem_wipe(s->text, strlen(s->text));
	s->text = mem_deref(s->text);
}

static void said_clear(struct said *s)
{
	drop_text(s);
	*s = (struct said){0};
}

/* Append a text, words apart */
static int said_add(struct said *s, const char *text, size_t n)
{
	char *sum;
	int err;

	if ((s->text ? strlen(s->text) : 0) + n + 2 > DIALOG_TEXT_MAX)
		return EOVERFLOW;

	err = str_printf(&sum, "%s%s%.*s", s->text ? s->text : "",
			 s->text ? " " : "", (int)n, text);
	if (err)
		return err;

	drop_text(s);
	s->text = sum;

	return 0;
}

bool turn_has_pending(const struct call *c)
{
	return c->pending.text || c->pending.noise;
}

void turn_forget(struct call *c)
{
	said_clear(&c->pending);
	said_clear(&c->sent);
}

/* What is pending will not be sent */
void turn_discard(struct call *c)
{
	secret_keep(c);
	if (c->pending.text)
		call_unsent(c, c->pending.text, c->pending.sensitive,
			    CALL_UNSENT_ENDED);
	turn_forget(c);
	keys_discard(c);
}

/* ------------------------------------------------------------- sending */

static bool takes_pending(enum dialog_turn_kind kind)
{
	return kind == DIALOG_SPEECH || kind == DIALOG_KEYS ||
	       kind == DIALOG_NOISE;
}

static void pass_pending(struct call *c, int err)
{
	if (err && c->pending.text)
		call_unsent(c, c->pending.text, c->pending.sensitive,
			    CALL_UNSENT_FAILED);

	said_clear(&c->sent);
	c->sent = c->pending;
	c->pending = (struct said){0};
	c->waits = false;
}

void turn_send(struct call *c, enum dialog_turn_kind kind, uint64_t now_ms)
{
	bool pending = takes_pending(kind);
	struct dialog_turn t = {
		.kind = kind,
		.text = pending && c->pending.text ? c->pending.text : "",
		.language = c->language,
		.sensitive = pending && c->pending.sensitive,
		.interrupted = c->interrupted,
		.heard_ms = c->interrupted ? c->heard_ms : 0,
		.heard = c->interrupted && c->heard ? c->heard : "",
	};
	int err;

	wait_begins(c, now_ms);
	c->decide_ms = NEVER;
	c->thinking = true;
	c->overtaken = false;
	c->asked = kind;
	c->asked_ms = now_ms;
	keys_reset(c);
	answer_begin(c, kind);
	metrics_inc(M_TURNS);

	err = c->ops->turn(&t, c->arg);
	if (pending)
		pass_pending(c, err);
	/* an answer that is still being said may yet be interrupted */
	if (c->interrupted || !c->utterancec)
		answer_unheard(c);
	c->interrupted = false;

	if (err)
		call_done(c, err, now_ms);
}

static enum dialog_turn_kind pending_kind(const struct call *c)
{
	if (!c->pending.text)
		return DIALOG_NOISE;

	return c->pending.spoken ? DIALOG_SPEECH : DIALOG_KEYS;
}

void turn_decide(struct call *c, uint64_t now_ms)
{
	if (c->utterancec == 0)
		c->waits = false;
	if (c->ready && !c->thinking && !c->ending && !c->ended &&
	    turn_has_pending(c) && !c->waits && now_ms >= c->decide_ms)
		turn_send(c, pending_kind(c), now_ms);
}

/* The caller goes on within a breath: its final joins what is pending. It was
 * nothing if there is none soon after. */
void turn_speech(struct call *c, bool speaking, uint64_t now_ms)
{
	if (!turn_has_pending(c) || !c->prm.join_ms)
		return;

	if (speaking && now_ms < c->decide_ms) {
		c->goes_on = true;
		c->decide_ms = c->breath_ms;
	} else if (!speaking && c->goes_on) {
		c->decide_ms = MIN(c->breath_ms, now_ms + c->prm.resume_ms);
	}
}

/* Nobody wants to hear the answer to the turn in flight any more */
void turn_overtake(struct call *c, uint64_t now_ms)
{
	if (!c->thinking)
		return;

	if (c->prm.forgets) {
		c->ops->cancel_turn(c->arg);
		c->thinking = false;
		wait_ends(c, now_ms);
	} else {
		c->overtaken = true;
	}
}

/* A sentence may be over while the next is still being written */
static bool is_partly_heard(const struct call *c)
{
	return reply_is_sounding(c) ||
	       (c->answering && c->heard_answer == c->answer && c->heard_ms);
}

/* The caller goes on while the dialog manager thinks: ask anew, with all of
 * it, unless some of the answer is out already */
static void replace(struct call *c, uint64_t now_ms)
{
	struct said now = c->pending;

	if (!c->prm.replace || !c->prm.forgets || !c->thinking ||
	    !takes_pending(c->asked) || is_partly_heard(c))
		return;

	c->pending = c->sent;
	c->sent = (struct said){0};
	if (now.text && said_add(&c->pending, now.text, strlen(now.text))) {
		/* too long for one turn: two, then */
		c->sent = c->pending;
		c->pending = now;
		return;
	}
	c->pending.spoken |= now.spoken;
	c->pending.sensitive |= now.sensitive;
	c->pending.noise = false;
	said_clear(&now);

	c->ops->cancel_turn(c->arg);
	c->thinking = false;
	wait_ends(c, now_ms);
	reply_silence(c, now_ms);
}

/* Something was said or keyed in: it becomes a turn, or part of one */
void turn_accept(struct call *c, const char *text, size_t n, bool spoken,
		 bool sensitive, uint64_t now_ms)
{
	int err = n ? said_add(&c->pending, text, n) : 0;

	if (err) {
		call_unsent(c, text, sensitive,
			    err == EOVERFLOW ? CALL_UNSENT_TOO_LONG
					     : CALL_UNSENT_MEMORY);
		/* by the next tick: who is interrupted by this would take it
		 * away again */
		c->sorry_ms = MIN(c->sorry_ms, now_ms);
		return;
	}

	/* A key pressed along makes it no less spoken: that is a hint to the
	 * dialog manager that it may be misheard */
	c->pending.spoken |= spoken;
	c->pending.sensitive |= sensitive;
	c->pending.noise |= !n;
	c->goes_on = false;
	c->decide_ms = now_ms + c->prm.join_ms;
	c->breath_ms = c->decide_ms + BREATH_MAX_MS;
	if (spoken && n && c->speaking && c->prm.join_ms) {
		c->goes_on = true; /* the final came after the breath */
		c->decide_ms = c->breath_ms;
	}
	replace(c, now_ms);
}

/* ------------------------------------------------------ dialog manager */

/* Some dialog managers answer with nothing when a part of them has failed */
static bool is_left_unanswered(const struct call *c)
{
	return (c->asked == DIALOG_SPEECH || c->asked == DIALOG_KEYS) &&
	       !c->answering && !c->overtaken && !c->ending;
}

void call_dialog_open(struct call *c, int err, uint64_t now_ms)
{
	if (c->ended || c->ready)
		return;

	c->ready = true;
	wait_ends(c, now_ms);
	wait_touch(c, now_ms);
	if (err) {
		metrics_inc(M_TURNS_FAILED);
		reply_apologise(c, now_ms);
	} else if (c->prm.greeting == CALL_GREETING_DIALOG && c->prm.opens &&
		   !turn_has_pending(c) && !c->ending) {
		turn_send(c, DIALOG_OPENING, now_ms);
		return;
	}

	turn_decide(c, now_ms);
}

void call_done(struct call *c, int err, uint64_t now_ms)
{
	if (c->ended || !c->thinking)
		return;

	c->thinking = false;
	c->protect = false;
	wait_ends(c, now_ms);
	said_clear(&c->sent);
	wait_touch(c, now_ms);
	if (!err && is_left_unanswered(c))
		metrics_inc(M_TURNS_SILENT);
	if (err) {
		metrics_inc(M_TURNS_FAILED);
		log_warn(c->id, "turn failed", "err=\"%s\"", strerror(err));
		reply_apologise(c, now_ms);
	}
	if (!c->utterancec)
		wait_filler(c, false);
	if (!err && c->repeated)
		call_end_when_said(c, CALL_END_REPEATED, now_ms);

	turn_decide(c, now_ms);
}

/* ---------------------------------------------------------------- time */

uint64_t turn_next_ms(const struct call *c)
{
	bool may = c->ready && !c->thinking && !c->ending;

	return may && turn_has_pending(c) && !c->waits ? c->decide_ms : NEVER;
}

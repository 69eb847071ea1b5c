/**
 * @file rules_secret.c  What must never happen: to a secret of the caller's
 *
 * A model of its own of when the caller is not to be overheard, from requests,
 * what the caller gives, and what they hear. It is sure of less than the
 * conversation: what is secret by it must be, and what can't be must not.
 */
#include <string.h>
#include "sim.h"

enum {
	/* The conversation's own time until it is over at the latest, where
	 * nothing is said and all of a number was keyed in */
	QUIET_MS = 6000,
};

/* Secret keys are keyed in only where they are secret, so that they can be
 * told from all others in any text */
static bool has_secret_key(const char *text)
{
	return text[strcspn(text, SIM_SECRET_KEYS)] != '\0';
}

static bool has_secret_word(const struct watch *w, const char *text)
{
	uint32_t n;

	while (words_next(&text, 'c', &n)) {
		if (w->wordv[n].secret)
			return true;
	}

	return false;
}

/** Is there something in a text that is for the dialog manager alone? */
bool secrecy_is_in(const struct sim *s, const char *text)
{
	return has_secret_key(text) || has_secret_word(&s->watch, text);
}

/** Must whatever the caller gives now be kept secret? */
bool secrecy_is_on(const struct sim *s)
{
	return s->watch.secret.asked || s->watch.secret.open;
}

/* As the server is told; breaks.c makes it forget */
static bool is_kept(const struct sim *s)
{
	return call_is_sensitive(s->call) &&
	       !(s->forgetful && s->watch.in_flight);
}

/* Is there a key that was not sent? Of several numbers one may have been, and
 * another waits; those that end a number are not part of it. */
static bool has_keys(const struct watch *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(w->keyv); i++) {
		const struct given_note *n = &w->keyv[i];

		if (!strchr("*#", (char)i) &&
		    (n->masked || n->given > n->sent + n->unsent))
			return true;
	}

	return w->secret.keyed;
}

/* ---------------------------------------------------------------- events */

/** The dialog manager asks for keys */
void secrecy_collect(struct sim *s, const struct dialog_act *act)
{
	struct secret_note *n = &s->watch.secret;
	bool sensitive = act->sensitive || s->plan.prm.keys_sensitive;

	/* a key before that may be all of the number */
	n->asked = sensitive && !has_keys(&s->watch);
	n->ever |= sensitive;
}

static void given(struct sim *s)
{
	struct secret_note *n = &s->watch.secret;

	n->given = true;
	n->heard_ms = 0;
	if (n->open && s->watch.in_flight)
		sim_count(s, COUNT_SECRET_REST);
}

/* Only what was never told in the open is a secret. (What is told again was
 * given before, and who takes interims may have taken one of those.) */
static void note_word(struct sim *s, struct given_note *n, bool final)
{
	bool known = n->given || (n->hinted && s->plan.prm.endpoint_ms);

	if (!secrecy_is_on(s))
		n->secret = false;
	else if (final && !known)
		n->secret = true;
}

void secrecy_result(struct sim *s, const struct asr_result *res)
{
	struct watch *w = &s->watch;
	const char *text = res->text;
	uint32_t i;

	w->secret.touched_ms = s->now_ms;
	while (words_next(&text, 'c', &i))
		note_word(s, &w->wordv[i], res->final);
	if (!res->final || !w->words)
		return;

	if (secrecy_is_on(s) && !call_hides_words(s->call))
		rule_violated(s, RULE_SECRECY, "a final is told");
	given(s);
}

void secrecy_key(struct sim *s, char key)
{
	struct secret_note *n = &s->watch.secret;
	const char text[2] = {key, '\0'};

	n->touched_ms = s->now_ms;
	n->keyed = true;
	n->key = key;
	n->pressed = has_secret_key(text);
	n->ever |= n->pressed;
	if (secrecy_is_on(s) && !call_hides_keys(s->call))
		rule_violated(s, RULE_SECRECY, "a key is told");
	n->asked = false; /* it may be the last one */
	given(s);
}

void secrecy_speech(struct sim *s)
{
	s->watch.secret.touched_ms = s->now_ms;
}

/** One that nobody collects is over when it has been pressed */
void secrecy_unsent(struct sim *s)
{
	s->watch.secret.pressed = false;
}

/** A turn is sent, whether it is taken or not */
void secrecy_turn(struct sim *s, const struct dialog_turn *t)
{
	struct watch *w = &s->watch;
	struct secret_note *n = &w->secret;

	n->open |= n->asked || t->sensitive;
	n->asked = n->given = false;
	/* a star may have ended its number, or be one of its own */
	if (t->kind == DIALOG_KEYS)
		n->keyed = strchr("*#", n->key) != NULL;
	n->turn = w->turns + 1;
	n->heard_ms = 0;
}

/** The caller hears the beginning of what may be an answer */
void secrecy_started(struct sim *s, const struct utterance_note *u)
{
	struct secret_note *n = &s->watch.secret;

	if (u->sorry || u->kind == KIND_PROMPT || u->kind == KIND_PAUSE)
		return;
	/* of what we can't tell, it may be one */
	if (!u->act || u->turn >= n->turn)
		n->open = false;
	if (u->act && u->turn == n->turn && !n->heard_ms)
		n->heard_ms = s->now_ms;
}

/* ----------------------------------------------------------------- rules */

/* All that was given has been sent, and answered; nobody says anything. What
 * holds when the call is ending holds: no answer comes any more. */
static bool is_over(const struct sim *s)
{
	const struct watch *w = &s->watch;
	const struct secret_note *n = &w->secret;
	uint64_t quiet = MAX(n->heard_ms, n->touched_ms);

	if (!n->ever)
		return true;

	return n->heard_ms && !n->asked && !n->given && !has_keys(w) &&
	       !w->closing_ms && !w->in_flight && !w->held &&
	       !s->caller.speaking &&
	       s->now_ms > quiet + QUIET_MS + s->plan.prm.endpoint_ms +
				   SIM_STALL_MAX_MS;
}

void secrecy_check(struct sim *s)
{
	struct secret_note *n = &s->watch.secret;

	n->open |= n->pressed;
	n->pressed = false;
	if (s->phase != PHASE_UP)
		return;

	if (secrecy_is_on(s) && !is_kept(s))
		rule_violated(s, RULE_SECRECY, "the caller is overheard");
	else if (is_kept(s) && is_over(s))
		rule_violated(s, RULE_SECRECY, "it does not end");
}

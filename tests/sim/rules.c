/**
 * @file rules.c  What must never happen: requests, and what the caller said
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <convod/str.h>
#include "sim.h"

enum { ECHO_MS = 3000 /* a word of it that comes so late is the bot's */ };

/* ---------------------------------------------------------------- names */

#define NAME(id, name, what) [RULE_##id] = {name, what},
static const struct {
	const char *name, *what;
} rulev[RULES] = {SIM_RULES(NAME)};
#undef NAME

#define NAME(id, name) [COUNT_##id] = name,
static const char *const countv[COUNTS] = {SIM_COUNTS(NAME)};
#undef NAME

const char *rule_name(enum rule rule)
{
	return rulev[rule].name;
}

const char *rule_what(enum rule rule)
{
	return rulev[rule].what;
}

enum rule rule_find(const char *name)
{
	for (unsigned i = RULE_NONE + 1; i < RULES; i++) {
		if (!strcmp(rulev[i].name, name))
			return (enum rule)i;
	}

	return RULE_NONE;
}

const char *sim_count_name(enum sim_count count)
{
	return countv[count];
}

/* Where memory is short the caller's words are lost, and told to be; there is
 * nothing to stop the bot for then */
static bool is_excused(const struct sim *s, enum rule rule)
{
	return s->plan.starves && rule == RULE_FALSE_START;
}

/* The first one counts: what follows may follow from it */
void rule_violated(struct sim *s, enum rule rule, const char *fmt, ...)
{
	va_list ap;

	if (s->violated || is_excused(s, rule))
		return;

	s->violated = rule;
	va_start(ap, fmt);
	(void)vsnprintf(s->why, sizeof(s->why), fmt, ap);
	va_end(ap);
	trace(s, "RULE", "%s: %s", rule_name(rule), s->why);
}

void rules_op(struct sim *s, const char *name)
{
	struct watch *w = &s->watch;

	++w->ops;
	if (w->hung_up || w->stopped)
		rule_violated(s, RULE_AFTER_END, "%s", name);
}

/* ----------------------------------------------- what the caller gave */

static const char mapped[] = "mapped";

typedef void(given_h)(struct sim *s, struct given_note *n, void *arg);

/* Everything of the caller's in a text: words, keys, keys mapped to words */
static void for_given(struct sim *s, const char *text, given_h *h, void *arg)
{
	struct watch *w = &s->watch;

	while (*text) {
		const char *end = text + strcspn(text, " \n");
		const char *word = text;
		uint32_t n;

		if (words_next(&word, 'c', &n) && word <= end) {
			h(s, &w->wordv[n], arg);
		} else if (str_starts(text, mapped)) {
			h(s, &w->keyv[text[sizeof(mapped) - 1] & 127], arg);
		} else {
			for (; text < end; ++text)
				h(s, &w->keyv[*text & 127], arg);
		}
		text = end + strspn(end, " \n");
	}
}

static void add(struct sim *s, struct given_note *n, void *arg)
{
	uint16_t *member = (void *)((char *)n + *(const size_t *)arg);

	(void)s;
	++*member;
}

#define COUNT_GIVEN(s, text, member) \
	for_given((s), (text), add,  \
		  &(size_t){offsetof(struct given_note, member)})

/* Nothing goes out more often than it came in */
static void check_given(struct sim *s, struct given_note *n, void *arg)
{
	unsigned in = n->given + n->cancelled;

	/* its interim may have stood for it, and then it is known; one that
	 * comes when the next is being said passes for new */
	if (s->plan.prm.endpoint_ms)
		in += s->plan.recogniser.trouble ? UINT16_MAX : n->hinted;
	if ((unsigned)n->sent + n->unsent > in)
		rule_violated(s, RULE_ACCOUNTED,
			      "%s: came %u times, sent %u, not sent %u",
			      (const char *)arg, n->given, n->sent, n->unsent);
}

static unsigned count_words(const char *text)
{
	unsigned words = 0;
	uint32_t n;

	while (words_next(&text, 'c', &n))
		++words;

	return words;
}

static void hint(struct sim *s, struct given_note *n, void *arg)
{
	(void)s;
	(void)arg;
	n->hinted = 1;
}

void rules_given(struct sim *s, const struct asr_result *res)
{
	struct watch *w = &s->watch;

	w->by_result = true;
	w->words = count_words(res->text);
	w->most_words = MAX(w->most_words, w->words);
	secrecy_result(s, res);
	if (w->words && !res->final)
		w->interim_ms = s->now_ms;
	if (!res->final) {
		for_given(s, res->text, hint, NULL);
		return;
	}

	s->countv[COUNT_WORD] += w->words;
	COUNT_GIVEN(s, res->text, given);
	w->fresh = false;
	if (w->words)
		w->said_ms = s->now_ms;
	if (w->words && w->held && !rules_is_protected(w))
		w->words_in_hold = true;
}

void rules_speech(struct sim *s, bool speaking)
{
	s->watch.speaking = speaking;
	s->watch.fresh |= speaking;
}

void rules_echo(struct sim *s)
{
	s->watch.echo_ms = s->now_ms;
}

bool rules_is_echo(const struct sim *s, uint32_t utterance)
{
	const struct watch *w = &s->watch;
	const struct utterance_note *u = &w->utterancev[utterance];

	return u->act && rules_is_live(u) && !w->speaking && !w->fresh &&
	       s->now_ms < w->echo_ms + ECHO_MS;
}

void rules_key(struct sim *s, char key)
{
	struct watch *w = &s->watch;

	sim_count(s, COUNT_KEY);
	w->by_key = true;
	w->key_ms = s->now_ms;
	secrecy_key(s, key);
	++w->keyv[key & 127].given;
}

static void mask(struct watch *w)
{
	/* an interim may have been taken before its final comes */
	for (size_t i = 0; i < ARRAY_SIZE(w->wordv); i++)
		w->wordv[i].masked |= w->wordv[i].given || w->wordv[i].hinted;
	for (size_t i = 0; i < ARRAY_SIZE(w->keyv); i++)
		w->keyv[i].masked |= w->keyv[i].given;
}

void rules_unsent(struct sim *s, const char *text, enum call_unsent why)
{
	struct watch *w = &s->watch;

	++w->ops;
	trace(s, "call", "unsent (%s): %.60s", call_unsent_name(why), text);
	sim_count(s, (enum sim_count)(COUNT_UNSENT_ENDED + why));
	if (secrecy_is_in(s, text))
		rule_violated(s, RULE_SENSITIVE, "unsent: %.40s", text);

	secrecy_unsent(s);
	w->words_in_hold = false;
	w->said_ms = 0;
	w->echoed = false;
	if (!strcmp(text, "***")) {
		mask(w);
		return;
	}
	COUNT_GIVEN(s, text, unsent);
	for_given(s, text, check_given, (void *)text);
}

/* At the end each was sent, or reported */
static void check_lost(struct sim *s, const struct given_note *n,
		       const char *what, uint32_t number, bool exact)
{
	unsigned out = n->sent + n->unsent;

	if (n->masked || !n->given)
		return;
	if (out < (exact ? n->given : 1u))
		rule_violated(s, RULE_ACCOUNTED,
			      "%s %u: came %u times, sent %u, not sent %u",
			      what, number, n->given, n->sent, n->unsent);
}

void rules_lost(struct sim *s)
{
	const struct watch *w = &s->watch;
	bool exact = !s->plan.prm.endpoint_ms;

	for (uint32_t i = 0; i < s->caller.words; i++)
		check_lost(s, &w->wordv[i], "word", i, exact);
	for (uint32_t i = 0; i < ARRAY_SIZE(w->keyv); i++) {
		/* keys that end a number are not part of it */
		if (!strchr("*#", (char)i))
			check_lost(s, &w->keyv[i], "key", i, true);
	}
}

/* --------------------------------------------------------------- requests */

static void check_heard(struct sim *s, const struct dialog_turn *t)
{
	struct watch *w = &s->watch;
	const char *heard = t->heard;
	uint32_t n, told = t->heard_ms;

	while (words_next(&heard, 'b', &n)) {
		sim_count(s, COUNT_TURN_HEARD_TEXT);
		if (!w->askedv[n])
			rule_violated(s, RULE_HEARD_MS,
				      "word %u was never spoken", n);
	}

	if (!t->interrupted || !w->cut_known || w->cuts != 1)
		return;
	if (told > w->cut_ms + w->cut_tolerance_ms ||
	    told + w->cut_tolerance_ms < w->cut_ms)
		rule_violated(s, RULE_HEARD_MS,
			      "turn says %u ms of the answer, it was %u", told,
			      w->cut_ms);
}

static void count_turn(struct sim *s, const struct dialog_turn *t)
{
	const char *text = t->text;
	uint32_t n;

	sim_count(s, (enum sim_count)(COUNT_TURN_OPENING + (int)t->kind));
	if (t->interrupted)
		sim_count(s, COUNT_TURN_INTERRUPTED);
	if (words_next(&text, 'c', &n) && s->watch.wordv[n].cancelled)
		sim_count(s, COUNT_TURN_REPLACED);
	if (t->sensitive)
		sim_count(s, COUNT_TURN_SENSITIVE);
	if (t->kind == DIALOG_SPEECH && strpbrk(t->text, "0123456789"))
		sim_count(s, COUNT_TURN_MIXED);
	if (s->plan.prm.join_ms && count_words(t->text) > 12)
		sim_count(s, COUNT_TURN_JOINED);
}

void rules_turn(struct sim *s, const struct dialog_turn *t)
{
	static const char *const namev[] = {"opening", "speech", "keys",
					    "noise", "nobody"};
	struct watch *w = &s->watch;
	bool texted = t->kind == DIALOG_SPEECH || t->kind == DIALOG_KEYS;

	rules_op(s, "turn");
	trace(s, "call", "turn, %s%s: %.60s", namev[t->kind],
	      t->interrupted ? ", interrupted" : "", t->text);
	if (w->in_flight)
		rule_violated(s, RULE_ONE_REQUEST, "one is in flight");
	if (w->closing_ms)
		rule_violated(s, RULE_ONE_REQUEST, "the call is ending");
	if (texted != str_isset(t->text))
		rule_violated(s, RULE_ACCOUNTED, "turn %s with text \"%.20s\"",
			      namev[t->kind], t->text);
	if (secrecy_is_in(s, t->text) && !t->sensitive)
		rule_violated(s, RULE_SENSITIVE, "turn is not marked so");

	count_turn(s, t);
	check_heard(s, t);
}

/* It is in flight, unless the dialog manager refused it */
void rules_turn_taken(struct sim *s, const struct dialog_turn *t, int err)
{
	struct watch *w = &s->watch;

	w->cuts = 0;
	w->cut_known = false;
	w->said_ms = 0;
	secrecy_turn(s, t);
	if (err) {
		trace(s, "manager", "turn refused: %s", strerror(err));
		sim_count(s, COUNT_TURN_REFUSED);
		return;
	}

	w->in_flight = true;
	w->overtaken = false;
	w->kind = t->kind;
	++w->turns;
	str_copy(w->sent, sizeof(w->sent), t->text);
	COUNT_GIVEN(s, t->text, sent);
	for_given(s, t->text, check_given, (void *)t->text);
}

/* What it asked may be asked again */
void rules_cancel(struct sim *s)
{
	struct watch *w = &s->watch;

	rules_op(s, "cancel_turn");
	trace(s, "call", "cancel");
	sim_count(s, COUNT_TURN_CANCELLED);
	if (!w->in_flight)
		rule_violated(s, RULE_ONE_REQUEST, "cancel of none");
	w->in_flight = false;
	COUNT_GIVEN(s, w->sent, cancelled);
	w->sent[0] = '\0';
}

void rules_done(struct sim *s, int err)
{
	struct watch *w = &s->watch;

	if (err && w->in_flight)
		sim_count(s, COUNT_TURN_FAILED);
	w->in_flight = false;
	w->sent[0] = '\0';
}

/* An act of the dialog manager's reaches the conversation */
void rules_acted(struct sim *s, const struct dialog_act *act, uint32_t note)
{
	struct watch *w = &s->watch;
	struct act_note *a = note ? &w->actv[note - 1] : NULL;

	if (!w->in_flight || w->hung_up || w->stopped || w->closing_ms)
		return;

	if (act->type == DIALOG_HANGUP || act->type == DIALOG_TRANSFER)
		w->closing_ms = s->now_ms;
	if (w->overtaken)
		return;

	if (act->type == DIALOG_COLLECT) {
		sim_count(s, COUNT_COLLECT);
		secrecy_collect(s, act);
	}
	if (!a && act->uninterruptible)
		w->protected_ms = s->now_ms;
	if (!a || a->accepted)
		return;

	a->accepted = true;
	a->at_ms = s->now_ms;
	a->turn = w->turns;
	if (w->kind == DIALOG_OPENING && s->plan.prm.greeting_protect)
		a->protect = true;
	for (uint32_t i = 0; i < a->wordc; i++)
		w->act_of_wordv[a->first_word + i] = (uint16_t)note;
}

void rules_act(struct sim *s, const struct dialog_act *act)
{
	rules_op(s, "act");
	if (act->text && secrecy_is_in(s, act->text))
		rule_violated(s, RULE_SENSITIVE, "act(\"%.40s\")", act->text);
}

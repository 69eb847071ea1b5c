/**
 * @file keys.c  Keys: one with an action of its own, or digits of a number
 *
 * Digits belong together until the finish key, until there are as many as
 * wanted, or until no key was pressed for a while; then they are a turn. The
 * dialog manager can ask for them (DIALOG_COLLECT), and says then how many and
 * whether they are for its eyes only; the settings say so for the others.
 */
#include <string.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "call_priv.h"

/* While they are collected a key is a digit and nothing else */
bool keys_are_collected(const struct call *c)
{
	return c->collect.on || c->digitc;
}

void keys_collect(struct call *c, const struct dialog_act *act)
{
	struct collect *co = &c->collect;

	*co = (struct collect){
		.on = true,
		.sensitive = act->sensitive,
		.ms = act->ms ? act->ms : c->prm.digits_ms,
		.max = act->digits,
	};
	str_copy(co->finish, sizeof(co->finish),
		 act->finish ? act->finish : c->prm.finish);
}

/* A new turn: what was asked for before is no longer wanted */
void keys_reset(struct call *c)
{
	secret_keep(c);
	c->collect = (struct collect){
		.ms = c->prm.digits_ms,
		.max = c->prm.digits_max,
	};
	str_copy(c->collect.finish, sizeof(c->collect.finish), c->prm.finish);
}

static void wipe(struct call *c)
{
	mem_wipe(c->digitv, sizeof(c->digitv));
	c->digitc = 0;
	c->digits_sensitive = false;
	c->digits_ms = NEVER;
}

void keys_discard(struct call *c)
{
	if (c->digitc)
		call_unsent(c, c->digitv, call_hides_keys(c),
			    CALL_UNSENT_ENDED);
	wipe(c);
}

static void complete(struct call *c, uint64_t now_ms)
{
	bool sensitive = call_hides_keys(c);

	turn_accept(c, c->digitv, c->digitc, false, sensitive, now_ms);
	keys_reset(c); /* of what is still secret */
	wipe(c);
	if (!floor_take(c, true, 0, now_ms))
		c->waits = true;
	turn_decide(c, now_ms);
}

/* -------------------------------------------------------------- actions */

static const struct call_key *find_action(const struct call *c, char key)
{
	for (size_t i = 0; i < c->prm.keyc; i++) {
		if (c->prm.keyv[i].key == key)
			return &c->prm.keyv[i];
	}

	return NULL;
}

static void transfer(struct call *c, const char *number, uint64_t now_ms)
{
	const struct dialog_act act = {
		.type = DIALOG_TRANSFER,
		.text = number,
	};

	c->ops->act(&act, c->arg);
	call_cut(c, now_ms);
	call_end_when_said(c, CALL_END_TRANSFER, now_ms);
}

static void act_on(struct call *c, const struct call_key *k, uint64_t now_ms)
{
	char key[2] = {k->key, '\0'};

	if (k->action != CALL_KEY_SEND)
		call_unsent(c, key, call_hides_keys(c), CALL_UNSENT_ACTION);

	switch (k->action) {
	case CALL_KEY_TRANSFER:
		transfer(c, k->text, now_ms);
		break;
	case CALL_KEY_REPEAT:
		(void)answer_repeat(c, now_ms);
		break;
	case CALL_KEY_HANGUP:
		call_cut(c, now_ms);
		call_end_when_said(c, CALL_END_BOT, now_ms);
		break;
	case CALL_KEY_SEND:
		turn_accept(c, k->text, strlen(k->text), true, false, now_ms);
		turn_decide(c, now_ms);
		break;
	case CALL_KEY_NONE:
		break;
	}
}

/* --------------------------------------------------------------- events */

void call_dtmf(struct call *c, char digit, uint64_t now_ms)
{
	const struct call_key *k;
	const char key[2] = {digit, '\0'};

	if (c->ended || c->ending) {
		call_unsent(c, key, call_hides_keys(c), CALL_UNSENT_ENDED);
		return;
	}

	metrics_inc(M_KEYS);
	wait_answered(c, now_ms);
	k = keys_are_collected(c) ? NULL : find_action(c, digit);
	/* the first key ends the bot's speech, as its last would */
	(void)floor_take(c, true, 0, now_ms);
	if (k && k->action != CALL_KEY_NONE) {
		act_on(c, k, now_ms);
		return;
	}

	if (strchr(c->collect.finish, digit) && c->digitc) {
		complete(c, now_ms);
		return;
	}

	/* until they are gone, whatever is asked for meanwhile */
	c->digits_sensitive = call_hides_keys(c);
	c->digitv[c->digitc++] = digit;
	c->digitv[c->digitc] = '\0';
	c->digits_ms = now_ms + c->collect.ms;
	if (c->digitc == DIALOG_DIGITS_MAX || c->digitc == c->collect.max ||
	    strchr(c->collect.finish, digit))
		complete(c, now_ms);
	else
		turn_decide(c, now_ms); /* what had to wait for the bot */
}

uint64_t keys_next_ms(const struct call *c)
{
	return c->digits_ms;
}

void keys_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= c->digits_ms)
		complete(c, now_ms);
}

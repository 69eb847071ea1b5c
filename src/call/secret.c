/**
 * @file secret.c  When what the caller gives is for nobody's eyes
 *
 * A number is said in groups, or keyed in with a word or two, and one of them
 * may make the turn. So secrecy does not end with the turn: all that comes
 * before the caller has heard an answer, and could react to it, belongs to the
 * secret, makes its own turn secret, and waits for an answer in its turn. Only
 * what the dialog manager says is an answer: after an apology, or a word to
 * wait, its question still stands.
 */
#include "call_priv.h"

enum {
	/* The line, playout's lead and a caller's own time: what begins
	 * sooner is no reply to what they hear */
	REACTION_MS = 1000,
	/* A final comes within 2 s of the last word */
	FINAL_MS = 3000,
	/* A card's number in groups takes 15 s; music has no end */
	SENTENCE_MAX_MS = 20000,
};

static bool is_asked_for(const struct call *c)
{
	const struct collect *co = &c->collect;

	return co->on && (co->sensitive || c->prm.keys_sensitive);
}

bool call_is_sensitive(const struct call *c)
{
	return c->secret || is_asked_for(c) || c->pending.sensitive ||
	       (c->digitc && c->digits_sensitive);
}

bool call_hides_keys(const struct call *c)
{
	return c->prm.keys_sensitive || call_is_sensitive(c);
}

bool call_hides_words(const struct call *c)
{
	return c->taken_secret || call_is_sensitive(c);
}

/** What holds until now holds until an answer to it is heard */
void secret_keep(struct call *c)
{
	if (!call_is_sensitive(c))
		return;

	c->secret = true;
	c->secret_ms = NEVER;
}

static bool is_answered(const struct call *c, uint64_t now_ms)
{
	return c->secret && c->secret_ms != NEVER && now_ms < c->secret_ms;
}

/* Who is in the middle of a sentence may end it */
static void await_final(struct call *c, uint64_t now_ms)
{
	uint64_t at = c->secret_heard_ms + SENTENCE_MAX_MS;

	if (!c->speaking)
		at = MIN(at, now_ms + FINAL_MS + c->prm.endpoint_ms);
	c->secret_ms = at;
}

/** An answer begins to be heard */
void secret_answered(struct call *c, uint64_t now_ms)
{
	if (!c->secret || c->secret_ms != NEVER)
		return;

	c->secret_heard_ms = now_ms;
	c->secret_ms = now_ms + REACTION_MS;
	if (c->speaking || c->fresh || c->words)
		await_final(c, now_ms);
}

/** The caller begins or stops to speak, or words of theirs come */
void secret_speech(struct call *c, uint64_t now_ms)
{
	if (is_answered(c, now_ms))
		await_final(c, now_ms);
}

/** A sentence is over; they may be in the next one */
void secret_final(struct call *c, uint64_t now_ms)
{
	if (is_answered(c, now_ms) && !c->speaking)
		c->secret_ms = MAX(now_ms, c->secret_heard_ms + REACTION_MS);
}

uint64_t secret_next_ms(const struct call *c)
{
	return c->secret ? c->secret_ms : NEVER;
}

void secret_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= secret_next_ms(c))
		c->secret = false;
}

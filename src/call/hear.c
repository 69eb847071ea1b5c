/**
 * @file hear.c  What the recogniser says, and whether it is well
 *
 * A final is what the caller said. Where there are none, `turn.endpoint_ms`
 * lets the last interim stand for it once the caller has been silent so long;
 * a final that comes after all is then known already.
 */
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "call_priv.h"

static bool is_blank(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

static const char *trim(const char *text, size_t *n)
{
	*n = strlen(text);
	while (*n && is_blank(*text)) {
		++text;
		--*n;
	}
	while (*n && is_blank(text[*n - 1]))
		--*n;

	return text;
}

static unsigned count_words(const char *text, size_t n)
{
	unsigned words = 0;

	for (size_t i = 0; i < n; i++)
		words += !is_blank(text[i]) && (!i || is_blank(text[i - 1]));

	return words;
}

static void forget_taken(struct call *c)
{
	c->taken = mem_deref(c->taken);
	c->taken_secret = false;
}

void hear_discard(struct call *c)
{
	c->interim = mem_deref(c->interim);
	forget_taken(c);
	c->past = mem_deref(c->past);
	c->take_ms = NEVER;
}

/* --------------------------------------------------------------- finals */

static void not_sent(struct call *c, const char *text, size_t n,
		     enum call_unsent why)
{
	char *s = NULL;

	/* without memory it is told with the blanks behind it */
	call_unsent(c, str_ndup(&s, text, n) ? text : s, call_hides_words(c),
		    why);
	mem_deref(s);
}

/* Of a final, what was not taken from its interim before */
static const char *untaken(const struct call *c, const char *text, size_t *n)
{
	size_t known = c->taken ? strlen(c->taken) : 0;

	if (!known)
		return text;
	if (*n < known || memcmp(text, c->taken, known) != 0) {
		*n = 0; /* the recogniser thought better of it: too late */
		return text;
	}

	*n -= known;
	text += known;
	while (*n && is_blank(*text)) {
		++text;
		--*n;
	}

	return text;
}

static void take(struct call *c, const char *text, size_t n, uint64_t now_ms)
{
	bool noise = !n;

	if (keys_are_collected(c) && c->prm.keys_only) {
		if (n)
			not_sent(c, text, n, CALL_UNSENT_COLLECTING);
		floor_false_start(c, now_ms);
		return;
	}

	wait_answered(c, now_ms);
	turn_accept(c, text, n, true, call_hides_words(c), now_ms);
	if (!noise && !floor_take(c, false, count_words(text, n), now_ms))
		c->waits = true;
	turn_decide(c, now_ms);
}

/* Noise while the bot speaks or thinks is nobody's business */
static void rejected(struct call *c, uint64_t now_ms)
{
	floor_false_start(c, now_ms);
	if (!c->thinking && !c->utterancec && !turn_has_pending(c) &&
	    !c->ending)
		take(c, "", 0, now_ms);
}

static void end_sentence(struct call *c, char *text)
{
	mem_deref(c->past);
	c->past = text;
}

static char *sentence_of(const char *said)
{
	char *text;

	/* without memory a late interim passes for new */
	return str_dup(&text, said) ? NULL : text;
}

static void final(struct call *c, const struct asr_result *res,
		  uint64_t now_ms)
{
	size_t n;
	const char *said = trim(res->text, &n);
	const char *text = untaken(c, said, &n);

	/* whatever the caller is about to say goes on */
	if (echo_is_own(c, said, now_ms)) {
		not_sent(c, said, strlen(said), CALL_UNSENT_ECHO);
		return;
	}

	c->fresh = false;
	c->words = 0;
	if (c->taken && !n && *said)
		not_sent(c, said, strlen(said), CALL_UNSENT_KNOWN);
	else if (n && c->ending)
		not_sent(c, text, n, CALL_UNSENT_ENDED);
	else if (n)
		take(c, text, n, now_ms);
	else if (res->rejected)
		rejected(c, now_ms);
	else
		floor_false_start(c, now_ms);

	hear_discard(c);
	secret_final(c, now_ms);
	if (c->prm.endpoint_ms && *said)
		end_sentence(c, sentence_of(said));
}

/* ------------------------------------------------------------- interims */

/* Of what was taken, or ended by a final: it comes late, or again and again.
 * Who says the same word twice makes a new sound. */
static bool is_late(const struct call *c, const char *text, size_t n)
{
	return c->past && !c->fresh && strlen(c->past) >= n &&
	       !memcmp(c->past, text, n);
}

static void interim(struct call *c, const struct asr_result *res,
		    uint64_t now_ms)
{
	size_t n;
	const char *text = trim(res->text, &n);

	if (!n)
		return;

	c->interims = true;
	if (echo_is_own(c, text, now_ms))
		return;

	wait_touch(c, now_ms);
	secret_speech(c, now_ms);
	floor_interim(c, count_words(text, n), now_ms);
	if (!c->prm.endpoint_ms || is_late(c, text, n))
		return;

	/* another sentence, or the same one again */
	if (c->taken && (!str_starts(text, c->taken) || strlen(c->taken) == n))
		forget_taken(c);
	c->interim = mem_deref(c->interim);
	c->take_ms = NEVER;
	if (!str_ndup(&c->interim, text, n) && !c->speaking)
		c->take_ms = now_ms + c->prm.endpoint_ms;
}

/* The caller is silent: the interim stands for the final */
static void take_interim(struct call *c, uint64_t now_ms)
{
	char *text = c->interim;
	size_t n = strlen(text);
	const char *rest = untaken(c, text, &n);
	bool secret = call_hides_words(c);

	c->interim = NULL;
	c->take_ms = NEVER;
	if (c->ending) {
		mem_deref(text); /* of no use: its final says so */
		return;
	}

	c->fresh = false;
	c->words = 0;
	if (n)
		take(c, rest, n, now_ms);
	mem_deref(c->taken);
	c->taken = text;
	c->taken_secret = secret;
	end_sentence(c, mem_ref(text));
}

/* ------------------------------------------------------- voice activity */

void hear_speech(struct call *c, bool speaking, uint64_t now_ms)
{
	if (speaking && !c->speaking) {
		c->speech_ms = now_ms;
		if (!c->unheard_since_ms)
			c->unheard_since_ms = now_ms;
	} else if (!speaking && c->speaking && c->unheard_since_ms) {
		c->unheard_sum_ms += now_ms - c->speech_ms;
	}
	c->speaking = speaking;

	c->take_ms = !speaking && c->interim ? now_ms + c->prm.endpoint_ms
					     : NEVER;
}

/* --------------------------------------------------------------- health */

static void heard_something(struct call *c)
{
	c->unheard_since_ms = 0;
	c->unheard_sum_ms = 0;
}

void call_result(struct call *c, const struct asr_result *res, uint64_t now_ms)
{
	size_t n;
	const char *text = trim(res->text, &n);

	if (c->ended) {
		if (res->final && n)
			not_sent(c, text, n, CALL_UNSENT_ENDED);
		return;
	}

	heard_something(c);
	if (res->final)
		final(c, res, now_ms);
	else
		interim(c, res, now_ms);
}

void call_asr_state(struct call *c, enum asr_state state, uint64_t now_ms)
{
	if (c->ended)
		return;

	switch (state) {
	case ASR_UP:
		c->deaf_ms = NEVER;
		c->deaf_told = false;
		break;
	case ASR_BROKEN:
		if (c->deaf_ms == NEVER && !c->deaf_told)
			c->deaf_ms = now_ms + CALL_DEAF_AFTER_MS;
		break;
	case ASR_DOWN:
		if (!c->deaf_told)
			reply_apologise(c, now_ms);
		c->deaf_ms = NEVER;
		c->deaf_told = true;
		break;
	default:
		break;
	}
}

/* Music and noise are no speech to a recogniser either: only much of it, and
 * no word for long, means that the recogniser hangs. Its session tries another
 * stream by itself; the caller wants to know that nobody heard. */
static void check_unheard(struct call *c, uint64_t now_ms)
{
	if (!c->unheard_since_ms ||
	    now_ms < c->unheard_since_ms + CALL_UNHEARD_AFTER_MS)
		return;

	if (c->unheard_sum_ms >= CALL_UNHEARD_MS) {
		log_warn(c->id, "recogniser gives no result", "speech_ms=%u",
			 (unsigned)c->unheard_sum_ms);
		reply_apologise(c, now_ms);
	}
	heard_something(c);
}

uint64_t hear_next_ms(const struct call *c)
{
	uint64_t next = MIN(c->deaf_ms, c->take_ms);

	if (c->unheard_since_ms)
		next = MIN(next, c->unheard_since_ms + CALL_UNHEARD_AFTER_MS);

	return next;
}

void hear_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= c->take_ms)
		take_interim(c, now_ms);

	if (now_ms >= c->deaf_ms) {
		c->deaf_ms = NEVER;
		c->deaf_told = true;
		reply_apologise(c, now_ms);
	}

	check_unheard(c, now_ms);
}

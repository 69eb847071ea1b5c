/**
 * @file caller.c  The caller: speaks, hesitates, interrupts, says "mhm",
 *                 presses keys, plays music, says nothing, hangs up
 */
#include "sim.h"

enum {
	WORD_MS = 300,
	ONSET_MS = 140,  /* until voice activity is sure of it */
	OFFSET_MS = 240, /* and of the end */
	BOOK_WORDS = 800,
};

static event_h thing_event;

/* ---------------------------------------------------------------- sounds */

static void sound_event(struct sim *s, uint64_t on, void *data)
{
	struct caller *c = &s->caller;

	(void)data;
	/* sounds may overlap: a cough while music plays */
	if (on)
		++c->speaking;
	else
		--c->speaking;
	if (c->speaking == on || (chance(s, 20) && on))
		world_speech(s, on != 0);
}

static void sound(struct sim *s, uint32_t ms)
{
	uint32_t on = chance_between(s, ONSET_MS / 2, 2 * ONSET_MS);

	if (s->plan.caller.quiet || ms + OFFSET_MS <= on)
		return;

	queue_push(s, on, sound_event, 1, NULL);
	queue_push(s, ms + OFFSET_MS, sound_event, 0, NULL);
}

/** @return how long it takes */
static uint32_t speak(struct sim *s, uint32_t words)
{
	struct caller *c = &s->caller;
	uint32_t ms = words * chance_between(s, WORD_MS / 2, 2 * WORD_MS);

	if (c->words + words >= SIM_WORDS_MAX || s->now_ms < c->busy_ms)
		return ms;

	/* whole books are read faster than anybody could */
	ms = MIN(ms, words < BOOK_WORDS ? 20000u : 2000u);
	c->busy_ms = s->now_ms + ms;
	trace(s, "caller", "speaks %u words, %u ms", words, ms);
	sound(s, ms);
	recogniser_hear(s, c->words, words, ms);
	c->words += words;

	return ms;
}

static uint32_t make_noise(struct sim *s)
{
	uint32_t ms = chance(s, 700) ? chance_between(s, 100, 700)
				     : chance_between(s, 2000, 15000);

	trace(s, "caller", "noise, %u ms", ms);
	sound(s, ms);
	/* one that comes while they speak is part of the sentence */
	if (s->now_ms >= s->caller.busy_ms)
		recogniser_hear(s, s->caller.words, 0, ms);

	return ms;
}

/* ------------------------------------------------------------------ keys */

static void key_event(struct sim *s, uint64_t n, void *data)
{
	(void)data;
	world_key(s, (char)n);
}

/* Secret ones are keyed in only where they are known to be secret, so that
 * rules.c can tell them from all others */
static char pick_key(struct sim *s)
{
	static const char secret[] = SIM_SECRET_KEYS, plain[] = "0123456*#AB";

	if (s->plan.prm.keys_sensitive || secrecy_is_on(s))
		return secret[chance_below(s, sizeof(secret) - 1)];

	return plain[chance_below(s, sizeof(plain) - 1)];
}

static void press_event(struct sim *s, uint64_t left, void *data)
{
	uint32_t gap = chance(s, 100) ? chance_between(s, 1000, 5000)
				      : chance_between(s, 60, 800);

	(void)data;
	if (!left)
		return;

	key_event(s, (uint64_t)pick_key(s), NULL);
	queue_push(s, gap, press_event, left - 1, NULL);
	if (left == 1 && chance(s, 400))
		queue_push(s, gap + 50, key_event, '#', NULL);
}

static uint32_t press(struct sim *s)
{
	uint32_t n = chance(s, 20) ? 70 : chance_between(s, 1, 6);

	queue_push(s, 0, press_event, n, NULL);

	return n * 400;
}

/* ------------------------------------------------------------- behaviour */

static uint32_t talk(struct sim *s)
{
	const struct caller_kind *k = &s->plan.caller;

	if (k->chatty && chance(s, 800))
		return speak(s, BOOK_WORDS);
	/* "mhm" */
	if (chance(s, 200))
		return speak(s, 1);
	/* hesitates: two breaths, one thought */
	if (chance(s, 150)) {
		uint32_t ms = speak(s, chance_between(s, 1, 3));

		queue_push(s, ms + chance_between(s, 200, 900), thing_event, 1,
			   NULL);
		return ms;
	}

	return speak(s, chance_between(s, 2, 9));
}

static void thing_event(struct sim *s, uint64_t n, void *data)
{
	const struct caller_kind *k = &s->plan.caller;
	uint32_t ms;

	(void)n;
	(void)data;
	if (s->phase != PHASE_UP)
		return;

	if (chance(s, k->keys))
		ms = press(s);
	else if (chance(s, k->noise))
		ms = make_noise(s);
	else if (k->mute)
		ms = 1000;
	else
		ms = talk(s);

	/* what is done besides leads to nothing else */
	if (!n)
		queue_push(s, ms + chance_below(s, k->idle_ms), thing_event, 0,
			   NULL);
}

void caller_hears(struct sim *s)
{
	if (s->plan.caller.rude && chance(s, 400))
		queue_push(s, chance_below(s, 2500), thing_event, 1, NULL);
}

static void leave_event(struct sim *s, uint64_t n, void *data)
{
	(void)n;
	(void)data;
	world_stop(s, s->plan.caller.how);
}

static void drain_event(struct sim *s, uint64_t n, void *data)
{
	(void)n;
	(void)data;
	if (s->phase != PHASE_UP)
		return;

	trace(s, "server", "drains");
	rules_close(s);
	call_drain(s->call, s->now_ms);
	world_touch(s);
}

void caller_start(struct sim *s)
{
	queue_push(s, chance_below(s, 3000 + s->plan.caller.idle_ms),
		   thing_event, 0, NULL);
	if (s->plan.caller.leaves_ms)
		queue_push(s, s->plan.caller.leaves_ms, leave_event, 0, NULL);
	if (s->plan.drain_ms)
		queue_push(s, s->plan.drain_ms, drain_event, 0, NULL);
}

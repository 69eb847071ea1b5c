/**
 * @file recogniser.c  The recogniser: interims and finals, or what it makes of
 *                     them
 *
 * Its results come late, twice, in the wrong order or not at all; finals are
 * empty, rejected or differ from their interims; and now and then its stream
 * breaks or it hears nothing for a while.
 */
#include <convod/mem.h>
#include <convod/str.h>
#include "sim.h"

struct result {
	bool final;
	bool rejected;
	char text[]; /* as long as it needs */
};

static void result_event(struct sim *s, uint64_t n, void *data)
{
	const struct result *r = data;
	const struct asr_result res = {
		.final = r->final,
		.rejected = r->rejected,
		.text = r->text,
	};

	(void)n;
	if (s->now_ms < s->recogniser.deaf_until_ms)
		return;

	world_result(s, &res);
}

/* Who is not in trouble tells things in order */
static uint32_t in_order(struct sim *s, uint32_t in_ms, bool final)
{
	struct recogniser *r = &s->recogniser;
	uint64_t at = s->now_ms + in_ms;

	if (s->plan.recogniser.trouble)
		return in_ms;

	at = MAX(at, r->final_ms);
	if (final)
		r->final_ms = at;

	return (uint32_t)(at - s->now_ms);
}

/* Words first … of what was said; count 0: nothing was understood */
static void tell(struct sim *s, uint32_t in_ms, bool final, bool rejected,
		 uint32_t first, uint32_t count)
{
	size_t size = count * 5u + 16, n;
	struct result *r = mem_zalloc(sizeof(*r) + size, NULL);

	if (!r)
		return;

	r->final = final;
	r->rejected = rejected;
	n = words_print(r->text, size, 'c', first, count);
	/* blanks around it say nothing */
	if (count && chance(s, 50))
		str_copy(r->text + n, size - n, "  \n");
	queue_push(s, in_order(s, in_ms, final), result_event, 0, r);
	mem_deref(r);
}

static void interims(struct sim *s, uint32_t first, uint32_t count,
		     uint32_t ms)
{
	const struct recogniser_kind *k = &s->plan.recogniser;

	if (!k->interims)
		return;

	for (uint32_t at = k->interim_ms; at < ms; at += k->interim_ms) {
		uint32_t words = MIN(count, 1 + count * at / ms);
		uint32_t late = chance_below(s, 200);

		if (chance(s, k->trouble))
			continue;
		if (chance(s, k->trouble))
			late += chance_below(s, 3000);
		else
			late = MIN(late, ms - at);
		tell(s, at + late, false, false, first, words);
	}
}

/* The final goes wrong in one of many ways */
static void trouble(struct sim *s, uint32_t first, uint32_t count, uint32_t ms)
{
	uint32_t half = count / 2;

	switch (chance_below(s, 7)) {
	case 0: /* lost */
		break;
	case 1: /* late */
		tell(s, ms + chance_below(s, 6000), true, false, first, count);
		break;
	case 2: /* twice */
		tell(s, ms, true, false, first, count);
		tell(s, ms + chance_below(s, 2000), true, false, first, count);
		break;
	case 3: /* in two */
		tell(s, ms, true, false, first, half);
		tell(s, ms + chance_below(s, 500), true, false, first + half,
		     count - half);
		break;
	case 4:
		tell(s, ms, true, true, first, 0);
		break;
	case 5:
		tell(s, ms, true, false, first, 0);
		break;
	default: /* it thinks better of the last word */
		tell(s, ms, true, false, first, count - half);
		break;
	}
}

void recogniser_hear(struct sim *s, uint32_t first, uint32_t count,
		     uint32_t ms)
{
	const struct recogniser_kind *k = &s->plan.recogniser;
	uint32_t at = ms + chance_between(s, 20, k->final_ms);

	if (!count) {
		/* most sounds are nothing to it */
		if (chance(s, 300))
			tell(s, at, true, chance(s, 500), first, 0);
		return;
	}

	interims(s, first, count, ms);
	if (k->no_finals)
		return;
	if (chance(s, k->trouble))
		trouble(s, first, count, at);
	else
		tell(s, at, true, false, first, count);
}

/* ------------------------------------------------------------ the bot's */

static void echo_result_event(struct sim *s, uint64_t utterance, void *data)
{
	const struct utterance_note *u = rules_note(s, (uint32_t)utterance);
	char text[16];

	(void)data;
	if (s->phase != PHASE_UP || !rules_is_echo(s, (uint32_t)utterance))
		return;

	(void)words_print(text, sizeof(text), 'b', u->word, 1);
	sim_count(s, COUNT_ECHO);
	s->watch.echoed = true;
	world_result(s, &(struct asr_result){.final = true, .text = text});
}

static void echo_event(struct sim *s, uint64_t utterance, void *data)
{
	(void)data;
	world_echo(s);
	queue_push(s, chance_between(s, 100, 2500), echo_result_event,
		   utterance, NULL);
}

void recogniser_hear_bot(struct sim *s, uint32_t utterance)
{
	if (chance(s, s->plan.recogniser.echo))
		queue_push(s, chance_below(s, 500), echo_event, utterance,
			   NULL);
}

/* ---------------------------------------------------------------- health */

static void state(struct sim *s, enum asr_state st)
{
	if (s->phase == PHASE_CLOSED)
		return;

	s->recogniser.state = st;
	if (st == ASR_BROKEN)
		sim_count(s, COUNT_ASR_BROKEN);
	else if (st == ASR_DOWN)
		sim_count(s, COUNT_ASR_DOWN);
	world_asr_state(s, st);
}

static void health_event(struct sim *s, uint64_t n, void *data)
{
	uint32_t next = chance_between(s, 200, 9000);

	(void)n;
	(void)data;
	if (s->recogniser.state == ASR_DOWN || s->phase != PHASE_UP)
		return;

	switch (chance_below(s, 8)) {
	case 0:
		state(s, ASR_DOWN);
		break;
	case 1:
		sim_count(s, COUNT_ASR_DEAF);
		s->recogniser.deaf_until_ms = s->now_ms + 2 * next;
		break;
	case 2:
	case 3:
	case 4:
		state(s, ASR_BROKEN);
		break;
	default:
		state(s, ASR_UP);
		break;
	}
	queue_push(s, next, health_event, 0, NULL);
}

static void up_event(struct sim *s, uint64_t n, void *data)
{
	(void)n;
	(void)data;
	if (s->recogniser.state == ASR_CONNECTING)
		state(s, ASR_UP);
}

void recogniser_start(struct sim *s)
{
	s->recogniser.state = ASR_CONNECTING;
	queue_push(s, chance_below(s, 2000), up_event, 0, NULL);
	if (s->plan.recogniser.breaks)
		queue_push(s, chance_below(s, 15000), health_event, 0, NULL);
}

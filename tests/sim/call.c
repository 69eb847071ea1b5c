/**
 * @file call.c  One simulated call, from its seed to the last block of memory
 */
#include <string.h>
#include <convod/mem.h>
#include "sim.h"

static void start(struct sim *s, uint64_t seed)
{
	s->seed = s->random = seed;
	s->now_ms = SIM_START_MS;
	s->call = NULL;
	s->playout = NULL;
	s->filler = NULL;
	s->phase = PHASE_UP;
	s->timer = 0;
	s->tokens = 0;
	s->flush_wanted = false;
	s->violated = RULE_NONE;
	s->restless = s->forgetful = false;
	s->kept = mem_deref(s->kept);
	s->queue.seq = 0;
	memset(&s->caller, 0, sizeof(s->caller));
	memset(&s->recogniser, 0, sizeof(s->recogniser));
	memset(&s->manager, 0, sizeof(s->manager));
	memset(&s->watch, 0, sizeof(s->watch));
	s->carrier.first = s->carrier.framec = s->carrier.markc = 0;
	memset(&s->carrier.last_arrival_ms, 0,
	       sizeof(s->carrier) - offsetof(struct carrier, last_arrival_ms));
	plan_make(s);
}

/* Events of the same moment may share a turn of the loop */
static bool ends_turn(struct sim *s)
{
	const struct queue *q = &s->queue;

	return !q->eventc || q->eventv[0].at_ms > s->now_ms || chance(s, 500);
}

/* The loop may be blocked for a while: events come late, many at once */
static void advance(struct sim *s, uint64_t at_ms)
{
	bool behind = s->flush_wanted || at_ms < s->now_ms;

	s->now_ms = MAX(at_ms, s->now_ms);
	if (!chance(s, s->plan.stalls) || behind)
		return;

	s->now_ms += chance_between(s, 50, SIM_STALL_MAX_MS);
	trace(s, "loop", "was blocked");
	sim_count(s, COUNT_STALL);
}

static void play(struct sim *s)
{
	struct event e;

	while (!s->violated && queue_pop(&s->queue, &e)) {
		advance(s, e.at_ms);
		sim_count(s, COUNT_EVENTS);
		rules_before(s);
		if (chance(s, s->plan.starves))
			mem_fail_after((long)chance_below(s, 6));
		if (!s->violated)
			e.h(s, e.n, e.data);
		mem_deref(e.data);
		if (s->flush_wanted && ends_turn(s))
			world_flush(s);
		mem_fail_after(-1);
		rules_after(s);
	}
}

static void count_end(struct sim *s)
{
	static const enum sim_count countv[CALL_ENDS] = {
		[CALL_END_CALLER] = COUNT_END_CALLER,
		[CALL_END_BOT] = COUNT_END_BOT,
		[CALL_END_TRANSFER] = COUNT_END_TRANSFER,
		[CALL_END_SILENCE] = COUNT_END_SILENCE,
		[CALL_END_IDLE] = COUNT_END_IDLE,
		[CALL_END_REPEATED] = COUNT_END_REPEATED,
		[CALL_END_TOO_LONG] = COUNT_END_TOO_LONG,
		[CALL_END_SHUTDOWN] = COUNT_END_SHUTDOWN,
		[CALL_END_PROTOCOL] = COUNT_END_PROTOCOL,
		[CALL_END_STUCK] = COUNT_END_STUCK,
		[CALL_END_ERROR] = COUNT_END_ERROR,
	};

	if (s->watch.end)
		sim_count(s, countv[s->watch.end]);
}

static void finish(struct sim *s)
{
	if (!s->violated)
		rules_at_end(s);
	queue_flush(&s->queue);
	list_flush(&s->speechl);
	s->playout = mem_deref(s->playout);
	s->call = mem_deref(s->call);
	s->filler = mem_deref(s->filler);
	count_end(s);
}

void sim_run(struct sim *s, uint64_t seed)
{
	size_t before;

	start(s, seed);
	before = mem_blocks();
	if (world_start(s)) {
		rule_violated(s, RULE_MEMORY, "no memory for a call");
	} else {
		manager_start(s);
		recogniser_start(s);
		carrier_start(s);
		caller_start(s);
		world_flush(s);
		rules_after(s);
		play(s);
	}

	finish(s);
	if (mem_blocks() != before)
		rule_violated(s, RULE_MEMORY, "%zd blocks",
			      (ssize_t)(mem_blocks() - before));
}

/**
 * @file queue.c  Chance and time: all that is random, and what comes when
 */
#include <stdlib.h>
#include <convod/mem.h>
#include "sim.h"

/* splitmix64: the same numbers on every machine */
static uint64_t next_random(struct sim *s)
{
	uint64_t z = s->random += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;

	return z ^ z >> 31;
}

uint32_t chance_below(struct sim *s, uint32_t n)
{
	return (uint32_t)((next_random(s) >> 32) * n >> 32);
}

uint32_t chance_between(struct sim *s, uint32_t lo, uint32_t hi)
{
	return lo + chance_below(s, hi - lo + 1);
}

bool chance(struct sim *s, uint32_t permille)
{
	return chance_below(s, 1000) < permille;
}

/* A heap, the next event first */
static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->seq < b->seq;
}

static void swap(struct event *a, struct event *b)
{
	struct event tmp = *a;

	*a = *b;
	*b = tmp;
}

void queue_push(struct sim *s, uint64_t in_ms, event_h *h, uint64_t n,
		void *data)
{
	struct queue *q = &s->queue;
	size_t i = q->eventc++;

	if (q->eventc > SIM_EVENTS_MAX)
		abort(); /* a peer's model runs wild */

	q->eventv[i] = (struct event){.at_ms = s->now_ms + in_ms,
				      .seq = q->seq++,
				      .h = h,
				      .n = n,
				      .data = mem_ref(data)};
	while (i && is_before(&q->eventv[i], &q->eventv[(i - 1) / 2])) {
		swap(&q->eventv[i], &q->eventv[(i - 1) / 2]);
		i = (i - 1) / 2;
	}
}

bool queue_pop(struct queue *q, struct event *e)
{
	size_t i = 0;

	if (!q->eventc)
		return false;

	*e = q->eventv[0];
	q->eventv[0] = q->eventv[--q->eventc];
	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= q->eventc)
			return true;
		if (child + 1 < q->eventc &&
		    is_before(&q->eventv[child + 1], &q->eventv[child]))
			++child;
		if (!is_before(&q->eventv[child], &q->eventv[i]))
			return true;
		swap(&q->eventv[i], &q->eventv[child]);
		i = child;
	}
}

void queue_flush(struct queue *q)
{
	for (size_t i = 0; i < q->eventc; i++)
		mem_deref(q->eventv[i].data);
	q->eventc = 0;
}

/**
 * @file breaker.c  Leaves a voice alone that fails again and again
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "breaker.h"

struct breaker {
	struct le le; /* of all, with whose it is */
	struct voice_key voice;

	pthread_mutex_t lock; /* of all below */
	unsigned failures;    /* in a row */
	bool open;
	uint32_t period_ms;
	uint64_t probe_ms; /* when the next one is due */
};

static void destructor(void *arg)
{
	struct breaker *b = arg;

	if (b->open)
		metrics_gauge(M_TTS_CIRCUITS_OPEN, -1);
	pthread_mutex_destroy(&b->lock);
}

int breaker_alloc(struct breaker **bp)
{
	struct breaker *b = mem_zalloc(sizeof(*b), destructor);

	if (!b)
		return ENOMEM;

	pthread_mutex_init(&b->lock, NULL);
	*bp = b;

	return 0;
}

bool breaker_is_open(struct breaker *b)
{
	bool open;

	pthread_mutex_lock(&b->lock);
	open = b->open;
	pthread_mutex_unlock(&b->lock);

	return open;
}

bool breaker_take_probe(struct breaker *b, uint64_t now_ms)
{
	bool due;

	pthread_mutex_lock(&b->lock);
	due = b->open && now_ms >= b->probe_ms;
	if (due) {
		b->period_ms = MIN(2 * b->period_ms,
				   (uint32_t)BREAKER_LONGEST_MS);
		b->probe_ms = now_ms + b->period_ms;
	}
	pthread_mutex_unlock(&b->lock);

	return due;
}

static void open_it(struct breaker *b, uint64_t now_ms)
{
	b->open = true;
	b->period_ms = BREAKER_MS;
	b->probe_ms = now_ms + BREAKER_MS;
	metrics_inc(M_TTS_CIRCUIT_OPENED);
	metrics_gauge(M_TTS_CIRCUITS_OPEN, 1);
}

static void close_it(struct breaker *b)
{
	b->open = false;
	metrics_gauge(M_TTS_CIRCUITS_OPEN, -1);
}

void breaker_report(struct breaker *b, int err, uint64_t now_ms)
{
	pthread_mutex_lock(&b->lock);
	b->failures = err ? b->failures + 1 : 0;
	if (!err && b->open)
		close_it(b);
	else if (err && !b->open && b->failures >= BREAKER_FAILURES)
		open_it(b, now_ms);
	pthread_mutex_unlock(&b->lock);
}

/* -------------------------------------------------------- of all voices */

struct breakers {
	pthread_mutex_t lock;
	struct list l;
};

static void breakers_destructor(void *arg)
{
	struct breakers *bs = arg;

	list_flush(&bs->l);
	pthread_mutex_destroy(&bs->lock);
}

int breakers_alloc(struct breakers **bp)
{
	struct breakers *bs = mem_zalloc(sizeof(*bs), breakers_destructor);

	if (!bs)
		return ENOMEM;

	pthread_mutex_init(&bs->lock, NULL);
	*bp = bs;

	return 0;
}

/* Under the lock */
static int find(struct breaker **bp, struct breakers *bs,
		const struct voice_key *voice)
{
	struct breaker *b;
	struct le *le;
	int err;

	LIST_FOREACH(&bs->l, le)
	{
		b = list_ledata(le);
		if (!memcmp(&b->voice, voice, sizeof(*voice))) {
			*bp = mem_ref(b);
			return 0;
		}
	}

	err = breaker_alloc(&b);
	if (err)
		return err;

	b->voice = *voice;
	list_append(&bs->l, &b->le, b);
	*bp = mem_ref(b);

	return 0;
}

int breakers_get(struct breaker **bp, struct breakers *bs,
		 const struct voice_key *voice)
{
	int err;

	pthread_mutex_lock(&bs->lock);
	err = find(bp, bs, voice);
	pthread_mutex_unlock(&bs->lock);

	return err;
}

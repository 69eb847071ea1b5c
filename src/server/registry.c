/**
 * @file registry.c  How many calls are up, and how they ended
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "server_priv.h"

enum { REASONS = CALL_END_ERROR + 1 };

struct registry {
	pthread_mutex_t lock;
	uint32_t calls_max;
	uint32_t sockets;
	uint64_t endv[REASONS];
};

static void destructor(void *arg)
{
	struct registry *r = arg;

	pthread_mutex_destroy(&r->lock);
}

int registry_alloc(struct registry **rp, uint32_t calls_max)
{
	struct registry *r = mem_zalloc(sizeof(*r), destructor);

	if (!r)
		return ENOMEM;

	pthread_mutex_init(&r->lock, NULL);
	r->calls_max = calls_max;
	*rp = r;
	return 0;
}

int registry_enter(struct registry *r)
{
	int err = 0;

	pthread_mutex_lock(&r->lock);
	if (r->sockets >= r->calls_max)
		err = EAGAIN;
	else
		++r->sockets;
	pthread_mutex_unlock(&r->lock);

	return err;
}

void registry_leave(struct registry *r)
{
	pthread_mutex_lock(&r->lock);
	--r->sockets;
	pthread_mutex_unlock(&r->lock);
}

void registry_end(struct registry *r, enum call_end reason)
{
	pthread_mutex_lock(&r->lock);
	++r->endv[reason];
	pthread_mutex_unlock(&r->lock);
}

uint32_t registry_count(struct registry *r)
{
	uint32_t n;

	pthread_mutex_lock(&r->lock);
	n = r->sockets;
	pthread_mutex_unlock(&r->lock);

	return n;
}

int registry_print(struct registry *r, char **textp)
{
	enum { LINE_MAX_BYTES = 96, HEAD_BYTES = 160 };
	size_t size = HEAD_BYTES + (size_t)REASONS * LINE_MAX_BYTES;
	char *text = mem_zalloc(size, NULL);
	uint64_t endv[REASONS];
	size_t n;

	if (!text)
		return ENOMEM;

	pthread_mutex_lock(&r->lock);
	for (size_t i = 0; i < REASONS; i++)
		endv[i] = r->endv[i];
	pthread_mutex_unlock(&r->lock);

	n = (size_t)snprintf(
		text, size,
		"# HELP convod_calls_ended_total calls that ended, by reason\n"
		"# TYPE convod_calls_ended_total counter\n");
	for (size_t i = CALL_END_CALLER; i < REASONS; i++)
		n += (size_t)snprintf(
			text + n, size - n,
			"convod_calls_ended_total{reason=\"%s\"} %llu\n",
			call_end_name((enum call_end)i),
			(unsigned long long)endv[i]);

	*textp = text;
	return 0;
}

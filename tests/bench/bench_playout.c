/**
 * @file bench_playout.c  What it costs to speak to many callers at once
 *
 * Playouts that all play cached clips, their messages spread evenly over time,
 * as on one worker; the messages go nowhere. CPU of the thread, medians of
 * several rounds. It must not allocate, nor copy the audio: the bench fails if
 * it does.
 */
#include <stdio.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/playout.h>
#include "measure.h"

enum {
	PLAYOUTS = 2000,
	ROUNDS = 9,
	ROUND_MS = 6000,
	CLIPS = 50, /* sentences of a bot */
	CLIP_MS = 3000,
	LEAD_MS = 300,
	WHEEL_MS = 4096, /* longer than a playout ever waits */
	PROMPT_S = 60,   /* without a pause: all of it is searched for one */
};

struct caller {
	struct playout *p;
	struct caller *next; /* due in the same millisecond */
	uint32_t utterance;
	bool again; /* the last one is all sent */
};

static struct caller callerv[PLAYOUTS];
static struct clip *clipv[CLIPS];
static size_t messages, samples, copied;
static struct caller *wheelv[WHEEL_MS];
static uint64_t now;

static void die(const char *what)
{
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static bool is_in_a_clip(const uint8_t *ulawv)
{
	for (size_t i = 0; i < CLIPS; i++) {
		const uint8_t *v = clip_data(clipv[i]);

		if (ulawv >= v && ulawv < v + clip_len(clipv[i]))
			return true;
	}

	return false;
}

static bool look; /* into where the samples are; not while measuring */

static int media_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	(void)arg;
	++messages;
	samples += n;
	if (look && !is_in_a_clip(ulawv))
		copied += n;

	return 0;
}

static int mark_handler(const char *name, void *arg)
{
	struct caller *c = arg;

	(void)name;
	c->again = true;

	return 0;
}

static int clear_handler(void *arg)
{
	(void)arg;

	return 0;
}

static void started_handler(uint32_t utterance, uint64_t at_ms, void *arg)
{
	(void)utterance;
	(void)at_ms;
	(void)arg;
}

static void finished_handler(uint32_t utterance, bool heard, void *arg)
{
	(void)utterance;
	(void)heard;
	(void)arg;
}

static const struct playout_ops ops = {
	.media = media_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.started = started_handler,
	.finished = finished_handler,
};

static void speak(struct caller *c)
{
	size_t i = (c->utterance + (size_t)(c - callerv)) % CLIPS;

	if (playout_queue(c->p, clipv[i], ++c->utterance))
		die("playout_queue");
	c->again = false;
}

static void wait_until(struct caller *c, uint64_t ms)
{
	struct caller **slot = &wheelv[MIN(ms, now + WHEEL_MS - 1) % WHEEL_MS];

	c->next = *slot;
	*slot = c;
}

/* Let time pass; returns ns of CPU a message */
static double pass(uint64_t ms)
{
	double start = cpu_ns();
	size_t before = messages;

	for (uint64_t end = now + ms; now < end; now++) {
		struct caller *c = wheelv[now % WHEEL_MS], *next;

		wheelv[now % WHEEL_MS] = NULL;
		for (; c; c = next) {
			uint64_t at = playout_tick(c->p, now);

			next = c->next;
			if (c->again) {
				speak(c);
				at = playout_tick(c->p, now);
			}
			wait_until(c, at);
		}
	}

	return (cpu_ns() - start) / (double)(messages - before);
}

static struct clip *make_clip(uint32_t ms, uint8_t code)
{
	size_t n = (size_t)ms * AUDIO_PER_MS;
	uint8_t *ulawv = malloc(n);
	struct clip *c = NULL;

	if (!ulawv)
		die("malloc");
	memset(ulawv, code, n);
	if (clip_from(&c, ulawv, n))
		die("clip_from");
	free(ulawv);

	return c;
}

static void set_up(void)
{
	for (size_t i = 0; i < CLIPS; i++)
		clipv[i] = make_clip(CLIP_MS, (uint8_t)(0x20 + i));

	for (size_t i = 0; i < PLAYOUTS; i++) {
		struct caller *c = &callerv[i];

		if (playout_alloc(&c->p, &ops, LEAD_MS, c))
			die("playout_alloc");
		wait_until(c, i * CLIP_MS / PLAYOUTS);
		speak(c);
	}
}

/* The caller makes a noise, nothing follows, the bot goes on */
static double hold_and_resume(struct clip *prompt)
{
	struct playout *p = NULL;
	double start, spent;
	uint64_t at = 0;

	if (playout_alloc(&p, &ops, LEAD_MS, &callerv[0]) ||
	    playout_queue(p, prompt, 1))
		die("playout");
	while (at < (PROMPT_S - 1) * 1000)
		at = playout_tick(p, at);

	start = cpu_ns();
	playout_hold(p, at);
	playout_resume(p, at + 500);
	spent = cpu_ns() - start;
	mem_deref(p);

	return spent;
}

int main(void)
{
	struct clip *prompt = make_clip(PROMPT_S * 1000, 0x20);
	double nsv[ROUNDS], holdv[ROUNDS];

	set_up();
	look = true;
	(void)pass(CLIP_MS * 2);
	printf("%zu messages of %.0f ms; copied by playout: %.1f %% of the "
	       "audio\n",
	       messages, (double)samples / AUDIO_PER_MS / (double)messages,
	       100.0 * (double)copied / (double)samples);
	if (copied > samples / 10)
		die("sending without a copy");

	look = false;
	allocations = 0;
	for (size_t i = 0; i < ROUNDS; i++)
		nsv[i] = pass(ROUND_MS);
	printf("%d playouts: %.0f ns a message, %zu allocations\n", PLAYOUTS,
	       median_of(nsv, ROUNDS), allocations);
	if (allocations)
		die("doing without allocations");

	for (size_t i = 0; i < ROUNDS; i++)
		holdv[i] = hold_and_resume(prompt);
	printf("hold and resume, no pause in %d s: %.0f us\n", PROMPT_S - 1,
	       median_of(holdv, ROUNDS) / 1000);

	for (size_t i = 0; i < PLAYOUTS; i++)
		mem_deref(callerv[i].p);
	for (size_t i = 0; i < CLIPS; i++)
		mem_deref(clipv[i]);
	mem_deref(prompt);

	return 0;
}

/**
 * @file fake_carrier.h  A carrier for the tests of playout that notes what it
 * gets
 */
#ifndef FAKE_CARRIER_H
#define FAKE_CARRIER_H

#include <stdio.h>
#include <convod/audio.h>
#include <convod/playout.h>
#include "test.h"

/* "M60" media of 60 ms, "Kname" mark, "C" clear, "S1" started, "F1" heard,
 * "X1" not heard */
struct fake {
	char text[4096];
	size_t samples;
	uint8_t last;       /* byte of audio */
	uint8_t last_first; /* byte of the last message */
	uint8_t first;      /* byte since forget() */
	uint8_t probe;      /* byte 10 ms behind that */
	int err;            /* of media and clear */
	struct playout *p;
	struct clip *next; /* queued from inside finished() */
};

static inline void note(struct fake *f, char what, unsigned v, const char *s)
{
	char number[16];
	size_t n = strlen(f->text);

	(void)snprintf(number, sizeof(number), "%u", v);
	(void)snprintf(f->text + n, sizeof(f->text) - n, "%c%s ", what,
		       s ? s : number);
}

static int media_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct fake *f = arg;

	if (f->err)
		return f->err;

	assert_int_equal(n % FRAME_SAMPLES, 0);
	if (!strchr(f->text, 'M')) {
		f->first = ulawv[0];
		f->probe = ulawv[10 * AUDIO_PER_MS];
	}
	f->last_first = ulawv[0];
	f->samples += n;
	f->last = ulawv[n - 1];
	note(f, 'M', (unsigned)n / AUDIO_PER_MS, NULL);

	return 0;
}

static int mark_handler(const char *name, void *arg)
{
	note(arg, 'K', 0, name);
	return 0;
}

static int clear_handler(void *arg)
{
	const struct fake *f = arg;

	if (f->err)
		return f->err;

	note(arg, 'C', 0, "");
	return 0;
}

static void started_handler(uint32_t utterance, uint64_t now_ms, void *arg)
{
	(void)now_ms;
	note(arg, 'S', utterance, NULL);
}

static void finished_handler(uint32_t utterance, bool heard, void *arg)
{
	struct fake *f = arg;

	note(f, heard ? 'F' : 'X', utterance, NULL);
	if (f->next) {
		assert_int_equal(playout_queue(f->p, f->next, 99), 0);
		f->next = mem_deref(f->next);
	}
}

static const struct playout_ops ops = {
	.media = media_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.started = started_handler,
	.finished = finished_handler,
};

static inline struct clip *clip_of(uint32_t ms, uint32_t extra)
{
	static uint8_t ulawv[10 * AUDIO_RATE];
	struct clip *c = NULL;

	memset(ulawv, 0x55, sizeof(ulawv));
	assert_int_equal(
		clip_from(&c, ulawv, (size_t)ms * AUDIO_PER_MS + extra), 0);
	return c;
}

/* 400 ms of sound, 100 ms of pause, and so on */
static inline struct clip *clip_with_pauses(uint32_t ms)
{
	static uint8_t ulawv[10 * AUDIO_RATE];
	struct clip *c = NULL;

	for (uint32_t i = 0; i < ms * AUDIO_PER_MS; i++)
		ulawv[i] = i / AUDIO_PER_MS % 500 < 400 ? 0x55 : ULAW_SILENCE;
	assert_int_equal(clip_from(&c, ulawv, (size_t)ms * AUDIO_PER_MS), 0);

	return c;
}

/* Sound of which each 10 ms say where they are, for a second */
static inline struct clip *clip_of_places(uint32_t ms)
{
	static uint8_t ulawv[10 * AUDIO_RATE];
	struct clip *c = NULL;

	for (uint32_t i = 0; i < ms * AUDIO_PER_MS; i++)
		ulawv[i] = (uint8_t)(0x81 + i / 80 % 100);
	assert_int_equal(clip_alloc(&c, sizeof(ulawv)), 0);
	assert_int_equal(clip_append(c, ulawv, (size_t)ms * AUDIO_PER_MS), 0);

	return c;
}

static inline void append(struct clip *c, uint32_t ms)
{
	uint8_t ulawv[AUDIO_RATE];

	memset(ulawv, 0x55, sizeof(ulawv));
	assert_int_equal(clip_append(c, ulawv, (size_t)ms * AUDIO_PER_MS), 0);
}

/* The reference goes with it */
static inline void queue(struct fake *f, struct clip *c, uint32_t utterance)
{
	assert_int_equal(playout_queue(f->p, c, utterance), 0);
	mem_deref(c);
}

/* Tick every 10 ms */
static inline void run(struct fake *f, uint64_t from_ms, uint64_t to_ms)
{
	for (uint64_t now = from_ms; now <= to_ms; now += 10)
		playout_tick(f->p, now);
}

static inline uint32_t heard_ms(const struct fake *f, uint32_t utterance,
				uint64_t now_ms)
{
	struct playout_heard h;

	playout_heard(f->p, utterance, &h, now_ms);

	return h.ms;
}

static inline void forget(struct fake *f)
{
	f->text[0] = '\0';
}

static int setup(void **state)
{
	struct fake *f = mem_zalloc(sizeof(*f), NULL);

	assert_non_null(f);
	assert_int_equal(playout_alloc(&f->p, &ops, 300, f), 0);
	*state = f;

	return 0;
}

static int teardown(void **state)
{
	struct fake *f = *state;

	mem_deref(f->p);
	mem_deref(f);

	return mem_blocks() ? -1 : 0;
}

#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

#endif

/**
 * @file carrier.c  The carrier: a buffer, a speaker, and marks
 *
 * A message sent now arrives after the carrier's delay; all of its fate is
 * computed when it is sent, since nothing sent later can overtake it: only a
 * clear takes back what has not begun to be played when it arrives. Marks come
 * back when the audio before them has been played, or with a clear, as a
 * carrier's rules say; or late, twice, not at all, or with strange names.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/str.h>
#include "sim.h"

static uint64_t arrival_ms(struct sim *s)
{
	const struct carrier_kind *k = &s->plan.carrier;
	struct carrier *c = &s->carrier;
	uint64_t at = s->now_ms + k->delay_ms;

	if (k->jitter_ms)
		at += chance_below(s, k->jitter_ms);
	c->last_arrival_ms = MAX(c->last_arrival_ms, at);

	return c->last_arrival_ms;
}

bool carrier_behaves(const struct sim *s)
{
	const struct carrier_kind *k = &s->plan.carrier;

	return !s->carrier.dead && !k->jitter_ms && !k->mark_trouble &&
	       !k->no_marks && !k->eagain && !s->plan.stalls &&
	       k->delay_ms <= 50;
}

/* --------------------------------------------------------------- speaker */

static struct frame *frame_at(struct carrier *c, size_t i)
{
	return &c->framev[(c->first + i) % CARRIER_FRAMES_MAX];
}

void carrier_advance(struct sim *s, uint64_t until_ms)
{
	struct carrier *c = &s->carrier;

	while (c->framec && c->framev[c->first].starts_ms < until_ms) {
		const struct frame *f = &c->framev[c->first];

		c->sound_ms = f->starts_ms + FRAME_MS;
		rules_played(s, f);
		c->first = (c->first + 1) % CARRIER_FRAMES_MAX;
		--c->framec;
	}
}

bool carrier_is_sounding(const struct sim *s)
{
	const struct carrier *c = &s->carrier;

	return c->sound_ms > s->now_ms;
}

uint32_t carrier_heard_ms(struct sim *s, uint32_t utterance)
{
	struct carrier *c = &s->carrier;
	uint64_t at = s->now_ms + s->plan.carrier.delay_ms;
	uint32_t heard = rules_note(s, utterance)->heard_ms;

	for (size_t i = 0; i < c->framec; i++) {
		const struct frame *f = frame_at(c, i);

		if (f->starts_ms >= at)
			break;
		if (f->utterance == utterance)
			heard = MAX(heard,
				    f->pos_ms +
					    (uint32_t)MIN(FRAME_MS,
							  at - f->starts_ms));
	}

	return heard;
}

/* -------------------------------------------------------------- messages */

/* The carrier does not read for a while */
static int refuse(struct sim *s)
{
	struct carrier *c = &s->carrier;

	if (c->dead)
		return ECONNRESET;
	if (s->now_ms < c->deaf_until_ms)
		return EAGAIN;
	if (!chance(s, s->plan.carrier.eagain))
		return 0;

	c->deaf_until_ms = s->now_ms + chance_between(s, 10, 1500);
	trace(s, "carrier", "does not read until %llu",
	      (unsigned long long)c->deaf_until_ms);
	sim_count(s, COUNT_EAGAIN);

	return EAGAIN;
}

static void mark_event(struct sim *s, uint64_t n, void *data)
{
	char name[PLAYOUT_MARK_MAX];
	struct carrier *c = &s->carrier;

	(void)data;
	for (size_t i = 0; i < c->markc; i++) {
		if (c->markv[i].serial != n)
			continue;

		memcpy(name, c->markv[i].name, sizeof(name));
		--c->markc;
		memmove(&c->markv[i], &c->markv[i + 1],
			(c->markc - i) * sizeof(*c->markv));
		world_mark(s, name);
		return;
	}
}

static void send_back(struct sim *s, const char *name, uint64_t due_ms)
{
	struct carrier *c = &s->carrier;
	struct out_mark *m = &c->markv[c->markc];

	if (c->markc == CARRIER_MARKS_MAX)
		return;

	++c->markc;
	m->serial = ++c->serial;
	m->due_ms = due_ms;
	str_copy(m->name, sizeof(m->name), name);
	queue_push(s, due_ms + s->plan.carrier.delay_ms - s->now_ms,
		   mark_event, m->serial, NULL);
}

/* Names that somebody else made, or an attacker */
static void foreign(struct sim *s, uint64_t at_ms)
{
	static const char *const namev[] = {
		"",      "end",           "u1",
		"u1g",   "u0g0",          "u1g9",
		"u9999", "g0u1",          "u1g0 ",
		"u-1g0", "u4294967296g0", "U1G0",
		"u1g0x", "u999999g0",
	};

	if (!chance(s, s->plan.carrier.foreign))
		return;

	sim_count(s, COUNT_MARK_FOREIGN);
	send_back(s, namev[chance_below(s, ARRAY_SIZE(namev))], at_ms);
}

static void buffer(struct carrier *c, const struct frame *f)
{
	if (c->framec < CARRIER_FRAMES_MAX)
		*frame_at(c, c->framec++) = *f;
}

/* What a frame says that it is; the first block that a fade left whole */
static struct frame read_frame(const uint8_t *ulawv)
{
	struct frame f = {0};

	for (unsigned i = 0; i + CLIP_BLOCK <= FRAME_SAMPLES; i++) {
		if (!clip_read(ulawv + i, &f.token, &f.pos_ms))
			continue;
		f.pos_ms -= MIN(f.pos_ms, i / AUDIO_PER_MS);
		break;
	}

	return f;
}

int carrier_media(struct sim *s, const uint8_t *ulawv, size_t n)
{
	struct carrier *c = &s->carrier;
	uint64_t at;
	int err = refuse(s);

	if (err)
		return err;

	at = arrival_ms(s);
	c->ends_ms = MAX(c->ends_ms, at);
	for (size_t i = 0; i < n; i += FRAME_SAMPLES) {
		struct frame f = read_frame(ulawv + i);

		f.starts_ms = c->ends_ms;
		c->ends_ms += FRAME_MS;
		rules_frame(s, &f);
		buffer(c, &f);
		sim_count(s, COUNT_FRAMES);
	}
	foreign(s, at);

	return 0;
}

int carrier_mark(struct sim *s, const char *name)
{
	struct carrier *c = &s->carrier;
	uint64_t due;
	int err = refuse(s);

	if (err)
		return err;

	/* it ends an utterance: the fades of the next one are its own */
	s->watch.nobodys = 0;
	due = MAX(arrival_ms(s), c->ends_ms);
	if (s->plan.carrier.no_marks) {
		sim_count(s, COUNT_MARK_LOST);
		return 0;
	}
	if (!chance(s, s->plan.carrier.mark_trouble)) {
		send_back(s, name, due);
		return 0;
	}

	switch (chance_below(s, 3)) {
	case 0:
		sim_count(s, COUNT_MARK_LOST);
		break;
	case 1:
		sim_count(s, COUNT_MARK_TWICE);
		send_back(s, name, due);
		send_back(s, name, due + chance_below(s, 4000));
		break;
	default:
		sim_count(s, COUNT_MARK_LATE);
		send_back(s, name, due + chance_below(s, 4000));
		break;
	}

	return 0;
}

/* What is waiting comes back at once, looking played */
static void return_marks(struct sim *s, uint64_t at_ms)
{
	struct carrier *c = &s->carrier;
	struct out_mark markv[CARRIER_MARKS_MAX];
	size_t n = 0, kept = 0;

	for (size_t i = 0; i < c->markc; i++) {
		if (c->markv[i].due_ms > at_ms)
			markv[n++] = c->markv[i];
		else
			c->markv[kept++] = c->markv[i];
	}
	c->markc = kept;

	for (size_t i = 0; i < n && !s->plan.carrier.keeps_marks; i++) {
		sim_count(s, COUNT_MARK_CLEARED);
		send_back(s, markv[i].name, at_ms);
	}
}

int carrier_clear(struct sim *s)
{
	struct carrier *c = &s->carrier;
	uint64_t at;
	int err = refuse(s);

	trace(s, "playout", "clear%s", err ? ", refused" : "");
	if (err)
		return err;

	sim_count(s, COUNT_CLEAR);
	at = arrival_ms(s);
	while (c->framec && frame_at(c, c->framec - 1)->starts_ms >= at)
		--c->framec;
	c->ends_ms = MIN(c->ends_ms, at);
	return_marks(s, at);

	return 0;
}

/* ----------------------------------------------------------------- faults */

static void die_event(struct sim *s, uint64_t n, void *data)
{
	(void)data;
	if (s->phase != PHASE_UP)
		return;

	if (n) {
		world_stop(s, CALL_END_CALLER);
		return;
	}

	trace(s, "carrier", "socket dies");
	sim_count(s, COUNT_SOCKET_DEAD);
	s->carrier.dead = true;
	/* the server learns it a little later */
	queue_push(s, chance_below(s, 3000), die_event, 1, NULL);
}

void carrier_start(struct sim *s)
{
	if (s->plan.carrier.dies_ms)
		queue_push(s, s->plan.carrier.dies_ms, die_event, 0, NULL);
}

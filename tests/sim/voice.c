/**
 * @file voice.c  Clips whose every block says whose it is, and what fills them
 *
 * A block of 2 ms is 16 bytes: one that no other byte of a block looks like,
 * the clip's token, where in the clip it is, and a check of both. In pauses,
 * where playout may go on after a false start, the same stands in codes that
 * are as good as silence. What a fade has touched says nothing; fades are
 * short.
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include "sim.h"

enum {
	LOUD = 0x00,  /* | 4 bits: the loudest codes, negative */
	QUIET = 0x70, /* the same, as good as silence          */
	FIRST = 0x80, /* positive: a block begins              */

	BLOCK_MS = CLIP_BLOCK / AUDIO_PER_MS,
	PAUSE_EVERY_MS = 700, /* speech has one so often */
	PAUSE_MS = 90,
};

/* -------------------------------------------------------------- samples */

static uint32_t check_of(uint32_t token, uint32_t ms)
{
	uint32_t x = (token << 16 | (ms & 0xffff)) * 0x9e3779b1;

	return x >> 5 & 0x0fffffff;
}

static void write_block(uint8_t *p, uint32_t token, uint32_t ms)
{
	bool pause = token != TOKEN_FILLER &&
		     ms % PAUSE_EVERY_MS < (uint32_t)PAUSE_MS;
	uint8_t level = pause ? QUIET : LOUD;
	uint32_t check = check_of(token, ms);

	for (unsigned i = 0; i < 4; i++) {
		p[1 + i] = level | (token >> 4 * i & 15);
		p[5 + i] = level | (ms >> 4 * i & 15);
	}
	for (unsigned i = 0; i < 7; i++)
		p[9 + i] = level | (check >> 4 * i & 15);
	p[0] = FIRST | level | 15;
}

bool clip_read(const uint8_t *p, uint32_t *token, uint32_t *ms)
{
	uint8_t level = p[0] & 0x70;
	uint32_t t = 0, m = 0, check = 0;

	if (!(p[0] & FIRST) || (level != LOUD && level != QUIET))
		return false;

	for (unsigned i = 1; i < CLIP_BLOCK; i++) {
		if ((p[i] & 0xf0) != level)
			return false;
	}
	for (unsigned i = 0; i < 4; i++) {
		t |= (uint32_t)(p[1 + i] & 15) << 4 * i;
		m |= (uint32_t)(p[5 + i] & 15) << 4 * i;
	}
	for (unsigned i = 0; i < 7; i++)
		check |= (uint32_t)(p[9 + i] & 15) << 4 * i;
	if (check != check_of(t, m))
		return false;

	*token = t;
	*ms = m;

	return true;
}

uint32_t clip_token(struct sim *s)
{
	return ++s->tokens;
}

static int append(struct clip *c, uint32_t token, uint32_t from_ms,
		  uint32_t ms)
{
	uint8_t bufv[100 * CLIP_BLOCK];
	int err = 0;

	while (ms && !err) {
		uint32_t n = MIN(ms, (uint32_t)(100 * BLOCK_MS));

		for (uint32_t i = 0; i < n; i += BLOCK_MS)
			write_block(bufv + (size_t)i * AUDIO_PER_MS, token,
				    from_ms + i);
		err = clip_append(c, bufv, (size_t)n * AUDIO_PER_MS);
		from_ms += n;
		ms -= n;
	}

	return err;
}

int clip_whole(struct clip **cp, uint32_t token, uint32_t ms)
{
	struct clip *c;
	int err = clip_alloc(&c, (size_t)(ms + 1) * AUDIO_PER_MS);

	if (err)
		return err;

	err = append(c, token, 0, ms & ~1u);
	clip_end(c, 0);
	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

/* --------------------------------------------------- clips that arrive */

struct order {
	struct clip *clip;
	uint32_t token;
	uint32_t ms, done_ms;
	uint32_t piece_ms, gap_ms;
	uint32_t stops_ms; /* fails there */
	int err;
	bool stuck; /* instead: never again */
	bool cancelled;
	uint32_t timeout_ms;
};

/* What the owner holds */
struct request {
	struct order *order;
};

static void order_destructor(void *arg)
{
	struct order *o = arg;

	mem_deref(o->clip);
}

static void request_destructor(void *arg)
{
	struct request *r = arg;

	r->order->cancelled = true;
	mem_deref(r->order);
}

static void timeout_event(struct sim *s, uint64_t n, void *data)
{
	struct order *o = data;

	(void)n;
	if (o->cancelled)
		return;

	trace(s, "voice", "clip %u: timeout", o->token);
	clip_end(o->clip, ETIMEDOUT);
	world_touch(s);
}

static void order_event(struct sim *s, uint64_t n, void *data)
{
	struct order *o = data;
	uint32_t ms = MIN(o->piece_ms, MIN(o->ms, o->stops_ms) - o->done_ms);
	int err;

	(void)n;
	if (o->cancelled)
		return;

	o->done_ms += ms;
	err = append(o->clip, o->token, o->done_ms - ms, ms);
	if (err) {
		clip_end(o->clip, err);
		world_touch(s);
		return;
	}

	if (o->done_ms < MIN(o->ms, o->stops_ms)) {
		queue_push(s, o->gap_ms, order_event, 0, o);
	} else if (o->done_ms == o->ms) {
		clip_end(o->clip, 0);
	} else if (o->stuck) {
		queue_push(s, o->timeout_ms, timeout_event, 0, o);
	} else {
		trace(s, "voice", "clip %u: fails", o->token);
		clip_end(o->clip, o->err);
	}
	world_touch(s);
}

static void add_words(struct clip *c, const char *text, uint32_t ms)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++) {
		if (i && text[i - 1] != ' ')
			continue;
		if (clip_add_word(c, (uint32_t)(ms * i / len) * AUDIO_PER_MS,
				  (uint32_t)i))
			return;
	}
}

/* How this one will arrive */
static void shape(struct sim *s, struct order *o)
{
	const struct voice_kind *k = &s->plan.voice;

	o->stops_ms = UINT32_MAX;
	o->timeout_ms = k->timeout_ms;
	o->piece_ms = 2 * chance_between(s, 5, 200);
	o->gap_ms = k->slow ? o->piece_ms + o->piece_ms / 4
			    : o->piece_ms / 4 + 1;
	if (!chance(s, k->trouble))
		return;

	o->err = chance(s, 300) ? 0 : EREMOTEIO;
	o->stuck = chance(s, 400);
	/* before the first sample, mostly */
	o->stops_ms = chance(s, 700) ? 0 : 2 * chance_below(s, o->ms / 2 + 1);
}

static int order_alloc(struct order **op, uint32_t token, uint32_t ms)
{
	struct order *o = mem_zalloc(sizeof(*o), order_destructor);
	int err;

	if (!o)
		return ENOMEM;

	err = clip_alloc(&o->clip, (size_t)ms * AUDIO_PER_MS);
	if (err) {
		mem_deref(o);
		return err;
	}

	o->token = token;
	o->ms = ms;
	*op = o;

	return 0;
}

static int request_alloc(void **reqp, struct order *o)
{
	struct request *r = mem_zalloc(sizeof(*r), request_destructor);

	if (!r)
		return ENOMEM;

	r->order = mem_ref(o);
	*reqp = r;

	return 0;
}

int clip_order(struct sim *s, struct clip **cp, void **reqp, uint32_t token,
	       uint32_t ms, const char *text)
{
	uint32_t wait = chance_below(s, s->plan.voice.first_ms + 1);
	struct order *o;
	int err;

	ms = (ms + 1) & ~1u;
	if (reqp)
		*reqp = NULL;
	if (chance(s, s->plan.voice.cached))
		return clip_whole(cp, token, ms);

	err = order_alloc(&o, token, ms);
	if (err)
		return err;

	if (reqp)
		err = request_alloc(reqp, o);
	if (!err) {
		shape(s, o);
		if (s->plan.voice.timed && text)
			add_words(o->clip, text, ms);
		queue_push(s, wait, order_event, 0, o);
		*cp = mem_ref(o->clip);
	}
	mem_deref(o);

	return err;
}

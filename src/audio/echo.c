/**
 * @file echo.c  How loud the bot's own voice may be in what is heard
 *
 * What comes back is what was played, some time ago and less loud. For each
 * delay there may be, it is learnt how much of it comes back at most: a moment
 * at which less was heard shows that there is no louder echo of that delay.
 * For all delays but the true one such moments come soon, since speech has
 * pauses and so has its echo, at other times. On a line without echo they come
 * as soon as something is played and nobody speaks. So neither the delay nor
 * the loss need be known, and where there is no echo none is suspected.
 *
 * Only levels are compared, not samples: those of an echo through a mobile
 * network's codecs are not alike.
 */
#include <math.h>
#include <string.h>
#include "echo.h"

enum {
	MASK = ECHO_SLOTS - 1,
	SLOT_SAMPLES = ECHO_SLOT_MS * AUDIO_PER_MS,
	LATE_FRAMES = 50,     /* all late: some were lost   */
	LATE_MAX_MS = 1000,   /* so late: certainly         */
	LATE_LITTLE_MS = 100, /* later, and nothing is learnt */
};

/* dBFS, where nothing was played; in 8 bits */
#define NOTHING_DB    (-100.0f)
#define NOTHING_POWER 1e-10f
#define FULL_SCALE    (FRAME_SAMPLES * 32768.0f * 32768.0f)

/* What returns before anything is known, and at most, less the margin: for an
 * echo louder than -15 dB there is no remedy here. Higher, it is the callers
 * who speak as soon as the bot does for whom there is none. */
#define RETURN_MAX_DB (-18.0f)

/* Played less loud than this, it is not learnt from: noise of the line would
 * be all that is heard */
#define LOUD_DB (-40.0f)

/* Share of a difference that is learnt from one frame. Less than was thought
 * is soon believed, more only of what lasts, for it may be a caller. */
#define LEARN_LESS 0.25f
#define LEARN_MORE 0.01f

/* The frames of an echo are louder than the least of them by so much, for a
 * loudspeaker and a room do not return all sounds alike. Three frames in a row
 * are hardly ever; with 6 dB some are. */
#define MARGIN_DB 9.0f

void echo_init(struct echo *e)
{
	*e = (struct echo){0};
	memset(e->playedv, (int)NOTHING_DB, sizeof(e->playedv));
	for (size_t i = 0; i < ECHO_DELAYS; i++)
		e->returnv[i] = RETURN_MAX_DB;
}

/* ---------------------------------------------------------------- played */

/* Early enough for the longest delay to lie above 0 */
static uint64_t slot_at(uint64_t ms)
{
	return ms / ECHO_SLOT_MS + ECHO_DELAYS;
}

/* One more slot; a frame's level is that of two */
static void put(struct echo *e, float energy)
{
	float power = (e->energy + energy) / FULL_SCALE + NOTHING_POWER;

	e->playedv[(e->end - 1) & MASK] = (int8_t)(10 * log10f(power));
	e->playedv[e->end++ & MASK] = (int8_t)NOTHING_DB;
	e->energy = energy;
}

static void put_silence(struct echo *e, uint64_t until)
{
	if (until > e->end + ECHO_SLOTS)
		e->end = until - ECHO_SLOTS;
	while (e->end < until)
		put(e, 0);
}

/* In lanes, for a sum must not wait for the one before */
static float slot_energy(const float *v)
{
	enum { LANES = 4 };
	float sumv[LANES] = {0};

	for (size_t i = 0; i < SLOT_SAMPLES; i += LANES) {
		for (size_t k = 0; k < LANES; k++)
			sumv[k] += v[i + k] * v[i + k];
	}

	return (sumv[0] + sumv[1]) + (sumv[2] + sumv[3]);
}

/* What the detector hears is filtered, and so is this */
static void put_frame(struct echo *e, const uint8_t *ulawv)
{
	int16_t pcmv[FRAME_SAMPLES];
	float v[FRAME_SAMPLES];

	g711_ulaw_decode_n(pcmv, ulawv, FRAME_SAMPLES);
	highpass_frame(&e->hp, v, pcmv);
	for (size_t i = 0; i < FRAME_SAMPLES; i += SLOT_SAMPLES)
		put(e, slot_energy(v + i));
}

void echo_played(struct echo *e, const uint8_t *ulawv, size_t n,
		 uint64_t now_ms)
{
	uint64_t at_ms = MAX(e->ends_ms, now_ms);

	put_silence(e, slot_at(at_ms));
	for (size_t i = 0; i < n; i += FRAME_SAMPLES)
		put_frame(e, ulawv + i);
	e->ends_ms = at_ms + n / AUDIO_PER_MS;
}

void echo_cleared(struct echo *e, uint64_t now_ms)
{
	uint64_t end = slot_at(now_ms);

	e->ends_ms = MIN(e->ends_ms, now_ms);
	for (; e->end > end; --e->end)
		e->playedv[(e->end - 1) & MASK] = (int8_t)NOTHING_DB;
	e->energy = 0;
}

/* ----------------------------------------------------------------- heard */

/*
 * A line's delay is constant, but frames come late and in bursts. The one that
 * came soonest tells the time of those after it. What seems to come before it
 * was spoken is the rest of a burst after a long silence of the line: nobody
 * knows how old it is, and nothing is learnt from it.
 */
static void count_frame(struct echo *e, uint64_t now_ms)
{
	uint64_t at_ms = e->heard_ms ? e->heard_ms + FRAME_MS : now_ms;
	uint64_t late_ms;

	e->early_ms = at_ms > now_ms ? at_ms - now_ms : 0;
	at_ms = MIN(at_ms, now_ms);
	late_ms = now_ms - at_ms;
	e->late_ms = e->frames ? MIN(e->late_ms, late_ms) : late_ms;
	if (++e->frames == LATE_FRAMES || late_ms > LATE_MAX_MS) {
		at_ms += e->late_ms;
		e->frames = 0;
	}
	e->heard_ms = at_ms;
}

/* Without a branch, which costs more than all the rest */
static float learn(float known, float played, float db)
{
	float more = db - played - known;
	float now = known + (more < 0 ? LEARN_LESS : LEARN_MORE) * more;

	now = now > RETURN_MAX_DB ? RETURN_MAX_DB : now;

	return played > LOUD_DB ? now : known;
}

float echo_bound(struct echo *e, float db, uint64_t now_ms)
{
	float playedv[ECHO_DELAYS], max = NOTHING_DB;
	uint64_t slot;

	count_frame(e, now_ms);
	slot = slot_at(e->heard_ms) - FRAME_MS / ECHO_SLOT_MS;
	if (!e->ends_ms || slot > slot_at(e->ends_ms) + ECHO_DELAYS)
		return NOTHING_DB;

	put_silence(e, slot + FRAME_MS / ECHO_SLOT_MS);
	for (size_t d = 0; d < ECHO_DELAYS; d++)
		playedv[d] = e->playedv[(slot - d) & MASK];
	for (size_t d = 0; d < ECHO_DELAYS; d++) {
		float back = playedv[d] + e->returnv[d];

		max = back > max ? back : max;
	}
	if (now_ms - e->heard_ms <= LATE_LITTLE_MS &&
	    e->early_ms < FRAME_MS / 2) {
		for (size_t d = 0; d < ECHO_DELAYS; d++)
			e->returnv[d] = learn(e->returnv[d], playedv[d], db);
	}

	return max + MARGIN_DB;
}

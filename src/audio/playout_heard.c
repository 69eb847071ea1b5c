/**
 * @file playout_heard.c  What the caller has heard: marks, hold and resume
 *
 * By the clock, since the carrier's buffer is known (playout.c), and by how
 * late marks come back. What was not heard can be taken back and sent again.
 */
#include <errno.h>
#include <stdlib.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include "playout_priv.h"
#include "splice.h"

enum {
	/* A mark is on its way back, and the audio before it was on its way
	 * there, for 0 to 200 ms; what is more is the carrier's delay */
	ROUND_TRIP_MS = 100,
};

/* -------------------------------------------------------------- heard */

/* Samples that the caller has heard of it */
static uint32_t heard_samples(const struct playout *p,
			      const struct playout_item *it, uint64_t now_ms)
{
	uint64_t ends_ms = it->ends_ms + p->late_ms;
	uint64_t left_ms = ends_ms > now_ms ? ends_ms - now_ms : 0;
	uint64_t left = MIN(left_ms * AUDIO_PER_MS, it->pos - it->from);
	uint32_t again = p->again_utterance == it->utterance ? p->again_heard
							     : 0;
	uint32_t pos = it->pos - (uint32_t)left;

	pos = (uint32_t)MIN(pos, clip_len(it->clip));

	return it->begun ? MAX(pos, again) : 0;
}

static bool is_all_heard(const struct playout *p,
			 const struct playout_item *it, uint64_t now_ms)
{
	return it->begun && clip_is_ended(it->clip) &&
	       heard_samples(p, it, now_ms) >= clip_len(it->clip);
}

/* The last word that began by then; NULL if there is none */
static const struct clip_word *word_at(const struct clip *c, uint32_t pos)
{
	const struct clip_word *wordv;
	size_t n = clip_words(c, &wordv);

	while (n && wordv[n - 1].pos > pos)
		--n;

	return n ? &wordv[n - 1] : NULL;
}

void playout_heard(const struct playout *p, uint32_t utterance,
		   struct playout_heard *h, uint64_t now_ms)
{
	*h = (struct playout_heard){0};
	if (utterance == p->over.utterance)
		h->ms = h->total_ms = p->over.ms;

	for (size_t i = 0; i < p->itemc; i++) {
		const struct playout_item *it = &p->itemv[i];
		const struct clip_word *word, *wordv;
		uint32_t pos;

		if (it->utterance != utterance)
			continue;

		pos = heard_samples(p, it, now_ms);
		h->ms = pos / AUDIO_PER_MS;
		if (clip_is_ended(it->clip))
			h->total_ms = (uint32_t)(clip_len(it->clip) /
						 AUDIO_PER_MS);
		h->timed = clip_words(it->clip, &wordv);
		word = pos ? word_at(it->clip, pos) : NULL;
		h->text = word ? word->text : 0;
		return;
	}
}

bool playout_is_busy(const struct playout *p, uint64_t now_ms)
{
	return p->itemc || (p->ends_ms > now_ms && !p->filling);
}

/* -------------------------------------------------------------- marks */

/* A letter and a number at *sp, which moves on behind it. The name comes from
 * outside: sscanf() would not notice a number that is too large. */
static bool mark_number(uint32_t *np, const char **sp, char letter)
{
	unsigned long n;
	char *end;

	if ((*sp)[0] != letter || (*sp)[1] < '0' || (*sp)[1] > '9')
		return false;

	errno = 0;
	n = strtoul(*sp + 1, &end, 10);
	if (errno || n > UINT32_MAX)
		return false;

	*np = (uint32_t)n;
	*sp = end;

	return true;
}

static const struct playout_item *find_sent(const struct playout *p,
					    uint32_t utterance)
{
	for (size_t i = 0; i < p->sentc; i++) {
		if (p->itemv[i].utterance == utterance)
			return &p->itemv[i];
	}

	return NULL;
}

void playout_mark(struct playout *p, const char *name, uint64_t now_ms)
{
	uint32_t utterance, generation;
	const struct playout_item *it;
	uint64_t late_ms;

	if (!mark_number(&utterance, &name, 'u') ||
	    !mark_number(&generation, &name, 'g') || *name ||
	    generation != p->generation)
		return;

	it = find_sent(p, utterance);
	if (!it)
		return;

	/* One mark may have been held up alone; two were late as the audio */
	late_ms = now_ms - MIN(now_ms, it->ends_ms + ROUND_TRIP_MS);
	late_ms = MIN(late_ms, PLAYOUT_LATE_MAX_MS);
	p->late_ms = (uint32_t)MIN(late_ms, p->mark_late_ms);
	p->mark_late_ms = (uint32_t)late_ms;

	/* Marks return in order: one that is missing before it was lost */
	while (find_sent(p, utterance)) {
		bool found = p->itemv[0].utterance == utterance;

		playout_finish_first(p, true);
		if (found)
			return;
	}
}

/* ----------------------------------------------- clear, hold and resume */

/* Take out what was heard to its end: a returned mark could only say so */
static size_t take_heard(struct playout *p, struct playout_over *overv,
			 uint64_t now_ms)
{
	size_t n = 0;

	while (p->itemc && is_all_heard(p, &p->itemv[0], now_ms))
		overv[n++] = playout_take_first(p);

	return n;
}

/* Make the carrier forget what it has, marks included */
static void empty_carrier(struct playout *p, bool in_carrier, uint64_t now_ms)
{
	++p->generation;
	p->ends_ms = now_ms;
	p->last = ULAW_SILENCE;
	p->ran_dry = false;
	p->filling = false;
	p->clear_owed |= in_carrier;
	(void)playout_send_clear(p);
}

static bool is_in_carrier(const struct playout *p, uint64_t now_ms)
{
	return !p->held && ((p->itemc && p->itemv[0].begun) ||
			    p->ends_ms + p->late_ms > now_ms);
}

void playout_clear(struct playout *p, uint64_t now_ms)
{
	bool in_carrier = is_in_carrier(p, now_ms);
	struct playout_over overv[ARRAY_SIZE(p->itemv)];
	size_t heardc = take_heard(p, overv, now_ms), n = heardc;

	while (p->itemc)
		overv[n++] = playout_take_first(p);
	p->held = false;
	p->again_heard = 0;
	playout_filler(p, NULL);
	empty_carrier(p, in_carrier, now_ms);

	for (size_t i = 0; i < n; i++)
		playout_tell_over(p, overv[i], i < heardc);
}

void playout_hold(struct playout *p, uint64_t now_ms)
{
	bool in_carrier = is_in_carrier(p, now_ms);
	struct playout_over overv[ARRAY_SIZE(p->itemv)];
	size_t heardc;

	if (p->held)
		return;

	heardc = take_heard(p, overv, now_ms);
	if (p->itemc) {
		uint32_t heard = heard_samples(p, &p->itemv[0], now_ms);

		p->again_utterance = p->itemv[0].utterance;
		p->again_heard = heard;
	}
	for (size_t i = 0; i < p->itemc; i++)
		p->itemv[i].from = p->itemv[i].pos = 0;
	p->sentc = 0;
	p->held = true;
	empty_carrier(p, in_carrier, now_ms);

	for (size_t i = 0; i < heardc; i++)
		playout_tell_over(p, overv[i], true);
}

static uint32_t resume_pos(const struct clip *c, uint32_t heard)
{
	uint32_t frame = heard - MIN(heard, FRAME_SAMPLES);
	const struct clip_word *word = word_at(c, frame), *wordv;

	/* in time for the ramp to be over when the word begins */
	if (word)
		return word->pos - MIN(word->pos, SPLICE_SAMPLES);
	if (clip_words(c, &wordv))
		return 0;

	return (uint32_t)splice_pause(clip_data(c), clip_len(c), frame);
}

void playout_resume(struct playout *p, uint64_t now_ms)
{
	struct playout_item *it = p->itemc ? &p->itemv[0] : NULL;

	if (!p->held)
		return;

	p->held = false;
	if (!it || !it->begun)
		return;

	/* The clip may have ended meanwhile, without anything more to hear */
	it->pos = is_all_heard(p, it, now_ms)
			  ? (uint32_t)clip_len(it->clip)
			  : resume_pos(it->clip, p->again_heard);
	it->from = it->pos;
}

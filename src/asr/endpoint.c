/**
 * @file endpoint.c  Cuts a caller's audio into utterances
 *
 * Memory: 5 kB a stream, and 240 kB of address space while somebody speaks, of
 * which only what is said becomes resident.
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "endpoint.h"

enum {
	PREROLL_FRAMES = ENDPOINT_PREROLL_MS / FRAME_MS,
	TRAIL_FRAMES = ENDPOINT_TRAIL_MS / FRAME_MS,
};

struct endpoint {
	struct utterance *u; /* being said, NULL between utterances */
	uint64_t pos;        /* of the next sample                  */
	size_t silence;      /* frames since the last speech        */
	size_t prerollc;
	int16_t preroll[PREROLL_FRAMES][FRAME_SAMPLES]; /* a ring */
};

static void destructor(void *arg)
{
	struct endpoint *e = arg;

	mem_deref(e->u);
}

int endpoint_alloc(struct endpoint **ep)
{
	struct endpoint *e = mem_zalloc(sizeof(*e), destructor);

	if (!e)
		return ENOMEM;

	*ep = e;
	return 0;
}

static void append(struct utterance *u, const int16_t *pcmv)
{
	memcpy(u->pcmv + u->n, pcmv, FRAME_SAMPLES * sizeof(*pcmv));
	u->n += FRAME_SAMPLES;
}

static int begin(struct endpoint *e)
{
	struct utterance *u;
	size_t n = MIN(e->prerollc, PREROLL_FRAMES);

	u = mem_zalloc(sizeof(*u) + ENDPOINT_MAX_SAMPLES * sizeof(int16_t),
		       NULL);
	if (!u)
		return ENOMEM;

	u->start = e->pos - n * FRAME_SAMPLES;
	for (size_t i = e->prerollc - n; i < e->prerollc; i++)
		append(u, e->preroll[i % PREROLL_FRAMES]);

	e->u = u;
	e->silence = 0;
	e->prerollc = 0;

	return 0;
}

struct utterance *endpoint_utterance(const struct endpoint *e)
{
	return e->u;
}

uint32_t endpoint_silence_ms(const struct endpoint *e)
{
	return e->u ? (uint32_t)e->silence * FRAME_MS : 0;
}

struct utterance *endpoint_finish(struct endpoint *e)
{
	struct utterance *u = e->u;

	e->u = NULL;
	return u;
}

int endpoint_frame(struct endpoint *e, const int16_t *pcmv, bool speech,
		   struct utterance **up)
{
	int err = 0;

	*up = NULL;
	if (!e->u && speech)
		err = begin(e);

	if (e->u) {
		append(e->u, pcmv);
		e->silence = speech ? 0 : e->silence + 1;
		if (speech)
			e->u->speech += FRAME_SAMPLES;
		if (e->silence == TRAIL_FRAMES ||
		    e->u->n == ENDPOINT_MAX_SAMPLES)
			*up = endpoint_finish(e);
	} else {
		memcpy(e->preroll[e->prerollc++ % PREROLL_FRAMES], pcmv,
		       sizeof(e->preroll[0]));
	}
	e->pos += FRAME_SAMPLES;

	return err;
}

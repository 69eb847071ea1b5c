/**
 * @file dtmf.c  Hears keys as tones in the caller's audio
 *
 * A key is one of four row and one of four column frequencies at once (ITU-T
 * Q.23). Audio is cut into blocks; a block shows a key if a row and a column
 * stand out by what Q.24 asks for, hold most of its energy and are steady. Two
 * such blocks in a row are a key pressed, three others the key released.
 *
 * 102 samples tell neighbouring frequencies apart, and a key of 40 ms, the
 * shortest there is, covers two blocks wherever it begins. One of 20 ms does
 * not.
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include "steady.h"

enum {
	BLOCK = 102,
	TONES = 4,    /* rows, and columns */
	PRESSED = 2,  /* blocks            */
	RELEASED = 3, /* a pause of 40 ms, but no drop-out of 10 */

	STEADY_STEP = 16,
	STEADY_SAMPLES = BLOCK / STEADY_STEP * STEADY_STEP,
};

/* Of tones as amplitude squared. An offset of 1.5 % and 2 Hz, which Q.24 wants
 * accepted, leaves 0.68 of the highest tone; a key of 20 ms that fills two
 * blocks by the same has 0.78 of either. */
#define LEVEL_MIN (328.0f * 328.0f) /* of each tone, -40 dBFS            */
#define TWIST_MAX 6.3f              /* 8 dB, row over column or reverse  */
#define APART_MIN 6.3f              /* 8 dB, from the next of its kind   */
#define SHARE_MIN 0.75f             /* of the block's energy             */
/* A voice may look like a key but not be as steady. Noise 15 dB below the key
 * makes 0.3 of it. */
#define RESIDUE_MAX 0.35f

typedef float tones_v __attribute__((vector_size(TONES * sizeof(float))));

struct dtmf {
	float blockv[BLOCK];
	size_t n;      /* of it filled                     */
	char key;      /* of the last block, 0: none       */
	unsigned same; /* blocks in a row with that        */
	char pressed;  /* reported and not released, or 0  */
	unsigned gap;  /* blocks in a row without that one */
};

/* 2 cos(2 pi f / 8000) of 697, 770, 852, 941 Hz; of 1209, 1336, 1477, 1633 */
static const tones_v row_c = {1.7077378f, 1.6452810f, 1.5686870f, 1.4782046f};
static const tones_v col_c = {1.1641040f, 0.9963702f, 0.7986184f, 0.5685327f};

/* ---------------------------------------------------------------- tones */

/* Goertzel's recursion for four frequencies at once */
struct goertzel {
	tones_v s1, s2;
};

static inline void goertzel_add(struct goertzel *g, tones_v c, float x)
{
	tones_v s0 = x + c * g->s1 - g->s2;

	g->s2 = g->s1;
	g->s1 = s0;
}

/* Amplitudes, squared */
static tones_v goertzel_end(const struct goertzel *g, tones_v c)
{
	tones_v power = g->s1 * g->s1 + g->s2 * g->s2 - c * g->s1 * g->s2;

	return power * (4.0f / (BLOCK * BLOCK));
}

static void listen(tones_v *row, tones_v *col, const float *v)
{
	struct goertzel r = {0}, c = {0};

	for (size_t i = 0; i < BLOCK; i++) {
		goertzel_add(&r, row_c, v[i]);
		goertzel_add(&c, col_c, v[i]);
	}

	*row = goertzel_end(&r, row_c);
	*col = goertzel_end(&c, col_c);
}

/* The loudest, if the others are far below; -1 if not */
static int strongest(tones_v v)
{
	int best = 0;

	for (int i = 1; i < TONES; i++)
		best = v[i] > v[best] ? i : best;
	for (int i = 0; i < TONES; i++) {
		if (i != best && v[best] < v[i] * APART_MIN)
			return -1;
	}

	return v[best] > LEVEL_MIN ? best : -1;
}

/* ---------------------------------------------------------------- blocks */

static float mean_square(const float *v)
{
	tones_v sum = {0}, w;

	for (size_t i = 0; i + TONES <= BLOCK; i += TONES) {
		memcpy(&w, v + i, sizeof(w));
		sum += w * w;
	}

	return (sum[0] + sum[1] + sum[2] + sum[3]) / BLOCK;
}

/* The key whose tones fill a block, or 0 */
static char find_key(const float *v)
{
	static const char keyv[TONES][TONES + 1] = {"123A", "456B", "789C",
						    "*0#D"};
	float energy = mean_square(v), r, c;
	tones_v rowv, colv;
	int row, col;

	/* the mean square of a sinusoid is half of its amplitude's */
	if (energy < LEVEL_MIN)
		return 0;

	listen(&rowv, &colv, v);
	row = strongest(rowv);
	col = strongest(colv);
	if (row < 0 || col < 0)
		return 0;

	r = rowv[row];
	c = colv[col];
	if (r > c * TWIST_MAX || c > r * TWIST_MAX ||
	    (r + c) / 2 < SHARE_MIN * energy)
		return 0;

	return steady_residue(v, STEADY_SAMPLES, STEADY_STEP) < RESIDUE_MAX
		       ? keyv[row][col]
		       : 0;
}

/* The key that is pressed with this block, or 0 */
static char next_block(struct dtmf *d, char key)
{
	d->same = key == d->key ? d->same + 1 : 1;
	d->key = key;
	d->gap = key == d->pressed ? 0 : d->gap + 1;
	if (d->gap >= RELEASED)
		d->pressed = 0;

	if (!key || d->same < PRESSED || key == d->pressed)
		return 0;

	d->pressed = key;
	d->gap = 0;

	return key;
}

int dtmf_alloc(struct dtmf **dp)
{
	struct dtmf *d = mem_zalloc(sizeof(*d), NULL);

	if (!d)
		return ENOMEM;
	*dp = d;

	return 0;
}

bool dtmf_is_pressed(const struct dtmf *d)
{
	return d->pressed;
}

char dtmf_frame(struct dtmf *d, const int16_t *pcmv)
{
	char pressed = 0;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		d->blockv[d->n++] = pcmv[i];
		if (d->n == BLOCK) {
			char key = next_block(d, find_key(d->blockv));

			/* two cannot be: each takes two blocks */
			pressed = key ? key : pressed;
			d->n = 0;
		}
	}

	return pressed;
}

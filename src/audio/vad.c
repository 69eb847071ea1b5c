/**
 * @file vad.c  Voice activity: is the caller speaking?
 *
 * Two detectors judge single frames; the rule over five frames is the same for
 * both. Before both goes a high-pass, without which mains hum counts as
 * speech. What else sounds like a voice, music or a ringing tone, is for
 * others to tell.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include "convod_features.h"

enum {
	RULE_FRAMES = 5, /* looked at                 */
	RULE_START = 4,  /* of them speech: it starts */

	/* Frames that are listened to but do not count: WebRTC's detector
	 * calls the first 100 ms of any noise speech */
	WARM_UP_FRAMES = 10,

	/* The floor is the quietest of FLOOR_PARTS * FLOOR_FRAMES frames,
	 * 2 s: nobody speaks that long without a breath */
	FLOOR_PARTS = 4,
	FLOOR_FRAMES = 25,

	/* A frame that never leaves this is silence, whatever it is made of:
	 * its level, at most -60 dBFS, lies below FLOOR_MIN_DB and all that
	 * counts above it. It costs a tenth of a frame that is looked at. */
	SILENCE_PEAK = 32,

	STEP = 4, /* samples filtered at once */
};

#define OVER_FLOOR_DB 6.0f
/* dBFS. Below the lower one is what μ-law makes of silence; a line that
 * hisses louder than the upper one cannot be told from a voice by level. */
#define FLOOR_MIN_DB (-62.0f)
#define FLOOR_MAX_DB (-32.0f)

/* Butterworth of second order at 200 Hz: 50 Hz -24 dB, 60 Hz -21, 300 Hz -0.7.
 * With w = 2 pi 200 / 8000 and a = sin(w) / sqrt(2):
 * b = (1 + cos w) / 2 / (1 + a), a1 = -2 cos w / (1 + a),
 * a2 = (1 - a) / (1 + a) */
#define HP_B  0.8948586f
#define HP_A1 (-1.7786318f)
#define HP_A2 0.8008026f

/* Response of the recursive half, 1 / (1 + a1 z^-1 + a2 z^-2), to an impulse.
 * With it STEP outputs hang on the two before them only and not on each
 * other, which is what a processor must wait for. */
#define HP_H1 (-HP_A1)
#define HP_H2 (-HP_A1 * HP_H1 - HP_A2)
#define HP_H3 (-HP_A1 * HP_H2 - HP_A2 * HP_H1)
#define HP_H4 (-HP_A1 * HP_H3 - HP_A2 * HP_H2)

struct highpass {
	float x1, x2, y1, y2;
};

struct energy {
	float minv[FLOOR_PARTS]; /* quietest frame of each part, dBFS */
	float mean;              /* of some frames                    */
	unsigned frames;         /* in the part that is being filled  */
};

struct vad {
	struct WebRtcVadInst *webrtc; /* NULL: energy */
	struct highpass hp;
	struct energy energy;
	unsigned history; /* a bit for each frame, newest lowest */
	unsigned warm;    /* frames heard, to WARM_UP_FRAMES     */
	bool speaking;
};

/* ------------------------------------------------------------- high-pass */

typedef float step_v __attribute__((vector_size(STEP * sizeof(float))));

/* w is what the other half makes of the input */
static inline step_v recurse(step_v w, float y1, float y2)
{
	static const step_v y1v = {HP_H1, HP_H2, HP_H3, HP_H4};
	static const step_v y2v = {-HP_A2, -HP_A2 * HP_H1, -HP_A2 * HP_H2,
				   -HP_A2 * HP_H3};
	static const step_v w0v = {1, HP_H1, HP_H2, HP_H3};
	static const step_v w1v = {0, 1, HP_H1, HP_H2};
	static const step_v w2v = {0, 0, 1, HP_H1};
	static const step_v w3v = {0, 0, 0, 1};

	return (w[0] * w0v + w[1] * w1v + w[2] * w2v + w[3] * w3v) +
	       (y1 * y1v + y2 * y2v);
}

static void highpass(struct highpass *hp, int16_t *outv, const int16_t *inv)
{
	float xv[2 + FRAME_SAMPLES], yv[FRAME_SAMPLES];
	step_v w, y = {0, 0, hp->y2, hp->y1};

	xv[0] = hp->x2;
	xv[1] = hp->x1;
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		xv[2 + i] = inv[i];
	hp->x1 = xv[FRAME_SAMPLES + 1];
	hp->x2 = xv[FRAME_SAMPLES];

	/* in place: what the loop reads lies before what it writes */
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		xv[i] = HP_B * (xv[i] - 2 * xv[i + 1] + xv[i + 2]);

	for (size_t i = 0; i < FRAME_SAMPLES; i += STEP) {
		memcpy(&w, xv + i, sizeof(w));
		y = recurse(w, y[3], y[2]);
		memcpy(yv + i, &y, sizeof(y));
	}

	/* Behind a constant the tail would fade into denormal numbers, which
	 * cost ten times as much as others. From here it takes more than a
	 * frame to get there. */
	if (fabsf(y[3]) < 1e-6f && fabsf(y[2]) < 1e-6f)
		y[3] = y[2] = 0;
	hp->y1 = y[3];
	hp->y2 = y[2];

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		float v = yv[i];

		v = v > INT16_MAX ? INT16_MAX : v;
		v = v < INT16_MIN ? INT16_MIN : v;
		outv[i] = (int16_t)v;
	}
}

static bool is_silent(const int16_t *pcmv)
{
	int16_t max = 0, min = 0;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		max = MAX(max, pcmv[i]);
		min = MIN(min, pcmv[i]);
	}

	return max <= SILENCE_PEAK && min >= -SILENCE_PEAK;
}

/* ---------------------------------------------------------------- energy */

static float level_db(const int16_t *pcmv)
{
	int64_t sum = 1; /* no logarithm of nothing */

	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		sum += pcmv[i] * pcmv[i];

	return 10 * log10f((float)sum / FRAME_SAMPLES / (32768.0f * 32768.0f));
}

static void energy_reset(struct energy *e)
{
	for (size_t i = 0; i < FLOOR_PARTS; i++)
		e->minv[i] = FLOOR_MAX_DB;
	e->mean = FLOOR_MAX_DB;
	e->frames = 0;
}

/* A mean of some frames, since the quietest of a hundred single ones lies well
 * below what noise is like */
static void energy_track(struct energy *e, float level)
{
	e->mean += (level - e->mean) / 4;
	e->minv[0] = fminf(e->minv[0], e->mean);
	if (++e->frames == FLOOR_FRAMES) {
		memmove(e->minv + 1, e->minv,
			(FLOOR_PARTS - 1) * sizeof(e->minv[0]));
		e->minv[0] = e->mean;
		e->frames = 0;
	}
}

static void energy_silence(struct energy *e)
{
	energy_track(e, FLOOR_MIN_DB);
}

static bool energy_detect(struct energy *e, const int16_t *pcmv)
{
	float level = level_db(pcmv), floor = FLOOR_MAX_DB;

	energy_track(e, level);
	for (size_t i = 0; i < FLOOR_PARTS; i++)
		floor = fminf(floor, e->minv[i]);

	return level > fmaxf(floor, FLOOR_MIN_DB) + OVER_FLOOR_DB;
}

/* ---------------------------------------------------------------- WebRTC */

#if HAVE_WEBRTC_VAD

/* Declared by hand: libwebrtc-audio-processing 0.3 exports the C functions but
 * installs a C++ header only */
struct WebRtcVadInst *WebRtcVad_Create(void);
void WebRtcVad_Free(struct WebRtcVadInst *v);
int WebRtcVad_Init(struct WebRtcVadInst *v);
int WebRtcVad_set_mode(struct WebRtcVadInst *v, int mode);
int WebRtcVad_Process(struct WebRtcVadInst *v, int srate, const int16_t *pcmv,
		      size_t n);

enum { WEBRTC_MODE = 3 /* the least ready to call something speech */ };

static int webrtc_alloc(struct vad *v)
{
	v->webrtc = WebRtcVad_Create();
	if (!v->webrtc)
		return ENOMEM;

	return WebRtcVad_Init(v->webrtc) ||
			       WebRtcVad_set_mode(v->webrtc, WEBRTC_MODE)
		       ? EINVAL
		       : 0;
}

static void webrtc_free(struct vad *v)
{
	if (v->webrtc)
		WebRtcVad_Free(v->webrtc);
}

static bool webrtc_detect(struct vad *v, const int16_t *pcmv)
{
	return WebRtcVad_Process(v->webrtc, AUDIO_RATE, pcmv, FRAME_SAMPLES) ==
	       1;
}

#else

static int webrtc_alloc(struct vad *v)
{
	(void)v;

	return 0;
}

static void webrtc_free(struct vad *v)
{
	(void)v;
}

static bool webrtc_detect(struct vad *v, const int16_t *pcmv)
{
	(void)v;
	(void)pcmv;

	return false;
}

#endif

/* ------------------------------------------------------------------ both */

static void vad_destructor(void *arg)
{
	webrtc_free(arg);
}

int vad_alloc_energy(struct vad **vp)
{
	struct vad *v = mem_zalloc(sizeof(*v), vad_destructor);

	if (!v)
		return ENOMEM;

	energy_reset(&v->energy);
	*vp = v;

	return 0;
}

int vad_alloc(struct vad **vp)
{
	struct vad *v;
	int err = vad_alloc_energy(&v);

	if (err)
		return err;

	err = webrtc_alloc(v);
	if (err)
		mem_deref(v);
	else
		*vp = v;

	return err;
}

/* The detectors do not hear of silence: WebRTC's learns nothing from it, and
 * the floor has its bound above it. The filter starts anew, as from silence.
 */
static bool detect(struct vad *v, const int16_t *pcmv)
{
	int16_t filtered[FRAME_SAMPLES];

	if (is_silent(pcmv)) {
		v->hp = (struct highpass){0};
		if (!v->webrtc)
			energy_silence(&v->energy);
		return false;
	}

	highpass(&v->hp, filtered, pcmv);

	return v->webrtc ? webrtc_detect(v, filtered)
			 : energy_detect(&v->energy, filtered);
}

bool vad_frame(struct vad *v, const int16_t *pcmv)
{
	bool speech = detect(v, pcmv);

	if (v->warm < WARM_UP_FRAMES) {
		++v->warm;
		return false;
	}

	v->history = (v->history << 1 | speech) & ((1u << RULE_FRAMES) - 1);
	if (__builtin_popcount(v->history) >= RULE_START)
		v->speaking = true;
	else if (!v->history)
		v->speaking = false;

	return v->speaking;
}

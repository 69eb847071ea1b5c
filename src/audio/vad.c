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

static void highpass(struct highpass *hp, int16_t *outv, const int16_t *inv)
{
	struct highpass s = *hp;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		float x = inv[i];
		float y = HP_B * (x - 2 * s.x1 + s.x2) - HP_A1 * s.y1 -
			  HP_A2 * s.y2;

		s.x2 = s.x1;
		s.x1 = x;
		s.y2 = s.y1;
		s.y1 = y;
		outv[i] = (int16_t)(y > INT16_MAX   ? INT16_MAX
				    : y < INT16_MIN ? INT16_MIN
						    : y);
	}

	/* In silence the tail would fade into denormal numbers, which cost
	 * ten times as much as others. From here it takes more than a frame
	 * to get there. */
	if (fabsf(s.y1) < 1e-6f && fabsf(s.y2) < 1e-6f)
		s.y1 = s.y2 = 0;
	*hp = s;
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

static bool energy_detect(struct energy *e, const int16_t *pcmv)
{
	float level = level_db(pcmv), floor = FLOOR_MAX_DB;

	/* a mean of some frames, since the quietest of a hundred single ones
	 * lies well below what noise is like */
	e->mean += (level - e->mean) / 4;
	e->minv[0] = fminf(e->minv[0], e->mean);
	if (++e->frames == FLOOR_FRAMES) {
		memmove(e->minv + 1, e->minv,
			(FLOOR_PARTS - 1) * sizeof(e->minv[0]));
		e->minv[0] = e->mean;
		e->frames = 0;
	}
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

bool vad_frame(struct vad *v, const int16_t *pcmv)
{
	int16_t filtered[FRAME_SAMPLES];
	bool speech;

	highpass(&v->hp, filtered, pcmv);
	speech = v->webrtc ? webrtc_detect(v, filtered)
			   : energy_detect(&v->energy, filtered);

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

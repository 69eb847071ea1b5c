/**
 * @file vad.c  Voice activity: is the caller speaking?
 *
 * A frame passes for speech when
 *
 *  - the detector says so: WebRTC's with some help, or energy over a tracked
 *    floor,
 *  - and it is no steady tone: ringback, dial tone, busy tone, beep, a key,
 *  - and it is louder than the bot's own voice may come back.
 *
 * A high-pass comes first, without which mains hum counts as speech. The
 * caller starts to speak with RULE_START such frames of the last RULE_FRAMES,
 *
 *  - if one of the last RULE_VOICED was voiced, which no breath and no hiss
 *    is,
 *  - not counting any that is much quieter than one shortly before it: so ends
 *    a knock, and so does WebRTC's detector go on after a sound's end.
 *
 * Music passes for speech. What each condition is worth is in
 * docs/voice-activity.md, measured by tests/bench/bench_vad.c.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include "convod_features.h"
#include "echo.h"
#include "highpass.h"
#include "steady.h"

enum {
	RULE_FRAMES = 4,  /* looked at                   */
	RULE_START = 3,   /* of them speech: it starts   */
	RULE_VOICED = 10, /* one of them had to be voiced */
	RULE_END = 5,     /* none of them: it ends       */

	/* Frames that are listened to: nothing starts in them. The first of
	 * them do not count at all, since WebRTC's detector calls the first
	 * 100 ms of any noise speech. */
	WARM_UP_FRAMES = 10,
	DEAF_FRAMES = 6,

	/* The floor is the quietest of FLOOR_PARTS * FLOOR_FRAMES frames,
	 * 2 s: nobody speaks that long without a breath */
	FLOOR_PARTS = 4,
	FLOOR_FRAMES = 25,

	/* A frame that never leaves this is silence, whatever it is made of:
	 * its level, at most -60 dBFS, lies below FLOOR_MIN_DB and all that
	 * counts above it. It costs a tenth of a frame that is looked at. */
	SILENCE_PEAK = 32,

	/* A frame is foretold from the 16 ms before it, the end of a frame
	 * from its beginning: the one finds more under noise, the other finds
	 * keys, and all tones one frame sooner */
	STEADY_STEP = 32,
	SHORT_STEP = 16,
	STEADY_HISTORY = STEADY_TAPS * STEADY_STEP,
	STEADY_SAMPLES = STEADY_HISTORY + FRAME_SAMPLES,
};

/* Of the energy; the last is enough if two frames in a row have no more */
#define STEADY_RESIDUE 0.025f
#define SHORT_RESIDUE  0.016f
#define MAYBE_RESIDUE  0.063f

#define ENERGY_OVER_DB 6.0f
#define VOICE_OVER_DB  20.0f
/* Louder than the one and closer to the floor than the other is noise */
#define NOISE_DB      (-40.0f)
#define NOISE_OVER_DB 3.0f

/* dBFS. Below the lower one is what μ-law makes of silence; a line that
 * hisses louder than the upper one cannot be told from a voice by level. It
 * starts with what a line may well have. */
#define FLOOR_MIN_DB   (-62.0f)
#define FLOOR_MAX_DB   (-20.0f)
#define FLOOR_START_DB (-32.0f)

/* Quieter by so much than one of the RULE_END frames before, a frame does not
 * make speech start; what has started goes on */
#define FALL_DB 12.0f

/* Correlation of a sample with the next: 0.7 and more for vowels, near 0 for
 * white noise, less for an s */
#define VOICED_CORRELATION 0.5f

struct floor {
	float minv[FLOOR_PARTS]; /* quietest frame of each part, dBFS */
	float mean;              /* of some frames                    */
	unsigned frames;         /* in the part that is being filled  */
};

struct vad {
	struct WebRtcVadInst *webrtc; /* NULL: energy */
	struct highpass hp;
	struct floor floor;
	struct echo echo;
	float filteredv[STEADY_SAMPLES]; /* the newest frame comes last */
	float dbv[RULE_END];             /* newest first                */
	bool maybe_tone;
	/* a bit for each frame, newest lowest */
	unsigned speech, strong, voiced, echo_heard;
	unsigned warm; /* frames heard, to WARM_UP_FRAMES */
	bool speaking;
};

/* What is known of a frame */
struct frame {
	float db;
	bool speech, voiced;
};

/* ----------------------------------------------------------------- floor */

static void floor_reset(struct floor *f)
{
	for (size_t i = 0; i < FLOOR_PARTS; i++)
		f->minv[i] = FLOOR_START_DB;
	f->mean = FLOOR_START_DB;
	f->frames = 0;
}

/* A mean of some frames, since the quietest of a hundred single ones lies well
 * below what noise is like */
static void floor_track(struct floor *f, float db)
{
	f->mean += (db - f->mean) / 4;
	f->minv[0] = fminf(f->minv[0], f->mean);
	if (++f->frames == FLOOR_FRAMES) {
		memmove(f->minv + 1, f->minv,
			(FLOOR_PARTS - 1) * sizeof(f->minv[0]));
		f->minv[0] = f->mean;
		f->frames = 0;
	}
}

static float floor_db(const struct floor *f)
{
	float db = FLOOR_MAX_DB;

	for (size_t i = 0; i < FLOOR_PARTS; i++)
		db = fminf(db, f->minv[i]);

	return fmaxf(db, FLOOR_MIN_DB);
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

/* ------------------------------------------------------------ one frame */

static bool is_silent(const int16_t *pcmv)
{
	int16_t max = 0, min = 0;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		max = MAX(max, pcmv[i]);
		min = MIN(min, pcmv[i]);
	}

	return max <= SILENCE_PEAK && min >= -SILENCE_PEAK;
}

static void to_pcm(int16_t *pcmv, const float *fv)
{
	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		float f = fv[i];

		f = f > INT16_MAX ? INT16_MAX : f;
		f = f < INT16_MIN ? INT16_MIN : f;
		pcmv[i] = (int16_t)f;
	}
}

static void measure(struct frame *fr, const int16_t *pcmv)
{
	int64_t energy = 1, next = 0; /* no logarithm of nothing */

	for (size_t i = 0; i < FRAME_SAMPLES - 1; i++) {
		energy += pcmv[i] * pcmv[i];
		next += pcmv[i] * pcmv[i + 1];
	}

	fr->db = 10 *
		 log10f((float)energy / FRAME_SAMPLES / (32768.0f * 32768.0f));
	fr->voiced = (float)next > VOICED_CORRELATION * (float)energy;
}

static bool is_tone(struct vad *v)
{
	float residue = steady_residue(v->filteredv, STEADY_SAMPLES,
				       STEADY_STEP);
	float within = steady_residue(v->filteredv + STEADY_HISTORY,
				      FRAME_SAMPLES, SHORT_STEP);
	bool maybe = fminf(residue, within) < MAYBE_RESIDUE;
	bool again = maybe && v->maybe_tone;

	v->maybe_tone = maybe;

	return again || residue < STEADY_RESIDUE || within < SHORT_RESIDUE;
}

/* The detectors do not hear of silence: WebRTC's learns nothing from it, and
 * the floor has its bound above it. The filter starts anew, as from silence.
 */
static void skip_silence(struct vad *v, struct frame *fr)
{
	v->hp = (struct highpass){0};
	memset(v->filteredv + FRAME_SAMPLES, 0,
	       STEADY_HISTORY * sizeof(v->filteredv[0]));
	v->maybe_tone = false;
	floor_track(&v->floor, FLOOR_MIN_DB);
	fr->db = FLOOR_MIN_DB;
}

/* Its detector takes a frame or two to notice a voice, and never gets used to
 * loud noise */
static bool webrtc_says(struct vad *v, const struct frame *fr, float over,
			const int16_t *pcmv)
{
	/* is asked in any case: it learns from all it hears */
	bool speech = webrtc_detect(v, pcmv);
	bool noise = fr->db > NOISE_DB && over < NOISE_OVER_DB;

	return (speech && !noise) || (fr->voiced && over > VOICE_OVER_DB);
}

static void detect(struct vad *v, struct frame *fr, const int16_t *pcmv)
{
	int16_t filtered[FRAME_SAMPLES];
	float over;

	memmove(v->filteredv, v->filteredv + FRAME_SAMPLES,
		STEADY_HISTORY * sizeof(v->filteredv[0]));
	highpass_frame(&v->hp, v->filteredv + STEADY_HISTORY, pcmv);
	to_pcm(filtered, v->filteredv + STEADY_HISTORY);

	measure(fr, filtered);
	floor_track(&v->floor, fr->db);
	over = fr->db - floor_db(&v->floor);
	fr->speech = v->webrtc ? webrtc_says(v, fr, over, filtered)
			       : over > ENERGY_OVER_DB;

	/* the dearest comes last, and only if it is asked for */
	if (fr->speech)
		fr->speech = !is_tone(v);
	else
		v->maybe_tone = false;
}

/* -------------------------------------------------------------- the rule */

static bool is_falling(const struct vad *v, float db)
{
	float max = v->dbv[0];

	for (size_t i = 1; i < RULE_END; i++)
		max = fmaxf(max, v->dbv[i]);

	return db < max - FALL_DB;
}

static unsigned remember(unsigned bits, bool bit, unsigned n)
{
	return (bits << 1 | bit) & ((1u << n) - 1);
}

static void judge(struct vad *v, const struct frame *fr)
{
	bool strong = fr->speech && !is_falling(v, fr->db);

	memmove(v->dbv + 1, v->dbv, (RULE_END - 1) * sizeof(v->dbv[0]));
	v->dbv[0] = fr->db;
	if (v->warm < DEAF_FRAMES)
		return;

	v->speech = remember(v->speech, fr->speech, RULE_END);
	v->strong = remember(v->strong, strong, RULE_FRAMES);
	v->voiced = remember(v->voiced, strong && fr->voiced, RULE_VOICED);
}

bool vad_frame(struct vad *v, const int16_t *pcmv, uint64_t now_ms)
{
	struct frame fr = {0};
	bool may_be_echo;

	if (is_silent(pcmv))
		skip_silence(v, &fr);
	else
		detect(v, &fr, pcmv);
	may_be_echo = fr.db <= echo_bound(&v->echo, fr.db, now_ms);
	v->echo_heard = remember(v->echo_heard, fr.speech && may_be_echo,
				 RULE_FRAMES);
	fr.speech &= !may_be_echo;

	judge(v, &fr);
	if (v->warm < WARM_UP_FRAMES) {
		++v->warm;
		return false;
	}

	if (__builtin_popcount(v->strong) >= RULE_START && v->voiced)
		v->speaking = true;
	else if (!v->speech)
		v->speaking = false;

	return v->speaking;
}

bool vad_hears_echo(const struct vad *v)
{
	return __builtin_popcount(v->echo_heard) >= RULE_START;
}

void vad_played(struct vad *v, const uint8_t *ulawv, size_t n, uint64_t now_ms)
{
	echo_played(&v->echo, ulawv, n, now_ms);
}

void vad_cleared(struct vad *v, uint64_t now_ms)
{
	echo_cleared(&v->echo, now_ms);
}

/* ------------------------------------------------------------ both forms */

static void vad_destructor(void *arg)
{
	webrtc_free(arg);
}

int vad_alloc_energy(struct vad **vp)
{
	struct vad *v = mem_zalloc(sizeof(*v), vad_destructor);

	if (!v)
		return ENOMEM;

	floor_reset(&v->floor);
	echo_init(&v->echo);
	for (size_t i = 0; i < RULE_END; i++)
		v->dbv[i] = FLOOR_MIN_DB;
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

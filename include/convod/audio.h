/**
 * @file audio.h  The audio convod speaks of, and the small DSP on its way
 *
 * Inside convod audio is 8 kHz mono μ-law, as the carriers send it. A *frame*
 * is 20 ms of it. Recognisers get signed 16-bit PCM, host order in memory,
 * little-endian on the wire.
 */
#ifndef CONVOD_AUDIO_H
#define CONVOD_AUDIO_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum {
	AUDIO_RATE = 8000, /* Hz */
	AUDIO_PER_MS = 8,  /* samples */
	FRAME_MS = 20,
	FRAME_SAMPLES = 160, /* = bytes of μ-law */
	ULAW_SILENCE = 0xff, /* never 0x00, which is full-scale negative */
};

/* --------------------------------------------------------------- G.711 */

/** ITU-T G.711 μ-law code to 16-bit sample, exact */
int16_t g711_ulaw_decode(uint8_t code);

/** 16-bit sample to μ-law code, equal to libsndfile's for all 65536 */
uint8_t g711_ulaw_encode(int16_t sample);

void g711_ulaw_decode_n(int16_t *pcmv, const uint8_t *ulawv, size_t n);
void g711_ulaw_encode_n(uint8_t *ulawv, const int16_t *pcmv, size_t n);

/* -------------------------------------------------- 8 → 16 kHz, per call */

enum { HALFBAND_TAPS = 64, HALFBAND_HISTORY = HALFBAND_TAPS / 2 - 1 };

/**
 * Half-band interpolator; zero it to reset. Odd outputs are the input itself,
 * delayed; int16 with 14-bit coefficients and 32-bit sums: the same bits on
 * every machine. Images ≤ −60 dB and ripple ≤ 0.1 dB over 300–3400 Hz, delay
 * 2 ms.
 */
struct halfband {
	int16_t history[HALFBAND_HISTORY];
};

/**
 * @param outv 2 n samples
 * @param inv  n samples, n at least 1
 */
void halfband_up2(struct halfband *hb, int16_t *outv, const int16_t *inv,
		  size_t n);

/* ------------------------------- any rate → 8 kHz, replies, off the loop */

struct resampler;

/**
 * libsamplerate, SINC_MEDIUM
 *
 * @param rate     Hz, 1000..192000
 * @param channels 1..8; mixed to mono
 */
CV_NODISCARD int resampler_alloc(struct resampler **rp, uint32_t rate,
				 uint32_t channels);

typedef void(resampler_h)(const int16_t *pcmv, size_t n, void *arg);

/**
 * Push interleaved samples; what is ready comes out through the handler
 *
 * Values are -1..1; larger ones are cut, and what is no number is silence.
 *
 * @param frames Samples per channel; 0 with last set to end without more
 * @param last   Nothing more will come: the tail is pushed out
 *
 * @return 0; EPROTO after last; EINVAL
 *
 * Handler: called from here, may drop the resampler.
 */
CV_NODISCARD int resampler_push(struct resampler *r, const float *v,
				size_t frames, bool last, resampler_h *h,
				void *arg);

/* ------------------------------------------------------- voice activity */

struct vad;

/**
 * Voice activity of one call. libwebrtc-audio-processing's detector (mode 3)
 * where the build has it, energy over a tracked floor where not. Steady tones,
 * hum, breath, hiss and the bot's own echo are no speech; music passes for it
 * (docs/voice-activity.md). Times are of one clock, and do not go back.
 */
CV_NODISCARD int vad_alloc(struct vad **vp);

/** The same with the energy detector, whatever the build has */
CV_NODISCARD int vad_alloc_energy(struct vad **vp);

/**
 * Feed one frame
 *
 * @param pcmv   FRAME_SAMPLES samples, 8 kHz
 * @param now_ms When it came; anything where vad_played() is not used
 *
 * @return true while the caller speaks: set by 3 frames of speech among the
 *         last 4, cleared when none of the last 5 was; never in the first
 *         200 ms, in which it gets to know the line
 */
bool vad_frame(struct vad *v, const int16_t *pcmv, uint64_t now_ms);

/**
 * Tell what the caller is about to hear: it may come back within 0.6 s, and
 * then counts as speech only where it is louder than it came back before
 *
 * @param n      Bytes, whole frames
 * @param now_ms When they were sent; they are heard behind what was before
 */
void vad_played(struct vad *v, const uint8_t *ulawv, size_t n,
		uint64_t now_ms);

/** Was what came last speech, but no louder than the bot's own may be? */
bool vad_hears_echo(const struct vad *v);

/** The carrier has dropped what was not heard by now */
void vad_cleared(struct vad *v, uint64_t now_ms);

/* ------------------------------------------------- keys, as tones (DTMF) */

struct dtmf;

CV_NODISCARD int dtmf_alloc(struct dtmf **dp);

/**
 * Feed one frame
 *
 * @param pcmv FRAME_SAMPLES samples, 8 kHz
 *
 * @return A key ("0123456789*#ABCD") that was pressed, once for each press, 25
 *         to 58 ms after it began; else 0. A key must be held for 40 ms and
 *         let go for 40 ms.
 *
 * Spec: ITU-T Q.23, Q.24.
 */
char dtmf_frame(struct dtmf *d, const int16_t *pcmv);

/** Does the key that was pressed last still sound? */
bool dtmf_is_pressed(const struct dtmf *d);

CV_END_DECLS

#endif

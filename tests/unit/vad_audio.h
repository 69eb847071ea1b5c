/**
 * @file vad_audio.h  What voice activity is judged on, for its test and bench
 *
 * Recordings and signals made here, all through μ-law and back as a carrier
 * sends them.
 */
#ifndef CONVOD_TEST_VAD_AUDIO_H
#define CONVOD_TEST_VAD_AUDIO_H

#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <stdlib.h>
#include <convod/audio.h>
#include <convod/mem.h>

enum {
	VAD_SECONDS_MAX = 12,
	VAD_SAMPLES_MAX = VAD_SECONDS_MAX * AUDIO_RATE,
	/* where a carrier's frames begin is not ours to say */
	VAD_SHIFTS = 4,
	VAD_SHIFT_SAMPLES = FRAME_SAMPLES / VAD_SHIFTS,
};

/* Both detectors; the first is the second in a build without WebRTC's */
static const struct vad_form {
	const char *name;
	int (*alloch)(struct vad **vp);
} vad_formv[] = {{"default", vad_alloc}, {"energy", vad_alloc_energy}};

/* A recording, and the same with less noise, which tells when speech starts */
static const struct vad_speech {
	const char *name, *clean;
} vad_speechv[] = {
	{"yes", NULL},
	{"no", NULL},
	{"yes_please", NULL},
	{"operator", NULL},
	{"goodbye", NULL},
	{"repeat_that", NULL},
	{"opening_hours", NULL},
	{"book_tuesday", NULL},
	{"book_friday_ten", NULL},
	{"cancel_monday", NULL},
	{"talk_person", NULL},
	{"balance", NULL},
	{"open_saturday", NULL},
	{"help", NULL},
	{"digits_4", NULL},
	{"digits_6", NULL},
	{"tomorrow_three", NULL},
	{"oog_weather", NULL},
	{"oog_train", NULL},
	{"long_pause", NULL},
	{"pause_500ms", NULL},
	{"pause_1200ms", NULL},
	{"yes_pink10db", "yes"},
	{"opening_hours_pink20db", "opening_hours"},
	{"book_tuesday_pink10db", "book_tuesday"},
	{"digits_4_pink15db", "digits_4"},
	{"talk_person_white15db", "talk_person"},
};

static inline int16_t vad_line(double v)
{
	v = fmin(fmax(v, INT16_MIN), INT16_MAX);

	return g711_ulaw_decode(g711_ulaw_encode((int16_t)lrint(v)));
}

/**
 * @param db Louder by so much
 *
 * @return samples; 0 if it cannot be read
 */
static inline size_t vad_load(int16_t *pcmv, const char *name, double db)
{
	SF_INFO info = {0};
	double gain = pow(10, db / 20);
	char path[512];
	sf_count_t n;
	SNDFILE *sf;

	snprintf(path, sizeof(path), DATA_DIR "/audio/%s.wav", name);
	sf = sf_open(path, SFM_READ, &info);
	if (!sf)
		return 0;
	n = sf_read_short(sf, pcmv, VAD_SAMPLES_MAX);
	sf_close(sf);
	if (info.samplerate != AUDIO_RATE || info.channels != 1)
		return 0;
	for (sf_count_t i = 0; i < n; i++)
		pcmv[i] = vad_line(pcmv[i] * gain);

	return (size_t)n;
}

/**
 * @return ms at which speech starts in a clean recording: the first of three
 *         frames in a row above -40 dBFS; UINT32_MAX if nowhere
 */
static inline uint32_t vad_onset_ms(const int16_t *pcmv, size_t n)
{
	unsigned loud = 0;

	for (size_t at = 0; at + FRAME_SAMPLES <= n; at += FRAME_SAMPLES) {
		double sum = 0;

		for (size_t i = 0; i < FRAME_SAMPLES; i++)
			sum += (double)pcmv[at + i] * pcmv[at + i];
		sum /= FRAME_SAMPLES * 32768.0 * 32768.0;
		loud = sum > 1e-4 ? loud + 1 : 0;
		if (loud == 3)
			return (uint32_t)(at / AUDIO_PER_MS) - 2 * FRAME_MS;
	}

	return UINT32_MAX;
}

struct vad_verdict {
	unsigned starts;
	uint32_t first_ms; /* end of the frame that started it */
	uint32_t speaking_ms;
	bool last; /* still speaking */
};

/** @param skip Samples before the first frame */
static inline struct vad_verdict vad_judge(const struct vad_form *form,
					   const int16_t *pcmv, size_t n,
					   size_t skip)
{
	struct vad_verdict res = {0};
	struct vad *v = NULL;

	if (form->alloch(&v))
		abort();
	for (size_t at = skip; at + FRAME_SAMPLES <= n; at += FRAME_SAMPLES) {
		bool speaking = vad_frame(v, pcmv + at);

		if (speaking && !res.last && !res.starts++)
			res.first_ms = (uint32_t)(at / AUDIO_PER_MS) +
				       FRAME_MS;
		res.speaking_ms += speaking ? FRAME_MS : 0;
		res.last = speaking;
	}
	mem_deref(v);

	return res;
}

/* ------------------------------------------------------ signals made here */

/* White, about Gaussian, of variance 1; the same on every machine */
static inline double vad_noise(uint32_t *seed)
{
	double sum = 0;

	for (unsigned i = 0; i < 12; i++) {
		*seed = *seed * 1664525 + 1013904223;
		sum += (*seed >> 8) / 16777216.0;
	}

	return sum - 6;
}

static inline double vad_amplitude(double dbfs)
{
	return 32768 * pow(10, dbfs / 20);
}

/**
 * One or two tones of equal level, with breaks, and noise of the line
 *
 * @param hz2    0 for one tone
 * @param on_ms  Length of a beep, 0 for ever
 * @param off_ms Of the break
 * @param dbfs   Level of the sum
 * @param noise  Level, dBFS
 */
struct vad_tone {
	const char *name;
	double hz1, hz2;
	unsigned on_ms, off_ms;
	double dbfs, noise;
};

static const struct vad_tone vad_tonev[] = {
	/* ITU-T E.180; North America, Germany and much of Europe, UK */
	{"ringback 440+480 Hz", 440, 480, 2000, 4000, -19, -66},
	{"ringback 425 Hz", 425, 0, 1000, 4000, -19, -66},
	{"ringback 400+450 Hz", 400, 450, 400, 200, -19, -66},
	{"dial tone 350+440 Hz", 350, 440, 0, 0, -13, -66},
	{"dial tone 425 Hz", 425, 0, 0, 0, -13, -66},
	{"busy 480+620 Hz", 480, 620, 500, 500, -24, -66},
	{"busy 425 Hz", 425, 0, 480, 480, -24, -66},
	{"reorder 480+620 Hz, fast", 480, 620, 250, 250, -24, -66},
	{"information tone 950 Hz", 950, 0, 330, 1000, -24, -66},
	{"beep 1400 Hz", 1400, 0, 500, 3000, -10, -66},
	{"fax 1100 Hz", 1100, 0, 500, 3000, -13, -66},
	{"fax answer 2100 Hz", 2100, 0, 3000, 500, -13, -66},
	{"dial tone 350+440 Hz, noise 30 dB below", 350, 440, 0, 0, -20, -50},
	{"ringback 440+480 Hz, noise 25 dB below", 440, 480, 2000, 4000, -20,
	 -45},
	{"ringback 440+480 Hz, faint", 440, 480, 2000, 4000, -45, -75},
};

static inline size_t vad_make_tone(int16_t *pcmv, const struct vad_tone *t)
{
	double a = vad_amplitude(t->dbfs) * (t->hz2 > 0 ? 1 : sqrt(2));
	double sd = vad_amplitude(t->noise);
	size_t n = 10 * AUDIO_RATE;
	uint32_t seed = 1;

	for (size_t i = 0; i < n; i++) {
		double w = 2 * M_PI * (double)i / AUDIO_RATE;
		unsigned ms = (unsigned)(i / AUDIO_PER_MS);
		double v = sin(w * t->hz1) +
			   (t->hz2 > 0 ? sin(w * t->hz2 + 1) : 0);

		/* half a second of the line first */
		if (ms < 500 ||
		    (t->on_ms &&
		     (ms - 500) % (t->on_ms + t->off_ms) >= t->on_ms))
			v = 0;
		pcmv[i] = vad_line(a * v + sd * vad_noise(&seed));
	}

	return n;
}

/* Mains hum as a bad line has it: all harmonics, those of the rectifier (even)
 * stronger, falling by 6 dB an octave */
static inline size_t vad_make_hum(int16_t *pcmv, double hz, double dbfs)
{
	size_t n = 10 * AUDIO_RATE;
	uint32_t seed = 1;
	double sum = 0;

	for (unsigned k = 1; k * hz < 3400; k++)
		sum += (k % 2 ? 0.25 : 1) / (k * k) / 2;
	for (size_t i = 0; i < n; i++) {
		double v = 0;

		for (unsigned k = 1; k * hz < 3400; k++)
			v += sin(2 * M_PI * hz * k * (double)i / AUDIO_RATE +
				 k * k) *
			     (k % 2 ? 0.5 : 1) / k;
		pcmv[i] = vad_line(v * vad_amplitude(dbfs) / sqrt(sum) +
				   vad_amplitude(-66) * vad_noise(&seed));
	}

	return n;
}

static inline size_t vad_make_noise(int16_t *pcmv, double dbfs)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < VAD_SAMPLES_MAX; i++)
		pcmv[i] = vad_line(vad_amplitude(dbfs) * vad_noise(&seed));

	return VAD_SAMPLES_MAX;
}

/* Noise with a wide resonance, of an open mouth (1500 Hz) or of wind in the
 * microphone (300 Hz), swelling and fading: in for 0.8 s, out for 1.2 s, 15
 * breaths a minute */
static inline size_t vad_make_breath(int16_t *pcmv, double hz, double dbfs)
{
	static const double r = 0.75, period = 4, in = 0.8, out = 1.2;
	const double c = 2 * r * cos(2 * M_PI * hz / AUDIO_RATE);
	double y1 = 0, y2 = 0, power = 0;
	uint32_t seed = 1;

	/* what the resonance makes of 1 */
	for (unsigned i = 0; i < 100; i++) {
		double y = (i ? 0 : 1) + c * y1 - r * r * y2;

		y2 = y1;
		y1 = y;
		power += y * y;
	}

	for (size_t i = 0; i < VAD_SAMPLES_MAX; i++) {
		double s = fmod((double)i / AUDIO_RATE, period) - 0.5;
		double swell = 0, y;

		if (s > 0 && s < in)
			swell = sin(M_PI * s / in);
		else if (s > in + 0.2 && s < in + 0.2 + out)
			swell = sin(M_PI * (s - in - 0.2) / out);
		y = vad_noise(&seed) / sqrt(power) + c * y1 - r * r * y2;
		y2 = y1;
		y1 = y;
		pcmv[i] = vad_line(y * swell * vad_amplitude(dbfs) +
				   vad_amplitude(-66) * vad_noise(&seed));
	}

	return VAD_SAMPLES_MAX;
}

/* A knuckle on a table, the handset put down: a low thud that rings, once a
 * second */
static inline size_t vad_make_knocks(int16_t *pcmv, double dbfs,
				     double ring_ms)
{
	static const double r = 0.97;
	const double c = 2 * r * cos(2 * M_PI * 300 / AUDIO_RATE);
	double y1 = 0, y2 = 0;
	uint32_t seed = 1;

	for (size_t i = 0; i < VAD_SAMPLES_MAX; i++) {
		double ms = (double)(i % AUDIO_RATE) / AUDIO_PER_MS - 500, y;
		double a = ms < 0 ? 0 : exp(-ms / ring_ms);

		y = vad_noise(&seed) / 9.5 + c * y1 - r * r * y2;
		y2 = y1;
		y1 = y;
		pcmv[i] = vad_line(y * a * vad_amplitude(dbfs) +
				   vad_amplitude(-66) * vad_noise(&seed));
	}

	return VAD_SAMPLES_MAX;
}

#endif

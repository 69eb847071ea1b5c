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
#include <string.h>
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

/* ------------------------------------------------- a bot, and its echo */

enum {
	VAD_BOT_MS = 1000,  /* it begins to speak      */
	VAD_LEAD_MS = 300,  /* and is sent that early  */
	VAD_REPLIES = 2,    /* with a pause of         */
	VAD_PAUSE_MS = 700, /* between them            */
};

/* What it says: prompts of three voices, files of share/prompts or of the
 * recordings */
static const char *const vad_botv[][VAD_REPLIES] = {
	{"en-apology", "en-closing"},
	{"is-apology", "is-closing"},
	{"long_pause", "oog_train"},
};

struct vad_bot {
	uint8_t ulawv[VAD_SAMPLES_MAX];
	int16_t pcmv[VAD_SAMPLES_MAX];  /* the same                        */
	int16_t roomv[VAD_SAMPLES_MAX]; /* in a room, as loud on the whole */
	size_t n;
};

static inline size_t vad_load_prompt(uint8_t *ulawv, size_t n,
				     const char *name)
{
	static int16_t pcmv[VAD_SAMPLES_MAX];
	char path[512];
	size_t got;
	FILE *f;

	snprintf(path, sizeof(path), DATA_DIR "/../../share/prompts/%s.ul",
		 name);
	f = fopen(path, "rb");
	if (!f) {
		got = MIN(n, vad_load(pcmv, name, 0));
		g711_ulaw_encode_n(ulawv, pcmv, got);
		return got;
	}
	got = fread(ulawv, 1, n, f);
	fclose(f);

	return got;
}

/* A loudspeaker and a room: it returns some tones louder than others, and
 * rings for 0.2 s */
static inline void vad_make_room(struct vad_bot *bot)
{
	enum { TAPS = 800 };
	static double v[VAD_SAMPLES_MAX];
	double h[TAPS], dry = 0, wet = 0;
	uint32_t seed = 7;

	for (size_t k = 0; k < TAPS; k++)
		h[k] = exp(-(double)k / 230) * vad_noise(&seed);
	for (size_t i = 0; i < bot->n; i++) {
		v[i] = 0;
		for (size_t k = 0; k < MIN(i + 1, (size_t)TAPS); k++)
			v[i] += h[k] * bot->pcmv[i - k];
		dry += (double)bot->pcmv[i] * bot->pcmv[i];
		wet += v[i] * v[i];
	}
	for (size_t i = 0; i < bot->n; i++)
		bot->roomv[i] = vad_line(v[i] * sqrt(dry / wet));
}

static inline void vad_load_bot(struct vad_bot *bot,
				const char *const replyv[VAD_REPLIES])
{
	enum { END = VAD_SAMPLES_MAX - AUDIO_RATE };
	size_t n = 0;

	memset(bot->ulawv, ULAW_SILENCE, sizeof(bot->ulawv));
	for (size_t i = 0; i < VAD_REPLIES; i++) {
		n += vad_load_prompt(bot->ulawv + n, END - n, replyv[i]);
		n = MIN(n + VAD_PAUSE_MS * AUDIO_PER_MS, END);
		n -= n % FRAME_SAMPLES;
	}
	bot->n = n;
	g711_ulaw_decode_n(bot->pcmv, bot->ulawv, n);
}

/** Add the echo of what the bot says to what the line carries */
static inline void vad_add_echo(int16_t *pcmv, const int16_t *botv, size_t n,
				double db, uint32_t delay_ms)
{
	size_t at = (VAD_BOT_MS + delay_ms) * AUDIO_PER_MS;
	double gain = pow(10, db / 20);

	for (size_t i = 0; i < n && at + i < VAD_SAMPLES_MAX; i++)
		pcmv[at + i] = vad_line(pcmv[at + i] + gain * botv[i]);
}

/* Playout sends no pauses between replies */
static inline bool vad_is_pause(const struct vad_bot *bot, size_t at)
{
	for (size_t i = at; i < at + FRAME_SAMPLES; i++) {
		if (bot->ulawv[i] != ULAW_SILENCE)
			return false;
	}

	return true;
}

static inline size_t vad_send(struct vad *v, const struct vad_bot *bot,
			      size_t sent, uint64_t until_ms,
			      uint64_t start_ms)
{
	uint64_t at_ms;

	while (sent < bot->n &&
	       (at_ms = start_ms + sent / AUDIO_PER_MS) < until_ms) {
		if (!vad_is_pause(bot, sent))
			vad_played(v, bot->ulawv + sent, FRAME_SAMPLES, at_ms);
		sent += FRAME_SAMPLES;
	}

	return sent;
}

/* ----------------------------------------------------------- its verdict */

struct vad_verdict {
	unsigned starts;
	uint32_t first_ms; /* end of the frame that started it */
	uint32_t speaking_ms;
	uint32_t echo_ms;
	bool last; /* still speaking */
};

/**
 * @param skip Samples before the first frame
 * @param bot  Who speaks meanwhile, and says so; NULL: nobody
 */
static inline struct vad_verdict vad_judge_over(const struct vad_form *form,
						const int16_t *pcmv, size_t n,
						size_t skip,
						const struct vad_bot *bot)
{
	const uint64_t epoch_ms = 1234567;
	struct vad_verdict res = {0};
	struct vad *v = NULL;
	size_t sent = 0;

	if (form->alloch(&v))
		abort();
	for (size_t at = skip; at + FRAME_SAMPLES <= n; at += FRAME_SAMPLES) {
		uint32_t end_ms = (uint32_t)(at / AUDIO_PER_MS) + FRAME_MS;
		uint64_t now_ms = epoch_ms + end_ms;
		bool speaking;

		if (bot)
			sent = vad_send(v, bot, sent, now_ms + VAD_LEAD_MS,
					epoch_ms + VAD_BOT_MS);
		speaking = vad_frame(v, pcmv + at, now_ms);
		if (speaking && !res.last && !res.starts++)
			res.first_ms = end_ms;
		res.speaking_ms += speaking ? FRAME_MS : 0;
		res.echo_ms += vad_hears_echo(v) ? FRAME_MS : 0;
		res.last = speaking;
	}
	mem_deref(v);

	return res;
}

static inline struct vad_verdict vad_judge(const struct vad_form *form,
					   const int16_t *pcmv, size_t n,
					   size_t skip)
{
	return vad_judge_over(form, pcmv, n, skip, NULL);
}

/* ------------------------------------------------------ signals made here */

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

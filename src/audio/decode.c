/**
 * @file decode.c  Reply audio of any format to 8 kHz μ-law
 *
 * Finds out what the bytes are, hands them to the decoder of that format, and
 * turns what comes back into bounded 8 kHz μ-law (the sink).
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <convod/mem.h>
#include "decode_priv.h"

enum {
	ID3_HEADER = 10,
	PUSH_FRAMES = 512,
};

struct decoder {
	enum decode_format format;
	struct decode_sink sink;
	const struct decode_codec *codec; /* NULL until the format is known */
	void *state;
	int err; /* that ended it */

	uint8_t head[DECODE_HEAD_BYTES];
	size_t headc;
	size_t skip; /* bytes of an ID3 tag still to come */

	uint32_t raw_rate;
	uint8_t odd; /* first byte of a 16-bit sample cut in two */
	bool has_odd;
};

/* ---------------------------------------------------------------- sink */

static void give_ulaw(struct decode_sink *s, const uint8_t *v, size_t n)
{
	size_t fit = (size_t)MIN(n, s->max - s->given);

	if (fit) {
		s->given += fit;
		s->h(v, fit, s->arg);
	}
	s->full = s->full || fit < n;
}

static void pcm_handler(const int16_t *pcmv, size_t n, void *arg)
{
	struct decode_sink *s = arg;
	uint8_t ulawv[PUSH_FRAMES];

	while (n && !s->full) {
		size_t k = MIN(n, PUSH_FRAMES);

		g711_ulaw_encode_n(ulawv, pcmv, k);
		give_ulaw(s, ulawv, k);
		pcmv += k;
		n -= k;
	}
}

int sink_ulaw(struct decode_sink *s, const uint8_t *v, size_t n)
{
	give_ulaw(s, v, n);

	return s->full ? EOVERFLOW : 0;
}

int sink_end(struct decode_sink *s)
{
	int err = 0;

	if (s->rs)
		err = resampler_push(s->rs, NULL, 0, true, pcm_handler, s);
	s->rs = mem_deref(s->rs);
	s->rate = 0;

	return err ? err : s->full ? EOVERFLOW : 0;
}

int sink_format(struct decode_sink *s, uint32_t rate, uint32_t channels)
{
	int err;

	if (rate < DECODE_RATE_MIN || rate > DECODE_RATE_MAX || !channels ||
	    channels > DECODE_CHANNELS_MAX)
		return EBADMSG;
	if (s->rate == rate && s->channels == channels)
		return 0;

	err = sink_end(s);
	if (err)
		return err;

	if (rate != AUDIO_RATE || channels != 1) {
		err = resampler_alloc(&s->rs, rate, channels);
		if (err)
			return err;
	}
	s->rate = rate;
	s->channels = channels;

	return 0;
}

static int16_t to_pcm(float x)
{
	long v;

	if (!(x > -1.0f)) /* NaN too, which then is silence */
		return x <= -1.0f ? INT16_MIN : 0;
	if (x >= 1.0f)
		return INT16_MAX;

	v = lrintf(x * 32768.0f);

	return (int16_t)MIN(v, INT16_MAX);
}

/** A resampler never gets rid of a NaN or an infinity once it has one */
static void sanitise(float *dst, const float *v, size_t n)
{
	for (size_t i = 0; i < n; i++)
		dst[i] = v[i] >= -8.0f && v[i] <= 8.0f ? v[i] : 0.0f;
}

int sink_push(struct decode_sink *s, const float *v, size_t frames)
{
	float clean[PUSH_FRAMES * DECODE_CHANNELS_MAX];
	int16_t pcmv[PUSH_FRAMES];

	while (frames && !s->full) {
		size_t n = MIN(frames, PUSH_FRAMES);

		if (s->rs) {
			int err;

			sanitise(clean, v, n * s->channels);
			err = resampler_push(s->rs, clean, n, false,
					     pcm_handler, s);
			if (err)
				return err;
		} else {
			for (size_t i = 0; i < n; i++)
				pcmv[i] = to_pcm(v[i]);
			pcm_handler(pcmv, n, s);
		}
		v += n * s->channels;
		frames -= n;
	}

	return s->full ? EOVERFLOW : 0;
}

/* ------------------------------------------------- raw PCM, both kinds */

size_t decode_pcm_size(enum decode_pcm pcm)
{
	static const uint8_t sizev[] = {
		[PCM_U8] = 1,  [PCM_S16] = 2, [PCM_S24] = 3,  [PCM_S32] = 4,
		[PCM_F32] = 4, [PCM_F64] = 8, [PCM_ULAW] = 1, [PCM_ALAW] = 1,
	};

	return sizev[pcm];
}

static uint64_t le(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];

	return v;
}

static float alaw_to_float(uint8_t code)
{
	/* ITU-T G.711 table 1: even bits inverted, sign set is positive */
	unsigned x = code ^ 0x55u;
	int seg = (int)(x >> 4 & 7), mant = (int)(x & 15);
	int v = seg ? (mant * 2 + 33) << (seg - 1) : mant * 2 + 1;

	return (float)(x & 0x80 ? v : -v) / 4096.0f;
}

static float read_sample(enum decode_pcm pcm, const uint8_t *p)
{
	union {
		uint32_t u;
		float f;
	} f32;
	union {
		uint64_t u;
		double f;
	} f64;

	switch (pcm) {
	case PCM_U8:
		return (float)(*p - 128) / 128.0f;
	case PCM_S16:
		return (float)(int16_t)le(p, 2) / 32768.0f;
	case PCM_S24:
		return (float)(int32_t)(le(p, 3) << 8) / 2147483648.0f;
	case PCM_S32:
		return (float)(int32_t)le(p, 4) / 2147483648.0f;
	case PCM_F32:
		f32.u = (uint32_t)le(p, 4);
		return f32.f;
	case PCM_F64:
		f64.u = le(p, 8);
		return f64.f >= -8.0 && f64.f <= 8.0 ? (float)f64.f : 0.0f;
	case PCM_ULAW:
		return 1.0f / 32768.0f * g711_ulaw_decode(*p);
	case PCM_ALAW:
		return alaw_to_float(*p);
	}
	return 0.0f;
}

void decode_pcm_read(float *v, enum decode_pcm pcm, const uint8_t *p,
		     size_t samples)
{
	size_t size = decode_pcm_size(pcm);

	for (size_t i = 0; i < samples; i++)
		v[i] = read_sample(pcm, p + i * size);
}

static int push_s16le(struct decoder *d, const uint8_t *p, size_t n)
{
	float v[PUSH_FRAMES];
	int err = sink_format(&d->sink, d->raw_rate, 1);

	if (!err && d->has_odd && n) {
		const uint8_t pair[2] = {d->odd, *p};

		d->has_odd = false;
		decode_pcm_read(v, PCM_S16, pair, 1);
		err = sink_push(&d->sink, v, 1);
		++p;
		--n;
	}
	while (!err && n >= 2) {
		size_t k = MIN(n / 2, PUSH_FRAMES);

		decode_pcm_read(v, PCM_S16, p, k);
		err = sink_push(&d->sink, v, k);
		p += 2 * k;
		n -= 2 * k;
	}
	if (!err && n) {
		d->odd = *p;
		d->has_odd = true;
	}

	return err;
}

/* ------------------------------------------------- finding the format */

static bool has(const uint8_t *head, size_t at, const char *word)
{
	return !memcmp(head + at, word, 4);
}

const struct decode_codec *decode_codec_of(const uint8_t *head)
{
	static const char *const filev[] = {"OggS", "fLaC", ".snd", "RF64",
					    "RIFX"};

	if (has(head, 0, "RIFF"))
		return has(head, 8, "WAVE") ? &decode_wav : NULL;
	if (has(head, 0, "FORM"))
		return has(head, 8, "AIFF") || has(head, 8, "AIFC")
			       ? &decode_file
			       : NULL;
	for (size_t i = 0; i < ARRAY_SIZE(filev); i++)
		if (has(head, 0, filev[i]))
			return &decode_file;

	return NULL;
}

size_t decode_id3_bytes(const uint8_t *h)
{
	size_t n = (size_t)h[6] << 21 | (size_t)h[7] << 14 |
		   (size_t)h[8] << 7 | h[9];

	if (memcmp(h, "ID3", 3) || h[3] == 0xff || h[4] == 0xff ||
	    ((h[6] | h[7] | h[8] | h[9]) & 0x80))
		return 0;
	if (h[5] & 0x10) /* a footer */
		n += ID3_HEADER;

	return n + ID3_HEADER;
}

/** Drop bytes of the tag from the head, then from the input */
static void skip_some(struct decoder *d, const uint8_t **p, size_t *n)
{
	size_t k = MIN(d->skip, d->headc);

	memmove(d->head, d->head + k, d->headc - k);
	d->headc -= k;
	d->skip -= k;
	k = MIN(d->skip, *n);
	*p += k;
	*n -= k;
	d->skip -= k;
}

/**
 * Collect the head until it tells the format
 *
 * @return 0: known, or more is needed; EBADMSG: nothing we know
 */
static int find_codec(struct decoder *d, const uint8_t **p, size_t *n,
		      bool last)
{
	int err;

	for (;;) {
		size_t k;

		skip_some(d, p, n);
		k = MIN(*n, DECODE_HEAD_BYTES - d->headc);
		if (k)
			memcpy(d->head + d->headc, *p, k);
		d->headc += k;
		*p += k;
		*n -= k;

		if (d->headc < DECODE_HEAD_BYTES)
			return last && d->headc ? EBADMSG : 0;
		d->skip = decode_id3_bytes(d->head);
		if (!d->skip) /* what follows a tag must be a frame */
			break;
	}

	d->codec = decode_codec_of(d->head);
	if (!d->codec && decode_mp3_is_frame(d->head))
		d->codec = &decode_mp3;
	if (!d->codec)
		return EBADMSG;

	err = d->codec->alloc(&d->state);
	if (!err)
		err = d->codec->push(d->state, &d->sink, d->head, d->headc,
				     false);

	return err;
}

/* -------------------------------------------------------------- decoder */

static void destructor(void *arg)
{
	struct decoder *d = arg;

	mem_deref(d->state);
	mem_deref(d->sink.rs);
}

int decoder_alloc(struct decoder **dp, enum decode_format format,
		  uint32_t rate, uint32_t max_ms)
{
	struct decoder *d;

	if (!dp)
		return EINVAL;
	if (format == DECODE_PCM_S16LE &&
	    (rate < DECODE_RATE_MIN || rate > DECODE_RATE_MAX))
		return EINVAL;

	d = mem_zalloc(sizeof(*d), destructor);
	if (!d)
		return ENOMEM;

	d->format = format;
	d->raw_rate = rate;
	d->sink.max = (uint64_t)max_ms * AUDIO_PER_MS;
	*dp = d;

	return 0;
}

static int push(struct decoder *d, const uint8_t *p, size_t n, bool last)
{
	int err;

	if (d->format == DECODE_ULAW_8000)
		return n ? sink_ulaw(&d->sink, p, n) : 0;
	if (d->format == DECODE_PCM_S16LE)
		return push_s16le(d, p, n);

	if (!d->codec) {
		err = find_codec(d, &p, &n, last);
		if (err || !d->codec)
			return err;
	}

	return d->codec->push(d->state, &d->sink, p, n, last);
}

int decoder_push(struct decoder *d, const uint8_t *p, size_t n, bool last,
		 decode_h *h, void *arg)
{
	int err;

	if (!d || !h || (n && !p))
		return EINVAL;
	if (d->err)
		return d->err;

	d->sink.h = h;
	d->sink.arg = arg;
	err = push(d, p, n, last);
	if (last && (!err || err == EBADMSG)) {
		int e = sink_end(&d->sink); /* damaged: what came before it */

		err = err ? err : e;
	}
	if (!err && last && !d->sink.given)
		err = ENODATA;
	d->err = !err && last ? ENODATA : err;

	return err;
}

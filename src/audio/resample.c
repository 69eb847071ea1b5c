/**
 * @file resample.c  Reply audio of any rate to 8 kHz mono, by libsamplerate
 *
 * SINC_MEDIUM: 35 µs for 20 ms, so off the loop; SINC_FASTEST cuts 9 dB at
 * 3400 Hz. Only 8 → 16 kHz, on the way of every frame, has a filter of its
 * own (halfband.c).
 */
#include <errno.h>
#include <math.h>
#include <samplerate.h>
#include <convod/audio.h>
#include <convod/mem.h>

enum {
	RATE_MIN = 1000,
	RATE_MAX = 192000,
	CHANNELS_MAX = 8,
	BLOCK = 1024, /* samples at once, in and out; bounds the stack */
};

struct resampler {
	SRC_STATE *src; /* NULL where the rate is ours already */
	double ratio;
	uint32_t channels;
	bool ended;
};

static void resampler_destructor(void *arg)
{
	struct resampler *r = arg;

	if (r->src)
		src_delete(r->src);
}

int resampler_alloc(struct resampler **rp, uint32_t rate, uint32_t channels)
{
	struct resampler *r;
	int srcerr = 0;

	if (!rp || rate < RATE_MIN || rate > RATE_MAX || !channels ||
	    channels > CHANNELS_MAX)
		return EINVAL;

	r = mem_zalloc(sizeof(*r), resampler_destructor);
	if (!r)
		return ENOMEM;

	r->channels = channels;
	r->ratio = (double)AUDIO_RATE / rate;
	if (rate != AUDIO_RATE) {
		r->src = src_new(SRC_SINC_MEDIUM_QUALITY, 1, &srcerr);
		if (!r->src) {
			mem_deref(r);
			return ENOMEM;
		}
	}
	*rp = r;

	return 0;
}

/* Files may hold any float: one that is not a number would stay in the filter
 * for good, and one that is too large would deafen the caller */
static float sane(float x)
{
	return isnan(x) ? 0 : fminf(fmaxf(x, -1), 1);
}

static void mix(float *monov, const float *v, size_t frames, uint32_t channels)
{
	for (size_t i = 0; i < frames; i++) {
		float sum = 0;

		for (uint32_t c = 0; c < channels; c++)
			sum += sane(*v++);
		monov[i] = sum / (float)channels;
	}
}

static void deliver(const float *v, size_t n, resampler_h *h, void *arg)
{
	int16_t pcmv[BLOCK];

	if (!n)
		return;

	src_float_to_short_array(v, pcmv, (int)n); /* rounds and clips */
	h(pcmv, n, arg);
}

static int process(struct resampler *r, const float *v, size_t n, bool last,
		   resampler_h *h, void *arg)
{
	float outv[BLOCK];
	SRC_DATA d = {
		.data_in = v,
		.input_frames = (long)n,
		.data_out = outv,
		.output_frames = BLOCK,
		.end_of_input = last,
		.src_ratio = r->ratio,
	};

	do {
		if (src_process(r->src, &d))
			return EINVAL;

		/* Not beyond the end: libsamplerate (0.2.2) refuses an input
		 * that starts within the output, even one of no samples */
		d.input_frames -= d.input_frames_used;
		if (d.input_frames)
			d.data_in += d.input_frames_used;
		deliver(outv, (size_t)d.output_frames_gen, h, arg);
	} while (d.input_frames || (last && d.output_frames_gen));

	return 0;
}

int resampler_push(struct resampler *r, const float *v, size_t frames,
		   bool last, resampler_h *h, void *arg)
{
	float monov[BLOCK];
	int err = 0;

	if (!r || (!v && frames) || !h)
		return EINVAL;
	if (r->ended)
		return EPROTO;

	mem_ref(r); /* the handler may drop the last reference */
	r->ended = last;
	do {
		size_t n = MIN(frames, (size_t)BLOCK);

		mix(monov, v, n, r->channels);
		if (n)
			v += n * r->channels;
		frames -= n;
		if (r->src)
			err = process(r, monov, n, last && !frames, h, arg);
		else
			deliver(monov, n, h, arg);
	} while (frames && !err);
	mem_deref(r);

	return err;
}

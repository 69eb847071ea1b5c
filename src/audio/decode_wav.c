/**
 * @file decode_wav.c  WAV as it arrives
 *
 * Streams declare lengths that they do not know yet: 0, 0xFFFFFFFF,
 * 0x7FFFFFFF and near it. All of these mean "until the end". A length that
 * can be true is believed: what lies behind it (tags) is not played, and with
 * less the file was cut.
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "decode_priv.h"

enum {
	RIFF_BYTES = 12,
	CHUNK_BYTES = 8,
	FMT_MIN_BYTES = 16,
	FMT_MAX_BYTES = 40, /* of WAVE_FORMAT_EXTENSIBLE */
	FRAME_MAX_BYTES = DECODE_CHANNELS_MAX * 8,
	BLOCK_FRAMES = 256,

	TAG_PCM = 1,
	TAG_FLOAT = 3,
	TAG_ALAW = 6,
	TAG_ULAW = 7,
	TAG_EXTENSIBLE = 0xfffe,
};

/* Into a pipe sox writes 0x7ffff000 and a little more, GStreamer 0x7fff0000.
 * Nothing that is spoken comes near. */
static const uint32_t LENGTH_UNKNOWN = 0x40000000;

enum state { WAV_RIFF, WAV_CHUNK, WAV_FMT, WAV_SKIP, WAV_DATA, WAV_END };

struct wav {
	enum state state;
	uint8_t buf[FRAME_MAX_BYTES]; /* header or frame not yet complete */
	size_t bufc;
	uint64_t left; /* bytes of the chunk, UINT64_MAX: until the end */
	uint64_t skip;

	bool has_fmt;
	enum decode_pcm pcm;
	uint32_t rate;
	uint32_t channels;
	size_t frame; /* bytes */
};

static uint32_t le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t le32(const uint8_t *p)
{
	return le16(p) | le16(p + 2) << 16;
}

static int find_pcm(enum decode_pcm *pcm, uint32_t tag, uint32_t bits)
{
	static const struct {
		uint32_t tag, bits;
		enum decode_pcm pcm;
	} table[] = {
		{TAG_PCM, 8, PCM_U8},     {TAG_PCM, 16, PCM_S16},
		{TAG_PCM, 24, PCM_S24},   {TAG_PCM, 32, PCM_S32},
		{TAG_FLOAT, 32, PCM_F32}, {TAG_FLOAT, 64, PCM_F64},
		{TAG_ULAW, 8, PCM_ULAW},  {TAG_ALAW, 8, PCM_ALAW},
	};

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (table[i].tag == tag && table[i].bits == bits) {
			*pcm = table[i].pcm;
			return 0;
		}

	return EBADMSG;
}

static int parse_fmt(struct wav *w, const uint8_t *p, size_t n)
{
	uint32_t tag = le16(p);
	int err;

	/* the real tag begins the GUID of the sub-format */
	if (tag == TAG_EXTENSIBLE && n >= 26)
		tag = le16(p + 24);

	err = find_pcm(&w->pcm, tag, le16(p + 14));
	if (err)
		return err;

	w->channels = le16(p + 2);
	w->rate = le32(p + 4);
	if (!w->channels || w->channels > DECODE_CHANNELS_MAX)
		return EBADMSG;

	w->frame = w->channels * decode_pcm_size(w->pcm);
	w->has_fmt = true;

	return 0;
}

static int begin_data(struct wav *w, struct decode_sink *s, uint32_t size)
{
	if (!w->has_fmt)
		return EBADMSG;

	w->left = !size || size >= LENGTH_UNKNOWN ? UINT64_MAX : size;
	w->state = WAV_DATA;

	return sink_format(s, w->rate, w->channels);
}

static int begin_chunk(struct wav *w, struct decode_sink *s)
{
	uint32_t size = le32(w->buf + 4);

	if (!memcmp(w->buf, "data", 4))
		return begin_data(w, s, size);

	w->skip = (uint64_t)size + (size & 1); /* chunks are padded */
	w->state = WAV_SKIP;
	if (memcmp(w->buf, "fmt ", 4))
		return 0;
	if (size < FMT_MIN_BYTES)
		return EBADMSG;

	w->left = MIN(size, FMT_MAX_BYTES);
	w->skip -= w->left;
	w->state = WAV_FMT;

	return 0;
}

/** Fill buf up to want bytes; true when it is full */
static bool collect(struct wav *w, size_t want, const uint8_t **p, size_t *n)
{
	size_t k = MIN(want - w->bufc, *n);

	if (k)
		memcpy(w->buf + w->bufc, *p, k);
	w->bufc += k;
	*p += k;
	*n -= k;
	if (w->bufc < want)
		return false;

	w->bufc = 0;

	return true;
}

static int push_frames(struct wav *w, struct decode_sink *s, const uint8_t *p,
		       size_t frames)
{
	float v[BLOCK_FRAMES * DECODE_CHANNELS_MAX];

	if (w->pcm == PCM_ULAW && !s->rs)
		return sink_ulaw(s, p, frames);

	while (frames) {
		size_t k = MIN(frames, BLOCK_FRAMES);
		int err;

		decode_pcm_read(v, w->pcm, p, k * w->channels);
		err = sink_push(s, v, k);
		if (err)
			return err;
		p += k * w->frame;
		frames -= k;
	}

	return 0;
}

static int push_data(struct wav *w, struct decode_sink *s, const uint8_t **p,
		     size_t *n)
{
	size_t here = (size_t)MIN(*n, w->left);
	size_t rest = here, frames;
	int err = 0;

	if (w->bufc && collect(w, w->frame, p, &rest))
		err = push_frames(w, s, w->buf, 1);

	frames = rest / w->frame;
	if (!err && frames) {
		err = push_frames(w, s, *p, frames);
		*p += frames * w->frame;
		rest -= frames * w->frame;
	}
	if (rest)
		(void)collect(w, w->frame, p, &rest);

	*n -= here;
	if (w->left != UINT64_MAX)
		w->left -= here;
	if (!w->left)
		w->state = WAV_END;

	return err;
}

static int step(struct wav *w, struct decode_sink *s, const uint8_t **p,
		size_t *n)
{
	size_t k;
	int err = 0;

	switch (w->state) {
	case WAV_RIFF:
		if (collect(w, RIFF_BYTES, p, n))
			w->state = WAV_CHUNK;
		break;
	case WAV_CHUNK:
		if (collect(w, CHUNK_BYTES, p, n))
			err = begin_chunk(w, s);
		break;
	case WAV_FMT:
		k = (size_t)w->left;
		if (collect(w, k, p, n)) {
			w->state = WAV_SKIP;
			err = parse_fmt(w, w->buf, k);
		}
		break;
	case WAV_SKIP:
		k = (size_t)MIN(*n, w->skip);
		*p += k;
		*n -= k;
		w->skip -= k;
		if (!w->skip)
			w->state = WAV_CHUNK;
		break;
	case WAV_DATA:
		err = push_data(w, s, p, n);
		break;
	case WAV_END:
		*p += *n;
		*n = 0;
		break;
	}

	return err;
}

static int wav_alloc(void **statep)
{
	*statep = mem_zalloc(sizeof(struct wav), NULL);

	return *statep ? 0 : ENOMEM;
}

static int wav_push(void *state, struct decode_sink *s, const uint8_t *p,
		    size_t n, bool last)
{
	struct wav *w = state;

	while (n) {
		int err = step(w, s, &p, &n);

		if (err)
			return err;
	}

	/* it ended before any audio was announced, or in its midst */
	return last && (w->state < WAV_DATA ||
			(w->state == WAV_DATA && w->left != UINT64_MAX))
		       ? EBADMSG
		       : 0;
}

const struct decode_codec decode_wav = {wav_alloc, wav_push};

/**
 * @file decode_priv.h  Between decode.c and the decoders of the formats
 */
#ifndef CONVOD_DECODE_PRIV_H
#define CONVOD_DECODE_PRIV_H

#include <convod/audio.h>
#include <convod/decode.h>

enum {
	DECODE_RATE_MIN = 1000, /* Hz; what resampler_alloc() takes */
	DECODE_RATE_MAX = 192000,
	DECODE_CHANNELS_MAX = 8,
};

/** Where samples go: to 8 kHz μ-law, up to a bound, to the user's handler */
struct decode_sink {
	uint32_t rate; /* of what is pushed; 0 before sink_format() */
	uint32_t channels;
	struct resampler *rs; /* NULL if it is 8 kHz mono already */
	uint64_t given;       /* samples that came out */
	uint64_t max;
	bool full; /* more than max came */
	decode_h *h;
	void *arg;
};

/** What the next samples are; it may change later. EBADMSG: out of range */
CV_NODISCARD int sink_format(struct decode_sink *s, uint32_t rate,
			     uint32_t channels);
/** Interleaved, -1..1. EOVERFLOW when max is reached. */
CV_NODISCARD int sink_push(struct decode_sink *s, const float *v,
			   size_t frames);
/** μ-law of 8 kHz mono, as it is */
CV_NODISCARD int sink_ulaw(struct decode_sink *s, const uint8_t *v, size_t n);
/** Nothing more: push the resampler's tail out */
CV_NODISCARD int sink_end(struct decode_sink *s);

/** A format: state and pure functions on it */
struct decode_codec {
	/** @param state Owned by the decoder, released with mem_deref() */
	int (*alloc)(void **statep);
	/** Returns 0 or an error of decoder_push() but ENODATA */
	int (*push)(void *state, struct decode_sink *s, const uint8_t *p,
		    size_t n, bool last);
};

extern const struct decode_codec decode_wav;  /* as it arrives */
extern const struct decode_codec decode_mp3;  /* as it arrives */
extern const struct decode_codec decode_file; /* when complete */

enum { DECODE_HEAD_BYTES = 12 /* "RIFF", size, "WAVE" */ };

/** The format that has such a head, NULL: none that says so there. MP3 has no
 * head but that of its frames, or a tag before them. */
const struct decode_codec *decode_codec_of(const uint8_t *head);

/** Bytes of the ID3v2 tag that this head begins, 0: none */
size_t decode_id3_bytes(const uint8_t *head);

/** Is this a header of an MPEG audio frame with nothing reserved in it? */
bool decode_mp3_is_frame(const uint8_t *p);

/** Bytes of the frame of layer III that this header begins, 0: not one */
size_t decode_mp3_frame_bytes(const uint8_t *p);

/** How a sample is stored */
enum decode_pcm {
	PCM_U8,
	PCM_S16,
	PCM_S24,
	PCM_S32,
	PCM_F32,
	PCM_F64,
	PCM_ULAW,
	PCM_ALAW
};

/** Bytes of a sample */
size_t decode_pcm_size(enum decode_pcm pcm);

/** Little-endian bytes to floats -1..1 */
void decode_pcm_read(float *v, enum decode_pcm pcm, const uint8_t *p,
		     size_t samples);

#endif

/**
 * @file decode_mp3.c  MP3 as it arrives, by libmpg123
 *
 * libmpg123 finds frames in anything, so decode.c lets only those bytes come
 * here that begin with a frame.
 */
#include <errno.h>
#include <mpg123.h>
#include <convod/mem.h>
#include "decode_priv.h"

enum {
	FEED_BYTES = 4096,  /* at once, so that libmpg123 buffers little */
	OUT_SAMPLES = 1152, /* a frame */
};

struct mp3 {
	mpg123_handle *mh;
};

bool decode_mp3_is_frame(const uint8_t *p)
{
	unsigned version = p[1] >> 3 & 3, layer = p[1] >> 1 & 3;
	unsigned bitrate = p[2] >> 4, rate = p[2] >> 2 & 3;

	return p[0] == 0xff && (p[1] & 0xe0) == 0xe0 && version != 1 &&
	       layer != 0 && bitrate != 0 && bitrate != 15 && rate != 3 &&
	       (p[3] & 3) != 2; /* the reserved emphasis */
}

/* ISO 11172-3 and 13818-3, 2.4.2.3 */
size_t decode_mp3_frame_bytes(const uint8_t *p)
{
	static const uint16_t kbitv[2][16] = {
		{0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160},
		{0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256,
		 320},
	};
	static const uint16_t ratev[] = {44100, 48000, 32000};
	bool v1 = (p[1] >> 3 & 3) == 3;
	unsigned shift = v1 ? 0 : (p[1] >> 3 & 3) ? 1 : 2; /* of MPEG 2.5 */

	if (!decode_mp3_is_frame(p) || (p[1] >> 1 & 3) != 1)
		return 0;

	return (v1 ? 144000u : 72000u) * kbitv[v1][p[2] >> 4] /
		       (unsigned)(ratev[p[2] >> 2 & 3] >> shift) +
	       (p[2] >> 1 & 1);
}

static void destructor(void *arg)
{
	struct mp3 *m = arg;

	mpg123_delete(m->mh);
}

static int set_up(mpg123_handle *mh)
{
	const long *ratev;
	size_t ratec;
	int code;

	code = mpg123_param(mh, MPG123_ADD_FLAGS,
			    MPG123_QUIET | MPG123_MONO_MIX | MPG123_SKIP_ID3V2,
			    0.0);
	if (!code)
		code = mpg123_format_none(mh);
	mpg123_rates(&ratev, &ratec);
	for (size_t i = 0; !code && i < ratec; i++)
		code = mpg123_format(mh, ratev[i], MPG123_MONO,
				     MPG123_ENC_FLOAT_32);
	if (!code)
		code = mpg123_open_feed(mh);

	return code ? ENOMEM : 0;
}

static int mp3_alloc(void **statep)
{
	struct mp3 *m = mem_zalloc(sizeof(*m), destructor);
	int err = ENOMEM;

	if (!m)
		return ENOMEM;

	m->mh = mpg123_new(NULL, NULL);
	if (m->mh)
		err = set_up(m->mh);
	if (err)
		mem_deref(m);
	else
		*statep = m;

	return err;
}

static int new_format(struct mp3 *m, struct decode_sink *s)
{
	int channels, encoding;
	long rate;

	if (mpg123_getformat(m->mh, &rate, &channels, &encoding))
		return EBADMSG;
	if (rate <= 0 || channels != 1 || encoding != MPG123_ENC_FLOAT_32)
		return EBADMSG;

	return sink_format(s, (uint32_t)rate, 1);
}

/** Decode all that has been fed */
static int drain(struct mp3 *m, struct decode_sink *s)
{
	float v[OUT_SAMPLES];

	for (;;) {
		size_t n = 0;
		int code = mpg123_read(m->mh, (void *)v, sizeof(v), &n);
		int err = 0;

		if (n && s->rate)
			err = sink_push(s, v, n / sizeof(v[0]));
		if (err)
			return err;

		switch (code) {
		case MPG123_OK:
			break;
		case MPG123_NEW_FORMAT:
			err = new_format(m, s);
			if (err)
				return err;
			break;
		case MPG123_NEED_MORE:
		case MPG123_DONE:
			return 0;
		default:
			return mpg123_errcode(m->mh) == MPG123_OUT_OF_MEM
				       ? ENOMEM
				       : EBADMSG;
		}
	}
}

static int mp3_push(void *state, struct decode_sink *s, const uint8_t *p,
		    size_t n, bool last)
{
	struct mp3 *m = state;

	(void)last;
	while (n) {
		size_t k = MIN(n, FEED_BYTES);
		int err;

		if (mpg123_feed(m->mh, p, k))
			return ENOMEM;
		err = drain(m, s);
		if (err)
			return err;
		p += k;
		n -= k;
	}

	return 0;
}

const struct decode_codec decode_mp3 = {mp3_alloc, mp3_push};

/**
 * @file decode.h  Reply audio of any format to 8 kHz μ-law
 *
 * MP3 is decoded as it arrives (libmpg123), and so are WAV headers followed by
 * PCM, μ-law or A-law, of a length that is not known yet too; Ogg, FLAC and
 * the rest of libsndfile's formats when they are complete. The first bytes
 * decide, not the Content-Type. A WAV that is shorter than it says is damaged,
 * what there is of it comes out. HTML, JSON and anything unknown is EBADMSG
 * before a single sample comes out.
 *
 * A decoder is used by one thread at a time, normally one of the pool.
 */
#ifndef CONVOD_DECODE_H
#define CONVOD_DECODE_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum decode_format {
	DECODE_SNIFF,     /* find out from the first bytes            */
	DECODE_ULAW_8000, /* raw μ-law, no header                     */
	DECODE_PCM_S16LE, /* raw signed 16-bit little-endian, mono    */
};

enum {
	DECODE_FILE_MAX_BYTES = 16
				<< 20, /* of formats decoded when complete */
};

struct decoder;

/**
 * @param rate    Hz of DECODE_PCM_S16LE, else ignored
 * @param max_ms  Longest result; more is EOVERFLOW (what fitted was given)
 */
CV_NODISCARD int decoder_alloc(struct decoder **dp, enum decode_format format,
			       uint32_t rate, uint32_t max_ms);

typedef void(decode_h)(const uint8_t *ulawv, size_t n, void *arg);

/**
 * Feed bytes as they come, cut anywhere
 *
 * @param p    Next bytes, NULL with n 0 at the end
 * @param last Nothing more will come
 *
 * @return 0; EBADMSG not audio, or damaged so that nothing follows; ENODATA at
 *         the end if not a single sample came out; EOVERFLOW; ENOMEM. After an
 *         error the decoder gives nothing more.
 */
CV_NODISCARD int decoder_push(struct decoder *d, const uint8_t *p, size_t n,
			      bool last, decode_h *h, void *arg);

/**
 * What the body of an answer is: what was asked for, unless its first bytes
 * say that it is something else. Where they can be read either way, the
 * Content-Type decides, which is unreliable otherwise. Pure.
 *
 * @param format What was asked for; becomes DECODE_SNIFF if the body has a
 *               header after all. Only written with 0
 * @param type   Content-Type, "" if there is none
 * @param last   There are no more bytes than these
 *
 * @return 0; EAGAIN: ask again with more bytes, DECODE_CONFIRM_MAX_BYTES at
 *         most; EBADMSG: text, such as an error page
 */
CV_NODISCARD int decode_confirm(enum decode_format *format, const char *type,
				const uint8_t *p, size_t n, bool last);

enum {
	/* the longest frame of MPEG layer III and the next one's header */
	DECODE_CONFIRM_MAX_BYTES = 2048,
};

CV_END_DECLS

#endif

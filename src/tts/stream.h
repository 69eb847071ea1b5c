/**
 * @file stream.h  The body of an HTTP answer into a clip, as it arrives
 *
 * What fetched audio and all voices behind HTTP have in common. Bytes that
 * only change their coding become samples at once; the others are queued and
 * decoded on the pool, with back-pressure on the peer.
 *
 * Thread: loop.
 */
#ifndef CONVOD_STREAM_H
#define CONVOD_STREAM_H

#include <convod/decode.h>
#include <convod/http.h>
#include <convod/net.h>
#include <convod/tts.h>

struct stream;

enum {
	STREAM_ERROR_MAX_BYTES = 4096, /* of a body that is no audio */
	STREAM_BODY_MAX_BYTES = 64 << 20,
};

struct stream_param {
	/* What to ask; limits and time-outs in it are not looked at, and
	 * http.allowh and http.addrh get the arg of doneh */
	struct http_param http;
	enum decode_format format; /* that was asked for */
	uint32_t rate;             /* Hz of DECODE_PCM_S16LE */
	/* Until the first sample; then, how far the audio may come behind
	 * real time. A peer that pauses while the caller still listens does
	 * no harm, one that drips keeps him on the line. 0: no limit */
	uint32_t timeout_ms;
	uint32_t max_ms; /* of audio */
};

struct stream_result {
	int status;       /* of the answer, 0: there was none */
	const char *text; /* what it says if it is no audio; ends with a
			       * zero, valid until the handler returns */
	size_t textc;
	uint64_t samples; /* that went to the clip */
};

/** Told once, before the first samples go to the clip; must not drop the
 * stream */
typedef void(stream_first_h)(void *arg);

/**
 * The end, exactly once unless the stream is dropped. The clip is not ended.
 *
 * @param err 0; EBADMSG: not audio; ENODATA: not a single sample; EREMOTEIO:
 *            a status other than 200; ETIMEDOUT; or an error of http_done_h,
 *            decoder_push() or clip_append()
 */
typedef void(stream_done_h)(int err, const struct stream_result *res,
			    void *arg);

/**
 * Start. No handler is called from inside; handlers and watchers of the clip
 * may drop the stream, which cancels the request.
 *
 * @param firsth May be NULL
 */
CV_NODISCARD int stream_alloc(struct stream **sp, const struct net *net,
			      const struct stream_param *prm,
			      struct clip *clip, stream_first_h *firsth,
			      stream_done_h *doneh, void *arg);

#endif

/**
 * @file grpc_frame.h  gRPC's framing and status texts, without I/O
 *
 * Spec: grpc/grpc doc/PROTOCOL-HTTP2.md, doc/http-grpc-status-mapping.md.
 */
#ifndef GRPC_FRAME_H
#define GRPC_FRAME_H

#include <convod/buf.h>

enum { GRPC_HEAD = 5 }; /* compressed flag, length (4, big endian) */

/** A message being put together; zero it first */
struct grpc_frame {
	uint8_t head[GRPC_HEAD];
	size_t headc;
	struct buf msg; /* that came in pieces, else unused */
};

/** A whole message; false: stop, the stream is gone */
typedef bool(grpc_frame_h)(const uint8_t *p, size_t n, void *arg);

/**
 * Feed received bytes, cut anywhere
 *
 * Memory follows what has arrived, never what a length promises.
 *
 * @return 0; EPROTO: flagged as compressed, which was not offered;
 *         EOVERFLOW: longer than GRPC_MESSAGE_MAX; ENOMEM; ECANCELED: the
 *         handler said stop, f must not be touched any more
 */
CV_NODISCARD int grpc_frame_feed(struct grpc_frame *f, const uint8_t *p,
				 size_t n, grpc_frame_h *h, void *arg);

/** Is a message incomplete? */
bool grpc_frame_is_partial(const struct grpc_frame *f);

/** Release its memory */
void grpc_frame_reset(struct grpc_frame *f);

/** Write the five bytes before a message of n bytes */
void grpc_frame_put_head(uint8_t *p, size_t n);

/**
 * Decode grpc-message: bad escapes stay as they are, bad UTF-8 becomes U+FFFD
 *
 * @return bytes written to dst, without the zero
 */
size_t grpc_message_decode(char *dst, size_t size, const char *src, size_t n);

/** Value of grpc-status; UNKNOWN if it is no number of one or two digits */
int grpc_status_parse(const char *s, size_t n);

/** Status of a stream that ended without grpc-status */
int grpc_status_of_http(int http);

/** Status of a stream reset with this HTTP/2 error code */
int grpc_status_of_h2(uint32_t code);

#endif

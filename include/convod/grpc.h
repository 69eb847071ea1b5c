/**
 * @file grpc.h  gRPC client of one worker: HTTP/2 by nghttp2 on the loop
 *
 * A channel is all connections to one server. Streams share connections,
 * GRPC_STREAMS_MAX on each or what the peer allows if less; a further one
 * opens a further connection. Everything that is written in one loop turn
 * leaves in one flush per connection. No idle pings. TLS by OpenSSL: ALPN h2,
 * chain and host name verified. Names are resolved off the loop.
 *
 * Thread: loop.
 * Spec: grpc/grpc doc/PROTOCOL-HTTP2.md, RFC 9113.
 */
#ifndef CONVOD_GRPC_H
#define CONVOD_GRPC_H

#include <convod/loop.h>

CV_BEGIN_DECLS

enum {
	GRPC_STREAMS_MAX = 100,
	GRPC_BACKLOG_MAX = 256 << 10, /* bytes of a stream not yet on the wire:
				       * full is ENOBUFS, the writer keeps its
				       * audio in the ring */
	GRPC_MESSAGE_MAX = 4 << 20,   /* bytes of a received message */
	GRPC_CONNECT_MS = 5000,
};

/** doc/statuscodes.md */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_INVALID_ARGUMENT = 3,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_NOT_FOUND = 5,
	GRPC_ALREADY_EXISTS = 6,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_FAILED_PRECONDITION = 9,
	GRPC_ABORTED = 10,
	GRPC_OUT_OF_RANGE = 11,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_DATA_LOSS = 15,
	GRPC_UNAUTHENTICATED = 16,
};

struct grpc_channel;
struct grpc_stream;

/**
 * @param host Name or address of the server
 * @param tls  Encrypt, and verify the certificate
 * @param ca_file Further trusted certificates (PEM), or NULL
 */
CV_NODISCARD int grpc_channel_alloc(struct grpc_channel **cp, struct loop *l,
				    const char *host, uint16_t port, bool tls,
				    const char *ca_file);

/** A whole message, n may be 0; valid until the handler returns */
typedef void(grpc_message_h)(const uint8_t *p, size_t n, void *arg);

/**
 * The end, exactly once unless the stream is dropped before
 *
 * @param status  One of enum grpc_status; UNAVAILABLE where the connection
 *                died or could not be made
 * @param message Percent-decoded, valid UTF-8, maybe ""
 */
typedef void(grpc_close_h)(int status, const char *message, void *arg);

/**
 * Open a stream. Never blocks, calls no handler from inside; messages may be
 * sent at once. mem_deref() cancels it (RST_STREAM CANCEL), no handler after.
 *
 * @param path     "/package.Service/Method"
 * @param metadata "name: value" strings, NULL-ended, or NULL
 */
CV_NODISCARD int grpc_stream_open(struct grpc_stream **sp,
				  struct grpc_channel *c, const char *path,
				  const char *const *metadata,
				  grpc_message_h *msgh, grpc_close_h *closeh,
				  void *arg);

/**
 * Room for one message of n bytes, to be packed in place
 *
 * @return where to write exactly n bytes before the next call on this stream;
 *         NULL if the backlog is full or memory is short
 */
uint8_t *grpc_stream_message(struct grpc_stream *s, size_t n);

/** Half-close: nothing more will be sent */
void grpc_stream_finish(struct grpc_stream *s);

/** Bytes not yet given to the socket */
size_t grpc_stream_backlog(const struct grpc_stream *s);

/** "UNAVAILABLE"; "?" for a number that is none */
const char *grpc_status_name(int status);

CV_END_DECLS

#endif

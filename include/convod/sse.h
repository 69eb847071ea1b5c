/**
 * @file sse.h  Server-sent events (text/event-stream), parsed as they arrive
 *
 * Bytes in, whole events out, wherever the bytes are cut. Field names are
 * those of the standard; `id` and `retry` are ignored, for no answer of a
 * dialog manager or voice is taken up again where it broke.
 * Spec: WHATWG HTML section 9.2.6 (the event stream's interpretation).
 *
 * Pure: no I/O, no clock. One thread at a time.
 */
#ifndef CONVOD_SSE_H
#define CONVOD_SSE_H

#include <convod/defs.h>

CV_BEGIN_DECLS

struct sse;

enum {
	SSE_EVENT_MAX_BYTES = 256 << 10, /* if the user names no limit */
	SSE_NAME_SIZE = 64,              /* longer event names are cut */
};

/**
 * An event
 *
 * It may drop the parser, or its request; nothing more comes then.
 *
 * @param event Its name, "message" if it has none
 * @param data  Its data lines joined by line feeds. Valid UTF-8 with a zero
 *              behind: what is not UTF-8, and zero bytes, came out as U+FFFD
 * @param n     Bytes of data, may be 0
 */
typedef void(sse_h)(const char *event, const char *data, size_t n, void *arg);

/**
 * Parse a new stream
 *
 * @param max   Bytes of an event's data and the line that is arriving; 0:
 *              SSE_EVENT_MAX_BYTES
 * @param lines Take a line that starts with { as the data of an event by
 *              itself: Rasa calls JSON lines text/event-stream
 */
CV_NODISCARD int sse_alloc(struct sse **sp, size_t max, bool lines,
			   sse_h *eventh, void *arg);

/** Hand over events that have a name and no data as well. The standard drops
 * them, but Voiceflow's manual ends a stream with one. */
void sse_take_bare(struct sse *s);

/**
 * Take a piece of the stream; the handler is called from inside
 *
 * @return 0; EOVERFLOW: larger than max; ENOMEM. After an error the stream is
 *         lost: every further call returns it
 */
CV_NODISCARD int sse_push(struct sse *s, const void *p, size_t n);

/**
 * The stream has ended. An event whose last blank line is missing is handed
 * over from here: the standard drops it, but several servers end like this.
 * It may be cut anywhere, so its data must make sense by itself.
 *
 * @return as sse_push()
 */
CV_NODISCARD int sse_end(struct sse *s);

CV_END_DECLS

#endif

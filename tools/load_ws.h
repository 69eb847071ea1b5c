/**
 * @file load_ws.h  What convo-load reads off the wire: frames and messages
 *
 * Pure, and no more than a load generator needs: it trusts nothing but judges
 * nothing either. Whether a daemon keeps Twilio's rules is for convo-call.
 */
#ifndef CONVO_LOAD_WS_H
#define CONVO_LOAD_WS_H

#include <convod/defs.h>

enum { LOAD_FRAME_MAX = 1 << 20, LOAD_FRAME_HEAD_MAX = 14 };

struct load_frame {
	uint8_t opcode;
	const uint8_t *p; /* payload */
	size_t n;
	size_t size; /* with its head */
};

/**
 * Take a whole frame of a server from the front of a buffer
 *
 * @return 0; EAGAIN: more bytes are needed; EBADMSG: masked or fragmented;
 *         EOVERFLOW: longer than LOAD_FRAME_MAX
 */
CV_NODISCARD int load_frame_parse(struct load_frame *f, const uint8_t *p,
				  size_t n);

/** Print the head of a masked frame of a client; bytes of it */
size_t load_frame_head(uint8_t head[LOAD_FRAME_HEAD_MAX], uint8_t opcode,
		       size_t n, const uint8_t mask[4]);

/** Mask in place; p is the start of the payload */
void load_mask(uint8_t *p, size_t n, const uint8_t mask[4]);

enum load_event { LOAD_OTHER, LOAD_MEDIA, LOAD_MARK, LOAD_CLEAR };

struct load_msg {
	enum load_event event;
	size_t samples;   /* of a media message */
	const char *name; /* of a mark, as it stands in the JSON */
	size_t namec;
};

/** Find out what a message is; anything unknown is LOAD_OTHER */
void load_msg_scan(struct load_msg *m, const char *s, size_t n);

#endif

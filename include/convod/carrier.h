/**
 * @file carrier.h  A carrier's websocket dialect: bytes to events and back
 *
 * Pure functions, no I/O. One constant descriptor for each carrier.
 * Spec: Twilio "Media Streams - WebSocket Messages".
 */
#ifndef CONVOD_CARRIER_H
#define CONVOD_CARRIER_H

#include <jansson.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

enum {
	CARRIER_ID_MAX = 64, /* bytes of a call or stream id + 1      */
	CARRIER_MESSAGE_MAX = 65536, /* bytes of a message                   */
	CARRIER_DEPTH_MAX = 32, /* nesting of a JSON message             */
	CARRIER_MARK_NAME_MAX = 257, /* bytes of a mark's name + 1           */
};

enum carrier_event_type {
	CARRIER_IGNORED, /* valid but nothing to us: unknown event, track  */
	CARRIER_CONNECTED,
	CARRIER_START,
	CARRIER_MEDIA,
	CARRIER_DTMF,
	CARRIER_MARK,
	CARRIER_STOP,
};

/**
 * What a message says. Strings live in the event; nothing to free but
 * start.params. Ids are printable ASCII without quote and backslash.
 */
struct carrier_event {
	enum carrier_event_type type;
	char stream_id[CARRIER_ID_MAX]; /* "" where the message has none */
	uint64_t seq; /* 0 where the message has none, or no number */
	union {
		struct {
			char call_id[CARRIER_ID_MAX];    /* may be "" */
			char account_id[CARRIER_ID_MAX]; /* may be "" */
			char encoding[32]; /* "audio/x-mulaw"               */
			uint32_t srate;    /* Hz, 8000 if not said          */
			uint32_t channels; /* 1 if not said                 */
			json_t *params;    /* customParameters, an object;
					    * values are mostly strings     */
		} start;
		struct {
			uint64_t timestamp_ms; /* of the carrier, 0 if none */
			uint64_t chunk;
			size_t n;  /* bytes in the buffer that was
					      * given to parse()            */
			bool slow; /* jansson had to parse it     */
		} media;
		struct {
			char digit; /* 0-9 * # A-D */
		} dtmf;
		struct {
			char name[CARRIER_MARK_NAME_MAX];
		} mark;
	} u;
};

/** Release what an event holds; safe on a zeroed one */
void carrier_event_reset(struct carrier_event *ev);

struct carrier {
	const char *name; /* "twilio" */

	/**
	 * Parse one text message
	 *
	 * A start may lack any id; media and DTMF of other tracks than the
	 * caller's are CARRIER_IGNORED. Whether a message is in place (order,
	 * stream_id, seq) is the caller's to judge.
	 *
	 * @param ev   Overwritten, u by what type says; release it with
	 *             carrier_event_reset()
	 * @param msg  UTF-8, need not end with a zero
	 * @param buf  Receives the audio of a media message, decoded from
	 *             base64
	 * @param size Bytes of buf, BASE64_DECODED_MAX() of the payload;
	 *             CARRIER_MESSAGE_MAX is always enough
	 *
	 * @return 0; EBADMSG: not JSON, or a known event with wrong fields;
	 *         EOVERFLOW: a field or payload too long; ENOTSUP: start with
	 *         an audio format that this carrier never documented; ENOMEM
	 */
	int (*parse)(struct carrier_event *ev, const char *msg, size_t len,
		     uint8_t *buf, size_t size);

	/**
	 * Print a message that sends audio, a mark or a clear
	 *
	 * stream_id is one that came in an event; a mark's name is UTF-8,
	 * shorter than CARRIER_MARK_NAME_MAX.
	 *
	 * @param buf At least CARRIER_MEDIA_SIZE(n), or CARRIER_CONTROL_SIZE
	 *
	 * @return bytes, without a zero at the end
	 */
	size_t (*print_media)(char *buf, const char *stream_id,
			      const uint8_t *ulawv, size_t n);
	size_t (*print_mark)(char *buf, const char *stream_id,
			     const char *name);
	size_t (*print_clear)(char *buf, const char *stream_id);
};

#define CARRIER_MEDIA_SIZE(n) (((n) + 2) / 3 * 4 + CARRIER_ID_MAX + 96)
enum { CARRIER_CONTROL_SIZE = 2048 };

extern const struct carrier carrier_twilio;

/**
 * Check a Twilio signature of a websocket upgrade
 *
 * The signed string is the `wss://` URL of the <Stream>; candidates, the first
 * match wins: port (none, 443, that of base), a slash at the end of the path
 * added or removed, the query as written or as sorted parameters.
 *
 * @param token     The account's auth token
 * @param base      "wss://host[:port][/prefix]"; other schemes are rewritten
 * @param target    Raw request target, with query if any
 * @param signature Value of X-Twilio-Signature, or NULL
 *
 * @return true if it is genuine; compared in constant time
 */
bool twilio_signature_ok(const char *token, const char *base,
			 const char *target, const char *signature);

/**
 * Check a Twilio signature of a webhook: a form POST, or with an empty body a
 * GET
 *
 * @param url  As configured at Twilio: scheme, host, path and query. User and
 *             password, and over https the port, do not count.
 * @param body application/x-www-form-urlencoded, as received
 */
bool twilio_form_signature_ok(const char *token, const char *url,
			      const char *body, size_t len,
			      const char *signature);

/**
 * Check a Twilio signature of a webhook with a JSON body, whose SHA-256 is in
 * the URL (bodySHA256)
 *
 * @param url  As received, from the configured public base
 * @param body Raw, as received
 */
bool twilio_json_signature_ok(const char *token, const char *url,
			      const char *body, size_t len,
			      const char *signature);

CV_END_DECLS

#endif

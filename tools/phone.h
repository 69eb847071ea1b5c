/**
 * @file phone.h  Twilio's side of a media stream, as a model without sockets
 *
 * Sends what Twilio sends, plays what the daemon sends in real time, returns
 * marks when the audio before them has finished playing, and judges every
 * message of the daemon by Twilio's rules. A message that breaks one is
 * reported and ignored, as Twilio does. Time moves by phone_tick(), 20 ms a
 * call.
 *
 * Spec: Twilio "Media Streams - WebSocket Messages".
 */
#ifndef CONVO_PHONE_H
#define CONVO_PHONE_H

#include <jansson.h>
#include <convod/audio.h>

enum {
	PHONE_BUFFER_MAX_S = 600, /* Twilio's; more is dropped, 31931      */
	PHONE_MARKS_MAX = 10000,  /* ours: waiting at once; more, likewise */
	PHONE_ID_MAX = 64,
	PHONE_SIGNATURE_SIZE = 32,
};

/* What a daemon can do wrong */
/* clang-format off */
#define PHONE_RULES(X) \
	X(EARLY, "early", "message before start") \
	X(BINARY, "binary", "binary message (Twilio warning 31950)") \
	X(JSON, "json", "not a JSON object (31951)") \
	X(EVENT, "event", "unknown event (31951)") \
	X(MISSING, "missing", "field missing (31951)") \
	X(EXTRA, "extra", "field that Twilio does not know (31951)") \
	X(TYPE, "type", "field of the wrong type (31951)") \
	X(STREAM, "stream", "foreign streamSid (31951)") \
	X(BASE64, "base64", "payload is not base64 (31951)") \
	X(FULL, "full", "more than 10 minutes buffered (31931)") \
	X(CLOSE, "close", "closed without a close frame or a code")
/* clang-format on */

#define PHONE_ENUM(id, name, help) PHONE_##id,
enum phone_rule { PHONE_RULES(PHONE_ENUM) PHONE_RULE_COUNT };
#undef PHONE_ENUM

const char *phone_rule_name(enum phone_rule rule);
const char *phone_rule_help(enum phone_rule rule);

struct phone;

struct phone_ops {
	/** Send a text message to the daemon */
	void (*send)(const char *msg, size_t len, void *arg);
	/** A mark went back: played, or returned by a clear */
	void (*mark)(const char *name, bool played, void *arg);
	/** The daemon cleared the buffer */
	void (*clear)(uint32_t dropped_ms, void *arg);
	/** The daemon broke a rule */
	void (*fault)(enum phone_rule rule, const char *detail, void *arg);
};

struct phone_param {
	char stream_sid[PHONE_ID_MAX];
	char call_sid[PHONE_ID_MAX];
	char account_sid[PHONE_ID_MAX];
	json_t *params;    /* customParameters, strings; borrowed, or NULL */
	uint32_t first_ms; /* timestamp of the first frame; not 0 */
};

CV_NODISCARD int phone_alloc(struct phone **pp, const struct phone_param *prm,
			     const struct phone_ops *ops, void *arg);

/** Send `connected`; then `start` */
void phone_connected(struct phone *p);
void phone_start(struct phone *p);

/** A message of the daemon */
void phone_receive(struct phone *p, bool binary, const char *msg, size_t len);

/** The daemon closed the websocket; WSC_CODE_NONE and _ABNORMAL are faults */
void phone_closed(struct phone *p, int code);

/**
 * 20 ms pass: marks that are due go back, the caller's frame goes out, the
 * next frame of the bot is heard
 *
 * @param now_ms  For the timestamp; any clock that counts milliseconds
 * @param callerv FRAME_SAMPLES of μ-law
 * @param botv    FRAME_SAMPLES of μ-law, silence where nothing is buffered
 */
void phone_tick(struct phone *p, uint64_t now_ms, const uint8_t *callerv,
		uint8_t *botv);

/** The caller presses a key */
void phone_press(struct phone *p, char digit);

/** The call is over: send `stop`; what comes after is ignored */
void phone_stop(struct phone *p);

/** Audio that waits to be heard [ms] */
uint32_t phone_buffered_ms(const struct phone *p);

/** Is audio or a mark waiting? */
bool phone_is_busy(const struct phone *p);

struct phone_stats {
	uint64_t sent;     /* messages to the daemon         */
	uint64_t frames;   /* media among them               */
	uint64_t received; /* messages of the daemon         */
	uint64_t media_ms; /* audio in them                  */
	uint64_t marks, clears;
	uint64_t faultv[PHONE_RULE_COUNT];
};

const struct phone_stats *phone_stats(const struct phone *p);
uint64_t phone_faults(const struct phone *p);

/** X-Twilio-Signature of a websocket URL: HMAC-SHA1, base64 */
void phone_sign(char dst[PHONE_SIGNATURE_SIZE], const char *token,
		const char *url);

#endif

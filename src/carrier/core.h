/**
 * @file core.h  What the carriers' dialects share; private to this folder
 */
#ifndef CONVOD_CARRIER_CORE_H
#define CONVOD_CARRIER_CORE_H

#include <convod/carrier.h>

/**
 * Parse a message into a JSON object
 *
 * Length and depth are checked before jansson sees it (jansson recurses).
 *
 * @param jp Set to an object; json_decref() it
 *
 * @return 0; EOVERFLOW: longer than CARRIER_MESSAGE_MAX; EBADMSG: not JSON,
 *         too deep, or not an object; ENOMEM
 */
CV_NODISCARD int carrier_json_load(json_t **jp, const char *msg, size_t len);

/** A counter, sent as number or as string; 0 for anything else */
uint64_t carrier_json_u64(const json_t *j);

/**
 * Copy an id: printable ASCII without quote and backslash, so that it can be
 * printed into JSON and logs as it is. Nothing or null is "".
 *
 * @return 0; EBADMSG; EOVERFLOW: longer than size - 1
 */
CV_NODISCARD int carrier_json_id(char *dst, size_t size, const json_t *j);

/* ------------------------------------------------------------- scan.c */

/** What the scanner found; pointers into the message */
struct media_scan {
	const char *stream_id;
	size_t stream_idc;
	const char *track;
	size_t trackc; /* 0: none */
	const char *payload;
	size_t payloadc;
	uint64_t seq;
	uint64_t chunk;
	uint64_t timestamp_ms;
};

/**
 * Scan a media message without a DOM and without allocation
 *
 * Takes the keys that Twilio documents, in any order, with any blanks, each
 * at most once, and values without escapes. Whatever else there is, valid or
 * not, is left to jansson. The payload's characters are not looked at: what
 * base64_decode() refuses is for jansson as well.
 *
 * @return true if it is a media message and all of it was understood
 */
bool media_scan(struct media_scan *m, const char *msg, size_t len);

/* ----------------------------------------------------------- twilio.c */

/** The whole dialect by jansson alone; for the tests, which compare */
CV_NODISCARD int twilio_parse_json(struct carrier_event *ev, const char *msg,
				   size_t len, uint8_t *buf, size_t size);

#endif

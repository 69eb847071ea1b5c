/**
 * @file twilio.c  Twilio Media Streams: messages to events, and back
 *
 * Spec: Twilio "Media Streams - WebSocket Messages". Counters come as strings
 * and may come as numbers; keys come in any order; unknown events and fields
 * are ignored. Of equal keys the last one counts, as everywhere in JSON.
 *
 * Decided here, since Twilio does not say: a counter that is no number counts
 * as missing, because nothing hangs on it; a mark's name must be a string,
 * because names come back as we sent them; a DTMF digit may be a number.
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/str.h>
#include "core.h"

static const char ENCODING[] = "audio/x-mulaw";

/* ------------------------------------------------- messages from Twilio */

/* A number of mediaFormat, which may be a string; def if it is not there */
static uint32_t format_number(const json_t *format, const char *key,
			      uint32_t def)
{
	const json_t *j = json_object_get(format, key);

	return j ? (uint32_t)MIN(carrier_json_u64(j), UINT32_MAX) : def;
}

static int parse_format(struct carrier_event *ev, const json_t *format)
{
	const json_t *encoding = json_object_get(format, "encoding");
	const char *name = ENCODING;

	if (encoding) {
		name = json_string_value(encoding);
		if (!name)
			return EBADMSG;
		if (strlen(name) >= sizeof(ev->u.start.encoding))
			return ENOTSUP;
	}
	str_copy(ev->u.start.encoding, sizeof(ev->u.start.encoding), name);
	ev->u.start.srate = format_number(format, "sampleRate", AUDIO_RATE);
	ev->u.start.channels = format_number(format, "channels", 1);

	if (strcmp(name, ENCODING) || ev->u.start.srate != AUDIO_RATE ||
	    ev->u.start.channels != 1)
		return ENOTSUP;

	return 0;
}

static int parse_start(struct carrier_event *ev, const json_t *j)
{
	json_t *start = json_object_get(j, "start");
	json_t *params = json_object_get(start, "customParameters");
	int err;

	if (!json_is_object(start))
		return EBADMSG;

	err = carrier_json_id(ev->u.start.call_id, CARRIER_ID_MAX,
			      json_object_get(start, "callSid"));
	if (!err)
		err = carrier_json_id(ev->u.start.account_id, CARRIER_ID_MAX,
				      json_object_get(start, "accountSid"));
	if (!err && !ev->stream_id[0])
		err = carrier_json_id(ev->stream_id, CARRIER_ID_MAX,
				      json_object_get(start, "streamSid"));
	if (!err)
		err = parse_format(ev, json_object_get(start, "mediaFormat"));
	if (err)
		return err;

	if (params && !json_is_null(params) && !json_is_object(params))
		return EBADMSG;
	params = json_is_object(params) ? json_incref(params) : json_object();
	if (!params)
		return ENOMEM;

	ev->u.start.params = params;
	ev->type = CARRIER_START;

	return 0;
}

/* Fill in what the scanner or jansson found */
static int set_media(struct carrier_event *ev, const struct media_scan *m,
		     bool slow, uint8_t *buf, size_t size)
{
	size_t n;
	int err;

	if (BASE64_DECODED_MAX(m->payloadc) > size)
		return EOVERFLOW;

	err = base64_decode(buf, &n, m->payload, m->payloadc);
	if (err)
		return err;

	ev->type = CARRIER_MEDIA;
	ev->u.media.timestamp_ms = m->timestamp_ms;
	ev->u.media.chunk = m->chunk;
	ev->u.media.n = n;
	ev->u.media.slow = slow;

	/* What we play to the caller comes back when both tracks were asked
	 * for; a recogniser must not hear it */
	if (m->trackc && (m->trackc != 7 || memcmp(m->track, "inbound", 7)))
		ev->type = CARRIER_IGNORED;

	return 0;
}

static int parse_media(struct carrier_event *ev, const json_t *j, uint8_t *buf,
		       size_t size)
{
	const json_t *media = json_object_get(j, "media");
	const json_t *payload = json_object_get(media, "payload");
	const json_t *track = json_object_get(media, "track");
	struct media_scan m = {0};

	if (!json_is_string(payload) || (track && !json_is_string(track)))
		return EBADMSG;

	if (track) {
		m.track = json_string_value(track);
		m.trackc = json_string_length(track);
	}
	m.payload = json_string_value(payload);
	m.payloadc = json_string_length(payload);
	m.chunk = carrier_json_u64(json_object_get(media, "chunk"));
	m.timestamp_ms = carrier_json_u64(json_object_get(media, "timestamp"));

	return set_media(ev, &m, true, buf, size);
}

static int parse_dtmf(struct carrier_event *ev, const json_t *j)
{
	const json_t *dtmf = json_object_get(j, "dtmf");
	const json_t *digit = json_object_get(dtmf, "digit");
	const char *track = json_string_value(json_object_get(dtmf, "track"));
	char c;

	if (json_is_integer(digit)) {
		json_int_t v = json_integer_value(digit);

		if (v < 0 || v > 9)
			return EBADMSG;
		c = (char)('0' + v);
	} else if (json_is_string(digit) && json_string_length(digit) == 1) {
		c = json_string_value(digit)[0];
	} else {
		return EBADMSG;
	}
	if (!strchr("0123456789*#ABCD", c))
		return EBADMSG;

	ev->u.dtmf.digit = c;
	/* "inbound_track" as documented, "inbound" as in media */
	ev->type = track && !str_starts(track, "inbound") ? CARRIER_IGNORED
							  : CARRIER_DTMF;

	return 0;
}

static int parse_mark(struct carrier_event *ev, const json_t *j)
{
	const json_t *name = json_object_get(json_object_get(j, "mark"),
					     "name");

	if (!json_is_string(name))
		return EBADMSG;
	if (json_string_length(name) >= sizeof(ev->u.mark.name))
		return EOVERFLOW;

	str_copy(ev->u.mark.name, sizeof(ev->u.mark.name),
		 json_string_value(name));
	ev->type = CARRIER_MARK;

	return 0;
}

static int parse_object(struct carrier_event *ev, const json_t *j,
			uint8_t *buf, size_t size)
{
	const char *event = json_string_value(json_object_get(j, "event"));
	int err;

	if (!event)
		return EBADMSG;

	err = carrier_json_id(ev->stream_id, CARRIER_ID_MAX,
			      json_object_get(j, "streamSid"));
	if (err)
		return err;

	ev->seq = carrier_json_u64(json_object_get(j, "sequenceNumber"));

	if (!strcmp(event, "media"))
		return parse_media(ev, j, buf, size);
	if (!strcmp(event, "start"))
		return parse_start(ev, j);
	if (!strcmp(event, "dtmf"))
		return parse_dtmf(ev, j);
	if (!strcmp(event, "mark"))
		return parse_mark(ev, j);

	if (!strcmp(event, "connected"))
		ev->type = CARRIER_CONNECTED;
	else if (!strcmp(event, "stop"))
		ev->type = CARRIER_STOP;

	return 0;
}

int twilio_parse_json(struct carrier_event *ev, const char *msg, size_t len,
		      uint8_t *buf, size_t size)
{
	json_t *j;
	int err;

	memset(ev, 0, sizeof(*ev));
	err = carrier_json_load(&j, msg, len);
	if (err)
		return err;

	err = parse_object(ev, j, buf, size);
	json_decref(j);

	return err;
}

static int twilio_parse(struct carrier_event *ev, const char *msg, size_t len,
			uint8_t *buf, size_t size)
{
	struct media_scan m;

	if (!media_scan(&m, msg, len) || set_media(ev, &m, false, buf, size))
		return twilio_parse_json(ev, msg, len, buf, size);

	memcpy(ev->stream_id, m.stream_id, m.stream_idc);
	ev->stream_id[m.stream_idc] = '\0';
	ev->seq = m.seq;

	return 0;
}

/* --------------------------------------------------- messages to Twilio */

/* Twilio takes no field more and none less, see error 31951 */

static inline char *put(char *p, const char *s, size_t n)
{
	memcpy(p, s, n);

	return p + n;
}

#define PUT(p, literal) put(p, literal, sizeof(literal) - 1)

static char *put_stream_id(char *p, const char *stream_id)
{
	return put(p, stream_id, strnlen(stream_id, CARRIER_ID_MAX - 1));
}

static size_t twilio_print_media(char *buf, const char *stream_id,
				 const uint8_t *ulawv, size_t n)
{
	char *p = buf;

	p = PUT(p, "{\"event\":\"media\",\"streamSid\":\"");
	p = put_stream_id(p, stream_id);
	p = PUT(p, "\",\"media\":{\"payload\":\"");
	p += base64_encode(p, ulawv, n);
	p = PUT(p, "\"}}");

	return (size_t)(p - buf);
}

/* RFC 8259 section 7; other than ASCII goes out as the UTF-8 it is */
static char *put_escaped(char *p, const char *s, size_t n)
{
	static const char hex[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		uint8_t c = (uint8_t)s[i];

		if (c < ' ') {
			p = PUT(p, "\\u00");
			*p++ = hex[c >> 4];
			*p++ = hex[c & 15];
			continue;
		}
		if (c == '"' || c == '\\')
			*p++ = '\\';
		*p++ = s[i];
	}

	return p;
}

static size_t twilio_print_mark(char *buf, const char *stream_id,
				const char *name)
{
	char *p = buf;

	p = PUT(p, "{\"event\":\"mark\",\"streamSid\":\"");
	p = put_stream_id(p, stream_id);
	p = PUT(p, "\",\"mark\":{\"name\":\"");
	p = put_escaped(p, name, strnlen(name, CARRIER_MARK_NAME_MAX - 1));
	p = PUT(p, "\"}}");

	return (size_t)(p - buf);
}

static size_t twilio_print_clear(char *buf, const char *stream_id)
{
	char *p = buf;

	p = PUT(p, "{\"event\":\"clear\",\"streamSid\":\"");
	p = put_stream_id(p, stream_id);
	p = PUT(p, "\"}");

	return (size_t)(p - buf);
}

const struct carrier carrier_twilio = {
	.name = "twilio",
	.parse = twilio_parse,
	.print_media = twilio_print_media,
	.print_mark = twilio_print_mark,
	.print_clear = twilio_print_clear,
};

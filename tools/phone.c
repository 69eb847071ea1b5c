/**
 * @file phone.c  Twilio's side of a media stream, as a model without sockets
 *
 * The play buffer counts in samples since start: done <= taken <= end. A frame
 * is taken when it begins to sound and done one tick later, which is when the
 * marks behind it are due.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <openssl/hmac.h>
#include <convod/list.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "phone.h"

enum {
	BUFFER_MAX = PHONE_BUFFER_MAX_S * AUDIO_RATE,
};

enum phone_state { IDLE, CONNECTED, STARTED, STOPPED };

struct mark {
	struct le le;
	uint64_t pos; /* due when done has reached it */
	char name[];
};

struct phone {
	struct phone_param prm;
	json_t *params;
	const struct phone_ops *ops;
	void *arg;
	enum phone_state state;

	uint64_t seq, chunk;
	uint64_t start_ms; /* of the first tick */

	uint8_t *bufv; /* holds taken..end from offset on */
	size_t offset, bufc, size;
	uint64_t done, taken, end;
	struct list markl;
	size_t markc;

	struct phone_stats stats;
};

static const char *const rule_namev[] = {
#define PHONE_NAME(id, name, help) name,
	PHONE_RULES(PHONE_NAME)
#undef PHONE_NAME
};

static const char *const rule_helpv[] = {
#define PHONE_HELP(id, name, help) help,
	PHONE_RULES(PHONE_HELP)
#undef PHONE_HELP
};

const char *phone_rule_name(enum phone_rule rule)
{
	return rule_namev[rule];
}

const char *phone_rule_help(enum phone_rule rule)
{
	return rule_helpv[rule];
}

static void destructor(void *arg)
{
	struct phone *p = arg;

	list_flush(&p->markl);
	mem_raw_free(p->bufv);
	json_decref(p->params);
}

int phone_alloc(struct phone **pp, const struct phone_param *prm,
		const struct phone_ops *ops, void *arg)
{
	struct phone *p;

	if (!pp || !prm || !ops)
		return EINVAL;

	p = mem_zalloc(sizeof(*p), destructor);
	if (!p)
		return ENOMEM;

	p->prm = *prm;
	p->params = json_incref(prm->params);
	p->prm.params = NULL;
	p->ops = ops;
	p->arg = arg;
	*pp = p;

	return 0;
}

/* -------------------------------------------------------------- sending */

static void send_text(struct phone *p, const char *msg, size_t len)
{
	++p->stats.sent;
	p->ops->send(msg, len, p->arg);
}

/* Takes the reference; for everything but media, which is 50 a second */
static void send_json(struct phone *p, json_t *msg)
{
	char *s = json_dumps(msg, JSON_COMPACT);
	void (*json_free)(void *);

	json_decref(msg);
	if (!s)
		return;

	send_text(p, s, strlen(s));
	json_get_alloc_funcs(NULL, &json_free);
	json_free(s);
}

/* The next sequenceNumber; counters are strings */
static const char *next_seq(struct phone *p, char buf[24])
{
	(void)snprintf(buf, 24, "%" PRIu64, ++p->seq);

	return buf;
}

void phone_connected(struct phone *p)
{
	p->state = CONNECTED;
	send_json(p, json_pack("{s:s, s:s, s:s}", "event", "connected",
			       "protocol", "Call", "version", "1.0.0"));
}

void phone_start(struct phone *p)
{
	json_t *params = p->params ? json_incref(p->params) : json_object();
	char seq[24];

	p->state = STARTED;
	send_json(p, json_pack("{s:s, s:s, s:{s:s, s:s, s:s, s:[s],"
			       " s:{s:s, s:i, s:i}, s:o}, s:s}",
			       "event", "start", "sequenceNumber",
			       next_seq(p, seq), "start", "accountSid",
			       p->prm.account_sid, "streamSid",
			       p->prm.stream_sid, "callSid", p->prm.call_sid,
			       "tracks", "inbound", "mediaFormat", "encoding",
			       "audio/x-mulaw", "sampleRate", AUDIO_RATE,
			       "channels", 1, "customParameters", params,
			       "streamSid", p->prm.stream_sid));
}

static void send_media(struct phone *p, uint64_t now_ms,
		       const uint8_t *callerv)
{
	char payload[BASE64_LEN(FRAME_SAMPLES) + 1];
	char msg[sizeof(payload) + PHONE_ID_MAX + 256];
	int n;

	if (!p->chunk)
		p->start_ms = now_ms;
	payload[base64_encode(payload, callerv, FRAME_SAMPLES)] = '\0';
	n = snprintf(msg, sizeof(msg),
		     "{\"event\":\"media\",\"sequenceNumber\":\"%" PRIu64
		     "\",\"media\":{\"track\":\"inbound\",\"chunk\":\"%" PRIu64
		     "\",\"timestamp\":\"%" PRIu64
		     "\",\"payload\":\"%s\"},\"streamSid\":\"%s\"}",
		     ++p->seq, ++p->chunk,
		     p->prm.first_ms + now_ms - p->start_ms, payload,
		     p->prm.stream_sid);
	++p->stats.frames;
	send_text(p, msg, (size_t)n);
}

void phone_press(struct phone *p, char digit)
{
	char s[2] = {digit, '\0'}, seq[24];

	if (p->state != STARTED)
		return;

	send_json(p, json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "event",
			       "dtmf", "streamSid", p->prm.stream_sid,
			       "sequenceNumber", next_seq(p, seq), "dtmf",
			       "track", "inbound_track", "digit", s));
}

void phone_stop(struct phone *p)
{
	char seq[24];

	if (p->state != STARTED)
		return;

	p->state = STOPPED;
	send_json(p,
		  json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "event", "stop",
			    "sequenceNumber", next_seq(p, seq), "streamSid",
			    p->prm.stream_sid, "stop", "accountSid",
			    p->prm.account_sid, "callSid", p->prm.call_sid));
}

/* ---------------------------------------------------------------- marks */

static void return_mark(struct phone *p, struct mark *m, bool played)
{
	char seq[24];

	list_unlink(&m->le);
	--p->markc;
	send_json(p, json_pack("{s:s, s:s, s:s, s:{s:s}}", "event", "mark",
			       "sequenceNumber", next_seq(p, seq), "streamSid",
			       p->prm.stream_sid, "mark", "name", m->name));
	if (p->ops->mark)
		p->ops->mark(m->name, played, p->arg);
	mem_deref(m);
}

static void return_due_marks(struct phone *p)
{
	struct mark *m;

	while ((m = list_ledata(p->markl.head)) && m->pos <= p->done)
		return_mark(p, m, true);
}

static void fault(struct phone *p, enum phone_rule rule, const char *detail)
{
	++p->stats.faultv[rule];
	if (p->ops->fault)
		p->ops->fault(rule, detail, p->arg);
}

/* ------------------------------------------------------------ receiving */

static bool reserve(struct phone *p, size_t n)
{
	size_t size = MAX(p->size, 8192);
	uint8_t *v;

	if (p->offset) {
		memmove(p->bufv, p->bufv + p->offset, p->bufc);
		p->offset = 0;
	}
	if (p->bufc + n <= p->size)
		return true;

	while (size < p->bufc + n)
		size *= 2;
	v = mem_raw_realloc(p->bufv, size);
	if (!v)
		return false;

	p->bufv = v;
	p->size = size;
	return true;
}

static void receive_media(struct phone *p, const json_t *media)
{
	const json_t *payload = json_object_get(media, "payload");
	const char *s = json_string_value(payload);
	size_t len = json_string_length(payload), n = len / 4 * 3;

	if (len && s[len - 1] == '=')
		n -= len > 1 && s[len - 2] == '=' ? 2 : 1;
	if (n > BUFFER_MAX - p->bufc) {
		fault(p, PHONE_FULL, "audio dropped");
		return;
	}
	if (!reserve(p, len / 4 * 3 + 3)) {
		fault(p, PHONE_FULL, "out of memory");
		return;
	}
	if (len % 4 || base64_decode(p->bufv + p->bufc, &n, s, len)) {
		fault(p, PHONE_BASE64, s);
		return;
	}

	p->bufc += n;
	p->end += n;
	p->stats.media_ms = p->end / AUDIO_PER_MS;
}

static void receive_mark(struct phone *p, const json_t *mark)
{
	const json_t *name = json_object_get(mark, "name");
	size_t len = json_string_length(name);
	struct mark *m;

	if (p->markc >= PHONE_MARKS_MAX ||
	    !(m = mem_zalloc(sizeof(*m) + len + 1, NULL))) {
		fault(p, PHONE_FULL, "mark dropped");
		return;
	}

	++p->stats.marks;
	++p->markc;
	m->pos = p->end;
	memcpy(m->name, json_string_value(name), len);
	list_append(&p->markl, &m->le, m);
	return_due_marks(p);
}

static void receive_clear(struct phone *p)
{
	uint32_t dropped = phone_buffered_ms(p);
	struct mark *m;

	++p->stats.clears;
	if (p->ops->clear)
		p->ops->clear(dropped, p->arg);

	p->offset = p->bufc = 0;
	p->taken = p->done = p->end;
	while ((m = list_ledata(p->markl.head)))
		return_mark(p, m, false);
}

/* Exactly three messages are known, each with exactly these fields */
static const struct shape {
	const char *event;
	const char *object; /* what holds the field, NULL: none */
	const char *field;
} shapev[] = {
	{"media", "media", "payload"},
	{"mark", "mark", "name"},
	{"clear", NULL, NULL},
};

static const struct shape *shape_of(const char *event)
{
	for (size_t i = 0; i < ARRAY_SIZE(shapev); i++)
		if (!strcmp(shapev[i].event, event))
			return &shapev[i];

	return NULL;
}

/* Is it there, and a string? */
static bool has_string(struct phone *p, const json_t *obj, const char *key)
{
	const json_t *v = json_object_get(obj, key);

	if (!v)
		fault(p, PHONE_MISSING, key);
	else if (!json_is_string(v))
		fault(p, PHONE_TYPE, key);

	return json_is_string(v);
}

/* Are there no keys but these? Takes away const, jansson iterates no other */
static bool has_only(struct phone *p, json_t *obj, const char *a,
		     const char *b, const char *c)
{
	const char *key;
	json_t *value;

	json_object_foreach(obj, key, value)
	{
		if (!str_eq(key, a) && !str_eq(key, b) && !str_eq(key, c)) {
			fault(p, PHONE_EXTRA, key);
			return false;
		}
	}

	return true;
}

static const struct shape *check(struct phone *p, json_t *msg)
{
	const struct shape *sh;
	json_t *obj;

	if (!has_string(p, msg, "event"))
		return NULL;

	sh = shape_of(json_string_value(json_object_get(msg, "event")));
	if (!sh) {
		fault(p, PHONE_EVENT,
		      json_string_value(json_object_get(msg, "event")));
		return NULL;
	}
	if (!has_string(p, msg, "streamSid"))
		return NULL;
	if (!str_eq(json_string_value(json_object_get(msg, "streamSid")),
		    p->prm.stream_sid)) {
		fault(p, PHONE_STREAM,
		      json_string_value(json_object_get(msg, "streamSid")));
		return NULL;
	}
	if (!has_only(p, msg, "event", "streamSid", sh->object))
		return NULL;
	if (!sh->object)
		return sh;

	obj = json_object_get(msg, sh->object);
	if (!obj || !json_is_object(obj)) {
		fault(p, obj ? PHONE_TYPE : PHONE_MISSING, sh->object);
		return NULL;
	}

	return has_string(p, obj, sh->field) &&
			       has_only(p, obj, sh->field, NULL, NULL)
		       ? sh
		       : NULL;
}

static void dispatch(struct phone *p, json_t *msg)
{
	const struct shape *sh = check(p, msg);

	if (!sh)
		return;

	if (!strcmp(sh->event, "media"))
		receive_media(p, json_object_get(msg, "media"));
	else if (!strcmp(sh->event, "mark"))
		receive_mark(p, json_object_get(msg, "mark"));
	else
		receive_clear(p);
}

void phone_receive(struct phone *p, bool binary, const char *msg, size_t len)
{
	json_error_t error;
	json_t *json;

	++p->stats.received;
	if (p->state == STOPPED)
		return;
	if (p->state != STARTED) {
		fault(p, PHONE_EARLY, "sent before start");
		return;
	}
	if (binary) {
		fault(p, PHONE_BINARY, "binary");
		return;
	}

	json = json_loadb(msg, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY,
			  &error);
	if (!json)
		fault(p, PHONE_JSON, error.text);
	else if (!json_is_object(json))
		fault(p, PHONE_JSON, "not an object");
	else
		dispatch(p, json);
	json_decref(json);
}

void phone_closed(struct phone *p, int code)
{
	if (code == WSC_CODE_NONE)
		fault(p, PHONE_CLOSE, "close frame without a code");
	else if (code == WSC_CODE_ABNORMAL)
		fault(p, PHONE_CLOSE, "no close frame");
	p->state = STOPPED;
}

/* ----------------------------------------------------------------- time */

void phone_tick(struct phone *p, uint64_t now_ms, const uint8_t *callerv,
		uint8_t *botv)
{
	size_t n = MIN(p->bufc, (size_t)FRAME_SAMPLES);

	p->done = p->taken;
	return_due_marks(p);

	if (n)
		memcpy(botv, p->bufv + p->offset, n);
	memset(botv + n, ULAW_SILENCE, FRAME_SAMPLES - n);
	p->offset += n;
	p->bufc -= n;
	p->taken += n;

	if (p->state == STARTED)
		send_media(p, now_ms, callerv);
}

uint32_t phone_buffered_ms(const struct phone *p)
{
	return (uint32_t)((p->end - p->done + AUDIO_PER_MS - 1) /
			  AUDIO_PER_MS);
}

bool phone_is_busy(const struct phone *p)
{
	return p->end > p->done || p->markl.head;
}

const struct phone_stats *phone_stats(const struct phone *p)
{
	return &p->stats;
}

uint64_t phone_faults(const struct phone *p)
{
	uint64_t n = 0;

	for (size_t i = 0; i < PHONE_RULE_COUNT; i++)
		n += p->stats.faultv[i];

	return n;
}

void phone_sign(char dst[PHONE_SIGNATURE_SIZE], const char *token,
		const char *url)
{
	uint8_t md[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	(void)HMAC(EVP_sha1(), token, (int)strlen(token), (const uint8_t *)url,
		   strlen(url), md, &n);
	dst[base64_encode(dst, md, MIN(n, 20u))] = '\0';
}

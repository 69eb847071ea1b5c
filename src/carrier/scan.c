/**
 * @file scan.c  The media message, 50 a second and call, without a DOM
 *
 * Reads what every known carrier program sends and says "not mine" to the
 * rest: it needs no error messages and may be strict, since jansson stands
 * behind it. It never accepts what jansson would refuse, and never reads
 * another value: tests and a fuzz target compare the two.
 */
#include <string.h>
#include "core.h"

enum { DIGITS_MAX = 18 /* of a number that surely fits in 63 bits */ };

struct cursor {
	const char *p;
	const char *end;
};

struct text {
	const char *s;
	size_t n;
};

static inline bool text_is(struct text t, const char *s, size_t n)
{
	return t.n == n && !memcmp(t.s, s, n);
}

/* n is a constant after inlining, and with it the comparison a few words */
#define TEXT_IS(t, literal) text_is(t, literal, sizeof(literal) - 1)

static inline void skip_blanks(struct cursor *c)
{
	while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' ||
				 *c->p == '\n' || *c->p == '\r'))
		++c->p;
}

/* Take one character, with blanks around it */
static inline bool take(struct cursor *c, char ch)
{
	skip_blanks(c);
	if (c->p == c->end || *c->p != ch)
		return false;

	++c->p;
	skip_blanks(c);

	return true;
}

/* A short string of printable ASCII without escapes */
static inline bool take_string(struct cursor *c, struct text *t)
{
	const char *s;

	if (c->p == c->end || *c->p != '"')
		return false;

	for (s = ++c->p; c->p < c->end && *c->p != '"'; c->p++) {
		if (*c->p < ' ' || *c->p > '~' || *c->p == '\\')
			return false;
	}
	if (c->p == c->end)
		return false;

	*t = (struct text){s, (size_t)(c->p++ - s)};

	return true;
}

/* A long string; what is in it is not looked at */
static bool take_payload(struct cursor *c, struct text *t)
{
	const char *s = c->p + 1, *quote;

	if (c->p == c->end || *c->p != '"')
		return false;

	quote = memchr(s, '"', (size_t)(c->end - s));
	if (!quote)
		return false;

	*t = (struct text){s, (size_t)(quote - s)};
	c->p = quote + 1;

	return true;
}

/* A counter: 7 or "7". As a bare number JSON allows no leading zero. */
static bool take_counter(struct cursor *c, uint64_t *v)
{
	bool quoted = c->p < c->end && *c->p == '"';
	const char *s;
	size_t n;

	c->p += quoted;
	s = c->p;
	for (*v = 0; c->p < c->end && *c->p >= '0' && *c->p <= '9'; c->p++) {
		if (c->p - s == DIGITS_MAX)
			return false;
		*v = *v * 10 + (uint64_t)(*c->p - '0');
	}
	n = (size_t)(c->p - s);
	if (!n)
		return false;
	if (!quoted)
		return n == 1 || s[0] != '0';

	return c->p < c->end && *c->p++ == '"';
}

typedef bool(member_h)(struct cursor *c, struct text key, unsigned *seen,
		       struct media_scan *m);

/* An object; each member's value is taken by the handler */
static inline bool take_object(struct cursor *c, unsigned *seen,
			       struct media_scan *m, member_h *memberh)
{
	struct text key;

	if (!take(c, '{'))
		return false;

	do {
		if (!take_string(c, &key) || !take(c, ':') ||
		    !memberh(c, key, seen, m))
			return false;
	} while (take(c, ','));

	return take(c, '}');
}

/* jansson takes the last of equal keys; here there is only one */
static inline bool first_time(unsigned *seen, unsigned key)
{
	bool first = !(*seen & key);

	*seen |= key;

	return first;
}

enum {
	EVENT = 1 << 0,
	SEQ = 1 << 1,
	STREAM = 1 << 2,
	MEDIA = 1 << 3,
	TRACK = 1 << 4,
	CHUNK = 1 << 5,
	TIMESTAMP = 1 << 6,
	PAYLOAD = 1 << 7,
};

static inline bool media_member(struct cursor *c, struct text key,
				unsigned *seen, struct media_scan *m)
{
	struct text t;

	if (TEXT_IS(key, "payload")) {
		if (!first_time(seen, PAYLOAD) || !take_payload(c, &t))
			return false;
		m->payload = t.s;
		m->payloadc = t.n;
		return true;
	}
	if (TEXT_IS(key, "track")) {
		if (!first_time(seen, TRACK) || !take_string(c, &t) || !t.n)
			return false;
		m->track = t.s;
		m->trackc = t.n;
		return true;
	}
	if (TEXT_IS(key, "chunk"))
		return first_time(seen, CHUNK) && take_counter(c, &m->chunk);
	if (TEXT_IS(key, "timestamp"))
		return first_time(seen, TIMESTAMP) &&
		       take_counter(c, &m->timestamp_ms);

	return false;
}

static inline bool top_member(struct cursor *c, struct text key,
			      unsigned *seen, struct media_scan *m)
{
	struct text t;

	if (TEXT_IS(key, "event"))
		return first_time(seen, EVENT) && take_string(c, &t) &&
		       TEXT_IS(t, "media");
	if (TEXT_IS(key, "sequenceNumber"))
		return first_time(seen, SEQ) && take_counter(c, &m->seq);
	if (TEXT_IS(key, "streamSid")) {
		if (!first_time(seen, STREAM) || !take_string(c, &t))
			return false;
		m->stream_id = t.s;
		m->stream_idc = t.n;
		/* a blank is for carrier_json_id() to refuse */
		return t.n < CARRIER_ID_MAX && !memchr(t.s, ' ', t.n);
	}
	if (TEXT_IS(key, "media"))
		return first_time(seen, MEDIA) &&
		       take_object(c, seen, m, media_member);

	return false;
}

bool media_scan(struct media_scan *m, const char *msg, size_t len)
{
	struct cursor c = {msg, msg + len};
	unsigned seen = 0;

	*m = (struct media_scan){.stream_id = "", .track = ""};

	return len <= CARRIER_MESSAGE_MAX &&
	       take_object(&c, &seen, m, top_member) && c.p == c.end &&
	       (seen & (EVENT | PAYLOAD)) == (EVENT | PAYLOAD);
}

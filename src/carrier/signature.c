/**
 * @file signature.c  X-Twilio-Signature: is this request Twilio's?
 *
 *	signature = base64(HMAC-SHA1(auth token, URL and sorted parameters))
 *
 * Spec: Twilio "Webhooks security". What is signed is the URL as it was
 * configured at Twilio, which behind proxies is not always the URL that
 * arrives; the few ways in which they may differ are tried one by one.
 *
 * Where a check cannot be made, for want of memory, the answer is no.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <convod/carrier.h>
#include <convod/mem.h>
#include <convod/str.h>

struct text {
	const char *s;
	size_t n;
};

static struct text text_cut(const char *s, const char *end)
{
	return (struct text){s, (size_t)(end - s)};
}

/* Something that is built up in a buffer known to be long enough */
struct out {
	char *s;
	size_t n;
};

static void out_add(struct out *o, struct text t)
{
	memcpy(o->s + o->n, t.s, t.n);
	o->n += t.n;
}

static void out_str(struct out *o, const char *s)
{
	out_add(o, (struct text){s, strlen(s)});
}

static bool is_signed(const char *token, const struct out *o,
		      const char *signature)
{
	char want[BASE64_LEN(SHA_DIGEST_LENGTH) + 1];
	uint8_t mac[SHA_DIGEST_LENGTH];
	unsigned macc = sizeof(mac);

	if (!HMAC(EVP_sha1(), token, (int)strlen(token), (const uint8_t *)o->s,
		  o->n, mac, &macc))
		return false;

	want[base64_encode(want, mac, sizeof(mac))] = '\0';

	return str_eq_secret(want, signature);
}

/* -------------------------------------------------------------- parameters */

struct param {
	struct text name;
	struct text value;
};

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* Decode application/x-www-form-urlencoded; never gets longer. A % that no
 * two hexadecimal digits follow stands for itself. */
static struct text form_decode(struct out *o, struct text t)
{
	const char *start = o->s + o->n;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%' && t.n - i > 2) {
			int hi = hex_digit(t.s[i + 1]);
			int lo = hex_digit(t.s[i + 2]);

			if (hi >= 0 && lo >= 0) {
				c = (char)(hi << 4 | lo);
				i += 2;
			}
		}
		o->s[o->n++] = c;
	}

	return text_cut(start, o->s + o->n);
}

static int text_compare(struct text a, struct text b)
{
	int d = memcmp(a.s, b.s, MIN(a.n, b.n));

	return d ? d : (a.n > b.n) - (a.n < b.n);
}

static int param_compare(const void *ap, const void *bp)
{
	const struct param *a = ap, *b = bp;
	int d = text_compare(a->name, b->name);

	return d ? d : text_compare(a->value, b->value);
}

static size_t count_char(struct text t, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < t.n; i++)
		n += t.s[i] == c;

	return n;
}

/* Append name and value of each parameter, decoded and sorted by their bytes;
 * of equal pairs only one. The order of values of one name and that pairs
 * count once are what Twilio's own library does. */
static int out_params(struct out *o, struct text form)
{
	size_t n = 0, max = count_char(form, '&') + 1;
	struct param *paramv = mem_zalloc(max * sizeof(*paramv), NULL);
	struct out decoded = {mem_zalloc(form.n, NULL), 0};
	const char *p = form.s, *end = form.s + form.n;
	int err = 0;

	if (!paramv || !decoded.s) {
		err = ENOMEM;
		goto out;
	}

	while (p < end) {
		const char *amp = memchr(p, '&', (size_t)(end - p));
		const char *stop = amp ? amp : end;
		const char *eq = memchr(p, '=', (size_t)(stop - p));

		if (p < stop) {
			paramv[n].name = form_decode(
				&decoded, text_cut(p, eq ? eq : stop));
			paramv[n++].value = form_decode(
				&decoded, text_cut(eq ? eq + 1 : stop, stop));
		}
		p = stop + 1;
	}

	qsort(paramv, n, sizeof(*paramv), param_compare);
	for (size_t i = 0; i < n; i++) {
		if (i && !param_compare(&paramv[i - 1], &paramv[i]))
			continue;
		out_add(o, paramv[i].name);
		out_add(o, paramv[i].value);
	}

out:
	mem_deref(decoded.s);
	mem_deref(paramv);

	return err;
}

/* -------------------------------------------------------------------- URLs */

struct url {
	struct text scheme; /* without "://" */
	struct text host;
	struct text port; /* without ':', maybe empty */
	struct text path; /* the rest, up to '?' */
};

/* User and password are dropped: Twilio does not sign them */
static bool url_split(struct url *u, const char *s, size_t len)
{
	const char *end = s + len, *sep = memmem(s, len, "://", 3);
	const char *host, *slash, *at, *colon;

	if (!sep)
		return false;

	host = sep + 3;
	for (slash = host; slash < end && !strchr("/?#", *slash); slash++)
		;
	at = memrchr(host, '@', (size_t)(slash - host));
	if (at)
		host = at + 1;

	/* [::1]:443 */
	colon = memrchr(host, ':', (size_t)(slash - host));
	if (colon && memchr(colon, ']', (size_t)(slash - colon)))
		colon = NULL;

	u->scheme = text_cut(s, sep);
	u->host = text_cut(host, colon ? colon : slash);
	u->port = text_cut(colon ? colon + 1 : slash, slash);
	u->path = text_cut(slash, end);

	return u->host.n > 0;
}

static void out_origin(struct out *o, const struct url *u, struct text port)
{
	out_str(o, "://");
	out_add(o, u->host);
	if (port.n) {
		out_str(o, ":");
		out_add(o, port);
	}
}

/* ------------------------------------------------------ websocket upgrades */

/* What an upgrade may have been signed as, put together from these */
struct upgrade {
	struct url base;
	struct text path;  /* base's and the target's, without query  */
	struct text query; /* without '?'                             */
	bool has_query;
};

static int out_upgrade(struct out *o, const struct upgrade *up,
		       struct text port, bool toggle, bool append)
{
	struct text path = up->path;

	o->n = 0;
	out_str(o, "wss");
	out_origin(o, &up->base, port);

	if (toggle && path.n && path.s[path.n - 1] == '/') {
		--path.n;
		toggle = false;
	}
	out_add(o, path);
	if (toggle)
		out_str(o, "/");

	if (!up->has_query)
		return 0;
	if (append)
		return out_params(o, up->query);

	out_str(o, "?");
	out_add(o, up->query);

	return 0;
}

static bool upgrade_ok(const char *token, const struct upgrade *up,
		       struct out *o, const char *signature)
{
	const struct text portv[] = {{"", 0}, {"443", 3}, up->base.port};
	bool ok = false;

	for (unsigned i = 0; i < ARRAY_SIZE(portv) * 4 && !ok; i++) {
		bool toggle = i & 1, append = i & 2;

		if (append && !up->has_query)
			continue;
		if (!out_upgrade(o, up, portv[i / 4], toggle, append))
			ok = is_signed(token, o, signature);
	}

	return ok;
}

bool twilio_signature_ok(const char *token, const char *base,
			 const char *target, const char *signature)
{
	struct upgrade up = {0};
	struct out path, o;
	const char *query;
	size_t size;
	bool ok;

	if (!str_isset(token) || !base || !target || !signature ||
	    !url_split(&up.base, base, strlen(base)))
		return false;

	size = strlen(base) + strlen(target) + 16;
	path = (struct out){mem_zalloc(size, NULL), 0};
	o = (struct out){mem_zalloc(size, NULL), 0};
	ok = path.s && o.s;
	if (!ok)
		goto out;

	query = strchr(target, '?');
	up.has_query = query != NULL;
	if (query)
		up.query = (struct text){query + 1, strlen(query + 1)};
	else
		query = target + strlen(target);

	/* one slash where prefix and target meet */
	out_add(&path, up.base.path);
	if (path.n && path.s[path.n - 1] == '/' && target[0] == '/')
		--path.n;
	out_add(&path, text_cut(target, query));
	up.path = (struct text){path.s, path.n};

	ok = upgrade_ok(token, &up, &o, signature);

out:
	mem_deref(o.s);
	mem_deref(path.s);

	return ok;
}

/* -------------------------------------------------------------- webhooks */

/* The URL as Twilio signed it: over https without port, over http with it */
static bool webhook_ok(const char *token, const char *url, struct text form,
		       const char *signature)
{
	bool https = !strncasecmp(url, "https:", 6);
	struct out o = {NULL, 0};
	struct url u;
	bool ok = false;

	if (!str_isset(token) || !signature ||
	    !url_split(&u, url, strlen(url)))
		return false;

	o.s = mem_zalloc(strlen(url) + form.n, NULL);
	if (!o.s)
		return false;

	out_add(&o, u.scheme);
	out_origin(&o, &u, https ? (struct text){"", 0} : u.port);
	out_add(&o, u.path);
	if (!out_params(&o, form))
		ok = is_signed(token, &o, signature);

	mem_deref(o.s);

	return ok;
}

bool twilio_form_signature_ok(const char *token, const char *url,
			      const char *body, size_t len,
			      const char *signature)
{
	return webhook_ok(token, url, (struct text){body, len}, signature);
}

/* The value of bodySHA256 in the query, if it has the right length */
static const char *body_hash(const char *url)
{
	static const char name[] = "bodySHA256=";
	const char *p = strchr(url, '?');

	while (p) {
		++p;
		if (str_starts(p, name)) {
			p += sizeof(name) - 1;
			return strcspn(p, "&#") == 2 * SHA256_DIGEST_LENGTH
				       ? p
				       : NULL;
		}
		p = strchr(p, '&');
	}

	return NULL;
}

bool twilio_json_signature_ok(const char *token, const char *url,
			      const char *body, size_t len,
			      const char *signature)
{
	static const char hex[] = "0123456789abcdef";
	char got[2 * SHA256_DIGEST_LENGTH + 1] = "";
	char want[2 * SHA256_DIGEST_LENGTH + 1] = "";
	uint8_t hash[SHA256_DIGEST_LENGTH];
	const char *p = body_hash(url);

	/* without the hash nothing would bind the body to the signature */
	if (!p || !SHA256((const uint8_t *)body, len, hash))
		return false;

	memcpy(got, p, sizeof(got) - 1);
	for (size_t i = 0; i < sizeof(hash); i++) {
		want[2 * i] = hex[hash[i] >> 4];
		want[2 * i + 1] = hex[hash[i] & 15];
	}

	return str_eq_secret(want, got) &&
	       webhook_ok(token, url, (struct text){"", 0}, signature);
}

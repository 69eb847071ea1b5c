/**
 * @file wsc_url.c  Websocket URLs
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/str.h>
#include <convod/wsclient.h>

static int parse_port(uint16_t *port, const char *s, size_t n)
{
	unsigned long v = 0;

	if (!n || n > 5)
		return EBADMSG;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return EBADMSG;
		v = v * 10 + (unsigned long)(s[i] - '0');
	}
	if (!v || v > UINT16_MAX)
		return EBADMSG;

	*port = (uint16_t)v;
	return 0;
}

/* "host", "host:port", "[v6]", "[v6]:port" */
static int parse_authority(struct wsc_url *u, const char *s, size_t n)
{
	const char *host = s, *end = s + n, *rest;
	size_t hostc;

	if (n && s[0] == '[') {
		rest = memchr(s, ']', n);
		if (!rest)
			return EBADMSG;
		++host;
		hostc = (size_t)(rest - host);
		++rest;
	} else {
		rest = memchr(s, ':', n);
		if (!rest)
			rest = end;
		hostc = (size_t)(rest - host);
	}

	if (!hostc)
		return EBADMSG;
	if (hostc >= sizeof(u->host))
		return ENAMETOOLONG;

	memcpy(u->host, host, hostc);
	u->host[hostc] = '\0';
	(void)snprintf(u->authority, sizeof(u->authority), "%.*s", (int)n, s);
	if (rest == end)
		return 0;

	return rest[0] == ':' ? parse_port(&u->port, rest + 1,
					   (size_t)(end - rest - 1))
			      : EBADMSG;
}

int wsc_url_parse(struct wsc_url *u, const char *url)
{
	const char *s, *p;
	size_t n;

	if (!u || !url)
		return EINVAL;

	memset(u, 0, sizeof(*u));
	if (!strncasecmp(url, "wss://", 6))
		u->tls = true;
	else if (strncasecmp(url, "ws://", 5))
		return EBADMSG;

	/* it goes into a request head as it is */
	for (p = url; *p; p++)
		if ((unsigned char)*p <= ' ' || *p == 0x7f)
			return EBADMSG;

	u->port = u->tls ? 443 : 80;
	s = url + (u->tls ? 6 : 5);
	n = strcspn(s, "/?#");
	u->target = s + n;
	u->targetc = strcspn(u->target, "#");
	if (memchr(s, '@', n))
		return EBADMSG;

	return parse_authority(u, s, n);
}

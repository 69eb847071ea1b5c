/**
 * @file addr.c  Addresses: which are everybody's, and lists of hosts
 *
 * Inside, an address is 16 bytes: IPv4 as ::ffff:a.b.c.d, which is also how a
 * mapped one is written, so that both are the same here.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <convod/addr.h>
#include <convod/str.h>

enum { BITS_V6 = 128, BITS_MAPPED = 96 };

struct ip {
	uint8_t b[16];
};

struct block {
	struct ip ip;
	unsigned bits;
	uint16_t port; /* 0: all */
};

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
static const uint8_t nat64[12] = {0x00, 0x64, 0xff, 0x9b};

/* ------------------------------------------------------------ addresses */

static struct ip ip_of_v4(const void *v4)
{
	struct ip ip;

	memcpy(ip.b, mapped, 12);
	memcpy(ip.b + 12, v4, 4);

	return ip;
}

/** The address and port; false: of another family */
static bool get_ip(struct ip *ip, uint16_t *port, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET) {
		struct sockaddr_in in;

		memcpy(&in, sa, sizeof(in));
		*ip = ip_of_v4(&in.sin_addr);
		*port = ntohs(in.sin_port);
		return true;
	}
	if (sa->sa_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, sa, sizeof(in6));
		memcpy(ip->b, &in6.sin6_addr, 16);
		*port = ntohs(in6.sin6_port);
		return true;
	}

	return false;
}

static bool parse_ip(struct ip *ip, const char *s)
{
	struct in_addr v4;

	if (inet_pton(AF_INET6, s, ip->b) == 1)
		return true;
	if (inet_pton(AF_INET, s, &v4) != 1)
		return false;

	*ip = ip_of_v4(&v4);

	return true;
}

int net_addr_parse(struct sockaddr_storage *sa, const char *ip, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6,
				   .sin6_port = htons(port)};

	memset(sa, 0, sizeof(*sa));
	if (inet_pton(AF_INET, ip, &in.sin_addr) == 1)
		memcpy(sa, &in, sizeof(in));
	else if (inet_pton(AF_INET6, ip, &in6.sin6_addr) == 1)
		memcpy(sa, &in6, sizeof(in6));
	else
		return EBADMSG;

	return 0;
}

char *net_addr_print(char *dst, size_t size, const struct sockaddr *sa)
{
	char text[INET6_ADDRSTRLEN] = "";
	uint16_t port = 0;
	struct ip ip;
	bool v6 = sa->sa_family == AF_INET6;

	if (get_ip(&ip, &port, sa))
		(void)inet_ntop(sa->sa_family, v6 ? ip.b : ip.b + 12, text,
				sizeof(text));
	(void)snprintf(dst, size, v6 ? "[%s]:%u" : "%s:%u", text, port);

	return dst;
}

static bool is_within(const struct ip *ip, const uint8_t *net, unsigned bits)
{
	unsigned whole = bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> bits % 8);

	return !memcmp(ip->b, net, whole) &&
	       (!mask || !((ip->b[whole] ^ net[whole]) & mask));
}

/* --------------------------------------------------------------- public */

static bool v4_is_public(const uint8_t *v4)
{
	static const struct {
		uint8_t net[4];
		unsigned bits;
	} closed[] = {
		{{0}, 8},                 /* this network */
		{{10}, 8},                /* private */
		{{100, 64}, 10},          /* a carrier's customers (CGNAT) */
		{{127}, 8},               /* loopback */
		{{168, 63, 129, 16}, 32}, /* Azure's host, in every network */
		{{169, 254}, 16},         /* link-local, clouds' metadata */
		{{172, 16}, 12},          /* private */
		{{192, 0, 0}, 24},        /* protocol assignments */
		{{192, 0, 2}, 24},        /* documentation */
		{{192, 88, 99}, 24},      /* 6to4 relays, abolished */
		{{192, 168}, 16},         /* private */
		{{198, 18}, 15},          /* benchmarks */
		{{198, 51, 100}, 24},     /* documentation */
		{{203, 0, 113}, 24},      /* documentation */
		{{224}, 4},               /* multicast */
		{{240}, 4},               /* reserved, broadcast */
	};
	struct ip ip = {{0}};

	memcpy(ip.b, v4, 4);
	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		if (is_within(&ip, closed[i].net, closed[i].bits))
			return false;
	}

	return true;
}

static bool v6_is_public(const struct ip *ip)
{
	static const struct {
		uint8_t net[4];
		unsigned bits;
	} closed[] = {
		{{0x20, 0x01}, 23},             /* Teredo, ORCHID, … */
		{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
		{{0x20, 0x02}, 16},             /* 6to4 */
		{{0x3f, 0xff}, 20},             /* documentation */
	};
	static const uint8_t global_unicast[] = {0x20};

	if (!is_within(ip, global_unicast, 3))
		return false;

	for (size_t i = 0; i < ARRAY_SIZE(closed); i++) {
		if (is_within(ip, closed[i].net, closed[i].bits))
			return false;
	}

	return true;
}

bool net_addr_is_public(const struct sockaddr *sa)
{
	uint16_t port;
	struct ip ip;

	if (!sa || !get_ip(&ip, &port, sa))
		return false;
	if (is_within(&ip, mapped, BITS_MAPPED) ||
	    is_within(&ip, nat64, BITS_MAPPED))
		return v4_is_public(ip.b + 12);

	return v6_is_public(&ip);
}

/* ---------------------------------------------------------------- lists */

enum { ENTRY_MAX = 256 };

/**
 * Copy the next entry, cut to fit, and move behind it
 *
 * @return where it begins, NULL at the end
 */
static const char *next_entry(char entry[ENTRY_MAX], const char **list)
{
	static const char separators[] = " \t,";
	const char *begin;
	size_t n;

	if (!*list)
		return NULL;

	begin = *list + strspn(*list, separators);
	n = strcspn(begin, separators);
	(void)snprintf(entry, ENTRY_MAX, "%.*s", (int)MIN(n, ENTRY_MAX),
		       begin);
	*list = begin + n;

	return n ? begin : NULL;
}

/** A number of digits alone */
static bool parse_number(unsigned *v, const char *s, unsigned max)
{
	size_t n = strlen(s);

	if (!n || n > 5 || strspn(s, "0123456789") != n)
		return false;

	*v = (unsigned)strtoul(s, NULL, 10);

	return *v <= max;
}

/** Cut ":port" off; false: what stands there is none */
static bool cut_port(uint16_t *port, char *s)
{
	char *bracket = strchr(s, ']');
	char *colon = strchr(bracket ? bracket : s, ':');
	unsigned v;

	*port = 0;
	/* an IPv6 address without brackets has more than one */
	if (!colon || strchr(colon + 1, ':'))
		return true;
	if (!parse_number(&v, colon + 1, UINT16_MAX) || !v)
		return false;

	*colon = '\0';
	*port = (uint16_t)v;

	return true;
}

/** "[::1]" becomes "::1"; false: there is an odd bracket */
static bool strip_brackets(char *s)
{
	size_t n = strlen(s);

	if (s[0] != '[')
		return !strpbrk(s, "[]");
	if (n < 2 || s[n - 1] != ']')
		return false;

	memmove(s, s + 1, n - 2);
	s[n - 2] = '\0';

	return strchr(s, ':') != NULL;
}

/** Read an entry that is an address or a block of them */
static bool parse_block(struct block *b, const char *entry)
{
	char s[ENTRY_MAX];
	char *slash;
	unsigned bits = BITS_V6, max;

	str_copy(s, sizeof(s), entry);
	slash = strchr(s, '/');
	if (slash)
		*slash = '\0';
	b->port = 0;
	if (!slash && (!cut_port(&b->port, s) || !strip_brackets(s)))
		return false;
	if (!parse_ip(&b->ip, s))
		return false;

	max = strchr(s, ':') ? BITS_V6 : BITS_V6 - BITS_MAPPED;
	if (slash && !parse_number(&bits, slash + 1, max))
		return false;
	if (slash)
		bits += BITS_V6 - max;
	b->bits = bits;

	return true;
}

static bool is_name(const char *entry)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
				      "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-_.";
	char s[ENTRY_MAX];
	const char *last;
	uint16_t port;

	str_copy(s, sizeof(s), entry);
	if (!cut_port(&port, s) || !*s || strspn(s, letters) != strlen(s))
		return false;

	/* "10.0.0" is an address to some, and never a name */
	last = strrchr(s, '.');
	last = last ? last + 1 : s;

	return !isdigit((unsigned char)*last);
}

const char *net_hosts_find_wrong(const char *list)
{
	char entry[ENTRY_MAX];
	const char *begin;
	struct block b;

	while ((begin = next_entry(entry, &list))) {
		if (strlen(entry) == ENTRY_MAX - 1 ||
		    (!parse_block(&b, entry) && !is_name(entry)))
			return begin;
	}

	return NULL;
}

static bool has_ip(const char *list, const struct ip *ip, uint16_t port)
{
	char entry[ENTRY_MAX];
	struct block b;

	while (next_entry(entry, &list)) {
		if (parse_block(&b, entry) && (!b.port || b.port == port) &&
		    is_within(ip, b.ip.b, b.bits))
			return true;
	}

	return false;
}

static bool has_name(const char *list, const char *name, uint16_t port)
{
	char entry[ENTRY_MAX];

	while (next_entry(entry, &list)) {
		uint16_t p;

		if (cut_port(&p, entry) && (!p || p == port) &&
		    str_caseeq(entry, name))
			return true;
	}

	return false;
}

bool net_hosts_has(const char *list, const char *hostport)
{
	char host[ENTRY_MAX];
	uint16_t port;
	struct ip ip;

	if (strlen(hostport) >= sizeof(host))
		return false;

	str_copy(host, sizeof(host), hostport);
	if (!cut_port(&port, host) || !strip_brackets(host))
		return false;

	return parse_ip(&ip, host) ? has_ip(list, &ip, port)
				   : has_name(list, host, port);
}

bool net_hosts_has_addr(const char *list, const struct sockaddr *sa)
{
	uint16_t port;
	struct ip ip;

	return get_ip(&ip, &port, sa) && has_ip(list, &ip, port);
}

/**
 * @file addr.h  Addresses: which are everybody's, and lists of hosts
 *
 * Pure: no name is looked up.
 */
#ifndef CONVOD_ADDR_H
#define CONVOD_ADDR_H

#include <sys/socket.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

/** Room for an address as text, with its port */
enum { NET_ADDR_STR_MAX = 64 };

/**
 * Read an address: dotted IPv4, or IPv6 without brackets
 *
 * @return 0; EBADMSG
 */
CV_NODISCARD int net_addr_parse(struct sockaddr_storage *sa, const char *ip,
				uint16_t port);

/** Print as "192.0.2.1:80" or "[2001:db8::1]:80"; returns dst */
char *net_addr_print(char *dst, size_t size, const struct sockaddr *sa);

/**
 * Is this an address of the public internet?
 *
 * Not public: loopback, private, shared by a carrier's customers, link-local
 * (clouds keep their metadata there), unique-local, multicast, unspecified,
 * reserved and documentation, and whatever tunnels or maps to IPv4, unless it
 * is a plain mapping (::ffff:0:0/96, 64:ff9b::/96) of a public address.
 * Spec: the IANA special-purpose address registries (RFC 6890).
 */
bool net_addr_is_public(const struct sockaddr *sa);

/*
 * A list of hosts is separated by blanks and commas. An entry is
 *
 *	media.example.com         a name
 *	10.0.0.5  fd00::5         an address
 *	10.0.0.0/8  fd00::/8      all addresses of a block
 *
 * A name or an address may be followed by a port, an IPv6 address then stands
 * in brackets; without one all ports are meant.
 */

/**
 * Is every entry of a list one of those?
 *
 * @return NULL, or where the first that is not begins
 */
const char *net_hosts_find_wrong(const char *list);

/**
 * Is a host in a list?
 *
 * @param hostport As in a URL's origin: name or address (IPv6 in brackets),
 *                 and port
 */
bool net_hosts_has(const char *list, const char *hostport);

/** Is an address in a list, by itself or in a block, with its port? */
bool net_hosts_has_addr(const char *list, const struct sockaddr *sa);

CV_END_DECLS

#endif

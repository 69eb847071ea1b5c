/**
 * @file sock.h  A non-blocking client connection: names, TCP, TLS
 *
 * Thread: loop. Private to net/.
 */
#ifndef NET_SOCK_H
#define NET_SOCK_H

#include <openssl/ssl.h>
#include <convod/loop.h>

struct sock;

struct sock_handlers {
	void (*uph)(void *arg);   /* connected, certificate verified     */
	void (*readh)(void *arg); /* sock_recv() has something           */
	void (*sendh)(void *arg); /* sock_send() takes something again   */
	/** Connecting failed; the only end that is told, later ones are
	 * return values of sock_recv() and sock_send() */
	void (*failh)(const char *why, void *arg);
};

/**
 * TLS for clients: ALPN h2, the system's certificates and those of a file
 *
 * @return 0; EINVAL: the file cannot be used; ENOMEM
 */
CV_NODISCARD int sock_tls_alloc(SSL_CTX **tp, const char *ca_file);

/**
 * Look the name up, try all its addresses, hand-shake. Calls no handler from
 * inside; mem_deref() closes.
 *
 * @param tls        NULL: clear text. Must outlive the socket
 * @param timeout_ms For all of it; each address gets its share
 */
CV_NODISCARD int sock_connect(struct sock **sp, struct loop *l,
			      const char *host, uint16_t port, SSL_CTX *tls,
			      uint32_t timeout_ms,
			      const struct sock_handlers *h, void *arg);

/**
 * @param np Bytes received
 *
 * @return 0; EAGAIN: nothing now; ECONNRESET, …: the end
 */
CV_NODISCARD int sock_recv(struct sock *s, uint8_t *p, size_t size,
			   size_t *np);

/**
 * @param np Bytes taken, at least one
 *
 * @return 0; EAGAIN: sendh follows; ECONNRESET, …: the end
 */
CV_NODISCARD int sock_send(struct sock *s, const uint8_t *p, size_t n,
			   size_t *np);

#endif

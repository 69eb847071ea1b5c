/**
 * @file sock.c  A non-blocking client connection: names, TCP, TLS
 *
 *	RESOLVE ─▶ CONNECT ─▶ TLS ─▶ UP        any of the first three ─▶ FAILED
 *	              ▲ │
 *	              └─┘ next address
 *
 * A uv_poll_t and a uv_getaddrinfo_t must outlive this object until libuv's
 * callback: they are blocks of their own with a weak pointer back.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <uv.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "sock.h"

/* A peer that acknowledges nothing for this long is gone: without it a dead
 * machine is noticed after a quarter of an hour of retransmissions */
enum { UNACKED_MAX_MS = 10000, ADDRESSES_MAX = 16 };

enum state { RESOLVE, CONNECT, HANDSHAKE, UP, FAILED };

struct sock {
	struct loop *loop;
	const struct sock_handlers *h;
	void *arg;
	char *host;
	uint16_t port;
	enum state state;
	struct tmr *tmr;
	uint64_t deadline_ms;

	uv_getaddrinfo_t *lookup;
	struct addrinfo *addrs; /* all */
	struct addrinfo *next;  /* to be tried */
	uv_poll_t *poll;
	int events; /* that poll waits for */
	int fd;
	bool blocked; /* sock_send() said EAGAIN */

	SSL_CTX *ctx;
	SSL *ssl;
};

static void poll_handler(uv_poll_t *poll, int status, int events);

/* ---------------------------------------------------------------- TLS */

/* The socket's own BIO writes without MSG_NOSIGNAL: a peer that is gone would
 * end the process with SIGPIPE */
static int bio_write(BIO *bio, const char *p, int n)
{
	const struct sock *s = BIO_get_data(bio);
	ssize_t rc = send(s->fd, p, (size_t)n, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_write(bio);

	return (int)rc;
}

static int bio_read(BIO *bio, char *p, int n)
{
	const struct sock *s = BIO_get_data(bio);
	ssize_t rc = recv(s->fd, p, (size_t)n, 0);

	BIO_clear_retry_flags(bio);
	if (rc < 0 && (errno == EAGAIN || errno == EINTR))
		BIO_set_retry_read(bio);

	return (int)rc;
}

static long bio_ctrl(BIO *bio, int cmd, long n, void *p)
{
	(void)bio;
	(void)n;
	(void)p;

	return cmd == BIO_CTRL_FLUSH;
}

static BIO_METHOD *bio_method; /* of the process, never freed */

static void bio_method_init(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "convod socket");

	if (!m)
		return;
	(void)BIO_meth_set_write(m, bio_write);
	(void)BIO_meth_set_read(m, bio_read);
	(void)BIO_meth_set_ctrl(m, bio_ctrl);
	bio_method = m;
}

int sock_tls_alloc(SSL_CTX **tp, const char *ca_file)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	static const uint8_t alpn[] = "\x02h2";
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	(void)pthread_once(&once, bio_method_init);
	if (!ctx || !bio_method) {
		SSL_CTX_free(ctx);
		return ENOMEM;
	}

	(void)SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	(void)SSL_CTX_set_alpn_protos(ctx, alpn, sizeof(alpn) - 1);
	(void)SSL_CTX_set_default_verify_paths(ctx);
	/* RFC 9113 section 9.2.1; and a write never waits for reading */
	(void)SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	(void)SSL_CTX_set_mode(ctx,
			       SSL_MODE_ENABLE_PARTIAL_WRITE |
				       SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				       SSL_MODE_RELEASE_BUFFERS);
	if (ca_file &&
	    SSL_CTX_load_verify_locations(ctx, ca_file, NULL) != 1) {
		ERR_clear_error();
		SSL_CTX_free(ctx);
		return EINVAL;
	}

	*tp = ctx;
	return 0;
}

static bool is_address(const char *host)
{
	struct in6_addr a;

	return inet_pton(AF_INET, host, &a) == 1 ||
	       inet_pton(AF_INET6, host, &a) == 1;
}

static int tls_start(struct sock *s)
{
	BIO *bio = NULL;
	int ok;

	s->ssl = SSL_new(s->ctx);
	if (s->ssl)
		bio = BIO_new(bio_method);
	if (!bio)
		return ENOMEM;

	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	SSL_set_connect_state(s->ssl);

	if (is_address(s->host))
		ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(s->ssl),
						   s->host);
	else
		ok = SSL_set1_host(s->ssl, s->host) &&
		     SSL_set_tlsext_host_name(s->ssl, s->host);

	return ok ? 0 : ENOMEM;
}

/* Did the peer choose HTTP/2? One that knows no ALPN may speak anything */
static bool is_h2(const struct sock *s)
{
	const uint8_t *p;
	unsigned n;

	SSL_get0_alpn_selected(s->ssl, &p, &n);

	return n == 2 && !memcmp(p, "h2", 2);
}

/* --------------------------------------------------------- connecting */

static void poll_closed_handler(uv_handle_t *handle)
{
	mem_raw_free(handle);
}

static void drop_fd(struct sock *s)
{
	SSL_free(s->ssl);
	s->ssl = NULL;
	if (s->poll) {
		s->poll->data = NULL;
		uv_close((uv_handle_t *)s->poll, poll_closed_handler);
		s->poll = NULL;
	}
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	s->events = 0;
}

static void fail(struct sock *s, const char *why)
{
	s->state = FAILED;
	tmr_cancel(s->tmr);
	drop_fd(s);
	s->h->failh(why, s->arg);
}

static void poll_for(struct sock *s, int events)
{
	if (s->events == events)
		return;

	s->events = events;
	(void)uv_poll_start(s->poll, events, poll_handler);
}

static int poll_alloc(struct sock *s)
{
	int err;

	s->poll = mem_raw_malloc(sizeof(*s->poll));
	if (!s->poll)
		return ENOMEM;

	err = uv_poll_init(loop_uv(s->loop), s->poll, s->fd);
	if (err) {
		mem_raw_free(s->poll);
		s->poll = NULL;
		return -err;
	}
	s->poll->data = s;

	return 0;
}

static int try_address(struct sock *s, const struct addrinfo *ai)
{
	const unsigned unacked_ms = UNACKED_MAX_MS;
	const int on = 1;
	int err;

	s->fd = socket(ai->ai_family,
		       SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (s->fd < 0)
		return errno;

	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(s->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms,
			 sizeof(unacked_ms));
	if (connect(s->fd, ai->ai_addr, ai->ai_addrlen) &&
	    errno != EINPROGRESS)
		return errno;

	err = poll_alloc(s);
	if (!err)
		poll_for(s, UV_WRITABLE);

	return err;
}

static void try_next(struct sock *s, int err)
{
	while (s->next) {
		const struct addrinfo *ai = s->next;
		uint64_t now = loop_now_ms(s->loop), left;
		unsigned n = 0;

		for (const struct addrinfo *a = ai; a; a = a->ai_next)
			++n;
		left = s->deadline_ms > now ? s->deadline_ms - now : 0;
		s->next = ai->ai_next;

		drop_fd(s);
		err = try_address(s, ai);
		if (!err) {
			tmr_start(s->tmr, left / n);
			return;
		}
	}

	fail(s, strerror(err));
}

static void up(struct sock *s)
{
	s->state = UP;
	tmr_cancel(s->tmr);
	if (s->addrs)
		uv_freeaddrinfo(s->addrs);
	s->addrs = s->next = NULL;
	poll_for(s, UV_READABLE);
	s->h->uph(s->arg);
}

static void handshake(struct sock *s)
{
	int rc = SSL_do_handshake(s->ssl);
	char why[160] = "TLS: peer closed";
	long verified;

	if (rc == 1) {
		if (is_h2(s))
			up(s);
		else
			fail(s, "TLS: peer does not offer HTTP/2 (ALPN h2)");
		return;
	}

	switch (SSL_get_error(s->ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		poll_for(s, UV_READABLE);
		return;
	case SSL_ERROR_WANT_WRITE:
		poll_for(s, UV_WRITABLE);
		return;
	default:
		break;
	}

	verified = SSL_get_verify_result(s->ssl);
	if (verified != X509_V_OK)
		(void)snprintf(why, sizeof(why), "TLS: %s",
			       X509_verify_cert_error_string(verified));
	else if (ERR_peek_error())
		ERR_error_string_n(ERR_peek_error(), why, sizeof(why));
	ERR_clear_error();
	fail(s, why);
}

static void connected(struct sock *s)
{
	socklen_t len = sizeof(int);
	int err = 0;

	if (getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err) {
		try_next(s, err);
		return;
	}

	if (!s->ctx) {
		up(s);
		return;
	}

	s->state = HANDSHAKE;
	tmr_start_at(s->tmr, s->deadline_ms);
	if (tls_start(s))
		fail(s, "out of memory");
	else
		handshake(s);
}

/* libuv tells EPOLLERR by a status and stops polling: whatever the socket
 * still holds, and then the error, come from reading it */
static void poll_handler(uv_poll_t *poll, int status, int events)
{
	struct sock *s = poll->data;
	bool blocked;

	if (!s)
		return;
	if (status < 0) {
		s->events = 0;
		events = UV_READABLE;
	}

	mem_ref(s);
	switch (s->state) {
	case CONNECT:
		connected(s);
		break;
	case HANDSHAKE:
		handshake(s);
		break;
	case UP:
		if (events & UV_READABLE)
			s->h->readh(s->arg);
		if (!s->poll || mem_nrefs(s) == 1)
			break;
		blocked = s->blocked;
		s->blocked = false;
		/* also after EPOLLERR, when there is more to read */
		poll_for(s, UV_READABLE);
		if (blocked)
			s->h->sendh(s->arg);
		break;
	default:
		break;
	}
	mem_deref(s);
}

static void timeout_handler(void *arg)
{
	struct sock *s = arg;

	if (s->state == CONNECT)
		try_next(s, ETIMEDOUT);
	else
		fail(s, s->state == RESOLVE ? "name lookup timed out"
					    : "TLS: handshake timed out");
}

static void lookup_handler(uv_getaddrinfo_t *lookup, int status,
			   struct addrinfo *ai)
{
	struct sock *s = lookup->data;

	mem_raw_free(lookup);
	if (!s) { /* closed meanwhile */
		uv_freeaddrinfo(ai);
		return;
	}

	s->lookup = NULL;
	if (status || s->state != RESOLVE) {
		uv_freeaddrinfo(ai);
		if (status && s->state == RESOLVE)
			fail(s, "name lookup failed");
		return;
	}

	s->addrs = s->next = ai;
	for (unsigned n = 1; ai; ai = ai->ai_next, n++) {
		if (n == ADDRESSES_MAX && ai->ai_next) {
			uv_freeaddrinfo(ai->ai_next);
			ai->ai_next = NULL;
		}
	}
	s->state = CONNECT;
	try_next(s, EHOSTUNREACH);
}

static int lookup_start(struct sock *s)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	char port[8];
	int err;

	s->lookup = mem_raw_malloc(sizeof(*s->lookup));
	if (!s->lookup)
		return ENOMEM;

	(void)snprintf(port, sizeof(port), "%u", s->port);
	err = uv_getaddrinfo(loop_uv(s->loop), s->lookup, lookup_handler,
			     s->host, port, &hints);
	if (err) {
		mem_raw_free(s->lookup);
		s->lookup = NULL;
	} else {
		s->lookup->data = s;
	}

	return -err;
}

static void destructor(void *arg)
{
	struct sock *s = arg;

	if (s->lookup) {
		s->lookup->data = NULL;
		(void)uv_cancel((uv_req_t *)s->lookup);
	}
	mem_deref(s->tmr);
	drop_fd(s);
	if (s->addrs)
		uv_freeaddrinfo(s->addrs);
	mem_deref(s->host);
}

int sock_connect(struct sock **sp, struct loop *l, const char *host,
		 uint16_t port, SSL_CTX *tls, uint32_t timeout_ms,
		 const struct sock_handlers *h, void *arg)
{
	struct sock *s = mem_zalloc(sizeof(*s), destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->fd = -1;
	s->loop = l;
	s->port = port;
	s->ctx = tls;
	s->h = h;
	s->arg = arg;
	s->deadline_ms = loop_now_ms(l) + timeout_ms;

	err = str_dup(&s->host, host);
	if (!err)
		err = tmr_alloc(&s->tmr, l, timeout_handler, s);
	if (!err)
		err = lookup_start(s);
	if (err) {
		mem_deref(s);
		return err;
	}

	tmr_start(s->tmr, timeout_ms);
	*sp = s;

	return 0;
}

/* ------------------------------------------------------------- traffic */

/* SSL_get_error() takes whatever stands in the thread's queue of errors, of
 * anybody's TLS, for this socket's: the queue must be empty before */
static int tls_error(const struct sock *s, int rc)
{
	int err = SSL_get_error(s->ssl, rc);

	ERR_clear_error();

	return err == SSL_ERROR_WANT_READ || err == SSL_ERROR_WANT_WRITE
		       ? EAGAIN
		       : ECONNRESET;
}

int sock_recv(struct sock *s, uint8_t *p, size_t size, size_t *np)
{
	ssize_t n;

	if (s->ssl) {
		ERR_clear_error();
		n = SSL_read(s->ssl, p, (int)MIN(size, (size_t)INT32_MAX));
		if (n <= 0)
			return tls_error(s, (int)n);
	} else {
		n = recv(s->fd, p, size, 0);
		if (n < 0)
			return errno == EINTR ? EAGAIN : errno;
		if (!n)
			return ECONNRESET;
	}

	*np = (size_t)n;
	return 0;
}

static int raw_send(struct sock *s, const uint8_t *p, size_t n, size_t *np)
{
	ssize_t rc;

	if (s->ssl) {
		ERR_clear_error();
		rc = SSL_write(s->ssl, p, (int)MIN(n, (size_t)INT32_MAX));
		if (rc <= 0)
			return tls_error(s, (int)rc);
	} else {
		rc = send(s->fd, p, n, MSG_NOSIGNAL);
		if (rc < 0)
			return errno == EINTR ? EAGAIN : errno;
	}

	*np = (size_t)rc;
	return 0;
}

int sock_send(struct sock *s, const uint8_t *p, size_t n, size_t *np)
{
	int err = raw_send(s, p, n, np);

	if (err == EAGAIN) {
		s->blocked = true;
		poll_for(s, UV_READABLE | UV_WRITABLE);
	}

	return err;
}

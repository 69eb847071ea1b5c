/**
 * @file server.h  The daemon: acceptor, workers, door, draining
 *
 * Owner graph: the server owns the acceptor and the workers; a worker owns its
 * loop, its httpd, its backends and its calls.
 *
 * Thread: the main one, whose loop only accepts and waits for signals.
 */
#ifndef CONVOD_SERVER_H
#define CONVOD_SERVER_H

#include <convod/conf.h>
#include <convod/loop.h>

CV_BEGIN_DECLS

struct server;

enum {
	SERVER_START_MS = 5000,   /* for a carrier to send `start`        */
	SERVER_STRIKES_MAX = 10,  /* bad or misplaced messages, then 1008 */
	SERVER_CLOSING_MS = 8000, /* for the closing sentence             */
};

/**
 * Set up everything and listen
 *
 * @param sp     mem_deref() ends all calls at once
 * @param l      The main thread's loop
 * @param conf   A reference is kept
 * @param errbuf CONF_ERR_MAX bytes; on error says what is wrong
 */
CV_NODISCARD int server_alloc(struct server **sp, struct loop *l,
			      struct conf *conf, char *errbuf);

/**
 * Set up everything but listening, and take it down again: what a wrong
 * setting would make server_alloc() refuse is refused here
 *
 * @param errbuf CONF_ERR_MAX bytes; on error says what is wrong
 */
CV_NODISCARD int server_check(struct conf *conf, char *errbuf);

/**
 * Not ready any more, accept nothing, let calls end for `drain_seconds`, then
 * say the closing sentence; doneh when no call is left
 */
void server_drain(struct server *s, void (*doneh)(void *arg), void *arg);

uint16_t server_port(const struct server *s);
uint16_t server_admin_port(const struct server *s);

CV_END_DECLS

#endif

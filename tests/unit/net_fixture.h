/**
 * @file net_fixture.h  A loop with an HTTP client, and an end to waiting
 *
 * Set up again and again by what runs out of memory on purpose, so errors are
 * returned.
 */
#ifndef NET_FIXTURE_H
#define NET_FIXTURE_H

#include <convod/http.h>
#include <convod/loop.h>
#include <convod/mem.h>
#include <convod/net.h>
#include "test.h"

/* Of a test that waits for what never comes, and of a request that is to be
 * answered; a busy machine is no reason */
enum { GIVE_UP_MS = 60000, TIMEOUT_MS = 30000 };

static inline void net_give_up(void *arg)
{
	(void)arg;
	fail_msg("nothing happened for %d ms", GIVE_UP_MS);
}

static inline int net_open(struct net *net, struct tmr **watchdog)
{
	int err = loop_alloc(&net->loop);

	if (!err)
		err = tmr_alloc(watchdog, net->loop, net_give_up, NULL);
	if (!err)
		err = http_client_alloc(&net->http, net->loop);
	if (!err)
		tmr_start(*watchdog, GIVE_UP_MS);

	return err;
}

static inline void net_close(struct net *net, struct tmr **watchdog)
{
	net->http = mem_deref(net->http);
	*watchdog = mem_deref(*watchdog);
	net->loop = mem_deref(net->loop);
}

#endif

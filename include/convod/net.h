/**
 * @file net.h  What a backend gets to talk to the world: one per worker
 */
#ifndef CONVOD_NET_H
#define CONVOD_NET_H

#include <convod/loop.h>

CV_BEGIN_DECLS

struct http_client;

struct net {
	struct loop *loop;
	struct http_client *http;
	unsigned engine_threads; /* of each embedded engine; 0: half the
				  * cores, at least 1 */
};

CV_END_DECLS

#endif

/**
 * @file healthcheck.c  `convod --healthcheck`, for containers
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/http.h>
#include <convod/loop.h>
#include <convod/mem.h>
#include "healthcheck.h"

enum { HEALTHCHECK_MS = 3000 };

struct check {
	struct loop *loop;
	int err;
};

static void done_handler(int err, const struct http_resp *resp, void *arg)
{
	struct check *c = arg;

	c->err = err ? err : resp->status == 200 ? 0 : EREMOTEIO;
	loop_stop(c->loop);
}

/* ADMIN_PORT has no TLS, whose certificate names no loopback */
static void print_url(char *url, size_t size, const struct conf *conf)
{
	const char *host = conf->admin_host;

	if (!*host || !strcmp(host, "0.0.0.0"))
		host = "127.0.0.1";
	else if (!strcmp(host, "::"))
		host = "::1";

	(void)snprintf(url, size,
		       strchr(host, ':') ? "http://[%s]:%u/healthz"
					 : "http://%s:%u/healthz",
		       host, conf->admin_port);
}

int healthcheck(const struct conf *conf)
{
	struct http_param prm = {.timeout_ms = HEALTHCHECK_MS,
				 .body_max = 1024};
	struct check c = {.err = ENOMEM};
	struct http_client *client = NULL;
	struct http_req *req = NULL;
	char url[300];
	int err;

	print_url(url, sizeof(url), conf);
	prm.url = url;

	err = loop_alloc(&c.loop);
	if (!err)
		err = http_client_alloc(&client, c.loop);
	if (!err)
		err = http_request(&req, client, &prm, NULL, done_handler, &c);
	if (!err)
		loop_run(c.loop);

	mem_deref(req);
	mem_deref(client);
	mem_deref(c.loop);
	if (err || c.err)
		fprintf(stderr, "convod: %s: %s\n", url,
			strerror(err ? err : c.err));

	return err ? err : c.err;
}

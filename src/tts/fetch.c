/**
 * @file fetch.c  Audio by its URL: from allowed origins only, into a clip
 *
 * Owner graph: the user owns the fetch, which owns the stream (stream.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/addr.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "stream.h"

struct fetch {
	struct stream *stream;
	struct clip *clip;
	char origin[HTTP_ORIGIN_MAX];
	char *hosts;
	char *call_id;
	uint64_t start_us;
};

/* --------------------------------------------------------------- policy */

/* The dialog manager is where it was configured to be; where a listed name
 * leads is for whoever runs its name server to say, so that is judged. */
static enum http_verdict allow_handler(const char *url, void *arg)
{
	struct fetch *f = arg;
	char origin[HTTP_ORIGIN_MAX];
	struct log_buf b;

	if (url_origin(origin, sizeof(origin), url))
		return HTTP_REFUSE;
	if (str_eq(origin, f->origin))
		return HTTP_TRUST;
	if (net_hosts_has(f->hosts, strstr(origin, "://") + 3))
		return HTTP_JUDGE;

	log_warn(f->call_id, "origin of reply audio not allowed",
		 "origin=\"%s\"", log_escape(&b, origin));

	return HTTP_REFUSE;
}

static bool addr_handler(const struct sockaddr *sa, void *arg)
{
	struct fetch *f = arg;
	char addr[NET_ADDR_STR_MAX];

	if (net_addr_is_public(sa) || net_hosts_has_addr(f->hosts, sa))
		return true;

	log_warn(f->call_id, "address of reply audio not allowed",
		 "address=\"%s\" hint=\"AUDIO_HOSTS may list it\"",
		 net_addr_print(addr, sizeof(addr), sa));

	return false;
}

/* ---------------------------------------------------------------- fetch */

static void first_handler(void *arg)
{
	const struct fetch *f = arg;

	metrics_latency(M_AUDIO_FIRST, clk_now_us() - f->start_us);
}

static void done_handler(int err, const struct stream_result *res, void *arg)
{
	struct fetch *f = arg;
	struct clip *clip = mem_ref(f->clip);

	metrics_inc(!err            ? M_AUDIO_FETCHED
		    : err == EACCES ? M_AUDIO_REFUSED
				    : M_AUDIO_FAILED);
	if (err)
		log_warn(f->call_id, "reply audio failed",
			 "status=%d err=\"%s\"", res->status, strerror(err));

	clip_end(clip, err); /* a watcher may drop the fetch */
	mem_deref(clip);
}

static void destructor(void *arg)
{
	struct fetch *f = arg;

	mem_deref(f->stream);
	mem_deref(f->clip);
	mem_deref(f->hosts);
	mem_deref(f->call_id);
}

static int copy_param(struct fetch *f, const struct fetch_param *prm)
{
	int err = 0;

	if (prm->origin)
		err = url_origin(f->origin, sizeof(f->origin), prm->origin);
	if (!err && prm->hosts)
		err = str_dup(&f->hosts, prm->hosts);
	if (!err && prm->call_id)
		err = str_dup(&f->call_id, prm->call_id);

	return err;
}

int fetch_audio(void **rp, const struct net *net,
		const struct fetch_param *prm, struct clip *clip)
{
	static const char *const headerv[] = {"Accept: audio/*, */*;q=0.5",
					      NULL};
	struct stream_param sp = {
		.http = {.headerv = headerv,
			 .redirects = true,
			 .allowh = allow_handler,
			 .addrh = addr_handler},
		.format = DECODE_SNIFF,
	};
	struct fetch *f;
	int err;

	if (!rp || !net || !prm || !prm->url || !clip)
		return EINVAL;

	f = mem_zalloc(sizeof(*f), destructor);
	if (!f)
		return ENOMEM;

	f->clip = mem_ref(clip);
	f->start_us = clk_now_us();
	sp.http.url = prm->url;
	sp.timeout_ms = prm->timeout_ms;
	sp.max_ms = prm->max_ms;
	err = copy_param(f, prm);
	if (!err)
		err = stream_alloc(&f->stream, net, &sp, clip, first_handler,
				   done_handler, f);
	if (err)
		mem_deref(f);
	else
		*rp = f;

	return err;
}

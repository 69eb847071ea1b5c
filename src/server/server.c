/**
 * @file server.c  Acceptor and workers, from listening to the last call
 *
 *   serving ──server_drain()──▶ draining ──drain_seconds──▶ closing
 *                                  │ no call left             │ none left
 *                                  ▼                          ▼ or too late
 *                                done ◀───────────────────────┘
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "manners.h"
#include "server_priv.h"

enum {
	POLL_MS = 100, /* is there a call left?               */
	SECOND_MS = 1000,
	FD_OWN = 256, /* descriptors that no call uses       */
	FD_CALL = 3,  /* carrier, dialog manager, audio      */
};

struct server {
	struct shared shared;
	struct loop *loop; /* of the main thread, outlives us */
	struct acceptor *acceptor;
	struct worker **workerv;
	unsigned workerc;
	uint32_t calls_max;
	struct tmr *tmr_handed;
	struct tmr *tmr_drain;
	uint64_t drain_until_ms;
	bool closing;
	void (*doneh)(void *arg);
	void *done_arg;
};

static void destructor(void *arg)
{
	struct server *s = arg;

	atomic_store(&s->shared.ready, false);
	mem_deref(s->tmr_handed);
	mem_deref(s->tmr_drain);
	mem_deref(s->acceptor);
	for (unsigned i = 0; i < s->workerc; i++)
		mem_deref(s->workerv[i]);
	mem_deref(s->workerv);
	mem_deref(s->shared.voice_cache);
	mem_deref(s->shared.prompts);
	mem_deref(s->shared.manners);
	mem_deref(s->shared.registry);
	mem_deref(s->shared.conf);
}

/* ------------------------------------------------------------ picking */

static unsigned load_of(struct worker *w)
{
	return atomic_load(&w->calls) + atomic_load(&w->handed);
}

/*
 * The least loaded worker. What was handed over counts at once, or a burst
 * would land on one of them; a connection that never became a call is
 * forgotten after a second.
 */
static struct httpd *pick_handler(const struct http_head *head, void *arg)
{
	struct server *s = arg;
	struct worker *best = s->workerv[0];

	for (unsigned i = 1; i < s->workerc; i++) {
		if (load_of(s->workerv[i]) < load_of(best))
			best = s->workerv[i];
	}

	if (head->upgrade || !*head->target)
		atomic_fetch_add(&best->handed, 1);

	return best->httpd;
}

static void handed_handler(void *arg)
{
	struct server *s = arg;

	for (unsigned i = 0; i < s->workerc; i++)
		atomic_store(&s->workerv[i]->handed, 0);
	tmr_start(s->tmr_handed, SECOND_MS);
}

/* -------------------------------------------------------------- set-up */

static uint32_t raise_descriptors(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return 1024;

	rl.rlim_cur = rl.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &rl);
	if (getrlimit(RLIMIT_NOFILE, &rl) || rl.rlim_cur > 1000000)
		return 1000000;

	return (uint32_t)rl.rlim_cur;
}

static uint32_t calls_max(const struct conf *conf)
{
	uint32_t fds = raise_descriptors();
	uint32_t fit = fds > FD_OWN + FD_CALL ? (fds - FD_OWN) / FD_CALL : 1;

	return conf->calls_max ? conf->calls_max : fit;
}

static unsigned worker_count(const struct conf *conf)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (conf->workers)
		return conf->workers;

	return cores < 1 ? 1 : (unsigned)MIN(cores, 256);
}

static int setup_voice_cache(struct server *s, char *errbuf)
{
	const struct conf *conf = s->shared.conf;
	const struct voice_cache_param prm = {
		.memory_max = (uint64_t)conf->tts_cache_mb << 20,
		.disk_max = (uint64_t)conf->tts_cache_disk_mb << 20,
		.dir = conf->data_dir,
		.clip_max = (size_t)conf->audio_max_seconds * AUDIO_RATE,
	};
	int err = voice_cache_alloc(&s->shared.voice_cache, &prm);

	if (err && *conf->data_dir)
		(void)snprintf(errbuf, CONF_ERR_MAX, "DATA_DIR: %s: %s",
			       conf->data_dir, strerror(err));

	return err;
}

static int setup_shared(struct server *s, struct conf *conf, char *errbuf)
{
	int err;

	s->shared.conf = mem_ref(conf);
	s->calls_max = calls_max(conf);
	err = registry_alloc(&s->shared.registry, s->calls_max);
	if (!err)
		err = setup_voice_cache(s, errbuf);
	if (err)
		return err;

	err = manners_alloc(&s->shared.manners, conf, errbuf);
	if (err)
		return err;

	return prompts_alloc(&s->shared.prompts, conf, errbuf);
}

static int setup_workers(struct server *s, unsigned n, char *errbuf)
{
	int err = 0;

	s->workerv = mem_zalloc(n * sizeof(*s->workerv), NULL);
	if (!s->workerv)
		return ENOMEM;

	while (s->workerc < n && !err) {
		err = worker_alloc(&s->workerv[s->workerc], s->workerc,
				   &s->shared, errbuf);
		if (!err)
			err = worker_start(s->workerv[s->workerc++]);
	}

	return err;
}

/* Everything but listening */
static int setup(struct server **sp, struct conf *conf, unsigned workers,
		 char *errbuf)
{
	struct server *s = mem_zalloc(sizeof(*s), destructor);
	int err = s ? 0 : ENOMEM;

	errbuf[0] = '\0';
	if (!err)
		err = setup_shared(s, conf, errbuf);
	if (!err)
		err = setup_workers(s, workers, errbuf);

	if (err) {
		if (!*errbuf)
			str_copy(errbuf, CONF_ERR_MAX, strerror(err));
		mem_deref(s);
	} else {
		*sp = s;
	}

	return err;
}

int server_check(struct conf *conf, char *errbuf)
{
	struct server *s = NULL;
	int err = setup(&s, conf, 1, errbuf);

	mem_deref(s);

	return err;
}

static int setup_acceptor(struct server *s, char *errbuf)
{
	const struct conf *conf = s->shared.conf;
	const struct acceptor_param prm = {
		.host = conf->host,
		.port = (uint16_t)conf->port,
		.admin_host = conf->admin_host,
		.admin_port = (uint16_t)conf->admin_port,
		.admin = true,
		.tls = *conf->tls_cert != '\0',
		.pickh = pick_handler,
		.arg = s,
	};
	enum httpd_port failed = HTTPD_PUBLIC;
	int err = acceptor_alloc(&s->acceptor, s->loop, &prm, &failed);
	bool admin = failed == HTTPD_ADMIN;

	if (err)
		(void)snprintf(
			errbuf, CONF_ERR_MAX, "cannot listen on %s %s:%u: %s",
			admin ? "ADMIN_PORT" : "PORT",
			admin ? conf->admin_host : conf->host,
			admin ? conf->admin_port : conf->port, strerror(err));

	return err;
}

static void advice_handler(const char *what, const char *hint, void *arg)
{
	(void)arg;
	log_warn(NULL, what, "hint=\"%s\"", hint);
}

static void log_listening(const struct server *s)
{
	const struct conf *conf = s->shared.conf;
	char asr[256], dialog[256];

	log_info(NULL, "listening",
		 "host=%s port=%u admin_port=%u tls=%s workers=%u "
		 "calls_max=%u "
		 "asr=\"%s\" dialog=\"%s\" language=%s version=%s",
		 conf->host, server_port(s), server_admin_port(s),
		 *conf->tls_cert ? "yes" : "no", s->workerc, s->calls_max,
		 url_mask(asr, sizeof(asr), conf->asr_url),
		 url_mask(dialog, sizeof(dialog), conf->dialog_url),
		 conf->language, CONVOD_VERSION);
	conf_log(conf);
	conf_advise(conf, advice_handler, NULL);
}

int server_alloc(struct server **sp, struct loop *l, struct conf *conf,
		 char *errbuf)
{
	struct server *s = NULL;
	int err = setup(&s, conf, worker_count(conf), errbuf);

	if (err)
		return err;

	s->loop = l;
	err = tmr_alloc(&s->tmr_handed, l, handed_handler, s);
	if (err) {
		str_copy(errbuf, CONF_ERR_MAX, strerror(err));
		goto out;
	}

	/* ready before the first connection can come */
	atomic_store(&s->shared.ready, true);
	tmr_start(s->tmr_handed, SECOND_MS);
	err = setup_acceptor(s, errbuf);
	if (!err)
		log_listening(s);

out:
	if (err)
		mem_deref(s);
	else
		*sp = s;

	return err;
}

uint16_t server_port(const struct server *s)
{
	return acceptor_port(s->acceptor, HTTPD_PUBLIC);
}

uint16_t server_admin_port(const struct server *s)
{
	return acceptor_port(s->acceptor, HTTPD_ADMIN);
}

/* ------------------------------------------------------------ draining */

static void start_closing(struct server *s, uint64_t now_ms)
{
	log_info(NULL, "closing the calls that are left", "calls=%u",
		 registry_count(s->shared.registry));
	s->closing = true;
	s->drain_until_ms = now_ms + SERVER_CLOSING_MS;
	for (unsigned i = 0; i < s->workerc; i++)
		(void)loop_post(s->workerv[i]->net.loop,
				&s->workerv[i]->drain);
}

static void drain_handler(void *arg)
{
	struct server *s = arg;
	uint64_t now = loop_now_ms(s->loop);
	bool over = now >= s->drain_until_ms;

	if (!registry_count(s->shared.registry) || (over && s->closing)) {
		s->doneh(s->done_arg);
		return;
	}

	if (over)
		start_closing(s, now);
	tmr_start(s->tmr_drain, POLL_MS);
}

void server_drain(struct server *s, void (*doneh)(void *arg), void *arg)
{
	uint32_t seconds = s->shared.conf->drain_seconds;

	if (s->doneh)
		return;

	s->doneh = doneh;
	s->done_arg = arg;
	atomic_store(&s->shared.ready, false);
	acceptor_stop(s->acceptor);
	log_info(NULL, "draining", "calls=%u seconds=%u",
		 registry_count(s->shared.registry), seconds);

	s->drain_until_ms = loop_now_ms(s->loop) + seconds * 1000ull;
	if (tmr_alloc(&s->tmr_drain, s->loop, drain_handler, s))
		doneh(arg); /* no memory to wait with */
	else
		tmr_start(s->tmr_drain, 0);
}

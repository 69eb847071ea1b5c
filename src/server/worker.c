/**
 * @file worker.c  A thread that serves calls: loop, httpd, backends
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/engine.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "manners.h"
#include "server_priv.h"

/* --------------------------------------------------------------- HTTP */

static void answer_text(struct http_answer *a, int status, const char *text)
{
	a->status = status;
	a->content_type = "text/plain; charset=utf-8";
	if (str_dup(&a->body, text))
		a->status = 500;
}

static void answer_metrics(const struct worker *w, struct http_answer *a)
{
	char *common = NULL, *ends = NULL;
	int err = metrics_print(&common);

	if (!err)
		err = registry_print(w->shared->registry, &ends);
	if (!err)
		err = str_printf(&a->body, "%s%s", common, ends);

	a->status = err ? 500 : 200;
	a->content_type = "text/plain; version=0.0.4; charset=utf-8";
	mem_deref(common);
	mem_deref(ends);
}

static void request_handler(const struct http_head *head, const char *body,
			    size_t bodyc, struct http_answer *a, void *arg)
{
	const struct worker *w = arg;
	bool admin = head->port == HTTPD_ADMIN;
	char path[64] = "";

	(void)http_head_path(head, path, sizeof(path));

	if (!admin && door_is_webhook(head, body, bodyc))
		answer_text(a, 404, "calls come in on the websocket /convo\n");
	else if (!strcmp(path, "/convo"))
		answer_text(a, 426, "this is a websocket\n");
	else if (strcmp(head->method, "GET") && strcmp(head->method, "HEAD"))
		answer_text(a, 405, "method not allowed\n");
	else if (!strcmp(path, "/healthz"))
		answer_text(a, 200, "ok\n");
	else if (admin && !strcmp(path, "/readyz"))
		answer_text(a, atomic_load(&w->shared->ready) ? 200 : 503,
			    atomic_load(&w->shared->ready) ? "ready\n"
							   : "not ready\n");
	else if (admin && !strcmp(path, "/metrics"))
		answer_metrics(w, a);
	else
		answer_text(a, 404, "not found\n");
}

static int upgrade_handler(struct ws *ws, const struct http_head *head,
			   void *arg)
{
	struct worker *w = arg;
	int status, err;

	if (head->port == HTTPD_ADMIN)
		return 404;

	status = door_check(w->shared->conf, head);
	if (status != 101)
		return status;

	/* A connection that was accepted just before the drain began */
	err = atomic_load(&w->shared->ready) ? convo_alloc(w, ws, head->peer)
					     : EAGAIN;
	if (!err)
		return 101;

	metrics_inc(M_CALLS_REFUSED);
	log_warn(NULL, "call refused", "peer=%s err=\"%s\"", head->peer,
		 err == EAGAIN ? "no room" : strerror(err));

	return 503;
}

/* ------------------------------------------------------------- thread */

static void drain_handler(struct loop_post *p)
{
	struct worker *w = CONTAINER_OF(p, struct worker, drain);
	struct le *le = w->convol.head;

	while (le) {
		struct convo *cv = list_ledata(le);

		le = le->next;
		convo_drain(cv);
	}
}

static void quit_handler(struct loop_post *p)
{
	struct worker *w = CONTAINER_OF(p, struct worker, quit);

	loop_stop(w->net.loop);
}

/* libwebsockets may close a file that another thread is just opening
 * (lws_loop.c), such as a recogniser's model: it would end the process */
static void end_calls(struct worker *w)
{
	engine_settle();
	httpd_close(w->httpd);
	list_flush(&w->convol);
}

static void *worker_thread(void *arg)
{
	struct worker *w = arg;
	char name[16];

	(void)snprintf(name, sizeof(name), "worker-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	if (metrics_thread_init())
		log_warn(NULL, "worker counts in the shared block", NULL);

	loop_run(w->net.loop);
	end_calls(w);

	return NULL;
}

/* The loop goes last: all others hang on it */
static void destructor(void *arg)
{
	struct worker *w = arg;

	if (w->running) {
		if (!loop_post(w->net.loop, &w->quit))
			pthread_join(w->thread, NULL);
	} else {
		end_calls(w);
	}

	mem_deref(w->prewarm);
	mem_deref(w->voice);
	mem_deref(w->dialog);
	mem_deref(w->asr);
	mem_deref(w->httpd);
	mem_deref(w->net.http);
	mem_deref(w->net.loop);
}

/* -------------------------------------------------------------- set-up */

static int setup_httpd(struct worker *w, char *errbuf)
{
	const struct conf *conf = w->shared->conf;
	const struct httpd_param prm = {
		.requesth = request_handler,
		.upgradeh = upgrade_handler,
		.arg = w,
		.tls_cert = *conf->tls_cert ? conf->tls_cert : NULL,
		.tls_key = *conf->tls_key ? conf->tls_key : NULL,
	};
	int err = httpd_alloc(&w->httpd, w->net.loop, &prm);

	if (err == EINVAL)
		(void)snprintf(errbuf, CONF_ERR_MAX,
			       "TLS_CERT, TLS_KEY: cannot be used");

	return err;
}

/* What to write about a URL that no backend took */
struct url_kind {
	const char *name; /* of the setting */
	const char *schemes;
	const char *form; /* of such a URL; "": the log has said it */
};

static int backend_error(int err, char *errbuf, const struct url_kind *kind,
			 const char *url)
{
	char buf[256];
	const char *masked = url_mask(buf, sizeof(buf), url);
	const bool bare = url_is_http(url) && strstr(kind->schemes, "+http");

	if (err == ENOTSUP)
		(void)snprintf(errbuf, CONF_ERR_MAX,
			       "%s: \"%.150s\" does not say %s; it begins "
			       "with one of: %.250s",
			       kind->name, masked,
			       bare ? "whose it is" : "what it is",
			       kind->schemes);
	else if (err == EINVAL)
		(void)snprintf(errbuf, CONF_ERR_MAX,
			       "%s: \"%.150s\" cannot be used%s%s", kind->name,
			       masked, *kind->form ? "; its form is " : "",
			       kind->form);
	else if (err)
		(void)snprintf(errbuf, CONF_ERR_MAX, "%s: \"%.150s\": %s",
			       kind->name, masked, strerror(err));

	return err;
}

static int setup_prewarm(struct worker *w, char *errbuf)
{
	const char *path = w->shared->conf->tts_prewarm;
	unsigned line = 0;
	int err = prewarm_alloc(&w->prewarm, w->voice, path, &line);

	if (err && line)
		(void)snprintf(
			errbuf, CONF_ERR_MAX, "TTS_PREWARM: %s:%u: %s", path,
			line, err == EBADMSG ? "is not UTF-8" : "is too much");
	else if (err)
		(void)snprintf(errbuf, CONF_ERR_MAX, "TTS_PREWARM: %s: %s",
			       path, strerror(err));

	return err;
}

static int setup_engine(struct worker *w, struct voice_engine *e, char *errbuf)
{
	const struct tts_param *prm = e->prm;
	const char *s = prm->setting;
	char name[64];
	const struct url_kind kind = {name, tts_schemes(), ""};

	if (*prm->voice)
		(void)snprintf(name, sizeof(name), "%s_URL or %s_VOICE", s, s);
	else
		(void)snprintf(name, sizeof(name), "%s_URL", s);

	return backend_error(tts_alloc(&e->tts, prm, &w->net), errbuf, &kind,
			     prm->url);
}

/* The voices, and what stands before them */
static int setup_voices(struct worker *w, struct voice_param *prm,
			char *errbuf)
{
	const char *fallback = prm->fallback.prm->url;
	int err = setup_engine(w, &prm->first, errbuf);

	if (!err && *fallback && !str_starts(fallback, "none:"))
		err = setup_engine(w, &prm->fallback, errbuf);
	if (!err)
		err = voice_alloc(&w->voice, prm, &w->net);
	if (!err && !w->index && *w->shared->conf->tts_prewarm)
		err = setup_prewarm(w, errbuf);

	return err;
}

/* Options aside, do two voices speak at the same address? */
static bool same_address(const char *a, const char *b)
{
	size_t n = strcspn(a, "?");

	return n == strcspn(b, "?") && !strncasecmp(a, b, n);
}

static struct tts_param first_param(const struct conf *conf)
{
	return (struct tts_param){
		.url = conf->tts_url,
		.setting = "TTS",
		.voice = conf->tts_voice,
		.language = conf->language,
		.key = conf->tts_key,
		.model = conf->tts_model,
		.timeout_ms = conf->tts_timeout_ms,
		.max_ms = conf->audio_max_seconds * 1000,
	};
}

/* What is not set for the fallback may be that of the first, but a key is
 * shown to nobody but whom it was given for */
static struct tts_param fallback_param(const struct conf *conf)
{
	struct tts_param prm = first_param(conf);
	const bool same = same_address(conf->tts_url, conf->tts_fallback_url);

	prm.url = conf->tts_fallback_url;
	prm.setting = "TTS_FALLBACK";
	prm.voice = conf->tts_fallback_voice;
	if (!same || *conf->tts_fallback_key)
		prm.key = conf->tts_fallback_key;
	if (!same || *conf->tts_fallback_model)
		prm.model = conf->tts_fallback_model;

	return prm;
}

static int setup_voice(struct worker *w, char *errbuf)
{
	const struct conf *conf = w->shared->conf;
	const struct tts_param first = first_param(conf);
	const struct tts_param fallback = fallback_param(conf);
	struct voice_param prm = {
		.first.prm = &first,
		.fallback.prm = &fallback,
		.timeout_ms = conf->tts_timeout_ms,
		.max_ms = conf->audio_max_seconds * 1000,
		.cache = w->shared->voice_cache,
	};
	int err = *first.url ? setup_voices(w, &prm, errbuf) : 0;

	mem_deref(prm.first.tts);
	mem_deref(prm.fallback.tts);

	return err;
}

/* A key goes to nobody but whom it was given for */
static struct dialog_param dialog_param_of(const struct conf *conf)
{
	struct dialog_param dp = {
		.url = conf->dialog_url,
		.language = conf->language,
		.timeout_ms = conf->dialog_timeout_ms,
		.key = conf->dialog_key,
		.model = conf->dialog_model,
		.opening = conf->dialog_opening,
	};

	if (str_starts(dp.url, "voiceflow+")) {
		dp.key = conf->voiceflow_api_key;
		dp.version = conf->voiceflow_version;
		dp.opening = conf->voiceflow_opening;
	} else if (str_starts(dp.url, "openai+") && !*dp.key) {
		dp.key = conf->openai_api_key;
	}

	return dp;
}

/* What to look at when a dialog manager can't be set up */
static const char *dialog_setting(const struct conf *conf)
{
	const char *url = conf->dialog_url;

	if (str_starts(url, "voiceflow+"))
		return "VOICEFLOW_URL, _API_KEY, _VERSION or _OPENING";
	if (*conf->masdif_url && str_starts(url, "masdif+") &&
	    str_eq(strchr(url, '+') + 1, conf->masdif_url))
		return "MASDIF_SERVER_URL";

	return "DIALOG_URL";
}

static int setup_dialog(struct worker *w, char *errbuf)
{
	const struct conf *conf = w->shared->conf;
	struct dialog_param dp = dialog_param_of(conf);
	const struct url_kind kind = {dialog_setting(conf), dialog_schemes(),
				      dialog_form(dp.url)};

	dp.prompt = w->shared->manners->prompt;

	return backend_error(dialog_alloc(&w->dialog, &dp, &w->net), errbuf,
			     &kind, dp.url);
}

static int setup_backends(struct worker *w, char *errbuf)
{
	const struct conf *conf = w->shared->conf;
	const struct asr_param ap = {
		.url = conf->asr_url,
		.language = conf->language,
		.ca_file = *conf->asr_ca_file ? conf->asr_ca_file : NULL,
	};
	const struct url_kind kind = {ap.ca_file
					      ? "ASR_SERVER_URL or ASR_CA_FILE"
					      : "ASR_SERVER_URL",
				      asr_schemes(), asr_form(ap.url)};
	int err;

	err = backend_error(asr_alloc(&w->asr, &ap, &w->net), errbuf, &kind,
			    ap.url);
	if (!err)
		err = setup_dialog(w, errbuf);
	if (!err)
		err = setup_voice(w, errbuf);

	return err;
}

int worker_alloc(struct worker **wp, unsigned index,
		 const struct shared *shared, char *errbuf)
{
	struct worker *w = mem_zalloc(sizeof(*w), destructor);
	int err;

	if (!w)
		return ENOMEM;

	w->index = index;
	w->shared = shared;
	w->drain.h = drain_handler;
	w->quit.h = quit_handler;

	w->net.engine_threads = shared->conf->engine_threads;
	err = loop_alloc(&w->net.loop);
	if (!err)
		err = http_client_alloc(&w->net.http, w->net.loop);
	if (!err) {
		http_client_use_proxy(w->net.http,
				      shared->conf->http_proxy_from_env);
		err = setup_backends(w, errbuf);
	}
	if (!err)
		err = setup_httpd(w, errbuf);

	if (err)
		mem_deref(w);
	else
		*wp = w;

	return err;
}

int worker_start(struct worker *w)
{
	int err = pthread_create(&w->thread, NULL, worker_thread, w);

	w->running = !err;

	return err;
}

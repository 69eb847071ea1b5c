/**
 * @file server_priv.h  Between the files of server/
 */
#ifndef CONVOD_SERVER_PRIV_H
#define CONVOD_SERVER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <convod/asr.h>
#include <convod/call.h>
#include <convod/carrier.h>
#include <convod/clip.h>
#include <convod/conf.h>
#include <convod/dialog.h>
#include <convod/http.h>
#include <convod/httpd.h>
#include <convod/playout.h>
#include <convod/server.h>
#include <convod/tts.h>
#include <convod/voice.h>

struct convo;
struct manners;
struct worker;

/* ------------------------------------------------------------ registry */

/**
 * What must be known across workers: how many calls are up, how they ended.
 * Touched at set-up and at the end of a call, never on the frame path.
 *
 * Thread: any; one lock.
 */
struct registry;

CV_NODISCARD int registry_alloc(struct registry **rp, uint32_t calls_max);

/** Count a carrier's socket; EAGAIN if there are calls_max already */
CV_NODISCARD int registry_enter(struct registry *r);
void registry_leave(struct registry *r);

/** A call that had sent `start` ended; counted by its reason */
void registry_end(struct registry *r, enum call_end reason);

uint32_t registry_count(struct registry *r);

/** `convod_calls_ended_total{reason="…"}` in Prometheus' text format */
CV_NODISCARD int registry_print(struct registry *r, char **textp);

/* ------------------------------------------------------------- prompts */

/** The embedded sentences, shared by all workers */
struct prompts {
	struct clip *clipv[CALL_PROMPTS]; /* no greeting unless set */
	struct clip *filler;
};

/**
 * In the language of the settings, English where there is none, and with the
 * files that they name
 *
 * @param errbuf CONF_ERR_MAX bytes; says which file is wrong, else ""
 */
CV_NODISCARD int prompts_alloc(struct prompts **pp, const struct conf *conf,
			       char *errbuf);

/* ---------------------------------------------------------------- door */

/**
 * May this upgrade come in?
 *
 * @return 101, or the status to refuse with (counted, logged)
 */
int door_check(const struct conf *conf, const struct http_head *head);

/** Is this what a carrier asks before a call? Logged: its number was given our
 * address, where it needs TwiML that leads here */
bool door_is_webhook(const struct http_head *head, const char *body,
		     size_t bodyc);

/* -------------------------------------------------------------- worker */

/** What all workers share; read-only or with locks of its own */
struct shared {
	struct conf *conf;
	struct registry *registry;
	struct prompts *prompts;
	struct voice_cache *voice_cache;
	struct manners *manners;
	atomic_bool ready; /* takes calls */
};

struct worker {
	unsigned index;
	const struct shared *shared;
	struct net net;
	struct httpd *httpd;
	struct asr *asr;
	struct dialog *dialog;
	struct voice *voice; /* NULL: there is none */
	struct prewarm *prewarm;
	struct list convol;

	/* scratch of the frame path */
	uint8_t audio[CARRIER_MESSAGE_MAX];
	char message[WS_PRE_BYTES +
		     CARRIER_MEDIA_SIZE(PLAYOUT_MESSAGE_MS * 8) +
		     CARRIER_CONTROL_SIZE];

	pthread_t thread;
	bool running;
	struct loop_post drain;
	struct loop_post quit;
	atomic_uint calls;  /* sockets that are up */
	atomic_uint handed; /* handed over in this second */
};

/** Set up, without its thread; errbuf says what is wrong */
CV_NODISCARD int worker_alloc(struct worker **wp, unsigned index,
			      const struct shared *shared, char *errbuf);

/** Start the thread; without it the caller of this turns the loop */
CV_NODISCARD int worker_start(struct worker *w);

/* --------------------------------------------------------------- convo */

/** Serve a websocket on /convo, from inside the upgrade handler */
CV_NODISCARD int convo_alloc(struct worker *w, struct ws *ws,
			     const char *peer);
void convo_drain(struct convo *cv);

#endif

/**
 * @file voice_priv.h  Between voice.c, work.c and work_source.c
 *
 *	voice.c        what callers ask for: whose is it to speak, is it in
 *	               memory, is it on its way already?
 *	work.c         one text on its way: its clip, who wants it, its end
 *	work_source.c  what fills that clip: another worker, a file, a voice
 *
 * Owner graph: requests own their work; the voice owns a work while it
 * arrives; a work owns its source (request, file job, seat, or a request on
 * the fallback's work), and points weakly to the voice.
 */
#ifndef CONVOD_VOICE_PRIV_H
#define CONVOD_VOICE_PRIV_H

#include <convod/voice.h>
#include "cache_priv.h"

enum { FIRST, FALLBACK, ENGINES };

struct engine {
	struct tts *tts; /* NULL: there is none */
	struct voice_key key;
	char *language;
};

struct voice {
	const struct net *net;
	struct voice_cache *cache;
	struct engine enginev[ENGINES];
	struct breaker *breaker; /* of the first */
	uint32_t timeout_ms;
	size_t clip_max;
	struct list workl; /* arriving */
	unsigned unwanted; /* of them: finished for the cache */
	struct voice_req *probe;
};

/** What is to be spoken, by whom */
struct spec {
	unsigned engine;
	const char *text; /* clean */
	const char *voice;
	const char *language;
	const char *call_id;
	bool probe; /* tries the first though its circuit is open */
};

/** A text on its way */
struct work {
	struct le le;
	struct voice *v; /* weak; NULL: ended */
	struct voice_key key;
	struct spec spec;
	char *textv[4]; /* what spec points to */
	struct clip *clip;
	unsigned wanted; /* requests */
	bool unwanted;   /* yet it goes on */

	/* what fills the clip */
	struct flight_seat *seat;
	struct cache_read *read;
	struct clip *from;
	struct clip_watch watch;
	size_t taken, words_taken; /* of from */
	size_t silent;             /* that a voice has begun with */
	bool speaking;             /* from is a voice's */
	bool fell_back;
	void *request;
	struct tmr *tmr; /* until the fallback takes over */
};

/* -------------------------------------------------------------- voice.c */

/** Would the fallback speak that if the first does not? */
bool voice_has_fallback(const struct voice *v, const struct spec *spec);

/** voice_speak() of a text that is clean, by the engine that spec names */
CV_NODISCARD int voice_speak_spec(struct voice_req **rp, struct clip **clipp,
				  struct voice *v, const struct spec *spec);

/* --------------------------------------------------------------- work.c */

/** The work that such a text is on its way by, or NULL */
struct work *work_find(const struct voice *v, const struct voice_key *key);

/** Set a text on its way; the work, with its clip, may have ended at once */
CV_NODISCARD int work_start(struct work **wp, struct voice *v,
			    const struct spec *spec,
			    const struct voice_key *key);

/** One more wants it, and one less */
void work_want(struct work *w);
void work_unwant(struct work *w);

/** Take it out of everything; its clip is left as it is */
void work_close(struct work *w);

/* For its source. All of these may end the work, and with it the source. */

/** From now on its samples come from there */
void work_set_source(struct work *w, struct clip *from);

/** Hand on what is new in w->from */
CV_NODISCARD int work_take(struct work *w);

/** All is there */
void work_complete(struct work *w);

/** The source has failed: the next one, if nothing was heard yet */
void work_failed(struct work *w, int err);

/* -------------------------------------------------------- work_source.c */

/** The first source. Nobody watches the clip yet: what fails here ends it. */
void source_begin(struct work *w);

/** Another voice, that speaks the same into the same clip */
CV_NODISCARD int source_fall_back(struct work *w);

void source_drop(struct work *w);

#endif

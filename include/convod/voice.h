/**
 * @file voice.h  A text becomes a clip: from the cache, or by a voice
 *
 * One per worker, over the backends of tts.h. A text that was spoken before
 * comes from the cache; one that is being spoken right now, for whichever call
 * of the process, is shared; all others go to the first voice. When that one
 * fails, or has not begun in time, before a single sample came, the fallback
 * speaks into the same clip. A voice that fails again and again is left alone
 * for a while: texts go to the fallback at once, and a probe in the background
 * finds out when the voice is back, so that nobody waits for it.
 *
 * A text is requested once in the process, however many calls want it. While
 * it arrives, the calls of a worker share its clip, and the other workers get
 * copies of the samples as they come (a message to their loops for each piece,
 * so well below a millisecond later).
 *
 * Whoever stops listening (mem_deref() of the request) stops the synthesis if
 * nobody else wants it, unless it is as good as made: VOICE_FINISH_BYTES of
 * text or less, or half of it there, and a sample has come. Then it is
 * finished for the cache, VOICE_FINISH_MAX at a time and worker. So is what
 * another worker had asked for as well. A text that was cut short is never
 * cached.
 *
 * Thread: loop.
 */
#ifndef CONVOD_VOICE_H
#define CONVOD_VOICE_H

#include <convod/cache.h>
#include <convod/net.h>
#include <convod/tts.h>

CV_BEGIN_DECLS

enum {
	VOICE_FINISH_BYTES = 300, /* some 20 s of speech */
	VOICE_FINISH_MAX = 16,
};

struct voice;
struct voice_req;

/** A backend that is set up, and with what */
struct voice_engine {
	struct tts *tts;
	const struct tts_param *prm;
};

struct voice_param {
	struct voice_engine first;
	struct voice_engine
		fallback;    /* none: tts is NULL, or the same again */
	uint32_t timeout_ms; /* until the fallback takes over from the first */
	uint32_t max_ms;     /* longest clip */
	struct voice_cache *cache; /* shared by all workers */
};

/** Keeps references to the backends and the cache; net outlives it */
CV_NODISCARD int voice_alloc(struct voice **vp, const struct voice_param *prm,
			     const struct net *net);

/** The loop it lives on */
struct loop *voice_loop(const struct voice *v);

/**
 * Speak a text
 *
 * @param rp      The request, mem_deref(): this caller wants it no more; NULL
 *                if the clip has ended already (it was in memory)
 * @param clipp   Set to a new reference: an ended clip that must not be
 *                changed, or one that arrives and ends later, maybe with an
 *                error. Its words count bytes of the text as voice_clean()
 *                leaves it, see voice_text_pos()
 * @param call_id For logs
 *
 * @return 0; ENODATA: nothing that can be spoken; ENOMEM; or why neither voice
 *         can
 */
CV_NODISCARD int voice_speak(struct voice_req **rp, struct clip **clipp,
			     struct voice *v, const struct tts_text *t,
			     const char *call_id);

/* ----------------------------------------------------------------- keys */

/**
 * Bring a text into the form that is spoken and looked up: no blanks at its
 * ends, one blank between words; a newline where there was one, for it may end
 * a sentence
 *
 * @param dst strlen(text) + 1 bytes
 *
 * @return bytes without the zero
 */
size_t voice_clean(char *dst, const char *text);

/** Byte in a text that a byte of its clean form stands at */
size_t voice_text_pos(const char *text, size_t clean_pos);

/** What stands for a voice in keys: all that its audio depends on but the
 * text, without secrets */
CV_NODISCARD int voice_engine_key(struct voice_key *key,
				  const struct tts_param *prm);

/**
 * Key of a text
 *
 * @param clean    As voice_clean() made it
 * @param voice    May be NULL, as language
 */
CV_NODISCARD int voice_key(struct voice_key *key,
			   const struct voice_key *engine, const char *voice,
			   const char *language, const char *clean);

/* ------------------------------------------------------------- prewarm */

enum {
	PREWARM_LINES_MAX = 10000,
	PREWARM_FILE_MAX = 4 << 20,
	PREWARM_AT_ONCE = 4,
};

/** Speaks the lines of a file in the background, so that they are cached */
struct prewarm;

/**
 * Read a file now (one text a line, `#` begins a comment line), and speak its
 * texts once the loop turns, PREWARM_AT_ONCE at a time. mem_deref() stops it.
 *
 * @param line Set to the line that is wrong, or 0
 *
 * @return 0; EBADMSG: not UTF-8; EOVERFLOW: too much; ENOMEM; or why it cannot
 *         be read
 */
CV_NODISCARD int prewarm_alloc(struct prewarm **pp, struct voice *v,
			       const char *path, unsigned *line);

CV_END_DECLS

#endif

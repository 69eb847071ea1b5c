/**
 * @file tts.h  Voices, and audio fetched by URL: both fill a clip
 *
 * Thread: loop. A request owns a reference to its clip; mem_deref() of the
 * request cancels it, the clip is then left as it is, not ended.
 */
#ifndef CONVOD_TTS_H
#define CONVOD_TTS_H

#include <convod/clip.h>
#include <convod/net.h>

CV_BEGIN_DECLS

struct tts; /* a voice set up, one per worker; embedded by backends */

/** Settings; strings are valid during alloc() only, "" or NULL: not set */
struct tts_param {
	const char *url;
	const char *setting; /* what the names of its settings begin with, for
			      * messages; not set: TTS */
	const char *voice;   /* not set: the backend's default */
	const char *language;
	const char *key; /* secret */
	const char *model;
	uint32_t timeout_ms; /* until the first sample, and how far the audio
			      * may come behind real time; 0: no limit */
	uint32_t max_ms;     /* of audio for one text; 0: as the clip takes */
};

/** What to speak; valid until speak() returns */
struct tts_text {
	const char *text;     /* UTF-8; a sentence, or some */
	const char *voice;    /* not set: the configured one */
	const char *language; /* BCP-47; not set: the configured one */
};

struct tts_backend {
	const char *name;
	const char *schemev[4];

	int (*alloc)(struct tts **tp, const struct tts_param *prm,
		     const struct net *net);
	/**
	 * Speak a text into a clip, sentence by sentence, so that the first
	 * can be heard while the next is made. clip_end() comes always, later,
	 * unless the request is dropped.
	 *
	 * The clip ends with 0; ENODATA: not a sample; EREMOTEIO: the vendor
	 * said no; EBADMSG: something else than audio; ETIMEDOUT; or another
	 * errno. What came before an error stays in it, to be played.
	 *
	 * @param rp Request; mem_deref() cancels, and closes its connection
	 */
	int (*speak)(void **rp, struct tts *t, const struct tts_text *text,
		     struct clip *clip);
};

struct tts {
	const struct tts_backend *be;
};

extern const struct tts_backend tts_azure;
extern const struct tts_backend tts_convert;
extern const struct tts_backend tts_deepgram;
extern const struct tts_backend tts_elevenlabs;
extern const struct tts_backend tts_flite;
extern const struct tts_backend tts_openai;
extern const struct tts_backend tts_tiro;

CV_NODISCARD int tts_alloc(struct tts **tp, const struct tts_param *prm,
			   const struct net *net);
const char *tts_schemes(void);

/* -------------------------------------------------- audio by its URL */

struct fetch_param {
	const char *url;
	const char *origin;  /* of the dialog manager: allowed            */
	const char *hosts;   /* further hosts allowed, as in addr.h
				* (AUDIO_HOSTS), or NULL                    */
	uint32_t timeout_ms; /* until the first sample, and without bytes */
	uint32_t max_ms;     /* AUDIO_MAX_SECONDS                         */
	const char *call_id; /* for logs                                  */
};

/**
 * Fetch audio and decode it off the loop into a clip as it arrives. The clip
 * ends with 0; EACCES: origin or address not allowed; EBADMSG: not audio;
 * EREMOTEIO: error status; or an error of http_done_h or decoder_push().
 */
CV_NODISCARD int fetch_audio(void **rp, const struct net *net,
			     const struct fetch_param *prm, struct clip *clip);

CV_END_DECLS

#endif

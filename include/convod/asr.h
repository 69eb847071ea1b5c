/**
 * @file asr.h  Speech recognisers
 *
 * Two layers. A *backend* (one file each, chosen by URL scheme) opens streams:
 * PCM in, results out, and an end with a reason. The *session* of a call
 * (asr.c) feeds a backend's streams from the call's ring in blocks, opens a
 * new stream when one breaks, replays from the kept position, drops words that
 * come twice, and gives up when that is useless. No word is lost.
 *
 * Thread: loop.
 */
#ifndef CONVOD_ASR_H
#define CONVOD_ASR_H

#include <convod/net.h>
#include <convod/ring.h>

CV_BEGIN_DECLS

enum {
	ASR_BLOCK_MS = 100,   /* audio in one message, 60..100         */
	ASR_REPLAY_MS = 4000, /* how far back a new stream may start   */
	ASR_REPLAY_SPEED = 4, /* times real time, at most              */
	ASR_BACKOFF_MIN_MS = 100,
	ASR_BACKOFF_MAX_MS = 5000,
	ASR_TEXT_MAX = 4096,  /* bytes of a transcript; more is cut     */
	ASR_FINISH_MS = 3000, /* for the last result after the end      */
	ASR_STALL_MS = 5000,  /* a stream that takes no audio is broken */
	ASR_DEAF_MS = 10000,  /* so is one without any result so long
			       * after ASR_DEAF_SPEECH_MS of speech     */
	ASR_DEAF_SPEECH_MS = 3000,
	ASR_UP_MS = 1000, /* a stream that lives so long is up      */
	ASR_TRIES = 10,
};

/** A recognised word; times are those of the stream it came from */
struct asr_word {
	const char *text;
	uint32_t start_ms;
	uint32_t end_ms;
};

/** Valid until the handler returns. Text is valid UTF-8, maybe "". */
struct asr_result {
	bool final;
	bool rejected; /* heard speech that it could make no
				       * sense of: final, text ""          */
	const char *text;
	const struct asr_word *wordv; /* NULL where the recogniser has none */
	size_t wordc;
	uint64_t end_pos; /* session only: sample position of the
				       * end of the last word, 0 if unknown */
};

typedef void(asr_result_h)(const struct asr_result *res, void *arg);

/** What to do after a stream has ended; the policy table of asr.md 3.9 */
enum asr_end {
	ASR_END_OK,     /* normal end after finish()                      */
	ASR_END_REOPEN, /* routine limit: open again at once, a stream younger
			 * than ASR_UP_MS after ASR_BACKOFF_MIN_MS        */
	ASR_END_RETRY,  /* broken: open again with back-off               */
	ASR_END_FATAL,  /* refused for good: configuration, authorisation */
};

typedef void(asr_close_h)(enum asr_end end, const char *why, void *arg);

/* ------------------------------------------------------------ backends */

struct asr;        /* a backend set up for one server, one per worker; a
		    * backend's own struct embeds it as first member        */
struct asr_stream; /* likewise */

struct asr_param {
	const char *url;      /* with scheme; user:password possible       */
	const char *language; /* BCP-47                                    */
	const char *ca_file;  /* further trusted certificates, or NULL     */
};

struct asr_stream_param {
	const char *conversation; /* id, never empty                        */
	const char *call_id;      /* for logs                               */
};

struct asr_backend {
	const char *name;       /* for logs and metrics                      */
	const char *schemev[4]; /* URL schemes that select it, NULL-ended   */
	const char *form;       /* of its URL, for who got it wrong         */

	/** Set up; never blocks. EINVAL: something in the URL is wrong */
	int (*alloc)(struct asr **ap, const struct asr_param *prm,
		     const struct net *net);
	/** Open a stream; calls no handler from inside. mem_deref() of the
	 * stream abandons it. */
	int (*open)(struct asr_stream **sp, struct asr *a,
		    const struct asr_stream_param *prm, asr_result_h *resulth,
		    asr_close_h *closeh, void *arg);
	/** Send n samples at a->srate; ENOBUFS: nothing taken, ask later */
	int (*write)(struct asr_stream *s, const int16_t *pcmv, size_t n);
	/** No more audio: last results come, then close */
	void (*finish)(struct asr_stream *s);
};

struct asr {
	const struct asr_backend *be; /* set by asr_alloc(), as is loop */
	struct loop *loop;
	uint32_t srate;    /* Hz of write(): 8000 or 16000 */
	uint32_t block_ms; /* audio it wants in one write, 20..100 */
};

struct asr_stream {
	struct asr *asr; /* reference */
	asr_result_h *resulth;
	asr_close_h *closeh;
	void *arg;
};

extern const struct asr_backend asr_axy, asr_pocketsphinx;

/**
 * Set up a recogniser from its URL
 *
 * @return 0; ENOTSUP: no backend for the scheme in this build; EINVAL; ENOMEM
 */
CV_NODISCARD int asr_alloc(struct asr **ap, const struct asr_param *prm,
			   const struct net *net);

/** Schemes in this build, "grpc grpcs …"; for messages */
const char *asr_schemes(void);

/** How such a URL looks; "" where no recogniser has its scheme */
const char *asr_form(const char *url);

/* ----------------------------------------------- the session of a call */

struct asr_session;

enum asr_state {
	ASR_CONNECTING,
	ASR_UP,     /* a stream is open and has given no error        */
	ASR_BROKEN, /* between streams, trying again                  */
	ASR_DOWN,   /* given up                                       */
	ASR_ENDED,  /* after asr_session_finish(): last result is in  */
};

typedef void(asr_state_h)(enum asr_state state, const char *why, void *arg);

struct asr_session_param {
	const char *conversation;
	const char *call_id;
	uint32_t replay_ms; /* 0: ASR_REPLAY_MS */
	uint32_t tries;     /* streams in a row that break without a single
				* result before ASR_DOWN; 0: ASR_TRIES */
};

/**
 * @param ring The call's ring; this session is its consumer from now on
 */
CV_NODISCARD int asr_session_alloc(struct asr_session **sp, struct asr *a,
				   struct ring *ring,
				   const struct asr_session_param *prm,
				   asr_result_h *resulth, asr_state_h *stateh,
				   void *arg);

/**
 * New audio is in the ring: send it if a block is full. Cheap, to be called
 * for every frame. May call a handler.
 *
 * @param now_us Time the newest frame was received, of clk_now_us()
 */
void asr_session_audio(struct asr_session *s, uint64_t now_us);

/**
 * The caller was heard speaking up to this position (voice activity); to be
 * called for every frame of speech
 */
void asr_session_speech(struct asr_session *s, uint64_t pos);

/**
 * The caller is gone: send what is left, half-close, wait for the last result
 * (ASR_FINISH_MS, and what catching up takes), then ASR_ENDED. Calls no
 * handler from inside.
 */
void asr_session_finish(struct asr_session *s);

CV_END_DECLS

#endif

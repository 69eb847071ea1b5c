/**
 * @file dialog.h  Dialog managers: what the caller said in, what to do out
 *
 * A *backend* is one file, chosen by URL scheme. A session is one call's
 * conversation. A session has at most one turn in flight; its reply comes as
 * acts, in order, maybe in pieces while the dialog manager still thinks, then
 * done. The acts are the one vocabulary that every dialog manager is put
 * into; nothing above this header knows more.
 *
 * Thread: loop.
 */
#ifndef CONVOD_DIALOG_H
#define CONVOD_DIALOG_H

#include <jansson.h>
#include <convod/net.h>

CV_BEGIN_DECLS

struct clip;

enum {
	DIALOG_ID_MAX = 128,
	DIALOG_TEXT_MAX = 8192,
	DIALOG_PAUSE_MAX_MS = 10000,
	DIALOG_DIGITS_MAX = 64,
};

/* ------------------------------------------------------------ the reply */

enum dialog_act_type {
	DIALOG_SAY,      /* text in a voice and language                   */
	DIALOG_PLAY,     /* url, or clip; text is what it says, if known   */
	DIALOG_PAUSE,    /* ms of silence                                  */
	DIALOG_COLLECT,  /* the keys that come next belong together        */
	DIALOG_TRANSFER, /* text is the number, for the log;       
			  * name is the mode ("blind" if not set)          */
	DIALOG_HANGUP,   /* when everything before it was heard            */
	DIALOG_RECORD,   /* on: from now on record the call, or no longer  */
	DIALOG_SILENCE,  /* ms without a word, counted from the end of this
			  * reply's audio, after which the dialog manager is
			  * asked with a turn DIALOG_NOBODY; once          */
	DIALOG_SET,      /* the call's variable name is text               */
	DIALOG_NOTE,     /* text, for the log of the call                  */
};

/** One act; all that it points to is valid until the handler returns. Strings
 * that are not set may be NULL. */
struct dialog_act {
	enum dialog_act_type type;
	const char *text;
	const char *url;      /* absolute                                    */
	const char *origin;   /* of the backend: fetching from it is allowed */
	struct clip *clip;    /* PLAY: audio that is there or arriving       */
	const char *voice;    /* SAY; not set: the configured one            */
	const char *language; /* SAY, BCP-47; not set: the call's          */
	bool uninterruptible; /* SAY, PLAY: the caller hears all of it     */
	uint32_t ms;          /* PAUSE, SILENCE; COLLECT: between two keys */
	uint32_t digits;      /* COLLECT: complete with so many, 0: any    */
	const char *finish;   /* COLLECT: keys that end it; not set:
			       * DTMF_FINISH_KEY                       */
	bool sensitive;       /* COLLECT: for nobody's eyes but yours      */
	bool on;              /* RECORD                                    */
	const char *name;     /* SET, TRANSFER                             */
};

/** The session is open: its conversation id, or why not */
typedef void(dialog_open_h)(int err, const char *conversation, void *arg);
typedef void(dialog_act_h)(const struct dialog_act *act, void *arg);

/**
 * The turn is over
 *
 * @param err 0; EPROTO nonsense; ETIMEDOUT; ECONNREFUSED and other errors of
 *            http_done_h; EREMOTEIO an error status
 */
typedef void(dialog_done_h)(int err, void *arg);

struct dialog_handlers {
	dialog_open_h *openh;
	dialog_act_h *acth;
	dialog_done_h *doneh;
};

/* ------------------------------------------------------------- the turn */

enum dialog_turn_kind {
	DIALOG_OPENING, /* nobody has spoken, the bot begins; text is ""   */
	DIALOG_SPEECH,  /* the recogniser's text, maybe keys along with it */
	DIALOG_KEYS,    /* text is what was keyed in: 0-9 * # A-D          */
	DIALOG_NOISE,   /* heard, but not understood; text is ""           */
	DIALOG_NOBODY,  /* nobody has spoken for long; text is ""          */
};

struct dialog_turn {
	enum dialog_turn_kind kind;
	const char *text;     /* UTF-8, trimmed */
	const char *language; /* BCP-47 */
	bool sensitive;       /* keep text out of logs */

	/** The caller did not hear all of the last answer */
	bool interrupted;
	uint32_t heard_ms;  /* of the audio of that answer */
	const char *heard;  /* the part of its text that was heard, cut at a
			     * word; "" if none or not known */
	const json_t *vars; /* variables set by DIALOG_SET; object or NULL */
};

/* --------------------------------------------------------------- backends */

struct dialog;         /* a backend set up, one per worker                  */
struct dialog_session; /* a backend's own struct embeds it as first member  */

/** Settings; strings are valid during alloc() only, "" or NULL: not set */
struct dialog_param {
	const char *url;
	const char *language; /* BCP-47 */
	uint32_t timeout_ms;  /* of a turn */
	const char *key;      /* secret */
	const char *model;
	const char *prompt;  /* what the model is told to be, the text of it */
	const char *version; /* of the bot */
	const char *opening; /* how to begin */
};

/** What is known of the call; valid during open() only */
struct dialog_call {
	const char *call_id;
	const char *caller; /* "" if not known */
	const char *called;
	const json_t *params; /* of the carrier, object or NULL */
	const char *greeting; /* text that the caller hears first, if it is
			       * not for the dialog manager to greet */
};

struct dialog_backend {
	const char *name;
	const char *schemev[4];
	const char *form; /* of its URL and key, for who got them wrong */

	int (*alloc)(struct dialog **dp, const struct dialog_param *prm,
		     const struct net *net);
	/** Open a session; openh comes later, exactly once, always: if the
	 * dialog manager can't be reached, with an error. turn() then tries to
	 * open again by itself. mem_deref() abandons all. */
	int (*open)(struct dialog_session **sp, struct dialog *d,
		    const struct dialog_call *call,
		    const struct dialog_handlers *h, void *arg);
	/** Start a turn; EBUSY while one is in flight. A kind of turn that the
	 * dialog manager has no notion of is done at once, without an act. */
	int (*turn)(struct dialog_session *s, const struct dialog_turn *t);
	/** Abandon the turn in flight; no act and no done comes after */
	void (*cancel)(struct dialog_session *s);

	/** Does it speak first? Then a turn DIALOG_OPENING begins */
	bool opens;
	/** Does a cancelled turn leave no trace in the dialog? Only then may
	 * what the caller adds replace it */
	bool forgets;
	/** Does it know what to do with DIALOG_NOBODY? */
	bool knows_nobody;
};

struct dialog {
	const struct dialog_backend *be;
};

struct dialog_session {
	struct dialog *dialog; /* reference */
	struct dialog_handlers h;
	void *arg;
};

extern const struct dialog_backend dialog_masdif, dialog_voiceflow;
extern const struct dialog_backend dialog_openai, dialog_rasa, dialog_webhook;
extern const struct dialog_backend dialog_demo, dialog_echo;

CV_NODISCARD int dialog_alloc(struct dialog **dp,
			      const struct dialog_param *prm,
			      const struct net *net);
const char *dialog_schemes(void);

/** How such a URL looks; "" where no dialog manager has its scheme */
const char *dialog_form(const char *url);

CV_END_DECLS

#endif

/**
 * @file dialog.h  Dialog managers: what the caller said in, what to do out
 *
 * A *backend* is one file, chosen by URL scheme. A session is one call's
 * conversation. A session has at most one turn in flight; its reply comes as
 * acts, in order, maybe in pieces while the dialog manager still thinks, then
 * done.
 *
 * Thread: loop.
 */
#ifndef CONVOD_DIALOG_H
#define CONVOD_DIALOG_H

#include <convod/net.h>

CV_BEGIN_DECLS

enum { DIALOG_ID_MAX = 128, DIALOG_TEXT_MAX = 8192 };

enum dialog_act_type {
	DIALOG_SAY,      /* text, to be spoken by the voice                */
	DIALOG_PLAY,     /* url of audio; text is what it says, if known   */
	DIALOG_HANGUP,   /* when everything before it was heard            */
	DIALOG_TRANSFER, /* text is the number, maybe ""                   */
};

/** One act; strings valid until the handler returns */
struct dialog_act {
	enum dialog_act_type type;
	const char *text;
	const char *url;    /* absolute                                    */
	const char *origin; /* of the backend: fetching from it is allowed */
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

struct dialog;         /* a backend set up, one per worker                  */
struct dialog_session; /* a backend's own struct embeds it as first member  */

struct dialog_param {
	const char *url;
	const char *language; /* BCP-47 */
	uint32_t timeout_ms;  /* of a turn */
};

/** What is known of the call */
struct dialog_call {
	const char *call_id;
	const char *caller; /* "" if not known */
	const char *called;
};

struct dialog_turn {
	const char *text;     /* UTF-8, trimmed; "" opens                */
	const char *language; /* BCP-47 */
	bool spoken;          /* came from the recogniser (not keys)     */
	bool rejected;        /* heard, but not understood; text is "" */
	uint32_t heard_ms;    /* of the answer that was interrupted, if  */
	bool interrupted;     /* the caller interrupted one              */
};

struct dialog_handlers {
	dialog_open_h *openh;
	dialog_act_h *acth;
	dialog_done_h *doneh;
};

struct dialog_backend {
	const char *name;
	const char *schemev[4];

	int (*alloc)(struct dialog **dp, const struct dialog_param *prm,
		     const struct net *net);
	/** Open a session; openh comes later, exactly once, always: if the
	 * dialog manager can't be reached, with an error. turn() then tries to
	 * open again by itself. mem_deref() abandons all. */
	int (*open)(struct dialog_session **sp, struct dialog *d,
		    const struct dialog_call *call,
		    const struct dialog_handlers *h, void *arg);
	/** Start a turn; EBUSY while one is in flight */
	int (*turn)(struct dialog_session *s, const struct dialog_turn *t);
	/** Abandon the turn in flight; no act and no done comes after */
	void (*cancel)(struct dialog_session *s);

	/** Does it speak first? Then an empty turn opens the conversation */
	bool opens;
};

struct dialog {
	const struct dialog_backend *be;
};

struct dialog_session {
	struct dialog *dialog; /* reference */
	struct dialog_handlers h;
	void *arg;
};

extern const struct dialog_backend dialog_masdif, dialog_demo, dialog_echo;

CV_NODISCARD int dialog_alloc(struct dialog **dp,
			      const struct dialog_param *prm,
			      const struct net *net);
const char *dialog_schemes(void);

CV_END_DECLS

#endif

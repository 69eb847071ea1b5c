/**
 * @file voiceflow.h  Voiceflow's messages: bytes to traces to acts; private
 * to src/dialog
 *
 *	bytes ──▶ voiceflow_trace.c ──traces──▶ voiceflow_reply.c ──acts──▶
 *	          pure                          what an answer adds up to
 *
 * Spec: dialog.md section 9 (Dialog Manager API, interact stream)
 */
#ifndef CONVOD_VOICEFLOW_H
#define CONVOD_VOICEFLOW_H

#include <convod/dialog.h>

CV_BEGIN_DECLS

enum {
	/* of a whole answer: parsing that much holds the loop up for 10 ms */
	VOICEFLOW_REPLY_MAX_BYTES = 2 << 20,
	VOICEFLOW_AUDIO_MAX_BYTES = 1 << 20, /* of a data: URI */
	VOICEFLOW_AUDIO_MAX_S = 300,
	VOICEFLOW_SILENCE_MS = 10000,
	VOICEFLOW_SILENCE_MAX_MS = 600000,
	VOICEFLOW_WHY_SIZE = 160,
	VOICEFLOW_STREAM_MAX_MS = 120000,
};

/* ------------------------------------------------------------- traces */

enum voiceflow_type {
	VF_UNKNOWN,      /* nonsense, or a name that means nothing to us  */
	VF_QUIET,        /* understood, and nothing that a caller hears   */
	VF_SAY,          /* text                                          */
	VF_PLAY,         /* url, data: too; text: what it says, maybe ""  */
	VF_CHOICE,       /* list: the buttons                             */
	VF_KEYS,         /* list: the paths of a DTMF action              */
	VF_NO_REPLY,     /* ms                                            */
	VF_TRANSFER,     /* text: the number, "": not said; on: it came as
			  * words, which their voice speaks, too          */
	VF_INTERRUPTION, /* on: may the caller interrupt from now on?     */
	VF_END,
	VF_COMPLETION, /* state; text: a piece of what is being written */
	VF_AUDIO,      /* state; text: a piece of μ-law in base64       */
};

enum voiceflow_state { VF_START, VF_CONTENT, VF_STOP };

/** Valid until the handler returns; text and url are never NULL */
struct voiceflow_trace {
	enum voiceflow_type type;
	enum voiceflow_state state;
	const char *text;
	const char *url;
	uint32_t ms;
	bool on;
	json_t *list; /* take a reference to keep it */
};

typedef void(voiceflow_trace_h)(const struct voiceflow_trace *t, void *arg);

/**
 * Parse a whole answer: an array of traces, or an object with them in "trace"
 * (verbose=true) or "traces" (v4)
 *
 * @return 0; EPROTO: neither, no trace came; ENOMEM
 */
CV_NODISCARD int voiceflow_reply_parse(const char *p, size_t n,
				       voiceflow_trace_h *h, void *arg);

/** Parse the data of an event `trace`. Errors as above. */
CV_NODISCARD int voiceflow_event_parse(const char *p, size_t n,
				       voiceflow_trace_h *h, void *arg);

/** What the body of an error says, for the log; "" if nothing
 * @param dst VOICEFLOW_WHY_SIZE bytes */
void voiceflow_why(char *dst, const char *p, size_t n);

/** Is this text the command to transfer, as the bot before us had it? */
bool voiceflow_is_transfer(const char *text);

/* ------------------------------------------------------------- buttons */

/**
 * Find the button that a caller means, as choice_find() does
 *
 * @param buttons Of a choice trace, or NULL
 *
 * @return its request object, to be sent as it is, or NULL; borrowed
 */
json_t *voiceflow_button(const json_t *buttons, const char *text);

/**
 * Find the path that a DTMF action has for keys: its event is "DTMF 1"
 *
 * @param paths Of the trace, or NULL
 *
 * @return true: send an event of this name
 */
bool voiceflow_has_key(const json_t *paths, const char *keys);

/* --------------------------------------------------------------- reply */

struct voiceflow_reply;

/** The acts of an answer, and what is remembered of it for the next turn */
struct voiceflow_reply_param {
	const struct net *net;
	const char *origin; /* of acts; borrowed */
	bool audio;         /* its voice speaks, by audio events */
	dialog_act_h *acth;
	void *arg;
};

CV_NODISCARD int voiceflow_reply_alloc(struct voiceflow_reply **rp,
				       const struct voiceflow_reply_param *p);

/** An answer begins. What an earlier one left undone is dropped. */
void voiceflow_reply_begin(struct voiceflow_reply *r);

/** From now on to the end of this answer no act is wanted */
void voiceflow_reply_mute(struct voiceflow_reply *r);

/** Take a trace; acts may come from inside. For voiceflow_*_parse(). */
void voiceflow_reply_trace(const struct voiceflow_trace *t, void *arg);

/**
 * The answer has ended: what it left open is said, and the call is transferred
 * or hung up if it said so
 *
 * @param err Why it is not complete, or 0
 *
 * @return true if the dialog is over
 */
bool voiceflow_reply_end(struct voiceflow_reply *r, int err);

/** Buttons and DTMF paths of the newest answer; NULL if it had none */
const json_t *voiceflow_reply_buttons(const struct voiceflow_reply *r);
const json_t *voiceflow_reply_paths(const struct voiceflow_reply *r);

/* ------------------------------------------------------------- request */

/** One request, sent again at most once, and its answer */
struct voiceflow_request;

/** Strings are kept by reference: they are objects of mem.h */
struct voiceflow_request_param {
	const struct net *net;
	char *call_id;
	const char *method;
	char *url;
	const char *const *headerv; /* lives as long as the request */
	const char *key;            /* likewise; never logged */
	char *body;
	bool stream;         /* the answer comes as events */
	bool twice;          /* may be done twice without harm */
	bool secret;         /* the caller's words may be: quote no error */
	bool nothing;        /* of the answer only the status counts */
	uint32_t timeout_ms; /* no turn runs longer over there */
	uint64_t end_ms; /* time of the loop; nothing is sent again after it */
	struct voiceflow_reply *reply;
};

/**
 * The answer has come to its end, and the reply has taken its traces
 *
 * @param err 0; EREMOTEIO: an error status; EPROTO: nonsense; ECONNRESET: cut;
 *            and those of http_done_h
 */
typedef void(voiceflow_request_h)(int err, void *arg);

/**
 * Send. mem_deref() closes the connection if the answer has not come to its
 * end; after doneh it only lets the connection be used again.
 *
 * @param arg An object of mem.h. It is referenced once while the reply takes
 *            traces and doneh is called, so it may be dropped from inside
 */
CV_NODISCARD int voiceflow_request_alloc(
	struct voiceflow_request **rp,
	const struct voiceflow_request_param *prm, voiceflow_request_h *doneh,
	void *arg);

/**
 * The answer is not wanted any more, but its end is
 *
 * @return true if nothing goes on over there: doneh won't be called
 */
bool voiceflow_request_let_go(struct voiceflow_request *r);

CV_END_DECLS

#endif

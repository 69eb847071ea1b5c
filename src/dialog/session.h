/**
 * @file session.h  What sessions of dialog managers have in common
 *
 * For backends that have nothing to wait for before a session is open: openh
 * comes at the end of the loop's turn, with the call's id. They embed it as
 * the first member of their session. Private to src/dialog.
 *
 * The user may cancel the turn, begin another or let go of the session from
 * inside any handler. So whoever calls session_act() or session_done() holds
 * a reference of its own meanwhile, and looks at what comes back.
 */
#ifndef CONVOD_SESSION_H
#define CONVOD_SESSION_H

#include <convod/dialog.h>

struct session {
	struct dialog_session ds; /* first */
	struct loop *loop;
	struct loop_flush flush;
	void (*answerh)(struct session *s); /* see session_later() */
	void (*idleh)(struct session *s);   /* open, and nothing is asked yet;
					     * NULL: of no interest */
	char *call_id;
	bool opening;   /* openh is still owed */
	bool asking;    /* a turn is in flight */
	bool cancelled; /* the last turn was */
	bool secret;    /* one was, of those so far */
	unsigned turn;  /* grows with each turn and cancel */
};

/**
 * The rest of open(); s is zeroed. Its owner's destructor calls
 * session_close(), whether this worked or not.
 */
CV_NODISCARD int session_open(struct session *s, struct dialog *d,
			      const struct net *net,
			      const struct dialog_call *call,
			      const struct dialog_handlers *h, void *arg);
void session_close(struct session *s);

/** A turn begins; EBUSY while one is in flight */
CV_NODISCARD int session_begin(struct session *s, const struct dialog_turn *t);

/**
 * What a server says is wrong, fit for a log
 *
 * Some repeat what they were sent. From the first secret turn on nothing of
 * that is told: a dialog manager has a memory.
 *
 * @param text Returned, or "***"
 * @param key  A header with the server's key, or the key; or NULL
 */
const char *session_quote(const struct session *s, const char *text,
			  const char *key);

/** Forget the turn in flight */
void session_cancel(struct session *s);

/** Call h at the end of the loop's turn, if this turn is still wanted then */
void session_later(struct session *s, void (*h)(struct session *s));

/** Is this still the turn that is in flight, and does anybody want it? The
 * caller holds a reference of its own. */
bool session_is_on(const struct session *s, unsigned turn);

/** Give an act of the turn in flight to the user; false: no more is wanted */
bool session_act(struct session *s, const struct dialog_act *act);

/** End the turn in flight */
void session_done(struct session *s, int err);

/** Did the connection break, so that a new one may do? Not so a time limit, an
 * answer that is too long or nonsense, and a lack of memory */
bool session_may_pass(int err);

/** What is known of the call: "caller", "called", "params"; a new object */
CV_NODISCARD int session_about(json_t **jp, const struct dialog_call *call);

/** Say what was heard of the last answer, if that was interrupted:
 * "interrupted", "heard_ms", "heard" */
CV_NODISCARD int session_add_heard(json_t *o, const struct dialog_turn *t);

#endif

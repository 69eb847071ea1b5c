/**
 * @file rasa.h  Rasa's REST channel: its messages; private to src/dialog
 *
 * Spec: Rasa's rasa/core/channels/rest.py, dialog.md section 8
 */
#ifndef CONVOD_RASA_H
#define CONVOD_RASA_H

#include "acts.h"

/**
 * Hand over the acts of a message: {"text": …, "buttons": …, "custom": …}
 *
 * @param buttonsp Replaced by the message's buttons, if it has any
 *
 * @return as acts_parse()
 */
CV_NODISCARD int rasa_message_parse(const json_t *message, json_t **buttonsp,
				    const struct acts_param *prm);

/** What goes into a turn besides the turn */
struct rasa_talk {
	const char *id;        /* of the sender */
	const json_t *about;   /* the call, for the metadata */
	const char *language;  /* if the turn has none */
	const char *opening;   /* what begins a conversation */
	const json_t *buttons; /* of the last answer, or NULL: what was said
				* may choose one */
};

/**
 * The body of a turn
 *
 * @return 0; ENODATA: Rasa has no notion of such a turn; ENOMEM
 */
CV_NODISCARD int rasa_request(json_t **jp, const struct rasa_talk *talk,
			      const struct dialog_turn *t);

#endif

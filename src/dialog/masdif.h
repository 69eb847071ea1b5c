/**
 * @file masdif.h  Masdif's messages: bytes to replies; private to src/dialog
 */
#ifndef CONVOD_MASDIF_H
#define CONVOD_MASDIF_H

#include <convod/dialog.h>

CV_BEGIN_DECLS

enum {
	MASDIF_AUDIO_MAX = 16, /* attachments of a reply; more are ignored */
	MASDIF_REPLY_MAX_BYTES = 1 << 20,
};

/** What a reply says; release with mem_deref() */
struct masdif_reply {
	char *text;   /* all texts, joined with a blank; "" if none  */
	char **textv; /* each of them, in order                      */
	size_t textc;
	char *srcv[MASDIF_AUDIO_MAX]; /* of the audio, as Masdif wrote it */
	size_t srcc;
};

/**
 * Parse the answer to PUT /conversations/{id}
 *
 * Spec: Masdif 0.4.3, dialog.md 7.5 and 7.6
 *
 * @return 0; EPROTO: not JSON, or the root is no array; ENOMEM
 */
CV_NODISCARD int masdif_reply_parse(struct masdif_reply **rp, const char *p,
				    size_t n);

/**
 * Parse the answer to POST /conversations
 *
 * @param id DIALOG_ID_MAX bytes; only what a path can hold as it is
 *
 * @return 0; EPROTO; ENOMEM
 */
CV_NODISCARD int masdif_id_parse(char *id, const char *p, size_t n);

/**
 * Print the body of PUT /conversations/{id}
 *
 * @param bodyp Set to a new string; release with mem_deref()
 * @param text  Where it begins with '/' (a Rasa command) or blanks, these are
 *              left out if it was spoken
 *
 * @return 0; ENODATA: nothing is left to be said; ENOMEM
 */
CV_NODISCARD int masdif_request_print(char **bodyp,
				      const struct dialog_turn *turn);

CV_END_DECLS

#endif

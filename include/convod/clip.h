/**
 * @file clip.h  Speech to be played: 8 kHz μ-law, shared, maybe still arriving
 *
 * While it arrives a clip belongs to one loop thread, which appends to it and
 * plays it at the same time. Once it has ended it never changes and may be
 * shared by all threads (the reference count is atomic).
 */
#ifndef CONVOD_CLIP_H
#define CONVOD_CLIP_H

#include <convod/list.h>

CV_BEGIN_DECLS

struct clip;

/** Told when a clip has grown or ended; embedded by the owner, zeroed first */
struct clip_watch {
	struct le le;
	void (*h)(struct clip *c, void *arg);
	void *arg;
};

/**
 * Create an empty clip that is still arriving
 *
 * @param max Samples; what is appended beyond ends the clip with EOVERFLOW
 */
CV_NODISCARD int clip_alloc(struct clip **cp, size_t max);

/** Create an ended clip with a copy of the samples */
CV_NODISCARD int clip_from(struct clip **cp, const uint8_t *ulawv, size_t n);

/** Append while arriving; watchers are told. ESHUTDOWN after the end; ENOMEM:
 * nothing was appended; EOVERFLOW: what fitted was, and the clip has ended. */
CV_NODISCARD int clip_append(struct clip *c, const uint8_t *ulawv, size_t n);

/**
 * Nothing more will come; watchers are told. A second end is ignored.
 *
 * @param err 0, or why it is incomplete
 */
void clip_end(struct clip *c, int err);

bool clip_is_ended(const struct clip *c);
int clip_error(const struct clip *c);

/** Samples so far */
size_t clip_len(const struct clip *c);

/** The samples; valid until the next clip_append() */
const uint8_t *clip_data(const struct clip *c);

enum { CLIP_WORDS_MAX = 4096 }; /* kept; ten minutes have fewer */

/** Where a word begins, in the audio and in the text that it speaks */
struct clip_word {
	uint32_t pos;  /* sample */
	uint32_t text; /* byte */
};

/**
 * Note where a word begins. Voices that know do so before they append the
 * audio of the word. Where a pause follows, one more may say where the word
 * before it ends: then that word counts as heard during the pause, and speech
 * that was interrupted in the pause goes on behind it.
 *
 * @return 0, also beyond CLIP_WORDS_MAX, where it is ignored; EINVAL if one of
 *         the positions is before that of the last word; ESHUTDOWN after the
 *         end; ENOMEM
 */
CV_NODISCARD int clip_add_word(struct clip *c, uint32_t pos, uint32_t text);

/** The words so far, in order; valid until the next clip_add_word() */
size_t clip_words(const struct clip *c, const struct clip_word **wordv);

/** Watch; to stop: list_unlink(&w->le). The handler may unlink any watch of
 * this clip and drop its references to it. After the end there is nothing to
 * watch: the watches are taken off, further ones are not put on. */
void clip_watch(struct clip *c, struct clip_watch *w);

CV_END_DECLS

#endif

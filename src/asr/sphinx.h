/**
 * @file sphinx.h  A pocketsphinx decoder; the library's types stay in sphinx.c
 */
#ifndef CONVOD_SPHINX_H
#define CONVOD_SPHINX_H

#include <convod/asr.h>

enum {
	SPHINX_TEXT_MAX = 512,
	SPHINX_WORDS_MAX = 64,
};

/** A grammar and the dictionary of its words; immutable, a mem object */
struct sphinx_model;

/**
 * @param jsgf JSGF 1.0; the first public rule counts
 *
 * @return 0; EINVAL: not a grammar, or a word that the dictionary does not
 *         have (logged); ENOENT: the model is not installed; ENOMEM
 */
int sphinx_model_alloc(struct sphinx_model **mp, const char *jsgf);

/** A decoder. Thread: one at a time. */
struct sphinx;

int sphinx_alloc(struct sphinx **sp, const struct sphinx_model *m);

enum sphinx_verdict {
	SPHINX_ACCEPTED,
	SPHINX_REJECTED,   /* speech, but outside the grammar */
	SPHINX_NOT_SPEECH, /* tones, noise, music             */
};

struct sphinx_result {
	enum sphinx_verdict verdict;
	char text[SPHINX_TEXT_MAX]; /* the best guess, even if rejected */
	struct asr_word wordv[SPHINX_WORDS_MAX];
	size_t wordc;
	char buf[SPHINX_TEXT_MAX]; /* of the words */

	/* what the verdict was made of */
	double score;     /* against the phone loop, per frame of 10 ms     */
	double silence;   /* the same over what was taken for silence       */
	double weakest;   /* the same of the weakest word                   */
	double words_ms;  /* what was taken for words                       */
	double speech_ms; /* what voice activity took for speech */
	double audio_ms;
};

/**
 * Decode a whole utterance
 *
 * @param pcmv   8 kHz
 * @param speech Samples of them that voice activity called speech
 */
int sphinx_decode(struct sphinx *s, const int16_t *pcmv, size_t n,
		  size_t speech, struct sphinx_result *res);

#endif

/**
 * @file sphinx.c  A pocketsphinx decoder for whole utterances
 *
 * What works with this library and its model (measurements in
 * docs/embedded.md): a small grammar, the dictionary cut to its words, and one
 * call with the whole utterance at a level of about -18 dBFS. Fed bit by bit a
 * fresh decoder has not learnt the line's cepstral mean yet and gets half the
 * words wrong.
 *
 * A grammar decoder turns any sound into some phrase. So the same sound is
 * also decoded as a free loop of phones, and a phrase that explains the sound
 * much worse than the loop does is rejected. Both scores are relative to the
 * best senone of each frame; `compallsen` makes that the same one for both.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <pocketsphinx.h>
#include <sphinxbase/err.h>
#include <sphinxbase/fsg_model.h>
#include <sphinxbase/jsgf.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "convod_features.h"
#include "endpoint.h"
#include "sphinx.h"
#include "tone.h"

#define MODEL_HMM  SPHINX_MODEL_DIR "/en-us/en-us"
#define MODEL_DICT SPHINX_MODEL_DIR "/en-us/cmudict-en-us.dict"

enum {
	DECODER_FRAME_MS = 10,
	DICT_LINE_MAX = 512,
	SPEECH_MIN_MS = 140,
	SPEECH_MAX_MS = 10000,
	FRAMES_MAX = ENDPOINT_MAX_MS / DECODER_FRAME_MS + 1,
};

/* Peak of -18 dBFS: the middle of -14 to -24, where errors are fewest; at -6
 * there are three times as many */
static const double level_peak = 4125;

struct sphinx_model {
	char *jsgf;
	char *dict;
	size_t dict_len;
};

struct sphinx {
	ps_decoder_t *ps;
	int32_t loopv[FRAMES_MAX + 1]; /* phone loop's score up to a frame */
	int16_t pcmv[2 * ENDPOINT_MAX_SAMPLES]; /* 16 kHz */
};

/* ---------------------------------------------------------- dictionary */

static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

/* The library writes pages to stderr */
static void quiet(void)
{
	(void)err_set_logfp(NULL);
}

static void model_destructor(void *arg)
{
	struct sphinx_model *m = arg;

	mem_deref(m->jsgf);
	free(m->dict);
}

static int word_cmp(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Is the line "word PH PH …" or "word(2) PH PH …" about one of the words? */
static ssize_t line_word(char *line, const char **wordv, size_t wordc)
{
	size_t n = strcspn(line, "( \t");
	char saved = line[n];
	const char **found;

	line[n] = '\0';
	found = bsearch(&line, wordv, wordc, sizeof(*wordv), word_cmp);
	line[n] = saved;

	return found ? found - wordv : -1;
}

/* Copy the lines of the words; those that occur become NULL in missingv */
static int cut_dictionary(FILE *out, FILE *in, const char **wordv,
			  const char **missingv, size_t wordc)
{
	char line[DICT_LINE_MAX];

	while (fgets(line, sizeof(line), in)) {
		ssize_t i = line_word(line, wordv, wordc);

		if (i < 0)
			continue;
		missingv[i] = NULL;
		fputs(line, out);
	}

	for (size_t i = 0; i < wordc; i++) {
		if (!missingv[i])
			continue;
		log_error(NULL, "the dictionary has no such word",
			  "word=\"%s\"", LOG_STR(missingv[i]));
		return EINVAL;
	}

	return ferror(in) || ferror(out) ? EIO : 0;
}

/* wordv has room for twice wordc */
static int write_dictionary(struct sphinx_model *m, const char **wordv,
			    size_t wordc)
{
	FILE *in, *out;
	int err;

	qsort(wordv, wordc, sizeof(*wordv), word_cmp);
	memcpy(wordv + wordc, wordv, wordc * sizeof(*wordv));

	in = fopen(MODEL_DICT, "re");
	if (!in)
		return errno;
	out = open_memstream(&m->dict, &m->dict_len);
	if (!out) {
		fclose(in);
		return ENOMEM;
	}

	err = cut_dictionary(out, in, wordv, wordv + wordc, wordc);
	if (fclose(out) && !err)
		err = ENOMEM;
	fclose(in);

	return err;
}

static int model_words(struct sphinx_model *m, fsg_model_t *fsg)
{
	size_t size = (size_t)fsg_model_n_word(fsg), n = 0;
	const char **wordv = mem_raw_calloc(2 * size, sizeof(*wordv));
	int err;

	if (!wordv)
		return ENOMEM;

	for (int i = 0; i < fsg_model_n_word(fsg); i++) {
		const char *w = fsg_model_word_str(fsg, i);

		if (w && w[0] != '<') /* <sil> and the like */
			wordv[n++] = w;
	}
	err = n ? write_dictionary(m, wordv, n) : EINVAL;
	mem_raw_free(wordv);

	return err;
}

/* Instead of ps_set_jsgf_string(), which never frees the parsed grammar */
static fsg_model_t *build_fsg(const char *jsgf, logmath_t *lm, float weight)
{
	jsgf_t *grammar = jsgf_parse_string(jsgf, NULL);
	fsg_model_t *fsg = NULL;
	jsgf_rule_t *rule;

	if (!grammar)
		return NULL;

	rule = jsgf_get_public_rule(grammar);
	if (rule)
		fsg = jsgf_build_fsg(grammar, rule, lm, weight);
	jsgf_grammar_free(grammar);

	return fsg;
}

int sphinx_model_alloc(struct sphinx_model **mp, const char *jsgf)
{
	struct sphinx_model *m = mem_zalloc(sizeof(*m), model_destructor);
	logmath_t *lm = NULL;
	fsg_model_t *fsg = NULL;
	int err;

	if (!m)
		return ENOMEM;

	pthread_once(&quiet_once, quiet);
	err = str_dup(&m->jsgf, jsgf);
	if (err)
		goto out;

	lm = logmath_init(1.0001, 0, 0);
	fsg = build_fsg(jsgf, lm, 1.0F);
	err = fsg ? model_words(m, fsg) : EINVAL;

out:
	if (fsg)
		fsg_model_free(fsg);
	if (lm)
		logmath_free(lm);
	if (err)
		mem_deref(m);
	else
		*mp = m;

	return err;
}

/* ------------------------------------------------------------- decoder */

static void destructor(void *arg)
{
	struct sphinx *s = arg;

	if (!s->ps)
		return;

	/* ps_free() forgets the phones of the last utterance; the start of
	 * another one releases them */
	if (!ps_set_search(s->ps, "loop") && !ps_start_utt(s->ps))
		(void)ps_end_utt(s->ps);
	ps_free(s->ps);
}

static int set_grammar(ps_decoder_t *ps, const char *jsgf)
{
	float weight = cmd_ln_float32_r(ps_get_config(ps), "-lw");
	fsg_model_t *fsg = build_fsg(jsgf, ps_get_logmath(ps), weight);
	int err;

	if (!fsg)
		return EINVAL;

	err = ps_set_fsg(ps, "grammar", fsg) ? EINVAL : 0;
	fsg_model_free(fsg);

	return err;
}

static int decoder_init(struct sphinx *s, const struct sphinx_model *m, int fd)
{
	cmd_ln_t *config;
	char path[64];

	if (write(fd, m->dict, m->dict_len) != (ssize_t)m->dict_len)
		return EIO;

	/* the library opens files only by name */
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	config = cmd_ln_init(NULL, ps_args(), TRUE, "-hmm", MODEL_HMM, "-dict",
			     path, "-compallsen", "yes", "-allphone_ci", "yes",
			     "-bestpath", "no", NULL);
	if (!config)
		return ENOMEM;

	s->ps = ps_init(config);
	cmd_ln_free_r(config);
	if (!s->ps)
		return EINVAL;
	if (ps_set_allphone_file(s->ps, "loop", NULL))
		return EINVAL;

	return set_grammar(s->ps, m->jsgf);
}

int sphinx_alloc(struct sphinx **sp, const struct sphinx_model *m)
{
	struct sphinx *s = mem_zalloc(sizeof(*s), destructor);
	int fd, err;

	if (!s)
		return ENOMEM;

	fd = memfd_create("dictionary", MFD_CLOEXEC);
	if (fd < 0) {
		err = errno;
	} else {
		err = decoder_init(s, m, fd);
		close(fd);
	}
	if (err)
		mem_deref(s);
	else
		*sp = s;

	return err;
}

/* ------------------------------------------------------------ decoding */

/* Scale to the level and up to 16 kHz */
static void prepare(struct sphinx *s, const int16_t *pcmv, size_t n)
{
	struct halfband hb = {0};
	int16_t frame[FRAME_SAMPLES];
	int peak = 1;
	double gain;

	for (size_t i = 0; i < n; i++)
		peak = MAX(peak, abs(pcmv[i]));
	gain = level_peak / peak;

	for (size_t i = 0; i < n; i += FRAME_SAMPLES) {
		size_t k = MIN(n - i, FRAME_SAMPLES);

		for (size_t j = 0; j < k; j++)
			frame[j] = (int16_t)lrint(pcmv[i + j] * gain);
		halfband_up2(&hb, s->pcmv + 2 * i, frame, k);
	}
}

static int run(struct sphinx *s, const char *search, size_t n)
{
	if (ps_set_search(s->ps, search) || ps_start_utt(s->ps))
		return EIO;
	if (ps_process_raw(s->ps, s->pcmv, 2 * n, FALSE, TRUE) < 0) {
		(void)ps_end_utt(s->ps);
		return EIO;
	}

	return ps_end_utt(s->ps) ? EIO : 0;
}

/* Sum up the phone loop's score; within a phone it grows evenly */
static size_t sum_loop(struct sphinx *s)
{
	int32_t sum = 0;
	size_t frames = 0;

	s->loopv[0] = 0;
	for (ps_seg_t *g = ps_seg_iter(s->ps); g; g = ps_seg_next(g)) {
		int32 score, first, last;

		ps_seg_frames(g, &first, &last);
		ps_seg_prob(g, &score, NULL, NULL);
		for (int i = first; i <= last && i < FRAMES_MAX; i++) {
			s->loopv[i + 1] = sum + (int32_t)((int64_t)score *
							  (i - first + 1) /
							  (last - first + 1));
			frames = (size_t)i + 1;
		}
		sum += score;
	}

	return frames;
}

static void add_word(struct sphinx_result *r, const char *word, int first,
		     int last)
{
	size_t len = strlen(r->text);
	size_t n = strcspn(word, "("); /* "the(2)" */
	char *dst;

	if (r->wordc == SPHINX_WORDS_MAX || len + n + 2 > sizeof(r->text))
		return;

	(void)snprintf(r->text + len, sizeof(r->text) - len, "%s%.*s",
		       len ? " " : "", (int)n, word);

	/* words are cut out of the text where their blanks become zeros */
	dst = r->buf + len + (len != 0);
	memcpy(dst, word, n);
	dst[n] = '\0';
	r->wordv[r->wordc++] = (struct asr_word){
		dst, (uint32_t)first * DECODER_FRAME_MS,
		(uint32_t)(last + 1) * DECODER_FRAME_MS};
}

/* Compare the grammar's path with the phone loop, word by word */
static void compare(struct sphinx *s, struct sphinx_result *r, size_t frames)
{
	double sum = 0, silence = 0;
	size_t words = 0, silences = 0;

	for (ps_seg_t *g = ps_seg_iter(s->ps); g; g = ps_seg_next(g)) {
		const char *word = ps_seg_word(g);
		int32 score, first, last;
		double diff;
		size_t n;

		ps_seg_frames(g, &first, &last);
		ps_seg_prob(g, &score, NULL, NULL);
		if (first < 0 || last < first || (size_t)last >= frames)
			continue;

		n = (size_t)(last - first) + 1;
		diff = score - (s->loopv[last + 1] - s->loopv[first]);
		sum += diff;
		if (strchr("<[(", word[0])) {
			silence += diff;
			silences += n;
			continue;
		}
		words += n;
		r->weakest = fmin(r->weakest, diff / (double)n);
		add_word(r, word, first, last);
	}

	r->score = frames ? sum / (double)frames : 0;
	r->silence = silences ? silence / (double)silences : 0;
	r->words_ms = (double)words * DECODER_FRAME_MS;
}

/*
 * The limits lie in the middle of gaps over tests/data/audio: phrases of the
 * grammar score -14 or better, digits and hold music -18, unrelated sentences
 * -38 or worse. What tones and beeps are taken for is one tiny word that
 * explains nothing (weakest -80). Where the decoder found a phrase in the
 * middle of something else and took the rest for silence, the words cover a
 * quarter of what voice activity called speech; phrases three
 * quarters or more.
 */
static enum sphinx_verdict judge(const struct sphinx_result *r)
{
	static const double score_min = -16, weakest_min = -55;
	static const double covered_min = 0.5;
	enum { WORDS_MIN_MS = 150 };

	if (r->words_ms > 0 && r->words_ms < WORDS_MIN_MS)
		return SPHINX_NOT_SPEECH;
	if (!r->wordc || r->score < score_min || r->weakest < weakest_min ||
	    r->words_ms < covered_min * r->speech_ms)
		return SPHINX_REJECTED;

	return SPHINX_ACCEPTED;
}

/* Keys, tones, a click, music: nobody wants to hear "sorry" to these, nor to
 * wait for them to be decoded. No phrase is longer than SPEECH_MAX_MS. */
static bool is_speech(const int16_t *pcmv, size_t n, size_t speech)
{
	static const double tone_max = 0.4;

	return speech >= (size_t)SPEECH_MIN_MS * AUDIO_PER_MS &&
	       n <= (size_t)SPEECH_MAX_MS * AUDIO_PER_MS &&
	       tone_share(pcmv, n) < tone_max;
}

int sphinx_decode(struct sphinx *s, const int16_t *pcmv, size_t n,
		  size_t speech, struct sphinx_result *res)
{
	size_t frames;
	int err;

	memset(res, 0, sizeof(*res));
	n = MIN(n, ENDPOINT_MAX_SAMPLES);
	res->audio_ms = (double)n / AUDIO_PER_MS;
	res->speech_ms = (double)speech / AUDIO_PER_MS;
	res->verdict = SPHINX_NOT_SPEECH;
	if (!is_speech(pcmv, n, speech))
		return 0;

	prepare(s, pcmv, n);

	err = run(s, "loop", n);
	if (err)
		return err;
	frames = sum_loop(s);

	err = run(s, "grammar", n);
	if (err)
		return err;
	compare(s, res, frames);
	res->verdict = judge(res);

	return 0;
}

/**
 * @file load_pattern.c  What a caller of convo-load says, over and over
 */
#include <errno.h>
#include <stdlib.h>
#include <convod/mem.h>
#include <convod/record.h>
#include "load_pattern.h"

enum {
	QUIET = 300, /* of 32768: no speech */
	ONSET_FRAMES = 3,
	ONSET_RMS = 328, /* -40 dBFS */
};

/* 400 Hz, on and off like syllables. Each half wave has a strength of its own:
 * a steady tone is no speech. */
static int16_t babble(size_t at)
{
	int half = (int)(at / 10 % 100);
	int strength = half * half * half % 101;

	if (at / 1600 % 4 == 3)
		return 0;

	strength = 1600 + 144 * strength * strength / 100;

	return (int16_t)(half % 2 ? strength : -strength);
}

static bool is_loud(const int16_t *pcmv)
{
	int64_t sum = 0;

	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		sum += pcmv[i] * pcmv[i];

	return sum > (int64_t)ONSET_RMS * ONSET_RMS * FRAME_SAMPLES;
}

static size_t find_onset(const int16_t *pcmv, size_t n)
{
	size_t run = 0;

	for (size_t i = 0; i + FRAME_SAMPLES <= n; i += FRAME_SAMPLES) {
		run = is_loud(pcmv + i) ? run + 1 : 0;
		if (run == ONSET_FRAMES)
			return i / FRAME_SAMPLES + 1 - ONSET_FRAMES;
	}

	return SIZE_MAX;
}

static int make_speech(int16_t **pcmvp, size_t *n, const char *file,
		       uint32_t speech_ms)
{
	int err;

	if (file) {
		err = record_read(pcmvp, n, file);
		/* an answer is awaited from where speech ends, and not from
		 * where the file does */
		while (!err && *n > 1 && abs((*pcmvp)[*n - 1]) < QUIET)
			--*n;
		return err;
	}

	*n = speech_ms * (size_t)AUDIO_PER_MS;
	*pcmvp = mem_zalloc(*n * sizeof(**pcmvp), NULL);
	if (!*pcmvp)
		return ENOMEM;
	for (size_t i = 0; i < *n; i++)
		(*pcmvp)[i] = babble(i);

	return 0;
}

int load_pattern_make(struct load_pattern *p, const char *file,
		      uint32_t speech_ms, uint32_t silence_ms)
{
	int16_t *pcmv = NULL;
	size_t n;
	int err = make_speech(&pcmv, &n, file, speech_ms);

	if (err)
		return err;

	p->onset = find_onset(pcmv, n);
	p->speechc = MAX((n + FRAME_SAMPLES - 1) / FRAME_SAMPLES, (size_t)1);
	p->payloadc = p->speechc + silence_ms / FRAME_MS;
	p->payloadv = mem_zalloc(p->payloadc * sizeof(*p->payloadv), NULL);
	if (!p->payloadv)
		err = ENOMEM;

	for (size_t i = 0; !err && i < p->payloadc; i++) {
		uint8_t ulawv[FRAME_SAMPLES];

		for (size_t k = 0; k < FRAME_SAMPLES; k++) {
			size_t at = i * FRAME_SAMPLES + k;

			ulawv[k] = at < n ? g711_ulaw_encode(pcmv[at])
					  : ULAW_SILENCE;
		}
		(void)base64_encode(p->payloadv[i], ulawv, FRAME_SAMPLES);
	}
	mem_deref(pcmv);

	return err;
}

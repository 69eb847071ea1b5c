/*
 * Tones and keys against speech: synthetic signals, and tests/data/audio.
 */
#include <math.h>
#include <sndfile.h>
#include <stdio.h>
#include <convod/audio.h>
#include "../../src/asr/tone.h"
#include "test.h"

enum { SAMPLES = AUDIO_RATE, FILE_SAMPLES_MAX = 20 * AUDIO_RATE };

/* The recogniser's limit: at 0.4 it is not worth decoding */
#define IS_TONE  0.8
#define IS_VOICE 0.3

/* Over the line: μ-law and back */
static double share(const double *hzv, const double *levelv, double noise)
{
	static int16_t pcmv[SAMPLES];
	uint32_t seed = 1;

	for (size_t i = 0; i < SAMPLES; i++) {
		double v = 0;

		for (size_t k = 0; k < 3 && hzv[k] > 0; k++)
			v += levelv[k] *
			     sin(2 * M_PI * hzv[k] * (double)i / AUDIO_RATE);
		seed = seed * 1664525 + 1013904223;
		v += noise * ((double)(seed >> 8) / (1 << 23) - 1);
		pcmv[i] = g711_ulaw_decode(
			g711_ulaw_encode((int16_t)lrint(v)));
	}

	return tone_share(pcmv, SAMPLES);
}

static void test_signals(void **state)
{
	static const struct {
		const char *name;
		double hzv[3], levelv[3], noise;
		bool tone;
	} tests[] = {
		{"beep", {1000}, {8000}, 0, true},
		{"quiet beep", {1000}, {300}, 0, true},
		{"low beep", {300}, {8000}, 0, true},
		{"high beep", {3300}, {8000}, 0, true},
		{"dial tone", {350, 440}, {6000, 6000}, 0, true},
		{"busy tone", {480, 620}, {6000, 6000}, 0, true},
		{"key 1", {697, 1209}, {6000, 6000}, 0, true},
		{"key #", {941, 1477}, {6000, 6000}, 0, true},
		{"key 5, twisted", {770, 1336}, {3000, 6000}, 0, true},
		{"key D, noisy", {941, 1633}, {6000, 6000}, 300, true},
		{"silence", {0}, {0}, 0, false},
		{"noise", {0}, {0}, 4000, false},
		{"buzz", {150, 300, 1350}, {4000, 3000, 3000}, 800, false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		double v = share(tests[i].hzv, tests[i].levelv,
				 tests[i].noise);

		if (tests[i].tone ? v < IS_TONE : v > IS_VOICE)
			fail_msg("%s: %.2f", tests[i].name, v);
	}
}

static double share_of_file(const char *file)
{
	static int16_t pcmv[FILE_SAMPLES_MAX];
	char path[512];
	SF_INFO info = {0};
	SNDFILE *sf;
	sf_count_t n;

	(void)snprintf(path, sizeof(path), "%s/audio/%s", DATA_DIR, file);
	sf = sf_open(path, SFM_READ, &info);
	assert_non_null(sf);
	n = sf_read_short(sf, pcmv, FILE_SAMPLES_MAX);
	sf_close(sf);

	return tone_share(pcmv, (size_t)n);
}

static void test_files(void **state)
{
	char line[512];
	FILE *tsv = fopen(DATA_DIR "/audio/transcripts.tsv", "r");
	unsigned tones = 0, voices = 0;

	assert_non_null(tsv);
	while (fgets(line, sizeof(line), tsv)) {
		char *kind = line, *file = strsep(&kind, "\t");
		bool tone = !strncmp(file, "dtmf_", 5) ||
			    strstr(kind, "tone") || strstr(kind, "Hz");
		bool voice = !strncmp(kind, "speech", 6);
		double v;

		if (!strncmp(file, "hum_", 4) || !strcmp(file, "file") ||
		    (!tone && !voice))
			continue;
		v = share_of_file(file);
		tones += tone;
		voices += voice;
		if (tone ? v < 0.4 : v > IS_VOICE)
			fail_msg("%s: %.2f", file, v);
	}
	fclose(tsv);
	assert_true(tones >= 11);
	assert_true(voices >= 27);
}

/* Less than a frame, and levels at the ends of the range */
static void test_odd_lengths(void **state)
{
	static int16_t pcmv[3 * FRAME_SAMPLES + 1];

	assert_true(tone_share(pcmv, 0) == 0);
	assert_true(tone_share(pcmv, 1) == 0);
	assert_true(tone_share(pcmv, ARRAY_SIZE(pcmv)) == 0);
	for (size_t i = 0; i < ARRAY_SIZE(pcmv); i++)
		pcmv[i] = i % 2 ? INT16_MIN : INT16_MAX;
	assert_true(tone_share(pcmv, ARRAY_SIZE(pcmv)) <= 1);
	for (size_t i = 0; i < ARRAY_SIZE(pcmv); i++)
		pcmv[i] = INT16_MIN;
	assert_true(tone_share(pcmv, ARRAY_SIZE(pcmv)) <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signals),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_odd_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

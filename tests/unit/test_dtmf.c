#include <stdio.h>
#include "test.h"
#include "vad_audio.h"

enum { KEYS_MAX = 64, KEYS = 16, SHIFTS = 16 };

static const char keyv[KEYS + 1] = "123A456B789C*0#D";

static int16_t pcmv[VAD_SAMPLES_MAX];

static const char *keys_of(size_t n, size_t skip)
{
	static char text[KEYS_MAX];
	struct dtmf *d = NULL;
	size_t len = 0;

	assert_int_equal(dtmf_alloc(&d), 0);
	for (size_t at = skip; at + FRAME_SAMPLES <= n; at += FRAME_SAMPLES) {
		char key = dtmf_frame(d, pcmv + at);

		if (key && len < KEYS_MAX - 1)
			text[len++] = key;
	}
	text[len] = '\0';
	mem_deref(d);

	return text;
}

/* ----------------------------------------------------------- recordings */

/* Of every file, as transcripts.tsv has it; no key in what is said, played,
 * rung or hissed */
static void test_recordings(void **state)
{
	FILE *f = fopen(DATA_DIR "/audio/transcripts.tsv", "r");
	char line[256], *fieldv[4];
	unsigned files = 0, with = 0;

	(void)state;
	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		char *p = line, *dot;
		const char *want = "";
		size_t n;

		line[strcspn(line, "\n")] = '\0';
		for (size_t i = 0; i < ARRAY_SIZE(fieldv); i++)
			fieldv[i] = strsep(&p, "\t");
		dot = fieldv[0] ? strrchr(fieldv[0], '.') : NULL;
		if (!dot || !fieldv[3])
			continue;
		*dot = '\0';
		n = vad_load(pcmv, fieldv[0], 0);
		assert_true(n > 0);
		if (!strncmp(fieldv[0], "dtmf_", 5) &&
		    strcmp(fieldv[0], "dtmf_tooshort") != 0)
			want = fieldv[3];
		for (size_t skip = 0; skip < FRAME_SAMPLES; skip += 10) {
			const char *got = keys_of(n, skip);

			if (strcmp(got, want) != 0)
				fail_msg("%s from %zu: %s", fieldv[0], skip,
					 got);
		}
		++files;
		with += *want != '\0';
	}
	fclose(f);
	assert_int_equal(with, 6);
	assert_true(files > 40);
}

/* ------------------------------------------------------- keys made here */

struct press {
	double on_ms, off_ms;
	double detune; /* %, of both tones    */
	double twist;  /* dB, column over row */
	double dbfs;   /* of each             */
	double snr;    /* dB, 0: no noise     */
};

static size_t make_keys(const struct press *p, uint32_t seed)
{
	static const double rowv[] = {697, 770, 852, 941};
	static const double colv[] = {1209, 1336, 1477, 1633};
	double row = vad_amplitude(p->dbfs) * pow(10, -p->twist / 40);
	double col = vad_amplitude(p->dbfs) * pow(10, p->twist / 40);
	double sd = p->snr > 0 ? sqrt((row * row + col * col) / 2 *
				      pow(10, -p->snr / 10))
			       : 0;
	size_t n = 0;

	for (; n < AUDIO_RATE / 5; n++)
		pcmv[n] = 0;
	for (size_t k = 0; k < KEYS; k++) {
		double w = 2 * M_PI / AUDIO_RATE * (1 + p->detune / 100);
		size_t on = (size_t)(p->on_ms * AUDIO_PER_MS);
		size_t both = on + (size_t)(p->off_ms * AUDIO_PER_MS);

		for (size_t i = 0; i < both; i++) {
			double v = row * sin(w * rowv[k / 4] * (double)i) +
				   col * sin(w * colv[k % 4] * (double)i + 1);

			pcmv[n++] = vad_line((i < on ? v : 0) +
					     sd * vad_noise(&seed));
		}
	}
	for (size_t i = 0; i < AUDIO_RATE / 5; i++)
		pcmv[n++] = 0;

	return n;
}

static void test_limits(void **state)
{
	static const struct {
		struct press press;
		bool heard; /* each, or none of them */
	} rowv[] = {
		{{100, 100, 0, 0, -13, 0}, true},
		{{50, 50, 0, 0, -13, 0}, true},
		{{40, 40, 0, 0, -13, 0}, true},
		{{400, 40, 0, 0, -13, 0}, true},
		/* Q.24: 1.5 % is heard, 3.5 % is not */
		{{100, 100, 1.5, 0, -13, 0}, true},
		{{100, 100, -1.5, 0, -13, 0}, true},
		{{100, 100, 3.5, 0, -13, 0}, false},
		{{100, 100, -3.5, 0, -13, 0}, false},
		/* a louder row by 6 dB or column */
		{{100, 100, 0, 6, -13, 0}, true},
		{{100, 100, 0, -6, -13, 0}, true},
		{{100, 100, 0, 11, -13, 0}, false},
		{{100, 100, 0, -11, -13, 0}, false},
		{{100, 100, 0, 0, -6.1, 0}, true},
		{{100, 100, 0, 0, -37, 0}, true},
		{{100, 100, 0, 0, -42, 0}, false},
		{{100, 100, 0, 0, -13, 18}, true},
		{{50, 50, 1.5, 4, -25, 20}, true},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		for (uint32_t k = 0; k < SHIFTS; k++) {
			const char *got = keys_of(make_keys(&rowv[i].press, k),
						  k * 10);

			if (strcmp(got, rowv[i].heard ? keyv : "") != 0)
				fail_msg("row %zu from %u: %s", i, k * 10,
					 got);
		}
	}
}

/* One in a hundred passes: that which fills two blocks by the same */
static void test_too_short(void **state)
{
	static const struct press press = {20, 60, 0, 0, -13, 0};
	size_t heard = 0;

	(void)state;
	for (uint32_t k = 0; k < FRAME_SAMPLES; k++)
		heard += strlen(keys_of(make_keys(&press, 0), k));
	assert_in_range(heard, 0, FRAME_SAMPLES * KEYS / 50);
}

/* A gap of 10 ms in a press does not make two of it */
static void test_drop_out(void **state)
{
	static const struct press press = {400, 100, 0, 0, -13, 0};

	(void)state;
	for (uint32_t k = 0; k < SHIFTS; k++) {
		size_t n = make_keys(&press, 0);

		for (size_t i = 0; i < KEYS; i++) {
			size_t at = (200 + i * 500 + 190) * AUDIO_PER_MS;

			memset(pcmv + at, 0,
			       10 * AUDIO_PER_MS * sizeof(pcmv[0]));
		}
		assert_string_equal(keys_of(n, k * 10), keyv);
	}
}

/* The worst samples there are, and every code; a sanitizer watches */
static void test_any_audio(void **state)
{
	struct dtmf *d = NULL;
	uint32_t seed = 1;

	(void)state;
	assert_int_equal(dtmf_alloc(&d), 0);
	for (size_t k = 0; k < 4000; k++) {
		for (size_t i = 0; i < FRAME_SAMPLES; i++) {
			seed = seed * 1664525 + 1013904223;
			pcmv[i] = k % 2 ? g711_ulaw_decode(
						  (uint8_t)(seed >> 24))
				  : (i / (1 + k % 40)) % 2 ? INT16_MIN
							   : INT16_MAX;
		}
		assert_int_equal(dtmf_frame(d, pcmv), 0);
	}
	mem_deref(d);
}

static int oom_body(void *arg)
{
	struct dtmf *d = NULL;
	int err = dtmf_alloc(&d);

	(void)arg;
	mem_deref(d);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(oom_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recordings),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_too_short),
		cmocka_unit_test(test_drop_out),
		cmocka_unit_test(test_any_audio),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

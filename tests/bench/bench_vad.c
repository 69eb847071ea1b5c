/**
 * @file bench_vad.c  How soon speech is heard, how often what is none, and at
 *                    what cost
 *
 * On the tests' recordings and on signals made here. Each recording of speech
 * is heard four times, with frames that begin 5 ms apart. Prints tables in
 * Markdown, for docs/voice-activity.md.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <convod/mem.h>
#include "../unit/vad_audio.h"

static int16_t pcmv[VAD_SAMPLES_MAX], cleanv[VAD_SAMPLES_MAX];

/* ----------------------------------------------------------------- onset */

struct delays {
	int msv[ARRAY_SIZE(vad_speechv) * VAD_SHIFTS];
	size_t n, missed;
};

static int int_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static int quantile(const struct delays *d, double q)
{
	return d->n ? d->msv[(size_t)((double)(d->n - 1) * q + 0.5)] : 0;
}

static void add_delays(struct delays *d, const struct vad_form *form,
		       const struct vad_speech *sp, double db)
{
	size_t n = vad_load(cleanv, sp->clean ? sp->clean : sp->name, 0);
	uint32_t onset = vad_onset_ms(cleanv, n);

	n = vad_load(pcmv, sp->name, db);
	for (size_t k = 0; k < VAD_SHIFTS; k++) {
		struct vad_verdict res = vad_judge(form, pcmv, n,
						   k * VAD_SHIFT_SAMPLES);

		if (res.starts)
			d->msv[d->n++] = (int)res.first_ms - (int)onset;
		else
			++d->missed;
	}
}

static void print_onset(const char *name, const char *has, double db)
{
	printf("| %s |", name);
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++) {
		struct delays d = {.n = 0};

		for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
			const struct vad_speech *sp = &vad_speechv[i];

			if (has ? !strstr(sp->name, has) : !!sp->clean)
				continue;
			add_delays(&d, &vad_formv[f], sp, db);
		}
		qsort(d.msv, d.n, sizeof(d.msv[0]), int_compare);
		printf(" %d / %d / %d", quantile(&d, 0.5), quantile(&d, 0.95),
		       quantile(&d, 1));
		if (d.missed)
			printf(" (%zu of %zu missed)", d.missed,
			       d.missed + d.n);
		printf(" |");
	}
	puts("");
}

/* ---------------------------------------------------------- false starts */

static void print_false(const char *name, size_t n)
{
	printf("| %s |", name);
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++) {
		unsigned starts = 0, speaking_ms = 0;
		double minutes = (double)n * VAD_SHIFTS / AUDIO_RATE / 60;

		for (size_t k = 0; k < VAD_SHIFTS; k++) {
			struct vad_verdict res = vad_judge(
				&vad_formv[f], pcmv, n, k * VAD_SHIFT_SAMPLES);

			starts += res.starts;
			speaking_ms += res.speaking_ms;
		}
		printf(" %.3g (%.0f %%) |", starts / minutes,
		       speaking_ms / minutes / 600);
	}
	puts("");
}

static size_t load_prompt(double db)
{
	FILE *f = fopen(DATA_DIR "/../../share/prompts/en-apology.ul", "rb");
	static uint8_t ulawv[VAD_SAMPLES_MAX];
	size_t n = f ? fread(ulawv, 1, sizeof(ulawv), f) : 0;

	if (f)
		fclose(f);
	for (size_t i = 0; i < n; i++)
		pcmv[i] = vad_line(g711_ulaw_decode(ulawv[i]) *
				   pow(10, db / 20));

	return n;
}

static void print_recordings(void)
{
	static const char *const namev[] = {
		"silence_5s",  "noise_white_low_5s", "noise_pink_5s",
		"clicks_5s",   "hum_50hz_5s",        "ringback_us_6s",
		"busy_us_3s",  "dialtone_3s",        "beep_1000hz",
		"dtmf_all",    "dtmf_fast",          "dtmf_pin",
		"dtmf_repeat", "hold_music_10s",
	};

	for (size_t i = 0; i < ARRAY_SIZE(namev); i++)
		print_false(namev[i], vad_load(pcmv, namev[i], 0));
}

static void print_made(void)
{
	char name[80];

	for (size_t i = 0; i < ARRAY_SIZE(vad_tonev); i++)
		print_false(vad_tonev[i].name,
			    vad_make_tone(pcmv, &vad_tonev[i]));
	for (int hz = 50; hz <= 60; hz += 10) {
		for (int db = -40; db <= -20; db += 10) {
			snprintf(name, sizeof(name),
				 "hum of %d Hz, all harmonics, %d dBFS", hz,
				 db);
			print_false(name, vad_make_hum(pcmv, hz, db));
		}
	}
	for (int db = -50; db <= -20; db += 5) {
		snprintf(name, sizeof(name), "white noise, %d dBFS", db);
		print_false(name, vad_make_noise(pcmv, db));
	}
	for (int db = -50; db <= -30; db += 10) {
		snprintf(name, sizeof(name), "breath, %d dBFS at its loudest",
			 db);
		print_false(name, vad_make_breath(pcmv, 1500, db));
	}
	for (int db = -50; db <= -30; db += 10) {
		snprintf(name, sizeof(name), "wind, %d dBFS at its loudest",
			 db);
		print_false(name, vad_make_breath(pcmv, 300, db));
	}
	for (int ms = 5; ms <= 25; ms += 5) {
		snprintf(name, sizeof(name), "knocks, -20 dBFS, ringing %d ms",
			 ms);
		print_false(name, vad_make_knocks(pcmv, -20, ms));
	}
	for (int db = -45; db <= -15; db += 10) {
		snprintf(name, sizeof(name), "echo of a prompt, %d dB", db);
		print_false(name, load_prompt(db));
	}
}

/* ------------------------------------------------------------------ cost */

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

/* Of each recording of speech, as it is */
static double cost_ns(const struct vad_form *form)
{
	double ns = 0, frames = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
		size_t n = vad_load(pcmv, vad_speechv[i].name, 0);

		for (size_t k = 0; k < 50; k++) {
			double start = cpu_ns();

			(void)vad_judge(form, pcmv, n, 0);
			ns += cpu_ns() - start;
			frames += (double)(n / FRAME_SAMPLES);
		}
	}

	return ns / frames;
}

int main(void)
{
	puts("Onset to `speaking`, ms, p50 / p95 / worst\n\n"
	     "| speech | default | energy |\n|---|---|---|");
	print_onset("clean", NULL, 0);
	print_onset("clean, 10 dB quieter", NULL, -10);
	print_onset("pink noise, 10 to 20 dB below", "_pink", 0);
	print_onset("white noise, 15 dB below", "_white", 0);

	puts("\nFalse starts a minute (share of the time)\n\n"
	     "| no speech | default | energy |\n|---|---|---|");
	print_recordings();
	print_made();

	puts("\n| | default | energy |\n|---|---|---|");
	printf("| ns a frame of speech |");
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++)
		printf(" %.0f |", cost_ns(&vad_formv[f]));
	puts("");

	return 0;
}

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
}

/* ------------------------------------------------------- the bot's echo */

enum {
	BOTS = ARRAY_SIZE(vad_botv),
	ECHO_FORMS = ARRAY_SIZE(vad_formv) + 1, /* the last is not told */
	LINE_DB = -66,
	MISSED_MS = 1000, /* later, it is no interruption */
	NO_ECHO = 1,      /* dB */
};

static struct vad_bot botv[BOTS];

static const struct vad_form *echo_form(size_t f)
{
	return &vad_formv[f % ARRAY_SIZE(vad_formv)];
}

static const struct vad_bot *told(size_t f, const struct vad_bot *bot)
{
	return f < ARRAY_SIZE(vad_formv) ? bot : NULL;
}

static void print_echo(double db, bool room)
{
	printf("| %.0f dB%s |", db, room ? ", in a room" : "");
	for (size_t f = 0; f < ECHO_FORMS; f++) {
		double starts = 0, minutes = 0;

		for (size_t i = 0; i < BOTS * 5; i++) {
			const struct vad_bot *bot = &botv[i % BOTS];
			size_t n = vad_make_noise(pcmv, LINE_DB);

			vad_add_echo(pcmv, room ? bot->roomv : bot->pcmv,
				     bot->n, db,
				     60 + (uint32_t)(i / BOTS) * 110);
			starts += vad_judge_over(echo_form(f), pcmv, n, 0,
						 told(f, bot))
					  .starts;
			minutes += (double)bot->n / AUDIO_RATE / 60;
		}
		printf(" %.3g |", starts / minutes);
	}
	puts("");
}

/* dBFS of the frames that are no pauses */
static double level_of(const int16_t *v, size_t n)
{
	double sum = 0, frames = 0;

	for (size_t at = 0; at + FRAME_SAMPLES <= n; at += FRAME_SAMPLES) {
		double energy = 0;

		for (size_t i = 0; i < FRAME_SAMPLES; i++)
			energy += (double)v[at + i] * v[at + i];
		energy /= FRAME_SAMPLES * 32768.0 * 32768.0;
		sum += energy > 1e-5 ? energy : 0;
		frames += energy > 1e-5;
	}

	return 10 * log10(sum / frames);
}

/* A caller who speaks while the bot does */
struct scene {
	double caller_db, noise_db, echo_db;
	bool early; /* within half a second of its first word */
};

struct over {
	struct delays d;
	unsigned early; /* stopped by the echo before the caller spoke */
};

static void add_over(struct over *o, size_t f, size_t speech,
		     const struct scene *sc)
{
	const struct vad_bot *bot = &botv[speech % BOTS];
	uint32_t from_ms = (uint32_t)(speech * 733 % (sc->early ? 500 : 3500));
	uint32_t at_ms = VAD_BOT_MS + (sc->early ? 0 : 500) + from_ms;
	size_t n = vad_load(cleanv, vad_speechv[speech].name, 0);
	int onset_ms = (int)(at_ms + vad_onset_ms(cleanv, n));
	double gain = pow(10, (sc->caller_db - level_of(cleanv, n)) / 20);
	size_t at = at_ms * AUDIO_PER_MS;
	size_t len = vad_make_noise(pcmv, sc->noise_db);
	struct vad_verdict res;

	if (sc->echo_db < NO_ECHO)
		vad_add_echo(pcmv, bot->roomv, bot->n, sc->echo_db,
			     60 + (uint32_t)speech * 20);
	for (size_t i = 0; i < n && at + i < len; i++)
		pcmv[at + i] = vad_line(pcmv[at + i] + gain * cleanv[i]);
	res = vad_judge_over(echo_form(f), pcmv,
			     (size_t)(onset_ms + MISSED_MS) * AUDIO_PER_MS, 0,
			     told(f, bot));
	if (!res.starts)
		++o->d.missed;
	else if ((int)res.first_ms < onset_ms)
		++o->early;
	else
		o->d.msv[o->d.n++] = (int)res.first_ms - onset_ms;
}

static void print_over(const struct scene *sc)
{
	printf("| %.0f dBFS", sc->caller_db);
	if (sc->noise_db > LINE_DB)
		printf(", noise %.0f dBFS", sc->noise_db);
	if (sc->early)
		printf(", at once");
	if (sc->echo_db < NO_ECHO)
		printf(" | %.0f dB |", sc->echo_db);
	else
		printf(" | none |");

	for (size_t f = 0; f < ECHO_FORMS; f++) {
		struct over o = {.early = 0};

		for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
			if (!vad_speechv[i].clean)
				add_over(&o, f, i, sc);
		}
		qsort(o.d.msv, o.d.n, sizeof(o.d.msv[0]), int_compare);
		printf(" %d / %d / %d, %zu, %u |", quantile(&o.d, 0.5),
		       quantile(&o.d, 0.95), quantile(&o.d, 1), o.d.missed,
		       o.early);
	}
	puts("");
}

static void print_overs(void)
{
	static const double echov[] = {-35, -25, -15, NO_ECHO};

	for (size_t i = 0; i < ARRAY_SIZE(echov); i++) {
		for (int db = -15; db >= -45; db -= 10)
			print_over(
				&(struct scene){db, LINE_DB, echov[i], false});
	}
	for (int db = -15; db >= -35; db -= 10)
		print_over(&(struct scene){db, -50, NO_ECHO, false});
	for (int db = -15; db >= -35; db -= 10)
		print_over(&(struct scene){db, LINE_DB, NO_ECHO, true});
}

static void print_echoes(void)
{
	for (size_t b = 0; b < BOTS; b++) {
		vad_load_bot(&botv[b], vad_botv[b]);
		vad_make_room(&botv[b]);
	}
	puts("\nFalse starts a minute by the bot's echo, 60 to 500 ms late\n\n"
	     "| echo | default | energy | default, not told |\n"
	     "|---|---|---|---|");
	for (int db = -35; db <= -15; db += 5)
		print_echo(db, false);
	for (int db = -35; db <= -15; db += 5)
		print_echo(db, true);

	puts("\nSpeech over the bot: onset, ms, p50 / p95 / worst, missed for "
	     "a second, stopped by the echo before\n\n"
	     "| caller | echo in a room | default | energy | default, not "
	     "told |\n|---|---|---|---|---|");
	print_overs();
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
	size_t frames = 0;
	double ns = 0;

	for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
		size_t n = vad_load(pcmv, vad_speechv[i].name, 0);

		for (size_t k = 0; k < 50; k++) {
			double start = cpu_ns();

			(void)vad_judge(form, pcmv, n, 0);
			ns += cpu_ns() - start;
			frames += n / FRAME_SAMPLES;
		}
	}

	return ns / (double)frames;
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
	print_echoes();

	puts("\n| | default | energy |\n|---|---|---|");
	printf("| ns a frame of speech |");
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++)
		printf(" %.0f |", cost_ns(&vad_formv[f]));
	puts("");

	return 0;
}

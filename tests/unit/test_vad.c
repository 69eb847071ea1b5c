#include <stdio.h>
#include "test.h"
#include "../../src/audio/echo.h"
#include "../../src/audio/steady.h"
#include "vad_audio.h"

static int16_t pcmv[VAD_SAMPLES_MAX];

/* --------------------------------------------------------- what is none */

static void assert_no_start(const char *name, size_t n)
{
	if (!n)
		fail_msg("%s", name);
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++) {
		for (size_t k = 0; k < VAD_SHIFTS; k++) {
			struct vad_verdict res = vad_judge(
				&vad_formv[f], pcmv, n, k * VAD_SHIFT_SAMPLES);

			if (res.starts)
				fail_msg("%s: %s at %u ms", vad_formv[f].name,
					 name, res.first_ms);
		}
	}
}

static void test_tones_are_no_speech(void **state)
{
	static const char *const namev[] = {
		"ringback_us_6s", "busy_us_3s", "dialtone_3s", "beep_1000hz",
		"hum_50hz_5s",    "dtmf_all",   "dtmf_pin",    "dtmf_fast",
		"dtmf_repeat",    "dtmf_quiet", "dtmf_twist",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++)
		assert_no_start(namev[i], vad_load(pcmv, namev[i], 0));
	for (size_t i = 0; i < ARRAY_SIZE(vad_tonev); i++)
		assert_no_start(vad_tonev[i].name,
				vad_make_tone(pcmv, &vad_tonev[i]));
	for (unsigned hz = 50; hz <= 60; hz += 10) {
		assert_no_start("hum", vad_make_hum(pcmv, hz, -40));
		assert_no_start("loud hum", vad_make_hum(pcmv, hz, -30));
	}
}

static void test_noise_is_no_speech(void **state)
{
	static const char *const namev[] = {
		"silence_5s",
		"noise_white_low_5s",
		"noise_pink_5s",
		"clicks_5s",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(namev); i++)
		assert_no_start(namev[i], vad_load(pcmv, namev[i], 0));
	for (int db = -50; db <= -20; db += 10)
		assert_no_start("white noise", vad_make_noise(pcmv, db));
	for (int db = -50; db <= -30; db += 10)
		assert_no_start("breath", vad_make_breath(pcmv, 1500, db));
	assert_no_start("knocks", vad_make_knocks(pcmv, -20, 10));
}

/* --------------------------------------------------------- what is some */

static int int_compare(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

static void test_speech_is_heard_soon(void **state)
{
	static int16_t cleanv[VAD_SAMPLES_MAX];
	int latev[ARRAY_SIZE(vad_speechv) * VAD_SHIFTS];

	(void)state;
	for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++) {
		size_t latec = 0;

		for (size_t i = 0; i < ARRAY_SIZE(latev); i++) {
			const struct vad_speech *sp =
				&vad_speechv[i / VAD_SHIFTS];
			size_t n = vad_load(
				cleanv, sp->clean ? sp->clean : sp->name, 0);
			uint32_t onset = vad_onset_ms(cleanv, n);
			struct vad_verdict res;

			n = vad_load(pcmv, sp->name, 0);
			res = vad_judge(&vad_formv[f], pcmv, n,
					i % VAD_SHIFTS * VAD_SHIFT_SAMPLES);
			latev[latec] = (int)res.first_ms - (int)onset;
			if (!res.starts || latev[latec++] < -FRAME_MS)
				fail_msg("%s: %s at %u ms, not %u",
					 vad_formv[f].name, sp->name,
					 res.first_ms, onset);
			assert_true(res.speaking_ms >= 200);
			assert_false(res.last); /* and its end as well */
		}

		qsort(latev, latec, sizeof(latev[0]), int_compare);
		print_message("%s: heard after %d ms (p50), %d (p95), %d\n",
			      vad_formv[f].name, latev[latec / 2],
			      latev[latec * 95 / 100], latev[latec - 1]);
		/* measured: 90 and 140 */
		assert_in_range(latev[latec * 95 / 100], 0, 120);
		assert_in_range(latev[latec - 1], 0, 160);
	}
}

/* A call whose first sound is a voice: not within 200 ms, but soon after */
static void test_speech_from_the_first_frame(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
		size_t n = vad_load(pcmv, vad_speechv[i].name, 0);
		size_t skip = vad_speechv[i].clean ? 0 : vad_onset_ms(pcmv, n);

		for (size_t f = 0; skip && f < ARRAY_SIZE(vad_formv); f++) {
			struct vad_verdict res = vad_judge(
				&vad_formv[f], pcmv, n, skip * AUDIO_PER_MS);

			if (!res.starts || res.first_ms - skip > 400)
				fail_msg("%s: %s after %u ms",
					 vad_formv[f].name,
					 vad_speechv[i].name,
					 res.first_ms - (unsigned)skip);
			assert_true(res.first_ms - skip > 200);
		}
	}
}

/* A tone does not hide who speaks over it */
static void test_speech_over_dial_tone(void **state)
{
	static const struct vad_tone dial = {
		"dial tone", 350, 440, 0, 0, -35, -90,
	};
	static int16_t tonev[VAD_SAMPLES_MAX];

	(void)state;
	(void)vad_make_tone(tonev, &dial);
	for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
		size_t n = vad_load(pcmv, vad_speechv[i].name, 0);

		for (size_t k = 0; k < n; k++)
			pcmv[k] = vad_line(pcmv[k] + tonev[k]);
		for (size_t f = 0; f < ARRAY_SIZE(vad_formv); f++) {
			struct vad_verdict res = vad_judge(&vad_formv[f], pcmv,
							   n, 0);

			if (!res.starts)
				fail_msg("%s: %s", vad_formv[f].name,
					 vad_speechv[i].name);
		}
	}
}

/* ------------------------------------------------------- the bot's echo */

static struct vad_bot bot;

static size_t make_line(double noise_db)
{
	uint32_t seed = 1;

	for (size_t i = 0; i < VAD_SAMPLES_MAX; i++)
		pcmv[i] = vad_line(vad_amplitude(noise_db) * vad_noise(&seed));

	return VAD_SAMPLES_MAX;
}

/* Each is speech to a detector that does not know what the bot says */
static void test_own_echo_is_no_speech(void **state)
{
	static const struct {
		double db;
		unsigned ms;
		bool room;
	} rowv[] = {
		{-15, 60, false},  {-15, 333, true}, {-20, 111, true},
		{-20, 500, false}, {-25, 200, true}, {-25, 404, false},
	};

	(void)state;
	for (size_t b = 0; b < ARRAY_SIZE(vad_botv); b++) {
		vad_load_bot(&bot, vad_botv[b]);
		if (!b) /* takes a while under valgrind */
			vad_make_room(&bot);
		for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
			const struct vad_form *form = &vad_formv[(b + i) % 2];
			size_t n = make_line(-66);
			struct vad_verdict res;

			vad_add_echo(pcmv,
				     rowv[i].room && !b ? bot.roomv : bot.pcmv,
				     bot.n, rowv[i].db, rowv[i].ms);
			assert_true(vad_judge(form, pcmv, n, 0).starts > 0);
			res = vad_judge_over(form, pcmv, n, 0, &bot);
			if (res.starts)
				fail_msg("%s: bot %zu, row %zu: at %u ms",
					 form->name, b, i, res.first_ms);
			assert_true(res.echo_ms > 300);
		}
	}
}

/* Where nothing comes back none is suspected, whatever the noise */
static void test_no_echo(void **state)
{
	static const double noisev[] = {-66, -50, -40};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(noisev); i++) {
		size_t n = make_line(noisev[i]);
		struct vad_verdict res;

		vad_load_bot(&bot, vad_botv[i % ARRAY_SIZE(vad_botv)]);
		res = vad_judge_over(&vad_formv[i % 2], pcmv, n, 0, &bot);
		assert_int_equal(res.starts, 0);
		assert_int_equal(res.echo_ms, 0);
	}
}

/* Who speaks over it is heard, and hardly later than without an echo */
static void test_speech_over_echo(void **state)
{
	static const size_t at = 3000 * AUDIO_PER_MS;
	static int16_t callv[VAD_SAMPLES_MAX];
	int latev[ARRAY_SIZE(vad_speechv)];
	size_t latec = 0;

	(void)state;
	vad_load_bot(&bot, vad_botv[0]);
	for (size_t i = 0; i < ARRAY_SIZE(vad_speechv); i++) {
		size_t n = vad_load(callv, vad_speechv[i].name, 0);
		uint32_t onset = vad_onset_ms(callv, n) + 3000;
		struct vad_verdict res;

		if (vad_speechv[i].clean)
			continue;
		make_line(-66);
		vad_add_echo(pcmv, bot.pcmv, bot.n, -25, 200);
		n = MIN(n, VAD_SAMPLES_MAX - at);
		for (size_t k = 0; k < n; k++)
			pcmv[at + k] = vad_line(pcmv[at + k] + callv[k]);
		res = vad_judge_over(&vad_formv[i % 2], pcmv, at + n, 0, &bot);
		assert_int_not_equal(res.starts, 0);
		latev[latec] = (int)res.first_ms - (int)onset;
		assert_true(latev[latec++] >= -FRAME_MS);
	}

	qsort(latev, latec, sizeof(latev[0]), int_compare);
	print_message("over echo: heard after %d ms (p50), %d (p95), %d\n",
		      latev[latec / 2], latev[latec * 95 / 100],
		      latev[latec - 1]);
	assert_in_range(latev[latec * 95 / 100], 0, 200);
}

/* One call: 100 ms of tone or of pause, played and coming back */
struct echo_line {
	struct echo e;
	uint8_t loudv[FRAME_SAMPLES];
	double db; /* as loud as that */
	uint64_t now_ms, late_ms;
	float least, most; /* bound while an echo comes back, and in pauses */
};

enum { ECHO_LINE_MS = 240, ECHO_LINE_DB = -66 };

static void line_init(struct echo_line *l)
{
	double energy = 0;

	*l = (struct echo_line){.now_ms = 1000};
	echo_init(&l->e);
	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		int16_t s = (int16_t)(i / 4 % 2 ? 4000 : -4000);

		l->loudv[i] = g711_ulaw_encode(s);
		energy += (double)s * s;
	}
	l->db = 10 * log10(energy / FRAME_SAMPLES / 32768 / 32768);
}

/* Unlike itself at any other time */
static bool is_loud_at(uint64_t ms)
{
	return 0x4b3e3750u >> (ms / 100 % 31) & 1;
}

static void line_run(struct echo_line *l, uint64_t ms, bool plays,
		     double back_db)
{
	l->least = 0;
	l->most = -100;
	for (uint64_t end_ms = l->now_ms + ms; l->now_ms < end_ms;) {
		bool back = is_loud_at(l->now_ms - ECHO_LINE_MS);
		double db = fmax(back ? l->db + back_db : -100, ECHO_LINE_DB);
		float bound;

		if (plays && is_loud_at(l->now_ms))
			echo_played(&l->e, l->loudv, FRAME_SAMPLES, l->now_ms);
		l->now_ms += FRAME_MS;
		bound = echo_bound(&l->e, (float)db, l->now_ms + l->late_ms);
		if (back)
			l->least = fminf(l->least, bound);
		else
			l->most = fmaxf(l->most, bound);
	}
}

/* The line stalls, and then all of it is heard at once */
static void line_stall(struct echo_line *l, uint64_t ms, double back_db)
{
	uint64_t begin_ms = l->now_ms;

	for (; l->now_ms < begin_ms + ms; l->now_ms += FRAME_MS) {
		if (is_loud_at(l->now_ms))
			echo_played(&l->e, l->loudv, FRAME_SAMPLES, l->now_ms);
	}
	for (uint64_t t = begin_ms; t < l->now_ms; t += FRAME_MS) {
		bool back = is_loud_at(t - ECHO_LINE_MS);
		double db = fmax(back ? l->db + back_db : -100, ECHO_LINE_DB);

		(void)echo_bound(&l->e, (float)db, l->now_ms);
	}
}

static void assert_near(double want, float got)
{
	if (fabs(want - got) > 2)
		fail_msg("%g, not %g dBFS", got, want);
}

static void test_bound_of_echo(void **state)
{
	struct echo_line l;

	(void)state;
	line_init(&l);

	/* nothing comes back of nothing */
	line_run(&l, 200, false, -80);
	assert_true(l.most < -90);

	/* at first all that is played may */
	assert_true(is_loud_at(l.now_ms));
	line_run(&l, 20, true, -80);
	assert_near(l.db - 18 + 9, fmaxf(l.most, l.least));

	/* a line without echo: what is heard is noise */
	line_run(&l, 3000, true, -80);
	line_run(&l, 3100, true, -80);
	assert_near(ECHO_LINE_DB + 9, l.most);

	/* it begins to return, which is not believed at once */
	line_run(&l, 500, true, -25);
	assert_true(l.least < l.db - 35 + 9);
	line_run(&l, 30000, true, -25);
	line_run(&l, 3100, true, -25);
	assert_near(l.db - 25 + 9, l.least);
	assert_true(l.most < l.db - 35 + 9);

	/* frames that come late are as old as they are */
	l.late_ms = 400;
	line_run(&l, 900, true, -25);
	assert_near(l.db - 25 + 9, l.least);
	assert_true(l.most < l.db - 35 + 9);
	l.late_ms = 0;

	/* nothing is learnt from frames of unknown age */
	line_stall(&l, 1500, -25);
	line_run(&l, 3100, true, -25);
	assert_near(l.db - 25 + 9, l.least);

	/* cleared: what was not played does not come back, the rest does */
	while (!is_loud_at(l.now_ms - FRAME_MS))
		line_run(&l, FRAME_MS, true, -25);
	for (size_t i = 0; i < 10; i++)
		echo_played(&l.e, l.loudv, FRAME_SAMPLES, l.now_ms);
	echo_cleared(&l.e, l.now_ms);
	line_run(&l, ECHO_LINE_MS, false, -25);
	assert_near(l.db - 25 + 9, l.least);
	line_run(&l, 100, false, -25);
	assert_true(fmaxf(l.most, l.least) < l.db - 35 + 9);
	line_run(&l, 400, false, -25);
	line_run(&l, 1000, false, -25);
	assert_true(fmaxf(l.most, l.least) < -90);
}

/* ------------------------------------------------------------- the rule */

/* Noise about an octave wide, voiced by the correlation of its samples; from
 * white noise, which is not */
static void make_frame(int16_t *v, char c, uint32_t *seed)
{
	double low = 0, db = c == 'L' ? -25 : -45;

	for (size_t i = 0; i < FRAME_SAMPLES; i++) {
		double white = vad_noise(seed);

		low = 0.9 * low + 0.44 * white;
		v[i] = c == '.' ? 0
				: vad_line(vad_amplitude(db) *
					   (c == 's' ? white : low));
	}
}

static void test_three_of_four_frames(void **state)
{
	static const struct {
		const char *frames; /* 'L' loud, '#' less, 's' a hiss */
		const char *want;   /* '#' speaking, after each       */
	} rowv[] = {
		{"##......", "........"},
		{"###.....", "..#####."},
		{"##.#......", "...#####.."},
		{"#.##......", "...#####.."},
		{"#.#.#.#.", "........"},
		{"#..#..#.", "........"},
		{"####....#.....", "..###########."},
		/* one is enough, and need not be among them */
		{"ssssssss", "........"},
		{"#ss.....", "..#####."},
		{"#....sss", ".......#"},
		{"#.........sss", "............."},
		/* a knock, and what rings on */
		{"L###....", "........"},
		{"LL####..", "........"},
		{"L.....###", "........#"},
		{"LLL###....", "..########"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		int16_t v[FRAME_SAMPLES] = {0};
		char got[32] = "";
		struct vad *vad = NULL;
		uint32_t seed = 1;

		assert_int_equal(vad_alloc_energy(&vad), 0);
		for (size_t k = 0; k < 50; k++)
			assert_false(vad_frame(vad, v, 0));
		for (size_t k = 0; rowv[i].frames[k]; k++) {
			make_frame(v, rowv[i].frames[k], &seed);
			got[k] = vad_frame(vad, v, 0) ? '#' : '.';
		}
		if (strcmp(got, rowv[i].want) != 0)
			fail_msg("%s: %s, not %s", rowv[i].frames, got,
				 rowv[i].want);
		mem_deref(vad);
	}
}

static void test_residue(void **state)
{
	static const struct {
		double hz1, hz2, noise, min, max;
	} rowv[] = {
		{440, 480, 0, 0, 0.005},    {1000, 1000, 0, 0, 0.005},
		{697, 1209, 0, 0, 0.005},   {250, 3400, 0, 0, 0.005},
		{440, 480, 0.1, 0.02, 0.2}, {440, 480, 30, 0.8, 1},
	};
	float v[288] = {0};
	uint32_t seed = 1;

	(void)state;
	assert_true(steady_residue(v, 288, 32) >= 1);
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		double got;

		for (size_t k = 0; k < ARRAY_SIZE(v); k++) {
			double w = 2 * M_PI * (double)k / AUDIO_RATE;

			v[k] = (float)(sin(w * rowv[i].hz1) +
				       sin(w * rowv[i].hz2 + 1) +
				       rowv[i].noise * vad_noise(&seed));
		}
		got = steady_residue(v, 288, 32);
		if (got < rowv[i].min || got > rowv[i].max)
			fail_msg("%g+%g Hz: %g", rowv[i].hz1, rowv[i].hz2,
				 got);
	}
}

/* A line that is off zero says nothing, however far it is off; nor does a tone
 * that no ear finds. Both detectors, the filter behind silence and without. */
static void test_offset_and_whisper_are_no_speech(void **state)
{
	static const int16_t peakv[] = {1, 31, 32, 33, 40, 1000, 32767};
	int16_t offset[FRAME_SAMPLES], tone[FRAME_SAMPLES];

	(void)state;
	for (size_t k = 0; k < ARRAY_SIZE(peakv) * 2; k++) {
		int16_t peak = peakv[k / 2];
		struct vad *v = NULL;

		for (size_t i = 0; i < FRAME_SAMPLES; i++) {
			offset[i] = peak;
			tone[i] = i / 4 % 2 ? peak : (int16_t)-peak;
		}
		assert_int_equal(vad_formv[k % 2].alloch(&v), 0);
		for (size_t i = 0; i < 100; i++)
			assert_false(vad_frame(v, offset, 0));
		for (size_t i = 0; i < 100 && peak <= 40; i++)
			assert_false(vad_frame(v, tone, 0));
		mem_deref(v);
	}
}

/* The worst samples there are; a sanitizer watches */
static void test_full_scale(void **state)
{
	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(vad_formv); d++) {
		struct vad *v = NULL;

		assert_int_equal(vad_formv[d].alloch(&v), 0);
		for (size_t k = 0; k < 200; k++) {
			for (size_t i = 0; i < FRAME_SAMPLES; i++)
				pcmv[i] = (i / (1 + k % 40)) % 2 ? INT16_MIN
								 : INT16_MAX;
			(void)vad_frame(v, pcmv, 0);
		}
		mem_deref(v);
	}
}

static int oom_body(void *arg)
{
	const struct vad_form *form = arg;
	struct vad *v = NULL;
	int err = form->alloch(&v);

	mem_deref(v);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(vad_formv); d++) {
		oom_loop(oom_body, (void *)(uintptr_t)&vad_formv[d]);
	}
}

/* Every code there is, in any order; a sanitizer watches */
static void test_random_codes(void **state)
{
	uint32_t seed = 1;

	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(vad_formv); d++) {
		struct vad *v = NULL;

		assert_int_equal(vad_formv[d].alloch(&v), 0);
		for (size_t k = 0; k < 2000; k++) {
			for (size_t i = 0; i < FRAME_SAMPLES; i++) {
				seed = seed * 1664525 + 1013904223;
				pcmv[i] = g711_ulaw_decode(
					(uint8_t)(seed >> 24));
			}
			/* white noise, as loud as it gets */
			assert_false(vad_frame(v, pcmv, 0));
		}
		mem_deref(v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tones_are_no_speech),
		cmocka_unit_test(test_noise_is_no_speech),
		cmocka_unit_test(test_speech_is_heard_soon),
		cmocka_unit_test(test_speech_from_the_first_frame),
		cmocka_unit_test(test_speech_over_dial_tone),
		cmocka_unit_test(test_own_echo_is_no_speech),
		cmocka_unit_test(test_no_echo),
		cmocka_unit_test(test_speech_over_echo),
		cmocka_unit_test(test_bound_of_echo),
		cmocka_unit_test(test_three_of_four_frames),
		cmocka_unit_test(test_residue),
		cmocka_unit_test(test_offset_and_whisper_are_no_speech),
		cmocka_unit_test(test_full_scale),
		cmocka_unit_test(test_random_codes),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* What a recording holds: both sides at the right time, on a real disk */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/metrics.h>
#include <convod/record.h>
#include "../../src/server/recorder.h"
#include "folder.h"

struct fixture {
	char dir[FOLDER_MAX];
	struct loop *loop;
	struct recorder *r;
};

static void set_up(struct fixture *f)
{
	folder_make(f->dir);
	assert_int_equal(loop_alloc(&f->loop), 0);
}

static void tear_down(struct fixture *f)
{
	mem_deref(f->loop);
	assert_int_equal(mem_blocks(), 0);
}

static void begin(struct fixture *f, const char *id)
{
	assert_int_equal(recorder_alloc(&f->r, f->loop, f->dir, id), 0);
}

static void frames(struct fixture *f, unsigned n, int code)
{
	uint8_t ulawv[FRAME_SAMPLES];

	memset(ulawv, code, sizeof(ulawv));
	while (n--)
		recorder_frame(f->r, code < 0 ? NULL : ulawv, false);
}

/* The caller presses 5 */
static void tone(struct fixture *f, unsigned n, bool secret)
{
	uint8_t ulawv[FRAME_SAMPLES];

	for (unsigned at = 0; at < n * FRAME_SAMPLES; at++) {
		double t = 2 * M_PI * at / AUDIO_RATE;
		double v = sin(770 * t) + sin(1336 * t);

		ulawv[at % FRAME_SAMPLES] = g711_ulaw_encode(
			(int16_t)(8000 * v));
		if (at % FRAME_SAMPLES == FRAME_SAMPLES - 1)
			recorder_frame(f->r, ulawv, secret);
	}
}

static void bot(struct fixture *f, unsigned n, int code)
{
	uint8_t ulawv[FRAME_SAMPLES];

	memset(ulawv, code, sizeof(ulawv));
	while (n--)
		recorder_bot(f->r, ulawv, sizeof(ulawv));
}

/* Let the jobs end: whoever else holds a reference is one */
static void finish(struct fixture *f)
{
	struct recorder *r = mem_ref(f->r);

	f->r = recorder_close(f->r);
	while (mem_nrefs(r) > 1)
		loop_turn(f->loop, true);
	mem_deref(r);
}

static void path_of(const struct fixture *f, char *dst, size_t size,
		    const char *name)
{
	(void)snprintf(dst, size, "%s/recordings/%s", f->dir, name);
}

/* Samples of both sides, interleaved */
static size_t read_file(const struct fixture *f, const char *name, int16_t *v,
			size_t size)
{
	enum { HEADER = 44 };
	char path[128];
	FILE *file;
	size_t n;

	path_of(f, path, sizeof(path), name);
	file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, HEADER, SEEK_SET), 0);
	n = fread(v, sizeof(*v), size, file);
	fclose(file);

	return n;
}

static void test_both_sides(void **state)
{
	enum { FRAMES = 120 };
	static int16_t v[2 * FRAMES * FRAME_SAMPLES + 2];
	struct fixture f;

	(void)state;
	set_up(&f);
	begin(&f, "CA/../x");
	bot(&f, 10, 0x90); /* heard with the frames 0 to 3, then cleared */
	frames(&f, 4, 0x20);
	recorder_clear(f.r);
	frames(&f, 56, 0x20);
	bot(&f, 60, 0xa0);
	frames(&f, 60, -1); /* what must not be recorded */
	finish(&f);

	assert_int_equal(read_file(&f, "CA____x.wav", v, ARRAY_SIZE(v)),
			 2 * FRAMES * FRAME_SAMPLES);
	for (size_t i = 0; i < FRAMES; i++) {
		const int16_t *at = v + 2 * i * FRAME_SAMPLES;

		assert_int_equal(at[0],
				 g711_ulaw_decode(i < 60 ? 0x20 : 0xff));
		assert_int_equal(at[1], g711_ulaw_decode(i < 4    ? 0x90
							 : i < 60 ? 0xff
								  : 0xa0));
	}
	tear_down(&f);
}

static void test_a_second_file(void **state)
{
	static int16_t v[8000];
	struct fixture f;

	(void)state;
	set_up(&f);
	for (unsigned i = 1; i <= 2; i++) {
		begin(&f, "CA1");
		frames(&f, i, 0x20);
		finish(&f);
	}
	assert_int_equal(read_file(&f, "CA1.wav", v, 8000), 320);
	assert_int_equal(read_file(&f, "CA1-2.wav", v, 8000), 640);

	begin(&f, "empty"); /* nothing was recorded: no file */
	f.r = recorder_close(f.r);
	assert_null(recorder_close(NULL));
	tear_down(&f);
}

/* Frames of the caller's that are not silent, as '#'; one letter is 200 ms */
static void read_caller(const struct fixture *f, const char *name, char *dst)
{
	enum { MOST = 1000, LETTER = 10 };
	static int16_t v[2 * MOST * FRAME_SAMPLES];
	size_t n = read_file(f, name, v, ARRAY_SIZE(v)) / 2 / FRAME_SAMPLES;

	for (size_t i = 0; i < n; i += LETTER) {
		bool sound = false;

		for (size_t k = i * FRAME_SAMPLES;
		     k < MIN(n, i + LETTER) * FRAME_SAMPLES; k++)
			sound |= v[2 * k] != 0;
		*dst++ = sound ? '#' : '.';
	}
	*dst = '\0';
}

/* A carrier tells of a key at its end; or nobody does, but it can be heard */
static void test_secret_keys(void **state)
{
	char heard[128];
	struct fixture f;

	(void)state;
	set_up(&f);
	begin(&f, "told");
	frames(&f, 100, 0x20);
	recorder_hide(f.r);
	frames(&f, 100, 0x20);
	finish(&f);
	read_caller(&f, "told.wav", heard);
	assert_string_equal(heard, "#####.........."
				   "#####");

	begin(&f, "heard");
	frames(&f, 70, 0x20);
	tone(&f, 80, true);
	frames(&f, 100, 0x20);
	finish(&f);
	read_caller(&f, "heard.wav", heard);
	assert_string_equal(heard, "###.................#####");

	/* told in its beginning, and held, when none is secret any more */
	begin(&f, "last");
	frames(&f, 70, 0x20);
	recorder_hide(f.r);
	tone(&f, 80, false);
	frames(&f, 100, 0x20);
	finish(&f);
	read_caller(&f, "last.wav", heard);
	assert_string_equal(heard, "##..................#####");

	/* who has no secrets may be heard pressing keys */
	begin(&f, "open");
	tone(&f, 150, false);
	finish(&f);
	read_caller(&f, "open.wav", heard);
	assert_string_equal(heard, "###############");
	tear_down(&f);
}

static void test_disk_that_cannot_be_written(void **state)
{
	uint64_t failed = metrics_counter(M_RECORDINGS_FAILED);
	uint64_t lost = metrics_counter(M_RECORDING_LOST);
	struct fixture f;

	(void)state;
	set_up(&f);
	assert_int_equal(recorder_alloc(&f.r, f.loop, "/dev/null", "x"), 0);
	frames(&f, 100, 0x20);
	while (metrics_counter(M_RECORDINGS_FAILED) == failed)
		loop_turn(f.loop, true);
	frames(&f, 10, 0x20);
	assert_int_equal(metrics_counter(M_RECORDING_LOST) - lost,
			 10 * FRAME_SAMPLES);
	finish(&f);
	assert_int_equal(metrics_counter(M_RECORDINGS_FAILED) - failed, 1);
	tear_down(&f);
}

static void test_disk_that_falls_behind(void **state)
{
	uint64_t lost = metrics_counter(M_RECORDING_LOST);
	struct fixture f;

	(void)state;
	set_up(&f);
	begin(&f, "slow");
	bot(&f, 1000, 0xa0);   /* bounded too */
	frames(&f, 100, 0x20); /* of it a second is being written */
	frames(&f, 50 * RECORDER_BEHIND_MAX_S - 50 + 3, 0x20);
	assert_int_equal(metrics_counter(M_RECORDING_LOST) - lost,
			 3 * FRAME_SAMPLES);
	finish(&f);
	tear_down(&f);
}

static int record_body(void *arg)
{
	struct fixture *f = arg;
	int err = recorder_alloc(&f->r, f->loop, f->dir, "x");

	if (!err)
		f->r = mem_deref(f->r);

	return err;
}

static void test_out_of_memory(void **state)
{
	struct fixture f;

	(void)state;
	set_up(&f);
	oom_loop(record_body, &f);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_sides),
		cmocka_unit_test(test_a_second_file),
		cmocka_unit_test(test_secret_keys),
		cmocka_unit_test(test_disk_that_cannot_be_written),
		cmocka_unit_test(test_disk_that_falls_behind),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

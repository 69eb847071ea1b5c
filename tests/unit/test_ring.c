#include <pthread.h>
#include <sched.h>
#include <convod/metrics.h>
#include <convod/ring.h>
#include "test.h"

enum { SIZE = 64 };

/* What the sample at a position is in these tests; never RING_SILENCE */
static uint8_t sample_at(uint64_t pos)
{
	return (uint8_t)(pos * 7 % 251);
}

static size_t write_run(struct ring *r, size_t n)
{
	uint64_t head = ring_head(r);
	uint8_t v[4 * SIZE];

	for (size_t i = 0; i < n; i++)
		v[i] = sample_at(head + i);

	return ring_write(r, v, n);
}

/* Read n and find the samples of their positions, silence in from..to */
static void read_run(struct ring *r, size_t n, uint64_t from, uint64_t to)
{
	uint64_t pos = ring_sent(r);
	uint8_t v[8 * SIZE];

	assert_int_equal(ring_read(r, v, n), n);
	for (size_t i = 0; i < n; i++, pos++) {
		bool gap = pos >= from && pos < to;

		if (v[i] != (gap ? RING_SILENCE : sample_at(pos)))
			fail_msg("position %d", (int)pos);
	}
	assert_int_equal(ring_sent(r), pos);
}

static void read_all(struct ring *r)
{
	read_run(r, ring_pending(r), 0, 0);
	ring_release(r, ring_sent(r));
}

static struct ring *new_ring(void)
{
	struct ring *r = NULL;

	assert_int_equal(ring_alloc(&r, SIZE), 0);
	return r;
}

static void test_size_is_a_power_of_two(void **state)
{
	struct ring *r = NULL;

	(void)state;
	assert_int_equal(ring_alloc(&r, 0), EINVAL);
	assert_int_equal(ring_alloc(&r, 3), EINVAL);
	assert_int_equal(ring_alloc(&r, 96), EINVAL);
	assert_int_equal(ring_alloc(&r, SIZE_MAX / 2 + 1), EINVAL);
	assert_null(r);
	assert_int_equal(ring_alloc(&r, 1), 0);
	mem_deref(r);
}

static void test_wraps_around(void **state)
{
	struct ring *r = new_ring();

	(void)state;
	for (size_t n = 0; n <= SIZE; n++) {
		for (size_t times = 0; times < 5; times++) {
			assert_int_equal(write_run(r, n), n);
			assert_int_equal(ring_pending(r), n);
			read_all(r);
		}
	}
	assert_int_equal(ring_head(r), 5 * SIZE * (SIZE + 1) / 2);
	assert_int_equal(ring_dropped(r), 0);
	mem_deref(r);
}

static void test_read_gives_at_most_what_is_there(void **state)
{
	struct ring *r = new_ring();
	uint8_t v[SIZE];

	(void)state;
	assert_int_equal(ring_read(r, v, sizeof(v)), 0);
	write_run(r, 10);
	assert_int_equal(ring_read(r, v, 4), 4);
	assert_int_equal(ring_read(r, v, sizeof(v)), 6);
	assert_int_equal(ring_pending(r), 0);
	mem_deref(r);
}

static void test_seek_and_release_are_clamped(void **state)
{
	struct ring *r = new_ring();

	(void)state;
	write_run(r, 40);
	read_run(r, 30, 0, 0);
	ring_release(r, 20);
	assert_int_equal(ring_kept(r), 20);
	ring_release(r, 10); /* not back */
	assert_int_equal(ring_kept(r), 20);

	ring_seek(r, 0);
	assert_int_equal(ring_sent(r), 20);
	read_run(r, 20, 0, 0); /* the same samples again */
	ring_seek(r, 1000);
	assert_int_equal(ring_sent(r), 40);
	ring_seek(r, 35);
	ring_release(r, 1000); /* not beyond what was read */
	assert_int_equal(ring_kept(r), 35);
	read_run(r, 5, 0, 0);
	mem_deref(r);
}

static void test_full_drops_the_newest_and_keeps_the_clock(void **state)
{
	struct ring *r = new_ring();
	uint64_t counted = metrics_counter(M_SAMPLES_DROPPED);

	(void)state;
	assert_int_equal(write_run(r, SIZE - 4), SIZE - 4);
	assert_int_equal(write_run(r, 10), 4);
	assert_int_equal(ring_dropped(r), 6);
	assert_int_equal(write_run(r, 10), 0);
	assert_int_equal(ring_dropped(r), 16);
	assert_int_equal(metrics_counter(M_SAMPLES_DROPPED), counted + 16);
	assert_int_equal(ring_head(r), SIZE + 16);
	assert_int_equal(ring_pending(r), SIZE + 16);

	/* the gap while it is open, and once more after going back */
	read_run(r, SIZE + 10, SIZE, SIZE + 16);
	ring_seek(r, SIZE - 2);
	read_run(r, 18, SIZE, SIZE + 16);

	/* room for the newest: the gap gets slots, what follows is audio */
	ring_release(r, SIZE - 2);
	assert_int_equal(write_run(r, 20), 20);
	ring_seek(r, 0);
	assert_int_equal(ring_sent(r), SIZE - 2);
	read_run(r, 38, SIZE, SIZE + 16);
	assert_int_equal(ring_dropped(r), 16);
	mem_deref(r);
}

static void test_a_gap_longer_than_the_ring(void **state)
{
	struct ring *r = new_ring();
	uint64_t gap;

	(void)state;
	write_run(r, SIZE);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(write_run(r, SIZE), 0);
	gap = ring_head(r);
	assert_int_equal(gap, 6 * SIZE);

	/* a release alone does not make room for what is 5 sizes later */
	read_run(r, SIZE, 0, 0);
	ring_release(r, SIZE);
	assert_int_equal(write_run(r, 8), 0);
	gap += 8;

	read_run(r, 5 * SIZE + 8, SIZE, gap);
	ring_release(r, gap - 4);
	assert_int_equal(write_run(r, SIZE), SIZE - 4);
	ring_seek(r, 0);
	read_run(r, SIZE, SIZE, gap);
	mem_deref(r);
}

/* Compare with a model that remembers everything, over random steps */
static void test_model(void **state)
{
	enum { STEPS = 200000, LONGEST = STEPS * 100 };
	struct ring *r = new_ring();
	uint8_t *model = malloc(LONGEST);
	uint64_t head = 0, sent = 0, kept = 0;
	uint32_t seed = 7;

	(void)state;
	for (size_t step = 0; step < STEPS; step++) {
		uint8_t v[128], w[128];
		size_t n, m;

		seed = seed * 1664525 + 1013904223;
		n = (seed >> 8) % 100;
		switch (seed >> 29) {
		case 0:
		case 1:
		case 2:
			for (size_t i = 0; i < n; i++)
				v[i] = sample_at(head + i);
			m = ring_write(r, v, n);
			assert_int_equal(m,
					 head >= kept + SIZE
						 ? 0
						 : MIN(n, kept + SIZE - head));
			memset(model + head, RING_SILENCE, n);
			memcpy(model + head, v, m);
			head += n;
			break;
		case 3:
		case 4:
			m = ring_read(r, w, n);
			assert_int_equal(m, MIN(n, head - sent));
			assert_memory_equal(w, model + sent, m);
			sent += m;
			break;
		case 5:
		case 6:
			ring_release(r, sent - MIN(sent, n / 4));
			kept = MAX(kept, sent - MIN(sent, n / 4));
			break;
		default:
			ring_seek(r, head - MIN(head, n));
			sent = MAX(kept, head - MIN(head, n));
			break;
		}
		assert_int_equal(ring_head(r), head);
		assert_int_equal(ring_sent(r), sent);
		assert_int_equal(ring_kept(r), kept);
	}
	assert_true(ring_dropped(r) > 1000);
	free(model);
	mem_deref(r);
}

/* ------------------------------------------------------------ two threads */

enum { THREAD_SAMPLES = 400000, THREAD_RING = 256 };

static void *producer(void *arg)
{
	struct ring *r = arg;
	uint64_t pos = 0;
	uint8_t v[37];

	while (pos < THREAD_SAMPLES) {
		size_t n = 1 + pos % sizeof(v);

		for (size_t i = 0; i < n; i++)
			v[i] = sample_at(pos + i);
		ring_write(r, v, n);
		pos += n;
		if (pos % 3 == 0)
			sched_yield();
	}

	return NULL;
}

static void test_two_threads(void **state)
{
	uint64_t audio = 0, silence = 0, again = 0;
	struct ring *r = NULL;
	pthread_t t;
	uint8_t v[61];

	(void)state;
	assert_int_equal(ring_alloc(&r, THREAD_RING), 0);
	assert_int_equal(pthread_create(&t, NULL, producer, r), 0);

	/* the last piece goes beyond THREAD_SAMPLES: read all of it */
	while (ring_sent(r) < THREAD_SAMPLES || ring_pending(r)) {
		uint64_t pos = ring_sent(r);
		size_t n = ring_read(r, v, sizeof(v));

		for (size_t i = 0; i < n; i++) {
			if (v[i] == RING_SILENCE)
				++silence;
			else if (v[i] == sample_at(pos + i))
				++audio;
			else
				fail_msg("wrong sample");
		}
		if (!n) {
			sched_yield();
		} else if (pos % 5 == 0 && pos > again) {
			again = pos + n; /* once, then go on */
			ring_seek(r, pos);
			assert_int_equal(ring_read(r, v, n), n);
		}
		ring_release(r, ring_sent(r) - MIN(ring_sent(r), 10));
	}
	pthread_join(t, NULL);

	assert_int_equal(ring_pending(r), 0);
	assert_int_equal(silence, ring_dropped(r));
	assert_int_equal(audio + silence, ring_head(r));
	mem_deref(r);
}

static int oom_body(void *arg)
{
	struct ring *r = NULL;
	int err = ring_alloc(&r, SIZE);

	(void)arg;
	if (!err)
		write_run(r, 2 * SIZE);
	mem_deref(r);

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
		cmocka_unit_test(test_size_is_a_power_of_two),
		cmocka_unit_test(test_wraps_around),
		cmocka_unit_test(test_read_gives_at_most_what_is_there),
		cmocka_unit_test(test_seek_and_release_are_clamped),
		cmocka_unit_test(
			test_full_drops_the_newest_and_keeps_the_clock),
		cmocka_unit_test(test_a_gap_longer_than_the_ring),
		cmocka_unit_test(test_model),
		cmocka_unit_test(test_two_threads),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

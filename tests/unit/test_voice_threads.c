/*
 * Many callers on two threads want the same text at once.
 */
#include <pthread.h>
#include <stdatomic.h>
#include "../../src/tts/breaker.h"
#include "fake_voice.h"

/* --------------------------------------------------------------- threads */

enum {
	ROUNDS = 30,
	CALLERS = 50, /* of each thread */
	THREADS = 2,
	PIECES = 5,
	PIECE = 400,
};

/** A voice that speaks by itself, on its loop */
struct auto_voice {
	struct tts tts; /* first */
	struct loop *loop;
	atomic_uint *asked; /* of all threads */
	int err;
};

struct auto_req {
	struct tmr *tmr;
	struct clip *clip;
	int err;
};

struct crowd {
	struct voice_cache *cache;
	pthread_barrier_t barrier;
	atomic_uint first_asked, second_asked;
	int first_err;
	atomic_uint wrong;
	atomic_uint ready; /* with a round, of all threads */
	bool leave;        /* those of one thread don't wait for the end */
};

struct member {
	struct crowd *crowd;
	unsigned index;
};

static void auto_handler(void *arg)
{
	struct auto_req *r = arg;
	struct clip *clip = mem_ref(r->clip);
	uint8_t v[PIECE];
	bool last = r->err || clip_len(clip) >= PIECE * (PIECES - 1);

	for (size_t i = 0; i < PIECE; i++)
		v[i] = (uint8_t)((clip_len(clip) + i) * 3);
	tmr_start(r->tmr, 1);
	if (last)
		tmr_cancel(r->tmr);
	if (!r->err && clip_append(clip, v, PIECE))
		clip_end(clip, ENOMEM);
	if (last)
		clip_end(clip, r->err); /* r may be gone */
	mem_deref(clip);
}

static void auto_destructor(void *arg)
{
	struct auto_req *r = arg;

	mem_deref(r->tmr);
	mem_deref(r->clip);
}

static int auto_speak(void **rp, struct tts *t, const struct tts_text *text,
		      struct clip *clip)
{
	struct auto_voice *a = CONTAINER_OF(t, struct auto_voice, tts);
	struct auto_req *r = mem_zalloc(sizeof(*r), auto_destructor);

	(void)text;
	if (!r || tmr_alloc(&r->tmr, a->loop, auto_handler, r)) {
		mem_deref(r);
		return ENOMEM;
	}

	atomic_fetch_add(a->asked, 1);
	r->clip = mem_ref(clip);
	r->err = a->err;
	tmr_start(r->tmr, 1);
	*rp = r;

	return 0;
}

static const struct tts_backend auto_backend = {
	.name = "auto",
	.speak = auto_speak,
};

static int auto_alloc(struct auto_voice **ap, struct loop *l,
		      atomic_uint *asked, int err)
{
	*ap = mem_zalloc(sizeof(**ap), NULL);
	if (!*ap)
		return ENOMEM;

	(*ap)->tts.be = &auto_backend;
	(*ap)->loop = l;
	(*ap)->asked = asked;
	(*ap)->err = err;

	return 0;
}

static bool is_right(const struct clip *c)
{
	if (clip_error(c) || clip_len(c) != PIECE * PIECES)
		return false;
	for (size_t i = 0; i < clip_len(c); i++) {
		if (clip_data(c)[i] != (uint8_t)(i * 3))
			return false;
	}

	return true;
}

static int member_set_up(struct fixture *f, struct crowd *crowd)
{
	struct auto_voice *first = NULL, *second = NULL;
	struct voice_param prm = {
		.timeout_ms = NEVER_MS,
		.max_ms = MAX_MS,
		.cache = crowd->cache,
	};
	int err = loop_alloc(&f->net.loop);

	if (!err)
		err = auto_alloc(&first, f->net.loop, &crowd->first_asked,
				 crowd->first_err);
	if (!err)
		err = auto_alloc(&second, f->net.loop, &crowd->second_asked,
				 0);
	if (!err) {
		prm.first = (struct voice_engine){&first->tts, &first_param};
		prm.fallback = (struct voice_engine){&second->tts,
						     &second_param};
		err = voice_alloc(&f->voice, &prm, &f->net);
	}
	mem_deref(first);
	mem_deref(second);

	return err;
}

static void round_of(struct fixture *f, const struct member *m, unsigned n)
{
	static _Thread_local struct caller v[CALLERS];
	struct crowd *crowd = m->crowd;
	char text[32];

	(void)snprintf(text, sizeof(text), "Round %u.", n);
	for (size_t i = 0; i < CALLERS; i++) {
		if (ask(f, &v[i], text))
			atomic_fetch_add(&crowd->wrong, 1);
	}
	/* the leaders' callers leave, now and then: the others still hear */
	if (crowd->leave && m->index == n % THREADS) {
		for (unsigned i = 0; i < n % 8; i++)
			loop_turn(f->net.loop, false);
		for (size_t i = 0; i < CALLERS; i++)
			drop(&v[i]);
		return;
	}
	for (size_t i = 0; i < CALLERS; i++) {
		while (v[i].clip && !clip_is_ended(v[i].clip))
			loop_turn(f->net.loop, false);
		if (!v[i].clip || !is_right(v[i].clip))
			atomic_fetch_add(&crowd->wrong, 1);
		drop(&v[i]);
	}
}

/* A loop must turn until all have heard */
static void turn_for_others(struct fixture *f, struct crowd *crowd, unsigned n)
{
	while (atomic_load(&crowd->ready) < THREADS * (n + 1)) {
		loop_turn(f->net.loop, false);
		usleep(100);
	}
}

static void *member_thread(void *arg)
{
	const struct member *m = arg;
	struct fixture f = {.voice = NULL};
	int err = member_set_up(&f, m->crowd);

	if (err)
		atomic_fetch_add(&m->crowd->wrong, 1);
	for (unsigned i = 0; i < ROUNDS; i++) {
		pthread_barrier_wait(&m->crowd->barrier);
		if (!err)
			round_of(&f, m, i);
		atomic_fetch_add(&m->crowd->ready, 1);
		if (!err)
			turn_for_others(&f, m->crowd, i);
	}
	pthread_barrier_wait(&m->crowd->barrier);
	mem_deref(f.voice);
	mem_deref(f.net.loop);

	return NULL;
}

static void run_crowd(struct crowd *crowd)
{
	struct member memberv[THREADS];
	pthread_t threadv[THREADS];

	assert_int_equal(voice_cache_alloc(&crowd->cache,
					   &(struct voice_cache_param){
						   .memory_max = MB,
						   .clip_max = CLIP_MAX,
					   }),
			 0);
	pthread_barrier_init(&crowd->barrier, NULL, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		memberv[i] = (struct member){crowd, i};
		assert_int_equal(pthread_create(&threadv[i], NULL,
						member_thread, &memberv[i]),
				 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threadv[i], NULL);
	pthread_barrier_destroy(&crowd->barrier);
	crowd->cache = mem_deref(crowd->cache);
	assert_int_equal(atomic_load(&crowd->wrong), 0);
}

static void test_one_request_for_all_threads(void **state)
{
	struct crowd crowd = {.first_err = 0};

	(void)state;
	run_crowd(&crowd);
	assert_int_equal(atomic_load(&crowd.first_asked), ROUNDS);
	assert_int_equal(atomic_load(&crowd.second_asked), 0);
}

/* The others that waited don't all try again */
static void test_one_failure_for_all_threads(void **state)
{
	struct crowd crowd = {.first_err = EREMOTEIO};

	(void)state;
	run_crowd(&crowd);
	/* the circuit opens; who was told late may be one more, and on a slow
	 * machine it is tried again now and then */
	assert_in_range(atomic_load(&crowd.first_asked), BREAKER_FAILURES,
			ROUNDS / 2);
	assert_int_equal(atomic_load(&crowd.second_asked), ROUNDS);
}

static void test_the_leaders_callers_leave(void **state)
{
	struct crowd crowd = {.leave = true};

	(void)state;
	run_crowd(&crowd);
	assert_in_range(atomic_load(&crowd.first_asked), ROUNDS, 2 * ROUNDS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_request_for_all_threads),
		TEST(test_one_failure_for_all_threads),
		TEST(test_the_leaders_callers_leave),
	};

	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

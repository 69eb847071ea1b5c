#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <convod/loop.h>
#include "test.h"

struct fixture {
	struct loop *loop;
	struct tmr *tmr;
	struct loop_flush flush;
	struct loop_post post;
	int timers, flushes, posts, done;
	bool worked;
	int policy;
};

static void timer_handler(void *arg)
{
	struct fixture *f = arg;

	++f->timers;
	loop_flush_later(f->loop, &f->flush);
	loop_flush_later(f->loop, &f->flush);
}

static void flush_handler(void *arg)
{
	struct fixture *f = arg;

	++f->flushes;
	loop_stop(f->loop);
}

static void test_timer_then_one_flush(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(tmr_alloc(&f.tmr, f.loop, timer_handler, &f), 0);
	f.flush.h = flush_handler;
	f.flush.arg = &f;

	assert_false(tmr_is_running(f.tmr));
	tmr_start(f.tmr, 1);
	assert_true(tmr_is_running(f.tmr));
	loop_run(f.loop);
	assert_int_equal(f.timers, 1);
	assert_int_equal(f.flushes, 1);
	assert_false(tmr_is_running(f.tmr));

	mem_deref(f.tmr);
	mem_deref(f.loop);
}

static void post_handler(struct loop_post *p)
{
	struct fixture *f = CONTAINER_OF(p, struct fixture, post);

	++f->posts;
	loop_stop(f->loop);
}

static void *post_thread(void *arg)
{
	struct fixture *f = arg;

	return loop_post(f->loop, &f->post) ? f : NULL;
}

static void test_post_from_a_thread(void **state)
{
	struct fixture f = {.post = {.h = post_handler}};
	pthread_t t;
	void *failed;

	(void)state;
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(pthread_create(&t, NULL, post_thread, &f), 0);
	loop_run(f.loop);
	pthread_join(t, &failed);
	assert_null(failed);
	assert_int_equal(f.posts, 1);
	mem_deref(f.loop);
}

static void work_handler(void *arg)
{
	struct fixture *f = arg;

	f->worked = true;
}

static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	f->done += !err;
	loop_stop(f->loop);
}

static void test_job_runs_and_reports(void **state)
{
	struct fixture f = {0};

	(void)state;
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(loop_job(f.loop, work_handler, done_handler, &f), 0);
	loop_run(f.loop);
	assert_true(f.worked);
	assert_int_equal(f.done, 1);
	mem_deref(f.loop);
}

static void policy_handler(void *arg)
{
	struct fixture *f = arg;

	f->policy = sched_getscheduler(0);
}

/* Work waits for the loop wherever both have one core, and not the reverse */
static void test_job_gives_way(void **state)
{
	struct fixture f = {0};
	int ours = sched_getscheduler(0);

	(void)state;
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(loop_job(f.loop, policy_handler, done_handler, &f),
			 0);
	loop_run(f.loop);
	assert_int_equal(f.policy, ours == SCHED_OTHER ? SCHED_BATCH : ours);
	assert_int_equal(sched_getscheduler(0), ours);
	mem_deref(f.loop);
}

static void sig_handler(int signum, void *arg)
{
	struct fixture *f = arg;

	f->done = signum;
	loop_stop(f->loop);
}

static void test_signal(void **state)
{
	struct fixture f = {0};
	struct sig *sig = NULL;

	(void)state;
	assert_int_equal(loop_alloc(&f.loop), 0);
	assert_int_equal(sig_alloc(&sig, f.loop, SIGUSR1, sig_handler, &f), 0);
	assert_int_equal(raise(SIGUSR1), 0);
	loop_run(f.loop);
	assert_int_equal(f.done, SIGUSR1);
	mem_deref(sig);
	mem_deref(f.loop);
}

static int alloc_body(void *arg)
{
	struct loop *l = NULL;
	struct tmr *t = NULL;
	struct sig *s = NULL;
	int err = loop_alloc(&l);

	if (!err)
		err = tmr_alloc(&t, l, timer_handler, arg);
	if (!err)
		err = sig_alloc(&s, l, SIGUSR1, sig_handler, arg);
	mem_deref(s);
	mem_deref(t);
	mem_deref(l);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(alloc_body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timer_then_one_flush),
		cmocka_unit_test(test_post_from_a_thread),
		cmocka_unit_test(test_job_runs_and_reports),
		cmocka_unit_test(test_job_gives_way),
		cmocka_unit_test(test_signal),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

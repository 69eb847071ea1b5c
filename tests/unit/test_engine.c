#include <stdatomic.h>
#include <convod/engine.h>
#include <convod/metrics.h>
#include <pthread.h>
#include "test.h"

enum { QUEUE = 4, JOBS = 200 };

struct job {
	struct engine_job job;
	struct fixture *f;
	int n;
};

struct fixture {
	struct loop *loop;
	struct engine_user *user;
	pthread_mutex_t gate; /* held by a test: jobs stand still */
	atomic_int works, inits, closes;
	int done, last;
	bool in_order;
};

static struct fixture fix;

static int init(void **statep, void *arg)
{
	atomic_fetch_add(&fix.inits, 1);
	*statep = &fix;

	return 0;
}

static void close_state(void *state)
{
	atomic_fetch_add(&fix.closes, 1);
}

static const struct engine_ops ops = {"test", init, close_state};

static void work_handler(struct engine_job *ej, void *state)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);

	assert_ptr_equal(state, &fix);
	pthread_mutex_lock(&j->f->gate);
	pthread_mutex_unlock(&j->f->gate);
	atomic_fetch_add(&j->f->works, 1);
}

static void done_handler(struct engine_job *ej)
{
	struct job *j = CONTAINER_OF(ej, struct job, job);
	struct fixture *f = j->f;

	f->in_order = f->in_order && j->n == f->last + 1;
	f->last = j->n;
	++f->done;
}

static int user_alloc(struct engine_user **up, struct loop *l,
		      unsigned threads)
{
	return engine_user_alloc(up, l,
				 &(struct engine_param){
					 .ops = &ops,
					 .key = "k",
					 .threads = threads,
					 .queue = QUEUE,
				 });
}

static int setup(void **state)
{
	memset(&fix, 0, sizeof(fix));
	fix.in_order = true;
	pthread_mutex_init(&fix.gate, NULL);
	assert_int_equal(loop_alloc(&fix.loop), 0);
	assert_int_equal(user_alloc(&fix.user, fix.loop, 1), 0);

	return 0;
}

static int teardown(void **state)
{
	mem_deref(fix.user);
	mem_deref(fix.loop);
	assert_int_equal(fix.inits, fix.closes);
	pthread_mutex_destroy(&fix.gate);

	return 0;
}

static struct job *job_alloc(int n)
{
	struct job *j = mem_zalloc(sizeof(*j), NULL);

	assert_non_null(j);
	j->job.workh = work_handler;
	j->job.doneh = done_handler;
	j->f = &fix;
	j->n = n;

	return j;
}

static int submit(int n)
{
	struct job *j = job_alloc(n);
	int err = engine_submit(fix.user, &j->job);

	mem_deref(j);

	return err;
}

static void test_one_thread_keeps_the_order(void **state)
{
	for (int n = 1; n <= JOBS; n++) {
		while (submit(n) == ENOBUFS)
			loop_turn(fix.loop, true);
	}
	while (fix.done < JOBS)
		loop_turn(fix.loop, true);
	assert_true(fix.in_order);
	assert_int_equal(fix.works, JOBS);
}

static void test_full_refuses_and_counts(void **state)
{
	uint64_t before = metrics_counter(M_JOBS_REFUSED);
	int taken = 0, refused = 0;

	pthread_mutex_lock(&fix.gate);
	for (int n = 1; n <= 3 * QUEUE; n++) {
		if (submit(n))
			++refused;
		else
			++taken;
	}
	pthread_mutex_unlock(&fix.gate);

	/* the thread may have taken one out of the queue */
	assert_in_range(taken, QUEUE, QUEUE + 1);
	assert_int_equal(metrics_counter(M_JOBS_REFUSED) - before, refused);
	while (fix.done < taken)
		loop_turn(fix.loop, true);
}

static void test_cancelled_jobs_are_not_reported(void **state)
{
	struct job *a = job_alloc(1), *b = job_alloc(2), *c = job_alloc(1);

	engine_cancel(NULL);
	engine_cancel(&a->job);
	pthread_mutex_lock(&fix.gate);
	assert_int_equal(engine_submit(fix.user, &a->job), 0);
	assert_int_equal(engine_submit(fix.user, &b->job), 0);
	assert_int_equal(engine_submit(fix.user, &c->job), 0);
	engine_cancel(&a->job);
	engine_cancel(&b->job);
	engine_cancel(&b->job);
	pthread_mutex_unlock(&fix.gate);

	while (fix.done < 1)
		loop_turn(fix.loop, true);
	assert_int_equal(fix.last, 1);
	assert_int_equal(fix.done, 1);
	mem_deref(a);
	mem_deref(b);
	mem_deref(c);
}

static void *open_gate(void *arg)
{
	pthread_mutex_unlock(&fix.gate);

	return NULL;
}

/* A worker that ends takes its jobs along, also the one being worked on */
static void test_user_leaves_with_jobs_under_way(void **state)
{
	pthread_mutex_lock(&fix.gate);
	for (int n = 1; n <= QUEUE; n++)
		(void)submit(n);
	(void)open_gate(NULL);
	fix.user = mem_deref(fix.user);
	loop_turn(fix.loop, false);
	assert_int_equal(fix.done, 0);
}

static void test_users_share_threads(void **state)
{
	struct engine_user *second;
	struct loop *l;

	assert_int_equal(loop_alloc(&l), 0);
	assert_int_equal(user_alloc(&second, l, 3), 0);
	assert_int_equal(engine_threads(second), 1);
	mem_deref(second);
	mem_deref(l);
	assert_int_equal(submit(1), 0);
	while (!fix.done)
		loop_turn(fix.loop, true);
	assert_int_equal(fix.inits, 1);
}

/* Afterwards no thread makes its state any more */
static void test_settled(void **state)
{
	const struct engine_param prm = {
		.ops = &ops, .key = "settle", .threads = 8, .queue = 1};
	struct engine_user *u;

	assert_int_equal(engine_user_alloc(&u, fix.loop, &prm), 0);
	engine_settle();
	assert_int_equal(fix.inits, 1 + 8);
	mem_deref(u);
}

static int alloc_body(void *arg)
{
	struct loop *l = NULL;
	struct engine_user *u = NULL;
	int err = loop_alloc(&l);

	if (!err)
		err = engine_user_alloc(&u, l,
					&(struct engine_param){.ops = &ops,
							       .key = "oom",
							       .queue = 1});
	mem_deref(u);
	mem_deref(l);

	return err;
}

static void test_out_of_memory(void **state)
{
	oom_loop(alloc_body, NULL);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_one_thread_keeps_the_order),
		TEST(test_full_refuses_and_counts),
		TEST(test_cancelled_jobs_are_not_reported),
		TEST(test_user_leaves_with_jobs_under_way),
		TEST(test_users_share_threads),
		TEST(test_settled),
		TEST(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

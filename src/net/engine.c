/**
 * @file engine.c  Threads of an embedded engine, behind one bounded queue
 *
 * Owner graph: a user counts on its engine (engine->users, under the lock of
 * all engines) and lists its jobs; a job in the queue, being worked on or on
 * its way back to the loop is held by one reference, and points weakly to its
 * user.
 *
 * The list of a user's jobs and job->cancelled are the loop's; the queue, busy
 * and quit are under the engine's lock. A user waits in its destructor for its
 * jobs that are being worked on: after that no thread posts to its loop.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <convod/engine.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "background.h"

struct engine {
	struct le le;
	const struct engine_ops *ops;
	char *key;
	void *arg;
	unsigned users; /* under engines_lock */

	pthread_t threadv[ENGINE_THREADS_MAX];
	unsigned threadc; /* under engines_lock */
	unsigned bound;

	pthread_mutex_t lock;
	pthread_cond_t work; /* something was queued, or quit */
	pthread_cond_t idle; /* a job was posted back, or a state made */
	unsigned madec;      /* states                                 */
	struct list queue;
	unsigned queuec;
	bool quit;
};

struct engine_user {
	struct engine *e;
	struct loop *loop;
	struct list jobl;
	unsigned busy; /* jobs being worked on; under the engine's lock */
};

static pthread_mutex_t engines_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list engines;

/* ------------------------------------------------------------- threads */

static void posted_handler(struct loop_post *p)
{
	struct engine_job *j = CONTAINER_OF(p, struct engine_job, post);

	list_unlink(&j->le);
	if (!j->cancelled)
		j->doneh(j);
	mem_deref(j);
}

static struct engine_job *next_job(struct engine *e)
{
	struct engine_job *j;

	while (!e->queue.head && !e->quit)
		pthread_cond_wait(&e->work, &e->lock);

	j = list_ledata(e->queue.head);
	if (j) {
		list_unlink(&j->queue_le);
		--e->queuec;
	}

	return j;
}

static void *engine_thread(void *arg)
{
	struct engine *e = arg;
	struct engine_job *j;
	void *state = NULL;
	int err;

	(void)metrics_thread_init();
	(void)pthread_setname_np(pthread_self(), e->ops->name);
	background_thread();
	err = e->ops->init(&state, e->arg);
	if (err)
		log_error(NULL, "engine thread has no engine",
			  "engine=%s err=\"%s\"", e->ops->name, strerror(err));

	pthread_mutex_lock(&e->lock);
	++e->madec;
	pthread_cond_broadcast(&e->idle);
	while ((j = next_job(e))) {
		struct engine_user *u = j->user;

		++u->busy;
		pthread_mutex_unlock(&e->lock);
		j->workh(j, state);
		pthread_mutex_lock(&e->lock);

		/* Under the lock: once busy is 0 the loop may be gone */
		(void)loop_post(u->loop, &j->post);
		--u->busy;
		pthread_cond_broadcast(&e->idle);
	}
	pthread_mutex_unlock(&e->lock);

	if (e->ops->close && state)
		e->ops->close(state);
	else
		mem_deref(state);

	return NULL;
}

static void engine_destructor(void *arg)
{
	struct engine *e = arg;

	pthread_mutex_lock(&e->lock);
	e->quit = true;
	pthread_cond_broadcast(&e->work);
	pthread_mutex_unlock(&e->lock);
	for (unsigned i = 0; i < e->threadc; i++)
		pthread_join(e->threadv[i], NULL);

	pthread_cond_destroy(&e->work);
	pthread_cond_destroy(&e->idle);
	pthread_mutex_destroy(&e->lock);
	mem_deref(e->key);
	mem_deref(e->arg);
}

static int start_threads(struct engine *e, unsigned n)
{
	sigset_t all, old;
	int err = 0;

	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	while (e->threadc < n && !err) {
		err = pthread_create(&e->threadv[e->threadc], NULL,
				     engine_thread, e);
		if (!err)
			++e->threadc;
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);

	return err;
}

static unsigned default_threads(void)
{
	long n = sysconf(_SC_NPROCESSORS_ONLN) / 2;

	return n < 1 ? 1 : (unsigned)MIN(n, ENGINE_THREADS_MAX);
}

static int engine_alloc(struct engine **ep, const struct engine_param *prm)
{
	struct engine *e = mem_zalloc(sizeof(*e), engine_destructor);
	int err;

	if (!e)
		return ENOMEM;

	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->work, NULL);
	pthread_cond_init(&e->idle, NULL);
	e->ops = prm->ops;
	e->arg = mem_ref(prm->arg);
	e->bound = prm->queue;
	err = str_dup(&e->key, prm->key);
	if (!err)
		err = start_threads(
			e, prm->threads ? MIN(prm->threads, ENGINE_THREADS_MAX)
					: default_threads());
	if (err)
		mem_deref(e);
	else
		*ep = e;

	return err;
}

/* --------------------------------------------------------------- users */

static struct engine *find(const struct engine_param *prm)
{
	struct le *le;

	LIST_FOREACH(&engines, le)
	{
		struct engine *e = list_ledata(le);

		if (e->ops == prm->ops && str_eq(e->key, prm->key))
			return e;
	}

	return NULL;
}

static int acquire(struct engine **ep, const struct engine_param *prm)
{
	int err = 0;

	pthread_mutex_lock(&engines_lock);
	*ep = find(prm);
	if (!*ep) {
		err = engine_alloc(ep, prm);
		if (!err)
			list_append(&engines, &(*ep)->le, *ep);
	}
	if (!err)
		++(*ep)->users;
	pthread_mutex_unlock(&engines_lock);

	return err;
}

static void release(struct engine *e)
{
	bool last;

	pthread_mutex_lock(&engines_lock);
	last = --e->users == 0;
	if (last)
		list_unlink(&e->le);
	pthread_mutex_unlock(&engines_lock);

	if (last)
		mem_deref(e);
}

void engine_settle(void)
{
	struct le *le;

	pthread_mutex_lock(&engines_lock);
	LIST_FOREACH(&engines, le)
	{
		struct engine *e = list_ledata(le);

		pthread_mutex_lock(&e->lock);
		while (e->madec < e->threadc)
			pthread_cond_wait(&e->idle, &e->lock);
		pthread_mutex_unlock(&e->lock);
	}
	pthread_mutex_unlock(&engines_lock);
}

/* Take a job out of the queue. Thread: loop, with the engine's lock */
static bool unqueue(struct engine *e, struct engine_job *j)
{
	if (!j->queue_le.list)
		return false;

	list_unlink(&j->queue_le);
	--e->queuec;

	return true;
}

static void user_destructor(void *arg)
{
	struct engine_user *u = arg;
	struct engine *e = u->e;

	if (!e)
		return;

	while (u->jobl.head)
		engine_cancel(list_ledata(u->jobl.head));

	pthread_mutex_lock(&e->lock);
	while (u->busy)
		pthread_cond_wait(&e->idle, &e->lock);
	pthread_mutex_unlock(&e->lock);
	release(e);
}

int engine_user_alloc(struct engine_user **up, struct loop *l,
		      const struct engine_param *prm)
{
	struct engine_user *u = mem_zalloc(sizeof(*u), user_destructor);
	int err;

	if (!u)
		return ENOMEM;

	u->loop = l;
	err = acquire(&u->e, prm);
	if (err) {
		u->e = NULL;
		mem_deref(u);
	} else {
		*up = u;
	}

	return err;
}

int engine_submit(struct engine_user *u, struct engine_job *j)
{
	struct engine *e = u->e;
	int err = 0;

	j->user = u;
	j->cancelled = false;
	j->post.h = posted_handler;

	pthread_mutex_lock(&e->lock);
	if (e->queuec == e->bound) {
		err = ENOBUFS;
	} else {
		list_append(&e->queue, &j->queue_le, mem_ref(j));
		++e->queuec;
		pthread_cond_signal(&e->work);
		list_append(&u->jobl, &j->le, j);
	}
	pthread_mutex_unlock(&e->lock);

	if (err)
		metrics_inc(M_JOBS_REFUSED);

	return err;
}

void engine_cancel(struct engine_job *j)
{
	struct engine *e;
	bool queued;

	if (!j || !j->le.list)
		return;

	e = j->user->e;
	j->cancelled = true;
	list_unlink(&j->le);
	pthread_mutex_lock(&e->lock);
	queued = unqueue(e, j);
	pthread_mutex_unlock(&e->lock);
	if (queued)
		mem_deref(j);
}

unsigned engine_threads(const struct engine_user *u)
{
	return u->e->threadc;
}

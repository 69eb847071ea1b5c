/**
 * @file loop.c  Event loop of one thread, on libuv
 *
 * Owner graph: whoever made a timer owns it; a timer refers weakly to its
 * loop, which must live longer. The loop owns nothing but its own handles.
 *
 * A turn: timers, then handlers of ready descriptors, then (in the prepare
 * phase, just before the loop sleeps) the flush handlers of what was touched.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>
#include <convod/clk.h>
#include <convod/loop.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include "background.h"

enum { SLOW_TURN_US = 100000 };

struct loop {
	uv_loop_t uv;
	uv_async_t async;
	uv_prepare_t prepare;
	uv_check_t check;
	struct list flushl;
	bool open;        /* uv is initialised */
	uint64_t woke_us; /* when this turn began, 0 before the first */

	pthread_mutex_t lock; /* of what other threads touch: */
	struct list postl;
	bool closed;
	atomic_bool stop;
};

struct tmr {
	uv_timer_t *uv; /* freed by libuv's close callback */
	tmr_h *h;
	void *arg;
};

struct job {
	uv_work_t uv;
	loop_work_h *workh;
	loop_done_h *doneh;
	void *arg;
};

static void run_posts(struct loop *l)
{
	for (;;) {
		struct loop_post *p;

		pthread_mutex_lock(&l->lock);
		p = list_ledata(l->postl.head);
		if (p)
			list_unlink(&p->le);
		pthread_mutex_unlock(&l->lock);

		if (!p)
			return;
		p->h(p);
	}
}

static void async_handler(uv_async_t *async)
{
	struct loop *l = async->data;

	run_posts(l);
	/* acquire: with the release in loop_stop() */
	if (atomic_load_explicit(&l->stop, memory_order_acquire))
		uv_stop(&l->uv);
}

static void prepare_handler(uv_prepare_t *prepare)
{
	struct loop *l = prepare->data;
	uint64_t us;

	while (l->flushl.head) {
		struct loop_flush *f = list_ledata(l->flushl.head);

		list_unlink(&f->le);
		f->h(f->arg);
	}

	if (!l->woke_us)
		return;

	us = clk_now_us() - l->woke_us;
	metrics_latency(M_LOOP_TURN, us);
	if (us > SLOW_TURN_US)
		metrics_inc(M_LOOP_SLOW);
}

static void check_handler(uv_check_t *check)
{
	struct loop *l = check->data;

	/* The poll's callbacks have run already, but each of libuv's turns
	 * polls once: the time between two checks, less the sleep, is what
	 * counts, and uv_now() was taken when the poll returned. */
	l->woke_us = uv_now(&l->uv) * 1000;
}

static void close_walker(uv_handle_t *handle, void *arg)
{
	(void)arg;

	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void destructor(void *arg)
{
	struct loop *l = arg;

	pthread_mutex_lock(&l->lock);
	l->closed = true;
	pthread_mutex_unlock(&l->lock);
	run_posts(l);

	if (l->open) {
		uv_walk(&l->uv, close_walker, NULL);
		while (uv_run(&l->uv, UV_RUN_DEFAULT))
			;
		(void)uv_loop_close(&l->uv);
	}
	pthread_mutex_destroy(&l->lock);
}

int loop_alloc(struct loop **lp)
{
	struct loop *l = mem_zalloc(sizeof(*l), destructor);
	int err;

	if (!l)
		return ENOMEM;

	pthread_mutex_init(&l->lock, NULL);
	err = uv_loop_init(&l->uv);
	if (err)
		goto out;

	l->open = true;
	err = uv_async_init(&l->uv, &l->async, async_handler);
	if (err)
		goto out;

	/* these two cannot fail */
	(void)uv_prepare_init(&l->uv, &l->prepare);
	(void)uv_check_init(&l->uv, &l->check);
	l->async.data = l->prepare.data = l->check.data = l;
	(void)uv_prepare_start(&l->prepare, prepare_handler);
	(void)uv_check_start(&l->check, check_handler);

out:
	if (err)
		mem_deref(l);
	else
		*lp = l;

	return -err;
}

void loop_run(struct loop *l)
{
	if (!atomic_load_explicit(&l->stop, memory_order_acquire))
		uv_run(&l->uv, UV_RUN_DEFAULT);
	atomic_store_explicit(&l->stop, false, memory_order_relaxed);
}

void loop_turn(struct loop *l, bool wait)
{
	uv_run(&l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void loop_stop(struct loop *l)
{
	atomic_store_explicit(&l->stop, true, memory_order_release);
	(void)uv_async_send(&l->async);
}

uint64_t loop_now_ms(const struct loop *l)
{
	return uv_now(&l->uv);
}

void *loop_uv(struct loop *l)
{
	return &l->uv;
}

/* ------------------------------------------------------------- timers */

static void timer_handler(uv_timer_t *uv)
{
	struct tmr *t = uv->data;

	t->h(t->arg);
}

static void closed_handler(uv_handle_t *handle)
{
	mem_raw_free(handle);
}

static void tmr_destructor(void *arg)
{
	struct tmr *t = arg;

	if (t->uv)
		uv_close((uv_handle_t *)t->uv, closed_handler);
}

int tmr_alloc(struct tmr **tp, struct loop *l, tmr_h *h, void *arg)
{
	struct tmr *t = mem_zalloc(sizeof(*t), tmr_destructor);

	if (!t)
		return ENOMEM;

	t->uv = mem_raw_malloc(sizeof(*t->uv));
	if (!t->uv) {
		mem_deref(t);
		return ENOMEM;
	}

	(void)uv_timer_init(&l->uv, t->uv); /* always 0 */
	t->uv->data = t;
	t->h = h;
	t->arg = arg;
	*tp = t;

	return 0;
}

void tmr_start(struct tmr *t, uint64_t delay_ms)
{
	(void)uv_timer_start(t->uv, timer_handler, delay_ms, 0);
}

void tmr_start_at(struct tmr *t, uint64_t at_ms)
{
	uint64_t now = uv_now(t->uv->loop);

	tmr_start(t, at_ms > now ? at_ms - now : 0);
}

void tmr_cancel(struct tmr *t)
{
	if (t)
		(void)uv_timer_stop(t->uv);
}

bool tmr_is_running(const struct tmr *t)
{
	return t && uv_is_active((const uv_handle_t *)t->uv);
}

/* ------------------------------------------------------------ signals */

struct sig {
	uv_signal_t *uv; /* freed by libuv's close callback */
	sig_h *h;
	void *arg;
};

static void signal_handler(uv_signal_t *uv, int signum)
{
	struct sig *s = uv->data;

	s->h(signum, s->arg);
}

static void sig_destructor(void *arg)
{
	struct sig *s = arg;

	if (s->uv)
		uv_close((uv_handle_t *)s->uv, closed_handler);
}

int sig_alloc(struct sig **sp, struct loop *l, int signum, sig_h *h, void *arg)
{
	struct sig *s = mem_zalloc(sizeof(*s), sig_destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->h = h;
	s->arg = arg;
	s->uv = mem_raw_malloc(sizeof(*s->uv));
	if (!s->uv) {
		mem_deref(s);
		return ENOMEM;
	}

	err = uv_signal_init(&l->uv, s->uv);
	if (err) {
		mem_raw_free(s->uv);
		s->uv = NULL;
		mem_deref(s);
		return -err;
	}

	s->uv->data = s;
	err = uv_signal_start(s->uv, signal_handler, signum);
	if (err)
		mem_deref(s);
	else
		*sp = s;

	return -err;
}

/* ------------------------------------------------- flush, other threads */

void loop_flush_later(struct loop *l, struct loop_flush *f)
{
	if (!f->le.list)
		list_append(&l->flushl, &f->le, f);
}

int loop_post(struct loop *l, struct loop_post *p)
{
	bool closed;

	pthread_mutex_lock(&l->lock);
	closed = l->closed;
	if (!closed) {
		list_append(&l->postl, &p->le, p);
		/* under the lock: once the handler has run, whoever waited
		 * for it may close the loop */
		(void)uv_async_send(&l->async);
	}
	pthread_mutex_unlock(&l->lock);

	return closed ? ESHUTDOWN : 0;
}

static void work_handler(uv_work_t *uv)
{
	struct job *j = uv->data;

	background_thread(); /* libuv makes its threads when it wants to */
	j->workh(j->arg);
}

static void work_done_handler(uv_work_t *uv, int status)
{
	struct job *j = uv->data;

	j->doneh(status ? ECANCELED : 0, j->arg);
	mem_deref(j);
}

int loop_job(struct loop *l, loop_work_h *workh, loop_done_h *doneh, void *arg)
{
	struct job *j = mem_zalloc(sizeof(*j), NULL);
	int err;

	if (!j)
		return ENOMEM;

	j->uv.data = j;
	j->workh = workh;
	j->doneh = doneh;
	j->arg = arg;

	err = uv_queue_work(&l->uv, &j->uv, work_handler, work_done_handler);
	if (err)
		mem_deref(j);

	return -err;
}

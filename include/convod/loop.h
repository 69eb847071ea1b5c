/**
 * @file loop.h  Event loop of one thread: timers, jobs, wake-ups
 *
 * A thin layer over libuv that keeps its types out of the rest of the tree
 * and adds two things it does not have: work done once at the end of a turn,
 * and messages from other threads that need no allocation.
 *
 * Thread: the loop's own, except where a function says "any".
 */
#ifndef CONVOD_LOOP_H
#define CONVOD_LOOP_H

#include <convod/list.h>

CV_BEGIN_DECLS

struct loop;
struct tmr;

CV_NODISCARD int loop_alloc(struct loop **lp);

/** Serve events until loop_stop(). */
void loop_run(struct loop *l);

/** Serve what is ready now; wait for at most one event if wait is set */
void loop_turn(struct loop *l, bool wait);

/** Make loop_run() return. Thread: any */
void loop_stop(struct loop *l);

/** Time of this turn [ms], monotonic, the clock of the timers */
uint64_t loop_now_ms(const struct loop *l);

/** The uv_loop_t; for net/ only */
void *loop_uv(struct loop *l);

/* ------------------------------------------------------------- timers */

typedef void(tmr_h)(void *arg);

/** Create a stopped timer. mem_deref() stops it; no handler runs after. */
CV_NODISCARD int tmr_alloc(struct tmr **tp, struct loop *l, tmr_h *h,
			   void *arg);

/** (Re)start: the handler runs once, delay_ms from this turn's time */
void tmr_start(struct tmr *t, uint64_t delay_ms);

/** (Re)start for an absolute time of loop_now_ms(); the past means at once */
void tmr_start_at(struct tmr *t, uint64_t at_ms);

/** Stop; always safe, also from inside the handler and with NULL */
void tmr_cancel(struct tmr *t);

bool tmr_is_running(const struct tmr *t);

/* ------------------------------------------------------------ signals */

struct sig;

typedef void(sig_h)(int signum, void *arg);

/** Handle a signal on this loop. mem_deref() restores the default. */
CV_NODISCARD int sig_alloc(struct sig **sp, struct loop *l, int signum,
			   sig_h *h, void *arg);

/* -------------------------------------------------- end-of-turn flush */

/** Embedded in an object that gathers work during a turn, zeroed first */
struct loop_flush {
	struct le le;
	void (*h)(void *arg);
	void *arg;
};

/**
 * Run the handler once before the loop sleeps. Asking twice in a turn is the
 * same as once. To take it back (in a destructor): list_unlink(&f->le).
 */
void loop_flush_later(struct loop *l, struct loop_flush *f);

/* ---------------------------------------------------- other threads */

/** A message to a loop; embedded in an object of the sender, zeroed first */
struct loop_post {
	struct le le;
	void (*h)(struct loop_post *p);
};

/**
 * Run p->h(p) on the loop's thread, in the order posted. The sender keeps p
 * alive until then. Thread: any
 *
 * @return 0; ESHUTDOWN if the loop has been closed, the handler won't run
 */
int loop_post(struct loop *l, struct loop_post *p);

typedef void(loop_work_h)(void *arg);
typedef void(loop_done_h)(int err, void *arg);

/**
 * Do a short job (decode, resample, disk) on a thread of the pool
 *
 * @param workh Runs on the pool's thread; must not touch what the loop uses
 * @param doneh Runs on the loop when the work is done, always exactly once
 *              (err is ECANCELED if the loop was closed before it ran)
 */
CV_NODISCARD int loop_job(struct loop *l, loop_work_h *workh,
			  loop_done_h *doneh, void *arg);

CV_END_DECLS

#endif

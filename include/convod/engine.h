/**
 * @file engine.h  Threads of an embedded engine, behind one bounded queue
 *
 * An engine that computes for tens of milliseconds (a recogniser's decoder, a
 * voice) must not run on a loop. Its threads are shared by all workers of the
 * process; each has a state of its own (a decoder), made on the thread itself.
 * The threads start with the first user and end with the last.
 *
 * Queue: bounded by jobs; full means refuse (ENOBUFS, and counted in
 * convod_jobs_refused_total).
 *
 * A *user* is one worker's share of an engine. It belongs to its loop's thread
 * and must be gone before the loop is.
 */
#ifndef CONVOD_ENGINE_H
#define CONVOD_ENGINE_H

#include <convod/loop.h>

CV_BEGIN_DECLS

enum { ENGINE_THREADS_MAX = 64 };

struct engine_user;

struct engine_ops {
	const char *name; /* of the threads, at most 15 bytes */

	/** Make a thread's state, on that thread. arg is engine_param's */
	int (*init)(void **statep, void *arg);
	/** Release it, on that thread; NULL if mem_deref() does */
	void (*close)(void *state);
};

struct engine_param {
	const struct engine_ops *ops;
	const char *key;  /* users of the same ops and key share threads */
	void *arg;        /* a reference is held while the threads live  */
	unsigned threads; /* 0: half the cores, at least 1 */
	unsigned queue;   /* jobs that may wait */
};

/** A job; embedded as first member of a mem object, zeroed */
struct engine_job {
	/** Does the work, on an engine's thread. state is NULL if init()
	 * failed. Must look at nothing that a loop may change. */
	void (*workh)(struct engine_job *j, void *state);
	/** Runs on the user's loop when the work is done, unless the job was
	 * cancelled */
	void (*doneh)(struct engine_job *j);

	/* private */
	struct engine_user *user;
	bool cancelled;     /* the loop's                     */
	struct le le;       /* the loop's: jobs of the user   */
	struct le queue_le; /* the engine's: waiting          */
	struct loop_post post;
};

CV_NODISCARD int engine_user_alloc(struct engine_user **up, struct loop *l,
				   const struct engine_param *prm);

/**
 * Queue a job; a reference to it is held until it is done
 *
 * @return 0; ENOBUFS: the queue is full
 */
CV_NODISCARD int engine_submit(struct engine_user *u, struct engine_job *j);

/**
 * Cancel: doneh won't run. What runs already runs on. Safe for a job that was
 * never submitted or is done, and for NULL.
 */
void engine_cancel(struct engine_job *j);

/**
 * Wait until all threads of all engines have made their state, which takes
 * files: afterwards they open none. Thread: any but theirs.
 */
void engine_settle(void);

/** Threads of the engine */
unsigned engine_threads(const struct engine_user *u);

CV_END_DECLS

#endif

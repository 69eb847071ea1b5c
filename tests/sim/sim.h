/**
 * @file sim.h  A simulated call: the conversation and playout, real, and a
 *              world around them that behaves badly
 *
 * One thread, one clock, one queue of events, one seed: whatever happens can
 * be played again. Peers (caller, recogniser, dialog manager, voices, carrier)
 * are models with a random temperament each; world.c stands where the server
 * stands. Every operation is seen by rules.c, which knows what must never
 * happen; breaks.c tampers with operations to prove that the rules notice.
 *
 *	caller ──▶ recogniser ──▶ call ──▶ manager ──▶ call ──▶ voices ─┐
 *	   └─────────────────────▲ ▲                                    │
 *	speaker ◀── carrier ◀── playout ◀──────────────────── clips ◀───┘
 */
#ifndef SIM_H
#define SIM_H

#include <convod/call.h>
#include <convod/playout.h>
#include "peers.h"
#include "rules.h"

enum {
	SIM_START_MS = 1000, /* no time is 0 */
	SIM_EVENTS_MAX = 4096,
	SIM_STALL_MAX_MS = 2000,

	/* Tokens of clips: what each of their bytes says that it is */
	TOKEN_NONE = 0,
	TOKEN_FILLER = 0xffff,
};

/* Keys that are pressed only where they are secret */
#define SIM_SECRET_KEYS "789D"

struct sim;

/* -------------------------------------------------------------- chance */

/** A random number below n; n at least 1 */
uint32_t chance_below(struct sim *s, uint32_t n);
uint32_t chance_between(struct sim *s, uint32_t lo, uint32_t hi);
/** True so many times in a thousand */
bool chance(struct sim *s, uint32_t permille);

/* --------------------------------------------------------------- queue */

/** @param data The event's own reference, dropped after the handler */
typedef void(event_h)(struct sim *s, uint64_t n, void *data);

struct event {
	uint64_t at_ms;
	uint64_t seq;
	event_h *h;
	uint64_t n;
	void *data;
};

struct queue {
	struct event eventv[SIM_EVENTS_MAX];
	size_t eventc;
	uint64_t seq;
};

/** @param data A reference is taken */
void queue_push(struct sim *s, uint64_t in_ms, event_h *h, uint64_t n,
		void *data);
bool queue_pop(struct queue *q, struct event *e);
void queue_flush(struct queue *q);

enum phase { PHASE_UP, PHASE_ENDED, PHASE_CLOSED };

struct sim {
	uint64_t seed;
	uint64_t random;
	uint64_t now_ms;
	bool trace;
	enum rule broken; /* to be broken by breaks.c */

	struct plan plan;
	struct call *call;
	struct playout *playout;
	struct call_ops ops;
	struct playout_ops playout_ops;
	enum phase phase;
	uint64_t timer;    /* serial */
	bool flush_wanted; /* the world ticks at the end of the event */
	uint32_t tokens;
	struct list speechl;
	struct clip *filler;

	struct caller caller;
	struct recogniser recogniser;
	struct manager manager;
	struct carrier carrier;
	struct watch watch;
	struct queue queue;

	enum rule violated;
	char why[512];
	uint64_t countv[COUNTS]; /* over all calls */

	/* by breaks.c */
	bool restless;  /* ticks are asked for at once */
	bool forgetful; /* a secret turn, once sent, is none */
	void *kept;     /* memory that a call left behind */
};

/** Play one call from a seed; s->violated says how it went */
void sim_run(struct sim *s, uint64_t seed);

static inline void sim_count(struct sim *s, enum sim_count count)
{
	++s->countv[count];
}

/* ---------------------------------------------------------------- trace */

CV_PRINTF(3, 4)
void trace_line(const struct sim *s, const char *who, const char *fmt, ...);

#define trace(s, who, ...)                                 \
	do {                                               \
		if ((s)->trace)                            \
			trace_line((s), who, __VA_ARGS__); \
	} while (0)

/* ---------------------------------------------------------------- words */

/** Print words n, n + 1 … that nobody else says, blanks between
 * @return bytes */
size_t words_print(char *dst, size_t size, char prefix, uint32_t n,
		   uint32_t count);
/** Number of a word that words_print() made, moving *sp behind it; false at
 * the end or for anything else, which is skipped */
bool words_next(const char **sp, char prefix, uint32_t *n);

/* --------------------------------------------------------------- breaks */

/** Replace operations by ones that break a rule */
void breaks_apply(struct sim *s);

#endif

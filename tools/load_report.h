/**
 * @file load_report.h  What convo-load measured, printed
 */
#ifndef CONVO_LOAD_REPORT_H
#define CONVO_LOAD_REPORT_H

#include <convod/hist.h>
#include "proc_cpu.h"

struct load_report {
	uint32_t calls, held;
	uint64_t refused, dropped; /* calls */
	uint64_t frames_all, lost; /* of the whole run */
	uint64_t media_ms, marks, marks_lost, clears;

	/* of the steady window */
	double seconds;
	uint64_t frames, late;
	const struct hist *answer;   /* us */
	const struct hist *barge_in; /* us, from the onset of speech over the
				      * bot to its clear */
	uint64_t talked_over;        /* such speech without a clear */
	const struct hist *lateness; /* us */
	int pid;                     /* of the daemon, 0: not measured */
	struct proc_cpu daemon, own;
	uint64_t rss_idle;
};

/** One JSON object on standard output */
void load_report_json(const struct load_report *r);

/** Lines for a person on standard output */
void load_report_text(const struct load_report *r);

#endif

/**
 * @file proc_cpu.h  CPU time and memory of a process, from /proc
 */
#ifndef CONVO_PROC_CPU_H
#define CONVO_PROC_CPU_H

#include <convod/defs.h>

struct proc_cpu {
	uint64_t user_us, system_us; /* steps of a clock tick, 10 ms */
	uint64_t rss;                /* bytes */
};

/** All zero if there is no such process */
void proc_cpu_read(struct proc_cpu *cpu, int pid);

/** Time between two readings; memory of the second */
struct proc_cpu proc_cpu_since(const struct proc_cpu *a,
			       const struct proc_cpu *b);

#endif

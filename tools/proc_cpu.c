/**
 * @file proc_cpu.c  CPU time and memory of a process, from /proc
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "proc_cpu.h"

void proc_cpu_read(struct proc_cpu *cpu, int pid)
{
	unsigned long user = 0, sys = 0, rss = 0;
	char path[64], buf[1024];
	const char *p;
	FILE *f;
	size_t n;

	memset(cpu, 0, sizeof(*cpu));
	(void)snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	n = fread(buf, 1, sizeof(buf) - 1, f);
	buf[n] = '\0';
	fclose(f);

	/* fields 14, 15 and 24; the name before them may hold anything */
	p = strrchr(buf, ')');
	if (p && sscanf(p + 2,
			"%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu "
			"%*d %*d %*d %*d %*d %*d %*u %*u %lu",
			&user, &sys, &rss) == 3) {
		uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);

		cpu->user_us = user * tick_us;
		cpu->system_us = sys * tick_us;
		cpu->rss = rss * (uint64_t)sysconf(_SC_PAGESIZE);
	}
}

struct proc_cpu proc_cpu_since(const struct proc_cpu *a,
			       const struct proc_cpu *b)
{
	return (struct proc_cpu){.user_us = b->user_us - a->user_us,
				 .system_us = b->system_us - a->system_us,
				 .rss = b->rss};
}

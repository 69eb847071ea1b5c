/**
 * @file proc_cpu.c  CPU time and memory of a process, from /proc
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "proc_cpu.h"

/* Fields are counted from 1, as proc(5) does; the third follows the name,
 * which may hold anything and ends with the last parenthesis */
static uint64_t field(const char *stat, int number)
{
	const char *p = strrchr(stat, ')');

	for (int i = 2; p && i < number; i++)
		p = strchr(p + 1, ' ');

	return p ? strtoull(p + 1, NULL, 10) : 0;
}

void proc_cpu_read(struct proc_cpu *cpu, int pid)
{
	uint64_t tick_us = 1000000 / (uint64_t)sysconf(_SC_CLK_TCK);
	char path[64], buf[1024];
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

	cpu->user_us = field(buf, 14) * tick_us;
	cpu->system_us = field(buf, 15) * tick_us;
	cpu->rss = field(buf, 24) * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct proc_cpu proc_cpu_since(const struct proc_cpu *a,
			       const struct proc_cpu *b)
{
	return (struct proc_cpu){.user_us = b->user_us - a->user_us,
				 .system_us = b->system_us - a->system_us,
				 .rss = b->rss};
}

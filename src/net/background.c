/**
 * @file background.c  Threads that work for a loop
 */
#include <sched.h>
#include "background.h"

void background_thread(void)
{
	const struct sched_param prm = {0};

	if (sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &prm);
}

/**
 * @file clk.c  Monotonic time
 */
#include <time.h>
#include <convod/clk.h>

uint64_t clk_now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);

	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

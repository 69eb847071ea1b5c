/**
 * @file clk.h  Monotonic time
 *
 * Only the edges of the program read a clock; everything inside gets the time
 * as an argument.
 */
#ifndef CONVOD_CLK_H
#define CONVOD_CLK_H

#include <convod/defs.h>

CV_BEGIN_DECLS

uint64_t clk_now_us(void);

static inline uint64_t clk_now_ms(void)
{
	return clk_now_us() / 1000;
}

CV_END_DECLS

#endif

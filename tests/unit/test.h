/**
 * @file test.h  What every cmocka test of ours includes
 */
#ifndef CONVOD_TEST_H
#define CONVOD_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <convod/mem.h>

/**
 * Run a body again and again, letting one allocation more succeed each time,
 * until it reports success; nothing may leak and any other error than ENOMEM
 * fails the test.
 *
 * @param body Returns 0 when all went well, or an errno
 */
static inline void oom_loop(int (*body)(void *arg), void *arg)
{
	for (long n = 0;; n++) {
		size_t before = mem_blocks();
		int err;

		mem_fail_after(n);
		err = body(arg);
		mem_fail_after(-1);

		assert_int_equal(before, mem_blocks());
		if (!err)
			return;
		assert_int_equal(err, ENOMEM);
		assert_true(n < 100000);
	}
}

#endif

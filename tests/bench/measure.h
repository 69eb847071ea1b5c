/**
 * @file measure.h  Allocations and CPU time of a bench; included once
 */
#ifndef MEASURE_H
#define MEASURE_H

#include <stdlib.h>
#include <time.h>

static size_t allocations; /* since it was zeroed */

#ifndef __SANITIZE_ADDRESS__ /* which has a malloc of its own */

/* glibc's, under the names by which it can be wrapped: the libraries' calls
 * come here as well */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);

void *malloc(size_t n)
{
	++allocations;

	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	++allocations;

	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	++allocations;

	return __libc_realloc(p, n);
}

#endif

/* Of the thread, which calls nothing of the kernel's; getrusage() counts user
 * time by the tick */
static inline double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int double_compare(const void *a, const void *c)
{
	double x = *(const double *)a, y = *(const double *)c;

	return (x > y) - (x < y);
}

static inline double median_of(double *v, size_t n)
{
	qsort(v, n, sizeof(*v), double_compare);

	return v[n / 2];
}

#endif

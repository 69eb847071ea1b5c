/**
 * @file mem.h  Reference-counted memory
 *
 * Every heap object of convod is one of these: whoever keeps a pointer beyond
 * the current call stack holds a reference. The count is atomic, so immutable
 * objects (clips) may be shared by threads.
 *
 * For the tests any allocation can be told to fail, and the blocks in use are
 * counted; the libraries that let us (jansson, libcurl, nghttp2) allocate
 * through mem_raw_*() and so take part.
 */
#ifndef CONVOD_MEM_H
#define CONVOD_MEM_H

#include <convod/defs.h>

CV_BEGIN_DECLS

/** Called when the last reference is gone, before the memory is freed */
typedef void(mem_destroy_h)(void *data);

/**
 * Allocate a zeroed object with one reference
 *
 * @param size Bytes, may be 0
 * @param dh   Destructor, or NULL
 *
 * @return the object, or NULL when memory is short
 */
CV_NODISCARD void *mem_zalloc(size_t size, mem_destroy_h *dh);

/** Take one more reference; NULL is passed through */
void *mem_ref(void *data);

/**
 * Drop a reference, destroying the object with the last one
 *
 * @return always NULL, so that `p = mem_deref(p)` releases and clears
 */
void *mem_deref(void *data);

/** Number of references; for tests */
uint32_t mem_nrefs(const void *data);

/** Plain memory, counted and made to fail like the rest; for libraries */
CV_NODISCARD void *mem_raw_malloc(size_t size);
CV_NODISCARD void *mem_raw_calloc(size_t n, size_t size);
CV_NODISCARD void *mem_raw_realloc(void *p, size_t size);
char *mem_raw_strdup(const char *s);
void mem_raw_free(void *p);

/**
 * Make the allocation after the next n ones fail, and all that follow; for
 * tests. Applies to the calling thread only.
 *
 * @param n Allocations that still succeed, or a negative number for "never
 *          fail"
 */
void mem_fail_after(long n);

/**
 * Make allocations of all threads fail; for tests of whole calls
 *
 * @param n     Allocations that still succeed, or a negative number for
 *              "never fail"
 * @param count So many fail after that, then all succeed again
 *
 * @return how many failed since the last call of this
 */
size_t mem_fail_all(long n, long count);

/** How many have failed so far */
size_t mem_failed(void);

/** Number of allocated blocks in the process; for tests */
size_t mem_blocks(void);

CV_END_DECLS

#endif

/**
 * @file mem.c  Reference-counted memory
 */
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>

struct mem {
	_Atomic uint32_t nrefs;
	uint32_t magic;
	mem_destroy_h *dh;
	max_align_t data[];
};

enum { MEM_MAGIC = 0xc0470d };

static atomic_size_t blocks;
static _Thread_local long fail_after = -1;

/* For all threads: the window [first, last) of the count fails */
static atomic_bool failing;
static atomic_long counted, first, last;
static atomic_size_t failed;

static bool is_in_window(void)
{
	long n = atomic_fetch_add(&counted, 1);

	if (n < atomic_load(&first) || n >= atomic_load(&last))
		return false;

	atomic_fetch_add(&failed, 1);
	return true;
}

static bool may_allocate(void)
{
	if (atomic_load_explicit(&failing, memory_order_relaxed) &&
	    is_in_window())
		return false;
	if (fail_after < 0)
		return true;
	if (!fail_after)
		return false;

	--fail_after;
	return true;
}

static struct mem *mem_of(const void *data)
{
	return CONTAINER_OF(data, struct mem, data);
}

void *mem_zalloc(size_t size, mem_destroy_h *dh)
{
	struct mem *m = mem_raw_calloc(1, sizeof(*m) + size);

	if (!m)
		return NULL;

	atomic_init(&m->nrefs, 1);
	m->magic = MEM_MAGIC;
	m->dh = dh;

	return m->data;
}

void *mem_ref(void *data)
{
	/* relaxed: whoever hands over a reference already holds one */
	if (data)
		atomic_fetch_add_explicit(&mem_of(data)->nrefs, 1,
					  memory_order_relaxed);

	return data;
}

void *mem_deref(void *data)
{
	struct mem *m;

	if (!data)
		return NULL;

	m = mem_of(data);
	if (m->magic != MEM_MAGIC)
		abort(); /* not ours, or freed before */

	/* acq_rel: the last one sees what the others wrote before they let go
	 */
	if (atomic_fetch_sub_explicit(&m->nrefs, 1, memory_order_acq_rel) != 1)
		return NULL;

	if (m->dh)
		m->dh(data);

	m->magic = 0;
	mem_raw_free(m);

	return NULL;
}

uint32_t mem_nrefs(const void *data)
{
	return data ? atomic_load_explicit(&mem_of(data)->nrefs,
					   memory_order_relaxed)
		    : 0;
}

void *mem_raw_malloc(size_t size)
{
	void *p = may_allocate() ? malloc(size ? size : 1) : NULL;

	if (p)
		atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);

	return p;
}

void *mem_raw_calloc(size_t n, size_t size)
{
	void *p = may_allocate() ? calloc(n ? n : 1, size ? size : 1) : NULL;

	if (p)
		atomic_fetch_add_explicit(&blocks, 1, memory_order_relaxed);

	return p;
}

void *mem_raw_realloc(void *p, size_t size)
{
	if (!p)
		return mem_raw_malloc(size);

	return may_allocate() ? realloc(p, size ? size : 1) : NULL;
}

char *mem_raw_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *p = mem_raw_malloc(n);

	if (p)
		memcpy(p, s, n);

	return p;
}

void mem_raw_free(void *p)
{
	if (!p)
		return;

	atomic_fetch_sub_explicit(&blocks, 1, memory_order_relaxed);
	free(p);
}

void mem_fail_after(long n)
{
	fail_after = n;
}

size_t mem_fail_all(long n, long count)
{
	atomic_store(&failing, false);
	atomic_store(&counted, 0);
	atomic_store(&first, n);
	atomic_store(&last,
		     n < 0 || count > LONG_MAX - n ? LONG_MAX : n + count);
	atomic_store(&failing, n >= 0);

	return atomic_exchange(&failed, 0);
}

size_t mem_failed(void)
{
	return atomic_load(&failed);
}

size_t mem_blocks(void)
{
	return atomic_load_explicit(&blocks, memory_order_relaxed);
}

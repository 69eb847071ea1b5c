/**
 * @file buf.c  Bytes that gather at one end and leave at the other
 */
#include <errno.h>
#include <string.h>
#include <convod/buf.h>
#include <convod/mem.h>

enum { GROW_MIN = 256 };

int buf_add(struct buf *b, const void *p, size_t n, size_t max)
{
	size_t need;

	if (b->n > max || n > max - b->n || n > SIZE_MAX / 2)
		return EOVERFLOW;

	need = b->n + n + 1;
	if (need > b->size) {
		size_t size = MAX(MAX(need, 2 * b->size), GROW_MIN);
		char *v = mem_raw_realloc(b->p, size);

		if (!v)
			return ENOMEM;
		b->p = v;
		b->size = size;
	}
	if (n)
		memcpy(b->p + b->n, p, n);
	b->n += n;
	b->p[b->n] = '\0';

	return 0;
}

void buf_drop(struct buf *b, size_t n)
{
	if (!n)
		return;

	b->n -= n;
	memmove(b->p, b->p + n, b->n + 1);
}

void buf_reset(struct buf *b)
{
	mem_raw_free(b->p);
	memset(b, 0, sizeof(*b));
}

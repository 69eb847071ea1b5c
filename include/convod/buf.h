/**
 * @file buf.h  Bytes that gather at one end and leave at the other
 *
 * Thread: any, one at a time.
 */
#ifndef CONVOD_BUF_H
#define CONVOD_BUF_H

#include <convod/defs.h>

CV_BEGIN_DECLS

/** Zeroed before the first byte */
struct buf {
	char *p;  /* with a zero behind; NULL as long as nothing was added */
	size_t n; /* bytes */
	size_t size;
};

/**
 * Add bytes at the end
 *
 * @param max Bytes that may be in it in all
 *
 * @return 0; EOVERFLOW: beyond max; ENOMEM. After an error it is as before
 */
CV_NODISCARD int buf_add(struct buf *b, const void *p, size_t n, size_t max);

/** Take bytes away from the beginning */
void buf_drop(struct buf *b, size_t n);

/** Give the memory back; it can be used again */
void buf_reset(struct buf *b);

/** The text in it, "" if nothing was added */
static inline const char *buf_str(const struct buf *b)
{
	return b->p ? b->p : "";
}

/** The same as bytes, NULL if nothing was added */
static inline const uint8_t *buf_bytes(const struct buf *b)
{
	return (const uint8_t *)b->p;
}

CV_END_DECLS

#endif

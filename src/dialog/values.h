/**
 * @file values.h  JSON values one after the other, taken as they arrive
 *
 * An answer may be one value over many lines, or a line each for several that
 * come one by one (JSON lines): a value ends with the line that closes all of
 * its brackets. Pure; private to src/dialog.
 */
#ifndef CONVOD_VALUES_H
#define CONVOD_VALUES_H

#include <convod/buf.h>
#include <convod/json.h>

/** Zeroed before the first byte */
struct values {
	struct buf buf;
	size_t seen;    /* bytes of buf that were looked at */
	unsigned depth; /* of brackets that are open there */
	bool string, escape;
};

/**
 * A value has come
 *
 * @return 0 to go on; anything else ends it, and is what values_push() and
 *         values_end() return. They touch nothing after that, so the handler
 *         may reset the values.
 */
typedef int(values_h)(const json_t *value, void *arg);

/**
 * Take a piece of the answer
 *
 * @param max Bytes that a value may have
 *
 * @return 0; EPROTO: not JSON; EOVERFLOW; ENOMEM; what the handler said
 */
CV_NODISCARD int values_push(struct values *v, const void *p, size_t n,
			     size_t max, values_h *h, void *arg);

/** No more will come. Returns as values_push(). */
CV_NODISCARD int values_end(struct values *v, values_h *h, void *arg);

/** Forget all, for the next answer */
void values_reset(struct values *v);

#endif

/**
 * @file values.c  JSON values one after the other, taken as they arrive
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "values.h"

static bool is_blank(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (p[i] != ' ' && (p[i] < '\t' || p[i] > '\r'))
			return false;
	}

	return true;
}

/* Does the byte at the front of what was not looked at end a value? */
static bool look(struct values *v)
{
	char c = v->buf.p[v->seen++];

	if (v->string) {
		if (v->escape)
			v->escape = false;
		else if (c == '\\')
			v->escape = true;
		else if (c == '"')
			v->string = false;
		return false;
	}

	if (c == '"')
		v->string = true;
	else if (c == '{' || c == '[')
		++v->depth;
	else if ((c == '}' || c == ']') && v->depth)
		--v->depth;

	return c == '\n' && !v->depth;
}

/* Hand over what was looked at. It leaves first: the handler may reset all. */
static int hand_over(struct values *v, values_h *h, void *arg)
{
	json_t *j = NULL;
	int err = 0;

	if (!is_blank(v->buf.p, v->seen))
		err = jsn_parse(&j, v->buf.p, v->seen);
	if (err)
		return err;

	buf_drop(&v->buf, v->seen);
	v->seen = 0;
	if (j)
		err = h(j, arg);
	json_decref(j);

	return err;
}

int values_push(struct values *v, const void *p, size_t n, size_t max,
		values_h *h, void *arg)
{
	int err = n ? buf_add(&v->buf, p, n, SIZE_MAX) : 0;

	while (!err && v->seen < v->buf.n) {
		bool end = look(v);

		if (v->seen > max)
			return EOVERFLOW;
		if (end)
			err = hand_over(v, h, arg);
	}

	return err;
}

int values_end(struct values *v, values_h *h, void *arg)
{
	return v->buf.n ? hand_over(v, h, arg) : 0;
}

void values_reset(struct values *v)
{
	buf_reset(&v->buf);
	memset(v, 0, sizeof(*v));
}

/**
 * @file load_ws.c  What convo-load reads off the wire: frames and messages
 */
#include <errno.h>
#include <string.h>
#include "load_ws.h"

int load_frame_parse(struct load_frame *f, const uint8_t *p, size_t n)
{
	size_t head = 2;
	uint64_t len;

	if (n < head)
		return EAGAIN;
	if (!(p[0] & 0x80) || p[0] & 0x70 || p[1] & 0x80)
		return EBADMSG;

	len = p[1];
	if (len >= 126) {
		size_t ext = len == 126 ? 2 : 8;

		head += ext;
		if (n < head)
			return EAGAIN;
		len = 0;
		for (size_t i = 2; i < head; i++)
			len = len << 8 | p[i];
	}
	if (len > LOAD_FRAME_MAX)
		return EOVERFLOW;
	if (n - head < len)
		return EAGAIN;

	f->opcode = p[0] & 0x0f;
	f->p = p + head;
	f->n = (size_t)len;
	f->size = head + (size_t)len;

	return 0;
}

size_t load_frame_head(uint8_t head[LOAD_FRAME_HEAD_MAX], uint8_t opcode,
		       size_t n, const uint8_t mask[4])
{
	size_t at = 2;

	head[0] = (uint8_t)(0x80 | opcode);
	if (n < 126) {
		head[1] = (uint8_t)(0x80 | n);
	} else {
		size_t ext = n < 65536 ? 2 : 8;

		head[1] = (uint8_t)(0x80 | (ext == 2 ? 126 : 127));
		for (size_t i = 0; i < ext; i++)
			head[at++] = (uint8_t)((uint64_t)n >>
					       8 * (ext - 1 - i));
	}
	memcpy(head + at, mask, 4);

	return at + 4;
}

void load_mask(uint8_t *p, size_t n, const uint8_t mask[4])
{
	uint8_t widev[8];
	uint64_t wide, v;
	size_t i = 0;

	memcpy(widev, mask, 4);
	memcpy(widev + 4, mask, 4);
	memcpy(&wide, widev, sizeof(wide));
	for (; i + sizeof(v) <= n; i += sizeof(v)) {
		memcpy(&v, p + i, sizeof(v));
		v ^= wide;
		memcpy(p + i, &v, sizeof(v));
	}
	for (; i < n; i++)
		p[i] ^= mask[i & 3];
}

/* The string value of the first `"key"`; as it stands, escapes and all */
static const char *value(const char *s, size_t n, const char *key, size_t keyc,
			 size_t *len)
{
	const char *end = s + n, *p = memmem(s, n, key, keyc), *q;

	if (!p)
		return NULL;
	for (p += keyc; p < end && (*p == ' ' || *p == ':'); p++)
		;
	if (p == end || *p++ != '"')
		return NULL;
	for (q = p; q < end && *q != '"'; q++)
		if (*q == '\\' && ++q == end)
			return NULL;
	if (q == end)
		return NULL;

	*len = (size_t)(q - p);
	return p;
}

#define VALUE(s, n, key, len) value(s, n, key, sizeof(key) - 1, len)

static bool is(const char *v, size_t n, const char *word)
{
	return strlen(word) == n && !memcmp(v, word, n);
}

void load_msg_scan(struct load_msg *m, const char *s, size_t n)
{
	size_t len = 0;
	const char *v = VALUE(s, n, "\"event\"", &len);

	memset(m, 0, sizeof(*m));
	if (!v)
		return;

	if (is(v, len, "clear")) {
		m->event = LOAD_CLEAR;
	} else if (is(v, len, "mark")) {
		m->name = VALUE(s, n, "\"name\"", &m->namec);
		if (m->name)
			m->event = LOAD_MARK;
	} else if (is(v, len, "media")) {
		v = VALUE(s, n, "\"payload\"", &len);
		if (!v)
			return;
		m->event = LOAD_MEDIA;
		m->samples = len / 4 * 3;
		for (; len && v[len - 1] == '=' && m->samples; len--)
			--m->samples;
	}
}

/**
 * @file fuzz_openai_chunk.c  A model's stream, from its bytes to what is said
 */
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/sse.h>
#include <convod/str.h>
#include "../../src/dialog/openai_chunk.h"
#include "../../src/dialog/pieces.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct model {
	struct pieces pieces;
	struct openai_calls calls;
	size_t said;
};

static void speak(struct model *m, enum pieces_when when)
{
	char text[PIECE_SIZE];

	while (pieces_take(&m->pieces, text, when)) {
		size_t n = strlen(text);

		if (!n || !utf8_is_valid(text, n))
			abort();
		m->said += n;
	}
}

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct model *m = arg;
	struct openai_chunk *c;

	(void)event;
	if (openai_chunk_parse(&c, data, n))
		return;

	openai_calls_add(&m->calls, c->calls);
	if (c->text.n) {
		pieces_add(&m->pieces, c->text.p, c->text.n);
		speak(m, n % 3 ? PIECES_MORE : PIECES_PAUSE);
	}
	mem_deref(c);
}

/* The first byte says how the stream is cut */
static void read_stream(struct model *m, const uint8_t *data, size_t size)
{
	size_t step = size ? 1 + data[0] % 64 : 1;
	struct sse *s;

	if (sse_alloc(&s, 0, false, event_handler, m))
		return;
	for (size_t i = 0; i < size; i += step)
		(void)!sse_push(s, data + i, MIN(step, size - i));
	(void)!sse_end(s);
	mem_deref(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct model *m = calloc(1, sizeof(*m));
	struct openai_error e;

	if (!m)
		return 0;

	read_stream(m, data, size);
	event_handler("", (const char *)data, size, m); /* and no stream */
	speak(m, PIECES_END);
	if (m->said > PIECES_MAX + PIECE_SIZE)
		abort();

	for (size_t i = 0; i < m->calls.callc; i++) {
		char number[DIALOG_ID_MAX];
		struct dialog_act act;

		(void)openai_call_act(&m->calls.callv[i], &act, number);
	}
	openai_error_parse(&e, size ? 400 + data[0] : 500, (const char *)data,
			   size);
	if (!utf8_is_valid(e.what, strlen(e.what)))
		abort();
	free(m);

	return 0;
}

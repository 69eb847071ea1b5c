/* gRPC's framing, fed in pieces whose sizes the input chooses: the messages
 * that come out are those that come out when it is fed whole. And the
 * decoding of grpc-message. */
#include <assert.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/net/grpc_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct sum {
	size_t messages;
	uint64_t hash;
};

static bool message_handler(const uint8_t *p, size_t n, void *arg)
{
	struct sum *s = arg;

	++s->messages;
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ p[i]) * 1099511628211u;
	s->hash += n;

	return true;
}

static int feed(struct sum *s, const uint8_t *p, size_t n, size_t piece)
{
	struct grpc_frame f = {0};
	int err = 0;

	for (size_t i = 0; i < n && !err; i += piece)
		err = grpc_frame_feed(&f, p + i, MIN(piece, n - i),
				      message_handler, s);
	grpc_frame_reset(&f);

	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sum whole = {0, 0}, pieces = {0, 0};
	size_t blocks = mem_blocks(), len;
	char text[64];

	if (!n)
		return 0;

	assert(feed(&whole, p + 1, n - 1, n) ==
	       feed(&pieces, p + 1, n - 1, (size_t)p[0] % 9 + 1));
	assert(whole.messages == pieces.messages);
	assert(whole.hash == pieces.hash);

	len = grpc_message_decode(text, sizeof(text), (const char *)p, n);
	assert(len < sizeof(text) && strlen(text) == len);
	assert(utf8_is_valid(text, len));
	(void)grpc_status_parse((const char *)p, n);
	assert(mem_blocks() == blocks);

	return 0;
}

/* Event streams, whole and cut in pieces whose sizes the input chooses: the
 * same events and the same error come out. */
#include <assert.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/sse.h>
#include <convod/str.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { SMALL_MAX = 300, LINES = 0x80, SMALL = 0x40 };

struct sum {
	size_t events;
	uint64_t hash;
};

static void add(struct sum *s, const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ (uint8_t)p[i]) * 1099511628211u;
	s->hash += n + 1;
}

static void event_handler(const char *event, const char *data, size_t n,
			  void *arg)
{
	struct sum *s = arg;

	assert(strlen(event) < SSE_NAME_SIZE && event[0]);
	assert(utf8_is_valid(event, strlen(event)));
	assert(strlen(data) == n && utf8_is_valid(data, n));
	++s->events;
	add(s, event, strlen(event));
	add(s, data, n);
}

static int feed(struct sum *sum, uint8_t mode, const uint8_t *p, size_t n,
		size_t piece)
{
	struct sse *s;
	int err = sse_alloc(&s, mode & SMALL ? SMALL_MAX : 0, mode & LINES,
			    event_handler, sum);

	assert(!err);
	for (size_t i = 0; i < n && !err; i += piece)
		err = sse_push(s, p + i, MIN(piece, n - i));
	if (!err)
		err = sse_end(s);
	assert(sse_end(s) == err);
	mem_deref(s);

	return err;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct sum whole = {0, 0}, pieces = {0, 0};
	size_t blocks = mem_blocks();

	if (!n)
		return 0;

	assert(feed(&whole, p[0], p + 1, n - 1, n) ==
	       feed(&pieces, p[0], p + 1, n - 1, p[0] % 16 + 1));
	assert(whole.events == pieces.events);
	assert(whole.hash == pieces.hash);
	assert(mem_blocks() == blocks);

	return 0;
}

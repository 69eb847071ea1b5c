/* Reply audio of any format: the first byte chooses how the rest is cut */
#include <stdlib.h>
#include <convod/decode.h>
#include <convod/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
const char *__lsan_default_suppressions(void);

/* libsndfile 1.2.0 leaks these when the headers of a Vorbis file are damaged;
 * what is merely cut is refused before */
const char *__lsan_default_suppressions(void)
{
	return "leak:vorbis_info_init\n";
}

enum { MAX_MS = 2000, MAX_SAMPLES = MAX_MS * 8 };

static void out_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	size_t *sum = arg;

	(void)ulawv;
	*sum += n;
	if (*sum > MAX_SAMPLES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct decoder *d;
	size_t piece, sum = 0;
	int err;

	if (!n || decoder_alloc(&d, DECODE_SNIFF, 0, MAX_MS))
		return 0;

	piece = (size_t)*p + 1;
	++p;
	--n;
	do {
		size_t k = piece < n ? piece : n;

		err = decoder_push(d, p, k, k == n, out_handler, &sum);
		p += k;
		n -= k;
	} while (!err && n);
	mem_deref(d);

	return 0;
}

/**
 * @file fuzz_load_ws.c  Frames and messages as convo-load reads them
 */
#include <assert.h>
#include "load_ws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct load_frame f;
	struct load_msg m;

	while (!load_frame_parse(&f, data, size)) {
		assert(f.size >= 2 && f.size <= size);
		assert(f.p + f.n == data + f.size);

		load_msg_scan(&m, (const char *)f.p, f.n);
		assert(m.samples <= f.n);
		assert(m.event != LOAD_MARK ||
		       (m.name >= (const char *)f.p &&
			m.name + m.namec < (const char *)f.p + f.n));
		data += f.size;
		size -= f.size;
	}

	return 0;
}

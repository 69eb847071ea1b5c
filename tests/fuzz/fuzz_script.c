/**
 * @file fuzz_script.c  Scripts of convo-call
 */
#include <assert.h>
#include <errno.h>
#include "script.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct list stepl = {0};
	const char *why = NULL;
	unsigned line = 0;
	int err = script_parse(&stepl, (const char *)data, size, &line, &why);

	assert(err != EBADMSG || (line && why));
	list_flush(&stepl);

	return 0;
}

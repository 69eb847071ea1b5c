/* What voices answer: errors in any shape, and tokens */
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/tts/vendor.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char says[VENDOR_ERROR_MAX], *value = NULL;
	uint32_t s = 0;

	vendor_error(says, (const char *)p, n);
	if (!memchr(says, '\0', sizeof(says)) ||
	    !utf8_is_valid(says, strlen(says)))
		abort();

	if (!token_parse(&value, &s, (const char *)p, n)) {
		if (!*value || strpbrk(value, "\r\n") || !s)
			abort();
		mem_deref(value);
	}

	return 0;
}

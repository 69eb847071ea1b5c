/**
 * @file fuzz_base64.c  What decodes encodes to the same text again
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <convod/str.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *v = malloc(BASE64_DECODED_MAX(size));
	char *text = malloc(BASE64_LEN(size) + 1);
	size_t n, len;

	/* any bytes, there and back */
	len = base64_encode(text, data, size);
	assert(len == BASE64_LEN(size));
	free(v);
	v = malloc(BASE64_DECODED_MAX(len));
	assert(!base64_decode(v, &n, text, len));
	assert(n == size && !memcmp(v, data, n));

	/* any text: refused, or there and back but for the padding */
	if (!base64_decode(v, &n, (const char *)data, size)) {
		len = base64_encode(text, v, n);
		assert(len >= size && len - size <= 2);
		assert(!memcmp(text, data, size));
	}
	free(text);
	free(v);

	return 0;
}

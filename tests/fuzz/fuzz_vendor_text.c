/* A text in pieces for a voice: the first byte is how long one may be */
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/tts/vendor.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check_piece(const char *piece, size_t max, bool valid)
{
	char *xml;

	if (strlen(piece) > max || strpbrk(piece, "<>"))
		abort();
	if (valid && !utf8_is_valid(piece, strlen(piece)))
		abort();
	if (vendor_xml(&xml, piece))
		return;
	if (strpbrk(xml, "<>\"'"))
		abort();
	mem_deref(xml);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	char *text = NULL, *plain = NULL, *dst;
	size_t max, pos = 0, len;
	bool valid;

	if (!n)
		return 0;

	max = 4 + (size_t)*p; /* room for any character */
	if (str_ndup(&text, (const char *)p + 1, n - 1) ||
	    vendor_plain(&plain, text, strlen(text)))
		abort();
	valid = utf8_is_valid(plain, strlen(plain));
	dst = malloc(max + 1);
	len = strlen(plain);
	while (dst && pos < len) {
		size_t k = vendor_piece(dst, max, plain + pos, len - pos);

		if (!k || k > len - pos)
			abort();
		check_piece(dst, max, valid);
		pos += k;
	}
	free(dst);
	mem_deref(plain);
	mem_deref(text);

	return 0;
}

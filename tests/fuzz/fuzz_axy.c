/* A response of the recogniser: whatever comes, texts are valid UTF-8 and
 * words lie inside */
#include <assert.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/asr/axy_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void check(const struct axy_result *r)
{
	assert(r->textc < sizeof(r->text) && strlen(r->text) == r->textc);
	assert(utf8_is_valid(r->text, r->textc));
	for (size_t i = 0; i < r->wordc; i++)
		assert(utf8_is_valid(r->wordv[i].text,
				     strlen(r->wordv[i].text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static struct axy_response r;
	size_t blocks = mem_blocks();

	if (!axy_decode(&r, p, n)) {
		check(&r.final);
		check(&r.interim);
		assert(utf8_is_valid(r.error, strlen(r.error)));
	}
	assert(mem_blocks() == blocks);

	return 0;
}

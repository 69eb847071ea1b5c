/**
 * @file fuzz_sentence.c  Texts of dialog managers, cut and cleaned for speech
 */
#include <stdlib.h>
#include <string.h>
#include <convod/sentence.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *s = (const char *)data;
	char *dst = malloc(size + 1);
	size_t n;

	if (!dst)
		return 0;

	/* all of it comes out, in pieces that are never empty */
	for (size_t pos = 0; pos < size; pos += n) {
		n = sentence_cut(s + pos, size - pos, true);
		if (!n || n > size - pos || n > SENTENCE_MAX)
			abort();
		(void)sentence_clean(dst, s + pos, n);
		if (strlen(dst) > n)
			abort();
	}
	if (sentence_cut(s, size, false) > size)
		abort();
	if (sentence_clause(s, size, true) > MIN(size, SENTENCE_MAX))
		abort();
	(void)sentence_is_end(s, size);
	free(dst);

	return 0;
}

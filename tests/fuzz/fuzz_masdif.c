/* Masdif's answers: to a turn, and to the creation of a conversation */
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include "../../src/dialog/masdif.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct masdif_reply *r = NULL;
	char id[DIALOG_ID_MAX];

	if (!masdif_reply_parse(&r, (const char *)p, n)) {
		if (r->srcc > MASDIF_AUDIO_MAX || !r->text)
			abort();
		for (size_t i = 0; i < r->srcc; i++)
			if (!*r->srcv[i])
				abort();
	}
	mem_deref(r);

	if (!masdif_id_parse(id, (const char *)p, n) && strpbrk(id, "/?#. "))
		abort();

	return 0;
}

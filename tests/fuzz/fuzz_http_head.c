/**
 * @file fuzz_http_head.c  Request heads of strangers
 */
#include <stdlib.h>
#include <string.h>
#include <convod/httpd.h>
#include <convod/mem.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_head *head = NULL;
	char v[32];

	if (http_head_decode(&head, (const char *)data, size)) {
		if (head)
			abort();
		return 0;
	}

	/* what was accepted must be what it says */
	if (head->len != size || memcmp(head->raw, data, size) ||
	    head->target[0] != '/' || strlen(head->target) >= size ||
	    memcmp(head->raw + size - 4, "\r\n\r\n", 4) ||
	    memchr(head->raw, '\0', size))
		abort();
	(void)http_head_refuse(head);
	(void)http_head_get(head, "X-Twilio-Signature", v, sizeof(v));
	(void)http_head_path(head, v, sizeof(v));
	mem_deref(head);

	return 0;
}

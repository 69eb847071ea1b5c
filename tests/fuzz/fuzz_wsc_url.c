/**
 * @file fuzz_wsc_url.c  URLs of websockets to dial
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <convod/wsclient.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *url = malloc(size + 1);
	struct wsc_url u;

	memcpy(url, data, size);
	url[size] = '\0';
	if (!wsc_url_parse(&u, url)) {
		assert(u.port && u.host[0] && u.authority[0]);
		assert(u.target >= url &&
		       u.target + u.targetc <= url + strlen(url));
	}
	free(url);

	return 0;
}

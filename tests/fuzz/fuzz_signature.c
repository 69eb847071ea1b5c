/**
 * @file fuzz_signature.c  Request targets, URLs and forms that claim a
 * signature
 *
 * The input is "target or URL", a line feed, body. Nothing is genuine.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <convod/carrier.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char signature[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	const uint8_t *feed = memchr(data, '\n', size);
	size_t n = feed ? (size_t)(feed - data) : size;
	size_t len = feed ? size - n - 1 : 0;
	char *url = malloc(n + 1), *body = malloc(len + 1);

	memcpy(url, data, n);
	url[n] = '\0';
	memcpy(body, data + size - len, len);

	assert(!twilio_signature_ok("token", "https://h:8443/bots", url,
				    signature));
	assert(!twilio_signature_ok("token", url, "/convo?b=1&a=2",
				    signature));
	assert(!twilio_form_signature_ok("token", url, body, len, signature));
	assert(!twilio_json_signature_ok("token", url, body, len, signature));
	free(body);
	free(url);

	return 0;
}

/**
 * @file fuzz_carrier.c  Twilio's messages: the scanner against jansson
 */
#include <assert.h>
#include <string.h>
#include <convod/carrier.h>
#include "../../src/carrier/core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bufv[CARRIER_MESSAGE_MAX], wantv[CARRIER_MESSAGE_MAX];
	const char *msg = (const char *)data;
	struct carrier_event ev, want;
	int err, want_err;

	want_err = twilio_parse_json(&want, msg, size, wantv, sizeof(wantv));
	err = carrier_twilio.parse(&ev, msg, size, bufv, sizeof(bufv));

	assert(err == want_err);
	if (!err) {
		assert(ev.type == want.type);
		assert(ev.seq == want.seq);
		assert(!strcmp(ev.stream_id, want.stream_id));
	}
	if (!err && ev.type == CARRIER_MEDIA) {
		assert(ev.u.media.n == want.u.media.n);
		assert(ev.u.media.chunk == want.u.media.chunk);
		assert(ev.u.media.timestamp_ms == want.u.media.timestamp_ms);
		assert(!memcmp(bufv, wantv, ev.u.media.n));
	}
	carrier_event_reset(&ev);
	carrier_event_reset(&want);

	return 0;
}

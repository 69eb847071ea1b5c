/* What an answer really is: the first byte chooses what was asked for, its
 * Content-Type, and whether there is more to come */
#include <errno.h>
#include <stdlib.h>
#include <convod/decode.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	static const char *const typev[] = {"", "audio/mpeg", "text/html",
					    "application/json"};
	enum decode_format asked, format;
	bool last;
	int err;

	if (!n)
		return 0;

	asked = format = (enum decode_format)(*p % 3);
	last = *p & 0x10;
	err = decode_confirm(&format, typev[*p >> 6], p + 1, n - 1, last);
	if (err && err != EBADMSG && (err != EAGAIN || last))
		abort();
	if (err == EAGAIN && n - 1 >= DECODE_CONFIRM_MAX_BYTES)
		abort();
	if (format != asked && (err || format != DECODE_SNIFF))
		abort();

	return 0;
}

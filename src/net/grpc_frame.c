/**
 * @file grpc_frame.c  gRPC's framing and status texts, without I/O
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <nghttp2/nghttp2.h>
#include <convod/grpc.h>
#include <convod/utf8.h>
#include "grpc_frame.h"

enum {
	BUF_KEEP = 16 << 10, /* a larger buffer is not kept for the next one */
	MESSAGE_TEXT_MAX = 1024,
};

static size_t message_len(const struct grpc_frame *f)
{
	return (size_t)f->head[1] << 24 | (size_t)f->head[2] << 16 |
	       (size_t)f->head[3] << 8 | f->head[4];
}

static int check_head(const struct grpc_frame *f)
{
	if (f->head[0])
		return EPROTO;

	return message_len(f) > GRPC_MESSAGE_MAX ? EOVERFLOW : 0;
}

static void message_done(struct grpc_frame *f)
{
	f->headc = f->msg.n = 0;
	if (f->msg.size > BUF_KEEP)
		buf_reset(&f->msg);
}

int grpc_frame_feed(struct grpc_frame *f, const uint8_t *p, size_t n,
		    grpc_frame_h *h, void *arg)
{
	int err;

	while (n || f->headc == GRPC_HEAD) {
		size_t want = GRPC_HEAD - f->headc;
		size_t take = MIN(want, n);

		if (want) {
			memcpy(f->head + f->headc, p, take);
			f->headc += take;
			p += take;
			n -= take;
			if (take < want)
				return 0;
			err = check_head(f);
			if (err)
				return err;
		}

		want = message_len(f) - f->msg.n;
		if (want > n)
			return n ? buf_add(&f->msg, p, n, SIZE_MAX) : 0;

		if (f->msg.n) {
			err = buf_add(&f->msg, p, want, SIZE_MAX);
			if (err)
				return err;
			if (!h(buf_bytes(&f->msg), f->msg.n, arg))
				return ECANCELED;
		} else if (!h(p, want, arg)) {
			return ECANCELED;
		}
		message_done(f);
		p += want;
		n -= want;
	}

	return 0;
}

bool grpc_frame_is_partial(const struct grpc_frame *f)
{
	return f->headc > 0;
}

void grpc_frame_reset(struct grpc_frame *f)
{
	buf_reset(&f->msg);
	*f = (struct grpc_frame){0};
}

void grpc_frame_put_head(uint8_t *p, size_t n)
{
	p[0] = 0;
	p[1] = (uint8_t)(n >> 24);
	p[2] = (uint8_t)(n >> 16);
	p[3] = (uint8_t)(n >> 8);
	p[4] = (uint8_t)n;
}

/* ------------------------------------------------------------- status */

static int hex(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	if (!isxdigit((unsigned char)c))
		return -1;

	return tolower((unsigned char)c) - 'a' + 10;
}

size_t grpc_message_decode(char *dst, size_t size, const char *src, size_t n)
{
	char raw[MESSAGE_TEXT_MAX];
	size_t rawc = 0;

	for (size_t i = 0; i < n && rawc < sizeof(raw); i++) {
		int hi = i + 2 < n && src[i] == '%' ? hex(src[i + 1]) : -1;
		int lo = hi >= 0 ? hex(src[i + 2]) : -1;

		if (lo >= 0) {
			raw[rawc++] = (char)(hi << 4 | lo);
			i += 2;
		} else {
			raw[rawc++] = src[i];
		}
	}

	return utf8_clean(dst, size, raw, rawc);
}

int grpc_status_parse(const char *s, size_t n)
{
	int status = 0;

	if (n < 1 || n > 2)
		return GRPC_UNKNOWN;

	for (size_t i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]))
			return GRPC_UNKNOWN;
		status = status * 10 + (s[i] - '0');
	}

	return status <= GRPC_UNAUTHENTICATED ? status : GRPC_UNKNOWN;
}

int grpc_status_of_http(int http)
{
	switch (http) {
	case 400:
		return GRPC_INTERNAL;
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	default:
		return GRPC_UNKNOWN;
	}
}

int grpc_status_of_h2(uint32_t code)
{
	switch (code) {
	case NGHTTP2_REFUSED_STREAM:
		return GRPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return GRPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return GRPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return GRPC_PERMISSION_DENIED;
	default:
		return GRPC_INTERNAL;
	}
}

const char *grpc_status_name(int status)
{
	static const char *const namev[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return status >= 0 && (size_t)status < ARRAY_SIZE(namev)
		       ? namev[status]
		       : "?";
}

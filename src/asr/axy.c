/**
 * @file axy.c  Recogniser Axy: sdifi.speech.v1alpha over gRPC
 *
 *	grpc[s]://host[:port][?rate=8000|16000][&block=60..100]
 *
 * A user and password in the URL are ignored with a warning: Axy has no
 * authentication.
 *
 * Spec: the service's proto file; Axy at 579e97f.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/asr.h>
#include <convod/grpc.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "axy_wire.h"

enum { DEFAULT_PORT = 50051, RATE = 16000, BLOCK_MIN_MS = 60 };

static const char service_path[] =
	"/sdifi.speech.v1alpha.SpeechService/StreamingRecognize";

struct axy {
	struct asr asr;
	struct grpc_channel *channel;
	char *language;
	/* Responses are decoded here, one at a time: handlers never run
	 * inside each other. In use: the results being delivered. */
	struct axy_response response;
};

struct axy_stream {
	struct asr_stream stream;
	struct grpc_stream *grpc;
	char call_id[64];
	bool closed;
};

/* ------------------------------------------------------------- streams */

static void stream_destructor(void *arg)
{
	struct axy_stream *s = arg;

	mem_deref(s->grpc);
	mem_deref(s->stream.asr);
}

static void close_stream(struct axy_stream *s, int status, const char *message)
{
	char why[320];

	if (s->closed)
		return;

	s->closed = true;
	(void)snprintf(why, sizeof(why), "%s%s%s", grpc_status_name(status),
		       message[0] ? ": " : "", message);
	s->stream.closeh(axy_status_end(status), why, s->stream.arg);
}

static void grpc_close_handler(int status, const char *message, void *arg)
{
	struct axy_stream *s = mem_ref(arg);

	close_stream(s, status, message);
	mem_deref(s);
}

static void deliver(struct axy_stream *s, const struct axy_result *r,
		    bool final)
{
	const struct asr_result res = {
		.final = final,
		.text = r->text,
		.wordv = r->wordc ? r->wordv : NULL,
		.wordc = r->wordc,
	};

	s->stream.resulth(&res, s->stream.arg);
}

/* mem_nrefs() is 1 once a handler has dropped the stream */
static void grpc_message_handler(const uint8_t *p, size_t n, void *arg)
{
	struct axy_stream *s = mem_ref(arg);
	struct axy *a = (struct axy *)s->stream.asr;
	struct axy_response *r = &a->response;
	int err = s->closed ? ECANCELED : axy_decode(r, p, n);

	if (err == ECANCELED) {
		/* after an error in a response nothing counts any more */
	} else if (err) {
		log_warn(s->call_id, "recogniser sent garbage",
			 "bytes=%zu err=\"%s\"", n, strerror(err));
		close_stream(s, GRPC_INTERNAL, "bad response");
	} else if (r->code) {
		close_stream(s, r->code, r->error);
	} else {
		if (r->final.is_set)
			deliver(s, &r->final, true);
		if (r->interim.is_set && mem_nrefs(s) > 1)
			deliver(s, &r->interim, false);
	}
	mem_deref(s);
}

static int send_config(struct axy_stream *s, const char *conversation)
{
	const struct axy *a = (const struct axy *)s->stream.asr;
	const struct axy_config cfg = {
		.conversation = conversation,
		.language = a->language,
		.srate = a->asr.srate,
	};
	uint8_t *p = grpc_stream_message(s->grpc, axy_config_size(&cfg));

	if (!p)
		return ENOMEM;

	axy_config_pack(p, &cfg);

	return 0;
}

static int axy_open(struct asr_stream **sp, struct asr *asr,
		    const struct asr_stream_param *prm, asr_result_h *resulth,
		    asr_close_h *closeh, void *arg)
{
	struct axy *a = (struct axy *)asr;
	struct axy_stream *s = mem_zalloc(sizeof(*s), stream_destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->stream = (struct asr_stream){mem_ref(asr), resulth, closeh, arg};
	str_copy(s->call_id, sizeof(s->call_id), prm->call_id);
	err = grpc_stream_open(&s->grpc, a->channel, service_path, NULL,
			       grpc_message_handler, grpc_close_handler, s);
	if (!err)
		err = send_config(s, prm->conversation);
	if (err)
		mem_deref(s);
	else
		*sp = &s->stream;

	return err;
}

static int axy_write(struct asr_stream *stream, const int16_t *pcmv, size_t n)
{
	struct axy_stream *s = (struct axy_stream *)stream;
	uint8_t *p;

	if (!n) /* an empty chunk ends the recognition behind Axy */
		return 0;

	p = grpc_stream_message(s->grpc, axy_audio_size(n));
	if (!p)
		return ENOBUFS;

	axy_audio_pack(p, pcmv, n);

	return 0;
}

static void axy_finish(struct asr_stream *stream)
{
	struct axy_stream *s = (struct axy_stream *)stream;

	grpc_stream_finish(s->grpc);
}

/* ---------------------------------------------------------------- set-up */

static void axy_destructor(void *arg)
{
	struct axy *a = arg;

	mem_deref(a->channel);
	mem_deref(a->language);
}

/* A whole decimal number within bounds, 0 if it is none */
static unsigned number(const char *s, size_t n, unsigned min, unsigned max)
{
	unsigned v = 0;

	if (!n || n > 6)
		return 0;

	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return 0;
		v = v * 10 + (unsigned)(s[i] - '0');
	}

	return v >= min && v <= max ? v : 0;
}

static int parse_query(struct axy *a, const char *q)
{
	while (*q) {
		size_t n = strcspn(q, "&");

		if (str_starts(q, "rate=")) {
			a->asr.srate = number(q + 5, n - 5, 8000, RATE);
			if (a->asr.srate != 8000 && a->asr.srate != RATE)
				return EINVAL;
		} else if (str_starts(q, "block=")) {
			a->asr.block_ms = number(q + 6, n - 6, BLOCK_MIN_MS,
						 ASR_BLOCK_MS);
			if (!a->asr.block_ms)
				return EINVAL;
		} else {
			return EINVAL;
		}
		q += n + (q[n] == '&');
	}

	return 0;
}

/* "host", "host:port", "[v6]:port" */
static int parse_host(char *host, size_t size, uint16_t *port, const char *s,
		      size_t n)
{
	const char *end = s[0] == '[' ? memchr(s, ']', n) : memchr(s, ':', n);
	size_t hostc;

	if (s[0] == '[') {
		if (!end)
			return EINVAL;
		++s;
		--n;
	}
	hostc = end ? (size_t)(end - s) : n;
	if (!hostc || hostc >= size)
		return EINVAL;

	memcpy(host, s, hostc);
	host[hostc] = '\0';
	s += hostc + (end && *end == ']');
	n -= hostc + (end && *end == ']');
	*port = DEFAULT_PORT;
	if (!n)
		return 0;

	*port = (uint16_t)(s[0] == ':' ? number(s + 1, n - 1, 1, 65535) : 0);

	return *port ? 0 : EINVAL;
}

static int parse_url(struct axy *a, char *host, size_t size, uint16_t *port,
		     const char *url)
{
	const char *s = strstr(url, "://"), *at;
	size_t n;
	int err;

	if (!s)
		return EINVAL;

	s += 3;
	n = strcspn(s, "/?#");
	at = memrchr(s, '@', n);
	if (at) {
		log_warn(NULL, "user in recogniser URL ignored", NULL);
		n -= (size_t)(at + 1 - s);
		s = at + 1;
	}

	err = parse_host(host, size, port, s, n);
	s += n;
	s += *s == '/';
	if (err || (*s && *s != '?'))
		return EINVAL;

	return *s ? parse_query(a, s + 1) : 0;
}

static int axy_alloc(struct asr **ap, const struct asr_param *prm,
		     const struct net *net)
{
	struct axy *a = mem_zalloc(sizeof(*a), axy_destructor);
	char host[256];
	uint16_t port;
	int err;

	if (!a)
		return ENOMEM;

	a->asr.srate = RATE;
	a->asr.block_ms = ASR_BLOCK_MS;
	err = parse_url(a, host, sizeof(host), &port, prm->url);
	if (!err)
		err = str_dup(&a->language, prm->language);
	if (!err)
		err = grpc_channel_alloc(&a->channel, net->loop, host, port,
					 str_starts(prm->url, "grpcs"),
					 prm->ca_file);
	if (err)
		mem_deref(a);
	else
		*ap = &a->asr;

	return err;
}

const struct asr_backend asr_axy = {
	.name = "axy",
	.schemev = {"grpc", "grpcs", NULL},
	.form = "grpc(s)://host[:port][?rate=8000][&block=60..100]",
	.alloc = axy_alloc,
	.open = axy_open,
	.write = axy_write,
	.finish = axy_finish,
};

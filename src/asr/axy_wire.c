/**
 * @file axy_wire.c  Axy's messages, without I/O
 */
#include <errno.h>
#include <string.h>
#include <convod/grpc.h>
#include <convod/mem.h>
#include <convod/utf8.h>
#include "axy_wire.h"
#include "speech.pb-c.h"

/* The generated names, made readable */
#define PB(name)      Sdifi__Speech__V1alpha__##name
#define PB_FN(name)   sdifi__speech__v1alpha__##name
#define PB_INIT(name) SDIFI__SPEECH__V1ALPHA__##name##__INIT

/* Two bytes on the wire can become a hundred in memory: what one response
 * may take while it is looked at */
enum { UNPACK_MAX = 2 << 20, BLOCK_COST = 16 };

/* ------------------------------------------------------------ decoding */

struct budget {
	size_t left;
	bool nomem;
};

static void *budget_alloc(void *arg, size_t n)
{
	struct budget *b = arg;
	void *p;

	if (n + BLOCK_COST > b->left)
		return NULL;

	b->left -= n + BLOCK_COST;
	p = mem_raw_malloc(n);
	if (!p)
		b->nomem = true;

	return p;
}

static void budget_free(void *arg, void *p)
{
	(void)arg;
	mem_raw_free(p);
}

static void add_text(struct axy_result *r, const char *text, bool blank)
{
	size_t room = sizeof(r->text) - r->textc;

	if (blank && r->textc && room > 2) {
		r->text[r->textc++] = ' ';
		--room;
	}
	r->textc += utf8_clean(r->text + r->textc, room, text, strlen(text));
}

static uint32_t duration_ms(const PB(Duration) * d)
{
	int64_t s = d ? d->seconds : 0;
	int32_t ns = d ? d->nanos : 0;

	if (s < 0 || ns < 0)
		return 0;
	if (s >= UINT32_MAX / 1000)
		return UINT32_MAX;

	return (uint32_t)(s * 1000 + MIN(ns, 999999999) / 1000000);
}

static void add_word(struct axy_result *r, const PB(WordInfo) * w)
{
	size_t room = sizeof(r->word_text) - r->word_textc;
	char *text = r->word_text + r->word_textc;
	size_t n = strlen(w->word);

	if (!n)
		return;
	/* U+FFFD takes three bytes for one: then nothing is ever cut */
	if (r->wordc == ARRAY_SIZE(r->wordv) || n * 3 >= room) {
		r->untimed = true;
		return;
	}

	r->word_textc += utf8_clean(text, room, w->word, n) + 1;
	r->wordv[r->wordc++] = (struct asr_word){
		.text = text,
		.start_ms = duration_ms(w->start_time),
		.end_ms = duration_ms(w->end_time),
	};
}

/* Words without any time are no words to us */
static bool has_times(const PB(SpeechRecognitionAlternative) * a)
{
	for (size_t i = 0; i < a->n_words; i++) {
		if (a->words[i]->end_time)
			return true;
	}

	return false;
}

static void add_result(struct axy_response *resp,
		       const PB(StreamingRecognitionResult) * res)
{
	struct axy_result *r = res->is_final ? &resp->final : &resp->interim;
	const PB(SpeechRecognitionAlternative) * a;

	if (!res->n_alternatives)
		return;

	a = res->alternatives[0];
	if (!a->transcript[0])
		return;

	r->is_set = true;
	add_text(r, a->transcript, res->is_final);
	if (!has_times(a))
		r->untimed = true;
	for (size_t i = 0; !r->untimed && i < a->n_words; i++)
		add_word(r, a->words[i]);
	if (r->untimed)
		r->wordc = 0;
}

static void response_reset(struct axy_response *r)
{
	/* the large arrays are guarded by their counts */
	r->code = 0;
	r->error[0] = '\0';
	r->utterance_end = false;
	for (int i = 0; i < 2; i++) {
		struct axy_result *res = i ? &r->interim : &r->final;

		res->is_set = res->untimed = false;
		res->text[0] = '\0';
		res->textc = res->wordc = res->word_textc = 0;
	}
}

int axy_decode(struct axy_response *r, const uint8_t *p, size_t n)
{
	struct budget budget = {.left = UNPACK_MAX};
	ProtobufCAllocator al = {budget_alloc, budget_free, &budget};
	PB(StreamingRecognizeResponse) * msg;

	response_reset(r);
	if (n > AXY_MESSAGE_MAX)
		return EOVERFLOW;

	msg = PB_FN(streaming_recognize_response__unpack)(&al, n, p);
	if (!msg)
		return budget.nomem ? ENOMEM : EBADMSG;

	if (msg->error && msg->error->code) {
		r->code = msg->error->code;
		(void)utf8_clean(r->error, sizeof(r->error),
				 msg->error->message,
				 strlen(msg->error->message));
	}
	r->utterance_end = msg->speech_event_type == 1;
	for (size_t i = 0; i < msg->n_results; i++)
		add_result(r, msg->results[i]);

	PB_FN(streaming_recognize_response__free_unpacked)(msg, &al);

	return 0;
}

/* ------------------------------------------------------------ encoding */

struct config {
	PB(StreamingRecognizeRequest) request;
	PB(StreamingRecognitionConfig) streaming;
	PB(RecognitionConfig) recognition;
};

static void config_fill(struct config *c, const struct axy_config *cfg)
{
	*c = (struct config){
		PB_INIT(STREAMING_RECOGNIZE_REQUEST),
		PB_INIT(STREAMING_RECOGNITION_CONFIG),
		PB_INIT(RECOGNITION_CONFIG),
	};
	/* protobuf-c has no const strings; packing only reads them */
	c->recognition.encoding = 1; /* LINEAR16 */
	c->recognition.sample_rate_hertz = (int32_t)cfg->srate;
	c->recognition.language_code = (char *)(uintptr_t)cfg->language;
	c->recognition.enable_word_time_offsets = true;
	c->streaming.config = &c->recognition;
	c->streaming.interim_results = true;
	c->streaming.conversation = (char *)(uintptr_t)cfg->conversation;
	c->request.streaming_request_case = 1; /* streaming_config */
	c->request.streaming_config = &c->streaming;
}

size_t axy_config_size(const struct axy_config *cfg)
{
	struct config c;

	config_fill(&c, cfg);

	return PB_FN(streaming_recognize_request__get_packed_size)(&c.request);
}

void axy_config_pack(uint8_t *p, const struct axy_config *cfg)
{
	struct config c;

	config_fill(&c, cfg);
	(void)PB_FN(streaming_recognize_request__pack)(&c.request, p);
}

/* One field of bytes: written by hand, straight into the stream's buffer, so
 * that the frame path makes one copy and depends on no byte order */
enum { TAG_AUDIO = 2 << 3 | 2 };

static size_t varint_size(size_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		++n;

	return n;
}

size_t axy_audio_size(size_t n)
{
	return 1 + varint_size(2 * n) + 2 * n;
}

void axy_audio_pack(uint8_t *p, const int16_t *pcmv, size_t n)
{
	size_t v = 2 * n;

	*p++ = TAG_AUDIO;
	for (; v >= 0x80; v >>= 7)
		*p++ = (uint8_t)(v | 0x80);
	*p++ = (uint8_t)v;

	for (size_t i = 0; i < n; i++) {
		p[2 * i] = (uint8_t)pcmv[i];
		p[2 * i + 1] = (uint8_t)((uint16_t)pcmv[i] >> 8);
	}
}

enum asr_end axy_status_end(int status)
{
	switch (status) {
	case GRPC_OK:
		return ASR_END_OK;
	case GRPC_OUT_OF_RANGE: /* Google's limits of time and silence */
		return ASR_END_REOPEN;
	case GRPC_INVALID_ARGUMENT:
	case GRPC_NOT_FOUND:
	case GRPC_ALREADY_EXISTS:
	case GRPC_PERMISSION_DENIED:
	case GRPC_FAILED_PRECONDITION:
	case GRPC_UNIMPLEMENTED:
	case GRPC_DATA_LOSS:
	case GRPC_UNAUTHENTICATED:
		return ASR_END_FATAL;
	default:
		return ASR_END_RETRY;
	}
}

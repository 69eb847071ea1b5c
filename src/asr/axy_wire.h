/**
 * @file axy_wire.h  Axy's messages, without I/O
 *
 * Spec: package sdifi.speech.v1alpha, proto/speech.proto.
 */
#ifndef AXY_WIRE_H
#define AXY_WIRE_H

#include <convod/asr.h>

enum {
	AXY_MESSAGE_MAX = 256 << 10, /* bytes of a response we look at       */
	AXY_WORDS_MAX = 512,         /* of a result; with more, or with more
				      * text in them, it comes without words */
	AXY_WORD_TEXT_MAX = 8192,    /* bytes of all words of a result       */
};

/** All finals, or all interim results, of one response */
struct axy_result {
	bool is_set;
	bool untimed; /* words are not complete: none are given */
	char text[ASR_TEXT_MAX];
	size_t textc;
	struct asr_word wordv[AXY_WORDS_MAX];
	size_t wordc;
	char word_text[AXY_WORD_TEXT_MAX];
	size_t word_textc;
};

struct axy_response {
	int code; /* of an error inside the response, 0: none */
	char error[256];
	bool utterance_end; /* END_OF_SINGLE_UTTERANCE */
	struct axy_result final;
	struct axy_result interim;
};

/**
 * Decode a response
 *
 * Finals of one response are joined with a blank, interim results as they are
 * (they bring their blanks); of several alternatives the first counts, empty
 * ones are left out. Texts come out as valid UTF-8.
 *
 * @return 0; EBADMSG: not a response; EOVERFLOW: absurdly large; ENOMEM
 */
CV_NODISCARD int axy_decode(struct axy_response *r, const uint8_t *p,
			    size_t n);

struct axy_config {
	const char *conversation;
	const char *language;
	uint32_t srate; /* Hz */
};

/** The first message: its size, then its bytes */
size_t axy_config_size(const struct axy_config *cfg);
void axy_config_pack(uint8_t *p, const struct axy_config *cfg);

/** An audio message of n samples, n at least 1: its size, then its bytes */
size_t axy_audio_size(size_t n);
void axy_audio_pack(uint8_t *p, const int16_t *pcmv, size_t n);

/** What to do after a stream ended with this gRPC status (asr.md 3.9) */
enum asr_end axy_status_end(int status);

#endif

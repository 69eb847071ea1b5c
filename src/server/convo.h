/**
 * @file convo.h  One carrier's websocket, between the files that serve it
 */
#ifndef CONVOD_CONVO_H
#define CONVOD_CONVO_H

#include <convod/audio.h>
#include "server_priv.h"

enum convo_phase {
	CONVO_NEW, /* no `start` yet */
	CONVO_UP,
	CONVO_ENDED, /* the reason is recorded; the socket may be open */
};

struct convo {
	struct le le;
	struct worker *worker; /* outlives it */
	struct ws *ws;         /* NULL once closed */
	const struct carrier *carrier;
	char peer[64];
	char call_id[CARRIER_ID_MAX];
	char stream_id[CARRIER_ID_MAX];
	char conversation[DIALOG_ID_MAX];
	enum convo_phase phase;
	unsigned strikes;
	uint64_t start_ms;

	struct tmr *tmr;
	struct loop_flush flush;
	struct call *call;
	struct playout *playout;
	struct list speechl;
	struct dialog_session *dialog;
	struct recorder *recorder; /* while the call is recorded */
	json_t *vars;              /* set by the dialog manager, or NULL */

	/* media.c */
	struct ring *ring;
	struct vad *vad;
	struct dtmf *dtmf; /* NULL: the carrier sends events, or is to */
	char key;          /* heard last, and when                     */
	uint64_t key_ms;
	struct asr_session *asr;
	enum asr_state asr_state;
	bool speaking;
	uint8_t tail
		[FRAME_SAMPLES]; /* of a message that is not whole frames */
	size_t tailc;
	uint64_t frames;
	uint64_t flood_us; /* when the flood meter was last read */
	int64_t flood;     /* samples above twice real time */

	/* latencies */
	uint64_t speech_end_us;
	uint64_t turn_us;
	bool answering;
};

/* convo.c */
void convo_touch(struct convo *cv);
void convo_abort(struct convo *cv, int code, const char *why,
		 enum call_end end);
void convo_stop(struct convo *cv);
void convo_open_asr(struct convo *cv);
void convo_start(struct convo *cv, const struct carrier_event *ev);

void convo_record_end(struct convo *cv, enum call_end end);
uint64_t convo_now_ms(const struct convo *cv);

/* talk.c */
extern const struct call_ops talk_call_ops;
extern const struct dialog_handlers talk_dialog_handlers;
extern const struct playout_ops talk_playout_ops;
unsigned convo_since_ms(uint64_t us);

/* media.c */
void convo_text_handler(const char *msg, size_t len, void *arg);
void convo_strike(struct convo *cv, const char *why);

/* speech.c */
int speech_say_op(uint32_t utterance, const struct call_sound *s, void *arg);
int speech_play_op(uint32_t utterance, const struct call_sound *s, void *arg);
int speech_pause_op(uint32_t utterance, uint32_t ms, void *arg);
int speech_prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg);
void speech_started(struct convo *cv, uint32_t utterance);
void speech_forget(struct convo *cv, uint32_t utterance);

#endif

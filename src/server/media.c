/**
 * @file media.c  What a carrier sends: the frame path, and the odd message
 *
 * The frame path allocates nothing, takes no lock, logs nothing and makes no
 * system call: scan, decode base64, ring, voice activity, and every few frames
 * a block into the recogniser's send buffer.
 */
#include <errno.h>
#include <string.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "convo.h"
#include "recorder.h"

enum {
	/* Twice real time is a flood, unless it makes up for a stall of the
	 * network: so much less than real time is remembered */
	FLOOD_SAMPLES_PER_MS = 2 * AUDIO_PER_MS,
	FLOOD_MAX = 1000 * FLOOD_SAMPLES_PER_MS,
	FLOOD_CREDIT = 5000 * FLOOD_SAMPLES_PER_MS,
	/* for the conversation's id, even where nothing is replayed */
	ID_WAIT = 2000 * AUDIO_PER_MS,
	ID_SPARE = 500 * AUDIO_PER_MS,  /* a stream takes it by blocks */
	VAD_HANGOVER_MS = 5 * FRAME_MS, /* vad_frame() tells the end late */
	/* A carrier's event for a key that was heard follows the tone's end */
	SAME_KEY_MS = 3000,
};

/* Harmless: ignored and counted, up to a point */
static void strike(struct convo *cv, enum metrics_counter counter,
		   const char *why)
{
	metrics_inc(counter);
	if (++cv->strikes < SERVER_STRIKES_MAX || cv->phase == CONVO_ENDED)
		return;

	metrics_inc(M_CLOSED_PROTOCOL);
	convo_abort(cv, WS_POLICY, why, CALL_END_PROTOCOL);
}

void convo_strike(struct convo *cv, const char *why)
{
	strike(cv, M_IGNORED_MESSAGES, why);
}

static bool is_flood(struct convo *cv, size_t n, uint64_t now_us)
{
	uint64_t us = cv->flood_us ? now_us - cv->flood_us : 0;

	cv->flood_us = now_us;
	cv->flood -= (int64_t)(us * FLOOD_SAMPLES_PER_MS / 1000);
	if (cv->flood < -FLOOD_CREDIT)
		cv->flood = -FLOOD_CREDIT;
	cv->flood += (int64_t)n;

	return cv->flood > FLOOD_MAX;
}

static void press(struct convo *cv, char key, uint64_t now_ms)
{
	if (cv->recorder && call_hides_keys(cv->call))
		recorder_hide(cv->recorder);
	call_dtmf(cv->call, key, now_ms);
	convo_touch(cv);
}

static void hear_key(struct convo *cv, const int16_t *pcmv, uint64_t now_ms)
{
	char key = dtmf_frame(cv->dtmf, pcmv);

	if (!key)
		return;

	cv->key = key;
	cv->key_ms = now_ms;
	metrics_inc(M_KEYS_BY_TONE);
	press(cv, key, now_ms);
}

/* A carrier that sends events needs no ear for tones: a key would count twice.
 * The first of them may be for a key that has been heard. */
static void key_event(struct convo *cv, char key, uint64_t now_ms)
{
	bool heard = cv->dtmf && cv->key == key &&
		     now_ms - cv->key_ms < SAME_KEY_MS;

	cv->dtmf = mem_deref(cv->dtmf);
	if (!heard)
		press(cv, key, now_ms);
}

static void hear_frame(struct convo *cv, const uint8_t *ulawv, uint64_t now_us)
{
	uint64_t now_ms = convo_now_ms(cv);
	int16_t pcmv[FRAME_SAMPLES];
	bool speaking;

	++cv->frames;
	g711_ulaw_decode_n(pcmv, ulawv, FRAME_SAMPLES);
	if (cv->dtmf)
		hear_key(cv, pcmv, now_ms);
	if (cv->recorder)
		recorder_frame(cv->recorder,
			       call_is_sensitive(cv->call) ? NULL : ulawv,
			       call_hides_keys(cv->call));
	speaking = vad_frame(cv->vad, pcmv, now_ms);
	if (vad_hears_echo(cv->vad))
		call_echo(cv->call, now_ms);
	if (speaking && cv->asr)
		asr_session_speech(cv->asr, ring_head(cv->ring));
	if (speaking == cv->speaking)
		return;

	cv->speaking = speaking;
	if (!speaking)
		cv->speech_end_us = now_us - VAD_HANGOVER_MS * 1000;
	call_speech(cv->call, speaking, now_ms);
	convo_touch(cv);
}

/* Messages are whole frames nearly always, but need not be */
static void hear(struct convo *cv, const uint8_t *ulawv, size_t n,
		 uint64_t now_us)
{
	while (n) {
		size_t take = MIN(n, FRAME_SAMPLES - cv->tailc);

		if (!cv->tailc && take == FRAME_SAMPLES) {
			hear_frame(cv, ulawv, now_us);
		} else {
			memcpy(cv->tail + cv->tailc, ulawv, take);
			cv->tailc += take;
			if (cv->tailc == FRAME_SAMPLES) {
				hear_frame(cv, cv->tail, now_us);
				cv->tailc = 0;
			}
		}
		ulawv += take;
		n -= take;
	}
}

/*
 * The recogniser waits for the dialog manager's id of the conversation, and
 * nobody reads the ring. Before a word gets lost by that it is opened without.
 * While there is no memory for it, what a stream could still be sent is kept,
 * the rest released.
 */
static void keep_recent(struct convo *cv)
{
	uint64_t keep = (uint64_t)cv->worker->shared->conf->asr_replay_ms *
			AUDIO_PER_MS;
	uint64_t head = ring_head(cv->ring);

	if (head + ID_SPARE > MAX(keep, ID_WAIT) ||
	    cv->asr_state == ASR_BROKEN)
		convo_open_asr(cv);
	if (cv->asr || head <= keep)
		return;
	ring_seek(cv->ring, head - keep);
	ring_release(cv->ring, head - keep);
}

static void media(struct convo *cv, const struct carrier_event *ev)
{
	uint64_t now_us = clk_now_us();
	size_t n = ev->u.media.n;

	metrics_inc(M_FRAMES_IN);
	if (ev->u.media.slow)
		metrics_inc(M_FRAMES_ODD);
	if (is_flood(cv, n, now_us)) {
		metrics_inc(M_CLOSED_FLOOD);
		convo_abort(cv, WS_POLICY, "audio faster than real time",
			    CALL_END_PROTOCOL);
		return;
	}

	(void)ring_write(cv->ring, cv->worker->audio, n);
	hear(cv, cv->worker->audio, n, now_us);
	if (cv->asr)
		asr_session_audio(cv->asr, now_us);
	else
		keep_recent(cv);
}

static void mark(struct convo *cv, const struct carrier_event *ev)
{
	playout_mark(cv->playout, ev->u.mark.name, convo_now_ms(cv));
	convo_touch(cv);
}

static void up_event(struct convo *cv, const struct carrier_event *ev)
{
	if (*ev->stream_id && *cv->stream_id &&
	    strcmp(ev->stream_id, cv->stream_id) != 0) {
		convo_strike(cv, "foreign streamSid");
		return;
	}

	switch (ev->type) {
	case CARRIER_MEDIA:
		media(cv, ev);
		break;
	case CARRIER_DTMF:
		key_event(cv, ev->u.dtmf.digit, convo_now_ms(cv));
		break;
	case CARRIER_MARK:
		mark(cv, ev);
		break;
	case CARRIER_STOP:
		convo_stop(cv);
		break;
	case CARRIER_START:
	case CARRIER_CONNECTED:
		convo_strike(cv, "second start");
		break;
	case CARRIER_IGNORED:
		metrics_inc(M_IGNORED_MESSAGES);
		break;
	}
}

static void new_event(struct convo *cv, const struct carrier_event *ev)
{
	switch (ev->type) {
	case CARRIER_CONNECTED:
		break;
	case CARRIER_START:
		convo_start(cv, ev);
		break;
	default:
		convo_strike(cv, "message before start");
		break;
	}
}

void convo_text_handler(const char *msg, size_t len, void *arg)
{
	struct convo *cv = arg;
	struct worker *w = cv->worker;
	struct carrier_event ev;
	int err;

	if (cv->phase == CONVO_ENDED || !cv->ws)
		return;

	err = cv->carrier->parse(&ev, msg, len, w->audio, sizeof(w->audio));
	if (err == ENOTSUP) {
		convo_abort(cv, WS_POLICY, "audio format", CALL_END_PROTOCOL);
	} else if (err) {
		log_debug(cv->call_id, "bad message", "err=\"%s\"",
			  strerror(err));
		if (err == ENOMEM) /* not its fault */
			metrics_inc(M_BAD_MESSAGES);
		else
			strike(cv, M_BAD_MESSAGES, "bad messages");
	} else if (cv->phase == CONVO_NEW) {
		new_event(cv, &ev);
	} else {
		up_event(cv, &ev);
	}

	carrier_event_reset(&ev);
}

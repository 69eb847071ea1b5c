/**
 * @file convo.c  One carrier's websocket: a call and all that belongs to it
 *
 * The conversation (call/) decides; this file carries out. Everything that
 * happens to a call asks for one convo_tick() at the end of the loop's turn,
 * which lets the conversation and playout do what is due.
 *
 *	convo ──▶ call, playout, ring, vad, timer
 *	      ──▶ asr_session (reads the ring), dialog_session
 *	      ──▶ speeches (speech.c), each with a clip and what fills it
 *	worker ──▶ convo: from the upgrade until the socket is closed and the
 *	           recogniser has given its last result
 */
#include <errno.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "convo.h"
#include "manners.h"
#include "recorder.h"

uint64_t convo_now_ms(const struct convo *cv)
{
	return loop_now_ms(cv->worker->net.loop);
}

/* ------------------------------------------------------------- the end */

/* Let go of whatever works for the call. The conversation is told first, so
 * that nothing of this makes it act. */
static void stop_work(struct convo *cv, enum call_end end)
{
	if (cv->call)
		call_stop(cv->call, end);

	tmr_cancel(cv->tmr);
	list_unlink(&cv->flush.le);
	cv->recorder = recorder_close(cv->recorder);
	list_flush(&cv->speechl);
	cv->dialog = mem_deref(cv->dialog);
	cv->playout = mem_deref(cv->playout);
}

static void destructor(void *arg)
{
	struct convo *cv = arg;

	stop_work(cv, CALL_END_ERROR);
	list_unlink(&cv->le);
	mem_deref(cv->asr);
	mem_deref(cv->call);
	mem_deref(cv->vad);
	mem_deref(cv->dtmf);
	mem_deref(cv->ring);
	mem_deref(cv->tmr);
	json_decref(cv->vars);
}

/* The reason is recorded once, whoever finds it out first */
void convo_record_end(struct convo *cv, enum call_end end)
{
	const struct worker *w = cv->worker;

	if (cv->phase != CONVO_UP)
		return;

	cv->phase = CONVO_ENDED;
	registry_end(w->shared->registry, end);
	metrics_gauge(M_CALLS_UP, -1);
	log_info(cv->call_id, "call ended", "reason=%s ms=%llu frames=%llu",
		 call_end_name(end),
		 (unsigned long long)(convo_now_ms(cv) - cv->start_ms),
		 (unsigned long long)cv->frames);
}

/* The carrier broke the rules, or we have to give up: close with a code */
void convo_abort(struct convo *cv, int code, const char *why,
		 enum call_end end)
{
	log_warn(cv->phase == CONVO_NEW ? NULL : cv->call_id, "call closed",
		 "code=%d why=\"%s\" peer=%s", code, why, cv->peer);
	convo_record_end(cv, end);
	stop_work(cv, end);
	if (cv->ws)
		ws_close(cv->ws, code, why);
}

/* The carrier says that the caller has hung up: the id is free at once, it
 * need not wait for the socket's end */
void convo_stop(struct convo *cv)
{
	convo_record_end(cv, CALL_END_CALLER);
	call_stop(cv->call, CALL_END_CALLER);
	ws_close(cv->ws, WS_NORMAL, "stop");
}

/* The last result is in, or nobody waits for it */
static void release(struct convo *cv)
{
	list_unlink(&cv->le);
	mem_deref(cv);
}

static void close_handler(int code, void *arg)
{
	struct convo *cv = arg;

	cv->ws = NULL;
	convo_record_end(cv, CALL_END_CALLER);
	stop_work(cv, CALL_END_CALLER);

	atomic_fetch_sub(&cv->worker->calls, 1);
	registry_leave(cv->worker->shared->registry);
	log_debug(cv->call_id, "socket closed", "code=%d", code);

	/* What was said last is still worth recognising: the recogniser
	 * writes its finals where others read them */
	if (cv->asr && cv->asr_state != ASR_DOWN)
		asr_session_finish(cv->asr);
	else
		release(cv);
}

/* -------------------------------------------------------- conversation */

static void tick(void *arg)
{
	struct convo *cv = arg;
	uint64_t now = convo_now_ms(cv);
	uint64_t next;

	if (cv->phase != CONVO_UP)
		return;

	call_tick(cv->call, now);
	if (cv->phase != CONVO_UP)
		return;

	next = playout_tick(cv->playout, now);
	next = MIN(next, call_next_ms(cv->call));
	if (next == UINT64_MAX)
		tmr_cancel(cv->tmr);
	else
		tmr_start_at(cv->tmr, next);
}

void convo_touch(struct convo *cv)
{
	if (cv->phase == CONVO_UP)
		loop_flush_later(cv->worker->net.loop, &cv->flush);
}

static void timer_handler(void *arg)
{
	struct convo *cv = arg;

	if (cv->phase == CONVO_NEW)
		convo_abort(cv, WS_POLICY, "no start", CALL_END_PROTOCOL);
	else
		tick(cv);
}

/* ---------------------------------------------------------- recogniser */

static void result_handler(const struct asr_result *res, void *arg)
{
	struct convo *cv = arg;
	bool secret = call_hides_words(cv->call); /* a number, spoken */

	if (res->final && log_transcripts())
		log_info(cv->call_id, "heard", "ms=%u rejected=%s text=\"%s\"",
			 convo_since_ms(cv->speech_end_us),
			 res->rejected ? "yes" : "no",
			 secret ? "***" : LOG_STR(res->text));

	call_result(cv->call, res, convo_now_ms(cv));
	convo_touch(cv);
}

static void asr_state_handler(enum asr_state state, const char *why, void *arg)
{
	struct convo *cv = arg;

	(void)why; /* the session has logged it */
	cv->asr_state = state;

	if (!cv->ws && (state == ASR_ENDED || state == ASR_DOWN)) {
		release(cv);
		return;
	}

	call_asr_state(cv->call, state, convo_now_ms(cv));
	convo_touch(cv);
}

void convo_open_asr(struct convo *cv)
{
	const struct asr_session_param prm = {
		.conversation = *cv->conversation ? cv->conversation
						  : cv->call_id,
		.call_id = cv->call_id,
		.replay_ms = cv->worker->shared->conf->asr_replay_ms,
		/* a recogniser that comes back after a minute is welcome */
		.tries = UINT32_MAX,
	};
	int err = asr_session_alloc(&cv->asr, cv->worker->asr, cv->ring, &prm,
				    result_handler, asr_state_handler, cv);

	if (!err) {
		cv->asr_state = ASR_CONNECTING;
		return;
	}

	/* the next frame tries again */
	if (cv->asr_state != ASR_BROKEN)
		log_warn(cv->call_id, "no recogniser", "err=\"%s\"",
			 strerror(err));
	asr_state_handler(ASR_BROKEN, "", cv);
}

static const char *param_of(const struct carrier_event *ev, const char *name)
{
	const char *s = json_string_value(
		json_object_get(ev->u.start.params, name));

	return s ? s : "";
}

/* --------------------------------------------------------------- start */

static uint32_t ring_size(uint32_t replay_ms)
{
	/* what is kept, and a second for the recogniser to fall behind */
	uint32_t want = replay_ms * AUDIO_PER_MS;
	uint32_t size = 4096;

	while (size < want + AUDIO_PER_MS * 90)
		size *= 2;

	return size;
}

static int start_parts(struct convo *cv, const struct carrier_event *ev)
{
	const struct conf *conf = cv->worker->shared->conf;
	struct dialog_call dc = {
		.call_id = cv->call_id,
		.caller = param_of(ev, "caller"),
		.called = param_of(ev, "called"),
		.params = ev->u.start.params,
	};
	const struct dialog_backend *be = cv->worker->dialog->be;
	struct call_param prm = cv->worker->shared->manners->prm;
	int err;

	if (prm.greeting == CALL_GREETING_SOUND)
		dc.greeting = prm.greeting_sound.text;
	prm.id = cv->call_id;
	prm.opens = be->opens;
	prm.forgets = be->forgets;
	prm.knows_nobody = be->knows_nobody;
	prm.has_voice = cv->worker->voice != NULL;

	err = ring_alloc(&cv->ring, ring_size(conf->asr_replay_ms));
	if (!err)
		err = vad_alloc(&cv->vad);
	if (!err && conf->dtmf_inband)
		err = dtmf_alloc(&cv->dtmf);
	if (!err)
		err = playout_alloc(&cv->playout, &talk_playout_ops,
				    conf->playout_lead_ms, cv);
	if (!err)
		err = call_alloc(&cv->call, &prm, &talk_call_ops, cv,
				 convo_now_ms(cv));
	if (!err)
		err = be->open(&cv->dialog, cv->worker->dialog, &dc,
			       &talk_dialog_handlers, cv);

	return err;
}

void convo_start(struct convo *cv, const struct carrier_event *ev)
{
	const struct conf *conf = cv->worker->shared->conf;
	int err;

	if (*conf->twilio_account_sid &&
	    strcmp(conf->twilio_account_sid, ev->u.start.account_id) != 0) {
		convo_abort(cv, WS_POLICY, "another account",
			    CALL_END_PROTOCOL);
		return;
	}

	/* without a streamSid nothing can be sent */
	if (!*ev->stream_id || !*ev->u.start.call_id) {
		convo_abort(cv, WS_POLICY, "start without ids",
			    CALL_END_PROTOCOL);
		return;
	}

	/* The same call may come again on a new stream while the old socket is
	 * not known to be dead: both are served */
	str_copy(cv->call_id, sizeof(cv->call_id), ev->u.start.call_id);
	str_copy(cv->stream_id, sizeof(cv->stream_id), ev->stream_id);
	cv->start_ms = convo_now_ms(cv);
	cv->phase = CONVO_UP;
	metrics_inc(M_CALLS);
	metrics_gauge(M_CALLS_UP, 1);
	log_info(cv->call_id, "call started", "stream=\"%s\" peer=%s",
		 LOG_STR(cv->stream_id), cv->peer);

	err = start_parts(cv, ev);
	if (err) {
		convo_abort(cv, WS_INTERNAL, strerror(err), CALL_END_ERROR);
		return;
	}

	convo_touch(cv);
}

static void open_handler(void *arg)
{
	struct convo *cv = arg;

	tmr_start(cv->tmr, SERVER_START_MS);
}

static void binary_handler(size_t len, void *arg)
{
	(void)len;
	convo_strike(arg, "binary message");
}

/* The id is free, and the reason known, before the socket has ended */
static void fault_handler(int code, void *arg)
{
	struct convo *cv = arg;
	enum call_end end = CALL_END_PROTOCOL;

	if (code == WS_ABNORMAL)
		end = CALL_END_STUCK;
	else if (code == WS_INTERNAL)
		end = CALL_END_ERROR;
	else
		metrics_inc(M_CLOSED_PROTOCOL);
	convo_record_end(cv, end);
	stop_work(cv, end);
}

static void drain_handler(void *arg)
{
	convo_touch(arg);
}

static const struct ws_handlers ws_handlers = {
	.openh = open_handler,
	.texth = convo_text_handler,
	.binaryh = binary_handler,
	.drainh = drain_handler,
	.closeh = close_handler,
	.faulth = fault_handler,
};

int convo_alloc(struct worker *w, struct ws *ws, const char *peer)
{
	struct convo *cv = mem_zalloc(sizeof(*cv), destructor);
	int err;

	if (!cv)
		return ENOMEM;

	cv->worker = w;
	cv->carrier = &carrier_twilio;
	cv->flush.h = tick;
	cv->flush.arg = cv;
	str_copy(cv->peer, sizeof(cv->peer), peer);

	err = tmr_alloc(&cv->tmr, w->net.loop, timer_handler, cv);
	if (!err)
		err = registry_enter(w->shared->registry);
	if (err) {
		mem_deref(cv);
		return err;
	}

	cv->ws = ws;
	ws_accept(ws, &ws_handlers, cv);
	list_append(&w->convol, &cv->le, cv);
	atomic_fetch_add(&w->calls, 1);

	return 0;
}

void convo_drain(struct convo *cv)
{
	if (cv->phase == CONVO_UP) {
		call_drain(cv->call, convo_now_ms(cv));
		convo_touch(cv);
	} else if (cv->ws) {
		ws_close(cv->ws, WS_GOING_AWAY, "shutting down");
	}
}

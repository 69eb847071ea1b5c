/**
 * @file talk.c  What the conversation asks for, and what answers it
 *
 * The three vtables between the conversation (call/), the dialog manager and
 * playout. Nothing is decided here.
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

enum { VARS_MAX = 64, VAR_MAX_BYTES = 1024 };

/* Milliseconds since a moment, 0 where there was none */
unsigned convo_since_ms(uint64_t us)
{
	return us ? (unsigned)((clk_now_us() - us) / 1000) : 0;
}

/* ------------------------------------------------ what is said and played */

static int turn_op(const struct dialog_turn *t, void *arg)
{
	struct convo *cv = arg;
	struct dialog_turn turn = *t;

	cv->turn_us = clk_now_us();
	cv->answering = true;
	turn.vars = cv->vars;

	return cv->dialog ? cv->dialog->dialog->be->turn(cv->dialog, &turn)
			  : ENOTCONN;
}

static void cancel_turn_op(void *arg)
{
	struct convo *cv = arg;

	if (cv->dialog)
		cv->dialog->dialog->be->cancel(cv->dialog);
}

static void filler_op(bool on, void *arg)
{
	struct convo *cv = arg;

	playout_filler(cv->playout,
		       on ? cv->worker->shared->prompts->filler : NULL);
	convo_touch(cv);
}

static void stop_speaking_op(void *arg)
{
	struct convo *cv = arg;

	list_flush(&cv->speechl);
	playout_clear(cv->playout, convo_now_ms(cv));
}

static void hold_op(void *arg)
{
	struct convo *cv = arg;

	playout_hold(cv->playout, convo_now_ms(cv));
}

static void resume_op(void *arg)
{
	struct convo *cv = arg;

	playout_resume(cv->playout, convo_now_ms(cv));
	convo_touch(cv);
}

static void heard_op(uint32_t utterance, struct call_heard *h, void *arg)
{
	const struct convo *cv = arg;
	struct playout_heard ph;

	playout_heard(cv->playout, utterance, &ph, convo_now_ms(cv));
	*h = (struct call_heard){
		.ms = ph.ms,
		.total_ms = ph.total_ms,
		.timed = ph.timed,
		.text = ph.text,
	};
}

/* ------------------------------------------------- what concerns the call */

static void unsent_op(const char *text, enum call_unsent why, void *arg)
{
	const struct convo *cv = arg;

	metrics_inc(M_UNSENT);
	log_info(cv->call_id, "said, not sent", "why=\"%s\" text=\"%s\"",
		 call_unsent_name(why),
		 log_transcripts() ? LOG_STR(text) : "");
}

/* Bounded, since a dialog manager may make up names for ever */
static void set_var(struct convo *cv, const char *name, const char *value)
{
	if (!cv->vars)
		cv->vars = json_object();
	if (!str_isset(name) || strlen(name) > VAR_MAX_BYTES ||
	    strlen(value) > VAR_MAX_BYTES ||
	    (json_object_size(cv->vars) >= VARS_MAX &&
	     !json_object_get(cv->vars, name)) ||
	    json_object_set_new(cv->vars, name, json_string(value)))
		log_warn(cv->call_id, "variable not set", NULL);
}

static void record(struct convo *cv, bool on)
{
	const char *dir = cv->worker->shared->conf->data_dir;
	int err;

	if (!on) {
		cv->recorder = recorder_close(cv->recorder);
		return;
	}
	if (cv->recorder)
		return;

	err = *dir ? recorder_alloc(&cv->recorder, cv->worker->net.loop, dir,
				    cv->call_id)
		   : ENOTDIR;
	if (err) {
		metrics_inc(M_RECORDINGS_FAILED);
		log_warn(cv->call_id, "call not recorded", "err=\"%s\"%s",
			 strerror(err), *dir ? "" : " hint=\"set DATA_DIR\"");
		return;
	}

	metrics_inc(M_RECORDINGS);
	log_info(cv->call_id, "call recorded", NULL);
}

static void act_op(const struct dialog_act *act, void *arg)
{
	struct convo *cv = arg;
	const char *text = act->text ? act->text : "";

	switch (act->type) {
	case DIALOG_RECORD:
		record(cv, act->on);
		break;
	case DIALOG_TRANSFER:
		log_info(cv->call_id, "transfer asked for",
			 "to=\"%s\" mode=\"%s\"", LOG_STR(text),
			 LOG_STR(str_isset(act->name) ? act->name : "blind"));
		break;
	case DIALOG_NOTE:
		log_info(cv->call_id, "note", "text=\"%s\"", LOG_STR(text));
		break;
	case DIALOG_SET:
		set_var(cv, act->name, text);
		break;
	default:
		break;
	}
}

static void hang_up_op(enum call_end end, void *arg)
{
	struct convo *cv = arg;
	int code = end == CALL_END_SHUTDOWN ? WS_GOING_AWAY : WS_NORMAL;

	/* We are inside the conversation: let go of things at the end of the
	 * turn, by the close handler at the latest */
	convo_record_end(cv, end);
	ws_close(cv->ws, code, call_end_name(end));
}

const struct call_ops talk_call_ops = {
	.turn = turn_op,
	.cancel_turn = cancel_turn_op,
	.say = speech_say_op,
	.play = speech_play_op,
	.prompt = speech_prompt_op,
	.pause = speech_pause_op,
	.filler = filler_op,
	.stop_speaking = stop_speaking_op,
	.hold = hold_op,
	.resume = resume_op,
	.heard = heard_op,
	.unsent = unsent_op,
	.act = act_op,
	.hang_up = hang_up_op,
};

/* ------------------------------------------------------ dialog manager */

static void dialog_open_handler(int err, const char *conversation, void *arg)
{
	struct convo *cv = arg;

	if (err)
		log_warn(cv->call_id, "dialog manager not reached",
			 "err=\"%s\"", strerror(err));
	else
		log_info(cv->call_id, "dialog open", "conversation=\"%s\"",
			 LOG_STR(conversation));

	/* The recogniser files what it hears under the same id; when there is
	 * none, the call's own will do */
	str_copy(cv->conversation, sizeof(cv->conversation),
		 err ? "" : conversation);
	if (!cv->asr)
		convo_open_asr(cv);
	call_dialog_open(cv->call, err, convo_now_ms(cv));
	convo_touch(cv);
}

static void dialog_act_handler(const struct dialog_act *act, void *arg)
{
	struct convo *cv = arg;

	if (log_transcripts() && str_isset(act->text) &&
	    (act->type == DIALOG_SAY || act->type == DIALOG_PLAY))
		log_info(cv->call_id, "answer", "ms=%u text=\"%s\"",
			 convo_since_ms(cv->turn_us), LOG_STR(act->text));
	call_act(cv->call, act, convo_now_ms(cv));
	convo_touch(cv);
}

static void dialog_done_handler(int err, void *arg)
{
	struct convo *cv = arg;

	if (!err)
		metrics_latency(M_DIALOG, clk_now_us() - cv->turn_us);
	call_done(cv->call, err, convo_now_ms(cv));
	convo_touch(cv);
}

const struct dialog_handlers talk_dialog_handlers = {
	.openh = dialog_open_handler,
	.acth = dialog_act_handler,
	.doneh = dialog_done_handler,
};

/* ------------------------------------------------------------- playout */

static int send_message(struct convo *cv, size_t n)
{
	return cv->ws ? ws_send_text(cv->ws,
				     cv->worker->message + WS_PRE_BYTES, n)
		      : ENOTCONN;
}

static int media_op(const uint8_t *ulawv, size_t n, void *arg)
{
	struct convo *cv = arg;
	size_t len = cv->carrier->print_media(
		cv->worker->message + WS_PRE_BYTES, cv->stream_id, ulawv, n);
	int err = send_message(cv, len);

	if (err)
		return err;

	vad_played(cv->vad, ulawv, n, convo_now_ms(cv));
	if (cv->recorder)
		recorder_bot(cv->recorder, ulawv, n);

	return 0;
}

static int mark_op(const char *name, void *arg)
{
	struct convo *cv = arg;

	return send_message(
		cv, cv->carrier->print_mark(cv->worker->message + WS_PRE_BYTES,
					    cv->stream_id, name));
}

static int clear_op(void *arg)
{
	struct convo *cv = arg;
	int err = send_message(cv, cv->carrier->print_clear(
					   cv->worker->message + WS_PRE_BYTES,
					   cv->stream_id));

	if (err)
		return err;

	vad_cleared(cv->vad, convo_now_ms(cv));
	if (cv->recorder)
		recorder_clear(cv->recorder);

	return 0;
}

static void started_op(uint32_t utterance, uint64_t at_ms, void *arg)
{
	struct convo *cv = arg;

	if (cv->answering && cv->speech_end_us) {
		metrics_latency(M_ANSWER, clk_now_us() - cv->speech_end_us);
		log_info(cv->call_id, "answering", "ms=%u",
			 convo_since_ms(cv->speech_end_us));
	}
	cv->answering = false;
	speech_started(cv, utterance);
	call_started(cv->call, utterance, at_ms);
}

static void finished_op(uint32_t utterance, bool heard, void *arg)
{
	struct convo *cv = arg;

	speech_forget(cv, utterance);
	call_finished(cv->call, utterance, heard, convo_now_ms(cv));
	convo_touch(cv);
}

const struct playout_ops talk_playout_ops = {
	.media = media_op,
	.mark = mark_op,
	.clear = clear_op,
	.started = started_op,
	.finished = finished_op,
};

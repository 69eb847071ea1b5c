/**
 * @file world.c  The server's part: carries out what the conversation decides
 *
 * Stands where src/server/convo.c and talk.c stand, and does as they do: at
 * the end of each turn of the loop the conversation and playout are ticked;
 * after a hang-up nothing is ticked any more, and when the socket has closed
 * all that works for the call is let go.
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include "sim.h"

/* ------------------------------------------------------------- operations */

static int turn_op(const struct dialog_turn *t, void *arg)
{
	struct sim *s = arg;
	int err;

	rules_turn(s, t);
	err = manager_turn(s, t);
	rules_turn_taken(s, t, err);

	return err;
}

static void cancel_turn_op(void *arg)
{
	struct sim *s = arg;

	rules_cancel(s);
	manager_cancel(s);
}

static int say_op(uint32_t utterance, const struct call_sound *snd, void *arg)
{
	rules_utterance(arg, utterance, KIND_SAY, snd->text, snd->url);

	return rules_asked(arg, utterance, speech_say_op(utterance, snd, arg));
}

static int play_op(uint32_t utterance, const struct call_sound *snd, void *arg)
{
	rules_utterance(arg, utterance, KIND_PLAY, snd->text, snd->url);

	return rules_asked(arg, utterance,
			   speech_play_op(utterance, snd, arg));
}

static int prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg)
{
	rules_utterance(arg, utterance, KIND_PROMPT, "", "");
	rules_prompt(arg, utterance, prompt);

	return rules_asked(arg, utterance,
			   speech_prompt_op(utterance, prompt, first, arg));
}

static int pause_op(uint32_t utterance, uint32_t ms, void *arg)
{
	rules_utterance(arg, utterance, KIND_PAUSE, "", "");

	return rules_asked(arg, utterance,
			   speech_pause_op(utterance, ms, arg));
}

static void filler_op(bool on, void *arg)
{
	struct sim *s = arg;

	rules_filler(s, on);
	playout_filler(s->playout, on ? s->filler : NULL);
	world_touch(s);
}

static void stop_speaking_op(void *arg)
{
	struct sim *s = arg;

	rules_stop_speaking(s);
	list_flush(&s->speechl);
	playout_clear(s->playout, s->now_ms);
}

static void hold_op(void *arg)
{
	struct sim *s = arg;

	rules_hold(s);
	playout_hold(s->playout, s->now_ms);
}

static void resume_op(void *arg)
{
	struct sim *s = arg;

	rules_resume(s);
	playout_resume(s->playout, s->now_ms);
	world_touch(s);
}

static void heard_op(uint32_t utterance, struct call_heard *h, void *arg)
{
	struct sim *s = arg;
	struct playout_heard ph;

	playout_heard(s->playout, utterance, &ph, s->now_ms);
	h->ms = ph.ms;
	h->total_ms = ph.total_ms;
	h->timed = ph.timed;
	h->text = ph.text;
	rules_heard(s, utterance, h);
}

static void unsent_op(const char *text, enum call_unsent why, void *arg)
{
	rules_unsent(arg, text, why);
}

static void act_op(const struct dialog_act *act, void *arg)
{
	rules_act(arg, act);
}

static void close_event(struct sim *s, uint64_t n, void *data)
{
	(void)n;
	(void)data;
	world_close(s);
}

static void end(struct sim *s)
{
	if (s->phase != PHASE_UP)
		return;

	s->phase = PHASE_ENDED;
	queue_push(s, chance_below(s, 200), close_event, 0, NULL);
}

static void hang_up_op(enum call_end why, void *arg)
{
	struct sim *s = arg;

	rules_hang_up(s, why);
	end(s);
}

const struct call_ops world_call_ops = {
	.turn = turn_op,
	.cancel_turn = cancel_turn_op,
	.say = say_op,
	.play = play_op,
	.prompt = prompt_op,
	.pause = pause_op,
	.filler = filler_op,
	.stop_speaking = stop_speaking_op,
	.hold = hold_op,
	.resume = resume_op,
	.heard = heard_op,
	.unsent = unsent_op,
	.act = act_op,
	.hang_up = hang_up_op,
};

/* --------------------------------------------------------------- playout */

static int media_op(const uint8_t *ulawv, size_t n, void *arg)
{
	struct sim *s = arg;
	return s->phase == PHASE_UP ? carrier_media(s, ulawv, n) : ENOTCONN;
}

static int mark_op(const char *name, void *arg)
{
	struct sim *s = arg;

	return s->phase == PHASE_UP ? carrier_mark(s, name) : ENOTCONN;
}

static int clear_op(void *arg)
{
	struct sim *s = arg;

	return s->phase == PHASE_UP ? carrier_clear(s) : ENOTCONN;
}

static void started_op(uint32_t utterance, uint64_t at_ms, void *arg)
{
	struct sim *s = arg;

	trace(s, "playout", "utterance %u starts", utterance);
	rules_started(s, utterance);
	recogniser_hear_bot(s, utterance);
	call_started(s->call, utterance, at_ms);
	caller_hears(s);
}

static void finished_op(uint32_t utterance, bool heard, void *arg)
{
	struct sim *s = arg;

	trace(s, "playout", "utterance %u is over%s", utterance,
	      heard ? "" : ", not heard");
	rules_finished(s, utterance, heard);
	speech_forget(s, utterance);
	call_finished(s->call, utterance, heard, s->now_ms);
	world_touch(s);
}

const struct playout_ops world_playout_ops = {
	.media = media_op,
	.mark = mark_op,
	.clear = clear_op,
	.started = started_op,
	.finished = finished_op,
};

/* ------------------------------------------------------------------ time */

static void timer_event(struct sim *s, uint64_t n, void *data)
{
	(void)data;
	if (n == s->timer)
		world_touch(s);
}

void world_touch(struct sim *s)
{
	s->flush_wanted = true;
}

/* A tick that is asked for must do something */
static void check_progress(struct sim *s, uint64_t ops, uint64_t next)
{
	struct watch *w = &s->watch;

	if (next > s->now_ms || ops != w->ops || w->tick_ms != s->now_ms)
		w->idle_ticks = 0;
	else if (++w->idle_ticks > 8)
		rule_violated(s, RULE_BUSY,
			      "9 ticks at once, none did a thing");
	w->tick_ms = s->now_ms;
}

void world_flush(struct sim *s)
{
	uint64_t ops = s->watch.ops;
	uint64_t next, at;

	s->flush_wanted = false;
	if (s->phase != PHASE_UP)
		return;

	call_tick(s->call, s->now_ms);
	if (s->phase != PHASE_UP)
		return;

	at = playout_tick(s->playout, s->now_ms);
	next = call_next_ms(s->call);
	next = MIN(next, at);
	if (s->restless)
		next = s->now_ms;
	check_progress(s, ops, next);
	if (next == UINT64_MAX)
		++s->timer;
	else
		queue_push(s, next - MIN(next, s->now_ms), timer_event,
			   ++s->timer, NULL);
}

/* ------------------------------------------------------------ start, end */

int world_start(struct sim *s)
{
	int err = clip_whole(&s->filler, TOKEN_FILLER, 400);

	s->ops = world_call_ops;
	s->playout_ops = world_playout_ops;
	breaks_apply(s);

	if (!err)
		err = playout_alloc(&s->playout, &s->playout_ops,
				    s->plan.lead_ms, s);
	if (!err)
		err = call_alloc(&s->call, &s->plan.prm, &s->ops, s,
				 s->now_ms);
	world_touch(s);

	return err;
}

/* In the middle of what */
static enum sim_count state_of(const struct sim *s)
{
	const struct watch *w = &s->watch;

	if (w->closing_ms)
		return COUNT_LEFT_ENDING;
	if (!w->opened)
		return COUNT_LEFT_OPENING;
	if (w->held)
		return COUNT_LEFT_HELD;
	if (carrier_is_sounding(s))
		return COUNT_LEFT_SPEAKING;
	if (w->key_ms && s->now_ms < w->key_ms + 500)
		return COUNT_LEFT_KEYING;

	return w->in_flight ? COUNT_LEFT_THINKING : COUNT_LEFT_LISTENING;
}

void world_stop(struct sim *s, enum call_end why)
{
	if (s->phase != PHASE_UP)
		return;

	sim_count(s, state_of(s));

	trace(s, "server", "stop: %s", call_end_name(why));
	s->watch.stopped = true;
	s->watch.end = why;
	call_stop(s->call, why);
	end(s);
}

void world_close(struct sim *s)
{
	trace(s, "server", "socket closed");
	s->phase = PHASE_CLOSED;
	call_stop(s->call, CALL_END_CALLER);
	s->watch.stopped = true;
	manager_cancel(s);
	list_flush(&s->speechl);
	s->playout = mem_deref(s->playout);
}

/* ---------------------------------------------------------------- events */

void world_result(struct sim *s, const struct asr_result *res)
{
	trace(s, "recogniser", "%s%s: %.60s", res->final ? "final" : "interim",
	      res->rejected ? ", rejected" : "", res->text);
	rules_given(s, res);
	call_result(s->call, res, s->now_ms);
	world_touch(s);
}

void world_asr_state(struct sim *s, enum asr_state state)
{
	trace(s, "recogniser", "state %d", (int)state);
	call_asr_state(s->call, state, s->now_ms);
	world_touch(s);
}

void world_speech(struct sim *s, bool speaking)
{
	if (s->phase != PHASE_UP)
		return;

	trace(s, "caller", "%s", speaking ? "makes a sound" : "is silent");
	rules_speech(s, speaking);
	secrecy_speech(s);
	call_speech(s->call, speaking, s->now_ms);
	world_touch(s);
}

void world_echo(struct sim *s)
{
	if (s->phase != PHASE_UP)
		return;

	rules_echo(s);
	if (s->broken != RULE_ECHO)
		call_echo(s->call, s->now_ms);
}

void world_key(struct sim *s, char key)
{
	if (s->phase != PHASE_UP)
		return;

	trace(s, "caller", "presses %c", key);
	rules_key(s, key);
	call_dtmf(s->call, key, s->now_ms);
	world_touch(s);
}

void world_open(struct sim *s, int err)
{
	if (s->phase == PHASE_CLOSED)
		return;

	trace(s, "manager", "open: %s", err ? strerror(err) : "yes");
	s->watch.opened = true;
	call_dialog_open(s->call, err, s->now_ms);
	world_touch(s);
}

void world_act(struct sim *s, const struct dialog_act *act, uint32_t note)
{
	static const char *const namev[] = {
		"say",    "play",   "pause",   "collect", "transfer",
		"hangup", "record", "silence", "set",     "note",
	};

	if (s->phase == PHASE_CLOSED)
		return;

	trace(s, "manager", "act %s%s: %.60s", namev[act->type],
	      act->uninterruptible ? ", protected" : "",
	      act->text ? act->text : "");
	rules_acted(s, act, note);
	call_act(s->call, act, s->now_ms);
	world_touch(s);
}

void world_done(struct sim *s, int err)
{
	if (s->phase == PHASE_CLOSED)
		return;

	trace(s, "manager", "done: %s", err ? strerror(err) : "well");
	rules_done(s, err);
	call_done(s->call, err, s->now_ms);
	world_touch(s);
}

void world_mark(struct sim *s, const char *name)
{
	if (s->phase == PHASE_CLOSED)
		return;

	trace(s, "carrier", "mark %s", name);
	playout_mark(s->playout, name, s->now_ms);
	world_touch(s);
}

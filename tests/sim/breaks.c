/**
 * @file breaks.c  Breaks a rule on purpose: the test of the test
 *
 * For each rule one operation is done wrong, as a bug would do it: left out,
 * done twice, done too early, told otherwise. The honest operation is that of
 * world.c.
 */
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "sim.h"

static const struct call_ops *const honest = &world_call_ops;
static const struct playout_ops *const player = &world_playout_ops;

static bool is_up(const struct sim *s)
{
	return s->phase == PHASE_UP && !s->watch.stopped;
}

/* -------------------------------------------------------------- requests */

static int turn_twice(const struct dialog_turn *t, void *arg)
{
	(void)honest->turn(t, arg);

	return honest->turn(t, arg);
}

static int turn_swallowed(const struct dialog_turn *t, void *arg)
{
	return t->kind == DIALOG_SPEECH ? 0 : honest->turn(t, arg);
}

static int turn_without_last_word(const struct dialog_turn *t, void *arg)
{
	char text[DIALOG_TEXT_MAX];
	struct dialog_turn turn = *t;
	char *blank;

	str_copy(text, sizeof(text), t->text);
	blank = strrchr(text, ' ');
	if (blank)
		*blank = '\0';
	turn.text = text;

	return honest->turn(&turn, arg);
}

static void unsent_unmasked(const char *text, enum call_unsent why, void *arg)
{
	honest->unsent(strcmp(text, "***") ? text : "789", why, arg);
}

/* ---------------------------------------------------------------- speech */

static void heard_more(uint32_t utterance, struct call_heard *h, void *arg)
{
	struct playout_heard ph;
	struct sim *s = arg;

	playout_heard(s->playout, utterance, &ph, s->now_ms);
	h->ms = ph.ms + 300;
	rules_heard(s, utterance, h);
}

static int say_twice(uint32_t utterance, const struct call_sound *snd,
		     void *arg)
{
	(void)honest->say(utterance, snd, arg);

	return honest->say(utterance, snd, arg);
}

static void finished_event(struct sim *s, uint64_t utterance, void *data)
{
	(void)data;
	if (s->phase != PHASE_CLOSED)
		call_finished(s->call, (uint32_t)utterance, true, s->now_ms);
	world_touch(s);
}

static int say_nothing(uint32_t utterance, const struct call_sound *snd,
		       void *arg)
{
	(void)snd;
	queue_push(arg, 100, finished_event, utterance, NULL);

	return 0;
}

static int wait_in_silence(uint32_t utterance, enum call_prompt prompt,
			   bool first, void *arg)
{
	return prompt == CALL_PROMPT_WAIT
		       ? 0
		       : honest->prompt(utterance, prompt, first, arg);
}

static int goodbye_too_short(uint32_t utterance, enum call_prompt prompt,
			     bool first, void *arg)
{
	int err = honest->prompt(utterance, prompt, first, arg);

	if (prompt == CALL_PROMPT_CLOSING)
		honest->hang_up(CALL_END_BOT, arg);

	return err;
}

static void filler_for_ever(bool on, void *arg)
{
	struct sim *s = arg;

	honest->filler(on, arg);
	playout_filler(s->playout, s->filler);
}

/* ------------------------------------------------------------- the floor */

static void resume_swallowed(void *arg)
{
	(void)arg;
}

static void resume_instead(void *arg)
{
	const struct sim *s = arg;

	if (s->watch.held)
		honest->resume(arg);
	else
		honest->stop_speaking(arg);
}

static void hold_protected(uint32_t utterance, uint64_t at_ms, void *arg)
{
	struct sim *s = arg;

	player->started(utterance, at_ms, arg);
	if (rules_note(s, utterance)->protect && is_up(s))
		rules_hold(s);
}

static void hold_at_once(uint32_t utterance, uint64_t at_ms, void *arg)
{
	struct sim *s = arg;

	player->started(utterance, at_ms, arg);
	if (s->plan.prm.barge_in == CALL_BARGE_OFF && is_up(s))
		rules_hold(s);
}

/* --------------------------------------------------------------- playout */

static int media_twice(const uint8_t *ulawv, size_t n, void *arg)
{
	int err = player->media(ulawv, n, arg);

	if (!err)
		(void)player->media(ulawv, n, arg);

	return err;
}

static void stop_late(void *arg)
{
	struct sim *s = arg;
	struct frame f = {0};

	honest->stop_speaking(arg);
	for (uint32_t i = s->watch.last; i && !f.token; i--) {
		if (s->watch.utterancev[i].state == UTT_ABANDONED)
			f.token = s->watch.utterancev[i].token;
	}
	if (f.token)
		rules_frame(s, &f);
}

static int clear_swallowed(void *arg)
{
	(void)arg;

	return 0;
}

static void finished_heard(uint32_t utterance, bool heard, void *arg)
{
	(void)heard;
	player->finished(utterance, true, arg);
}

static void finished_unheard(uint32_t utterance, bool heard, void *arg)
{
	struct sim *s = arg;

	(void)heard;
	rules_note(s, utterance)->sent_ms = 0;
	player->finished(utterance, false, arg);
}

static void finished_swallowed(uint32_t utterance, bool heard, void *arg)
{
	if (!heard)
		player->finished(utterance, heard, arg);
}

/* --------------------------------------------------------------- the end */

static void hang_up_twice(enum call_end end, void *arg)
{
	honest->hang_up(end, arg);
	honest->hang_up(end, arg);
}

static void hang_up_and_go_on(enum call_end end, void *arg)
{
	honest->hang_up(end, arg);
	honest->stop_speaking(arg);
}

static void hang_up_swallowed(enum call_end end, void *arg)
{
	(void)end;
	(void)arg;
}

static void hang_up_and_keep(enum call_end end, void *arg)
{
	struct sim *s = arg;

	s->kept = mem_zalloc(1, NULL);
	honest->hang_up(end, arg);
}

/* ----------------------------------------------------------------- table */

void breaks_apply(struct sim *s)
{
	struct call_ops *c = &s->ops;
	struct playout_ops *p = &s->playout_ops;

	switch (s->broken) {
	case RULE_ONE_REQUEST:
		c->turn = turn_twice;
		break;
	case RULE_STALE_AUDIO:
		c->stop_speaking = stop_late;
		break;
	case RULE_STALE_LINE:
		p->clear = clear_swallowed;
		break;
	case RULE_FILLER:
		c->filler = filler_for_ever;
		break;
	case RULE_LEAD:
		p->media = media_twice;
		break;
	case RULE_HEARD:
		p->finished = finished_heard;
		break;
	case RULE_HEARD_MS:
		c->heard = heard_more;
		break;
	case RULE_ACCOUNTED:
		c->turn = turn_without_last_word;
		break;
	case RULE_LATE:
		c->turn = turn_swallowed;
		break;
	case RULE_SENSITIVE:
		c->unsent = unsent_unmasked;
		break;
	case RULE_SECRECY:
		s->forgetful = true;
		break;
	case RULE_SILENCE:
		c->prompt = wait_in_silence;
		break;
	case RULE_ACTS_SAID:
		c->say = say_nothing;
		break;
	case RULE_UNFINISHED:
		p->finished = finished_swallowed;
		break;
	case RULE_SOUNDLESS:
		p->finished = finished_unheard;
		break;
	case RULE_NUMBERS:
		c->say = say_twice;
		break;
	case RULE_PROTECTED:
		p->started = hold_protected;
		break;
	case RULE_BARGE_MODE:
		p->started = hold_at_once;
		break;
	case RULE_HOLD:
		c->resume = resume_swallowed;
		break;
	case RULE_FALSE_START:
		c->stop_speaking = resume_instead;
		break;
	case RULE_AFTER_END:
		c->hang_up = hang_up_and_go_on;
		break;
	case RULE_ONE_END:
		c->hang_up = hang_up_twice;
		break;
	case RULE_GOODBYE:
		c->prompt = goodbye_too_short;
		break;
	case RULE_ENDLESS:
		c->hang_up = hang_up_swallowed;
		break;
	case RULE_BUSY:
		s->restless = true;
		break;
	case RULE_MEMORY:
		c->hang_up = hang_up_and_keep;
		break;
	case RULE_ECHO: /* in world_echo() */
	case RULE_NONE:
	case RULES:
		break;
	}
}

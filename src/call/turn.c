/**
 * @file turn.c  From what the caller says or keys in to a turn
 *
 * What is said gathers in `pending` and goes out as one turn when the
 * recogniser's final (or `turn.join_ms` after it) says that the caller is done
 * and no other turn is in flight. Nothing accepted is lost: what is not sent
 * is logged with the reason.
 */
#include <errno.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "call_priv.h"

static bool is_blank(char ch)
{
	return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* Append to what goes into the next turn, words apart */
static int pending_add(struct call *c, const char *text, size_t n)
{
	if (!c->pending) {
		c->pending = mem_zalloc(DIALOG_TEXT_MAX, NULL);
		if (!c->pending)
			return ENOMEM;
	}

	if (c->pendingc + n + 2 > DIALOG_TEXT_MAX)
		return EOVERFLOW;

	if (c->pendingc)
		c->pending[c->pendingc++] = ' ';
	memcpy(c->pending + c->pendingc, text, n);
	c->pendingc += n;
	c->pending[c->pendingc] = '\0';

	return 0;
}

static void send_turn(struct call *c, bool opening, uint64_t now_ms)
{
	struct dialog_turn t = {
		.text = opening || !c->pendingc ? "" : c->pending,
		.language = c->language,
		.kind = opening             ? DIALOG_OPENING
			: !c->pendingc      ? DIALOG_NOISE
			: c->pending_spoken ? DIALOG_SPEECH
					    : DIALOG_KEYS,
		.interrupted = c->interrupted,
		.heard_ms = c->heard_ms,
		.heard = "",
	};
	int err;

	c->decide_ms = NEVER;
	c->thinking = true;
	c->quiet_ms = now_ms;
	metrics_inc(M_TURNS);

	err = c->ops->turn(&t, c->arg);
	if (!opening) {
		c->pendingc = 0;
		c->pending_spoken = c->pending_noise = false;
	}
	c->interrupted = false;
	c->heard_ms = 0;

	if (err)
		call_done(c, err, now_ms);
}

static bool has_pending(const struct call *c)
{
	return c->pendingc || c->pending_noise;
}

void turn_decide(struct call *c, uint64_t now_ms)
{
	if (c->ready && !c->thinking && !c->ending && !c->ended &&
	    has_pending(c) && now_ms >= c->decide_ms)
		send_turn(c, false, now_ms);
}

/* Something was said: it stops the bot, and becomes a turn */
static void accept(struct call *c, const char *text, size_t n, bool spoken,
		   uint64_t now_ms)
{
	int err;

	if (c->ending || c->ended) {
		log_info(c->id, "said, not sent", "why=\"call is ending\"");
		return;
	}

	err = n ? pending_add(c, text, n) : 0;
	if (err) {
		log_warn(c->id, "said, not sent", "why=\"%s\"", strerror(err));
		return;
	}

	/* A key pressed along makes it no less spoken: that is a hint to the
	 * dialog manager that it may be misheard */
	c->pending_spoken |= spoken;
	if (!c->thinking)
		reply_interrupt(c, now_ms);

	c->decide_ms = now_ms + c->prm.join_ms;
	turn_decide(c, now_ms);
}

/* ---------------------------------------------------------- recogniser */

static void heard_something(struct call *c)
{
	c->unheard_since_ms = 0;
	c->unheard_sum_ms = 0;
}

void call_result(struct call *c, const struct asr_result *res, uint64_t now_ms)
{
	const char *text = res->text;
	size_t n = strlen(text);

	if (c->ended)
		return;

	heard_something(c);
	if (!res->final)
		return;

	while (n && is_blank(*text)) {
		++text;
		--n;
	}
	while (n && is_blank(text[n - 1]))
		--n;

	if (res->rejected && !n) {
		/* noise while the bot speaks or thinks is nobody's business */
		if (c->thinking || c->utterancec || c->pendingc)
			return;
		c->pending_noise = true;
	} else if (!n) {
		return;
	}

	accept(c, text, n, true, now_ms);
}

void call_asr_state(struct call *c, enum asr_state state, uint64_t now_ms)
{
	if (c->ended)
		return;

	switch (state) {
	case ASR_UP:
		c->deaf_ms = NEVER;
		c->deaf_told = false;
		break;
	case ASR_BROKEN:
		if (c->deaf_ms == NEVER && !c->deaf_told)
			c->deaf_ms = now_ms + CALL_DEAF_AFTER_MS;
		break;
	case ASR_DOWN:
		if (!c->deaf_told)
			reply_apologise(c, now_ms);
		c->deaf_ms = NEVER;
		c->deaf_told = true;
		break;
	default:
		break;
	}
}

void call_speech(struct call *c, bool speaking, uint64_t now_ms)
{
	if (speaking && !c->speaking) {
		c->speech_ms = now_ms;
		if (!c->unheard_since_ms)
			c->unheard_since_ms = now_ms;
	} else if (!speaking && c->speaking && c->unheard_since_ms) {
		c->unheard_sum_ms += now_ms - c->speech_ms;
	}

	c->speaking = speaking;
}

/* Music and noise are no speech to a recogniser either: only much of it, and
 * no word for long, means that the recogniser hangs. Its session tries another
 * stream by itself; the caller wants to know that nobody heard. */
static void check_unheard(struct call *c, uint64_t now_ms)
{
	if (!c->unheard_since_ms ||
	    now_ms < c->unheard_since_ms + CALL_UNHEARD_AFTER_MS)
		return;

	if (c->unheard_sum_ms >= CALL_UNHEARD_MS) {
		log_warn(c->id, "recogniser gives no result", "speech_ms=%u",
			 (unsigned)c->unheard_sum_ms);
		reply_apologise(c, now_ms);
	}
	heard_something(c);
}

/* ---------------------------------------------------------------- keys */

static void digits_done(struct call *c, uint64_t now_ms)
{
	size_t n = c->digitc;

	c->digitc = 0;
	c->digits_ms = NEVER;
	if (n)
		accept(c, c->digitv, n, false, now_ms);
}

void call_dtmf(struct call *c, char digit, uint64_t now_ms)
{
	if (c->ended)
		return;

	if (digit == '#' && c->digitc) {
		digits_done(c, now_ms);
		return;
	}

	c->digitv[c->digitc++] = digit;
	c->digits_ms = now_ms + CALL_DTMF_PAUSE_MS;
	if (c->digitc == CALL_DTMF_MAX || digit == '#')
		digits_done(c, now_ms);
}

/* ------------------------------------------------------ dialog manager */

void call_dialog_open(struct call *c, int err, uint64_t now_ms)
{
	if (c->ended || c->ready)
		return;

	c->ready = true;
	if (err) {
		metrics_inc(M_TURNS_FAILED);
		reply_apologise(c, now_ms);
	} else if (c->prm.opens && !has_pending(c)) {
		send_turn(c, true, now_ms);
		return;
	}

	turn_decide(c, now_ms);
}

void call_done(struct call *c, int err, uint64_t now_ms)
{
	if (c->ended || !c->thinking)
		return;

	c->thinking = false;
	if (err) {
		metrics_inc(M_TURNS_FAILED);
		log_warn(c->id, "turn failed", "err=\"%s\"", strerror(err));
		reply_apologise(c, now_ms);
	}

	turn_decide(c, now_ms);
}

/* ---------------------------------------------------------------- time */

uint64_t turn_next_ms(const struct call *c)
{
	uint64_t next = MIN(c->digits_ms, c->deaf_ms);

	if (c->ready && !c->thinking && !c->ending && has_pending(c))
		next = MIN(next, c->decide_ms);
	if (c->unheard_since_ms)
		next = MIN(next, c->unheard_since_ms + CALL_UNHEARD_AFTER_MS);

	return next;
}

void turn_tick(struct call *c, uint64_t now_ms)
{
	if (now_ms >= c->digits_ms)
		digits_done(c, now_ms);

	if (now_ms >= c->deaf_ms) {
		c->deaf_ms = NEVER;
		c->deaf_told = true;
		reply_apologise(c, now_ms);
	}

	check_unheard(c, now_ms);
	turn_decide(c, now_ms);
}

/**
 * @file caller.c  The person at the phone: follows a script, notes it all
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "caller.h"

struct caller {
	struct list *stepl;
	struct caller_param prm;
	caller_h *h;
	void *arg;

	uint64_t now; /* ms, end of the last frame */
	const struct step *step;
	uint64_t step_at; /* when it became the current one */
	bool done;

	/* saying */
	const struct step *saying;
	size_t pos;
	size_t speech;   /* samples of it up to the end of the last word */
	const char *key; /* next one to press */
	uint64_t key_at;

	/* the caller's voice */
	int level;
	uint64_t asked_at; /* end of what an answer is owed to */
	bool owed;
	bool greeting; /* what is owed is the greeting */
	const char *asked;

	uint64_t onset; /* of what was said or keyed in last */

	/* the bot's */
	uint64_t cleared; /* first time since then, 0: never */
	int bot_level;
	bool speaking;
	uint64_t bot_from, bot_to; /* first and end of last audible frame */

	uint32_t waitv[CALLER_ANSWERS_MAX];
	struct caller_stats stats;
};

int pcm_level(const int16_t *pcmv, size_t n)
{
	double sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += (double)pcmv[i] * pcmv[i];
	if (!n || sum < 1)
		return -100;

	sum = 10 * log10(sum / (double)n / (32768.0 * 32768.0));

	return sum < -100 ? -100 : (int)lrint(sum);
}

static void emit(struct caller *c, struct caller_event ev)
{
	ev.at_ms = c->now;
	c->h(&ev, c->arg);
}

int caller_alloc(struct caller **cp, struct list *stepl,
		 const struct caller_param *prm, caller_h *h, void *arg)
{
	struct caller *c;

	if (!cp || !stepl || !prm || !h)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), NULL);
	if (!c)
		return ENOMEM;

	c->stepl = stepl;
	c->prm = *prm;
	c->h = h;
	c->arg = arg;
	c->step = list_ledata(stepl->head);
	c->owed = c->greeting = !prm->mic;
	c->level = c->bot_level = -100;
	*cp = c;

	return 0;
}

/* ---------------------------------------------------------------- steps */

static void next_step(struct caller *c)
{
	c->step = list_ledata(c->step->le.next);
	c->step_at = c->now;
}

static void expected(struct caller *c, bool ok, const char *why)
{
	++c->stats.expected;
	c->stats.failed += !ok;
	emit(c, (struct caller_event){.type = CALLER_EXPECTED,
				      .name = step_name(c->step->type),
				      .line = c->step->line,
				      .text = why,
				      .ok = ok});
	next_step(c);
}

static void hang_up(struct caller *c)
{
	c->done = true;
	emit(c, (struct caller_event){.type = CALLER_HANGS_UP});
}

/* A file may end in silence, but the caller waits since the last word */
static size_t speech_end(const struct step *s)
{
	size_t n = s->pcmc / FRAME_SAMPLES * FRAME_SAMPLES;

	while (n && pcm_level(s->pcmv + n - FRAME_SAMPLES, FRAME_SAMPLES) <
			    CALLER_SPEECH_DB)
		n -= FRAME_SAMPLES;

	return n ? n : s->pcmc;
}

static size_t speech_begin(const struct step *s)
{
	size_t n = 0;

	while (n + FRAME_SAMPLES <= s->pcmc &&
	       pcm_level(s->pcmv + n, FRAME_SAMPLES) < CALLER_SPEECH_DB)
		n += FRAME_SAMPLES;

	return n;
}

static void ask(struct caller *c, const char *what, uint64_t at)
{
	c->owed = true;
	c->greeting = false;
	c->asked = what;
	c->asked_at = at;
}

static void begin_saying(struct caller *c)
{
	const struct step *s = c->step;

	c->saying = s;
	c->pos = 0;
	c->speech = speech_end(s);
	c->owed = false;
	c->onset = c->now + speech_begin(s) / AUDIO_PER_MS;
	emit(c,
	     (struct caller_event){.type = CALLER_SAYS,
				   .name = s->arg,
				   .text = s->text,
				   .line = s->line,
				   .ms = (uint32_t)(s->pcmc / AUDIO_PER_MS)});
	next_step(c);
}

static uint64_t since(const struct caller *c, uint64_t t)
{
	return c->now - t;
}

/* Is it the caller's turn? Answers that never come end here */
static bool may_speak(struct caller *c)
{
	uint32_t limit = c->greeting ? c->prm.greeting_ms : c->prm.answer_ms;

	if (c->owed && since(c, c->asked_at) >= limit) {
		c->owed = false;
		if (!c->greeting) {
			++c->stats.unanswered;
			emit(c,
			     (struct caller_event){.type = CALLER_UNANSWERED,
						   .name = c->asked});
		}
	}

	return !c->owed && !c->speaking &&
	       since(c, c->bot_to) >= c->prm.gap_ms;
}

static void press_step(struct caller *c)
{
	if (!c->key) {
		if (c->step->polite && !may_speak(c))
			return;
		c->key = c->step->arg;
		c->onset = c->now;
		c->key_at = c->now;
	}
	if (c->now < c->key_at)
		return;

	emit(c,
	     (struct caller_event){.type = CALLER_PRESSES, .digit = *c->key});
	c->key_at = c->now + CALLER_KEY_MS;
	if (*++c->key)
		return;

	c->key = NULL;
	ask(c, c->step->arg, c->now);
	next_step(c);
}

static void interrupt_step(struct caller *c)
{
	if (c->speaking && since(c, c->bot_from) >= c->step->ms)
		begin_saying(c);
	else if (since(c, c->step_at) >= c->prm.answer_ms + c->step->ms)
		expected(c, false, "the bot did not speak");
}

static void wait_bot_step(struct caller *c)
{
	if (!c->owed && !c->speaking)
		next_step(c);
	else if (c->owed && since(c, c->step_at) >= c->step->ms) {
		c->owed = false;
		expected(c, false, "the bot did not speak");
	}
}

static void expect_silence_step(struct caller *c)
{
	c->owed = false; /* no answer is wanted */
	if (c->bot_to > c->step_at)
		expected(c, false, "the bot was heard");
	else if (since(c, c->step_at) >= c->step->ms)
		expected(c, true, NULL);
}

static void expect_clear_step(struct caller *c)
{
	if (c->cleared >= c->onset && c->cleared <= c->onset + c->step->ms)
		expected(c, true, NULL);
	else if (c->now > c->onset + c->step->ms)
		expected(c, false,
			 c->cleared >= c->onset ? "the bot was cut off later"
						: "the bot was not cut off");
}

/* What the current step does now; several may pass at once */
static void run_step(struct caller *c)
{
	switch (c->step->type) {
	case STEP_SAY:
		if (may_speak(c))
			begin_saying(c);
		break;
	case STEP_INTERRUPT:
		interrupt_step(c);
		break;
	case STEP_PRESS:
		press_step(c);
		break;
	case STEP_WAIT:
		if (since(c, c->step_at) >= c->step->ms)
			next_step(c);
		break;
	case STEP_WAIT_BOT:
		wait_bot_step(c);
		break;
	case STEP_EXPECT_AUDIO:
		if (c->bot_to > c->step_at)
			expected(c, true, NULL);
		else if (since(c, c->step_at) >= c->step->ms)
			expected(c, false, "the bot was not heard");
		break;
	case STEP_EXPECT_SILENCE:
		expect_silence_step(c);
		break;
	case STEP_EXPECT_CLEAR:
		expect_clear_step(c);
		break;
	case STEP_EXPECT_CLOSE:
		if (since(c, c->step_at) >= c->step->ms)
			expected(c, false, "the bot did not hang up");
		break;
	case STEP_HANGUP:
		hang_up(c);
		break;
	}
}

static void run_script(struct caller *c)
{
	const struct step *before;

	do {
		before = c->step;
		if (before)
			run_step(c);
		else if (may_speak(c))
			hang_up(c);
	} while (!c->done && !c->saying && c->step && c->step != before);
}

/* ------------------------------------------------------------ the caller */

static void finish_saying(struct caller *c)
{
	const struct step *s = c->saying;

	c->saying = NULL;
	c->step_at = c->now;
	++c->stats.said;
	emit(c, (struct caller_event){
			.type = CALLER_SAID, .name = s->arg, .text = s->text});
}

void caller_speak(struct caller *c, int16_t *pcmv)
{
	size_t n = 0;

	if (!c->saying && !c->done && !c->prm.mic)
		run_script(c);

	if (c->saying) {
		n = MIN(c->saying->pcmc - c->pos, (size_t)FRAME_SAMPLES);
		memcpy(pcmv, c->saying->pcmv + c->pos, n * sizeof(*pcmv));
		c->pos += n;
	}
	memset(pcmv + n, 0, (FRAME_SAMPLES - n) * sizeof(*pcmv));
	caller_spoke(c, pcmv);
}

void caller_spoke(struct caller *c, const int16_t *pcmv)
{
	c->level = pcm_level(pcmv, FRAME_SAMPLES);
	if (c->level < CALLER_SPEECH_DB)
		return;

	c->stats.caller_ms += FRAME_MS;
	if (c->prm.mic)
		ask(c, "microphone", c->now + FRAME_MS);
}

/* --------------------------------------------------------------- the bot */

static void bot_speaks(struct caller *c)
{
	bool answer = c->owed && !c->greeting;
	uint64_t from = c->now - FRAME_MS;
	uint64_t waited = from - MIN(from, c->asked_at);

	c->speaking = true;
	c->owed = c->greeting = false;
	c->bot_from = from;
	if (answer) {
		if (c->stats.answers < CALLER_ANSWERS_MAX)
			c->waitv[c->stats.answers] = (uint32_t)waited;
		++c->stats.answers;
		c->stats.wait_max_ms = MAX(c->stats.wait_max_ms,
					   (uint32_t)waited);
	}
	emit(c, (struct caller_event){.type = CALLER_BOT_SPEAKS,
				      .ms = (uint32_t)waited,
				      .answer = answer});
}

static void bot_quiet(struct caller *c)
{
	uint32_t ms = (uint32_t)(c->bot_to - c->bot_from);

	c->speaking = false;
	c->stats.bot_ms += ms;
	emit(c, (struct caller_event){.type = CALLER_BOT_QUIET, .ms = ms});
}

void caller_hear(struct caller *c, const int16_t *pcmv, bool busy)
{
	uint64_t silent;

	c->now += FRAME_MS;
	c->bot_level = pcm_level(pcmv, FRAME_SAMPLES);
	if (c->saying && c->speech && c->pos >= c->speech) {
		ask(c, c->saying->arg, c->now);
		c->speech = 0; /* once */
	}
	if (c->saying && c->pos >= c->saying->pcmc)
		finish_saying(c);

	if (c->bot_level >= CALLER_AUDIBLE_DB) {
		c->bot_to = c->now;
		if (!c->speaking)
			bot_speaks(c);
		return;
	}

	silent = since(c, c->bot_to);
	if (c->speaking && (silent >= CALLER_SILENCE_MS ||
			    (silent >= CALLER_PAUSE_MS && !busy)))
		bot_quiet(c);
}

void caller_cleared(struct caller *c)
{
	if (c->cleared < c->onset || !c->cleared)
		c->cleared = c->now;
	if (c->speaking)
		bot_quiet(c);
}

static bool may_be_left_out(const struct caller *c)
{
	switch (c->step->type) {
	case STEP_SAY:
	case STEP_INTERRUPT:
	case STEP_PRESS:
	case STEP_WAIT:
	case STEP_WAIT_BOT:
		return c->prm.may_hang_up;
	default:
		return false;
	}
}

static void leave_out(struct caller *c)
{
	emit(c, (struct caller_event){.type = CALLER_LEFT_OUT,
				      .name = step_name(c->step->type),
				      .line = c->step->line,
				      .text = c->step->arg});
	next_step(c);
}

void caller_bot_hung_up(struct caller *c, uint16_t code)
{
	if (c->done)
		return;

	if (c->speaking)
		bot_quiet(c);
	while (c->step) {
		bool wanted = c->step->type == STEP_EXPECT_CLOSE;

		if (wanted && c->step->code && c->step->code != code)
			expected(c, false, "another close code");
		else if (wanted)
			expected(c, true, NULL);
		else if (c->step->type == STEP_HANGUP)
			next_step(c);
		else if (may_be_left_out(c))
			leave_out(c);
		else
			expected(c, false, "the bot had hung up");
	}
	c->done = true;
}

bool caller_is_done(const struct caller *c)
{
	return c->done;
}

static int compare(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

void caller_stats(const struct caller *c, struct caller_stats *st)
{
	uint32_t sortedv[CALLER_ANSWERS_MAX];
	size_t n = MIN(c->stats.answers, CALLER_ANSWERS_MAX);

	*st = c->stats;
	if (!n)
		return;

	memcpy(sortedv, c->waitv, n * sizeof(*sortedv));
	qsort(sortedv, n, sizeof(*sortedv), compare);
	st->wait_p50_ms = sortedv[(n - 1) / 2];
}

int caller_level(const struct caller *c)
{
	return c->level;
}

int caller_bot_level(const struct caller *c)
{
	return c->bot_level;
}

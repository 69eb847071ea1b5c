/**
 * @file bench_call.c  What the conversation costs: per event, per turn, a call
 *
 * The state machine alone, with operations that do nothing, and beside it a
 * whole simulated line: playout with real clips. Events are those of a call:
 * voice activity and interims come several times a second, a tick after each;
 * a turn is a final, an answer of two sentences, heard to its end. CPU of the
 * thread, medians of several rounds; memory as our allocator was asked for it.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <convod/audio.h>
#include <convod/call.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/playout.h>

enum { ROUNDS = 9, CALLS = 1000 };

/* ----------------------------------------------------------- allocations */

static size_t allocations;

#ifndef __SANITIZE_ADDRESS__ /* which has a malloc of its own */

/* glibc's, under the names by which it can be wrapped */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);

void *malloc(size_t n)
{
	++allocations;

	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	++allocations;

	return __libc_calloc(n, size);
}

#endif

/* -------------------------------------------------------------- the world */

static struct {
	struct call *call;
	struct playout *playout;
	struct clip *clip;
	uint64_t now_ms;
	uint32_t asked[8]; /* utterances whose audio is wanted */
	size_t askedc;
	volatile size_t sink; /* results are used */
} b;

static void die(const char *what)
{
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static int turn_op(const struct dialog_turn *t, void *arg)
{
	(void)arg;
	b.sink += t->heard_ms;

	return 0;
}

static int audio(uint32_t utterance)
{
	if (b.playout)
		return playout_queue(b.playout, b.clip, utterance);

	b.asked[b.askedc++ % ARRAY_SIZE(b.asked)] = utterance;

	return 0;
}

static int say_op(uint32_t utterance, const struct call_sound *s, void *arg)
{
	(void)s;
	(void)arg;

	return audio(utterance);
}

static int prompt_op(uint32_t utterance, enum call_prompt prompt, bool first,
		     void *arg)
{
	(void)prompt;
	(void)first;
	(void)arg;

	return audio(utterance);
}

static int pause_op(uint32_t utterance, uint32_t ms, void *arg)
{
	(void)ms;
	(void)arg;

	return audio(utterance);
}

static void nothing_op(void *arg)
{
	(void)arg;
}

static void stop_op(void *arg)
{
	(void)arg;
	if (b.playout)
		playout_clear(b.playout, b.now_ms);
}

static void hold_op(void *arg)
{
	(void)arg;
	if (b.playout)
		playout_hold(b.playout, b.now_ms);
}

static void resume_op(void *arg)
{
	(void)arg;
	if (b.playout)
		playout_resume(b.playout, b.now_ms);
}

static void filler_op(bool on, void *arg)
{
	(void)on;
	(void)arg;
}

static void heard_op(uint32_t utterance, struct call_heard *h, void *arg)
{
	(void)utterance;
	(void)arg;
	*h = (struct call_heard){.ms = 500, .total_ms = 1000};
}

static void unsent_op(const char *text, enum call_unsent why, void *arg)
{
	(void)text;
	(void)why;
	(void)arg;
	die("a turn");
}

static void act_op(const struct dialog_act *act, void *arg)
{
	(void)act;
	(void)arg;
}

static void hang_up_op(enum call_end end, void *arg)
{
	(void)end;
	(void)arg;
	die("the call");
}

static const struct call_ops call_ops = {
	.turn = turn_op,
	.cancel_turn = nothing_op,
	.say = say_op,
	.play = say_op,
	.prompt = prompt_op,
	.pause = pause_op,
	.filler = filler_op,
	.stop_speaking = stop_op,
	.hold = hold_op,
	.resume = resume_op,
	.heard = heard_op,
	.unsent = unsent_op,
	.act = act_op,
	.hang_up = hang_up_op,
};

static int media_op(const uint8_t *ulawv, size_t n, void *arg)
{
	(void)arg;
	b.sink += ulawv[n - 1];

	return 0;
}

static int mark_op(const char *name, void *arg)
{
	(void)arg;
	b.sink += (size_t)name[0];

	return 0;
}

static int clear_op(void *arg)
{
	(void)arg;

	return 0;
}

static void started_op(uint32_t utterance, uint64_t now_ms, void *arg)
{
	(void)arg;
	call_started(b.call, utterance, now_ms);
}

static void finished_op(uint32_t utterance, bool heard, void *arg)
{
	(void)arg;
	call_finished(b.call, utterance, heard, b.now_ms);
}

static const struct playout_ops playout_ops = {
	.media = media_op,
	.mark = mark_op,
	.clear = clear_op,
	.started = started_op,
	.finished = finished_op,
};

static const struct call_param param = {
	.id = "CA00000000000000000000000000000001",
	.language = "en-US",
	.barge_in = CALL_BARGE_VAD,
	.barge_words = 2,
	.resume_ms = 700,
	.finish = "#",
	.digits_ms = 2000,
	.silence_ms = 6000,
	.silence_tries = 2,
	.silence_limit_ms = 6000,
	.filler_ms = 1500,
	.max_ms = UINT32_MAX,
	.warn_ms = 60000,
	.has_voice = true,
};

static struct call *open_call(void)
{
	struct call *c;

	if (call_alloc(&c, &param, &call_ops, NULL, b.now_ms))
		die("call_alloc");
	call_dialog_open(c, 0, b.now_ms);

	return c;
}

/* -------------------------------------------------------------- the paths */

/* Nothing is due: what every turn of the loop costs a call */
static void run_tick(size_t i)
{
	call_tick(b.call, b.now_ms);
	b.sink += call_next_ms(b.call) + i;
}

/* All that was asked for is heard at once: a queue that nobody empties fills
 * with words to wait, which no call has */
static void play_out(void)
{
	for (size_t n = 0; n < b.askedc; n++)
		call_started(b.call, b.asked[n], b.now_ms);
	for (size_t n = 0; n < b.askedc; n++)
		call_finished(b.call, b.asked[n], true, b.now_ms);
	b.askedc = 0;
}

static void run_speech(size_t i)
{
	b.now_ms += 20;
	call_speech(b.call, i % 2, b.now_ms);
	call_tick(b.call, b.now_ms);
	play_out();
	b.sink += call_next_ms(b.call);
}

static void run_interim(size_t i)
{
	const struct asr_result res = {.text = "i would like to know"};

	(void)i;
	b.now_ms += 20;
	call_result(b.call, &res, b.now_ms);
	call_tick(b.call, b.now_ms);
	play_out();
	b.sink += call_next_ms(b.call);
}

static void say_final(void)
{
	const struct asr_result res = {
		.final = true,
		.text = "i would like to know your opening hours",
	};
	const struct dialog_act act = {
		.type = DIALOG_SAY,
		.text = "We are open from nine to five. On Sundays we are "
			"closed.",
	};

	b.now_ms += 20;
	call_result(b.call, &res, b.now_ms);
	call_tick(b.call, b.now_ms);
	call_act(b.call, &act, b.now_ms);
	call_done(b.call, 0, b.now_ms);
	call_tick(b.call, b.now_ms);
}

static void run_turn(size_t i)
{
	(void)i;
	say_final();
	play_out();
	call_tick(b.call, b.now_ms);
	b.sink += call_next_ms(b.call);
}

/* Interrupted in the middle of the first sentence */
static void run_barge_in(size_t i)
{
	(void)i;
	b.askedc = 0;
	say_final();
	call_started(b.call, b.asked[0], b.now_ms);
	call_speech(b.call, true, b.now_ms);
	call_tick(b.call, b.now_ms);
	b.now_ms += 300;
	call_speech(b.call, false, b.now_ms);
	call_tick(b.call, b.now_ms);
}

/* The whole of an answer of two seconds, with playout and its ticks */
static void run_line(size_t i)
{
	uint64_t next;

	(void)i;
	say_final();
	do {
		next = playout_tick(b.playout, b.now_ms);
		call_tick(b.call, b.now_ms);
		b.sink += call_next_ms(b.call);
		if (next != UINT64_MAX)
			b.now_ms = MAX(next, b.now_ms + 1);
	} while (next != UINT64_MAX);
}

/* -------------------------------------------------------------- measuring */

struct bench {
	const char *name;
	void (*run)(size_t i);
	size_t times; /* a round */
	bool line;    /* with playout */
};

static double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);

	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static int double_compare(const void *a, const void *c)
{
	double x = *(const double *)a, y = *(const double *)c;

	return (x > y) - (x < y);
}

static void measure(const struct bench *be)
{
	double nsv[ROUNDS], start;

	for (size_t round = 0; round < ROUNDS; round++) {
		b.now_ms = 1000;
		if (be->line && playout_alloc(&b.playout, &playout_ops,
					      PLAYOUT_LEAD_MS, NULL))
			die("playout_alloc");
		b.call = open_call();
		be->run(0);

		allocations = 0;
		start = cpu_ns();
		for (size_t i = 1; i <= be->times; i++)
			be->run(i);
		nsv[round] = (cpu_ns() - start) / (double)be->times;

		b.call = mem_deref(b.call);
		b.playout = mem_deref(b.playout);
	}

	qsort(nsv, ROUNDS, sizeof(nsv[0]), double_compare);
	printf("%-44s %8.0f ns  %6.2f allocations\n", be->name,
	       nsv[ROUNDS / 2], (double)allocations / (double)be->times);
}

static void measure_memory(const char *when, bool line)
{
	static struct call *callv[CALLS];
	static struct playout *playoutv[CALLS];
	size_t before = mallinfo2().uordblks, blocks = mem_blocks();

	b.now_ms = 1000;
	for (size_t i = 0; i < CALLS; i++) {
		if (line && playout_alloc(&playoutv[i], &playout_ops,
					  PLAYOUT_LEAD_MS, NULL))
			die("playout_alloc");
		if (line)
			continue;
		b.call = callv[i] = open_call();
		b.askedc = 0;
		say_final();
	}
	printf("%-44s %8zu bytes %5.1f blocks\n", when,
	       (mallinfo2().uordblks - before) / CALLS,
	       (double)(mem_blocks() - blocks) / CALLS);
	for (size_t i = 0; i < CALLS; i++) {
		callv[i] = mem_deref(callv[i]);
		playoutv[i] = mem_deref(playoutv[i]);
	}
}

int main(void)
{
	static const struct bench benchv[] = {
		{"tick, nothing due", run_tick, 1000000, false},
		{"voice activity, and tick", run_speech, 500000, false},
		{"interim, and tick", run_interim, 500000, false},
		{"turn, answer of two sentences", run_turn, 100000, false},
		{"turn that interrupts an answer", run_barge_in, 100000,
		 false},
		{"turn, with playout of 2 s", run_line, 10000, true},
	};
	static uint8_t second[AUDIO_RATE];

	log_set_level(LOG_LVL_ERROR);
	if (clip_from(&b.clip, second, sizeof(second)))
		die("clip_from");
	for (size_t i = 0; i < ARRAY_SIZE(benchv); i++)
		measure(&benchv[i]);
	measure_memory("a call in the middle of an answer", false);
	measure_memory("its playout", true);
	mem_deref(b.clip);

	return 0;
}

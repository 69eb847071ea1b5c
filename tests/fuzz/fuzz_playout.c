/**
 * @file fuzz_playout.c  Marks that a carrier sends back, at any time
 *
 * Each line is an operation: its first byte says which, the rest is the mark's
 * name or a length. Every utterance is finished once, and nothing is sent
 * while held.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/playout.h>

enum { UTTERANCES = 256 };

struct fuzz {
	struct playout *p;
	uint64_t now_ms;
	uint32_t utterancec;
	bool finishedv[UTTERANCES];
	bool held;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int media_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	const struct fuzz *f = arg;

	(void)ulawv;
	assert(!f->held && n && n % FRAME_SAMPLES == 0);

	return f->now_ms % 11 ? 0 : EAGAIN;
}

static int mark_handler(const char *name, void *arg)
{
	const struct fuzz *f = arg;

	assert(!f->held && strlen(name) < PLAYOUT_MARK_MAX);

	return 0;
}

static int clear_handler(void *arg)
{
	const struct fuzz *f = arg;

	return f->now_ms % 13 ? 0 : EAGAIN;
}

static void started_handler(uint32_t utterance, uint64_t now_ms, void *arg)
{
	const struct fuzz *f = arg;

	(void)now_ms;
	assert(!f->finishedv[utterance]);
}

static void finished_handler(uint32_t utterance, bool heard, void *arg)
{
	struct fuzz *f = arg;

	(void)heard;
	assert(!f->finishedv[utterance]);
	f->finishedv[utterance] = true;
}

static const struct playout_ops ops = {
	.media = media_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.started = started_handler,
	.finished = finished_handler,
};

static void queue(struct fuzz *f, size_t n, bool first)
{
	static const uint8_t ulawv[4 * AUDIO_RATE] = {1};
	struct clip *c = NULL;
	uint32_t u = f->utterancec;

	if (u == UTTERANCES || clip_from(&c, ulawv, MIN(n, sizeof(ulawv))))
		return;

	++f->utterancec;
	if (first ? playout_queue_first(f->p, c, u)
		  : playout_queue(f->p, c, u))
		f->finishedv[u] = true;
	mem_deref(c);
}

static void operate(struct fuzz *f, char *line)
{
	size_t n = strtoul(line + 1, NULL, 10) % 100000;

	switch (line[0]) {
	case 'q':
	case 'f':
		queue(f, n, line[0] == 'f');
		break;
	case 't':
		f->now_ms += n;
		(void)playout_tick(f->p, f->now_ms);
		break;
	case 'h':
		playout_hold(f->p, f->now_ms);
		f->held = true;
		break;
	case 'r':
		f->held = false;
		playout_resume(f->p, f->now_ms);
		break;
	case 'c':
		f->held = false;
		playout_clear(f->p, f->now_ms);
		break;
	default:
		playout_mark(f->p, line + 1, f->now_ms);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = {.now_ms = 1};
	char *text = calloc(1, size + 2), *line, *next;

	if (!text || playout_alloc(&f.p, &ops, 300, &f)) {
		free(text);
		return 0;
	}

	memcpy(text, data, size);
	for (line = text; line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		if (line[0])
			operate(&f, line);
	}
	playout_clear(f.p, f.now_ms);
	for (uint32_t i = 0; i < f.utterancec; i++)
		assert(f.finishedv[i]);
	mem_deref(f.p);
	free(text);

	return 0;
}

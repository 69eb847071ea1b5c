/**
 * @file playout.c  Sends clips on time, and knows what was heard
 *
 * The carrier's buffer is modelled by one number: `ends_ms`, when it will have
 * played everything that was sent. Audio is sent while that lies less than the
 * lead ahead of now. Since each message moves `ends_ms` by exactly the audio
 * in it, deadlines are absolute: no error adds up while an utterance lasts.
 *
 * An utterance goes through: queued (`queuev`), sent and awaiting its mark
 * (`sentv`), finished (reported once, then forgotten).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/playout.h>

enum {
	MESSAGE_SAMPLES = PLAYOUT_MESSAGE_MS * AUDIO_PER_MS,
	FIRST_SAMPLES = MESSAGE_SAMPLES / 2, /* sound starts the sooner */
	RETRY_MS = 20,                       /* the carrier does not read */
};

struct queued {
	struct clip *clip;
	uint32_t utterance;
};

struct sent {
	uint64_t ends_ms; /* when the carrier has played all that was sent */
	uint32_t sent_ms; /* of this utterance */
	uint32_t utterance;
	bool marked; /* all is sent, the mark is out */
};

struct playout {
	const struct playout_ops *ops;
	void *arg;
	uint32_t lead_ms;
	uint32_t generation;
	uint64_t ends_ms;

	struct queued queuev[PLAYOUT_QUEUE_MAX]; /* first one is playing */
	size_t queuec;
	size_t pos;   /* samples of the first one that were sent */
	bool ran_dry; /* this gap has been counted */
	bool closed;
	bool clear_owed; /* the carrier did not read when it was due */

	struct sent sentv[PLAYOUT_MARKS_MAX]; /* oldest first */
	size_t sentc;
};

static void destructor(void *arg)
{
	struct playout *p = arg;

	for (size_t i = 0; i < p->queuec; i++)
		mem_deref(p->queuev[i].clip);
}

int playout_alloc(struct playout **pp, const struct playout_ops *ops,
		  uint32_t lead_ms, void *arg)
{
	struct playout *p = mem_zalloc(sizeof(*p), destructor);

	if (!p)
		return ENOMEM;

	p->ops = ops;
	p->arg = arg;
	p->lead_ms = MAX(lead_ms, (uint32_t)PLAYOUT_MESSAGE_MS / 2);
	*pp = p;

	return 0;
}

int playout_queue(struct playout *p, struct clip *c, uint32_t utterance)
{
	if (p->queuec == PLAYOUT_QUEUE_MAX)
		return ENOBUFS;

	p->queuev[p->queuec++] = (struct queued){.clip = mem_ref(c),
						 .utterance = utterance};

	return 0;
}

int playout_queue_first(struct playout *p, struct clip *c, uint32_t utterance)
{
	size_t at = p->pos ? 1 : 0;

	if (p->queuec == PLAYOUT_QUEUE_MAX)
		return ENOBUFS;

	memmove(p->queuev + at + 1, p->queuev + at,
		(p->queuec - at) * sizeof(*p->queuev));
	p->queuev[at] = (struct queued){.clip = mem_ref(c),
					.utterance = utterance};
	++p->queuec;

	return 0;
}

int playout_replace(struct playout *p, struct clip *c, uint32_t utterance)
{
	for (size_t i = 0; i < p->queuec; i++) {
		struct clip *old = p->queuev[i].clip;

		if (p->queuev[i].utterance != utterance)
			continue;
		if (!i && p->pos)
			return EBUSY;

		p->queuev[i].clip = mem_ref(c);
		mem_deref(old);
		return 0;
	}

	return ENOENT;
}

/* ------------------------------------------------------------- ledger */

static struct sent *sent_find(struct playout *p, uint32_t utterance)
{
	for (size_t i = p->sentc; i-- > 0;) {
		if (p->sentv[i].utterance == utterance)
			return &p->sentv[i];
	}

	return NULL;
}

static void sent_remove_first(struct playout *p)
{
	--p->sentc;
	memmove(p->sentv, p->sentv + 1, p->sentc * sizeof(*p->sentv));
}

/* The first one is over. The handler may call back into playout. */
static void sent_finish_first(struct playout *p, bool heard)
{
	uint32_t utterance = p->sentv[0].utterance;

	sent_remove_first(p);
	p->ops->finished(utterance, heard, p->arg);
}

static struct sent *sent_begin(struct playout *p, uint32_t utterance)
{
	struct sent *s = &p->sentv[p->sentc++];

	*s = (struct sent){.utterance = utterance};

	return s;
}

/* Marks that never come back must not hang a call */
static uint64_t expire_marks(struct playout *p, uint64_t now_ms)
{
	while (p->sentc && p->sentv[0].marked) {
		uint64_t at = p->sentv[0].ends_ms + PLAYOUT_MARK_GRACE_MS;

		if (now_ms < at)
			return at;
		sent_finish_first(p, true);
	}

	return UINT64_MAX;
}

/* ------------------------------------------------------------ sending */

static void next_clip(struct playout *p)
{
	struct clip *c = p->queuev[0].clip;

	--p->queuec;
	memmove(p->queuev, p->queuev + 1, p->queuec * sizeof(*p->queuev));
	p->pos = 0;
	p->ran_dry = false;
	mem_deref(c);
}

/*
 * All of the first clip is sent: put the mark behind it. A clip without a
 * single sample was never heard of by the carrier.
 */
static int finish_clip(struct playout *p)
{
	uint32_t utterance = p->queuev[0].utterance;
	struct sent *s = p->pos ? sent_find(p, utterance) : NULL;
	char name[PLAYOUT_MARK_MAX];
	int err;

	if (!s) {
		next_clip(p);
		p->ops->finished(utterance, false, p->arg);
		return 0;
	}

	(void)snprintf(name, sizeof(name), "u%ug%u", utterance, p->generation);
	err = p->ops->mark(name, p->arg);
	if (err)
		return err;

	s->marked = true;
	next_clip(p);

	return 0;
}

static int send_samples(struct playout *p, const uint8_t *ulawv, size_t n,
			uint64_t now_ms)
{
	uint32_t ms = (uint32_t)(n / AUDIO_PER_MS);
	uint32_t utterance = p->queuev[0].utterance;
	bool first = !p->pos;
	struct sent *s;
	int err;

	err = p->ops->media(ulawv, n, p->arg);
	if (err)
		return err;

	p->pos += n;
	p->ran_dry = false;
	p->ends_ms = MAX(p->ends_ms, now_ms) + ms;

	s = sent_find(p, utterance);
	if (!s)
		s = sent_begin(p, utterance);
	s->sent_ms += ms;
	s->ends_ms = p->ends_ms;

	if (first)
		p->ops->started(utterance, now_ms, p->arg);

	return 0;
}

/* The last samples of a clip rarely fill a frame: silence does */
static int send_tail(struct playout *p, const uint8_t *ulawv, size_t n,
		     uint64_t now_ms)
{
	uint8_t padv[MESSAGE_SAMPLES];
	size_t whole = (n + FRAME_SAMPLES - 1) / FRAME_SAMPLES * FRAME_SAMPLES;

	memcpy(padv, ulawv, n);
	memset(padv + n, ULAW_SILENCE, whole - n);

	return send_samples(p, padv, whole, now_ms);
}

/* How much of what is there should leave now? 0: wait for more */
static size_t message_samples(const struct playout *p, size_t avail,
			      uint64_t ahead_ms)
{
	size_t want = p->pos ? MESSAGE_SAMPLES : FIRST_SAMPLES;

	if (avail >= want)
		return want;

	/* Still arriving: gather a whole message unless the caller would hear
	 * a gap meanwhile */
	if (p->pos && ahead_ms > p->lead_ms / 2)
		return 0;

	return avail / FRAME_SAMPLES * FRAME_SAMPLES;
}

/* Send one message of the first clip; EINPROGRESS if there is nothing yet */
static int send_message(struct playout *p, uint64_t now_ms)
{
	const struct clip *c = p->queuev[0].clip;
	size_t avail = clip_len(c) - MIN(p->pos, clip_len(c));
	uint64_t ahead = p->ends_ms > now_ms ? p->ends_ms - now_ms : 0;
	const uint8_t *ulawv = clip_data(c) + p->pos;
	size_t n = message_samples(p, avail, ahead);

	if (clip_is_ended(c)) {
		if (!avail)
			return finish_clip(p);
		if (!n || avail < MESSAGE_SAMPLES)
			return send_tail(p, ulawv, avail, now_ms);
	}

	if (n)
		return send_samples(p, ulawv, n, now_ms);

	if (p->pos && !ahead && !p->ran_dry) {
		p->ran_dry = true;
		metrics_inc(M_UNDERRUNS);
	}

	return EINPROGRESS;
}

/* Time at which the first clip may go on, `now` or before if it may already */
static uint64_t due_ms(const struct playout *p)
{
	const struct clip *c = p->queuev[0].clip;
	uint32_t message = p->pos ? PLAYOUT_MESSAGE_MS
				  : FIRST_SAMPLES / AUDIO_PER_MS;
	uint32_t early = p->lead_ms > message ? p->lead_ms - message : 0;

	/* A mark costs no play-time: a clip that is sent is over at once */
	if (clip_is_ended(c) && p->pos >= clip_len(c))
		return 0;

	/* The ledger is full of marks that did not come: they expire */
	if (!p->pos && p->sentc == PLAYOUT_MARKS_MAX)
		return UINT64_MAX;

	return p->ends_ms > early ? p->ends_ms - early : 0;
}

/* What a carrier has yet to forget comes before anything new */
static int send_clear(struct playout *p)
{
	int err = p->clear_owed && !p->closed ? p->ops->clear(p->arg) : 0;

	if (!err)
		p->clear_owed = false;
	else if (err != EAGAIN)
		p->closed = true;

	return err;
}

uint64_t playout_tick(struct playout *p, uint64_t now_ms)
{
	uint64_t marks_at = expire_marks(p, now_ms);

	if (send_clear(p) == EAGAIN)
		return now_ms + RETRY_MS;

	while (!p->closed && p->queuec) {
		uint64_t at = due_ms(p);
		int err;

		if (at > now_ms)
			return MIN(marks_at, at);

		err = send_message(p, now_ms);
		if (err == EAGAIN)
			return now_ms + RETRY_MS;
		if (err == EINPROGRESS) {
			/* The clip's watcher calls again; so does the end of
			 * what the carrier has, to count the gap */
			at = p->pos && p->ends_ms > now_ms ? p->ends_ms
							   : UINT64_MAX;
			return MIN(marks_at, at);
		}
		if (err)
			p->closed = true;

		marks_at = expire_marks(p, now_ms);
	}

	return marks_at;
}

/* ----------------------------------------------------- clear and marks */

void playout_clear(struct playout *p, uint64_t now_ms)
{
	bool in_carrier = p->sentc || p->ends_ms > now_ms;
	uint32_t utterancev[PLAYOUT_QUEUE_MAX + PLAYOUT_MARKS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < p->sentc; i++)
		utterancev[n++] = p->sentv[i].utterance;
	for (size_t i = 0; i < p->queuec; i++) {
		/* the one that is playing stands in both */
		if (!n || utterancev[n - 1] != p->queuev[i].utterance)
			utterancev[n++] = p->queuev[i].utterance;
		mem_deref(p->queuev[i].clip);
	}

	p->sentc = p->queuec = p->pos = 0;
	p->ran_dry = false;
	p->ends_ms = now_ms;
	++p->generation;

	p->clear_owed |= in_carrier;
	(void)send_clear(p);

	for (size_t i = 0; i < n; i++)
		p->ops->finished(utterancev[i], false, p->arg);
}

/* A letter and a number at *sp, which moves on behind it. The name comes from
 * outside: sscanf() would not notice a number that is too large. */
static bool mark_number(uint32_t *np, const char **sp, char letter)
{
	unsigned long n;
	char *end;

	if ((*sp)[0] != letter || (*sp)[1] < '0' || (*sp)[1] > '9')
		return false;

	errno = 0;
	n = strtoul(*sp + 1, &end, 10);
	if (errno || n > UINT32_MAX)
		return false;

	*np = (uint32_t)n;
	*sp = end;

	return true;
}

void playout_mark(struct playout *p, const char *name, uint64_t now_ms)
{
	uint32_t utterance, generation;

	(void)now_ms;
	if (!mark_number(&utterance, &name, 'u') ||
	    !mark_number(&generation, &name, 'g') || *name ||
	    generation != p->generation)
		return;

	/* Marks return in order: one that is missing before it was lost */
	while (p->sentc && p->sentv[0].marked) {
		bool found = p->sentv[0].utterance == utterance;

		if (!found && !sent_find(p, utterance))
			return;
		sent_finish_first(p, true);
		if (found)
			return;
	}
}

uint32_t playout_heard_ms(const struct playout *p, uint32_t utterance,
			  uint64_t now_ms)
{
	for (size_t i = 0; i < p->sentc; i++) {
		const struct sent *s = &p->sentv[i];
		uint64_t left = s->ends_ms > now_ms ? s->ends_ms - now_ms : 0;

		if (s->utterance == utterance)
			return s->sent_ms - (uint32_t)MIN(left, s->sent_ms);
	}

	return 0;
}

bool playout_is_busy(const struct playout *p, uint64_t now_ms)
{
	return p->queuec || p->sentc || p->ends_ms > now_ms;
}

/**
 * @file playout.c  Sends clips on time
 *
 * The carrier's buffer is modelled by one number: `ends_ms`, when it will have
 * played everything that was sent. Audio is sent while that lies less than the
 * lead ahead of now. Since each message moves `ends_ms` by exactly the audio
 * in it, deadlines are absolute: no error adds up while an utterance lasts.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/playout.h>
#include "playout_priv.h"
#include "splice.h"

enum {
	MESSAGE_SAMPLES = PLAYOUT_MESSAGE_MS * AUDIO_PER_MS,
	FIRST_SAMPLES = MESSAGE_SAMPLES / 2, /* sound starts the sooner */
	RETRY_MS = 20,                       /* the carrier does not read */

	FILLER_MS = 60, /* in one message */
	FILLER_SAMPLES = FILLER_MS * AUDIO_PER_MS,
	FILLER_EARLY_MS = PLAYOUT_FILLER_LEAD_MS - FILLER_MS,
};

static void destructor(void *arg)
{
	struct playout *p = arg;

	for (size_t i = 0; i < p->itemc; i++)
		mem_deref(p->itemv[i].clip);
	mem_deref(p->filler);
}

int playout_alloc(struct playout **pp, const struct playout_ops *ops,
		  uint32_t lead_ms, void *arg)
{
	struct playout *p = mem_zalloc(sizeof(*p), destructor);
	uint32_t message;

	if (!p)
		return ENOMEM;

	/* A message leaves when there is room for it within the lead: half a
	 * lead of them, and a late timer does not tear a gap. Whole triples of
	 * frames keep base64 aligned. */
	lead_ms = MAX(lead_ms, PLAYOUT_MESSAGE_MS / 2);
	message = MIN(lead_ms / 2, PLAYOUT_MESSAGE_MS) / FRAME_MS;
	if (message >= 3)
		message -= message % 3;

	p->ops = ops;
	p->arg = arg;
	p->lead_ms = lead_ms;
	p->message = message * FRAME_SAMPLES;
	p->last = ULAW_SILENCE;
	p->mark_late_ms = PLAYOUT_LATE_MAX_MS; /* the first is believed */
	*pp = p;

	return 0;
}

/* -------------------------------------------------------------- queue */

static int insert(struct playout *p, struct clip *c, uint32_t utterance,
		  size_t at)
{
	if (p->itemc - p->sentc >= PLAYOUT_QUEUE_MAX)
		return ENOBUFS;

	memmove(p->itemv + at + 1, p->itemv + at,
		(p->itemc - at) * sizeof(*p->itemv));
	p->itemv[at] = (struct playout_item){.clip = mem_ref(c),
					     .utterance = utterance};
	++p->itemc;

	return 0;
}

int playout_queue(struct playout *p, struct clip *c, uint32_t utterance)
{
	return insert(p, c, utterance, p->itemc);
}

int playout_queue_first(struct playout *p, struct clip *c, uint32_t utterance)
{
	size_t at = p->sentc;

	while (at < p->itemc && p->itemv[at].begun)
		++at;

	return insert(p, c, utterance, at);
}

int playout_replace(struct playout *p, struct clip *c, uint32_t utterance)
{
	for (size_t i = p->sentc; i < p->itemc; i++) {
		struct clip *old = p->itemv[i].clip;

		if (p->itemv[i].utterance != utterance)
			continue;
		if (p->itemv[i].begun)
			return EBUSY;

		p->itemv[i].clip = mem_ref(c);
		mem_deref(old);
		return 0;
	}

	return ENOENT;
}

/* ------------------------------------------------------------- ledger */

/* The one that is being sent, or the next; NULL if there is none */
static struct playout_item *sending(struct playout *p)
{
	return p->sentc < p->itemc ? &p->itemv[p->sentc] : NULL;
}

static bool is_all_sent(const struct playout_item *it)
{
	return clip_is_ended(it->clip) && it->pos >= clip_len(it->clip);
}

struct playout_over playout_take_first(struct playout *p)
{
	struct playout_item it = p->itemv[0];
	struct playout_over over = {
		.utterance = it.utterance,
		.ms = (uint32_t)(clip_len(it.clip) / AUDIO_PER_MS),
	};

	--p->itemc;
	p->sentc -= MIN(p->sentc, 1U);
	memmove(p->itemv, p->itemv + 1, p->itemc * sizeof(*p->itemv));
	mem_deref(it.clip);

	return over;
}

void playout_tell_over(struct playout *p, struct playout_over over, bool heard)
{
	if (heard)
		p->over = over;
	p->ops->finished(over.utterance, heard, p->arg);
}

void playout_finish_first(struct playout *p, bool heard)
{
	struct playout_over over = playout_take_first(p);

	playout_tell_over(p, over, heard);
}

/* When the next mark is given up */
static uint64_t expiry_ms(const struct playout *p)
{
	return p->sentc ? p->itemv[0].ends_ms + PLAYOUT_MARK_GRACE_MS
			: UINT64_MAX;
}

/* ------------------------------------------------------------ sending */

static size_t whole_frames(size_t n)
{
	return (n + FRAME_SAMPLES - 1) / FRAME_SAMPLES * FRAME_SAMPLES;
}

/* Pad with silence to whole frames; one of the two has room for a ramp */
static void pad(uint8_t *ulawv, size_t n, bool fade_out)
{
	size_t whole = whole_frames(n);

	memset(ulawv + n, ULAW_SILENCE, whole - n);
	if (fade_out && n >= SPLICE_SAMPLES)
		splice_out(ulawv, n);
	else if (fade_out)
		splice_in(ulawv + n, whole - n, ulawv[n - 1]);
}

/*
 * Send n samples. Only what begins or ends abruptly is copied: a clip is
 * shared, and never changed.
 */
static int send_samples(struct playout *p, const uint8_t *ulawv, size_t n,
			bool fade_in, bool fade_out, uint64_t now_ms)
{
	uint8_t copyv[MESSAGE_SAMPLES];
	bool dry = p->ends_ms < now_ms;
	int err;

	if (fade_in || fade_out) {
		memcpy(copyv, ulawv, n);
		if (fade_in)
			splice_in(copyv, n, dry ? ULAW_SILENCE : p->last);
		pad(copyv, n, fade_out);
		n = whole_frames(n);
		ulawv = copyv;
	}

	err = p->ops->media(ulawv, n, p->arg);
	if (err)
		return err;

	p->last = ulawv[n - 1];
	p->ends_ms = MAX(p->ends_ms, now_ms) + n / AUDIO_PER_MS;

	return 0;
}

/* Let what was sent last die away, if the carrier still plays it */
static int send_decay(struct playout *p, uint64_t now_ms)
{
	uint8_t silencev[FRAME_SAMPLES];

	if (p->ends_ms < now_ms || splice_is_quiet(p->last))
		return 0;

	memset(silencev, ULAW_SILENCE, sizeof(silencev));

	return send_samples(p, silencev, sizeof(silencev), true, false,
			    now_ms);
}

/*
 * All of an utterance is sent: put the mark behind it. One without a single
 * sample was never heard of by the carrier.
 */
static int finish_sending(struct playout *p, uint64_t now_ms)
{
	struct playout_item *it = sending(p);
	char name[PLAYOUT_MARK_MAX];
	int err;

	if (!it->begun) {
		struct playout_item empty = *it;

		--p->itemc;
		memmove(it, it + 1, (p->itemc - p->sentc) * sizeof(*p->itemv));
		mem_deref(empty.clip);
		p->ops->finished(empty.utterance, false, p->arg);
		return 0;
	}

	/* It ended when its last samples had left as ordinary ones */
	err = it->pos > it->from ? send_decay(p, now_ms) : 0;
	if (err)
		return err;

	(void)snprintf(name, sizeof(name), "u%ug%u", it->utterance,
		       p->generation);
	err = p->ops->mark(name, p->arg);
	if (err)
		return err;

	it->ends_ms = MAX(p->ends_ms, now_ms);
	++p->sentc;
	p->ran_dry = false;

	return 0;
}

/* A gap within an utterance is counted once */
static void count_gap(struct playout *p)
{
	if (!p->ran_dry)
		metrics_inc(M_UNDERRUNS);
	p->ran_dry = true;
}

static int send_speech(struct playout *p, size_t n, bool last, uint64_t now_ms)
{
	struct playout_item *it = sending(p);
	int err;

	if (it->pos > it->from && p->ends_ms < now_ms)
		count_gap(p);

	err = send_samples(p, clip_data(it->clip) + it->pos, n,
			   it->pos == it->from || p->ran_dry, last, now_ms);
	if (err)
		return err;

	p->filling = false;
	p->ran_dry = false;
	it->pos += (uint32_t)whole_frames(n);
	it->ends_ms = p->ends_ms;

	if (!it->begun) {
		it->begun = true;
		p->ops->started(it->utterance, now_ms, p->arg);
	}

	return 0;
}

/* Size of the next message, if that much is there already */
static size_t message_samples(const struct playout *p,
			      const struct playout_item *it)
{
	size_t len = clip_len(it->clip);

	/* a little more or less, if that is the rest */
	if (clip_is_ended(it->clip) && len - MIN(it->pos, len) <= p->message)
		return len - MIN(it->pos, len);

	return it->pos > it->from ? p->message
				  : MIN(p->message, FIRST_SAMPLES);
}

/* Less than a message is there of a clip that is still arriving: gather a
 * whole one unless the caller would hear a gap meanwhile */
static int send_little(struct playout *p, size_t n, uint64_t now_ms,
		       uint64_t *at)
{
	const struct playout_item *it = sending(p);
	uint64_t half_ms = now_ms + p->lead_ms / 2;

	*at = UINT64_MAX; /* the clip's watcher calls again */
	if (it->pos == it->from)
		return n ? send_speech(p, n, false, now_ms) : EINPROGRESS;

	if (n && p->ends_ms <= half_ms)
		return send_speech(p, n, false, now_ms);

	if (n)
		*at = p->ends_ms - p->lead_ms / 2;
	else if (p->ends_ms > now_ms)
		*at = p->ends_ms; /* to count the gap */
	else
		count_gap(p);

	return EINPROGRESS;
}

/* Send one message. EINPROGRESS: nothing more before `at` */
static int send_message(struct playout *p, uint64_t now_ms, uint64_t *at)
{
	const struct playout_item *it = sending(p);
	size_t n = message_samples(p, it);
	size_t len = clip_len(it->clip);
	size_t avail = len - MIN(it->pos, len);

	if (is_all_sent(it))
		return finish_sending(p, now_ms);
	if (avail < n)
		return send_little(p, avail - avail % FRAME_SAMPLES, now_ms,
				   at);

	return send_speech(p, n, clip_is_ended(it->clip) && n == avail,
			   now_ms);
}

/* Time at which there is room for the next message */
static uint64_t due_ms(const struct playout *p, const struct playout_item *it)
{
	uint64_t ms = whole_frames(message_samples(p, it)) / AUDIO_PER_MS;
	uint64_t early = p->lead_ms - MIN(ms, p->lead_ms);

	/* A mark costs no play-time */
	if (is_all_sent(it))
		return 0;

	/* The ledger is full of marks that did not come: they expire */
	if (it->pos == it->from && p->sentc == PLAYOUT_MARKS_MAX)
		return UINT64_MAX;

	/* An answer does not wait for the filler */
	return p->filling || p->ends_ms <= early ? 0 : p->ends_ms - early;
}

/* Utterances: all that is due. EINPROGRESS: nothing more before `at` */
static int send_due(struct playout *p, uint64_t now_ms, uint64_t *at)
{
	const struct playout_item *it;
	int err;

	while (!p->held && !p->closed && (it = sending(p))) {
		*at = due_ms(p, it);
		if (*at > now_ms)
			return EINPROGRESS;

		err = send_message(p, now_ms, at);
		if (err)
			return err;
	}
	*at = UINT64_MAX;

	return 0;
}

int playout_send_clear(struct playout *p)
{
	int err = p->clear_owed && !p->closed ? p->ops->clear(p->arg) : 0;

	if (!err)
		p->clear_owed = false;
	else if (err != EAGAIN)
		p->closed = true;

	return err;
}

/* ------------------------------------------------------------- filler */

/* The next samples of the loop; returns where it goes on */
static size_t fill(const struct clip *c, size_t pos, uint8_t *ulawv, size_t n,
		   bool smooth)
{
	size_t len = clip_len(c);

	for (size_t i = 0, some; i < n; i += some) {
		some = MIN(n - i, len - pos);
		memcpy(ulawv + i, clip_data(c) + pos, some);
		if (i && !smooth)
			splice_in(ulawv + i, some, ulawv[i - 1]);
		pos = (pos + some) % len;
	}

	return pos;
}

static bool is_filler_due(struct playout *p)
{
	const struct playout_item *it = sending(p);

	/* an answer's own gaps stay silent */
	return p->filler && clip_is_ended(p->filler) && clip_len(p->filler) &&
	       !(it && it->begun);
}

static int send_filler(struct playout *p, uint64_t now_ms)
{
	const struct clip *c = p->filler;
	bool smooth = splice_is_loop(clip_data(c), clip_len(c));
	bool fresh = !p->filling || p->filler_new || p->ends_ms < now_ms;
	size_t pos = !p->filling || p->filler_new ? 0 : p->filler_pos;
	uint8_t ulawv[FILLER_SAMPLES];
	size_t next = fill(c, pos, ulawv, sizeof(ulawv), smooth);
	int err = send_samples(p, ulawv, sizeof(ulawv),
			       fresh || (!pos && !smooth), false, now_ms);

	if (err)
		return err;

	p->filler_pos = next;
	p->filler_new = false;
	p->filling = true;

	return 0;
}

/* When there is nothing else to send; `at` becomes the time to look again, if
 * that is sooner */
static int tick_filler(struct playout *p, uint64_t now_ms, uint64_t *at)
{
	int err = 0;

	if (!is_filler_due(p)) {
		if (p->filling)
			err = send_decay(p, now_ms);
		if (!err)
			p->filling = false;
		return err;
	}

	if (p->ends_ms <= now_ms + FILLER_EARLY_MS)
		err = send_filler(p, now_ms);
	*at = MIN(*at, p->ends_ms - FILLER_EARLY_MS);

	return err;
}

void playout_filler(struct playout *p, struct clip *c)
{
	struct clip *old = p->filler;

	if (c == old)
		return;

	p->filler = mem_ref(c);
	p->filler_new = true;
	mem_deref(old);
}

/* --------------------------------------------------------------- tick */

uint64_t playout_tick(struct playout *p, uint64_t now_ms)
{
	uint64_t at = UINT64_MAX;
	int err;

	/* Marks that never come back must not hang a call */
	while (expiry_ms(p) <= now_ms)
		playout_finish_first(p, true);

	err = playout_send_clear(p);
	if (!err)
		err = send_due(p, now_ms, &at);
	if ((!err || err == EINPROGRESS) && !p->held && !p->closed)
		err = tick_filler(p, now_ms, &at);

	if (err == EAGAIN)
		return now_ms + RETRY_MS;
	if (err && err != EINPROGRESS) {
		p->closed = true;
		at = UINT64_MAX;
	}

	return MIN(at, expiry_ms(p));
}

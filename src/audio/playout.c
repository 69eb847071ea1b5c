/**
 * @file playout.c  Sends clips on time, and knows what was heard
 *
 * The carrier's buffer is modelled by one number: `ends_ms`, when it will have
 * played everything that was sent. Audio is sent while that lies less than the
 * lead ahead of now. Since each message moves `ends_ms` by exactly the audio
 * in it, deadlines are absolute: no error adds up while an utterance lasts.
 *
 * All utterances stand in one array, in the order in which they are heard:
 *
 *     sent, awaiting their marks | sending | waiting
 *     0 ...                        sentc     ...        itemc
 *
 * They keep their clips to the end, since a hold takes all that was not heard
 * back to the waiting ones. A finished one is reported once and forgotten.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/playout.h>
#include "splice.h"

enum {
	MESSAGE_SAMPLES = PLAYOUT_MESSAGE_MS * AUDIO_PER_MS,
	FIRST_SAMPLES = MESSAGE_SAMPLES / 2, /* sound starts the sooner */
	RETRY_MS = 20,                       /* the carrier does not read */

	FILLER_MS = 60, /* in one message */
	FILLER_SAMPLES = FILLER_MS * AUDIO_PER_MS,
	FILLER_EARLY_MS = PLAYOUT_FILLER_LEAD_MS - FILLER_MS,

	/* A mark is on its way back, and the audio before it was on its way
	 * there, for 0 to 200 ms; what is more is the carrier's delay */
	ROUND_TRIP_MS = 100,
	LATE_MAX_MS = 1000,
};

struct item {
	struct clip *clip;
	uint64_t ends_ms; /* when the carrier has played what was sent of it */
	uint32_t utterance;
	uint32_t from; /* sample at which sending began: 0, or resumed here */
	uint32_t pos;  /* sample up to which it was sent, with padding */
	bool begun;    /* started() was called */
};

/* What finished() is told of */
struct over {
	uint32_t utterance;
	uint32_t ms; /* of its clip */
};

struct playout {
	const struct playout_ops *ops;
	void *arg;
	uint32_t lead_ms;
	uint32_t message; /* samples */
	uint32_t generation;
	uint32_t late_ms; /* the carrier plays later than the model says */
	uint32_t mark_late_ms; /* by the last mark */
	uint64_t ends_ms;
	uint8_t last; /* code sent last: what follows must not click */
	bool ran_dry; /* this gap in an utterance has been counted */
	bool held;
	bool closed;
	bool clear_owed; /* the carrier did not read when it was due */

	bool filling; /* what was sent last is of a filler */
	struct clip *filler;
	size_t filler_pos; /* the next sample */
	bool filler_new;   /* nothing of it has been sent */

	/* What an utterance that was held had been heard of */
	uint32_t again_utterance;
	uint32_t again_heard; /* samples; 0: no such utterance */

	struct over over; /* what was heard to its end last */

	size_t sentc;
	size_t itemc;
	struct item itemv[PLAYOUT_MARKS_MAX + PLAYOUT_QUEUE_MAX];
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
	p->mark_late_ms = LATE_MAX_MS; /* the first mark is believed */
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
	p->itemv[at] = (struct item){.clip = mem_ref(c),
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
static struct item *sending(struct playout *p)
{
	return p->sentc < p->itemc ? &p->itemv[p->sentc] : NULL;
}

static bool is_all_sent(const struct item *it)
{
	return clip_is_ended(it->clip) && it->pos >= clip_len(it->clip);
}

/* Samples that the caller has heard of it */
static uint32_t heard_samples(const struct playout *p, const struct item *it,
			      uint64_t now_ms)
{
	uint64_t ends_ms = it->ends_ms + p->late_ms;
	uint64_t left_ms = ends_ms > now_ms ? ends_ms - now_ms : 0;
	uint64_t left = MIN(left_ms * AUDIO_PER_MS, it->pos - it->from);
	uint32_t again = p->again_utterance == it->utterance ? p->again_heard
							     : 0;
	uint32_t pos = it->pos - (uint32_t)left;

	pos = (uint32_t)MIN(pos, clip_len(it->clip));

	return it->begun ? MAX(pos, again) : 0;
}

static bool is_all_heard(const struct playout *p, const struct item *it,
			 uint64_t now_ms)
{
	return it->begun && clip_is_ended(it->clip) &&
	       heard_samples(p, it, now_ms) >= clip_len(it->clip);
}

/* Take the first one out */
static struct over take_first(struct playout *p)
{
	struct item it = p->itemv[0];
	struct over over = {
		.utterance = it.utterance,
		.ms = (uint32_t)(clip_len(it.clip) / AUDIO_PER_MS),
	};

	--p->itemc;
	p->sentc -= MIN(p->sentc, 1U);
	memmove(p->itemv, p->itemv + 1, p->itemc * sizeof(*p->itemv));
	mem_deref(it.clip);

	return over;
}

/* The handler may ask what was heard, and call back into playout */
static void tell_over(struct playout *p, struct over over, bool heard)
{
	if (heard)
		p->over = over;
	p->ops->finished(over.utterance, heard, p->arg);
}

static void finish_first(struct playout *p, bool heard)
{
	struct over over = take_first(p);

	tell_over(p, over, heard);
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
	struct item *it = sending(p);
	char name[PLAYOUT_MARK_MAX];
	int err;

	if (!it->begun) {
		struct item empty = *it;

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
	struct item *it = sending(p);
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
static size_t message_samples(const struct playout *p, const struct item *it)
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
	const struct item *it = sending(p);
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
	const struct item *it = sending(p);
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
static uint64_t due_ms(const struct playout *p, const struct item *it)
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
	const struct item *it;
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
	const struct item *it = sending(p);

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
		finish_first(p, true);

	err = send_clear(p);
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

/* ----------------------------------------------- clear, hold and resume */

/* Take out what was heard to its end: a returned mark could only say so */
static size_t take_heard(struct playout *p, struct over *overv,
			 uint64_t now_ms)
{
	size_t n = 0;

	while (p->itemc && is_all_heard(p, &p->itemv[0], now_ms))
		overv[n++] = take_first(p);

	return n;
}

/* Make the carrier forget what it has, marks included */
static void empty_carrier(struct playout *p, bool in_carrier, uint64_t now_ms)
{
	++p->generation;
	p->ends_ms = now_ms;
	p->last = ULAW_SILENCE;
	p->ran_dry = false;
	p->filling = false;
	p->clear_owed |= in_carrier;
	(void)send_clear(p);
}

static bool is_in_carrier(const struct playout *p, uint64_t now_ms)
{
	return !p->held && ((p->itemc && p->itemv[0].begun) ||
			    p->ends_ms + p->late_ms > now_ms);
}

void playout_clear(struct playout *p, uint64_t now_ms)
{
	bool in_carrier = is_in_carrier(p, now_ms);
	struct over overv[ARRAY_SIZE(p->itemv)];
	size_t heardc = take_heard(p, overv, now_ms), n = heardc;

	while (p->itemc)
		overv[n++] = take_first(p);
	p->held = false;
	p->again_heard = 0;
	playout_filler(p, NULL);
	empty_carrier(p, in_carrier, now_ms);

	for (size_t i = 0; i < n; i++)
		tell_over(p, overv[i], i < heardc);
}

void playout_hold(struct playout *p, uint64_t now_ms)
{
	bool in_carrier = is_in_carrier(p, now_ms);
	struct over overv[ARRAY_SIZE(p->itemv)];
	size_t heardc;

	if (p->held)
		return;

	heardc = take_heard(p, overv, now_ms);
	if (p->itemc) {
		uint32_t heard = heard_samples(p, &p->itemv[0], now_ms);

		p->again_utterance = p->itemv[0].utterance;
		p->again_heard = heard;
	}
	for (size_t i = 0; i < p->itemc; i++)
		p->itemv[i].from = p->itemv[i].pos = 0;
	p->sentc = 0;
	p->held = true;
	empty_carrier(p, in_carrier, now_ms);

	for (size_t i = 0; i < heardc; i++)
		tell_over(p, overv[i], true);
}

/* The last word that began by then; NULL if there is none */
static const struct clip_word *word_at(const struct clip *c, uint32_t pos)
{
	const struct clip_word *wordv;
	size_t n = clip_words(c, &wordv);

	while (n && wordv[n - 1].pos > pos)
		--n;

	return n ? &wordv[n - 1] : NULL;
}

static uint32_t resume_pos(const struct clip *c, uint32_t heard)
{
	uint32_t frame = heard - MIN(heard, FRAME_SAMPLES);
	const struct clip_word *word = word_at(c, frame), *wordv;

	/* in time for the ramp to be over when the word begins */
	if (word)
		return word->pos - MIN(word->pos, SPLICE_SAMPLES);
	if (clip_words(c, &wordv))
		return 0;

	return (uint32_t)splice_pause(clip_data(c), clip_len(c), frame);
}

void playout_resume(struct playout *p, uint64_t now_ms)
{
	struct item *it = p->itemc ? &p->itemv[0] : NULL;

	if (!p->held)
		return;

	p->held = false;
	if (!it || !it->begun)
		return;

	/* The clip may have ended meanwhile, without anything more to hear */
	it->pos = is_all_heard(p, it, now_ms)
			  ? (uint32_t)clip_len(it->clip)
			  : resume_pos(it->clip, p->again_heard);
	it->from = it->pos;
}

/* -------------------------------------------------------------- marks */

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

static const struct item *find_sent(const struct playout *p,
				    uint32_t utterance)
{
	for (size_t i = 0; i < p->sentc; i++) {
		if (p->itemv[i].utterance == utterance)
			return &p->itemv[i];
	}

	return NULL;
}

void playout_mark(struct playout *p, const char *name, uint64_t now_ms)
{
	uint32_t utterance, generation;
	const struct item *it;
	uint64_t late_ms;

	if (!mark_number(&utterance, &name, 'u') ||
	    !mark_number(&generation, &name, 'g') || *name ||
	    generation != p->generation)
		return;

	it = find_sent(p, utterance);
	if (!it)
		return;

	/* One mark may have been held up alone; two were late as the audio */
	late_ms = now_ms - MIN(now_ms, it->ends_ms + ROUND_TRIP_MS);
	late_ms = MIN(late_ms, LATE_MAX_MS);
	p->late_ms = (uint32_t)MIN(late_ms, p->mark_late_ms);
	p->mark_late_ms = (uint32_t)late_ms;

	/* Marks return in order: one that is missing before it was lost */
	while (find_sent(p, utterance)) {
		bool found = p->itemv[0].utterance == utterance;

		finish_first(p, true);
		if (found)
			return;
	}
}

/* -------------------------------------------------------------- heard */

void playout_heard(const struct playout *p, uint32_t utterance,
		   struct playout_heard *h, uint64_t now_ms)
{
	*h = (struct playout_heard){0};
	if (utterance == p->over.utterance)
		h->ms = h->total_ms = p->over.ms;

	for (size_t i = 0; i < p->itemc; i++) {
		const struct item *it = &p->itemv[i];
		const struct clip_word *word, *wordv;
		uint32_t pos;

		if (it->utterance != utterance)
			continue;

		pos = heard_samples(p, it, now_ms);
		h->ms = pos / AUDIO_PER_MS;
		if (clip_is_ended(it->clip))
			h->total_ms = (uint32_t)(clip_len(it->clip) /
						 AUDIO_PER_MS);
		h->timed = clip_words(it->clip, &wordv);
		word = pos ? word_at(it->clip, pos) : NULL;
		h->text = word ? word->text : 0;
		return;
	}
}

uint32_t playout_heard_ms(const struct playout *p, uint32_t utterance,
			  uint64_t now_ms)
{
	struct playout_heard h;

	playout_heard(p, utterance, &h, now_ms);

	return h.ms;
}

bool playout_is_busy(const struct playout *p, uint64_t now_ms)
{
	return p->itemc || (p->ends_ms > now_ms && !p->filling);
}

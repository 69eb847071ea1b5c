/**
 * @file session.c  The recogniser of one call: streams that may break
 *
 *	              audio, results            first result, or a second
 *	CONNECTING ──────────────────▶ UP
 *	   ▲  │                         │ stream ends
 *	   │  └────────▶ BROKEN ◀───────┘
 *	   └── back-off ───┘ └──▶ DOWN (refused for good, or too often)
 *
 *	any, after asr_session_finish() ──▶ ENDED
 *
 * Positions are those of the ring. `want` is where a new stream should start:
 * everything before it has come back as a final. A stream that starts behind
 * the newest audio catches up on a timer, at most ASR_REPLAY_SPEED times real
 * time; one that has caught up is fed as frames come in. What the backend does
 * not take stays in the ring.
 *
 * Owner graph: the session owns its stream; the stream's handlers refer weakly
 * to the session.
 */
#include <errno.h>
#include <string.h>
#include <convod/asr.h>
#include <convod/audio.h>
#include <convod/clk.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>

enum { BLOCK_SAMPLES_MAX = 100 * AUDIO_PER_MS };

struct asr_session {
	struct asr *asr;
	struct ring *ring; /* reference */
	char *conversation;
	char *call_id;
	uint32_t replay; /* samples */
	uint32_t block;  /* samples */
	uint32_t tries;
	asr_result_h *resulth;
	asr_state_h *stateh;
	void *arg;

	struct asr_stream *stream;
	enum asr_state state;
	bool catching; /* fed by the timer, not by frames              */
	bool finishing;
	bool finished; /* the stream is half-closed                    */
	bool answered; /* this stream has given a result               */

	uint64_t base;     /* position of the stream's first sample    */
	uint64_t want;     /* before it all came back as finals        */
	uint64_t accepted; /* end of the last word of a final, 0: none */
	uint64_t speech;   /* the caller was last heard speaking here  */
	uint64_t due;      /* likewise, but not moved by forgetting    */
	uint64_t reached;  /* newest position any stream was given     */
	uint64_t lost;     /* what was never sent is counted up to here */

	uint64_t opened_ms;
	uint64_t stalled_ms; /* since when the backend takes nothing  */
	uint64_t spoke_ms;   /* first speech this stream has not      */
	uint32_t unanswered; /* … answered, and how much [samples]    */
	uint32_t broken;     /* streams in a row without a result     */
	uint32_t backoff_ms;
	uint32_t seed; /* of the jitter */

	struct tmr *tmr_feed; /* catching up, or waiting for room */
	struct tmr *tmr_open; /* back-off                         */
	struct tmr *tmr_end;  /* bound of finishing               */
	struct loop_flush flush;
	uint64_t oldest_us;  /* reception of the oldest unsent frame */
	uint64_t written_us; /* likewise of the block just written   */
	struct halfband hb;
};

static int stream_open(struct asr_session *s);
static void stream_broken(struct asr_session *s, enum asr_end end,
			  const char *why);

static uint64_t now_ms(const struct asr_session *s)
{
	return loop_now_ms(s->asr->loop);
}

/* The handler may drop the session: whoever goes on after this holds a
 * reference, and looks whether it is the last one */
static void set_state(struct asr_session *s, enum asr_state state,
		      const char *why)
{
	if (s->state == state)
		return;

	s->state = state;
	if (s->stateh)
		s->stateh(state, why, s->arg);
}

static bool is_over(const struct asr_session *s)
{
	return s->state == ASR_DOWN || s->state == ASR_ENDED;
}

static void stop(struct asr_session *s)
{
	tmr_cancel(s->tmr_feed);
	tmr_cancel(s->tmr_open);
	tmr_cancel(s->tmr_end);
	s->stream = mem_deref(s->stream);
	s->catching = false;
}

static void session_end(struct asr_session *s, const char *why)
{
	stop(s);
	set_state(s, ASR_ENDED, why);
}

/* ------------------------------------------------------------- feeding */

/* Runs behind the connection's own flush, which write() asked for before */
static void written_handler(void *arg)
{
	struct asr_session *s = arg;
	uint64_t now = clk_now_us();

	if (now > s->written_us)
		metrics_latency(M_FRAME_TO_ASR, now - s->written_us);
}

/* Give the stream n samples from the ring; 0 or the backend's ENOBUFS */
static int write_samples(struct asr_session *s, size_t n)
{
	const uint64_t pos = ring_sent(s->ring);
	const struct halfband hb = s->hb;
	int16_t pcm[BLOCK_SAMPLES_MAX], pcm2[2 * BLOCK_SAMPLES_MAX];
	uint8_t ulaw[BLOCK_SAMPLES_MAX];
	bool wide = s->asr->srate == 2 * AUDIO_RATE;
	int err;

	n = ring_read(s->ring, ulaw, n);
	if (!n)
		return 0;

	g711_ulaw_decode_n(pcm, ulaw, n);
	if (wide)
		halfband_up2(&s->hb, pcm2, pcm, n);
	err = s->asr->be->write(s->stream, wide ? pcm2 : pcm,
				wide ? 2 * n : n);
	if (err) { /* nothing was taken: as if it had not been read */
		s->hb = hb;
		ring_seek(s->ring, pos);
		return err;
	}

	if (pos < s->reached)
		metrics_add(M_ASR_REPLAYED, MIN(n, s->reached - pos));
	s->reached = MAX(s->reached, pos + n);

	return 0;
}

/* Not logged: a recogniser that is away loses every frame of every call */
static void count_lost(uint64_t from, uint64_t to)
{
	if (to > from)
		metrics_add(M_ASR_LOST, to - from);
}

/* Audio older than replay_ms is given up. What no stream ever got of it is
 * lost, and counted here. */
static void bound_kept(struct asr_session *s)
{
	uint64_t head = ring_head(s->ring), sent = ring_sent(s->ring);
	uint64_t min = head > s->replay ? head - s->replay : 0;

	if (ring_kept(s->ring) >= min)
		return;

	if (sent < min) {
		count_lost(MAX(s->reached, s->lost), min);
		s->lost = min;
		s->base += min - sent; /* a hole in the stream's own time */
		ring_seek(s->ring, min);
	}
	ring_release(s->ring, min);
	s->want = MAX(s->want, ring_kept(s->ring));
}

/* The feeding timer's period makes the speed: one block each time */
static void feed_later(struct asr_session *s)
{
	s->catching = true;
	tmr_start(s->tmr_feed, s->asr->block_ms / ASR_REPLAY_SPEED);
}

static void half_close(struct asr_session *s)
{
	if (s->finished)
		return;

	s->finished = true;
	s->asr->be->finish(s->stream);
}

/* Everything is sent: frames feed from now on, or the end is told */
static void caught_up(struct asr_session *s)
{
	size_t rest = ring_pending(s->ring);

	s->catching = false;
	if (!s->finishing)
		return;

	if (rest && write_samples(s, rest)) {
		feed_later(s);
		return;
	}
	half_close(s);
}

static bool is_stalled(struct asr_session *s)
{
	uint64_t now = now_ms(s);

	if (!s->stalled_ms)
		s->stalled_ms = now;

	return now - s->stalled_ms >= ASR_STALL_MS;
}

static void feed_handler(void *arg)
{
	struct asr_session *s = arg;

	if (!s->stream || s->finished)
		return;

	bound_kept(s);
	if (ring_pending(s->ring) < s->block) {
		caught_up(s);
		return;
	}

	if (!write_samples(s, s->block)) {
		s->stalled_ms = 0;
		feed_later(s);
	} else if (is_stalled(s)) {
		stream_broken(s, ASR_END_RETRY, "takes no audio");
	} else {
		feed_later(s);
	}
}

static void feed_live(struct asr_session *s, uint64_t now_us)
{
	while (ring_pending(s->ring) >= s->block) {
		if (write_samples(s, s->block)) {
			feed_later(s);
			break;
		}
		s->written_us = s->oldest_us;
		s->oldest_us = now_us; /* the rest came with this frame */
		loop_flush_later(s->asr->loop, &s->flush);
	}
	if (!ring_pending(s->ring))
		s->oldest_us = 0;
}

/* Speech goes in and nothing ever comes out, on a connection that is up */
static bool is_deaf(const struct asr_session *s)
{
	return s->stream && !s->answered &&
	       s->unanswered >= ASR_DEAF_SPEECH_MS * AUDIO_PER_MS &&
	       now_ms(s) - s->spoke_ms >= ASR_DEAF_MS;
}

void asr_session_audio(struct asr_session *s, uint64_t now_us)
{
	if (!s || s->finishing)
		return;
	if (is_over(s)) { /* nobody will want it */
		ring_seek(s->ring, ring_head(s->ring));
		ring_release(s->ring, ring_head(s->ring));
		return;
	}

	if (!s->oldest_us)
		s->oldest_us = now_us;

	bound_kept(s);
	if (s->stream && !s->catching)
		feed_live(s, now_us);

	if (is_deaf(s)) {
		stream_broken(s, ASR_END_RETRY, "gives no result");
	} else if (s->state == ASR_CONNECTING && s->stream &&
		   now_ms(s) - s->opened_ms >= ASR_UP_MS) {
		set_state(s, ASR_UP, "");
	}
}

void asr_session_speech(struct asr_session *s, uint64_t pos)
{
	if (!s || pos <= s->speech)
		return;

	if (!s->unanswered)
		s->spoke_ms = now_ms(s);
	s->unanswered += (uint32_t)MIN(pos - s->speech, FRAME_SAMPLES);
	s->speech = pos;
}

/* -------------------------------------------------------------- results */

static uint64_t position(const struct asr_session *s, uint32_t ms)
{
	uint64_t pos = s->base + (uint64_t)ms * AUDIO_PER_MS;

	/* a word cannot end where nothing was sent yet */
	return MIN(pos, ring_sent(s->ring));
}

static void join_words(char *dst, size_t size, const struct asr_word *wordv,
		       size_t wordc)
{
	size_t len = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < wordc; i++) {
		size_t n = strlen(wordv[i].text);

		if (len + n + 2 > size)
			break;
		if (len)
			dst[len++] = ' ';
		memcpy(dst + len, wordv[i].text, n + 1);
		len += n;
	}
}

/* Leave out the words that an accepted final has brought already */
static void drop_words(const struct asr_session *s, struct asr_result *res,
		       char *text, size_t size)
{
	size_t n = 0;

	while (n < res->wordc &&
	       position(s, res->wordv[n].end_ms) <= s->accepted)
		++n;
	if (!n)
		return;

	res->wordv += n;
	res->wordc -= n;
	join_words(text, size, res->wordv, res->wordc);
	res->text = text;
}

static void accept_final(struct asr_session *s, const struct asr_result *res)
{
	if (res->end_pos) {
		s->accepted = MAX(s->accepted, res->end_pos);
		s->want = MAX(s->want, res->end_pos);
	} else {
		s->want = MAX(s->want, MIN(s->speech, ring_sent(s->ring)));
	}
	s->due = s->want;
	ring_release(s->ring, s->want);
	metrics_add(M_ASR_FINALS, res->text[0] != 0);
}

static void result_handler(const struct asr_result *from, void *arg)
{
	struct asr_session *s = mem_ref(arg);
	struct asr_result res = *from;
	char text[ASR_TEXT_MAX];

	s->answered = true;
	s->unanswered = 0;
	s->broken = 0;
	s->backoff_ms = ASR_BACKOFF_MIN_MS;
	set_state(s, ASR_UP, "");

	if (res.wordc && s->accepted)
		drop_words(s, &res, text, sizeof(text));
	if (res.wordc)
		res.end_pos = position(s, res.wordv[res.wordc - 1].end_ms);
	else
		res.end_pos = 0;

	if ((res.text[0] || res.rejected) && mem_nrefs(s) > 1 && !is_over(s)) {
		if (res.final)
			accept_final(s, &res);
		s->resulth(&res, s->arg);
	}
	mem_deref(s);
}

/* -------------------------------------------------------------- streams */

static void close_handler(enum asr_end end, const char *why, void *arg)
{
	stream_broken(arg, end, why);
}

/* Equal delays would bring all calls back in the same millisecond */
static uint32_t jitter(struct asr_session *s, uint32_t ms)
{
	s->seed = s->seed * 1664525u + 1013904223u;

	return ms - ms / 4 + (s->seed >> 16) % (ms / 2 + 1);
}

static void retry_later(struct asr_session *s)
{
	uint32_t ms = MIN(jitter(s, s->backoff_ms), ASR_BACKOFF_MAX_MS);

	s->backoff_ms = MIN(s->backoff_ms * 2, ASR_BACKOFF_MAX_MS);
	tmr_start(s->tmr_open, ms);
}

/* A limit that is reached is routine, unless the stream has hardly begun */
static bool is_routine(const struct asr_session *s, enum asr_end end)
{
	return (end == ASR_END_REOPEN || end == ASR_END_OK) &&
	       (s->answered || now_ms(s) - s->opened_ms >= ASR_UP_MS);
}

/* At once; but a recogniser that ends each stream after its first result
 * shall not keep us busy with nothing else */
static void reopen(struct asr_session *s)
{
	bool young = now_ms(s) - s->opened_ms < ASR_UP_MS;

	tmr_start(s->tmr_open, young ? ASR_BACKOFF_MIN_MS : 0);
}

static void give_up(struct asr_session *s, const char *why)
{
	if (s->finishing) {
		session_end(s, why);
		return;
	}

	metrics_inc(M_ASR_FAILED);
	log_warn(s->call_id, "recogniser given up", "backend=%s why=\"%s\"",
		 s->asr->be->name, LOG_STR(why));
	stop(s);
	set_state(s, ASR_DOWN, why);
}

static void stream_broken(struct asr_session *s, enum asr_end end,
			  const char *why)
{
	bool routine = is_routine(s, end);

	mem_ref(s);
	s->stream = mem_deref(s->stream);
	s->catching = false;
	tmr_cancel(s->tmr_feed);

	if (s->finishing &&
	    ((s->finished && end == ASR_END_OK) || end == ASR_END_FATAL)) {
		session_end(s, end == ASR_END_OK ? "" : why);
	} else if (routine) {
		reopen(s);
	} else {
		metrics_inc(M_ASR_BROKEN);
		log_info(s->call_id, "recogniser stream broke",
			 "backend=%s try=%u why=\"%s\"", s->asr->be->name,
			 s->broken + 1, LOG_STR(why));
		if (end == ASR_END_FATAL || ++s->broken >= s->tries) {
			give_up(s, why);
		} else {
			retry_later(s);
			set_state(s, ASR_BROKEN, why);
		}
	}
	mem_deref(s);
}

/* Go back to where the finals end, as far as that is kept. Speech in between
 * that no stream can be given again is lost. */
static void rewind_to_want(struct asr_session *s)
{
	uint64_t from;

	bound_kept(s);
	ring_seek(s->ring, s->want);
	from = ring_sent(s->ring);
	count_lost(s->due, MIN(from, MIN(s->speech, s->reached)));
	s->due = MAX(s->due, from);
	s->base = from;
	s->hb = (struct halfband){{0}};
}

static int stream_open(struct asr_session *s)
{
	const struct asr_stream_param prm = {s->conversation, s->call_id};
	int err = s->asr->be->open(&s->stream, s->asr, &prm, result_handler,
				   close_handler, s);

	if (err)
		return err;

	metrics_inc(M_ASR_STREAMS);
	s->opened_ms = now_ms(s);
	s->stalled_ms = 0;
	s->unanswered = 0;
	s->answered = s->finished = false;
	rewind_to_want(s);
	if (ring_pending(s->ring) >= s->block || s->finishing)
		feed_later(s);

	return 0;
}

static void open_handler(void *arg)
{
	struct asr_session *s = arg;
	int err = stream_open(s);

	if (err)
		stream_broken(s, ASR_END_RETRY, strerror(err));
	else if (s->state == ASR_BROKEN)
		set_state(s, ASR_CONNECTING, "");
}

/* ------------------------------------------------------------- set-up */

static void end_handler(void *arg)
{
	struct asr_session *s = arg;

	session_end(s, "no last result in time");
}

void asr_session_finish(struct asr_session *s)
{
	uint32_t left;

	if (!s || s->finishing || s->state == ASR_ENDED)
		return;

	s->finishing = true;
	left = (uint32_t)ring_pending(s->ring) / AUDIO_PER_MS;
	if (s->state == ASR_DOWN) {
		tmr_start(s->tmr_end, 0);
		return;
	}

	tmr_start(s->tmr_end, ASR_FINISH_MS + left / ASR_REPLAY_SPEED);
	if (s->stream && !s->catching)
		caught_up(s);
}

static void destructor(void *arg)
{
	struct asr_session *s = arg;

	stop(s);
	list_unlink(&s->flush.le);
	mem_deref(s->tmr_feed);
	mem_deref(s->tmr_open);
	mem_deref(s->tmr_end);
	mem_deref(s->conversation);
	mem_deref(s->call_id);
	mem_deref(s->ring);
	mem_deref(s->asr);
}

static uint32_t hash(const char *s)
{
	uint32_t h = 2166136261u; /* FNV-1a */

	for (; *s; s++)
		h = (h ^ (uint8_t)*s) * 16777619u;

	return h;
}

static int timers_alloc(struct asr_session *s)
{
	struct loop *l = s->asr->loop;
	int err = tmr_alloc(&s->tmr_feed, l, feed_handler, s);

	if (!err)
		err = tmr_alloc(&s->tmr_open, l, open_handler, s);
	if (!err)
		err = tmr_alloc(&s->tmr_end, l, end_handler, s);

	return err;
}

int asr_session_alloc(struct asr_session **sp, struct asr *a,
		      struct ring *ring, const struct asr_session_param *prm,
		      asr_result_h *resulth, asr_state_h *stateh, void *arg)
{
	struct asr_session *s;
	int err;

	if (!sp || !a || !ring || !prm || !resulth ||
	    !str_isset(prm->conversation) || !prm->call_id)
		return EINVAL;

	s = mem_zalloc(sizeof(*s), destructor);
	if (!s)
		return ENOMEM;

	s->asr = mem_ref(a);
	s->ring = mem_ref(ring);
	s->replay = (prm->replay_ms ? prm->replay_ms : ASR_REPLAY_MS) *
		    AUDIO_PER_MS;
	s->block = MIN(a->block_ms * AUDIO_PER_MS, BLOCK_SAMPLES_MAX);
	s->tries = prm->tries ? prm->tries : ASR_TRIES;
	s->backoff_ms = ASR_BACKOFF_MIN_MS;
	s->seed = hash(prm->call_id);
	s->state = ASR_CONNECTING;
	s->resulth = resulth;
	s->stateh = stateh;
	s->arg = arg;
	s->flush.h = written_handler;
	s->flush.arg = s;
	s->want = ring_kept(ring);
	s->reached = s->due = s->want;

	err = str_dup(&s->conversation, prm->conversation);
	if (!err)
		err = str_dup(&s->call_id, prm->call_id);
	if (!err)
		err = timers_alloc(s);
	if (err) {
		mem_deref(s);
		return err;
	}

	/* one that fails at once is tried again like one that breaks later */
	if (stream_open(s))
		retry_later(s);
	*sp = s;

	return 0;
}

/**
 * @file recorder.c  Writes a call to a sound file while it goes on
 *
 * Both sides gather in `gather`; a full second goes to a job, one at a time,
 * which owns `write` meanwhile. The last second stays behind, for a key may
 * turn out to be secret. The bot's audio waits in `ahead` until its time
 * comes: playout sends it before it is heard.
 *
 * Owner graph: the call owns the recorder until recorder_close(); a running
 * job owns another reference.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/record.h>
#include <convod/str.h>
#include "recorder.h"

enum {
	BATCH = RECORDER_BATCH_S * AUDIO_RATE,
	HIDE = RECORDER_HIDE_MS * AUDIO_PER_MS,
	BEHIND_MAX = RECORDER_BEHIND_MAX_S * AUDIO_RATE,
	AHEAD_MAX = 8 * AUDIO_RATE, /* playout's lead is 5 s at most */
	SAME_NAME_MAX = 100,
	PATH_MAX_BYTES = 1024,
};

/** Samples of both sides, of the same time */
struct sides {
	uint8_t *callerv;
	uint8_t *botv;
	size_t n;
};

struct recorder {
	struct loop *loop;
	struct sides gather; /* room for BEHIND_MAX */
	struct sides write;  /* likewise; the job's while it is busy */
	uint8_t *aheadv;
	size_t aheadc;
	struct dtmf *dtmf;
	size_t hidec; /* samples of the caller's that are still hidden */
	bool busy;
	bool begun; /* there is, or will be, a file */
	bool closing;
	bool failed;

	/* the job's */
	char *dir;
	char *name;
	struct record *record;
	bool last; /* close the file: that is disk work too */
	int err;
};

static void sides_free(struct sides *s)
{
	mem_deref(s->callerv);
	mem_deref(s->botv);
}

static int sides_make(struct sides *s)
{
	s->callerv = mem_zalloc(BEHIND_MAX, NULL);
	s->botv = mem_zalloc(BEHIND_MAX, NULL);

	return s->callerv && s->botv ? 0 : ENOMEM;
}

static void destructor(void *arg)
{
	struct recorder *r = arg;

	mem_deref(r->record);
	sides_free(&r->gather);
	sides_free(&r->write);
	mem_deref(r->aheadv);
	mem_deref(r->dtmf);
	mem_deref(r->dir);
	mem_deref(r->name);
}

/* A call's id comes from outside, and names a file */
static int file_name(char **dst, const char *call_id)
{
	char *s;
	int err = str_dup(&s, *call_id ? call_id : "call");

	if (err)
		return err;

	for (char *p = s; *p; p++) {
		if (!isalnum((unsigned char)*p) && *p != '-' && *p != '_')
			*p = '_';
	}
	*dst = s;

	return 0;
}

int recorder_alloc(struct recorder **rp, struct loop *l, const char *dir,
		   const char *call_id)
{
	struct recorder *r = mem_zalloc(sizeof(*r), destructor);
	int err;

	if (!r)
		return ENOMEM;

	r->loop = l;
	err = str_dup(&r->dir, dir);
	if (!err)
		err = file_name(&r->name, call_id);
	if (!err)
		err = dtmf_alloc(&r->dtmf);
	if (!err)
		err = sides_make(&r->gather);
	if (!err)
		err = sides_make(&r->write);
	if (!err) {
		r->aheadv = mem_zalloc(AHEAD_MAX, NULL);
		err = r->aheadv ? 0 : ENOMEM;
	}
	if (err)
		mem_deref(r);
	else
		*rp = r;

	return err;
}

/* ---------------------------------------------------------- in the job */

/* A name that is not taken: a call may be recorded more than once */
static int open_file(struct recorder *r)
{
	char path[PATH_MAX_BYTES];
	int n = snprintf(path, sizeof(path), "%s/recordings", r->dir);

	if (n < 0 || (size_t)n >= sizeof(path))
		return ENAMETOOLONG;
	if (mkdir(path, 0700) && errno != EEXIST)
		return errno;

	for (unsigned i = 1; i <= SAME_NAME_MAX; i++) {
		char suffix[16] = "";

		if (i > 1)
			(void)snprintf(suffix, sizeof(suffix), "-%u", i);
		n = snprintf(path, sizeof(path), "%s/recordings/%s%s.wav",
			     r->dir, r->name, suffix);
		if (n < 0 || (size_t)n >= sizeof(path))
			return ENAMETOOLONG;
		if (access(path, F_OK))
			return record_alloc(&r->record, path);
	}

	return EEXIST;
}

static int write_frames(struct recorder *r)
{
	int16_t callerv[FRAME_SAMPLES], botv[FRAME_SAMPLES];
	int err = 0;

	for (size_t i = 0; i < r->write.n && !err; i += FRAME_SAMPLES) {
		size_t n = MIN(r->write.n - i, (size_t)FRAME_SAMPLES);

		g711_ulaw_decode_n(callerv, r->write.callerv + i, n);
		g711_ulaw_decode_n(botv, r->write.botv + i, n);
		err = record_write(r->record, callerv, botv, n);
	}

	return err;
}

static void job_handler(void *arg)
{
	struct recorder *r = arg;

	r->err = r->record ? 0 : open_file(r);
	if (!r->err)
		r->err = write_frames(r);
	if (r->last)
		r->record = mem_deref(r->record);
}

/* ---------------------------------------------------------- on the loop */

static void write_later(struct recorder *r);

static void done_handler(int err, void *arg)
{
	struct recorder *r = arg;

	if (!err)
		err = r->err;
	if (err && !r->failed) {
		r->failed = true;
		metrics_inc(M_RECORDINGS_FAILED);
		log_error(r->name, "recording failed", "err=\"%s\"",
			  strerror(err));
	}
	r->busy = false;
	if (r->closing)
		write_later(r);
	mem_deref(r); /* the job's reference */
}

/* Swap the two, and keep so much of what was gathered last */
static void pass_gathered(struct recorder *r, size_t keep)
{
	struct sides old = r->gather;
	size_t n = old.n - keep;

	r->gather = r->write;
	r->gather.n = keep;
	memcpy(r->gather.callerv, old.callerv + n, keep);
	memcpy(r->gather.botv, old.botv + n, keep);
	r->write = old;
	r->write.n = n;
}

static void write_later(struct recorder *r)
{
	if (r->busy || r->failed || r->last ||
	    (!r->gather.n && !(r->closing && r->begun)))
		return;

	pass_gathered(r, r->closing ? 0 : MIN(r->gather.n, (size_t)HIDE));
	r->busy = r->begun = true;
	r->last = r->closing;
	mem_ref(r);
	if (loop_job(r->loop, job_handler, done_handler, r)) {
		r->busy = false;
		r->failed = true;
		metrics_inc(M_RECORDINGS_FAILED);
		mem_deref(r);
	}
}

void recorder_bot(struct recorder *r, const uint8_t *ulawv, size_t n)
{
	n = MIN(n, AHEAD_MAX - r->aheadc);
	memcpy(r->aheadv + r->aheadc, ulawv, n);
	r->aheadc += n;
}

void recorder_clear(struct recorder *r)
{
	r->aheadc = 0;
}

void recorder_hide(struct recorder *r)
{
	size_t n = MIN(r->gather.n, (size_t)HIDE);

	memset(r->gather.callerv + r->gather.n - n, ULAW_SILENCE, n);
	r->hidec = HIDE;
}

static bool is_tone(struct recorder *r, const uint8_t *ulawv)
{
	int16_t pcmv[FRAME_SAMPLES];

	g711_ulaw_decode_n(pcmv, ulawv, FRAME_SAMPLES);

	return dtmf_frame(r->dtmf, pcmv) || dtmf_is_pressed(r->dtmf);
}

static void gather(struct recorder *r, const uint8_t *ulawv, size_t botc)
{
	struct sides *s = &r->gather;

	if (ulawv && !r->hidec)
		memcpy(s->callerv + s->n, ulawv, FRAME_SAMPLES);
	else
		memset(s->callerv + s->n, ULAW_SILENCE, FRAME_SAMPLES);
	memcpy(s->botv + s->n, r->aheadv, botc);
	memset(s->botv + s->n + botc, ULAW_SILENCE, FRAME_SAMPLES - botc);
	s->n += FRAME_SAMPLES;
}

void recorder_frame(struct recorder *r, const uint8_t *ulawv, bool secret)
{
	size_t n = MIN(r->aheadc, (size_t)FRAME_SAMPLES);

	/* one that was hidden may last longer than anybody says so */
	if (ulawv && (secret || r->hidec) && is_tone(r, ulawv))
		recorder_hide(r);
	if (r->gather.n + FRAME_SAMPLES > BEHIND_MAX || r->failed)
		metrics_add(M_RECORDING_LOST, FRAME_SAMPLES);
	else
		gather(r, ulawv, n);

	r->hidec -= MIN(r->hidec, (size_t)FRAME_SAMPLES);
	r->aheadc -= n;
	memmove(r->aheadv, r->aheadv + n, r->aheadc);
	if (r->gather.n >= BATCH + HIDE)
		write_later(r);
}

struct recorder *recorder_close(struct recorder *r)
{
	if (r) {
		r->closing = true;
		write_later(r);
	}

	return mem_deref(r);
}

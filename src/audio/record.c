/**
 * @file record.c  Sound files of calls, by libsndfile
 */
#include <errno.h>
#include <string.h>
#include <sndfile.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/record.h>

enum { BLOCK = 1024, CHANNELS_MAX = 8 };

struct record {
	SNDFILE *file;
	uint64_t len;
	bool failed;
};

static void record_destructor(void *arg)
{
	struct record *r = arg;

	if (r->file)
		sf_close(r->file);
}

/* libsndfile keeps errno of a failed open; not always of anything else */
static int open_error(void)
{
	int err = errno;

	return sf_error(NULL) == SF_ERR_SYSTEM && err ? err : EBADMSG;
}

int record_alloc(struct record **rp, const char *path)
{
	SF_INFO info = {
		.samplerate = AUDIO_RATE,
		.channels = 2,
		.format = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
	};
	struct record *r;

	if (!rp || !path)
		return EINVAL;

	r = mem_zalloc(sizeof(*r), record_destructor);
	if (!r)
		return ENOMEM;

	errno = 0;
	r->file = sf_open(path, SFM_WRITE, &info);
	if (!r->file) {
		int err = open_error();

		mem_deref(r);
		return err;
	}

	(void)sf_command(r->file, SFC_SET_UPDATE_HEADER_AUTO, NULL, SF_TRUE);
	*rp = r;

	return 0;
}

int record_write(struct record *r, const int16_t *callerv, const int16_t *botv,
		 size_t n)
{
	int16_t bothv[2 * BLOCK];

	if (!r || !callerv || !botv)
		return EINVAL;

	while (n && !r->failed) {
		size_t k = MIN(n, (size_t)BLOCK);

		for (size_t i = 0; i < k; i++) {
			bothv[2 * i] = callerv[i];
			bothv[2 * i + 1] = botv[i];
		}
		if (sf_writef_short(r->file, bothv, (sf_count_t)k) !=
		    (sf_count_t)k)
			r->failed = true;

		r->len += k;
		callerv += k;
		botv += k;
		n -= k;
	}

	return r->failed ? EIO : 0;
}

uint64_t record_len(const struct record *r)
{
	return r ? r->len : 0;
}

/* -------------------------------------------------------------- reading */

struct samples {
	int16_t *v;
	size_t n, size;
	int err;
};

static void append(const int16_t *pcmv, size_t n, void *arg)
{
	struct samples *s = arg;

	if (s->err)
		return;
	if (s->n + n > (size_t)RECORD_READ_MAX_S * AUDIO_RATE) {
		s->err = EOVERFLOW;
		return;
	}
	if (s->n + n > s->size) {
		size_t size = MAX(2 * s->size, s->n + n + AUDIO_RATE);
		int16_t *v = mem_zalloc(size * sizeof(*v), NULL);

		if (!v) {
			s->err = ENOMEM;
			return;
		}
		if (s->n)
			memcpy(v, s->v, s->n * sizeof(*v));
		mem_deref(s->v);
		s->v = v;
		s->size = size;
	}

	memcpy(s->v + s->n, pcmv, n * sizeof(*pcmv));
	s->n += n;
}

/* 8000 Hz mono 16-bit comes out bit for bit */
static int read_plain(SNDFILE *file, struct samples *s)
{
	int16_t buf[BLOCK];
	sf_count_t k;

	while (!s->err && (k = sf_read_short(file, buf, BLOCK)) > 0)
		append(buf, (size_t)k, s);

	return s->err;
}

static int read_resampled(SNDFILE *file, const SF_INFO *info,
			  struct samples *s)
{
	float buf[BLOCK * CHANNELS_MAX];
	struct resampler *r = NULL;
	int err = resampler_alloc(&r, (uint32_t)info->samplerate,
				  (uint32_t)info->channels);

	while (!err) {
		sf_count_t k = sf_readf_float(file, buf, BLOCK);

		err = resampler_push(r, buf, k > 0 ? (size_t)k : 0, k <= 0,
				     append, s);
		if (!err)
			err = s->err;
		if (k <= 0)
			break;
	}
	mem_deref(r);

	return err == EINVAL ? EBADMSG : err;
}

int record_read(int16_t **pcmv, size_t *n, const char *path)
{
	struct samples s = {0};
	SF_INFO info = {0};
	SNDFILE *file;
	int err;

	if (!pcmv || !n || !path)
		return EINVAL;

	errno = 0;
	file = sf_open(path, SFM_READ, &info);
	if (!file)
		return open_error();

	if (info.channels > CHANNELS_MAX)
		err = EBADMSG;
	else if (info.samplerate == AUDIO_RATE && info.channels == 1)
		err = read_plain(file, &s);
	else
		err = read_resampled(file, &info, &s);
	sf_close(file);

	if (!err && !s.n)
		err = ENODATA;
	if (err) {
		mem_deref(s.v);
		return err;
	}

	*pcmv = s.v;
	*n = s.n;

	return 0;
}

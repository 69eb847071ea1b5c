/**
 * @file decode_file.c  Ogg, FLAC, AU, AIFF: gathered, then libsndfile
 *
 * libsndfile does not follow a growing file. What the header says about the
 * length is not looked at: frames are read until there are no more.
 */
#include <errno.h>
#include <string.h>
#include <sndfile.h>
#include <convod/buf.h>
#include <convod/mem.h>
#include "decode_priv.h"

enum {
	READ_FRAMES = 512,
	OGG_PAGE_HEADER = 27,
	OGG_HEADER_PACKETS = 3, /* of Vorbis; Opus has two and audio */
};

struct file {
	struct buf buf;
	size_t pos; /* of libsndfile */
};

static void destructor(void *arg)
{
	struct file *f = arg;

	buf_reset(&f->buf);
}

static int file_alloc(void **statep)
{
	*statep = mem_zalloc(sizeof(struct file), destructor);

	return *statep ? 0 : ENOMEM;
}

static sf_count_t length_handler(void *arg)
{
	const struct file *f = arg;

	return (sf_count_t)f->buf.n;
}

static sf_count_t seek_handler(sf_count_t offset, int whence, void *arg)
{
	struct file *f = arg;
	sf_count_t n = (sf_count_t)f->buf.n;
	sf_count_t from = whence == SEEK_CUR   ? (sf_count_t)f->pos
			  : whence == SEEK_END ? n
					       : 0;

	if (offset < -from || offset > n - from)
		return -1;
	f->pos = (size_t)(from + offset);

	return (sf_count_t)f->pos;
}

static sf_count_t read_handler(void *dst, sf_count_t count, void *arg)
{
	struct file *f = arg;
	size_t n = count > 0 ? MIN((size_t)count, f->buf.n - f->pos) : 0;

	if (n)
		memcpy(dst, f->buf.p + f->pos, n);
	f->pos += n;

	return (sf_count_t)n;
}

static sf_count_t write_handler(const void *src, sf_count_t count, void *arg)
{
	(void)src;
	(void)count;
	(void)arg;

	return 0;
}

static sf_count_t tell_handler(void *arg)
{
	const struct file *f = arg;

	return (sf_count_t)f->pos;
}

static int read_frames(SNDFILE *sf, const SF_INFO *info, struct decode_sink *s)
{
	float v[READ_FRAMES * DECODE_CHANNELS_MAX];
	int err = EBADMSG;

	if (info->samplerate > 0 && info->channels > 0)
		err = sink_format(s, (uint32_t)info->samplerate,
				  (uint32_t)info->channels);

	while (!err) {
		sf_count_t n = sf_readf_float(sf, v, READ_FRAMES);

		if (n <= 0)
			break;
		err = sink_push(s, v, (size_t)n);
	}

	return err;
}

/*
 * Are the first packets of an Ogg stream all there? libsndfile (1.2.0) leaks
 * some 6 kB for each Vorbis file that is cut within its headers.
 */
static bool ogg_has_headers(const uint8_t *p, size_t n)
{
	unsigned packets = 0;

	while (n >= OGG_PAGE_HEADER && !memcmp(p, "OggS", 4)) {
		size_t segments = p[OGG_PAGE_HEADER - 1];
		size_t size = OGG_PAGE_HEADER + segments;
		unsigned ends = 0;

		if (n < size)
			return false;
		for (size_t i = OGG_PAGE_HEADER;
		     i < OGG_PAGE_HEADER + segments; i++) {
			size += p[i];
			ends += p[i] < 255;
		}
		if (n < size)
			return false;
		packets += ends;
		if (packets >= OGG_HEADER_PACKETS)
			return true;
		p += size;
		n -= size;
	}

	return false;
}

static int decode(struct file *f, struct decode_sink *s)
{
	SF_VIRTUAL_IO io = {
		.get_filelen = length_handler,
		.seek = seek_handler,
		.read = read_handler,
		.write = write_handler,
		.tell = tell_handler,
	};
	SF_INFO info = {0};
	SNDFILE *sf;
	int err;

	if (!memcmp(f->buf.p, "OggS", 4) &&
	    !ogg_has_headers(buf_bytes(&f->buf), f->buf.n))
		return EBADMSG;

	sf = sf_open_virtual(&io, SFM_READ, &info, f);
	if (!sf)
		return EBADMSG;

	err = read_frames(sf, &info, s);
	(void)sf_close(sf);

	return err;
}

static int file_push(void *state, struct decode_sink *s, const uint8_t *p,
		     size_t n, bool last)
{
	struct file *f = state;
	int err = buf_add(&f->buf, p, n, DECODE_FILE_MAX_BYTES);

	if (!err && last)
		err = decode(f, s);

	return err;
}

const struct decode_codec decode_file = {file_alloc, file_push};

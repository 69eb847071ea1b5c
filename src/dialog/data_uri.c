/**
 * @file data_uri.c  Audio that stands in a reply itself
 *
 * Spec: RFC 2397
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/audio.h>
#include <convod/decode.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "data_uri.h"

/** What the job works on; only its end touches the clip */
struct job {
	struct clip *clip;
	struct decoder *decoder;
	char *text; /* base64 */
	size_t textc;
	struct clip *decoded; /* the job's own until its end */
	int err;
};

static void destructor(void *arg)
{
	struct job *j = arg;

	mem_deref(j->clip);
	mem_deref(j->decoder);
	mem_deref(j->text);
	mem_deref(j->decoded);
}

static void samples_handler(const uint8_t *ulawv, size_t n, void *arg)
{
	struct job *j = arg;

	if (!j->err)
		j->err = clip_append(j->decoded, ulawv, n);
}

static int decode(struct job *j)
{
	uint8_t *p = mem_raw_malloc(BASE64_DECODED_MAX(j->textc));
	size_t n = 0;
	int err;

	if (!p)
		return ENOMEM;

	err = base64_decode(p, &n, j->text, j->textc);
	if (!err)
		err = decoder_push(j->decoder, p, n, true, samples_handler, j);
	mem_raw_free(p);

	return j->err ? j->err : err;
}

static void job_handler(void *arg)
{
	struct job *j = arg;

	j->err = decode(j);
}

static void done_handler(int err, void *arg)
{
	struct job *j = arg;

	if (!err)
		err = j->err;
	if (clip_len(j->decoded)) { /* damaged: what came before it */
		int e = clip_append(j->clip, clip_data(j->decoded),
				    clip_len(j->decoded));

		err = e ? e : err;
	}
	metrics_inc(err ? M_AUDIO_FAILED : M_AUDIO_FETCHED);
	clip_end(j->clip, err);
	mem_deref(j);
}

bool uri_is_data(const char *uri)
{
	return !strncasecmp(uri, "data:", 5);
}

/** Where the base64 begins, NULL if it is none */
static const char *find_base64(const char *uri)
{
	static const char mark[] = ";base64";
	const char *comma = strchr(uri, ',');
	size_t n = strlen(mark);

	if (!comma || (size_t)(comma - uri) < n ||
	    strncasecmp(comma - n, mark, n) != 0)
		return NULL;

	return comma + 1;
}

static int job_alloc(struct job **jp, const char *base64, uint32_t max_ms)
{
	struct job *j = mem_zalloc(sizeof(*j), destructor);
	int err;

	if (!j)
		return ENOMEM;

	j->textc = strlen(base64);
	err = str_dup(&j->text, base64);
	if (!err)
		err = decoder_alloc(&j->decoder, DECODE_SNIFF, 0, max_ms);
	if (!err)
		err = clip_alloc(&j->clip, (size_t)max_ms * AUDIO_PER_MS);
	if (!err)
		err = clip_alloc(&j->decoded, (size_t)max_ms * AUDIO_PER_MS);
	if (err)
		mem_deref(j);
	else
		*jp = j;

	return err;
}

int data_uri_decode(struct clip **cp, const struct net *net, const char *uri,
		    size_t max, uint32_t max_ms)
{
	const char *base64;
	struct clip *clip;
	struct job *j;
	int err;

	if (!cp || !net || !uri)
		return EINVAL;
	if (strnlen(uri, max + 1) > max)
		return EOVERFLOW;
	base64 = find_base64(uri);
	if (!base64)
		return EBADMSG;

	err = job_alloc(&j, base64, max_ms);
	if (err)
		return err;

	clip = mem_ref(j->clip);
	err = loop_job(net->loop, job_handler, done_handler, j);
	if (err) {
		mem_deref(clip);
		mem_deref(j);
		return err;
	}
	*cp = clip;

	return 0;
}

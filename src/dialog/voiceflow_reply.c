/**
 * @file voiceflow_reply.c  From Voiceflow's traces to acts
 *
 * A transfer, or the end, is what an answer comes to when all of it was said:
 * its act comes last, and a transfer wins, wherever in the answer it stood.
 *
 * What is being written (completion) is said sentence by sentence. What their
 * voice speaks (audio events) is one clip a message, which grows as the pieces
 * come. Its words come in a trace of their own, before or after it
 * (unverified), so texts are held until there is audio for them: the n-th
 * message is taken for that of the n-th text. Those for which none came are
 * spoken by our voice in the end.
 *
 *	reply ──▶ clip that arrives, text not yet said, buttons and paths
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/audio.h>
#include <convod/buf.h>
#include <convod/clip.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/metrics.h>
#include <convod/sentence.h>
#include <convod/str.h>
#include "data_uri.h"
#include "voiceflow.h"

struct voiceflow_reply {
	struct voiceflow_reply_param prm;

	/* across answers */
	bool uninterruptible;
	json_t *buttons, *paths;

	/* of this answer */
	bool muted;
	bool fresh; /* no trace yet */
	bool ended;
	char *number; /* to transfer to, NULL: no transfer */
	struct buf text;
	struct clip *clip;
	bool arriving;  /* between an audio's start and end    */
	bool played;    /* its clip was given to the caller    */
	unsigned texts; /* counted with audio only             */
	unsigned audios;
	unsigned unspeakable; /* number of the text "transfer-now"   */
	unsigned ignored;
};

static void begin(struct voiceflow_reply *r)
{
	r->muted = r->ended = r->arriving = r->played = false;
	r->fresh = true;
	r->number = mem_deref(r->number);
	buf_drop(&r->text, r->text.n);
	if (r->clip)
		clip_end(r->clip, ECANCELED);
	r->clip = mem_deref(r->clip);
	r->texts = r->audios = r->unspeakable = r->ignored = 0;
}

static void destructor(void *arg)
{
	struct voiceflow_reply *r = arg;

	begin(r);
	buf_reset(&r->text);
	json_decref(r->buttons);
	json_decref(r->paths);
}

int voiceflow_reply_alloc(struct voiceflow_reply **rp,
			  const struct voiceflow_reply_param *prm)
{
	struct voiceflow_reply *r = mem_zalloc(sizeof(*r), destructor);

	if (!r)
		return ENOMEM;

	r->prm = *prm;
	*rp = r;

	return 0;
}

void voiceflow_reply_begin(struct voiceflow_reply *r)
{
	begin(r);
}

void voiceflow_reply_mute(struct voiceflow_reply *r)
{
	r->muted = true;
}

const json_t *voiceflow_reply_buttons(const struct voiceflow_reply *r)
{
	return r->buttons;
}

const json_t *voiceflow_reply_paths(const struct voiceflow_reply *r)
{
	return r->paths;
}

/* ---------------------------------------------------------------- acts */

static void act(struct voiceflow_reply *r, struct dialog_act a)
{
	if (r->muted)
		return;

	a.origin = r->prm.origin;
	a.uninterruptible = r->uninterruptible;
	r->prm.acth(&a, r->prm.arg);
}

static void transfer(struct voiceflow_reply *r, const char *number)
{
	/* the first one stands; without memory there is none */
	if (!r->number && str_dup(&r->number, number))
		r->number = NULL;
}

static void say(struct voiceflow_reply *r, const char *text)
{
	if (voiceflow_is_transfer(text))
		transfer(r, "");
	else
		act(r, (struct dialog_act){.type = DIALOG_SAY, .text = text});
}

/* ---------------------------------------------------------------- text */

/* Nobody says that much before there is an end of a sentence or audio, and it
 * is moved with each sentence that leaves */
static int append(struct voiceflow_reply *r, const char *s)
{
	return buf_add(&r->text, s, strlen(s), DIALOG_TEXT_MAX);
}

static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Take n bytes away and say them */
static void say_first(struct voiceflow_reply *r, size_t n)
{
	const char *s = r->text.p;
	size_t begin = 0, end = n;
	char *copy;
	int err;

	while (begin < end && is_blank(s[begin]))
		++begin;
	while (end > begin && is_blank(s[end - 1]))
		--end;

	err = str_ndup(&copy, s + begin, end - begin);
	buf_drop(&r->text, n);
	if (err)
		return;
	if (*copy)
		say(r, copy);
	mem_deref(copy);
}

static void say_sentences(struct voiceflow_reply *r, bool last)
{
	while (r->text.n) {
		size_t n = sentence_cut(r->text.p, r->text.n, last);

		if (!n)
			break;
		say_first(r, n);
	}
}

/** A text for which audio comes, or has come */
static void hold(struct voiceflow_reply *r, const char *text)
{
	if (++r->texts <= r->audios)
		return;
	if ((r->text.n && append(r, "\n")) || append(r, text))
		++r->ignored;
}

static void say_or_hold(struct voiceflow_reply *r, const char *text)
{
	if (r->prm.audio) {
		hold(r, text);
	} else {
		say_sentences(r, true);
		say(r, text);
	}
}

static void completion(struct voiceflow_reply *r,
		       const struct voiceflow_trace *t)
{
	if (t->state == VF_START)
		say_sentences(r, true);
	if (append(r, t->text)) {
		++r->ignored;
		return;
	}
	say_sentences(r, t->state == VF_STOP);
}

/* --------------------------------------------------------------- audio */

static void end_clip(struct voiceflow_reply *r, int err)
{
	if (r->clip)
		clip_end(r->clip, err);
	r->clip = mem_deref(r->clip);
	r->arriving = r->played = false;
}

static void begin_clip(struct voiceflow_reply *r)
{
	end_clip(r, 0);
	++r->audios;
	r->arriving = true;
}

/** With its first bytes: a clip that stays empty would count as failed */
static void play_clip(struct voiceflow_reply *r)
{
	struct clip *clip = mem_ref(r->clip);

	r->played = true;
	act(r, (struct dialog_act){.type = DIALOG_PLAY,
				   .clip = clip,
				   .text = buf_str(&r->text)});
	buf_drop(&r->text, r->text.n);
	mem_deref(clip);
}

static void audio_content(struct voiceflow_reply *r, const char *base64)
{
	size_t len = strlen(base64), n = 0;
	uint8_t *p;
	int err;

	if (!r->clip && clip_alloc(&r->clip, VOICEFLOW_AUDIO_MAX_S * 1000 *
						     (size_t)AUDIO_PER_MS))
		return;
	p = mem_raw_malloc(BASE64_DECODED_MAX(len));
	if (!p)
		return;

	err = base64_decode(p, &n, base64, len);
	if (err)
		++r->ignored;
	else if (n)
		/* too long: it has ended by itself */
		err = clip_append(r->clip, p, n);
	mem_raw_free(p);
	if (!err && n && !r->played)
		play_clip(r);
}

static void audio(struct voiceflow_reply *r, const struct voiceflow_trace *t)
{
	/* nobody asked for it, and the words come as well */
	if (r->muted || !r->prm.audio)
		return;

	if (t->state == VF_STOP)
		end_clip(r, 0);
	else if (t->state == VF_START || !r->arriving)
		begin_clip(r);
	if (t->state == VF_CONTENT && r->audios != r->unspeakable)
		audio_content(r, t->text);
}

static void play_data(struct voiceflow_reply *r,
		      const struct voiceflow_trace *t)
{
	struct clip *clip;
	int err = data_uri_decode(&clip, r->prm.net, t->url,
				  VOICEFLOW_AUDIO_MAX_BYTES,
				  VOICEFLOW_AUDIO_MAX_S * 1000);

	if (err) {
		metrics_inc(M_AUDIO_FAILED);
		if (*t->text)
			say(r, t->text);
		return;
	}
	act(r, (struct dialog_act){
		       .type = DIALOG_PLAY, .clip = clip, .text = t->text});
	mem_deref(clip);
}

static void play(struct voiceflow_reply *r, const struct voiceflow_trace *t)
{
	if (r->muted)
		return;

	if (!r->prm.audio)
		say_sentences(r, true);
	if (uri_is_data(t->url))
		play_data(r, t);
	else
		act(r, (struct dialog_act){.type = DIALOG_PLAY,
					   .url = t->url,
					   .text = t->text});
}

/* -------------------------------------------------------------- traces */

static void remember(json_t **dst, json_t *src)
{
	json_t *old = *dst;

	*dst = json_incref(src);
	json_decref(old);
}

/* One key is the whole answer there: nobody shall wait for a second one */
static void expect_key(struct voiceflow_reply *r,
		       const struct voiceflow_trace *t)
{
	remember(&r->paths, t->list);
	act(r, (struct dialog_act){.type = DIALOG_COLLECT, .digits = 1});
}

void voiceflow_reply_trace(const struct voiceflow_trace *t, void *arg)
{
	struct voiceflow_reply *r = arg;

	/* the dialog has moved on: what was offered before is void */
	if (r->fresh) {
		remember(&r->buttons, NULL);
		remember(&r->paths, NULL);
		r->fresh = false;
	}

	switch (t->type) {
	case VF_UNKNOWN:
		++r->ignored;
		break;
	case VF_QUIET:
		break;
	case VF_SAY:
		say_or_hold(r, t->text);
		break;
	case VF_PLAY:
		play(r, t);
		break;
	case VF_CHOICE:
		remember(&r->buttons, t->list);
		break;
	case VF_KEYS:
		expect_key(r, t);
		break;
	case VF_NO_REPLY:
		act(r,
		    (struct dialog_act){.type = DIALOG_SILENCE, .ms = t->ms});
		break;
	case VF_TRANSFER:
		if (t->on)
			r->unspeakable = ++r->texts;
		transfer(r, t->text);
		break;
	case VF_INTERRUPTION:
		r->uninterruptible = !t->on;
		break;
	case VF_END:
		r->ended = true;
		break;
	case VF_COMPLETION:
		completion(r, t);
		break;
	case VF_AUDIO:
		audio(r, t);
		break;
	}
}

bool voiceflow_reply_end(struct voiceflow_reply *r, int err)
{
	end_clip(r, err);
	say_sentences(r, true);
	metrics_add(M_DIALOG_IGNORED, r->ignored);
	r->ignored = 0;
	if (r->number)
		act(r, (struct dialog_act){.type = DIALOG_TRANSFER,
					   .text = r->number});
	else if (r->ended)
		act(r, (struct dialog_act){.type = DIALOG_HANGUP});

	return r->ended || r->number;
}

/**
 * @file fake_voice.h  Voices that say what a test tells them to, and a caller
 */
#ifndef CONVOD_FAKE_VOICE_H
#define CONVOD_FAKE_VOICE_H

#include <stdio.h>
#include <unistd.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/voice.h>
#include "folder.h"

enum { MAX_MS = 60000, CLIP_MAX = MAX_MS * 8, MB = 1 << 20, NEVER_MS = 60000 };

/** A voice that speaks when the test says so */
struct fake {
	struct tts tts; /* first */
	struct list reql;
	unsigned asked;
	int err; /* of speak() */
	char text[256];
	char voice[32];
};

struct fake_req {
	struct le le;
	struct clip *clip;
};

struct fixture {
	struct net net;
	struct voice_cache *cache;
	struct fake *first, *second;
	struct voice *voice;
	char dir[FOLDER_MAX]; /* of the cache, or "" */
};

/* ------------------------------------------------------------ the voices */

static inline void fake_req_destructor(void *arg)
{
	struct fake_req *r = arg;

	list_unlink(&r->le);
	mem_deref(r->clip);
}

static inline int fake_speak(void **rp, struct tts *t,
			     const struct tts_text *text, struct clip *clip)
{
	struct fake *f = CONTAINER_OF(t, struct fake, tts);
	struct fake_req *r;

	++f->asked;
	str_copy(f->text, sizeof(f->text), text->text);
	str_copy(f->voice, sizeof(f->voice), text->voice ? text->voice : "-");
	if (f->err)
		return f->err;

	r = mem_zalloc(sizeof(*r), fake_req_destructor);
	if (!r)
		return ENOMEM;

	r->clip = mem_ref(clip);
	list_append(&f->reql, &r->le, r);
	*rp = r;

	return 0;
}

static const struct tts_backend fake_backend = {
	.name = "fake",
	.speak = fake_speak,
};

static inline unsigned busy(const struct fake *f)
{
	return (unsigned)list_count(&f->reql);
}

static inline struct fake_req *oldest(struct fake *f)
{
	assert_non_null(f->reql.head);

	return list_ledata(f->reql.head);
}

/* Samples from the request that has waited longest */
static inline void say(struct fake *f, size_t n)
{
	static uint8_t v[CLIP_MAX];
	struct clip *c = oldest(f)->clip;
	int err;

	for (size_t i = 0; i < n; i++)
		v[i] = (uint8_t)((clip_len(c) + i) * 3);
	if (n) {
		err = clip_add_word(c, (uint32_t)clip_len(c),
				    (uint32_t)clip_len(c) / 100);
		assert_true(!err || err == ENOMEM);
	}
	err = clip_append(c, v, n);
	assert_true(!err || err == ENOMEM || err == EOVERFLOW);
}

static inline void finish(struct fake *f, int err)
{
	struct fake_req *r = mem_ref(oldest(f));

	list_unlink(&r->le);
	clip_end(r->clip, err);
	mem_deref(r);
}

/* --------------------------------------------------------------- fixture */

static inline int fake_alloc(struct fake **fp)
{
	*fp = mem_zalloc(sizeof(**fp), NULL);
	if (!*fp)
		return ENOMEM;
	(*fp)->tts.be = &fake_backend;

	return 0;
}

static const struct tts_param first_param = {
	.url = "first:",
	.voice = "",
	.language = "en-US",
};
static const struct tts_param second_param = {
	.url = "second:",
	.voice = "",
	.language = "en-US",
};

static inline int make_voice(struct fixture *f, bool fallback,
			     uint32_t timeout_ms)
{
	struct voice_param prm = {
		.first = {&f->first->tts, &first_param},
		.timeout_ms = timeout_ms,
		.max_ms = MAX_MS,
		.cache = f->cache,
	};

	if (fallback)
		prm.fallback = (struct voice_engine){&f->second->tts,
						     &second_param};
	f->voice = mem_deref(f->voice);

	return voice_alloc(&f->voice, &prm, &f->net);
}

static inline int make_cache(struct fixture *f, uint64_t memory)
{
	f->cache = mem_deref(f->cache);

	return voice_cache_alloc(&f->cache, &(struct voice_cache_param){
						    .memory_max = memory,
						    .disk_max = MB,
						    .dir = f->dir,
						    .clip_max = CLIP_MAX,
					    });
}

static inline int set_up(struct fixture *f)
{
	int err = loop_alloc(&f->net.loop);

	if (!err)
		err = make_cache(f, MB);
	if (!err)
		err = fake_alloc(&f->first);
	if (!err)
		err = fake_alloc(&f->second);
	if (!err)
		err = make_voice(f, true, NEVER_MS);

	return err;
}

static inline void tear_down(struct fixture *f)
{
	mem_deref(f->voice);
	if (f->first)
		assert_int_equal(busy(f->first), 0);
	if (f->second)
		assert_int_equal(busy(f->second), 0);
	mem_deref(f->first);
	mem_deref(f->second);
	mem_deref(f->net.loop);
	mem_deref(f->cache);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	assert_int_equal(set_up(f), 0);
	*state = f;

	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	tear_down(f);
	assert_int_equal(metrics_gauge_value(M_TTS_CIRCUITS_OPEN), 0);
	free(f);

	return 0;
}

/** A caller */
struct caller {
	struct voice_req *req;
	struct clip *clip;
	struct clip_watch watch;
	unsigned told;
	bool drop; /* the request, when told */
};

static inline int ask(struct fixture *f, struct caller *c, const char *text)
{
	*c = (struct caller){0};

	return voice_speak(&c->req, &c->clip, f->voice,
			   &(struct tts_text){.text = text}, "CA1");
}

static inline void drop(struct caller *c)
{
	list_unlink(&c->watch.le);
	c->req = mem_deref(c->req);
	c->clip = mem_deref(c->clip);
}

/* Has the caller got n samples of say(), whole? */
static inline void assert_heard(const struct caller *c, size_t n)
{
	assert_int_equal(clip_len(c->clip), n);
	assert_true(clip_is_ended(c->clip));
	assert_int_equal(clip_error(c->clip), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(clip_data(c->clip)[i], (uint8_t)(i * 3));
}

/* A text is spoken and cached */
static inline void speak_whole(struct fixture *f, const char *text, size_t n)
{
	struct caller c;

	assert_int_equal(ask(f, &c, text), 0);
	say(f->first, n);
	finish(f->first, 0);
	assert_heard(&c, n);
	drop(&c);
}

static const char sentence[] = "A short sentence.";

#endif

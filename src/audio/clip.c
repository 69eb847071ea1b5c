/**
 * @file clip.c  Speech to be played, maybe still arriving
 */
#include <errno.h>
#include <string.h>
#include <convod/clip.h>
#include <convod/mem.h>

enum {
	CLIP_GROW_MIN = 8000, /* a second of speech */
	WORDS_GROW_MIN = 32,
};

struct clip {
	uint8_t *ulawv;
	size_t n;
	size_t size; /* allocated */
	size_t max;
	bool ended;
	int err;
	struct clip_word *wordv;
	size_t wordc;
	size_t word_size;   /* allocated */
	struct list watchl; /* empty once ended: then threads may share it */
};

static void destructor(void *arg)
{
	struct clip *c = arg;

	while (c->watchl.head)
		list_unlink(c->watchl.head);
	mem_raw_free(c->ulawv);
	mem_raw_free(c->wordv);
}

/*
 * A handler may unlink any watch, append, end the clip or drop it. So each
 * watch is moved to a list of its own first and taken from there one by one.
 */
static void tell_watchers(struct clip *c)
{
	struct list todol = {0};

	mem_ref(c);
	while (c->watchl.head) {
		struct le *le = c->watchl.head;

		list_append(&todol, le, le->data);
	}
	while (todol.head) {
		struct clip_watch *w = list_ledata(todol.head);

		if (c->ended)
			list_unlink(&w->le);
		else
			list_append(&c->watchl, &w->le, w);
		w->h(c, w->arg);
	}
	mem_deref(c);
}

int clip_alloc(struct clip **cp, size_t max)
{
	struct clip *c;

	if (!cp)
		return EINVAL;

	c = mem_zalloc(sizeof(*c), destructor);
	if (!c)
		return ENOMEM;

	c->max = max;
	*cp = c;

	return 0;
}

int clip_from(struct clip **cp, const uint8_t *ulawv, size_t n)
{
	struct clip *c;
	int err;

	if (!cp || (n && !ulawv))
		return EINVAL;

	err = clip_alloc(&c, n);
	if (err)
		return err;

	err = clip_append(c, ulawv, n);
	if (err) {
		mem_deref(c);
		return err;
	}

	clip_end(c, 0);
	*cp = c;

	return 0;
}

static int reserve(struct clip *c, size_t n)
{
	size_t size = MIN(MAX(MAX(2 * c->size, CLIP_GROW_MIN), n), c->max);
	uint8_t *p;

	if (n <= c->size)
		return 0;

	p = mem_raw_realloc(c->ulawv, size);
	if (!p)
		return ENOMEM;

	c->ulawv = p;
	c->size = size;

	return 0;
}

int clip_append(struct clip *c, const uint8_t *ulawv, size_t n)
{
	size_t fit;
	int err;

	if (!c || (n && !ulawv))
		return EINVAL;
	if (c->ended)
		return ESHUTDOWN;
	if (!n)
		return 0;

	fit = MIN(n, c->max - c->n);
	err = reserve(c, c->n + fit);
	if (err)
		return err;

	if (fit)
		memcpy(c->ulawv + c->n, ulawv, fit);
	c->n += fit;

	if (fit < n) {
		clip_end(c, EOVERFLOW);
		return EOVERFLOW;
	}
	tell_watchers(c);

	return 0;
}

/* It may live long in a cache: give back what it grew too far */
static void trim(struct clip *c)
{
	void *p;

	if (c->n && c->n < c->size) {
		p = mem_raw_realloc(c->ulawv, c->n);
		if (p) {
			c->ulawv = p;
			c->size = c->n;
		}
	}
	if (c->wordc && c->wordc < c->word_size) {
		p = mem_raw_realloc(c->wordv, c->wordc * sizeof(*c->wordv));
		if (p) {
			c->wordv = p;
			c->word_size = c->wordc;
		}
	}
}

void clip_end(struct clip *c, int err)
{
	if (!c || c->ended)
		return;

	c->ended = true;
	c->err = err;
	trim(c);
	tell_watchers(c);
}

bool clip_is_ended(const struct clip *c)
{
	return c->ended;
}

int clip_error(const struct clip *c)
{
	return c->err;
}

size_t clip_len(const struct clip *c)
{
	return c->n;
}

const uint8_t *clip_data(const struct clip *c)
{
	return c->ulawv;
}

/* Room for one more; NULL without memory */
static struct clip_word *next_word(struct clip *c)
{
	size_t size = MAX(2 * c->word_size, WORDS_GROW_MIN);
	struct clip_word *p = c->wordv;

	if (c->wordc == c->word_size) {
		p = mem_raw_realloc(p, size * sizeof(*p));
		if (!p)
			return NULL;
		c->wordv = p;
		c->word_size = size;
	}

	return p + c->wordc;
}

int clip_add_word(struct clip *c, uint32_t pos, uint32_t text)
{
	const struct clip_word *last;
	struct clip_word *w;

	if (!c)
		return EINVAL;
	if (c->ended)
		return ESHUTDOWN;

	last = c->wordc ? &c->wordv[c->wordc - 1] : NULL;
	if (last && (pos < last->pos || text < last->text))
		return EINVAL;
	if (c->wordc == CLIP_WORDS_MAX)
		return 0;

	w = next_word(c);
	if (!w)
		return ENOMEM;

	*w = (struct clip_word){.pos = pos, .text = text};
	++c->wordc;

	return 0;
}

size_t clip_words(const struct clip *c, const struct clip_word **wordv)
{
	*wordv = c->wordv;

	return c->wordc;
}

void clip_watch(struct clip *c, struct clip_watch *w)
{
	if (!c->ended)
		list_append(&c->watchl, &w->le, w);
}

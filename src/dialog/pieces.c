/**
 * @file pieces.c  A text that arrives in pieces, cut into pieces to be spoken
 */
#include <string.h>
#include "pieces.h"

/* What is not for the caller, and what ends it. A template that opens the
 * thinking by itself leaves only its end in the text: what came before and
 * was not yet spoken is void. */
static const struct {
	const char *open, *close;
} hidev[] = {
	{"<think>", "</think>"},
	{"<thinking>", "</thinking>"},
	{"<reasoning>", "</reasoning>"},
	{"```", "```"},
	{"</think>", NULL},
	{"</thinking>", NULL},
	{"</reasoning>", NULL},
};

static void drop(struct pieces *p, size_t from, size_t n)
{
	p->bufc -= n;
	memmove(p->buf + from, p->buf + from + n, p->bufc - from);
}

/* Bytes at the end that may be the beginning of a mark */
static size_t held_back(const struct pieces *p, const char *mark)
{
	size_t max = MIN(strlen(mark) - 1, p->bufc - p->visible);

	for (size_t n = max; n; n--) {
		if (!memcmp(p->buf + p->bufc - n, mark, n))
			return n;
	}

	return 0;
}

/* Leave out what is hidden; true if its end was seen */
static bool skip_hidden(struct pieces *p)
{
	size_t n = p->bufc - p->visible, len = strlen(p->hidden);
	char *end = memmem(p->buf + p->visible, n, p->hidden, len);

	if (!end) {
		drop(p, p->visible, n - held_back(p, p->hidden));
		return false;
	}

	/* words on both sides stay two */
	n = (size_t)(end - p->buf) + len - p->visible;
	p->buf[p->visible++] = ' ';
	drop(p, p->visible, n - 1);
	p->hidden = NULL;

	return true;
}

/* Show what comes before the first mark; true if there is one */
static bool show(struct pieces *p)
{
	size_t n = p->bufc - p->visible, hold = 0, which = 0, from;
	char *first = NULL;

	for (size_t i = 0; i < ARRAY_SIZE(hidev); i++) {
		const char *mark = hidev[i].open;
		char *at = memmem(p->buf + p->visible, n, mark, strlen(mark));

		if (at && (!first || at < first)) {
			first = at;
			which = i;
		}
		hold = MAX(hold, held_back(p, mark));
	}

	if (!first) {
		p->visible = p->bufc - hold;
		return false;
	}

	from = hidev[which].close ? (size_t)(first - p->buf) : 0;
	drop(p, from,
	     (size_t)(first - p->buf) + strlen(hidev[which].open) - from);
	p->visible = from;
	p->hidden = hidev[which].close;

	return true;
}

void pieces_add(struct pieces *p, const char *s, size_t n)
{
	while (n) {
		size_t k = MIN(n, sizeof(p->buf) - p->bufc);

		/* not inside a character */
		while (k && k < n && ((unsigned char)s[k] & 0xc0) == 0x80)
			--k;
		if (!k) {
			p->full = true;
			return;
		}

		memcpy(p->buf + p->bufc, s, k);
		p->bufc += k;
		s += k;
		n -= k;
		while (p->hidden ? skip_hidden(p) : show(p))
			;
	}
}

/* ------------------------------------------------------------- taking */

/* As many sentences as make a piece of the length that there is time for */
static size_t longer_cut(const char *s, size_t len, size_t want, bool last)
{
	size_t n = 0;

	while (n < len) {
		size_t next = sentence_cut(s + n, len - n, last);

		if (!next)
			return last ? n : 0;
		if (n && n + next > SENTENCE_MAX)
			return n;
		n += next;
		if (n >= want)
			return n;
	}

	return last ? n : 0;
}

static size_t next_cut(struct pieces *p, enum pieces_when when)
{
	size_t len = when == PIECES_END && !p->hidden ? p->bufc : p->visible;
	bool last = when == PIECES_END ||
		    (when == PIECES_PAUSE && len == p->bufc &&
		     sentence_is_end(p->buf, len));

	if (!p->said)
		return sentence_clause(p->buf, len, last);

	return longer_cut(p->buf, len,
			  when == PIECES_PAUSE ? 0
					       : MIN(p->said / 2, PIECES_LONG),
			  last);
}

bool pieces_take(struct pieces *p, char *dst, enum pieces_when when)
{
	while (p->bufc && p->said < PIECES_MAX) {
		size_t n = next_cut(p, when);
		bool any;

		if (!n)
			return false;

		any = sentence_clean(dst, p->buf, n);
		drop(p, 0, n);
		p->visible -= MIN(n, p->visible);
		if (!any)
			continue;

		p->said += n;
		return true;
	}
	p->full |= p->bufc > 0;

	return false;
}

bool pieces_wait(const struct pieces *p)
{
	return p->visible > 0;
}

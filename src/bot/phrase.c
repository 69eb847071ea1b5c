/**
 * @file phrase.c  Patterns of words
 *
 * A pattern is a tree of nodes in one array. It is matched against all
 * positions of a text at once: a set of positions is a bit mask, and a node
 * turns the set of positions where it may start into the set where it may end.
 * So the time is linear in nodes, whatever the pattern.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "phrase.h"

enum node_type { N_WORD, N_SEQ, N_ALT, N_OPT, N_PART };

struct node {
	enum node_type type;
	uint16_t first;  /* child; of a part: what it stands for */
	uint16_t next;   /* sibling */
	uint32_t weight; /* nodes with all parts written out */
	char *text;      /* word, or the part's name */
};

struct phrases {
	struct node *nodev;
	size_t nodec;
	size_t size;
};

struct parser {
	struct phrases *p;
	const char *s;
	const char *const *partv;
	const uint16_t *nodev;
	size_t partc;
	int depth;
};

static void destructor(void *arg)
{
	struct phrases *p = arg;

	for (size_t i = 0; i < p->nodec; i++)
		mem_deref(p->nodev[i].text);
	mem_raw_free(p->nodev);
}

int phrases_alloc(struct phrases **pp)
{
	struct phrases *p = mem_zalloc(sizeof(*p), destructor);

	if (!p)
		return ENOMEM;

	*pp = p;
	return 0;
}

static int node_add(struct phrases *p, uint16_t *np, enum node_type type,
		    const char *text, size_t len)
{
	struct node *n;
	int err = 0;

	if (p->nodec == PHRASE_NODES_MAX)
		return EOVERFLOW;
	if (p->nodec == p->size) {
		size_t size = p->size ? 2 * p->size : 64;

		n = mem_raw_realloc(p->nodev, size * sizeof(*n));
		if (!n)
			return ENOMEM;
		p->nodev = n;
		p->size = size;
	}

	n = &p->nodev[p->nodec];
	*n = (struct node){type, PHRASE_NONE, PHRASE_NONE, 1, NULL};
	if (text)
		err = str_ndup(&n->text, text, len);
	if (err)
		return err;

	*np = (uint16_t)p->nodec++;
	return 0;
}

/* ------------------------------------------------------------- parsing */

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '\'' || c == '-' || c == '_';
}

static void skip_blanks(struct parser *x)
{
	while (isspace((unsigned char)*x->s))
		++x->s;
}

/* Parts made of parts could stand for more than anybody can match or decode */
static int add_weight(struct phrases *p, uint16_t parent, uint16_t child)
{
	struct node *n = &p->nodev[parent];

	n->weight += p->nodev[child].weight;

	return n->weight > PHRASE_WEIGHT_MAX ? EOVERFLOW : 0;
}

static int parse_alt(struct parser *x, uint16_t *np);

static int parse_part(struct parser *x, uint16_t *np)
{
	const char *name = ++x->s;
	size_t n = strcspn(name, ">");

	for (size_t i = 0; i < x->partc; i++) {
		int err;

		if (strlen(x->partv[i]) != n || strncmp(x->partv[i], name, n))
			continue;

		err = node_add(x->p, np, N_PART, name, n);
		if (err)
			return err;
		x->p->nodev[*np].first = x->nodev[i];
		x->s += n + (name[n] == '>');
		return name[n] == '>' ? add_weight(x->p, *np, x->nodev[i])
				      : EINVAL;
	}

	return EINVAL;
}

static int parse_group(struct parser *x, uint16_t *np, char close)
{
	uint16_t inner;
	int err;

	if (x->depth == PHRASE_DEPTH_MAX)
		return EOVERFLOW;

	++x->s;
	++x->depth;
	err = parse_alt(x, &inner);
	--x->depth;
	if (err)
		return err;
	if (*x->s != close)
		return EINVAL;
	++x->s;

	if (close == ')') {
		*np = inner;
		return 0;
	}
	err = node_add(x->p, np, N_OPT, NULL, 0);
	if (err)
		return err;

	x->p->nodev[*np].first = inner;
	return add_weight(x->p, *np, inner);
}

static int parse_item(struct parser *x, uint16_t *np)
{
	size_t n = 0;
	int err;

	switch (*x->s) {
	case '<':
		return parse_part(x, np);
	case '(':
		return parse_group(x, np, ')');
	case '[':
		return parse_group(x, np, ']');
	default:
		break;
	}

	while (is_word_char(x->s[n]))
		++n;
	if (!n)
		return EINVAL;

	err = node_add(x->p, np, N_WORD, x->s, n);
	if (err)
		return err;
	for (char *c = x->p->nodev[*np].text; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	x->s += n;

	return 0;
}

/* Append a child. Only what <part> refers to is shared, and that is not linked
 * here, so a node has one parent and its `next` is free to use. */
static int append(struct phrases *p, uint16_t parent, uint16_t *lastp,
		  uint16_t child)
{
	if (*lastp == PHRASE_NONE)
		p->nodev[parent].first = child;
	else
		p->nodev[*lastp].next = child;
	*lastp = child;

	return add_weight(p, parent, child);
}

static int parse_seq(struct parser *x, uint16_t *np)
{
	uint16_t last = PHRASE_NONE, item;
	int err = node_add(x->p, np, N_SEQ, NULL, 0);

	while (!err) {
		skip_blanks(x);
		if (!*x->s || strchr("|)]", *x->s))
			break;
		err = parse_item(x, &item);
		if (!err)
			err = append(x->p, *np, &last, item);
	}
	if (!err && last == PHRASE_NONE)
		return EINVAL;

	return err;
}

static int parse_alt(struct parser *x, uint16_t *np)
{
	uint16_t last = PHRASE_NONE, seq;
	int err = node_add(x->p, np, N_ALT, NULL, 0);

	while (!err) {
		err = parse_seq(x, &seq);
		if (!err)
			err = append(x->p, *np, &last, seq);
		if (err || *x->s != '|')
			break;
		++x->s;
	}

	return err;
}

int phrase_parse(struct phrases *p, uint16_t *nodep, const char *s,
		 const char *const *partv, const uint16_t *nodev, size_t partc,
		 const char **errp)
{
	struct parser x = {p, s, partv, nodev, partc, 0};
	uint16_t node;
	int err = parse_alt(&x, &node);

	if (!err && *x.s)
		err = EINVAL;
	*errp = x.s;
	if (!err)
		*nodep = node;

	return err;
}

int phrase_or(struct phrases *p, uint16_t *nodep, uint16_t a, uint16_t b)
{
	uint16_t alt;
	int err;

	if (a == PHRASE_NONE || b == PHRASE_NONE) {
		*nodep = a == PHRASE_NONE ? b : a;
		return 0;
	}

	err = node_add(p, &alt, N_ALT, NULL, 0);
	if (err)
		return err;
	p->nodev[alt].first = a;
	p->nodev[a].next = b;
	*nodep = alt;
	err = add_weight(p, alt, a);

	return err ? err : add_weight(p, alt, b);
}

/* ------------------------------------------------------------ printing */

void phrase_print(const struct phrases *p, uint16_t node, FILE *f)
{
	const struct node *n = &p->nodev[node];
	const char *between = n->type == N_ALT ? " | " : " ";

	if (n->type == N_WORD) {
		fputs(n->text, f);
		return;
	}
	if (n->type == N_PART) {
		fprintf(f, "<%s>", n->text);
		return;
	}

	fputc(n->type == N_OPT ? '[' : '(', f);
	for (uint16_t c = n->first; c != PHRASE_NONE; c = p->nodev[c].next) {
		if (c != n->first)
			fputs(between, f);
		phrase_print(p, c, f);
	}
	fputc(n->type == N_OPT ? ']' : ')', f);
}

/* ------------------------------------------------------------ matching */

void phrase_text_init(struct phrase_text *t, const char *text)
{
	size_t n = 0;
	bool inside = false;

	t->wordc = 0;
	for (; *text && n < sizeof(t->buf) - 1; text++) {
		char c = *text;

		/* bytes of UTF-8 are letters of words that no pattern has */
		if (is_word_char(c) || (unsigned char)c >= 0x80) {
			if (!inside) {
				if (t->wordc == PHRASE_WORDS_MAX)
					break;
				t->wordv[t->wordc++] = t->buf + n;
			}
			inside = true;
			t->buf[n++] = (char)tolower((unsigned char)c);
		} else if (inside) {
			inside = false;
			t->buf[n++] = '\0';
		}
	}
	t->buf[n] = '\0';
}

struct matcher {
	const struct phrases *p;
	const struct phrase_text *t;
	bool more; /* a word was looked for behind the last one */
};

static uint64_t match_word(struct matcher *m, const char *word, uint64_t from)
{
	const struct phrase_text *t = m->t;
	uint64_t to = 0;

	for (size_t i = 0; i < t->wordc; i++) {
		if ((from >> i & 1) && !strcmp(word, t->wordv[i]))
			to |= 2ULL << i;
	}
	if (from >> t->wordc & 1)
		m->more = true;

	return to;
}

/* Positions where a match can end that starts at any of `from` */
static uint64_t match(struct matcher *m, uint16_t node, uint64_t from)
{
	const struct phrases *p = m->p;
	const struct node *n = &p->nodev[node];
	uint64_t to = from;
	uint16_t c;

	if (!from)
		return 0;

	switch (n->type) {
	case N_WORD:
		return match_word(m, n->text, from);
	case N_PART:
		return match(m, n->first, from);
	case N_OPT:
		return from | match(m, n->first, from);
	case N_SEQ:
		for (c = n->first; c != PHRASE_NONE; c = p->nodev[c].next)
			to = match(m, c, to);
		return to;
	case N_ALT:
		to = 0;
		for (c = n->first; c != PHRASE_NONE; c = p->nodev[c].next)
			to |= match(m, c, from);
		return to;
	}

	return 0;
}

size_t phrase_find(const struct phrases *p, uint16_t node,
		   const struct phrase_text *t, struct phrase_span *span)
{
	struct matcher m = {p, t, false};
	size_t best = 0;

	for (size_t i = 0; i + best < t->wordc; i++) {
		uint64_t ends = match(&m, node, 1ULL << i);
		size_t end;

		if (!ends)
			continue;
		end = 63 - (size_t)__builtin_clzll(ends);
		if (end - i > best) {
			best = end - i;
			*span = (struct phrase_span){i, end};
		}
	}

	return best;
}

bool phrase_is_whole(const struct phrases *p, uint16_t node,
		     const struct phrase_text *t, bool *more)
{
	struct matcher m = {p, t, false};
	uint64_t ends = match(&m, node, 1);

	*more = m.more;
	return t->wordc && ends >> t->wordc & 1;
}

/**
 * @file bot.c  A bot's file
 *
 * The YAML document is kept as long as the bot: all strings point into it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <convod/bot.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "embedded.h"
#include "phrase.h"

struct reader {
	struct bot *b;
	yaml_document_t *doc;
	char *why;
};

static const char *const doesv[] = {
	[BOT_TALKS] = "talk",         [BOT_FILLS] = "fill",
	[BOT_SAYS_YES] = "yes",       [BOT_SAYS_NO] = "no",
	[BOT_REPEATS] = "repeat",     [BOT_HANGS_UP] = "hangup",
	[BOT_TRANSFERS] = "transfer",
};

static void destructor(void *arg)
{
	struct bot *b = arg;

	if (b->doc) {
		yaml_document_delete(b->doc);
		mem_raw_free(b->doc);
	}
	mem_deref(b->phrases);
}

CV_PRINTF(3, 4)
static int wrong(struct reader *r, const yaml_node_t *node, const char *fmt,
		 ...)
{
	va_list ap;
	int n = 0;

	if (node)
		n = snprintf(r->why, BOT_WHY_MAX,
			     "line %zu: ", node->start_mark.line + 1);
	va_start(ap, fmt);
	(void)vsnprintf(r->why + n, BOT_WHY_MAX - (size_t)n, fmt, ap);
	va_end(ap);

	return EINVAL;
}

/* ------------------------------------------------------------ document */

static const char *scalar(const yaml_node_t *n)
{
	return n && n->type == YAML_SCALAR_NODE
		       ? (const char *)n->data.scalar.value
		       : NULL;
}

static yaml_node_t *field(struct reader *r, const yaml_node_t *map,
			  const char *name)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return NULL;

	for (yaml_node_pair_t *p = map->data.mapping.pairs.start;
	     p < map->data.mapping.pairs.top; p++) {
		yaml_node_t *key = yaml_document_get_node(r->doc, p->key);

		if (str_eq(scalar(key), name))
			return yaml_document_get_node(r->doc, p->value);
	}

	return NULL;
}

static size_t items(const yaml_node_t *seq)
{
	if (!seq || seq->type != YAML_SEQUENCE_NODE)
		return 0;

	return (size_t)(seq->data.sequence.items.top -
			seq->data.sequence.items.start);
}

static yaml_node_t *item(struct reader *r, const yaml_node_t *seq, size_t i)
{
	return yaml_document_get_node(r->doc,
				      seq->data.sequence.items.start[i]);
}

static size_t pairs(const yaml_node_t *map)
{
	if (!map || map->type != YAML_MAPPING_NODE)
		return 0;

	return (size_t)(map->data.mapping.pairs.top -
			map->data.mapping.pairs.start);
}

static void pair(struct reader *r, const yaml_node_t *map, size_t i,
		 yaml_node_t **key, yaml_node_t **value)
{
	const yaml_node_pair_t *p = &map->data.mapping.pairs.start[i];

	*key = yaml_document_get_node(r->doc, p->key);
	*value = yaml_document_get_node(r->doc, p->value);
}

/* A misspelt field would silently do nothing */
static int check_fields(struct reader *r, const yaml_node_t *map,
			const char *const *namev, size_t namec)
{
	for (size_t i = 0; i < pairs(map); i++) {
		yaml_node_t *key, *value;
		size_t k = 0;

		pair(r, map, i, &key, &value);
		while (k < namec && !str_eq(scalar(key), namev[k]))
			++k;
		if (k == namec)
			return wrong(r, key, "unknown field '%s'",
				     scalar(key) ? scalar(key) : "");
	}

	return 0;
}

/* ------------------------------------------------------------- reading */

static int read_phrase(struct reader *r, uint16_t *nodep, const yaml_node_t *n)
{
	struct bot *b = r->b;
	const char *s = scalar(n), *at;
	int err;

	if (!s)
		return wrong(r, n, "a phrase must be text");

	err = phrase_parse(b->phrases, nodep, s, b->partv, b->part_nodev,
			   b->partc, &at);
	if (err == EINVAL)
		return wrong(r, n, "cannot read the phrase at '%.40s'", at);
	if (err == EOVERFLOW)
		return wrong(r, n, "the phrases are too many or too deep");

	return err;
}

static bool is_name(const char *s)
{
	return s && *s && strlen(s) < BOT_SLOT_MAX &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz"
			   "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")] == '\0';
}

static int read_parts(struct reader *r, const yaml_node_t *map)
{
	struct bot *b = r->b;

	for (size_t i = 0; i < pairs(map); i++) {
		yaml_node_t *key, *value;
		uint16_t node = PHRASE_NONE;
		int err;

		pair(r, map, i, &key, &value);
		if (!is_name(scalar(key)))
			return wrong(r, key, "a part needs a simple name");
		if (b->partc == BOT_PARTS_MAX)
			return wrong(r, key, "more than %d parts",
				     BOT_PARTS_MAX);

		err = read_phrase(r, &node, value);
		if (err)
			return err;
		b->partv[b->partc] = scalar(key);
		b->part_nodev[b->partc++] = node;
	}

	return 0;
}

static int read_needs(struct reader *r, struct bot_intent *in,
		      const yaml_node_t *map)
{
	const struct bot *b = r->b;

	for (size_t i = 0; i < pairs(map); i++) {
		struct bot_need *need = &in->needv[in->needc];
		yaml_node_t *key, *value;

		pair(r, map, i, &key, &value);
		if (in->needc == BOT_NEEDS_MAX)
			return wrong(r, key, "more than %d needs",
				     BOT_NEEDS_MAX);

		need->ask = scalar(value);
		while (need->part < b->partc &&
		       !str_eq(scalar(key), b->partv[need->part]))
			++need->part;
		if (need->part == b->partc || !str_isset(need->ask))
			return wrong(r, key, "a need is a part: question");
		++in->needc;
	}

	return 0;
}

static int read_does(struct reader *r, struct bot_intent *in,
		     const yaml_node_t *n)
{
	if (!n)
		return 0;

	for (size_t i = 0; i < ARRAY_SIZE(doesv); i++) {
		if (str_eq(scalar(n), doesv[i])) {
			in->does = (enum bot_does)i;
			return 0;
		}
	}

	return wrong(r, n, "unknown value of does");
}

static int read_phrases(struct reader *r, struct bot_intent *in,
			const yaml_node_t *seq)
{
	uint16_t all = PHRASE_NONE;
	int err = 0;

	for (size_t i = items(seq); i > 0 && !err; i--) {
		uint16_t node = PHRASE_NONE;

		/* backwards, as each new one becomes the head of the chain */
		err = read_phrase(r, &node, item(r, seq, i - 1));
		if (!err)
			err = phrase_or(r->b->phrases, &all, node, all);
	}
	if (err == EOVERFLOW)
		return wrong(r, seq, "the phrases are too many or too deep");
	if (!err && all == PHRASE_NONE)
		return wrong(r, seq, "intent '%s' has no phrases", in->name);

	in->phrases = all;
	return err;
}

static int read_intent(struct reader *r, struct bot_intent *in,
		       const yaml_node_t *map)
{
	static const char *const namev[] = {"name",  "phrases", "say",
					    "needs", "confirm", "otherwise",
					    "does",  "number"};
	int err = check_fields(r, map, namev, ARRAY_SIZE(namev));

	if (err)
		return err;

	in->name = scalar(field(r, map, "name"));
	if (!is_name(in->name))
		return wrong(r, map, "an intent needs a simple name");

	in->say = scalar(field(r, map, "say"));
	in->confirm = scalar(field(r, map, "confirm"));
	in->otherwise = scalar(field(r, map, "otherwise"));
	in->number = scalar(field(r, map, "number"));
	if (!in->number)
		in->number = "";

	err = read_does(r, in, field(r, map, "does"));
	if (!err)
		err = read_needs(r, in, field(r, map, "needs"));
	if (!err)
		err = read_phrases(r, in, field(r, map, "phrases"));
	if (!err && in->does == BOT_TALKS && !str_isset(in->say))
		return wrong(r, map, "intent '%s' says nothing", in->name);

	return err;
}

static int read_intents(struct reader *r, const yaml_node_t *seq)
{
	struct bot *b = r->b;

	if (!items(seq))
		return wrong(r, seq, "no intents");

	for (size_t i = 0; i < items(seq); i++) {
		struct bot_intent *in = &b->intentv[b->intentc];
		int err;

		if (b->intentc == BOT_INTENTS_MAX)
			return wrong(r, seq, "more than %d intents",
				     BOT_INTENTS_MAX);
		err = read_intent(r, in, item(r, seq, i));
		if (err)
			return err;
		if (!strcmp(in->name, "person"))
			b->person = in;
		++b->intentc;
	}

	return 0;
}

static int read_unclear(struct reader *r, const yaml_node_t *seq)
{
	struct bot *b = r->b;

	if (!items(seq) || items(seq) > BOT_UNCLEAR_MAX)
		return wrong(r, seq, "unclear: 1 to %d sentences",
			     BOT_UNCLEAR_MAX);

	for (size_t i = 0; i < items(seq); i++) {
		b->unclearv[i] = scalar(item(r, seq, i));
		if (!str_isset(b->unclearv[i]))
			return wrong(r, seq, "unclear: a list of sentences");
		++b->unclearc;
	}

	return 0;
}

static int read_bot(struct reader *r)
{
	static const char *const namev[] = {"greeting", "more",  "again",
					    "unclear",  "parts", "intents"};
	const yaml_node_t *root = yaml_document_get_root_node(r->doc);
	struct bot *b = r->b;
	int err;

	if (!root || root->type != YAML_MAPPING_NODE)
		return wrong(r, root, "not a bot's file");
	err = check_fields(r, root, namev, ARRAY_SIZE(namev));
	if (err)
		return err;

	b->greeting = scalar(field(r, root, "greeting"));
	b->more = scalar(field(r, root, "more"));
	b->again = scalar(field(r, root, "again"));
	if (!str_isset(b->greeting))
		return wrong(r, root, "no greeting");

	err = read_unclear(r, field(r, root, "unclear"));
	if (!err)
		err = read_parts(r, field(r, root, "parts"));
	if (!err)
		err = read_intents(r, field(r, root, "intents"));

	return err;
}

static int load_document(struct bot *b, const char *yaml, size_t len,
			 char *why)
{
	yaml_parser_t parser;
	int err = 0;

	b->doc = mem_raw_calloc(1, sizeof(yaml_document_t));
	if (!b->doc)
		return ENOMEM;
	if (!yaml_parser_initialize(&parser))
		return ENOMEM;

	yaml_parser_set_input_string(&parser, (const unsigned char *)yaml,
				     len);
	if (!yaml_parser_load(&parser, b->doc)) {
		err = parser.error == YAML_MEMORY_ERROR ? ENOMEM : EINVAL;
		(void)snprintf(why, BOT_WHY_MAX, "line %zu: %s",
			       parser.problem_mark.line + 1,
			       parser.problem ? parser.problem : "not YAML");
	}
	yaml_parser_delete(&parser);

	return err;
}

int bot_parse(struct bot **bp, const char *yaml, size_t len, char *why)
{
	struct reader r = {.why = why};
	struct bot *b;
	int err;

	why[0] = '\0';
	if (len > BOT_FILE_MAX)
		return EOVERFLOW;

	b = mem_zalloc(sizeof(*b), destructor);
	if (!b)
		return ENOMEM;

	err = load_document(b, yaml, len, why);
	if (!err)
		err = phrases_alloc(&b->phrases);
	if (err)
		goto out;

	r.b = b;
	r.doc = b->doc;
	err = read_bot(&r);

out:
	if (err)
		mem_deref(b);
	else
		*bp = b;

	return err;
}

int bot_load(struct bot **bp, const char *path, char *why)
{
	char *buf;
	size_t n;
	FILE *f;
	int err;

	if (!str_isset(path))
		return bot_parse(bp, embedded_demo_bot, embedded_demo_bot_len,
				 why);

	f = fopen(path, "re");
	if (!f) {
		err = errno;
		(void)snprintf(why, BOT_WHY_MAX, "%s", strerror(err));
		return err;
	}

	buf = mem_raw_malloc(BOT_FILE_MAX + 1);
	if (!buf) {
		fclose(f);
		return ENOMEM;
	}
	n = fread(buf, 1, BOT_FILE_MAX + 1, f);
	err = bot_parse(bp, buf, n, why);
	mem_raw_free(buf);
	fclose(f);

	return err;
}

/* ------------------------------------------------------------- grammar */

int bot_grammar(const struct bot *b, char **jsgfp)
{
	char *buf = NULL;
	size_t size;
	FILE *f = open_memstream(&buf, &size);
	int err;

	if (!f)
		return ENOMEM;

	fputs("#JSGF V1.0;\ngrammar bot;\n", f);
	for (size_t i = 0; i < b->partc; i++) {
		fprintf(f, "<%s> = ", b->partv[i]);
		phrase_print(b->phrases, b->part_nodev[i], f);
		fputs(";\n", f);
	}
	fputs("public <turn> = ", f);
	for (size_t i = 0; i < b->intentc; i++) {
		fputs(i ? "\n\t| " : "", f);
		phrase_print(b->phrases, b->intentv[i].phrases, f);
	}
	fputs(";\n", f);

	err = ferror(f) ? ENOMEM : 0;
	if (fclose(f))
		err = ENOMEM;
	if (!err)
		err = str_ndup(jsgfp, buf, size);
	free(buf);

	return err;
}

/* ------------------------------------------------------------- hearing */

static uint64_t mask(const struct phrase_span *s)
{
	return (1ULL << s->end) - (1ULL << s->start);
}

static void copy_words(char *dst, const struct phrase_text *t,
		       const struct phrase_span *s)
{
	size_t n = 0;

	dst[0] = '\0';
	for (size_t i = s->start; i < s->end && n < BOT_SLOT_MAX; i++)
		n += (size_t)snprintf(dst + n, BOT_SLOT_MAX - n, "%s%s",
				      i > s->start ? " " : "", t->wordv[i]);
}

/* Is the part one that some intent asks for? */
static bool is_slot(const struct bot *b, size_t part)
{
	for (size_t i = 0; i < b->intentc; i++) {
		for (size_t k = 0; k < b->intentv[i].needc; k++) {
			if (b->intentv[i].needv[k].part == part)
				return true;
		}
	}

	return false;
}

void bot_hear(const struct bot *b, struct bot_heard *h, const char *text)
{
	struct phrase_text t;
	struct phrase_span span, best = {0};
	uint64_t covered;

	memset(h, 0, sizeof(*h));
	phrase_text_init(&t, text);

	for (size_t i = 0; i < b->intentc; i++) {
		size_t n = phrase_find(b->phrases, b->intentv[i].phrases, &t,
				       &span);

		if (n > best.end - best.start) {
			best = span;
			h->intent = &b->intentv[i];
		}
	}

	covered = mask(&best);
	for (size_t i = 0; i < b->partc; i++) {
		if (is_slot(b, i) &&
		    phrase_find(b->phrases, b->part_nodev[i], &t, &span)) {
			copy_words(h->slotv[i], &t, &span);
			covered |= mask(&span);
		}
	}

	if (2 * (size_t)__builtin_popcountll(covered) < t.wordc)
		memset(h, 0, sizeof(*h));
}

/* Would the intent be another, or be carried out otherwise, with more words?
 * "please" after "yes" is neither; a day after "make an appointment" is. */
static bool is_waiting(const struct bot *b, const struct bot_intent *in,
		       const struct bot_heard *h)
{
	for (size_t i = 0; i < in->needc; i++) {
		if (!h->slotv[in->needv[i].part][0])
			return true;
	}

	/* an answer may bring any of the parts that are asked for */
	for (size_t i = 0; i < b->partc && in->does == BOT_FILLS; i++) {
		if (is_slot(b, i) && !h->slotv[i][0])
			return true;
	}

	return false;
}

bool bot_is_complete(const struct bot *b, const char *text)
{
	bool any = false, more, whole;
	struct phrase_text t;
	struct bot_heard h;

	bot_hear(b, &h, text);
	phrase_text_init(&t, text);
	for (size_t i = 0; i < b->intentc; i++) {
		const struct bot_intent *in = &b->intentv[i];

		whole = phrase_is_whole(b->phrases, in->phrases, &t, &more);
		if (more && (!whole || is_waiting(b, in, &h)))
			return false;
		any |= whole;
	}

	return any;
}

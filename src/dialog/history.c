/**
 * @file history.c  What was said so far, for servers that keep nothing
 */
#include <errno.h>
#include <string.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "history.h"

struct line {
	struct le le;
	struct history *history; /* NULL once it is out of it */
	enum history_who who;
	size_t n;
	char *text;
};

static void destructor(void *arg)
{
	struct line *l = arg;

	list_unlink(&l->le);
	if (l->history) {
		l->history->bytes -= l->n;
		--l->history->linec;
	}
	mem_deref(l->text);
}

static struct line *first(const struct history *h)
{
	return list_ledata(h->linel.head);
}

static struct line *last(const struct history *h)
{
	return list_ledata(h->linel.tail);
}

void history_flush(struct history *h)
{
	list_flush(&h->linel);
}

/* The oldest goes, and with it what the bot said to that: a server wants the
 * caller's message first. The newest stays. */
static void drop_oldest(struct history *h)
{
	do
		mem_deref(first(h));
	while (first(h) != last(h) && first(h)->who == HISTORY_BOT);
}

int history_add(struct history *h, enum history_who who, const char *text)
{
	struct line *l = mem_zalloc(sizeof(*l), destructor);
	int err;

	if (!l)
		return ENOMEM;

	err = str_dup(&l->text, text);
	if (err) {
		mem_deref(l);
		return err;
	}

	l->who = who;
	l->n = strlen(text);
	l->history = h;
	h->bytes += l->n;
	++h->linec;
	list_append(&h->linel, &l->le, l);

	while (first(h) != l &&
	       (h->bytes > HISTORY_MAX_BYTES || h->linec > HISTORY_LINES_MAX))
		drop_oldest(h);

	return 0;
}

int history_heard(struct history *h, const char *heard)
{
	bool any = false;

	while (last(h) && last(h)->who == HISTORY_BOT) {
		mem_deref(last(h));
		any = true;
	}

	return any && str_isset(heard) ? history_add(h, HISTORY_BOT, heard)
				       : 0;
}

void history_take_back(struct history *h, const char *text)
{
	struct line *l = last(h);

	if (l && l->who == HISTORY_USER && str_starts(text, l->text))
		mem_deref(l);
}

bool history_halve(struct history *h)
{
	size_t bytes = h->bytes / 2;
	struct line *newest = last(h);

	if (first(h) == newest)
		return false;

	while (first(h) != newest && h->bytes > bytes)
		drop_oldest(h);

	return true;
}

/* ------------------------------------------------------------- messages */

static int add_message(json_t *array, const char *role, const char *text)
{
	json_t *j = json_pack("{s:s, s:s}", "role", role, "content", text);

	return json_array_append_new(array, j) ? ENOMEM : 0;
}

/* Lines of one side, from le on, as one text; le moves on */
static int join(char **textp, const struct le **le)
{
	const struct line *l = list_ledata(*le);
	enum history_who who = l->who;
	char *text = NULL;
	int err = 0;

	for (; *le; *le = (*le)->next) {
		char *more;

		l = list_ledata(*le);
		if (l->who != who)
			break;

		err = str_printf(&more, "%s%s%s", text ? text : "",
				 !text                ? ""
				 : who == HISTORY_BOT ? " "
						      : "\n",
				 l->text);
		mem_deref(text);
		if (err)
			return err;
		text = more;
	}
	*textp = text;

	return 0;
}

int history_json(json_t **jp, const struct history *h, const char *system)
{
	const struct le *le = h->linel.head;
	json_t *array = json_array();
	int err;

	if (!array)
		return ENOMEM;

	err = add_message(array, "system", system);
	while (le && !err) {
		const struct line *l = list_ledata(le);
		const char *role = l->who == HISTORY_BOT ? "assistant"
							 : "user";
		char *text;

		err = join(&text, &le);
		if (err)
			break;
		err = add_message(array, role, text);
		mem_deref(text);
	}

	if (err)
		json_decref(array);
	else
		*jp = array;

	return err;
}

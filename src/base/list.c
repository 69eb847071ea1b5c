/**
 * @file list.c  Intrusive doubly linked list
 */
#include <convod/list.h>
#include <convod/mem.h>

void list_append(struct list *list, struct le *le, void *data)
{
	list_unlink(le);

	le->list = list;
	le->data = data;
	le->prev = list->tail;
	le->next = NULL;

	if (list->tail)
		list->tail->next = le;
	else
		list->head = le;
	list->tail = le;
}

void list_unlink(struct le *le)
{
	if (!le->list)
		return;

	if (le->prev)
		le->prev->next = le->next;
	else
		le->list->head = le->next;

	if (le->next)
		le->next->prev = le->prev;
	else
		le->list->tail = le->prev;

	le->prev = le->next = NULL;
	le->list = NULL;
}

size_t list_count(const struct list *list)
{
	const struct le *le;
	size_t n = 0;

	LIST_FOREACH(list, le)
	++n;

	return n;
}

void list_flush(struct list *list)
{
	while (list->head) {
		struct le *le = list->head;
		void *data = le->data;

		list_unlink(le);
		mem_deref(data);
	}
}

/**
 * @file list.h  Intrusive doubly linked list
 *
 * The node is a member of the object. A node belongs to at most one list;
 * unlinking an unlinked node does nothing.
 */
#ifndef CONVOD_LIST_H
#define CONVOD_LIST_H

#include <convod/defs.h>

CV_BEGIN_DECLS

struct list;

/** Node, zero when not in a list */
struct le {
	struct le *prev;
	struct le *next;
	struct list *list;
	void *data; /* the object the node is a member of */
};

/** List head, zero when empty */
struct list {
	struct le *head;
	struct le *tail;
};

void list_append(struct list *list, struct le *le, void *data);
void list_unlink(struct le *le);
size_t list_count(const struct list *list);

/** Drop the reference to every object of the list */
void list_flush(struct list *list);

static inline void *list_ledata(const struct le *le)
{
	return le ? le->data : NULL;
}

#define LIST_FOREACH(list, le) \
	for ((le) = (list)->head; (le); (le) = (le)->next)

CV_END_DECLS

#endif

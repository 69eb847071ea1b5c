/**
 * @file show.h  Draws a call: lines, a live meter on a terminal, or JSON
 */
#ifndef CONVO_SHOW_H
#define CONVO_SHOW_H

#include "caller.h"
#include "phone.h"

struct show {
	bool json;
	bool live;  /* stdout is a terminal */
	bool quiet; /* the summary only */
	bool drawn; /* a live line is on the screen */
};

/** A line of its own; JSON gets {"event":"note","text":…} */
CV_PRINTF(3, 4)
void show_note(struct show *s, uint64_t at_ms, const char *fmt, ...);

void show_event(struct show *s, const struct caller_event *ev);
void show_mark(struct show *s, uint64_t at_ms, const char *name, bool played);
void show_clear(struct show *s, uint64_t at_ms, uint32_t dropped_ms);
void show_fault(struct show *s, uint64_t at_ms, enum phone_rule rule,
		const char *detail);

/** Redraw the meters */
void show_levels(struct show *s, uint64_t at_ms, const struct caller *c,
		 const struct phone *p);

struct show_end {
	uint64_t at_ms;
	const char *by;  /* "caller" or "bot" */
	const char *why; /* reason of the bot's close frame, or "" */
	int code;
	int exit_code;
	uint32_t late_max_ms; /* of our own frames */
};

void show_summary(struct show *s, const struct caller *c,
		  const struct phone *p, const struct show_end *end);

#endif

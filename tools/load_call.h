/**
 * @file load_call.h  One of many calls: the carrier's side of the socket
 *
 * Twilio's messages, cheaply: a frame costs a copy, a mask and one send().
 * Times are microseconds of CLOCK_MONOTONIC.
 */
#ifndef LOAD_CALL_H
#define LOAD_CALL_H

#include <netdb.h>
#include <convod/audio.h>
#include <convod/hist.h>
#include "load_pattern.h"

enum load_state {
	LOAD_IDLE,
	LOAD_CONNECTING,
	LOAD_UPGRADING,
	LOAD_UP,
	LOAD_ENDING,
	LOAD_GONE,
};

struct load_call {
	int fd;
	enum load_state state;
	uint32_t index;
	uint64_t seq, chunk;
	uint64_t up_us;
	const struct load_pattern *pattern;
	size_t pos;        /* frame of it */
	uint64_t asked_us; /* end of speech an answer is awaited to, or 0 */
	uint64_t onset_us; /* of speech over the bot, until it stops, or 0 */
	uint64_t play_end_us; /* when all the bot sent will have been heard */
	char sid[40];
	uint8_t mask[4];

	struct load_mark *markv; /* ring, made when first needed */
	unsigned mark_first, markc;
	uint8_t *rxv; /* an incomplete frame, NULL: none */
	size_t rxc;
	uint8_t *txv; /* what the socket did not take, NULL: nothing */
	size_t txc;
};

struct load_counters {
	uint64_t sent, late, lost; /* frames */
	uint64_t media_ms, marks, clears;
	uint64_t talked_over;      /* the caller spoke, and the bot went on */
	uint64_t marks_lost;       /* too long, or too many: not answered */
	uint64_t refused, dropped; /* calls */
};

/** What all calls share, and add to */
struct load_line {
	int ep; /* epoll; a call is its event's data */
	struct addrinfo *addr;
	char *request; /* the upgrade */
	uint64_t now_us;
	bool ending; /* from now on a call that ends was not dropped */

	uint32_t up, gone; /* calls */
	struct load_counters n;
	struct hist answer, barge_in, lateness;
};

void load_call_connect(struct load_line *l, struct load_call *c);

/** Its socket is ready */
void load_call_ready(struct load_line *l, struct load_call *c,
		     uint32_t events);

/** Send the caller's next 20 ms, which were due at due_us */
void load_call_send_frame(struct load_line *l, struct load_call *c,
			  uint64_t due_us);

/** Send `stop` and a close; the daemon's close ends it */
void load_call_hang_up(struct load_line *l, struct load_call *c);

/** Close it and give back what it holds */
void load_call_drop(struct load_line *l, struct load_call *c);

#endif

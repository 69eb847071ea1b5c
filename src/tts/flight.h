/**
 * @file flight.h  One synthesis for all workers of the process
 *
 * Who wants a key takes a seat in its flight. The first one leads: it has the
 * text spoken, and pushes each piece as it comes. The others, on their own
 * threads, are told by a message to their loop and pull the pieces. With the
 * landing the key is forgotten: who comes later starts anew, or finds the
 * clip in the cache.
 *
 * A flight holds pieces of at most one clip. Thread: any; one lock.
 */
#ifndef CONVOD_FLIGHT_H
#define CONVOD_FLIGHT_H

#include <convod/cache.h>

struct flights;
struct flight_seat;

/** A piece came, or it landed; on the loop's thread */
typedef void(flight_h)(void *arg);

CV_NODISCARD int flights_alloc(struct flights **fp);

/**
 * Take a seat
 *
 * @param l Loop that the handler runs on; flight_leave() comes before its end
 */
CV_NODISCARD int flight_join(struct flight_seat **sp, struct flights *fs,
			     const struct voice_key *key, struct loop *l,
			     flight_h *h, void *arg);

bool flight_leads(const struct flight_seat *s);

/**
 * Give the seat back; no handler runs after. A leader that has not landed
 * lands with ECANCELED.
 *
 * @return NULL
 */
struct flight_seat *flight_leave(struct flight_seat *s);

/* Of the leader */

/** Hand on a piece: an ended clip; its words count from the whole's start */
CV_NODISCARD int flight_push(struct flight_seat *s, struct clip *piece);

/** All has been pushed, or nothing more will come */
void flight_land(struct flight_seat *s, int err);

/** Land with ECANCELED if there is nobody else; false: there is */
bool flight_give_up(struct flight_seat *s);

/* Of the others */

/** Next piece, a new reference; NULL: none for now */
struct clip *flight_pull(struct flight_seat *s);

/** Has it landed (and was all pulled)? */
bool flight_has_landed(struct flight_seat *s, int *errp);

#endif

/**
 * @file background.h  Threads that work for a loop
 */
#ifndef BACKGROUND_H
#define BACKGROUND_H

/**
 * Let the calling thread never take a core from a loop
 *
 * What it has done is of use only when the loop goes on; with the next piece
 * of work at hand it would be woken first, and keep a core that both share for
 * as long as that takes. No privilege is needed; where it is forbidden all the
 * same, or the operator chose a policy, that stays. See sched(7), SCHED_BATCH.
 */
void background_thread(void);

#endif

/**
 * @file pocketsphinx.h  What tests ask the embedded recogniser
 */
#ifndef CONVOD_POCKETSPHINX_H
#define CONVOD_POCKETSPHINX_H

#include <convod/asr.h>

/** Will a result come, or a guess be ready, without more audio? So that a test
 * that writes faster than people talk can wait like them. */
bool pocketsphinx_is_working(const struct asr_stream *as);

#endif

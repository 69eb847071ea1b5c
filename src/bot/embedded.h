/**
 * @file embedded.h  Files that are built in, made by embed.py
 */
#ifndef CONVOD_EMBEDDED_H
#define CONVOD_EMBEDDED_H

#include <stddef.h>

extern const char embedded_demo_bot[];
extern const size_t embedded_demo_bot_len;

#endif

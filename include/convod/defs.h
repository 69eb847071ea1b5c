/**
 * @file defs.h  What every header needs: attributes, small macros
 */
#ifndef CONVOD_DEFS_H
#define CONVOD_DEFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/param.h> /* MIN, MAX */

#ifdef __cplusplus
#define CV_BEGIN_DECLS extern "C" {
#define CV_END_DECLS   }
#else
#define CV_BEGIN_DECLS
#define CV_END_DECLS
#endif

/** The result says whether it worked, and must be looked at */
#define CV_NODISCARD __attribute__((warn_unused_result))
/** Format string is argument f, its values start at argument a */
#define CV_PRINTF(f, a) __attribute__((format(printf, f, a)))
/** Passing NULL is a programming error */
#define CV_NONNULL(...) __attribute__((nonnull(__VA_ARGS__)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/** The struct of type t that has member m at address p */
#define CONTAINER_OF(p, t, m) ((t *)(void *)((char *)(p)-offsetof(t, m)))

#endif

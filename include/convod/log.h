/**
 * @file log.h  One line an event, key=value or JSON
 *
 *	log_info(call_id, "dialog answered", "ms=%u status=%d", ms, status);
 *
 * gives `2026-01-02T03:04:05.678Z info call=CA… event="dialog answered"
 * ms=12 status=200`, or the same as one JSON object. Values with blanks are
 * written in quotes in the format string (`text="%s"`); what a value brings of
 * quotes, backslashes and control characters is escaped by LOG_STR().
 *
 * Lines go to stderr through a bounded queue and a thread of its own, so that
 * a slow terminal or a full disk never holds the loop up: when the queue
 * is full the line is dropped and counted. Secrets are never logged; what
 * callers and bots say only when log_set_transcripts() allows it.
 *
 * Thread: any.
 */
#ifndef CONVOD_LOG_H
#define CONVOD_LOG_H

#include <convod/defs.h>

CV_BEGIN_DECLS

enum log_level { LOG_LVL_DEBUG, LOG_LVL_INFO, LOG_LVL_WARN, LOG_LVL_ERROR };
enum log_format { LOG_TEXT, LOG_JSON };

enum { LOG_LINE_MAX = 2048, LOG_QUEUE_MAX = 1024, LOG_CLOSE_S = 2 };

/**
 * Start the writing thread. Before that, and after log_close(), lines are
 * written at once by the caller.
 */
int log_init(enum log_level min, enum log_format format);

/** Write what is queued, LOG_CLOSE_S at most, and stop the thread */
void log_close(void);

void log_set_level(enum log_level min);

/** Level of a name, "debug" to "error"; anything else is info */
enum log_level log_level_of(const char *name);
bool log_is_on(enum log_level level);

/** May what was said on the line appear in the log? Off by default. */
void log_set_transcripts(bool on);
bool log_transcripts(void);

/**
 * Log an event
 *
 * @param call  Id of the call, or NULL
 * @param event A few words that name the event, constant
 * @param fmt   Further `key=value` pairs, or NULL
 */
CV_PRINTF(4, 5)
void log_event(enum log_level level, const char *call, const char *event,
	       const char *fmt, ...);

#define log_debug(call, event, ...)                                         \
	do {                                                                \
		if (log_is_on(LOG_LVL_DEBUG))                               \
			log_event(LOG_LVL_DEBUG, call, event, __VA_ARGS__); \
	} while (0)
#define log_info(call, event, ...) \
	log_event(LOG_LVL_INFO, call, event, __VA_ARGS__)
#define log_warn(call, event, ...) \
	log_event(LOG_LVL_WARN, call, event, __VA_ARGS__)
#define log_error(call, event, ...) \
	log_event(LOG_LVL_ERROR, call, event, __VA_ARGS__)

/** Room for an escaped value */
struct log_buf {
	char s[512];
};

/**
 * Escape a value for a quoted field; too long ones are cut at a character
 *
 * @return b->s
 */
const char *log_escape(struct log_buf *b, const char *s);

/** The same with a buffer that lives until the end of the statement's block */
#define LOG_STR(s) log_escape(&(struct log_buf){{0}}, (s))

CV_END_DECLS

#endif

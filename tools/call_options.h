/**
 * @file call_options.h  The command line of convo-call
 */
#ifndef CALL_OPTIONS_H
#define CALL_OPTIONS_H

#include <jansson.h>
#include <convod/list.h>
#include "caller.h"
#include "show.h"

enum { CALL_ECHO_MS_MAX = 1000 };

struct call_options {
	const char *url;
	const char *wav, *mic, *ca_file;
	const char *token, *url_signed, *call_sid;
	bool mic_ulaw, insecure, allow_unanswered;
	uint32_t hangup_after_ms;
	uint32_t connect_ms;
	double echo_gain; /* 0: none */
	uint32_t echo_ms;
	json_t *params;
	struct list stepl;
	struct caller_param caller;
	struct show show;
};

/**
 * Read the command line, and the sounds and the script it names; --help and
 * --version print and end the process
 *
 * @param opt Filled, also on error: for call_options_free(). Points to argv's
 *            strings.
 *
 * @return 0 or an error, which stderr was told
 */
CV_NODISCARD int call_options_parse(struct call_options *opt, int argc,
				    char **argv);

/** Give back what it holds */
void call_options_free(struct call_options *opt);

#endif

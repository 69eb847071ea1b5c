/**
 * @file openai_chunk.h  Chat completions: events to what they say
 *
 * Spec: OpenAI's chat completions and what compatible servers make of them,
 * dialog.md section 10. Pure; private to src/dialog.
 */
#ifndef CONVOD_OPENAI_CHUNK_H
#define CONVOD_OPENAI_CHUNK_H

#include <convod/buf.h>
#include <convod/dialog.h>

enum {
	OPENAI_CALLS_MAX = 4, /* tool calls of an answer; more are ignored */
	OPENAI_NAME_SIZE = 64,
	OPENAI_ARGS_SIZE = 1024,
	OPENAI_WHAT_SIZE = 256,
};

/** What an event of the stream says; release with mem_deref() */
struct openai_chunk {
	struct buf text; /* to be spoken */
	json_t *calls;   /* (fragments of) tool calls, array or NULL */
	bool alive;      /* the model did something, be it thinking */
	bool done;       /* no more will come */
	char *error;     /* the answer broke off, and why; NULL: it did not */
};

/**
 * Parse the data of an event, or an answer that is no stream
 *
 * @return 0; EPROTO: no JSON object; ENOMEM
 */
CV_NODISCARD int openai_chunk_parse(struct openai_chunk **cp, const char *p,
				    size_t n);

/* ----------------------------------------------------------- tool calls */

struct openai_call {
	json_int_t index;
	char id[OPENAI_NAME_SIZE];
	char name[OPENAI_NAME_SIZE];
	char args[OPENAI_ARGS_SIZE]; /* JSON */
	bool cut;                    /* there was more of it */
};

/** Tool calls that gather; zeroed for each answer */
struct openai_calls {
	struct openai_call callv[OPENAI_CALLS_MAX];
	size_t callc;
};

/** Add the fragments of a chunk */
void openai_calls_add(struct openai_calls *calls, const json_t *fragments);

/** The tools that a model is offered; a new array */
json_t *openai_tools(void);

/**
 * What a call asks for
 *
 * @param number DIALOG_ID_MAX bytes that the act's text may point to
 *
 * @return false if we know no such tool
 */
bool openai_call_act(const struct openai_call *call, struct dialog_act *act,
		     char *number);

/* --------------------------------------------------------------- errors */

/** Why a request was refused */
struct openai_error {
	char what[OPENAI_WHAT_SIZE]; /* the server's words, "" if none */
	bool transient;              /* it may work the next time          */
	bool tools;                  /* it may work without tools          */
	bool too_long;               /* it may work with a shorter history */
};

/** From status and body, whatever that is */
void openai_error_parse(struct openai_error *e, int status, const char *p,
			size_t n);

#endif

/* Voiceflow's answers, whole and as the data of an event: what they become,
 * what an error says, and which button a caller means. The first byte chooses
 * how; a line feed parts the answer from what the caller says. */
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <convod/clip.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "../../src/dialog/voiceflow.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { AUDIO = 1, EVENT = 2, MUTED = 4 };

struct seen {
	bool last; /* after these there is nothing */
};

static void act_handler(const struct dialog_act *a, void *arg)
{
	struct seen *seen = arg;

	assert(!seen->last);
	assert(a->type != DIALOG_SAY || *a->text);
	assert(a->type != DIALOG_PLAY || a->clip || *a->url);
	assert(a->type != DIALOG_SILENCE ||
	       (a->ms && a->ms <= VOICEFLOW_SILENCE_MAX_MS));
	assert(!a->text || utf8_is_valid(a->text, strlen(a->text)));
	seen->last = a->type == DIALOG_TRANSFER || a->type == DIALOG_HANGUP;
}

static void press(const struct voiceflow_reply *r, const char *said)
{
	if (utf8_is_valid(said, strlen(said)))
		(void)voiceflow_button(voiceflow_reply_buttons(r), said);
	(void)voiceflow_has_key(voiceflow_reply_paths(r), said);
}

static void answer(const struct net *net, uint8_t how, const char *p, size_t n,
		   const char *said)
{
	struct seen seen = {false};
	const struct voiceflow_reply_param prm = {
		.net = net,
		.origin = "",
		.audio = how & AUDIO,
		.acth = act_handler,
		.arg = &seen,
	};
	struct voiceflow_reply *r;
	int err = voiceflow_reply_alloc(&r, &prm);

	assert(!err);
	voiceflow_reply_begin(r);
	if (how & MUTED)
		voiceflow_reply_mute(r);
	err = how & EVENT
		      ? voiceflow_event_parse(p, n, voiceflow_reply_trace, r)
		      : voiceflow_reply_parse(p, n, voiceflow_reply_trace, r);
	assert(!err || err == EPROTO);
	err = voiceflow_reply_end(r, err);
	assert((how & MUTED) ? !seen.last : seen.last == (bool)err);
	press(r, said);
	mem_deref(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	size_t blocks = mem_blocks();
	char why[VOICEFLOW_WHY_SIZE], *text;
	const char *said;
	struct net net = {0};
	int err;

	if (!n)
		return 0;

	err = str_ndup(&text, (const char *)p + 1, n - 1);
	assert(!err);
	voiceflow_why(why, text, n - 1);
	assert(utf8_is_valid(why, strlen(why)));

	said = strchr(text, '\n');
	err = loop_alloc(&net.loop);
	assert(!err);
	answer(&net, p[0], text, said ? (size_t)(said - text) : n - 1,
	       said ? said + 1 : "");
	mem_deref(net.loop);
	mem_deref(text);
	assert(mem_blocks() == blocks);

	return 0;
}

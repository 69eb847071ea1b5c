/**
 * @file voiceflow_trace.c  Voiceflow's answers, without I/O
 *
 * Spec: dialog.md 9.2, 9.3, 9.5
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/str.h>
#include <convod/utf8.h>
#include "voiceflow.h"

/* The bot that came before hung up or transferred by this text alone */
static const char transfer_text[] = "transfer-now";

bool voiceflow_is_transfer(const char *text)
{
	return !strcmp(text, transfer_text);
}

/* ---------------------------------------------------- traces with words */

/** A member that must be a string, maybe an empty one; NULL if it is not */
static const char *text_of(const json_t *o, const char *key)
{
	return json_string_value(json_object_get(o, key));
}

static bool is_blank(const char *s)
{
	return !s[strspn(s, " \t\r\n")];
}

static void read_message(struct voiceflow_trace *t, const char *message)
{
	if (!message)
		return;

	if (is_blank(message)) {
		t->type = VF_QUIET;
	} else if (voiceflow_is_transfer(message)) {
		t->type = VF_TRANSFER;
		t->on = true;
	} else {
		t->type = VF_SAY;
		t->text = message;
	}
}

static void read_text(struct voiceflow_trace *t, const json_t *payload)
{
	read_message(t, text_of(payload, "message"));
}

/*
 * `src` is the audio of `message`, or stands alone (type "audio": message is
 * then what is left of an <audio> tag, and not to be read). Without `src`
 * their voice has failed.
 */
static void read_speak(struct voiceflow_trace *t, const json_t *payload)
{
	const char *message = text_of(payload, "message");
	const char *src = jsn_str(payload, "src");
	bool audio = str_eq(text_of(payload, "type"), "audio");

	if (!audio)
		read_message(t, message);
	else if (!src)
		t->type = VF_QUIET;
	if (!src || t->type == VF_TRANSFER)
		return;

	t->type = VF_PLAY;
	t->url = src;
}

static void read_choice(struct voiceflow_trace *t, const json_t *payload)
{
	json_t *buttons = json_object_get(payload, "buttons");

	if (!json_is_array(buttons))
		return;

	t->type = VF_CHOICE;
	t->list = buttons;
}

/* Seconds; anything but a positive number is taken for the default */
static void read_no_reply(struct voiceflow_trace *t, const json_t *payload)
{
	double s = json_number_value(json_object_get(payload, "timeout"));

	t->type = VF_NO_REPLY;
	t->ms = VOICEFLOW_SILENCE_MS;
	if (s > 0)
		t->ms = s * 1000 < VOICEFLOW_SILENCE_MAX_MS
				? MAX((uint32_t)(s * 1000), 1)
				: VOICEFLOW_SILENCE_MAX_MS;
}

static void read_end(struct voiceflow_trace *t, const json_t *payload)
{
	(void)payload;
	t->type = VF_END;
}

static void read_quiet(struct voiceflow_trace *t, const json_t *payload)
{
	(void)payload;
	t->type = VF_QUIET;
}

/* --------------------------------------------------------- in pieces */

static bool read_state(struct voiceflow_trace *t, const json_t *payload)
{
	static const char *const namev[] = {[VF_START] = "start",
					    [VF_CONTENT] = "content",
					    [VF_STOP] = "end"};
	const char *name = text_of(payload, "state");

	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		if (str_eq(name, namev[i])) {
			t->state = (enum voiceflow_state)i;
			return true;
		}
	}

	return false;
}

static void read_completion(struct voiceflow_trace *t, const json_t *payload)
{
	const char *text = text_of(payload, "content");

	if (!read_state(t, payload) || (t->state == VF_CONTENT && !text))
		return;

	t->type = VF_COMPLETION;
	t->text = text ? text : "";
}

/* The older spelling has a name for each state, and text in all of them */
static void read_old_completion(struct voiceflow_trace *t, const char *state,
				const json_t *payload)
{
	const char *text = text_of(payload, "completion");

	t->type = VF_COMPLETION;
	t->state = !strcmp(state, "start")      ? VF_START
		   : !strcmp(state, "continue") ? VF_CONTENT
						: VF_STOP;
	t->text = text ? text : "";
}

static void read_audio(struct voiceflow_trace *t, const json_t *payload)
{
	const char *encoding = text_of(payload, "encoding");
	const char *content = text_of(payload, "content");

	if (!read_state(t, payload))
		return;
	if (t->state == VF_CONTENT &&
	    (!content || (encoding && !str_caseeq(encoding, "audio/x-mulaw"))))
		return;

	t->type = VF_AUDIO;
	t->text = content ? content : "";
}

/* ------------------------------------------------------ custom actions */

static void read_forward_call(struct voiceflow_trace *t, const json_t *payload)
{
	const char *number = jsn_str(payload, "number");

	t->type = VF_TRANSFER;
	t->text = number ? number : "";
}

static void read_interruption(struct voiceflow_trace *t, const json_t *payload)
{
	const json_t *allow = json_object_get(payload, "allowInterrupts");

	if (!json_is_boolean(allow))
		return;

	t->type = VF_INTERRUPTION;
	t->on = json_is_true(allow);
}

/* ----------------------------------------------------------- the table */

struct reader {
	const char *name;
	void (*read)(struct voiceflow_trace *t, const json_t *payload);
};

static const struct reader *find(const struct reader *v, size_t n,
				 const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (!strcmp(v[i].name, name))
			return &v[i];
	}

	return NULL;
}

/*
 * Their payload is any JSON, often a string that holds JSON.
 *
 * @param own Set to a value that the trace borrows from, maybe NULL
 */
static void read_action(struct voiceflow_trace *t, const char *name,
			const json_t *payload, json_t **own)
{
	static const struct reader readerv[] = {
		{"forward-call", read_forward_call},
		{"interruption", read_interruption},
	};
	const struct reader *r = find(readerv, ARRAY_SIZE(readerv), name);
	const char *s = json_string_value(payload);

	if (!r)
		return;

	/* without memory it counts as not understood */
	if (s && !jsn_parse(own, s, strlen(s)))
		payload = *own;
	r->read(t, payload);
}

static void read_type(struct voiceflow_trace *t, const char *type,
		      const json_t *trace, json_t **own)
{
	static const struct reader readerv[] = {
		{"speak", read_speak},
		{"text", read_text},
		{"choice", read_choice},
		{"no-reply", read_no_reply},
		{"end", read_end},
		{"completion", read_completion},
		{"audio", read_audio},
		/* "debug" and "log" have a message that is not for callers */
		{"debug", read_quiet},
		{"log", read_quiet},
		{"path", read_quiet},
		{"flow", read_quiet},
		{"block", read_quiet},
		{"goto", read_quiet},
		{"entity-filling", read_quiet},
		{"visual", read_quiet},
		{"cardV2", read_quiet},
		{"carousel", read_quiet},
		{"knowledgeBase", read_quiet},
		{"stream", read_quiet},
	};
	const json_t *payload = json_object_get(trace, "payload");
	const struct reader *r = find(readerv, ARRAY_SIZE(readerv), type);
	json_t *paths = json_object_get(trace, "paths");

	if (r) {
		r->read(t, payload);
	} else if (str_starts(type, "completion-")) {
		read_old_completion(t, type + strlen("completion-"), payload);
	} else if (!strcmp(type, "channel-action")) {
		const char *name = jsn_str(payload, "name");

		if (name)
			read_action(t, name,
				    json_object_get(payload, "payload"), own);
	} else if (!strcmp(type, "DTMF") && json_is_array(paths)) {
		t->type = VF_KEYS;
		t->list = paths;
	} else {
		read_action(t, type, payload, own);
	}
}

static void read_trace(const json_t *trace, voiceflow_trace_h *h, void *arg)
{
	struct voiceflow_trace t = {.text = "", .url = ""};
	const char *type = jsn_str(trace, "type");
	json_t *own = NULL;

	/* the beta of the stream wrapped them */
	if (str_eq(type, "trace")) {
		trace = json_object_get(trace, "trace");
		type = jsn_str(trace, "type");
	}

	if (type)
		read_type(&t, type, trace, &own);
	h(&t, arg);
	json_decref(own);
}

/* ---------------------------------------------------------- whole texts */

static json_t *traces_of(json_t *root)
{
	json_t *traces = root;

	if (json_is_object(root)) {
		traces = json_object_get(root, "trace");
		if (!traces)
			traces = json_object_get(root, "traces");
	}

	return json_is_array(traces) ? traces : NULL;
}

int voiceflow_reply_parse(const char *p, size_t n, voiceflow_trace_h *h,
			  void *arg)
{
	json_t *root, *traces, *trace;
	size_t i;
	int err = jsn_parse(&root, p, n);

	if (err)
		return err;

	traces = traces_of(root);
	json_array_foreach(traces, i, trace)
	{
		read_trace(trace, h, arg);
	}
	err = traces ? 0 : EPROTO;
	json_decref(root);

	return err;
}

int voiceflow_event_parse(const char *p, size_t n, voiceflow_trace_h *h,
			  void *arg)
{
	json_t *trace;
	int err = jsn_parse(&trace, p, n);

	if (err)
		return err;

	if (json_is_object(trace))
		read_trace(trace, h, arg);
	else
		err = EPROTO;
	json_decref(trace);

	return err;
}

/* --------------------------------------------------------------- errors */

static bool is_page(const char *p, size_t n)
{
	while (n && strchr(" \t\r\n", *p)) {
		++p;
		--n;
	}

	return n && *p == '<';
}

/* {"name","message","requestID"}, or {"code","status","data"}, or plain text;
 * a page says nothing */
void voiceflow_why(char *dst, const char *p, size_t n)
{
	const char *text = NULL;
	json_t *root = NULL;
	int err = jsn_parse(&root, p, n);

	if (!err) {
		text = jsn_str(root, "message");
		if (!text)
			text = jsn_str(root, "data");
		if (!text)
			text = jsn_str(root, "error");
		if (text)
			n = strlen(text);
	} else if (err == EPROTO && !is_page(p, n)) {
		text = p;
	}

	dst[0] = '\0';
	if (text)
		(void)utf8_clean(dst, VOICEFLOW_WHY_SIZE, text, n);
	json_decref(root);
}

/**
 * @file openai_chunk.c  Chat completions: events to what they say
 */
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/utf8.h>
#include "openai_chunk.h"

static void destructor(void *arg)
{
	struct openai_chunk *c = arg;

	buf_reset(&c->text);
	mem_deref(c->error);
	json_decref(c->calls);
}

/* ----------------------------------------------------------------- text */

static int add_text(struct buf *text, const char *s)
{
	return str_isset(s) ? buf_add(text, s, strlen(s), SIZE_MAX) : 0;
}

/* A string, or parts: [{"type":"text","text":"…"},{"type":"thinking",…}] */
static int add_content(struct buf *text, const json_t *content)
{
	const json_t *part;
	size_t i;
	int err = add_text(text, json_string_value(content));

	json_array_foreach(content, i, part)
	{
		if (!err && str_eq(jsn_str(part, "type"), "text"))
			err = add_text(text, jsn_str(part, "text"));
	}

	return err;
}

/* --------------------------------------------------------------- errors */

/* {"error":{"message":…}}, {"error":"…"}, {"message":…}, {"detail":…} */
static const char *error_text(const json_t *root)
{
	static const char *const keyv[] = {"message", "error", "detail",
					   "code", "type"};
	const json_t *error = json_object_get(root, "error");
	const json_t *in = json_is_object(error) ? error : root;

	for (size_t i = 0; i < ARRAY_SIZE(keyv); i++) {
		if (jsn_str(in, keyv[i]))
			return jsn_str(in, keyv[i]);
	}

	return "unknown error";
}

static bool is_error(const json_t *root)
{
	const json_t *error = json_object_get(root, "error");

	return (error && !json_is_null(error) && !json_is_false(error)) ||
	       str_eq(jsn_str(root, "object"), "error");
}

/* --------------------------------------------------------------- chunks */

/* We ask for one choice; a server that sends more numbers them */
static const json_t *first_choice(const json_t *root)
{
	const json_t *choices = json_object_get(root, "choices"), *choice;
	size_t i;

	json_array_foreach(choices, i, choice)
	{
		if (!json_integer_value(json_object_get(choice, "index")))
			return choice;
	}

	return NULL;
}

/* {"function_call":{"name":…,"arguments":…}}, as it was before tools */
static int get_calls(json_t **callsp, const json_t *delta)
{
	json_t *calls = json_object_get(delta, "tool_calls");
	json_t *function = json_object_get(delta, "function_call");

	if (json_is_array(calls))
		*callsp = json_incref(calls);
	else if (json_is_object(function))
		*callsp = json_pack("[{s:i, s:O}]", "index", 0, "function",
				    function);
	else
		return 0;

	return *callsp ? 0 : ENOMEM;
}

static bool is_thinking(const json_t *delta)
{
	return jsn_str(delta, "reasoning_content") ||
	       jsn_str(delta, "reasoning") ||
	       json_array_size(json_object_get(delta, "content"));
}

static int read_choice(struct openai_chunk *c, const json_t *choice)
{
	const json_t *delta = json_object_get(choice, "delta");
	int err;

	if (!json_is_object(delta))
		delta = json_object_get(choice, "message");

	err = add_content(&c->text, json_object_get(delta, "content"));
	if (!err)
		err = add_text(&c->text, jsn_str(delta, "refusal"));
	if (!err)
		err = get_calls(&c->calls, delta);
	c->alive = c->text.n || c->calls || is_thinking(delta);

	return err;
}

static int read_root(struct openai_chunk *c, const json_t *root)
{
	if (!json_is_object(root))
		return EPROTO;
	if (is_error(root))
		return str_dup(&c->error, error_text(root));

	return read_choice(c, first_choice(root));
}

int openai_chunk_parse(struct openai_chunk **cp, const char *p, size_t n)
{
	static const char end[] = "[DONE]";
	struct openai_chunk *c;
	json_t *root = NULL;
	int err = 0;

	if (!cp || (n && !p))
		return EINVAL;

	c = mem_zalloc(sizeof(*c), destructor);
	if (!c)
		return ENOMEM;

	c->done = n >= sizeof(end) - 1 && !memcmp(p, end, sizeof(end) - 1);
	if (!c->done)
		err = jsn_parse(&root, p, n);
	if (!c->done && !err)
		err = read_root(c, root);
	json_decref(root);

	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

void openai_error_parse(struct openai_error *e, int status, const char *p,
			size_t n)
{
	json_t *root = NULL;
	const json_t *in;
	const char *code, *type;

	memset(e, 0, sizeof(*e));
	if (!jsn_parse(&root, p, n) && json_is_object(root)) {
		const char *what = error_text(root);

		(void)utf8_clean(e->what, sizeof(e->what), what, strlen(what));
	}

	in = json_object_get(root, "error");
	code = jsn_str(in, "code");
	type = jsn_str(in, "type");
	e->transient = (status == 408 || status == 429 || status >= 500) &&
		       !str_eq(code, "insufficient_quota") &&
		       !str_eq(type, "insufficient_quota");
	e->too_long = str_eq(code, "context_length_exceeded") ||
		      strcasestr(e->what, "context length") ||
		      strcasestr(e->what, "context size");
	/* some say only that they do not know a field, some not even that */
	e->tools = !e->too_long && (status == 400 || status == 422 ||
				    strcasestr(e->what, "tool"));
	json_decref(root);
}

/* ----------------------------------------------------------- tool calls */

static struct openai_call *new_call(struct openai_calls *calls,
				    json_int_t index)
{
	struct openai_call *call;

	if (calls->callc == OPENAI_CALLS_MAX)
		return NULL;

	call = &calls->callv[calls->callc++];
	call->index = index;

	return call;
}

/*
 * The call that a fragment belongs to. Its index says so, but some servers
 * send whole calls without one, or give each of them the index 0 with an id
 * of its own.
 */
static struct openai_call *call_of(struct openai_calls *calls,
				   const json_t *fragment)
{
	const json_t *number = json_object_get(fragment, "index");
	const char *id = jsn_str(fragment, "id");
	bool named = jsn_str(json_object_get(fragment, "function"), "name");
	json_int_t index = json_integer_value(number);

	for (size_t i = calls->callc; i-- > 0;) {
		struct openai_call *call = &calls->callv[i];
		bool other = id && call->id[0] && !str_eq(id, call->id);

		if (json_is_integer(number) ? call->index != index : named)
			continue;
		if (!other || !named)
			return call;
	}

	return new_call(calls, index);
}

static void add_args(struct openai_call *call, const json_t *args)
{
	size_t n = strlen(call->args), room = sizeof(call->args) - n;
	const char *s = json_string_value(args);
	size_t need;

	if (json_is_object(args)) {
		need = json_dumpb(args, call->args + n, room - 1,
				  JSON_COMPACT);
		call->cut |= need > room - 1;
		call->args[MIN(n + need, sizeof(call->args) - 1)] = '\0';
	} else if (s) {
		call->cut |= strlen(s) >= room;
		str_copy(call->args + n, room, s);
	}
}

void openai_calls_add(struct openai_calls *calls, const json_t *fragments)
{
	const json_t *fragment;
	size_t i;

	json_array_foreach(fragments, i, fragment)
	{
		const json_t *function = json_object_get(fragment, "function");
		struct openai_call *call = call_of(calls, fragment);
		const char *id = jsn_str(fragment, "id");
		const char *name = jsn_str(function, "name");

		if (!call)
			continue;
		if (id && !call->id[0])
			str_copy(call->id, sizeof(call->id), id);
		if (name && !call->name[0])
			str_copy(call->name, sizeof(call->name), name);
		add_args(call, json_object_get(function, "arguments"));
	}
}

json_t *openai_tools(void)
{
	return json_pack(
		"[{s:s, s:{s:s, s:s, s:{s:s, s:{}}}},"
		" {s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}}}}]",
		"type", "function", "function", "name", "hang_up",
		"description",
		"End the telephone call. Say goodbye in the same answer.",
		"parameters", "type", "object", "properties", "type",
		"function", "function", "name", "transfer_call", "description",
		"Connect the caller with a person. Say so in the same answer.",
		"parameters", "type", "object", "properties", "to", "type",
		"string", "description",
		"Telephone number, if your instructions name one");
}

static void get_number(char *number, const char *args)
{
	static const char *const keyv[] = {"to", "number", "phone_number"};
	json_t *root = NULL;

	number[0] = '\0';
	if (jsn_parse(&root, args, strlen(args)))
		return;

	for (size_t i = 0; i < ARRAY_SIZE(keyv) && !number[0]; i++) {
		const char *s = jsn_str(root, keyv[i]);

		if (s)
			str_copy(number, DIALOG_ID_MAX, s);
	}
	json_decref(root);
}

bool openai_call_act(const struct openai_call *call, struct dialog_act *act,
		     char *number)
{
	memset(act, 0, sizeof(*act));
	if (str_eq(call->name, "hang_up")) {
		act->type = DIALOG_HANGUP;
	} else if (str_eq(call->name, "transfer_call")) {
		get_number(number, call->cut ? "" : call->args);
		act->type = DIALOG_TRANSFER;
		act->text = number;
	} else {
		return false;
	}

	return true;
}

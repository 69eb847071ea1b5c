/**
 * @file voiceflow.c  Dialog manager Voiceflow
 *
 *	voiceflow+http[s]://host[/path][?stream=PROJECT][&audio=true]
 *		[&dtmf=event]
 *
 * Without `stream` a turn is one POST /state/user/{call id}/interact, whose
 * answer comes whole (Dialog Manager API); with it the answer comes as events,
 * and is spoken while it is written. `audio` lets Voiceflow's voice speak it.
 *
 * A state is read, merged and written back there without a lock, so a user,
 * which is a call, must never have two requests at once. One that is given up,
 * by cancel() or because a turn took too long, may go on over there: so its
 * connection is kept, what comes is dropped, and the next turn waits for its
 * end, RUN_MAX_MS at the most: no turn runs longer there.
 *
 * A turn is sent in steps, each when the one before it was answered:
 *
 *	the call's variables ──▶ launch, or the text that opens ──▶ action
 *	  once a call              until it was answered         of the turn
 *
 *	session ──▶ reply (acts, buttons), request in flight, timer of the turn
 *
 * Spec: dialog.md section 9
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <convod/http.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "session.h"
#include "voiceflow.h"

enum {
	USER_MAX = 128,             /* more is refused there */
	TIMEOUT_DEFAULT_MS = 15000, /* the runtime's own limit */
	RUN_MAX_MS = 20000,         /* the gateway's */
};

struct voiceflow {
	struct dialog dialog; /* first */
	const struct net *net;
	char *base; /* without a slash at the end */
	char origin[HTTP_ORIGIN_MAX];
	char *project; /* NULL: answers come whole */
	bool audio;
	bool events; /* a key is an event, not a text */
	char *key;
	char *version;
	char *opening;      /* text to open with, NULL: launch */
	char *auth_header;  /* of the key */
	char *state_header; /* of the version */
	const char *headerv[5];
	uint32_t timeout_ms;
};

enum step { NOTHING, VARIABLES, OPENING, ACTION };

struct vf_session {
	struct session s; /* first */
	struct voiceflow *vf;
	char *user;   /* percent-encoded */
	json_t *vars; /* of the call, until they were told */
	struct voiceflow_reply *reply;

	struct voiceflow_request *req; /* maybe of a turn that is over */
	enum step step;                /* what waits for its answer */
	bool stale;                    /* nobody wants that answer */
	bool launched;
	json_t *action; /* of the turn, until it was answered */
	struct tmr *tmr;
	uint64_t end_ms;
};

static int go_on(struct vf_session *s);

/* ------------------------------------------------------------------ turn */

static void done(struct vf_session *s, int err)
{
	tmr_cancel(s->tmr);
	json_decref(s->action);
	s->action = NULL;
	session_done(&s->s, err);
}

/** The turn is over for us; its request goes on, unheard */
static void let_go(struct vf_session *s)
{
	tmr_cancel(s->tmr);
	json_decref(s->action);
	s->action = NULL;
	if (!s->step)
		return;

	s->stale = !voiceflow_request_let_go(s->req);
	if (!s->stale)
		s->step = NOTHING;
	voiceflow_reply_mute(s->reply);
}

static void timeout_handler(void *arg)
{
	struct vf_session *s = arg;

	let_go(s);
	session_done(&s->s, ETIMEDOUT);
}

/** As long as an answer goes on it is not late */
static void act_handler(const struct dialog_act *act, void *arg)
{
	struct vf_session *s = arg;

	if (!session_is_on(&s->s, s->s.turn))
		return;

	tmr_start(s->tmr, s->vf->timeout_ms);
	(void)session_act(&s->s, act);
}

/* --------------------------------------------------------------- answers */

/** What an answered step has brought; true: the dialog is over */
static bool take_answer(struct vf_session *s, int err)
{
	bool over = false;

	if (s->step != VARIABLES)
		over = voiceflow_reply_end(s->reply, err);

	/* the call can do without its variables */
	if (s->step == VARIABLES || (s->step == OPENING && !err)) {
		json_decref(s->vars);
		s->vars = NULL;
	}
	if (s->step == OPENING && !err)
		s->launched = true;
	if (s->step == ACTION && !s->stale) {
		json_decref(s->action);
		s->action = NULL;
	}

	return over;
}

static void answer_handler(int err, void *arg)
{
	struct vf_session *s = arg;
	bool over = take_answer(s, err);
	bool stale = s->stale;

	if (s->step == VARIABLES)
		err = 0;
	s->step = NOTHING;
	s->stale = false;
	/* if it was given up, this turn is a later one, which has waited */
	if (!session_is_on(&s->s, s->s.turn))
		return;

	if (!stale && (err || over)) {
		done(s, err);
		return;
	}

	err = go_on(s);
	if (err)
		done(s, err);
}

/* -------------------------------------------------------------- requests */

static int print_url(char **urlp, const struct vf_session *s, enum step step)
{
	const struct voiceflow *vf = s->vf;

	if (step == VARIABLES)
		return str_printf(urlp, "%s/state/user/%s/variables", vf->base,
				  s->user);
	if (!vf->project)
		return str_printf(urlp, "%s/state/user/%s/interact", vf->base,
				  s->user);

	return str_printf(
		urlp, "%s/v2/project/%s/user/%s/interact/stream?%s%s",
		vf->base, vf->project, s->user,
		vf->audio ? "audio_events=true&audio_encoding=audio%2Fx-mulaw&"
			    "modality=voice&environment="
			  : "completion_events=true&environment=",
		vf->version);
}

static json_t *text_action(const char *text)
{
	return json_pack("{s:s, s:s}", "type", "text", "payload", text);
}

/** The body takes the reference to the action */
static int print_interact(char **bodyp, const struct vf_session *s,
			  json_t *action, bool opening)
{
	json_t *body;
	int err;

	if (s->vf->project)
		body = json_pack("{s:o, s:O*}", "action", action, "variables",
				 opening ? s->vars : NULL);
	else
		/* their default of excludeTypes, and what else is not heard */
		body = json_pack("{s:o, s:{s:b, s:b, s:b, s:[ssss]}}",
				 "action", action, "config", "tts", 0,
				 "stripSSML", 1, "stopAll", 0, "excludeTypes",
				 "block", "debug", "flow", "path");
	if (!body)
		return ENOMEM;

	err = jsn_print(bodyp, body);
	json_decref(body);

	return err;
}

static int print_body(char **bodyp, const struct vf_session *s, enum step step)
{
	json_t *action;

	if (step == VARIABLES)
		return jsn_print(bodyp, s->vars);

	if (step == ACTION)
		action = json_incref(s->action);
	else if (s->vf->opening)
		action = text_action(s->vf->opening);
	else
		action = json_pack("{s:s}", "type", "launch");

	return action ? print_interact(bodyp, s, action, step == OPENING)
		      : ENOMEM;
}

static int send_step(struct vf_session *s, enum step step)
{
	struct voiceflow *vf = s->vf;
	struct voiceflow_request_param prm = {
		.net = vf->net,
		.call_id = s->s.call_id,
		.method = step == VARIABLES ? "PATCH" : "POST",
		.headerv = vf->headerv,
		.key = vf->key,
		.secret = s->s.secret,
		.stream = step != VARIABLES && vf->project,
		/* launch wipes what an earlier one has left */
		.twice = step == VARIABLES ||
			 (step == OPENING && !vf->opening),
		.nothing = step == VARIABLES,
		.timeout_ms = MAX(RUN_MAX_MS, vf->timeout_ms),
		.end_ms = s->end_ms,
		.reply = s->reply,
	};
	int err = print_url(&prm.url, s, step);

	if (!err)
		err = print_body(&prm.body, s, step);
	if (!err) {
		s->req = mem_deref(s->req);
		if (step != VARIABLES)
			voiceflow_reply_begin(s->reply);
		err = voiceflow_request_alloc(&s->req, &prm, answer_handler,
					      s);
	}
	mem_deref(prm.url);
	mem_deref(prm.body);
	if (!err)
		s->step = step;

	return err;
}

/** Do what is next, if nothing waits for its answer */
static int go_on(struct vf_session *s)
{
	if (s->step)
		return 0;
	if (s->vars && !s->vf->project)
		return send_step(s, VARIABLES);
	if (!s->s.asking)
		return 0;
	if (!s->launched)
		return send_step(s, OPENING);
	if (s->action)
		return send_step(s, ACTION);

	done(s, 0);

	return 0;
}

/* --------------------------------------------------------------- session */

static void session_destructor(void *arg)
{
	struct vf_session *s = arg;

	mem_deref(s->tmr);
	mem_deref(s->req);
	mem_deref(s->reply);
	json_decref(s->action);
	json_decref(s->vars);
	mem_deref(s->user);
	session_close(&s->s);
}

static int pack_variables(struct vf_session *s, const struct dialog_call *call)
{
	s->vars = json_pack("{s:s, s:s, s:s}", "caller",
			    call->caller ? call->caller : "", "called",
			    call->called ? call->called : "", "call_id",
			    s->s.call_id);

	return s->vars ? 0 : ENOMEM;
}

static int vf_open(struct dialog_session **sp, struct dialog *d,
		   const struct dialog_call *call,
		   const struct dialog_handlers *h, void *arg)
{
	struct voiceflow *vf = CONTAINER_OF(d, struct voiceflow, dialog);
	struct vf_session *s = mem_zalloc(sizeof(*s), session_destructor);
	struct voiceflow_reply_param prm = {
		.net = vf->net,
		.origin = vf->origin,
		.audio = vf->audio,
		.acth = act_handler,
		.arg = s,
	};
	char user[USER_MAX + 1];
	int err;

	if (!s)
		return ENOMEM;

	s->vf = vf;
	err = session_open(&s->s, d, vf->net, call, h, arg);
	if (!err) {
		str_copy(user, sizeof(user), s->s.call_id);
		err = url_escape(&s->user, user);
	}
	if (!err)
		err = pack_variables(s, call);
	if (!err)
		err = voiceflow_reply_alloc(&s->reply, &prm);
	if (!err)
		err = tmr_alloc(&s->tmr, vf->net->loop, timeout_handler, s);
	if (!err) {
		s->end_ms = loop_now_ms(vf->net->loop) + vf->timeout_ms;
		err = go_on(s);
	}

	if (err)
		mem_deref(s);
	else
		*sp = &s->s.ds;

	return err;
}

static json_t *event_action(const char *keys)
{
	char name[sizeof("DTMF ") + DIALOG_DIGITS_MAX];

	(void)snprintf(name, sizeof(name), "DTMF %s", keys);

	return json_pack("{s:s}", "type", name);
}

/** What the caller said or did, as Voiceflow has it; NULL: nothing to it */
static int find_action(json_t **ap, const struct vf_session *s,
		       const struct dialog_turn *t)
{
	const struct voiceflow *vf = s->vf;
	json_t *request = voiceflow_button(voiceflow_reply_buttons(s->reply),
					   t->text);
	const json_t *paths = voiceflow_reply_paths(s->reply);

	*ap = NULL;
	if (t->kind == DIALOG_NOBODY)
		*ap = json_pack("{s:s}", "type", "no-reply");
	else if (t->kind == DIALOG_OPENING || !*t->text)
		return 0;
	else if (request)
		*ap = json_incref(request);
	else if (t->kind == DIALOG_KEYS &&
		 (voiceflow_has_key(paths, t->text) ||
		  (vf->events && strlen(t->text) == 1)))
		*ap = event_action(t->text);
	else
		*ap = text_action(t->text);

	return *ap ? 0 : ENOMEM;
}

static void nothing_handler(struct session *base)
{
	done(CONTAINER_OF(base, struct vf_session, s), 0);
}

static int vf_turn(struct dialog_session *ds, const struct dialog_turn *t)
{
	struct vf_session *s = CONTAINER_OF(ds, struct vf_session, s.ds);
	uint32_t timeout_ms = s->vf->timeout_ms;
	int err;

	if (!t || !t->text || !utf8_is_valid(t->text, strlen(t->text)))
		return EINVAL;
	err = session_begin(&s->s, t);
	if (err)
		return err;

	err = find_action(&s->action, s, t);
	if (err)
		goto out;

	if (t->kind == DIALOG_OPENING) {
		s->launched = false;
	} else if (!s->action) {
		/* Heard, but not understood: they have no action for that,
		 * and no-reply is for a caller who was silent */
		session_later(&s->s, nothing_handler);
		return 0;
	} else if (!s->launched && t->kind == DIALOG_NOBODY) {
		/* the opening has failed; nobody has missed a question */
		json_decref(s->action);
		s->action = NULL;
	}

	s->end_ms = loop_now_ms(s->vf->net->loop) + timeout_ms;
	tmr_start(s->tmr, timeout_ms);
	err = go_on(s);

out:
	if (err) {
		tmr_cancel(s->tmr);
		json_decref(s->action);
		s->action = NULL;
		session_cancel(&s->s);
	}

	return err;
}

static void vf_cancel(struct dialog_session *ds)
{
	struct vf_session *s = CONTAINER_OF(ds, struct vf_session, s.ds);

	if (!s->s.asking)
		return;

	let_go(s);
	session_cancel(&s->s);
}

/* --------------------------------------------------------------- backend */

static void destructor(void *arg)
{
	struct voiceflow *vf = arg;

	(void)str_wipe(vf->base);
	(void)str_wipe(vf->key);
	(void)str_wipe(vf->auth_header);
	mem_deref(vf->state_header);
	mem_deref(vf->project);
	mem_deref(vf->version);
	mem_deref(vf->opening);
}

static bool is_param(const char *q, size_t n, const char *param)
{
	return n == strlen(param) && !memcmp(q, param, n);
}

/** A project's id is 24 hex digits; here it is what a path takes as it is */
static int parse_project(struct voiceflow *vf, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)s[i]) && !strchr("-_", s[i]))
			return EINVAL;
	}

	return n && !vf->project ? str_ndup(&vf->project, s, n) : EINVAL;
}

static int parse_query(struct voiceflow *vf, const char *q)
{
	static const char stream[] = "stream=";
	int err = 0;

	while (*q && !err) {
		size_t n = strcspn(q, "&");

		if (str_starts(q, stream)) {
			err = parse_project(vf, q + strlen(stream),
					    n - strlen(stream));
		} else if (is_param(q, n, "audio=true")) {
			vf->audio = true;
		} else if (is_param(q, n, "dtmf=event")) {
			vf->events = true;
		} else if (!is_param(q, n, "audio=false") &&
			   !is_param(q, n, "dtmf=text")) {
			return EINVAL;
		}
		q += n;
		q += *q == '&';
	}

	/* whole answers have no audio events */
	if (!err && vf->audio && !vf->project)
		err = EINVAL;

	return err;
}

static int parse_url(struct voiceflow *vf, const char *url)
{
	const char *http = strchr(url, '+');
	size_t n;
	int err;

	if (!http || strchr(url, '#'))
		return EINVAL;

	n = strcspn(++http, "?");
	if (http[n])
		err = parse_query(vf, http + n + 1);
	else
		err = 0;
	while (n && http[n - 1] == '/')
		--n;
	if (!err)
		err = str_ndup(&vf->base, http, n);
	if (err)
		return err;

	err = url_origin(vf->origin, sizeof(vf->origin), vf->base);

	return err && err != ENOMEM ? EINVAL : err;
}

/** "launch", or "text:" and what to begin with, as the bot before us did */
static int parse_opening(struct voiceflow *vf, const char *opening)
{
	if (!str_isset(opening) || !strcmp(opening, "launch"))
		return 0;
	if (!str_starts(opening, "text:") || !opening[strlen("text:")])
		return EINVAL;

	return str_dup(&vf->opening, opening + strlen("text:"));
}

static bool is_header_value(const char *s)
{
	while (isgraph((unsigned char)*s))
		++s;

	return !*s;
}

static int print_headers(struct voiceflow *vf, const char *key,
			 const char *version)
{
	int err;

	if (!str_isset(key) || !is_header_value(key))
		return EINVAL;
	if (!str_isset(version))
		version = "production"; /* theirs is the draft */
	if (!is_header_value(version))
		return EINVAL;

	err = str_dup(&vf->key, key);
	if (!err)
		err = url_escape(&vf->version, version);
	if (!err)
		err = str_printf(&vf->auth_header, "Authorization: %s", key);
	if (!err)
		err = str_printf(&vf->state_header, "versionID: %s", version);
	if (err)
		return err;

	vf->headerv[0] = vf->auth_header;
	vf->headerv[1] = vf->state_header;
	vf->headerv[2] = "Content-Type: application/json";
	vf->headerv[3] = vf->project ? "Accept: text/event-stream"
				     : "Accept: application/json";

	return 0;
}

static int vf_alloc(struct dialog **dp, const struct dialog_param *prm,
		    const struct net *net)
{
	struct voiceflow *vf = mem_zalloc(sizeof(*vf), destructor);
	int err;

	if (!vf)
		return ENOMEM;

	vf->dialog.be = &dialog_voiceflow;
	vf->net = net;
	vf->timeout_ms = prm->timeout_ms ? prm->timeout_ms
					 : TIMEOUT_DEFAULT_MS;
	err = parse_url(vf, prm->url);
	if (!err)
		err = parse_opening(vf, prm->opening);
	if (!err)
		err = print_headers(vf, prm->key, prm->version);
	if (err)
		mem_deref(vf);
	else
		*dp = &vf->dialog;

	return err;
}

const struct dialog_backend dialog_voiceflow = {
	.name = "voiceflow",
	.schemev = {"voiceflow+http", "voiceflow+https"},
	.form = "http(s)://host[?stream=PROJECT[&audio=true]][&dtmf=event], "
		"the key without Bearer, the opening launch or text:WORDS",
	.alloc = vf_alloc,
	.open = vf_open,
	.turn = vf_turn,
	.cancel = vf_cancel,
	.opens = true,
	.knows_nobody = true,
};

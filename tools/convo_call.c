/**
 * @file convo_call.c  convo-call: a softphone for the terminal
 *
 * Dials a /convo URL as Twilio does, follows a script, judges the daemon.
 * Everything of interest is in phone.c (Twilio's side), caller.c (the person),
 * script.c (what to do) and show.c (what is printed); this file joins them to
 * a websocket, a clock and the files. The command line is in call_options.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include <convod/loop.h>
#include <convod/mem.h>
#include <convod/record.h>
#include <convod/str.h>
#include <convod/wsclient.h>
#include "call_options.h"
#include "phone.h"

enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_NO_CALL = 2,
	EXIT_RULES = 3,
	EXIT_EXPECTED = 4,
	METER_FRAMES = 5,         /* redrawn every so many */
	FIRST_TIMESTAMP_MS = 155, /* as captures have it: not 0 */
	ECHO_SAMPLES = CALL_ECHO_MS_MAX * AUDIO_PER_MS + FRAME_SAMPLES,
};

struct call {
	struct call_options *opt;
	struct loop *loop;
	struct tmr *tmr;
	struct wsclient *client;
	struct wsc *ws;
	struct phone *phone;
	struct caller *caller;
	struct record *record;
	int mic_fd;
	int16_t echov[ECHO_SAMPLES]; /* what the bot has said, a ring */
	size_t echo_pos;             /* of the newest frame's end     */

	uint64_t start_ms; /* of the first frame */
	uint64_t frames;
	uint32_t late_max_ms;
	uint64_t dropped; /* frames the daemon did not read */
	bool hung_up;     /* by us */
	bool connected;
	struct show_end end;
	char why[256];
};

static volatile sig_atomic_t interrupted;

static void signal_handler(int sig)
{
	(void)sig;
	interrupted = 1;
}

static uint64_t at_ms(const struct call *c)
{
	return c->frames * FRAME_MS;
}

/* --------------------------------------------------- handlers of the model */

static void send_handler(const char *msg, size_t len, void *arg)
{
	struct call *c = arg;

	if (wsc_send(c->ws, false, msg, len) == EAGAIN && !c->dropped++)
		show_note(&c->opt->show, at_ms(c),
			  "the daemon does not read, audio is dropped");
}

static void mark_handler(const char *name, bool played, void *arg)
{
	struct call *c = arg;

	show_mark(&c->opt->show, at_ms(c), name, played);
}

static void clear_handler(uint32_t dropped_ms, void *arg)
{
	struct call *c = arg;

	show_clear(&c->opt->show, at_ms(c), dropped_ms);
	caller_cleared(c->caller);
}

static void fault_handler(enum phone_rule rule, const char *detail, void *arg)
{
	struct call *c = arg;

	show_fault(&c->opt->show, at_ms(c), rule, detail);
}

static const struct phone_ops phone_ops = {
	.send = send_handler,
	.mark = mark_handler,
	.clear = clear_handler,
	.fault = fault_handler,
};

static void caller_handler(const struct caller_event *ev, void *arg)
{
	struct call *c = arg;

	show_event(&c->opt->show, ev);
	if (ev->type == CALLER_PRESSES)
		phone_press(c->phone, ev->digit);
}

/* -------------------------------------------------------------- the call */

static void hang_up(struct call *c)
{
	if (c->hung_up)
		return;

	c->hung_up = true;
	tmr_cancel(c->tmr);
	phone_stop(c->phone);
	wsc_close(c->ws, 1000, "");
}

/* A frame of the microphone. A pipe that has none yet gives silence: the
 * phone's clock does not wait. Its end hangs up. */
static bool read_mic(struct call *c, uint8_t *ulawv)
{
	uint8_t buf[2 * FRAME_SAMPLES];
	size_t want = c->opt->mic_ulaw ? FRAME_SAMPLES : sizeof(buf);
	ssize_t n = read(c->mic_fd, buf, want);

	memset(ulawv, ULAW_SILENCE, FRAME_SAMPLES);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (c->opt->mic_ulaw)
		memcpy(ulawv, buf, (size_t)n);
	for (ssize_t i = 0; !c->opt->mic_ulaw && i + 1 < n; i += 2)
		ulawv[i / 2] = g711_ulaw_encode(
			(int16_t)(uint16_t)(buf[i] | buf[i + 1] << 8));

	return n > 0;
}

/* The phone returns what its loudspeaker plays */
static void add_echo(const struct call *c, int16_t *pcmv)
{
	size_t back = c->opt->echo_ms * AUDIO_PER_MS;
	size_t from = c->echo_pos + ECHO_SAMPLES - back;

	for (size_t i = 0; c->opt->echo_ms && i < FRAME_SAMPLES; i++) {
		long v = pcmv[i] + lrint(c->opt->echo_gain *
					 c->echov[(from + i) % ECHO_SAMPLES]);

		pcmv[i] = (int16_t)MAX(MIN(v, INT16_MAX), INT16_MIN);
	}
}

static void keep_for_echo(struct call *c, const int16_t *bot_pcmv)
{
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		c->echov[(c->echo_pos + i) % ECHO_SAMPLES] = bot_pcmv[i];
	c->echo_pos = (c->echo_pos + FRAME_SAMPLES) % ECHO_SAMPLES;
}

static void frame(struct call *c)
{
	uint8_t ulawv[FRAME_SAMPLES], botv[FRAME_SAMPLES];
	int16_t pcmv[FRAME_SAMPLES], bot_pcmv[FRAME_SAMPLES];
	bool more = true;

	if (c->opt->mic) {
		more = read_mic(c, ulawv);
		g711_ulaw_decode_n(pcmv, ulawv, FRAME_SAMPLES);
		caller_spoke(c->caller, pcmv);
	} else {
		caller_speak(c->caller, pcmv);
		add_echo(c, pcmv);
		g711_ulaw_encode_n(ulawv, pcmv, FRAME_SAMPLES);
		g711_ulaw_decode_n(pcmv, ulawv, FRAME_SAMPLES);
	}
	if (caller_is_done(c->caller) || !more) {
		hang_up(c);
		return;
	}

	phone_tick(c->phone, loop_now_ms(c->loop), ulawv, botv);
	++c->frames;
	g711_ulaw_decode_n(bot_pcmv, botv, FRAME_SAMPLES);
	keep_for_echo(c, bot_pcmv);
	caller_hear(c->caller, bot_pcmv, phone_is_busy(c->phone));

	if (c->record &&
	    record_write(c->record, pcmv, bot_pcmv, FRAME_SAMPLES)) {
		show_note(&c->opt->show, at_ms(c), "cannot write %s any more",
			  c->opt->wav);
		c->record = mem_deref(c->record);
	}
	if (c->frames % METER_FRAMES == 0)
		show_levels(&c->opt->show, at_ms(c), c->caller, c->phone);
}

/* Frames are due at absolute times: a late one is followed by the next at
 * once, as a carrier's clock would have it */
static void frame_handler(void *arg)
{
	struct call *c = arg;
	uint64_t now = loop_now_ms(c->loop);
	uint32_t limit = c->opt->hangup_after_ms;

	if (!c->frames)
		phone_start(c->phone);
	c->late_max_ms = MAX(c->late_max_ms,
			     (uint32_t)(now - c->start_ms - at_ms(c)));
	while (!c->hung_up && c->start_ms + at_ms(c) <= now) {
		if (interrupted || (limit && at_ms(c) >= limit))
			hang_up(c);
		else
			frame(c);
	}
	if (!c->hung_up)
		tmr_start_at(c->tmr, c->start_ms + at_ms(c));
}

static void open_handler(void *arg)
{
	struct call *c = arg;

	c->connected = true;
	show_note(&c->opt->show, 0, "connected");
	phone_connected(c->phone);
	/* a frame later, so that what a daemon sends too early is seen */
	c->start_ms = loop_now_ms(c->loop) + FRAME_MS;
	tmr_start_at(c->tmr, c->start_ms);
}

static void message_handler(bool binary, const char *msg, size_t len,
			    void *arg)
{
	struct call *c = arg;

	phone_receive(c->phone, binary, msg, len);
}

/* What convod means by a refusal */
static const char *refusal(int status)
{
	switch (status) {
	case 403:
		return ": the signature is missing or wrong, see --auth-token";
	case 404:
		return ": calls come in on /convo";
	case 503:
		return ": it takes no more calls";
	default:
		return "";
	}
}

static void show_no_call(struct call *c, const struct wsc_end *end)
{
	char text[320];

	if (end->status)
		(void)snprintf(text, sizeof(text), "no call: HTTP status %d%s",
			       end->status, refusal(end->status));
	else
		(void)snprintf(text, sizeof(text), "no call: %s, %s",
			       strerror(end->err), c->why);

	show_note(&c->opt->show, 0, "%s", text);
	if (c->opt->show.quiet)
		fprintf(stderr, "convo-call: %s\n", text);
}

static void close_handler(const struct wsc_end *end, void *arg)
{
	struct call *c = arg;

	tmr_cancel(c->tmr);
	str_copy(c->why, sizeof(c->why), end->reason);
	c->end.code = end->code;
	if (!end->opened) {
		show_no_call(c, end);
	} else if (!c->hung_up) {
		phone_closed(c->phone, end->code);
		caller_bot_hung_up(c->caller, (uint16_t)end->code);
	} else if (end->err == ETIMEDOUT) {
		phone_closed(c->phone, WSC_CODE_ABNORMAL);
	}
	c->ws = mem_deref(c->ws);
	loop_stop(c->loop);
}

static const struct wsc_handlers ws_handlers = {
	.openh = open_handler,
	.messageh = message_handler,
	.closeh = close_handler,
};

static void random_sid(char *dst, const char *prefix)
{
	uint8_t v[16] = {0};

	if (getrandom(v, sizeof(v), 0) != (ssize_t)sizeof(v))
		v[0] = (uint8_t)getpid();
	memcpy(dst, prefix, 3);
	for (size_t i = 0; i < sizeof(v); i++)
		(void)snprintf(dst + 2 + 2 * i, 3, "%02x", v[i]);
}

/* What Twilio signs is always the wss URL, whoever ends TLS */
static int sign(char *dst, size_t size, const struct call_options *opt)
{
	char sig[PHONE_SIGNATURE_SIZE];
	const char *rest = strstr(opt->url, "://");
	char *url = NULL;
	int err;

	err = opt->url_signed ? str_dup(&url, opt->url_signed)
			      : str_printf(&url, "wss%s", rest ? rest : "");
	if (err)
		return err;

	phone_sign(sig, opt->token, url);
	(void)snprintf(dst, size, "X-Twilio-Signature: %s", sig);
	mem_deref(url);

	return 0;
}

static int dial(struct call *c)
{
	char signature[128] = "";
	const char *headerv[] = {"User-Agent: Twilio.TmeWs/1.0", NULL, NULL};
	const struct wsc_param prm = {
		.url = c->opt->url,
		.headerv = headerv,
		.insecure = c->opt->insecure,
		.connect_ms = c->opt->connect_ms,
	};

	if (str_isset(c->opt->token)) {
		int err = sign(signature, sizeof(signature), c->opt);

		if (err)
			return err;
		headerv[1] = signature;
	}
	show_note(&c->opt->show, 0, "calling %s", c->opt->url);

	return wsc_open(&c->ws, c->client, &prm, &ws_handlers, c);
}

static int set_up(struct call *c)
{
	struct phone_param prm = {.params = c->opt->params,
				  .first_ms = FIRST_TIMESTAMP_MS};
	int err;

	random_sid(prm.stream_sid, "MZ");
	random_sid(prm.call_sid, "CA");
	random_sid(prm.account_sid, "AC");
	if (c->opt->call_sid)
		str_copy(prm.call_sid, sizeof(prm.call_sid), c->opt->call_sid);

	err = loop_alloc(&c->loop);
	if (!err)
		err = tmr_alloc(&c->tmr, c->loop, frame_handler, c);
	if (!err)
		err = wsclient_alloc(&c->client, c->loop, c->opt->ca_file);
	if (!err)
		err = phone_alloc(&c->phone, &prm, &phone_ops, c);
	if (!err)
		err = caller_alloc(&c->caller, &c->opt->stepl, &c->opt->caller,
				   caller_handler, c);
	if (!err && c->opt->wav) {
		err = record_alloc(&c->record, c->opt->wav);
		if (err)
			fprintf(stderr, "convo-call: %s: %s\n", c->opt->wav,
				strerror(err));
	}

	return err;
}

static void tear_down(struct call *c)
{
	mem_deref(c->ws);
	mem_deref(c->caller);
	mem_deref(c->phone);
	mem_deref(c->record);
	mem_deref(c->tmr);
	mem_deref(c->client);
	mem_deref(c->loop);
}

static int judge(const struct call *c)
{
	struct caller_stats st;

	caller_stats(c->caller, &st);
	if (!c->connected)
		return EXIT_NO_CALL;
	if (phone_faults(c->phone))
		return EXIT_RULES;
	if (st.failed || (st.unanswered && !c->opt->allow_unanswered))
		return EXIT_EXPECTED;

	return EXIT_OK;
}

static int run(struct call_options *opt)
{
	struct call c = {.opt = opt, .mic_fd = STDIN_FILENO};
	int err, res = EXIT_USAGE;

	if (opt->mic && strcmp(opt->mic, "-"))
		c.mic_fd = open(opt->mic, O_RDONLY | O_CLOEXEC);
	if (c.mic_fd < 0) {
		perror(opt->mic);
		return EXIT_USAGE;
	}
	if (opt->mic)
		(void)fcntl(c.mic_fd, F_SETFL,
			    fcntl(c.mic_fd, F_GETFL) | O_NONBLOCK);

	err = set_up(&c);
	if (!err)
		err = dial(&c);
	if (err) {
		fprintf(stderr, "convo-call: %s\n",
			err == EBADMSG ? "not a ws:// or wss:// URL"
				       : strerror(err));
		tear_down(&c);
		return EXIT_USAGE;
	}

	loop_run(c.loop);
	res = judge(&c);
	c.end.at_ms = at_ms(&c);
	c.end.by = c.hung_up ? "caller" : c.connected ? "bot" : "network";
	c.end.why = c.why;
	c.end.exit_code = res;
	c.end.late_max_ms = c.late_max_ms;
	if (c.connected || opt->show.json)
		show_summary(&opt->show, c.caller, c.phone, &c.end);
	tear_down(&c);

	return res;
}

int main(int argc, char **argv)
{
	struct call_options opt;
	int res = EXIT_USAGE;

	(void)signal(SIGINT, signal_handler);
	(void)signal(SIGTERM, signal_handler);
	(void)signal(SIGPIPE, SIG_IGN);
	if (!call_options_parse(&opt, argc, argv))
		res = run(&opt);

	call_options_free(&opt);

	return res;
}

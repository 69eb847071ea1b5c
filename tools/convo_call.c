/**
 * @file convo_call.c  convo-call: a softphone for the terminal
 *
 * Dials a /convo URL as Twilio does, follows a script, judges the daemon.
 * Everything of interest is in phone.c (Twilio's side), caller.c (the person),
 * script.c (what to do) and show.c (what is printed); this file joins them to
 * a websocket, a clock, the files and the command line.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
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
#include "caller.h"
#include "phone.h"
#include "script.h"
#include "show.h"

enum {
	EXIT_OK = 0,
	EXIT_USAGE = 1,
	EXIT_NO_CALL = 2,
	EXIT_RULES = 3,
	EXIT_EXPECTED = 4,
	METER_FRAMES = 5,         /* redrawn every so many */
	FIRST_TIMESTAMP_MS = 155, /* as captures have it: not 0 */
	SCRIPT_MAX_BYTES = 1 << 20,
	ECHO_MS_MAX = 1000,
	ECHO_SAMPLES = ECHO_MS_MAX * AUDIO_PER_MS + FRAME_SAMPLES,
};

struct options {
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

struct call {
	struct options *opt;
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

static void close_handler(const struct wsc_end *end, void *arg)
{
	struct call *c = arg;

	tmr_cancel(c->tmr);
	str_copy(c->why, sizeof(c->why), end->reason);
	c->end.code = end->code;
	if (!end->opened) {
		show_note(&c->opt->show, 0, "no call: %s%s%s",
			  end->err == EPROTO && end->status
				  ? "the upgrade was refused, HTTP "
				  : strerror(end->err),
			  end->status ? "" : ", ", end->status ? "" : c->why);
		if (end->status)
			show_note(&c->opt->show, 0, "HTTP status %d",
				  end->status);
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
static int sign(char *dst, size_t size, const struct options *opt)
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

static int run(struct options *opt)
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
	show_summary(&opt->show, c.caller, c.phone, &c.end);
	tear_down(&c);

	return res;
}

/* ------------------------------------------------ sounds and transcripts */

/* Text of a file from the transcripts.tsv beside it: file, …, text */
static const char *transcript(const char *path)
{
	static char line[4096];
	const char *slash = strrchr(path, '/');
	const char *base = slash ? slash + 1 : path;
	int dirc = slash ? (int)(slash - path) + 1 : 0;
	const char *found = NULL;
	char *tsv = NULL;
	FILE *f;

	if (str_printf(&tsv, "%.*stranscripts.tsv", dirc, path))
		return NULL;
	f = fopen(tsv, "re");
	mem_deref(tsv);
	while (f && !found && fgets(line, sizeof(line), f)) {
		size_t n = strcspn(line, "\t\n");
		char *text = strrchr(line, '\t');

		if (!text || n != strlen(base) || memcmp(line, base, n))
			continue;
		text[strcspn(text, "\n")] = '\0';
		found = text + 1;
	}
	if (f)
		fclose(f);

	return str_isset(found) ? found : NULL;
}

static int load_sounds(struct list *stepl)
{
	struct le *le;

	LIST_FOREACH(stepl, le)
	{
		struct step *s = le->data;
		const char *text;
		int err;

		if (s->type != STEP_SAY && s->type != STEP_INTERRUPT)
			continue;

		err = record_read(&s->pcmv, &s->pcmc, s->arg);
		if (err) {
			fprintf(stderr, "convo-call: %s: %s\n", s->arg,
				err == EBADMSG ? "not a sound file"
					       : strerror(err));
			return err;
		}
		text = transcript(s->arg);
		if (text && str_dup(&s->text, text))
			return ENOMEM;
	}

	return 0;
}

static int load_script(struct list *stepl, const char *path)
{
	char *text = mem_zalloc(SCRIPT_MAX_BYTES, NULL);
	FILE *f = fopen(path, "re");
	const char *why = NULL;
	unsigned line = 0;
	size_t n;
	int err;

	if (!text || !f) {
		perror(path);
		if (f)
			fclose(f);
		mem_deref(text);
		return EINVAL;
	}

	n = fread(text, 1, SCRIPT_MAX_BYTES, f);
	fclose(f);
	err = script_parse(stepl, text, n, &line, &why);
	if (err)
		fprintf(stderr, "%s:%u: %s\n", path, line, why);
	mem_deref(text);

	return err;
}

/* ------------------------------------------------------------ command line */

static const char help[] =
	"Usage: convo-call [options] ws[s]://HOST[:PORT]/PATH\n"
	"\n"
	"Dials a media-stream websocket as Twilio does and holds a call.\n"
	"\n"
	"What the caller does, in the order given:\n"
	"  --say FILE          say a sound file when the bot has finished\n"
	"  --dtmf DIGITS       press keys when the bot has finished\n"
	"  --wait MS           wait\n"
	"  --script FILE       follow a script, see convo-call(1)\n"
	"  --mic FILE          send raw sound, 8000 Hz mono, as it comes;\n"
	"                      - is standard input, its end hangs up\n"
	"  --mic-format F      s16 (little-endian, the default) or ulaw\n"
	"  --hangup-after MS   hang up after that time at the latest\n"
	"\n"
	"How it behaves:\n"
	"  --gap MS            silence before the caller speaks (600)\n"
	"  --greeting MS       how long to wait for the bot to begin (3000)\n"
	"  --answer MS         how long to wait for an answer (10000)\n"
	"  --allow-unanswered  no answer is no failure\n"
	"  --echo DB,MS        return the bot's voice, -60..0 dB, 20..1000 ms "
	"later\n"
	"\n"
	"The call:\n"
	"  --param NAME=VALUE  a custom parameter, any number of them\n"
	"  --call-sid SID      instead of a random one\n"
	"  --auth-token TOKEN  sign the request (TWILIO_AUTH_TOKEN)\n"
	"  --url-signed URL    URL to sign, where a proxy changes it\n"
	"  --ca FILE           further trusted certificates (PEM)\n"
	"  --insecure          accept any certificate\n"
	"  --connect-timeout MS  (10000)\n"
	"\n"
	"Output:\n"
	"  --wav FILE          stereo recording: caller left, bot right\n"
	"  --json              one JSON object a line\n"
	"  --quiet             the summary only\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 good; 1 usage or local file; 2 the call could not be\n"
	"made; 3 the daemon broke Twilio's rules; 4 an expectation failed or\n"
	"an answer never came.\n";

enum {
	O_SAY = 256,
	O_DTMF,
	O_WAIT,
	O_SCRIPT,
	O_MIC,
	O_MIC_FORMAT,
	O_HANGUP_AFTER,
	O_GAP,
	O_GREETING,
	O_ANSWER,
	O_ALLOW_UNANSWERED,
	O_ECHO,
	O_PARAM,
	O_CALL_SID,
	O_AUTH_TOKEN,
	O_URL_SIGNED,
	O_CA,
	O_INSECURE,
	O_CONNECT_TIMEOUT,
	O_WAV,
	O_JSON,
	O_QUIET,
	O_HELP,
	O_VERSION,
};

static const struct option optionv[] = {
	{"say", required_argument, NULL, O_SAY},
	{"dtmf", required_argument, NULL, O_DTMF},
	{"wait", required_argument, NULL, O_WAIT},
	{"script", required_argument, NULL, O_SCRIPT},
	{"mic", required_argument, NULL, O_MIC},
	{"mic-format", required_argument, NULL, O_MIC_FORMAT},
	{"hangup-after", required_argument, NULL, O_HANGUP_AFTER},
	{"gap", required_argument, NULL, O_GAP},
	{"greeting", required_argument, NULL, O_GREETING},
	{"answer", required_argument, NULL, O_ANSWER},
	{"allow-unanswered", no_argument, NULL, O_ALLOW_UNANSWERED},
	{"echo", required_argument, NULL, O_ECHO},
	{"param", required_argument, NULL, O_PARAM},
	{"call-sid", required_argument, NULL, O_CALL_SID},
	{"auth-token", required_argument, NULL, O_AUTH_TOKEN},
	{"url-signed", required_argument, NULL, O_URL_SIGNED},
	{"ca", required_argument, NULL, O_CA},
	{"insecure", no_argument, NULL, O_INSECURE},
	{"connect-timeout", required_argument, NULL, O_CONNECT_TIMEOUT},
	{"wav", required_argument, NULL, O_WAV},
	{"json", no_argument, NULL, O_JSON},
	{"quiet", no_argument, NULL, O_QUIET},
	{"help", no_argument, NULL, O_HELP},
	{"version", no_argument, NULL, O_VERSION},
	{NULL, 0, NULL, 0},
};

static int usage(const char *what)
{
	fprintf(stderr, "convo-call: %s; see convo-call --help\n", what);

	return EINVAL;
}

static int parse_ms(uint32_t *ms, const char *s)
{
	char *end;
	unsigned long v = strtoul(s, &end, 10);

	if (*s < '0' || *s > '9' || *end || v > SCRIPT_MS_MAX)
		return usage("milliseconds are 0..3600000");

	*ms = (uint32_t)v;
	return 0;
}

static int parse_echo(struct options *opt, const char *s)
{
	char *end;
	double db = strtod(s, &end);

	if (end == s || *end != ',' || !(db >= -60 && db <= 0) ||
	    parse_ms(&opt->echo_ms, end + 1) || opt->echo_ms < FRAME_MS ||
	    opt->echo_ms > ECHO_MS_MAX)
		return usage("--echo wants -60..0 dB and 20..1000 ms");

	opt->echo_gain = pow(10, db / 20);

	return 0;
}

static int add_param(struct options *opt, const char *s)
{
	const char *eq = strchr(s, '=');
	char *name = NULL;
	int err = 0;

	if (!eq || eq == s)
		return usage("--param wants NAME=VALUE");
	if (str_ndup(&name, s, (size_t)(eq - s)))
		return ENOMEM;
	if (json_object_set_new(opt->params, name, json_string(eq + 1)))
		err = usage("--param wants UTF-8");
	mem_deref(name);

	return err;
}

/* What the caller does, in the order it stands on the command line */
static int step_option(struct options *opt, int o, const char *arg)
{
	uint32_t ms = 0;
	int err;

	switch (o) {
	case O_SAY:
		return script_add(&opt->stepl, STEP_SAY, arg, 0);
	case O_DTMF:
		if (!*arg || arg[strspn(arg, "0123456789*#ABCD")])
			return usage("digits are 0-9 * # A-D");
		err = script_add(&opt->stepl, STEP_PRESS, arg, 0);
		if (!err)
			((struct step *)opt->stepl.tail->data)->polite = true;
		return err;
	case O_WAIT:
		err = parse_ms(&ms, arg);
		return err ? err
			   : script_add(&opt->stepl, STEP_WAIT, NULL, ms);
	default:
		return load_script(&opt->stepl, arg);
	}
}

static int time_option(struct options *opt, int o, const char *arg)
{
	switch (o) {
	case O_HANGUP_AFTER:
		return parse_ms(&opt->hangup_after_ms, arg);
	case O_GAP:
		return parse_ms(&opt->caller.gap_ms, arg);
	case O_GREETING:
		return parse_ms(&opt->caller.greeting_ms, arg);
	case O_ANSWER:
		return parse_ms(&opt->caller.answer_ms, arg);
	default:
		return parse_ms(&opt->connect_ms, arg);
	}
}

static int set_option(struct options *opt, int o, const char *arg)
{
	switch (o) {
	case O_SAY:
	case O_DTMF:
	case O_WAIT:
	case O_SCRIPT:
		return step_option(opt, o, arg);
	case O_HANGUP_AFTER:
	case O_GAP:
	case O_GREETING:
	case O_ANSWER:
	case O_CONNECT_TIMEOUT:
		return time_option(opt, o, arg);
	case O_MIC:
		opt->mic = arg;
		opt->caller.mic = true;
		return 0;
	case O_MIC_FORMAT:
		opt->mic_ulaw = str_eq(arg, "ulaw");
		return opt->mic_ulaw || str_eq(arg, "s16")
			       ? 0
			       : usage("--mic-format is s16 or ulaw");
	case O_ALLOW_UNANSWERED:
		opt->allow_unanswered = true;
		return 0;
	case O_ECHO:
		return parse_echo(opt, arg);
	case O_PARAM:
		return add_param(opt, arg);
	case O_CALL_SID:
		opt->call_sid = arg;
		return 0;
	case O_AUTH_TOKEN:
		opt->token = arg;
		return 0;
	case O_URL_SIGNED:
		opt->url_signed = arg;
		return 0;
	case O_CA:
		opt->ca_file = arg;
		return 0;
	case O_INSECURE:
		opt->insecure = true;
		return 0;
	case O_WAV:
		opt->wav = arg;
		return 0;
	case O_JSON:
		opt->show.json = true;
		return 0;
	case O_QUIET:
		opt->show.quiet = true;
		return 0;
	default:
		return usage("unknown option");
	}
}

static int parse_options(struct options *opt, int argc, char **argv)
{
	int o, err;

	while ((o = getopt_long(argc, argv, "", optionv, NULL)) != -1) {
		if (o == O_HELP || o == O_VERSION) {
			fputs(o == O_HELP ? help
					  : "convo-call " CONVOD_VERSION "\n",
			      stdout);
			exit(EXIT_OK);
		}
		err = set_option(opt, o, optarg);
		if (err)
			return err;
	}
	if (optind + 1 != argc)
		return usage("one URL is wanted");
	if (opt->mic && opt->stepl.head)
		return usage("--mic goes with no script");
	if (opt->mic && opt->echo_ms)
		return usage("--mic has an echo of its own");

	opt->url = argv[optind];
	return load_sounds(&opt->stepl);
}

int main(int argc, char **argv)
{
	struct options opt = {
		.token = getenv("TWILIO_AUTH_TOKEN"),
		.params = json_object(),
		.caller = {.gap_ms = CALLER_GAP_MS,
			   .greeting_ms = CALLER_GREETING_MS,
			   .answer_ms = SCRIPT_ANSWER_MS},
		.show = {.live = isatty(STDOUT_FILENO)},
	};
	int res = EXIT_USAGE;

	(void)signal(SIGINT, signal_handler);
	(void)signal(SIGTERM, signal_handler);
	(void)signal(SIGPIPE, SIG_IGN);
	if (opt.params && !parse_options(&opt, argc, argv))
		res = run(&opt);

	list_flush(&opt.stepl);
	json_decref(opt.params);

	return res;
}

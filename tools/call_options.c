/**
 * @file call_options.c  The command line of convo-call, and the files it names
 */
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <convod/audio.h>
#include <convod/mem.h>
#include <convod/record.h>
#include <convod/str.h>
#include "call_options.h"
#include "script.h"

enum { SCRIPT_MAX_BYTES = 1 << 20 };

/* ------------------------------------------------------------------ files */

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
	"  --allow-hangup      nor is a bot that hangs up before all was "
	"said\n"
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
	O_ALLOW_HANGUP,
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
	{"allow-hangup", no_argument, NULL, O_ALLOW_HANGUP},
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

static int parse_echo(struct call_options *opt, const char *s)
{
	char *end;
	double db = strtod(s, &end);

	if (end == s || *end != ',' || !(db >= -60 && db <= 0) ||
	    parse_ms(&opt->echo_ms, end + 1) || opt->echo_ms < FRAME_MS ||
	    opt->echo_ms > CALL_ECHO_MS_MAX)
		return usage("--echo wants -60..0 dB and 20..1000 ms");

	opt->echo_gain = pow(10, db / 20);

	return 0;
}

static int add_param(struct call_options *opt, const char *s)
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
static int step_option(struct call_options *opt, int o, const char *arg)
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

static int time_option(struct call_options *opt, int o, const char *arg)
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

static int set_option(struct call_options *opt, int o, const char *arg)
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
	case O_ALLOW_HANGUP:
		opt->caller.may_hang_up = true;
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

int call_options_parse(struct call_options *opt, int argc, char **argv)
{
	int o, err;

	*opt = (struct call_options){
		.token = getenv("TWILIO_AUTH_TOKEN"),
		.params = json_object(),
		.caller = {.gap_ms = CALLER_GAP_MS,
			   .greeting_ms = CALLER_GREETING_MS,
			   .answer_ms = SCRIPT_ANSWER_MS},
		.show = {.live = isatty(STDOUT_FILENO)},
	};
	if (!opt->params)
		return ENOMEM;

	while ((o = getopt_long(argc, argv, "", optionv, NULL)) != -1) {
		if (o == O_HELP || o == O_VERSION) {
			fputs(o == O_HELP ? help
					  : "convo-call " CONVOD_VERSION "\n",
			      stdout);
			exit(0);
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

void call_options_free(struct call_options *opt)
{
	list_flush(&opt->stepl);
	json_decref(opt->params);
}

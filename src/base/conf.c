/**
 * @file conf.c  The table of settings, and all that comes from it
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <convod/addr.h>
#include <convod/conf.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "convod_features.h"

enum { ENV_FILE_MAX = 1 << 20, NAME_MAX_BYTES = 64, WHY_MAX = 160 };

#ifdef HAVE_FLITE
static const bool has_flite = true;
#else
static const bool has_flite = false;
#endif

enum item_type { T_STR, T_SECRET, T_URL, T_U32, T_BOOL };

struct item {
	const char *name;  /* dotted, lower case */
	const char *alias; /* older name in the environment, or NULL */
	enum item_type type;
	size_t offset;
	const char *def;
	uint32_t min, max;   /* T_U32 */
	const char *choices; /* T_STR: blank separated, or NULL */
	const char *unit;
	const char *help;
};

#define STR(nm, field, df, hlp)                                      \
	{                                                            \
		.name = (nm), .type = T_STR,                         \
		.offset = offsetof(struct conf, field), .def = (df), \
		.help = (hlp)                                        \
	}
#define CHOICE(nm, field, df, ch, hlp)                               \
	{                                                            \
		.name = (nm), .type = T_STR,                         \
		.offset = offsetof(struct conf, field), .def = (df), \
		.choices = (ch), .help = (hlp)                       \
	}
#define SECRET(nm, al, field, hlp)                                 \
	{                                                          \
		.name = (nm), .alias = (al), .type = T_SECRET,     \
		.offset = offsetof(struct conf, field), .def = "", \
		.help = (hlp)                                      \
	}
#define URL(nm, field, hlp)                                        \
	{                                                          \
		.name = (nm), .type = T_URL,                       \
		.offset = offsetof(struct conf, field), .def = "", \
		.help = (hlp)                                      \
	}
#define U32(nm, field, df, lo, hi, un, hlp)                           \
	{                                                             \
		.name = (nm), .type = T_U32,                          \
		.offset = offsetof(struct conf, field), .def = (df),  \
		.min = (lo), .max = (hi), .unit = (un), .help = (hlp) \
	}
#define BOOL(nm, field, df, hlp)                                     \
	{                                                            \
		.name = (nm), .type = T_BOOL,                        \
		.offset = offsetof(struct conf, field), .def = (df), \
		.help = (hlp)                                        \
	}

/* clang-format off */
static const struct item itemv[] = {
	U32("port", port, "9001", 0, 65535, NULL,
	    "where carriers connect: /convo; 0 is any free port"),
	STR("host", host, "127.0.0.1",
	    "address that PORT is bound to; 0.0.0.0 in the image"),
	STR("tls.cert", tls_cert, "",
	    "certificate chain (PEM): PORT then speaks TLS (wss)"),
	STR("tls.key", tls_key, "", "private key of it (PEM)"),
	U32("admin.port", admin_port, "9002", 0, 65535, NULL,
	    "/metrics, /readyz, /healthz; 0 is any free port"),
	STR("admin.host", admin_host, "127.0.0.1",
	    "address that ADMIN_PORT is bound to"),
	URL("public_url", public_url,
	    "how the carrier sees us, https://bot.example.com: signatures are "
	    "checked against it"),

	URL("asr.server_url", asr_url,
	    "recogniser: grpc://host:port or grpcs:// (Axy); pocketsphinx: is "
	    "embedded and the default"),
	STR("asr.ca_file", asr_ca_file, "",
	    "further certificates (PEM) to trust for it"),
	U32("asr.replay_ms", asr_replay_ms, "4000", 0, 30000, "ms",
	    "how much audio is kept to be sent again when the recogniser's "
	    "stream breaks"),
	URL("masdif.server_url", masdif_url,
	    "dialog manager Masdif, http(s)://host:port"),
	URL("dialog.url", dialog_url,
	    "dialog manager: masdif+http(s)://host:port, "
	    "openai+http(s)://host, voiceflow+http(s)://host, "
	    "rasa+http(s)://host:port, webhook+http(s)://host/path, demo:, "
	    "echo:; unset: MASDIF_SERVER_URL, VOICEFLOW_API_KEY, else demo:"),
	U32("dialog.timeout_ms", dialog_timeout_ms, "15000", 500, 120000, "ms",
	    "how long a turn may take before it has failed; a streamed answer "
	    "may take twice that to its end"),
	SECRET("voiceflow.api_key", NULL, voiceflow_api_key,
	       "key of a Voiceflow project (VF.DM.…), which is then the dialog "
	       "manager"),
	{.name = "voiceflow.url", .type = T_URL,
	 .offset = offsetof(struct conf, voiceflow_url),
	 .def = "https://general-runtime.voiceflow.com",
	 .help = "its runtime; ?stream=PROJECT asks for streamed answers, "
		 "&audio=true for its voice, &dtmf=event for keys as events"},
	STR("voiceflow.version", voiceflow_version, "production",
	    "version of the bot: production, development or an id"),
	STR("voiceflow.opening", voiceflow_opening, "launch",
	    "how a call begins: launch, or text:Hello to say so for the caller"),
	SECRET("dialog.key", NULL, dialog_key,
	       "key of the dialog manager, sent as a bearer token"),
	SECRET("openai.api_key", NULL, openai_api_key,
	       "the same, for openai+http(s):// only"),
	STR("dialog.model", dialog_model, "",
	    "language model to ask for; unset: the server's own choice"),
	STR("dialog.prompt", dialog_prompt, "",
	    "file that tells the language model what it is; unset: a friendly "
	    "voice on the telephone"),
	STR("dialog.opening", dialog_opening, "",
	    "what the dialog manager is sent as the caller's first words when "
	    "a call begins; unset: what is usual for it"),
	URL("tts.url", tts_url,
	    "voice for texts that come without audio: flite: is embedded, "
	    "tiro+https://host, openai:, elevenlabs:, deepgram:, "
	    "azure:REGION, convert+http://host; unset: flite: for English, "
	    "else none"),
	STR("tts.voice", tts_voice, "", "voice to ask for"),
	SECRET("tts.key", "TTS_API_KEY", tts_key, "key of the voice's vendor"),
	STR("tts.model", tts_model, "", "model of the vendor's to speak with"),
	U32("tts.timeout_ms", tts_timeout_ms, "2500", 300, 60000, "ms",
	    "how long a voice may take to begin, or come behind real time"),
	URL("tts.fallback_url", tts_fallback_url,
	    "voice that speaks when the first fails or does not begin in time; "
	    "none: without; unset: flite: for English, else none"),
	U32("tts.cache_mb", tts_cache_mb, "64", 0, 65536, "MB",
	    "memory for what the voice said before; 0: off"),
	U32("tts.cache_disk_mb", tts_cache_disk_mb, "1024", 0, 16777216, "MB",
	    "room for the same in DATA_DIR/voice; 0: off"),
	STR("tts.prewarm", tts_prewarm, "",
	    "file of texts, one a line, that are spoken for the cache when "
	    "convod starts"),
	STR("language", language, "",
	    "BCP-47 tag for recogniser, dialog manager and voice; unset: is-IS "
	    "with MASDIF_SERVER_URL, else en-US"),

	STR("audio_hosts", audio_hosts, "",
	    "hosts that reply audio may be fetched from besides the dialog "
	    "manager's own: names that lead to public addresses, addresses, "
	    "blocks such as 10.0.0.0/8"),
	U32("audio.timeout_ms", audio_timeout_ms, "5000", 500, 60000, "ms",
	    "how long reply audio may take to begin, or pause"),
	U32("audio_max_seconds", audio_max_seconds, "120", 1, 3600, "s",
	    "longest reply audio; the rest is cut"),
	BOOL("http_proxy_from_env", http_proxy_from_env, "false",
	     "use the proxy variables of the environment (http_proxy, "
	     "https_proxy, all_proxy, no_proxy) for requests to dialog "
	     "managers and voices"),
	STR("apology_file", apology_file, "",
	    "audio file spoken when something behind the call fails; unset: an "
	    "embedded sentence"),

	U32("turn.join_ms", turn_join_ms, "0", 0, 10000, "ms",
	    "finals that follow one another so closely make one turn"),
	CHOICE("turn.while_thinking", turn_while_thinking, "append",
	       "append replace",
	       "what is said while the bot thinks goes into the next turn, or "
	       "replaces the one that is asked, if the dialog manager can "
	       "forget it"),
	U32("turn.endpoint_ms", turn_endpoint_ms, "0", 0, 10000, "ms",
	    "silence after which an interim stands for the final, for "
	    "recognisers that give none; 0: finals decide"),
	CHOICE("barge_in.mode", barge_in_mode, "vad", "off vad words dtmf",
	       "what interrupts the bot: nothing, any speech (it goes on if "
	       "there were no words), BARGE_IN_WORDS words, keys only"),
	U32("barge_in.words", barge_in_words, "2", 1, 20, NULL,
	    "words that interrupt, with BARGE_IN_MODE=words"),
	U32("barge_in.resume_ms", barge_in_resume_ms, "1000", 100, 5000, "ms",
	    "speech without words for so long was none: the bot goes on"),
	STR("greeting", greeting, "dialog",
	    "what is said first: dialog (the dialog manager's opening), none, "
	    "file:NAME, a URL of audio, or a text"),
	BOOL("greeting.protect", greeting_protect, "false",
	     "the caller hears all of it"),
	BOOL("dtmf.inband", dtmf_inband, "false",
	     "hear keys as tones in the caller's audio, for carriers that send "
	     "no dtmf events"),
	STR("dtmf.map", dtmf_map, "",
	    "keys with an action: 1=transfer:+15550100,0=operator,*=repeat,"
	    "9=hangup,2=send:opening hours"),
	U32("dtmf.timeout_ms", dtmf_timeout_ms, "2000", 200, 60000, "ms",
	    "a number is complete when no key was pressed for so long"),
	U32("dtmf.digits", dtmf_digits, "0", 0, 64, NULL,
	    "or when it has so many digits; 0: any number of them"),
	STR("dtmf.finish_key", dtmf_finish_key, "#",
	    "or when one of these keys was pressed"),
	BOOL("dtmf.ignore_speech", dtmf_ignore_speech, "false",
	     "what is said while keys are collected does not count"),
	BOOL("dtmf.sensitive", dtmf_sensitive, "false",
	     "keys are kept out of logs, events and recordings"),
	U32("silence.ms", silence_ms, "10000", 0, 600000, "ms",
	    "a caller who is silent for so long is asked again; 0: never"),
	U32("silence.tries", silence_tries, "3", 0, 20, NULL,
	    "how often, before the call is ended"),
	STR("silence.prompt", silence_prompt, "repeat",
	    "how: repeat (the last answer), ask (the dialog manager), or a "
	    "text"),
	U32("filler.after_ms", filler_after_ms, "0", 0, 60000, "ms",
	    "an answer that takes so long is waited for with a filler; 0: "
	    "without"),
	STR("filler.file", filler_file, "",
	    "audio file for that, played over and over; unset: a soft tone"),
	U32("repeat.max", repeat_max, "2", 0, 100, NULL,
	    "an answer that begins as the one before more often than this in "
	    "a row ends the call; 0: none does"),
	U32("playout.lead_ms", playout_lead_ms, "300", 60, 5000, "ms",
	    "audio sent ahead of real time, at most"),
	U32("silence.limit_ms", silence_limit_ms, "6000", 1000, 60000, "ms",
	    "longest silence while an answer is pending; then the caller is "
	    "asked to wait"),

	{.name = "twilio.account_sid", .alias = "ACCOUNT_SID", .type = T_STR,
	 .offset = offsetof(struct conf, twilio_account_sid), .def = "",
	 .help = "only calls of this account are taken"},
	SECRET("twilio.auth_token", "AUTH_TOKEN", twilio_auth_token,
	       "checks the signature of every upgrade; unset: anybody can "
	       "connect"),

	STR("data_dir", data_dir, "",
	    "folder for what lasts: the voice cache, recordings; unset: "
	    "nothing is kept"),
	U32("workers", workers, "0", 0, 256, NULL,
	    "threads that serve calls; 0 is one a core"),
	U32("engine.threads", engine_threads, "0", 0, 64, NULL,
	    "threads of the embedded recogniser, and of the voice; 0 is half "
	    "the cores, at least 1"),
	U32("calls_max", calls_max, "0", 0, 1000000, NULL,
	    "calls at once, one more is answered 503; 0 is what the "
	    "descriptor limit allows"),
	U32("call_max_seconds", call_max_seconds, "3600", 10, 86400, "s",
	    "longest call"),
	U32("call_warn_seconds", call_warn_seconds, "60", 0, 3600, "s",
	    "the caller is told so long before its end; 0: not"),
	U32("call_idle_seconds", call_idle_seconds, "600", 0, 86400, "s",
	    "a call ends when nothing was said or keyed in for so long; 0: "
	    "never"),
	U32("drain_seconds", drain_seconds, "600", 0, 86400, "s",
	    "how long calls may go on after SIGTERM"),

	CHOICE("log_level", log_level, "info", "debug info warn error",
	       "least level that is logged"),
	CHOICE("log_format", log_format, "text", "text json", "form of a line"),
	BOOL("log_transcripts", log_transcripts, "false",
	     "log what callers and bots say"),
};
/* clang-format on */

static void *field(const struct conf *c, const struct item *it)
{
	return (char *)(uintptr_t)c + it->offset;
}

static char **strfield(const struct conf *c, const struct item *it)
{
	return field(c, it);
}

static bool is_string(const struct item *it)
{
	return it->type == T_STR || it->type == T_SECRET || it->type == T_URL;
}

static void destructor(void *arg)
{
	struct conf *c = arg;

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		char **sp;

		if (!is_string(&itemv[i]))
			continue;

		sp = strfield(c, &itemv[i]);
		*sp = str_wipe(*sp);
	}
}

/* turn.join_ms is TURN_JOIN_MS */
static void env_name(char *dst, const struct item *it)
{
	const char *s = it->name;

	while (*s) {
		*dst++ = *s == '.' ? '_' : (char)toupper((unsigned char)*s);
		++s;
	}
	*dst = '\0';
}

static const struct item *find(const char *envname)
{
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		env_name(name, &itemv[i]);
		if (!strcmp(name, envname) || str_eq(itemv[i].alias, envname))
			return &itemv[i];
	}

	return NULL;
}

/* ------------------------------------------------------- one value */

static bool is_choice(const char *choices, const char *value)
{
	size_t n = strlen(value);

	for (const char *p = choices; *p;) {
		size_t m = strcspn(p, " ");

		if (m == n && !memcmp(p, value, n))
			return true;
		p += m;
		p += strspn(p, " ");
	}

	return false;
}

static bool is_url(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789+.-");

	return !*s || (n && s[n] == ':' && !strpbrk(s, " \t\r\n\"<>"));
}

static int set_string(struct conf *c, const struct item *it, const char *value,
		      char *why)
{
	char **sp = strfield(c, it);
	char *copy;

	if (it->choices && !is_choice(it->choices, value)) {
		(void)snprintf(why, WHY_MAX, "is one of: %s", it->choices);
		return EINVAL;
	}
	if (it->type == T_URL && !is_url(value)) {
		str_copy(why, WHY_MAX, "is a URL, scheme://host…");
		return EINVAL;
	}
	if (!utf8_is_valid(value, strlen(value))) {
		str_copy(why, WHY_MAX, "is not UTF-8");
		return EINVAL;
	}

	if (str_dup(&copy, value))
		return ENOMEM;

	(void)str_wipe(*sp);
	*sp = copy;

	return 0;
}

static int set_u32(struct conf *c, const struct item *it, const char *value,
		   char *why)
{
	uint32_t *u = field(c, it);
	unsigned long v;
	char *end;

	errno = 0;
	v = strtoul(value, &end, 10);
	if (!isdigit((unsigned char)value[0]) || *end || errno ||
	    v < it->min || v > it->max) {
		(void)snprintf(why, WHY_MAX,
			       "is a whole number from %u to %u%s%s", it->min,
			       it->max, it->unit ? " " : "",
			       it->unit ? it->unit : "");
		return EINVAL;
	}

	*u = (uint32_t)v;
	return 0;
}

static int set_bool(struct conf *c, const struct item *it, const char *value,
		    char *why)
{
	bool *b = field(c, it);

	if (is_choice("true yes on 1", value)) {
		*b = true;
	} else if (is_choice("false no off 0", value)) {
		*b = false;
	} else {
		str_copy(why, WHY_MAX, "is true or false");
		return EINVAL;
	}

	return 0;
}

static int set_item(struct conf *c, const struct item *it, const char *value,
		    char *why)
{
	switch (it->type) {
	case T_U32:
		return set_u32(c, it, value, why);
	case T_BOOL:
		return set_bool(c, it, value, why);
	default:
		return set_string(c, it, value, why);
	}
}

/* --------------------------------------------------------- loading */

struct load {
	struct conf *conf;
	const char *file;
	char *errbuf;
};

static int set_named(struct load *ld, const struct item *it, const char *value,
		     const char *where)
{
	char why[WHY_MAX], name[NAME_MAX_BYTES];
	bool secret = it->type == T_SECRET || it->type == T_URL;
	int err = set_item(ld->conf, it, value, why);

	if (err == EINVAL) {
		env_name(name, it);
		(void)snprintf(ld->errbuf, CONF_ERR_MAX,
			       "%.120s: %s %s%s%.80s%s", where, name, why,
			       secret ? "" : ", not \"", secret ? "" : value,
			       secret ? "" : "\"");
	}

	return err;
}

/* Variables that are not ours belong to somebody else: skipped */
static int file_var_handler(const char *name, const char *value, unsigned line,
			    void *arg)
{
	struct load *ld = arg;
	const struct item *it = find(name);
	char where[300];

	(void)snprintf(where, sizeof(where), "%s:%u", ld->file, line);

	return it && *value ? set_named(ld, it, value, where) : 0;
}

static int read_file(char **textp, size_t *lenp, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = NULL;
	ssize_t n = 0;
	int err = 0;

	if (fd < 0)
		return errno;

	text = mem_zalloc(ENV_FILE_MAX, NULL);
	if (!text) {
		err = ENOMEM;
		goto out;
	}

	n = read(fd, text, ENV_FILE_MAX);
	if (n < 0)
		err = errno;
	else if (n == ENV_FILE_MAX)
		err = EFBIG;

out:
	close(fd);
	if (err) {
		mem_deref(text);
	} else {
		*textp = text;
		*lenp = (size_t)n;
	}

	return err;
}

static int load_file(struct load *ld, const char *dir, const char *name)
{
	char path[256];
	char *text = NULL;
	unsigned badline = 0;
	size_t len = 0;
	int err;

	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	err = read_file(&text, &len, path);
	if (err == ENOENT)
		return 0;
	if (err) {
		(void)snprintf(ld->errbuf, CONF_ERR_MAX, "%s: %s", path,
			       strerror(err));
		return err == ENOMEM ? err : EINVAL;
	}

	ld->file = path;
	err = conf_parse_env(text, len, file_var_handler, ld, &badline);
	if (err == EBADMSG) {
		(void)snprintf(ld->errbuf, CONF_ERR_MAX,
			       "%s:%u: this is not NAME=value", path, badline);
		err = EINVAL;
	}

	mem_wipe(text, len);
	mem_deref(text);

	return err;
}

static const char *process_getenv(const char *name, void *arg)
{
	(void)arg;
	return getenv(name);
}

/* gettext uses the same variable for a list of locales ("en_US:en"), which
 * desktops set for every program: not meant for us */
static bool is_gettext(const char *name, const char *value)
{
	return !strcmp(name, "LANGUAGE") && strpbrk(value, ":.");
}

static int load_environment(struct load *ld, conf_getenv_h *getenvh, void *arg)
{
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(itemv) && !err; i++) {
		char name[NAME_MAX_BYTES];
		const char *value;

		env_name(name, &itemv[i]);
		value = getenvh(name, arg);
		if (!str_isset(value) && itemv[i].alias)
			value = getenvh(itemv[i].alias, arg);
		/* set but empty is as good as unset: compose files do that */
		if (str_isset(value) && !is_gettext(name, value))
			err = set_named(ld, &itemv[i], value, "environment");
	}

	return err;
}

static int load_defaults(struct conf *c)
{
	char why[WHY_MAX];
	int err = 0;

	for (size_t i = 0; i < ARRAY_SIZE(itemv) && !err; i++)
		err = set_item(c, &itemv[i], itemv[i].def, why);

	return err;
}

static int replace(char **sp, const char *value)
{
	char *copy;

	if (str_dup(&copy, value))
		return ENOMEM;
	mem_deref(*sp);
	*sp = copy;

	return 0;
}

/* A BCP-47 tag; "is_IS" is taken for one */
static int check_language(struct conf *c, char *errbuf)
{
	char *s = c->language;

	for (char *p = s; *p; p++) {
		if (*p == '_')
			*p = '-';
		if (!isalnum((unsigned char)*p) && *p != '-') {
			str_copy(errbuf, CONF_ERR_MAX,
				 "LANGUAGE is a BCP-47 tag such as en-US");
			return EINVAL;
		}
	}

	return 0;
}

static int check_audio_hosts(const struct conf *c, char *errbuf)
{
	const char *wrong = net_hosts_find_wrong(c->audio_hosts);

	if (!wrong)
		return 0;

	(void)snprintf(errbuf, CONF_ERR_MAX,
		       "AUDIO_HOSTS is a list of hosts, addresses and blocks, "
		       "not \"%.80s\"",
		       wrong);

	return EINVAL;
}

static bool is_http(const char *url)
{
	return !*url || str_starts(url, "http://") ||
	       str_starts(url, "https://");
}

/* What is wrong with settings that are right one by one, or NULL */
static const char *find_wrong(const struct conf *c)
{
	if (!is_http(c->masdif_url))
		return "MASDIF_SERVER_URL is http:// or https://";
	if (!is_http(c->voiceflow_url))
		return "VOICEFLOW_URL is http:// or https://";
	if (str_starts(c->dialog_url, "voiceflow+") && !*c->voiceflow_api_key)
		return "VOICEFLOW_API_KEY is not set, and DIALOG_URL needs it";
	if (*c->public_url && !str_starts(c->public_url, "http") &&
	    !str_starts(c->public_url, "ws"))
		return "PUBLIC_URL is https:// or wss://";
	if (!*c->tls_cert != !*c->tls_key)
		return "TLS_CERT and TLS_KEY go together";

	return NULL;
}

static int derive_dialog(struct conf *c)
{
	char *url = NULL;
	int err;

	if (*c->dialog_url)
		return 0;
	if (*c->masdif_url)
		err = str_printf(&url, "masdif+%s", c->masdif_url);
	else if (*c->voiceflow_api_key)
		err = str_printf(&url, "voiceflow+%s", c->voiceflow_url);
	else
		err = str_dup(&url, "demo:");
	if (!err)
		err = replace(&c->dialog_url, url);
	mem_deref(url);

	return err;
}

/* What one setting says about another that is not set */
static int derive(struct conf *c, char *errbuf)
{
	bool masdif = *c->masdif_url != '\0';
	const char *wrong;
	int err = check_language(c, errbuf);

	if (!err)
		err = check_audio_hosts(c, errbuf);
	if (err)
		return err;
	wrong = find_wrong(c);
	if (wrong) {
		str_copy(errbuf, CONF_ERR_MAX, wrong);
		return EINVAL;
	}

	err = derive_dialog(c);
	if (!err && !*c->asr_url)
		err = replace(&c->asr_url, "pocketsphinx:");
	if (!err && !*c->language)
		err = replace(&c->language, masdif ? "is-IS" : "en-US");
	if (!err && !*c->tts_url && str_starts(c->language, "en"))
		err = replace(&c->tts_url, "flite:");
	if (!err && has_flite && !*c->tts_fallback_url && *c->tts_url &&
	    str_starts(c->language, "en") && !str_starts(c->tts_url, "flite:"))
		err = replace(&c->tts_fallback_url, "flite:");

	return err;
}

int conf_load(struct conf **cp, const char *dir, conf_getenv_h *getenvh,
	      void *arg, char *errbuf)
{
	struct conf *c = mem_zalloc(sizeof(*c), destructor);
	struct load ld = {.conf = c, .errbuf = errbuf};
	int err;

	str_copy(errbuf, CONF_ERR_MAX, strerror(ENOMEM));
	if (!c)
		return ENOMEM;

	err = load_defaults(c);
	if (!err && dir)
		err = load_file(&ld, dir, ".env");
	if (!err && dir)
		err = load_file(&ld, dir, ".env.local");
	if (!err)
		err = load_environment(&ld, getenvh ? getenvh : process_getenv,
				       arg);
	if (!err)
		err = derive(c, errbuf);

	if (err)
		mem_deref(c);
	else
		*cp = c;

	return err;
}

/* -------------------------------------------------------- printing */

static void print_value(char *dst, size_t size, const struct conf *c,
			const struct item *it)
{
	switch (it->type) {
	case T_U32:
		(void)snprintf(dst, size, "%u", *(uint32_t *)field(c, it));
		break;
	case T_BOOL:
		str_copy(dst, size, *(bool *)field(c, it) ? "true" : "false");
		break;
	case T_SECRET:
		str_copy(dst, size, **strfield(c, it) ? "***" : "");
		break;
	case T_URL:
		(void)url_mask(dst, size, *strfield(c, it));
		break;
	default:
		str_copy(dst, size, *strfield(c, it));
		break;
	}
}

void conf_log(const struct conf *c)
{
	char line[LOG_LINE_MAX] = "";
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		char value[256], name[NAME_MAX_BYTES];
		int m;

		print_value(value, sizeof(value), c, &itemv[i]);
		if (!strcmp(value, itemv[i].def))
			continue;

		env_name(name, &itemv[i]);
		m = snprintf(line + n, sizeof(line) - n, " %s=\"%s\"", name,
			     LOG_STR(value));
		n += MIN((size_t)m, sizeof(line) - 1 - n);
	}

	log_info(NULL, "settings", "defaults=\"%s\"%s", n ? "but for" : "all",
		 line);
}

static const char *default_of(const struct item *it)
{
	return *it->def ? it->def : "unset";
}

void conf_print_help(FILE *f)
{
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		const struct item *it = &itemv[i];

		env_name(name, it);
		fprintf(f, "  %-20s %s", name, it->help);
		if (it->choices)
			fprintf(f, " (%s)", it->choices);
		fprintf(f, " [%s%s%s]\n", default_of(it),
			it->unit && *it->def ? " " : "",
			it->unit && *it->def ? it->unit : "");
	}
}

void conf_print_sample(FILE *f)
{
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		env_name(name, &itemv[i]);
		fprintf(f, "# %s\n#%s=%s\n", itemv[i].help, name,
			itemv[i].def);
	}
}

void conf_print_markdown(FILE *f)
{
	char name[NAME_MAX_BYTES];

	fputs("| variable | default | meaning |\n|---|---|---|\n", f);
	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		const struct item *it = &itemv[i];

		env_name(name, it);
		fprintf(f, "| `%s`", name);
		if (it->alias)
			fprintf(f, ", `%s`", it->alias);
		fprintf(f, " | %s%s%s | %s%s%s%s |\n", *it->def ? it->def : "",
			it->unit ? " " : "", it->unit ? it->unit : "",
			it->help, it->choices ? " (" : "",
			it->choices ? it->choices : "",
			it->choices ? ")" : "");
	}
}

void conf_print_man(FILE *f)
{
	char name[NAME_MAX_BYTES];

	for (size_t i = 0; i < ARRAY_SIZE(itemv); i++) {
		const struct item *it = &itemv[i];

		env_name(name, it);
		fprintf(f, ".TP\n.B %s\n%s. Default: %s%s%s.\n", name,
			it->help, default_of(it),
			it->unit && *it->def ? " " : "",
			it->unit && *it->def ? it->unit : "");
	}
}

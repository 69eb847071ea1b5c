/**
 * @file conf_table.c  Every setting, once
 */
#include <ctype.h>
#include <stddef.h>
#include <convod/defs.h>
#include "conf_priv.h"

/* clang-format off */
#define ITEM(tp, nm, field, ...)                                       \
	{                                                              \
		.group = GROUP, .name = (nm), .type = (tp),            \
		.offset = offsetof(struct conf, field), __VA_ARGS__    \
	}
#define STR(nm, field, df, hlp)                                        \
	ITEM(CONF_STR, nm, field, .def = (df), .help = (hlp))
#define CHOICE(nm, field, df, ch, hlp)                                 \
	ITEM(CONF_STR, nm, field, .def = (df), .choices = (ch),        \
	     .help = (hlp))
#define SECRET(nm, al, field, hlp)                                     \
	ITEM(CONF_SECRET, nm, field, .alias = (al), .def = "",         \
	     .help = (hlp))
#define URL(nm, field, df, hlp)                                        \
	ITEM(CONF_URL, nm, field, .def = (df), .help = (hlp))
#define U32(nm, field, df, lo, hi, un, hlp)                            \
	ITEM(CONF_U32, nm, field, .def = (df), .min = (lo), .max = (hi),\
	     .unit = (un), .help = (hlp))
#define BOOL(nm, field, df, hlp)                                       \
	ITEM(CONF_BOOL, nm, field, .def = (df), .help = (hlp))

const struct conf_item conf_itemv[] = {
#define GROUP "Carriers and operators"
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
	URL("public_url", public_url, "",
	    "how the carrier sees us, https://bot.example.com: signatures are "
	    "checked against it"),
	ITEM(CONF_STR, "twilio.account_sid", twilio_account_sid,
	     .alias = "ACCOUNT_SID", .def = "",
	     .help = "only calls of this account are taken"),
	SECRET("twilio.auth_token", "AUTH_TOKEN", twilio_auth_token,
	       "checks the signature of every upgrade; unset: anybody can "
	       "connect"),

#undef GROUP
#define GROUP "Speech recogniser"
	URL("asr.server_url", asr_url, "",
	    "recogniser: grpc://host:port or grpcs:// (Axy), ?rate=8000 for 8 "
	    "kHz instead of 16, &block=60 to 100 ms a message (100); "
	    "pocketsphinx: is embedded and the default"),
	STR("asr.ca_file", asr_ca_file, "",
	    "further certificates (PEM) to trust for it"),
	U32("asr.replay_ms", asr_replay_ms, "4000", 0, 30000, "ms",
	    "how much audio is kept to be sent again when the recogniser's "
	    "stream breaks"),

#undef GROUP
#define GROUP "Dialog manager"
	URL("masdif.server_url", masdif_url, "",
	    "dialog manager Masdif, http(s)://host:port"),
	URL("dialog.url", dialog_url, "",
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
	URL("voiceflow.url", voiceflow_url,
	    "https://general-runtime.voiceflow.com",
	    "its runtime; ?stream=PROJECT asks for streamed answers, "
	    "&audio=true for its voice, &dtmf=event for keys as events"),
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

#undef GROUP
#define GROUP "Voice"
	URL("tts.url", tts_url, "",
	    "voice for texts that come without audio: flite: is embedded, "
	    "tiro+https://host, openai:, elevenlabs:, deepgram:, "
	    "azure:REGION, convert+http://host; unset: flite: for English, "
	    "else none"),
	STR("tts.voice", tts_voice, "", "voice to ask for"),
	SECRET("tts.key", "TTS_API_KEY", tts_key, "key of the voice's vendor"),
	STR("tts.model", tts_model, "", "model of the vendor's to speak with"),
	U32("tts.timeout_ms", tts_timeout_ms, "2500", 300, 60000, "ms",
	    "how long a voice may take to begin, or come behind real time"),
	URL("tts.fallback_url", tts_fallback_url, "",
	    "voice that speaks when the first fails or does not begin in time; "
	    "none: without; unset: flite: for English, else none"),
	STR("tts.fallback_voice", tts_fallback_voice, "",
	    "voice to ask that for"),
	SECRET("tts.fallback_key", NULL, tts_fallback_key,
	       "key of that one's vendor; unset: TTS_KEY if its address is that "
	       "of TTS_URL"),
	STR("tts.fallback_model", tts_fallback_model, "",
	    "model of that vendor's; unset: as with the key"),
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

#undef GROUP
#define GROUP "Audio"
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

#undef GROUP
#define GROUP "Turns and interruptions"
	U32("turn.join_ms", turn_join_ms, "0", 0, 10000, "ms",
	    "a caller who goes on within so long after a final makes one turn of "
	    "it; 0: finals decide"),
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

#undef GROUP
#define GROUP "Keys"
	BOOL("dtmf.inband", dtmf_inband, "false",
	     "hear keys as tones in the caller's audio, for carriers that send "
	     "no dtmf events"),
	STR("dtmf.map", dtmf_map, "",
	    "keys with an action (a transfer's number is logged, not dialled): "
	    "1=transfer:+15550100,0=operator,*=repeat,"
	    "9=hangup, 2=send:opening hours"),
	U32("dtmf.timeout_ms", dtmf_timeout_ms, "2000", 200, 60000, "ms",
	    "a number is complete when no key was pressed for so long"),
	U32("dtmf.digits", dtmf_digits, "0", 0, 64, NULL,
	    "or when it has so many digits; 0: any number of them"),
	STR("dtmf.finish_key", dtmf_finish_key, "#",
	    "or when one of these keys was pressed"),
	BOOL("dtmf.ignore_speech", dtmf_ignore_speech, "false",
	     "what is said while keys are collected does not count"),
	BOOL("dtmf.sensitive", dtmf_sensitive, "false",
	     "keys, their tones, and what is said until the answer to them is "
	     "heard, are kept out of logs, transcripts and recordings"),

#undef GROUP
#define GROUP "Silence and waiting"
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

#undef GROUP
#define GROUP "Process"
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

#undef GROUP
#define GROUP "Log"
	CHOICE("log_level", log_level, "info", "debug info warn error",
	       "least level that is logged"),
	CHOICE("log_format", log_format, "text", "text json", "form of a line"),
	BOOL("log_transcripts", log_transcripts, "false",
	     "log what callers and bots say"),
};
/* clang-format on */

const size_t conf_itemc = ARRAY_SIZE(conf_itemv);

void conf_env_name(char *dst, const struct conf_item *it)
{
	const char *s = it->name;

	while (*s) {
		*dst++ = *s == '.' ? '_' : (char)toupper((unsigned char)*s);
		++s;
	}
	*dst = '\0';
}

void *conf_field(const struct conf *c, const struct conf_item *it)
{
	return (char *)(uintptr_t)c + it->offset;
}

char **conf_string(const struct conf *c, const struct conf_item *it)
{
	return conf_field(c, it);
}

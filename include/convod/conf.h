/**
 * @file conf.h  Settings: one table, from which everything about them comes
 *
 * A setting has one name. `asr.replay_ms` is ASR_REPLAY_MS in the environment.
 * Values come, in this order, the later over the earlier: the default, `.env`,
 * `.env.local`, the environment of the process. A wrong value is refused with
 * the name of the setting and where it stood.
 *
 * Thread: filled at start, read-only afterwards, then any.
 */
#ifndef CONVOD_CONF_H
#define CONVOD_CONF_H

#include <stdio.h>
#include <convod/defs.h>

CV_BEGIN_DECLS

enum { CONF_ERR_MAX = 512 };

/** The effective settings. Strings are never NULL; "" is "not set". */
struct conf {
	char *host;
	uint32_t port;
	char *tls_cert;
	char *tls_key;
	char *admin_host;
	uint32_t admin_port;
	char *public_url;

	char *asr_url;
	char *asr_ca_file;
	uint32_t asr_replay_ms;
	char *masdif_url;
	char *dialog_url;
	uint32_t dialog_timeout_ms;
	char *voiceflow_api_key;
	char *voiceflow_url;
	char *voiceflow_version;
	char *voiceflow_opening;
	char *dialog_key;
	char *openai_api_key;
	char *dialog_model;
	char *dialog_prompt;
	char *dialog_opening;
	char *tts_url;
	char *tts_voice;
	char *tts_key;
	char *tts_model;
	uint32_t tts_timeout_ms;
	char *tts_fallback_url;
	char *tts_fallback_voice;
	char *tts_fallback_key;
	char *tts_fallback_model;
	uint32_t tts_cache_mb;
	uint32_t tts_cache_disk_mb;
	char *tts_prewarm;
	char *language;

	char *audio_hosts;
	uint32_t audio_timeout_ms;
	uint32_t audio_max_seconds;
	bool http_proxy_from_env;
	char *apology_file;

	uint32_t turn_join_ms;
	char *turn_while_thinking;
	uint32_t turn_endpoint_ms;
	char *barge_in_mode;
	uint32_t barge_in_words;
	uint32_t barge_in_resume_ms;
	char *greeting;
	bool greeting_protect;
	bool dtmf_inband;
	char *dtmf_map;
	uint32_t dtmf_timeout_ms;
	uint32_t dtmf_digits;
	char *dtmf_finish_key;
	bool dtmf_ignore_speech;
	bool dtmf_sensitive;
	uint32_t silence_ms;
	uint32_t silence_tries;
	char *silence_prompt;
	uint32_t filler_after_ms;
	char *filler_file;
	uint32_t repeat_max;
	uint32_t playout_lead_ms;
	uint32_t silence_limit_ms;

	char *twilio_account_sid;
	char *twilio_auth_token;

	char *data_dir;
	uint32_t workers;
	uint32_t engine_threads;
	uint32_t calls_max;
	uint32_t call_max_seconds;
	uint32_t call_warn_seconds;
	uint32_t call_idle_seconds;
	uint32_t drain_seconds;

	char *log_level;
	char *log_format;
	bool log_transcripts;
};

/** Looks up an environment variable; getenv() outside of tests */
typedef const char *(conf_getenv_h)(const char *name, void *arg);

/**
 * Read the settings
 *
 * @param cp      Released with mem_deref(), which wipes all strings
 * @param dir     Folder of `.env` and `.env.local`; NULL: don't read them
 * @param getenvh NULL: getenv()
 * @param errbuf  CONF_ERR_MAX bytes; on error says what is wrong, and where
 *
 * @return 0; EINVAL: a wrong value or file; ENOMEM
 */
CV_NODISCARD int conf_load(struct conf **cp, const char *dir,
			   conf_getenv_h *getenvh, void *arg, char *errbuf);

/** Log the settings that are not the default, secrets masked */
void conf_log(const struct conf *c);

/** One line about settings that are allowed, and what to do about it */
typedef void(conf_advice_h)(const char *what, const char *hint, void *arg);

/** Tell of combinations that surely disappoint, from a forgotten recogniser
 * to a key that is for nobody */
void conf_advise(const struct conf *c, conf_advice_h *h, void *arg);

/** The table for --help */
void conf_print_help(FILE *f);

/** The table as a sample `.env` file */
void conf_print_sample(FILE *f);

/** The table in Markdown, for the README */
void conf_print_markdown(FILE *f);

/** The table in roff, for convod(8) */
void conf_print_man(FILE *f);

/** Called for each variable of an env file, in order; non-zero stops */
typedef int(conf_var_h)(const char *name, const char *value, unsigned line,
			void *arg);

/**
 * Parse the text of an env file: `NAME=value`, optional `export`, single or
 * double quotes (\n \t \" \\ in double ones), comments, blank lines. Nothing
 * is executed or expanded.
 *
 * @param badline Set to the line that can't be understood
 *
 * @return 0; EBADMSG; ENOMEM; or what the handler returned
 */
CV_NODISCARD int conf_parse_env(const char *text, size_t len, conf_var_h *h,
				void *arg, unsigned *badline);

CV_END_DECLS

#endif

/**
 * @file vendor.h  What voices behind HTTP have in common
 *
 * A vendor is one file: a table of what it is (struct vendor_ops), and a
 * function that writes its request for a piece of text. The rest is here:
 * URL and options, cutting the text, requests one after the other into the
 * same clip, tokens, errors.
 */
#ifndef CONVOD_VENDOR_H
#define CONVOD_VENDOR_H

#include <jansson.h>
#include <convod/decode.h>
#include <convod/tts.h>

enum {
	VENDOR_OPTIONS_MAX = 6,
	VENDOR_HEADERS_MAX = 6,
	VENDOR_ERROR_MAX = 200,  /* bytes of a vendor's message, for the log */
	VENDOR_TEXT_MAX = 32768, /* bytes of a text; the rest is not spoken */
};

struct token;
struct vendor;

/* ---------------------------------------------------------- the request */

/** Written by a vendor's ask(), read by vendor.c; all strings are objects */
struct vendor_ask {
	char *url;
	char *headerv[VENDOR_HEADERS_MAX + 1];
	char *body;
	enum decode_format format; /* that is asked for */
	uint32_t rate;             /* Hz of DECODE_PCM_S16LE */
};

CV_NODISCARD CV_PRINTF(2, 3) int ask_header(struct vendor_ask *a,
					    const char *fmt, ...);

/** Body and Content-Type; takes the reference, NULL is ENOMEM */
CV_NODISCARD int ask_json(struct vendor_ask *a, json_t *body);

/* ------------------------------------------------------------ the vendor */

/** An option of the URL's query */
struct vendor_option {
	const char *name;
	const char *def;     /* NULL: not set */
	const char *choices; /* blank separated; NULL: a number */
	double min, max;     /* of it, both 0: any word */
};

struct vendor_ops {
	const struct tts_backend *be;
	/* The base URL that `name:` means, a star in it is what stands behind
	 * the colon; NULL: an address must be given */
	const char *base;
	const char *voice; /* default; NULL: one must be set */
	bool key;          /* does not answer without one at that base */
	size_t text_max;   /* bytes of one request's text */
	struct vendor_option optionv[VENDOR_OPTIONS_MAX];

	/** After all is set, or NULL */
	int (*setup)(struct vendor *v);
	/** Write the request for one piece of text; voice and language are
	 * always set in it */
	int (*ask)(struct vendor_ask *a, const struct vendor *v,
		   const struct tts_text *t);
};

/** A voice set up. Strings are never NULL but those of options. */
struct vendor {
	struct tts tts; /* first */
	const struct vendor_ops *ops;
	const struct net *net;
	char *base; /* http(s)://…, without query and slash at the end */
	char *key;  /* secret */
	char *voice;
	char *model;
	char *language;
	char *optionv[VENDOR_OPTIONS_MAX]; /* as in ops, NULL: not set */
	uint32_t timeout_ms;
	uint32_t max_ms;
	struct token *token; /* NULL: none needed */
};

CV_NODISCARD int vendor_alloc(struct tts **tp, const struct vendor_ops *ops,
			      const struct tts_param *prm,
			      const struct net *net);

/** speak() of all vendors */
CV_NODISCARD int vendor_speak(void **rp, struct tts *t,
			      const struct tts_text *text, struct clip *clip);

/** Say in the log why a voice cannot be set up. Always EINVAL. */
CV_PRINTF(2, 3)
int vendor_refuse(const struct vendor_ops *ops, const char *fmt, ...);

/** Is this option's value set, and to this word? */
bool vendor_option_is(const struct vendor *v, size_t option, const char *word);

/* ------------------------------------------------------------- vendor_url */

/**
 * Split `scheme+http(s)://…?options` or `scheme:word?options`
 *
 * @param basep   Set to the base URL, a new object
 * @param optionv Values by the table's order, new objects or NULL; all are
 *                set or untouched
 * @param why     VENDOR_ERROR_MAX bytes; says what is wrong with EINVAL
 */
CV_NODISCARD int vendor_url_parse(char **basep,
				  char *optionv[VENDOR_OPTIONS_MAX],
				  const struct vendor_ops *ops,
				  const char *url, char *why);

/* ------------------------------------------------------------ vendor_text */

/** Plain text of SSML (tags and entities gone), a copy of what is none; s ends
 * with a zero at len or later */
CV_NODISCARD int vendor_plain(char **dst, const char *s, size_t len);

/**
 * The next piece of a text for one request: whole sentences, as many as fit,
 * cleaned of what cannot be spoken
 *
 * @param dst At least max + 1 bytes; "" if there is nothing to say in it
 *
 * @return bytes of s that it stands for
 */
size_t vendor_piece(char *dst, size_t max, const char *s, size_t len);

/** Escape for XML text and attributes; what XML 1.0 has no place for (control
 * characters) becomes a blank */
CV_NODISCARD int vendor_xml(char **dst, const char *s);

/* ----------------------------------------------------------- vendor_error */

/**
 * The short message in a vendor's error body
 *
 * @param dst VENDOR_ERROR_MAX bytes; valid UTF-8, "" if there is none
 */
void vendor_error(char *dst, const char *body, size_t n);

/* ------------------------------------------------------------------ token */

/** Waits for a token; embedded, zeroed first. To stop: list_unlink(&w->le) */
struct token_wait {
	struct le le;
	void (*h)(int err, void *arg); /* may drop anything */
	void *arg;
};

/**
 * A bearer token that is fetched with an id and a secret when it is needed,
 * once for all who wait
 */
CV_NODISCARD int token_alloc(struct token **tp, const struct net *net,
			     const char *url, const char *id,
			     const char *secret, uint32_t timeout_ms);

/** NULL: none that is still good; wait for one */
const char *token_value(const struct token *t);

/** Fetch a new one unless that is under way; the handler is told later */
CV_NODISCARD int token_wait(struct token *t, struct token_wait *w);

/** The service did not take it: forget it if it is still the one we have */
void token_refused(struct token *t, const char *value);

/** {"access_token", "expires_in"}. 0; EBADMSG; ENOMEM */
CV_NODISCARD int token_parse(char **valuep, uint32_t *expires_s,
			     const char *body, size_t n);

#endif

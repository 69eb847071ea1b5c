/**
 * @file door.c  Who may open a call
 */
#include <stdio.h>
#include <string.h>
#include <convod/log.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include "server_priv.h"

enum { URL_MAX_BYTES = 2048 };

static int check_signature(const struct conf *conf,
			   const struct http_head *head)
{
	char base[URL_MAX_BYTES], buf[512], signature[128];
	char url[URL_MAX_BYTES], masked[512];
	const char *host;
	bool has;

	/* Behind a proxy or tunnel the Host header is theirs, not the
	 * carrier's: the configured URL is the one to trust. What was signed
	 * is always wss, whatever scheme was configured. */
	if (*conf->public_url) {
		host = strstr(conf->public_url, "://");
		host = host ? host + 3 : conf->public_url;
	} else {
		host = http_head_get(head, "Host", buf, sizeof(buf));
	}
	(void)snprintf(base, sizeof(base), "wss://%s", host ? host : "");
	if (base[strlen(base) - 1] == '/')
		base[strlen(base) - 1] = '\0';

	has = http_head_get(head, "X-Twilio-Signature", signature,
			    sizeof(signature)) != NULL;
	if (twilio_signature_ok(conf->twilio_auth_token, base, head->target,
				has ? signature : NULL))
		return 101;

	metrics_inc(M_SIGNATURES_REFUSED);
	(void)snprintf(url, sizeof(url), "%s%s", base, head->target);
	log_warn(NULL, "signature refused",
		 "peer=%s expected=\"%s\" signature=%s hint=\"set PUBLIC_URL "
		 "to what the carrier sees\"",
		 head->peer, LOG_STR(url_mask(masked, sizeof(masked), url)),
		 has ? "wrong" : "missing");

	return 403;
}

int door_check(const struct conf *conf, const struct http_head *head)
{
	char path[64] = "";

	(void)http_head_path(head, path, sizeof(path));
	if (strcmp(path, "/convo") != 0 && strcmp(path, "/convo/") != 0) {
		log_warn(NULL, "call refused",
			 "peer=%s path=\"%s\" hint=\"calls come in on "
			 "/convo\"",
			 head->peer, LOG_STR(path));
		return 404;
	}

	return *conf->twilio_auth_token ? check_signature(conf, head) : 101;
}

bool door_is_webhook(const struct http_head *head, const char *body,
		     size_t bodyc)
{
	static const char member[] = "CallSid=";

	if (!strstr(head->target, member) &&
	    !(bodyc && memmem(body, bodyc, member, strlen(member))))
		return false;

	log_warn(NULL, "a webhook is no call",
		 "peer=%s hint=\"give the number TwiML whose <Stream url> is "
		 "wss://.../convo\"",
		 head->peer);

	return true;
}

/**
 * @file vendor_error.c  What a vendor says instead of speaking
 *
 * Each has a shape of its own, and gateways before them have others:
 *
 *	{"message": "…"}                         Tiro
 *	{"error": {"message": "…"}}              OpenAI and what is like it
 *	{"error": "…"}
 *	{"detail": {"status": …, "message": "…"}} ElevenLabs
 *	{"detail": [{"msg": "…"}]}, {"detail": "…"} FastAPI
 *	{"err_code": …, "err_msg": "…"}          Deepgram
 *
 * Spec: tts.md 11.1 to 11.6
 */
#include <string.h>
#include <convod/json.h>
#include <convod/utf8.h>
#include "vendor.h"

static const char *find(const json_t *j, unsigned depth)
{
	static const char *const namev[] = {"message", "err_msg", "msg",
					    "error",   "detail",  "title"};
	const char *s;

	if (json_is_string(j))
		return json_string_value(j);
	if (json_is_array(j))
		j = json_array_get(j, 0);
	if (!depth)
		return NULL;

	for (size_t i = 0; i < ARRAY_SIZE(namev); i++) {
		s = find(json_object_get(j, namev[i]), depth - 1);
		if (s && *s)
			return s;
	}

	return NULL;
}

void vendor_error(char *dst, const char *body, size_t n)
{
	json_t *root;
	const char *s;

	*dst = '\0';
	if (jsn_parse(&root, body, n)) {
		/* words, but not the head of a page */
		if (!memchr(body, '<', n) && !memchr(body, '{', n))
			(void)utf8_clean(dst, VENDOR_ERROR_MAX, body, n);
		return;
	}

	s = find(root, 3);
	if (s)
		(void)utf8_clean(dst, VENDOR_ERROR_MAX, s, strlen(s));
	json_decref(root);
}

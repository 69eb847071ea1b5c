/**
 * @file masdif_reply.c  Masdif's messages, without I/O
 *
 * Spec: Masdif 0.4.3 (d480dcf), as dialog.md section 7 describes its code
 */
#include <errno.h>
#include <string.h>
#include <convod/json.h>
#include <convod/mem.h>
#include <convod/str.h>
#include "masdif.h"
#include "session.h"

static void destructor(void *arg)
{
	struct masdif_reply *r = arg;

	for (size_t i = 0; i < r->textc; i++)
		mem_deref(r->textv[i]);
	for (size_t i = 0; i < r->srcc; i++)
		mem_deref(r->srcv[i]);
	mem_raw_free(r->textv);
	mem_deref(r->text);
}

static int add_text(struct masdif_reply *r, const char *s)
{
	char **v;
	int err;

	if (!s || !s[strspn(s, " \t\r\n")])
		return 0;

	v = mem_raw_realloc(r->textv, (r->textc + 1) * sizeof(*v));
	if (!v)
		return ENOMEM;
	r->textv = v;

	err = str_dup(&v[r->textc], s);
	if (!err)
		++r->textc;

	return err;
}

static int add_audio(struct masdif_reply *r, const json_t *attachment)
{
	const char *src;
	int err;

	if (!str_eq(jsn_str(attachment, "type"), "audio"))
		return 0;

	src = jsn_str(json_object_get(attachment, "payload"), "src");
	if (!src || r->srcc == MASDIF_AUDIO_MAX)
		return 0;

	err = str_dup(&r->srcv[r->srcc], src);
	if (!err)
		++r->srcc;

	return err;
}

static int add_element(struct masdif_reply *r, const json_t *e)
{
	const json_t *attachments, *a;
	size_t i;
	int err;

	err = add_text(r, jsn_str(e, "text"));
	if (err)
		return err;

	attachments = json_object_get(json_object_get(e, "data"),
				      "attachment");
	json_array_foreach(attachments, i, a)
	{
		err = add_audio(r, a);
		if (err)
			return err;
	}

	return 0;
}

/** Masdif synthesises the texts as one: joined with a blank */
static int join_texts(struct masdif_reply *r)
{
	size_t n = 1;
	char *p;

	for (size_t i = 0; i < r->textc; i++)
		n += strlen(r->textv[i]) + 1;

	r->text = p = mem_zalloc(n, NULL);
	if (!p)
		return ENOMEM;

	for (size_t i = 0; i < r->textc; i++) {
		if (i)
			*p++ = ' ';
		p = stpcpy(p, r->textv[i]);
	}

	return 0;
}

int masdif_reply_parse(struct masdif_reply **rp, const char *p, size_t n)
{
	struct masdif_reply *r;
	json_t *root, *e;
	size_t i;
	int err;

	if (!rp || (n && !p))
		return EINVAL;

	err = jsn_parse(&root, p, n);
	if (err)
		return err;
	if (!json_is_array(root)) {
		json_decref(root);
		return EPROTO;
	}

	r = mem_zalloc(sizeof(*r), destructor);
	if (!r)
		err = ENOMEM;
	json_array_foreach(root, i, e)
	{
		if (err)
			break;
		err = add_element(r, e);
	}
	if (!err)
		err = join_texts(r);
	json_decref(root);

	if (err)
		mem_deref(r);
	else
		*rp = r;

	return err;
}

/** A UUID in all versions; what could lead elsewhere in a path is refused */
static bool id_is_plain(const char *id)
{
	static const char chars[] = "0123456789-_"
				    "abcdefghijklmnopqrstuvwxyz"
				    "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

	return id && *id && strlen(id) < DIALOG_ID_MAX &&
	       !id[strspn(id, chars)];
}

int masdif_id_parse(char *id, const char *p, size_t n)
{
	json_t *root;
	const char *s;
	int err = jsn_parse(&root, p, n);

	if (err)
		return err;

	s = jsn_str(root, "conversation_id");
	if (id_is_plain(s))
		str_copy(id, DIALOG_ID_MAX, s);
	else
		err = EPROTO;
	json_decref(root);

	return err;
}

int masdif_request_print(char **bodyp, const struct dialog_turn *turn)
{
	const char *text = turn->text;
	bool spoken = turn->kind == DIALOG_SPEECH;
	json_t *root;
	int err;

	text += strspn(text, spoken ? "/ \t\r\n" : " \t\r\n");
	if (!*text)
		return ENODATA;
	if (!utf8_is_valid(text, strlen(text)))
		return EINVAL;

	/* "tts" is left out: absent means on */
	root = json_pack("{s:s, s:{s:b, s:s*}}", "text", text, "metadata",
			 "asr_generated", spoken, "language",
			 str_isset(turn->language) ? turn->language : NULL);
	if (!root)
		return ENOMEM;

	/* 0.4.3 drops what it does not know */
	err = session_add_heard(json_object_get(root, "metadata"), turn);
	if (!err)
		err = jsn_print(bodyp, root);
	json_decref(root);

	return err;
}

/**
 * @file prewarm.c  Speaks what will be needed before it is
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include <convod/str.h>
#include <convod/voice.h>

/** A text under way */
struct slot {
	struct prewarm *p; /* weak */
	struct voice_req *req;
	struct clip *clip; /* NULL: free */
	struct clip_watch watch;
};

struct prewarm {
	struct voice *voice;
	struct tmr *tmr; /* to go on, on the loop */
	char *text;      /* the file, lines ended with zeros */
	size_t len, pos;
	struct slot slotv[PREWARM_AT_ONCE];
	unsigned spoken, failed;
	bool done;
};

/* ----------------------------------------------------------------- file */

static int read_file(char **textp, size_t *lenp, const char *path)
{
	FILE *f = fopen(path, "rbe");
	char *text = mem_zalloc(PREWARM_FILE_MAX + 1, NULL);
	size_t n = f && text ? fread(text, 1, PREWARM_FILE_MAX + 1, f) : 0;
	int err = !f                     ? errno
		  : !text                ? ENOMEM
		  : ferror(f)            ? errno
		  : n > PREWARM_FILE_MAX ? EOVERFLOW
					 : 0;

	if (f)
		(void)fclose(f);
	if (!err)
		err = str_ndup(textp, text, n);
	*lenp = n;
	mem_deref(text);

	return err;
}

/* Lines become strings; their number and their bytes are looked at */
static int split(struct prewarm *p, unsigned *line)
{
	char *s = p->text, *end = p->text + p->len;

	for (*line = 1; s < end; ++*line) {
		char *newline = memchr(s, '\n', (size_t)(end - s));
		size_t n = (size_t)((newline ? newline : end) - s);

		if (*line > PREWARM_LINES_MAX)
			return EOVERFLOW;
		if (!utf8_is_valid(s, n) || memchr(s, '\0', n))
			return EBADMSG;
		s[n] = '\0';
		s += n + 1;
	}
	*line = 0;

	return 0;
}

/* The next text, NULL at the end */
static const char *next_text(struct prewarm *p)
{
	while (p->pos < p->len) {
		const char *s = p->text + p->pos;

		p->pos += strlen(s) + 1;
		if (*s && *s != '#' && s[strspn(s, " \t\r")])
			return s;
	}

	return NULL;
}

/* ------------------------------------------------------------- speaking */

static void clear_slot(struct slot *s)
{
	list_unlink(&s->watch.le);
	s->req = mem_deref(s->req);
	s->clip = mem_deref(s->clip);
}

static void count(struct prewarm *p, int err)
{
	if (err)
		++p->failed;
	else
		++p->spoken;
}

/* Going on from here would be inside the voice: the timer does */
static void clip_handler(struct clip *c, void *arg)
{
	struct slot *s = arg;

	if (!clip_is_ended(c))
		return;

	count(s->p, clip_error(c));
	tmr_start(s->p->tmr, 0);
}

/* Start the next text in a free slot; false: there is none left */
static bool start(struct prewarm *p, struct slot *s)
{
	const char *text = next_text(p);
	int err;

	if (!text)
		return false;

	err = voice_speak(&s->req, &s->clip, p->voice,
			  &(struct tts_text){.text = text}, NULL);
	if (err || clip_is_ended(s->clip)) {
		count(p, err ? err : clip_error(s->clip));
		clear_slot(s);
		return true;
	}

	s->p = p;
	s->watch = (struct clip_watch){.h = clip_handler, .arg = s};
	clip_watch(s->clip, &s->watch);

	return true;
}

static void go_on_handler(void *arg)
{
	struct prewarm *p = arg;
	bool busy = false, more = true;

	for (size_t i = 0; i < PREWARM_AT_ONCE; i++) {
		struct slot *s = &p->slotv[i];

		if (s->clip && clip_is_ended(s->clip))
			clear_slot(s);
		/* one a turn and slot: what is in the cache must not keep
		 * the loop either */
		if (!s->clip && more)
			more = start(p, s);
		busy |= s->clip != NULL;
	}

	if (more) {
		/* free slots: texts that had ended at once, or failed */
		for (size_t i = 0; i < PREWARM_AT_ONCE; i++) {
			if (!p->slotv[i].clip)
				tmr_start(p->tmr, 0);
		}
	} else if (!busy && !p->done) {
		p->done = true;
		log_info(NULL, "voice is warm", "texts=%u failed=%u",
			 p->spoken, p->failed);
	}
}

/* --------------------------------------------------------------- set-up */

static void destructor(void *arg)
{
	struct prewarm *p = arg;

	for (size_t i = 0; i < PREWARM_AT_ONCE; i++)
		clear_slot(&p->slotv[i]);
	mem_deref(p->tmr);
	mem_deref(p->text);
	mem_deref(p->voice);
}

int prewarm_alloc(struct prewarm **pp, struct voice *v, const char *path,
		  unsigned *line)
{
	struct prewarm *p = mem_zalloc(sizeof(*p), destructor);
	int err;

	*line = 0;
	if (!p)
		return ENOMEM;

	p->voice = mem_ref(v);
	err = read_file(&p->text, &p->len, path);
	if (!err)
		err = split(p, line);
	if (!err)
		err = tmr_alloc(&p->tmr, voice_loop(v), go_on_handler, p);
	if (err) {
		mem_deref(p);
		return err;
	}

	tmr_start(p->tmr, 0);
	*pp = p;

	return 0;
}

/*
 * What both embedded dialog managers promise to a call, on a real loop: every
 * test runs with demo: and with echo:.
 */
#include <stdio.h>
#include <convod/asr.h>
#include <convod/dialog.h>
#include <convod/loop.h>
#include <convod/str.h>
#include "test.h"

/* What the handler of an act does, besides writing it down */
enum mischief { NONE, CANCELS, DROPS, RESTARTS };

struct fixture {
	struct loop *loop;
	struct net net;
	struct dialog *d;
	struct dialog_session *s;
	char log[1024]; /* "open", "say TEXT", "hangup", "done", a line each */
	enum mischief mischief;
	bool drop_at_open, drop_at_done;
};

static const struct dialog_call call = {
	.call_id = "CAtest",
	.caller = "+354555",
	.called = "+354556",
};

static void note(struct fixture *f, const char *what, const char *text)
{
	size_t n = strlen(f->log);

	(void)snprintf(f->log + n, sizeof(f->log) - n, "%s%s%s\n", what,
		       text[0] ? " " : "", text);
}

static int turn(struct fixture *f, const char *text)
{
	return f->d->be->turn(
		f->s, &(struct dialog_turn){
			      .text = text,
			      .language = "en-US",
			      .kind = text[0] ? DIALOG_SPEECH : DIALOG_OPENING,
		      });
}

static void open_handler(int err, const char *conversation, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(err, 0);
	assert_non_null(strstr(conversation, "CAtest"));
	note(f, "open", "");
	if (f->drop_at_open)
		f->s = mem_deref(f->s);
}

static void act_handler(const struct dialog_act *act, void *arg)
{
	static const char *const namev[] = {
		"say", "play", [DIALOG_TRANSFER] = "transfer",
		[DIALOG_HANGUP] = "hangup"};
	struct fixture *f = arg;
	enum mischief mischief = f->mischief;

	note(f, namev[act->type], act->text ? act->text : "");
	f->mischief = NONE;
	if (mischief == CANCELS || mischief == RESTARTS)
		f->d->be->cancel(f->s);
	if (mischief == RESTARTS)
		assert_int_equal(turn(f, "help"), 0);
	if (mischief == DROPS)
		f->s = mem_deref(f->s);
}

static void done_handler(int err, void *arg)
{
	struct fixture *f = arg;

	assert_int_equal(err, 0);
	note(f, "done", "");
	if (f->drop_at_done)
		f->s = mem_deref(f->s);
}

static const struct dialog_handlers handlers = {open_handler, act_handler,
						done_handler};

static void begin(struct fixture *f, const char *url)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(loop_alloc(&f->loop), 0);
	f->net.loop = f->loop;
	assert_int_equal(dialog_alloc(&f->d,
				      &(struct dialog_param){
					      .url = url,
					      .language = "en-US",
				      },
				      &f->net),
			 0);
	assert_int_equal(f->d->be->open(&f->s, f->d, &call, &handlers, f), 0);
	assert_string_equal(f->log, ""); /* handlers come later */
}

static void end(struct fixture *f)
{
	mem_deref(f->s);
	mem_deref(f->d);
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, false);
	mem_deref(f->loop);
}

static void turns(struct fixture *f)
{
	for (int i = 0; i < 3; i++)
		loop_turn(f->loop, false);
}

static const char *const urlv[] = {"demo:", "echo:"};

#define FOR_BOTH(f) \
	for (size_t i_ = 0; i_ < 2 && (begin(f, urlv[i_]), true); end(f), i_++)

static unsigned lines(const struct fixture *f, const char *start)
{
	unsigned n = 0;

	for (const char *s = f->log; *s; s = strchr(s, '\n') + 1)
		n += str_starts(s, start);

	return n;
}

static void test_a_conversation(void **state)
{
	struct fixture f;

	FOR_BOTH(&f)
	{
		turns(&f);
		assert_string_equal(f.log, "open\n");
		assert_int_equal(turn(&f, ""), 0); /* it speaks first */
		assert_int_equal(turn(&f, "help"), EBUSY);
		assert_string_equal(f.log, "open\n");
		turns(&f);
		assert_int_equal(lines(&f, "say "), 1);
		assert_int_equal(lines(&f, "done"), 1);

		f.log[0] = '\0';
		assert_int_equal(turn(&f, "goodbye"), 0);
		turns(&f);
		assert_int_equal(lines(&f, "say "), 1);
		assert_int_equal(lines(&f, "hangup"),
				 str_eq(f.d->be->name, "demo"));
		assert_non_null(strstr(f.log, "done\n"));
		assert_string_equal(strstr(f.log, "done\n"), "done\n");
	}
}

static void test_rejected(void **state)
{
	struct fixture f;

	FOR_BOTH(&f)
	{
		assert_int_equal(f.d->be->turn(f.s,
					       &(struct dialog_turn){
						       .text = "",
						       .kind = DIALOG_NOISE,
					       }),
				 0);
		turns(&f);
		assert_true(strstr(f.log, "did not get"));
		assert_int_equal(lines(&f, "done"), 1);
	}
}

/* A turn may be asked for before the session is open */
static void test_turn_before_open(void **state)
{
	struct fixture f;

	FOR_BOTH(&f)
	{
		assert_int_equal(turn(&f, "help"), 0);
		turns(&f);
		assert_true(str_starts(f.log, "open\nsay "));
		assert_int_equal(lines(&f, "done"), 1);
	}
}

static void test_cancelled_turn_says_nothing(void **state)
{
	struct fixture f;

	FOR_BOTH(&f)
	{
		f.d->be->cancel(f.s);
		assert_int_equal(turn(&f, "help"), 0);
		f.d->be->cancel(f.s);
		turns(&f);
		assert_string_equal(f.log, "open\n");
		assert_int_equal(turn(&f, "help"), 0);
		turns(&f);
		assert_int_equal(lines(&f, "done"), 1);
	}
}

/* "goodbye" has two acts with demo: */
static void test_mischief_in_the_handler(void **state)
{
	static const struct {
		enum mischief mischief;
		unsigned says, dones;
	} tests[] = {
		{NONE, 1, 1},
		{CANCELS, 1, 0},
		{DROPS, 1, 0},
		{RESTARTS, 2, 1}, /* the second turn is whole */
	};

	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct fixture f;

		FOR_BOTH(&f)
		{
			turns(&f);
			f.mischief = tests[i].mischief;
			assert_int_equal(turn(&f, "goodbye"), 0);
			turns(&f);
			assert_int_equal(lines(&f, "say "), tests[i].says);
			assert_int_equal(lines(&f, "done"), tests[i].dones);
			if (tests[i].mischief != NONE)
				assert_int_equal(lines(&f, "hangup"), 0);
		}
	}
}

static void test_dropped_at_any_time(void **state)
{
	struct fixture f;

	FOR_BOTH(&f)
	{
		f.drop_at_open = true;
		assert_int_equal(turn(&f, "help"), 0);
		turns(&f);
		assert_string_equal(f.log, "open\n");
	}
	FOR_BOTH(&f)
	{
		f.drop_at_done = true;
		assert_int_equal(turn(&f, "help"), 0);
		turns(&f);
		assert_int_equal(lines(&f, "done"), 1);
	}
	FOR_BOTH(&f)
	{
		assert_int_equal(turn(&f, "help"), 0);
		f.s = mem_deref(f.s);
		turns(&f);
		assert_string_equal(f.log, "");
	}
}

static void test_bad_urls(void **state)
{
	static const struct {
		const char *url;
		int err;
	} tests[] = {
		{"demo", EINVAL},
		{"nobody:", ENOTSUP},
		{"demo:/nonexistent/my.bot", ENOENT},
		{"demo:" DATA_DIR "/audio/transcripts.tsv", EINVAL},
	};
	struct dialog *d;
	struct loop *l;

	assert_int_equal(loop_alloc(&l), 0);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++)
		assert_int_equal(dialog_alloc(&d,
					      &(struct dialog_param){
						      .url = tests[i].url,
						      .language = "en-US",
					      },
					      &(struct net){.loop = l}),
				 tests[i].err);
	mem_deref(l);
}

/* Who has got a URL wrong is told how it looks */
static void test_each_scheme_has_a_form(void **state)
{
	char scheme[32];
	int n;

	(void)state;
	for (const char *s = dialog_schemes();
	     sscanf(s, "%30s%n", scheme, &n) == 1; s += n)
		assert_true(*dialog_form(scheme));
	for (const char *s = asr_schemes();
	     sscanf(s, "%30s%n", scheme, &n) == 1; s += n)
		assert_true(*asr_form(scheme));
	assert_string_equal(dialog_form("nobody:"), "");
	assert_string_equal(asr_form("nobody:"), "");
}

static int one_turn(struct fixture *f, const char *url)
{
	int err = loop_alloc(&f->loop);

	f->net.loop = f->loop;
	if (!err)
		err = dialog_alloc(
			&f->d,
			&(struct dialog_param){.url = url, .language = "en"},
			&f->net);
	if (!err)
		err = f->d->be->open(&f->s, f->d, &call, &handlers, f);
	if (!err)
		err = turn(f, "help");
	if (!err)
		turns(f);

	return err;
}

static int body(void *arg)
{
	struct fixture f = {0};
	int err = one_turn(&f, arg);

	if (!err)
		assert_int_equal(lines(&f, "done"), 1);
	mem_deref(f.s);
	mem_deref(f.d);
	mem_deref(f.loop);

	return err;
}

static void test_out_of_memory(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(urlv); i++)
		oom_loop(body, (void *)(uintptr_t)urlv[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_conversation),
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_turn_before_open),
		cmocka_unit_test(test_cancelled_turn_says_nothing),
		cmocka_unit_test(test_mischief_in_the_handler),
		cmocka_unit_test(test_dropped_at_any_time),
		cmocka_unit_test(test_bad_urls),
		cmocka_unit_test(test_each_scheme_has_a_form),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

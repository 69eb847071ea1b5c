/* Voiceflow's sessions over real sockets, with answers that come as events */
#include "../../src/dialog/voiceflow.h"
#include "voiceflow_peer.h"

/* ---------------------------------------------------------------- streams */

#define QUERY "?completion_events=true&environment=production "

static void test_a_stream(void **state)
{
	struct fixture *f = *state;

	will((struct answer){
		.how = STREAM,
		.body = ": hello\n\n" EVENT("Welcome.") "|" EVENT(
			"How are you?") "|"
					"event: end\ndata: {}\n\n"});
	will((struct answer){
		.how = STREAM,
		.body = EVENT("Noted.") "event: end\nid: 2\n\n|"});
	start(f, (struct how_to){.query = "?stream=P1"});
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	/* each is heard before the next is written */
	run_until(f, &f->acts, 1);
	check_notes(f, "[say Welcome.]");
	go();
	run_until(f, &f->acts, 2);
	check_notes(f, "[say How are you?]");
	assert_int_equal(f->done, 0);
	go();
	run_until(f, &f->done, 1);
	assert_int_equal(f->done_err, 0);
	check_log(STREAM_ QUERY
		  "{\"action\":{\"type\":\"launch\"},\"variables\":" VARS
		  "}\n");
	assert_non_null(
		strstr(world.head, "\r\nAccept: text/event-stream\r\n"));

	/* the end needs no data, nor the connection to end */
	settle(f);
	assert_int_equal(converse(f, DIALOG_SPEECH, "x"), 0);
	check_notes(f, "[say Noted.]");
	check_log(STREAM_ QUERY
		  "{\"action\":{\"type\":\"text\",\"payload\":\"x\"}}\n");
	assert_int_equal(f->server.conns, 1);
}

static void test_stream_fixtures(void **state)
{
	static const struct {
		const char *name;
		int err;
		const char *notes;
	} tests[] = {
		{"stream-text.txt", 0,
		 "[say Give me a moment.][say Your table is booked.]"
		 "[hangup ]"},
		{"stream-completion.txt", 0,
		 "[say Welcome!][say The price is 3.5 euros.]"
		 "[say Anything else?]"},
		{"stream-cut.txt", ECONNRESET, "[say This is heard.]"},
		{"stream-crlf-odd.txt", 0, "[say Two data lines.]"},
		{"stream-audio.txt", 0, ""}, /* not asked for */
	};
	struct fixture *f = *state;

	begin(f, (struct how_to){.query = "?stream=P1"});
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		settle(f); /* the text before is still being sent */
		world.answerc = world.next = 0;
		will((struct answer){.how = STREAM,
				     .body = fixture_text(tests[i].name)});
		assert_int_equal(converse(f, DIALOG_SPEECH, "x"),
				 tests[i].err);
		check_notes(f, tests[i].notes);
	}
}

static void test_stream_faults(void **state)
{
	static const struct {
		struct answer answer;
		int err, asked;
		const char *notes;
	} tests[] = {
		{{BROKEN, 0, EVENT("Heard.") "event: tr", NULL},
		 ECONNRESET,
		 1,
		 "[say Heard.]"},
		/* cut inside of a character */
		{{BROKEN, 0, EVENT("Heard.") "data: \xc3", NULL},
		 ECONNRESET,
		 1,
		 "[say Heard.]"},
		/* what is known to come is done */
		{{BROKEN, 0, EVENT("transfer-now"), NULL},
		 ECONNRESET,
		 1,
		 "[transfer ]"},
		{{DROP, 0, NULL, NULL}, 0, 2, ""},
		{{WHOLE, 200, TEXT("As JSON."), NULL}, 0, 1, "[say As JSON.]"},
		{{WHOLE, 200, "{\"code\":400,\"data\":\"x\"}", NULL},
		 EPROTO,
		 1,
		 ""},
		{{WHOLE, 200, "<html>", NULL}, EPROTO, 1, ""},
		{{WHOLE, 200, "", NULL}, 0, 2, ""},
		{{WHOLE, 400, "{\"message\":\"x\"}", NULL}, EREMOTEIO, 1, ""},
		{{WHOLE, 503, "<html>", NULL}, 0, 2, ""},
		{{BIG, 0, NULL, NULL}, EOVERFLOW, 1, ""},
	};
	struct fixture *f = *state;

	begin(f, (struct how_to){.query = "?stream=P1"});
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		int err;

		world.interacts = 0;
		world.answerc = world.next = 0;
		will(tests[i].answer);
		will((struct answer){.how = STREAM, .body = "event: end\n\n"});
		err = converse(f, DIALOG_SPEECH, "x");
		if (err != tests[i].err || world.interacts != tests[i].asked)
			fail_msg("%zu: %d, asked %d times", i, err,
				 world.interacts);
		check_notes(f, tests[i].notes);
	}
}

static size_t repeat(char *dst, size_t size, const char *s, int times)
{
	size_t n = 0;

	while (times-- > 0)
		n += (size_t)snprintf(dst + n, size - n, "%s", s);
	assert_true(n < size);

	return n;
}

static void run_until_ms(struct fixture *f, uint64_t ms)
{
	while (loop_now_ms(f->net.loop) < ms) {
		loop_turn(f->net.loop, false);
		usleep(1000);
	}
}

/* As long as it goes on it is not late; silence is */
static void test_stream_may_take_long(void **state)
{
	enum { STEP_MS = 100, STEPS = SHORT_MS / STEP_MS + 1 };
	struct fixture *f = *state;
	static char
		body[STEPS * sizeof(EVENT("1") "|") + sizeof(EVENT("late"))];
	uint64_t start_ms;
	size_t n = repeat(body, sizeof(body), EVENT("1") "|", STEPS);

	(void)repeat(body + n, sizeof(body) - n, EVENT("late"), 1);
	will((struct answer){.how = STREAM, .body = "event: end\n\n"});
	begin(f,
	      (struct how_to){.query = "?stream=P1", .timeout_ms = SHORT_MS});
	will((struct answer){.how = STREAM, .body = body});
	start_ms = loop_now_ms(f->net.loop);
	assert_int_equal(turn(f, DIALOG_SPEECH, "x"), 0);
	for (int i = 1; i <= STEPS; i++) {
		run_until(f, &f->acts, i);
		run_until_ms(f, start_ms + (uint64_t)i * STEP_MS);
		go();
	}
	run_until(f, &f->acts, STEPS + 1);
	run_until(f, &f->done, 2);
	assert_int_equal(f->done_err, ECONNRESET);

	will((struct answer){.how = STREAM, .body = EVENT("1") ": ping\n\n|"});
	assert_int_equal(converse(f, DIALOG_SPEECH, "x"), ETIMEDOUT);
}

static void test_stream_given_up(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.how = STREAM, .body = "event: end\n\n"});
	begin(f, (struct how_to){.query = "?stream=P1"});
	will((struct answer){
		.how = STREAM,
		.body = EVENT("One.") "|" EVENT("unheard") "event: end\n\n"});
	will((struct answer){.how = STREAM,
			     .body = EVENT("Two.") "event: end\n\n"});
	f->say_in_act = "two";
	assert_int_equal(turn(f, DIALOG_SPEECH, "one"), 0);
	run_until(f, &f->acts, 1);
	for (int i = 0; i < 100; i++)
		loop_turn(f->net.loop, false);
	assert_int_equal(world.interacts, 2);
	go();
	run_until(f, &f->done, 2);
	check_notes(f, "[say One.][say Two.]");

	/* dropped inside, with more events behind it in the same piece */
	will((struct answer){.how = STREAM,
			     .body = EVENT("1") EVENT("2") "event: end\n\n"});
	f->drop_in_act = true;
	assert_int_equal(turn(f, DIALOG_SPEECH, "x"), 0);
	run_until(f, &f->acts, 3);
	loop_turn(f->net.loop, false);
	check_notes(f, "[say 1]");
	assert_int_equal(world.overlaps, 0);
}

struct owner {
	struct voiceflow_request *req;
	int done, err;
};

static void owner_destructor(void *arg)
{
	struct owner *o = arg;

	mem_deref(o->req);
}

static void request_handler(int err, void *arg)
{
	struct owner *o = arg;

	++o->done;
	o->err = err;
}

static void no_act_handler(const struct dialog_act *a, void *arg)
{
	(void)a;
	(void)arg;
}

static int send_request(struct fixture *f, struct owner *o)
{
	static const char *const headerv[] = {"Accept: */*", NULL};
	const struct voiceflow_reply_param rp = {
		.net = &f->net, .origin = "", .acth = no_act_handler};
	struct voiceflow_request_param prm = {.net = &f->net,
					      .method = "POST",
					      .headerv = headerv,
					      .key = KEY,
					      .stream = true,
					      .timeout_ms = SHORT_MS};
	int err = str_dup(&prm.call_id, "CA1");

	if (!err)
		err = str_dup(&prm.url, f->server.url);
	if (!err)
		err = str_dup(&prm.body, "{}");
	if (!err)
		err = voiceflow_reply_alloc(&prm.reply, &rp);
	if (!err)
		err = voiceflow_request_alloc(&o->req, &prm, request_handler,
					      o);
	mem_deref(prm.call_id);
	mem_deref(prm.url);
	mem_deref(prm.body);
	mem_deref(prm.reply);

	return err;
}

/* Comments keep a stream alive, but not for long what nobody wants */
static void test_stream_without_end(void **state)
{
	struct fixture *f = *state;
	enum { STEP_MS = 100, STEPS = 2 * SHORT_MS / STEP_MS };
	struct owner *o = mem_zalloc(sizeof(*o), owner_destructor);
	static char body[2 * STEPS + 1]; /* the server may outlive us */

	assert_non_null(o);
	(void)repeat(body, sizeof(body), ":|", STEPS);
	assert_int_equal(set_up_net(f, &(struct how_to){0}), 0);
	will((struct answer){.how = STREAM, .body = body});
	assert_int_equal(send_request(f, o), 0);
	run_until_asked(f, 1);
	assert_false(voiceflow_request_let_go(o->req));
	while (!o->done) {
		run_until_ms(f, loop_now_ms(f->net.loop) + STEP_MS);
		go();
	}
	assert_int_equal(o->err, ETIMEDOUT);
	assert_int_equal(o->done, 1);
	mem_deref(o);
}

#define AUDIO(s)                                                          \
	"event: trace\ndata: {\"type\":\"audio\",\"payload\":{\"state\":" \
	"\"content\",\"content\":\"" s "\"}}\n\n"

static void test_audio_as_it_comes(void **state)
{
	struct fixture *f = *state;

	will((struct answer){.how = STREAM,
			     .body = EVENT("Hi.") AUDIO("////") "|" AUDIO(
				     "////") "|event: end\n\n"});
	will((struct answer){.how = STREAM,
			     .body = fixture_text("stream-audio.txt")});
	start(f, (struct how_to){.query = "?stream=P1&audio=true"});
	assert_int_equal(turn(f, DIALOG_OPENING, ""), 0);
	run_until(f, &f->acts, 1);
	check_notes(f, "[play Hi.]");
	assert_int_equal(clip_len(f->clip), 3);
	assert_false(clip_is_ended(f->clip));
	go();
	while (clip_len(f->clip) < 6)
		loop_turn(f->net.loop, true);
	go();
	run_until(f, &f->done, 1);
	assert_true(clip_is_ended(f->clip));
	check_log(STREAM_ "?audio_events=true&audio_encoding=audio%2Fx-mulaw&"
			  "modality=voice&environment=production "
			  "{\"action\":{\"type\":\"launch\"},"
			  "\"variables\":" VARS "}\n");

	assert_int_equal(converse(f, DIALOG_SPEECH, "x"), 0);
	assert_int_equal(clip_len(f->clip), 160);
	for (size_t i = 0; i < 160; i++)
		assert_int_equal(clip_data(f->clip)[i], 0xff);
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = *state;

	f->stream = true;
	oom_loop(memory_body, f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_stream),          TEST(test_stream_fixtures),
		TEST(test_stream_faults),     TEST(test_stream_may_take_long),
		TEST(test_stream_given_up),   TEST(test_stream_without_end),
		TEST(test_audio_as_it_comes), TEST(test_out_of_memory),
	};

	json_set_alloc_funcs(mem_raw_malloc, mem_raw_free);
	log_set_level(LOG_LVL_ERROR);

	return cmocka_run_group_tests(tests, NULL, NULL);
}

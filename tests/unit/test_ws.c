/**
 * @file test_ws.c  Server websockets, with a raw client over real sockets
 */
#include "httpd_fixture.h"

static void test_echo_and_close_by_peer(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	f->echo = true;
	put_text(c, "g\xc3\xb3\xc3\xb0 dag");
	expect_frame(c, FIN | TEXT, "g\xc3\xb3\xc3\xb0 dag", 9);
	assert_int_equal(f->opens, 1);
	assert_int_equal(metrics_gauge_value(M_SOCKETS_UP), 1);
	put_frame(c, FIN | CLOSE, "\x0f\xa1", 2);
	expect_close(c, 4001);
	PUMP_UNTIL(c, c->eof);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->code, 4001);
	assert_int_equal(metrics_gauge_value(M_SOCKETS_UP), 0);
	client_free(c);
	teardown(f);
}

static void test_close_without_a_code(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	put_frame(c, FIN | CLOSE, "", 0);
	expect_frame(c, FIN | CLOSE, "", 0);
	PUMP_UNTIL(c, c->eof);
	assert_int_equal(f->code, WS_NO_STATUS);
	client_free(c);
	teardown(f);
}

static void test_frames_in_any_pieces(void **state)
{
	static const char msg[] = "{\"event\":\"media\"}";
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	/* byte by byte */
	c->one_by_one = true;
	put_text(c, msg);
	WAIT_FOR(f, f->texts == 1);
	assert_int_equal(f->textc, strlen(msg));
	assert_memory_equal(f->text, msg, strlen(msg));

	/* three fragments with a ping and an empty one among them */
	c->one_by_one = false;
	put_frame(c, TEXT, msg, 5);
	put_frame(c, CONT, "", 0);
	put_frame(c, FIN | PING, "hi", 2);
	put_frame(c, CONT, msg + 5, 2);
	put_frame(c, FIN | CONT, msg + 7, strlen(msg) - 7);
	WAIT_FOR(f, f->texts == 2);
	assert_int_equal(f->textc, strlen(msg));
	assert_memory_equal(f->text, msg, strlen(msg));
	expect_frame(c, FIN | PONG, "hi", 2);

	/* many in one segment */
	for (int i = 0; i < 50; i++)
		put_text(c, msg);
	WAIT_FOR(f, f->texts == 52);

	/* nothing is a message, too */
	put_frame(c, FIN | TEXT, "", 0);
	WAIT_FOR(f, f->texts == 53);
	assert_int_equal(f->textc, 0);
	assert_int_equal(f->closes, 0);
	client_free(c);
	teardown(f);
}

static void test_upgrade_and_frames_in_one_segment(void **state)
{
	struct fixture *f = setup();
	struct client *c = client(f);

	(void)state;
	put(c,
	    UPGRADE_TO("/convo") "\x81\x82\x00\x00\x00\x00hi"
				 "\x81\x83\x00\x00\x00\x00you",
	    strlen(UPGRADE_TO("/convo")) + 8 + 9);
	WAIT_FOR(f, f->texts == 2);
	assert_memory_equal(f->text, "you", 3);
	client_free(c);
	teardown(f);
}

static void test_largest_message(void **state)
{
	static char msg[WS_MESSAGE_MAX];
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	memset(msg, 'a', sizeof(msg));
	f->echo = true;
	put_frame(c, FIN | TEXT, msg, sizeof(msg));
	expect_frame(c, FIN | TEXT, msg, sizeof(msg));
	assert_int_equal(f->textc, sizeof(msg));
	client_free(c);
	teardown(f);
}

static void expect_closed(struct fixture *f, struct client *c, int code)
{
	expect_close(c, code);
	put_frame(c, FIN | CLOSE, "\x03\xe8", 2);
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(c->err, 0);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->code, code);
	assert_int_equal(f->fault, code == WS_TOO_BIG ? code : 0);
	client_free(c);
	teardown(f);
}

static void test_message_too_long(void **state)
{
	static char msg[70000];
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	memset(msg, 'a', sizeof(msg));
	put_frame(c, FIN | TEXT, msg, sizeof(msg));
	assert_int_equal(f->texts, 0);
	expect_closed(f, c, WS_TOO_BIG);
}

static void test_too_long_in_fragments(void **state)
{
	static char msg[30000];
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	memset(msg, 'a', sizeof(msg));
	put_frame(c, TEXT, msg, sizeof(msg));
	put_frame(c, CONT, msg, sizeof(msg));
	put_frame(c, FIN | CONT, msg, sizeof(msg));
	expect_closed(f, c, WS_TOO_BIG);
}

static void test_too_many_fragments(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	put_frame(c, TEXT, "", 0);
	for (int i = 0; i < 100; i++)
		put_frame(c, CONT, "", 0);
	expect_closed(f, c, WS_TOO_BIG);
}

static void test_64_fragments_are_fine(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	for (int k = 0; k < 2; k++) {
		put_frame(c, TEXT, "x", 1);
		for (int i = 0; i < WS_FRAGMENTS_MAX - 2; i++)
			put_frame(c, CONT, "", 0);
		put_frame(c, FIN | CONT, "y", 1);
	}
	WAIT_FOR(f, f->texts == 2);
	assert_memory_equal(f->text, "xy", 2);
	client_free(c);
	teardown(f);
}

static void test_not_utf8(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} casev[] = {
		{"\xff", 1},
		{"abc\xc3", 4}, /* ends in the middle */
		{"\xed\xa0\x80", 3},
		{"\xc0\xaf", 2},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(casev); i++) {
		struct fixture *f = setup();
		struct client *c = ws_client(f);

		put_frame(c, FIN | TEXT, casev[i].s, casev[i].n);
		expect_closed(f, c, WS_NOT_UTF8);
	}
}

static void test_framing_faults(void **state)
{
	static const struct {
		const char *s;
		size_t n;
	} casev[] = {
		{"\x83\x80\0\0\0\0", 6},         /* reserved opcode */
		{"\xc1\x80\0\0\0\0", 6},         /* reserved bit */
		{"\x80\x80\0\0\0\0", 6},         /* continues nothing */
		{"\x09\x80\0\0\0\0", 6},         /* fragmented ping */
		{"\x89\xfe\x01\x00\0\0\0\0", 8}, /* long ping */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(casev); i++) {
		struct fixture *f = setup();
		struct client *c = ws_client(f);

		put(c, casev[i].s, casev[i].n);
		PUMP_UNTIL(c, f->closes);
		assert_int_equal(f->texts, 0);
		client_free(c);
		teardown(f);
	}
}

static void test_binary_is_counted(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	put_frame(c, FIN | BIN, "\xff\xfe\x00", 3);
	WAIT_FOR(f, f->binaries == 1);
	assert_int_equal(f->binaryc, 3);
	put_frame(c, BIN, "\xff\xfe", 2);
	put_frame(c, FIN | CONT, "\xff\xfe", 2);
	WAIT_FOR(f, f->binaries == 2);
	assert_int_equal(f->binaryc, 4);
	put_text(c, "still here");
	WAIT_FOR(f, f->texts == 1);
	client_free(c);
	teardown(f);
}

static void test_server_closes(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);
	char buf[WS_PRE_BYTES + 2] = {0};

	(void)state;
	ws_close(f->ws, WS_GOING_AWAY, "bye");
	ws_close(f->ws, WS_POLICY, "ignored");
	assert_int_equal(ws_send_text(f->ws, buf + WS_PRE_BYTES, 2), ENOTCONN);
	/* what still comes is not delivered */
	put_text(c, "late");
	expect_frame(c, FIN | CLOSE,
		     "\x03\xe9"
		     "bye",
		     5);
	assert_int_equal(f->closes, 0);
	put_frame(c, FIN | CLOSE, "\x03\xe9", 2);
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(c->err, 0);
	assert_int_equal(c->n, 0); /* not a second close frame */
	assert_int_equal(f->texts, 0);
	assert_int_equal(f->closes, 1);
	assert_int_equal(f->code, WS_GOING_AWAY);
	client_free(c);
	teardown(f);
}

static void test_server_closes_in_its_handler(void **state)
{
	struct fixture *f = setup_with(
		(struct httpd_param){.ws_close_ms = 200});
	struct client *c = ws_client(f);

	(void)state;
	f->close_on_text = WS_POLICY;
	put_text(c, "one");
	put_text(c, "two");
	expect_close(c, WS_POLICY);
	/* never answers: the deadline ends it */
	PUMP_UNTIL(c, c->eof || c->err);
	WAIT_FOR(f, f->closes == 1);
	assert_int_equal(f->texts, 1);
	assert_int_equal(f->code, WS_POLICY);
	client_free(c);
	teardown(f);
}

/* Who does not answer our close frame but goes on may do so at the moment when
 * we give up waiting */
static void test_goes_on_when_the_close_is_overdue(void **state)
{
	enum { CLOSE_MS = 100, BUSY_MS = 1000 };
	struct fixture *f = setup_with(
		(struct httpd_param){.ws_close_ms = CLOSE_MS});
	struct client *c = ws_client(f);

	(void)state;
	ws_close(f->ws, WS_GOING_AWAY, NULL);
	put_text(c, "on and on");
	usleep(BUSY_MS * 1000); /* the loop has other things to do */
	WAIT_FOR(f, f->closes == 1);
	assert_int_equal(f->code, WS_GOING_AWAY);
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(f->texts, 0);
	client_free(c);
	teardown(f);
}

static void test_peer_vanishes(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	client_free(c);
	WAIT_FOR(f, f->closes == 1);
	assert_int_equal(f->code, WS_ABNORMAL);
	teardown(f);
}

static void test_ping_needs_no_answer(void **state)
{
	struct fixture *f = setup_with(
		(struct httpd_param){.ws_ping_ms = 100});
	struct client *c = ws_client(f);

	(void)state;
	for (int i = 0; i < 4; i++)
		expect_frame(c, FIN | PING, "", 0);
	put_text(c, "alive");
	WAIT_FOR(f, f->texts == 1);
	assert_int_equal(f->closes, 0);
	client_free(c);
	teardown(f);
}

/** Send until nothing more is taken; the number of messages that were */
static int fill(struct fixture *f, size_t len)
{
	char *buf = calloc(1, WS_PRE_BYTES + len);
	int n = 0, err;

	memset(buf + WS_PRE_BYTES, 'x', len);
	for (;; n++) {
		snprintf(buf + WS_PRE_BYTES, len, "%08d", n);
		buf[WS_PRE_BYTES + 8] = 'x';
		err = ws_send_text(f->ws, buf + WS_PRE_BYTES, len);
		if (err)
			break;
		assert_true(n < 100000);
	}
	assert_int_equal(err, EAGAIN);
	/* and again: nothing is taken */
	assert_int_equal(ws_send_text(f->ws, buf + WS_PRE_BYTES, len), EAGAIN);
	free(buf);

	return n;
}

/* No memory for the queue of a carrier that does not read is no reason to be
 * mute from then on */
static void test_no_memory_for_the_queue(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);
	int n;

	(void)state;
	mem_fail_after(0);
	n = fill(f, 8000);
	mem_fail_after(-1);
	assert_true(n > 0);
	PUMP_UNTIL(c, (c->n = f->drains ? c->n : 0, f->drains));
	f->echo = true;
	put_text(c, "go on");
	WAIT_FOR(f, f->texts == 1);
	client_free(c);
	teardown(f);
}

static void test_slow_reader_loses_nothing(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);
	char want[10000];
	size_t blocks;
	int n;

	(void)state;
	n = fill(f, sizeof(want));
	blocks = mem_blocks();
	ws_close(f->ws, WS_NORMAL, NULL); /* goes behind what is queued */
	for (int i = 0; i < n; i++) {
		memset(want, 'x', sizeof(want));
		snprintf(want, sizeof(want), "%08d", i);
		want[8] = 'x';
		expect_frame(c, FIN | TEXT, want, sizeof(want));
	}
	expect_close(c, WS_NORMAL);
	assert_true(mem_blocks() < blocks); /* the queue is gone */
	put_frame(c, FIN | CLOSE, "\x03\xe8", 2);
	PUMP_UNTIL(c, c->eof || c->err);
	assert_int_equal(f->closes, 1);
	client_free(c);
	teardown(f);
}

static void test_drained(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);
	char buf[WS_PRE_BYTES + 4] = {0};

	(void)state;
	(void)fill(f, 10000);
	assert_int_equal(f->drains, 0);
	PUMP_UNTIL(c, (c->n = f->drains ? c->n : 0, f->drains));
	assert_int_equal(f->drains, 1);
	assert_int_equal(ws_send_text(f->ws, buf + WS_PRE_BYTES, 4), 0);
	client_free(c);
	teardown(f);
}

static void test_stuck_reader_is_closed(void **state)
{
	struct fixture *f = setup_with(
		(struct httpd_param){.ws_stuck_ms = 300});
	struct client *c = ws_client(f);
	uint64_t before = metrics_counter(M_CLOSED_STUCK);

	(void)state;
	(void)fill(f, 60000);
	WAIT_FOR(f, f->closes == 1);
	assert_int_equal(f->code, WS_ABNORMAL);
	assert_int_equal(f->fault, WS_ABNORMAL);
	assert_int_equal(metrics_counter(M_CLOSED_STUCK), before + 1);
	assert_int_equal(f->drains, 0);
	client_free(c);
	teardown(f);
}

static void test_close_of_a_stuck_reader(void **state)
{
	struct fixture *f = setup_with(
		(struct httpd_param){.ws_close_ms = 200});
	struct client *c = ws_client(f);

	(void)state;
	(void)fill(f, 60000);
	ws_close(f->ws, WS_GOING_AWAY, NULL);
	WAIT_FOR(f, f->closes == 1);
	assert_int_equal(f->code, WS_GOING_AWAY);
	client_free(c);
	teardown(f);
}

static void test_shutdown_with_websockets_up(void **state)
{
	struct fixture *f = setup();
	struct client *c1 = ws_client(f), *c2 = ws_client(f);

	(void)state;
	(void)fill(f, 60000);
	assert_int_equal(f->opens, 2);
	teardown(f); /* looks at the number of closes */
	client_free(c1);
	client_free(c2);
}

static void test_too_long_to_send(void **state)
{
	static char buf[WS_PRE_BYTES + WS_MESSAGE_MAX + 1];
	struct fixture *f = setup();
	struct client *c = ws_client(f);

	(void)state;
	assert_int_equal(
		ws_send_text(f->ws, buf + WS_PRE_BYTES, WS_MESSAGE_MAX + 1),
		EMSGSIZE);
	client_free(c);
	teardown(f);
}

static void test_frames_allocate_nothing(void **state)
{
	struct fixture *f = setup();
	struct client *c = ws_client(f);
	char msg[382];

	(void)state;
	f->echo = true;
	memset(msg, 'm', sizeof(msg));
	put_frame(c, FIN | TEXT, msg, sizeof(msg));
	expect_frame(c, FIN | TEXT, msg, sizeof(msg));
	mem_fail_after(0);
	for (int i = 0; i < 100; i++) {
		put_frame(c, FIN | TEXT, msg, sizeof(msg));
		expect_frame(c, FIN | TEXT, msg, sizeof(msg));
	}
	mem_fail_after(-1);
	assert_int_equal(f->texts, 101);
	client_free(c);
	teardown(f);
}

static int setup_body(void *arg)
{
	struct fixture *f = arg;
	struct httpd_param hp = {.requesth = request_handler,
				 .upgradeh = upgrade_handler,
				 .arg = f};
	struct acceptor_param ap = {
		.host = "127.0.0.1", .pickh = pick_handler, .arg = f};
	struct acceptor *a = NULL;
	struct httpd *h = NULL;
	struct loop *l = NULL;
	int err = loop_alloc(&l);

	if (!err)
		err = httpd_alloc(&h, l, &hp);
	if (!err)
		err = acceptor_alloc(&a, l, &ap, NULL);
	mem_deref(a);
	httpd_close(h);
	mem_deref(h);
	mem_deref(l);

	return err;
}

/** A whole connection, upgrade to close, with a gathered message */
static int connection_body(void *arg)
{
	struct fixture *f = arg;
	size_t before = mem_blocks();
	struct client *c = client(f);
	int texts = f->texts;

	puts_(c, UPGRADE_TO("/convo"));
	PUMP_UNTIL(c, c->eof || c->err || strstr(c->buf, "\r\n\r\n"));
	if (str_starts(c->buf, "HTTP/1.1 101 ")) {
		put_frame(c, TEXT, "x", 1);
		put_frame(c, FIN | CONT, "y", 1);
		PUMP_UNTIL(c, c->eof || c->err || f->texts > texts ||
				      strstr(c->buf, "out of memory"));
	}
	client_free(c);
	WAIT_FOR(f, mem_blocks() == before);

	return f->texts > texts ? 0 : ENOMEM;
}

static void test_out_of_memory(void **state)
{
	struct fixture *f = setup();

	(void)state;
	oom_loop(setup_body, f);
	oom_loop(connection_body, f);
	teardown(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_echo_and_close_by_peer),
		cmocka_unit_test(test_close_without_a_code),
		cmocka_unit_test(test_frames_in_any_pieces),
		cmocka_unit_test(test_upgrade_and_frames_in_one_segment),
		cmocka_unit_test(test_largest_message),
		cmocka_unit_test(test_message_too_long),
		cmocka_unit_test(test_too_long_in_fragments),
		cmocka_unit_test(test_too_many_fragments),
		cmocka_unit_test(test_64_fragments_are_fine),
		cmocka_unit_test(test_not_utf8),
		cmocka_unit_test(test_framing_faults),
		cmocka_unit_test(test_binary_is_counted),
		cmocka_unit_test(test_server_closes),
		cmocka_unit_test(test_server_closes_in_its_handler),
		cmocka_unit_test(test_goes_on_when_the_close_is_overdue),
		cmocka_unit_test(test_peer_vanishes),
		cmocka_unit_test(test_ping_needs_no_answer),
		cmocka_unit_test(test_no_memory_for_the_queue),
		cmocka_unit_test(test_slow_reader_loses_nothing),
		cmocka_unit_test(test_drained),
		cmocka_unit_test(test_stuck_reader_is_closed),
		cmocka_unit_test(test_close_of_a_stuck_reader),
		cmocka_unit_test(test_shutdown_with_websockets_up),
		cmocka_unit_test(test_too_long_to_send),
		cmocka_unit_test(test_frames_allocate_nothing),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include <signal.h>
#include <openssl/err.h>
#include <convod/clk.h>
#include <convod/grpc.h>
#include <convod/metrics.h>
#include <convod/str.h>
#include <convod/utf8.h>
#include "../../src/net/grpc_frame.h"
#include "h2peer.h"
#include "peer.h"

/* ----------------------------------------------------------------- pure */

static const struct {
	const char *in, *out;
} textv[] = {
	{"", ""},
	{"plain", "plain"},
	{"%C3%A1 100%25", "á 100%"},
	{"%c3%a1", "á"},
	{"50% off", "50% off"},
	{"%", "%"},
	{"%4", "%4"},
	{"%zz%41", "%zzA"},
	{"%FF", "\xef\xbf\xbd"},
	{"%00x", "\xef\xbf\xbdx"},
	{"%C3", "\xef\xbf\xbd"},
	{"%ED%A0%80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
};

static void test_message_text(void **state)
{
	char buf[64], cut[4];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(textv); i++) {
		size_t n = grpc_message_decode(buf, sizeof(buf), textv[i].in,
					       strlen(textv[i].in));

		assert_string_equal(buf, textv[i].out);
		assert_int_equal(n, strlen(textv[i].out));
	}
	/* cut between characters */
	(void)grpc_message_decode(cut, sizeof(cut), "a%C3%A1%C3%A1", 13);
	assert_string_equal(cut, "aá");
}

static void test_status_numbers(void **state)
{
	(void)state;
	assert_int_equal(grpc_status_parse("0", 1), GRPC_OK);
	assert_int_equal(grpc_status_parse("14", 2), GRPC_UNAVAILABLE);
	assert_int_equal(grpc_status_parse("17", 2), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse("-1", 2), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse("", 0), GRPC_UNKNOWN);
	assert_int_equal(grpc_status_parse("100", 3), GRPC_UNKNOWN);
	assert_string_equal(grpc_status_name(14), "UNAVAILABLE");
	assert_string_equal(grpc_status_name(17), "?");
	assert_string_equal(grpc_status_name(-1), "?");
}

struct gathered {
	size_t n;
	size_t lenv[8];
	size_t stop_after;
};

static bool gather_handler(const uint8_t *p, size_t n, void *arg)
{
	struct gathered *g = arg;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], (uint8_t)i);
	g->lenv[g->n++] = n;

	return g->n != g->stop_after;
}

/* Messages of 0, 1, 700, 0 and 300 bytes, cut at every length */
static void test_framing_in_pieces(void **state)
{
	static const size_t lenv[] = {0, 1, 700, 0, 300};
	uint8_t buf[2048];
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lenv); i++) {
		grpc_frame_put_head(buf + n, lenv[i]);
		n += GRPC_HEAD;
		for (size_t k = 0; k < lenv[i]; k++)
			buf[n++] = (uint8_t)k;
	}
	for (size_t piece = 1; piece <= n; piece++) {
		struct grpc_frame f = {.headc = 0};
		struct gathered g = {0};

		for (size_t i = 0; i < n; i += piece)
			assert_int_equal(grpc_frame_feed(&f, buf + i,
							 MIN(piece, n - i),
							 gather_handler, &g),
					 0);
		assert_int_equal(g.n, ARRAY_SIZE(lenv));
		assert_memory_equal(g.lenv, lenv, sizeof(lenv));
		assert_false(grpc_frame_is_partial(&f));
		grpc_frame_reset(&f);
	}
}

static void test_framing_errors(void **state)
{
	static const uint8_t flag[] = {1, 0, 0, 0, 0};
	static const uint8_t longer[] = {0, 0, 0x40, 0, 1};
	static const uint8_t two[] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct grpc_frame f = {.headc = 0};
	struct gathered g = {.stop_after = 1};

	(void)state;
	assert_int_equal(grpc_frame_feed(&f, flag, 5, gather_handler, &g),
			 EPROTO);
	grpc_frame_reset(&f);
	assert_int_equal(grpc_frame_feed(&f, longer, 5, gather_handler, &g),
			 EOVERFLOW);
	grpc_frame_reset(&f);
	assert_int_equal(grpc_frame_feed(&f, two, 10, gather_handler, &g),
			 ECANCELED);
	assert_int_equal(g.n, 1);
}

static int frame_body(void *arg)
{
	static const uint8_t v[] = {0, 0, 0, 0, 3, 0, 1, 2};
	struct grpc_frame f = {.headc = 0};
	struct gathered g = {0};
	int err = 0;

	(void)arg;
	for (size_t i = 0; i < sizeof(v) && !err; i++)
		err = grpc_frame_feed(&f, v + i, 1, gather_handler, &g);
	grpc_frame_reset(&f);

	return err;
}

static void test_framing_out_of_memory(void **state)
{
	(void)state;
	oom_loop(frame_body, NULL);
}

/* ---------------------------------------------------------------- wire */

enum { LIMIT_MS = 60000, CALLS = 128 };

struct call {
	struct fixture *f;
	struct grpc_stream *s;
	unsigned messages, closes;
	size_t bytes;
	int status;
	char text[128];
	bool drop; /* in the message or close handler */
};

struct fixture {
	struct loop *loop;
	struct tmr *tick;
	struct h2peer *srv;
	struct grpc_channel *ch;
	struct call callv[CALLS];
};

static void tick_handler(void *arg)
{
	struct fixture *f = arg;

	tmr_start(f->tick, 1);
}

static void message_handler(const uint8_t *p, size_t n, void *arg)
{
	struct call *c = arg;

	assert_int_equal(c->closes, 0);
	++c->messages;
	c->bytes += n;
	if (c->drop)
		c->s = mem_deref(c->s);
	for (size_t i = 0; i < n; i++) /* still there */
		assert_int_equal(p[i], 'x');
}

static void close_handler(int status, const char *message, void *arg)
{
	struct call *c = arg;

	++c->closes;
	c->status = status;
	str_copy(c->text, sizeof(c->text), message);
	if (c->drop)
		c->s = mem_deref(c->s);
}

static void setup(struct fixture *f)
{
	*f = (struct fixture){0};
	assert_int_equal(loop_alloc(&f->loop), 0);
	assert_int_equal(tmr_alloc(&f->tick, f->loop, tick_handler, f), 0);
	tick_handler(f);
	f->srv = mem_zalloc(sizeof(*f->srv), NULL);
	assert_non_null(f->srv);
	h2_start(f->srv);
	assert_int_equal(grpc_channel_alloc(&f->ch, f->loop, "127.0.0.1",
					    f->srv->port, false, NULL),
			 0);
}

static void teardown(struct fixture *f)
{
	for (size_t i = 0; i < CALLS; i++)
		mem_deref(f->callv[i].s);
	mem_deref(f->ch);
	h2_stop(f->srv);
	mem_deref(f->srv);
	mem_deref(f->tick);
	mem_deref(f->loop);
}

#define RUN_UNTIL(f, cond)                                    \
	do {                                                  \
		uint64_t limit_ms = clk_now_ms() + LIMIT_MS;  \
		while (!(cond)) {                             \
			assert_true(clk_now_ms() < limit_ms); \
			h2_serve((f)->srv);                   \
			loop_turn((f)->loop, true);           \
		}                                             \
	} while (0)

static struct call *call(struct fixture *f, int i)
{
	static const char *const metadata[] = {"X-Meta: some thing", NULL};
	struct call *c = &f->callv[i];

	c->f = f;
	assert_int_equal(grpc_stream_open(&c->s, f->ch, "/p.S/M", metadata,
					  message_handler, close_handler, c),
			 0);

	return c;
}

/* Call and wait until the server has it as its i-th stream */
static struct call *call_up(struct fixture *f, int i)
{
	struct call *c = call(f, i);

	RUN_UNTIL(f, f->srv->streamc > i);

	return c;
}

static void send_bytes(struct call *c, size_t n)
{
	uint8_t *p = grpc_stream_message(c->s, n);

	assert_non_null(p);
	memset(p, 'x', n);
}

static void test_request_and_answer(void **state)
{
	static const char msgs[] = "\0\0\0\0\1x\0\0\0\0\0\0\0\0\0\2xx";
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	c = call(&f, 0);
	send_bytes(c, 10); /* before there is a connection */
	RUN_UNTIL(&f, f.srv->streamc && f.srv->streamv[0].bytes == 15);
	assert_string_equal(f.srv->streamv[0].path, "/p.S/M");
	assert_string_equal(f.srv->streamv[0].te, "trailers");
	assert_string_equal(f.srv->streamv[0].type, "application/grpc");
	assert_string_equal(f.srv->streamv[0].meta, "some thing");
	assert_int_equal(grpc_stream_backlog(c->s), 0);

	h2_ok(f.srv, 0);
	h2_data(f.srv, 0, msgs, sizeof(msgs) - 1, false);
	RUN_UNTIL(&f, c->messages == 3);
	assert_int_equal(c->bytes, 3);

	grpc_stream_finish(c->s);
	assert_null(grpc_stream_message(c->s, 1));
	RUN_UNTIL(&f, f.srv->streamv[0].ended);
	h2_headers(f.srv, 0, NULL, NULL, "0", NULL, true);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_OK);
	assert_string_equal(c->text, "");
	assert_false(f.srv->streamv[0].reset);
	teardown(&f);
}

/* Every frame of the server in pieces of one byte, messages across frames */
static void test_one_byte_pieces(void **state)
{
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	f.srv->trickle = true;
	c = call_up(&f, 0);
	h2_ok(f.srv, 0);
	h2_data(f.srv, 0, "\0\0", 2, false);
	RUN_UNTIL(&f, !f.srv->datac);
	h2_data(f.srv, 0, "\0\0\3x", 4, false);
	RUN_UNTIL(&f, !f.srv->datac);
	h2_data(f.srv, 0, "xx\0\0\0\0\0", 7, false);
	RUN_UNTIL(&f, c->messages == 2);
	assert_int_equal(c->bytes, 3);
	h2_headers(f.srv, 0, NULL, NULL, "3", "%C3%A1 100%25", true);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_INVALID_ARGUMENT);
	assert_string_equal(c->text, "á 100%");
	teardown(&f);
}

static const struct {
	const char *status, *type, *grpc, *message;
	bool end;
	int want;
	const char *text;
} answerv[] = {
	{"200", "application/grpc", "0", NULL, true, 0, ""},
	{"200", "application/grpc+proto", "3", "no", true, 3, "no"},
	{"200", "application/grpc", "12", "", true, 12, ""},
	{"200", "application/grpc", "99", NULL, true, 2, ""},
	{"200", "application/grpc", NULL, NULL, true, 2,
	 "no grpc-status, HTTP status 200"},
	{"503", "text/html", NULL, NULL, true, 14,
	 "no grpc-status, HTTP status 503"},
	{"404", "text/html", NULL, NULL, false, 12, "HTTP status 404"},
	{"401", NULL, NULL, NULL, false, 16, "HTTP status 401"},
	{"403", NULL, NULL, NULL, false, 7, "HTTP status 403"},
	{"400", NULL, NULL, NULL, false, 13, "HTTP status 400"},
	{"502", NULL, NULL, NULL, false, 14, "HTTP status 502"},
	{"200", "text/html", NULL, NULL, false, 2,
	 "answer is not gRPC (content-type)"},
	{"200", NULL, NULL, NULL, false, 2,
	 "answer is not gRPC (content-type)"},
};

static void test_answers_without_messages(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(answerv); i++) {
		struct call *c = call_up(&f, (int)i);

		h2_headers(f.srv, (int)i, answerv[i].status, answerv[i].type,
			   answerv[i].grpc, answerv[i].message,
			   answerv[i].end);
		RUN_UNTIL(&f, c->closes);
		assert_int_equal(c->status, answerv[i].want);
		assert_string_equal(c->text, answerv[i].text);
		/* the client has not half-closed: it tells the server */
		RUN_UNTIL(&f, f.srv->streamv[i].reset);
	}
	assert_int_equal(f.srv->connc, 1);
	teardown(&f);
}

static const struct {
	uint32_t code;
	int status;
} rstv[] = {
	{NGHTTP2_NO_ERROR, GRPC_INTERNAL},
	{NGHTTP2_INTERNAL_ERROR, GRPC_INTERNAL},
	{NGHTTP2_REFUSED_STREAM, GRPC_UNAVAILABLE},
	{NGHTTP2_CANCEL, GRPC_CANCELLED},
	{NGHTTP2_ENHANCE_YOUR_CALM, GRPC_RESOURCE_EXHAUSTED},
	{NGHTTP2_INADEQUATE_SECURITY, GRPC_PERMISSION_DENIED},
};

static void test_resets(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(rstv); i++) {
		struct call *c = call_up(&f, (int)i);

		h2_rst(f.srv, (int)i, rstv[i].code);
		RUN_UNTIL(&f, c->closes);
		assert_int_equal(c->status, rstv[i].status);
	}
	teardown(&f);
}

/* Trailers while the client still sends, then RST_STREAM NO_ERROR */
static void test_early_trailers(void **state)
{
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	c = call_up(&f, 0);
	h2_ok(f.srv, 0);
	h2_headers(f.srv, 0, NULL, NULL, "0", NULL, true);
	h2_rst(f.srv, 0, NGHTTP2_NO_ERROR);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_OK);
	assert_null(grpc_stream_message(c->s, 1));
	call_up(&f, 1); /* the connection lives */
	assert_int_equal(f.srv->connc, 1);
	assert_int_equal(c->closes, 1);
	teardown(&f);
}

static const struct {
	const char *bytes;
	size_t n;
	int status;
} badv[] = {
	{"\1\0\0\0\1x", 6, GRPC_INTERNAL},
	{"\0\0\x40\0\1x", 6, GRPC_RESOURCE_EXHAUSTED},
	{"\0\0\0\0\2x", 6, GRPC_INTERNAL}, /* cut short by OK */
};

static void test_bad_messages(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(badv); i++) {
		struct call *c = call_up(&f, (int)i);

		h2_ok(f.srv, (int)i);
		h2_data(f.srv, (int)i, badv[i].bytes, badv[i].n, false);
		RUN_UNTIL(&f, !f.srv->datac);
		h2_headers(f.srv, (int)i, NULL, NULL, "0", NULL, true);
		RUN_UNTIL(&f, c->closes);
		assert_int_equal(c->status, badv[i].status);
		assert_int_equal(c->messages, 0);
	}
	teardown(&f);
}

static unsigned closed_with(const struct fixture *f, int status)
{
	unsigned n = 0;

	for (size_t i = 0; i < CALLS; i++)
		n += f->callv[i].closes && f->callv[i].status == status;

	return n;
}

static void test_one_stream_a_connection(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	f.srv->max_streams = 1;
	for (int i = 0; i < 6; i++)
		(void)call(&f, i);
	RUN_UNTIL(&f, f.srv->streamc == 6);
	assert_true(f.srv->connc >= 6);
	for (int i = 0; i < 6; i++) {
		for (int k = 0; k < i; k++)
			assert_int_not_equal(f.srv->streamv[i].conn,
					     f.srv->streamv[k].conn);
	}
	assert_int_equal(closed_with(&f, GRPC_UNAVAILABLE), 0);
	teardown(&f);
}

static void test_many_streams_share_connections(void **state)
{
	struct fixture f;
	int n = GRPC_STREAMS_MAX + 10;

	(void)state;
	setup(&f);
	for (int i = 0; i < n; i++)
		(void)call(&f, i);
	RUN_UNTIL(&f, f.srv->streamc == n);
	assert_int_equal(f.srv->connc, 2);
	teardown(&f);
}

/* Two steps: running streams go on, one above the last id fails, a new one
 * gets a new connection */
static void test_goaway(void **state)
{
	nghttp2_session *h2;
	struct fixture f;
	struct call *a, *b;

	(void)state;
	setup(&f);
	a = call_up(&f, 0);
	b = call_up(&f, 1);
	h2 = f.srv->connv[0].h2;
	assert_int_equal(nghttp2_submit_shutdown_notice(h2), 0);
	h2_serve(f.srv);
	assert_int_equal(
		nghttp2_submit_goaway(h2, 0, f.srv->streamv[0].id, 0, NULL, 0),
		0);
	RUN_UNTIL(&f, b->closes);
	assert_int_equal(b->status, GRPC_UNAVAILABLE);

	(void)call_up(&f, 2);
	assert_int_equal(f.srv->connc, 2);
	assert_int_equal(f.srv->streamv[2].conn, 1);

	h2_ok(f.srv, 0);
	h2_data(f.srv, 0, "\0\0\0\0\0", 5, false);
	RUN_UNTIL(&f, a->messages == 1);
	h2_headers(f.srv, 0, NULL, NULL, "0", NULL, true);
	RUN_UNTIL(&f, a->closes);
	assert_int_equal(a->status, GRPC_OK);
	RUN_UNTIL(&f, f.srv->connv[0].fd < 0); /* and it is closed */
	teardown(&f);
}

static void test_goaway_storm(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	for (int i = 0; i < 20; i++) {
		struct call *c = call_up(&f, i);
		nghttp2_session *h2 = h2_of(f.srv, i);

		for (int k = 0; k < 5; k++)
			(void)nghttp2_submit_goaway(h2, 0, 0, 0, NULL, 0);
		RUN_UNTIL(&f, c->closes);
		assert_int_equal(c->status, GRPC_UNAVAILABLE);
	}
	assert_int_equal(f.srv->connc, 20);
	teardown(&f);
}

static void test_stalled_window_bounds_the_backlog(void **state)
{
	struct fixture f;
	struct call *c;
	size_t sent = 0;
	uint8_t *p;

	(void)state;
	setup(&f);
	f.srv->stalled = true;
	c = call_up(&f, 0);
	while ((p = grpc_stream_message(c->s, 3200))) {
		memset(p, 'x', 3200);
		sent += 3205;
		assert_true(sent < 1 << 20);
		h2_serve(f.srv);
		loop_turn(f.loop, true);
	}
	assert_true(grpc_stream_backlog(c->s) <= GRPC_BACKLOG_MAX);
	assert_true(grpc_stream_backlog(c->s) > GRPC_BACKLOG_MAX - 4096);
	assert_int_equal(f.srv->streamv[0].bytes,
			 sent - grpc_stream_backlog(c->s));
	assert_int_equal(c->closes, 0);
	teardown(&f);
}

static void test_sending_allocates_nothing_once_warm(void **state)
{
	struct fixture f;
	struct call *c;
	size_t sent = 0;

	(void)state;
	setup(&f);
	c = call_up(&f, 0);
	for (int i = 0; i < 200; i++) {
		sent += 3205;
		mem_fail_after(i < 100 ? -1 : 0);
		send_bytes(c, 3200);
		loop_turn(f.loop, true); /* the flush */
		mem_fail_after(-1);
		assert_int_equal(grpc_stream_backlog(c->s), 0);
		RUN_UNTIL(&f, f.srv->streamv[0].bytes == sent);
	}
	teardown(&f);
}

static void test_connection_lost(void **state)
{
	struct fixture f;

	(void)state;
	setup(&f);
	(void)call_up(&f, 0);
	(void)call_up(&f, 1);
	h2_conn_close(&f.srv->connv[0]);
	RUN_UNTIL(&f, closed_with(&f, GRPC_UNAVAILABLE) == 2);
	(void)call_up(&f, 2); /* on a new one */
	teardown(&f);
}

static void test_nobody_listens(void **state)
{
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	f.ch = mem_deref(f.ch);
	assert_int_equal(
		grpc_channel_alloc(&f.ch, f.loop, "127.0.0.1", 1, false, NULL),
		0);
	c = call(&f, 0);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_UNAVAILABLE);
	assert_string_equal(c->text, "Connection refused");
	teardown(&f);
}

static void test_not_http2(void **state)
{
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	f.srv->greeting = "HTTP/1.1 400 Bad Request\r\n\r\nso much for that";
	c = call(&f, 0);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_UNAVAILABLE);
	teardown(&f);
}

static void test_silent_server_times_out(void **state)
{
	struct fixture f;
	struct call *c;
	uint64_t start;

	(void)state;
	setup(&f);
	f.srv->silent = true;
	start = clk_now_ms();
	c = call(&f, 0);
	RUN_UNTIL(&f, c->closes);
	assert_int_equal(c->status, GRPC_UNAVAILABLE);
	assert_true(clk_now_ms() - start >= GRPC_CONNECT_MS - 100);
	teardown(&f);
}

static void test_dropped_streams_are_cancelled(void **state)
{
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	c = call_up(&f, 0);
	send_bytes(c, 100);
	c->s = mem_deref(c->s);
	RUN_UNTIL(&f, f.srv->streamv[0].reset);
	assert_int_equal(f.srv->streamv[0].code, NGHTTP2_CANCEL);

	/* before it is on any connection */
	c = call(&f, 1);
	c->s = mem_deref(c->s);
	(void)call_up(&f, 1);
	teardown(&f);
}

static void test_dropped_in_handlers(void **state)
{
	static const char two[] = "\0\0\0\0\1x\0\0\0\0\1x";
	struct fixture f;
	struct call *c;

	(void)state;
	setup(&f);
	c = call_up(&f, 0);
	c->drop = true;
	h2_ok(f.srv, 0);
	h2_data(f.srv, 0, two, sizeof(two) - 1, false);
	RUN_UNTIL(&f, f.srv->streamv[0].reset);
	assert_int_equal(c->messages, 1);
	assert_int_equal(c->closes, 0);

	/* the last stream, and the channel with it */
	c = call_up(&f, 1);
	c->drop = true;
	f.ch = mem_deref(f.ch);
	h2_headers(f.srv, 1, "200", "application/grpc", "0", NULL, true);
	RUN_UNTIL(&f, c->closes);
	assert_null(c->s);
	RUN_UNTIL(&f, f.srv->connv[0].fd < 0);
	teardown(&f);
}

static void test_bad_arguments(void **state)
{
	static const char *const bad[] = {"no colon", NULL};
	struct grpc_channel *ch = NULL;
	struct fixture f;

	(void)state;
	setup(&f);
	assert_int_equal(grpc_channel_alloc(&ch, f.loop, "", 1, false, NULL),
			 EINVAL);
	assert_int_equal(grpc_channel_alloc(&ch, f.loop, "h", 0, false, NULL),
			 EINVAL);
	assert_int_equal(
		grpc_channel_alloc(&ch, f.loop, "h", 1, true, "/nowhere"),
		EINVAL);
	assert_int_equal(grpc_stream_open(&f.callv[0].s, f.ch, "/p", bad,
					  message_handler, close_handler, &f),
			 EINVAL);
	assert_null(f.callv[0].s);
	teardown(&f);
}

/* A whole exchange with memory for n blocks: either it works, or the stream
 * cannot be opened or ends as broken; nothing leaks, nothing crashes */
static int exchange(struct fixture *f)
{
	struct call *c = &f->callv[0];
	uint8_t *p = NULL;
	int err = grpc_stream_open(&c->s, f->ch, "/p.S/M", NULL,
				   message_handler, close_handler, c);

	if (!err) {
		p = grpc_stream_message(c->s, 4);
		err = p ? 0 : ENOMEM;
	}
	if (p)
		memset(p, 'x', 4);
	if (!err) {
		grpc_stream_finish(c->s);
		RUN_UNTIL(f, c->closes || f->srv->streamc);
	}
	if (!err && !c->closes) {
		RUN_UNTIL(f, c->closes || f->srv->streamv[0].ended);
		if (!c->closes)
			h2_headers(f->srv, 0, "200", "application/grpc", "0",
				   "fine", true);
		RUN_UNTIL(f, c->closes);
	}
	if (!err && c->status != GRPC_OK)
		err = ENOMEM;

	return err;
}

static void test_out_of_memory(void **state)
{
	size_t before = mem_blocks();
	int err = ENOMEM;

	(void)state;
	for (long n = 0; err; n++) {
		struct fixture f;

		setup(&f);
		mem_fail_after(n);
		err = exchange(&f);
		mem_fail_after(-1);
		teardown(&f);
		assert_int_equal(before, mem_blocks());
		assert_true(!err || err == ENOMEM);
		assert_true(n < 1000);
	}
}

/* ----------------------------------------------------------------- TLS */

static const struct {
	const char *host, *ca;
	int status;
	const char *text;
} tlsv[] = {
	{"localhost", DATA_DIR "/tls/grpc-ca.pem", GRPC_UNIMPLEMENTED, NULL},
	{"127.0.0.1", DATA_DIR "/tls/grpc-ca.pem", GRPC_UNAVAILABLE,
	 "TLS: IP address mismatch"},
	{"localhost.localdomain", DATA_DIR "/tls/grpc-ca.pem",
	 GRPC_UNAVAILABLE, NULL},
	{"localhost", NULL, GRPC_UNAVAILABLE,
	 "TLS: unable to get local issuer certificate"},
};

/* The peer is gRPC's own server; it does not know the method */
static void test_tls(void **state)
{
	static const char *const argv[] = {
		"--tls", DATA_DIR "/tls/grpc-localhost.pem",
		DATA_DIR "/tls/grpc-localhost-key.pem", NULL};
	struct peer peer;
	struct fixture f;

	(void)state;
	peer_start(&peer, "axy_server.py", argv);
	setup(&f);
	for (size_t i = 0; i < ARRAY_SIZE(tlsv); i++) {
		struct call *c;

		f.ch = mem_deref(f.ch);
		assert_int_equal(grpc_channel_alloc(&f.ch, f.loop,
						    tlsv[i].host, peer.port,
						    true, tlsv[i].ca),
				 0);
		/* its clock stood while the certificates were read */
		loop_turn(f.loop, false);
		/* what somebody else's TLS left behind on this thread */
		ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
		c = call(&f, (int)i);
		while (!c->closes) {
			loop_turn(f.loop, true);
			ERR_raise(ERR_LIB_SSL, ERR_R_INTERNAL_ERROR);
		}
		ERR_clear_error();
		assert_int_equal(c->status, tlsv[i].status);
		/* a call that ends leaves its connection up */
		assert_int_equal(metrics_gauge_value(M_ASR_CONNECTIONS),
				 tlsv[i].status == GRPC_UNIMPLEMENTED);
		if (tlsv[i].text)
			assert_string_equal(c->text, tlsv[i].text);
		c->s = mem_deref(c->s);
	}
	peer_stop(&peer);
	teardown(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_text),
		cmocka_unit_test(test_status_numbers),
		cmocka_unit_test(test_framing_in_pieces),
		cmocka_unit_test(test_framing_errors),
		cmocka_unit_test(test_framing_out_of_memory),
		cmocka_unit_test(test_request_and_answer),
		cmocka_unit_test(test_one_byte_pieces),
		cmocka_unit_test(test_answers_without_messages),
		cmocka_unit_test(test_resets),
		cmocka_unit_test(test_early_trailers),
		cmocka_unit_test(test_bad_messages),
		cmocka_unit_test(test_one_stream_a_connection),
		cmocka_unit_test(test_many_streams_share_connections),
		cmocka_unit_test(test_goaway),
		cmocka_unit_test(test_goaway_storm),
		cmocka_unit_test(test_stalled_window_bounds_the_backlog),
		cmocka_unit_test(test_sending_allocates_nothing_once_warm),
		cmocka_unit_test(test_connection_lost),
		cmocka_unit_test(test_nobody_listens),
		cmocka_unit_test(test_not_http2),
		cmocka_unit_test(test_silent_server_times_out),
		cmocka_unit_test(test_dropped_streams_are_cancelled),
		cmocka_unit_test(test_dropped_in_handlers),
		cmocka_unit_test(test_bad_arguments),
		cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

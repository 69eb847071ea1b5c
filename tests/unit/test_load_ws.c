#include "load_ws.h"
#include "test.h"

static void test_frames(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		int err;
		size_t len, size;
	} rowv[] = {
		{"\x81\x02hi", 4, 0, 2, 4},
		{"\x81\x02hi more", 9, 0, 2, 4},
		{"\x88\x00", 2, 0, 0, 2},
		{"\x81\x7e\x00\x02hi", 6, 0, 2, 6},
		{"\x81\x7f\0\0\0\0\0\0\0\x01h", 11, 0, 1, 11},
		{"", 0, EAGAIN, 0, 0},
		{"\x81", 1, EAGAIN, 0, 0},
		{"\x81\x02h", 3, EAGAIN, 0, 0},
		{"\x81\x7e\x00", 3, EAGAIN, 0, 0},
		{"\x81\x82hi", 4, EBADMSG, 0, 0},
		{"\x01\x02hi", 4, EBADMSG, 0, 0},
		{"\xc1\x02hi", 4, EBADMSG, 0, 0},
		{"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff", 10, EOVERFLOW, 0,
		 0},
	};
	struct load_frame f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		assert_int_equal(
			load_frame_parse(&f, (const uint8_t *)rowv[i].bytes,
					 rowv[i].n),
			rowv[i].err);
		if (rowv[i].err)
			continue;
		assert_int_equal(f.n, rowv[i].len);
		assert_int_equal(f.size, rowv[i].size);
	}
}

static void test_mask_and_head(void **state)
{
	static const uint8_t mask[4] = {1, 2, 3, 4};
	uint8_t head[LOAD_FRAME_HEAD_MAX], p[21];

	(void)state;
	memset(p, 0, sizeof(p));
	load_mask(p, sizeof(p), mask);
	for (size_t i = 0; i < sizeof(p); i++)
		assert_int_equal(p[i], mask[i & 3]);

	assert_int_equal(load_frame_head(head, 1, 125, mask), 6);
	assert_memory_equal(head, "\x81\xfd\1\2\3\4", 6);
	assert_int_equal(load_frame_head(head, 1, 382, mask), 8);
	assert_memory_equal(head, "\x81\xfe\x01\x7e\1\2\3\4", 8);
	assert_int_equal(load_frame_head(head, 8, 65536, mask), 14);
	assert_memory_equal(head, "\x88\xff\0\0\0\0\0\1\0\0\1\2\3\4", 14);
}

static void test_messages(void **state)
{
	static const struct {
		const char *msg;
		enum load_event event;
		size_t samples;
		const char *name;
	} rowv[] = {
		{"{\"event\":\"clear\"}", LOAD_CLEAR, 0, NULL},
		{"{\"event\" : \"media\",\"media\":{\"payload\":\"/////w==\""
		 "}}",
		 LOAD_MEDIA, 4, NULL},
		{"{\"media\":{\"payload\":\"\"},\"event\":\"media\"}",
		 LOAD_MEDIA, 0, NULL},
		{"{\"media\":{\"payload\":\"====\"},\"event\":\"media\"}",
		 LOAD_MEDIA, 0, NULL},
		{"{\"event\":\"mark\",\"mark\":{\"name\":\"a\\\"b\"}}",
		 LOAD_MARK, 0, "a\\\"b"},
		{"{\"event\":\"mark\"}", LOAD_OTHER, 0, NULL},
		{"{\"event\":\"mark\",\"name\":\"x\\", LOAD_OTHER, 0, NULL},
		{"{\"event\":\"media\"}", LOAD_OTHER, 0, NULL},
		{"{\"event\":7}", LOAD_OTHER, 0, NULL},
		{"{\"event\":\"stop\"}", LOAD_OTHER, 0, NULL},
		{"{\"event\"", LOAD_OTHER, 0, NULL},
		{"", LOAD_OTHER, 0, NULL},
	};
	struct load_msg m;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rowv); i++) {
		load_msg_scan(&m, rowv[i].msg, strlen(rowv[i].msg));
		assert_int_equal(m.event, rowv[i].event);
		assert_int_equal(m.samples, rowv[i].samples);
		if (!rowv[i].name)
			continue;
		assert_int_equal(m.namec, strlen(rowv[i].name));
		assert_memory_equal(m.name, rowv[i].name, m.namec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_mask_and_head),
		cmocka_unit_test(test_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

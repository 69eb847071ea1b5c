/* The audio of an utterance: what can't be heard is refused */
#include "../../src/server/convo.h"
#include "test.h"

/* A clip of the dialog manager's that was over before its turn came: nobody
 * tells its watchers any more */
static void test_clip_that_came_to_nothing(void **state)
{
	static const struct {
		int end;
		int want;
	} tests[] = {{0, ENODATA}, {EREMOTEIO, EREMOTEIO}};
	struct convo cv = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		struct call_sound s = {.text = "what it says"};

		assert_int_equal(clip_alloc(&s.clip, 8000), 0);
		clip_end(s.clip, tests[i].end);
		assert_int_equal(speech_play_op(1, &s, &cv), tests[i].want);
		assert_null(cv.speechl.head);
		mem_deref(s.clip);
	}
	assert_int_equal(mem_blocks(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clip_that_came_to_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

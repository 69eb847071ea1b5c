/**
 * @file fuzz_acts.c  What a webhook answers, from its bytes to acts
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <convod/str.h>
#include "../../src/dialog/acts.h"
#include "../../src/dialog/values.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *s)
{
	if (s && !utf8_is_valid(s, strlen(s)))
		abort();
}

static bool act_handler(const struct dialog_act *act, const char *odd,
			void *arg)
{
	(void)arg;
	if (!act != (odd != NULL))
		abort();
	if (!act)
		return true;

	check(act->text);
	check(act->name);
	check(act->finish);
	if (act->type == DIALOG_SAY && !str_isset(act->text))
		abort();
	if (act->type == DIALOG_PLAY && !str_isset(act->url))
		abort();
	if (act->digits > DIALOG_DIGITS_MAX)
		abort();

	return true;
}

static int value_handler(const json_t *value, void *arg)
{
	const struct acts_param prm = {
		.base = "http://bot.example/a",
		.origin = "http://bot.example:80",
		.h = act_handler,
		.arg = arg,
	};

	return acts_parse(value, &prm);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t step = size ? 1 + data[0] % 64 : 1;
	struct values v = {0};
	int err = 0;

	for (size_t i = 0; i < size && !err; i += step)
		err = values_push(&v, data + i, MIN(step, size - i), 65536,
				  value_handler, NULL);
	if (!err)
		err = values_end(&v, value_handler, NULL);
	if (err == ECANCELED)
		abort();
	values_reset(&v);

	return 0;
}

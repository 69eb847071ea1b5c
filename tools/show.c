/**
 * @file show.c  Draws a call: lines, a live meter on a terminal, or JSON
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <convod/str.h>
#include "show.h"

enum { METER = 16, METER_MIN_DB = -60 };

/* Takes the reference */
static void put_json(json_t *obj)
{
	if (!obj)
		return;

	(void)json_dumpf(obj, stdout, JSON_COMPACT);
	putchar('\n');
	(void)fflush(stdout);
	json_decref(obj);
}

static json_t *event(const char *name, uint64_t at_ms)
{
	return json_pack("{s:s, s:I}", "event", name, "ms", (json_int_t)at_ms);
}

/* Text from outside may be anything; json_string() would refuse it */
static void set_text(json_t *obj, const char *key, const char *text)
{
	if (!obj || !text)
		return;

	(void)json_object_set_new(obj, key,
				  utf8_is_valid(text, strlen(text))
					  ? json_string(text)
					  : json_string("?"));
}

static void set_int(json_t *obj, const char *key, uint64_t v)
{
	if (obj)
		(void)json_object_set_new(obj, key,
					  json_integer((json_int_t)v));
}

static void begin_line(struct show *s, uint64_t at_ms, const char *who)
{
	if (s->drawn)
		fputs("\r\033[K", stdout);
	s->drawn = false;
	printf("%8.2f  %-7s ", (double)at_ms / 1000, who);
}

static void end_line(void)
{
	putchar('\n');
	(void)fflush(stdout);
}

static double seconds(uint32_t ms)
{
	return (double)ms / 1000;
}

void show_note(struct show *s, uint64_t at_ms, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	if (s->json) {
		json_t *obj = event("note", at_ms);

		set_text(obj, "text", text);
		put_json(obj);
	} else if (!s->quiet) {
		begin_line(s, at_ms, "");
		fputs(text, stdout);
		end_line();
	}
}

/* --------------------------------------------------- the caller's events */

static const char *const namev[] = {
	[CALLER_SAYS] = "say",
	[CALLER_SAID] = "said",
	[CALLER_PRESSES] = "press",
	[CALLER_BOT_SPEAKS] = "bot-speaks",
	[CALLER_BOT_QUIET] = "bot-quiet",
	[CALLER_UNANSWERED] = "unanswered",
	[CALLER_EXPECTED] = "expect",
	[CALLER_LEFT_OUT] = "left-out",
	[CALLER_HANGS_UP] = "hangup",
};

static void event_json(const struct caller_event *ev)
{
	json_t *obj = event(namev[ev->type], ev->at_ms);
	char digit[2] = {ev->digit, '\0'};

	set_text(obj, "name", ev->name);
	set_text(obj, "text", ev->text);
	if (ev->line)
		set_int(obj, "line", ev->line);

	switch (ev->type) {
	case CALLER_PRESSES:
		set_text(obj, "digit", digit);
		break;
	case CALLER_SAYS:
	case CALLER_BOT_QUIET:
		set_int(obj, "length_ms", ev->ms);
		break;
	case CALLER_BOT_SPEAKS:
		set_int(obj, "wait_ms", ev->ms);
		if (obj)
			(void)json_object_set_new(obj, "answer",
						  json_boolean(ev->answer));
		break;
	case CALLER_EXPECTED:
		if (obj)
			(void)json_object_set_new(obj, "ok",
						  json_boolean(ev->ok));
		break;
	default:
		break;
	}
	put_json(obj);
}

static void event_says(const struct caller_event *ev)
{
	if (str_isset(ev->text))
		printf("\"%s\"  (%s, %.2f s)", ev->text, ev->name,
		       seconds(ev->ms));
	else
		printf("%s  (%.2f s)", ev->name, seconds(ev->ms));
}

void show_event(struct show *s, const struct caller_event *ev)
{
	bool bot = ev->type == CALLER_BOT_SPEAKS ||
		   ev->type == CALLER_BOT_QUIET;

	if (s->json) {
		event_json(ev);
		return;
	}
	/* its beginning and length are enough */
	if (s->quiet || ev->type == CALLER_SAID)
		return;

	begin_line(s, ev->at_ms, bot ? "bot" : "caller");
	switch (ev->type) {
	case CALLER_SAYS:
		event_says(ev);
		break;
	case CALLER_PRESSES:
		printf("presses %c", ev->digit);
		break;
	case CALLER_BOT_SPEAKS:
		printf(ev->answer ? "answers after %.2f s"
				  : "speaks after %.2f s",
		       seconds(ev->ms));
		break;
	case CALLER_BOT_QUIET:
		printf("spoke for %.2f s", seconds(ev->ms));
		break;
	case CALLER_UNANSWERED:
		printf("got no answer to %s", ev->name);
		break;
	case CALLER_EXPECTED:
		printf("%s %s", ev->name, ev->ok ? "as expected" : "FAILED");
		if (ev->line)
			printf(", line %u", ev->line);
		if (ev->text)
			printf(": %s", ev->text);
		break;
	case CALLER_LEFT_OUT:
		printf("left out, the bot has hung up: %s", ev->name);
		if (ev->text)
			printf(" %s", ev->text);
		break;
	default:
		fputs("hangs up", stdout);
		break;
	}
	end_line();
}

/* --------------------------------------------------------- the phone's */

void show_mark(struct show *s, uint64_t at_ms, const char *name, bool played)
{
	json_t *obj;

	if (!s->json)
		return;

	obj = event("mark", at_ms);
	set_text(obj, "name", name);
	if (obj)
		(void)json_object_set_new(obj, "played", json_boolean(played));
	put_json(obj);
}

void show_clear(struct show *s, uint64_t at_ms, uint32_t dropped_ms)
{
	if (s->json) {
		json_t *obj = event("clear", at_ms);

		set_int(obj, "dropped_ms", dropped_ms);
		put_json(obj);
	} else if (!s->quiet) {
		begin_line(s, at_ms, "bot");
		printf("clears %.2f s of its speech", seconds(dropped_ms));
		end_line();
	}
}

void show_fault(struct show *s, uint64_t at_ms, enum phone_rule rule,
		const char *detail)
{
	if (s->json) {
		json_t *obj = event("fault", at_ms);

		set_text(obj, "rule", phone_rule_name(rule));
		set_text(obj, "detail", detail);
		put_json(obj);
	} else {
		begin_line(s, at_ms, "RULE");
		printf("%s: %.200s", phone_rule_help(rule), detail);
		end_line();
	}
}

static void meter(int db)
{
	int n = (db - METER_MIN_DB) * METER / -METER_MIN_DB;

	for (int i = 0; i < METER; i++)
		fputs(i < n ? "\u2588" : "\u2591", stdout);
}

void show_levels(struct show *s, uint64_t at_ms, const struct caller *c,
		 const struct phone *p)
{
	if (!s->live || s->json || s->quiet)
		return;

	printf("\r%8.1f  caller ", (double)at_ms / 1000);
	meter(caller_level(c));
	fputs("  bot ", stdout);
	meter(caller_bot_level(c));
	printf(" %5.1f s ahead\033[K", seconds(phone_buffered_ms(p)));
	(void)fflush(stdout);
	s->drawn = true;
}

static void summary_json(const struct caller_stats *cs, const struct phone *p,
			 const struct show_end *end)
{
	const struct phone_stats *ps = phone_stats(p);
	json_t *faults = json_object();
	json_t *obj = json_pack(
		"{s:s, s:I, s:i, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i,"
		" s:i, s:i, s:I, s:I, s:I, s:I, s:I}",
		"event", "summary", "ms", (json_int_t)end->at_ms, "exit",
		end->exit_code, "ended_by", end->by, "close_code", end->code,
		"said", (int)cs->said, "answers", (int)cs->answers,
		"unanswered", (int)cs->unanswered, "wait_p50_ms",
		(int)cs->wait_p50_ms, "wait_max_ms", (int)cs->wait_max_ms,
		"expected", (int)cs->expected, "failed", (int)cs->failed,
		"bot_ms", (int)cs->bot_ms, "late_max_ms",
		(int)end->late_max_ms, "frames", (json_int_t)ps->frames,
		"received", (json_int_t)ps->received, "marks",
		(json_int_t)ps->marks, "clears", (json_int_t)ps->clears,
		"fault_count", (json_int_t)phone_faults(p));

	for (int i = 0; i < PHONE_RULE_COUNT; i++)
		if (ps->faultv[i])
			set_int(faults, phone_rule_name((enum phone_rule)i),
				ps->faultv[i]);
	set_text(obj, "close_reason", end->why);
	if (obj)
		(void)json_object_set_new(obj, "faults", faults);
	else
		json_decref(faults);
	put_json(obj);
}

void show_summary(struct show *s, const struct caller *c,
		  const struct phone *p, const struct show_end *end)
{
	uint64_t faults = phone_faults(p);
	struct caller_stats cs;

	caller_stats(c, &cs);
	if (s->json) {
		summary_json(&cs, p, end);
		return;
	}

	begin_line(s, end->at_ms, "");
	printf("the %s ended the call", end->by);
	if (end->code)
		printf(", code %d%s%s", end->code, *end->why ? ": " : "",
		       end->why);
	printf("\n\n  said %u, answered %u", cs.said, cs.answers);
	if (cs.answers)
		printf(", waited %.2f s (median), %.2f s (longest)",
		       seconds(cs.wait_p50_ms), seconds(cs.wait_max_ms));
	if (cs.unanswered)
		printf(", NOT ANSWERED %u", cs.unanswered);
	printf("\n  bot's speech %.1f s, marks %" PRIu64 ", clears %" PRIu64,
	       seconds(cs.bot_ms), phone_stats(p)->marks,
	       phone_stats(p)->clears);
	if (cs.expected)
		printf("\n  expectations %u, FAILED %u", cs.expected,
		       cs.failed);
	if (faults)
		printf("\n  Twilio's rules: BROKEN %" PRIu64 " times", faults);
	else
		printf("\n  Twilio's rules: kept");
	end_line();
}

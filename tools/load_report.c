/**
 * @file load_report.c  What convo-load measured, printed
 */
#include <inttypes.h>
#include <stdio.h>
#include <jansson.h>
#include "load_report.h"

static double per_frame(const struct load_report *r, uint64_t us)
{
	return r->frames ? (double)us / (double)r->frames : 0;
}

static double rss_per_call(const struct load_report *r)
{
	return r->held && r->daemon.rss > r->rss_idle
		       ? (double)(r->daemon.rss - r->rss_idle) / r->held
		       : 0;
}

static double quantile_ms(const struct hist *h, double q)
{
	uint64_t us = hist_quantile(h, q);

	return (double)us / 1000;
}

/* ------------------------------------------------------------------ JSON */

static void put_int(json_t *obj, const char *key, uint64_t v)
{
	(void)json_object_set_new(obj, key, json_integer((json_int_t)v));
}

static void put_real(json_t *obj, const char *key, double v)
{
	(void)json_object_set_new(obj, key, json_real(v));
}

static void put_cpu(json_t *obj, const char *who, const struct proc_cpu *cpu,
		    const struct load_report *r)
{
	char key[64];

	(void)snprintf(key, sizeof(key), "%s_user_us_per_frame", who);
	put_real(obj, key, per_frame(r, cpu->user_us));
	(void)snprintf(key, sizeof(key), "%s_system_us_per_frame", who);
	put_real(obj, key, per_frame(r, cpu->system_us));
}

void load_report_json(const struct load_report *r)
{
	json_t *obj = json_object();

	put_int(obj, "calls", r->calls);
	put_int(obj, "held", r->held);
	put_int(obj, "refused", r->refused);
	put_int(obj, "dropped", r->dropped);
	put_real(obj, "seconds", r->seconds);
	put_int(obj, "frames_all", r->frames_all);
	put_int(obj, "frames", r->frames);
	put_int(obj, "lost", r->lost);
	put_int(obj, "late", r->late);
	put_int(obj, "late_p99_us", hist_quantile(r->lateness, 0.99));
	put_int(obj, "late_max_us", r->lateness->max);
	put_int(obj, "answers", r->answer->count);
	put_int(obj, "answer_p50_us", hist_quantile(r->answer, 0.5));
	put_int(obj, "answer_p99_us", hist_quantile(r->answer, 0.99));
	put_int(obj, "answer_max_us", r->answer->max);
	put_int(obj, "barge_ins", r->barge_in->count);
	put_int(obj, "barge_in_p50_us", hist_quantile(r->barge_in, 0.5));
	put_int(obj, "barge_in_p95_us", hist_quantile(r->barge_in, 0.95));
	put_int(obj, "barge_in_max_us", r->barge_in->max);
	put_int(obj, "talked_over", r->talked_over);
	put_int(obj, "marks", r->marks);
	put_int(obj, "marks_lost", r->marks_lost);
	put_int(obj, "clears", r->clears);
	put_cpu(obj, "daemon", &r->daemon, r);
	put_int(obj, "daemon_rss_idle", r->rss_idle);
	put_int(obj, "daemon_rss", r->daemon.rss);
	put_real(obj, "daemon_rss_per_call", rss_per_call(r));
	put_cpu(obj, "own", &r->own, r);

	(void)json_dumpf(obj, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(obj);
}

/* ------------------------------------------------------------------ text */

static void print_cpu(const char *who, const struct proc_cpu *cpu,
		      const struct load_report *r)
{
	printf("%-15s %.2f us a frame (user %.2f, system %.2f)", who,
	       per_frame(r, cpu->user_us + cpu->system_us),
	       per_frame(r, cpu->user_us), per_frame(r, cpu->system_us));
}

void load_report_text(const struct load_report *r)
{
	const struct hist *h = r->answer;

	printf("calls held      %u of %u (refused %" PRIu64
	       ", dropped %" PRIu64 ")\n",
	       r->held, r->calls, r->refused, r->dropped);
	printf("frames sent     %" PRIu64 " in %.1f s, lost %" PRIu64
	       ", late %" PRIu64 "; lateness p99 %.1f ms, max %.1f ms\n",
	       r->frames, r->seconds, r->lost, r->late,
	       quantile_ms(r->lateness, 0.99),
	       (double)r->lateness->max / 1000);
	printf("bot's audio     %.1f s, marks %" PRIu64
	       " (not answered %" PRIu64 "), clears %" PRIu64 "\n",
	       (double)r->media_ms / 1000, r->marks, r->marks_lost, r->clears);
	if (h->count)
		printf("answers         %" PRIu64
		       ", p50 %.1f ms, p99 %.1f ms, max %.1f ms\n",
		       (uint64_t)h->count, quantile_ms(h, 0.5),
		       quantile_ms(h, 0.99), (double)h->max / 1000);
	if (r->barge_in->count || r->talked_over)
		printf("barge-ins       %" PRIu64
		       ", p50 %.1f ms, p95 %.1f ms, "
		       "max %.1f ms; the bot talked on %" PRIu64 " times\n",
		       (uint64_t)r->barge_in->count,
		       quantile_ms(r->barge_in, 0.5),
		       quantile_ms(r->barge_in, 0.95),
		       (double)r->barge_in->max / 1000, r->talked_over);
	if (r->pid) {
		print_cpu("daemon", &r->daemon, r);
		printf(", RSS %.1f MB, %.1f kB a call\n",
		       (double)r->daemon.rss / 1e6, rss_per_call(r) / 1000);
	}
	print_cpu("convo-load", &r->own, r);
	putchar('\n');
}

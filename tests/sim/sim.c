/**
 * @file sim.c  Plays many calls, each from a seed of its own
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/log.h>
#include <convod/mem.h>
#include "sim.h"

enum {
	CALLS_DEFAULT = 1000,
	CALLS_TELLING = 20000, /* so many show every behaviour */
};

struct options {
	uint64_t calls;
	uint64_t seed;
	bool trace;
	bool all;
	enum rule first_broken, last_broken; /* to be broken, in turn */
};

static const char usage[] =
	"usage: sim [--calls N] [--seed S] [--trace] [--all] [--break RULE]\n"
	"       sim --list-rules\n"
	"\n"
	"Plays N calls (1000) from the seeds S (1), S + 1 ...\n"
	"\n"
	"  --trace       print what happens, one line each\n"
	"  --all         go on after a violation\n"
	"  --break RULE  break it on purpose, or `all`, one after the other, "
	"and expect\n"
	"                to be found out\n"
	"  --list-rules  list them and end\n";

static void list_rules(void)
{
	for (unsigned i = RULE_NONE + 1; i < RULES; i++)
		printf("%-12s %s\n", rule_name((enum rule)i),
		       rule_what((enum rule)i));
}

static void break_option(struct options *o, const char *name)
{
	bool all = !strcmp(name, "all");

	o->first_broken = all ? RULE_NONE + 1 : rule_find(name);
	o->last_broken = all ? RULES - 1 : o->first_broken;
	if (!o->first_broken) {
		fprintf(stderr, "sim: no rule %s\n", name);
		exit(2);
	}
}

static void parse(struct options *o, int argc, char *argv[])
{
	static const struct option optv[] = {
		{"calls", required_argument, NULL, 'n'},
		{"seed", required_argument, NULL, 's'},
		{"trace", no_argument, NULL, 't'},
		{"all", no_argument, NULL, 'a'},
		{"break", required_argument, NULL, 'b'},
		{"list-rules", no_argument, NULL, 'l'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "", optv, NULL)) != -1) {
		switch (opt) {
		case 'n':
			o->calls = strtoull(optarg, NULL, 10);
			break;
		case 's':
			o->seed = strtoull(optarg, NULL, 10);
			break;
		case 't':
			o->trace = true;
			break;
		case 'a':
			o->all = true;
			break;
		case 'b':
			break_option(o, optarg);
			break;
		case 'l':
			list_rules();
			exit(0);
		default:
			fputs(usage, stderr);
			exit(2);
		}
	}
}

/* In which call is the broken rule found out? 0: in none */
static uint64_t find_out(struct sim *s, const struct options *o)
{
	for (uint64_t i = 0; i < o->calls; i++) {
		sim_run(s, o->seed + i);
		if (s->violated == s->broken)
			return i + 1;
	}

	return 0;
}

static void print_verdict(const char *verdict, const char *rule)
{
	printf("[%s] ", verdict);
	/* a word, for whoever counts the cases */
	for (; *rule; ++rule)
		putchar(*rule == '-' ? '_' : *rule);
}

/* One line a rule, as cmocka prints them: each is a test */
static int break_rules(struct sim *s, const struct options *o)
{
	int err = 0;

	for (unsigned i = o->first_broken; i <= o->last_broken; i++) {
		uint64_t n;

		s->broken = (enum rule)i;
		n = find_out(s, o);
		print_verdict(n ? "       OK " : "  FAILED  ",
			      rule_name(s->broken));
		printf(" (call %llu: %s)\n", (unsigned long long)n,
		       n ? s->why : "nobody noticed");
		err |= !n;
	}

	return err;
}

static int summary(const struct sim *s, uint64_t calls)
{
	int err = 0;

	printf("%12llu  calls\n", (unsigned long long)calls);
	for (unsigned i = 0; i < COUNTS; i++) {
		bool missing = !s->countv[i] && calls >= CALLS_TELLING;

		printf("%12llu  %s%s\n", (unsigned long long)s->countv[i],
		       sim_count_name((enum sim_count)i),
		       missing ? "  <-- never seen" : "");
		err |= missing;
	}

	return err;
}

static void tell_violation(const struct sim *s)
{
	printf("seed %llu breaks %s (%s): %s, at %llu.%03llu s\n",
	       (unsigned long long)s->seed, rule_name(s->violated),
	       rule_what(s->violated), s->why,
	       (unsigned long long)(s->now_ms / 1000),
	       (unsigned long long)(s->now_ms % 1000));
	printf("replay: sim --trace --calls 1 --seed %llu\n",
	       (unsigned long long)s->seed);
}

/** @return number of calls in which a rule was broken */
static uint64_t play(struct sim *s, const struct options *o)
{
	uint64_t violations = 0;

	for (uint64_t i = 0; i < o->calls; i++) {
		sim_run(s, o->seed + i);
		if (!s->violated)
			continue;

		tell_violation(s);
		++violations;
		if (!o->all)
			break;
	}

	return violations;
}

int main(int argc, char *argv[])
{
	struct options o = {.calls = CALLS_DEFAULT, .seed = 1};
	struct sim *s = calloc(1, sizeof(*s));
	int err = 0;

	if (!s)
		return 2;

	parse(&o, argc, argv);
	log_set_level(LOG_LVL_ERROR);
	s->trace = o.trace;

	if (o.first_broken)
		err = break_rules(s, &o);
	else if (play(s, &o))
		err = 1;
	else if (!o.trace)
		err = summary(s, o.calls);
	mem_deref(s->kept);
	free(s);

	return err;
}

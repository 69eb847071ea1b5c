/**
 * @file plan.c  What a call is like: settings and temperaments, by chance
 *
 * Most peers behave most of the time, or little would be heard of the answers:
 * each gets its faults with a chance of its own.
 */
#include "sim.h"

static uint32_t maybe(struct sim *s, uint32_t permille, uint32_t lo,
		      uint32_t hi)
{
	bool is = chance(s, permille);
	uint32_t n = chance_between(s, lo, hi);

	return is ? n : 0;
}

static enum call_barge_in pick_barge_in(struct sim *s)
{
	uint32_t n = chance_below(s, 100);

	return n < 55   ? CALL_BARGE_VAD
	       : n < 75 ? CALL_BARGE_WORDS
	       : n < 88 ? CALL_BARGE_DTMF
			: CALL_BARGE_OFF;
}

static void plan_turns(struct sim *s, struct call_param *p)
{
	p->join_ms = maybe(s, 350, 100, 1500);
	p->endpoint_ms = maybe(s, 250, 300, 1500);
	p->replace = chance(s, 300);
	p->forgets = chance(s, 450);
	p->opens = chance(s, 500);
	p->knows_nobody = chance(s, 500);
	p->has_voice = chance(s, 900);
	p->repeat_max = maybe(s, 600, 1, 3);

	p->barge_in = pick_barge_in(s);
	p->barge_words = chance_between(s, 1, 3);
	p->resume_ms = chance_between(s, 300, 1500);
}

static void plan_greeting(struct sim *s, struct call_param *p)
{
	uint32_t n = chance_below(s, 4);

	p->greeting = (enum call_greeting)n;
	p->greeting_protect = chance(s, 300);
	p->greeting_sound.text = "greeting to whoever calls.";
	p->greeting_sound.voice = p->greeting_sound.language = "";
	p->greeting_sound.url = chance(s, 300) ? "http://dm/hello.mp3" : "";
	p->greeting_sound.origin = "http://dm";
}

static void plan_keys(struct sim *s, struct plan *plan)
{
	static const char keyv[] = "0123456*#AB";
	static const char *const textv[] = {
		"mapped0", "mapped1", "mapped2", "mapped3",
		"mapped4", "mapped5", "mapped6", "mapped*",
		"mapped#", "mappedA", "mappedB",
	};
	struct call_param *p = &plan->prm;

	p->keyv = plan->keyv;
	p->keyc = chance_below(s, ARRAY_SIZE(plan->keyv) + 1);
	for (size_t i = 0; i < p->keyc; i++) {
		struct call_key *k = &plan->keyv[i];
		uint32_t n = chance_below(s, sizeof(keyv) - 1);
		uint32_t action = chance_below(s, 5);

		k->key = keyv[n];
		k->action = (enum call_key_action)action;
		k->text = k->action == CALL_KEY_SEND ? textv[n] : "";
	}
	p->digits_ms = chance_between(s, 500, 4000);
	p->digits_max = maybe(s, 500, 1, 8);
	p->finish = chance(s, 700) ? "#" : chance(s, 500) ? "*#" : "";
	p->keys_only = chance(s, 300);
	p->keys_sensitive = chance(s, 150);
}

static void plan_silence(struct sim *s, struct call_param *p)
{
	uint32_t n = chance_below(s, 3);

	p->silence_ms = maybe(s, 700, 1500, 6000);
	p->silence_tries = chance_below(s, 4);
	p->silence = (enum call_silence)n;
	p->silence_text = "hello there.";
	p->silence_limit_ms = chance_between(s, 1500, 6000);
	p->filler_ms = maybe(s, 500, 300, 2500);
	p->max_ms = chance(s, 200) ? chance_between(s, 3000, 12000)
				   : chance_between(s, 12000, 60000);
	p->warn_ms = maybe(s, 500, 1000, 20000);
	p->idle_ms = maybe(s, 300, 5000, 30000);
}

static void plan_caller(struct sim *s, struct caller_kind *k)
{
	k->mute = chance(s, 150);
	k->quiet = chance(s, 80);
	k->rude = chance(s, 500);
	k->chatty = chance(s, 25);
	k->noise = maybe(s, 500, 50, 500);
	k->keys = maybe(s, 500, 50, 500);
	k->idle_ms = chance_between(s, 500, 8000);
	k->leaves_ms = maybe(s, 500, 500, 60000);
	k->how = chance(s, 900)   ? CALL_END_CALLER
		 : chance(s, 333) ? CALL_END_STUCK
		 : chance(s, 500) ? CALL_END_PROTOCOL
				  : CALL_END_ERROR;
}

static void plan_recogniser(struct sim *s, struct recogniser_kind *k)
{
	k->interims = chance(s, 700);
	k->interim_ms = chance_between(s, 100, 600);
	k->final_ms = chance_between(s, 100, 2000);
	k->trouble = maybe(s, 400, 20, 400);
	k->no_finals = chance(s, 60);
	k->breaks = chance(s, 150);
	k->echo = k->no_finals ? 0 : maybe(s, 200, 100, 1000);
}

static void plan_manager(struct sim *s, struct manager_kind *k)
{
	static const uint32_t thinkv[] = {0, 100, 1000, 4000, 12000};

	k->open_ms = chance(s, 900) ? chance_below(s, 800)
				    : chance_below(s, 9000);
	k->open_err = chance(s, 40) ? 111 : 0;
	k->think_ms = thinkv[chance_below(s, ARRAY_SIZE(thinkv))];
	k->timeout_ms = chance_between(s, 3000, 15000);
	k->trouble = maybe(s, 300, 20, 500);
	k->refuses = maybe(s, 100, 20, 500);
	k->wrong = chance(s, 100);
	k->pieces = chance(s, 400);
	k->dull = chance(s, 80);
	k->hangs_up = chance(s, 700);
	k->odd = maybe(s, 300, 20, 300);
}

static void plan_voice(struct sim *s, struct voice_kind *k)
{
	k->cached = maybe(s, 600, 100, 1000);
	k->first_ms = chance_between(s, 10, 1500);
	k->trouble = maybe(s, 300, 20, 500);
	k->timeout_ms = chance_between(s, 500, 5000);
	k->slow = chance(s, 100);
	k->timed = chance(s, 300);
}

static void plan_carrier(struct sim *s, struct carrier_kind *k)
{
	k->delay_ms = chance_below(s, 51);
	k->keeps_marks = chance(s, 100);
	k->no_marks = chance(s, 30);
	k->foreign = maybe(s, 200, 5, 100);
	k->dies_ms = maybe(s, 30, 100, 40000);
	if (chance(s, 500))
		return;

	k->jitter_ms = maybe(s, 500, 1, 60);
	k->mark_trouble = maybe(s, 500, 20, 600);
	k->eagain = maybe(s, 300, 2, 50);
}

void plan_make(struct sim *s)
{
	struct plan *p = &s->plan;

	*p = (struct plan){.prm = {.id = "sim", .language = "en-US"}};
	plan_turns(s, &p->prm);
	plan_greeting(s, &p->prm);
	plan_keys(s, p);
	plan_silence(s, &p->prm);
	p->lead_ms = chance_between(s, 100, 600);
	p->drain_ms = maybe(s, 50, 0, 40000);
	p->starves = maybe(s, 30, 1, 50);
	p->stalls = maybe(s, 50, 1, 20);
	plan_caller(s, &p->caller);
	plan_recogniser(s, &p->recogniser);
	plan_manager(s, &p->manager);
	plan_voice(s, &p->voice);
	plan_carrier(s, &p->carrier);
}

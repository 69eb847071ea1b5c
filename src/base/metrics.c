/**
 * @file metrics.c  Counters of the process, one block a thread
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <convod/hist.h>
#include <convod/mem.h>
#include <convod/metrics.h>

enum { BLOCKS_MAX = 256 };

struct block {
	_Atomic uint64_t counterv[M_COUNTERS];
	_Atomic int64_t gaugev[M_GAUGES];
	struct hist latencyv[M_LATENCIES];
};

static struct block shared;
static struct block *blockv[BLOCKS_MAX] = {&shared};
static atomic_size_t blockc = 1;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of growing only */
static pthread_mutex_t hist_lock = PTHREAD_MUTEX_INITIALIZER; /* of shared */
static _Thread_local struct block *own;

int metrics_thread_init(void)
{
	int err = 0;
	size_t n;

	if (own)
		return 0;

	pthread_mutex_lock(&lock);
	n = atomic_load_explicit(&blockc, memory_order_relaxed);
	/* Lives as long as the process: what was counted stays counted */
	own = n < BLOCKS_MAX ? calloc(1, sizeof(*own)) : NULL;
	if (own) {
		blockv[n] = own;
		/* release: whoever sees the new count sees the block */
		atomic_store_explicit(&blockc, n + 1, memory_order_release);
	} else {
		err = ENOMEM;
	}
	pthread_mutex_unlock(&lock);

	return err;
}

void metrics_add(enum metrics_counter c, uint64_t n)
{
	_Atomic uint64_t *p = &(own ? own : &shared)->counterv[c];

	if (!own) {
		atomic_fetch_add_explicit(p, n, memory_order_relaxed);
		return;
	}

	atomic_store_explicit(
		p, atomic_load_explicit(p, memory_order_relaxed) + n,
		memory_order_relaxed);
}

void metrics_gauge(enum metrics_gauge g, int64_t delta)
{
	atomic_fetch_add_explicit(&(own ? own : &shared)->gaugev[g], delta,
				  memory_order_relaxed);
}

void metrics_latency(enum metrics_latency l, uint64_t us)
{
	if (own) {
		hist_add(&own->latencyv[l], us);
		return;
	}

	pthread_mutex_lock(&hist_lock);
	hist_add(&shared.latencyv[l], us);
	pthread_mutex_unlock(&hist_lock);
}

static size_t block_count(void)
{
	return atomic_load_explicit(&blockc, memory_order_acquire);
}

uint64_t metrics_counter(enum metrics_counter c)
{
	uint64_t sum = 0;

	for (size_t i = 0, n = block_count(); i < n; i++)
		sum += atomic_load_explicit(&blockv[i]->counterv[c],
					    memory_order_relaxed);

	return sum;
}

int64_t metrics_gauge_value(enum metrics_gauge g)
{
	int64_t sum = 0;

	for (size_t i = 0, n = block_count(); i < n; i++)
		sum += atomic_load_explicit(&blockv[i]->gaugev[g],
					    memory_order_relaxed);

	return sum;
}

static void merge(struct hist *h, enum metrics_latency l)
{
	for (size_t i = 0, n = block_count(); i < n; i++)
		hist_merge(h, &blockv[i]->latencyv[l]);
}

uint64_t metrics_quantile_us(enum metrics_latency l, double q)
{
	struct hist *h = calloc(1, sizeof(*h));
	uint64_t us = 0;

	if (h) {
		merge(h, l);
		us = hist_quantile(h, q);
	}
	free(h);

	return us;
}

static void print_latency(FILE *f, const char *name, const char *help,
			  const struct hist *h)
{
	static const uint32_t boundv[] = {
		100,    500,     1000,    2500,    5000,
		10000,  25000,   50000,   100000,  250000,
		500000, 1000000, 2500000, 5000000, 10000000,
	};

	fprintf(f, "# HELP convod_%s %s\n# TYPE convod_%s histogram\n", name,
		help, name);
	for (size_t i = 0; i < ARRAY_SIZE(boundv); i++)
		fprintf(f, "convod_%s_bucket{le=\"%g\"} %llu\n", name,
			boundv[i] / 1e6,
			(unsigned long long)hist_count_le(h, boundv[i]));
	fprintf(f, "convod_%s_bucket{le=\"+Inf\"} %llu\n", name,
		(unsigned long long)h->count);
	fprintf(f, "convod_%s_sum %.6f\nconvod_%s_count %llu\n", name,
		(double)h->sum / 1e6, name, (unsigned long long)h->count);
}

static void print_all(FILE *f, struct hist *h)
{
#define PRINT_COUNTER(id, name, help)                             \
	fprintf(f,                                                \
		"# HELP convod_%s %s\n# TYPE convod_%s counter\n" \
		"convod_%s %llu\n",                               \
		name, help, name, name,                           \
		(unsigned long long)metrics_counter(M_##id));
#define PRINT_GAUGE(id, name, help)                             \
	fprintf(f,                                              \
		"# HELP convod_%s %s\n# TYPE convod_%s gauge\n" \
		"convod_%s %lld\n",                             \
		name, help, name, name,                         \
		(long long)metrics_gauge_value(M_##id));
#define PRINT_LATENCY(id, name, help) \
	*h = (struct hist){0};        \
	merge(h, M_##id);             \
	print_latency(f, name, help, h);

	METRICS_COUNTERS(PRINT_COUNTER)
	METRICS_GAUGES(PRINT_GAUGE)
	METRICS_LATENCIES(PRINT_LATENCY)
#undef PRINT_COUNTER
#undef PRINT_GAUGE
#undef PRINT_LATENCY
}

int metrics_print(char **textp)
{
	struct hist *h = mem_zalloc(sizeof(*h), NULL);
	char *text = NULL;
	size_t size = 1 << 16;
	FILE *f = NULL;
	int err = ENOMEM;

	/* 64 kB hold all there is with room to spare; fmemopen says if not */
	text = mem_zalloc(size, NULL);
	if (!h || !text)
		goto out;

	f = fmemopen(text, size, "w");
	if (!f)
		goto out;

	print_all(f, h);
	err = fflush(f) ? EOVERFLOW : 0;

out:
	if (f)
		fclose(f);
	mem_deref(h);
	if (err)
		mem_deref(text);
	else
		*textp = text;

	return err;
}

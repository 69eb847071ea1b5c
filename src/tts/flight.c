/**
 * @file flight.c  One synthesis for all workers of the process
 *
 * Owner graph: who joined owns its seat, a message under way to its loop owns
 * it too; seats own the flight; the flight refers weakly to its seats, and the
 * table weakly to the flight, until it lands.
 */
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <convod/mem.h>
#include "flight.h"

enum { BUCKETS = 64 };

struct flights {
	pthread_mutex_t lock;
	struct list bucketv[BUCKETS];
};

struct flight {
	struct le le; /* in its bucket until it lands */
	struct voice_key key;
	struct list seatl; /* of the others */
	struct clip **piecev;
	size_t piecec, size;
	bool landed;
	int err;
};

struct flight_seat {
	struct le le; /* of flight.seatl */
	struct flights *fs;
	struct flight *flight;
	bool leads;
	size_t pulled;

	struct loop *loop;
	struct loop_post post;
	bool posted;
	flight_h *h; /* NULL once left; of the loop's thread */
	void *arg;
};

static void flights_destructor(void *arg)
{
	struct flights *fs = arg;

	pthread_mutex_destroy(&fs->lock);
}

int flights_alloc(struct flights **fp)
{
	struct flights *fs = mem_zalloc(sizeof(*fs), flights_destructor);

	if (!fs)
		return ENOMEM;

	pthread_mutex_init(&fs->lock, NULL);
	*fp = fs;

	return 0;
}

/* ---------------------------------------------------------------- seats */

static void flight_destructor(void *arg)
{
	struct flight *f = arg;

	for (size_t i = 0; i < f->piecec; i++)
		mem_deref(f->piecev[i]);
	mem_raw_free(f->piecev);
}

/* Both have left their lists by now: no lock is needed */
static void seat_destructor(void *arg)
{
	struct flight_seat *s = arg;

	mem_deref(s->flight);
	mem_deref(s->fs);
}

static void post_handler(struct loop_post *p)
{
	struct flight_seat *s = CONTAINER_OF(p, struct flight_seat, post);

	pthread_mutex_lock(&s->fs->lock);
	s->posted = false;
	pthread_mutex_unlock(&s->fs->lock);

	if (s->h)
		s->h(s->arg);
	mem_deref(s); /* the message's reference */
}

static struct list *bucket_of(struct flights *fs, const struct voice_key *key)
{
	return &fs->bucketv[key->v[0] % BUCKETS];
}

static struct flight *find(struct flights *fs, const struct voice_key *key)
{
	struct le *le;

	LIST_FOREACH(bucket_of(fs, key), le)
	{
		struct flight *f = list_ledata(le);

		if (!memcmp(&f->key, key, sizeof(*key)))
			return f;
	}

	return NULL;
}

/* Under the lock */
static int sit_down(struct flight_seat *s, const struct voice_key *key)
{
	struct flight *f = find(s->fs, key);

	if (f) {
		s->flight = mem_ref(f);
		list_append(&f->seatl, &s->le, s);
		return 0;
	}

	f = mem_zalloc(sizeof(*f), flight_destructor);
	if (!f)
		return ENOMEM;

	f->key = *key;
	list_append(bucket_of(s->fs, key), &f->le, f);
	s->flight = f;
	s->leads = true;

	return 0;
}

int flight_join(struct flight_seat **sp, struct flights *fs,
		const struct voice_key *key, struct loop *l, flight_h *h,
		void *arg)
{
	struct flight_seat *s = mem_zalloc(sizeof(*s), seat_destructor);
	int err;

	if (!s)
		return ENOMEM;

	s->fs = mem_ref(fs);
	s->loop = l;
	s->post.h = post_handler;
	s->h = h;
	s->arg = arg;

	pthread_mutex_lock(&fs->lock);
	err = sit_down(s, key);
	pthread_mutex_unlock(&fs->lock);
	if (err)
		mem_deref(s);
	else
		*sp = s;

	return err;
}

bool flight_leads(const struct flight_seat *s)
{
	return s->leads;
}

/* ------------------------------------------------------- under the lock */

static void tell(struct flight *f)
{
	struct le *le;

	LIST_FOREACH(&f->seatl, le)
	{
		struct flight_seat *s = list_ledata(le);

		if (s->posted)
			continue;

		mem_ref(s);
		s->posted = !loop_post(s->loop, &s->post);
		if (!s->posted)
			mem_deref(s); /* its owner has one still */
	}
}

static void land(struct flight *f, int err)
{
	if (f->landed)
		return;

	f->landed = true;
	f->err = err;
	list_unlink(&f->le);
	tell(f);
}

static int add_piece(struct flight *f, struct clip *piece)
{
	if (f->piecec == f->size) {
		size_t size = MAX(2 * f->size, (size_t)16);
		struct clip **v = mem_raw_realloc(
			f->piecev, size * sizeof(struct clip *));

		if (!v)
			return ENOMEM;
		f->piecev = v;
		f->size = size;
	}
	f->piecev[f->piecec++] = mem_ref(piece);
	tell(f);

	return 0;
}

/* ---------------------------------------------------------- the flight */

struct flight_seat *flight_leave(struct flight_seat *s)
{
	if (!s)
		return NULL;

	s->h = NULL;
	pthread_mutex_lock(&s->fs->lock);
	list_unlink(&s->le);
	if (s->leads)
		land(s->flight, ECANCELED);
	pthread_mutex_unlock(&s->fs->lock);

	return mem_deref(s);
}

int flight_push(struct flight_seat *s, struct clip *piece)
{
	int err;

	pthread_mutex_lock(&s->fs->lock);
	err = s->flight->landed ? ESHUTDOWN : add_piece(s->flight, piece);
	pthread_mutex_unlock(&s->fs->lock);

	return err;
}

void flight_land(struct flight_seat *s, int err)
{
	pthread_mutex_lock(&s->fs->lock);
	land(s->flight, err);
	pthread_mutex_unlock(&s->fs->lock);
}

bool flight_give_up(struct flight_seat *s)
{
	bool alone;

	pthread_mutex_lock(&s->fs->lock);
	alone = !s->flight->seatl.head;
	if (alone)
		land(s->flight, ECANCELED);
	pthread_mutex_unlock(&s->fs->lock);

	return alone;
}

struct clip *flight_pull(struct flight_seat *s)
{
	struct clip *piece = NULL;

	pthread_mutex_lock(&s->fs->lock);
	if (s->pulled < s->flight->piecec)
		piece = mem_ref(s->flight->piecev[s->pulled++]);
	pthread_mutex_unlock(&s->fs->lock);

	return piece;
}

bool flight_has_landed(struct flight_seat *s, int *errp)
{
	bool landed;

	pthread_mutex_lock(&s->fs->lock);
	landed = s->flight->landed && s->pulled == s->flight->piecec;
	*errp = s->flight->err;
	pthread_mutex_unlock(&s->fs->lock);

	return landed;
}

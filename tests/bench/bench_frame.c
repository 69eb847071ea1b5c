/**
 * @file bench_frame.c  What a frame costs: JSON text in, PCM 16 kHz out
 *
 * convod's path against the one of libraries, in turns, in one process, on the
 * same messages: a fixture call, repeated. CPU of the thread; medians of
 * several rounds. Ours must not allocate: the bench fails if it does.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <jansson.h>
#include <libwebsockets.h>
#include <samplerate.h>
#include <convod/audio.h>
#include <convod/carrier.h>
#include <convod/mem.h>
#include <convod/ring.h>
#include <convod/str.h>
#include "measure.h"

enum {
	ROUNDS = 9,
	MESSAGES_MAX = 256,
	MESSAGE_BYTES_MAX = 1024,
	PCM_SAMPLES = 2 * FRAME_SAMPLES,
	RING_SAMPLES = 32768,
	OUT_SAMPLES = 6 * FRAME_SAMPLES, /* 120 ms */
};

/* -------------------------------------------------------------- messages */

static char messagev[MESSAGES_MAX][MESSAGE_BYTES_MAX];
static size_t lengthv[MESSAGES_MAX];
static size_t messagec;

static int load(const char *path)
{
	FILE *f = fopen(path, "r");
	char line[MESSAGE_BYTES_MAX];

	if (!f)
		return -1;

	while (messagec < MESSAGES_MAX && fgets(line, sizeof(line), f)) {
		if (!strstr(line, "\"media\""))
			continue;
		lengthv[messagec] = strcspn(line, "\n");
		memcpy(messagev[messagec], line, lengthv[messagec]);
		++messagec;
	}
	fclose(f);

	return messagec ? 0 : -1;
}

/* -------------------------------------------------------------- the paths */

static volatile int sink; /* results are used */

static struct {
	struct ring *ring;
	struct halfband hb;
	SRC_STATE *src;
	uint8_t ulawv[CARRIER_MESSAGE_MAX];
	int16_t pcmv[FRAME_SAMPLES], widev[PCM_SAMPLES];
	float inv[FRAME_SAMPLES], outv[2 * PCM_SAMPLES];
	char text[CARRIER_MEDIA_SIZE(OUT_SAMPLES)];
	char base64[BASE64_LEN(FRAME_SAMPLES)];
} b;

static void die(const char *what)
{
	fprintf(stderr, "%s failed\n", what);
	exit(1);
}

static void run_convod(size_t i)
{
	const char *msg = messagev[i % messagec];
	struct carrier_event ev;
	size_t n;

	if (carrier_twilio.parse(&ev, msg, lengthv[i % messagec], b.ulawv,
				 sizeof(b.ulawv)) ||
	    ev.type != CARRIER_MEDIA)
		die("parse");

	ring_write(b.ring, b.ulawv, ev.u.media.n);
	n = ring_read(b.ring, b.ulawv, FRAME_SAMPLES);
	ring_release(b.ring, ring_sent(b.ring));
	g711_ulaw_decode_n(b.pcmv, b.ulawv, n);
	halfband_up2(&b.hb, b.widev, b.pcmv, n);
	sink += b.widev[7];
}

static void run_libraries(size_t i)
{
	json_t *j = json_loadb(messagev[i % messagec], lengthv[i % messagec],
			       0, NULL);
	const json_t *media = json_object_get(j, "media");
	const char *payload = json_string_value(
		json_object_get(media, "payload"));
	SRC_DATA d = {.data_in = b.inv,
		      .data_out = b.outv,
		      .output_frames = 2 * PCM_SAMPLES,
		      .src_ratio = 2};
	int n;

	if (!payload)
		die("jansson");

	n = lws_b64_decode_string_len(payload, (int)strlen(payload),
				      (char *)b.ulawv, sizeof(b.ulawv));
	json_decref(j);
	if (n != FRAME_SAMPLES)
		die("lws_b64_decode_string_len");

	g711_ulaw_decode_n(b.pcmv, b.ulawv, FRAME_SAMPLES);
	src_short_to_float_array(b.pcmv, b.inv, n);
	d.input_frames = n;
	if (src_process(b.src, &d))
		die("src_process");
	src_float_to_short_array(b.outv, b.widev,
				 MIN((int)d.output_frames_gen, PCM_SAMPLES));
	sink += b.widev[7];
}

static void run_parse(size_t i)
{
	struct carrier_event ev;

	if (carrier_twilio.parse(&ev, messagev[i % messagec],
				 lengthv[i % messagec], b.ulawv,
				 sizeof(b.ulawv)))
		die("parse");
	sink += b.ulawv[9];
}

static void run_base64(size_t i)
{
	size_t n;

	(void)i;
	if (base64_decode(b.ulawv, &n, b.base64, sizeof(b.base64)))
		die("base64_decode");
	sink += b.ulawv[9];
}

static void run_ring(size_t i)
{
	ring_write(b.ring, b.ulawv, FRAME_SAMPLES);
	ring_read(b.ring, b.ulawv, FRAME_SAMPLES);
	ring_release(b.ring, ring_sent(b.ring));
	sink += b.ulawv[i % FRAME_SAMPLES];
}

static void run_decode(size_t i)
{
	g711_ulaw_decode_n(b.pcmv, b.ulawv, FRAME_SAMPLES);
	sink += b.pcmv[i % FRAME_SAMPLES];
}

static void run_encode(size_t i)
{
	g711_ulaw_encode_n(b.ulawv, b.pcmv, FRAME_SAMPLES);
	sink += b.ulawv[i % FRAME_SAMPLES];
}

static void run_halfband(size_t i)
{
	halfband_up2(&b.hb, b.widev, b.pcmv, FRAME_SAMPLES);
	sink += b.widev[i % PCM_SAMPLES];
}

static void run_print(size_t i)
{
	sink += (int)carrier_twilio.print_media(
		b.text, "MZ00000000000000000000000000000001", b.ulawv + i % 64,
		OUT_SAMPLES);
}

static struct vad *vad, *vad_energy, *vad_both;
static struct dtmf *dtmf;

static void run_vad(size_t i)
{
	(void)i;
	sink += vad_frame(vad, b.pcmv, 0);
}

static void run_vad_silence(size_t i)
{
	static const int16_t silencev[FRAME_SAMPLES];

	(void)i;
	sink += vad_frame(vad, silencev, 0);
}

static void run_vad_energy(size_t i)
{
	(void)i;
	sink += vad_frame(vad_energy, b.pcmv, 0);
}

/* Both ways, while the bot speaks */
static void run_vad_both(size_t i)
{
	static uint64_t now_ms = 1000;

	now_ms += FRAME_MS;
	vad_played(vad_both, b.ulawv, FRAME_SAMPLES, now_ms);
	sink += vad_frame(vad_both, b.pcmv, now_ms);
	(void)i;
}

static void run_dtmf(size_t i)
{
	(void)i;
	sink += dtmf_frame(dtmf, b.pcmv);
}

/* -------------------------------------------------------------- measuring */

struct result {
	double nsv[ROUNDS];
	size_t allocations;
};

struct bench {
	const char *name;
	void (*run)(size_t i);
	size_t times; /* a round */
	bool may_allocate;
};

static void measure(const struct bench *be, struct result *res, size_t round)
{
	double start;

	for (size_t i = 0; i < be->times / 10; i++)
		be->run(i);

	allocations = 0;
	start = cpu_ns();
	for (size_t i = 0; i < be->times; i++)
		be->run(i);
	res->nsv[round] = (cpu_ns() - start) / (double)be->times;
	res->allocations = allocations;
}

static double median(struct result *res)
{
	return median_of(res->nsv, ROUNDS);
}

static void set_up(void)
{
	int err;

	if (load(DATA_DIR "/twilio/twilio-call-basic.jsonl"))
		die("reading the fixture");
	if (ring_alloc(&b.ring, RING_SAMPLES) || vad_alloc(&vad) ||
	    vad_alloc_energy(&vad_energy) || vad_alloc(&vad_both) ||
	    dtmf_alloc(&dtmf))
		die("allocation");

	b.src = src_new(SRC_SINC_FASTEST, 1, &err);
	if (!b.src)
		die("src_new");
	for (size_t i = 0; i < FRAME_SAMPLES; i++)
		b.pcmv[i] = (int16_t)(i * 197 % 4000 - 2000);
	base64_encode(b.base64, b.ulawv, FRAME_SAMPLES);
}

int main(void)
{
	static const struct bench benchv[] = {
		{"convod: JSON text to PCM 16 kHz", run_convod, 200000, false},
		{"jansson, lws base64, libsamplerate SINC_FASTEST",
		 run_libraries, 5000, true},
		{"parse (scanner and base64)", run_parse, 200000, false},
		{"base64_decode, 160 bytes", run_base64, 200000, false},
		{"ring write, read, release", run_ring, 200000, false},
		{"mu-law decode", run_decode, 200000, false},
		{"mu-law encode", run_encode, 200000, false},
		{"halfband_up2", run_halfband, 200000, false},
		{"vad_frame", run_vad, 50000, false},
		{"vad_frame, vad_played", run_vad_both, 50000, false},
		{"vad_frame, silence", run_vad_silence, 200000, false},
		{"vad_frame, energy", run_vad_energy, 50000, false},
		{"dtmf_frame", run_dtmf, 200000, false},
		{"print_media, 960 bytes", run_print, 100000, false},
	};
	static struct result resv[ARRAY_SIZE(benchv)];
	double nsv[ARRAY_SIZE(benchv)];
	bool clean = true;

	set_up();
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(benchv); i++)
			measure(&benchv[i], &resv[i], round);
	}

	printf("%-48s %9s %12s\n", "a frame of 20 ms, CPU", "ns",
	       "allocations");
	for (size_t i = 0; i < ARRAY_SIZE(benchv); i++) {
		const struct bench *be = &benchv[i];

		nsv[i] = median(&resv[i]);
		printf("%-48s %9.0f %12.1f\n", be->name, nsv[i],
		       (double)resv[i].allocations / (double)be->times);
		clean = clean && (be->may_allocate || !resv[i].allocations);
	}
	printf("libraries : convod = %.1f\n", nsv[1] / nsv[0]);
	if (!clean)
		printf("FAILED: something on the frame path allocates\n");

	src_delete(b.src);
	mem_deref(vad);
	mem_deref(vad_energy);
	mem_deref(b.ring);

	return clean ? 0 : 1;
}

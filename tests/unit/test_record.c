#include <stdio.h>
#include <unistd.h>
#include <convod/record.h>
#include "test.h"

static char path[] = "/tmp/convod-record-XXXXXX";

static int make_path(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static int remove_path(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const void *p, size_t n)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static uint32_t le(const uint8_t *p, int n)
{
	uint32_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static void test_stereo_wav(void **state)
{
	enum { N = 2500 }; /* more than one block */
	int16_t callerv[N], botv[N];
	uint8_t buf[44 + 4 * N + 1];
	struct record *r = NULL;
	FILE *f;

	(void)state;
	for (int i = 0; i < N; i++) {
		callerv[i] = (int16_t)i;
		botv[i] = (int16_t)-i;
	}
	assert_int_equal(record_alloc(&r, path), 0);
	assert_int_equal(record_write(r, callerv, botv, N), 0);
	assert_int_equal(record_len(r), N);

	/* the header counts what is there, before the file is closed */
	f = fopen(path, "re");
	assert_non_null(f);
	(void)!fread(buf, 1, sizeof(buf), f);
	fclose(f);
	assert_memory_equal(buf, "RIFF", 4);
	assert_int_equal(le(buf + 40, 4), 4 * N);

	r = mem_deref(r);
	f = fopen(path, "re");
	assert_int_equal(fread(buf, 1, sizeof(buf), f), 44 + 4 * N);
	fclose(f);
	assert_int_equal(le(buf + 22, 2), 2);
	assert_int_equal(le(buf + 24, 4), 8000);
	assert_int_equal(le(buf + 34, 2), 16);
	for (int i = 0; i < N; i++) {
		assert_int_equal((int16_t)le(buf + 44 + 4 * i, 2), i);
		assert_int_equal((int16_t)le(buf + 46 + 4 * i, 2), -i);
	}
}

/* A mono PCM file of our own making */
static void make_wav(uint16_t channels, uint32_t rate, const int16_t *v,
		     uint32_t n)
{
	static uint8_t buf[200000];
	uint32_t bytes = n * 2;
	uint8_t head[44] = "RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1\0";
	uint32_t riff = 36 + bytes, bps = rate * channels * 2;

	memcpy(head + 4, &riff, 4);
	memcpy(head + 22, &channels, 2);
	memcpy(head + 24, &rate, 4);
	memcpy(head + 28, &bps, 4);
	head[32] = (uint8_t)(channels * 2);
	head[34] = 16;
	memcpy(head + 36, "data", 4);
	memcpy(head + 40, &bytes, 4);
	memcpy(buf, head, sizeof(head));
	memcpy(buf + sizeof(head), v, bytes);
	write_file(buf, sizeof(head) + bytes);
}

static void test_read_is_exact_at_8000(void **state)
{
	int16_t inv[3000], *pcmv = NULL;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inv); i++)
		inv[i] = (int16_t)(i * 7919);
	make_wav(1, 8000, inv, ARRAY_SIZE(inv));
	assert_int_equal(record_read(&pcmv, &n, path), 0);
	assert_int_equal(n, ARRAY_SIZE(inv));
	assert_memory_equal(pcmv, inv, sizeof(inv));
	mem_deref(pcmv);
}

static void test_read_other_rates(void **state)
{
	static int16_t inv[32000];
	int16_t *pcmv = NULL;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inv); i++)
		inv[i] = (int16_t)(i / 64 % 2 ? 8000 : -8000);
	make_wav(2, 16000, inv, ARRAY_SIZE(inv)); /* one second */
	assert_int_equal(record_read(&pcmv, &n, path), 0);
	assert_in_range(n, 7900, 8100);
	mem_deref(pcmv);
}

static void test_bad_files(void **state)
{
	static const char html[] = "<html>no sound</html>";
	int16_t *pcmv = NULL;
	struct record *r = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(record_read(&pcmv, &n, "/nonexistent/x.wav"), ENOENT);
	assert_int_equal(record_alloc(&r, "/nonexistent/x.wav"), ENOENT);
	write_file(html, sizeof(html));
	assert_int_equal(record_read(&pcmv, &n, path), EBADMSG);
	make_wav(1, 8000, (const int16_t[]){0}, 0);
	assert_int_equal(record_read(&pcmv, &n, path), ENODATA);
	assert_null(pcmv);
	assert_null(r);
}

static int body(void *arg)
{
	int16_t v[100] = {0}, *pcmv = NULL;
	struct record *r = NULL;
	size_t n;
	int err = record_alloc(&r, path);

	(void)arg;
	if (!err)
		err = record_write(r, v, v, ARRAY_SIZE(v));
	mem_deref(r);
	if (!err)
		err = record_read(&pcmv, &n, path);
	mem_deref(pcmv);

	return err;
}

static void test_out_of_memory(void **state)
{
	(void)state;
	oom_loop(body, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stereo_wav),
		cmocka_unit_test(test_read_is_exact_at_8000),
		cmocka_unit_test(test_read_other_rates),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_out_of_memory),
	};

	return cmocka_run_group_tests(tests, make_path, remove_path);
}

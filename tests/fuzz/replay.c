/**
 * @file replay.c  Runs a fuzz target over its seeds, with any compiler
 *
 * Linked with one fuzz_NAME.c. Each argument is a folder. Every file is given
 * to the target whole and cut at a few places, in memory of exactly its size,
 * so that a sanitizer sees the first byte read too far.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <convod/defs.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEED_MAX = 1 << 20, CUTS = 16 };

static void run(const uint8_t *seed, size_t n)
{
	uint8_t *exact = malloc(n ? n : 1);

	if (!exact)
		abort();
	memcpy(exact, seed, n);
	(void)LLVMFuzzerTestOneInput(exact, n);
	free(exact);
}

static int run_file(const char *path, uint8_t *buf)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f) {
		perror(path);
		return 1;
	}
	n = fread(buf, 1, SEED_MAX, f);
	(void)fclose(f);

	run(buf, n);
	for (size_t i = 1; i < CUTS; i++)
		run(buf, n * i / CUTS);

	return 0;
}

static int run_folder(const char *folder, uint8_t *buf)
{
	DIR *dir = opendir(folder);
	const struct dirent *e;
	int files = 0, err = 0;

	if (!dir) {
		perror(folder);
		return 1;
	}

	while (!err && (e = readdir(dir))) {
		char path[4096];

		if (e->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", folder, e->d_name);
		err = run_file(path, buf);
		++files;
	}
	(void)closedir(dir);

	if (!files) {
		(void)fprintf(stderr, "%s: no seeds\n", folder);
		return 1;
	}

	return err;
}

int main(int argc, char *argv[])
{
	uint8_t *buf = malloc(SEED_MAX);
	int err = !buf || argc < 2;

	for (int i = 1; i < argc && !err; i++)
		err = run_folder(argv[i], buf);
	free(buf);

	return err;
}

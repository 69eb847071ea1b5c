/**
 * @file folder.h  Folders for a test's files, removed when its program ends
 */
#ifndef CONVOD_TEST_FOLDER_H
#define CONVOD_TEST_FOLDER_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "test.h"

enum { FOLDER_MAX = 64 };

static char folder_root[32]; /* of all of them */

static inline int folder_remove_entry(const char *path, const struct stat *st,
				      int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;

	return remove(path);
}

static inline void folder_remove(const char *path)
{
	(void)nftw(path, folder_remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void folder_remove_all(void)
{
	folder_remove(folder_root);
}

/** A new, empty folder; a test that fails need not remove it either */
static inline void folder_make(char path[FOLDER_MAX])
{
	if (!*folder_root) {
		(void)snprintf(folder_root, sizeof(folder_root),
			       "/tmp/convod-test-XXXXXX");
		assert_non_null(mkdtemp(folder_root));
		assert_int_equal(atexit(folder_remove_all), 0);
	}
	(void)snprintf(path, FOLDER_MAX, "%s/XXXXXX", folder_root);
	assert_non_null(mkdtemp(path));
}

#endif

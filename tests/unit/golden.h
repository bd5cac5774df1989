/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Golden files and recorded snapshots for the tests of the views. FT_GOLDEN=update rewrites
 * the golden files instead of comparing: what changed is then read in the diff. */
#ifndef FT_TEST_GOLDEN_H
#define FT_TEST_GOLDEN_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* The file's text, to be freed; NULL when it cannot be read. */
static inline char *golden_read(const char *dir, const char *name)
{
	char path[512], *text;
	size_t size = 0, len;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s/%s", FT_TESTS_DIR, dir, name);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	text = NULL;
	len = getdelim(&text, &size, '\0', f) < 0 ? 0 : strlen(text);
	fclose(f);
	if (!len) {
		free(text);
		return strdup("");
	}
	return text;
}

static inline void golden_write(const char *name, const char *text)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/golden/%s", FT_TESTS_DIR, name);
	f = fopen(path, "w");
	cr_assert(f, "cannot write %s", path);
	fputs(text, f);
	cr_assert_eq(fclose(f), 0);
}

/* The text is the golden file, or the first line that differs is shown. */
static inline void golden_check(const char *name, const char *text)
{
	const char *update = getenv("FT_GOLDEN");
	char *want;
	size_t same = 0, line = 1, start = 0;

	if (update && !strcmp(update, "update"))
		golden_write(name, text);
	want = golden_read("golden", name);
	cr_assert(want, "no golden file %s: make golden", name);
	for (; want[same] && want[same] == text[same]; same++)
		if (want[same] == '\n') {
			line++;
			start = same + 1;
		}
	cr_expect(want[same] == text[same], "%s:%zu: want: %.*s\n got: %.*s", name, line,
		  (int)strcspn(want + start, "\n"), want + start, (int)strcspn(text + start, "\n"),
		  text + start);
	free(want);
}

/* Every snapshot of tests/data/NAME.snap went into the history, as in the live program; the
 * last is `now`. */
static inline void golden_snapshots(const char *name, struct ft_snapshot *ret_now,
				    struct ft_history *ret_history)
{
	char file[64], err[128], *text, *line, *rest;

	snprintf(file, sizeof(file), "%s.snap", name);
	text = golden_read("data", file);
	cr_assert(text, "no recording %s", file);
	memset(ret_history, 0, sizeof(*ret_history));
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		cr_assert_eq(ft_snapshot_from_json(line, ret_now, err, sizeof(err)), 0, "%s: %s",
			     file, err);
		ft_history_add(ret_history, ret_now);
	}
	free(text);
}

static inline void golden_report(const char *name, struct ft_report *ret)
{
	static struct ft_snapshot now;
	static struct ft_history history;

	golden_snapshots(name, &now, &history);
	ft_model_build(&now, &history, ret);
}

#endif

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Reading a recording line by line. A bad line ends it, with its number; what was read before
 * stays on the screen. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "exit.h"
#include "log.h"
#include "replay.h"

#define MAX_LINE (1 << 20) /* a snapshot of FT_MAX_HOPS hops has half of that at most */

/* 0, -ENODATA at the end, -EINVAL after saying what cannot be read. */
static int next_line(struct ft_replay *r)
{
	char why[160];

	if (!fgets(r->text, MAX_LINE, r->file)) {
		if (!ferror(r->file))
			return -ENODATA;
		ft_log(FT_LOG_ERROR, "%s: %s", r->path, strerror(errno));
		return -EINVAL;
	}
	r->line++;
	if (!strchr(r->text, '\n') && !feof(r->file)) {
		ft_log(FT_LOG_ERROR, "%s:%lu: no text line: longer than 1 MiB, or binary", r->path,
		       r->line);
		return -EINVAL;
	}
	if (ft_snapshot_from_json(r->text, &r->next, why, sizeof(why))) {
		ft_log(FT_LOG_ERROR, "%s:%lu: %s", r->path, r->line, why);
		return -EINVAL;
	}
	r->snapshot = r->next;
	if (ft_history_wants(&r->history, &r->snapshot))
		ft_history_add(&r->history, &r->snapshot);
	return 0;
}

int ft_replay_open(struct ft_replay *r, const char *path, bool to_end)
{
	int err;

	memset(r, 0, sizeof(*r));
	r->path = path;
	r->to_end = to_end;
	r->file = fopen(path, "re");
	if (!r->file) {
		ft_log(FT_LOG_ERROR, "%s: %s", path, strerror(errno));
		return FT_EXIT_CONFIG;
	}
	r->text = malloc(MAX_LINE);
	if (!r->text) {
		ft_replay_close(r);
		return FT_EXIT_INTERNAL;
	}
	err = next_line(r);
	if (err) {
		if (err == -ENODATA)
			ft_log(FT_LOG_ERROR, "%s: the recording is empty", path);
		ft_replay_close(r);
		return FT_EXIT_CONFIG;
	}
	return 0;
}

int ft_replay_refresh(void *replay, struct ft_report *ret)
{
	struct ft_replay *r = replay;
	int err;

	do
		err = next_line(r);
	while (!err && r->to_end);
	ft_model_build(&r->snapshot, &r->history, ret);
	if (err == -EINVAL)
		r->bad = true;
	return err ? -ENODATA : 0;
}

void ft_replay_close(struct ft_replay *r)
{
	if (r->file)
		fclose(r->file);
	r->file = NULL;
	free(r->text);
	r->text = NULL;
}

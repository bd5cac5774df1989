/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A recording as a source of reports: one snapshot per line. SHELL. */
#ifndef FT_REPLAY_H
#define FT_REPLAY_H

#include <stdbool.h>
#include <stdio.h>

#include "model.h"
#include "report.h"
#include "snapshot.h"

struct ft_replay {
	FILE *file;
	const char *path;
	unsigned long line;
	bool bad;    /* a line could not be read: it ends there */
	bool to_end; /* one refresh reads everything: the report is of the last line */
	struct ft_snapshot snapshot, next;
	struct ft_history history;
	char *text; /* of the line */
};

int ft_replay_open(struct ft_replay *r, const char *path, bool to_end); /* 0 or an exit code */
int ft_replay_refresh(void *replay, struct ft_report *ret);		/* for struct ft_live */
void ft_replay_close(struct ft_replay *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The live view's loop: a source of reports on one side, the terminal on the other. SHELL. */
#ifndef FT_LIVE_H
#define FT_LIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "loop.h"
#include "report.h"

struct ft_live {
	/* Fill *r with what is true now. 0; -ENODATA: the source has ended, *r is its last word;
	 * -errno. */
	int (*refresh)(void *ctx, struct ft_report *r);
	void *ctx;
	const char *message; /* for the screen's message line; NULL none; may change */
	uint32_t interval_ms;
	uint32_t for_ms; /* 0: until the user quits */
	bool once;	 /* one plain table */
	bool settle;	 /* a plain table wants rates: take a second look first */
};

/* The loop must be open (its signals end the view). Returns the exit code. */
int ft_live_run(struct ft_live *l, struct ft_loop *loop);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fantail show pairs: which open connection of B carries the bytes of which of A. SHELL. */
#ifndef FT_SHOW_PAIRS_H
#define FT_SHOW_PAIRS_H

#include "options.h"
#include "probe.h"
#include "report.h"

/* hop: only pairs that end in it, or begin; -1 all. Returns the exit code. */
int ft_show_pairs(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int hop);

#endif

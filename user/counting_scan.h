/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that walks all sockets now and then. SHELL. */
#ifndef FT_COUNTING_SCAN_H
#define FT_COUNTING_SCAN_H

#include "counting.h"

/*
 * One scan, and everything that goes with it: drift and its repair, ports, overflows. Written
 * for readers when it is complete. 0 or -errno; sockops has no walk: 0, and nothing is written.
 * cpu_ns: what the walk has cost; the next comes at the earliest period_ns later.
 */
int ft_counting_scan(struct ft_counting *c);

/* Open files of the processes that own hops. Costs a look at every process. */
void ft_counting_files(struct ft_counting *c);

#endif

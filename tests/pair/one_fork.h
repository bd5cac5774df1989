/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One fork, counted and paired, for programs that measure it: what was accepted on one port, and
 * what was connected to another for it, in this network namespace. Errors end the process. */
#ifndef FT_ONE_FORK_H
#define FT_ONE_FORK_H

#include <stdbool.h>

#include "probe.h"
#include "probe_pair.h"

#define FORK_A 0 /* hops in the order of the configuration */
#define FORK_B 1

struct fork_options {
	bool counts_only; /* no pairing */
	bool keep;	  /* edges stay in the table until the end, for comparison with the truth */
	const char *door; /* "1": begin with fexit, "2": with kprobes; NULL: with the tracepoint */
};

extern struct ft_probe fork_probe;
extern struct ft_probe_pair fork_pair;

void fork_start(const char *accept_port, const char *connect_port, const struct fork_options *o);
void fork_stop(void);
__attribute__((noreturn)) void fork_die(const char *what, int err);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that decides which programs count. SHELL. */
#ifndef FT_COUNTING_SOURCE_H
#define FT_COUNTING_SOURCE_H

#include "counting.h"

/* The one network namespace that is counted (its inode number); 0: all. */
uint32_t ft_counting_scope(const struct ft_counting *c);
/* 0, or an exit code after logging that there is no cgroup2. */
int ft_counting_default_cgroup(struct ft_counting *c);
/* Load the programs of the source that was asked for. Where nobody asked for one and tracing
 * programs cannot be loaded, sockops programs, which is said. 0, or an exit code after logging why.
 */
int ft_counting_load(struct ft_counting *c);
/* Whether counters of `pinned` are of the source that we would load now; it is c's then. */
bool ft_counting_fits(struct ft_counting *c, const struct ft_meta *pinned);

#endif

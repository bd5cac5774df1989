/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that finds hops by itself. SHELL. All return 0 or -errno. */
#ifndef FT_COUNTING_DISCOVER_H
#define FT_COUNTING_DISCOVER_H

#include "counting.h"

/* Into c->config: hops from all sockets of the namespaces and their owners. */
int ft_counting_discover_all(struct ft_counting *c);
/* While counting: hops for listeners and destinations that have appeared. */
int ft_counting_discover_new(struct ft_counting *c);
/* c->config from the hops that the kernel counts: the discovered ones. How many others there are,
 * which were configured: if any, everything is to be discovered again. */
int ft_counting_restore(struct ft_counting *c);
/* Say to readers who listens on configured accept hops that name no process. */
void ft_counting_name_owners(struct ft_counting *c);

#endif

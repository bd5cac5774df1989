/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that changes its hops while it counts. SHELL. */
#ifndef FT_COUNTING_RELOAD_H
#define FT_COUNTING_RELOAD_H

#include "counting.h"

/*
 * Count the hops of c->config from now on: those that were there go on counting, new ones get
 * their open flows, others retire. 0 or -errno; -E2BIG: more hops than there are places, and
 * c->config has none.
 */
int ft_counting_apply(struct ft_counting *c);

/* When discovering: c->config gets the hops that were found before, and if others were counted
 * until now, those that are to be found. 0 or -errno. */
int ft_counting_find_hops(struct ft_counting *c);

/* Whether the kernel counts just these hops already. */
bool ft_counting_same_hops(const struct ft_counting *c);

#endif

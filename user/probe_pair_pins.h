/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of pairs under names, for lists: the programs end with the agent. SHELL. All
 * functions return 0 or -errno unless they say otherwise. */
#ifndef FT_PROBE_PAIR_PINS_H
#define FT_PROBE_PAIR_PINS_H

#include "probe_pair.h"

#define FT_NPROBE_PAIR_PINS 2
extern const char *const ft_probe_pair_pins[FT_NPROBE_PAIR_PINS]; /* their names */

int ft_probe_pair_pin(const struct ft_probe_pair *p, const char *dir);
void ft_probe_pair_unpin(const char *dir);

/* Open flows of paired hops and their edges, as they are now; to be closed with
 * ft_pair_walk_close(). -ENOENT: no agent pairs. */
int ft_probe_pair_list(const char *dir, struct ft_pair_walk *ret);

#endif

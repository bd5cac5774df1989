/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The part of a session that pairs flows. SHELL. Without it everything else works: it is loaded
 * when there is an edge to pair, and its failure is said once. */
#ifndef FT_COUNTING_PAIR_H
#define FT_COUNTING_PAIR_H

#include <stdbool.h>
#include <stdint.h>

struct ft_counting;
struct ft_pairing;

/* Once a tick: load when there is something to pair, follow changes of the hops, walk when it is
 * due, and tell readers. pins: where the session's maps are pinned; NULL: nowhere. */
void ft_counting_pair(struct ft_counting *c);
/* Whether flows are paired, or would be if there were any. */
bool ft_counting_may_pair(const struct ft_counting *c);
/* As of the last tick: how many reads of connect hop b's flows were handed over to accept hop a's,
 * since pairing was loaded. 0 when it is not. */
uint64_t ft_counting_votes(const struct ft_counting *c, uint32_t b, uint32_t a);
/* Pairing is no longer wanted: end it, and say nothing more of it to readers. */
void ft_counting_pair_stop(struct ft_counting *c);
void ft_counting_pair_close(struct ft_counting *c); /* idempotent */

#endif

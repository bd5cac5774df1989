/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fantail show pairs: which open connection of B carries the bytes of which of A. SHELL. */
#ifndef FT_SHOW_PAIRS_H
#define FT_SHOW_PAIRS_H

#include "options.h"
#include "pair.h"
#include "probe.h"
#include "report.h"

/* place: only pairs that end in the hop there, or begin; -1 all. Returns the exit code. */
int ft_show_pairs(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place);

/* What pairing knows of flows, for their list: ids of pairs as `show pairs` names them. */
struct ft_pair_name {
	uint64_t key;  /* of the flow in the flow table */
	uint64_t a, b; /* the pair's id */
};
struct ft_pair_names {
	struct ft_pair_name *row; /* sorted by key; owned */
	size_t n;
	struct ft_pair_flow_row *flow; /* all that it has met; sorted by key; owned */
	size_t nflows;
};
/* Empty when there is no agent that pairs. 0 or -errno. */
int ft_pair_names(const char *pins, const struct ft_report *r, struct ft_pair_names *ret);
/* The flow with this key, if pairing has met it; else NULL. */
const struct ft_pair_flow *ft_pair_names_flow(const struct ft_pair_names *names, uint64_t key,
					      const struct ft_flow *flow);
void ft_pair_names_close(struct ft_pair_names *names);

#endif

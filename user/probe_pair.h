/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The pairing programs: load, tell them the hops, read, take down. They share the flow table of
 * the counting programs, which must be attached before. SHELL.
 *
 * All functions return 0 or -errno unless they say otherwise.
 */
#ifndef FT_PROBE_PAIR_H
#define FT_PROBE_PAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pair.h"

enum ft_pair_map {
	FT_PAIR_MAP_FLOWS,
	FT_PAIR_MAP_EDGES,
	FT_PAIR_MAP_THREADS,
	FT_PAIR_MAP_CLOSED,
	FT_PAIR_MAP_STATS,
	FT_PAIR_MAP_TOTALS,
	FT_PAIR_MAP_CONTROL,
	FT_NPAIR_MAPS
};
enum ft_pair_link {
	FT_PAIR_LINK_READ,
	FT_PAIR_LINK_SEND, /* the tracepoint, or tcp_sendmsg */
	FT_PAIR_LINK_SEND_OUT,
	FT_PAIR_LINK_PAGE,
	FT_PAIR_LINK_PAGE_OUT,
	FT_PAIR_LINK_STATE,
	FT_PAIR_LINK_AGAIN,
	FT_NPAIR_LINKS
};
/* How writes are seen; tried in this order. */
enum ft_pair_door { FT_PAIR_TRACEPOINT, FT_PAIR_FEXIT, FT_PAIR_KPROBE, FT_NPAIR_DOORS };

struct ft_probe_pair {
	int map[FT_NPAIR_MAPS];
	int link[FT_NPAIR_LINKS], program[FT_NPAIR_LINKS];
	int flows; /* the counting programs' table; not owned */
	int ncpus;
	enum ft_pair_door door;
	void *skeleton;
	struct ft_pair_control plan;
	uint64_t *suspect; /* flows whose end may have been missed: ids, sorted */
	size_t nsuspect;
	uint64_t missed_close;
};
#define FT_PROBE_PAIR_NONE                                                                         \
	{                                                                                          \
		.map = {[0 ... FT_NPAIR_MAPS - 1] = -1},                                           \
		.link = {[0 ... FT_NPAIR_LINKS - 1] = -1},                                         \
		.program = {[0 ... FT_NPAIR_LINKS - 1] = -1}, .flows = -1                          \
	}

struct ft_probe_pair_options {
	uint32_t max_flows;	      /* capacity of the counting table */
	uint32_t max_edges;	      /* 0: 131072 */
	bool keep_ended;	      /* tests: edges stay until they are read */
	enum ft_pair_door first_door; /* tests: do not try those before it */
};

/* Load and attach, after the counting programs of source tracepoint. flows: their ft_flows. On
 * failure one line for the user, with the remedy, in why: everything else goes on without. */
int ft_probe_pair_load(struct ft_probe_pair *p, int flows, const struct ft_probe_pair_options *o,
		       char *why, size_t why_len);
/* What ft_pair_plan() made; again whenever the hops change. */
int ft_probe_pair_set(struct ft_probe_pair *p, const struct ft_pair_control *plan);
/* Ask for byte signatures of the fork that ends in hop (and its a's), or no longer. */
int ft_probe_pair_keep_closed(struct ft_probe_pair *p, uint32_t hop, bool keep);

/* Counters: O(hops). */
int ft_probe_pair_read(const struct ft_probe_pair *p, uint32_t nhops,
		       struct ft_pair_stats stats[FT_MAX_HOPS], struct ft_pair_totals *ret);

/* A walk: O(flows + pairs). Rows are malloc'ed, owned by the caller; flows are sorted by id. */
struct ft_pair_walk {
	struct ft_pair_flow_row *flow;
	size_t nflows;
	struct ft_pair_edge_row *edge;
	size_t nedges;
	struct ft_pair_open open;
	uint64_t walk_ns;
};
/* Read what is open, of p's maps of flows and edges: each row once, flows first. */
int ft_probe_pair_rows(const struct ft_probe_pair *p, struct ft_pair_walk *ret);
/*
 * The same, folded; unless keep, remove edges that have lost a flow - adding them to
 * ended[fork][pattern] - and flows whose end was not seen, and threads not used for a minute.
 */
int ft_probe_pair_walk(struct ft_probe_pair *p, bool keep,
		       uint64_t ended[FT_MAX_HOPS][FT_NPAIR_PATTERNS], struct ft_pair_walk *ret);
void ft_pair_walk_close(struct ft_pair_walk *w);
/* Closed flows since the last call, appended to *rows; they are removed. */
int ft_probe_pair_closed(struct ft_probe_pair *p, struct ft_pair_closed_row **rows, size_t *nrows);

/* Detaches; NULL-safe and idempotent. */
void ft_probe_pair_close(struct ft_probe_pair *p);

#endif

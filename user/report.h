/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a snapshot means, ready to be said: the only input of the views. An absent number is
 * NAN (doubles) or flagged; a ratio without a denominator is absent, never 0 or infinity. */
#ifndef FT_REPORT_H
#define FT_REPORT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fantail.h"
#include "snapshot.h"

/* Absent (NAN) without a denominator. */
static inline double ft_ratio(double numerator, double denominator)
{
	return denominator > 0 ? numerator / denominator : NAN;
}
/* What a counter has grown by; one that fell has not. */
static inline uint64_t ft_minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

enum ft_window { FT_1S, FT_10S, FT_1M, FT_5M, FT_NWINDOWS };
extern const char *const ft_window_name[FT_NWINDOWS]; /* "1s" "10s" "1m" "5m" */
extern const unsigned int ft_window_seconds[FT_NWINDOWS];

/* The places of a hop that has a `limit`: who holds them, and how soon they come free. */
struct ft_report_places {
	uint64_t used; /* connect hop: its flows; accept hop: its flows that are not held */
	uint64_t idle; /* of them, those without a byte for more than a second */
	double idle_oldest_seconds;
	double drain_per_second; /* the idle ones, at one keep-alive time each; NAN: none is idle */
	uint64_t held;		 /* flows that wait for a place: of this accept hop, or of `from` */
	double held_oldest_seconds;
};

struct ft_report_hop {
	unsigned int place; /* of its counters: its index in the snapshot, its number in flows */
	char name[FT_NAME_LEN];
	char port[FT_TEXT_LEN];
	char process[FT_COMM_LEN];
	uint8_t side;
	int from;	/* index into hop[]; -1 none */
	int depth;	/* 0 for roots; the tree's order is order[] */
	uint32_t limit; /* 0 none */
	bool discovered;
	uint64_t active, preexisting, opened;
	uint64_t closed[FT_NCLOSED], failed[FT_NFAILED];
	uint64_t state[FT_NSTATES]; /* gauges; TIME_WAIT and SYN_RECV only if scanned */
	uint64_t transition[FT_NSTATES][FT_NSTATES];
	double rate[FT_NWINDOWS];	 /* opened per second; NAN: window not covered yet */
	uint64_t lifetime[FT_NLIFETIME]; /* flows per bucket, not cumulative */
	double lifetime_sum_seconds;
	uint64_t lifetime_count;
	uint32_t peers; /* FT_PEERS_UNKNOWN: absent */
	double keepalive_seconds;
	uint64_t one_shot;		 /* of the closed flows */
	double one_shot_share;		 /* NAN: none has closed */
	double one_shot_in[FT_NWINDOWS]; /* the same of those that closed in the window */
	/* Of pairing; NAN where it does not look, or not since the window began: */
	double exchange_rate[FT_NWINDOWS];	/* per second */
	double flows_per_exchange[FT_NWINDOWS]; /* opened / exchanges; NAN: no exchange */
	double wait_seconds[FT_NWINDOWS]; /* accept hops: mean queue wait; NAN: none was served */
	/* From the last scan; meaningless unless ft_report.scanned. */
	struct ft_hop_scan found;
	struct ft_hop_limits limits;
	struct ft_report_places places; /* if limit is not 0 */
	struct ft_hop_pairs pairs;	/* role NONE: pairing has nothing to say of it */
	int64_t held_check; /* active minus that of the one hop with a limit behind it; -1 none */
};

struct ft_report_edge {
	int from, to;		     /* indices into hop[] */
	bool from_start;	     /* both hops were counted since the start */
	double stock;		     /* active(to) / active(from) */
	double flow[FT_NWINDOWS];    /* opened(to) / opened(from) in the window */
	double flow_start;	     /* the same since start */
	bool covered[FT_NWINDOWS];   /* both hops were counted through the whole window */
	double renewal[FT_NWINDOWS]; /* opened(to) per second and per active flow of from */
	uint64_t opened_to[FT_NWINDOWS], opened_from[FT_NWINDOWS]; /* of the flow ratios */
};

struct ft_report {
	uint64_t real_ns;
	double uptime_seconds;
	double start_time_seconds; /* Unix time when counting began */
	char host[65];
	char version[32];
	uint8_t source;
	bool counting; /* false: no agent is alive; the kernel goes on counting */
	uint32_t max_flows;
	uint64_t table_entries; /* flows in the table now */
	unsigned int nhops;	/* without the retired ones */
	struct ft_report_hop hop[FT_MAX_HOPS];
	int hop_at[FT_MAX_HOPS];	 /* place -> index into hop[]; -1: none, or retired */
	unsigned int order[FT_MAX_HOPS]; /* the tree, parents before children, siblings together */
	unsigned int nedges;
	struct ft_report_edge edge[FT_MAX_HOPS];
	uint64_t loss[FT_NLOSS];
	uint64_t loss_total;
	uint64_t rescued;
	uint64_t undiscovered;		   /* connects before their destination was a hop */
	uint64_t pair_loss[FT_NPAIR_LOSS]; /* what pairing had no room for, or missed */
	bool scanned; /* false: no scan has ended yet, or the source has none */
	double scan_seconds, scan_period_seconds, scan_age_seconds;
	uint64_t scan_sockets;
};

/* Whether pairing runs, or has lost something. */
static inline bool ft_report_pairs(const struct ft_report *r)
{
	for (unsigned int i = 0; i < r->nhops; i++)
		if (r->hop[i].pairs.role != FT_PAIR_NONE)
			return true;
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		if (r->pair_loss[i])
			return true;
	return false;
}

/* A ratio from here on is a multiplier worth naming. */
#define FT_RATIO_HIGH 1.5

/* Distinct flows of `to` per flow of `from`, over a set of these; NAN: it is empty. Low and high
 * are apart, and the mean is NAN, when only an interval can be told. */
struct ft_report_mean {
	double mean, low, high;
	uint64_t flows, partners, max; /* max of `recent`: of the open ones */
};
/* What pairing says of the edge that ends in the hop; NAN: nothing. */
struct ft_report_paired {
	bool known;    /* pairing looks at this edge, and has seen enough to judge */
	bool pairable; /* its programs tell; else there is only the confidence */
	struct ft_report_mean all, closed, open; /* since pairing began */
	struct ft_report_mean recent;		 /* open, or closed within the last minute */
	double confidence, coverage;		 /* 0..1 */
	double reuse_mean;			 /* distinct flows of `from` per flow of `to` */
};
void ft_report_paired(const struct ft_report_hop *to, struct ft_report_paired *ret);
/* New flows of the hop per exchange on them, since pairing began: 1 when none is used twice. */
double ft_report_flows_per_exchange(const struct ft_report_hop *h);
/* One of a hop's windows to show: 1 m, else 10 s while that is not covered yet, else what is known
 * since start, if that was just now; NAN when absent. */
double ft_report_recent(const struct ft_report *r, const double in[FT_NWINDOWS],
			double since_start);
/* Exchanges per second to show: over 10 s, else 1 s. */
double ft_report_exchange_rate(const struct ft_report_hop *h);
/* How many of an accept hop's flows were served, ever. */
uint64_t ft_report_waits(const struct ft_hop_pairs *p);
/* Mean queue wait of an accept hop to show, seconds. */
double ft_report_wait(const struct ft_report *r, const struct ft_report_hop *h);

/* Flows of the hop without a byte for longer than bound i of FT_IDLE_BOUNDS_S. */
uint64_t ft_report_idle(const struct ft_report_hop *h, unsigned int i);
/* "queue: 15/15 places, 15 idle (longest 42s) free 0.2/s; nlb holds 85, oldest 40s" for a hop
 * with a limit, as ASCII; "" if nothing is known of it. */
void ft_report_places_line(const struct ft_report *r, unsigned int hop, char *ret, size_t size);

/* The hop whose number flows carry; NULL when it is retired, or never was. */
const struct ft_report_hop *ft_report_hop_at(const struct ft_report *r, int place);
/* The edge that ends in `hop`; NULL when nothing leads to it. */
const struct ft_report_edge *ft_report_edge_to(const struct ft_report *r, unsigned int hop);
/* The flow ratio to show: over 1 m, else 10 s while 1 m is not covered yet, else since
 * start; NAN when absent. *ret_window (may be NULL): "1m", "10s" or "start". */
double ft_report_flow(const struct ft_report *r, const struct ft_report_edge *e,
		      const char **ret_window);
/* The rate to show: over 10 s, else 1 s, else since start. */
double ft_report_rate(const struct ft_report *r, unsigned int hop);
/*
 * The edge that multiplies most: by stock ratio where one is >= FT_RATIO_HIGH; else by flow
 * ratio where one is (*ret_by_flow: renewal behind connections that stay looks like this
 * too); else the highest stock ratio. NULL when no edge has a stock ratio.
 */
const struct ft_report_edge *ft_report_worst(const struct ft_report *r, bool *ret_by_flow);

#endif

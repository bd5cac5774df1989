/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* THE table of metrics: one row per Prometheus family; a new metric is a row. PURE. */
#ifndef FT_METRIC_H
#define FT_METRIC_H

#include "report.h"
#include "view.h"

enum ft_metric_type { FT_GAUGE, FT_COUNTER, FT_SUMMARY, FT_HISTOGRAM };

/* What a family has a series for, and with which labels. */
enum ft_metric_scope {
	FT_PER_AGENT,	   /* one series, no label */
	FT_PER_BUILD,	   /* one series: version, source */
	FT_PER_SIDE,	   /* every hop: hop, side */
	FT_PER_HOP,	   /* every hop: hop */
	FT_PER_CLOSED,	   /* every hop and enum ft_closed: hop, reason */
	FT_PER_FAILED,	   /* every connect hop and enum ft_failed: hop, reason */
	FT_PER_STATE,	   /* every hop and exported state: hop, state */
	FT_PER_TRANSITION, /* every hop and exported transition: hop, from, to */
	FT_PER_LIFETIME,   /* every hop: hop, le; a histogram */
	FT_PER_RATIO, /* every edge: from, to, kind (index 0 stock, 1 flow, 2 paired, if told) */
	FT_PER_EDGE,  /* every edge: from, to; a summary (index 0 sum, 1 count) */
	FT_PER_WAIT,  /* every accept hop that is paired: hop, le; a histogram */
	FT_PER_LOSS,  /* every enum ft_loss, and one for pairs if there are any: reason */
	FT_NSCOPES
};

/* Where a row's value is asked for; what its scope does not name is NULL or 0. */
struct ft_metric_at {
	const struct ft_report *report;
	const struct ft_view_agent *agent;
	const struct ft_report_hop *hop;
	const struct ft_report_edge *edge;
	unsigned int index;  /* reason, state, kind; transition: from */
	unsigned int second; /* transition: to */
};

struct ft_metric {
	const char *name; /* without suffixes that the type adds: _sum, _count, _bucket */
	enum ft_metric_type type;
	enum ft_metric_scope scope;
	const char *unit; /* "seconds", "flows", …; "" when it has none */
	const char *help;
	double (*value)(const struct ft_metric_at *at); /* NAN: absent. NULL: FT_PER_LIFETIME */
	bool skip_absent; /* true: no series then; false: the series says NaN */
};

extern const struct ft_metric ft_metrics[];
extern const unsigned int ft_nmetrics;

const char *ft_metric_type_name(enum ft_metric_type type); /* "gauge", … */

/* The states that are exported on this side: accepted flows are never in SYN_SENT. */
bool ft_metric_state_exported(unsigned int side, unsigned int state);

/* The transitions that are exported: how a flow of this side arrives, and who begins to end it.
 * The rest can be told from those, from closed and from the states. */
bool ft_metric_transition_exported(unsigned int side, unsigned int from, unsigned int to);

/* Bounds of the exported lifetime histogram: some of the counted ones, because series are
 * what a server pays for. Index into ft_lifetime_bounds_ms. */
extern const unsigned int ft_metric_lifetime_bounds[];
extern const unsigned int ft_metric_nlifetime_bounds;

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The Prometheus text: walks the table of metrics, and for each row everything that the
 * row's scope names. A label value that is not UTF-8 would make node_exporter skip the whole
 * file, so that every one is cleaned here, whatever the report holds. */
#include <math.h>

#include "metric.h"
#include "tcp.h"
#include "view.h"

struct prom {
	struct ft_buf *out;
	const struct ft_metric *metric;
	struct ft_metric_at at;
};

/* One label, "{" or "," before it. */
static void label(struct ft_buf *out, char before, const char *key, const char *value)
{
	char clean[FT_TEXT_LEN];

	ft_text_utf8(value, sizeof(clean) - 1, clean, sizeof(clean));
	ft_buf_printf(out, "%c%s=\"", before, key);
	for (const char *c = clean; *c; c++) {
		if (*c == '\n')
			ft_buf_add(out, "\\n", 2);
		else if (*c == '"' || *c == '\\')
			ft_buf_printf(out, "\\%c", *c);
		else
			ft_buf_add(out, c, 1);
	}
	ft_buf_add(out, "\"", 1);
}

/* 15 digits hold every count below 10^15 and a time in ms exactly. */
static void value(struct ft_buf *out, double v)
{
	if (isnan(v))
		ft_buf_printf(out, " NaN\n");
	else
		ft_buf_printf(out, " %.15g\n", v);
}

/* The series of p->at with up to three labels; an unused key is NULL. */
static void series(struct prom *p, const char *suffix, const char *const label_of[3][2])
{
	double v = p->metric->value(&p->at);
	char before = '{';

	if (isnan(v) && p->metric->skip_absent)
		return;
	ft_buf_printf(p->out, "%s%s", p->metric->name, suffix);
	for (unsigned int i = 0; i < 3 && label_of[i][0]; i++) {
		label(p->out, before, label_of[i][0], label_of[i][1]);
		before = ',';
	}
	if (before == ',')
		ft_buf_add(p->out, "}", 1);
	value(p->out, v);
}

#define LABELS(...) ((const char *const[3][2]){__VA_ARGS__})

static void per_agent(struct prom *p)
{
	series(p, "", LABELS({NULL}));
}

static void per_build(struct prom *p)
{
	series(p, "",
	       LABELS({"version", p->at.report->version},
		      {"source", ft_source_name(p->at.report->source)}));
}

static void per_side(struct prom *p)
{
	series(p, "", LABELS({"hop", p->at.hop->name}, {"side", ft_side_name(p->at.hop->side)}));
}

static void per_hop(struct prom *p)
{
	series(p, "", LABELS({"hop", p->at.hop->name}));
}

static void per_closed(struct prom *p)
{
	for (p->at.index = 0; p->at.index < FT_NCLOSED; p->at.index++)
		series(p, "",
		       LABELS({"hop", p->at.hop->name}, {"reason", ft_closed_name(p->at.index)}));
}

static void per_failed(struct prom *p)
{
	if (p->at.hop->side != FT_CONNECT)
		return;
	for (p->at.index = 0; p->at.index < FT_NFAILED; p->at.index++)
		series(p, "",
		       LABELS({"hop", p->at.hop->name}, {"reason", ft_failed_name(p->at.index)}));
}

static void per_state(struct prom *p)
{
	for (p->at.index = 0; p->at.index < FT_NSTATES; p->at.index++)
		if (ft_metric_state_exported(p->at.hop->side, p->at.index))
			series(p, "",
			       LABELS({"hop", p->at.hop->name},
				      {"state", ft_state_label(p->at.index)}));
}

static void per_transition(struct prom *p)
{
	for (unsigned int from = 0; from < FT_NSTATES; from++)
		for (unsigned int to = 0; to < FT_NSTATES; to++) {
			if (!ft_metric_transition_exported(p->at.hop->side, from, to))
				continue;
			p->at.index = from;
			p->at.second = to;
			series(p, "",
			       LABELS({"hop", p->at.hop->name}, {"from", ft_state_label(from)},
				      {"to", ft_state_label(to)}));
		}
}

static void bucket(struct prom *p, const char *le, uint64_t count)
{
	ft_buf_printf(p->out, "%s_bucket", p->metric->name);
	label(p->out, '{', "hop", p->at.hop->name);
	label(p->out, ',', "le", le);
	ft_buf_printf(p->out, "} %llu\n", (unsigned long long)count);
}

static void sum_and_count(struct prom *p, double sum, uint64_t count)
{
	ft_buf_printf(p->out, "%s_sum", p->metric->name);
	label(p->out, '{', "hop", p->at.hop->name);
	ft_buf_add(p->out, "}", 1);
	value(p->out, sum);
	ft_buf_printf(p->out, "%s_count", p->metric->name);
	label(p->out, '{', "hop", p->at.hop->name);
	ft_buf_printf(p->out, "} %llu\n", (unsigned long long)count);
}

static void per_lifetime(struct prom *p)
{
	const struct ft_report_hop *h = p->at.hop;
	uint64_t below = 0;
	unsigned int slot = 0;
	char le[32];

	for (unsigned int i = 0; i < ft_metric_nlifetime_bounds; i++) {
		unsigned int bound = ft_metric_lifetime_bounds[i];

		while (slot <= bound)
			below += h->lifetime[slot++];
		snprintf(le, sizeof(le), "%g", ft_lifetime_bounds_ms[bound] / 1000.0);
		bucket(p, le, below);
	}
	bucket(p, "+Inf", h->lifetime_count);
	sum_and_count(p, h->lifetime_sum_seconds, h->lifetime_count);
}

/* 100 ms, 1 s, 10 s: some of those that are counted. Index into FT_PAIR_WAIT_BOUNDS_MS. */
static const unsigned int wait_bounds[] = {4, 7, 10};

static void per_wait(struct prom *p)
{
	static const unsigned int bounds_ms[] = FT_PAIR_WAIT_BOUNDS_MS;
	const struct ft_hop_pairs *w = &p->at.hop->pairs;
	uint64_t below = 0;
	unsigned int slot = 0;
	char le[32];

	if (w->role != FT_PAIR_A)
		return;
	for (unsigned int i = 0; i < sizeof(wait_bounds) / sizeof(wait_bounds[0]); i++) {
		while (slot <= wait_bounds[i])
			below += w->wait[slot++];
		snprintf(le, sizeof(le), "%g", bounds_ms[wait_bounds[i]] / 1000.0);
		bucket(p, le, below);
	}
	while (slot < FT_NPAIR_WAIT)
		below += w->wait[slot++];
	bucket(p, "+Inf", below);
	sum_and_count(p, w->wait_sum_ns / 1e9, below);
}

static void per_ratio(struct prom *p)
{
	static const char *const kind[] = {"stock", "flow", "paired"};
	const struct ft_report_hop *hop = p->at.report->hop;

	for (p->at.index = 0; p->at.index < 3; p->at.index++) {
		/* of most edges pairing cannot speak: no series, rather than one of NaN */
		if (p->at.index == 2 && isnan(p->metric->value(&p->at)))
			continue;
		series(p, "",
		       LABELS({"from", hop[p->at.edge->from].name},
			      {"to", hop[p->at.edge->to].name}, {"kind", kind[p->at.index]}));
	}
}

static void per_edge(struct prom *p)
{
	static const char *const suffix[] = {"_sum", "_count"};
	const struct ft_report_hop *hop = p->at.report->hop;

	for (p->at.index = 0; p->at.index < 2; p->at.index++)
		series(p, suffix[p->at.index],
		       LABELS({"from", hop[p->at.edge->from].name},
			      {"to", hop[p->at.edge->to].name}));
}

static void per_loss(struct prom *p)
{
	for (p->at.index = 0; p->at.index < FT_NLOSS; p->at.index++)
		series(p, "", LABELS({"reason", ft_loss_name(p->at.index)}));
	series(p, "", LABELS({"reason", "pairs"}));
}

enum subject { ONCE, EACH_HOP, EACH_EDGE };

static const struct {
	enum subject subject;
	void (*print)(struct prom *p);
} scopes[] = {
	[FT_PER_AGENT] = {ONCE, per_agent},
	[FT_PER_BUILD] = {ONCE, per_build},
	[FT_PER_SIDE] = {EACH_HOP, per_side},
	[FT_PER_HOP] = {EACH_HOP, per_hop},
	[FT_PER_CLOSED] = {EACH_HOP, per_closed},
	[FT_PER_FAILED] = {EACH_HOP, per_failed},
	[FT_PER_STATE] = {EACH_HOP, per_state},
	[FT_PER_TRANSITION] = {EACH_HOP, per_transition},
	[FT_PER_LIFETIME] = {EACH_HOP, per_lifetime},
	[FT_PER_RATIO] = {EACH_EDGE, per_ratio},
	[FT_PER_EDGE] = {EACH_EDGE, per_edge},
	[FT_PER_WAIT] = {EACH_HOP, per_wait},
	[FT_PER_LOSS] = {ONCE, per_loss},
};
_Static_assert(sizeof(scopes) / sizeof(scopes[0]) == FT_NSCOPES, "a scope has no printer");

static void family(struct prom *p)
{
	const struct ft_report *r = p->at.report;
	enum subject subject = scopes[p->metric->scope].subject;
	unsigned int n = subject == EACH_HOP ? r->nhops : subject == EACH_EDGE ? r->nedges : 1;

	ft_buf_printf(p->out, "# HELP %s %s\n# TYPE %s %s\n", p->metric->name, p->metric->help,
		      p->metric->name, ft_metric_type_name(p->metric->type));
	for (unsigned int i = 0; i < n; i++) {
		p->at.hop = subject == EACH_HOP ? &r->hop[i] : NULL;
		p->at.edge = subject == EACH_EDGE ? &r->edge[i] : NULL;
		p->at.index = p->at.second = 0;
		scopes[p->metric->scope].print(p);
	}
}

void ft_view_prom(const struct ft_report *r, const struct ft_view_agent *a, struct ft_buf *out)
{
	struct prom p = {.out = out, .at = {.report = r, .agent = a}};

	for (unsigned int i = 0; i < ft_nmetrics; i++) {
		p.metric = &ft_metrics[i];
		family(&p);
	}
}

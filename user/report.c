/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What to say of a report: which of its numbers stands for the others, the same in every view. */
#include <stdio.h>

#include "pair.h"
#include "report.h"

#define NS_PER_S 1000000000ULL

const char *const ft_window_name[FT_NWINDOWS] = {"1s", "10s", "1m", "5m"};
const unsigned int ft_window_seconds[FT_NWINDOWS] = {1, 10, 60, 300};

uint64_t ft_report_waits(const struct ft_hop_pairs *p)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < FT_NPAIR_WAIT; i++)
		n += p->wait[i];
	return n;
}

static double share(uint64_t thousandths)
{
	return thousandths >= FT_PAIR_NO_SHARE ? NAN : (double)thousandths / 1000;
}

static struct ft_report_mean mean_of(const struct ft_pair_mean *m, uint64_t max, bool exact)
{
	struct ft_report_mean ret = {
		.mean = NAN,
		.low = ft_ratio((double)m->partners, (double)m->flows),
		.high = ft_ratio((double)m->most, (double)m->flows),
		.flows = m->flows,
		.partners = m->partners,
		.max = max,
	};

	if (exact)
		ret.mean = ret.high = ret.low;
	return ret;
}

static struct ft_pair_mean together(const struct ft_pair_mean *a, const struct ft_pair_mean *b)
{
	return (struct ft_pair_mean){a->flows + b->flows, a->partners + b->partners,
				     a->most + b->most};
}

void ft_report_paired(const struct ft_report_hop *to, struct ft_report_paired *ret)
{
	static const struct ft_report_mean unknown = {.mean = NAN, .low = NAN, .high = NAN};
	const struct ft_hop_pairs *p = &to->pairs;
	struct ft_pair_mean all = together(&p->closed, &p->open);
	bool exact = p->class > FT_PAIR_INTERVAL;

	*ret = (struct ft_report_paired){
		.known = p->role == FT_PAIR_B && p->class != FT_PAIR_UNKNOWN,
		.pairable = p->class > FT_PAIR_NOT,
		.all = unknown,
		.closed = unknown,
		.open = unknown,
		.recent = unknown,
		.confidence = share(p->confidence),
		.coverage = share(p->coverage),
		.reuse_mean = NAN,
	};
	if (!ret->known || !ret->pairable)
		return;
	ret->all = mean_of(&all, p->closed_max > p->open_max ? p->closed_max : p->open_max, exact);
	ret->closed = mean_of(&p->closed, p->closed_max, exact);
	ret->open = mean_of(&p->open, p->open_max, exact);
	ret->recent = mean_of(&p->recent, p->open_max, exact);
	ret->reuse_mean = ft_ratio((double)p->reuse_partners, (double)p->reuse_flows);
}

double ft_report_flows_per_exchange(const struct ft_report_hop *h)
{
	if (h->pairs.role == FT_PAIR_NONE)
		return NAN;
	return ft_ratio((double)ft_minus(h->opened, h->pairs.opened_before),
			(double)h->pairs.exchanges);
}

uint64_t ft_report_idle(const struct ft_report_hop *h, unsigned int i)
{
	uint64_t n = 0;

	for (i++; i < FT_NIDLE; i++)
		n += h->found.idle[i];
	return n;
}

void ft_report_places_line(const struct ft_report *r, unsigned int hop, char *ret, size_t size)
{
	const struct ft_report_hop *h = &r->hop[hop];
	const struct ft_report_places *p = &h->places;
	char name[FT_NAME_LEN], line[FT_NAME_LEN];
	size_t len;

	ret[0] = 0;
	if (!r->scanned || !h->limit)
		return;
	ft_text_ascii(h->name, sizeof(name), name, sizeof(name));
	ft_text_ascii(h->side == FT_ACCEPT || h->from < 0 ? h->name : r->hop[h->from].name,
		      sizeof(line), line, sizeof(line));
	len = snprintf(ret, size, "%s: %llu/%u places", name, (unsigned long long)p->used,
		       h->limit);
	if (p->idle && len < size)
		len += snprintf(ret + len, size - len, ", %llu idle (longest %.0fs) free %.2g/s",
				(unsigned long long)p->idle, p->idle_oldest_seconds,
				p->drain_per_second);
	if (p->held && len < size)
		snprintf(ret + len, size - len, "; %s holds %llu, oldest %.0fs", line,
			 (unsigned long long)p->held, p->held_oldest_seconds);
}

const struct ft_report_hop *ft_report_hop_at(const struct ft_report *r, int place)
{
	int hop = place < 0 || place >= FT_MAX_HOPS ? -1 : r->hop_at[place];

	return hop < 0 ? NULL : &r->hop[hop];
}

const struct ft_report_edge *ft_report_edge_to(const struct ft_report *r, unsigned int hop)
{
	for (unsigned int i = 0; i < r->nedges; i++)
		if ((unsigned int)r->edge[i].to == hop)
			return &r->edge[i];
	return NULL;
}

/* What was counted since the start stands for a window that is not covered yet, and for no other: a
 * recording begins without history, however old its counters are. */
static bool began_just_now(const struct ft_report *r)
{
	return r->uptime_seconds <= ft_window_seconds[FT_10S];
}

double ft_report_flow(const struct ft_report *r, const struct ft_report_edge *e,
		      const char **ret_window)
{
	static const enum ft_window preferred[] = {FT_1M, FT_10S};
	const char *name = "start";
	double value = began_just_now(r) && e->from_start ? e->flow_start : NAN;

	for (unsigned int i = 2; i-- > 0;) {
		/* A covered window in which nothing opened is an answer, not a gap. */
		if (!e->covered[preferred[i]])
			continue;
		name = ft_window_name[preferred[i]];
		value = e->flow[preferred[i]];
	}
	if (ret_window)
		*ret_window = name;
	return value;
}

double ft_report_recent(const struct ft_report *r, const double in[FT_NWINDOWS], double since_start)
{
	if (!isnan(in[FT_1M]))
		return in[FT_1M];
	if (!isnan(in[FT_10S]))
		return in[FT_10S];
	return began_just_now(r) ? since_start : NAN;
}

double ft_report_exchange_rate(const struct ft_report_hop *h)
{
	return isnan(h->exchange_rate[FT_10S]) ? h->exchange_rate[FT_1S] : h->exchange_rate[FT_10S];
}

double ft_report_wait(const struct ft_report *r, const struct ft_report_hop *h)
{
	double all = ft_ratio((double)h->pairs.wait_sum_ns / NS_PER_S,
			      (double)ft_report_waits(&h->pairs));

	return ft_report_recent(r, h->wait_seconds, all);
}

double ft_report_rate(const struct ft_report *r, unsigned int hop)
{
	const struct ft_report_hop *h = &r->hop[hop];

	if (!isnan(h->rate[FT_10S]))
		return h->rate[FT_10S];
	if (!isnan(h->rate[FT_1S]))
		return h->rate[FT_1S];
	return began_just_now(r) ? ft_ratio((double)h->opened, r->uptime_seconds) : NAN;
}

/* Two ends of the same connections, as discovery put them together: the ratio says only who else
 * connects. */
static bool two_ends(const struct ft_report *r, const struct ft_report_edge *e)
{
	return r->hop[e->from].side == FT_CONNECT && r->hop[e->to].side == FT_ACCEPT &&
	       r->hop[e->to].discovered;
}

const struct ft_report_edge *ft_report_worst(const struct ft_report *r, bool *ret_by_flow)
{
	const struct ft_report_edge *stock = NULL, *flow = NULL;
	double most = FT_RATIO_HIGH;

	for (unsigned int i = 0; i < r->nedges; i++) {
		const struct ft_report_edge *e = &r->edge[i];
		double f = ft_report_flow(r, e, NULL);

		if (two_ends(r, e))
			continue;
		/* Comparisons with an absent ratio (NAN) are false. */
		if (e->stock > (stock ? stock->stock : -1))
			stock = e;
		if (f >= most) {
			most = f;
			flow = e;
		}
	}
	*ret_by_flow = flow && !(stock && stock->stock >= FT_RATIO_HIGH);
	return *ret_by_flow ? flow : stock;
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the counters mean: gauges, windows, ratios and the tree of hops. Integers stay
 * integers up to the one division that makes a ratio, so that a ratio is exact; the integral
 * of `active` may wrap, and only its differences are used. A snapshot can come from a file,
 * so that `from` is believed only after its chain was followed to an end. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "model.h"
#include "pair.h"

/* Seconds until discovery has looked a second time. */
#define FIRST_LOOK 2
#define NS_PER_S   1000000000ULL

static unsigned int hops_of(const struct ft_snapshot *s)
{
	return s->nhops < FT_MAX_HOPS ? s->nhops : FT_MAX_HOPS;
}

static const struct ft_sample *last_row(const struct ft_history *h)
{
	return h->count ? &h->row[h->count - 1] : NULL;
}

/* The integral of hop i's `active` at the snapshot, continuing the history's. */
static uint64_t integral(const struct ft_history *h, const struct ft_snapshot *s, unsigned int i)
{
	const struct ft_sample *last = last_row(h);
	uint64_t now = ft_hop_active(&s->stats[i]), then = now;

	if (!last)
		return 0;
	if (h->active_mono_ns == last->mono_ns)
		then = h->active[i];
	return last->hop[i].active_ns + (then + now) * ft_minus(s->mono_ns, last->mono_ns) / 2;
}

void ft_history_add(struct ft_history *h, const struct ft_snapshot *s)
{
	const struct ft_sample *last = last_row(h);
	struct ft_sample row = {.mono_ns = s->mono_ns};

	if (last && s->mono_ns <= last->mono_ns)
		return;
	for (unsigned int i = 0; i < hops_of(s); i++)
		row.hop[i] = (struct ft_hop_sample){
			.opened = s->stats[i].opened,
			.active_ns = integral(h, s, i),
			.closed = ft_hop_closed(&s->stats[i]),
			.one_shot = s->stats[i].one_shot,
			.exchanges = s->pairs[i].exchanges,
			.waits = ft_report_waits(&s->pairs[i]),
			.wait_sum_ns = s->pairs[i].wait_sum_ns,
		};
	if (h->count == FT_HISTORY) {
		memmove(h->row, h->row + 1, sizeof(h->row) - sizeof(h->row[0]));
		h->count--;
	}
	h->row[h->count++] = row;
	memset(h->active, 0, sizeof(h->active));
	for (unsigned int i = 0; i < hops_of(s); i++)
		h->active[i] = ft_hop_active(&s->stats[i]);
	h->active_mono_ns = s->mono_ns;
}

bool ft_history_wants(const struct ft_history *h, const struct ft_snapshot *s)
{
	const struct ft_sample *last = last_row(h);

	return !last || s->mono_ns >= last->mono_ns + NS_PER_S - NS_PER_S / 20;
}

/* The row to compare with: nearest in age among those that may stand for the window. Rows
 * from before the counters were made belong to other counters. */
static const struct ft_sample *window_row(const struct ft_snapshot *s, const struct ft_history *h,
					  enum ft_window w)
{
	uint64_t want = ft_window_seconds[w] * NS_PER_S, best = UINT64_MAX;
	const struct ft_sample *ret = NULL;

	for (unsigned int i = 0; i < h->count; i++) {
		const struct ft_sample *row = &h->row[i];
		uint64_t age = s->mono_ns - row->mono_ns, off;

		if (row->mono_ns >= s->mono_ns || row->mono_ns < s->start_ns)
			continue;
		if (age < want / 10 * 8 || age > want / 2 * 3 + NS_PER_S)
			continue;
		off = age > want ? age - want : want - age;
		if (off < best) {
			best = off;
			ret = row;
		}
	}
	return ret;
}

/* --- hops --- */

static void build_hop(const struct ft_snapshot *s, unsigned int i, struct ft_report_hop *ret)
{
	const struct ft_hop_def *d = &s->def[i];
	const struct ft_hop_stats *st = &s->stats[i];

	_Static_assert(sizeof(ret->transition) == sizeof(st->transition), "one is a copy");
	ret->place = i;
	snprintf(ret->name, sizeof(ret->name), "%.*s", FT_NAME_LEN - 1, d->name);
	snprintf(ret->port, sizeof(ret->port), "%.*s", FT_TEXT_LEN - 1, d->port);
	snprintf(ret->process, sizeof(ret->process), "%.*s", FT_COMM_LEN - 1, d->process);
	ret->side = d->side;
	ret->limit = d->limit;
	ret->discovered = d->discovered;
	ret->active = ft_hop_active(st);
	ret->preexisting = st->preexisting;
	ret->opened = st->opened;
	memcpy(ret->closed, st->closed, sizeof(ret->closed));
	memcpy(ret->failed, st->failed, sizeof(ret->failed));
	memcpy(ret->transition, st->transition, sizeof(ret->transition));
	memcpy(ret->lifetime, st->lifetime, sizeof(ret->lifetime));
	for (unsigned int state = 0; state < FT_NSTATES; state++)
		ret->state[state] = ft_hop_in_state(st, state);
	for (unsigned int b = 0; b < FT_NLIFETIME; b++)
		ret->lifetime_count += st->lifetime[b];
	ret->lifetime_sum_seconds = (double)st->lifetime_sum_ns / NS_PER_S;
	ret->peers = s->peers[i];
	ret->pairs = s->pairs[i];
	ret->keepalive_seconds = d->keepalive_ms / 1000.0;
	ret->one_shot = st->one_shot;
	ret->one_shot_share = ft_ratio((double)st->one_shot, (double)ft_hop_closed(st));
}

/* What only a walk sees is known since the last one. */
static void build_found(const struct ft_snapshot *s, unsigned int i, struct ft_report_hop *ret)
{
	ret->found = s->found[i];
	ret->limits = s->limits[i];
	ret->state[FT_TIME_WAIT] = s->found[i].time_wait;
	ret->state[FT_SYN_RECV] = s->found[i].syn_recv;
}

static void build_header_of_scan(const struct ft_snapshot *s, struct ft_report *r)
{
	r->scanned = s->scan.number;
	r->scan_seconds = (double)s->scan.duration_ns / NS_PER_S;
	r->scan_period_seconds = (double)s->scan.period_ns / NS_PER_S;
	r->scan_age_seconds = (double)ft_minus(s->mono_ns, s->scan.mono_ns) / NS_PER_S;
	r->scan_sockets = s->scan.sockets;
}

/* Who holds the places, and who waits for one. The waiting line of a hop that connects is at the
 * hop that it works for. */
static void build_places(struct ft_report *r, struct ft_report_hop *h)
{
	const struct ft_report_hop *line = h->side == FT_ACCEPT ? h
					   : h->from >= 0	? &r->hop[h->from]
								: NULL;
	struct ft_report_places *p = &h->places;

	p->used = h->active;
	p->idle = ft_report_idle(h, 0);
	if (h->side == FT_ACCEPT) {
		p->used = ft_minus(p->used, h->found.held);
		p->idle = ft_minus(p->idle, h->found.held_idle);
	}
	p->idle_oldest_seconds = (double)h->found.idle_oldest_ns / NS_PER_S;
	p->drain_per_second = p->idle ? ft_ratio((double)p->idle, h->keepalive_seconds) : NAN;
	if (line && line->side == FT_ACCEPT) {
		p->held = line->found.held;
		p->held_oldest_seconds = (double)line->found.held_oldest_ns / NS_PER_S;
	}
}

/* Held, told without looking into a queue: connections of A that have none behind them. True
 * only where each has one, so it is a check, and only where one hop with a limit follows. */
static void build_held_check(struct ft_report *r, struct ft_report_hop *a, unsigned int i)
{
	a->held_check = -1;
	for (unsigned int b = 0; b < r->nhops; b++) {
		if (r->hop[b].from != (int)i || !r->hop[b].limit)
			continue;
		if (a->held_check >= 0) {
			a->held_check = -1;
			return;
		}
		a->held_check = (int64_t)ft_minus(a->active, r->hop[b].active);
	}
}

static void build_limits(const struct ft_snapshot *s, struct ft_report *r)
{
	build_header_of_scan(s, r);
	for (unsigned int i = 0; r->scanned && i < r->nhops; i++)
		build_found(s, r->hop[i].place, &r->hop[i]);
	for (unsigned int i = 0; i < r->nhops; i++) {
		if (r->hop[i].limit)
			build_places(r, &r->hop[i]);
		build_held_check(r, &r->hop[i], i);
	}
}

/* --- the tree --- */

/* `from` of the hop at place i, or -1 when it is none, or its chain has no end. */
static int parent(const struct ft_snapshot *s, unsigned int i)
{
	int n = hops_of(s), at = i;

	for (int steps = 0; steps <= n; steps++) {
		at = s->def[at].from;
		if (at < 0 || at >= n)
			return s->def[i].from >= 0 && s->def[i].from < n ? s->def[i].from : -1;
	}
	return -1;
}

/* Depth first from `from` (-1: the roots). The depth of the recursion is that of the tree,
 * which parent() made finite. */
static void place_children(struct ft_report *r, int from, int depth, unsigned int *placed)
{
	for (unsigned int i = 0; i < r->nhops; i++) {
		if (r->hop[i].from != from)
			continue;
		r->hop[i].depth = depth;
		r->order[(*placed)++] = i;
		place_children(r, i, depth + 1, placed);
	}
}

/* --- windows and edges --- */

/* A destination that is found while counting goes on becomes a hop after its first connections:
 * what it counted up to then is not all. Nobody noted when it was; it was before its first flow. */
static bool may_be_late(const struct ft_report_hop *h)
{
	return h->discovered && h->side == FT_CONNECT;
}

static bool covers(const struct ft_sample *row, const struct ft_report_hop *h)
{
	return !may_be_late(h) || row->hop[h->place].opened || row->hop[h->place].active_ns;
}

static void build_edges(struct ft_report *r)
{
	for (unsigned int i = 0; i < r->nhops; i++) {
		unsigned int to = r->order[i];
		const struct ft_report_hop *b = &r->hop[to], *a;
		struct ft_report_edge *e;

		if (b->from < 0)
			continue;
		a = &r->hop[b->from];
		e = &r->edge[r->nedges++];
		e->from = b->from;
		e->to = to;
		e->stock = ft_ratio(b->active, a->active);
		e->flow_start = ft_ratio(b->opened, a->opened);
		e->from_start =
			r->uptime_seconds < FIRST_LOOK || !(may_be_late(a) || may_be_late(b));
		for (unsigned int w = 0; w < FT_NWINDOWS; w++)
			e->flow[w] = e->renewal[w] = NAN;
	}
}

/* What pairing counts begins anew with each agent: a row from before is another's. */
static void build_use(const struct ft_sample *row, double seconds, enum ft_window w,
		      struct ft_report_hop *h)
{
	const struct ft_hop_sample *then = &row->hop[h->place];
	const struct ft_hop_pairs *p = &h->pairs;
	uint64_t exchanges = ft_minus(p->exchanges, then->exchanges);

	if (p->role == FT_PAIR_NONE || row->mono_ns < p->since_ns)
		return;
	h->exchange_rate[w] = (double)exchanges / seconds;
	h->flows_per_exchange[w] =
		ft_ratio((double)ft_minus(h->opened, then->opened), (double)exchanges);
	h->wait_seconds[w] =
		ft_ratio((double)ft_minus(p->wait_sum_ns, then->wait_sum_ns) / NS_PER_S,
			 (double)ft_minus(ft_report_waits(p), then->waits));
}

static void build_hop_window(const struct ft_snapshot *s, const struct ft_sample *row,
			     enum ft_window w, struct ft_report_hop *h)
{
	const struct ft_hop_sample *then;
	double seconds;

	h->rate[w] = h->one_shot_in[w] = h->exchange_rate[w] = NAN;
	h->flows_per_exchange[w] = h->wait_seconds[w] = NAN;
	if (!row)
		return;
	then = &row->hop[h->place];
	seconds = (double)(s->mono_ns - row->mono_ns) / NS_PER_S;
	h->rate[w] = ft_minus(h->opened, then->opened) / seconds;
	h->one_shot_in[w] =
		ft_ratio((double)ft_minus(h->one_shot, then->one_shot),
			 (double)ft_minus(ft_hop_closed(&s->stats[h->place]), then->closed));
	build_use(row, seconds, w, h);
}

static void build_window(const struct ft_snapshot *s, const struct ft_history *h, enum ft_window w,
			 struct ft_report *r)
{
	const struct ft_sample *row = window_row(s, h, w);

	for (unsigned int i = 0; i < r->nhops; i++)
		build_hop_window(s, row, w, &r->hop[i]);
	for (unsigned int i = 0; row && i < r->nedges; i++) {
		struct ft_report_edge *e = &r->edge[i];
		const struct ft_report_hop *a = &r->hop[e->from], *b = &r->hop[e->to];
		uint64_t flow_ns = integral(h, s, a->place) - row->hop[a->place].active_ns;

		e->covered[w] = covers(row, a) && covers(row, b);
		if (!e->covered[w])
			continue;
		e->opened_to[w] = ft_minus(b->opened, row->hop[b->place].opened);
		e->opened_from[w] = ft_minus(a->opened, row->hop[a->place].opened);
		e->flow[w] = ft_ratio(e->opened_to[w], e->opened_from[w]);
		/* (opened / seconds) / (flow_ns / ns): the seconds cancel out */
		e->renewal[w] = ft_ratio(e->opened_to[w], (double)flow_ns / NS_PER_S);
	}
}

/* What the hops count as open or opening, but for the flows that found no place. */
static uint64_t table_entries(const struct ft_snapshot *s)
{
	const __u64 *loss = s->totals.loss;
	uint64_t placeless =
		ft_minus(loss[FT_LOSS_TABLE_FULL] + loss[FT_LOSS_NOMEM] + loss[FT_LOSS_BUSY],
			 loss[FT_LOSS_UNMATCHED_CLOSE]);
	uint64_t flows = 0;

	for (unsigned int i = 0; i < hops_of(s); i++)
		flows += ft_hop_active(&s->stats[i]) + ft_hop_in_state(&s->stats[i], FT_SYN_SENT);
	return ft_minus(flows, placeless);
}

static void build_header(const struct ft_snapshot *s, struct ft_report *r)
{
	uint64_t up_ns = ft_minus(s->mono_ns, s->start_ns);

	r->real_ns = s->real_ns;
	r->uptime_seconds = (double)up_ns / NS_PER_S;
	/* The two clocks are read one after the other: to 10 ms it is the same in every file. */
	r->start_time_seconds = round((double)ft_minus(s->real_ns, up_ns) / NS_PER_S * 100) / 100;
	snprintf(r->host, sizeof(r->host), "%.*s", (int)sizeof(r->host) - 1, s->host);
	snprintf(r->version, sizeof(r->version), "%.*s", (int)sizeof(r->version) - 1, s->version);
	r->source = s->source;
	r->counting = s->counting;
	r->max_flows = s->max_flows;
	r->table_entries = table_entries(s);
	for (unsigned int i = 0; i < FT_MAX_HOPS; i++)
		r->hop_at[i] = i < hops_of(s) && !s->def[i].retired ? (int)r->nhops++ : -1;
	for (unsigned int i = 0; i < FT_NLOSS; i++) {
		r->loss[i] = s->totals.loss[i];
		r->loss_total += s->totals.loss[i];
	}
	r->rescued = s->totals.rescued;
	r->undiscovered = s->undiscovered;
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		r->pair_loss[i] = s->pair_loss.loss[i];
}

void ft_model_build(const struct ft_snapshot *s, const struct ft_history *h, struct ft_report *ret)
{
	unsigned int placed = 0;

	memset(ret, 0, sizeof(*ret));
	build_header(s, ret);
	for (unsigned int i = 0; i < hops_of(s); i++) {
		int hop = ret->hop_at[i], from = parent(s, i);

		if (hop < 0)
			continue;
		build_hop(s, i, &ret->hop[hop]);
		ret->hop[hop].from = from < 0 ? -1 : ret->hop_at[from];
	}
	place_children(ret, -1, 0, &placed);
	build_limits(s, ret);
	build_edges(ret);
	for (unsigned int w = 0; w < FT_NWINDOWS; w++)
		build_window(s, h, w, ret);
}

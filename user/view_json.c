/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* `fantail show … --json`, in the order of keys that the contract has. What this version
 * cannot know is null, not left out: a reader's path to a number is the same in every
 * version. json_pack gives NULL when any part of it is NULL, so that memory is checked once. */
#include <errno.h>
#include <math.h>

#include "tcp.h"
#include "view.h"
#include "view_json_internal.h"

#define SCHEMA 1

/* {"<name of i>": value[i], …} */
static json_t *named(const uint64_t *value, const char *(*name)(unsigned int), unsigned int n)
{
	json_t *o = json_object();

	for (unsigned int i = 0; i < n; i++)
		json_object_set_new(o, name(i), ft_json_number(value[i]));
	if (json_object_size(o) == n)
		return o;
	json_decref(o);
	return NULL;
}

static json_t *windows(const double value[FT_NWINDOWS])
{
	return json_pack("{s:o,s:o,s:o,s:o}", ft_window_name[FT_1S], ft_json_real(value[FT_1S]),
			 ft_window_name[FT_10S], ft_json_real(value[FT_10S]), ft_window_name[FT_1M],
			 ft_json_real(value[FT_1M]), ft_window_name[FT_5M],
			 ft_json_real(value[FT_5M]));
}

/* SYN_RECV and TIME_WAIT belong to sockets that make no transition: the scan tells. */
static json_t *states(const struct ft_report *r, const struct ft_report_hop *h)
{
	static const unsigned char order[] = {FT_SYN_SENT,   FT_SYN_RECV,  FT_ESTABLISHED,
					      FT_FIN_WAIT1,  FT_FIN_WAIT2, FT_TIME_WAIT,
					      FT_CLOSE_WAIT, FT_LAST_ACK,  FT_CLOSING};
	json_t *o = json_object();

	for (unsigned int i = 0; i < sizeof(order); i++) {
		bool known = r->scanned || (order[i] != FT_SYN_RECV && order[i] != FT_TIME_WAIT);

		json_object_set_new(o, ft_state_label(order[i]),
				    known ? ft_json_number(h->state[order[i]]) : json_null());
	}
	if (json_object_size(o) == sizeof(order))
		return o;
	json_decref(o);
	return NULL;
}

static json_t *transitions(const struct ft_report_hop *h)
{
	json_t *array = json_array();
	int bad = !array;

	for (unsigned int from = 0; from < FT_NSTATES; from++)
		for (unsigned int to = 0; to < FT_NSTATES; to++)
			if (h->transition[from][to])
				bad |= json_array_append_new(
					array,
					json_pack("{s:s,s:s,s:o}", "from", ft_state_name(from),
						  "to", ft_state_name(to), "count",
						  ft_json_number(h->transition[from][to])));
	if (!bad)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *lifetime(const struct ft_report_hop *h)
{
	json_t *buckets = json_array();
	uint64_t below = 0;

	for (unsigned int i = 0; i < FT_NLIFETIME - 1; i++) {
		below += h->lifetime[i];
		json_array_append_new(
			buckets, json_pack("[o,o]", ft_json_real(ft_lifetime_bounds_ms[i] / 1000.0),
					   ft_json_number(below)));
	}
	if (json_array_size(buckets) != FT_NLIFETIME - 1) {
		json_decref(buckets);
		buckets = NULL;
	}
	return json_pack("{s:o,s:o,s:o}", "buckets", buckets, "sum",
			 ft_json_real(h->lifetime_sum_seconds), "count",
			 ft_json_number(h->lifetime_count));
}

static json_t *count_if(bool known, uint64_t value)
{
	return known ? ft_json_number(value) : json_null();
}

static json_t *seconds_if(bool known, uint64_t ns)
{
	return known ? json_real((double)ns / 1e9) : json_null();
}

/* {"used":…,"limit":…}; null when there is no limit to compare with. */
static json_t *use_of(uint64_t used, uint64_t limit)
{
	return limit ? json_pack("{s:o,s:o}", "used", ft_json_number(used), "limit",
				 ft_json_number(limit))
		     : json_null();
}

static json_t *places(const struct ft_report *r, const struct ft_report_hop *h)
{
	const struct ft_report_places *p = &h->places;

	if (!r->scanned || !h->limit)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o}", "used", ft_json_number(p->used), "idle",
			 ft_json_number(p->idle), "idle_oldest_seconds",
			 p->idle ? ft_json_real(p->idle_oldest_seconds) : json_null(),
			 "drain_per_second", ft_json_real(p->drain_per_second));
}

static json_t *idle(const struct ft_report *r, const struct ft_report_hop *h)
{
	static const unsigned int bounds[] = FT_IDLE_BOUNDS_S;
	json_t *o = r->scanned ? json_object() : json_null();
	char name[16];

	for (unsigned int i = 0; r->scanned && i < FT_NIDLE - 1; i++) {
		snprintf(name, sizeof(name), "%us", bounds[i]);
		json_object_set_new(o, name, ft_json_number(ft_report_idle(h, i)));
	}
	return o;
}

/* What a scan tells; null before the first, and from a source that has none. */
static json_t *found(const struct ft_report *r, const struct ft_report_hop *h)
{
	const struct ft_hop_scan *f = &h->found;
	bool accepts = r->scanned && h->side == FT_ACCEPT;

	return json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "held",
		count_if(accepts, f->held), "held_oldest_seconds",
		seconds_if(accepts && f->held, f->held_oldest_ns), "held_check",
		h->held_check < 0 ? json_null() : ft_json_number((uint64_t)h->held_check), "limit",
		count_if(h->limit, h->limit), "places", places(r, h), "idle", idle(r, h), "silent",
		count_if(r->scanned, f->silent), "stale", count_if(r->scanned, f->stale),
		"orphaned_fin_wait2", count_if(r->scanned, f->fin_wait2), "one_shot",
		json_pack("{s:o,s:o,s:o}", "flows", ft_json_number(h->one_shot), "share",
			  ft_json_real(h->one_shot_share), "window", windows(h->one_shot_in)),
		"backlog", count_if(accepts, f->backlog), "backlog_limit",
		count_if(accepts, f->backlog_limit), "syn_backlog",
		count_if(accepts, f->syn_backlog), "ports",
		use_of(h->limits.ports_used, h->limits.ports_limit), "files",
		use_of(h->limits.files_used, h->limits.files_limit));
}

static json_t *queue_wait(const struct ft_report_hop *h)
{
	const struct ft_hop_pairs *p = &h->pairs;
	static const unsigned int bounds_ms[] = FT_PAIR_WAIT_BOUNDS_MS;
	json_t *buckets = p->role == FT_PAIR_A ? json_array() : NULL;
	uint64_t below = 0;

	if (!buckets)
		return json_null();
	for (unsigned int i = 0; i < FT_NPAIR_WAIT - 1; i++) {
		below += p->wait[i];
		json_array_append_new(buckets,
				      json_pack("[o,o]", ft_json_real(bounds_ms[i] / 1000.0),
						ft_json_number(below)));
	}
	return json_pack("{s:o,s:o,s:o,s:o}", "buckets", buckets, "sum",
			 ft_json_real(p->wait_sum_ns / 1e9), "count",
			 ft_json_number(below + p->wait[FT_NPAIR_WAIT - 1]), "mean",
			 windows(h->wait_seconds));
}

/* What only the reading and writing of processes tells; null where it is not looked at. */
static json_t *used(const struct ft_report_hop *h)
{
	const struct ft_hop_pairs *p = &h->pairs;
	bool known = p->role != FT_PAIR_NONE;

	return json_pack(
		"{s:o,s:o,s:o,s:o}", "exchanges", count_if(known, p->exchanges), "exchange_rate",
		known ? windows(h->exchange_rate) : json_null(), "single_exchange",
		known ? json_pack("{s:o,s:o,s:o}", "flows", ft_json_number(p->single), "of",
				  ft_json_number(p->used), "share",
				  p->used ? ft_json_real((double)p->single / p->used) : json_null())
		      : json_null(),
		"queue_wait_seconds", queue_wait(h));
}

static json_t *counted(const struct ft_report *r, const struct ft_report_hop *h)
{
	bool peers = h->side == FT_ACCEPT && h->peers != FT_PEERS_UNKNOWN;

	return json_pack(
		"{s:o,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "name",
		ft_json_text(h->name), "side", ft_side_name(h->side), "from",
		h->from < 0 ? json_null() : ft_json_text(r->hop[h->from].name), "port",
		ft_json_text(h->port), "process",
		h->process[0] ? ft_json_text(h->process) : json_null(), "active",
		ft_json_number(h->active), "preexisting", ft_json_number(h->preexisting), "opened",
		ft_json_number(h->opened), "closed", named(h->closed, ft_closed_name, FT_NCLOSED),
		"failed", named(h->failed, ft_failed_name, FT_NFAILED), "states", states(r, h),
		"transitions", transitions(h), "rate", windows(h->rate), "lifetime_seconds",
		lifetime(h), "peers", peers ? ft_json_number(h->peers) : json_null());
}

static json_t *hop(const struct ft_report *r, const struct ft_report_hop *h)
{
	json_t *o = counted(r, h), *more = found(r, h), *use = used(h);
	int bad = !o || !more || !use || json_object_update(o, more) || json_object_update(o, use);

	json_decref(more);
	json_decref(use);
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

static const unsigned int fanout_bounds[] = FT_PAIR_FANOUT_BOUNDS;

/* Flows of `from` by their number of distinct partners, at most the key; what none has is left
 * out, and so are those that have had none. */
static json_t *fanout(const __u64 a[FT_NPAIR_FANOUT], const __u64 b[FT_NPAIR_FANOUT])
{
	json_t *o = json_object();
	char name[16];
	int bad = !o;

	for (unsigned int i = 1; i < FT_NPAIR_FANOUT; i++) {
		if (i < FT_NPAIR_FANOUT - 1)
			snprintf(name, sizeof(name), "%u", fanout_bounds[i]);
		else
			snprintf(name, sizeof(name), "+Inf");
		if (a[i] || b[i])
			bad |= json_object_set_new(o, name, ft_json_number(a[i] + b[i]));
	}
	if (!bad)
		return o;
	json_decref(o);
	return NULL;
}

/* Part of the connections: closed or open ones. */
static json_t *part(bool known, const struct ft_report_mean *m,
		    const __u64 histogram[FT_NPAIR_FANOUT])
{
	static const __u64 none[FT_NPAIR_FANOUT];

	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "mean", ft_json_real(m->mean), "max",
			 count_if(known, m->max), "histogram",
			 known ? fanout(histogram, none) : json_null(), "low", ft_json_real(m->low),
			 "high", ft_json_real(m->high), "flows", count_if(known, m->flows),
			 "partners", count_if(known, m->partners));
}

static json_t *recent(bool known, const struct ft_report_mean *m)
{
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "mean", ft_json_real(m->mean), "low",
			 ft_json_real(m->low), "high", ft_json_real(m->high), "flows",
			 count_if(known, m->flows), "partners", count_if(known, m->partners));
}

/* All connections since pairing began; then parts of them. */
static json_t *paired(const struct ft_report_hop *to)
{
	const struct ft_hop_pairs *pairs = &to->pairs;
	struct ft_report_paired p;
	bool known;

	ft_report_paired(to, &p);
	known = p.pairable;
	if (!p.known)
		return json_null();
	return json_pack(
		"{s:o,s:o,s:o,s:o,s:o,s:b,s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:{s:o,s:o}}", "mean",
		ft_json_real(p.all.mean), "max", count_if(known, p.all.max), "histogram",
		known ? fanout(pairs->closed_fanout, pairs->open_fanout) : json_null(), "coverage",
		ft_json_real(p.coverage), "confidence", ft_json_real(p.confidence), "pairable",
		p.pairable, "low", ft_json_real(p.all.low), "high", ft_json_real(p.all.high),
		"flows", count_if(known, p.all.flows), "partners", count_if(known, p.all.partners),
		"closed", part(known, &p.closed, pairs->closed_fanout), "open",
		part(known, &p.open, pairs->open_fanout), "recent", recent(known, &p.recent),
		"reuse", "mean", ft_json_real(p.reuse_mean), "max",
		count_if(known, pairs->reuse_max));
}

static json_t *edge(const struct ft_report *r, const struct ft_report_edge *e)
{
	const struct ft_report_hop *to = &r->hop[e->to];
	json_t *flow = windows(e->flow);

	if (json_object_set_new(flow, "start", ft_json_real(e->flow_start))) {
		json_decref(flow);
		flow = NULL;
	}
	return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "from",
			 ft_json_text(r->hop[e->from].name), "to", ft_json_text(to->name), "stock",
			 ft_json_real(e->stock), "flow", flow, "renewal", windows(e->renewal),
			 "flows_per_exchange", ft_json_real(ft_report_flows_per_exchange(to)),
			 "flows_per_exchange_window", windows(to->flows_per_exchange), "paired",
			 paired(to));
}

/* --- lists --- */

/* Add `item` to *array; one that could not be made or added makes it NULL for good. */
static void append(json_t **array, json_t *item)
{
	if (!json_array_append_new(*array, item))
		return;
	json_decref(*array);
	*array = NULL;
}

static json_t *hops(const struct ft_report *r, int only)
{
	json_t *array = json_array();

	for (int i = 0; i < (int)r->nhops; i++)
		if (only < 0 || only == i)
			append(&array, hop(r, &r->hop[i]));
	return array;
}

static json_t *edges(const struct ft_report *r, int only)
{
	json_t *array = json_array();

	for (unsigned int i = 0; i < r->nedges; i++)
		if (only < 0 || r->edge[i].from == only || r->edge[i].to == only)
			append(&array, edge(r, &r->edge[i]));
	return array;
}

/* null until a scan has audited the counters. */
static json_t *drift(const struct ft_report *r, int only)
{
	json_t *o = json_object();
	char name[FT_NAME_LEN];

	for (int i = 0; i < (int)r->nhops; i++) {
		ft_text_utf8(r->hop[i].name, sizeof(name) - 1, name, sizeof(name));
		if (only < 0 || only == i)
			json_object_set_new(o, name,
					    r->scanned ? json_integer(r->hop[i].limits.drift)
						       : json_null());
	}
	return o;
}

static json_t *scan(const struct ft_report *r)
{
	if (!r->scanned)
		return json_null();
	return json_pack("{s:o,s:o,s:o,s:o}", "seconds", ft_json_real(r->scan_seconds),
			 "period_seconds", ft_json_real(r->scan_period_seconds), "age_seconds",
			 ft_json_real(r->scan_age_seconds), "sockets",
			 ft_json_number(r->scan_sockets));
}

/* --- the answers --- */

static json_t *header(const struct ft_report *r)
{
	char time[32];

	ft_time_format(r->real_ns, time);
	return json_pack("{s:i,s:s,s:o,s:s,s:o}", "schema", SCHEMA, "time", time, "host",
			 ft_json_text(r->host), "source", ft_source_name(r->source),
			 "uptime_seconds", ft_json_real(r->uptime_seconds));
}

static json_t *body(const struct ft_report *r, enum ft_show what, int only)
{
	if (what == FT_SHOW_EDGES)
		return json_pack("{s:o}", "edges", edges(r, only));
	if (what == FT_SHOW_LOSS)
		return json_pack("{s:o,s:o,s:o,s:o,s:{s:o,s:o}}", "loss",
				 named(r->loss, ft_loss_name, FT_NLOSS), "pair_loss",
				 named(r->pair_loss, ft_pair_loss_name, FT_NPAIR_LOSS), "rescued",
				 ft_json_number(r->rescued), "undiscovered",
				 ft_json_number(r->undiscovered), "table", "entries",
				 ft_json_number(r->table_entries), "max",
				 ft_json_number(r->max_flows));
	return json_pack("{s:o,s:o,s:o,s:o,s:o}", "hops", hops(r, only), "edges", edges(r, only),
			 "loss", named(r->loss, ft_loss_name, FT_NLOSS), "drift", drift(r, only),
			 "scan", scan(r));
}

int ft_view_json(const struct ft_report *r, enum ft_show what, int only_hop, struct ft_buf *out)
{
	json_t *root = header(r), *rest = body(r, what, only_hop);
	int err = json_object_update(root, rest) ? -ENOMEM : 0;

	json_decref(rest);
	if (err)
		json_decref(root);
	else
		err = ft_json_add(root, out);
	ft_buf_add(out, "\n", 1);
	return err ? err : ft_buf_error(out);
}

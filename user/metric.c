/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The metrics' names, meanings and values. What is exported is bounded: 6 hops must stay
 * under 250 series, so that the lifetime histogram has 4 of its 13 bounds, and transitions
 * are those that no other family tells: how flows arrive and end is in opened, failures and
 * closed; the rare rest is in JSON. */
#include <math.h>

#include "metric.h"

static double build_info(const struct ft_metric_at *at)
{
	(void)at;
	return 1;
}

static double start_time(const struct ft_metric_at *at)
{
	return at->report->start_time_seconds;
}

static double last_write(const struct ft_metric_at *at)
{
	return at->agent->last_write_seconds;
}

static double write_errors(const struct ft_metric_at *at)
{
	return at->agent->write_errors;
}

static double active(const struct ft_metric_at *at)
{
	return at->hop->active;
}

static double opened(const struct ft_metric_at *at)
{
	return at->hop->opened;
}

static double closed(const struct ft_metric_at *at)
{
	return at->hop->closed[at->index];
}

static double failed(const struct ft_metric_at *at)
{
	return at->hop->failed[at->index];
}

static double state(const struct ft_metric_at *at)
{
	if ((at->index == FT_TIME_WAIT || at->index == FT_SYN_RECV) && !at->report->scanned)
		return NAN;
	return at->hop->state[at->index];
}

static double transition(const struct ft_metric_at *at)
{
	return at->hop->transition[at->index][at->second];
}

static double paired_mean(const struct ft_metric_at *at)
{
	struct ft_report_paired p;

	ft_report_paired(&at->report->hop[at->edge->to], &p);
	return p.recent.mean;
}

/* Only where the mean is told: an interval has no numerator. */
static double paired_flows(const struct ft_metric_at *at)
{
	struct ft_report_paired p;

	ft_report_paired(&at->report->hop[at->edge->to], &p);
	if (isnan(p.all.mean))
		return NAN;
	return at->index ? p.recent.flows : p.recent.partners;
}

static double exchanges(const struct ft_metric_at *at)
{
	return at->hop->pairs.role != FT_PAIR_NONE ? at->hop->pairs.exchanges : NAN;
}

static double fanout(const struct ft_metric_at *at)
{
	if (at->index == 2)
		return paired_mean(at);
	return at->index ? at->edge->flow[FT_1M] : at->edge->stock;
}

static double fanout_flows(const struct ft_metric_at *at)
{
	return at->report->hop[at->index ? at->edge->from : at->edge->to].active;
}

static double peers(const struct ft_metric_at *at)
{
	if (at->hop->side != FT_ACCEPT || at->hop->peers == FT_PEERS_UNKNOWN)
		return NAN;
	return at->hop->peers;
}

static double limit(const struct ft_metric_at *at)
{
	return at->hop->limit ? at->hop->limit : NAN;
}

static bool accepts(const struct ft_metric_at *at)
{
	return at->report->scanned && at->hop->side == FT_ACCEPT;
}

static double held(const struct ft_metric_at *at)
{
	return accepts(at) ? at->hop->found.held : NAN;
}

static double backlog(const struct ft_metric_at *at)
{
	return accepts(at) ? at->hop->found.backlog : NAN;
}

static double backlog_limit(const struct ft_metric_at *at)
{
	return accepts(at) ? at->hop->found.backlog_limit : NAN;
}

static double stale(const struct ft_metric_at *at)
{
	return at->report->scanned ? at->hop->found.stale : NAN;
}

/* 0 in use: no socket met, and so no namespace whose ports would be the limit. */
static double ports_used(const struct ft_metric_at *at)
{
	return at->report->scanned && at->hop->side == FT_CONNECT ? at->hop->limits.ports_used
								  : NAN;
}

static double ports_limit(const struct ft_metric_at *at)
{
	return at->hop->limits.ports_limit ? at->hop->limits.ports_limit : NAN;
}

static double drift(const struct ft_metric_at *at)
{
	return at->report->scanned ? at->hop->limits.drift : NAN;
}

static double scan_duration(const struct ft_metric_at *at)
{
	return at->report->scanned ? at->report->scan_seconds : NAN;
}

static double table_entries(const struct ft_metric_at *at)
{
	return at->report->table_entries;
}

static double table_limit(const struct ft_metric_at *at)
{
	return at->report->max_flows;
}

/* Index FT_NLOSS: all that pairing lost; its reasons are in JSON. */
static double loss(const struct ft_metric_at *at)
{
	uint64_t pairs = 0;

	if (at->index < FT_NLOSS)
		return at->report->loss[at->index];
	for (unsigned int i = 0; i < FT_NPAIR_LOSS; i++)
		pairs += at->report->pair_loss[i];
	return ft_report_pairs(at->report) ? pairs : NAN;
}

/* The order of the file. */
const struct ft_metric ft_metrics[] = {
	{"fantail_build_info", FT_GAUGE, FT_PER_BUILD, "",
	 "Always 1; the agent's version and where its counts come from.", build_info, false},
	{"fantail_start_time_seconds", FT_GAUGE, FT_PER_AGENT, "seconds",
	 "Unix time when the counters were made.", start_time, false},
	{"fantail_last_write_timestamp_seconds", FT_GAUGE, FT_PER_AGENT, "seconds",
	 "Unix time when this file was written; an old one means a dead agent.", last_write, true},
	{"fantail_flows_active", FT_GAUGE, FT_PER_SIDE, "flows",
	 "TCP connections of the hop that are open now.", active, false},
	{"fantail_flows_opened_total", FT_COUNTER, FT_PER_SIDE, "flows",
	 "TCP connections of the hop that reached ESTABLISHED.", opened, false},
	{"fantail_flows_closed_total", FT_COUNTER, FT_PER_CLOSED, "flows",
	 "TCP connections that ended, by who ended them: local FIN first, remote FIN first, "
	 "reset, other.",
	 closed, false},
	{"fantail_connect_failures_total", FT_COUNTER, FT_PER_FAILED, "flows",
	 "Connects that never reached ESTABLISHED, by reason.", failed, false},
	{"fantail_flows_state", FT_GAUGE, FT_PER_STATE, "flows",
	 "TCP connections of the hop by state now.", state, true},
	{"fantail_state_transitions_total", FT_COUNTER, FT_PER_TRANSITION, "transitions",
	 "TCP state transitions of the hop's connections after their arrival.", transition, false},
	{"fantail_flow_lifetime_seconds", FT_HISTOGRAM, FT_PER_LIFETIME, "seconds",
	 "How long closed connections had been open; preexisting ones are left out.", NULL, false},
	{"fantail_fanout_ratio", FT_GAUGE, FT_PER_RATIO, "ratio",
	 "Connections of hop `to` for each of hop `from`: open now (stock), opened in the last "
	 "minute (flow), that carried its bytes (paired). NaN without a denominator; over a fleet "
	 "divide fantail_fanout_flows and fantail_paired_flows.",
	 fanout, false},
	{"fantail_fanout_flows", FT_SUMMARY, FT_PER_EDGE, "flows",
	 "Open connections of an edge, to be added up before dividing: _sum of hop `to`, _count "
	 "of hop `from`. Both are gauges: use them without rate().",
	 fanout_flows, false},
	{"fantail_paired_flows", FT_SUMMARY, FT_PER_EDGE, "flows",
	 "Pairs, to be added up before dividing: _count connections of hop `from`, _sum distinct "
	 "connections of hop `to` that carried their bytes; of those open now or closed in the "
	 "last "
	 "minute. Both are gauges: use them without rate().",
	 paired_flows, true},
	{"fantail_exchanges_total", FT_COUNTER, FT_PER_HOP, "exchanges",
	 "Turns from sending to receiving: about the requests of HTTP/1.", exchanges, true},
	{"fantail_queue_wait_seconds", FT_HISTOGRAM, FT_PER_WAIT, "seconds",
	 "From ESTABLISHED to the first backend connection that served the connection.", NULL,
	 true},
	{"fantail_peers", FT_GAUGE, FT_PER_HOP, "peers",
	 "Distinct remote addresses that hold a connection of the accept hop now.", peers, true},
	{"fantail_hop_limit", FT_GAUGE, FT_PER_HOP, "flows", "Places of the hop, as configured.",
	 limit, true},
	{"fantail_held_flows", FT_GAUGE, FT_PER_HOP, "flows",
	 "Accepted connections with bytes that the process has not read: its waiting line.", held,
	 true},
	{"fantail_stale_flows", FT_GAUGE, FT_PER_HOP, "flows",
	 "Connections whose peer has not answered two retransmits or keep-alive probes.", stale,
	 true},
	{"fantail_listen_backlog", FT_GAUGE, FT_PER_HOP, "flows",
	 "Connections that wait in the hop's accept queues.", backlog, true},
	{"fantail_listen_backlog_limit", FT_GAUGE, FT_PER_HOP, "flows",
	 "Places of the hop's accept queues.", backlog_limit, true},
	{"fantail_ephemeral_ports_used", FT_GAUGE, FT_PER_HOP, "ports",
	 "Local ports in use, TIME_WAIT included, towards the connect hop's fullest destination.",
	 ports_used, true},
	{"fantail_ephemeral_ports_limit", FT_GAUGE, FT_PER_HOP, "ports",
	 "Local ports that connects towards that destination can choose from.", ports_limit, true},
	{"fantail_drift_flows", FT_GAUGE, FT_PER_HOP, "flows",
	 "Open connections by events minus those a walk over the sockets met; 0 when they agree.",
	 drift, true},
	{"fantail_scan_duration_seconds", FT_GAUGE, FT_PER_AGENT, "seconds",
	 "CPU time of the last walk over the sockets.", scan_duration, true},
	{"fantail_flow_table_entries", FT_GAUGE, FT_PER_AGENT, "flows",
	 "Connections that have an entry in the flow table now.", table_entries, false},
	{"fantail_flow_table_limit", FT_GAUGE, FT_PER_AGENT, "flows",
	 "Entries that the flow table can hold.", table_limit, false},
	{"fantail_loss_total", FT_COUNTER, FT_PER_LOSS, "",
	 "What could not be seen or stored, by reason; 0 in a healthy system.", loss, true},
	{"fantail_textfile_write_errors_total", FT_COUNTER, FT_PER_AGENT, "",
	 "Times that this file could not be written.", write_errors, false},
};
const unsigned int ft_nmetrics = sizeof(ft_metrics) / sizeof(ft_metrics[0]);

const char *ft_metric_type_name(enum ft_metric_type type)
{
	static const char *const name[] = {
		[FT_GAUGE] = "gauge",
		[FT_COUNTER] = "counter",
		[FT_SUMMARY] = "summary",
		[FT_HISTOGRAM] = "histogram",
	};

	return name[type];
}

bool ft_metric_state_exported(unsigned int side, unsigned int state_number)
{
	static const bool known[FT_NSTATES] = {
		[FT_ESTABLISHED] = true, [FT_FIN_WAIT1] = true, [FT_FIN_WAIT2] = true,
		[FT_CLOSE_WAIT] = true,	 [FT_TIME_WAIT] = true,
	};

	if (state_number == FT_SYN_SENT)
		return side == FT_CONNECT;
	if (state_number == FT_SYN_RECV)
		return side == FT_ACCEPT;
	return state_number < FT_NSTATES && known[state_number];
}

bool ft_metric_transition_exported(unsigned int side, unsigned int from, unsigned int to)
{
	static const struct {
		unsigned char side, from, to;
	} usual[] = {
		{FT_ACCEPT, FT_SYN_RECV, FT_ESTABLISHED},
		{FT_CONNECT, FT_SYN_SENT, FT_ESTABLISHED},
		{FT_NSIDES, FT_ESTABLISHED, FT_FIN_WAIT1},
		{FT_NSIDES, FT_ESTABLISHED, FT_CLOSE_WAIT},
	};

	for (unsigned int i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if ((usual[i].side == FT_NSIDES || usual[i].side == side) &&
		    usual[i].from == from && usual[i].to == to)
			return true;
	return false;
}

/* 75 s: NGINX's keep-alive. 350 s: the NLB's idle timeout. 600 s. */
const unsigned int ft_metric_lifetime_bounds[] = {7, 11, 12};
const unsigned int ft_metric_nlifetime_bounds =
	sizeof(ft_metric_lifetime_bounds) / sizeof(ft_metric_lifetime_bounds[0]);

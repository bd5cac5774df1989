/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Names of the ABI's numbers, one table each, sized against its enum; a gap within a table
 * reads "?" and fails the unit test. TCP states have two spellings: the kernel's for people
 * ("SYN_SENT"), lower case for JSON keys and labels. */
#include "tcp.h"

#define COUNT(table)	  (sizeof(table) / sizeof((table)[0]))
#define COVERS(table, n)  _Static_assert(COUNT(table) == (n), #table " does not name every number")
#define NAME_OF(table, i) ((i) < COUNT(table) && (table)[i] ? (table)[i] : "?")

static const char *const state_name[] = {
	[FT_UNSEEN] = "UNSEEN",		[FT_ESTABLISHED] = "ESTABLISHED",
	[FT_SYN_SENT] = "SYN_SENT",	[FT_SYN_RECV] = "SYN_RECV",
	[FT_FIN_WAIT1] = "FIN_WAIT1",	[FT_FIN_WAIT2] = "FIN_WAIT2",
	[FT_TIME_WAIT] = "TIME_WAIT",	[FT_CLOSE] = "CLOSE",
	[FT_CLOSE_WAIT] = "CLOSE_WAIT", [FT_LAST_ACK] = "LAST_ACK",
	[FT_LISTEN] = "LISTEN",		[FT_CLOSING] = "CLOSING",
};
COVERS(state_name, FT_NSTATES);

static const char *const state_label[] = {
	[FT_UNSEEN] = "unseen",		[FT_ESTABLISHED] = "established",
	[FT_SYN_SENT] = "syn_sent",	[FT_SYN_RECV] = "syn_recv",
	[FT_FIN_WAIT1] = "fin_wait1",	[FT_FIN_WAIT2] = "fin_wait2",
	[FT_TIME_WAIT] = "time_wait",	[FT_CLOSE] = "close",
	[FT_CLOSE_WAIT] = "close_wait", [FT_LAST_ACK] = "last_ack",
	[FT_LISTEN] = "listen",		[FT_CLOSING] = "closing",
};
COVERS(state_label, FT_NSTATES);

static const char *const side_name[] = {
	[FT_ACCEPT] = "accept",
	[FT_CONNECT] = "connect",
};
COVERS(side_name, FT_NSIDES);

static const char *const closed_name[] = {
	[FT_CLOSED_LOCAL] = "local",
	[FT_CLOSED_REMOTE] = "remote",
	[FT_CLOSED_RESET] = "reset",
	[FT_CLOSED_OTHER] = "other",
};
COVERS(closed_name, FT_NCLOSED);

static const char *const failed_name[] = {
	[FT_FAILED_REFUSED] = "refused",	 [FT_FAILED_TIMEOUT] = "timeout",
	[FT_FAILED_UNREACHABLE] = "unreachable", [FT_FAILED_OTHER] = "other",
	[FT_FAILED_NO_PORT] = "no_port",
};
COVERS(failed_name, FT_NFAILED);

static const char *const loss_name[] = {
	[FT_LOSS_TABLE_FULL] = "table_full",
	[FT_LOSS_BUSY] = "busy",
	[FT_LOSS_NOMEM] = "nomem",
	[FT_LOSS_UNMATCHED_CLOSE] = "unmatched_close",
	[FT_LOSS_MISSED_TRANSITION] = "missed_transition",
	[FT_LOSS_MISSED_OPEN] = "missed_open",
	[FT_LOSS_MISSED_CLOSE] = "missed_close",
	[FT_LOSS_NO_RULE_SLOT] = "no_rule_slot",
	[FT_LOSS_LISTENERS_FULL] = "listeners_full",
	[FT_LOSS_CANDIDATES_FULL] = "candidates_full",
	[FT_LOSS_PORTS_FULL] = "ports_full",
};
COVERS(loss_name, FT_NLOSS);

static const char *const pair_loss_name[] = {
	[FT_PAIR_LOSS_FLOWS_FULL] = "flows_full",     [FT_PAIR_LOSS_EDGES_FULL] = "edges_full",
	[FT_PAIR_LOSS_THREADS_FULL] = "threads_full", [FT_PAIR_LOSS_CLOSED_FULL] = "closed_full",
	[FT_PAIR_LOSS_QUEUE_FULL] = "queue_full",     [FT_PAIR_LOSS_MISSED_CLOSE] = "missed_close",
	[FT_PAIR_LOSS_SKIPPED] = "skipped",
};
COVERS(pair_loss_name, FT_NPAIR_LOSS);

static const char *const loss_help[] = {
	[FT_LOSS_TABLE_FULL] = ("Flows counted without an entry: the flow table is full, "
				"raise max_flows."),
	[FT_LOSS_BUSY] = "Flows counted without an entry: their slot of the table was locked.",
	[FT_LOSS_NOMEM] = "Flows counted without an entry: the kernel had no memory for it.",
	[FT_LOSS_UNMATCHED_CLOSE] = "Closes counted for flows that had no entry.",
	[FT_LOSS_MISSED_TRANSITION] = "State changes not seen, counted by what came after them.",
	[FT_LOSS_MISSED_OPEN] = "Opens not seen, counted when the flow was met later.",
	[FT_LOSS_MISSED_CLOSE] = "Closes not seen, counted when the socket was found gone.",
	[FT_LOSS_NO_RULE_SLOT] = "Hops that discovery found and had no room for.",
	[FT_LOSS_LISTENERS_FULL] = "Listening sockets that did not fit into their table.",
	[FT_LOSS_CANDIDATES_FULL] = "Destinations that did not fit into discovery's table.",
	[FT_LOSS_PORTS_FULL] = "Connections whose local port a scan had no room to count.",
};
COVERS(loss_help, FT_NLOSS);

static const char *const pair_loss_help[] = {
	[FT_PAIR_LOSS_FLOWS_FULL] = "Flows that found no place: their bytes are in no pair.",
	[FT_PAIR_LOSS_EDGES_FULL] = "Pairs that found no place: the paired ratio is too low.",
	[FT_PAIR_LOSS_THREADS_FULL] = "Reads whose thread found no place: their order is unknown.",
	[FT_PAIR_LOSS_CLOSED_FULL] = "Closed flows that could not be compared by their bytes.",
	[FT_PAIR_LOSS_QUEUE_FULL] = "Reads that a thread did not pass on and that were forgotten.",
	[FT_PAIR_LOSS_MISSED_CLOSE] = "Closes not seen: these flows are in no histogram.",
	[FT_PAIR_LOSS_SKIPPED] = "Reads and writes, of any socket, that the kernel did not show.",
};
COVERS(pair_loss_help, FT_NPAIR_LOSS);

static const char *const source_name[] = {
	[FT_SOURCE_TRACEPOINT] = "tracepoint",
	[FT_SOURCE_SOCKOPS] = "sockops",
};
COVERS(source_name, FT_NSOURCES);

const unsigned int ft_lifetime_bounds_ms[FT_NLIFETIME - 1] = FT_LIFETIME_BOUNDS_MS;
_Static_assert(COUNT(((unsigned int[])FT_LIFETIME_BOUNDS_MS)) == FT_NLIFETIME - 1,
	       "FT_NLIFETIME is the bounds and +Inf");

const char *ft_state_name(unsigned int state)
{
	return NAME_OF(state_name, state);
}

const char *ft_state_label(unsigned int state)
{
	return NAME_OF(state_label, state);
}

const char *ft_side_name(unsigned int side)
{
	return NAME_OF(side_name, side);
}

const char *ft_closed_name(unsigned int reason)
{
	return NAME_OF(closed_name, reason);
}

const char *ft_failed_name(unsigned int reason)
{
	return NAME_OF(failed_name, reason);
}

const char *ft_pair_loss_name(unsigned int reason)
{
	return NAME_OF(pair_loss_name, reason);
}

const char *ft_pair_loss_help(unsigned int reason)
{
	return NAME_OF(pair_loss_help, reason);
}

const char *ft_loss_name(unsigned int reason)
{
	return NAME_OF(loss_name, reason);
}

const char *ft_loss_help(unsigned int reason)
{
	return NAME_OF(loss_help, reason);
}

const char *ft_source_name(unsigned int source)
{
	return NAME_OF(source_name, source);
}

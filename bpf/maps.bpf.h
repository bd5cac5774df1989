/* SPDX-License-Identifier: GPL-2.0 */
/* Every map and every global of the BPF objects, with who writes and who reads it. The two
 * doors (tracepoint, sockops) are separate objects with the same maps; one of them runs. */
#ifndef FT_MAPS_BPF_H
#define FT_MAPS_BPF_H

#include "fantail_pair.h"

/* Hop rules. Read when a flow opens. Two tables: user space writes the one that is not in
 * force, then switches control.table, so that no flow meets a half-written rule. */
struct ft_rules rules[2] SEC(".data.rules");

/* Switches. Written by user space, whole; so what the kernel writes is not among them. */
volatile struct ft_control control SEC(".data.control");

/* 0, which the verifier does not know. */
static volatile __u32 nought;

/* The numbers come from the kernel or from a map: bound them where they index, and keep the
 * compiler from moving the check to another register than the verifier looks at. Without
 * CAP_PERFMON the verifier also wants an index to be a number that it knows on each path to an
 * addition, always the same, or on none. */
static __always_inline __u32 index_of(__u32 i)
{
	if (opaque_indices)
		i += nought;
	barrier_var(i);
	return i;
}

/* In a walk of phase FILL: what is found of this hop was there before. */
static __always_inline bool is_fresh(__u32 hop)
{
	return control.phase == FT_PHASE_FILL && control.fresh >> (hop & (FT_MAX_HOPS - 1)) & 1;
}

static __always_inline bool is_retired(__u32 hop)
{
	return control.phase == FT_PHASE_FILL && control.retired >> (hop & (FT_MAX_HOPS - 1)) & 1;
}

/* Open flows. Written by the engine and the first scan, read by lists. A plain hash: an LRU
 * would evict live flows and falsify the gauges. Not preallocated: an idle host pays for
 * the buckets only. Capacity is set before load. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct ft_flow);
} ft_flows SEC(".maps");

/* Entries of ft_flows, closed ones included. Written by the engine when it inserts or deletes. */
static volatile __u64 entries;

/* 1 once some flow found no place in ft_flows: what has no entry may be a flow that is counted.
 * Written by the engine, never taken back. */
static volatile __u32 overflow;

/* Up to this many entries, a closed flow's entry is kept for the next socket at its address.
 * Set before load. */
const volatile __u64 keep_entries = 16384;

/* The counters: per CPU, one slot per hop and context (see engine.bpf.h). Written by the
 * engine, read by everyone as the sum. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FT_MAX_HOPS *FT_NCONTEXTS);
	__type(key, __u32);
	__type(value, struct ft_hop_stats);
} ft_stats SEC(".maps");

/* Loss counters. Written by the engine, read by everyone. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_totals);
} ft_totals SEC(".maps");

/* Listening sockets now. Written by the engine and the first scan, read by discovery. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, FT_MAX_LISTENERS);
	__type(key, __u64);
	__type(value, struct ft_listener);
} ft_listeners SEC(".maps");

/* Ports that have or had a listener: an accepted flow outlives its listener. Written with
 * ft_listeners; user space removes what nothing was accepted on for long. Read to tell the
 * direction of flows that were not seen opening. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ft_port_key);
	__type(value, struct ft_port);
} ft_ports SEC(".maps");

/* Destinations that match no rule. Written by the engine while discovering, read and
 * emptied by discovery. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct ft_candidate_key);
	__type(value, struct ft_candidate);
} ft_candidates SEC(".maps");

/* For user space only; kept in maps so that they are pinned with the counters. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_meta);
} ft_meta SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FT_MAX_HOPS);
	__type(key, __u32);
	__type(value, struct ft_hop_def);
} ft_hops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_scan);
} ft_scan SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FT_MAX_HOPS);
	__type(key, __u32);
	__type(value, struct ft_hop_limits);
} ft_limits SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, struct ft_space);
} ft_spaces SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FT_MAX_HOPS);
	__type(key, __u32);
	__type(value, struct ft_hop_pairs);
} ft_pairings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_pair_totals);
} ft_pair_loss SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FT_HISTORY);
	__type(key, __u32);
	__type(value, struct ft_sample);
} ft_history SEC(".maps");

static __always_inline struct ft_totals *totals(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&ft_totals, &zero);
}

/* Atomic always: rare, and may nest. */
static __always_inline void count_loss(enum ft_loss reason)
{
	struct ft_totals *t = totals();
	__u64 *counter;

	if (!t)
		return;
	counter = &t->loss[reason];
	barrier_var(counter); /* as in add() */
	__sync_fetch_and_add(counter, 1);
}

#endif

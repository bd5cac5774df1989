/* SPDX-License-Identifier: GPL-2.0 */
/* Every map and global of the pairing object, with who writes and who reads it. */
#ifndef FT_PAIR_MAPS_BPF_H
#define FT_PAIR_MAPS_BPF_H

/* Roles of hops and the port filter. Written by user space. */
volatile struct ft_pair_control pairing SEC(".data.pairing");

/* 0: edges of closed flows stay until user space removes them (tests compare them with what
 * the servers saw). Set before load. */
const volatile bool drop_ended = true;

/* Programs may be preempted, see tracepoint.bpf.c. Set before load. */
const volatile bool preemptible = false;

/* The counting object's table, shared; only read here. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct ft_flow);
} ft_flows SEC(".maps");

/* Flows of paired hops. Written by the programs; user space reads them and removes those whose
 * end was not seen. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct ft_pair_flow);
} ft_pair_flows SEC(".maps");

/* Edges between flows that are open. Written by the programs, which remove the newest edge of
 * a flow that closes; user space reads them and removes the others. A plain hash: an LRU would
 * evict pairs that live long and say little. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 131072);
	__type(key, struct ft_pair_edge_key);
	__type(value, struct ft_pair_edge);
} ft_pair_edges SEC(".maps");

/* Threads that read or write flows of paired hops. Written by the programs, each entry by its
 * thread alone; user space removes those that were not used for long. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, __u64);
	__type(value, struct ft_pair_thread);
} ft_pair_threads SEC(".maps");

/* What a new thread's entry is copied from: it is too large for the stack. Written by nobody. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_pair_thread);
} ft_pair_blank SEC(".maps");

/* Closed flows of hops that ask for byte signatures. Written by the programs, read and emptied
 * by user space. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, __u64);
	__type(value, struct ft_pair_closed);
} ft_pair_closed SEC(".maps");

/* The counters. Written by the programs, read by user space as the sum over CPUs. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FT_MAX_HOPS);
	__type(key, __u32);
	__type(value, struct ft_pair_stats);
} ft_pair_stats SEC(".maps");

/* Losses. As above. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ft_pair_totals);
} ft_pair_totals SEC(".maps");

/* What ends a flow may interrupt what reads or writes another, so their counters are added to
 * atomically where both have them. */
static __always_inline void add(__u64 *counter, __u64 n)
{
	__sync_fetch_and_add(counter, n);
}

/* What only reads and writes add to: nothing interrupts one of these and does the same, unless it
 * is preempted. */
static __always_inline void add_alone(__u64 *counter, __u64 n)
{
	if (preemptible)
		__sync_fetch_and_add(counter, n);
	else
		*counter += n;
}

static __always_inline void lose(enum ft_pair_loss reason)
{
	__u32 zero = 0;
	struct ft_pair_totals *t = bpf_map_lookup_elem(&ft_pair_totals, &zero);

	if (t)
		add(&t->loss[reason], 1);
}

static __always_inline struct ft_pair_stats *stats_of(__u32 hop)
{
	return bpf_map_lookup_elem(&ft_pair_stats, &hop);
}

#endif

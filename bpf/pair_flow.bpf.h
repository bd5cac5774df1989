/* SPDX-License-Identifier: GPL-2.0 */
/* A flow's life in the eyes of pairing: met at its first read or write (or at connect()),
 * counted by its hop when it closes. */
#ifndef FT_PAIR_FLOW_BPF_H
#define FT_PAIR_FLOW_BPF_H

#define HOP_OF(id) ((id) & (FT_MAX_HOPS - 1))

static __always_inline bool in_set(const volatile __u32 set[2048], __u16 port)
{
	__u32 word = port >> 5;

	barrier_var(word); /* older verifiers do not know that a swapped port has 16 bits */
	return word < 2048 && (set[word] >> (port & 31) & 1);
}

/* A socket, as far as pairing looks at it. */
struct where {
	__u64 key;
	__u16 lport, rport;
	__u64 seen_ns; /* its last segment, about now */
};

/* Before any table: most sockets of a busy host are of no paired hop. */
static __always_inline bool may_pair(const struct where *w)
{
	return in_set(pairing.accept_port, w->lport) || in_set(pairing.connect_port, w->rport);
}

/* The moment it was met, the CPU (of up to four that meet flows in one nanosecond) and the hop. */
static __always_inline __u64 make_id(__u8 hop)
{
	return bpf_ktime_get_ns() << 8 | (bpf_get_smp_processor_id() & 3) << 6 | hop;
}

/* Insert what ft_flows knows about the socket, if its hop is paired. connect_ns: connect() was
 * called now; else 0. */
static __noinline struct ft_pair_flow *meet(const struct where *w, __u64 connect_ns)
{
	__u64 key = w->key;
	struct ft_flow *f = bpf_map_lookup_elem(&ft_flows, &key);
	struct ft_pair_flow new = {};
	__u8 hop;

	if (!f || f->state == FT_CLOSE)
		return NULL;
	hop = f->hop & (FT_MAX_HOPS - 1);
	new.role = pairing.hop[hop].role;
	if (!new.role)
		return NULL;
	new.id = make_id(hop);
	new.hop = hop;
	new.opened_ns = connect_ns ? connect_ns : f->opened_ns;
	new.tgid = bpf_get_current_pid_tgid() >> 32;
	new.port = new.role == FT_PAIR_A ? w->rport : w->lport;
	if (!(f->flags & FT_FLOW_PREEXISTING))
		new.flags = FT_PAIR_FLOW_WHOLE;
	if (bpf_map_update_elem(&ft_pair_flows, &key, &new, BPF_ANY)) {
		lose(FT_PAIR_LOSS_FLOWS_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&ft_pair_flows, &key);
}

/* The socket's entry. One whose remote port is another's is of an earlier socket at this
 * address: its close was not seen. (A connect is always seen and resets its entry.) */
static __always_inline struct ft_pair_flow *flow_of(const struct where *w)
{
	__u64 key = w->key;
	struct ft_pair_flow *f = bpf_map_lookup_elem(&ft_pair_flows, &key);

	if (!f)
		return meet(w, 0);
	if (f->role == FT_PAIR_A && f->port != w->rport) {
		lose(FT_PAIR_LOSS_MISSED_CLOSE);
		return meet(w, 0);
	}
	return f;
}

/* The flow that a reference names, if it is still that one. */
static __always_inline struct ft_pair_flow *named(const struct ft_pair_ref *r)
{
	struct ft_pair_flow *f = bpf_map_lookup_elem(&ft_pair_flows, &r->key);

	return f && f->id == r->id ? f : NULL;
}

/* Global: see rules_of(). */
__noinline __u32 fanout_bucket(__u32 n)
{
	if (n <= 8)
		return n;
	return n <= 16 ? 9 : n <= 32 ? 10 : n <= 64 ? 11 : n <= 128 ? 12 : 13;
}

#endif

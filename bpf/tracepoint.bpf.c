// SPDX-License-Identifier: GPL-2.0
/*
 * The default door: tp_btf/inet_sock_set_state, every socket of every network namespace.
 *
 * Two programs on one tracepoint, because the kernel skips a tracing program that is already
 * running on the same CPU (kernel/trace/bpf_trace.c, prog->active), and a softirq's
 * transition can interrupt a process's. ft_state accounts and leaves a mark; ft_state_again
 * runs right after it and accounts what has no mark. A nested transition interrupts one of
 * the two, so the other one runs. The mark is per CPU and per context (is the socket held by
 * a process?): nothing that can come between the two programs of one event writes the same
 * mark, so it is exact.
 *
 * From Linux 7.0 on, programs may be preempted and a task may change its CPU between two of them
 * (include/linux/tracepoint.h: SRCU instead of preempt_disable()). Then `preemptible` is set: a
 * task that waits inside ft_state keeps it from others on that CPU, so ft_state_third is attached,
 * too; counters are added to atomically; and where the mark is another's, the flow's entry tells
 * whether the event was accounted (in_entry()).
 *
 * BTF pointers are dereferenced directly: BPF_CORE_READ is refused under lockdown.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <stdbool.h>
#include "fantail.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_INET	     2
#define AF_INET6     10
#define ECONNREFUSED 111
#define ETIMEDOUT    110
#define EHOSTUNREACH 113
#define ENETUNREACH  101
#define EHOSTDOWN    112
#define ENONET	     64
#define EACCES	     13
#define ECONNRESET   104
#define EPIPE	     32
#define IPPROTO_TCP  6

#define opaque_indices false
#include "maps.bpf.h"
#include "addr.bpf.h"
#include "match.bpf.h"
#include "owner.bpf.h"

/* The event that was accounted last on this CPU and context. Written and read by the programs of
 * this tracepoint only. */
struct mark {
	__u64 key;
	__u64 states;
};
struct marks {
	struct mark by_context[FT_NCONTEXTS];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct marks);
} ft_marks SEC(".maps");

/* Programs of tracepoints may be preempted. Set before load. */
const volatile bool preemptible = false;

struct event {
	__u64 key; /* the socket's address */
	struct sock *sk;
	__u32 old, new;
	__u32 context; /* enum ft_context */
	__u32 netns;
	bool atomic; /* something else on this CPU may add meanwhile: we may be preempted */
};

static __always_inline __u32 netns_of(const struct sock_common *skc)
{
	return skc->skc_net.net->ns.inum;
}

/* 0 where nobody asks: that is a cache line which TCP does not use. Once per event, before anything
 * branches: each time the verifier (6.18) comes along a pointer that is followed, it searches the
 * names of all kernel types for it, half a millisecond long. */
static __always_inline __u32 netns_for(const struct sock *sk, int old, int new)
{
	bool opens = new == FT_ESTABLISHED || new == FT_SYN_SENT || old == FT_SYN_RECV;

	if (!opens && new != FT_LISTEN && !control.netns)
		return 0;
	return netns_of(&sk->__sk_common);
}

/* Mini sockets (timewait, request) have it too. */
static __always_inline void common_tuple(const struct sock_common *skc, __u32 netns,
					 struct ft_flow *f)
{
	if (skc->skc_family == AF_INET) {
		addr_from_v4(f->laddr, skc->skc_rcv_saddr);
		addr_from_v4(f->raddr, skc->skc_daddr);
	} else if (bpf_core_field_exists(skc->skc_v6_daddr)) {
		addr_from_v6(f->laddr, skc->skc_v6_rcv_saddr.in6_u.u6_addr32);
		addr_from_v6(f->raddr, skc->skc_v6_daddr.in6_u.u6_addr32);
	}
	f->lport = skc->skc_num;
	f->rport = bpf_ntohs(skc->skc_dport);
	f->netns = netns;
}

static __always_inline __u32 ev_netns(const struct event *ev)
{
	return netns_of(&ev->sk->__sk_common);
}

static __always_inline void ev_tuple(const struct event *ev, struct ft_flow *f)
{
	common_tuple(&ev->sk->__sk_common, ev->netns, f);
	if (!f->lport && ev->new == FT_CLOSE) { /* skc_num is gone by then */
		struct tcp_sock *tp = bpf_skc_to_tcp_sock(ev->sk);

		if (tp)
			f->lport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	}
}

/* The process where the kernel lets us see it, else its thread. */
static __always_inline void current_comm(char comm[FT_COMM_LEN])
{
	if (bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf))
		leader_comm(comm);
	else
		bpf_get_current_comm(comm, FT_COMM_LEN);
	join_workers(comm);
}

static __always_inline void ev_owner(const struct event *ev, struct ft_flow *f,
				     char comm[FT_COMM_LEN])
{
	f->pid = bpf_get_current_pid_tgid() >> 32;
	if (control.connect_comm || control.discover)
		current_comm(comm);
}

/* A connect that found no free port never had one: inet_hash_connect() failed. */
static __always_inline bool without_port(const struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock((void *)sk);

	return tp && !tp->inet_conn.icsk_inet.inet_sport;
}

static __always_inline enum ft_failed ev_failed(const struct event *ev)
{
	switch (ev->sk->sk_err) {
	case ECONNREFUSED:
		return FT_FAILED_REFUSED;
	case ETIMEDOUT:
		return FT_FAILED_TIMEOUT;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case EHOSTDOWN: /* host unknown */
	case ENONET:	/* host isolated */
	case EACCES:	/* IPv6: prohibited; IPv4 says EHOSTUNREACH */
		return FT_FAILED_UNREACHABLE;
	case 0:
		return without_port(ev->sk) ? FT_FAILED_NO_PORT : FT_FAILED_OTHER;
	default:
		return FT_FAILED_OTHER;
	}
}

static __always_inline enum ft_closed ev_aborted(const struct event *ev)
{
	int err = ev->sk->sk_err;

	/* 0: this end aborted (linger 0, unread data): it sent a RST. */
	return !err || err == ECONNRESET || err == EPIPE ? FT_CLOSED_RESET : FT_CLOSED_OTHER;
}

static __always_inline __u32 ev_segments(const struct event *ev, bool sent)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(ev->sk);

	return !tp ? 0 : sent ? tp->data_segs_out : tp->data_segs_in;
}

static __always_inline __u64 ev_now(const struct event *ev)
{
	return bpf_ktime_get_ns();
}

static __always_inline __u64 ev_segment(const struct event *ev)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(ev->sk);

	return tp ? tp->tcp_mstamp * 1000 : 0;
}

static __always_inline struct ft_port *port_of(const struct ft_flow *f)
{
	struct ft_port_key key = {.netns = f->netns, .port = f->lport};
	struct ft_port *p = bpf_map_lookup_elem(&ft_ports, &key); /* any address */

	if (p)
		return p;
	__builtin_memcpy(key.addr, f->laddr, sizeof(key.addr));
	return bpf_map_lookup_elem(&ft_ports, &key);
}

static __always_inline bool ev_listener(const struct event *ev, const struct ft_flow *f,
					char comm[FT_COMM_LEN])
{
	struct ft_port *p = port_of(f);

	if (p)
		__builtin_memcpy(comm, p->comm, FT_COMM_LEN);
	return p;
}

/* Not by nesting (see above), but some kernels skip programs for other reasons: PREEMPT_RT
 * may nest deeper, hardened ones hide the context of chosen processes. */
#define opens_may_be_missed true
#define adds_atomically(ev) ((ev)->atomic)
#define delete_later	    preemptible

#include "engine.bpf.h"
#include "listen.bpf.h"

static __always_inline __u64 states(__u32 old, __u32 new)
{
	return old << 8 | new;
}

/* A process that changes a socket's state holds its lock; softirq does not touch such a socket
 * (it queues to the backlog), and what it does to others is not interrupted by a process. The
 * few that have it the other way round (a listener's children) run with softirqs off. */
static __always_inline __u32 context_of(const struct sock *sk)
{
	return sk->sk_lock.owned ? FT_CONTEXT_PROCESS : FT_CONTEXT_SOFTIRQ;
}

static __always_inline struct mark *mark_of(const struct sock *sk)
{
	__u32 zero = 0;
	struct marks *m = bpf_map_lookup_elem(&ft_marks, &zero);

	return m ? &m->by_context[context_of(sk)] : NULL;
}

/* Whether the engine has anything to do with this transition. */
static __always_inline bool ours(const struct sock *sk, __u32 netns, int old, int new)
{
	if (control.phase == FT_PHASE_OFF || sk->sk_protocol != IPPROTO_TCP)
		return false;
	if (old == FT_LISTEN && new != FT_CLOSE) /* the clone made for a child */
		return false;
	if (old == FT_CLOSE && new == FT_CLOSE) /* an aborted listener says it twice */
		return false;
	return !control.netns || control.netns == netns;
}

static __always_inline void account(struct sock *sk, __u32 netns, int old, int new)
{
	struct event ev = {
		.key = (__u64)sk,
		.sk = sk,
		.old = old,
		.new = new,
		.context = context_of(sk),
		.netns = netns,
		.atomic = preemptible, /* in softirq context, too: PREEMPT_RT */
	};

	if (unlikely(old == FT_LISTEN || new == FT_LISTEN))
		listener_changed(&ev);
	else
		transit(&ev);
}

static __always_inline void leave_mark(struct mark *m, const struct sock *sk, int old, int new)
{
	if (!m)
		return;
	m->key = (__u64)sk;
	m->states = states(old, new);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ft_state, struct sock *sk, int old, int new)
{
	__u32 netns = netns_for(sk, old, new);

	if (!ours(sk, netns, old, new))
		return 0;
	leave_mark(mark_of(sk), sk, old, new);
	account(sk, netns, old, new);
	return 0;
}

/* No mark is left of an event that was accounted, because another task ran in between, or this one
 * went to another CPU. The socket is locked, so its entry is as this event left it. What has no
 * entry is of no hop, and to account that again changes nothing; but for a flow that found no room
 * in the table: it may be counted again. */
static __always_inline bool in_entry(const struct sock *sk, __u32 old, __u32 new)
{
	__u64 key = (__u64)sk;
	const struct ft_flow *f = bpf_map_lookup_elem(&ft_flows, &key);

	if (!f || f->state != new || f->rport != bpf_ntohs(sk->__sk_common.skc_dport))
		return false;
	return new != FT_CLOSE || (f->path & 0xf) == old; /* what it was closed from */
}

/* What forget() leaves to us: the entry had to tell of this event until now. */
static __always_inline void forget_closed(const struct sock *sk, int new)
{
	__u64 key = (__u64)sk;
	const struct ft_flow *f;

	if (new != FT_CLOSE || entries <= keep_entries || sk->sk_protocol != IPPROTO_TCP)
		return;
	f = bpf_map_lookup_elem(&ft_flows, &key);
	if (f && f->state == FT_CLOSE && !bpf_map_delete_elem(&ft_flows, &key))
		__sync_fetch_and_add(&entries, -1);
}

/* last: no other program comes after this one. */
static __always_inline void account_rest(struct sock *sk, int old, int new, bool last)
{
	struct mark *m = mark_of(sk);
	struct ft_totals *t;
	__u32 netns;

	if (m && m->key == (__u64)sk && m->states == states(old, new)) {
		if (last)
			m->key = 0; /* a later event of a reused address must not match */
		return;
	}
	netns = netns_for(sk, old, new);
	if (!ours(sk, netns, old, new) || (preemptible && in_entry(sk, old, new)))
		return;
	if (!last)
		leave_mark(m, sk, old, new);
	t = totals();
	if (t)
		__sync_fetch_and_add(&t->rescued, 1);
	account(sk, netns, old, new);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ft_state_again, struct sock *sk, int old, int new)
{
	account_rest(sk, old, new, !preemptible);
	return 0;
}

/* Only where programs may be preempted. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ft_state_third, struct sock *sk, int old, int new)
{
	account_rest(sk, old, new, true);
	forget_closed(sk, new);
	return 0;
}

#include "scan.bpf.h"

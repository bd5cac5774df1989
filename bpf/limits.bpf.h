/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a walk sees of each socket that no transition tells: who waits, who is idle, which
 * limit is near. Added up per hop in the half of ft_scans that the walk under way owns, so
 * that user space reads O(hops) and a reader never meets a half-done sum. One walk runs at a
 * time and in one thread: plain additions.
 */
#ifndef FT_LIMITS_BPF_H
#define FT_LIMITS_BPF_H

/* Findings per hop, two walks deep. Written by the walk, emptied by user space before it,
 * read by everyone once ft_scan names its number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * FT_SCAN_ROWS);
	__type(key, __u32);
	__type(value, struct ft_hop_scan);
} ft_scans SEC(".maps");

/* Local ports in use per destination of a connect hop. Written by the walk, read by lists;
 * user space removes what no walk has met for long. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 8192);
	__type(key, struct ft_ports_key);
	__type(value, struct ft_ports_used);
} ft_ports_used SEC(".maps");

/* Length of a jiffy; user space asks the clock for it. */
const volatile __u64 tick_ns = 4000000;

static const __u64 idle_bounds_s[FT_NIDLE - 1] = FT_IDLE_BOUNDS_S;
#define SECOND	 1000000000ULL
#define NLB_IDLE (350 * SECOND)

/* States of mini sockets in sock_common (include/net/tcp_states.h). */
#define TCP_TIME_WAIT	 6
#define TCP_NEW_SYN_RECV 12

static __always_inline struct ft_hop_scan *scan_of(__u32 hop)
{
	__u32 slot = FT_SCAN_SLOT(control.audit, hop);

	return control.scanning ? bpf_map_lookup_elem(&ft_scans, &slot) : NULL;
}

/* --- ages --- */

static __always_inline __u64 jiffies_age_ns(__u32 stamp)
{
	return (__u32)((__u32)bpf_jiffies64() - stamp) * tick_ns;
}

/* Retransmits count as sent data: of a flow that waits for its peer only receiving tells. */
static __always_inline __u64 byte_age_ns(const struct tcp_sock *tp)
{
	__u32 now = bpf_jiffies64(), received = now - tp->inet_conn.icsk_ack.lrcvtime;
	__u32 sent = now - tp->lsndtime;

	return (tp->inet_conn.icsk_retransmits || received < sent ? received : sent) * tick_ns;
}

static __always_inline __u64 segment_age_ns(const struct tcp_sock *tp)
{
	__u64 now = bpf_ktime_get_ns(), seen = tp->tcp_mstamp * 1000;

	return seen && now > seen ? now - seen : 0;
}

/* --- one socket --- */

/* A FIN has a sequence number, but is no byte. */
static __always_inline __u32 unread_bytes(const struct tcp_sock *tp, __u32 state)
{
	__u32 bytes = tp->rcv_nxt - tp->copied_seq;
	bool fin = state == FT_CLOSE_WAIT || state == FT_LAST_ACK || state == FT_CLOSING;

	return bytes && fin ? bytes - 1 : bytes;
}

static __always_inline __u32 unsent_bytes(const struct tcp_sock *tp, __u32 state)
{
	__u32 bytes = tp->write_seq - tp->snd_una;
	bool fin = state == FT_FIN_WAIT1 || state == FT_LAST_ACK || state == FT_CLOSING;

	return bytes && fin ? bytes - 1 : bytes;
}

/* Two retransmits of the same data, or two keep-alive probes, without an answer. Probes of a
 * closed window have data behind them: such a peer is alive and does not read. */
static __always_inline bool is_stale(const struct tcp_sock *tp)
{
	if (tp->packets_out)
		return tp->inet_conn.icsk_retransmits >= 2;
	return tp->inet_conn.icsk_probes_out >= 2 && tp->write_seq == tp->snd_una;
}

static __always_inline __u64 held_age_ns(const struct tcp_sock *tp, const struct ft_flow *f,
					 __u32 unread)
{
	__u64 now = bpf_ktime_get_ns();

	if (unread == tp->bytes_received && f->opened_ns && now > f->opened_ns)
		return now - f->opened_ns;
	return jiffies_age_ns(tp->inet_conn.icsk_ack.lrcvtime);
}

static __always_inline void raise(__u64 *most, __u64 value)
{
	if (value > *most)
		*most = value;
}

/* A byte comes in a segment: what is silent has been idle for at least as long. */
static __always_inline bool is_silent(const struct tcp_sock *tp, __u64 byte_age)
{
	return byte_age > NLB_IDLE && segment_age_ns(tp) > NLB_IDLE;
}

static __always_inline void scan_idle(struct ft_hop_scan *s, const struct tcp_sock *tp, bool held)
{
	__u64 age = byte_age_ns(tp);
	__u32 i;

	for (i = 0; i < FT_NIDLE - 1; i++)
		if (age <= idle_bounds_s[i] * SECOND)
			break;
	barrier_var(i);
	if (i < FT_NIDLE)
		s->idle[i]++;
	if (held)
		s->held_idle += age > SECOND;
	else
		raise(&s->idle_oldest_ns, age);
	s->silent += is_silent(tp, age);
}

/* A socket that nobody accept()ed yet is in its listener's backlog, and not held. */
static __always_inline bool is_held(const struct tcp_sock *tp, const struct ft_flow *f,
				    __u32 unread)
{
	return unread && !(f->flags & FT_FLOW_CONNECT) && tp->inet_conn.icsk_inet.sk.sk_socket;
}

static __always_inline void scan_open(struct ft_hop_scan *s, const struct tcp_sock *tp,
				      const struct ft_flow *f, __u32 state)
{
	__u32 unread = unread_bytes(tp, state);
	bool held = is_held(tp, f, unread);

	s->flows++;
	if (held) {
		s->held++;
		raise(&s->held_oldest_ns, held_age_ns(tp, f, unread));
	}
	scan_idle(s, tp, held);
	s->stale += is_stale(tp);
}

/* --- local ports --- */

static __always_inline void renew(struct ft_ports_used *u)
{
	if (u->walk == control.audit)
		return;
	u->used_before = u->used;
	u->mono_ns_before = u->mono_ns;
	u->used = 0;
	u->time_wait = 0;
	u->mono_ns = bpf_ktime_get_ns();
	u->walk = control.audit;
}

static __always_inline void scan_port(const struct ft_flow *f, bool time_wait)
{
	struct ft_ports_key key = {.netns = f->netns, .rport = f->rport, .hop = f->hop};
	struct ft_ports_used first = {}, *u;

	if (!control.scanning || !(f->flags & FT_FLOW_CONNECT) || !f->lport)
		return;
	__builtin_memcpy(key.laddr, f->laddr, sizeof(key.laddr));
	__builtin_memcpy(key.raddr, f->raddr, sizeof(key.raddr));
	u = bpf_map_lookup_elem(&ft_ports_used, &key);
	if (!u) {
		renew(&first);
		first.used = 1;
		first.time_wait = time_wait;
		if (bpf_map_update_elem(&ft_ports_used, &key, &first, BPF_NOEXIST))
			count_loss(FT_LOSS_PORTS_FULL);
		return;
	}
	renew(u);
	u->used++;
	u->time_wait += time_wait;
}

/* --- what is no full socket --- */

/* Whether the hop of a socket without process is known; which process a connect hop asks for is
 * not looked at. */
static __always_inline struct ft_hop_scan *scan_of_mini(const struct sock_common *skc, __u32 netns,
							struct ft_flow *f, bool handshake)
{
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	int hop;

	common_tuple(skc, netns, f);
	if (!ev_listener(NULL, f, comm) && !handshake)
		f->flags = FT_FLOW_CONNECT;
	hop = f->flags & FT_FLOW_CONNECT ? match_any_process(f) : match_flow(f, comm);
	if (hop < 0)
		return NULL;
	f->hop = hop;
	return scan_of(hop);
}

static __always_inline void scan_time_wait(struct sock_common *skc, __u32 netns)
{
	struct tcp_timewait_sock *tw = bpf_skc_to_tcp_timewait_sock(skc);
	struct ft_flow f = {};
	struct ft_hop_scan *s = tw ? scan_of_mini(skc, netns, &f, false) : NULL;

	if (!s)
		return;
	if (tw->tw_sk.tw_substate == TCP_TIME_WAIT)
		s->time_wait++;
	else
		s->fin_wait2++;
	scan_port(&f, true);
}

static __always_inline void scan_handshake(const struct sock_common *skc, __u32 netns)
{
	struct ft_flow f = {};
	struct ft_hop_scan *s = scan_of_mini(skc, netns, &f, true);

	if (s)
		s->syn_recv++;
}

static __always_inline void scan_mini(struct sock_common *skc, __u32 netns)
{
	__u32 state = skc->skc_state;

	if (state == TCP_TIME_WAIT)
		scan_time_wait(skc, netns);
	else if (state == TCP_NEW_SYN_RECV)
		scan_handshake(skc, netns);
}

/* --- listeners --- */

static __always_inline void scan_listener(const struct event *ev, const struct tcp_sock *tp)
{
	const struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct ft_listener *l = bpf_map_lookup_elem(&ft_listeners, &ev->key);
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	struct ft_hop_scan *s;
	struct ft_flow f = {};

	if (!l || !control.scanning)
		return;
	common_tuple(&sk->__sk_common, ev->netns, &f);
	__builtin_memcpy(comm, l->comm, sizeof(comm));
	l->hop = match_flow(&f, comm);
	l->backlog = sk->sk_ack_backlog;
	l->backlog_limit = sk->sk_max_ack_backlog;
	l->syn_backlog = tp->inet_conn.icsk_accept_queue.qlen.counter;
	s = l->hop < 0 ? NULL : scan_of(l->hop);
	if (!s)
		return;
	s->listeners++;
	s->backlog += l->backlog;
	s->backlog_limit += l->backlog_limit;
	s->syn_backlog += l->syn_backlog;
}

#endif

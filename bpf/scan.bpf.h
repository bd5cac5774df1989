/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The walks over all TCP sockets of one network namespace (that of the process which opens
 * the iterator's file). ft_walk runs at the start, after the programs are enabled: it
 * remembers listeners and inserts flows that were open before. Listeners come first in
 * every kernel's walk (net/ipv4/tcp_ipv4.c, TCP_SEQ_STATE_LISTENING), so that ports are
 * known when their flows are met. Run again now and then, it is the scan (limits.bpf.h) and,
 * with ft_sweep after it, the audit: entries that it meets are stamped, ft_sweep removes the
 * rest. ft_dump writes one row per socket, for lists.
 *
 * Since 5.15 a socket is locked while the program looks at it, before that its hash bucket
 * is; tcp_set_state() takes a closing socket out of its bucket first. So no close can slip
 * in between the look and the insert.
 */
#ifndef FT_SCAN_BPF_H
#define FT_SCAN_BPF_H

#include "limits.bpf.h"

/* Owners of sockets that were open before us, found by user space in /proc. Written by user
 * space before ft_walk runs, read by it, emptied afterwards. Key: the socket's address. */
struct owner {
	char comm[FT_COMM_LEN];
	__u32 pid;
	__u32 pad;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, struct owner);
} ft_owners SEC(".maps");

static __always_inline void own(__u64 key, char comm[FT_COMM_LEN], __u32 *pid)
{
	struct owner *o = bpf_map_lookup_elem(&ft_owners, &key);

	if (!o)
		return;
	__builtin_memcpy(comm, o->comm, FT_COMM_LEN);
	*pid = o->pid;
}

static __always_inline void fill_listener(const struct event *ev)
{
	const struct ft_listener *known = bpf_map_lookup_elem(&ft_listeners, &ev->key);
	struct ft_listener l = {};

	if (known) /* its port may have been forgotten just as it began to listen */
		__builtin_memcpy(l.comm, known->comm, sizeof(l.comm));
	own(ev->key, l.comm, &l.pid);
	remember_listener(ev, &l);
}

/* An open socket without an entry. In the first walk it was open before us; later its opening
 * was missed - or counted without an entry, if the table overflowed. */
static __always_inline bool count_found(const struct event *ev, struct ft_hop_stats *s,
					struct ft_flow *f, bool first)
{
	if (!first && overflow)
		return false;
	count_transition(ev, s, FT_UNSEEN, f->state);
	if (!first)
		count_loss(FT_LOSS_MISSED_OPEN);
	if (!(f->flags & FT_FLOW_OPEN))
		return true;
	if (first) {
		f->flags |= FT_FLOW_PREEXISTING;
		add(ev, &s->preexisting, 1);
	} else {
		add(ev, &s->opened, 1);
	}
	return true;
}

/* A flow with an entry. Some kernels' walks show a socket twice: the stamp tells. */
static __always_inline void meet(const struct tcp_sock *tp, struct ft_flow *f, __u32 state)
{
	bool again = f->audit == (__u8)control.audit;
	struct ft_hop_scan *s;

	f->audit = control.audit;
	s = again ? NULL : scan_of(f->hop);
	if (!s)
		return;
	if (f->flags & FT_FLOW_OPEN)
		scan_open(s, tp, f, state);
	scan_port(f, false);
}

static __always_inline void meet_new(const struct tcp_sock *tp, const struct ft_flow *f,
				     __u32 state, bool counted)
{
	struct ft_hop_scan *s = scan_of(f->hop);

	if (!s)
		return;
	if (f->flags & FT_FLOW_OPEN) {
		scan_open(s, tp, f, state);
		s->found += counted;
	}
	scan_port(f, false);
}

/* Its hop is no longer configured, another one takes it. */
static __always_inline void give_away(const struct event *ev, struct ft_flow *f)
{
	struct ft_hop_stats *s = stats_of(ev, f->hop);

	if (s)
		count_transition(ev, s, f->state, FT_CLOSE);
	if (s && f->flags & FT_FLOW_OPEN)
		add(ev, &s->closed[FT_CLOSED_OTHER], 1);
	f->state = FT_CLOSE;
}

static __always_inline void fill_flow(const struct event *ev, const struct tcp_sock *tp,
				      __u32 state)
{
	struct ft_flow f = {}, *known;
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	struct ft_hop_stats *s;
	__u64 key = ev->key;
	bool counted, open;
	int hop;

	known = bpf_map_lookup_elem(&ft_flows, &key);
	open = known && known->state != FT_CLOSE;
	if (open && (state == FT_SYN_RECV || !is_retired(known->hop))) {
		meet(tp, known, state);
		return;
	}
	if (state == FT_SYN_RECV) /* a child: its 3 -> 1 is still to come */
		return;
	common_tuple(&ev->sk->__sk_common, ev->netns, &f);
	if (state == FT_SYN_SENT || !ev_listener(ev, &f, comm))
		f.flags = FT_FLOW_CONNECT;
	own(key, comm, &f.pid);
	hop = match_flow(&f, comm);
	s = hop < 0 ? NULL : stats_of(ev, hop);
	if (!s && open)
		meet(tp, known, state);
	if (!s)
		return;
	if (open)
		give_away(ev, known);
	f.hop = hop;
	enter_state(&f, state);
	if (state != FT_SYN_SENT)
		f.flags |= FT_FLOW_OPEN;
	counted = count_found(ev, s, &f, open || is_fresh(hop));
	if (counted) /* else it may be named in loss already: not at each walk */
		remember(ev, &f, known);
	meet_new(tp, &f, state, counted);
}

static __always_inline bool elsewhere(__u32 netns)
{
	return control.netns && control.netns != netns;
}

static __always_inline void count_met(void)
{
	struct ft_hop_scan *all = scan_of(FT_MAX_HOPS);

	if (all)
		all->flows++;
}

SEC("iter/tcp")
int ft_walk(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct tcp_sock *tp;
	struct event ev = {.atomic = true};
	__u32 state;

	if (!skc)
		return 0;
	count_met();
	ev.netns = netns_of(skc);
	tp = bpf_skc_to_tcp_sock(skc); /* NULL: timewait and request sockets */
	if (!tp) {
		if (control.scanning && !elsewhere(ev.netns))
			scan_mini(skc, ev.netns);
		return 0;
	}
	ev.sk = &tp->inet_conn.icsk_inet.sk;
	ev.key = (__u64)ev.sk;
	state = skc->skc_state;
	if (ev.sk->sk_protocol != IPPROTO_TCP || elsewhere(ev.netns))
		return 0;
	if (state == FT_LISTEN) {
		fill_listener(&ev);
		scan_listener(&ev, tp);
	} else if (state != FT_CLOSE) {
		fill_flow(&ev, tp, state);
	}
	return 0;
}

/* Network namespaces that the walk under way has been to. Written by user space, read by
 * ft_sweep: what lives elsewhere was not looked at. Value: ft_control.audit. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u32);
} ft_walked SEC(".maps");

/* Where the walk could not go, the table is all that is known. Stamped, or after 256 walks it would
 * look as if it had been met. */
static __always_inline void believe(struct ft_flow *f)
{
	struct ft_hop_scan *s = f->flags & FT_FLOW_OPEN ? scan_of(f->hop) : NULL;
	struct ft_hop_scan *all = scan_of(FT_MAX_HOPS);

	f->audit = control.audit;
	if (!s || !all)
		return;
	s->flows++;
	all->found++;
}

/* After a walk: an entry that walks do not meet belongs to a socket that is gone - or lives in a
 * namespace that is not counted any more, so that nothing will tell of its end. */
SEC("iter/bpf_map_elem")
int ft_sweep(struct bpf_iter__bpf_map_elem *ctx)
{
	__u64 *key = ctx->key;
	struct ft_flow *f = ctx->value;
	struct event ev = {.atomic = true};
	__u32 netns, *walked;
	__u8 missed;

	if (!key || !f)
		return 0;
	missed = control.audit - f->audit;
	if (f->state == FT_CLOSE || !missed)
		return 0;
	netns = f->netns;
	walked = bpf_map_lookup_elem(&ft_walked, &netns);
	if ((!walked || *walked != control.audit) && !elsewhere(netns)) {
		believe(f);
		return 0;
	}
	/* Two walks missed it: a connect may be between its steps during one. */
	if (missed < 2)
		return 0;
	ev.key = *key;
	bury(&ev, f);
	f->state = FT_CLOSE; /* kept: a new socket may be taking it over right now */
	return 0;
}

/* A listener under MPTCP has no file of its own; its connection's socket has. The only read
 * that needs bpf_probe_read_kernel: user space sets this under lockdown. */
const volatile bool no_probe_read = false;

static __always_inline __u64 mptcp_inode(struct tcp_sock *tp)
{
	struct mptcp_subflow_context *subflow = NULL;
	struct sock *conn = NULL;
	struct socket *socket = NULL;
	struct file *file = NULL;
	struct inode *inode = NULL;
	__u64 ino = 0;

	if (no_probe_read || !bpf_core_type_exists(struct mptcp_subflow_context))
		return 0;
	subflow = tp->inet_conn.icsk_ulp_data;
	if (!subflow)
		return 0;
	bpf_probe_read_kernel(&conn, sizeof(conn), &subflow->conn);
	bpf_probe_read_kernel(&socket, sizeof(socket), &conn->sk_socket);
	bpf_probe_read_kernel(&file, sizeof(file), &socket->file);
	bpf_probe_read_kernel(&inode, sizeof(inode), &file->f_inode);
	bpf_probe_read_kernel(&ino, sizeof(ino), &inode->i_ino);
	return ino;
}

static __always_inline void fill_row(struct ft_sock_row *row, struct tcp_sock *tp)
{
	struct sock *sk = &tp->inet_conn.icsk_inet.sk;
	struct ft_flow f = {};

	common_tuple(&sk->__sk_common, netns_of(&sk->__sk_common), &f);
	row->key = (__u64)sk;
	__builtin_memcpy(row->laddr, f.laddr, sizeof(row->laddr));
	__builtin_memcpy(row->raddr, f.raddr, sizeof(row->raddr));
	row->lport = f.lport;
	row->rport = f.rport;
	row->netns = f.netns;
	row->state = sk->__sk_common.skc_state;
	row->accepted = row->state != FT_LISTEN && port_of(&f);
	row->inode = inode_of(sk);
	if (!row->inode)
		row->inode = mptcp_inode(tp);
	if (row->state == FT_LISTEN) {
		row->unread_bytes = sk->sk_ack_backlog;
		row->unsent_bytes = sk->sk_max_ack_backlog;
		return;
	}
	row->unread_bytes = unread_bytes(tp, row->state);
	row->unsent_bytes = unsent_bytes(tp, row->state);
	row->idle_ns = byte_age_ns(tp);
	row->stale = is_stale(tp);
}

SEC("iter/tcp")
int ft_dump(struct bpf_iter__tcp *ctx)
{
	struct sock_common *skc = ctx->sk_common;
	struct ft_sock_row row = {};
	struct tcp_sock *tp;

	if (!skc)
		return 0;
	tp = bpf_skc_to_tcp_sock(skc);
	if (!tp || tp->inet_conn.icsk_inet.sk.sk_protocol != IPPROTO_TCP)
		return 0;
	fill_row(&row, tp);
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#define S_IFMT	 0170000
#define S_IFSOCK 0140000

/* Every open socket of every process. /proc tells it too, to those who may trace the process. */
SEC("iter/task_file")
int ft_holders(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task, *leader;
	struct file *file = ctx->file;
	struct ft_owner row = {};
	__u64 *comm = (__u64 *)row.comm;
	struct inode *inode;

	if (!task || !file)
		return 0;
	inode = file->f_inode;
	if ((inode->i_mode & S_IFMT) != S_IFSOCK)
		return 0;
	leader = task->group_leader;
	row.inode = inode->i_ino;
	row.pid = task->tgid;
	comm[0] = *(__u64 *)&leader->comm[0];
	comm[1] = *(__u64 *)&leader->comm[8];
	bpf_seq_write(ctx->meta->seq, &row, sizeof(row));
	return 0;
}

#endif

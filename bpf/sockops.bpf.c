// SPDX-License-Identifier: GPL-2.0
/*
 * The second door: BPF_PROG_TYPE_SOCK_OPS on a cgroup2 directory. Sees only sockets that
 * processes of that cgroup made, and only from the moment it was attached. For --cgroup, and
 * for hosts where tracing programs cannot be loaded.
 *
 * Built twice: without FT_NO_BTF the socket's sk_err tells why it ended, with it (no kernel
 * BTF, so no relocation and no kernel pointer) the segment counters have to.
 *
 * An observer: it returns 1 and never writes `reply`. Callback flags are one word per socket
 * that every program shares, so ours is added to what is there.
 */
#ifdef FT_NO_BTF
#include <linux/types.h>
#include <linux/bpf.h>
#else
#include "vmlinux.h"
#endif
#include <bpf/bpf_helpers.h>
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

#define opaque_indices true
#include "maps.bpf.h"
#include "addr.bpf.h"
#include "match.bpf.h"

/* Whether this kernel lets a sockops program look at the current task; found by trying. */
const volatile bool have_owner = false;

#ifndef FT_NO_BTF
#include "owner.bpf.h"
#endif

static __always_inline void current_owner(char comm[FT_COMM_LEN], __u32 *pid)
{
#ifndef FT_NO_BTF
	if (!have_owner)
		return;
	leader_comm(comm);
	join_workers(comm);
	*pid = bpf_get_current_task_btf()->tgid;
#endif
}

struct event {
	__u64 key; /* the socket's cookie */
	struct bpf_sock_ops *ctx;
	__u32 old, new;
	__u32 context; /* 0: not known */
};

static __always_inline __u32 ev_netns(const struct event *ev)
{
	return 0; /* not known */
}

/* local_port is in host order, remote_port in network order in 32 bits. */
static __always_inline void ev_tuple(const struct event *ev, struct ft_flow *f)
{
	struct bpf_sock_ops *ctx = ev->ctx;

	if (ctx->family == AF_INET) {
		addr_from_v4(f->laddr, ctx->local_ip4);
		addr_from_v4(f->raddr, ctx->remote_ip4);
	} else {
		__u32 *l = (__u32 *)f->laddr, *r = (__u32 *)f->raddr;

		l[0] = ctx->local_ip6[0];
		l[1] = ctx->local_ip6[1];
		l[2] = ctx->local_ip6[2];
		l[3] = ctx->local_ip6[3];
		r[0] = ctx->remote_ip6[0];
		r[1] = ctx->remote_ip6[1];
		r[2] = ctx->remote_ip6[2];
		r[3] = ctx->remote_ip6[3];
	}
	f->lport = ctx->local_port;
	f->rport = bpf_ntohl(ctx->remote_port);
}

static __always_inline void ev_owner(const struct event *ev, struct ft_flow *f,
				     char comm[FT_COMM_LEN])
{
	current_owner(comm, &f->pid);
}

#ifdef FT_NO_BTF
static __always_inline enum ft_failed ev_failed(const struct event *ev)
{
	if (ev->ctx->segs_in) /* an answer came, and it was not a SYN-ACK */
		return FT_FAILED_REFUSED;
	return ev->ctx->total_retrans ? FT_FAILED_TIMEOUT : FT_FAILED_OTHER;
}

static __always_inline enum ft_closed ev_aborted(const struct event *ev)
{
	return FT_CLOSED_RESET;
}
#else
static __always_inline int sk_err(const struct event *ev)
{
	struct bpf_sock *sk = ev->ctx->sk;
	struct tcp_sock *tp = sk ? (struct tcp_sock *)bpf_skc_to_tcp_sock(sk) : NULL;

	return tp ? tp->inet_conn.icsk_inet.sk.sk_err : 0;
}

static __always_inline enum ft_failed ev_failed(const struct event *ev)
{
	switch (sk_err(ev)) {
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
	default:
		return FT_FAILED_OTHER;
	}
}

static __always_inline enum ft_closed ev_aborted(const struct event *ev)
{
	int err = sk_err(ev);

	return !err || err == ECONNRESET || err == EPIPE ? FT_CLOSED_RESET : FT_CLOSED_OTHER;
}
#endif

static __always_inline __u32 ev_segments(const struct event *ev, bool sent)
{
	__u32 in = ev->ctx->data_segs_in, out = ev->ctx->data_segs_out;

	/* Both are read: the verifier takes no computed offset into the context. */
	barrier_var(in);
	barrier_var(out);
	return sent ? out : in;
}

static __always_inline __u64 ev_now(const struct event *ev)
{
	return bpf_ktime_get_ns();
}

static __always_inline __u64 ev_segment(const struct event *ev)
{
	return bpf_ktime_get_ns();
}

/* Listeners are known by port only (no namespace here), and only those made after us. */
static __always_inline bool ev_listener(const struct event *ev, const struct ft_flow *f,
					char comm[FT_COMM_LEN])
{
	struct ft_port_key key = {.port = f->lport};
	struct ft_port *p = bpf_map_lookup_elem(&ft_ports, &key);

	if (p)
		__builtin_memcpy(comm, p->comm, FT_COMM_LEN);
	return p;
}

/* Nothing skips a sockops program; it runs in any context, and may nest. */
#define opens_may_be_missed false
#define adds_atomically(ev) true
#define delete_later	    false

#include "engine.bpf.h"

static __always_inline void account(struct bpf_sock_ops *ctx, __u32 old, __u32 new)
{
	struct event ev = {
		.key = bpf_get_socket_cookie(ctx),
		.ctx = ctx,
		.old = old,
		.new = new,
	};

	transit(&ev);
}

static __always_inline void watch_states(struct bpf_sock_ops *ctx)
{
	bpf_sock_ops_cb_flags_set(ctx, ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
}

static __always_inline void listens(struct bpf_sock_ops *ctx)
{
	struct ft_port_key key = {.port = ctx->local_port};
	struct event ev = {.ctx = ctx};
	struct ft_listener l = {};
	struct ft_port port = {};
	struct ft_flow f = {};
	__u64 cookie = bpf_get_socket_cookie(ctx);

	current_owner(port.comm, &l.pid);
	ev_tuple(&ev, &f);
	l.port = f.lport;
	__builtin_memcpy(l.addr, f.laddr, sizeof(l.addr));
	__builtin_memcpy(l.comm, port.comm, sizeof(l.comm));
	if (bpf_map_update_elem(&ft_ports, &key, &port, BPF_ANY) ||
	    bpf_map_update_elem(&ft_listeners, &cookie, &l, BPF_ANY))
		count_loss(FT_LOSS_LISTENERS_FULL);
	watch_states(ctx); /* for its close */
}

static __always_inline void stops_listening(struct bpf_sock_ops *ctx)
{
	__u64 cookie = bpf_get_socket_cookie(ctx);

	bpf_map_delete_elem(&ft_listeners, &cookie);
}

/* An active open that began before we were attached: its states were not called back. */
static __always_inline void established_unwatched(struct bpf_sock_ops *ctx)
{
	if (ctx->bpf_sock_ops_cb_flags & BPF_SOCK_OPS_STATE_CB_FLAG)
		return;
	account(ctx, FT_SYN_SENT, FT_ESTABLISHED);
	watch_states(ctx);
}

static __always_inline void state_changed(struct bpf_sock_ops *ctx)
{
	__u32 old = ctx->args[0], new = ctx->args[1];

	/* CONNECT_CB has counted the way to SYN_SENT; it comes for unwatched sockets too. */
	if (new == FT_SYN_SENT || old == FT_CLOSE || new == FT_LISTEN)
		return;
	if (old == FT_LISTEN) {
		stops_listening(ctx);
		return;
	}
	account(ctx, old, new);
}

SEC("sockops")
int ft_sockops(struct bpf_sock_ops *ctx)
{
	if (control.phase == FT_PHASE_OFF)
		return 1;
	switch (ctx->op) {
	case BPF_SOCK_OPS_STATE_CB:
		state_changed(ctx);
		break;
	case BPF_SOCK_OPS_TCP_CONNECT_CB:
		account(ctx, FT_CLOSE, FT_SYN_SENT);
		watch_states(ctx);
		break;
	case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB: /* before the child's SYN_RECV -> ESTABLISHED */
		watch_states(ctx);
		break;
	case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
		established_unwatched(ctx);
		break;
	case BPF_SOCK_OPS_TCP_LISTEN_CB:
		listens(ctx);
		break;
	}
	return 1;
}

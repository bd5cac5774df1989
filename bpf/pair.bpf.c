// SPDX-License-Identifier: GPL-2.0
/*
 * Pairing: which flows of hop B carried the bytes of which flow of hop A, from the order in
 * which a thread reads one and writes the other. Nothing runs per packet and no payload is read.
 *
 * Reads: tcp_rcv_space_adjust, on every kernel the one tracepoint that each way of receiving
 * passes (recvmsg, splice, zerocopy, io_uring), after copied_seq has moved. It also fires when
 * nothing was read; bytes_received, rcv_nxt and copied_seq tell how much was.
 * Writes: sock_send_length (>= 6.3), else the return of tcp_sendmsg and tcp_sendpage by fexit or
 * kretprobe: user space chooses by trying.
 * Ends: inet_sock_set_state, attached after the counting object's, so that ft_flows knows a
 * connecting socket. Its second program does what the kernel skipped of the first (see
 * tracepoint.bpf.c): an entry that is still there at CLOSE.
 */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <stdbool.h>
#include "fantail_pair.h"

char LICENSE[] SEC("license") = "GPL";

#define AF_INET	    2
#define AF_INET6    10
#define IPPROTO_TCP 6

#include "pair_maps.bpf.h"
#include "pair_flow.bpf.h"
#include "pair_queue.bpf.h"
#include "pair_edge.bpf.h"
#include "pair_end.bpf.h"
#include "pair_turn.bpf.h"

/* --- the socket, where the verifier knows it --- */

static __always_inline bool is_tcp(const struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return sk->sk_protocol == IPPROTO_TCP && (family == AF_INET || family == AF_INET6);
}

static __always_inline struct where where_is(const struct sock *sk)
{
	struct where w = {
		.key = (__u64)sk,
		.lport = sk->__sk_common.skc_num,
		.rport = bpf_ntohs(sk->__sk_common.skc_dport),
	};

	return w;
}

/* The local port is 0 while connecting, and skc_num is 0 again at CLOSE. */
static __always_inline struct where where_was(struct sock *sk)
{
	struct where w = where_is(sk);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp)
		w.lport = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	return w;
}

/* Payload that was taken from the socket. A FIN has a sequence number, but is no byte. */
static __always_inline __u64 payload_read(const struct sock *sk, const struct tcp_sock *tp)
{
	__u32 unread = tp->rcv_nxt - tp->copied_seq;
	__u32 state = sk->__sk_common.skc_state;
	bool fin = state == FT_CLOSE_WAIT || state == FT_LAST_ACK || state == FT_CLOSING ||
		   state == FT_CLOSE;

	return tp->bytes_received - unread - (fin && !unread);
}

/* A connection whose two ends have both said FIN is over for the kernel, but its process may still
 * have the last bytes to read. (One that closes without reading them has emptied the queue; after
 * a reset few programs read on.) */
static __always_inline bool bytes_left(struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	return tp && !sk->sk_err && sk->sk_receive_queue.qlen && tp->rcv_nxt - tp->copied_seq > 1;
}

/* owned: a process reads; else the kernel reads for itself (strparser, in softirq). */
SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(ft_pair_read, struct sock *sk)
{
	struct tcp_sock *tp;
	struct where w;
	bool over;

	if (!is_tcp(sk) || !sk->sk_lock.owned)
		return 0;
	over = sk->__sk_common.skc_state == FT_CLOSE;
	w = over ? where_was(sk) : where_is(sk);
	if (!may_pair(&w))
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	w.seen_ns = tp->tcp_mstamp * 1000;
	on_read(&w, payload_read(sk, tp));
	if (over && !bytes_left(sk))
		flow_ended(w.key);
	return 0;
}

static __always_inline void sent(const struct sock *sk, int bytes)
{
	struct where w;

	if (bytes <= 0 || !is_tcp(sk))
		return;
	w = where_is(sk);
	if (may_pair(&w))
		on_write(&w, bytes);
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(ft_pair_send, struct sock *sk, int ret, int flags)
{
	sent(sk, ret);
	return 0;
}

/* Before 6.3. */
SEC("fexit/tcp_sendmsg")
int BPF_PROG(ft_pair_sendmsg, struct sock *sk, void *msg, unsigned long size, int ret)
{
	sent(sk, ret);
	return 0;
}

SEC("fexit/tcp_sendpage")
int BPF_PROG(ft_pair_sendpage, struct sock *sk, void *page, int offset, unsigned long size,
	     int flags, int ret)
{
	sent(sk, ret);
	return 0;
}

/* Where trampolines do not attach (arm64 before 6.4). One object for both architectures: the
 * registers' places are relocated like any field. */
static __always_inline struct sock *first_argument(void *ctx)
{
	struct pt_regs___arm64 *arm = ctx;
	struct pt_regs___x86 *x86 = ctx;

	if (bpf_core_field_exists(x86->di))
		return (struct sock *)BPF_CORE_READ(x86, di);
	return (struct sock *)BPF_CORE_READ(arm, regs[0]);
}

static __always_inline int return_value(void *ctx)
{
	struct pt_regs___arm64 *arm = ctx;
	struct pt_regs___x86 *x86 = ctx;

	return bpf_core_field_exists(x86->di) ? BPF_CORE_READ(x86, ax)
					      : BPF_CORE_READ(arm, regs[0]);
}

static __always_inline struct where where_reads(const struct sock *sk)
{
	struct where w = {.key = (__u64)sk, .seen_ns = bpf_ktime_get_ns()};
	__u16 protocol = BPF_CORE_READ(sk, sk_protocol);

	if (protocol != IPPROTO_TCP)
		return w; /* no ports: no pair */
	w.lport = BPF_CORE_READ(sk, __sk_common.skc_num);
	w.rport = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	return w;
}

/* The return does not know the socket: the thread remembers it. */
static __always_inline int entered(void *ctx)
{
	struct sock *sk = first_argument(ctx);
	struct where w = where_reads(sk);

	if (may_pair(&w))
		sending(&w);
	return 0;
}

static __always_inline int left(void *ctx)
{
	struct sock *sk = (struct sock *)sent_by_thread();
	int bytes = return_value(ctx);
	struct where w;

	if (!sk || bytes <= 0)
		return 0;
	w = where_reads(sk);
	if (may_pair(&w))
		on_write(&w, bytes);
	return 0;
}

SEC("kprobe/tcp_sendmsg")
int ft_pair_msg_in(void *ctx)
{
	return entered(ctx);
}

SEC("kretprobe/tcp_sendmsg")
int ft_pair_msg_out(void *ctx)
{
	return left(ctx);
}

SEC("kprobe/tcp_sendpage")
int ft_pair_page_in(void *ctx)
{
	return entered(ctx);
}

SEC("kretprobe/tcp_sendpage")
int ft_pair_page_out(void *ctx)
{
	return left(ctx);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ft_pair_state, struct sock *sk, int old, int new)
{
	struct where w;

	if ((new != FT_CLOSE &&new != FT_SYN_SENT) || !is_tcp(sk))
		return 0;
	w = where_was(sk);
	if (!may_pair(&w))
		return 0;
	if (new == FT_SYN_SENT)
		on_connect(&w);
	else if (!bytes_left(sk))
		flow_ended(w.key);
	return 0;
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(ft_pair_again, struct sock *sk, int old, int new)
{
	struct where w;

	if (new != FT_CLOSE || !is_tcp(sk))
		return 0;
	w = where_was(sk);
	if (may_pair(&w) && !bytes_left(sk))
		flow_ended(w.key);
	return 0;
}

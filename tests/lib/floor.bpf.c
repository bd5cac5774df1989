// SPDX-License-Identifier: GPL-2.0
/* The least that a program on our hooks can cost: it does nothing. For benchmarks. */
#include "vmlinux.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(floor_state, struct sock *sk, int old, int new)
{
	return 0;
}

/* The least that a counter of flows can do: find its socket. With floor_state beside it, that much
 * of an exact one, which needs two programs. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, __u64);
	__type(value, __u64[8]);
} floor_flows SEC(".maps");

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(floor_find, struct sock *sk, int old, int new)
{
	__u64 key = (__u64)sk, zero[8] = {}, *f = bpf_map_lookup_elem(&floor_flows, &key);

	if (f)
		f[0]++;
	else /* its address will be used again */
		bpf_map_update_elem(&floor_flows, &key, zero, BPF_ANY);
	return 0;
}

/* Pairing's hooks. Loaded when they are asked for: not every kernel has the first. */
SEC("tp_btf/sock_send_length")
int BPF_PROG(floor_send, struct sock *sk, int ret, int flags)
{
	return 0;
}

SEC("tp_btf/tcp_rcv_space_adjust")
int BPF_PROG(floor_read, struct sock *sk)
{
	return 0;
}

/* With the state callback armed, as fantail's sockops door has it. */
SEC("sockops")
int floor_sockops(struct bpf_sock_ops *ctx)
{
	if (ctx->op == BPF_SOCK_OPS_TCP_CONNECT_CB ||
	    ctx->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_sock_ops_cb_flags_set(ctx,
					  ctx->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	return 1;
}

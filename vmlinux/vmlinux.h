/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vmlinux.h - the kernel fields that fantail reads, and nothing else.
 *
 * Hand-written instead of dumped: it is the same for every architecture and kernel, needs
 * no build host's BTF, and is the complete list of what we trust. Offsets are relocated at
 * load time (CO-RE); a field that a kernel lacks makes the load fail, so tests load every
 * program. Names and nesting are the kernel's; members of anonymous structs are found by
 * name. UAPI types come from <linux/bpf.h>.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/types.h>
#include <linux/bpf.h>

#ifndef __ksym
#define __ksym __attribute__((section(".ksyms")))
#endif

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* include/linux/ns_common.h, include/net/net_namespace.h */
struct ns_common {
	unsigned int inum;
};

struct net {
	struct ns_common ns;
};

typedef struct {
	struct net *net;
} possible_net_t;

/* include/uapi/linux/in6.h */
struct in6_addr {
	union {
		__u8 u6_addr8[16];
		__be32 u6_addr32[4];
	} in6_u;
};

/* include/linux/fs.h, include/linux/net.h */
struct inode {
	__u16 i_mode;
	unsigned long i_ino;
};

struct file {
	struct inode *f_inode;
};

struct socket {
	struct file *file;
};

/* include/net/sock.h */
struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

typedef struct {
	int owned; /* 1: a process holds lock_sock(); 0: softirq work, or BH is off */
} socket_lock_t;

struct sk_buff_head {
	__u32 qlen;
};

struct sock {
	struct sock_common __sk_common;
	socket_lock_t sk_lock;
	struct sk_buff_head sk_receive_queue;
	int sk_err;
	__u16 sk_protocol; /* a plain u16 since 5.6; MPTCP is 262 */
	struct socket *sk_socket;
	__u32 sk_ack_backlog;
	__u32 sk_max_ack_backlog;
};

/* include/net/inet_sock.h, include/net/inet_connection_sock.h, include/linux/tcp.h */
struct inet_sock {
	struct sock sk;
	__be16 inet_sport;
};

typedef struct {
	int counter;
} atomic_t;

struct request_sock_queue {
	atomic_t qlen; /* handshakes under way */
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	struct request_sock_queue icsk_accept_queue;
	__u8 icsk_retransmits;
	__u8 icsk_probes_out;
	struct {
		__u32 lrcvtime; /* tcp_jiffies32 of the last data received */
	} icsk_ack;
	void *icsk_ulp_data;
};

struct inet_timewait_sock {
	volatile unsigned char tw_substate; /* TIME_WAIT, or FIN_WAIT2 of an orphan */
};

struct tcp_timewait_sock {
	struct inet_timewait_sock tw_sk;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	__u64 tcp_mstamp; /* CLOCK_MONOTONIC microseconds of the last segment */
	__u32 rcv_nxt;
	__u32 copied_seq;
	__u32 write_seq;
	__u32 snd_una;
	__u32 lsndtime; /* tcp_jiffies32 of the last data sent */
	__u32 packets_out;
	__u32 data_segs_in, data_segs_out; /* segments with payload */
	__u64 bytes_received;
};

/* net/mptcp/protocol.h */
struct mptcp_subflow_context {
	struct sock *conn;
};

/* include/linux/sched.h */
struct task_struct {
	int tgid;
	struct task_struct *group_leader;
	char comm[16];
};

/* arch/x86/include/asm/ptrace.h, arch/arm64/include/asm/ptrace.h: what kprobes get. Both are
 * here, so that one object serves both. */
struct pt_regs___x86 {
	unsigned long di, ax;
};

struct pt_regs___arm64 {
	__u64 regs[31];
};

/* include/linux/seq_file.h, kernel/bpf/bpf_iter.c, net/ipv4/tcp_ipv4.c, kernel/bpf/map_iter.c */
struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
	__u64 session_id;
	__u64 seq_num;
};

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	__u32 fd;
	struct file *file;
};

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	void *key;
	void *value;
};

#pragma clang attribute pop

#endif /* __VMLINUX_H__ */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fantail.h - what the kernel writes and user space reads: the only ABI.
 *
 * Every struct is a BPF map key, a map value or a global of the BPF objects: fixed-width
 * types, no pointers, no implicit padding, sizes asserted below on both sides.
 * Addresses are 16 bytes in network order, IPv4 as ::ffff:a.b.c.d. Ports are in host
 * order. Times are CLOCK_MONOTONIC nanoseconds. A flow's transition counters are those of
 * its hop; nothing here is kept per connection except struct ft_flow.
 */
#ifndef FANTAIL_H
#define FANTAIL_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* Change it whenever a struct below, or the meaning of a field, changes. */
#define FT_ABI 5

#define FT_MAX_HOPS  64
#define FT_MAX_RULES 128
#define FT_NAME_LEN  32
#define FT_COMM_LEN  16
#define FT_TEXT_LEN  192
#define FT_PATH_LEN  256 /* a container's cgroup has some 210 */

#define FT_ABI_SIZE(type, size)                                                                    \
	_Static_assert(sizeof(struct type) == (size), "struct " #type " changed size")

/*
 * TCP states by the kernel's numbers (include/net/tcp_states.h). 0 is ours: "not watched",
 * the state a preexisting flow comes from, so that every state's gauge is what went in
 * minus what went out.
 */
enum ft_state {
	FT_UNSEEN = 0,
	FT_ESTABLISHED = 1,
	FT_SYN_SENT = 2,
	FT_SYN_RECV = 3,
	FT_FIN_WAIT1 = 4,
	FT_FIN_WAIT2 = 5,
	FT_TIME_WAIT = 6,
	FT_CLOSE = 7,
	FT_CLOSE_WAIT = 8,
	FT_LAST_ACK = 9,
	FT_LISTEN = 10,
	FT_CLOSING = 11,
	FT_NSTATES = 12,
};

/* Which end of the connection this host's socket is. */
enum ft_side { FT_ACCEPT = 0, FT_CONNECT = 1, FT_NSIDES };

/* Who ended a flow. OTHER: timeouts and everything that is neither FIN nor RST. */
enum ft_closed { FT_CLOSED_LOCAL, FT_CLOSED_REMOTE, FT_CLOSED_RESET, FT_CLOSED_OTHER, FT_NCLOSED };

/* Why a connect never reached ESTABLISHED. */
enum ft_failed {
	FT_FAILED_REFUSED,
	FT_FAILED_TIMEOUT,
	FT_FAILED_UNREACHABLE,
	FT_FAILED_OTHER,
	FT_FAILED_NO_PORT, /* no local port was free; not seen by source sockops */
	FT_NFAILED
};

/*
 * Every path that gives up, or had to infer what it did not see. 0 in a healthy system.
 * table_full, nomem, busy: the flow is counted by its hop but has no entry in the table.
 */
enum ft_loss {
	FT_LOSS_TABLE_FULL,	   /* the flow table has max_flows entries */
	FT_LOSS_BUSY,		   /* the table's bucket was locked by the code we interrupted */
	FT_LOSS_NOMEM,		   /* no memory for an entry at that moment */
	FT_LOSS_UNMATCHED_CLOSE,   /* counted close of a flow that had no entry */
	FT_LOSS_MISSED_TRANSITION, /* not seen, counted later: inferred from the next one */
	FT_LOSS_MISSED_OPEN,	   /* not seen, counted later: the flow was met without entry */
	FT_LOSS_MISSED_CLOSE,	   /* not seen, counted later: the socket is gone or used again */
	FT_LOSS_NO_RULE_SLOT,	   /* discovery found more than FT_MAX_HOPS hops */
	FT_LOSS_LISTENERS_FULL,
	FT_LOSS_CANDIDATES_FULL,
	FT_LOSS_PORTS_FULL, /* destinations whose ports the scan could not count */
	FT_NLOSS
};

/* Upper bounds of the lifetime histogram, milliseconds; the last slot is +Inf.
 * 75 s is NGINX's keepalive_timeout, 350 s the NLB's idle timeout. */
#define FT_LIFETIME_BOUNDS_MS                                                                      \
	{                                                                                          \
		10, 100, 1000, 5000, 15000, 30000, 60000, 75000, 90000, 120000, 300000, 350000,    \
			600000                                                                     \
	}
#define FT_NLIFETIME 14

/*
 * One flow. Key of the table: the socket's address (source tracepoint) or its cookie (source
 * sockops), a __u64. An entry in state FT_CLOSE is no flow: it waits for the next socket at
 * this address, because inserting and deleting is most of what a short flow costs.
 */
struct ft_flow {
	__u8 laddr[16], raddr[16];
	__u16 lport, rport; /* lport is 0 until a connect is established */
	__u8 hop;	    /* index into the hop arrays */
	__u8 state;	    /* enum ft_state */
	__u8 flags;	    /* FT_FLOW_* */
	__u8 audit;	    /* the last walk that met the socket, modulo 256 */
	__u64 opened_ns;    /* when it reached ESTABLISHED; 0 if that was not seen */
	__u32 pad;
	__u32 path;  /* states visited, 4 bits each, the newest lowest, at most 8 */
	__u32 netns; /* inode number of the network namespace; 0 unknown (sockops) */
	__u32 pid;   /* tgid that called connect(); 0 unknown */
};
FT_ABI_SIZE(ft_flow, 64);
/* So many closed entries are kept, and so many entries there are for max_flows: a small table
 * has room beside, a large one gives a sixteenth at most (a bucket costs 16 bytes, and their
 * number is the next power of two). */
#define FT_KEEP(max_flows)  ((max_flows) / 4 < 16384 ? (max_flows) / 4 : 16384)
#define FT_ROOM(max_flows)  ((max_flows) < 262144 ? (max_flows) + FT_KEEP(max_flows) : (max_flows))
#define FT_FLOW_OPEN	    1  /* reached ESTABLISHED: it counts in `active` */
#define FT_FLOW_PREEXISTING 2  /* was open when counting began */
#define FT_FLOW_FIN_LOCAL   4  /* this end sent the first FIN */
#define FT_FLOW_FIN_REMOTE  8  /* the peer did */
#define FT_FLOW_CONNECT	    16 /* side: this end connects; else it accepted */

/* Who runs when a socket changes its state. */
enum ft_context { FT_CONTEXT_SOFTIRQ, FT_CONTEXT_PROCESS, FT_NCONTEXTS };

/* Counters of one hop: per CPU, a slot at hop * FT_NCONTEXTS + context; their sum is what was
 * counted since the maps were made. */
struct ft_hop_stats {
	__u64 transition[FT_NSTATES][FT_NSTATES]; /* [from][to] */
	__u64 opened;
	__u64 preexisting;
	__u64 closed[FT_NCLOSED];
	__u64 failed[FT_NFAILED];
	__u64 lifetime[FT_NLIFETIME]; /* flows per bucket, not cumulative; opened flows only */
	__u64 lifetime_sum_ns;
	__u64 one_shot; /* closed flows that carried one request's worth, see ft_control */
};
FT_ABI_SIZE(ft_hop_stats, 1368);

/* Counters that belong to no hop; per-CPU. */
struct ft_totals {
	__u64 loss[FT_NLOSS];
	__u64 rescued; /* transitions that another than the first program accounted: nothing was
			  lost */
};
FT_ABI_SIZE(ft_totals, 96);

/* A process name as 47 bits, so that a rule compares it in one step: w0, w1 are the name's 16
 * zero-padded bytes as two native words. Two names share a tag once in 10^14. */
#define FT_COMM_TAG_MASK 0xfffffffffffe0000ULL
#define FT_COMM_TAG(w0, w1)                                                                        \
	((((w0)*0x9e3779b97f4a7c15ULL) ^ (((w1) + 0x7f4a7c15) * 0xc2b2ae3d27d4eb4fULL)) &          \
	 FT_COMM_TAG_MASK)

/* One way to match a flow; the first match wins. A hop has one rule per address. */
struct ft_rule {
	__u16 port_lo, port_hi; /* accept: local port; connect: remote port */
	__u8 side;
	__u8 hop;
	__u8 flags; /* FT_RULE_* */
	__u8 pad;
	__u64 comm_tag;		       /* FT_COMM_TAG of the process name, if FT_RULE_COMM */
	__u64 peer[2], peer_mask[2];   /* remote prefix, network order; mask 0 matches all */
	__u64 local[2], local_mask[2]; /* local prefix */
};
FT_ABI_SIZE(ft_rule, 80);
#define FT_RULE_NOT_PEER 1 /* the peer prefix must not match */
#define FT_RULE_COMM	 2 /* process name must match (accept: the listener's) */

struct ft_rules {
	__u32 count;
	__u32 pad;
	struct ft_rule rule[FT_MAX_RULES];
};
FT_ABI_SIZE(ft_rules, 8 + 80 * FT_MAX_RULES);

/* A hop as its readers see it; index = ft_rule.hop = index into the counters. */
struct ft_hop_def {
	char name[FT_NAME_LEN];
	char port[FT_TEXT_LEN];	   /* the addresses as configured: "80", "127.0.0.1:8080" */
	char process[FT_COMM_LEN]; /* configured or discovered owner; empty unknown */
	__s16 from;		   /* hop on whose behalf these flows are made; -1 none */
	__u8 side;
	__u8 discovered;    /* 1: found by discovery, 0: configured */
	__u32 limit;	    /* configured number of places; 0 none */
	__u32 keepalive_ms; /* how long the server behind keeps an idle connection */
	__u32 retired;	    /* 1: no longer configured; flows that it counted may still be open */
};
FT_ABI_SIZE(ft_hop_def, 256);

/* What the running programs are told. Written by user space only. */
struct ft_control {
	__u32 phase;	    /* enum ft_phase */
	__u32 netns;	    /* count only this network namespace (inode number); 0 all */
	__u32 discover;	    /* 1: note destinations that match no rule */
	__u32 accept_comm;  /* 1: some accept rule names a process */
	__u32 connect_comm; /* 1: some connect rule does */
	__u32 table;	    /* which of the two rule tables is in force */
	__u32 audit;	    /* number of the last walk begun; stamped on what it meets */
	__u32 scanning;	    /* 1: that walk is under way and fills ft_hop_scan */
	__u32 one_shot_ms;  /* a flow that lived no longer is one-shot, whatever it carried */
	__u32 pad;
	__u64 fresh;   /* bit i: hop i was not counted, or not so, before (phase FILL) */
	__u64 retired; /* bit i: hop i has no rules any more; a walk of phase FILL gives its flows
			* to the hops that they match now */
};
FT_ABI_SIZE(ft_control, 56);
enum ft_phase {
	FT_PHASE_OFF,	/* programs return at once (until all of them are attached) */
	FT_PHASE_FILL,	/* counting; a walk is finding what was open before */
	FT_PHASE_COUNT, /* counting; what has no entry now was missed, or is no flow of ours */
};

/* Who made these maps; read before anything else in them is believed. */
struct ft_meta {
	__u32 abi;
	__u32 source;	/* enum ft_source */
	__u64 start_ns; /* when the counters were made, CLOCK_MONOTONIC */
	__u32 max_flows;
	__u32 nhops;
	__u32 pid; /* the agent */
	__u32 interval_ms;
	__u32 no_rule_slot; /* hops that discovery found and that found no room */
	__u32 undiscovered; /* connects to destinations that had no hop yet; saturated */
	char version[32];
	char cgroup[FT_PATH_LEN]; /* source sockops: the cgroup directory */
};
FT_ABI_SIZE(ft_meta, 328);
enum ft_source { FT_SOURCE_TRACEPOINT, FT_SOURCE_SOCKOPS, FT_NSOURCES };

/* Listening sockets that are known at once. */
#define FT_MAX_LISTENERS 4096

/* A listening socket; key: its address, a __u64 (source tracepoint only). */
struct ft_listener {
	__u8 addr[16];		/* :: for any */
	char comm[FT_COMM_LEN]; /* process that called listen(); empty if the scan found it */
	__u64 inode;		/* of the socket in /proc/PID/fd; 0 unknown */
	__u32 pid;		/* its tgid; 0 unknown */
	__u32 netns;
	__u16 port;
	__s16 hop;     /* that its connections belong to; -1 none, or not scanned yet */
	__u32 backlog; /* the last scan: connections that wait for accept() */
	__u32 backlog_limit;
	__u32 syn_backlog; /* handshakes under way */
};
FT_ABI_SIZE(ft_listener, 64);

/* A port that has, or had, a listener: tells accepted flows from made ones. */
struct ft_port_key {
	__u8 addr[16];
	__u32 netns;
	__u16 port;
	__u16 pad;
};
FT_ABI_SIZE(ft_port_key, 24);
struct ft_port {
	char comm[FT_COMM_LEN]; /* owner, when known */
};
FT_ABI_SIZE(ft_port, 16);

/* A destination that matches no hop, seen while discovering. */
enum ft_realm { FT_REALM_LOOPBACK, FT_REALM_PRIVATE, FT_REALM_PUBLIC, FT_NREALMS };
struct ft_candidate_key {
	char comm[FT_COMM_LEN];
	__u16 port;  /* remote */
	__u8 realm;  /* enum ft_realm of the remote address */
	__u8 family; /* 4 or 6 */
	__u32 pad;
};
FT_ABI_SIZE(ft_candidate_key, 24);
struct ft_candidate {
	__u8 raddr[16]; /* one example */
	__u64 count;
};
FT_ABI_SIZE(ft_candidate, 24);

/*
 * What one walk over all sockets found out about a hop, beside what transitions tell. A walk
 * fills one half of a table while readers look at the other. Times are ages when it was met.
 */
#define FT_IDLE_BOUNDS_S                                                                           \
	{                                                                                          \
		1, 10, 75, 350                                                                     \
	} /* 75 s: NGINX; 350 s: NLB; the last slot is +Inf */
#define FT_NIDLE 5
struct ft_hop_scan {
	__u64 flows;	 /* open ones */
	__u64 found;	 /* of them, those that had no entry and were counted by this walk */
	__u64 time_wait; /* of flows that have ended */
	__u64 fin_wait2; /* ended, too: no process holds them, the peer has not closed yet */
	__u64 syn_recv;	 /* handshakes with a listener */
	__u64 held;	 /* accept hops: taken by the process, with bytes that it has not read */
	__u64 held_idle; /* of them, those without a byte for more than a second */
	__u64 held_oldest_ns; /* since its first byte, if nothing was read; else since its last */
	__u64 idle[FT_NIDLE]; /* flows by the time since their last byte; not cumulative */
	__u64 idle_oldest_ns; /* among those that are not held */
	__u64 silent;	      /* flows without any segment, keep-alive probes included, for 350 s */
	__u64 stale;	      /* flows whose peer has not answered two retransmits or probes */
	__u64 listeners, backlog, backlog_limit, syn_backlog; /* sums over the hop's listeners */
};
FT_ABI_SIZE(ft_hop_scan, 160);

/* Slot of a hop in walk `number`. Slot FT_MAX_HOPS: `flows` is every socket that was met, `found`
 * the flows that only the table knows, in namespaces where the walk could not go. */
#define FT_SCAN_ROWS		  (FT_MAX_HOPS + 1)
#define FT_SCAN_SLOT(number, hop) (((number)&1) * FT_SCAN_ROWS + (hop))

/* The last complete walk. Written by the agent when it is over. */
struct ft_scan {
	__u64 mono_ns;	   /* when it ended */
	__u64 duration_ns; /* CPU time it took */
	__u64 period_ns;   /* until the next one */
	__u64 sockets;	   /* met */
	__u32 number;	   /* ft_control.audit then; 0: none yet */
	__u32 pad;
};
FT_ABI_SIZE(ft_scan, 40);

/* What the agent found out about a hop outside the walk; absent: 0. */
struct ft_hop_limits {
	__s64 drift;		       /* active by events minus flows met; 0 when they agree */
	__u64 ports_exhausted_ns;      /* until the fullest destination has no port left */
	__u32 ports_used, ports_limit; /* of the fullest destination */
	__u32 files_used, files_limit; /* of the hop's process with the least room */
	__u32 files_pid;	       /* which one; 0: not known */
	__u32 pad;
	__u64 repaired_opens;  /* part of the hop's opened: drift said that they were missed, */
	__u64 repaired_closes; /* part of closed[OTHER]: or that an end was */
};
FT_ABI_SIZE(ft_hop_limits, 56);

/* Local ports in use towards one destination, TIME_WAIT included. */
struct ft_ports_key {
	__u8 laddr[16], raddr[16];
	__u32 netns;
	__u16 rport;
	__u16 hop;
};
FT_ABI_SIZE(ft_ports_key, 40);
struct ft_ports_used {
	__u32 walk; /* number of the last walk that met one; another's numbers are gone */
	__u32 used, time_wait;
	__u32 used_before; /* the walk before that met one */
	__u64 mono_ns, mono_ns_before;
};
FT_ABI_SIZE(ft_ports_used, 32);

/* A network namespace's own limits; key: its inode number. Written by the agent. */
struct ft_space {
	__u64 listen_overflows, listen_drops; /* since the namespace was made */
	__u32 ports;			      /* that a connect() may choose from */
	__u32 walk;
};
FT_ABI_SIZE(ft_space, 24);

/* One row of the socket dump (program ft_dump), as read from the iterator's file. */
struct ft_sock_row {
	__u64 key; /* as in the flow table */
	__u8 laddr[16], raddr[16];
	__u16 lport, rport;
	__u32 netns;
	__u64 inode;	    /* of the socket in /proc/PID/fd; 0 orphan */
	__u64 idle_ns;	    /* since the last segment with data came or went */
	__u32 unread_bytes; /* in the receive queue; LISTEN: connections not yet accepted */
	__u32 unsent_bytes; /* not yet acknowledged by the peer; LISTEN: the backlog limit */
	__u8 state;
	__u8 accepted; /* 1: its local port has a listener */
	__u8 stale;    /* 1: see ft_hop_scan */
	__u8 pad[5];
};
FT_ABI_SIZE(ft_sock_row, 80);

/* One row of the list of open sockets (program ft_holders): a process that holds one. */
struct ft_owner {
	__u64 inode; /* of the socket, as in /proc/PID/fd */
	__u32 pid;   /* tgid */
	__u32 pad;
	char comm[FT_COMM_LEN];
};
FT_ABI_SIZE(ft_owner, 32);

/* Agent -> viewers: one row per second, so that a one-shot reader knows rates. Times of a
 * ring of FT_HISTORY rows; slot = tick % FT_HISTORY; mono_ns 0 = empty. */
#define FT_HISTORY 320
struct ft_hop_sample {
	__u64 opened;
	__u64 active_ns;	/* integral of `active` over time since start */
	__u64 closed, one_shot; /* flows that ended; of these, one-shot */
	/* From pairing, since that began: */
	__u64 exchanges;
	__u64 waits, wait_sum_ns; /* flows that were served, and how long until then */
};
struct ft_sample {
	__u64 mono_ns;
	struct ft_hop_sample hop[FT_MAX_HOPS];
};
FT_ABI_SIZE(ft_sample, 8 + 56 * FT_MAX_HOPS);

#endif /* FANTAIL_H */

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * fantail_pair.h - the ABI of pairing: which flows of hop B carried the bytes of which flow
 * of hop A. The rules are those of fantail.h: fixed width, no implicit padding, sizes asserted.
 *
 * An edge here is one pair of flows (a, b); a fork is an edge of the hop tree, named by the
 * hop at its end, because a hop has one `from`. A flow is named by its id, never by its port:
 * the time it was met and its hop, so that a socket's next life has another name.
 */
#ifndef FANTAIL_PAIR_H
#define FANTAIL_PAIR_H

#include "fantail.h"

/* What a thread's order of reads and writes says, by rule. Each has a way forward (a is read, then
 * b is written) and a way back (b is read, then a is written). Which of them tells the truth
 * depends on how the program works; that the two ways agree tells which. */
enum ft_pair_rule {
	FT_PAIR_LAST,  /* the socket that the thread read last */
	FT_PAIR_LATCH, /* as LAST; up to its first answer b is of what was read at connect() */
	FT_PAIR_FIFO,  /* the oldest that it read and has not passed on: batches */
	FT_PAIR_BACK,  /* as LAST, the way back alone: when it leaves no doubt */
	FT_NPAIR_RULES
};

/* Evidence for an edge: bits of a pattern. */
#define FT_PAIR_FW_LAST	  1
#define FT_PAIR_FW_LATCH  2
#define FT_PAIR_FW_FIFO	  4
#define FT_PAIR_FW_ANY	  7
#define FT_PAIR_REV_LAST  8
#define FT_PAIR_REV_FIFO  16
#define FT_PAIR_REV_ALONE 32 /* back, and b was the only one read and not passed on */
#define FT_NPAIR_EVIDENCE 6
#define FT_NPAIR_PATTERNS 64

/* Forks of one hop A; more than these are not paired. */
#define FT_PAIR_FORKS 4

/* One flow of a paired hop. Key of the table: the socket's address, as in ft_flows. */
struct ft_pair_count {
	__u32 distinct[FT_NPAIR_RULES]; /* partners by whom the rule holds */
	__u32 any;			/* partners with any evidence at all */
};
struct ft_pair_ref {
	__u64 key; /* of the flow in its table */
	__u64 id;  /* 0: none */
};
struct ft_pair_flow {
	__u64 id;
	__u64 opened_ns; /* a: ESTABLISHED; b: connect() was called; 0 if that was not seen */
	__u64 read_bytes, written_bytes; /* payload that its process took and gave */
	__u64 last_ns;			 /* of the last segment when it was last read */
	struct ft_pair_ref partner;	 /* of the newest edge, and its pattern in evidence */
	struct ft_pair_ref latch;	 /* b: the a that its thread had read at connect() */
	__u32 writes;			 /* to the partner, not yet added to the edge */
	__u32 exchanges;		 /* turns from sending to receiving */
	__u32 queue_tid, queue_pos;	 /* where it waits to be passed on */
	__u32 tgid;			 /* process that read or wrote first */
	__u16 port;			 /* a: remote; b: local, once it is known */
	__u8 hop;
	__u8 role;     /* enum ft_pair_role */
	__u8 turn;     /* enum ft_pair_turn */
	__u8 evidence; /* pattern of the newest edge */
	__u8 flags;    /* FT_PAIR_FLOW_* */
	__u8 pad[5];
	struct ft_pair_count count[FT_PAIR_FORKS]; /* a: per fork; b: [0] */
};
#define FT_PAIR_FLOW_WHOLE  1 /* seen from its first byte: byte counters are complete */
#define FT_PAIR_FLOW_SERVED 2 /* a: some b carried its bytes */
FT_ABI_SIZE(ft_pair_flow, 184);

enum ft_pair_role { FT_PAIR_NONE, FT_PAIR_A, FT_PAIR_B, FT_NPAIR_ROLES };
enum ft_pair_turn { FT_PAIR_SILENT, FT_PAIR_RECEIVING, FT_PAIR_SENDING };

/* One pair of flows. */
struct ft_pair_edge_key {
	__u64 a, b; /* ids */
};
FT_ABI_SIZE(ft_pair_edge_key, 16);
struct ft_pair_edge {
	__u64 first_ns, last_ns;
	__u64 served_ns; /* when b connected, if a was open by then; else first_ns */
	__u64 writes;	 /* by which it was evidenced; more may wait in the two flows */
	__u32 tgid;
	__u16 a_port, b_port;	      /* as in ft_pair_flow; for display only */
	__u8 seen[FT_NPAIR_EVIDENCE]; /* 1 per bit of the pattern */
	__u8 hop;		      /* of b: the fork */
	__u8 left[FT_NPAIR_RULES];    /* b closed before its answer was passed on, with so many
					 partners by the rule, plus 1; at most 255 */
	__u8 pad[5];
};
FT_ABI_SIZE(ft_pair_edge, 56);

/* A closed flow, kept when its hop asks for it: byte signatures of programs whose threads tell
 * nothing. Key: its id. */
struct ft_pair_closed {
	__u64 closed_ns;
	__u64 read_bytes, written_bytes;
	__u32 tgid;
	__u16 port;
	__u8 hop;
	__u8 role;
};
FT_ABI_SIZE(ft_pair_closed, 32);

/* Distinct partners of one flow: 0..8, then up to 16, 32, 64, 128, more. */
#define FT_PAIR_FANOUT_BOUNDS                                                                      \
	{                                                                                          \
		0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128                                         \
	}
#define FT_NPAIR_FANOUT 14
/* Upper bounds of the queue wait, milliseconds; the last slot is +Inf. */
#define FT_PAIR_WAIT_BOUNDS_MS                                                                     \
	{                                                                                          \
		1, 5, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000                 \
	}
#define FT_NPAIR_WAIT 14

/* Distinct partners of closed flows that had an exchange, by rule. */
struct ft_pair_fanout {
	__u64 flows[FT_NPAIR_RULES][FT_NPAIR_FANOUT];
	__u64 sum[FT_NPAIR_RULES];
	__u64 max[FT_NPAIR_RULES]; /* over CPUs: the largest, not the sum */
	__u64 any_sum;		   /* partners with any evidence at all */
};
FT_ABI_SIZE(ft_pair_fanout, 8 * (4 * 14 + 4 + 4 + 1));

/* Counters of one hop, per CPU; key: the hop. Their sum is what was counted. */
struct ft_pair_stats {
	/* of its own flows, a or b */
	__u64 exchanges;
	__u64 closed;		   /* flows that closed after one exchange or more */
	__u64 closed_single;	   /* of these: exactly one */
	__u64 wait[FT_NPAIR_WAIT]; /* a: from ESTABLISHED to its first b; not cumulative */
	__u64 wait_sum_ns;
	/* of the fork that ends here */
	__u64 sends;		       /* writes to b */
	__u64 matched[FT_NPAIR_RULES]; /* of these: an a was found by the rule */
	__u64 back;		       /* writes to a right after b was read */
	__u64 back_ambiguous;	       /* of these: other b's were waiting, too */
	/* b's read by a thread that then wrote to an a: by the a's hop, whether or not it is the
	 * fork's. Where the hop has no `from` yet, they are votes for whose flows it makes. */
	__u64 handed[FT_MAX_HOPS];
	__u64 unhanded;			/* b's read by a thread that then read another flow */
	__u64 ended[FT_NPAIR_PATTERNS]; /* edges that ended, by their evidence */
	struct ft_pair_fanout fanout;	/* b's per closed a */
	struct ft_pair_fanout reuse;	/* a's per closed b */
};
FT_ABI_SIZE(ft_pair_stats, 8 * (3 + 15 + 8 + FT_MAX_HOPS + 64) + 2 * 520);

/* Every path that gives up; per CPU. */
enum ft_pair_loss {
	FT_PAIR_LOSS_FLOWS_FULL,   /* a flow found no place: its bytes are in no pair */
	FT_PAIR_LOSS_EDGES_FULL,   /* an edge found no place: fan-out is too low */
	FT_PAIR_LOSS_THREADS_FULL, /* a thread's order of reads is not known */
	FT_PAIR_LOSS_CLOSED_FULL,  /* a closed flow has no byte signature */
	FT_PAIR_LOSS_QUEUE_FULL,   /* a thread read more than FT_PAIR_QUEUE without passing on */
	FT_PAIR_LOSS_MISSED_CLOSE, /* a flow's end was not seen: it is in no histogram */
	FT_PAIR_LOSS_SKIPPED, /* reads and writes, of any socket, that the kernel did not show */
	FT_NPAIR_LOSS
};
struct ft_pair_totals {
	__u64 loss[FT_NPAIR_LOSS];
};
FT_ABI_SIZE(ft_pair_totals, 56);

/* Sockets that a thread has read and not yet passed on, per role; a power of two, and no less
 * than what becomes readable in one batch. */
#define FT_PAIR_QUEUE 128

/* What a thread did last. Key: tgid << 32 | tid. */
struct ft_pair_queue {
	__u32 head, tail; /* positions; slot = position % FT_PAIR_QUEUE */
	__u32 waiting;	  /* entries that were not passed on */
	__u32 pad;
	struct ft_pair_ref flow[FT_PAIR_QUEUE]; /* id 0: it was passed on */
};
struct ft_pair_candidate {
	struct ft_pair_ref flow;
	__u64 evidence;
};
struct ft_pair_thread {
	struct ft_pair_ref last;      /* flow that it read last */
	struct ft_pair_ref wrote_for; /* for whom was written last, since it read */
	__u64 wrote;		      /* id of the flow that was written */
	__u64 last_partner;	      /* of `last`, when it was read, and the evidence for that */
	__u64 used_ns;
	__u64 sending;	/* kprobes only: socket between tcp_sendmsg's entry and return */
	__u32 last_pos; /* of `last` in its queue */
	__u8 last_role;
	__u8 handed; /* what it read last was passed on to an a */
	__u8 last_evidence;
	__u8 pad;
	struct ft_pair_candidate candidate[3]; /* while a write is looked at: whom it may be for */
	struct ft_pair_queue queue[2];	       /* of a's, of b's */
};
FT_ABI_SIZE(ft_pair_thread, 144 + 2 * (16 + 16 * FT_PAIR_QUEUE));

/* What the programs are told. Written by user space only. The port sets are a filter before
 * any table is looked at: what they hold may be of a paired hop. */
struct ft_pair_hop {
	__u8 role;		  /* enum ft_pair_role */
	__u8 from;		  /* b: its a's hop; FT_PAIR_NO_HOP: not known which, no edges */
	__u8 slot;		  /* b: index among its a's forks */
	__u8 keep_closed;	  /* remember closed flows in ft_pair_closed */
	__u8 fork[FT_PAIR_FORKS]; /* a: hops of its b's; FT_PAIR_NO_HOP none */
};
#define FT_PAIR_NO_HOP 255
struct ft_pair_control {
	struct ft_pair_hop hop[FT_MAX_HOPS];
	__u32 accept_port[2048];  /* one bit per local port of an a */
	__u32 connect_port[2048]; /* one bit per remote port of a b */
};
FT_ABI_SIZE(ft_pair_control, 8 * FT_MAX_HOPS + 16384);

/* Distinct partners of a set of flows: a mean, before it is divided. */
struct ft_pair_mean {
	__u64 flows;	/* that had an exchange */
	__u64 partners; /* by the rule that is believed */
	__u64 most;	/* with any evidence at all: no fewer than there were */
};
FT_ABI_SIZE(ft_pair_mean, 24);

/* What the agent concluded about a hop, for readers: numbers of its own flows, and of the fork
 * that ends in it. Written by the agent only. Shares are in thousandths. */
#define FT_PAIR_NO_SHARE 0xffffffffULL
struct ft_hop_pairs {
	__u64 exchanges;			/* of its flows, since pairing began */
	__u64 used, single;			/* closed flows with an exchange; with just one */
	__u64 opened_before;			/* what the hop had opened when pairing began */
	__u64 since_ns;				/* when it did */
	__u64 wait[FT_NPAIR_WAIT], wait_sum_ns; /* a: from ESTABLISHED to its first b */
	__u64 role;				/* enum ft_pair_role; NONE: not paired */
	__u64 class;				/* b: enum ft_pair_class */
	__u64 rule;				/* b: enum ft_pair_rule, whose edges are pairs */
	__u64 confidence, coverage;
	/* b: its flows per a. Closed since pairing began; open now; of the last minute, which is
	 * the open ones and those that closed within it. */
	struct ft_pair_mean closed, open, recent;
	__u64 closed_max, open_max;
	__u64 closed_fanout[FT_NPAIR_FANOUT], open_fanout[FT_NPAIR_FANOUT];
	__u64 reuse_flows, reuse_partners, reuse_max; /* the other way round, closed and open */
};
FT_ABI_SIZE(ft_hop_pairs, 8 * 67);

#endif /* FANTAIL_PAIR_H */

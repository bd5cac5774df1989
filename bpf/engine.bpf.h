/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The flow engine: what a state transition of a socket does to counters and flow table.
 * It knows no context type; each door (tracepoint.bpf.c, sockops.bpf.c) defines, before
 * including this file, `struct event` and
 *
 *	ev_tuple(ev, flow)	fill addresses, ports, and netns where the event opens a flow
 *	ev_netns(ev)		the network namespace, whatever the event
 *	ev_owner(ev, flow, comm) fill pid and process name of the caller of connect()
 *	ev_listener(ev, flow, comm) whether the local port has a listener; its process name
 *	ev_failed(ev)		enum ft_failed of a connect that never reached ESTABLISHED
 *	ev_aborted(ev)		enum ft_closed of a flow that ended without a FIN
 *	ev_segments(ev, sent)	segments with payload that went in or out
 *	ev_now(ev)		CLOCK_MONOTONIC ns of this moment
 *	ev_segment(ev)		the same of the socket's last segment: what a transition in
 *				softirq context was caused by, for less than a clock read
 *	adds_atomically(ev)	whether something else may add to the same counters meanwhile
 *	opaque_indices		whether its programs may have to load without CAP_PERFMON
 *	opens_may_be_missed	whether the door's programs can be skipped by the kernel
 *	delete_later		whether the door itself deletes what was closed
 *
 * A socket's transitions are serialised by its lock, so a flow's entry has one writer.
 * Per-CPU counters may have two: what runs in process context can be interrupted by softirq
 * on the same CPU. So each hop has a slot per context (ev->context); a door that cannot
 * tell its context, or may be preempted, adds atomically.
 */
#ifndef FT_ENGINE_BPF_H
#define FT_ENGINE_BPF_H

#include "account.bpf.h"

/* An entry whose socket is gone, or begins a new life: its close was never seen. */
static __always_inline void bury(const struct event *ev, const struct ft_flow *f)
{
	struct ft_hop_stats *s = stats_of(ev, f->hop);

	if (!s)
		return;
	count_loss(FT_LOSS_MISSED_CLOSE);
	count_transition(ev, s, f->state, FT_CLOSE);
	if (!(f->flags & FT_FLOW_OPEN))
		add(ev, &s->failed[FT_FAILED_OTHER], 1);
	else if (f->flags & FT_FLOW_FIN_LOCAL)
		add(ev, &s->closed[FT_CLOSED_LOCAL], 1);
	else if (f->flags & FT_FLOW_FIN_REMOTE)
		add(ev, &s->closed[FT_CLOSED_REMOTE], 1);
	else
		add(ev, &s->closed[FT_CLOSED_OTHER], 1);
}

/*
 * Give the flow its entry. known: what the table holds for this socket now, or NULL. A flow
 * that finds no place is counted all the same, and named in loss.
 */
static __always_inline bool remember(const struct event *ev, struct ft_flow *f,
				     struct ft_flow *known)
{
	__u64 key = ev->key;
	int err; /* before 6.4 the upper half of what the helper returns is undefined */

	f->audit = control.audit;
	if (known) {
		if (unlikely(known->state != FT_CLOSE))
			bury(ev, known);
		known->audit = f->audit; /* first, so that ft_sweep spares it */
		barrier();
		*known = *f;
		return true;
	}
	err = bpf_map_update_elem(&ft_flows, &key, f, BPF_ANY);
	if (!unlikely(err)) {
		__sync_fetch_and_add(&entries, 1);
		return true;
	}
	overflow = 1;
	if (!(f->flags & FT_FLOW_OPEN)) /* a connect: tried again when it is established */
		return false;
	if (err == -7 /* E2BIG */)
		count_loss(FT_LOSS_TABLE_FULL);
	else if (err == -12 /* ENOMEM */)
		count_loss(FT_LOSS_NOMEM);
	else
		count_loss(FT_LOSS_BUSY);
	return false;
}

/* The entry has done its work. Here its socket still exists, so nobody else can want it. */
static __always_inline void forget(const struct event *ev, struct ft_flow *f)
{
	f->state = FT_CLOSE; /* whatever comes of the delete: it fails if the bucket is locked */
	if (!delete_later && entries > keep_entries && !bpf_map_delete_elem(&ft_flows, &ev->key))
		__sync_fetch_and_add(&entries, -1);
}

/* The socket is of no hop; what the table holds for its address is of an earlier one. */
static __always_inline void disown(const struct event *ev, struct ft_flow *known)
{
	if (!known || known->state == FT_CLOSE)
		return;
	bury(ev, known);
	known->state = FT_CLOSE;
}

static __always_inline void note_candidate(const struct ft_flow *f, const char comm[FT_COMM_LEN])
{
	struct ft_candidate_key key = {};
	struct ft_candidate value = {}, *seen;

	__builtin_memcpy(key.comm, comm, sizeof(key.comm));
	key.port = f->rport;
	key.realm = realm_of(f->raddr);
	key.family = is_v4(f->raddr) ? 4 : 6;
	seen = bpf_map_lookup_elem(&ft_candidates, &key);
	if (seen) {
		__sync_fetch_and_add(&seen->count, 1);
		return;
	}
	__builtin_memcpy(value.raddr, f->raddr, sizeof(value.raddr));
	value.count = 1;
	if (bpf_map_update_elem(&ft_candidates, &key, &value, BPF_ANY))
		count_loss(FT_LOSS_CANDIDATES_FULL);
}

/* CLOSE -> SYN_SENT, in the context of the process that connects: classify, remember. */
static __always_inline void begin_connect(const struct event *ev)
{
	struct ft_flow f = {.flags = FT_FLOW_CONNECT}, *known;
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	char nobody[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	struct ft_hop_stats *s;
	int hop;

	ev_owner(ev, &f, comm);
	ev_tuple(ev, &f);
	hop = match_flow(&f, comm);
	s = hop < 0 ? NULL : stats_of(ev, hop);
	known = bpf_map_lookup_elem(&ft_flows, &ev->key);
	if (!s) {
		disown(ev, known);
		if (unlikely(control.discover))
			note_candidate(&f, comm);
		return;
	}
	f.hop = hop;
	enter_state(&f, FT_SYN_SENT);
	/* Without an entry its hop has to be found again, when its process is not known any more:
	 * if that cannot succeed, nothing of it is counted. */
	if (unlikely(!remember(ev, &f, known)) && match_flow(&f, nobody) != hop) {
		count_loss(FT_LOSS_TABLE_FULL);
		return;
	}
	count_transition(ev, s, FT_CLOSE, FT_SYN_SENT);
}

/* A flow that opens (see opens()) and has no entry of its own yet: every accepted one, and
 * connects that began before counting did or found no place. */
static __always_inline void open_unknown(const struct event *ev, struct ft_flow *known)
{
	struct ft_flow f = {.flags = FT_FLOW_OPEN};
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	struct ft_hop_stats *s;
	int hop;

	ev_tuple(ev, &f);
	if (ev->old == FT_SYN_SENT)
		f.flags |= FT_FLOW_CONNECT;
	else if (unlikely(control.accept_comm))
		ev_listener(ev, &f, comm);
	hop = match_flow(&f, comm);
	s = hop < 0 ? NULL : stats_of(ev, hop);
	if (!s) {
		disown(ev, known);
		return;
	}
	f.hop = hop;
	f.opened_ns = ev_segment(ev);
	/* Its first state was not counted: a child's never is (older kernels fill in its ports
	 * later), a connect's only if that began before we did. */
	if (!(f.flags & FT_FLOW_CONNECT))
		count_transition(ev, s, FT_LISTEN, ev->old);
	else if (!overflow)
		count_transition(ev, s, FT_UNSEEN, ev->old);
	f.path = ev->old;
	enter_state(&f, ev->new);
	count_transition(ev, s, ev->old, ev->new);
	add(ev, &s->opened, 1);
	remember(ev, &f, known);
}

/* SYN_SENT or SYN_RECV -> ESTABLISHED. Or, with TCP Fast Open, SYN_RECV -> FIN_WAIT1: the process
 * had the request with the SYN, and has answered and closed before the handshake was over. */
static __always_inline bool opens(const struct event *ev)
{
	return ev->new == FT_ESTABLISHED || (ev->old == FT_SYN_RECV && ev->new != FT_CLOSE);
}

static __always_inline void establish(const struct event *ev)
{
	struct ft_flow *f = bpf_map_lookup_elem(&ft_flows, &ev->key);
	struct ft_hop_stats *s;

	if (!f || f->state == FT_CLOSE || (f->flags & FT_FLOW_OPEN)) {
		open_unknown(ev, f);
		return;
	}
	s = stats_of(ev, f->hop);
	if (!s)
		return;
	if (unlikely(f->state != ev->old))
		catch_up(ev, s, f, ev->old);
	if (unlikely(ev->new != FT_ESTABLISHED)) { /* a simultaneous open that is given up */
		enter_state(f, ev->new);
		count_transition(ev, s, ev->old, ev->new);
		return;
	}
	ev_tuple(ev, f); /* the local port is known now */
	f->flags |= FT_FLOW_OPEN;
	f->opened_ns = ev_segment(ev);
	enter_state(f, FT_ESTABLISHED);
	count_transition(ev, s, ev->old, FT_ESTABLISHED);
	add(ev, &s->opened, 1);
}

/*
 * A socket beyond ESTABLISHED that has no entry: most are no flow of ours. If the table
 * overflowed, it may have been counted without an entry. Otherwise its opening was not seen
 * - possible for accepted flows only (theirs happens in softirq context; a connect begins in
 * its process) - and is counted now.
 */
static __always_inline struct ft_hop_stats *without_entry(const struct event *ev, struct ft_flow *f)
{
	char comm[FT_COMM_LEN] __attribute__((aligned(8))) = {};
	struct ft_hop_stats *s;
	int hop;

	if (!(overflow || opens_may_be_missed))
		return NULL;
	ev_tuple(ev, f);
	if (!overflow && match_any_process(f) < 0) /* as most are: looking for rules is cheaper */
		return NULL;
	f->netns = ev_netns(ev);
	if (!ev_listener(ev, f, comm)) {
		if (!overflow)
			return NULL;
		f->flags = FT_FLOW_CONNECT;
	}
	hop = match_flow(f, comm);
	if (hop >= 0 && is_fresh(hop))
		return NULL; /* it may be open since before its hop is counted */
	s = hop < 0 ? NULL : stats_of(ev, hop);
	if (!s)
		return NULL;
	f->hop = hop;
	f->flags |= FT_FLOW_OPEN | fin_of(ev->old);
	if (!overflow) {
		count_loss(FT_LOSS_MISSED_OPEN);
		add(ev, &s->opened, 1);
		count_transition(ev, s, FT_UNSEEN, ev->old);
	}
	return s;
}

/*
 * The entry of a socket that leaves state ev->old, made to agree with it; NULL if it has none.
 * An entry that cannot have led here is of an earlier socket at this address, whose close
 * was not seen (nor the new one's open).
 */
static __always_inline struct ft_flow *entry_of(const struct event *ev)
{
	struct ft_flow *f = bpf_map_lookup_elem(&ft_flows, &ev->key);
	struct ft_hop_stats *s;

	if (!f || !unlikely(f->state != ev->old))
		return f;
	if (f->state == FT_CLOSE)
		return NULL;
	if (!may_follow(f->state, ev->old)) {
		bury(ev, f);
		f->state = FT_CLOSE;
		return NULL;
	}
	s = stats_of(ev, f->hop);
	if (s)
		catch_up(ev, s, f, ev->old);
	return f;
}

static __always_inline void step_without_entry(const struct event *ev)
{
	struct ft_flow f = {};
	struct ft_hop_stats *s = without_entry(ev, &f);

	if (!s)
		return;
	enter_state(&f, ev->new);
	count_transition(ev, s, ev->old, ev->new);
	if (!overflow)
		remember(ev, &f, bpf_map_lookup_elem(&ft_flows, &ev->key));
}

/* Between ESTABLISHED and CLOSE, or SYN_SENT -> SYN_RECV. */
static __always_inline void step(const struct event *ev)
{
	struct ft_flow *f = entry_of(ev);
	struct ft_hop_stats *s;

	if (unlikely(!f)) {
		step_without_entry(ev);
		return;
	}
	s = stats_of(ev, f->hop);
	if (!s)
		return;
	enter_state(f, ev->new);
	count_transition(ev, s, ev->old, ev->new);
}

static __always_inline void end_without_entry(const struct event *ev)
{
	struct ft_flow f = {};
	struct ft_hop_stats *s;

	if (ev->old == FT_SYN_RECV) /* a child that never became a flow */
		return;
	s = without_entry(ev, &f);
	if (!s)
		return;
	if (overflow && ev->old != FT_SYN_SENT)
		count_loss(FT_LOSS_UNMATCHED_CLOSE);
	count_transition(ev, s, ev->old, FT_CLOSE);
	if (ev->old != FT_SYN_SENT)
		add(ev, &s->closed[index_of(closed_by(ev, &f)) & 3], 1);
	else if (f.flags & FT_FLOW_CONNECT)
		count_failed(ev, s, ev_failed(ev));
}

/* Or by a timer, which looks at the clock too. A process may end a flow that was long idle. */
static __always_inline bool ended_by_segment(const struct event *ev)
{
	return ev->context == FT_CONTEXT_SOFTIRQ && ev->old != FT_ESTABLISHED &&
	       ev->old != FT_CLOSE_WAIT;
}

/* Anything -> CLOSE. The entry is given up now: the kernel reuses the address at once. */
static __always_inline void end(const struct event *ev)
{
	struct ft_flow *f = entry_of(ev);
	struct ft_hop_stats *s;

	if (unlikely(!f)) {
		end_without_entry(ev);
		return;
	}
	s = stats_of(ev, f->hop);
	if (s) {
		count_transition(ev, s, ev->old, FT_CLOSE);
		if (f->flags & FT_FLOW_OPEN) {
			__u64 now = ended_by_segment(ev) ? ev_segment(ev) : ev_now(ev);

			add(ev, &s->closed[index_of(closed_by(ev, f)) & 3], 1);
			count_lifetime(ev, s, f, now);
			if (is_one_shot(ev, f, now))
				add(ev, &s->one_shot, 1);
		} else {
			count_failed(ev, s, ev_failed(ev));
		}
	}
	forget(ev, f);
}

static __always_inline void transit(const struct event *ev)
{
	if (ev->new == FT_CLOSE)
		end(ev);
	else if (opens(ev))
		establish(ev);
	else if (ev->new == FT_SYN_SENT)
		begin_connect(ev);
	else
		step(ev);
}

#endif

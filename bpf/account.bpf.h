/* SPDX-License-Identifier: GPL-2.0 */
/* Counters and entries, one step at a time: what the engine's stories are made of. Needs what
 * engine.bpf.h asks of a door. */
#ifndef FT_ACCOUNT_BPF_H
#define FT_ACCOUNT_BPF_H

/* Rare paths go out of the way: after all that TCP has done, this code comes from the second
 * level cache, so its cost is the lines that a common event touches. */
#define unlikely(x) __builtin_expect(!!(x), 0)

static const __u32 lifetime_bounds_ms[FT_NLIFETIME - 1] = FT_LIFETIME_BOUNDS_MS;

static __always_inline struct ft_hop_stats *stats_of(const struct event *ev, __u32 hop)
{
	__u32 slot = hop * FT_NCONTEXTS + ev->context;

	return bpf_map_lookup_elem(&ft_stats, &slot);
}

static __always_inline void add(const struct event *ev, __u64 *counter, __u64 n)
{
	if (adds_atomically(ev)) { /* a constant, once inlined */
		/* Without CAP_PERFMON the verifier wants one offset per addition, and not that of
		 * several branches in a register. */
		barrier_var(counter);
		__sync_fetch_and_add(counter, n);
	} else {
		*counter += n;
	}
}

static __always_inline void count_transition(const struct event *ev, struct ft_hop_stats *s,
					     __u32 from, __u32 to)
{
	__u32 cell = index_of(from * FT_NSTATES + to);

	if (cell < FT_NSTATES * FT_NSTATES)
		add(ev, &s->transition[0][0] + cell, 1);
}

/* The first FIN decides who ended the flow, so it is noted when it comes. */
static __always_inline __u8 fin_of(__u32 state)
{
	switch (state) {
	case FT_FIN_WAIT1:
	case FT_FIN_WAIT2:
	case FT_CLOSING:
		return FT_FLOW_FIN_LOCAL;
	case FT_CLOSE_WAIT:
	case FT_LAST_ACK:
		return FT_FLOW_FIN_REMOTE;
	default:
		return 0;
	}
}

static __always_inline void enter_state(struct ft_flow *f, __u32 state)
{
	f->state = state;
	f->path = f->path << 4 | state;
	if (!(f->flags & (FT_FLOW_FIN_LOCAL | FT_FLOW_FIN_REMOTE)))
		f->flags |= fin_of(state);
}

/* A transition that was not seen passes through this state; 0: none that we can name. */
static __always_inline __u32 state_between(__u32 from, __u32 to)
{
	if (from == FT_ESTABLISHED && (to == FT_FIN_WAIT2 || to == FT_CLOSING))
		return FT_FIN_WAIT1;
	if (from == FT_ESTABLISHED && to == FT_LAST_ACK)
		return FT_CLOSE_WAIT;
	return 0;
}

/* States that can follow, with or without some in between. */
static __always_inline bool may_follow(__u32 from, __u32 to)
{
	const __u32 ended = 1 << FT_FIN_WAIT1 | 1 << FT_FIN_WAIT2 | 1 << FT_CLOSE_WAIT |
			    1 << FT_LAST_ACK | 1 << FT_CLOSING;
	__u32 later = 0;

	if (from == FT_SYN_SENT)
		later = ended | 1 << FT_ESTABLISHED | 1 << FT_SYN_RECV;
	else if (from == FT_SYN_RECV)
		later = ended | 1 << FT_ESTABLISHED;
	else if (from == FT_ESTABLISHED)
		later = ended;
	else if (from == FT_FIN_WAIT1)
		later = 1 << FT_FIN_WAIT2 | 1 << FT_CLOSING;
	else if (from == FT_CLOSE_WAIT)
		later = 1 << FT_LAST_ACK;
	return later >> (to & 31) & 1;
}

/* The entry is behind the socket: account what must have happened in between. */
static __always_inline void catch_up(const struct event *ev, struct ft_hop_stats *s,
				     struct ft_flow *f, __u32 state)
{
	__u32 between;

	count_loss(FT_LOSS_MISSED_TRANSITION);
	if (!(f->flags & FT_FLOW_OPEN) && state != FT_SYN_SENT && state != FT_SYN_RECV) {
		f->flags |= FT_FLOW_OPEN;
		f->opened_ns = ev_segment(ev);
		add(ev, &s->opened, 1);
		count_transition(ev, s, f->state, FT_ESTABLISHED);
		enter_state(f, FT_ESTABLISHED);
	}
	between = state_between(f->state, state);
	if (between) {
		count_transition(ev, s, f->state, between);
		enter_state(f, between);
	}
	if (f->state == state)
		return;
	count_transition(ev, s, f->state, state);
	enter_state(f, state);
}

/* Without a FIN it was a reset, a timeout or an abort. */
static __always_inline enum ft_closed closed_by(const struct event *ev, const struct ft_flow *f)
{
	if (f->flags & FT_FLOW_FIN_LOCAL)
		return FT_CLOSED_LOCAL;
	if (f->flags & FT_FLOW_FIN_REMOTE)
		return FT_CLOSED_REMOTE;
	return ev_aborted(ev);
}

/* Global, so that the verifier looks at its loop once and not on every path to it. */
__noinline __u32 lifetime_bucket(__u64 lifetime_ns)
{
	__u32 i;

	for (i = 0; i < FT_NLIFETIME - 1; i++)
		if (lifetime_ns <= lifetime_bounds_ms[i] * 1000000ULL)
			break;
	return i;
}

static __always_inline void count_lifetime(const struct event *ev, struct ft_hop_stats *s,
					   const struct ft_flow *f, __u64 now)
{
	__u64 lifetime = now > f->opened_ns ? now - f->opened_ns : 0;
	__u32 bucket;

	if (!f->opened_ns) /* preexisting */
		return;
	bucket = lifetime_bucket(lifetime);
	if (bucket >= FT_NLIFETIME)
		return;
	add(ev, &s->lifetime[bucket], 1);
	add(ev, &s->lifetime_sum_ns, lifetime);
}

static __always_inline void count_failed(const struct event *ev, struct ft_hop_stats *s,
					 __u32 reason)
{
	reason = index_of(reason);
	if (reason < FT_NFAILED)
		add(ev, &s->failed[reason], 1);
}

/* At most one segment of payload went the way that requests go: this flow was not used again.
 * A long request has more than one, so that a few are left out, and none is made up. */
static __always_inline bool is_one_shot(const struct event *ev, const struct ft_flow *f, __u64 now)
{
	if (ev_segments(ev, f->flags & FT_FLOW_CONNECT) <= 1)
		return true;
	return f->opened_ns && now < f->opened_ns + control.one_shot_ms * 1000000ULL;
}

#endif

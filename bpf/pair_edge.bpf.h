/* SPDX-License-Identifier: GPL-2.0 */
/* Edges: evidence that flow b carried bytes of flow a. The newest edge of a flow, with the
 * evidence that it has, is kept with the flow, so that the usual write changes no table. */
#ifndef FT_PAIR_EDGE_BPF_H
#define FT_PAIR_EDGE_BPF_H

#include "pair_rules.bpf.h"

static const __u32 wait_bounds_ms[FT_NPAIR_WAIT - 1] = FT_PAIR_WAIT_BOUNDS_MS;

static __always_inline __u32 pattern_of(const struct ft_pair_edge *e)
{
	__u32 pattern = 0;

#pragma unroll
	for (int i = 0; i < FT_NPAIR_EVIDENCE; i++)
		pattern |= (e->seen[i] & 1) << i;
	return pattern;
}

/* Bytes, not bits: two threads may add different evidence at once. */
static __always_inline void add_evidence(struct ft_pair_edge *e, __u32 pattern)
{
#pragma unroll
	for (int i = 0; i < FT_NPAIR_EVIDENCE; i++)
		if (pattern & 1 << i)
			e->seen[i] = 1;
}

static __always_inline struct ft_pair_edge_key edge_key(const struct ft_pair_flow *f,
							const struct ft_pair_ref *partner)
{
	bool a = f->role == FT_PAIR_A;
	struct ft_pair_edge_key key = {
		.a = a ? f->id : partner->id,
		.b = a ? partner->id : f->id,
	};

	return key;
}

static __always_inline void note_left(struct ft_pair_edge *e, const struct ft_pair_count *c)
{
#pragma unroll
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
		e->left[rule] = c->distinct[rule] < 254 ? c->distinct[rule] + 1 : 255;
}

/* The newest edge of a flow ends with it; the others are removed by user space. But when b closes
 * before what it said is passed on to a, the way back is still to come. */
static __always_inline void drop_edge(const struct ft_pair_flow *f)
{
	struct ft_pair_edge_key key;
	struct ft_pair_stats *s;
	struct ft_pair_edge *e;
	__u32 pattern;

	if (!f->partner.id)
		return;
	key = edge_key(f, &f->partner);
	e = bpf_map_lookup_elem(&ft_pair_edges, &key);
	if (!e)
		return;
	pattern = pattern_of(e) & (FT_NPAIR_PATTERNS - 1);
	if (f->role == FT_PAIR_B && !rules_of(pattern)) {
		note_left(e, &f->count[0]);
		return;
	}
	s = stats_of(e->hop);
	if (!drop_ended || bpf_map_delete_elem(&ft_pair_edges, &key) || !s)
		return;
	/* Verifiers before 6.3 forget the mask across the calls above; the bound is told again. */
	barrier_var(pattern);
	if (pattern < FT_NPAIR_PATTERNS)
		add(&s->ended[pattern], 1);
}

__noinline __u32 wait_bucket(__u64 wait_ns)
{
	__u32 i;

	for (i = 0; i < FT_NPAIR_WAIT - 1; i++)
		if (wait_ns <= wait_bounds_ms[i] * 1000000ULL)
			break;
	return i;
}

/* How long a was held before its first b. */
static __always_inline void count_wait(struct ft_pair_flow *a, const struct ft_pair_edge *e)
{
	struct ft_pair_stats *s = stats_of(a->hop);
	__u32 bucket;

	if ((a->flags & FT_PAIR_FLOW_SERVED) || !s)
		return;
	a->flags |= FT_PAIR_FLOW_SERVED;
	if (!a->opened_ns || !(a->flags & FT_PAIR_FLOW_WHOLE) || e->served_ns < a->opened_ns)
		return;
	bucket = wait_bucket(e->served_ns - a->opened_ns);
	if (bucket >= FT_NPAIR_WAIT)
		return;
	add(&s->wait[bucket], 1);
	add(&s->wait_sum_ns, e->served_ns - a->opened_ns);
}

/* The flow has one partner more by these rules. Adding 0 is cheaper to verify than not adding. */
static __always_inline void add_partner(struct ft_pair_count *c, __u32 rules, bool first)
{
#pragma unroll
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
		__sync_fetch_and_add(&c->distinct[rule], rules >> rule & 1);
	__sync_fetch_and_add(&c->any, first);
}

/* b has closed, and was counted with one partner less than it had. */
static __always_inline void recount(const struct ft_pair_edge *e, __u32 rules)
{
	struct ft_pair_stats *s = stats_of(e->hop);

	if (!s || !e->left[0])
		return;
	for (__u32 rule = 0; rule < FT_NPAIR_RULES; rule++) {
		__u64 more = rules >> rule & 1;
		__u32 from = fanout_bucket(e->left[rule] - 1), to = fanout_bucket(e->left[rule]);

		if (from >= FT_NPAIR_FANOUT || to >= FT_NPAIR_FANOUT)
			return;
		add(&s->reuse.flows[rule][from], -more);
		add(&s->reuse.flows[rule][to], more);
		add(&s->reuse.sum[rule], more);
		if (more && e->left[rule] > s->reuse.max[rule])
			s->reuse.max[rule] = e->left[rule];
	}
}

/* The edge holds by rules by which it did not. */
static __always_inline void learn(struct ft_pair_flow *f, const struct ft_pair_ref *p,
				  const struct ft_pair_edge *e, __u32 old, __u32 new)
{
	bool is_a = f->role == FT_PAIR_A;
	struct ft_pair_flow *partner = named(p), *a = is_a ? f : partner, *b = is_a ? partner : f;
	__u32 slot = pairing.hop[e->hop & (FT_MAX_HOPS - 1)].slot;
	__u32 rules = rules_of(new) & ~rules_of(old);

	if (b)
		add_partner(&b->count[0], rules, !old);
	else
		recount(e, rules);
	if (!a || slot >= FT_PAIR_FORKS)
		return;
	add_partner(&a->count[slot], rules, !old);
	if (rules)
		count_wait(a, e);
}

static __always_inline struct ft_pair_edge *make_edge(const struct ft_pair_edge_key *key,
						      const struct ft_pair_flow *f,
						      const struct ft_pair_ref *p)
{
	__u64 now = bpf_ktime_get_ns();
	const struct ft_pair_flow *partner = named(p);
	const struct ft_pair_flow *a = f->role == FT_PAIR_A ? f : partner;
	const struct ft_pair_flow *b = f->role == FT_PAIR_A ? partner : f;
	struct ft_pair_edge new = {.first_ns = now, .hop = HOP_OF(key->b)};

	if (!a || !b)
		return NULL;
	new.served_ns = b->opened_ns > a->opened_ns ? b->opened_ns : now;
	new.tgid = f->tgid;
	new.a_port = a->port;
	new.b_port = b->port;
	if (bpf_map_update_elem(&ft_pair_edges, key, &new, BPF_ANY)) {
		lose(FT_PAIR_LOSS_EDGES_FULL);
		return NULL;
	}
	return bpf_map_lookup_elem(&ft_pair_edges, key);
}

/* Writes that the flow's newest edge does not know of yet. */
static __always_inline void flush_writes(struct ft_pair_flow *f)
{
	struct ft_pair_edge_key key;
	struct ft_pair_edge *e;

	if (!f->writes)
		return;
	key = edge_key(f, &f->partner);
	e = bpf_map_lookup_elem(&ft_pair_edges, &key);
	if (e) {
		__sync_fetch_and_add(&e->writes, f->writes);
		if (f->last_ns > e->last_ns)
			e->last_ns = f->last_ns;
	}
	f->writes = 0;
}

static __noinline void note_edge(struct ft_pair_flow *f, const struct ft_pair_ref *p, __u32 pattern,
				 __u64 seen_ns)
{
	struct ft_pair_edge_key k = edge_key(f, p);
	struct ft_pair_edge *e;
	__u32 old;

	if (f->partner.id != p->id)
		flush_writes(f);
	e = bpf_map_lookup_elem(&ft_pair_edges, &k);
	if (!e)
		e = make_edge(&k, f, p);
	if (!e)
		return;
	old = pattern_of(e);
	add_evidence(e, pattern);
	__sync_fetch_and_add(&e->writes, 1);
	if (seen_ns > e->last_ns)
		e->last_ns = seen_ns;
	if ((old | pattern) != old)
		learn(f, p, e, old, old | pattern);
	f->partner = *p;
	f->evidence = old | pattern;
}

/* The usual write: for the same partner as the last, with nothing new in evidence. */
static __always_inline bool known_pair(struct ft_pair_flow *f, __u64 partner, __u32 pattern)
{
	if (f->partner.id != partner || (f->evidence & pattern) != pattern)
		return false;
	f->writes++;
	return true;
}

/* f was written, and p is whom it was written for, says this evidence. seen_ns: about now. */
static __always_inline void link(struct ft_pair_flow *f, const struct ft_pair_ref *p, __u32 pattern,
				 __u64 seen_ns)
{
	if (!known_pair(f, p->id, pattern))
		note_edge(f, p, pattern, seen_ns);
}

#endif

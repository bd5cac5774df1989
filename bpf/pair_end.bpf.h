/* SPDX-License-Identifier: GPL-2.0 */
/* What is left of a flow when it closes: its number of partners, in the counters. */
#ifndef FT_PAIR_END_BPF_H
#define FT_PAIR_END_BPF_H

/* Add a closed flow's number of partners. */
static __always_inline void count_fanout(struct ft_pair_fanout *to, const struct ft_pair_count *c)
{
	for (__u32 rule = 0; rule < FT_NPAIR_RULES; rule++) {
		__u32 n = c->distinct[rule], bucket = fanout_bucket(n);

		if (bucket >= FT_NPAIR_FANOUT)
			return;
		add(&to->flows[rule][bucket], 1);
		add(&to->sum[rule], n);
		if (n > to->max[rule])
			to->max[rule] = n;
	}
	add(&to->any_sum, c->any);
}

static __always_inline void count_closed(const struct ft_pair_flow *f)
{
	struct ft_pair_stats *s = stats_of(f->hop);

	if (!s || !f->exchanges)
		return;
	add(&s->closed, 1);
	if (f->exchanges == 1)
		add(&s->closed_single, 1);
	if (f->role == FT_PAIR_B) {
		count_fanout(&s->reuse, &f->count[0]);
		return;
	}
	for (int i = 0; i < FT_PAIR_FORKS; i++) {
		__u32 fork = pairing.hop[f->hop & (FT_MAX_HOPS - 1)].fork[i];

		s = fork < FT_MAX_HOPS ? stats_of(fork) : NULL;
		if (s)
			count_fanout(&s->fanout, &f->count[i]);
	}
}

static __always_inline void keep_closed(const struct ft_pair_flow *f)
{
	struct ft_pair_closed c = {
		.closed_ns = bpf_ktime_get_ns(),
		.read_bytes = f->read_bytes,
		.written_bytes = f->written_bytes,
		.tgid = f->tgid,
		.port = f->port,
		.hop = f->hop,
		.role = f->role,
	};
	__u64 id = f->id;

	if (!(f->flags & FT_PAIR_FLOW_WHOLE) || !(f->read_bytes | f->written_bytes))
		return;
	if (bpf_map_update_elem(&ft_pair_closed, &id, &c, BPF_ANY))
		lose(FT_PAIR_LOSS_CLOSED_FULL);
}

static __noinline void flow_ended(__u64 key)
{
	struct ft_pair_flow *f = bpf_map_lookup_elem(&ft_pair_flows, &key);

	if (!f)
		return;
	count_closed(f);
	drop_edge(f);
	if (pairing.hop[f->hop & (FT_MAX_HOPS - 1)].keep_closed)
		keep_closed(f);
	bpf_map_delete_elem(&ft_pair_flows, &key);
}

#endif

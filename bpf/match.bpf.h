/* SPDX-License-Identifier: GPL-2.0 */
/* Which hop a flow belongs to. Evaluated once per flow, at open; a linear scan, because it
 * beats a hash or LPM lookup up to some dozen rules. */
#ifndef FT_MATCH_BPF_H
#define FT_MATCH_BPF_H

#define FT_NO_HOP (-1)

static __always_inline __u64 comm_tag(const char comm[FT_COMM_LEN])
{
	const __u64 *w = (const __u64 *)comm;

	return FT_COMM_TAG(w[0], w[1]);
}

/* 1 if any bit is set. The barriers keep the compiler from making it a branch again. */
static __always_inline __u64 any_bit(__u64 value)
{
	__u64 negative = -value;

	barrier_var(value);
	barrier_var(negative);
	return (value | negative) >> 63;
}

/* 0 if every condition but the port holds; named: 1 if the process is known. Without a branch: each
 * one would multiply the paths that the verifier has to walk through all rules, and comparing
 * everything costs a nanosecond or two. */
static __always_inline __u64 differs(const struct ft_rule *r, __u64 remote0, __u64 remote1,
				     __u64 local0, __u64 local1, __u64 tag, __u64 named)
{
	__u64 off = ((remote0 ^ r->peer[0]) & r->peer_mask[0]) |
		    ((remote1 ^ r->peer[1]) & r->peer_mask[1]);
	__u64 flags = r->flags;

	off = any_bit(off) ^ (flags & FT_RULE_NOT_PEER); /* 1: outside the prefix */
	off |= (local0 ^ r->local[0]) & r->local_mask[0];
	off |= (local1 ^ r->local[1]) & r->local_mask[1];
	off |= (tag ^ r->comm_tag) & -(flags / FT_RULE_COMM & named);
	return off;
}

/*
 * The hop of the first rule that matches, or FT_NO_HOP. remote, local: the 16 address bytes
 * as two words; rest: FT_COMM_TAG of the process (0: any) | side << 16 | the side's port.
 * A global function with scalars only: the verifier walks its loop once per program, not
 * once per path to it, and 5.10 takes no pointers here. A long, because half a stack slot must not
 * be written again without CAP_PERFMON.
 */
__noinline long match_hop(__u64 remote0, __u64 remote1, __u64 local0, __u64 local1, __u64 rest)
{
	const struct ft_rules *table = &rules[control.table & 1];
	const struct ft_rule *r = table->rule;
	__u32 count = table->count, port = rest & 0xffff, side = rest >> 16 & 1, i;
	__u64 tag = rest & FT_COMM_TAG_MASK, named = any_bit(tag), off;

	/* Stepped by a constant, and never beyond the end: without CAP_PERFMON new kernels'
	 * verifiers (6.18; not 6.1) let nothing else pass. */
	for (i = 0; i < count; r++) {
		barrier_var(r);
		off = differs(r, remote0, remote1, local0, local1, tag, named);
		/* the sign bit of a difference: outside the range; or the other side */
		off |= ((port - r->port_lo) | (r->port_hi - port)) >> 31 | (side ^ r->side);
		barrier_var(off);
		if (!off)
			goto found;
		if (++i == FT_MAX_RULES)
			break;
	}
	return FT_NO_HOP;
found:
	return r->hop < FT_MAX_HOPS ? (long)r->hop : FT_NO_HOP;
}

static __always_inline int match_tagged(const struct ft_flow *f, __u64 tag)
{
	const __u64 *remote = (const __u64 *)f->raddr, *local = (const __u64 *)f->laddr;
	bool connects = f->flags & FT_FLOW_CONNECT;
	__u64 side = connects ? FT_CONNECT : FT_ACCEPT;
	__u16 port = connects ? f->rport : f->lport;

	return match_hop(remote[0], remote[1], local[0], local[1], tag | side << 16 | port);
}

/* f: side, addresses and the side's port are set; comm: the process, all 0 if unknown: that is
 * a name too, which no rule asks for. */
static __always_inline int match_flow(const struct ft_flow *f, const char comm[FT_COMM_LEN])
{
	return match_tagged(f, comm_tag(comm));
}

/* For sockets that belong to no process any more. */
static __always_inline int match_any_process(const struct ft_flow *f)
{
	return match_tagged(f, 0);
}

#endif

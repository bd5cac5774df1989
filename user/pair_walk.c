// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What is open now, and what closed flows' byte counters say. Flows are read before edges, so
 * an edge that is older than the walk and whose flow was not met has lost it. */
#include <stdlib.h>
#include <string.h>

#include "pair.h"

#define SETTLED_NS 1000000000ULL /* an answer is not yet overdue */
#define CLOSE_NS   20000000ULL	 /* both ends of a tunnel close within it */

static const uint64_t fanout_bounds[FT_NPAIR_FANOUT - 1] = FT_PAIR_FANOUT_BOUNDS;

static int by_id(const void *a, const void *b)
{
	const struct ft_pair_flow_row *x = a, *y = b;

	return x->flow.id < y->flow.id ? -1 : x->flow.id > y->flow.id;
}

const struct ft_pair_flow_row *ft_pair_flow_named(const struct ft_pair_flow_row *flows, size_t n,
						  uint64_t id)
{
	struct ft_pair_flow_row wanted = {.flow.id = id};

	return n ? bsearch(&wanted, flows, n, sizeof(*flows), by_id) : NULL;
}

static unsigned int bucket_of(uint64_t partners)
{
	unsigned int i = 0;

	while (i < FT_NPAIR_FANOUT - 1 && partners > fanout_bounds[i])
		i++;
	return i;
}

static void add_count(struct ft_pair_fanout *to, const struct ft_pair_count *c)
{
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++) {
		to->flows[rule][bucket_of(c->distinct[rule])]++;
		to->sum[rule] += c->distinct[rule];
		if (c->distinct[rule] > to->max[rule])
			to->max[rule] = c->distinct[rule];
	}
	to->any_sum += c->any;
}

static void fold_flow(const struct ft_pair_flow *f, const struct ft_pair_control *plan,
		      struct ft_pair_open *ret)
{
	if (!f->exchanges || f->hop >= FT_MAX_HOPS)
		return;
	if (f->role == FT_PAIR_B) {
		add_count(&ret->reuse[f->hop], &f->count[0]);
		return;
	}
	for (int slot = 0; slot < FT_PAIR_FORKS; slot++) {
		uint8_t fork = plan->hop[f->hop].fork[slot];

		if (fork < FT_MAX_HOPS)
			add_count(&ret->fanout[fork], &f->count[slot]);
	}
}

void ft_pair_fold(struct ft_pair_flow_row *flows, size_t nflows,
		  const struct ft_pair_edge_row *edges, size_t nedges,
		  const struct ft_pair_control *plan, uint64_t walk_ns, struct ft_pair_open *ret,
		  uint32_t *dead, size_t *ret_dead)
{
	size_t ndead = 0;

	memset(ret, 0, sizeof(*ret));
	if (nflows)
		qsort(flows, nflows, sizeof(*flows), by_id);
	for (size_t i = 0; i < nflows; i++)
		fold_flow(&flows[i].flow, plan, ret);
	for (size_t i = 0; i < nedges; i++) {
		const struct ft_pair_edge *e = &edges[i].edge;

		if (e->first_ns >= walk_ns || e->hop >= FT_MAX_HOPS)
			continue;
		if (!ft_pair_flow_named(flows, nflows, edges[i].key.a) ||
		    !ft_pair_flow_named(flows, nflows, edges[i].key.b)) {
			if (e->first_ns + SETTLED_NS <= walk_ns &&
			    e->last_ns + SETTLED_NS <= walk_ns)
				dead[ndead++] = i;
			continue;
		}
		ret->pairs++;
		if (e->first_ns + SETTLED_NS <= walk_ns)
			ret->edges[e->hop][ft_pair_pattern(e)]++;
	}
	*ret_dead = ndead;
}

/* --- byte signatures --- */

/* Client's bytes and server's bytes, whichever end saw them. */
static uint64_t up(const struct ft_pair_closed *c)
{
	return c->role == FT_PAIR_A ? c->read_bytes : c->written_bytes;
}

static uint64_t down(const struct ft_pair_closed *c)
{
	return c->role == FT_PAIR_A ? c->written_bytes : c->read_bytes;
}

static int compare(uint64_t x, uint64_t y)
{
	return x < y ? -1 : x > y;
}

static int by_signature(const void *a, const void *b)
{
	const struct ft_pair_closed *x = &((const struct ft_pair_closed_row *)a)->flow;
	const struct ft_pair_closed *y = &((const struct ft_pair_closed_row *)b)->flow;
	int c = compare(x->tgid, y->tgid);

	if (!c)
		c = compare(up(x), up(y));
	if (!c)
		c = compare(down(x), down(y));
	return c ? c : compare(x->closed_ns, y->closed_ns);
}

static int by_close(const void *a, const void *b)
{
	const struct ft_pair_closed_row *x = a, *y = b;

	return compare(x->flow.closed_ns, y->flow.closed_ns);
}

static bool alike(const struct ft_pair_closed *x, const struct ft_pair_closed *y,
		  uint64_t within_ns)
{
	uint64_t apart = x->closed_ns < y->closed_ns ? y->closed_ns - x->closed_ns
						     : x->closed_ns - y->closed_ns;

	return x->tgid == y->tgid && up(x) == up(y) && down(x) == down(y) && apart <= within_ns;
}

/* Rows that are like rows[i], around it: of its role, and of the other, one of which is
 * *ret_other. */
static void neighbours(const struct ft_pair_closed_row *rows, size_t n, size_t i,
		       uint64_t within_ns, unsigned int *ret_same, unsigned int *ret_others,
		       size_t *ret_other)
{
	unsigned int same = 0, others = 0;

	for (int step = -1; step <= 1; step += 2)
		for (size_t j = i + step; j < n && alike(&rows[i].flow, &rows[j].flow, within_ns);
		     j += step) {
			if (rows[j].flow.role == rows[i].flow.role) {
				same++;
				continue;
			}
			others++;
			*ret_other = j;
		}
	*ret_same = same;
	*ret_others = others;
}

static bool of_fork(const struct ft_pair_closed_row *a, const struct ft_pair_closed_row *b,
		    const struct ft_pair_control *plan)
{
	return plan->hop[b->flow.hop & (FT_MAX_HOPS - 1)].from == a->flow.hop;
}

/* One b: 1 matched, 0 no a, -1 ambiguous. */
static int match_within(const struct ft_pair_closed_row *rows, size_t n, size_t i,
			const struct ft_pair_control *plan, uint64_t within_ns, size_t *ret_a)
{
	unsigned int same, others;
	size_t back;

	neighbours(rows, n, i, within_ns, &same, &others, ret_a);
	if (!others)
		return 0;
	if (same || others > 1 || !of_fork(&rows[*ret_a], &rows[i], plan))
		return -1;
	neighbours(rows, n, *ret_a, within_ns, &same, &others, &back);
	return same || others > 1 ? -1 : 1;
}

/* Tunnels that carried the same may still have closed at different times. */
static int match_one(const struct ft_pair_closed_row *rows, size_t n, size_t i,
		     const struct ft_pair_control *plan, size_t *ret_a)
{
	int found = match_within(rows, n, i, plan, FT_PAIR_SIGNATURE_NS, ret_a);

	if (found < 0 && match_within(rows, n, i, plan, CLOSE_NS, ret_a) > 0)
		return 1;
	return found;
}

static void match_rows(const struct ft_pair_closed_row *rows, size_t n,
		       const struct ft_pair_control *plan, uint64_t from_ns, uint64_t until_ns,
		       struct ft_pair_signatures *sig, struct ft_pair_match *matches,
		       size_t *ret_matches)
{
	size_t nmatches = 0;

	for (size_t i = 0; i < n; i++) {
		const struct ft_pair_closed *b = &rows[i].flow;
		size_t a = 0;
		int found;

		if (b->role != FT_PAIR_B || b->hop >= FT_MAX_HOPS || b->closed_ns < from_ns ||
		    b->closed_ns >= until_ns)
			continue;
		found = match_one(rows, n, i, plan, &a);
		sig[b->hop].matched += found > 0;
		sig[b->hop].ambiguous += found < 0;
		sig[b->hop].unmatched += found == 0;
		if (found > 0 && matches)
			matches[nmatches++] = (struct ft_pair_match){
				.a = rows[a].id,
				.b = rows[i].id,
				.a_port = rows[a].flow.port,
				.b_port = b->port,
			};
	}
	if (ret_matches)
		*ret_matches = nmatches;
}

size_t ft_pair_match_closed(struct ft_pair_closed_row *rows, size_t n,
			    const struct ft_pair_control *plan, uint64_t from_ns, uint64_t until_ns,
			    struct ft_pair_signatures sig[FT_MAX_HOPS],
			    struct ft_pair_match *matches, size_t *ret_matches)
{
	size_t done = 0;

	if (n)
		qsort(rows, n, sizeof(*rows), by_signature);
	match_rows(rows, n, plan, from_ns, until_ns, sig, matches, ret_matches);
	if (n)
		qsort(rows, n, sizeof(*rows), by_close);
	/* An a may be matched by a b that closes two seconds later. */
	while (done < n && rows[done].flow.closed_ns + FT_PAIR_SIGNATURE_NS < until_ns)
		done++;
	return done;
}

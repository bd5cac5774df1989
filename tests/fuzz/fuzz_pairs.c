// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Inference over rows of any contents: each array is as long as it is said to be, and what is
 * concluded stays within what can be said. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "pair.h"

#define MAX_ROWS 48

static void *array(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

/* Times, ids and counters of few values, so that rows meet. */
static uint64_t few(struct fuzz_in *in)
{
	uint8_t choice = fuzz_number(in, 1);

	return choice & 0x80 ? fuzz_number(in, 8) : (uint64_t)choice * 500000000ULL;
}

static size_t rows(struct fuzz_in *in)
{
	return fuzz_number(in, 1) % MAX_ROWS;
}

static void read_plan(struct fuzz_in *in, struct ft_pair_control *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		uint8_t hop = fuzz_number(in, 1);

		ret->hop[i].from = hop;
		memset(ret->hop[i].fork, hop >> 1, sizeof(ret->hop[i].fork));
	}
}

static void check_verdict(const struct ft_pair_stats *now, const struct ft_pair_open *open,
			  const struct ft_pair_signatures *sig, uint32_t hop)
{
	static struct ft_pair_history history;
	struct ft_pair_evidence ended, window;
	struct ft_pair_past before = ft_pair_minute_ago(&history, 1, hop);
	struct ft_pair_verdict v;

	ft_pair_evidence_of(now, hop, &ended);
	window = ft_pair_window(&history, 1, hop, &ended, open);
	ft_pair_judge(now, &before, open, hop, &window, sig, &v);
	FUZZ_CHECK(v.class < FT_NPAIR_CLASSES && v.rule < FT_NPAIR_RULES, "class %u", v.class);
	FUZZ_CHECK(isnan(v.mean) || v.mean >= 0, "mean %g", v.mean);
	FUZZ_CHECK(!isinf(v.mean) && !isinf(v.mean_high) && !isinf(v.coverage), "infinite");
}

static void fold(struct fuzz_in *in, const struct ft_pair_control *plan)
{
	static struct ft_pair_open open;
	static struct ft_pair_stats now;
	static const struct ft_pair_signatures none;
	size_t nflows = rows(in), nedges = rows(in), ndead = 0;
	struct ft_pair_flow_row *flow = array(nflows, sizeof(*flow));
	struct ft_pair_edge_row *edge = array(nedges, sizeof(*edge));
	uint32_t *dead = array(nedges, sizeof(*dead));

	for (size_t i = 0; i < nflows; i++) {
		fuzz_bytes(in, flow[i].flow.count, fuzz_number(in, 1) % sizeof(flow[i].flow.count));
		flow[i].flow.id = few(in);
		flow[i].flow.hop = fuzz_number(in, 1);
		flow[i].flow.role = fuzz_number(in, 1);
		flow[i].flow.exchanges = fuzz_number(in, 1);
	}
	for (size_t i = 0; i < nedges; i++) {
		edge[i].key.a = few(in);
		edge[i].key.b = few(in);
		edge[i].edge.first_ns = few(in);
		edge[i].edge.last_ns = few(in);
		edge[i].edge.hop = fuzz_number(in, 1);
		fuzz_bytes(in, edge[i].edge.seen, sizeof(edge[i].edge.seen));
	}
	ft_pair_fold(flow, nflows, edge, nedges, plan, 60000000000ULL, &open, dead, &ndead);
	FUZZ_CHECK(ndead + open.pairs <= nedges, "%zu dead of %zu", ndead, nedges);
	for (size_t i = 0; i < ndead; i++)
		FUZZ_CHECK(dead[i] < nedges && edge[dead[i]].edge.hop < FT_MAX_HOPS &&
				   (!i || dead[i] > dead[i - 1]),
			   "edge %u", dead[i]);
	for (size_t i = 1; i < nflows; i++)
		FUZZ_CHECK(flow[i - 1].flow.id <= flow[i].flow.id, "not sorted");
	memset(&now, 0, sizeof(now));
	fuzz_bytes(in, &now, sizeof(now));
	for (uint32_t hop = 0; hop < FT_MAX_HOPS; hop += 9)
		check_verdict(&now, &open, &none, hop);
	free(flow);
	free(edge);
	free(dead);
}

static void match(struct fuzz_in *in, const struct ft_pair_control *plan)
{
	size_t n = rows(in), nmatches = 0, done;
	struct ft_pair_closed_row *row = array(n, sizeof(*row));
	struct ft_pair_match *found = array(n, sizeof(*found));
	struct ft_pair_signatures *sig = array(FT_MAX_HOPS, sizeof(*sig));
	uint64_t told = 0;

	for (size_t i = 0; i < n; i++) {
		row[i].id = i;
		row[i].flow.closed_ns = few(in);
		row[i].flow.read_bytes = fuzz_number(in, 1) & 3;
		row[i].flow.written_bytes = fuzz_number(in, 1) & 3;
		row[i].flow.hop = fuzz_number(in, 1);
		row[i].flow.role = fuzz_number(in, 1) & 3;
	}
	done = ft_pair_match_closed(row, n, plan, few(in), few(in), sig, found, &nmatches);
	FUZZ_CHECK(done <= n && nmatches <= n, "%zu and %zu of %zu", done, nmatches, n);
	for (int i = 0; i < FT_MAX_HOPS; i++)
		told += sig[i].matched + sig[i].ambiguous + sig[i].unmatched;
	FUZZ_CHECK(told <= n, "%llu of %zu", (unsigned long long)told, n);
	for (size_t i = 0; i < nmatches; i++)
		FUZZ_CHECK(found[i].a < n && found[i].b < n && found[i].a != found[i].b, "ids");
	free(row);
	free(found);
	free(sig);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ft_pair_control plan;
	struct fuzz_in in = {data, size};

	read_plan(&in, &plan);
	match(&in, &plan);
	fold(&in, &plan);
	return 0;
}

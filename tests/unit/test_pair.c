// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#include "pair.h"

/* The kernel's half, compiled here. */
#undef __always_inline
#define __always_inline inline
#define __noinline
__u32 rules_of(__u32 pattern);
#include "../../bpf/pair_rules.bpf.h"

#define SECOND 1000000000ULL

/* --- plan --- */

static struct ft_hop_def hop(const char *process, uint8_t side, int from)
{
	struct ft_hop_def d = {.side = side, .from = from};

	strcpy(d.process, process);
	return d;
}

static struct ft_rules no_rules;

Test(pair, a_fork_is_a_connecting_hop_of_the_process_that_accepts)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;

	def[0] = hop("queue", FT_ACCEPT, -1);
	def[1] = hop("queue", FT_CONNECT, 0);
	def[2] = hop("nginx", FT_CONNECT, 1); /* on behalf of a flow that this host connects */
	def[3] = hop("other", FT_CONNECT, 0); /* of another process */
	def[4] = hop("", FT_CONNECT, 0);      /* not known: it may be */
	cr_assert_eq(ft_pair_plan(def, 5, &no_rules, &plan, NULL), 2);
	cr_expect_eq(plan.hop[0].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[0].fork[0], 1);
	cr_expect_eq(plan.hop[0].fork[1], 4);
	cr_expect_eq(plan.hop[0].fork[2], FT_PAIR_NO_HOP);
	cr_expect_eq(plan.hop[1].role, FT_PAIR_B);
	cr_expect_eq(plan.hop[1].from, 0);
	cr_expect_eq(plan.hop[4].slot, 1);
	cr_expect_eq(plan.hop[2].role, FT_PAIR_NONE);
	cr_expect_eq(plan.hop[3].role, FT_PAIR_NONE);
}

Test(pair, forks_beyond_the_fourth_are_left_out_and_counted)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;
	unsigned int without;

	def[0] = hop("app", FT_ACCEPT, -1);
	for (int i = 1; i <= 6; i++)
		def[i] = hop("app", FT_CONNECT, 0);
	cr_expect_eq(ft_pair_plan(def, 7, &no_rules, &plan, &without), 4);
	cr_expect_eq(without, 2);
	cr_expect_eq(plan.hop[5].role, FT_PAIR_NONE);
}

Test(pair, the_port_filter_holds_the_ports_of_paired_hops_only)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;
	static struct ft_rules rules;

	def[0] = hop("", FT_ACCEPT, -1);
	def[1] = hop("", FT_CONNECT, 0);
	def[2] = hop("", FT_CONNECT, -1);
	rules.count = 3;
	rules.rule[0] = (struct ft_rule){.port_lo = 80, .port_hi = 81, .side = FT_ACCEPT};
	rules.rule[1] =
		(struct ft_rule){.port_lo = 65535, .port_hi = 65535, .side = FT_CONNECT, .hop = 1};
	rules.rule[2] =
		(struct ft_rule){.port_lo = 22, .port_hi = 22, .side = FT_CONNECT, .hop = 2};
	ft_pair_plan(def, 3, &rules, &plan, NULL);
	cr_expect_eq(plan.accept_port[80 / 32], 3U << 80 % 32);
	cr_expect_eq(plan.connect_port[65535 / 32], 1U << 31);
	cr_expect_eq(plan.connect_port[0], 0);
}

static unsigned int plan_of(const struct ft_hop_def *def, uint32_t n, struct ft_pair_control *ret)
{
	return ft_pair_plan(def, n, &no_rules, ret, NULL);
}

Test(pair, all_accept_hops_of_a_process_that_forks_are_looked_at)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;

	def[0] = hop("nginx", FT_ACCEPT, -1);
	def[1] = hop("nginx", FT_CONNECT, 0);
	def[2] =
		hop("nginx", FT_ACCEPT, -1); /* reads of it are not of a fork, but in their order */
	def[3] = hop("", FT_ACCEPT, -1);
	def[4] = hop("node", FT_ACCEPT, -1);
	def[5] = hop("nginx", FT_ACCEPT, -1);
	def[5].retired = 1;
	cr_assert_eq(plan_of(def, 6, &plan), 1);
	cr_expect_eq(plan.hop[0].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[2].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[2].fork[0], FT_PAIR_NO_HOP);
	for (int i = 3; i < 6; i++)
		cr_expect_eq(plan.hop[i].role, FT_PAIR_NONE, "%d", i);
	/* a `from` whose owner is not known has no siblings that are */
	memset(def[0].process, 0, sizeof(def[0].process));
	cr_assert_eq(plan_of(def, 6, &plan), 1);
	cr_expect_eq(plan.hop[0].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[2].role, FT_PAIR_NONE);
	cr_expect_eq(plan.hop[3].role, FT_PAIR_NONE);
}

Test(pair, a_discovered_hop_of_one_of_several_listeners_is_looked_at_without_a_from)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;

	def[0] = hop("nginx", FT_ACCEPT, -1);
	def[1] = hop("nginx", FT_ACCEPT, -1);
	def[2] = hop("nginx", FT_CONNECT, -1);
	def[2].discovered = 1;
	cr_assert_eq(plan_of(def, 3, &plan), 1);
	cr_expect_eq(plan.hop[0].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[1].role, FT_PAIR_A);
	cr_expect_eq(plan.hop[2].role, FT_PAIR_B);
	cr_expect_eq(plan.hop[2].from, FT_PAIR_NO_HOP);
	cr_expect_eq(plan.hop[0].fork[0], FT_PAIR_NO_HOP);
	def[2].from = 1; /* found out */
	cr_assert_eq(plan_of(def, 3, &plan), 1);
	cr_expect_eq(plan.hop[2].from, 1);
	cr_expect_eq(plan.hop[1].fork[0], 2);
	cr_expect_eq(plan.hop[0].role, FT_PAIR_A);
}

Test(pair, what_is_configured_or_of_one_listener_or_of_nobody_is_not_undecided)
{
	static const struct {
		const char *process;
		bool discovered, retired;
		int nhops;
	} cases[] = {
		{"nginx", false, false, 3}, /* configured without a from: as its user wants it */
		{"nginx", true, true, 3},   {"", true, false, 3},
		{"node", true, false, 3}, /* listens nowhere */
		{"nginx", true, false, 2},
	};
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_pair_control plan;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		def[0] = hop(cases[i].process, FT_CONNECT, -1);
		def[0].discovered = cases[i].discovered;
		def[0].retired = cases[i].retired;
		def[1] = hop("nginx", FT_ACCEPT, -1);
		def[2] = hop("nginx", FT_ACCEPT, -1);
		cr_expect_eq(plan_of(def, cases[i].nhops, &plan), 0, "%zu", i);
		cr_expect_eq(plan.hop[0].role, FT_PAIR_NONE, "%zu", i);
		cr_expect_eq(plan.hop[1].role, FT_PAIR_NONE, "%zu", i);
	}
}

/* --- evidence --- */

Test(pair, an_edge_needs_both_ways_of_a_rule_or_a_way_back_that_was_alone)
{
	cr_expect(
		!ft_pair_holds(FT_PAIR_FW_LAST | FT_PAIR_FW_LATCH | FT_PAIR_FW_FIFO, FT_PAIR_LAST));
	cr_expect(ft_pair_holds(FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, FT_PAIR_LAST));
	/* rows of pinned maps may be anybody's */
	cr_expect(!ft_pair_holds(FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, FT_NPAIR_RULES));
	cr_expect(
		!ft_pair_holds(FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, (enum ft_pair_rule)0x40000000));
	cr_expect(!ft_pair_holds(FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, FT_PAIR_LATCH));
	cr_expect(!ft_pair_holds(FT_PAIR_FW_FIFO | FT_PAIR_REV_LAST, FT_PAIR_FIFO));
	cr_expect(ft_pair_holds(FT_PAIR_FW_FIFO | FT_PAIR_REV_FIFO, FT_PAIR_FIFO));
	/* alone: with any way forward for all rules; without only where the way back is believed */
	cr_expect(ft_pair_holds(FT_PAIR_FW_FIFO | FT_PAIR_REV_ALONE, FT_PAIR_LAST));
	cr_expect(!ft_pair_holds(FT_PAIR_REV_ALONE, FT_PAIR_LAST));
	cr_expect(ft_pair_holds(FT_PAIR_REV_ALONE, FT_PAIR_BACK));
	cr_expect(!ft_pair_holds(FT_PAIR_REV_LAST, FT_PAIR_BACK));
}

Test(pair, kernel_and_user_space_make_pairs_of_the_same_patterns)
{
	for (unsigned int pattern = 0; pattern < FT_NPAIR_PATTERNS; pattern++)
		for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
			cr_expect_eq(rules_of(pattern) >> rule & 1, ft_pair_holds(pattern, rule),
				     "pattern %u rule %d", pattern, rule);
}

Test(pair, the_pattern_of_an_edge_has_a_bit_per_evidence)
{
	struct ft_pair_edge e = {.seen = {1, 0, 0, 1, 0, 1}};

	cr_expect_eq(ft_pair_pattern(&e), FT_PAIR_FW_LAST | FT_PAIR_REV_LAST | FT_PAIR_REV_ALONE);
}

/* --- verdict --- */

static struct ft_pair_stats stats;
static struct ft_pair_open nothing_open;
static struct ft_pair_past nothing_before;
static struct ft_pair_signatures no_signatures;

static struct ft_pair_verdict judge(const struct ft_pair_evidence *window)
{
	struct ft_pair_verdict v;

	ft_pair_judge(&stats, &nothing_before, &nothing_open, 1, window, &no_signatures, &v);
	return v;
}

Test(pair, the_rule_whose_two_ways_agree_best_is_believed)
{
	struct ft_pair_evidence e = {0};
	struct ft_pair_verdict v;

	ft_pair_evidence_add(&e, FT_PAIR_FW_LATCH | FT_PAIR_REV_LAST, 97);
	ft_pair_evidence_add(&e, FT_PAIR_FW_LAST | FT_PAIR_FW_LATCH, 3);
	ft_pair_evidence_add(&e, FT_PAIR_FW_LAST, 200);
	v = judge(&e);
	cr_expect_eq(v.rule, FT_PAIR_LATCH);
	cr_expect_float_eq(v.agreement, 0.97, 1e-9); /* 97 both, of 100 forward and 97 back */
	cr_expect_eq(v.class, FT_PAIR_EXACT);
}

Test(pair, what_agrees_less_is_an_interval_and_then_nothing)
{
	struct ft_pair_evidence e = {0};
	struct ft_pair_verdict v;

	stats.fanout.flows[FT_PAIR_FIFO][2] = 10;
	stats.fanout.sum[FT_PAIR_FIFO] = 20;
	stats.fanout.any_sum = 35;
	ft_pair_evidence_add(&e, FT_PAIR_FW_FIFO | FT_PAIR_REV_FIFO, 80);
	ft_pair_evidence_add(&e, FT_PAIR_FW_FIFO, 20);
	v = judge(&e);
	cr_expect_eq(v.class, FT_PAIR_INTERVAL);
	cr_expect_float_eq(v.mean_low, 2.0, 1e-9);
	cr_expect_float_eq(v.mean_high, 3.5, 1e-9);
	ft_pair_evidence_add(&e, FT_PAIR_FW_FIFO, 100);
	cr_expect_eq(judge(&e).class, FT_PAIR_NOT);
}

Test(pair, a_way_back_without_doubt_needs_no_way_forward)
{
	struct ft_pair_evidence e = {
		.back = 1000, .back_ambiguous = 2, .handed = 999, .unhanded = 1};
	struct ft_pair_verdict v;

	ft_pair_evidence_add(&e, FT_PAIR_REV_LAST | FT_PAIR_REV_ALONE, 50);
	v = judge(&e);
	cr_expect_eq(v.rule, FT_PAIR_BACK);
	cr_expect_eq(v.class, FT_PAIR_EXACT);
	cr_expect_float_eq(v.confidence, 0.997, 1e-9); /* 1 - 2/1000 - 1/1000 */
	e.unhanded = 30;
	cr_expect_eq(judge(&e).class, FT_PAIR_NOT);
}

Test(pair, what_is_handed_to_other_hops_is_no_evidence_for_the_forks)
{
	static struct ft_pair_stats s;
	struct ft_pair_evidence e;

	s.handed[0] = 90;
	s.handed[2] = 5;
	s.unhanded = 1;
	ft_pair_evidence_of(&s, 0, &e);
	cr_expect_eq(e.handed, 90);
	cr_expect_eq(e.unhanded, 1);
	ft_pair_evidence_of(&s, FT_PAIR_NO_HOP, &e);
	cr_expect_eq(e.handed, 95);
}

Test(pair, nothing_is_said_of_nothing)
{
	struct ft_pair_evidence e = {0};
	struct ft_pair_verdict v = judge(&e);

	cr_expect_eq(v.class, FT_PAIR_UNKNOWN);
	cr_expect(isnan(v.confidence));
	cr_expect(isnan(v.coverage));
	cr_expect(isnan(v.mean));
	e.sends = 100; /* b was written, and nobody had read an a */
	cr_expect_eq(judge(&e).class, FT_PAIR_NOT);
}

Test(pair, byte_signatures_speak_where_threads_do_not)
{
	struct ft_pair_evidence e = {.sends = 100};
	struct ft_pair_signatures s = {.matched = 95, .ambiguous = 4, .unmatched = 1};
	struct ft_pair_verdict v;

	ft_pair_judge(&stats, &nothing_before, &nothing_open, 1, &e, &s, &v);
	cr_expect_eq(v.class, FT_PAIR_SIGNATURE);
	cr_expect_float_eq(v.confidence, 0.95, 1e-9);
	cr_expect_float_eq(v.mean, 1, 1e-9);
	s.unmatched = 100;
	ft_pair_judge(&stats, &nothing_before, &nothing_open, 1, &e, &s, &v);
	cr_expect_eq(v.class, FT_PAIR_NOT);
}

static struct ft_pair_stats no_stats[FT_MAX_HOPS];

Test(pair, the_window_is_the_shortest_that_is_long_and_rich_enough)
{
	static struct ft_pair_history h;
	static struct ft_pair_evidence ended[FT_MAX_HOPS];
	struct ft_pair_evidence w;

	/* The program changed: 1000 edges by one rule, then 100 by another. */
	ft_pair_evidence_add(&ended[1], FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, 1000);
	ft_pair_history_add(&h, 100 * SECOND, ended, no_stats);
	ft_pair_history_add(&h, 101 * SECOND, ended, no_stats); /* too soon: ignored */
	cr_expect_eq(h.count, 1);
	ft_pair_evidence_add(&ended[1], FT_PAIR_FW_FIFO | FT_PAIR_REV_FIFO, 100);
	w = ft_pair_window(&h, 109 * SECOND, 1, &ended[1], &nothing_open);
	cr_expect_eq(w.edges, 1100, "9 s are no window yet");
	w = ft_pair_window(&h, 110 * SECOND, 1, &ended[1], &nothing_open);
	cr_expect_eq(w.edges, 100);
	cr_expect_eq(w.both[FT_PAIR_LAST], 0);
	cr_expect_eq(w.both[FT_PAIR_FIFO], 100);
}

/* Hop 1 has closed so many a's, each of which had so many b's by LAST, and one more by any rule. */
static void close_flows(struct ft_pair_stats *s, unsigned int flows, unsigned int partners)
{
	s->fanout.flows[FT_PAIR_LAST][partners] += flows;
	s->fanout.sum[FT_PAIR_LAST] += (uint64_t)flows * partners;
	s->fanout.any_sum += (uint64_t)flows * (partners + 1);
	if (s->fanout.max[FT_PAIR_LAST] < partners)
		s->fanout.max[FT_PAIR_LAST] = partners;
}

Test(pair, recent_are_the_open_flows_and_those_that_closed_in_the_last_minute)
{
	static struct ft_pair_history h;
	static struct ft_pair_evidence ended[FT_MAX_HOPS];
	static struct ft_pair_stats s[FT_MAX_HOPS];
	static struct ft_pair_open open;
	struct ft_pair_evidence e = {0};
	struct ft_pair_past before;
	struct ft_pair_verdict v;

	/* A week of 1:1, and then, within a minute, 10 closed with 4 and 5 open with 6. */
	ft_pair_evidence_add(&e, FT_PAIR_FW_LAST | FT_PAIR_REV_LAST, 100);
	close_flows(&s[1], 100000, 1);
	ft_pair_history_add(&h, 100 * SECOND, ended, s);
	close_flows(&s[1], 10, 4);
	open.fanout[1].flows[FT_PAIR_LAST][6] = 5;
	open.fanout[1].sum[FT_PAIR_LAST] = open.fanout[1].any_sum = 30;
	open.fanout[1].max[FT_PAIR_LAST] = 6;
	ft_pair_history_add(&h, 130 * SECOND, ended, s);
	before = ft_pair_minute_ago(&h, 160 * SECOND, 1);
	cr_expect_eq(before.flows, 100000);
	ft_pair_judge(&s[1], &before, &open, 1, &e, &no_signatures, &v);
	cr_expect_eq(v.class, FT_PAIR_EXACT);
	cr_expect_eq(v.recent.flows, 15);
	cr_expect_eq(v.recent.partners, 70); /* 10 * 4 + 5 * 6 */
	cr_expect_eq(v.recent.most, 80);     /* 10 * 5 + 30 */
	cr_expect_eq(v.closed.flows, 100010);
	cr_expect_eq(v.closed.partners, 100040);
	cr_expect_eq(v.open.flows, 5);
	cr_expect_eq(v.open.partners, 30);
	cr_expect_eq(v.flows, 100015);
	cr_expect_eq(v.closed_max, 4);
	cr_expect_eq(v.open_max, 6);
	cr_expect_eq(v.max, 6);
	cr_expect_eq(v.closed_fanout[4], 10);
	cr_expect_eq(v.open_fanout[6], 5);
}

Test(pair, a_minute_ago_is_the_newest_row_of_that_age_and_nothing_before_the_first)
{
	static struct ft_pair_history h;
	static struct ft_pair_evidence ended[FT_MAX_HOPS];
	static struct ft_pair_stats s[FT_MAX_HOPS];

	for (unsigned int i = 0; i < 2 * FT_PAIR_HISTORY;
	     i++) { /* one closed flow each, 2 s apart */
		close_flows(&s[1], 1, 1);
		ft_pair_history_add(&h, (100 + 2 * i) * SECOND, ended, s);
	}
	/* 226 s is the newest row, of 64 flows; 166 s had 34 */
	cr_expect_eq(ft_pair_minute_ago(&h, 226 * SECOND, 1).flows, 34);
	cr_expect_eq(ft_pair_minute_ago(&h, 227 * SECOND, 1).flows, 34);
	cr_expect_eq(ft_pair_minute_ago(&h, 228 * SECOND, 1).flows, 35);
	cr_expect_eq(ft_pair_minute_ago(&h, 228 * SECOND, 2).flows, 0, "another hop");
	cr_expect_eq(ft_pair_minute_ago(&h, 1000 * SECOND, 1).flows, 64, "nobody looked since");
	h.count = 1;
	h.mono_ns[0] = 100 * SECOND;
	cr_expect_eq(ft_pair_minute_ago(&h, 159 * SECOND, 1).flows, 0, "all is younger");
}

/* --- walk --- */

static struct ft_pair_control plan_of_two(void)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	struct ft_pair_control plan;

	def[0] = hop("", FT_ACCEPT, -1);
	def[1] = hop("", FT_CONNECT, 0);
	ft_pair_plan(def, 2, &no_rules, &plan, NULL);
	return plan;
}

static struct ft_pair_edge_row edge(uint64_t a, uint64_t b, uint64_t first_ns)
{
	struct ft_pair_edge_row e = {
		.key = {a, b},
		.edge = {.first_ns = first_ns, .last_ns = first_ns, .hop = 1, .seen = {1}},
	};

	return e;
}

Test(pair, a_walk_counts_open_flows_and_finds_edges_that_lost_one)
{
	static struct ft_pair_open open;
	struct ft_pair_control plan = plan_of_two();
	struct ft_pair_flow_row flows[] = {
		{.flow = {.id = 20,
			  .hop = 1,
			  .role = FT_PAIR_B,
			  .exchanges = 1,
			  .count[0].distinct = {1, 1, 1, 1}}},
		{.flow = {.id = 10,
			  .hop = 0,
			  .role = FT_PAIR_A,
			  .exchanges = 5,
			  .count[0] = {.distinct = {3, 2, 2, 40}, .any = 50}}},
		{.flow = {.id = 11, .hop = 0, .role = FT_PAIR_A}}, /* silent: in no mean */
	};
	struct ft_pair_edge_row edges[] = {
		edge(10, 20, 1 * SECOND),
		edge(10, 20, 9 * SECOND + SECOND / 2), /* its answer may still come */
		edge(10, 21, 1 * SECOND),	       /* 21 has closed */
		edge(12, 20, 9 * SECOND + SECOND / 2), /* closed just now: perhaps not passed on */
		edge(13, 22, 11 * SECOND),	       /* opened during the walk */
	};
	uint32_t dead[5];
	size_t ndead;

	ft_pair_fold(flows, 3, edges, 5, &plan, 10 * SECOND, &open, dead, &ndead);
	cr_assert_eq(ndead, 1);
	cr_expect_eq(dead[0], 2);
	cr_expect_eq(open.pairs, 2);
	cr_expect_eq(open.edges[1][FT_PAIR_FW_LAST], 1);
	cr_expect_eq(open.fanout[1].flows[FT_PAIR_LAST][3], 1);
	cr_expect_eq(open.fanout[1].flows[FT_PAIR_BACK][11], 1, "40 is in 33..64");
	cr_expect_eq(open.fanout[1].sum[FT_PAIR_LAST], 3);
	cr_expect_eq(open.fanout[1].any_sum, 50);
	cr_expect_eq(open.reuse[1].flows[FT_PAIR_LAST][1], 1);
	cr_expect_not_null(ft_pair_flow_named(flows, 3, 11));
	cr_expect_null(ft_pair_flow_named(flows, 3, 12));
}

/* --- byte signatures --- */

static struct ft_pair_closed_row row(uint64_t id, int role, uint64_t up, uint64_t down, uint64_t ms)
{
	struct ft_pair_closed_row r = {
		.id = id,
		.flow = {.closed_ns = ms * 1000000, .role = role, .hop = role == FT_PAIR_B},
	};

	r.flow.read_bytes = role == FT_PAIR_A ? up : down;
	r.flow.written_bytes = role == FT_PAIR_A ? down : up;
	return r;
}

Test(pair, what_one_socket_read_the_other_wrote)
{
	static struct ft_pair_signatures sig[FT_MAX_HOPS];
	struct ft_pair_control plan = plan_of_two();
	struct ft_pair_closed_row rows[] = {
		row(1, FT_PAIR_A, 100, 2000, 5000),
		row(2, FT_PAIR_B, 100, 2000, 5001),
		row(3, FT_PAIR_A, 200, 2000, 5000),
		row(4, FT_PAIR_B, 200, 2001, 5000),
	};
	struct ft_pair_match m[4];
	size_t n;

	ft_pair_match_closed(rows, 4, &plan, 0, 10 * SECOND, sig, m, &n);
	cr_assert_eq(n, 1);
	cr_expect_eq(m[0].a, 1);
	cr_expect_eq(m[0].b, 2);
	cr_expect_eq(sig[1].matched, 1);
	cr_expect_eq(sig[1].unmatched, 1);
}

Test(pair, like_tunnels_are_told_apart_by_when_they_closed_or_not_at_all)
{
	static struct ft_pair_signatures sig[FT_MAX_HOPS];
	struct ft_pair_control plan = plan_of_two();
	struct ft_pair_closed_row rows[] = {
		row(1, FT_PAIR_A, 9, 9, 1000), row(2, FT_PAIR_B, 9, 9, 1001), /* 500 ms apart */
		row(3, FT_PAIR_A, 9, 9, 1500), row(4, FT_PAIR_B, 9, 9, 1501),
		row(5, FT_PAIR_A, 7, 7, 1000), row(6, FT_PAIR_B, 7, 7, 1001), /* at once */
		row(7, FT_PAIR_A, 7, 7, 1002), row(8, FT_PAIR_B, 7, 7, 1003),
	};

	ft_pair_match_closed(rows, 8, &plan, 0, 10 * SECOND, sig, NULL, NULL);
	cr_expect_eq(sig[1].matched, 2);
	cr_expect_eq(sig[1].ambiguous, 2);
}

Test(pair, closes_are_judged_once_and_an_a_waits_for_its_b)
{
	static struct ft_pair_signatures sig[FT_MAX_HOPS];
	struct ft_pair_control plan = plan_of_two();
	struct ft_pair_closed_row rows[] = {
		row(1, FT_PAIR_A, 5, 5, 1000),
		row(2, FT_PAIR_B, 5, 5, 2500),
		row(3, FT_PAIR_A, 6, 6, 500),
		row(4, FT_PAIR_B, 6, 6, 600),
	};
	size_t done = ft_pair_match_closed(rows, 4, &plan, 0, 2 * SECOND, sig, NULL, NULL);

	cr_expect_eq(sig[1].matched, 1, "4 only: 2 closed after the end");
	cr_expect_eq(done, 0, "2 may still need what closed since 0");
	done = ft_pair_match_closed(rows, 4, &plan, 2 * SECOND, 4 * SECOND, sig, NULL, NULL);
	cr_expect_eq(sig[1].matched, 2);
	cr_expect_eq(done, 3, "what closed before 2 s: 1, 3 and 4");
}

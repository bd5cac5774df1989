/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What counters mean: expectations are computed by hand beside them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "golden.h"
#include "model.h"

#define S 1000000000ULL

static struct ft_snapshot snap;
static struct ft_history hist;
static struct ft_report rep;

/* Hops 0..n-1, a chain; counters made at second 0. */
static void chain(unsigned int n)
{
	memset(&snap, 0, sizeof(snap));
	memset(&hist, 0, sizeof(hist));
	snap.nhops = n;
	for (unsigned int i = 0; i < n; i++) {
		snprintf(snap.def[i].name, FT_NAME_LEN, "h%u", i);
		snap.def[i].from = (int)i - 1;
		snap.def[i].side = i ? FT_CONNECT : FT_ACCEPT;
	}
}

/* The snapshot at `second`, in which hop i has opened[i] and closed as many but active[i]. */
static void at(uint64_t second, uint64_t opened0, uint64_t active0, uint64_t opened1,
	       uint64_t active1)
{
	snap.mono_ns = second * S;
	snap.real_ns = (1000000 + second) * S;
	snap.stats[0].opened = opened0;
	snap.stats[0].closed[FT_CLOSED_LOCAL] = opened0 - active0;
	snap.stats[1].opened = opened1;
	snap.stats[1].closed[FT_CLOSED_LOCAL] = opened1 - active1;
}

static void add(void)
{
	ft_history_add(&hist, &snap);
}

static void build(void)
{
	ft_model_build(&snap, &hist, &rep);
}

/* --- history --- */

Test(model, history_integrates_active_by_trapezoids)
{
	chain(2);
	at(10, 4, 4, 0, 0);
	add();
	at(12, 10, 10, 6, 6);
	add();
	at(15, 10, 0, 6, 6);
	add();
	cr_assert_eq(hist.count, 3);
	cr_assert_eq(hist.row[0].hop[0].active_ns, 0, "an integral begins at the first row");
	/* (4 + 10) / 2 flows * 2 s; then (10 + 0) / 2 * 3 s more */
	cr_assert_eq(hist.row[1].hop[0].active_ns, 14 * S);
	cr_assert_eq(hist.row[2].hop[0].active_ns, 29 * S);
	/* (0 + 6) / 2 * 2 s; then 6 * 3 s more */
	cr_assert_eq(hist.row[1].hop[1].active_ns, 6 * S);
	cr_assert_eq(hist.row[2].hop[1].active_ns, 24 * S);
	cr_assert_eq(hist.row[2].hop[0].opened, 10);
	cr_assert_eq(hist.row[2].hop[1].opened, 6);
}

Test(model, a_loaded_row_is_continued_with_the_active_of_now)
{
	chain(2);
	hist.count = 1;
	hist.row[0] = (struct ft_sample){.mono_ns = 10 * S, .hop = {{.active_ns = 100 * S}}};
	at(12, 7, 7, 0, 0);
	add();
	/* what was active at 10 s is not known: 7 flows for 2 s */
	cr_assert_eq(hist.row[1].hop[0].active_ns, 114 * S);
}

Test(model, a_row_that_is_not_newer_is_ignored)
{
	chain(2);
	at(10, 4, 4, 0, 0);
	add();
	at(10, 9, 9, 0, 0);
	add();
	at(9, 9, 9, 0, 0);
	add();
	cr_assert_eq(hist.count, 1);
	cr_assert_eq(hist.row[0].hop[0].opened, 4);
}

Test(model, a_full_history_forgets_the_oldest)
{
	chain(2);
	for (unsigned int i = 0; i < FT_HISTORY + 2; i++) {
		at(i + 1, i, 0, 0, 0);
		add();
	}
	cr_assert_eq(hist.count, FT_HISTORY);
	cr_assert_eq(hist.row[0].hop[0].opened, 2, "0 and 1 are gone");
	cr_assert_eq(hist.row[FT_HISTORY - 1].hop[0].opened, FT_HISTORY + 1);
}

/* --- what pairing and the ends of flows tell, by window --- */

/* Hop 1 is of pairing since `since`: at `second` it has so much. */
static void used_at(uint64_t second, uint64_t since, uint64_t opened, uint64_t exchanges,
		    uint64_t one_shot)
{
	at(second, 0, 0, opened, 0);
	snap.pairs[1].role = FT_PAIR_B;
	snap.pairs[1].since_ns = since * S;
	snap.pairs[1].exchanges = exchanges;
	snap.stats[1].one_shot = one_shot;
	snap.pairs[1].wait[3] = opened;
	snap.pairs[1].wait_sum_ns = opened * S / 2;
}

Test(model, a_change_shows_within_its_window_whatever_the_counters_were_before)
{
	chain(2);
	/* 1000 connections that were used 100 times each; then, in ten seconds, 50 that were not */
	used_at(100, 10, 1000, 100000, 0);
	add();
	used_at(110, 10, 1050, 100050, 50);
	build();
	cr_expect_float_eq(rep.hop[1].exchange_rate[FT_10S], 5, 1e-9);
	cr_expect_float_eq(rep.hop[1].flows_per_exchange[FT_10S], 1, 1e-9);
	cr_expect_float_eq(rep.hop[1].one_shot_in[FT_10S], 1, 1e-9);
	cr_expect_float_eq(rep.hop[1].wait_seconds[FT_10S], 0.5, 1e-9);
	cr_expect_float_eq(ft_report_recent(&rep, rep.hop[1].one_shot_in, 0.3), 1, 1e-9);
	cr_expect_float_eq(ft_report_wait(&rep, &rep.hop[1]), 0.5, 1e-9);
	cr_expect(isnan(rep.hop[1].exchange_rate[FT_1M]), "nobody knows so far back");
	cr_expect(isnan(rep.hop[0].exchange_rate[FT_10S]), "not paired");
	cr_expect(isnan(rep.hop[0].wait_seconds[FT_10S]));
	cr_expect(isnan(rep.hop[0].one_shot_in[FT_10S]), "none closed");
}

Test(model, what_pairing_counted_is_no_difference_to_an_earlier_pairing)
{
	chain(2);
	used_at(100, 10, 1000, 100000, 0);
	add();
	used_at(110, 105, 1050, 70, 50); /* begun anew at 105 s */
	build();
	cr_expect(isnan(rep.hop[1].exchange_rate[FT_10S]));
	cr_expect(isnan(rep.hop[1].flows_per_exchange[FT_10S]));
	cr_expect(isnan(rep.hop[1].wait_seconds[FT_10S]));
	cr_expect_float_eq(rep.hop[1].rate[FT_10S], 5, 1e-9);
}

Test(model, what_is_known_since_start_stands_in_only_at_the_beginning)
{
	const double unknown[FT_NWINDOWS] = {NAN, NAN, NAN, NAN};
	const double ten[FT_NWINDOWS] = {1, 10, NAN, NAN}, minute[FT_NWINDOWS] = {1, 10, 60, 300};

	chain(1);
	at(5, 0, 0, 0, 0);
	build();
	cr_expect_float_eq(ft_report_recent(&rep, unknown, 0.3), 0.3, 1e-9);
	at(11, 0, 0, 0, 0);
	build();
	cr_expect(isnan(ft_report_recent(&rep, unknown, 0.3)));
	cr_expect_float_eq(ft_report_recent(&rep, ten, 0.3), 10, 1e-9);
	cr_expect_float_eq(ft_report_recent(&rep, minute, 0.3), 60, 1e-9);
}

/* --- ratios --- */

Test(model, stock_is_active_by_active_and_absent_without_a_denominator)
{
	chain(2);
	at(1, 5, 5, 15, 15);
	build();
	cr_assert_eq(rep.nedges, 1);
	cr_assert_eq(rep.edge[0].from, 0);
	cr_assert_eq(rep.edge[0].to, 1);
	cr_assert_float_eq(rep.edge[0].stock, 3.0, 0);
	at(1, 5, 0, 15, 15);
	build();
	cr_assert(isnan(rep.edge[0].stock), "15 / 0 is neither 0 nor infinity");
	at(1, 0, 0, 15, 15);
	build();
	cr_assert(isnan(rep.edge[0].flow_start));
}

Test(model, windows_compare_with_the_row_of_their_age)
{
	chain(2);
	at(100, 100, 10, 100, 10);
	add();
	at(340, 200, 10, 260, 10);
	add();
	at(390, 250, 10, 360, 10);
	add();
	at(399, 260, 10, 390, 10);
	add();
	at(400, 262, 10, 400, 10);
	build();
	/* opened since the row, by its age: 1 s, 10 s, 60 s, 300 s */
	cr_assert_float_eq(rep.hop[0].rate[FT_1S], 2.0, 0);	 /* (262 - 260) / 1 */
	cr_assert_float_eq(rep.hop[0].rate[FT_10S], 1.2, 1e-12); /* (262 - 250) / 10 */
	cr_assert_float_eq(rep.hop[0].rate[FT_1M], 62 / 60.0, 0);
	cr_assert_float_eq(rep.hop[0].rate[FT_5M], 162 / 300.0, 0);
	cr_assert_float_eq(rep.edge[0].flow[FT_1S], 5.0, 0);	     /* 10 / 2 */
	cr_assert_float_eq(rep.edge[0].flow[FT_10S], 40 / 12.0, 0);  /* 400 - 360 */
	cr_assert_float_eq(rep.edge[0].flow[FT_1M], 140 / 62.0, 0);  /* 400 - 260 */
	cr_assert_float_eq(rep.edge[0].flow[FT_5M], 300 / 162.0, 0); /* 400 - 100 */
	cr_assert_float_eq(rep.edge[0].flow_start, 400 / 262.0, 0);
	cr_assert_eq(rep.edge[0].opened_to[FT_1M], 140);
	cr_assert_eq(rep.edge[0].opened_from[FT_1M], 62);
	/* 140 opened behind 10 flows in 60 s */
	cr_assert_float_eq(rep.edge[0].renewal[FT_1M], 140 / 600.0, 1e-12);
}

Test(model, renewal_divides_by_the_mean_active_of_the_window)
{
	chain(2);
	at(100, 4, 4, 0, 0);
	add();
	at(105, 8, 8, 10, 0);
	add();
	at(110, 8, 0, 20, 0);
	build();
	/* (4 + 8) / 2 * 5 s + (8 + 0) / 2 * 5 s = 50 flow seconds; 20 were opened */
	cr_assert_float_eq(rep.edge[0].renewal[FT_10S], 0.4, 1e-12);
	/* now none is active, which says nothing of the window */
	cr_assert(isnan(rep.edge[0].stock));
}

Test(model, renewal_is_absent_when_nothing_was_active)
{
	chain(2);
	at(100, 0, 0, 0, 0);
	add();
	at(110, 0, 0, 20, 0);
	build();
	cr_assert(isnan(rep.edge[0].renewal[FT_10S]));
	cr_assert(isnan(rep.edge[0].flow[FT_10S]), "from opened none in the window");
	cr_assert_float_eq(rep.hop[1].rate[FT_10S], 2.0, 0);
}

Test(model, a_hop_that_appeared_in_the_window_counts_from_zero)
{
	chain(1);
	at(100, 7, 1, 0, 0);
	add();
	chain(2);
	memset(&hist, 0, sizeof(hist));
	hist.count = 1;
	hist.row[0] = (struct ft_sample){.mono_ns = 100 * S, .hop = {{.opened = 7}}};
	at(110, 17, 1, 30, 1);
	build();
	cr_assert_float_eq(rep.hop[1].rate[FT_10S], 3.0, 0);  /* 30 / 10 s */
	cr_assert_float_eq(rep.edge[0].flow[FT_10S], 3.0, 0); /* 30 / (17 - 7) */
}

/* Is the 10 s window covered by a row of this age? */
static bool covered(uint64_t age_ms)
{
	chain(2);
	at(100, 10, 1, 10, 1);
	add();
	snap.mono_ns += age_ms * (S / 1000);
	build();
	return !isnan(rep.hop[0].rate[FT_10S]);
}

Test(model, a_window_is_absent_when_too_young_or_after_a_gap)
{
	/* 0.8 * 10 s; 1.5 * 10 s + 1 s */
	cr_assert_not(covered(7999));
	cr_assert(covered(8000));
	cr_assert(covered(16000));
	cr_assert_not(covered(16001));
	cr_assert_not(covered(0));
}

Test(model, the_nearest_row_wins_and_rates_use_its_real_age)
{
	chain(2);
	at(100, 0, 0, 0, 0);
	add();
	at(103, 6, 0, 0, 0);
	add();
	at(104, 8, 0, 0, 0);
	add();
	at(114, 38, 0, 0, 0);
	build();
	/* ages 14, 11 and 10 */
	cr_assert_float_eq(rep.hop[0].rate[FT_10S], 3.0, 0); /* (38 - 8) / 10 */
	at(112, 38, 0, 0, 0);
	build();
	/* ages 12, 9 and 8: 9 is nearest */
	cr_assert_float_eq(rep.hop[0].rate[FT_10S], 32 / 9.0, 0);
}

Test(model, rows_from_before_the_counters_were_made_are_not_compared)
{
	chain(2);
	at(100, 500, 0, 0, 0);
	add();
	at(110, 5, 0, 0, 0);
	snap.start_ns = 105 * S;
	build();
	cr_assert(isnan(rep.hop[0].rate[FT_10S]));
}

Test(model, counters_that_went_back_are_no_negative_rate)
{
	chain(2);
	at(100, 500, 0, 0, 0);
	add();
	at(110, 5, 0, 0, 0);
	build();
	cr_assert_float_eq(rep.hop[0].rate[FT_10S], 0, 0);
}

/* --- the header and the hops --- */

Test(model, table_entries_are_the_flows_that_found_a_place)
{
	chain(1);
	snap.stats[0] = (struct ft_hop_stats){.opened = 20, .preexisting = 3, .closed = {8}};
	snap.stats[0].transition[FT_CLOSE][FT_SYN_SENT] = 22; /* 2 are still connecting */
	snap.stats[0].transition[FT_SYN_SENT][FT_ESTABLISHED] = 20;
	snap.totals = (struct ft_totals){0};
	snap.totals.loss[FT_LOSS_TABLE_FULL] = 6;
	snap.totals.loss[FT_LOSS_UNMATCHED_CLOSE] = 2; /* 4 without an entry are open */
	build();
	cr_assert_eq(rep.table_entries, 13); /* 20 + 3 - 8 + 2 - 4 */
}

Test(model, the_header_is_the_snapshot_in_seconds)
{
	chain(0);
	snap.mono_ns = 150 * S + S / 2;
	snap.start_ns = 100 * S;
	snap.real_ns = 2000 * S;
	snap.totals = (struct ft_totals){.loss = {1, 2, 3}};
	snap.totals.rescued = 8;
	build();
	cr_assert_float_eq(rep.uptime_seconds, 50.5, 0);
	cr_assert_float_eq(rep.start_time_seconds, 1949.5, 0); /* 2000 - 50.5 */
	cr_assert_eq(rep.loss_total, 6);
	cr_assert_eq(rep.table_entries, 0, "never negative");
	cr_assert_eq(rep.rescued, 8);
	cr_assert_eq(rep.nhops + rep.nedges, 0);
	snap.start_ns = 200 * S;
	build();
	cr_assert_float_eq(rep.uptime_seconds, 0, 0);
}

Test(model, a_hop_says_its_counters_states_and_lifetimes)
{
	const struct ft_report_hop *h = &rep.hop[1];

	golden_report("storm", &rep);
	cr_assert_str_eq(h->name, "queue");
	cr_assert_str_eq(h->port, "127.0.0.1:8080");
	cr_assert_str_eq(h->process, "connqueue");
	cr_assert_eq(h->limit, 15);
	cr_assert_eq(h->opened, 3000);
	cr_assert_eq(h->active, 45);
	cr_assert_eq(h->failed[FT_FAILED_REFUSED], 12);
	cr_assert_eq(h->state[FT_SYN_SENT], 2);
	cr_assert_eq(h->state[FT_CLOSE_WAIT], 5);
	cr_assert_eq(h->state[FT_FIN_WAIT2], 1);
	cr_assert_eq(h->state[FT_ESTABLISHED], 39); /* 45 active - 5 - 1 */
	cr_assert_eq(h->lifetime_count, 2955);	    /* all in one bucket */
	cr_assert_float_eq(h->lifetime_sum_seconds, 2955 * 0.5, 1e-9);
	cr_assert_eq(h->peers, FT_PEERS_UNKNOWN);
	cr_assert_eq(rep.hop[0].peers, 2);
}

Test(model, names_without_an_end_get_one)
{
	chain(1);
	memset(snap.def[0].name, 'n', FT_NAME_LEN);
	memset(snap.host, 'h', sizeof(snap.host));
	build();
	cr_assert_eq(strlen(rep.hop[0].name), FT_NAME_LEN - 1);
	cr_assert_eq(strlen(rep.host), sizeof(rep.host) - 1);
}

/* --- the tree --- */

static void check_order(const unsigned int *want, unsigned int n)
{
	cr_assert_eq(rep.nhops, n);
	for (unsigned int i = 0; i < n; i++)
		cr_expect_eq(rep.order[i], want[i], "place %u: hop %u", i, rep.order[i]);
}

Test(model, the_tree_is_walked_depth_first_with_roots_in_their_order)
{
	const signed char from[] = {2, -1, -1, 1, 2, 0};
	const unsigned int want[] = {1, 3, 2, 0, 5, 4};

	/* 1 -> 3; 2 -> (0 -> 5), 4 */
	chain(6);
	for (unsigned int i = 0; i < 6; i++)
		snap.def[i].from = from[i];
	build();
	check_order(want, 6);
	cr_assert_eq(rep.hop[1].depth, 0);
	cr_assert_eq(rep.hop[0].depth, 1);
	cr_assert_eq(rep.hop[5].depth, 2);
	cr_assert_eq(rep.nedges, 4);
	cr_assert_eq(rep.edge[0].to, 3, "edges come in the tree's order");
	cr_assert_eq(rep.edge[2].to, 5);
	cr_assert_eq(ft_report_edge_to(&rep, 5)->from, 0);
	cr_assert_null(ft_report_edge_to(&rep, 1));
}

Test(model, loops_and_strangers_are_roots)
{
	const signed char from[] = {1, 0, 2, 0, 99, -7};
	const unsigned int want[] = {0, 1, 2, 3, 4, 5};

	/* 0 <-> 1, 2 -> itself, 3 hangs on the loop, 4 and 5 on hops that are not there */
	chain(6);
	for (unsigned int i = 0; i < 6; i++)
		snap.def[i].from = from[i];
	build();
	check_order(want, 6);
	cr_assert_eq(rep.nedges, 0);
	for (unsigned int i = 0; i < 6; i++)
		cr_assert_eq(rep.hop[i].from, -1);
}

Test(model, a_chain_of_sixty_four_hops_is_a_chain)
{
	chain(64);
	build();
	cr_assert_eq(rep.nedges, 63);
	cr_assert_eq(rep.hop[63].depth, 63);
	snap.nhops = 4000000000;
	build();
	cr_assert_eq(rep.nhops, FT_MAX_HOPS, "never more than there is room for");
}

/* --- what to say --- */

Test(model, the_flow_ratio_shown_is_that_of_the_longest_covered_of_1m_and_10s)
{
	const char *window;

	chain(2);
	at(100, 10, 5, 10, 5);
	build();
	cr_assert(isnan(ft_report_flow(&rep, &rep.edge[0], NULL)), "long since the start");
	snap.start_ns = 95 * S;
	build();
	cr_assert_float_eq(ft_report_flow(&rep, &rep.edge[0], &window), 1.0, 0);
	cr_assert_str_eq(window, "start");
	add();
	at(110, 20, 5, 30, 5);
	build();
	cr_assert_float_eq(ft_report_flow(&rep, &rep.edge[0], &window), 2.0, 0); /* 20 / 10 */
	cr_assert_str_eq(window, "10s");
	at(160, 20, 5, 40, 5);
	add();
	at(160, 15, 5, 40, 5);
	build();
	cr_assert_float_eq(ft_report_flow(&rep, &rep.edge[0], &window), 6.0, 0); /* 30 / 5 */
	cr_assert_str_eq(window, "1m");
	/* nothing opened in a covered minute: absent, and not the lifetime's 4 */
	at(160, 10, 5, 40, 5);
	build();
	cr_assert(isnan(ft_report_flow(&rep, &rep.edge[0], NULL)));
}

Test(model, the_rate_shown_is_10s_else_1s_else_since_start)
{
	chain(2);
	snap.start_ns = 90 * S;
	at(100, 40, 5, 0, 0);
	build();
	cr_assert_float_eq(ft_report_rate(&rep, 0), 4.0, 0); /* 40 / 10 s */
	add();
	at(101, 42, 5, 0, 0);
	build();
	cr_assert_float_eq(ft_report_rate(&rep, 0), 2.0, 0);
	at(110, 100, 5, 0, 0);
	build();
	cr_assert_float_eq(ft_report_rate(&rep, 0), 6.0, 0); /* 60 / 10 s */
	snap.mono_ns = snap.start_ns;
	build();
	cr_assert(isnan(ft_report_rate(&rep, 0)), "no time has passed");
	snap.start_ns = 1 * S;
	at(99, 100, 5, 0, 0);
	build();
	cr_assert(isnan(ft_report_rate(&rep, 0)), "as a recording of an old agent begins");
}

Test(model, a_destination_found_late_has_no_ratio_until_a_window_has_all_of_it)
{
	const char *window;

	chain(2);
	snap.start_ns = 99 * S;
	snap.def[1].discovered = 1;
	snap.def[1].side = FT_CONNECT;
	at(100, 10, 5, 0, 0);
	add();
	at(105, 20, 5, 4, 4); /* its first second was not counted */
	build();
	cr_assert(isnan(ft_report_flow(&rep, &rep.edge[0], NULL)));
	add();
	at(111, 30, 5, 14, 4);
	build();
	cr_assert(isnan(rep.edge[0].flow[FT_10S]));
	cr_assert(isnan(rep.edge[0].renewal[FT_10S]));
	cr_assert(isnan(ft_report_flow(&rep, &rep.edge[0], NULL)));
	at(115, 40, 5, 24, 4);
	build();
	cr_assert_float_eq(ft_report_flow(&rep, &rep.edge[0], &window), 1.0, 0); /* 20 / 20 */
	cr_assert_str_eq(window, "10s");
	at(100, 20, 5, 4,
	   4); /* one second after the start all that there is was found at the start */
	build();
	cr_assert_float_eq(ft_report_flow(&rep, &rep.edge[0], &window), 0.2, 1e-9);
	cr_assert_str_eq(window, "start");
}

Test(model, the_worst_edge_is_the_highest_stock_else_the_highest_flow)
{
	bool by_flow;

	golden_report("storm", &rep);
	cr_assert_eq(ft_report_worst(&rep, &by_flow)->to, 1);
	cr_assert_not(by_flow);
	golden_report("renewal", &rep);
	cr_assert_eq(ft_report_worst(&rep, &by_flow)->to, 1);
	cr_assert(by_flow, "stock 1.0, but 6 opened for 1");
	rep.hop[rep.edge[0].from].side = FT_CONNECT; /* a local client, beside others */
	rep.hop[rep.edge[0].to].side = FT_ACCEPT;
	rep.hop[rep.edge[0].to].discovered = true;
	cr_assert_neq(ft_report_worst(&rep, &by_flow), &rep.edge[0]);
	golden_report("calm", &rep);
	cr_assert_float_eq(ft_report_worst(&rep, &by_flow)->stock, 1.0, 0);
	cr_assert_not(by_flow);
	golden_report("idle", &rep);
	cr_assert_null(ft_report_worst(&rep, &by_flow));
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is counted of pairs: partners, reuse, exchanges, waiting; while flows are open and after
 * they have closed. */
#include <time.h>

#include "kit_pair.h"

/* The client first, then the relay passes it on. */
static void close_front(struct kit_pair front)
{
	kit_close_client_first(front);
}

static void close_back(struct kit_pair back)
{
	kit_close_client_first(back);
}

static void expect_histogram(const uint64_t got[FT_NPAIR_FANOUT], const char *what, uint64_t one,
			     uint64_t two, uint64_t three)
{
	const uint64_t expected[FT_NPAIR_FANOUT] = {[1] = one, [2] = two, [3] = three};

	for (int i = 0; i < FT_NPAIR_FANOUT; i++)
		cr_assert_eq(got[i], expected[i], "%s flows with bucket %d: %llu, expected %llu",
			     what, i, (unsigned long long)got[i], (unsigned long long)expected[i]);
}

static void fan_out_is_distinct_servers_per_client_open_and_closed(void)
{
	struct kit_pair front[3], back[3][3];
	struct ft_pair_verdict v;

	for (int i = 0; i < 3; i++) { /* client i has i + 1 connections behind it */
		front[i] = kit_front();
		for (int j = 0; j <= i; j++) {
			back[i][j] = kit_back();
			for (int again = 0; again < 2; again++)
				kit_exchange(front[i], back[i][j]);
		}
	}
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.flows, 3);
	cr_assert_eq(v.partners, 6); /* 1 + 2 + 3 */
	cr_assert_eq(v.mean, 2);
	cr_assert_eq(v.mean_high, 2);
	cr_assert_eq(v.max, 3);
	expect_histogram(v.open_fanout, "open", 1, 1, 1);
	expect_histogram(v.closed_fanout, "closed", 0, 0, 0);
	cr_assert_eq(v.reuse_flows, 6);
	cr_assert_eq(v.reuse_mean, 1);

	close_front(front[1]);
	kit_settle();
	v = kit_judge(KIT_OUT);
	expect_histogram(v.open_fanout, "open", 1, 0, 1);
	expect_histogram(v.closed_fanout, "closed", 0, 1, 0);
	cr_assert_eq(v.mean, 2);

	for (int i = 0; i < 3; i += 2)
		close_front(front[i]);
	for (int i = 0; i < 3; i++)
		for (int j = 0; j <= i; j++)
			close_back(back[i][j]);
	kit_settle();
	v = kit_judge(KIT_OUT);
	expect_histogram(v.open_fanout, "open", 0, 0, 0);
	expect_histogram(v.closed_fanout, "closed", 1, 1, 1);
	cr_assert_eq(v.mean, 2);
	cr_assert_eq(v.max, 3);
	cr_assert_eq(v.reuse_flows, 6);
	cr_assert_eq(v.reuse_partners, 6);
	cr_assert_eq(v.reuse_max, 1);
	kit_expect_no_pair_loss();
}

static void a_pooled_connection_is_a_partner_of_each_client_that_it_served(void)
{
	struct kit_pair front[3], back;
	struct ft_pair_verdict v;

	back = kit_back(); /* it was there before its clients */
	for (int i = 0; i < 3; i++)
		front[i] = kit_front();
	for (int round = 0; round < 2; round++) /* it goes from one to the other and comes back */
		for (int i = 0; i < 3; i++)
			kit_exchange(front[i], back);
	kit_expect_edges(3);
	for (int i = 0; i < 3; i++) {
		kit_expect_evidence(front[i].server, back.client, KIT_ALL);
		kit_expect_writes(front[i].server, back.client, 4);
	}
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.flows, 3);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(v.max, 1);
	cr_assert_eq(v.reuse_flows, 1);
	cr_assert_eq(v.reuse_partners, 3);
	cr_assert_eq(v.reuse_mean, 3);
	cr_assert_eq(v.reuse_max, 3);
	close_back(back);
	kit_settle();
	v = kit_judge(KIT_OUT);
	cr_assert_eq(v.reuse_flows, 1); /* now among the closed */
	cr_assert_eq(v.reuse_partners, 3);
	cr_assert_eq(v.reuse_max, 3);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->reuse.flows[FT_PAIR_LAST][3], 1);
}

static void clients_that_move_between_pooled_connections_have_all_their_writes_counted(void)
{
	struct kit_pair front[2], back[2];

	for (int i = 0; i < 2; i++) {
		front[i] = kit_front();
		back[i] = kit_back();
	}
	for (int round = 0; round < 3; round++)
		for (int i = 0; i < 4; i++) /* 0 on 0, 1 on 1, 0 on 1, 1 on 0 */
			kit_exchange(front[i & 1], back[(i & 1) ^ (i >> 1)]);
	kit_expect_edges(4);
	for (int i = 0; i < 4; i++)
		kit_expect_writes(front[i & 1].server, back[i >> 1].client, 6);
}

Test(pair, each_fork_of_a_hop_has_its_own_partners)
{
	struct kit_pair front, out, side[2];
	struct ft_pair_verdict v;
	int listener;

	kit_pairing(KIT_RELAY ",{ name = \"side\"; connect = \":8003\"; from = \"in\"; }", NULL);
	listener = kit_listen("127.0.0.1", 8003);
	front = kit_front();
	out = kit_back();
	kit_exchange(front, out);
	for (int i = 0; i < 2; i++) {
		side[i] = kit_pair(listener, "127.0.0.1", 8003);
		kit_exchange(front, side[i]);
	}
	v = kit_judge(KIT_OUT);
	cr_assert_eq(v.partners, 1);
	v = kit_judge(2);
	cr_assert_eq(v.partners, 2);
	close_front(front);
	kit_settle();
	cr_assert_eq(kit_judge(KIT_OUT).closed_fanout[1], 1);
	cr_assert_eq(kit_judge(2).closed_fanout[2], 1);
}

/* Many programs close the connection before they pass on what it said. */
static void a_server_that_has_closed_before_its_answer_is_passed_on_counts(void)
{
	struct kit_pair front, back;
	struct ft_pair_verdict v;

	front = kit_front();
	back = kit_back();
	kit_in(front, 100);
	kit_forth(back, 100);
	kit_back_in(back, 200);
	kit_close_server_first(back);
	kit_settle();
	cr_assert_eq(kit_pair_stats(KIT_OUT)->reuse.flows[FT_PAIR_LAST][0], 1);
	kit_answer(front, 200);
	kit_expect_edges(1);
	cr_assert_eq(ft_pair_pattern(&kit_pairs()->edge[0].edge), KIT_ALL);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(v.reuse_flows, 1);
	cr_assert_eq(v.reuse_partners, 1); /* corrected afterwards */
	cr_assert_eq(kit_pair_stats(KIT_OUT)->reuse.flows[FT_PAIR_LAST][0], 0);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->reuse.flows[FT_PAIR_LAST][1], 1);
	close_front(front);
	kit_settle();
	kit_expect_edges(0);
	kit_expect_ended(KIT_OUT, KIT_ALL, 1);
}

/* --- exchanges --- */

static void expect_exchanges(uint64_t in, uint64_t out)
{
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, in, "in: %llu",
		     (unsigned long long)kit_pair_stats(KIT_IN)->exchanges);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, out, "out: %llu",
		     (unsigned long long)kit_pair_stats(KIT_OUT)->exchanges);
}

static void exchanges_are_requests_however_many_pieces_they_come_in(void)
{
	struct kit_pair front, back;

	front = kit_front();
	back = kit_back();
	for (int request = 0; request < 7; request++) {
		for (int piece = 0; piece < 3; piece++) { /* a request of three, each passed on */
			kit_in(front, 100);
			kit_forth(back, 100);
		}
		for (int piece = 0; piece < 4; piece++) { /* its answer of four */
			kit_back_in(back, 100);
			kit_answer(front, 100);
		}
	}
	expect_exchanges(7, 7);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->exchanges, 7);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->exchanges, 7);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->read_bytes, 7 * 300);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->written_bytes, 7 * 400);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->read_bytes, 7 * 400);
	cr_assert_eq(kit_pair_flow(KIT_OUT, back.client)->written_bytes, 7 * 300);
}

static void exchanges_and_the_share_of_flows_with_just_one_are_exact(void)
{
	for (int client = 0; client < 5; client++) { /* keep-alive: 4 requests, 4 connections */
		struct kit_pair front = kit_front();

		for (int request = 0; request < (client ? 1 : 4); request++) {
			struct kit_pair back = kit_back();

			kit_exchange(front, back);
			close_back(back);
		}
		close_front(front);
	}
	for (int silent = 0; silent < 3; silent++) { /* nothing was asked: no exchange, no share */
		close_front(kit_front());
		close_back(kit_back());
	}
	kit_settle();
	expect_exchanges(8, 8); /* 4 and four times 1 */
	cr_assert_eq(kit_pair_stats(KIT_IN)->closed, 5);
	cr_assert_eq(kit_pair_stats(KIT_IN)->closed_single, 4);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->closed, 8);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->closed_single, 8);
	cr_assert_eq(kit_pair_stats(KIT_IN)->fanout.flows[FT_PAIR_LAST][1], 0); /* not here */
	cr_assert_eq(kit_pair_stats(KIT_OUT)->fanout.flows[FT_PAIR_LAST][1], 4);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->fanout.flows[FT_PAIR_LAST][4], 1);
}

/* --- queue wait --- */

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

/* One wait, of so long, and in the bucket of that. The kernel's stamp of the handshake is in
 * microseconds. */
static void expect_wait(uint64_t at_least_ns, uint64_t at_most_ns)
{
	static const uint32_t bound_ms[] = FT_PAIR_WAIT_BOUNDS_MS;
	const struct ft_pair_stats *s = kit_pair_stats(KIT_IN);
	int bucket = 0;

	cr_assert_geq(s->wait_sum_ns, at_least_ns);
	cr_assert_leq(s->wait_sum_ns, at_most_ns + 1000);
	while (bucket < FT_NPAIR_WAIT - 1 && s->wait_sum_ns > bound_ms[bucket] * 1000000ULL)
		bucket++;
	for (int i = 0; i < FT_NPAIR_WAIT; i++)
		cr_assert_eq(s->wait[i], i == bucket, "bucket %d: %llu", i,
			     (unsigned long long)s->wait[i]);
}

static void a_client_that_is_held_has_waited_until_its_first_connection_behind(void)
{
	uint64_t began = now_ns(), opened, connects, connected;
	struct kit_pair front = kit_front(), back;

	opened = now_ns();
	kit_send(front.client, 100);
	kit_sleep_ms(300);
	kit_take(front.server, 100);
	connects = now_ns();
	back = kit_back();
	connected = now_ns();
	kit_sleep_ms(300); /* the server thinks: that is no waiting line */
	kit_forth(back, 100);
	kit_back_in(back, 200);
	kit_answer(front, 200);
	expect_wait(connects - opened, connected - began);
	kit_exchange(front, kit_back());
	expect_wait(connects - opened, connected - began); /* no second wait */
}

static void with_a_pooled_connection_it_has_waited_until_that_was_written(void)
{
	struct kit_pair back = kit_back(), front;
	uint64_t began = now_ns(), opened, writes;

	front = kit_front();
	opened = now_ns();
	kit_in(front, 100);
	kit_sleep_ms(60);
	writes = now_ns();
	kit_forth(back, 100);
	kit_back_in(back, 200);
	kit_answer(front, 200);
	expect_wait(writes - opened, now_ns() - began);
}

Test(pair, counts)
{
	static const struct kit_case cases[] = {
		KIT_CASE(fan_out_is_distinct_servers_per_client_open_and_closed),
		KIT_CASE(a_pooled_connection_is_a_partner_of_each_client_that_it_served),
		KIT_CASE(
			clients_that_move_between_pooled_connections_have_all_their_writes_counted),
		KIT_CASE(a_server_that_has_closed_before_its_answer_is_passed_on_counts),
		KIT_CASE(exchanges_are_requests_however_many_pieces_they_come_in),
		KIT_CASE(exchanges_and_the_share_of_flows_with_just_one_are_exact),
		KIT_CASE(a_client_that_is_held_has_waited_until_its_first_connection_behind),
		KIT_CASE(with_a_pooled_connection_it_has_waited_until_that_was_written),
	};

	kit_pairing_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

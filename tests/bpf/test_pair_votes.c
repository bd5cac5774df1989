/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A process that accepts at two ports and connects to one: for whose flows it connects is told by
 * to whom it hands over what it reads, exactly; and nothing else is said until that is known. */
#include "kit_pair.h"

#define FIRST	"{ name = \"in\"; accept = \"8001\"; },"
#define SECOND	"{ name = \"in2\"; accept = \"8003\"; },"
#define OUT	"{ name = \"out\"; connect = \":8002\"; }"
#define IN	0
#define IN2	1
#define OF_BOTH 2 /* the hop whose `from` is to be found */

#define MANY (FT_PAIR_QUEUE + 20)

static struct kit_pair second_front(void)
{
	return kit_pair(kit_listener("127.0.0.1", 8003), "127.0.0.1", 8003);
}

/* So many reads were handed over to each of the two. */
static void expect_votes(uint64_t in, uint64_t in2)
{
	const struct ft_pair_stats *s = kit_pair_stats(OF_BOTH);

	cr_assert_eq(s->handed[IN], in, "%llu", (unsigned long long)s->handed[IN]);
	cr_assert_eq(s->handed[IN2], in2, "%llu", (unsigned long long)s->handed[IN2]);
	for (int hop = IN2 + 1; hop < FT_MAX_HOPS; hop++)
		cr_assert_eq(s->handed[hop], 0);
}

static void expect_nothing_said(void)
{
	const struct ft_pair_stats *s = kit_pair_stats(OF_BOTH);
	struct ft_pair_verdict v;

	kit_expect_edges(0);
	cr_assert_eq(s->sends, 0);
	cr_assert_eq(s->back, 0);
	for (int rule = 0; rule < FT_NPAIR_RULES; rule++)
		cr_assert_eq(s->matched[rule], 0);
	v = kit_expect_verdict(OF_BOTH, FT_PAIR_UNKNOWN, 0);
	cr_assert_eq(v.partners, 0);
}

/* One thread serves both listeners over connections that it keeps. */
static void each_read_that_is_handed_over_is_a_vote(void)
{
	struct kit_pair front = kit_front(), front2 = second_front(), back[2];

	back[0] = kit_back();
	back[1] = kit_back();
	for (int i = 0; i < 7; i++)
		kit_exchange(front, back[i & 1]);
	for (int i = 0; i < 3; i++)
		kit_exchange(front2, back[i & 1]);
	expect_votes(7, 3);
	kit_in(front2, 100);
	kit_forth(back[0], 100);
	kit_back_in(back[0], 200);
	kit_answer(front2, 100); /* one read, two writes */
	kit_answer(front2, 100);
	expect_votes(7, 4);
	kit_in(front2, 100); /* answered by itself: no vote, whatever was read before */
	kit_answer(front2, 200);
	expect_votes(7, 4);
	kit_back_in(back[1], 200); /* and what is read and not handed over is none */
	kit_in(front, 100);
	kit_answer(front, 100);
	expect_votes(7, 4);
	kit_in(front2, 100); /* an event loop: its own answer comes between, and is none */
	kit_back_in(back[1], 200);
	kit_answer(front2, 200);
	expect_votes(7, 4);
	kit_answer(front, 100); /* here is what was read */
	expect_votes(8, 4);
	cr_assert_eq(kit_pair_stats(OF_BOTH)->unhanded, 1);
	cr_assert_eq(kit_pair_stats(OF_BOTH)->exchanges, 11);
	cr_assert_eq(kit_pair_stats(IN)->exchanges, 8);
	cr_assert_eq(kit_pair_stats(IN2)->exchanges, 6);
	expect_nothing_said();
	kit_expect_no_pair_loss();
}

/* Each connection is used once, as without keep-alive: all that was read has to leave the queue. */
static void no_queue_fills_while_it_is_not_known(void)
{
	struct kit_pair front = kit_front(), front2 = second_front();

	for (int i = 0; i < MANY; i++) {
		struct kit_pair back = kit_back();

		kit_exchange(i & 1 ? front : front2, back);
		kit_close_client_first(back);
	}
	kit_settle();
	expect_votes(MANY / 2, MANY / 2);
	expect_nothing_said();
	kit_expect_no_pair_loss();
}

/* What was seen before does not count for or against the edge. */
static void an_edge_begins_when_it_is_known(void)
{
	struct kit_pair front = kit_front(), front2 = second_front(), back = kit_back();
	struct ft_pair_verdict v;

	for (int i = 0; i < 2 * FT_PAIR_WINDOW_EDGES; i++)
		kit_exchange(front2, back);
	kit_exchange(front, back);
	kit_forth(back, 100); /* a write of nobody's */
	expect_nothing_said();
	kit_pairing_replan(FIRST SECOND "{ name = \"out\"; connect = \":8002\"; from = \"in2\"; }");
	for (int i = 0; i < 3; i++)
		kit_exchange(front2, back);
	kit_expect_evidence(front2.server, back.client, KIT_ALL);
	kit_expect_edges(1);
	v = kit_expect_verdict(OF_BOTH, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.coverage, 1);
	cr_assert_eq(v.flows, 1);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(kit_pair_stats(OF_BOTH)->sends, 3);
	expect_votes(1, 2 * FT_PAIR_WINDOW_EDGES + 3); /* and they go on */
}

Test(pair, votes, .fini = kit_pairing_end)
{
	kit_pairing_found(FIRST SECOND OUT);
	kit_pairing_run(
		(const struct kit_case[]){
			KIT_CASE(each_read_that_is_handed_over_is_a_vote),
			KIT_CASE(no_queue_fills_while_it_is_not_known),
			KIT_CASE(an_edge_begins_when_it_is_known),
		},
		3);
}

/* --- an edge beside another listener of its process --- */

static void what_serves_the_other_port_fills_no_queue(void)
{
	struct kit_pair front = kit_front(), front2 = second_front(), kept = kit_back();
	struct ft_pair_verdict v;

	for (int i = 0; i < MANY; i++) {
		struct kit_pair back = kit_back();

		kit_exchange(front2, back);
		kit_close_client_first(back);
		kit_exchange(front, kept);
	}
	kit_settle();
	kit_expect_no_pair_loss();
	kit_expect_edges(1);
	v = kit_expect_verdict(OF_BOTH, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.confidence, 1);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(kit_pair_stats(OF_BOTH)->back_ambiguous, 0);
	cr_assert_eq(kit_pair_stats(OF_BOTH)->unhanded, 0);
	expect_votes(MANY, MANY);
}

static void what_is_read_at_the_other_port_is_read_last(void)
{
	struct kit_pair front = kit_front(), front2 = second_front(), back = kit_back();

	kit_in(front, 100);
	kit_answer(front, 100);
	kit_exchange(front2, back);
	kit_expect_edges(0); /* not of the one that was read before */
}

Test(pair, beside, .fini = kit_pairing_end)
{
	kit_pairing_found(FIRST SECOND "{ name = \"out\"; connect = \":8002\"; from = \"in\"; }");
	kit_pairing_run(
		(const struct kit_case[]){
			KIT_CASE(what_serves_the_other_port_fills_no_queue),
			KIT_CASE(what_is_read_at_the_other_port_is_read_last),
		},
		2);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The rules by which pairs are told: each order of reads and writes with exactly the evidence
 * that it gives, and the verdict on it. */
#include <string.h>

#include "kit_pair.h"

TestSuite(pair, .fini = kit_pairing_end, .timeout = 240);

#define MOST 129

static void open_all(struct kit_pair *front, struct kit_pair *back, int n)
{
	for (int i = 0; i < n; i++) {
		front[i] = kit_front();
		back[i] = kit_back();
	}
}

static void a_blocking_relay_gives_every_evidence(void)
{
	struct kit_pair front[3], back[3];
	struct ft_pair_verdict v;

	open_all(front, back, 3);
	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 3; i++)
			kit_exchange(front[i], back[i]);
	kit_expect_edges(3);
	for (int i = 0; i < 3; i++) {
		kit_expect_evidence(front[i].server, back[i].client, KIT_ALL);
		kit_expect_writes(front[i].server, back[i].client, 4); /* 2 exchanges, both ends */
	}
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.confidence, 1);
	cr_assert_eq(v.coverage, 1);
	cr_assert_eq(v.edges, 3);
	kit_expect_no_pair_loss();
}

static void an_event_loop_that_reads_others_while_it_connects_is_told_by_the_latch(void)
{
	struct kit_pair front[2], back[2];
	struct ft_pair_verdict v;

	for (int i = 0; i < 2; i++)
		front[i] = kit_front();
	for (int i = 0; i < 2; i++) { /* the second client is read while the first connects */
		kit_in(front[i], 100);
		back[i] = kit_back();
	}
	kit_forth(back[1], 100); /* the later connection is ready first */
	kit_forth(back[0], 100);
	for (int i = 1; i >= 0; i--) {
		kit_back_in(back[i], 200);
		kit_answer(front[i], 200);
	}
	kit_expect_edges(4);
	kit_expect_evidence(front[0].server, back[0].client, FT_PAIR_FW_LATCH | KIT_BACK);
	kit_expect_evidence(front[1].server, back[1].client,
			    FT_PAIR_FW_LATCH | FT_PAIR_FW_LAST | KIT_BACK);
	/* what the other two rules mistake: the last that was read, the oldest that waits */
	kit_expect_evidence(front[1].server, back[0].client, FT_PAIR_FW_LAST | FT_PAIR_FW_FIFO);
	kit_expect_evidence(front[0].server, back[1].client, FT_PAIR_FW_FIFO);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LATCH);
	cr_assert_eq(v.agreement, 1);
	cr_assert_eq(v.flows, 2);
	cr_assert_eq(v.partners, 2);  /* the mistaken edges are no partners */
	cr_assert_eq(v.mean_high, 2); /* but count for the upper bound: 4 edges, 2 clients */
}

/* The same when both answers wait before either is passed on: nothing is unambiguous then, and the
 * latch alone has it right. */
static void a_latch_needs_no_answer_that_came_alone(void)
{
	struct kit_pair front[2], back[2];
	struct ft_pair_verdict v;

	for (int i = 0; i < 2; i++)
		front[i] = kit_front();
	for (int i = 0; i < 2; i++) {
		kit_in(front[i], 100);
		back[i] = kit_back();
	}
	kit_forth(back[1], 100);
	kit_forth(back[0], 100);
	kit_back_in(back[0], 100);
	kit_back_in(back[1], 200);
	kit_answer(front[1], 200);
	kit_back_in(back[0], 100); /* the rest */
	kit_answer(front[0], 200);
	kit_expect_evidence(front[0].server, back[0].client, FT_PAIR_FW_LATCH | FT_PAIR_REV_LAST);
	kit_expect_evidence(front[1].server, back[1].client,
			    FT_PAIR_FW_LATCH | FT_PAIR_FW_LAST | FT_PAIR_REV_LAST);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LATCH);
	cr_assert_eq(v.flows, 2);
	cr_assert_eq(v.partners, 2);
	cr_assert_eq(v.max, 1);
	cr_assert_eq(v.reuse_partners, 2);
}

static void a_latch_ends_with_the_first_answer(void)
{
	struct kit_pair front[3], back;

	for (int i = 0; i < 3; i++)
		front[i] = kit_front();
	kit_in(front[0], 100);
	back = kit_back();
	kit_in(front[1], 100); /* meanwhile */
	kit_forth(back, 50);
	kit_in(front[1], 100);
	kit_forth(back, 50); /* a request in two pieces: still for the first */
	kit_back_in(back, 200);
	kit_answer(front[0], 200);
	kit_expect_evidence(front[0].server, back.client,
			    FT_PAIR_FW_LATCH | FT_PAIR_FW_FIFO | KIT_BACK);
	kit_expect_evidence(front[1].server, back.client, FT_PAIR_FW_LAST | FT_PAIR_FW_FIFO);
	kit_exchange(front[2], back); /* kept alive, it serves another */
	kit_expect_evidence(front[2].server, back.client, KIT_ALL);
	kit_expect_edges(3);
}

Test(pair, a_latch_is_of_the_hop_that_the_fork_comes_from)
{
	struct kit_pair front, other, back;
	int listener;

	kit_pairing(KIT_RELAY ",{ name = \"other\"; accept = \"8003\"; },"
			      "{ name = \"behind\"; connect = \":8004\"; from = \"other\"; }",
		    NULL);
	front = kit_front();
	listener = kit_listen("127.0.0.1", 8003);
	other = kit_pair(listener, "127.0.0.1", 8003);
	kit_in(front, 100);
	kit_in(other, 100);
	back = kit_back(); /* after `other` was read, which is no hop of this fork */
	kit_forth(back, 100);
	kit_expect_evidence(front.server, back.client, FT_PAIR_FW_FIFO);
	kit_expect_edges(1);
}

/* Read a batch of n clients, write a batch to n servers, and back. */
static void batches(struct kit_pair *front, struct kit_pair *back, int n)
{
	open_all(front, back, n);
	for (int i = 0; i < n; i++)
		kit_in(front[i], 10);
	for (int i = 0; i < n; i++)
		kit_forth(back[i], 10);
	for (int i = 0; i < n; i++)
		kit_back_in(back[i], 20);
	for (int i = 0; i < n; i++)
		kit_answer(front[i], 20);
}

static void a_batch_of_128_is_told_by_its_order(void)
{
	static struct kit_pair front[MOST], back[MOST];
	struct ft_pair_verdict v;
	const int n = FT_PAIR_QUEUE;

	batches(front, back, n);
	/* n pairs; the last client that was read stands for each of the other n - 1 servers, the
	 * last server for each other client */
	kit_expect_edges(n + 2 * (n - 1));
	for (int i = 0; i < n - 1; i++) {
		kit_expect_evidence(front[i].server, back[i].client,
				    FT_PAIR_FW_FIFO | FT_PAIR_REV_FIFO);
		kit_expect_evidence(front[n - 1].server, back[i].client,
				    FT_PAIR_FW_LAST | FT_PAIR_FW_LATCH);
		kit_expect_evidence(front[i].server, back[n - 1].client, FT_PAIR_REV_LAST);
	}
	kit_expect_evidence(front[n - 1].server, back[n - 1].client, KIT_ALL);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_FIFO);
	cr_assert_eq(v.agreement, 1);
	cr_assert_eq(v.flows, n);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(v.max, 1);
	cr_assert_eq(v.reuse_mean, 1);
	kit_expect_no_pair_loss();
}

static void a_batch_beyond_128_is_counted_as_loss_and_no_pairs_are_claimed(void)
{
	static struct kit_pair front[MOST], back[MOST];
	struct ft_pair_verdict v;

	batches(front, back, MOST);
	/* the first client and the first server of 129 were pushed out, all others move up */
	kit_expect_pair_loss(FT_PAIR_LOSS_QUEUE_FULL, 2);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_NOT, 0);
	cr_assert_lt(v.confidence, 0.1);
}

static void a_relay_that_is_read_alike_in_both_directions_has_one_way_back(void)
{
	struct kit_pair front[2], back[2];

	open_all(front, back, 2);
	for (int i = 0; i < 2; i++) {
		kit_in(front[i], 100);
		kit_forth(back[i], 100);
	}
	kit_back_in(back[0], 200);
	kit_back_in(back[1], 200); /* two answers wait: which is passed on is open */
	kit_answer(front[1], 200);
	kit_expect_evidence(front[1].server, back[1].client, KIT_FORTH | FT_PAIR_REV_LAST);
	kit_expect_evidence(front[1].server, back[0].client, FT_PAIR_REV_FIFO);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->back, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->back_ambiguous, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->unhanded, 1); /* the first, when it was read */
}

static void an_answer_in_pieces_is_evidence_once(void)
{
	struct kit_pair front, back;

	open_all(&front, &back, 1);
	kit_in(front, 100);
	for (int i = 0; i < 3; i++)
		kit_forth(back, 30); /* one read, three writes */
	kit_back_in(back, 300);
	for (int i = 0; i < 3; i++)
		kit_answer(front, 100);
	kit_expect_edges(1);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	kit_expect_writes(front.server, back.client, 6);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->sends, 3);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->back, 1);
}

static void a_server_that_speaks_first_is_paired_by_its_greeting_and_the_request(void)
{
	struct kit_pair front, back;

	open_all(&front, &back, 1);
	kit_back_in(back, 80);
	kit_answer(front, 80);
	kit_expect_evidence(front.server, back.client, KIT_BACK);
	kit_in(front, 100);
	kit_forth(back, 100);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	/* the greeting answers nothing: the client's request is the first exchange */
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, 0);
}

/* How writes are seen depends on the kernel; what they say does not. */
Test(pair, every_door_to_the_writes_tells_the_same_or_says_why_not)
{
	for (int door = FT_PAIR_TRACEPOINT; door < FT_NPAIR_DOORS; door++) {
		struct ft_probe_pair_options o = {.first_door = door, .max_flows = 262144};
		struct ft_probe_pair p = FT_PROBE_PAIR_NONE;
		struct kit_pair front, back;
		char why[256] = "";

		if (!door)
			kit_count(KIT_TRACEPOINT, KIT_RELAY);
		if (ft_probe_pair_load(&p, kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_FLOWS], &o,
				       why, sizeof(why))) {
			cr_assert_neq(door, FT_PAIR_TRACEPOINT, "no door at all: %s", why);
			cr_assert(strstr(why, "pairs are not available on this kernel: "), "%s",
				  why);
			cr_assert(strstr(why, "needs the tracepoint sock:sock_send_length"));
			cr_assert_null(p.skeleton);
			for (int i = 0; i < FT_NPAIR_MAPS; i++)
				cr_assert_eq(p.map[i], -1);
			continue;
		}
		cr_assert_geq((int)p.door, door);
		ft_probe_pair_close(&p);
		kit_pairing_attach(KIT_RELAY, &o);
		open_all(&front, &back, 1);
		for (int i = 0; i < 2; i++)
			kit_exchange(front, back);
		kit_expect_evidence(front.server, back.client, KIT_ALL);
		kit_expect_writes(front.server, back.client, 4);
		kit_expect_no_pair_loss();
		kit_pairing_detach();
	}
}

Test(pair, rules)
{
	static const struct kit_case cases[] = {
		KIT_CASE(a_blocking_relay_gives_every_evidence),
		KIT_CASE(an_event_loop_that_reads_others_while_it_connects_is_told_by_the_latch),
		KIT_CASE(a_latch_needs_no_answer_that_came_alone),
		KIT_CASE(a_latch_ends_with_the_first_answer),
		KIT_CASE(a_batch_of_128_is_told_by_its_order),
		KIT_CASE(a_batch_beyond_128_is_counted_as_loss_and_no_pairs_are_claimed),
		KIT_CASE(a_relay_that_is_read_alike_in_both_directions_has_one_way_back),
		KIT_CASE(an_answer_in_pieces_is_evidence_once),
		KIT_CASE(a_server_that_speaks_first_is_paired_by_its_greeting_and_the_request),
	};

	kit_pairing_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

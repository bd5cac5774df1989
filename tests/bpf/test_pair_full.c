/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Tables that are full: what finds no place is counted, and what has one is exact. */
#include <bpf/bpf.h>
#include <stdlib.h>

#include "kit_pair.h"

/* Open n tunnels, one exchange each. */
static void open_tunnels(struct kit_pair *front, struct kit_pair *back, int n)
{
	for (int i = 0; i < n; i++) {
		front[i] = kit_front();
		back[i] = kit_back();
		kit_exchange(front[i], back[i]);
	}
}

static void edges_that_find_no_place_are_counted(void)
{
	const struct ft_probe_pair_options o = {.max_edges = 4};
	struct kit_pair front[6], back[6];
	struct ft_pair_verdict v;

	kit_pairing_attach(KIT_RELAY, &o);
	open_tunnels(front, back, 6);
	kit_expect_edges(4);
	kit_expect_pair_loss(FT_PAIR_LOSS_EDGES_FULL, 4); /* two tunnels, there and back */
	v = kit_judge(KIT_OUT);
	cr_assert_eq(v.flows, 6);
	cr_assert_eq(v.partners, 4); /* too low, and loss says so */
	for (int i = 0; i < 4; i++)
		kit_expect_evidence(front[i].server, back[i].client, KIT_ALL);
	for (int i = 4; i < 6; i++)
		kit_expect_evidence(front[i].server, back[i].client, 0);
	kit_close_client_first(front[0]); /* there is a place again */
	kit_settle();
	kit_exchange(front[4], back[4]);
	kit_expect_evidence(front[4].server, back[4].client, KIT_ALL);
	kit_expect_pair_loss(FT_PAIR_LOSS_EDGES_FULL, 4);
}

static void flows_that_find_no_place_are_counted(void)
{
	const struct ft_probe_pair_options o = {.max_flows = 8}; /* and a quarter: 10 */
	struct kit_pair front[6], back[6];

	kit_pairing_attach(KIT_RELAY, &o);
	open_tunnels(front, back, 6);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 10);
	kit_expect_edges(5);
	/* the sixth: its connect(), and each of its two reads and two writes */
	kit_expect_pair_loss(FT_PAIR_LOSS_FLOWS_FULL, 5);
	kit_close_client_first(front[0]);
	kit_close_client_first(back[0]);
	kit_settle();
	kit_exchange(front[5], back[5]);
	kit_expect_evidence(front[5].server, back[5].client, KIT_ALL);
	kit_expect_pair_loss(FT_PAIR_LOSS_FLOWS_FULL, 5);
}

/* Fill a table with entries 1, 2, 3 ... that are like `value`; returns their number. */
static unsigned int fill(enum ft_pair_map map, const void *value)
{
	int fd = kit_pairing_probe()->map[map];
	uint64_t key = 0;

	do
		key++;
	while (!bpf_map_update_elem(fd, &key, value, BPF_NOEXIST));
	return key - 1;
}

static void threads_that_find_no_place_are_counted(void)
{
	static struct ft_pair_thread t = {.used_ns = 1ULL << 62}; /* just now, for long */
	struct kit_pair front, back;

	kit_pairing_attach(KIT_RELAY, NULL);
	cr_assert_eq(fill(FT_PAIR_MAP_THREADS, &t), 8192);
	open_tunnels(&front, &back, 1);
	kit_expect_edges(0);
	kit_expect_pair_loss(FT_PAIR_LOSS_THREADS_FULL, 2); /* two reads */
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, 1); /* which need no thread */
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, 1);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->sends, 1); /* that is not covered */
}

static void closed_flows_that_find_no_place_are_counted(void)
{
	const struct ft_pair_closed c = {0};
	struct kit_pair front, back;

	kit_pairing_attach(KIT_RELAY, NULL);
	kit_sign(KIT_OUT);
	cr_assert_eq(fill(FT_PAIR_MAP_CLOSED, &c), 65536);
	open_tunnels(&front, &back, 1);
	kit_close_client_first(front);
	kit_close_client_first(back);
	kit_settle();
	kit_expect_pair_loss(FT_PAIR_LOSS_CLOSED_FULL, 2); /* both ends of the tunnel */
	kit_expect_ended(KIT_OUT, KIT_ALL, 1);
}

Test(pair, full_tables)
{
	static void (*const cases[])(void) = {
		edges_that_find_no_place_are_counted,
		flows_that_find_no_place_are_counted,
		threads_that_find_no_place_are_counted,
		closed_flows_that_find_no_place_are_counted,
	};

	kit_count(KIT_TRACEPOINT, KIT_RELAY);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cases[i]();
		kit_pairing_detach();
	}
}

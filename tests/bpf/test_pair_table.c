/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The tables of pairing: what gets into them, what leaves them, and what happens when one is
 * full. */
#include <bpf/bpf.h>
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit_pair.h"

static int map_fd(enum ft_pair_map map)
{
	return kit_pairing_probe()->map[map];
}

static void expect_entries(unsigned int flows, unsigned int edges, unsigned int threads)
{
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), flows);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_EDGES), edges);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_THREADS), threads);
}

/* --- who gets in --- */

static void sockets_of_no_hop_leave_no_trace(void)
{
	struct kit_pair front, back;
	int in, out;

	in = kit_listener("127.0.0.1", 9001);
	out = kit_listener("127.0.0.1", 9002);
	front = kit_pair(in, "127.0.0.1", 9001);
	back = kit_pair(out, "127.0.0.1", 9002);
	for (int i = 0; i < 10; i++)
		kit_exchange(front, back);
	expect_entries(0, 0, 0);
	front = kit_front(); /* a client of the hop whose relay has nothing behind it */
	kit_in(front, 100);
	kit_answer(front, 100);
	expect_entries(1, 0, 1);
	kit_expect_no_pair_loss();
}

Test(pair, a_port_is_not_a_hop)
{
	kit_pairing("{ name = \"in\"; accept = \"8001\"; peer = \"127.0.0.5\"; },"
		    "{ name = \"out\"; connect = \"127.0.0.5:8002\"; from = \"in\"; }",
		    NULL);
	kit_exchange(kit_front(), kit_back()); /* the right ports of the wrong addresses */
	expect_entries(0, 0, 0);
}

/* Health checks come to the same port, and use a connection behind. */
Test(pair, hops_that_are_not_linked_are_not_paired)
{
	struct kit_pair check, back;
	const int out = 2;
	int listener;

	kit_pairing("{ name = \"check\"; accept = \"8001\"; peer = \"127.0.0.9\"; }," KIT_RELAY,
		    NULL);
	listener = kit_listener("127.0.0.1", 8001);
	check.client = kit_connect_from("127.0.0.9", 0, "127.0.0.1", 8001);
	cr_assert_geq(check.client, 0);
	check.server = kit_accept(listener);
	back = kit_back();
	kit_exchange(check, back);
	expect_entries(1, 0, 1); /* the connection behind, which this thread has read */
	cr_assert_eq(kit_pair_stats(0)->exchanges, 0);
	cr_assert_eq(kit_pair_stats(out)->exchanges, 1);
	cr_assert_eq(kit_pair_stats(out)->sends, 1);
	cr_assert_eq(kit_pair_stats(out)->matched[FT_PAIR_BACK], 0);
}

static void relay_once(const char *front_addr, const char *back_addr, int in, int out)
{
	struct kit_pair front = kit_pair(in, front_addr, 8001),
			back = kit_pair(out, back_addr, 8002);

	for (int i = 0; i < 2; i++)
		kit_exchange(front, back);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	kit_expect_writes(front.server, back.client, 4);
}

/* From the ports 20001 (the client) and 20002 (the relay). */
static void relay_bound(int in, int out)
{
	struct kit_pair front, back;

	front.client = kit_connect_from("127.0.0.1", 20001, "127.0.0.1", 8001);
	front.server = kit_accept(in);
	back.client = kit_connect_from("127.0.0.1", 20002, "127.0.0.1", 8002);
	back.server = kit_accept(out);
	kit_exchange(front, back);
}

static void ipv6_is_paired(void)
{
	relay_once("::1", "::1", kit_listener("::1", 8001), kit_listener("::1", 8002));
	kit_expect_edges(1);
}

static void mapped_addresses_are_paired(void)
{
	int mapped = kit_listener("::ffff:127.0.0.7", 8001); /* an IPv6 socket */

	/* an IPv4 client; an IPv6 socket to an IPv4 server */
	relay_once("127.0.0.7", "::ffff:127.0.0.1", mapped, kit_listener("127.0.0.1", 8002));
	kit_expect_edges(1);
}

/* In a child, so that it steps into a namespace of its own: the same ports as out here. */
static void relay_elsewhere(int tell, int until)
{
	char byte = 0;
	int in, out;

	if (unshare(CLONE_NEWNET) || kit_run("ip link set lo up", NULL, 0))
		_exit(1);
	in = kit_listen("127.0.0.1", 8001);
	out = kit_listen("127.0.0.1", 8002);
	relay_bound(in, out);
	if (write(tell, &byte, 1) != 1 || read(until, &byte, 1) < 0)
		_exit(1);
	_exit(0);
}

Test(pair, the_same_ports_in_another_namespace_are_other_pairs)
{
	const struct kit_options o = {.all_netns = true};
	int tell[2], until[2];
	unsigned int mine = 0, theirs = 0;
	const struct ft_pair_walk *w;
	char byte;
	pid_t pid;

	kit_load(KIT_TRACEPOINT, &o);
	kit_hops(KIT_RELAY);
	kit_start();
	kit_pairing_attach(KIT_RELAY, NULL);
	cr_assert(!pipe(tell) && !pipe(until));
	pid = fork();
	if (!pid)
		relay_elsewhere(tell[1], until[0]);
	cr_assert_eq(read(tell[0], &byte, 1), 1);
	relay_bound(kit_listener("127.0.0.1", 8001), kit_listener("127.0.0.1", 8002));
	w = kit_pairs();
	for (size_t i = 0; i < w->nedges; i++) { /* those of other tests' namespaces are not ours */
		const struct ft_pair_edge *e = &w->edge[i].edge;
		bool ours = e->tgid == (uint32_t)getpid();

		if (!ours && e->tgid != (uint32_t)pid)
			continue;
		mine += ours;
		theirs += !ours;
		cr_assert_eq(ft_pair_pattern(e), KIT_ALL);
		cr_assert_eq(e->a_port, 20001);
		cr_assert_eq(e->b_port, 20002);
	}
	cr_assert_eq(mine, 1);
	cr_assert_eq(theirs, 1);
	cr_assert_eq(write(until[1], &byte, 1), 1);
	waitpid(pid, NULL, 0);
}

/* --- before the beginning --- */

Test(pair, connections_that_were_there_before_are_paired_from_now_on)
{
	struct kit_pair front, back, late;
	const struct ft_pair_stats *s;

	kit_isolate();
	front = kit_front();
	back = kit_back();
	kit_exchange(front, back);
	kit_in(front, 100);
	kit_forth(back, 100); /* this answer comes after the beginning */
	kit_pairing(KIT_RELAY, NULL);
	kit_sign(KIT_OUT);
	kit_back_in(back, 200);
	kit_answer(front, 200);
	kit_expect_evidence(front.server, back.client, KIT_BACK);
	kit_exchange(front, back);
	kit_expect_evidence(front.server, back.client, KIT_ALL);
	kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	s = kit_pair_stats(KIT_IN);
	cr_assert_eq(s->exchanges, 1); /* of those that began since */
	for (int i = 0; i < FT_NPAIR_WAIT; i++)
		cr_assert_eq(s->wait[i], 0); /* when it was opened is not known */
	late = kit_back();
	kit_exchange(front, late);
	kit_close_client_first(late);
	kit_close_client_first(front);
	kit_close_client_first(back);
	kit_settle();
	kit_expect_ended(KIT_OUT, KIT_ALL, 2);
	/* of what was there before not all bytes were seen: only the late one can be matched */
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_CLOSED), 1);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_FLOWS), 0);
}

/* --- who leaves --- */

static void either_side_that_closes_ends_the_pair(void)
{
	struct kit_pair front[2], back[2];

	for (int i = 0; i < 2; i++) {
		front[i] = kit_front();
		back[i] = kit_back();
		kit_exchange(front[i], back[i]);
	}
	expect_entries(4, 2, 1);
	kit_close_client_first(front[0]);
	kit_settle();
	expect_entries(3, 1, 1);
	kit_expect_evidence(front[1].server, back[1].client, KIT_ALL);
	kit_close_server_first(back[1]);
	kit_settle();
	expect_entries(2, 0, 1);
	kit_expect_ended(KIT_OUT, KIT_ALL, 2);
	kit_close_client_first(front[1]);
	kit_close_server_first(back[0]);
	kit_settle();
	expect_entries(0, 0, 1);
	kit_expect_ended(KIT_OUT, KIT_ALL, 2); /* each once */
	kit_expect_no_pair_loss();
}

static void all_pairs_of_a_client_end_with_it(void)
{
	struct kit_pair front, back[3];

	front = kit_front();
	for (int i = 0; i < 3; i++) {
		back[i] = kit_back();
		kit_exchange(front, back[i]);
	}
	cr_assert_eq(kit_pairs()->open.pairs, 3);
	kit_close_client_first(front);
	kit_settle();
	kit_expect_edges(2);			  /* the kernel removes the newest at once ... */
	cr_assert_eq(kit_pairs()->open.pairs, 0); /* ... and the others are no pairs any more */
	kit_sleep_ms(1100);
	kit_pairs_sweep();
	kit_expect_edges(0);
	kit_expect_ended(KIT_OUT, KIT_ALL, 3);
	kit_expect_no_pair_loss();
}

static void a_silent_pair_stays_as_long_as_it_is_open(void)
{
	struct kit_pair front, back;

	front = kit_front();
	back = kit_back();
	kit_exchange(front, back);
	for (int i = 0; i < 2; i++) {
		kit_sleep_ms(1100);
		kit_pairs_sweep();
	}
	cr_assert_eq(kit_pairs()->open.pairs, 1);
	cr_assert_eq(kit_pairs()->open.edges[KIT_OUT][KIT_ALL], 1);
	kit_expect_ended(KIT_OUT, KIT_ALL, 0);
	kit_exchange(front, back);
	kit_expect_writes(front.server, back.client, 4);
}

static unsigned int distinct(uint64_t *key, unsigned int n, uint64_t new)
{
	for (unsigned int i = 0; i < n; i++)
		if (key[i] == new)
			return n;
	key[n] = new;
	return n + 1;
}

static void sockets_at_the_same_address_are_told_apart_under_churn(void)
{
	const unsigned int n = 200;
	static uint64_t key[2 * 200];
	unsigned int keys = 0;
	struct ft_pair_verdict v;
	int in;

	in = kit_listener("127.0.0.1", 8001);
	for (unsigned int i = 0; i < n; i++) { /* the client always comes from the same port */
		struct kit_pair front, back;

		front.client = kit_connect_from("127.0.0.1", 20001, "127.0.0.1", 8001);
		cr_assert_geq(front.client, 0);
		front.server = kit_accept(in);
		back = kit_back();
		kit_exchange(front, back);
		cr_assert_eq(kit_pairs()->open.pairs, 1);
		for (size_t k = 0; k < kit_pairs()->nflows; k++)
			keys = distinct(key, keys, kit_pairs()->flow[k].key);
		kit_reset(front.client);
		kit_reset(back.client);
		kit_await_end(front.server);
		kit_await_end(back.server);
		close(front.server);
		close(back.server);
	}
	cr_assert_lt(keys, 2 * n, "no socket address was used twice");
	expect_entries(0, 0, 1);
	kit_expect_ended(KIT_OUT, KIT_ALL, n);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.flows, n);
	cr_assert_eq(v.closed_fanout[1], n);
	cr_assert_eq(v.reuse_flows, n);
	cr_assert_eq(v.reuse_max, 1);
	kit_expect_no_pair_loss();
}

static void an_entry_of_an_earlier_socket_is_not_taken_for_this_one(void)
{
	struct kit_pair front, back;
	struct ft_pair_flow f;
	uint64_t key = 0;

	front = kit_front();
	back = kit_back();
	kit_exchange(front, back);
	for (size_t i = 0; i < kit_pairs()->nflows; i++)
		if (kit_pairs()->flow[i].flow.role == FT_PAIR_A)
			key = kit_pairs()->flow[i].key;
	cr_assert_eq(bpf_map_lookup_elem(map_fd(FT_PAIR_MAP_FLOWS), &key, &f), 0);
	f.port ^= 1; /* another client's, whose end was not seen */
	f.id += 1 << 8;
	cr_assert_eq(bpf_map_update_elem(map_fd(FT_PAIR_MAP_FLOWS), &key, &f, BPF_EXIST), 0);
	kit_exchange(front, back);
	kit_expect_pair_loss(FT_PAIR_LOSS_MISSED_CLOSE, 1);
	cr_assert_eq(kit_pair_flow(KIT_IN, front.server)->exchanges, 1);
	cr_assert_eq(kit_pairs()->nedges, 2); /* the new one's has a name of its own */
	cr_assert_eq(kit_pairs()->open.pairs, 1);
}

static void threads_that_were_not_used_for_a_minute_are_forgotten(void)
{
	static struct ft_pair_thread t = {.used_ns = 1};
	uint64_t id = 1;

	kit_exchange(kit_front(), kit_back());
	cr_assert_eq(bpf_map_update_elem(map_fd(FT_PAIR_MAP_THREADS), &id, &t, BPF_ANY), 0);
	expect_entries(2, 1, 2);
	kit_pairs_sweep();
	expect_entries(2, 1, 1); /* this one */
}

Test(pair, tables)
{
	static const struct kit_case cases[] = {
		KIT_CASE(sockets_of_no_hop_leave_no_trace),
		KIT_CASE(ipv6_is_paired),
		KIT_CASE(mapped_addresses_are_paired),
		KIT_CASE(either_side_that_closes_ends_the_pair),
		KIT_CASE(all_pairs_of_a_client_end_with_it),
		KIT_CASE(a_silent_pair_stays_as_long_as_it_is_open),
		KIT_CASE(sockets_at_the_same_address_are_told_apart_under_churn),
		KIT_CASE(an_entry_of_an_earlier_socket_is_not_taken_for_this_one),
		KIT_CASE(threads_that_were_not_used_for_a_minute_are_forgotten),
	};

	kit_pairing_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

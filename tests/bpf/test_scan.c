/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What one walk over the sockets finds, each made on purpose with real sockets. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"
#define IN  0
#define OUT 1

/* What the kernel notes in jiffies may be off by one, of 10 ms at most. */
#define TICK_NS 20000000

TestSuite(scan, .fini = kit_end, .timeout = 120);

static int listener;

static void count(void)
{
	kit_count(KIT_TRACEPOINT, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
}

static struct kit_pair pair(void)
{
	return kit_pair(listener, "127.0.0.1", 8001);
}

Test(scan, it_meets_each_end_once_and_finds_nothing_missed)
{
	count();
	pair();
	pair();
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(kit_scan(IN).flows, 2);
		cr_assert_eq(kit_found(OUT).flows, 2);
		cr_assert_eq(kit_found(IN).found + kit_found(OUT).found, 0);
		cr_assert_eq(kit_found(FT_MAX_HOPS).flows, 5); /* two ends of two, and a listener */
	}
	kit_expect_loss(0);
}

Test(scan, time_wait_is_on_the_side_that_closes_first)
{
	count();
	kit_close_client_first(pair());
	kit_settle();
	cr_assert_eq(kit_scan(OUT).time_wait, 1);
	cr_assert_eq(kit_found(IN).time_wait, 0);
	kit_close_server_first(pair());
	kit_close_server_first(pair());
	kit_settle();
	cr_assert_eq(kit_scan(OUT).time_wait, 1);
	cr_assert_eq(kit_found(IN).time_wait, 2);
	cr_assert_eq(kit_found(IN).flows + kit_found(OUT).flows, 0);
}

Test(scan, time_wait_over_ipv6_and_of_v4_mapped_sockets_counts_too)
{
	kit_count(KIT_TRACEPOINT, HOPS);
	listener = kit_listen("::", 8001);
	kit_close_client_first(kit_pair(listener, "::1", 8001));
	kit_close_server_first(kit_pair(listener, "127.0.0.1", 8001));
	kit_settle();
	cr_assert_eq(kit_scan(OUT).time_wait, 1);
	cr_assert_eq(kit_found(IN).time_wait, 1);
}

Test(scan, time_wait_has_no_process_that_a_connect_hop_could_ask_for)
{
	kit_count(KIT_TRACEPOINT, "{ name = \"in\"; accept = \"8001\"; },"
				  "{ name = \"out\"; connect = \":8001\"; process = \"tests\"; }");
	listener = kit_listen("127.0.0.1", 8001);
	kit_close_client_first(pair());
	kit_settle();
	cr_assert_eq(kit_scan(OUT).time_wait, 1);
}

/* close() without the peer's FIN: the kernel keeps a mini socket in FIN_WAIT2, which is no
 * TIME_WAIT (ss shows it as FIN-WAIT-2). */
Test(scan, an_orphan_in_fin_wait2_is_no_time_wait)
{
	struct kit_pair p;

	count();
	p = pair();
	close(p.client);
	kit_settle();
	cr_assert_eq(kit_scan(OUT).time_wait, 0);
	cr_assert_eq(kit_found(OUT).fin_wait2, 1);
	close(p.server);
}

Test(scan, a_handshake_that_waits_is_syn_recv_and_in_the_listeners_syn_backlog)
{
	int one = 30, client;

	count();
	/* the kernel drops the final ACK and waits for the first byte */
	cr_assert_eq(setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &one, sizeof(one)), 0);
	client = kit_connect("127.0.0.1", 8001);
	cr_assert_geq(client, 0);
	cr_assert_eq(kit_scan(IN).syn_recv, 1);
	cr_assert_eq(kit_found(IN).syn_backlog, 1);
	cr_assert_eq(kit_found(IN).backlog, 0);
	kit_send(client, 1);
	kit_accept(listener);
	cr_assert_eq(kit_scan(IN).syn_recv, 0);
	cr_assert_eq(kit_found(IN).flows, 1);
}

Test(scan, the_backlog_is_what_waits_for_accept)
{
	kit_count(KIT_TRACEPOINT, HOPS);
	listener = kit_listen_at(IPPROTO_TCP, "127.0.0.1", 8001, 8);
	for (int i = 0; i < 3; i++)
		cr_assert_geq(kit_connect("127.0.0.1", 8001), 0);
	kit_settle();
	cr_assert_eq(kit_scan(IN).backlog, 3);
	cr_assert_eq(kit_found(IN).backlog_limit, 8);
	cr_assert_eq(kit_found(IN).listeners, 1);
	cr_assert_eq(kit_found(IN).flows, 3); /* they are ESTABLISHED */
	kit_accept(listener);
	cr_assert_eq(kit_scan(IN).backlog, 2);
	close(listener); /* resets the two that wait */
	kit_settle();
	cr_assert_eq(kit_scan(IN).listeners, 0);
	cr_assert_eq(kit_found(IN).backlog_limit, 0);
}

Test(scan, held_is_accepted_and_unread)
{
	struct kit_pair p[3];
	char byte;
	int unaccepted;

	count();
	for (int i = 0; i < 3; i++)
		p[i] = pair();
	cr_assert_eq(kit_scan(IN).held, 0);
	kit_send(p[0].client, 100);
	kit_send(p[1].client, 1);
	kit_send(p[2].server, 1); /* unread at the side that connects: no queue */
	unaccepted = kit_connect("127.0.0.1", 8001);
	kit_send(unaccepted, 1); /* in the backlog: nobody holds it */
	kit_await_data(p[0].server, 100);
	kit_await_data(p[1].server, 1);
	kit_await_data(p[2].client, 1);
	cr_assert_eq(kit_scan(IN).held, 2);
	cr_assert_eq(kit_found(OUT).held, 0);
	cr_assert_eq(read(p[1].server, &byte, 1), 1);
	cr_assert_eq(kit_scan(IN).held, 1);
	shutdown(p[1].client, SHUT_WR); /* a FIN is no byte */
	kit_settle();
	cr_assert_eq(kit_scan(IN).held, 1);
}

Test(scan, the_oldest_held_byte_waits_since_the_flow_opened_if_nothing_was_read)
{
	struct kit_pair never, once;
	uint64_t oldest, sends;
	char byte;

	count();
	once = pair();
	kit_send(once.client, 1);
	cr_assert_eq(read(once.server, &byte, 1), 1);
	kit_sleep_ms(600);
	sends = kit_now_ns();
	kit_send(once.client, 1); /* 0.6 s after it opened */
	kit_await_data(once.server, 1);
	oldest = kit_scan(IN).held_oldest_ns;
	cr_assert_lt(oldest, kit_now_ns() - sends + TICK_NS, "%llu", (unsigned long long)oldest);
	cr_assert_eq(read(once.server, &byte, 1), 1);

	never = pair();
	kit_sleep_ms(600);
	kit_send(never.client, 1);
	kit_await_data(never.server, 1);
	oldest = kit_scan(IN).held_oldest_ns;
	cr_assert_gt(oldest, 500000000, "%llu", (unsigned long long)oldest);
	cr_assert_lt(oldest, 10000000000, "%llu", (unsigned long long)oldest);
}

Test(scan, idle_is_counted_from_the_last_byte_of_either_side)
{
	struct kit_pair p[3];
	char byte;

	count();
	for (int i = 0; i < 3; i++)
		p[i] = pair();
	kit_sleep_ms(1300);
	for (int tries = 0; tries < 5; tries++) { /* it has to look within the second */
		uint64_t sends = kit_now_ns();

		kit_send(p[1].client, 1);
		kit_send(p[2].server, 1);
		cr_assert_eq(read(p[1].server, &byte, 1), 1);
		cr_assert_eq(read(p[2].client, &byte, 1), 1);
		kit_scan(IN);
		if (kit_now_ns() - sends < 900000000)
			break;
	}
	for (int hop = IN; hop <= OUT; hop++) {
		struct ft_hop_scan s = kit_found(hop);

		cr_assert_eq(s.idle[0], 2, "hop %d", hop);
		cr_assert_eq(s.idle[1], 1, "hop %d", hop); /* 1 s .. 10 s */
		cr_assert_eq(s.silent, 0);
		cr_assert_gt(s.idle_oldest_ns, 1200000000);
		cr_assert_lt(s.idle_oldest_ns, 9000000000);
	}
}

Test(scan, what_is_held_and_idle_is_told_apart)
{
	count();
	kit_send(pair().client, 1);
	pair();
	kit_sleep_ms(1300);
	cr_assert_eq(kit_scan(IN).held_idle, 1);
	cr_assert_eq(kit_found(IN).idle[1], 2);
}

Test(scan, a_peer_that_does_not_answer_is_stale)
{
	struct kit_pair p, healthy;

	count();
	p = pair();
	healthy = pair();
	kit_send(healthy.client, 1); /* unread, but acknowledged */
	kit_sleep_ms(20);
	cr_assert_eq(kit_scan(OUT).stale, 0);
	cr_assert_eq(
		kit_run("nft 'add table t; add chain t c { type filter hook input priority 0; };"
			"add rule t c tcp dport 8001 drop'",
			NULL, 0),
		0);
	kit_send(p.client, 1);
	/* retransmits after 0.2, 0.4, 0.8 s, or later where an answer took long */
	for (int tries = 0; !kit_scan(OUT).stale && tries < 80; tries++)
		kit_sleep_ms(100);
	cr_assert_eq(kit_found(OUT).stale, 1);
	cr_assert_eq(kit_found(IN).stale, 0);
	cr_assert_eq(kit_run("nft delete table t", NULL, 0), 0);
	for (int tries = 0; kit_scan(OUT).stale && tries < 200; tries++)
		kit_sleep_ms(100); /* the next retransmit gets through */
	cr_assert_eq(kit_found(OUT).stale, 0);
}

Test(scan, an_idle_peer_that_answers_no_probe_is_stale)
{
	int on = 1, soon = 1;
	struct kit_pair p;

	count();
	p = pair();
	cr_assert_eq(setsockopt(p.client, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)), 0);
	cr_assert_eq(setsockopt(p.client, IPPROTO_TCP, TCP_KEEPIDLE, &soon, sizeof(soon)), 0);
	cr_assert_eq(setsockopt(p.client, IPPROTO_TCP, TCP_KEEPINTVL, &soon, sizeof(soon)), 0);
	kit_sleep_ms(2500); /* two probes that are answered */
	cr_assert_eq(kit_scan(OUT).stale, 0);
	cr_assert_eq(
		kit_run("nft 'add table t; add chain t c { type filter hook input priority 0; };"
			"add rule t c tcp dport 8001 drop'",
			NULL, 0),
		0);
	for (int tries = 0; !kit_scan(OUT).stale && tries < 70; tries++)
		kit_sleep_ms(100); /* after nine seconds it is no more */
	cr_assert_eq(kit_found(OUT).stale, 1);
}

/* The one row of the destination 127.0.0.1:8001. */
static int take_ports(void *ctx, const struct ft_ports_key *key, const struct ft_ports_used *used)
{
	cr_assert_eq(key->rport, 8001);
	cr_assert_eq(key->hop, OUT);
	cr_assert_eq(key->netns, kit_netns());
	*(struct ft_ports_used *)ctx = *used;
	return 0;
}

static struct ft_ports_used ports(void)
{
	struct ft_ports_used used = {0};

	kit_scan(OUT);
	cr_assert_eq(ft_probe_ports(kit_probe(FT_SOURCE_TRACEPOINT), take_ports, &used), 0);
	return used;
}

Test(scan, a_local_port_is_taken_until_time_wait_ends)
{
	struct kit_pair p[5];
	struct ft_ports_used used;

	count();
	for (int i = 0; i < 5; i++)
		p[i] = pair();
	used = ports();
	cr_assert_eq(used.used, 5);
	cr_assert_eq(used.time_wait, 0);
	cr_assert_eq(used.mono_ns_before, 0);
	kit_close_client_first(p[0]); /* its port is in TIME_WAIT */
	kit_close_server_first(p[1]); /* free: the server waits */
	kit_settle();
	used = ports();
	cr_assert_eq(used.used, 4);
	cr_assert_eq(used.time_wait, 1);
	cr_assert_eq(used.used_before, 5);
	cr_assert_gt(used.mono_ns, used.mono_ns_before);
}

static void exchange(struct kit_pair p, size_t bytes)
{
	char buf[65536];
	size_t n = 0;

	kit_send(p.client, bytes);
	while (n < bytes) {
		ssize_t got = read(p.server, buf, sizeof(buf));

		cr_assert_gt(got, 0);
		n += (size_t)got;
	}
	kit_send(p.server, 300);
	cr_assert_eq(recv(p.client, buf, 300, MSG_WAITALL), 300);
}

static uint64_t one_shot(enum ft_source door, int hop)
{
	return kit_read(door)->stats[hop].one_shot;
}

Test(scan, one_shot_is_one_request_at_both_ends_and_both_doors)
{
	struct kit_pair p;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	p = pair();
	exchange(p, 200);
	kit_close_server_first(p);
	p = pair();
	exchange(p, 200);
	exchange(p, 200);
	kit_close_client_first(p);
	kit_settle();
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		for (int hop = IN; hop <= OUT; hop++)
			cr_assert_eq(one_shot(door, hop), 1, "door %u hop %d", door, hop);
}

Test(scan, a_configured_bound_makes_short_lives_one_shot)
{
	struct ft_control control;
	uint32_t zero = 0;
	struct kit_pair p[2];
	int map;

	count();
	map = kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_CONTROL];
	cr_assert_eq(bpf_map_lookup_elem(map, &zero, &control), 0);
	control.one_shot_ms = 1500; /* `at once` is sooner, on any machine */
	cr_assert_eq(bpf_map_update_elem(map, &zero, &control, BPF_ANY), 0);
	for (int i = 0; i < 2; i++) {
		p[i] = pair();
		exchange(p[i], 10);
		exchange(p[i], 10);
	}
	kit_close_client_first(p[0]); /* at once */
	kit_sleep_ms(1600);
	kit_close_client_first(p[1]);
	kit_settle();
	cr_assert_eq(one_shot(FT_SOURCE_TRACEPOINT, IN), 1);
	cr_assert_eq(one_shot(FT_SOURCE_TRACEPOINT, OUT), 1);
}

Test(scan, a_flow_that_the_walk_had_to_add_is_found)
{
	struct ft_hop_scan s;
	uint64_t key;

	count();
	pair();
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, IN, 0, &key, NULL));
	cr_assert_eq(bpf_map_delete_elem(kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_FLOWS], &key),
		     0);
	s = kit_scan(IN);
	cr_assert_eq(s.found, 1);
	cr_assert_eq(s.flows, 1);
	s = kit_scan(IN);
	cr_assert_eq(s.found, 0);
	cr_assert_eq(s.flows, 1);
}

Test(scan, where_it_could_not_walk_it_believes_the_table)
{
	count();
	pair();
	kit_scan_nothing();
	cr_assert_eq(kit_found(IN).flows, 1);
	cr_assert_eq(kit_found(OUT).flows, 1);
	cr_assert_eq(kit_found(FT_MAX_HOPS).flows, 0);
}

Test(scan, where_it_could_not_walk_it_believes_flows_of_any_age)
{
	count();
	pair();
	for (int walk = 0; walk < 300; walk++) { /* an entry's stamp comes round after 256 */
		kit_scan_nothing();
		cr_assert_eq(kit_found(IN).flows, 1, "walk %d", walk);
	}
}

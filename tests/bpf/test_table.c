/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow table and what is read from it: entries, peers, lifetimes, the socket dump, and
 * what happens when it is full. */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "addr.h"
#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(table, .fini = kit_end, .timeout = 240);

static void expect_address(const uint8_t addr[16], const char *text)
{
	uint8_t expected[16];

	cr_assert_eq(ft_addr_parse(text, expected), 0);
	cr_assert_eq(memcmp(addr, expected, 16), 0, "the address is not %s", text);
}

Test(table, an_entry_says_who_is_connected_to_whom)
{
	uint64_t before, after;
	struct kit_pair p;
	struct ft_flow f;
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.2", 8001);
	before = kit_now_ns();
	p.client = kit_connect_from("127.0.0.3", 0, "127.0.0.2", 8001);
	after = kit_now_ns();
	p.server = kit_accept(listener);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		bool tracepoint = door == FT_SOURCE_TRACEPOINT;

		cr_assert(kit_find_flow(door, 1, 8001, NULL, &f));
		expect_address(f.laddr, "127.0.0.3");
		expect_address(f.raddr, "127.0.0.2");
		cr_assert_eq(f.lport, kit_port(p.client));
		cr_assert_eq(f.state, FT_ESTABLISHED);
		cr_assert_eq(f.flags, FT_FLOW_OPEN | FT_FLOW_CONNECT);
		cr_assert_eq(f.path, 0x21, "path %x", f.path); /* SYN_SENT, ESTABLISHED */
		cr_assert_eq(f.netns, tracepoint ? kit_netns() : 0);
		if (tracepoint) /* sockops: only where the kernel tells */
			cr_assert_eq(f.pid, (uint32_t)getpid());
		/* the kernel's own stamp of the segment is in microseconds */
		cr_assert_geq(f.opened_ns, before - 1000);
		cr_assert_leq(f.opened_ns, after);

		cr_assert(kit_find_flow(door, 0, kit_port(p.client), NULL, &f));
		expect_address(f.laddr, "127.0.0.2");
		expect_address(f.raddr, "127.0.0.3");
		cr_assert_eq(f.lport, 8001);
		cr_assert_eq(f.flags, FT_FLOW_OPEN);
		cr_assert_eq(f.path, 0x31, "path %x", f.path); /* SYN_RECV, ESTABLISHED */
		cr_assert_eq(f.netns, tracepoint ? kit_netns() : 0);
	}
	shutdown(p.client, SHUT_WR);
	kit_settle(); /* the FIN's ACK may be delayed */
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		cr_assert(kit_find_flow(door, 1, 8001, NULL, &f));
		cr_assert_eq(f.path, 0x2145, "path %x", f.path); /* …, FIN_WAIT1, FIN_WAIT2 */
		cr_assert_eq(f.flags, FT_FLOW_OPEN | FT_FLOW_CONNECT | FT_FLOW_FIN_LOCAL);
		cr_assert(kit_find_flow(door, 0, kit_port(p.client), NULL, &f));
		cr_assert_eq(f.path, 0x318, "path %x", f.path); /* …, CLOSE_WAIT */
		cr_assert_eq(f.flags, FT_FLOW_OPEN | FT_FLOW_FIN_REMOTE);
	}
}

Test(table, a_flow_leaves_the_list_when_it_closes)
{
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < 3; i++) /* the entry may be kept for the next socket: no flow */
		kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001));
	kit_settle();
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		cr_assert_eq(kit_flows(door, -1), 0);
}

Test(table, peers_are_distinct_remote_addresses_of_open_accepted_flows)
{
	uint32_t peers[FT_MAX_HOPS];
	int listener, third;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < 3; i++)
		cr_assert_geq(kit_connect_from("127.0.0.2", 0, "127.0.0.1", 8001), 0);
	cr_assert_geq(kit_connect_from("127.0.0.3", 0, "127.0.0.1", 8001), 0);
	third = kit_connect_from("127.0.0.4", 0, "127.0.0.1", 8001);
	for (int i = 0; i < 4; i++)
		kit_accept(listener);
	kit_reset(third);
	kit_settle();
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		cr_assert_eq(ft_probe_peers(kit_probe(door), 2, peers), 0);
		cr_assert_eq(peers[0], 2, "peers %u", peers[0]); /* .2 and .3; .4 has left */
		cr_assert_eq(peers[1], 0);			 /* a connect hop has none */
	}
}

static bool all_closed(unsigned int n)
{
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		for (unsigned int hop = 0; hop < 2; hop++)
			if (ft_hop_closed(&kit_read(door)->stats[hop]) < n)
				return false;
	return true;
}

Test(table, a_lifetime_lands_in_the_bucket_of_its_bounds)
{
	/* held for about 0, 30, 150 and 1100 ms: <= 10, (10, 100], (100, 1000], (1000, 5000] */
	static const unsigned int hold_ms[] = {0, 30, 150, 1100};
	uint64_t sure[FT_NLIFETIME] = {0}, maybe[FT_NLIFETIME] = {0}, least = 0, most = 0;
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	for (unsigned int i = 0, tries = 1; i < 4; tries++) {
		uint64_t begins = kit_now_ns(), opened, closes, closed;
		struct kit_pair p = kit_pair(listener, "127.0.0.1", 8001);
		int low, high;

		opened = kit_now_ns();
		kit_sleep_ms(hold_ms[i]);
		closes = kit_now_ns();
		kit_close_client_first(p);
		while (!all_closed(tries))
			kit_sleep_ms(1);
		closed = kit_now_ns();
		least += closes - opened;
		most += closed - begins;
		/* a busy machine may have held it for longer, or so that nobody knows: once more */
		low = kit_lifetime_bucket(closes - opened);
		high = kit_lifetime_bucket(closed - begins);
		if (low == high)
			sure[low]++;
		for (int bucket = low; low < high && bucket <= high; bucket++)
			maybe[bucket]++;
		i += low == (int)i && high == low;
		cr_assert_lt(tries, 50, "there is always something else to do here");
	}
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_snapshot *s = kit_read(door);

		for (unsigned int hop = 0; hop < 2; hop++) {
			const struct ft_hop_stats *st = &s->stats[hop];

			for (int i = 0; i < FT_NLIFETIME; i++)
				cr_assert(st->lifetime[i] >= sure[i] &&
						  st->lifetime[i] <= sure[i] + maybe[i],
					  "door %u, hop %u, bucket %d: %llu", door, hop, i,
					  (unsigned long long)st->lifetime[i]);
			/* the kernel's own stamps are in microseconds */
			cr_assert_geq(st->lifetime_sum_ns, least - 50 * 1000);
			cr_assert_leq(st->lifetime_sum_ns, most + 50 * 1000);
		}
	}
}

/* --- dump --- */

static const struct ft_sock_row *find_row(const struct ft_sock_row *row, size_t n, uint16_t lport,
					  uint16_t rport)
{
	for (size_t i = 0; i < n; i++)
		if (row[i].lport == lport && row[i].rport == rport)
			return &row[i];
	cr_assert_fail("no socket %u -> %u in the dump", lport, rport);
	return NULL;
}

static uint64_t inode_of(int fd)
{
	struct stat st;

	cr_assert_eq(fstat(fd, &st), 0);
	return st.st_ino;
}

Test(table, the_dump_has_one_row_per_socket)
{
	const struct ft_sock_row *r;
	struct ft_sock_row *row;
	struct kit_pair p;
	uint16_t port;
	uint64_t key;
	size_t n;
	int listener;

	kit_count(KIT_TRACEPOINT, HOPS);
	listener = kit_listen_at(0, "127.0.0.1", 8001, 10);
	p = kit_pair(listener, "127.0.0.1", 8001);
	port = kit_port(p.client);
	kit_send(p.client, 1000);	/* the server does not read */
	kit_connect("127.0.0.1", 8001); /* and does not accept this one and the next */
	kit_connect("127.0.0.1", 8001);
	kit_sleep_ms(200);
	cr_assert_eq(ft_probe_dump(kit_probe(FT_SOURCE_TRACEPOINT), NULL, 0, &row, &n), 0);
	cr_assert_eq(n, 7, "%zu rows", n); /* the listener and both ends of three */

	r = find_row(row, n, 8001, port);
	expect_address(r->laddr, "127.0.0.1");
	expect_address(r->raddr, "127.0.0.1");
	cr_assert_eq(r->state, FT_ESTABLISHED);
	cr_assert_eq(r->accepted, 1);
	cr_assert_eq(r->unread_bytes, 1000);
	cr_assert_eq(r->unsent_bytes, 0);
	cr_assert_eq(r->inode, inode_of(p.server));
	cr_assert_eq(r->netns, kit_netns());
	cr_assert_geq(r->idle_ns, 190000000ULL); /* slept for 200 ms */
	cr_assert_leq(r->idle_ns, 1500000000ULL);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, port, &key, NULL));
	cr_assert_eq(r->key, key); /* joins the flow table */

	r = find_row(row, n, port, 8001);
	cr_assert_eq(r->accepted, 0);
	cr_assert_eq(r->unread_bytes, 0);
	cr_assert_eq(r->inode, inode_of(p.client));

	r = find_row(row, n, 8001, 0);
	cr_assert_eq(r->state, FT_LISTEN);
	cr_assert_eq(r->inode, inode_of(listener));
	cr_assert_eq(r->unread_bytes, 2);  /* two connections wait */
	cr_assert_eq(r->unsent_bytes, 10); /* its backlog */
	free(row);
}

Test(table, unread_bytes_go_when_they_are_read)
{
	const struct ft_sock_row *r;
	struct ft_sock_row *row;
	struct kit_pair p;
	char buffer[600];
	size_t n;

	kit_count(KIT_TRACEPOINT, HOPS);
	p = kit_pair(kit_listen("127.0.0.1", 8001), "127.0.0.1", 8001);
	kit_send(p.client, 1000);
	cr_assert_eq(read(p.server, buffer, sizeof(buffer)), (ssize_t)sizeof(buffer));
	shutdown(p.client, SHUT_WR); /* a FIN has a sequence number and is no byte */
	kit_settle();
	cr_assert_eq(ft_probe_dump(kit_probe(FT_SOURCE_TRACEPOINT), NULL, 0, &row, &n), 0);
	r = find_row(row, n, 8001, kit_port(p.client));
	cr_assert_eq(r->state, FT_CLOSE_WAIT);
	cr_assert_eq(r->unread_bytes, 400, "unread %u", r->unread_bytes); /* 1000 - 600 */
	r = find_row(row, n, kit_port(p.client), 8001);
	cr_assert_eq(r->unread_bytes, 0, "unread %u", r->unread_bytes);
	cr_assert_eq(r->unsent_bytes, 0, "unsent %u", r->unsent_bytes);
	free(row);
}

/* --- a table that is too small --- */

#define SMALL  1024
#define PLACES (SMALL + SMALL / 4) /* a quarter more, for closed entries that are kept */

static void raise_fd_limit(void)
{
	const struct rlimit lim = {8192, 8192};

	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &lim), 0);
}

/* On one CPU: on two the last place may be given away twice (alloc_htab_elem() in
 * kernel/bpf/hashtab.c looks whether there is room, and counts the new entry afterwards). */
static void count_small(const char *hops)
{
	const struct kit_options o = {.max_flows = SMALL};

	kit_stay_here();
	raise_fd_limit();
	kit_load(KIT_BOTH, &o);
	kit_hops(hops);
	kit_start();
}

Test(table, at_twice_its_capacity_every_count_is_exact)
{
	/* 1280 connections = 2560 flows for 1280 places */
	struct kit_hop e[2] = {{.opened = PLACES}, {.opened = PLACES}};
	static struct kit_pair p[PLACES];
	int listener;

	count_small(HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < PLACES; i++)
		p[i] = kit_pair(listener, "127.0.0.1", 8001);
	kit_path(&e[0], PLACES, KIT_ACCEPTED);
	kit_path(&e[1], PLACES, KIT_CONNECTED);
	kit_expect("in", &e[0]);
	kit_expect("out", &e[1]);
	kit_expect_loss(1U << FT_LOSS_TABLE_FULL);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_totals *t = &kit_read(door)->totals;

		cr_assert_eq(t->loss[FT_LOSS_TABLE_FULL], 2 * PLACES - kit_flows(door, -1),
			     "door %u: table_full %llu, but %u of %u flows have an entry", door,
			     (unsigned long long)t->loss[FT_LOSS_TABLE_FULL], kit_flows(door, -1),
			     2 * PLACES);
		cr_assert_eq(kit_flows(door, -1), PLACES);
	}

	for (int i = 0; i < PLACES; i++)
		kit_close_client_first(p[i]);
	kit_settle(); /* how many had an entry is read before what they come to is awaited */
	e[0].closed[FT_CLOSED_REMOTE] = e[1].closed[FT_CLOSED_LOCAL] = PLACES;
	kit_path(&e[0], PLACES, "ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], PLACES, "ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE");
	for (unsigned int hop = 0; hop < 2; hop++) { /* no entry: no time of opening */
		const struct ft_hop_stats *s = &kit_read(FT_SOURCE_TRACEPOINT)->stats[hop];

		e[hop].untimed = PLACES;
		for (int i = 0; i < FT_NLIFETIME; i++)
			e[hop].untimed -= s->lifetime[i];
	}
	cr_assert_eq(e[0].untimed + e[1].untimed, PLACES, "not one lifetime per entry");
	kit_expect("in", &e[0]);
	kit_expect("out", &e[1]);
	kit_expect_loss(1U << FT_LOSS_TABLE_FULL | 1U << FT_LOSS_UNMATCHED_CLOSE);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_snapshot *s = kit_read(door);

		cr_assert_eq(s->totals.loss[FT_LOSS_UNMATCHED_CLOSE], PLACES);
		cr_assert_eq(ft_hop_active(&s->stats[0]) + ft_hop_active(&s->stats[1]), 0);
		cr_assert_eq(kit_flows(door, -1), 0);
	}
}

Test(table, a_table_that_was_full_takes_flows_again)
{
	static int client[PLACES + 10];
	int listener;

	count_small("{ name = \"in\"; accept = \"8001\"; }");
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < PLACES + 10; i++) /* accepted ends only: 10 find no place */
		client[i] = kit_connect("127.0.0.1", 8001);
	kit_settle();
	kit_audit(NULL); /* it meets the ten again, and has nothing new to say of them */
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		cr_assert_eq(kit_read(door)->totals.loss[FT_LOSS_TABLE_FULL], 10);
	for (int i = 0; i < PLACES + 10; i++)
		kit_reset(client[i]);
	kit_settle();
	kit_connect("127.0.0.1", 8001);
	kit_settle();
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_snapshot *s = kit_read(door);

		cr_assert_eq(s->totals.loss[FT_LOSS_TABLE_FULL], 10); /* no further one */
		cr_assert_eq(s->totals.loss[FT_LOSS_UNMATCHED_CLOSE], 10, "door %u: %llu", door,
			     (unsigned long long)s->totals.loss[FT_LOSS_UNMATCHED_CLOSE]);
		cr_assert_eq(ft_hop_active(&s->stats[0]), 1);
		cr_assert_eq(kit_flows(door, 0), 1);
	}
	close(listener);
}

Test(table, closed_flows_never_take_the_place_of_open_ones)
{
	int listener;

	/* 400 flows come and go; IPv6, whose sockets have addresses of their own, and then 1000
	 * stay open in a table for 1024 */
	count_small("{ name = \"in\"; accept = \"8001\"; }");
	listener = kit_listen("::", 8001);
	for (int i = 0; i < 400; i++)
		kit_connect("::1", 8001);
	for (int i = 0; i < 400; i++)
		close(kit_accept(listener));
	close(listener);
	listener = kit_listen("127.0.0.2", 8001);
	for (int i = 0; i < 1000; i++)
		cr_assert_geq(kit_connect("127.0.0.2", 8001), 0);
	kit_settle();
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		const struct ft_totals *t = &kit_read(door)->totals;

		cr_assert_eq(t->loss[FT_LOSS_TABLE_FULL], 0, "door %u: table_full %llu, %u entries",
			     door, (unsigned long long)t->loss[FT_LOSS_TABLE_FULL],
			     kit_flows(door, -1));
	}
}

Test(table, hops_without_room_are_a_counter_that_does_not_fall)
{
	struct ft_probe *p;

	kit_count(KIT_TRACEPOINT, HOPS);
	p = kit_probe(FT_SOURCE_TRACEPOINT);
	ft_probe_set_no_room(p, 2); /* two listeners that are always there */
	ft_probe_set_no_room(p, 5); /* and three destinations that were connected to just now */
	ft_probe_set_no_room(p, 2);
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->totals.loss[FT_LOSS_NO_RULE_SLOT], 5);
}

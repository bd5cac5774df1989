/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Connects that never reach ESTABLISHED, and those that the kernel refuses before a packet
 * leaves. What needs a wire to lose packets on is in test_wire.c. */
#include <errno.h>
#include <unistd.h>

#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(connecting, .fini = kit_end, .timeout = 120);

static const struct kit_hop nothing;

Test(connecting, a_refused_connect_is_failed_and_never_opened)
{
	struct kit_hop e[2] = {nothing, {.failed[FT_FAILED_REFUSED] = 3}};

	kit_count(KIT_BOTH, HOPS); /* nobody listens */
	for (int i = 0; i < 3; i++)
		cr_assert_eq(kit_connect("127.0.0.1", 8001), -ECONNREFUSED);
	kit_path(&e[1], 3, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

Test(connecting, a_refused_ipv6_connect_is_failed)
{
	struct kit_hop e[2] = {nothing, {.failed[FT_FAILED_REFUSED] = 1}};

	kit_count(KIT_BOTH, HOPS);
	cr_assert_eq(kit_connect("::1", 8001), -ECONNREFUSED);
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

/* IPv4's firewalls say port unreachable (refused) or host unreachable; IPv6 has a word of its own.
 */
Test(connecting, what_an_ipv6_firewall_prohibits_is_unreachable)
{
	struct kit_hop e = {.failed[FT_FAILED_UNREACHABLE] = 1};

	kit_count(KIT_BOTH, HOPS);
	if (kit_run("nft 'add table ip6 t; add chain ip6 t c { type filter hook output priority 0; "
		    "};"
		    "add rule ip6 t c tcp dport 8001 reject with icmpv6 type admin-prohibited'",
		    NULL, 0))
		kit_skip("nft cannot reject here");
	cr_assert_eq(kit_connect("::1", 8001), -EACCES);
	kit_path(&e, 1, "CLOSE SYN_SENT CLOSE");
	kit_expect("out", &e);
}

Test(connecting, a_socket_that_was_refused_can_open_later)
{
	struct kit_hop e[2] = {{.opened = 1, .closed[FT_CLOSED_REMOTE] = 1},
			       {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1}};
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	struct kit_pair p;
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	cr_assert_eq(getsockname(listener, (struct sockaddr *)&to, &len), 0);
	close(listener);
	p.client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(connect(p.client, (struct sockaddr *)&to, len), -1);
	e[1].failed[FT_FAILED_REFUSED] = 1;
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");

	listener = kit_listen("127.0.0.1", 8001);
	cr_assert_eq(connect(p.client, (struct sockaddr *)&to, len), 0, "connect: %m");
	p.server = kit_accept(listener);
	kit_close_client_first(p);
	kit_path(&e[0], 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect_all(e, 2);
}

Test(connecting, a_destination_without_a_route_counts_nothing)
{
	const struct kit_hop e[2] = {nothing, nothing};

	kit_count(KIT_BOTH, HOPS);
	/* no route at all: connect() fails before the state changes */
	cr_assert_eq(kit_connect("10.77.0.1", 8001), -ENETUNREACH);
	cr_assert_eq(kit_run("ip route add unreachable 10.77.0.0/16", NULL, 0), 0);
	cr_assert_eq(kit_connect("10.77.0.1", 8001), -EHOSTUNREACH);
	kit_expect_all(e, 2);
}

/*
 * The documented difference between the doors: the state is SYN_SENT while a local port is
 * looked for, so the tracepoint sees a connect that ends without one. The sockops
 * program is called when the SYN is sent, which never happens.
 */
static void exhaust_ports(unsigned int door, struct kit_hop *out)
{
	int listener;

	kit_load(door, NULL);
	kit_hops(HOPS);
	kit_start();
	listener = kit_listen("127.0.0.1", 8001);
	cr_assert_eq(kit_run("sysctl -qw net.ipv4.ip_local_port_range='40000 40000'", NULL, 0), 0);
	kit_pair(listener, "127.0.0.1", 8001); /* takes the only port there is */
	cr_assert_eq(kit_connect("127.0.0.1", 8001), -EADDRNOTAVAIL);
	out->opened = 1;
	kit_path(out, 1, KIT_CONNECTED);
}

Test(connecting, a_connect_without_a_free_port_is_failed_at_the_tracepoint)
{
	struct kit_hop e[2] = {{.opened = 1}, {.failed[FT_FAILED_NO_PORT] = 1}};

	exhaust_ports(KIT_TRACEPOINT, &e[1]);
	kit_path(&e[0], 1, KIT_ACCEPTED);
	kit_path(&e[1], 1, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

Test(connecting, a_connect_without_a_free_port_is_unknown_to_sockops)
{
	struct kit_hop e[2] = {{.opened = 1}, {0}};

	exhaust_ports(KIT_SOCKOPS, &e[1]);
	kit_path(&e[0], 1, KIT_ACCEPTED);
	kit_expect_all(e, 2);
}

Test(connecting, a_connect_is_counted_once_per_attempt_over_many_sockets)
{
	/* refused 200, opened 200: what fails leaves nothing behind that disturbs what opens */
	struct kit_hop e[2] = {
		{.opened = 200, .closed[FT_CLOSED_REMOTE] = 200},
		{.opened = 200, .closed[FT_CLOSED_LOCAL] = 200, .failed[FT_FAILED_REFUSED] = 200}};
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < 200; i++) {
		kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001));
		cr_assert_eq(kit_connect("127.0.0.2", 8001), -ECONNREFUSED);
	}
	kit_path(&e[0], 200, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], 200, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&e[1], 200, "CLOSE SYN_SENT CLOSE");
	kit_expect_all(e, 2);
}

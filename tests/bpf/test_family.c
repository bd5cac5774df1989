/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Address families and protocols that share one port, and network namespaces. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "addr.h"
#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(family, .fini = kit_end, .timeout = 120);

/* n connections, closed by the client. */
static void expect_closed(unsigned int n)
{
	struct kit_hop e[2] = {{.opened = n}, {.opened = n}};

	e[0].closed[FT_CLOSED_REMOTE] = n;
	e[1].closed[FT_CLOSED_LOCAL] = n;
	kit_path(&e[0], n, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], n, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect_all(e, 2);
}

Test(family, ipv6_is_counted_like_ipv4)
{
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("::1", 8001);
	kit_close_client_first(kit_pair(listener, "::1", 8001));
	expect_closed(1);
}

Test(family, a_dual_stack_listener_is_one_hop)
{
	struct kit_pair p[2];
	uint8_t v4[16], v6[16];
	struct ft_flow f;
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = kit_listen("::", 8001);
	p[0] = kit_pair(listener, "127.0.0.1", 8001); /* ::ffff:127.0.0.1 for the listener */
	p[1] = kit_pair(listener, "::1", 8001);
	ft_addr_parse("127.0.0.1", v4);
	ft_addr_parse("::1", v6);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		cr_assert(kit_find_flow(door, 0, kit_port(p[0].client), NULL, &f));
		cr_assert_eq(memcmp(f.raddr, v4, 16), 0, "the v4 peer is not in its one form");
		cr_assert_eq(memcmp(f.laddr, v4, 16), 0);
		cr_assert(kit_find_flow(door, 0, kit_port(p[1].client), NULL, &f));
		cr_assert_eq(memcmp(f.raddr, v6, 16), 0);
	}
	kit_close_client_first(p[0]);
	kit_close_client_first(p[1]);
	expect_closed(2); /* one v4, one v6, on the same hops */
}

Test(family, a_v4_rule_matches_v4_mapped_sockets_at_both_ends)
{
	int listener;

	kit_count(KIT_BOTH, "{ name = \"in\"; accept = \"127.0.0.1:8001\"; },"
			    "{ name = \"out\"; connect = \"127.0.0.0/8:8001\"; }");
	listener = kit_listen("::", 8001);
	kit_close_client_first(kit_pair(listener, "::ffff:127.0.0.1", 8001));
	kit_pair(listener, "::1", 8001); /* no v4 address: no hop */
	expect_closed(1);
}

static int mptcp_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);

	if (fd < 0)
		kit_skip("no MPTCP in this kernel: %s", strerror(errno));
	close(fd);
	return kit_listen_at(IPPROTO_MPTCP, "127.0.0.1", 8001, 16);
}

Test(family, a_tcp_client_of_an_mptcp_listener_is_one_flow)
{
	int listener;

	kit_count(KIT_BOTH, HOPS);
	listener = mptcp_listener();
	kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001));
	expect_closed(1); /* the subflow; its MPTCP socket is no TCP socket */
}

Test(family, an_mptcp_connection_is_one_flow_per_subflow)
{
	struct kit_hop e[2] = {{.opened = 1}, {.opened = 1}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(8001)};
	uint64_t closed[2];
	int listener, server, client;
	char byte;

	kit_count(KIT_BOTH, HOPS);
	listener = mptcp_listener();
	client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	cr_assert_eq(connect(client, (struct sockaddr *)&to, sizeof(to)), 0, "connect: %m");
	server = kit_accept(listener);
	kit_send(client, 1);
	cr_assert_eq(read(server, &byte, 1), 1);
	kit_path(&e[0], 1, KIT_ACCEPTED); /* one subflow: no second path on loopback */
	kit_path(&e[1], 1, KIT_CONNECTED);
	kit_expect_all(e, 2);

	close(client);
	kit_await_end(server);
	close(server);
	/* DATA_FIN comes before the subflow's FIN, and the kernel's worker may close both ends
	 * at once, so the way is not fixed: closed once, the same at both doors. */
	for (int tries = 0; tries < 500; tries++) {
		for (unsigned int hop = 0; hop < 2; hop++)
			closed[hop] = ft_hop_closed(&kit_read(FT_SOURCE_TRACEPOINT)->stats[hop]);
		if (closed[0] && closed[1])
			break;
		kit_sleep_ms(10);
	}
	kit_sleep_ms(50);
	for (unsigned int hop = 0; hop < 2; hop++) {
		const struct ft_hop_stats *t = &kit_read(FT_SOURCE_TRACEPOINT)->stats[hop];
		const struct ft_hop_stats *s = &kit_read(FT_SOURCE_SOCKOPS)->stats[hop];

		cr_assert_eq(ft_hop_closed(t), 1);
		cr_assert_eq(t->opened, 1);
		cr_assert_eq(memcmp(t->transition, s->transition, sizeof(t->transition)), 0);
		cr_assert_eq(memcmp(t->closed, s->closed, sizeof(t->closed)), 0);
	}
	kit_expect_loss(0);
}

/* --- network namespaces --- */

/* Ports of this run: with all namespaces in view, other tests' ports are in view too, and the
 * end-to-end cases' begin at 20000. */
static uint16_t run_port(void)
{
	return 21000 + getpid() % 9000;
}

/* One connection in a namespace of its own, closed by the client. */
static void connect_elsewhere(uint16_t port)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWNET) || kit_run("ip link set lo up", NULL, 0))
			_exit(1);
		kit_close_client_first(kit_pair(kit_listen("127.0.0.1", port), "127.0.0.1", port));
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0);
}

static void count_two_namespaces(bool all)
{
	const struct kit_options o = {.all_netns = all};
	uint16_t port = run_port();
	char hops[128];

	snprintf(hops, sizeof(hops),
		 "{ name = \"in\"; accept = \"%u\"; }, { name = \"out\"; connect = \":%u\"; }",
		 port, port);
	kit_load(KIT_TRACEPOINT, &o);
	kit_hops(hops);
	kit_start();
	kit_close_client_first(kit_pair(kit_listen("127.0.0.1", port), "127.0.0.1", port));
	connect_elsewhere(port);
}

Test(family, without_a_filter_every_network_namespace_counts)
{
	count_two_namespaces(true);
	expect_closed(2); /* here and there */
}

Test(family, with_a_filter_only_that_network_namespace_counts)
{
	count_two_namespaces(false);
	expect_closed(1);
}

Test(family, flows_of_two_namespaces_with_equal_addresses_are_two_flows)
{
	const struct kit_options o = {.all_netns = true};
	uint16_t port = run_port();
	char hops[128], byte = 0;
	int ready[2], stop[2];
	pid_t pid;

	snprintf(hops, sizeof(hops), "{ name = \"in\"; accept = \"%u\"; }", port);
	kit_load(KIT_TRACEPOINT, &o);
	kit_hops(hops);
	kit_start();
	cr_assert_eq(pipe(ready) | pipe(stop), 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(stop[1]);
		if (unshare(CLONE_NEWNET) || kit_run("ip link set lo up", NULL, 0))
			_exit(1);
		kit_listen("127.0.0.1", port);
		kit_connect_from("127.0.0.1", port + 1, "127.0.0.1", port);
		_exit(write(ready[1], &byte, 1) != 1 || read(stop[0], &byte, 1) != 0);
	}
	kit_listen("127.0.0.1", port);
	kit_connect_from("127.0.0.1", port + 1, "127.0.0.1", port);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	kit_settle();
	cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, 0), 2); /* the same 4-tuple, twice */
	cr_assert_eq(ft_hop_active(&kit_read(FT_SOURCE_TRACEPOINT)->stats[0]), 2);
	close(stop[1]);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

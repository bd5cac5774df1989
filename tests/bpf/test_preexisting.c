/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Flows and listeners that were there before counting began. The sockops door knows nothing
 * of them, by design; the tracepoint door's first walk finds them. */
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(preexisting, .init = kit_isolate, .fini = kit_end, .timeout = 120);

Test(preexisting, open_flows_are_active_and_never_opened_whatever_their_state)
{
	struct kit_hop e[2] = {{.preexisting = 3}, {.preexisting = 3}};
	int listener = kit_listen("127.0.0.1", 8001);
	struct kit_pair both_open = kit_pair(listener, "127.0.0.1", 8001);
	struct kit_pair client_done = kit_pair(listener, "127.0.0.1", 8001);
	struct kit_pair server_done = kit_pair(listener, "127.0.0.1", 8001);

	shutdown(client_done.client, SHUT_WR); /* FIN_WAIT2 here, CLOSE_WAIT there */
	shutdown(server_done.server, SHUT_WR);
	kit_count(KIT_TRACEPOINT, HOPS);
	/* one of each state at each end; where they come from was not seen */
	for (int hop = 0; hop < 2; hop++) {
		kit_path(&e[hop], 1, "UNSEEN ESTABLISHED");
		kit_path(&e[hop], 1, "UNSEEN FIN_WAIT2");
		kit_path(&e[hop], 1, "UNSEEN CLOSE_WAIT");
	}
	kit_expect_all(e, 2);

	kit_close_client_first(both_open);
	kit_await_end(client_done.server);
	close(client_done.server);
	kit_await_end(server_done.client);
	close(server_done.client);
	/* accepting: the client's FIN came first on two, this end's on one */
	e[0].closed[FT_CLOSED_REMOTE] = 2;
	e[0].closed[FT_CLOSED_LOCAL] = 1;
	kit_path(&e[0], 1, "ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[0], 1, "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[0], 1, "FIN_WAIT2 CLOSE");
	e[1].closed[FT_CLOSED_LOCAL] = 2;
	e[1].closed[FT_CLOSED_REMOTE] = 1;
	kit_path(&e[1], 1, "ESTABLISHED FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&e[1], 1, "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], 1, "FIN_WAIT2 CLOSE");
	e[0].untimed = e[1].untimed = 3; /* how long they were open is not known */
	kit_expect_all(e, 2);
}

Test(preexisting, closed_flows_are_as_if_they_had_never_been)
{
	const struct kit_hop nothing[2] = {{0}};
	int listener = kit_listen("127.0.0.1", 8001);

	kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001)); /* TIME_WAIT */
	kit_close_server_first(kit_pair(listener, "127.0.0.1", 8001));
	kit_count(KIT_TRACEPOINT, HOPS);
	kit_expect_all(nothing, 2);
}

/* Which end accepted is told by the listener, not by the smaller port. */
static void expect_direction(uint16_t client_port)
{
	struct kit_hop e[2] = {{.preexisting = 1}, {.preexisting = 1}};
	struct ft_flow f;
	int listener = kit_listen("127.0.0.1", 8001);

	cr_assert_geq(kit_connect_from("127.0.0.1", client_port, "127.0.0.1", 8001), 0);
	kit_accept(listener);
	kit_count(KIT_TRACEPOINT, HOPS);
	kit_path(&e[0], 1, "UNSEEN ESTABLISHED");
	kit_path(&e[1], 1, "UNSEEN ESTABLISHED");
	kit_expect_all(e, 2);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, client_port, NULL, &f));
	cr_assert_eq(f.lport, 8001);
	cr_assert(f.flags & FT_FLOW_PREEXISTING);
	cr_assert_eq(f.opened_ns, 0);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 1, 8001, NULL, &f));
	cr_assert_eq(f.lport, client_port);
}

Test(preexisting, the_listener_tells_the_direction_when_the_client_port_is_lower)
{
	expect_direction(1234);
}

Test(preexisting, the_listener_tells_the_direction_when_the_client_port_is_higher)
{
	expect_direction(40000);
}

Test(preexisting, a_dual_stack_listener_tells_the_direction_of_its_v4_flows)
{
	struct kit_hop e[2] = {{.preexisting = 2}, {.preexisting = 2}};
	int listener = kit_listen("::", 8001);

	kit_pair(listener, "127.0.0.1", 8001);
	kit_pair(listener, "::1", 8001);
	kit_count(KIT_TRACEPOINT, HOPS);
	kit_path(&e[0], 2, "UNSEEN ESTABLISHED");
	kit_path(&e[1], 2, "UNSEEN ESTABLISHED");
	kit_expect_all(e, 2);
}

Test(preexisting, a_flow_that_nobody_has_accepted_yet_is_there)
{
	struct kit_hop e[2] = {{.preexisting = 1}, {.preexisting = 1}};

	kit_listen("127.0.0.1", 8001);
	cr_assert_geq(kit_connect("127.0.0.1", 8001), 0); /* in the accept queue */
	kit_count(KIT_TRACEPOINT, HOPS);
	kit_path(&e[0], 1, "UNSEEN ESTABLISHED");
	kit_path(&e[1], 1, "UNSEEN ESTABLISHED");
	kit_expect_all(e, 2);
}

Test(preexisting, a_flow_whose_listener_is_gone_is_not_taken_for_accepted)
{
	/* nothing tells which end accepted: it can only be taken for a connecting one, to the
	 * other end's port, and no hop names that */
	struct kit_hop e[2] = {{0}, {.preexisting = 1}};
	int listener = kit_listen("127.0.0.1", 8001);

	kit_pair(listener, "127.0.0.1", 8001);
	close(listener);
	kit_count(KIT_TRACEPOINT, HOPS);
	kit_path(&e[1], 1, "UNSEEN ESTABLISHED");
	kit_expect_all(e, 2);
}

Test(preexisting, a_flow_accepted_later_outlives_its_listener)
{
	struct kit_hop e[2] = {{.opened = 1, .closed[FT_CLOSED_REMOTE] = 1},
			       {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1}};
	struct kit_pair p;
	int listener;

	kit_enter_cgroup();
	listener = kit_listen("127.0.0.1", 8001);
	kit_count(KIT_BOTH, HOPS);
	p = kit_pair(listener, "127.0.0.1", 8001); /* a listener from before, a flow from now */
	close(listener);
	kit_close_client_first(p);
	kit_path(&e[0], 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect_all(e, 2);
}

Test(preexisting, sockops_counts_nothing_of_a_flow_from_before)
{
	const struct kit_hop nothing[2] = {{0}};
	struct kit_pair p;

	kit_enter_cgroup();
	p = kit_pair(kit_listen("127.0.0.1", 8001), "127.0.0.1", 8001);
	kit_count(KIT_SOCKOPS, HOPS);
	kit_close_client_first(p); /* nor its close: loss is 0 */
	kit_expect_all(nothing, 2);
}

#define BLOCKED 30

static pid_t spawn_acceptor(int listener)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		kit_await_end(fd);
		close(fd);
	}
}

Test(preexisting, processes_blocked_in_accept_miss_nothing)
{
	/* 30 accept() calls began before we did; two connections for each */
	struct kit_hop e[2] = {{.opened = 2 * BLOCKED}, {.opened = 2 * BLOCKED}};
	int listener, client[BLOCKED];
	pid_t pid[BLOCKED];

	kit_enter_cgroup();
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < BLOCKED; i++)
		pid[i] = spawn_acceptor(listener);
	kit_sleep_ms(100);
	kit_count(KIT_BOTH, HOPS);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < BLOCKED; i++)
			client[i] = kit_connect("127.0.0.1", 8001);
		for (int i = 0; i < BLOCKED; i++)
			close(client[i]);
	}
	e[0].closed[FT_CLOSED_REMOTE] = e[1].closed[FT_CLOSED_LOCAL] = 2 * BLOCKED;
	kit_path(&e[0], 2 * BLOCKED, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&e[1], 2 * BLOCKED, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect_all(e, 2);
	for (int i = 0; i < BLOCKED; i++) {
		kill(pid[i], SIGKILL);
		waitpid(pid[i], NULL, 0);
	}
}

Test(preexisting, a_hop_that_is_added_while_counting_finds_its_open_flows)
{
	struct kit_hop e[2] = {{.opened = 1}, {.preexisting = 1}};

	kit_count(KIT_TRACEPOINT, "{ name = \"first\"; accept = \"8001\"; }");
	kit_pair(kit_listen("127.0.0.1", 8001), "127.0.0.1", 8001);
	kit_pair(kit_listen("127.0.0.1", 8002), "127.0.0.1", 8002);
	kit_hops("{ name = \"first\"; accept = \"8001\"; },"
		 "{ name = \"second\"; accept = \"8002\"; }");
	cr_assert_eq(ft_probe_fill(kit_probe(FT_SOURCE_TRACEPOINT), NULL, 0), 0);
	kit_path(&e[0], 1, KIT_ACCEPTED); /* as it was */
	kit_path(&e[1], 1, "UNSEEN ESTABLISHED");
	kit_expect_all(e, 2);
}

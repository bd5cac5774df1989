/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every way in which an established flow ends, through both doors on the same traffic. One
 * loopback connection is two flows: its accepted end at hop "in", its connecting at "out". */
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kit.h"

#define PORT 8001
#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(closing, .fini = kit_end, .timeout = 120);

static int start(void)
{
	kit_count(KIT_BOTH, HOPS);
	return kit_listen("127.0.0.1", PORT);
}

static void expect(const struct kit_hop *in, const struct kit_hop *out)
{
	const struct kit_hop both[] = {*in, *out};

	kit_expect_all(both, 2);
}

Test(closing, an_open_flow_is_active_at_both_ends)
{
	struct kit_hop in = {.opened = 1}, out = {.opened = 1};

	kit_pair(start(), "127.0.0.1", PORT);
	kit_path(&in, 1, KIT_ACCEPTED);
	kit_path(&out, 1, KIT_CONNECTED);
	expect(&in, &out);
}

Test(closing, a_client_that_closes_first_is_the_local_end_of_its_flow)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};

	kit_close_client_first(kit_pair(start(), "127.0.0.1", PORT));
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	/* TIME_WAIT is no full socket: FIN_WAIT2 ends in CLOSE */
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	expect(&in, &out);
}

Test(closing, a_server_that_closes_first_is_the_remote_end_of_the_client)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};

	kit_close_server_first(kit_pair(start(), "127.0.0.1", PORT));
	kit_path(&in, 1, KIT_ACCEPTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "CLOSE_WAIT LAST_ACK CLOSE");
	expect(&in, &out);
}

Test(closing, a_half_closed_flow_stays_active_until_its_other_half_closes)
{
	struct kit_hop in = {.opened = 1}, out = {.opened = 1};
	int listener = start();
	uint64_t begins = kit_now_ns(), slept;
	struct kit_pair p = kit_pair(listener, "127.0.0.1", PORT);
	char byte[100];

	shutdown(p.client, SHUT_WR);
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT");
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2");
	expect(&in, &out); /* active 1 and 1: nothing is closed */

	kit_send(p.server, sizeof(byte)); /* a half-closed flow carries data */
	cr_assert_eq(read(p.client, byte, sizeof(byte)), (ssize_t)sizeof(byte));
	slept = kit_now_ns();
	kit_sleep_ms(150); /* a long CLOSE_WAIT: lifetime is to CLOSE, not to the FIN */
	slept = kit_now_ns() - slept;
	kit_await_end(p.server);
	close(p.server);
	kit_await_end(p.client);
	close(p.client);
	kit_path(&in, 1, "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&out, 1, "FIN_WAIT2 CLOSE");
	in.closed[FT_CLOSED_REMOTE] = 1;
	out.closed[FT_CLOSED_LOCAL] = 1;
	expect(&in, &out);
	for (unsigned int hop = 0; hop < 2; hop++)
		kit_expect_lifetime(hop, slept, kit_now_ns() - begins);
}

Test(closing, the_lifetime_of_an_orphan_ends_when_its_process_closes_it)
{
	struct kit_hop in = {.opened = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	int listener = start();
	uint64_t begins = kit_now_ns(), slept;
	struct kit_pair p = kit_pair(listener, "127.0.0.1", PORT);

	shutdown(p.client, SHUT_WR);
	slept = kit_now_ns();
	kit_sleep_ms(150); /* no segment in this time */
	slept = kit_now_ns() - slept;
	close(p.client); /* FIN_WAIT2 -> CLOSE now; a timewait socket waits for the FIN */
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT");
	/* close() sets the state that the socket has: the kernel reports that too */
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 FIN_WAIT2 CLOSE");
	expect(&in, &out);
	kit_expect_lifetime(1, slept, kit_now_ns() - begins);
}

Test(closing, the_lifetime_of_a_half_closed_flow_ends_at_its_reset)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	int listener = start();
	uint64_t begins = kit_now_ns(), slept;
	struct kit_pair p = kit_pair(listener, "127.0.0.1", PORT);

	shutdown(p.client, SHUT_WR);
	slept = kit_now_ns();
	kit_sleep_ms(150);
	slept = kit_now_ns() - slept;
	kit_reset(p.server); /* the first FIN had decided: not closed{reset} */
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	expect(&in, &out);
	for (unsigned int hop = 0; hop < 2; hop++)
		kit_expect_lifetime(hop, slept, kit_now_ns() - begins);
}

/* A RST ends both flows at once, whoever sends it. */
static void expect_reset(void)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_RESET] = 1}, out = in;

	kit_path(&in, 1, KIT_ACCEPTED "CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "CLOSE");
	expect(&in, &out);
}

Test(closing, a_client_with_linger_0_resets_both_ends)
{
	struct kit_pair p = kit_pair(start(), "127.0.0.1", PORT);

	kit_reset(p.client);
	kit_await_end(p.server);
	expect_reset();
	close(p.server);
	expect_reset(); /* closing a socket that is dead changes nothing */
}

Test(closing, a_server_with_linger_0_resets_both_ends)
{
	struct kit_pair p = kit_pair(start(), "127.0.0.1", PORT);

	kit_reset(p.server);
	kit_await_end(p.client);
	expect_reset();
}

Test(closing, a_close_with_unread_data_is_a_reset)
{
	struct kit_pair p = kit_pair(start(), "127.0.0.1", PORT);

	kit_send(p.client, 100);
	kit_await_data(p.server, 100);
	close(p.server); /* tcp_close() sends a RST instead of a FIN */
	kit_await_end(p.client);
	expect_reset();
}

Test(closing, data_for_an_end_that_is_closed_resets_the_sender)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};
	struct kit_pair p = kit_pair(start(), "127.0.0.1", PORT);

	close(p.server); /* nobody reads any more: FIN, then a timewait socket */
	kit_settle();
	kit_send(p.client, 100); /* in CLOSE_WAIT; answered by a RST */
	kit_path(&in, 1, KIT_ACCEPTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "CLOSE_WAIT CLOSE");
	expect(&in, &out); /* the server's FIN was first at both ends */
}

Test(closing, a_dissolved_connection_is_a_reset)
{
	struct kit_pair p = kit_pair(start(), "127.0.0.1", PORT);
	const struct sockaddr none = {.sa_family = AF_UNSPEC};

	cr_assert_eq(connect(p.client, &none, sizeof(none)), 0);
	expect_reset();
}

Test(closing, a_socket_that_is_used_again_is_a_second_flow)
{
	struct kit_hop in = {.opened = 2, .closed[FT_CLOSED_RESET] = 2}, out = in;
	int listener = start();
	struct kit_pair p = kit_pair(listener, "127.0.0.1", PORT);
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);

	cr_assert_eq(getpeername(p.client, (struct sockaddr *)&to, &len), 0);
	for (int i = 0; i < 2; i++) { /* the same struct sock: its address is the key */
		if (i)
			cr_assert_eq(connect(p.client, (struct sockaddr *)&to, len), 0);
		cr_assert_eq(connect(p.client, &none, sizeof(none)), 0);
	}
	kit_path(&in, 2, KIT_ACCEPTED "CLOSE");
	kit_path(&out, 2, KIT_CONNECTED "CLOSE");
	expect(&in, &out);
}

Test(closing, a_connection_that_nobody_accepts_is_open_all_the_same)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	int listener = start(), client = kit_connect("127.0.0.1", PORT);

	cr_assert_geq(client, 0);
	close(client); /* the child in the queue gets the FIN and waits in CLOSE_WAIT */
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect("out", &out);
	close(kit_accept(listener));
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	expect(&in, &out);
}

Test(closing, a_listener_that_closes_resets_what_waits_in_its_queue)
{
	/* 5 connections, none accepted; inet_csk_listen_stop() disconnects each child */
	struct kit_hop in = {.opened = 5, .closed[FT_CLOSED_RESET] = 5}, out = in;
	struct kit_hop waiting = {.opened = 5};
	int listener = start(), client[5];

	kit_path(&waiting, 5, KIT_ACCEPTED);
	for (int i = 0; i < 5; i++)
		client[i] = kit_connect("127.0.0.1", PORT);
	kit_expect("in", &waiting); /* the last ACK may still be on its way */
	close(listener);
	for (int i = 0; i < 5; i++)
		kit_await_end(client[i]);
	kit_path(&in, 5, KIT_ACCEPTED "CLOSE");
	kit_path(&out, 5, KIT_CONNECTED "CLOSE");
	expect(&in, &out);
}

/* A socket whose FIN meets itself: a simultaneous open and close without luck. */
Test(closing, a_socket_connected_to_itself_is_one_connecting_flow)
{
	struct kit_hop in = {0}, out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	int fd;

	kit_count(KIT_BOTH, HOPS);
	fd = kit_connect_from("127.0.0.1", PORT, "127.0.0.1", PORT);
	cr_assert_geq(fd, 0);
	kit_path(&out, 1, "CLOSE SYN_SENT SYN_RECV ESTABLISHED");
	close(fd);
	kit_path(&out, 1, "ESTABLISHED FIN_WAIT1 CLOSING CLOSE");
	expect(&in, &out);
}

Test(closing, a_process_that_dies_closes_its_flows)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1};
	struct kit_hop out = {.opened = 1, .closed[FT_CLOSED_LOCAL] = 1};
	struct kit_pair p = {.server = -1};
	int listener = start();
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, 9);
		kit_connect("127.0.0.1", PORT);
		raise(9); /* no close() */
	}
	p.server = kit_accept(listener);
	kit_await_end(p.server);
	close(p.server);
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	expect(&in, &out);
}

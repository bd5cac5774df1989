/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Ports that had a listener, and when they are forgotten. */
#include <bpf/bpf.h>
#include <string.h>
#include <unistd.h>

#include "counting.h"
#include "counting_ports.h"
#include "counting_scan.h"
#include "kit.h"

static struct ft_counting session;

static void end_session(void)
{
	ft_counting_close(&session);
}

TestSuite(ports, .fini = end_session, .timeout = 120);

static void start(void)
{
	static const struct ft_options o = {.source = -1};
	static const char config[] = "netns = \"own\"; hops = ("
				     "{ name = \"in\"; accept = \"8001-8002\"; },"
				     "{ name = \"out\"; connect = \":8001\"; } );";

	kit_isolate();
	cr_assert_eq(ft_counting_start(&session, &o, NULL, config), 0);
	cr_assert_eq(ft_counting_tick(&session), 0);
}

struct find {
	uint16_t port;
	bool found;
};

static int find(void *ctx, const struct ft_port_key *key)
{
	struct find *f = ctx;

	f->found |= key->port == f->port;
	return 0;
}

static bool known(uint16_t port)
{
	struct find f = {.port = port};

	cr_assert_eq(ft_probe_listening_ports(&session.probe, find, &f), 0);
	return f.found;
}

static uint32_t ports_used(void)
{
	struct ft_hop_limits out;

	cr_assert_eq(ft_counting_scan(&session), 0);
	cr_assert_eq(ft_probe_get_limits(&session.probe, 1, &out), 0);
	return out.ports_used;
}

Test(ports, one_where_somebody_listened_once_is_a_port_to_connect_from_again)
{
	struct kit_pair p;
	int listener;

	start();
	close(kit_listen("127.0.0.1", 8003));
	listener = kit_listen("127.0.0.1", 8001);
	p.client = kit_connect_from("127.0.0.1", 8003, "127.0.0.1", 8001);
	p.server = kit_accept(listener);
	kit_close_client_first(p); /* its TIME_WAIT: of a client, or of a flow accepted on 8003? */
	cr_assert(known(8003));
	cr_assert_eq(ports_used(), 0);
	ft_counting_forget_ports(&session);
	cr_assert(known(8003));
	ft_counting_forget_ports(&session);
	cr_assert_not(known(8003));
	cr_assert(known(8001));
	cr_assert_eq(ports_used(), 1);
}

Test(ports, one_with_a_flow_outlives_its_listener)
{
	int listener;
	struct kit_pair p;

	start();
	listener = kit_listen("127.0.0.1", 8002);
	p = kit_pair(listener, "127.0.0.1", 8002);
	close(listener);
	for (int i = 0; i < 3; i++)
		ft_counting_forget_ports(&session);
	cr_assert(known(8002));
	kit_close_server_first(p);
	ft_counting_forget_ports(&session);
	close(kit_listen("127.0.0.1", 8004)); /* another one does not bring it back */
	cr_assert(known(8002));
	ft_counting_forget_ports(&session);
	cr_assert_not(known(8002));
	cr_assert(known(8004));
}

static int note_comm(void *ctx, uint64_t key, const struct ft_listener *l)
{
	(void)key;
	memcpy(ctx, l->comm, FT_COMM_LEN);
	return 0;
}

Test(ports, one_that_is_forgotten_too_early_comes_back_with_its_owner)
{
	char listens[FT_COMM_LEN] = "", accepts[FT_COMM_LEN] = "";
	struct ft_port_key key = {.port = 8001};
	int map;

	start();
	key.netns = kit_netns();
	kit_listen("0.0.0.0", 8001);
	cr_assert_eq(ft_probe_forget_port(&session.probe, &key), 0);
	cr_assert_not(known(8001));
	cr_assert_eq(ft_counting_scan(&session), 0);
	cr_assert_eq(ft_probe_listeners(&session.probe, note_comm, listens), 0);
	map = session.probe.map[FT_MAP_PORTS];
	cr_assert_eq(bpf_map_lookup_elem(map, &key, accepts), 0);
	cr_assert(listens[0]);
	cr_assert_eq(strcmp(accepts, listens), 0);
}

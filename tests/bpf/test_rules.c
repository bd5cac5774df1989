/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which hop a flow belongs to. Each test opens a handful of connections and says for every
 * hop how many of them are its own; connections stay open, so active == opened. */
#include <bpf/libbpf.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "kit.h"

TestSuite(rules, .fini = kit_end, .timeout = 120);

/* Flows of this hop, the same at every door that is loaded. */
static void expect(const char *hop, unsigned int n, const char *begin)
{
	struct kit_hop e = {.opened = n};

	kit_path(&e, n, begin);
	kit_expect(hop, &e);
}

static void accepted(const char *hop, unsigned int n)
{
	expect(hop, n, KIT_ACCEPTED);
}

static void connected(const char *hop, unsigned int n)
{
	expect(hop, n, KIT_CONNECTED);
}

static void open_one(const char *from, const char *addr, uint16_t port)
{
	cr_assert_geq(kit_connect_from(from, 0, addr, port), 0);
}

Test(rules, the_first_rule_that_matches_wins)
{
	kit_count(KIT_BOTH, "{ name = \"narrow\"; connect = \"127.0.0.2:8001\"; },"
			    "{ name = \"wide\"; connect = \":8001\"; },"
			    "{ name = \"late\"; connect = \"127.0.0.3:8001\"; }");
	kit_listen("0.0.0.0", 8001);
	open_one(NULL, "127.0.0.1", 8001);
	open_one(NULL, "127.0.0.2", 8001);
	open_one(NULL, "127.0.0.2", 8001);
	open_one(NULL, "127.0.0.3", 8001);
	connected("narrow", 2); /* both to 127.0.0.2 */
	connected("wide", 2);	/* to .1 and .3 */
	connected("late", 0);	/* "wide" stands before it */
}

Test(rules, a_port_range_includes_both_its_ends)
{
	kit_count(KIT_BOTH, "{ name = \"in\"; accept = \"8001-8003\"; },"
			    "{ name = \"out\"; connect = \":8002-8004\"; }");
	for (uint16_t port = 8000; port <= 8005; port++) {
		kit_listen("127.0.0.1", port);
		open_one(NULL, "127.0.0.1", port);
	}
	accepted("in", 3);   /* 8001, 8002, 8003 */
	connected("out", 3); /* 8002, 8003, 8004 */
}

Test(rules, a_hop_may_have_several_addresses)
{
	kit_count(KIT_BOTH, "{ name = \"out\"; connect = [\"127.0.0.1:8001\", \":8003\"]; }");
	for (uint16_t port = 8001; port <= 8003; port++) {
		kit_listen("0.0.0.0", port);
		open_one(NULL, "127.0.0.1", port);
		open_one(NULL, "127.0.0.2", port);
	}
	connected("out", 3); /* 8001 at .1 only, 8003 at both */
}

Test(rules, sides_do_not_mix)
{
	kit_count(KIT_BOTH, "{ name = \"out\"; connect = \":8001\"; },"
			    "{ name = \"in\"; accept = \"8002\"; }");
	kit_listen("127.0.0.1", 8001);
	kit_listen("127.0.0.1", 8002);
	open_one(NULL, "127.0.0.1", 8001); /* its accepting end is no hop */
	open_one(NULL, "127.0.0.1", 8002); /* its connecting end neither */
	open_one(NULL, "127.0.0.1", 8002);
	connected("out", 1);
	accepted("in", 2);
}

Test(rules, a_prefix_ends_where_it_says)
{
	kit_count(KIT_BOTH, "{ name = \"a\"; connect = \"127.0.0.0/31:8001\"; },"
			    "{ name = \"b\"; connect = \"127.0.0.0/30:8001\"; },"
			    "{ name = \"c\"; connect = \"127.128.0.0/9:8001\"; }");
	kit_listen("0.0.0.0", 8001);
	open_one(NULL, "127.0.0.1", 8001);   /* a: 0-1 */
	open_one(NULL, "127.0.0.2", 8001);   /* b: 2-3 */
	open_one(NULL, "127.0.0.3", 8001);   /* b */
	open_one(NULL, "127.0.0.4", 8001);   /* none */
	open_one(NULL, "127.127.0.1", 8001); /* none */
	open_one(NULL, "127.128.0.1", 8001); /* c */
	connected("a", 1);
	connected("b", 2);
	connected("c", 1);
}

Test(rules, an_ipv6_prefix_matches_ipv6_only)
{
	kit_count(KIT_BOTH, "{ name = \"six\"; connect = \"[::1]:8001\"; },"
			    "{ name = \"net\"; connect = \"[fd00:1::]/32:8001\"; },"
			    "{ name = \"rest\"; connect = \":8001\"; }");
	cr_assert_eq(kit_run("ip -6 route add local fd00::/16 dev lo", NULL, 0), 0);
	kit_listen("::", 8001);
	open_one(NULL, "::1", 8001);
	open_one(NULL, "fd00:1::1", 8001);
	open_one(NULL, "fd00:2::1", 8001); /* one bit beyond the /32 */
	open_one(NULL, "127.0.0.1", 8001);
	connected("six", 1);
	connected("net", 1);
	connected("rest", 2); /* fd00:2::1 and 127.0.0.1 */
}

Test(rules, a_negated_peer_is_everybody_else)
{
	kit_count(KIT_BOTH, "{ name = \"alive\"; accept = \"8001\"; peer = \"!127.0.0.0/30\"; },"
			    "{ name = \"near\"; accept = \"8001\"; peer = \"127.0.0.0/30\"; }");
	kit_listen("127.0.0.1", 8001);
	open_one("127.0.0.2", "127.0.0.1", 8001);
	open_one("127.0.0.3", "127.0.0.1", 8001);
	open_one("127.0.0.4", "127.0.0.1", 8001);
	accepted("alive", 1); /* .4 */
	accepted("near", 2);  /* .2, .3 */
}

Test(rules, a_local_prefix_tells_listeners_of_one_port_apart)
{
	kit_count(KIT_BOTH, "{ name = \"one\"; accept = \"127.0.0.1:8001\"; },"
			    "{ name = \"two\"; accept = \"127.0.0.2:8001\"; }");
	kit_listen("127.0.0.1", 8001);
	kit_listen("127.0.0.2", 8001);
	kit_listen("127.0.0.3", 8001);
	open_one(NULL, "127.0.0.1", 8001);
	open_one(NULL, "127.0.0.2", 8001);
	open_one(NULL, "127.0.0.2", 8001);
	open_one(NULL, "127.0.0.3", 8001);
	accepted("one", 1);
	accepted("two", 2);
}

/* sockops programs may ask for the current process since 6.12 only. */
static unsigned int doors_that_know_processes(void)
{
	bool sockops = libbpf_probe_bpf_helper(BPF_PROG_TYPE_SOCK_OPS, BPF_FUNC_get_current_comm,
					       NULL) == 1;

	return sockops ? KIT_BOTH : KIT_TRACEPOINT;
}

Test(rules, a_process_name_selects_who_connects)
{
	kit_count(doors_that_know_processes(),
		  "{ name = \"queue\"; connect = \":8001\"; process = \"connqueue\"; },"
		  "{ name = \"long\"; connect = \":8001\"; process = \"fifteen-letters\"; },"
		  "{ name = \"rest\"; connect = \":8001\"; }");
	kit_listen("127.0.0.1", 8001);
	prctl(PR_SET_NAME, "connqueue");
	open_one(NULL, "127.0.0.1", 8001);
	open_one(NULL, "127.0.0.1", 8001);
	prctl(PR_SET_NAME, "fifteen-letters"); /* as long as a name can be */
	open_one(NULL, "127.0.0.1", 8001);
	prctl(PR_SET_NAME, "connqueue2");
	open_one(NULL, "127.0.0.1", 8001);
	prctl(PR_SET_NAME, "connqueu");
	open_one(NULL, "127.0.0.1", 8001);
	connected("queue", 2);
	connected("long", 1);
	connected("rest", 2); /* a longer and a shorter name */
}

Test(rules, a_process_name_selects_who_listens)
{
	kit_count(doors_that_know_processes(),
		  "{ name = \"nginx\"; accept = \"8001-8002\"; process = \"nginx\"; },"
		  "{ name = \"rest\"; accept = \"8001-8002\"; }");
	prctl(PR_SET_NAME, "nginx");
	kit_listen("127.0.0.1", 8001);
	prctl(PR_SET_NAME, "other");
	kit_listen("127.0.0.1", 8002);
	prctl(PR_SET_NAME, "nginx"); /* who connects does not matter */
	open_one(NULL, "127.0.0.1", 8001);
	open_one(NULL, "127.0.0.1", 8001);
	open_one(NULL, "127.0.0.1", 8002);
	accepted("nginx", 2);
	accepted("rest", 1);
}

Test(rules, the_name_of_a_listener_from_before_is_found)
{
	prctl(PR_SET_NAME, "nginx"); /* the process's name is its first thread's */
	kit_isolate();
	kit_listen("127.0.0.1", 8001);
	kit_load(KIT_TRACEPOINT, NULL);
	kit_hops("{ name = \"nginx\"; accept = \"8001\"; process = \"nginx\"; },"
		 "{ name = \"rest\"; accept = \"8001\"; }");
	cr_assert_eq(ft_probe_start(kit_probe(FT_SOURCE_TRACEPOINT), NULL, 0, true), 0);
	open_one(NULL, "127.0.0.1", 8001);
	accepted("nginx", 1);
	accepted("rest", 0);
}

Test(rules, sixty_four_hops_are_counted_apart)
{
	static char hops[64 * 48];
	size_t len = 0;
	char name[16];

	for (int i = 0; i < FT_MAX_HOPS; i++)
		len += snprintf(hops + len, sizeof(hops) - len, "%s{name=\"h%d\";connect=\":%d\";}",
				i ? "," : "", i, 8100 + i);
	kit_count(KIT_BOTH, hops);
	for (int i = 0; i < FT_MAX_HOPS; i++) { /* hop i: one flow, the last one two */
		kit_listen("127.0.0.1", 8100 + i);
		open_one(NULL, "127.0.0.1", 8100 + i);
	}
	open_one(NULL, "127.0.0.1", 8100 + FT_MAX_HOPS - 1);
	for (int i = 0; i < FT_MAX_HOPS; i++) {
		snprintf(name, sizeof(name), "h%d", i);
		connected(name, i == FT_MAX_HOPS - 1 ? 2 : 1);
	}
}

Test(rules, what_matches_no_rule_is_not_counted_at_all)
{
	const struct kit_hop nothing[1] = {{0}};
	int listener;

	kit_count(KIT_BOTH, "{ name = \"out\"; connect = \":9999\"; }");
	listener = kit_listen("127.0.0.1", 8001);
	kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001));
	kit_pair(listener, "127.0.0.1", 8001);
	kit_expect_all(nothing, 1); /* nor is there an entry in the table */
}

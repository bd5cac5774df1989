/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Hops from listeners and connections: names, endpoints, `from`, and that what was found
 * stays as it was when more is found. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MANY	     300

static struct ft_config c;
static struct ft_seen_listener listeners[MANY];
static struct ft_seen_connect connects[MANY];
static struct ft_seen_vote votes[MANY];
static struct ft_seen_calls calls[MANY];
static unsigned int nlisteners, nconnects, nvotes, ncalls, dropped;
static bool voting;

static void start(void)
{
	ft_config_default(&c);
	nlisteners = nconnects = nvotes = ncalls = 0;
	voting = false;
}

static void listens(const char *process, const char *addr, uint16_t port, uint32_t flows)
{
	struct ft_seen_listener *l = &listeners[nlisteners++];

	*l = (struct ft_seen_listener){.port = port, .flows = flows};
	cr_assert_eq(ft_addr_parse(addr, l->addr), 0);
	strncpy(l->process, process, sizeof(l->process) - 1);
}

static void connected(const char *process, const char *addr, uint16_t port)
{
	struct ft_seen_connect *s = &connects[nconnects++];

	*s = (struct ft_seen_connect){.rport = port, .flows = 1};
	cr_assert_eq(ft_addr_parse(addr, s->raddr), 0);
	strncpy(s->process, process, sizeof(s->process) - 1);
}

/* So many votes since voting began, in all. */
static void votes_are(const char *connect, const char *accept, uint64_t n)
{
	unsigned int i = 0;

	while (i < nvotes &&
	       (strcmp(votes[i].connect, connect) != 0 || strcmp(votes[i].accept, accept) != 0))
		i++;
	nvotes += i == nvotes;
	strcpy(votes[i].connect, connect);
	strcpy(votes[i].accept, accept);
	votes[i].votes = n;
	voting = true;
}

static unsigned int merge(void)
{
	const struct ft_seen seen = {
		.listener = listeners,
		.nlisteners = nlisteners,
		.connect = connects,
		.nconnects = nconnects,
		.vote = votes,
		.nvotes = nvotes,
		.calls = calls,
		.ncalls = ncalls,
		.voting = voting,
	};

	return ft_discover_merge(&c, &seen, &dropped);
}

static const struct ft_config_hop *hop(const char *name)
{
	for (unsigned int i = 0; i < c.nhops; i++) {
		if (!strcmp(c.hop[i].name, name))
			return &c.hop[i];
	}
	cr_assert_fail("there is no hop %s", name);
	return NULL;
}

static void endpoints_are(const char *name, const char *want)
{
	const struct ft_config_hop *h = hop(name);
	char got[1024] = "", text[FT_ADDR_TEXT];

	for (unsigned int i = 0; i < h->nendpoints; i++) {
		ft_endpoint_format(&h->endpoint[i], text);
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%s", i ? " " : "", text);
	}
	cr_assert_str_eq(got, want, "%s", name);
}

TestSuite(discover, .init = start);

Test(discover, realms)
{
	static const struct {
		const char *addr;
		enum ft_realm realm;
	} want[] = {
		{"127.0.0.1", FT_REALM_LOOPBACK},
		{"127.255.255.255", FT_REALM_LOOPBACK},
		{"::1", FT_REALM_LOOPBACK},
		{"::ffff:127.0.0.1", FT_REALM_LOOPBACK},
		{"10.0.0.0", FT_REALM_PRIVATE},
		{"10.255.255.255", FT_REALM_PRIVATE},
		{"172.16.0.0", FT_REALM_PRIVATE},
		{"172.31.255.255", FT_REALM_PRIVATE},
		{"192.168.0.1", FT_REALM_PRIVATE},
		{"100.64.0.1", FT_REALM_PRIVATE},
		{"100.127.255.255", FT_REALM_PRIVATE},
		{"169.254.169.254", FT_REALM_PRIVATE},
		{"fd12::1", FT_REALM_PRIVATE},
		{"fc00::", FT_REALM_PRIVATE},
		{"fe80::1", FT_REALM_PRIVATE},
		{"febf::1", FT_REALM_PRIVATE},
		{"9.255.255.255", FT_REALM_PUBLIC},
		{"11.0.0.0", FT_REALM_PUBLIC},
		{"172.15.0.1", FT_REALM_PUBLIC},
		{"172.32.0.0", FT_REALM_PUBLIC},
		{"192.169.0.0", FT_REALM_PUBLIC},
		{"100.128.0.0", FT_REALM_PUBLIC},
		{"100.63.255.255", FT_REALM_PUBLIC},
		{"169.253.0.1", FT_REALM_PUBLIC},
		{"128.0.0.1", FT_REALM_PUBLIC},
		{"126.0.0.1", FT_REALM_PUBLIC},
		{"::2", FT_REALM_PUBLIC},
		{"2001:db8::1", FT_REALM_PUBLIC},
		{"fec0::1", FT_REALM_PUBLIC},
		{"fe00::1", FT_REALM_PUBLIC},
	};

	for (size_t i = 0; i < COUNT(want); i++) {
		uint8_t addr[16];

		cr_assert_eq(ft_addr_parse(want[i].addr, addr), 0);
		cr_assert_eq(ft_realm_of(addr), want[i].realm, "%s", want[i].addr);
	}
}

/* The host of the design: queue on 80, NGINX on 8080, Node on 3000, MySQL elsewhere. */
static void see_chain(void)
{
	listens("connqueue", "::", 80, 15);
	listens("nginx", "0.0.0.0", 8080, 15);
	listens("node", "127.0.0.1", 3000, 15);
	connected("connqueue", "127.0.0.1", 8080);
	connected("nginx", "127.0.0.1", 3000);
	connected("node", "10.0.3.4", 3306);
}

Test(discover, the_chain_is_found_and_linked)
{
	see_chain();
	cr_assert_eq(merge(), 6);
	cr_assert_eq(dropped, 0);
	cr_assert_str_eq(hop("connqueue:80")->from, "");
	cr_assert_str_eq(hop("connqueue->8080")->from, "connqueue:80");
	cr_assert_str_eq(hop("nginx:8080")->from, "connqueue->8080");
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:8080");
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
	cr_assert_str_eq(hop("node->3306@private")->from, "node:3000");
	endpoints_are("connqueue:80", "80");
	endpoints_are("connqueue->8080", "127.0.0.0/8:8080 [::1]:8080");
	endpoints_are("node:3000", "127.0.0.1:3000");
	endpoints_are("node->3306@private",
		      "10.0.0.0/8:3306 172.16.0.0/12:3306 192.168.0.0/16:3306 100.64.0.0/10:3306 "
		      "169.254.0.0/16:3306 [fc00::]/7:3306 [fe80::]/10:3306");
	for (unsigned int i = 0; i < c.nhops; i++) {
		cr_assert(c.hop[i].discovered);
		cr_assert_eq(c.hop[i].line, 0);
	}
}

Test(discover, what_is_known_is_not_added_again)
{
	static struct ft_config before;

	see_chain();
	merge();
	before = c;
	cr_assert_eq(merge(), 0);
	cr_assert_eq(memcmp(&before, &c, sizeof(c)), 0);
	connected("node", "192.168.1.1", 3306); /* private as well */
	connected("nginx", "::1", 3000);
	cr_assert_eq(merge(), 0);
	cr_assert_eq(memcmp(&before, &c, sizeof(c)), 0);
}

Test(discover, new_hops_come_behind_the_old_ones)
{
	static struct ft_config before;

	see_chain();
	merge();
	before = c;
	listens("redis", "127.0.0.1", 6379, 0);
	connected("node", "127.0.0.1", 6379);
	connected("node", "1.2.3.4", 443);
	cr_assert_eq(merge(), 3);
	for (unsigned int i = 0; i < before.nhops; i++)
		cr_assert_eq(memcmp(&before.hop[i], &c.hop[i], sizeof(c.hop[i])), 0, "%u", i);
	cr_assert_str_eq(hop("redis:6379")->from, "node->6379");
	cr_assert_str_eq(hop("node->6379")->from, "node:3000");
	cr_assert_str_eq(hop("node->443@public")->from, "node:3000");
	endpoints_are("node->443@public", "443");
}

Test(discover, a_from_that_was_unknown_is_filled_in_later)
{
	connected("nginx", "127.0.0.1", 3000);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
	listens("nginx", "::", 80, 1);
	listens("node", "::", 3000, 1);
	cr_assert_eq(merge(), 2);
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
}

Test(discover, no_facts_are_no_hops)
{
	cr_assert_eq(ft_discover_merge(&c, &(struct ft_seen){0}, NULL), 0);
	cr_assert_eq(c.nhops, 0);
	listens("x", "::", 0, 1); /* port 0 is no port */
	connected("x", "::1", 0);
	cr_assert_eq(merge(), 0);
}

Test(discover, several_addresses_of_one_port_and_process_are_one_hop)
{
	listens("haproxy", "10.0.0.1", 443, 0);
	listens("haproxy", "10.0.0.2", 443, 0);
	listens("haproxy", "fd00::1", 443, 0);
	listens("haproxy", "10.0.0.2", 443, 0); /* another worker: SO_REUSEPORT */
	cr_assert_eq(merge(), 1);
	endpoints_are("haproxy:443", "10.0.0.1:443 10.0.0.2:443 [fd00::1]:443");
	listens("haproxy", "10.0.0.3", 443, 0);
	cr_assert_eq(merge(), 0);
	endpoints_are("haproxy:443", "10.0.0.1:443 10.0.0.2:443 [fd00::1]:443 10.0.0.3:443");
}

Test(discover, any_address_swallows_the_single_ones)
{
	listens("nginx", "0.0.0.0", 80, 0);
	listens("nginx", "::", 80, 0);
	listens("nginx", "10.0.0.1", 80, 0);
	listens("node", "10.0.0.1", 81, 0);
	listens("node", "0.0.0.0", 81, 0);
	cr_assert_eq(merge(), 2);
	endpoints_are("nginx:80", "80");
	endpoints_are("node:81", "81");
}

Test(discover, more_addresses_than_a_hop_can_have_are_any_address)
{
	char addr[32];

	for (int i = 1; i <= FT_HOP_ENDPOINTS; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%d", i);
		listens("named", addr, 53, 0);
	}
	cr_assert_eq(merge(), 1);
	cr_assert_eq(hop("named:53")->nendpoints, FT_HOP_ENDPOINTS);
	listens("named", "10.0.1.1", 53, 0);
	cr_assert_eq(merge(), 0);
	endpoints_are("named:53", "53");
	listens("named", "10.0.1.2", 53, 0);
	merge();
	endpoints_are("named:53", "53");
}

Test(discover, too_many_addresses_do_not_take_another_ones_any_address)
{
	char addr[32];

	listens("dnsmasq", "::", 53, 0);
	for (int i = 0; i <= FT_HOP_ENDPOINTS; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%d", i);
		listens("named", addr, 53, 0);
	}
	cr_assert_eq(merge(), 2);
	cr_assert_eq(dropped, 1);
	cr_assert_eq(hop("named:53")->nendpoints, FT_HOP_ENDPOINTS);
	endpoints_are("dnsmasq:53", "53");
}

Test(discover, two_processes_on_one_port_and_address_are_the_first_ones_hop)
{
	listens("nginx", "::", 80, 0);
	listens("apache", "0.0.0.0", 80, 0); /* in a container, say */
	cr_assert_eq(merge(), 1);
	cr_assert_str_eq(hop("nginx:80")->process, "nginx");
}

Test(discover, two_processes_on_one_port_and_two_addresses_are_two_hops)
{
	listens("nginx", "10.0.0.1", 80, 0);
	listens("node", "127.0.0.1", 80, 0);
	listens("stub", "0.0.0.0", 80, 0);
	cr_assert_eq(merge(), 3);
	endpoints_are("nginx:80", "10.0.0.1:80");
	endpoints_are("node:80", "127.0.0.1:80");
	endpoints_are("stub:80", "80");
}

Test(discover, an_owner_that_is_learnt_late_is_filled_in_and_the_name_stays)
{
	listens("", "::", 8080, 0);
	cr_assert_eq(merge(), 1);
	cr_assert_str_eq(hop("port:8080")->process, "");
	nlisteners = 0;
	listens("nginx", "::", 8080, 0);
	connected("nginx", "127.0.0.1", 3000);
	cr_assert_eq(merge(), 1);
	cr_assert_str_eq(hop("port:8080")->process, "nginx");
	cr_assert_str_eq(hop("nginx->3000")->from, "port:8080");
	nlisteners = 0;
	listens("", "::", 8080, 0); /* and it is not forgotten */
	cr_assert_eq(merge(), 0);
	cr_assert_str_eq(hop("port:8080")->process, "nginx");
}

Test(discover, a_connection_without_an_owner_has_a_hop_and_no_from)
{
	listens("", "::", 80, 0);
	connected("", "10.0.0.1", 3306);
	cr_assert_eq(merge(), 2);
	cr_assert_str_eq(hop("any->3306@private")->process, "");
	cr_assert_str_eq(hop("any->3306@private")->from, "");
	cr_assert_eq(merge(), 0);
}

static void sees_two_listeners(uint32_t flows_80, uint32_t flows_443)
{
	start();
	listens("nginx", "::", 80, flows_80);
	listens("nginx", "::", 443, flows_443);
	connected("nginx", "127.0.0.1", 3000);
}

Test(discover, without_votes_flows_tell_for_which_of_several_listeners_if_beyond_doubt)
{
	static const struct {
		uint32_t http, https;
		const char *from;
	} cases[] = {
		{0, 0, ""},
		{0, 29, ""}, /* too few */
		{0, 30, "nginx:443"},
		{30, 0, "nginx:80"},
		{30, 30, ""}, /* the lower port is no better */
		{30, 31, ""},
		{6, 94, ""},
		{5, 95, "nginx:443"},
		{2, 29, ""}, /* 29 of 31 are 93.5 % */
		{UINT32_MAX, UINT32_MAX, ""},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		sees_two_listeners(cases[i].http, cases[i].https);
		merge();
		cr_assert_str_eq(hop("nginx->3000")->from, cases[i].from, "%u and %u",
				 cases[i].http, cases[i].https);
	}
}

Test(discover, flows_of_all_addresses_and_of_no_other_process_count)
{
	listens("a", "10.0.0.1", 9000, 15); /* 15 + 15 flows on the hop */
	listens("a", "10.0.0.2", 9000, 15);
	listens("a", "::", 80, 1);
	listens("b", "::", 85, 1000);
	connected("a", "10.0.0.1", 3306);
	merge();
	cr_assert_str_eq(hop("a->3306@private")->from, "a:9000");
}

Test(discover, from_waits_while_flows_leave_doubt_and_does_not_change_when_they_do)
{
	sees_two_listeners(1, 10);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
	listeners[1].flows = 100;
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:443");
	listeners[0].flows = 1000; /* they never said for whom, only who was alone */
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:443");
}

Test(discover, where_votes_are_cast_flows_do_not_tell)
{
	sees_two_listeners(1000, 0); /* which redirects */
	voting = true;
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
	votes_are("nginx->3000", "nginx:443", 30);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:443");
}

Test(discover, one_listener_is_the_cause_without_any_vote)
{
	voting = true;
	listens("nginx", "::", 80, 0);
	connected("nginx", "127.0.0.1", 3000);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	votes_are("nginx->3000", "node:1", 100); /* no listener of nginx: as good as none */
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
}

Test(discover, votes_decide_if_they_are_enough_and_nearly_unanimous)
{
	static const struct {
		uint64_t http, https, other;
		const char *from;
	} cases[] = {
		{0, 29, 0, ""},
		{0, 30, 0, "nginx:443"},
		{2, 38, 0, "nginx:443"}, /* 95 % */
		{2, 37, 0, ""},
		{50, 50, 0, ""},
		{500, 0, 0, "nginx:80"},
		{500, 0, 30, ""}, /* 94.3 %: what is handed elsewhere is doubt, too */
		{0, 100000000000000000, 1000, "nginx:443"},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		sees_two_listeners(0, 0);
		merge();
		votes_are("nginx->3000", "nginx:80", cases[i].http);
		votes_are("nginx->3000", "nginx:443", cases[i].https);
		votes_are("nginx->3000", "late:1", cases[i].other);
		votes_are("other->3000", "nginx:80", 1000); /* about another hop */
		merge();
		cr_assert_str_eq(hop("nginx->3000")->from, cases[i].from, "case %zu", i);
	}
}

Test(discover, each_destination_of_a_process_has_votes_of_its_own)
{
	sees_two_listeners(0, 0);
	connected("nginx", "10.0.0.1", 9000);
	connected("nginx", "10.0.0.1", 9001);
	merge();
	votes_are("nginx->3000", "nginx:80", 40);
	votes_are("nginx->9000@private", "nginx:443", 40);
	votes_are("nginx->9001@private", "nginx:443", 20);
	votes_are("nginx->9001@private", "nginx:80", 20);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	cr_assert_str_eq(hop("nginx->9000@private")->from, "nginx:443");
	cr_assert_str_eq(hop("nginx->9001@private")->from, "");
}

/* The first clients may all have come to one port. */
Test(discover, a_from_that_votes_speak_against_by_now_is_taken_away)
{
	sees_two_listeners(0, 0);
	merge();
	votes_are("nginx->3000", "nginx:80", 90);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	votes_are("nginx->3000", "nginx:443", 10); /* 90 %: less than it took, but no doubt yet */
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	votes_are("nginx->3000", "nginx:443", 11);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
	voting = false; /* nobody can tell any more: what flows say is no better */
	nvotes = 0;
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
}

Test(discover, a_second_listener_takes_the_first_ones_from_away_if_it_has_a_share)
{
	voting = true;
	listens("nginx", "::", 80, 0);
	connected("nginx", "127.0.0.1", 3000);
	merge();
	votes_are("nginx->3000", "nginx:80", 50);
	listens("nginx", "::", 443, 0);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "nginx:80");
	votes_are("nginx->3000", "nginx:443", 50);
	merge();
	cr_assert_str_eq(hop("nginx->3000")->from, "");
}

Test(discover, votes_do_not_touch_what_is_configured)
{
	struct ft_buf errors = {0};

	cr_assert_eq(ft_config_parse("hops = ( { name = \"a\"; accept = \"80\"; },"
				     "{ name = \"b\"; connect = \"3000\"; from = \"a\"; },"
				     "{ name = \"d\"; connect = \"3001\"; process = \"x\"; } );",
				     "f", &c, &errors),
		     0);
	listens("x", "::", 81, 0);
	listens("x", "::", 82, 0);
	votes_are("b", "x:81", 100);
	votes_are("d", "x:81", 100);
	merge();
	cr_assert_str_eq(hop("b")->from, "a");
	cr_assert_str_eq(hop("d")->from, "");
	ft_buf_close(&errors);
}

Test(discover, candidates_are_the_listeners_of_the_process_that_it_does_not_reach)
{
	unsigned int candidate[FT_MAX_HOPS];

	listens("nginx", "::", 80, 0);
	listens("nginx", "::", 8080, 0);
	listens("node", "::", 3000, 0);
	listens("", "::", 3001, 0);
	connected("nginx", "127.0.0.1", 8080);
	connected("nginx", "127.0.0.1", 3000);
	connected("", "127.0.0.1", 3001);
	merge();
	cr_assert_eq(ft_discover_candidates(&c, 4, candidate), 1); /* nginx->8080 */
	cr_assert_eq(candidate[0], 0);
	cr_assert_eq(ft_discover_candidates(&c, 5, candidate), 2); /* nginx->3000 */
	cr_assert_eq(candidate[0], 0);
	cr_assert_eq(candidate[1], 1);
	cr_assert_eq(ft_discover_candidates(&c, 6, candidate), 0); /* of nobody known */
}

Test(discover, an_accept_hop_that_two_callers_reach_has_no_from)
{
	listens("nginx", "::", 8080, 0);
	connected("queue", "127.0.0.1", 8080);
	connected("curl", "::1", 8080);
	merge();
	cr_assert_str_eq(hop("nginx:8080")->from, "");
}

Test(discover, a_second_caller_takes_the_edge_away_while_nothing_is_counted)
{
	see_chain();
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
	nconnects = nlisteners = 0;
	connected("haproxy", "127.0.0.1", 3000);
	cr_assert_eq(merge(), 1);
	cr_assert_str_eq(hop("node:3000")->from, "");
	cr_assert_str_eq(hop("nginx:8080")->from, "connqueue->8080"); /* and no other */
	cr_assert_str_eq(hop("node->3306@private")->from, "node:3000");
	nconnects = 0;
	connected("nginx", "127.0.0.1", 3000);
	cr_assert_eq(merge(), 0);
	cr_assert_str_eq(hop("node:3000")->from, "");
}

/* What the hop has counted by now. */
static void has_called(const char *connect, uint64_t flows)
{
	unsigned int i = 0;

	while (i < ncalls && strcmp(calls[i].connect, connect) != 0)
		i++;
	ncalls += i == ncalls;
	strcpy(calls[i].connect, connect);
	calls[i].flows = flows;
}

Test(discover, a_caller_that_makes_nearly_all_keeps_its_edge)
{
	listens("node", "::", 3000, 100);
	connected("nginx", "127.0.0.1", 3000);
	merge();
	has_called("nginx->3000", 99);
	connected("curl", "127.0.0.1", 3000); /* gone before it was a hop */
	merge();
	has_called("curl->3000", 0);
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
	listeners[0].flows = 110; /* 99 of 110 are 90 of 100 */
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
	listeners[0].flows = 111;
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "");
	listeners[0].flows = 2000; /* of which nginx makes 1899: not yet 95 of 100 */
	has_called("nginx->3000", 1899);
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "");
	has_called("nginx->3000", 1900);
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
}

Test(discover, of_several_callers_none_gets_the_edge_by_a_few_flows)
{
	listens("node", "::", 3000, 29);
	connected("nginx", "127.0.0.1", 3000);
	connected("curl", "127.0.0.1", 3000);
	merge();
	has_called("nginx->3000", 29);
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "");
	listeners[0].flows = 30;
	has_called("nginx->3000", 30);
	merge();
	cr_assert_str_eq(hop("node:3000")->from, "nginx->3000");
}

Test(discover, only_loopback_callers_reach_and_only_what_listens_there)
{
	listens("nginx", "::", 8080, 0);
	listens("node", "10.0.0.1", 3000, 0);
	listens("six", "::1", 3001, 0);
	connected("queue", "10.0.0.9", 8080);
	connected("queue", "127.0.0.1", 3000);
	connected("queue", "127.0.0.1", 3001);
	merge();
	cr_assert_str_eq(hop("nginx:8080")->from, "");
	cr_assert_str_eq(hop("node:3000")->from, "");
	cr_assert_str_eq(hop("six:3001")->from, "queue->3001");
}

/* Whatever is found, `from` must lead to an end. */
static void has_no_loops(void)
{
	for (unsigned int i = 0; i < c.nhops; i++) {
		const struct ft_config_hop *h = &c.hop[i];
		unsigned int steps = 0;

		for (; h->from[0]; h = hop(h->from))
			cr_assert_lt(steps++, c.nhops, "%s is in a loop", c.hop[i].name);
	}
}

Test(discover, a_process_that_calls_itself_is_no_loop)
{
	listens("nginx", "::", 8080, 100);
	listens("nginx", "::", 80, 1);
	connected("nginx", "127.0.0.1", 8080);
	merge();
	/* not from :8080, however many flows it has: it is where they go */
	cr_assert_str_eq(hop("nginx->8080")->from, "nginx:80");
	cr_assert_str_eq(hop("nginx:8080")->from, "nginx->8080");
	has_no_loops();
	start();
	listens("x", "::", 80, 1);
	connected("x", "127.0.0.1", 80);
	merge();
	cr_assert_str_eq(hop("x->80")->from, "");
	has_no_loops();
}

Test(discover, processes_that_call_each_other_are_no_loop)
{
	listens("a", "::", 1, 0);
	listens("b", "::", 2, 0);
	listens("c", "::", 3, 0);
	connected("a", "127.0.0.1", 2);
	connected("b", "127.0.0.1", 3);
	connected("c", "127.0.0.1", 1);
	cr_assert_eq(merge(), 6);
	has_no_loops();
}

Test(discover, names_are_unique_and_valid)
{
	struct ft_buf out = {0}, errors = {0};
	struct ft_config again;

	listens("a b", "10.0.0.1", 80, 0);
	listens("a\"b", "10.0.0.2", 80, 0);
	listens("a\nb", "10.0.0.3", 80, 0);
	listens("\xc3\xa4\xc3\xb6", "::", 81, 0);
	connected("fifteen-letters", "10.0.0.1", 65535);
	connected("kworker/0:1-#", "8.8.8.8", 65535);
	cr_assert_eq(merge(), 6);
	hop("a_b:80");
	hop("a_b:80-2");
	hop("a_b:80-3");
	hop("____:81");
	hop("fifteen-letters->65535@private"); /* 30 of 31 letters */
	hop("kworker_0:1-_->65535@public");
	ft_config_print(&c, &out);
	cr_assert_eq(ft_config_parse(ft_buf_text(&out), "f", &again, &errors), 0, "%s",
		     ft_buf_text(&errors));
	ft_buf_close(&out);
	ft_buf_close(&errors);
}

Test(discover, a_long_name_that_is_taken_is_cut_to_fit_its_number)
{
	connected("fifteen-letter/", "10.0.0.1", 65535);
	connected("fifteen-letter#", "10.0.0.1", 65535);
	connected("fifteen-letter!", "10.0.0.1", 65535);
	cr_assert_eq(merge(), 3);
	hop("fifteen-letter_->65535@private");
	hop("fifteen-letter->65535@private-2"); /* 31 letters */
	hop("fifteen-letter->65535@private-3");
}

Test(discover, a_name_of_16_letters_without_a_nul_is_safe)
{
	listens("x", "::", 80, 0);
	memset(listeners[0].process, 'p', FT_COMM_LEN);
	connected("x", "127.0.0.1", 81);
	memset(connects[0].process, 'p', FT_COMM_LEN);
	cr_assert_eq(merge(), 2);
	cr_assert_str_eq(hop("ppppppppppppppp:80")->process, "ppppppppppppppp");
	cr_assert_eq(merge(), 0);
}

Test(discover, what_does_not_fit_is_counted)
{
	for (unsigned int i = 0; i < FT_MAX_HOPS + 5; i++)
		listens("x", "::", (uint16_t)(1000 + i), 0);
	cr_assert_eq(merge(), FT_MAX_HOPS);
	cr_assert_eq(dropped, 5);
	cr_assert_eq(c.nhops, FT_MAX_HOPS);
	cr_assert_eq(merge(), 0);
	cr_assert_eq(dropped, 5);
}

Test(discover, what_was_found_always_compiles)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;
	char addr[32];

	/* 7 rules each, for 7 private prefixes: not every hop has room for its rules */
	for (unsigned int i = 0; i < FT_MAX_HOPS; i++)
		connected("x", "10.0.0.1", (uint16_t)(1000 + i));
	cr_assert_eq(merge(), FT_MAX_RULES / 7);
	cr_assert_eq(dropped, FT_MAX_HOPS - FT_MAX_RULES / 7);
	nconnects = 0;
	for (int i = 1; i <= 10; i++) {
		snprintf(addr, sizeof(addr), "10.0.0.%d", i);
		listens("l", addr, 53, 0);
	}
	cr_assert_eq(merge(), 1);
	cr_assert_eq(hop("l:53")->nendpoints, FT_MAX_RULES % 7); /* what is left */
	cr_assert_eq(dropped, 10 - FT_MAX_RULES % 7);
	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	cr_assert_eq(rules.count, FT_MAX_RULES);
}

Test(discover, the_rules_of_a_public_hop_do_not_take_a_private_hops_flows)
{
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;

	connected("curl", "8.8.8.8", 443);
	connected("curl", "10.0.0.1", 443);
	connected("curl", "127.0.0.1", 443);
	cr_assert_eq(merge(), 3);
	cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
	cr_assert_eq(rules.count, 10); /* 7 private + 2 loopback + 1 */
	cr_assert_eq(rules.rule[9].hop, 0);
	cr_assert_str_eq(def[0].name, "curl->443@public");
}

Test(discover, configured_hops_are_not_doubled)
{
	struct ft_buf errors = {0};

	cr_assert_eq(
		ft_config_parse("hops = ( { name = \"in\"; accept = (\"80\", \"127.0.0.1:81\"); },"
				"{ name = \"db\"; connect = \"10.0.0.0/8:3306\"; process = "
				"\"node\"; from = \"in\"; },"
				"{ name = \"out\"; connect = \"443\"; peer = \"!10.0.0.0/8\"; } );",
				"f", &c, &errors),
		0);
	listens("node", "::", 80, 0);
	listens("node", "127.0.0.1", 81, 0);
	connected("node", "10.1.1.1", 3306);
	connected("curl", "8.8.8.8", 443);
	cr_assert_eq(merge(), 0);
	listens("node", "::", 81, 0);		/* only loopback's is configured */
	connected("php", "10.1.1.1", 3306);	/* only node's */
	connected("node", "192.168.0.1", 3306); /* only 10/8 */
	connected("curl", "10.0.0.1", 443);	/* excluded by peer */
	cr_assert_eq(merge(), 4);
	cr_assert_str_eq(c.hop[0].name, "in");
	hop("node:81");
	hop("php->3306@private");
	hop("node->3306@private");
	hop("curl->443@private");
	ft_buf_close(&errors);
}

Test(discover, the_printed_config_has_the_same_hops)
{
	struct ft_buf out = {0}, errors = {0};
	struct ft_config again;

	see_chain();
	listens("nginx", "10.0.0.1", 443, 0);
	listens("nginx", "10.0.0.2", 443, 0);
	connected("node", "1.1.1.1", 443);
	connected("node", "10.1.1.1", 443);
	merge();
	ft_config_print(&c, &out);
	cr_assert_eq(ft_config_parse(ft_buf_text(&out), "f", &again, &errors), 0, "%s%s",
		     ft_buf_text(&out), ft_buf_text(&errors));
	cr_assert_eq(again.nhops, c.nhops);
	for (unsigned int i = 0; i < again.nhops; i++) {
		const struct ft_config_hop *a = &again.hop[i], *b = hop(a->name);

		cr_assert_str_eq(a->from, b->from);
		cr_assert_eq(a->side, b->side);
		cr_assert_eq(a->nendpoints, b->nendpoints);
		cr_assert_eq(
			memcmp(a->endpoint, b->endpoint, a->nendpoints * sizeof(a->endpoint[0])),
			0);
		cr_assert_str_eq(a->process, a->side == FT_ACCEPT ? "" : b->process);
		cr_assert_not(a->discovered);
	}
	cr_assert_not_null(strstr(ft_buf_text(&out), "{ name = \"nginx:8080\"; accept = \"8080\"; "
						     "from = \"connqueue->8080\"; }, # nginx\n"));
	ft_buf_close(&out);
	ft_buf_close(&errors);
}

Test(discover, the_printed_config_names_those_between_whom_it_could_not_be_told)
{
	struct ft_buf out = {0}, errors = {0};
	struct ft_config again;

	listens("nginx", "::", 80, 0);
	listens("nginx", "::", 443, 0);
	listens("nginx", "::", 8080, 0);
	connected("nginx", "127.0.0.1", 3000);
	connected("nginx", "127.0.0.1", 8080);
	connected("curl", "10.0.0.1", 80); /* listens nowhere */
	merge();
	ft_config_print(&c, &out);
	cr_assert_not_null(strstr(ft_buf_text(&out), "  # from = \"nginx:80\" or \"nginx:443\" or "
						     "\"nginx:8080\": which one could "
						     "not be told\n  { name = \"nginx->3000\";"),
			   "%s", ft_buf_text(&out));
	cr_assert_not_null(strstr(ft_buf_text(&out),
				  "  # from = \"nginx:80\" or \"nginx:443\": which "
				  "one could not be told\n  { name = "
				  "\"nginx->8080\";"),
			   "%s", ft_buf_text(&out));
	cr_assert_eq(ft_config_parse(ft_buf_text(&out), "f", &again, &errors), 0, "%s",
		     ft_buf_text(&errors));
	cr_assert_eq(again.nhops, c.nhops);
	votes_are("nginx->3000", "nginx:443", 100);
	votes_are("nginx->8080", "nginx:443", 100);
	merge();
	ft_buf_close(&out);
	ft_config_print(&c, &out);
	cr_assert_null(strstr(ft_buf_text(&out), "could not be told"), "%s", ft_buf_text(&out));
	ft_buf_close(&out);
	ft_buf_close(&errors);
}

/* Reproducible noise: few processes, ports and addresses, so that they meet often. */
Test(discover, whatever_comes_has_no_loops_and_reads_back)
{
	static const char *const processes[] = {"", "a", "b", "c", "a b"};
	static const char *const addrs[] = {"::",	"127.0.0.1", "::1",
					    "10.0.0.1", "8.8.8.8",   "fd00::1"};
	static struct ft_hop_def def[FT_MAX_HOPS];
	static struct ft_rules rules;
	static struct ft_config again;
	unsigned int seed = 1;

	for (int round = 0; round < 300; round++) {
		struct ft_buf out = {0}, errors = {0};

		start();
		for (int step = 0; step < 4; step++) {
			nlisteners = nconnects = 0;
			for (int i = 0; i < 6; i++)
				listens(processes[rand_r(&seed) % 5], addrs[rand_r(&seed) % 6],
					(uint16_t)(1 + rand_r(&seed) % 5),
					(uint32_t)rand_r(&seed) % 3);
			for (int i = 0; i < 6; i++)
				connected(processes[rand_r(&seed) % 5],
					  addrs[1 + rand_r(&seed) % 5],
					  (uint16_t)(1 + rand_r(&seed) % 5));
			nvotes = 0;
			voting = step & 1;
			for (int i = 0; voting && c.nhops && i < 4; i++)
				votes_are(c.hop[(unsigned int)rand_r(&seed) % c.nhops].name,
					  c.hop[(unsigned int)rand_r(&seed) % c.nhops].name,
					  (uint64_t)rand_r(&seed) % 100);
			merge();
			has_no_loops();
			cr_assert_eq(ft_config_compile(&c, def, &rules), 0);
		}
		ft_config_print(&c, &out);
		cr_assert_eq(ft_config_parse(ft_buf_text(&out), "f", &again, &errors), 0, "%s%s",
			     ft_buf_text(&out), ft_buf_text(&errors));
		ft_buf_close(&out);
		ft_buf_close(&errors);
	}
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Destinations that match no hop, as the kernel notes them for discovery, and that it puts
 * addresses into the same realms as user space does. Every address is made local, so a
 * connect is refused at once; the candidate is noted when it begins. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "addr.h"
#include "discover.h"
#include "kit.h"

TestSuite(realm, .fini = kit_end, .timeout = 120);

#define MAX_SEEN 64

struct seen {
	struct ft_candidate_key key[MAX_SEEN];
	struct ft_candidate value[MAX_SEEN];
	unsigned int n;
};

static int collect(void *ctx, const struct ft_candidate_key *key, const struct ft_candidate *c)
{
	struct seen *s = ctx;

	cr_assert_lt(s->n, MAX_SEEN);
	s->key[s->n] = *key;
	s->value[s->n++] = *c;
	return 0;
}

static void read_candidates(enum ft_source source, struct seen *ret)
{
	memset(ret, 0, sizeof(*ret));
	cr_assert_eq(ft_probe_candidates(kit_probe(source), collect, ret), 0);
}

static void discover(const char *hops)
{
	const struct kit_options o = {.discover = true};

	kit_load(KIT_BOTH, &o);
	kit_hops(hops);
	kit_start();
}

/* Both sides of every border of a realm. */
static const char *const addresses[] = {
	"127.0.0.1",
	"127.255.255.254",
	"10.0.0.1",
	"10.255.255.254",
	"9.255.255.254",
	"11.0.0.1",
	"172.15.255.254",
	"172.16.0.1",
	"172.31.255.254",
	"172.32.0.1",
	"192.167.255.254",
	"192.168.0.1",
	"192.168.255.254",
	"192.169.0.1",
	"100.63.255.254",
	"100.64.0.1",
	"100.127.255.254",
	"100.128.0.1",
	"169.253.255.254",
	"169.254.1.1",
	"169.255.0.1",
	"8.8.8.8",
	"::1",
	"::2",
	"fbff::1",
	"fc00::1",
	"fd00::1",
	"fdff:ffff::1",
	"fe00::1",
	"fe7f::1",
	"fe80::1",
	"2001:db8::1",
	"64:ff9b::1",
};
#define N_ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

Test(realm, the_kernel_and_user_space_agree)
{
	static struct seen seen;
	uint8_t addr[16];

	discover("{ name = \"none\"; connect = \":9\"; }");
	cr_assert_eq(kit_run("ip route add local default dev lo && "
			     "ip -6 route add local default dev lo",
			     NULL, 0),
		     0);
	for (unsigned int i = 0; i < N_ADDRESSES; i++) /* a port each, to know them by */
		cr_assert_eq(kit_connect(addresses[i], 9000 + i), -ECONNREFUSED, "%s",
			     addresses[i]);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		read_candidates(door, &seen);
		cr_assert_eq(seen.n, N_ADDRESSES);
		for (unsigned int i = 0; i < seen.n; i++) {
			const char *text = addresses[seen.key[i].port - 9000];

			cr_assert_eq(ft_addr_parse(text, addr), 0);
			cr_assert_eq(memcmp(seen.value[i].raddr, addr, 16), 0, "%s", text);
			cr_assert_eq(seen.key[i].realm, ft_realm_of(addr),
				     "door %u: %s is in realm %u, in user space %u", door, text,
				     seen.key[i].realm, ft_realm_of(addr));
		}
	}
}

Test(realm, a_candidate_says_its_family)
{
	static struct seen seen;

	discover("{ name = \"none\"; connect = \":9\"; }");
	kit_connect("127.0.0.1", 9000);
	kit_connect("::1", 9000); /* the same realm, port and process: two candidates */
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		read_candidates(door, &seen);
		cr_assert_eq(seen.n, 2, "door %u: %u candidates, the first of family %u", door,
			     seen.n, seen.key[0].family);
		for (unsigned int i = 0; i < seen.n; i++)
			cr_assert_eq(seen.key[i].family,
				     ft_addr_is_v4(seen.value[i].raddr) ? 4 : 6);
	}
}

Test(realm, a_candidate_is_who_connects_where_and_how_often)
{
	static struct seen seen;

	discover("{ name = \"known\"; connect = \":8001\"; }");
	prctl(PR_SET_NAME, "node");
	for (int i = 0; i < 3; i++)
		kit_connect("127.0.0.1", 9001);
	kit_connect("127.0.0.2", 9001); /* the same realm */
	kit_connect("127.0.0.1", 8001); /* is a hop */
	prctl(PR_SET_NAME, "queue");
	kit_connect("127.0.0.1", 9001);
	read_candidates(FT_SOURCE_TRACEPOINT, &seen);
	cr_assert_eq(seen.n, 2); /* (node, 9001) and (queue, 9001) */
	for (unsigned int i = 0; i < seen.n; i++) {
		bool node = !strcmp(seen.key[i].comm, "node");

		cr_assert(node || !strcmp(seen.key[i].comm, "queue"));
		cr_assert_eq(seen.key[i].port, 9001);
		cr_assert_eq(seen.key[i].realm, FT_REALM_LOOPBACK);
		cr_assert_eq(seen.value[i].count, node ? 4 : 1); /* 3 to .1 and 1 to .2 */
	}
	read_candidates(FT_SOURCE_TRACEPOINT, &seen);
	cr_assert_eq(seen.n, 0); /* reading takes them */
}

Test(realm, what_the_kernels_workers_connect_is_one_candidate)
{
	static struct seen seen;

	discover("{ name = \"known\"; connect = \":8001\"; }");
	prctl(PR_SET_NAME, "kworker/u8:3");
	kit_connect("127.0.0.1", 9001);
	prctl(PR_SET_NAME, "kworker/12:1H-x");
	kit_connect("127.0.0.1", 9001);
	prctl(PR_SET_NAME, "kworkers");
	kit_connect("127.0.0.1", 9001);
	read_candidates(FT_SOURCE_TRACEPOINT, &seen);
	cr_assert_eq(seen.n, 2);
	for (unsigned int i = 0; i < seen.n; i++)
		cr_assert_eq(seen.value[i].count, strcmp(seen.key[i].comm, "kworker") ? 1 : 2);
}

Test(realm, without_discovery_no_candidate_is_noted)
{
	static struct seen seen;

	kit_count(KIT_BOTH, "{ name = \"known\"; connect = \":8001\"; }");
	kit_connect("127.0.0.1", 9001);
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		read_candidates(door, &seen);
		cr_assert_eq(seen.n, 0);
	}
}

/* --- listeners, the other half of discovery --- */

struct listeners {
	struct ft_listener row[8];
	unsigned int n;
};

static int collect_listener(void *ctx, uint64_t key, const struct ft_listener *l)
{
	struct listeners *s = ctx;

	(void)key;
	if (l->netns != kit_netns())
		return 0;
	cr_assert_lt(s->n, 8);
	s->row[s->n++] = *l;
	return 0;
}

static struct listeners read_listeners(void)
{
	struct listeners s = {0};

	cr_assert_eq(ft_probe_listeners(kit_probe(FT_SOURCE_TRACEPOINT), collect_listener, &s), 0);
	return s;
}

Test(realm, listeners_are_known_with_their_owner_while_they_listen)
{
	struct listeners s;
	int before, after;

	prctl(PR_SET_NAME, "nginx");
	kit_isolate();
	before = kit_listen("127.0.0.1", 8001);
	kit_load(KIT_TRACEPOINT, NULL);
	kit_hops("{ name = \"none\"; connect = \":9\"; }");
	cr_assert_eq(ft_probe_start(kit_probe(FT_SOURCE_TRACEPOINT), NULL, 0, true), 0);
	after = kit_listen("::", 8002);
	s = read_listeners();
	cr_assert_eq(s.n, 2); /* one from before, one from now */
	for (unsigned int i = 0; i < s.n; i++) {
		cr_assert(s.row[i].port == 8001 || s.row[i].port == 8002);
		cr_assert_eq(ft_addr_is_any(s.row[i].addr), s.row[i].port == 8002);
		cr_assert_str_eq(s.row[i].comm, "nginx");
		cr_assert_eq(s.row[i].pid, (uint32_t)getpid());
	}
	close(before);
	close(after);
	cr_assert_eq(read_listeners().n, 0);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Pairing as the agent does it: loaded when there is something to pair, looked at once a tick,
 * and listed from outside by way of the pinned tables. */
#include <bpf/bpf.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "counting.h"
#include "counting_pair.h"
#include "kit_pair.h"
#include "probe_pair_pins.h"

static struct ft_counting session;
static char pins[64];

static void end_session(void)
{
	ft_counting_close(&session);
	if (pins[0])
		ft_probe_unpin(pins); /* what a failed test left, too */
	pins[0] = 0;
}

static void start(const char *config)
{
	static const struct ft_options o = {.source = -1};
	char text[1024];

	kit_isolate();
	snprintf(pins, sizeof(pins), "/sys/fs/bpf/fantail-test-%d", getpid());
	snprintf(text, sizeof(text), "netns = \"own\"; %s", config);
	cr_assert_eq(ft_counting_start(&session, &o, pins, text), 0);
}

static void tick(void)
{
	cr_assert_eq(ft_counting_tick(&session), 0);
}

/* Walks are as often as they may cost a hundredth of a core: on a slow machine not each tick. */
static void tick_until(enum ft_pair_class class)
{
	const struct ft_hop_pairs *out = &session.snapshot.pairs[KIT_OUT];

	for (int tries = 0; tries < 60; tries++) {
		tick();
		if (out->class == class)
			return;
		kit_sleep_ms(500);
	}
	cr_assert_fail("class %llu, expected %d", (unsigned long long)out->class, class);
}

/* The edges that somebody else sees; -ENOENT: none is offered. */
static int listed(void)
{
	struct ft_pair_walk w = {0};
	int err = ft_probe_pair_list(pins, &w), n = err ? err : (int)w.nedges;

	ft_pair_walk_close(&w);
	return n;
}

/* The same of a list. */
static void tick_until_listed(int n)
{
	for (int tries = 0; tries < 60 && listed() != n; tries++) {
		kit_sleep_ms(500);
		tick();
	}
	cr_assert_eq(listed(), n, "%d edges, expected %d", listed(), n);
}

/* Pairing programs that this process has loaded. */
static unsigned int programs(void)
{
	DIR *d = opendir("/proc/self/fd");
	const struct dirent *e;
	unsigned int n = 0;

	while (d && (e = readdir(d))) {
		char path[280], kind[64] = "";
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);

		snprintf(path, sizeof(path), "/proc/self/fd/%s", e->d_name);
		if (readlink(path, kind, sizeof(kind) - 1) > 0 && strstr(kind, "bpf-prog"))
			n += !bpf_obj_get_info_by_fd(atoi(e->d_name), &info, &len) &&
			     !strncmp(info.name, "ft_pair", 7);
	}
	closedir(d);
	return n;
}

static void expect_mean(const struct ft_pair_mean *m, uint64_t flows, uint64_t partners)
{
	cr_assert_eq(m->flows, flows, "%llu flows", (unsigned long long)m->flows);
	cr_assert_eq(m->partners, partners, "%llu partners", (unsigned long long)m->partners);
}

Test(pair, an_agent_tells_pairs_while_they_are_open_and_forgets_those_that_ended,
     .fini = end_session)
{
	const struct ft_hop_pairs *in = &session.snapshot.pairs[KIT_IN],
				  *out = &session.snapshot.pairs[KIT_OUT];
	uint64_t began_ns = ft_clock_ns(CLOCK_MONOTONIC);
	struct kit_pair front, back[2];

	start("hops = (" KIT_RELAY ");");
	cr_assert_eq(listed(), -ENOENT);
	tick();
	cr_assert_eq(listed(), 0);
	cr_assert_geq(programs(), 4); /* reads, writes, and ends twice */
	front = kit_front();
	for (int i = 0; i < 2; i++) {
		back[i] = kit_back();
		kit_exchange(front, back[i]);
	}
	cr_assert_eq(listed(), 2);
	tick_until(FT_PAIR_EXACT); /* an edge counts when it is a second old */
	cr_assert_eq(out->confidence, 1000);
	expect_mean(&out->open, 1, 2);
	expect_mean(&out->closed, 0, 0);
	expect_mean(&out->recent, 1, 2);
	cr_assert_eq(out->open_max, 2);
	cr_assert_eq(out->open_fanout[2], 1);
	cr_assert_gt(out->since_ns, began_ns);
	cr_assert_leq(out->since_ns, session.snapshot.mono_ns);
	cr_assert_eq(in->exchanges, 2);
	cr_assert_eq(out->exchanges, 2);

	kit_close_client_first(front);
	kit_sleep_ms(200);
	cr_assert_eq(listed(), 1); /* the kernel has removed one, the next walk does the other */
	tick_until_listed(0);
	cr_assert_eq(out->class, FT_PAIR_EXACT);
	expect_mean(&out->closed, 1, 2); /* what was counted stays */
	expect_mean(&out->open, 0, 0);
	expect_mean(&out->recent, 1, 2); /* for a minute */
	cr_assert_eq(out->closed_max, 2);
	cr_assert_eq(out->closed_fanout[2], 1);
	cr_assert_eq(in->used, 1);
	cr_assert_eq(in->single, 0);
}

Test(pair, an_agent_that_follows_another_pairs_what_is_open_anew_until_stopped, .fini = end_session)
{
	const struct ft_hop_pairs *out = &session.snapshot.pairs[KIT_OUT];
	struct kit_pair front, back;

	start("hops = (" KIT_RELAY ");");
	tick();
	front = kit_front();
	back = kit_back();
	kit_exchange(front, back);
	cr_assert_eq(listed(), 1);
	ft_counting_close(&session); /* killed: what is pinned stays */
	start("hops = (" KIT_RELAY ");");
	cr_assert(session.probe.adopted);
	cr_assert_eq(listed(), -ENOENT, "a table that nobody writes any more is still offered");
	tick();
	cr_assert_eq(listed(), 0);
	kit_exchange(front, back);
	cr_assert_eq(listed(), 1);
	tick_until(FT_PAIR_EXACT);
	expect_mean(&out->open, 1, 1);
	cr_assert_eq(out->exchanges, 1);
	cr_assert_eq(out->opened_before, 1); /* so that new flows per exchange do not count it */

	ft_counting_pair_stop(&session);
	cr_assert_eq(programs(), 0);
	cr_assert_eq(listed(), -ENOENT);
	cr_assert_eq(out->role, FT_PAIR_NONE);
}

static void expect_no_pairing(const char *config)
{
	struct ft_hop_pairs pairs;

	start(config);
	tick();
	kit_exchange(kit_front(), kit_back());
	tick();
	cr_assert_eq(programs(), 0);
	cr_assert_eq(listed(), -ENOENT);
	cr_assert_eq(ft_probe_get_pairs(&session.probe, KIT_IN, &pairs), 0);
	cr_assert_eq(pairs.role, FT_PAIR_NONE);			/* null to readers, not 0 */
	cr_assert_eq(session.snapshot.stats[KIT_IN].opened, 1); /* everything else is counted */
}

Test(pair, without_pairs_no_program_is_loaded, .fini = end_session)
{
	expect_no_pairing("pairs = false; hops = (" KIT_RELAY ");");
}

Test(pair, without_an_edge_no_program_is_loaded, .fini = end_session)
{
	expect_no_pairing("hops = ({ name = \"in\"; accept = \"8001\"; },"
			  "{ name = \"out\"; connect = \":8002\"; });");
}

/* The threads of this program tell nothing: the agent asks for byte counters by itself. */
Test(pair, an_agent_asks_for_byte_counters_where_threads_tell_nothing, .fini = end_session)
{
	const struct ft_hop_pairs *out = &session.snapshot.pairs[KIT_OUT];
	struct kit_hand *reads, *writes;
	const int n = 2 * FT_PAIR_WINDOW_EDGES;

	start("hops = (" KIT_RELAY ");");
	tick();
	reads = kit_hand();
	writes = kit_hand();
	for (int i = 0; i < n; i++) {
		struct kit_pair front = kit_front(), back = kit_back();

		if (i == n / 2) { /* enough was seen to say so, and from here on they are kept */
			tick_until(FT_PAIR_NOT);
			cr_assert_eq(out->open.partners + out->closed.partners, 0);
		}
		kit_send(front.client, 100 + i);
		kit_hand_read(reads, front.server, 100 + i);
		kit_hand_write(writes, back.client, 100 + i);
		kit_take(back.server, 100 + i);
		kit_close_client_first(front);
		kit_close_client_first(back);
	}
	tick_until(FT_PAIR_SIGNATURE); /* two seconds on: a later close could speak against it */
	cr_assert_eq(out->confidence, 1000);
	expect_mean(&out->closed, n / 2, n / 2);
}

/* --- a list while pairs come and go --- */

#define LISTED 2000

static void put_edge(int fd, uint64_t number)
{
	struct ft_pair_edge_key key = {number, number};
	struct ft_pair_edge edge = {.first_ns = number};

	cr_assert_eq(bpf_map_update_elem(fd, &key, &edge, BPF_ANY), 0);
}

/* Ends and begins edges until it is killed, in a process of its own. */
static pid_t churn(int fd)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	for (uint64_t i = 0;; i++) {
		struct ft_pair_edge_key key = {i % LISTED, i % LISTED};

		bpf_map_delete_elem(fd, &key);
		put_edge(fd, i % LISTED);
	}
}

static int by_first(const void *a, const void *b)
{
	const struct ft_pair_edge_row *x = a, *y = b;

	return x->edge.first_ns < y->edge.first_ns ? -1 : x->edge.first_ns > y->edge.first_ns;
}

static unsigned int twice(struct ft_pair_walk *w)
{
	unsigned int n = 0;

	qsort(w->edge, w->nedges, sizeof(*w->edge), by_first);
	for (size_t i = 1; i < w->nedges; i++)
		n += w->edge[i].key.a == w->edge[i - 1].key.a;
	return n;
}

Test(pair, a_list_has_no_pair_twice_while_pairs_come_and_go, .fini = end_session)
{
	struct ft_pair_walk w = {0};
	char path[96];
	int edges;
	pid_t pid;

	start("hops = (" KIT_RELAY ");");
	tick();
	snprintf(path, sizeof(path), "%s/pair_edges", pins);
	edges = bpf_obj_get(path);
	cr_assert_geq(edges, 0);
	for (uint64_t i = 0; i < LISTED; i++)
		put_edge(edges, i);
	pid = churn(edges);
	for (int lists = 0; lists < 200; lists++) {
		cr_assert_eq(ft_probe_pair_list(pins, &w), 0);
		/* one at a time is away, a list takes some of those times */
		cr_expect_geq(w.nedges, LISTED * 9 / 10, "%zu edges", w.nedges);
		cr_expect_eq(twice(&w), 0);
		ft_pair_walk_close(&w);
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(edges);
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Programs whose threads hand over to each other: their order of reads and writes tells little or
 * lies, and then nothing may be claimed. And what does tell: byte counters at close. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit_pair.h"

#define N 40

static struct kit_pair front[N], back[N];
static struct kit_hand *hand[4];

static void open_all(int n, int hands)
{
	for (int i = 0; i < n; i++) {
		front[i] = kit_front();
		back[i] = kit_back();
	}
	for (int i = 0; i < hands; i++)
		hand[i] = kit_hand();
}

/* One exchange of tunnel i: who reads and who writes, there and back. */
static void pass(int i, size_t up, size_t down, const int who[4])
{
	kit_send(front[i].client, up);
	kit_hand_read(hand[who[0]], front[i].server, up);
	kit_hand_write(hand[who[1]], back[i].client, up);
	kit_take(back[i].server, up);
	kit_send(back[i].server, down);
	kit_hand_read(hand[who[2]], back[i].client, down);
	kit_hand_write(hand[who[3]], front[i].server, down);
	kit_take(front[i].client, down);
}

static void a_thread_per_client_is_paired_as_if_it_were_alone(void)
{
	struct ft_pair_verdict v;

	open_all(4, 4);
	for (int i = 0; i < 4; i++)
		kit_send(front[i].client, 100);
	for (int i = 0; i < 4; i++) /* in lock-step: each reads before any writes */
		kit_hand_read(hand[i], front[i].server, 100);
	for (int i = 3; i >= 0; i--)
		kit_hand_write(hand[i], back[i].client, 100);
	for (int i = 0; i < 4; i++) {
		kit_send(back[i].server, 200);
		kit_hand_read(hand[i], back[i].client, 200);
	}
	for (int i = 3; i >= 0; i--)
		kit_hand_write(hand[i], front[i].server, 200);
	kit_expect_edges(4);
	for (int i = 0; i < 4; i++)
		kit_expect_evidence(front[i].server, back[i].client, KIT_ALL);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.mean, 1);
	cr_assert_eq(kit_pair_entries(FT_PAIR_MAP_THREADS), 4);
}

static void one_thread_that_reads_and_one_that_writes_give_no_evidence_and_no_pairs(void)
{
	static const int who[4] = {0, 1, 0, 1};
	struct ft_pair_verdict v;

	open_all(N, 2);
	for (int i = 0; i < N; i++)
		pass(i, 100, 200, who);
	kit_expect_edges(0);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_NOT, 0);
	cr_assert_eq(v.coverage, 0);
	cr_assert_eq(v.partners, 0);
	cr_assert_eq(kit_pair_stats(KIT_OUT)->sends, N);
	cr_assert_eq(kit_pair_stats(KIT_IN)->exchanges, N); /* these need no pairs */
	cr_assert_eq(kit_pair_stats(KIT_OUT)->exchanges, N);
}

/* Any of four threads takes any piece of work, out of four tunnels' at a time. */
static void a_pool_of_threads_is_not_pairable(void)
{
	unsigned int seed = 1;
	struct ft_pair_verdict v;

	open_all(N, 4);
	for (int round = 0; round < 3; round++)
		for (int step = 0; step < 4; step++)
			for (int k = 0; k < N; k++) {
				int i = (k * 7 + step * 3) % N, h = rand_r(&seed) % 4;

				if (step == 0) {
					kit_send(front[i].client, 100);
					kit_hand_read(hand[h], front[i].server, 100);
				} else if (step == 1) {
					kit_hand_write(hand[h], back[i].client, 100);
				} else if (step == 2) {
					kit_send(back[i].server, 200);
					kit_hand_read(hand[h], back[i].client, 200);
				} else {
					kit_hand_write(hand[h], front[i].server, 200);
				}
			}
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_NOT, 0);
	cr_assert_lt(v.confidence, FT_PAIR_INTERVAL_FROM / 2, "confidence %f", v.confidence);
}

/* Each thread reads one and then writes another, never two of a kind in a row: the way back looks
 * as clean as that of a program that does not hand over. But no write forth agrees with it. */
static void threads_that_take_turns_with_each_others_work_are_not_pairable(void)
{
	struct ft_pair_verdict v;

	open_all(N, 4);
	for (int i = 0; i < N; i += 4) { /* thread h reads tunnel h and writes the next one's */
		for (int h = 0; h < 4; h++) {
			kit_send(front[i + h].client, 100);
			kit_hand_read(hand[h], front[i + h].server, 100);
		}
		for (int h = 0; h < 4; h++)
			kit_hand_write(hand[h], back[i + (h + 1) % 4].client, 100);
		for (int h = 0; h < 4; h++) {
			kit_send(back[i + h].server, 200);
			kit_hand_read(hand[h], back[i + h].client, 200);
		}
		for (int h = 0; h < 4; h++)
			kit_hand_write(hand[h], front[i + (h + 1) % 4].server, 200);
	}
	v = kit_judge(KIT_OUT);
	cr_assert_eq(v.class, FT_PAIR_NOT, "class %d, confidence %f by rule %d", v.class,
		     v.confidence, v.rule);
}

/* --- byte signatures --- */

static size_t up(int i)
{
	return 100 + i / 2 * 2; /* tunnels 0 and 1, 2 and 3, ... are alike on the way up */
}

static size_t down(int i)
{
	return 1000 + (i & 1 ? i : 0);
}

static void close_tunnel(int i, bool client_first)
{
	int first = client_first ? front[i].client : back[i].server;
	int a = client_first ? front[i].server : back[i].client;
	int b = client_first ? back[i].client : front[i].server;
	int last = client_first ? back[i].server : front[i].client;

	close(first);
	kit_await_end(a);
	close(b);
	kit_await_end(last);
	close(a);
	close(last);
}

static void tunnels_of_a_thread_pool_are_paired_by_their_bytes_at_close(void)
{
	static const int who[4] = {0, 1, 0, 1};
	uint16_t a_port[N], b_port[N];
	const struct ft_pair_match *m;
	struct ft_pair_verdict v;
	size_t n, found = 0;

	open_all(N, 2);
	kit_sign(KIT_OUT);
	for (int i = 0; i < N; i++) {
		a_port[i] = kit_port(front[i].client);
		b_port[i] = kit_port(back[i].client);
		pass(i, up(i), down(i), who);
	}
	for (int i = 0; i < N; i++)
		close_tunnel(i, i % 3);
	kit_settle();
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_SIGNATURE, 0);
	cr_assert_eq(v.confidence, 1);
	cr_assert_eq(v.flows, N);
	cr_assert_eq(v.mean, 1);
	m = kit_signed(&n);
	cr_assert_eq(n, N, "%zu of %d tunnels", n, N);
	for (size_t k = 0; k < n; k++)
		for (int i = 0; i < N; i++)
			found += m[k].a_port == a_port[i] && m[k].b_port == b_port[i];
	cr_assert_eq(found, N, "%zu matches are right", found);
}

static void tunnels_that_carried_the_same_are_not_guessed(void)
{
	static const int who[4] = {0, 1, 0, 1};
	const struct ft_pair_match *m;
	uint16_t third;
	size_t n;

	open_all(3, 2);
	third = kit_port(back[2].client);
	kit_sign(KIT_OUT);
	for (int i = 0; i < 3; i++)
		pass(i, i < 2 ? 100 : 101, 200, who);
	for (int i = 0; i < 3; i++) { /* all at once */
		close(front[i].client);
		close(back[i].server);
	}
	for (int i = 0; i < 3; i++) {
		close(front[i].server);
		close(back[i].client);
	}
	kit_settle();
	kit_judge(KIT_OUT);
	m = kit_signed(&n);
	cr_assert_eq(n, 1, "%zu matches", n); /* the third alone */
	cr_assert_eq(m->b_port, third);
}

/* --- processes --- */

/* A relay of its own: takes one client after the other and carries two exchanges for each. */
static void be_relay(int listener, int clients)
{
	char bytes[200];

	prctl(PR_SET_PDEATHSIG, 9);
	for (int i = 0; i < clients; i++) {
		int a = kit_accept(listener), b = kit_connect("127.0.0.1", 8002);

		for (int round = 0; round < 2; round++) {
			if (recv(a, bytes, 100, MSG_WAITALL) != 100 ||
			    write(b, bytes, 100) != 100 ||
			    recv(b, bytes, 200, MSG_WAITALL) != 200 || write(a, bytes, 200) != 200)
				_exit(1);
		}
	}
	pause();
}

static void two_processes_relay_at_once_and_their_pairs_do_not_mix(void)
{
	int listener[2], servers, client[2][8], server[2][8];
	const struct ft_pair_walk *w;
	struct ft_pair_verdict v;
	pid_t pid[2];
	unsigned int of[2] = {0};

	servers = kit_listener("127.0.0.1", 8002);
	for (int p = 0; p < 2; p++) {
		listener[p] = kit_listener(p ? "127.0.0.3" : "127.0.0.2", 8001);
		pid[p] = fork();
		if (!pid[p])
			be_relay(listener[p], 8);
	}
	for (int i = 0; i < 8; i++) {
		for (int p = 0; p < 2; p++) {
			client[p][i] = kit_connect(p ? "127.0.0.3" : "127.0.0.2", 8001);
			server[p][i] = kit_accept(servers);
		}
		for (int round = 0; round < 2; round++) { /* both relays at work at any time */
			for (int p = 0; p < 2; p++)
				kit_send(client[p][i], 100);
			for (int p = 0; p < 2; p++)
				kit_take(server[p][i], 100);
			for (int p = 0; p < 2; p++)
				kit_send(server[p][i], 200);
			for (int p = 0; p < 2; p++)
				kit_take(client[p][i], 200);
		}
	}
	kit_expect_edges(16);
	v = kit_expect_verdict(KIT_OUT, FT_PAIR_EXACT, FT_PAIR_LAST);
	cr_assert_eq(v.flows, 16);
	cr_assert_eq(v.max, 1);
	cr_assert_eq(v.reuse_max, 1);
	w = kit_pairs();
	for (size_t i = 0; i < w->nedges; i++) {
		const struct ft_pair_edge *e = &w->edge[i].edge;
		int p = (pid_t)e->tgid == pid[1];

		cr_assert_eq((pid_t)e->tgid, pid[p]);
		cr_assert_eq(ft_pair_pattern(e), KIT_ALL);
		of[p]++;
		for (size_t j = 0; j < w->nflows; j++)
			if (w->flow[j].flow.id == w->edge[i].key.a ||
			    w->flow[j].flow.id == w->edge[i].key.b)
				cr_assert_eq(w->flow[j].flow.tgid, e->tgid);
	}
	cr_assert_eq(of[0], 8);
	cr_assert_eq(of[1], 8);
	for (int p = 0; p < 2; p++) {
		kill(pid[p], 9);
		waitpid(pid[p], NULL, 0);
	}
}

Test(pair, threads)
{
	static const struct kit_case cases[] = {
		KIT_CASE(a_thread_per_client_is_paired_as_if_it_were_alone),
		KIT_CASE(one_thread_that_reads_and_one_that_writes_give_no_evidence_and_no_pairs),
		KIT_CASE(a_pool_of_threads_is_not_pairable),
		KIT_CASE(threads_that_take_turns_with_each_others_work_are_not_pairable),
		KIT_CASE(tunnels_of_a_thread_pool_are_paired_by_their_bytes_at_close),
		KIT_CASE(tunnels_that_carried_the_same_are_not_guessed),
		KIT_CASE(two_processes_relay_at_once_and_their_pairs_do_not_mix),
	};

	kit_pairing_cases(cases, sizeof(cases) / sizeof(cases[0]));
}

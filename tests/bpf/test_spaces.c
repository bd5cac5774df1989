/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* A host of many network namespaces, as its agent sees them. */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "counting.h"
#include "kit.h"

#define SPACES 100
#define USED   16 /* of them; with a hop and a connection each */

static struct ft_counting session;
static pid_t child[SPACES];
static char name[64];

static void end_session(void)
{
	ft_counting_close(&session);
	if (name[0])
		unlink(name);
	for (int i = 0; i < SPACES; i++)
		if (child[i] > 0) {
			kill(child[i], SIGKILL);
			waitpid(child[i], NULL, 0);
		}
}

/* A process in a namespace of its own, with one connection to that port, or none (0). */
static pid_t make_space(int port)
{
	int ready[2];
	char byte;
	pid_t pid;

	cr_assert_eq(pipe(ready), 0);
	pid = fork();
	if (!pid) {
		cr_assert_eq(unshare(CLONE_NEWNET), 0);
		if (port) {
			cr_assert_eq(kit_run("ip link set lo up", NULL, 0), 0);
			kit_pair(kit_listen("127.0.0.1", port), "127.0.0.1", port);
		}
		cr_assert_eq(write(ready[1], "", 1), 1);
		for (;;)
			pause();
	}
	cr_assert_gt(pid, 0);
	cr_assert_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

Test(spaces, each_of_many_has_its_own_ports, .fini = end_session, .timeout = 240)
{
	static const struct ft_options o = {.source = -1};
	char config[4096] = "hops = (";
	size_t len = strlen(config);

	for (int i = 0; i < USED; i++)
		len += snprintf(config + len, sizeof(config) - len,
				"%s{ name = \"out%d\"; connect = \":%d\"; }", i ? ", " : "", i,
				48001 + i);
	snprintf(config + len, sizeof(config) - len, " );");
	for (int i = 0; i < SPACES; i++)
		child[i] = make_space(i < USED ? 48001 + i : 0);
	cr_assert_eq(ft_counting_start(&session, &o, NULL, config), 0);
	cr_assert_geq(session.ns.n, SPACES);
	for (int i = 0; i < 2; i++) /* the first frame comes without a scan */
		cr_assert_eq(ft_counting_tick(&session), 0);
	for (int i = 0; i < USED; i++) {
		cr_assert_eq(session.snapshot.limits[i].ports_used, 1, "hop %d", i);
		cr_assert_gt(session.snapshot.limits[i].ports_limit, 1);
	}
}

/* What a container's namespace is called is another namespace after its restart. */
static void call_it(pid_t pid)
{
	char space[64];

	snprintf(space, sizeof(space), "/proc/%d/ns/net", pid);
	unlink(name);
	cr_assert_eq(symlink(space, name), 0);
}

static void scan_now(void)
{
	session.scan_due_ns = 0;
	cr_assert_eq(ft_counting_tick(&session), 0);
}

Test(spaces, a_name_that_is_given_to_another_one_is_followed, .fini = end_session, .timeout = 240)
{
	static const struct ft_options o = {.source = -1};
	const struct ft_hop_stats *out = &session.snapshot.stats[0];
	char config[256];

	snprintf(name, sizeof(name), "/tmp/fantail-test-%d", getpid());
	snprintf(config, sizeof(config),
		 "netns = \"%s\"; hops = ( { name = \"out\"; connect = \":48001\"; } );", name);
	child[0] = make_space(48001);
	call_it(child[0]);
	cr_assert_eq(ft_counting_start(&session, &o, NULL, config), 0);
	for (int i = 0; i < 2; i++)
		scan_now();
	cr_assert_eq(ft_hop_active(out), 1);
	cr_assert_eq(out->preexisting, 1);

	child[1] = make_space(48001);
	call_it(child[1]);
	scan_now();
	cr_assert_eq(out->preexisting, 2);
	cr_assert_eq(ft_hop_active(out), 2);
	for (int i = 0; i < 3; i++) /* nothing tells of the old one's any more */
		scan_now();
	cr_assert_eq(ft_hop_active(out), 1);
	cr_assert_eq(session.snapshot.totals.loss[FT_LOSS_MISSED_CLOSE], 1);
	cr_assert_eq(session.snapshot.limits[0].drift, 0);
	kill(child[1], SIGKILL);
	waitpid(child[1], NULL, 0);
	child[1] = 0;
	for (int tries = 0; ft_hop_active(out) && tries < 100; tries++) {
		kit_sleep_ms(20);
		cr_assert_eq(ft_counting_tick(&session), 0);
	}
	cr_assert_eq(ft_hop_active(out), 0); /* and its end was seen */
}

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The walk that holds the flow table against the sockets, and what is left in the kernel
 * when the probe is gone. */
#include <bpf/bpf.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001\"; }"

TestSuite(audit, .fini = kit_end, .timeout = 120);

static struct kit_pair p;

/* One open connection. */
static void count_one(void)
{
	kit_count(KIT_TRACEPOINT, HOPS);
	p = kit_pair(kit_listen("127.0.0.1", 8001), "127.0.0.1", 8001);
}

static int flows_map(void)
{
	return kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_FLOWS];
}

static uint64_t loss(enum ft_loss reason)
{
	return kit_read(FT_SOURCE_TRACEPOINT)->totals.loss[reason];
}

Test(audit, a_healthy_table_is_left_alone)
{
	static struct ft_snapshot before;
	const struct ft_snapshot *after;

	count_one();
	kit_close_client_first(kit_pair(kit_listen("127.0.0.2", 8001), "127.0.0.2", 8001));
	shutdown(kit_pair(kit_listen("127.0.0.3", 8001), "127.0.0.3", 8001).client, SHUT_WR);
	kit_settle();
	before = *kit_read(FT_SOURCE_TRACEPOINT);
	for (int i = 0; i < 3; i++)
		kit_audit(NULL);
	after = kit_read(FT_SOURCE_TRACEPOINT);
	cr_assert_eq(memcmp(before.stats, after->stats, sizeof(before.stats)), 0);
	cr_assert_eq(memcmp(before.totals.loss, after->totals.loss, sizeof(before.totals.loss)), 0);
	for (int hop = 0; hop < 2; hop++) /* the open and the half-closed one */
		cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, hop), 2);
}

Test(audit, a_flow_without_an_entry_is_counted_and_named_as_missed)
{
	struct ft_flow lost, found;
	uint64_t key, again;

	count_one();
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, 0, &key, &lost));
	cr_assert_eq(bpf_map_delete_elem(flows_map(), &key), 0);
	kit_audit(NULL);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, 0, &again, &found));
	cr_assert_eq(again, key);
	cr_assert_eq(found.state, FT_ESTABLISHED);
	cr_assert_eq(found.rport, lost.rport);
	cr_assert_eq(found.flags & FT_FLOW_PREEXISTING, 0);
	cr_assert_eq(loss(FT_LOSS_MISSED_OPEN), 1);
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 0);
	/* 2 = the one that we took the entry of, and the same again: to the audit it is one
	 * whose opening was not seen */
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[0].opened, 2);
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[1].opened, 1); /* as it was */

	kit_audit(NULL); /* and that was all */
	cr_assert_eq(loss(FT_LOSS_MISSED_OPEN), 1);
	kit_close_client_first(p);
	kit_settle();
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[0].closed[FT_CLOSED_REMOTE], 1);
}

Test(audit, a_connecting_flow_without_an_entry_is_found_too)
{
	uint64_t key;

	count_one();
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 1, 8001, &key, NULL));
	cr_assert_eq(bpf_map_delete_elem(flows_map(), &key), 0);
	kit_audit(NULL);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 1, 8001, NULL, NULL));
	cr_assert_eq(loss(FT_LOSS_MISSED_OPEN), 1);
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[1].opened, 2);
}

/* A copy of an entry under a key that is no socket's. */
static void put_ghost(int hop)
{
	struct ft_flow f;
	uint64_t key = 1;

	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, hop, 0, NULL, &f));
	f.rport = 9; /* none that the table has */
	cr_assert_eq(bpf_map_update_elem(flows_map(), &key, &f, BPF_NOEXIST), 0);
}

Test(audit, an_entry_without_a_socket_is_closed_and_named_as_missed)
{
	const struct ft_snapshot *s;

	count_one();
	put_ghost(0);
	kit_audit(NULL);
	cr_assert_not(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, 9, NULL, NULL));
	cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, -1), 2); /* the real ones */
	s = kit_read(FT_SOURCE_TRACEPOINT);
	cr_assert_eq(s->totals.loss[FT_LOSS_MISSED_CLOSE], 1);
	cr_assert_eq(s->totals.loss[FT_LOSS_MISSED_OPEN], 0);
	cr_assert_eq(s->stats[0].closed[FT_CLOSED_OTHER], 1); /* how it ended is not known */
	cr_assert_eq(s->stats[0].transition[FT_ESTABLISHED][FT_CLOSE], 1);
	cr_assert_eq(ft_hop_closed(&s->stats[1]), 0);
	kit_audit(NULL);
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 1);
}

Test(audit, an_entry_that_one_walk_missed_is_not_judged)
{
	count_one();
	put_ghost(0);
	kit_audit_once(kit_netns());
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 0);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, 9, NULL, NULL));
	kit_audit_once(kit_netns());
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 1);
}

Test(audit, entries_of_a_namespace_that_was_not_walked_are_not_judged)
{
	count_one();
	put_ghost(0);
	for (int i = 0; i < 3; i++)
		kit_audit_once(1); /* no namespace has this number */
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 0);
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 0, 9, NULL, NULL));
}

Test(audit, the_number_of_walks_may_wrap)
{
	struct ft_control control;
	uint32_t zero = 0;
	int control_map;

	count_one();
	control_map = kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_CONTROL];
	cr_assert_eq(bpf_map_lookup_elem(control_map, &zero, &control), 0);
	control.audit = 254; /* the walk's number is kept in 8 bits */
	cr_assert_eq(bpf_map_update_elem(control_map, &zero, &control, BPF_ANY), 0);
	kit_audit_once(kit_netns());
	kit_pair(kit_listen("127.0.0.2", 8001), "127.0.0.2", 8001);
	kit_audit(NULL);
	kit_audit(NULL);
	for (unsigned int reason = 0; reason < FT_NLOSS; reason++)
		cr_assert_eq(loss(reason), 0);
	cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, -1), 4); /* both ends of two */
}

/* The entry of a client that has closed is put back, as if its close had not been seen; then
 * the same socket, so the same key, connects again, to this port. */
static void reuse_ghost(uint16_t port)
{
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct sockaddr_storage to;
	socklen_t len = sizeof(to);
	struct ft_flow f;
	uint64_t key;

	count_one();
	cr_assert(kit_find_flow(FT_SOURCE_TRACEPOINT, 1, 8001, &key, &f));
	cr_assert_eq(getpeername(p.client, (struct sockaddr *)&to, &len), 0);
	cr_assert_eq(connect(p.client, &none, sizeof(none)), 0);
	cr_assert_eq(bpf_map_update_elem(flows_map(), &key, &f, BPF_ANY), 0);
	((struct sockaddr_in *)&to)->sin_port = htons(port);
	cr_assert_eq(connect(p.client, (struct sockaddr *)&to, len), 0, "connect: %m");
}

Test(audit, a_socket_at_the_address_of_a_ghost_is_a_new_flow)
{
	struct kit_hop in = {.opened = 2, .closed[FT_CLOSED_RESET] = 1};

	reuse_ghost(8001);
	kit_path(&in, 2, KIT_ACCEPTED);
	kit_path(&in, 1, "ESTABLISHED CLOSE");
	kit_expect("in", &in);
	cr_assert_eq(loss(FT_LOSS_MISSED_CLOSE), 1);
	cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, 1), 1);
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[1].opened, 2);
	/* 2 = its RST, and the ghost for another reason */
	cr_assert_eq(ft_hop_closed(&kit_read(FT_SOURCE_TRACEPOINT)->stats[1]), 2);
}

Test(audit, a_socket_of_no_hop_at_the_address_of_a_ghost_is_not_taken_for_it)
{
	const struct ft_hop_stats *out;

	kit_isolate();
	kit_listen("127.0.0.1", 8002);
	reuse_ghost(8002);
	shutdown(p.client, SHUT_WR);
	kit_settle();
	out = &kit_read(FT_SOURCE_TRACEPOINT)->stats[1];
	cr_assert_eq(out->transition[FT_ESTABLISHED][FT_FIN_WAIT1], 0);
	cr_assert_eq(out->opened, 1);
	cr_assert_eq(kit_flows(FT_SOURCE_TRACEPOINT, 1), 0); /* no flow of ours is left */
}

/* --- what is left --- */

/* Ids of what a probe has in the kernel; of this probe only: other tests run beside us. */
struct ids {
	uint32_t map[FT_NMAPS], prog[FT_NLINKS], link[FT_NLINKS];
};

static struct ids ids_of(const struct ft_probe *probe)
{
	struct ids ids = {0};

	for (int i = 0; i < FT_NMAPS; i++) {
		struct bpf_map_info info = {0};
		uint32_t len = sizeof(info);

		if (probe->map[i] < 0)
			continue;
		cr_assert_eq(bpf_obj_get_info_by_fd(probe->map[i], &info, &len), 0);
		ids.map[i] = info.id;
	}
	for (int i = 0; i < FT_NLINKS; i++) {
		struct bpf_link_info info = {0};
		uint32_t len = sizeof(info);

		if (probe->link[i] < 0)
			continue;
		cr_assert_eq(bpf_obj_get_info_by_fd(probe->link[i], &info, &len), 0);
		ids.link[i] = info.id;
		ids.prog[i] = info.prog_id;
	}
	return ids;
}

static unsigned int count_open(const uint32_t *id, int n, int (*get_fd)(uint32_t id))
{
	unsigned int open = 0;

	for (int i = 0; i < n; i++) {
		int fd = id[i] ? get_fd(id[i]) : -1;

		open += fd >= 0;
		if (fd >= 0)
			close(fd);
	}
	return open;
}

static unsigned int count_alive(const struct ids *ids)
{
	return count_open(ids->map, FT_NMAPS, bpf_map_get_fd_by_id) +
	       count_open(ids->prog, FT_NLINKS, bpf_prog_get_fd_by_id) +
	       count_open(ids->link, FT_NLINKS, bpf_link_get_fd_by_id);
}

Test(audit, nothing_is_left_in_the_kernel_after_close)
{
	struct ids ids[FT_NSOURCES];

	kit_count(KIT_BOTH, HOPS);
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		ids[door] = ids_of(kit_probe(door));
	/* 20 maps, 6 programs and 6 links; sockops: no owners, no walks and what they find: 16, 1
	 * and 1 */
	cr_assert_eq(count_alive(&ids[FT_SOURCE_TRACEPOINT]), 32);
	cr_assert_eq(count_alive(&ids[FT_SOURCE_SOCKOPS]), 18);
	for (unsigned int door = 0; door < FT_NSOURCES; door++)
		ft_probe_close(kit_probe(door));
	for (unsigned int door = 0; door < FT_NSOURCES; door++) {
		for (int tries = 0; count_alive(&ids[door]) && tries < 1000; tries++)
			kit_sleep_ms(10); /* freed after a grace period */
		cr_assert_eq(count_alive(&ids[door]), 0);
	}
	ft_probe_close(kit_probe(FT_SOURCE_TRACEPOINT)); /* idempotent */
}

Test(audit, a_load_that_fails_leaves_a_closed_probe_and_says_why)
{
	const struct ft_probe_options o = {
		.source = FT_SOURCE_SOCKOPS, .cgroup = "/nonexistent", .max_flows = 1024};
	struct ft_probe probe = FT_PROBE_NONE;
	char why[256] = "";

	cr_assert_eq(ft_probe_load(&probe, &o, why, sizeof(why)), -ENOENT);
	cr_assert(strstr(why, "sockops"), "%s", why);
	cr_assert_null(probe.skeleton);
	for (int i = 0; i < FT_NMAPS; i++)
		cr_assert_eq(probe.map[i], -1);
	ft_probe_close(&probe);
}

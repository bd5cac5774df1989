/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where tracing programs may be preempted (Linux 7): another task may run between two programs of
 * one event, or take the task to another CPU, and the mark that says "accounted" is lost; a task
 * that waits inside a program keeps it from all others. Both are made here by hand.
 */
#include <bpf/bpf.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "kit.h"

#define HOPS                                                                                       \
	"{ name = \"in\"; accept = \"8001\"; },"                                                   \
	"{ name = \"out\"; connect = \":8001-8002\"; }"

TestSuite(preempted, .fini = kit_end, .timeout = 120);

static void start(uint32_t max_flows)
{
	const struct kit_options o = {.preemptible = true, .max_flows = max_flows};

	kit_load(KIT_TRACEPOINT, &o);
	kit_hops(HOPS);
	kit_start();
}

static int link_of(enum ft_link which)
{
	int fd = kit_probe(FT_SOURCE_TRACEPOINT)->link[which];

	cr_assert_geq(fd, 0, "program %d is not attached", which);
	return fd;
}

static int program_of(enum ft_link which)
{
	struct bpf_link_info info = {0};
	__u32 len = sizeof(info);
	int prog;

	cr_assert_eq(bpf_obj_get_info_by_fd(link_of(which), &info, &len), 0);
	prog = bpf_prog_get_fd_by_id(info.prog_id);
	cr_assert_geq(prog, 0);
	return prog;
}

/* As if it were always occupied. The descriptor stays: libbpf closes it. */
static void detach(enum ft_link which)
{
	int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(dup2(nothing, link_of(which)), link_of(which));
	close(nothing);
}

/* The table of marks, which only the programs know. */
static int marks(int prog)
{
	struct bpf_map_info map = {0};
	__u32 ids[64], len = sizeof(struct bpf_prog_info), map_len = sizeof(map);
	struct bpf_prog_info info = {.nr_map_ids = 64, .map_ids = (uintptr_t)ids};

	cr_assert_eq(bpf_obj_get_info_by_fd(prog, &info, &len), 0);
	for (unsigned int i = 0; i < info.nr_map_ids; i++) {
		int fd = bpf_map_get_fd_by_id(ids[i]);

		cr_assert_eq(bpf_obj_get_info_by_fd(fd, &map, &map_len), 0);
		if (!strcmp(map.name, "ft_marks"))
			return fd;
		close(fd);
	}
	cr_assert(false, "there is no ft_marks");
	return -1;
}

/* A program that forgets the marks of its CPU comes between the second program and the third, as
 * another task would. */
static void forget_marks_before_the_third(void)
{
	int third = program_of(FT_LINK_STATE_THIRD), fd;
	const struct bpf_insn forget[] = {
		{.code = BPF_ST | BPF_MEM | BPF_W, .dst_reg = 10, .off = -4},
		{.code = BPF_LD | BPF_DW | BPF_IMM,
		 .dst_reg = 1,
		 .src_reg = BPF_PSEUDO_MAP_FD,
		 .imm = marks(third)},
		{0},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_map_lookup_elem},
		{.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 2},
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 0},	      /* softirq: key */
		{.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 0, .off = 16}, /* process: key */
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},
		{.code = BPF_JMP | BPF_EXIT},
	};

	detach(FT_LINK_STATE_THIRD);
	fd = bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, NULL, "GPL", forget,
			   sizeof(forget) / sizeof(forget[0]), NULL);
	cr_assert_geq(fd, 0, "%m");
	cr_assert_geq(bpf_raw_tracepoint_open("inet_sock_set_state", fd), 0, "%m");
	cr_assert_geq(bpf_raw_tracepoint_open(NULL, third), 0, "%m");
}

/* Each way to open and to end a connection, and what both ends should have of it. */
static void expect_every_way(void)
{
	struct kit_hop in = {.opened = 5}, out = {.opened = 5};
	int listener = kit_listen("127.0.0.1", 8001);
	struct kit_pair p;

	kit_close_client_first(kit_pair(listener, "127.0.0.1", 8001));
	in.closed[FT_CLOSED_REMOTE]++;
	out.closed[FT_CLOSED_LOCAL]++;
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");

	kit_close_server_first(kit_pair(listener, "127.0.0.1", 8001));
	in.closed[FT_CLOSED_LOCAL]++;
	out.closed[FT_CLOSED_REMOTE]++;
	kit_path(&in, 1, KIT_ACCEPTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_path(&out, 1, KIT_CONNECTED "CLOSE_WAIT LAST_ACK CLOSE");

	p = kit_pair(listener, "127.0.0.1", 8001);
	kit_reset(p.client);
	kit_await_end(p.server);
	close(p.server);
	p = kit_pair(listener, "127.0.0.1", 8001);
	kit_reset(p.server);
	kit_await_end(p.client);
	close(p.client);
	in.closed[FT_CLOSED_RESET] += 2;
	out.closed[FT_CLOSED_RESET] += 2;
	kit_path(&in, 2, KIT_ACCEPTED "CLOSE");
	kit_path(&out, 2, KIT_CONNECTED "CLOSE");

	cr_assert_lt(kit_connect("127.0.0.1", 8002), 0);
	out.failed[FT_FAILED_REFUSED]++;
	kit_path(&out, 1, "CLOSE SYN_SENT CLOSE");

	kit_pair(listener, "127.0.0.1", 8001); /* stays open */
	kit_path(&in, 1, KIT_ACCEPTED);
	kit_path(&out, 1, KIT_CONNECTED);
	kit_expect_all((struct kit_hop[]){in, out}, 2);
}

Test(preempted, three_programs_count_each_event_once)
{
	start(0);
	expect_every_way();
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->totals.rescued, 0);
}

Test(preempted, an_event_whose_mark_was_lost_is_known_by_its_entry)
{
	start(0);
	forget_marks_before_the_third();
	expect_every_way();
}

Test(preempted, a_mark_that_was_lost_before_the_close_does_not_bring_the_flow_back)
{
	struct kit_hop in = {.opened = 1, .closed[FT_CLOSED_REMOTE] = 1}, out = in;
	struct kit_pair p;

	start(0);
	p = kit_pair(kit_listen("127.0.0.1", 8001), "127.0.0.1", 8001);
	forget_marks_before_the_third();
	kit_close_client_first(p);
	kit_path(&in, 1, KIT_ACCEPTED "CLOSE_WAIT LAST_ACK CLOSE");
	out.closed[FT_CLOSED_REMOTE] = 0;
	out.closed[FT_CLOSED_LOCAL] = 1;
	kit_path(&out, 1, KIT_CONNECTED "FIN_WAIT1 FIN_WAIT2 CLOSE");
	kit_expect_all((struct kit_hop[]){in, out}, 2);
}

Test(preempted, one_program_that_is_occupied_costs_nothing)
{
	start(0);
	detach(FT_LINK_STATE);
	expect_every_way();
	cr_assert_gt(kit_read(FT_SOURCE_TRACEPOINT)->totals.rescued, 32);
}

Test(preempted, two_programs_that_are_occupied_cost_nothing)
{
	start(0);
	detach(FT_LINK_STATE);
	detach(FT_LINK_STATE_AGAIN);
	expect_every_way();
	cr_assert_gt(kit_read(FT_SOURCE_TRACEPOINT)->totals.rescued, 32);
}

static unsigned int entries(void)
{
	int map = kit_probe(FT_SOURCE_TRACEPOINT)->map[FT_MAP_FLOWS];
	uint64_t key, *last = NULL;
	unsigned int n = 0;

	for (; !bpf_map_get_next_key(map, last, &key); last = &key)
		n++;
	return n;
}

/* 400 connections, open at once and then closed, in a table that keeps fewer closed entries. */
static void come_and_go(void)
{
	int listener, server[400], client[400];

	listener = kit_listen_at(0, "127.0.0.1", 8001, 1024);
	for (int i = 0; i < 400; i++) {
		client[i] = kit_connect("127.0.0.1", 8001);
		server[i] = kit_accept(listener);
	}
	cr_assert_geq(entries(), 800);
	for (int i = 0; i < 400; i++)
		kit_close_client_first((struct kit_pair){.client = client[i], .server = server[i]});
	kit_settle();
}

Test(preempted, no_more_closed_entries_are_kept_than_otherwise)
{
	start(1024);
	come_and_go();
	cr_assert_leq(entries(), FT_KEEP(1024));
}

Test(preempted, an_entry_tells_of_its_close_before_it_is_deleted)
{
	start(1024);
	forget_marks_before_the_third();
	come_and_go();
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[0].opened, 400);
	cr_assert_eq(ft_hop_closed(&kit_read(FT_SOURCE_TRACEPOINT)->stats[0]), 400);
	cr_assert_leq(entries(), FT_KEEP(1024));
	kit_expect_loss(0);
}

Test(preempted, what_found_no_place_in_the_table_is_counted_once)
{
	int listener;

	start(4);
	detach(FT_LINK_STATE);
	listener = kit_listen("127.0.0.1", 8001);
	for (int i = 0; i < 20; i++)
		kit_pair(listener, "127.0.0.1", 8001);
	kit_settle();
	cr_assert_eq(kit_read(FT_SOURCE_TRACEPOINT)->stats[0].opened, 20);
}

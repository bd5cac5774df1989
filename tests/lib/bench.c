// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench - one session around a command: attaches something, runs the command, and prints
 * what was counted and what it cost as one JSON line. For scripts/bench and by hand.
 *
 *	bench [-s WHAT] [-c CGROUP] [-p PORT[-PORT]] [-m FLOWS] [-x PREFIX] [-q] [-v] [--] COMMAND…
 *
 * WHAT: tracepoint (default), sockops, single (the first of the two programs alone: what
 * nesting loses without the second), preemptible (three programs, as on Linux 7), floor,
 * floor-sockops, floor-pair (programs that do nothing), floor-find (one that does nothing and one
 * that finds the socket in a table), none, watch (attach nothing; sum the programs of another tool,
 *-x PREFIX, while it runs). -H: COMMAND is `conngen -m hold …`: measures while the flows are open -
 *bytes of table memory per flow, microseconds to read all counters, to list all flows, to walk all
 *sockets. -q: without the kernel's program statistics, which cost time themselves. -v: per program.
 * Run time is summed over the programs whose names begin with PREFIX (default: ours).
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "config.h"
#include "floor.skel.h"
#include "netns.h"
#include "probe.h"
#include "tcp.h"

#define MAX_PROGRAMS 256

struct program {
	uint32_t id;
	char name[16];
	uint64_t run_ns, runs, misses;
};

struct bench {
	const char *what, *cgroup, *port, *prefix;
	uint32_t max_flows;
	bool quiet, verbose, hold;
	struct ft_probe probe;
	struct ft_floor *floor;
	struct ft_netns ns;
	struct program before[MAX_PROGRAMS], cost;
	size_t nbefore;
	uint32_t others; /* programs up to this id were there before: an agent's of this machine */
};

static size_t read_programs(struct program row[MAX_PROGRAMS])
{
	uint32_t id = 0;
	size_t n = 0;

	while (n < MAX_PROGRAMS && !bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len)) {
			row[n] = (struct program){id, "", info.run_time_ns, info.run_cnt,
						  info.recursion_misses};
			memcpy(row[n++].name, info.name, sizeof(row[0].name));
		}
		close(fd);
	}
	return n;
}

/* What ran since `before`, summed. */
static void read_cost(struct bench *b)
{
	struct program now[MAX_PROGRAMS];
	size_t n = read_programs(now);

	for (size_t i = 0; i < n; i++) {
		struct program *p = &now[i];

		if (p->id <= b->others || strncmp(p->name, b->prefix, strlen(b->prefix)))
			continue;
		for (size_t j = 0; j < b->nbefore; j++)
			if (b->before[j].id == p->id) {
				p->run_ns -= b->before[j].run_ns;
				p->runs -= b->before[j].runs;
				p->misses -= b->before[j].misses;
			}
		b->cost.run_ns += p->run_ns;
		b->cost.runs += p->runs;
		b->cost.misses += p->misses;
		if (b->verbose && p->runs)
			fprintf(stderr, "bench: %-15.15s %9llu runs %7.1f ns each\n", p->name,
				(unsigned long long)p->runs, (double)p->run_ns / p->runs);
	}
}

static int two_hops(struct ft_config *c, const char *port)
{
	char err[128], text[64];

	ft_config_default(c);
	c->nhops = 2;
	for (int i = 0; i < 2; i++) {
		struct ft_config_hop *h = &c->hop[i];

		snprintf(h->name, sizeof(h->name), "%s", i ? "out" : "in");
		snprintf(text, sizeof(text), i ? ":%s" : "%s", port);
		h->side = i ? FT_CONNECT : FT_ACCEPT;
		if (ft_endpoint_parse(text, &h->endpoint[0], err, sizeof(err)))
			return -EINVAL;
		h->nendpoints = 1;
	}
	snprintf(c->hop[1].from, sizeof(c->hop[1].from), "in");
	return 0;
}

static int attach_fantail(struct bench *b)
{
	struct ft_probe_options o = {
		.source = strcmp(b->what, "sockops") ? FT_SOURCE_TRACEPOINT : FT_SOURCE_SOCKOPS,
		.cgroup = b->cgroup,
		.max_flows = b->max_flows,
		.single = !strcmp(b->what, "single"),
		.preemptible = !strcmp(b->what, "preemptible"),
	};
	struct ft_config *c = calloc(1, sizeof(*c));
	char why[256];
	int err = c ? two_hops(c, b->port) : -ENOMEM;

	if (!err)
		err = ft_probe_load(&b->probe, &o, why, sizeof(why));
	if (!err)
		err = ft_netns_own(&b->ns);
	if (!err)
		err = ft_probe_set_hops(&b->probe, c);
	if (!err)
		err = ft_probe_start(&b->probe, b->ns.fd, b->ns.n, false);
	free(c);
	return err;
}

/* Which programs of the floor stand in for what. */
static const struct {
	const char *what, *program[2];
} floors[] = {
	{"floor", {"floor_state"}},
	{"floor-find", {"floor_find", "floor_state"}},
	{"floor-pair", {"floor_send", "floor_read"}},
	{"floor-sockops", {"floor_sockops"}},
};

static int attach_floor_program(struct bench *b, struct bpf_program *prog)
{
	int fd;

	if (bpf_program__type(prog) != BPF_PROG_TYPE_SOCK_OPS)
		return bpf_program__attach(prog) ? 0 : -errno;
	fd = open(b->cgroup, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 && bpf_program__attach_cgroup(prog, fd) ? 0 : -errno;
}

static int attach_floor(struct bench *b)
{
	struct bpf_program *prog = NULL;
	unsigned int row = 0;
	int err = 0;

	while (row < sizeof(floors) / sizeof(floors[0]) && strcmp(floors[row].what, b->what))
		row++;
	if (row == sizeof(floors) / sizeof(floors[0]))
		return -EINVAL;
	b->floor = ft_floor__open();
	if (!b->floor)
		return -errno;
	while ((prog = bpf_object__next_program(b->floor->obj, prog)))
		bpf_program__set_autoload(prog, false);
	for (int i = 0; i < 2 && floors[row].program[i]; i++)
		bpf_program__set_autoload(
			bpf_object__find_program_by_name(b->floor->obj, floors[row].program[i]),
			true);
	err = ft_floor__load(b->floor);
	for (int i = 0; !err && i < 2 && floors[row].program[i]; i++)
		err = attach_floor_program(
			b, bpf_object__find_program_by_name(b->floor->obj, floors[row].program[i]));
	return err;
}

static int attach(struct bench *b)
{
	if (!strcmp(b->what, "none") || !strcmp(b->what, "watch"))
		return 0;
	if (!strncmp(b->what, "floor", 5))
		return attach_floor(b);
	return attach_fantail(b);
}

static int run(char **argv)
{
	int status = 0;
	pid_t pid = fork();

	if (!pid) {
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

/* What the kernel says a map takes, elements included (since 6.4; before, the maximum). */
static unsigned long long map_bytes(int fd)
{
	char path[64], line[128];
	unsigned long long bytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	if (f)
		fclose(f);
	return bytes;
}

static int count_flow(void *ctx, uint64_t key, const struct ft_flow *f)
{
	(void)key;
	(void)f;
	++*(unsigned long long *)ctx;
	return 0;
}

/* What ss asks the kernel: every TCP socket of both families, read and thrown away. */
static void dump_by_netlink(unsigned char family)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_req_v2 r;
	} ask = {
		.h = {.nlmsg_len = sizeof(ask),
		      .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.r = {.sdiag_family = family, .sdiag_protocol = IPPROTO_TCP, .idiag_states = ~0U},
	};
	static char buf[1 << 20];
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	ssize_t n = send(fd, &ask, sizeof(ask), 0);

	while (n > 0 && (n = recv(fd, buf, sizeof(buf), 0)) > 0)
		for (struct nlmsghdr *h = (void *)buf; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n))
			if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR)
				n = 0;
	close(fd);
}

/* As eleven of twelve are: without the sweep. */
static void scan(struct bench *b)
{
	uint32_t number;

	ft_probe_scan(&b->probe, b->ns.fd, b->ns.inode, b->ns.n, false, &number);
}

static void by_netlink(struct bench *b)
{
	(void)b;
	dump_by_netlink(AF_INET);
	dump_by_netlink(AF_INET6);
}

static void by_ss(struct bench *b)
{
	(void)b;
	if (system("ss -tan >/dev/null"))
		fputs("bench: ss failed\n", stderr);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

/* Median of 7, the three of them by turns. */
static void measure_walks(struct bench *b, double ret_us[3])
{
	static void (*const way[3])(struct bench * b) = {scan, by_netlink, by_ss};
	double us[3][7];

	for (int round = 0; round < 7; round++)
		for (int i = 0; i < 3; i++) {
			double t = now_us();

			way[i](b);
			us[i][round] = now_us() - t;
		}
	for (int i = 0; i < 3; i++) {
		qsort(us[i], 7, sizeof(us[i][0]), by_value);
		ret_us[i] = us[i][3];
	}
}

static void measure_held(struct bench *b, unsigned long long empty_bytes)
{
	struct ft_snapshot *s = calloc(1, sizeof(*s));
	unsigned long long flows = 0, bytes = map_bytes(b->probe.map[FT_MAP_FLOWS]);
	double read_us, list_us, walk_us[3], t = now_us();

	for (int i = 0; s && i < 100; i++)
		ft_probe_snapshot(&b->probe, s);
	read_us = (now_us() - t) / 100;
	t = now_us();
	ft_probe_flows(&b->probe, count_flow, &flows);
	list_us = now_us() - t;
	measure_walks(b, walk_us);
	printf("{\"flows\":%llu,\"table_bytes\":%llu,\"table_bytes_empty\":%llu,"
	       "\"read_us\":%.1f,\"list_us\":%.0f,\"walk_us\":%.0f,\"netlink_us\":%.0f,\"ss_us\":%."
	       "0f}\n",
	       flows, bytes, empty_bytes, read_us, list_us, walk_us[0], walk_us[1], walk_us[2]);
	free(s);
}

/* Run COMMAND with pipes; when it says "holding", measure, then close its input. */
static int run_held(struct bench *b, char **argv)
{
	unsigned long long empty = map_bytes(b->probe.map[FT_MAP_FLOWS]);
	int in[2], out[2], status = -1;
	char line[256];
	pid_t pid;
	FILE *f;

	if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || (pid = fork()) < 0)
		return -1;
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execvp(argv[0], argv);
		_exit(127);
	}
	close(out[1]);
	close(in[0]);
	f = fdopen(out[0], "r");
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "holding", 7)) {
			measure_held(b, empty);
			close(in[1]);
		}
	if (f)
		fclose(f);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned long long failed(const struct ft_hop_stats *s)
{
	return s->failed[0] + s->failed[1] + s->failed[2] + s->failed[3];
}

static void print_counts(const struct bench *b)
{
	struct ft_snapshot *s = calloc(1, sizeof(*s));
	unsigned long long loss = 0;

	if (!s || ft_probe_snapshot(&b->probe, s))
		exit(1);
	for (int i = 0; i < FT_NLOSS; i++) {
		loss += s->totals.loss[i];
		if (s->totals.loss[i])
			fprintf(stderr, "bench: loss %s %llu\n", ft_loss_name(i),
				(unsigned long long)s->totals.loss[i]);
	}
	for (int i = 0; i < 2; i++) {
		const struct ft_hop_stats *h = &s->stats[i];

		printf("\"%s\":{\"opened\":%llu,\"closed\":%llu,\"active\":%llu,\"failed\":%llu},",
		       i ? "connect" : "accept", (unsigned long long)h->opened,
		       (unsigned long long)ft_hop_closed(h), (unsigned long long)ft_hop_active(h),
		       failed(h));
	}
	printf("\"loss\":%llu,\"rescued\":%llu,", loss, (unsigned long long)s->totals.rescued);
	free(s);
}

static int options(struct bench *b, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "+s:c:p:m:x:qvH")) != -1) {
		switch (opt) {
		case 's':
			b->what = optarg;
			break;
		case 'c':
			b->cgroup = optarg;
			break;
		case 'p':
			b->port = optarg;
			break;
		case 'm':
			b->max_flows = strtoul(optarg, NULL, 10);
			break;
		case 'x':
			b->prefix = optarg;
			break;
		case 'q':
			b->quiet = true;
			break;
		case 'H':
			b->hold = true;
			break;
		case 'v':
			b->verbose = true;
			break;
		default:
			return -1;
		}
	}
	if (!b->prefix)
		b->prefix = strncmp(b->what, "floor", 5) ? "ft_s" : "floor_";
	return optind < argc ? 0 : -1;
}

int main(int argc, char **argv)
{
	static struct bench b = {.what = "tracepoint",
				 .port = "20000-20999",
				 .max_flows = 262144,
				 .probe = FT_PROBE_NONE};
	int err, status;
	uint32_t number;

	if (options(&b, argc, argv))
		return 64;
	if (!b.quiet && bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		perror("bench: bpf_enable_stats");
	while (strcmp(b.what, "watch") && !bpf_prog_get_next_id(b.others, &b.others))
		;
	err = attach(&b);
	if (err) {
		fprintf(stderr, "bench: %s: %s\n", b.what, strerror(-err));
		return 1;
	}
	b.nbefore = strcmp(b.what, "watch") ? 0 : read_programs(b.before);
	status = b.hold ? run_held(&b, &argv[optind]) : run(&argv[optind]);
	usleep(200000); /* the last FINs */
	read_cost(&b);
	printf("{");
	if (b.probe.skeleton) {
		/* twice: a close that was not seen is found by the second walk that misses it */
		ft_probe_scan(&b.probe, b.ns.fd, b.ns.inode, b.ns.n, true, &number);
		ft_probe_scan(&b.probe, b.ns.fd, b.ns.inode, b.ns.n, true, &number);
		print_counts(&b);
	}
	printf("\"run_ns\":%llu,\"runs\":%llu,\"misses\":%llu,\"status\":%d}\n",
	       (unsigned long long)b.cost.run_ns, (unsigned long long)b.cost.runs,
	       (unsigned long long)b.cost.misses, status);
	ft_floor__destroy(b.floor);
	ft_probe_close(&b.probe);
	ft_netns_close(&b.ns);
	return 0;
}

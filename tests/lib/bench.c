// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench - one counting session around a command: loads the programs, enables the kernel's
 * program statistics, runs the command, and prints what was counted and what it cost as one
 * JSON line. Used by scripts/bench and the exactness test.
 *
 *	bench [-s tracepoint|single|sockops] [-c CGROUP] [-p PORT[-PORT]] [-q] -- COMMAND…
 *
 * single: only the first of the two programs, to show what nesting loses without the
 * second. -q: without program statistics (they cost time themselves).
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "config.h"
#include "netns.h"
#include "probe.h"
#include "tcp.h"

struct program_cost {
	uint64_t run_ns, runs, misses;
};

/* Sum over every program whose name starts with `prefix`. */
static void read_cost(const char *prefix, struct program_cost *ret)
{
	uint32_t id = 0;

	*ret = (struct program_cost){0};
	while (!bpf_prog_get_next_id(id, &id)) {
		struct bpf_prog_info info = {0};
		uint32_t len = sizeof(info);
		int fd = bpf_prog_get_fd_by_id(id);

		if (fd < 0)
			continue;
		if (!bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    !strncmp((char *)info.name, prefix, strlen(prefix))) {
			if (getenv("BENCH_PROGRAMS"))
				fprintf(stderr, "bench: %s %llu runs %.1f ns\n", info.name,
					(unsigned long long)info.run_cnt,
					(double)info.run_time_ns / info.run_cnt);
			ret->run_ns += info.run_time_ns;
			ret->runs += info.run_cnt;
			ret->misses += info.recursion_misses;
		}
		close(fd);
	}
}

static void two_hops(struct ft_config *c, const char *port)
{
	char err[128], text[64];

	ft_config_default(c);
	c->nhops = 2;
	for (int i = 0; i < 2; i++) {
		struct ft_config_hop *h = &c->hop[i];

		snprintf(h->name, sizeof(h->name), "%s", i ? "out" : "in");
		snprintf(text, sizeof(text), i ? ":%s" : "%s", port);
		h->side = i ? FT_CONNECT : FT_ACCEPT;
		if (ft_endpoint_parse(text, &h->endpoint[0], err, sizeof(err))) {
			fprintf(stderr, "bench: %s\n", err);
			exit(2);
		}
		h->nendpoints = 1;
	}
	snprintf(c->hop[1].from, sizeof(c->hop[1].from), "in");
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

static void print(const struct ft_probe *p, const struct program_cost *cost, int status)
{
	struct ft_snapshot *s = calloc(1, sizeof(*s));
	uint64_t loss = 0;

	if (!s || ft_probe_snapshot(p, s))
		exit(1);
	for (int i = 0; i < FT_NLOSS; i++)
		loss += s->totals.loss[i];
	printf("{\"accepted\":%llu,\"connected\":%llu,\"accept_closed\":%llu,\"connect_closed\":%llu,"
	       "\"accept_active\":%llu,\"connect_active\":%llu,\"failed\":%llu,"
	       "\"loss\":%llu,\"rescued\":%llu,\"run_ns\":%llu,\"runs\":%llu,"
	       "\"recursion_misses\":%llu,\"status\":%d}\n",
	       (unsigned long long)s->stats[0].opened, (unsigned long long)s->stats[1].opened,
	       (unsigned long long)ft_hop_closed(&s->stats[0]),
	       (unsigned long long)ft_hop_closed(&s->stats[1]),
	       (unsigned long long)ft_hop_active(&s->stats[0]),
	       (unsigned long long)ft_hop_active(&s->stats[1]),
	       (unsigned long long)s->stats[1].failed[0] + s->stats[1].failed[1] +
		       s->stats[1].failed[2] + s->stats[1].failed[3],
	       (unsigned long long)loss, (unsigned long long)s->totals.rescued,
	       (unsigned long long)cost->run_ns, (unsigned long long)cost->runs,
	       (unsigned long long)cost->misses, status);
	for (int i = 0; i < FT_NLOSS; i++)
		if (s->totals.loss[i])
			fprintf(stderr, "bench: loss %s %llu\n", ft_loss_name(i),
				(unsigned long long)s->totals.loss[i]);
	for (int h = 0; h < 2 && getenv("BENCH_TRANSITIONS"); h++)
		for (int i = 0; i < FT_NSTATES * FT_NSTATES; i++)
			if ((&s->stats[h].transition[0][0])[i])
				fprintf(stderr, "bench: %s %s -> %s %llu\n", h ? "connect" : "accept",
					ft_state_name(i / FT_NSTATES), ft_state_name(i % FT_NSTATES),
					(unsigned long long)(&s->stats[h].transition[0][0])[i]);
	free(s);
}

int main(int argc, char **argv)
{
	struct ft_probe_options o = {.source = FT_SOURCE_TRACEPOINT, .max_flows = 262144};
	struct ft_probe p = FT_PROBE_NONE;
	struct ft_netns ns = {0};
	struct program_cost cost;
	struct ft_config *c = calloc(1, sizeof(*c));
	const char *port = "20000-20999";
	char why[256] = "";
	bool stats = true;
	int opt, err, status;

	while ((opt = getopt(argc, argv, "+s:c:p:m:q")) != -1) {
		if (opt == 's' && !strcmp(optarg, "sockops"))
			o.source = FT_SOURCE_SOCKOPS;
		else if (opt == 's' && !strcmp(optarg, "single"))
			o.single = true;
		else if (opt == 'c')
			o.cgroup = optarg;
		else if (opt == 'p')
			port = optarg;
		else if (opt == 'm')
			o.max_flows = strtoul(optarg, NULL, 10);
		else if (opt == 'q')
			stats = false;
		else if (opt != 's')
			return 2;
	}
	if (!c || optind >= argc)
		return 2;
	if (stats && bpf_enable_stats(BPF_STATS_RUN_TIME) < 0)
		perror("bench: bpf_enable_stats");
	two_hops(c, port);
	err = ft_probe_load(&p, &o, why, sizeof(why));
	if (err) {
		fprintf(stderr, "bench: %s\n", why);
		return 1;
	}
	err = ft_netns_own(&ns);
	if (!err)
		err = ft_probe_set_hops(&p, c);
	if (!err)
		err = ft_probe_start(&p, ns.fd, ns.n, false);
	if (err) {
		fprintf(stderr, "bench: %s\n", strerror(-err));
		return 1;
	}
	status = run(&argv[optind]);
	usleep(100000); /* the last FINs */
	read_cost("ft_s", &cost);
	print(&p, &cost, status);
	ft_probe_close(&p);
	ft_netns_close(&ns);
	free(c);
	return 0;
}

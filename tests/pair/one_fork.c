// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "config.h"
#include "netns.h"
#include "one_fork.h"

struct ft_probe fork_probe = FT_PROBE_NONE;
struct ft_probe_pair fork_pair = FT_PROBE_PAIR_NONE;

void fork_stop(void)
{
	ft_probe_pair_close(&fork_pair);
	ft_probe_close(&fork_probe);
}

void fork_die(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-err));
	fork_stop();
	exit(70);
}

static void configure(const char *accept, const char *connect, struct ft_config *c)
{
	struct ft_buf errors = {0};
	char text[256];

	snprintf(text, sizeof(text),
		 "netns = \"own\"; hops = ( { name = \"a\"; accept = \"%s\"; }, "
		 "{ name = \"b\"; connect = \"%s\"; from = \"a\"; } );",
		 accept, connect);
	if (ft_config_parse(text, "arguments", c, &errors)) {
		fputs(ft_buf_text(&errors), stderr);
		exit(64);
	}
}

static void attach(const struct ft_config *c, const struct fork_options *fo)
{
	struct ft_hop_def *def = calloc(FT_MAX_HOPS, sizeof(*def));
	struct ft_rules *rules = calloc(1, sizeof(*rules));
	struct ft_probe_pair_options po = {.max_flows = c->max_flows,
					   .keep_ended = fo->keep,
					   .max_edges = fo->keep ? 1048576 : 0};
	struct ft_netns ns = {0};
	struct ft_pair_control plan;
	char why[256] = "";
	int err = ft_netns_own(&ns);
	struct ft_probe_options o = {
		.max_flows = c->max_flows, .interval_ms = 1000, .netns = err ? 0 : ns.inode[0]};

	if (err || !def || !rules)
		fork_die("namespace", err);
	err = ft_probe_load(&fork_probe, &o, why, sizeof(why));
	if (err)
		fork_die(why, err);
	err = ft_probe_set_hops(&fork_probe, c);
	if (!err)
		err = ft_probe_start(&fork_probe, ns.fd, ns.n, false);
	if (err)
		fork_die("start", err);
	if (fo->counts_only)
		return;
	po.first_door = fo->door ? atoi(fo->door) : 0;
	err = ft_probe_pair_load(&fork_pair, fork_probe.map[FT_MAP_FLOWS], &po, why, sizeof(why));
	if (err)
		fork_die(why, err);
	ft_config_compile(c, def, rules);
	if (ft_pair_plan(def, c->nhops, rules, &plan, NULL) != 1)
		fork_die("plan", -22);
	err = ft_probe_pair_set(&fork_pair, &plan);
	if (!err)
		err = ft_probe_pair_keep_closed(&fork_pair, FORK_B, true);
	if (err)
		fork_die("plan", err);
	ft_netns_close(&ns);
	free(def);
	free(rules);
}

void fork_start(const char *accept_port, const char *connect_port, const struct fork_options *o)
{
	static struct ft_config c;

	configure(accept_port, connect_port, &c);
	attach(&c, o);
}

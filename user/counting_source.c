// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Tracing programs see every socket, so they are the source unless somebody says otherwise. Where
 * they cannot be loaded (no BTF, no CAP_PERFMON) sockops programs still may. */
#include <string.h>

#include "check.h"
#include "counting_source.h"
#include "exit.h"
#include "log.h"

uint32_t ft_counting_scope(const struct ft_counting *c)
{
	return c->config.netns == FT_NETNS_ALL ? 0 : c->ns.inode[0];
}

/* Source sockops without a directory: every socket below the root of cgroup2. */
int ft_counting_default_cgroup(struct ft_counting *c)
{
	if (c->config.source != FT_SOURCE_SOCKOPS || c->config.cgroup[0])
		return 0;
	if (!ft_check_cgroup2(c->config.cgroup, sizeof(c->config.cgroup)))
		return 0;
	ft_log(FT_LOG_ERROR,
	       "cgroup2 is not mounted. mount -t cgroup2 none /sys/fs/cgroup/unified");
	return FT_EXIT_UNAVAILABLE;
}

static int load_source(struct ft_counting *c, char *why, size_t why_len)
{
	struct ft_probe_options po = {
		.source = c->config.source,
		.cgroup = c->config.cgroup[0] ? c->config.cgroup : NULL,
		.max_flows = c->config.max_flows,
		.netns = ft_counting_scope(c),
		.interval_ms = c->config.interval_ms,
		.one_shot_ms = c->config.one_shot_ms,
		.discover = c->discover,
	};

	return ft_probe_load(&c->probe, &po, why, why_len);
}

int ft_counting_load(struct ft_counting *c)
{
	char why[256], second[256];

	if (!load_source(c, why, sizeof(why)))
		return 0;
	if (!c->config.source_set) {
		c->config.source = FT_SOURCE_SOCKOPS;
		if (!ft_counting_default_cgroup(c) && !load_source(c, second, sizeof(second))) {
			ft_log(FT_LOG_WARN,
			       "%s: counting by sockops instead, connections made from now on in "
			       "%s, without scans and pairs. See: fantail check",
			       why, c->config.cgroup);
			return 0;
		}
	}
	return ft_check_explain(c->options, why);
}

bool ft_counting_fits(struct ft_counting *c, const struct ft_meta *pinned)
{
	struct ft_probe adopted = c->probe;
	bool traces;
	char why[256];

	if (pinned->source != c->config.source) {
		if (c->config.source_set || pinned->source != FT_SOURCE_SOCKOPS)
			return false;
		traces = !load_source(c, why, sizeof(why));
		if (traces)
			ft_probe_close(&c->probe);
		c->probe = adopted;
		if (traces)
			return false;
		c->config.source = FT_SOURCE_SOCKOPS;
	}
	if (ft_counting_default_cgroup(c))
		return false;
	return !strcmp(pinned->cgroup, c->config.cgroup);
}

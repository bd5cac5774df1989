// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Other hops for counters that go on. The kernel holds flows and counters by the place of their
 * hop, so a hop of the same name and side keeps its place, whatever else has changed about it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "counting_discover.h"
#include "counting_pair.h"
#include "counting_reload.h"
#include "exit.h"
#include "log.h"

bool ft_counting_same_hops(const struct ft_counting *c)
{
	_free_ struct ft_hop_def *def = calloc(2 * FT_MAX_HOPS, sizeof(*def));
	_free_ struct ft_rules *rules = calloc(1, sizeof(*rules));
	struct ft_hop_def *pinned = def ? def + FT_MAX_HOPS : NULL;
	uint32_t n = 0;

	if (!def || !rules || ft_config_compile(&c->config, def, rules) ||
	    ft_probe_get_hops(&c->probe, pinned, &n) || n != c->config.nhops)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		/* who owns a hop may have been found out since */
		memcpy(def[i].process, pinned[i].process, sizeof(def[i].process));
		if (memcmp(&def[i], &pinned[i], sizeof(def[i])))
			return false;
	}
	return ft_probe_same_rules(&c->probe, rules);
}

int ft_counting_apply(struct ft_counting *c)
{
	_free_ struct ft_hop_def *old = calloc(FT_MAX_HOPS, sizeof(*old));
	uint32_t n = 0;
	int err = old ? ft_probe_get_hops(&c->probe, old, &n) : -ENOMEM;

	if (!err)
		err = ft_config_keep_places(&c->config, old, n);
	if (err || (ft_probe_phase(&c->probe) == FT_PHASE_COUNT && ft_counting_same_hops(c)))
		return err;
	err = ft_probe_set_hops(&c->probe, &c->config);
	return err ? err : ft_probe_fill(&c->probe, c->ns.fd, c->ns.n);
}

int ft_counting_find_hops(struct ft_counting *c)
{
	int err = c->discover ? ft_counting_restore(c) : 0;

	return err > 0 ? ft_counting_discover_all(c) : err;
}

/* What the programs and maps were made for stays as it is. */
static void keep_what_is_made(const struct ft_config *now, struct ft_config *new)
{
	const char *key = NULL;
	bool same_group = !new->cgroup[0] || !strcmp(now->cgroup, new->cgroup);

	if (now->source != new->source && (now->source_set || new->source_set))
		key = "source";
	else if (!same_group)
		key = "cgroup";
	else if (now->max_flows != new->max_flows)
		key = "max_flows";
	else if (now->netns != new->netns || strcmp(now->netns_path, new->netns_path))
		key = "netns";
	if (key)
		ft_log(FT_LOG_WARN, "%s takes effect when the agent is stopped and started", key);
	new->source = now->source;
	new->source_set = now->source_set;
	memcpy(new->cgroup, now->cgroup, sizeof(new->cgroup));
	new->max_flows = now->max_flows;
	new->netns = now->netns;
	memcpy(new->netns_path, now->netns_path, sizeof(new->netns_path));
}

int ft_counting_reload(struct ft_counting *c)
{
	_free_ struct ft_config *old = malloc(sizeof(*old));
	bool discovered = c->discover;
	struct ft_buf errors = {0};
	int code, err;

	if (!old)
		return FT_EXIT_INTERNAL;
	*old = c->config;
	code = ft_counting_config(c->options, &c->config, &c->discover, &errors);
	if (code) {
		c->config = *old;
		c->discover = discovered;
		ft_log(FT_LOG_ERROR, "%s", ft_buf_text(&errors));
	}
	ft_buf_close(&errors);
	if (code)
		return code;
	keep_what_is_made(old, &c->config);
	err = ft_counting_find_hops(c);
	if (!err)
		err = ft_counting_apply(c);
	if (err == -E2BIG || err == -ENOMEM) {
		c->config = *old;
		c->discover = discovered;
		ft_log(FT_LOG_ERROR,
		       "no places are left for so many new hops (%d, those that were removed "
		       "included): stop the agent and start it",
		       FT_MAX_HOPS);
		return FT_EXIT_CONFIG;
	}
	if (!err)
		err = ft_probe_set_switches(&c->probe, c->discover, c->config.one_shot_ms);
	if (!err)
		err = ft_probe_take_over(&c->probe, c->config.interval_ms);
	if (!c->config.pairs)
		ft_counting_pair_stop(c);
	if (!c->discover)
		ft_counting_name_owners(c);
	if (err)
		ft_log(FT_LOG_ERROR, "cannot change the hops: %s", strerror(-err));
	return err ? FT_EXIT_INTERNAL : 0;
}

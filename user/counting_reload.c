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
		if (!def[i].process[0]) /* who owns it may have been found out since */
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

static void say_kept(const char *key, bool same)
{
	if (!same)
		ft_log(FT_LOG_WARN, "%s takes effect when the agent is stopped and started", key);
}

/* What the programs and maps were made for stays as it is. */
static void keep_what_is_made(const struct ft_config *now, struct ft_config *new)
{
	say_kept("source", now->source == new->source || !(now->source_set || new->source_set));
	say_kept("cgroup", !new->cgroup[0] || !strcmp(now->cgroup, new->cgroup));
	say_kept("max_flows", now->max_flows == new->max_flows);
	say_kept("netns", now->netns == new->netns && !strcmp(now->netns_path, new->netns_path));
	new->source = now->source;
	new->source_set = now->source_set;
	memcpy(new->cgroup, now->cgroup, sizeof(new->cgroup));
	new->max_flows = now->max_flows;
	new->netns = now->netns;
	memcpy(new->netns_path, now->netns_path, sizeof(new->netns_path));
}

static int read_again(struct ft_counting *c, const struct ft_config *old)
{
	struct ft_buf errors = {0};
	int code = ft_counting_config(c->options, &c->config, &c->discover, &errors);

	if (code)
		ft_log(FT_LOG_ERROR, "%s", ft_buf_text(&errors));
	else
		keep_what_is_made(old, &c->config);
	ft_buf_close(&errors);
	return code;
}

static int apply_all(struct ft_counting *c)
{
	int err = ft_counting_find_hops(c);

	if (!err)
		err = ft_counting_apply(c);
	if (!err)
		err = ft_probe_set_switches(&c->probe, c->discover, c->config.one_shot_ms);
	return err ? err : ft_probe_take_over(&c->probe, c->config.interval_ms);
}

static int say_why(int err)
{
	if (err == -E2BIG)
		ft_log(FT_LOG_ERROR,
		       "no places are left for so many new hops (%d, those that were removed "
		       "included): stop the agent and start it",
		       FT_MAX_HOPS);
	else
		ft_log(FT_LOG_ERROR, "cannot change the hops: %s", strerror(-err));
	return err == -E2BIG ? FT_EXIT_CONFIG : FT_EXIT_INTERNAL;
}

int ft_counting_reload(struct ft_counting *c)
{
	_free_ struct ft_config *old = malloc(sizeof(*old));
	bool discovered = c->discover;
	int code, err = 0;

	if (!old)
		return say_why(-ENOMEM);
	*old = c->config;
	code = read_again(c, old);
	if (!code && (err = apply_all(c)))
		code = say_why(err);
	if (code) {
		c->config = *old;
		c->discover = discovered;
		if (err) /* the kernel may have been told some of it */
			ft_counting_apply(c);
		return code;
	}
	if (!c->config.pairs)
		ft_counting_pair_stop(c);
	if (!c->discover)
		ft_counting_name_owners(c);
	return 0;
}

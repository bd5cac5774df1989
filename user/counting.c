// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The session. What costs more than O(hops) is an errand: it measures its own CPU time and comes
 * back so late that it stays within a thousandth of a core. The scan may cost a hundredth. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "check.h"
#include "clock.h"
#include "counting.h"
#include "counting_discover.h"
#include "counting_pair.h"
#include "counting_ports.h"
#include "counting_reload.h"
#include "counting_scan.h"
#include "counting_source.h"
#include "exit.h"
#include "log.h"
#include "probe_pair_pins.h"

#define SECOND	    1000000000ULL
#define BUDGET	    1000 /* a thousandth of a core */
#define SCAN_BUDGET 100

/* --- configuration --- */

static int configure(struct ft_counting *c, const char *config_text)
{
	struct ft_buf errors = {0};
	int code = 0;

	if (config_text && !config_text[0]) { /* discover, whatever the file says */
		ft_config_default(&c->config);
		ft_counting_override(&c->config, c->options);
		c->config.pairs = false; /* a look at what is there waits for nothing */
		c->discover = true;
	} else if (config_text) {
		code = ft_config_parse(config_text, "demo", &c->config, &errors) ? FT_EXIT_INTERNAL
										 : 0;
		ft_counting_override(&c->config, c->options);
	} else {
		code = ft_counting_config(c->options, &c->config, &c->discover, &errors);
	}
	if (code)
		ft_log(FT_LOG_ERROR, "%s", ft_buf_text(&errors));
	ft_buf_close(&errors);
	return code;
}

/* --- namespaces --- */

static int list_namespaces(const struct ft_config *config, struct ft_netns *ret)
{
	switch (config->netns) {
	case FT_NETNS_OWN:
		return ft_netns_own(ret);
	case FT_NETNS_PATH:
		return ft_netns_path(config->netns_path, ret);
	default:
		return ft_netns_all(ret);
	}
}

/* After a failure those that we have stay open: a namespace outlives its path. */
static int find_namespaces(struct ft_counting *c)
{
	struct ft_netns found = {0};
	int err = list_namespaces(&c->config, &found);

	if (err) {
		ft_netns_close(&found);
		return err;
	}
	ft_netns_close(&c->ns);
	c->ns = found;
	return 0;
}

/* --- adoption --- */

/* Why what is pinned cannot go on counting for us; NULL: it can. */
static const char *unfit(struct ft_counting *c)
{
	if (ft_probe_phase(&c->probe) == FT_PHASE_OFF)
		return "their agent was stopped before it had begun";
	if (!ft_counting_fits(c, &c->probe.meta))
		return "they count from another source";
	if (c->probe.meta.max_flows != c->config.max_flows)
		return "max_flows has changed";
	if (!ft_probe_has_netns(&c->probe, ft_counting_scope(c)))
		return "they count another network namespace";
	return NULL;
}

/* The hops may have changed since. */
static const char *go_on(struct ft_counting *c)
{
	int err = ft_counting_find_hops(c);

	if (!err)
		err = ft_counting_apply(c);
	if (!err)
		err = ft_probe_set_switches(&c->probe, c->discover, c->config.one_shot_ms);
	if (err == -EINVAL)
		return "no configuration has such hops";
	return !err ? NULL : err == -E2BIG ? "too many hops have changed" : strerror(-err);
}

static bool adopt(struct ft_counting *c, const char *pins)
{
	char text[128] = "";
	const char *why = text;
	int err = ft_probe_adopt(&c->probe, pins, text, sizeof(text));

	if (err == -ENOENT)
		return false;
	if (!err) {
		snprintf(text, sizeof(text), "%s", c->probe.meta.version);
		why = unfit(c);
		if (!why)
			why = go_on(c);
		if (!why) {
			ft_log(FT_LOG_INFO,
			       "adopted the counters pinned in %s: they went on counting", pins);
			if (strcmp(text, FT_VERSION))
				ft_log(FT_LOG_INFO,
				       "the programs of version %s go on until the agent is "
				       "stopped and started",
				       text);
			ft_probe_take_over(&c->probe, c->config.interval_ms);
			ft_probe_get_history(&c->probe, &c->history);
			c->pins = pins;
			ft_probe_pair_unpin(pins); /* their programs ended with their agent */
			return true;
		}
		ft_probe_close(&c->probe);
	}
	ft_log(FT_LOG_WARN, "the counters pinned in %s are replaced, counting starts anew: %s",
	       pins, why[0] || !err ? why : strerror(-err));
	ft_probe_unpin(pins);
	return false;
}

/* --- start --- */

static void pin(struct ft_counting *c, const char *pins)
{
	int err = ft_probe_pin(&c->probe, pins);

	c->pins = err ? NULL : pins;
	if (err)
		ft_log(FT_LOG_WARN,
		       "cannot pin the counters in %s (%s): nobody else can look at them, and they "
		       "end with this process. %s",
		       pins, strerror(-err),
		       err == -EEXIST ? "Others may write there: remove it"
				      : "mount -t bpf bpf /sys/fs/bpf");
}

/* Listeners that are older have no owner in source sockops: it has no scan to find them. */
static void warn_of_processes(const struct ft_counting *c)
{
	for (unsigned int i = 0; i < c->config.nhops; i++) {
		const struct ft_config_hop *h = &c->config.hop[i];

		if (!h->process[0] || h->discovered)
			continue;
		if (!c->probe.owner)
			ft_log(FT_LOG_WARN,
			       "hop \"%s\" names a process, which this kernel does not show to "
			       "sockops "
			       "programs: it will count nothing",
			       h->name);
		else if (c->probe.meta.source == FT_SOURCE_SOCKOPS && h->side == FT_ACCEPT)
			ft_log(FT_LOG_WARN,
			       "hop \"%s\" names a process, which source sockops does not know of "
			       "listeners that were there before: it will count nothing until "
			       "they are restarted. Leave out the process",
			       h->name);
	}
}

static int begin(struct ft_counting *c)
{
	int err = c->discover ? ft_counting_discover_all(c) : 0;

	if (!err)
		err = ft_probe_set_hops(&c->probe, &c->config);
	if (!err)
		err = ft_probe_start(&c->probe, c->ns.fd, c->ns.n, true);
	if (!err && !c->discover)
		ft_counting_name_owners(c);
	warn_of_processes(c);
	return err;
}

static int start(struct ft_counting *c, const char *pins)
{
	int code = ft_counting_default_cgroup(c), err;

	if (code)
		return code;
	if (pins && adopt(c, pins))
		return 0;
	code = ft_counting_load(c);
	if (code)
		return code;
	if (pins)
		pin(c, pins); /* before it begins: a kill loses nothing that was counted */
	err = begin(c);
	if (!err)
		return 0;
	ft_log(FT_LOG_ERROR, "cannot start counting: %s", strerror(-err));
	if (pins)
		ft_probe_unpin(pins);
	return err == -EPERM ? ft_check_explain(c->options, "not permitted") : FT_EXIT_INTERNAL;
}

/* Each network namespace in use is an open file. (Under systemd the unit has raised it.) */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur == limit.rlim_max)
		return;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int ft_counting_start(struct ft_counting *c, const struct ft_options *o, const char *pins,
		      const char *config_text)
{
	int code, err;

	memset(c, 0, sizeof(*c));
	c->options = o;
	c->probe = (struct ft_probe)FT_PROBE_NONE;
	c->peers_errand.min_ns = SECOND;
	c->owners_errand.min_ns = 10 * SECOND;
	c->files_errand.min_ns = 2 * SECOND;
	c->ports_errand.min_ns = FT_PORTS_IDLE_NS;
	for (int i = 0; i < FT_MAX_HOPS; i++)
		c->peers[i] = FT_PEERS_UNKNOWN;
	code = configure(c, config_text);
	if (code)
		return code;
	ft_probe_prepare();
	raise_file_limit();
	err = find_namespaces(c);
	if (err) {
		ft_log(FT_LOG_ERROR, "cannot open network namespace %s: %s",
		       c->config.netns == FT_NETNS_PATH ? c->config.netns_path : "of this process",
		       ft_netns_error(err));
		code = FT_EXIT_CONFIG;
	} else {
		code = start(c, pins);
	}
	if (code)
		ft_counting_close(c);
	return code;
}

/* --- tick --- */

static bool due(const struct ft_errand *e, uint64_t now)
{
	return now >= e->due_ns;
}

static void done(struct ft_errand *e, uint64_t cpu_before)
{
	uint64_t cost = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_before;
	uint64_t wait = cost * BUDGET > e->min_ns ? cost * BUDGET : e->min_ns;

	e->due_ns = ft_clock_ns(CLOCK_MONOTONIC) + wait;
}

void ft_counting_peers(struct ft_counting *c)
{
	if (ft_probe_peers(&c->probe, c->snapshot.nhops, c->peers))
		return;
	for (uint32_t i = 0; i < c->snapshot.nhops; i++)
		c->snapshot.peers[i] = c->peers[i];
}

/* A namespace is configured by its path, and another one may have that by now: a container was
 * started again. (We hold the old one open, so it never has the same number.) */
static void follow_path(struct ft_counting *c)
{
	uint32_t netns = ft_counting_scope(c);
	int err;

	if (c->probe.meta.source != FT_SOURCE_TRACEPOINT || ft_probe_has_netns(&c->probe, netns))
		return;
	ft_log(FT_LOG_INFO, "%s is another network namespace now", c->config.netns_path);
	err = ft_probe_set_netns(&c->probe, netns);
	if (!err)
		err = ft_probe_fill(&c->probe, c->ns.fd, c->ns.n);
	if (err)
		ft_log(FT_LOG_WARN, "cannot count in %s: %s", c->config.netns_path, strerror(-err));
	c->suspicious = true; /* flows of the old one are in the table */
}

/* Before the counters are read, so that what it finds is said at once. */
static void scan(struct ft_counting *c)
{
	uint64_t cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID), after;
	int err;

	if (ft_clock_ns(CLOCK_MONOTONIC) < c->scan_due_ns)
		return;
	if (!find_namespaces(c))
		follow_path(c);
	err = ft_counting_scan(c);
	ft_log_failing(&c->failed.scan, err, "scan the sockets");
	/* The walk has set the time by its own cost; where there are thousands of processes,
	 * looking for their namespaces costs more. */
	cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	after = ft_clock_ns(CLOCK_MONOTONIC) + cpu * SCAN_BUDGET;
	if (after > c->scan_due_ns)
		c->scan_due_ns = after;
}

static void run_errands(struct ft_counting *c)
{
	uint64_t now = ft_clock_ns(CLOCK_MONOTONIC), cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	if (due(&c->peers_errand, now)) {
		ft_counting_peers(c);
		done(&c->peers_errand, cpu);
		cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	}
	if (!c->discover && due(&c->owners_errand, now)) {
		ft_counting_name_owners(c);
		done(&c->owners_errand, cpu);
		cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	}
	if (due(&c->files_errand, now)) {
		ft_counting_files(c);
		done(&c->files_errand, cpu);
		cpu = ft_clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	}
	if (due(&c->ports_errand, now)) {
		ft_counting_forget_ports(c);
		done(&c->ports_errand, cpu);
	}
}

static int read_counters(struct ft_counting *c)
{
	int err = ft_probe_snapshot(&c->probe, &c->snapshot);

	c->snapshot.counting = 1;
	for (uint32_t i = 0; !err && i < c->snapshot.nhops; i++)
		c->snapshot.peers[i] = c->peers[i];
	return err;
}

/* One row per second, however often we look: the ring has to reach back five minutes. */
static void remember_second(struct ft_counting *c)
{
	const struct ft_history *h = &c->history;

	if (!ft_history_wants(h, &c->snapshot))
		return;
	ft_history_add(&c->history, &c->snapshot);
	ft_probe_put_sample(&c->probe, &h->row[h->count - 1]);
}

int ft_counting_tick(struct ft_counting *c)
{
	/* A view of its own shows its first frame at once, and looks closer from the second on. */
	bool first_frame = !c->pins && !c->history.count;
	int err = c->discover && !first_frame ? ft_counting_discover_new(c) : 0;

	ft_log_failing(&c->failed.discover, err, "look for new hops");
	if (!first_frame)
		scan(c);
	err = read_counters(c);
	if (err)
		return err;
	if (!first_frame)
		ft_counting_pair(c);
	remember_second(c);
	run_errands(c);
	return 0;
}

void ft_counting_report(struct ft_counting *c, struct ft_report *ret)
{
	ft_model_build(&c->snapshot, &c->history, ret);
}

void ft_counting_close(struct ft_counting *c)
{
	if (!c)
		return;
	ft_counting_pair_close(c); /* before the table that it shares */
	free(c->idle_ports);
	c->idle_ports = NULL;
	c->nidle_ports = 0;
	ft_probe_close(&c->probe);
	ft_netns_close(&c->ns);
}

// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* fantail show: one answer from the running agent's maps, and exit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "cmd.h"
#include "exit.h"
#include "lock.h"
#include "log.h"
#include "model.h"
#include "probe.h"
#include "show_flows.h"
#include "show_limits.h"
#include "show_pairs.h"
#include "view.h"

static void say_no_agent(const char *pins)
{
	int pid = ft_lock_holder();

	if (pid > 0)
		ft_log(FT_LOG_ERROR,
		       "the agent (pid %d) has no counters in %s: it does not count yet, pins "
		       "them elsewhere (--pins DIR), or cannot pin them",
		       pid, pins);
	else
		ft_log(FT_LOG_ERROR, "no agent is running here. Start one: sudo fantail agent");
}

int ft_cmd_open_agent(const struct ft_options *o, struct ft_probe *p, bool quiet)
{
	const char *pins = o->pins ? o->pins : FT_DEFAULT_PINS;
	char why[128] = "";
	int err = ft_probe_open(p, pins, why, sizeof(why));

	if (!err)
		return 0;
	if (err == -ESTALE) {
		ft_log(FT_LOG_ERROR,
		       "cannot read the counters pinned in %s: %s. Use the agent's own "
		       "version, or restart it",
		       pins, why);
		return FT_EXIT_UNAVAILABLE;
	}
	if (err == -EPERM || err == -EACCES) {
		ft_log(FT_LOG_ERROR,
		       "not permitted to read the counters: needs CAP_BPF. Run as root: "
		       "sudo fantail %s",
		       ft_command_name(o->command));
		return FT_EXIT_PERMISSION;
	}
	if (!quiet)
		say_no_agent(pins);
	return FT_EXIT_UNAVAILABLE;
}

static int find_hop(const struct ft_report *r, const char *name)
{
	for (unsigned int i = 0; i < r->nhops; i++)
		if (!strcmp(r->hop[i].name, name))
			return i;
	return -1;
}

static int read_report(const struct ft_probe *p, struct ft_report *r)
{
	_free_ struct ft_snapshot *s = calloc(1, sizeof(*s));
	_free_ struct ft_history *h = calloc(1, sizeof(*h));
	int err = s && h ? ft_probe_snapshot(p, s) : -ENOMEM;

	if (!err)
		err = ft_probe_get_history(p, h);
	if (!err)
		err = ft_probe_peers(p, s->nhops, s->peers);
	if (err)
		return err;
	s->counting = ft_lock_holder() > 0;
	ft_model_build(s, h, r);
	return 0;
}

static int print(const struct ft_options *o, const struct ft_report *r, enum ft_show what, int hop)
{
	struct ft_buf text = {0};
	int err = 0;

	if (o->json)
		err = ft_view_json(r, what, hop, &text);
	else
		ft_view_text(r, what, hop, &text);
	if (!err)
		err = ft_buf_error(&text);
	if (!err)
		fwrite(ft_buf_text(&text), 1, text.len, stdout);
	ft_buf_close(&text);
	return err ? FT_EXIT_INTERNAL : FT_EXIT_OK;
}

static int show(const struct ft_options *o, const struct ft_probe *p)
{
	static const char *const words[] = {
		[FT_SHOW_HOPS] = "hops", [FT_SHOW_EDGES] = "edges", [FT_SHOW_LOSS] = "loss"};
	_free_ struct ft_report *r = calloc(1, sizeof(*r));
	int hop = -1, place, err = r ? read_report(p, r) : -ENOMEM;

	if (err) {
		ft_log(FT_LOG_ERROR, "cannot read the counters: %s", strerror(-err));
		return FT_EXIT_INTERNAL;
	}
	if (!r->counting)
		ft_log(FT_LOG_WARN,
		       "no agent is running, but its programs go on counting. Start one: sudo "
		       "fantail agent; or remove them: sudo fantail detach");
	if (o->hop && (hop = find_hop(r, o->hop)) < 0) {
		ft_log(FT_LOG_ERROR, "there is no hop \"%s\"; see fantail show hops", o->hop);
		return FT_EXIT_USAGE;
	}
	place = hop < 0 ? -1 : (int)r->hop[hop].place;
	if (!strcmp(o->argument, "flows"))
		return ft_show_flows(o, p, r, place);
	if (!strcmp(o->argument, "listeners"))
		return ft_show_listeners(o, p, r, place);
	if (!strcmp(o->argument, "ports"))
		return ft_show_ports(o, p, r, place);
	if (!strcmp(o->argument, "pairs"))
		return ft_show_pairs(o, p, r, place);
	for (int i = 0; i < 3; i++)
		if (!strcmp(o->argument, words[i]))
			return print(o, r, i, hop);
	return FT_EXIT_INTERNAL;
}

static int check_words(const struct ft_options *o)
{
	static const char *const now[] = {"hops",      "edges", "flows", "pairs",
					  "listeners", "ports", "loss"};
	static const char *const sorts[] = {"age", "idle", "unread", "hop", "state", "remote"};
	bool known = !o->sort;

	for (int i = 0; o->sort && i < 6; i++)
		known = known || !strcmp(o->sort, sorts[i]);
	if (!known) {
		ft_log(FT_LOG_ERROR,
		       "--sort: \"%s\" is not age, idle, unread, hop, state or remote", o->sort);
		return FT_EXIT_USAGE;
	}
	for (unsigned int i = 0; i < sizeof(now) / sizeof(now[0]); i++)
		if (!strcmp(o->argument, now[i]))
			return 0;
	ft_log(FT_LOG_ERROR,
	       "show what? \"%s\" is not hops, edges, flows, pairs, listeners, ports or loss",
	       o->argument);
	return FT_EXIT_USAGE;
}

int ft_cmd_show(const struct ft_options *o)
{
	struct ft_probe p = FT_PROBE_NONE;
	int code = check_words(o);

	if (!code)
		code = ft_cmd_open_agent(o, &p, false);
	if (!code)
		code = show(o, &p);
	ft_probe_close(&p);
	return code;
}

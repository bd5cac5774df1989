/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* One function per command; each returns the exit code. */
#ifndef FT_CMD_H
#define FT_CMD_H

#include "options.h"

int ft_cmd_top(const struct ft_options *o);
int ft_cmd_agent(const struct ft_options *o);
int ft_cmd_show(const struct ft_options *o);
int ft_cmd_discover(const struct ft_options *o);
int ft_cmd_check(const struct ft_options *o);
int ft_cmd_demo(const struct ft_options *o);
int ft_cmd_record(const struct ft_options *o);
int ft_cmd_detach(const struct ft_options *o);

/* Open the running agent's maps for reading. 0, or an exit code after saying why in one
 * line; quiet: say nothing when there is no agent. */
struct ft_probe;
int ft_cmd_open_agent(const struct ft_options *o, struct ft_probe *p, bool quiet);

/* Whether the options give a scope (-c, --netns, --source, --cgroup) that need not be the agent's:
 * then a view or a recording counts for itself, unless --pins says whose counters it is to show. */
bool ft_cmd_scoped(const struct ft_options *o);

/* Who looks at the agent's counters again and again. The walk for peers is O(flows): at most a
 * hundredth of a core, and the last numbers between. */
struct ft_snapshot;
struct ft_history;
struct ft_cmd_agent_reader {
	uint64_t peers_due_ns;
	uint32_t peers[FT_MAX_HOPS];
};
/*
 * The agent's counters as they are now. Opened anew each time: the agent may have been restarted,
 * and what it has let go of must not be kept alive by somebody who looks. history: NULL if it is
 * not wanted. 0, or -errno without a word: -ENOENT, -ESTALE as ft_probe_open(); *ret is then as it
 * was, unless reading had begun.
 */
int ft_cmd_read_agent(const struct ft_options *o, struct ft_cmd_agent_reader *reader,
		      struct ft_snapshot *ret, struct ft_history *history);

/* struct ft_live's refresh over a struct ft_counting. */
struct ft_report;
int ft_cmd_refresh_counting(void *counting, struct ft_report *r);

#endif

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

/* struct ft_live's refresh over a struct ft_counting. */
struct ft_report;
int ft_cmd_refresh_counting(void *counting, struct ft_report *r);

#endif

/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* fantail show flows: the flow table joined with a walk over the sockets. SHELL. */
#ifndef FT_SHOW_FLOWS_H
#define FT_SHOW_FLOWS_H

#include "options.h"
#include "probe.h"
#include "report.h"

/* Print the flows of the hop at `place` (-1: all) to stdout. Returns the exit code. */
int ft_show_flows(const struct ft_options *o, const struct ft_probe *p, const struct ft_report *r,
		  int place);

#endif
